//! What a race by repeats has proven, in words. Pure.

use super::format;
use super::ties::{Ties, list};
use sweep_core::history::History;
use sweep_scheduler::search::race::{Difference, Entrant, Race};
use sweep_spec::Spec;

/// Describes what the race has proven so far. `None` if there is no race, or if nothing was repeated yet.
pub fn ties(spec: &Spec, history: &History) -> Option<Ties> {
    if spec.most_repeats <= spec.repeats {
        return None;
    }
    let race = Race::new(history, &spec.metric, (spec.repeats.into(), spec.most_repeats.into()));
    let best = race.entrants.first()?;
    race.deviation()?;
    let tied = race.tied();
    let closest = tied.first().copied().unwrap_or(1);
    let mut said = vec![verdict(&race, &tied)];
    if let (Some(other), Some(difference)) = (race.entrants.get(closest), race.difference(closest)) {
        said.push(compared(spec, (best, other), difference, tied.is_empty()));
        said.push(method(&race));
    }
    if race.stopped > 0 {
        let many = format::count(race.stopped as u64);
        let was = if race.stopped == 1 { "configuration was" } else { "configurations were" };
        said.push(format!("{many} {was} stopped early, and not compared."));
    }
    let mut trials: Vec<_> = std::iter::once(best).chain(tied.iter().map(|rank| &race.entrants[*rank])).collect();
    let mut of_these = Vec::new();
    for one in trials.drain(..) {
        let own = history.trials.iter().filter(|trial| trial.ended_well() && trial.settings == *one.settings);
        of_these.extend(own.map(|trial| trial.id));
    }
    Some(Ties { trials: of_these, sentence: said.join(" "), unknown: false })
}

fn verdict(race: &Race, tied: &[usize]) -> String {
    let others = race.entrants.len() - 1;
    match (others, tied.len()) {
        (0, _) => "There is no other configuration to compare the best with.".to_owned(),
        (_, 0) => format!(
            "Proven: the best configuration is better than {} (95%).",
            match others {
                1 => "the other one".to_owned(),
                _ => format!("each of the {} others", format::count(others as u64)),
            }
        ),
        (_, count) => format!(
            "Not proven: after {2} repeats, {0} may be as good as the best one ({1}).",
            format::of_others(count, others, ["configuration", "configurations"]),
            list(tied.iter().map(|rank| format::settings(race.entrants[*rank].settings)), "; "),
            race.entrants[0].values.len()
        ),
    }
}

/// The comparison with the closest other configuration.
fn compared(spec: &Spec, (best, other): (&Entrant, &Entrant), difference: Difference, proven: bool) -> String {
    let Difference { value, margin } = difference;
    let (low, high) = (value.abs() - margin, value.abs() + margin);
    let amount = |value: f64| match value < 0.0 {
        true => format!("−{}", format::deviation(&spec.metric.name, -value)),
        false => format::deviation(&spec.metric.name, value),
    };
    let [own, its] = [best, other].map(|one| one.values.len());
    let repeats = match own == its {
        true => format!("{own} repeats each"),
        false => format!("{own} and {its} repeats"),
    };
    let which = if proven { "Closest" } else { "First of them" };
    format!(
        "{which}: {} against {}: {repeats}, difference in {} {}, 95% interval {} to {}.",
        format::settings(best.settings),
        format::settings(other.settings),
        format::metric(&spec.metric),
        amount(value.abs()),
        amount(low),
        amount(high)
    )
}

fn method(race: &Race) -> String {
    format!(
        "The intervals use Student's t with the pooled variance of the repeats. They are corrected for {} and {} at \
         the results (Bonferroni).",
        match race.entrants.len() - 1 {
            1 => "1 comparison".to_owned(),
            many => format!("{} comparisons", format::count(many as u64)),
        },
        if race.looks == 1 { "1 look".to_owned() } else { format!("{} looks", race.looks) }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranking::{Ranking, groups};
    use sweep_core::history::{Entry, Round};
    use sweep_core::trial::{Outcome, TrialId};

    /// Two rounds: every configuration once, then the first two a second time.
    fn raced(losses: [f64; 5]) -> (Spec, History) {
        let spec = Spec { repeats: 1, most_repeats: 2, ..sweep_sample::spec() };
        let mut history = sweep_sample::apply(&sweep_sample::beginning("race"));
        for (loss, number) in losses.into_iter().zip(1..) {
            let dropout = [0.1, 0.2, 0.3][(number as usize - 1) % 3];
            let settings = sweep_sample::settings(serde_json::json!({"dropout": dropout}));
            let mut entries = sweep_sample::attempt(number, 1, &settings, 0, 1);
            if let Some(Entry::Epoch { metrics, .. }) = entries.last_mut() {
                metrics.val_loss = Some(loss);
            }
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            entries.iter().for_each(|entry| history.apply(entry).unwrap());
            if number == 3 {
                let round = Round { after: 3, again: vec![TrialId(1), TrialId(2)] };
                history.apply(&Entry::Raced { at: 0.0, round }).unwrap();
            }
        }
        (spec, history)
    }

    #[test]
    fn a_proof_names_both_configurations_their_repeats_and_the_interval() {
        let (spec, history) = raced([0.5, 0.9, 2.0, 0.502, 0.901]);
        let said = ties(&spec, &history).unwrap();
        assert_eq!(said.trials, [1, 4].map(TrialId));
        let sentence = said.sentence;
        assert!(
            sentence.starts_with("Proven: the best configuration is better than each of the 2 others"),
            "{sentence}"
        );
        let closest = "Closest: dropout 0.1 against dropout 0.2: 2 repeats each, difference in validation loss 0.4";
        assert!(sentence.contains(closest), "{sentence}");
        assert!(sentence.contains("95% interval 0.39 to 0.41."), "{sentence}");
        assert!(sentence.contains("2 comparisons and 1 look at the results together (Bonferroni)"), "{sentence}");
    }

    #[test]
    fn what_is_not_separated_is_said_and_a_race_puts_no_configuration_last() {
        let (spec, history) = raced([0.5, 0.52, 2.0, 0.6, 0.61]);
        let said = ties(&spec, &history).unwrap();
        assert_eq!(said.trials, [1, 4, 2, 5].map(TrialId));
        let (sentence, open) = (said.sentence, "not separated from 1 of the 2 other configurations (dropout 0.2)");
        assert!(sentence.contains(open) && sentence.contains("after 2 repeats"), "{sentence}");
        assert!(sentence.contains("95% interval −"), "{sentence}");
        let groups = groups(&Ranking::new(&history, &spec.metric), &spec.metric);
        let means: Vec<f64> = groups.iter().map(|group| group.metric.mean).collect();
        assert!(means.is_sorted(), "{means:?}");
    }
}
