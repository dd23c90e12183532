//! Builds curves from rows: maps each name to a metric, each value to an epoch, and says what was guessed or left over.

mod counts;
mod curve;
mod fits;
mod left_out;
mod sets;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use super::doubts;
use super::names::{Choice, Target, is_validation, names_part};
use super::printed::{self, Records};
use super::rows::{Place, Row};
use super::special;
use super::{ForeignCurve, Problem};
use curve::curve;
pub use curve::is_of_one_epoch;
use left_out::{without_copies, without_lone_numbers, without_tests};
use sweep_core::nearest::nearest;

/// Maximum number of values that are read.
const MOST_VALUES: usize = 5_000_000;
/// Maximum number of names. Names of different curves count separately.
const MOST_NAMES: usize = 100_000;
/// Number of values from which on a metric is a curve, beside which a single value is none.
const CURVE: usize = 4;
/// Number of values from which on a name that is not known may be that of a metric, and no setting.
const RECURS: usize = 3;
/// Maximum number of names that a message lists.
const LISTED: usize = 12;

/// The values of one name, in file order.
pub type Points = Vec<(Place, f64)>;
/// The values of one curve by name.
pub type Values = BTreeMap<String, Points>;

/// A metric of [`METRICS`] as it was found: its name in the file, and its values.
pub type Found<'a> = Option<(&'a str, &'a Points)>;

/// A text that a script printed: a log, or a cell of a notebook.
#[derive(Debug)]
pub struct Part {
    /// The beginning of the names of its curves. It is empty if there is one text.
    pub name: String,
    /// How it was understood.
    notes: Vec<String>,
    /// What its lines say one by one.
    pub records: Records,
}

impl Part {
    /// The beginning of a line that comes several times and may have a metric: the first of the most frequent ones.
    fn recurs(&self) -> Option<&str> {
        let forms = self.records.forms.iter().map(|form| (form.lines, form.example.as_str()));
        let unread = self.records.unread.values().map(|(line, count)| (*count, line.as_str()));
        let (lines, line) = forms.chain(unread).max_by_key(|(lines, line)| (*lines, std::cmp::Reverse(*line)))?;
        (lines >= RECURS).then_some(line)
    }

    /// Whether a curve of this name is one of its curves.
    pub fn has(&self, curve: &str) -> bool {
        let name = &self.name;
        name.is_empty() || curve == name || curve.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(','))
    }
}

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
    /// The texts that were read.
    parts: Vec<Part>,
    /// Why a text is no curve, if it has results of several trainings.
    problem: Option<Problem>,
    /// Whether the rows are those of a text, whose steps may begin again in each epoch.
    is_printed: bool,
}

impl Gather {
    /// A gatherer that keeps rows as they are. Names have the prefix.
    pub fn raw(prefix: Option<String>) -> Gather {
        Gather { prefix, raw: Some(Vec::new()), ..Gather::default() }
    }

    /// Whether rows are kept as they are.
    pub fn is_raw(&self) -> bool {
        self.raw.is_some()
    }

    /// The rows that were kept.
    pub fn into_rows(self) -> Vec<Row> {
        self.raw.unwrap_or_default()
    }

