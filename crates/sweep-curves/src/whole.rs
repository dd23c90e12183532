//! Logs that are only understood when the whole text is known, and what is said where it is not. The numbers are made up.

use super::published::{assert_reads, assert_says, read_file, refusal};

fn epochs(of_epoch: impl Fn(u32, f64, f64) -> String) -> String {
    of_epoch(1, 0.9, 0.8) + &of_epoch(2, 0.7, 0.75) + &of_epoch(3, 0.6, 0.7)
}

const BOTH: &str = "0.9 - 0.8 -, 0.7 - 0.75 -, 0.6 - 0.7 -";

#[test]
fn aligned_separators_and_headings_with_their_epoch_are_read() {
    let aligned = |n, train, val| format!("Epoch {n}/3\nTrain Loss : {train}\nVal Loss   : {val}\nModel Saved\n");
    assert_reads(&epochs(aligned), BOTH);
    let headed = |n, train, val| {
        format!(
            "Epoch {n}/3:   0%|          | 0/109 [00:00<?, ?it/s]\nEpoch {n} Training results:\nloss: {train}\nEpoch {n} \
                 Validation metrics:\nloss: {val}\n"
        )
    };
    assert_reads(&epochs(headed), BOTH);
    let short = "Epoch   T.Loss   V.Loss\n1       0.9      0.8\n2       0.7      0.75\n3       0.6      0.7\n";
    assert_reads(short, BOTH);
    let quoted = epochs(|n, train, val| format!("Epoch {n}/3\n - 3s - loss: {train} - val_loss: {val}\n"));
    assert_reads(&format!("library(stringr)\ntext <- \"{quoted}\"\n"), BOTH);
}

#[test]
fn remarks_and_settings_are_no_values() {
    let remark = |n, train, val| {
        format!("Epoch {n}: train loss {train}, val loss {val}\n  Saved the best model (val loss: 0.1)!\n")
    };
    assert_reads(&epochs(remark), BOTH);
    let alone =
        |n, _, val| format!("=== Epoch {n}/3 ===\nTrain Loss - A: 2.2, B: 2.1\nSaved best B (Val Loss: {val})\n");
    assert!(refusal(&epochs(alone)).contains("no loss"), "{}", refusal(&epochs(alone)));
    let setting = |n, train, val| {
        format!("WITH_CENTER_LOSS=1\nEpoch[{n}] Train-accuracy={train}\nEpoch[{n}] Validation-accuracy={val}\n")
    };
    assert_reads(&epochs(setting), "- 0.9 - 0.8, - 0.7 - 0.75, - 0.6 - 0.7");
    let keras = |n, train: f64, val| {
        format!("Epoch {n}/3\n10/10 [==] - 1s - loss: {train} - acc: 0.5 - val_loss: {val} - val_acc: 0.4\n")
    };
    let log = epochs(keras) + "RESULTS\nAcc: 0.84\n";
    assert_says(&log, "0.9 0.5 0.8 0.4, 0.7 0.5 0.75 0.4, 0.6 0.5 0.7 0.4", "repeated after the line of their epoch");
}

#[test]
fn a_number_behind_an_arrow_and_lines_that_were_not_understood_are_named() {
    let arrow = |n, train, val| format!("Ep {n:02}/20 | loss {train}→{val} | time 3s\n");
    assert_says(&epochs(arrow), "0.9 - - -, 0.7 - - -, 0.6 - - -", "loss behind the arrow");
    let unread = |n, train, val| format!("Epoch {n}: train loss {train}\nthe dev set <loss> came out as ~~ {val} !!\n");
    assert_says(&epochs(unread), "0.9 - - -, 0.7 - - -, 0.6 - - -", "were not understood: \"the dev set");
}

#[test]
fn a_set_without_a_quantity_has_that_of_the_line_if_it_falls_with_it() {
    let log = epochs(|n, train, val| format!("Epoch [{n}/3], Loss: {train}, Validation: {val}\n"));
    assert_says(&log, BOTH, "Validation was read as a loss, because its numbers fall");
    let table =
        "step,epoch,loss,validation_epoch_average\n9,0,0.9,\n10,0,,0.8\n19,1,0.7,\n20,1,,0.75\n29,2,0.6,\n30,2,,0.7\n";
    assert_says(table, BOTH, "validation_epoch_average was read as a loss");
    let rises = epochs(|n, train, val| format!("Epoch [{n}/3], Loss: {train}, Val: {}\n", 1.0 - val));
    assert_says(&rises, "0.9 - - 0.2, 0.7 - - 0.25, 0.6 - - 0.3", "Val was read as an accuracy");
}

