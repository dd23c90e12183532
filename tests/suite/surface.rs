//! General properties of the `sweep` program.

use std::time::{Duration, Instant};

use crate::world::World;

#[test]
fn sweep_does_not_need_libtorch() {
    let output = std::process::Command::new("ldd").arg(env!("CARGO_BIN_EXE_sweep")).output().expect("ldd is there");
    let libraries = String::from_utf8_lossy(&output.stdout);
    assert!(libraries.contains("libc.so"), "{libraries}");
    assert!(!libraries.contains("torch"), "{libraries}");
}

#[test]
fn the_help_of_every_command_shows_an_example() {
    let world = World::new();
    let help = world.expect("--help", 0);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands: Vec<&str> = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 30 && commands.contains(&"run"), "{commands:?}");
    for command in commands {
        let help = world.expect(&format!("{command} --help"), 0);
        assert!(help.contains("Example"), "sweep {command} --help has no example:\n{help}");
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(World::new().expect(&format!("completions {shell}"), 0).contains("resume"));
    }
}

#[test]
fn every_command_has_a_man_page() {
    let world = World::new();
    world.expect("man pages/man1", 0);
    assert!(world.read("pages/man1/sweep.1").contains("sweep\\-resume(1)"));
    assert!(world.read("pages/man1/sweep-resume.1").contains("retry\\-failed"));
}

#[test]
fn the_slots_of_this_machine_are_shown() {
    let world = World::new();
    let text = world.expect("gpus --json", 0);
    let seen: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(!seen["slots"].as_array().expect("a list").is_empty(), "{text}");
    if seen["gpus"].as_array().expect("a list").is_empty() {
        assert!(seen["reason"].is_string(), "no GPU needs a reason: {text}");
    }
}

#[test]
fn a_path_that_is_nearly_right_is_answered_with_the_right_one() {
    let world = World::new();
    world.write("s.yaml", "command: [sh, -c, \"echo {val_loss: 1}\"]\ndevices: {gpus: none}\n");
    world.expect("run s.yaml --progress none", 0);
    for sweep in ["s", "./s"] {
        let text = world.expect(&format!("status {sweep}"), 2);
        assert!(text.contains("does not exist") && text.contains("did you mean results/"), "{text}");
    }
    let text = world.expect("diagnose nothere.csv", 2);
    assert!(text.contains("hint: give a file with one row per epoch"), "{text}");
    world.write("history.csv", "");
    let text = world.expect("diagnose histroy.csv", 2);
    assert!(text.contains("did you mean history.csv?"), "{text}");
}

#[test]
fn a_setting_among_the_options_is_told_where_it_stands() {
    let world = World::new();
    for option in ["--epochs 3", "--epochs=3", "--batch-size 3", "--lr 3"] {
        let text = world.expect(&format!("run s.yaml {option}"), 2);
        assert!(text.contains("set this in the sweep file: `") && !text.contains("-- --"), "{text}");
    }
    let text = world.expect("run s.yaml --progres none", 2);
    assert!(text.contains("--progress") && !text.contains("set this in the sweep file"), "{text}");
}

/// Not a benchmark. Best of ten, with a limit that fails only if the start loads libtorch (0.3 s) or uses a network.
#[test]
fn sweep_starts_at_once() {
    let world = World::new();
    let start = || {
        let began = Instant::now();
        world.expect("--version", 0);
        began.elapsed()
    };
    let best = (0..10).map(|_| start()).min().expect("ten of them");
    assert!(best < Duration::from_millis(200), "{best:?}");
}
