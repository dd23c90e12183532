//! Tests of how a search continues after its file was extended.

use std::collections::HashMap;
use std::path::Path;

use proptest::prelude::*;

use super::Growth;
use sweep_core::history::{Entry, History};
use sweep_core::trial::{Outcome, Settings, TrialId};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

fn spec(head: &str) -> Spec {
    let text = format!("{head}\ndata: {{set: digits}}\nmodel: linear\n");
    Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0
}

/// Runs trials up to this number, or to the end of the search.
fn run(spec: &Spec, history: &mut History, most: u64) -> Vec<Settings> {
    let mut search = Search::resumed(spec.search_terms(), history);
    let mut settings = Vec::new();
    for number in history.trials.len() as u64 + 1..=most {
        let Some(point) = search.next(TrialId(number), history) else { break };
        let mut entries = sweep_sample::attempt(number, 1, &point, 0, 2);
        entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        entries.iter().for_each(|entry| history.apply(entry).expect("they follow from each other"));
        settings.push(point);
    }
    settings
}

fn grow(old: &Spec, new: &Spec, history: &mut History) {
    let growth = Growth::new(old, new, history).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let entry = Entry::Extended {
        at: 0.0,
        version: "1".into(),
        base: "/".into(),
        start: None,
        before: String::new(),
        file: String::new(),
        changes: Vec::new(),
        trials: (None, None),
        settings: growth.settings,
        metric: None,
        stage: None,
    };
    // The entry passes through JSON, as in a resumed sweep.
    let line = serde_json::to_string(&entry).unwrap();
    history.apply(&serde_json::from_str(&line).unwrap()).unwrap();
}

fn word(point: &Settings) -> String {
    serde_json::Value::Object(point.clone()).to_string()
}

fn times(points: impl IntoIterator<Item = Settings>) -> HashMap<String, usize> {
    let mut times = HashMap::new();
    points.into_iter().for_each(|point| *times.entry(word(&point)).or_default() += 1);
    times
}

fn begun(name: &str) -> History {
    sweep_sample::apply(&sweep_sample::beginning(name))
}

fn list(values: &[u32]) -> String {
    format!("{values:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A grid of A that is extended to B runs the untried configurations of B once, in B's order. This includes
    /// repeats.
    #[test]
    fn a_grid_that_grows_runs_what_is_new_in_order_and_once(
        a in prop::sample::subsequence(vec![1_u32, 2, 3, 4], 1..=4),
        b in prop::sample::subsequence(vec![1_u32, 2, 3, 4], 1..=4),
        more in prop::sample::subsequence(vec![10_u32, 20, 30], 0..=3),
        trials in 0..13_u64,
        repeats in (1..3_u32, 1..3_u32),
        shuffled: bool,
        again: bool,
    ) {
        let old = spec(&format!("repeats: {}\nparameters: {{batch_size: {{values: {}}}}}", repeats.0, list(&a)));
        let order = if shuffled { "shuffled" } else { "file" };
        let epochs = if more.is_empty() { String::new() } else { format!(", epochs: {{values: {}}}", list(&more)) };
        let parameters = format!("parameters: {{batch_size: {{values: {}}}{epochs}}}", list(&b));
        let new = spec(&format!("order: {order}\nrepeats: {}\n{parameters}", repeats.1));
        let mut history = begun("grid");
        run(&old, &mut history, trials);
        let before = history.trials.len();
        grow(&old, &new, &mut history);
        let half = run(&new, &mut history, before as u64 + 3);
        if again {
            // The next trials do not depend on where a resume begins.
            let same = history.trials[before..].iter().map(|trial| trial.settings.clone());
            prop_assert_eq!(same.collect::<Vec<_>>(), half);
        }
        run(&new, &mut history, u64::MAX);

        let whole = run(&new, &mut begun("whole"), u64::MAX);
        let tried = times(history.trials[..before].iter().map(|trial| trial.settings.clone()));
        let (all, wanted) = (times(history.trials.iter().map(|trial| trial.settings.clone())), times(whole.clone()));
        for (point, count) in &wanted {
            let least = (*count).max(tried.get(point).copied().unwrap_or(0));
            prop_assert_eq!(all.get(point).copied().unwrap_or(0), least, "{}", point);
        }
        prop_assert!(all.keys().all(|point| wanted.contains_key(point) || tried.contains_key(point)));
        let new_ones = |points: Vec<Settings>| -> Vec<String> {
            points.iter().map(word).filter(|point| !tried.contains_key(point)).collect()
        };
        let ran = history.trials[before..].iter().map(|trial| trial.settings.clone()).collect();
        prop_assert_eq!(new_ones(ran), new_ones(whole));
    }
}

#[test]
fn more_trials_of_an_unchanged_search_are_those_it_would_have_had() {
    let rates = "learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}";
    let sizes = "batch_size: {values: [16, 32, 64]}, epochs: {min: 1, max: 9}";
    for (method, parameters) in
        [("random", rates), ("random", sizes), ("sobol", rates), ("sobol", sizes), ("tpe", rates), ("tpe", sizes)]
    {
        for (repeats, first) in [(1, 11), (2, 11)] {
            let head = format!("method: {method}\nseed: 5\nrepeats: {repeats}\nparameters: {{{parameters}}}\n");
            let (old, new) = (spec(&format!("{head}run_cap: {first}")), spec(&format!("{head}run_cap: 26")));
            let mut history = begun("grown");
            run(&old, &mut history, u64::MAX);
            assert_eq!(history.trials.len(), first);
            grow(&old, &new, &mut history);
            run(&new, &mut history, u64::MAX);
            let grown: Vec<_> = history.trials.iter().map(|trial| trial.settings.clone()).collect();
            assert_eq!(grown, run(&new, &mut begun("whole"), u64::MAX), "{method} {parameters} {repeats}");
        }
    }
}

#[test]
fn a_search_goes_on_with_another_method_and_tries_no_point_again() {
    let parameters = "parameters: {batch_size: {values: [16, 32, 64]}, epochs: {min: 1, max: 4}}";
    for method in ["random", "sobol", "tpe", "grid\norder: shuffled"] {
        let (old, new) = (
            spec(parameters),
            spec(&format!("method: {method}\n{parameters}\nenqueue: [{{epochs: 3, batch_size: 64}}]")),
        );
        let mut history = begun("grid");
        run(&old, &mut history, 5);
        grow(&old, &new, &mut history);
        run(&new, &mut history, u64::MAX);
        let all = times(history.trials.iter().map(|trial| trial.settings.clone()));
        assert_eq!((history.trials.len(), all.len()), (12, 12), "{method}");
        assert_eq!(word(&history.trials[5].settings), r#"{"batch_size":64,"epochs":3}"#, "{method}");
    }
}
