//! The examples in the documentation are correct.

use std::path::Path;
use std::time::{Duration, Instant};

use sweep_core::trial::TrialId;
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

use crate::world::World;

/// The pages with sweep files, and the minimum number of sweep files on each.
const PAGES: [(&str, &str, usize); 7] = [
    ("README.md", include_str!("../../README.md"), 2),
    ("docs/reference/sweep-file.md", include_str!("../../docs/reference/sweep-file.md"), 6),
    ("docs/reference/data-sets.md", include_str!("../../docs/reference/data-sets.md"), 1),
    ("docs/guides/tune-your-script.md", include_str!("../../docs/guides/tune-your-script.md"), 1),
    ("docs/guides/built-in-trainer.md", include_str!("../../docs/guides/built-in-trainer.md"), 1),
    ("docs/guides/cluster.md", include_str!("../../docs/guides/cluster.md"), 1),
    ("docs/guides/shared-gpus.md", include_str!("../../docs/guides/shared-gpus.md"), 1),
];

#[test]
fn every_sweep_file_of_the_documentation_is_read_and_has_trials() {
    for (page, text, least) in PAGES {
        let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        assert!(blocks.len() >= least, "{page} has {} sweep files", blocks.len());
        for block in blocks {
            let (spec, notes) = Spec::read(block, page, Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
            assert!(notes.is_empty(), "{notes:?}");
            let mut search = Search::new(spec.search_terms());
            // A budget ends what has no end of its own.
            let trials = search.len().or((!spec.budget.is_none()).then_some(10)).expect("every example has an end");
            for trial in (1..=trials).map(TrialId) {
                // The parameters that `tpe` chooses depend on results, which do not exist here.
                if search.needs(trial) > 0 {
                    break;
                }
                let settings = search.settings(trial).unwrap_or_else(|| panic!("{block}has no trial {trial}"));
                if spec.network().is_some() {
                    spec.recipe(&settings).unwrap_or_else(|error| panic!("{block}{error}"));
                }
            }
        }
    }
}

/// Not a benchmark. Listing all configurations would exceed the limit by far.
#[test]
fn a_large_constrained_grid_is_planned_at_once_and_any_trial_is_known() {
    let names = ["learning_rate", "weight_decay", "batch_size", "epochs"];
    let values =
        |at: usize| (1..=11).map(|n| if at < 2 { format!("{n}e-3") } else { n.to_string() }).collect::<Vec<_>>();
    let mut text = "parameters:\n  optimizer: {values: [adam, sgd]}\n".to_owned();
    for (at, name) in names.iter().enumerate() {
        text += &format!("  {name}: {{values: [{}]}}\n", values(at).join(", "));
    }
    text += "  momentum: {distribution: q_uniform, min: 0, max: 0.98, q: 0.01, when: optimizer == \"sgd\"}\n";
    text += "exclude: [{batch_size: 3, epochs: [4, 5]}, learning_rate < 0.004 and weight_decay > 0.005, \
        batch_size < epochs and momentum > 0.9]\ndata: {set: digits}\nmodel: linear\n";
    let world = World::new();
    world.write("large.yaml", &text);
    let began = Instant::now();
    let plan: serde_json::Value = serde_json::from_str(&world.expect("plan large.yaml --json", 0)).expect("JSON");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // Of 121 pairs of batch_size and epochs, 2 are excluded. In 55 pairs, including those 2, batch_size is smaller than
    // epochs. In these, only 91 of momentum's 99 values remain. adam has no momentum.
    let rates = 121 - 3 * 6;
    let sgd = (119 - 53) * 99 + 53 * 91;
    assert_eq!(plan["points"], rates * (119 + sgd));
    let (spec, _) = Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
    let count = plan["points"].as_u64().expect("a number");
    assert!(count > 1_000_000);
    let began = Instant::now();
    let mut search = Search::new(spec.search_terms());
    let momentum = |settings: &serde_json::Map<_, _>| settings.contains_key("momentum");
    assert_eq!(search.settings(TrialId(count)).as_ref().map(momentum), Some(true));
    assert_eq!(search.settings(TrialId(count / 200)).as_ref().map(momentum), Some(false));
    assert_eq!(search.settings(TrialId(count + 1)), None);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn lint_ends_by_whether_the_file_runs_here() {
    let world = World::new();
    world.write(
        "ours.yaml",
        "method: grid\nparameters: {batch_size: {values: [1e1, 20]}}\ndata: {set: digits}\nmodel: linear\n",
    );
    let text = world.expect("lint ours.yaml", 0);
    assert!(text.contains("reads `1e1` as text") && text.ends_with("`sweep plan` shows what it runs.\n"), "{text}");
    world.write(
        "theirs.yaml",
        "program: train.py\nmethod: bayes\nmetric: {name: val_loss}\nparameters: {lr: {min: 0.1, max: 1.0}}\n",
    );
    world.expect("lint theirs.yaml", 0);
    world.write("theirs.yaml", "method: grid\nprogram: train.py\nparameters: {lr: {min: 0.1, max: 1.0}}\n");
    let text = world.expect("lint theirs.yaml --json", 3);
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["runs"], false);
    let findings = report["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|one| one["line"] == 3 && one["verdict"] == "not_here"), "{text}");
    world.expect("lint absent.yaml", 2);
}
