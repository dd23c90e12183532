//! The data of a trial: its source, its split, and how images are changed.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The images of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Where the images come from.
    pub source: Source,
    /// Which images are held out for validation.
    pub validation: Validation,
    /// Maximum number of training images. They are drawn evenly from every class, after the validation split.
    pub train_examples: Option<u64>,
    /// Random changes to every training image, drawn anew each epoch.
    pub augment: Augment,
    /// Which training images are held out before all else, and tested once after the sweep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<HeldOut>,
    /// The seed that draws which images are held out. `None` if it is the sweep's, as in recipes from before it existed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
    /// How the values of each channel are shifted and scaled before the first layer.
    #[serde(default, skip_serializing_if = "Normalize::is_none")]
    pub normalize: Normalize,
}

/// Normalization of the images, per channel: the mean is subtracted, and the result divided by the deviation. Means
/// and deviations are those of values from 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Values stay from 0 to 1.
    #[default]
    None,
    /// The mean and the standard deviation of the trial's own training images.
    Dataset,
    /// Given values, one per channel.
    Given {
        /// Values to subtract.
        means: Vec<f64>,
        /// Values to divide by.
        deviations: Vec<f64>,
    },
}

impl Normalize {
    /// Returns whether nothing is normalized.
    pub fn is_none(&self) -> bool {
        *self == Normalize::None
    }
}

/// What is beyond the edges of a shifted image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Border {
    /// Black pixels.
    #[default]
    Black,
    /// The mirrored image. The pixels at the edge are not repeated.
    Reflect,
}

impl Border {
    fn is_black(&self) -> bool {
        *self == Border::Black
    }
}

/// Random changes to training images, applied in this order; none by default. Pixels from outside the image are black,
/// except those of a shift with another border.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Whether a random half of the images is mirrored, left to right.
    pub flip: bool,
    /// Maximum shift in each direction, in pixels.
    pub crop: u32,
    /// What a shift uncovers.
    #[serde(default, skip_serializing_if = "Border::is_black")]
    pub border: Border,
    /// Maximum rotation in either direction, in degrees.
    pub rotate: f64,
    /// Maximum share by which an image is enlarged or shrunk: 0.2 means a factor of 0.8 to 1.2.
    pub scale: f64,
    /// Standard deviation of the normal noise added to every value, where 1 is white.
    pub noise: f64,
    /// Side of a black square around a random pixel, in pixels (arXiv 1708.04552).
    pub cutout: u32,
    /// Maximum relative change of brightness.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub brightness: f64,
    /// Maximum relative change of contrast.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub contrast: f64,
    /// Maximum relative change of saturation. Gray images have none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub saturation: f64,
    /// Share of the images in which a random rectangle becomes black (arXiv 1708.04896).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub erase: f64,
    /// Both parameters of the beta distribution from which mixup draws the share of another image (arXiv 1710.09412).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mixup: f64,
    /// The same for CutMix, which takes a rectangle of another image (arXiv 1905.04899).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cutmix: f64,
    /// Strength of two random changes of the shape, as a share of the strongest ones (RandAugment, arXiv 1909.13719).
    /// They are applied together with rotation and scaling.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rand_augment: f64,
}

/// Whether a change is off. Recipes from before it existed are then equal to those of today.
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// A data set on disk, or the built-in one. A trainer loads equal sources once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "kebab-case")]
pub enum Source {
    /// The UCI handwritten digits, 1,797 grayscale images of 8x8, embedded in the binary.
    Digits,
    /// CIFAR-10: the folder of the published binary files, or their tar.gz.
    Cifar10 {
        /// Absolute path of the folder or archive.
        path: PathBuf,
    },
    /// CIFAR-100 with its 100 fine classes: the folder of the published binary files, or their tar.gz.
    Cifar100 {
        /// Absolute path of the folder or archive.
        path: PathBuf,
    },
    /// MNIST: the folder of the four published IDX files, gzipped or not.
    Mnist {
        /// Absolute path of the folder.
        path: PathBuf,
    },
    /// Fashion-MNIST, in the same format as MNIST.
    FashionMnist {
        /// Absolute path of the folder.
        path: PathBuf,
    },
    /// Image files in one folder per class, or with a CSV file of labels. Folders `train/`, `val/` and `test/` above
    /// the classes define the split.
    Folder {
        /// Absolute path of the folder.
        path: PathBuf,
        /// How the images are brought to one size. `None` if they all have one size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resize: Option<Resize>,
        /// A CSV file of files and labels, relative to the folder. `None` if the folders are the classes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        labels: Option<PathBuf>,
    },
    /// Images and labels as NumPy arrays: one `.npz` file, or a folder of `.npy` files.
    Arrays {
        /// Absolute path of the file or folder.
        path: PathBuf,
        /// Layout of the image array.
        order: Order,
    },
}

/// Conversion of images of any size to squares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Resize {
    /// Side of the square, in pixels.
    pub side: u32,
    /// What happens to images that are not square.
    pub fit: Fit,
}

/// How an image that is not square becomes a square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The shorter side is scaled to the square's, and the center is kept.
    Crop,
    /// The longer side is scaled to the square's, and the rest is black.
    Pad,
    /// Both sides are scaled to the square's, so that proportions change.
    Stretch,
}

/// Order of the axes of an image array: count (n), channels (c), height (h), width (w).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Channels before height and width, as in PyTorch.
    Nchw,
    /// Channels last, as in Keras.
    Nhwc,
}

/// The images that validation is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// A share of each class's training images, drawn by the seed of the split. Above 0 and below 1.
    Share(f64),
    /// This number of training images, drawn in proportion from every class by the seed of the split.
    Count(u64),
    /// The data set's own validation images.
    Own,
    /// The data set's own test images.
    Test,
}

/// Images that are held out in proportion from every class, drawn by the seed of the split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// A share of the images, above 0 and below 1.
    Share(f64),
    /// A number of images.
    Count(u64),
}
