//! The agent itself: it does what its controller says, whichever connection and whichever controller that is.

use std::fs::{File, TryLockError};
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::bridge::Place;
use super::desk::Desk;
use super::files::Receiver;
use super::forward::{Ask, Forward};
use super::greeting::Facts;
use super::leaving::{Job, Leaving, Times, give_up};
use super::wire::{FromAgent, Terms, ToAgent};
use crate::agent::gpu::Gpu;
use crate::agent::{self, Devices, Host, Launcher, SlotDevice, ToHost, Variable};
use sweep_core::error::{Error, Exit, Result};
use sweep_link::transport::keep_dialing;
use sweep_link::{Clock, Event as Heard, Link};
use sweep_scheduler::schedule::{Event, SlotEvent, SlotId};
use sweep_spec::{Busy, Spec};
use sweep_store::Layout;

/// Time for which an agent waits for its first controller.
const FIRST: Duration = Duration::from_secs(60);

/// Time for trainers to save when the agent has to leave.
const LONGEST_SAVE: Duration = Duration::from_secs(60);

/// Time for the controller to take the last messages.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// Time for which an agent that has to find its controller looks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Time after which the controller is told what trials use of their GPUs.
const USAGE: Duration = Duration::from_secs(10);

const TICK: Duration = Duration::from_millis(100);

/// How an agent and its controllers come together.
#[derive(Debug, Clone)]
pub enum Way {
    /// Controllers come to the agent's socket, over bridges.
    Socket,
    /// The agent goes to its controller, whose address and key are in this file.
    Dial(PathBuf),
}

/// What an agent is started with.
pub struct Station {
    pub way: Way,
    /// Time after which it leaves if nothing runs here. `None`: it stays.
    pub idle: Option<Duration>,
    /// The job of Slurm that is queued again if it ends before the sweep does.
    pub job: Option<String>,
    /// Time for trials until its job ends. `None`: it has no end.
    pub time: Option<Duration>,
    pub place: Place,
    /// The machine.
    pub facts: Facts,
    /// The machine's memory in bytes.
    pub memory: u64,
    /// Finds out what the sweep needs here. An error says why it cannot run here.
    pub prepare: Prepare,
    pub variable: Variable,
}

/// Prepares a sweep on this machine, or says why it cannot run here.
pub type Prepare = Box<dyn Fn(&Terms) -> std::result::Result<Prepared, String>>;

/// A sweep that can run on this machine.
pub struct Prepared {
    pub spec: Spec,
    /// What starts trainers, or `None` if trials are programs.
    pub launcher: Option<Launcher>,
    pub slots: Vec<SlotDevice>,
    /// A recent reading of the GPUs.
    pub gpus: Vec<Gpu>,
}

