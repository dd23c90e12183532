//! A slot that runs programs: each trial is a process of its own, whose metrics become what a trainer would say.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::child::{Child, Command, GRACE, Process, describe};
use super::clashes::{self, Clashes};
use super::job;
use super::log::{gist, with_last_words};
use super::memory;
use super::metric_stream::{MetricStream, without_metric};
use super::outbox::Outbox;
use super::processes;
use super::provenance;
use super::reading::{Known, Reading, Said};
use super::slots::SlotDevice;
use super::supervisor::{self, Order, PRINTED, Report, Supervisor};
use sweep_core::program::{IMPOSSIBLE, LATER, Metrics, line};
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::{Attempt, Outcome};
use sweep_scheduler::schedule::{Event, FromProgram, Left, SlotEvent, SlotId};

/// Time for the controller's order to end a program, if a signal to the whole job reached the program first.
const LATE_ORDER: Duration = Duration::from_secs(1);

/// One attempt at a trial.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which.
    pub attempt: Attempt,
    /// The argument list; the first is the program.
    pub arguments: Vec<String>,
    /// The same for people: values of environment variables, which can be secret, are left out.
    pub typed: Vec<String>,
    /// Set beside what the environment has.
    pub variables: BTreeMap<&'static str, String>,
    /// Where it is started.
    pub folder: PathBuf,
    /// Where the program writes its metrics, if it does not print them.
    pub metrics_file: Option<PathBuf>,
    /// Where metrics are looked for, if no file is named.
    pub metrics: Metrics,
    /// The metric that trials are ranked by.
    pub metric: String,
    /// What is in the journal of its trial.
    pub known: Known,
    /// Whether it fails without a value of the metric.
    pub needs_metric: bool,
    /// Whether W&B's library is off, so that nothing that it is given is seen.
    pub is_wandb_off: bool,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
}

impl Job {
    /// Whether its metrics are in what it prints or logs, and in no file of its own.
    pub fn prints(&self) -> bool {
        self.metrics_file.is_none() && !matches!(self.metrics, Metrics::Files(_))
    }

    /// What its supervisor is told.
    fn order(&self, log: &Path) -> Order {
        Order {
            arguments: self.arguments.clone(),
            log: log.to_owned(),
            printed: self.prints().then(|| log.with_file_name(PRINTED)),
            metric: self.metric.clone(),
            expression: match &self.metrics {
                Metrics::Expression(expression) => Some(expression.clone()),
                Metrics::Auto | Metrics::Files(_) => None,
            },
        }
    }
}

/// How the task of a slot loses its program.
struct Lost {
    how: String,
    out_of_memory: bool,
    /// Why nothing can be written. No further trial could be.
    unwritable: Option<(Attempt, String)>,
}

impl From<String> for Lost {
    fn from(how: String) -> Lost {
        Lost { how, out_of_memory: false, unwritable: None }
    }
}

/// Waits for jobs on the slot, and runs them one after another.
pub fn supervise(slot: SlotId, device: SlotDevice, events: mpsc::Sender<Event>, clashes: Shared) -> Child {
    let (commands, inbox) = mpsc::unbounded_channel();
    let process = Process::default();
    let teller = Teller { slot, outbox: Outbox::new(events), clashes };
    tokio::spawn(watch(slot, device, inbox, teller, Process::clone(&process)));
    Child::new(commands, process)
}

async fn watch(
    slot: SlotId,
    device: SlotDevice,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    mut teller: Teller,
    pid: Process,
) {
    teller.tell(FromProgram::Ready { device: device.name.clone() }).await;
    let Lost { how, out_of_memory, unwritable } = loop {
        match inbox.recv().await {
            Some(Command::Run { job, log }) => {
                let lost = run(&job, &log, (&device, &pid), &mut inbox, &mut teller).await;
                pid.store(0, Ordering::Relaxed);
                if let Err(lost) = lost {
                    break lost;
                }
            }
            // The attempt to pause is over. A program is never trained or measured.
            Some(Command::Pause(_) | Command::Train { .. } | Command::Measure(_)) => {}
            Some(Command::End | Command::Kill) | None => break "ended".to_owned().into(),
        }
    };
    if let Some((attempt, reason)) = unwritable {
        teller.outbox.put(Event::On(slot, SlotEvent::Said(FromTrainer::Unwritable { attempt, reason }))).await;
    }
    teller.outbox.put(Event::On(slot, SlotEvent::Gone { how, out_of_memory })).await;
}

