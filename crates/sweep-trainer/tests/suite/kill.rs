//! Kills the controller with `kill -9` at random moments of a real sweep. Nothing may be lost or done twice, and every
//! metric must equal that of an uninterrupted sweep bit for bit.

use std::collections::HashMap;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use rand::RngExt;
use sweep_core::random::{Purpose, stream};

use crate::world::{World, processes_naming, wait_until};

const KILLS: usize = 50;

/// Maximum lifetime of a controller. Trainers take about half a second to load, and a sweep lasts a few seconds.
const LONGEST_LIFE: Duration = Duration::from_millis(2500);

const SWEEP: &str = "
name: digits
method: grid
seed: 3
parameters:
  dropout: {values: [0.0, 0.3]}
  batch_norm: {values: [true, false]}
  learning_rate: {values: [3e-3, 1e-3]}
data: {set: digits, validation: 0.2, train_examples: 400}
model:
  - conv: {filters: 16, kernel: 3}
  - batch_norm: ${batch_norm}
  - relu
  - downsample: pool
  - dropout: ${dropout}
  - flatten
  - dense: ${classes}
training: {epochs: 6, batch_size: 16, optimizer: adam}
keep_best: 3
";

const TIMES: &[&str] = &["seconds", "device", "attempts"];

#[test]
fn a_sweep_that_is_killed_fifty_times_equals_one_that_was_left_alone() {
    let world = World::new();
    world.write("digits.yaml", SWEEP);
    symlink(env!("CARGO_BIN_EXE_sweep-trainer"), world.path("trainer")).expect("the folder is writable");
    let options = "--progress none --trainer trainer";
    world.expect(&format!("run digits.yaml --name whole {options}"), 0);

    let mut random = stream(11, 0, 0, Purpose::Point);
    let mut kills = 0;
    let mut sweeps = 0;
    while kills < KILLS {
        sweeps += 1;
        let name = format!("killed-{sweeps}");
        let journal = world.path(&format!("results/{name}/journal.jsonl"));
        loop {
            let words = if journal.exists() {
                format!("resume results/{name} {options}")
            } else {
                format!("run digits.yaml --name {name} {options}")
            };
            let mut controller = world.sweep(&words).spawn().expect("sweep can be started");
            let life = LONGEST_LIFE.mul_f64(random.random());
            let began = Instant::now();
            let mut ended = None;
            while began.elapsed() < life && ended.is_none() {
                std::thread::park_timeout(Duration::from_millis(2));
                ended = controller.try_wait().expect("it is our child");
            }
            if let Some(status) = ended {
                assert!(status.success(), "sweep {words} ended with {status}");
                break;
            }
            controller.kill().expect("it is our child");
            controller.wait().expect("it is our child");
            kills += 1;
            wait_until("the trainers have followed their controller", Duration::from_secs(2), || {
                processes_naming(&world.path("trainer")).is_empty()
            });
        }
        assert_equals_whole(&world, &name);
    }
    println!("{kills} kills in {sweeps} sweeps");
}

fn assert_equals_whole(world: &World, name: &str) {
    let table = |name: &str, file: &str, without: &[&str]| world.table(&format!("results/{name}/{file}"), without);
    assert_eq!(table(name, "trials.csv", TIMES), table("whole", "trials.csv", TIMES), "trials.csv of {name}");
    let times = &["seconds", "pictures_per_second"];
    assert_eq!(table(name, "epochs.csv", times), table("whole", "epochs.csv", times), "epochs.csv of {name}");

    let mut ends: HashMap<u64, u32> = HashMap::new();
    for line in world.read(&format!("results/{name}/journal.jsonl")).lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("every line is whole again");
        if entry["is"] == "ended" {
            *ends.entry(entry["attempt"]["trial"].as_u64().expect("it has a trial")).or_default() += 1;
        }
    }
    assert_eq!(ends.len(), 8);
    assert!(ends.values().all(|times| *times == 1), "{name}: a trial ended twice: {ends:?}");

    let kept = |file: &str| {
        let is_there = |trial: &u32| world.path(&format!("results/{name}/trials/{trial:04}/{file}")).exists();
        (1..=8).filter(is_there).count()
    };
    assert_eq!(kept("best.safetensors"), 3, "{name}: keep_best is 3");
    assert_eq!(kept("last.safetensors"), 0, "{name}: checkpoints go when their trial ends");
}
