//! Hosts on which processes are killed or stopped and cables are pulled, at random moments, for a configurable number of
//! rounds. Then the sweep is compared with the same sweep on one machine.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use rustix::process::Signal;
use sweep_core::random::{Purpose, stream};

use crate::hosts::{Hosts, LIMIT, kill, signal};
use crate::hosts_ssh::Network;
use crate::slurm::ended_within;
use crate::world::wait_until;

/// Time after which the controller has given the trials of a silent host to others: `orphan: 30s`, 1% and 10 s of it, and
/// the time between two looks at it.
const PAST_THE_LEASE: Duration = Duration::from_secs(44);

/// Maximum number of hosts that are out of reach at the same time.
const MOST_OUT: usize = 3;

/// `HOSTS_ROUNDS` sets the number of rounds, 50 by default.
#[test]
fn whatever_dies_on_whatever_host_no_trial_is_lost_or_repeated() {
    let hosts = Hosts::new("* slow 60", &["a", "b", "c"]);
    soak(&hosts, None, rounds("HOSTS_ROUNDS", 50), 29);
}

/// Eight hosts by ssh, which also fall silent, for moments or past their lease. `NETWORK_ROUNDS` sets the number of
/// rounds, 20 by default.
#[test]
fn whatever_dies_or_falls_silent_in_a_network_no_trial_is_lost_or_repeated() {
    let hosts = Hosts::of_network("* slow 300", 8);
    let values = |count: i32| (1..=count).map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
    let file = hosts.world.read("hosts.yaml");
    let parameters =
        format!("parameters: {{learning_rate: {{values: [{}]}}, batch_size: {{values: [{}]}}}}", values(12), values(8));
    let lines = file.lines().map(|line| if line.starts_with("parameters:") { parameters.as_str() } else { line });
    hosts.world.write("hosts.yaml", &lines.collect::<Vec<_>>().join("\n"));
    let Some(network) = Network::or_skip(&hosts.world, 10, 8) else { return };
    soak(&hosts, Some(&network), rounds("NETWORK_ROUNDS", 20), 37);
}

fn rounds(variable: &str, default: u32) -> u32 {
    #[allow(clippy::disallowed_methods, reason = "the Makefile says how long")]
    std::env::var(variable).map_or(default, |rounds| rounds.parse().expect("a number of rounds"))
}

/// What keeps a host from answering.
#[derive(Debug, Clone, PartialEq)]
enum Outage {
    Cable,
    /// These processes are stopped.
    Stopped(Vec<u32>),
}

/// The hosts that are out of reach, each with the time when it is back.
struct Outages<'a> {
    network: Option<&'a Network>,
    out: BTreeMap<usize, (Instant, Outage)>,
}

impl Outages<'_> {
    fn begin(&mut self, host: usize, outage: Outage, time: Duration) {
        match &outage {
            Outage::Cable => self.cable(host, "down"),
            Outage::Stopped(agents) => agents.iter().for_each(|pid| signal(*pid, Signal::STOP)),
        }
        self.out.insert(host, (Instant::now() + time, outage));
    }

    /// Ends the outages whose time is over by then.
    fn end(&mut self, by: Instant) {
        let (over, out) = std::mem::take(&mut self.out).into_iter().partition(|(_, (until, _))| *until <= by);
        self.out = out;
        let over: BTreeMap<usize, (Instant, Outage)> = over;
        for (host, (_, outage)) in over {
            match outage {
                Outage::Cable => self.cable(host, "up"),
                Outage::Stopped(agents) => agents.into_iter().for_each(|pid| signal(pid, Signal::CONT)),
            }
        }
    }

    fn end_all(&mut self) {
        self.end(Instant::now() + PAST_THE_LEASE * 2);
    }

    fn cable(&self, host: usize, state: &str) {
        self.network.expect("hosts with cables are in a network").cable(host as u32 + 1, state);
    }
}

