//! Extracts the wanted files from a tar.gz. No name in the archive becomes a path, only the wanted names do.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use flate2::read::GzDecoder;

use super::{Error, fault, unwritable};

/// Maximum size of a file, in bytes. No file of a published dataset is longer.
const LONGEST: u64 = 1 << 30;

/// Extracts only the `members` of an archive into a folder, which must contain none of them.
///
/// # Errors
/// Returns an error if the archive is damaged or lacks a member, or if the folder cannot be written. Files that were
/// already extracted then stay.
pub fn unpack(archive: &Path, members: &[&str], into: &Path, bar: &indicatif::ProgressBar) -> Result<(), Error> {
    let damaged = |error: io::Error| {
        let rule = format!("cannot be unpacked as tar.gz: {error}");
        fault(archive.display(), rule, "delete it and download it again")
    };
    let file = File::open(archive).map_err(damaged)?;
    let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(bar.wrap_read(file))));
    let mut missing = members.to_vec();
    for entry in tar.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let Some(name) = wanted(&path, members).filter(|_| entry.header().entry_type().is_file()) else { continue };
        if entry.size() > LONGEST {
            let rule = format!("its {name} has {} bytes, but may have at most {LONGEST}", entry.size());
            return Err(fault(archive.display(), rule, "this is not the published archive; download it again"));
        }
        let Some(at) = missing.iter().position(|known| *known == name) else {
            let rule = format!("contains {name} twice");
            return Err(fault(archive.display(), rule, "this is not the published archive; download it again"));
        };
        missing.remove(at);
        let path = into.join(name);
        let mut file = File::create_new(&path).map_err(|error| unwritable(&path, error))?;
        copy(&mut entry, &mut file, &path, damaged)?;
        file.sync_all().map_err(|error| unwritable(&path, error))?;
    }
    // Read to the end, where the checksum is.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
    match missing.as_slice() {
        [] => Ok(()),
        names => {
            let rule = format!("has no {}", names.join(", "));
            Err(fault(archive.display(), rule, "this is not the published archive; download it again"))
        }
    }
}

/// Returns the member that a path in the archive refers to: the last component of a path that never leads upward.
fn wanted<'m>(path: &Path, members: &[&'m str]) -> Option<&'m str> {
    let down = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let name = path.file_name()?.to_str()?;
    members.iter().copied().find(|member| down && *member == name)
}

/// Copies like [`io::copy`], but distinguishes an error of the archive from one of the disk.
fn copy(
    from: &mut impl Read,
    into: &mut impl io::Write,
    path: &Path,
    damaged: impl Fn(io::Error) -> Error,
) -> Result<(), Error> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        match from.read(&mut chunk).map_err(&damaged)? {
            0 => return Ok(()),
            length => into.write_all(&chunk[..length]).map_err(|error| unwritable(path, error))?,
        }
    }
}
