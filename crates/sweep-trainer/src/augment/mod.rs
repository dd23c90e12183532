//! Random augmentation of training images, on the device. There is one file per kind of change.
//!
//! The host draws all numbers of an image, even for changes that are off, so that enabling one change does not alter
//! another. The numbers depend only on (seed, trial, epoch, step), so a resumed epoch augments its images as an
//! uninterrupted one does. The numbers of an epoch are drawn and moved to the device at once, so that no step waits for
//! a copy.

mod color;
mod cutout;
mod erase;
mod mix;
mod rand_augment;
mod turn;
mod window;

pub use mix::Mix;
use mix::Partner;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, TchError, Tensor};

use super::device::takes_gpu_path;
use super::step_rng::{StepRng, with_generator};
use sweep_core::recipe::Augment;
use sweep_data::network::Shape;

/// The random numbers of one image, each uniform over its range.
#[derive(Debug, Clone, Copy)]
struct Chance {
    flip: bool,
    /// Shift down and right, each from -1 to 1.
    shift: (f64, f64),
    /// Rotation, from -1 to 1.
    turn: f64,
    /// Enlargement, from -1 to 1.
    growth: f64,
    /// Center of the cutout, each coordinate from 0 to 1.
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

/// Further random numbers of one image. They have a stream of their own, so that those of [`Chance`] stay what they
/// were before these changes existed.
#[derive(Debug, Clone, Copy)]
struct More {
    /// Brightness, contrast and saturation, each from -1 to 1.
    color: [f64; 3],
    /// Whether the image is erased, if this is below the share of such images; from 0 to 1.
    erased: f64,
    /// Size of the erased rectangle, from 0 to 1.
    area: f64,
    /// Its height in relation to its width, from -1 to 1.
    aspect: f64,
    /// Its place, each coordinate from 0 to 1.
    place: (f64, f64),
}

impl More {
    fn draw(random: &mut impl Rng) -> More {
        let mut even = || random.random::<f64>();
        let color = [(); 3].map(|()| 2.0 * even() - 1.0);
        let (erased, area, aspect) = (even(), even(), 2.0 * even() - 1.0);
        More { color, erased, area, aspect, place: (even(), even()) }
    }
}

/// The changes to some images, in the form that the device needs. A tensor is present only if an enabled change needs
/// it.
#[derive(Debug)]
pub struct Changes {
    augment: Augment,
    /// Shifts and flips, `i64 [n, 3]`: see [`window::place`].
    places: Option<Tensor>,
    /// Affine maps, `f32 [n, 6]`: see [`turn::Way`].
    ways: Option<Tensor>,
    /// Corners of the cutouts, `i64 [n, 2]`: see [`cutout::corner`].
    corners: Option<Tensor>,
    /// Factors of brightness, contrast and saturation, `f32 [n, 3]`: see [`color::factors`].
    colors: Option<Tensor>,
    /// Erased rectangles, `i64 [n, 4]`: see [`erase::rectangle`].
    erased: Option<Tensor>,
    /// What each image takes from another one.
    mix: Option<Mix>,
}

impl Changes {
    /// Draws the changes for steps with these batch sizes and images of this shape, and moves them to the device.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn draw(
        augment: &Augment,
        steps: impl IntoIterator<Item = (StepRng, u64)>,
        shape: Shape,
        device: Device,
    ) -> Result<Changes, TchError> {
        let Augment { flip, crop, rotate, scale, noise: _, cutout, .. } = *augment;
        let jitter = [augment.brightness, augment.contrast, augment.saturation];
        let (jitters, erases) = (jitter.iter().any(|most| *most > 0.0), augment.erase > 0.0);
        let mixes = augment.mixup > 0.0 || augment.cutmix > 0.0;
        let (windows, turns) = (flip || crop > 0, rotate > 0.0 || scale > 0.0 || augment.rand_augment > 0.0);
        let (height, width) = (i64::from(shape.height), i64::from(shape.width));
        let (mut places, mut ways, mut corners) = (Vec::new(), Vec::new(), Vec::new());
        let (mut colors, mut erased, mut partners) = (Vec::new(), Vec::new(), Vec::new());
        let none = !windows && !turns && cutout == 0 && !jitters && !erases && !mixes;
        for (rng, size) in steps.into_iter().take_while(|_| !none) {
            let (mut random, mut further, mut mixing) = (rng.augment(), rng.further(), rng.mixing());
            let mut shaping = rng.shaping();
            for _ in 0..size {
                let more = More::draw(&mut further);
                colors.extend(jitters.then(|| color::factors(&more, jitter)).into_iter().flatten());
                let sides = [height, width];
                erased.extend(erases.then(|| erase::rectangle(&more, augment.erase, sides)).into_iter().flatten());
                partners.extend(mixes.then(|| Partner::draw(&mut mixing, augment, size, sides)));
                let chance = Chance::draw(&mut random);
                places.extend(windows.then(|| window::place(&chance, flip, crop)).into_iter().flatten());
                let aspect = height as f64 / width as f64;
                let shape = rand_augment::way(&mut shaping, augment.rand_augment, aspect);
                let way = || turn::then(turn::way(&chance, rotate.to_radians(), scale, aspect), shape);
                ways.extend(turns.then(way).into_iter().flatten().map(|part| part as f32));
                corners.extend(
                    (cutout > 0).then(|| cutout::corner(&chance, cutout, [height, width])).into_iter().flatten(),
                );
            }
        }
        let there = |tensor: Tensor, columns: i64| tensor.f_view([-1, columns])?.f_to_device(device);
        Ok(Changes {
            augment: *augment,
            places: windows.then(|| there(Tensor::f_from_slice(&places)?, 3)).transpose()?,
            ways: turns.then(|| there(Tensor::f_from_slice(&ways)?, 6)).transpose()?,
            corners: (cutout > 0).then(|| there(Tensor::f_from_slice(&corners)?, 2)).transpose()?,
            colors: jitters.then(|| there(Tensor::f_from_slice(&colors)?, 3)).transpose()?,
            erased: erases.then(|| there(Tensor::f_from_slice(&erased)?, 4)).transpose()?,
            mix: mixes.then(|| Mix::new(&partners, device)).transpose()?,
        })
    }

