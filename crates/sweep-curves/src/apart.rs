//! What must be told apart: runs in one file or folder, and trials, results, and sources that are no curve.

use super::published::{assert_reads, assert_says, refusal};
use super::*;

/// An event file of a process that wrote `loss` and `val_loss` with a factor, starting at a time and at a step.
fn events(name: &str, start: f64, steps: std::ops::Range<u8>, factor: f32) -> Source {
    tagged(["loss", "val_loss"], name, start, steps, factor)
}

/// Such a file with other names.
fn tagged(tags: [&str; 2], name: &str, start: f64, steps: std::ops::Range<u8>, factor: f32) -> Source {
    let event = |(at, step): (usize, u8)| {
        let value = |tag: &str, value: f32| {
            let body = [&[0x0a, tag.len() as u8], tag.as_bytes(), &[0x15], &value.to_le_bytes()].concat();
            [&[0x0a, body.len() as u8], &body[..]].concat()
        };
        let summary = [value(tags[0], factor / f32::from(step + 1)), value(tags[1], factor)].concat();
        let wall = (start + at as f64).to_le_bytes();
        record(&[&[0x09], &wall[..], &[0x10, step, 0x2a, summary.len() as u8], &summary].concat())
    };
    let bytes = steps.enumerate().flat_map(event).collect();
    Source { name: format!("logs/events.out.tfevents.{name}"), prefix: None, bytes }
}

#[test]
fn an_event_file_of_keras_validation_writer_is_of_validation() {
    let file = tagged(["epoch_loss", "evaluation_loss_vs_iterations"], "1.host.10.0", 100.0, 0..4, 1.0);
    let curve = read(&[file], None, &[]).expect("there is a curve").curves.remove(0);
    assert_eq!((curve.epochs[1].val_loss, curve.epochs[1].train_loss), (Some(0.5), None));
    assert_eq!(curve.unused, Vec::<String>::new());
}

/// The training losses of each curve, and all notes.
fn losses(sources: &[Source]) -> (Vec<Vec<f64>>, String) {
    let reading = read(sources, None, &[]).expect("there are curves");
    let notes = reading.notes.iter().chain(reading.curves.iter().flat_map(|curve| &curve.notes));
    let notes = notes.cloned().collect::<Vec<_>>().join(" | ");
    let of = |curve: &ForeignCurve| curve.epochs.iter().filter_map(|epoch| epoch.train_loss).collect();
    (reading.curves.iter().map(of).collect(), notes)
}

#[test]
fn event_files_of_restarts_are_joined_and_those_of_other_runs_and_processes_are_not() {
    let (first, whole) =
        (events("1.host.10.0", 100.0, 0..4, 1.0), vec![vec![1.0, 0.5, 1.0 / 3.0, 0.25, 0.2, 1.0 / 6.0]]);
    let near = |one: &[Vec<f64>], other: &[Vec<f64>]| {
        let close = |one: &f64, other: &f64| (one - other).abs() < 1e-6;
        let alike = |(a, b): (&Vec<f64>, &Vec<f64>)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b));
        one.len() == other.len() && one.iter().zip(other).all(alike)
    };
    let (found, notes) = losses(&[first.clone(), events("2.host.11.0", 200.0, 4..6, 1.0)]);
    assert!(near(&found, &whole) && notes.is_empty(), "{found:?} {notes}");
    let (found, notes) = losses(&[first.clone(), events("2.host.11.0", 200.0, 2..6, 1.0)]);
    assert!(
        near(&found, &whole) && notes.contains("4 values from before the restart were replaced"),
        "{found:?} {notes}"
    );
    let (found, notes) = losses(&[first.clone(), events("2.host.11.0", 200.0, 0..6, 1.0)]);
    assert!(near(&found, &[whole[0][..4].to_vec(), whole[0].clone()]) || found.len() == 1, "{found:?} {notes}");
    let other = events("2.host.11.0", 200.0, 0..6, 2.0);
    let (found, notes) = losses(&[first.clone(), other]);
    assert!(
        found[0].len() == 4 && found[1].len() == 6 && notes.contains("several runs or processes"),
        "{found:?} {notes}"
    );
    let (found, notes) =
        losses(&[first, events("1.other.10.0", 101.0, 0..4, 2.0), events("3.host.12.0", 300.0, 4..6, 1.0)]);
    assert!(found.len() == 2 && notes.contains("several runs or processes"), "{found:?} {notes}");
}

