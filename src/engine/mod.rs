//! The only asynchronous loop. Everything that happens becomes an event, the scheduler decides, and the loop performs
//! its actions.

mod devices;
mod job;
mod probe;
mod trace;
mod views;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::agent::gpu::Gpu;
use crate::agent::{Agent, Launcher, SlotDevice, ignores_hangup};
use crate::progress::Screen;
use devices::Devices;
pub use probe::{probe, try_to_start};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History};
use sweep_core::protocol::{BEST_WEIGHTS, FromTrainer, LAST_CHECKPOINT, Order, PREVIOUS_CHECKPOINT};
use sweep_core::shape;
use sweep_core::stop::{EarlyTerminate, Stopping};
use sweep_core::trial::{Attempt, Settings};
use sweep_scheduler::schedule::{Action, Event, Leftover, Now, Rules, Scheduler, Shapes, SlotId, State};
use sweep_scheduler::search::{self, Search};
use sweep_spec::{Courtesy, Method, PerGpu, Spec};
use sweep_store::{Journal, Layout, Lock, requests};
use sweep_verdict::Context;
use views::Views;

/// Interval for drawing the terminal and checking waiting trials.
const TICK: Duration = Duration::from_millis(100);

/// Maximum number of events that the scheduler processes before their entries are written to the journal as one batch.
const BATCH: usize = 256;

/// Time between two accounts in the log of what every slot does.
const ACCOUNT: Duration = Duration::from_secs(300);

/// Maximum number of network shapes with a check of the initial weights.
const LOOKS: usize = 20;

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
    pub look: bool,
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
}

/// Runs the sweep until all its trials have ended or the user interrupts it. Returns the history.
///
/// # Errors
/// Returns an error if no trainer can be run or the results cannot be written. In the latter case all trainers are
/// ended at once, and nothing that was written is lost.
pub fn run(setup: Setup) -> Result<History> {
    runtime()?.block_on(async { Engine::start(setup)?.run().await })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Internal, "cannot start the event loop").source(error))
}

/// The rules that end trials, with what the sweep file tells of each trial.
fn stopping(terms: EarlyTerminate, spec: &Spec) -> Stopping {
    let (seed, spec) = (spec.seed, Rc::new(spec.clone()));
    let context = move |settings: &Settings| match spec.recipe(settings) {
        Ok(recipe) => Context::of_recipe(&recipe),
        Err(_) => Context::default(),
    };
    let planned = context.clone();
    Stopping {
        terms,
        seed,
        planned: Rc::new(move |settings| planned(settings).epochs_planned),
        overfits: Rc::new(move |trial, metric| {
            sweep_verdict::overfits(&trial.curve, &context(&trial.settings), metric)
        }),
    }
}

/// The naming of trial shapes.
fn shapes(spec: &Spec) -> Shapes {
    let spec = spec.clone();
    Shapes(Rc::new(move |settings| match spec.recipe(settings) {
        Ok(recipe) => shape::of_recipe(&recipe),
        _ => shape::of_settings(settings),
    }))
}

struct Engine {
    scheduler: Scheduler,
    agent: Agent,
    events: mpsc::UnboundedReceiver<Event>,
    journal: Journal,
    views: Views,
    devices: Devices,
    layout: Layout,
    spec: Spec,
    screen: Screen,
    lock: Lock,
    variable: fn(&str) -> Option<String>,
    /// When the run began, in Unix seconds and by a clock that nobody sets. Times in the journal are sums of both, so that
    /// durations are right whatever happens to the machine's time.
    began: (f64, Instant),
    /// Maximum number of network shapes to check.
    looks: usize,
    /// The network shapes that were checked.
    looked: HashSet<String>,
}

