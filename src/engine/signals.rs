//! The signals that a person or a batch system sends to the controller.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::ignores_hangup;
use sweep_core::error::{Error, Exit, Result};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Save and end; if it comes again, end at once.
    Order,
    /// Save and end, however often it comes.
    Notice,
}

/// The handlers of all signals.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if it was ignored when the process started, as by `nohup`: a handler would undo that.
    hang_up: Option<Signal>,
    /// Slurm announces the end of a job's time by one of these.
    user: [Signal; 2],
    /// Whether SIGTERM is a notice, too: Slurm sends it more than once, and SIGKILL when the time to save is over.
    is_job: bool,
    /// A file beyond `ulimit -f` is an error of writing it, not the controller's end.
    _file_too_large: Signal,
}

impl Signals {
    /// `is_job`: the process is in a job of Slurm.
    pub fn listen(is_job: bool) -> Result<Signals> {
        let listen = |kind| -> Result<Signal> {
            signal(kind).map_err(|error| Error::new(Exit::Internal, "cannot install signal handlers").source(error))
        };
        Ok(Signals {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: if ignores_hangup() { None } else { Some(listen(SignalKind::hangup())?) },
            user: [listen(SignalKind::user_defined1())?, listen(SignalKind::user_defined2())?],
            is_job,
            _file_too_large: listen(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// Waits for the next signal. None is lost if this is canceled.
    pub async fn next(&mut self) -> Heard {
        let [first, second] = &mut self.user;
        tokio::select! {
            _ = self.interrupt.recv() => Heard::Order,
            _ = self.terminate.recv() => if self.is_job { Heard::Notice } else { Heard::Order },
            Some(()) = async { self.hang_up.as_mut()?.recv().await } => Heard::Notice,
            _ = first.recv() => Heard::Notice,
            _ = second.recv() => Heard::Notice,
        }
    }
}
