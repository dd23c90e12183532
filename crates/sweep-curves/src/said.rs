//! What must not be read wrongly without a word: several trainings in one log, guessed names, numbers of something else.

use super::published::assert_reads;
use super::tools::read_text;
use super::*;

#[track_caller]
fn assert_says(text: &str, expected: &str, note: &str) {
    let (found, notes, unused) = read_text("file", text);
    assert_eq!(found, expected, "{notes:?} {unused:?}\n{text}");
    assert!(notes.iter().any(|said| said.contains(note)), "{note} is not in {notes:?}");
}

fn reading(text: &str) -> Result<Reading, Problem> {
    read(&[Source { name: "file".into(), prefix: None, bytes: text.into() }], None, &[])
}

fn refusal(text: &str) -> String {
    reading(text).expect_err("it is no curve").what
}

fn names(text: &str) -> Vec<String> {
    reading(text).expect("it is a curve").curves.into_iter().map(|curve| curve.name).collect()
}

fn notebook(cells: &[&str]) -> String {
    let cell = |text: &&str| serde_json::json!({"cell_type": "code", "outputs": [{"name": "stdout", "text": [text]}]});
    serde_json::json!({"nbformat": 4, "cells": cells.iter().map(cell).collect::<Vec<_>>()}).to_string()
}

#[test]
fn models_that_only_a_name_before_the_epoch_tells_apart_are_curves_of_their_own() {
    let line = |model: &str, n: u32, loss: f64| format!("[{model}] Epoch {n}/2 train_loss: {loss} val_loss: 1\n");
    let taking_turns =
        line("ResNet18", 1, 0.9) + &line("VGG16", 1, 0.8) + &line("ResNet18", 2, 0.7) + &line("VGG16", 2, 0.6);
    assert_says(
        &taking_turns,
        "0.9 - 1 -, 0.7 - 1 -; 0.8 - 1 -, 0.6 - 1 -",
        "names before `epoch` belong to different training runs",
    );
    assert_eq!(names(&taking_turns), ["ResNet18", "VGG16"]);
    let header = |model: &str, n: u32, loss: f64| format!("{model} - Epoch {n}\ntrain loss: {loss}\nval loss: 1\n");
    let in_turn = header("LSTM", 1, 0.9) + &header("LSTM", 2, 0.7) + &header("GRU", 1, 0.8) + &header("GRU", 2, 0.6);
    assert_says(&in_turn, "0.9 - 1 -, 0.7 - 1 -; 0.8 - 1 -, 0.6 - 1 -", "(LSTM, GRU)");
    // Neither sets nor remarks are models.
    let epoch = |n: u32, loss: f64| {
        format!(
            "Begin epoch {n}\nTraining Epoch: {n}, Loss: {loss}\nSaved best at epoch {n}: loss {loss}\nFinish epoch {n}\n"
        )
    };
    assert_eq!(names(&(epoch(1, 0.9) + &epoch(2, 0.7))), [""]);
}

#[test]
fn scores_of_several_models_are_no_epochs() {
    let model = |name: &str, score: f64| format!("=== {name} ===\nTest accuracy: {score}\n");
    let models = model("Random forest", 0.8) + &model("Boosting", 0.85) + &model("Linear", 0.7);
    assert!(refusal(&models).contains("results of several training runs"), "{}", refusal(&models));
    let (found, notes, _) = read_text("file", &notebook(&[&models, "Epoch 1: loss 0.9\nEpoch 2: loss 0.7\n"]));
    assert_eq!(found, "0.9 - - -, 0.7 - - -");
    assert!(notes.iter().any(|note| note.contains("results of several training runs")), "{notes:?}");
    // The same text with other numbers is a curve.
    let curve: String = (1..4).map(|n| format!("saved to model_{n}.pt\nTest accuracy: 0.{n}\n")).collect();
    assert_says(&curve, "- - - 0.1, - - - 0.2, - - - 0.3", "no line names an epoch");
}

#[test]
fn folds_without_epoch_numbers_are_curves_of_their_own() {
    let step = |loss: f64| format!("train loss: {loss}\nval loss: 1\n");
    let fold = |n: u32, loss: f64| format!("----- Fold {n}/2 -----\n{}{}", step(loss), step(loss / 2.0));
    let log = fold(1, 0.8) + &fold(2, 0.6);
    assert_says(&log, "0.8 - 1 -, 0.4 - 1 -; 0.6 - 1 -, 0.3 - 1 -", "begins a new curve");
    assert_eq!(names(&log), ["fold 1", "fold 2"]);
}

#[test]
fn guessed_losses_are_said() {
    assert_says("epoch 1 cost: 0.9\nepoch 2 cost: 0.7\n", "0.9 - - -, 0.7 - - -", "cost was read as the training loss");
    let domains = |n: u32, loss: f64| format!("Epoch: {n} avg_loss_tgt: {loss} cluster_loss: 3\n");
    assert_says(
        &(domains(1, 0.9) + &domains(2, 0.7)),
        "0.9 - - -, 0.7 - - -",
        "avg_loss_tgt was read as the training loss, not cluster_loss",
    );
    let yolo = |n: u32, total: f64| {
        format!("[Epoch {n}/9, Batch 7/7] [Losses: x 0.3, y 0.2, conf 4.4, total {total}, recall: 0.1]\n")
    };
    assert_eq!(read_text("file", &(yolo(0, 0.9) + &yolo(1, 0.7))).0, "0.9 - - -, 0.7 - - -");
    for text in ["epoch,L1,L2\n1,0.5,0.6\n2,0.4,0.7\n", "Speed: 6.2\nTimeLoss: 74.8\nSpeed: 5.2\nTimeLoss: 75.3\n"] {
        assert!(reading(text).is_err(), "{text}");
    }
}

