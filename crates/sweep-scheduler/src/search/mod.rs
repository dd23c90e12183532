//! Selects the next configuration. Except for `tpe` and `bayes`, a trial's parameters follow from the file and the trial's
//! number alone. For these two, they also follow from the journal. A resumed sweep therefore continues as it would have without
//! the interruption.

mod bayes;
mod grown;
mod known;
mod learner;
mod numbered;
pub mod race;
mod random;
mod sobol;
mod tpe;

use grown::Grown;
pub use learner::{Known, Learner, Model, STARTUP, Value};
use numbered::Numbered;
use race::Race;
use random::{Random, Source};
use sweep_core::history::{History, Round, TrialRecord};
use sweep_core::random::{Purpose, stream};
use sweep_core::search_terms::{Method, Order, SearchTerms};
use sweep_core::space::Space;
use sweep_core::trial::{Metric, Settings, TrialId};

/// Number of draws for a configuration with open parameters before it is left out. By then, all its draws were excluded
/// or already known.
const MOST_DRAWN: u32 = 10_000;

/// The default `lag` is this many times the number of other slots. A Gaussian process loses less than an estimator of
/// densities by results that come late, so its slots wait less.
const LAG: u64 = 2;
const BAYES_LAG: u64 = 3;

/// If a search would use up `run_cap`, one trial in this many is left to the race.
const RACE_SHARE: u64 = 3;

/// The trials of a sweep in order: each configuration `repeats` times, one configuration after another. If the file was
/// extended, the earlier trials come first, then their missing repeats, then the untried configurations of the file.
#[derive(Debug, Clone)]
pub struct Search {
    /// Configurations that come first.
    enqueued: Vec<Settings>,
    others: Others,
    /// Number of trials just before a trial whose results it does not use, if the method learns from results.
    lag: u64,
    metric: Metric,
    /// Metrics that the method trades off against it, if it learns from results.
    tradeoffs: Vec<Metric>,
    target: Option<f64>,
    repeats: u64,
    /// Number of trials that a race may give a configuration.
    most_repeats: u64,
    /// Maximum number of trials.
    cap: Option<u64>,
    /// Number of trials of older studies that the method learns from.
    imported: u64,
    /// What was tried before the file was extended.
    grown: Grown,
    /// Number of trials, without those of a race.
    len: Option<u64>,
    /// Number of trials of the rounds of the race so far.
    raced: u64,
}

/// The target that ended a search.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Reached {
    /// The first trial that reached the target.
    pub trial: TrialId,
    /// Best value of the trial.
    pub value: f64,
    /// The target value.
    pub target: f64,
    /// Number of trials that were not begun. `None` if the search has no end.
    pub left: Option<u64>,
}

#[derive(Debug, Clone)]
enum Others {
    Numbered(Numbered),
    Random(Box<Random>),
    Learner(Box<Learner>),
}

/// Returns the `lag` of a sweep on `slots` slots: that of the file, or the one that the sweep began with. A new sweep
/// gets a multiple of the number of trials that run beside one. With twice the number, a slot waits only for a trial that
/// takes about as long as two others. More is no use if it leaves the method nothing to learn from.
pub fn lag(terms: SearchTerms<'_>, history: &History, slots: usize) -> u32 {
    let others = u64::from(u32::try_from(slots.saturating_sub(1)).unwrap_or(u32::MAX));
    let beginning = || {
        let per_slot = if terms.method == Method::Bayes { BAYES_LAG } else { LAG };
        let most = per_slot * others;
        let half = terms.run_cap.unwrap_or(u64::MAX) / 2;
        most.min(half.max(LAG * others))
    };
    terms.lag.or(history.lag).unwrap_or_else(|| u32::try_from(beginning()).unwrap_or(u32::MAX))
}

impl Search {
    /// Creates the search that a sweep file describes.
    pub fn new(terms: SearchTerms<'_>) -> Search {
        Search::resumed(terms, &History::default())
    }

