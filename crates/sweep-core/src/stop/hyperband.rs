//! Hyperband as implemented by W&B (wandb/sweeps, `hyperband_stopping.py`): no brackets, only bands at which the worse
//! trials stop.

use super::Standings;

/// Maximum number of bands.
const MOST_BANDS: usize = 100;

/// Bands, counted in values of the metric, and the rule for passing them.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperband {
    /// The bands, in ascending order.
    bands: Vec<u32>,
    /// About one trial in `eta` passes a band.
    eta: f64,
    /// Whether a trial's value at the band counts, instead of its best value so far.
    strict: bool,
}

impl Hyperband {
    /// Creates bands at `min_iter * eta^k`, rounded down. `eta` is above 1.
    pub fn upwards(min_iter: u32, eta: f64, strict: bool) -> Hyperband {
        let bands = std::iter::successors(Some(f64::from(min_iter)), |band| Some(band * eta));
        let fits = |band: &f64| *band <= f64::from(u32::MAX);
        Hyperband::new(bands.take(MOST_BANDS).take_while(fits).map(|band| band as u32).collect(), eta, strict)
    }

    /// Creates bands at `max_iter / eta^k` for k from 1 to `s`, rounded down. Bands below 1 are left out.
    pub fn downwards(max_iter: u32, s: u32, eta: f64, strict: bool) -> Hyperband {
        let bands = std::iter::successors(Some(f64::from(max_iter) / eta), |band| Some(band / eta));
        let bands = bands.take((s as usize).min(MOST_BANDS)).take_while(|band| *band >= 1.0);
        Hyperband::new(bands.map(|band| band as u32).collect(), eta, strict)
    }

    fn new(mut bands: Vec<u32>, eta: f64, strict: bool) -> Hyperband {
        bands.sort_unstable();
        bands.dedup();
        Hyperband { bands, eta, strict }
    }

    /// Returns the bands, in ascending order.
    pub fn bands(&self) -> &[u32] {
        &self.bands
    }

    /// Returns whether trials are compared once they have measured this many values.
    pub fn is_rung(&self, values: usize) -> bool {
        u32::try_from(values).is_ok_and(|values| self.bands.binary_search(&values).is_ok())
    }

    /// Returns whether a trial stops at the last band that it has reached. The n trials that have reached the band are
    /// sorted, best first. A trial stops if it is worse than the one at index floor(n / eta), from 0.
    pub fn stops(&self, at: usize, standings: &Standings) -> bool {
        let own = standings.values(at);
        let Some(band) = self.bands.iter().rev().map(|band| *band as usize).find(|band| *band <= own.len()) else {
            return false;
        };
        let values = standings.rung(band);
        // This order of operations rounds in the same way as W&B's code.
        let place = (1.0 / self.eta * values.len() as f64) as usize;
        let compared = if self.strict { own[band - 1] } else { own.iter().copied().fold(f64::INFINITY, f64::min) };
        values.get(place).is_some_and(|(threshold, _)| compared > *threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    fn stops(rule: &Hyperband, at: usize, table: &[&[f64]]) -> bool {
        rule.stops(at, &Standings::of(Rule::Hyperband(rule.clone()), table))
    }

    #[test]
    fn bands_are_those_of_the_formula() {
        assert_eq!(Hyperband::upwards(3, 3.0, true).bands()[..4], [3, 9, 27, 81]);
        assert_eq!(Hyperband::upwards(1, 1.5, true).bands()[..6], [1, 2, 3, 5, 7, 11], "1 1.5 2.25 3.4 5.1 7.6 11.4");
        assert_eq!(Hyperband::downwards(27, 2, 3.0, true).bands(), [3, 9], "the two that W&B's page works out");
        assert_eq!(Hyperband::downwards(27, 9, 3.0, true).bands(), [1, 3, 9], "no band is below 1");
        assert_eq!(Hyperband::downwards(5, 2, 2.0, true).bands(), [1, 2], "2.5 and 1.25");
    }

    #[test]
    fn the_table_of_w_and_bs_own_code_is_reproduced() {
        // max_iter 5, eta 2, s 2: bands 1 and 2. The values at band 2 are 9 10 8 7 6; sorted 6 7 8 9 10, index 2 has 8.
        let table: [&[f64]; 5] = [&[10.0, 9.0], &[10.0, 10.0], &[10.0, 8.0, 8.0], &[10.0, 7.0, 7.0], &[10.0, 6.0, 6.0]];
        let rule = Hyperband::downwards(5, 2, 2.0, true);
        let stopped: Vec<bool> = (0..5).map(|at| stops(&rule, at, &table)).collect();
        assert_eq!(stopped, [true, true, false, false, false]);
    }

    #[test]
    fn the_first_to_arrive_passes_and_nobody_is_judged_before_the_first_band() {
        let rule = Hyperband::upwards(2, 3.0, true);
        assert!(!stops(&rule, 0, &[&[9.0, 9.0], &[1.0]]), "it is alone at the band");
        assert!(!stops(&rule, 1, &[&[1.0, 1.0], &[9.0]]), "it has not reached it");
        assert!(stops(&rule, 1, &[&[1.0, 1.0], &[9.0, 9.0]]), "floor(2 / 3) = 0: worse than the best");
    }

    #[test]
    fn strict_compares_the_value_at_the_band_and_lenient_the_best_so_far() {
        // Band 2 has 2.0 and 3.0. The second trial was at 1.5 before, or is at 1.0 later.
        for second in [&[1.5, 3.0][..], &[4.0, 3.0, 1.0]] {
            let table = [&[5.0, 2.0][..], second];
            assert!(stops(&Hyperband::upwards(2, 3.0, true), 1, &table));
            assert!(!stops(&Hyperband::upwards(2, 3.0, false), 1, &table));
        }
    }

    #[test]
    fn about_one_in_eta_passes() {
        let values: Vec<[f64; 1]> = (0..9).map(|value| [f64::from(value)]).collect();
        let table: Vec<&[f64]> = values.iter().map(|value| &value[..]).collect();
        let rule = Hyperband::upwards(1, 3.0, true);
        let passed: Vec<usize> = (0..9).filter(|at| !stops(&rule, *at, &table)).collect();
        assert_eq!(passed, [0, 1, 2, 3], "place 3 of nine passes itself");
    }
}
