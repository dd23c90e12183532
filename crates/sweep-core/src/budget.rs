//! What a sweep may cost, and what that buys. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Factor between the rungs of the rule that a budget chooses.
pub const ETA: u32 = 3;

/// Maximum number of rungs: with more, the first comparison would come too early to mean anything.
const MOST_RUNGS: u32 = 3;

/// Number of configurations that a search should at least be able to try, …
const LEAST_TRIALS: u64 = 30;
/// … and the number for each parameter.
const TRIALS_PER_PARAMETER: u64 = 10;

/// `budget:` of the sweep file. The first limit that is reached ends the sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Time that all runs of the sweep may take together.
    pub time: Option<Duration>,
    /// The same times the number of GPUs in use.
    pub gpu_time: Option<Duration>,
    /// Energy of the GPUs, in joules.
    pub joules: Option<f64>,
    /// Epochs of all trials together.
    pub epochs: Option<u64>,
}

impl Budget {
    /// Returns whether there is no limit.
    pub fn is_none(&self) -> bool {
        *self == Budget::default()
    }

    /// Returns the limit on the running time in seconds with this number of GPUs, if there is a limit.
    pub fn seconds(&self, gpus: usize) -> Option<f64> {
        let of_gpus = self.gpu_time.map(|time| time.as_secs_f64() / gpus.max(1) as f64);
        let limits = [self.time.map(|time| time.as_secs_f64()), of_gpus];
        limits.into_iter().flatten().reduce(f64::min)
    }
}

/// The trials that a budget pays for, once the cost of an epoch is measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Purchase {
    /// Epochs of a whole trial.
    pub epochs: u32,
    /// Duration of an epoch in seconds, where the budget is one of time or energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Number of whole trials that the budget would pay for.
    pub whole: u64,
    /// Epochs after which trials are compared for the first time. `None` if every trial runs to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_iter: Option<u32>,
    /// Expected number of trials.
    pub trials: u64,
}

/// Returns the number of trials that a search over this number of parameters needs. If the search has fewer trials,
/// returns their number.
pub fn wanted(parameters: usize, trials: Option<u64>) -> u64 {
    let wanted = LEAST_TRIALS.max(TRIALS_PER_PARAMETER * parameters as u64);
    trials.map_or(wanted, |trials| trials.min(wanted))
}

/// Chooses the number of trials and the early stopping for a budget that pays for `whole` whole trials of `epochs`
/// epochs each. If `whole` is less than `wanted`, trials are compared at rungs, and only the best third continues at
/// each. The number of rungs is the smallest one that fits the budget. `most` is the number of trials that the search
/// has.
pub fn purchase(whole: f64, epochs: u32, wanted: u64, most: Option<u64>) -> Purchase {
    let epochs = epochs.max(1);
    let mut possible = (0..=MOST_RUNGS).filter(|rungs| ETA.pow(*rungs) <= epochs);
    let trials = |rungs: u32| whole / share(rungs);
    let enough = |rungs: &u32| trials(*rungs) >= wanted as f64;
    let rungs = possible.clone().find(enough).or_else(|| possible.next_back()).unwrap_or(0);
    let min_iter = (rungs > 0).then(|| (epochs / ETA.pow(rungs)).max(1));
    let trials = (trials(rungs) as u64).max(1);
    let trials = most.map_or(trials, |most| trials.min(most));
    Purchase { epochs, seconds: None, whole: whole as u64, min_iter, trials }
}

/// Returns the expected cost of a trial as a share of a whole one, if a third of the trials passes each rung.
fn share(rungs: u32) -> f64 {
    let eta = f64::from(ETA);
    (1.0 + f64::from(rungs) * (eta - 1.0) / eta) / eta.powi(rungs as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_budget_compares_early_and_a_large_one_not_at_all() {
        let min_iter = |whole| purchase(whole, 27, 30, None).min_iter;
        assert_eq!([100.0, 30.0, 20.0, 10.0, 5.0, 1.0].map(min_iter), [None, None, Some(9), Some(3), Some(1), Some(1)]);
        assert_eq!(purchase(10.0, 1, 30, None).min_iter, None, "one epoch cannot be shortened");
        let bought = purchase(10.0, 27, 30, None);
        assert_eq!((bought.whole, bought.trials), (10, 38));
        assert_eq!(purchase(10.0, 27, 30, Some(12)).trials, 12);
    }

    #[test]
    fn what_is_wanted_depends_on_the_parameters_and_on_what_there_is() {
        assert_eq!([wanted(1, None), wanted(6, None), wanted(6, Some(24))], [30, 60, 24]);
    }

    #[test]
    fn gpu_hours_are_shared_by_the_gpus() {
        let hours = |hours: u64| Some(Duration::from_secs(3600 * hours));
        let budget = Budget { time: hours(3), gpu_time: hours(8), ..Budget::default() };
        assert_eq!([1, 2, 4].map(|gpus| budget.seconds(gpus)), [Some(10_800.0), Some(10_800.0), Some(7200.0)]);
        assert!(!budget.is_none() && Budget::default().is_none());
    }
}
