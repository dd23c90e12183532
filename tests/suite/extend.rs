//! `sweep extend`: a sweep grows, its trained trials stay, and a kill at any moment does no harm.

use std::time::Duration;

use rand::RngExt;
use sweep_core::random::{Purpose, stream};

use crate::faults::scripted;
use crate::world::World;

const FIRST: &str =
    "name: s\nseed: 3\nparameters: {batch_size: {values: [16, 32]}, learning_rate: {values: [1e-2, 1e-3]}}
data: {set: digits, validation: 0.2, train_examples: 100}\nmodel: linear\ntraining: {epochs: 2}\n";

/// A file that varies a previously fixed parameter, adds one value, and removes one.
const MORE: &str =
    "name: s\nseed: 3\nparameters: {epochs: {values: [2, 3]}, batch_size: {values: [16, 64]}, learning_rate: {values: \
     [1e-2, 1e-3]}}
data: {set: digits, validation: 0.2, train_examples: 100}\nmodel: linear\n";

const OPTIONS: &str = "--progress none --trainer trainer";

/// A completed sweep of [`FIRST`], and the file [`MORE`].
fn grown() -> World {
    let world = scripted("");
    world.write("s.yaml", FIRST);
    world.write("more.yaml", MORE);
    world.expect(&format!("run s.yaml {OPTIONS}"), 0);
    world
}

/// Parameters and status of all trials.
fn trials(world: &World, name: &str) -> Vec<[String; 5]> {
    let path = world.path(&format!("results/{name}/trials.csv"));
    let mut reader = csv::Reader::from_path(path).expect("it is there");
    let header = reader.headers().expect("it has one").clone();
    let at = |name: &str| header.iter().position(|one| one == name);
    let names = ["batch_size", "learning_rate", "epochs", "status", "repeat"];
    // A parameter with the name of a fixed column has a prefix.
    let places = names.map(|name| at(&format!("setting_{name}")).or_else(|| at(name)).expect("it is there"));
    reader.records().map(|row| row.expect("it is a row")).map(|row| places.map(|at| row[at].to_owned())).collect()
}

fn row(batch_size: u32, learning_rate: &str, epochs: u32) -> [String; 5] {
    [&batch_size.to_string(), learning_rate, &epochs.to_string(), "finished", "1"].map(str::to_owned)
}

/// The result of extending [`FIRST`] to [`MORE`]: the old trials, then the new ones in file order.
fn wanted() -> Vec<[String; 5]> {
    let mut all: Vec<_> =
        [16, 32].into_iter().flat_map(|size| ["0.01", "0.001"].map(|rate| row(size, rate, 2))).collect();
    all.extend(["0.01", "0.001"].map(|rate| row(64, rate, 2)));
    all.extend([16, 64].into_iter().flat_map(|size| ["0.01", "0.001"].map(|rate| row(size, rate, 3))));
    all
}

fn started(world: &World, name: &str) -> usize {
    world.read(&format!("results/{name}/journal.jsonl")).matches("\"is\":\"started\"").count()
}

