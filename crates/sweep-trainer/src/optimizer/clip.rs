//! Clipping of gradients by their norm.

use tch::{TchError, Tensor};

use crate::libtorch::{Scalar, each};

/// Scales the gradients of all weights together down to at most this Euclidean norm, like Keras' `global_clipnorm`. The
/// device computes the factor, and the host does not wait for it.
///
/// # Errors
/// Returns libtorch's error.
pub(super) fn clip(gradients: &[Tensor], norm: f64) -> Result<(), TchError> {
    let length = Tensor::f_stack(&each::norms(gradients)?, 0)?.f_norm()?;
    let share = length.f_clamp_min(norm)?.f_reciprocal()?.f_mul_scalar(norm)?;
    each::scale_(gradients, &Scalar { value: f64::NAN, on_device: Some(share) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, values};
    use super::*;

    #[test]
    fn a_gradient_is_shortened_as_a_whole_and_only_if_it_is_too_long() {
        for (norm, share) in [(2.5, 0.5), (5.0, 1.0), (9.0, 1.0)] {
            let gradients = [Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[0.0f32, 4.0])];
            clip(&gradients, norm).unwrap();
            assert_near(&values(&gradients[0]), &[3.0 * share]);
            assert_near(&values(&gradients[1]), &[0.0, 4.0 * share]);
        }
    }
}
