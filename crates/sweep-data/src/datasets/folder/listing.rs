//! Decides which files are images of which class, from their names alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Folder;
use super::notes::{Reason, Skipped};
use super::table;
use super::walk::{Entry, walk};
use crate::datasets::{MOST_CLASSES, fault};
use sweep_core::error::Error;

/// Endings of the formats that are read. The content decides which format it is.
const EXTENSIONS: [&str; 10] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff"];
/// Endings of formats that people keep photographs in and that are not read.
const OTHER_FORMATS: [&str; 12] =
    ["heic", "heif", "avif", "jp2", "jxl", "svg", "psd", "raw", "dng", "cr2", "nef", "arw"];
/// Names of the folders of a given split, above the classes.
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 4] = ["val", "valid", "validation", "dev"];
const TEST: [&str; 2] = ["test", "testing"];

/// The part of the dataset that an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Train,
    Validation,
    Test,
}

impl Part {
    /// Returns the part that a folder or a word in a table names.
    pub fn named(name: &str) -> Option<Part> {
        let name = name.to_lowercase();
        let is = |names: &[&str]| names.contains(&name.as_str());
        match () {
            () if is(&TRAIN) => Some(Part::Train),
            () if is(&VALIDATION) => Some(Part::Validation),
            () if is(&TEST) => Some(Part::Test),
            () => None,
        }
    }
}

/// An image file with its class.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub part: Part,
    /// Index of the class.
    pub label: u8,
    pub entry: Entry,
}

/// The images of a folder, ordered by part, class and path.
#[derive(Debug)]
pub(super) struct Listing {
    pub classes: Vec<String>,
    pub files: Vec<File>,
    pub skipped: Skipped,
}

impl Listing {
    pub fn of(folder: &Folder<'_>) -> Result<Listing, Error> {
        let mut skipped = Skipped::default();
        let found = walk(folder.path, &mut skipped)?;
        let labeled = match folder.labels {
            Some(labels) => table::labeled(folder.path, labels, found, &mut skipped)?,
            None => by_folder(folder.path, found, &mut skipped)?,
        };
        let classes = classes(folder, &labeled)?;
        let mut files = Vec::with_capacity(labeled.len());
        for Labeled { part, class, entry } in labeled {
            let label = classes.iter().position(|known| *known == class).expect("the classes are those of the files");
            files.push(File { part, label: u8::try_from(label).expect("there are at most 256 classes"), entry });
        }
        files.sort_by(|a, b| (a.part, a.label, &a.entry.path).cmp(&(b.part, b.label, &b.entry.path)));
        trained(folder, &classes, &files)?;
        Ok(Listing { classes, files, skipped })
    }
}

/// An image with the name of its class.
#[derive(Debug)]
pub(super) struct Labeled {
    pub part: Part,
    pub class: String,
    pub entry: Entry,
}

/// Takes the class from the folder. Folders inside the folder of a class belong to that class.
fn by_folder(root: &Path, found: Vec<Entry>, skipped: &mut Skipped) -> Result<Vec<Labeled>, Error> {
    let images: Vec<Entry> = found.into_iter().filter(|entry| is_image(entry, skipped)).collect();
    let tops: BTreeSet<&str> = images.iter().filter_map(|entry| names(&entry.path).ok()?.first().copied()).collect();
    // A class called `train` with other classes next to it is not a given split.
    let given = tops.iter().any(|top| Part::named(top) == Some(Part::Train))
        && tops.iter().all(|top| Part::named(top).is_some());
    empty_folders(root, &tops, skipped)?;
    let mut labeled = Vec::with_capacity(images.len());
    for entry in images {
        let folders = names(&entry.path).map_err(|path| {
            fault(root.join(path).display(), "the name of the folder is not UTF-8", "rename the folder")
        })?;
        let (part, class) = match (given, folders.as_slice()) {
            (false, [class, ..]) => (Part::Train, class.to_string()),
            (true, [part, class, ..]) => (Part::named(part).expect("every folder at the top is"), class.to_string()),
            (true, []) => {
                skipped.add(Reason::NoPart, entry.path.display().to_string());
                continue;
            }
            _ => {
                skipped.add(Reason::NoClass, entry.path.display().to_string());
                continue;
            }
        };
        labeled.push(Labeled { part, class, entry });
    }
    Ok(labeled)
}

