//! The advice that a sweep's trials call for. The advice for the best configuration comes first, because the next sweep
//! starts from it. Then comes advice that many other trials call for, unless the best configuration already answers it.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use super::format;
use super::moves::{Move, Way};
use super::ranking::Group;
use super::verdicts::Verdicts;
use sweep_core::history::{History, TrialRecord};
use sweep_verdict::{Advice, Finding, Learning, OTHERS_REACH_MORE, merged_advice};

/// Advice is reported for the sweep if at least this share of its trials calls for it.
const COMMON: f64 = 0.25;

/// The best configuration and the findings in its trials.
#[derive(Debug)]
struct Best<'a> {
    group: &'a Group<'a>,
    findings: &'a [&'a Finding],
}

/// A piece of advice and the number of trials that call for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    pub advice: Advice,
    /// Number of trials that call for it.
    pub trials: usize,
    /// Whether trials of the best configuration are among them.
    pub leads: bool,
}

/// How the best configuration answers a finding in another trial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    /// The best configuration already follows the advice. The fields are the advice, the parameter's name, and its
    /// value in the best configuration.
    Followed(Advice, String, String),
    /// The best configuration learns the data that the trial does not learn.
    Learn,
}

/// Returns the advice for the sweep, most urgent first. Also returns one sentence for each finding that many trials
/// have and that the best configuration already answers. `best` is the best configuration.
pub fn asked(history: &History, verdicts: &Verdicts, best: Option<&Group>) -> (Vec<Ask>, Vec<String>) {
    let lead: Vec<&Finding> = best.iter().flat_map(|best| &best.trials).flat_map(|trial| verdicts.of(*trial)).collect();
    let best = best.map(|group| Best { group, findings: &lead });
    // `kinds` has one list per kind of advice, with one entry per trial. `answers` counts the trials that the best
    // configuration answers in each way.
    let mut kinds: Vec<Vec<Advice>> = Vec::new();
    let mut answers: BTreeMap<Answer, usize> = BTreeMap::new();
    for trial in verdicts.counted(history) {
        let findings = verdicts.of(trial.id);
        let all = || (findings.iter().flat_map(|one| &one.advice).copied().collect(), BTreeSet::new());
        let (wanted, answered) = best.as_ref().map_or_else(all, |best| best.wanted(trial, findings));
        for advice in wanted {
            match kinds.iter_mut().find(|kind| same(&kind[0], &advice)) {
                Some(kind) => kind.push(advice),
                None => kinds.push(vec![advice]),
            }
        }
        for answer in answered {
            *answers.entry(answer).or_default() += 1;
        }
    }
    let least = (verdicts.judged() as f64 * COMMON).max(1.0);
    let common = |trials: usize| trials as f64 >= least;
    let mut asks: Vec<Ask> = Vec::new();
    for advice in merged_advice(lead.iter().copied()) {
        if let Some(at) = kinds.iter().position(|kind| same(&kind[0], &advice)) {
            asks.push(Ask { advice, trials: kinds.swap_remove(at).len(), leads: true });
        }
    }
    kinds.retain(|kind| common(kind.len()));
    kinds.iter_mut().for_each(|kind| kind.sort_unstable());
    kinds.sort_unstable();
    // The trials may ask for different numbers of epochs, so the median is used.
    asks.extend(kinds.iter().map(|kind| Ask { advice: kind[kind.len() / 2], trials: kind.len(), leads: false }));
    // Checks come first, whichever trials call for them: a failed check makes all other advice pointless.
    asks.sort_by_key(|ask| !ask.advice.is_check());
    let still = |answer: &Answer| match answer {
        Answer::Followed(advice, ..) => asks.iter().any(|ask| same(&ask.advice, advice)),
        Answer::Learn => false,
    };
    let answers: Vec<(Answer, usize)> =
        answers.into_iter().filter(|(answer, trials)| common(*trials) && !still(answer)).collect();
    (asks, answers.into_iter().map(|(answer, trials)| answer.sentence(trials)).collect())
}

