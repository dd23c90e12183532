//! Still improving: validation had not settled when training ended, and more epochs would bring something.

use super::finding::Unit;
use super::view::{View, unit, word};
use super::{Advice, Finding, Name, Severity};

/// An expected gain below this is not worth the epochs: accuracy,
const WORTH_ACCURACY: f64 = 0.01;
/// and loss, as a share of itself.
const WORTH_LOSS: f64 = 0.02;
/// The same, from which on stopping here is a clear fault.
const CLEAR: f64 = 5.0;
/// A learning rate below this share of its highest has run out.
const RUN_OUT: f64 = 0.05;

/// By the forecast for half as many epochs again.
pub fn find(view: &View) -> Option<Finding> {
    let (series, outlook) = (view.watched()?, view.outlook?);
    let worth = match unit(series) {
        Unit::Accuracy => WORTH_ACCURACY,
        _ => WORTH_LOSS * series.end().abs(),
    };
    let [worse, better] = outlook.between;
    if outlook.gain < worth {
        return None;
    }
    // Where even the worse end of the forecast is no loss, the gain itself tells how much it matters.
    let sure = series.gain(worse, series.end()) >= 0.0;
    let severity = if sure { Severity::scale(outlook.gain / worth, [CLEAR, f64::INFINITY]) } else { Severity::Mild };
    let text = |value| unit(series).text(value);
    let headline = format!(
        "Validation {} was still improving when training ended ({}); by epoch {} it would be about {}, by its course \
         between {} and {}.",
        word(series),
        text(series.end()),
        outlook.until,
        text(outlook.expected),
        text(worse),
        text(better)
    );
    let longer_schedule = learning_rate_left(view).is_some_and(|left| left < RUN_OUT);
    Some(
        Finding::new(Name::StillImproving, severity, headline)
            .evidence(format!("validation {} at the end", word(series)), unit(series), series.end())
            .evidence("forecast for epoch", Unit::Epoch, f64::from(outlook.until))
            .evidence("forecast", unit(series), outlook.expected)
            .evidence("forecast at the worst", unit(series), worse)
            .evidence("forecast at the best", unit(series), better)
            .advice([Advice::MoreEpochs { until: outlook.until, longer_schedule }]),
    )
}

/// The last learning rate as a share of the highest.
fn learning_rate_left(view: &View) -> Option<f64> {
    let rates = || view.curve.iter().filter_map(|epoch| epoch.learning_rate);
    Some(rates().next_back()? / rates().reduce(f64::max)?)
}
