//! `folder`: one folder of JPEG or PNG images per class. If `train/` and `test/` are above the classes, they determine
//! the split.

use std::fs;
use std::io::Cursor;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{Dataset, Info, MOST_CLASSES, Pictures, fault, room, unreadable};
use crate::network::Shape;
use sweep_core::error::Error;

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Maximum side of an image, in pixels. A damaged header may contain any number.
const LONGEST_SIDE: u32 = 4_096;
/// Maximum number of errors to report at once. More of them mostly repeat the same problem.
const MOST_FAULTS: usize = 20;

/// Reads the header of every image, because there is only one channel if all images are gray.
pub(super) fn probe(path: &Path) -> Result<Info, Error> {
    let listing = Listing::of(path)?;
    let first = listing.first()?;
    let colour = parallel(listing.files().collect(), |file| {
        let bytes = contents(file)?;
        let decoder = decoder(file, &bytes)?;
        first.check(file, &decoder)?;
        Ok(decoder.color_type().has_color())
    })?;
    Ok(listing.info(&first, colour.contains(&true)))
}

/// Decodes every image, on all cores. Alpha is ignored, and 16 bits are rounded to 8.
pub(super) fn load(path: &Path) -> Result<Dataset, Error> {
    let listing = Listing::of(path)?;
    let first = listing.first()?;
    let plane = first.width as usize * first.height as usize;
    // Whether all images are gray is known only at the end, so each image has three planes until then.
    let bytes = (3 * plane as u64).checked_mul(listing.files().count() as u64);
    let mut pixels = room(path.display(), bytes)?;
    pixels.resize(pixels.capacity(), 0);

    let places = listing.files().zip(pixels.chunks_exact_mut(3 * plane)).collect();
    let colour = parallel(places, |(file, place)| decode(file, &first, place))?.contains(&true);
    if !colour {
        for index in 0..pixels.len() / (3 * plane) {
            pixels.copy_within(index * 3 * plane..index * 3 * plane + plane, index * plane);
        }
        pixels.truncate(pixels.len() / 3);
    }
    let info = listing.info(&first, colour);
    let planes = if colour { 3 } else { 1 };
    let test = pixels.split_off(listing.train.len() * planes * plane);
    let pictures =
        |pixels, files: &[(PathBuf, u8)]| Pictures { pixels, labels: files.iter().map(|file| file.1).collect() };
    let (train, test) = (pictures(pixels, &listing.train), pictures(test, &listing.test));
    Ok(Dataset { info, train, test, white: 255.0 })
}

/// Returns whether the folder has the layout of such a dataset.
pub(super) fn holds_classes(path: &Path) -> bool {
    path.is_dir() && Listing::of(path).is_ok()
}

/// The contents of the folder: images with the indices of their classes.
struct Listing {
    classes: Vec<String>,
    train: Vec<(PathBuf, u8)>,
    test: Vec<(PathBuf, u8)>,
}

impl Listing {
    fn of(path: &Path) -> Result<Listing, Error> {
        let folders = folders(path)?;
        // A class called `train` with other classes next to it is not a given split.
        let given =
            folders.iter().any(|name| name == "train") && folders.iter().all(|name| name == "train" || name == "test");
        let (root, classes) = match given {
            true => (path.join("train"), self::folders(&path.join("train"))?),
            false => (path.to_owned(), folders),
        };
        if !(2..=MOST_CLASSES).contains(&classes.len()) {
            let rule = format!("has {} class folders, but must have 2 to {MOST_CLASSES}", classes.len());
            let remedy = "put the images of each class into a separate folder: `cats/1.jpg`, `dogs/1.jpg`, or the \
                          same under `train/` and `test/`";
            return Err(fault(root.display(), rule, remedy));
        }
        let mut listing = Listing { train: Vec::new(), test: Vec::new(), classes };
        listing.train = listing.pictures(&root, &listing.classes)?;
        let test = path.join("test");
        if given && test.is_dir() {
            listing.test = listing.pictures(&test, &self::folders(&test)?)?;
        }
        Ok(listing)
    }

