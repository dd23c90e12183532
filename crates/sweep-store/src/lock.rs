//! One controller a sweep, by an advisory lock that the kernel drops when its process dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use super::Layout;
use sweep_core::error::{Error, Exit, Result};

/// A controller that was killed while it started a trainer leaves the lock to what was to become that, which ends as soon
/// as it notices; and whoever asks whether a sweep runs has the lock for a moment. So long they are waited for.
const STRAGGLERS: Duration = Duration::from_secs(1);

const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The right to run a sweep, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, and writes `holder` (who takes it) into it for others to read.
    ///
    /// # Errors
    /// Where another process holds it, named by what it wrote, or where the folder cannot be written.
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

/// Whether a process is running the sweep now.
pub fn held(layout: &Layout) -> bool {
    File::open(layout.lock()).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
