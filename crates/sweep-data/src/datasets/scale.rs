//! Determines, while they are read, what the numbers of an image array mean: fractions of white, or bytes.

use super::npy::Kind;

/// The meaning of an array's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// 0 is black and 1 is white.
    Unit,
    /// 0 is black and 255 is white.
    Byte,
}

/// Converts numbers to bytes in one pass. Floats are assumed to be 0 to 1 until one is larger.
pub(super) struct Meaning {
    pub scale: Scale,
    /// Whether `scale` may still change, because no value so far was larger than 1.
    open: bool,
    /// Whether all values so far were integers.
    whole: bool,
}

impl Meaning {
    pub fn new(kind: Kind, settled: Option<Scale>) -> Meaning {
        match (kind, settled) {
            (Kind::Boolean, _) => Meaning { scale: Scale::Unit, open: false, whole: true },
            (Kind::Float, Some(scale)) => Meaning { scale, open: false, whole: true },
            (Kind::Float, None) => Meaning { scale: Scale::Unit, open: true, whole: true },
            (Kind::Unsigned | Kind::Signed, _) => Meaning { scale: Scale::Byte, open: false, whole: true },
        }
    }

    /// Returns the byte of the next value, or `None` if it has none. If the value determines the scale, `before` is
    /// corrected.
    pub fn byte(&mut self, value: f64, before: &mut [u8]) -> Option<u8> {
        let whole = f64::from(value as u8) == value;
        match self.scale {
            Scale::Unit if (0.0..=1.0).contains(&value) => {
                self.whole &= whole;
                Some((value * 255.0 + 0.5) as u8)
            }
            Scale::Unit if self.open && self.whole && whole => {
                // So far there were only 0 and 1, which were written as 0 and 255.
                before.iter_mut().for_each(|byte| *byte /= 255);
                (self.scale, self.open) = (Scale::Byte, false);
                Some(value as u8)
            }
            Scale::Byte if whole => Some(value as u8),
            _ => None,
        }
    }

    pub fn complaint(&self, value: f64, index: usize) -> String {
        let rule = match (self.scale, self.open) {
            (_, true) => "pixels must be floats from 0 to 1 or integers from 0 to 255",
            (Scale::Unit, false) => "all previous pixels are from 0 to 1",
            (Scale::Byte, false) => "all pixels must be integers from 0 to 255",
        };
        format!("value {index}, counted from 0 in file order, is {value}, but {rule}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the bytes of these floats and their scale, or `None` if a value has no byte.
    fn bytes(values: &[f64], settled: Option<Scale>) -> Option<(Vec<u8>, Scale)> {
        let mut meaning = Meaning::new(Kind::Float, settled);
        let mut bytes = Vec::new();
        for value in values {
            let byte = meaning.byte(*value, &mut bytes)?;
            bytes.push(byte);
        }
        Some((bytes, meaning.scale))
    }

    proptest! {
        #[test]
        fn bytes_written_as_floats_come_back(pixels in prop::collection::vec(any::<u8>(), 1..50), unit: bool) {
            let scale = if unit { Scale::Unit } else { Scale::Byte };
            let white = if unit { 255.0 } else { 1.0 };
            let floats: Vec<f64> = pixels.iter().map(|pixel| f64::from(*pixel) / white).collect();
            prop_assert_eq!(bytes(&floats, Some(scale)), Some((pixels.clone(), scale)));
            if pixels.iter().any(|pixel| !unit && *pixel > 1) {
                prop_assert_eq!(bytes(&floats, None), Some((pixels, scale)));
            }
        }
    }

    #[test]
    fn a_settled_scale_is_kept_to() {
        assert_eq!(bytes(&[0.0, 1.0], Some(Scale::Byte)), Some((vec![0, 1], Scale::Byte)));
        assert_eq!(bytes(&[0.5], Some(Scale::Byte)), None);
        assert_eq!(bytes(&[0.0, 2.0], Some(Scale::Unit)), None);
    }
}
