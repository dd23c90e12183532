//! Kills of sweeps of programs at random moments, for a configurable number of rounds. Programs report in every way that
//! there is, with and without a checkpoint of their own, directly and through a wrapper script. The tables are compared
//! with those of an undisturbed sweep.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process};
use sweep_core::random::{Purpose, stream};

use crate::world::{World, processes_of, send, wait_until};

/// Maximum time between the start of a controller and what is done to it. A sweep takes about half a second.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

/// Maximum time for which a controller is stopped before it is killed.
const LONGEST_STOP: Duration = Duration::from_millis(100);

/// `$1` is how it reports, `$2` whether it saves. It goes on from its checkpoint if it has one.
const PROGRAM: &str = r#"
state=$SWEEP_TRIAL_DIR/state
csv=$SWEEP_TRIAL_DIR/metrics.csv
lines=$SWEEP_TRIAL_DIR/metrics.jsonl
x=${3#--x=}
epoch=0
[ $2 = saves ] && [ $SWEEP_RESUME = 1 ] && [ -e $state ] && read -r epoch <$state
if [ $epoch = 0 ]; then
    [ $1 = csv ] && echo epoch,score,f1 >$csv
    [ $1 = jsonl ] && : >$lines
fi
echo begins at $epoch
while [ $epoch -lt 6 ]; do
    epoch=$((epoch + 1))
    sleep 0.01
    [ $epoch -gt 1 ] && [ -e fault ] && rm -f fault && exit 7
    case $1-$2 in
    stdout-saves) echo "{\"epoch\": $epoch, \"train_loss\": $epoch}"
        echo "{\"epoch\": $epoch, \"score\": $((epoch * 10 + x)), \"f1\": $x}" ;;
    stdout-*) echo "{\"train_loss\": $epoch}"
        echo "{\"score\": $((epoch * 10 + x)), \"f1\": $x}" ;;
    csv-*) echo "$epoch,$((epoch * 10 + x)),$x" >>$csv ;;
    jsonl-*) echo "{\"epoch\": $epoch, \"score\": $((epoch * 10 + x)), \"f1\": $x}" >>$lines ;;
    esac
    [ $2 = saves ] && echo $epoch >$state.new && mv $state.new $state
done
exit 0
"#;

/// Starts another process and waits for it, as launchers do. It is not replaced by that process.
const WRAPPER: &str = "sh train.sh \"$@\"\ncode=$?\necho wrapped\nexit $code\n";

/// A way in which a program reports, saves and is started.
#[derive(Debug, Clone, Copy)]
struct Kind {
    reports: &'static str,
    saves: bool,
    wrapped: bool,
}

impl Kind {
    fn all() -> Vec<Kind> {
        let mut all = Vec::new();
        for reports in ["stdout", "csv", "jsonl"] {
            for saves in [true, false] {
                all.extend([true, false].map(|wrapped| Kind { reports, saves, wrapped }));
            }
        }
        all
    }

    fn sweep_file(self) -> String {
        let (saves, program) =
            (if self.saves { "saves" } else { "forgets" }, if self.wrapped { "wrap" } else { "train" });
        let file = match self.reports {
            "stdout" => String::new(),
            format => format!("metrics_file: metrics.{format}\n"),
        };
        format!(
            "name: s\ncommand: [sh, {program}.sh, {}, {saves}, \"${{args}}\"]\n{file}retries: 1000\nstop_grace: 1\n\
             metric: {{name: score, goal: maximize}}\nparameters: {{x: {{values: [1, 2]}}}}\n\
             devices: {{gpus: none, cpu_threads: 1}}\n",
            self.reports
        )
    }
}

/// `PROGRAM_SOAK_ROUNDS` sets the number of rounds, 50 by default. `make soak` sets 500.
#[test]
fn whatever_is_killed_at_whatever_moment_no_epoch_of_a_program_is_lost_or_mixed_up() {
    #[allow(clippy::disallowed_methods, reason = "the Makefile says how long")]
    let rounds = std::env::var("PROGRAM_SOAK_ROUNDS").map_or(50, |rounds| rounds.parse().expect("a number of rounds"));
    let kinds = Kind::all();
    let worlds: Vec<World> = kinds.iter().map(|kind| undisturbed(*kind)).collect();
    let mut random = stream(29, 0, 0, Purpose::Point);
    let (mut done, mut sweeps, mut counts) = (0_usize, 0_usize, BTreeMap::<&str, usize>::new());
    while done < rounds {
        let at = sweeps % kinds.len();
        sweeps += 1;
        let name = format!("soak-{sweeps}");
        done += disturbed((&worlds[at], kinds[at]), &name, &mut random, &mut counts);
        assert_equals_whole(&worlds[at], &name, kinds[at]);
    }
    println!("{done} rounds, {sweeps} sweeps, {} trials: epochs lost 0, mixed up 0; {counts:?}", sweeps * 2);
}

