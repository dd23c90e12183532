//! Cutout (arXiv 1708.04552).

use tch::{Kind, TchError, Tensor};

use super::{Chance, column};

/// Each picture with a black square of that side about one of its pixels; what falls outside is lost.
pub(super) fn cut(xs: &Tensor, chances: &[Chance], side: u32) -> Result<Tensor, TchError> {
    let (_, _, height, width) = xs.size4()?;
    let side = i64::from(side);
    let within = |length: i64, shape: [i64; 4], middle: fn(&Chance) -> f64| {
        let first: Vec<i64> = chances.iter().map(|chance| (middle(chance) * length as f64) as i64 - side / 2).collect();
        let first = column(&first, xs)?;
        let places = Tensor::f_arange(length, (Kind::Int64, xs.device()))?.f_view(shape)?;
        places.f_ge_tensor(&first)?.f_logical_and(&places.f_lt_tensor(&first.f_add_scalar(side)?)?)
    };
    let rows = within(height, [1, 1, height, 1], |chance| chance.cutout.0)?;
    let columns = within(width, [1, 1, 1, width], |chance| chance.cutout.1)?;
    // Multiplied, since filling through a mask would lay the pictures out anew.
    xs.f_mul(&rows.f_logical_and(&columns)?.f_logical_not()?.f_to_kind(xs.f_kind()?)?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STILL, pictures};
    use super::*;

    #[test]
    fn a_square_is_blackened_and_cut_at_the_border() {
        let xs = pictures(2);
        let ys = cut(&xs, &[STILL, Chance { cutout: (0.0, 0.99), ..STILL }], 2).unwrap();
        let black = |picture: i64, channel: i64| -> Vec<(i64, i64)> {
            let places = (0..5).flat_map(|row| (0..4).map(move |column| (row, column)));
            places.filter(|&(row, column)| ys.double_value(&[picture, channel, row, column]) == 0.0).collect()
        };
        for channel in 0..2 {
            assert_eq!(black(0, channel), [(1, 1), (1, 2), (2, 1), (2, 2)]);
            assert_eq!(black(1, channel), [(0, 2), (0, 3)]);
        }
        assert_eq!(ys.ne_tensor(&xs).sum(Kind::Int64).int64_value(&[]), 2 * (4 + 2));
    }
}