#[test]
fn a_few_values_do_not_stand_for_a_course() {
    let steps: String = (1..=20).map(|n| format!("INFO:tensorflow:loss = 0.{n:02}, step = {n}00\n")).collect();
    let log = steps + "eval_accuracy = 0.8\nstep = 2000\ntrain loss: 0.7\ntrain loss: 0.8\n";
    let (found, notes) = read_file("file", &log);
    assert!(found.starts_with("0.01 "), "{found} {notes}");
    let total = epochs(|n, train, val| format!("Epoch {n}: binary_loss:0.1 total_loss:{train} val_loss:{val}\n"));
    assert_reads(&total, BOTH);
}

#[test]
fn a_training_that_began_again_is_a_curve_of_its_own() {
    let epoch = |n: u32, loss: f64| format!("Epoch: {n}, Avg_loss: {loss}\n");
    let run = |from: f64| -> String { (1..=6).map(|n| epoch(n, from / f64::from(n))).collect() };
    let (found, notes) = read_file("file", &(run(0.6) + &epoch(6, 0.5) + &epoch(7, 0.4) + &epoch(8, 0.3)));
    assert_eq!(found.split(';').count(), 2, "{found}");
    assert!(found.ends_with("0.5 - - -, 0.4 - - -, 0.3 - - -") && notes.contains("began again"), "{found} {notes}");
    // Two loggers write every line twice.
    let twice: String = run(0.6).lines().map(|line| format!("{line}\n{line}\n")).collect();
    assert_reads(&twice, &read_file("file", &run(0.6)).0);
    let state = |epoch: f64, step: u32, loss: f64| {
        format!(
            r#"{{"epoch": {epoch}, "step": {step}, "loss": {loss}}}, {{"epoch": {epoch}, "step": {step}, "eval_loss": {loss}}}"#
        )
    };
    let log = [state(0.05, 100, 0.9), state(0.1, 200, 0.8), state(0.05, 300, 0.7), state(0.1, 400, 0.6)].join(", ");
    let log = format!(r#"{{"log_history": [{log}]}}"#);
    assert_says(&log, "0.9 - 0.9 -, 0.8 - 0.8 -, 0.7 - 0.7 -, 0.6 - 0.6 -", "the training was resumed");
}

#[test]
fn a_line_of_the_whole_epoch_beats_those_of_its_batches() {
    let batches = |set: &str| -> String {
        (1..=4).map(|n| format!("{set} --- Current batch:{n}00/400  loss:[ 0.{n}3]\n")).collect()
    };
    let epoch = |n: u32| {
        format!(
            "{}Epoch [{n}]/[4] \t Training Phase Loss: 0.{n} \t Accuracy: 0.5\n{}Epoch [{n}]/[4] \t Validation Phase \
             Loss: 0.{n}5 \t Accuracy: 0.6\n",
            batches("train"),
            batches("val")
        )
    };
    let log: String = (1..=3).map(epoch).collect();
    assert_reads(&log, "0.1 0.5 0.15 0.6, 0.2 0.5 0.25 0.6, 0.3 0.5 0.35 0.6");
}

#[test]
fn a_loss_without_a_set_is_of_the_set_of_its_line() {
    let epoch = |n: u32| {
        format!(
            "\tepoch {n}: train acc: 50.0%, loss: 0.{n}\nThe result of Some_Net with Adam is test acc: 60.0%, loss: 0.{n}5\n\t \
             test acc for cat is 78.5%\n"
        )
    };
    let log: String = (1..=3).map(epoch).collect();
    assert_reads(&log, "0.1 0.5 0.15 0.6, 0.2 0.5 0.25 0.6, 0.3 0.5 0.35 0.6");
}

#[test]
fn rows_of_a_matrix_name_no_epoch() {
    let matrix = |n: u32| {
        format!(
            "matrix=tensor([[ 50,  54],\n        [ 108,  {n}12],\n        [ 2,  39]], dtype=torch.int32)\n[[1],\n [2],\n [3]]\n"
        )
    };
    let epoch = |n: u32| {
        format!(
            "[Epoch: {n}] Train loss: 0.{n}\n{}[Epoch: {n}] Valid loss: 0.{n}5\n{}{}",
            matrix(n),
            matrix(n),
            "[ 108,  612,  396],\n"
        )
    };
    let log: String = (1..=3).map(epoch).collect();
    assert_reads(&log, "0.1 - 0.15 -, 0.2 - 0.25 -, 0.3 - 0.35 -");
}

#[test]
fn a_value_above_one_does_not_change_what_its_name_means() {
    let per =
        |n: u32, per: f64| format!("Epoch 0{n} | Train Loss: 0.{n} | Val Loss: 3.{n} | Val PER: {per} | Time: 3s\n");
    let log = per(1, 1.2) + &per(2, 0.8) + &per(3, 1.4);
    assert_reads(&log, "0.1 - 3.1 -, 0.2 - 3.2 -, 0.3 - 3.3 -");
    let bare = |n: u32, val: f64| format!("Epoch {n}, Loss: 0.{n}, Val Loss: 3.{n}, Val: {val}\n");
    let log = bare(1, 1.2) + &bare(2, 0.8);
    let (found, _) = read_file("file", &log);
    assert!(found.starts_with("0.1 - 3.1 ") && found.contains("0.2 - 3.2 "), "{found}");
    let crosses = |n: u32, train: f64, val: f64| format!("Epoch [{n}/4], Loss: {train}, Validation: {val}\n");
    let log = crosses(1, 1.4, 1.2) + &crosses(2, 1.1, 1.1) + &crosses(3, 0.9, 0.95) + &crosses(4, 0.8, 0.9);
    assert_says(&log, "1.4 - 1.2 -, 1.1 - 1.1 -, 0.9 - 0.95 -, 0.8 - 0.9 -", "above 1");
}

#[test]
fn a_score_of_the_validation_set_is_read_beside_the_losses_of_rivals() {
    let epoch = |n: u32| {
        format!(
            "#####Train##### Epoch: {n}, Gen_Loss: 4.{n}, UNetR_Loss: 3.{n},   Discriminator_Loss: -1.2,\n#####Valid##### Epoch: {n}, \
             mae_loss: 0.0{n}, psnr_loss: 31.{n},   ssim_loss: 0.6,\n"
        )
    };
    let log: String = (1..=4).map(epoch).collect();
    assert_says(&log, "- - 0.01 -, - - 0.02 -, - - 0.03 -, - - 0.04 -", "the validation set alone");
}

#[test]
fn lines_about_examples_give_way_to_the_line_of_their_epoch() {
    let samples = |n: u32, iou: f64| -> String {
        let sample = |at| format!("Sample {at}, validation mIoU: 0.{at}3\n");
        (1..=5).map(sample).collect::<String>()
            + &format!("Epoch: {n} Evaluation Finished! Average: validation mIoU: {iou}\n")
    };
    let log = samples(0, 0.41) + &samples(5, 0.52) + &samples(10, 0.63);
    assert_says(&log, "- - - 0.41, - - - 0.52, - - - 0.63", "lines about parts of an epoch were left out");
}

#[test]
fn rounds_of_federated_learning_are_epochs() {
    let round = |n, train, val| {
        format!(
            "--- Round {n} ---\nClient 0: train loss {}\nClient 1: train loss {}\nRound {n} | Test loss: {val}\n",
            train + 0.1,
            train - 0.1
        )
    };
    assert_says(&epochs(round), BOTH, "rounds were read as epochs");
    let local = |n, train, val| {
        format!(
            "Communication round {n}\nLocal epoch 1: loss {}\nLocal epoch 2: loss {}\nTest loss: {val}\n",
            train + 0.1,
            train - 0.1
        )
    };
    assert_says(&epochs(local), BOTH, "rounds were read as epochs");
}

#[test]
fn lines_of_processes_are_told_apart_by_their_marks() {
    let epoch = |n, train, val| {
        format!(
            "[rank0]: Epoch {n}: train loss {train} val loss {val}\n[rank1]: Epoch {n}: train loss 0.5 val loss 0.4\n"
        )
    };
    assert_reads(&epochs(epoch), &format!("{BOTH}; 0.5 - 0.4 -, 0.5 - 0.4 -, 0.5 - 0.4 -"));
}

#[test]
fn paddles_evaluations_are_of_the_validation_set() {
    let epoch = |n, train, val| {
        format!(
            "[2023/05/10 10:22:01] ppocr INFO: epoch: [{n}/3], global_step: {n}0, lr: 0.1, acc: 0.1, loss: {train}, ips: 1.0\n[2023/05/10 \
                 10:22:02] ppocr INFO: cur metric, acc: {val}, fps: 8.1\n[2023/05/10 10:22:02] ppocr INFO: best metric, acc: 0.9, best_epoch: 1\n"
        )
    };
    assert_reads(&epochs(epoch), "0.9 0.1 - 0.8, 0.7 0.1 - 0.75, 0.6 0.1 - 0.7");
}

#[test]
fn json_lists_of_steps_and_of_different_lengths_are_aligned() {
    let pairs =
        r#"{"train_loss": [[100, 1], [200, 0.8], [300, 0.8], [400, 0.6]], "val_loss": [[200, 0.8], [400, 0.75]]}"#;
    assert_reads(pairs, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let lengths = r#"{"train_loss": [1, 0.8, 0.8, 0.6], "val_loss": [0.8, 0.75]}"#;
    assert_says(lengths, "0.9 - 0.8 -, 0.7 - 0.75 -", "train_loss has 4 values, but val_loss has 2");
    let scalars = "[[1700000000.5, 1, 0.9], [1700000001.5, 2, 0.7], [1700000002.5, 3, 0.6]]";
    assert_eq!(read_file("train_loss.json", scalars).0, "0.9 - - -, 0.7 - - -, 0.6 - - -");
}

#[test]
fn zero_bytes_between_lines_are_no_reason_to_refuse_a_log() {
    let log = epochs(|n, train, val| {
        format!("Epoch {n}: train loss {train}, val loss {val}, and words to the end of the line\n")
    });
    assert_reads(&log.replace("line\nEpoch 3", "line\n\0\0\0\nEpoch 3"), BOTH);
}

#[test]
fn the_steps_of_the_only_epoch_are_points() {
    let steps = |loss: [f64; 4]| -> String {
        (1..).zip(loss).map(|(n, loss)| format!("Epoch [1/1], Step [{n}00/12942], Loss: {loss}\n")).collect()
    };
    let log = steps([4.0, 3.0, 2.5, 2.25]);
    assert_says(&log, "4 - - -, 3 - - -, 2.5 - - -, 2.25 - - -", "its steps are the points of the curve");
    let two = epochs(|n, train, _| steps([train; 4]).replace("[1/1]", &format!("[{n}/3]")));
    assert_reads(&two, "0.9 - - -, 0.7 - - -, 0.6 - - -");
}

#[test]
fn headers_in_a_few_words_and_numbers_within_names_are_understood() {
    let meta = |n: u32, train: f64, val: f64| format!("Meta epoch {n}...\nTrain loss: {train}\nVal loss: {val}\n");
    let again = epochs(|n, train, val| meta(n, train - 0.1, val - 0.1));
    assert_reads(&(epochs(meta) + &again), &format!("{BOTH}; 0.8 - 0.7 -, 0.6 - 0.65 -, 0.5 - 0.6 -"));
    let top = |n, train, val| {
        format!(
            "Epoch: {n}/3, step: {n}00, loss: {train}\nEpoch: {n}/3, step: {n}50, loss: {train}\n== Epoch: {n}/3,top 1 acc: {val}==\n== Epoch: {n}/3,top 5 acc: 0.99==\n"
        )
    };
    assert_says(
        &epochs(top),
        "0.9 - - 0.8, 0.7 - - 0.75, 0.6 - - 0.7",
        "top 1 acc stands alone below the losses of batches",
    );
}

#[test]
fn h2os_scoring_history_is_a_table() {
    let row = |n: u32, train: f64, val: f64| {
        format!(
            "     2020-01-01 10:00:0{n}  0.{n}10 sec   {n}.0                {train}            6.6             {val}              82.8\n"
        )
    };
    let head = "Scoring History: \n     timestamp            duration    number_of_trees    training_rmse    training_mae    validation_rmse    \
                validation_mae\n---  -------------------  ----------  -----------------  ---------------  --------------  -----------------  ---\n";
    assert_reads(&(head.to_owned() + &epochs(row)), BOTH);
}

#[test]
fn numbers_of_progress_bars_alone_are_doubtful() {
    let bar = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch {n} [Train]: 100%|##| 9/9 [00:39<00:00,  2.18s/it, loss={train}]\nEpoch {n} [Val]: 100%|##| 7/7 [00:00<00:00,  1.2it/s, loss={val}]\n"
        )
    };
    assert_says(&epochs(bar), BOTH, "stand in progress bars alone");
    let both = |n: u32, train: f64, val: f64| {
        bar(n, 0.1, 0.2) + &format!("\nEpoch {n}/50 (lr=0.000020)\n  Train: loss={train}\n  Val:   loss={val}\n")
    };
    assert_reads(&epochs(both), BOTH);
    let plain = |n: u32, train: f64, val: f64| both(n, train, val).replace(" (lr=0.000020)", "");
    assert_reads(&epochs(plain), BOTH);
}

