//! Cutout (arXiv 1708.04552).

use tch::{Kind, TchError, Tensor};

use super::Chance;

/// Returns the first row and column of the square. Both may be outside the image `[height, width]`.
pub(super) fn corner(chance: &Chance, side: u32, [height, width]: [i64; 2]) -> [i64; 2] {
    let first = |middle: f64, length: i64| (middle * length as f64) as i64 - i64::from(side) / 2;
    [first(chance.cutout.0, height), first(chance.cutout.1, width)]
}

/// Blacks out a square with this side around one pixel of each image. The part of a square outside the image is
/// dropped. `corners` is `i64 [b, 2]`, on the device: see [`corner`].
pub(super) fn cut(xs: &Tensor, corners: &Tensor, side: u32) -> Result<Tensor, TchError> {
    let (_, _, height, width) = xs.size4()?;
    let within = |axis: i64, length: i64, shape: [i64; 4]| {
        let first = corners.f_narrow(1, axis, 1)?.f_view([-1, 1, 1, 1])?;
        let places = Tensor::f_arange(length, (Kind::Int64, xs.device()))?.f_view(shape)?;
        places.f_ge_tensor(&first)?.f_logical_and(&places.f_lt_tensor(&first.f_add_scalar(i64::from(side))?)?)
    };
    let rows = within(0, height, [1, 1, height, 1])?;
    let columns = within(1, width, [1, 1, 1, width])?;
    // This multiplies by the mask because filling through it would change the memory layout of the images.
    xs.f_mul(&rows.f_logical_and(&columns)?.f_logical_not()?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STILL, images};
    use super::*;

    #[test]
    fn a_square_is_blackened_and_cut_at_the_border() {
        let xs = images(2);
        let chances = [STILL, Chance { cutout: (0.0, 0.99), ..STILL }];
        let corners: Vec<i64> = chances.iter().flat_map(|chance| corner(chance, 2, [5, 4])).collect();
        let ys = cut(&xs, &Tensor::from_slice(&corners).view([-1, 2]), 2).unwrap();
        let black = |image: i64, channel: i64| -> Vec<(i64, i64)> {
            let places = (0..5).flat_map(|row| (0..4).map(move |column| (row, column)));
            places.filter(|&(row, column)| ys.double_value(&[image, channel, row, column]) == 0.0).collect()
        };
        for channel in 0..2 {
            assert_eq!(black(0, channel), [(1, 1), (1, 2), (2, 1), (2, 2)]);
            assert_eq!(black(1, channel), [(0, 2), (0, 3)]);
        }
        assert_eq!(ys.ne_tensor(&xs).sum(Kind::Int64).int64_value(&[]), 2 * (4 + 2));
    }
}
