//! Builds one curve from the values of its names.

use std::collections::{BTreeMap, HashSet};

use super::counts::several_values;
use super::sets::{places, same_error, unsplit_accuracy};
use super::{CURVE, Found, Points, Values, listed, note};
use crate::clock::Clock;
use crate::doubts::{Read, Used};
use crate::names::{Choice, Target, is_ignorable, is_validation, meaning, names_part, quantity, words};
use crate::rows::Place;
use crate::{Divergence, ForeignCurve, special};
use sweep_core::trial::{EpochMetrics, METRICS};

/// Errors that are recorded beside a loss, and are no other name for it.
pub(super) const ERRORS: [&str; 6] = ["mae", "mse", "rmse", "mape", "epe", "aepe"];

/// The distance up to which a name says no more than the metric.
const PLAIN: u32 = 10;
/// Number of values below which a name is that of single values beside a course.
const FEWEST: usize = 3;
/// Number of zeros at the end of a loss that had other values from which on its digits are too few.
const ROUNDED: usize = 3;

/// Finds the values that stand for a target.
fn find<'a>(target: Target, values: &'a Values, choices: &[Choice]) -> Found<'a> {
    if let Some(choice) = choices.iter().find(|choice| choice.target == target) {
        return values.get_key_value(&choice.column).map(|(name, points)| (name.as_str(), points));
    }
    let taken = |name: &str| choices.iter().any(|choice| choice.column == name);
    let meant = values.iter().filter(|(name, _)| !taken(name));
    let meant: Vec<_> = meant
        .filter_map(|(name, points)| {
            Some((meaning(name).filter(|(meant, _)| *meant == target)?.1, (name.as_str(), points)))
        })
        .collect();
    // A single value next to a series is a summary (Hugging Face's `train_loss` at the end), or a test after training.
    let longest = values.values().map(Vec::len).max()?.min(meant.iter().map(|(_, (_, points))| points.len()).max()?);
    let is_metric = matches!(target, Target::Metric(_));
    let courses = meant
        .into_iter()
        .filter(|(_, (name, points))| !is_once(points) || longest == 1 && !(is_metric && is_single(name, values)));
    // A few values are no course beside one, and steps are none beside epochs. Of names that are equally near, the one with
    // more epochs.
    let placed = |points: &Points| points.iter().filter(|(place, _)| place.epoch.is_some()).count();
    let is_rare = |points: &Points| points.len() < FEWEST && longest >= CURVE * FEWEST;
    courses
        .min_by_key(|(far, (_, points))| {
            (is_rare(points), placed(points) == 0, *far, std::cmp::Reverse(placed(points)))
        })
        .map(|(_, found)| found)
}

