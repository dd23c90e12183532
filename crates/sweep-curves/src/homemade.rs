//! Logs of loops that people wrote for one project. The numbers are made up.

use super::published::{assert_reads, assert_says, read_file, refusal};
use super::*;

fn epochs(of_epoch: impl Fn(u32, f64, f64) -> String) -> String {
    [(1, 0.9, 0.8), (2, 0.7, 0.75), (3, 0.6, 0.7)].map(|(n, train, val)| of_epoch(n, train, val)).concat()
}

const BOTH: &str = "0.9 - 0.8 -, 0.7 - 0.75 -, 0.6 - 0.7 -";

#[test]
fn a_sentence_that_validation_begins_or_has_ended_names_the_set() {
    let within = |n: u32, train: f64, val: f64| {
        let batch =
            |at: u32, loss: f64| format!("epoch: {n}/3, batch: {at}/999, percent complete: 1.50%, avg loss: {loss}\n");
        let zero = n - 1;
        batch(0, train + 0.15)
            + &batch(500, train - 0.15)
            + &format!(
                "Validating the model at the end of epoch {zero} on valid dataset......\nValidate completed, avg loss: {val}.\n\n"
            )
    };
    assert_says(&epochs(within), BOTH, "avg loss stands in 6 lines, and the curves have 3 values; each is their mean");
    let sentence = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch {n}/3\nloss: {train}\nEvaluating the network on the held-out set of epoch {n} now\nloss: {val}\n"
        )
    };
    assert_reads(&epochs(sentence), BOTH);
    let heading = |n: u32, train: f64, val: f64| {
        format!("Epoch {n}/3\nloss: {train}\nEvaluation results on the validation set:\nloss: {val}\n")
    };
    assert_reads(&epochs(heading), BOTH);
    let plan = |n: u32, train: f64, val: f64| {
        format!("Validate every 500 batches and each epoch.\nEpoch {n}: loss: {train}, val loss: {val}\n")
    };
    assert_reads(&epochs(plan), BOTH);
}

#[test]
fn a_result_of_the_model_is_no_remark_and_a_line_with_the_time_of_its_epoch_names_it() {
    let of_model = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch [{n}/3], Step [100/600], Loss: {train}\nTest Accuracy of the model on the 10000 test images: {} %\n",
            100.0 * val
        )
    };
    assert_reads(&epochs(of_model), "0.9 - - 0.8, 0.7 - - 0.75, 0.6 - - 0.7");
    let timed = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch: {n:02} | Epoch Time: 0m 5s\n\tTrain Loss: {train} | Train PPL: 2.5\n\t Val. Loss: {val} |  Val. PPL: 2.2\n"
        )
    };
    let (found, notes) = read_file("file", &epochs(timed));
    assert!(found == BOTH && !notes.contains("no epoch was found"), "{found} {notes}");
}