#[test]
fn a_second_run_that_begins_as_late_as_the_first_ended_is_another_curve() {
    let solver = |factor: f64| -> String {
        let step = |n: u32| {
            let (loss, at) = (factor / f64::from(n + 1), n * 100);
            format!(
                "I0512 10:11:01.123456 140234 solver.cpp:347] Iteration {at}, Testing net (#0)\nI0512 10:11:01.123456 140234 \
                 solver.cpp:414]     Test net output #0: accuracy = 0.{n}\nI0512 10:11:01.123456 140234 solver.cpp:239] \
                 Iteration {at}, loss = {loss}\nI0512 10:11:01.123456 140234 sgd_solver.cpp:112] Iteration {at}, lr = 0.01\n"
            )
        };
        (1..4).map(|n| step(n - 1).replace("0.0\n", "0.05\n")).collect()
    };
    let expected = "1 - - 0.05, 0.5 - - 0.1, 0.3333 - - 0.2; 2 - - 0.05, 1 - - 0.1, 0.6667 - - 0.2";
    assert_says(&(solver(1.0) + &solver(2.0)), expected, "the step goes back");
    let boosted = |rounds: std::ops::Range<u32>, factor: f64| {
        let round = |n: u32| format!("[{n}00]\ttraining's l2: {}\tvalid_1's l2: 1\n", factor / f64::from(n));
        let rounds: String = rounds.map(round).collect();
        let best = "Early stopping, best iteration is:\n[64]\ttraining's l2: 0.5\tvalid_1's l2: 0.9\n";
        format!("Training until validation scores don't improve for 100 rounds\n{rounds}{best}")
    };
    let log = boosted(1..2, 1.0) + &boosted(1..4, 2.0) + &boosted(4..6, 8.0);
    assert_says(&log, "2 - 1 -, 1 - 1 -, 0.6667 - 1 -; 2 - 1 -, 1.6 - 1 -", "a line says that training begins");
    let init = |factor: f64| {
        format!(
            "Optimizer: adam\nEpoch: init\nTrain loss: 9\nEpoch: 1\nTrain loss: {factor}\nEpoch: 2\nTrain loss: 0.5\n"
        )
    };
    assert_says(&(init(0.9) + &init(0.8)), "0.9 - - -, 0.5 - - -; 0.8 - - -, 0.5 - - -", "the untrained network");
}

#[test]
fn a_run_whose_epochs_begin_late_is_another_one() {
    let keras = |epochs: std::ops::RangeInclusive<u32>, of: u32| -> String {
        epochs.map(|n| format!("Epoch {n}/{of}\n9/9 [==] - 1s - loss: 0.{n} - val_loss: 0.{n}\n")).collect()
    };
    let expected = "0.1 - 0.1 -, 0.2 - 0.2 -, 0.3 - 0.3 -; 0.21 - 0.21 -, 0.22 - 0.22 -, 0.23 - 0.23 -";
    let first = keras(1..=3, 3);
    assert_says(&format!("{first}Some words\n{}", keras(21..=23, 23)), expected, "planned epochs changes");
    let fenced = format!("```\n{}```\n## Second\n```\n{}```\n", keras(1..=3, 30), keras(21..=23, 30));
    assert_says(&fenced, expected, "below a heading or a fence");
    // A training that goes on, and one that prints every tenth epoch below headings.
    assert_reads(&(first + &keras(4..=5, 5)), "0.1 - 0.1 -, 0.2 - 0.2 -, 0.3 - 0.3 -, 0.4 - 0.4 -, 0.5 - 0.5 -");
    let tenth: String = (1..4).map(|n| format!("# Part {n}\nEpoch {n}0: loss 0.{n}\n")).collect();
    assert_reads(&tenth, "0.1 - - -, 0.2 - - -, 0.3 - - -");
}