/// Builds one curve, of a text that was printed or of a table. Returns `None` if none of its names is a metric.
pub(super) fn curve(
    name: &str,
    values: &Values,
    choices: &[Choice],
    mut notes: Vec<String>,
    is_printed: bool,
) -> Option<(ForeignCurve, Read)> {
    let mut metrics: [Found; METRICS.len()] = std::array::from_fn(|at| find(Target::Metric(at), values, choices));
    metrics.iter().flatten().next()?;
    if choices.is_empty() {
        same_error(&mut metrics, values, &mut notes);
    }
    unsplit_accuracy(&mut metrics, values, choices, &mut notes);
    unmeasured(&mut metrics, choices, &mut notes);
    singles(values, &metrics, &mut notes);
    guesses(&metrics, choices, &mut notes);
    rounded(&metrics, &mut notes);
    ended_early(&metrics, &mut notes);
    let clock = Clock::new(&metrics, &mut notes);
    let mut epochs: BTreeMap<u32, EpochMetrics> = BTreeMap::new();
    let mut lost: BTreeMap<u32, f64> = BTreeMap::new();
    let mut lost_in_validation: BTreeMap<u32, f64> = BTreeMap::new();
    // Only this metric indicates a divergence. In tables, NaN in other metrics may mean that they were not measured.
    let telling = [0, 2, 4].into_iter().find(|at| metrics[*at].is_some());
    for (at, (name, points)) in metrics.iter().enumerate().filter_map(|(at, found)| Some((at, (*found)?))) {
        let scale = percent(at, name, points, &mut notes);
        let mut means: BTreeMap<u32, (f64, u32)> = BTreeMap::new();
        let mut left: BTreeMap<u32, f64> = BTreeMap::new();
        for (place, value) in points {
            let Some(epoch) = clock.epoch(*place) else { continue };
            if !value.is_finite() {
                if telling == Some(at) {
                    lost.insert(epoch, *value);
                } else if at == 4 {
                    lost_in_validation.insert(epoch, *value);
                }
                left.entry(epoch).or_insert(*value);
                continue;
            }
            let mean = means.entry(epoch).or_default();
            // A training metric is the mean of the values logged in the epoch. A validation metric is the last value.
            *mean = if METRICS[at].starts_with("val") { (*value, mean.1 + 1) } else { (mean.0 + value, mean.1 + 1) };
        }
        several_values(name, &means, METRICS[at].starts_with("val"), &mut notes);
        left.retain(|epoch, _| !means.contains_key(epoch));
        not_finite(name, &left, &mut notes);
        for (epoch, (sum, count)) in means {
            let metrics = epochs.entry(epoch).or_insert(EpochMetrics { epoch, ..EpochMetrics::default() });
            let count = if METRICS[at].starts_with("val") { 1 } else { count };
            *field(metrics, at) = Some(sum / f64::from(count) / scale).filter(|value| value.is_finite());
        }
    }
    set_rates(&mut epochs, values, choices, &clock);
    if epochs.is_empty() {
        epochs = lost.keys().map(|epoch| (*epoch, EpochMetrics { epoch: *epoch, ..EpochMetrics::default() })).collect();
    }
    let epochs: Vec<EpochMetrics> = epochs.into_values().collect();
    let divergence = of_loss(telling, &epochs, &lost).or_else(|| of_validation(&epochs, &lost_in_validation));
    let named_only = of_names(values, &metrics, choices, epochs.len(), is_printed);
    let doubles = doubles(values, &metrics, choices, &mut notes);
    let read = Read {
        name: name.to_owned(),
        epochs: epochs.len(),
        numbers: epochs.iter().map(|epoch| epoch.epoch).chain(lost.into_keys()).collect(),
        names_epochs: matches!(clock, Clock::Epochs { .. }),
        named: named(values),
        used: used(&metrics, &epochs),
        unused: named_only.unused.iter().chain(&named_only.once).chain(&doubles).cloned().collect(),
    };
    let single_batches = metrics[0].or(metrics[1]).is_some_and(|(name, _)| is_of_batch(name));
    let curve = ForeignCurve { name: name.to_owned(), epochs, divergence, single_batches, notes, ..named_only };
    (!curve.epochs.is_empty() || curve.divergence.is_some()).then_some((curve, read))
}

/// The number of epochs that values name.
fn named(values: &Values) -> usize {
    let places = values.values().flatten().filter(|(_, value)| value.is_finite());
    places.filter_map(|(place, _)| Some(place.epoch?.ceil().to_bits())).collect::<HashSet<u64>>().len()
}

fn is_of_batch(name: &str) -> bool {
    words(name).iter().any(|word| word == "batch" || word == "minibatch")
}

