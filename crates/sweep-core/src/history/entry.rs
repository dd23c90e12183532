//! The journal's entries.

use serde::{Deserialize, Serialize};

use crate::shape::Fact;
use crate::trial::{Attempt, EpochMetrics, Others, Outcome, Settings, Stopper, TrialId};
use crate::warning::Warning;

/// The format that this version writes and reads; the journal's first line carries it. It says how the entries are to be
/// read that there are; an entry of a kind that a version does not know is an error there, which names the version.
pub const FORMAT: u32 = 1;

/// One line of the journal. Times are Unix seconds, for people and for summing up; no decision hangs on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Entry {
    /// The first line.
    Sweep {
        /// [`FORMAT`].
        format: u32,
        /// The version of `sweep` that began it.
        version: String,
        /// The sweep's name.
        name: String,
        /// When it began.
        at: f64,
        /// The folder that relative paths of the sweep file start from, absolute.
        base: std::path::PathBuf,
        /// What was found wrong with the pictures; `None` where they were not looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pictures: Option<Vec<Warning>>,
    },
    /// Another sweep file took the place of the one so far. Synced before the file in the sweep's folder is replaced.
    Extended {
        /// When.
        at: f64,
        /// The version of `sweep`.
        version: String,
        /// The folder that relative paths of the new file start from, absolute.
        base: std::path::PathBuf,
        /// The text of the file so far.
        before: String,
        /// The text of the new one.
        file: String,
        /// What is different, each in a line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<String>,
        /// Trials in all by the file so far and by the new one; none where the search has no end.
        #[serde(default)]
        trials: (Option<u64>, Option<u64>),
        /// The settings of trials so far that the new file says otherwise: one that it varies and the old one did not
        /// is among them with the value that it had.
        settings: Vec<(TrialId, Settings)>,
    },
    /// A controller took over: by `run` or by `resume`.
    Run {
        /// When.
        at: f64,
        /// The version of `sweep`.
        version: String,
        /// The machine's name.
        host: String,
        /// The controller's process id there.
        pid: u32,
        /// The slots it found, by name.
        slots: Vec<String>,
        /// Where trainers meet the daemon of CUDA MPS, if it runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mps: Option<std::path::PathBuf>,
        /// How many trials just before a trial its settings do not know the results of, by `method: tpe`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lag: Option<u32>,
    },
    /// A trainer calculates with another library than those before it, or is the sweep's first. Its numbers may differ in
    /// their last bits.
    Backend {
        /// When.
        at: f64,
        /// The slot's name.
        slot: String,
        /// The library and its version: `libtorch 2.13.0`.
        backend: String,
    },
    /// An attempt was handed to a slot. Synced before the trainer hears of it.
    Started {
        /// When.
        at: f64,
        /// Which.
        attempt: Attempt,
        /// The slot's name.
        slot: String,
        /// The trial's settings, in its first attempt's entry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Settings>,
        /// The trial's own seed, in its first attempt's entry. Older versions gave every trial the sweep's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
    /// The trainer reached the first epoch.
    Began {
        /// Which.
        attempt: Attempt,
        /// Epochs taken over from a checkpoint; those after it are trained again.
        from_epoch: u32,
        /// Trainable weights of the network.
        parameters: u64,
        /// Pictures an epoch.
        train_examples: u64,
        /// Pictures held out.
        validation_examples: u64,
        /// What was found wrong with its network before the first step.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
        /// Whether it is a program that counts its epochs from 0. They are counted from 1 here.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_zero: bool,
    },
    /// A program reported an epoch under its own number, which may leave a gap, or more of one: what was reported of it
    /// before stays where this says nothing.
    Row {
        /// Which.
        attempt: Attempt,
        /// What it showed.
        metrics: EpochMetrics,
        /// And under other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
        /// Bytes of the metrics file up to which it was read, if there is one: another attempt reads on from there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<u64>,
    },
    /// An epoch was reported.
    Epoch {
        /// Which.
        attempt: Attempt,
        /// What it showed.
        metrics: EpochMetrics,
        /// And under other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
    },
    /// `early_terminate` would have ended the trial, which runs on to show what that would have cost.
    Spared {
        /// When.
        at: f64,
        /// Which.
        attempt: Attempt,
        /// The rule.
        by: Stopper,
        /// The epochs that it had trained.
        epoch: u32,
    },
    /// The attempt saved and left: the sweep was interrupted, or others have to show whether the trial is worth going on
    /// with. It goes on later.
    Paused {
        /// When.
        at: f64,
        /// Which.
        attempt: Attempt,
    },
    /// The attempt was lost to a fault that is not the settings'; its trial is tried again.
    Lost {
        /// When.
        at: f64,
        /// Which.
        attempt: Attempt,
        /// What happened: `the trainer was ended by signal 9 (SIGKILL)`.
        fault: String,
        /// Whether it was lack of memory: the trial has its device for itself the next time.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        crowded: bool,
    },
    /// What an attempt that is about to end or leave has used.
    Used {
        /// Which.
        attempt: Attempt,
        /// Its share of its device's energy.
        joules: f64,
    },
    /// Something was learnt of the trials of a shape.
    Learnt {
        /// When.
        at: f64,
        /// Its name.
        shape: String,
        /// What.
        #[serde(flatten)]
        fact: Fact,
    },
    /// The trial is over. Synced. One that waits can be stopped, too, after its last attempt.
    Ended {
        /// When.
        at: f64,
        /// The attempt that ended it.
        attempt: Attempt,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The user asked for a failed or diverged trial to be tried once more: from its start, or from where its program was.
    Reopened {
        /// When.
        at: f64,
        /// Which.
        trial: TrialId,
        /// Whether its epochs stay: a program goes on from its own checkpoint.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    },
    /// Others use a slot's device, it has broken, or it may be used again.
    Device {
        /// When.
        at: f64,
        /// The slot's name.
        slot: String,
        /// Why no trainer is started on it; `None`: it may be used.
        held: Option<String>,
    },
    /// The controller left in an orderly way.
    Left {
        /// When.
        at: f64,
        /// Whether nothing was left to do.
        complete: bool,
    },
}
