//! What is written down about programs: what ran, what they overwrite, how long they may take, and what the user noted.

use serde_json::Value;

use crate::world::World;

/// A world with a program in the language of the shell, which reports one epoch, and a sweep of it on one slot.
fn world(script: &str, rest: &str) -> World {
    let world = World::new();
    world.write("train.sh", &format!("{script}\necho '{{\"score\": 1}}'\n"));
    world.write(
        "s.yaml",
        &format!(
            "name: s\ncommand: [sh, train.sh, \"${{args}}\"]\ndevices: {{gpus: none, cpu_threads: 1000}}\n\
             metric: {{name: score, goal: maximize}}\n{rest}"
        ),
    );
    world
}

fn record(world: &World, trial: u32) -> Value {
    serde_json::from_str(&world.read(&format!("results/s/trials/{trial:04}/run.json"))).expect("it is JSON")
}

#[test]
fn what_ran_is_recorded_with_the_names_of_variables_and_no_value() {
    let world = world("", "parameters: {x: {value: 1}}\n");
    world.write(
        "s.yaml",
        &world.read("s.yaml").replace("[sh, train.sh", "[/usr/bin/env, sh, train.sh, \"--token=${envvar:TOKEN}\""),
    );
    let git = |words: &str| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]);
        let output = command.args(words.split(' ')).current_dir(world.path(".")).output().expect("git is installed");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git("init -q");
    git("add train.sh");
    git("commit -q -m first");
    let run = |name: &str| {
        let mut command = world.sweep(&format!("run s.yaml --progress none --name {name}"));
        assert!(command.env("TOKEN", "xyzzy-secret").status().expect("it starts").success());
    };
    run("s");
    let whole = record(&world, 1);
    let ran = &whole["attempts"][0];
    assert_eq!(ran["command"][3], "--token=${envvar:TOKEN}", "{ran}");
    assert_eq!(ran["git"]["commit"].as_str(), Some(git("rev-parse HEAD").as_str()), "{ran}");
    assert_eq!(
        (&ran["git"]["dirty"], &ran["attempt"], &ran["ended"]),
        (&false.into(), &1.into(), &"ended with exit code 0".into())
    );
    assert_eq!(ran["script"]["sha256"].as_str().map(str::len), Some(64), "{ran}");
    assert!(ran["interpreter"]["path"].as_str().is_some_and(|path| path.ends_with("/sh")), "{ran}");
    let names: Vec<&str> = ran["environment"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"TOKEN") && names.contains(&"SWEEP_SEED") && names.contains(&"PATH"), "{names:?}");
    assert!(!whole.to_string().contains("xyzzy"), "{whole}");
    world.write("train.sh", &format!("{}# changed\n", world.read("train.sh")));
    run("again");
    let again: Value = serde_json::from_str(&world.read("results/again/trials/0001/run.json")).unwrap();
    assert_eq!(again["attempts"][0]["git"]["dirty"], true);
    assert_ne!(again["attempts"][0]["script"]["sha256"], ran["script"]["sha256"]);
}

#[test]
fn the_version_of_a_python_is_recorded() {
    let world = World::new();
    world.write("train.py", "print('{\"score\": 1}')\n");
    world.write("s.yaml", "name: s\nprogram: train.py\ndevices: {gpus: none}\nmetric: {name: score, goal: maximize}\n");
    world.expect("run s.yaml --progress none", 0);
    let interpreter = record(&world, 1)["attempts"][0]["interpreter"].clone();
    assert!(interpreter["version"].as_str().is_some_and(|version| version.starts_with("Python 3.")), "{interpreter}");
}

#[test]
fn a_script_that_changed_while_the_sweep_ran_is_said_wherever_its_results_are() {
    // Trial 2 changes its script, and fails once.
    let script = "[ $SWEEP_TRIAL = 2 ] && [ ! -e again ] && touch again && echo '# changed' >>train.sh && exit 3";
    let world = world(script, "parameters: {x: {values: [1, 2, 3]}}\n");
    let run = world.expect("run s.yaml --progress none", 0) + &world.expect("status results/s", 0);
    let told = "Its 2 versions ran in trials 1, 2; trials 2, 3. It changed between attempts of trial 2.";
    assert!(run.contains(told), "{run}");
    let report = world.read("results/s/report.md");
    assert!(report.contains("The script changed while the sweep ran") && report.contains(told), "{report}");
    let attempts = record(&world, 2)["attempts"].as_array().unwrap().len();
    assert_eq!(attempts, 2);
    let json: Value = serde_json::from_str(&world.expect("status results/s --json", 0)).unwrap();
    assert!(json["script"].as_str().is_some_and(|script| script.contains(told)), "{json}");
    // A script that did not change is not mentioned.
    world.expect("run s.yaml --progress none --name same", 0);
    assert!(!world.read("results/same/report.md").contains("The script changed"));
}

