//! Where each slot stands.

use std::time::Duration;

use crate::trial::{Attempt, TrialId};

/// A device, or a share of one, and the trainer on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// For people and for the journal: `cpu:0`, `gpu:1`.
    pub name: String,
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
    pub fn new(name: String) -> Slot {
        Slot {
            name,
            device: String::new(),
            state: State::Empty,
            held: None,
            lost: Vec::new(),
            heard: Duration::ZERO,
            false_starts: 0,
        }
    }

    /// The attempt on it, if there is one.
    pub fn attempt(&self) -> Option<Attempt> {
        match self.state {
            State::Training { attempt, .. } | State::Pausing { attempt, .. } => Some(attempt),
            _ => None,
        }
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
