//! The metric columns of the report's tables. Each shows the value at a trial's best epoch.

use super::analysis::Analysis;
use super::words;
use sweep_core::trial::{EpochMetrics, METRICS};

/// A column: its heading, and a function from a trial's best epoch to the text of a cell.
pub type Column<'a> = (&'a str, Box<dyn Fn(Option<&EpochMetrics>) -> String + 'a>);

/// A standard column: its heading, the value in an epoch, and the format of the value.
type Usual = (&'static str, fn(&EpochMetrics) -> Option<f64>, fn(Option<f64>) -> String);

const USUAL: [Usual; 5] = [
    ("val. loss", |epoch| epoch.val_loss, |value| words::value("val_loss", value)),
    ("val. accuracy", |epoch| epoch.val_accuracy, |value| words::value("val_accuracy", value)),
    ("train. accuracy", |epoch| epoch.train_eval_accuracy, |value| words::value("train_eval_accuracy", value)),
    ("loss gap", EpochMetrics::loss_gap, words::loss_gap),
    ("accuracy gap", EpochMetrics::accuracy_gap, words::accuracy_gap),
];

/// The columns of a table: the ranking metric if it has a custom name, then the standard ones. For a sweep of a
/// program, a standard column is included only if at least one trial measured it.
pub fn columns<'a>(analysis: &Analysis<'a>) -> Vec<Column<'a>> {
    let name = analysis.spec.metric.name.as_str();
    let own = Some(name).filter(|name| !METRICS.contains(name)).map(|name| -> Column {
        (name, Box::new(move |best| words::value(name, best.and_then(|best| best.get(name)))))
    });
    let is_measured = |(_, of, _): &Usual| {
        analysis.spec.network().is_some() || analysis.ranking.placed.iter().any(|place| of(&place.best).is_some())
    };
    let usual = USUAL
        .into_iter()
        .filter(is_measured)
        .map(|(heading, of, said)| -> Column { (heading, Box::new(move |best| said(best.and_then(of)))) });
    own.into_iter().chain(usual).collect()
}