impl Best<'_> {
    /// The advice that a trial still calls for, and the answers that the best configuration gives. A finding that the
    /// best configuration shares is answered only by advice that it already follows.
    fn wanted(&self, trial: &TrialRecord, findings: &[Finding]) -> (BTreeSet<Advice>, BTreeSet<Answer>) {
        let (mut wanted, mut answered) = (BTreeSet::new(), BTreeSet::new());
        let best = self.group.settings;
        let followed = |advice: &Advice| {
            let (name, value) = Move::of(*advice)?.made(&trial.settings, best)?;
            Some(Answer::Followed(*advice, format::clean(name), format::brief(value)))
        };
        let on = |advice: &Advice| Move::of(*advice).is_some_and(|one| one.is_on(best));
        for finding in findings {
            let shared = self.findings.iter().any(|own| own.name == finding.name);
            let done = finding.advice.iter().find_map(followed);
            let too_little = finding.name.learning() == Learning::TooLittle;
            let held_back = (too_little && self.leaves_behind(trial)).then_some(Answer::Learn);
            let answer = if shared { done } else { done.or(held_back) };
            let open = |advice: &&Advice| match &answer {
                // Corrupt images affect the best configuration too: it overfits where it could generalize.
                Some(_) if !shared => **advice == Advice::CheckData,
                _ => followed(advice).is_none() && !on(advice),
            };
            wanted.extend(finding.advice.iter().filter(open));
            answered.extend(answer.clone());
        }
        (wanted, answered)
    }

    /// Whether the best configuration proves that the trial's data can be learned. Its accuracy must be far higher than
    /// the trial's.
    fn leaves_behind(&self, trial: &TrialRecord) -> bool {
        let proven = |own: &&Finding| own.name.learning() == Learning::Proven;
        let learns = !self.findings.is_empty() && self.findings.iter().all(proven);
        let reached = trial.curve.iter().filter_map(|epoch| epoch.val_accuracy).reduce(f64::max);
        let ahead = self.group.accuracy.zip(reached).map(|(own, other)| own.mean - other);
        learns && ahead.is_some_and(|ahead| ahead >= OTHERS_REACH_MORE)
    }
}

/// Whether two pieces of advice are of the same kind. Their numbers of epochs may differ.
fn same(a: &Advice, b: &Advice) -> bool {
    discriminant(a) == discriminant(b)
}

