//! The only asynchronous loop. Everything that happens becomes an event, the scheduler decides, and the loop performs
//! its actions.

mod config;
mod devices;
mod nodes;
mod probe;
mod signals;
mod trace;
mod views;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::agent::gpu::Gpu;
use crate::agent::service::FromAgent;
use crate::agent::{self, Assignment, Host, Known, Launcher, SlotDevice, ToHost};
use crate::progress::Screen;
use devices::Devices;
pub use nodes::{Cluster, Start, Target, submission, targets};
use nodes::{News, Nodes};
pub use probe::{probe, try_to_start};
use signals::{Heard, Signals};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History, Status};
use sweep_core::protocol::FromTrainer;
use sweep_core::steering::Request;
use sweep_core::trial::{Attempt, Settings, TrialId};
use sweep_scheduler::schedule::{Action, Event, Now, Scheduler, Shapes, SlotId, State};
use sweep_scheduler::search::{self, Search};
use sweep_spec::{Method, PerGpu, Spec};
use sweep_store::{Journal, Layout, Lock, requests};
use views::Views;

/// Interval for drawing the terminal and checking waiting trials.
const TICK: Duration = Duration::from_millis(100);

/// Maximum number of events that the scheduler processes before their entries are written to the journal as one batch.
const BATCH: usize = 256;

/// Time between two accounts in the log of what every slot does.
const ACCOUNT: Duration = Duration::from_secs(300);

/// Time after which what other hosts said is synced, and they are told so.
const SYNC: Duration = Duration::from_secs(1);

/// Maximum number of network shapes with a check of the initial weights.
const MOST_CHECKED: usize = 20;

/// The inputs of a run.
#[derive(Debug)]
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
}

/// Runs the sweep until all its trials have ended or the user interrupts it. Returns the history.
///
/// # Errors
/// Returns an error if no trainer can be run or the results cannot be written. In the latter case all trainers are
/// ended at once, and nothing that was written is lost.
pub fn run(setup: Setup) -> Result<History> {
    runtime()?.block_on(async { Engine::start(setup).await?.run().await })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Internal, "cannot start the event loop").source(error))
}

/// Waits for agents, if there can be any. Returns something to tell the user.
async fn next_of(
    nodes: &mut Option<Nodes>,
    heard: &mut Vec<(sweep_link::SessionId, sweep_link::Event<FromAgent>)>,
) -> Option<String> {
    match nodes {
        Some(nodes) => nodes.next(heard, BATCH).await,
        None => std::future::pending().await,
    }
}

struct Engine {
    scheduler: Scheduler,
    host: Host,
    nodes: Option<Nodes>,
    /// When what other hosts said is synced next, since the run began.
    sync_due: Duration,
    events: mpsc::Receiver<Event>,
    /// Events of the engine itself. It never waits for room in its own channel.
    own: Vec<Event>,
    journal: Journal,
    views: Views,
    devices: Devices,
    layout: Layout,
    spec: Spec,
    screen: Screen,
    lock: Lock,
    /// When the run began, in Unix seconds and by a clock that nobody sets. Times in the journal are sums of both, so that
    /// durations are right whatever happens to the machine's time.
    began: (f64, Instant),
    /// Maximum number of network shapes to check.
    most_checked: usize,
    /// The network shapes that were checked.
    checked: HashSet<String>,
    /// What names them.
    shapes: Shapes,
}

