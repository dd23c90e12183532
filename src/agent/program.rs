//! A slot that runs programs: each trial is a process of its own, whose lines become what a trainer would say.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::pending;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

use super::child::{Child, Command, GRACE, LAST_WORDS, Lines, Log, Process, describe};
use super::launch::on;
use super::reading::{Known, MOST_EPOCHS, Reading, Said};
use super::slots::SlotDevice;
use sweep_core::nearest::nearest_metric;
use sweep_core::program::{IMPOSSIBLE, LATER, Metrics, line};
use sweep_core::protocol::{self, FromTrainer, ToTrainer};
use sweep_core::trial::{Attempt, MOST_OTHERS, Outcome};
use sweep_scheduler::schedule::{Event, SlotId};

/// How often a file of metrics is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often a file is searched for by its pattern.
const SEARCH: Duration = Duration::from_millis(500);

/// At most so many bytes of it are taken at a time.
const MOST_READ: u64 = 1 << 20;

/// A program that ends with a fault within this time may have been started in a wrong way.
const AT_ONCE: Duration = Duration::from_secs(10);

/// So many bytes before what was read last are compared, to tell a file that grew from one that was written anew.
const COMPARED: usize = 64;

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
    /// Where the hook writes what Python libraries log.
    pub logged: PathBuf,
    /// Where else metrics are looked for.
    pub metrics: Metrics,
    /// The trial's folder.
    pub trial_folder: PathBuf,
    /// The metric that trials are ranked by.
    pub metric: String,
    /// What is in the journal of its trial.
    pub known: Known,
    /// Whether it fails without a value of the metric.
    pub needs_metric: bool,
    /// Time between SIGTERM and SIGKILL.
    pub stop_grace: Duration,
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
    log: Log,
    (device, pid): (&SlotDevice, &Process),
    inbox: &mut mpsc::UnboundedReceiver<Command>,
    say: &impl Fn(FromTrainer),
) -> Result<(), String> {
    let (mut voice, told) = Voice::new(job, log);
    if let Some(outcome) = speak(told, say) {
        say(FromTrainer::Ended { attempt: job.attempt, outcome });
        return Ok(());
    }
    let began = Instant::now();
    let mut command = on(&device.device, Path::new(&job.arguments[0]));
    command.args(&job.arguments[1..]).envs(&job.variables).current_dir(&job.folder);
    let mut process = match command.spawn() {
        Ok(process) => process,
        // Another attempt would not find it either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            let error = format!("{} cannot be started: {error}", job.arguments[0]);
            say(FromTrainer::Ended { attempt: job.attempt, outcome: Outcome::Failed { error } });
            return Ok(());
        }
        Err(error) => return Err(format!("could not be started: {}: {error}", job.arguments[0])),
    };
    pid.store(process.id().unwrap_or(0), Ordering::Relaxed);
    let group = process.id().and_then(|id| Pid::from_raw(id as i32));
    let signal = |signal| {
        if let Some(group) = group {
            let _ = kill_process_group(group, signal);
        }
    };
    voice.listen(&mut process);
    let (mut leaves, mut killed, mut diverged, mut was_late) = (None, None, None, false);
    let status = loop {
        let patience = leaves.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            told = voice.hear() => diverged = diverged.or(speak(told, say)),
            order = inbox.recv() => match order {
                Some(Command::Tell { line, .. }) => {
                    if pauses(&line, job.attempt) {
                        signal(Signal::TERM);
                        leaves.get_or_insert(Instant::now() + job.stop_grace);
                    }
                }
                Some(Command::Run { .. }) => {}
                Some(Command::End) => {
                    signal(Signal::TERM);
                    leaves.get_or_insert(Instant::now() + job.stop_grace);
                    killed = Some("ended");
                }
                Some(Command::Kill) | None => {
                    signal(Signal::KILL);
                    killed = Some("was ended by signal 9 (SIGKILL)");
                }
            },
            () = sleep_until(patience), if leaves.is_some() => {
                signal(Signal::KILL);
                was_late = true;
                leaves = Some(Instant::now() + GRACE);
            }
            status = process.wait() => break status,
        }
        if diverged.is_some() && leaves.is_none() {
            signal(Signal::TERM);
            leaves = Some(Instant::now() + job.stop_grace);
        }
    };
    // A program that was told to end by the same signal as the controller may end before it is asked to.
    while let Ok(command) = inbox.try_recv() {
        match command {
            Command::Tell { line, .. } if pauses(&line, job.attempt) => drop(leaves.get_or_insert(Instant::now())),
            Command::Tell { .. } | Command::Run { .. } => {}
            Command::End => killed = killed.or(Some("ended")),
            Command::Kill => killed = killed.or(Some("was ended by signal 9 (SIGKILL)")),
        }
    }
    // Whatever it has left behind in its group ends with it; what it said last is still in the pipes.
    signal(Signal::KILL);
    diverged = diverged.or(speak(voice.last_words().await, say));
    let attempt = job.attempt;
    say(match (killed, diverged) {
        (Some(how), _) => return Err(how.to_owned()),
        (None, Some(outcome)) => FromTrainer::Ended { attempt, outcome },
        // Exit code 0 need not mean that it was done: it may have saved, as it was asked to.
        (None, None) if leaves.is_some() => {
            FromTrainer::ProgramPaused { attempt, unsaved: unsaved(&status, was_late, job.stop_grace), later: false }
        }
        (None, None) if code(&status) == Some(LATER) => {
            FromTrainer::ProgramPaused { attempt, unsaved: None, later: true }
        }
        (None, None) => match voice.outcome(job, &status) {
            Ok(outcome) => FromTrainer::Ended { attempt, outcome },
            Err(how) => {
                let code = code(&status);
                let at_once = began.elapsed() < AT_ONCE && !voice.reading.measured();
                let error = format!("the program {how}; the command was: {}", shown(&job.arguments));
                say(FromTrainer::ProgramFailed { attempt, code, at_once, error });
                return Err(how);
            }
        },
    });
    Ok(())
}

