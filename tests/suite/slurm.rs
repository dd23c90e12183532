//! Sweeps on a real Slurm, whose nodes are all on this machine (`tests/slurm/cluster`). Needs root, Slurm and munge, and is
//! skipped without.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use rustix::process::Signal;
use sweep_core::random::{Purpose, stream};

use crate::hosts::Hosts;
use crate::hosts_soak::assert_soaked;
use crate::world::{processes_naming, send, wait_until};

/// Port of the first cluster's slurmctld.
const PORT: u32 = 17_017;

/// Time for anything that does not wait for a lease or for the end of a job.
const LIMIT: Duration = Duration::from_secs(90);

/// One cluster at a time: each has a dozen processes.
static ONE: Mutex<()> = Mutex::new(());

/// A cluster and a folder with a sweep.
pub struct Slurm {
    pub hosts: Hosts,
    pub folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Slurm {
    /// Starts a cluster, or tells why the test is skipped.
    pub fn start(script: &str, nodes: u32) -> Option<Slurm> {
        let is_there = |program: &&str| {
            ["/usr/sbin", "/usr/bin"].iter().any(|folder| PathBuf::from(folder).join(program).exists())
        };
        let programs = ["slurmctld", "slurmd", "sbatch", "munged", "mungekey"];
        if !rustix::process::geteuid().is_root() || !programs.iter().all(is_there) {
            eprintln!("skipped: this needs root and `apt install slurmctld slurmd slurm-client munge`");
            return None;
        }
        let turn = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hosts = Hosts::new(script, &[]);
        let slurm = Slurm { folder: hosts.world.path("slurm"), hosts, _turn: turn };
        slurm.hosts.whole();
        let up = slurm.cluster("up").args([PORT.to_string(), nodes.to_string()]).output().expect("bash can be started");
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        Some(slurm)
    }

    fn cluster(&self, verb: &str) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/slurm/cluster"));
        command.arg(verb).arg(&self.folder).stdin(Stdio::null());
        command
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SLURM_CONF", self.folder.join("slurm.conf")).stdin(Stdio::null());
        command
    }

    /// `sweep` with these arguments; `options` go to sbatch.
    fn sweep(&self, words: &str, options: &str) -> Command {
        let mut command = self.hosts.command(words);
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        command.env("XDG_CACHE_HOME", self.hosts.world.path("scratch"));
        // As in a job of its own, which the new ones must not be like.
        command.env("SLURM_JOB_ID", "9999").env("SBATCH_PARTITION", "nowhere");
        if !options.is_empty() {
            command.arg("--").args(options.split_whitespace());
        }
        command
    }

    fn spawn(&self, words: &str, options: &str) -> Child {
        let out = std::fs::File::create(self.hosts.world.path("out")).expect("the folder is writable");
        let err = out.try_clone().expect("it is open");
        self.sweep(words, options).stdout(out).stderr(err).spawn().expect("sweep can be started")
    }

    fn finish(&self, mut controller: Child, exit: i32) -> String {
        let status = controller.wait().expect("it is our child");
        let text = self.hosts.world.read("out");
        assert_eq!(status.code(), Some(exit), "{text}\n{}", self.jobs());
        text
    }

    /// The jobs of the sweep: what squeue says, and what they printed.
    fn jobs(&self) -> String {
        let text = |output: Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let queue =
            self.tool("squeue").args(["--array", "--states=all", "--noheader", "--format=%K %T %r %N"]).output();
        let mut all = text(queue.expect("squeue can be started"));
        for file in std::fs::read_dir(self.hosts.world.path("results/hosts/slurm")).into_iter().flatten().flatten() {
            all += &std::fs::read_to_string(file.path()).unwrap_or_default();
        }
        all
    }

    fn waits_for_epochs(&self, of_nodes: &[&str]) {
        let has = |journal: &str, node: &&str| journal.contains(&format!("\"slot\":\"{node}."));
        wait_until("these nodes train", LIMIT, || {
            let journal = self.hosts.journal("hosts");
            of_nodes.iter().all(|node| has(&journal, node)) && journal.contains("\"is\":\"epoch\"")
        });
    }

