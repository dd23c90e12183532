//! Numbers under the name of a set alone, whose quantity the line or the course tells.

use std::borrow::Cow;

use super::has;
use crate::gather::{Points, Values, listed, note};
use crate::names::{self, Target, meaning};
use crate::rows::Place;

/// What the reader of lines adds to the name of a set whose numbers may be accuracies.
pub const GUESSED: &str = " accuracy?";

/// A set beside a loss, `Loss: 0.5, Validation: 0.6`, or in the name of a column, `validation_average`, has the same
/// quantity if its numbers fall like the loss. Two sets in a line have another quantity, the accuracy.
pub(super) fn bare_sets(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    both_sets(values, is_free, notes);
    let as_loss = |name: &str| meaning(&format!("{} loss", set(name)));
    let is_bare = |name: &&String| {
        (name.ends_with(GUESSED) || names::quantity(name).is_none())
            && as_loss(name).is_some_and(|(target, _)| target == Target::Metric(4))
            && is_free(name)
    };
    let guessed: Vec<String> = values.keys().filter(|name| name.ends_with(GUESSED) && is_free(name)).cloned().collect();
    guessed.iter().for_each(|name| above_one(name, &format!("{} loss", set(name)), values, notes));
    let bare: Vec<&String> = values.keys().filter(is_bare).collect();
    let [name] = bare[..] else { return };
    let is_loss = |name: &&String| matches!(meaning(name), Some((Target::Metric(0), _)));
    let Some(loss) = values.keys().find(is_loss).filter(|_| !has(values, "val_loss")) else { return };
    let falls = |points: &Points| rise(&points.iter().map(|(_, value)| *value).collect::<Vec<_>>()) < 0.0;
    if falls(&values[name]) && falls(&values[loss]) && values.keys().filter(|name| name.ends_with(GUESSED)).count() < 2
    {
        note(notes, format!("{} was read as a loss, because its numbers fall like those of {loss}", set(name)));
        let (name, set) = (name.clone(), set(name));
        let points = values.to_mut().remove(&name).unwrap_or_default();
        values.to_mut().insert(format!("{set} loss"), points);
    } else if is_rising_metric(name, &values[name]) && !has(values, "val_accuracy") {
        note(notes, format!("{name} was read as a score, because its numbers are shares and rise"));
        let name = name.clone();
        let points = values.to_mut().remove(&name).unwrap_or_default();
        values.to_mut().insert("val_accuracy".to_owned(), points);
    }
}

/// The name of a set without the mark of a guess.
fn set(name: &str) -> String {
    name.trim_end_matches(GUESSED).to_owned()
}

/// Whether names are those of both sets, and some say nothing else: `train` and `val`.
pub fn are_both_sets<'a>(names: impl Iterator<Item = &'a str> + Clone) -> bool {
    let bare = names.filter(|name| names::is_bare_part(name.trim_end_matches(GUESSED)));
    let has = |validation: bool| {
        bare.clone().any(|name| names::names_part(name).is_some_and(|part| names::is_validation(part) == validation))
    };
    has(true) && has(false)
}

/// The quantity that numbers of a set are whose name has none, and how they tell.
pub fn quantity_of(values: &[f64]) -> (&'static str, &'static str) {
    let most = values.iter().copied().fold(0.0, f64::max);
    // Percentages end above these.
    let is_share = values.iter().all(|value| *value >= 0.0) && (most <= 1.0 || (10.0..=100.0).contains(&most));
    match rise(values) > 0.0 {
        true if is_share => ("accuracy", "rise like those of a score"),
        true => ("loss", "rise and are no shares"),
        false => ("loss", "fall"),
    }
}

/// Both sets without a quantity, `train: 1.9 | val: 2.1`, where nothing else was measured. Training tells the quantity.
fn both_sets(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    let (bare, others): (Vec<String>, Vec<String>) =
        values.keys().cloned().partition(|name| names::is_bare_part(&set(name)) && is_free(name));
    let of_training = |name: &&String| names::names_part(name).is_some_and(|part| !names::is_validation(part));
    let train: Vec<&String> = bare.iter().filter(of_training).collect();
    // Numbers with a percent sign were read as accuracies before.
    let is_open = bare.iter().any(|name| !name.ends_with(GUESSED));
    let is_measured = |name: &String| names::quantity(name).is_some() && values[name].len() > 1;
    if train.is_empty() || train.len() == bare.len() || !is_open || others.iter().any(is_measured) {
        return;
    }
    // Without epochs, a column by a name of its own tells rows apart: `alpha,train,test`.
    let has_epochs = train.iter().flat_map(|name| &values[*name]).all(|(place, _)| place.epoch.is_some());
    let is_axis = |name: &String| meaning(name).is_none() && !names::is_ignorable(name);
    if !has_epochs && others.iter().any(is_axis) {
        return;
    }
    let numbers = train.iter().flat_map(|name| &values[*name]).map(|(_, value)| *value);
    let numbers: Vec<f64> = numbers.filter(|value| value.is_finite()).collect();
    if numbers.len() < 2 || numbers.iter().all(|value| value.fract() == 0.0) {
        return;
    }
    let (quantity, how) = quantity_of(&numbers);
    for name in &bare {
        let points = values.to_mut().remove(name).unwrap_or_default();
        let known = values.to_mut().entry(format!("{} {quantity}", set(name))).or_default();
        known.extend(points);
        by_epoch(known);
    }
    let mut sets: Vec<String> = bare.iter().map(|name| set(name)).collect();
    sets.dedup();
    sets.sort_by_key(|set| names::names_part(set).is_some_and(names::is_validation));
    let sets = listed(&sets.iter().map(String::as_str).collect::<Vec<_>>());
    note(
        notes,
        format!("{sets} name no quantity, and were read as the {quantity}, because the numbers of training {how}"),
    );
}

fn by_epoch(points: &mut Points) {
    points.sort_by(|(one, _), (other, _)| one.epoch.partial_cmp(&other.epoch).unwrap_or(std::cmp::Ordering::Equal));
}

/// Whether a `metric` of a set is a score: its numbers are shares and rise.
fn is_rising_metric(name: &str, points: &Points) -> bool {
    let numbers: Vec<f64> = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
    let is_metric = names::words(name).iter().any(|word| word == "metric" || word == "metrics");
    is_metric && numbers.len() > 2 && numbers.iter().all(|value| (0.0..=1.0).contains(value)) && rise(&numbers) > 0.0
}

/// How far the mean of the last third of values is above that of the first third.
pub fn rise(values: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let third = values.len().div_ceil(3);
    mean(&values[values.len() - third..]) - mean(&values[..third])
}

/// Joins the numbers of a set that were read as accuracies where they are shares, and as losses elsewhere: some are above 1,
/// so all are losses.
fn above_one(guessed: &str, as_loss: &str, values: &mut Cow<Values>, notes: &mut Vec<String>) {
    let Some(loss) = values.keys().find(|name| names::same_name(name, as_loss)).cloned() else { return };
    let shares = &values[guessed];
    let is_apart = |(place, _): &(Place, f64)| shares.iter().all(|(other, _)| other != place);
    if !values[&loss].iter().all(is_apart) {
        return;
    }
    note(notes, format!("{loss} has values above 1, so all numbers of its name were read as a loss"));
    let shares = values.to_mut().remove(guessed).unwrap_or_default();
    let points = values.to_mut().entry(loss).or_default();
    points.extend(shares);
    by_epoch(points);
}
