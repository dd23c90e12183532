//! `cifar10`: the published binary files, in their folder or in their tar.gz.
//!
//! A record is a label byte and 3,072 pixels: the red, then the green, then the blue plane, row by row
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{Dataset, Info, Pictures, fault, room, unreadable};
use crate::error::Error;
use crate::train::model::Shape;

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Five for training, the last for testing.
const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
/// In each published file.
const PUBLISHED_RECORDS: u64 = 10_000;
/// More is not taken into memory.
const LONGEST_FILE: u64 = 10 * PUBLISHED_RECORDS * RECORD as u64;
const REMEDY: &str = "fetch https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz again, and name it or the unpacked \
                      folder as `path`";

/// Sizes only; an archive has to be unpacked for them, in memory.
pub(super) fn probe(path: &Path) -> Result<Info, Error> {
    let sizes = match place(path)? {
        Place::Folder(folder) => {
            let size = |file: &str| {
                let path = folder.join(file);
                std::fs::metadata(&path).map(|metadata| metadata.len()).map_err(|error| missing(&folder, &path, error))
            };
            let mut sizes = [0; 6];
            for (known, file) in sizes.iter_mut().zip(FILES) {
                *known = size(file)?;
            }
            sizes
        }
        Place::Archive(archive) => archived(&archive)?.map(|file| file.len() as u64),
    };
    info(path, sizes)
}

/// All pictures, about 180 MB.
pub(super) fn load(path: &Path) -> Result<Dataset, Error> {
    let (files, folder) = match place(path)? {
        Place::Folder(folder) => (None, folder),
        Place::Archive(archive) => (Some(archived(&archive)?), archive),
    };
    let info = match &files {
        Some(files) => info(path, files.each_ref().map(|file| file.len() as u64))?,
        None => probe(path)?,
    };
    let pixels = |pictures: u64| room(path.display(), pictures.checked_mul(PIXELS as u64));
    let mut train = Pictures { pixels: pixels(info.train)?, labels: Vec::new() };
    let mut test = Pictures { pixels: pixels(info.test)?, labels: Vec::new() };
    for (index, name) in FILES.iter().enumerate() {
        let file = folder.join(name);
        let into = if index < 5 { &mut train } else { &mut test };
        match &files {
            Some(files) => records(&file, &files[index], into)?,
            None => records(&file, &std::fs::read(&file).map_err(|error| unreadable(file.display(), error))?, into)?,
        }
    }
    if (train.labels.len() as u64, test.labels.len() as u64) != (info.train, info.test) {
        return Err(fault(path.display(), "its files changed while they were read", "let the download finish first"));
    }
    Ok(Dataset { info, train, test, white: 255.0 })
}

/// Where the files are.
enum Place {
    Folder(PathBuf),
    Archive(PathBuf),
}

fn place(path: &Path) -> Result<Place, Error> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path.display(), error))?;
    if metadata.is_file() {
        return Ok(Place::Archive(path.to_owned()));
    }
    // The folder into which the archive was unpacked will do as well.
    let inner = path.join("cifar-10-batches-bin");
    Ok(Place::Folder(if inner.is_dir() { inner } else { path.to_owned() }))
}

fn missing(folder: &Path, file: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound && folder.join("data_batch_1").is_file() {
        return fault(folder.display(), "these are the batches for Python, pickles, which are not read", REMEDY);
    }
    if error.kind() == std::io::ErrorKind::NotFound {
        return fault(file.display(), "it is missing", REMEDY);
    }
    unreadable(file.display(), error)
}

/// What the sizes of the files say. Excerpts with fewer records will do, as long as all six have as many.
fn info(place: &Path, sizes: [u64; 6]) -> Result<Info, Error> {
    let record = RECORD as u64;
    let published = PUBLISHED_RECORDS * record;
    let longest = sizes.into_iter().max().unwrap_or_default();
    let expected = if sizes.contains(&published) { published } else { longest.div_ceil(record).max(1) * record };
    for (name, size) in FILES.iter().zip(sizes) {
        let should = format!("it has {size} bytes and should have {expected}: {} records", expected / record);
        let rule = match size.cmp(&expected) {
            Ordering::Equal if size <= LONGEST_FILE => continue,
            Ordering::Less => format!("it is cut short in record {}, counted from 0; {should}", size / record),
            _ => format!("it is too long; {should}"),
        };
        return Err(fault(place.join(name).display(), rule, REMEDY));
    }
    let records = expected / record;
    let classes = CLASSES.map(str::to_owned).to_vec();
    Ok(Info { shape: SHAPE, classes, train: 5 * records, test: records })
}

/// Adds a file's records, of which there is a whole number.
fn records(file: &Path, bytes: &[u8], into: &mut Pictures) -> Result<(), Error> {
    for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
        let (label, pixels) = record.split_first().expect("a record has bytes");
        if usize::from(*label) >= CLASSES.len() {
            let at = index * RECORD;
            let rule = format!("record {index} (byte {at}) has the label {label}, and CIFAR-10's are 0 to 9");
            return Err(fault(file.display(), rule, REMEDY));
        }
        into.labels.push(*label);
        into.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

/// The files of the archive by their names, whatever folder they are in.
fn archived(path: &Path) -> Result<[Vec<u8>; 6], Error> {
    let damaged = |error: std::io::Error| {
        let rule = format!("it cannot be unpacked as a tar.gz: {error}");
        fault(path.display(), rule, REMEDY)
    };
    let file = File::open(path).map_err(|error| unreadable(path.display(), error))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut found: [Option<Vec<u8>>; 6] = Default::default();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(index) = FILES.iter().position(|file| Some(*file) == name.as_deref()) else { continue };
        let mut bytes = Vec::new();
        // One more than is allowed, so that `info` notices.
        entry.by_ref().take(LONGEST_FILE + 1).read_to_end(&mut bytes).map_err(damaged)?;
        found[index] = Some(bytes);
    }
    for (name, file) in FILES.iter().zip(&found) {
        if file.is_none() {
            return Err(fault(path.join(name).display(), "it is missing from the archive", REMEDY));
        }
    }
    Ok(found.map(|file| file.expect("the loop above has seen all of them")))
}
