//! Programs of the user's own as trials, the examples among them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::world::{World, processes_naming, send, wait_until};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps/programs").join(name)
}

/// A world with a program in the language of the shell, and a sweep of it.
fn program(script: &str, rest: &str) -> World {
    let world = World::new();
    world.write("train.sh", script);
    world.write("s.yaml", &format!("name: s\ncommand: [sh, train.sh, \"${{args}}\"]\ndevices: {{gpus: none}}\n{rest}"));
    world
}

#[test]
fn the_shell_example_runs_and_its_worst_trials_are_stopped() {
    let world = World::new();
    world.expect(&format!("run {} --progress plain", example("shell.yaml").display()), 0);
    let (status, square) = (
        world.column("results/program-shell/trials.csv", "status"),
        world.column("results/program-shell/trials.csv", "best_square"),
    );
    assert_eq!(status[2], "finished", "the best rate is never stopped");
    assert_eq!(square[2].parse::<f64>().unwrap(), 0.0, "{square:?}");
    assert!(status.contains(&"stopped".to_owned()), "{status:?}");
    let report = world.read("results/program-shell/report.md");
    assert!(report.contains("Trial 0003 is the best: square 0"), "{report}");
}

#[test]
#[allow(clippy::disallowed_methods)]
fn the_scikit_learn_example_runs_untouched() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv-programs/bin");
    if !python.join("python").is_file() {
        eprintln!("skipped: `scripts/scikit-learn` installs what it needs");
        return;
    }
    let world = World::new();
    let mut command = world.sweep(&format!("run {} --progress none", example("sklearn.yaml").display()));
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{}:{path}", python.display())).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let best = world.column("results/program-sklearn/trials.csv", "best_val_accuracy");
    assert_eq!(best.len(), 6);
    assert!(best.iter().any(|accuracy| accuracy.parse::<f64>().unwrap() > 0.9), "{best:?}");
    assert!(world.column("results/program-sklearn/trials.csv", "epochs").iter().all(|epochs| epochs == "8"));
}

#[test]
fn a_sweep_that_ends_at_its_target_says_so_and_what_that_left() {
    // One slot: the third of the five points is good enough.
    let world = program(
        "echo \"{\\\"score\\\": ${1#--x=}}\"\n",
        "metric: {name: score, goal: maximize, target: 3}\nparameters: {x: {values: [1, 2, 3, 4, 5]}}\n",
    );
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: none", "gpus: none, cpu_threads: 1000"));
    let told = "Trial 0003 reached the target of 3, with score 3: 2 trials were not started.";
    let run = world.expect("run s.yaml --progress plain", 0);
    assert!(run.contains(told), "{run}");
    let status = world.expect("status results/s", 0);
    assert!(status.contains("s is complete") && status.contains(told), "{status}");
    for report in ["report.md", "report.html"] {
        assert!(world.read(&format!("results/s/{report}")).contains(told), "{report}");
    }
    let json: serde_json::Value = serde_json::from_str(&world.expect("status results/s --json", 0)).unwrap();
    assert_eq!((&json["target"]["trial"], &json["target"]["left"]), (&3.into(), &2.into()));
}

#[test]
fn a_program_is_told_where_it_runs_and_its_file_of_metrics_is_read() {
    let csv = "'epoch,score,f1\\n1,0.5,0.1\\n2,0.75,0.2\\n'";
    let lines = "'{\"score\": 0.5, \"f1\": 0.1}\\n{\"score\": 0.75, \"f1\": 0.2}\\n'";
    for (name, text) in [("metrics.csv", csv), ("metrics.jsonl", lines)] {
        let script = format!("env >$SWEEP_TRIAL_DIR/env\nprintf {text} >$SWEEP_TRIAL_DIR/{name}\n");
        let world =
            program(&script, &format!("seed: 5\nmetrics_file: {name}\nmetric: {{name: score, goal: maximize}}\n"));
        world.expect("run s.yaml --progress none", 0);
        for (title, value) in [("status", "finished"), ("epochs", "2"), ("best_score", "0.75"), ("last_f1", "0.2")] {
            assert_eq!(world.column("results/s/trials.csv", title), [value], "{name}: {title}");
        }
        let environment = world.read("results/s/trials/0001/env");
        for line in [
            "SWEEP_SLOT=cpu:0",
            "SWEEP_DEVICE=cpu",
            "SWEEP_TRIAL=1",
            "SWEEP_REPEAT=1",
            "SWEEP_NAME=s",
            "SWEEP_RESUME=0",
            "CUDA_VISIBLE_DEVICES=",
            "OMP_NUM_THREADS=1",
            "WANDB_MODE=offline",
        ] {
            assert!(environment.lines().any(|one| one == line), "no {line} in {environment}");
        }
    }
}

#[test]
fn every_repeat_has_a_seed_of_its_own_which_its_second_attempt_has_too() {
    let script = "echo $SWEEP_SEED $SWEEP_REPEAT >>$SWEEP_TRIAL_DIR/seeds
[ $SWEEP_TRIAL = 2 ] && [ ! -e again ] && touch again && exit 3
echo \"{\\\"score\\\": $SWEEP_SEED}\"
";
    let rest = "seed: 5\nrepeats: 3\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n";
    let world = program(script, rest);
    world.expect("run s.yaml --progress none", 0);
    let column = |name: &str| world.column("results/s/trials.csv", name);
    let (seeds, repeats) = (column("seed"), column("repeat"));
    assert_eq!(repeats, ["1", "2", "3", "1", "2", "3"]);
    assert_eq!(seeds.iter().collect::<std::collections::HashSet<_>>().len(), 6, "{seeds:?}");
    for (at, (seed, repeat)) in seeds.iter().zip(&repeats).enumerate() {
        let line = format!("{seed} {repeat}\n");
        let attempts = if at == 1 { 2 } else { 1 };
        assert_eq!(world.read(&format!("results/s/trials/{:04}/seeds", at + 1)), line.repeat(attempts));
    }
    // The order in which trials ran, and where, changes nothing.
    world.expect("run s.yaml --name again --progress none", 0);
    assert_eq!(world.column("results/again/trials.csv", "seed"), seeds);
}

#[test]
fn a_program_that_says_nothing_for_too_long_is_ended_with_all_that_it_started() {
    let world = World::new();
    let marker = world.path("marker");
    let script = format!("sh -c 'sleep 1000; true' {} &\nwait\n", marker.display());
    world.write("train.sh", &script);
    world.write("s.yaml", "name: s\ncommand: [sh, train.sh]\nretries: 0\ndevices: {gpus: none}\n");
    let told = world.expect("run s.yaml --progress plain --silence 1", 1);
    assert!(told.contains("produced no output for"), "{told}");
    wait_until("what it started has ended", Duration::from_secs(5), || processes_naming(&marker).is_empty());
}

