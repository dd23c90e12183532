//! Builds curves from rows: maps each name to a metric, each value to an epoch, and says what was guessed or left over.

mod curve;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::doubts;
use super::names::{Choice, Target, is_ignorable, is_validation, meaning, names_part};
use super::printed::{self, Records};
use super::rows::{Place, Row};
use super::special;
use super::{ForeignCurve, Problem};
use curve::curve;
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
    /// What the lines of texts say one by one, each with the beginning of its curves' names.
    records: Vec<(String, Records)>,
    /// Whether there were results of several trainings, which are no curve.
    has_results: bool,
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
        let (last, run) = self.courses.entry(course).or_insert((Place::default(), 1));
        let back = |now: Option<f64>, before: Option<f64>| now.zip(before).is_some_and(|(now, before)| now < before);
        let goes_back = match (place.epoch, last.epoch) {
            (Some(_), Some(_)) => back(place.epoch, last.epoch),
            (None, None) => back(place.step, last.step),
            _ => false,
        };
        // Numbers that came before the training, which were only counted, do not tell where it is.
        let is_counted = place.epoch.is_none() && place.step.is_some_and(|step| step.fract() != 0.0);
        if !is_counted || row.has_any() {
            *run += u32::from(goes_back);
            *last = place;
        }
        let curve = match *run {
            1 => Cow::Borrowed(row.curve.as_str()),
            run if row.curve.is_empty() => Cow::Owned(format!("run {run}")),
            run => Cow::Owned(format!("{}, run {run}", row.curve)),
        };
        row.values.iter().try_for_each(|(name, value)| self.value(&curve, place, name, *value))
    }

    /// Adds what a script printed. `cell` tells its trainings from others of the same file.
    pub fn printed(&mut self, text: &str, cell: &str) -> Result<(), Problem> {
        let said = printed::read(text);
        for mut row in said.rows {
            row.curve = match row.curve.as_str() {
                curve if cell.is_empty() => curve.to_owned(),
                "fit 1" => cell.to_owned(),
                curve => format!("{cell}, {curve}"),
            };
            self.row(&row)?;
        }
        said.notes.into_iter().for_each(|said| note(&mut self.notes, said));
        self.has_results |= said.are_results;
        self.records.push((cell.to_owned(), said.records));
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
        let (mut curves, mut unread, mut found_in) = (Vec::new(), Vec::new(), Vec::new());
        let has_runs = self.curves.iter().any(|(name, _)| name.starts_with("run "));
        for (name, values) in &self.curves {
            let name = match name.as_str() {
                _ if alone => "",
                "" if has_runs => "run 1",
                name => name,
            };
            let values = special::rewrite(values, choices, &mut notes);
            let found = curve(name, &values, choices, &mut notes);
            let (found, read) = found.unzip();
            found_in.extend(read);
            if found.is_none() {
                unread.extend(curve::measures(&values).map(|measure| format!("{name}: {measure}")));
            }
            curves.extend(found);
        }
        if !curves.is_empty() && !unread.is_empty() {
            let unread: Vec<&str> = unread.iter().map(String::as_str).collect();
            notes.push(format!("these parts were left out, because they contain no known name: {}", listed(&unread)));
        }
        if has_runs && curves.len() > 1 {
            notes.push("the epoch goes back, so the file has several runs; each is a curve of its own".to_owned());
        }
        if curves.len() > 1 && self.curves.iter().any(|(name, _)| name.contains(", run ")) {
            notes.push("an epoch or step goes back within a part of the file, so the part has several runs".to_owned());
        }
        if curves.is_empty() {
            return Err(if self.has_results { special::results() } else { nothing_known(&names) });
        }
        doubts::check(&found_in, &self.records, &mut notes);
        without_copies(&mut curves, &mut notes);
        // Another cell of a notebook, or the end of a log: a test after training.
        let is_test = |curve: &ForeignCurve| curve.epochs.len() == 1 && curve.divergence.is_none();
        if curves.iter().any(|curve| curve.epochs.len() >= CURVE - 1) && curves.iter().any(is_test) {
            let left: Vec<&str> =
                curves.iter().filter(|curve| is_test(curve)).map(|curve| curve.name.as_str()).collect();
            notes.push(format!("these were left out, because a single value is not a curve: {}", listed(&left)));
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
        note(notes, format!("these were left out, because they repeat another curve: {}", listed(&copies)));
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
    let problem = Problem::new("no loss and no accuracy was found (loss, accuracy, val_loss, val_accuracy)");
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

pub(super) fn note(notes: &mut Vec<String>, text: impl Into<String>) {
    let text = text.into();
    if !notes.contains(&text) {
        notes.push(text);
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
