//! `mnist` and `fashion-mnist`: the four published IDX files, gzipped or not.
//!
//! An IDX file starts with a magic number: two zeros, 8 for unsigned bytes, and the number of axes. Then come the size
//! of each axis as a big-endian `u32`, and the values, with the last axis varying fastest.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::{Dataset, Images, Info, absent, fault, room, unreadable};
use crate::network::Shape;
use sweep_core::error::Error;

const SIDE: u32 = 28;
/// Maximum number of images in a file, ten times the published number. Larger files are not read into memory.
const MOST_IMAGES: u32 = 600_000;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A dataset in MNIST's format.
pub(super) struct Idx {
    /// Value of `set:`, and the name of the folder.
    set: &'static str,
    classes: [&'static str; 10],
}

pub(super) static MNIST: Idx = Idx { set: "mnist", classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] };

pub(super) static FASHION_MNIST: Idx = Idx {
    set: "fashion-mnist",
    classes: ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
};

impl Idx {
    /// Reads all 55 MB, because only the end of a gzipped file shows whether it is complete.
    pub(super) fn describe(&self, folder: &Path) -> Result<Info, Error> {
        self.load(folder).map(|dataset| dataset.info)
    }

    /// Reads the whole dataset.
    pub(super) fn load(&self, folder: &Path) -> Result<Dataset, Error> {
        let metadata = std::fs::metadata(folder).map_err(|error| absent(folder, error, self.set, self.set))?;
        if !metadata.is_dir() {
            let rule = format!("is a file, but {} is a folder of four files", self.set);
            return Err(fault(folder.display(), rule, "write its folder as `path`"));
        }
        let train = self.part(folder, "train")?;
        let test = self.part(folder, "t10k")?;
        let info = Info {
            shape: Shape { channels: 1, height: SIDE, width: SIDE },
            classes: self.classes.map(str::to_owned).to_vec(),
            train: train.labels.len() as u64,
            validation: 0,
            test: test.labels.len() as u64,
            notes: Vec::new(),
        };
        Ok(Dataset { info, train, validation: Images::default(), test, white: 255.0 })
    }

    fn part(&self, folder: &Path, part: &str) -> Result<Images, Error> {
        let images = self.open(folder, format!("{part}-images-idx3-ubyte"))?;
        let pixels = images.values(&[SIDE, SIDE])?;
        let labels = self.open(folder, format!("{part}-labels-idx1-ubyte"))?;
        let place = labels.path.clone();
        let labels = labels.values(&[])?;
        let count = pixels.len() / (SIDE * SIDE) as usize;
        if labels.len() != count {
            let rule = format!("has {} labels, but there are {count} images", labels.len());
            return Err(fault(place.display(), rule, self.remedy()));
        }
        match labels.iter().position(|label| usize::from(*label) >= self.classes.len()) {
            None => Ok(Images { pixels, labels }),
            Some(at) => {
                let (label, byte) = (labels[at], 8 + at);
                let rule = format!("label {at} (byte {byte}) is {label}, but labels must be 0 to 9");
                Err(fault(place.display(), rule, self.remedy()))
            }
        }
    }

    /// Opens the file with this name, or the gzipped one. The first bytes determine whether it is gzipped, because some
    /// programs unpack a file without renaming it.
    fn open(&self, folder: &Path, name: String) -> Result<Values<'_>, Error> {
        let plain = folder.join(&name);
        let gzipped = folder.join(name + ".gz");
        let path = if plain.exists() || !gzipped.exists() { plain } else { gzipped };
        let open = || -> io::Result<Box<dyn Read>> {
            let mut file = BufReader::new(File::open(&path)?);
            let is_gzip = file.fill_buf()?.starts_with(&GZIP);
            Ok(if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
        };
        match open() {
            Ok(reader) => Ok(Values { set: self, path, reader }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(fault(path.display(), "missing, also with the suffix .gz", self.remedy()))
            }
            Err(error) => Err(unreadable(path.display(), error)),
        }
    }

    fn remedy(&self) -> String {
        format!("download it with `sweep data fetch {}`, and write the resulting folder as `path`", self.set)
    }
}

/// A file that is being read.
struct Values<'s> {
    set: &'s Idx,
    path: PathBuf,
    reader: Box<dyn Read>,
}

