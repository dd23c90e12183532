//! Where each slot stands.

use std::time::Duration;

use sweep_core::trial::{Attempt, TrialId};

/// A device, or a share of one, and the trainer on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// For people and for the journal: `cpu:0`, `gpu:1`.
    pub name: String,
    /// Which device it is on: slots of the same number share one.
    pub place: usize,
    /// By `per_gpu: auto`: it is used only where what is known of the trials allows it.
    pub auto: bool,
    /// Bytes of its device for all trials of the sweep; `None` where it is not told.
    pub room: Option<u64>,
    /// What its trainer said it trains on; empty until then.
    pub device: String,
    /// What it does.
    pub state: State,
    /// Why no trainer is to be started on it, if none is.
    pub held: Option<String>,
    /// The trials that were lost on it one after the other, none ending well between them; each once.
    pub lost: Vec<TrialId>,
    /// When its trainer started or last said something, since the run began.
    pub heard: Duration,
    /// Trainers in a row that ended before they were ready.
    pub false_starts: u32,
    /// What its trainer has been seen to use.
    pub used: Use,
}

/// What a slot's trainer uses of its device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Use {
    /// The shape of the trial that it trains, or trained last; `None`: it has trained nothing.
    pub shape: Option<String>,
    /// Bytes of the GPU, as last seen.
    pub memory: u64,
    /// What of them trials of other shapes left behind: libtorch keeps what it has had.
    pub left: u64,
    /// Whether the trials on the device have been the same since the last epoch.
    pub steady: bool,
    /// When the last epoch was reported, since the run began; `None` before the attempt's first.
    pub epoch_at: Option<Duration>,
    /// The attempt's share of the energy, joules.
    pub joules: f64,
}

/// What a slot does.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// No trainer.
    Empty,
    /// The trainer is loading.
    Starting,
    /// The trainer waits for work.
    Ready,
    /// The trainer trains.
    Training {
        /// What.
        attempt: Attempt,
        /// How far.
        progress: Progress,
    },
    /// The trainer was asked to save and leave.
    Pausing {
        /// What.
        attempt: Attempt,
        /// When it will be killed if it has not, since the run began.
        deadline: Duration,
    },
    /// The trainer was told to end, and has not yet.
    Ending,
    /// Not to be used again in this run.
    Out {
        /// Why.
        reason: String,
    },
}

/// How far an attempt is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The epoch under way, from 1; 0 before the first.
    pub epoch: u32,
    /// Its steps that are done.
    pub step: u64,
    /// Its steps in all.
    pub steps: u64,
}

impl Slot {
    /// A slot that nothing has happened on.
    pub fn new(name: String, place: usize) -> Slot {
        Slot {
            name,
            place,
            auto: false,
            room: None,
            device: String::new(),
            state: State::Empty,
            held: None,
            lost: Vec::new(),
            heard: Duration::ZERO,
            false_starts: 0,
            used: Use::default(),
        }
    }

    /// The attempt on it, if there is one.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.state {
            State::Training { attempt, .. } | State::Pausing { attempt, .. } => Some(attempt),
            _ => None,
        }
    }

    /// Whether its trainer has trained nothing but trials of this shape.
    pub fn is_pure(&self, shape: &str) -> bool {
        self.used.shape.as_deref().is_none_or(|trained| trained == shape && self.used.left == 0)
    }

    /// Whether it is given up.
    pub fn is_out(&self) -> bool {
        matches!(self.state, State::Out { .. })
    }

    /// Whether nothing runs on it.
    pub fn is_still(&self) -> bool {
        matches!(self.state, State::Empty | State::Out { .. })
    }
}
