//! The trials that cannot be distinguished from the best. Pure.
//!
//! With repeats, the spread between seeds decides, by Student's t. The variance is pooled over the better half of the
//! configurations, because those that do not learn have a different spread. Without repeats, the accuracies alone
//! decide, with the binomial error for the number of validation images, if the trials are ranked by them; otherwise the
//! movement of the metric from epoch to epoch. The effect of other seeds is then unknown.

use std::f64::consts::SQRT_2;

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::effects::Repeats;
use super::raced;
use super::ranking::{Group, Place, Ranking};
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::TrialId;
use sweep_spec::Spec;

/// Number of seeds with which the report advises to repeat tied trials.
pub const SEEDS: u64 = 3;

/// Confidence level of a difference.
const CONFIDENCE: f64 = 0.95;

/// The trials that share first place.
#[derive(Debug, Default)]
pub struct Ties {
    /// All trials that may be the best, best first. They include the best trial and its repeats.
    pub trials: Vec<TrialId>,
    /// The method and the result in one sentence. It is empty if there is nothing to report.
    pub sentence: String,
    /// Whether it is unknown how much of the differences is due to chance.
    pub unknown: bool,
}

impl Ties {
    /// Compares all trials with the best.
    pub fn new(spec: &Spec, history: &History, ranking: &Ranking, groups: &[Group]) -> Ties {
        let without = || match spec.metric.name.as_str() {
            "val_accuracy" => by_accuracy(ranking),
            _ => by_noise(spec, ranking),
        };
        let known = raced::ties(spec, history).or_else(|| by_repeats(spec, groups)).or_else(without);
        known.unwrap_or_else(|| Ties::unknown(ranking, groups))
    }

    /// The trials have one value each, and ran once.
    fn unknown(ranking: &Ranking, groups: &[Group]) -> Ties {
        let unknown = groups.len() > 1;
        let sentence = "Every configuration ran once, so it is not known how much of their differences is due to \
            chance.";
        Ties {
            trials: ranking.best().map(|best| best.trial.id).into_iter().collect(),
            sentence: if unknown { sentence.to_owned() } else { String::new() },
            unknown,
        }
    }
}

/// The two-sided quantile of Student's t, corrected for this many comparisons (Bonferroni).
pub fn students_t(freedom: f64, comparisons: usize) -> f64 {
    let chance = (1.0 - CONFIDENCE) / comparisons as f64;
    StudentsT::new(0.0, 1.0, freedom).map_or(1.96, |t| t.inverse_cdf(1.0 - chance / 2.0))
}

fn by_repeats(spec: &Spec, groups: &[Group]) -> Option<Ties> {
    let better = &groups[..groups.len().div_ceil(2)];
    let Repeats { squares, freedom } = Repeats::new(better.iter().map(|group| (&group.metric, group.trials.len())));
    let best = groups.first().filter(|_| freedom >= 1.0)?;
    if groups.len() == 1 {
        // There is no other configuration to compare with.
        return Some(Ties { trials: best.trials.clone(), sentence: String::new(), unknown: false });
    }
    let deviation = (squares / freedom).sqrt();
    let tied = |group: &&Group| {
        let share = 1.0 / best.trials.len() as f64 + 1.0 / group.trials.len() as f64;
        (group.metric.mean - best.metric.mean).abs() <= students_t(freedom, 1) * deviation * share.sqrt()
    };
    let tied: Vec<&Group> = groups[1..].iter().filter(tied).collect();
    let seeds = super::format::deviation(&spec.metric.name, deviation);
    let sentence = match tied.len() {
        0 => format!(
            "No other configuration is tied with the best: all differences are larger than the spread between seeds \
             (standard deviation {seeds}) explains (95%)."
        ),
        count => format!(
            "Tied with the best: {} ({}). The spread between seeds (standard deviation {seeds}) could explain the differences (95%).",
            super::format::of_others(count, groups.len() - 1, ["configuration", "configurations"]),
            list(tied.iter().map(|group| super::format::settings(group.settings)), "; "),
        ),
    };
    let trials = best.trials.iter().chain(tied.iter().flat_map(|group| &group.trials)).copied().collect();
    Some(Ties { trials, sentence, unknown: false })
}

