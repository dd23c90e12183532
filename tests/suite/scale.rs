//! A sweep of a hundred thousand trials: what waits for its journal.

use std::path::Path;
use std::time::{Duration, Instant};

use sweep::history::{Entry, FORMAT};
use sweep::store::{Journal, Layout};
use sweep::trial::{Attempt, EpochMetrics, Outcome, Settings, TrialId};

use crate::faults::scripted;
use crate::world::wait_until;

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

/// Writes the folder of a sweep of which `TRIALS` trials are finished, one is not begun. Returns the entries written.
fn write(layout: &Layout) -> u64 {
    std::fs::create_dir_all(layout.root()).expect("the folder is writable");
    std::fs::write(layout.sweep_file(), FILE).expect("the folder is writable");
    let base = Path::new("/").to_owned();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let first =
        Entry::Sweep { format: FORMAT, version: version.clone(), name: "large".into(), at: 0.5, base, pictures: None };
    let mut journal = Journal::create(layout, &first).expect("the folder is writable");
    let slots = vec!["cpu:0".into()];
    let run = Entry::Run { at: 1.0, version, host: "h".into(), pid: 1, mps: None, lag: None, slots };
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
            Entry::Started { at, attempt, slot, settings: Some(settings) },
            Entry::Began {
                attempt,
                from_epoch: 0,
                parameters: 650,
                train_examples: 80,
                validation_examples: 20,
                warnings: Vec::new(),
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
        // Flushed; synced as often as a thousand times, as if so many trials ended at the same time.
        journal.write(&entries, trial % 100 == 0).expect("the folder is writable");
        written += entries.len() as u64;
    }
    // It was interrupted before the last one.
    journal.write(&[Entry::Left { at: TRIALS as f64 + 1.0, complete: false }], true).expect("the folder is writable");
    written + 1
}

/// The times that it prints are docs/reliability.md's, of a release build on an idle machine; they are no condition.
#[test]
fn a_hundred_thousand_finished_trials_are_no_burden() {
    let world = scripted("");
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

    let began = Instant::now();
    let mut controller =
        world.sweep("resume results/large --trainer trainer --progress none").spawn().expect("sweep can be started");
    let folder = layout.trial(TrialId(TRIALS + 1));
    wait_until("the last trial is begun", Duration::from_secs(180), || folder.exists());
    println!("resume decided after {:?}", began.elapsed());
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
}