#[test]
fn trials_that_write_the_same_file_are_warned_of_once() {
    let script = "echo $SWEEP_TRIAL >model.pt; echo $SWEEP_TRIAL >own-$SWEEP_TRIAL.pt; echo >train.yaml";
    let shared = world(script, "parameters: {x: {values: [1, 2, 3]}}\n");
    let told = shared.expect("run s.yaml --progress plain", 0);
    assert_eq!(told.matches("wrote model.pt in").count(), 1, "{told}");
    assert!(
        told.contains("more than one of the trials 0001, 0002 wrote model.pt in") && told.contains("cwd: trial"),
        "{told}"
    );
    assert!(shared.read("results/s/report.md").contains("wrote model.pt in"));
    // The output of the sweep itself is no trial's.
    let logged = world("", "parameters: {x: {values: [1, 2, 3]}}\n");
    let log = std::fs::File::create(logged.path("nohup.out")).unwrap();
    let mut command = logged.sweep("run s.yaml --progress plain");
    assert!(command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap().success());
    assert!(!logged.read("nohup.out").contains("warning"), "{}", logged.read("nohup.out"));
    let apart = world(script, "cwd: trial\nparameters: {x: {values: [1, 2, 3]}}\n");
    let told = apart.expect("run s.yaml --progress plain", 0);
    assert!(!told.contains("warning"), "{told}");
}

#[test]
fn the_time_of_a_sweep_is_that_of_all_its_runs_together() {
    let world = world("sleep 1", "max_time: {sweep: 3s}\nparameters: {x: {min: 0.0, max: 1.0}}\nmethod: random\n");
    let told = world.expect("run s.yaml --progress plain", 130);
    assert!(told.contains("the time of this run is over"), "{told}");
    let told = world.expect("resume results/s", 2);
    assert!(told.contains("of its `max_time` of 3 s") && told.contains("--for 1h"), "{told}");
    let before = world.column("results/s/trials.csv", "trial").len();
    world.expect("resume results/s --for 3s", 130);
    assert!(world.column("results/s/trials.csv", "trial").len() > before);
}

#[test]
fn a_tag_is_in_the_status_the_table_and_the_report() {
    let world = world("", "parameters: {x: {values: [1, 2]}}\n");
    world.expect("run s.yaml --progress none", 0);
    world.expect("tag results/s 2 paper", 0);
    world.expect("resume results/s --progress none", 0);
    assert!(world.expect("status results/s", 0).contains("tag        trial 0002: paper"));
    assert_eq!(world.column("results/s/trials.csv", "tag"), ["", "paper"]);
    assert!(world.read("results/s/report.md").contains("Tags: trial 0002 “paper”."));
}

#[test]
fn a_plan_fills_in_what_it_knows_and_says_which_variables_it_does_not_show() {
    let world = world("", "cwd: trial\nparameters: {x: {value: \"${trial_dir}/a\"}}\n");
    let file = world
        .read("s.yaml")
        .replace("train.sh,", "train.sh, \"${envvar:TOKEN}\", \"${envvar:GONE}\", \"--gpus=${gpus}\",");
    world.write("s.yaml", &file);
    let output = world.sweep("plan s.yaml").env("TOKEN", "xyzzy").output().expect("it starts");
    let plan = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(plan.contains("TOKEN: from the environment, its value is not shown"), "{plan}");
    assert!(plan.contains("GONE: not in the environment") && !plan.contains("xyzzy"), "{plan}");
    assert!(plan.contains("--gpus=1") && plan.contains("trials/0001/a") && !plan.contains("${trial_dir}/a'"), "{plan}");
}

#[test]
fn a_key_without_a_value_is_as_good_as_none() {
    let world = world("", "metrics:\nmetrics_file: null\nfolder:\ncwd:\nstop_grace:\nparameters: {x: {value: 1}}\n");
    world.expect("run s.yaml --progress none", 0);
}

