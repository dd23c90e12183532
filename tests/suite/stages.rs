//! Stages: one file, one folder, one journal. Each stage follows from the results of the one before, also after a kill at
//! any moment.

use std::time::{Duration, Instant};

use rand::RngExt;
use sweep_core::random::{Purpose, stream};

use crate::world::{World, wait_until};

/// The best x is 3, and more epochs bring every trial closer to its height.
const PROGRAM: &str = r#"
for argument in "$@"; do case $argument in --x=*) x=${argument#--x=} ;; --epochs=*) n=${argument#--epochs=} ;; esac; done
awk -v x="$x" -v n="${n:-2}" -v r="$SWEEP_REPEAT" 'BEGIN {
    for (e = 1; e <= n; e++) printf "{\"epoch\": %d, \"score\": %.6f}\n", e, (x - 3) ^ 2 + 1 / e + 0.01 * r }'
"#;

const HEAD: &str = "name: s\ncommand: [sh, train.sh, \"${args}\"]\ndevices: {gpus: none, cpu_threads: 1}\n\
                    metric: {name: score, goal: minimize}\n";

const THREE: &str = "method: random\nrun_cap: 16\nparameters:\n  x: {min: 0.0, max: 20.0}\n  epochs: {value: 2}\nstages:\n  - \
                     {run_cap: 5, parameters: {epochs: {value: 4}}}\n  - {from: {top: 2}, repeats: 3}\n";

fn world(text: &str) -> World {
    let world = World::new();
    world.write("train.sh", PROGRAM);
    world.write("s.yaml", &format!("{HEAD}{text}"));
    world
}

/// The columns that must not depend on how often a sweep was interrupted.
fn results(world: &World) -> Vec<Vec<String>> {
    let of = |name| world.column("results/s/trials.csv", name);
    ["x", "setting_epochs", "stage", "repeat", "seed", "status", "epochs", "best_score"].map(of).to_vec()
}

#[test]
fn three_stages_are_one_sweep_with_one_report() {
    let world = world(THREE);
    let plan = world.expect("plan s.yaml", 0);
    for line in [
        "2: random over the values that the results propose with epochs 4: at most 5 trials",
        "3: the best 2 configurations again: at most 6 trials",
    ] {
        assert!(plan.contains(line), "{line}\n{plan}");
    }
    let told = world.expect("run s.yaml --progress plain", 0);
    assert_eq!(told.matches("All trials have ended").count(), 1, "{told}");
    let [x, epochs, stage, repeat, ..] = &results(&world)[..] else { panic!("eight columns") };
    // Two configurations of stage 2 have one trial each, and lack two.
    assert_eq!(stage.iter().filter(|one| *one == "1").count(), 16, "{stage:?}");
    assert_eq!((stage[16..].join(" "), epochs[16..].join(" ")), ("2 2 2 2 2 3 3 3 3".into(), ["4"; 9].join(" ")));
    assert_eq!(repeat[21..].join(" "), "2 3 2 3");
    let number = |at: usize| x[at].parse::<f64>().expect("a number");
    assert!((16..25).all(|at| number(at) < 15.0), "the range became narrower: {x:?}");
    let closest = (0..16).map(number).min_by(|a, b| (a - 3.0).abs().total_cmp(&(b - 3.0).abs())).expect("some");
    assert!((number(16) - closest).abs() < 0.01, "the best runs first: {x:?}");
    let report = world.read("results/s/report.md");
    for line in
        ["Stage 2 began after 16 trials: ", "Earlier trials are not comparable", "Stage 3 began after 21 trials: "]
    {
        assert!(report.contains(line), "{line}\n{report}");
    }
    assert!(report.contains("over 3 trials") && report.contains("too short: all 9 trials"), "{report}");
    let unranked = report.lines().filter(|line| line.starts_with("| – |")).count();
    assert_eq!(unranked, 16, "trials of two epochs are not ranked with those of four");
    let status = world.expect("status results/s", 0);
    assert!(status.contains("s is complete, stage 3 of 3") && status.contains("25 of 25 ended"), "{status}");
    let before = world.read("results/s/journal.jsonl");
    let again = world.expect("run s.yaml --or-resume --progress none", 0);
    assert!(!again.contains("has changed"), "{again}");
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "x").len(), 25, "a sweep that is over does not go on");
    assert_eq!(world.read("results/s/journal.jsonl").matches("\"is\":\"extended\"").count(), 2, "{before}");
}

