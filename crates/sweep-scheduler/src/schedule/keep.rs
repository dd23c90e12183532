//! Selects the trials that keep the weights of their best epoch, so that a long sweep does not fill the disk.

use sweep_core::trial::{Goal, TrialId};

/// The best trials so far, limited in number.
#[derive(Debug, Clone)]
pub struct Keep {
    places: usize,
    goal: Goal,
    best: Vec<(f64, TrialId)>,
}

impl Keep {
    /// Creates the selection with room for `places` trials.
    pub fn new(places: usize, goal: Goal) -> Keep {
        Keep { places, goal, best: Vec::new() }
    }

    /// Adds a trial that ended with this value at its best epoch. Returns the trial whose weights must be removed:
    /// another one, the same one, or none. Among equal values the earlier trial stays.
    pub fn ended(&mut self, trial: TrialId, value: Option<f64>) -> Option<TrialId> {
        let Some(value) = value else { return Some(trial) };
        let place = self.best.partition_point(|(other, id)| {
            self.goal.better(*other, value) || (!self.goal.better(value, *other) && *id < trial)
        });
        self.best.insert(place, (value, trial));
        if self.best.len() > self.places { self.best.pop().map(|(_, id)| id) } else { None }
    }

    /// Removes a trial that is to be run again.
    pub fn forget(&mut self, trial: TrialId) {
        self.best.retain(|(_, id)| *id != trial);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_too_many_loses_its_weights() {
        let mut keep = Keep::new(2, Goal::Minimize);
        assert_eq!(keep.ended(TrialId(1), Some(0.5)), None);
        assert_eq!(keep.ended(TrialId(2), Some(0.9)), None);
        assert_eq!(keep.ended(TrialId(3), Some(0.7)), Some(TrialId(2)));
        assert_eq!(keep.ended(TrialId(4), Some(0.8)), Some(TrialId(4)));
        assert_eq!(keep.ended(TrialId(5), None), Some(TrialId(5)), "a trial without a value keeps nothing");
        assert_eq!(keep.ended(TrialId(6), Some(0.7)), Some(TrialId(6)), "the earlier of equals stays");
    }

    #[test]
    fn the_goal_decides_what_is_best() {
        let mut keep = Keep::new(1, Goal::Maximize);
        assert_eq!(keep.ended(TrialId(1), Some(0.5)), None);
        assert_eq!(keep.ended(TrialId(2), Some(0.9)), Some(TrialId(1)));
    }
}