    /// Creates the search for a sweep file that may have been extended after trials had begun.
    pub fn resumed(terms: SearchTerms<'_>, history: &History) -> Search {
        let (space, seed) = (terms.space, terms.seed);
        let points = space.count();
        let enqueued = enqueued(terms, history);
        // Configurations that are too many to be numbered are drawn.
        let numbered = points.is_some_and(|points| points < u64::MAX);
        let shuffle = match (terms.method, terms.order) {
            (Method::Grid, Order::File) => None,
            _ => Some(seed),
        };
        let learner = |model| Others::Learner(Box::new(Learner::new(model, space.clone(), seed)));
        // If all configurations are equally likely, sampling without replacement is a shuffled traversal.
        let others = match terms.method {
            Method::Grid if numbered || shuffle.is_none() => {
                // The configurations of a checked file can be counted part by part.
                let parts = space.parts(terms.priority).unwrap_or_else(|_| vec![space.clone()]);
                Others::Numbered(Numbered::new(parts, &enqueued, shuffle))
            }
            Method::Random if numbered && space.is_even() => {
                Others::Numbered(Numbered::new(vec![space.clone()], &enqueued, shuffle))
            }
            Method::Grid | Method::Random => {
                Others::Random(Box::new(Random::new(space.clone(), seed, Source::Chance, &enqueued)))
            }
            Method::Tpe => learner(Model::Tpe),
            Method::Bayes => learner(Model::Bayes),
            Method::Sobol => Others::Random(Box::new(Random::new(space.clone(), seed, Source::Sobol(0), &enqueued))),
        };
        let repeats = u64::from(terms.repeats.max(1));
        let grown = Grown::new(space, repeats, history, &enqueued);
        let trials = points.map(|points| grown.trials(points, repeats));
        let most_repeats = u64::from(terms.most_repeats).max(repeats);
        let cap = terms.run_cap.map(|cap| cap.max(grown.begun));
        let len = match cap {
            Some(cap) if trials.is_some_and(|trials| trials <= cap) => trials,
            Some(cap) if most_repeats > repeats => Some(cap - (cap - grown.begun) / RACE_SHARE),
            Some(cap) => Some(cap),
            None => trials,
        };
        let raced = history.rounds.iter().map(|round| round.again.len() as u64).sum();
        let (metric, tradeoffs, target) = (terms.metric.clone(), terms.tradeoffs.to_vec(), terms.target);
        let lag = terms.lag.or(history.lag).unwrap_or(0).into();
        let imported = history.imported(&metric.name).count() as u64;
        let mut search = Search {
            enqueued,
            others,
            lag,
            metric,
            tradeoffs,
            target,
            repeats,
            most_repeats,
            cap,
            imported,
            grown,
            len,
            raced,
        };
        if search.has_reached(history) {
            (search.len, search.raced) = (Some(history.trials.len() as u64), 0);
        }
        search
    }

    /// Returns whether a trial reached the target, so that no other trial begins.
    pub fn has_reached(&self, history: &History) -> bool {
        self.target.is_some_and(|target| reached(&self.metric, target, history).is_some())
    }

    /// Returns the trial that reached the target, unless no trials are left.
    pub fn reached(terms: SearchTerms<'_>, history: &History) -> Option<Reached> {
        let target = terms.target?;
        let (trial, value) = reached(terms.metric, target, history)?;
        let search = Search::resumed(SearchTerms { target: None, ..terms }, history);
        let left = search.len.map(|len| len.saturating_sub(history.trials.len() as u64));
        (left != Some(0)).then_some(Reached { trial, value, target, left })
    }

    /// Returns the total number of trials, with the rounds of a race that have begun. `None` for a search without an
    /// end.
    pub fn len(&self) -> Option<u64> {
        Some(self.len? + self.raced)
    }

