//! Atomic replacement of files: a file is either the old one or the new one, never a part of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sweep_core::error::{Error, Result};

/// Replaces a whole file. The new file is written beside the old one, synced, and renamed over it. If several processes
/// replace the same file at the same time, each waits for the others.
///
/// # Errors
/// If the file cannot be written. The old file then still exists.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    put(path, contents, File::sync_all)
}

/// Replaces a whole file like [`replace`], but does not sync it: after a power failure it can be empty. This is for files
/// that every attempt writes, and that nothing depends on afterwards.
///
/// # Errors
/// If the file cannot be written. The old file then still exists.
pub fn replace_unsynced(path: &Path, contents: &[u8]) -> Result<()> {
    put(path, contents, |_| Ok(()))
}

fn put(path: &Path, contents: &[u8], sync: fn(&File) -> io::Result<()>) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.new"));
    let write = || -> io::Result<()> {
        let mut file = claim(&beside)?;
        let written = file.set_len(0).and_then(|()| file.write_all(contents)).and_then(|()| sync(&file));
        // The lock is still held, so the file that is renamed or removed is the one just written.
        let moved = written.and_then(|()| fs::rename(&beside, path));
        if moved.is_err() {
            let _ = fs::remove_file(&beside);
        }
        moved
    };
    write().map_err(|error| Error::storage(format!("{} cannot be written", path.display()), error))
}

/// Opens the temporary file beside, for this process alone. It has a fixed name, so that a killed process leaves at
/// most one file, which the next process reuses.
fn claim(beside: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(beside)?;
        match file.lock() {
            // Some network file systems do not support locks.
            Err(error) if !super::lock::is_without_locks(&error) => return Err(error),
            _ => {}
        }
        // While this process waited for the lock, the file may have been renamed.
        if is_same(&file, beside)? {
            return Ok(file);
        }
    }
}

/// Returns whether the open file is still the one at that path.
///
/// # Errors
/// If the check fails.
pub fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_at_the_same_time_leave_one_whole_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("report.html");
        let contents = |writer: u8| vec![writer; 100_000];
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || (0..25).for_each(|_| replace(path, &contents(writer)).expect("it is writable")));
            }
        });
        let read = fs::read(&path).expect("it is there");
        assert_eq!(read, contents(read[0]), "a mixture");
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_killed_writer_left_is_written_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("report.html");
        fs::write(folder.path().join(".report.html.new"), "half of somethi").expect("it is writable");
        replace(&path, b"whole").expect("it is writable");
        assert_eq!(fs::read(&path).expect("it is there"), b"whole");
    }
}
