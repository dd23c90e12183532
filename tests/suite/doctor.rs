//! `sweep doctor`, and trainers that cannot be loaded.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::faults::scripted;
use crate::gpus::{driven, expect, gpu};
use crate::world::World;

const UNLOADABLE: &str = "#!/bin/sh
echo \"$0: symbol lookup error: $0: undefined symbol: _ZN5torch8autograd4Node17release_resourcesEv\" >&2
exit 127
";

/// The check of this name in the output of `--json`.
fn check(told: &str, name: &str) -> Value {
    let told: Value = serde_json::from_str(told).expect("JSON");
    let mut checks = told["checks"].as_array().expect("a list").iter();
    checks.find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {told:#}")).clone()
}

fn with_program(world: &World, name: &str, text: &str) {
    world.write(name, text);
    std::fs::set_permissions(world.path(name), PermissionsExt::from_mode(0o755)).expect("it was just written");
}

/// A folder like an environment of Python, with a trainer beside a `torch` of this version.
fn environment(version: &str) -> World {
    let world = scripted("");
    for folder in ["site/sweep_hpo/bin", "site/torch/lib"] {
        std::fs::create_dir_all(world.path(folder)).expect("the folder is writable");
    }
    world.write("site/torch/version.py", &format!("__version__ = '{version}'\ncuda: Optional[str] = None\n"));
    world.write("site/torch/lib/libtorch_cpu.so", "");
    std::os::unix::fs::symlink(world.path("trainer"), world.path("site/sweep_hpo/bin/sweep-trainer"))
        .expect("writable");
    world
}

#[test]
fn a_machine_with_a_trainer_is_fine() {
    let world = environment("2.13.0+cpu");
    let words = "doctor --trainer site/sweep_hpo/bin/sweep-trainer";
    let text = world.expect(words, 0);
    assert!(text.contains("networks in a sweep file can be trained"), "{text}");
    let told = world.expect(&format!("{words} --json"), 0);
    assert!(check(&told, "trainer")["found"].as_str().expect("text").starts_with("starts on cpu:0"), "{told}");
    assert!(
        check(&told, "libtorch")["found"].as_str().expect("text").starts_with("2.13.0+cpu, without CUDA"),
        "{told}"
    );
    assert!(check(&told, "C library")["found"].as_str().expect("text").starts_with("glibc 2."), "{told}");
}

#[test]
fn each_gpu_is_tried() {
    let world = driven("", &[gpu(0), gpu(1)]);
    let told = expect(&world, "doctor --trainer trainer", 0);
    assert!(told.contains("starts on gpu:0") && told.contains("starts on gpu:1"), "{told}");
}

#[test]
fn without_a_trainer_programs_can_be_tuned() {
    let world = World::new();
    let text = world.expect("doctor --trainer nowhere", 6);
    assert!(text.contains("nowhere does not exist") && text.contains("pip install 'sweep-hpo[torch]'"), "{text}");
    assert!(text.contains("Your own programs can be tuned."), "{text}");
}

#[test]
fn a_device_that_the_trainer_cannot_use_is_named_with_the_reason() {
    let world = scripted("start unusable");
    let text = world.expect("doctor --trainer trainer", 6);
    assert!(text.contains("does not start on cpu:0: the device is on fire"), "{text}");
}

#[test]
fn a_pytorch_that_is_too_old_is_refused_with_the_versions_that_work() {
    let world = environment("2.12.1");
    for words in ["run s.yaml", "doctor"] {
        let text = world.expect(&format!("{words} --trainer site/sweep_hpo/bin/sweep-trainer"), 6);
        assert!(text.contains("works with PyTorch 2.13 to 2.15, but ") && text.contains("/torch is 2.12.1"), "{text}");
        assert!(text.contains("pip install 'torch>=2.13,<2.16'"), "{text}");
    }
    assert!(!world.path("results").exists(), "nothing was written");
}

#[test]
fn a_trainer_that_cannot_be_loaded_is_tried_once_and_says_what_works() {
    let world = scripted("");
    with_program(&world, "broken", UNLOADABLE);
    let text = world.expect("run s.yaml --trainer broken --progress plain", 6);
    assert!(text.contains("libtorch cannot be loaded") && text.contains("undefined symbol"), "{text}");
    assert!(text.contains("PyTorch 2.13 to 2.15 works") && text.contains("SWEEP_LIBTORCH"), "{text}");
    assert!(!text.contains("3 times in a row"), "{text}");
}

#[test]
fn a_named_libtorch_may_be_its_lib_and_one_that_is_not_there_is_refused() {
    let world = environment("2.13.0");
    let run = |words: &str, libtorch: &str| {
        let mut command = world.sweep(&format!("{words} --trainer site/sweep_hpo/bin/sweep-trainer"));
        let output = command.env("SWEEP_LIBTORCH", world.path(libtorch)).output().expect("sweep can be started");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    for folder in ["site/torch", "site/torch/lib"] {
        let (_, said) = run("doctor", folder);
        assert!(said.contains("2.13.0") && said.contains("site/torch)"), "{said}");
    }
    let (code, said) = run("run s.yaml", "site/sweep_hpo");
    assert!(said.contains("SWEEP_LIBTORCH is ") && said.contains("there is no lib/libtorch_cpu.so in it"), "{said}");
    assert!(code == Some(6) && said.contains("name the folder `torch`"), "{said}");
}

#[test]
fn the_trainer_gets_the_libtorch_that_the_environment_names() {
    let world = scripted("");
    with_program(&world, "broken", "#!/bin/sh\necho \"path $LD_LIBRARY_PATH\" >&2\nexit 127\n");
    let run = |command: &mut std::process::Command| {
        let output = command.output().expect("sweep can be started");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let named = run(world.sweep("doctor --trainer broken").env("SWEEP_LIBTORCH", "/opt/torch"));
    assert!(named.contains("path /opt/torch/lib"), "{named}");
    let own = run(world.sweep("doctor --trainer broken").env_remove("SWEEP_LIBTORCH").env("LD_LIBRARY_PATH", "/mine"));
    assert!(own.contains("path /mine"), "{own}");
}
