//! The types that every part shares: what a trial is, what is measured, and how a trial ends.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

/// Parameters of a trial: the name and value of each varied parameter, in the order of the sweep file.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// Formats a parameter value as it is written in a sweep file: `adam`, `{type: sgd, momentum: 0.9}`.
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

/// Returns a fingerprint of the parameters. It includes the names, because a configuration need not have all of them.
pub fn fingerprint(settings: &Settings) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, value) in settings {
        (name, value).hash(&mut hasher);
    }
    hasher.finish()
}

/// Number of a trial in its sweep, counted from 1 in the order of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialId(pub u64);

impl fmt::Display for TrialId {
    /// Writes at least four digits, as in the name of the trial's folder: `0001`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

/// One start of a trial. Every message names its attempt, so a late message from an attempt that has ended is
/// recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    pub trial: TrialId,
    /// Number of the attempt, counted from 1 for each trial.
    pub number: u32,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trial {} (attempt {})", self.trial, self.number)
    }
}

/// Metrics of one epoch. A metric that was not measured is `None`. No metric is NaN or infinite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochMetrics {
    /// Number of the epoch, counted from 1.
    pub epoch: u32,
    /// Learning rate of the epoch's last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Mean loss over the epoch's training images, measured during training: with dropout, while the weights change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_loss: Option<f64>,
    /// Share of the training images classified correctly during training, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Loss in evaluation mode on a fixed part of the training images, as large as the validation set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_eval_loss: Option<f64>,
    /// Accuracy in evaluation mode on the same images, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_eval_accuracy: Option<f64>,
    /// Loss in evaluation mode on the validation images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Accuracy in evaluation mode on the validation images, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// Metric that ranks the trials, if it is not one of [`METRICS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<f64>,
    /// Wall time of the epoch in seconds, including evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Training images per second of training time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures_per_second: Option<f64>,
}

/// Metrics of an epoch other than [`EpochMetrics`], by name. Programs can report any metric. All values are finite.
pub type Others = std::collections::BTreeMap<String, f64>;

/// Maximum number of other metrics that are stored.
pub const MOST_OTHERS: usize = 1000;

/// Names under which [`EpochMetrics::get`] finds the six metrics, in the order of the CSV files.
pub const METRICS: [&str; 6] =
    ["train_loss", "train_accuracy", "train_eval_loss", "train_eval_accuracy", "val_loss", "val_accuracy"];

/// Mean of the validation accuracies of the classes, 0 to 1. Measured if it ranks the trials or classes are balanced.
pub const BALANCED_ACCURACY: &str = "val_balanced_accuracy";

/// Prefix of the metric for the accuracy on the validation images of one class. The name of the class follows.
pub const ACCURACY_OF_CLASS: &str = "val_accuracy_";

impl EpochMetrics {
    /// Returns the metric with that name, if it was measured. Any name outside [`METRICS`] means the metric that ranks
    /// the trials.
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

    /// Replaces metrics by those that a later row of the same epoch has.
    pub fn update(&mut self, later: &EpochMetrics) {
        for (own, later) in self.metrics_mut().into_iter().zip(later.metrics()) {
            *own = later.or(*own);
        }
    }

    /// All metrics.
    pub(crate) fn metrics(mut self) -> [Option<f64>; 10] {
        self.metrics_mut().map(|metric| *metric)
    }

    /// All metrics, in the same order.
    pub(crate) fn metrics_mut(&mut self) -> [&mut Option<f64>; 10] {
        [
            &mut self.learning_rate,
            &mut self.train_loss,
            &mut self.train_accuracy,
            &mut self.train_eval_loss,
            &mut self.train_eval_accuracy,
            &mut self.val_loss,
            &mut self.val_accuracy,
            &mut self.objective,
            &mut self.seconds,
            &mut self.pictures_per_second,
        ]
    }

    /// Returns the validation loss minus the training loss in evaluation mode: the generalization gap. It is positive
    /// if the network does worse on images it has not seen.
    pub fn loss_gap(&self) -> Option<f64> {
        Some(self.val_loss? - self.train_eval_loss?)
    }

