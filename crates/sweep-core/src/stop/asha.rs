//! Asynchronous successive halving (Li et al. 2020, arXiv 1810.05934). At each rung, the best trial in `eta` continues.
//! The others wait with their checkpoints, and resume once enough worse trials have arrived.

use super::{Moment, Standings};

/// Rungs at `min_iter * eta^k` values of the metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Asha {
    min_iter: u32,
    eta: f64,
}

impl Asha {
    /// Creates the rule. `min_iter` is at least 1, `eta` is above 1.
    pub fn new(min_iter: u32, eta: f64) -> Asha {
        Asha { min_iter, eta }
    }

    /// Returns the number of values that every trial may measure before it can be stopped.
    pub fn min_iter(&self) -> u32 {
        self.min_iter
    }

    /// Returns whether trials are compared once they have measured this many values.
    pub fn is_rung(&self, values: usize) -> bool {
        self.rung(values) == Some(values)
    }

    /// Returns the last rung that a trial with `values` values has reached.
    fn rung(&self, values: usize) -> Option<usize> {
        let rungs = std::iter::successors(Some(f64::from(self.min_iter)), |rung| Some(rung * self.eta));
        rungs.map(|rung| rung as usize).take_while(|rung| *rung <= values).last()
    }

    /// Returns whether a trial waits at its last rung: it is not among the best floor(n / eta) of the n trials that
    /// have reached it. A trial that is training is checked only at the rung itself. If no other trial can arrive, the
    /// limit is ceil(n / eta), so that the best trial of all is trained to its end. Among equal trials the earlier one
    /// is better.
    pub fn pauses(&self, at: usize, standings: &Standings, moment: Moment) -> bool {
        let (own, before) = (standings.values(at).len(), standings.before(at));
        let Some(rung) = self.rung(own).filter(|rung| moment != Moment::Epoch || *rung > before) else {
            return false;
        };
        let better = standings.better(rung, at);
        let share = standings.rung(rung).len() as f64 / self.eta;
        better >= if moment == Moment::Closed { share.ceil() } else { share.floor() } as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    /// Rungs 1, 3, 9.
    const RULE: Asha = Asha { min_iter: 1, eta: 3.0 };

    fn standings(table: &[&[f64]]) -> Standings {
        Standings::of(Rule::Asha(RULE), table)
    }

    fn waiting(table: &[&[f64]], moment: Moment) -> Vec<usize> {
        (0..table.len()).filter(|at| RULE.pauses(*at, &standings(table), moment)).collect()
    }

    #[test]
    fn one_in_eta_goes_on_as_trials_arrive_and_who_waited_can_come_back() {
        // Arriving at the first rung one after another: 5, 7, 6, 8, 4, 9.
        let values = [[5.0], [7.0], [6.0], [8.0], [4.0], [9.0]];
        let rows: Vec<&[f64]> = values.iter().map(|row| &row[..]).collect();
        let expected: [&[usize]; 6] = [&[0], &[0, 1], &[1, 2], &[1, 2, 3], &[0, 1, 2, 3], &[1, 2, 3, 5]];
        for (arrived, expected) in (1..=6).zip(expected) {
            assert_eq!(waiting(&rows[..arrived], Moment::Rest), expected, "after {arrived}");
        }
    }

    #[test]
    fn a_trial_that_trains_is_judged_at_its_rung_alone() {
        let table = standings(&[&[1.0, 1.0], &[9.0, 9.0], &[9.0]]);
        assert!(!RULE.pauses(1, &table, Moment::Epoch), "it is past the first rung and before the second");
        assert!(RULE.pauses(1, &table, Moment::Rest), "its trainer said one epoch more before it left");
        assert!(RULE.pauses(2, &table, Moment::Epoch));
    }

    #[test]
    fn when_nobody_else_can_come_the_best_of_few_goes_on() {
        let table: [&[f64]; 2] = [&[2.0], &[1.0]];
        assert_eq!(waiting(&table, Moment::Rest), [0, 1]);
        assert_eq!(waiting(&table, Moment::Closed), [0]);
    }

    #[test]
    fn of_equals_only_as_many_go_on_as_there_is_room_for() {
        let table: [&[f64]; 6] = [&[1.0]; 6];
        assert_eq!(waiting(&table, Moment::Rest), [2, 3, 4, 5]);
    }
}
