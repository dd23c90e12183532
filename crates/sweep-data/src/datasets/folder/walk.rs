//! Finds all files below a folder.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::notes::{Reason, Skipped};
use super::unreadable;
use sweep_core::error::Error;

/// Maximum depth of folders.
const DEEPEST: usize = 32;

/// A file as the file system describes it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Relative to the folder.
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub modified: u128,
    /// Whether it is a broken link.
    pub dangling: bool,
}

/// Returns all files below `root`, sorted by path. Hidden files and folders are counted, and not entered.
pub(super) fn walk(root: &Path, skipped: &mut Skipped) -> Result<Vec<Entry>, Error> {
    let mut files = Vec::new();
    enter(root, Path::new(""), 0, &mut files, skipped)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn enter(root: &Path, below: &Path, depth: usize, files: &mut Vec<Entry>, skipped: &mut Skipped) -> Result<(), Error> {
    let folder = root.join(below);
    let failed = |error| unreadable(folder.display(), error);
    let mut entries = fs::read_dir(&folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // What is counted has the same examples every time.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            // The project's own folder is no surprise to anybody.
            if path != Path::new(super::cache::FOLDER) {
                skipped.add(Reason::Hidden, path.display().to_string());
            }
            continue;
        }
        match fs::metadata(entry.path()) {
            Ok(found) if found.is_dir() && (depth == DEEPEST || contains_itself(&entry, &folder)) => {
                skipped.add(Reason::TooDeep, path.display().to_string());
            }
            Ok(found) if found.is_dir() => enter(root, &path, depth + 1, files, skipped)?,
            Ok(found) => files.push(Entry { size: found.len(), modified: modified(&found), dangling: false, path }),
            // Whether it matters depends on its name, like that of a file that is there.
            Err(_) => files.push(Entry { path, size: 0, modified: 0, dangling: true }),
        }
    }
    Ok(())
}

/// Returns whether the entry is a link to a folder that contains the link.
fn contains_itself(entry: &fs::DirEntry, folder: &Path) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_symlink())
        && matches!((entry.path().canonicalize(), folder.canonicalize()), (Ok(to), Ok(from)) if from.starts_with(&to))
}

fn modified(found: &Metadata) -> u128 {
    let since = found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_nanos())
}
