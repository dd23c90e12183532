//! `sweep.log`: what the controller did and why, so that a sweep that hung at night can be understood in the morning.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;

use sweep_core::error::{Error, Exit, Result};

/// The variable that says how much is logged.
pub const VARIABLE: &str = "SWEEP_LOG";

/// Size in bytes at which `sweep.log` becomes `sweep.log.1`. An older `sweep.log.1` is replaced, so both together take at
/// most twice as much.
const LARGEST: u64 = 4 << 20;

/// Reads the value of `SWEEP_LOG`.
///
/// # Errors
/// Returns [`Exit::Usage`] if the value is not a level.
pub fn level(value: Option<&str>) -> Result<LevelFilter> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(LevelFilter::INFO) };
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let level = levels.contains(&value).then(|| value.parse().ok()).flatten();
    level.ok_or_else(|| {
        Error::new(Exit::Usage, format!("{VARIABLE} is `{value}`, but must be off, error, warn, info, debug, or trace"))
            .hint(format!("leave {VARIABLE} unset to log at level info"))
    })
}

/// Logs to `path` from now on, until the process ends. If the log cannot be written, the sweep continues.
pub fn open(path: &Path, level: LevelFilter) {
    if level == LevelFilter::OFF {
        return;
    }
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_target(false)
        .with_writer(Mutex::new(Rotating::open(path.to_owned())))
        .finish();
    // Only the first sweep of a process can be logged, and there is only one.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A file that is renamed when it is full.
struct Rotating {
    path: PathBuf,
    file: Option<File>,
    size: u64,
}

impl Rotating {
    fn open(path: PathBuf) -> Rotating {
        let file = OpenOptions::new().create(true).append(true).open(&path).ok();
        let size = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        Rotating { path, file, size }
    }
}

impl Write for Rotating {
    /// Writes one line. Lines are never split over two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + line.len() as u64 > LARGEST {
            let mut before = self.path.clone().into_os_string();
            before.push(".1");
            let _ = std::fs::rename(&self.path, before);
            *self = Rotating::open(std::mem::take(&mut self.path));
            // A log that could not be renamed must not grow either.
            if self.size > 0 {
                self.file = None;
            }
        }
        if let Some(file) = &mut self.file {
            // A full disk ends the sweep where the journal is written, with its own message.
            let _ = file.write_all(line);
        }
        self.size += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_of_six_words_and_anything_else_is_named() {
        assert_eq!(level(None).unwrap(), LevelFilter::INFO);
        assert_eq!(level(Some("debug")).unwrap(), LevelFilter::DEBUG);
        assert_eq!(level(Some("off")).unwrap(), LevelFilter::OFF);
        let error = level(Some("inof")).unwrap_err().to_string();
        assert!(error.contains("SWEEP_LOG is `inof`, but must be off, error,"), "{error}");
    }

    #[test]
    fn a_log_never_takes_more_than_two_files_of_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.log");
        let line = [b'x'; 1 << 16];
        for _ in 0..2 {
            let mut log = Rotating::open(path.clone());
            (0..100).for_each(|_| log.write_all(&line).unwrap());
        }
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("sweep.log") <= LARGEST && size("sweep.log.1") <= LARGEST);
        assert!(size("sweep.log") > 0 && size("sweep.log.1") == LARGEST, "the older lines are kept");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
