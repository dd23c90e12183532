//! Too short: so few epochs that a trend cannot be told from noise.

use super::finding::Unit;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// A curve that reaches this epoch can be judged: noise can be measured from seven values on.
const LEAST_EPOCHS: u32 = 8;
/// What to train to see a trend: Keras' and PyTorch's CIFAR-10 examples settle after 10 to 25 epochs.
const ENOUGH_EPOCHS: u32 = 25;

/// By the last epoch's number.
pub fn find(view: &View) -> Option<Finding> {
    if view.last >= LEAST_EPOCHS {
        return None;
    }
    let until = view.context.epochs_planned.filter(|planned| *planned >= LEAST_EPOCHS).unwrap_or(ENOUGH_EPOCHS);
    let epochs = match view.last {
        0 => "No epoch was completed".to_owned(),
        1 => "One epoch is".to_owned(),
        many => format!("{many} epochs are"),
    };
    let headline = match view.last {
        0 => format!("{epochs}, so there is nothing to judge."),
        _ => format!("{epochs} too few to judge the fit: noise and trend look alike."),
    };
    Some(
        Finding::new(Name::TooShort, Severity::Note, headline)
            .evidence("epochs", Unit::Epoch, f64::from(view.last))
            .advice([Advice::MoreEpochs { until, longer_schedule: false }]),
    )
}
