//! A race by repeats: once the search has ended, configurations that may be the best are repeated, round by round, until
//! the best is separated from all others. Pure.
//!
//! The best is compared with each other configuration by Student's t, with the variance between repeats pooled over the
//! configurations that were repeated. Bonferroni's correction covers all comparisons and all looks at the results: with
//! n configurations and k looks, each comparison has the error 0.05 / ((n - 1) k). Both numbers are fixed before the
//! race, so looking after every round does not make a difference look proven that is not.
//!
//! A round repeats the best of the configurations, fewer from round to round and half of them on average, without those
//! that are proven to be worse than the best. The race therefore costs at most half of what as many repeats of every
//! configuration would.

use std::collections::HashMap;

use statrs::distribution::{ContinuousCDF, StudentsT};

use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Goal, Metric, Outcome, Settings, Stopper, TrialId, fingerprint};

/// Error of all comparisons and looks together.
const ERROR: f64 = 0.05;

/// Minimum number of configurations in a round, if there are others.
const LEAST: usize = 2;

/// Shares of the configurations that the first and the last round repeat at most. The shares of the rounds between lie
/// on a line, and the mean is a half. One result says little where repeats differ much, so the first round is the widest.
const SHARES: (f64, f64) = (0.7, 0.3);

/// Returns how many of this number of configurations a round repeats at most. `round` counts from 0.
pub fn room(configurations: usize, round: u64, rounds: u64) -> usize {
    let place = if rounds > 1 { round as f64 / (rounds - 1) as f64 } else { 0.5 };
    let share = SHARES.0 + (SHARES.1 - SHARES.0) * place;
    ((configurations as f64 * share).round() as usize).max(LEAST)
}

/// A configuration that takes part in the race.
#[derive(Debug, Clone)]
pub struct Entrant<'a> {
    pub settings: &'a Settings,
    /// Its first trial.
    pub first: TrialId,
    /// Results of its trials, in the order of their numbers.
    pub values: Vec<f64>,
    /// Number of trials that ended without a result.
    lost: usize,
}

impl Entrant<'_> {
    /// Returns the mean of the results.
    pub fn mean(&self) -> f64 {
        let scale = self.values.len() as f64;
        self.values.iter().map(|value| value / scale).sum()
    }
}

/// The difference between the best configuration and another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Mean of the best minus mean of the other one.
    pub value: f64,
    /// Half of the 95% interval, which covers all comparisons and looks together.
    pub margin: f64,
}

impl Difference {
    /// Returns whether the other configuration is proven to be worse.
    pub fn is_separated(&self) -> bool {
        self.value.abs() > self.margin
    }
}

/// The state of a race.
#[derive(Debug)]
pub struct Race<'a> {
    /// The configurations, best mean first.
    pub entrants: Vec<Entrant<'a>>,
    /// Number of configurations that were not compared, because a rule or the user stopped them early.
    pub stopped: usize,
    /// Number of looks at the results that the correction counts.
    pub looks: u64,
    /// Number of trials that a configuration may have.
    most: u64,
    /// Number of configurations that the next round repeats at most.
    room: usize,
    /// Standard deviation between repeats, once anything was repeated.
    deviation: Option<f64>,
    /// Quantile of Student's t beyond which a difference is proven.
    critical: f64,
}

