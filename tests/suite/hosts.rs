//! Sweeps on other hosts. The hosts are agents on this machine, behind commands whose pipes are all that the controller
//! has of them.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::faults::scripted;
use crate::processes::{ANY_FLOCK, NO_FLOCK, library};
use crate::world::{World, processes_naming, send, sweep, wait_until};

const TRIALS: usize = 8;

pub const SWEEP: &str = "
name: hosts
parameters: {learning_rate: {values: [1e-1, 1e-2, 1e-3, 1e-4]}, batch_size: {values: [16, 32]}}
data: {set: digits, validation: 0.2, train_examples: 100}
model: linear
training: {epochs: 4}
devices: {gpus: none}
cluster: {orphan: 30s}
retries: 0
";

/// Time for anything that does not wait for a lease.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A folder with the scripted trainer and a sweep file. Agents that are left are killed with it.
pub struct Hosts {
    pub world: World,
    pub names: Vec<String>,
    /// Whether they are hosts of a network, reached by ssh.
    by_ssh: bool,
}

impl Hosts {
    pub fn new(script: &str, names: &[&str]) -> Hosts {
        let world = scripted(script);
        world.write("hosts.yaml", SWEEP);
        Hosts { world, names: names.iter().map(|name| (*name).to_owned()).collect(), by_ssh: false }
    }

    /// The first hosts of a network, which is then made for this folder.
    pub fn of_network(script: &str, hosts: u32) -> Hosts {
        let world = scripted(script);
        let (program, scratch) = (sweep().display().to_string(), world.path("scratch").display().to_string());
        // It is called with `agent --name NAME`.
        world.write("remote", &format!("#!/bin/sh\nexec {program} \"$@\" --scratch {scratch}/$3\n"));
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(world.path("remote"), executable).expect("it is ours");
        let (remote, script) = (world.path("remote"), world.path("script"));
        let cluster =
            format!("cluster: {{program: {}, setup: ['export SCRIPT={}'], ", remote.display(), script.display());
        world.write("hosts.yaml", &SWEEP.replace("cluster: {", &cluster));
        Hosts { world, names: (1..=hosts).map(|host| format!("h{host}")).collect(), by_ssh: true }
    }

    /// The value of `--on` for an agent.
    fn on(&self, name: &str) -> String {
        if self.by_ssh {
            return format!("ssh:{name}");
        }
        let scratch = self.world.path(&format!("scratch/{name}"));
        format!("command:{} agent --name {name} --scratch {}", sweep().display(), scratch.display())
    }

    /// `sweep` with these arguments, on all hosts.
    pub fn command(&self, words: &str) -> Command {
        let mut command = self.world.sweep(&format!("{words} --progress plain --trainer trainer"));
        if self.by_ssh {
            command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", self.world.path("bin").display()));
        }
        for name in &self.names {
            command.arg("--on").arg(self.on(name));
        }
        command
    }

    /// Runs `sweep` with these arguments to its end, with this exit code. Returns what it prints.
    fn expect(&self, words: &str, exit: i32) -> String {
        let output = self.command(words).output().expect("sweep can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "sweep {words}:\n{text}");
        text
    }

    /// Starts the sweep, and waits until the hosts `one` and `two` train.
    fn start_both(&self) -> Child {
        let controller = self.start("run hosts.yaml");
        wait_until("both hosts train", LIMIT, || {
            let journal = self.journal("hosts");
            journal.contains("\"slot\":\"one/cpu:0\"")
                && journal.contains("\"slot\":\"two/cpu:0\"")
                && journal.contains("\"is\":\"epoch\"")
        });
        controller
    }

    pub fn start(&self, words: &str) -> Child {
        let out = std::fs::File::create(self.world.path("out")).expect("the folder is writable");
        let err = out.try_clone().expect("it is open");
        self.command(words).stdout(out).stderr(err).spawn().expect("sweep can be started")
    }

    pub fn journal(&self, name: &str) -> String {
        std::fs::read_to_string(self.world.path(&format!("results/{name}/journal.jsonl"))).unwrap_or_default()
    }

    /// The processes of a host's agent, or of the bridge to it.
    pub fn processes(&self, name: &str, is_agent: bool) -> Vec<u32> {
        let all = processes_naming(&self.world.path(&format!("scratch/{name}")));
        let serves = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            // The controller's command line names them, too.
            words.get(1) == Some(&&b"agent"[..]) && words.contains(&&b"--serve"[..]) == is_agent
        };
        all.into_iter().filter(serves).collect()
    }

