//! Update rules on tensors. One file a rule; each names its state, so that a checkpoint can hold it.

mod adadelta;
mod adam;
mod clip;
mod nadam;
mod rmsprop;
mod sgd;

pub use clip::clip;

use tch::{Device, Kind, TchError, Tensor};

use super::network::Parameter;
use sweep_core::recipe;

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

    /// Whether gradients may come in fewer digits than the weight.
    fn takes_any_kind(&self) -> bool {
        false
    }

    /// What it remembers: a name such as `adam.m`, and one tensor a weight.
    fn state(&self) -> Vec<(&'static str, &[Tensor])>;
}

/// An update rule with its state for one network.
pub struct Optimizer {
    rule: Box<dyn Rule>,
    weight_decay: f64,
    /// Whether the decay is taken from the weights themselves, and not part of the gradient.
    decoupled: bool,
}

impl Optimizer {
    /// With nothing remembered yet.
    ///
    /// # Errors
    /// If the device has no room for its state.
    pub fn new(training: &recipe::Training, parameters: &[Parameter]) -> Result<Optimizer, TchError> {
        use recipe::Optimizer::{Adadelta, Adam, Adamw, Nadam, Rmsprop, Sgd};
        let rule: Box<dyn Rule> = match training.optimizer {
            Adam(constants) | Adamw(constants) => Box::new(adam::Adam::new(parameters, constants)?),
            Nadam(constants) => Box::new(nadam::Nadam::new(parameters, constants)?),
            Sgd { momentum, nesterov } => Box::new(sgd::Sgd::new(parameters, momentum, nesterov)?),
            Rmsprop { rho, momentum, epsilon } => Box::new(rmsprop::Rmsprop::new(parameters, rho, momentum, epsilon)?),
            Adadelta { rho, epsilon } => Box::new(adadelta::Adadelta::new(parameters, rho, epsilon)?),
        };
        let decoupled = matches!(training.optimizer, Adamw(_));
        Ok(Optimizer { rule, weight_decay: training.weight_decay, decoupled })
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
                let kind = if self.rule.takes_any_kind() { gradient.f_kind()? } else { parameter.tensor.f_kind()? };
                let gradient = &gradient.f_to_kind(kind)?;
                let decay = if parameter.decays { self.weight_decay } else { 0.0 };
                if decay > 0.0 && !self.decoupled {
                    let gradient = parameter.tensor.f_mul_scalar(decay)?.f_add_(gradient)?;
                    self.rule.update(index, &mut parameter.tensor, &gradient, rate, step)?;
                } else {
                    if decay > 0.0 {
                        let _ = parameter.tensor.f_mul_scalar_(1.0 - rate * decay)?;
                    }
                    self.rule.update(index, &mut parameter.tensor, gradient, rate, step)?;
                }
                if let Some(norm) = parameter.max_norm {
                    project(&mut parameter.tensor, norm)?;
                }
                parameter.refresh()?;
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
    if weight.device() == Device::Cpu && weight.f_kind()? == Kind::Float {
        sweep_kernels::max_norm(weight, norm);
        return Ok(());
    }
    let axes: Vec<i64> = (1..weight.dim() as i64).collect();
    let norms = weight.f_square()?.f_sum_dim_intlist(axes, true, None)?.f_sqrt()?;
    let wanted = norms.f_clamp(0.0, norm)?;
    let _ = weight.f_mul_(&wanted.f_div(&norms.f_add_scalar(1e-7)?)?)?;
    Ok(())
}

/// The gradient with its values in the order in which the weight's lie.
fn lying_like(weight: &Tensor, gradient: &Tensor) -> Result<Tensor, TchError> {
    if gradient.stride() == weight.stride() {
        return Ok(gradient.shallow_clone());
    }
    let mut copy = weight.f_empty_like()?.f_to_kind(gradient.f_kind()?)?;
    copy.f_copy_(gradient)?;
    Ok(copy)
}

/// One tensor of zeros for each weight, in its layout.
fn zeros(parameters: &[Parameter]) -> Result<Vec<Tensor>, TchError> {
    tch::no_grad(|| parameters.iter().map(|parameter| parameter.tensor.f_zeros_like()).collect())
}

#[cfg(test)]
pub use tests::training;

#[cfg(test)]
mod tests {
    use super::*;

    /// A parameter of these values, rows by columns.
    pub(super) fn parameter(values: &[f32], rows: i64) -> Parameter {
        let tensor = Tensor::from_slice(values).view([rows, -1]);
        Parameter { name: "0.weight".into(), working: tensor.shallow_clone(), tensor, decays: true, max_norm: None }
    }

    pub(super) fn values(tensor: &Tensor) -> Vec<f64> {
        Vec::try_from(tensor.to_kind(tch::Kind::Double).view(-1)).unwrap()
    }

