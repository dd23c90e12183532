//! Kills at random moments, for a configurable number of rounds. The controller and trainers are killed by signals and
//! by the script. Then the journal and the tables are compared with those of an undisturbed sweep.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Child;
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process};
use sweep_core::random::{Purpose, stream};

use crate::faults::scripted;
use crate::world::{World, processes_naming, send, wait_until};

/// Maximum lifetime of a controller. A sweep takes about a second.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

const TRIALS: u64 = 8;

const SWEEP: &str = "
name: soak
parameters: {learning_rate: {values: [1e-1, 1e-2, 1e-3, 1e-4]}, batch_size: {values: [16, 32]}}
data: {set: digits, validation: 0.2, train_examples: 100}
model: linear
training: {epochs: 4}
retries: 100
";

/// Faults that may occur in an attempt.
const FAULTS: [&str; 9] = ["crash", "segfault", "killed", "quit", "torn", "twice", "garbage", "halves", "old-attempt"];

type Count<'a> = BTreeMap<&'a str, u32>;

/// `SOAK_ROUNDS` sets the number of rounds, 200 by default. `make soak` sets 2,000.
#[test]
fn whatever_is_killed_at_whatever_moment_no_trial_is_lost_or_repeated() {
    #[allow(clippy::disallowed_methods, reason = "the Makefile says how long")]
    let rounds = std::env::var("SOAK_ROUNDS").map_or(200, |rounds| rounds.parse().expect("a number of rounds"));
    let world = scripted("");
    world.write("soak.yaml", SWEEP);
    let options = "--progress none --trainer trainer";
    world.expect(&format!("run soak.yaml --name whole {options}"), 0);
    let mut random = stream(23, 0, 0, Purpose::Point);
    let (mut done, mut sweeps, mut counts) = (0_u32, 0_u64, Count::new());
    while done < rounds {
        sweeps += 1;
        world.write("script", &script(&mut random, &mut counts));
        let name = format!("soak-{sweeps}");
        loop {
            let words = match world.path(&format!("results/{name}/journal.jsonl")).exists() {
                true => format!("resume results/{name} {options}"),
                false => format!("run soak.yaml --name {name} {options}"),
            };
            let mut controller = world.sweep(&words).spawn().expect("sweep can be started");
            if live(&mut controller, LONGEST_LIFE.mul_f64(random.random())) {
                break;
            }
            done += 1;
            let trainers = processes_naming(&world.path("trainer"));
            match random.random_range(0..4) {
                0 if !trainers.is_empty() => {
                    let victim = trainers[random.random_range(0..trainers.len())];
                    // The trainer may have exited in the meantime.
                    let _ = kill_process(Pid::from_raw(victim as i32).expect("no process is 0"), Signal::KILL);
                    *counts.entry("trainers killed").or_default() += 1;
                    if live(&mut controller, LONGEST_LIFE.mul_f64(random.random())) {
                        break;
                    }
                }
                1 => {
                    send(&controller, Signal::TERM);
                    *counts.entry("controllers terminated").or_default() += 1;
                    // The signal may be too early or too late to be caught.
                    wait_until("it has saved and left", Duration::from_secs(20), || {
                        live(&mut controller, Duration::ZERO)
                    });
                    continue;
                }
                _ => {}
            }
            controller.kill().expect("it is our child");
            controller.wait().expect("it is our child");
            *counts.entry("controllers killed").or_default() += 1;
            wait_until("the trainers have followed their controller", Duration::from_secs(2), || {
                processes_naming(&world.path("trainer")).is_empty()
            });
        }
        assert_equals_whole(&world, &name);
        std::fs::remove_dir_all(world.path(&format!("results/{name}"))).expect("it is there");
    }
    println!("{done} rounds, {sweeps} sweeps, {} trials: lost 0, repeated 0; {counts:?}", sweeps * TRIALS);
}

/// Waits up to `life` for the controller to exit. Returns whether the sweep is complete.
fn live(controller: &mut Child, life: Duration) -> bool {
    let began = Instant::now();
    loop {
        if let Some(status) = controller.try_wait().expect("it is our child") {
            assert!(matches!(status.code(), Some(0 | 130) | None), "sweep ended with {status}");
            return status.success() || life == Duration::ZERO;
        }
        if began.elapsed() >= life {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A script with random faults in some attempts.
fn script(random: &mut impl RngExt, counts: &mut Count<'_>) -> String {
    let mut script = "* slow 60\n".to_owned();
    for trial in 1..=TRIALS {
        if random.random_bool(0.4) {
            let fault = FAULTS[random.random_range(0..FAULTS.len())];
            *counts.entry(fault).or_default() += 1;
            let _ = writeln!(script, "{trial}.{} {fault} {}", random.random_range(1..=2), random.random_range(1..=4));
        }
    }
    script
}

fn assert_equals_whole(world: &World, name: &str) {
    let table = |name: &str, file: &str, without: &[&str]| world.table(&format!("results/{name}/{file}"), without);
    let times = &["seconds", "device", "attempts"];
    assert_eq!(table(name, "trials.csv", times), table("whole", "trials.csv", times), "trials.csv of {name}");
    assert_eq!(table(name, "epochs.csv", &[]), table("whole", "epochs.csv", &[]), "epochs.csv of {name}");
    let mut ends = BTreeMap::new();
    for line in world.read(&format!("results/{name}/journal.jsonl")).lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("every line is whole again");
        let trial = entry["attempt"]["trial"].as_u64();
        if entry["is"] == "started" {
            assert!(!ends.contains_key(&trial), "{name}: a trial was run again after its end: {line}");
        } else if entry["is"] == "ended" {
            *ends.entry(trial).or_insert(0) += 1;
        }
    }
    assert_eq!(ends.len() as u64, TRIALS);
    assert!(ends.values().all(|times| *times == 1), "{name}: a trial ended twice: {ends:?}");
}