#[test]
fn an_interrupted_program_goes_on_from_its_own_checkpoint() {
    let script = "state=$SWEEP_TRIAL_DIR/state
epoch=0
trap 'exit 0' TERM
[ $SWEEP_RESUME = 1 ] && read -r epoch <$state
echo begins at $epoch
while [ $epoch -lt 6 ]; do
    epoch=$((epoch + 1))
    echo $epoch >$state
    echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": $epoch}\"
    [ $epoch = 3 ] && [ ! -e go ] && sleep 1000 & wait
done
exit 0
";
    let world = program(script, "metric: {name: score, goal: maximize}\n");
    let mut run = world.sweep("run s.yaml --progress none").spawn().unwrap();
    let rows = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
    wait_until("three epochs are in the journal", Duration::from_secs(20), || {
        rows().matches("\"epoch\":3").count() > 0
    });
    send(&run, Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130), "{}", rows());
    assert_eq!(processes_naming(&world.path("results")), [0_u32; 0], "nothing is left behind");
    world.write("go", "");
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/epochs.csv", "score"), ["1.0", "2.0", "3.0", "4.0", "5.0", "6.0"]);
    assert!(world.read("results/s/trials/0001/trainer.log").contains("begins at 3\n"));
}

#[test]
fn a_checkpoint_that_was_saved_before_any_epoch_was_reported_is_not_trained_again() {
    let script = "[ $SWEEP_RESUME = 1 ] && [ -e $SWEEP_TRIAL_DIR/state ] && echo '{\"score\": 1}' && exit 0
echo half an epoch >$SWEEP_TRIAL_DIR/state
exit 3
";
    let world = program(script, "metric: {name: score, goal: maximize}\nretries: 1\n");
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "attempts"), ["2"]);
    let script = "echo resumes $SWEEP_RESUME
[ -e $SWEEP_TRIAL_DIR/again ] && echo '{\"score\": 1}' && exit 0
touch $SWEEP_TRIAL_DIR/again
exit 3
";
    let world = program(script, "metric: {name: score, goal: maximize}\nretries: 0\n");
    world.expect("run s.yaml --progress none", 1);
    world.expect("resume results/s --retry-failed --from-scratch --progress none", 1);
    world.expect("resume results/s --retry-failed --progress none", 0);
    let log = world.read("results/s/trials/0001/trainer.log");
    assert!(log.starts_with("resumes 0\n") && log.contains("resumes 1"), "{log}");
}

#[test]
fn a_program_that_crashes_is_tried_again_and_its_last_words_are_told() {
    let script = "[ -e $SWEEP_TRIAL_DIR/seen ] && echo '{\"val_loss\": 1}' && exit 0
touch $SWEEP_TRIAL_DIR/seen
echo no more of this >&2
exit 3
";
    let world = program(script, "");
    world.expect("run s.yaml --progress none", 0);
    let journal = world.read("results/s/journal.jsonl");
    assert!(journal.contains("exit code 3 (last output: no more of this)"), "{journal}");
    assert_eq!(world.column("results/s/trials.csv", "attempts"), ["2"]);
}

#[test]
fn a_metric_that_is_no_number_ends_the_trial_and_one_that_never_comes_fails_it() {
    let script = "case $1 in
--way=nan) echo '{\"val_loss\": NaN}'; sleep 1000 ;;
--way=other) echo '{\"val_losss\": 1, \"accuracy\": 1}' ;;
*) echo hello ;;
esac
";
    let world = program(
        script,
        "metric: {name: val_loss, goal: minimize}\nparameters: {way: {values: [nan, nothing, other]}}\n",
    );
    world.expect("run s.yaml --progress none", 1);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["diverged", "failed", "failed"]);
    let errors = world.column("results/s/trials.csv", "error");
    for (error, told) in errors.iter().zip([
        "val_loss is NaN",
        "without a value of val_loss: it printed no line such as {\"val_loss\": 0.5}; its log is \
         trials/0002/trainer.log",
        "it reported accuracy, val_losss (did you mean `val_losss`?); its log is trials/0003/trainer.log",
    ]) {
        assert!(error.contains(told), "{error}");
    }
}

/// W&B's library reads `wandb.config` from the file that the environment names; so does this, without it.
#[test]
fn a_script_of_wandbs_finds_its_settings_without_arguments() {
    let script = "[ $WANDB_MODE = offline ] && [ $WANDB_SWEEP_ID = s ] && [ -d $WANDB_DIR ] || exit 1
sed -n 's/^ *\"value\": \\(.*\\)$/{\"val_loss\": \\1}/p' $WANDB_SWEEP_PARAM_PATH
cp $WANDB_SWEEP_PARAM_PATH $SWEEP_TRIAL_DIR/seen
";
    let world = World::new();
    world.write("train.sh", script);
    let head = "name: s\ncommand: [sh, train.sh]\ndevices: {gpus: none}\n";
    world.write("s.yaml", &format!("{head}parameters: {{rate: {{values: [0.5, 0.25]}}}}\n"));
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "best_val_loss"), ["0.5", "0.25"]);
    let file = world.read("results/s/trials/0002/seen");
    assert!(!world.path("results/s/trials/0002/wandb.yaml").exists(), "only a running program needs it");
    assert_eq!(file, "{\n  \"wandb_version\": 1,\n  \"rate\": {\n    \"value\": 0.25\n  }\n}\n");
}

/// Text in quotes, and groups, as W&B's agent and library hand them over.
#[test]
fn a_program_gets_text_as_text_and_groups_as_tables() {
    let script = "printf '%s\\n' \"$@\" >$SWEEP_TRIAL_DIR/arguments\necho '{\"val_loss\": 1}'\n\
                  cp $WANDB_SWEEP_PARAM_PATH $SWEEP_TRIAL_DIR/seen\n";
    let world = program(
        script,
        "parameters:\n  version: {values: ['1.10', 1.1, \"007\", 'yes', yes]}\n  \
         optimizer: {parameters: {name: {value: adam}, lr: {value: 0.00002}, nested: {parameters: {betas: {value: \
         [0.9, 'x']}}}}}\n",
    );
    let text = world.expect("run s.yaml --progress none", 0);
    let optimizer = "--optimizer={'lr': 2e-05, 'name': 'adam', 'nested': {'betas': [0.9, 'x']}}";
    for (at, version) in ["1.10", "1.1", "007", "yes", "True"].into_iter().enumerate() {
        let arguments = world.read(&format!("results/s/trials/{:04}/arguments", at + 1));
        assert_eq!(arguments, format!("{optimizer}\n--version={version}\n"), "{text}");
    }
    let config = |file: &str| -> serde_json::Value { serde_json::from_str(&world.read(file)).expect("it is JSON") };
    let wandb = config("results/s/trials/0003/seen");
    let own = |name: &str| &wandb[name]["value"];
    assert_eq!((own("version"), &own("optimizer")["lr"]), (&"007".into(), &2e-5.into()));
    assert!(!world.path("results/s/trials/0003/settings.json").exists(), "no argument names it");
    assert_eq!(wandb["optimizer"]["value"]["nested"]["betas"], serde_json::json!([0.9, "x"]));
}

