//! Too short: there are too few epochs to tell a trend from noise.

use super::finding::Unit;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// A curve that reaches this epoch can be judged, because noise can be measured from seven values on.
const LEAST_EPOCHS: u32 = 8;
/// Minimum number of recorded epochs, if only some were recorded.
const LEAST_RECORDED: usize = 5;

/// Judges by the number of the last epoch. More epochs are advised only if validation was best in the last one, and if the
/// number of epochs is known that was asked for. In a curve from a file, an epoch may be any number of steps.
pub fn find(view: &View) -> Option<Finding> {
    let recorded = view.curve.len();
    if view.last >= LEAST_EPOCHS && recorded >= LEAST_RECORDED {
        return None;
    }
    let headline = match recorded {
        0 => "No epoch was completed, so the fit cannot be judged.".to_owned(),
        1 => "One value is not a curve, so the fit cannot be judged.".to_owned(),
        many => format!("{many} epochs are too few to judge the fit: a trend cannot be distinguished from noise."),
    };
    let improving = view.watched().is_some_and(|series| series.len() > 1 && series.best() + 1 == series.len());
    let until = |planned: u32| {
        if planned > view.last { planned } else { view.last.saturating_mul(2).max(LEAST_EPOCHS) }
    };
    let planned = view.context.epochs_planned.filter(|_| improving && view.last < LEAST_EPOCHS);
    let longer = planned.map(|planned| Advice::MoreEpochs { until: until(planned), longer_schedule: false });
    Some(
        Finding::new(Name::TooShort, Severity::Note, headline)
            .evidence("epochs", Unit::Epoch, recorded as f64)
            .advice(longer),
    )
}