/// A curve without epochs that has the names that were used or not, beside this number of epochs.
fn of_names(
    values: &Values,
    metrics: &[Found; METRICS.len()],
    choices: &[Choice],
    epochs: usize,
    is_printed: bool,
) -> ForeignCurve {
    let mut unused = unused(values, metrics, choices);
    unused.sort_by_key(|name| special::importance(name));
    let doubtful: Vec<String> =
        unused.iter().filter(|name| is_doubtful(name, values, metrics, is_printed)).cloned().collect();
    let may_be_validation = special::may_be_validation(&doubtful, metrics[0].is_some());
    // Words of a program or of an environment, with numbers here and there, are left out.
    let is_told = |name: &String| special::is_measure(name) || doubtful.contains(name);
    let is_rare = |name: &String| 3 * values[name].len() < epochs && !is_told(name);
    let counts = |name: &String| words(name).first().is_some_and(|word| word == "epoch");
    // Several values at one place are those of a configuration, or of a table of results.
    let is_of_place = |name: &String| is_once(&values[name]) && (values[name].len() > 1 || !special::is_measured(name));
    // A setting that a tool calls by the name of a score: `min_pos_iou`.
    let used: HashSet<_> = metrics.iter().flatten().flat_map(|(_, points)| places(points)).collect();
    let is_apart = |name: &String| names_part(name).is_none() && places(&values[name]).is_disjoint(&used);
    let is_left = |name: &String| {
        is_rare(name)
            || epochs >= CURVE && is_apart(name) && is_setting(&values[name]) && values[name].len() > 1
            || epochs >= CURVE && is_of_place(name)
            || is_printed && !is_told(name) && !counts(name) && is_setting(&values[name])
    };
    let (once, unused): (Vec<String>, Vec<String>) =
        unused.into_iter().filter(|name| !is_left(name)).partition(|name| epochs >= CURVE && values[name].len() == 1);
    let names = METRICS.iter().zip(metrics).filter_map(|(metric, found)| Some((*metric, (*found)?.0.to_owned())));
    let names = names.filter(|(_, name)| meaning(name).is_none_or(|(_, far)| far > PLAIN)).collect();
    ForeignCurve { unused, once, may_be_validation, names, ..ForeignCurve::default() }
}

/// Whether values are those of a setting or a count: whole numbers, or always the same one.
fn is_setting(points: &Points) -> bool {
    points.iter().all(|(_, value)| value.fract() == 0.0) || points.iter().all(|(_, value)| *value == points[0].1)
}

/// Adds the learning rates, each of which is the last one of its epoch.
fn set_rates(epochs: &mut BTreeMap<u32, EpochMetrics>, values: &Values, choices: &[Choice], clock: &Clock) {
    let rates = find(Target::LearningRate, values, choices).map(|(_, rates)| rates.iter());
    for (place, rate) in rates.into_iter().flatten().filter(|(_, rate)| rate.is_finite()) {
        let Some(epoch) = clock.epoch(*place) else { continue };
        epochs.entry(epoch).and_modify(|metrics| metrics.learning_rate = Some(*rate));
    }
}

/// Where the loss that tells of it stopped being finite for good.
fn of_loss(telling: Option<usize>, epochs: &[EpochMetrics], lost: &BTreeMap<u32, f64>) -> Option<Divergence> {
    let last_finite = epochs.iter().rev().find(|m| telling.is_none_or(|at| m.get(METRICS[at]).is_some()));
    let after = last_finite.map_or(0, |m| m.epoch);
    lost.iter().find(|(epoch, _)| **epoch > after).map(|(epoch, value)| {
        let of = if telling == Some(4) { "validation" } else { "training" };
        Divergence { epoch: *epoch, what: format!("{of} loss is {value}") }
    })
}

/// Says in how many epochs a metric has only values that are not finite.
fn not_finite(name: &str, left: &BTreeMap<u32, f64>, notes: &mut Vec<String>) {
    if let Some((first, value)) = left.first_key_value() {
        let epochs = if left.len() == 1 { "1 epoch".to_owned() } else { format!("{} epochs", left.len()) };
        note(notes, format!("{name} is not finite in {epochs}, the first of which is epoch {first} ({value})"));
    }
}

/// Where the validation loss stopped being finite for good, while training went on. NaN may also mean that it was not
/// measured, unless it was measured in each epoch before, or was infinite.
fn of_validation(epochs: &[EpochMetrics], lost: &BTreeMap<u32, f64>) -> Option<Divergence> {
    let last = epochs.iter().rfind(|epoch| epoch.val_loss.is_some())?.epoch;
    let (at, value) = lost.range(last + 1..).next()?;
    let was_measured = || epochs.iter().filter(|epoch| epoch.epoch <= last).all(|epoch| epoch.val_loss.is_some());
    let is_certain =
        lost.values().any(|value| value.is_infinite()) || lost.range(last + 1..).count() >= FEWEST && was_measured();
    is_certain.then(|| Divergence { epoch: *at, what: format!("validation loss is {value}") })
}

