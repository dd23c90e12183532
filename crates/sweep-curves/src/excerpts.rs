//! What more published logs look like, one short example of each kind. The numbers are made up.

use super::published::{assert_reads, assert_says, read_file, refusal};
use super::*;

#[test]
fn signs_inside_the_name_of_a_column_do_not_hide_a_table() {
    let yolo = "epoch,   train/box_loss,   train/obj_loss, metrics/mAP_0.5,metrics/mAP_0.5:0.95,  val/box_loss,  val/obj_loss\n\
                0, 0.5, 0.4, 0.3, 0.2, 0.6, 0.4\n1, 0.4, 0.3, 0.5, 0.3, 0.5, 0.3\n";
    assert_says(yolo, "0.9 - 1 0.2, 0.7 - 0.8 0.3", "metrics/mAP_0.5:0.95 is shown as the accuracy");
    let wide = "epoch  loss  mAP@0.5:0.95\n1  0.9  0.2\n2  0.7  0.3\n";
    assert_reads(wide, "0.9 - - 0.2, 0.7 - - 0.3");
    let seen = refusal("a      line    of prose\n");
    assert!(seen.contains("\"a line of prose\""), "{seen}");
}

#[test]
fn the_mean_loss_of_darknet_is_the_curve_and_not_the_parts_of_its_layers() {
    let step = |n: u32, mean: f64| {
        format!(
            "v3 (mse loss, Normalizer: (iou: 0.75, cls: 1.00) Region 94 Avg (IOU: 0.790321), count: 4, class_loss = 0.419356, \
             iou_loss = 0.2, total_loss = 0.6\n\n {n}: 1.431136, {mean} avg loss, 0.001000 rate, 6.7 seconds, 162176 images, 9.5 \
             hours left\nLoaded: 0.00005 seconds\n"
        )
    };
    assert_reads(&(step(2534, 0.9) + &step(2535, 0.7)), "0.9 - - -, 0.7 - - -");
}

#[test]
fn an_accuracy_alone_is_of_validation_and_a_score_beside_each_training_loss_is_not() {
    let alone = "epoch\thours\ttop1Accuracy\n1\t0.01\t30.5\n2\t0.02\t40.5\n";
    assert_says(alone, "- - - 0.305, - - - 0.405", "no loss was recorded beside it");
    let (found, notes) = read_file("file", "epoch,loss,iou\n1,0.9,0.2\n2,0.7,0.3\n");
    assert!(found == "0.9 - - -, 0.7 - - -" && notes.contains("iou"), "{found} {notes}");
}

#[test]
fn accuracies_of_heads_stand_for_the_accuracy_and_it_is_said() {
    let heads = "epoch,train_loss,val_Class_Accuracy,val_Object_Accuracy\n1,0.9,0.2,0.4\n2,0.7,0.3,0.5\n";
    assert_says(heads, "0.9 - - 0.2, 0.7 - - 0.3", "val_Class_Accuracy is shown as the accuracy");
    let outputs = "epoch,loss,caps_acc,val_loss,val_caps_acc\n1,0.9,0.4,0.8,0.2\n2,0.7,0.5,0.75,0.3\n";
    assert_says(outputs, "0.9 0.4 0.8 0.2, 0.7 0.5 0.75 0.3", "val_caps_acc is shown as the accuracy");
    let percent = "Epoch [1/2], training loss: 0.9\n valid correct percent : 0.75\nEpoch [2/2], training loss: 0.7\n valid correct \
                   percent : 0.8\n";
    assert_reads(percent, "0.9 - - 0.75, 0.7 - - 0.8");
}