#[test]
fn loops_of_well_known_repositories_are_read() {
    let informer = |n: u32, train: f64, val: f64| {
        format!(
            "\titers: 100, epoch: {n} | loss: 0.5\n\tspeed: 0.1s/iter; left time: 12.5s\n\titers: 200, epoch: {n} | loss: 0.4\n\
             Epoch: {n} cost time: 5.3\nEpoch: {n}, Steps: 265 | Train Loss: {train} Vali Loss: {val} Test Loss: 0.95\n"
        )
    };
    assert_reads(&epochs(informer), BOTH);
    let theano = |n: u32, train: f64, val: f64| {
        let (error, test) = (100.0 * (1.0 - val), 100.0 * train);
        format!(
            "epoch {n}, minibatch 2500/2500, validation error {error:.6} %\n     epoch {n}, minibatch 2500/2500, test error of \
             best model {test:.6} %\n"
        )
    };
    assert_reads(&epochs(theano), "- - - 0.8, - - - 0.75, - - - 0.7");
    let sentence =
        |n: u32, train: f64, val: f64| format!("At epoch {n} train loss is {train} and held-out loss is {val}\n");
    let (found, notes) = read_file("file", &epochs(sentence).replace("held-out", "heldout"));
    assert!(found == BOTH && notes.is_empty(), "{found} {notes}");
    let answers = |n: u32, train: f64, val: f64| {
        format!("[{n}, 100] loss: {train}\nTest Loss: {val} | Acc: 40.000% (4000/10000)\n")
    };
    let (found, notes) = read_file("file", &epochs(answers));
    assert!(found.starts_with("0.9 - 0.8 0.4") && !notes.contains("of the batches"), "{found} {notes}");
    let behind =
        |n: u32, train: f64, val: f64| format!("train_acc=50% test_acc={}% epoch={n} loss={train}\n", 100.0 * val);
    assert_reads(&epochs(behind), "0.9 0.5 - 0.8, 0.7 0.5 - 0.75, 0.6 0.5 - 0.7");
    let solver = |n: u32, train: f64, _: f64| format!("Iteration {n}00, loss = {train}\nIteration {n}00, lr = 0.{n}\n");
    let source = Source { name: "file".into(), prefix: None, bytes: epochs(solver).into() };
    let curve = &read(&[source], None, &[]).expect("it is a log").curves[0];
    assert_eq!(
        curve.epochs.iter().map(|epoch| epoch.learning_rate).collect::<Vec<_>>(),
        [Some(0.1), Some(0.2), Some(0.3)]
    );
    let leaders = |n: u32, train: f64, val: f64| {
        format!("Epoch {n}:\n  train_loss ........ {train}\n  valid_loss ........ {val}\n")
    };
    assert_reads(&epochs(leaders), BOTH);
}

#[test]
fn names_with_dots_and_units_are_read() {
    let dots = |n: u32, train: f64, val: f64| {
        format!(
            "**Epoch: {n:03}/020 | Train. Acc.: {}% | Loss: 0.5\n**Epoch: {n:03}/020 | Test. Acc.: {}% | Loss: 0.4\n",
            100.0 * train,
            100.0 * val
        )
    };
    assert_reads(&epochs(dots), "0.5 0.9 0.4 0.8, 0.5 0.7 0.4 0.75, 0.5 0.6 0.4 0.7");
    let units = |n: u32, train: f64, val: f64| format!("Epoch {n} train acc (%): {} val acc. {val}\n", 100.0 * train);
    assert_reads(&epochs(units), "- 0.9 - 0.8, - 0.7 - 0.75, - 0.6 - 0.7");
    let lost = |n: u32, train: f64, val: f64| format!("Epoch {n}: train loss: {train}, val accuracy / {val}\n");
    assert_says(&epochs(lost), "0.9 - - -, 0.7 - - -, 0.6 - - -", "the numbers in these lines were not understood");
}

#[test]
fn an_epoch_out_of_several_and_two_places_behind_a_name_are_read() {
    let of = |n: u32, train: f64, val: f64| {
        let batches: String = (0..4).map(|_| format!("Train loss: {train}\n")).collect();
        format!("INFO: Epoch {n} out of 3\n{batches}dev accuracy: {val}, f05: 0.61\n")
    };
    assert_says(
        &epochs(of),
        "0.9 - - 0.8, 0.7 - - 0.75, 0.6 - - 0.7",
        "Train loss stands in 12 lines, and the curves have 3 values",
    );
    let at = |n: u32, train: f64, _: f64| {
        let at = |step: u32, loss: f64| {
            format!(
                "Loss at epoch {n} and iteration {step} is {loss}\nNCE Loss at epoch {n} and iteration {step} is 0.94\n"
            )
        };
        at(0, train + 0.1) + &at(500, train - 0.1)
    };
    let (found, notes) = read_file("file", &epochs(at));
    assert!(
        found == "0.9 - - -, 0.7 - - -, 0.6 - - -" && notes.contains("Loss has 6 values in 3 epochs"),
        "{found} {notes}"
    );
    assert!(notes.ends_with("NCE Loss"), "{notes}");
}

