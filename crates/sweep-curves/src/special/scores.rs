//! Scores that are shown as the accuracy: those of a validation set without one, and those of one of several outputs.

use std::borrow::Cow;

use super::{FEW, GUESSED, OF_EITHER, RARE, bare, has, is_better_high, says_all, score};
use crate::gather::{Points, Values, is_of_one_epoch, note};
use crate::names::{self, Choice, Target, meaning, names_part};
use sweep_core::trial::METRICS;

/// If the validation set has no accuracy by a known name, but one of a single class or output, it is that one:
/// `val_caps_acc`, with `caps_acc` for the training set.
pub(super) fn accuracy_of_output(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    // The right answer is among the best five more often than it is the best one.
    let is_other =
        |name: &str| names::words(name).iter().any(|word| matches!(word.as_str(), "5" | "top5" | "acc5" | "10"));
    let is_special = |name: &str| {
        meaning(name).is_none()
            && names::quantity(name) == Some("accuracy")
            && !names::is_ignorable(name)
            && !is_other(name)
            && is_free(name)
    };
    let of_validation = |name: &str| names_part(name).is_some_and(names::is_validation);
    // Results after training, one for each class, are no curve.
    let longest = values.values().map(Vec::len).max().unwrap_or_default();
    let is_series = |points: &Points| points.len() > 1 && (points.len() >= FEW || 2 * points.len() >= longest);
    let special: Vec<&String> =
        values.iter().filter(|(name, points)| is_series(points) && is_special(name)).map(|(name, _)| name).collect();
    // The accuracy of training comes with its loss.
    let losses = values.iter().filter(|(name, _)| matches!(meaning(name), Some((Target::Metric(0), _))));
    let losses = losses.map(|(_, points)| points.len()).max();
    let measured = ["val_loss", "val_accuracy", "train_accuracy"].iter().any(|metric| has(values, metric));
    let is_apart = |name: &str| {
        let points = values[name].len();
        names_part(name).is_none() && !measured && losses.is_some_and(|losses| points >= FEW && RARE * points <= losses)
    };
    let of_outputs: Vec<&String> = special.iter().copied().filter(|name| of_validation(name)).collect();
    let val = match of_outputs[..] {
        [] => match special.iter().copied().find(|name| is_apart(name)) {
            Some(val) => val,
            None => return,
        },
        [val] => val,
        // The loss tells of all outputs, and one of several accuracies does not.
        _ if has(values, "val_loss") => return,
        [first, ..] => of_outputs.iter().find(|name| says_all(name)).copied().unwrap_or(first),
    };
    let train = special.iter().copied().find(|name| *name != val && !of_validation(name) && bare(name) == bare(val));
    let found = [("val_accuracy", Some(val)), ("train_accuracy", train)];
    let found = found.map(|(metric, name)| Some((metric, (*name?).clone())).filter(|_| !has(values, metric)));
    let [Some((_, val)), train] = found else { return };
    show("val", &val, values, notes);
    if let Some((_, name)) = train {
        show("train", &name, values, notes);
    }
}

/// Whether a score stands beside a training loss wherever it stands, and neither names a set: it is of training, too. A mean
/// precision, or a score of a translation, is hardly measured there.
fn is_of_training(name: &str, values: &Values) -> bool {
    let is_loss = |name: &str| matches!(meaning(name), Some((Target::Metric(0), _))) && names_part(name).is_none();
    let alike = |one: &Points, other: &Points| {
        one.len() == other.len() && one.iter().zip(other).all(|((one, _), (other, _))| one == other)
    };
    names_part(name).is_none()
        && score(name).is_some_and(|rank| OF_EITHER.contains(&rank))
        && values.iter().any(|(loss, points)| is_loss(loss) && alike(points, &values[name]))
}

