//! What the scheduler hears, and what it wants done.

use std::time::Duration;

use sweep_core::history::Entry;
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::{Attempt, Settings, TrialId};

/// A slot's place in the list of slots that the run began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub usize);

/// The time of an event: for the journal, and for waiting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Unix seconds. May jump.
    pub unix: f64,
    /// Since the run began. Never goes back.
    pub since: Duration,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A slot's trainer said something.
    Said {
        /// Whose.
        slot: SlotId,
        /// What.
        message: FromTrainer,
    },
    /// A slot's trainer is gone, or could not be started.
    Gone {
        /// Whose.
        slot: SlotId,
        /// `was ended by signal 9 (SIGKILL)`
        how: String,
        /// Whether the kernel ended it for lack of memory.
        out_of_memory: bool,
    },
    /// What is known of a slot's device has changed.
    Device {
        /// Whose.
        slot: SlotId,
        /// How it is now.
        condition: Condition,
    },
    /// A slot's GPU was looked at.
    Sight {
        /// Whose.
        slot: SlotId,
        /// Bytes of it that the slot's trainer has; `None` where the driver does not tell.
        memory: Option<u64>,
        /// Bytes of it for all trials of the sweep; `None` where the driver does not tell.
        room: Option<u64>,
        /// Energy since the last look that is the trial's share, joules.
        joules: f64,
    },
    /// The user wants the sweep to save and end. A second time: to end at once.
    Interrupt,
    /// Time has passed.
    Tick,
}

/// Whether a slot's device may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Yes.
    Free,
    /// Others use it: no trainer is started on it until it is free. One that is there stays, or leaves, by `courtesy`.
    Busy(String),
    /// Never again in this run.
    Broken(String),
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write this to the journal. The scheduler's own history has it already.
    Record(Entry),
    /// Start a trainer on the slot.
    Start(SlotId),
    /// Tell the slot's trainer to train.
    Train {
        /// Where.
        slot: SlotId,
        /// What.
        attempt: Attempt,
        /// With these settings.
        settings: Settings,
    },
    /// Ask the slot's trainer to save and leave its trial.
    Pause {
        /// Where.
        slot: SlotId,
        /// What it is about.
        attempt: Attempt,
    },
    /// End the slot's trainer: politely, then by signals.
    End(SlotId),
    /// End the slot's trainer at once.
    Kill(SlotId),
    /// Remove a file of a trial that nothing needs any more. It may be gone already.
    Remove {
        /// Whose.
        trial: TrialId,
        /// Which.
        leftover: Leftover,
    },
}

/// A file that a trial leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// The checkpoints to go on from.
    Checkpoints,
    /// The weights of the best epoch.
    BestWeights,
    /// All that a program has left in the trial's folder.
    Everything,
}
