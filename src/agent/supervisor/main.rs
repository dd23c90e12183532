//! What the supervisor does.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal as listen};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::printed::Printed;
use super::{Command, Order, PRINTED, Report, TAKEN, family};
use crate::agent::child::{LAST_WORDS, Lines};
use crate::agent::launch::{NOTICES, die_with_parent, ignore, ignores_hangup};
use crate::agent::log::Log;

/// Time that a program has to save after its controller died.
const GRACE: Duration = Duration::from_secs(1);

/// Time to read the pipes of a program that has ended after its controller died.
const SHORT_WORDS: Duration = Duration::from_millis(300);

/// Minimum time between two reports that lines were printed.
const EVERY: Duration = Duration::from_millis(5);

/// A program that ends within this time of a signal to its supervisor may have ended because of the signal.
const RECENT: Duration = Duration::from_secs(60);

/// Signals that ask a program to end, however long that takes. A handler of any other may do something else.
const ENDING: [i32; 2] = [libc::SIGTERM, libc::SIGINT];

/// Supervises one program. The order comes from stdin, and reports go to stdout.
pub fn main() -> ExitCode {
    // Whoever ends all processes named `sweep` does not end this one, which then ends the program properly.
    let _ = rustix::thread::set_name(c"supervisor");
    family::adopt();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let signals = {
        let _runtime = runtime.enter();
        signals()
    };
    let mut line = String::new();
    let order = std::io::stdin().lock().read_line(&mut line).ok().and_then(|_| serde_json::from_str(&line).ok());
    // A controller that died before it gave an order needs nothing.
    let Some(order) = order else { return ExitCode::FAILURE };
    match runtime.block_on(supervise(order, signals)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            report(&refusal);
            ExitCode::FAILURE
        }
    }
}

async fn supervise(order: Order, signals: std::io::Result<Signals>) -> Result<(), Report> {
    let refused = |what: String, error: &std::io::Error| {
        // Another attempt would not find the program either.
        let is_final = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied);
        Report::Refused { reason: format!("{what}: {error}"), is_final }
    };
    let signals = signals.map_err(|error| refused("signals".into(), &error))?;
    let open = |path: &PathBuf| Printed::open(path, &order);
    let printed = order.printed.as_ref().map(open).transpose().map_err(|error| refused(PRINTED.into(), &error))?;
    let signal_file = order.log.with_file_name(TAKEN);
    let _ = std::fs::remove_file(&signal_file);
    let process = start(&order).map_err(|error| refused(order.arguments[0].clone(), &error))?;
    let pid = process.id().unwrap_or(0);
    report(&Report::Started { pid });
    Watch { pid, process, printed, log: Log::open(&order.log), signal_file }.run(signals, commands()).await;
    Ok(())
}

/// Starts the program as the leader of a group of its own. It dies with this process.
fn start(order: &Order) -> std::io::Result<Child> {
    let mut command = tokio::process::Command::new(&order.arguments[0]);
    command.args(&order.arguments[1..]).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    die_with_parent(command.as_std_mut(), Signal::KILL);
    ignore(command.as_std_mut(), &NOTICES);
    command.spawn()
}

/// The numbers of signals.
type Signals = mpsc::UnboundedReceiver<i32>;

/// The signals that are sent to a whole job or group. None of them ends this process: the controller decides.
fn signals() -> std::io::Result<Signals> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // A file beyond `ulimit -f` is an error of writing it. The handler stays.
    drop(listen(SignalKind::from_raw(libc::SIGXFSZ))?);
    let mut kinds = vec![
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
    ];
    if !ignores_hangup() {
        kinds.push(SignalKind::hangup());
    }
    for kind in kinds {
        let (sender, mut signal) = (sender.clone(), listen(kind)?);
        tokio::spawn(async move { while signal.recv().await.is_some() && sender.send(kind.as_raw_value()).is_ok() {} });
    }
    Ok(receiver)
}

/// The commands on stdin. The channel closes when the controller has died.
fn commands() -> mpsc::UnboundedReceiver<Command> {
    let (sender, receiver) = mpsc::unbounded_channel();
    // Stdin can only be read by a thread that blocks.
    std::thread::spawn(move || {
        let mut bytes = std::io::stdin().lock().bytes();
        while let Some(Ok(byte)) = bytes.next() {
            if Command::of(byte).is_some_and(|command| sender.send(command).is_err()) {
                return;
            }
        }
    });
    receiver
}

/// Writes a report. A controller that has died does not read it.
fn report(report: &Report) {
    let mut line = serde_json::to_vec(report).expect("a report has no map with keys that are not text");
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}

