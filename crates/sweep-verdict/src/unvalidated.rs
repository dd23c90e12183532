//! Unvalidated: only training was measured, so nothing can be said about generalization. A single value of validation, as
//! after the last epoch, is no curve.

use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// Applies if there is no validation metric, or only one value of it beside several of training.
pub fn find(view: &View) -> Option<Finding> {
    let headline = match view.watched().map(|series| series.len()) {
        None => "Generalization cannot be judged: neither validation loss nor validation accuracy was measured.",
        Some(1) if view.curve.len() > 1 => "Generalization cannot be judged: validation was measured only once.",
        Some(_) => return None,
    };
    Some(Finding::new(Name::Unvalidated, Severity::Clear, headline).advice([Advice::HoldOut]))
}