impl<'a> Race<'a> {
    /// Gathers the results so far. Every configuration has at least the first number of `repeats`, and may get the
    /// second.
    pub fn new(history: &'a History, metric: &Metric, (least, most): (u64, u64)) -> Race<'a> {
        let mut entrants: Vec<Entrant<'a>> = Vec::new();
        let mut found: HashMap<u64, usize> = HashMap::new();
        for trial in &history.trials[history.apart()..] {
            let at = *found.entry(fingerprint(&trial.settings)).or_insert(entrants.len());
            if at == entrants.len() {
                entrants.push(Entrant { settings: &trial.settings, first: trial.id, values: Vec::new(), lost: 0 });
            }
            match (result(trial, metric), trial.failed()) {
                (Some(value), _) => entrants[at].values.push(value),
                (None, true) => entrants[at].lost += 1,
                (None, false) => {}
            }
        }
        let all = entrants.len();
        let failing = |one: &Entrant| one.lost > 0 && one.lost >= one.values.len();
        let failed = entrants.iter().filter(|one| failing(one)).count();
        entrants.retain(|one| !one.values.is_empty() && !failing(one));
        let stopped = all - failed - entrants.len();
        entrants.sort_by(|a, b| match metric.goal {
            Goal::Minimize => a.mean().total_cmp(&b.mean()),
            Goal::Maximize => b.mean().total_cmp(&a.mean()),
        });
        let looks = most.saturating_sub(least) + u64::from(least > 1);
        let looks = looks.max(1);
        let pooled = pooled(&entrants, least);
        let comparisons = entrants.len().saturating_sub(1).max(1) as u64 * looks;
        let room = room(entrants.len(), history.rounds.len() as u64, most.saturating_sub(least));
        let critical = pooled.map_or(f64::INFINITY, |(_, freedom)| critical(freedom, comparisons));
        Race { entrants, stopped, looks, most, room, deviation: pooled.map(|(deviation, _)| deviation), critical }
    }

    /// Returns the standard deviation between repeats, once anything was repeated.
    pub fn deviation(&self) -> Option<f64> {
        self.deviation
    }

    /// Returns the difference between the best configuration and the one at this rank, from 1. `None` if nothing was
    /// repeated yet.
    pub fn difference(&self, rank: usize) -> Option<Difference> {
        let (best, other) = (self.entrants.first()?, self.entrants.get(rank)?);
        let share = 1.0 / best.values.len() as f64 + 1.0 / other.values.len() as f64;
        let margin = self.critical * self.deviation? * share.sqrt();
        Some(Difference { value: best.mean() - other.mean(), margin })
    }

    /// Returns the ranks, from 1, of the configurations that are not proven to be worse than the best.
    pub fn tied(&self) -> Vec<usize> {
        let is_open = |rank: &usize| !self.difference(*rank).is_some_and(|one| one.is_separated());
        (1..self.entrants.len()).filter(is_open).collect()
    }

    /// Returns the first trials of the configurations that the next round repeats, best first. The list is empty if the
    /// best is separated, or if all that compete with it have as many repeats as they may.
    pub fn contenders(&self) -> Vec<TrialId> {
        let tied = self.tied();
        if tied.is_empty() {
            return Vec::new();
        }
        let ranks = std::iter::once(0).chain(tied).take(self.room);
        let may_go_on = |one: &&Entrant| ((one.values.len() + one.lost) as u64) < self.most;
        ranks.map(|rank| &self.entrants[rank]).filter(may_go_on).map(|one| one.first).collect()
    }
}

/// Returns the two-sided quantile of Student's t for one of this many comparisons.
fn critical(freedom: f64, comparisons: u64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, freedom);
    t.map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - ERROR / comparisons as f64 / 2.0))
}

/// Returns the result of a trial that ran as far as it was meant to. A trial that was stopped by comparison with others,
/// or by the user, has none that a full one can be compared with.
fn result(trial: &TrialRecord, metric: &Metric) -> Option<f64> {
    let is_whole = matches!(
        trial.outcome()?,
        Outcome::Finished | Outcome::EarlyStopped | Outcome::Stopped { by: Stopper::Overfit | Stopper::Time, .. }
    );
    metric.best(&trial.curve).filter(|_| is_whole)?.get(&metric.name)
}

