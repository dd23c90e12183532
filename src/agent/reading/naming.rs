//! The names of a script's numbers, translated to the metric of the sweep file and to the metrics that the report knows.

use std::collections::{BTreeSet, HashMap};

use sweep_core::trial::METRICS;
use sweep_core::warning::Warning;
use sweep_curves::{Target, meaning, names_part, same_name};

use super::Values;

/// Names whose translation is remembered. Further names are not translated.
const MOST_KNOWN: usize = 10_000;

/// What the names that came so far were taken for.
#[derive(Debug)]
pub struct Naming {
    metric: String,
    known: HashMap<String, Option<(usize, u32)>>,
    /// For each of [`METRICS`], the distance of the nearest name so far. A farther one (`test_loss` beside `val_loss`)
    /// no longer counts.
    nearest: [u32; METRICS.len()],
    /// The same for the metric of the sweep file.
    metric_far: u32,
    /// Accuracies that were seen above 1, so they are percentages.
    percent: BTreeSet<String>,
    /// Sentences about what was taken for what, each given once.
    notes: Vec<String>,
    noted: BTreeSet<String>,
    /// That the metric was taken from another set than its name says, until it is told.
    warning: Option<Warning>,
}

impl Naming {
    pub fn new(metric: &str) -> Naming {
        Naming {
            metric: metric.to_owned(),
            known: HashMap::new(),
            nearest: [u32::MAX; METRICS.len()],
            metric_far: u32::MAX,
            percent: BTreeSet::new(),
            notes: Vec::new(),
            noted: BTreeSet::new(),
            warning: None,
        }
    }

    /// That the metric is taken from a name of another set, once.
    pub fn warning(&mut self) -> Option<Warning> {
        self.warning.take()
    }

    /// Sentences about translations, since they were last asked for.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Adds the metric and the metrics that the report knows, where the row has them under other names.
    pub fn translate(&mut self, values: &mut Values) {
        // Hugging Face's last row: `train_loss` is the mean of the whole training.
        if values.contains_key("train_runtime") {
            values.remove("train_loss");
        }
        if !METRICS.contains(&self.metric.as_str()) {
            self.find_metric(values);
        }
        // A name of the report's own is the nearest: a closing `Test loss` is no epoch of `val_loss`.
        for (nearest, name) in self.nearest.iter_mut().zip(METRICS) {
            if values.contains_key(name) {
                *nearest = 0;
            }
        }
        let mut found: [Option<(u32, String, f64)>; METRICS.len()] = Default::default();
        for (name, value) in values.iter().filter(|(name, _)| !METRICS.contains(&name.as_str())) {
            let Some((at, far)) = self.meaning(name) else { continue };
            if found[at].as_ref().is_none_or(|(known, ..)| far < *known) {
                found[at] = Some((far, name.clone(), *value));
            }
        }
        for (at, found) in found.into_iter().enumerate() {
            let Some((far, name, value)) = found else { continue };
            if far > self.nearest[at] || values.contains_key(METRICS[at]) {
                continue;
            }
            self.nearest[at] = far;
            let value = self.share(at, &name, value);
            values.insert(METRICS[at].to_owned(), value);
            if names_part(&name).is_some_and(|part| part.starts_with("test")) {
                self.note(format!("`{name}` was read as {}", METRICS[at]));
            }
            if METRICS[at] == self.metric {
                self.warn_of_other_set(&name);
            }
        }
    }

    /// The metric may be written in another way: `Val Loss`, `val/loss`, `eval_loss` for `val_loss`.
    fn find_metric(&mut self, values: &mut Values) {
        if values.contains_key(&self.metric) {
            self.metric_far = 0;
            return;
        }
        let meant = self.meaning(&self.metric.clone());
        for name in values.keys() {
            self.meaning(name);
        }
        let near = |name: &String| -> Option<u32> {
            if same_name(name, &self.metric) {
                return Some(1);
            }
            let (at, far) = self.known.get(name).copied().flatten()?;
            (meant?.0 == at).then_some(2 + far)
        };
        let found = values.iter().filter_map(|(name, value)| Some((near(name)?, name.clone(), *value)));
        let Some((far, name, value)) = found.min_by(|a, b| a.0.cmp(&b.0)) else { return };
        if far > self.metric_far {
            return;
        }
        self.metric_far = far;
        values.insert(self.metric.clone(), value);
        self.note(format!("{} is `{name}` in what the script reports", self.metric));
        self.warn_of_other_set(&name);
    }

    /// Warns if a name is of another set than the metric: `test_acc` for `val_acc`.
    fn warn_of_other_set(&mut self, name: &str) {
        let (wanted, found) = (set(&self.metric), set(name));
        if wanted == found {
            return;
        }
        let metric = &self.metric;
        let text = format!(
            "the script reports no {metric}; `{name}` is used instead, which is measured on {}. To make that \
            explicit, write `metric: {name}` in the sweep file.",
            found.unwrap_or("an unknown set")
        );
        self.warning = Some(Warning { name: "another_metric".to_owned(), serious: false, text });
    }

    /// Which of [`METRICS`] a name means, and its distance from the plainest name.
    fn meaning(&mut self, name: &str) -> Option<(usize, u32)> {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let found = match meaning(name) {
            Some((Target::Metric(at), far)) => Some((at, far)),
            _ => None,
        };
        if self.known.len() < MOST_KNOWN {
            self.known.insert(name.to_owned(), found);
        }
        found
    }

    /// An accuracy as a share: percentages are recognized by a value above 1.
    fn share(&mut self, at: usize, name: &str, value: f64) -> f64 {
        if !METRICS[at].ends_with("accuracy") {
            return value;
        }
        if value > 1.0 + 1e-6 && value <= 100.0 && self.percent.insert(name.to_owned()) {
            self.note(format!("`{name}` is in percent; {} is the share", METRICS[at]));
        }
        if self.percent.contains(name) { value / 100.0 } else { value }
    }

    fn note(&mut self, note: String) {
        if self.noted.len() < 100 && self.noted.insert(note.clone()) {
            self.notes.push(note);
        }
    }
}

/// The set that a name says.
fn set(name: &str) -> Option<&'static str> {
    match names_part(name)? {
        part if part.starts_with("test") => Some("the test set"),
        part if sweep_curves::is_validation(part) => Some("the validation set"),
        _ => Some("the training set"),
    }
}
