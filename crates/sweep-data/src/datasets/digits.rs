//! `digits`: 1,797 gray images of 8x8 with values 0 to 16, embedded in the binary.
//!
//! The images are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, UCI
//! Machine Learning Repository, doi 10.24432/C50P49, license CC BY 4.0). The file is the one that scikit-learn 1.9.1
//! distributes (`sklearn/datasets/data/digits.csv.gz`, unchanged; BSD-3-Clause). UCI's training part was written by
//! other people and is not included. Here all images are training images, and there are no test images.

use std::io::Read;

use flate2::read::GzDecoder;

use super::{Dataset, Images, Info, fault};
use crate::network::Shape;
use sweep_core::error::Error;

/// One line per image: 64 values, row by row, then the label.
static CSV_GZ: &[u8] = include_bytes!("digits.csv.gz");

const SIDE: u32 = 8;
/// The largest value of a pixel.
const WHITE: u8 = 16;

/// Loads the whole dataset.
///
/// # Errors
/// Returns an error only if the binary is damaged.
pub(super) fn load() -> Result<Dataset, Error> {
    let images = read(CSV_GZ)
        .ok_or_else(|| fault("digits", "the built-in images are damaged", "reinstall sweep: its file was modified"))?;
    let info = Info {
        shape: Shape { channels: 1, height: SIDE, width: SIDE },
        classes: (0..10).map(|digit| digit.to_string()).collect(),
        train: images.labels.len() as u64,
        validation: 0,
        test: 0,
        notes: Vec::new(),
    };
    let none = Images::default;
    Ok(Dataset { info, train: images, validation: none(), test: none(), white: WHITE.into() })
}

fn read(gz: &[u8]) -> Option<Images> {
    let mut text = String::new();
    GzDecoder::new(gz).read_to_string(&mut text).ok()?;
    let mut images = Images::default();
    for line in text.lines() {
        let values: Vec<u8> = line.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
        let (label, pixels) = values.split_last()?;
        let whole = pixels.len() == (SIDE * SIDE) as usize && pixels.iter().all(|pixel| *pixel <= WHITE) && *label < 10;
        if !whole {
            return None;
        }
        images.pixels.extend(pixels);
        images.labels.push(*label);
    }
    Some(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_those_of_scikit_learn() {
        let digits = load().unwrap();
        assert_eq!(digits.info.train, 1797);
        assert_eq!(digits.train.pixels.len(), 1797 * 64);
        assert_eq!(digits.train.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
        assert_eq!(digits.train.pixels[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
        // The values are from scikit-learn: load_digits().data.sum() and np.bincount(load_digits().target).
        assert_eq!(digits.train.pixels.iter().map(|pixel| u64::from(*pixel)).sum::<u64>(), 561_718);
        let counts: Vec<usize> =
            (0..10).map(|digit| digits.train.labels.iter().filter(|label| **label == digit).count()).collect();
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn damaged_digits_are_refused() {
        assert_eq!(read(&CSV_GZ[..CSV_GZ.len() / 2]), None);
    }
}
