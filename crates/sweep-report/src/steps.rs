//! The next steps, taking into account what the sweep itself shows. Advice that some trials followed with success comes
//! first. Advice that made trials worse is reported instead of given. Checks that are known to pass are left out. Pure.

use std::cmp::Reverse;

use super::asked::{Ask, asked};
use super::effects::{Edge, Effects, Estimate, Factor, Target};
use super::format;
use super::moves::{Move, Way, reads_off};
use super::ranking::Group;
use super::verdicts::Verdicts;
use sweep_core::history::History;
use sweep_core::measurement::LEARNT;
use sweep_core::trial::{EpochMetrics, Settings, TrialId};
use sweep_verdict::Advice;

/// The conclusions from a sweep.
#[derive(Debug, Default)]
pub struct Steps {
    /// The open steps, in order of priority.
    pub open: Vec<Step>,
    /// The advice that is already settled and the reason, one sentence each.
    pub settled: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The advice and the number of trials that call for it.
    pub ask: Ask,
    /// The result of trials in this sweep that followed it.
    pub tried: Option<Tried>,
}

/// The result of advice that some trials followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The improvement of the metric, if it is clear.
    pub gain: Option<f64>,
    /// The result in one sentence.
    pub text: String,
}

impl Steps {
    /// Derives the steps from the findings, the parameters' effects, and the checks before training.
    pub fn new(history: &History, groups: &[Group], verdicts: &Verdicts, effects: Option<&Effects>) -> Steps {
        let (asks, settled) = asked(history, verdicts, groups.first());
        Steps::weighed(history, groups, effects, asks, settled)
    }

    fn weighed(
        history: &History,
        groups: &[Group],
        effects: Option<&Effects>,
        asks: Vec<Ask>,
        mut settled: Vec<String>,
    ) -> Steps {
        let effects = effects.zip(groups.first().map(|group| group.settings));
        let known = known(history, groups);
        let mut open = Vec::new();
        for ask in asks {
            let beyond = effects.and_then(|(effects, _)| effects.edges.iter().find(|edge| opposes(ask.advice, edge)));
            if let Some(edge) = beyond {
                let why = against(edge);
                settled.extend(Some(why).filter(|why| !settled.contains(why)));
                continue;
            }
            let in_order = known.iter().find(|(advice, _)| advice.contains(&ask.advice)).map(|(_, why)| why.clone());
            let seen = || effects.map_or(Ok(None), |(effects, best)| tried(ask.advice, effects, best));
            match in_order.map_or_else(seen, Err) {
                Ok(tried) => open.push(Step { ask, tried }),
                Err(why) if settled.contains(&why) => {}
                Err(why) => settled.push(why),
            }
        }
        // Proof that the images can be learned is always reported, even if no trial called for it.
        let capacity = known.into_iter().find(|(advice, _)| advice.contains(&Advice::CheckCapacity));
        settled.extend(capacity.map(|(_, why)| why).filter(|why| !settled.contains(why)));
        // This advice only says to wait for the checks.
        if open.iter().filter(|step: &&Step| step.ask.advice.is_check()).count() == 1 {
            open.retain(|step| step.ask.advice != Advice::NoMoreDropout);
        }
        // The bits of positive floats have the same order as the floats.
        let gain = |step: &Step| step.tried.as_ref().and_then(|tried| tried.gain).map(f64::to_bits);
        open.sort_by_key(|step| Reverse(gain(step)));
        Steps { open, settled }
    }
}

/// Whether the advice leads away from the edge toward which the results are proven to get better. What was measured
/// counts more than what a curve suggests.
fn opposes(advice: Advice, edge: &Edge) -> bool {
    let away = if edge.upper { Way::Less } else { Way::More };
    // A lower rate late in training is a lower rate, too.
    let advice = if advice == Advice::LowerLate { Advice::LowerLearningRate } else { advice };
    edge.proven && Move::of(advice).is_some_and(|made| made.way == away && made.is_about(&edge.setting))
}

/// The reason why advice that leads away from an edge is not given.
fn against(edge: &Edge) -> String {
    let (way, end) = if edge.upper { ("lower", "largest") } else { ("higher", "smallest") };
    format!(
        "The learning curves suggest a {way} {}, but the results get better up to the {end} value that was tried.",
        format::clean(&edge.setting)
    )
}