/// Serves the controllers of one sweep, until the sweep needs this machine no more, or no controller is heard until the
/// lease ends.
///
/// # Errors
/// If another agent serves the sweep here, or the socket cannot be used.
pub fn serve(station: Station) -> Result<()> {
    let internal = |error| Error::new(Exit::Internal, "cannot start the event loop").source(error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(internal)?;
    std::fs::create_dir_all(&station.place.scratch)
        .map_err(|error| Error::storage(format!("{} cannot be created", station.place.scratch.display()), error))?;
    let Some(_lock) = lock(&station.place.socket)? else { return Ok(()) };
    let socket = station.place.socket.clone();
    let served = runtime.block_on(async { Service::open(station)?.run().await });
    let _ = std::fs::remove_file(socket);
    served
}

/// Makes sure that there is one agent of the sweep with this socket. `None`: there is another one.
fn lock(socket: &Path) -> Result<Option<File>> {
    let path = socket.with_extension("lock");
    let cannot = |error| Error::storage(format!("{} cannot be locked", path.display()), error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(cannot)?;
    match sweep_store::lock(&file, &path) {
        Ok(true) => Ok(Some(file)),
        // Without locks, an agent is seen by its answer.
        Ok(false) if UnixStream::connect(socket).is_ok() => Ok(None),
        Ok(false) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Serves whoever comes to the socket. A newer connection replaces an older one.
async fn accept(listener: UnixListener, agent: Arc<sweep_link::Agent<ToAgent>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let agent = agent.clone();
        tokio::spawn(async move {
            let why = agent.serve(stream).await;
            tracing::info!("a connection ended: {why}");
        });
    }
}

/// The agent while it runs.
struct Service {
    station: Station,
    layout: Layout,
    words: mpsc::Receiver<(sweep_link::SessionId, Heard<ToAgent>)>,
    link: Link<FromAgent>,
    /// What happens on the host, on its way to the controller.
    events: mpsc::Sender<Event>,
    /// What the slots do, shared with the task that forwards events.
    desk: Arc<Mutex<Desk>>,
    carries: Arc<Mutex<bool>>,
    asks: mpsc::UnboundedSender<Ask>,
    host: Option<Host>,
    /// The GPUs of the host.
    devices: Option<Devices>,
    began: Instant,
    /// When the controller is told next what trials use.
    usage_due: Instant,
    files: Receiver,
    leaving: Option<Leaving>,
}

/// Waits for the next reading of the GPUs, if there are any.
async fn next_of(devices: &mut Option<Devices>) -> Vec<Gpu> {
    match devices {
        Some(devices) => devices.next_reading().await,
        None => std::future::pending().await,
    }
}

impl Service {
    fn open(station: Station) -> Result<Service> {
        let place = &station.place;
        let cannot = |error| Error::storage(format!("{} cannot be listened at", place.socket.display()), error);
        let (sender, words) = mpsc::channel(64);
        let program = format!("sweep {}", env!("CARGO_PKG_VERSION"));
        let agent = sweep_link::Agent::new(program, Clock::default(), sender).map_err(cannot)?;
        let agent = Arc::new(agent);
        let link: Link<FromAgent> = agent.link();
        let watched = agent.clone();
        tokio::spawn(async move { watched.watch().await });
        match station.way.clone() {
            Way::Dial(address) => {
                tokio::spawn(async move { keep_dialing(&agent, &address).await });
            }
            Way::Socket => {
                // With the lock held, nobody answers there.
                let _ = std::fs::remove_file(&place.socket);
                let listener = UnixListener::bind(&place.socket).map_err(cannot)?;
                tokio::spawn(accept(listener, agent));
            }
        }
        let layout = Layout::new(&place.scratch);
        let (events, happened) = mpsc::channel(agent::CAPACITY);
        let (desk, carries) = (Arc::new(Mutex::new(Desk::default())), Arc::new(Mutex::new(false)));
        let (asks, asked) = mpsc::unbounded_channel();
        let forward = Forward {
            time: station.time.map(|time| (Instant::now(), time)),
            layout: layout.clone(),
            link: link.clone(),
            desk: desk.clone(),
            carries: carries.clone(),
            facts: station.facts.clone(),
        };
        tokio::spawn(forward.run(happened, asked));
        let files = Receiver::new(layout.clone());
        let (began, usage_due) = (Instant::now(), Instant::now());
        Ok(Service {
            station,
            layout,
            words,
            link,
            events,
            desk,
            carries,
            asks,
            host: None,
            devices: None,
            began,
            usage_due,
            files,
            leaving: None,
        })
    }

    async fn run(mut self) -> Result<()> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let listen =
            |kind| signal(kind).map_err(|error| Error::new(Exit::Internal, "cannot listen for signals").source(error));
        let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let (mut first, mut second) = (listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?);
        let mut times = Times::new(self.station.time);
        loop {
            tokio::select! {
                word = self.words.recv() => {
                    let Some((_, word)) = word else { return Ok(()) };
                    times.was_connected |= matches!(word, Heard::Connected { .. });
                    if self.hear(word).is_break() {
                        return Ok(());
                    }
                }
                seen = next_of(&mut self.devices) => self.watch(&seen),
                _ = terminate.recv() => self.leave("it was sent SIGTERM", false, Job::MayEnd),
                _ = interrupt.recv() => self.leave("it was sent SIGINT", false, Job::MayEnd),
                _ = first.recv() => self.leave("it was sent SIGUSR1", false, Job::Ends),
                _ = second.recv() => self.leave("it was sent SIGUSR2", false, Job::Ends),
                _ = tick.tick() => self.keep_time(&mut times)?,
            }
            if self.leaving.is_some() {
                self.clear();
            }
            let is_over = |leaving: &Leaving| self.desk().is_still() || leaving.until < Instant::now();
            if self.leaving.as_ref().is_some_and(is_over) {
                self.end().await;
                return Ok(());
            }
        }
    }

    /// Takes what came over the link. Breaks if the session is over.
    fn hear(&mut self, word: Heard<ToAgent>) -> ControlFlow<()> {
        match word {
            Heard::Message { number, message } => {
                self.obey(message);
                self.link.acknowledge(number);
            }
            Heard::Connected { generation, .. } => {
                tracing::info!("connected with controller {generation} of the sweep");
            }
            Heard::Disconnected(why) => tracing::warn!("disconnected: {why}"),
            Heard::Save => {
                tracing::warn!("the controller does not answer: saves all trials");
                self.save();
            }
            Heard::Latest(_) => {}
            Heard::Over(why) => {
                tracing::info!("the session is over: {why}");
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Leaves when the time of the job ends or nothing runs here for long. It is an error if no controller ever came.
    fn keep_time(&mut self, times: &mut Times) -> Result<()> {
        let waits = if matches!(self.station.way, Way::Socket) { FIRST } else { LONGEST_WAIT };
        if !times.was_connected && times.began.elapsed() > waits {
            return Err(Error::new(Exit::Usage, "no controller was found"));
        }
        if !self.desk().attempts().is_empty() {
            times.busy = Instant::now();
        }
        if times.end.is_some_and(|end| end <= Instant::now()) {
            self.leave("the time of its job ends", false, Job::Ends);
        } else if self.station.idle.is_some_and(|idle| times.busy.elapsed() > idle) {
            self.leave("there was nothing to do", false, Job::Needless);
        }
        Ok(())
    }

    /// Ends the session, once the controller has the last messages.
    async fn end(&mut self) {
        let Some(Leaving { why, done, job, .. }) = self.leaving.take() else { return };
        if timeout(LAST_WORDS, self.link.drained()).await.is_err() {
            tracing::warn!("the controller did not take the last messages");
        }
        if done {
            let _ = std::fs::remove_dir_all(&self.station.place.scratch);
        }
        self.link.end(why);
        // The connection says so before it is closed.
        tokio::time::sleep(TICK * 5).await;
        if let Some(id) = &self.station.job {
            give_up(id, job).await;
        }
    }

    fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.desk.lock().expect("no panic while it is held")
    }

    fn obey(&mut self, message: ToAgent) {
        match message {
            ToAgent::Sweep(terms) => self.meet(&terms),
            ToAgent::Host { order } => self.perform(order),
            ToAgent::File(part) => {
                if let Err(error) = self.files.take(&part) {
                    // Without its checkpoint, the trial begins anew.
                    tracing::warn!("{error}");
                }
            }
            ToAgent::Leave { again: true, .. } => self.leave("its job ends too soon for a trial", false, Job::Ends),
            ToAgent::Leave { done: true, .. } => self.leave("the sweep is complete", true, Job::Needless),
            ToAgent::Leave { .. } => self.leave("it was asked to leave", false, Job::Needless),
        }
    }

    /// Answers a controller that has come.
    fn meet(&mut self, terms: &Terms) {
        *self.carries.lock().expect("no panic while it is held") = terms.carry;
        let met = (self.station.prepare)(terms).and_then(|prepared| match &mut self.host {
            Some(host) => {
                host.follow(prepared.spec);
                Ok(Vec::new())
            }
            None => self.begin(prepared),
        });
        let (answer, notes) = match met {
            Err(reason) => (Ask::Say(FromAgent::Cannot { reason }.into()), Vec::new()),
            Ok(notes) => (Ask::Offer, notes),
        };
        let _ = self.asks.send(answer);
        for text in notes {
            let _ = self.asks.send(Ask::Say(FromAgent::Note { text }.into()));
        }
    }

    /// Tells what a reading of the GPUs has changed, and from time to time what trials use.
    fn watch(&mut self, seen: &[Gpu]) {
        let (Some(devices), Some(host)) = (&mut self.devices, &self.host) else { return };
        let tenants = self.desk.lock().expect("no panic while it is held").tenants();
        for event in devices.judge(seen, &tenants) {
            let _ = FromAgent::of(event).map(|word| self.asks.send(Ask::Say(word.into())));
        }
        let at = self.began.elapsed().as_secs_f64();
        let rows = devices.rows(at, seen, &tenants);
        if !rows.is_empty() {
            let _ = self.asks.send(Ask::Say(FromAgent::Gpus { rows }.into()));
        }
        let sights = devices.sights(at, seen, &tenants, &host.processes());
        sights.iter().for_each(|sight| self.desk().measured(sight));
        if self.usage_due <= Instant::now() {
            self.usage_due = Instant::now() + USAGE;
            let _ = self.asks.send(Ask::Usage);
        }
    }

    /// Opens the slots. Returns what the user is told.
    ///
    /// # Errors
    /// Returns why there is no slot.
    fn begin(
        &mut self,
        Prepared { spec, launcher, slots, gpus }: Prepared,
    ) -> std::result::Result<Vec<String>, String> {
        let (slots, skipped) = match spec.devices.busy {
            Busy::Skip => agent::skip_busy(slots, &gpus).map_err(|error| error.to_string())?,
            _ => (slots, Vec::new()),
        };
        match agent::end_leftovers(self.layout.root(), &[]) {
            Ok(note) => note.iter().for_each(|note| tracing::info!("{note}")),
            Err(left) => tracing::warn!("{left}"),
        }
        let mut desk = Desk::new(&slots, self.station.memory);
        match Devices::open(spec.devices.busy, &slots, &gpus, self.began.elapsed().as_secs_f64()) {
            Ok(devices) => {
                for slot in (0..slots.len()).map(SlotId) {
                    desk.happened(slot, &SlotEvent::Device(devices.condition(slot)));
                }
                self.devices = Some(devices);
            }
            Err(error) => tracing::warn!("GPUs are not watched: {error}"),
        }
        *self.desk() = desk;
        let place = (spec, self.layout.clone());
        let wrap = place.0.cluster.wrap.clone();
        let launcher = launcher.map(|launcher| launcher.wrapped(wrap.clone()));
        let host = Host::new(launcher, slots, self.events.clone(), place, self.station.variable);
        self.host = Some(host.wrapped(wrap));
        Ok(skipped.iter().map(|reason| format!("not used: {reason}")).collect())
    }

    fn perform(&mut self, order: ToHost) {
        let order = self.here(order);
        if !self.desk().has(&order) {
            return tracing::warn!("there is no such slot: {order:?}");
        }
        self.desk().ordered(&order);
        let (slot, attempt) = match &order {
            ToHost::Train { slot, assignment } => (Some(*slot), Some(assignment.attempt)),
            _ => (None, None),
        };
        let Some(host) = &mut self.host else { return };
        let event = match host.perform(order) {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!("{error}");
                let reason = format!("{}: {error}", self.station.facts.node).replace('\n', "; ");
                let lost = |(slot, attempt)| Event::On(slot, SlotEvent::Unstartable { attempt, error: reason.clone() });
                slot.zip(attempt).map(lost)
            }
        };
        if let Some(event) = event {
            let events = self.events.clone();
            tokio::spawn(async move { events.send(event).await });
        }
    }

    /// A trial whose files are not here begins anew, whatever the controller knows of it.
    fn here(&self, order: ToHost) -> ToHost {
        let ToHost::Train { slot, mut assignment } = order else { return order };
        if assignment.fresh {
            let _ = std::fs::remove_dir_all(self.layout.trial(assignment.attempt.trial));
        }
        if !self.layout.trial(assignment.attempt.trial).is_dir() {
            (assignment.resumes, assignment.known.read) = (false, 0);
        }
        ToHost::Train { slot, assignment }
    }

    /// Asks all trainers to save.
    fn save(&mut self) {
        let attempts = self.desk().attempts();
        for (slot, attempt) in attempts {
            self.perform(ToHost::Pause { slot, attempt });
        }
    }

    /// Asks trials to save, and ends the trainers that have none. The controller may not have known when it sent more.
    fn clear(&mut self) {
        self.save();
        let idle = self.desk().idle();
        for slot in idle {
            self.perform(ToHost::End { slot });
        }
    }

    fn leave(&mut self, why: &str, done: bool, job: Job) {
        if self.leaving.is_some() {
            return;
        }
        tracing::info!("leaves: {why}");
        let _ = self.asks.send(Ask::Say(FromAgent::Leaving { why: why.to_owned() }.into()));
        self.leaving = Some(Leaving { why: why.to_owned(), until: Instant::now() + LONGEST_SAVE, done, job });
    }
}
