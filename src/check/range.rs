//! Pictures with nothing in them: nearly black by a wrong scale, or of one value throughout.

use super::{Finding, Sides};

/// The brightest pixel of all is above this share of white.
const DARKEST: f32 = 0.1;
/// Up to this share of the pictures may be empty.
const EMPTY: f64 = 0.01;

pub(super) fn check(sides: &Sides<'_>) -> Option<Finding> {
    let brightest = sides.train.iter().flat_map(|(row, _)| row.iter()).max()?;
    let share = f32::from(*brightest) / sides.white;
    if share < DARKEST {
        return Some(Finding {
            name: "unscaled",
            serious: true,
            verdict: "all pictures are nearly black".into(),
            evidence: format!(
                "the brightest pixel of all {} training pictures is {share:.4} of white",
                sides.train.len()
            ),
            remedy: "divide pixels once, not twice: write them as uint8, or as floats of which 1 is white".into(),
        });
    }
    let empty = sides.train.iter().filter(|(row, _)| row.iter().all(|pixel| *pixel == row[0])).count();
    let share = empty as f64 / sides.train.len() as f64;
    (share > EMPTY).then(|| Finding {
        name: "constant",
        serious: share > 0.5,
        verdict: "pictures are of one value throughout".into(),
        evidence: format!("{empty} of {} training pictures ({:.1} %)", sides.train.len(), 100.0 * share),
        remedy: "look at how these pictures were written, and leave empty ones out".into(),
    })
}
