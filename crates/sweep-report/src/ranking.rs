//! The ranking: trials in order, trials that cannot be ranked, and configurations with their repeats combined. Pure.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use sweep_core::history::{History, Status, TrialRecord};
use sweep_core::trial::{EpochMetrics, Goal, Metric, Outcome, Settings, TrialId};

/// All trials of a sweep, best first.
#[derive(Debug)]
pub struct Ranking<'a> {
    /// The trials that ended well and were measured, best first by the metric at their best epoch.
    pub placed: Vec<Place<'a>>,
    /// The other trials, by number: failed, diverged, not yet over, or never measured.
    pub others: Vec<&'a TrialRecord>,
    /// Whether a race decided which configurations were repeated.
    pub is_raced: bool,
}

/// The place of one trial in the ranking.
#[derive(Debug)]
pub struct Place<'a> {
    /// The rank, from 1. Equal values share a rank.
    pub rank: usize,
    pub trial: &'a TrialRecord,
    pub best: EpochMetrics,
}

impl<'a> Ranking<'a> {
    /// Ranks by the metric at each trial's best epoch. Equal trials stay in the order of their numbers.
    pub fn new(history: &'a History, metric: &Metric) -> Ranking<'a> {
        let mut placed: Vec<Place<'a>> = Vec::new();
        let value = |epoch: &EpochMetrics| epoch.get(&metric.name);
        for (trial, best) in history.ranking(metric) {
            let tie = placed.last().filter(|before| value(&before.best) == value(&best)).map(|before| before.rank);
            placed.push(Place { rank: tie.unwrap_or(placed.len() + 1), trial, best });
        }
        let ids: HashSet<TrialId> = placed.iter().map(|place| place.trial.id).collect();
        let others = history.trials.iter().filter(|trial| !ids.contains(&trial.id));
        Ranking { others: others.collect(), placed, is_raced: !history.rounds.is_empty() }
    }

    /// The best trial.
    pub fn best(&self) -> Option<&Place<'a>> {
        self.placed.first()
    }

    /// The trials whose curves are shown if there are too many to show all. They are the best, the worst, those with
    /// the largest gaps, and those that failed, in the order of the ranking.
    pub fn notable(&self) -> Vec<&'a TrialRecord> {
        const BEST: usize = 10;
        const GAPS: usize = 5;
        const FAILED: usize = 10;
        let mut by_gap: Vec<&Place> = self.placed.iter().filter(|place| place.best.loss_gap().is_some()).collect();
        let gap = |place: &Place| place.best.loss_gap().unwrap_or(0.0);
        by_gap.sort_by(|a, b| gap(b).total_cmp(&gap(a)));
        let gaps: Vec<TrialId> = by_gap.iter().take(GAPS).map(|place| place.trial.id).collect();
        let count = self.placed.len();
        let placed = self
            .placed
            .iter()
            .enumerate()
            .filter(|(number, place)| *number < BEST || *number + 1 == count || gaps.contains(&place.trial.id));
        let failed = self.others.iter().copied().filter(|trial| matches!(trial.status, Status::Ended(_)));
        placed.map(|(_, place)| place.trial).chain(failed.take(FAILED)).collect()
    }
}

/// Numbers of trials by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Trained to the last epoch.
    pub finished: u64,
    /// Ended by `early_stopping`.
    pub early_stopped: u64,
    /// Ended by `early_terminate`.
    pub stopped: u64,
    /// Ended because the loss or the weights were no longer finite.
    pub diverged: u64,
    /// Ended because the device ran out of memory.
    pub out_of_memory: u64,
    /// Programs whose configuration cannot run.
    pub impossible: u64,
    /// Skipped by the user.
    pub skipped: u64,
    /// Could not be trained.
    pub failed: u64,
    pub running: u64,
    /// Interrupted, to be resumed.
    pub waiting: u64,
}

