//! The changes of RandAugment (arXiv 1909.13719) that move pixels.

use rand::{Rng, RngExt};

use super::turn::{Way, rotation, then};

/// Number of changes to an image, as in torchvision.
const CHANGES: usize = 2;
/// The strongest rotation, in degrees.
const ANGLE: f64 = 30.0;
/// The strongest shear: pixels of shift per pixel of distance from the center.
const SHEAR: f64 = 0.3;
/// The strongest shift, as a share of the side. AutoAugment used 150 pixels of 331.
const SHIFT: f64 = 150.0 / 331.0;

/// One change.
#[derive(Debug, Clone, Copy)]
enum Change {
    Nothing,
    Rotate,
    ShearX,
    ShearY,
    ShiftX,
    ShiftY,
}

use Change::{Nothing, Rotate, ShearX, ShearY, ShiftX, ShiftY};

/// Each has the same chance.
const ALL: [Change; 6] = [Nothing, Rotate, ShearX, ShearY, ShiftX, ShiftY];

/// Draws the changes of one image, each in either direction. `strength` is a share of the strongest change, and
/// `aspect` is height over width.
pub(super) fn way(random: &mut impl Rng, strength: f64, aspect: f64) -> Way {
    (0..CHANGES).fold(of(Nothing, 0.0, aspect), |way, _| {
        let change = ALL[random.random_range(0..ALL.len())];
        let sign = if random.random() { 1.0 } else { -1.0 };
        then(way, of(change, sign * strength, aspect))
    })
}

fn of(change: Change, strength: f64, aspect: f64) -> Way {
    // An image is two units wide and high.
    let shift = 2.0 * SHIFT * strength;
    match change {
        Nothing => [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        Rotate => rotation(ANGLE.to_radians() * strength, aspect),
        ShearX => [1.0, SHEAR * strength * aspect, 0.0, 0.0, 1.0, 0.0],
        ShearY => [1.0, 0.0, 0.0, SHEAR * strength / aspect, 1.0, 0.0],
        ShiftX => [1.0, 0.0, shift, 0.0, 1.0, 0.0],
        ShiftY => [1.0, 0.0, 0.0, 0.0, 1.0, shift],
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::turned;
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use tch::{Device, Kind, Tensor};

    /// Returns where the center of a bright square moves in a 40 x 80 image, in pixels right and down, with the square
    /// this far right of and below the image's center.
    fn moved(way: Way, right: i64, down: i64) -> (f64, f64) {
        let (height, width) = (40, 80);
        let xs = Tensor::zeros([1, 1, height, width], (Kind::Float, Device::Cpu));
        let _ = xs.narrow(2, height / 2 - 2 + down, 4).narrow(3, width / 2 - 2 + right, 4).fill_(1.0);
        let way: Vec<f32> = way.iter().map(|part| *part as f32).collect();
        let ys = turned(&xs, &Tensor::from_slice(&way).view([1, 6])).unwrap();
        let sum = ys.sum(Kind::Double).double_value(&[]);
        let along = |axis: i64, length: i64| {
            let places = Tensor::arange(length, (Kind::Double, Device::Cpu)) + 0.5 - length as f64 / 2.0;
            let weights = ys.view([height, width]).sum_dim_intlist([1 - axis].as_slice(), false, Kind::Double);
            (weights * places).sum(Kind::Double).double_value(&[]) / sum
        };
        (along(1, width) - right as f64, along(0, height) - down as f64)
    }

    fn near(found: (f64, f64), expected: (f64, f64)) {
        let apart = (found.0 - expected.0).hypot(found.1 - expected.1);
        assert!(apart < 0.1, "{found:?}, but expected {expected:?}");
    }

    #[test]
    fn each_change_moves_pixels_as_far_as_its_strength_says() {
        let of = |change, strength| super::of(change, strength, 0.5);
        near(moved(of(Nothing, 1.0), 10, 5), (0.0, 0.0));
        // The source of a pixel is to the right, so the image moves to the left.
        near(moved(of(ShiftX, 0.5), 10, 5), (-0.5 * SHIFT * 80.0, 0.0));
        near(moved(of(ShiftY, -0.25), 10, 5), (0.0, 0.25 * SHIFT * 40.0));
        near(moved(of(ShearX, 1.0), 10, 10), (-SHEAR * 10.0, 0.0));
        near(moved(of(ShearY, -1.0), 20, 0), (0.0, SHEAR * 20.0));
        let (sine, cosine) = (30.0_f64).to_radians().sin_cos();
        near(moved(of(Rotate, 1.0), 10, 0), (10.0 * cosine - 10.0, 10.0 * sine));
    }

    #[test]
    fn two_changes_are_drawn_of_six_in_both_directions() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let ways: Vec<Way> = (0..3600).map(|_| way(&mut random, 0.5, 0.5)).collect();
        let count = |is: &dyn Fn(&Way) -> bool| ways.iter().filter(|way| is(way)).count();
        // Two of 36 pairs: nothing twice, or a change and its opposite.
        let still = of(Nothing, 0.0, 0.5);
        let unchanged = count(&|way| way.iter().zip(still).all(|(one, other)| (one - other).abs() < 1e-9));
        assert!((270..430).contains(&unchanged), "{unchanged}");
        // A pair with a shift to the left and none back.
        let (left, right) = (count(&|way| way[2] > 1e-9), count(&|way| way[2] < -1e-9));
        assert!(left.abs_diff(right) < 150 && left > 450, "{left} {right}");
        assert!(ways.iter().any(|way| way[2].abs() > 1.5 * SHIFT), "no image was shifted twice");
    }
}