#[test]
fn only_new_points_run_and_the_trials_so_far_are_said_in_the_new_words() {
    let world = grown();
    let told = world.expect("extend results/s more.yaml --yes", 0);
    for line in [
        "new parameter epochs: 2, 3 (so far 2)",
        "batch_size: also 64; no longer 32",
        "4 existing trials are kept, 6 new trials follow",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(world.read("results/s/sweep.yaml"), MORE);
    let status = world.expect("status results/s", 0);
    assert!(status.contains("interrupted; to continue: sweep resume") && status.contains("4 of 10 ended"), "{status}");
    world.expect(&format!("resume results/s {OPTIONS}"), 0);
    assert_eq!(trials(&world, "s"), wanted());
    assert_eq!(started(&world, "s"), 10, "nothing that was trained is trained again");
    let status = world.expect("status results/s", 0);
    assert!(status.contains("complete"));
    let begun = "The sweep was extended from 4 to 10 trials, ";
    let grown =
        "when 4 trials had been started: new parameter epochs: 2, 3 (so far 2); batch_size: also 64; no longer 32";
    for told in [&status, &world.read("results/s/report.md"), &world.read("results/s/report.html")] {
        assert!(told.contains(begun) && told.contains(grown), "{told}");
    }
    assert!(world.read("results/s/report.md").contains("| 2 | 32 |"), "the report knows what all trials had");
    let told = world.expect("extend results/s more.yaml --yes", 0);
    assert!(told.contains("is unchanged"), "{told}");
    // The reverse extension. Removed parameters stay in the records of the trials that had them.
    world.expect(&format!("extend results/s s.yaml --yes --run {OPTIONS}"), 0);
    assert_eq!(started(&world, "s"), 10);
}

#[test]
fn it_is_asked_about_and_without_a_terminal_nothing_changes() {
    let world = grown();
    let journal = world.read("results/s/journal.jsonl");
    let told = world.expect("extend results/s more.yaml", 2);
    assert!(
        told.contains("6 new trials follow") && told.contains("nothing was changed: confirmation requires a terminal"),
        "{told}"
    );
    assert!(told.contains("sweep extend results/s more.yaml --yes"), "{told}");
    let told = world.expect("extend results/s results/s/sweep.yaml --yes", 2);
    assert!(told.contains("is the current file of the sweep"), "{told}");
    assert_eq!((world.read("results/s/journal.jsonl"), world.read("results/s/sweep.yaml")), (journal, FIRST.into()));
}

#[test]
fn what_would_make_trials_incomparable_is_refused_with_the_remedy() {
    let world = grown();
    world.write("longer.yaml", &FIRST.replace("epochs: 2", "epochs: 5"));
    let told = world.expect("extend results/s longer.yaml --yes", 2);
    for line in ["epochs: 2 → 5", "`epochs: {values: [2, 5]}`", "sweep run longer.yaml --name s-2"] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert_eq!(world.read("results/s/sweep.yaml"), FIRST);
}

#[test]
fn killed_at_any_moment_it_is_as_before_or_as_extended() {
    let world = grown();
    let (journal, count) = (world.read("results/s/journal.jsonl"), 40);
    let mut random = stream(31, 0, 0, Purpose::Point);
    let (mut before, mut after) = (0, 0);
    let began = std::time::Instant::now();
    world.expect("extend results/s more.yaml --yes", 0);
    let longest = began.elapsed();
    for _ in 0..count {
        world.write("results/s/journal.jsonl", &journal);
        world.write("results/s/sweep.yaml", FIRST);
        let mut extending = world.sweep("extend results/s more.yaml --yes").spawn().expect("sweep can be started");
        // Most of the time is spent on the report. The writes that a kill can interrupt come earlier.
        std::thread::park_timeout(longest.mul_f64(random.random::<f64>().powi(3)));
        extending.kill().expect("it is our child");
        extending.wait().expect("it is our child");
        let status = world.expect("status results/s --json", 0);
        let status: serde_json::Value = serde_json::from_str(&status).expect("it is JSON");
        match status["total"].as_u64() {
            Some(4) => before += 1,
            Some(10) => after += 1,
            other => panic!("{other:?} trials"),
        }
        assert_eq!(status["counts"]["finished"], 4, "{status}");
    }
    println!("killed {count} times: {before} as before, {after} as extended");
    // A kill in the short interval between the journal entry and the new sweep file.
    world.write("results/s/journal.jsonl", &journal);
    world.write("results/s/sweep.yaml", FIRST);
    world.expect("extend results/s more.yaml --yes", 0);
    world.write("results/s/sweep.yaml", FIRST);
    world.expect("report results/s", 0);
    world.expect(&format!("resume results/s {OPTIONS}"), 0);
    assert_eq!((trials(&world, "s"), world.read("results/s/sweep.yaml")), (wanted(), MORE.to_owned()));
}

#[test]
fn a_sweep_that_runs_is_not_extended_and_one_that_was_interrupted_goes_on_with_the_new_file() {
    let world = scripted("* slow 40");
    world.write("s.yaml", FIRST);
    world.write("more.yaml", MORE);
    let mut run = world.sweep(&format!("run s.yaml {OPTIONS}")).spawn().expect("sweep can be started");
    crate::world::wait_until("two trials have begun", Duration::from_secs(30), || {
        std::fs::read_to_string(world.path("results/s/journal.jsonl")).is_ok_and(|text| text.contains("\"trial\":2"))
    });
    let told = world.expect("extend results/s more.yaml --yes", 5);
    assert!(told.contains("is being run by") || told.contains("has changed in the meantime"), "{told}");
    run.kill().expect("it is our child");
    run.wait().expect("it is our child");
    world.expect(&format!("extend results/s more.yaml --yes --run {OPTIONS}"), 0);
    let mut all = trials(&world, "s");
    let (mut unique, begun) = (all.clone(), all.len());
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), begun, "no point twice");
    // Configurations that only the first file has ran only if they had already started.
    all.retain(|row| row[0] != "32");
    let mut wanted = wanted();
    wanted.retain(|row| row[0] != "32");
    all.sort();
    wanted.sort();
    assert_eq!(all, wanted);
}

