//! What published logs look like, one short example of each kind. The numbers are made up.

use super::*;

/// Reads a file as [`super::tools::read_text`] does. The second part are all notes and unused names.
pub fn read_file(name: &str, text: &str) -> (String, String) {
    let (shown, notes, unused) = tools::read_text(name, text);
    (shown, notes.into_iter().chain(unused).collect::<Vec<_>>().join(" | "))
}

#[track_caller]
pub fn assert_reads(text: &str, expected: &str) {
    let (found, notes) = read_file("file", text);
    assert_eq!(found, expected, "{notes}\n{text}");
}

#[track_caller]
pub fn assert_says(text: &str, expected: &str, note: &str) {
    let (found, notes) = read_file("file", text);
    assert_eq!(found, expected, "{notes}\n{text}");
    assert!(notes.contains(note), "{note} is not in {notes}");
}

pub fn refusal(text: &str) -> String {
    let source = Source { name: "file".into(), prefix: None, bytes: text.into() };
    read(&[source], None, &[]).expect_err("it is no curve").what
}

#[test]
fn what_python_prints_of_a_history_is_read() {
    let history = "{'loss': [0.9, np.float32(0.7)], 'accuracy': [0.5, 0.6], 'val_loss': [0.8, 0.75], 'val_accuracy': [0.55, 0.6]}";
    assert_reads(history, "0.9 0.5 0.8 0.55, 0.7 0.6 0.75 0.6");
    assert_reads(&format!("Training is over\n>>> history.history\n{history}\n"), "0.9 0.5 0.8 0.55, 0.7 0.6 0.75 0.6");
    assert_reads("done\n{'loss': [0.9,\n  0.7],\n 'val_loss': [0.8, 0.75]}\n", "0.9 - 0.8 -, 0.7 - 0.75 -");
}

#[test]
fn nested_lists_belong_to_sets_or_runs() {
    let sets = r#"{"learn": {"Logloss": [0.6, 0.5]}, "validation": {"Logloss": [0.65, 0.6]}}"#;
    assert_reads(sets, "0.6 - 0.65 -, 0.5 - 0.6 -");
    let numbered = r#"{"validation_0": {"logloss": [0.6, 0.5]}, "validation_1": {"logloss": [0.65, 0.6]}}"#;
    assert_says(numbered, "0.6 - 0.65 -, 0.5 - 0.6 -", "validation_0 was read as training");
    let runs = r#"{"small": {"loss": [0.9, 0.8], "val_loss": [1, 0.9]}, "large": {"loss": [0.5, 0.4], "val_loss": [0.7, 0.8]}}"#;
    assert_reads(runs, "0.9 - 1 -, 0.8 - 0.9 -; 0.5 - 0.7 -, 0.4 - 0.8 -");
    for deep in [
        r#"{"test": {"combined": {"loss": [9, 9]}}, "train": {"combined": {"loss": [0.9, 0.7]}, "y": {"loss": [1, 2]}}, "val": {"combined": {"loss": [0.8, 0.75]}}}"#,
        r#"{"val": {"epoch_1": {"loss": 0.8}, "epoch_2": {"loss": 0.75}}, "train": {"epoch_1": {"loss": 0.9}, "epoch_2": {"loss": 0.7}}}"#,
        r#"{"info": {"layers": [1, 2]}, "rows": [{"epoch": 1, "stage": "train", "metrics": {"loss": 0.9}}, {"epoch": 1, "stage": "val", "metrics": {"loss": 0.8}},
            {"epoch": 2, "stage": "train", "metrics": {"loss": 0.7}}, {"epoch": 2, "stage": "val", "metrics": {"loss": 0.75}}]}"#,
        r#"{"loss": {"train": [0.9, 0.7], "val": [0.8, 0.75]}, "config": {"layers": [64, 64]}}"#,
        r#"{"train_loss": {"epoch_1": 0.9, "epoch_2": 0.7}, "val_loss": {"epoch_1": 0.8, "epoch_2": 0.75}}"#,
    ] {
        assert_reads(deep, "0.9 - 0.8 -, 0.7 - 0.75 -");
    }
    let catboost = r#"{"meta": {"learn_metrics": [{"name": "Logloss"}], "test_metrics": [{"name": "Logloss"}]}, "iterations":
        [{"learn": [0.6], "iteration": 0, "test": [0.65]}, {"learn": [0.5], "iteration": 1, "test": [0.6]}]}"#;
    assert_reads(catboost, "0.6 - 0.65 -, 0.5 - 0.6 -");
    let kaggle = r#"[{"stream_name": "stdout", "time": 1.0, "data": "Epoch 1/2\n - 3s - loss: 0.9 - val_loss: 0.8\n"},
        {"stream_name": "stdout", "time": 2.0, "data": "Epoch 2/2\n - 3s - loss: 0.7 - val_loss: 0.75\n"}]"#;
    assert_reads(kaggle, "0.9 - 0.8 -, 0.7 - 0.75 -");
}