#[test]
fn a_number_in_a_name_is_no_value() {
    let heads = |n: u32, loss: f64, top: f64| {
        format!("Epoch: [{n}][9/9]\tLoss {loss} ({loss})\nPrec@1     {top} ({top})\nPrec@1  05 99.0 (99.5)\n")
    };
    assert_says(&(heads(0, 0.9, 50.5) + &heads(1, 0.7, 60.5)), "0.9 0.505 - -, 0.7 0.605 - -", "percentages");
    let below = |n: u32, top: f64| {
        format!(
            "Epoch: [{n}][9/9]\tLoss 0.9 (0.9)\nPrec@1     {top} ({top})\nTest: [9/9]\tLoss 1.5 (1.5)\nPrec@1     40.5 (40.5)\n"
        )
    };
    assert_says(&(below(0, 50.5) + &below(1, 60.5)), "0.9 0.505 1.5 0.405, 0.9 0.605 1.5 0.405", "percentages");
    let bar = |n: u32, loss: f64| {
        format!(
            "Epoch: {n}\nTrain: loss = {loss}\nTest after epoch_{n}: 100%|####| 1/1 [00:01<00:00, 1.9s/it]\nTest: loss = 1.5\n"
        )
    };
    let (found, _, unused) = read_text("file", &(bar(1, 0.9) + &bar(2, 0.7)));
    assert_eq!((found.as_str(), unused.len()), ("0.9 - 1.5 -, 0.7 - 1.5 -", 0), "{unused:?}");
}

#[test]
fn sets_that_take_turns_under_headings_are_told_apart() {
    let round = |dev: u32, test: u32| {
        let info = "2020-02-10 21:04:42,460 - log - INFO -";
        format!(
            "{info} evaluate:dev\n{info} accuracy: {dev}.00%; FB1: 3.0\n{info} evaluate:test\n{info} accuracy: {test}.00%; FB1: 2.0\n"
        )
    };
    let (found, notes, _) = read_text("file", &(round(50, 40) + &round(60, 45)));
    assert_eq!(found, "- - - 0.5, - - - 0.6", "{notes:?}");
}

#[test]
fn several_evaluations_of_an_epoch_are_points() {
    let at = |batch: u32, train: f64, val: f64| {
        format!("epoch : 0 [{batch}/900] Train loss: {train},Valid loss: {val}, time : 4.3 lr : 1\n")
    };
    let log = at(0, 0.9, 0.8) + &at(100, 0.7, 0.75) + &at(200, 0.6, 0.7);
    assert_says(&log, "0.9 - 0.8 -, 0.7 - 0.75 -, 0.6 - 0.7 -", "steps");
}

#[test]
fn what_is_no_part_of_the_curve_is_left_out_and_said() {
    let epoch = |n: u32, loss: f64| format!("Epoch {n}/3: train_loss={loss}, val_loss=0.9, val_acc=0.8\n");
    let log = epoch(1, 0.9) + &epoch(2, 0.8) + &epoch(3, 0.7);
    let summary = "Training complete - Train Acc: 0.95, Val Acc: 0.85\n";
    assert_says(
        &(log.clone() + summary),
        "0.9 - 0.9 0.8, 0.8 - 0.9 0.8, 0.7 - 0.9 0.8",
        "with the numbers next to them",
    );
    let evaluated = notebook(&[&log, "10/10 [====] - 1s - loss: 0.6 - accuracy: 0.9\n"]);
    assert_says(&evaluated, "0.9 - 0.9 0.8, 0.8 - 0.9 0.8, 0.7 - 0.9 0.8", "a single value is not a curve");
    let header = "| Epoch | Training Loss | Validation Loss | Accuracy |\n|---|---|---|---|\n";
    let twice = |n: u32| format!("{header}| {n} | 0.9 | 0.8 | 0.7 |\n{{'eval_accuracy': 0.7, 'epoch': {n}.0}}\n");
    let (found, _, _) = read_text("file", &twice(1));
    assert_eq!(found, "0.9 - 0.8 0.7");
    let zero: String = (1..5).map(|n| format!("epoch {n} | train_loss: 0.{n} | test_loss: 0.00000\n")).collect();
    assert_says(&zero, "0.1 - - -, 0.2 - - -, 0.3 - - -, 0.4 - - -", "test_loss is always 0 (4 values)");
    let merged = "epoch,train_loss,val_loss\n1,0.9,0.8\n<<<<<<< HEAD\n2,0.8,0.7\n=======\n2,0.6,0.75\n3,0.5,0.7\n4,0.4,0.7\n5,0.3,0.7\n";
    assert_says(
        merged,
        "0.9 - 0.8 -, 0.7 - 0.75 -, 0.5 - 0.7 -, 0.4 - 0.7 -, 0.3 - 0.7 -",
        "epoch 2 has several values",
    );
    assert_says(merged, &read_text("file", merged).0, "lines without any number were left out (2)");
    let lists = "loss : [0.9, 0.7]\nval_loss : [1, 0.9]\nloss : [0.5, 0.4]\nval_loss : [0.8, 0.7]\n";
    assert_eq!(read_text("file", lists).0, "0.9 - 1 -, 0.7 - 0.9 -; 0.5 - 0.8 -, 0.4 - 0.7 -");
    let bar = |loss: f64| format!(" 44%|####5  | 4/9 [00:11<00:14, 6.6batch/s, loss={loss}]\n");
    let early = bar(4.8) + "Epoch 1:\nval_loss=4.4\n" + &bar(3.7) + "Epoch 2:\nval_loss=3.4\n";
    assert!(read_text("file", &early).1.iter().any(|note| note.contains("before the first line")), "{early}");
    let lightning = "Epoch 0: 100%|##| 2/2 [00:04<00:00, 0.4it/s, loss=0.9]\nEpoch 1: 100%|##| 2/2 [00:04<00:00, 0.4it/s, loss=0.7, \
                     val_loss=0.8]\n";
    assert_says(lightning, "0.9 - - -, 0.7 - 0.8 -", "those of the previous epoch");
    let keras = "Epoch 1/1\n\u{1b}[1m9/9\u{1b}[0m ━━━━ 2s 5ms/step - loss: 1.3 - val_loss: 1.2\n";
    assert_says(keras, "1.3 - 1.2 -", "means of running means");
}