    /// Returns the training accuracy in evaluation mode minus the validation accuracy. It is positive if the network
    /// does worse on images it has not seen.
    pub fn accuracy_gap(&self) -> Option<f64> {
        Some(self.train_eval_accuracy? - self.val_accuracy?)
    }
}

/// Direction in which a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// Smaller is better.
    Minimize,
    /// Larger is better.
    Maximize,
}

impl Goal {
    /// Returns whether `a` is strictly better than `b`.
    pub fn better(self, a: f64, b: f64) -> bool {
        match self {
            Goal::Minimize => a < b,
            Goal::Maximize => a > b,
        }
    }
}

/// Metric that ranks the trials, taken at each trial's best epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Name of the metric: one of [`METRICS`], or any name for a program.
    pub name: String,
    /// Direction in which the metric is better.
    pub goal: Goal,
}

impl Metric {
    /// Returns the best epoch of a curve: the first with the best value. `None` if the metric was never measured.
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

/// What ends a trial before its last epoch: a rule of `early_terminate`, the user, or a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopper {
    /// The trial was among the worse ones at a band.
    Hyperband,
    /// The trial waited at a rung, and too few worse trials arrived.
    Asha,
    /// The trial was worse than the median.
    Median,
    /// The trial clearly overfitted.
    Overfit,
    /// The user asked for it: `sweep stop`.
    User,
    /// The trial ran for as long as `max_time` allows.
    Time,
    /// The budget of the sweep was used up.
    Budget,
}

impl fmt::Display for Stopper {
    /// Writes the name that the sweep file uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stopper::Hyperband => "hyperband",
            Stopper::Asha => "asha",
            Stopper::Median => "median",
            Stopper::Overfit => "overfit",
            Stopper::User => "the user",
            Stopper::Time => "max_time",
            Stopper::Budget => "the budget",
        })
    }
}

/// How a trial ended for good, as reported by the trainer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The trial trained to its last epoch.
    Finished,
    /// The trial was ended by its own `early_stopping`: the metric had not improved for `patience` epochs.
    EarlyStopped,
    /// The trial was ended by the sweep's `early_terminate`, by the user, or by `max_time`. Its results up to that point count.
    Stopped {
        /// The rule that ended the trial.
        by: Stopper,
        /// Epochs that the trial had trained.
        epoch: u32,
    },
    /// The user asked not to run the trial, or not any further. Its results do not count.
    Skipped,
    /// The loss or the weights became non-finite. The parameters are the cause, so the trial is not retried.
    Diverged {
        /// Epoch in which it happened, from 1.
        epoch: u32,
        /// Optimizer step of the whole trial at which it was detected, from 1. 0 if steps are not known.
        step: u64,
        /// What became non-finite: `training loss is NaN`.
        what: String,
    },
    /// The device or the machine did not have enough memory, in any attempt.
    OutOfMemory {
        /// What was requested and what was available, in one line.
        error: String,
    },
    /// The program said, by its exit code, that this configuration cannot run. It is not retried, and no fault.
    Impossible {
        /// What the program said, in one line.
        error: String,
    },
    /// The trial could not be trained: an error, or too many crashes.
    Failed {
        /// What went wrong, in one line.
        error: String,
    },
}

impl Outcome {
    /// Returns the outcome's name in CSV files and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::EarlyStopped => "early_stopped",
            Outcome::Stopped { .. } => "stopped",
            Outcome::Skipped => "skipped",
            Outcome::Diverged { .. } => "diverged",
            Outcome::OutOfMemory { .. } => "out_of_memory",
            Outcome::Impossible { .. } => "impossible",
            Outcome::Failed { .. } => "failed",
        }
    }

    /// Returns what went wrong in one line, if anything did.
    pub fn error(&self) -> Option<String> {
        match self {
            Outcome::Finished | Outcome::EarlyStopped | Outcome::Stopped { .. } | Outcome::Skipped => None,
            Outcome::Diverged { epoch, step: 0, what } => Some(format!("{what} in epoch {epoch}")),
            Outcome::Diverged { epoch, step, what } => Some(format!("{what} in epoch {epoch}, step {step}")),
            Outcome::OutOfMemory { error } | Outcome::Impossible { error } | Outcome::Failed { error } => {
                Some(error.clone())
            }
        }
    }
}
