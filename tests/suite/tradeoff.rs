//! Several metrics at once, from outside.

use crate::world::World;

#[test]
fn the_pareto_front_is_in_the_report_the_chart_and_the_table() {
    let world = World::new();
    // The score falls with x, and the size rises: 1 to 4 are all on the front, and 5 is worse than 4 in both.
    let script = "x=${1#--x=}\nscore=$((100 - x * 10)); [ $x = 5 ] && score=65\n\
                  echo \"{\\\"score\\\": $score, \\\"size\\\": $((x * 3))}\"\n";
    world.write("train.sh", script);
    world.write(
        "s.yaml",
        "name: s\ncommand: [sh, train.sh, \"${args}\"]\ndevices: {gpus: none, cpu_threads: 1000}\n\
         metric: [{name: score, goal: minimize}, {name: size, goal: minimize}, {name: energy_kj, goal: minimize}]\n\
         parameters: {x: {values: [1, 2, 3, 4, 5]}}\n",
    );
    world.expect("run s.yaml --progress plain", 0);
    assert_eq!(world.column("results/s/trials.csv", "pareto"), ["true", "true", "true", "true", "false"]);
    let report = world.read("results/s/report.md");
    assert!(report.contains("4 of 5 trials are on the Pareto front of score, size"), "{report}");
    assert!(report.contains("Trial 0004: score 60, size 12 (x 4)."), "{report}");
    assert!(
        report.contains("No trial has a value of energy\\_kj") || report.contains("No trial has a value of energy_kj")
    );
    assert!(world.path("results/s/charts/pareto.svg").is_file());
}

#[test]
fn tpe_trades_metrics_off_and_finds_both_ends() {
    let world = World::new();
    world.write(
        "train.sh",
        "x=${1#--x=}\necho \"{\\\"score\\\": $((x * x)), \\\"size\\\": $(((x - 60) * (x - 60)))}\"\n",
    );
    world.write(
        "s.yaml",
        "name: s\nmethod: tpe\nlag: 0\nrun_cap: 40\ncommand: [sh, train.sh, \"${args}\"]\n\
         devices: {gpus: none, cpu_threads: 1000}\n\
         metric: [{name: score, goal: minimize}, {name: size, goal: minimize}]\n\
         parameters: {x: {min: -1000, max: 1000}}\n",
    );
    world.expect("run s.yaml --progress none", 0);
    let tried: Vec<i64> = world.column("results/s/trials.csv", "x").iter().map(|x| x.parse().unwrap()).collect();
    let near = tried[10..].iter().filter(|x| (-100..=160).contains(*x)).count();
    assert!(near > 15, "the front is from 0 to 60: {tried:?}");
}
