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
mod views;

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::agent::Devices;
use crate::agent::Host;
use crate::agent::service::FromAgent;
use crate::progress::Screen;
use devices::{Table, tenants};
use nodes::{News, Nodes};
use signals::{Heard, Signals};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, Status};
use sweep_core::protocol::FromTrainer;
use sweep_core::steering::Request;
use sweep_scheduler::schedule::{Event, Now, Scheduler, Shapes, State};
use sweep_spec::Spec;
use sweep_store::{Journal, Layout, Lock, requests};
use views::Views;

pub use measure::{measure, try_to_start};
pub use nodes::{Cluster, Prepared, Start, Target, submission, targets};
pub use start::Setup;

/// Interval for drawing the terminal and checking waiting trials.
const TICK: Duration = Duration::from_millis(100);

/// Maximum number of events that the scheduler processes before their entries are written to the journal as one batch. A
/// sync of a slow disk takes as long as a thousand of them.
const BATCH: usize = 1024;

/// Time between two accounts in the log of what every slot does.
const ACCOUNT: Duration = Duration::from_secs(300);

/// Time after which what other hosts said is synced, and they are told so.
const SYNC: Duration = Duration::from_secs(1);

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
        .build()
        .map_err(|error| Error::new(Exit::Internal, "cannot start the event loop").source(error))
}

/// Waits for agents, if there can be any. Returns what the user is told.
async fn next_of(
    nodes: &mut Option<Nodes>,
    heard: &mut Vec<(sweep_link::SessionId, sweep_link::Event<FromAgent>)>,
) -> Vec<String> {
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
        self.handle(&mut batch)?;
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
        let Engine { views, scheduler, layout, spec, refused, .. } = self;
        views.close(&layout, &spec, scheduler.history())?;
        let given_up = scheduler.slots().iter().find_map(|slot| match &slot.state {
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
                layout.root().display()
            )));
        }
        match given_up.or_else(no_host) {
            Some(reason) if !scheduler.is_complete() && !scheduler.interrupted() => {
                Err(Error::new(Exit::NoTrainer, format!("no slot is left for training; {reason}"))
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
                    News::Refused(note) => {
                        self.screen.note(&note);
                        self.refused = Some(note);
                    }
                    News::Gpus { node, rows } => self.table.record(self.now().unix, Some(&node), &rows)?,
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

    /// Starts agents that the user has asked for meanwhile, if there can be any. Otherwise returns why there cannot.
    fn join(&mut self, id: &str, on: &[String]) -> Option<String> {
        let said = self.said(id);
        match (&mut self.nodes, targets(on)) {
            (Some(nodes), Ok(targets)) => {
                nodes.join(id, said, targets);
                self.own.push(Event::Expects(true));
                None
            }
            (Some(_), Err(error)) => Some(error.to_string()),
            (None, _) => Some(
                "hosts can join only a sweep that runs with --on; interrupt it, and resume it with --on".to_owned(),
            ),
        }
    }

    /// The answer to a request, as the journal has it.
    fn said(&self, id: &str) -> Vec<String> {
        self.scheduler.history().steering.answer(id).unwrap_or_default().to_vec()
    }

    /// Lets the scheduler decide about events, performs its actions, and answers requests.
    fn handle(&mut self, batch: &mut Vec<Event>) -> Result<()> {
        let now = self.now();
        let (mut actions, mut asked, mut is_new) = (Vec::new(), Vec::new(), false);
        for event in batch.drain(..) {
            trace::event(&self.scheduler, &event);
            match &event {
                Event::Interrupt => self.screen.interrupted(self.scheduler.interrupted()),
                Event::Asked(request) => {
                    let on = if let Ok(Request::Join { on }) = &request.request { Some(on.clone()) } else { None };
                    asked.push((request.id.clone(), on));
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
            self.scheduler.take(now, event, &mut actions);
            is_new = true;
        }
        if is_new {
            self.scheduler.conclude(now, &mut actions);
        }
        self.perform(actions)?;
        // The journal has what is answered here. After a crash in between, the next controller answers from there.
        for (id, on) in asked {
            let mut said = self.said(&id);
            if let Some(on) = on {
                // Otherwise it is answered once the hosts are prepared.
                let Some(problem) = self.join(&id, &on) else { continue };
                self.screen.note(&problem);
                said = vec![problem];
            }
            // If the answer cannot be written, the request stays and is answered at the next tick.
            let _ = requests::answer(&self.layout, &id, &said);
        }
        Ok(())
    }

    fn now(&self) -> Now {
        let since = self.began.1.elapsed();
        Now { unix: self.began.0 + since.as_secs_f64(), since }
    }
}
