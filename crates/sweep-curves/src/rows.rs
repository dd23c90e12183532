//! A row: numbers by name, with the place in the training run that they belong to. All readers give rows.

use super::names::{Target, meaning, names_part, same_name};
use super::special::{GUESSED, are_both_sets, is_metric, is_total};

/// The position of a value in its training run, as far as the file records it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Place {
    /// The epoch in the file's own numbering.
    pub epoch: Option<f64>,
    /// The step in the file's own numbering.
    pub step: Option<f64>,
}

/// Numbers that were recorded together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The name of their curve. It is empty if the file does not tell curves apart.
    pub curve: String,
    /// Where in the training run they belong.
    pub place: Place,
    /// The numbers by name, in order.
    pub values: Vec<(String, f64)>,
}

impl Row {
    /// Whether it has any metric, or a loss by a name of its own.
    pub fn has_any(&self) -> bool {
        let may_be_loss =
            |name: &str| name.to_lowercase().contains("loss") || self.place.epoch.is_some() && is_total(name);
        // `Q3_test: 62.5%`.
        let is_guessed = |name: &str| name.ends_with(GUESSED) && names_part(name).is_some();
        let has = |name: &str| is_metric(name) || may_be_loss(name) || is_guessed(name);
        // Whole numbers are the sizes of the sets.
        let measured = self.values.iter().filter(|(_, value)| value.fract() != 0.0).map(|(name, _)| name.as_str());
        let is_placed = self.place.epoch.is_some() || self.place.step.is_some_and(|step| step.fract() == 0.0);
        self.values.iter().any(|(name, _)| has(name)) || is_placed && are_both_sets(measured)
    }

    /// Whether it is what Hugging Face's trainer says at the end, whose `train_loss` is the mean of all steps.
    pub fn is_summary(&self) -> bool {
        self.values.iter().any(|(name, _)| name == "train_runtime")
    }

    /// Whether it has a metric, under this name or another one that means the same.
    pub fn has(&self, metric: &str) -> bool {
        self.values.iter().any(|(name, _)| is_same_metric(name, metric))
    }
}

/// Whether two names mean the same metric.
pub fn is_same_metric(one: &str, other: &str) -> bool {
    match (meaning(one), meaning(other)) {
        (Some((Target::Metric(one), _)), Some((Target::Metric(other), _))) => one == other,
        _ => same_name(one, other),
    }
}