/// Advice that is already settled, with the reason.
fn known(history: &History, groups: &[Group]) -> Vec<(&'static [Advice], String)> {
    let pictures = history.pictures_sound();
    let mut known: Vec<(&[Advice], String)> = Vec::new();
    if let Some(seeds) = groups.iter().map(|group| group.trials.len()).min().filter(|seeds| *seeds > 1) {
        let text = format!(
            "Every configuration ran with at least {seeds} seeds, so differences beyond their spread are not chance."
        );
        known.push((&[Advice::Repeat], text));
    }
    if pictures {
        let text = "The images were checked before training, and no serious problem was found. Look elsewhere.";
        known.push((&[Advice::CheckData], text.into()));
    }
    if let Some((id, accuracy)) = learnt(history, groups.first()) {
        let right = format::value("train_eval_accuracy", Some(accuracy));
        let text = format!(
            "The network can fit the training set (trial {id}: {right}), so capacity and label noise are not the limit."
        );
        let checks: &[Advice] = &[Advice::CheckCapacity, Advice::CheckTask];
        known.push((&checks[..if pictures { 2 } else { 1 }], text));
    }
    known
}

/// The trial with the highest accuracy on its training images, if it memorizes them. Only networks no larger than that
/// of the best configuration count.
fn learnt(history: &History, best: Option<&Group>) -> Option<(TrialId, f64)> {
    let size = best.and_then(|best| history.trial(*best.trials.first()?)?.parameters);
    let fits = |own: Option<u64>| size.is_none_or(|size| own.is_some_and(|own| own <= size));
    let most = |(id, curve): (TrialId, &[EpochMetrics])| {
        let right = curve.iter().filter_map(|epoch| epoch.train_eval_accuracy.or(epoch.train_accuracy));
        Some((id, right.max_by(f64::total_cmp)?))
    };
    let all = history.trials.iter().filter(|trial| fits(trial.parameters));
    let all = all.filter_map(|trial| most((trial.id, &trial.curve)));
    all.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, accuracy)| *accuracy >= LEARNT)
}

/// The result of advice that some trials followed, or `None` without an estimate. The error case means that the result
/// was worse.
fn tried(advice: Advice, effects: &Effects, best: &Settings) -> Result<Option<Tried>, String> {
    let Some(made) = Move::of(advice) else { return Ok(None) };
    let factors = effects.factors.iter().enumerate().filter(|(_, factor)| made.is_about(&factor.name));
    let seen: Vec<(Estimate, String)> =
        factors.filter_map(|(at, factor)| seen(at, factor, made.way, effects, best)).collect();
    let better = |estimate: &Estimate| effects.metric.goal.better(estimate.value, 0.0);
    let helped = seen.iter().filter(|(estimate, _)| better(estimate) && estimate.is_clear());
    if let Some((estimate, text)) = helped.max_by(|a, b| a.0.value.abs().total_cmp(&b.0.value.abs())) {
        let text = format!("It helped in this sweep: {text}.");
        return Ok(Some(Tried { gain: Some(estimate.value.abs()), text }));
    }
    let said: Vec<&str> = seen.iter().map(|(_, text)| text.as_str()).collect();
    let said = said.join("; ");
    match &seen[..] {
        [] => Ok(None),
        seen if seen.iter().all(|(estimate, _)| !better(estimate) && estimate.is_clear()) => {
            Err(format!("Already tried, and worse: {said}."))
        }
        _ => Ok(Some(Tried { gain: None, text: format!("This sweep does not prove that it helps: {said}.") })),
    }
}