impl Engine {
    fn start(setup: Setup) -> Result<Engine> {
        let Setup {
            layout,
            mut spec,
            history,
            journal,
            lock,
            slots,
            gpus,
            trainer,
            silence,
            retry_failed,
            screen,
            host,
            ..
        } = setup;
        let (variable, looks) = (setup.variable, if setup.look { LOOKS } else { 0 });
        let began = ((setup.clock)(), Instant::now());
        let (sender, events) = mpsc::unbounded_channel();
        let names = slots.iter().map(|slot| slot.name.clone()).collect();
        if spec.method == Method::Tpe {
            spec.lag = Some(search::lag(spec.search_terms(), &history, slots.len()));
        }
        let run = Entry::Run {
            at: began.0,
            version: env!("CARGO_PKG_VERSION").into(),
            host,
            pid: std::process::id(),
            slots: names,
            mps: setup.mps.clone(),
            lag: spec.lag,
        };
        let search = Search::resumed(spec.search_terms(), &history);
        let rules = Rules {
            seed: spec.seed,
            from_scratch: setup.from_scratch,
            max_time: setup.max_time,
            run_for: setup.run_for,
            total: search.len(),
            retries: spec.retries,
            keep_best: spec.keep_best,
            metric: spec.metric.clone(),
            stop: spec.early_terminate.clone().map(|terms| stopping(terms, &spec)),
            // A program sends no heartbeats except its epochs, which may take any time.
            shape: shapes(&spec),
            yields: spec.devices.courtesy == Courtesy::Yield,
            saves: spec.network().is_some(),
            stop_grace: spec.stop_grace,
            silence: silence.or(spec.program().is_some().then_some(Duration::MAX)),
        };
        let now = Now { unix: began.0, since: Duration::ZERO };
        requests::tidy(&layout, UNIX_EPOCH + Duration::from_secs_f64(began.0.max(0.0)));
        let devices = Devices::open(&layout, spec.devices.busy, &slots, &gpus, began.0)?;
        let named = devices.slots(&slots, spec.devices.per_gpu == PerGpu::Auto, setup.memory);
        let views = Views::open(&layout, &spec, &history)?;
        let (scheduler, actions) = Scheduler::new(now, rules, Box::new(search), history, named, run, retry_failed);
        let agent = Agent::new(trainer.map(|launcher| launcher.with_mps(setup.mps.clone())), slots, sender);
        let mut engine = Engine {
            scheduler,
            agent,
            events,
            journal,
            views,
            devices,
            layout,
            spec,
            screen,
            lock,
            variable,
            began,
            looks,
            looked: HashSet::new(),
        };
        engine.perform(actions)?;
        Ok(engine)
    }

    async fn run(mut self) -> Result<History> {
        let listen = |kind| -> Result<Signal> {
            signal(kind).map_err(|error| Error::new(Exit::Internal, "cannot install signal handlers").source(error))
        };
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        // What `nohup` has ignored stays ignored: a handler would undo that.
        let mut hang_up = if ignores_hangup() { None } else { Some(listen(SignalKind::hangup())?) };
        // Slurm announces the end of a job's time by one of these.
        let mut first = listen(SignalKind::user_defined1())?;
        let mut second = listen(SignalKind::user_defined2())?;
        // A file beyond `ulimit -f` is an error of writing it, not the controller's end.
        let _file_too_large = listen(SignalKind::from_raw(libc::SIGXFSZ))?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH);
        // The first account comes early, to show slots that never become ready.
        let mut account_due = ACCOUNT / 5;
        let (mut announced, mut is_time_told) = (false, false);
        // A request to a sweep that is complete can make it go on.
        batch.extend(requests::waiting(&self.layout).into_iter().map(Event::Asked));
        self.handle(&mut batch)?;
        while !self.scheduler.is_done() {
            tokio::select! {
                _ = self.events.recv_many(&mut batch, BATCH) => {}
                seen = self.devices.look() => {
                    self.devices.record(self.now().unix, &seen, self.scheduler.slots())?;
                    batch.extend(self.devices.judge(&seen, self.scheduler.slots()));
                    let pids = self.agent.processes();
                    batch.extend(self.devices.sights(self.now().unix, &seen, self.scheduler.slots(), &pids));
                }
                _ = interrupt.recv() => batch.push(Event::Interrupt),
                _ = terminate.recv() => batch.push(Event::Interrupt),
                Some(()) = async { hang_up.as_mut()?.recv().await }, if hang_up.is_some() => announced = true,
                _ = first.recv() => announced = true,
                _ = second.recv() => announced = true,
                _ = tick.tick() => {
                    if !self.lock.is_kept() {
                        let what = format!("another controller has taken over {}", self.layout.root().display());
                        return Err(Error::new(Exit::Storage, what)
                            .hint("this one did not run for a while, and was taken for dead; nothing is lost"));
                    }
                    batch.extend(requests::waiting(&self.layout).into_iter().map(Event::Asked));
                    batch.push(Event::Tick);
                    self.screen.draw(&self.scheduler, &self.spec);
                }
            }
            // Only what a person or a scheduler means as an order ends everything at once when it comes again.
            if std::mem::take(&mut announced) && !self.scheduler.interrupted() {
                batch.push(Event::Interrupt);
            }
            let now = self.now();
            if now.since >= account_due {
                trace::slots(&self.scheduler, now);
                account_due = now.since + ACCOUNT;
            }
            self.handle(&mut batch)?;
            if self.scheduler.is_out_of_time() && !std::mem::replace(&mut is_time_told, true) {
                self.screen.out_of_time();
            }
        }
        let last = self.scheduler.leave(self.now());
        self.perform(last)?;
        self.screen.finish();
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
                "`sweep status {0}` lists the failures; fix them, then run: sweep resume --retry-failed {0}",
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

