//! Logs of loops that people wrote for one project. The numbers are made up.

use super::published::{assert_reads, assert_says, read_file, refusal};
use super::*;

fn epochs(of_epoch: impl Fn(u32, f64, f64) -> String) -> String {
    [(1, 0.9, 0.8), (2, 0.7, 0.75), (3, 0.6, 0.7)].map(|(n, train, val)| of_epoch(n, train, val)).concat()
}

const BOTH: &str = "0.9 - 0.8 -, 0.7 - 0.75 -, 0.6 - 0.7 -";

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