impl Values<'_> {
    /// Returns all values after the header, which must declare one axis for the count followed by `sides`.
    fn values(mut self, sides: &[u32]) -> Result<Vec<u8>, Error> {
        let axes = u8::try_from(1 + sides.len()).expect("there are three at most");
        let [first, second, kind, dimensions] = self.word()?.to_be_bytes();
        let magic = [0, 0, 8, axes];
        if [first, second, kind, dimensions] != magic {
            let starts = format!("starts with the bytes {first:02x} {second:02x} {kind:02x} {dimensions:02x}");
            let rule = format!("{starts}, but an IDX file of bytes with {axes} axes starts with 00 00 08 {axes:02x}");
            return Err(self.fault(rule));
        }
        let count = self.word()?;
        if count == 0 || count > MOST_IMAGES {
            return Err(self.fault(format!("its header declares {count} images, but must declare 1 to {MOST_IMAGES}")));
        }
        for (axis, side) in ["high", "wide"].iter().zip(sides) {
            let found = self.word()?;
            if found != *side {
                return Err(self.fault(format!(
                    "its header declares images {found} pixels {axis}, but they must be {side} pixels {axis}"
                )));
            }
        }
        let expected = sides.iter().fold(u64::from(count), |product, side| product * u64::from(*side));
        let mut values = room(self.path.display(), Some(expected))?;
        self.reader.by_ref().take(expected).read_to_end(&mut values).map_err(|error| self.damaged(error))?;
        let (found, is) = (values.len() as u64, format!("its header declares {expected} bytes"));
        if found < expected {
            return Err(self.fault(format!("truncated: {is}, but only {found} follow")));
        }
        // This read also reaches the end of a gzipped file, where the checksum is.
        match self.reader.read(&mut [0]).map_err(|error| self.damaged(error))? {
            0 => Ok(values),
            _ => Err(self.fault(format!("too long: {is}, but more follow"))),
        }
    }

    /// Reads a big-endian number from the header.
    fn word(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.reader.read_exact(&mut bytes).map_err(|error| self.damaged(error))?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn damaged(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::UnexpectedEof => self.fault("truncated"),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.fault(format!("cannot be decompressed: {error}")),
            _ => unreadable(self.path.display(), error),
        }
    }

    fn fault(&self, rule: impl std::fmt::Display) -> Error {
        fault(self.path.display(), rule, self.set.remedy())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const PIXELS: usize = 28 * 28;

    fn file(axes: &[u32], values: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let mut file = vec![0, 0, 8, axes.len() as u8];
        axes.iter().for_each(|size| file.extend(size.to_be_bytes()));
        file.extend(values);
        file
    }

    /// Returns `count` images and their labels. The labels start at `start` and count up to 9. Each image contains only
    /// its label's value.
    fn part(count: u32, start: u8) -> [Vec<u8>; 2] {
        let labels: Vec<u8> = (0..count).map(|image| (start + image as u8) % 10).collect();
        let pixels = labels.iter().flat_map(|label| [*label; PIXELS]);
        [file(&[count, 28, 28], pixels), file(&[count], labels.iter().copied())]
    }

    /// Returns a dataset of three training images and two test images.
    fn set() -> [(&'static str, Vec<u8>); 4] {
        let ([train, train_labels], [test, test_labels]) = (part(3, 8), part(2, 4));
        [
            ("train-images-idx3-ubyte", train),
            ("train-labels-idx1-ubyte", train_labels),
            ("t10k-images-idx3-ubyte", test),
            ("t10k-labels-idx1-ubyte", test_labels),
        ]
    }

    fn written(files: &[(&str, Vec<u8>)], end: &str) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, file)| fs::write(folder.path().join(format!("{name}{end}")), file).unwrap());
        folder
    }

    fn gzip(file: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(file).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn plain_and_gzipped_files_hold_the_same_whatever_their_names_say() {
        let dataset = MNIST.load(written(&set(), "").path()).unwrap();
        assert_eq!((dataset.info.train, dataset.info.test, dataset.info.classes.len()), (3, 2, 10));
        assert_eq!(dataset.info.shape, Shape { channels: 1, height: 28, width: 28 });
        assert_eq!((dataset.train.labels.as_slice(), dataset.test.labels.as_slice()), (&[8, 9, 0][..], &[4, 5][..]));
        assert_eq!(dataset.train.pixels, [[8; PIXELS], [9; PIXELS], [0; PIXELS]].concat());
        let gzipped = set().map(|(name, file)| (name, gzip(&file)));
        for folder in [written(&gzipped, ".gz"), written(&gzipped, ""), written(&set(), ".gz")] {
            assert_eq!(MNIST.load(folder.path()).unwrap(), dataset);
            assert_eq!(MNIST.describe(folder.path()).unwrap(), dataset.info);
        }
        let fashion = FASHION_MNIST.load(written(&set(), "").path()).unwrap();
        assert_eq!((fashion.train, fashion.info.classes[9].as_str()), (dataset.train, "Ankle boot"));
    }

    #[test]
    fn what_is_wrong_names_the_file_and_what_to_do() {
        let images = |axes: &[u32], count: usize| file(axes, vec![0; count * PIXELS]);
        let cases = [
            (0, part(3, 0)[1].clone(), "train-images-idx3-ubyte: starts with the bytes 00 00 08 01, but an IDX file"),
            (1, part(3, 0)[0].clone(), "train-labels-idx1-ubyte: starts with the bytes 00 00 08 03, but an IDX file"),
            (0, vec![3, 8, 0, 0, 3, 0, 0, 0], "starts with the bytes 03 08 00 00"),
            (2, images(&[2, 27, 28], 2), "t10k-images-idx3-ubyte: its header declares images 27 pixels high, but they"),
            (2, images(&[2, 28, 32], 2), "declares images 32 pixels wide, but they must be 28"),
            (0, images(&[3, 28, 28], 2), "truncated: its header declares 2352 bytes, but only 1568 follow"),
            (0, images(&[3, 28, 28], 4), "too long: its header declares 2352 bytes, but more follow"),
            (0, images(&[u32::MAX, 28, 28], 3), "its header declares 4294967295 images, but must declare 1 to 600000"),
            (3, file(&[0], []), "t10k-labels-idx1-ubyte: its header declares 0 images"),
            (1, part(2, 0)[1].clone(), "train-labels-idx1-ubyte: has 2 labels, but there are 3 images"),
            (3, file(&[2], [4, 10]), "t10k-labels-idx1-ubyte: label 1 (byte 9) is 10, but labels must be 0 to 9"),
            (0, vec![0, 0, 8], "train-images-idx3-ubyte: truncated"),
            (3, gzip(&part(2, 4)[1])[..20].to_vec(), "t10k-labels-idx1-ubyte: truncated"),
        ];
        for (index, wrong, expected) in cases {
            let mut files = set();
            files[index].1 = wrong;
            let error = MNIST.load(written(&files, "").path()).unwrap_err();
            assert_eq!(error.exit, sweep_core::error::Exit::BadData);
            let error = error.to_string();
            assert!(
                error.contains(expected) && error.contains("hint: download it with `sweep data fetch mnist`"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_missing_is_a_command_away() {
        let folder = written(&set()[..3], "");
        let error = FASHION_MNIST.describe(folder.path()).unwrap_err().to_string();
        assert!(error.contains("t10k-labels-idx1-ubyte: missing, also with the suffix .gz"), "{error}");
        assert!(error.contains("`sweep data fetch fashion-mnist`"), "{error}");
        let error = MNIST.describe(Path::new("/no/data/mnist")).unwrap_err().to_string();
        assert!(error.contains("hint: download it with `sweep data fetch mnist --to /no/data`,"), "{error}");
        let error = MNIST.describe(&folder.path().join("t10k-images-idx3-ubyte")).unwrap_err().to_string();
        assert!(error.contains("is a file, but mnist is a folder of four"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn a_damaged_file_is_an_error_or_whole_but_never_a_panic(
            which in 0..4_usize, packed: bool, cut in 0.0..1.0_f64, at in 0.0..1.0_f64, byte: u8
        ) {
            let mut files = set();
            let mut bytes = if packed { gzip(&files[which].1) } else { files[which].1.clone() };
            let cut = (cut * bytes.len() as f64) as usize;
            let whole = bytes.clone();
            files[which].1 = whole[..cut].to_vec();
            prop_assert!(MNIST.load(written(&files, "").path()).is_err());
            let place = (at * bytes.len() as f64) as usize;
            bytes[place] = byte;
            files[which].1 = bytes;
            let _ = MNIST.load(written(&files, "").path());
        }
    }
}