/// Returns the standard deviation between repeats, and its degrees of freedom. It is pooled over the configurations that
/// the race repeated, and over the better half, because those that do not learn have another spread.
fn pooled(entrants: &[Entrant], least: u64) -> Option<(f64, f64)> {
    let half = entrants.len().div_ceil(2);
    let is_near = |rank: usize, one: &Entrant| rank < half || one.values.len() as u64 > least;
    let near = entrants.iter().enumerate().filter(|(rank, one)| is_near(*rank, one)).map(|(_, one)| one);
    let (squares, freedom) = near.fold((0.0, 0.0), |(squares, freedom), one| {
        let mean = one.mean();
        let own: f64 = one.values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares + own, freedom + one.values.len() as f64 - 1.0)
    });
    (freedom > 0.0).then(|| (f64::sqrt(squares / freedom), freedom))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use sweep_core::history::{Entry, Round};
    use sweep_core::random::{Purpose, stream};

    const REPEATS: (u64, u64) = (1, 5);

    /// A sweep with these true values, the standard deviation between repeats, and a seed.
    struct Simulated {
        truth: Vec<f64>,
        noise: f64,
        seed: u64,
    }

    impl Simulated {
        /// A repeat has the same result in every way of running the sweep.
        fn value(&self, configuration: usize, repeat: u64) -> f64 {
            let mut random = stream(self.seed, configuration as u64 + 1, repeat, Purpose::Seed);
            let noise = Normal::new(0.0, self.noise).expect("the deviation is finite");
            self.truth[configuration] + noise.sample(&mut random)
        }

        fn run(&self, history: &mut History, configuration: usize) {
            let settings = sweep_sample::settings(serde_json::json!({"x": configuration}));
            let repeat = u64::from(history.next_repeat(&settings));
            let number = history.trials.len() as u64 + 1;
            let mut entries = sweep_sample::attempt(number, 1, &settings, 0, 1);
            if let Some(Entry::Epoch { metrics, .. }) = entries.last_mut() {
                metrics.val_loss = Some(self.value(configuration, repeat));
            }
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            entries.iter().for_each(|entry| history.apply(entry).expect("they follow from each other"));
        }

        /// Runs every configuration once and then the race. Returns its end, and the number of trials.
        fn race(&self) -> History {
            let mut history = sweep_sample::apply(&sweep_sample::beginning("race"));
            (0..self.truth.len()).for_each(|one| self.run(&mut history, one));
            for _ in REPEATS.0..REPEATS.1 {
                let again = Race::new(&history, &metric(), REPEATS).contenders();
                if again.is_empty() {
                    break;
                }
                let after = history.trials.len() as u64;
                let round = Round { after, again: again.clone() };
                history.apply(&Entry::Raced { at: 0.0, round }).expect("it follows");
                again.iter().for_each(|id| self.run(&mut history, id.0 as usize - 1));
            }
            history
        }

        /// The configuration that the same number of repeats of every configuration chooses.
        fn fixed(&self) -> usize {
            let mean = |one: usize| (1..=REPEATS.1).map(|repeat| self.value(one, repeat)).sum::<f64>();
            let means: Vec<f64> = (0..self.truth.len()).map(mean).collect();
            (0..means.len()).min_by(|a, b| means[*a].total_cmp(&means[*b])).expect("there is one")
        }

        /// How much worse a choice truly is than the best.
        fn regret(&self, choice: usize) -> f64 {
            self.truth[choice] - self.truth.iter().copied().fold(f64::INFINITY, f64::min)
        }
    }

    fn metric() -> Metric {
        Metric { name: "val_loss".into(), goal: Goal::Minimize }
    }

    fn choice(race: &Race) -> usize {
        race.entrants[0].settings["x"].as_u64().expect("it is a number") as usize
    }

    /// Twenty kinds of sweep: five numbers of configurations, in four relations between their spread and the noise.
    fn kinds() -> impl Iterator<Item = (usize, f64)> {
        [6, 12, 20, 32, 48].into_iter().flat_map(|many| [0.02, 0.1, 0.3, 1.0].map(|noise| (many, noise)))
    }

    /// A sweep as searches leave it: many good configurations, and a tail of bad ones.
    fn simulated(many: usize, noise: f64, seed: u64) -> Simulated {
        let mut random = stream(seed, 0, 0, Purpose::Point);
        let truth = (0..many).map(|_| random.random_range(0.0_f64..1.0).powi(2) * 3.0).collect();
        Simulated { truth, noise, seed }
    }

    /// Returns, for a kind of sweep: trials of the race as a share of those of fixed repeats, the mean regret of both,
    /// how often the race ended early, and wrongly, and the mean square of the difference of the regrets.
    fn measure(many: usize, noise: f64, runs: u64) -> [f64; 6] {
        let mut sums = [0.0; 6];
        for seed in 0..runs {
            let sweep = simulated(many, noise, seed * 7919 + many as u64);
            let history = sweep.race();
            let race = Race::new(&history, &metric(), REPEATS);
            let is_proven = race.tied().is_empty();
            let raced = sweep.regret(choice(&race));
            let share = history.trials.len() as f64 / (many as u64 * REPEATS.1) as f64;
            let wrong = is_proven && raced > 0.0;
            let fixed = sweep.regret(sweep.fixed());
            let row = [share, raced, fixed, f64::from(is_proven), f64::from(wrong), (raced - fixed).powi(2)];
            sums.iter_mut().zip(row).for_each(|(sum, one)| *sum += one / runs as f64);
        }
        sums
    }

    #[test]
    fn a_race_chooses_as_well_as_fixed_repeats_with_at_most_three_fifths_of_the_trials() {
        let rows: Vec<[f64; 6]> = kinds().map(|(many, noise)| measure(many, noise, 20)).collect();
        let mean = |at: usize| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64;
        assert!(rows.iter().all(|row| row[0] <= 0.6 + 1e-9), "{rows:?}");
        assert!(mean(1) <= 1.05 * mean(2), "regret {} of the race, {} of fixed repeats", mean(1), mean(2));
    }

    #[test]
    fn a_separation_that_is_not_real_is_rarer_than_one_in_twenty() {
        // All configurations are equally good, or nearly so: any separation is wrong.
        let wrong = |truth: Vec<f64>| {
            let is_wrong = |seed: &u64| {
                let sweep = Simulated { truth: truth.clone(), noise: 1.0, seed: *seed };
                let history = sweep.race();
                let race = Race::new(&history, &metric(), REPEATS);
                race.tied().is_empty() && sweep.regret(choice(&race)) >= 0.0
            };
            (0..200).filter(is_wrong).count()
        };
        for many in [2, 3, 8] {
            let count = wrong(vec![0.0; many]);
            assert!(count <= 15, "{many} equal configurations: {count} of 200");
        }
    }

    #[test]
    fn repeats_go_to_the_configurations_that_may_be_the_best() {
        let truth = (0..10).map(f64::from).collect();
        let history = Simulated { truth, noise: 0.05, seed: 3 }.race();
        let race = Race::new(&history, &metric(), REPEATS);
        assert!(race.tied().is_empty(), "{race:?}");
        assert!(history.trials.len() <= 22, "{} trials", history.trials.len());
        assert!(race.entrants[7..].iter().all(|one| one.values.len() == 1));
    }

    #[test]
    fn without_any_spread_between_repeats_every_difference_is_real() {
        let history = Simulated { truth: vec![1.0, 2.0, 3.0], noise: 0.0, seed: 1 }.race();
        let race = Race::new(&history, &metric(), REPEATS);
        assert_eq!((race.tied(), history.trials.len()), (Vec::new(), 5));
    }

    #[test]
    #[ignore = "prints the table of docs/concepts/search.md"]
    fn what_a_race_saves() {
        const RUNS: u64 = 1000;
        println!("many noise trials% regret fixed interval% early% wrong%");
        for (many, noise) in kinds() {
            let [share, raced, fixed, early, wrong, square] = measure(many, noise, RUNS);
            // Half of the 95% interval of the paired difference.
            let margin = 1.96 * ((square - (raced - fixed).powi(2)) / RUNS as f64).sqrt();
            println!(
                "{many:4} {noise:5} {:6.1} {raced:.4} {fixed:.4} {:+.4} ± {margin:.4} {:6.1} {:6.2}",
                share * 100.0,
                raced - fixed,
                early * 100.0,
                wrong * 100.0
            );
        }
    }
}