    /// Returns how many trials a race may add at most to a search of `len` trials. `None` without a race, or if that is
    /// not known.
    pub fn most_raced(&self) -> Option<u64> {
        let (rounds, len) = (self.most_repeats - self.repeats, self.len?);
        let points = usize::try_from(len.div_ceil(self.repeats)).unwrap_or(usize::MAX);
        let all: u64 = (0..rounds).map(|round| race::room(points, round, rounds) as u64).fold(0, u64::saturating_add);
        (rounds > 0 && points > 1).then(|| self.cap.map_or(all, |cap| all.min(cap.saturating_sub(len))))
    }

    /// Returns the next round of the race, once every trial so far has ended. `None` if there is no race, or if it is
    /// over. It follows from the results, whatever order they came in.
    pub fn round(&self, history: &History) -> Option<Round> {
        let rounds = self.most_repeats - self.repeats;
        if history.rounds.len() as u64 >= rounds || self.has_reached(history) {
            return None;
        }
        let after = history.trials.len() as u64;
        let left = self.cap.map_or(u64::MAX, |cap| cap.saturating_sub(after));
        let race = Race::new(history, &self.metric, (self.repeats, self.most_repeats));
        let mut again = race.contenders();
        again.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        (!again.is_empty()).then_some(Round { after, again })
    }

    /// Returns whether there is no trial at all.
    pub fn is_empty(&self) -> bool {
        self.len == Some(0)
    }

    /// Returns a trial's parameters given an empty history. `None` past the end.
    pub fn settings(&mut self, trial: TrialId) -> Option<Settings> {
        self.next(trial, &History::default())
    }

    /// Number of leading trials that must have ended or paused before this trial's parameters can be computed.
    pub fn needs(&self, trial: TrialId) -> u64 {
        // The first configurations do not depend on earlier results.
        let seen = self.seen(trial);
        if seen + self.imported < STARTUP as u64 || self.proposal(trial).is_none() { 0 } else { seen }
    }

    /// Returns whether the method learns from results.
    pub fn learns(&self) -> bool {
        matches!(self.others, Others::Learner(_))
    }

    /// Returns whether a race follows the search.
    pub fn races(&self) -> bool {
        self.most_repeats > self.repeats
    }

    /// Returns the number of leading trials whose results the trial uses, if the method learns from results.
    fn seen(&self, trial: TrialId) -> u64 {
        trial.0.saturating_sub(1 + self.lag)
    }

    /// Returns the index, from 0, of the proposal of a model that this trial is the first to use.
    fn proposal(&self, trial: TrialId) -> Option<u64> {
        let Others::Learner(_) = &self.others else { return None };
        let at = trial.0.checked_sub(1 + self.grown.begun + self.grown.owed.len() as u64)?;
        let point = at / self.repeats;
        let is_proposed = at % self.repeats == 0 && point >= self.untried().count() as u64;
        is_proposed.then(|| (self.grown.points + point).saturating_sub(self.enqueued.len() as u64))
    }

    /// Returns the configurations that come first and were not tried before.
    fn untried(&self) -> impl Iterator<Item = &Settings> {
        self.enqueued.iter().filter(|point| !self.grown.has_tried(point))
    }

    /// Returns the parameters of the next trial, given the history. `None` past the end.
    pub fn next(&mut self, trial: TrialId, history: &History) -> Option<Settings> {
        let at = trial.0.checked_sub(1)?;
        if self.has_reached(history) {
            return None;
        }
        if !history.rounds.is_empty() {
            let origin = history.rounds.iter().find_map(|round| round.origin(trial));
            return history.trial(origin.unwrap_or(trial)).map(|trial| trial.settings.clone());
        }
        if self.len.is_some_and(|len| at >= len) {
            return None;
        }
        let Some(at) = at.checked_sub(self.grown.begun) else {
            return history.trial(trial).map(|trial| trial.settings.clone());
        };
        let Some(at) = at.checked_sub(self.grown.owed.len() as u64) else {
            return self.grown.owed.get(usize::try_from(at).ok()?).cloned();
        };
        let point = at / self.repeats;
        if let Others::Learner(learner) = &self.others {
            let first = TrialId(trial.0 - at % self.repeats);
            return match (self.proposal(first), history.trial(first)) {
                (None, _) => self.untried().nth(usize::try_from(point).ok()?).cloned(),
                (Some(_), Some(first)) => Some(first.settings.clone()),
                (Some(number), None) => {
                    learner.propose(number, &known::known(history, self.seen(trial), &self.metric, &self.tradeoffs))
                }
            };
        }
        let (enqueued, others) = (&self.enqueued, &mut self.others);
        self.grown.untried(point, |place| match place.checked_sub(enqueued.len() as u64) {
            None => enqueued.get(usize::try_from(place).ok()?).cloned(),
            Some(number) => match others {
                Others::Numbered(numbered) => numbered.point(number),
                Others::Random(random) => random.point(number),
                Others::Learner(_) => None,
            },
        })
    }
}

