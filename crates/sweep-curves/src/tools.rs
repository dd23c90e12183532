//! What real tools write, as short as it can be while it still has what makes it hard to read. The numbers are made up.

use super::*;

/// Reads a file as `train_loss train_accuracy val_loss val_accuracy` of each epoch, curves separated by `;`, with its notes
/// and its unused names.
pub fn read_text(name: &str, text: &str) -> (String, Vec<String>, Vec<String>) {
    let source = Source { name: name.into(), prefix: None, bytes: text.into() };
    let reading = read(&[source], None, &[]).unwrap_or_else(|problem| panic!("{problem}: {text}"));
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{}", (value * 1e4).round() / 1e4));
    let epoch = |epoch: &EpochMetrics| {
        [epoch.train_loss, epoch.train_accuracy, epoch.val_loss, epoch.val_accuracy].map(number).join(" ")
    };
    let curve = |curve: &ForeignCurve| curve.epochs.iter().map(epoch).collect::<Vec<_>>().join(", ");
    let shown = reading.curves.iter().map(curve).collect::<Vec<_>>().join("; ");
    let notes = reading.curves.iter().flat_map(|curve| &curve.notes);
    let notes = reading.notes.iter().chain(notes).cloned().collect();
    (shown, notes, reading.curves.into_iter().flat_map(|curve| curve.unused).collect())
}

#[track_caller]
fn assert_reads(text: &str, expected: &str) {
    let (found, notes, unused) = read_text("file", text);
    assert_eq!(found, expected, "notes {notes:?}, unused {unused:?} of\n{text}");
}

#[test]
fn pytorchs_examples_are_read() {
    let mnist = |epoch: u32, loss: f64, test: f64, right: u32| {
        format!(
            "Train Epoch: {epoch} [0/60000 (0%)]\tLoss: {}\nTrain Epoch: {epoch} [640/60000 (1%)]\tLoss: {}\n\nTest set: \
             Average loss: {test}, Accuracy: {right}/10000 ({}%)\n\n",
            loss + 0.1,
            loss - 0.1,
            right / 100
        )
    };
    assert_reads(&(mnist(1, 0.5, 0.05, 9844) + &mnist(2, 0.3, 0.04, 9870)), "0.5 - 0.05 0.9844, 0.3 - 0.04 0.987");
    let imagenet = |epoch: u32, loss: f64, acc: f64, val: f64| {
        format!(
            "Epoch: [{epoch}][   1/5005]\tTime  6.1 (  6.1)\tData  5.0 (  5.0)\tLoss 7.0e+00 (7.0e+00)\tAcc@1   0.00 (  \
             0.00)\tAcc@5   0.39 (  0.39)\nEpoch: [{epoch}][5001/5005]\tTime  0.4 (  0.5)\tData  0.0 (  0.1)\tLoss \
             9.0e+00 ({loss})\tAcc@1  15.00 ( {acc})\tAcc@5  36.00 ( 30.00)\nTest: [  1/196]\tTime  4.0 ( 4.0)\tLoss \
             2.0e+00 (2.0e+00)\tAcc@1  30.0 ( 30.0)\tAcc@5  60.0 ( 60.0)\n *   Acc@1 {val} Acc@5 55.0\n"
        )
    };
    let log = imagenet(0, 5.5, 12.5, 20.5) + &imagenet(1, 4.5, 22.5, 30.5);
    assert_reads(&log, "5.5 0.125 2 0.205, 4.5 0.225 2 0.305");
    let basics = "Epoch 1\n-------------------------------\nloss: 2.300000  [   64/60000]\nloss: 2.100000  [ 6464/60000]\n\
                  Test Error: \n Accuracy: 50.2%, Avg loss: 1.900000 \n\nEpoch 2\n-------------------------------\n\
                  loss: 1.900000  [   64/60000]\nTest Error: \n Accuracy: 60.2%, Avg loss: 1.500000 \n\nDone!\n";
    assert_reads(basics, "2.2 - 1.9 0.502, 1.9 - 1.5 0.602");
    let cifar = "[1,  2000] loss: 2.173\n[1,  4000] loss: 1.827\n[2,  2000] loss: 1.4\nFinished Training\n\
                 Accuracy of the network on the 10000 test images: 55 %\n";
    assert_reads(cifar, "2 - - -, 1.4 - - 0.55");
    let video = "EPOCH 1:\n  batch 1000 loss: 1.6\n  batch 2000 loss: 0.8\nLOSS train 0.8 valid 0.6\nEPOCH 2:\n  batch 1000 \
                 loss: 0.5\nLOSS train 0.5 valid 0.55\n";
    assert_reads(video, "0.8 - 0.6 -, 0.5 - 0.55 -");
    let words = "| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch 10.51 | loss  7.63 | ppl  2064.46\n| end of epoch   \
                 1 | time: 35.2s | valid loss  5.80 | valid ppl   330.23\n| epoch   2 |   200/ 2983 batches | lr 20.00 | \
                 ms/batch 10.51 | loss  6.63 | ppl  764.46\n| end of epoch   2 | time: 35.2s | valid loss  5.50 | valid \
                 ppl   230.23\n";
    assert_reads(words, "7.63 - 5.8 -, 6.63 - 5.5 -");
}

