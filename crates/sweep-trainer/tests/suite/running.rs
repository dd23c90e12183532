//! `run` and `resume` on the built-in digits, and the files that they write.

use std::time::Duration;

use rustix::process::Signal;

use crate::world::{World, send, wait_until};

fn sweep(epochs: u32) -> String {
    format!(
        "
parameters:
  dropout: {{values: [0.0, 0.3]}}
data: {{set: digits, validation: 0.2, train_examples: 400}}
model:
  - conv: {{filters: 16, kernel: 3}}
  - relu
  - dropout: ${{dropout}}
  - flatten
  - dense: ${{classes}}
training: {{epochs: {epochs}, batch_size: 16}}
"
    )
}

#[test]
fn a_sweep_leaves_tables_charts_and_a_report() {
    let world = World::new();
    world.write("small.yaml", &sweep(2));
    let text = world.expect("run small.yaml --progress plain", 0);
    assert!(text.contains("trial 0002: finished after 2 epochs; best val_loss"), "{text}");
    assert!(text.contains("Report: results/small/report.html"), "{text}");
    assert_eq!(world.table("results/small/trials.csv", &[]).len(), 2);
    assert_eq!(world.table("results/small/epochs.csv", &[]).len(), 4);
    for file in ["sweep.yaml", "report.html", "report.md", "trials/0001/curves.svg", "trials/0002/curves.svg"] {
        assert!(world.path("results/small").join(file).exists(), "{file} is missing");
    }

    // All files except the journal and the sweep file are views.
    let before = (world.read("results/small/trials.csv"), world.read("results/small/report.html"));
    for file in ["trials.csv", "epochs.csv", "report.html", "report.md", "trials/0001/curves.svg"] {
        std::fs::remove_file(world.path("results/small").join(file)).expect("it is there");
    }
    world.expect("report results/small", 0);
    assert_eq!((world.read("results/small/trials.csv"), world.read("results/small/report.html")), before);
    assert!(world.path("results/small/trials/0001/curves.svg").exists());
}

#[test]
fn a_sweep_that_has_begun_is_not_touched() {
    let world = World::new();
    world.write("small.yaml", &sweep(1));
    world.expect("run small.yaml --progress none", 0);
    let journal = world.read("results/small/journal.jsonl");
    let text = world.expect("run small.yaml", 2);
    assert!(
        text.contains("results/small is complete")
            && text.contains("results/small/report.html")
            && text.contains("--name small-2"),
        "{text}"
    );
    assert_eq!(world.read("results/small/journal.jsonl"), journal);
    world.expect("run small.yaml --name small-2 --progress none", 0);
    assert_eq!(
        world.table("results/small/epochs.csv", &["seconds", "pictures_per_second"]),
        world.table("results/small-2/epochs.csv", &["seconds", "pictures_per_second"]),
        "the same file gives the same numbers"
    );
}

#[test]
fn an_interrupted_sweep_saves_says_so_and_goes_on() {
    for signal in [Signal::INT, Signal::TERM] {
        let world = World::new();
        world.write("long.yaml", &sweep(40));
        let mut controller = world.sweep("run long.yaml --progress none").spawn().expect("sweep can be started");
        let journal = || std::fs::read_to_string(world.path("results/long/journal.jsonl")).unwrap_or_default();
        wait_until("epochs are reported", Duration::from_secs(60), || journal().contains("\"epoch\":3,"));
        let status = world.expect("status results/long", 0);
        assert!(status.contains("running"), "{status}");
        send(&controller, signal);
        let exit = controller.wait().expect("it is our child");
        assert_eq!(exit.code(), Some(130));
        assert!(journal().contains("\"is\":\"paused\""), "the running trials were saved");
        world.expect("resume results/long --progress none", 0);
        world.write("whole.yaml", &sweep(40));
        world.expect("run whole.yaml --progress none", 0);
        let times = &["seconds", "pictures_per_second"];
        assert_eq!(
            world.table("results/long/epochs.csv", times),
            world.table("results/whole/epochs.csv", times),
            "a trial that was saved in the middle of an epoch equals one that was not"
        );
    }
}

#[test]
fn a_sweep_without_a_trainer_says_what_to_build() {
    let world = World::new();
    world.write("small.yaml", &sweep(1));
    let text = world.expect("run small.yaml --trainer nowhere", 6);
    assert!(text.contains("nowhere") && text.contains("make demo"), "{text}");
    assert!(!world.path("results").exists(), "nothing was begun");
}

#[test]
fn a_trial_that_diverges_says_where_and_the_sweep_goes_on() {
    let world = World::new();
    world.write(
        "hot.yaml",
        &sweep(2)
            .replace("dropout: {values: [0.0, 0.3]}", "learning_rate: {values: [1e30, 1e-3]}")
            .replace("  - dropout: ${dropout}\n", ""),
    );
    let text = world.expect("run hot.yaml --progress plain", 1);
    assert!(text.contains("trial 0001: diverged") && text.contains("trial 0002: finished"), "{text}");
    let again = world.expect("resume results/hot --retry-failed --progress plain", 1);
    assert!(again.contains("trial 0001: will be retried"), "{again}");
    assert!(!again.contains("trial 0002 of 2"), "finished trials stay: {again}");
}

#[test]
fn augmented_images_can_be_looked_at() {
    let world = World::new();
    world.write("plain.yaml", &sweep(2));
    let text = world.expect("show plain.yaml --augment sheet.png", 2);
    assert!(text.contains("augment: {flip: true, crop: 4}"), "{text}");
    world.write("changed.yaml", &sweep(2).replace("train_examples: 400", "augment: {crop: 2}"));
    let text = world.expect("show changed.yaml 2 --augment sheet.png", 0);
    assert!(text.contains("trial 2"), "{text}");
    let sheet = image::open(world.path("sheet.png")).unwrap().to_rgb8();
    assert!(sheet.pixels().any(|pixel| *pixel != sheet[(0, 0)]));
}