/// Numbers under any name go to the tables and the charts, whatever the trials are ranked by.
#[test]
fn every_number_that_a_program_tells_is_kept_under_its_name() {
    let script = "echo '{\"train/loss\": 9}'
for epoch in 1 2 3; do
    echo \"{\\\"epoch\\\": $epoch, \\\"reward\\\": $((epoch * (4 - epoch))), \\\"f1\\\": 0.$epoch, \\\"_step\\\": 1}\"
done
";
    let world = program(script, "metric: {name: reward, goal: maximize}\n");
    world.expect("run s.yaml --progress none", 0);
    let first = |table: &str, name: &str| world.column(&format!("results/s/{table}.csv"), name);
    assert_eq!(first("epochs", "f1"), ["0.1", "0.2", "0.3"]);
    assert_eq!(first("epochs", "train/loss"), ["9.0", "", ""]);
    assert_eq!((first("trials", "best_f1"), first("trials", "last_f1")), (vec!["0.2".into()], vec!["0.3".into()]));
    assert_eq!(first("trials", "best_reward"), ["4.0"]);
    let header = world.read("results/s/epochs.csv");
    assert!(!header.contains("_step"), "{header}");
    let chart = world.read("results/s/trials/0001/curves.svg");
    assert!(
        ["reward", "f1", "train/loss"].iter().all(|name| chart.contains(name)) && !chart.contains("Accuracy"),
        "{chart}"
    );
    assert!(world.read("results/s/charts/validation.svg").contains("reward"));
    let report = world.read("results/s/report.md");
    assert!(report.contains("| reward |") && !report.contains("accuracy gap |"), "{report}");
}

#[test]
fn a_plan_of_a_program_says_nothing_of_networks() {
    let world = program("", "");
    let plan: serde_json::Value = serde_json::from_str(&world.expect("plan s.yaml --json", 0)).expect("it is JSON");
    assert_eq!(plan["program"]["command"][1], "train.sh");
    assert!(plan.get("data").is_none() && plan.get("networks").is_none(), "{plan:#}");
}

#[test]
fn a_secret_of_the_environment_reaches_the_program_and_no_file() {
    let world = World::new();
    world.write("tell", "#!/bin/sh\n[ \"$1\" = key-s3cret ] && echo '{\"val_loss\": 1}'\n");
    std::fs::set_permissions(world.path("tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    world.write("s.yaml", "name: s\ncommand: [./tell, \"key-${envvar:API_KEY}\"]\ndevices: {gpus: none}\n");
    let output = world.sweep("run s.yaml").env("API_KEY", "s3cret").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut files = vec![world.path("results")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("s3cret"), "{}", path.display());
        }
    }
    let text = world.expect("run s.yaml --name without", 1);
    assert!(text.contains("needs the environment variable API_KEY"), "{text}");
}

#[test]
fn a_program_that_is_not_there_is_told_before_anything_is_written() {
    let world = program("", "");
    let head = "name: s\ndevices: {gpus: none}\n";
    for (rest, told, remedy) in [
        ("command: [sh, trian.sh]\n", "command[1]: the file trian.sh does not exist", "did you mean `train.sh`?"),
        ("command: [shh-no-such, train.sh]\n", "the program shh-no-such is not on PATH", "= help: "),
        ("command: [./train.sh]\n", "train.sh is not executable", "chmod +x"),
        ("command: [train.sh]\n", "the program train.sh is not on PATH", "write `./train.sh`"),
        (
            "program: nothere.py\ncommand: [sh, \"${program}\"]\n",
            "program: the file nothere.py does not exist",
            "looks in the folder where it is called",
        ),
        ("command: [sh, train.sh, \"${arg}\"]\n", "contains ${arg}, which is not a macro", "did you mean `${args}`?"),
    ] {
        world.write("s.yaml", &format!("{head}{rest}"));
        for words in ["plan s.yaml", "run s.yaml", "check s.yaml"] {
            let text = world.expect(words, 3);
            assert!(text.contains(told) && text.contains(remedy), "{text}");
        }
        assert!(!world.path("results").exists(), "{rest}");
    }
}