#[test]
fn torchvisions_references_are_read() {
    let epoch = |epoch: u32, loss: f64, val: f64, acc: f64| {
        format!(
            "Epoch: [{epoch}]  [   0/1251]  eta: 0:49:42  lr: 0.1  img/s: 108.3  loss: 7.1 (7.1)  acc1: 0.0 (0.0)  acc5: 0.7 \
             (0.7)  time: 2.3\nEpoch: [{epoch}]  [1250/1251]  eta: 0:00:00  lr: 0.1  img/s: 800.3  loss: 6.0 ({loss})  acc1: \
             6.0 (4.0)  acc5: 9.7 (9.7)  time: 0.3\nEpoch: [{epoch}] Total time: 0:10:01\nTest:   [ 0/50]  eta: 0:01:40  \
             loss: 5.0 (5.0)  acc1: 8.0 (8.0)  acc5: 25.0 (25.0)\nTest:   [49/50]  eta: 0:00:00  loss: 5.0 ({val})  acc1: 8.0 \
             ({acc})  acc5: 25.0 (25.0)\nTest:  Total time: 0:00:10\nTest:  Acc@1 {acc} Acc@5 26.0\n"
        )
    };
    assert_reads(&(epoch(0, 6.5, 5.5, 9.5) + &epoch(1, 5.5, 4.5, 19.5)), "6.5 0.04 5.5 0.095, 5.5 0.04 4.5 0.195");
}

#[test]
fn language_model_logs_are_read() {
    let nano = "step 0: train loss 4.2874, val loss 4.2823\niter 0: loss 4.2698, time 11.2ms, mfu -100.00%\niter 10: loss \
                3.2, time 11.2ms, mfu 1.20%\nstep 250: train loss 1.9, val loss 2.0\n";
    assert_reads(nano, "4.2874 - 4.2823 -, 1.9 - 2 -");
    let fairseq = "2021-01-01 00:00:00 | INFO | train_inner | epoch 001:    100 / 1102 loss=12.5, nll_loss=12.2, ppl=4700, \
                   wps=30000, lr=1e-05\n2021-01-01 00:00:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 9.9 | \
                   nll_loss 9.1 | ppl 560 | best_loss 9.9\n2021-01-01 00:00:00 | INFO | train | epoch 001 | loss 10.8 | \
                   nll_loss 10.2 | ppl 1200 | train_wall 35\n2021-01-01 00:00:00 | INFO | valid | epoch 002 | valid on 'valid' \
                   subset | loss 8.9 | nll_loss 8.1 | ppl 300 | best_loss 8.9\n2021-01-01 00:00:00 | INFO | train | epoch 002 | \
                   loss 9.1 | nll_loss 8.2 | ppl 290\n";
    assert_reads(fairseq, "10.8 - 9.9 -, 9.1 - 8.9 -");
}

#[test]
fn hugging_faces_logs_and_tables_are_read() {
    let console = "{'loss': 0.6, 'grad_norm': 1.1, 'learning_rate': 4e-05, 'epoch': 0.5}\n{'loss': 0.4, 'grad_norm': 1.1, \
                   'learning_rate': 3e-05, 'epoch': 1.0}\n{'eval_loss': 0.45, 'eval_accuracy': 0.8, 'eval_runtime': 3.1, \
                   'epoch': 1.0}\n{'loss': 0.3, 'learning_rate': 1e-05, 'epoch': 2.0}\n{'eval_loss': 0.42, 'eval_accuracy': \
                   0.82, 'epoch': 2.0}\n{'train_runtime': 30.1, 'train_loss': 0.43, 'epoch': 2.0}\n";
    assert_reads(console, "0.5 - 0.45 0.8, 0.3 - 0.42 0.82");
    let card = "| Training Loss | Epoch | Step | Validation Loss | Accuracy |\n|:---:|:---:|:---:|:---:|:---:|\n| No log | 1.0 \
                | 100 | 0.51 | 0.81 |\n| 0.4 | 2.0 | 200 | 0.48 | 0.83 |\n";
    assert_reads(card, "- - 0.51 0.81, 0.4 - 0.48 0.83");
    assert!(read_text("file", card).1.iter().any(|note| note.contains("Accuracy was read as validation accuracy")));
    let rows: String = (1..=7).map(|n| format!("| 0.{n} | {} | {} | 0.{n}5 |\n", f64::from(n) / 3.0, n * 10)).collect();
    let by_step = "| Training Loss | Epoch | Step | Validation Loss |\n|---|---|---|---|\n".to_owned() + &rows;
    let (found, notes, _) = read_text("file", &by_step);
    assert_eq!(found.matches(", ").count() + 1, 7, "{found}");
    assert!(notes.iter().any(|note| note.contains("7 times")), "{notes:?}");
}

