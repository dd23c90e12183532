//! Flips and shifts: each image is read through its own window, in one gather operation.

use tch::{Kind, TchError, Tensor};

use sweep_core::recipe::Border;

use super::Chance;

/// Returns the window's shift down and right in pixels, from 0 to twice the largest shift, and whether the image is
/// flipped. All shifts are equally likely.
pub(super) fn place(chance: &Chance, flip: bool, crop: u32) -> [i64; 3] {
    let crop = i64::from(crop);
    let pixels = |share: f64| (((share + 1.0) / 2.0 * (2 * crop + 1) as f64) as i64).min(2 * crop);
    [pixels(chance.shift.0), pixels(chance.shift.1), (flip && chance.flip).into()]
}

/// Flips each image and shifts it by up to `crop` pixels in both directions. This equals adding a border of that width
/// and cropping a window of the original size. `places` is `i64 [b, 3]`, on the device: see [`place`].
pub(super) fn shifted(xs: &Tensor, places: &Tensor, crop: u32, border: Border) -> Result<Tensor, TchError> {
    let (many, _, height, width) = xs.size4()?;
    let crop = i64::from(crop);
    let numbers = |length: i64| Tensor::f_arange(length, (Kind::Int64, xs.device()));
    let column = |at: i64| places.f_narrow(1, at, 1);
    let rows = column(0)?.f_add(&numbers(height)?)?;
    let columns = column(1)?.f_add(&numbers(width)?)?;
    // A flipped image is read from the right: c becomes 2 * crop + width - 1 - c.
    let sign = column(2)?.f_mul_scalar(-2)?.f_add_scalar(1)?;
    let columns = columns.f_mul(&sign)?.f_add(&column(2)?.f_mul_scalar(2 * crop + width - 1)?)?;
    let (framed, rows, columns) = match border {
        Border::Black => (xs.f_constant_pad_nd([crop, crop, crop, crop])?, rows, columns),
        Border::Reflect => (xs.shallow_clone(), reflected(&rows, crop, height)?, reflected(&columns, crop, width)?),
    };
    let index = [
        Some(numbers(many)?.f_view([many, 1, 1])?),
        Some(rows.f_view([many, height, 1])?),
        Some(columns.f_view([many, 1, width])?),
    ];
    // The channels of a pixel are adjacent in memory, so the gather moves whole pixels.
    framed.f_permute([0, 2, 3, 1])?.f_index(&index)?.f_permute([0, 3, 1, 2])
}

/// Converts positions in an image with a border to positions in the image, which its edges reflect.
fn reflected(framed: &Tensor, crop: i64, length: i64) -> Result<Tensor, TchError> {
    let last = length - 1;
    let inside = framed.f_sub_scalar(crop)?.f_abs()?;
    // Where an image is smaller than the border, its edge is repeated.
    inside.f_sub_scalar(last)?.f_abs()?.f_neg()?.f_add_scalar(last)?.f_clamp_min(0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STILL, images};
    use super::*;

    fn moved(xs: &Tensor, chances: &[Chance], flip: bool, crop: u32) -> Tensor {
        let places: Vec<i64> = chances.iter().flat_map(|chance| place(chance, flip, crop)).collect();
        shifted(xs, &Tensor::from_slice(&places).view([-1, 3]), crop, Border::Black).unwrap()
    }

    #[test]
    fn a_border_reflects_the_image_and_repeats_its_edge_where_it_is_too_small() {
        let (xs, crop) = (images(4), 3);
        let padded = xs.reflection_pad2d([crop, crop, crop, crop]);
        let places: Vec<i64> = [[0, 0, 0], [6, 5, 0], [2, 1, 1], [3, 6, 1]].concat();
        let ys = shifted(&xs, &Tensor::from_slice(&places).view([-1, 3]), crop as u32, Border::Reflect).unwrap();
        for (image, place) in places.chunks(3).enumerate() {
            let window = padded.get(image as i64).slice(1, place[0], place[0] + 5, 1);
            let window = window.slice(2, place[1], place[1] + 4, 1);
            // A flipped image is mirrored before it is shifted the other way.
            let window = if place[2] == 1 {
                let flipped = padded.get(image as i64).flip([2]).slice(1, place[0], place[0] + 5, 1);
                flipped.slice(2, place[1], place[1] + 4, 1)
            } else {
                window
            };
            assert!(ys.get(image as i64).equal(&window), "{place:?}");
        }
        let far = shifted(&xs.slice(0, 0, 1, 1), &Tensor::from_slice(&[0_i64, 0, 0]).view([1, 3]), 9, Border::Reflect);
        assert!(far.unwrap().isfinite().all().int64_value(&[]) == 1);
    }

    #[test]
    fn images_are_mirrored_and_shifted_each_as_chance_says() {
        let xs = images(3);
        let chances = [STILL, Chance { flip: true, ..STILL }, Chance { shift: (1.0, -1.0), ..STILL }];
        let ys = moved(&xs, &chances, true, 2);
        assert!(ys.get(0).equal(&xs.get(0)));
        assert!(ys.get(1).equal(&xs.get(1).flip([2])));
        // The window moves down and left, so the image moves up and right.
        let (from, to) = (xs.get(2).slice(1, 2, 5, 1).slice(2, 0, 2, 1), ys.get(2));
        assert!(to.slice(1, 0, 3, 1).slice(2, 2, 4, 1).equal(&from));
        assert_eq!(to.slice(1, 3, 5, 1).count_nonzero(None).int64_value(&[]), 0);
        assert_eq!(to.slice(2, 0, 2, 1).count_nonzero(None).int64_value(&[]), 0);
    }

    #[test]
    fn no_image_is_mirrored_where_only_shifting_is_asked_for() {
        let xs = images(1);
        assert!(moved(&xs, &[Chance { flip: true, ..STILL }], false, 3).equal(&xs));
    }
}