#[test]
fn a_program_that_has_gone_fails_a_trial_at_once_and_a_resume_before_it_begins() {
    let world = World::new();
    world.write("tell", "#!/bin/sh\n[ $1 = --x=1 ] && rm tell\necho '{\"val_loss\": 1}'\n");
    std::fs::set_permissions(world.path("tell"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let head = "name: s\ncommand: [./tell, \"${args}\"]\ndevices: {gpus: none, cpu_threads: 1000}\n";
    world.write("s.yaml", &format!("{head}parameters: {{x: {{values: [1, 2]}}}}\n"));
    world.expect("run s.yaml --progress none", 1);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished", "failed"]);
    assert_eq!(world.column("results/s/trials.csv", "attempts"), ["1", "1"]);
    let error = &world.column("results/s/trials.csv", "error")[1];
    assert!(error.contains("./tell cannot be started: No such file"), "{error}");
    let text = world.expect("resume results/s --retry-failed", 3);
    assert!(text.contains("the file ./tell does not exist"), "{text}");
}

#[test]
fn a_check_of_a_program_says_what_it_could_look_at() {
    let text = program("", "").expect("check s.yaml", 0);
    assert!(text.contains("The program and its files exist") && text.contains("not known to sweep"), "{text}");
}

#[test]
fn epochs_have_the_programs_own_numbers_and_rows_of_one_epoch_are_one() {
    let script = "for epoch in 5 10 15; do
    for step in 1 2 3; do echo \"{\\\"epoch\\\": $epoch, \\\"train_loss\\\": $step}\"; done
    echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": $epoch}\"
done
";
    let world = program(script, "metric: {name: score, goal: maximize}\n");
    world.expect("run s.yaml --progress none", 0);
    let column = |name: &str| world.column("results/s/epochs.csv", name);
    assert_eq!(column("epoch"), ["5", "10", "15"]);
    assert_eq!(
        (column("train_loss"), column("score")),
        (vec!["2.0".to_owned(); 3], ["5.0", "10.0", "15.0"].map(str::to_owned).into())
    );
    assert_eq!(world.column("results/s/trials.csv", "best_epoch"), ["15"]);
}

#[test]
fn a_wrong_name_of_the_metric_is_warned_of_and_fails_the_trial() {
    let script =
        "for epoch in 1 2 3; do echo \"{\\\"epoch\\\": $epoch, \\\"val_f2\\\": 0.5, \\\"train_loss\\\": 1}\"; done\n";
    let rest = "metric: {name: val_f1, goal: maximize}\nparameters: {x: {values: [1, 2, 3, 4, 5, 6]}}\n";
    let world = program(script, rest);
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: none", "gpus: none, cpu_threads: 1000"));
    let text = world.expect("run s.yaml --progress plain", 1);
    assert!(text.contains("stopped because every trial failed"), "{text}");
    assert_eq!(text.matches("reports epochs without val_f1").count(), 1, "{text}");
    assert!(text.contains("did you mean `val_f2`?"), "{text}");
    assert_eq!(world.column("results/s/trials.csv", "status"), ["failed", "failed"]);
    let error = &world.column("results/s/trials.csv", "error")[0];
    assert!(error.contains("it reported train_loss, val_f2") || error.contains("it reported val_f2"), "{error}");
}

#[test]
fn a_grid_without_a_metric_runs_and_nothing_is_ranked() {
    let world = program("echo done\n", "method: grid\nparameters: {x: {values: [1, 2]}}\n");
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished", "finished"]);
    let report = world.read("results/s/report.md");
    assert!(report.contains("Trials were not ranked: the sweep file names no metric."), "{report}");
}

#[test]
fn a_metric_without_a_goal_goes_the_way_that_its_name_says() {
    let world =
        program("echo \"{\\\"acc\\\": ${1#--x=}}\"\n", "metric: {name: acc}\nparameters: {x: {values: [1, 3, 2]}}\n");
    let text = world.expect("run s.yaml --progress plain", 0);
    assert!(text.contains("sweep maximizes acc because of its name; W&B minimizes it"), "{text}");
    let best = |world: &World| world.read("results/s/report.md").contains("Trial 0002 is ahead");
    assert!(best(&world), "{}", world.read("results/s/report.md"));
    // What a file says otherwise can be corrected without running anything.
    world.expect("report results/s --goal minimize", 0);
    assert!(world.read("results/s/report.md").contains("Trial 0001 is ahead"));
    world.write("s.yaml", &world.read("s.yaml").replace("{name: acc}", "{name: acc, goal: minimize}"));
    let text = world.expect("extend results/s s.yaml --yes", 0);
    assert!(text.contains("metric: the highest acc → the lowest acc"), "{text}");
    world.expect("report results/s", 0);
    assert!(world.read("results/s/report.md").contains("Trial 0001 is ahead"));
    assert_eq!(world.column("results/s/trials.csv", "attempts"), ["1", "1", "1"]);
}

#[test]
fn a_usage_error_ends_the_sweep_with_the_command_and_the_last_words() {
    let script = "echo 'usage: train.sh [-h]' >&2\necho 'train.sh: error: unrecognized arguments: --x=1' >&2\n\
                  echo 'wandb: bye' >&2\nexit 2\n";
    let world = program(script, "parameters: {x: {values: [1, 2, 3, 4, 5, 6, 7, 8]}}\n");
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: none", "gpus: none, cpu_threads: 1000"));
    let text = world.expect("run s.yaml --progress plain", 1);
    assert!(text.contains("last output: train.sh: error: unrecognized arguments: --x=1"), "{text}");
    assert!(text.contains("the command was: sh train.sh --x="), "{text}");
    let journal = world.read("results/s/journal.jsonl");
    assert_eq!(journal.matches("\"is\":\"started\"").count(), 2, "{journal}");
}

#[test]
fn a_python_program_that_cannot_begin_ends_the_sweep_at_its_second_attempt() {
    // The last words differ in numbers, paths and values.
    let script = "import argparse, os, sys
parser = argparse.ArgumentParser()
for name in ['--opt', '--lr']:
    parser.add_argument(name)
lr = parser.parse_args().lr
raise RuntimeError(f'{lr} of {os.environ[\"SWEEP_TRIAL_DIR\"]} at {hex(id(sys))}')
";
    for (script, told) in [
        ("import sys\nimport a_module_that_is_missing\n", "No module named 'a_module_that_is_missing'"),
        (script, "RuntimeError"),
    ] {
        let world = World::new();
        world.write("train.py", script);
        let head = "name: s\nprogram: train.py\ndevices: {gpus: none, cpu_threads: 1000}\n";
        world.write(
            "s.yaml",
            &format!("{head}parameters: {{opt: {{values: [sgd, adam, lion]}}, lr: {{values: [0.1, 1e-5]}}}}\n"),
        );
        let text = world.expect("run s.yaml --progress plain", 1);
        assert!(text.contains(told) && text.contains("results/s FILE --run"), "{text}");
        let journal = world.read("results/s/journal.jsonl");
        assert_eq!(journal.matches("\"is\":\"started\"").count(), 2, "{journal}");
    }
}

#[test]
fn a_command_that_was_wrong_is_corrected_by_extend_and_by_a_new_name() {
    let script = "[ $1 = good ] || { echo 'train.sh: error: wrong' >&2; exit 2; }\necho '{\"score\": 1}'\n";
    let world = program(script, "metric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2, 3]}}\n");
    let text = world.expect("run s.yaml --progress none", 1);
    assert!(text.contains("results/s FILE --run"), "{text}");
    world.write("s.yaml", &world.read("s.yaml").replace("train.sh,", "train.sh, good,"));
    world.expect("run s.yaml --name again --progress none", 0);
    let text = world.expect("extend results/s s.yaml --yes", 0);
    assert!(text.contains("program or command"), "{text}");
    let retry = if text.contains("resume --retry-failed results/s") { "--retry-failed " } else { "" };
    world.expect(&format!("resume {retry}results/s --progress none"), 0);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished"; 3]);
    // Now there is something that other commands could not be compared with.
    world.write("s.yaml", &world.read("s.yaml").replace("good,", "good, better,"));
    assert!(world.expect("extend results/s s.yaml --yes", 2).contains("program or command"));
    // Trials that have failed are tried again, too.
    let world = program(script, "retries: 0\nmetric: {name: score, goal: maximize}\n");
    world.expect("run s.yaml --progress none", 1);
    world.write("s.yaml", &world.read("s.yaml").replace("train.sh,", "train.sh, good,"));
    world.expect("extend results/s s.yaml --yes --run --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished"]);
}

#[test]
fn a_program_that_a_rule_stops_is_reported_as_stopped_by_the_rule() {
    let script = "echo \"{\\\"epoch\\\": 1, \\\"score\\\": ${1#--x=}}\"\n[ $1 = --x=9 ] || exec sleep 30\n";
    let world = program(
        script,
        "metric: {name: score, goal: maximize}\nearly_terminate: {type: hyperband, min_iter: 1}\nparameters: {x: \
         {values: [9, 1]}}\n",
    );
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: none", "gpus: none, cpu_threads: 1000"));
    let text = world.expect("run s.yaml --progress plain", 0);
    assert!(text.contains("trial 0002: stopped by hyperband after 1 epochs"), "{text}");
    assert!(!text.contains("nothing shows") && !text.contains("signal"), "{text}");
}

#[test]
fn asha_says_that_a_program_without_a_checkpoint_starts_over() {
    let script =
        "for epoch in 1 2 3; do\n    echo \"{\\\"epoch\\\": $epoch, \\\"score\\\": ${1#--x=}}\"\n    sleep 0.5\ndone\n";
    let world = program(
        script,
        "metric: {name: score, goal: maximize}\nearly_terminate: {type: asha, min_iter: 1}\nparameters: {x: {values: \
         [6, 5, 4, 3, 2, 1]}}\n",
    );
    let note = "then starts over; hyperband and median pause no trial";
    for command in ["plan", "lint"] {
        let text = world.expect(&format!("{command} s.yaml"), 0);
        assert!(text.contains(note), "{text}");
    }
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: none", "gpus: none, cpu_threads: 1000"));
    let text = world.expect("run s.yaml --progress plain", 0);
    assert_eq!(text.matches("warning: it starts over after 1 epochs: asha pauses trials").count(), 1, "{text}");
    assert!(text.contains("trial 0001: paused by asha after 1 epochs; it may not have saved a checkpoint"), "{text}");
}

#[test]
fn a_library_that_is_switched_off_is_named() {
    let world = program("exit 0\n", SCORE);
    let output = world.sweep("run s.yaml --progress plain").env("WANDB_MODE", "disabled").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("WANDB_MODE is `disabled`") && text.contains("unset it"), "{text}");
}