#[test]
fn settings_are_no_validation_metric() {
    let epochs: String = (1..6).map(|n| format!("Epoch {n}: loss 0.{n}, in the box loss_box: 0.1\n")).collect();
    let curve = reading(&format!("in_features: 64\nBASE_LR: 0.5\n{epochs}")).expect("it is a curve").curves.remove(0);
    assert_eq!(curve.may_be_validation, None);
    assert_eq!(curve.unused, ["in the box loss_box"]);
    assert_eq!(curve.once, Vec::<String>::new());
    let top: String = (1..6).map(|n| format!("Epoch {n}: loss 0.{n}\nodd words acc: 0.{n}\n")).collect();
    let curve = reading(&top).expect("it is a curve").curves.remove(0);
    assert_eq!(curve.may_be_validation.as_deref(), Some("\"val_accuracy=odd words acc\""));
    let recall: String = (1..6).map(|n| format!("Epoch {n}: loss 0.{n}\nEpoch {n}: recall@20: 0.{n}\n")).collect();
    let curve = reading(&recall).expect("it is a curve").curves.remove(0);
    assert!(curve.may_be_validation.is_some_and(|choice| choice.contains("recall@20")));
}

#[test]
fn a_name_with_a_line_break_is_a_name() {
    let table = "epoch,\"train\nloss\",\"val\nloss\"\n1,0.9,0.8\n2,0.7,0.75\n";
    assert_eq!(read_text("file", table).0, "0.9 - 0.8 -, 0.7 - 0.75 -");
}

#[test]
fn lines_without_epochs_are_counted_and_other_parts_are_named() {
    let counted: String = (1..4).map(|n| format!("{n} total_loss=0.{n} part_loss=0.05\n")).collect();
    assert_says(&counted, "0.1 - - -, 0.2 - - -, 0.3 - - -", "no line names an epoch");
    let bar = |loss: f64| format!("9/9 ━━━━ 3s 3s/step - loss: {loss} - val_loss: 1.5\nWARNING: saved\n");
    assert_says(&(bar(0.9) + &bar(0.7)), "0.9 - 1.5 -, 0.7 - 1.5 -", "no line names an epoch");
    let ema: String = (1..6).map(|n| format!("END epoch {n}: EMA acc~{n}0.5%\n")).collect();
    let (found, notes, _) = read_text("file", &notebook(&[&ema, "Epoch 1: loss 0.9\nEpoch 2: loss 0.7\n"]));
    assert_eq!(found, "0.9 - - -, 0.7 - - -");
    assert!(notes.iter().any(|note| note.contains("cell 1: EMA acc")), "{notes:?}");
    let best: String =
        (1..6).map(|n| format!("Ep {n} | val_auc=0.{n}\n{}", if n < 3 { "New best F1=0.4\n" } else { "" })).collect();
    assert_says(&best, "- - - 0.1, - - - 0.2, - - - 0.3, - - - 0.4, - - - 0.5", "val_auc is shown");
}

#[test]
fn phases_of_a_table_are_trainings_and_a_table_of_results_is_refused() {
    let rows: String =
        (1..3).map(|n| format!("event,{n},0.{n},1\n")).chain((1..4).map(|n| format!("lm,{n},0.{n}5,2\n"))).collect();
    let found = read_text("file", &format!("phase,epoch,train_loss,val_loss\n{rows}")).0;
    assert_eq!(found, "0.1 - 1 -, 0.2 - 1 -; 0.15 - 2 -, 0.25 - 2 -, 0.35 - 2 -");
    let searched = "mean_fit_time,param_C,mean_test_score\n0.1,1,0.7\n0.1,2,0.8\n0.2,3,0.9\n";
    assert!(refusal(searched).contains("another param_C"), "{}", refusal(searched));
    let results = "Date,Model Type,Train Epoch,R2 Score\n1,GMM,720,0.7\n2,MLP,350,0.9\n3,KNN,700,0.8\n4,GMM,540,0.6\n";
    assert!(refusal(results).contains("another Model Type"), "{}", refusal(results));
}

#[test]
fn scores_below_the_name_of_their_set_and_losses_of_a_model_are_read() {
    let epoch = |n: u32, bleu: f64| {
        format!("INFO - Epoch {n} - Batch loss: 0.{n}\nINFO - Epoch {n} - Validation BLEU: BLEU-1 {bleu}, BLEU-2 0.2\n")
    };
    assert_says(&(epoch(1, 0.5) + &epoch(2, 0.6)), "0.1 - - 0.5, 0.2 - - 0.6", "BLEU-1 is shown as the accuracy");
    let lists = r#"{"coil_train_losses": [0.9, 0.7, 0.6], "coil_val_losses": [1, 0.9, 0.8], "best_val_loss": 0.8}"#;
    assert_says(lists, "0.9 - 1 -, 0.7 - 0.9 -, 0.6 - 0.8 -", "coil_val_losses was read as the validation loss");
}

#[test]
fn what_does_not_fit_the_lines_is_said() {
    let lines = |n: u32| {
        format!(
            "Epoch {n}: train loss 0.{n}\nScore of the run: accuracy on held-out users is 0.8{n}\nUser loss: 0.3{n}\n"
        )
    };
    let left: String = (1..8).map(lines).collect::<String>() + "Epoch 3: train loss 0.9, saved\n";
    let (_, notes, unused) = read_text("file", &left);
    let said = notes.iter().any(|note| note.contains("other metrics were left out"))
        || unused.iter().any(|name| name.contains("User"));
    assert!(said, "{notes:?} {unused:?}");
    let two = |n: u32, loss: f64| format!("Epoch {n}: loss {loss}\n");
    let mixed: String = (1..13).map(|n| two(n, if n % 2 == 0 { 0.9 } else { 0.2 } - 0.001 * f64::from(n))).collect();
    assert!(read_text("file", &mixed).1.iter().any(|note| note.contains("between two levels in turn")), "{mixed}");
    let noisy: String = (1..13).map(|n| two(n, 0.5 + 0.01 * f64::from(n * 7 % 5))).collect();
    assert!(read_text("file", &noisy).1.is_empty(), "{noisy}");
    let forms: String = (1..9).map(|n| two(n, 0.1 * f64::from(n))).collect::<String>()
        + &(9..17).map(|n| format!("[phase two] epoch = {n}; loss = 0.5{n}\n")).collect::<String>();
    assert!(read_text("file", &forms).1.iter().any(|note| note.contains("lines of two forms")), "{forms}");
}