#[test]
fn a_program_gets_new_arguments_and_its_columns() {
    let world = World::new();
    let head = "name: p\ncommand: [sh, train.sh, \"${args}\"]\ndevices: {gpus: none}\n";
    world.write("train.sh", "echo \"{\\\"val_loss\\\": $#, \\\"words\\\": $#}\"\n");
    world.write("p.yaml", &format!("{head}parameters: {{x: {{values: [1, 2]}}}}\n"));
    world.write("q.yaml", &format!("{head}parameters: {{x: {{values: [1, 2]}}, y: {{values: [true]}}}}\n"));
    world.expect("run p.yaml --progress none", 0);
    world.expect("extend results/p q.yaml --yes --run --progress none", 0);
    let rows = world.table("results/p/trials.csv", &["seed", "seconds", "device"]);
    let of = |row: &Vec<String>| [row[1].clone(), row[2].clone(), row[row.len() - 2].clone()];
    let wanted = [["1", "", "1.0"], ["2", "", "1.0"], ["1", "true", "2.0"], ["2", "true", "2.0"]];
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), wanted.map(|row| row.map(str::to_owned)));
}

#[test]
fn another_metric_of_a_program_ranks_its_trials_and_nothing_runs_again() {
    let world = World::new();
    world.write("train.sh", "x=${1#--x=}\necho \"{\\\"acc\\\": $x, \\\"f1\\\": $((9 - x))}\"\n");
    let file = "name: s\ncommand: [sh, train.sh, \"${args}\"]\nmetric: {name: acc}\n\
                parameters: {x: {values: [1, 2, 3]}}\ndevices: {gpus: none}\n";
    world.write("s.yaml", file);
    world.write("f1.yaml", &file.replace("acc", "f1"));
    let best = |world: &World| world.expect("show results/s", 0).lines().next().map(str::to_owned).unwrap();
    assert!(world.expect("run s.yaml --progress none", 0).contains("sweep maximizes acc because of its name"));
    assert!(best(&world).starts_with("Trial 0003"));
    world.expect("report results/s --metric f1", 0);
    assert!(world.read("results/s/report.md").contains("Trial 0001 is ahead: f1 8"));
    assert!(world.expect("report results/s --metric f2", 2).contains("did you mean `f1`?"));
    world.expect("report results/s --goal minimize", 0);
    assert!(world.read("results/s/report.md").contains("Trial 0001 is ahead: acc 1"));
    let journal = |world: &World| world.read("results/s/journal.jsonl").matches("\"is\":\"started\"").count();
    let said = world.expect("extend results/s f1.yaml --yes", 0);
    assert!(said.contains("metric: the highest acc → the highest f1"), "{said}");
    assert!(best(&world).starts_with("Trial 0001"));
    world.expect("resume results/s --progress none", 0);
    assert_eq!(journal(&world), 3);
    assert_eq!(world.column("results/s/trials.csv", "best_acc"), ["1.0", "2.0", "3.0"]);
}
