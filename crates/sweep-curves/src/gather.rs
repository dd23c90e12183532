//! Builds curves from rows: maps each name to a metric, each value to an epoch, and says what was guessed or left over.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::clock::Clock;
use super::names::{Choice, Target, is_ignorable, is_validation, meaning, names_part};
use super::printed::Printed;
use super::rows::{Place, Row};
use super::special;
use super::{Divergence, ForeignCurve, Problem};
use sweep_core::nearest::nearest;
use sweep_core::trial::{EpochMetrics, METRICS};

/// Maximum number of values that are read.
const MOST_VALUES: usize = 5_000_000;
/// Maximum number of names. Names of different curves count separately.
const MOST_NAMES: usize = 100_000;
/// Number of values from which on a metric is a curve, beside which a single value is none.
const CURVE: usize = 4;
/// Maximum number of names that a message lists.
const LISTED: usize = 12;

/// The values of one name, in file order.
pub type Points = Vec<(Place, f64)>;
/// The values of one curve by name.
pub type Values = BTreeMap<String, Points>;

/// A metric of [`METRICS`] as it was found: its name in the file, and its values.
pub type Found<'a> = Option<(&'a str, &'a Points)>;

/// Values by curve and name. Curves are in file order.
#[derive(Debug, Default)]
pub struct Gather {
    /// Prefix for all names, separated by a slash.
    pub prefix: Option<String>,
    curves: Vec<(String, Values)>,
    /// The index of each curve.
    known: HashMap<String, usize>,
    /// The last place of each curve, or of each name where names come one by one, and the number of its run.
    courses: HashMap<String, (Place, u32)>,
    values: usize,
    names: usize,
    rows: usize,
    /// The rows as they are, where no curves are wanted.
    raw: Option<Vec<Row>>,
    /// How something was understood, said by a reader.
    notes: Vec<String>,
}

impl Gather {
    /// A gatherer that keeps rows as they are. Names have the prefix.
    pub fn raw(prefix: Option<String>) -> Gather {
        Gather { prefix, raw: Some(Vec::new()), ..Gather::default() }
    }

    /// The rows that were kept.
    pub fn into_rows(self) -> Vec<Row> {
        self.raw.unwrap_or_default()
    }

    /// Adds a row. Values that are not finite are kept, because they may show a divergence. If the epoch goes back, the
    /// row begins another run.
    pub fn row(&mut self, row: &Row) -> Result<(), Problem> {
        self.rows += 1;
        if let Some(raw) = &mut self.raw {
            self.values += row.values.len();
            if self.values > MOST_VALUES {
                return Err(Problem::new(format!("it has more than {MOST_VALUES} values")));
            }
            let mut row = row.clone();
            if let Some(prefix) = &self.prefix {
                row.values.iter_mut().for_each(|(name, _)| *name = format!("{prefix}/{name}"));
            }
            raw.push(row);
            return Ok(());
        }
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let course = match &row.values[..] {
            [(name, _)] => format!("{prefix}\0{}\0{name}", row.curve),
            _ => format!("{prefix}\0{}", row.curve),
        };
        let fallback = Place { epoch: None, step: Some(self.rows as f64) };
        let place = if row.place == Place::default() { fallback } else { row.place };
        let (last, run) = self.courses.entry(course).or_insert((place, 1));
        let back = |now: Option<f64>, before: Option<f64>| now.zip(before).is_some_and(|(now, before)| now < before);
        let goes_back = match (place.epoch, last.epoch) {
            (Some(_), Some(_)) => back(place.epoch, last.epoch),
            (None, None) => back(place.step, last.step),
            _ => false,
        };
        *run += u32::from(goes_back);
        *last = place;
        let curve = match *run {
            1 => Cow::Borrowed(row.curve.as_str()),
            run if row.curve.is_empty() => Cow::Owned(format!("run {run}")),
            run => Cow::Owned(format!("{}, run {run}", row.curve)),
        };
        row.values.iter().try_for_each(|(name, value)| self.value(&curve, place, name, *value))
    }

    /// Adds what a script printed.
    pub fn printed(&mut self, text: &str) -> Result<(), Problem> {
        let read = |mut printed: Printed| {
            let mut rows: Vec<Row> = text.split('\n').flat_map(|line| printed.line(line)).collect();
            let again = printed.second_thought();
            rows.extend(printed.finish());
            (printed, rows, again)
        };
        let (mut printed, mut rows, again) = read(Printed::default());
        if let Some(again) = again {
            (printed, rows, _) = read(again);
        }
        rows.iter().try_for_each(|row| self.row(row))?;
        printed.notes().into_iter().for_each(|said| note(&mut self.notes, said));
        Ok(())
    }