    /// Returns the images of these classes under `root`, class by class, each sorted by name.
    fn pictures(&self, root: &Path, present: &[String]) -> Result<Vec<(PathBuf, u8)>, Error> {
        let of_class = |class: &String| {
            let folder = root.join(class);
            let label = self.classes.binary_search(class).ok().and_then(|index| u8::try_from(index).ok());
            let Some(label) = label else {
                let rule = format!("the class `{class}` has no training images");
                return Err(fault(folder.display(), rule, "use the same folder names under `test/` and `train/`"));
            };
            let mut files = entries(&folder, |path| is_picture(path) && path.is_file())?;
            if files.is_empty() {
                let remedy =
                    "put images (.jpg, .jpeg, or .png) directly into the folder of the class, or delete the folder";
                return Err(fault(folder.display(), "has no images", remedy));
            }
            files.sort();
            Ok(files.into_iter().map(|file| (file, label)).collect::<Vec<_>>())
        };
        Ok(whole(present.iter().map(of_class))?.concat())
    }

    /// Returns all images, training images first.
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.train.iter().chain(&self.test).map(|(file, _)| file.as_path())
    }

    /// Returns the image that all others must match.
    fn first(&self) -> Result<First<'_>, Error> {
        let file = self.files().next().expect("every class has a picture");
        let (width, height) = decoder(file, &contents(file)?)?.dimensions();
        if width == 0 || height == 0 || width > LONGEST_SIDE || height > LONGEST_SIDE {
            let rule = format!("is {width}x{height}, but sides must be 1 to {LONGEST_SIDE} pixels");
            return Err(fault(file.display(), rule, RESIZE));
        }
        Ok(First { file, width, height })
    }

    fn info(&self, first: &First<'_>, colour: bool) -> Info {
        let channels = if colour { 3 } else { 1 };
        Info {
            shape: Shape { channels, height: first.height, width: first.width },
            classes: self.classes.clone(),
            train: self.train.len() as u64,
            test: self.test.len() as u64,
        }
    }
}

const RESIZE: &str = "resize all images to the same size, for example with `mogrify -resize 32x32! */*.jpg` on a copy";

struct First<'l> {
    file: &'l Path,
    width: u32,
    height: u32,
}

impl First<'_> {
    fn check(&self, file: &Path, decoder: &impl ImageDecoder) -> Result<(), Error> {
        let (width, height) = decoder.dimensions();
        if (width, height) == (self.width, self.height) {
            return Ok(());
        }
        let rule = format!(
            "is {width}x{height}, but {} is {}x{}; all images must have the same size",
            self.file.display(),
            self.width,
            self.height
        );
        Err(fault(file.display(), rule, RESIZE))
    }
}