#[test]
fn the_status_of_a_program_shows_its_training_loss_and_its_metric() {
    let script =
        "echo '{\"epoch\": 3, \"train_loss\": 0.625, \"score\": 7.5}'\nwhile [ ! -e go ]; do sleep 0.01; done\n";
    let world = program(script, SCORE);
    let run = world.sweep("run s.yaml --progress none").spawn().unwrap();
    let journal = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
    wait_until("it has begun", Duration::from_secs(20), || journal().contains("\"is\":\"row\""));
    let status = world.expect("status results/s", 0);
    world.write("go", "");
    run.wait_with_output().unwrap();
    let (title, row) =
        (status.lines().find(|line| line.contains("train loss")), status.lines().find(|line| line.contains("0.6250")));
    assert!(
        title.is_some_and(|title| title.contains("score")) && row.is_some_and(|row| row.contains("7.5")),
        "{status}"
    );
}

/// Writes a row, then its checkpoint; goes on from that.
const SAVING: &str = "state=$SWEEP_TRIAL_DIR/state
file=$SWEEP_TRIAL_DIR/metrics.csv
epoch=0
[ $SWEEP_RESUME = 1 ] && [ -e $state ] && read -r epoch <$state
[ $epoch = 0 ] && echo epoch,score >$file
while [ $epoch -lt 8 ]; do
    epoch=$((epoch + 1))
    sleep 0.02
    echo $epoch,$((epoch * 10)) >>$file
    echo $epoch >$state.new
    mv $state.new $state
done
";

/// The same without a checkpoint: it begins anew.
const FORGETFUL: &str = "echo epoch,score >$SWEEP_TRIAL_DIR/metrics.csv
for epoch in 1 2 3 4 5 6 7 8; do
    sleep 0.02
    echo $epoch,$((epoch * 10)) >>$SWEEP_TRIAL_DIR/metrics.csv
done
";

#[test]
fn no_epoch_of_a_program_is_lost_or_mixed_up_when_the_controller_is_killed() {
    for script in [SAVING, FORGETFUL] {
        let world = program(script, "metrics_file: metrics.csv\nmetric: {name: score, goal: maximize}\n");
        for round in 0..4_u64 {
            let words = if round == 0 { "run s.yaml --progress none" } else { "resume results/s --progress none" };
            let mut controller = world.sweep(words).spawn().expect("sweep can be started");
            let rows = || {
                std::fs::read_to_string(world.path("results/s/trials/0001/metrics.csv"))
                    .map_or(0, |text| text.lines().count())
            };
            let before = if round == 0 { 0 } else { rows() };
            // At another moment in each round: just when so many rows have been written.
            wait_until("rows are written", Duration::from_secs(20), || {
                rows() > 1 + (before + round as usize) % 6 || controller.try_wait().expect("it is our child").is_some()
            });
            let _ = controller.kill();
            controller.wait().expect("it is our child");
            let left = || {
                processes_naming(Path::new("train.sh"))
                    .iter()
                    .filter(|pid| {
                        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == world.path(""))
                    })
                    .count()
            };
            wait_until("the program is gone, too", Duration::from_secs(10), || left() == 0);
        }
        world.expect("resume results/s --progress none", 0);
        let column = |name: &str| world.column("results/s/epochs.csv", name);
        assert_eq!(
            column("epoch"),
            ["1", "2", "3", "4", "5", "6", "7", "8"],
            "{}",
            world.read("results/s/journal.jsonl")
        );
        assert_eq!(column("score"), ["10.0", "20.0", "30.0", "40.0", "50.0", "60.0", "70.0", "80.0"]);
    }
}

#[test]
fn a_failed_program_is_tried_again_from_its_checkpoint_or_from_an_empty_folder() {
    let script = SAVING.replace("    sleep 0.02\n", "    [ $epoch = 4 ] && [ ! -e go ] && exit 7\n")
        + "ls $SWEEP_TRIAL_DIR >seen\necho $SWEEP_RESUME >resumed\n";
    let rest = "metrics_file: metrics.csv\nmetric: {name: score, goal: maximize}\nretries: 0\n";
    for (option, resumed, attempts) in [("--retry-failed", "1", "2"), ("--retry-failed --from-scratch", "0", "2")] {
        let world = program(
            &script
                .replace("epoch=0\n", "epoch=0\necho $SWEEP_RESUME >resumed\n")
                .replace(">seen\necho $SWEEP_RESUME >resumed", ">seen"),
            rest,
        );
        world.expect("run s.yaml --progress none", 1);
        assert_eq!(world.column("results/s/epochs.csv", "epoch"), ["1", "2", "3"]);
        world.write("go", "");
        world.write("results/s/trials/0001/left", "");
        world.expect(&format!("resume results/s {option} --progress none"), 0);
        assert_eq!(world.column("results/s/epochs.csv", "score").len(), 8, "{option}");
        assert_eq!(world.column("results/s/trials.csv", "attempts"), [attempts]);
        assert_eq!(world.read("resumed").trim(), resumed, "{option}");
        assert_eq!(world.read("seen").lines().any(|name| name == "left"), resumed == "1", "{option}");
    }
}

/// Says when it has begun, and then does nothing until it is told to end.
const WAITING: &str =
    "trap 'exit 0' TERM\necho '{\"epoch\": 1, \"score\": 1}'\n[ -e go ] && exit 0\nsleep 1000 & wait\n";

#[test]
fn slurms_signals_save_and_end_as_sigterm_does_and_nohup_stays_in_force() {
    for signal in [Signal::USR1, Signal::USR2, Signal::HUP] {
        let world = program(WAITING, "metric: {name: score, goal: maximize}\n");
        // The tests themselves may run under nohup.
        let mut command = std::process::Command::new("env");
        command.args(["--default-signal", env!("CARGO_BIN_EXE_sweep"), "run", "s.yaml", "--progress", "none"]);
        let mut run = command.current_dir(world.path("")).spawn().unwrap();
        let journal = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
        wait_until("it has begun", Duration::from_secs(20), || journal().contains("\"is\":\"row\""));
        // Twice, as a scheduler may: only Ctrl-C and SIGTERM mean more the second time.
        send(&run, signal);
        send(&run, signal);
        assert_eq!(run.wait().unwrap().code(), Some(130), "{signal:?}");
        assert!(journal().contains("\"is\":\"paused\""), "{}", journal());
        world.write("go", "");
        world.expect("resume results/s --progress none", 0);
    }
    let world = program(WAITING, "metric: {name: score, goal: maximize}\n");
    let mut command = std::process::Command::new("sh");
    let sweep = format!("trap '' HUP; exec {} run s.yaml --progress none", env!("CARGO_BIN_EXE_sweep"));
    let mut run = command.args(["-c", &sweep]).current_dir(world.path("")).spawn().unwrap();
    let journal = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
    wait_until("it has begun", Duration::from_secs(20), || journal().contains("\"is\":\"row\""));
    send(&run, Signal::HUP);
    std::thread::park_timeout(Duration::from_millis(500));
    assert!(run.try_wait().unwrap().is_none() && !journal().contains("\"is\":\"paused\""), "{}", journal());
    send(&run, Signal::TERM);
    assert_eq!(run.wait().unwrap().code(), Some(130));
}