#[test]
fn measures_that_no_list_knows_are_said() {
    let test = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch: [{n}][ 0/44]\tLoss {train} ({train})\nEpoch: [{n}][43/44]\tLoss 9.5 ({train})\nTest: [0/2]\tADE 1.5 (1.5)\t\
             FDE 2.5 (2.5)\n * ADE  {val} FDE  2.{n}\n"
        )
    };
    let (found, notes) = read_file("file", &epochs(test));
    assert!(found == "0.9 - - -, 0.7 - - -, 0.6 - - -" && notes.contains("test ADE | test FDE"), "{found} {notes}");
    let ranks = |n: u32, train: f64, val: f64| format!("MRR : {val}\nP@1 : 0.4{n}\nLoss after {n} epochs: {train}\n");
    let source = Source { name: "file".into(), prefix: None, bytes: epochs(ranks).into() };
    let curve = &read(&[source], None, &[]).expect("it is a log").curves[0];
    assert!(curve.may_be_validation.is_some() && curve.unused == ["MRR", "P@1"], "{curve:?}");
}

#[test]
fn a_test_after_training_does_not_stand_for_a_course() {
    let epoch = |n: u32, loss: f64, f1: f64| format!("Epoch {n}: loss={loss}, val_f1={f1}, lr=1e-3\n");
    let log = "Test Results:\n  Accuracy: 0.52\n  F1 (weighted): 0.5\n".to_owned()
        + &epoch(0, 0.9, 0.1)
        + &epoch(20, 0.7, 0.3)
        + "  Test Results:\n    Accuracy: 0.35\n    F1 (weighted): 0.4\n";
    assert_says(&log, "0.9 - - 0.1, 0.7 - - 0.3", "a single value is not a curve: test Accuracy");
}

#[test]
fn the_losses_of_rivals_are_known_by_short_names_and_validation_beside_them_is_read() {
    let rows: String = (0..6).map(|n| format!("{},{n},0.6,1.4{n}\n", n / 2)).collect();
    assert!(refusal(&format!("epoch,batch,loss_gen,loss_dis\n{rows}")).contains("a generator and a discriminator"));
    let rows: String = (1..5).map(|n| format!("{n},8.3,0.1,7.{n},2{n}.5\n")).collect();
    assert_says(
        &format!("epoch,loss_G,loss_D,val_loss_G,val_psnr\n{rows}"),
        "- - 7.1 -, - - 7.2 -, - - 7.3 -, - - 7.4 -",
        "the validation set alone was read",
    );
}

#[test]
fn scores_of_validation_beside_rewards_and_one_trial_are_no_reason_to_refuse() {
    let rewarded = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch {n} - Loss: {train}, Reward: 0.12\nEpoch {n} - Validation ROUGE: {{'rouge1': {val}, 'rouge2': 0.02}}\n"
        )
    };
    assert_says(&epochs(rewarded), "0.9 - - 0.8, 0.7 - - 0.75, 0.6 - - 0.7", "rewards are recorded, too");
    let state = |n: u32| {
        format!(
            "| DQN_1 | RUNNING | 10.0.0.1:1 | {n} |\nResult for DQN_1:\n  episode_reward_mean: 0.{n}\n  loss: 0.{n}\n"
        )
    };
    let text: String = (1..5).map(state).collect();
    assert!(refusal(&text).contains("rewards"), "{}", refusal(&text));
    let two = (1..5).map(state).collect::<String>() + "| DQN_2 | RUNNING | 10.0.0.1:1 | 1 |\n";
    assert!(refusal(&two.replace("episode_reward_mean", "x").replace("loss", "y")).contains("results of trials"));
}

#[test]
fn cells_with_lists_are_no_names() {
    let rows: String = (0..5).map(|n| format!("{n},0.6{n},0.5{n},\"[0.6{n}, 0.7]\",3.{n}\n")).collect();
    let table = format!(",ff_train_losses,ff_test_losses,fb_train_losses,fb_test_losses\n{rows}");
    let (found, notes) = read_file("file", &table);
    assert!(found.starts_with("0.6 - 0.5 -, 0.61 - 0.51 -") && notes.contains("lists of numbers"), "{found} {notes}");
}

