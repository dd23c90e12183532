//! Means and standard deviations of images, per channel.

use super::Images;
use crate::network::Shape;
use sweep_core::recipe::Normalize;

/// What is subtracted from the values of each channel, and what the result is divided by.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    /// The means, of values from 0 to 1.
    pub means: Vec<f64>,
    /// The standard deviations, of values from 0 to 1. None is 0.
    pub deviations: Vec<f64>,
}

impl Normalization {
    /// Returns the normalization that `wanted` describes, if any. `sums` returns the sum and the sum of squares of all
    /// training values per channel, as bytes, and their count. `white` is the byte that means 1.0.
    ///
    /// # Errors
    /// Returns the error of `sums`.
    pub fn of<E>(
        wanted: &Normalize,
        white: f64,
        sums: impl FnOnce() -> Result<(Vec<[f64; 2]>, f64), E>,
    ) -> Result<Option<Normalization>, E> {
        Ok(match wanted {
            Normalize::None => None,
            Normalize::Given { means, deviations } => {
                Some(Normalization { means: means.clone(), deviations: deviations.clone() })
            }
            Normalize::Dataset => {
                let (sums, count) = sums()?;
                let mean = |[sum, _]: &[f64; 2]| sum / count / white;
                // Sums of bytes are exact, so the difference is as well, up to one rounding.
                let deviation = |[sum, squares]: &[f64; 2]| {
                    let variance = (squares / count - (sum / count).powi(2)).max(0.0);
                    // A channel with only one value stays as it is.
                    if variance > 0.0 { variance.sqrt() / white } else { 1.0 }
                };
                Some(Normalization {
                    means: sums.iter().map(mean).collect(),
                    deviations: sums.iter().map(deviation).collect(),
                })
            }
        })
    }

    /// Returns the normalization of these rows of images in memory.
    pub fn of_rows(
        wanted: &Normalize,
        images: &Images,
        rows: &[u32],
        shape: Shape,
        white: f32,
    ) -> Option<Normalization> {
        let (channels, plane) = (shape.channels as usize, shape.height as usize * shape.width as usize);
        let sums = || {
            let mut sums = vec![[0_u64; 2]; channels];
            for row in rows {
                let image = &images.pixels[*row as usize * channels * plane..][..channels * plane];
                for ([sum, squares], values) in sums.iter_mut().zip(image.chunks_exact(plane)) {
                    *sum += values.iter().map(|value| u64::from(*value)).sum::<u64>();
                    *squares += values.iter().map(|value| u64::from(*value).pow(2)).sum::<u64>();
                }
            }
            let sums = sums.into_iter().map(|pair| pair.map(|sum| sum as f64)).collect();
            Ok::<_, std::convert::Infallible>((sums, (rows.len() * plane) as f64))
        };
        Normalization::of(wanted, white.into(), sums).unwrap_or_else(|never| match never {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_deviations_are_those_of_the_rows_alone() {
        let shape = Shape { channels: 2, height: 1, width: 2 };
        let pixels = vec![0, 10, 5, 5, 99, 99, 99, 99, 20, 30, 5, 5];
        let images = Images { pixels, labels: vec![0; 3] };
        let of = |wanted: &Normalize| Normalization::of_rows(wanted, &images, &[0, 2], shape, 10.0);
        let found = of(&Normalize::Dataset).unwrap();
        assert_eq!(found.means, [1.5, 0.5]);
        assert!((found.deviations[0] - 1.25_f64.sqrt()).abs() < 1e-12 && found.deviations[1] == 1.0);
        assert_eq!(of(&Normalize::None), None);
        let given = Normalize::Given { means: vec![0.5], deviations: vec![0.25] };
        assert_eq!(of(&given), Some(Normalization { means: vec![0.5], deviations: vec![0.25] }));
    }
}