impl Counts {
    /// Counts the trials that were started.
    pub fn new(history: &History) -> Counts {
        let mut counts = Counts::default();
        for trial in &history.trials {
            *match &trial.status {
                Status::Running => &mut counts.running,
                Status::Waiting => &mut counts.waiting,
                Status::Ended(Outcome::Finished) => &mut counts.finished,
                Status::Ended(Outcome::EarlyStopped) => &mut counts.early_stopped,
                Status::Ended(Outcome::Stopped { .. }) => &mut counts.stopped,
                Status::Ended(Outcome::Skipped) => &mut counts.skipped,
                Status::Ended(Outcome::Diverged { .. }) => &mut counts.diverged,
                Status::Ended(Outcome::OutOfMemory { .. }) => &mut counts.out_of_memory,
                Status::Ended(Outcome::Impossible { .. }) => &mut counts.impossible,
                Status::Ended(Outcome::Failed { .. }) => &mut counts.failed,
            } += 1;
        }
        counts
    }

    /// Number of trials that are over.
    pub fn ended(&self) -> u64 {
        let lost = self.diverged + self.out_of_memory + self.impossible + self.failed;
        self.finished + self.early_stopped + self.stopped + self.skipped + lost
    }

    /// The counts in one sentence, without zeros: `21 finished, 2 stopped early, 1 failed`.
    pub fn sentence(&self) -> String {
        let parts = [
            (self.finished, "finished"),
            (self.early_stopped, "stopped early"),
            (self.stopped, "stopped"),
            (self.skipped, "skipped"),
            (self.diverged, "diverged"),
            (self.out_of_memory, "out of memory"),
            (self.impossible, "impossible"),
            (self.failed, "failed"),
            (self.running, "running"),
            (self.waiting, "waiting"),
        ];
        let parts = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, name)| format!("{} {name}", super::format::count(count)));
        let sentence = parts.collect::<Vec<_>>().join(", ");
        if sentence.is_empty() { "none started".into() } else { sentence }
    }
}

/// The names of the trials' parameters, in order of appearance.
pub fn setting_names(history: &History) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in history.trials.iter().flat_map(|trial| trial.settings.keys()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// A configuration: trials with equal parameters and different seeds.
#[derive(Debug)]
pub struct Group<'a> {
    /// The parameters that they share.
    pub settings: &'a Settings,
    /// The ranked trials, by number.
    pub trials: Vec<TrialId>,
    /// The sweep's metric at the trials' best epochs.
    pub metric: Spread,
    /// The validation accuracy at those epochs.
    pub accuracy: Option<Spread>,
    /// The accuracy gap at those epochs.
    pub accuracy_gap: Option<Spread>,
    /// The loss gap at those epochs.
    pub loss_gap: Option<Spread>,
}

/// A mean and a standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The arithmetic mean.
    pub mean: f64,
    /// The sample standard deviation (n - 1), or `None` for a single value.
    pub deviation: Option<f64>,
}

impl Spread {
    /// Computes both, or returns `None` without values.
    pub fn new(values: &[f64]) -> Option<Spread> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        // Of numbers near the largest one the sum and the squares would be infinite: they are scaled down first.
        let largest = values.iter().map(|value| value.abs()).fold(0.0, f64::max);
        let scale = if largest > 1e100 { largest } else { 1.0 };
        let scaled = || values.iter().map(|value| value / scale);
        let mean = scaled().sum::<f64>() / count;
        let squares: f64 = scaled().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| ((squares / (count - 1.0)).sqrt() * scale).min(f64::MAX));
        Some(Spread { mean: mean * scale, deviation })
    }
}

