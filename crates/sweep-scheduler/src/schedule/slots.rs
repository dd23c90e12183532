//! The state of each slot.

mod index;

pub(super) use index::Slots;

use std::time::Duration;

use sweep_core::trial::{Attempt, TrialId};

/// A device, or a share of one, and the trainer on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Name for display and for the journal: `cpu:0`, `gpu:1`.
    pub name: String,
    /// Name of the host, or `None` for the controller's own.
    pub node: Option<String>,
    /// What tells the slot from all others of its host, whatever joins or leaves: the UUID of its GPU and its share, or
    /// the number of a CPU slot.
    pub identity: String,
    /// Number of the device. Slots with the same number share a device.
    pub place: usize,
    /// Whether `per_gpu: auto` applies. If so, the slot is used only if the measurements of the trials allow it.
    pub auto: bool,
    /// Device memory available to all trials of the sweep, in bytes. `None` if it is not reported.
    pub room: Option<u64>,
    /// Name of the device as reported by the trainer; empty before the report.
    pub device: String,
    /// What the trainer does. The scheduler changes it only by `Slots::turn`, since it finds slots by it.
    pub state: State,
    /// Why no trainer may be started on the slot, if that is so.
    pub held: Option<String>,
    /// Since when its host is silent, if it is.
    pub absent: Option<Absence>,
    /// Whether it gets no more trials: the user wants its host back, or the host has to leave. Changed only by
    /// `Slots::set_leaving`.
    pub leaving: bool,
    /// The end of its host's job, if it has one.
    pub ends: Option<Ends>,
    /// Whether its attempt was taken over from an earlier controller, which may have recorded what is said again.
    pub taken_over: bool,
    /// Trials lost on the slot since one last ended without an error, each listed once.
    pub lost: Vec<TrialId>,
    /// When the trainer started or last sent a message, since the run began.
    pub heard: Duration,
    /// When the slot's trial was assigned, since the run began.
    pub assigned: Duration,
    /// Consecutive trainers that exited before they were ready.
    pub false_starts: u32,
    /// Measured usage of the trainer.
    pub used: Use,
}

/// The silence of a host.
#[derive(Debug, Clone, PartialEq)]
pub struct Absence {
    /// When its lease has surely run out, since the run began.
    pub until: Duration,
    /// What is known about the reason.
    pub why: String,
}

/// The end of the job that a host belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// When its trials must begin to save, since the run began.
    pub at: Duration,
    /// Time that such a job has for trials from its beginning.
    pub whole: Duration,
    /// Whether that is too soon for a trial.
    pub is_near: bool,
}

/// How a slot's trainer uses its device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Use {
    /// Shape of the trainer's current or last trial. `None` if it has trained nothing.
    pub shape: Option<String>,
    /// GPU memory in bytes, as last measured.
    pub memory: u64,
    /// The part of `memory` that trials of other shapes left behind, in bytes. libtorch keeps memory that it has
    /// allocated.
    pub left: u64,
    /// Whether the trials on the device have been the same since the last epoch.
    pub steady: bool,
    /// When the last epoch was reported, since the run began. `None` before the first epoch of the attempt.
    pub epoch_at: Option<Duration>,
    /// The attempt's share of the energy, in joules.
    pub joules: f64,
}

/// State of a slot.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The slot has no trainer.
    Empty,
    /// The trainer is loading.
    Starting,
    /// The trainer waits for work.
    Ready,
    /// The trainer trains.
    Training {
        /// The running attempt.
        attempt: Attempt,
        /// Progress of the attempt.
        progress: Progress,
    },
    /// The trainer was asked to save and leave.
    Pausing {
        /// The attempt to save.
        attempt: Attempt,
        /// When the trainer is killed if it has not paused, since the run began.
        deadline: Duration,
    },
    /// The trainer was asked to exit and has not exited yet.
    Ending,
    /// The slot will not be used again in this run.
    Out {
        /// Why the slot was given up.
        reason: String,
    },
}

/// Progress of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Current epoch, from 1; 0 before the first.
    pub epoch: u32,
    /// Finished steps of the epoch.
    pub step: u64,
    /// Total steps of the epoch.
    pub steps: u64,
}

impl Slot {
    /// Creates an unused slot.
    pub fn new(name: String, place: usize) -> Slot {
        Slot {
            node: None,
            identity: name.clone(),
            name,
            place,
            auto: false,
            room: None,
            device: String::new(),
            state: State::Empty,
            held: None,
            absent: None,
            leaving: false,
            ends: None,
            taken_over: false,
            lost: Vec::new(),
            heard: Duration::ZERO,
            assigned: Duration::ZERO,
            false_starts: 0,
            used: Use::default(),
        }
    }

    /// Takes in how far the attempt on the slot is.
    pub(super) fn advance(&mut self, to: Progress) {
        if let State::Training { progress, .. } = &mut self.state {
            *progress = to;
        }
    }

    /// Returns the attempt on the slot, if there is one.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.state {
            State::Training { attempt, .. } | State::Pausing { attempt, .. } => Some(attempt),
            _ => None,
        }
    }

    /// Returns whether the slot is on that other host.
    pub fn is_on(&self, node: &str) -> bool {
        self.node.as_deref() == Some(node)
    }

    /// Returns whether the trainer has trained only trials of this shape.
    pub fn is_pure(&self, shape: &str) -> bool {
        self.used.shape.as_deref().is_none_or(|trained| trained == shape && self.used.left == 0)
    }

    /// Returns whether the slot was given up.
    pub fn is_out(&self) -> bool {
        matches!(self.state, State::Out { .. })
    }

    /// Returns whether the slot has no trainer, or nothing is lost with the one that a silent host may have.
    pub fn is_still(&self) -> bool {
        matches!(self.state, State::Empty | State::Out { .. }) || (self.absent.is_some() && self.attempt().is_none())
    }
}