fn soak(hosts: &Hosts, network: Option<&Network>, rounds: u32, seed: u64) {
    // A trainer that is killed alone costs an attempt, as on one machine.
    let file = hosts.world.read("hosts.yaml");
    hosts.world.write("hosts.yaml", &file.replace("retries: 0", "retries: 100"));
    hosts.whole();
    let mut random = stream(seed, 0, 0, Purpose::Point);
    let (mut done, mut sweeps, mut counts) = (0, 0, BTreeMap::<&str, u32>::new());
    let mut outages = Outages { network, out: BTreeMap::new() };
    while done < rounds {
        sweeps += 1;
        let name = format!("soak-{sweeps}");
        let mut controller = start(hosts, &name);
        loop {
            outages.end(Instant::now());
            match ended_within(&mut controller, Duration::from_millis(random.random_range(100..900))) {
                Some(status) if status.success() => break,
                // A host that is lost while it is asked cannot run the sweep, and nothing begins.
                Some(status) if status.code() == Some(6) && hosts.journal(&name).is_empty() => {
                    outages.end_all();
                    controller = start(hosts, &name);
                }
                Some(status) => panic!("{status}: {}", hosts.world.read("out")),
                None if done < rounds => {
                    done += 1;
                    let what = round(hosts, &mut outages, (&mut controller, &name), &mut random);
                    *counts.entry(what).or_default() += 1;
                }
                // The last sweep goes on to its end.
                None => {}
            }
        }
        outages.end_all();
        assert_soaked(hosts, &name);
        hosts.assert_all_gone();
        std::fs::remove_dir_all(hosts.world.path(&format!("results/{name}"))).expect("it is there");
    }
    println!("{done} rounds, {sweeps} sweeps: lost 0, repeated 0; {counts:?}");
}

/// Starts the sweep, or goes on with it.
fn start(hosts: &Hosts, name: &str) -> Child {
    match hosts.journal(name).is_empty() {
        true => hosts.start(&format!("run hosts.yaml --name {name}")),
        false => hosts.start(&format!("resume results/{name}")),
    }
}

/// Lets something happen. Returns what.
fn round(
    hosts: &Hosts,
    outages: &mut Outages,
    (controller, name): (&mut Child, &str),
    random: &mut impl Rng,
) -> &'static str {
    let host = random.random_range(0..hosts.names.len());
    let agents = || hosts.processes(&hosts.names[host], true);
    let is_out = outages.out.len() >= MOST_OUT || outages.out.contains_key(&host);
    let is_long = random.random_bool(0.3);
    let time = if is_long { PAST_THE_LEASE } else { Duration::from_millis(random.random_range(100..5000)) };
    match random.random_range(0..if outages.network.is_some() { 6 } else { 4 }) {
        0 => {
            controller.kill().expect("it is our child");
            controller.wait().expect("it is our child");
            let runs = || hosts.journal(name).matches("\"is\":\"run\"").count();
            let before = runs();
            *controller = start(hosts, name);
            // It asks all hosts first, and waits for those that do not answer.
            if !outages.out.is_empty() {
                wait_until("the controller has taken over", LIMIT, || {
                    outages.end(Instant::now());
                    runs() > before || controller.try_wait().expect("it is our child").is_some()
                });
            }
            "controllers killed"
        }
        1 => {
            agents().into_iter().for_each(kill);
            "agents killed"
        }
        2 => {
            hosts.processes(&hosts.names[host], false).into_iter().for_each(kill);
            "connections killed"
        }
        4 if !is_out => {
            outages.begin(host, Outage::Cable, time);
            if is_long { "cables pulled past the lease" } else { "cables pulled for moments" }
        }
        5 if !is_out => {
            outages.begin(host, Outage::Stopped(agents()), time);
            if is_long { "agents stopped past the lease" } else { "agents stopped for moments" }
        }
        _ => {
            let trainers = hosts.trainers();
            if !trainers.is_empty() {
                kill(trainers[random.random_range(0..trainers.len())]);
            }
            "trainers killed"
        }
    }
}

/// Asserts that a sweep is equal to the one on this machine, whatever happened to it.
pub fn assert_soaked(hosts: &Hosts, name: &str) {
    let table =
        |name: &str, file: &str, without: &[&str]| hosts.world.table(&format!("results/{name}/{file}"), without);
    let times = &["seconds", "device", "attempts"];
    let trials = table(name, "trials.csv", times);
    assert_eq!(trials, table("whole", "trials.csv", times), "trials.csv of {name}");
    assert_eq!(table(name, "epochs.csv", &[]), table("whole", "epochs.csv", &[]), "epochs.csv of {name}");
    let ends = hosts.journal(name).matches("\"is\":\"ended\"").count();
    assert_eq!(ends, trials.len(), "{name}: every trial ends once");
}