#[test]
fn a_script_that_ignores_its_seed_or_a_parameter_is_told_from_its_equal_curves() {
    let of = |print: &str, file: &str| {
        let world = World::new();
        world.write(
            "train.sh",
            &format!("for e in 1 2 3; do echo \"{{\\\"epoch\\\": $e, \\\"score\\\": {print}}}\"; done\n"),
        );
        let head = "name: s\ncommand: [sh, train.sh, \"${args}\", \"${seed}\"]\ndevices: {gpus: none}\n\
                    metric: {name: score, goal: maximize}\n";
        world.write("s.yaml", &format!("{head}{file}"));
        world.expect("run s.yaml --progress none", 0);
        world.read("results/s/report.md")
    };
    let repeated = "parameters: {x: {values: [1, 2]}}\nrepeats: 2\n";
    let seed = "Repeats of the same configuration measured exactly the same values";
    let parameter = "Trials that differ only in x measured exactly the same values";
    let all = "All trials measured exactly the same values";
    let report = of("0.$e${1#*=}", repeated);
    assert!(report.contains(seed) && !report.contains(parameter) && !report.contains("Certainty"), "{report}");
    let report = of("0.$e${1#*=}$2", repeated);
    assert!(!report.contains("measured exactly the same"), "{report}");
    let report = of("0.$e", "parameters: {x: {values: [1, 2]}}\n");
    assert!(report.contains(parameter), "{report}");
    let report = of("0.$e", "parameters: {x: {values: [1, 2]}, y: {values: [1, 2]}}\n");
    assert!(report.contains(all), "{report}");
    let report = of("0.$e${2#*=}", "parameters: {x: {values: [1, 2]}, y: {values: [1, 2]}}\n");
    assert!(report.contains(parameter), "{report}");
}

#[test]
fn a_file_that_changed_after_its_sweep_began_is_told_with_the_way_to_extend() {
    let world = world("", "parameters: {x: {values: [1]}}\n");
    world.expect("run s.yaml --progress none", 0);
    world.write("s.yaml", &world.read("s.yaml").replace("[1]", "[1, 2]"));
    assert!(world.expect("run s.yaml", 2).contains("`sweep extend results/s s.yaml`"));
    assert!(world.expect("run s.yaml --or-resume", 0).contains("has changed since the sweep began"));
    let wrong = world.read("s.yaml").replace("goal: maximize", "goal: minimize");
    world.write("wrong.yaml", &wrong);
    assert!(world.expect("plan wrong.yaml", 0).contains("ranks the trials with the worst score first"));
}

/// As `du` counts: in blocks, with folders.
fn disk(path: &std::path::Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let own = path.symlink_metadata().expect("it is there").blocks() * 512;
    let inside = std::fs::read_dir(path).into_iter().flatten();
    own + inside.map(|entry| disk(&entry.expect("readable").path())).sum::<u64>()
}

#[test]
fn a_trial_takes_at_most_20_kb_of_disk_where_no_chart_is_drawn() {
    let values: Vec<String> = (1..=130).map(|value| value.to_string()).collect();
    let world = world("", &format!("parameters: {{x: {{values: [{}]}}}}\n", values.join(", ")));
    world.expect("run s.yaml --progress none", 0);
    let trials = |numbers: std::ops::RangeInclusive<u32>| -> u64 {
        numbers.map(|trial| disk(&world.path(&format!("results/s/trials/{trial:04}")))).sum()
    };
    let shared: u64 = ["journal.jsonl", "sweep.log", "trials.csv", "epochs.csv"]
        .iter()
        .map(|name| disk(&world.path(&format!("results/s/{name}"))))
        .sum();
    let chart = |trial: u32| world.path(&format!("results/s/trials/{trial:04}/curves.svg")).exists();
    assert!(chart(100), "the first hundred have charts");
    let undrawn: Vec<u32> = (101..=130).filter(|trial| !chart(*trial)).collect();
    assert!(undrawn.len() > 10, "the notable ones have charts, the others have none: {undrawn:?}");
    let each = undrawn.iter().map(|trial| trials(*trial..=*trial)).max().expect("there are some") + shared / 130;
    assert!(each <= 20 * 1024, "{each} bytes");
    println!("{each} bytes");
}