    /// Returns the changes to `count` images, starting with image `start`.
    ///
    /// # Errors
    /// Returns libtorch's error if there are fewer images.
    pub fn part(&self, start: u64, count: u64) -> Result<Changes, TchError> {
        self.map(|tensor| tensor.f_narrow(0, start as i64, count as i64))
    }

    /// Returns the same changes with `make` applied to every tensor.
    ///
    /// # Errors
    /// Returns the error of `make`.
    pub fn map(&self, make: impl Fn(&Tensor) -> Result<Tensor, TchError>) -> Result<Changes, TchError> {
        let Changes { augment, places, ways, corners, colors, erased, mix } = self;
        let mix = mix.as_ref().map(|mix| mix.map(&make)).transpose()?;
        let made = |tensor: &Option<Tensor>| tensor.as_ref().map(&make).transpose();
        let (places, ways, corners) = (made(places)?, made(ways)?, made(corners)?);
        Ok(Changes { augment: *augment, places, ways, corners, colors: made(colors)?, erased: made(erased)?, mix })
    }

    /// Returns all tensors. Their order depends only on the enabled changes.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let own = [&self.places, &self.ways, &self.corners, &self.colors, &self.erased].into_iter().flatten();
        own.chain(self.mix.iter().flat_map(Mix::tensors))
    }

    /// Returns what each image and its label take from another one, if any.
    pub fn mix(&self) -> Option<&Mix> {
        self.mix.as_ref()
    }

    /// Applies the changes to images `f32 [b, c, h, w]`, channels-last, with values from 0 to 1. The result is
    /// channels-last too. `rng` is the random stream of the step, used for noise.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn apply(&self, mut xs: Tensor, rng: StepRng) -> Result<Tensor, TchError> {
        if let Some(places) = &self.places {
            xs = window::shifted(&xs, places, self.augment.crop, self.augment.border)?;
        }
        if let Some(ways) = &self.ways {
            xs = turn::turned(&xs, ways)?;
        }
        if let Some(colors) = &self.colors {
            xs = color::jittered(&xs, colors)?;
        }
        if self.augment.noise > 0.0 {
            xs = xs.f_add(&normal(&xs, rng)?.f_mul_scalar_(self.augment.noise)?)?;
        }
        if let Some(corners) = &self.corners {
            xs = cutout::cut(&xs, corners, self.augment.cutout)?;
        }
        if let Some(rectangles) = &self.erased {
            xs = erase::erased(&xs, rectangles)?;
        }
        if let Some(mix) = &self.mix {
            xs = mix.mixed(&xs)?;
        }
        Ok(xs)
    }
}

/// Draws and applies the changes of one step to a batch `f32 [b, c, h, w]`: see [`Changes::apply`].
///
/// # Errors
/// Returns libtorch's error if the device runs out of memory.
pub fn augmented(xs: Tensor, augment: &Augment, rng: StepRng) -> Result<Tensor, TchError> {
    let (n, channels, height, width) = xs.size4()?;
    let [channels, height, width] = [channels, height, width].map(|side| side as u32);
    Changes::draw(augment, [(rng, n as u64)], Shape { channels, height, width }, xs.device())?.apply(xs, rng)
}

