//! Gradients that are too long.

use tch::{Kind, TchError, Tensor};

/// Shortens the gradient of all weights together to at most this Euclidean norm: Keras' `global_clipnorm`. Waits for
/// nothing on a GPU.
///
/// # Errors
/// libtorch's.
pub fn clip(gradients: &mut [Tensor], norm: f64) -> Result<(), TchError> {
    tch::no_grad(|| {
        let mut squares = Vec::with_capacity(gradients.len());
        for gradient in &mut *gradients {
            if gradient.f_kind()? == Kind::BFloat16 {
                *gradient = gradient.f_to_kind(Kind::Float)?;
            }
            squares.push(gradient.f_square()?.f_sum(Kind::Double)?);
        }
        let length = Tensor::f_stack(&squares, 0)?.f_sum(Kind::Double)?.f_sqrt()?;
        let share = length.f_clamp_min(norm)?.f_reciprocal()?.f_mul_scalar(norm)?;
        for gradient in gradients {
            let share = share.f_to_kind(gradient.f_kind()?)?;
            *gradient = gradient.f_mul(&share)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{assert_near, values};
    use super::*;

    #[test]
    fn a_gradient_is_shortened_as_a_whole_and_only_if_it_is_too_long() {
        for (norm, share) in [(2.5, 0.5), (5.0, 1.0), (9.0, 1.0)] {
            let mut gradients = [Tensor::from_slice(&[3.0f32]), Tensor::from_slice(&[0.0f32, 4.0])];
            clip(&mut gradients, norm).unwrap();
            assert_near(&values(&gradients[0]), &[3.0 * share]);
            assert_near(&values(&gradients[1]), &[0.0, 4.0 * share]);
        }
    }
}
