//! Random brightness, contrast and saturation.

use tch::{TchError, Tensor};

use super::More;

/// The weights of red, green and blue in the brightness that people see (ITU-R BT.601).
const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// Returns the factors of brightness, contrast and saturation, each between 1 minus and 1 plus its maximum change.
pub(super) fn factors(more: &More, most: [f64; 3]) -> [f32; 3] {
    [0, 1, 2].map(|at| (1.0 + most[at] * more.color[at]) as f32)
}

/// Changes brightness, contrast and saturation of images from 0 to 1, in this order. Images without three channels have
/// no saturation. `factors` is `f32 [b, 3]`, on the device: see [`factors`].
pub(super) fn jittered(xs: &Tensor, factors: &Tensor) -> Result<Tensor, TchError> {
    let factor = |at: i64| factors.f_narrow(1, at, 1)?.f_view([-1, 1, 1, 1]);
    let xs = xs.f_mul(&factor(0)?)?;
    let gray = gray(&xs)?;
    let mean = gray.f_mean_dim([1, 2, 3].as_slice(), true, None)?;
    let xs = mean.f_lerp_tensor(&xs, &factor(1)?)?;
    let xs = match xs.size()[1] {
        3 => self::gray(&xs)?.f_lerp_tensor(&xs, &factor(2)?)?,
        _ => xs,
    };
    let xs = xs.f_clamp(0.0, 1.0)?;
    // `lerp` takes the layout of its first argument.
    xs.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

/// Returns the brightness of each pixel, `f32 [b, 1, h, w]`.
fn gray(xs: &Tensor) -> Result<Tensor, TchError> {
    match xs.size()[1] {
        3 => {
            // The weights are numbers and no tensor, because a recorded step must not copy from the host.
            let part = |at: i64| xs.f_narrow(1, at, 1)?.f_mul_scalar(LUMA[at as usize]);
            part(0)?.f_add(&part(1)?)?.f_add(&part(2)?)
        }
        _ => xs.f_mean_dim([1].as_slice(), true, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(values: [f32; 6]) -> Tensor {
        // Three channels of two pixels.
        Tensor::from_slice(&values).view([1, 3, 1, 2])
    }

    fn changed(xs: &Tensor, factors: [f32; 3]) -> Vec<f32> {
        let ys = jittered(xs, &Tensor::from_slice(&factors).view([1, 3])).unwrap();
        Vec::try_from(ys.contiguous().view(-1)).unwrap()
    }

    fn near(found: &[f32], expected: &[f32]) -> bool {
        found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-5)
    }

    #[test]
    fn each_factor_changes_what_it_is_named_after() {
        let xs = image([0.2, 0.4, 0.2, 0.4, 0.2, 0.4]);
        assert!(near(&changed(&xs, [1.0; 3]), &[0.2, 0.4, 0.2, 0.4, 0.2, 0.4]));
        assert!(near(&changed(&xs, [2.0, 1.0, 1.0]), &[0.4, 0.8, 0.4, 0.8, 0.4, 0.8]));
        assert!(near(&changed(&xs, [1.0, 0.5, 1.0]), &[0.25, 0.35, 0.25, 0.35, 0.25, 0.35]));
        // Gray pixels have no saturation, and values stay from 0 to 1.
        assert!(near(&changed(&xs, [4.0, 1.0, 0.0]), &[0.8, 1.0, 0.8, 1.0, 0.8, 1.0]));
        let red = image([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let luma = LUMA[0] as f32;
        assert!(near(&changed(&red, [1.0, 1.0, 0.0]), &[luma, 0.0, luma, 0.0, luma, 0.0]));
    }
}
