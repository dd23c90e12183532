//! Random erasing (arXiv 1708.04896).

use tch::{Kind, TchError, Tensor};

use super::More;

/// Smallest and largest share of the image that is erased, and the longest side in relation to the other, as published.
const AREA: [f64; 2] = [0.02, 0.33];
const LONGEST: f64 = 3.3;

/// Returns the first row, the row after the last, and the same for the columns. The rectangle is empty if the image
/// stays unchanged, which happens with a probability of 1 - `share`.
pub(super) fn rectangle(more: &More, share: f64, [height, width]: [i64; 2]) -> [i64; 4] {
    if more.erased >= share {
        return [0; 4];
    }
    let area = (AREA[0] + more.area * (AREA[1] - AREA[0])) * (height * width) as f64;
    let aspect = LONGEST.powf(more.aspect);
    let side = |length: f64, most: i64| (length.round() as i64).clamp(1, most);
    let (rows, columns) = (side((area * aspect).sqrt(), height), side((area / aspect).sqrt(), width));
    let first = |share: f64, free: i64| ((share * (free + 1) as f64) as i64).min(free);
    let (row, column) = (first(more.place.0, height - rows), first(more.place.1, width - columns));
    [row, row + rows, column, column + columns]
}

/// Returns which pixels lie in the rectangle of their image, `bool [b, 1, h, w]`. `rectangles` is `i64 [b, 4]`, on the
/// device: see [`rectangle`].
pub(super) fn inside(rectangles: &Tensor, height: i64, width: i64) -> Result<Tensor, TchError> {
    let within = |axis: i64, length: i64, shape: [i64; 4]| {
        let end = |at: i64| rectangles.f_narrow(1, at, 1)?.f_view([-1, 1, 1, 1]);
        let places = Tensor::f_arange(length, (Kind::Int64, rectangles.device()))?.f_view(shape)?;
        places.f_ge_tensor(&end(axis)?)?.f_logical_and(&places.f_lt_tensor(&end(axis + 1)?)?)
    };
    within(0, height, [1, 1, height, 1])?.f_logical_and(&within(2, width, [1, 1, 1, width])?)
}

/// Blacks out the rectangle of each image.
pub(super) fn erased(xs: &Tensor, rectangles: &Tensor) -> Result<Tensor, TchError> {
    let (_, _, height, width) = xs.size4()?;
    // This multiplies by the mask because filling through it would change the memory layout of the images.
    xs.f_mul(&inside(rectangles, height, width)?.f_logical_not()?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CALM, images};
    use super::*;

    #[test]
    fn a_share_of_the_images_loses_a_rectangle() {
        let spared = rectangle(&More { erased: 0.5, ..CALM }, 0.5, [5, 4]);
        assert_eq!(spared, [0; 4]);
        // The largest area of 6.6 pixels, twice as high as wide, in the last corner.
        let drawn = More { erased: 0.0, area: 1.0, aspect: 2.0_f64.ln() / LONGEST.ln(), place: (0.999, 0.999), ..CALM };
        assert_eq!(rectangle(&drawn, 0.5, [5, 4]), [1, 5, 2, 4]);
        let ys = erased(&images(2), &Tensor::from_slice(&[0_i64, 0, 0, 0, 1, 5, 2, 4]).view([2, 4])).unwrap();
        assert!(ys.get(0).equal(&images(2).get(0)));
        let black = ys.get(1).eq(0.0).sum(Kind::Int64).int64_value(&[]);
        assert_eq!(black, 2 * 4 * 2);
        assert_eq!(ys.double_value(&[1, 0, 4, 3]), 0.0);
    }

    #[test]
    fn every_rectangle_lies_in_its_image() {
        for step in 0..1000 {
            let share = |by: u32| f64::from(step * by % 1000) / 1000.0;
            let (area, aspect, place) = (share(7), 2.0 * share(11) - 1.0, (share(13), share(17)));
            let drawn = More { erased: 0.0, area, aspect, place, ..CALM };
            let [top, bottom, left, right] = rectangle(&drawn, 1.0, [3, 9]);
            assert!(0 <= top && top < bottom && bottom <= 3 && 0 <= left && left < right && right <= 9);
        }
    }
}
