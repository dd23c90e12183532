//! Tests readers and rules together on the logs that frameworks wrote (`tests/fixtures/curves/corpus/logs`). The findings of
//! each were written down before it was trained. Every second log is held out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use sweep_verdict::{Context, Divergence, judge};

use super::*;

/// Number of logs of each half whose findings are not those expected (docs/reference/findings.md).
const MOST_WRONG: usize = 7;

#[derive(Debug, Deserialize)]
struct Expected {
    file: String,
    task: String,
    one_of: Vec<String>,
    none_of: Vec<String>,
    held_out: bool,
}

#[test]
fn logs_of_frameworks_are_read_as_one_curve_each_and_judged_as_expected() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/curves/corpus");
    let expected = std::fs::read_to_string(folder.join("logs.json")).expect("the fixture is there");
    let expected: Vec<Expected> = serde_json::from_str(&expected).expect("it is a list");
    let mut wrong: [Vec<String>; 2] = [Vec::new(), Vec::new()];
    let mut counts: BTreeMap<(&str, bool), (usize, usize)> = BTreeMap::new();
    for one in &expected {
        let bytes = std::fs::read(folder.join("logs").join(&one.file)).expect("the fixture is there");
        let source = Source { name: one.file.clone(), prefix: None, bytes };
        let reading = read(&[source], None, &[]).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(reading.curves.len(), 1, "{}", one.file);
        let curve = &reading.curves[0];
        let divergence = curve.divergence.as_ref();
        let divergence = divergence.map(|it| Divergence { epoch: it.epoch, step: None, what: it.what.clone() });
        let context = Context { task: one.task.parse().unwrap_or_default(), divergence, ..Context::default() };
        let name = |name| serde_json::to_value(name).ok().and_then(|name| name.as_str().map(str::to_owned));
        let found: Vec<String> =
            judge(&curve.epochs, &context).iter().filter_map(|finding| name(finding.name)).collect();
        let right =
            found.iter().any(|name| one.one_of.contains(name)) && !found.iter().any(|name| one.none_of.contains(name));
        let (judged, rightly) = counts.entry((&one.task, one.held_out)).or_default();
        (*judged, *rightly) = (*judged + 1, *rightly + usize::from(right));
        if !right {
            wrong[usize::from(one.held_out)].push(format!("{}: {found:?}, not {:?}", one.file, one.one_of));
        }
    }
    // The table in docs/reference/findings.md.
    for ((task, held_out), (judged, rightly)) in counts {
        println!("{task}{}: {rightly} of {judged}", if held_out { ", held out" } else { "" });
    }
    assert!(wrong.iter().all(|wrong| wrong.len() <= MOST_WRONG), "{wrong:#?}");
}