/// Whether a line to the program's slot asks it to leave this attempt.
fn pauses(line: &str, attempt: Attempt) -> bool {
    matches!(serde_json::from_str(line), Ok(ToTrainer::Pause { attempt: other }) if other == attempt)
}

fn code(status: &std::io::Result<ExitStatus>) -> Option<i32> {
    status.as_ref().ok().and_then(ExitStatus::code)
}

/// Why nothing shows that a program saved after it was asked to stop; `None` if it ended by itself in time.
fn unsaved(status: &std::io::Result<ExitStatus>, was_late: bool, grace: Duration) -> Option<String> {
    match status {
        _ if was_late => {
            Some(format!("the program was killed: it ran for {} s after SIGTERM (`stop_grace`)", grace.as_secs()))
        }
        Ok(status) if status.success() || status.code() == Some(LATER) => None,
        Ok(status) => Some(format!("the program {} when it was asked to stop", describe(status))),
        Err(error) => Some(format!("the program is lost: {error}")),
    }
}

/// What a program says: by its pipes, and by its file of metrics if it has one.
struct Voice {
    stdout: Lines<ChildStdout>,
    stderr: Lines<ChildStderr>,
    /// Whether what a metrics file says cannot be trusted to be all: set once some of it was dropped.
    full: bool,
    /// Whether metrics are read from what is printed, too.
    prints: bool,
    tail: Tail,
    look: Interval,
    reading: Reading,
    log: Log,
}

