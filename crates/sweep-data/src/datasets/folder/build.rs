//! Decodes all images of a listing, in parallel and in order, into a stream of bytes.

use std::fs;
use std::io::Write;
use std::path::Path;

use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::decode::{Facts, Target, Trouble, decode, header};
use super::listing::{File, Listing};
use super::notes::{Reason, Skipped};
use super::{Folder, fault};
use sweep_core::describe::thousands;
use sweep_core::error::{Error, Exit};
use sweep_core::recipe::{Fit, Resize};

/// Number of bytes that are decoded before they are written.
const AT_ONCE: usize = 32 << 20;
/// The share of the images that may be damaged.
const MOST_DAMAGED: f64 = 0.01;
/// Maximum number of damaged images that an error names.
const MOST_NAMED: usize = 20;
/// Sizes to propose for `resize`.
const USUAL_SIDES: [u32; 6] = [224, 160, 128, 96, 64, 32];

/// What is known about images once they are decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub width: u32,
    pub height: u32,
    /// Whether any image has color. The stream has three equal planes per image if none has.
    pub color: bool,
    /// Indices of the files that are damaged, ascending.
    pub dropped: Vec<usize>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// Writes three planes per image to `out`. Damaged images are left out, unless there are too many of them.
pub(super) fn build(folder: &Folder<'_>, listing: &Listing, out: &mut impl Write) -> Result<Summary, Error> {
    let (width, height) = match folder.resize {
        Some(resize) => (resize.side, resize.side),
        None => common_size(folder.path, &listing.files)?,
    };
    let bar = ProgressBar::new(listing.files.len() as u64).with_message("decoding images");
    let many = (AT_ONCE / (3 * width as usize * height as usize)).clamp(16, 4096);
    let mut tally = Tally::default();
    let (mut damaged, mut dropped) = (listing.skipped.clone(), Vec::new());
    let mut named = Vec::new();
    for (chunk, files) in listing.files.chunks(many).enumerate() {
        let work = |file: &File| {
            let read = fs::read(folder.path.join(&file.entry.path));
            let decoded = read.map_err(|error| (Reason::Undecodable, error.to_string()));
            let decoded = decoded.and_then(|bytes| decode(&bytes, folder.resize.map(Target::from)));
            bar.inc(1);
            decoded
        };
        let decoded: Vec<Result<(Vec<u8>, Facts), Trouble>> = files.par_iter().map(work).collect();
        for (at, decoded) in decoded.into_iter().enumerate() {
            match decoded {
                Ok((planes, facts)) => {
                    tally.add(&facts);
                    out.write_all(&planes).map_err(|error| unwritable(folder.path, error))?;
                }
                Err((reason, why)) => {
                    let path = files[at].entry.path.display();
                    damaged.add(reason, format!("{path}: {why}"));
                    dropped.push(chunk * many + at);
                    named.push(fault(folder.path.join(&files[at].entry.path).display(), why, DELETE));
                }
            }
        }
    }
    bar.finish_and_clear();
    bounded(folder, listing, &damaged, 0, named)?;
    let mut notes = tally.notes(folder.resize);
    notes.extend(damaged.notes().into_iter().filter(|note| !listing.skipped.notes().contains(note)));
    Ok(Summary { width, height, color: tally.color, dropped, notes })
}

fn unwritable(folder: &Path, error: std::io::Error) -> Error {
    let place = folder.join(super::cache::FOLDER);
    Error::new(Exit::BadData, format!("{}: the decoded images cannot be written", place.display()))
        .source(error)
        .hint("free some space there")
}

const DELETE: &str = "replace the damaged files, or delete them";

/// Checks that few images are damaged. `known` counts damaged images that `damaged` does not have, because they were
/// found when the images were decoded earlier.
pub(super) fn bounded(
    folder: &Folder<'_>,
    listing: &Listing,
    damaged: &Skipped,
    known: u64,
    named: Vec<Error>,
) -> Result<(), Error> {
    let meant = listing.files.len() as u64 + listing.skipped.damage();
    let count = damaged.damage() + known;
    if count as f64 <= MOST_DAMAGED * meant as f64 {
        return Ok(());
    }
    let (count, meant) = (thousands(count), thousands(meant));
    let rule = format!("{count} of {meant} images are damaged or missing, but at most 1% may be");
    let first = fault(folder.path.display(), rule, DELETE);
    let notes = damaged.notes().into_iter().filter(|_| named.is_empty());
    let notes: Vec<Error> = notes.map(|note| fault(folder.path.display(), note, DELETE)).collect();
    let all = std::iter::once(first).chain(named).chain(notes).collect();
    Err(Error::together(all, MOST_NAMED + 1))
}