/// Returns the names of the subfolders, sorted, without hidden ones.
fn folders(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for folder in entries(path, Path::is_dir)? {
        match folder.file_name().and_then(|name| name.to_str()) {
            Some(name) => names.push(name.to_owned()),
            None => return Err(fault(folder.display(), "the name is not UTF-8", "rename the folder")),
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the entries of a folder that satisfy `wanted`, without hidden files and in no particular order.
fn entries(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| unreadable(folder.display(), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && wanted(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Returns a decoder that has read the header. The format is determined by the first bytes of the file, not by its
/// name.
fn decoder<'b>(file: &Path, bytes: &'b [u8]) -> Result<impl ImageDecoder + use<'b>, Error> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    reader.map_err(|error| unreadable(file.display(), error))?.into_decoder().map_err(|error| undecodable(file, error))
}

fn contents(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|error| unreadable(file.display(), error))
}

/// Returns whether the end of a JPEG is missing, which its decoder would fill with gray. Within a scan, the byte 0xff
/// is never followed by the second byte of these markers. In a complete file, the last end-of-image marker is therefore
/// after the last start of scan.
fn is_cut_short(bytes: &[u8]) -> bool {
    let last = |marker: &[u8]| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(b"\xff\xd8") && last(b"\xff\xd9") < last(b"\xff\xda")
}

fn undecodable(file: &Path, error: image::ImageError) -> Error {
    let remedy = "the file is damaged, or neither JPEG nor PNG; open it in a viewer, then replace or delete it";
    fault(file.display(), format!("cannot be decoded: {error}"), remedy)
}

/// Decodes into three planes. Returns whether the file has color.
fn decode(file: &Path, first: &First<'_>, planes: &mut [u8]) -> Result<bool, Error> {
    let bytes = contents(file)?;
    let decoder = decoder(file, &bytes)?;
    first.check(file, &decoder)?;
    if is_cut_short(&bytes) {
        return Err(fault(file.display(), "truncated: the end of the JPEG is missing", "copy it again, or delete it"));
    }
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| undecodable(file, error))?;
    let colour = picture.color().has_color();
    let picture = picture.into_rgb8();
    let plane = planes.len() / 3;
    let (red, rest) = planes.split_at_mut(plane);
    let (green, blue) = rest.split_at_mut(plane);
    for (index, pixel) in picture.pixels().enumerate() {
        [red[index], green[index], blue[index]] = pixel.0;
    }
    Ok(colour)
}

/// Runs `work` for every item, on all cores. The results are in the order of the items. If any item fails, the errors
/// of all items are collected in the same order, and the first [`MOST_FAULTS`] are reported.
fn parallel<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> Result<T, Error> + Sync) -> Result<Vec<T>, Error> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    let mut shares = Vec::new();
    let mut items = items.into_iter();
    while items.len() > 0 {
        shares.push(items.by_ref().take(share).collect::<Vec<I>>());
    }
    let work = &work;
    let done: Vec<Vec<Result<T, Error>>> = thread::scope(|scope| {
        let running: Vec<_> = shares
            .into_iter()
            .map(|share| scope.spawn(move || share.into_iter().map(work).collect::<Vec<_>>()))
            .collect();
        // If a decoder panics, the panic is caught at the join and continues here with its message.
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    whole(done.into_iter().flatten())
}

/// Returns all results, or all errors.
fn whole<T>(results: impl Iterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(Error::together(faults, MOST_FAULTS)) }
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn grey(side: u32, value: u8) -> DynamicImage {
        GrayImage::from_pixel(side, side, Luma([value])).into()
    }

    fn colour(side: u32, value: [u8; 3]) -> DynamicImage {
        RgbImage::from_pixel(side, side, Rgb(value)).into()
    }

    /// Creates a folder with these images, each at its path.
    fn pictures(pictures: &[(&str, DynamicImage)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, picture) in pictures {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            picture.save(path).unwrap();
        }
        root
    }

    #[test]
    fn classes_are_sorted_folders_and_pixels_come_in_planes() {
        let root = pictures(&[
            ("dog/2.png", colour(2, [1, 2, 3])),
            ("cat/9.PNG", colour(2, [7, 8, 9])),
            ("cat/10.png", grey(2, 5)),
            (".hidden/1.png", grey(1, 0)),
        ]);
        fs::write(root.path().join("cat/notes.txt"), "not a picture").unwrap();
        let dataset = load(root.path()).unwrap();
        assert_eq!(dataset.info.classes, ["cat", "dog"]);
        assert_eq!(dataset.info.shape, Shape { channels: 3, height: 2, width: 2 });
        assert_eq!((dataset.info.train, dataset.info.test), (3, 0));
        assert_eq!(dataset.train.labels, [0, 0, 1]);
        let planes = |red, green, blue| [[red; 4], [green; 4], [blue; 4]].concat();
        assert_eq!(dataset.train.pixels, [planes(5, 5, 5), planes(7, 8, 9), planes(1, 2, 3)].concat());
        assert_eq!(probe(root.path()).unwrap(), dataset.info);
    }

    #[test]
    fn pictures_that_are_all_grey_have_one_channel() {
        let root = pictures(&[("a/1.png", grey(2, 5)), ("a/2.png", grey(2, 6)), ("b/1.png", grey(2, 7))]);
        let dataset = load(root.path()).unwrap();
        assert_eq!(dataset.info.shape.channels, 1);
        assert_eq!(dataset.train.pixels, [[5; 4], [6; 4], [7; 4]].concat());
        assert_eq!(probe(root.path()).unwrap(), dataset.info);
    }

    #[test]
    fn train_and_test_above_the_classes_are_a_given_split() {
        let root = pictures(&[
            ("train/a/1.jpg", grey(8, 100)),
            ("train/b/1.jpeg", grey(8, 200)),
            ("test/b/1.png", grey(8, 50)),
        ]);
        let dataset = load(root.path()).unwrap();
        assert_eq!((dataset.info.train, dataset.info.test), (2, 1));
        assert_eq!(dataset.test, Pictures { pixels: vec![50; 64], labels: vec![1] });
        assert!(dataset.train.pixels[..64].iter().all(|pixel| pixel.abs_diff(100) < 3));
    }

    #[test]
    fn a_class_called_train_beside_others_is_a_class() {
        let root = pictures(&[("bus/1.png", grey(2, 5)), ("test/1.png", grey(2, 7)), ("train/1.png", grey(2, 6))]);
        assert_eq!(probe(root.path()).unwrap().classes, ["bus", "test", "train"]);
    }

    #[test]
    fn what_is_wrong_names_the_file_and_what_to_do() {
        let cases: [(&[(&str, DynamicImage)], &str); 4] = [
            (&[("a/1.png", grey(2, 5)), ("b/7.png", grey(3, 5))], "b/7.png: is 3x3, but "),
            (&[("a/1.png", grey(2, 5))], ": has 1 class folders, but must have 2 to 256"),
            (&[("a/1.png", grey(2, 5)), ("b/c/1.png", grey(2, 5))], "b: has no images"),
            (
                &[("train/a/1.png", grey(2, 5)), ("train/b/1.png", grey(2, 5)), ("test/c/1.png", grey(2, 5))],
                "test/c: the class `c` has no training images",
            ),
        ];
        for (files, expected) in cases {
            let root = pictures(files);
            for error in [probe(root.path()).unwrap_err(), load(root.path()).unwrap_err()] {
                assert_eq!(error.exit, sweep_core::error::Exit::BadData);
                assert!(error.to_string().contains(expected) && error.to_string().contains("hint: "), "{error}");
            }
        }
    }

    #[test]
    fn a_picture_that_cannot_be_decoded_is_named() {
        let root = pictures(&[("a/1.png", grey(2, 5)), ("b/1.png", grey(2, 5)), ("b/2.png", grey(2, 5))]);
        fs::write(root.path().join("b/2.png"), "no picture").unwrap();
        let error = load(root.path()).unwrap_err().to_string();
        assert!(error.contains("b/2.png: cannot be decoded: "), "{error}");
    }

    #[test]
    fn pictures_that_cannot_be_used_are_told_all_at_once() {
        let root = pictures(&[
            ("a/1.png", grey(2, 5)),
            ("a/2.png", grey(3, 5)),
            ("b/1.png", grey(2, 5)),
            ("b/2.png", grey(4, 5)),
        ]);
        fs::write(root.path().join("b/3.png"), "no picture").unwrap();
        for error in [probe(root.path()).unwrap_err(), load(root.path()).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("a/2.png: is 3x3") && error.contains("b/2.png: is 4x4"), "{error}");
            assert!(error.contains("b/3.png: cannot be decoded") && error.matches("mogrify").count() == 1, "{error}");
        }
        let root = pictures(&[("a/c/1.png", grey(2, 5)), ("b/c/1.png", grey(2, 5))]);
        let error = probe(root.path()).unwrap_err().to_string();
        assert!(error.matches("has no images").count() == 2 && error.matches("hint").count() == 1, "{error}");
    }

    #[test]
    fn a_jpeg_that_lacks_its_end_is_named() {
        let root = pictures(&[("a/1.jpg", grey(8, 5)), ("b/1.jpg", grey(8, 5))]);
        let file = root.path().join("b/1.jpg");
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole, b"junk behind".as_slice()].concat()).unwrap();
        load(root.path()).unwrap();
        fs::write(&file, &whole[..whole.len() - 3]).unwrap();
        let error = load(root.path()).unwrap_err().to_string();
        assert!(error.contains("b/1.jpg: truncated"), "{error}");
    }

    #[test]
    fn all_faults_are_told_in_order_and_their_number_is_bounded() {
        let work = |item: u32| if item >= 3 { Err(fault(item, "odd", "mend it")) } else { Ok(item) };
        let error = parallel((0..100).collect(), work).unwrap_err().to_string();
        assert!(error.starts_with("3: odd\n4: odd\n"), "{error}");
        assert!(error.ends_with("\n22: odd\nand 77 more like these\n  hint: mend it"), "{error}");
        assert_eq!(parallel((0..3).collect(), work).unwrap(), [0, 1, 2]);
        assert!(parallel(Vec::new(), work).unwrap().is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn a_damaged_picture_is_an_error_or_a_picture_but_never_a_panic(
            jpeg: bool, cut in 0.3..1.0_f64, at in 0.0..1.0_f64, byte: u8
        ) {
            let picture = RgbImage::from_fn(9, 9, |x, y| Rgb([x as u8 * 20, y as u8 * 20, 3])).into();
            let root = pictures(&[("a/1.png", picture), ("b/1.png", colour(9, [1, 2, 3]))]);
            let mut bytes = std::io::Cursor::new(Vec::new());
            let picture = image::open(root.path().join("a/1.png")).unwrap();
            picture.write_to(&mut bytes, if jpeg { ImageFormat::Jpeg } else { ImageFormat::Png }).unwrap();
            let mut bytes = bytes.into_inner();
            let place = (at * bytes.len() as f64) as usize;
            bytes[place] = byte;
            bytes.truncate((cut * bytes.len() as f64) as usize);
            fs::write(root.path().join("b/1.png"), bytes).unwrap();
            let _ = (probe(root.path()), load(root.path()));
        }
    }
}