#[test]
fn tables_in_text_are_read() {
    let fastai = "epoch     train_loss  valid_loss  accuracy  time    \n0         0.8     0.7    0.75   00:12     \n1         0.6     \
                  0.65    0.78   00:12     \n";
    assert_reads(fastai, "0.8 - 0.7 0.75, 0.6 - 0.65 0.78");
    assert_reads("# epoch train_loss val_loss\n1 0.5 0.6\n2 0.4 0.5\n", "0.5 - 0.6 -, 0.4 - 0.5 -");
    assert_reads("# my run\n# epoch,train_loss,val_loss\n1,0.5,0.6\n2,0.4,0.5\n", "0.5 - 0.6 -, 0.4 - 0.5 -");
    assert_reads("epoch\ttrain_loss\tval_loss\n1\t0.5\t0.6\n2\t0.4\t0.5\n", "0.5 - 0.6 -, 0.4 - 0.5 -");
    assert_reads(
        "epoch,loss,val_loss,acc\n1,\"1,234.5\",0.6,80.3%\n2,0.4,0.5,81%\n",
        "1234.5 0.803 0.6 -, 0.4 0.81 0.5 -",
    );
}

#[test]
fn boosting_rounds_are_read() {
    let xgboost = "[0]\tvalidation_0-logloss:0.65\tvalidation_1-logloss:0.66\n[1]\tvalidation_0-logloss:0.55\t\
                   validation_1-logloss:0.60\n";
    assert_reads(xgboost, "0.65 - 0.66 -, 0.55 - 0.6 -");
    assert_reads(
        "[0]\ttrain-rmse:0.5\teval-rmse:0.6\n[1]\ttrain-rmse:0.4\teval-rmse:0.5\n",
        "0.5 - 0.6 -, 0.4 - 0.5 -",
    );
    let lightgbm = "[LightGBM] [Info] Total Bins 255\nTraining until validation scores don't improve for 10 rounds\n[10]\t\
                    training's binary_logloss: 0.31\tvalid_1's binary_logloss: 0.35\n[20]\ttraining's binary_logloss: 0.21\t\
                    valid_1's binary_logloss: 0.30\n";
    assert_reads(lightgbm, "0.31 - 0.35 -, 0.21 - 0.3 -");
    let catboost = "Learning rate set to 0.03\n0:\tlearn: 0.69\ttest: 0.68\tbest: 0.68 (0)\ttotal: 50ms\tremaining: 1m 2s\n1:\t\
                    learn: 0.59\ttest: 0.60\tbest: 0.60 (1)\ttotal: 50ms\tremaining: 1m 2s\n";
    assert_reads(catboost, "0.69 - 0.68 -, 0.59 - 0.6 -");
    let mlp = "Iteration 1, loss = 0.9\nValidation score: 0.8\nIteration 2, loss = 0.7\nValidation score: 0.85\n";
    assert_reads(mlp, "0.9 - - 0.8, 0.7 - - 0.85");
}

#[test]
fn rows_that_name_their_set_are_taken_apart() {
    let table = "epoch,phase,loss,accuracy\n1,train,0.9,0.5\n1,val,0.8,0.6\n2,train,0.7,0.7\n2,val,0.75,0.65\n";
    assert_reads(table, "0.9 0.5 0.8 0.6, 0.7 0.7 0.75 0.65");
    let mmcv = "{\"env_info\": \"sys.platform: linux\"}\n{\"mode\": \"train\", \"epoch\": 1, \"iter\": 50, \"lr\": 0.01, \"loss\": \
                0.9}\n{\"mode\": \"train\", \"epoch\": 1, \"iter\": 100, \"lr\": 0.01, \"loss\": 0.7}\n{\"mode\": \"val\", \
                \"epoch\": 1, \"iter\": 20, \"accuracy_top-1\": 70.5}\n{\"mode\": \"train\", \"epoch\": 2, \"iter\": 50, \"loss\": \
                0.6}\n{\"mode\": \"val\", \"epoch\": 2, \"iter\": 20, \"accuracy_top-1\": 75.5}\n";
    assert_reads(mmcv, "0.8 - - 0.705, 0.6 - - 0.755");
    let nested = "{\"epoch\": 1, \"train\": {\"loss\": 0.9, \"acc\": 0.5}, \"val\": {\"loss\": 0.8}}\n{\"epoch\": 2, \"train\": \
                  {\"loss\": 0.7, \"acc\": 0.6}, \"val\": {\"loss\": 0.75}}\n";
    assert_reads(nested, "0.9 0.5 0.8 -, 0.7 0.6 0.75 -");
}

