//! Sweeps that are steered from another terminal while they run, with kills of the controller between.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use rand::RngExt;
use serde_json::Value;
use sweep_core::random::{Purpose, stream};

use crate::world::{World, processes_naming, wait_until};

const TRIALS: u64 = 9;

/// Number of sweeps that are steered.
const SWEEPS: u64 = 10;

/// Number of requests and kills per sweep.
const TURNS: u32 = 12;

fn world() -> World {
    let world = World::new();
    world.write(
        "train.sh",
        "x=${1#--x=}
for epoch in 1 2 3 4; do
  echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": $((x * 10 + epoch))}\"
  sleep 0.05
done
",
    );
    world.write(
        "s.yaml",
        "name: s
command: [sh, train.sh, \"${args}\"]
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 2, 3, 4, 5, 6, 7, 8, 9]}}
devices: {gpus: none}
retries: 100
stop_grace: 1
",
    );
    world
}

fn journal(world: &World, name: &str) -> Vec<Value> {
    let text = world.read(&format!("results/{name}/journal.jsonl"));
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn count(world: &World, name: &str, kind: &str) -> usize {
    journal(world, name).iter().filter(|entry| entry["is"] == kind).count()
}

/// Starts the controller, and waits until it has taken over.
fn start(world: &World, name: &str) -> Child {
    let path = world.path(&format!("results/{name}/journal.jsonl"));
    let (words, runs) = match path.exists() {
        true => (format!("resume results/{name} --progress none"), count(world, name, "run")),
        false => (format!("run s.yaml --name {name} --progress none"), 0),
    };
    let mut child = world.sweep(&words).stderr(std::process::Stdio::null()).spawn().expect("sweep can be started");
    wait_until("the controller has taken over", Duration::from_secs(60), || {
        child.try_wait().expect("it is our child").is_some() || path.exists() && count(world, name, "run") > runs
    });
    child
}

fn kill(world: &World, mut controller: Child) {
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    wait_until("its programs have followed", Duration::from_secs(10), || {
        processes_naming(&world.path("train.sh")).is_empty()
    });
}

#[test]
fn every_command_is_answered_by_the_running_controller_and_is_in_its_journal() {
    let world = world();
    world.write("train.sh", "while sleep 0.05; do echo \"{\\\"score\\\": ${1#--x=}}\"; done\n");
    let controller = start(&world, "s");
    wait_until("trials have reported", Duration::from_secs(60), || count(&world, "s", "row") > 4);
    for (words, answer) in [
        ("tag results/s 1 promising", "trial 0001 is tagged"),
        ("first results/s 7", "the parameters of trial 0007 are the next to run"),
        ("first results/s x==9", "the parameters of trial 0009 are the next to run"),
        ("skip results/s 8", "trial 0008 is skipped"),
        ("slots results/s 1", "1 of"),
        ("stop results/s 1 99", "trial 0099 does not exist"),
        ("pause results/s", "none starts until `sweep continue`"),
        ("status results/s", "s is paused"),
        ("continue results/s", "the sweep continues"),
        ("retry results/s 1 --from-scratch", "trial 0001 runs again, from the start"),
    ] {
        let said = world.expect(words, 0);
        assert!(said.contains(answer), "{words}: {said}");
        if words.starts_with("stop") {
            wait_until("trial 1 has ended", Duration::from_secs(60), || count(&world, "s", "ended") == 1);
        }
    }
    assert_eq!(count(&world, "s", "steered"), 9);
    assert!(world.expect("show results/s 1", 0).contains("promising"));
    assert!(world.path("results/s/requests").read_dir().unwrap().next().is_none(), "nothing is left behind");
    assert!(world.expect("list", 0).contains("running"));
    kill(&world, controller);
    let later = world.expect("stop results/s 2", 0);
    assert!(later.contains("sweep resume results/s"), "{later}");
    let controller = start(&world, "s");
    wait_until("the request is carried out", Duration::from_secs(60), || count(&world, "s", "steered") == 10);
    kill(&world, controller);
}

#[test]
fn ten_steered_sweeps_lose_no_trial_whatever_is_asked_and_killed() {
    let world = world();
    let mut random = stream(15, 0, 0, Purpose::Point);
    for number in 1..=SWEEPS {
        let name = format!("s{number}");
        let mut controller = start(&world, &name);
        for _ in 0..TURNS {
            let trial = random.random_range(1..=TRIALS);
            let words = match random.random_range(0..10) {
                0 => format!("stop results/{name} {trial}"),
                1 => format!("skip results/{name} {trial}"),
                2 => format!("retry results/{name} {trial}"),
                3 => format!("retry results/{name} {trial} --from-scratch"),
                4 => format!("pause results/{name}"),
                5 => format!("continue results/{name}"),
                6 => format!("first results/{name} {trial}"),
                7 => format!("slots results/{name} {}", random.random_range(1..3)),
                8 => format!("tag results/{name} {trial} text-{trial}"),
                _ => {
                    kill(&world, controller);
                    controller = start(&world, &name);
                    continue;
                }
            };
            world.expect(&words, 0);
        }
        world.expect(&format!("continue results/{name}"), 0);
        controller.wait().expect("it is our child");
        // Requests may have come after the end.
        let mut again = start(&world, &name);
        again.wait().expect("it is our child");
        check(&world, &name);
    }
}

/// Every trial has ended and is in the tables, which are those that the journal gives.
fn check(world: &World, name: &str) {
    let entries = journal(world, name);
    assert!(entries.iter().any(|entry| entry["is"] == "steered"), "{name}");
    let table = |file: &str| world.read(&format!("results/{name}/{file}"));
    let (trials, epochs) = (table("trials.csv"), table("epochs.csv"));
    world.expect(&format!("report results/{name}"), 0);
    assert_eq!((table("trials.csv"), table("epochs.csv")), (trials, epochs), "{name}");
    let values: BTreeSet<String> = world.column(&format!("results/{name}/trials.csv"), "x").into_iter().collect();
    assert_eq!(values.len() as u64, TRIALS, "{name}: {values:?}");
    let status = world.column(&format!("results/{name}/trials.csv"), "status");
    let known = |one: &String| ["finished", "stopped", "skipped"].contains(&one.as_str());
    assert!(status.len() as u64 == TRIALS && status.iter().all(known), "{name}: {status:?}");
    let epochs = world.column(&format!("results/{name}/trials.csv"), "epochs");
    for (status, epochs) in status.iter().zip(&epochs).filter(|(status, _)| *status == "finished") {
        assert_eq!(epochs, "4", "{name}: {status}");
    }
}

#[test]
fn a_run_ends_when_its_time_is_over_and_a_trial_when_its_own_is() {
    let world = world();
    world.write("train.sh", "while sleep 0.05; do echo \"{\\\"score\\\": ${1#--x=}}\"; done\n");
    let said = world.expect("run s.yaml --for 2s --progress plain", 130);
    assert!(said.contains("the time of this run is over"), "{said}");
    assert!(world.column("results/s/trials.csv", "status").iter().all(|status| status == "waiting"));
    world.write("s.yaml", &(world.read("s.yaml") + "max_time: {trial: 1s}\n"));
    world.expect("run s.yaml --name limited --progress none", 0);
    let status = world.column("results/limited/trials.csv", "status");
    assert!(status.len() as u64 == TRIALS && status.iter().all(|status| status == "stopped"), "{status:?}");
    assert!(world.expect("show results/limited 1", 0).contains("by max_time"));
}

#[test]
fn sweeps_are_listed_and_compared_and_the_best_trial_is_shown() {
    let world = world();
    world.expect("run s.yaml --progress none", 0);
    world.write("t.yaml", &world.read("s.yaml").replace("name: s\n", "name: t\n").replace("8, 9", "8, 10"));
    world.expect("run t.yaml --progress none", 0);
    let list = world.expect("list", 0);
    assert!(list.contains("results/s") && list.contains("results/t") && list.contains("9 of 9"), "{list}");
    let compared = world.expect("compare results/s results/t", 0);
    assert!(compared.contains("Best: results/t, score 104"), "{compared}");
    assert!(
        compared.lines().next().is_some_and(|head| head.trim_end().ends_with('x')),
        "the parameter differs: {compared}"
    );
    let json: Value = serde_json::from_str(&world.expect("compare results/s results/t --json", 0)).unwrap();
    assert_eq!((&json[0]["best"]["value"], &json[1]["best"]["settings"]["x"]), (&94.0.into(), &10.into()));
    assert!(world.expect("show results/t", 0).starts_with("Trial 0009 of t: finished"));
    assert!(world.expect("list nothing", 2).contains("contains no sweep"));
}