impl Voice {
    /// Before the program is started. What an earlier attempt wrote and nothing read is returned.
    fn new(job: &Job, log: Log) -> (Voice, Vec<Said>) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let path = job.metrics_file.as_ref().unwrap_or(&job.logged);
        let mut tail = Tail::new(path.clone(), job.known.read);
        let mut reading = Reading::new(job.attempt, job.known, &job.metric, true);
        if let Metrics::Expression(expression) = &job.metrics {
            reading = reading.matching(expression);
        }
        if let Metrics::Files(pattern) = &job.metrics {
            tail.wanted = Some(Wanted::new(pattern, [&job.trial_folder, &job.folder]));
        }
        let mut told = Vec::new();
        tail.catch_up(&mut reading, &mut told);
        let (stdout, stderr) = (Lines::new(None), Lines::new(None));
        let prints = job.metrics_file.is_none() && !matches!(job.metrics, Metrics::Files(_));
        (Voice { stdout, stderr, prints, full: false, tail, look, reading, log }, told)
    }

    fn listen(&mut self, process: &mut tokio::process::Child) {
        self.stdout = Lines::new(process.stdout.take());
        self.stderr = Lines::new(process.stderr.take());
    }

    /// Writes into the log what of the metrics was left out.
    fn note_what_is_left_out(&mut self) {
        if self.reading.is_full() && !std::mem::replace(&mut self.full, true) {
            self.log.note(&format!("sweep: epochs after the first {MOST_EPOCHS} are left out"));
        }
        let names: Vec<&str> = self.reading.left_out().iter().map(String::as_str).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            self.log.note(&format!("sweep: metrics beyond {MOST_OTHERS} names are left out, {names} among them"));
        }
    }

    /// What comes next. Nothing is lost if it is cancelled.
    async fn hear(&mut self) -> Vec<Said> {
        let mut told = Vec::new();
        tokio::select! {
            Some(line) = self.stdout.next(), if self.stdout.open => self.printed(&line, &mut told),
            Some(line) = self.stderr.next(), if self.stderr.open => self.wrote(&line, &mut told),
            _ = self.look.tick() => self.tail.look(&mut self.reading, &mut told),
            else => pending().await,
        }
        self.note_sources();
        told
    }

    /// A line of stdout is JSON with metrics, or goes to the log.
    fn printed(&mut self, line: &[u8], told: &mut Vec<Said>) {
        self.reading.printing();
        if !self.prints || !self.reading.line(line, told) {
            self.wrote(line, told);
        }
    }

    /// A line of the log may have metrics, too.
    fn wrote(&mut self, line: &[u8], told: &mut Vec<Said>) {
        self.log.write(line);
        if !self.prints {
            return;
        }
        if self.reading.waits_for_libraries(line) {
            self.tail.look(&mut self.reading, told);
        }
        self.reading.printing();
        self.reading.text(line, told);
    }

    fn note_sources(&mut self) {
        for note in self.reading.notes() {
            self.log.note(&format!("sweep: {note}"));
        }
    }

    /// What is left to hear of a program that has ended.
    async fn last_words(&mut self) -> Vec<Said> {
        let mut told = Vec::new();
        let _ = timeout(LAST_WORDS, async {
            while let Some(line) = self.stdout.next().await {
                self.printed(&line, &mut told);
            }
            while let Some(line) = self.stderr.next().await {
                self.wrote(&line, &mut told);
            }
        })
        .await;
        if let Some(wanted) = &mut self.tail.wanted {
            wanted.looked -= SEARCH;
        }
        self.tail.look(&mut self.reading, &mut told);
        self.tail.finish(&mut self.reading, &mut told);
        self.reading.finish(&mut told);
        self.note_sources();
        self.note_what_is_left_out();
        told
    }

    /// How the attempt of a program ended that did so of its own accord; an error is how it was lost.
    fn outcome(&mut self, job: &Job, status: &std::io::Result<ExitStatus>) -> Result<Outcome, String> {
        match status {
            Ok(status) if status.success() && (self.reading.measured() || !job.needs_metric) => Ok(Outcome::Finished),
            Ok(status) if status.success() => Ok(Outcome::Failed { error: without_metric(job, &self.reading) }),
            Ok(status) if status.code() == Some(IMPOSSIBLE) => {
                let how = format!("the program says that this configuration cannot run: {}", describe(status));
                Ok(Outcome::Impossible { error: self.log.with_last_words(how) })
            }
            Ok(status) => {
                let how = self
                    .reading
                    .problems()
                    .last()
                    .map_or_else(|| describe(status), |problem| format!("{}: {problem}", describe(status)));
                Err(self.log.with_last_words(how))
            }
            Err(error) => Err(self.log.with_last_words(format!("is lost: {error}"))),
        }
    }
}

/// The arguments as they could be typed, as far as they fit in a line.
fn shown(arguments: &[String]) -> String {
    const LONGEST: usize = 400;
    let line = line(arguments);
    if line.chars().count() > LONGEST { format!("{}…", line.chars().take(LONGEST).collect::<String>()) } else { line }
}