#[test]
fn parts_of_logs_below_one_another_are_not_joined() {
    let first: String = (1..=5).map(|n| format!("Epoch {n}: Loss = 0.{n}, Accuracy = 0.8\n")).collect();
    let second: String = (5..=9).map(|n| format!("Epoch {n}, Val Loss: 0.{n}, Val Accuracy: 0.9\n")).collect();
    let (found, notes) = read_file("file", &(first.clone() + &second));
    assert_eq!(found.split(';').count(), 2, "{found}");
    assert!(found.contains("- - 0.5 0.9") && notes.contains("parts of different trainings"), "{found} {notes}");
    let both: String = (1..=5).map(|n| format!("Epoch {n}, Val Loss: 0.{n}\n")).collect();
    assert_eq!(read_file("file", &(first + &both)).0.split(';').count(), 2);
}

#[test]
fn scores_of_classes_without_epochs_are_no_curve() {
    let class = |n| format!("- Class {n}: support=27, f1=0.0{n} -> try regularization\n");
    let classes: String = (1..9).map(class).collect();
    assert!(refusal(&classes).contains("results of several training runs"), "{}", refusal(&classes));
}

#[test]
fn two_numbers_under_one_name_in_a_line_are_told_apart() {
    let line = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch {n}/50 - Train Loss (dropout): {train} - Train Loss (no dropout): {} - Val Loss: {val}\n",
            train / 2.0
        )
    };
    let log: String = (1..=5).map(|n| line(n, 1.0 / f64::from(n), 0.5)).collect();
    let (found, notes) = read_file("file", &log);
    assert!(found.starts_with("1 - 0.5 -, 0.5 - 0.5 -") && notes.contains("Train Loss 2"), "{found} {notes}");
}

