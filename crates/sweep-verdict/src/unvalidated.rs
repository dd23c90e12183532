//! Unvalidated: only training was measured, so nothing can be said about generalization.

use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// Applies if both validation metrics are missing.
pub fn find(view: &View) -> Option<Finding> {
    if view.watched().is_some() {
        return None;
    }
    let headline = "Generalization cannot be judged: neither validation loss nor validation accuracy was measured.";
    Some(Finding::new(Name::Unvalidated, Severity::Clear, headline).advice([Advice::HoldOut]))
}
