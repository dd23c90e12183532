//! The processes of programs: nothing of them outlives its controller, and no two copies run side by side.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::scripted;
use crate::world::{World, processes_naming, processes_of, send, wait_until};

const HEAD: &str = "metric: {name: score, goal: maximize}\ndevices: {gpus: none, cpu_threads: 1000}\n";

fn world(script: &str, rest: &str) -> World {
    let world = World::new();
    world.write("train.sh", script);
    world.write("s.yaml", &format!("name: s\ncommand: [sh, train.sh]\n{HEAD}{rest}"));
    world
}

fn journal(world: &World) -> String {
    std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default()
}

/// Starts the sweep and waits until its program has reported.
fn begun(world: &World) -> Child {
    // The tests themselves may run under nohup.
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_sweep"), "run", "s.yaml", "--progress", "none"]);
    let run =
        command.current_dir(world.path("")).stdin(Stdio::null()).env_remove("CUDA_VISIBLE_DEVICES").spawn().unwrap();
    wait_until("it has begun", Duration::from_secs(20), || journal(world).contains("\"is\":\"row\""));
    run
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).unwrap();
}

/// The ids of the supervisor and the program in the journal.
fn recorded(world: &World) -> (u32, u32) {
    let text = journal(world);
    let line = text.lines().rev().find(|line| line.contains("\"is\":\"process\"")).expect("it is recorded");
    let entry: serde_json::Value = serde_json::from_str(line).unwrap();
    let pid = |of: &str| entry["group"][of]["pid"].as_u64().unwrap() as u32;
    (pid("supervisor"), pid("program"))
}

/// What each of these does before it reports: a grandchild, a child in a session of its own, and an orphan.
const FAMILIES: [(&str, &str); 5] = [
    ("a wrapper", "sh -c 'echo \"{\\\"score\\\": 1}\"; sleep 1000; true'; exit 3\n"),
    ("workers", "for i in 1 2 3; do sleep 1000 & done; echo '{\"score\": 1}'; sleep 1000\n"),
    ("a session", "setsid sh -c 'sleep 1000; true' & sleep 0.1; echo '{\"score\": 1}'; sleep 1000\n"),
    ("an orphan", "sh -c 'setsid sh -c \"sleep 1000; true\" &'; sleep 0.1; echo '{\"score\": 1}'; sleep 1000\n"),
    (
        "some that ignore signals",
        "trap '' TERM HUP INT; sh -c 'sleep 1000; true' & echo '{\"score\": 1}'; while :; do sleep 1; done\n",
    ),
];

#[test]
fn nothing_that_a_program_started_outlives_a_killed_controller_by_two_seconds() {
    for (what, script) in FAMILIES {
        let world = world(script, "");
        let mut run = begun(&world);
        let before = processes_of(&world.path("results"));
        assert!(before.len() >= 3, "{what}: {before:?}");
        run.kill().unwrap();
        run.wait().unwrap();
        wait_until(&format!("{what} has ended"), Duration::from_secs(2), || {
            processes_of(&world.path("results")).is_empty()
        });
    }
}

#[test]
fn nothing_that_a_program_started_outlives_it_or_its_interruption() {
    for (what, script) in FAMILIES {
        let world = world(script, "stop_grace: 1\n");
        let mut run = begun(&world);
        send(&run, Signal::INT);
        assert_eq!(run.wait().unwrap().code(), Some(130));
        assert_eq!(processes_of(&world.path("results")), [0_u32; 0], "{what}");
    }
    let script = "setsid sh -c 'sleep 1000; true' & sleep 0.1\necho '{\"score\": 1}'\nexit 0\n";
    let world = world(script, "");
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(processes_of(&world.path("results")), [0_u32; 0], "of a program that finished");
}

