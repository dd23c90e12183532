//! Ensures one controller per sweep, by an advisory lock that the kernel releases when the process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use super::Layout;
use sweep_core::error::{Error, Exit, Result};

/// Time to wait for a lock that is held only briefly. If a controller is killed while it starts a trainer, the forked
/// process keeps the lock until it notices and exits. A process that checks whether a sweep runs also holds the lock
/// for a moment.
const STRAGGLERS: Duration = Duration::from_secs(1);

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The exclusive right to run a sweep, valid while the value is alive.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, and writes `holder` (the name of the process) into the lock file for other processes to read.
    ///
    /// # Errors
    /// If another process has the lock, or if the folder cannot be written. The error names the other process by what
    /// it wrote.
    pub fn take(layout: &Layout, holder: &str) -> Result<Lock> {
        let path = layout.lock();
        let cannot = |error| Error::storage(format!("{} cannot be locked", path.display()), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // What a symbolic link leads to is not the sweep's, and would be overwritten.
        if path.is_symlink() {
            return Err(Error::new(
                Exit::Storage,
                format!("{} is a symbolic link, which is not followed", path.display()),
            )
            .hint("it is a symbolic link: remove it"));
        }
        let mut file = options.open(&path).map_err(cannot)?;
        let began = Instant::now();
        let taken = loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if began.elapsed() < STRAGGLERS => std::thread::park_timeout(LOOK_AGAIN),
                taken => break taken,
            }
        };
        match taken {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(200).read_to_string(&mut holder);
                return Err(Error::new(
                    Exit::Storage,
                    format!("{} is being run by another process ({})", layout.root().display(), holder.trim()),
                )
                .hint(format!("watch it with `sweep status {}`, or end it first", layout.root().display())));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let note = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(holder.as_bytes())
        };
        note(&mut file).map_err(cannot)?;
        Ok(Lock { _file: file })
    }
}

/// Returns whether a process is running the sweep now.
pub fn held(layout: &Layout) -> bool {
    File::open(layout.lock()).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
