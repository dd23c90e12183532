//! Files of a trial, read without leaving the sweep's folder. A program can put anything into the folder of its trial,
//! so no symbolic link is followed there, and nothing but a regular file is opened.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};

use sweep_core::trial::TrialId;

/// Number of bytes of a log's end that are shown.
const TAIL: u64 = 48 << 10;

/// Maximum number of files that are listed.
const LISTED: usize = 200;

/// The end of the trainer's log of a trial, and whether there is more before it. `None` if there is no log.
pub fn log(root: &Path, id: TrialId) -> Option<(String, bool)> {
    let mut file = beneath(root, &["trials", &id.to_string(), "trainer.log"])?;
    let length = file.metadata().ok().filter(|file| file.is_file())?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start)).ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is a part of one.
    let whole = if start == 0 { 0 } else { text.find('\n').map_or(0, |at| at + 1) };
    let lines = text[whole..].lines().map(|line| line.rsplit('\r').next().unwrap_or_default());
    let clean = |line: &str| line.replace('\t', "    ").chars().filter(|c| !c.is_control()).collect::<String>();
    Some((lines.map(clean).collect::<Vec<_>>().join("\n"), start > 0))
}

/// The last bytes of a file in the sweep's folder.
pub fn tail(root: &Path, name: &str, most: u64) -> Option<String> {
    let mut file = beneath(root, &[name])?;
    let length = file.metadata().ok().filter(|file| file.is_file())?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most))).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The names and sizes of the files in a trial's folder, in the order of their names.
pub fn list(root: &Path, id: TrialId) -> Vec<(String, u64)> {
    let Some(folder) = beneath(root, &["trials", &id.to_string()]) else { return Vec::new() };
    let Ok(entries) = rustix::fs::Dir::read_from(&folder) else { return Vec::new() };
    let mut files: Vec<(String, u64)> = entries
        .flatten()
        .filter_map(|entry| {
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            let seen = rustix::fs::statat(&folder, entry.file_name(), flags).ok()?;
            let is_file = rustix::fs::FileType::from_raw_mode(seen.st_mode).is_file();
            is_file.then(|| (entry.file_name().to_string_lossy().into_owned(), seen.st_size as u64))
        })
        .take(LISTED)
        .collect();
    files.sort();
    files
}

/// Opens a path below a folder part by part, so that no part of it is a symbolic link.
fn beneath(root: &Path, parts: &[&str]) -> Option<File> {
    // A pipe would wait for a writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut at = open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    for part in parts {
        if part.contains('/') || [".", "..", ""].contains(part) {
            return None;
        }
        at = openat(&at, *part, flags, Mode::empty()).ok()?;
    }
    Some(at.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_the_folder_is_read() {
        let outside = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(outside.path().join("trainer.log"), "a secret").expect("writable");
        let root = tempfile::tempdir().expect("a temporary folder");
        let trial = root.path().join("trials/0001");
        std::fs::create_dir_all(&trial).expect("writable");
        std::fs::write(trial.join("trainer.log"), "epoch 1\r50%\r100%\n\u{1b}[31mdone").expect("writable");
        assert_eq!(log(root.path(), TrialId(1)), Some(("100%\n[31mdone".to_owned(), false)));

        symlink(outside.path().join("trainer.log"), trial.join("link.log")).expect("writable");
        assert_eq!(list(root.path(), TrialId(1)), [("trainer.log".to_owned(), 26)]);
        std::fs::remove_file(trial.join("trainer.log")).expect("writable");
        symlink(outside.path().join("trainer.log"), trial.join("trainer.log")).expect("writable");
        assert_eq!(log(root.path(), TrialId(1)), None, "the file is a link");
        symlink(outside.path(), root.path().join("trials/0002")).expect("writable");
        assert_eq!(log(root.path(), TrialId(2)), None, "the folder is a link");
        assert!(list(root.path(), TrialId(2)).is_empty());
        assert!(beneath(root.path(), &["..", "x"]).is_none() && beneath(root.path(), &["trials/0001"]).is_none());
    }

    #[test]
    fn of_a_long_log_whole_lines_are_shown_and_a_pipe_is_not_waited_for() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let trial = root.path().join("trials/0001");
        std::fs::create_dir_all(&trial).expect("writable");
        let lines: String = (0..10_000).map(|number| format!("line {number} of the log\n")).collect();
        std::fs::write(trial.join("trainer.log"), lines).expect("writable");
        let (text, more) = log(root.path(), TrialId(1)).expect("it is there");
        assert!(more && text.starts_with("line ") && text.ends_with("line 9999 of the log"));
        std::fs::remove_file(trial.join("trainer.log")).expect("writable");
        let made = std::process::Command::new("mkfifo").arg(trial.join("trainer.log")).status();
        assert!(made.is_ok_and(|status| status.success()));
        assert_eq!(log(root.path(), TrialId(1)), None);
    }
}
