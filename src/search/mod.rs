//! Which point comes next. A trial's settings follow from the file and the trial's number alone, so a sweep that is
//! taken up again goes on as it would have.

mod random;

use crate::space::Space;
use crate::spec::{Method, Spec};
use crate::trial::{Settings, TrialId};
use random::Random;

/// The trials of a sweep, in order: each point `repeats` times, point after point.
#[derive(Debug, Clone)]
pub struct Search {
    order: Order,
    repeats: u64,
    /// Trials in all.
    len: Option<u64>,
}

#[derive(Debug, Clone)]
enum Order {
    Grid(Space),
    Random(Box<Random>),
}

impl Search {
    /// The search that a sweep file asks for.
    pub fn new(spec: &Spec) -> Search {
        let points = spec.space.count();
        let order = match spec.method {
            Method::Grid => Order::Grid(spec.space.clone()),
            Method::Random => Order::Random(Box::new(Random::new(spec.space.clone(), spec.seed))),
        };
        let repeats = u64::from(spec.repeats.max(1));
        let len = match (points.map(|points| points.saturating_mul(repeats)), spec.run_cap) {
            (Some(trials), Some(cap)) => Some(trials.min(cap)),
            (trials, cap) => trials.or(cap),
        };
        Search { order, repeats, len }
    }

    /// Trials in all; `None` for a search without an end.
    pub fn len(&self) -> Option<u64> {
        self.len
    }

    /// Whether there is no trial at all.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// A trial's settings; `None` past the end.
    pub fn settings(&mut self, trial: TrialId) -> Option<Settings> {
        let at = trial.0.checked_sub(1)?;
        if self.len.is_some_and(|len| at >= len) {
            return None;
        }
        match &mut self.order {
            Order::Grid(space) => space.point(at / self.repeats),
            Order::Random(random) => random.point(at / self.repeats),
        }
    }
}