#[test]
fn scores_between_runs_do_not_join_them() {
    let epoch =
        |n: u32, loss: f64| format!("Epoch {n}: Train Loss: {loss}, Val Loss: 0.5, MAP: {{'test_map@20': 0.5}}\n");
    let fold = |k: u32, from: f64| -> String {
        (1..=3).map(|n| epoch(n, from / f64::from(n))).collect::<String>()
            + &format!("Fold {k}, k=20: test_map = 0.5\n")
    };
    let (found, notes) = read_file("file", &(fold(0, 0.9) + &fold(1, 0.6)));
    assert_eq!(found, "0.9 - 0.5 -, 0.45 - 0.5 -, 0.3 - 0.5 -; 0.6 - 0.5 -, 0.3 - 0.5 -, 0.2 - 0.5 -", "{notes}");
}

#[test]
fn means_of_a_whole_training_run_are_not_those_of_its_last_epoch() {
    let epoch = |n: u32| {
        format!(
            "Epoch {n}/3\n10/10 ━━ 9s 9ms/step - accuracy: 0.{n} - loss: 0.9{n} - val_accuracy: 0.{n}5 - val_loss: 0.8{n}\n"
        )
    };
    let log: String = (1..=3).map(epoch).collect();
    let expected = "0.91 0.1 0.81 0.15, 0.92 0.2 0.82 0.25, 0.93 0.3 0.83 0.35";
    assert_reads(&(log + "\nMean Validation Accuracy: 0.8251\nMean Validation Loss: 0.61\n"), expected);
}

