//! `sweep check`: images, and networks that a trainer measures.

use serde_json::Value;

use crate::faults::scripted;

/// Two kinds of networks in four trials.
const FILE: &str = "
parameters: {units: {values: [32, 64]}, dropout: {values: [0.0, 0.5]}}
data: {set: digits}
model: [flatten, {dense: '${units}'}, relu, {dropout: '${dropout}'}, {dense: '${classes}'}]
";

#[test]
fn each_kind_of_network_is_tried_out_once_and_one_that_learns_nothing_by_heart_ends_with_4() {
    let world = scripted("3 flat");
    world.write("sweep.yaml", FILE);
    let text = world.expect("check sweep.yaml --trainer trainer", 4);
    assert_eq!(text.matches("Network of 2 trials").count(), 2, "{text}");
    assert!(text.contains("memorizes 256 images in 24 steps"), "{text}");
    assert!(text.contains("serious: the network cannot memorize a few images (capacity)"), "{text}");
    let json = world.output("check sweep.yaml --trainer trainer --json").stdout;
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["networks"][1]["findings"][0]["name"], "capacity", "{json}");
    assert_eq!(json["networks"][0]["findings"].as_array().map(Vec::len), Some(0), "{json}");
}

#[test]
fn a_network_that_cannot_be_trained_says_why_and_without_trainer_the_pictures_are_looked_at() {
    let world = scripted("1 failed");
    world.write("sweep.yaml", FILE);
    let text = world.expect("check sweep.yaml --trainer trainer", 0);
    assert!(text.contains("cannot be trained: no room"), "{text}");
    let text = world.expect("check sweep.yaml --data-only", 0);
    assert_eq!(text, "No problems found in the images.\n");
    let text = world.expect("check sweep.yaml --trainer nowhere", 6);
    assert!(text.contains("the trainer ") && text.contains(" does not exist"), "{text}");
}

#[test]
fn a_run_looks_at_each_kind_of_network_once_and_goes_on_whatever_it_sees() {
    let world = scripted("* dead");
    let file = FILE.replace("0.0, 0.5", "0.2, 0.5");
    world.write("sweep.yaml", &format!("name: looked\n{file}training: {{epochs: 2}}\n"));
    let warning = "units are dead before the first step.";
    let text = world.expect("run sweep.yaml --trainer trainer --progress plain", 0);
    assert_eq!(text.matches(warning).count(), 1, "{text}");
    let journal = world.read("results/looked/journal.jsonl");
    assert_eq!(journal.matches(warning).count(), 2, "of four trials each kind's first: {journal}");
    assert!(journal.lines().next().is_some_and(|first| first.contains("\"pictures\":[]")), "{journal}");
    for page in ["report.md", "report.html"] {
        let page = world.read(&format!("results/looked/{page}"));
        // Once in the summary at the top, and once in its section.
        assert!(page.contains("Checks before training") && page.matches(warning).count() == 2, "{page}");
    }
    let text = world.expect("run sweep.yaml --name not --no-check --trainer trainer --progress plain", 0);
    let journal = world.read("results/not/journal.jsonl");
    assert!(!text.contains(warning) && !journal.contains(warning) && !journal.contains("\"pictures\""), "{journal}");
}