    /// Adds a sentence on how something was understood.
    pub fn note(&mut self, text: impl Into<String>) {
        note(&mut self.notes, text);
    }

    fn value(&mut self, curve: &str, place: Place, name: &str, value: f64) -> Result<(), Problem> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(
                Problem::new(format!("it has more than {MOST_VALUES} values")).hint("keep fewer epochs or metrics")
            );
        }
        let name = match &self.prefix {
            Some(prefix) => Cow::Owned(format!("{prefix}/{name}")),
            None => Cow::Borrowed(name),
        };
        let at = match self.known.get(curve) {
            Some(at) => *at,
            None => {
                self.known.insert(curve.to_owned(), self.curves.len());
                self.curves.push((curve.to_owned(), Values::new()));
                self.curves.len() - 1
            }
        };
        let known = &mut self.curves[at].1;
        match known.get_mut(name.as_ref()) {
            Some(points) => points.push((place, value)),
            None if self.names == MOST_NAMES => {
                return Err(Problem::new(format!("it has more than {MOST_NAMES} metrics")));
            }
            None => {
                self.names += 1;
                known.insert(name.into_owned(), vec![(place, value)]);
            }
        }
        Ok(())
    }

    /// Returns the curves, and notes on how the numbers were interpreted.
    pub fn finish(self, choices: &[Choice]) -> Result<(Vec<ForeignCurve>, Vec<String>), Problem> {
        let mut names: Vec<&str> = self.curves.iter().flat_map(|(_, names)| names.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        for choice in choices.iter().filter(|choice| matches!(choice.target, Target::Metric(_) | Target::LearningRate))
        {
            if !names.contains(&choice.column.as_str()) {
                return Err(no_column(choice, &names));
            }
        }
        if choices.is_empty()
            && let Some(problem) = special::unjudgeable(&names)
        {
            return Err(problem);
        }
        let mut notes = self.notes.clone();
        let alone = self.curves.len() == 1;
        let mut curves = Vec::new();
        let has_runs = self.curves.iter().any(|(name, _)| name.starts_with("run "));
        for (name, values) in &self.curves {
            let name = match name.as_str() {
                _ if alone => "",
                "" if has_runs => "run 1",
                name => name,
            };
            let values = special::rewrite(values, choices, &mut notes);
            curves.extend(curve(name, &values, choices, &mut notes));
        }
        if has_runs && curves.len() > 1 {
            notes.push("the epoch goes back, so the file has several runs; each is a curve of its own".to_owned());
        }
        if curves.is_empty() {
            return Err(nothing_known(&names));
        }
        without_copies(&mut curves, &mut notes);
        // Another cell of a notebook, or the end of a log: a test after training.
        let is_test = |curve: &ForeignCurve| curve.epochs.len() == 1 && curve.epochs[0].train_loss.is_none();
        if curves.iter().any(|curve| curve.epochs.len() >= CURVE) && curves.iter().any(is_test) {
            let left: Vec<&str> =
                curves.iter().filter(|curve| is_test(curve)).map(|curve| curve.name.as_str()).collect();
            notes.push(format!("a single value is no curve, so these were left out: {}", listed(&left)));
            curves.retain(|curve| !is_test(curve));
            if let [only] = &mut curves[..] {
                only.name.clear();
            }
        }
        Ok((curves, notes))
    }
}

/// Drops curves that only repeat a part of another one: a history that is printed after its training.
fn without_copies(curves: &mut Vec<ForeignCurve>, notes: &mut Vec<String>) {
    let close = |one: f64, other: f64| (one - other).abs() <= 1e-4 + 1e-3 * other.abs();
    let repeats = |one: &EpochMetrics, other: &EpochMetrics| {
        let values = METRICS.iter().filter_map(|name| Some((one.get(name)?, other.get(name))));
        values.into_iter().all(|(one, other)| other.is_some_and(|other| close(one, other)))
    };
    let of_epoch = |curve: &ForeignCurve, epoch: u32| {
        curve.epochs.binary_search_by_key(&epoch, |metrics| metrics.epoch).ok().map(|at| curve.epochs[at])
    };
    let is_copy = |copy: &ForeignCurve, of: &ForeignCurve| {
        copy.epochs.len() > 2
            && copy.epochs.len() <= of.epochs.len()
            && copy.epochs.iter().all(|one| of_epoch(of, one.epoch).is_some_and(|other| repeats(one, &other)))
    };
    let mut copies = Vec::new();
    for at in (1..curves.len()).rev() {
        if curves[..at].iter().any(|of| is_copy(&curves[at], of)) {
            copies.push(curves.remove(at).name);
        }
    }
    if !copies.is_empty() {
        let copies: Vec<&str> = copies.iter().rev().map(String::as_str).collect();
        note(notes, format!("these repeat another curve and were left out: {}", listed(&copies)));
        if let [only] = &mut curves[..] {
            only.name.clear();
        }
    }
}