/// Describes what would settle the tie, and how long that takes with the number of slots that the sweep used: `repeat
/// these 7 with 3 seeds: 14 min`. `None` without ties.
pub fn settling(history: &History, tied: &[TrialId], slots: usize) -> Option<String> {
    let tied: Vec<&TrialRecord> = tied.iter().filter_map(|id| history.trial(*id)).collect();
    if tied.len() < 2 {
        return None;
    }
    let seconds = tied.iter().map(|trial| trial.seconds).sum::<f64>() * SEEDS as f64 / slots.max(1) as f64;
    Some(format!(
        "To settle it, repeat these {} with {SEEDS} seeds: {}.",
        super::format::count(tied.len() as u64),
        super::format::duration(seconds)
    ))
}

/// Compares by the movement of the metric from epoch to epoch, near the end of the best trial.
fn by_noise(spec: &Spec, ranking: &Ranking) -> Option<Ties> {
    let (best, metric) = (ranking.best()?, &spec.metric);
    let noise = sweep_verdict::noise(&best.trial.curve, metric)?;
    let value = |place: &Place| place.best.get(&metric.name);
    let own = value(best)?;
    let tied = |place: &&Place| value(place).is_some_and(|other| (other - own).abs() <= 1.96 * SQRT_2 * noise);
    let tied: Vec<TrialId> = ranking.placed[1..].iter().filter(tied).map(|place| place.trial.id).collect();
    let (name, moves) = (super::format::metric(metric), super::format::deviation(&metric.name, noise));
    let sentence = match tied.len() {
        0 => format!(
            "No other trial is tied with the best: all differences are larger than the changes of {name} from epoch \
             to epoch (standard deviation {moves}). The effect of other seeds is not known."
        ),
        count => format!(
            "Tied with the best: {} ({}). From epoch to epoch, {name} moves by about {moves} (standard deviation), which could explain the differences (95%).",
            super::format::of_others(count, ranking.placed.len() - 1, ["trial", "trials"]),
            list(tied.iter().map(TrialId::to_string), ", "),
        ),
    };
    Some(Ties { trials: std::iter::once(best.trial.id).chain(tied).collect(), sentence, unknown: false })
}

fn by_accuracy(ranking: &Ranking) -> Option<Ties> {
    let best = ranking.best()?;
    let variance = |place: &Place| {
        let (share, pictures) = (place.best.val_accuracy?, place.trial.validation_examples?);
        (pictures > 0 && (0.0..=1.0).contains(&share)).then(|| share * (1.0 - share) / pictures as f64)
    };
    let own = variance(best)?;
    let tied = |place: &&Place| {
        let behind = best.best.val_accuracy.zip(place.best.val_accuracy).map(|(best, other)| best - other);
        behind.zip(variance(place)).is_some_and(|(behind, other)| behind <= 1.96 * (own + other).sqrt())
    };
    let tied: Vec<TrialId> = ranking.placed[1..].iter().filter(tied).map(|place| place.trial.id).collect();
    let pictures = super::format::count(best.trial.validation_examples?);
    let sentence = match tied.len() {
        0 => format!(
            "No other trial is tied with the best: all differ from it in accuracy by more than chance explains on {pictures} validation images (95%)."
        ),
        count => format!(
            "Tied with the best: {} ({}). Chance could explain the differences in accuracy on {pictures} validation images (95%).",
            super::format::of_others(count, ranking.placed.len() - 1, ["trial", "trials"]),
            list(tied.iter().map(TrialId::to_string), ", "),
        ),
    };
    Some(Ties { trials: std::iter::once(best.trial.id).chain(tied).collect(), sentence, unknown: false })
}

