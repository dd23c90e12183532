//! Stuck: the network performs at chance level from the first epoch to the last.

use super::finding::Unit;
use super::series::{Series, median, median_error};
use super::view::View;
use super::{Advice, Finding, Name, Severity};
use sweep_core::trial::Goal;

/// Minimum number of epochs. Fewer may be a slow start.
const LEAST_EPOCHS: usize = 3;
/// A loss below this share of the chance level, ln(classes), shows that something was learned.
const LEARNT_LOSS: f64 = 0.97;
/// An accuracy that exceeds the chance level, 1/classes, by this shows that something was learned.
const LEARNT_ACCURACY: f64 = 0.03;
/// Tolerance if the number of classes is unknown. A uniform answer among n classes has the loss ln(n) and the accuracy
/// 1/n, so accuracy times exp(loss) is 1.
const EVEN_ANSWER: f64 = 0.12;
/// The best of a few noisy levels is good by luck, by up to this many standard errors.
const LUCK_SIGMAS: f64 = 3.0;

/// Compares the best of the curve with chance.
pub fn find(view: &View) -> Option<Finding> {
    // Training metrics are used if there are any, because learning shows there first.
    let loss = view.train_loss.as_ref().or(view.val_loss.as_ref());
    let accuracy = view.train_accuracy.as_ref().or(view.val_accuracy.as_ref());
    if loss.or(accuracy)?.len() < LEAST_EPOCHS {
        return None;
    }
    let best_loss = loss.map(|loss| loss.best_level());
    let best_accuracy = accuracy.map(|accuracy| accuracy.best_level());
    let classes = match (view.context.classes.filter(|classes| *classes > 1), best_loss, best_accuracy) {
        (Some(classes), _, _) => f64::from(classes),
        (None, Some(loss), Some(accuracy)) if (accuracy * loss.exp() - 1.0).abs() <= EVEN_ANSWER => loss.exp().round(),
        _ => return None,
    };
    let learnt_loss = |loss: f64| loss < LEARNT_LOSS * classes.ln();
    let learnt_accuracy = |accuracy: f64| accuracy > 1.0 / classes + LEARNT_ACCURACY;
    if classes < 2.0
        || loss.is_some_and(|loss| levels(loss).into_iter().any(learnt_loss))
        || accuracy.is_some_and(|accuracy| levels(accuracy).into_iter().any(learnt_accuracy))
    {
        return None;
    }
    let measured = [
        best_accuracy.map(|accuracy| format!("accuracy {}", Unit::Accuracy.text(accuracy))),
        best_loss.map(|loss| format!("loss {}", Unit::Loss.text(loss))),
    ];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    let headline = format!(
        "The network learns nothing: its best result ({}) is no better than guessing among {classes:.0} classes (accuracy \
         {}, loss {}).",
        measured.join(", "),
        Unit::Accuracy.text(1.0 / classes),
        Unit::Loss.text(classes.ln()),
    );
    Some(
        Finding::new(Name::Stuck, Severity::Severe, headline)
            .evidence("best loss", Unit::Loss, best_loss)
            .evidence("loss of guessing", Unit::Loss, classes.ln())
            .evidence("best accuracy", Unit::Accuracy, best_accuracy)
            .evidence("accuracy of guessing", Unit::Accuracy, 1.0 / classes)
            .advice([Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::LowerLearningRate])
            .advice([Advice::DefaultAdam, Advice::BatchNorm]),
    )
}

/// Returns the level of each third of the curve and at its end, each reduced by what may be luck.
fn levels(series: &Series) -> Vec<f64> {
    let luck = |error: f64| match series.goal {
        Goal::Minimize => LUCK_SIGMAS * error,
        Goal::Maximize => -LUCK_SIGMAS * error,
    };
    let thirds = series.values.chunks(series.len().div_ceil(3));
    let levels = thirds.map(|third| median(&mut third.to_vec()) + luck(median_error(series.noise, third.len())));
    levels.chain([series.end() + luck(series.level_error())]).collect()
}
