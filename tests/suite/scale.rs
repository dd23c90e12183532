//! A sweep of a hundred thousand trials: the operations that depend on the length of its journal.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use sweep_core::history::{Entry, FORMAT};
use sweep_core::protocol::LAST_CHECKPOINT;
use sweep_core::trial::{Attempt, EpochMetrics, Outcome, Settings, TrialId};
use sweep_store::{Journal, Layout};

use crate::faults::scripted;
use crate::world::{World, send, wait_until};

const TRIALS: u64 = 100_000;
const EPOCHS: u32 = 3;

const FILE: &str = "
method: random
run_cap: 100001
parameters: {learning_rate: {min: 0.1, max: 1.0}, batch_size: {values: [16, 32, 64]}}
data: {set: digits, validation: 0.2, train_examples: 100}
model: linear
training: {epochs: 3}
";

/// Writes the folder of a sweep whose controller was killed after `TRIALS` finished trials, with one trial not started.
/// Returns the number of entries written.
fn write(layout: &Layout) -> u64 {
    fs::create_dir_all(layout.trial(TrialId(TRIALS))).expect("the folder is writable");
    fs::write(layout.sweep_file(), FILE).expect("the folder is writable");
    let base = Path::new("/").to_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let first = Entry::Sweep {
        format: FORMAT,
        version: version.clone(),
        name: "large".into(),
        at: 0.5,
        base,
        start: None,
        file: None,
        pictures: None,
    };
    let mut journal = Journal::create(layout, &first).expect("the folder is writable");
    let slots = vec!["cpu:0".into()];
    let run = Entry::Run { at: 1.0, version, host: "h".into(), pid: 1, mps: None, lag: None, on: Vec::new(), slots };
    journal.write(&[run], true).expect("the folder is writable");
    let mut written = 2;
    for trial in 1..=TRIALS {
        let attempt = Attempt { trial: TrialId(trial), number: 1 };
        let at = trial as f64;
        let mut settings = Settings::new();
        settings.insert("learning_rate".into(), (0.1 + trial as f64 * 1e-6).into());
        settings.insert("batch_size".into(), 32.into());
        let slot = "cpu:0".to_owned();
        let mut entries = vec![
            Entry::Started { at, attempt, slot, settings: Some(settings), seed: None, place: None },
            Entry::Began {
                attempt,
                from_epoch: 0,
                parameters: 650,
                train_examples: 80,
                validation_examples: 20,
                warnings: Vec::new(),
                from_zero: false,
            },
        ];
        for epoch in 1..=EPOCHS {
            let loss = 1.0 / f64::from(epoch) + (trial * 7919 % TRIALS) as f64 * 1e-5;
            let metrics = EpochMetrics {
                epoch,
                learning_rate: Some(0.1),
                train_loss: Some(loss / 2.0),
                train_accuracy: Some(0.5),
                train_eval_loss: Some(loss / 2.1),
                train_eval_accuracy: Some(0.51),
                val_loss: Some(loss),
                val_accuracy: Some(0.49),
                seconds: Some(0.123),
                pictures_per_second: Some(650.4),
                objective: None,
            };
            entries.push(Entry::Epoch { attempt, metrics, others: Default::default() });
        }
        entries.push(Entry::Ended { at: at + 0.9, attempt, outcome: Outcome::Finished });
        // Always flushed, and synced a thousand times in all, as if batches of trials ended at the same time.
        journal.write(&entries, trial % 100 == 0).expect("the folder is writable");
        written += entries.len() as u64;
    }
    // The controller was killed before it could remove the checkpoint of the last trial.
    fs::write(layout.trial(TrialId(TRIALS)).join(LAST_CHECKPOINT), "3").expect("the folder is writable");
    tear(layout);
    written
}

/// Leaves half a line at the end of the journal and of the tables, as a kill may do.
fn tear(layout: &Layout) {
    for (path, half) in [
        (layout.journal(), "{\"is\":\"epoch\",\"attempt\":{\"trial\""),
        (layout.trials_csv(), "100000,0.2,"),
        (layout.epochs_csv(), "100000,2,0."),
    ] {
        let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the folder is writable");
        file.write_all(half.as_bytes()).expect("the folder is writable");
    }
}

/// Resumes the sweep until this attempt at the last trial is assigned. Prints the time of that decision.
fn resume(world: &World, layout: &Layout, number: u32, after: &str) -> Child {
    let began = Instant::now();
    let controller =
        world.sweep("resume results/large --trainer trainer --progress none").spawn().expect("sweep can be started");
    let started = format!("\"trial\":{},\"number\":{number}}}", TRIALS + 1);
    let mut end = File::open(layout.journal()).expect("it is there");
    wait_until("the last trial is handed out", Duration::from_secs(180), || {
        let mut tail = Vec::new();
        end.seek(SeekFrom::End(-2000)).expect("it is longer than that");
        end.read_to_end(&mut tail).expect("it can be read");
        String::from_utf8_lossy(&tail).contains(&started)
    });
    println!("resume after {after} decided in {:?}, {:.2} s of processor time", began.elapsed(), used(&controller));
    controller
}

/// The CPU time of a process in seconds. Linux counts it in hundredths.
fn used(process: &Child) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("its name ends so").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

/// The times that it prints are those in docs/concepts/reliability.md, measured on an idle machine. The test does not
/// require them.
#[test]
fn a_hundred_thousand_finished_trials_are_no_burden() {
    let world = scripted("* slow 60000");
    let layout = Layout::new(world.path("results/large"));
    let began = Instant::now();
    let written = write(&layout);
    let rate = written as f64 / began.elapsed().as_secs_f64();
    println!(
        "{rate:.0} entries a second appended, {} MB",
        layout.journal().metadata().expect("it is there").len() >> 20
    );

    let began = Instant::now();
    let text = world.expect("status results/large", 0);
    println!("status took {:?}", began.elapsed());
    assert!(text.contains("100,000 of 100,001 ended"), "{text}");

    let mut controller = resume(&world, &layout, 1, "a kill");
    let tidied = !layout.trial(TrialId(TRIALS)).join(LAST_CHECKPOINT).exists();
    assert!(tidied, "what the last trial left behind is removed before the next is handed out");
    for (number, after) in [(2, "a kill while a trial trains"), (3, "an orderly end")] {
        match number {
            2 => controller.kill().expect("it is our child"),
            _ => send(&controller, Signal::INT),
        }
        controller.wait().expect("it is our child");
        if number == 2 {
            tear(&layout);
        }
        controller = resume(&world, &layout, number, after);
    }
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    let rows = |path| fs::read_to_string(path).expect("it is there").lines().count() as u64;
    assert_eq!(rows(layout.trials_csv()), 1 + TRIALS);
    assert_eq!(rows(layout.epochs_csv()), 1 + TRIALS * u64::from(EPOCHS), "the last trial has shown none yet");
}