#[test]
fn killed_at_any_moment_and_resumed_it_equals_one_that_was_not() {
    let undisturbed = world(THREE);
    let began = Instant::now();
    undisturbed.expect("run s.yaml --progress none", 0);
    let (whole, mut random) = (began.elapsed(), stream(47, 0, 0, Purpose::Point));
    let wanted = results(&undisturbed);
    for round in 0..3 {
        let world = world(THREE);
        let mut kills = 0;
        loop {
            let run = "run s.yaml --or-resume --progress none";
            let mut running = world.sweep(run).spawn().expect("sweep can be started");
            let until = Instant::now() + whole.mul_f64(random.random::<f64>() * 0.5) + Duration::from_millis(20);
            let mut ended = None;
            wait_until("it ended or is to be killed", Duration::from_secs(120), || {
                ended = running.try_wait().expect("it is our child");
                ended.is_some() || Instant::now() > until
            });
            if let Some(status) = ended {
                assert!(status.success(), "round {round}: {status}");
                break;
            }
            running.kill().expect("it is our child");
            running.wait().expect("it is our child");
            kills += 1;
            assert!(kills < 200, "it makes progress");
        }
        println!("killed {kills} times");
        assert_eq!(results(&world), wanted, "round {round}, killed {kills} times");
    }
}

#[test]
fn between_two_stages_the_decision_is_made_once_and_stays() {
    let world = world(THREE);
    world.expect("run s.yaml --progress none", 0);
    let (journal, wanted) = (world.read("results/s/journal.jsonl"), results(&world));
    let lines: Vec<&str> = journal.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"is\":\"extended\"")).expect("a stage began");
    // Before the decision, and with the decision but the old file.
    for kept in [at, at + 1] {
        world.write("results/s/journal.jsonl", &(lines[..kept].join("\n") + "\n"));
        world.write("results/s/sweep.yaml", &world.read("s.yaml"));
        let status = world.expect("status results/s", 0);
        let stage = if kept == at { "s is interrupted, stage 1 of 3" } else { "s is interrupted, stage 2 of 3" };
        assert!(status.contains(stage), "{status}");
        let refused = world.expect("run s.yaml --progress none", 2);
        assert!(refused.contains("continue it with `sweep resume results/s`"), "{refused}");
        world.expect("resume results/s --progress none", 0);
        assert_eq!(results(&world), wanted);
    }
}

#[test]
fn seeds_alone_are_a_stage_and_repeat_only_the_best() {
    let world = world("parameters: {x: {values: [7, 3, 5, 4]}}\nstages: [{from: {top: 2}, repeats: 4}]\n");
    world.expect("run s.yaml --progress none", 0);
    let x = world.column("results/s/trials.csv", "x");
    assert_eq!(x.join(" "), "7 3 5 4 3 3 3 4 4 4");
    let report = world.read("results/s/report.md");
    assert!(!report.contains("not comparable"), "equal constants are compared: {report}");
}

#[test]
fn a_stage_without_results_to_follow_from_says_so() {
    let world = world("parameters: {x: {values: [1, 2]}}\nstages: [{from: {top: 1}, repeats: 2}]\n");
    world.write("train.sh", "case $SWEEP_TRIAL in 1) exit 3 ;; *) sleep 0.2; exit 4 ;; esac\n");
    let told = world.expect("run s.yaml --progress none", 1);
    assert!(told.contains("failed"), "{told}");
    assert!(!world.read("results/s/journal.jsonl").contains("\"is\":\"extended\""));
}
