//! A small synthetic sweep for the tests of the other crates. The curve of each trial follows a formula (`curves`), and
//! its journal entries are applied like real ones. Nothing in it is measured.

pub mod curves;

use std::path::Path;

use serde_json::{Value, json};

use sweep_core::history::{Entry, FORMAT, History};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome, Settings, TrialId};
use sweep_spec::Spec;
use sweep_store::{Journal, Layout};

/// A sweep file that fits [`history`].
pub const FILE: &str = "
name: sample
description: Which dropout helps?
seed: 7
parameters:
  learning_rate: {values: [1e-3]}
  dropout: {values: [0.0, 0.2, 0.4, 0.1, 0.3, 0.5]}
  batch_norm: {value: false}
data: {set: digits}
model: question
training: {epochs: 20}
";

/// The parsed sweep file that fits [`history`].
pub fn spec() -> Spec {
    Spec::read(FILE, "sweep.yaml", Path::new("/nowhere")).unwrap_or_else(|problems| panic!("{problems}")).0
}

/// Parameters from JSON.
pub fn settings(value: Value) -> Settings {
    value.as_object().expect("settings are an object").clone()
}

/// An epoch of a trial that overfits. Less dropout causes more overfitting.
pub fn epoch(trial: u64, epoch: u32, dropout: f64) -> EpochMetrics {
    let t = f64::from(epoch);
    let mixed = (trial * 1_000_003 + u64::from(epoch)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let wiggle = (mixed >> 40) as f64 / f64::from(1 << 24) - 0.5;
    let train_eval_loss = 0.15 + dropout + 2.1 * (-t / 7.0).exp() + wiggle * 0.02;
    let val_loss = 0.75 + dropout * 0.5 + 1.6 * (-t / 6.0).exp() + (0.4 - dropout) * t * 0.02 + wiggle * 0.08;
    EpochMetrics {
        epoch,
        learning_rate: Some(1e-3),
        train_loss: Some(train_eval_loss + 0.3 * dropout + 0.15),
        train_accuracy: Some((-(train_eval_loss + 0.2 * dropout + 0.1) * 0.9).exp()),
        train_eval_loss: Some(train_eval_loss),
        train_eval_accuracy: Some((-train_eval_loss * 0.85).exp()),
        val_loss: Some(val_loss),
        val_accuracy: Some((-val_loss * 0.6).exp()),
        seconds: Some(2.0 + wiggle),
        pictures_per_second: Some(45_000.0 / (2.0 + wiggle)),
        objective: None,
    }
}

/// Builds a history from entries.
pub fn apply(entries: &[Entry]) -> History {
    let mut history = History::default();
    for entry in entries {
        history.apply(entry).expect("the sample follows the rules");
    }
    history
}

/// The first entries of a sweep with two slots.
pub fn beginning(name: &str) -> Vec<Entry> {
    vec![
        Entry::Sweep {
            format: FORMAT,
            version: "0.1.0".into(),
            name: name.into(),
            at: 0.0,
            base: "/nowhere".into(),
            start: None,
            file: None,
            pictures: None,
        },
        run(1.0),
    ]
}

/// The entry of a controller that takes over the sweep at this time.
pub fn run(at: f64) -> Entry {
    let slots = vec!["cpu:0".to_owned(), "cpu:1".to_owned()];
    Entry::Run { at, version: "0.1.0".into(), host: "here".into(), pid: 1, mps: None, lag: None, on: Vec::new(), slots }
}

/// The entries of an attempt, from its start to the epoch `last`. Its first `from` epochs come from the attempt before.
pub fn attempt(trial: u64, number: u32, settings: &Settings, from: u32, last: u32) -> Vec<Entry> {
    let attempt = Attempt { trial: TrialId(trial), number };
    let dropout = settings.get("dropout").and_then(Value::as_f64).unwrap_or(0.2);
    let at = trial as f64 * 100.0 + f64::from(number) * 10.0;
    let slot = format!("cpu:{}", trial % 2);
    let mut entries = vec![Entry::Started {
        at,
        attempt,
        slot,
        settings: (number == 1).then(|| settings.clone()),
        seed: None,
        place: None,
    }];
    entries.push(Entry::Began {
        attempt,
        from_epoch: from,
        parameters: 2_915_114,
        train_examples: 44_100,
        validation_examples: 4_900,
        warnings: Vec::new(),
        from_zero: false,
    });
    entries.extend((from + 1..=last).map(|n| Entry::Epoch {
        attempt,
        metrics: epoch(trial, n, dropout),
        others: Default::default(),
    }));
    entries
}

/// The entry for the end of an attempt.
pub fn ended(trial: u64, number: u32, outcome: Outcome) -> Entry {
    let at = trial as f64 * 100.0 + f64::from(number) * 10.0 + 60.0;
    Entry::Ended { at, attempt: Attempt { trial: TrialId(trial), number }, outcome }
}

/// A history with six trials: three finished, one stopped early, one diverged, one failed before its first epoch.
pub fn history() -> History {
    apply(&entries())
}

/// The journal entries of [`history`].
pub fn entries() -> Vec<Entry> {
    let dropouts = [0.0, 0.2, 0.4, 0.1, 0.3, 0.5];
    let mut entries = beginning("sample");
    for (number, dropout) in (1..).zip(dropouts) {
        let settings = settings(json!({"learning_rate": 0.001, "dropout": dropout, "batch_norm": number % 2 == 0}));
        let (last, outcome) = match number {
            4 => (14, Outcome::EarlyStopped),
            5 => (3, Outcome::Diverged { epoch: 4, step: 1500, what: "training loss is NaN".into() }),
            6 => (0, Outcome::Failed { error: "the trainer was ended by signal 9 (SIGKILL), 3 times".into() }),
            _ => (20, Outcome::Finished),
        };
        entries.extend(attempt(number, 1, &settings, 0, last));
        entries.push(ended(number, 1, outcome));
    }
    entries.push(Entry::Left { at: 900.0, complete: true });
    entries
}

/// The history of a larger sweep with `count` trials and all kinds of outcomes.
pub fn many(count: u64) -> History {
    let mut entries = beginning("sample");
    for number in 1..=count {
        let (dropout, batch) = ((number % 6) as f64 / 10.0, 32 << (number % 4));
        let settings = settings(json!({
            "learning_rate": 10_f64.powi(-2 - (number % 3) as i32), "batch_size": batch, "dropout": dropout,
            "batch_norm": number % 2 == 0, "optimizer": if number % 5 == 0 { "sgd" } else { "adam" },
        }));
        let (last, outcome) = match number % 17 {
            3 => (
                2 + (number % 5) as u32,
                Outcome::Diverged { epoch: 4, step: 1500, what: "training loss is NaN".into() },
            ),
            9 => (0, Outcome::Failed { error: "out of memory on cuda:0: 512 MiB asked for, 96 MiB free".into() }),
            5 | 11 => (18 + (number % 9) as u32, Outcome::EarlyStopped),
            _ => (30, Outcome::Finished),
        };
        entries.extend(attempt(number, 1, &settings, 0, last));
        entries.push(ended(number, 1, outcome));
    }
    apply(&entries)
}

/// The history of a sweep that contains markup in all of its texts.
pub fn hostile() -> History {
    apply(&hostile_entries())
}

/// The journal entries of [`hostile`].
pub fn hostile_entries() -> Vec<Entry> {
    let settings = settings(json!({
        "<script>alert('name')</script>": "</td><script>alert('value')</script>", "a|b": "x|y\n| z |",
        "list": ["<img src=x onerror=alert(1)>", "\"'&"], "\u{1b}[31mred": "![x](https://example.com/x.png)",
    }));
    let mut entries = beginning("<script>alert('sweep')</script>");
    entries.extend(attempt(1, 1, &settings, 0, 3));
    entries.push(ended(1, 1, Outcome::Finished));
    entries.extend(attempt(2, 1, &settings, 0, 1));
    entries.push(ended(2, 1, Outcome::Failed { error: "<script>alert('error')</script>\n\u{1b}[2J".into() }));
    entries
}

/// Writes a sweep's folder: journal and sweep file.
pub fn write(folder: &Path, entries: &[Entry]) -> Layout {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let layout = Layout::new(folder);
    let mut journal = Journal::create(&layout, &entries[0]).expect("the journal can be made");
    journal.write(&entries[1..], false).expect("the journal can be written");
    std::fs::write(layout.sweep_file(), FILE).expect("the sweep file can be written");
    layout
}