    fn assert_nothing_is_left(&self) {
        let address = self.hosts.world.path("results/hosts/.address");
        wait_until("no agent, trainer or job is left", LIMIT, || {
            let queue = self.tool("squeue").arg("--noheader").output().expect("squeue can be started");
            queue.stdout.is_empty() && processes_naming(&address).is_empty() && self.hosts.trainers().is_empty()
        });
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        let _ = self.cluster("down").stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

#[test]
fn a_sweep_on_slurm_equals_one_on_this_machine_and_tells_nobody_its_key() {
    let Some(slurm) = Slurm::start("* slow 150", 3) else { return };
    // The sweep file alone says where.
    let options = "slurm: {nodes: 3, options: --time 10 --exclusive --comment=x}";
    let file = slurm.hosts.world.read("hosts.yaml");
    slurm.hosts.world.write("hosts.yaml", &file.replace("cluster: {", &format!("cluster: {{{options}, ")));
    let controller = slurm.spawn("run hosts.yaml", "");
    slurm.waits_for_epochs(&["node1", "node2", "node3"]);
    let address = slurm.hosts.world.path("results/hosts/.address");
    let written: serde_json::Value =
        serde_json::from_str(&slurm.hosts.world.read("results/hosts/.address")).expect("JSON");
    let key = written["key"].as_str().expect("a key").to_owned();
    assert!(processes_naming(&address).len() >= 3, "the agents");
    assert!(processes_naming(key.as_ref()).is_empty(), "a process list shows it");
    let text = slurm.finish(controller, 0);
    assert!(text.contains("Slurm: jobs submitted: 3\n"), "{text}");
    slurm.hosts.assert_equals_whole("hosts");
    slurm.assert_nothing_is_left();
    let files =
        Command::new("grep").args(["-rlF", &key]).arg(slurm.hosts.world.path("results")).output().expect("grep");
    let named: Vec<_> = String::from_utf8_lossy(&files.stdout).lines().map(PathBuf::from).collect();
    assert!(named.iter().all(|file| *file == address), "{named:?}");
    let agents = slurm.hosts.world.expect("agents results/hosts", 0);
    assert!(agents.contains("node1.") && agents.contains("node3."), "{agents}");
}

#[test]
fn a_killed_controller_takes_its_jobs_over_with_the_same_trainers() {
    let Some(slurm) = Slurm::start("* slow 400", 2) else { return };
    let mut controller = slurm.spawn("run hosts.yaml --on slurm --nodes 2", "--time 10 --exclusive");
    slurm.waits_for_epochs(&["node1", "node2"]);
    let before = slurm.hosts.trainers();
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    let controller = slurm.spawn("resume results/hosts", "");
    wait_until("trials are taken over", LIMIT, || slurm.hosts.journal("hosts").contains("\"is\":\"kept\""));
    assert_eq!(slurm.hosts.trainers(), before, "the same trainers");
    let text = slurm.finish(controller, 0);
    assert!(text.contains("that already exist: 2"), "{text}");
    slurm.hosts.assert_equals_whole("hosts");
    assert!(slurm.hosts.world.column("results/hosts/trials.csv", "attempts").iter().all(|attempts| attempts == "1"));
    slurm.assert_nothing_is_left();
}

#[test]
fn jobs_that_slurm_ends_and_agents_that_die_cost_no_trial_a_retry() {
    let Some(slurm) = Slurm::start("* slow 700", 3) else { return };
    let controller = slurm.spawn("run hosts.yaml --on slurm --nodes 3", "--time 10 --exclusive");
    slurm.waits_for_epochs(&["node1", "node2", "node3"]);
    let journal = slurm.hosts.journal("hosts");
    let node = |task: &str| {
        journal.split('"').find_map(|word| word.strip_suffix(&format!(".{task}/cpu:0"))).map(str::to_owned)
    };
    // One job is canceled: its agent gets SIGTERM, and saves.
    let queue = slurm.tool("squeue").args(["--noheader", "--array", "--format=%F_%K"]).output().expect("squeue");
    let queue = String::from_utf8_lossy(&queue.stdout).into_owned();
    let job = queue.lines().find(|job| job.ends_with("_1")).expect("it runs");
    assert!(slurm.tool("scancel").arg(job).status().expect("scancel").success());
    // The node of another one is lost with all its processes.
    let lost = node("2").expect("it trains");
    let agent: Vec<u32> = processes_naming(format!("{lost}.2").as_ref());
    slurm.lose(&lost, &agent);
    let text = slurm.finish(controller, 0);
    assert!(text.contains("it was sent SIGTERM"), "{text}");
    slurm.hosts.assert_equals_whole("hosts");
}

impl Slurm {
    /// Kills all of a node: its slurmd, the job's slurmstepd, the agent, and its trainers.
    fn lose(&self, node: &str, agent: &[u32]) {
        let slurmd = std::fs::read_to_string(self.folder.join(format!("slurmd.{node}.pid"))).expect("it runs");
        let parents = agent.iter().filter_map(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()
        });
        let all: Vec<String> = [slurmd.trim().to_owned()]
            .into_iter()
            .chain(parents.map(|pid| pid.to_string()))
            .chain(agent.iter().map(u32::to_string))
            .collect();
        let _ = Command::new("kill").arg("-9").args(all).status();
    }
}

impl Slurm {
    /// Runs `sweep` with these arguments in a step of an allocation with these options, its output in this file.
    fn srun(&self, options: &str, words: &str, out: &str) -> Child {
        let mut command = self.tool("srun");
        command.args(options.split_whitespace()).arg(crate::world::sweep());
        command.args(format!("{words} --here --progress plain --trainer trainer").split_whitespace());
        command.current_dir(self.hosts.world.path("")).env("SCRIPT", self.hosts.world.path("script"));
        command.env("XDG_CACHE_HOME", self.hosts.world.path("scratch"));
        let out = std::fs::File::create(self.hosts.world.path(out)).expect("the folder is writable");
        command.stdout(out.try_clone().expect("it is open")).stderr(out);
        command.spawn().expect("srun can be started")
    }