    pub(super) fn assert_near(left: &[f64], right: &[f64]) {
        assert_eq!(left.len(), right.len());
        assert!(left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-6), "{left:?} != {right:?}");
    }

    /// All neutral but for these.
    pub fn training(optimizer: recipe::Optimizer, weight_decay: f64) -> recipe::Training {
        recipe::Training {
            epochs: 1,
            batch_size: 1,
            learning_rate: 0.1,
            schedule: recipe::Schedule::default(),
            optimizer,
            weight_decay,
            label_smoothing: 0.0,
            clip_norm: None,
            init: recipe::Init::Keras,
            precision: recipe::Precision::Float32,
            deterministic: false,
            early_stopping: None,
            metric: sweep_core::trial::Metric { name: "val_loss".into(), goal: sweep_core::trial::Goal::Minimize },
        }
    }

    #[test]
    fn max_norm_shortens_long_rows_and_leaves_short_ones() {
        for kind in [Kind::Float, Kind::Double] {
            let mut long_and_short = parameter(&[3.0, 4.0, 0.3, 0.4], 2).tensor.to_kind(kind);
            project(&mut long_and_short, 2.0).unwrap();
            assert_near(&values(&long_and_short), &[1.2, 1.6, 0.3, 0.4]);
        }
        // Many values, in the layout of a convolution.
        let ours = Tensor::randn([7, 3, 5, 29], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        let (mut theirs, mut ours) = (ours.to_kind(Kind::Double), ours);
        project(&mut ours, 3.0).unwrap();
        project(&mut theirs, 3.0).unwrap();
        assert_near(&values(&ours.contiguous()), &values(&theirs.contiguous()));
    }

    #[test]
    fn weight_decay_adds_to_the_gradient_of_weights_but_not_of_biases() {
        let training = training(recipe::Optimizer::Sgd { momentum: 0.0, nesterov: false }, 0.5);
        let mut parameters = [parameter(&[2.0], 1), Parameter { decays: false, ..parameter(&[2.0], 1) }];
        let gradients = [Tensor::from_slice(&[1.0f32]).view([1, 1]), Tensor::from_slice(&[1.0f32]).view([1, 1])];
        let mut optimizer = Optimizer::new(&training, &parameters).unwrap();
        optimizer.step(&mut parameters, &gradients, 0.1, 1).unwrap();
        assert_near(&values(&parameters[0].tensor), &[2.0 - 0.1 * (1.0 + 0.5 * 2.0)]);
        assert_near(&values(&parameters[1].tensor), &[2.0 - 0.1]);
    }

    /// A case of `tests/fixtures/optimizers/pytorch.json`: one optimizer of PyTorch's.
    #[derive(serde::Deserialize)]
    struct Case {
        optimizer: recipe::Optimizer,
        weight_decay: f64,
        rate: f64,
        /// By step, the weights after it.
        weights: std::collections::BTreeMap<u64, Vec<f64>>,
    }

    /// Steps along the same gradients, in float64. Where Keras' form differs from PyTorch's it is in where epsilon is
    /// added (Adam, RMSprop) and in what a change of the step size does (momentum): the cases have an epsilon too small
    /// to matter, or forms that agree, and a constant step size. See make.py beside the fixture.
    #[test]
    fn fifty_steps_of_every_rule_are_pytorchs() {
        let cases: std::collections::BTreeMap<String, Case> =
            serde_json::from_str(include_str!("../../../../tests/fixtures/optimizers/pytorch.json")).unwrap();
        assert!(cases.len() >= 10, "{} cases", cases.len());
        for (name, Case { optimizer, weight_decay, rate, weights }) in cases {
            let start: Vec<f64> = (0..8).map(|i| (1.7 * f64::from(i) + 0.3).sin()).collect();
            let tensor = Tensor::from_slice(&start).view([2, 4]);
            let mut parameters = [Parameter { working: tensor.shallow_clone(), tensor, ..parameter(&[0.0], 1) }];
            let mut rule = Optimizer::new(&training(optimizer, weight_decay), &parameters).unwrap();
            for step in 1..=50 {
                let gradient: Vec<f64> = values(&parameters[0].tensor)
                    .iter()
                    .zip(0..)
                    .map(|(weight, i)| {
                        (0.5 + 0.25 * f64::from(i)) * (weight - 0.1 * f64::from(i))
                            + 0.3 * (step as f64 + f64::from(i)).cos()
                    })
                    .collect();
                let gradient = Tensor::from_slice(&gradient).view([2, 4]);
                rule.step(&mut parameters, &[gradient], rate, step).unwrap();
                if let Some(expected) = weights.get(&step) {
                    for (ours, theirs) in values(&parameters[0].tensor).iter().zip(expected) {
                        assert!((ours - theirs).abs() < 1e-9, "{name}, step {step}: {ours} != {theirs}");
                    }
                }
            }
            assert!(weights.contains_key(&50), "{name}");
        }
    }
}