/// Says that validation ended long before training did.
fn ended_early(metrics: &[Found; METRICS.len()], notes: &mut Vec<String>) {
    let at = |place: &Place| place.step.filter(|step| step.fract() == 0.0).or(place.epoch);
    let ends = |metric: usize| -> Option<(f64, f64, usize)> {
        let places: Vec<f64> = metrics[metric]?.1.iter().filter_map(|(place, _)| at(place)).collect();
        Some((places.iter().copied().reduce(f64::min)?, places.iter().copied().reduce(f64::max)?, places.len()))
    };
    let (Some((.., train, _)), Some((first, last, many))) = (ends(0), ends(4).or(ends(5))) else { return };
    let usual = (last - first) / many.saturating_sub(1).max(1) as f64;
    if many > 1 && usual > 0.0 && train > last + 2.0 * usual {
        note(notes, format!("validation was measured up to {last}, but training goes on to {train}"));
    }
}

/// The metrics that a curve was made of.
fn used(metrics: &[Found; METRICS.len()], epochs: &[EpochMetrics]) -> Vec<Used> {
    let found = metrics.iter().enumerate().filter_map(|(at, found)| Some((at, (*found)?)));
    let used = found.map(|(metric, (name, points))| Used {
        name: name.to_owned(),
        metric,
        values: points.iter().map(|(_, value)| *value).collect(),
        shown: epochs.iter().filter_map(|epoch| epoch.get(METRICS[metric])).collect(),
    });
    used.collect()
}

/// Whether a metric has a single value beside a curve, such as that of a test after training.
fn is_single(name: &str, values: &Values) -> bool {
    let is_metric = |name: &str| matches!(meaning(name), Some((Target::Metric(_), _)));
    let is_curve = || values.iter().any(|(name, points)| points.len() >= CURVE && is_metric(name));
    is_metric(name) && values.get(name).is_some_and(is_once) && is_curve()
}

/// Whether all values belong to one place, where they may stand several times.
pub(super) fn is_once(points: &Points) -> bool {
    points.iter().all(|(place, _)| *place == points[0].0)
}

/// Whether all values belong to one place, if those without an epoch do not count beside those that name one.
pub fn is_of_one_epoch(points: &Points) -> bool {
    let mut places = points.iter().map(|(place, _)| *place);
    let first = places.clone().find(|place| place.epoch.is_some()).unwrap_or(points[0].0);
    places.all(|place| place == first || first.epoch.is_some() && place.epoch.is_none())
}

/// Says which metrics have a single value and were left out.
fn singles(values: &Values, metrics: &[Found; METRICS.len()], notes: &mut Vec<String>) {
    let used = |name: &str| metrics.iter().flatten().any(|(used, _)| *used == name);
    // Beside a course that was read for the same, too.
    let is_beside = |name: &str| match meaning(name) {
        Some((Target::Metric(at), _)) => {
            is_of_one_epoch(&values[name]) && metrics[at].is_some_and(|(_, one)| !is_of_one_epoch(one))
        }
        _ => false,
    };
    let single = values.keys().filter(|name| (is_single(name, values) || is_beside(name)) && !used(name));
    let single: Vec<&str> = single.map(String::as_str).collect();
    if !single.is_empty() {
        note(notes, format!("these were left out, because a single value is not a curve: {}", listed(&single)));
    }
}

/// The names that say that a quality was measured several times.
pub(super) fn measures(values: &Values) -> impl Iterator<Item = &str> {
    let measured = values.iter().filter(|(name, points)| points.len() >= CURVE && special::is_measure(name));
    measured.map(|(name, _)| name.as_str()).filter(|name| !is_ignorable(name))
}