/// Tells the engine about the programs of a slot.
struct Teller {
    slot: SlotId,
    outbox: Outbox,
    /// What the programs of all slots write.
    clashes: Shared,
}

/// When trials ran and what they wrote, of all slots.
pub type Shared = Arc<Mutex<Clashes>>;

impl Teller {
    async fn tell(&mut self, message: FromProgram) {
        self.outbox.put(Event::On(self.slot, SlotEvent::Program(message))).await;
    }

    /// Passes on what was read. Returns an outcome if the metric ceased to be a number.
    async fn speak(&mut self, told: Vec<Said>) -> Option<Outcome> {
        let mut diverged = None;
        for said in told {
            match said {
                Said::Message(message) if diverged.is_none() => self.tell(*message).await,
                Said::Message(_) => {}
                Said::Diverged(outcome) => diverged = diverged.or(Some(outcome)),
            }
        }
        diverged
    }

    /// Warns if the trial that has just ended wrote files that another one had written.
    async fn look_for_clashes(&mut self, job: &Job, trial: &Path) {
        let lock = || self.clashes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(at) = provenance::changed(trial) else { return };
        if !lock().ended(job.attempt.trial, at) || job.folder == trial {
            return;
        }
        let folder = job.folder.clone();
        let Ok(files) = tokio::task::spawn_blocking(move || clashes::files(&folder)).await else { return };
        let warning = lock().check(&job.folder, files, |path| processes::have_open(path, supervisor::MARK));
        if let Some(warning) = warning {
            self.tell(FromProgram::Warned { attempt: job.attempt, warning }).await;
        }
    }

    /// Passes on what a program that has ended has left to read.
    async fn speak_last(&mut self, stream: &mut MetricStream, job: &Job, trial: &Path) -> Option<Outcome> {
        stream.search_file();
        let diverged = self.speak_all(stream).await;
        let diverged = diverged.or(self.speak(stream.finish()).await);
        if diverged.is_some() || stream.reading.measured() || !job.prints() {
            return diverged;
        }
        match stream.read_wandb_file(trial) {
            true => self.speak_all(stream).await.or(self.speak(stream.finish()).await),
            false => None,
        }
    }

    /// Passes on all that can be read, a part at a time: a file may be larger than memory.
    async fn speak_all(&mut self, stream: &mut MetricStream) -> Option<Outcome> {
        let mut diverged = None;
        while let Some(told) = stream.read() {
            diverged = diverged.or(self.speak(told).await);
            tokio::task::yield_now().await;
        }
        diverged
    }
}

/// What the controller has done to a program by its end.
#[derive(Debug, Default)]
struct Orders {
    /// It was asked to leave, and has until then.
    leaves: Option<Instant>,
    /// It is to be gone, with how that is told.
    killed: Option<&'static str>,
    /// It did not end in time.
    was_late: bool,
}

const ENDED: &str = "ended";
const KILLED: &str = "was ended by signal 9 (SIGKILL)";

