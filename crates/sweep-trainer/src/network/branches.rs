//! Branches of a network, which begin with the same input and are joined.

use tch::{TchError, Tensor};

use sweep_core::recipe::{Join, Layer};

/// Branches that have begun: their common input, and the outputs of those that have ended.
#[derive(Default)]
pub struct Branches(Vec<(Tensor, Vec<Tensor>)>);

impl Branches {
    /// Returns what the mark hands on, given what comes before it.
    pub fn pass(&mut self, xs: Tensor, mark: &Layer) -> Result<Tensor, TchError> {
        const EVEN: &str = "shapes() lets no uneven branches through";
        match mark {
            Layer::Fork => {
                self.0.push((xs.shallow_clone(), Vec::new()));
                Ok(xs)
            }
            Layer::Branch => {
                let (input, ended) = self.0.last_mut().expect(EVEN);
                ended.push(xs);
                Ok(input.shallow_clone())
            }
            Layer::Join { by } => {
                let (_, mut outputs) = self.0.pop().expect(EVEN);
                outputs.push(xs);
                joined(*by, &outputs)
            }
            _ => unreachable!("only marks come here"),
        }
    }
}

fn joined(by: Join, outputs: &[Tensor]) -> Result<Tensor, TchError> {
    let (first, rest) = outputs.split_first().expect("there is at least the last branch");
    let axes = outputs.iter().map(Tensor::dim).max().unwrap_or(0);
    // A vector multiplies the channels of an image.
    let wide = |xs: &Tensor| if xs.dim() < axes { xs.f_unsqueeze(-1)?.f_unsqueeze(-1) } else { Ok(xs.shallow_clone()) };
    match by {
        Join::Concat => Tensor::f_cat(outputs, 1),
        Join::Add => rest.iter().try_fold(first.shallow_clone(), |sum, next| sum.f_add(next)),
        Join::Multiply => rest.iter().try_fold(wide(first)?, |product, next| product.f_mul(&wide(next)?)),
    }
}