/// Lists the first few items, and the number of the others.
pub fn list(items: impl ExactSizeIterator<Item = String>, between: &str) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.take(SHOWN).collect::<Vec<_>>().join(between);
    if more == 0 { shown } else { format!("{shown}{between}and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::groups;
    use sweep_core::history::{Entry, History};
    use sweep_core::trial::{Goal, Metric, Outcome, Settings};

    /// Trials of one epoch with these validation losses, three per configuration.
    fn history(losses: &[[f64; 3]]) -> History {
        let mut entries = sweep_sample::beginning("ties");
        let mut number = 0;
        for (at, losses) in losses.iter().enumerate() {
            let settings: Settings = sweep_sample::settings(serde_json::json!({"a": at}));
            for loss in losses {
                number += 1;
                let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 1);
                if let Some(Entry::Epoch { metrics, .. }) = attempt.last_mut() {
                    metrics.val_loss = Some(*loss);
                }
                entries.extend(attempt);
                entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            }
        }
        sweep_sample::apply(&entries)
    }

    #[test]
    fn settings_within_the_spread_of_seeds_are_tied_and_others_are_not() {
        let history = history(&[[0.50, 0.52, 0.54], [0.51, 0.53, 0.55], [0.9, 0.92, 0.94], [2.3, 2.3, 2.3]]);
        let spec = sweep_sample::spec();
        let ranking = Ranking::new(&history, &spec.metric);
        let ties = Ties::new(&spec, &history, &ranking, &groups(&ranking, &spec.metric));
        assert_eq!(ties.trials, (1..=6).map(TrialId).collect::<Vec<_>>());
        assert!(
            ties.sentence.contains("Tied with the best: 1 of the 3 other configurations (a 1)"),
            "{}",
            ties.sentence
        );
    }

    #[test]
    fn without_repeats_the_number_of_validation_pictures_decides() {
        let metric = Metric { name: "val_accuracy".into(), goal: Goal::Maximize };
        let spec = Spec { metric, ..sweep_sample::spec() };
        let history = sweep_sample::history();
        let ranking = Ranking::new(&history, &spec.metric);
        let ties = Ties::new(&spec, &history, &ranking, &groups(&ranking, &spec.metric));
        assert_eq!(ties.trials[0], ranking.best().expect("there is one").trial.id);
        assert!(ties.sentence.contains("4,900 validation images"), "{}", ties.sentence);
    }

    #[test]
    fn trials_ranked_by_a_loss_are_compared_by_that_loss() {
        let loss = |trial: u64, epoch: u32| {
            let wobble = 0.02 * f64::from((epoch * epoch * 7919) % 11) / 11.0;
            1.0 / f64::from(epoch) + wobble + [0.0, 0.001, 0.5][trial as usize - 1]
        };
        let mut entries = sweep_sample::beginning("ties");
        for number in 1..=3 {
            let settings = sweep_sample::settings(serde_json::json!({"a": number}));
            let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 20);
            for entry in &mut attempt {
                if let Entry::Epoch { metrics, .. } = entry {
                    metrics.val_loss = Some(loss(number, metrics.epoch));
                }
            }
            entries.extend(attempt);
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let (spec, history) = (sweep_sample::spec(), sweep_sample::apply(&entries));
        let ranking = Ranking::new(&history, &spec.metric);
        let ties = Ties::new(&spec, &history, &ranking, &groups(&ranking, &spec.metric));
        assert_eq!(ties.trials, [TrialId(1), TrialId(2)]);
        assert!(ties.sentence.contains("validation loss moves by about"), "{}", ties.sentence);
        let said = settling(&history, &ties.trials, 2).expect("two are tied");
        assert_eq!(said, "To settle it, repeat these 2 with 3 seeds: 3 min 00 s.");
    }

    #[test]
    fn students_t_is_the_tables() {
        assert!((students_t(4.0, 1) - 2.776).abs() < 1e-3 && (students_t(1e6, 1) - 1.96).abs() < 1e-3);
    }
}
