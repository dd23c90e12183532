//! Unusable accuracy: it stays constant or near zero while the loss falls so far that it cannot belong to it. Keras
//! computes such an accuracy if a regression is compiled with `metrics=['accuracy']`. Or it is perfect from the first
//! epoch on while the loss falls: too few examples, or a wrong metric.

use super::finding::{Unit, percent};
use super::series::Series;
use super::{Evidence, Finding, Name, Severity};

/// An accuracy that never exceeds this is near zero.
const NEAR_ZERO: f64 = 0.05;
/// Range, after the first epoch, within which an accuracy is constant.
const CONSTANT: f64 = 5e-4;
/// The loss must have fallen by this share of its first value.
const FELL: f64 = 0.2;
/// No cross-entropy of a network that has just been initialized is larger.
const LARGE: f64 = 20.0;
/// Distance from the least accuracy that a cross-entropy allows.
const FAR: f64 = 0.1;
/// Minimum number of values,
const LEAST_VALUES: usize = 3;
/// and of values that are all perfect, with the lowest loss at which that is odd.
const PERFECT: (usize, f64) = (5, 0.2);

/// What contradicts: the accuracy, and how the loss moved.
#[derive(Debug, Clone, Copy)]
pub struct Contradiction {
    /// The highest accuracy.
    accuracy: f64,
    from: f64,
    to: f64,
}

/// Compares an accuracy with the loss on the same examples.
pub fn contradiction(loss: &Series, accuracy: &Series) -> Option<Contradiction> {
    if loss.len() < LEAST_VALUES || accuracy.len() < LEAST_VALUES {
        return None;
    }
    let (from, to) = (loss.values[0], loss.best_level());
    let most = accuracy.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let later = &accuracy.values[1..];
    let range =
        later.iter().copied().fold(f64::NEG_INFINITY, f64::max) - later.iter().copied().fold(f64::INFINITY, f64::min);
    let impossible = is_impossible(to, most);
    let near_zero = most < NEAR_ZERO && (impossible || from > LARGE);
    let constant = range < CONSTANT && impossible;
    let perfect = accuracy.len() >= PERFECT.0 && to >= PERFECT.1 && accuracy.values.iter().all(|value| *value == 1.0);
    (from > to && from - to >= FELL * from.abs() && (near_zero || constant || perfect)).then_some(Contradiction {
        accuracy: most,
        from,
        to,
    })
}

/// Returns whether an accuracy is too low for a cross-entropy. Of the examples, at most loss / ln 2 can have less than half the
/// probability on their class; all others count as correct.
pub fn is_impossible(loss: f64, accuracy: f64) -> bool {
    accuracy + FAR < 1.0 - loss / std::f64::consts::LN_2
}

/// Returns the note that accuracy was not used.
pub fn finding(found: &Contradiction) -> Finding {
    let Contradiction { accuracy, from, to } = *found;
    let (stays, why) = match accuracy {
        1.0 => (
            "is 100% in every epoch".to_owned(),
            "too few examples are evaluated, or it does not measure what the network is trained for",
        ),
        _ => (
            format!("is never above {}", percent(accuracy)),
            "it does not measure what the network is trained for. For a regression, log the mean absolute error instead",
        ),
    };
    let headline = format!(
        "Accuracy was not used: it {stays} while the loss falls from {} to {}, so {why}.",
        Unit::Loss.text(from),
        Unit::Loss.text(to)
    );
    let mut finding = Finding::new(Name::AccuracyUnusable, Severity::Note, headline);
    finding.evidence = vec![Evidence { what: "highest accuracy".into(), value: accuracy, unit: Unit::Accuracy }];
    finding
}