/// Returns the first trial that reached the target or better, and its best value.
fn reached(metric: &Metric, target: f64, history: &History) -> Option<(TrialId, f64)> {
    let factor = in_percent(metric, target, history).map_or(1.0, |in_percent| in_percent.factor());
    let enough = |(_, value): &(TrialId, f64)| {
        let value = value * factor;
        value == target || metric.goal.better(value, target)
    };
    bests(metric, history).find(enough)
}

fn bests<'a>(metric: &'a Metric, history: &'a History) -> impl Iterator<Item = (TrialId, f64)> + 'a {
    let best = |trial: &TrialRecord| Some((trial.id, metric.best(&trial.curve)?.get(&metric.name)?));
    history.trials.iter().filter_map(best)
}

/// Which of the values and the target of an accuracy is in percent, where the other one is a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InPercent {
    /// The values: 91.2 against a target of 0.9.
    Values,
    /// The target: 0.912 against a target of 90.
    Target,
}

impl InPercent {
    fn factor(self) -> f64 {
        match self {
            InPercent::Values => 0.01,
            InPercent::Target => 100.0,
        }
    }
}

/// Compares the scales of a target and of the values so far. `None` if they are the same, or if the metric is no accuracy.
pub fn in_percent(metric: &Metric, target: f64, history: &History) -> Option<InPercent> {
    let words = metric.name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mut words = words.map(str::to_ascii_lowercase);
    if !words.any(|word| matches!(word.as_str(), "acc" | "accuracy")) || !(0.0..=100.0).contains(&target) {
        return None;
    }
    let most = bests(metric, history).map(|(_, value)| value).fold(f64::NEG_INFINITY, f64::max);
    match (most, target) {
        (most, target) if most > 1.0 && most <= 100.0 && target <= 1.0 => Some(InPercent::Values),
        (most, target) if (0.0..=1.0).contains(&most) && target > 1.0 => Some(InPercent::Target),
        _ => None,
    }
}

/// Returns the configurations of `enqueue`, completed and without duplicates. A parameter that a configuration leaves
/// open takes the first value in a grid. Otherwise it is drawn.
fn enqueued(terms: SearchTerms<'_>, history: &History) -> Vec<Settings> {
    let mut points: Vec<Settings> = Vec::with_capacity(terms.enqueue.len());
    for (at, given) in terms.enqueue.iter().enumerate() {
        let Ok(space) = terms.space.pinned(given) else { continue };
        let found = match terms.method {
            Method::Grid => space.point(0).filter(|point| !points.contains(point)),
            _ => drawn(&space, terms.seed, at as u64, &points),
        };
        points.extend(found);
    }
    // Older versions did not try the defaults first, and a search goes on as it began.
    let begun = history.trials.iter().find(|trial| trial.place == 1);
    if history.extensions.is_empty()
        && begun.is_some_and(|trial| points.first().is_some_and(|own| *own != trial.settings))
    {
        points.clear();
    }
    points
}

