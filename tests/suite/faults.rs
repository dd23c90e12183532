//! Trainer faults, one after the other, produced by the scripted trainer. Each costs at most one attempt and never the
//! sweep. Each is reported where the user looks.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::world::{World, processes_naming, send, wait_until};

pub const SWEEP: &str = "
parameters: {learning_rate: {values: [1e-1, 1e-2, 1e-3]}}
data: {set: digits, validation: 0.2, train_examples: 100}
model: linear
training: {epochs: 3}
";

/// A folder with the scripted trainer, a script, and a sweep file with three trials of three epochs.
pub fn scripted(script: &str) -> World {
    let world = World::new();
    let trainer = PathBuf::from(env!("CARGO_BIN_EXE_sweep")).with_file_name("examples/scripted-trainer");
    assert!(trainer.exists(), "first: cargo build --profile test -p sweep --example scripted-trainer");
    symlink(trainer, world.path("trainer")).expect("the folder is writable");
    world.write("script", script);
    world.write("s.yaml", SWEEP);
    world
}

/// Runs or resumes the sweep. Returns its output, stderr last.
fn run(world: &World, words: &str, exit: i32) -> String {
    let text = world.expect(&format!("{words} --trainer trainer --progress plain"), exit);
    // The trainers are killed when the controller exits, and may take a moment to end.
    wait_until("no trainer is left behind", Duration::from_secs(2), || {
        processes_naming(&world.path("trainer")).is_empty()
    });
    text
}

/// Status, attempts, epochs and error of each trial.
pub fn trials(world: &World) -> Vec<[String; 4]> {
    let path = world.path("results/s/trials.csv");
    let mut reader = csv::Reader::from_path(path).expect("it is there");
    let headers = reader.headers().expect("it has a header").clone();
    let place = |name| headers.iter().position(|header| header == name).unwrap_or_else(|| panic!("no column {name}"));
    let places = ["status", "attempts", "epochs", "error"].map(place);
    reader.records().map(|row| row.expect("a table")).map(|row| places.map(|at| row[at].to_owned())).collect()
}

/// Applies `script` to trial 1 and requires that it finishes in its second attempt, and the others in their first. The
/// terminal and the journal must contain `told`. Returns the output.
fn is_tried_again(script: &str, options: &str, told: &str) -> String {
    let world = scripted(script);
    let text = run(&world, &format!("run s.yaml {options}"), 0);
    let finished = |attempts: &str| ["finished", attempts, "3", ""].map(str::to_owned);
    assert_eq!(trials(&world), [finished("2"), finished("1"), finished("1")], "{text}");
    assert!(text.contains(told), "no `{told}` in:\n{text}");
    let journal = world.read("results/s/journal.jsonl");
    assert!(journal.contains("\"is\":\"lost\"") && journal.contains(told), "{journal}");
    text
}

/// Requires that `script` changes nothing. Every trial must finish in its first attempt, with the numbers of an
/// undisturbed one.
fn is_survived(script: &str) -> World {
    let world = scripted(script);
    let text = run(&world, "run s.yaml", 0);
    assert!(trials(&world).iter().all(|row| row == &["finished", "1", "3", ""]), "{text}");
    world.write("script", "");
    world.expect("run s.yaml --name quiet --trainer trainer --progress none", 0);
    assert_eq!(world.table("results/s/epochs.csv", &[]), world.table("results/quiet/epochs.csv", &[]));
    world
}

#[test]
fn a_trainer_that_panics_costs_an_attempt_and_its_last_words_are_told() {
    is_tried_again("1.1 crash 2", "", "the trainer ended with exit code 101");
    let world = scripted("1.1 crash 2");
    let text = run(&world, "run s.yaml", 0);
    assert!(text.contains("the index is 7") || text.contains("RUST_BACKTRACE"), "{text}");
    assert!(world.read("results/s/trials/0001/trainer.log").contains("the len is 3 but the index is 7"));
}

#[test]
fn a_trainer_that_crashes_in_native_code_or_is_killed_costs_an_attempt() {
    is_tried_again("1.1 segfault 2", "", "crashed with signal 11 (SIGSEGV)");
    is_tried_again("1.1 killed 2", "", "was killed by signal 9 (SIGKILL)");
}

#[test]
fn a_trainer_that_says_nothing_is_ended_and_its_trial_tried_again() {
    for fault in ["hang", "spin", "deaf"] {
        is_tried_again(&format!("1.1 {fault} 2"), "--silence 1", "the trainer produced no output for");
    }
}

