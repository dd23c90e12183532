//! The command that a controller starts on another machine: a bridge between its pipes and the agent's socket.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::greeting::{self, Facts, Greeting};
use sweep_core::error::{Error, Exit, Result};

/// The running program of this process, also after its file was replaced.
const SELF: &str = "/proc/self/exe";

/// Time for an agent to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the agent of a sweep on this machine has its files.
#[derive(Debug, Clone)]
pub struct Place {
    /// The socket that bridges connect to.
    pub socket: PathBuf,
    /// The folder of its trials.
    pub scratch: PathBuf,
}

impl Place {
    /// The place of the agent with that name for a sweep. `cache` is the user's folder for such files, `machine` the name
    /// of this machine: several may share a home folder.
    ///
    /// # Errors
    /// If the folder of the socket is not this user's alone.
    pub fn of(sweep: &str, name: &str, machine: &str, cache: &Path) -> Result<Place> {
        let clean = |text: &str| {
            text.chars()
                .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
                .collect::<String>()
        };
        let user = rustix::process::geteuid().as_raw();
        let folder = PathBuf::from(format!("/tmp/sweep-agents-{user}"));
        private(&folder, user)?;
        // A socket's path has at most 107 bytes.
        let key = format!("{:016x}", fingerprint(&[sweep, name]));
        let scratch = cache.join(format!("{}-{}-{}", clean(sweep), clean(machine), clean(name)));
        Ok(Place { socket: folder.join(key), scratch })
    }
}

fn fingerprint(parts: &[&str]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// Makes sure that a folder is there and belongs to this user alone. Otherwise another user could stand in for the agent.
fn private(folder: &Path, user: u32) -> Result<()> {
    let cannot = |error| Error::storage(format!("{} cannot be used", folder.display()), error);
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(cannot(error)),
        _ => {}
    }
    let seen = fs::symlink_metadata(folder).map_err(cannot)?;
    if !seen.is_dir() || seen.uid() != user || seen.mode() & 0o077 != 0 {
        let what = format!("{} must be a folder of this user with mode 700", folder.display());
        return Err(Error::new(Exit::Storage, what).hint("remove it; the agent creates it again"));
    }
    Ok(())
}

/// Leads the controller at stdin and stdout to the agent of its sweep. `facts` describes this machine, for a sweep that
/// is to be checked; `serve` are the arguments of an agent to start.
///
/// # Errors
/// If there is no controller, or no agent can be started.
pub fn bridge(
    facts: impl FnOnce(&Greeting) -> Facts,
    place: impl FnOnce(&Greeting) -> Result<Place>,
    serve: impl FnOnce(&Greeting) -> Vec<String>,
) -> Result<()> {
    let (mut stdin, mut stdout) = (std::io::stdin(), std::io::stdout());
    let lost = |error| {
        Error::new(Exit::Usage, "stdin is not connected to a controller")
            .source(error)
            .hint("`sweep run FILE --on ssh:HOST` starts agents by itself")
    };
    let greeting = greeting::receive(&mut stdin, &mut stdout).map_err(lost)?;
    if greeting.check.is_some() || greeting.version != env!("CARGO_PKG_VERSION") {
        return greeting::answer(&mut stdout, &facts(&greeting)).map_err(lost);
    }
    let place = place(&greeting)?;
    let socket = connect(&place, serve(&greeting))?;
    let from = socket.try_clone().map_err(lost)?;
    let (done, ended) = mpsc::channel();
    let other = done.clone();
    // Whichever way ends first ends the bridge.
    std::thread::spawn(move || (carry(stdin, &socket), done.send(())));
    std::thread::spawn(move || (carry(&from, stdout), other.send(())));
    let _ = ended.recv();
    Ok(())
}

/// Copies until either side ends.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..read]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// Connects to the agent, which is started if there is none.
fn connect(place: &Place, serve: Vec<String>) -> Result<UnixStream> {
    let cannot = |error| Error::storage(format!("no agent answers at {}", place.socket.display()), error);
    if let Ok(stream) = UnixStream::connect(&place.socket) {
        return Ok(stream);
    }
    fs::create_dir_all(&place.scratch)
        .map_err(|error| Error::storage(format!("{} cannot be created", place.scratch.display()), error))?;
    let log = place.scratch.join("agent.log");
    let own = OpenOptions::new().create(true).append(true).open(&log);
    let own = own.map_err(|error| Error::storage(format!("{} cannot be written", log.display()), error))?;
    let mut command = Command::new(SELF);
    command.arg0("sweep").args(serve).stdin(Stdio::null());
    command.stdout(own.try_clone().map_err(cannot)?).stderr(own);
    crate::agent::launch::leave_session(&mut command);
    let mut agent = command.spawn().map_err(cannot)?;
    let began = Instant::now();
    loop {
        match UnixStream::connect(&place.socket) {
            Ok(stream) => return Ok(stream),
            Err(error) if began.elapsed() > PATIENCE => return Err(cannot(error)),
            Err(error) => {
                if let Ok(Some(status)) = agent.try_wait()
                    && !status.success()
                {
                    return Err(cannot(error).hint(format!("it ended ({status}); its log is {}", log.display())));
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
}