/// Shows a score as the accuracy if validation has nothing else, or if training has nothing else and nothing was validated.
pub(super) fn score_for_accuracy(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    let is_candidate =
        |name: &str, points: &Points| !is_of_one_epoch(points) && is_free(name) && !is_of_training(name, values);
    let found = values.iter().filter(|(name, points)| is_candidate(name, points));
    let found: Vec<_> = found.filter_map(|(name, points)| Some((score(name)?, points.len(), name))).collect();
    // What is printed only where it got better is no curve.
    let most = found.iter().map(|(_, points, _)| *points).max().unwrap_or_default();
    let found = found.into_iter().filter(|(_, points, _)| 2 * points >= most);
    // Of names of sets that are unknown and one that is known, the latter is that of validation.
    let found = found.map(|(rank, _, name)| (names_part(name).is_none(), rank, name.clone())).min();
    // A test after training does not stand for a course over epochs.
    let has_epochs =
        found.as_ref().is_some_and(|(.., name)| values[name].iter().any(|(place, _)| place.epoch.is_some()));
    let is_measured = |metrics: &[usize]| {
        let is_it = |name: &str| matches!(meaning(name), Some((Target::Metric(at), _)) if metrics.contains(&at));
        values.iter().any(|(name, points)| is_it(name) && (!has_epochs || !is_of_one_epoch(points)))
    };
    let (has_validation, has_accuracy) = (is_measured(&[4, 5]), is_measured(&[1]));
    match found.filter(|_| !has_validation) {
        Some((names_none, _, name)) if !has_accuracy || !names_none && has(values, "train_loss") => {
            without_accuracy(&name, values, is_free, notes);
            use_score(values, &name, notes);
        }
        None if METRICS.iter().all(|metric| !has(values, metric)) => {
            let is_score = |name: &&String| is_score_of_training(name) && !is_of_one_epoch(&values[*name]);
            let train = values.keys().filter(|name| is_free(name)).find(is_score).cloned();
            train.into_iter().for_each(|name| show("train", &name, values, notes));
        }
        _ => {}
    }
}

/// Whether a name is that of a score, of the training set.
pub fn is_score_of_training(name: &str) -> bool {
    names_part(name).is_some_and(|part| !names::is_validation(part)) && score(&bare(name).join(" ")).is_some()
}

/// Leaves out the accuracy of training beside a score of validation, which is another quantity.
fn without_accuracy(score: &str, values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    let is_accuracy = |name: &&String| matches!(meaning(name), Some((Target::Metric(1), _))) && is_free(name);
    for name in values.keys().filter(is_accuracy).cloned().collect::<Vec<_>>() {
        note(notes, format!("{name} was left out, because it is of training and another quantity than {score}"));
        values.to_mut().remove(&name);
    }
}

/// Shows a score of the validation set as its accuracy, and that of the same name for the training set.
pub(super) fn use_score(values: &mut Cow<Values>, name: &str, notes: &mut Vec<String>) {
    let of_training = |other: &&String| names_part(other).is_some_and(|part| !names::is_validation(part));
    let train = values.keys().filter(of_training).find(|other| bare(other) == bare(name)).cloned();
    show("val", name, values, notes);
    if let Some(train) = train.filter(|_| !has(values, "train_accuracy")) {
        show("train", &train, values, notes);
    }
}

/// The name of the score that is shown as the accuracy of the validation set. `before` are the values before they were
/// rewritten.
pub fn shown_score(before: &Values, values: &Values, choices: &[Choice]) -> Option<String> {
    let is_moved = |(name, points): &(&String, &Points)| {
        !values.contains_key(*name) && !has(before, "val_accuracy") && values.get("val_accuracy") == Some(points)
    };
    let chosen = choices.iter().find(|choice| choice.target.name() == "val_accuracy").map(|choice| &choice.column);
    let name = chosen.or_else(|| before.iter().find(is_moved).map(|(name, _)| name))?;
    let is_score = score(name).is_some() || is_better_high(name);
    (is_score && names::quantity(name) != Some("accuracy")).then(|| name.clone())
}

fn show(part: &str, name: &str, values: &mut Cow<Values>, notes: &mut Vec<String>) {
    let set = if part == "val" { "validation" } else { "training" };
    let shown = name.trim_end_matches(GUESSED);
    note(notes, format!("{shown} is shown as the accuracy of the {set} set"));
    let points = values.to_mut().remove(name).unwrap_or_default();
    values.to_mut().insert(format!("{part}_accuracy"), points);
}