/// Runs a program to its end, or until it is to leave.
async fn run(
    job: &Job,
    log: &Path,
    (device, pid): (&SlotDevice, &Process),
    inbox: &mut mpsc::UnboundedReceiver<Command>,
    teller: &mut Teller,
) -> Result<(), Lost> {
    let attempt = job.attempt;
    let mut stream = MetricStream::new(job, log);
    let diverged = teller.speak_all(&mut stream).await;
    if let Some(outcome) = diverged.or(teller.speak(stream.begin()).await) {
        teller.tell(FromProgram::Ended { attempt, outcome }).await;
        return Ok(());
    }
    let kills = memory::kills();
    let order = job.order(log);
    let trial = log.parent().unwrap_or(Path::new("."));
    let script = provenance::record(job, trial).await;
    stream.began = provenance::changed(trial);
    if let Some(at) = stream.began {
        teller.clashes.lock().unwrap_or_else(PoisonError::into_inner).began(attempt.trial, at);
    }
    let mut supervisor = Supervisor::start(&device.device, job, &order, trial)
        .await
        .map_err(|error| format!("could not be started: {}: {error}", job.arguments[0]))?;
    pid.store(supervisor.id(), Ordering::Relaxed);
    let mut orders = Orders::default();
    let (last, mut diverged) = attend((job, script), &mut supervisor, &mut stream, &mut orders, inbox, teller).await;
    let (status, signaled, taken, last_words) = match last {
        Some(Report::Ended { status, signaled, taken, last_words }) => {
            (supervisor::status(status), signaled, taken, last_words)
        }
        Some(Report::Refused { reason, is_final: true }) => {
            let error = format!("{} cannot be started: {}", job.arguments[0], without_name(&reason, job));
            teller.tell(FromProgram::Ended { attempt, outcome: Outcome::Failed { error } }).await;
            return Ok(());
        }
        Some(Report::Refused { reason, .. }) => return Err(format!("could not be started: {reason}").into()),
        Some(Report::Unwritable { reason }) => {
            let how = "could not store what its program printed".to_owned();
            return Err(Lost { how, out_of_memory: false, unwritable: Some((attempt, reason)) });
        }
        _ => {
            supervisor.kill();
            supervisor::kill_marked(trial);
            return Err("lost its supervisor process, and its program was ended".to_owned().into());
        }
    };
    supervisor.end().await;
    orders.late(job, inbox, signaled.is_some()).await;
    diverged = diverged.or(teller.speak_last(&mut stream, job, trial).await);
    provenance::ended(job, trial, describe(&status));
    job::tidy(trial);
    teller.look_for_clashes(job, trial).await;
    match (orders.killed, diverged) {
        (Some(how), _) => return Err(how.to_owned().into()),
        (None, Some(outcome)) => teller.tell(FromProgram::Ended { attempt, outcome }).await,
        // Exit code 0 need not mean that it was done: it may have saved, as it was asked to.
        (None, None) if orders.leaves.is_some() || (signaled.is_some() && status.code() != Some(LATER)) => {
            teller.tell(FromProgram::Paused { attempt, left: left(&status, orders.was_late, job.stop_grace) }).await;
        }
        (None, None) if status.code() == Some(LATER) => {
            teller.tell(FromProgram::Paused { attempt, left: Left::Later { signal: None } }).await
        }
        // It did what somebody else asked it for, and nothing says that it was done.
        (None, None) if taken.is_some() && status.success() => {
            teller.tell(FromProgram::Paused { attempt, left: Left::Later { signal: taken } }).await
        }
        (None, None) => conclude(job, &stream.reading, (&status, last_words.as_deref()), kills, teller).await?,
    }
    Ok(())
}

/// Attends to a program and its controller until the program has ended, or is lost. Returns the supervisor's last report,
/// and that the metric ceased to be a number.
async fn attend(
    (job, script): (&Job, Option<String>),
    supervisor: &mut Supervisor,
    stream: &mut MetricStream,
    orders: &mut Orders,
    inbox: &mut mpsc::UnboundedReceiver<Command>,
    teller: &mut Teller,
) -> (Option<Report>, Option<Outcome>) {
    let mut diverged = None;
    loop {
        let patience = orders.leaves.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            report = supervisor.next() => match report {
                Some(Report::Started { .. }) => {
                    let (group, script) = (supervisor.group(), script.clone());
                    teller.tell(FromProgram::Started { attempt: job.attempt, group, script }).await;
                }
                Some(Report::Printed) => diverged = diverged.or(teller.speak(stream.read().unwrap_or_default()).await),
                last => return (last, diverged),
            },
            () = teller.outbox.flush(), if teller.outbox.is_waiting() => {}
            _ = stream.tick.tick() => diverged = diverged.or(teller.speak(stream.read().unwrap_or_default()).await),
            command = inbox.recv() => orders.take(command, job, supervisor).await,
            () = sleep_until(patience), if orders.leaves.is_some() => {
                if std::mem::replace(&mut orders.was_late, true) {
                    supervisor.kill();
                }
                tracing::warn!("{}: SIGKILL, it did not end in time", job.attempt);
                supervisor.command(supervisor::Command::Kill).await;
                orders.leaves = Some(Instant::now() + GRACE);
            }
        }
        if diverged.is_some() && orders.leaves.is_none() {
            orders.ask(job, supervisor).await;
        }
    }
}

/// Reports how a program ended that did so of its own accord. `kills` is how many processes the kernel had killed when it
/// began.
async fn conclude(
    job: &Job,
    reading: &Reading,
    (status, last_words): (&ExitStatus, Option<&str>),
    kills: u64,
    teller: &mut Teller,
) -> Result<(), Lost> {
    let attempt = job.attempt;
    let mut how = match outcome(job, reading, status, last_words) {
        Ok(outcome) => {
            teller.tell(FromProgram::Ended { attempt, outcome }).await;
            return Ok(());
        }
        Err(how) => how,
    };
    let out_of_memory = status.signal() == Some(9) && memory::kills() > kills;
    if out_of_memory {
        how += memory::WORDS;
    }
    // A program that was killed has no exit code, and says nothing about how it was started. One that lacks memory says
    // nothing about other configurations.
    let is_own = reading.measured() || last_words.is_some_and(sweep_core::memory::is_lacking);
    let gist = status.code().filter(|_| !is_own).map(|code| format!("{code}: {}", gist(last_words)));
    let error = format!("the program {how}; the command was: {}", shown(&job.typed));
    teller.tell(FromProgram::Failed { attempt, gist, error }).await;
    Err(Lost { how, out_of_memory, unwritable: None })
}

