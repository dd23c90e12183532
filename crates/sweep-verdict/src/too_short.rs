//! Too short: there are too few epochs to tell a trend from noise.

use super::finding::Unit;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// A curve that reaches this epoch can be judged, because noise can be measured from seven values on.
const LEAST_EPOCHS: u32 = 8;
/// Minimum number of recorded epochs, if only some were recorded.
const LEAST_RECORDED: usize = 4;
/// Number of epochs to train to see a trend. The CIFAR-10 examples of Keras and PyTorch settle after 10 to 25 epochs.
const ENOUGH_EPOCHS: u32 = 25;

/// Judges by the number of the last epoch.
pub fn find(view: &View) -> Option<Finding> {
    let recorded = view.curve.len();
    if view.last >= LEAST_EPOCHS && recorded >= LEAST_RECORDED {
        return None;
    }
    let until = view.context.epochs_planned.filter(|planned| *planned >= LEAST_EPOCHS).unwrap_or(ENOUGH_EPOCHS);
    let headline = match recorded {
        0 => "No epoch was completed, so the fit cannot be judged.".to_owned(),
        1 => "One epoch is too few to judge the fit.".to_owned(),
        many => format!("{many} epochs are too few to judge the fit: a trend cannot be told from noise."),
    };
    Some(
        Finding::new(Name::TooShort, Severity::Note, headline)
            .evidence("epochs", Unit::Epoch, recorded as f64)
            .advice([Advice::MoreEpochs { until, longer_schedule: false }]),
    )
}