#[test]
fn numbers_of_an_epoch_stand_in_many_forms() {
    let shares = |n: u32, train: f64, val: f64| format!("Epoch: 00{n}/100 | Train: {train}% | Validation: {val}%\n");
    assert_reads(&(shares(1, 13.67, 7.81) + &shares(2, 23.5, 17.25)), "- 0.1367 - 0.0781, - 0.235 - 0.1725");
    let after = |n: u32, train: f64, val: f64| {
        format!("Training loss after {n} epochs: {train}\nValidation loss after {n} epochs: {val}\n")
    };
    assert_reads(&(after(1, 0.9, 0.8) + &after(2, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let dicts: String = (1..=20)
        .map(|n| {
            format!(
                "{{'loss': {}, 'grad_norm': 0.5, 'epoch': {:.2}}}\n",
                2.0 - 0.01 * f64::from(n),
                0.005 * f64::from(n)
            )
        })
        .collect();
    assert!(read_file("file", &dicts).0.matches(',').count() > 5, "{:?}", read_file("file", &dicts));
    let rows = |n: u32| {
        format!(
            "{{\"loss\": 0.{n}, \"epoch\": {n}, \"iter\": 96, \"step\": {}}}\n{{\"accuracy/top1\": 5{n}, \"step\": {n}}}\n",
            96 * n
        )
    };
    assert_reads(&(rows(1) + &rows(2)), "0.1 - - 0.51, 0.2 - - 0.52");
    let several = |n: u32| {
        format!(
            "Epoch {n}/2  Iteration 1/10 Training loss: 0.9\nValidation loss: 0.8\nEpoch {n}/2  Iteration 2/10 Training loss: 0.7\nValidation loss: 0.7{n}\n"
        )
    };
    let points = "0.9 - 0.8 -, 0.7 - 0.71 -, 0.9 - 0.8 -, 0.7 - 0.72 -";
    assert_says(&(several(1) + &several(2)), points, "validation was measured 4 times in 2 epochs");
}

#[test]
fn settings_and_trials_are_no_curves() {
    let trial =
        |n: u32| format!("{{\"record_id\": {n}, \"validation_loss\": 0.{n}, \"config\": {{\"n_estimators\": {n}}}}}\n");
    assert!(refusal(&(trial(1) + &trial(2) + &trial(3))).contains("another config"));
    let running: String = (1..9).map(|n| format!("Accuracy: 0.5{n}\n")).collect();
    assert!(refusal(&running).contains("results of several training runs"));
    let beside: String = (1..9).map(|n| format!("Accuracy: 0.5{n} hinge loss: 0.{n}\n")).collect();
    assert!(!read_file("file", &beside).0.is_empty());
    assert!(!refusal("loss_threshold: -0.01\nloss_threshold: -0.02\n").is_empty());
}

#[test]
fn a_single_value_is_no_curve_either_alone() {
    let alone = "{'loss': 0.6898, 'learning_rate': 1e-05, 'epoch': 2.0}\n{'train_runtime': 12.5, 'train_loss': 0.668, 'epoch': 3.0}\n";
    assert!(refusal(alone).contains("more than one value"), "{}", refusal(alone));
    let shares = "rates\n{'train': 0.626, 'val': 0.626, 'test': 0.632}\n";
    let (what, shown) = (refusal(shares), "no learning curve was found");
    assert!(what.contains(shown) || what.contains("no loss"), "{what}");
}

#[test]
fn steps_of_an_epoch_whose_lines_have_both_sets_are_evaluations() {
    let line = |epoch: u32, step: u32, train: f64, val: f64| {
        format!("> Ep {epoch} (Step {step:06}): Train loss {train}, Val loss {val}\n")
    };
    let one = line(1, 0, 0.9, 0.8) + &line(1, 5, 0.7, 0.75) + &line(1, 10, 0.5, 0.7);
    assert_reads(&one, "0.9 - 0.8 -, 0.7 - 0.75 -, 0.5 - 0.7 -");
    let two = one + &line(2, 15, 0.4, 0.65) + &line(2, 20, 0.3, 0.6);
    assert_reads(&two, "0.9 - 0.8 -, 0.7 - 0.75 -, 0.5 - 0.7 -, 0.4 - 0.65 -, 0.3 - 0.6 -");
    let again = |epoch: u32, step: u32, train: f64, val: f64| {
        format!("Epoch {epoch}, step {step}: train loss {train}, val loss {val}\n")
    };
    let restarts = again(1, 1, 0.9, 0.8) + &again(1, 2, 0.7, 0.75) + &again(2, 1, 0.5, 0.7) + &again(2, 2, 0.4, 0.65);
    assert_reads(&restarts, "0.9 - 0.8 -, 0.7 - 0.75 -, 0.5 - 0.7 -, 0.4 - 0.65 -");
}

#[test]
fn epochs_after_the_end_of_a_training_run_are_another_one() {
    let epoch = |n: u32, train: f64| format!("Epoch {n}/49\ntrain Loss: {train} Acc: 0.5\nval Loss: 0.8 Acc: 0.4\n");
    let over = "Early stopping at 2\nTraining complete in 9m 9s\nBest val Acc: 0.618905\nModelB\n";
    let log = epoch(0, 0.9) + &epoch(1, 0.7) + over + &epoch(47, 1.5) + &epoch(48, 1.25);
    assert_says(&log, "0.9 0.5 0.8 0.4, 0.7 0.5 0.8 0.4; 1.5 0.5 0.8 0.4, 1.25 0.5 0.8 0.4", "training is over");
}

#[test]
fn the_set_of_a_line_may_stand_beside_its_epoch() {
    let epoch = |n: u32, train: f64, val: f64| {
        format!("[Epoch {n}-TRAIN] Loss(Acc): {train}(94.19%)\n[Epoch {n}-VALID] Loss(Acc): {val}(90.5%)\n")
    };
    assert_reads(&(epoch(0, 0.9, 0.8) + &epoch(1, 0.7, 0.75)), "0.9 0.9419 0.8 0.905, 0.7 0.9419 0.75 0.905");
    let two = |n: u32| {
        format!("[Epoch {n}-TRAIN] A Loss: 0.5 vs B Loss: 0.9{n}\n[Epoch {n}-VALID] A Loss: 0.4 vs B Loss: 0.8{n}\n")
    };
    assert_says(&(two(0) + &two(1)), "0.9 - 0.8 -, 0.91 - 0.81 -", "not train A Loss");
}

#[test]
fn scores_of_classes_are_no_epochs_and_catboosts_scores_no_losses() {
    let classes: String = (0..3).map(|n| format!("ROC AUC for class {n} = 0.9{n}\n")).collect();
    assert!(!refusal(&classes).is_empty());
    let catboost = "0:\ttest: 0.92\tbest: 0.92 (0)\ttotal: 50ms\n1:\ttest: 0.97\tbest: 0.97 (1)\ttotal: 60ms\n2:\ttest: 0.98\tbest: 0.98 \
                    (2)\ttotal: 70ms\n";
    let meta = r#""learn_metrics": [{"best_value": "Min", "name": "Quantile:alpha=0.7"}], "test_metrics": [{"best_value": "Min", "name": "Quantile:alpha=0.7"}]"#;
    let rounds = r#"{"iteration": 0, "learn": [0.9], "test": [0.8]}, {"iteration": 1, "learn": [0.7], "test": [0.75]}"#;
    let quantiles = format!("{{\"meta\": {{{meta}}}, \"iterations\": [{rounds}]}}");
    assert_says(
        &quantiles,
        "0.9 - 0.8 -, 0.7 - 0.75 -",
        "test Quantile:alpha=0.7 loss was read as the validation loss",
    );
    assert_says(catboost, "- - - 0.92, - - - 0.97, - - - 0.98", "were read as scores");
}

#[test]
fn short_names_of_sets_and_of_errors_are_known() {
    let line =
        |n: u32, train: f64, val: f64| format!("epoch {n}, loss_tr={train} err_tr=0.4 loss_te={val} err_te=0.5\n");
    assert_reads(&(line(1, 0.9, 0.8) + &line(2, 0.7, 0.75)), "0.9 0.6 0.8 0.5, 0.7 0.6 0.75 0.5");
    assert_reads("epoch,train_error1,val_error1\n1,0.5,0.6\n2,0.25,0.5\n", "- 0.5 - 0.4, - 0.75 - 0.5");
}

#[test]
fn rows_of_two_processes_in_one_file_are_sorted() {
    let rows: String = (0..40)
        .flat_map(|n| [2 * n, (2 * n - 3).max(0)])
        .map(|step| {
            format!("{{\"current_steps\": {step}, \"step\": {step}, \"loss\": {}}}\n", 2.0 - 0.01 * f64::from(step))
        })
        .collect();
    let (found, notes) = read_file("file", &rows);
    assert!(found.matches(';').count() == 0 && notes.contains("several processes"), "{found} {notes}");
}

#[test]
fn an_epoch_with_several_values_among_others_is_told() {
    let rows: String = [0, 0, 1, 2].iter().map(|n| format!("{{\"epoch\": {n}, \"train_loss\": 0.{n}5}}\n")).collect();
    let (_, notes) = read_file("file", &rows);
    assert!(notes.contains("epoch 1 has several values"), "{notes}");
    let detr = |n: u32, score: f64| {
        format!("{{\"epoch\": {n}, \"train_loss\": 0.5, \"test_coco_eval_bbox\": [{score}, 0.5, 0.3]}}\n")
    };
    assert_says(&(detr(0, 0.1) + &detr(1, 0.2)), "0.5 - - 0.1, 0.5 - - 0.2", "is shown as the accuracy");
}

#[test]
fn a_table_in_a_page_is_read_and_one_of_results_is_not() {
    let page = "# Title\n\nSome words, and more.\n\n```\nepoch,train_loss,eval_loss,eval_top1\n0,0.9,0.8,45.5\n1,0.7,0.75,55.5\n```\n";
    assert_reads(page, "0.9 - 0.8 0.455, 0.7 - 0.75 0.555");
    let results = "| Learning rate | n_estimators | Accuracy | Loss |\n|---|---|---|---|\n| 0.1 | 100 | 0.9 | 0.3 |\n| 0.01 | 200 | 0.8 | 0.4 |\n";
    assert!(!refusal(results).is_empty());
    let best = "Best:\n- Trees: lr=0.1, n_estimators=300 → Accuracy: 95.61%\n- Forest: lr=0.1, n_estimators=100 → Accuracy: 96.49%\n";
    assert!(!refusal(best).is_empty());
    let settings = "INFO A: 1\nINFO B: 2\nLOSS_ALPHA: 0.5\n";
    assert!(!refusal(settings).contains("LOSS_ALPHA"));
}

#[test]
fn notes_stand_at_the_curve_that_they_are_about() {
    let training: String = (1..5).map(|n| format!("Epoch {n}: loss 0.{n}, val_loss 0.{n}5\n")).collect();
    let again: String = (1..5).map(|n| format!("Epoch {n}: loss 0.{n}1, validation rmse 0.{n}2\n")).collect();
    let cell = |text: &str| serde_json::json!({"cell_type": "code", "outputs": [{"name": "stdout", "text": [text]}]});
    let cells = [cell(&training), cell("Test loss: 0.5, test accuracy: 0.6\n"), cell(&again)];
    let notebook = serde_json::json!({"nbformat": 4, "cells": cells}).to_string();
    let source = Source { name: "file".into(), prefix: None, bytes: notebook.into() };
    let reading = read(&[source], None, &[]).expect("there are curves");
    let said = |notes: &[String]| notes.iter().any(|note| note.contains("read as validation"));
    assert_eq!(reading.curves.len(), 2);
    assert!(!said(&reading.notes) && !reading.curves.iter().any(|curve| said(&curve.notes)), "{reading:?}");
    assert!(reading.notes.iter().any(|note| note.contains("a single value is not a curve: cell 2")), "{reading:?}");
}

#[test]
fn cells_that_are_not_finite_are_evidence_or_are_said() {
    let row = |n: u32, loss: &str| format!("{n},{},0.{},0.5,{loss},0.5\n", n * 9 % 50, 9 - n % 8);
    let losses = ["0.5", "0.8", "inf", "nan", "nan", "nan"];
    let rows: String = (1..).zip(losses).map(|(n, loss)| row(n, loss)).collect();
    let text = format!("epoch,time,train/box_loss,train/cls_loss,val/box_loss,val/cls_loss\n{rows}");
    let reading = read(&[Source { name: "results.csv".into(), prefix: None, bytes: text.into() }], None, &[]);
    let reading = reading.expect("it is a table");
    let notes = [reading.notes, reading.curves[0].notes.clone()].concat().join("\n");
    assert!(notes.contains("time goes back at epoch 6"), "{notes}");
    assert!(notes.contains("val_loss is not finite in 4 epochs, the first of which is epoch 3 (inf)"), "{notes}");
    let divergence = reading.curves[0].divergence.as_ref().expect("it diverged");
    assert_eq!((divergence.epoch, divergence.what.as_str()), (3, "validation loss is inf"));
    // pandas writes so what was not measured.
    let rows: String = (1..5).map(|n| format!("{n},0.{n},nan\n{n},nan,0.{n}\n")).collect();
    let (_, notes) = read_file("a.csv", &format!("epoch,train_loss,val_loss\n{rows}"));
    assert!(!notes.contains("finite"), "{notes}");
}

#[test]
fn the_name_of_a_file_tells_the_set_if_no_column_does() {
    let catboost = "iter\tAUC\tLogloss\n0\t0.5\t0.9\n1\t0.6\t0.7\n";
    for (file, found) in [("test_error.tsv", "- - 0.9 -, - - 0.7 -"), ("learn_error.tsv", "0.9 - - -, 0.7 - - -")] {
        let (curve, notes) = read_file(file, catboost);
        assert!(curve == found && notes.contains("in the file's name"), "{file}: {curve} {notes}");
    }
    let (_, notes) = read_file("metrics.tsv", catboost);
    assert!(notes.contains("so Logloss was read as training"), "{notes}");
    let parts = "epoch,loss_mask,total_loss\n0,0.2,0.9\n1,0.1,0.7\n";
    assert_eq!(read_file("x/val_loss.csv", parts).0, "- - 0.9 -, - - 0.7 -");
    assert_eq!(read_file("x/test_run_3.csv", parts).0, "0.9 - - -, 0.7 - - -");
    let board = |values: [f64; 3]| {
        let rows = values.iter().enumerate().map(|(at, value)| format!("1.6e9,{at},{value}\n"));
        format!("Wall time,Step,Value\n{}", rows.collect::<String>())
    };
    for (file, values, found, said) in [
        ("unet-valid.csv", [512.0, 510.0, 509.0], "- - 512 -, - - 510 -, - - 509 -", "the values fall"),
        ("run_eval.csv", [0.5, 0.6, 0.7], "- - - 0.5, - - - 0.6, - - - 0.7", "rise like those of a score"),
        ("val.csv", [2.0, 2.5, 3.0], "- - 2 -, - - 2.5 -, - - 3 -", "are no shares"),
    ] {
        let (curve, notes) = read_file(file, &board(values));
        assert!(curve == found && notes.contains(said), "{file}: {curve} {notes}");
    }
}

#[test]
fn sets_by_the_names_of_boosting_and_of_json_rows_are_told_apart() {
    let rounds = |n: u32| format!("[{n}00]\tfit's auc: 0.7{n}\tval's auc: 0.6{n}\n");
    assert_reads(&(1..3).map(rounds).collect::<String>(), "- 0.71 - 0.61, - 0.72 - 0.62");
    let catboost =
        |n: u32| format!("    {n}:\tlearn: 0.{n}5\ttest: 0.{n}\tbest: 0.{n} ({n})\ttotal: 1s\tremaining: 2s\n");
    assert_says(&(1..4).map(catboost).collect::<String>(), "- 0.15 - 0.1, - 0.25 - 0.2, - 0.35 - 0.3", "rises");
    let row = |n: u32| {
        format!(
            "json_stats: {{\"_type\": \"train_epoch\", \"epoch\": \"{n}/9\", \"loss\": 0.{n}, \"top1_acc\": 9{n}.0}}\njson_stats: \
             {{\"_type\": \"val_epoch\", \"epoch\": \"{n}/9\", \"top1_acc\": 8{n}.0}}\n"
        )
    };
    let rows: String = (1..4).map(row).collect();
    let expected = "0.1 0.91 - 0.81, 0.2 0.92 - 0.82, 0.3 0.93 - 0.83";
    assert_reads(&rows, expected);
    assert_reads(&rows.replace("json_stats: ", "").replace("/9\"", "\""), expected);
}

#[test]
fn wrong_words_are_errors_in_shares_or_in_percent() {
    let card = |wer: [f64; 2]| {
        format!(
            "| Training Loss | Epoch | Step | Validation Loss | Cer | Wer |\n|---|---|---|---|---|---|\n| 0.9 | 1.0 | 10 | 0.8 | 0.1 | {} \
             |\n| 0.7 | 2.0 | 20 | 0.6 | 0.1 | {} |\n",
            wer[0], wer[1]
        )
    };
    assert_says(&card([1.1, 0.25]), "0.9 - 0.8 0, 0.7 - 0.6 0.75", "Wer is an error");
    assert_reads(&card([43.5, 41.0]), "0.9 - 0.8 0.565, 0.7 - 0.6 0.59");
}

#[test]
fn short_names_second_starts_and_the_end_of_evaluation_are_understood() {
    let step = |n: u32| format!("s:{n} trl:{}.5 lr:0.1\n", 9 - n);
    let log = format!("s:0 tel:9.9\n{}s:4 tel:5.9\n", (0..5).map(step).collect::<String>());
    assert_reads(&log, "9.5 - 9.9 -, 7 - 5.9 -");
    let evaluation =
        |n: u32| format!("step {}: train loss {}, val loss 5.{}\n", 10 * n, 4.5 - 0.1 * f64::from(n), 9 - n);
    let step = |n: u32| {
        let evaluation = if n.is_multiple_of(10) && n < 40 { evaluation(n / 10) } else { String::new() };
        evaluation + &format!("iter {n}: loss {}, time 9ms\n", 4.0 - 0.01 * f64::from(n))
    };
    let log = evaluation(0).replace("4.5", "4.6") + &(0..100).map(step).collect::<String>();
    let (found, notes) = read_file("file", &log);
    assert!(found.starts_with("4.5 - 5.9 -, 4.4 - 5.8 -") && notes.contains("goes on to 99"), "{found} {notes}");
    assert!(notes.contains("single value is not a curve"), "{notes}");
}

#[test]
fn each_of_more_evaluations_than_epochs_counts() {
    let steps =
        (1..=16).map(|n| format!("{{\"loss\": 0.{}, \"epoch\": {}, \"step\": {n}}}\n", 99 - n, f64::from(n) / 4.0));
    let evaluations = [3, 7, 10, 13, 16]
        .map(|n| format!("{{\"eval_loss\": 0.{}, \"epoch\": {}, \"step\": {n}}}\n", 99 - n, f64::from(n) / 4.0));
    let (found, notes) = read_file("file", &steps.chain(evaluations).collect::<String>());
    assert!(found.split(", ").count() == 5 && notes.contains("validation was measured 5 times"), "{found} {notes}");
}
