//! Rotation, scaling and the changes of RandAugment, in one resampling step.

use tch::{TchError, Tensor};

use super::Chance;

/// libtorch's codes for the modes of `grid_sampler`.
const BILINEAR: i64 = 0;
const BLACK_OUTSIDE: i64 = 0;

/// The source of each pixel of the result, as the two rows of an affine map. Coordinates run from -1 to 1 along both
/// sides.
pub(super) type Way = [f64; 6];

/// Returns the inverse of a rotation by up to `angle` radians, positive being clockwise, and of an enlargement by up to
/// the fraction `growth`. `aspect` is height over width.
pub(super) fn way(chance: &Chance, angle: f64, growth: f64, aspect: f64) -> Way {
    let scale = 1.0 + growth * chance.growth;
    rotation(angle * chance.turn, aspect).map(|part| part / scale)
}

/// Returns the inverse of a rotation by this angle.
pub(super) fn rotation(angle: f64, aspect: f64) -> Way {
    let (sine, cosine) = angle.sin_cos();
    [cosine, sine * aspect, 0.0, -sine / aspect, cosine, 0.0]
}

/// Returns the map that applies `first` and then `second`.
pub(super) fn then([a, b, c, d, e, f]: Way, second: Way) -> Way {
    let [p, q, r, s, t, u] = second;
    [p * a + q * d, p * b + q * e, p * c + q * f + r, s * a + t * d, s * b + t * e, s * c + t * f + u]
}

/// Moves the pixels of each image, with bilinear interpolation. `ways` is `f32 [b, 6]`, on the device: see [`Way`].
pub(super) fn turned(xs: &Tensor, ways: &Tensor) -> Result<Tensor, TchError> {
    let grid = Tensor::f_affine_grid_generator(&ways.f_view([-1, 2, 3])?, xs.size(), false)?;
    let ys = xs.f_grid_sampler(&grid, BILINEAR, BLACK_OUTSIDE, false)?;
    ys.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STILL, images};
    use super::*;
    use std::f64::consts::PI;

    fn moved(xs: &Tensor, chances: &[Chance], angle: f64, growth: f64) -> Tensor {
        let aspect = xs.size()[2] as f64 / xs.size()[3] as f64;
        let ways = chances.iter().flat_map(|chance| way(chance, angle, growth, aspect));
        let ways: Vec<f32> = ways.map(|part| part as f32).collect();
        turned(xs, &Tensor::from_slice(&ways).view([-1, 6])).unwrap()
    }

    fn near(left: &Tensor, right: &Tensor) -> bool {
        left.allclose(right, 1e-5, 1e-5, false)
    }

    #[test]
    fn nothing_moves_by_no_angle_and_half_a_turn_is_both_mirrors() {
        let xs = images(2);
        let ys = moved(&xs, &[STILL, Chance { turn: 1.0, ..STILL }], PI, 0.0);
        assert!(near(&ys.get(0), &xs.get(0)));
        assert!(near(&ys.get(1), &xs.get(1).flip([1, 2])));
    }

    #[test]
    fn a_quarter_turn_is_clockwise_and_does_not_stretch() {
        // The central 4 x 4 of 5 rows and 4 columns would be off by half a pixel. A square image rotates exactly.
        let square = images(1).slice(2, 0, 4, 1);
        let ys = moved(&square, &[Chance { turn: 1.0, ..STILL }], PI / 2.0, 0.0);
        assert!(near(&ys.get(0), &square.get(0).rot90(-1, [1, 2])));
        let bar = Tensor::zeros([1, 1, 3, 5], (tch::Kind::Float, tch::Device::Cpu));
        let _ = bar.narrow(3, 2, 1).fill_(1.0);
        let ys = moved(&bar, &[Chance { turn: 1.0, ..STILL }], PI / 2.0, 0.0);
        // A vertical bar of three pixels becomes a horizontal one of three pixels, not of five.
        let lying: Vec<f32> = Vec::try_from(ys.view([3, 5]).get(1)).unwrap();
        assert!(
            lying.iter().zip([0.0, 1.0, 1.0, 1.0, 0.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5),
            "{lying:?}"
        );
    }

    #[test]
    fn enlarging_to_the_double_shows_the_middle_half() {
        let bar = Tensor::zeros([1, 1, 8, 8], (tch::Kind::Float, tch::Device::Cpu));
        let _ = bar.narrow(3, 3, 2).fill_(1.0);
        let ys = moved(&bar, &[Chance { growth: 1.0, ..STILL }], 0.0, 1.0);
        let row: Vec<f32> = Vec::try_from(ys.view([8, 8]).get(4)).unwrap();
        // Two pixels become four pixels wide around the center, with soft edges.
        let sum: f32 = row.iter().sum();
        assert!((sum - 4.0).abs() < 1e-4 && row[3] > 0.99 && row[4] > 0.99, "{row:?}");
    }
}
