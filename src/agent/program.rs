//! A slot that runs programs: each trial is a process of its own, whose lines become what a trainer would say.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::child::{Child, Command, GRACE, LAST_WORDS, Lines, Log, Process, describe};
use super::launch::on;
use super::reading::{Reading, Said};
use super::slots::SlotDevice;
use crate::protocol::{self, FromTrainer, ToTrainer};
use crate::schedule::{Event, SlotId};
use crate::trial::{Attempt, Outcome};

/// How often a file of metrics is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// At most so many bytes of it are taken at a time.
const MOST_READ: u64 = 1 << 20;

/// One attempt at a trial.
#[derive(Debug, Clone)]
pub struct Job {
    /// Which.
    pub attempt: Attempt,
    /// The argument list; the first is the program.
    pub arguments: Vec<String>,
    /// Set beside what the environment has.
    pub variables: BTreeMap<&'static str, String>,
    /// Where it is started.
    pub folder: PathBuf,
    /// Where the program writes its metrics, if it does not print them.
    pub metrics_file: Option<PathBuf>,
    /// The metric that trials are ranked by.
    pub metric: String,
    /// Epochs whose metrics are in the journal.
    pub epochs_known: u32,
}

/// Waits for jobs on the slot, and runs them one after another.
pub fn supervise(slot: SlotId, device: SlotDevice, events: mpsc::UnboundedSender<Event>) -> Child {
    let (commands, inbox) = mpsc::unbounded_channel();
    let process = Process::default();
    tokio::spawn(watch(slot, device, inbox, events, Process::clone(&process)));
    Child::new(commands, process)
}

async fn watch(
    slot: SlotId,
    device: SlotDevice,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    events: mpsc::UnboundedSender<Event>,
    pid: Process,
) {
    let say = |message| drop(events.send(Event::Said { slot, message }));
    say(FromTrainer::Ready { protocol: protocol::VERSION, device: device.name.clone(), backend: "program".into() });
    let how = loop {
        match inbox.recv().await {
            Some(Command::Run { job, log }) => {
                if let Err(how) = run(&job, Log::open(&log), (&device, &pid), &mut inbox, &say).await {
                    break how;
                }
            }
            // A word about an attempt that is over.
            Some(Command::Tell { .. }) => {}
            Some(Command::End | Command::Kill) | None => break "ended".to_owned(),
        }
    };
    let _ = events.send(Event::Gone { slot, how, out_of_memory: false });
}

