//! `cifar10` and `cifar100`: the published binary files, in their folder or in their tar.gz.
//!
//! A record contains its labels, one byte each, and 3,072 pixels: the red, green and blue planes, row by row
//! (<https://www.cs.toronto.edu/~kriz/cifar.html>). CIFAR-100 gives every image two labels, one of 20 coarse classes
//! and one of 100 fine ones. The fine ones are used.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{Dataset, Images, Info, absent, fault, room, unreadable};
use crate::network::Shape;
use sweep_core::error::Error;

const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };
const PIXELS: usize = 3 * 32 * 32;
/// Number of records in a published file of share 1.
const PUBLISHED_RECORDS: u64 = 10_000;
/// Maximum size of a file, as a multiple of the published size. Larger files are not read into memory.
const LONGEST: u64 = 10;
/// Maximum size of a list of class names, in bytes.
const LONGEST_LIST: u64 = 1 << 16;

/// The differences between the two datasets.
pub(super) struct Cifar {
    /// Name for messages.
    title: &'static str,
    /// Value of `set:`.
    set: &'static str,
    /// Folder in which the files are published.
    folder: &'static str,
    archive: &'static str,
    /// The training files, followed by the test file.
    files: &'static [Batch],
    /// Number of label bytes before the pixels. The last of them is the label that is used.
    labels: usize,
    classes: Classes,
    /// A file of the Python version of the dataset, which is recognized in messages.
    pickle: &'static str,
}

/// A file of records.
struct Batch {
    name: &'static str,
    /// Number of records, as a multiple of that in a file of share 1.
    share: u64,
}

/// Where the names of the classes come from.
enum Classes {
    Known(&'static [&'static str]),
    /// A file with one name per line, and the number of names.
    Listed(&'static str, usize),
}

const fn batch(name: &'static str) -> Batch {
    Batch { name, share: 1 }
}

pub(super) static CIFAR10: Cifar = Cifar {
    title: "CIFAR-10",
    set: "cifar10",
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    files: &[
        batch("data_batch_1.bin"),
        batch("data_batch_2.bin"),
        batch("data_batch_3.bin"),
        batch("data_batch_4.bin"),
        batch("data_batch_5.bin"),
        batch("test_batch.bin"),
    ],
    labels: 1,
    classes: Classes::Known(&[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]),
    pickle: "data_batch_1",
};

pub(super) static CIFAR100: Cifar = Cifar {
    title: "CIFAR-100",
    set: "cifar100",
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    files: &[Batch { name: "train.bin", share: 5 }, batch("test.bin")],
    labels: 2,
    classes: Classes::Listed("fine_label_names.txt", 100),
    pickle: "train",
};

impl Cifar {
    /// Reads only sizes and names. An archive is unpacked in memory for this.
    pub(super) fn describe(&self, path: &Path) -> Result<Info, Error> {
        self.info(&Place::open(self, path)?)
    }

    /// Reads all images, about 180 MB.
    pub(super) fn load(&self, path: &Path) -> Result<Dataset, Error> {
        let place = Place::open(self, path)?;
        let info = self.info(&place)?;
        let pixels = |images: u64| room(path.display(), images.checked_mul(PIXELS as u64));
        let mut train = Images { pixels: pixels(info.train)?, labels: Vec::new() };
        let mut test = Images { pixels: pixels(info.test)?, labels: Vec::new() };
        let (for_test, for_train) = self.files.split_last().expect("every set has files");
        for batch in for_train {
            self.records(&place, batch, info.classes.len(), &mut train)?;
        }
        self.records(&place, for_test, info.classes.len(), &mut test)?;
        if (train.labels.len() as u64, test.labels.len() as u64) != (info.train, info.test) {
            let rule = "its files changed while they were being read";
            return Err(fault(path.display(), rule, "wait until the download has finished"));
        }
        Ok(Dataset { info, train, validation: Images::default(), test, white: 255.0 })
    }

    fn record(&self) -> usize {
        self.labels + PIXELS
    }