#[test]
fn a_killed_supervisor_takes_its_program_along_and_the_trial_is_tried_again() {
    let script = "[ -e go ] && echo '{\"score\": 2}' && exit 0\nsetsid sh -c 'sleep 1000; true' & sleep 0.1\n\
                  echo '{\"score\": 1}'\nsleep 1000\n";
    let world = world(script, "");
    let mut run = begun(&world);
    let (supervisor, program) = recorded(&world);
    world.write("go", "");
    kill(supervisor);
    assert!(run.wait().unwrap().success(), "{}", journal(&world));
    assert!(journal(&world).contains("lost its supervisor process"), "{}", journal(&world));
    assert!(!processes_of(&world.path("results")).contains(&program));
    assert_eq!(world.column("results/s/epochs.csv", "score"), ["2.0"]);
    assert_eq!(processes_of(&world.path("results")), [0_u32; 0]);
}

/// Writes when it runs, and is slow to end. A second copy beside it would see its file.
const JEALOUS: &str = "trap 'sleep 0.7; rm $SWEEP_TRIAL_DIR/here; exit 0' TERM
[ -e $SWEEP_TRIAL_DIR/here ] && touch both
touch $SWEEP_TRIAL_DIR/here
echo '{\"score\": 1}'
[ -e go ] && rm $SWEEP_TRIAL_DIR/here && exit 0
sleep 1000 & wait
";

#[test]
fn a_resumed_sweep_waits_for_what_a_killed_controller_left_and_says_so() {
    let world = world(JEALOUS, "");
    let mut run = begun(&world);
    run.kill().unwrap();
    run.wait().unwrap();
    world.write("go", "");
    let text = world.expect("resume results/s --progress none", 0);
    assert!(text.contains("note: waited for the program of trial 0001 (process "), "{text}");
    assert!(!world.path("both").exists(), "two copies ran side by side");
    assert!(!world.expect("resume results/s --progress none", 0).contains("killed controller"));
}

#[test]
fn a_program_without_supervisor_and_controller_is_ended_before_another_copy_starts() {
    // The wrapper dies with its supervisor, and what it started does not.
    let script = "[ -e go ] && echo '{\"score\": 2}' && exit 0\nsh -c 'sleep 1000; true' &\n\
                  echo '{\"score\": 1}'\nsleep 1000\n";
    let world = world(script, "");
    let mut run = begun(&world);
    let (supervisor, _) = recorded(&world);
    // At once, so that neither sees the other's end.
    send(&run, Signal::STOP);
    kill(supervisor);
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!processes_of(&world.path("results")).is_empty());
    world.write("go", "");
    let text = world.expect("resume results/s --progress none", 0);
    assert!(text.contains("note: ended the program of trial 0001 (process "), "{text}");
    assert_eq!(processes_of(&world.path("results")), [0_u32; 0]);
}

#[test]
fn lines_that_a_killed_controller_had_not_read_are_read_by_the_next() {
    // It prints while its controller sleeps, and all is in its own checkpoint.
    let script = "[ -e $SWEEP_TRIAL_DIR/state ] && exit 0\necho '{\"epoch\": 1, \"score\": 1}'\n\
                  while [ ! -e stopped ]; do sleep 0.01; done\n\
                  for epoch in 2 3 4; do echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": $epoch}\"; done\n\
                  touch $SWEEP_TRIAL_DIR/state\nsleep 1000\n";
    let world = world(script, "");
    let mut run = begun(&world);
    send(&run, Signal::STOP);
    world.write("stopped", "");
    wait_until("it has saved", Duration::from_secs(20), || world.path("results/s/trials/0001/state").exists());
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(journal(&world).matches("\"is\":\"row\"").count(), 1);
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/epochs.csv", "score"), ["1.0", "2.0", "3.0", "4.0"]);
}