fn drawn(space: &Space, seed: u64, at: u64, known: &[Settings]) -> Option<Settings> {
    // Configurations count from 1, and the shuffled order of all uses the first stream of number 0.
    let mut chance = stream(seed, 0, at + 1, Purpose::Point);
    let mut draws = (0..MOST_DRAWN).filter_map(|_| space.draw(&mut chance));
    draws.find(|point| !known.contains(point))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use sweep_spec::Spec;

    fn points(head: &str) -> Vec<Settings> {
        let text = format!("{head}\ndata: {{set: digits}}\nmodel: linear\n");
        let (spec, _) = Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
        let mut search = Search::new(spec.search_terms());
        let points: Vec<_> = (1..=1000).map_while(|trial| search.settings(TrialId(trial))).collect();
        assert!(search.len().is_none_or(|len| len == points.len() as u64), "{head}");
        points
    }

    fn distinct(points: &[Settings]) -> usize {
        points.iter().map(|point| serde_json::to_string(point).unwrap()).collect::<HashSet<_>>().len()
    }

    const TWO: &str = "parameters: {batch_size: {values: [1, 2, 3]}, epochs: {min: 1, max: 4}}\n";

    #[test]
    fn a_shuffled_grid_has_the_same_points_in_an_order_that_hangs_on_the_seed() {
        let [file, one, two] = ["", "order: shuffled\nseed: 1", "order: shuffled\nseed: 2"]
            .map(|order| points(&format!("method: grid\n{TWO}{order}")));
        assert_ne!(file, one);
        assert_ne!(one, two);
        let sorted = |mut points: Vec<Settings>| {
            points.sort_by_key(|point| serde_json::to_string(point).unwrap());
            points
        };
        assert_eq!(sorted(file), sorted(one));
    }

    #[test]
    fn enqueued_points_come_first_and_not_again() {
        for (method, all) in [("grid", 12), ("grid\norder: shuffled", 12), ("random", 12)] {
            let enqueue = "enqueue: [{epochs: 3, batch_size: 3}, {batch_size: 2}, {batch_size: 3, epochs: 3}]\n";
            let points = points(&format!("method: {method}\n{TWO}{enqueue}"));
            assert_eq!(json!(points[0]), json!({"batch_size": 3, "epochs": 3}), "{method}");
            assert_eq!(points[1]["batch_size"], 2, "{method}");
            assert_eq!((points.len(), distinct(&points)), (all, all), "{method}");
        }
        let weighted = "method: random\nenqueue: [{epochs: 2}, {epochs: 3}]\n\
            parameters: {epochs: {values: [1, 2, 3], probabilities: [0.5, 0.3, 0.2]}}\n";
        assert_eq!(json!(points(weighted)), json!([{"epochs": 2}, {"epochs": 3}, {"epochs": 1}]));
    }

    /// The sweep file, and its history after a trial whose metric had this value.
    fn after_a_trial(text: &str, value: f64) -> (Spec, History) {
        let (spec, _) = Spec::read(text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
        let mut entries = sweep_sample::beginning("f");
        entries.extend(sweep_sample::attempt(1, 1, &Settings::new(), 0, 2));
        for entry in &mut entries {
            if let sweep_core::history::Entry::Epoch { metrics, .. } = entry {
                metrics.objective = Some(value);
            }
        }
        (spec, sweep_sample::apply(&entries))
    }

    #[test]
    fn once_a_trial_has_reached_the_target_no_other_begins() {
        for (goal, value, goes_on) in [("minimize", 0.5, false), ("minimize", 0.6, true), ("maximize", 0.6, false)] {
            let text = format!("program: x\nmetric: {{name: m, goal: {goal}, target: 5e-1}}\n{TWO}");
            let (spec, history) = after_a_trial(&text, value);
            assert_eq!(
                Search::new(spec.search_terms()).next(TrialId(2), &history).is_some(),
                goes_on,
                "{goal} {value}"
            );
            assert_eq!(Search::resumed(spec.search_terms(), &history).len(), Some(if goes_on { 12 } else { 1 }));
        }
    }

    #[test]
    fn a_target_and_values_of_an_accuracy_in_another_scale_are_compared_in_one() {
        for (target, value, goes_on) in
            [("0.9", 50.0, true), ("0.9", 91.0, false), ("90", 0.5, true), ("90", 0.91, false), ("90", 91.0, false)]
        {
            let text = format!("program: x\nmetric: {{name: val_acc, goal: maximize, target: {target}}}\n{TWO}");
            let (spec, history) = after_a_trial(&text, value);
            let next = Search::new(spec.search_terms()).next(TrialId(2), &history);
            assert_eq!(next.is_some(), goes_on, "{target} {value}");
        }
    }

    #[test]
    fn points_of_priority_go_first_and_all_others_follow_in_their_order() {
        for order in ["file", "shuffled"] {
            let head = format!("{TWO}order: {order}\nenqueue: [{{epochs: 2, batch_size: 2}}]\n");
            let first = "priority: [{epochs: [3, 4], batch_size: 3}, epochs == 1 or batch_size == 3]\n";
            let points = points(&format!("{head}{first}"));
            let class = |point: &Settings| match (point["epochs"].as_u64(), point["batch_size"].as_u64()) {
                (Some(2), Some(2)) => 0,
                (Some(3 | 4), Some(3)) => 1,
                (Some(1), _) | (_, Some(3)) => 2,
                _ => 3,
            };
            let classes: Vec<_> = points.iter().map(class).collect();
            assert_eq!(classes, [0, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3], "{order}");
            assert_eq!(distinct(&points), 12, "{order}");
            if order == "file" {
                let without = self::points(&head);
                for class_of in 1..4 {
                    let of = |points: &[Settings]| -> Vec<_> {
                        points.iter().filter(|point| class(point) == class_of).cloned().collect()
                    };
                    assert_eq!(of(&points), of(&without));
                }
            }
        }
    }

    #[test]
    fn what_an_enqueued_point_leaves_open_is_a_grids_first_or_drawn() {
        let grid = points(&format!("method: grid\n{TWO}enqueue: [{{epochs: 4}}, {{}}]\n"));
        assert_eq!(json!(grid[..2]), json!([{"batch_size": 1, "epochs": 4}, {"batch_size": 1, "epochs": 1}]));
        let sizes: HashSet<_> = (0..30)
            .map(|seed| points(&format!("method: random\nseed: {seed}\n{TWO}enqueue: [{{epochs: 4}}]\n")))
            .map(|points| points[0]["batch_size"].to_string())
            .collect();
        assert_eq!(sizes.len(), 3, "each seed draws its own");
    }

    #[test]
    fn a_conditional_parameter_makes_no_duplicates_and_does_not_change_what_it_depends_on() {
        let text = "method: random
parameters:
  optimizer: {values: [adam, sgd]}
  momentum: {min: 0.5, max: 0.9, when: optimizer == 'sgd'}
  batch_size: {min: 1, max: 2000}
run_cap: 1000
";
        let points = points(text);
        assert_eq!(distinct(&points), 1000);
        assert!(points.iter().all(|point| point.contains_key("momentum") == (point["optimizer"] == "sgd")));
        let sgd = points.iter().filter(|point| point["optimizer"] == "sgd").count();
        // Half of them, within five standard deviations.
        assert!((420..580).contains(&sgd), "{sgd}");
    }

    #[test]
    fn excluded_numbers_are_not_drawn() {
        let text = "method: random
parameters:
  learning_rate: {min: 0.001, max: 0.1}
  batch_size: {values: [64, 512]}
exclude: [batch_size == 512 and learning_rate < 0.05, 'learning_rate > 0.09']
run_cap: 300
";
        for point in points(text) {
            let rate = point["learning_rate"].as_f64().unwrap();
            assert!(rate <= 0.09 && (point["batch_size"] == 64 || rate >= 0.05), "{point:?}");
        }
    }
}