#[test]
fn trainers_that_listen_to_nothing_die_with_their_controller_and_by_a_second_interrupt() {
    for fault in ["spin", "deaf"] {
        let world = scripted(&format!("1.1 {fault} 2\n* slow 40"));
        let trainers = || processes_naming(&world.path("trainer")).len();
        let start = |words: &str| {
            let command = format!("{words} --progress none --trainer {}", world.path("trainer").display());
            let controller = world.sweep(&command).spawn().expect("sweep can be started");
            wait_until("two trials are finished while the first does nothing", Duration::from_secs(60), || {
                let journal = std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
                journal.matches("\"outcome\":\"finished\"").count() == 2
            });
            controller
        };
        let mut controller = start("run s.yaml");
        assert!(trainers() > 0);
        controller.kill().expect("it is our child");
        controller.wait().expect("it is our child");
        wait_until("the trainers are gone", Duration::from_secs(2), || trainers() == 0);

        world.write("script", &format!("1.2 {fault} 2"));
        let mut controller = start("resume results/s");
        send(&controller, Signal::INT);
        send(&controller, Signal::INT);
        wait_until("the controller has ended its trainers", Duration::from_secs(20), || {
            send_again(&controller);
            controller.try_wait().expect("it is our child").is_some()
        });
        assert_eq!(trainers(), 0);
        world.write("script", "");
        run(&world, "resume results/s", 0);
        assert!(trials(&world).iter().all(|row| row[0] == "finished"));
    }
}

/// Sent again because signals that arrive together may be merged into one.
fn send_again(controller: &std::process::Child) {
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(controller), Signal::INT);
}

#[test]
fn a_slow_trainer_that_gives_signs_of_life_is_left_alone() {
    let world = scripted("1 slow 700");
    let text = run(&world, "run s.yaml --silence 1", 0);
    assert!(trials(&world).iter().all(|row| row[1] == "1"), "{text}");
}

#[test]
fn foreign_text_is_no_message_and_is_kept_in_the_log() {
    let world = is_survived("* garbage 1\n1 binary 2\n2 long-line 3");
    let log = std::fs::read(world.path("results/s/trials/0002/trainer.log")).expect("it is there");
    assert!(String::from_utf8_lossy(&log).contains("Epoch 1/9 [=====>....]"));
    let large = log.iter().filter(|byte| **byte == b'x').count();
    assert_eq!(large, sweep_core::protocol::LONGEST_LINE, "of a line of 10 MB the beginning is kept");
}

#[test]
fn a_line_that_comes_in_parts_is_one_message() {
    is_survived("* halves 1\n* halves 2");
}

#[test]
fn half_a_message_from_a_dying_trainer_is_none() {
    is_tried_again("1.1 torn 2", "", "the trainer ended with exit code 1");
}

#[test]
fn a_number_that_is_none_is_no_message_and_the_gap_it_leaves_is_noticed() {
    // In the first epoch the correct message follows. Without it, the next epoch would be out of order.
    let world = is_survived("1 nan 1");
    assert!(world.read("results/s/trials/0001/trainer.log").contains("\"val_loss\":NaN"));
}

#[test]
fn a_trainer_that_ends_too_early_with_exit_code_0_has_lost_its_trial() {
    is_tried_again("1.1 quit 3", "", "the trainer ended with exit code 0");
}

#[test]
fn the_words_of_an_old_attempt_are_ignored() {
    is_survived("* old-attempt 2");
}

#[test]
fn an_epoch_that_is_told_twice_is_nonsense_and_the_trial_is_tried_again() {
    let text = is_tried_again("1.1 twice 2", "", "the trainer sent an invalid message");
    assert!(text.contains("reports epoch 2 where epoch 3 is due"), "{text}");
}

#[test]
fn what_a_trainer_leaves_behind_ends_with_it() {
    let world = is_survived("1 child 1");
    // The process is in the trainer's group, with the folder as its working directory.
    let folder = world.path("");
    let here = |pid: u32| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| folder.starts_with(cwd));
    assert!(!processes_naming(&PathBuf::from("sleep\u{0}1000")).into_iter().any(here));
}

#[test]
fn a_process_that_left_the_trainers_group_does_not_hold_up_the_sweep() {
    let world = scripted("1 orphan 1");
    let began = Instant::now();
    run(&world, "run s.yaml", 0);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}: it waited for the pipes to close", began.elapsed());
}

#[test]
fn a_sweep_that_goes_on_with_another_library_says_so_once() {
    let world = scripted("2 segfault 2");
    world.write("backend", "libtorch 2.13.0");
    let text = run(&world, "run s.yaml", 1);
    assert!(!text.contains("libtorch"), "{text}");
    world.write("script", "");
    world.write("backend", "libtorch 2.15.0");
    let text = run(&world, "resume results/s --retry-failed", 0);
    let told = "trainers now use libtorch 2.15.0 instead of libtorch 2.13.0";
    assert_eq!(text.matches(told).count(), 1, "{text}");
    let journal = world.read("results/s/journal.jsonl");
    let backends: Vec<&str> = journal.lines().filter(|line| line.contains("\"is\":\"backend\"")).collect();
    assert!(
        matches!(backends[..], [first, second] if first.contains("2.13.0") && second.contains("2.15.0")),
        "{journal}"
    );
}