#[test]
fn what_does_not_fit_a_table_is_said() {
    let rows = |sets: &[&str], row: fn(u32, &str) -> String| -> String {
        (1..7).flat_map(|n| sets.iter().map(move |set| row(n, set))).collect()
    };
    let said = |text: &str, note: &str| {
        let notes = read_text("file", text).1;
        assert!(notes.iter().any(|said| said.contains(note)), "{note} is not in {notes:?}\n{text}");
    };
    let domains = rows(&["sketch", "photo"], |n, set| format!("{n},{set},0.{n},1.{n}\n"));
    said(&format!("epoch,domain,loss,val_loss\n{domains}"), "differ by domain, by which they were separated");
    let objects = rows(&["a", "b"], |n, task| format!("{{\"epoch\": {n}, \"task\": \"{task}\", \"loss\": 0.{n}}}\n"));
    said(&objects, "rows with different values of task");
    let single = rows(&["improved"], |n, text| format!("{n},{text},0.{n},1.{n}\n"));
    assert_eq!(read_text("file", &format!("epoch,state,loss,val_loss\n{single}")).1, [""; 0]);
    let half = rows(&["0.5", ""], |n, loss| format!("{},{loss},3.{n}\n", 2 * n - u32::from(loss.is_empty())));
    said(&format!("epoch,loss,time\n{half}"), "12 epochs are named, but the longest curve has 6");
    let tests = rows(&["0.9"], |n, test| format!("{n},0.{n},1.{n},{test}\n"));
    said(
        &format!("epoch,loss,val_loss,test_loss\n{tests}"),
        "val_loss was used, and other names for the same were left out: test_loss",
    );
    let twice = rows(&["", ""], |n, _| format!("loss: 0.{n}\n"));
    said(&twice, "come in equal pairs");
}

#[test]
fn folds_below_the_epoch_and_numbers_above_the_first_step_are_told_apart() {
    let line = |n: u32, fold: u32| format!("Epoch: {n} Fold: {fold} Loss: 0.{}\n", 9 - n - fold);
    let folds: String = (0..3).flat_map(|n| (0..2).map(move |fold| line(n, fold))).collect();
    assert_says(&folds, "0.9 - - -, 0.8 - - -, 0.7 - - -; 0.8 - - -, 0.7 - - -, 0.6 - - -", "(fold 0, fold 1)");
    let inner = |out: u32, n: u32| format!("epoch_out: {out}, epoch_in: {n}, loss: 0.{}\n", 9 - n - out);
    let nested: String = (0..2).flat_map(|out| (0..3).map(move |n| inner(out, n))).collect();
    assert_says(&nested, "0.9 - - -, 0.8 - - -, 0.7 - - -; 0.8 - - -, 0.7 - - -, 0.6 - - -", "the epoch goes back");
    let outer: String = (0..3).map(|n| format!("epoch_out: {n}, loss: 0.{}\n", 9 - n)).collect();
    assert_says(&outer, "0.9 - - -, 0.8 - - -, 0.7 - - -", "epoch_out was not read as the epoch");
    let script = "best_val_loss = 1.5\nval_loss = 7\nval_loss = 8\n";
    let step = |n: u32| format!("step:{n}/9 val_loss:0.{}\nstep:{n}/9 train_loss:0.{}\n", 9 - n, 8 - n);
    let steps: String = (0..4).map(step).collect();
    let expected = "0.8 - 0.9 -, 0.7 - 0.8 -, 0.6 - 0.7 -, 0.5 - 0.6 -";
    assert_says(&(script.to_owned() + &steps), expected, "outside the lines that name steps");
    let bar =
        |n: u32| format!("Training [= ] {n}0.0% {n}00/900 | 4.6 it/s | loss=0.{n} | validation_loss=1.5\nSaved {n}\n");
    let bars = format!("Vocabulary: 32000, tokens: 21\n{}{}", bar(2), bar(4));
    assert_says(&bars, "0.2 - 1.5 -, 0.4 - 1.5 -", "counts steps");
}

#[test]
fn a_result_below_the_last_epoch_is_no_part_of_it() {
    let batch = |epoch: u32, step: u32, loss: f64| format!("Epoch {epoch}/2, step {step}/542, loss = {loss}\n");
    let epochs = batch(1, 10, 0.5) + &batch(1, 540, 0.3) + &batch(2, 10, 0.3) + &batch(2, 540, 0.1);
    assert_reads_so(&(epochs + "RMSE 30.9601, MAPE 0.3924\n"), "0.4 - - -, 0.2 - - -");
    let steps: String = (1..6).map(|n| format!("loss = 0.{n}, step = {n}00\n")).collect();
    let result = "Saving dict for global step 500: eval_loss = 0.7, global_step = 500\n  eval_loss = 0.7\n";
    let expected = "0.1 - - -, 0.2 - - -, 0.3 - - -, 0.4 - - -, 0.5 - - -";
    assert_says(&(steps + result), expected, "a single value is not a curve: eval_loss");
    let stats =
        |loss: f64| format!("Averaged stats: lr: 0.1  class_error: 9.00  loss: 9.0 ({loss})  loss_box: 1 (1)\n");
    let epoch = |n: u32| {
        let (train, test) =
            (format!("Epoch: [{n}]  [1/2]  lr: 0.1  loss: 9.5 (8.5)\n"), "Test:  [78/79]  loss: 7.5 (7.5)\n");
        train + &stats(0.9) + test + &stats(0.8)
    };
    assert_reads_so(&(epoch(0) + &epoch(1)), "0.9 - 0.8 -, 0.9 - 0.8 -");
    let agent = "[step=1] episode=1 return=-113.7 loss=712.2\n[step=2] episode=2 return=-63.8 loss=822.3\n";
    assert!(refusal(agent).contains("reinforcement learning"), "{}", refusal(agent));
    let prose = "He got no reward for it.\nNothing else was written.\n";
    assert!(!refusal(prose).contains("reinforcement learning"), "{}", refusal(prose));
    let settings = "RANGE_LOSS_WEIGHT: 1\nLOSS_WEIGHT_CENTER: 0.5\n";
    assert!(reading(&settings.repeat(2)).is_err());
}

