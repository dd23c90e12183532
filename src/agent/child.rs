//! The process of one trainer. Its output lines become events, its end is detected, and its log is kept.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::log::Log;
use super::outbox::Outbox;
use super::program::Job;
use super::{libtorch, memory};
use sweep_core::measurement::MeasureRequest;
use sweep_core::protocol::{FromTrainer, LONGEST_LINE, Order, ToTrainer};
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Event, SlotEvent, SlotId};

/// Time a trainer has to exit after its stdin is closed. Then it is killed: it ignores the other signals, which may be
/// sent to all processes of a job.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// Time to read the pipes of a trainer that has exited. A process that left its group could keep them open.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Exit code of the dynamic linker if it cannot load a library or lacks a function.
const NOT_LOADED: i32 = 127;

/// A command to the task that supervises a slot. Each supervisor carries it out in its own way: one writes a line to
/// its trainer, the other sends signals to a program.
#[derive(Debug)]
pub enum Command {
    /// Train this attempt. Only trainers get it. Their other output goes to the log from now on.
    Train { order: Box<Order>, log: PathBuf },
    /// Measure a network. Only trainers get it.
    Measure(Box<MeasureRequest>),
    /// Run this program. Only slots for programs get it. The program's output, except metrics, goes to the log.
    Run { job: Box<Job>, log: PathBuf },
    /// Save this attempt and leave it. It is ignored if the attempt is over.
    Pause(Attempt),
    /// End the process: close a trainer's stdin, or send SIGTERM to a program; later, send SIGKILL.
    End,
    /// Send SIGKILL.
    Kill,
}

/// A handle to the task that supervises one trainer.
#[derive(Debug)]
pub struct Child {
    commands: mpsc::UnboundedSender<Command>,
    process: Process,
}

/// The id of a supervised process, or 0 if there is none.
pub type Process = Arc<AtomicU32>;

impl Child {
    /// Creates a handle to a task that receives these commands and publishes the id of its process.
    pub fn new(commands: mpsc::UnboundedSender<Command>, process: Process) -> Child {
        Child { commands, process }
    }

