//! The only asynchronous loop. Everything that happens becomes an event, the scheduler decides, and the loop performs
//! its actions.

mod config;
mod devices;
mod measure;
mod nodes;
mod perform;
mod signals;
mod start;
mod trace;
mod turn;
mod views;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::agent::Devices;
use crate::agent::Host;
use crate::progress::Screen;
use devices::{Table, tenants};
use nodes::Nodes;
use signals::{Heard, Signals};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, Status};
use sweep_scheduler::schedule::{Event, Now, Scheduler, Shapes, State};
use sweep_spec::Spec;
use sweep_store::{Journal, Layout, Lock, requests};
use views::Views;

pub use measure::{measure, try_to_start};
pub use nodes::{Cluster, Prepared, Start, Target, most, submission, targets};
pub use start::Setup;

/// Interval for drawing the terminal and checking waiting trials.
const TICK: Duration = Duration::from_millis(100);

/// Maximum number of events that the scheduler processes before their entries are written to the journal as one batch. A
/// sync of a slow disk takes as long as a thousand of them.
const BATCH: usize = 1024;

/// Maximum number of tasks, such as connections with something to read, that run before the loop takes another turn. A turn
/// may sync the journal, which takes as long as hundreds of them.
const TASKS: u32 = 1024;

/// Time between two accounts in the log of what every slot does.
const ACCOUNT: Duration = Duration::from_secs(300);

/// Time after which what other hosts said is synced, and they are told so.
const SYNC: Duration = Duration::from_secs(1);

/// Time between two looks at all hosts: there may be a thousand.
const LOOK: Duration = Duration::from_secs(1);

/// Runs the sweep until all its trials have ended or the user interrupts it. Returns the history.
///
/// # Errors
/// Returns an error if no trainer can be run or the results cannot be written. In the latter case all trainers are
/// ended at once, and nothing that was written is lost.
pub fn run(setup: Setup) -> Result<History> {
    let is_job = (setup.variable)("SLURM_JOB_ID").is_some();
    runtime()?.block_on(async { Engine::start(setup).await?.run(is_job).await })
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(TASKS)
        .build()
        .map_err(|error| Error::new(Exit::Internal, "cannot start the event loop").source(error))
}

/// The number of trials that have not ended. `None` if there is no end of them.
fn left(scheduler: &Scheduler) -> Option<u64> {
    let ended = || scheduler.history().trials.iter().filter(|trial| matches!(trial.status, Status::Ended(_)));
    Some(scheduler.total()?.saturating_sub(ended().count() as u64))
}

/// Waits for agents, if there can be any. Returns what the user is told.
async fn next_of(nodes: &mut Option<Nodes>, heard: &mut Vec<nodes::Heard>) -> Vec<String> {
    match nodes {
        Some(nodes) => nodes.next(heard, BATCH).await,
        None => std::future::pending().await,
    }
}

struct Engine {
    scheduler: Scheduler,
    host: Host,
    nodes: Option<Nodes>,
    /// Why the last host that was refused cannot train.
    refused: Option<String>,
    /// When what other hosts said is synced next, since the run began.
    sync_due: Duration,
    /// When all hosts are looked at next, since the run began.
    look_due: Duration,
    events: mpsc::Receiver<Event>,
    /// Events of the engine itself. It never waits for room in its own channel.
    own: Vec<Event>,
    journal: Journal,
    views: Views,
    devices: Devices,
    table: Table,
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
    /// Whether another stage follows.
    follows: Box<dyn Fn(&History) -> bool>,
}