#[test]
fn a_chosen_column_is_not_guessed_again() {
    let rows: String = (1..5).map(|n| format!("{n},0.{n},0.{n},1.{n}\n")).collect();
    let source = Source { name: "file".into(), prefix: None, bytes: format!("epoch,a,b,total\n{rows}").into() };
    let choices = ["train_loss=a", "val_loss=b"].map(|text| text.parse().expect("it is a choice"));
    let reading = read(&[source], None, &choices).expect("it is a table");
    let notes: Vec<&String> = reading.notes.iter().chain(&reading.curves[0].notes).collect();
    assert!(!notes.iter().any(|note| note.contains("was read as")), "{notes:?}");
}

#[test]
fn the_result_of_an_evaluation_beats_the_mean_of_its_first_batch() {
    let epoch = |n: u32, train: f64, val: f64| {
        format!(
            "Epoch: [{n}]  [  0/99]  lr: 0.1  loss: {train} ({train})  acc1: 30.0 (30.0)  acc5: 0.7 (0.7)\nTest:   [ 0/25]  eta: 0:03:21  \
             loss: 0.5 (0.5)  acc1: 88.67 (88.67)  acc5: 97.0 (97.0)\nTest:  Acc@1 {} Acc@5 91.2\n",
            100.0 * val
        )
    };
    let log = epochs(epoch) + "Namespace(lr=0.012, epochs=100, momentum=0.9)\n";
    let (found, notes) = read_file("file", &log);
    assert!(found.ends_with("0.6 0.3 0.5 0.7"), "{found} {notes}");
    assert!(notes.contains("test loss was printed after at most 4% of the batches"), "{notes}");
    let source = Source { name: "file".into(), prefix: None, bytes: log.into() };
    let curve = &read(&[source], None, &[]).expect("it is a log").curves[0];
    assert_eq!(curve.epochs[2].learning_rate, Some(0.1));
}

#[test]
fn runs_are_numbered_from_the_first_and_near_ones_are_no_copies() {
    let run = |more: f64| -> String {
        (0..4).map(|n| format!("Epoch: {n} loss: {:.3}\n", 223.815 + more + f64::from(n))).collect()
    };
    let settings = "epoch = 20\nlearning_rate = 0.01\nbatch = 256\n";
    let source =
        Source { name: "file".into(), prefix: None, bytes: (settings.to_owned() + &run(0.0) + &run(0.0062)).into() };
    let curves = read(&[source], None, &[]).expect("it is a log").curves;
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    assert_eq!(names, ["fit 1", "fit 2"]);
    let rounded: String = (0..4).map(|n| format!("Epoch: {n} loss: {:.1}\n", 223.815 + f64::from(n))).collect();
    let (found, notes) = read_file("file", &(run(0.0) + &rounded));
    assert!(!found.contains(';') && notes.contains("they repeat another curve"), "{found} {notes}");
}

#[test]
fn several_values_an_epoch_are_said_with_their_number() {
    let rows: String = (0..24).map(|n| format!("{},{},0.{n}5\n", 1 + n / 4, 25 * (n % 4))).collect();
    let (_, notes) = read_file("file", &format!("Epoch,Percentage,Loss\n{rows}"));
    assert!(notes.contains("Loss has 24 values in 6 epochs; each epoch shows their mean"), "{notes}");
    let step = |n: u32| {
        let score = if n.is_multiple_of(5) { "Accuracy on Test-Set: 71.38% (7138 / 10000)\n" } else { "" };
        format!("Global Step: {n}0, accuracy: 0.5, loss = 2.3{n}\nDiscriminator Accuracy: 0.5{n}\n{score}")
    };
    let (_, notes) = read_file("file", &(1..16).map(step).collect::<String>());
    assert!(notes.contains("loss has 15 values in 3 epochs") && notes.ends_with("Discriminator Accuracy"), "{notes}");
    let batches = |n: u32| {
        let batch = |at: u32| {
            let val = if at % 8 == 1 { format!("Val loss: 0.{n}{at}\n") } else { String::new() };
            format!("epoch: {n}. Minibatch: {at}00. Training loss: 1.{n}{at}.\n{val}")
        };
        (0..4).map(batch).collect::<String>() + &batch(5) + &batch(9)
    };
    let (found, notes) = read_file("file", &(1..4).map(batches).collect::<String>());
    assert!(notes.contains("validation was measured 6 times"), "{found} {notes}");
}