    pub fn trainers(&self) -> Vec<u32> {
        let mut trainers = processes_naming(&self.world.path("trainer"));
        let is_one = |pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(self.world.path("trainer").to_string_lossy().as_bytes())
        };
        trainers.retain(is_one);
        trainers.sort_unstable();
        trainers
    }

    /// Runs the sweep on this machine, to compare with.
    pub fn whole(&self) {
        let script = self.world.read("script");
        self.world.write("script", "");
        self.world.expect("run hosts.yaml --name whole --progress none --trainer trainer --on none", 0);
        self.world.write("script", &script);
    }

    pub fn assert_equals_whole(&self, name: &str) {
        let table =
            |name: &str, file: &str, without: &[&str]| self.world.table(&format!("results/{name}/{file}"), without);
        let times = &["seconds", "device", "attempts"];
        assert_eq!(table(name, "trials.csv", times), table("whole", "trials.csv", times), "trials.csv of {name}");
        assert_eq!(table(name, "epochs.csv", &[]), table("whole", "epochs.csv", &[]), "epochs.csv of {name}");
        let mut ends: BTreeMap<u64, u32> = BTreeMap::new();
        for line in self.journal(name).lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect("every line is whole");
            assert_ne!(entry["is"], "lost", "{name}: nothing that happens to hosts is a trial's fault: {line}");
            if entry["is"] == "ended" {
                *ends.entry(entry["attempt"]["trial"].as_u64().expect("a number")).or_default() += 1;
            }
        }
        assert_eq!(ends.len(), TRIALS);
        assert!(ends.values().all(|times| *times == 1), "{name}: a trial ended twice: {ends:?}");
    }

    pub fn assert_all_gone(&self) {
        wait_until("agents and trainers are gone", LIMIT, || {
            processes_naming(&self.world.path("scratch")).is_empty() && self.trainers().is_empty()
        });
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        processes_naming(&self.world.path("scratch")).into_iter().for_each(kill);
    }
}

pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

pub fn signal(pid: u32, signal: Signal) {
    // It may have ended meanwhile.
    let _ = kill_process(Pid::from_raw(pid as i32).expect("no process is 0"), signal);
}

#[test]
fn a_sweep_on_two_hosts_equals_one_on_this_machine() {
    let hosts = Hosts::new("* slow 40", &["one", "two"]);
    hosts.whole();
    let text = hosts.expect("run hosts.yaml", 0);
    assert!(text.contains("one: joined with") && text.contains("two: joined with"), "{text}");
    hosts.assert_equals_whole("hosts");
    hosts.assert_all_gone();
    let devices = hosts.world.column("results/hosts/trials.csv", "device");
    assert!(
        devices.iter().any(|name| name.starts_with("one/")) && devices.iter().any(|name| name.starts_with("two/")),
        "{devices:?}"
    );
    let folder = hosts.world.path("results/hosts/trials/0001");
    assert!(folder.join("trainer.log").exists(), "the log comes back");
    let left = std::fs::read_dir(hosts.world.path("scratch/one")).expect("it was made").count();
    assert_eq!(left, 0, "nothing is left on a host");
    let agents = hosts.world.expect("agents results/hosts", 0);
    assert!(agents.contains("one: left") && agents.contains("two: left"), "{agents}");
}

#[test]
fn an_agent_that_is_killed_takes_its_trainers_with_it_and_its_trials_go_on_without_a_retry() {
    let hosts = Hosts::new("* slow 150", &["one", "two"]);
    hosts.whole();
    let mut controller = hosts.start_both();
    let before = hosts.trainers();
    hosts.processes("one", true).into_iter().for_each(kill);
    wait_until("its trainers are gone", Duration::from_secs(5), || {
        hosts.trainers().iter().filter(|pid| before.contains(pid)).count() < before.len()
    });
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    hosts.assert_equals_whole("hosts");
    hosts.assert_all_gone();
}

#[test]
fn a_connection_that_is_cut_costs_nothing() {
    let hosts = Hosts::new("* slow 150", &["one"]);
    hosts.whole();
    let mut controller = hosts.start("run hosts.yaml");
    wait_until("it trains", LIMIT, || hosts.journal("hosts").contains("\"is\":\"epoch\""));
    let before = hosts.trainers();
    for bridge in hosts.processes("one", false) {
        kill(bridge);
    }
    wait_until("it is heard again", LIMIT, || hosts.journal("hosts").contains("\"node_is\":\"back\""));
    assert_eq!(hosts.trainers(), before, "the same trainers");
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    hosts.assert_equals_whole("hosts");
    assert!(hosts.world.column("results/hosts/trials.csv", "attempts").iter().all(|attempts| attempts == "1"));
}