/// Returns standard normal numbers with the shape and layout of `like`. On a GPU they come from the thread's generator,
/// which was seeded for the step.
fn normal(like: &Tensor, rng: StepRng) -> Result<Tensor, TchError> {
    if takes_gpu_path(like.device()) {
        return with_generator(like.device(), |generator| generator.normal(like));
    }
    let (n, c, h, w) = like.size4()?;
    let mut random = rng.augment();
    // The step's stream begins with the numbers of its images, so skip those.
    (0..n).for_each(|_| {
        Chance::draw(&mut random);
    });
    let values: Vec<f32> = (0..like.numel()).map(|_| StandardNormal.sample(&mut random)).collect();
    Tensor::f_from_slice(&values)?.f_view([n, h, w, c])?.f_permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::recipe::Border;
    use tch::Kind;

    /// Returns images with two channels, 5 rows and 4 columns, in which every value differs. They are channels-last,
    /// like a batch.
    pub(super) fn images(count: i64) -> Tensor {
        let values = Tensor::arange(count * 5 * 4 * 2, (Kind::Float, Device::Cpu)) + 1.0;
        (values / (count * 40) as f64).view([count, 5, 4, 2]).permute([0, 3, 1, 2])
    }

    pub(super) const STILL: Chance =
        Chance { flip: false, shift: (0.0, 0.0), turn: 0.0, growth: 0.0, cutout: (0.5, 0.5) };

    fn is_channels_last(xs: &Tensor) -> bool {
        xs.permute([0, 2, 3, 1]).is_contiguous()
    }

    pub(super) const CALM: More = More { color: [0.0; 3], erased: 1.0, area: 0.0, aspect: 0.0, place: (0.0, 0.0) };

    const ALL: Augment = Augment {
        flip: true,
        crop: 2,
        border: Border::Reflect,
        rotate: 20.0,
        scale: 0.2,
        noise: 0.1,
        cutout: 2,
        brightness: 0.3,
        contrast: 0.3,
        saturation: 0.3,
        erase: 0.5,
        mixup: 0.2,
        cutmix: 1.0,
        rand_augment: 0.3,
    };

    #[test]
    fn changes_depend_on_the_step_alone_and_keep_shape_and_layout() {
        let draw = |epoch, step, augment: &Augment| {
            augmented(images(6), augment, StepRng::new(7, 1, epoch, step).seeded(Device::Cpu).unwrap()).unwrap()
        };
        for change in [
            Augment { flip: true, ..Augment::default() },
            Augment { crop: 2, ..Augment::default() },
            Augment { rotate: 20.0, ..Augment::default() },
            Augment { noise: 0.1, ..Augment::default() },
            Augment { cutout: 2, ..Augment::default() },
            Augment { brightness: 0.4, ..Augment::default() },
            Augment { contrast: 0.4, saturation: 0.2, ..Augment::default() },
            Augment { erase: 0.9, ..Augment::default() },
            Augment { mixup: 1.0, ..Augment::default() },
            Augment { cutmix: 1.0, ..Augment::default() },
            Augment { rand_augment: 0.3, ..Augment::default() },
        ] {
            let changed = draw(1, 0, &change);
            assert_eq!(changed.size(), [6, 2, 5, 4]);
            assert!(is_channels_last(&changed), "{change:?}");
            assert!(!changed.equal(&images(6)), "{change:?}");
        }
        let first = draw(1, 0, &ALL);
        assert!(first.equal(&draw(1, 0, &ALL)));
        assert!(!first.equal(&draw(1, 1, &ALL)) && !first.equal(&draw(2, 0, &ALL)));
        assert!(draw(1, 0, &Augment::default()).equal(&images(6)));
    }

    #[test]
    fn noise_has_its_deviation_and_one_change_does_not_draw_another_anew() {
        let black = Tensor::zeros([64, 5, 4, 2], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let rng = || StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap();
        let noise = Augment { noise: 0.1, ..Augment::default() };
        let noisy = augmented(black.shallow_clone(), &noise, rng()).unwrap();
        let (mean, deviation) = (noisy.mean(Kind::Double), noisy.std(true));
        // Five standard errors of 2,560 values.
        assert!(mean.double_value(&[]).abs() < 0.01 && (deviation.double_value(&[]) - 0.1).abs() < 0.007);
        for more in [Augment { flip: true, ..noise }, Augment { mixup: 1e-9, erase: 1e-9, rand_augment: 0.5, ..noise }]
        {
            assert!(augmented(black.shallow_clone(), &more, rng()).unwrap().allclose(&noisy, 1e-6, 1e-6, false));
        }
    }
}
