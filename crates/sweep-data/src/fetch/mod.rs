//! Published data sets, brought to this machine: downloaded or taken from files, checked by their SHA-256 sums,
//! unpacked, and put in place whole.
//!
//! Everything happens in `FOLDER.part` beside the set's folder. What has come stays there when a fetch is interrupted,
//! and the next one goes on with it; it is removed when the set is in its place.

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

/// Brings a set into its folder in `to`, and says where that is. Files of other names that are there are left alone.
///
/// # Errors
/// [`Exit::BadData`] where a download cannot be had or is not what was published, [`Exit::Storage`] where `to` cannot
/// be written, [`Exit::Usage`] where `from` cannot be meant.
pub fn fetch(set: &Published, from: &Origin, to: &Path, agent: &Agent, bar: &ProgressBar) -> Result<PathBuf, Error> {
    let folder = to.join(set.folder);
    let part = to.join(format!("{}.part", set.folder));
    fs::create_dir_all(&part).map_err(|error| unwritable(&part, error))?;
    let lock = Lock::take(&part)?;
    let fetched = Fetcher { set, part: &part, agent, bar }.downloads(from).and_then(|downloads| {
        let ready = part.join("ready");
        let names = prepare(set, &downloads, &ready, bar)
            // Half of a set would only be taken for a whole one.
            .inspect_err(|_| drop(remove(&ready)))?;
        place(&ready, &names, &folder)
    });
    match fetched {
        Ok(()) => remove(&part)?,
        // Stays where there is something in it to go on with.
        Err(_) => lock.release(&part),
    }
    fetched.map(|()| folder)
}

/// Makes the folder `ready` of the files that the set consists of, and says their names.
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

/// Puts finished files in their places: all at once where there is nothing yet, else one by one, each whole.
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

/// The right to fetch a set into a folder, which goes with its process.
struct Lock(File);

impl Lock {
    fn take(part: &Path) -> Result<Lock, Error> {
        let path = part.join("lock");
        let file = File::create(&path).map_err(|error| unwritable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                let what = format!("{}: another `sweep data fetch` is at work there", part.display());
                Err(Error::new(Exit::Storage, what).hint("wait until it is done"))
            }
            Err(TryLockError::Error(error)) => Err(unwritable(&path, error)),
        }
    }

    /// Also removes the folder, if nothing but the lock is in it.
    fn release(self, part: &Path) {
        let _ = fs::remove_file(part.join("lock"));
        let _ = fs::remove_dir(part);
        drop(self.0);
    }
}

/// Removes a file, or a folder with all that is in it, if there is one.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, error)),
        _ => Ok(()),
    }
}

/// Data that cannot be used.
fn fault(place: impl Display, rule: impl Display, remedy: impl Into<String>) -> Error {
    Error::new(Exit::BadData, format!("{place}: {rule}")).hint(remedy)
}

/// A place that cannot be written.
fn unwritable(path: &Path, error: io::Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space there; what has come is kept, and the same command goes on with it"
        }
        _ => "name a folder that you may write with --to, or check who owns this one: `ls -ld`",
    };
    Error::new(Exit::Storage, format!("{} cannot be written", path.display())).source(error).hint(remedy)
}