impl Engine {
    async fn run(mut self, is_job: bool) -> Result<History> {
        let mut signals = Signals::listen(is_job)?;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut batch, mut heard) = (Vec::with_capacity(BATCH), Vec::new());
        // The first account comes early, to show slots that never become ready.
        let mut account_due = ACCOUNT / 5;
        let mut is_time_told = false;
        // A request to a sweep that is complete can make it go on.
        batch.append(&mut self.own);
        batch.extend(requests::waiting(&self.layout).into_iter().map(Event::Asked));
        self.turn(&mut batch, &mut heard)?;
        while !self.scheduler.is_done() {
            tokio::select! {
                _ = self.events.recv_many(&mut batch, BATCH) => {}
                () = std::future::ready(()), if !self.own.is_empty() => batch.append(&mut self.own),
                notes = next_of(&mut self.nodes, &mut heard) => notes.iter().for_each(|note| self.screen.note(note)),
                seen = self.devices.next_reading() => {
                    let (at, tenants) = (self.now().unix, tenants(self.scheduler.slots()));
                    self.table.record(at, None, &self.devices.rows(at, &seen, &tenants))?;
                    batch.extend(self.devices.judge(&seen, &tenants));
                    batch.extend(self.devices.sights(at, &seen, &tenants, &self.host.processes()));
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
                            .hint("this one did not respond for a while, so it was assumed to be dead; nothing is \
                                lost"));
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
            self.turn(&mut batch, &mut heard)?;
            if self.scheduler.is_out_of_time() && !std::mem::replace(&mut is_time_told, true) {
                self.screen.out_of_time();
            }
        }
        let last = self.scheduler.leave(self.now());
        self.perform(last)?;
        self.screen.finish();
        if let Some(nodes) = self.nodes.take() {
            let is_complete = self.scheduler.is_complete();
            match is_complete && (self.follows)(self.scheduler.history()) {
                true => nodes.hand_over(),
                false => nodes.close(is_complete).await,
            }
        }
        self.conclude()
    }

    /// Writes what is left to write. Returns an error if the run ended for another reason than the sweep's end or an
    /// interrupt.
    fn conclude(self) -> Result<History> {
        let Engine { views, scheduler, layout, spec, refused, .. } = self;
        views.close(&layout, &spec, scheduler.history())?;
        let given_up = scheduler.given_up().find_map(|slot| match &slot.state {
            State::Out { reason } => Some(format!("{}: {reason}", slot.name)),
            _ => None,
        });
        // Without any slot, no host has come.
        let no_host = || refused.filter(|_| scheduler.slots().is_empty());
        if let Some(error) = scheduler.hopeless() {
            return Err(Error::new(
                Exit::TrialsFailed,
                format!("stopped because every trial failed; last error: {error}"),
            )
            .hint(format!(
                "`sweep status {0}` lists the failures; fix them, then run: sweep resume --retry-failed {0}; if the sweep \
                 file was wrong, give a corrected copy: sweep extend {0} FILE --run",
                argument(layout.root())
            )));
        }
        match given_up.or_else(no_host) {
            Some(reason) if !scheduler.is_complete() && !scheduler.interrupted() => {
                Err(Error::new(Exit::NoTrainer, format!("no slot is left for training; {reason}"))
                    .hint(format!("fix this, then run: sweep resume {}", argument(layout.root()))))
            }
            _ => Ok(scheduler.into_history()),
        }
    }

    /// Syncs what other hosts have said, from time to time, and tells them. What they are told is safe, they forget.
    fn sync(&mut self) -> Result<()> {
        let now = self.began.1.elapsed();
        let Some(nodes) = &mut self.nodes else { return Ok(()) };
        if nodes.owes() && (now >= self.sync_due || nodes.hurries()) {
            self.journal.write(&[], true)?;
            self.acknowledge();
        }
        let Some(nodes) = &mut self.nodes else { return Ok(()) };
        if now < self.look_due {
            return Ok(());
        }
        self.look_due = now + LOOK;
        nodes.dismiss(&self.scheduler);
        nodes.need(|| left(&self.scheduler));
        if !nodes.expects() {
            self.own.push(Event::Expects(false));
        }
        Ok(())
    }

    /// Tells other hosts from time to time what is safe of what they have said. The journal has just been synced.
    fn acknowledge(&mut self) {
        let now = self.began.1.elapsed();
        if let Some(nodes) = &mut self.nodes
            && (now >= self.sync_due || nodes.hurries())
        {
            nodes.acknowledge();
            self.sync_due = now + SYNC;
        }
    }

    fn now(&self) -> Now {
        let since = self.began.1.elapsed();
        Now { unix: self.began.0 + since.as_secs_f64(), since }
    }
}