/// Returns the folders of a path, or the path if one of them is not UTF-8.
fn names(path: &Path) -> Result<Vec<&str>, &Path> {
    let folders = path.parent().into_iter().flat_map(Path::components);
    folders.map(|part| part.as_os_str().to_str().ok_or(path)).collect()
}

/// Counts folders at the top that have no images.
fn empty_folders(root: &Path, tops: &BTreeSet<&str>, skipped: &mut Skipped) -> Result<(), Error> {
    let entries = std::fs::read_dir(root).map_err(|error| super::unreadable(root.display(), error))?;
    let folders = entries.flatten().filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !name.starts_with('.') && !tops.contains(name.as_str()));
    names.sort();
    names.into_iter().for_each(|name| skipped.add(Reason::NoImages, name));
    Ok(())
}

/// Returns whether the file is an image to use, by its name and size. Otherwise it is counted.
pub(super) fn is_image(entry: &Entry, skipped: &mut Skipped) -> bool {
    let extension = entry.path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let extension = extension.unwrap_or_default();
    let reason = match extension.as_str() {
        known if OTHER_FORMATS.contains(&known) => Reason::OtherFormat,
        known if !EXTENSIONS.contains(&known) => Reason::OtherFile,
        _ if entry.dangling => Reason::Dangling,
        _ if entry.size == 0 => Reason::Empty,
        _ => return true,
    };
    skipped.add(reason, entry.path.display().to_string());
    false
}

/// Returns the names of the classes: sorted as numbers if all are whole numbers, otherwise as text.
fn classes(folder: &Folder<'_>, labeled: &[Labeled]) -> Result<Vec<String>, Error> {
    let names: BTreeSet<&str> = labeled.iter().map(|image| image.class.as_str()).collect();
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if folder.labels.is_some() && names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().expect("it was parsed just now"));
    }
    // Fractions are numbers to predict, however few of them there are.
    let measures = folder.labels.is_some()
        && names.iter().all(|name| name.parse::<f64>().is_ok())
        && names.iter().any(|name| name.parse::<i64>().is_err());
    if (2..=MOST_CLASSES).contains(&names.len()) && !measures {
        return Ok(names);
    }
    let place = folder.path.display();
    if let Some(labels) = folder.labels {
        return Err(table::wrong_classes(&folder.path.join(labels), &names));
    }
    let remedy = match names.as_slice() {
        [] if has_table(folder.path) => "name the CSV file of labels: `labels: FILE.csv` under `data:`".to_owned(),
        [one] => format!(
            "put the images of each class into a separate folder. If the classes are inside {one}/, add it to `path`"
        ),
        _ => "put the images of each class into a separate folder: `cats/1.jpg`, `dogs/1.jpg`, or the same under \
              `train/`, `val/` and `test/`"
            .to_owned(),
    };
    Err(fault(place, format!("has {} class folders, but must have 2 to {MOST_CLASSES}", names.len()), remedy))
}

fn has_table(root: &Path) -> bool {
    let is_table = |path: PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    std::fs::read_dir(root).is_ok_and(|entries| entries.flatten().any(|entry| is_table(entry.path())))
}

/// Checks that every class has training images.
fn trained(folder: &Folder<'_>, classes: &[String], files: &[File]) -> Result<(), Error> {
    let mut seen = vec![false; classes.len()];
    files.iter().filter(|file| file.part == Part::Train).for_each(|file| seen[usize::from(file.label)] = true);
    let Some(missing) = seen.iter().position(|seen| !seen) else { return Ok(()) };
    let example = files.iter().find(|file| usize::from(file.label) == missing).expect("a class has an image");
    let rule = format!("the class `{}` has no training images", classes[missing]);
    let remedy = "use the same class names for training, validation and test images";
    Err(fault(folder.path.join(&example.entry.path).display(), rule, remedy))
}