#[test]
fn several_runs_in_a_file_are_split_and_never_spliced() {
    let appended = "epoch,loss,val_loss\n1,0.9,0.8\n2,0.7,0.75\n1,0.5,0.6\n2,0.4,0.5\n";
    assert_reads(appended, "0.9 - 0.8 -, 0.7 - 0.75 -; 0.5 - 0.6 -, 0.4 - 0.5 -");
    for column in ["fold", "seed", "model", "run", "version"] {
        let text = format!("{column},epoch,loss,val_loss\na,1,0.9,0.8\na,2,0.7,0.75\nb,1,0.5,0.6\nb,2,0.4,0.5\n");
        assert_reads(&text, "0.9 - 0.8 -, 0.7 - 0.75 -; 0.5 - 0.6 -, 0.4 - 0.5 -");
        let mixed = format!("{column},epoch,loss,val_loss\na,1,0.9,0.8\nb,1,0.5,0.6\na,2,0.7,0.75\nb,2,0.4,0.5\n");
        assert_reads(&mixed, "0.9 - 0.8 -, 0.7 - 0.75 -; 0.5 - 0.6 -, 0.4 - 0.5 -");
    }
    let lines = "{\"epoch\": 1, \"loss\": 0.9}\n{\"epoch\": 2, \"loss\": 0.7}\n{\"epoch\": 1, \"loss\": 0.5}\n";
    assert_reads(lines, "0.9 - - -, 0.7 - - -; 0.5 - - -");
    let constant = "epoch,loss,val_loss\n0,0.9,0.8\n0,0.7,0.75\n0,0.5,0.6\n";
    assert_reads(constant, "0.9 - 0.8 -, 0.7 - 0.75 -, 0.5 - 0.6 -");
}

#[test]
fn what_was_guessed_or_not_understood_is_said() {
    let (found, notes, unused) =
        read_text("file", "epoch,train_loss,test_loss,f1,time\n1,0.9,0.8,0.5,3\n2,0.7,0.75,0.6,3\n");
    assert_eq!(found, "0.9 - 0.8 -, 0.7 - 0.75 -");
    assert!(notes.iter().any(|note| note == "test_loss was read as validation"), "{notes:?}");
    assert_eq!(unused, ["f1"]);
    let yolo = "                  epoch,         train/box_loss,         train/cls_loss,  metrics/mAP50-95(B),           \
                val/box_loss,           val/cls_loss\n                      1,                    1.0,                    0.5, \
                0.25,  1.5,  0.5\n                      2,                    0.9,                    0.4, 0.35, 1.4,  0.4\n";
    let (found, notes, _) = read_text("file", yolo);
    assert_eq!(found, "1.5 - 2 0.25, 1.3 - 1.8 0.35");
    assert!(notes.iter().any(|note| note.contains("sums of their parts")), "{notes:?}");
}

#[test]
fn a_gans_losses_have_no_verdict_and_it_is_said_why() {
    for line in [
        "[0/25][0/782] Loss_D: 1.5 Loss_G: 4.6 D(x): 0.5 D(G(z)): 0.6 / 0.01",
        "[Epoch 0/200] [Batch 0/938] [D loss: 0.69] [G loss: 0.68]",
        "Epoch 1, generator_loss: 0.5, discriminator_loss: 0.7",
        "(epoch: 5, iters: 4) G_GAN: 0.3 G_L1: 17.7 D_real: 0.1 D_fake: 0.4",
        "Epoch 1 Generator: 0.9 Discriminator: 0.5, loss: 1.2",
    ] {
        let source = Source { name: "file".into(), prefix: None, bytes: line.repeat(2).into() };
        let problem = read(&[source], Some(Format::Log), &[]).expect_err("it is a GAN's");
        assert!(problem.what.contains("a generator and a discriminator"), "{problem}");
    }
}

#[test]
fn a_notebooks_outputs_are_read() {
    let notebook = r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["x"], "outputs": [{"output_type": "stream", "text":
        ["Epoch 1/2\n", "10/10 - 1s - loss: 0.9 - val_loss: 0.8\n", "Epoch 2/2\n", "10/10 - 1s - loss: 0.7 - val_loss: 0.75\n"]}]},
        {"cell_type": "code", "outputs": [{"data": {"text/html": ["<table><thead><tr><th>epoch</th><th>train_loss</th>",
        "<th>valid_loss</th></tr></thead><tbody><tr><td>0</td><td>0.5</td><td>0.6</td></tr></tbody></table>"]}}]}]}"#;
    assert_reads(notebook, "0.9 - 0.8 -, 0.7 - 0.75 -; 0.5 - 0.6 -");
}

#[test]
fn a_compressed_file_is_read_and_a_refusal_quotes_what_was_seen() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"epoch,loss\n1,0.5\n2,0.4\n").expect("memory");
    let bytes = packed.finish().expect("memory");
    let source = Source { name: "file".into(), prefix: None, bytes };
    assert_eq!(read(&[source], None, &[]).expect("it is a curve").curves[0].epochs.len(), 2);
    let source = Source { name: "file".into(), prefix: None, bytes: "\n  Dear diary\n".into() };
    let problem = read(&[source], None, &[]).expect_err("it is no curve");
    assert!(problem.what.contains("its first line is \"Dear diary\""), "{problem}");
}