#[test]
fn a_log_that_lacks_its_first_line_has_all_epochs() {
    let bar = |loss: f64| format!("9/9 [====] - 1s - loss: {loss} - val_loss: 1.5\n");
    let epochs: String = (1..5).map(|n| bar(1.0 / f64::from(n)) + &format!("Epoch {}/5\n", n + 1)).collect();
    let log = epochs + &bar(0.2) + "{'accuracy': 0.8, 'f1_score': 0.7}\n";
    let expected = "1 - 1.5 -, 0.5 - 1.5 -, 0.3333 - 1.5 -, 0.25 - 1.5 -, 0.2 - 1.5 -";
    assert_says(&log, expected, "were assigned to epoch 1");
}

#[test]
fn bars_count_steps_or_epochs_and_never_replace_the_line_of_an_epoch() {
    let step = |n: u32, loss: f64| {
        format!(
            "Training [==  ] {n}0.0% {n}00/1000 | 4.6 it/s | ETA: 9.8 s | loss={loss} | validation_loss=1.5\nSaved {n}00\n"
        )
    };
    assert_says(
        &(step(2, 0.9) + &step(4, 0.7) + &step(6, 0.6)),
        "0.9 - 1.5 -, 0.7 - 1.5 -, 0.6 - 1.5 -",
        "counts steps",
    );
    let run = |loss: f64| format!("Epochs: 100%|####| 50/50 [08:05<00:00, 10.29it/s, Loss={loss}]\n");
    assert_says(&(run(0.9) + &run(0.7)), "0.9 - - -, 0.7 - - -", "no line names an epoch");
    let epoch = |n: u32, loss: f64| {
        format!(
            "Epoch {n}:\nloss={loss}, accuracy=0.5,\nval_loss=1.5\n 50%|##  | 1/2 [00:01<00:01, 6.6batch/s, accuracy=0.1, loss=7]\n"
        )
    };
    assert_reads_so(&(epoch(1, 0.9) + &epoch(2, 0.7)), "0.9 0.5 1.5 -, 0.7 0.5 1.5 -");
}

#[track_caller]
fn assert_reads_so(text: &str, expected: &str) {
    let (found, notes, unused) = read_text("file", text);
    assert_eq!(found, expected, "{notes:?} {unused:?}\n{text}");
}

#[test]
fn reports_of_results_are_no_curves() {
    let rows = "Target,MAE,MSE,R2\nweight,1.5,2.5,0.8\nload,2.5,3.5,0.7\nmean,2.0,3.0,0.75\n";
    assert!(refusal(rows).contains("another Target"), "{}", refusal(rows));
    let board = "Agent,ELO,Wins,Losses\nRandom,1644,508,292\nNeural,1399,193,167\n";
    assert!(refusal(board).contains("another Agent"), "{}", refusal(board));
    let sites: String = (1..5).map(|n| format!("- Site {n} winter: RMSE 6.8{n}, MAE 4.2{n}\n")).collect();
    assert!(refusal(&sites).contains("results of several training runs"), "{}", refusal(&sites));
    let models = r#"[{"accuracy": 0.6, "model_key": "lstm"}, {"accuracy": 0.3, "model_key": "tree"}]"#;
    assert!(refusal(models).contains("another model_key"), "{}", refusal(models));
}

#[test]
fn numbers_before_the_first_step_begin_no_run() {
    let steps = "Utils.hpp: 12\nUtils.hpp: 13\nstep:0/9 val_loss:0.9 val_bpb:0.5\nstep:1/9 train_loss:0.8\nstep:2/9 val_loss:0.7 val_bpb:0.4\n";
    let (found, notes, _) = read_text("file", steps);
    assert_eq!(found.matches(';').count(), 0, "{found} {notes:?}");
}

#[test]
fn lines_that_stand_several_times_in_each_epoch_are_those_of_batches() {
    let epoch = |n: u32, at: f64| {
        format!("INFO:root:train epoch: {n}\ncount: 0, loss:{at}: \ncount: 50, loss:2: \ncount: 90, loss:3: \n")
    };
    assert_reads_so(&(epoch(0, 4.0) + &epoch(1, 1.0)), "3 - - -, 2 - - -");
}

#[test]
fn a_log_in_comments_of_a_source_file_is_read_and_said_to_be_one() {
    let source = |epochs: std::ops::Range<u32>| {
        let log: String = epochs.map(|n| format!("# Epoch [{n}/9], Loss: 0.{n}, Validation Loss: 1.{n}\n")).collect();
        let text = format!("lr = 0.1\nfor x in range(3):\n    print(f\"Epoch {{x}} loss {{y}}\")\n{log}");
        Source { name: "train.py".into(), prefix: None, bytes: text.into() }
    };
    let found = read(&[source(1..7)], None, &[]).expect("it has a log");
    assert_eq!(found.curves[0].epochs.len(), 6);
    assert!(found.notes.iter().any(|note| note.contains("source file (.py)")), "{:?}", found.notes);
    assert!(read(&[source(1..4)], None, &[]).is_err(), "a few lines may be an example");
}

