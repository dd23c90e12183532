//! Determines what the numbers of an image array mean: fractions of white, bytes, or any other range.

use super::npy::Kind;

/// Rounding of a fraction of white that is still one.
const SLACK: f64 = 1e-4;
/// Fractional values from 0 to at most 255 are taken for bytes if one of them is at least this. Otherwise rounding them
/// would leave only few levels.
const SURELY_BYTES: f64 = 100.0;

/// The extremes of all values of an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub min: f64,
    pub max: f64,
    /// Whether all values are integers.
    whole: bool,
}

impl Range {
    /// Nothing was seen yet.
    pub const EMPTY: Range = Range { min: f64::INFINITY, max: f64::NEG_INFINITY, whole: true };
    /// The values of an array of bytes.
    pub const BYTES: Range = Range { min: 0.0, max: 255.0, whole: true };

    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        *self = Range { min: self.min.min(value), max: self.max.max(value), whole: self.whole && value.fract() == 0.0 };
    }

    /// Returns the range of both.
    pub fn with(self, other: Range) -> Range {
        Range { min: self.min.min(other.min), max: self.max.max(other.max), whole: self.whole && other.whole }
    }
}

/// The meaning of an array's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// 0 is black and 1 is white.
    Unit,
    /// 0 is black and 255 is white.
    Byte,
    /// The lowest value is black and the highest is white.
    Linear { min: f64, max: f64 },
}

impl Scale {
    pub fn of(kind: Kind, range: Range) -> Scale {
        let Range { min, max, whole } = range;
        match kind {
            Kind::Boolean => Scale::Unit,
            Kind::Float if min >= -SLACK && max <= 1.0 + SLACK => Scale::Unit,
            _ if min >= 0.0 && max <= 255.0 && (whole || max >= SURELY_BYTES) => Scale::Byte,
            _ => Scale::Linear { min, max },
        }
    }

    /// Returns the nearest byte of a value within the range.
    pub fn byte(self, value: f64) -> u8 {
        let byte = match self {
            Scale::Unit => value * 255.0,
            Scale::Byte => value,
            Scale::Linear { min, max } if max > min => (value - min) / (max - min) * 255.0,
            Scale::Linear { .. } => 0.0,
        };
        (byte + 0.5) as u8
    }

    /// Returns what the conversion to bytes changed, for the user.
    pub fn note(self, name: &str, range: Range) -> Option<String> {
        match self {
            Scale::Linear { min, max } => Some(format!(
                "{name} has values from {min:.4} to {max:.4}, which were mapped linearly to 0 to 255, in steps of {:.4}. \
                 To give a network standardized values, write `normalize: dataset`",
                (max - min) / 255.0
            )),
            Scale::Byte if !range.whole => Some(format!("{name} has fractions, which were rounded to 0 to 255")),
            Scale::Unit | Scale::Byte => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(values: &[f64]) -> Range {
        values.iter().fold(Range::EMPTY, |mut range, value| {
            range.add(*value);
            range
        })
    }

    proptest! {
        #[test]
        fn bytes_written_as_floats_come_back(pixels in prop::collection::vec(any::<u8>(), 1..50), unit: bool) {
            let white = if unit { 255.0 } else { 1.0 };
            let floats: Vec<f64> = pixels.iter().map(|pixel| f64::from(*pixel) / white).collect();
            let scale = Scale::of(Kind::Float, range(&floats));
            // Values of 0 and 1 alone are fractions of white.
            if unit || pixels.iter().any(|pixel| *pixel > 1) {
                prop_assert_eq!(floats.into_iter().map(|value| scale.byte(value)).collect::<Vec<_>>(), pixels);
            }
        }

        #[test]
        fn any_values_keep_their_order(values in prop::collection::vec(-1e6..1e6_f64, 2..50)) {
            let scale = Scale::of(Kind::Float, range(&values));
            for pair in values.windows(2) {
                let (low, high) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
                prop_assert!(scale.byte(low) <= scale.byte(high));
            }
        }
    }

    #[test]
    fn the_range_decides_what_numbers_mean() {
        let scale = |values: &[f64]| Scale::of(Kind::Float, range(values));
        assert_eq!(scale(&[0.0, 1.0]), Scale::Unit);
        assert_eq!(scale(&[0.0, 1.00001]), Scale::Unit);
        assert_eq!(scale(&[0.0, 2.0]), Scale::Byte);
        assert_eq!(scale(&[0.5, 200.0]), Scale::Byte);
        assert_eq!(scale(&[0.5, 2.5]), Scale::Linear { min: 0.5, max: 2.5 });
        assert_eq!(scale(&[-2.0, 2.0]), Scale::Linear { min: -2.0, max: 2.0 });
        assert_eq!(Scale::of(Kind::Unsigned, range(&[0.0, 1.0])), Scale::Byte);
        assert_eq!(Scale::of(Kind::Unsigned, range(&[0.0, 65535.0])), Scale::Linear { min: 0.0, max: 65535.0 });
        assert_eq!(Scale::Linear { min: -2.0, max: 2.0 }.byte(0.0), 128);
        assert_eq!(Scale::Linear { min: 3.0, max: 3.0 }.byte(3.0), 0);
    }
}
