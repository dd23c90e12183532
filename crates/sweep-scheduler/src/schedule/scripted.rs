//! A new sweep and the messages of its trainers, for the tests of the scheduler and for its simulation.

use super::{Config, Shapes, Slot};
use sweep_core::history::{Entry, FORMAT, History};
use sweep_core::protocol::{self, FromTrainer};
use sweep_core::trial::{Attempt, EpochMetrics, Goal, Metric};

pub(super) fn config(total: Option<u64>) -> Config {
    let metric = Metric { name: "val_loss".into(), goal: Goal::Minimize };
    Config {
        seed: 0,
        from_scratch: false,
        total,
        retries: 2,
        keep_best: 2,
        metric,
        stop: None,
        silence: None,
        lease: std::time::Duration::from_secs(600),
        max_time: None,
        run_for: None,
        budget: Default::default(),
        chooses_rule: false,
        stop_grace: std::time::Duration::ZERO,
        shape: Shapes::default(),
        yields: false,
        saves: true,
    }
}

/// Returns the journal's first line and the resulting history.
pub(super) fn begun() -> (History, Vec<Entry>) {
    let first = Entry::Sweep {
        format: FORMAT,
        version: "1".into(),
        name: "test".into(),
        at: 0.0,
        base: "/data".into(),
        start: None,
        file: None,
        pictures: None,
    };
    let mut history = History::default();
    history.apply(&first).expect("the format is ours");
    (history, vec![first])
}

pub(super) fn slots_named(names: Vec<String>) -> Vec<Slot> {
    names.into_iter().zip(0..).map(|(name, place)| Slot::new(name, place)).collect()
}

/// Returns the entry of a controller that takes over.
pub(super) fn run(slots: &[Slot]) -> Entry {
    let slots = slots.iter().map(|slot| slot.name.clone()).collect();
    Entry::Run { at: 1.0, version: "1".into(), host: "h".into(), pid: 1, mps: None, lag: None, on: Vec::new(), slots }
}

pub(super) fn ready() -> FromTrainer {
    FromTrainer::Ready { protocol: protocol::VERSION, device: "cpu".into(), backend: "libtorch".into() }
}

pub(super) fn began(attempt: Attempt, from_epoch: u32) -> FromTrainer {
    FromTrainer::Began {
        attempt,
        from_epoch,
        train_examples: 1,
        validation_examples: 1,
        parameters: 1,
        note: None,
        warnings: Vec::new(),
    }
}

pub(super) fn epoch(attempt: Attempt, epoch: u32, val_loss: f64, seconds: Option<f64>) -> FromTrainer {
    let metrics = EpochMetrics { epoch, val_loss: Some(val_loss), seconds, ..EpochMetrics::default() };
    FromTrainer::Epoch { attempt, metrics, others: Default::default() }
}
