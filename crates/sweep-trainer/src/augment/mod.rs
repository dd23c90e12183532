//! Random changes to a batch of training pictures, on the device. One file a kind of change.
//!
//! Each picture's numbers are drawn on the host, all of them whatever is switched on, so that switching one change on
//! does not draw another anew. They are a function of (seed, trial, epoch, step): a resumed epoch changes its pictures
//! as the uninterrupted one would have.

mod cutout;
mod turn;
mod window;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use tch::{TchError, Tensor};

use super::draws::Draws;
use sweep_core::recipe::Augment;

/// What chance decided for one picture; each number is even over its range.
#[derive(Debug, Clone, Copy)]
struct Chance {
    flip: bool,
    /// Both -1 to 1: down and right.
    shift: (f64, f64),
    /// -1 to 1.
    turn: f64,
    /// -1 to 1.
    growth: f64,
    /// Both 0 to 1: the middle of the cutout.
    cutout: (f64, f64),
}

impl Chance {
    fn draw(random: &mut impl Rng) -> Chance {
        let flip = random.random();
        let mut even = || random.random::<f64>();
        let mut signed = || 2.0 * even() - 1.0;
        let (shift, turn, growth) = ((signed(), signed()), signed(), signed());
        Chance { flip, shift, turn, growth, cutout: (even(), even()) }
    }
}

/// Pictures `f32 [b, c, h, w]`, channels-last, from 0 to 1, after the changes; still channels-last.
///
/// # Errors
/// libtorch's, where the device has no room.
pub fn augmented(mut xs: Tensor, augment: &Augment, draws: Draws) -> Result<Tensor, TchError> {
    let Augment { flip, crop, rotate, scale, noise, cutout } = *augment;
    if *augment == Augment::default() {
        return Ok(xs);
    }
    let mut random = draws.augment();
    let chances: Vec<Chance> = (0..xs.size()[0]).map(|_| Chance::draw(&mut random)).collect();
    if flip || crop > 0 {
        xs = window::shifted(&xs, &chances, flip, crop)?;
    }
    if rotate > 0.0 || scale > 0.0 {
        xs = turn::turned(&xs, &chances, rotate.to_radians(), scale)?;
    }
    if noise > 0.0 {
        xs = xs.f_add(&normal(&xs, &mut random)?.f_mul_scalar_(noise)?)?;
    }
    if cutout > 0 {
        xs = cutout::cut(&xs, &chances, cutout)?;
    }
    Ok(xs)
}

/// Standard normal numbers, in the shape and layout of `like`. A GPU draws them itself: its generator was seeded for
/// the step.
fn normal(like: &Tensor, random: &mut impl Rng) -> Result<Tensor, TchError> {
    if like.device().is_cuda() {
        return like.f_randn_like();
    }
    let (n, c, h, w) = like.size4()?;
    let values: Vec<f32> = (0..like.numel()).map(|_| StandardNormal.sample(random)).collect();
    Tensor::f_from_slice(&values)?.f_view([n, h, w, c])?.f_permute([0, 3, 1, 2])
}

/// One number a picture, `[b, 1, 1, 1]`, where `like` is.
fn column<T: tch::kind::Element>(values: &[T], like: &Tensor) -> Result<Tensor, TchError> {
    Tensor::f_from_slice(values)?.f_view([-1, 1, 1, 1])?.f_to_device(like.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    /// Two channels, 5 rows, 4 columns; every value differs. Channels-last in memory, like a batch of pictures.
    pub(super) fn pictures(count: i64) -> Tensor {
        let values = Tensor::arange(count * 5 * 4 * 2, (Kind::Float, Device::Cpu)) + 1.0;
        (values / (count * 40) as f64).view([count, 5, 4, 2]).permute([0, 3, 1, 2])
    }

    pub(super) const STILL: Chance =
        Chance { flip: false, shift: (0.0, 0.0), turn: 0.0, growth: 0.0, cutout: (0.5, 0.5) };

    fn is_channels_last(xs: &Tensor) -> bool {
        xs.permute([0, 2, 3, 1]).is_contiguous()
    }

    const ALL: Augment = Augment { flip: true, crop: 2, rotate: 20.0, scale: 0.2, noise: 0.1, cutout: 2 };

    #[test]
    fn changes_depend_on_the_step_alone_and_keep_shape_and_layout() {
        let draw = |epoch, step, augment: &Augment| {
            augmented(pictures(6), augment, Draws::new(7, 1, epoch, step, Device::Cpu)).unwrap()
        };
        for change in [
            Augment { flip: true, ..Augment::default() },
            Augment { crop: 2, ..Augment::default() },
            Augment { rotate: 20.0, ..Augment::default() },
            Augment { noise: 0.1, ..Augment::default() },
            Augment { cutout: 2, ..Augment::default() },
        ] {
            let changed = draw(1, 0, &change);
            assert_eq!(changed.size(), [6, 2, 5, 4]);
            assert!(is_channels_last(&changed), "{change:?}");
        }
        let first = draw(1, 0, &ALL);
        assert!(first.equal(&draw(1, 0, &ALL)));
        assert!(!first.equal(&draw(1, 1, &ALL)) && !first.equal(&draw(2, 0, &ALL)));
        assert!(draw(1, 0, &Augment::default()).equal(&pictures(6)));
    }

    #[test]
    fn noise_has_its_deviation_and_one_change_does_not_draw_another_anew() {
        let black = Tensor::zeros([64, 2, 5, 4], (Kind::Float, Device::Cpu)).permute([0, 1, 2, 3]);
        let draws = Draws::new(7, 1, 1, 0, Device::Cpu);
        let noise = Augment { noise: 0.1, ..Augment::default() };
        let noisy = augmented(black.shallow_clone(), &noise, draws).unwrap();
        let (mean, deviation) = (noisy.mean(Kind::Double), noisy.std(true));
        // Five standard errors of 2,560 values.
        assert!(mean.double_value(&[]).abs() < 0.01 && (deviation.double_value(&[]) - 0.1).abs() < 0.007);
        let both = augmented(black, &Augment { flip: true, ..noise }, draws).unwrap();
        assert!(both.equal(&noisy));
    }
}