    /// Adds a row. Values that are not finite are kept, because they may show a divergence. If the epoch goes back, the
    /// row begins another run.
    pub fn row(&mut self, row: &Row) -> Result<(), Problem> {
        self.rows += 1;
        if row.is_summary() {
            self.note("the summary that Hugging Face prints after training was left out");
            return Ok(());
        }
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
        // The steps of a training that was resumed go on.
        let is_step = |step: Option<f64>| step.is_some_and(|step| step.fract() == 0.0);
        let resumes = !self.is_printed && is_step(place.step) && back(last.step, place.step);
        let goes_back = match (place.epoch, last.epoch) {
            (Some(_), Some(_)) => back(place.epoch, last.epoch) && !resumes,
            (None, None) => back(place.step, last.step),
            _ => false,
        };
        // Numbers that came before the training, which were only counted, do not tell where it is.
        let is_counted = place.epoch.is_none() && place.step.is_some_and(|step| step.fract() != 0.0);
        if !is_counted || row.has_any() {
            *run += u32::from(goes_back);
            *last = Place { epoch: place.epoch.or(last.epoch), step: place.step };
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
        self.is_printed = true;
        for mut row in said.rows {
            row.curve = match row.curve.as_str() {
                curve if cell.is_empty() => curve.to_owned(),
                "fit 1" => cell.to_owned(),
                curve => format!("{cell}, {curve}"),
            };
            self.row(&row)?;
        }
        self.is_printed = false;
        if said.problem.is_some() {
            said.notes.iter().for_each(|said| self.note(said));
            self.problem = self.problem.take().or(said.problem);
        }
        self.parts.push(Part { name: cell.to_owned(), notes: said.notes, records: said.records });
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

    /// Takes apart curves of several models or trainings.
    fn divide(&mut self, notes: &mut Vec<String>) {
        let is_printed = !self.parts.is_empty();
        let begun = std::mem::take(&mut self.curves).into_iter().flat_map(|one| by_first_epoch(one, notes));
        let begun: Vec<_> = begun.collect();
        let of_models = begun.into_iter().flat_map(|one| by_model(one, notes));
        let of_models: Vec<(String, Values)> = of_models.collect();
        self.curves = match is_printed {
            true => fits::measured(of_models.into_iter().flat_map(|one| by_range(one, notes)).collect()),
            false => of_models,
        };
    }

    /// Says that the file, or a part of it, has several runs.
    fn say_runs(&self, curves: &[ForeignCurve], notes: &mut Vec<String>) {
        let is_any =
            |of_run: &dyn Fn(&str) -> bool| curves.len() > 1 && self.curves.iter().any(|(name, _)| of_run(name));
        if is_any(&|name| name.starts_with("run ")) {
            notes.push("the epoch goes back, so the file has several runs; each is a curve of its own".to_owned());
        }
        if is_any(&|name| name.contains(", run ")) {
            notes.push("an epoch or step goes back within a part of the file, so the part has several runs".to_owned());
        }
    }

    /// Returns the curves, and notes on how the file was read.
    pub fn finish(mut self, choices: &[Choice]) -> Result<(Vec<ForeignCurve>, Vec<String>), Problem> {
        let mut notes = self.notes.clone();
        merge_writers(&mut self.curves, &mut notes);
        let is_only = self.curves.len() == 1;
        if choices.is_empty() {
            self.divide(&mut notes);
        }
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
        let alone = self.curves.len() == 1 && (is_only || self.curves[0].0.starts_with("fit "));
        let (mut curves, mut unread, mut found_in) = (Vec::new(), Vec::new(), Vec::new());
        let has_runs = self.curves.iter().any(|(name, _)| name.starts_with("run "));
        for (name, values) in &self.curves {
            let shown = if alone { "" } else { shown(name, has_runs) };
            let mut own: Vec<String> = Vec::new();
            self.parts.iter().filter(|part| part.has(name)).for_each(|part| own.extend(part.notes.iter().cloned()));
            let rewritten = special::rewrite(values, choices, &mut own);
            match curve(shown, &rewritten, choices, own, !self.parts.is_empty()) {
                Some((curve, mut read)) => {
                    read.unused.extend(values.keys().filter(|name| !rewritten.contains_key(*name)).cloned());
                    curves.push(ForeignCurve { score: special::shown_score(values, &rewritten, choices), ..curve });
                    found_in.push(read);
                }
                None => unread.extend(curve::measures(&rewritten).map(|measure| format!("{shown}: {measure}"))),
            }
        }
        if !curves.is_empty() && !unread.is_empty() {
            let unread: Vec<&str> = unread.iter().map(String::as_str).collect();
            notes.push(format!("these parts were left out, because they contain no known name: {}", listed(&unread)));
        }
        self.say_runs(&curves, &mut notes);
        if curves.is_empty() {
            // The columns of a table are no settings.
            let least = if self.parts.is_empty() { 1 } else { RECURS };
            let recurs = |name: &&str| {
                self.curves.iter().filter_map(|(_, values)| values.get(*name)).any(|one| one.len() >= least)
            };
            let names: Vec<&str> = names.iter().copied().filter(recurs).collect();
            let line = self.parts.iter().find_map(Part::recurs);
            return Err(self.problem.unwrap_or_else(|| special::nothing_known(&names, line)));
        }
        doubts::check(&found_in, &self.parts, &mut curves, &mut notes);
        without_copies(&mut curves, &mut notes);
        without_tests(&mut curves, &mut notes);
        let named = |curve: &ForeignCurve| found_in.iter().any(|read| read.name == curve.name && read.names_epochs);
        let is_log = !self.parts.is_empty();
        let is_one = |curve: &ForeignCurve| curve.is_single() || is_log && curve.repeats_one();
        let is_single = |curve: &ForeignCurve| curve.is_single_value() || is_one(curve) && !named(curve);
        let are_results = curves.len() > 1 && curves.iter().all(ForeignCurve::is_single);
        match are_results || curves.iter().all(is_single) {
            true => Err(special::single_value(curves.len(), self.parts.iter().find_map(Part::recurs))),
            false => {
                without_lone_numbers(&mut curves);
                Ok((curves, notes))
            }
        }
    }
}

/// The name of one of several curves.
fn shown(name: &str, has_runs: bool) -> &str {
    if name.is_empty() && has_runs { "run 1" } else { name }
}

/// Takes apart the models of a curve, each of which has losses of both sets under a word of its own, `reg_loss` and
/// `reg_val_loss`, in epochs of its own.
fn by_model((name, values): (String, Values), notes: &mut Vec<String>) -> Vec<(String, Values)> {
    let models = values.keys().filter_map(|name| name.strip_suffix("_val_loss"));
    let models: Vec<String> =
        models.filter(|one| values.contains_key(&format!("{one}_loss"))).map(str::to_owned).collect();
    let length = |model: &String| values[&format!("{model}_loss")].len();
    if models.len() < 2 || models.iter().all(|model| length(model) == length(&models[0])) {
        return vec![(name, values)];
    }
    note(notes, format!("{} are models of their own, each a separate curve", models.join(" and ")));
    let of = |model: &String| -> Values {
        let own = |name: &String| name.strip_prefix(model.as_str())?.strip_prefix('_').map(str::to_owned);
        values.iter().filter_map(|(name, points)| Some((own(name)?, points.clone()))).collect()
    };
    models.iter().map(|model| ([name.as_str(), model].join(" ").trim().to_owned(), of(model))).collect()
}

/// Takes apart a first epoch that comes twice, with other values, where later ones come once: a training that was broken
/// off, and another one.
fn by_first_epoch((name, mut values): (String, Values), notes: &mut Vec<String>) -> Vec<(String, Values)> {
    // Steps of the same epoch are told apart by their numbers.
    let epoch = |(place, _): &(Place, f64)| place.epoch.filter(|_| place.step.is_none_or(|step| step.fract() != 0.0));
    let repeats = |points: &Points| match points[..] {
        [first, second, ..] => epoch(&first).is_some() && epoch(&first) == epoch(&second) && first.1 != second.1,
        _ => false,
    };
    let rises =
        |points: &Points| points.len() >= CURVE && points[1..].windows(2).all(|two| epoch(&two[0]) < epoch(&two[1]));
    let has_epochs = |points: &Points| points.iter().any(|(place, _)| place.epoch.is_some());
    let metrics = values.iter().filter(|(name, points)| special::is_metric(name) && has_epochs(points));
    let mut metrics = metrics.map(|(_, points)| points);
    let Some(first) = metrics.clone().find(|points| repeats(points)).and_then(|points| points[0].0.epoch) else {
        return vec![(name, values)];
    };
    if !metrics.all(rises) {
        return vec![(name, values)];
    }
    note(
        notes,
        format!(
            "epoch {first} comes again with other values, so a training was broken off after it and another one began"
        ),
    );
    let own = values.iter_mut().filter(|(_, points)| repeats(points));
    let begun = own.map(|(name, points)| (name.clone(), vec![points.remove(0)])).collect();
    vec![(format!("{name} broken off").trim().to_owned(), begun), (name, values)]
}

/// Takes apart what was printed by two trainings if the metrics of the one end where those of the other begin: parts of
/// logs that were pasted one below another.
fn by_range((name, values): (String, Values), notes: &mut Vec<String>) -> Vec<(String, Values)> {
    let range = |points: &Points| -> Option<(f64, f64)> {
        let epochs: Vec<f64> = points.iter().map(|(place, _)| place.epoch).collect::<Option<_>>()?;
        let most = epochs.iter().copied().reduce(f64::max)?;
        epochs.into_iter().reduce(f64::min).map(|least| (least, most)).filter(|(least, most)| most - least > 1.0)
    };
    let metrics = values.iter().filter(|(name, points)| special::is_metric(name) && points.len() >= CURVE - 1);
    let Some(ranges) = metrics.map(|(_, points)| range(points)).collect::<Option<Vec<_>>>() else {
        return vec![(name, values)];
    };
    let divides = |end: &f64| {
        let (before, after): (Vec<_>, Vec<_>) = ranges.iter().partition(|(_, most)| most <= end);
        !before.is_empty() && !after.is_empty() && after.iter().all(|(least, _)| least >= end)
    };
    let Some(end) = ranges.iter().map(|(_, most)| *most).find(divides) else { return vec![(name, values)] };
    note(
        notes,
        format!(
            "some metrics end at epoch {end}, where others begin, so these are parts of different trainings, and each is a \
             curve of its own"
        ),
    );
    let (first, second): (Values, Values) =
        values.into_iter().partition(|(_, points)| range(points).is_none_or(|(_, most)| most <= end));
    let name_of_second = if name.is_empty() { "part 2".to_owned() } else { format!("{name}, part 2") };
    vec![(name, first), (name_of_second, second)]
}

/// Merges runs that are hardly longer than a row: several processes wrote their rows into the same file, one behind another.
fn merge_writers(curves: &mut Vec<(String, Values)>, notes: &mut Vec<String>) {
    const MANY: usize = 20;
    const SHORT: usize = 3;
    fn part(name: &str) -> &str {
        if name.starts_with("run ") { "" } else { name.split(", run ").next().unwrap_or(name) }
    }
    let mut runs: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (name, values) in curves.iter() {
        let (all, short) = runs.entry(part(name)).or_default();
        *all += 1;
        *short += usize::from(values.values().all(|points| points.len() <= SHORT));
    }
    let mixed = runs.into_iter().filter(|(_, (all, short))| *all > MANY && 10 * short > 8 * all);
    let mixed: Vec<String> = mixed.map(|(name, _)| name.to_owned()).collect();
    for name in mixed {
        let mut merged = Values::new();
        let (own, others): (Vec<_>, Vec<_>) = std::mem::take(curves).into_iter().partition(|one| part(&one.0) == name);
        let count = own.len();
        for (metric, points) in own.into_iter().flat_map(|(_, values)| values) {
            merged.entry(metric).or_default().extend(points);
        }
        let order = |place: &Place| (place.epoch.unwrap_or_default(), place.step.unwrap_or_default());
        merged.values_mut().for_each(|points| {
            points.sort_by(|(one, _), (other, _)| order(one).partial_cmp(&order(other)).unwrap_or(Ordering::Equal))
        });
        *curves = others;
        curves.push((name, merged));
        notes.push(format!(
            "the epoch or step goes back {} times, by few rows, so several processes wrote one training; their rows were \
             sorted",
            count - 1
        ));
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

/// A name of a metric with its set, one of those that [`names_part`] returns.
pub fn of_set(part: &str, name: &str) -> String {
    format!("{} {name}", if is_validation(part) { part } else { "train" })
}

/// Adds the set of a row to names that have none: `loss` in a row with `mode: val` is `val loss`.
pub fn with_part<'a>(part: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match part.and_then(names_part) {
        Some(part) if names_part(name).is_none() && special::is_metric(name) => Cow::Owned(of_set(part, name)),
        _ => Cow::Borrowed(name),
    }
}