/// The error of a program that ended well and told no value of the metric: what it told instead, and where its log is.
fn without_metric(job: &Job, reading: &Reading) -> String {
    let trial = job.attempt.trial;
    if let Some(odd) = reading.odd() {
        let metric = &job.metric;
        return format!(
            "the program ended without a value of {metric}: it told {odd} under that name, and only a number can be \
             ranked; its log is trials/{trial}/trainer.log"
        );
    }
    let names: Vec<&str> = reading.names().iter().map(String::as_str).collect();
    let told = match (&names[..], &job.metrics_file) {
        ([], Some(file)) if !file.exists() => format!("it wrote no {}", file.display()),
        ([], Some(file)) => format!("there is no number under a name in {}", file.display()),
        ([], None) if matches!(job.metrics, Metrics::Files(_)) => format!("it wrote no {}", job.metrics.describe()),
        ([], None) => format!("it printed no line such as {{\"{}\": 0.5}}", job.metric),
        (some, _) => format!("it told {}", some.join(", ")),
    };
    let near = nearest_metric(&job.metric, &names).map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    format!("the program ended without a value of {}: {told}{near}; its log is trials/{trial}/trainer.log", job.metric)
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

/// The files among which the one with the metrics is, until it is found.
struct Wanted {
    patterns: Vec<String>,
    /// Files that were there before the program.
    before: BTreeMap<PathBuf, Option<SystemTime>>,
    looked: Instant,
}

impl Wanted {
    fn new(pattern: &str, folders: [&PathBuf; 2]) -> Wanted {
        let patterns = folders.map(|folder| format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy())));
        let mut wanted = Wanted { patterns: patterns.into(), before: BTreeMap::new(), looked: Instant::now() };
        wanted.before = wanted.files().collect();
        wanted
    }

    fn files(&self) -> impl Iterator<Item = (PathBuf, Option<SystemTime>)> {
        let found = self.patterns.iter().flat_map(|pattern| glob::glob(pattern).into_iter().flatten().flatten());
        found.filter(|path| path.is_file()).map(|path| {
            let changed = path.metadata().and_then(|metadata| metadata.modified()).ok();
            (path, changed)
        })
    }

    /// The file that was written last since the program began.
    fn find(&mut self) -> Option<PathBuf> {
        if self.looked.elapsed() < SEARCH {
            return None;
        }
        self.looked = Instant::now();
        let new = self.files().filter(|(path, changed)| self.before.get(path) != Some(changed));
        new.max_by_key(|(_, changed)| *changed).map(|(path, _)| path)
    }
}

/// A file that grows.
struct Tail {
    path: PathBuf,
    /// The files among which it is, if a pattern names them.
    wanted: Option<Wanted>,
    /// What was read of it.
    offset: u64,
    /// The last bytes before that.
    before: Vec<u8>,
    partial: Vec<u8>,
}

impl Tail {
    /// Of a file of which so many bytes were read before.
    fn new(path: PathBuf, read: u64) -> Tail {
        Tail { path, wanted: None, offset: read, before: Vec::new(), partial: Vec::new() }
    }

    /// Takes what an earlier attempt wrote. The names of a CSV file's columns are read again.
    fn catch_up(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        let length = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if length < self.offset {
            self.offset = 0;
        }
        if self.offset > 0 {
            let mut start = Vec::new();
            let first = File::open(&self.path).and_then(|file| file.take(MOST_READ).read_to_end(&mut start));
            if first.is_ok() {
                reading.names_of_columns(start.split(|byte| *byte == b'\n').next().unwrap_or_default());
            }
            self.before = self.bytes_before().unwrap_or_default();
        }
        while self.offset < length {
            let before = self.offset;
            self.look(reading, told);
            if self.offset == before {
                break;
            }
        }
        // Half a row, of a program that was killed while it wrote it: what comes next may be appended to it.
        reading.begin(told);
    }

    /// The bytes before what was read last, as they are in the file now.
    fn bytes_before(&self) -> Option<Vec<u8>> {
        let count = self.offset.min(COMPARED as u64);
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.offset - count)).ok()?;
        let mut bytes = vec![0; count as usize];
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Takes the lines that have come.
    fn look(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        if let Some(path) = self.wanted.as_mut().and_then(Wanted::find) {
            (self.path, self.wanted) = (path, None);
        }
        let Ok(mut file) = File::open(&self.path) else { return };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let is_same = length >= self.offset
            && (self.before.is_empty() || self.bytes_before().is_some_and(|bytes| bytes.ends_with(&self.before)));
        if !is_same {
            // It was begun anew.
            self.offset = 0;
            self.partial.clear();
            self.before.clear();
            reading.restart(told);
        }
        let mut read = Vec::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.take(MOST_READ).read_to_end(&mut read).is_err() {
            return;
        }
        self.before.extend(&read);
        self.before.drain(..self.before.len().saturating_sub(COMPARED));
        self.partial.extend(&read);
        let mut start = self.offset - (self.partial.len() - read.len()) as u64;
        self.offset += read.len() as u64;
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            reading.at(start, start + line.len() as u64);
            start += line.len() as u64;
            reading.row(&line[..end], told);
        }
    }

    /// Its last line may have no end.
    fn finish(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        let line = std::mem::take(&mut self.partial);
        reading.at(self.offset - line.len() as u64, self.offset);
        if !line.is_empty() {
            reading.row(&line, told);
        }
    }
}