/// Ranked trials grouped by configuration, best mean first. A configuration is last if at least half of its repeats
/// have no result, because the remaining ones may be luck.
pub fn groups<'a>(ranking: &Ranking<'a>, metric: &Metric) -> Vec<Group<'a>> {
    let mut gathered: Vec<(&'a Settings, Vec<&Place<'a>>)> = Vec::new();
    let mut found: HashMap<String, usize> = HashMap::new();
    for place in &ranking.placed {
        let settings = &place.trial.settings;
        let at = *found.entry(Value::Object(settings.clone()).to_string()).or_insert(gathered.len());
        if at == gathered.len() {
            gathered.push((settings, Vec::new()));
        }
        gathered[at].1.push(place);
    }
    let mut groups: Vec<Group> = Vec::new();
    for (settings, members) in gathered {
        let spread = |of: &dyn Fn(&EpochMetrics) -> Option<f64>| {
            Spread::new(&members.iter().filter_map(|place| of(&place.best)).collect::<Vec<_>>())
        };
        let Some(value) = spread(&|epoch| epoch.get(&metric.name)) else { continue };
        let mut trials: Vec<TrialId> = members.iter().map(|place| place.trial.id).collect();
        trials.sort();
        groups.push(Group {
            settings,
            trials,
            metric: value,
            accuracy: spread(&|epoch| epoch.val_accuracy),
            accuracy_gap: spread(&EpochMetrics::accuracy_gap),
            loss_gap: spread(&EpochMetrics::loss_gap),
        });
    }
    let most = groups.iter().map(|group| group.trials.len()).max().unwrap_or(0);
    let lost = |group: &Group| {
        let failed = ranking.others.iter().filter(|trial| trial.failed() && trial.settings == *group.settings);
        failed.count()
    };
    // A race gives most configurations fewer repeats than the best, which says nothing about them.
    let few = |group: &Group| match ranking.is_raced {
        true => lost(group) >= group.trials.len(),
        false => 2 * group.trials.len() <= most && most > 1,
    };
    let mut groups: Vec<(bool, Group)> = groups.into_iter().map(|group| (few(&group), group)).collect();
    groups.sort_by(|(a_few, a), (b_few, b)| {
        let better = match metric.goal {
            Goal::Minimize => a.metric.mean.total_cmp(&b.metric.mean),
            Goal::Maximize => b.metric.mean.total_cmp(&a.metric.mean),
        };
        a_few.cmp(b_few).then(better)
    });
    groups.into_iter().map(|(_, group)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_diverged_trial_is_never_the_best() {
        let (history, spec) = (sweep_sample::history(), sweep_sample::spec());
        let ranking = Ranking::new(&history, &spec.metric);
        let placed: Vec<u64> = ranking.placed.iter().map(|place| place.trial.id.0).collect();
        let others: Vec<u64> = ranking.others.iter().map(|trial| trial.id.0).collect();
        assert_eq!(placed.len() + others.len(), 6);
        assert_eq!(others, [5, 6]);
        let losses: Vec<_> = ranking.placed.iter().map(|place| place.best.val_loss).collect();
        assert!(losses.windows(2).all(|pair| pair[0] <= pair[1]), "{losses:?}");
    }

    #[test]
    fn equal_trials_share_their_rank() {
        let settings = sweep_sample::settings(json!({}));
        let mut entries = sweep_sample::beginning("ties");
        for number in 1..=3 {
            let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 1);
            if let Some(sweep_core::history::Entry::Epoch { metrics, .. }) = attempt.last_mut() {
                metrics.val_loss = Some(if number == 3 { 0.9 } else { 0.5 });
            }
            entries.extend(attempt);
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let history = sweep_sample::apply(&entries);
        let ranking = Ranking::new(&history, &sweep_sample::spec().metric);
        assert_eq!(ranking.placed.iter().map(|place| place.rank).collect::<Vec<_>>(), [1, 1, 3]);
    }

    #[test]
    fn repeats_are_taken_together() {
        let mut entries = sweep_sample::beginning("repeats");
        for number in 1..=4 {
            let settings = sweep_sample::settings(json!({"dropout": if number <= 2 { 0.0 } else { 0.4 }}));
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, 5));
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let history = sweep_sample::apply(&entries);
        let metric = sweep_sample::spec().metric;
        let groups = groups(&Ranking::new(&history, &metric), &metric);
        assert_eq!(groups.len(), 2);
        assert!(groups[0].metric.mean < groups[1].metric.mean);
        assert!(groups.iter().all(|group| group.trials.len() == 2 && group.metric.deviation.is_some()));
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        assert_eq!(Spread::new(&[1.0, 3.0]), Some(Spread { mean: 2.0, deviation: Some(2_f64.sqrt()) }));
        assert_eq!(Spread::new(&[1.0]), Some(Spread { mean: 1.0, deviation: None }));
        assert_eq!(Spread::new(&[]), None);
        let extreme = Spread::new(&[1e308, -1e308, 1e308]).expect("there are values");
        assert!(extreme.mean.is_finite() && extreme.deviation.is_some_and(f64::is_finite), "{extreme:?}");
    }
}