#[test]
fn a_trial_that_is_lost_every_time_fails_with_its_reason_and_the_others_finish() {
    let world = scripted("2 segfault 2");
    let text = run(&world, "run s.yaml", 1);
    let rows = trials(&world);
    assert_eq!(rows[1][..3], ["failed", "3", "1"], "{text}");
    assert_eq!(rows[1][3], "the trainer crashed with signal 11 (SIGSEGV); given up after 3 failures");
    assert!(rows[0][0] == "finished" && rows[2][0] == "finished");
    assert!(text.contains("trial 0002: failed"), "{text}");
    assert!(world.expect("status results/s", 0).contains("SIGSEGV"));
    // The cause of the failure is fixed.
    world.write("script", "");
    run(&world, "resume results/s --retry-failed", 0);
    assert_eq!(trials(&world)[1][..3], ["finished", "4", "3"]);
}

#[test]
fn a_trial_that_diverges_is_not_tried_again() {
    let world = scripted("2 diverge 2");
    run(&world, "run s.yaml", 1);
    assert_eq!(trials(&world)[1], ["diverged", "1", "1", "training loss is NaN in epoch 2, step 1"]);
}

#[test]
fn a_trial_that_lacks_memory_is_tried_again_alone_and_fails_only_then() {
    let world = scripted("2 out-of-memory 1\n3.1 out-of-memory 1");
    let text = run(&world, "run s.yaml", 1);
    let rows = trials(&world);
    assert_eq!(rows[1][..3], ["out_of_memory", "2", "0"], "{text}");
    let error = &rows[1][3];
    assert!(
        error.starts_with("CUDA out of memory. Tried to allocate 20.00 GiB; it does not fit alone on cpu:"),
        "{rows:?}"
    );
    assert!(error.contains(" either, with ") && error.contains(" GiB"), "{rows:?}");
    assert_eq!(rows[2][..1], ["finished"], "room was found in the second attempt");
    assert!(world.expect("status results/s", 0).contains("1 out of memory"));
}

#[test]
fn a_trainer_that_cannot_use_its_device_says_why_and_nothing_is_lost() {
    let world = scripted("start unusable");
    let text = run(&world, "run s.yaml", 6);
    assert!(text.contains("the device is on fire") && text.contains("sweep resume"), "{text}");
    world.write("script", "");
    run(&world, "resume results/s", 0);
    assert!(trials(&world).iter().all(|row| row[..2] == ["finished", "1"]));
}

#[test]
fn trainers_that_never_start_end_the_sweep_with_their_last_words() {
    let text = run(&scripted("start exit"), "run s.yaml", 6);
    assert!(text.contains("libtorch cannot be loaded") && text.contains("cannot open shared object file"), "{text}");
    let text = run(&scripted("start old-protocol"), "run s.yaml", 6);
    assert!(text.contains("its trainer uses protocol 0") && text.contains("from the same build"), "{text}");
    run(&scripted("start mute"), "run s.yaml --silence 1", 6);
}

#[test]
fn a_sweep_where_everything_fails_stops_early_and_says_why() {
    let world = scripted("* crash 1");
    world.write(
        "s.yaml",
        &SWEEP.replace("values: [1e-1, 1e-2, 1e-3]", "min: 0.1, max: 1.0").replacen(
            '\n',
            "\nmethod: random\nrun_cap: 1000\nretries: 0\n",
            1,
        ),
    );
    let text = run(&world, "run s.yaml", 1);
    assert!(
        text.contains("stopped because every trial failed; last error: the trainer ended with exit code"),
        "{text}"
    );
    let tried = trials(&world).len();
    assert!((8..16).contains(&tried), "{tried} trials were tried");
    // The cause is fixed. The stop lost no results.
    world.write("script", "");
    world.write("s.yaml", "");
    let mut controller = world.sweep("resume results/s --retry-failed --trainer trainer --progress none").spawn();
    let controller = controller.as_mut().expect("sweep can be started");
    wait_until("trials are finished", Duration::from_secs(60), || {
        world.read("results/s/journal.jsonl").contains("\"trial\":40,")
    });
    send(controller, Signal::INT);
    controller.wait().expect("it is our child");
    assert!(trials(&world)[..tried].iter().all(|row| row[0] == "finished"));
}