impl Answer {
    fn sentence(&self, trials: usize) -> String {
        let trials = format::trials(trials);
        match self {
            Answer::Followed(advice, name, value) => {
                let way = match Move::of(*advice).map(|one| one.way) {
                    Some(Way::More) => "a higher ",
                    Some(Way::Less) => "a lower ",
                    Some(Way::On) | None => "",
                };
                format!("The best configuration already has {way}{name} ({value}), as the findings in {trials} advise.")
            }
            Answer::Learn => format!(
                "The data can be learned: the best configuration is far better than {trials} on the same data, so the \
                 parameters of those trials are the limit."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::analysis::Analysis;
    use sweep_core::history::Entry;
    use sweep_core::trial::Outcome;
    use sweep_sample::curves::{Kind, curve};
    use sweep_verdict::Mirror;

    /// The advice for trials with these curves and parameters. The first curve is the best.
    fn of(trials: &[(Kind, Value)]) -> (Vec<Ask>, Vec<String>) {
        let mut entries = sweep_sample::beginning("asked");
        for (number, (kind, settings)) in (1..).zip(trials) {
            let mut curve = curve(*kind, 30, 0.01, number, true).into_iter();
            let mut attempt = sweep_sample::attempt(number, 1, &sweep_sample::settings(settings.clone()), 0, 30);
            for entry in &mut attempt {
                if let Entry::Epoch { metrics, .. } = entry {
                    *metrics = curve.next().expect("as many epochs");
                }
            }
            entries.extend(attempt);
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let (spec, history) = (sweep_sample::spec(), sweep_sample::apply(&entries));
        let analysis = Analysis::new(&spec, &history);
        asked(&history, &analysis.verdicts, analysis.groups.first())
    }

    fn advice(asks: &[Ask], leads: bool) -> Vec<Advice> {
        asks.iter().filter(|ask| ask.leads == leads).map(|ask| ask.advice).collect()
    }

    /// Good trials with one dropout rate, and overfitting trials with another.
    fn overfitting(good: f64, overfit: f64) -> Vec<(Kind, Value)> {
        let trial = |number: u32| {
            let (kind, rate) = if number < 4 { (Kind::Good, good) } else { (Kind::Overfit, overfit) };
            (kind, json!({"dropout": rate, "number": number}))
        };
        (0..8).map(trial).collect()
    }

    #[test]
    fn the_best_settings_are_asked_first_then_the_many() {
        let remedies = [Advice::Augment(Mirror::No), Advice::BatchNorm, Advice::MoreRegularization, Advice::StopEarly];
        let (asks, answered) = of(&overfitting(0.2, 0.2));
        assert_eq!(advice(&asks, true), [Advice::LowerLate, Advice::Repeat]);
        assert_eq!(advice(&asks, false), remedies);
        assert!(asks[0].leads && asks.iter().all(|ask| ask.trials == 4), "{asks:?}");
        assert_eq!(answered.len(), 1, "{answered:?}");
        // Advice for one trial in five is not reported.
        let (asks, _) = of(&overfitting(0.2, 0.2)[..5]);
        assert_eq!(advice(&asks, false), []);
    }

    #[test]
    fn what_the_best_settings_have_already_is_not_asked_for() {
        let (asks, answered) = of(&overfitting(0.4, 0.2));
        assert_eq!(advice(&asks, false), []);
        let told = "The best configuration already has a higher dropout (0.4), as the findings in 4 trials advise.";
        assert_eq!(answered[0], told);
        // A lower dropout rate in the best configuration does not answer the overfitting.
        let (asks, answered) = of(&overfitting(0.2, 0.4));
        assert_eq!(advice(&asks, false).len(), 4);
        assert!(answered.len() == 1 && !answered[0].contains("dropout"), "{answered:?}");
    }

    #[test]
    fn what_is_on_in_the_best_settings_is_not_advised_to_them() {
        let trial = |number: u32| (Kind::Overfit, json!({"batch_norm": number < 3, "number": number}));
        let (asks, answered) = of(&(0..6).map(trial).collect::<Vec<_>>());
        let norm = asks.iter().any(|ask| ask.advice == Advice::BatchNorm);
        let told = answered.contains(
            &"The best configuration already has batch_norm (true), as the findings in 3 trials advise.".into(),
        );
        // Noise decides which of equal curves is the best.
        assert!(norm != told, "{asks:?} {answered:?}");
        let (asks, _) = of(&(0..3).map(trial).collect::<Vec<_>>());
        assert!(asks.iter().all(|ask| ask.advice != Advice::BatchNorm), "{asks:?}");
    }

    #[test]
    fn who_learns_too_little_beside_others_that_learn_does_not_suspect_the_labels() {
        let trial = |number: u32| {
            let kind = if number < 2 { Kind::Overfit } else { Kind::Underfit };
            (kind, json!({"number": number}))
        };
        let (asks, answered) = of(&(0..6).map(trial).collect::<Vec<_>>());
        assert_eq!(advice(&asks, false), [Advice::CheckData]);
        assert_eq!(asks[0].advice, Advice::CheckData, "{asks:?}");
        assert!(
            answered.len() == 1
                && answered[0]
                    .starts_with("The data can be learned: the best configuration is far better than 4 trials"),
            "{answered:?}"
        );
        // A trial that is only slightly behind proves nothing about the data, which may be the reason why it learns
        // little.
        let (asks, answered) = of(&[(Kind::LowCeiling, json!({"number": 1})), (Kind::Underfit, json!({"number": 2}))]);
        assert!(advice(&asks, false).contains(&Advice::CheckTask) && answered.is_empty(), "{asks:?} {answered:?}");
        // If the best trial learns too little itself, the data is suspect.
        let (asks, answered) = of(&[(Kind::Underfit, json!({"number": 1}))]);
        assert!(advice(&asks, true).starts_with(&[Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity]));
        assert!(answered.is_empty(), "{answered:?}");
    }
}