impl Engine {
    async fn start(setup: Setup) -> Result<Engine> {
        let Setup {
            layout, mut spec, history, journal, lock, slots, gpus, trainer, retry_failed, screen, host, ..
        } = setup;
        let (variable, most_checked) = (setup.variable, if setup.checks_weights { MOST_CHECKED } else { 0 });
        let began = ((setup.clock)(), Instant::now());
        let (sender, events) = mpsc::channel(agent::CAPACITY);
        let names = slots.iter().map(|slot| slot.name.clone()).collect();
        let cluster = setup.cluster;
        let on = cluster.iter().flat_map(|cluster| &cluster.targets).map(ToString::to_string).collect();
        let (runs, lease) = (history.runs, cluster.as_ref().map(|cluster| cluster.lease().handover()));
        if spec.method == Method::Tpe {
            let count = slots.len().max(cluster.as_ref().map_or(0, |cluster| cluster.slots));
            spec.lag = Some(search::lag(spec.search_terms(), &history, count.max(1)));
        }
        let machine = host.clone();
        let run = Entry::Run {
            at: began.0,
            version: env!("CARGO_PKG_VERSION").into(),
            host,
            pid: std::process::id(),
            slots: names,
            mps: setup.mps.clone(),
            lag: spec.lag,
            on,
        };
        let search = Search::resumed(spec.search_terms(), &history);
        let shapes = config::shapes(&spec);
        let limits = config::Limits {
            from_scratch: setup.from_scratch,
            max_time: setup.max_time,
            run_for: setup.run_for,
            silence: setup.silence,
            lease: lease.unwrap_or_else(|| sweep_link::Terms::default().handover()),
        };
        let config = config::config(&spec, &limits, search.len(), shapes.clone());
        let now = Now { unix: began.0, since: Duration::ZERO };
        requests::tidy(&layout, UNIX_EPOCH + Duration::from_secs_f64(began.0.max(0.0)));
        let devices = Devices::open(&layout, spec.devices.busy, &slots, &gpus, began.0)?;
        let named = devices.slots(&slots, spec.devices.per_gpu == PerGpu::Auto, setup.memory);
        let views = Views::open(&layout, &spec, &history)?;
        let (scheduler, actions) = Scheduler::new(now, config, Box::new(search), history, named, run, retry_failed);
        let trainer = trainer.map(|launcher| launcher.with_mps(setup.mps.clone()));
        let host = Host::new(trainer, slots, sender, (spec.clone(), layout.clone()), variable);
        let mut engine = Engine {
            scheduler,
            host,
            nodes: None,
            sync_due: SYNC,
            events,
            own: Vec::new(),
            journal,
            views,
            devices,
            layout,
            spec,
            screen,
            lock,
            began,
            most_checked,
            checked: HashSet::new(),
            shapes,
        };
        engine.perform(actions)?;
        // The journal has this controller now, so that no later one counts as the same.
        if let Some(cluster) = cluster {
            engine.nodes = Some(Nodes::open(cluster, &engine.layout, runs + 1, &machine).await?);
            engine.own.push(Event::Expects(true));
        }
        Ok(engine)
    }

