//! Good fit: no rule found a problem.

use super::finding::Unit;
use super::finding::number;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// A gap between the accuracies below this is not worth a number.
const CLOSE: f64 = 0.03;

/// Returns the finding that is used if there are only notes.
pub fn finding(view: &View) -> Finding {
    let both = view.train_accuracy.as_ref().zip(view.val_accuracy.as_ref());
    let losses = view.train_loss.as_ref().zip(view.val_loss.as_ref());
    let close = match (both, losses) {
        (Some((train, val)), _) => {
            let gap = train.end() - val.end();
            let apart = match gap {
                _ if gap < CLOSE => "close together".to_owned(),
                _ => format!("{} points apart, which is normal", number(gap * 100.0, 0)),
            };
            let (train, val) = (Unit::Accuracy.text(train.end()), Unit::Accuracy.text(val.end()));
            format!("Training and validation accuracy end {apart} ({train} and {val})")
        }
        (None, Some((train, val))) => {
            let apart = match val.end() {
                end if end < train.end() => "Validation loss ends below training loss",
                _ => "Training and validation loss end close together",
            };
            let [train, val] = [train, val].map(|series| Unit::Loss.text(series.end()));
            format!("{apart} (training {train}, validation {val})")
        }
        (None, None) if view.train_loss.is_some() || view.train_accuracy.is_some() => {
            "Training and validation were not measured by the same metric, so their gap is unknown".to_owned()
        }
        (None, None) => "Training was not measured, so only validation was judged".to_owned(),
    };
    let headline =
        format!("No problem was found. {close}, and validation does not get worse beyond its noise.{}", view.caveat());
    let end = |series: &Option<super::series::Series>| series.as_ref().map(|series| series.end());
    Finding::new(Name::GoodFit, Severity::Note, headline)
        .evidence("training accuracy at the end", Unit::Accuracy, end(&view.train_accuracy))
        .evidence("validation accuracy at the end", Unit::Accuracy, end(&view.val_accuracy))
        .evidence("validation loss at the end", Unit::Loss, end(&view.val_loss))
        .advice([Advice::Repeat])
}