/// The effect on the metric of this change from the best configuration, or from off. Of several levels in this
/// direction, the best counts.
fn seen(at: usize, factor: &Factor, way: Way, effects: &Effects, best: &Settings) -> Option<(Estimate, String)> {
    let from = match way {
        Way::On => factor.levels.iter().position(|level| reads_off(level))?,
        _ if factor.exact && factor.ordered => best.get(&factor.name).and_then(|own| factor.level(own))?,
        // Numbers from a range are in bins. The first observation is the best configuration.
        _ if factor.ordered && effects.has_best => *factor.of.first()?,
        _ => return None,
    };
    let beyond = (0..factor.levels.len()).filter(|level| !factor.is_absent(*level)).filter(|level| match way {
        Way::On => *level != from,
        Way::More => *level > from,
        Way::Less => *level < from,
    });
    let model = effects.metric.model.as_ref()?;
    let all: Vec<(usize, Estimate)> =
        beyond.filter_map(|level| Some((level, model.difference(at, level, from)?))).collect();
    let (count, goal) = (all.len(), effects.metric.goal);
    let (level, estimate) = all.into_iter().reduce(|a, b| if goal.better(b.1.value, a.1.value) { b } else { a })?;
    let estimate = model.best_of(count, estimate);
    let [to, from] = [level, from].map(|level| format::cut(&factor.levels[level]));
    let (name, to, from) = (&factor.name, &to, &from);
    let Target { words, .. } = &effects.metric;
    let text = match estimate.is_clear() {
        true => {
            let (way, by) = (effects.metric.way(estimate), effects.metric.size(estimate));
            format!("{words} is {way} with {name} {to} than with {from}, by {by}")
        }
        false => effects.metric.range([&format!("{name} {to}"), from], words, estimate),
    };
    Some((estimate, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::analysis::Analysis;
    use super::*;
    use sweep_core::history::Entry;
    use sweep_core::trial::Outcome;
    use sweep_core::warning::Warning;
    use sweep_verdict::Mirror;

    /// Sixteen trials whose loss follows from their parameters: batch norm costs 0.3, augmentation gains 0.4.
    fn swept(pictures: Option<Vec<Warning>>, right: f64) -> History {
        let mut entries = sweep_sample::beginning("tried");
        if let Entry::Sweep { pictures: seen, .. } = &mut entries[0] {
            *seen = pictures;
        }
        for number in 1..=16_u64 {
            let (norm, augment, dropout) =
                (number % 2 == 0, number / 2 % 2 == 0, [0.0, 0.2][(number / 4 % 2) as usize]);
            let augment = if augment { json!({"crop": 4}) } else { json!(null) };
            let loss = 2.0 + if norm { 0.3 } else { 0.0 } - if augment.is_null() { 0.0 } else { 0.4 };
            let settings = sweep_sample::settings(json!({"batch_norm": norm, "augment": augment, "dropout": dropout}));
            let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 1);
            if let Some(Entry::Epoch { metrics, .. }) = attempt.last_mut() {
                metrics.val_loss = Some(loss + 0.01 * (number % 3) as f64);
                metrics.train_eval_accuracy = Some(right);
            }
            entries.extend(attempt);
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        sweep_sample::apply(&entries)
    }

    fn weighed(history: &History, advice: &[Advice]) -> Steps {
        let spec = sweep_sample::spec();
        let asks = advice.iter().map(|advice| Ask { advice: *advice, trials: 3, leads: true }).collect();
        let Analysis { groups, effects, .. } = Analysis::new(&spec, history);
        Steps::weighed(history, &groups, effects.as_ref(), asks, Vec::new())
    }

    #[test]
    fn what_helped_comes_first_and_what_was_tried_and_worse_is_not_advised() {
        let history = swept(None, 0.6);
        let asked = [Advice::CheckData, Advice::Augment(Mirror::Yes), Advice::BatchNorm, Advice::ClipGradients];
        let Steps { open, settled } = weighed(&history, &asked);
        let order: Vec<Advice> = open.iter().map(|step| step.ask.advice).collect();
        assert_eq!(order, [Advice::Augment(Mirror::Yes), Advice::CheckData, Advice::ClipGradients]);
        let tried = open[0].tried.as_ref().expect("half of the trials had it");
        assert!(tried.gain.is_some_and(|gain| (gain - 0.4).abs() < 0.02), "{tried:?}");
        assert!(tried.text.contains(" lower with augment "), "{tried:?}");
        let [worse] = &settled[..] else { panic!("{settled:?}") };
        assert!(
            worse.starts_with("Already tried, and worse: ") && worse.contains("higher with batch_norm true"),
            "{worse}"
        );
    }

    #[test]
    fn what_was_checked_need_not_be_looked_at_again() {
        let asked =
            [Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, Advice::NoMoreDropout, Advice::KnownNetwork];
        let open = |history: &History| weighed(history, &asked).open.len();
        assert_eq!(open(&swept(None, 0.6)), 5);
        assert_eq!(open(&swept(Some(Vec::new()), 0.6)), 4);
        assert_eq!(open(&swept(None, 1.0)), 4);
        let checked = weighed(&swept(Some(Vec::new()), 1.0), &asked);
        assert_eq!((checked.open.len(), checked.settled.len()), (1, 2), "{checked:?}");
        let wrong = Warning { name: "pixel_order".into(), serious: true, text: "scrambled".into() };
        assert_eq!(open(&swept(Some(vec![wrong]), 0.6)), 5);
    }
}