/// The problem for a column that the user named but that does not exist.
pub fn no_column(choice: &Choice, names: &[&str]) -> Problem {
    let problem = Problem::new(format!("column {} for {} does not exist", choice.column, choice.target.name()));
    match nearest(&choice.column, names.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {}={near}?", choice.target.name())),
        None => problem.hint(format!("the columns are {}", listed(names))),
    }
}

fn nothing_known(names: &[&str]) -> Problem {
    let problem =
        Problem::new("neither a loss nor an accuracy was found; looked for loss, accuracy, val_loss, val_accuracy");
    let names: Vec<&str> =
        names.iter().copied().filter(|name| !is_ignorable(name) && meaning(name).is_none()).collect();
    if names.is_empty() {
        return problem.hint("the file has no named numbers besides epochs, steps, and times");
    }
    let example = special::example(&names);
    problem.hint(format!("the columns are {}; assign them, for example with --columns {example}", listed(&names)))
}

pub(super) fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len() {
        0 => "none".into(),
        many if many > LISTED => format!("{shown} and {} more", many - LISTED),
        _ => shown,
    }
}

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
        .filter(|(_, (name, points))| points.len() > 1 || longest == 1 && !(is_metric && is_single(name, values)));
    // Of names that are equally near, the one with more epochs.
    let placed = |points: &Points| points.iter().filter(|(place, _)| place.epoch.is_some()).count();
    courses.min_by_key(|(far, (_, points))| (*far, std::cmp::Reverse(placed(points)))).map(|(_, found)| found)
}

/// Builds one curve. Returns `None` if none of its names is a metric.
fn curve(name: &str, values: &Values, choices: &[Choice], notes: &mut Vec<String>) -> Option<ForeignCurve> {
    let mut metrics: [Found; METRICS.len()] = std::array::from_fn(|at| find(Target::Metric(at), values, choices));
    metrics.iter().flatten().next()?;
    unsplit_accuracy(&mut metrics, choices, notes);
    singles(values, &metrics, notes);
    for (name, _) in metrics[4..].iter().flatten() {
        if names_part(name).is_some_and(|part| part.starts_with("test")) && !METRICS.contains(name) {
            note(notes, format!("{name} was taken for the validation set"));
        }
    }
    for (name, _) in metrics.iter().flatten().filter(|(name, _)| name.ends_with("accuracy?")) {
        note(notes, format!("{} was taken for an accuracy", name.trim_end_matches(" accuracy?")));
    }
    let clock = Clock::new(&metrics, notes);
    let mut epochs: BTreeMap<u32, EpochMetrics> = BTreeMap::new();
    let mut lost: BTreeMap<u32, f64> = BTreeMap::new();
    // Only this metric indicates a divergence. In tables, NaN in other metrics may mean that they were not measured.
    let telling = [0, 2, 4].into_iter().find(|at| metrics[*at].is_some());
    for (at, (name, points)) in metrics.iter().enumerate().filter_map(|(at, found)| Some((at, (*found)?))) {
        let scale = percent(at, name, points, notes);
        let mut means: BTreeMap<u32, (f64, u32)> = BTreeMap::new();
        for (place, value) in points {
            let Some(epoch) = clock.epoch(*place) else { continue };
            if !value.is_finite() {
                if telling == Some(at) {
                    lost.insert(epoch, *value);
                }
                continue;
            }
            let mean = means.entry(epoch).or_default();
            // A training metric is the mean of the values logged in the epoch. A validation metric is the last value.
            *mean = if METRICS[at].starts_with("val") { (*value, 1) } else { (mean.0 + value, mean.1 + 1) };
        }
        for (epoch, (sum, count)) in means {
            let metrics = epochs.entry(epoch).or_insert(EpochMetrics { epoch, ..EpochMetrics::default() });
            *field(metrics, at) = Some(sum / f64::from(count) / scale).filter(|value| value.is_finite());
        }
    }
    if let Some((_, rates)) = find(Target::LearningRate, values, choices) {
        for (place, rate) in rates.iter().filter(|(_, rate)| rate.is_finite()) {
            let Some(epoch) = clock.epoch(*place) else { continue };
            epochs.entry(epoch).and_modify(|metrics| metrics.learning_rate = Some(*rate));
        }
    }
    let last_finite = epochs.iter().rev().find(|(_, m)| telling.is_none_or(|at| m.get(METRICS[at]).is_some()));
    let after = last_finite.map_or(0, |(epoch, _)| *epoch);
    let divergence = lost.into_iter().find(|(epoch, _)| *epoch > after).map(|(epoch, value)| {
        let of = if telling == Some(4) { "validation" } else { "training" };
        Divergence { epoch, what: format!("{of} loss is {value}") }
    });
    let epochs: Vec<EpochMetrics> = epochs.into_values().collect();
    let unused = unused(values, &metrics, choices);
    (!epochs.is_empty() || divergence.is_some()).then(|| ForeignCurve {
        name: name.to_owned(),
        epochs,
        divergence,
        unused,
    })
}

