//! Logs of loops that people wrote for one project. The numbers are made up.

use super::published::{assert_reads, assert_says, read_file, refusal};
use super::*;

fn epochs(of_epoch: impl Fn(u32, f64, f64) -> String) -> String {
    [(1, 0.9, 0.8), (2, 0.7, 0.75), (3, 0.6, 0.7)].map(|(n, train, val)| of_epoch(n, train, val)).concat()
}

const BOTH: &str = "0.9 - 0.8 -, 0.7 - 0.75 -, 0.6 - 0.7 -";

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