#[test]
fn commas_and_brackets_between_a_name_and_its_value_are_read() {
    let steps = |n: u32| {
        (1..4)
            .map(move |step| format!("epoch {n}, phase train, step {step}0, loss_train, 0.{}\n", 9 - n))
            .collect::<String>()
            + &format!("epoch {n} | val_loss: 1.{n}\n")
    };
    assert_reads_so(&(steps(1) + &steps(2)), "0.8 - 1.1 -, 0.7 - 1.2 -");
    let pair = |n: u32, part: &str| format!("INFO Epoch[{n}] {part}-accuracy=(accuracy,0.{n})\n");
    let mxnet: String = (0..3).map(|n| pair(n, "Train") + &pair(n, "Validation")).collect();
    assert_reads_so(&mxnet, "- 0 - 0, - 0.1 - 0.1, - 0.2 - 0.2");
    let words = |n: u32| format!("#Epoch {n} Train Loss: 0.{n}\n#Epoch {n} Loss in Validation data 1.{n}\n");
    assert_reads_so(&(words(1) + &words(2)), "0.1 - 1.1 -, 0.2 - 1.2 -");
    let header = "Epoch 1: loss: 0.9\nnames, loss, accuracy, 0.5\nEpoch 2: loss: 0.8\n";
    assert_reads_so(header, "0.9 - - -, 0.8 - - -");
}

#[test]
fn boosting_rounds_of_other_models_are_curves_of_their_own() {
    let epochs: String = (1..6).map(|n| format!("Epoch {n}, loss: 9{n}.5, time: 0min 1s\n")).collect();
    let rounds =
        |set: &str| -> String { (1..4).map(|n| format!("    [{n}0]\t{set}'s binary_logloss: 0.{n}\n")).collect() };
    assert_says(
        &(epochs + &rounds("valid")),
        "91.5 - - -, 92.5 - - -, 93.5 - - -, 94.5 - - -, 95.5 - - -; - - 0.1 -, - - 0.2 -, - - 0.3 -",
        "boosting rounds follow",
    );
    let end = "    Early stopping, best iteration is:\n    [10]\tvalid_0's binary_logloss: 0.1\n";
    let models = rounds("valid_0") + end + &rounds("training");
    assert_reads_so(&models, "- - 0.1 -, - - 0.2 -, - - 0.3 -; 0.1 - - -, 0.2 - - -, 0.3 - - -");
}

#[test]
fn a_loss_below_the_scores_of_its_set_belongs_to_this_set() {
    let set = |name: &str, n: u32, loss: f64| {
        format!("{name} performance at epoch {n} is precision: 0.5, fscore: 0.6, right: 45.\nLoss is: {loss}.\n")
    };
    let epoch = |n: u32| {
        set("Train", n, 0.9)
            + &set("Validate", n, 0.8)
            + &set("test", n, 0.7)
            + &format!("Epoch {n} cost time: 3 second\n")
    };
    let (found, ..) = read_text("file", &(1..4).map(epoch).collect::<String>());
    assert_eq!(found, "0.9 - 0.8 -, 0.9 - 0.8 -, 0.9 - 0.8 -");
}

#[test]
fn models_under_prefixes_and_scores_of_both_sets_are_read() {
    let models = r#"{"reg_loss": [1.2, 1.1, 1.0], "reg_val_loss": [0.5, 0.4, 0.3], "cls_loss": [0.7, 0.6], "cls_val_loss": [0.9, 0.8]}"#;
    assert_says(models, "0.7 - 0.9 -, 0.6 - 0.8 -; 1.2 - 0.5 -, 1.1 - 0.4 -, 1 - 0.3 -", "cls and reg are models");
    let rounds = |n: u32| format!("[{n}0]\ttraining's auc: 0.8{n}\tvalid_1's auc: 0.6{n}\n");
    assert_says(
        &(1..5).map(rounds).collect::<String>(),
        "- 0.81 - 0.61, - 0.82 - 0.62, - 0.83 - 0.63, - 0.84 - 0.64",
        "training set",
    );
}

#[test]
fn repetitions_with_their_mean_are_no_epochs_and_rare_accuracies_no_training() {
    let rows: String = (1..5).map(|n| format!("{n}          0.68{n}    1.15{n}\n")).collect();
    let table = format!("          TestAcc  TestLoss\n{rows}mean       0.703    1.095\nstd        0.050    0.157\n");
    assert!(refusal(&table).contains("results of several training runs"), "{}", refusal(&table));
    let line = |n: u32| {
        format!(
            "Epoch {n} loss 1.{n} | train 2.1s{}\n",
            if n.is_multiple_of(10) { " | Acc 9.0% | infer 4.4s" } else { "" }
        )
    };
    let (found, notes, _) = read_text("file", &(1..51).map(line).collect::<String>());
    assert!(found.contains("1.10 - - 0.09") || found.contains("1.1 - - 0.09"), "{found}");
    assert!(notes.iter().any(|note| note.contains("far less often than the loss")), "{notes:?}");
    let zeros: String = (1..9).map(|n| format!("Epoch {n}: loss 0.000{}\n", if n < 4 { n } else { 0 })).collect();
    assert!(read_text("file", &zeros).1.iter().any(|note| note.contains("it was rounded")), "{zeros}");
}

