//! Finds images whose pixels are not in the order that the file declares. Neighboring pixels are similar. If they are
//! more similar under another interpretation of the same bytes, that interpretation is correct.

use super::{Finding, Row, Sides, pixels, sample};
use crate::network::Shape;
use sweep_core::describe::thousands;

/// Number of images to examine.
const SAMPLE: usize = 500;
/// Minimum number of images for a conclusion.
const FEWEST: usize = 20;
/// Maximum ratio of the mean difference between neighbors, for the other interpretation to be correct.
const RATIO: f64 = 0.85;
/// Minimum fraction of the images that must be smoother under the other interpretation.
const AGREEING: f64 = 0.75;

/// Another interpretation of an image's bytes.
struct Reading {
    mistake: &'static str,
    remedy: &'static str,
    /// Shape of the images before the mistake.
    shape: Shape,
    /// Returns the index of the value with this channel, row and column.
    place: fn(Shape, usize, usize, usize) -> usize,
}

pub(super) fn check(sides: &Sides<'_>) -> Option<Finding> {
    let images: Vec<&Row<'_>> = sample(&sides.train, SAMPLE).collect();
    if images.len() < FEWEST {
        return None;
    }
    let rough = |shape, place| -> Vec<f64> { images.iter().map(|(row, _)| roughness(row, shape, place)).collect() };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let read = rough(sides.shape, as_is);
    let candidates = readings(sides.shape).into_iter().map(|reading| {
        let values = rough(reading.shape, reading.place);
        let agreeing = values.iter().zip(&read).filter(|(other, read)| other < read).count();
        (mean(&values), agreeing as f64 / values.len() as f64, reading)
    });
    let (smooth, agreeing, reading) = candidates.min_by(|(a, ..), (b, ..)| a.total_cmp(b))?;
    let found = smooth < RATIO * mean(&read) && agreeing >= AGREEING;
    let shown = |value: f64| value / f64::from(sides.white);
    found.then(|| Finding {
        name: "pixel_order",
        serious: true,
        verdict: format!("the pixels are scrambled: {}", reading.mistake),
        evidence: format!(
            "neighboring pixels differ by {:.3} of white as read, but by {:.3} after undoing the mistake ({:.0}% of \
             {} images become smoother)",
            shown(mean(&read)),
            shown(smooth),
            100.0 * agreeing,
            thousands(images.len() as u64)
        ),
        remedy: reading.remedy.into(),
    })
}

fn as_is(shape: Shape, channel: usize, y: usize, x: usize) -> usize {
    let (height, width) = (shape.height as usize, shape.width as usize);
    (channel * height + y) * width + x
}

/// Returns the interpretations that differ from the declared order.
fn readings(shape: Shape) -> Vec<Reading> {
    let mut readings = Vec::new();
    if shape.channels > 1 {
        readings.push(Reading {
            mistake: "converted to channels-first with reshape instead of transpose",
            remedy: "recreate the array with numpy.transpose(x, (0, 3, 1, 2)) instead of reshape, or save the \
                     original images and write `order: nhwc`",
            shape,
            place: |shape, channel, y, x| (y * shape.width as usize + x) * shape.channels as usize + channel,
        });
        readings.push(Reading {
            mistake: "converted to channels-last with reshape instead of transpose",
            remedy: "recreate the array with numpy.transpose(x, (0, 2, 3, 1)) instead of reshape, or save the \
                     original images and write `order: nchw`",
            shape,
            // The reshape moved value `i` of the planes to (pixel i / channels, channel i % channels).
            place: |shape, channel, y, x| {
                let (at, channels) = (as_is(shape, channel, y, x), shape.channels as usize);
                (at % channels) * shape.height as usize * shape.width as usize + at / channels
            },
        });
    }
    if shape.height != shape.width {
        readings.push(Reading {
            mistake: "height and width were swapped by reshape",
            remedy: "give the array its true shape, with height and width exchanged",
            shape: Shape { height: shape.width, width: shape.height, ..shape },
            place: as_is,
        });
    }
    readings
}

/// Returns the mean difference between neighbors, along the axis where it is larger. Gray images with three equal
/// channels are perfectly smooth along one axis of a wrong interpretation, but never along both.
fn roughness(row: &[u8], shape: Shape, place: fn(Shape, usize, usize, usize) -> usize) -> f64 {
    debug_assert_eq!(row.len(), pixels(shape));
    let (height, width) = (shape.height as usize, shape.width as usize);
    let (mut across, mut down) = (0_u64, 0_u64);
    for channel in 0..shape.channels as usize {
        for y in 0..height {
            for x in 0..width {
                let value = |y, x| row[place(shape, channel, y, x)];
                let here = value(y, x);
                if x + 1 < width {
                    across += u64::from(here.abs_diff(value(y, x + 1)));
                }
                if y + 1 < height {
                    down += u64::from(here.abs_diff(value(y + 1, x)));
                }
            }
        }
    }
    let channels = shape.channels as usize;
    let mean = |sum: u64, pairs: usize| sum as f64 / (channels * pairs).max(1) as f64;
    mean(across, height * (width - 1)).max(mean(down, (height - 1) * width))
}
