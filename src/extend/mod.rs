//! Replaces a sweep's file by another one. This module finds the changes and decides whether old and new trials stay
//! comparable. It also converts the parameters of old trials to those of the new file. Pure.

mod changes;
#[cfg(test)]
mod searches;
mod settings;
pub mod stages;

use sweep_core::history::History;
use sweep_core::trial::{Settings, TrialId};
use sweep_spec::Spec;

/// The effect of a new file on a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// The changes, one line each; empty if the files mean the same.
    pub changes: Vec<String>,
    /// The old trials whose parameters are written differently in the new file.
    pub settings: Vec<(TrialId, Settings)>,
}

/// Whether two files mean the same sweep.
pub fn is_same(old: &Spec, new: &Spec) -> bool {
    changes::all(old, new).is_empty() && changes::incomparable(old, new).is_empty()
}

/// The reason why old and new trials would not be comparable.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The changes that are not allowed, one line each.
    pub reasons: Vec<String>,
    /// A parameter that could vary instead, with its values: `epochs: {values: [10, 20]}`.
    pub vary: Option<String>,
}

impl Growth {
    /// Compares two files whose data was inspected. If no trial has started, everything may change. If none has shown
    /// anything, as with a wrong command, what is run may change: there is nothing that new trials could be compared with.
    ///
    /// # Errors
    /// Returns an error if an old trial would be a different one in the new file.
    pub fn new(old: &Spec, new: &Spec, history: &History) -> Result<Growth, Refusal> {
        let changes = changes::all(old, new);
        if history.trials.is_empty() {
            return Ok(Growth { changes, settings: Vec::new() });
        }
        let mut reasons =
            if is_fruitless(history) { changes::drawn(old, new) } else { changes::incomparable(old, new) };
        let settings = if reasons.is_empty() { settings::rewritten(old, new, history) } else { Ok(Vec::new()) };
        let (constants, vary) = changes::constants(old, new);
        match settings {
            Ok(settings) if reasons.is_empty() => return Ok(Growth { changes, settings }),
            Ok(_) => reasons.extend(constants),
            // The training differs. The cause is a change in the sections, or else one that shows only in the trial.
            Err(_) if !constants.is_empty() => reasons = constants,
            Err(trial) => reasons = vec![format!("trial {trial} would be trained differently")],
        }
        Err(Refusal { reasons, vary })
    }
}

