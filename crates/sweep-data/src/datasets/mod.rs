//! Loads datasets from disk into memory, and selects the images to hold out.
//!
//! There is one file per format. Each has a quick `describe` (sizes, headers, labels) for the planner and a `load` for the
//! trainer. Every problem is an [`Error`] that contains the file, the value found, the expected value, and a remedy.

mod archive;
mod arrays;
mod cifar;
mod digits;
mod folder;
mod idx;
mod normalization;
mod npy;
mod scale;
mod split;

use folder::Folder;
pub use normalization::Normalization;
pub use split::{Split, split};

use std::fmt::Display;
use std::path::Path;

use crate::network::Shape;
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit};
use sweep_core::recipe::{Fit, Resize, Source};

/// Number of classes that a one-byte label can distinguish.
const MOST_CLASSES: usize = 256;

/// A dataset as the planner knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Shape of every image.
    pub shape: Shape,
    /// Names of the classes. A label is an index into them.
    pub classes: Vec<String>,
    /// Number of images for training, and for validation unless the dataset has its own validation images.
    pub train: u64,
    /// Number of the dataset's own validation images, or 0 if it has none.
    pub validation: u64,
    /// Number of the dataset's own test images, or 0 if it has none.
    pub test: u64,
    /// What was left out or converted, for the user.
    pub notes: Vec<String>,
}

/// A dataset in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The same information as returned by [`describe`].
    pub info: Info,
    /// Images for training, and for validation unless there are others for it.
    pub train: Images,
    /// The dataset's own validation images. May be empty.
    pub validation: Images,
    /// The dataset's own test images. May be empty.
    pub test: Images,
    /// The byte value that means 1.0: 255, or 16 for the digits.
    pub white: f32,
}

/// Images with their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// `[n, channels, height, width]`, with the pixels of a row adjacent.
    pub pixels: Vec<u8>,
    /// `[n]`, each an index into [`Info::classes`].
    pub labels: Vec<u8>,
}

/// What to do with data that this trainer does not train on.
const OWN_SCRIPT: &str = "the built-in trainer classifies images with one label each. For numbers to predict, or several \
                          labels per image, train with a script of your own: docs/guides/tune-your-script.md";

fn folder<'a>(path: &'a Path, resize: Option<Resize>, labels: Option<&'a Path>) -> Folder<'a> {
    Folder { path, resize, labels }
}

/// Returns the sizes and classes of a dataset. Only a `folder` is decoded, once; other sets are not.
///
/// # Errors
/// Returns [`Exit::BadData`] if the dataset is missing or inconsistent.
pub fn describe(source: &Source) -> Result<Info, Error> {
    let found = match source {
        Source::Digits => digits::load().map(|digits| digits.info),
        Source::Cifar10 { path } => cifar::CIFAR10.describe(path),
        Source::Cifar100 { path } => cifar::CIFAR100.describe(path),
        Source::Mnist { path } => idx::MNIST.describe(path),
        Source::FashionMnist { path } => idx::FASHION_MNIST.describe(path),
        Source::Folder { path, resize, labels } => folder(path, *resize, labels.as_deref()).describe(),
        Source::Arrays { path, order } => arrays::describe(path, *order),
    };
    found.map_err(|error| match source {
        Source::Cifar10 { path }
        | Source::Cifar100 { path }
        | Source::Mnist { path }
        | Source::FashionMnist { path }
        | Source::Arrays { path, .. }
            if Folder::holds_classes(path) =>
        {
            error.hint("`path` has one folder of images per class; write `set: folder` under `data:`")
        }
        _ => error,
    })
}

/// Loads the whole dataset. Its `info` equals the result of [`describe`].
///
/// # Errors
/// Returns [`Exit::BadData`] if the dataset is missing, truncated, or has values out of range.
pub fn load(source: &Source) -> Result<Dataset, Error> {
    match source {
        Source::Digits => digits::load(),
        Source::Cifar10 { path } => cifar::CIFAR10.load(path),
        Source::Cifar100 { path } => cifar::CIFAR100.load(path),
        Source::Mnist { path } => idx::MNIST.load(path),
        Source::FashionMnist { path } => idx::FASHION_MNIST.load(path),
        Source::Folder { path, resize, labels } => folder(path, *resize, labels.as_deref()).load(),
        Source::Arrays { path, order } => arrays::load(path, *order),
    }
}

/// Reads an image file as the images of this dataset are read. Returns bytes `[c, h, w]`, where 255 is white, and how
/// the image was converted. An image of another size is scaled, and cropped unless the dataset says otherwise.
///
/// # Errors
/// Returns why the file cannot be used. The text follows the name of the file.
pub fn image(source: &Source, shape: Shape, file: &Path) -> Result<(Vec<u8>, Vec<String>), String> {
    let fit = match source {
        Source::Folder { resize: Some(resize), .. } => resize.fit,
        _ => Fit::Crop,
    };
    folder::image(file, shape, fit)
}

/// Returns an error for unusable data: where it is, what is wrong, and what to do.
fn fault(place: impl Display, rule: impl Display, remedy: impl Into<String>) -> Error {
    Error::new(Exit::BadData, format!("{place}: {rule}")).hint(remedy)
}

/// Returns an error for a file or folder that cannot be read.
fn unreadable(place: impl Display, error: std::io::Error) -> Error {
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "check `path` under `data:`; relative paths start at the folder of the sweep file"
        }
        std::io::ErrorKind::PermissionDenied => "check its permissions with `ls -l`",
        _ => "check that the file is complete and the disk is readable",
    };
    Error::new(Exit::BadData, format!("{place} cannot be read")).source(error).hint(remedy)
}

/// Returns an error for a published dataset whose `path` cannot be read. If nothing is there, it suggests fetching the
/// dataset.
fn absent(path: &Path, error: std::io::Error, set: &str, folder: &str) -> Error {
    if error.kind() != std::io::ErrorKind::NotFound {
        return unreadable(path.display(), error);
    }
    let above = path.parent().filter(|_| path.ends_with(folder));
    let to = above.map(|above| format!(" --to {}", argument(above))).unwrap_or_default();
    let remedy = format!(
        "download it with `sweep data fetch {set}{to}`, or check `path` under `data:`; relative paths start at the \
         folder of the sweep file"
    );
    unreadable(path.display(), error).hint(remedy)
}

/// Allocates this number of bytes, and returns an error instead of aborting if that fails.
fn room(place: impl Display, bytes: Option<u64>) -> Result<Vec<u8>, Error> {
    let mut room = Vec::new();
    let fits = bytes.and_then(|bytes| usize::try_from(bytes).ok()).is_some_and(|n| room.try_reserve_exact(n).is_ok());
    if fits {
        return Ok(room);
    }
    let rule = match bytes {
        Some(bytes) => format!("its images need {:.1} GB of memory, more than is available", bytes as f64 / 1e9),
        None => "its images need more memory than can be counted".to_owned(),
    };
    Err(fault(place, rule, "use fewer or smaller images"))
}
