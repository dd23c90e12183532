//! The trainer's side of the protocol.

use std::fs::File;
use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::exit;
use sweep_core::protocol::{FromTrainer, ToTrainer};
use sweep_core::trial::Attempt;

/// Receives a trial's reports.
pub trait Controller {
    /// Sends a message.
    fn say(&mut self, message: FromTrainer);
    /// Returns whether this attempt was asked to pause. Called after every batch.
    fn wants_pause(&mut self, attempt: Attempt) -> bool;
}

/// Reserves stdout for the protocol. Other output to stdout in this process goes to stderr from now on, so that a
/// library's output cannot be mistaken for a message.
///
/// # Errors
/// Returns an error if the process was started without stdout or stderr.
pub fn take_stdout() -> std::io::Result<File> {
    let ours = rustix::io::fcntl_dupfd_cloexec(std::io::stdout().as_fd(), 3)?;
    rustix::stdio::dup2_stdout(std::io::stderr().as_fd())?;
    Ok(File::from(ours))
}

/// The agent at the other end of stdin and stdout.
pub struct Agent {
    inbox: Receiver<ToTrainer>,
    outbox: File,
}

impl Agent {
    /// Starts to read stdin. `outbox` is the result of [`take_stdout`].
    ///
    /// # Errors
    /// Returns an error if no thread can be created.
    pub fn new(outbox: File) -> std::io::Result<Agent> {
        let (sender, inbox) = mpsc::sync_channel(16);
        thread::Builder::new().name("stdin".into()).spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                let message = serde_json::from_str(&line).unwrap_or_else(|error| {
                    leave(&format!("not a message of protocol {}: {error}", sweep_core::protocol::VERSION))
                });
                if sender.send(message).is_err() {
                    break;
                }
            }
            leave("stdin was closed");
        })?;
        Ok(Agent { inbox, outbox })
    }

    /// Waits for the next message.
    pub fn listen(&mut self) -> ToTrainer {
        self.inbox.recv().unwrap_or_else(|_| leave("the reader of stdin is gone"))
    }
}

impl Controller for Agent {
    fn say(&mut self, message: FromTrainer) {
        let mut line = serde_json::to_vec(&message).expect("messages have string keys and finite numbers");
        line.push(b'\n');
        if let Err(error) = self.outbox.write_all(&line) {
            leave(&format!("stdout was closed: {error}"));
        }
    }

    fn wants_pause(&mut self, attempt: Attempt) -> bool {
        let mut wanted = false;
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                ToTrainer::Pause { attempt: whose } => wanted |= whose == attempt,
                ToTrainer::Train(order) => leave(&format!("told to train {} while busy", order.attempt)),
                ToTrainer::Measure(order) => leave(&format!("told to measure {} while busy", order.attempt)),
            }
        }
        wanted
    }
}

/// Ends the process immediately, from any thread, because a trainer must not outlive its controller. Everything
/// important is already on disk.
fn leave(why: &str) -> ! {
    eprintln!("sweep-trainer ends: {why}");
    exit::at_once()
}