/// Whether no trial has reported an epoch or succeeded.
pub fn is_fruitless(history: &History) -> bool {
    !history.trials.iter().any(|trial| !trial.curve.is_empty() || trial.ended_well())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use sweep_core::trial::Outcome;

    fn spec(text: &str) -> Spec {
        Spec::read(text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    fn network(head: &str, training: &str) -> Spec {
        spec(&format!("{head}\ndata: {{set: digits}}\nmodel: linear\ntraining: {{{training}}}\n"))
    }

    /// A history with one trial per configuration.
    fn tried(settings: &[serde_json::Value]) -> History {
        let mut entries = sweep_sample::beginning("f");
        for (number, settings) in (1..).zip(settings) {
            entries.extend(sweep_sample::attempt(number, 1, &sweep_sample::settings(settings.clone()), 0, 1));
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        sweep_sample::apply(&entries)
    }

    fn settings(old: &Spec, new: &Spec, history: &History) -> Vec<serde_json::Value> {
        let growth = Growth::new(old, new, history).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        growth.settings.into_iter().map(|(_, settings)| settings.into()).collect()
    }

    fn reasons(old: &Spec, new: &Spec) -> (Vec<String>, Option<String>) {
        let refusal = Growth::new(old, new, &tried(&[json!({"batch_size": 64})])).unwrap_err();
        (refusal.reasons, refusal.vary)
    }

    const SIZES: &str = "parameters: {batch_size: {values: [64, 128]}}";

    #[test]
    fn a_new_parameter_has_in_the_trials_so_far_the_value_that_was_fixed() {
        let old = network(SIZES, "epochs: 5, optimizer: {type: sgd, momentum: 0.9}");
        let new = network(
            "parameters: {epochs: {values: [5, 9]}, batch_size: {values: [64, 256]}, learning_rate: {values: [0.01]}, \
             weight_decay: {min: 0.0, max: 0.1}, momentum: {values: [0.5], when: batch_size == 256}, \
             dropout: {values: [0.0, 0.2]}}\nmethod: random",
            "optimizer: {type: sgd, momentum: 0.9}",
        );
        let history = tried(&[json!({"batch_size": 64}), json!({"batch_size": 128})]);
        let all = settings(&old, &new, &history);
        // Values that the new file does not list are kept, because they are what was trained.
        let first = json!({"epochs": 5, "batch_size": 64, "learning_rate": 0.001, "weight_decay": 0.0, "dropout": 0.0});
        assert_eq!(all[0], first);
        assert_eq!(all[1]["batch_size"], 128);
        assert_eq!(all[0].to_string(), first.to_string(), "in the order of the new file");
    }

    #[test]
    fn a_table_that_becomes_a_parameter_is_told_as_a_whole() {
        let file = |head: &str, augment: &str, optimizer: &str| {
            let text =
                format!("{head}\ndata: {{set: digits{augment}}}\nmodel: linear\ntraining: {{epochs: 1{optimizer}}}\n");
            spec(&text)
        };
        let old = file(SIZES, ", augment: {flip: true}", ", optimizer: {type: sgd, momentum: 0.9}");
        let varied = format!(
            "{}, augment: {{values: [null, {{flip: true}}]}}, \
             optimizer: {{values: [adam, {{type: sgd, momentum: 0.9}}]}}}}",
            &SIZES[..SIZES.len() - 1]
        );
        let new = file(&varied, "", "");
        let growth = Growth::new(&old, &new, &tried(&[json!({"batch_size": 64})])).unwrap();
        let wanted = [
            "new parameter augment: null, {flip: true} (so far {flip: true})",
            "new parameter optimizer: adam, {type: sgd, momentum: 0.9} (so far {type: sgd, momentum: 0.9})",
        ];
        assert_eq!(growth.changes, wanted);
        assert_eq!(growth.settings[0].1["optimizer"], json!({"type": "sgd", "momentum": 0.9}));
        let back = Growth::new(&new, &old, &History::default()).unwrap();
        let gone = "no longer a parameter: augment (from now on {flip: true})";
        assert_eq!(back.changes[0], gone);
        assert_eq!(back.changes.len(), 2, "{:?}", back.changes);
    }

    #[test]
    fn what_a_trial_does_not_need_it_does_not_get() {
        let head =
            "parameters: {optimizer: {values: [adam, sgd]}, momentum: {values: [0.5, 0.9], when: optimizer == 'sgd'}";
        let [old, new] =
            [format!("{head}}}"), format!("{head}, nesterov: {{values: [false, true], when: momentum > 0}}}}")]
                .map(|head| network(&head, ""));
        let history = tried(&[json!({"optimizer": "adam"}), json!({"optimizer": "sgd", "momentum": 0.9})]);
        assert_eq!(settings(&old, &old, &history), [json!(null); 0]);
        let wanted = json!({"optimizer": "sgd", "momentum": 0.9, "nesterov": false});
        assert_eq!(settings(&old, &new, &history), [wanted]);
    }

    #[test]
    fn a_parameter_that_goes_stays_where_it_was_not_what_is_fixed_now() {
        let old = network("parameters: {batch_size: {values: [64, 128]}, epochs: {values: [1, 2]}}", "");
        let new = network(SIZES, "epochs: 2");
        let history = tried(&[json!({"batch_size": 64, "epochs": 1}), json!({"batch_size": 64, "epochs": 2})]);
        assert_eq!(settings(&old, &new, &history), [json!({"batch_size": 64})]);
    }

    #[test]
    fn what_would_make_another_trial_of_one_so_far_is_refused_with_a_remedy() {
        let old = network(SIZES, "epochs: 5");
        let (lines, vary) = reasons(&old, &network(SIZES, "epochs: 10"));
        assert_eq!(lines, ["epochs: 5 → 10"]);
        assert_eq!(vary.unwrap(), "epochs: {values: [5, 10]}");
        let cases = [
            (network(&format!("seed: 1\n{SIZES}"), "epochs: 5"), "seed: 0 → 1"),
            (
                network(&format!("metric: {{name: val_accuracy}}\n{SIZES}"), "epochs: 5"),
                "metric: the lowest val_loss → the highest val_accuracy",
            ),
            (spec(&format!("{SIZES}\ndata: {{set: mnist, path: x}}\nmodel: linear\n")), "data: "),
            (
                spec(&format!("{SIZES}\ndata: {{set: digits}}\nmodel: small\ntraining: {{epochs: 5}}\n")),
                "trial 0001 would be trained differently",
            ),
            (spec(&format!("{SIZES}\nprogram: train.py\n")), "program or command"),
        ];
        for (new, reason) in cases {
            let (lines, _) = reasons(&old, &new);
            assert!(lines[0].starts_with(reason), "{lines:?} {reason}");
            Growth::new(&old, &new, &History::default()).expect("no trial was begun");
        }
    }

    #[test]
    fn the_split_stays_whether_its_seed_is_named_or_not() {
        let file = |data: &str| spec(&format!("seed: 3\n{SIZES}\ndata: {{set: digits{data}}}\nmodel: linear\n"));
        let (plain, named, other) = (file(""), file(", split_seed: 3"), file(", split_seed: 4"));
        assert_eq!(settings(&plain, &named, &tried(&[json!({"batch_size": 64})])), [json!(null); 0]);
        assert!(is_same(&plain, &named), "the same images are held out");
        assert_eq!(reasons(&plain, &other), (vec!["split_seed: 3 → 4".to_owned()], None));
    }

    #[test]
    fn a_constant_that_no_trial_has_felt_may_change() {
        let optimizers = "parameters: {optimizer: {values: [adam, sgd]}}";
        let [old, new] = ["momentum: 0.5", "momentum: 0.9"].map(|training| network(optimizers, training));
        let growth = Growth::new(&old, &new, &tried(&[json!({"optimizer": "adam"})])).unwrap();
        assert_eq!(growth.changes, ["momentum: 0.5 → 0.9"]);
    }

    #[test]
    fn a_program_was_not_given_what_it_was_not_given() {
        let program = |parameters: &str| spec(&format!("program: train.py\nparameters: {{{parameters}}}\n"));
        let (old, new) = (program("x: {values: [1, 2]}"), program("y: {values: [1]}, x: {values: [2]}"));
        let growth = Growth::new(&old, &new, &tried(&[json!({"x": 1})])).unwrap();
        assert_eq!(growth.settings, []);
        assert_eq!(growth.changes, ["new parameter y: 1", "x: no longer 1"]);
    }

    #[test]
    fn changes_are_told_in_words() {
        let old = network("parameters: {batch_size: {values: [64, 128]}, epochs: {min: 1, max: 2}}", "");
        let new = network(
            "method: random\nrun_cap: 9\nrepeats: 2\nearly_terminate: {type: asha}\nexclude: [batch_size == 64 and epochs \
             == 1]\nparameters: {batch_size: {values: [64, 256]}, epochs: {min: 1, max: 4}, dropout: {values: [0.1]}}",
            "",
        );
        let growth = Growth::new(&old, &new, &History::default()).unwrap();
        insta::assert_snapshot!(growth.changes.join("\n"));
    }
}
