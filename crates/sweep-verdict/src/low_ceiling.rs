//! Low ceiling: validation stops improving far below what should be possible. Overfitting does not explain it, because
//! training itself is poor at that epoch or other trials reach much more.

use super::finding::{Unit, number, percent};
use super::series::Series;
use super::still_improving;
use super::turn::Turn;
use super::view::{Mode, Poor, View, word};
use super::{Advice, Finding, Name, Severity, underfit};
use sweep_core::measurement::LEARNT;

/// Training skill, from chance (0) to perfect (1), below which the finding is severe.
const SEVERE_SKILL: f64 = 0.4;
/// Accuracy by which other trials must be ahead to show that more is possible.
pub const OTHERS_REACH_MORE: f64 = 0.10;
/// Accuracy by which other trials must be ahead for the finding to be severe.
const SEVERE_BEHIND: f64 = 0.3;
/// If the gap between training and validation is below this, regularization is what holds training back.
const HELD: f64 = 0.05;
/// If the gap at the end is this large, overfitting is the limit, however poor training is.
const FAR_APART: f64 = 0.2;
/// Share of its best level by which validation may end below it and still stalls there.
const STALLS: f64 = 0.03;
/// Number of epochs after the best one during which that best one counts as recent.
const FRESH: u32 = 8;
/// Training accuracy gained in the last third of the epochs, from which on training has not finished,
const RISING: f64 = 0.02;
/// and training loss, as a share of its first value, if no accuracy was measured.
const FALLING: f64 = 0.05;
/// Tolerance in validation accuracy, used where other trials memorize the images. A trial that validates as well as
/// they do trains poorly for a good reason: its regularization works.
const AS_GOOD: f64 = 0.02;

/// Judges by training at the epoch with the best validation, and by other trials.
pub fn find(view: &View) -> Option<Finding> {
    let watched = view.watched()?;
    let peak = view.best_epoch()?;
    // Only a clear improvement rules out a low ceiling, unless training goes on, too. One or two more percentage points would
    // not lift it.
    let improves = still_improving::find(view).or_else(|| still_improving::unfinished(view));
    let improves = improves.map(|finding| finding.severity);
    let rising = rising(view, peak);
    if improves >= Some(Severity::Clear) || improves.is_some() && rising.is_some() {
        return None;
    }
    let ceiling = watched.best_level();
    let others = view.context.others.and_then(|others| others.val_accuracy);
    let behind_by = view.val_accuracy.as_ref().zip(others).map(|(_, others)| others - ceiling);
    let behind = behind_by.filter(|behind| *behind >= OTHERS_REACH_MORE);
    // Training that ends with a poor and flat curve is reported by `underfit`. Training that ends well shows that the
    // network can fit these images, and that it overfits.
    let learns = view.poor_training(view.last).is_none() || view.accuracy_gap().is_some_and(|gap| gap >= FAR_APART);
    let poor = view.poor_training(peak).filter(|_| !learns && underfit::find(view).is_none());
    let ceiling_text = stalls(watched, ceiling);
    let advice = [Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::KnownNetwork];
    let others_learn = view.context.others.and_then(|others| others.train_accuracy).filter(|right| *right >= LEARNT);
    if let (Some(poor), Some(behind), Some(learnt)) = (poor, behind_by, others_learn) {
        return (behind >= AS_GOOD).then(|| kept(view, poor, ceiling, behind, learnt));
    }
    if let (Some(_), Some(rising)) = (&poor, rising) {
        // Where validation gets worse, more epochs are no remedy.
        if Turn::new(view).is_some() {
            return None;
        }
        let headline = format!(
            "Training is not finished: {rising} in the last third of the epochs. {ceiling_text} so far, and training is \
             still poor. Train longer before you look for other causes."
        );
        let longer =
            Advice::MoreEpochs { until: view.last.saturating_add(view.last.div_ceil(2)), longer_schedule: false };
        let finding = Finding::new(Name::LowCeiling, Severity::Mild, headline).evidence(
            format!("best validation {}", word(watched)),
            watched.unit,
            ceiling,
        );
        return Some(finding.advice([longer]));
    }
    match (poor, behind) {
        (Some(poor), behind) => {
            let severity = if view.skill(poor) < SEVERE_SKILL { Severity::Severe } else { Severity::Clear };
            let beside = match others.filter(|_| behind.is_some()) {
                Some(others) => format!(", but another trial reached {}", Unit::Accuracy.text(others)),
                None => String::new(),
            };
            let measured = match view.mode {
                Mode::WhileTraining if poor.is_own && view.context.dropout != Some(0.0) => {
                    " (measured during training, with dropout if the network has any)"
                }
                _ => "",
            };
            let headline = format!(
                "The network does not fit even the training data, so overfitting is not the limit: {}{measured} when \
                 validation was best (epoch {peak}). {ceiling_text}{beside}. Check the data first, unless you already did.",
                poor.was(),
            );
            Some(
                Finding::new(Name::LowCeiling, severity, headline)
                    .evidence(format!("best validation {}", word(watched)), watched.unit, ceiling)
                    .evidence("epoch of the best validation", Unit::Epoch, f64::from(peak))
                    .evidence(format!("{} at that epoch", poor.what()), poor.unit, poor.value)
                    .evidence("validation accuracy of the best other trial", Unit::Accuracy, others)
                    .advice(advice)
                    .advice([Advice::NoMoreDropout]),
            )
        }
        (None, Some(behind)) => Some(behind_others(view, ceiling_text, ceiling, behind)),
        (None, None) => None,
    }
}