    /// Asserts that no trial of a sweep was paused without being saved.
    fn assert_all_saved(&self, name: &str) {
        let journal = self.hosts.journal(name);
        assert!(journal.contains("\"is\":\"paused\""), "{journal}");
        for line in journal.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect("every line is whole");
            assert!(entry["is"] != "paused" || entry["unsaved"].is_null(), "{line}");
        }
    }
}

/// A program with epochs of 20 s.
const LATE: &str = "
name: late
program: late.sh
command: [sh, '${program}']
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 2, 3, 4]}}
devices: {gpus: none, cpu_threads: 2}
cluster: {slurm: {nodes: 1, options: --time 1 --exclusive --signal=B:USR1@0}}
";

/// Three sweeps at the same time, in jobs of a minute, of which three quarters are for trials.
#[test]
fn before_the_time_of_a_job_ends_trials_save_and_none_begins_that_could_not() {
    let Some(slurm) = Slurm::start("* slow 7000", 4) else { return };
    let late = || -> Child {
        let out = std::fs::File::create(slurm.hosts.world.path("late.out")).expect("the folder is writable");
        slurm.hosts.world.write("late.yaml", LATE);
        slurm.hosts.world.write("late.sh", "sleep 20; echo '{\"epoch\": 1, \"score\": 1}'\n");
        let mut command = slurm.hosts.world.sweep("run late.yaml --progress plain");
        command.env("SLURM_CONF", slurm.folder.join("slurm.conf"));
        command.env("XDG_CACHE_HOME", slurm.hosts.world.path("scratch"));
        command.stdout(out.try_clone().expect("it is open")).stderr(out).spawn().expect("sweep can be started")
    };
    // Without Slurm's own notice, which would come at once, since it is longer than the job.
    let controller = slurm.spawn("run hosts.yaml --on slurm --nodes 1", "--time 1 --exclusive --signal=B:USR1@0");
    let mut late = late();
    let mut here = slurm.srun("--nodes 2 --time 1 --exclusive", "run hosts.yaml --name here", "here.out");
    wait_until("its agent has left, and it is queued again", 2 * LIMIT, || {
        slurm.jobs().contains("PENDING") && slurm.hosts.journal("hosts").contains("the time of its job ends")
    });
    wait_until("no more trial begins in a job that ends too soon", 2 * LIMIT, || {
        slurm.hosts.journal("late").contains("its job ends too soon for a trial")
    });
    assert_eq!(here.wait().expect("it is our child").code(), Some(130), "{}", slurm.hosts.world.read("here.out"));
    let text = slurm.hosts.world.read("here.out");
    assert!(text.contains("the time of this run is over; saving"), "{text}");
    let journal = slurm.hosts.journal("late");
    assert_eq!((journal.matches("\"is\":\"started\"").count(), journal.matches("\"is\":\"ended\"").count()), (2, 2));
    let agents = slurm.hosts.world.expect("agents results/late", 0);
    assert!(agents.contains("its job ends too soon for a trial"), "{agents}");
    assert!(slurm.hosts.world.read("late.out").contains("until it can be interrupted"), "{journal}");
    // Slurm lets jobs wait for two minutes, and a new one begins at once.
    send(&late, Signal::INT);
    send(&controller, Signal::INT);
    slurm.finish(controller, 130);
    assert_eq!(late.wait().expect("it is our child").code(), Some(130));
    slurm.assert_all_saved("hosts");
    slurm.assert_all_saved("here");
    slurm.assert_nothing_is_left();
    slurm.hosts.world.write("script", "");
    let controller = slurm.spawn("resume results/hosts", "");
    slurm.finish(controller, 0);
    slurm.hosts.assert_equals_whole("hosts");
}

