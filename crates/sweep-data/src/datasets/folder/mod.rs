//! `folder`: image files of any size and format, in one folder per class or with a CSV file of labels.
//!
//! The files are decoded once and kept as bytes in a hidden folder beside them. Whatever is left out or converted on
//! the way is counted, and becomes a note for the user.

mod build;
mod cache;
mod decode;
mod listing;
mod notes;
mod table;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;

use super::{Dataset, Images, Info, fault, room, unreadable};
use crate::network::Shape;
use cache::Cache;
use decode::{Target, Trouble};
use listing::{Listing, Part};
use sweep_core::error::Error;
use sweep_core::recipe::{Fit, Resize};

/// A folder of images, as the sweep file describes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder<'a> {
    pub path: &'a Path,
    /// How images are brought to one size.
    pub resize: Option<Resize>,
    /// The CSV file of labels, relative to the folder.
    pub labels: Option<&'a Path>,
}

impl Folder<'_> {
    /// Returns sizes and classes. Images that were not decoded before are decoded and kept.
    pub(super) fn describe(&self) -> Result<Info, Error> {
        let (listing, cache) = self.open()?;
        Ok(info(listing, &cache).0)
    }

    /// Returns the whole dataset.
    pub(super) fn load(&self) -> Result<Dataset, Error> {
        let (listing, mut cache) = self.open()?;
        let (info, parts) = info(listing, &cache);
        let each = (info.shape.channels * info.shape.height * info.shape.width) as u64;
        let mut read = |part: Part| {
            let labels: Vec<u8> =
                parts.iter().filter(|(belongs, _)| *belongs == part).map(|(_, label)| *label).collect();
            let mut pixels = room(self.path.display(), each.checked_mul(labels.len() as u64))?;
            cache.read(labels.len(), &mut pixels).map_err(|error| unreadable(self.path.display(), error))?;
            Ok::<_, Error>(Images { pixels, labels })
        };
        // The images are kept in this order.
        let (train, validation, test) = (read(Part::Train)?, read(Part::Validation)?, read(Part::Test)?);
        Ok(Dataset { info, train, validation, test, white: 255.0 })
    }

    fn open(&self) -> Result<(Listing, Cache), Error> {
        let listing = Listing::of(self)?;
        let cache = Cache::open(self, &listing)?;
        build::bounded(self, &listing, &listing.skipped, cache.dropped().len() as u64, Vec::new())?;
        Ok((listing, cache))
    }

    /// Returns whether the folder has the layout of such a dataset.
    pub(super) fn holds_classes(path: &Path) -> bool {
        path.is_dir() && Listing::of(&Folder { path, resize: None, labels: None }).is_ok()
    }
}

/// Reads one image file in this shape. Also returns how the image was converted.
pub(super) fn image(file: &Path, shape: Shape, fit: Fit) -> Result<(Vec<u8>, Vec<String>), String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    let undecodable = |(_, why): Trouble| format!("cannot be decoded: {why}");
    let size = (shape.width, shape.height);
    // An image that has the size already stays as it is.
    let fits = decode::header(&bytes).map_err(undecodable)?.size == size;
    let target = (!fits).then_some(Target { size, fit });
    let (planes, facts) = decode::decode(&bytes, target).map_err(undecodable)?;
    let pixels = match shape.channels {
        3 => planes,
        1 => gray(&planes),
        channels => return Err(format!("has 1 or 3 channels, but the network takes {channels}")),
    };
    let (width, height) = facts.size;
    let proportions = u64::from(width) * u64::from(size.1) == u64::from(height) * u64::from(size.0);
    let how = match fit {
        _ if proportions => "scaled",
        Fit::Crop => "center cropped and scaled",
        Fit::Pad => "scaled and padded",
        Fit::Stretch => "stretched",
    };
    let notes = [
        (!fits).then(|| format!("{how} from {width}x{height}")),
        facts.transparent.then(|| "transparent, drawn over white".to_owned()),
        (facts.color && shape.channels == 1).then(|| "color turned gray".to_owned()),
    ];
    Ok((pixels, notes.into_iter().flatten().collect()))
}

/// Returns the brightness that people see (ITU-R BT.601). It keeps gray values.
fn gray(planes: &[u8]) -> Vec<u8> {
    let plane = planes.len() / 3;
    let value = |at: usize| {
        let [red, green, blue] = [0, 1, 2].map(|channel| f32::from(planes[channel * plane + at]));
        (0.299 * red + 0.587 * green + 0.114 * blue).round() as u8
    };
    (0..plane).map(value).collect()
}

/// Returns the description of the dataset, and part and label of each image that could be decoded.
fn info(listing: Listing, cache: &Cache) -> (Info, Vec<(Part, u8)>) {
    let kept = listing.files.iter().enumerate().filter(|(index, _)| !cache.dropped().contains(index));
    let parts: Vec<(Part, u8)> = kept.map(|(_, file)| (file.part, file.label)).collect();
    let count = |part| parts.iter().filter(|(belongs, _)| *belongs == part).count() as u64;
    let mut notes = listing.skipped.notes();
    notes.extend(cache.notes().iter().cloned());
    let info = Info {
        shape: cache.shape(),
        classes: listing.classes,
        train: count(Part::Train),
        validation: count(Part::Validation),
        test: count(Part::Test),
        notes,
    };
    (info, parts)
}