/// Says where validation stalls, or how far it came if it got worse again.
fn stalls(watched: &Series, ceiling: f64) -> String {
    let best = watched.unit.text(ceiling);
    match watched.gain(ceiling, watched.end()) > STALLS * ceiling.abs() {
        true => format!("Validation {} was {best} at best", word(watched)),
        false => format!("Validation {} stalls near {best}", word(watched)),
    }
}

/// Says what training gained in the last third of the epochs, if it is much and the best validation is recent.
fn rising(view: &View, peak: u32) -> Option<String> {
    let gained = |series: &Series| series.trend().map(|trend| trend.gain * trend.span);
    let said = match (&view.train_accuracy, &view.train_loss) {
        (Some(accuracy), _) => {
            let gained = gained(accuracy).filter(|gained| *gained >= RISING)?;
            format!("training {} still rose by {} points", word(accuracy), number(gained * 100.0, 0))
        }
        (None, Some(loss)) => {
            let share = gained(loss)? / loss.values[0].abs();
            if share < FALLING {
                return None;
            }
            format!("training loss still fell by {} of its first value", percent(share))
        }
        _ => return None,
    };
    (view.last - peak < FRESH).then_some(said)
}

/// Returns the finding for poor training where another trial shows that the images can be fitted.
fn kept(view: &View, poor: Poor, ceiling: f64, behind: f64, learnt: f64) -> Finding {
    let accuracy = |value| Unit::Accuracy.text(value);
    let headline = format!(
        "The limit is this trial's parameters, not the data: other trials fit this data ({}) and reach {} in \
         validation. In this trial, validation accuracy stalls near {}, and {} at that epoch.",
        accuracy(learnt),
        accuracy(ceiling + behind),
        accuracy(ceiling),
        poor.was(),
    );
    Finding::new(Name::LowCeiling, Severity::scale(behind, [OTHERS_REACH_MORE, SEVERE_BEHIND]), headline)
        .evidence("best validation accuracy", Unit::Accuracy, ceiling)
        .evidence("validation accuracy of the best other trial", Unit::Accuracy, ceiling + behind)
        .evidence(format!("{} at that epoch", poor.what()), poor.unit, poor.value)
        .evidence("training accuracy of the best other trial", Unit::Accuracy, learnt)
        .advice([Advice::DefaultAdam])
        .advice(view.accuracy_gap().is_none_or(|gap| gap < HELD).then_some(Advice::LessRegularization))
}

/// Returns the finding for normal training where other trials reach more. It says whether training or generalization is
/// behind.
fn behind_others(view: &View, ceiling_text: String, ceiling: f64, behind: f64) -> Finding {
    let others = view.context.others.unwrap_or_default();
    let train = view.train_accuracy.as_ref().map(|train| train.end()).zip(others.train_accuracy);
    let train = train.filter(|(own, others)| others - own >= OTHERS_REACH_MORE);
    let too = train.map_or(String::new(), |(own, others)| {
        let (own, others) = (Unit::Accuracy.text(own), Unit::Accuracy.text(others));
        format!(
            " This trial also learns less in training: its training accuracy is {own}, that of another trial {others}."
        )
    });
    let headline = format!("{ceiling_text}, but another trial reached {}.{too}", Unit::Accuracy.text(ceiling + behind));
    let advice: &[Advice] = match train {
        Some(_) => &[Advice::CheckCapacity, Advice::DefaultAdam, Advice::LessRegularization],
        None => &[Advice::KnownNetwork],
    };
    Finding::new(Name::LowCeiling, Severity::scale(behind, [OTHERS_REACH_MORE, SEVERE_BEHIND]), headline)
        .evidence("best validation accuracy", Unit::Accuracy, ceiling)
        .evidence("validation accuracy of the best other trial", Unit::Accuracy, ceiling + behind)
        .evidence("training accuracy at the end", Unit::Accuracy, train.map(|(own, _)| own))
        .evidence("training accuracy of the best other trial", Unit::Accuracy, train.map(|(_, others)| others))
        .advice(advice.iter().copied())
}
