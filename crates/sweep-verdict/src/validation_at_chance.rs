//! Validation at chance: training is nearly perfect, and validation never got better than guessing. No lack of
//! regularization looks like that; something between the two sets differs.

use super::finding::Unit;
use super::series::Series;
use super::view::View;
use super::{Advice, Finding, Name, Severity};

/// Training accuracy from which on training fits.
const FITS: f64 = 0.9;
/// Training accuracy gained from which on it is odd that validation does not move at all.
const LEARNS: f64 = 0.1;
/// Distance from chance within which an accuracy is chance.
const NEAR: f64 = 0.025;
/// Maximum number of classes that is inferred from an accuracy.
const MOST_CLASSES: u32 = 10;
/// Validation accuracy never rose by more than this above its first level.
const NEVER_ROSE: f64 = 0.03;
/// Minimum validation loss, as a share of the loss of guessing. A network that is right by chance but sure of itself
/// has a larger one.
const LOSS: f64 = 0.97;
/// Minimum first training loss of a cross-entropy. A loss that is small from the start may be of any kind.
const LEAST_START: f64 = 0.3;
/// Lowest accuracy of a network that guesses, as a share of chance.
const LOWEST: f64 = 0.6;
/// Minimum number of epochs. In the first ones, running statistics lag.
const LEAST_EPOCHS: usize = 5;

/// Accuracies between which a constant one is the share of a class. A constant 0 or 1 is that of a set that is too small.
const SHARE: std::ops::Range<f64> = 0.02..0.98;

/// Judges by both accuracies. If the training accuracy was not measured, the probability of the right answer stands for it,
/// which the training loss tells.
pub fn find(view: &View) -> Option<Finding> {
    let val = view.val_share()?;
    let fit = match (&view.train_accuracy, &view.train_loss) {
        (Some(train), _) => train.end(),
        (None, Some(loss)) if loss.end() >= 0.0 && loss.values[0] > LEAST_START => (-loss.end()).exp(),
        _ => return None,
    };
    let learns = view.train_accuracy.as_ref().is_some_and(|train| train.best_level() - train.values[0] >= LEARNS);
    let is_frozen = learns && val.is_constant() && view.val_loss.as_ref().is_some_and(Series::is_constant);
    if fit < FITS && !is_frozen || val.len() < LEAST_EPOCHS {
        return None;
    }
    let level = val.end();
    let text = |value| Unit::Accuracy.text(value);
    let trained = match (&view.train_accuracy, &view.train_loss) {
        (None, Some(loss)) => format!("training loss is {}", Unit::Loss.text(loss.end())),
        _ => format!("training accuracy is {}", text(fit)),
    };
    if val.is_constant() && SHARE.contains(&level) {
        return Some(one_answer(view, level, &trained));
    }
    let near = |classes: &u32| (level - 1.0 / f64::from(*classes)).abs() <= NEAR;
    let classes = match view.context.classes.filter(|classes| *classes > 1) {
        Some(classes) => Some(classes).filter(near)?,
        None => {
            let lowest = val.values.iter().chain(view.train_accuracy.iter().flat_map(|train| train.values.first()));
            let lowest = lowest.copied().fold(f64::INFINITY, f64::min);
            // With so few classes, guessing would have been better than what it began with.
            let fits = |classes: &u32| lowest >= LOWEST / f64::from(*classes);
            (2..=MOST_CLASSES).filter(fits).find(near)?
        }
    };
    // A network that began below chance has learned what it gained, unless guessing is known.
    let guessed = view.context.classes.map_or(0.0, |classes| 1.0 / f64::from(classes));
    let first = val.smooth[0].max(guessed);
    let guessing = f64::from(classes).ln();
    let learned = view.val_loss.as_ref().is_some_and(|loss| loss.end() < LOSS * guessing);
    if val.best_level() > first + NEVER_ROSE || learned {
        return None;
    }
    let among = view.context.classes.map_or(String::new(), |classes| format!(" among {classes} classes"));
    let headline = format!(
        "Validation is no better than guessing{among} ({}), although {trained}. The two sets are preprocessed or \
         evaluated differently, or the labels of one set do not match its inputs. Regularization cannot help.",
        text(level)
    );
    Some(
        Finding::new(Name::ValidationAtChance, Severity::Severe, headline)
            .evidence(
                "training accuracy at the end",
                Unit::Accuracy,
                view.train_accuracy.as_ref().map(|train| train.end()),
            )
            .evidence("validation accuracy at the end", Unit::Accuracy, level)
            .evidence("accuracy of guessing", Unit::Accuracy, 1.0 / f64::from(classes))
            .advice([Advice::CompareSets]),
    )
}

/// Returns the finding where the network gives the same answer to every validation example.
fn one_answer(view: &View, level: f64, trained: &str) -> Finding {
    let headline = format!(
        "Validation accuracy is {} in every epoch, so the network gives the same answer to every validation example, although \
         {trained}. The two sets are preprocessed or evaluated differently, or the labels of one set do not match its \
         inputs. Regularization cannot help.",
        Unit::Accuracy.text(level)
    );
    Finding::new(Name::ValidationAtChance, Severity::Severe, headline)
        .evidence("training accuracy at the end", Unit::Accuracy, view.train_accuracy.as_ref().map(|train| train.end()))
        .evidence("validation accuracy at the end", Unit::Accuracy, level)
        .advice([Advice::CompareSets])
}

#[cfg(test)]
mod tests {
    use crate::{Context, Name, judge};
    use sweep_core::trial::EpochMetrics;

    fn found(course: impl Fn(f64) -> f64) -> Vec<Name> {
        let curve = (1..=50).map(|epoch| EpochMetrics {
            epoch,
            train_loss: Some(1.9 * (-f64::from(epoch) / 15.0).exp()),
            train_accuracy: Some((0.4 + 0.03 * f64::from(epoch)).min(0.97)),
            val_accuracy: Some(course(f64::from(epoch)) + 0.004 * f64::from((epoch * 7) % 5)),
            ..EpochMetrics::default()
        });
        judge(&curve.collect::<Vec<_>>(), &Context::default()).iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn an_accuracy_that_rose_to_a_half_is_no_guess_among_two_classes() {
        let rises = found(|epoch| 0.49 - 0.12 * (-epoch / 6.0).exp());
        assert!(rises.contains(&Name::Overfit) && !rises.contains(&Name::ValidationAtChance), "{rises:?}");
        assert_eq!(found(|_| 0.49), [Name::ValidationAtChance]);
    }
}
