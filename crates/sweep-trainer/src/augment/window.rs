//! Mirroring and shifting: each picture through a window of its own, in one gathering of pixels.

use tch::{TchError, Tensor};

use super::Chance;

/// Each picture mirrored, if `flip` and chance say so, then shifted by up to `crop` pixels both ways, with black where
/// nothing was: a border of that width put around it and a random window of its size cut out.
pub(super) fn shifted(xs: &Tensor, chances: &[Chance], flip: bool, crop: u32) -> Result<Tensor, TchError> {
    let (_, _, height, width) = xs.size4()?;
    let crop = i64::from(crop);
    // With as many pixels for each shift from -crop to crop.
    let pixels = |share: f64| (((share + 1.0) / 2.0 * (2 * crop + 1) as f64) as i64).min(2 * crop);
    let (mut rows, mut columns) = (Vec::new(), Vec::new());
    for chance in chances {
        let (top, left) = (pixels(chance.shift.0), pixels(chance.shift.1));
        rows.extend((0..height).map(|row| top + row));
        let mirror = flip && chance.flip;
        columns.extend(
            (0..width).map(|column| left + column).map(|at| if mirror { 2 * crop + width - 1 - at } else { at }),
        );
    }
    let many = chances.len() as i64;
    let index = |values: &[i64], size: [i64; 3]| Tensor::f_from_slice(values)?.f_view(size)?.f_to_device(xs.device());
    let numbers: Vec<i64> = (0..many).collect();
    let places = [
        Some(index(&numbers, [many, 1, 1])?),
        Some(index(&rows, [many, height, 1])?),
        Some(index(&columns, [many, 1, width])?),
    ];
    // Pixels lie whole in memory, their channels side by side: a gathering moves them as they are.
    let framed = xs.f_constant_pad_nd([crop, crop, crop, crop])?.f_permute([0, 2, 3, 1])?;
    framed.f_index(&places)?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{STILL, pictures};
    use super::*;

    #[test]
    fn pictures_are_mirrored_and_shifted_each_as_chance_says() {
        let xs = pictures(3);
        let chances = [STILL, Chance { flip: true, ..STILL }, Chance { shift: (1.0, -1.0), ..STILL }];
        let ys = shifted(&xs, &chances, true, 2).unwrap();
        assert!(ys.get(0).equal(&xs.get(0)));
        assert!(ys.get(1).equal(&xs.get(1).flip([2])));
        // The window moves down and left, so the picture goes up and right.
        let (from, to) = (xs.get(2).slice(1, 2, 5, 1).slice(2, 0, 2, 1), ys.get(2));
        assert!(to.slice(1, 0, 3, 1).slice(2, 2, 4, 1).equal(&from));
        assert_eq!(to.slice(1, 3, 5, 1).count_nonzero(None).int64_value(&[]), 0);
        assert_eq!(to.slice(2, 0, 2, 1).count_nonzero(None).int64_value(&[]), 0);
    }

    #[test]
    fn no_picture_is_mirrored_where_only_shifting_is_asked_for() {
        let xs = pictures(1);
        assert!(shifted(&xs, &[Chance { flip: true, ..STILL }], false, 3).unwrap().equal(&xs));
    }
}
