//! Tests the rules on curves of models that were trained with other frameworks (`tests/fixtures/curves/corpus`). The
//! findings of each were written down before it was trained. Every second curve is held out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
struct Expected {
    curve: String,
    task: String,
    one_of: Vec<String>,
    none_of: Vec<String>,
    classes: Option<u32>,
    held_out: bool,
}

/// Returns the curves by name.
fn curves() -> BTreeMap<String, Vec<EpochMetrics>> {
    let mut reader = csv::Reader::from_path(file("corpus.csv")).expect("the fixture is there");
    let mut curves: BTreeMap<String, Vec<EpochMetrics>> = BTreeMap::new();
    for row in reader.records().map(|row| row.expect("it is a table")) {
        let number = |at: usize| row[at].parse::<f64>().ok();
        curves.entry(row[0].to_owned()).or_default().push(EpochMetrics {
            epoch: number(1).expect("an epoch has a number") as u32,
            train_loss: number(2),
            train_accuracy: number(3),
            val_loss: number(4),
            val_accuracy: number(5),
            learning_rate: number(6),
            ..EpochMetrics::default()
        });
    }
    curves
}

fn file(name: &str) -> String {
    format!("{}/../../tests/fixtures/curves/corpus/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn of_a_hundred_curves_of_other_frameworks_at_least_95_are_judged_as_expected() {
    let expected: Vec<Expected> =
        serde_json::from_str(&std::fs::read_to_string(file("corpus.json")).expect("the fixture is there"))
            .expect("it is a list");
    let curves = curves();
    let mut wrong: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let mut counts: BTreeMap<(&str, bool), (usize, usize)> = BTreeMap::new();
    for one in &expected {
        let task = one.task.parse().unwrap_or_default();
        let context = Context { task, classes: one.classes, ..Context::default() };
        let name =
            |finding: &Finding| serde_json::to_value(finding.name).expect("a name").as_str().expect("text").to_owned();
        let found: Vec<String> = judge(&curves[&one.curve], &context).iter().map(name).collect();
        let right =
            found.iter().any(|name| one.one_of.contains(name)) && !found.iter().any(|name| one.none_of.contains(name));
        let (judged, rightly) = counts.entry((&one.task, one.held_out)).or_default();
        (*judged, *rightly) = (*judged + 1, *rightly + usize::from(right));
        if !right {
            wrong[usize::from(one.held_out)].push(format!("{}: {found:?}, not {:?}", one.curve, one.one_of));
        }
    }
    // The table in docs/reference/findings.md.
    for ((task, held_out), (judged, rightly)) in counts {
        println!("{task}{}: {rightly} of {judged}", if held_out { ", held out" } else { "" });
    }
    let most = expected.len() / 40;
    assert!(wrong.iter().all(|wrong| wrong.len() <= most), "{wrong:#?}");
}