#[test]
fn both_sets_without_a_quantity_are_what_training_tells() {
    let loss =
        |n, train, val| format!("Epoch {n}/9 | train: {} ({n}.5 bpd) | val: {}\n", train * 1e3 + 0.5, val * 1e3 + 0.5);
    assert_says(&epochs(loss), "900.5 - 800.5 -, 700.5 - 750.5 -, 600.5 - 700.5 -", "were read as the loss, because");
    let small = |n, train, val| format!("Epoch {n} train: {train} val: {val}\n");
    assert_says(&epochs(small), BOTH, "were read as the loss, because");
    let crosses = |n, train, val| format!("Epoch {n} train: {} val: {}\n", train + 0.25, val + 0.25);
    assert_reads(&epochs(crosses), "1.15 - 1.05 -, 0.95 - 1 -, 0.85 - 0.95 -");
    let share = |n, train, val| format!("Epoch {n} train: {} val: {}\n", 1.0 - train, 1.0 - val);
    assert_says(&epochs(share), "- 0.1 - 0.2, - 0.3 - 0.25, - 0.4 - 0.3", "were read as the accuracy");
    assert_says(
        r#"{"train": [8.5, 7.5, 6.5], "val": [8.25, 7.25, 7.75]}"#,
        "8.5 - 8.25 -, 7.5 - 7.25 -, 6.5 - 7.75 -",
        "train, val name",
    );
    assert_reads("ep,train,valid\n1,0.9,0.8\n2,0.7,0.75\n3,0.6,0.7\n", BOTH);
    assert_reads(&epochs(|n, train, val| format!("ep {n} tr {train} va {val}\n")), BOTH);
    assert_reads(&epochs(|n, train, val| format!("step={n}00 train={train} val={val}\n")), BOTH);
    let table = "Device: cuda\nEpoch | Train | Val\n".to_owned()
        + &epochs(|n, train, val| format!("{n:03} | {train} | {val}\n"));
    assert_reads(&table, BOTH);
    // Scores by a setting, and sizes of the sets.
    refusal("alpha,train,test\n1.0,0.9,0.8\n0.5,0.95,0.85\n0.25,0.97,0.86\n");
    refusal("Epoch 1: train: 680, val: 45\nEpoch 2: train: 680, val: 45\nEpoch 3: train: 680, val: 45\n");
}

