//! Declining: validation gets worse after its best epoch, and training does not explain it, because it was not measured or
//! does not improve meanwhile. If training goes on, the network overfits.

use super::turn::Turn;
use super::view::View;
use super::{Advice, Finding, Name, overfit};

/// Judges by the same turn as `overfit`, which names its own.
pub fn find(view: &View) -> Option<Finding> {
    let turn = Turn::new(view).filter(|_| overfit::find(view).is_none())?;
    let why = match view.train_loss.as_ref().or(view.train_accuracy.as_ref()) {
        Some(_) => {
            "Training does not improve meanwhile, so this is no plain overfitting: the learning rate may be too high."
        }
        None => "Without training metrics, this may be overfitting or another problem.",
    };
    let finding = Finding::new(Name::Declining, turn.severity(), format!("{} {why}", turn.sentence()));
    let finding = turn.evidence(finding.starting_after(Some(turn.onset))).advice([Advice::StopEarly]);
    let measured = view.train_loss.is_some() || view.train_accuracy.is_some();
    Some(finding.advice([if measured { Advice::LowerLearningRate } else { Advice::MeasureTraining }]))
}