#[test]
fn a_file_of_wandbs_runs_with_its_title_its_own_keys_and_a_count() {
    let world = World::new();
    world.write("train.sh", "echo '{\"acc\": 1}'\n");
    let text = "\u{feff}name: my first sweep\nproject: p\nsettings: {a: 1}\ntags: [x]\nmethod: random\n\
        command: [sh, train.sh, \"${args}\"]\nmetric: {name: acc, goal: maximize}\ndevices: {gpus: none}\n\
        early_terminate: {type: hyperband, min_iter: 3, s: 2}\n\
        parameters: {x: {min: 0.0, max: 1.0}, \"y\": {value: \"\\e[31m\"}}\n";
    world.write("w.yaml", text);
    let plan = world.expect("plan w.yaml", 0) + &world.expect("lint w.yaml", 0);
    assert!(!plan.contains('\u{1b}') && plan.contains("the sweep's folder is named my-first-sweep"), "{plan}");
    assert!(plan.contains("settings: has no effect") && plan.contains("tags: has no effect"), "{plan}");
    world.write("typo.yaml", &text.replace("tags:", "paramters:"));
    assert!(world.expect("plan typo.yaml", 3).contains("did you mean `parameters`?"));
    world.expect("run w.yaml --count 2 --progress none", 0);
    assert_eq!(world.column("results/my-first-sweep/trials.csv", "status"), ["finished", "finished"]);
    assert!(world.expect("resume results/my-first-sweep", 0).contains("All trials have ended: 2 finished"));
    // A job that is queued again types the same.
    let again = world.expect("run w.yaml --count 2 --or-resume", 0);
    assert!(again.contains("All trials have ended: 2 finished"), "{again}");
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_not_the_controllers_end() {
    let world = program(
        "i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); echo \"{\\\"score\\\": $i}\"; done\n",
        "metric: {name: score, goal: maximize}\n",
    );
    let mut command = std::process::Command::new("sh");
    let sweep = format!("ulimit -f 40; exec {} run s.yaml --progress none", env!("CARGO_BIN_EXE_sweep"));
    let output = command.args(["-c", &sweep]).current_dir(world.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    world.expect("resume results/s --progress none", 0);
}

#[test]
fn the_next_file_of_a_program_runs_from_where_it_lies() {
    let world = program(
        "echo \"{\\\"score\\\": ${1#--x=}}\"\n",
        "metric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2]}}\n",
    );
    world.expect("run s.yaml --progress none", 0);
    let next = world.read("results/s/next.yaml");
    assert!(next.contains("../.."), "{next}");
    world.expect("plan results/s/next.yaml", 0);
    world.expect("run results/s/next.yaml --progress none", 0);
    assert!(world.column("results/s-next/trials.csv", "status").iter().all(|status| status == "finished"));
    // Its own copy in the results goes on, too.
    assert!(world.expect("resume results/s-next", 0).contains("All trials have ended"));
}

#[test]
fn a_folder_that_vanishes_ends_the_sweep_and_fails_no_trial() {
    let world = World::new();
    std::fs::create_dir(world.path("sub")).unwrap();
    world.write("sub/train.sh", "echo '{\"score\": 1}'\n[ $SWEEP_TRIAL = 2 ] && mv ../sub ../gone\nexit 0\n");
    world.write(
        "sub/s.yaml",
        "name: s\ncommand: [sh, train.sh]\nmetric: {name: score, goal: maximize}\n\
         devices: {gpus: none, cpu_threads: 1000}\nparameters: {x: {values: [1, 2, 3, 4]}}\n",
    );
    let text = world.expect("run sub/s.yaml --progress none", 5);
    assert!(text.contains("sub does not exist, but programs start in it"), "{text}");
    std::fs::rename(world.path("gone"), world.path("sub")).unwrap();
    world.expect("resume results/s --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "status"), ["finished"; 4]);
}

#[test]
fn a_lock_that_is_a_symbolic_link_is_not_followed() {
    let world = program("echo '{\"score\": 1}'\n", "metric: {name: score, goal: maximize}\n");
    world.write("precious", "do not overwrite");
    std::fs::create_dir_all(world.path("results/s")).unwrap();
    std::os::unix::fs::symlink(world.path("precious"), world.path("results/s/.lock")).unwrap();
    let text = world.expect("run s.yaml --progress none", 5);
    assert!(text.contains("it is a symbolic link: remove it"), "{text}");
    assert_eq!(world.read("precious"), "do not overwrite");
}

#[test]
fn a_program_that_prints_as_fast_as_it_can_is_bounded() {
    let script = "i=0; while [ $i -lt 30 ]; do i=$((i + 1)); seq -f '{\"score\": %g, \"f1\": 1}' 1 10000; done\n";
    let world = program(script, "metric: {name: score, goal: maximize}\n");
    world.expect("run s.yaml --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "epochs"), ["100000"]);
    let log = world.read("results/s/trials/0001/trainer.log");
    assert!(log.contains("epochs after the first 100000 are left out") && log.len() < 5 << 20, "{}", log.len());
}

/// Says where it runs, and waits to be interrupted unless it may go on.
const WHERE: &str = "pwd >$SWEEP_TRIAL_DIR/where\necho '{\"score\": 1}'\n";

#[test]
fn a_program_is_found_where_sweep_is_called_beside_the_file_or_in_the_root_of_the_repository() {
    let file = "name: s\nprogram: train.sh\ncommand: [sh, \"${program}\"]\ndevices: {gpus: none}\n\
                metric: {name: score, goal: maximize}\n";
    for (program, called, note) in [
        ("work/train.sh", "work", "where `sweep` is called"),
        ("repository/sweeps/deep/train.sh", "work", ""),
        ("repository/train.sh", "work", "the root of the Git repository"),
    ] {
        let world = World::new();
        for folder in ["repository/.git", "repository/sweeps/deep", "work"] {
            std::fs::create_dir_all(world.path(folder)).unwrap();
        }
        world.write(program, WHERE);
        let path = world.path("repository/sweeps/deep/s.yaml");
        std::fs::write(&path, file).unwrap();
        let run = |words: &str| {
            let mut command = world.sweep(words);
            let output =
                command.arg(&path).args(["--progress", "none"]).current_dir(world.path(called)).output().unwrap();
            String::from_utf8_lossy(&output.stderr).into_owned()
        };
        let told = run("run");
        assert!(told.contains(note) && told.contains("note: trials start in") != note.is_empty(), "{told}");
        let folder = std::fs::canonicalize(world.path(program)).unwrap().parent().unwrap().to_owned();
        let ran = world.read("work/results/s/trials/0001/where");
        assert_eq!(std::fs::canonicalize(ran.trim()).unwrap(), folder, "{told}");
        // The same folder later, wherever `sweep` is called then.
        std::fs::remove_file(world.path("work/results/s/trials/0001/where")).unwrap();
        let journal = world.read("work/results/s/journal.jsonl");
        let kept: Vec<&str> = journal.lines().filter(|line| !line.contains("\"is\":\"ended\"")).take(2).collect();
        world.write("work/results/s/journal.jsonl", &(kept.join("\n") + "\n"));
        world.expect("resume work/results/s --progress none", 0);
        let ran = world.read("work/results/s/trials/0001/where");
        assert_eq!(std::fs::canonicalize(ran.trim()).unwrap(), folder);
    }
}

#[test]
fn dir_decides_where_a_program_starts_and_a_second_program_of_that_name_is_named() {
    let world = World::new();
    for folder in ["sweeps", "other"] {
        std::fs::create_dir_all(world.path(folder)).unwrap();
        world.write(&format!("{folder}/train.sh"), WHERE);
    }
    world.write("train.sh", WHERE);
    let head = "program: train.sh\ncommand: [sh, \"${program}\"]\ndevices: {gpus: none}\n";
    world.write("sweeps/s.yaml", &format!("name: s\n{head}metric: {{name: score, goal: maximize}}\n"));
    let told = world.expect("run sweeps/s.yaml --progress none", 0);
    assert!(told.contains("(where `sweep` is called; the program is also in "), "{told}");
    world.expect("run sweeps/s.yaml --name t --dir other --progress none", 0);
    assert!(world.read("results/t/trials/0001/where").ends_with("/other\n"));
    for words in ["plan sweeps/s.yaml", "check sweeps/s.yaml", "run sweeps/s.yaml --name u"] {
        let text = world.expect(&format!("{words} --dir nowhere"), 2);
        assert!(text.contains("--dir nowhere: there is no such folder"), "{text}");
        let text = world.expect(&format!("{words} --dir results"), 3);
        assert!(text.contains("the file train.sh does not exist in "), "{text}");
    }
    world.write("n.yaml", "data: {set: digits}\nmodel: linear\n");
    assert!(world.expect("plan n.yaml --dir .", 2).contains("the sweep file has no `program`"));
    // What the sweep began with stays, wherever a changed copy of its file lies.
    world.write("other/more.yaml", &format!("{head}metric: {{name: score, goal: maximize}}\nrepeats: 2\n"));
    world.expect("extend results/s other/more.yaml --yes --run --progress none", 0);
    assert_eq!(world.read("results/s/trials/0001/where"), world.read("results/s/trials/0002/where"));
    // The next file runs from there, too.
    world.expect("plan results/t/next.yaml", 0);
    let next = world.read("results/t/next.yaml");
    assert!(next.contains("folder: \"../../other\""), "{next}");
}

#[test]
fn a_plan_shows_how_the_first_trial_is_started() {
    let world = World::new();
    std::fs::create_dir_all(world.path("src")).unwrap();
    std::fs::create_dir_all(world.path(".venv/bin")).unwrap();
    world.write("src/train.py", "");
    world.write(".venv/bin/python", "#!/bin/sh\n[ $1 = src/train.py ] && echo '{\"val_loss\": 1}'\n");
    std::fs::set_permissions(world.path(".venv/bin/python"), std::fs::Permissions::from_mode(0o755)).unwrap();
    world.write(
        "s.yaml",
        "name: s\nprogram: src/train.py\ncommand: [\"${env}\", \"${interpreter}\", \"${program}\", \"${args}\", \
         \"--key=${envvar:API_KEY}\"]\nparameters: {text: {values: [a b, c]}, lr: {value: 0.00002}}\ndevices: {gpus: none}\n",
    );
    let output = world.sweep("plan s.yaml").env_remove("VIRTUAL_ENV").env("API_KEY", "s3cret").output().unwrap();
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    let python = world.path(".venv/bin/python");
    let command =
        format!("/usr/bin/env {} src/train.py --lr=2e-05 '--text=a b' '--key=${{envvar:API_KEY}}'", python.display());
    assert!(plan.contains(&command) && !plan.contains("s3cret"), "{plan}");
    assert!(
        plan.contains("(`.venv` in the working folder)") && plan.contains("(the folder of the sweep file)"),
        "{plan}"
    );
    let output = world.sweep("plan s.yaml --json").env_remove("VIRTUAL_ENV").output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let first = &json["program"]["first"];
    assert_eq!(first["command"][3], "--lr=2e-05");
    assert_eq!(first["interpreter"], python.to_str().unwrap());
    let run = world.sweep("run s.yaml --progress none").env_remove("VIRTUAL_ENV").env("API_KEY", "s3cret").output();
    assert!(run.unwrap().status.success());
    let output = world.sweep("plan s.yaml").env("VIRTUAL_ENV", world.path(".venv")).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("VIRTUAL_ENV)"));
}

/// Needs two seconds to save once it is asked to, which a file in its folder shows.
const SLOW_TO_SAVE: &str = "trap 'sleep 2; touch $SWEEP_TRIAL_DIR/saved; exit 0' TERM
echo '{\"epoch\": 1, \"score\": 1}'
[ -e go ] && exit 0
sleep 1000 & wait
";

#[test]
fn stop_grace_is_how_long_a_program_may_save_and_saved_is_said_of_one_that_did() {
    let killed = "trial 0001: stopped; it may not have saved a checkpoint: the program was killed: it ran for 0 s after SIGTERM (`stop_grace`)";
    let unhandled = "echo '{\"epoch\": 1, \"score\": 1}'\n[ -e go ] && exit 0\nexec sleep 1000\n";
    let died = "trial 0001: stopped; it may not have saved a checkpoint: the program was killed by signal 15 when it was \
                asked to stop";
    for (script, grace, told) in
        [(SLOW_TO_SAVE, 30, "trial 0001: saved"), (SLOW_TO_SAVE, 0, killed), (unhandled, 5, died)]
    {
        let world = program(script, &format!("metric: {{name: score, goal: maximize}}\nstop_grace: {grace}\n"));
        let mut run = world.sweep("run s.yaml --progress plain");
        let run = run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let journal = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
        wait_until("it has begun", Duration::from_secs(20), || journal().contains("\"is\":\"row\""));
        send(&run, Signal::INT);
        let output = run.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains(told), "{told} is not in {text}");
        assert_eq!(text.contains("trial 0001: saved"), grace == 30, "{text}");
        assert_eq!(world.path("results/s/trials/0001/saved").exists(), grace == 30);
        world.write("go", "");
        world.expect("resume results/s --progress none", 0);
    }
    let world = program("", "stop_grace: 3601\n");
    assert!(world.expect("plan s.yaml", 3).contains("stop_grace"));
    world.write("n.yaml", "data: {set: digits}\nmodel: linear\nstop_grace: 3\n");
    assert!(world.expect("plan n.yaml", 3).contains("stop_grace: has no effect without a `program`"));
}

#[test]
fn exit_code_75_is_tried_again_without_a_fault_and_78_is_a_configuration_that_cannot_run() {
    let script = "case $1 in
--x=1) [ -e $SWEEP_TRIAL_DIR/twice ] && echo '{\"score\": 1}' && exit 0
       [ -e $SWEEP_TRIAL_DIR/once ] && touch $SWEEP_TRIAL_DIR/twice
       touch $SWEEP_TRIAL_DIR/once
       exit 75 ;;
--x=2) echo 'heads must divide width' >&2; exit 78 ;;
*) echo '{\"score\": 3}' ;;
esac
";
    let world =
        program(script, "retries: 0\nmetric: {name: score, goal: maximize}\nparameters: {x: {values: [1, 2, 3]}}\n");
    let text = world.expect("run s.yaml --progress plain", 0);
    let asks = "trial 0001: the program asks to be started again later (exit code 75)";
    assert_eq!(text.matches(asks).count(), 2, "{text}");
    assert!(text.contains("2 finished") && text.contains("1 impossible"), "{text}");
    let column = |name: &str| world.column("results/s/trials.csv", name);
    assert_eq!(column("status"), ["finished", "impossible", "finished"]);
    assert_eq!(column("attempts"), ["3", "1", "1"]);
    let error = &column("error")[1];
    assert!(error.contains("exit code 78") && error.contains("heads must divide width"), "{error}");
    assert!(world.read("results/s/report.md").contains("1 impossible"));
    let journal = world.read("results/s/journal.jsonl");
    assert!(!journal.contains("\"is\":\"lost\""), "{journal}");
    // It is not tried once more, either.
    world.expect("resume results/s --retry-failed", 0);
    assert_eq!(column("attempts"), ["3", "1", "1"]);
    // A sweep in which most configurations cannot run goes on.
    let values = (1..=12).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let world = program(
        "[ $1 = --x=12 ] && echo '{\"score\": 3}' && exit 0\nexit 78\n",
        &format!("metric: {{name: score, goal: maximize}}\nparameters: {{x: {{values: [{values}]}}}}\n"),
    );
    let text = world.expect("run s.yaml --progress plain", 0);
    assert!(text.contains("11 impossible"), "{text}");
}