/// Returns the size that all images have.
fn common_size(root: &Path, files: &[File]) -> Result<(u32, u32), Error> {
    let size = |file: &File| {
        let bytes = fs::read(root.join(&file.entry.path)).ok()?;
        header(&bytes).ok().map(|facts| facts.size)
    };
    let sizes: Vec<Option<(u32, u32)>> = files.par_iter().map(size).collect();
    let known = || sizes.iter().zip(files).filter_map(|(size, file)| Some(((*size)?, file)));
    let Some((first, example)) = known().next() else {
        return Err(fault(root.display(), "has no image that can be decoded", DELETE));
    };
    let Some((other, differs)) = known().find(|(size, _)| *size != first) else { return Ok(first) };
    let mut shorter: Vec<u32> = known().map(|((width, height), _)| width.min(height)).collect();
    shorter.sort_unstable();
    let median = shorter[shorter.len() / 2];
    let side = USUAL_SIDES.into_iter().find(|side| *side <= median).unwrap_or(median);
    let rule = format!(
        "is {}x{}, but {} is {}x{}; without `resize`, all images must have the same size",
        other.0,
        other.1,
        root.join(&example.entry.path).display(),
        first.0,
        first.1
    );
    let remedy = format!(
        "write `resize: {side}` under `data:`. The shorter side of every image is then scaled to {side} pixels and \
         the center is kept; `fit: pad` or `fit: stretch` keeps all of it"
    );
    Err(fault(root.join(&differs.entry.path).display(), rule, remedy))
}

/// Counts of what was given up.
#[derive(Debug, Default)]
struct Tally {
    color: bool,
    gray: u64,
    transparent: u64,
    wide: u64,
    cmyk: u64,
    turned: u64,
    smallest: Option<(u32, u32)>,
    largest: Option<(u32, u32)>,
    /// Shorter sides, to know how many images were enlarged.
    sides: Vec<(u32, u32)>,
}

impl Tally {
    fn add(&mut self, facts: &Facts) {
        self.color |= facts.color;
        self.gray += u64::from(!facts.color);
        self.transparent += u64::from(facts.transparent);
        self.wide += u64::from(facts.wide);
        self.cmyk += u64::from(facts.cmyk);
        self.turned += u64::from(facts.turned);
        let area = |size: &(u32, u32)| u64::from(size.0) * u64::from(size.1);
        self.smallest = self.smallest.into_iter().chain([facts.size]).min_by_key(area);
        self.largest = self.largest.into_iter().chain([facts.size]).max_by_key(area);
        self.sides.push(facts.size);
    }

    fn notes(&self, resize: Option<Resize>) -> Vec<String> {
        let gray = if self.color { self.gray } else { 0 };
        let counts = [
            (gray, "gray, and used as color images with three equal channels"),
            (self.transparent, "transparent in parts, and drawn over white"),
            (self.wide, "of more than 8 bits per value, and reduced to 8"),
            (self.cmyk, "in CMYK, and converted to RGB without a color profile"),
            (self.turned, "rotated or mirrored, as their EXIF data says"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("images that are {what}: {}", thousands(count)));
        self.resized(resize).into_iter().chain(counts).collect()
    }

    fn resized(&self, resize: Option<Resize>) -> Option<String> {
        let (Resize { side, fit }, (small, large)) = (resize?, (self.smallest?, self.largest?));
        let how = match fit {
            Fit::Crop => "the shorter side was scaled, and the center kept",
            Fit::Pad => "the longer side was scaled, and the rest filled with black",
            Fit::Stretch => "both sides were scaled, which changes proportions",
        };
        let needed = |size: &&(u32, u32)| match fit {
            Fit::Pad => size.0.max(size.1) < side,
            Fit::Crop | Fit::Stretch => size.0.min(size.1) < side,
        };
        let enlarged = self.sides.iter().filter(needed).count() as u64;
        let more = if enlarged > 0 { format!("; {} were enlarged", thousands(enlarged)) } else { String::new() };
        let [small, large] = [small, large].map(|(width, height)| format!("{width}x{height}"));
        let sizes = if small == large { small } else { format!("{small} to {large}") };
        Some(format!("images of {sizes} became {side}x{side}: {how}{more}"))
    }
}
