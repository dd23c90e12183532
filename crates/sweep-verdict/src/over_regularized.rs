//! Over-regularized: training is no better than validation, there is room to improve, and regularization is strong.

use super::finding::Unit;
use super::still_improving;
use super::view::{Mode, View, word};
use super::{Advice, Finding, Name, Severity};

/// Dropout rate from which on dropout is strong. Its authors use 0.5 for hidden layers (Srivastava et al., JMLR 2014).
const HIGH_DROPOUT: f64 = 0.5;
/// Weight decay from which on it is strong. Common values are 1e-4 (He et al. 2016) and 5e-4 (Krizhevsky et al. 2012).
const HIGH_DECAY: f64 = 2e-3;
/// Accuracy by which training must exceed validation for regularization to have a purpose.
const NO_GAP: f64 = 0.01;
/// Share by which the training loss must be below the validation loss for the same conclusion. The loss depends less on
/// a few images.
const NO_LOSS_GAP: f64 = 0.02;
/// Training accuracy, from chance (0) to perfect (1), and number of epochs. If the accuracy stays below the bound for
/// that long, it is held down, even if it rises slowly.
const HELD_DOWN: (f64, u32) = (0.4, 20);
/// Minimum deficit of the accuracy during training against validation. Half an epoch of progress and mild dropout
/// explain a smaller one.
const BEHIND_WHILE_TRAINING: f64 = 0.05;
/// Deficits from which on the finding is clear, and severe.
const BEHIND_SCALE: [f64; 2] = [0.10, 0.30];
/// Share of the validation accuracy below which the training accuracy counts something else: no dropout explains that.
const NOT_THE_SAME: f64 = 0.5;
/// Training accuracy from which on there is nothing left to gain.
const NO_ROOM: f64 = 0.9;

/// Judges by both accuracies at the end.
pub fn find(view: &View) -> Option<Finding> {
    let (train, val) = (view.train_accuracy.as_ref()?, view.val_accuracy.as_ref()?);
    let gap = view.accuracy_gap()?;
    let no_gap = match view.mode {
        Mode::Evaluated => gap <= NO_GAP || no_loss_gap(view),
        Mode::WhileTraining => gap <= -BEHIND_WHILE_TRAINING,
    };
    let held_down =
        view.last >= HELD_DOWN.1 && view.poor_training(view.last).is_some_and(|poor| view.skill(poor) < HELD_DOWN.0);
    let waits = !held_down && still_improving::find(view).is_some();
    if !no_gap
        || train.len() < 2
        || train.end().max(val.end()) >= NO_ROOM
        || waits
        || train.end() < NOT_THE_SAME * val.end()
        || val.is_constant()
    {
        return None;
    }
    let dropout = view.context.dropout.filter(|dropout| *dropout >= HIGH_DROPOUT);
    let decay = view.context.weight_decay.filter(|decay| *decay >= HIGH_DECAY);
    let cause = match (dropout, decay, view.context.dropout) {
        (Some(dropout), None, _) => format!("Dropout {dropout} is probably too strong"),
        (None, Some(decay), _) => format!("Weight decay {decay} is probably too strong"),
        (Some(dropout), Some(decay), _) => {
            format!("Dropout {dropout} and weight decay {decay} together are probably too strong")
        }
        // The parameters are unknown, but dropout or augmentation must be active.
        (None, None, None) if view.mode == Mode::WhileTraining => "Dropout or augmentation may be too strong".into(),
        (None, None, _) => return None,
    };
    let severity = match view.mode {
        Mode::Evaluated => Severity::scale(1.0 - train.end().max(val.end()), [0.2, 0.6]),
        Mode::WhileTraining => Severity::scale(-gap, BEHIND_SCALE),
    };
    let headline = format!(
        "{cause}: training {word} ({}) is {than} validation {word} ({}), although neither is high, so the network could \
         learn more.",
        Unit::Accuracy.text(train.end()),
        Unit::Accuracy.text(val.end()),
        word = word(val),
        than = if gap > 0.0 { "hardly better than" } else { "no better than" },
    );
    Some(
        Finding::new(Name::OverRegularized, severity, headline)
            .evidence("training accuracy at the end", Unit::Accuracy, train.end())
            .evidence("validation accuracy at the end", Unit::Accuracy, val.end())
            .evidence("dropout", Unit::Number, dropout)
            .evidence("weight decay", Unit::Number, decay)
            .advice([Advice::CheckCapacity, Advice::LessRegularization]),
    )
}

fn no_loss_gap(view: &View) -> bool {
    let losses = view.train_loss.as_ref().zip(view.val_loss.as_ref());
    losses.is_some_and(|(train, val)| val.end() - train.end() <= NO_LOSS_GAP * val.end().abs())
}