#[test]
fn a_first_epoch_that_comes_again_is_another_run() {
    let rows: String = (0..4).map(|n| format!("{n},0.{n}5,0.{n}4\n")).collect();
    let table = format!("epoch,loss,val_loss\n0,0.9,0.8\n{rows}");
    let expected = "0.05 - 0.04 -, 0.15 - 0.14 -, 0.25 - 0.24 -, 0.35 - 0.34 -";
    assert_says(&table, expected, "epoch 0 comes again with other values");
    let first: String = (0..4).map(|n| format!("{n},0.{n}2,0.{n}1\n")).collect();
    assert_says(
        &format!("epoch,loss,val_loss\n{first}0,0.9,0.8\n{rows}"),
        &format!("0.02 - 0.01 -, 0.12 - 0.11 -, 0.22 - 0.21 -, 0.32 - 0.31 -; {expected}"),
        "epoch 0 comes again",
    );
    let lines: String =
        (0..4).map(|n| format!("{{\"epoch\": {n}, \"loss\": 0.{n}5, \"val_loss\": 0.{n}4}}\n")).collect();
    let again = format!("{{\"epoch\": 0, \"loss\": 0.9, \"val_loss\": 0.8}}\n{lines}");
    assert_says(&again, expected, "epoch 0 comes again with other values");
    let printed: String =
        (1..5).map(|n| format!("Epoch {n} train Loss: 0.{n}\nEpoch {n} val Loss: 0.{n}5\n")).collect();
    let printed = (1..9).map(|n| format!("train step: {n}, loss: 0.{n}\n")).collect::<String>()
        + "Epoch 1 train Loss: 0.9\n"
        + "train step: 1, loss: 0.3\n"
        + &printed;
    let expected = "0.1 - 0.15 -, 0.2 - 0.25 -, 0.3 - 0.35 -, 0.4 - 0.45 -";
    assert_says(&printed, expected, "epoch 1 comes again with other values");
    // Lightning's rows of steps, two in the first epoch.
    let steps = "epoch,step,loss\n0,49,0.9\n0,99,0.7\n1,149,0.6\n2,199,0.5\n3,249,0.4\n";
    assert_reads(steps, "0.8 - - -, 0.6 - - -, 0.5 - - -, 0.4 - - -");
}

#[test]
fn sources_of_programs_are_no_logs_and_a_log_below_a_source_is() {
    let log: String = (1..4).map(|n| format!("Epoch {n}: loss 0.{n}\n")).collect();
    let code = "import torch\nfrom torch import nn\n\ndef train(model):\n    loss = 0.5\n    return loss\n";
    let text = format!("\"\"\"Prints:\n{log}\"\"\"\n{code}");
    assert!(refusal(&text).contains("source of a program") && refusal(&text).contains("line 6: \"import torch\""));
    let comments: String = log.lines().map(|line| format!("# {line}\n")).collect();
    assert!(refusal(&format!("{code}\n{comments}")).contains("source of a program"));
    assert_reads(&format!("{code}\n{log}"), "0.1 - - -, 0.2 - - -, 0.3 - - -");
    let documented = format!("\"\"\"\n{}\"\"\"\nfrom keras import Model\nimport os\n", log.repeat(3));
    assert!(refusal(&documented).contains("source of a program"));
    let named = |name: &str| Source { name: name.into(), prefix: None, bytes: log.clone().into() };
    let problem = read(&[named("train.py")], None, &[]).expect_err("it is a source");
    assert!(problem.what.contains("it is a source file"), "{problem}");
    assert!(read(&[named("train.txt")], None, &[]).is_ok());
    let source = Source { name: "file".into(), prefix: None, bytes: text.into() };
    assert_eq!(read(&[source], Some(Format::Log), &[]).expect("it is forced").curves[0].epochs.len(), 3);
}