#[test]
fn a_validation_metric_in_an_unusual_line_is_read() {
    for of in ["TEST in epoch{n}, ", "Test-epoch_{n}: ", "[valid epoch{n}] ", "val @ Epoch{n} | "] {
        let epoch = |n: u32| {
            let of = of.replace("{n}", &n.to_string());
            format!("TRAIN in epoch {n} , step 0, loss = 0.9{n}\n{of}loss = 0.8{n}, acc = 5{n}.5%\n")
        };
        assert_eq!(read_text("file", &(epoch(1) + &epoch(2))).0, "0.91 - 0.81 0.515, 0.92 - 0.82 0.525", "{of}");
    }
    for before in ["", "2019-08-27 10:51:08,139 [trainer.py:209] INFO ", "2019-08-27 10:51:08 INFO: "] {
        let epoch = |n: u32, error: f64| {
            format!(
                "{before}Epoch: [{n}][9/9]\tLoss 9.5 (9.5)\tEPE 7.5 ({error})\n{before}Test: [0/5]\tEPE 6.5\n{before} * EPE \
                 5.{n}\n"
            )
        };
        assert_eq!(read_text("file", &(epoch(0, 8.5) + &epoch(1, 7.5))).0, "8.5 - 5 -, 7.5 - 5.1 -", "{before}");
    }
}

#[test]
fn what_may_be_the_validation_metric_is_named_wherever_it_stands() {
    let log = |line: fn(u32) -> String| -> String {
        (1..13).map(|n| format!("Epoch {n} | loss {}\n{}\n", 1.5 - 0.1 * f64::from(n), line(n))).collect()
    };
    for line in [
        |n| format!("<epoch: {n}, Average PSNR : 2{n}.5dB"),
        |n| format!("epoch\t{n}\tvalid running_average\t0.6{n}"),
        |n| format!("eval: mean distance 3.{n}"),
        |n| format!("recall@10 0.00{n} on dev"),
        |n| if n % 4 > 0 { String::new() } else { format!("Epoch {n} | loss 1 | Heun 8{n}.5% Single 7{n}.5%") },
    ] {
        let curve = reading(&log(line)).expect("it is a curve").curves.remove(0);
        assert!(curve.may_be_validation.is_some() || curve.unread_validation, "{curve:?}\n{}", log(line));
    }
    for line in [
        |n| format!("saved the best model with acc 0.5{n}"),
        |n| format!("validation took {n}.5 s"),
        |n| format!("f: {n}.5, l: 0.5"),
        |n| format!("Test set length: 1{n}"),
    ] {
        let curve = reading(&log(line)).expect("it is a curve").curves.remove(0);
        assert!(curve.may_be_validation.is_none() && !curve.unread_validation, "{curve:?}\n{}", log(line));
    }
}

#[test]
fn the_set_of_an_accuracy_that_names_none_is_decided_by_evidence_or_said() {
    let log = |accuracy: fn(u32) -> f64| -> String {
        (0..40)
            .map(|n| {
                format!("epoch = {n}   accuracy = {:.2} %   loss = {:.4}\n", accuracy(n), 900.0 / f64::from(1 + n * n))
            })
            .collect()
    };
    let set = |text: &str, note: &str| {
        let curve = reading(text).expect("it is a curve").curves.remove(0);
        assert!(curve.notes.iter().any(|said| said.contains(note)), "{note} is not in {:?}", curve.notes);
        curve.epochs[0].val_accuracy.is_some()
    };
    let rises: fn(u32) -> f64 = |n| 50.0 + f64::from(n);
    let stalls: fn(u32) -> f64 = |n| 60.0 + f64::from(n.min(9));
    assert!(set(&log(stalls), "does not get better while the loss falls"));
    let loguru = "2023-03-01 18:54:06.459 | INFO     | __main__:train:325 - epoch";
    assert!(set(&log(stalls).replace("epoch", loguru), "does not get better while the loss falls"));
    assert!(!set(&log(rises), "names no set"));
    assert!(!set(&log(|_| 10.0), "names no set"));
    assert!(set(
        &(log(rises) + "Training complete\nCurrent accuracy for test dataset: 89.00 %\n"),
        "repeats its last value"
    ));
}

#[test]
fn runs_are_told_apart_by_commands_and_not_by_a_stray_digit() {
    let epoch = |n: u32| format!("epoch: {n}  loss: 0.{n}\n");
    let stray: String = (3..9).map(|n| format!("{}{}", if n == 6 { "0" } else { "" }, epoch(n))).collect();
    assert_eq!(names(&stray), [""]);
    let counted = |command: &str| format!("{command}\ntrain loss: 0.9\nval loss: 1\ntrain loss: 0.7\nval loss: 0.8\n");
    for prompt in
        ["root@ip-1:~/net# th", "(base) me@host:~$ python", "[me@host net]$ python3", "$ LR=0.1 python", "!python"]
    {
        let two = counted(&format!("{prompt} a.py --epochs 2")) + &counted(&format!("{prompt} b.py"));
        assert_eq!(read_text("file", &two).0, "0.9 - 1 -, 0.7 - 0.8 -; 0.9 - 1 -, 0.7 - 0.8 -", "{prompt}");
        let resumed = format!("{prompt} a.py\n{}{}{prompt} a.py\n{}{}", epoch(1), epoch(2), epoch(3), epoch(4));
        assert_eq!(names(&resumed), [""], "{prompt}");
    }
}

#[test]
fn marked_cells_are_numbers_and_other_rows_are_said() {
    let table =
        "| Epoch | Train Loss | Val Acc |\n|---|---|---|\n| 1 | 0.9 | **72.5%** ✅ |\n| 2 | 0.7 | 73.5% (best) |\n";
    assert_eq!(read_text("file", table).0, "0.9 - - 0.725, 0.7 - - 0.735");
    let words = format!("{table}| 3 | 0.6 | see below |\n| 4 | 0.5 | 75.5% |\n");
    assert_says(&words, "0.9 - - 0.725, 0.7 - - 0.735, 0.5 - - 0.755", "words where its numbers stand");
    let loaded: String =
        (1..4).map(|n| format!("Epoch 000{n} : models\\000{n}.pt\n    Dice = 0.{n}5 ± 0.01\n")).collect();
    let summary = "  Epoch   Dice (mean±std)   sec\n ------  ----------------  -----\n     1   0.15 ± 0.01   0.2\n     2   0.25 ± 0.01   0.2\n     3   \
                   0.35 ± 0.01   0.2 ★\n";
    assert_eq!(read_text("file", &(loaded + summary)).0, "- - - 0.15, - - - 0.25, - - - 0.35");
}