#[test]
fn an_allocation_trains_as_one_machine_does_also_if_its_controller_is_killed() {
    let Some(slurm) = Slurm::start("* slow 300", 3) else { return };
    let nodes = "--nodes 3 --ntasks-per-node 1 --kill-on-bad-exit";
    let mut step = slurm.srun(nodes, "run hosts.yaml", "out");
    wait_until("two other nodes train", LIMIT, || {
        let journal = slurm.hosts.journal("hosts");
        ["cpu:", "node2/", "node3/"].iter().all(|slot| journal.contains(&format!("\"slot\":\"{slot}")))
            && journal.contains("\"is\":\"epoch\"")
    });
    let run = slurm.hosts.journal("hosts");
    let run = run.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is whole"));
    let controller = run.filter(|entry| entry["is"] == "run").find_map(|entry| entry["pid"].as_u64()).expect("it runs");
    assert!(Command::new("kill").args(["-9", &controller.to_string()]).status().expect("kill").success());
    assert!(!step.wait().expect("it is our child").success(), "{}", slurm.hosts.world.read("out"));
    let step = slurm.srun(nodes, "resume results/hosts", "out");
    slurm.finish(step, 0);
    slurm.hosts.assert_equals_whole("hosts");
    slurm.assert_nothing_is_left();
}

#[test]
fn an_allocation_keeps_its_nodes_from_stage_to_stage() {
    let Some(slurm) = Slurm::start("* slow 100", 2) else { return };
    let file = slurm.hosts.world.read("hosts.yaml") + "stages:\n  - {from: {top: 4}, repeats: 2}\n";
    slurm.hosts.world.write("hosts.yaml", &file);
    let step = slurm.srun("--nodes 2 --ntasks-per-node 1", "run hosts.yaml", "out");
    slurm.finish(step, 0);
    let devices = slurm.hosts.world.column("results/hosts/trials.csv", "device");
    assert_eq!(devices.len(), 12, "{devices:?}");
    assert!(devices[8..].iter().any(|name| name.starts_with("node2/")), "{devices:?}");
    slurm.assert_nothing_is_left();
}

/// `SLURM_ROUNDS` sets the number of kills, 10 by default.
#[test]
fn whatever_dies_on_slurm_no_trial_is_lost_or_repeated() {
    #[allow(clippy::disallowed_methods, reason = "the Makefile says how long")]
    let rounds = std::env::var("SLURM_ROUNDS").map_or(10, |rounds| rounds.parse().expect("a number of rounds"));
    let Some(slurm) = Slurm::start("* slow 150", 3) else { return };
    // A trainer that is killed alone costs an attempt, as on one machine.
    let file = slurm.hosts.world.read("hosts.yaml");
    slurm.hosts.world.write("hosts.yaml", &file.replace("retries: 0", "retries: 100"));
    let mut random = stream(31, 0, 0, Purpose::Point);
    let (mut done, mut sweeps, mut counts) = (0, 0, BTreeMap::<&str, u32>::new());
    while done < rounds {
        sweeps += 1;
        let name = format!("soak-{sweeps}");
        let start = |is_begun: bool| match is_begun {
            true => slurm.spawn(&format!("resume results/{name}"), ""),
            false => {
                slurm.spawn(&format!("run hosts.yaml --name {name} --on slurm --nodes 3"), "--time 10 --exclusive")
            }
        };
        let mut controller = start(false);
        loop {
            let life = Duration::from_millis(random.random_range(300..2000));
            if let Some(status) = ended_within(&mut controller, life) {
                match status.code() {
                    Some(0) => break,
                    // All agents were killed.
                    Some(6) => controller = start(true),
                    _ => panic!("{status}: {}", slurm.hosts.world.read("out")),
                }
                continue;
            }
            done += 1;
            let what = match random.random_range(0..4) {
                0 => {
                    controller.kill().expect("it is our child");
                    controller.wait().expect("it is our child");
                    controller = start(slurm.hosts.world.path(&format!("results/{name}/journal.jsonl")).exists());
                    "controllers"
                }
                1 => {
                    let agents = processes_naming(&slurm.hosts.world.path(&format!("results/{name}/.address")));
                    kill_one(&agents, &mut random);
                    "agents"
                }
                2 => {
                    kill_one(&slurm.hosts.trainers(), &mut random);
                    "trainers"
                }
                _ => {
                    let node = format!("node{}", random.random_range(1..4));
                    let pid = std::fs::read_to_string(slurm.folder.join(format!("slurmd.{node}.pid")));
                    let _ = Command::new("kill").args(["-9", pid.unwrap_or_default().trim()]).status();
                    assert!(slurm.cluster("node").arg(&node).status().expect("bash can be started").success());
                    "slurmds"
                }
            };
            *counts.entry(what).or_default() += 1;
        }
        assert_soaked(&slurm.hosts, &name);
        let address = slurm.hosts.world.path(&format!("results/{name}/.address"));
        wait_until("its agents and trainers are gone", LIMIT, || {
            processes_naming(&address).is_empty() && slurm.hosts.trainers().is_empty()
        });
    }
    println!("{done} rounds, {sweeps} sweeps: lost 0, repeated 0; killed {counts:?}");
}

