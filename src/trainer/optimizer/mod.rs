//! Update rules on tensors. One file a rule; each names its state, so that a checkpoint can hold it.

mod adam;
mod sgd;

use tch::{TchError, Tensor};

use super::network::Parameter;
use sweep::recipe;

/// How a gradient becomes a step.
trait Rule {
    /// Moves one weight, in place. `index` is its place in the network's list, `step` counts from 1.
    fn update(
        &mut self,
        index: usize,
        weight: &mut Tensor,
        gradient: &Tensor,
        rate: f64,
        step: u64,
    ) -> Result<(), TchError>;

    /// What it remembers: a name such as `adam.m`, and one tensor a weight.
    fn state(&self) -> Vec<(&'static str, &[Tensor])>;
}

/// An update rule with its state for one network.
pub struct Optimizer {
    rule: Box<dyn Rule>,
    weight_decay: f64,
}

impl Optimizer {
    /// With nothing remembered yet.
    ///
    /// # Errors
    /// If the device has no room for its state.
    pub fn new(training: &recipe::Training, parameters: &[Parameter]) -> Result<Optimizer, TchError> {
        let rule: Box<dyn Rule> = match training.optimizer {
            recipe::Optimizer::Adam { beta1, beta2, epsilon } => {
                Box::new(adam::Adam::new(parameters, beta1, beta2, epsilon)?)
            }
            recipe::Optimizer::Sgd { momentum, nesterov } => Box::new(sgd::Sgd::new(parameters, momentum, nesterov)?),
        };
        Ok(Optimizer { rule, weight_decay: training.weight_decay })
    }

    /// Moves every weight by one step of size `rate`, then projects those with a max-norm. `step` counts from 1 over
    /// the whole trial.
    ///
    /// # Errors
    /// libtorch's.
    pub fn step(
        &mut self,
        parameters: &mut [Parameter],
        gradients: &[Tensor],
        rate: f64,
        step: u64,
    ) -> Result<(), TchError> {
        tch::no_grad(|| {
            for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
                if parameter.decays && self.weight_decay > 0.0 {
                    let gradient = parameter.tensor.f_mul_scalar(self.weight_decay)?.f_add_(gradient)?;
                    self.rule.update(index, &mut parameter.tensor, &gradient, rate, step)?;
                } else {
                    self.rule.update(index, &mut parameter.tensor, gradient, rate, step)?;
                }
                if let Some(norm) = parameter.max_norm {
                    project(&mut parameter.tensor, norm)?;
                }
            }
            Ok(())
        })
    }

    /// What it remembers, by names such as `adam.m.3.weight`.
    pub fn state(&self, parameters: &[Parameter]) -> Vec<(String, Tensor)> {
        let mut state = Vec::new();
        for (kind, tensors) in self.rule.state() {
            for (parameter, tensor) in parameters.iter().zip(tensors) {
                state.push((format!("{kind}.{}", parameter.name), tensor.shallow_clone()));
            }
        }
        state
    }
}

/// Keras' `MaxNorm`: scales each output's incoming weights (all axes but the first) back to at most this norm.
/// As there, weights within the norm are multiplied by norm / (norm + 1e-7), too.
fn project(weight: &mut Tensor, norm: f64) -> Result<(), TchError> {
    let axes: Vec<i64> = (1..weight.dim() as i64).collect();
    let norms = weight.f_square()?.f_sum_dim_intlist(axes, true, None)?.f_sqrt()?;
    let wanted = norms.f_clamp(0.0, norm)?;
    let _ = weight.f_mul_(&wanted.f_div(&norms.f_add_scalar(1e-7)?)?)?;
    Ok(())
}

/// One tensor of zeros for each weight, in its layout.
fn zeros(parameters: &[Parameter]) -> Result<Vec<Tensor>, TchError> {
    tch::no_grad(|| parameters.iter().map(|parameter| parameter.tensor.f_zeros_like()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parameter of these values, rows by columns.
    pub(super) fn parameter(values: &[f32], rows: i64) -> Parameter {
        let tensor = Tensor::from_slice(values).view([rows, -1]);
        Parameter { name: "0.weight".into(), tensor, decays: true, max_norm: None }
    }

    pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(tch::Kind::Double).view(-1)).unwrap()
    }

    pub(super) fn assert_near(left: &[f64], right: &[f64]) {
        assert_eq!(left.len(), right.len());
        assert!(left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-6), "{left:?} != {right:?}");
    }

    #[test]
    fn max_norm_shortens_long_rows_and_leaves_short_ones() {
        let mut long_and_short = parameter(&[3.0, 4.0, 0.3, 0.4], 2).tensor;
        project(&mut long_and_short, 2.0).unwrap();
        assert_near(&values(&long_and_short), &[1.2, 1.6, 0.3, 0.4]);
    }

    #[test]
    fn weight_decay_adds_to_the_gradient_of_weights_but_not_of_biases() {
        let training = recipe::Training {
            epochs: 1,
            batch_size: 1,
            learning_rate: 0.1,
            optimizer: recipe::Optimizer::Sgd { momentum: 0.0, nesterov: false },
            weight_decay: 0.5,
            early_stopping: None,
            metric: sweep::trial::Metric { name: "val_loss".into(), goal: sweep::trial::Goal::Minimize },
        };
        let mut parameters = [parameter(&[2.0], 1), Parameter { decays: false, ..parameter(&[2.0], 1) }];
        let gradients = [Tensor::from_slice(&[1.0f32]).view([1, 1]), Tensor::from_slice(&[1.0f32]).view([1, 1])];
        let mut optimizer = Optimizer::new(&training, &parameters).unwrap();
        optimizer.step(&mut parameters, &gradients, 0.1, 1).unwrap();
        assert_near(&values(&parameters[0].tensor), &[2.0 - 0.1 * (1.0 + 0.5 * 2.0)]);
        assert_near(&values(&parameters[1].tensor), &[2.0 - 0.1]);
    }
}