    /// Returns the maximum size of a file, in bytes.
    fn longest(&self, batch: &Batch) -> u64 {
        LONGEST * PUBLISHED_RECORDS * batch.share * self.record() as u64
    }

    /// Derives the number of images from the file sizes. Excerpts with fewer records are accepted if their sizes are in
    /// proportion.
    fn info(&self, place: &Place) -> Result<Info, Error> {
        let record = self.record() as u64;
        let sizes = self.files.iter().map(|batch| place.size(self, batch.name)).collect::<Result<Vec<_>, _>>()?;
        let files = || self.files.iter().zip(&sizes);
        let published = files().any(|(batch, size)| *size == PUBLISHED_RECORDS * batch.share * record);
        let longest = files().map(|(batch, size)| size.div_ceil(batch.share * record)).max().unwrap_or_default();
        let records = if published { PUBLISHED_RECORDS } else { longest.max(1) };
        for (batch, &size) in files() {
            // This cannot overflow, because `records` is derived from file sizes.
            let expected = records * batch.share * record;
            let should = format!("it has {size} bytes, but must have {expected} ({} records)", expected / record);
            let rule = match size.cmp(&expected) {
                Ordering::Equal if size <= self.longest(batch) => continue,
                Ordering::Less => format!("truncated in record {}, counted from 0: {should}", size / record),
                _ => format!("too long: {should}"),
            };
            return Err(fault(place.path().join(batch.name).display(), rule, self.remedy()));
        }
        let (test, train) = self.files.split_last().expect("every set has files");
        let train = train.iter().map(|batch| batch.share).sum::<u64>() * records;
        Ok(Info {
            shape: SHAPE,
            classes: self.classes(place)?,
            train,
            validation: 0,
            test: test.share * records,
            notes: Vec::new(),
        })
    }

    fn classes(&self, place: &Place) -> Result<Vec<String>, Error> {
        let (file, count) = match self.classes {
            Classes::Known(names) => return Ok(names.iter().map(|name| (*name).to_owned()).collect()),
            Classes::Listed(file, count) => (file, count),
        };
        let bytes = place.read(self, file, LONGEST_LIST)?;
        let text = String::from_utf8_lossy(&bytes);
        let names: Vec<String> =
            text.lines().map(|line| line.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        if names.len() == count {
            return Ok(names);
        }
        let rule = format!("has {} class names, one per line, but {} has {count} classes", names.len(), self.title);
        Err(fault(place.path().join(file).display(), rule, self.remedy()))
    }

    /// Appends the records of a file, whose size is a whole number of records.
    fn records(&self, place: &Place, batch: &Batch, classes: usize, into: &mut Images) -> Result<(), Error> {
        let bytes = place.read(self, batch.name, self.longest(batch))?;
        for (index, record) in bytes.chunks_exact(self.record()).enumerate() {
            let (labels, pixels) = record.split_at(self.labels);
            let label = *labels.last().expect("a record has a label");
            if usize::from(label) >= classes {
                let at = index * self.record() + self.labels - 1;
                let (title, last) = (self.title, classes - 1);
                let rule = format!(
                    "record {index} (byte {at}) has the label {label}, but labels of {title} must be 0 to {last}"
                );
                return Err(fault(place.path().join(batch.name).display(), rule, self.remedy()));
            }
            into.labels.push(label);
            into.pixels.extend_from_slice(pixels);
        }
        Ok(())
    }

    fn remedy(&self) -> String {
        let Cifar { set, archive, .. } = self;
        format!("download it with `sweep data fetch {set}`, and write the resulting folder, or {archive}, as `path`")
    }
}

/// Where the files are.
enum Place {
    Folder(PathBuf),
    /// The contents of the files by name, regardless of their folder.
    Archive(PathBuf, BTreeMap<&'static str, Vec<u8>>),
}

impl Place {
    fn open(cifar: &Cifar, path: &Path) -> Result<Place, Error> {
        let metadata = std::fs::metadata(path).map_err(|error| absent(path, error, cifar.set, cifar.folder))?;
        if metadata.is_file() {
            return Ok(Place::Archive(path.to_owned(), unpacked(cifar, path)?));
        }
        // The parent folder, into which the archive was unpacked, is accepted too.
        let inner = path.join(cifar.folder);
        Ok(Place::Folder(if inner.is_dir() { inner } else { path.to_owned() }))
    }