/// Waits for a process, for at most this time.
pub fn ended_within(child: &mut Child, life: Duration) -> Option<std::process::ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < life {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    None
}

fn kill_one(processes: &[u32], random: &mut impl Rng) {
    if !processes.is_empty() {
        let pid = processes[random.random_range(0..processes.len())];
        let _ = Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
    }
}

#[test]
fn an_interrupt_saves_and_cancels_the_jobs() {
    let Some(slurm) = Slurm::start("* slow 400", 2) else { return };
    // One node is not enough for all: the last job waits.
    let controller = slurm.spawn("run hosts.yaml --on slurm --nodes 3", "--time 10 --exclusive");
    slurm.waits_for_epochs(&["node1", "node2"]);
    send(&controller, Signal::INT);
    slurm.finish(controller, 130);
    slurm.assert_nothing_is_left();
}

#[test]
fn jobs_that_slurm_refuses_are_told_and_fewer_are_tried_if_there_were_too_many() {
    let Some(slurm) = Slurm::start("", 1) else { return };
    let output = slurm.sweep("run hosts.yaml --on slurm --nodes 2", "--partition nowhere").output().expect("sweep");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("Invalid partition name specified"), "{text}");
    // MaxArraySize of the cluster is 7. There are 8 trials, for which 20 nodes are too many.
    let output = slurm.sweep("resume results/hosts --on slurm --nodes 20", "--time 10").output().expect("sweep");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("jobs submitted: 4 of 8, since") && text.contains("Invalid job array specification"),
        "{text}"
    );
    assert!(text.contains("8 of 20 jobs are enough for the trials that are left"), "{text}");
    slurm.hosts.assert_equals_whole("hosts");
    slurm.assert_nothing_is_left();
}

#[test]
fn plan_shows_the_call_of_sbatch_and_what_is_not_for_slurm_is_refused() {
    let hosts = Hosts::new("", &[]);
    let words = "plan hosts.yaml --on slurm --nodes 4 -- --gpus-per-node 2 --time 10";
    let text = hosts.world.expect(words, 0);
    assert!(text.contains("--array=1-4") && text.contains("--gpus-per-node 2 --time 10"), "{text}");
    assert!(text.contains("agent --dial") && !hosts.world.path("results").exists(), "{text}");
    for (words, told) in [
        ("plan hosts.yaml --on slurm", "needs --nodes N"),
        ("plan hosts.yaml --on slurm --nodes 0", "at least 1"),
        ("plan hosts.yaml --on slurm --nodes 4 -- --array=1-9", "--array=1-9 cannot be given"),
        ("plan hosts.yaml --nodes 4", "--nodes is for jobs of Slurm"),
        ("plan hosts.yaml -- --time 10", "--time is for jobs of Slurm"),
    ] {
        let text = hosts.world.expect(words, 2);
        assert!(text.contains(told), "{words}: {text}");
    }
}
