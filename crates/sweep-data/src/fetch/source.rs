//! Locates downloads and verifies that they are what was published.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use sha2::{Digest, Sha256};
use ureq::Agent;

use super::download::{Failure, download};
use super::{Download, Error, Exit, Published, fault, remove, unwritable};

/// Where the downloads of a dataset come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The URLs in the catalog.
    Published,
    /// This URL. It is that of the download itself, or, if it ends in a slash, that of a folder with all downloads.
    Url(String),
    /// This file, or this folder with the files.
    Disk(PathBuf),
}

/// One fetch of a dataset.
pub(super) struct Fetcher<'f> {
    pub set: &'f Published,
    /// Folder in which downloads are kept.
    pub part: &'f Path,
    pub agent: &'f Agent,
    pub bar: &'f ProgressBar,
}

impl Fetcher<'_> {
    /// Returns the paths of the dataset's downloads, all verified. They are in `part`, or where they already were on
    /// disk.
    pub fn downloads(&self, from: &Origin) -> Result<Vec<PathBuf>, Error> {
        let one = match from {
            Origin::Url(url) if !url.ends_with('/') => {
                Some((url.clone(), "the URL of their folder, ending in a slash"))
            }
            Origin::Disk(path) if !path.is_dir() => Some((path.display().to_string(), "the folder that contains them")),
            _ => None,
        };
        let (name, count) = (self.set.name, self.set.downloads.len());
        if let Some((from, remedy)) = one.filter(|_| count > 1) {
            let what = format!("--from {from} is a single file, but {name} has {count} files");
            return Err(Error::new(Exit::Usage, what).hint(format!("give {remedy}")));
        }
        self.set.downloads.iter().map(|download| self.obtain(download, from)).collect()
    }

    fn obtain(&self, wanted: &Download, from: &Origin) -> Result<PathBuf, Error> {
        self.bar.set_message(wanted.name);
        let at = |place: &str| if place.ends_with('/') { format!("{place}{}", wanted.name) } else { place.to_owned() };
        match from {
            Origin::Published => self.download(wanted, self.set.places.iter().map(|place| at(place))),
            Origin::Url(url) => self.download(wanted, [at(url)]),
            Origin::Disk(path) => {
                let file = if path.is_dir() { path.join(wanted.name) } else { path.clone() };
                let remedy = || format!("give the published file {}, or remove --from", wanted.name);
                check(&file, wanted).map_err(|rule| fault(file.display(), rule, remedy()))?;
                Ok(file)
            }
        }
    }

    /// Downloads the file from the first URL that delivers it as published.
    fn download(&self, wanted: &Download, urls: impl IntoIterator<Item = String>) -> Result<PathBuf, Error> {
        let file = self.part.join(wanted.name);
        // An earlier, interrupted fetch may have downloaded it.
        if file.exists() && check(&file, wanted).is_ok() {
            return Ok(file);
        }
        let partial = self.part.join(format!("{}.part", wanted.name));
        let mut reasons = Vec::new();
        for url in urls {
            let reason = match download(self.agent, &url, wanted.size, &partial, self.bar) {
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Place(reason)) => reason,
                Ok(()) => match check(&partial, wanted) {
                    Ok(()) => {
                        fs::rename(&partial, &file).map_err(|error| unwritable(&file, error))?;
                        return Ok(file);
                    }
                    Err(rule) => {
                        // A download cannot resume from wrong data.
                        remove(&partial)?;
                        rule
                    }
                },
            };
            reasons.push(format!("{url}: {reason}"));
        }
        let mut remedy = format!("try again later, or get {} elsewhere and give it with --from", wanted.name);
        match partial.metadata().map_or(0, |metadata| metadata.len()) {
            0 => remove(&partial)?,
            came => remedy = format!("the same command continues after the {came} bytes received; {remedy}"),
        }
        let rule = format!("{} could not be downloaded\n  {}", wanted.name, reasons.join("\n  "));
        Err(fault(self.set.name, rule, remedy))
    }
}

/// Checks that a file is what was published. The error describes how it differs.
fn check(file: &Path, download: &Download) -> Result<(), String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let mut opened = File::open(file).map_err(unreadable)?;
    let size = opened.metadata().map_err(unreadable)?.len();
    if size != download.size {
        return Err(format!("has {size} bytes, but the published file has {}", download.size));
    }
    let mut sum = Sha256::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match opened.read(&mut chunk).map_err(unreadable)? {
            0 => break,
            length => sum.update(&chunk[..length]),
        }
    }
    let found: String = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    match found == download.sha256 {
        true => Ok(()),
        false => Err(format!("its SHA-256 is {found}, but that of the published file is {}", download.sha256)),
    }
}
