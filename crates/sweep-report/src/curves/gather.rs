//! Builds curves from single values: maps each name to a metric and each value to an epoch.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::columns::{Choice, Target, meaning};
use super::{ForeignCurve, Problem};
use sweep_core::nearest::nearest;
use sweep_core::trial::{EpochMetrics, METRICS};
use sweep_verdict::Divergence;

/// Maximum number of values that are read.
const MOST_VALUES: usize = 5_000_000;
/// Maximum number of names. Names of different curves count separately.
const MOST_NAMES: usize = 100_000;
/// Maximum number of names that a message lists.
const LISTED: usize = 12;

/// The position of a value in its training run, as far as the file records it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Place {
    /// The epoch in the file's own numbering.
    pub epoch: Option<f64>,
    /// The step in the file's own numbering.
    pub step: Option<f64>,
}

/// The values of one curve by name, in file order.
type Values = BTreeMap<String, Vec<(Place, f64)>>;

/// Values by curve and name. Curves are in file order.
#[derive(Debug, Default)]
pub struct Gather {
    /// Prefix for all names, separated by a slash.
    pub prefix: Option<String>,
    curves: Vec<(String, Values)>,
    /// The index of each curve.
    known: HashMap<String, usize>,
    values: usize,
    names: usize,
}

impl Gather {
    /// Adds a value. Values that are not finite are kept, because they may show a divergence.
    pub fn value(&mut self, curve: &str, place: Place, name: &str, value: f64) -> Result<(), Problem> {
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
        let mut notes = Vec::new();
        let alone = self.curves.len() == 1;
        let curves: Vec<ForeignCurve> = (self.curves.iter())
            .filter_map(|(name, values)| curve(if alone { "" } else { name }, values, choices, &mut notes))
            .collect();
        if curves.is_empty() {
            return Err(nothing_known(&names));
        }
        Ok((curves, notes))
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
    let near = ["loss", "accuracy"].iter().find_map(|metric| names.iter().find(|name| name.contains(metric)));
    match (names, near) {
        ([], _) => problem.hint("the file has no named numbers"),
        (_, Some(near)) => {
            problem.hint(format!("the columns are {}; assign them with --columns val_loss={near}", listed(names)))
        }
        _ => problem.hint(format!("the columns are {}; assign them with --columns val_loss=NAME", listed(names))),
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len() {
        0 => "none".into(),
        many if many > LISTED => format!("{shown} and {} more", many - LISTED),
        _ => shown,
    }
}

/// Builds one curve. Returns `None` if none of its names is a metric.
fn curve(name: &str, values: &Values, choices: &[Choice], notes: &mut Vec<String>) -> Option<ForeignCurve> {
    let chosen = |target: Target| -> Option<&Vec<(Place, f64)>> {
        if let Some(choice) = choices.iter().find(|choice| choice.target == target) {
            return values.get(&choice.column);
        }
        let taken = |name: &str| choices.iter().any(|choice| choice.column == name);
        let meant = values.iter().filter(|(name, _)| !taken(name));
        let meant: Vec<_> = meant
            .filter_map(|(name, points)| Some((meaning(name).filter(|(meant, _)| *meant == target)?.1, points)))
            .collect();
        // A single value next to a series is a summary (Hugging Face's `train_loss` at the end).
        let longest = meant.iter().map(|(_, points)| points.len()).max()?;
        let courses = meant.into_iter().filter(|(_, points)| points.len() > 1 || longest == 1);
        courses.min_by_key(|(far, _)| *far).map(|(_, points)| points)
    };
    let metrics: [Option<&Vec<(Place, f64)>>; METRICS.len()] = std::array::from_fn(|at| chosen(Target::Metric(at)));
    metrics.iter().flatten().next()?;
    let clock = Clock::new(&metrics, notes);
    let mut epochs: BTreeMap<u32, EpochMetrics> = BTreeMap::new();
    let mut lost: BTreeMap<u32, f64> = BTreeMap::new();
    // Only this metric indicates a divergence. In tables, NaN in other metrics may mean that they were not measured.
    let telling = [0, 2, 4].into_iter().find(|at| metrics[*at].is_some());
    for (at, points) in metrics.iter().enumerate().filter_map(|(at, points)| Some((at, (*points)?))) {
        let scale = percent(at, points, notes);
        let mut means: BTreeMap<u32, (f64, u32)> = BTreeMap::new();
        for (place, value) in points {
            let epoch = clock.epoch(*place);
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
    if let Some(rates) = chosen(Target::LearningRate) {
        for (place, rate) in rates.iter().filter(|(_, rate)| rate.is_finite()) {
            epochs.entry(clock.epoch(*place)).and_modify(|metrics| metrics.learning_rate = Some(*rate));
        }
    }
    let last_finite = epochs.iter().rev().find(|(_, m)| telling.is_none_or(|at| m.get(METRICS[at]).is_some()));
    let after = last_finite.map_or(0, |(epoch, _)| *epoch);
    let divergence = lost.into_iter().find(|(epoch, _)| *epoch > after).map(|(epoch, value)| {
        let of = if telling == Some(4) { "validation" } else { "training" };
        Divergence { epoch, step: None, what: format!("{of} loss is {value}") }
    });
    let epochs: Vec<EpochMetrics> = epochs.into_values().collect();
    (!epochs.is_empty() || divergence.is_some()).then(|| ForeignCurve { name: name.to_owned(), epochs, divergence })
}

/// The divisor for a metric's values: 100 for accuracies in percent, otherwise 1.
fn percent(metric: usize, points: &[(Place, f64)], notes: &mut Vec<String>) -> f64 {
    let most = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    if !METRICS[metric].ends_with("accuracy") || most <= 1.0 + 1e-6 || most > 100.0 {
        return 1.0;
    }
    note(notes, "accuracies above 1 were read as percentages");
    100.0
}

fn note(notes: &mut Vec<String>, text: &str) {
    if !notes.iter().any(|known| known == text) {
        notes.push(text.to_owned());
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

/// Maps a place in the file to an epoch number.
#[derive(Debug)]
enum Clock {
    /// The file counts epochs. `plus` is 0 if it counts from 1, and 1 if it counts from 0.
    Epochs { plus: f64 },
    /// The file counts steps. An epoch ends where validation was measured.
    Steps { ends: Vec<f64> },
}

impl Clock {
    fn new<'a>(metrics: &[Option<&'a Vec<(Place, f64)>>], notes: &mut Vec<String>) -> Clock {
        // Rows outside any epoch may have NaN for metrics that were not measured.
        let measured = |points: &'a Vec<(Place, f64)>| points.iter().filter(|(_, value)| value.is_finite());
        let places = || metrics.iter().flatten().flat_map(|points| measured(points)).map(|(place, _)| place);
        if places().all(|place| place.epoch.is_some()) {
            let epochs = || places().filter_map(|place| place.epoch);
            let from_zero = epochs().all(|epoch| epoch.fract() == 0.0) && epochs().any(|epoch| epoch == 0.0);
            if from_zero {
                note(notes, "the file counts epochs from 0; here they are counted from 1");
            }
            return Clock::Epochs { plus: if from_zero { 1.0 } else { 0.0 } };
        }
        // Validation is assumed to run once per epoch. Without it, the metric that was logged least often marks the
        // epochs.
        let steps = |points: &'a Vec<(Place, f64)>| -> Vec<f64> {
            let mut steps: Vec<f64> = measured(points).filter_map(|(place, _)| place.step).collect();
            steps.sort_by(f64::total_cmp);
            steps.dedup();
            steps
        };
        let validation = metrics[4..].iter().flatten().map(|points| steps(points)).filter(|steps| !steps.is_empty());
        let all = metrics.iter().flatten().map(|points| steps(points)).filter(|steps| !steps.is_empty());
        let ends = validation.min_by_key(Vec::len).or(all.min_by_key(Vec::len)).unwrap_or_default();
        if ends.windows(2).any(|pair| pair[1] - pair[0] != 1.0) {
            note(notes, "the file counts steps; each validation was read as the end of an epoch");
        }
        Clock::Steps { ends }
    }

    fn epoch(&self, place: Place) -> u32 {
        match self {
            // Hugging Face's trainer counts in fractions: 0.5 is in the first epoch.
            Clock::Epochs { plus } => (place.epoch.unwrap_or(0.0).ceil() + plus).max(1.0) as u32,
            Clock::Steps { ends } => {
                let step = place.step.unwrap_or(0.0);
                // Values after the last end belong to an unfinished epoch.
                ends.partition_point(|end| *end < step) as u32 + 1
            }
        }
    }
}