#[test]
fn a_percentage_of_a_set_under_an_unknown_name_is_an_accuracy() {
    let q3 = |n, train: f64, val: f64| {
        format!("epoch  {n}/3. Q3_train: {:.1}%, Q3_test: {:.1}%\n", 100.0 - 100.0 * train, 100.0 - 100.0 * val)
    };
    assert_says(&epochs(q3), "- 0.1 - 0.2, - 0.3 - 0.25, - 0.4 - 0.3", "Q3_test is shown as the accuracy");
    let dropped = |n, train, _: f64| format!("Epoch {n} loss: {train} val drop rate: 50.5% val error: 20.5%\n");
    let (found, _) = read_file("file", &epochs(dropped));
    assert!(!found.contains("0.505"), "{found}");
}

#[test]
fn a_history_as_csv_within_a_log_is_read() {
    let row = |n: u32, train, val| format!("{},{train},0.5,{val},0.6\n", n - 1);
    let summary = "Model: \"net\"\nconv1d (Conv1D)  (None, 296, 40)  8040\nTotal params: 237,205\n\n\n";
    let log = format!("{summary},loss,acc,val_loss,val_acc\n{}\n\nResults:\n M.avg  -  62.6%  49.9%\n", epochs(row));
    assert_reads(&log, "0.9 0.5 0.8 0.6, 0.7 0.5 0.75 0.6, 0.6 0.5 0.7 0.6");
    let plain = |_, train, val| format!("{train},{val}\n");
    assert_reads(&format!("device: cuda\nseed = 1\nloss,val_loss\n{}", epochs(plain)), BOTH);
}

#[test]
fn a_closing_line_of_scores_is_no_reason_to_refuse_rounds() {
    let round = |n, train, val| format!("[{n}00]\ttrain's auc: {train}\tvalid's auc: {val}\n");
    let log = epochs(round) + "Metrics: {'accuracy': 0.83, 'precision': 0.68, 'auc': 0.86}\nDone.\n";
    assert_says(&log, "- 0.9 - 0.8, - 0.7 - 0.75, - 0.6 - 0.7", "accuracy");
}

#[test]
fn runs_of_nul_bytes_are_left_out() {
    let log = epochs(|n, train, val| format!("Epoch {n}: train loss {train}, val loss {val}\n"));
    assert_says(&("\0".repeat(2000) + &log), BOTH, "2000 NUL bytes were left out");
    assert!(refusal(&("PK\u{3}\u{4}".to_owned() + &"\0".repeat(100) + &log)).contains("ZIP"));
}

