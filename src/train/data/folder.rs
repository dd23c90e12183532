//! `folder`: one folder a class with JPEG or PNG pictures; `train/` and `test/` above the classes are a given split.

use std::fs::{self, File};
use std::io::BufReader;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use image::{DynamicImage, ImageDecoder, ImageReader};

use super::{Dataset, Info, MOST_CLASSES, Pictures, fault, room, unreadable};
use crate::error::Error;
use crate::train::model::Shape;

const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Pixels; a damaged header may claim anything.
const LONGEST_SIDE: u32 = 4_096;

/// Reads the header of every picture: only where all are grey is there one channel.
pub(super) fn probe(path: &Path) -> Result<Info, Error> {
    let listing = Listing::of(path)?;
    let first = listing.first()?;
    let colour = parallel(listing.files().collect(), |file| {
        let decoder = decoder(file)?;
        first.check(file, &decoder)?;
        Ok(decoder.color_type().has_color())
    })?;
    Ok(listing.info(&first, colour.contains(&true)))
}

/// Decodes every picture, on all cores. What is transparent is taken as opaque, 16 bits are rounded to 8.
pub(super) fn load(path: &Path) -> Result<Dataset, Error> {
    let listing = Listing::of(path)?;
    let first = listing.first()?;
    let plane = first.width as usize * first.height as usize;
    // Whether all are grey is known at the end only: three planes each until then.
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

/// What is in the folder: pictures with their classes' indices.
struct Listing {
    classes: Vec<String>,
    train: Vec<(PathBuf, u8)>,
    test: Vec<(PathBuf, u8)>,
}

impl Listing {
    fn of(path: &Path) -> Result<Listing, Error> {
        let folders = folders(path)?;
        // A set with a class called `train` and others beside it is no given split.
        let given =
            folders.iter().any(|name| name == "train") && folders.iter().all(|name| name == "train" || name == "test");
        let (root, classes) = match given {
            true => (path.join("train"), self::folders(&path.join("train"))?),
            false => (path.to_owned(), folders),
        };
        if !(2..=MOST_CLASSES).contains(&classes.len()) {
            let rule = format!("it has {} folders, one a class, and there must be 2 to {MOST_CLASSES}", classes.len());
            let remedy = "put the pictures of each class into a folder of its own: `cats/1.jpg`, `dogs/1.jpg`, or the \
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

    /// The pictures of these classes under `root`, class by class, each sorted by name.
    fn pictures(&self, root: &Path, present: &[String]) -> Result<Vec<(PathBuf, u8)>, Error> {
        let mut pictures = Vec::new();
        for class in present {
            let folder = root.join(class);
            let label = self.classes.binary_search(class).ok().and_then(|index| u8::try_from(index).ok());
            let Some(label) = label else {
                let rule = format!("there is no class `{class}` among the training pictures");
                return Err(fault(folder.display(), rule, "name the folders under `test/` as those under `train/`"));
            };
            let mut files = entries(&folder, |path| is_picture(path) && path.is_file())?;
            if files.is_empty() {
                let remedy =
                    "pictures end in .jpg, .jpeg or .png, directly in the class's folder; or delete the folder";
                return Err(fault(folder.display(), "it has no pictures", remedy));
            }
            files.sort();
            pictures.extend(files.into_iter().map(|file| (file, label)));
        }
        Ok(pictures)
    }

    /// All of them, training pictures first.
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.train.iter().chain(&self.test).map(|(file, _)| file.as_path())
    }

    /// The picture that all others have to be like.
    fn first(&self) -> Result<First<'_>, Error> {
        let file = self.files().next().expect("every class has a picture");
        let (width, height) = decoder(file)?.dimensions();
        if width == 0 || height == 0 || width > LONGEST_SIDE || height > LONGEST_SIDE {
            let rule = format!("it is {width}x{height}, and a picture's sides are 1 to {LONGEST_SIDE} pixels");
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

const RESIZE: &str = "bring all pictures to one size: `mogrify -resize 32x32! */*.jpg` on a copy, say";

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
            "it is {width}x{height}, and {} is {}x{}; all pictures must be of one size",
            self.file.display(),
            self.width,
            self.height
        );
        Err(fault(file.display(), rule, RESIZE))
    }
}

/// Names of the folders in a folder, sorted; hidden ones left out.
fn folders(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for folder in entries(path, Path::is_dir)? {
        match folder.file_name().and_then(|name| name.to_str()) {
            Some(name) => names.push(name.to_owned()),
            None => return Err(fault(folder.display(), "the name is no UTF-8", "rename the folder")),
        }
    }
    names.sort();
    Ok(names)
}

/// What is wanted in a folder, hidden files left out, in no order.
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

/// Past the header. The format is told by the file's first bytes, whatever its name says.
fn decoder(file: &Path) -> Result<impl ImageDecoder + use<>, Error> {
    let reader = File::open(file).and_then(|open| ImageReader::new(BufReader::new(open)).with_guessed_format());
    reader.map_err(|error| unreadable(file.display(), error))?.into_decoder().map_err(|error| undecodable(file, error))
}

fn undecodable(file: &Path, error: image::ImageError) -> Error {
    let remedy = "it is damaged or no JPEG or PNG: open it in a viewer, then replace or delete it";
    fault(file.display(), format!("it cannot be decoded: {error}"), remedy)
}

/// Decodes into three planes; says whether the file has colours.
fn decode(file: &Path, first: &First<'_>, planes: &mut [u8]) -> Result<bool, Error> {
    let decoder = decoder(file)?;
    first.check(file, &decoder)?;
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

/// Does `work` for every item, on all cores. Results are in the items' order; of several faults the first item's is told.
fn parallel<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> Result<T, Error> + Sync) -> Result<Vec<T>, Error> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    let mut shares = Vec::new();
    let mut items = items.into_iter();
    while items.len() > 0 {
        shares.push(items.by_ref().take(share).collect::<Vec<I>>());
    }
    let work = &work;
    let done: Vec<Result<Vec<T>, Error>> = thread::scope(|scope| {
        let running: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(move || share.into_iter().map(work).collect())).collect();
        // A decoder that panics is caught at the join and goes on as a panic here, with its message.
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Vec::new();
    for share in done {
        all.extend(share?);
    }
    Ok(all)
}
