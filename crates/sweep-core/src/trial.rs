//! The words that every part shares: what a trial is, what is measured, how it ends.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// A trial's settings: each varied parameter's name with its value, in the order of the sweep file.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// A setting's value as it is written in a sweep file: `adam`, `{type: sgd, momentum: 0.9}`.
pub fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Object(table) => {
            let members = table.iter().map(|(key, value)| format!("{key}: {}", plain(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Tells settings apart: names count, since a point need not have all of them.
pub fn fingerprint(settings: &Settings) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in settings {
        (name, value).hash(&mut hasher);
    }
    hasher.finish()
}

/// A trial's number in its sweep, counted from 1 in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialId(pub u64);

impl fmt::Display for TrialId {
    /// Four digits at least, as the trial's folder is named: `0001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// One try at a trial. Every message carries it, so that a late word from a dead attempt is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The trial that is tried.
    pub trial: TrialId,
    /// Counted from 1 for each trial.
    pub number: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trial {} (attempt {})", self.trial, self.number)
    }
}

/// What one epoch showed. A metric that was not measured is `None`; none is ever NaN or infinite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: u32,
    /// Of the epoch's last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Mean loss over the epoch's training pictures as seen while training: with dropout, while the weights move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_loss: Option<f64>,
    /// Share of the training pictures judged rightly while training, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Loss in evaluation mode on a fixed part of the training pictures, as large as the validation set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_eval_loss: Option<f64>,
    /// Accuracy in evaluation mode on the same pictures, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_eval_accuracy: Option<f64>,
    /// Loss in evaluation mode on the validation pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Accuracy in evaluation mode on the validation pictures, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// The metric that trials are ranked by, where it has a name of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// Wall time of the epoch: training and evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Training pictures by the seconds spent training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures_per_second: Option<f64>,
}

/// What an epoch showed beside [`EpochMetrics`], by name: of programs, which measure what they like. Finite.
pub type Others = std::collections::BTreeMap<String, f64>;

/// At most so many other metrics are kept.
pub const MOST_OTHERS: usize = 1000;

/// The names under which [`EpochMetrics::get`] finds the six metrics, in the order of the CSV files.
pub const METRICS: [&str; 6] =
    ["train_loss", "train_accuracy", "train_eval_loss", "train_eval_accuracy", "val_loss", "val_accuracy"];

impl EpochMetrics {
    /// The metric of that name, if it was measured: one of [`METRICS`], or else the one that trials are ranked by.
    pub fn get(&self, name: &str) -> Option<f64> {
        match name {
            "train_loss" => self.train_loss,
            "train_accuracy" => self.train_accuracy,
            "train_eval_loss" => self.train_eval_loss,
            "train_eval_accuracy" => self.train_eval_accuracy,
            "val_loss" => self.val_loss,
            "val_accuracy" => self.val_accuracy,
            _ => self.objective,
        }
    }

    /// Takes over what a later row of the same epoch says.
    pub fn update(&mut self, later: &EpochMetrics) {
        let fields = [
            (&mut self.learning_rate, later.learning_rate),
            (&mut self.train_loss, later.train_loss),
            (&mut self.train_accuracy, later.train_accuracy),
            (&mut self.train_eval_loss, later.train_eval_loss),
            (&mut self.train_eval_accuracy, later.train_eval_accuracy),
            (&mut self.val_loss, later.val_loss),
            (&mut self.val_accuracy, later.val_accuracy),
            (&mut self.objective, later.objective),
            (&mut self.seconds, later.seconds),
            (&mut self.pictures_per_second, later.pictures_per_second),
        ];
        for (own, later) in fields {
            *own = later.or(*own);
        }
    }

    /// Validation loss less evaluation-mode training loss: the generalisation gap, positive where the network
    /// does worse on pictures it has not seen.
    pub fn loss_gap(&self) -> Option<f64> {
        Some(self.val_loss? - self.train_eval_loss?)
    }

    /// Evaluation-mode training accuracy less validation accuracy: the same gap in accuracy, positive likewise.
    pub fn accuracy_gap(&self) -> Option<f64> {
        Some(self.train_eval_accuracy? - self.val_accuracy?)
    }
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Goal {
    /// Whether `a` is strictly better than `b`.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Goal::Minimize => a < b,
            Goal::Maximize => a > b,
        }
    }
}

/// The metric by which trials are ranked, at each trial's best epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// One of [`METRICS`]; of a program, any name.
    pub name: String,
    /// Which way it is better.
    pub goal: Goal,
}

impl Metric {
    /// The best epoch of a curve: the first with the best value; `None` where the metric was never measured.
    pub fn best<'a>(&self, curve: &'a [EpochMetrics]) -> Option<&'a EpochMetrics> {
        let mut best: Option<(&EpochMetrics, f64)> = None;
        for epoch in curve {
            if let Some(value) = epoch.get(&self.name)
                && best.is_none_or(|(_, least)| self.goal.better(value, least))
            {
                best = Some((epoch, value));
            }
        }
        best.map(|(epoch, _)| epoch)
    }
}

/// The rules of `early_terminate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopper {
    /// It was among the worse ones at a band.
    Hyperband,
    /// It waited at a rung, and too few worse ones came.
    Asha,
    /// It was worse than the median.
    Median,
    /// It clearly overfitted.
    Overfit,
}

impl fmt::Display for Stopper {
    /// As in the sweep file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stopper::Hyperband => "hyperband",
            Stopper::Asha => "asha",
            Stopper::Median => "median",
            Stopper::Overfit => "overfit",
        })
    }
}

/// How a trial ended for good, in the trainer's words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its last epoch.
    Finished,
    /// Ended by its own `early_stopping`: the metric had not improved for `patience` epochs.
    EarlyStopped,
    /// Ended by the sweep's `early_terminate`; what it reached by then counts.
    Stopped {
        /// The rule.
        by: Stopper,
        /// The epochs that it had trained.
        epoch: u32,
    },
    /// Loss or weights ceased to be finite. A fault of the settings: not tried again.
    Diverged {
        /// The epoch in which it happened, from 1.
        epoch: u32,
        /// The optimizer step of the whole trial by which it was noticed, from 1; 0 where steps are not known.
        step: u64,
        /// What ceased to be finite: `training loss is NaN`.
        what: String,
    },
    /// The device or the machine had no room for it, however often it was tried.
    OutOfMemory {
        /// One line: what was asked for, and what there was.
        error: String,
    },
    /// Could not be trained: an error, or too many crashes.
    Failed {
        /// One line: what went wrong.
        error: String,
    },
}

impl Outcome {
    /// The outcome's name in CSV files and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::EarlyStopped => "early_stopped",
            Outcome::Stopped { .. } => "stopped",
            Outcome::Diverged { .. } => "diverged",
            Outcome::OutOfMemory { .. } => "out_of_memory",
            Outcome::Failed { .. } => "failed",
        }
    }

    /// One line on what went wrong, if anything did.
    pub fn error(&self) -> Option<String> {
        match self {
            Outcome::Finished | Outcome::EarlyStopped | Outcome::Stopped { .. } => None,
            Outcome::Diverged { epoch, step: 0, what } => Some(format!("{what} in epoch {epoch}")),
            Outcome::Diverged { epoch, step, what } => Some(format!("{what} in epoch {epoch}, step {step}")),
            Outcome::OutOfMemory { error } | Outcome::Failed { error } => Some(error.clone()),
        }
    }
}
