//! Races by repeats, budgets, and the defaults that are tried first, from outside.

use crate::world::World;

/// A program whose results depend on x and on the repeat, on one slot.
fn world(head: &str) -> World {
    let world = World::new();
    let script = "x=${1#--x=}\nfor epoch in 1 2 3; do\n\
                  echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": $((x * 100 + SWEEP_REPEAT * 7 % 5))}\"\ndone\n";
    world.write("train.sh", script);
    world.write(
        "s.yaml",
        &format!(
            "name: s\ncommand: [sh, train.sh, \"${{args}}\"]\ndevices: {{gpus: none, cpu_threads: 1000}}\n\
             metric: {{name: score, goal: minimize}}\n{head}\n"
        ),
    );
    world
}

#[test]
fn a_race_repeats_what_may_be_the_best_and_the_report_says_what_is_proven() {
    let world = world("repeats: {min: 1, max: 5}\nparameters: {x: {values: [3, 1, 4, 2, 5, 6]}}");
    let plan = world.expect("plan s.yaml", 0);
    assert!(plan.contains("6 trials, and at most 12 repeats of a race"), "{plan}");
    world.expect("run s.yaml --progress plain", 0);
    let journal = world.read("results/s/journal.jsonl");
    // The values of x in these trials are 1, 2, 3 and 4.
    assert!(journal.contains(r#""after":6,"again":[2,4,1,3]"#), "{journal}");
    let trials = world.column("results/s/trials.csv", "x");
    assert!(trials.len() > 8 && trials.len() < 18, "{trials:?}");
    let report = world.read("results/s/report.md");
    assert!(report.contains("Proven: the best configuration is better than each of the 5 others (95%)."), "{report}");
    assert!(report.contains("95% interval"), "{report}");
    let status = world.expect("status results/s", 0);
    assert!(status.contains("s is complete"), "{status}");
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "x"), trials, "a race that is over does not go on");
}

#[test]
fn a_budget_of_epochs_ends_a_search_without_an_end() {
    let head = "method: random\nbudget: {epochs: 14}\nearly_terminate: null\nparameters: {x: {min: 1, max: 1000000}}";
    let world = world(head);
    let plan = world.expect("plan s.yaml", 0);
    assert!(plan.contains("14 epochs for all runs together"), "{plan}");
    world.expect("run s.yaml --progress plain", 0);
    let epochs = world.column("results/s/trials.csv", "epochs");
    assert_eq!(epochs, ["3"; 4], "a fifth trial does not fit");
    let report = world.read("results/s/report.md");
    assert!(report.contains("Budget: 14 epochs. Used: ") && report.contains("12 epochs"), "{report}");
    assert!(world.read("results/s/journal.jsonl").contains("\"is\":\"bought\""));
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "epochs").len(), 4);
}

#[test]
fn what_a_limit_needs_is_said_before_anything_runs() {
    let gpus = world("budget: {gpu_hours: 2}\nparameters: {x: {values: [1, 2]}}");
    let told = gpus.expect("run s.yaml --progress none", 3);
    assert!(told.contains("the sweep uses no GPU"), "{told}");
}

#[test]
fn the_plan_names_the_trial_with_the_defaults() {
    let world = World::new();
    let file = "method: random\nrun_cap: 4\nparameters:\n  learning_rate: {distribution: log_uniform_values, min: 1e-4, \
                max: 1e-1}\n  batch_size: {values: [32, 64]}\ndata: {set: digits}\nmodel: linear\n";
    world.write("s.yaml", file);
    let plan = world.expect("plan s.yaml", 0);
    assert!(plan.contains("trial 1 has the defaults: learning_rate 0.001"), "{plan}");
    assert!(plan.contains("batch_size"), "{plan}");
    let list = world.expect("plan s.yaml --list", 0);
    assert!(list.starts_with("0001 learning_rate=0.001"), "{list}");
    world.write("s.yaml", &format!("{file}enqueue: []\n"));
    assert!(!world.expect("plan s.yaml", 0).contains("has the defaults"));
}
