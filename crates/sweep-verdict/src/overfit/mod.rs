//! Overfit: validation loss rises beyond its own noise while training continues to improve, or training accuracy ends
//! far above validation accuracy. Where no validation loss was measured, another validation metric falls while training
//! continues to improve.

mod gap;

use super::finding::Unit;
use super::series::Series;
use super::turn::Turn;
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity, low_ceiling};

use gap::Gap;

/// Share of the way from guessing to perfect training accuracy below which there is nothing that could be overfitted: a
/// validation loss that rises there is noise.
const LEARNT: f64 = 0.1;
/// Validation accuracy from which on a loss that rises matters less.
const RIGHT: f64 = 0.95;
/// An accuracy that is this close to its best has lost nothing.
const KEPT: f64 = 0.005;

/// Judges by the rise of the validation loss and by the gap at the end.
pub fn find(view: &View) -> Option<Finding> {
    if guesses(view) {
        return None;
    }
    let signs = Signs { view, turn: Turn::new(view).filter(Turn::is_overfitting), gap: Gap::new(view) };
    let finding = Finding::new(Name::Overfit, signs.severity()?, signs.sentences());
    Some(signs.advice(signs.evidence(finding)))
}

/// Whether the training accuracy ends where that of guessing is. `false` if either is unknown.
fn guesses(view: &View) -> bool {
    let chance = view.context.classes.filter(|classes| *classes > 1).map(|classes| 1.0 / f64::from(classes));
    let end = view.train_accuracy.as_ref().map(Series::end);
    chance.zip(end).is_some_and(|(chance, end)| end < chance + LEARNT * (1.0 - chance))
}

/// Whether validation accuracy is high, or above that of training, and ends at its best within its noise.
fn keeps_accuracy(view: &View) -> bool {
    let is_ahead = view.accuracy_gap().is_some_and(|gap| gap < 0.0);
    let ends_at_best = |val: &Series| {
        (val.end() >= RIGHT || is_ahead) && val.best_level() - val.end() <= KEPT.max(2.0 * val.level_error())
    };
    view.val_loss.is_some() && view.val_accuracy.as_ref().is_some_and(ends_at_best)
}

/// What shows that the network overfits.
struct Signs<'a> {
    view: &'a View<'a>,
    turn: Option<Turn<'a>>,
    gap: Option<Gap>,
}

impl Signs<'_> {
    /// Returns the severity of the worst sign. `None` if there is no sign.
    fn severity(&self) -> Option<Severity> {
        let by_turn = self.turn.as_ref().map(|turn| match turn.severity() {
            // A loss that rises while the answers stay right costs confidence, not accuracy.
            severity if keeps_accuracy(self.view) => severity.milder(),
            severity => severity,
        });
        let by_gap = self.gap.map(Gap::severity);
        // Where both show it, it is clear. Of a loss, both may be the same few examples.
        let both = by_turn.filter(|_| matches!(self.gap, Some(Gap::Accuracy(_)))).map(|_| Severity::Clear);
        by_turn.max(by_gap).max(both)
    }

    fn sentences(&self) -> String {
        let turn = self.turn.as_ref().map(Turn::sentence);
        let gap = self.gap.and_then(|gap| gap.sentence(self.view, turn.is_none()));
        [turn, gap].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Returns the last epoch before it got worse.
    fn onset(&self) -> Option<u32> {
        self.turn.as_ref().map(|turn| turn.onset)
    }

    fn evidence(&self, finding: Finding) -> Finding {
        let (view, onset) = (self.view, self.onset());
        let wasted = onset.map(|onset| f64::from(view.last - onset));
        let opening = self.gap.and_then(|gap| gap.opening(view));
        let mut finding = finding.starting_after(onset).evidence("epochs trained since", Unit::Epoch, wasted).evidence(
            "last epoch with a gap below 10 points",
            Unit::Epoch,
            opening.map(f64::from),
        );
        if let Some(turn) = &self.turn {
            finding = turn.evidence(finding);
        }
        finding =
            finding.evidence("training minus validation accuracy at the end", Unit::Accuracy, view.accuracy_gap());
        if let (Some(train), Some(onset)) = (view.train_loss.as_ref().or(view.train_accuracy.as_ref()), onset) {
            finding = finding
                .evidence(format!("training {} at the onset", word(train)), train.unit, train.at(onset))
                .evidence(format!("training {} at the end", word(train)), train.unit, train.end());
        }
        finding
    }

    fn advice(&self, finding: Finding) -> Finding {
        let context = self.view.context;
        let stop = self.onset().map(|_| Advice::StopEarly);
        let more = context.leaves_images_out.then_some(Advice::MoreImages);
        let augment = Advice::Augment(context.mirror);
        // Where training is poor and stays so, more regularization would lower what is already low.
        let training_is_poor =
            low_ceiling::find(self.view).is_some_and(|one| one.advice.contains(&Advice::NoMoreDropout));
        let finding = finding.advice(stop).advice(more);
        if training_is_poor {
            finding.advice([Advice::NoMoreDropout, augment])
        } else {
            finding.advice([augment, Advice::BatchNorm, Advice::MoreRegularization])
        }
    }
}