/// A running program.
struct Watch {
    pid: u32,
    process: Child,
    printed: Option<Printed>,
    log: Log,
    /// Where the hook for Python notes signals.
    signal_file: PathBuf,
}

/// The signal in the file that may be why its program has ended. The file goes.
fn taken(file: &Path) -> Option<i32> {
    let numbers: Vec<i32> = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    let is_recent = file.metadata().and_then(|file| file.modified()).is_ok_and(|at| {
        // A clock that was set back makes no signal old.
        at.elapsed().map_or(true, |since| since < RECENT)
    });
    let _ = std::fs::remove_file(file);
    numbers.into_iter().rev().find(|number| is_recent || ENDING.contains(number))
}

impl Watch {
    async fn run(mut self, mut signals: Signals, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut stdout = Lines::new(self.process.stdout.take());
        let mut stderr = Lines::new(self.process.stderr.take());
        let mut children = listen(SignalKind::child()).ok();
        let (mut deadline, mut is_orphan, mut signaled) = (Instant::now(), false, None);
        let (mut untold, mut told) = (false, Instant::now());
        let status = loop {
            tokio::select! {
                Some(line) = stdout.next(), if stdout.open => untold |= self.take(&line),
                Some(line) = stderr.next(), if stderr.open => untold |= self.take_text(&line),
                command = commands.recv(), if !is_orphan => match command {
                    Some(Command::Stop) => family::signal(self.pid, Signal::TERM),
                    Some(Command::Kill) => family::kill_all(self.pid),
                    None => {
                        family::signal(self.pid, Signal::TERM);
                        (is_orphan, deadline) = (true, Instant::now() + GRACE);
                    }
                },
                () = sleep_until(deadline), if is_orphan => {
                    family::kill_all(self.pid);
                    deadline += GRACE;
                }
                Some(number) = signals.recv() => signaled = Some((number, Instant::now())),
                Some(()) = async { children.as_mut()?.recv().await } => family::bury(self.pid),
                () = sleep_until(told + EVERY), if untold => {
                    report(&Report::Printed);
                    (untold, told) = (false, Instant::now());
                }
                status = self.process.wait() => break status,
            }
        };
        // All that it has left behind ends with it. What it printed last is still in the pipes.
        family::kill_all(self.pid);
        let _ = timeout(if is_orphan { SHORT_WORDS } else { LAST_WORDS }, async {
            while let Some(line) = stdout.next().await {
                self.take(&line);
            }
            while let Some(line) = stderr.next().await {
                self.take_text(&line);
            }
        })
        .await;
        if let Some(printed) = &mut self.printed {
            let _ = printed.finish(&mut self.log);
        }
        let last_words = self.log.last_words();
        drop(self.log);
        let signaled = signaled.filter(|(_, at)| at.elapsed() < RECENT).map(|(number, _)| number);
        let status = status.map_or(-1, |status| status.into_raw());
        report(&Report::Ended { status, signaled, taken: taken(&self.signal_file), last_words });
    }

    /// Takes a line from stdout. Returns whether it was one of metrics.
    fn take(&mut self, line: &[u8]) -> bool {
        self.hand(line, Printed::take)
    }

    /// Takes a line from stderr. Returns whether it had metrics.
    fn take_text(&mut self, line: &[u8]) -> bool {
        self.hand(line, Printed::take_text)
    }

    fn hand(&mut self, line: &[u8], take: fn(&mut Printed, &[u8], &mut Log) -> std::io::Result<bool>) -> bool {
        match &mut self.printed {
            Some(printed) => take(printed, line, &mut self.log).unwrap_or_else(|error| {
                report(&Report::Unwritable { reason: format!("{PRINTED}: {error}") });
                false
            }),
            None => {
                self.log.write(line);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_handled_sigterm_ended_because_of_it_and_one_that_handled_another_only_if_that_was_recent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TAKEN);
        for (text, is_old, expected) in [
            ("[10]", false, Some(libc::SIGUSR1)),
            ("[10]", true, None),
            ("[10, 15]", true, Some(libc::SIGTERM)),
            ("[2, 12]", true, Some(libc::SIGINT)),
            ("[]", false, None),
            ("[15", false, None),
        ] {
            let file = std::fs::File::create(&path).unwrap();
            std::fs::write(&path, text).unwrap();
            if is_old {
                let now = file.metadata().unwrap().modified().unwrap();
                file.set_modified(now - RECENT * 2).unwrap();
            }
            assert_eq!(taken(&path), expected, "{text}");
            let _ = std::fs::remove_file(&path);
        }
        assert_eq!(taken(&path), None);
    }
}