#[test]
fn the_same_quantity_of_both_sets_is_compared() {
    let errors = |n: u32| format!("Epoch {n}, train_rmse: 2.{n}, Total Loss: 4.{n}\nEpoch {n}, test_rmse: 1.{n}\n");
    assert_says(&(errors(1) + &errors(2)), "2.1 - 1.1 -, 2.2 - 1.2 -", "train_rmse is shown as the training loss");
    let alone = |n: u32| format!("Epoch {n}, train loss: 4.{n}\nEpoch {n}, test mae: 1.{n}\n");
    assert_says(&(alone(1) + &alone(2)), "4.1 - 1.1 -, 4.2 - 1.2 -", "cannot be compared");
    let words =
        |n: u32| format!("Training Epoch: [{n}] Average Loss 9.{n}\nValidation Epoch: [{n}] Average WER 3{n}.5\n");
    let tests: String = (1..9).map(|n| format!("Test Summary Average WER 2{n}.5\n")).collect();
    assert_eq!(read_text("file", &(words(1) + &words(2) + &tests)).0, "9.1 - - 0.685, 9.2 - - 0.675");
    let mxnet = |n: u32| {
        format!(
            "INFO - Epoch[{n}] Batch [0-20]\tSpeed: 25.7 samples/sec\tbox_loss=0.9\nINFO - Epoch[{n}] Batch [0-40]\tSpeed: 25.7 \
             samples/sec\tbox_loss=0.8\nINFO - Epoch[{n}] Train-box_loss=0.{n}\n"
        )
    };
    assert_eq!(read_text("file", &(mxnet(5) + &mxnet(6) + &mxnet(7))).0, "0.85 - - -, 0.85 - - -, 0.85 - - -");
    let coqui = |n: u32| {
        format!(
            "> EPOCH: {n}/9\n> TRAINING (2022-11-03 10:47:31)\n  | > loss_0: 3.5 (3.{n})\n> EVALUATION\n--> EVAL PERFORMANCE\n  | > avg_loss_0: \
             2.{n} (+0.01)\n  | > avg_accuracy: 0.{n} (-0.02)\n"
        )
    };
    assert_eq!(read_text("file", &(coqui(0) + &coqui(1))).0, "3 - 2 0, 3.1 - 2.1 0.1");
    let rivals = |n: u32| {
        format!(
            "{{\"epoch\": {n}, \"val_loss_disc\": 2.{n}, \"val_loss_0\": 2.{n}, \"val_loss_gen\": 1.5, \"val_loss_1\": 9.{n}}}\n"
        )
    };
    assert_eq!(read_text("file", &(rivals(1) + &rivals(2))).0, "- - 9.1 -, - - 9.2 -");
}

#[test]
fn steps_and_totals_and_headings_are_said() {
    let steps = (1..4).map(|n| format!("step={n} ,loss=0.{n}, auc=0.5\n")).collect::<String>();
    assert_says(&steps, "0.1 - - -, 0.2 - - -, 0.3 - - -", "each step is an epoch");
    let steps = format!("eopch=0\n{steps}step=4 ,loss=0.4, auc=0.5\n");
    assert_says(&steps, "0.1 - - -, 0.2 - - -, 0.3 - - -, 0.4 - - -", "has one epoch");
    let each = |form: &str| (1..4).map(|n| form.replace('N', &n.to_string())).collect::<String>();
    let read = "0.4 - 0.1 -, 0.4 - 0.2 -, 0.4 - 0.3 -";
    let headed = each("--start eval--\neval mean loss: 0.N\n---train loss & acc---\n1/2 done!\ntrain mean loss: 0.4\n");
    assert_says(&headed, read, "no line names an epoch");
    assert_reads(&each("Epoch: [N | 9]\n(1/9) ETA: 3min | Loss: 0.4\nval loss: 0.N\n"), read);
    let total = each("[epoch: N/9, iter: 0/9] total: 1e-N\nval acc: 0.6\n");
    assert_says(&total, "0.1 - - 0.6, 0.01 - - 0.6, 0.001 - - 0.6", "total was read as the training loss");
    assert_reads(&total.replace("e-", "."), "- - - 0.6, - - - 0.6, - - - 0.6");
    let row = |n: u32, x: f64| format!("{n}/2 1.8G 0.1 {x} 0.1 {} 25 416 0.5 0.5 0.6 0.{n} 0.2 {x} 0.1\n", x + 0.2);
    let yolo = row(0, 0.5) + &row(1, 0.4) + &row(2, 0.3);
    assert_says(&yolo, "0.7 - 0.8 0, 0.6 - 0.7 0.1, 0.5 - 0.6 0.2", "no header names the columns");
    assert!(refusal(&each("N,0.5\n")).contains("no header names"));
    assert!(refusal("(dp0\nVloss\np1\n(lp2\nF0.5\naF0.4\nas.").contains("a Python pickle"));
}

#[test]
fn a_score_that_stands_in_for_the_accuracy_is_named() {
    let score = |text: &str, choices: &[Choice]| {
        let source = Source { name: "file".into(), prefix: None, bytes: text.into() };
        let reading = read(&[source], None, choices).unwrap_or_else(|problem| panic!("{}", problem.what));
        reading.curves[0].score.clone()
    };
    let table = |name: &str| format!("epoch,loss,{name}\n1,0.9,0.1\n2,0.8,0.2\n3,0.7,0.25\n");
    assert_eq!(score(&table("dev BLEU"), &[]).as_deref(), Some("dev BLEU"));
    assert_eq!(score(&table("val_acc"), &[]), None);
    assert_eq!(score(&table("val_caps_acc"), &[]), None);
    let chosen = "val_accuracy=quality f1".parse().expect("it is a choice");
    assert_eq!(score(&table("quality f1"), &[chosen]).as_deref(), Some("quality f1"));
}