    fn path(&self) -> &Path {
        match self {
            Place::Folder(path) | Place::Archive(path, _) => path,
        }
    }

    fn size(&self, cifar: &Cifar, name: &str) -> Result<u64, Error> {
        match self {
            Place::Folder(folder) => match std::fs::metadata(folder.join(name)) {
                Ok(metadata) => Ok(metadata.len()),
                Err(error) => Err(missing(cifar, folder, name, error)),
            },
            Place::Archive(..) => self.read(cifar, name, 0).map(|file| file.len() as u64),
        }
    }

    /// Returns the contents of a file. From a folder, at most `limit` bytes are read.
    fn read(&self, cifar: &Cifar, name: &str, limit: u64) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Place::Folder(folder) => {
                let mut bytes = Vec::new();
                let read = File::open(folder.join(name)).and_then(|file| file.take(limit).read_to_end(&mut bytes));
                read.map_err(|error| missing(cifar, folder, name, error))?;
                Ok(Cow::Owned(bytes))
            }
            Place::Archive(path, files) => match files.get(name) {
                Some(file) => Ok(Cow::Borrowed(file)),
                None => Err(fault(path.join(name).display(), "missing from the archive", cifar.remedy())),
            },
        }
    }
}

fn missing(cifar: &Cifar, folder: &Path, name: &str, error: std::io::Error) -> Error {
    let file = folder.join(name);
    if error.kind() != std::io::ErrorKind::NotFound {
        return unreadable(file.display(), error);
    }
    if folder.join(cifar.pickle).is_file() {
        let rule = "has the Python version of the files (pickles), which sweep does not read";
        return fault(folder.display(), rule, cifar.remedy());
    }
    fault(file.display(), "missing", cifar.remedy())
}