/// A program that reports one epoch.
const SHORT: &str = "echo '{\"score\": 1}'\n";
const SCORE: &str = "metric: {name: score, goal: maximize}\n";

#[test]
fn a_folder_that_is_no_sweeps_is_not_written_into() {
    let world = program(SHORT, SCORE);
    std::fs::create_dir_all(world.path("results/s")).unwrap();
    world.write("results/s/thesis.tex", "years of work");
    let text = world.expect("run s.yaml --progress none", 2);
    assert!(text.contains("results/s is not the folder of a sweep: it contains thesis.tex"), "{text}");
    assert_eq!(std::fs::read_dir(world.path("results/s")).unwrap().count(), 1, "nothing was written");
    // What a start that was killed has left is no obstacle.
    std::fs::remove_file(world.path("results/s/thesis.tex")).unwrap();
    world.write("results/s/sweep.yaml", "half of a f");
    world.write("results/s/.lock", "");
    world.expect("run s.yaml --progress none", 0);
}

#[test]
fn a_sweep_file_that_was_edited_in_the_results_is_refused_and_extend_takes_it() {
    let world = program(SHORT, &format!("{SCORE}parameters: {{x: {{values: [1, 2]}}}}\n"));
    world.expect("run s.yaml --progress none", 0);
    let edited = world.read("results/s/sweep.yaml").replace("[1, 2]", "[1, 2, 3]");
    world.write("results/s/sweep.yaml", &edited);
    for words in ["resume results/s", "status results/s", "report results/s", "run s.yaml --or-resume"] {
        let text = world.expect(words, 2);
        assert!(text.contains("sweep.yaml:5:1: the file was changed"), "{text}");
        assert!(text.contains("sweep extend results/s FILE") || text.contains("/results/s FILE"), "{text}");
    }
    // The original undoes the edit.
    let text = world.expect("extend results/s s.yaml --yes", 0);
    assert!(text.contains("is the file in the journal again"), "{text}");
    world.expect("status results/s", 0);
    // The edited file extends the sweep.
    world.write("results/s/sweep.yaml", &edited);
    world.write("more.yaml", &edited);
    world.expect("extend results/s more.yaml --yes --run --progress none", 0);
    assert_eq!(world.column("results/s/trials.csv", "x"), ["1", "2", "3"]);
    assert_eq!(world.read("results/s/sweep.yaml"), edited);
    world.expect("status results/s", 0);
}