#[test]
fn a_signal_to_every_process_of_a_job_is_answered_by_the_controller_alone() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1] {
        // A program that saves when it gets the signal, and one that dies of it.
        for script in [
            "trap 'exit 0' TERM INT HUP USR1\necho '{\"score\": 1}'\n[ -e go ] && exit 0\nsleep 1000 & wait\n",
            "echo '{\"score\": 1}'\n[ -e go ] && exit 0\nsleep 1000\n",
        ] {
            let world = world(script, "");
            let mut run = begun(&world);
            let supervisor = recorded(&world).0;
            // The controller is last.
            for pid in processes_of(&world.path("results")) {
                let _ = kill_process(Pid::from_raw(pid as i32).unwrap(), signal);
            }
            send(&run, signal);
            assert_eq!(run.wait().unwrap().code(), Some(130), "{signal:?}: {}", journal(&world));
            assert_eq!(recorded(&world).0, supervisor, "{signal:?}: it was not started again meanwhile");
            assert!(journal(&world).contains("\"is\":\"paused\""), "{signal:?}: {}", journal(&world));
            assert!(!journal(&world).contains("\"is\":\"lost\""), "{signal:?}: {}", journal(&world));
            if signal == Signal::USR1 {
                // A program that does not know it is not ended by it, but asked to save.
                assert!(!journal(&world).contains("signal 10"), "{}", journal(&world));
            }
            world.write("go", "");
            world.expect("resume results/s --progress none", 0);
        }
    }
}

#[test]
fn a_controller_that_runs_while_its_file_is_replaced_starts_further_programs() {
    let world = world(
        "echo \"{\\\"score\\\": 1}\"\n[ $SWEEP_TRIAL = 1 ] && while [ ! -e go ]; do sleep 0.01; done\nexit 0\n",
        "parameters: {x: {values: [1, 2]}}\n",
    );
    std::fs::copy(crate::world::sweep(), world.path("sweep")).unwrap();
    let mut command = Command::new(world.path("sweep"));
    let mut run = command.args(["run", "s.yaml", "--progress", "none"]).current_dir(world.path("")).spawn().unwrap();
    wait_until("it has begun", Duration::from_secs(20), || journal(&world).contains("\"is\":\"row\""));
    std::fs::remove_file(world.path("sweep")).unwrap();
    world.write("sweep", "another version");
    world.write("go", "");
    assert!(run.wait().unwrap().success(), "{}", journal(&world));
}

#[test]
fn a_killed_controller_gives_its_program_a_moment_to_save() {
    let script = "trap 'touch saved; exit 0' TERM\necho '{\"score\": 1}'\nsleep 1000 & wait\n";
    let world = world(script, "");
    let mut run = begun(&world);
    let began = Instant::now();
    run.kill().unwrap();
    run.wait().unwrap();
    wait_until("it has saved", Duration::from_secs(2), || world.path("saved").exists());
    wait_until("it is gone", Duration::from_secs(2), || processes_naming(&world.path("train.sh")).is_empty());
    assert!(began.elapsed() < Duration::from_secs(4));
}

/// A library that replaces functions of the C library where it is preloaded. `None` without a C compiler.
pub fn library(world: &World, source: &str) -> Option<PathBuf> {
    world.write("library.c", source);
    let library = world.path("library.so");
    let cc = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(world.path("library.c")).status();
    if !cc.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler");
        return None;
    }
    Some(library)
}

/// The C library's `flock`, as on a file system without locks.
pub const NO_FLOCK: &str =
    "#include <errno.h>\nint flock(int file, int how) { (void)file; (void)how; errno = ENOSYS; return -1; }\n";

/// The same on one that grants every lock.
pub const ANY_FLOCK: &str = "int flock(int file, int how) { (void)file; (void)how; return 0; }\n";

#[test]
fn a_file_system_without_locks_has_one_controller_too() {
    one_controller(NO_FLOCK);
}

#[test]
fn a_file_system_that_grants_every_lock_has_one_controller_too() {
    one_controller(ANY_FLOCK);
}