impl Orders {
    async fn take(&mut self, command: Option<Command>, job: &Job, supervisor: &mut Supervisor) {
        match command {
            Some(Command::Pause(attempt)) if attempt == job.attempt => self.ask(job, supervisor).await,
            Some(Command::Pause(_) | Command::Run { .. } | Command::Train { .. } | Command::Measure(_)) => {}
            Some(Command::End) => {
                self.ask(job, supervisor).await;
                self.killed = Some(ENDED);
            }
            Some(Command::Kill) | None => {
                supervisor.command(supervisor::Command::Kill).await;
                self.killed = Some(KILLED);
                (self.leaves, self.was_late) = (Some(Instant::now() + GRACE), true);
            }
        }
    }

    /// Asks the program to save and end.
    async fn ask(&mut self, job: &Job, supervisor: &mut Supervisor) {
        tracing::info!("{}: SIGTERM; SIGKILL follows in {} s", job.attempt, job.stop_grace.as_secs());
        supervisor.command(supervisor::Command::Stop).await;
        self.leaves.get_or_insert(Instant::now() + job.stop_grace);
    }

    /// Takes the orders that came while the program ended. If a signal to all processes of the job made it end, the
    /// controller's order is on its way.
    async fn late(&mut self, job: &Job, inbox: &mut mpsc::UnboundedReceiver<Command>, is_on_its_way: bool) {
        let limit = if is_on_its_way && self.leaves.is_none() { LATE_ORDER } else { Duration::ZERO };
        while let Ok(Some(command)) = timeout(limit, inbox.recv()).await {
            match command {
                Command::Pause(attempt) if attempt == job.attempt => {
                    self.leaves.get_or_insert(Instant::now());
                    break;
                }
                Command::Pause(_) | Command::Run { .. } | Command::Train { .. } | Command::Measure(_) => {}
                Command::End => self.killed = self.killed.or(Some(ENDED)),
                Command::Kill => self.killed = self.killed.or(Some(KILLED)),
            }
        }
    }
}

/// The reason without the name of the program, which the supervisor puts first.
fn without_name<'a>(reason: &'a str, job: &Job) -> &'a str {
    reason.strip_prefix(&job.arguments[0]).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(reason)
}

/// How a program left after it was asked to.
fn left(status: &ExitStatus, was_late: bool, grace: Duration) -> Left {
    let reason = if was_late {
        format!("the program was killed: it ran for {} s after SIGTERM (`stop_grace`)", grace.as_secs())
    } else if status.success() || status.code() == Some(LATER) {
        return Left::Saved;
    } else {
        format!("the program {} when it was asked to stop", describe(status))
    };
    Left::Unsaved { reason }
}

/// How the attempt of a program ended that did so of its own accord. An error is how it was lost.
fn outcome(
    job: &Job,
    reading: &Reading,
    status: &ExitStatus,
    last_words: Option<&str>,
) -> std::result::Result<Outcome, String> {
    if status.success() && (reading.measured() || !job.needs_metric) {
        Ok(Outcome::Finished)
    } else if status.success() {
        Ok(Outcome::Failed { error: without_metric(job, reading) })
    } else if status.code() == Some(IMPOSSIBLE) {
        let how = format!("the program says that this configuration cannot run: {}", describe(status));
        Ok(Outcome::Impossible { error: with_last_words(how, last_words) })
    } else {
        let how = describe(status);
        let how = reading.problems().last().map_or_else(|| how.clone(), |problem| format!("{how}: {problem}"));
        Err(with_last_words(how, last_words))
    }
}

/// The arguments as they could be typed, as far as they fit in a line.
fn shown(arguments: &[String]) -> String {
    const LONGEST: usize = 400;
    let line = line(arguments);
    if line.chars().count() > LONGEST { format!("{}…", line.chars().take(LONGEST).collect::<String>()) } else { line }
}