#[test]
fn a_sweeps_own_copy_of_its_file_can_be_planned_and_run_from_there() {
    let world = World::new();
    std::fs::create_dir_all(world.path("sweeps/code")).unwrap();
    std::fs::create_dir_all(world.path("elsewhere")).unwrap();
    world.write("sweeps/code/train.sh", SHORT);
    world.write(
        "sweeps/s.yaml",
        &format!("name: s\nfolder: code\ncommand: [sh, train.sh]\ndevices: {{gpus: none}}\n{SCORE}"),
    );
    world.expect("run sweeps/s.yaml --progress none", 0);
    let run = |words: &str| {
        let output = world.sweep(words).current_dir(world.path("elsewhere")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{words}: {text}");
        text
    };
    run("plan ../results/s/sweep.yaml");
    run("run ../results/s/sweep.yaml --name again --progress none");
    assert_eq!(world.column("elsewhere/results/again/trials.csv", "status"), ["finished"]);
}

#[test]
fn a_path_that_is_not_text_is_an_error_and_no_panic() {
    use std::os::unix::ffi::OsStrExt;
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let world = program(SHORT, SCORE);
    let folder = world.path("").join(odd);
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(world.path("s.yaml"), folder.join("s.yaml")).unwrap();
    std::fs::copy(world.path("train.sh"), folder.join("train.sh")).unwrap();
    let told = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("not UTF-8") && !text.contains("panicked"), "{text}");
        assert_eq!(output.status.code(), Some(2), "{text}");
    };
    told(world.sweep("run").arg(folder.join("s.yaml")));
    told(world.sweep("run s.yaml").current_dir(&folder));
    told(world.sweep("run s.yaml --results").arg(&folder));
    told(world.sweep("run s.yaml --dir").arg(&folder));
    // What is there already can be read from anywhere.
    world.expect("run s.yaml --progress none", 0);
    std::fs::rename(world.path("results/s"), folder.join("s")).unwrap();
    for command in ["status", "report", "show", "resume"] {
        let mut command = world.sweep(command);
        command.arg(folder.join("s"));
        if command.get_args().next().unwrap() == "show" {
            command.arg("1");
        }
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("panicked") && matches!(output.status.code(), Some(0 | 2)), "{command:?}: {text}");
    }
}

#[test]
fn whoever_stops_reading_the_output_changes_no_exit_code() {
    let script = "echo '{\"score\": 1}'\nwhile [ ! -e go ]; do sleep 0.01; done\n";
    for progress in ["plain", "json", "bars"] {
        let world = program(script, SCORE);
        let mut run = world.sweep(&format!("run s.yaml --progress {progress}"));
        let mut run = run.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let journal = || std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default();
        wait_until("it has begun", Duration::from_secs(20), || journal().contains("\"is\":\"row\""));
        drop((run.stdout.take(), run.stderr.take()));
        world.write("go", "");
        assert_eq!(run.wait().unwrap().code(), Some(0), "{progress}");
        assert!(world.path("results/s/report.html").exists());
        // A full disk of the reader is no failure of the sweep, either.
        let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut run = world.sweep(&format!("run s.yaml --name full --progress {progress}"));
        assert_eq!(run.stdout(full()).stderr(full()).status().unwrap().code(), Some(0), "{progress}");
        let closed =
            format!("exec {} run s.yaml --name closed --progress {progress} >&- 2>&-", env!("CARGO_BIN_EXE_sweep"));
        let mut run = std::process::Command::new("sh");
        assert_eq!(run.args(["-c", &closed]).current_dir(world.path("")).status().unwrap().code(), Some(0));
    }
}