#[test]
fn a_controller_that_was_killed_finds_its_trials_where_they_run() {
    let hosts = Hosts::new("* slow 300", &["one", "two"]);
    hosts.whole();
    let mut controller = hosts.start_both();
    let before = hosts.trainers();
    controller.kill().expect("it is our child");
    controller.wait().expect("it is our child");
    // They go on meanwhile, and nobody takes what they say.
    #[allow(clippy::disallowed_methods, reason = "time passes for the trainers")]
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(hosts.trainers(), before);
    let mut controller = hosts.start("resume results/hosts");
    wait_until("trials are taken over", LIMIT, || hosts.journal("hosts").contains("\"is\":\"kept\""));
    assert_eq!(hosts.trainers(), before, "the same trainers");
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    hosts.assert_equals_whole("hosts");
    assert!(hosts.world.column("results/hosts/trials.csv", "attempts").iter().all(|attempts| attempts == "1"));
    hosts.assert_all_gone();
}

#[test]
fn with_carry_a_trial_goes_on_elsewhere_from_its_checkpoint() {
    let hosts = Hosts::new("* slow 200", &["one", "two"]);
    hosts.world.write("hosts.yaml", &SWEEP.replace("orphan: 30s", "orphan: 30s, carry: true"));
    hosts.whole();
    let mut controller = hosts.start("run hosts.yaml");
    let entries = || -> Vec<serde_json::Value> {
        hosts.journal("hosts").lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    wait_until("a trial has two epochs on the first host", LIMIT, || {
        let entries = entries();
        let on_one = |entry: &&serde_json::Value| {
            entry["is"] == "started" && entry["slot"].as_str().is_some_and(|slot| slot.starts_with("one/"))
        };
        let trials: Vec<_> = entries.iter().filter(on_one).map(|entry| entry["attempt"]["trial"].clone()).collect();
        entries.iter().any(|entry| {
            entry["is"] == "epoch" && entry["metrics"]["epoch"] == 2 && trials.contains(&entry["attempt"]["trial"])
        })
    });
    hosts.processes("one", true).into_iter().for_each(kill);
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    hosts.assert_equals_whole("hosts");
    let goes_on = |entry: &serde_json::Value| {
        entry["is"] == "began" && entry["attempt"]["number"] == 2 && entry["from_epoch"].as_u64() >= Some(1)
    };
    assert!(entries().iter().any(goes_on), "{}", hosts.journal("hosts"));
    assert!(!hosts.world.path("results/hosts/trials/0001/last.safetensors").exists(), "it is removed at the end");
}

#[test]
fn hosts_join_and_leave_while_the_sweep_runs() {
    let hosts = Hosts::new("* slow 200", &["one"]);
    hosts.whole();
    let mut controller = hosts.start("run hosts.yaml");
    wait_until("it trains", LIMIT, || hosts.journal("hosts").contains("\"is\":\"epoch\""));
    let joined =
        hosts.world.sweep("join results/hosts --on").arg(hosts.on("two")).output().expect("sweep can be started");
    assert!(joined.status.success());
    let told = String::from_utf8_lossy(&joined.stdout);
    assert!(told.contains("is prepared, and then joins"), "{told}");
    wait_until("the other one trains", LIMIT, || hosts.journal("hosts").contains("\"slot\":\"two/cpu:0\""));
    let text = hosts.world.expect("agents results/hosts", 0);
    assert!(text.contains("one: 2 slots") || text.contains("one: "), "{text}");
    let text = hosts.world.expect("leave results/hosts one", 0);
    assert!(text.contains("asked to save; then one leaves") || text.contains("nothing runs there"), "{text}");
    wait_until("it has left", LIMIT, || hosts.journal("hosts").contains("\"node_is\":\"left\""));
    let told = hosts.world.expect("leave results/hosts three", 0);
    assert!(told.contains("three does not train for this sweep; these hosts do: two"), "{told}");
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    hosts.assert_equals_whole("hosts");
    hosts.assert_all_gone();
}

#[test]
fn agents_stay_from_stage_to_stage() {
    let hosts = Hosts::new("* slow 200", &["one", "two"]);
    let file = hosts.world.read("hosts.yaml") + "stages:\n  - {from: {top: 4}, repeats: 2}\n";
    hosts.world.write("hosts.yaml", &file);
    let mut controller = hosts.start_both();
    let agents = || ["one", "two"].map(|name| hosts.processes(name, true));
    let before = agents();
    wait_until("the second stage trains on both hosts", LIMIT, || {
        let journal = hosts.journal("hosts");
        let second = journal.split("\"is\":\"extended\"").nth(1).unwrap_or_default();
        ["one", "two"].iter().all(|name| second.contains(&format!("\"slot\":\"{name}/cpu:0\"")))
    });
    assert_eq!(agents(), before, "the same agents");
    assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
    assert_eq!(hosts.world.column("results/hosts/trials.csv", "status"), ["finished"; 12].map(str::to_owned));
    hosts.assert_all_gone();
}

#[test]
fn an_interrupt_saves_on_all_hosts_and_resume_goes_on() {
    let hosts = Hosts::new("* slow 300", &["one", "two"]);
    hosts.whole();
    let mut controller = hosts.start("run hosts.yaml");
    wait_until("it trains", LIMIT, || hosts.journal("hosts").contains("\"is\":\"epoch\""));
    send(&controller, Signal::INT);
    assert_eq!(controller.wait().expect("it is our child").code(), Some(130), "{}", hosts.world.read("out"));
    assert!(hosts.journal("hosts").contains("\"is\":\"paused\""));
    hosts.assert_all_gone();
    hosts.world.write("script", "");
    hosts.expect("resume results/hosts", 0);
    hosts.assert_equals_whole("hosts");
}

/// An agent of another version, or one that cannot find the data.
fn impostor(world: &World, name: &str, facts: &str) -> String {
    let script = format!("#!/bin/sh\necho\necho sweep agent starts\nread line\necho '{facts}'\n");
    world.write(name, &script);
    format!("command:sh {}", world.path(name).display())
}

#[test]
fn a_host_that_cannot_run_the_sweep_is_named_before_anything_starts() {
    let hosts = Hosts::new("", &["one"]);
    let facts = |version: &str, problem: &str| {
        format!(
            r#"{{"version":"{version}","node":"x","machine":"x","architecture":"x86_64","cores":1,"memory":1,"instructions":[],"libtorch":null,"slots":["cpu:0"],"problem":{problem}}}"#
        )
    };
    let old = impostor(&hosts.world, "old", &facts("0.0.1", "null"));
    let poor = impostor(&hosts.world, "poor", &facts(env!("CARGO_PKG_VERSION"), "\"/data/images does not exist\""));
    let output = hosts.command("run hosts.yaml").args(["--on", &old, "--on", &poor, "--on", "command:false"]).output();
    let output = output.expect("sweep can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{text}");
    for told in [
        "sweep 0.0.1 is installed there",
        "/data/images does not exist",
        "no agent started",
        "install the same version",
    ] {
        assert!(text.contains(told), "no {told} in {text}");
    }
    assert!(!hosts.world.path("results").exists(), "nothing is written");
    assert!(processes_naming(&hosts.world.path("scratch")).is_empty(), "nothing is started");
}

#[test]
fn plan_shows_what_would_be_started_and_starts_nothing() {
    let hosts = Hosts::new("", &[]);
    let text = hosts.world.expect("plan hosts.yaml --on ssh:gpu1,gpu2", 0);
    assert!(text.contains("ssh ") && text.contains("exec sweep agent --name gpu2"), "{text}");
    let text = hosts.world.expect("plan hosts.yaml --on gpu1", 2);
    assert!(text.contains("neither ssh:, command: nor slurm"), "{text}");
}

#[test]
fn hosts_without_locks_have_one_agent_of_a_sweep_each() {
    for flock in [NO_FLOCK, ANY_FLOCK] {
        let hosts = Hosts::new("* slow 100", &["one"]);
        let Some(library) = library(&hosts.world, flock) else { return };
        let start = |words: &str| {
            let out = std::fs::File::create(hosts.world.path("out")).expect("the folder is writable");
            hosts.command(words).env("LD_PRELOAD", &library).stdout(out).spawn().expect("sweep can be started")
        };
        hosts.whole();
        let mut controller = start("run hosts.yaml");
        wait_until("it trains", LIMIT, || hosts.journal("hosts").contains("\"is\":\"epoch\""));
        // Another agent of the same sweep on the same host leaves at once.
        let agent = hosts.processes("one", true)[0];
        let line = std::fs::read(format!("/proc/{agent}/cmdline")).expect("it runs");
        let line = String::from_utf8(line).expect("its words are text");
        let words: Vec<&str> = line.split('\0').skip(1).filter(|word| !word.is_empty()).collect();
        let mut second = Command::new(sweep());
        assert!(second.args(words).env("LD_PRELOAD", &library).status().expect("sweep can be started").success());
        assert_eq!(hosts.processes("one", true), [agent]);
        controller.kill().expect("it is our child");
        controller.wait().expect("it is our child");
        let mut controller = start("resume results/hosts");
        assert!(controller.wait().expect("it is our child").success(), "{}", hosts.world.read("out"));
        assert!(hosts.world.column("results/hosts/trials.csv", "attempts").iter().all(|attempts| attempts == "1"));
        hosts.assert_equals_whole("hosts");
        hosts.assert_all_gone();
    }
}
