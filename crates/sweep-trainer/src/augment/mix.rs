//! Mixing of two images and their labels: mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899).

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};
use tch::{TchError, Tensor};

use super::erase::inside;
use sweep_core::recipe::Augment;

/// What an image takes from another one of its batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Partner {
    /// The other image, counted from 0 in the batch.
    pub index: i64,
    /// The rectangle that is mixed: see [`super::erase::rectangle`].
    pub rectangle: [i64; 4],
    /// The other image's weight in the rectangle.
    pub weight: f32,
    /// The other image's weight in the label.
    pub share: f32,
}

impl Partner {
    /// Draws a partner from a batch of this size. An image keeps at least half of itself and of its label. If both ways
    /// of mixing are on, each has the same chance.
    pub fn draw(random: &mut impl Rng, augment: &Augment, size: u64, [height, width]: [i64; 2]) -> Partner {
        let index = random.random_range(0..size) as i64;
        let cuts = augment.mixup == 0.0 || augment.cutmix > 0.0 && random.random::<bool>();
        let alpha = if cuts { augment.cutmix } else { augment.mixup };
        let drawn: f64 = Beta::new(alpha, alpha).map_or(0.0, |beta| beta.sample(random));
        // A tiny alpha has no finite sample.
        let share = drawn.min(1.0 - drawn).max(0.0);
        if !cuts {
            return Partner { index, rectangle: [0, height, 0, width], weight: share as f32, share: share as f32 };
        }
        let side = |length: i64| ((share.sqrt() * length as f64).round() as i64).min(length);
        let (rows, columns) = (side(height), side(width));
        let (row, column) = (random.random_range(0..=height - rows), random.random_range(0..=width - columns));
        // The label gets the share that the rounded rectangle has.
        let share = (rows * columns) as f32 / (height * width) as f32;
        Partner { index, rectangle: [row, row + rows, column, column + columns], weight: 1.0, share }
    }
}

/// The partners of some images, on the device.
#[derive(Debug)]
pub struct Mix {
    /// Indices within the batch, `i64 [b]`.
    pub partners: Tensor,
    /// `i64 [b, 4]`.
    rectangles: Tensor,
    /// Weight in the image and in the label, `f32 [b, 2]`.
    weights: Tensor,
}

impl Mix {
    /// Moves the partners to a device.
    pub(super) fn new(partners: &[Partner], device: tch::Device) -> Result<Mix, TchError> {
        let indices: Vec<i64> = partners.iter().map(|partner| partner.index).collect();
        let rectangles: Vec<i64> = partners.iter().flat_map(|partner| partner.rectangle).collect();
        let weights: Vec<f32> = partners.iter().flat_map(|partner| [partner.weight, partner.share]).collect();
        Ok(Mix {
            partners: Tensor::f_from_slice(&indices)?.f_to_device(device)?,
            rectangles: Tensor::f_from_slice(&rectangles)?.f_view([-1, 4])?.f_to_device(device)?,
            weights: Tensor::f_from_slice(&weights)?.f_view([-1, 2])?.f_to_device(device)?,
        })
    }

    /// Returns the same partners with `make` applied to every tensor.
    pub(super) fn map(&self, make: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<Mix, TchError> {
        let Mix { partners, rectangles, weights } = self;
        Ok(Mix { partners: make(partners)?, rectangles: make(rectangles)?, weights: make(weights)? })
    }

    /// Returns all tensors.
    pub(super) fn tensors(&self) -> [&Tensor; 3] {
        [&self.partners, &self.rectangles, &self.weights]
    }

    /// Returns the partner's weight in each label, `f32 [b]`.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn shares(&self) -> Result<Tensor, TchError> {
        self.weights.f_select(1, 1)
    }

    /// Mixes images `f32 [b, c, h, w]` with their partners.
    pub(super) fn mixed(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let (_, _, height, width) = xs.size4()?;
        let weight = self.weights.f_narrow(1, 0, 1)?.f_view([-1, 1, 1, 1])?;
        let mask = inside(&self.rectangles, height, width)?.f_to_kind(xs.kind())?.f_mul(&weight)?;
        let others = xs.f_index_select(0, &self.partners)?;
        let ys = xs.f_add(&others.f_sub(xs)?.f_mul(&mask)?)?;
        ys.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::images;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn drawn(augment: &Augment) -> Vec<Partner> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        (0..2000).map(|_| Partner::draw(&mut random, augment, 16, [5, 4])).collect()
    }

    #[test]
    fn an_image_keeps_at_least_half_of_itself_and_its_label_says_how_much() {
        let mixup = Augment { mixup: 0.4, ..Augment::default() };
        for Partner { index, rectangle, weight, share } in drawn(&mixup) {
            assert!((0..16).contains(&index) && rectangle == [0, 5, 0, 4]);
            assert!(weight == share && (0.0..=0.5).contains(&share));
        }
        for Partner { rectangle: [top, bottom, left, right], weight, share, .. } in
            drawn(&Augment { cutmix: 1.0, ..Augment::default() })
        {
            assert!(0 <= top && top <= bottom && bottom <= 5 && 0 <= left && left <= right && right <= 4);
            assert_eq!((weight, share), (1.0, ((bottom - top) * (right - left)) as f32 / 20.0));
        }
        let both = drawn(&Augment { cutmix: 1.0, ..mixup });
        let cut = both.iter().filter(|partner| partner.weight == 1.0).count();
        assert!((850..1150).contains(&cut), "{cut}");
    }

    #[test]
    fn the_rectangle_comes_from_the_partner() {
        let xs = images(2);
        let none = Partner { index: 0, rectangle: [0, 5, 0, 4], weight: 0.25, share: 0.25 };
        let half = Partner { index: 0, rectangle: [0, 5, 1, 3], weight: 1.0, share: 0.5 };
        let ys = Mix::new(&[none, half], tch::Device::Cpu).unwrap().mixed(&xs).unwrap();
        // An image that is its own partner stays.
        assert!(ys.get(0).allclose(&xs.get(0), 1e-6, 1e-6, false));
        let column = |image: &Tensor, at: i64| image.select(2, at);
        assert!(column(&ys.get(1), 0).equal(&column(&xs.get(1), 0)));
        assert!(column(&ys.get(1), 2).allclose(&column(&xs.get(0), 2), 1e-6, 1e-6, false));
    }
}
