//! Fetches published datasets to this machine. They are downloaded or taken from files, verified by their SHA-256
//! checksums, unpacked, and moved into place as a whole.
//!
//! All work happens in `FOLDER.part` next to the dataset's folder. If a fetch is interrupted, its data stay there and
//! the next fetch resumes. The folder is removed once the dataset is in place.

mod catalog;
mod download;
mod source;
#[cfg(test)]
mod tests;
mod unpack;

pub use catalog::{CATALOG, Download, Published};
pub use download::agent;
pub use source::Origin;

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ureq::Agent;

use source::Fetcher;
use sweep_core::error::{Error, Exit};

/// Fetches a dataset into its folder in `to`, and returns the path of that folder. Existing files with other names stay
/// unchanged.
///
/// # Errors
/// Returns [`Exit::BadData`] if a download is unavailable or does not match its checksum. Returns [`Exit::Storage`] if
/// `to` cannot be written, and [`Exit::Usage`] if `from` is not applicable.
pub fn fetch(set: &Published, from: &Origin, to: &Path, agent: &Agent, bar: &ProgressBar) -> Result<PathBuf, Error> {
    let folder = to.join(set.folder);
    let part = to.join(format!("{}.part", set.folder));
    fs::create_dir_all(&part).map_err(|error| unwritable(&part, error))?;
    let lock = Lock::take(&part)?;
    let fetched = Fetcher { set, part: &part, agent, bar }.downloads(from).and_then(|downloads| {
        let ready = part.join("ready");
        let names = prepare(set, &downloads, &ready, bar)
            // An incomplete dataset could be mistaken for a complete one.
            .inspect_err(|_| drop(remove(&ready)))?;
        place(&ready, &names, &folder)
    });
    match fetched {
        Ok(()) => remove(&part)?,
        // The folder stays if it contains data from which a later fetch can resume.
        Err(_) => lock.release(&part),
    }
    fetched.map(|()| folder)
}

/// Creates the folder `ready` with the files of the dataset, and returns their names.
fn prepare(
    set: &Published,
    downloads: &[PathBuf],
    ready: &Path,
    bar: &ProgressBar,
) -> Result<Vec<&'static str>, Error> {
    remove(ready)?;
    fs::create_dir(ready).map_err(|error| unwritable(ready, error))?;
    if !set.members.is_empty() {
        bar.set_message("unpacking");
        for archive in downloads {
            unpack::unpack(archive, set.members, ready, bar)?;
        }
        return Ok(set.members.to_vec());
    }
    for (download, source) in set.downloads.iter().zip(downloads) {
        let file = ready.join(download.name);
        let copy = || fs::copy(source, &file).and_then(|_| File::open(&file)?.sync_all());
        copy().map_err(|error| unwritable(&file, error))?;
    }
    Ok(set.downloads.iter().map(|download| download.name).collect())
}

/// Moves finished files into place. If the folder does not exist, all files move at once. Otherwise they move one by
/// one, each as a whole.
fn place(ready: &Path, names: &[&str], folder: &Path) -> Result<(), Error> {
    if !folder.exists() {
        return fs::rename(ready, folder).map_err(|error| unwritable(folder, error));
    }
    for name in names {
        let file = folder.join(name);
        fs::rename(ready.join(name), &file).map_err(|error| unwritable(&file, error))?;
    }
    Ok(())
}

/// An exclusive lock for fetching a dataset into a folder. It is released when its process ends.
struct Lock(File);

impl Lock {
    fn take(part: &Path) -> Result<Lock, Error> {
        let path = part.join("lock");
        let file = File::create(&path).map_err(|error| unwritable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("{}: another `sweep data fetch` is running there", part.display());
                Err(Error::new(Exit::Storage, what).hint("wait until it is done"))
            }
            Err(TryLockError::Error(error)) => Err(unwritable(&path, error)),
        }
    }

    /// Releases the lock, and removes the folder if it contains nothing else.
    fn release(self, part: &Path) {
        let _ = fs::remove_file(part.join("lock"));
        let _ = fs::remove_dir(part);
        drop(self.0);
    }
}

/// Removes a file or a folder with its contents, if it exists.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, error)),
        _ => Ok(()),
    }
}

/// Returns an error for unusable data.
fn fault(place: impl Display, rule: impl Display, remedy: impl Into<String>) -> Error {
    Error::new(Exit::BadData, format!("{place}: {rule}")).hint(remedy)
}

/// Returns an error for a path that cannot be written.
fn unwritable(path: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space there; the received part is kept, and the same command continues"
        }
        _ => "name a folder that you may write with --to, or check who owns this one: `ls -ld`",
    };
    Error::new(Exit::Storage, format!("{} cannot be written", path.display())).source(error).hint(remedy)
}