    /// The id of the process, if there is one.
    pub fn process(&self) -> Option<u32> {
        Some(self.process.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// Supervises a trainer that was just spawned with piped stdin, stdout and stderr.
    pub fn supervise(slot: SlotId, process: tokio::process::Child, events: mpsc::Sender<Event>) -> Child {
        let (commands, inbox) = mpsc::unbounded_channel();
        let id = Process::new(process.id().unwrap_or(0).into());
        tokio::spawn(watch(slot, process, inbox, events));
        Child { commands, process: id }
    }

    /// Sends a command. It is dropped if the trainer has exited.
    pub fn command(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

async fn watch(
    slot: SlotId,
    mut process: tokio::process::Child,
    mut inbox: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
) {
    let mut stdout = Lines::<ChildStdout>::new(process.stdout.take());
    let mut stderr = Lines::<ChildStderr>::new(process.stderr.take());
    let mut watch = Watch {
        slot,
        group: process.id().and_then(|id| Pid::from_raw(id as i32)),
        stdin: process.stdin.take(),
        outbox: Outbox::new(events),
        log: Log::default(),
        kills_before: memory::kills(),
        deadline: None,
    };
    let status = loop {
        let patience = watch.deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            Some(line) = stdout.next(), if stdout.open => watch.hear(&line).await,
            Some(line) = stderr.next(), if stderr.open => watch.log.write(&line),
            () = watch.outbox.flush(), if watch.outbox.is_waiting() => {}
            command = inbox.recv() => match command {
                Some(Command::Kill) | None => {
                    watch.kill();
                    break process.wait().await;
                }
                Some(command) => watch.obey(command).await,
            },
            () = sleep_until(patience), if watch.deadline.is_some() => {
                tracing::warn!("process {}: SIGKILL, it did not exit in time", process.id().unwrap_or(0));
                watch.kill();
                watch.deadline = Some(Instant::now() + GRACE);
            }
            status = process.wait() => break status,
        }
    };
    // Processes left in the group could keep the pipes open.
    watch.kill();
    let mut patience = LAST_WORDS;
    while let Some(line) = last_line(&mut stdout, &mut patience).await {
        watch.hear(&line).await;
    }
    while let Some(line) = last_line(&mut stderr, &mut patience).await {
        watch.log.write(&line);
    }
    watch.report_end(status).await;
}

/// What the task that supervises a trainer keeps of it, beside its output.
struct Watch {
    slot: SlotId,
    /// The trainer and the processes that it has started.
    group: Option<Pid>,
    stdin: Option<ChildStdin>,
    outbox: Outbox,
    log: Log,
    /// Number of processes that the kernel had killed for lack of memory when the attempt began.
    kills_before: u64,
    /// When the trainer is killed if it has not exited.
    deadline: Option<Instant>,
}

impl Watch {
    /// Takes a line of the trainer's output. What is no message is logged for the user.
    async fn hear(&mut self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice(line) else { return self.log.write(line) };
        if let FromTrainer::Began { note: Some(note), .. } = &message {
            self.log.write(note.as_bytes());
        }
        self.outbox.put(Event::On(self.slot, SlotEvent::Said(message))).await;
    }

    /// Carries out a command other than [`Command::Kill`].
    async fn obey(&mut self, command: Command) {
        match command {
            Command::Train { order, log } => {
                self.log = Log::open(&log);
                self.kills_before = memory::kills();
                self.tell(&ToTrainer::Train(order)).await;
            }
            Command::Measure(request) => self.tell(&ToTrainer::Measure(request)).await,
            Command::Pause(attempt) => self.tell(&ToTrainer::Pause { attempt }).await,
            Command::End => {
                self.stdin = None;
                self.deadline.get_or_insert(Instant::now() + GRACE);
            }
            // A trainer does not run programs.
            Command::Run { .. } | Command::Kill => {}
        }
    }

    /// Writes a message to the trainer. A trainer that no longer reads is exiting or will be ended.
    async fn tell(&mut self, message: &ToTrainer) {
        let mut line = serde_json::to_vec(message).expect("a message has no map with keys that are not text");
        line.push(b'\n');
        if let Some(pipe) = &mut self.stdin
            && pipe.write_all(&line).await.is_err()
        {
            self.stdin = None;
        }
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Reports the end of the trainer.
    async fn report_end(mut self, status: std::io::Result<ExitStatus>) {
        let slot = self.slot;
        if status.as_ref().is_ok_and(|status| status.code() == Some(NOT_LOADED)) {
            let reason = libtorch::not_loaded(&self.log.last_words().unwrap_or_default());
            self.outbox.put(Event::On(slot, SlotEvent::Said(FromTrainer::Unusable { reason }))).await;
        }
        let killed = status.as_ref().is_ok_and(|status| status.signal() == Some(9));
        let out_of_memory = killed && memory::kills() > self.kills_before;
        let mut how = status.map_or_else(|error| format!("was lost: {error}"), |status| describe(&status));
        if out_of_memory {
            how += memory::WORDS;
        }
        how = self.log.with_last_words(how);
        self.outbox.put(Event::On(slot, SlotEvent::Gone { how, out_of_memory })).await;
    }
}

/// Reads a line that a process left in a pipe. Only the time that this waits for the pipe counts as patience, so that a
/// slow engine loses no line.
async fn last_line<R: AsyncRead + Unpin>(pipe: &mut Lines<R>, patience: &mut Duration) -> Option<Vec<u8>> {
    let began = Instant::now();
    let line = timeout(*patience, pipe.next()).await.ok().flatten();
    *patience = patience.saturating_sub(began.elapsed());
    line
}

/// Describes how a process ended. The result completes a sentence that begins with the name of the process.
pub(super) fn describe(status: &ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(9)) => "was killed by signal 9 (SIGKILL)".into(),
        (None, Some(11)) => "crashed with signal 11 (SIGSEGV)".into(),
        (None, Some(number)) => format!("was killed by signal {number}"),
        (None, None) => "ended".into(),
    }
}

/// The lines of a pipe. Each is truncated to [`LONGEST_LINE`].
pub(super) struct Lines<R> {
    pipe: Option<BufReader<R>>,
    pub(super) open: bool,
    /// The line read so far. It is kept here because `next` may be canceled between two reads.
    partial: Vec<u8>,
}

impl<R: tokio::io::AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(pipe: Option<R>) -> Lines<R> {
        Lines { open: pipe.is_some(), pipe: pipe.map(BufReader::new), partial: Vec::new() }
    }

    /// The next line without its line end, or `None` when the pipe is closed. Cancellation loses no data.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        let pipe = self.pipe.as_mut()?;
        loop {
            let chunk = fill(pipe).await.unwrap_or(&[]);
            if chunk.is_empty() {
                self.open = false;
                let last = std::mem::take(&mut self.partial);
                return (!last.is_empty()).then_some(last);
            }
            let (taken, whole) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (chunk.len(), false),
            };
            let room = LONGEST_LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(&chunk[..(taken - usize::from(whole)).min(room)]);
            pipe.consume(taken);
            if whole {
                return Some(std::mem::take(&mut self.partial));
            }
        }
    }
}

async fn fill<R: AsyncBufRead + Unpin>(pipe: &mut R) -> std::io::Result<&[u8]> {
    pipe.fill_buf().await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However a pipe splits the output, the lines are those that the trainer wrote, truncated to the limit. Each
        /// line is either a message or other text.
        #[test]
        fn lines_do_not_depend_on_how_a_pipe_cuts_them(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..20),
        ) {
            let whole = parts.concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let lines = runtime.block_on(async {
                let (mut near, far) = tokio::io::duplex(16);
                let write = async move {
                    for part in parts {
                        near.write_all(&part).await.expect("it is read");
                    }
                };
                let read = async {
                    let mut pipe = Lines::new(Some(far));
                    let mut lines = Vec::new();
                    while let Some(line) = pipe.next().await {
                        let _ = serde_json::from_slice::<FromTrainer>(&line);
                        lines.push(line);
                    }
                    lines
                };
                tokio::join!(write, read).1
            });
            let mut expected: Vec<&[u8]> = whole.split(|byte| *byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            prop_assert_eq!(lines, expected);
        }
    }
}
