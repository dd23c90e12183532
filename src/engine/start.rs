//! The beginning of a run: everything is opened, and the scheduler takes over.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::config::{self, Limits};
use super::devices::Table;
use super::nodes::{Cluster, Nodes};
use super::views::Views;
use super::{Engine, SYNC, left};
use crate::agent::Devices;
use crate::agent::gpu::Gpu;
use crate::agent::{self, Host, Launcher, SlotDevice};
use crate::progress::Screen;
use sweep_core::error::Result;
use sweep_core::history::{Entry, History};
use sweep_scheduler::schedule::{Event, Now, Scheduler};
use sweep_scheduler::search::{self, Search};
use sweep_spec::{PerGpu, Spec};
use sweep_store::{Journal, Layout, Lock, requests};

/// Maximum number of network shapes with a check of the initial weights.
const MOST_CHECKED: usize = 20;

/// The inputs of a run.
pub struct Setup {
    /// The sweep's folder.
    pub layout: Layout,
    /// The sweep file.
    pub spec: Spec,
    /// The history so far.
    pub history: History,
    /// The journal, open at its end.
    pub journal: Journal,
    /// The right to run the sweep.
    pub lock: Lock,
    /// The slots for trials.
    pub slots: Vec<SlotDevice>,
    /// A recent reading of the GPUs.
    pub gpus: Vec<Gpu>,
    /// What starts trainers, or `None` if trials are programs themselves.
    pub trainer: Option<Launcher>,
    /// The trainer timeout, or `None` to derive it from the durations of epochs.
    pub silence: Option<Duration>,
    /// Whether to retry failed and diverged trials once.
    pub retry_failed: bool,
    /// Whether they begin in an empty folder where they are programs.
    pub from_scratch: bool,
    /// Time that a trial may run, over all its attempts.
    pub max_time: Option<Duration>,
    /// Time after which the run saves its trials and ends.
    pub run_for: Option<Duration>,
    /// Whether trainers look at first weights for what is wrong with them.
    pub checks_weights: bool,
    /// The progress display.
    pub screen: Screen,
    /// The name of this machine.
    pub host: String,
    /// The clock, in Unix seconds.
    pub clock: fn() -> f64,
    /// The folder of the CUDA MPS daemon's pipes, if it runs.
    pub mps: Option<PathBuf>,
    /// The machine's memory in bytes.
    pub memory: u64,
    /// Reads an environment variable.
    pub variable: fn(&str) -> Option<String>,
    /// The other hosts, if there are any.
    pub cluster: Option<Cluster>,
    /// Whether another stage follows once all trials have ended, for which the other hosts stay.
    pub follows: Box<dyn Fn(&History) -> bool>,
}

impl Setup {
    /// Number of trials that may run at the same time.
    fn slots_everywhere(&self) -> usize {
        self.slots.len().max(self.cluster.as_ref().map_or(0, |cluster| cluster.slots))
    }

    fn limits(&self) -> Limits {
        let lease = self.cluster.as_ref().map_or_else(sweep_link::Terms::default, Cluster::lease);
        Limits {
            from_scratch: self.from_scratch,
            max_time: self.max_time,
            run_for: self.run_for,
            silence: self.silence,
            lease: lease.handover(),
        }
    }

    /// The journal entry of this run.
    fn entry(&self, at: f64) -> Entry {
        Entry::Run {
            at,
            version: env!("CARGO_PKG_VERSION").into(),
            host: self.host.clone(),
            pid: std::process::id(),
            slots: self.slots.iter().map(|slot| slot.name.clone()).collect(),
            mps: self.mps.clone(),
            lag: self.spec.lag,
            on: self.cluster.iter().flat_map(|cluster| &cluster.targets).map(ToString::to_string).collect(),
        }
    }
}

impl Engine {
    pub(super) async fn start(mut setup: Setup) -> Result<Engine> {
        let began = ((setup.clock)(), Instant::now());
        let now = Now { unix: began.0, since: Duration::ZERO };
        if setup.spec.method.learns() {
            let slots = setup.slots_everywhere().max(1);
            setup.spec.lag = Some(search::lag(setup.spec.search_terms(), &setup.history, slots));
        }
        let (run, limits) = (setup.entry(began.0), setup.limits());
        let Setup { layout, spec, history, journal, lock, slots, gpus, trainer, screen, cluster, .. } = setup;
        let runs = history.runs;
        let search = Search::resumed(spec.search_terms(), &history);
        let shapes = config::shapes(&spec);
        let config = config::config(&spec, &limits, search.len(), shapes.clone());
        requests::tidy(&layout, UNIX_EPOCH + Duration::from_secs_f64(began.0.max(0.0)));
        let devices = Devices::open(spec.devices.busy, &slots, &gpus, began.0)?;
        let table = Table::new(layout.clone());
        let named = devices.slots(&slots, spec.devices.per_gpu == PerGpu::Auto, setup.memory);
        let views = Views::open(&layout, &spec, &history)?;
        let (scheduler, actions) =
            Scheduler::new(now, config, Box::new(search), history, named, run, setup.retry_failed);
        let (sender, events) = mpsc::channel(agent::CAPACITY);
        let trainer = trainer.map(|launcher| launcher.with_mps(setup.mps));
        let host = Host::new(trainer, slots, sender, (spec.clone(), layout.clone()), setup.variable);
        let mut engine = Engine {
            scheduler,
            host,
            nodes: None,
            refused: None,
            sync_due: SYNC,
            look_due: Duration::ZERO,
            events,
            own: Vec::new(),
            journal,
            views,
            devices,
            table,
            layout,
            spec,
            screen,
            lock,
            began,
            most_checked: if setup.checks_weights { MOST_CHECKED } else { 0 },
            checked: HashSet::new(),
            shapes,
            follows: setup.follows,
        };
        engine.perform(actions)?;
        // The journal has this controller now, so that no later one counts as the same.
        if let Some(cluster) = cluster {
            engine.nodes =
                Some(Nodes::open(cluster, &engine.layout, runs + 1, &setup.host, left(&engine.scheduler)).await?);
            engine.own.push(Event::Expects(true));
        }
        Ok(engine)
    }
}
