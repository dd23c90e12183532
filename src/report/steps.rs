//! What to do next, with what the sweep itself shows taken into account: what was tried and helped comes first, what
//! was tried and did not help is not advised but told, and what is known to be in order need not be looked at. Pure.

use std::cmp::Reverse;

use super::effects::{Effects, Estimate, Factor};
use super::fit::Advice;
use super::words;
use crate::check::Warning;
use crate::check::model::LEARNT;
use crate::history::History;
use crate::trial::{Settings, TrialId};

/// One step, or one that need not be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What.
    pub advice: Advice,
    /// So many trials ask for it.
    pub trials: usize,
    /// What the sweep says of it.
    pub evidence: Evidence,
}

/// What a sweep says of a piece of advice.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// Nothing.
    None,
    /// It was tried and helped, by so much of the metric: a sentence.
    Helped(f64, String),
    /// It was tried, and what came of it may be chance: a sentence.
    Unsure(String),
    /// It was tried and did not help, or is known to be in order: a sentence that says so.
    Settled(String),
}

impl Step {
    /// Whether it is worth taking.
    pub fn open(&self) -> bool {
        !matches!(self.evidence, Evidence::Settled(_))
    }
}

/// Which way a setting would go.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    More,
    Less,
    /// Anything but off.
    On,
}

/// The steps in the order in which they should be taken, those that are settled last. `best` are the best settings.
pub fn steps(
    advice: Vec<(Advice, usize)>,
    effects: Option<&Effects>,
    best: Option<&Settings>,
    history: &History,
) -> Vec<Step> {
    let sound = |warnings: &Vec<Warning>| !warnings.iter().any(|warning| warning.serious);
    let pictures = history.pictures.as_ref().is_some_and(sound);
    let learnt = learnt(history);
    let step = |(advice, trials): (Advice, usize)| {
        let evidence = match (advice, &learnt) {
            (Advice::CheckData, _) if pictures => {
                let text = "The pictures were checked before training, and nothing is wrong with them: look elsewhere.";
                Evidence::Settled(text.into())
            }
            (Advice::CheckCapacity, Some((id, accuracy))) => {
                let right = words::value("train_eval_accuracy", Some(*accuracy));
                Evidence::Settled(format!(
                    "The training pictures can be learnt: trial {id} judges {right} of them rightly. So neither the size \
                     of the network nor labels and pictures without sense hold training back."
                ))
            }
            (Advice::NoMoreDropout, Some(_)) if pictures => {
                Evidence::Settled("Pictures and capacity are in order, so dropout may be tried.".into())
            }
            _ => effects.zip(best).map_or(Evidence::None, |(effects, best)| tried(advice, effects, best)),
        };
        Step { advice, trials, evidence }
    };
    let mut steps: Vec<Step> = advice.into_iter().map(step).collect();
    let key = |step: &Step| match step.evidence {
        Evidence::Helped(by, _) => (0, Reverse(ordered(by))),
        Evidence::None | Evidence::Unsure(_) => (1, Reverse(0)),
        Evidence::Settled(_) => (2, Reverse(0)),
    };
    steps.sort_by_key(key);
    steps
}

/// Positive numbers in their order.
fn ordered(value: f64) -> u64 {
    value.max(0.0).to_bits()
}

/// The trial that knows most of its training pictures, if it knows them by heart.
fn learnt(history: &History) -> Option<(TrialId, f64)> {
    let most = |(id, curve): (TrialId, &[crate::trial::EpochMetrics])| {
        let right = curve.iter().filter_map(|epoch| epoch.train_eval_accuracy.or(epoch.train_accuracy));
        Some((id, right.max_by(f64::total_cmp)?))
    };
    let all = history.trials.iter().filter_map(|trial| most((trial.id, &trial.curve)));
    all.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, accuracy)| *accuracy >= LEARNT)
}

/// The settings that advice is about, by the beginning of their names, and which way they would go.
fn meaning(advice: Advice) -> Option<(&'static [&'static str], Way)> {
    Some(match advice {
        Advice::BatchNorm => (&["batch_norm"], Way::On),
        Advice::Augment(_) => (&["augment"], Way::On),
        Advice::ClipGradients => (&["clip_norm"], Way::On),
        Advice::MoreRegularisation => (&["dropout", "weight_decay"], Way::More),
        Advice::LessRegularisation => (&["dropout", "weight_decay"], Way::Less),
        Advice::LargerBatch => (&["batch_size"], Way::More),
        Advice::LowerLearningRate => (&["learning_rate"], Way::Less),
        Advice::HigherLearningRate => (&["learning_rate"], Way::More),
        _ => return None,
    })
}

/// What was seen of advice that some trials followed. Without an estimate nothing is said of it.
fn tried(advice: Advice, effects: &Effects, best: &Settings) -> Evidence {
    let Some((names, way)) = meaning(advice) else { return Evidence::None };
    let factors = effects.factors.iter().enumerate();
    let about = factors.filter(|(_, factor)| names.iter().any(|name| factor.name.starts_with(name)));
    let seen: Vec<(Estimate, String)> = about.filter_map(|(at, factor)| seen(at, factor, way, effects, best)).collect();
    let clear = |estimate: &Estimate| estimate.margin.is_some_and(|margin| margin < estimate.value.abs());
    let better = |estimate: &Estimate| effects.metric.goal.better(estimate.value, 0.0) && clear(estimate);
    let helped = seen.iter().filter(|(estimate, _)| better(estimate));
    if let Some((estimate, text)) = helped.max_by(|a, b| a.0.value.abs().total_cmp(&b.0.value.abs())) {
        return Evidence::Helped(estimate.value.abs(), format!("Tried here, and it helped: {text}."));
    }
    let chance = |estimate: &Estimate| if clear(estimate) { "" } else { ", which may be chance" };
    let said: Vec<String> = seen.iter().map(|(estimate, text)| format!("{text}{}", chance(estimate))).collect();
    let said = said.join("; ");
    match &seen[..] {
        [] => Evidence::None,
        seen if seen.iter().any(|(estimate, _)| effects.metric.goal.better(estimate.value, 0.0)) => {
            Evidence::Unsure(format!("Tried here: {said}."))
        }
        seen if seen.iter().any(|(estimate, _)| clear(estimate)) => {
            Evidence::Settled(format!("Tried here, and worse: {said}."))
        }
        _ => Evidence::Settled(format!("Tried here, and no better: {said}.")),
    }
}

