//! Finds problems with the images themselves. There is one check per file.

mod drift;
mod duplicates;
mod labels;
mod near;
mod order;
mod range;
mod sequence;

use super::Finding;
use crate::datasets::{Dataset, Images, Split};
use crate::network::Shape;
use sweep_core::recipe::{Data, Validation};

/// An image, `[channels, height, width]`, and its label.
type Row<'a> = (&'a [u8], u8);

/// Both sides of a split.
struct Sides<'a> {
    shape: Shape,
    classes: &'a [String],
    /// The byte value that means 1.0.
    white: f32,
    train: Vec<Row<'a>>,
    validation: Vec<Row<'a>>,
}

/// Returns all findings, the serious ones first.
pub fn check(dataset: &Dataset, split: &Split, data: &Data) -> Vec<Finding> {
    let held_out = match data.validation {
        Validation::Share(_) | Validation::Count(_) => &dataset.train,
        Validation::Own => &dataset.validation,
        Validation::Test => &dataset.test,
    };
    let shape = dataset.info.shape;
    let sides = Sides {
        shape,
        classes: &dataset.info.classes,
        white: dataset.white,
        train: rows(&dataset.train, &split.train, shape),
        validation: rows(held_out, &split.validation, shape),
    };
    let mut findings = order::check(&sides).into_iter().collect::<Vec<_>>();
    findings.extend(duplicates::check(&sides));
    findings.extend(near::check(&sides));
    findings.extend(labels::check(&sides));
    findings.extend(drift::check(&sides));
    findings.extend(range::check(&sides));
    findings.extend(sequence::check(dataset, &data.source));
    findings.sort_by_key(|finding| !finding.serious);
    findings
}

fn rows<'a>(images: &'a Images, rows: &[u32], shape: Shape) -> Vec<Row<'a>> {
    let size = pixels(shape);
    let row = |row: &u32| {
        let row = *row as usize;
        (&images.pixels[row * size..][..size], images.labels[row])
    };
    rows.iter().map(row).collect()
}

fn pixels(shape: Shape) -> usize {
    shape.channels as usize * shape.height as usize * shape.width as usize
}

/// Returns at most `most` rows, evenly spaced over the whole list.
fn sample<'r, 'a>(rows: &'r [Row<'a>], most: usize) -> impl Iterator<Item = &'r Row<'a>> {
    rows.iter().step_by(rows.len().div_ceil(most).max(1))
}

#[cfg(test)]
mod tests;
