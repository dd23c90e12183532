//! The journal's entries.

use serde::{Deserialize, Serialize};

use super::{Import, Round, Stage};
use crate::budget::Purchase;
use crate::group::Group;
use crate::shape::Fact;
use crate::steering::Request;
use crate::trial::{Attempt, EpochMetrics, Others, Outcome, Settings, Stopper, TrialId};
use crate::warning::Warning;

/// Journal format that this version writes and reads. The journal's first line carries it. The format defines how the
/// existing kinds of entry are read. A version that meets an unknown kind of entry reports an error that names the
/// version.
pub const FORMAT: u32 = 1;

/// What an agent says of its machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// All of it, in one line.
    pub about: String,
    /// Architecture and instruction sets, on which the last bits of a trial depend. Empty if an older version did not
    /// write it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub processor: String,
}

/// What happened to the agent of another host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "node_is", rename_all = "snake_case")]
pub enum NodeChange {
    /// It joined.
    Joined {
        /// Names of its slots.
        slots: Vec<String>,
        #[serde(flatten)]
        machine: Machine,
    },
    /// There is no word from it. What runs there goes on until its lease runs out.
    Silent {
        /// What is known about the reason.
        why: String,
    },
    /// It was heard again.
    Back,
    /// Nothing of the sweep runs there any more.
    Left {
        /// The reason.
        why: String,
    },
}

