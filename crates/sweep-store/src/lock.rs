//! Ensures one controller per sweep. An advisory lock, which the kernel releases when the process dies, decides on this
//! machine. A file next to it names its holder, who renews the file while it is alive. This file decides if the file
//! system has no locks, or only locks that other machines do not see.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Layout;
use super::holder::{Claim, Holder, State};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};

/// Time to wait for a lock that is held only briefly. If a controller is killed while it starts a trainer, the forked
/// process keeps the lock until it notices and exits. A process that checks whether a sweep runs also holds the lock
/// for a moment.
const STRAGGLERS: Duration = Duration::from_secs(1);

const POLL: Duration = Duration::from_millis(10);

/// The flag of `open` that refuses a symbolic link, on Linux.
const O_NOFOLLOW: i32 = 0o400_000;

/// The exclusive right to run a sweep, valid while the value is alive.
#[derive(Debug)]
pub struct Lock {
    /// Dropped first: another controller must not find the name of this one after it has the lock.
    claim: Claim,
    _file: File,
}

impl Lock {
    /// Takes the lock for `holder`, this process.
    ///
    /// # Errors
    /// If another process has the lock, or if the folder cannot be written. The error names the other process.
    pub fn take(layout: &Layout, holder: &Holder) -> Result<Lock> {
        let path = layout.lock();
        let cannot = |error| Error::storage(format!("{} cannot be locked", path.display()), error);
        // What a symbolic link leads to is not the sweep's, and would be overwritten.
        if path.is_symlink() {
            return Err(Error::new(
                Exit::Storage,
                format!("{} is a symbolic link, which is not followed", path.display()),
            )
            .hint("it is a symbolic link: remove it"));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).custom_flags(O_NOFOLLOW);
        let file = options.open(&path).map_err(cannot)?;
        let is_locked = match lock(&file, &path) {
            Ok(is_locked) => is_locked,
            Err(TryLockError::WouldBlock) => {
                let other = Holder::read(layout).map_or_else(|| legacy(file), |other| other.to_string());
                return Err(taken(layout, &other, None));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        };
        match super::holder::state(layout, holder) {
            State::Free => {}
            State::Held(other) => {
                let remedy = format!("if that process is gone, remove {}", layout.holder().display());
                return Err(taken(layout, &other.to_string(), Some(remedy)));
            }
        }
        match Claim::stake(layout, holder).map_err(cannot)? {
            // Without locks, two processes may both have found the last holder dead. The later one's file is there.
            Some(claim) if is_locked || claim.is_settled() => Ok(Lock { claim, _file: file }),
            _ => Err(taken(layout, "which has just started", None)),
        }
    }

    /// Whether the sweep is still this process's. It is not if another controller assumed that this one is dead,
    /// because this one was suspended for minutes on a file system without locks.
    pub fn is_kept(&self) -> bool {
        self.claim.is_kept()
    }
}

/// Takes the kernel's lock of an open file, whose path is given, and waits for stragglers. Returns whether that keeps others
/// out: it does not on a file system without locks, such as Lustre that is mounted without `flock`, or on one that grants
/// every lock.
///
/// # Errors
/// If another process has it.
pub fn lock(file: &File, path: &Path) -> std::result::Result<bool, TryLockError> {
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if began.elapsed() < STRAGGLERS => std::thread::park_timeout(POLL),
            Err(TryLockError::Error(error)) if is_without_locks(&error) => return Ok(false),
            Err(error) => return Err(error),
            // A second lock of the same file must be refused, also in this process.
            Ok(()) => return Ok(!File::open(path).is_ok_and(|second| second.try_lock().is_ok())),
        }
    }
}

/// Whether a file system has no locks.
pub fn is_without_locks(error: &std::io::Error) -> bool {
    const ENOLCK: i32 = 37;
    error.kind() == ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK)
}

/// The holder in the format of older versions.
fn legacy(file: File) -> String {
    let mut holder = String::new();
    let _ = file.take(200).read_to_string(&mut holder);
    holder.trim().to_owned()
}

fn taken(layout: &Layout, other: &str, remedy: Option<String>) -> Error {
    let folder = layout.root().display();
    let watch = format!("watch it with `sweep status {}`, or end it first", argument(layout.root()));
    Error::new(Exit::Storage, format!("{folder} is being run by another process ({other})"))
        .hint(remedy.map_or(watch.clone(), |remedy| format!("{watch}; {remedy}")))
}

/// Returns whether a process is running the sweep now.
pub fn held(layout: &Layout) -> bool {
    let lock = File::open(layout.lock()).map(|file| file.try_lock_shared());
    match lock {
        Ok(Err(TryLockError::WouldBlock)) => true,
        // The file system may have no locks, or grant every one.
        _ => super::holder::seems_held(layout),
    }
}