fn one_controller(flock: &str) {
    let script = "echo '{\"score\": 1}'\nwhile [ ! -e go ]; do sleep 0.01; done\n";
    let world = world(script, "");
    let Some(library) = library(&world, flock) else { return };
    let sweep = |words: &str| {
        let mut command = world.sweep(words);
        command.env("LD_PRELOAD", &library);
        command
    };
    let mut run = sweep("run s.yaml --progress none").spawn().unwrap();
    wait_until("it has begun", Duration::from_secs(20), || journal(&world).contains("\"is\":\"row\""));
    let resume = || {
        let output = sweep("resume results/s --progress none").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = resume();
    let told = format!("results/s is being run by another process (process {} on ", run.id());
    assert!(code == Some(5) && text.contains(&told), "{code:?} {text}");
    let status = sweep("status results/s").output().unwrap();
    assert!(String::from_utf8_lossy(&status.stdout).contains("running"), "{status:?}");
    // A dead controller keeps nobody out.
    run.kill().unwrap();
    run.wait().unwrap();
    world.write("go", "");
    let (code, text) = resume();
    assert_eq!(code, Some(0), "{text}");
    assert!(!world.path("results/s/.holder").exists());
    if flock == ANY_FLOCK {
        return;
    }
    // Without locks that other machines see, the holder's beats decide: here, a file that is not renewed.
    let far = r#"{"host": "far", "boot": "far", "process": {"pid": 1, "start": 1}, "beats": 1}"#;
    world.write("results/s/.holder", far);
    let (code, text) = resume();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("note: waiting up to 15 s to see whether process 1 on far"), "{text}");
}

/// The machine's time jumps by a day once a file is there. The monotonic clock does not.
const JUMP: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    const char *jump = getenv("JUMP");
    if (clock == CLOCK_REALTIME && jump && access(jump, F_OK) == 0) now->tv_sec += 86400;
    return result;
}
"#;

#[test]
fn durations_do_not_follow_the_machines_time() {
    let world = world("echo '{\"score\": 1}'\nwhile [ ! -e go ]; do sleep 0.01; done\n", "");
    let Some(library) = library(&world, JUMP) else { return };
    let mut run = world.sweep("run s.yaml --progress none");
    let mut run = run.env("LD_PRELOAD", &library).env("JUMP", world.path("jump")).spawn().unwrap();
    wait_until("it has begun", Duration::from_secs(20), || journal(&world).contains("\"is\":\"row\""));
    world.write("jump", "");
    world.write("go", "");
    assert!(run.wait().unwrap().success());
    let seconds: f64 = world.column("results/s/trials.csv", "seconds")[0].parse().unwrap();
    assert!(seconds < 3600.0, "{seconds} s");
}

#[test]
fn trainers_do_not_die_of_signals_that_are_meant_for_the_whole_job() {
    let world = scripted("* slow 100");
    let mut run = world.sweep("run s.yaml --trainer trainer --progress none").spawn().unwrap();
    wait_until("an epoch is over", Duration::from_secs(20), || journal(&world).contains("\"is\":\"epoch\""));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::USR2] {
        let trainers = processes_naming(&world.path("trainer"));
        assert!(!trainers.is_empty());
        for pid in trainers.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
            let _ = kill_process(pid, signal);
        }
    }
    assert!(run.wait().unwrap().success(), "{}", journal(&world));
    assert!(!journal(&world).contains("\"is\":\"lost\""), "{}", journal(&world));
}

/// Counts what a sweep of this many trials reads, with all processes that it starts: the kernel adds up what a process and
/// the children that it has waited for read. `None` if it does not count.
fn reads(trials: usize) -> Option<usize> {
    let values = (0..trials).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let world = world("echo '{\"score\": 1}'\n", &format!("parameters: {{x: {{values: [{values}]}}}}\n"));
    let script = "\"$0\" run s.yaml --progress none >&2; cat /proc/$$/io";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_sweep")]).current_dir(world.path(""));
    let output = shell.output().unwrap();
    assert!(journal(&world).contains("\"is\":\"ended\""), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("syscr: ")?.parse().ok())
}

/// Otherwise a short trial takes longer the more runs beside it.
#[test]
fn a_trial_does_not_look_at_every_process_of_the_machine() {
    const OTHERS: usize = 100;
    let mut others: Vec<Child> =
        (0..OTHERS).map(|_| Command::new("sleep").arg("1000").spawn().expect("there is a sleep")).collect();
    let (few, many) = (reads(2), reads(12));
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
    let (Some(few), Some(many)) = (few, many) else { return };
    let a_trial = (many - few) / 10;
    assert!(a_trial < 2 * OTHERS, "a trial takes {a_trial} reads");
}