/// Runs a program to its end, or until it is to leave; an error is how it was lost.
async fn run(
    job: &Job,
    mut log: Log,
    (device, pid): (&SlotDevice, &Process),
    inbox: &mut mpsc::UnboundedReceiver<Command>,
    say: &impl Fn(FromTrainer),
) -> Result<(), String> {
    let attempt = job.attempt;
    let mut command = on(&device.device, Path::new(&job.arguments[0]));
    command.args(&job.arguments[1..]).envs(&job.variables).current_dir(&job.folder);
    let mut process =
        command.spawn().map_err(|error| format!("could not be started: {}: {error}", job.arguments[0]))?;
    pid.store(process.id().unwrap_or(0), Ordering::Relaxed);
    let group = process.id().and_then(|id| Pid::from_raw(id as i32));
    let signal = |signal| {
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    };
    let mut stdout = Lines::<ChildStdout>::new(process.stdout.take());
    let mut stderr = Lines::<ChildStderr>::new(process.stderr.take());
    let mut reading = Reading::new(attempt, job.epochs_known, &job.metric);
    let mut tail = job.metrics_file.as_ref().map(|path| Tail::new(path.clone(), job.epochs_known > 0));
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut leaves, mut killed, mut diverged) = (None, None, None);
    let status: std::io::Result<ExitStatus> = loop {
        let patience = leaves.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        let mut told = Vec::new();
        tokio::select! {
            Some(line) = stdout.next(), if stdout.open => {
                if tail.is_some() || !reading.line(&line, &mut told) {
                    log.write(&line);
                }
            }
            Some(line) = stderr.next(), if stderr.open => log.write(&line),
            _ = look.tick(), if tail.is_some() => {
                if let Some(tail) = &mut tail {
                    tail.look(&mut reading, &mut told);
                }
            }
            order = inbox.recv() => match order {
                Some(Command::Tell { line, .. }) => {
                    let pause = serde_json::from_str(&line);
                    if matches!(pause, Ok(ToTrainer::Pause { attempt: about }) if about == attempt) {
                        signal(Signal::TERM);
                        leaves.get_or_insert(Instant::now() + GRACE);
                    }
                }
                Some(Command::Run { .. }) => {}
                Some(Command::End) => {
                    signal(Signal::TERM);
                    leaves.get_or_insert(Instant::now() + GRACE);
                    killed = Some("ended");
                }
                Some(Command::Kill) | None => {
                    signal(Signal::KILL);
                    killed = Some("was ended by signal 9 (SIGKILL)");
                }
            },
            () = sleep_until(patience), if leaves.is_some() => {
                signal(Signal::KILL);
                leaves = Some(Instant::now() + GRACE);
            }
            status = process.wait() => break status,
        }
        diverged = diverged.or(speak(told, say));
        if diverged.is_some() && leaves.is_none() {
            signal(Signal::TERM);
            leaves = Some(Instant::now() + GRACE);
        }
    };
    // Whatever it has left behind in its group ends with it; what it said last is still in the pipes.
    signal(Signal::KILL);
    let mut told = Vec::new();
    let _ = timeout(LAST_WORDS, async {
        while let Some(line) = stdout.next().await {
            if tail.is_some() || !reading.line(&line, &mut told) {
                log.write(&line);
            }
        }
        while let Some(line) = stderr.next().await {
            log.write(&line);
        }
    })
    .await;
    if let Some(tail) = &mut tail {
        tail.look(&mut reading, &mut told);
        tail.finish(&mut reading, &mut told);
    }
    diverged = diverged.or(speak(told, say));
    let last = match (killed, diverged, leaves, status) {
        (Some(how), ..) => return Err(how.to_owned()),
        (None, Some(outcome), ..) => FromTrainer::Ended { attempt, outcome },
        // Exit code 0 need not mean that it was done: it may have saved, as it was asked to.
        (None, None, Some(_), _) => FromTrainer::Paused { attempt },
        (None, None, None, Ok(status)) if status.success() && reading.epochs().max(job.epochs_known) > 0 => {
            FromTrainer::Ended { attempt, outcome: Outcome::Finished }
        }
        (None, None, None, Ok(status)) if status.success() => {
            let error = format!("the program ended without a value of {}: see its log", job.metric);
            FromTrainer::Ended { attempt, outcome: Outcome::Failed { error } }
        }
        (None, None, None, status) => {
            let how = status.map_or_else(|error| format!("is lost: {error}"), |status| describe(&status));
            return Err(log.with_last_words(how));
        }
    };
    say(last);
    Ok(())
}

/// Passes on what was read; that the metric ceased to be a number is returned.
fn speak(told: Vec<Said>, say: &impl Fn(FromTrainer)) -> Option<Outcome> {
    let mut diverged = None;
    for said in told {
        match said {
            Said::Message(message) if diverged.is_none() => say(*message),
            Said::Message(_) => {}
            Said::Diverged(outcome) => diverged = diverged.or(Some(outcome)),
        }
    }
    diverged
}

/// A file that grows.
struct Tail {
    path: PathBuf,
    /// What was read of it.
    offset: u64,
    /// Whether what is there at the beginning is of an earlier attempt.
    skips: bool,
    partial: Vec<u8>,
}

impl Tail {
    fn new(path: PathBuf, resumes: bool) -> Tail {
        Tail { path, offset: 0, skips: resumes, partial: Vec::new() }
    }

    /// Takes the lines that have come.
    fn look(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        let Ok(mut file) = File::open(&self.path) else { return };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        if length < self.offset {
            // It was begun anew.
            (self.offset, self.skips) = (0, false);
            self.partial.clear();
        }
        let mut read = Vec::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.take(MOST_READ).read_to_end(&mut read).is_err() {
            return;
        }
        self.offset += read.len() as u64;
        self.partial.extend(read);
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            reading.row(&line[..end], self.skips, told);
        }
        self.skips = false;
    }

    /// Its last line may have no end.
    fn finish(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        reading.row(&std::mem::take(&mut self.partial), false, told);
    }
}
