//! Decoded images, kept in a hidden folder beside the files.
//!
//! A cache file is the images, three planes each, then a summary as JSON, its length and a magic number. It is valid
//! for a listing with the same names, sizes and times.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::build::{Summary, build};
use super::listing::Listing;
use super::{Folder, unreadable};
use crate::network::Shape;
use sweep_core::error::Error;
use sweep_core::recipe::Fit;

/// Name of the hidden folder.
pub(super) const FOLDER: &str = ".sweep-cache";
/// The last bytes of a cache file. The digit is the version of the format and of the conversion.
const MAGIC: &[u8; 8] = b"sweepim1";
/// Maximum size of the summary, in bytes.
const LARGEST_SUMMARY: u64 = 64 << 20;

/// Something that bytes can be read from at any position.
trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// Decoded images and what is known about them.
pub(super) struct Cache {
    footer: Footer,
    images: Box<dyn Source>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Footer {
    /// Digest of the listing.
    fingerprint: String,
    summary: Summary,
}

impl Cache {
    /// Opens the images of this listing, and decodes them if they are not kept yet.
    pub fn open(folder: &Folder<'_>, listing: &Listing) -> Result<Cache, Error> {
        let (fingerprint, file) = (fingerprint(folder, listing), file(folder));
        if let Some(cache) = kept(&file, &fingerprint) {
            return Ok(cache);
        }
        let place = folder.path.join(FOLDER);
        match fs::create_dir_all(&place).and_then(|()| File::create(place.join("lock"))) {
            Ok(lock) => {
                // Trainers that start together need the images once.
                lock.lock().map_err(|error| unreadable(place.display(), error))?;
                if let Some(cache) = kept(&file, &fingerprint) {
                    return Ok(cache);
                }
                write(folder, listing, &fingerprint, &file)?;
                kept(&file, &fingerprint)
                    .ok_or_else(|| unreadable(file.display(), io::Error::other("changed while it was written")))
            }
            Err(error) => in_memory(folder, listing, fingerprint, &place, &error),
        }
    }

    /// Returns the shape of an image.
    pub fn shape(&self) -> Shape {
        let Summary { width, height, color, .. } = self.footer.summary;
        Shape { channels: if color { 3 } else { 1 }, height, width }
    }

    /// Returns the indices of the files that could not be decoded, ascending.
    pub fn dropped(&self) -> &[usize] {
        &self.footer.summary.dropped
    }

    /// Returns notes for the user.
    pub fn notes(&self) -> &[String] {
        &self.footer.summary.notes
    }

    /// Appends the next `count` images to `pixels`. Gray images have one plane.
    pub fn read(&mut self, count: usize, pixels: &mut Vec<u8>) -> io::Result<()> {
        let Summary { width, height, color, .. } = self.footer.summary;
        let plane = u64::from(width) * u64::from(height);
        if color {
            let wanted = 3 * plane * count as u64;
            let read = (&mut self.images).take(wanted).read_to_end(pixels)? as u64;
            return if read == wanted { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        for _ in 0..count {
            let read = (&mut self.images).take(plane).read_to_end(pixels)? as u64;
            if read != plane {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.images.seek_relative(2 * plane as i64)?;
        }
        Ok(())
    }
}

/// Returns the place of the images with this size.
fn file(folder: &Folder<'_>) -> PathBuf {
    let name = match folder.resize {
        None => "as-is".to_owned(),
        Some(resize) => {
            let fit = match resize.fit {
                Fit::Crop => "crop",
                Fit::Pad => "pad",
                Fit::Stretch => "stretch",
            };
            format!("{fit}-{}", resize.side)
        }
    };
    let labels = if folder.labels.is_some() { "-labels" } else { "" };
    folder.path.join(FOLDER).join(format!("{name}{labels}.images"))
}

/// Returns a digest of names, sizes, times and labels of all images.
fn fingerprint(folder: &Folder<'_>, listing: &Listing) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{:?} {:?}\n", folder.resize, listing.classes));
    for file in &listing.files {
        let path = file.entry.path.as_os_str().as_encoded_bytes();
        digest.update((path.len() as u64).to_le_bytes());
        digest.update(path);
        digest.update(format!("{:?} {} {} {}\n", file.part, file.label, file.entry.size, file.entry.modified));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the images that are kept in this file, if they are those of the fingerprint.
fn kept(file: &Path, fingerprint: &str) -> Option<Cache> {
    let mut images = BufReader::with_capacity(1 << 20, File::open(file).ok()?);
    let footer = read_footer(&mut images).ok()?;
    images.rewind().ok()?;
    (footer.fingerprint == fingerprint).then(|| Cache { footer, images: Box::new(images) })
}

fn read_footer(file: &mut (impl Read + Seek)) -> io::Result<Footer> {
    let end = file.seek(SeekFrom::End(-16))?;
    let mut tail = [0; 16];
    file.read_exact(&mut tail)?;
    let (length, magic) = tail.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("half of 16 bytes"));
    if magic != MAGIC || length > LARGEST_SUMMARY.min(end) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    file.seek(SeekFrom::Start(end - length))?;
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Decodes into a file that appears complete or not at all.
fn write(folder: &Folder<'_>, listing: &Listing, fingerprint: &str, file: &Path) -> Result<(), Error> {
    let part = file.with_extension("part");
    let failed = |error| unreadable(part.display(), error);
    let mut out = BufWriter::new(File::create(&part).map_err(failed)?);
    let summary = match build(folder, listing, &mut out) {
        Ok(summary) => summary,
        Err(error) => {
            // What is there is of no use; that it stays does no harm.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    let text = serde_json::to_vec(&Footer { fingerprint: fingerprint.to_owned(), summary })
        .expect("a summary has only strings and numbers");
    let finish = |mut out: BufWriter<File>| {
        out.write_all(&text)?;
        out.write_all(&(text.len() as u64).to_le_bytes())?;
        out.write_all(MAGIC)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&part, file)
    };
    finish(out).map_err(failed)
}

/// Decodes into memory, where the folder cannot be written.
fn in_memory(
    folder: &Folder<'_>,
    listing: &Listing,
    fingerprint: String,
    place: &Path,
    error: &io::Error,
) -> Result<Cache, Error> {
    let mut bytes = Vec::new();
    let mut summary = build(folder, listing, &mut bytes)?;
    summary.notes.push(format!(
        "{} cannot be written ({error}), so the images are decoded again at every start",
        place.display()
    ));
    Ok(Cache { footer: Footer { fingerprint, summary }, images: Box::new(Cursor::new(bytes)) })
}
