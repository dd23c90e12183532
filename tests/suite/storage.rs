//! Problems with a sweep's folder: full, read-only, deleted, moved, truncated, locked by another process, written by
//! another version. Nothing that was written is lost, and the message says what to do.

use std::process::{Child, Command};
use std::time::Duration;

use rand::RngExt;
use sweep_core::random::{Purpose, stream};

use crate::faults::{SWEEP, scripted};
use crate::world::{World, npy, wait_until};

const RUN: &str = "run s.yaml --trainer trainer --progress plain";
const RESUME: &str = "resume results/s --trainer trainer --progress plain";

fn start(world: &World, words: &str) -> Child {
    let controller = world.sweep(words).stderr(std::process::Stdio::piped()).spawn().expect("sweep can be started");
    wait_until("an epoch is reported", Duration::from_secs(60), || {
        let journal = std::fs::read_to_string(world.path("results/s/journal.jsonl"));
        journal.is_ok_and(|journal| journal.contains("\"is\":\"epoch\""))
    });
    controller
}

fn ending(controller: Child) -> (Option<i32>, String) {
    let output = controller.wait_with_output().expect("it is our child");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The epochs of an undisturbed sweep. It clears the script.
fn undisturbed(world: &World) -> Vec<Vec<String>> {
    world.write("script", "");
    world.write("s.yaml", SWEEP);
    world.expect("run s.yaml --name quiet --trainer trainer --progress none", 0);
    world.table("results/quiet/epochs.csv", &[])
}

/// Runs a shell script that can mount file systems for itself only. It needs root, or user namespaces.
fn mounting(world: &World, script: &str) -> Option<String> {
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-euc", script]).current_dir(world.path(""));
        command.env("SCRIPT", world.path("script")).env("SWEEP", env!("CARGO_BIN_EXE_sweep"));
        command.output()
    };
    if !shell("mount -t tmpfs none results").is_ok_and(|output| output.status.success()) {
        println!("skipped: nothing can be mounted here");
        return None;
    }
    let output = shell(script).expect("it could be started before");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Some(text)
}

#[test]
fn a_full_disk_stops_the_sweep_and_once_there_is_room_it_goes_on() {
    let world = scripted("* slow 20");
    std::fs::create_dir(world.path("results")).expect("the folder is writable");
    let script = format!(
        "mount -t tmpfs -o size=2m none results
         head -c 2000000 /dev/zero > results/ballast
         code=0; $SWEEP {RUN} || code=$?; echo first $code
         test -s results/s/journal.jsonl && ! test -e results/s/report.html
         rm results/ballast
         code=0; $SWEEP {RESUME} || code=$?; echo second $code
         cp -r results/s kept"
    );
    // Enough trials for a journal larger than the remaining space.
    world.write(
        "s.yaml",
        &SWEEP.replace("[1e-1, 1e-2, 1e-3]", "[1, 2, 3, 4, 5, 6, 7, 8]").replace("epochs: 3", "epochs: 60"),
    );
    let Some(text) = mounting(&world, &script) else { return };
    assert!(text.contains("first 5") && text.contains("No space left on device"), "{text}");
    assert!(text.contains("free some space there, and resume the sweep; nothing that was written is lost"), "{text}");
    assert!(text.contains("second 0"), "{text}");
    assert_eq!(world.table("kept/epochs.csv", &[]).len(), 8 * 60);
}

#[test]
fn a_disk_that_programs_fill_with_what_they_print_costs_no_epoch() {
    let world = World::new();
    std::fs::create_dir(world.path("results")).expect("the folder is writable");
    world.write("train.sh", "seq -f '{\"score\": %g}' 1 20000\n");
    world.write(
        "s.yaml",
        "name: s\ncommand: [sh, train.sh]\nmetric: {name: score, goal: maximize}\ndevices: {gpus: none}\n",
    );
    let script = "mount -t tmpfs -o size=24m none results
         head -c 25000000 /dev/zero > results/ballast || truncate -s -250000 results/ballast
         code=0; $SWEEP run s.yaml --progress none || code=$?; echo first $code
         rm results/ballast
         code=0; $SWEEP resume results/s --progress none || code=$?; echo second $code
         cp -r results/s kept";
    let Some(text) = mounting(&world, script) else { return };
    assert!(text.contains("first 5") && text.contains("second 0"), "{text}");
    assert_eq!(world.table("kept/epochs.csv", &[]).len(), 20_000);
}