/// Says which names were guessed to mean what they are shown as.
fn guesses(metrics: &[Found; METRICS.len()], choices: &[Choice], notes: &mut Vec<String>) {
    let found = metrics.iter().enumerate().filter_map(|(at, found)| Some((at, found.as_ref()?.0)));
    let chosen = |name: &str| choices.iter().any(|choice| choice.column == name);
    for (at, name) in found.filter(|(_, name)| !METRICS.contains(name) && !chosen(name)) {
        let lower = name.to_lowercase();
        if let Some(name) = name.strip_suffix(" accuracy?") {
            note(notes, format!("{name} was read as an accuracy"));
        } else if at >= 4 && names_part(name).is_some_and(|part| part.starts_with("test")) {
            note(notes, format!("{name} was read as validation"));
        } else if at == 0 && names_part(name).is_none() && !lower.contains("loss") {
            note(notes, format!("{name} was read as the training loss"));
        }
    }
}

/// Leaves out a loss of the validation set that is always zero: it was not measured.
fn unmeasured(metrics: &mut [Found; METRICS.len()], choices: &[Choice], notes: &mut Vec<String>) {
    let is_chosen = choices.iter().any(|choice| choice.target == Target::Metric(4));
    if let Some((name, points)) = metrics[4].filter(|(name, points)| !is_chosen && is_zero_loss(name, points)) {
        note(notes, format!("{name} is always 0 ({} values), so it was treated as not measured", points.len()));
        metrics[4] = None;
    }
}

/// Says which losses end at zero: more digits are needed to judge them.
fn rounded(metrics: &[Found; METRICS.len()], notes: &mut Vec<String>) {
    for (name, points) in [0, 2, 4].into_iter().filter_map(|at| metrics[at]) {
        let zeros = points.iter().rev().take_while(|(_, value)| *value == 0.0).count();
        if zeros >= ROUNDED {
            note(
                notes,
                format!("the last {zeros} values of {name} are 0, so it was rounded, and its end cannot be judged"),
            );
        }
    }
}

/// Whether values are those of a loss of the validation set that is always zero.
fn is_zero_loss(name: &str, points: &Points) -> bool {
    matches!(meaning(name), Some((Target::Metric(4), _)))
        && points.len() > 2
        && points.iter().all(|(_, value)| *value == 0.0)
}

/// Whether a name that was not understood may be what the validation set was measured by: it says so, or it was recorded
/// elsewhere than the training loss.
fn is_doubtful(name: &str, values: &Values, metrics: &[Found; METRICS.len()], is_printed: bool) -> bool {
    let points = &values[name];
    // Counts and settings are no metrics.
    if is_setting(points) && (points.len() > 1 || points[0].1.fract() == 0.0) {
        return false;
    }
    let is_short = metrics[0].is_some_and(|(_, losses)| losses.len() < CURVE);
    let is_beside_loss = metrics[0].is_some_and(|(_, losses)| places(points).is_subset(&places(losses)));
    let is_of_epoch = points.iter().any(|(place, _)| place.epoch.is_some());
    // Beside the loss of a step, a score is that of the step's batch.
    let is_of_batch = is_beside_loss && is_printed && !is_of_epoch;
    (points.len() > 1 || is_short)
        && (names_part(name).is_some_and(is_validation)
            || special::is_better_high(name) && !is_of_batch
            || is_of_epoch && quantity(name) == Some("accuracy") && names_part(name).is_none()
            || special::is_measure(name) && !is_beside_loss)
}

