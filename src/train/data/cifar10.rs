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
    // To its very end, where the checksum is.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    for (name, file) in FILES.iter().zip(&found) {
        if file.is_none() {
            return Err(fault(path.join(name).display(), "it is missing from the archive", REMEDY));
        }
    }
    Ok(found.map(|file| file.expect("the loop above has seen all of them")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// Six files of `records` each; a record's pixels are its label times 20, its label counts up.
    fn files(records: usize) -> [Vec<u8>; 6] {
        let record = |label: u8| [vec![label], vec![label * 20; PIXELS]].concat();
        std::array::from_fn(|file| (0..records).flat_map(|index| record(((file + index) % 10) as u8)).collect())
    }

    fn unpacked(files: &[Vec<u8>; 6]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        FILES.iter().zip(files).for_each(|(name, file)| fs::write(folder.path().join(name), file).unwrap());
        folder
    }

    fn packed(files: &[Vec<u8>]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, file) in FILES.iter().zip(files) {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.len() as u64);
            archive.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), file.as_slice()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_folder_the_folder_above_it_and_the_archive_hold_the_same() {
        let files = files(3);
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("cifar-10-batches-bin");
        fs::rename(unpacked(&files).keep(), &folder).unwrap();
        let archive = above.path().join("cifar-10-binary.tar.gz");
        fs::write(&archive, packed(&files)).unwrap();

        let dataset = load(&folder).unwrap();
        assert_eq!((dataset.info.train, dataset.info.test, dataset.info.classes.len()), (15, 3, 10));
        assert_eq!(dataset.train.labels[..7], [0, 1, 2, 1, 2, 3, 2]);
        assert_eq!(dataset.train.pixels[PIXELS - 1..=PIXELS], [0, 20]);
        assert_eq!(dataset.test.labels, [5, 6, 7]);
        for place in [above.path(), &archive] {
            assert_eq!(load(place).unwrap(), dataset);
            assert_eq!(probe(place).unwrap(), dataset.info);
        }
    }

    /// What loading says once a file was changed.
    fn complaint(change: impl FnOnce(&Path)) -> String {
        let folder = unpacked(&files(2));
        change(folder.path());
        load(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_cut_short_is_named_with_the_record_and_the_sizes() {
        let error = complaint(|folder| fs::write(folder.join(FILES[1]), &files(2)[1][..4000]).unwrap());
        let rule = "data_batch_2.bin: it is cut short in record 1, counted from 0; it has 4000 bytes and should have \
                    6146: 2 records";
        assert!(error.contains(rule) && error.contains("hint: fetch https"), "{error}");
        let error = complaint(|folder| fs::write(folder.join(FILES[5]), []).unwrap());
        assert!(error.contains("test_batch.bin: it is cut short in record 0"), "{error}");
    }

    #[test]
    fn a_label_out_of_range_is_named_with_its_byte() {
        let error = complaint(|folder| {
            let mut file = files(2)[3].clone();
            file[RECORD] = 10;
            fs::write(folder.join(FILES[3]), file).unwrap();
        });
        assert!(error.contains("data_batch_4.bin: record 1 (byte 3073) has the label 10"), "{error}");
    }

    #[test]
    fn what_is_missing_is_named_and_pickles_are_recognised() {
        let error = complaint(|folder| fs::remove_file(folder.join(FILES[4])).unwrap());
        assert!(error.contains("data_batch_5.bin: it is missing"), "{error}");
        let error = complaint(|folder| fs::rename(folder.join(FILES[0]), folder.join("data_batch_1")).unwrap());
        assert!(error.contains("pickles"), "{error}");
        let error = probe(Path::new("/no/such/place")).unwrap_err().to_string();
        assert!(
            error.starts_with("/no/such/place cannot be read: ") && error.contains("`path` under `data:`"),
            "{error}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), packed(&files(1)[..5])).unwrap();
        let error = probe(file.path()).unwrap_err().to_string();
        assert!(error.contains("test_batch.bin: it is missing from the archive"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_archive_is_an_error_or_whole_but_never_a_panic(cut in 0.0..1.0_f64, at in 0.0..1.0_f64, byte: u8) {
            let mut archive = packed(&files(1));
            let place = (at * archive.len() as f64) as usize;
            archive[place] = byte;
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&archive).unwrap();
            let _ = load(file.path());
            file.as_file().set_len((cut * archive.len() as f64) as u64).unwrap();
            prop_assert!(load(file.path()).is_err());
        }
    }

    #[test]
    fn the_published_files_hold_six_thousand_pictures_of_each_class() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/cifar-10-batches-bin");
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return;
        }
        let dataset = load(&folder).unwrap();
        for (pictures, each) in [(&dataset.train, 5000), (&dataset.test, 1000)] {
            let count = |class: u8| pictures.labels.iter().filter(|label| **label == class).count();
            assert!((0..10).all(|class| count(class) == each));
            assert_eq!(pictures.pixels.len(), 10 * each * PIXELS);
        }
    }
}