/// A world with a sweep that was not disturbed, `results/whole`.
fn undisturbed(kind: Kind) -> World {
    let world = World::new();
    world.write("train.sh", PROGRAM);
    world.write("wrap.sh", WRAPPER);
    world.write("s.yaml", &kind.sweep_file());
    world.expect("run s.yaml --name whole --progress none", 0);
    world
}

/// Runs a sweep to its end. Returns how often it was disturbed.
fn disturbed(
    (world, kind): (&World, Kind),
    name: &str,
    random: &mut impl RngExt,
    counts: &mut BTreeMap<&str, usize>,
) -> usize {
    let mut done = 0;
    loop {
        let mut controller = world
            .sweep(&format!("run s.yaml --name {name} --or-resume --progress none"))
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("sweep can be started");
        if live(&mut controller, LONGEST_LIFE.mul_f64(random.random())) {
            return done;
        }
        done += 1;
        let what = match random.random_range(0..10) {
            0 => "programs killed",
            1 => "faults of programs",
            2 => "Ctrl-C",
            3 => "SIGTERM",
            // Whatever a supervisor has not read of a pipe then is lost, which only a program without checkpoint repeats.
            4 if kind.reports != "stdout" || !kind.saves => "jobs killed",
            _ => "controllers killed",
        };
        *counts.entry(what).or_default() += 1;
        match what {
            "programs killed" => {
                let programs: Vec<u32> =
                    processes_of(&world.path("results")).into_iter().filter(|pid| !is_supervisor(*pid)).collect();
                if !programs.is_empty() {
                    // It may have ended meanwhile.
                    let pid = programs[random.random_range(0..programs.len())] as i32;
                    let _ = kill_process(Pid::from_raw(pid).expect("no process is 0"), Signal::KILL);
                }
            }
            "jobs killed" => {
                let all = processes_of(&world.path("results"));
                send(&controller, Signal::STOP);
                for pid in all.into_iter().filter_map(|pid| Pid::from_raw(pid as i32)) {
                    let _ = kill_process(pid, Signal::KILL);
                }
                controller.kill().expect("it is our child");
            }
            "faults of programs" => world.write("fault", ""),
            "Ctrl-C" | "SIGTERM" => {
                send(&controller, if what == "Ctrl-C" { Signal::INT } else { Signal::TERM });
                let _ = controller.wait().expect("it is our child");
                assert_eq!(processes_of(&world.path("results")), [0_u32; 0], "{name}: left after {what}");
            }
            _ => {
                // Half of the time, the controller has no time to read what its programs report before it dies.
                if random.random() {
                    send(&controller, Signal::STOP);
                    std::thread::park_timeout(LONGEST_STOP.mul_f64(random.random()));
                }
                controller.kill().expect("it is our child");
                controller.wait().expect("it is our child");
                // Half of the time, the next controller comes while the programs still end.
                if random.random() {
                    wait_until("the programs have followed their controller", Duration::from_secs(5), || {
                        processes_of(&world.path("results")).is_empty()
                    });
                }
            }
        }
        // What was disturbed without its controller goes on.
        if live(&mut controller, LONGEST_LIFE.mul_f64(random.random())) {
            return done;
        }
        let _ = controller.kill();
        controller.wait().expect("it is our child");
    }
}

fn is_supervisor(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "supervisor")
}

/// Waits up to `life` for the controller to exit. Returns whether the sweep is complete.
fn live(controller: &mut Child, life: Duration) -> bool {
    let began = Instant::now();
    while began.elapsed() < life {
        if let Some(status) = controller.try_wait().expect("it is our child") {
            assert!(matches!(status.code(), Some(0 | 130) | None), "sweep ended with {status}");
            return status.success();
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    false
}

fn assert_equals_whole(world: &World, name: &str, kind: Kind) {
    let table = |name: &str, file: &str, without: &[&str]| world.table(&format!("results/{name}/{file}"), without);
    let journal = || {
        let files = ["metrics.jsonl", "state", "trainer.log"];
        let trials = (1..=2).flat_map(|trial| files.map(|file| format!("results/{name}/trials/000{trial}/{file}")));
        let trials =
            trials.filter(|file| world.path(file).exists()).map(|file| format!("{file}:\n{}", world.read(&file)));
        world.read(&format!("results/{name}/journal.jsonl")) + &trials.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(table(name, "epochs.csv", &[]), table("whole", "epochs.csv", &[]), "{name}, {kind:?}:\n{}", journal());
    let times = &["seconds", "device", "attempts"];
    assert_eq!(
        table(name, "trials.csv", times),
        table("whole", "trials.csv", times),
        "{name}, {kind:?}:\n{}",
        journal()
    );
    std::fs::remove_dir_all(world.path(&format!("results/{name}"))).expect("it is there");
}
