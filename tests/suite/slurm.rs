//! Sweeps on a real Slurm, whose nodes are all on this machine (`tests/slurm/cluster`). Needs root, Slurm and munge, and is
//! skipped without.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::Signal;

use crate::hosts::Hosts;
use crate::world::{processes_naming, send, wait_until};

/// Port of the first cluster's slurmctld.
const PORT: u32 = 17_017;

/// Time for anything that does not wait for a lease or for the end of a job.
const LIMIT: Duration = Duration::from_secs(90);

/// One cluster at a time: each has a dozen processes.
static ONE: Mutex<()> = Mutex::new(());

/// A cluster and a folder with a sweep.
struct Slurm {
    hosts: Hosts,
    folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Slurm {
    /// Starts a cluster, or tells why the test is skipped.
    fn start(script: &str, nodes: u32) -> Option<Slurm> {
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
        command.env("SLURM_JOB_ID", "1").env("SBATCH_PARTITION", "nowhere");
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
    let controller = slurm.spawn("run hosts.yaml --on slurm --nodes 3", "--time 10 --exclusive --comment=x");
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
    assert!(text.contains("that are there already: 2"), "{text}");
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

#[test]
fn trials_of_a_job_whose_time_ends_lose_no_epoch_and_go_on_in_the_next() {
    let Some(slurm) = Slurm::start("* slow 7000", 1) else { return };
    // Slurm's own notice would come at once, since it is longer than the job.
    let controller = slurm.spawn("run hosts.yaml --on slurm --nodes 1", "--time 2 --signal=B:USR1@10");
    wait_until("its agent has left, and it is queued again", 2 * LIMIT, || {
        let queue = slurm.tool("squeue").args(["--noheader", "--format=%T"]).output().expect("squeue can be started");
        queue.stdout.starts_with(b"PENDING") && slurm.hosts.journal("hosts").contains("the time of its job ends")
    });
    // Slurm lets it wait for two minutes, and a new one begins at once.
    send(&controller, Signal::INT);
    slurm.finish(controller, 130);
    for line in slurm.hosts.journal("hosts").lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("every line is whole");
        assert!(entry["is"] != "paused" || entry["unsaved"].is_null(), "{line}");
    }
    slurm.assert_nothing_is_left();
    slurm.hosts.world.write("script", "");
    let controller = slurm.spawn("resume results/hosts", "");
    slurm.finish(controller, 0);
    slurm.hosts.assert_equals_whole("hosts");
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
    // Slurm's MaxArraySize is 1,001.
    let output = slurm.sweep("resume results/hosts --on slurm --nodes 1500", "--time 10").output().expect("sweep");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("jobs submitted: 750 of 1500") && text.contains("Invalid job array specification"), "{text}");
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