#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_sweep_and_costs_no_trial() {
    let world = scripted("2.1 fill 2");
    std::fs::create_dir(world.path("results")).expect("the folder is writable");
    let script = format!(
        "mount -t tmpfs -o size=8m none results
         code=0; $SWEEP {RUN} || code=$?; echo first $code
         code=0; $SWEEP {RESUME} || code=$?; echo second $code
         cp -r results/s kept"
    );
    let Some(text) = mounting(&world, &script) else { return };
    assert!(text.contains("first 5") && text.contains("second 0"), "{text}");
    assert!(
        text.contains("error: trial 0002 (attempt 1) cannot be saved: ") && text.contains("No space left"),
        "{text}"
    );
    assert_eq!(world.table("kept/epochs.csv", &[]), undisturbed(&world));
}

#[test]
fn a_read_only_folder_is_named_with_a_remedy() {
    let world = scripted("");
    std::fs::create_dir(world.path("results")).expect("the folder is writable");
    let script = format!("mount -t tmpfs -o ro none results; code=0; $SWEEP {RUN} || code=$?; echo code $code");
    let Some(text) = mounting(&world, &script) else { return };
    assert!(text.contains("code 5") && text.contains("Read-only file system"), "{text}");
    assert!(text.contains("results/s") && text.contains("--results"), "{text}");
}

#[test]
fn a_folder_that_is_removed_or_moved_while_the_sweep_runs_stops_it() {
    let world = scripted("* slow 100");
    let controller = start(&world, RUN);
    std::fs::rename(world.path("results/s"), world.path("results/moved")).expect("it is there");
    let (code, text) = ending(controller);
    assert!(code == Some(5) && text.contains("journal.jsonl was removed or moved"), "{code:?} {text}");
    assert!(!world.path("results/s/journal.jsonl").exists());
    world.write("script", "");
    world.expect(&RESUME.replace("results/s", "results/moved"), 0);
    assert_eq!(world.table("results/moved/epochs.csv", &[]), undisturbed(&world));
}

#[test]
fn a_journal_cut_at_any_byte_leads_to_the_same_end() {
    let world = scripted("1.1 segfault 2");
    world.expect(RUN, 0);
    let whole = std::fs::read(world.path("results/s/journal.jsonl")).expect("it is there");
    let expected = undisturbed(&world);
    let first = whole.iter().position(|byte| *byte == b'\n').expect("it has lines") + 1;
    let mut random = stream(5, 0, 0, Purpose::Point);
    for _ in 0..25 {
        let cut = random.random_range(first..=whole.len());
        std::fs::write(world.path("results/s/journal.jsonl"), &whole[..cut]).expect("it is writable");
        world.expect(RESUME, 0);
        assert_eq!(world.table("results/s/epochs.csv", &[]), expected, "cut at {cut}");
    }
    std::fs::write(world.path("results/s/journal.jsonl"), &whole[..first - 1]).expect("it is writable");
    assert!(world.expect(RESUME, 5).contains("the sweep never began"));
}

#[test]
fn times_that_go_back_change_nothing_but_themselves() {
    let world = scripted("1.1 segfault 2");
    world.expect(RUN, 0);
    // As if the clock had been set back by an hour at every entry.
    let mut hour = 1e9;
    let back = |line: &str| {
        let mut entry: serde_json::Value = serde_json::from_str(line).expect("it is whole");
        if entry.get("at").is_some() {
            hour -= 3600.0;
            entry["at"] = hour.into();
        }
        entry.to_string() + "\n"
    };
    let journal: String = world.read("results/s/journal.jsonl").lines().map(back).collect();
    // The end of the journal is removed, so that some trials remain.
    let keep = journal.lines().count() - 3;
    let cut: String = journal.split_inclusive('\n').take(keep).collect();
    world.write("results/s/journal.jsonl", &cut);
    world.expect("status results/s", 0);
    world.expect(RESUME, 0);
    world.expect("report results/s", 0);
    let seconds = world.table("results/s/trials.csv", &[]).concat().join(",");
    assert!(!seconds.contains(",-"), "a negative duration: {seconds}");
    assert_eq!(world.table("results/s/epochs.csv", &[]), undisturbed(&world));
}

