//! Files of a trial on their way between hosts, in parts.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use sweep_core::error::{Error, Exit, Result};
use sweep_core::protocol::{BEST_WEIGHTS, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT};
use sweep_core::trial::TrialId;
use sweep_store::Layout;

/// Bytes of a file in one message.
const PART: usize = 1 << 20;

/// Maximum size of a trial's files together, except weights and checkpoints, in bytes.
pub const MOST_BYTES: u64 = 256 << 20;

/// Maximum number of files of a trial.
const MOST_FILES: usize = 1_000;

/// Maximum depth of folders in a trial's folder.
const DEEPEST: usize = 8;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub trial: TrialId,
    /// Path in the trial's folder.
    pub path: String,
    /// Where the part begins.
    pub at: u64,
    /// The bytes, in Base64.
    pub bytes: String,
    /// Whether it is the last part.
    pub is_last: bool,
}

/// Which of a trial's files are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The results of a trial that is over.
    Results,
    /// All, to go on from them.
    All,
    /// The newest checkpoint.
    Checkpoint,
}

impl Which {
    fn takes(self, path: &str) -> bool {
        let is_checkpoint = [LAST_CHECKPOINT, PREVIOUS_CHECKPOINT].contains(&path);
        match self {
            Which::Results => !is_checkpoint,
            Which::All => true,
            Which::Checkpoint => path == LAST_CHECKPOINT,
        }
    }
}

/// The parts of a trial's files, one after another, and what was left out. A file that changes meanwhile is sent as it is
/// found: the trial is at rest when its files are sent.
pub fn parts(folder: &Path, trial: TrialId, which: Which) -> (impl Iterator<Item = Part> + use<>, Vec<String>) {
    let (mut files, mut left_out) = (Vec::new(), Vec::new());
    list(folder, "", 0, &mut files);
    files.retain(|(path, _)| which.takes(path));
    files.sort();
    let mut room = MOST_BYTES;
    files.retain(|(path, size)| {
        let is_free = [BEST_WEIGHTS, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT].contains(&path.as_str());
        let fits = is_free || *size <= room;
        if !fits {
            left_out.push(format!("{path} ({} MiB)", size >> 20));
        } else if !is_free {
            room -= size;
        }
        fits
    });
    left_out.extend(files.iter().skip(MOST_FILES).map(|(path, _)| path.clone()));
    files.truncate(MOST_FILES);
    let folder = folder.to_owned();
    let parts = files.into_iter().flat_map(move |(path, _)| of_file(&folder, path, trial));
    (parts, left_out)
}

/// Lists the files below a folder. Links are left out: they may lead anywhere.
fn list(folder: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, u64)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        // Half-written files begin with a dot.
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() && depth < DEEPEST {
            list(&entry.path(), &format!("{path}/"), depth + 1, files);
        } else if kind.is_file() {
            files.push((path, entry.metadata().map_or(0, |metadata| metadata.len())));
        }
    }
}

fn of_file(folder: &Path, path: String, trial: TrialId) -> impl Iterator<Item = Part> + use<> {
    let (mut file, mut at) = (File::open(folder.join(&path)).ok(), 0);
    std::iter::from_fn(move || {
        let open = file.as_mut()?;
        let mut bytes = Vec::new();
        let read = open.take(PART as u64).read_to_end(&mut bytes);
        let is_last = bytes.len() < PART || read.is_err();
        let part = Part { trial, path: path.clone(), at, bytes: STANDARD.encode(&bytes), is_last };
        at += bytes.len() as u64;
        if is_last {
            file = None;
        }
        Some(part)
    })
}

/// Writes the parts of files that come from another host. A file has its name only once it is whole.
#[derive(Debug)]
pub struct Receiver {
    layout: Layout,
}

impl Receiver {
    /// Creates a receiver for the trials of this folder.
    pub fn new(layout: Layout) -> Receiver {
        Receiver { layout }
    }

    /// Takes a part.
    ///
    /// # Errors
    /// If it cannot be written, or if its path leads out of the trial's folder.
    pub fn take(&self, part: &Part) -> Result<()> {
        let path = self.place(part)?;
        let partial = partial(&path);
        let cannot = |error| Error::storage(format!("{} cannot be written", path.display()), error);
        let bytes = STANDARD.decode(&part.bytes).map_err(|error| cannot(std::io::Error::other(error)))?;
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(&partial)?;
            // A file that is sent again, since its first sender died, begins again.
            file.set_len(part.at)?;
            file.seek(SeekFrom::Start(part.at))?;
            file.write_all(&bytes)?;
            if part.is_last {
                file.sync_all()?;
                fs::rename(&partial, &path)?;
            }
            Ok(())
        };
        write().map_err(cannot)
    }

    fn place(&self, part: &Part) -> Result<PathBuf> {
        let path = Path::new(&part.path);
        let is_below = !part.path.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
        match is_below {
            true => Ok(self.layout.trial(part.trial).join(path)),
            false => Err(Error::new(Exit::Storage, format!("another host sent a file named {:?}", part.path))),
        }
    }
}

fn partial(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.part"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_arrive_as_they_were_sent_and_nowhere_else() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let large: Vec<u8> = (0..PART * 2 + 7).map(|at| (at % 251) as u8).collect();
        fs::create_dir(from.path().join("sub")).unwrap();
        for (name, bytes) in [("best.safetensors", &large[..]), ("sub/empty", b""), ("last.safetensors", b"x")] {
            fs::write(from.path().join(name), bytes).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", from.path().join("link")).unwrap();
        let receiver = Receiver::new(Layout::new(to.path()));
        let (sent, left_out) = parts(from.path(), TrialId(3), Which::Results);
        let sent: Vec<Part> = sent.collect();
        // The first part comes twice, as after a crash.
        for part in [&sent[..1], &sent[..]].concat() {
            receiver.take(&part).unwrap();
        }
        let folder = to.path().join("trials/0003");
        assert_eq!(fs::read(folder.join("best.safetensors")).unwrap(), large);
        assert_eq!(fs::read(folder.join("sub/empty")).unwrap(), b"");
        assert!(!folder.join("last.safetensors").exists() && !folder.join("link").exists() && left_out.is_empty());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing half written is left");
        for path in ["../x", "/x", "", "a/../../x"] {
            let part = Part { path: path.into(), ..sent[0].clone() };
            assert!(receiver.take(&part).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_too_large_is_left_out_by_name() {
        let from = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            File::create(from.path().join(name)).unwrap().set_len(MOST_BYTES / 2 + 1).unwrap();
        }
        let (_, left_out) = parts(from.path(), TrialId(1), Which::All);
        assert_eq!(left_out, ["b (128 MiB)"]);
    }
}