/// Reads the needed files from the archive.
fn unpacked(cifar: &Cifar, path: &Path) -> Result<BTreeMap<&'static str, Vec<u8>>, Error> {
    let damaged = |error: std::io::Error| {
        let rule = format!("cannot be unpacked as tar.gz: {error}");
        fault(path.display(), rule, cifar.remedy())
    };
    let mut wanted: Vec<_> = cifar.files.iter().map(|batch| (batch.name, cifar.longest(batch))).collect();
    if let Classes::Listed(file, _) = cifar.classes {
        wanted.push((file, LONGEST_LIST));
    }
    let file = File::open(path).map_err(|error| unreadable(path.display(), error))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut files = BTreeMap::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some((name, longest)) = wanted.iter().find(|(file, _)| Some(*file) == name.as_deref()) else { continue };
        let mut bytes = Vec::new();
        // Read one byte more than is allowed, so that `info` notices a file that is too long.
        entry.by_ref().take(longest + 1).read_to_end(&mut bytes).map_err(damaged)?;
        files.insert(*name, bytes);
    }
    // Read to the end, where the checksum is.
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// Returns the files of a dataset with `records` records per share. The pixels of a record are its label times 20.
    /// The labels count up to 9. If a coarse label precedes, it is not a valid class.
    fn files(cifar: &Cifar, records: u64) -> Vec<(&'static str, Vec<u8>)> {
        let record = |label: u8| [vec![255; cifar.labels - 1], vec![label], vec![label * 20; PIXELS]].concat();
        let batch = |(index, batch): (usize, &Batch)| {
            let labels = (0..records * batch.share).map(|record| ((index as u64 + record) % 10) as u8);
            (batch.name, labels.flat_map(record).collect())
        };
        let mut files: Vec<_> = cifar.files.iter().enumerate().map(batch).collect();
        if let Classes::Listed(file, count) = cifar.classes {
            files.push((file, (0..count).map(|class| format!("class_{class}\n")).collect::<String>().into_bytes()));
        }
        files
    }

    fn unpacked(files: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, file)| fs::write(folder.path().join(name), file).unwrap());
        folder
    }

    fn packed(cifar: &Cifar, files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, file) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(file.len() as u64);
            archive.append_data(&mut header, format!("{}/{name}", cifar.folder), file.as_slice()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_folder_the_folder_above_it_and_the_archive_hold_the_same() {
        for cifar in [&CIFAR10, &CIFAR100] {
            let files = files(cifar, 3);
            let above = tempfile::tempdir().unwrap();
            let folder = above.path().join(cifar.folder);
            fs::rename(unpacked(&files).keep(), &folder).unwrap();
            let archive = above.path().join(cifar.archive);
            fs::write(&archive, packed(cifar, &files)).unwrap();

            let dataset = cifar.load(&folder).unwrap();
            assert_eq!((dataset.info.train, dataset.info.test), (15, 3));
            assert_eq!((dataset.train.labels.len(), dataset.train.pixels.len()), (15, 15 * PIXELS));
            assert_eq!(dataset.train.pixels[PIXELS - 1..=PIXELS], [0, 20]);
            assert_eq!(dataset.test.labels.len(), 3);
            for place in [above.path(), &archive] {
                assert_eq!(cifar.load(place).unwrap(), dataset);
                assert_eq!(cifar.describe(place).unwrap(), dataset.info);
            }
        }
    }

    #[test]
    fn labels_are_those_of_the_fine_classes() {
        let dataset = CIFAR10.load(unpacked(&files(&CIFAR10, 3)).path()).unwrap();
        assert_eq!(dataset.train.labels[..7], [0, 1, 2, 1, 2, 3, 2]);
        assert_eq!((dataset.info.classes.len(), dataset.info.classes[3].as_str()), (10, "cat"));
        assert_eq!(dataset.test.labels, [5, 6, 7]);
        let dataset = CIFAR100.load(unpacked(&files(&CIFAR100, 3)).path()).unwrap();
        assert_eq!(dataset.train.labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
        assert_eq!((dataset.info.classes.len(), dataset.info.classes[99].as_str()), (100, "class_99"));
        assert_eq!(dataset.test.labels, [1, 2, 3]);
    }

    /// Returns the error of loading after a file was changed.
    fn complaint(cifar: &Cifar, change: impl FnOnce(&Path)) -> String {
        let folder = unpacked(&files(cifar, 2));
        change(folder.path());
        cifar.load(folder.path()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_cut_short_is_named_with_the_record_and_the_sizes() {
        let cut = |cifar, name: &str, to: usize| {
            complaint(cifar, |folder| {
                let whole = fs::read(folder.join(name)).unwrap();
                fs::write(folder.join(name), &whole[..to]).unwrap();
            })
        };
        let error = cut(&CIFAR10, "data_batch_2.bin", 4000);
        let rule = "data_batch_2.bin: truncated in record 1, counted from 0: it has 4000 bytes, but must have 6146 (2 records)";
        assert!(error.contains(rule) && error.contains("hint: download it with `sweep data fetch cifar10`"), "{error}");
        let error = cut(&CIFAR10, "test_batch.bin", 0);
        assert!(error.contains("test_batch.bin: truncated in record 0"), "{error}");
        let error = cut(&CIFAR100, "train.bin", 9 * 3074);
        let rule =
            "train.bin: truncated in record 9, counted from 0: it has 27666 bytes, but must have 30740 (10 records";
        assert!(error.contains(rule) && error.contains("`sweep data fetch cifar100`"), "{error}");
    }

    #[test]
    fn a_label_out_of_range_is_named_with_its_byte() {
        let set = |cifar, name: &str, byte: usize, label: u8| {
            complaint(cifar, |folder| {
                let mut file = fs::read(folder.join(name)).unwrap();
                file[byte] = label;
                fs::write(folder.join(name), file).unwrap();
            })
        };
        let error = set(&CIFAR10, "data_batch_4.bin", 3073, 10);
        assert!(error.contains("data_batch_4.bin: record 1 (byte 3073) has the label 10"), "{error}");
        let error = set(&CIFAR100, "test.bin", 3075, 100);
        let rule = "test.bin: record 1 (byte 3075) has the label 100, but labels of CIFAR-100 must be 0 to 99";
        assert!(error.contains(rule), "{error}");
    }

    #[test]
    fn a_list_of_classes_that_is_not_whole_is_refused() {
        let error = complaint(&CIFAR100, |folder| fs::write(folder.join("fine_label_names.txt"), "apple\n").unwrap());
        assert!(
            error.contains("fine_label_names.txt: has 1 class names, one per line, but CIFAR-100 has 100"),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_is_named_and_pickles_are_recognized() {
        let remove = |cifar, name| complaint(cifar, |folder| fs::remove_file(folder.join(name)).unwrap());
        let error = remove(&CIFAR10, "data_batch_5.bin");
        assert!(error.contains("data_batch_5.bin: missing"), "{error}");
        let error = remove(&CIFAR100, "fine_label_names.txt");
        assert!(error.contains("fine_label_names.txt: missing"), "{error}");
        for (cifar, from, to) in [(&CIFAR10, "data_batch_1.bin", "data_batch_1"), (&CIFAR100, "train.bin", "train")] {
            let error = complaint(cifar, |folder| fs::rename(folder.join(from), folder.join(to)).unwrap());
            assert!(error.contains("pickles"), "{error}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), packed(&CIFAR10, &files(&CIFAR10, 1)[..5])).unwrap();
        let error = CIFAR10.describe(file.path()).unwrap_err().to_string();
        assert!(error.contains("test_batch.bin: missing from the archive"), "{error}");
    }

    #[test]
    fn a_set_that_is_not_there_is_a_command_away() {
        let error = CIFAR10.describe(Path::new("/no/such/place")).unwrap_err().to_string();
        assert!(
            error.starts_with("/no/such/place cannot be read: ") && error.contains("`path` under `data:`"),
            "{error}"
        );
        assert!(error.contains("hint: download it with `sweep data fetch cifar10`,"), "{error}");
        let error = CIFAR100.describe(Path::new("/no/data/cifar-100-binary")).unwrap_err().to_string();
        assert!(error.contains("hint: download it with `sweep data fetch cifar100 --to /no/data`,"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_archive_is_an_error_or_whole_but_never_a_panic(
            fine: bool, cut in 0.0..1.0_f64, at in 0.0..1.0_f64, byte: u8
        ) {
            let cifar = if fine { &CIFAR100 } else { &CIFAR10 };
            let mut archive = packed(cifar, &files(cifar, 1));
            let place = (at * archive.len() as f64) as usize;
            archive[place] = byte;
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&archive).unwrap();
            let _ = cifar.load(file.path());
            file.as_file().set_len((cut * archive.len() as f64) as u64).unwrap();
            prop_assert!(cifar.load(file.path()).is_err());
        }
    }

    #[test]
    fn the_published_files_hold_equally_many_images_of_each_class() {
        for cifar in [&CIFAR10, &CIFAR100] {
            let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("data").join(cifar.folder);
            if !folder.is_dir() {
                println!("skipped: {} is not there", folder.display());
                continue;
            }
            let dataset = cifar.load(&folder).unwrap();
            let classes = dataset.info.classes.len();
            for (images, all) in [(&dataset.train, 50_000), (&dataset.test, 10_000)] {
                let count = |class: usize| images.labels.iter().filter(|label| usize::from(**label) == class).count();
                assert!((0..classes).all(|class| count(class) == all / classes));
                assert_eq!(images.pixels.len(), all * PIXELS);
            }
        }
    }
}