/// One line of the journal. Times are Unix seconds. They are for display and for sums; no decision depends on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Entry {
    /// The first line of the journal.
    Sweep {
        /// Journal format, see [`FORMAT`].
        format: u32,
        /// Version of `sweep` that started the sweep.
        version: String,
        name: String,
        /// When the sweep started, in Unix seconds.
        at: f64,
        /// Absolute path of the folder that relative paths in the sweep file start from.
        base: std::path::PathBuf,
        /// Absolute path of the folder in which programs start. Older versions did not record it: `None` stands for
        /// the `folder` of the sweep file, or else the sweep file's own folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<std::path::PathBuf>,
        /// Text of the sweep file. Older versions did not record it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// Problems found in the images. `None` if the images were not checked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pictures: Option<Vec<Warning>>,
    },
    /// Another sweep file replaced the current one. This entry is synced before the file in the sweep's folder is
    /// replaced.
    Extended {
        /// When the file was replaced, in Unix seconds.
        at: f64,
        /// Version of `sweep` that replaced the file.
        version: String,
        /// Absolute path of the folder that relative paths in the new file start from.
        base: std::path::PathBuf,
        /// Absolute path of the folder in which programs start. Older versions did not record it: `None` stands for
        /// the `folder` of the sweep file, or else the sweep file's own folder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start: Option<std::path::PathBuf>,
        /// Text of the old file.
        before: String,
        /// Text of the new file.
        file: String,
        /// The differences, one per line.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<String>,
        /// Total number of trials by the old and by the new file. `None` if the search has no end.
        #[serde(default)]
        trials: (Option<u64>, Option<u64>),
        /// Parameters of earlier trials that the new file writes differently. A parameter that only the new file varies
        /// is included with the value that it had.
        settings: Vec<(TrialId, Settings)>,
        /// Names of the old and the new metric of a program, if they differ.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<(String, String)>,
        /// The stage that begins with the new file. `None` if the user replaced the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<Stage>,
    },
    /// A controller took over, started by `run` or by `resume`.
    Run {
        /// When the controller took over, in Unix seconds.
        at: f64,
        /// Version of `sweep` that took over.
        version: String,
        /// Host name of the machine.
        host: String,
        /// Process ID of the controller on that machine.
        pid: u32,
        /// Names of the slots that the controller found.
        slots: Vec<String>,
        /// Folder through which trainers connect to the CUDA MPS daemon, if one runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mps: Option<std::path::PathBuf>,
        /// For `tpe` and `bayes`: a trial's parameters do not depend on the results of this many trials just before it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lag: Option<u32>,
        /// Where agents were started, besides this machine: `ssh:gpu1`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        on: Vec<String>,
    },
    /// The agent of another host joined, fell silent, was heard again, or left.
    Node {
        /// When this happened, in Unix seconds.
        at: f64,
        /// Name of the host.
        node: String,
        /// What happened.
        #[serde(flatten)]
        what: NodeChange,
    },
    /// The agent of another host still runs an attempt that a killed controller gave to it.
    Kept {
        /// When the agent said so, in Unix seconds.
        at: f64,
        attempt: Attempt,
    },
    /// A trainer uses a different library than the trainers before it, or it is the sweep's first trainer. Its numbers
    /// may differ in the last bits.
    Backend {
        /// When the trainer reported its library, in Unix seconds.
        at: f64,
        /// Name of the slot.
        slot: String,
        /// Library and its version: `libtorch 2.13.0`.
        backend: String,
    },
    /// An attempt was assigned to a slot. This entry is synced before the trainer receives the attempt.
    Started {
        /// When the attempt was assigned, in Unix seconds.
        at: f64,
        /// The attempt that was assigned.
        attempt: Attempt,
        /// Name of the slot.
        slot: String,
        /// Parameters of the trial. Present only in the entry of its first attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settings: Option<Settings>,
        /// The trial's own seed, in its first attempt's entry. Older versions gave every trial the sweep's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
        /// Number of its parameters in the plan, in the entry of its first attempt, if that is not the trial's number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<u64>,
    },
    /// The user asked for something from another terminal. The entry has what of it is carried out.
    Steered {
        /// When the request was carried out, in Unix seconds.
        at: f64,
        /// Name of the request's file. A request whose name is in the journal is not carried out again.
        id: String,
        /// What is carried out. `None` if nothing of the request can be.
        request: Option<Request>,
        /// The answer to the user, one sentence per line.
        said: Vec<String>,
    },
    /// The race goes on: these configurations are repeated once more. Their trials have the next numbers, in this order.
    Raced {
        /// When that was decided, in Unix seconds.
        at: f64,
        #[serde(flatten)]
        round: Round,
    },
    /// The first trials have shown what an epoch costs, and so what the budget buys.
    Bought {
        /// When that was known, in Unix seconds.
        at: f64,
        #[serde(flatten)]
        purchase: Purchase,
    },
    /// It is the turn of a trial that the user has skipped: it has ended without an attempt.
    Skipped {
        /// When it was its turn, in Unix seconds.
        at: f64,
        trial: TrialId,
        /// Parameters of the trial.
        settings: Settings,
        /// The trial's own seed.
        seed: u64,
        /// Number of its parameters in the plan, if that is not the trial's number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<u64>,
    },
    /// Finished trials of an older study became known. They are no trials of this sweep: they have no number, no epochs,
    /// and no rank.
    Imported {
        /// When they were imported, in Unix seconds.
        at: f64,
        #[serde(flatten)]
        import: Import,
    },
    /// An attempt's program runs.
    Process {
        attempt: Attempt,
        /// Its processes, which a later controller looks for. `None` if they were gone before they could be seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<Group>,
        /// Beginning of the SHA-256 of its script, if it is a file that was found.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        script: Option<String>,
    },
    /// The trainer reached the first epoch of the attempt.
    Began {
        attempt: Attempt,
        /// Epochs restored from a checkpoint. Later epochs are trained again.
        from_epoch: u32,
        /// Number of trainable weights in the network.
        parameters: u64,
        /// Training images per epoch.
        train_examples: u64,
        /// Validation images.
        validation_examples: u64,
        /// Problems found in the network before the first step.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<Warning>,
        /// Whether it is a program that counts its epochs from 0. They are counted from 1 here.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        from_zero: bool,
    },
    /// Something about what an attempt's program does is worth knowing.
    Warned { attempt: Attempt, warning: Warning },
    /// A program reported an epoch under its own number, which may leave a gap, or more of one: what was reported of it
    /// before stays where this says nothing.
    Row {
        attempt: Attempt,
        /// What it showed.
        metrics: EpochMetrics,
        /// And under other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
        /// Bytes of the metrics file up to which it was read, if there is one: another attempt reads on from there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<u64>,
        /// Number of epochs that the program means to train, in the first row that says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        planned: Option<u32>,
        /// Where the metric is read from, in the first row of an attempt that says it: `wandb.log`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// An epoch was reported.
    Epoch {
        /// The attempt that trained the epoch.
        attempt: Attempt,
        metrics: EpochMetrics,
        /// Metrics with other names.
        #[serde(default, skip_serializing_if = "Others::is_empty")]
        others: Others,
    },
    /// `early_terminate` would have ended the trial. The trial continues, to show what ending it would have cost.
    Spared {
        /// When the rule would have ended the trial, in Unix seconds.
        at: f64,
        /// The attempt that continues.
        attempt: Attempt,
        /// The rule that would have ended the trial.
        by: Stopper,
        /// Epochs that the trial had trained by then.
        epoch: u32,
    },
    /// The attempt saved a checkpoint and left its slot. Either the sweep was interrupted, or other trials must first
    /// show whether this one is worth continuing. The trial continues later.
    Paused {
        /// When the attempt paused, in Unix seconds.
        at: f64,
        attempt: Attempt,
        /// Why nothing shows that the attempt saved a checkpoint: `the program was ended by signal 15 (SIGTERM)`. `None`
        /// if it ended by itself after it was asked to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unsaved: Option<String>,
        /// Whether a program asked, by its exit code, to be started again later.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        later: bool,
        /// The signal from elsewhere that a program handled before it ended with exit code 0. `later` is true, then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
    },
    /// The attempt was lost for a reason other than its parameters. Its trial is retried.
    Lost {
        /// When the attempt was lost, in Unix seconds.
        at: f64,
        attempt: Attempt,
        /// What happened: `the trainer was ended by signal 9 (SIGKILL)`.
        fault: String,
        /// Whether the cause was lack of memory. If so, the next attempt has its device to itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        crowded: bool,
    },
    /// Resources used by an attempt that is about to end or to leave its slot.
    Used {
        attempt: Attempt,
        /// The attempt's share of its device's energy, in joules.
        joules: f64,
    },
    /// A measurement of the trials of one shape.
    Learnt {
        /// When it was measured, in Unix seconds.
        at: f64,
        /// Name of the shape.
        shape: String,
        /// The measurement.
        #[serde(flatten)]
        fact: Fact,
    },
    /// The trial is over. This entry is synced. A waiting trial can also be stopped, after its last attempt.
    Ended {
        /// When the trial ended, in Unix seconds.
        at: f64,
        /// The last attempt of the trial.
        attempt: Attempt,
        /// How the trial ended.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// The user asked for a failed or diverged trial to be retried from the start.
    Reopened {
        /// When the trial was reopened, in Unix seconds.
        at: f64,
        trial: TrialId,
        /// Whether its epochs stay: a program goes on from its own checkpoint.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    },
    /// Other processes use a slot's device, the device is broken, or it can be used again.
    Device {
        /// When the device's state changed, in Unix seconds.
        at: f64,
        /// Name of the slot.
        slot: String,
        /// Why no trainer is started on the device. `None` if the device can be used.
        held: Option<String>,
    },
    /// The controller exited in an orderly way.
    Left {
        /// When the controller exited, in Unix seconds.
        at: f64,
        /// Whether the sweep was complete.
        complete: bool,
    },
}

impl Entry {
    /// When it was written, in Unix seconds, if a controller wrote it while it ran. Entries that come often have no time.
    pub(super) fn at_of_run(&self) -> Option<f64> {
        match self {
            Entry::Backend { at, .. }
            | Entry::Started { at, .. }
            | Entry::Steered { at, .. }
            | Entry::Raced { at, .. }
            | Entry::Bought { at, .. }
            | Entry::Skipped { at, .. }
            | Entry::Spared { at, .. }
            | Entry::Paused { at, .. }
            | Entry::Lost { at, .. }
            | Entry::Learnt { at, .. }
            | Entry::Ended { at, .. }
            | Entry::Device { at, .. }
            | Entry::Node { at, .. }
            | Entry::Kept { at, .. }
            | Entry::Left { at, .. } => Some(*at),
            // A run begins with an entry of its own, and what else comes before it is no part of it.
            Entry::Run { .. }
            | Entry::Sweep { .. }
            | Entry::Extended { .. }
            | Entry::Reopened { .. }
            | Entry::Imported { .. } => None,
            Entry::Process { .. }
            | Entry::Began { .. }
            | Entry::Warned { .. }
            | Entry::Row { .. }
            | Entry::Epoch { .. }
            | Entry::Used { .. } => None,
        }
    }
}
