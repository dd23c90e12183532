//! `method: tpe` on several slots. The parameters of each trial depend on the file, and not on which trial is faster.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;
use sweep_core::random::{Purpose, stream};

use crate::gpus::{driven, expect, gpu, show, sweep};
use crate::world::{World, processes_naming, wait_until};

const TRIALS: u64 = 30;

const OPTIONS: &str = "--trainer trainer --progress none";

/// A folder with this number of GPUs, and a sweep whose search learns from results.
fn world(gpus: u32, head: &str) -> World {
    let world = driven("", &(0..gpus).map(gpu).collect::<Vec<_>>());
    world.write(
        "s.yaml",
        &format!(
            "method: tpe\nrun_cap: {TRIALS}\n{head}\nparameters: {{learning_rate: {{min: 0.1, max: 1.0}}, \
             batch_size: {{min: 1, max: 64}}}}\ndata: {{set: digits, validation: 0.2, train_examples: 100}}\n\
             model: linear\ntraining: {{epochs: 2}}\ndevices: {{gpus: all}}\n"
        ),
    );
    world
}

/// Gives each trial a different duration from now on.
fn delay(world: &World, seed: u64) {
    let mut random = stream(seed, 0, 0, Purpose::Point);
    let line = |trial: u64| format!("{trial} slow {}\n", random.random_range(1..100));
    world.write("script", &(1..=TRIALS).map(line).collect::<String>());
}

fn journal(world: &World, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(world.path(&format!("results/{name}/journal.jsonl"))).unwrap_or_default();
    // The last line may be incomplete.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The parameters of each trial.
fn points(world: &World, name: &str) -> BTreeMap<u64, String> {
    let begun =
        journal(world, name).into_iter().filter(|entry| entry["is"] == "started" && entry["settings"].is_object());
    begun.map(|entry| (entry["attempt"]["trial"].as_u64().unwrap(), entry["settings"].to_string())).collect()
}

/// The trials in the order in which they ended.
fn ends(world: &World, name: &str) -> Vec<u64> {
    let ended = journal(world, name).into_iter().filter(|entry| entry["is"] == "ended");
    ended.map(|entry| entry["attempt"]["trial"].as_u64().unwrap()).collect()
}

#[test]
fn sweeps_whose_trials_end_in_another_order_or_that_are_killed_try_the_same_points() {
    let world = world(4, "");
    for (name, seed) in [("one", 1), ("other", 2)] {
        delay(&world, seed);
        expect(&world, &format!("run s.yaml --name {name} {OPTIONS}"), 0);
    }
    let wanted = points(&world, "one");
    assert_eq!(wanted.len(), TRIALS as usize);
    assert_eq!(wanted, points(&world, "other"));
    assert_ne!(ends(&world, "one"), ends(&world, "other"), "the order of the ends shows that it does not matter");

    delay(&world, 3);
    let mut run = sweep(&world, &format!("run s.yaml --name killed {OPTIONS}")).spawn().expect("sweep can be started");
    wait_until("half of the trials have ended", Duration::from_secs(60), || ends(&world, "killed").len() >= 15);
    run.kill().expect("it is our child");
    run.wait().expect("it is our child");
    wait_until("the trainers have followed", Duration::from_secs(5), || {
        processes_naming(&world.path("trainer")).is_empty()
    });
    assert!(points(&world, "killed").len() < TRIALS as usize);
    show(&world, &[gpu(0), gpu(1)]);
    expect(&world, &format!("resume results/killed {OPTIONS}"), 0);
    assert_eq!(wanted, points(&world, "killed"), "also on fewer slots");
}

#[test]
fn a_slot_that_waits_for_results_says_for_which() {
    let world = world(3, "lag: 0");
    // Trial 10 is the last one whose parameters do not depend on results.
    world.write("script", "10 slow 100000\n");
    let mut run = sweep(&world, &format!("run s.yaml {OPTIONS}")).stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("nine trials have ended", Duration::from_secs(60), || ends(&world, "s").len() == 9);
    let why = expect(&world, "status results/s --why", 0);
    assert!(why.contains("trial 0011 depends on the results of trials 1 to 10 and waits for trial 0010"), "{why}");
    run.kill().expect("it is our child");
    let output = run.wait_with_output().expect("it is our child");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("with `lag: 0`, only 1 of the 3 slots can train at the same time"), "{told}");
}
