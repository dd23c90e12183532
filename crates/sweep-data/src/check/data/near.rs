//! Finds validation images that are also in the training set, except for noise, brightness or compression.

use super::{Finding, Row, Sides, pixels, sample};
use crate::network::Shape;
use sweep_core::describe::thousands;

/// Number of validation images to examine, and number of training images to compare with each.
const SAMPLE: (usize, usize) = (500, 50_000);
/// Minimum correlation of near duplicates. Of 1,000 images of CIFAR-10, none has such a neighbor among the 50,000. Of
/// UCI's digits, one in 200 has. Noise of 2/255 leaves a correlation of 0.998.
const ALIKE: f32 = 0.99;
/// Minimum correlation of the thumbnails of near duplicates, for a cheap first test. Noise averages out in thumbnails,
/// so near duplicates exceed it.
const SMALL: f32 = 0.98;
/// Side of a thumbnail, in pixels.
const SIDE: usize = 8;
/// Maximum fraction of near duplicates among the validation images. In images as simple as digits, chance explains that
/// many.
const SHARE: f64 = 0.02;
/// Number of near duplicates that is always accepted.
const COUNT: usize = 3;

pub(super) fn check(sides: &Sides<'_>) -> Option<Finding> {
    let small = |row: &Row<'_>| unit(shrunk(row.0, sides.shape).into_iter());
    let trained: Vec<(&Row<'_>, Vec<f32>)> =
        sample(&sides.train, SAMPLE.1).filter_map(|row| Some((row, small(row)?))).collect();
    let mut looked = 0;
    let mut near = Vec::new();
    for row in sample(&sides.validation, SAMPLE.0) {
        looked += 1;
        let (Some(thumb), Some(whole)) = (small(row), whole(row)) else { continue };
        let twin = trained.iter().find_map(|(other, other_thumb)| {
            if dot(&thumb, other_thumb) < SMALL || row.0 == other.0 {
                return None;
            }
            let alike = dot(&whole, &self::whole(other)?);
            (alike >= ALIKE).then_some(alike)
        });
        near.extend(twin);
    }
    let share = near.len() as f64 / looked.max(1) as f64;
    (near.len() > COUNT && share > SHARE).then(|| Finding {
        name: "near_duplicates",
        serious: share > 5.0 * SHARE,
        verdict: "validation images are in the training set too, except for noise or brightness".into(),
        evidence: format!(
            "{} of {} validation images ({:.1}%) have a correlation of at least {ALIKE} with a training image; the \
             first has {:.4}",
            thousands(near.len() as u64),
            thousands(looked as u64),
            100.0 * share,
            near[0]
        ),
        remedy: "split the data before images are copied, recompressed, or modified, and keep all versions of an \
                 image in one set"
            .into(),
    })
}

/// Returns the means over [`SIDE`] by [`SIDE`] cells of the image, with all channels combined.
fn shrunk(row: &[u8], shape: Shape) -> Vec<f32> {
    debug_assert_eq!(row.len(), pixels(shape));
    let (height, width) = (shape.height as usize, shape.width as usize);
    let mut fields = vec![(0.0, 0.0); SIDE * SIDE];
    for plane in row.chunks_exact(height * width) {
        for (y, line) in plane.chunks_exact(width).enumerate() {
            let start = y * SIDE / height * SIDE;
            for (x, pixel) in line.iter().enumerate() {
                let field = &mut fields[start + x * SIDE / width];
                (field.0, field.1) = (field.0 + f32::from(*pixel), field.1 + 1.0);
            }
        }
    }
    fields.into_iter().map(|(sum, count): (f32, f32)| sum / count.max(1.0)).collect()
}

fn whole(row: &Row<'_>) -> Option<Vec<f32>> {
    unit(row.0.iter().map(|pixel| f32::from(*pixel)))
}

/// Normalizes to mean 0 and length 1, so that a dot product is a correlation. Returns `None` for a constant image.
fn unit(values: impl ExactSizeIterator<Item = f32> + Clone) -> Option<Vec<f32>> {
    let mean = values.clone().sum::<f32>() / values.len() as f32;
    let length = values.clone().map(|value| (value - mean).powi(2)).sum::<f32>().sqrt();
    (length > 1e-3).then(|| values.map(|value| (value - mean) / length).collect())
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight partial sums, which a processor adds at once.
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        (0..8).for_each(|at| sums[at] += a[at] * b[at]);
    }
    let rest = a.chunks_exact(8).remainder().iter().zip(b.chunks_exact(8).remainder());
    sums.iter().sum::<f32>() + rest.map(|(a, b)| a * b).sum::<f32>()
}