    /// Lets the scheduler decide about events, performs its actions, and answers requests.
    fn handle(&mut self, batch: &mut Vec<Event>) -> Result<()> {
        let now = self.now();
        let (mut actions, mut asked) = (Vec::new(), Vec::new());
        for event in batch.drain(..) {
            trace::event(&self.scheduler, &event);
            match &event {
                Event::Interrupt => self.screen.interrupted(self.scheduler.interrupted()),
                Event::Asked(request) => asked.push(request.id.clone()),
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
                Action::Start(slot) => self.agent.start(slot),
                Action::Train { slot, attempt, settings } => self.train(slot, attempt, &settings)?,
                Action::Pause { slot, attempt } => self.agent.pause(slot, attempt),
                Action::End(slot) => self.agent.end(slot),
                Action::Kill(slot) => self.agent.kill(slot),
                Action::Remove { trial, leftover } => {
                    if leftover == Leftover::Everything {
                        self.empty(trial)?;
                    }
                    let names: &[&str] = match leftover {
                        Leftover::Everything => &[],
                        Leftover::Checkpoints => &[LAST_CHECKPOINT, PREVIOUS_CHECKPOINT],
                        Leftover::BestWeights => &[BEST_WEIGHTS],
                    };
                    for name in names {
                        let path = self.layout.trial(trial).join(name);
                        match std::fs::remove_file(&path) {
                            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                                return Err(Error::storage(format!("cannot remove {}", path.display()), error));
                            }
                            _ => {}
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn train(&mut self, slot: SlotId, attempt: Attempt, settings: &Settings) -> Result<()> {
        let folder = self.layout.trial(attempt.trial);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::storage(format!("cannot create {}", folder.display()), error))?;
        let trial = self.scheduler.history().trial(attempt.trial);
        let log = self.layout.trainer_log(attempt.trial);
        let error = if let Some(program) = self.spec.program() {
            let slot_name = &self.scheduler.slots()[slot.0].name;
            let device = self.agent.device(slot);
            let place = (folder.as_path(), slot_name.as_str(), device);
            match job::job(&self.spec, program, trial, (attempt, settings), place, self.variable)? {
                Ok(job) => {
                    self.agent.run(slot, job, log);
                    return Ok(());
                }
                Err(error) => error,
            }
        } else {
            match self.spec.recipe(settings) {
                Ok(recipe) => {
                    let epochs_known = trial.map_or(0, |trial| trial.curve.len() as u32);
                    let look = attempt.number == 1
                        && self.looked.len() < self.looks
                        && self.looked.insert(shape::of_recipe(&recipe));
                    let order = Order { attempt, seed: self.spec.seed, recipe, folder, epochs_known, look };
                    self.agent.train(slot, order, log);
                    return Ok(());
                }
                Err(error) => error,
            }
        };
        let actions = self.scheduler.on_event(self.now(), Event::Unstartable { slot, attempt, error });
        self.perform(actions)
    }

    /// Removes all that is in a trial's folder.
    fn empty(&self, trial: sweep_core::trial::TrialId) -> Result<()> {
        let folder = self.layout.trial(trial);
        let cannot = |error| Error::storage(format!("cannot empty {}", folder.display()), error);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot(error)),
            _ => Ok(()),
        }
    }

    fn now(&self) -> Now {
        let since = self.began.1.elapsed();
        Now { unix: self.began.0 + since.as_secs_f64(), since }
    }
}
