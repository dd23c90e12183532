//! `sweep.log` and what the controller holds in memory, with programs of the user's own.

use std::time::Duration;

use rustix::process::Signal;

use crate::world::{World, send, wait_until};

/// A sweep whose first program fails once and then runs until it is asked to leave. The second one ends in between.
fn sweep() -> World {
    let world = World::new();
    let script = "[ $SWEEP_TRIAL = 1 ] && [ ! -e again ] && touch again && exit 3\n\
                  echo '{\"score\": 1}'\n\
                  [ $SWEEP_TRIAL = 1 ] && while :; do sleep 0.05; done\ntrue\n";
    world.write("train.sh", script);
    let devices = "devices: {gpus: none, cpu_threads: 1000}";
    let file = format!("name: s\ncommand: [sh, train.sh]\n{devices}\nparameters: {{x: {{values: [1, 2]}}}}\n");
    world.write("s.yaml", &(file + "metric: {name: score, goal: maximize}\n"));
    world
}

/// Runs the sweep until both trials have reported an epoch, then interrupts it. Returns the log.
fn interrupted(world: &World, level: Option<&str>) -> String {
    let mut command = world.sweep("run s.yaml --progress none");
    command.env_remove("SWEEP_LOG").envs(level.map(|level| ("SWEEP_LOG", level)));
    let mut child = command.spawn().unwrap();
    let journal = world.path("results/s/journal.jsonl");
    let reports = || std::fs::read_to_string(&journal).unwrap_or_default().matches("\"is\":\"row\"").count();
    wait_until("both trials have reported", Duration::from_secs(60), || reports() == 2);
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    std::fs::read_to_string(world.path("results/s/sweep.log")).unwrap_or_default()
}

#[test]
fn the_log_tells_orders_losses_waits_and_signals_in_order() {
    let log = interrupted(&sweep(), None);
    let mut rest = log.as_str();
    for expected in [
        "INFO sweep: sweep ",
        "runs on cpu:0",
        "INFO cpu:0: starts trial 0001 (attempt 1) with x 1",
        "exit code 3",
        "WARN trial 0001 (attempt 1): was lost and is retried: ",
        "INFO cpu:0: starts trial 0002 (attempt 1) with x 2",
        "INFO trial 0002 (attempt 1): finished",
        "INFO cpu:0: starts trial 0001 (attempt 2)",
        "INFO sweep: interrupted, asks all trials to save",
        "INFO cpu:0: asks trial 0001 (attempt 2) to save and leave",
        "trial 0001 (attempt 2): ",
        "INFO sweep: stops before it is complete",
    ] {
        let at = rest.find(expected).unwrap_or_else(|| panic!("no `{expected}` in order in\n{log}"));
        rest = &rest[at + expected.len()..];
    }
    assert!(!log.contains("reports epoch"), "epochs are for level debug:\n{log}");
}

#[test]
fn sweep_log_sets_how_much_is_told_and_a_typo_is_named() {
    let log = interrupted(&sweep(), Some("debug"));
    assert!(log.contains("cpu:0: trial 0001 (attempt 2) reports epoch 1"), "{log}");
    assert!(log.contains("DEBUG journal: ") && log.contains("written and synced in "), "{log}");
    let world = sweep();
    assert_eq!(interrupted(&world, Some("off")), "");
    assert!(!world.path("results/s/sweep.log").exists());
    let output = world.sweep("resume results/s").env("SWEEP_LOG", "inof").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("SWEEP_LOG is `inof`, but must be off, error, warn, info, debug, or trace"), "{text}");
}

/// Highest resident memory of a process so far, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

#[test]
fn a_program_that_prints_as_fast_as_it_can_does_not_fill_the_controllers_memory() {
    const LIMIT: u64 = 160 << 20;
    let world = World::new();
    // The program ends by itself if it is not stopped, for the sake of the disk.
    world.write("train.sh", "yes '{\"epoch\": 1, \"score\": 1, \"loss\": 2}' | head -n 3000000\n");
    let file = "name: s\ncommand: [sh, train.sh]\ndevices: {gpus: none, cpu_threads: 1000}\n";
    world.write("s.yaml", &format!("{file}metric: {{name: score, goal: maximize}}\n"));
    let mut child = world.sweep("run s.yaml --progress none").env("SWEEP_LOG", "off").spawn().unwrap();
    let (mut most, mut interrupted) = (0, false);
    let began = std::time::Instant::now();
    wait_until("the sweep has ended", Duration::from_secs(300), || {
        most = peak(child.id()).max(most);
        // The order to stop arrives although the program goes on printing.
        if !interrupted && began.elapsed() > Duration::from_secs(8) {
            interrupted = true;
            send(&child, Signal::INT);
        }
        child.try_wait().unwrap().is_some()
    });
    assert!(most < LIMIT, "{} MiB", most >> 20);
}
