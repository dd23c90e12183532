//! Finds images with little content: nearly black from a wrong scale, constant, or clipped at black or white.

use super::{Finding, Sides, sample};
use sweep_core::describe::thousands;

/// Minimum brightness of the brightest pixel of all, as a fraction of white.
const DARKEST: f32 = 0.1;
/// Maximum fraction of constant images.
const EMPTY: f64 = 0.01;
/// Number of images to examine for black and white pixels.
const SAMPLE: usize = 2_000;

/// Maximum fraction of pure black and white in color images, where they are rare.
const CLIPPED_COLOR: f64 = 0.25;
/// Maximum fraction of pure black and white in gray images. Drawings on a uniform background have many such pixels, but
/// also some grays.
const CLIPPED_GRAY: f64 = 0.95;

pub(super) fn check(sides: &Sides<'_>) -> Option<Finding> {
    let brightest = sides.train.iter().flat_map(|(row, _)| row.iter()).max()?;
    let share = f32::from(*brightest) / sides.white;
    if share < DARKEST {
        return Some(Finding {
            name: "unscaled",
            serious: true,
            verdict: "all images are nearly black".into(),
            evidence: format!(
                "the brightest pixel of all {} training images is {share:.4} of white",
                thousands(sides.train.len() as u64)
            ),
            remedy: "scale the pixels once, not twice: save them as uint8, or as floats where 1 is white".into(),
        });
    }
    let empty = sides.train.iter().filter(|(row, _)| row.iter().all(|pixel| *pixel == row[0])).count();
    let share = empty as f64 / sides.train.len() as f64;
    if share > EMPTY {
        return Some(constant(empty, sides.train.len()));
    }
    clipped(sides)
}

fn constant(empty: usize, all: usize) -> Finding {
    let share = empty as f64 / all as f64;
    Finding {
        name: "constant",
        serious: share > 0.5,
        verdict: "images are blank".into(),
        evidence: format!(
            "{} of {} training images ({:.1}%) have a single value",
            thousands(empty as u64),
            thousands(all as u64),
            100.0 * share
        ),
        remedy: "check how these images were created, and remove blank ones".into(),
    }
}

/// Finds values that were clipped to the range of a byte. This happens if images were scaled twice or their mean was
/// subtracted before.
fn clipped(sides: &Sides<'_>) -> Option<Finding> {
    let bound = if sides.shape.channels > 1 { CLIPPED_COLOR } else { CLIPPED_GRAY };
    let (mut black, mut white, mut all) = (0_usize, 0_usize, 0_usize);
    for (row, _) in sample(&sides.train, SAMPLE) {
        all += row.len();
        black += row.iter().filter(|pixel| **pixel == 0).count();
        white += row.iter().filter(|pixel| f32::from(**pixel) >= sides.white).count();
    }
    let share = |count: usize| count as f64 / all.max(1) as f64;
    (share(black) + share(white) > bound).then(|| Finding {
        name: "clipped",
        serious: false,
        verdict: "pixels are clipped at black or white".into(),
        evidence: format!(
            "{:.1}% of all values are 0, and {:.1}% are at or above white",
            100.0 * share(black),
            100.0 * share(white)
        ),
        remedy: "save the images as they are, from 0 to 255 or 0 to 1, without subtracting the mean or scaling; for \
             drawings, ignore this finding"
            .into(),
    })
}