/// What going that way from the best settings, or from off, did to the metric: the best of the levels that lie there.
fn seen(at: usize, factor: &Factor, way: Way, effects: &Effects, best: &Settings) -> Option<(Estimate, String)> {
    let off = |level: &str| ["false", "null", "none", "0", "0.0", "not set"].contains(&level);
    let from = match way {
        Way::On => factor.levels.iter().position(|level| off(level))?,
        _ if factor.ordered => best.get(&factor.name).and_then(|own| factor.level(own))?,
        _ => return None,
    };
    let beyond = (0..factor.levels.len()).filter(|level| match way {
        Way::On => *level != from,
        Way::More => *level > from,
        Way::Less => *level < from,
    });
    let model = effects.metric.model.as_ref()?;
    let all = beyond.filter_map(|level| Some((level, model.difference(at, level, from)?)));
    let goal = effects.metric.goal;
    let (level, estimate) = all.reduce(|a, b| if goal.better(b.1.value, a.1.value) { b } else { a })?;
    let way = if estimate.value < 0.0 { "lower" } else { "higher" };
    let text = format!(
        "{} is {} {way} with {} {} than with {}",
        effects.metric.words,
        effects.metric.margin(estimate),
        factor.name,
        factor.levels[level],
        factor.levels[from]
    );
    Some((estimate, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::analysis::Analysis;
    use super::*;
    use crate::history::Entry;
    use crate::report::fit::Mirror;
    use crate::report::sample;
    use crate::trial::Outcome;

    /// Sixteen trials whose loss is as the settings say: batch norm costs 0.3, augmentation brings 0.4.
    fn swept(pictures: Option<Vec<Warning>>, right: f64) -> History {
        let mut entries = sample::beginning("tried");
        if let Entry::Sweep { pictures: seen, .. } = &mut entries[0] {
            *seen = pictures;
        }
        for number in 1..=16_u64 {
            let (norm, augment, dropout) =
                (number % 2 == 0, number / 2 % 2 == 0, [0.0, 0.2][(number / 4 % 2) as usize]);
            let augment = if augment { json!({"crop": 4}) } else { json!(null) };
            let loss = 2.0 + if norm { 0.3 } else { 0.0 } - if augment.is_null() { 0.0 } else { 0.4 };
            let settings = sample::settings(json!({"batch_norm": norm, "augment": augment, "dropout": dropout}));
            let mut attempt = sample::attempt(number, 1, &settings, 0, 1);
            if let Some(Entry::Epoch { metrics, .. }) = attempt.last_mut() {
                metrics.val_loss = Some(loss + 0.01 * (number % 3) as f64);
                metrics.train_eval_accuracy = Some(right);
            }
            entries.extend(attempt);
            entries.push(sample::ended(number, 1, Outcome::Finished));
        }
        sample::apply(&entries)
    }

    fn judged(history: &History, advice: &[Advice]) -> Vec<Step> {
        let spec = sample::spec();
        let analysis = Analysis::new(&spec, history);
        let best = analysis.groups.first().map(|group| group.settings);
        steps(advice.iter().map(|one| (*one, 3)).collect(), analysis.effects.as_ref(), best, history)
    }

    #[test]
    fn what_helped_comes_first_and_what_was_tried_and_worse_is_not_advised() {
        let history = swept(None, 0.6);
        let asked = [Advice::CheckData, Advice::Augment(Mirror::Yes), Advice::BatchNorm, Advice::ClipGradients];
        let steps = judged(&history, &asked);
        let order: Vec<Advice> = steps.iter().map(|step| step.advice).collect();
        assert_eq!(order, [Advice::Augment(Mirror::Yes), Advice::CheckData, Advice::ClipGradients, Advice::BatchNorm]);
        let Evidence::Helped(by, text) = &steps[0].evidence else { panic!("{steps:#?}") };
        assert!((by - 0.4).abs() < 0.02 && text.contains(" lower with augment "), "{text}");
        let Evidence::Settled(text) = &steps[3].evidence else { panic!("{steps:#?}") };
        assert!(text.starts_with("Tried here, and worse: ") && text.contains("higher with batch_norm true"), "{text}");
        assert!(steps[..3].iter().all(Step::open) && !steps[3].open());
    }

    #[test]
    fn what_was_checked_need_not_be_looked_at_again() {
        let asked = [Advice::CheckData, Advice::CheckCapacity, Advice::NoMoreDropout, Advice::KnownNetwork];
        let open = |history: &History| judged(history, &asked).iter().filter(|step| step.open()).count();
        assert_eq!(open(&swept(None, 0.6)), 4);
        assert_eq!(open(&swept(Some(Vec::new()), 0.6)), 3);
        assert_eq!(open(&swept(None, 1.0)), 3);
        assert_eq!(open(&swept(Some(Vec::new()), 1.0)), 1);
        let wrong = Warning { name: "pixel_order".into(), serious: true, text: "scrambled".into() };
        assert_eq!(open(&swept(Some(vec![wrong]), 0.6)), 4);
    }
}