/// Says which names mean the same as one that was used, but have other values, and returns them.
fn doubles(
    values: &Values,
    metrics: &[Found; METRICS.len()],
    choices: &[Choice],
    notes: &mut Vec<String>,
) -> Vec<String> {
    let mean = |points: &Points| {
        let finite: Vec<f64> = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
        finite.iter().sum::<f64>() / finite.len() as f64
    };
    let end = |points: &Points| points.iter().filter_map(|(place, _)| place.step.or(place.epoch)).reduce(f64::max);
    let mut longer = Vec::new();
    let mut doubles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, points) in values.iter().filter(|(_, points)| points.len() >= CURVE) {
        let Some((Target::Metric(at), _)) = meaning(name) else { continue };
        let Some((used, known)) = metrics[at] else { continue };
        let (own, other) = (mean(points), mean(known));
        let same_quantity =
            quantity(name) == quantity(used) && !words(name).iter().any(|word| ERRORS.contains(&&**word));
        let is_other = same_quantity && (names_part(name) != names_part(used) || points.len() == known.len());
        let differs = (own - other).abs() > 0.05 * own.abs().max(other.abs());
        if name != used
            && is_other
            && differs
            && !is_part(name, used)
            && !choices.iter().any(|choice| choice.column == *name)
        {
            if end(points) > end(known) {
                let [own, other] = [points, known].map(|points| end(points).unwrap_or_default());
                note(notes, format!("{name} goes on to {own}, but {used} was used and ends at {other}"));
                longer.push(name.clone());
                continue;
            }
            doubles.entry(used).or_default().push(name.as_str());
        }
    }
    for (used, left) in &doubles {
        note(notes, format!("{used} was used, and other names for the same were left out: {}", listed(left)));
    }
    doubles.into_values().flatten().map(str::to_owned).chain(longer).collect()
}

/// Whether a name is that of a part of the loss, or of another one, beside a plain loss that was used: `loss_ce`.
fn is_part(name: &str, used: &str) -> bool {
    quantity(used) == Some("loss") && losses(name) > losses(used)
}

/// The number of words in a name that stand for a loss.
fn losses(name: &str) -> usize {
    words(name).iter().filter(|word| quantity(word) == Some("loss")).count()
}

/// The names that were not used and are neither places nor times.
fn unused(values: &Values, metrics: &[Found; METRICS.len()], choices: &[Choice]) -> Vec<String> {
    let used = |name: &str| metrics.iter().flatten().any(|(used, _)| *used == name);
    // Another name for a metric that was found is no loss: `train_loss_step` beside `train_loss_epoch`. A number, or
    // another set, may make it another curve.
    let numbered = |name: &str| name.ends_with(|letter: char| letter.is_ascii_digit()) && !name.ends_with("@1");
    let same = |one: &str, other: &str| numbered(one) == numbered(other) && names_part(one) == names_part(other);
    // `loss` beside `loss_train` may be of any set.
    let may_be_validation = |used: &str, name: &str| {
        let is_validated = metrics[4].is_some() || metrics[5].is_some();
        !is_validated && names_part(used).is_some() && names_part(name).is_none() && values[name].len() > 1
    };
    let is_double = |name: &str| match meaning(name) {
        Some((Target::Metric(at), _)) => metrics[at].is_some_and(|(used, _)| {
            let is_same = same(used, name) || !numbered(name) && !may_be_validation(used, name);
            is_same && !is_part(name, used)
        }),
        Some(_) => true,
        None => false,
    };
    let is_told = |name: &str| {
        is_double(name) || is_ignorable(name) || is_single(name, values) || is_zero_loss(name, &values[name])
    };
    let left = values.keys().filter(|name| !used(name) && !is_told(name));
    left.filter(|name| !choices.iter().any(|choice| choice.column == **name)).cloned().collect()
}

/// The divisor for a metric's values: 100 for accuracies in percent, otherwise 1.
fn percent(metric: usize, name: &str, points: &Points, notes: &mut Vec<String>) -> f64 {
    let most = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    if !METRICS[metric].ends_with("accuracy") || most <= 1.0 + 1e-6 {
        return 1.0;
    }
    if most > 100.0 + 1e-6 {
        note(notes, format!("{name} is above 100, so it may not be an accuracy"));
        return 1.0;
    }
    note(notes, "accuracies above 1 were read as percentages");
    100.0
}

fn field(metrics: &mut EpochMetrics, at: usize) -> &mut Option<f64> {
    match METRICS[at] {
        "train_loss" => &mut metrics.train_loss,
        "train_accuracy" => &mut metrics.train_accuracy,
        "train_eval_loss" => &mut metrics.train_eval_loss,
        "train_eval_accuracy" => &mut metrics.train_eval_accuracy,
        "val_loss" => &mut metrics.val_loss,
        _ => &mut metrics.val_accuracy,
    }
}