/// Whether a metric has a single value beside a curve, such as that of a test after training.
fn is_single(name: &str, values: &Values) -> bool {
    let is_metric = |name: &str| matches!(meaning(name), Some((Target::Metric(_), _)));
    let is_curve = || values.iter().any(|(name, points)| points.len() >= CURVE && is_metric(name));
    is_metric(name) && values.get(name).is_some_and(|points| points.len() == 1) && is_curve()
}

/// Says which metrics have a single value and were left out.
fn singles(values: &Values, metrics: &[Found; METRICS.len()], notes: &mut Vec<String>) {
    let used = |name: &str| metrics.iter().flatten().any(|(used, _)| *used == name);
    let single = values.keys().filter(|name| is_single(name, values) && !used(name));
    let single: Vec<&str> = single.map(String::as_str).collect();
    if !single.is_empty() {
        note(notes, format!("a single value is no curve, so these were left out: {}", listed(&single)));
    }
}

/// An accuracy without a set belongs to validation, if the losses name their sets and no accuracy does, or if it was
/// recorded apart from the loss.
fn unsplit_accuracy(metrics: &mut [Found; METRICS.len()], choices: &[Choice], notes: &mut Vec<String>) {
    let chosen = |at: usize| choices.iter().any(|choice| choice.target == Target::Metric(at));
    if let (Some((accuracy, points)), Some((_, losses)), None, None) = (metrics[1], metrics[0], metrics[4], metrics[5])
    {
        let place = |place: &Place| [place.epoch, place.step].map(|at| at.map(f64::to_bits));
        let with_loss: HashSet<_> = losses.iter().map(|(at, _)| place(at)).collect();
        let apart = points.len() < losses.len() && points.iter().all(|(at, _)| !with_loss.contains(&place(at)));
        if apart && names_part(accuracy).is_none() && !chosen(1) {
            metrics[5] = metrics[1].take();
            note(
                notes,
                format!("{accuracy} was taken for the validation set, because it was recorded apart from the loss"),
            );
            return;
        }
    }
    let (Some((accuracy, _)), Some(_), None) = (metrics[1], metrics[4], metrics[5]) else { return };
    let training_is_split = metrics[0].is_none_or(|(name, _)| names_part(name).is_some());
    if training_is_split && names_part(accuracy).is_none() && !chosen(1) && !chosen(5) {
        metrics[5] = metrics[1].take();
        note(notes, format!("{accuracy} was taken for the validation set, because the losses name their sets"));
    }
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
    let is_double = |name: &str| match meaning(name).or_else(|| special::stands_for(name)) {
        Some((Target::Metric(at), _)) => {
            metrics[at].is_some_and(|(used, _)| same(used, name) || !numbered(name) && !may_be_validation(used, name))
        }
        Some(_) => true,
        None => false,
    };
    let is_told = |name: &str| is_double(name) || is_ignorable(name) || is_single(name, values);
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
        note(notes, format!("{name} is above 100, so it may be no accuracy"));
        return 1.0;
    }
    note(notes, "accuracies above 1 were read as percentages");
    100.0
}

pub(super) fn note(notes: &mut Vec<String>, text: impl Into<String>) {
    let text = text.into();
    if !notes.contains(&text) {
        notes.push(text);
    }
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

/// Adds the set of a row to names that have none: `loss` in a row with `mode: val` is `val loss`.
pub fn with_part<'a>(part: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match part.and_then(names_part) {
        Some(part)
            if names_part(name).is_none() && meaning(name).is_some_and(|(of, _)| matches!(of, Target::Metric(_))) =>
        {
            Cow::Owned(format!("{} {name}", if is_validation(part) { part } else { "train" }))
        }
        _ => Cow::Borrowed(name),
    }
}