    async fn run(mut self) -> Result<History> {
        let mut signals = Signals::listen()?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut batch, mut heard) = (Vec::with_capacity(BATCH), Vec::new());
        // The first account comes early, to show slots that never become ready.
        let mut account_due = ACCOUNT / 5;
        let mut is_time_told = false;
        // A request to a sweep that is complete can make it go on.
        batch.append(&mut self.own);
        batch.extend(requests::waiting(&self.layout).into_iter().map(Event::Asked));
        self.handle(&mut batch)?;
        while !self.scheduler.is_done() {
            tokio::select! {
                _ = self.events.recv_many(&mut batch, BATCH) => {}
                () = std::future::ready(()), if !self.own.is_empty() => batch.append(&mut self.own),
                note = next_of(&mut self.nodes, &mut heard) => note.iter().for_each(|note| self.screen.note(note)),
                seen = self.devices.look() => {
                    self.devices.record(self.now().unix, &seen, self.scheduler.slots())?;
                    batch.extend(self.devices.judge(&seen, self.scheduler.slots()));
                    let pids = self.host.processes();
                    batch.extend(self.devices.sights(self.now().unix, &seen, self.scheduler.slots(), &pids));
                }
                heard = signals.next() => match heard {
                    Heard::Order => batch.push(Event::Interrupt),
                    // It ends nothing at once, however often it comes.
                    Heard::Notice if self.scheduler.interrupted() => {}
                    Heard::Notice => batch.push(Event::Interrupt),
                },
                _ = tick.tick() => {
                    if !self.lock.is_kept() {
                        let what = format!("another controller has taken over {}", self.layout.root().display());
                        return Err(Error::new(Exit::Storage, what)
                            .hint("this one did not run for a while, and was taken for dead; nothing is lost"));
                    }
                    batch.extend(requests::waiting(&self.layout).into_iter().map(Event::Asked));
                    batch.push(Event::Tick);
                    self.sync()?;
                    self.screen.draw(&self.scheduler, &self.spec);
                }
            }
            let now = self.now();
            if now.since >= account_due {
                trace::slots(&self.scheduler, now);
                account_due = now.since + ACCOUNT;
            }
            self.hear(&mut heard, &mut batch)?;
            self.handle(&mut batch)?;
            if self.scheduler.is_out_of_time() && !std::mem::replace(&mut is_time_told, true) {
                self.screen.out_of_time();
            }
        }
        let last = self.scheduler.leave(self.now());
        self.perform(last)?;
        self.screen.finish();
        if let Some(nodes) = self.nodes.take() {
            nodes.close(self.scheduler.is_complete()).await;
        }
        self.conclude()
    }

    /// Writes what is left to write. Returns an error if the run ended for another reason than the sweep's end or an
    /// interrupt.
    fn conclude(self) -> Result<History> {
        let Engine { views, scheduler, layout, spec, .. } = self;
        views.close(&layout, &spec, scheduler.history())?;
        let given_up = scheduler.slots().iter().find_map(|slot| match &slot.state {
            State::Out { reason } => Some((&slot.name, reason)),
            _ => None,
        });
        if let Some(error) = scheduler.hopeless() {
            return Err(Error::new(
                Exit::TrialsFailed,
                format!("stopped because every trial failed; last error: {error}"),
            )
            .hint(format!(
                "`sweep status {0}` lists the failures; fix them, then run: sweep resume --retry-failed {0}; if the sweep \
                 file was wrong, give a corrected copy: sweep extend {0} FILE --run",
                layout.root().display()
            )));
        }
        match given_up {
            Some((slot, reason)) if !scheduler.is_complete() && !scheduler.interrupted() => {
                Err(Error::new(Exit::NoTrainer, format!("no slot is left for training; {slot}: {reason}"))
                    .hint(format!("fix this, then run: sweep resume {}", layout.root().display())))
            }
            _ => Ok(scheduler.into_history()),
        }
    }

    /// Takes in what other hosts have said. The events go to the end of the batch.
    fn hear(
        &mut self,
        heard: &mut Vec<(sweep_link::SessionId, sweep_link::Event<FromAgent>)>,
        batch: &mut Vec<Event>,
    ) -> Result<()> {
        for (session, word) in heard.drain(..) {
            let now = self.began.1.elapsed();
            let Some(nodes) = &mut self.nodes else { return Ok(()) };
            for news in nodes.take(session, word, now, self.scheduler.history())? {
                match news {
                    News::Event(event) => batch.push(event),
                    News::Note(note) => self.screen.note(&note),
                    News::Joined(session, event) => {
                        let Event::Joined { slots, .. } = &event else { continue };
                        let offered: Vec<String> = slots.iter().map(|joining| joining.slot.identity.clone()).collect();
                        // What follows is about slots whose numbers the scheduler gives now.
                        self.handle(batch)?;
                        let actions = self.scheduler.on_event(self.now(), event);
                        if let Some(nodes) = &mut self.nodes {
                            batch.extend(nodes.seat(session, self.scheduler.slots(), &offered));
                        }
                        self.perform(actions)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Syncs what other hosts have said, from time to time, and tells them. What they are told is safe, they forget.
    fn sync(&mut self) -> Result<()> {
        let now = self.began.1.elapsed();
        let Some(nodes) = &mut self.nodes else { return Ok(()) };
        if nodes.owes() && (now >= self.sync_due || nodes.hurries()) {
            self.journal.write(&[], true)?;
            nodes.acknowledge();
            self.sync_due = now + SYNC;
        }
        nodes.dismiss(self.scheduler.slots());
        if let Some(total) = self.scheduler.total() {
            let ended = self.scheduler.history().trials.iter().filter(|trial| matches!(trial.status, Status::Ended(_)));
            nodes.need(total.saturating_sub(ended.count() as u64));
        }
        if !nodes.expects() {
            self.own.push(Event::Expects(false));
        }
        Ok(())
    }

    /// Starts agents that the user has asked for meanwhile.
    fn join(&mut self, on: &[String]) {
        let Some(nodes) = &mut self.nodes else {
            return self
                .screen
                .note("hosts can join only a sweep that runs with --on; interrupt it, and resume it with --on");
        };
        match targets(on) {
            Ok(targets) => {
                nodes.start(targets);
                self.own.push(Event::Expects(true));
            }
            Err(error) => self.screen.note(&error.to_string()),
        }
    }

    /// Lets the scheduler decide about events, performs its actions, and answers requests.
    fn handle(&mut self, batch: &mut Vec<Event>) -> Result<()> {
        let now = self.now();
        let (mut actions, mut asked, mut joins) = (Vec::new(), Vec::new(), Vec::new());
        for event in batch.drain(..) {
            trace::event(&self.scheduler, &event);
            match &event {
                Event::Interrupt => self.screen.interrupted(self.scheduler.interrupted()),
                Event::Asked(request) => {
                    asked.push(request.id.clone());
                    if let Ok(Request::Join { on }) = &request.request {
                        joins.push(on.clone());
                    }
                }
                // No further results can be saved. The journal and complete checkpoints remain.
                Event::Said { message: FromTrainer::Unwritable { attempt, reason }, .. } => {
                    self.journal.in_place()?;
                    let folder = self.layout.root().display();
                    return Err(Error::new(Exit::Storage, format!("{attempt} cannot be saved: {reason}"))
                        .hint(format!("fix this, then run: sweep resume {folder}")));
                }
                _ => {}
            }
            actions.extend(self.scheduler.on_event(now, event));
        }
        self.perform(actions)?;
        // The journal has what is answered here. After a crash in between, the next controller answers from there.
        for request in joins {
            self.join(&request);
        }
        for id in asked {
            let said = self.scheduler.history().steering.answer(&id).unwrap_or_default().to_vec();
            // If the answer cannot be written, the request stays and is answered at the next look.
            let _ = requests::answer(&self.layout, &id, &said);
        }
        Ok(())
    }

    /// Performs the scheduler's actions. Journal entries are written first, then the other actions run in order.
    fn perform(&mut self, actions: Vec<Action>) -> Result<()> {
        let entries: Vec<Entry> = actions
            .iter()
            .filter_map(|action| if let Action::Record(entry) = action { Some(entry.clone()) } else { None })
            .collect();
        if !entries.is_empty() {
            let sync = entries.iter().any(|entry| {
                !matches!(
                    entry,
                    Entry::Epoch { .. }
                        | Entry::Row { .. }
                        | Entry::Process { .. }
                        | Entry::Began { .. }
                        | Entry::Learnt { .. }
                )
            });
            let began = Instant::now();
            self.journal.write(&entries, sync)?;
            trace::journal(entries.len(), sync, began.elapsed());
            for entry in &entries {
                self.views.entry(entry, self.scheduler.history())?;
                self.screen.entry(entry, &self.scheduler, &self.spec);
            }
            self.views.flush();
        }
        for action in actions {
            trace::action(self.scheduler.slots(), &action);
            match action {
                Action::Record(_) => {}
                Action::Start(slot) => self.order(slot, |slot| ToHost::Start { slot }, None)?,
                Action::Train { slot, attempt, settings } => self.train(slot, attempt, settings)?,
                Action::Pause { slot, attempt } => self.order(slot, |slot| ToHost::Pause { slot, attempt }, None)?,
                Action::End(slot) => self.order(slot, |slot| ToHost::End { slot }, None)?,
                Action::Kill(slot) => self.order(slot, |slot| ToHost::Kill { slot }, None)?,
                Action::Remove { trial, leftover } => {
                    self.own.extend(self.host.perform(ToHost::Remove { trial, leftover })?);
                }
            }
        }
        Ok(())
    }

    /// Hands an attempt to the host of its slot.
    fn train(&mut self, id: SlotId, attempt: Attempt, settings: Settings) -> Result<()> {
        let history = self.scheduler.history();
        let trial = history.trial(attempt.trial).expect("what is handed out is in the journal");
        let is_network = self.spec.network().is_some();
        let check_weights = is_network
            && attempt.number == 1
            && self.checked.len() < self.most_checked
            && self.checked.insert((self.shapes.0)(&settings));
        let assignment = Box::new(Assignment {
            attempt,
            settings,
            seed: trial.seed.unwrap_or(self.spec.seed),
            repeat: trial.repeat,
            epochs: trial.curve.len() as u32,
            known: Known { last: trial.epochs(), from_zero: trial.from_zero, read: trial.read.unwrap_or(0) },
            resumes: attempt.number > trial.discarded + 1,
            needs_metric: self.spec.ranks && self.spec.metric.best(&trial.curve).is_none(),
            check_weights,
            fresh: trial.curve.is_empty() && trial.seconds_before > 0.0,
        });
        // Charts go there, too.
        let folder = self.layout.trial(attempt.trial);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::storage(format!("cannot create {}", folder.display()), error))?;
        let carried = (!assignment.fresh).then_some(attempt.trial);
        self.order(id, |slot| ToHost::Train { slot, assignment }, carried)
    }

    /// Passes an order on to the host of a slot.
    fn order(&mut self, id: SlotId, order: impl FnOnce(SlotId) -> ToHost, carried: Option<TrialId>) -> Result<()> {
        let slot = &self.scheduler.slots()[id.0];
        if slot.node.is_some() {
            if let Some(nodes) = &mut self.nodes {
                nodes.order(slot, order, carried);
            }
            return Ok(());
        }
        // This machine's slots come first in the list.
        self.own.extend(self.host.perform(order(id))?);
        Ok(())
    }

    fn now(&self) -> Now {
        let since = self.began.1.elapsed();
        Now { unix: self.began.0 + since.as_secs_f64(), since }
    }
}