#[test]
fn tables_of_papers_and_tools_are_read() {
    let latex = "\\begin{tabular}{lcc}\nEpoch & Train loss & Val. loss \\\\\n\\midrule\n1 & 0.9 & 0.8 \\\\\n2 & 0.7 & 0.75 \\\\\n";
    assert_reads(latex, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let pandas = "   epoch  train_loss  val_loss\n0      1         0.9       0.8\n1      2         0.7      0.75\n";
    assert_reads(pandas, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let matlab = "|  Epoch  |  Iteration  |  Time Elapsed  |  Mini-batch  |  Validation  |\n|         |             |   (hh:mm:ss)   |     \
                  Loss     |     Loss     |\n|====|\n|       1 |          30 |       00:00:01 |       0.9 |       0.8 |\n|       2 |  \
                  60 |       00:00:02 |       0.7 |       0.75 |\n";
    assert_reads(matlab, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let spacy = "E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  SCORE \n---  ------  ------------  --------  ------  ------\n  0       0   \
                 0.50     48.50    0.00    0.10\n  1     200         1.00     38.00   20.00    0.40\n";
    assert_says(spacy, "49 - - 0.1, 39 - - 0.4", "SCORE is shown as the accuracy");
    let card = "It achieves:\n- Loss: 0.3\n- Accuracy: 0.9\n\n| Training Loss | Epoch | Validation Loss |\n|---|---|---|\n| 0.9 | 1.0 | \
                0.8 |\n| 0.7 | 2.0 | 0.75 |\n";
    assert_says(card, "0.9 - 0.8 -, 0.7 - 0.75 -", "numbers outside the table were left out");
    let german = "Epoche;loss;val_loss\n1;0,9;0,8\n2;0,7;0,75\n";
    assert_says(german, "0.9 - 0.8 -, 0.7 - 0.75 -", "commas were read as decimal points");
    assert_says("Epoche 1/2 - loss: 0,9512\nEpoche 2/2 - loss: 0,75\n", "0.9512 - - -, 0.75 - - -", "decimal points");
    let fastai = "epoch     train_loss  valid_loss  time\n[0, 0.9, 0.8, '00:12']\n(#4) [1,0.7,0.75,'00:12']\n";
    assert_reads(fastai, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let long = "epoch,metric,value\n1,train_loss,0.9\n1,val_loss,0.8\n2,train_loss,0.7\n2,val_loss,0.75\n";
    assert_reads(long, "0.9 - 0.8 -, 0.7 - 0.75 -");
    let folds = "epoch,val_loss_fold0,val_loss_fold1\n1,0.9,0.8\n2,0.7,0.75\n";
    assert_reads(folds, "- - 0.9 -, - - 0.7 -; - - 0.8 -, - - 0.75 -");
    let board = "Wall time,Step,Value\n1.6e9,0,0.9\n1.6e9,1,0.7\n";
    let (found, notes) = read_file("logs/run-validation-tag-epoch_loss.csv", board);
    assert_eq!(found, "- - 0.9 -, - - 0.7 -");
    assert!(notes.contains("validation epoch_loss"), "{notes}");
}

#[test]
fn ultralytics_console_is_read_with_and_without_its_headings() {
    let epoch = |number: u32, loss: f64, map: f64| {
        format!(
            "      Epoch    GPU_mem   box_loss   cls_loss  Instances       Size\n      {number}/2      2.27G      {loss}      0.5    13  \
             640: 100%|████| 8/8\n                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|██| \
             4/4\n                   all        128        929      0.669      0.561      0.642      {map}\n"
        )
    };
    let log = epoch(1, 1.5, 0.4) + &epoch(2, 1.0, 0.5);
    assert_says(&log, "2 - - 0.4, 1.5 - - 0.5", "sum of the parts");
    let bare: String = log
        .lines()
        .filter(|line| !line.contains("Epoch") && !line.contains("Class"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert_says(&bare, "2 - - 0.4, 1.5 - - 0.5", "mAP50-95 is shown as the accuracy");
}

#[test]
fn what_stands_for_a_metric_is_converted_and_said() {
    let perplexity = "Epoch 1: train ppl 2.7183, valid ppl 7.3891\nEpoch 2: train ppl 1.6487, valid ppl 4.4817\n";
    assert_says(perplexity, "1 - 2 -, 0.5 - 1.5 -", "is shown as its logarithm");
    let errors = "[0]\ttrain-merror:0.5\ttest-merror:0.6\n[1]\ttrain-merror:0.25\ttest-merror:0.5\n";
    assert_says(errors, "- 0.5 - 0.4, - 0.75 - 0.5", "is an error");
    let map = "{\"mode\": \"train\", \"epoch\": 1, \"loss\": 0.9}\n{\"mode\": \"val\", \"epoch\": 1, \"bbox_mAP\": 0.3, \"bbox_mAP_50\": \
               0.5}\n{\"mode\": \"train\", \"epoch\": 2, \"loss\": 0.7}\n{\"mode\": \"val\", \"epoch\": 2, \"bbox_mAP\": 0.4, \
               \"bbox_mAP_50\": 0.6}\n";
    assert_says(map, "0.9 - - 0.3, 0.7 - - 0.4", "bbox_mAP is shown as the accuracy");
    let dice = |n: u32, loss: f64| {
        format!(
            "Epoch: {n}\ntrain: 100%|██| 4/4 [00:12<00:00, 3.7it/s, dice_loss - {loss}, iou_score - 0.4]\nvalid: 100%|██| 2/2 \
             [00:01<00:00, 9.1it/s, dice_loss - 0.8, iou_score - 0.5]\n"
        )
    };
    let log = dice(0, 0.9) + &dice(1, 0.7);
    assert_says(&log, "0.9 - 0.8 -, 0.7 - 0.8 -", "dice_loss was read as the training loss");
    let engine = "{\"loss\": 0.9, \"epoch\": 1, \"iter\": 50, \"step\": 50}\n{\"loss\": 0.9, \"epoch\": 1, \"iter\": 100, \"step\": 100}\n\
                  {\"accuracy/top1\": 60, \"step\": 1}\n{\"loss\": 0.7, \"epoch\": 2, \"iter\": 150, \"step\": 150}\n{\"accuracy/top1\": 70, \
                  \"step\": 2}\n";
    assert_says(engine, "0.9 - - 0.6, 0.7 - - 0.7", "recorded separately from the loss");
}

#[test]
fn rewards_and_lists_of_trials_are_told_why_there_is_no_verdict() {
    let rows: String = (1..5).map(|n| format!("{},{},{}\n", n * 10, n * 20, 1.5 / f64::from(n))).collect();
    assert!(refusal(&format!("rollout/ep_rew_mean,time/total_timesteps,train/loss\n{rows}")).contains("rewards"));
    assert!(refusal("|    ep_rew_mean | 20 |\n").contains("rewards"));
    let trial = |n: u32| format!("Trial {n} Complete [00h 00m 10s]\nval_accuracy: 0.8{n}\n");
    assert!(refusal(&(trial(1) + &trial(2))).contains("results of trials"));
    assert!(refusal("[0/25][0/782]\tLoss_D: 1.1\tLoss_G: 2.3\n").contains("a generator and a discriminator"));
}

#[test]
fn lines_with_what_loggers_write_before_them_are_read() {
    let segmentation = "2023/06/01 10:00:00 - mmengine - INFO - Iter(train) [  500/1000]  lr: 1.0e-02  loss: 0.9\n2023/06/01 10:00:00 - \
                        mmengine - INFO - Iter(val) [50/50]    aAcc: 93.0  mIoU: 40.0\n2023/06/01 10:00:00 - mmengine - INFO - \
                        Iter(train) [ 1000/1000]  lr: 1.0e-02  loss: 0.7\n2023/06/01 10:00:00 - mmengine - INFO - Iter(val) \
                        [50/50]    aAcc: 93.0  mIoU: 50.0\n";
    assert_says(segmentation, "0.9 - - 0.4, 0.7 - - 0.5", "mIoU is shown as the accuracy");
    let allennlp = |n: u32, loss: f64| {
        format!(
            "2021-01-01 10:00:00,123 - INFO - allennlp.training.trainer - Epoch {n}/1\n2021-01-01 10:00:00,123 - INFO - \
             allennlp.training.callbacks.console_logger -                        Training |  Validation\n2021-01-01 10:00:00,123 - \
             INFO - allennlp.training.callbacks.console_logger - loss               |     {loss}  |     0.8\n"
        )
    };
    assert_reads(&(allennlp(0, 0.9) + &allennlp(1, 0.7)), "0.9 - 0.8 -, 0.7 - 0.8 -");
    let caffe = |n: u32, loss: f64| {
        format!(
            "I0101 10:00:00.123456  1234 solver.cpp:330] Iteration {n}, Testing net (#0)\nI0101 10:00:01.123456  1234 solver.cpp:397]    \
              Test net output #0: accuracy = 0.5\nI0101 10:00:01.123456  1234 solver.cpp:397]     Test net output #1: loss = 0.8 (* 1 = \
              0.8 loss)\nI0101 10:00:02.123456  1234 solver.cpp:218] Iteration {n} (120 iter/s, 4.1s/500 iters), loss = {loss}\n"
        )
    };
    assert_reads(&(caffe(0, 0.9) + &caffe(500, 0.7)), "0.9 - 0.8 0.5, 0.7 - 0.8 0.5");
    let ray = "(train pid=101) Epoch 1: train_loss 0.9\n(train pid=102) Epoch 1: train_loss 0.5\n(train pid=101) Epoch 2: train_loss \
               0.7\n(train pid=102) Epoch 2: train_loss 0.4\n";
    assert_reads(ray, "0.9 - - -, 0.7 - - -; 0.5 - - -, 0.4 - - -");
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn lines_of_more_kinds_of_loops_are_read() {
    for (text, expected) in [
        ("Cost after iteration 0: 0.9\nCost after iteration 100: 0.7\n", "0.9 - - -, 0.7 - - -"),
        (
            "Train: 0 [   0/390 (  0%)]  Loss: 0.9 (0.9)\nTest: [  78/78]  Loss: 0.8 (0.8)\nTrain: 1 [   0/390 (  0%)]  Loss: 0.7 (0.7)\nTest: [  \
          78/78]  Loss: 0.75 (0.75)\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -",
        ),
        (
            "1/2 * Epoch 1 (train): accuracy01=0.5 | loss=0.9\n1/2 * Epoch 1 (valid): accuracy01=0.6 | loss=0.8\n2/2 * Epoch 2 (train): \
          accuracy01=0.7 | loss=0.7\n2/2 * Epoch 2 (valid): accuracy01=0.65 | loss=0.75\n",
            "0.9 0.5 0.8 0.6, 0.7 0.7 0.75 0.65",
        ),
        (
            " iteration      100/  500 | lm loss: 9.0E-01 | grad norm: 1.2 |\n validation loss at iteration 100 | lm loss value: 8.0E-01 | \
          lm loss PPL: 2.2E+00 |\n iteration      200/  500 | lm loss: 7.0E-01 | grad norm: 1.2 |\n validation loss at iteration 200 | \
          lm loss value: 7.5E-01 | lm loss PPL: 2.1E+00 |\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -",
        ),
        (
            "step:125/250 train_loss:0.9 train_time:3ms\nstep:125/250 val_loss:0.8\nstep:250/250 train_loss:0.7\nstep:250/250 \
          val_loss:0.75\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -",
        ),
        (
            "INFO:tensorflow:loss = 0.9, step = 500\nINFO:tensorflow:Saving dict for global step 1000: accuracy = 0.5, loss = 0.8\n\
          INFO:tensorflow:loss = 0.7, step = 1500\nINFO:tensorflow:Saving dict for global step 2000: accuracy = 0.6, loss = 0.75\n",
            "0.9 - 0.8 0.5, 0.7 - 0.75 0.6",
        ),
        (
            "Start of epoch 0\nTraining loss (for one batch) at step 0: 0.9\nTraining acc over epoch: 0.5\nValidation acc: 0.6\nStart of \
          epoch 1\nTraining loss (for one batch) at step 0: 0.7\nTraining acc over epoch: 0.7\nValidation acc: 0.65\n",
            "0.9 0.5 - 0.6, 0.7 0.7 - 0.65",
        ),
        (
            "Epoch... (1/2 | Loss: 0.9)\nEpoch... (1/2 | Eval Loss: 0.8)\nEpoch... (2/2 | Loss: 0.7)\nEpoch... (2/2 | Eval Loss: 0.75)\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -",
        ),
        (
            "Train Epoch: 1 [0/60 (0%)]\tLoss: 1.5\n====> Epoch: 1 Average loss: 0.9\n====> Test set loss: 0.8\n",
            "0.9 - 0.8 -",
        ),
        (
            "Epoch 1 training complete\nCost on training data: 0.9\nAccuracy on training data: 950 / 1000\nEpoch 2 training \
          complete\nCost on training data: 0.7\nAccuracy on training data: 960 / 1000\n",
            "0.9 0.95 - -, 0.7 0.96 - -",
        ),
        (
            "======== Epoch 1 / 2 ========\n  Average training loss: 0.9\nRunning Validation...\n  Accuracy: 0.8\n  Validation Loss: 0.7\n",
            "0.9 - 0.7 0.8",
        ),
        (
            "Epoch 1: train_loss 0.9 val_loss 0.8\nEpoch 2: train_loss 0.7 val_loss 0.75\nEpoch 1: train_loss 0.6 val_loss 0.7\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -; 0.6 - 0.7 -",
        ),
        ("1 epoch: train_loss: 0.9\n2 epoch: train_loss: 0.7\n", "0.9 - - -, 0.7 - - -"),
        ("E001 train_loss=0.9 val_loss=0.8\nE002 train_loss=0.7 val_loss=0.75\n", "0.9 - 0.8 -, 0.7 - 0.75 -"),
        ("Epoch 1 - Train loss - 0.9 - Val loss -> 0.8\n", "0.9 - 0.8 -"),
        (
            "┃ Epoch ┃ Train Loss ┃ Val Loss ┃\n┡━━━╇━━━┩\n│ 1 │ 0.9 │ 0.8 │\n│ 2 │ 0.7 │ 0.75 │\n",
            "0.9 - 0.8 -, 0.7 - 0.75 -",
        ),
        (
            "Epoch 1/2 10/10 [==] - loss: 0.9 - acc: 0.5 Epoch 2/2 10/10 [==] - loss: 0.7 - acc: 0.6\n",
            "0.9 0.5 - -, 0.7 0.6 - -",
        ),
        ("train_losses = [0.9, 0.7]\nval_losses = [0.8, 0.75]\n", "0.9 - 0.8 -, 0.7 - 0.75 -"),
        ("Loss after epoch 1: 0.9 (validation: 0.8)\n", "0.9 - 0.8 -"),
        (
            "Epoch 1: train_loss 0.9\nEpoch 2: train_loss 0.7\nwandb: Run summary:\nwandb: train_loss 0.1\n",
            "0.9 - - -, 0.7 - - -",
        ),
    ] {
        assert_reads(text, expected);
    }
}

#[test]
fn a_second_bar_is_the_validation_sets_wherever_its_count_stands() {
    let epoch = |n: u32, loss: f64| {
        format!(
            "\nEpoch: {n}\n [==>...]  Step: 31ms | Loss: {loss} | Acc: 50.0% (25000/50000) 391/391 \n [==>...]  Step: 11ms | Loss: 0.8 | Acc: \
             60.0% (6000/10000) 100/100 \n"
        )
    };
    assert_says(&(epoch(0, 0.9) + &epoch(1, 0.7)), "0.9 0.5 0.8 0.6, 0.7 0.5 0.8 0.6", "the second progress bar");
}

#[test]
fn a_test_after_training_is_no_point_of_the_curve() {
    let epochs: String = (1..=5).map(|n| format!("Epoch {n}/5: loss {}\n", 1.0 / f64::from(n))).collect();
    let (found, notes) = read_file("file", &(epochs + "Test accuracy: 0.7\n"));
    assert!(!found.contains("0.7") && notes.contains("not a curve: Test accuracy"), "{found} {notes}");
}

#[test]
fn utf_16_is_read_and_a_table_of_trainings_is_refused() {
    let letters = "epoch,loss\r\n1,0.9\r\n2,0.7\r\n".encode_utf16().flat_map(u16::to_le_bytes);
    let bytes = [0xff, 0xfe].into_iter().chain(letters).collect();
    let source = Source { name: "file".into(), prefix: None, bytes };
    assert_eq!(read(&[source], None, &[]).expect("it is a curve").curves[0].epochs.len(), 2);
    let models = "model,train_loss,val_acc\nsmall,0.3,0.8\nlarge,0.2,0.9\n";
    assert!(refusal(models).contains("not epochs of one training: each has another model"), "{}", refusal(models));
    let settings = "lr,batch_size,epochs,val_accuracy\n0.1,32,10,0.9\n0.01,64,10,0.93\n";
    assert!(refusal(settings).contains("another batch_size"), "{}", refusal(settings));
}

#[test]
fn tables_in_cells_of_a_notebook_and_outputs_cut_in_two_are_read() {
    let table = |epochs: [u32; 2]| {
        let rows: String = epochs.iter().map(|n| format!("<tr><td>{n}</td><td>0.9</td><td>0.8</td></tr>")).collect();
        format!("<table><tr><th>epoch</th><th>train_loss</th><th>valid_loss</th></tr>{rows}</table>")
    };
    let html = |text: String| serde_json::json!({"data": {"text/html": [text]}});
    let stream = |text: &str| serde_json::json!({"output_type": "stream", "name": "stdout", "text": [text]});
    let notebook = |outputs: serde_json::Value| {
        serde_json::json!({"nbformat": 4, "cells": [{"cell_type": "code", "outputs": outputs}]}).to_string()
    };
    let twice = notebook(serde_json::json!([html(table([0, 1])), html(table([0, 1]))]));
    assert_reads(&twice, "0.9 - 0.8 -, 0.9 - 0.8 -; 0.9 - 0.8 -, 0.9 - 0.8 -");
    let cut = notebook(serde_json::json!([stream("Epoch 1: train_lo"), stream("ss 0.9 val_loss 0.8\n")]));
    assert_reads(&cut, "0.9 - 0.8 -");
}

#[test]
fn values_that_stand_before_the_line_of_their_epoch_belong_to_it() {
    let log = |of_epoch: &dyn Fn(u32, f64, f64) -> String| of_epoch(1, 0.9, 0.8) + &of_epoch(2, 0.7, 0.75);
    let both = "0.9 - 0.8 -, 0.7 - 0.75 -";
    let footer = |n: u32, train: f64, val: f64| {
        format!("Train loss: {train}\nValidation loss: {val}\nEpoch {n} done in 3.5 s\n")
    };
    assert_reads(&log(&footer), both);
    let footer =
        |n: u32, train: f64, val: f64| format!("Train loss: {train}\nVal loss: {val}\n=== Epoch {n} finished ===\n");
    assert_reads(&log(&footer), both);
    let bare =
        |n: u32, train: f64, val: f64| format!("Train loss: {train}, val loss: {val}\n----- epoch {n}/2 -----\n");
    assert_reads(&log(&bare), both);
    let before = |n: u32, train: f64, val: f64| format!("Validation loss: {val}\nEpoch {n}: train loss {train}\n");
    assert_says(&log(&before), both, "before the line of an epoch were assigned");
    // The network as it was initialized is no epoch.
    let after = |n: u32, train: f64, val: f64| format!("Epoch {n}: train loss {train}\nValidation loss: {val}\n");
    assert_reads(&("Validation loss: 2.3\n".to_owned() + &log(&after)), both);
    let header = |n: u32, train: f64, val: f64| {
        format!("Epoch {n}/2\nTrain loss: {train}\nVal loss: {val}\nEpoch {n} done in 3.5 s\n")
    };
    assert_reads(&log(&header), both);
    assert_reads(&("Initial train loss: 2.3, val loss: 2.3\n".to_owned() + &log(&header)), both);
}

#[test]
fn a_loss_among_evaluation_results_is_not_silently_the_validation_sets() {
    let block = |step: u32, accuracy: f64, eval: &str, loss: f64| {
        format!(
            "***** Eval results *****\n  eval_accuracy = {accuracy}\n{eval}  global_step = {step}\n  loss = {loss}\n"
        )
    };
    let bert = block(100, 0.8, "  eval_loss = 0.45\n", 0.5) + &block(200, 0.85, "  eval_loss = 0.4\n", 0.3);
    assert_says(&bert, "0.5 - 0.45 0.8, 0.3 - 0.4 0.85", "read as the training loss");
    let estimator = block(100, 0.8, "  eval_loss = 0.45\n", 0.45) + &block(200, 0.85, "  eval_loss = 0.4\n", 0.4);
    assert_reads(&estimator, "- - 0.45 0.8, - - 0.4 0.85");
    let alone = "***** Eval results *****\nacc = 0.8\nloss = 0.5\n***** Eval results *****\nacc = 0.85\nloss = 0.4\n";
    assert_says(alone, "- - 0.5 0.8, - - 0.4 0.85", "is below a heading about eval");
}

#[test]
fn the_example_for_columns_names_no_score_as_a_loss() {
    let rows: String = (1..5).map(|n| format!("{n},0.{n},0.{n}\n")).collect();
    let source = Source { name: "file".into(), prefix: None, bytes: format!("epoch,mAP_50,recall_s\n{rows}").into() };
    let problem = read(&[source], None, &[]).expect_err("nothing is known");
    let hint = problem.hint.unwrap_or_default();
    assert!(hint.contains("val_accuracy=mAP_50"), "{hint}");
}

#[test]
fn what_stands_between_epochs_does_not_change_them() {
    let epoch = |n: u32, train: f64, val: f64| format!("Epoch {n}/60: train_loss={train}, val_loss={val}\n");
    let log = epoch(1, 0.9, 0.8) + &epoch(2, 0.7, 0.75);
    let both = "0.9 - 0.8 -, 0.7 - 0.75 -";
    let report = "              precision    recall  f1-score   support\n\n           0       1.00      0.99      1.00       12\n\n    \
                  accuracy                           0.85      2000\n   macro avg       0.85      0.85      0.85      2000\n";
    assert_says(&(log.clone() + report), both, "classification reports were left out");
    let summary = "Training complete - Val Loss: 0.5, Test Accuracy: 0.8\n";
    assert_says(&(log.clone() + summary), both, "repeated after the line of their epoch");
    // A second run whose first one was followed by other numbers.
    let two = format!("Train Acc: 0.9, Val Acc: 0.3\n{log}{summary}{log}");
    let (found, notes) = read_file("file", &two);
    assert!(found.ends_with(both) && notes.contains("several runs"), "{found} {notes}");
    assert!(notes.contains("without an epoch were left out"), "{notes}");
    // pandas shows a part of the history again.
    let long: String = (1..=60).map(|n| epoch(n, 1.0 / f64::from(n), 0.5)).collect();
    let row = |n: u32| format!("{}  {n}  {:.6}  0.500000\n", n - 1, 1.0 / f64::from(n));
    let frame = format!(
        "   epoch  train_loss  val_loss\n{}{}..  ...  ...  ...\n{}{}\n[60 rows x 3 columns]\n",
        row(1),
        row(2),
        row(59),
        row(60)
    );
    assert_says(&(long.clone() + &frame), &read_file("file", &long).0, "repeat another curve");
}

#[test]
fn a_heading_or_a_score_tells_which_lines_are_of_validation() {
    let eval = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch {n} | Step 0/9 | Loss: {train} | PPL: 3.1\nINFO:__main__:Evaluation Results:\nINFO:__main__:   Loss: {val}\nEpoch {n} \
             completed in 3.5s | Avg Loss: {train}\n"
        )
    };
    assert_reads(&(eval(1, 0.9, 0.8) + &eval(2, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let next = |n: u32, train: f64, val: f64| {
        format!("epoch:{n} || iter:{n}0 || Loss:{train}\nstart eval....\ntest epoch:{n} || Loss:{val}\n")
    };
    assert_reads(&(next(0, 0.9, 0.8) + &next(1, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let scored = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch: [{n}/9] Iter:[0/4], Loss: {train}\nEpoch: [{n}/9] Iter:[3/4], Loss: {train}\nLoss: {val}, MeanIU: 0.4\n"
        )
    };
    assert_says(&(scored(1, 0.9, 0.8) + &scored(2, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -", "lines with scores");
    let sets = "Training Epoch: 1, Loss: 0.9\nValidating Epoch: 1, accuracy: 0.6\nTesting Epoch: 1, accuracy: 0.1\nTraining Epoch: 2, \
                Loss: 0.7\nValidating Epoch: 2, accuracy: 0.7\nTesting Epoch: 2, accuracy: 0.1\n";
    assert_reads(sets, "0.9 - - 0.6, 0.7 - - 0.7");
    let java =
        |n: u32, loss: f64| format!("10:11:01.123 [main] INFO org.dl.Listener - Score at iteration {n} is {loss}\n");
    assert_reads(&(java(0, 0.9) + &java(100, 0.7)), "0.9 - - -, 0.7 - - -");
    let named = |n: u32, loss: f64| format!("iteration:{n} step:72/1687, NER loss: {loss}\n");
    assert_says(&(named(1, 0.9) + &named(2, 0.7)), "0.9 - - -, 0.7 - - -", "NER loss was read as the training loss");
}

#[test]
fn lines_of_other_languages_and_bars_under_their_epoch_are_read() {
    let chinese =
        |n: u32, train: f64, val: f64| format!("Epoch {n} 完成 | 训练损失: {train} | 验证损失: {val} | 时间: 385.8s\n");
    assert_reads(&(chinese(1, 0.9, 0.8) + &chinese(2, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let bar = |n: u32, loss: f64| {
        format!(
            "[fold_0] 00{n}/200:   0%|      | 0/4 [00:00<?, ?it/s, loss=9.9]\n[fold_0] 00{n}/200: 100%|######| 4/4 [00:06<00:00, \
             6.26s/it, loss={loss}]\n"
        )
    };
    assert_reads(&(bar(1, 0.9) + &bar(2, 0.7)), "0.9 - - -, 0.7 - - -");
    let summary = |n: u32, train: f64, val: f64| {
        format!(
            "- Train Summary | Epoch {n} | Loss={train} | Reco=0.1\n- Valid Summary | Epoch {n} | Loss={val} | Reco=0.1\n"
        )
    };
    assert_reads(&(summary(1, 0.9, 0.8) + &summary(2, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    assert_says(
        "Epoch 1: loss=0.9\nEpoch 1: loss=0.8\nEpoch 2: loss=0.7\n",
        "0.8 - - -, 0.7 - - -",
        "several lines with different numbers",
    );
    assert!(refusal("TRAIN_BSZ=16\nD_KERNEL_MAP=512\nD_KERNEL_MAP=256\n").contains("no learning curve"));
}

#[test]
fn headings_and_counters_that_do_not_agree_are_told_apart() {
    let header = |n: u32, train: f64, val: f64| {
        format!(
            "##### EPOCH: {} #####\nEpoch [{n}/50], Loss: {train}\nEpoch [{n}/50], Average Loss: {train}\nValidation metrics: \
             {{'precision': 0.1, 'accuracy': {val}}}\n",
            n - 1
        )
    };
    assert_reads(&(header(1, 0.9, 0.8) + &header(2, 0.7, 0.75)), "0.9 - - 0.8, 0.7 - - 0.75");
    let sets = |n: u32, train: f64, val: f64| {
        format!(
            "train epoch: {n}\ncount: 0, loss:{train}\ncount: 50, loss:{train}\nval epoch: {n}\ncount: 0, loss:{val}\n"
        )
    };
    assert_reads(&(sets(0, 0.9, 0.8) + &sets(1, 0.7, 0.75)), "0.9 - 0.8 -, 0.7 - 0.75 -");
    let paddle = |n: u32, train: f64, val: f64| {
        format!(
            "epoch:[  {n}/25 ] train step:0    loss: 9.9 lr: 0.01\nepoch:[  {n}/25 ] train step:100  loss: 9.8\nEND epoch:{n}   train \
             loss_avg: {train}  top1_avg: 0.5\nepoch:[  {n}/25 ] val step:0    loss: 9.7\nEND epoch:{n}   val loss_avg: {val}  top1_avg: 0.6\n"
        )
    };
    let settings = "  valid :\n    batch : 8\n    mode : fast\n    name : x\n    workers : 2\n";
    let log = settings.to_owned() + &paddle(1, 0.9, 0.8) + &paddle(2, 0.7, 0.75);
    assert_reads(&log, "0.9 0.5 0.8 0.6, 0.7 0.5 0.75 0.6");
    let bar = |n: u32, train: f64| {
        format!("Epoch {n}: 100%|##| 9/9 [14:54<00:00,  1.95s/it, loss:49.5,epoch mean:{train}]\n")
    };
    assert_reads(&(bar(0, 0.9) + &bar(1, 0.7)), "0.9 - - -, 0.7 - - -");
}

#[test]
fn a_name_without_a_set_beside_the_training_sets_is_told() {
    let epoch = |n: u32| {
        format!("Epoch: {n}\niter:20 loss_train: 0.{n} acc_train: 0.5\nthis epoch:\nloss= 0.4 accuracy= 0.5\n")
    };
    let log: String = (1..4).map(epoch).collect();
    let (found, notes) = read_file("file", &log);
    assert!(found.starts_with("0.1 0.5 - -") && notes.ends_with("accuracy | loss"), "{found} {notes}");
}