#[test]
fn trials_of_tuners_are_no_epochs() {
    let flaml = |n: u32| {
        format!(
            "[flaml.automl: 01-02 10:11:00] {{1485}} INFO - iteration {n}, current learner lgbm\n[flaml.automl: 01-02 10:11:00] \
             {{1671}} INFO -  at {n}.1s,\tbest lgbm's error=0.2{n},\tbest lgbm's error=0.2{n}\n"
        )
    };
    let hyperopt = |n: u32| format!(" {n}0%|█ | {n}/9 [00:01<00:02,  2.01s/trial, best loss: 0.9{n}]\n");
    let search =
        |n: u32| format!("[CV {n}/3] END C=1, gamma=0.1;, score=(train=0.95, test=0.8{n}) total time=   0.1s\n");
    for text in [flaml, hyperopt, search].map(|line: fn(u32) -> String| (1..4).map(line).collect::<String>()) {
        assert!(refusal(&text).contains("results of trials"), "{}", refusal(&text));
    }
    let trial = |n: u32| {
        format!(
            "Epoch 1: loss 0.9{n}\nEpoch 2: loss 0.8{n}\n[I 2023-01-02] Trial {n} finished with value: 0.8 and parameters: {{}}\n"
        )
    };
    assert_says(&(trial(1) + &trial(2)), "0.91 - - -, 0.81 - - -; 0.92 - - -, 0.82 - - -", "trials were left out");
}

#[test]
fn rows_of_the_same_epoch_are_told_apart_by_the_column_in_which_they_differ() {
    let rates: String = (1..4).map(|n| format!("{n},0.1,0.{n}\n{n},0.01,0.{n}5\n")).collect();
    let expected = "0.1 - - -, 0.2 - - -, 0.3 - - -; 0.15 - - -, 0.25 - - -, 0.35 - - -";
    assert_says(&format!("epoch,lr,loss\n{rates}"), expected, "differ by lr");
    let sets: String = (1..4).map(|n| format!("{n},train,0.{n}\n{n},test,0.{n}5\n")).collect();
    assert_says(
        &format!("epoch,dataset,loss\n{sets}"),
        "0.1 - 0.15 -, 0.2 - 0.25 -, 0.3 - 0.35 -",
        "differ by dataset",
    );
}

#[test]
fn rows_of_results_are_no_epochs() {
    let pairs =
        "model,dataset,epochs,train_loss,test_acc\nA,x,50,0.3,0.8\nA,y,50,0.2,0.7\nB,x,50,0.4,0.6\nB,y,50,0.1,0.9\n";
    assert!(refusal(pairs).contains("another model and dataset"), "{}", refusal(pairs));
    let rates = "learning_rate,hidden,train_loss,val_loss\n0.1,64,0.3,0.4\n0.01,64,0.2,0.3\n0.001,64,0.4,0.5\n";
    assert!(refusal(rates).contains("another learning_rate"), "{}", refusal(rates));
    let rows: String = (1..4).map(|n| format!("{{\"hidden\": {n}, \"val_loss\": 0.{n}}}\n")).collect();
    assert!(refusal(&rows).contains("another hidden"), "{}", refusal(&rows));
    let numbered =
        "| # | Model | Train acc | Val acc |\n|---|---|---|---|\n| 1 | A | 0.5 | 0.6 |\n| 2 | B | 0.7 | 0.8 |\n";
    assert!(refusal(numbered).contains("no learning curve was found"), "{}", refusal(numbered));
    let printed =
        "ResNet: accuracy = 0.8, loss = 0.4\nVGG: accuracy = 0.7, loss = 0.5\nMLP: accuracy = 0.6, loss = 0.6\n";
    assert!(refusal(printed).contains("results of several training runs"), "{}", refusal(printed));
}