#[test]
fn progress_bars_of_an_unfinished_first_epoch_are_steps() {
    let bar = |n: u32, loss: f64, step: f64| {
        format!("\rEpoch 0:  {n}%|█  | {n}/100 [00:0{n}<01:30,  1.3s/it, loss={loss}, v_num=2, train_loss_step={step}]")
    };
    let bars: String =
        (1..=5).map(|n| bar(n, 2.0 / f64::from(n), 1.0) + &bar(n, 2.0 / f64::from(n + 1), 0.5)).collect();
    assert_says(&bars, "1 - - -, 0.6667 - - -, 0.5 - - -, 0.4 - - -, 0.3333 - - -", "its steps are the points");
}

#[test]
fn a_rare_accuracy_under_an_unknown_name_is_of_validation() {
    let epoch = |n: u32| {
        let own = if n.is_multiple_of(5) {
            format!("  Heun {}.49% Single {}.66% | heun:0.72s", 60 + n, 61 + n)
        } else {
            String::new()
        };
        format!("Epoch {n:4}/99 done | avg_loss {}.5  l:{}.5, f:  0.2  in 3.7s{own}\n", 400 - n, 395 - n)
    };
    let log: String = (1..=20).map(epoch).collect();
    let (found, notes) = read_file("file", &log);
    assert!(found.contains("395.5 - - 0.6549, ") && notes.contains("Heun is shown as the accuracy"), "{found} {notes}");
}

#[test]
fn a_fraction_that_counts_with_the_epochs_is_the_epoch() {
    let epoch = |n: u32| {
        format!(
            "Train: [{n}/4]\tlr 0.1\tloss 0.5 (1.{n})\tAcc@1 40.0 (50.0)\nEPOCH {n} training takes 0:00:18\n * Train Acc 50.0 Train Loss 1.{n}\n * Val Acc \
             60.0 Val Loss 2.{n}\n"
        )
    };
    let log: String = (0..4).map(epoch).collect();
    assert_reads(&log, "1 0.5 2 0.6, 1.1 0.5 2.1 0.6, 1.2 0.5 2.2 0.6, 1.3 0.5 2.3 0.6");
}

#[test]
fn a_bar_that_begins_below_a_complete_one_is_of_the_next_epoch() {
    let bar = |n: u32, loss: f64| format!("{}%|##| {n}/100 [00:39<00:00,  2.18s/it, total_loss={loss}]\n", n);
    let epoch = |_, train: f64, val: f64| {
        bar(100, train) + &bar(2, 0.1) + &format!("Mean Average Precision = {}%\n", 100.0 * val)
    };
    let log = "Epoch 1/20\n".to_owned() + &epochs(epoch) + &bar(100, 0.5) + "Mean Average Precision = 10%\n";
    let (found, notes) = read_file("file", &log);
    assert_eq!(found, "0.9 - - 0.8, 0.7 - - 0.75, 0.6 - - 0.7, 0.5 - - 0.1", "{notes}");
    assert!(!notes.contains("the log has one epoch"), "{notes}");
}

#[test]
fn a_schedule_in_the_first_column_is_no_comparison_and_tensors_are_numbers() {
    let row = |n: u32| {
        let rate = if n < 7 { "0.010000" } else { "0.001000" };
        format!("{rate}\t2.{}\t3.{}\t18.5\t{n}.5\t\n", 9 - n / 2, 9 - n / 2)
    };
    let table = "Learning Rate\tTrain Loss\tValid Loss\tTrain Acc\tValid Acc\t\n".to_owned()
        + &(1..13).map(row).collect::<String>();
    assert!(read_file("log.txt", &table).0.starts_with("2.9 0.185 3.9 0.015, "), "{:?}", read_file("log.txt", &table));
    let below = "==>Arguments:\narch:plus\n==>Training log:\n".to_owned() + &table;
    assert_eq!(read_file("log.txt", &below).0, read_file("log.txt", &table).0);
    let tensors = "Epoch,Train_loss,Val_loss\n1,\"tensor(3.1304, device='cuda:0', grad_fn=<DivBackward0>)\",\"tensor(2.9495, \
                   device='cuda:0')\"\n2,\"tensor(3.0639, device='cuda:0', grad_fn=<DivBackward0>)\",\"tensor(2.8784, \
                   device='cuda:0')\"\n";
    assert_eq!(read_file("losses.csv", tensors).0, "3.1304 - 2.9495 -, 3.0639 - 2.8784 -");
}