#[test]
fn a_second_controller_is_refused_and_a_report_may_be_made_meanwhile() {
    let world = scripted("* slow 300");
    let mut controller = start(&world, RUN);
    let text = world.expect(RESUME, 5);
    assert!(text.contains("is being run by another process (process "), "{text}");
    for text in [text, world.expect(RUN, 5)] {
        assert!(text.contains("is being run by another process") && text.contains("sweep status"), "{text}");
    }
    let mut reports = 0;
    while controller.try_wait().expect("it is our child").is_none() {
        world.expect("report results/s", 0);
        reports += 1;
    }
    let (code, text) = ending(controller);
    assert!(code == Some(0) && reports > 0, "{code:?} after {reports} reports: {text}");
    assert_eq!(world.table("results/s/epochs.csv", &[]), undisturbed(&world));
}

#[test]
fn a_sweep_that_another_version_ran_last_goes_on_and_says_so() {
    let world = scripted("");
    world.expect(RUN, 0);
    let journal = world.read("results/s/journal.jsonl");
    let ours = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let keep = journal.lines().count() - 3;
    let older: String = journal.split_inclusive('\n').take(keep).collect();
    world.write("results/s/journal.jsonl", &older.replace(&ours, "\"version\":\"0.0.9\""));
    let text = world.expect(RESUME, 0);
    assert!(text.contains("note: sweep 0.0.9 ran this sweep last, and this is"), "{text}");
    // The format number rejects data of a later version before anything is changed.
    let later = journal.replacen("\"format\":1", "\"format\":2", 1);
    world.write("results/s/journal.jsonl", &later);
    let text = world.expect(RESUME, 5);
    assert!(text.contains("it has format 2, and this version of sweep reads format 1"), "{text}");
    assert_eq!(world.read("results/s/journal.jsonl"), later);
}

#[test]
fn a_copied_sweep_goes_on_where_its_data_is_and_says_where_it_was_sought() {
    let world = scripted("3 crash 2");
    std::fs::create_dir_all(world.path("here/arrays")).expect("the folder is writable");
    let labels: Vec<u8> = (0..100).map(|picture| picture % 10).collect();
    let pictures: Vec<u8> = labels.iter().flat_map(|label| [label * 20; 64]).collect();
    npy(&world.path("here/arrays/x_train.npy"), "(100, 8, 8)", &pictures);
    npy(&world.path("here/arrays/y_train.npy"), "(100,)", &labels);
    let file = SWEEP.replace(
        "{set: digits, validation: 0.2, train_examples: 100}",
        "{set: arrays, path: arrays, order: nhwc, validation: 0.2}",
    );
    world.write("here/s.yaml", &file);
    world.expect("run here/s.yaml --trainer trainer --progress none", 1);

    world.write("script", "");
    let again = "--retry-failed --trainer trainer --progress none";
    std::fs::rename(world.path("here"), world.path("there")).expect("it is there");
    std::fs::rename(world.path("results"), world.path("copied")).expect("it is there");
    let text = world.expect(&format!("resume copied/s {again}"), 4);
    assert!(text.contains(&format!("{} cannot be read", world.path("here/arrays").display())), "{text}");
    assert!(text.contains("`path` under `data:`"), "{text}");
    let there = format!("path: {}", world.path("there/arrays").display());
    world.write("copied/s/sweep.yaml", &file.replace("path: arrays", &there));
    world.expect(&format!("resume copied/s {again}"), 0);
    assert_eq!(world.table("copied/s/epochs.csv", &[]).len(), 9);
}

/// A message's command can be copied into a shell, also if the folder's name has a space.
#[test]
fn a_command_in_a_message_quotes_paths() {
    let world = World::new();
    world.write("s.yaml", "name: s\nprogram: train.sh\nparameters: {a: {values: [1]}}\n");
    world.write("train.sh", "#!/bin/sh\nexit 0\n");
    let run = || world.sweep("run s.yaml --progress none --results").arg("my results").output().expect("it starts");
    run();
    let second = run();
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("sweep resume 'my results/s'"), "{said}");
}