#[test]
fn what_stands_under_the_same_name_twice_is_taken_apart() {
    let evaluated = "Epoch 1/2\n1563/1563 [====] - 8s 5ms/step - loss: 1.0 - accuracy: 0.5\n313/313 [====] - 1s - loss: 1.1 - \
                     accuracy: 0.4\nEpoch 2/2\n1563/1563 [====] - 8s 5ms/step - loss: 0.5 - accuracy: 0.7\n313/313 [====] - \
                     1s - loss: 0.6 - accuracy: 0.6\n";
    assert_reads(evaluated, "1 0.5 1.1 0.4, 0.5 0.7 0.6 0.6");
    let graph = "Epoch: 001, Loss: 1.0, Train: 0.5, Val: 0.4, Test: 0.3\nEpoch: 002, Loss: 0.5, Train: 0.7, Val: 0.6, Test: 0.5\n";
    assert_reads(graph, "1 0.5 - 0.4, 0.5 0.7 - 0.6");
    assert!(read_text("file", graph).1.contains(&"Val was read as an accuracy".to_owned()));
    let by_epoch = r#"{"1": {"train_loss": 1.0, "val_loss": 1.1}, "2": {"train_loss": 0.5, "val_loss": 0.6}}"#;
    assert_reads(by_epoch, "1 - 1.1 -, 0.5 - 0.6 -");
}

#[test]
fn a_step_a_set_and_a_number_without_marks_are_read() {
    let step = |n: u32, loss: f64| format!("{n} train {loss}\n");
    let log =
        "0 val 11.02\n".to_owned() + &step(0, 11.01) + &step(1, 9.5) + &step(2, 8.25) + "3 val 7.5\n" + &step(3, 7.75);
    let (found, notes, _) = read_text("file", &log);
    assert_eq!(found, "11.01 - 11.02 -, 8.5 - 7.5 -", "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("name no quantity")), "{notes:?}");
    let scored = log.replace("3 train", "3 hella 0.25\n3 train").replace("0 val 11.02", "0 val 11.02\n0 hella 0.2");
    let (found, notes, _) = read_text("file", &scored);
    assert_eq!(found, "11.01 - 11.02 0.2, 8.5 - 7.5 0.25", "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("accuracy in HellaSwag")), "{notes:?}");
}

#[test]
fn scores_by_other_names_are_shown() {
    let restored = |n: u32| {
        format!("Date: 2023-10-29 11:2{n}:34s, Time_Cost: 104s, Epoch: [{n}/9],Val_PSNR: 2{n}.5, Val_SSIM: 0.9{n}\n")
    };
    assert_reads(&(1..4).map(restored).collect::<String>(), "- - - 0.91, - - - 0.92, - - - 0.93");
    let detected = |n: u32| format!("Epoch {n}/3\ntotal_loss: 0.{n}\nMean Average Precision = 2{n}.55%\n");
    assert_reads(&(1..4).map(detected).collect::<String>(), "0.1 - - 0.2155, 0.2 - - 0.2255, 0.3 - - 0.2355");
}

#[test]
fn the_name_of_a_numbered_file_tells_the_set() {
    let rows = "iter\tLogloss\n0\t0.7\n1\t0.6\n2\t0.5\n";
    assert_eq!(read_text("020-test_error.tsv", rows).0, "- - 0.7 -, - - 0.6 -, - - 0.5 -");
    let (found, notes, _) = read_text("test_run.tsv", rows);
    assert_eq!(found, "0.7 - - -, 0.6 - - -, 0.5 - - -");
    assert!(notes.iter().any(|note| note.contains("test in the file's name may mean something else")), "{notes:?}");
}

#[test]
fn a_result_that_is_printed_twice_is_no_curve_and_the_best_values_are_said() {
    let result = "test_loss   0.3732\ntest_acc   0.8364\n[{'test_loss': 0.3732, 'test_acc': 0.8364}]\n";
    let source = |text: &str| Source { name: "file".into(), prefix: None, bytes: text.into() };
    read(&[source(result)], None, &[]).expect_err("it is no curve");
    let best = "Metric valid_loss improved by 0.011 >= min_delta = 0.0. New best score: 0.660\n";
    let log = (1..4).map(|n| format!("Epoch {n}: train_loss 0.{n}\n{best}")).collect::<String>();
    let (found, notes, _) = read_text("file", &log);
    assert!(found == "0.1 - - -, 0.2 - - -, 0.3 - - -", "{found}");
    assert!(notes.iter().any(|note| note.contains("best so far")), "{notes:?}");
}

#[test]
fn examples_of_a_data_set_are_no_curve() {
    let history = "{'loss': [0.9, 0.7], 'val_loss': [0.8, 0.75]}\n";
    let example = "{'input_ids': [0, 106, 2],\n 'labels': [-100, 3, -100],\n 'loss': [0.0,\n  0.024,\n  0.0]}\n";
    assert_reads(&format!("{history}{example}"), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let table = "  input_ids attention_mask  loss\n0      106              1  0.02\n1       15              1  0.04\n";
    assert_reads(&format!("{history}{table}"), "0.9 - 0.8 -, 0.7 - 0.75 -");
}

#[test]
fn a_table_of_two_epochs_that_is_shown_again_is_left_out() {
    let table =
        "Epoch  Training Loss  Validation Loss\n1      0.2499         0.154983\n2      0.1200         0.135701\n";
    let cell = |text: &str| serde_json::json!({"cell_type": "code", "outputs": [{"name": "stdout", "text": [text]}]});
    let notebook = serde_json::json!({"nbformat": 4, "cells": [cell(table), cell(table)]}).to_string();
    assert_reads(&notebook, "0.2499 - 0.155 -, 0.12 - 0.1357 -");
}

#[test]
fn scores_come_first_among_names_that_are_left_over() {
    let row = |n: u32| {
        format!(
            "{{\"epoch\": {n}, \"train_loss\": 0.9{n}, \"train_loss_ce\": 0.1{n}, \"test_loss\": 0.8{n}, \"test_loss_ce\": 0.2{n}, \
             \"a_parameters\": {n}.5, \"b_error\": 0.{n}, \"test_coco_eval_bbox\": [0.1{n}, 0.5], \"test_class_error\": 9.{n}}}\n"
        )
    };
    let (shown, notes, unused) = read_text("file", &(1..=5).map(row).collect::<String>());
    assert!(shown.starts_with("0.91 - 0.81 -, 0.92"), "{shown}");
    assert_eq!(unused[0], "test_coco_eval_bbox[0]", "{unused:?}");
    assert!(unused.contains(&"train_loss_ce".to_owned()), "{unused:?}");
    assert!(!notes.iter().any(|note| note.contains("other names")), "{notes:?}");
}

#[test]
fn a_score_of_validation_counts_beside_a_training_accuracy() {
    let epoch = |n: u32| {
        format!(
            "2021-12-07 14:58:42,588 - mmdet - INFO - Epoch [{n}][50/100]\tlr: 2.0e-02, loss_cls: 0.5, acc: 9{n}.5, loss: 0.{n}\n\
             2021-12-07 14:58:42,588 - mmdet - INFO - Epoch(val) [{n}][3750]\tbbox_mAP: 0.{n}870, bbox_mAP_50: 0.1910\n"
        )
    };
    let (shown, notes, _) = read_text("file", &(epoch(1) + &epoch(2)));
    assert_eq!(shown, "0.1 - - 0.187, 0.2 - - 0.287", "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("acc was left out")), "{notes:?}");
}

#[test]
fn other_scores_of_tools_are_named() {
    let step = |n: u32| format!("s:{n} trl:{}.5 lr:0.1\n", 9 - n);
    let log =
        format!("s:0 tel:9.9\ns:0 eval:0.25\n{}s:4 tel:5.9\ns:4 eval:0.5\n", (0..5).map(step).collect::<String>());
    assert_reads(&log, "9.5 - 9.9 0.25, 7 - 5.9 0.5");
    let caffe = |n: u32| {
        format!(
            "I0613 17:29:58.1  1860 solver.cpp:228] Iteration {n}00, loss = {}.5\nI0613 17:29:58.1  1860 solver.cpp:244]     Train net \
             output #0: accuracy = 0.{n}\nI0613 17:29:58.1  1860 solver.cpp:244]     Train net output #1: accuracy_top5 = 0.{n}5\n",
            9 - n
        )
    };
    let head = "  include {\n    phase: TRAIN\n  }\n  a\n  b\n  c\n  d\n";
    let (shown, notes, unused) = read_text("file", &(head.to_owned() + &(0..5).map(caffe).collect::<String>()));
    assert!(shown.starts_with("9.5 0 - -, 8.5 0.1 - -"), "{shown} {notes:?}");
    assert!(unused.iter().any(|name| name.contains("accuracy_top5")), "{unused:?}");
    let yolo = |n: u32| {
        format!(
            "      {n}/5      2.27G      1.{n}      13        224: 100%|████| 8/8\n               classes   top1_acc   top5_acc: 100%|██| \
             4/4\n                   all      0.{n}      0.9{n}\n"
        )
    };
    let (shown, _, unused) = read_text("file", &(1..=5).map(yolo).collect::<String>());
    assert!(shown.starts_with("1.1 - - 0.1, 1.2 - - 0.2"), "{shown}");
    assert_eq!(unused, ["metrics/accuracy_top5"]);
}

#[test]
fn what_occurs_once_is_a_measure_and_occurs_once() {
    let configuration = "loss_weight=0.5\nloss_weight=0.75\nSCORE_THRESH: 0.05\nimages/0001.jpg: 0.5\n";
    let epoch = |n: u32| format!("Epoch {n}: train_loss 0.9{n}, val_loss 0.8{n}\n");
    let text = configuration.to_owned() + &(1..=5).map(epoch).collect::<String>() + "Final F1: 0.5\n";
    let source = Source { name: "file".into(), prefix: None, bytes: text.into() };
    let curve = read(&[source], None, &[]).expect("it is a curve").curves.remove(0);
    assert_eq!((curve.unused, curve.once), (vec![], vec!["Final F1".to_owned()]));
}

#[test]
fn means_since_the_start_of_training_give_way_to_the_values_themselves() {
    let line = |n: u32, own: f64, mean: f64| {
        format!(
            "2018-10-29 16:49:22,445 maskrcnn_benchmark.trainer INFO: eta: 3 days, 19:25:28  iter: {n}  loss: {own} ({mean})  loss_box_reg: \
             0.0725 (0.0656)  time: 4.6874 (4.5725)  lr: 0.000900  max mem: 9486\n"
        )
    };
    let log = line(0, 5.5, 5.5) + &line(20, 1.1, 1.6) + &line(40, 0.4, 1.0);
    let (shown, notes, _) = read_text("file", &log);
    assert_eq!(shown, "5.5 - - -, 1.1 - - -, 0.4 - - -", "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("means since the start")), "{notes:?}");
}

#[test]
fn each_step_without_a_finite_loss_counts() {
    let log: String =
        (1..=20).map(|n| format!("step {n}/100 | loss nan (+nanz)| lr 8.57e-07 | 3994.72 ms\n")).collect();
    let source = Source { name: "file".into(), prefix: None, bytes: log.into() };
    let curve = read(&[source], None, &[]).expect("it is a curve").curves.remove(0);
    assert!(curve.notes.iter().any(|note| note.contains("in 20 epochs")), "{:?}", curve.notes);
    assert_eq!((curve.epochs.len(), curve.divergence.map(|it| it.epoch)), (20, Some(1)));
}

#[test]
fn overwritten_progress_bars_are_restored() {
    let bar = |batch: u32, loss: f64| {
        format!("{batch:4}/1875 [==>.......] - ETA: 2s - loss: {loss:.4} - accuracy: 0.8{batch:03}")
    };
    let log = [
        "Epoch 1/10".to_owned(),
        "1875/1875 [====] - 21s 11ms/step - loss: 0.9000 - accuracy: 0.7000 - val_loss: 0.8000 - val_accuracy: 0.6000".to_owned(),
        "Epoch 2/10".to_owned(),
        bar(100, 0.8),
        bar(900, 0.7),
        bar(20, 0.6) + ".8900 - val_loss: 0.7500 - val_accuracy: 0.6500",
        bar(800, 0.5) + " .8900 - val_loss: 0.7500 - val_accuracy: 0.6500",
        bar(10, 0.4) + ".8800 - val_loss: 0.7000 - val_accuracy: 0.6600",
        "Epoch 9/10[==>.......] - ETA: 2s - loss: 0.4000 - accuracy: 0.8010.8800 - val_loss: 0.7000 - val_accuracy: 0.6600".to_owned(),
    ];
    let (shown, notes, _) = read_text("file", &log.join("\n"));
    assert!(shown.starts_with("0.9 0.7 0.8 0.6, 0.7 0.89 0.75 0.65, 0.5 0.88 0.7 0.66"), "{shown} {notes:?}");
    assert!(!shown.contains("0.4 0.801 0.7"), "{shown}");
    assert!(notes.iter().any(|note| note.contains("overwritten")), "{notes:?}");
}

#[test]
fn losses_of_both_sets_at_a_step_need_no_word() {
    let eval = |n: u32, train: f64, val: f64| format!("[eval] iter {n}: train {train} val {val} lr 7.50e-07\n");
    let train = |n: u32, loss: f64| format!("[train] iter {n}: loss {loss} 2895 ms/iter\n");
    let log = eval(0, 9.5, 9.25)
        + &train(10, 8.5)
        + &train(20, 7.5)
        + &eval(20, 3.5, 3.25)
        + &train(30, 0.75)
        + &eval(40, 0.5, 0.75);
    let (shown, notes, _) = read_text("file", &log);
    assert_eq!(shown, "9.5 - 9.25 -, 3.5 - 3.25 -, 0.5 - 0.75 -", "{notes:?}");
}

#[test]
fn rivals_pipelines_and_training_scores_are_understood() {
    let refused = |text: &str| {
        let source = Source { name: "file".into(), prefix: None, bytes: text.into() };
        read(&[source], None, &[]).expect_err("it is no curve").what
    };
    let gan: String = (1..9).map(|n| format!("EPOCH  {n}: Dloss 0.7{n} Gloss 2.{n}\n")).collect();
    assert!(refused(&gan).contains("a generator and a discriminator"), "{}", refused(&gan));
    let spacy: String = (1..5).map(|n| format!("Losses {{'ner': {}.5}}\n", 9 - n)).collect();
    assert_reads(&spacy, "8.5 - - -, 7.5 - - -, 6.5 - - -, 5.5 - - -");
    let pipeline: String =
        (1..4).map(|n| format!("Epoch {n} Losses: {{'tagger': 1.0, 'ner': {}.5}}\n", 9 - n)).collect();
    assert_reads(&pipeline, "9.5 - - -, 8.5 - - -, 7.5 - - -");
    let bare: String = (0..3).map(|n| format!("Epoch: {n}\n{{'ner': {}.5, 'parser': 1e-05}}\n", 9 - n)).collect();
    assert_reads(&bare, "9.5 - - -, 8.5 - - -, 7.5 - - -");
    let boosting: String = (0..4).map(|n| format!("[{n}]\ttrain-auc:0.99{n}\n")).collect();
    assert_reads(&boosting, "- 0.99 - -, - 0.991 - -, - 0.992 - -, - 0.993 - -");
}

#[test]
fn a_metric_of_validation_that_rises_is_a_score() {
    let epoch = |n: u32, loss: f64, metric: f64| {
        format!("Epoch {n} | Training loss: {loss}\nEpoch {n} | Validation metric: {metric}\n")
    };
    let log = epoch(0, 1.5, 0.01) + &epoch(1, 1.2, 0.2) + &epoch(2, 0.9, 0.25) + &epoch(3, 0.8, 0.3);
    assert_reads(&log, "1.5 - - 0.01, 1.2 - - 0.2, 0.9 - - 0.25, 0.8 - - 0.3");
    let log = epoch(0, 1.5, 0.9) + &epoch(1, 1.2, 0.7) + &epoch(2, 0.9, 0.5) + &epoch(3, 0.8, 0.4);
    assert_reads(&log, "1.5 - 0.9 -, 1.2 - 0.7 -, 0.9 - 0.5 -, 0.8 - 0.4 -");
}

#[test]
fn what_flowers_server_evaluates_is_of_validation() {
    let round = |n: u32| {
        format!(
            "INFO :      [ROUND {n}]\nINFO :      configure_fit: strategy sampled 2 clients (out of 2)\nINFO :      aggregate_fit: received 2 \
             results and 0 failures\nINFO :      Client c99f:\nINFO :      -> loss: {}.5\nINFO :      -> dice: 0.9\nINFO :      \
             aggregate_evaluate: received 3 results and 0 failures\nINFO :      -> Mega Dice Score: 0.5{n}\nINFO :      -> Mega Dice Score \
             (aug): 0.1{n}\n",
            9 - n
        )
    };
    assert_reads(&(1..=4).map(round).collect::<String>(), "8.5 - - 0.51, 7.5 - - 0.52, 6.5 - - 0.53, 5.5 - - 0.54");
}

#[test]
fn batches_of_validation_are_no_steps_of_training() {
    let train = |n: u32, loss: f64| {
        format!("2021-12-07 14:58:42,588 - mmseg - INFO - Iter [{n}/20000]\tlr: 9.890e-03, loss: {loss}\n")
    };
    let val =
        |score: f64| format!("2021-12-07 15:58:42,588 - mmseg - INFO - Iter(val) [500]\taAcc: 0.7010, mIoU: {score}\n");
    let log = train(50, 2.5) + &train(100, 1.5) + &val(0.25) + &train(150, 1.0) + &train(200, 0.5) + &val(0.5);
    assert_reads(&log, "2 - - 0.25, 0.75 - - 0.5");
}

#[test]
fn losses_of_flowers_rounds_are_of_validation() {
    let progress = |n: u32| format!("fit progress: ({n}, 0.0{n}75, {{'accuracy': 0.{n}012}}, 13.1)\n");
    assert_reads(&(1..=3).map(progress).collect::<String>(), "- - 0.0175 0.1012, - - 0.0275 0.2012, - - 0.0375 0.3012");
    let history = "INFO :      [ROUND 1]\nINFO :      [ROUND 2]\nINFO :      History (loss, distributed):\nINFO :      \tround 1: 2.5\nINFO \
                   :      \tround 2: 1.5\nINFO :      History (metrics, distributed, evaluate):\nINFO :      {'accuracy': [(1, 0.25), (2, \
                   0.5)]}\n";
    assert_reads(history, "- - 2.5 0.25, - - 1.5 0.5");
}

#[test]
fn headers_and_lines_that_two_processes_print_are_those_of_one_training() {
    let header = |n: u32| format!("Epoch {n}/50\n----------\nModel saved to best.pth\n\n");
    let epoch = |n: u32| {
        header(n)
            + &header(n)
            + &format!(
                "📊 Epoch {n} Results (263.3s):\n  Train - Loss: 0.9{n}, Acc: 0.5\n  Val   - Loss: 0.8{n}, Acc: 0.4\n"
            )
    };
    assert_reads(&(epoch(1) + &epoch(2) + &epoch(3)), "0.91 0.5 0.81 0.4, 0.92 0.5 0.82 0.4, 0.93 0.5 0.83 0.4");
    let line = |n: u32, train: f64| format!("[Epoch {n}]  - train loss: {train}  - validation loss: 0.8\n");
    let lines = |n: u32| line(n, f64::from(20 - n)) + &line(n, f64::from(20 - n) + if n == 7 { 0.25 } else { 0.0 });
    let (shown, notes, _) = read_text("file", &(1..=12).map(lines).collect::<String>());
    assert_eq!((shown.matches(", ").count(), shown.contains(';')), (11, false), "{shown} {notes:?}");
}
