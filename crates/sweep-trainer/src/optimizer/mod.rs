//! Update rules on lists of tensors. There is one file per rule. Each rule names its state, so that a checkpoint can
//! store it.
//!
//! A rule has two halves. The host computes the numbers that change from step to step. The device does the work and
//! reads the numbers as [`Scalar`]s. The work can therefore be recorded once as a CUDA graph and replayed with other
//! numbers.

mod adadelta;
mod adam;
mod clip;
mod nadam;
mod rmsprop;
mod sgd;

use tch::{Kind, TchError, Tensor};

use super::device::takes_gpu_path;
use super::libtorch::{Scalar, each};
use super::network::Parameter;
use sweep_core::recipe;

/// An update rule, which turns gradients into a step.
trait Rule {
    /// Returns the numbers for [`Rule::update`]: step sizes and corrections. Steps count from 1 over the whole trial.
    fn numbers(&self, rate: f64, step: u64) -> Vec<f64>;

    /// Updates all weights in place. The gradients have the kind and the memory layout of the weights, and may be
    /// overwritten.
    fn update(&mut self, weights: &[Tensor], gradients: &[Tensor], numbers: &[Scalar]) -> Result<(), TchError>;

    /// Does the same as [`Rule::update`], and also writes the new weights to the copies that exist. Returns false and
    /// changes nothing if the rule has no kernel for that.
    fn update_with_copies(
        &mut self,
        _weights: &[Tensor],
        _gradients: &[Tensor],
        _numbers: &[Scalar],
        _copies: &[Option<Tensor>],
    ) -> Result<bool, TchError> {
        Ok(false)
    }

    /// Returns whether gradients may be bfloat16 for float32 weights.
    fn takes_any_kind(&self) -> bool {
        false
    }

    /// Returns the rule's state: a name such as `adam.m`, and one tensor per weight.
    fn state(&self) -> Vec<(&'static str, &[Tensor])>;
}

/// An update rule with its state for one network.
pub struct Optimizer {
    rule: Box<dyn Rule>,
    weight_decay: f64,
    /// Whether weight decay is subtracted from the weights directly instead of being added to the gradient.
    decoupled: bool,
    clip_norm: Option<f64>,
    /// A buffer per weight for a gradient that has another kind or layout. Created when first needed.
    room: Vec<Option<Tensor>>,
}

impl Optimizer {
    /// Creates an optimizer with an empty state.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn new(training: &recipe::Training, parameters: &[Parameter]) -> Result<Optimizer, TchError> {
        use recipe::Optimizer::{Adadelta, Adam, Adamw, Nadam, Rmsprop, Sgd};
        let rule: Box<dyn Rule> = match training.optimizer {
            Adam(constants) | Adamw(constants) => Box::new(adam::Adam::new(parameters, constants)?),
            Nadam(constants) => Box::new(nadam::Nadam::new(parameters, constants)?),
            Sgd { momentum, nesterov } => Box::new(sgd::Sgd::new(parameters, momentum, nesterov)?),
            Rmsprop { rho, momentum, epsilon } => Box::new(rmsprop::Rmsprop::new(parameters, rho, momentum, epsilon)?),
            Adadelta { rho, epsilon } => Box::new(adadelta::Adadelta::new(parameters, rho, epsilon)?),
        };
        Ok(Optimizer {
            rule,
            weight_decay: training.weight_decay,
            decoupled: training.optimizer.decouples_decay(),
            clip_norm: training.clip_norm,
            room: parameters.iter().map(|_| None).collect(),
        })
    }

    /// Returns the numbers for [`Optimizer::step`]: everything in a step that depends on the learning rate or on its
    /// number, which counts from 1. The count of numbers is the same at every step.
    pub fn numbers(&self, rate: f64, step: u64) -> Vec<f64> {
        let kept = 1.0 - rate * self.weight_decay;
        std::iter::once(kept).chain(self.rule.numbers(rate, step)).collect()
    }

    /// Clips the gradients, updates every weight, then projects the weights with a max-norm.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn step(
        &mut self,
        parameters: &mut [Parameter],
        gradients: Vec<Tensor>,
        numbers: &[Scalar],
    ) -> Result<(), TchError> {
        let (kept, numbers) = numbers.split_first().expect("`numbers` has the share of decayed weights first");
        tch::no_grad(|| {
            let weights: Vec<Tensor> = parameters.iter().map(|parameter| parameter.tensor.shallow_clone()).collect();
            let gradients = self.like_weights(&weights, gradients)?;
            if let Some(norm) = self.clip_norm {
                clip::clip(&gradients, norm)?;
            }
            if self.weight_decay > 0.0 {
                let of_decaying = |tensors: &[Tensor]| -> Vec<Tensor> {
                    let decaying = parameters.iter().zip(tensors).filter(|(parameter, _)| parameter.decays);
                    decaying.map(|(_, tensor)| tensor.shallow_clone()).collect()
                };
                let decaying = of_decaying(&weights);
                if self.decoupled {
                    each::scale_(&decaying, kept)?;
                } else {
                    each::add_(&of_decaying(&gradients), &decaying, self.weight_decay)?;
                }
            }
            let copy_of = |parameter: &Parameter| {
                let at_once = parameter.has_working_copy() && parameter.max_norm.is_none();
                at_once.then(|| parameter.working.shallow_clone())
            };
            let mut copies: Vec<Option<Tensor>> = parameters.iter().map(copy_of).collect();
            if !self.rule.update_with_copies(&weights, &gradients, numbers, &copies)? {
                self.rule.update(&weights, &gradients, numbers)?;
                copies.fill_with(|| None);
            }
            for parameter in &mut *parameters {
                if let Some(norm) = parameter.max_norm {
                    project(&mut parameter.tensor, norm)?;
                }
            }
            let (mut to, mut from) = (Vec::new(), Vec::new());
            for (parameter, copy) in parameters.iter().zip(copies) {
                if parameter.has_working_copy() && copy.is_none() {
                    to.push(parameter.working.shallow_clone());
                    from.push(parameter.tensor.shallow_clone());
                }
            }
            each::copy_(&to, &from)
        })
    }

    /// Runs one step with this number and learning rate: see [`Optimizer::step`]. Steps count from 1 over the whole
    /// trial.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn step_at(
        &mut self,
        parameters: &mut [Parameter],
        gradients: Vec<Tensor>,
        rate: f64,
        step: u64,
    ) -> Result<(), TchError> {
        let numbers: Vec<Scalar> = self.numbers(rate, step).into_iter().map(Scalar::from).collect();
        self.step(parameters, gradients, &numbers)
    }

    /// Returns the gradients with the memory layout of their weights. They also have the weights' kind, unless the rule
    /// accepts any.
    fn like_weights(&mut self, weights: &[Tensor], mut gradients: Vec<Tensor>) -> Result<Vec<Tensor>, TchError> {
        let coupled = self.weight_decay > 0.0 && !self.decoupled;
        let any_kind = self.rule.takes_any_kind() && self.clip_norm.is_none() && !coupled;
        let (mut to, mut from) = (Vec::new(), Vec::new());
        for (at, (weight, gradient)) in weights.iter().zip(&mut gradients).enumerate() {
            let fits = (any_kind || gradient.kind() == weight.kind()) && gradient.stride() == weight.stride();
            if !fits {
                let room = match &self.room[at] {
                    Some(room) => room.shallow_clone(),
                    None => self.room[at].insert(weight.f_zeros_like()?).shallow_clone(),
                };
                to.push(room.shallow_clone());
                from.push(std::mem::replace(gradient, room));
            }
        }
        each::copy_(&to, &from)?;
        Ok(gradients)
    }

    /// Returns the optimizer's state, with names such as `adam.m.3.weight`.
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

/// Scales the incoming weights of each output (all axes except the first) to at most this norm, like Keras' `MaxNorm`.
/// As in Keras, weights within the norm are also multiplied by norm / (norm + 1e-7).
fn project(weight: &mut Tensor, norm: f64) -> Result<(), TchError> {
    if has_kernel(weight) {
        sweep_kernels::max_norm(weight, norm);
        return Ok(());
    }
    let axes: Vec<i64> = (1..weight.dim() as i64).collect();
    let norms = weight.f_square()?.f_sum_dim_intlist(axes, true, None)?.f_sqrt()?;
    let wanted = norms.f_clamp(0.0, norm)?;
    let _ = weight.f_mul_(&wanted.f_div(&norms.f_add_scalar(1e-7)?)?)?;
    Ok(())
}

/// Returns whether sweep's own CPU kernels can process this weight.
fn has_kernel(weight: &Tensor) -> bool {
    !takes_gpu_path(weight.device()) && weight.kind() == Kind::Float
}

/// Returns one tensor of zeros for each weight, with its layout.
fn zeros(parameters: &[Parameter]) -> Result<Vec<Tensor>, TchError> {
    tch::no_grad(|| parameters.iter().map(|parameter| parameter.tensor.f_zeros_like()).collect())
}

#[cfg(test)]
pub use tests::{every_optimizer, training};

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Returns a parameter with these values, as a matrix with this number of rows.
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

    /// Runs one step of a rule with a gradient whose elements are all equal.
    pub(super) fn one_step(rule: &mut dyn Rule, weight: &Parameter, gradient: f32, rate: f64, step: u64) {
        let numbers: Vec<Scalar> = rule.numbers(rate, step).into_iter().map(Scalar::from).collect();
        let gradient = Tensor::from_slice(&[gradient]).view([1, 1]);
        rule.update(&[weight.tensor.shallow_clone()], &[gradient], &numbers).unwrap();
    }

    /// Returns neutral training parameters, except for these.
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
            cuda_graph: false,
            gpu_kernels: false,
            balance: Default::default(),
            early_stopping: None,
            metric: sweep_core::trial::Metric { name: "val_loss".into(), goal: sweep_core::trial::Goal::Minimize },
        }
    }

    /// Returns every optimizer, each with a learning rate at which small networks train.
    pub fn every_optimizer() -> Vec<(recipe::Optimizer, f64)> {
        use recipe::Optimizer::{Adadelta, Adam, Adamw, Nadam, Rmsprop, Sgd};
        let moments = recipe::Moments::default();
        vec![
            (Adam(moments), 0.005),
            (Adamw(moments), 0.005),
            (Nadam(moments), 0.005),
            (Sgd { momentum: 0.9, nesterov: true }, 0.05),
            (Rmsprop { rho: 0.9, momentum: 0.5, epsilon: 1e-7 }, 0.002),
            (Adadelta { rho: 0.95, epsilon: 1e-7 }, 1.0),
        ]
    }

    #[test]
    fn max_norm_shortens_long_rows_and_leaves_short_ones() {
        for kind in [Kind::Float, Kind::Double] {
            let mut long_and_short = parameter(&[3.0, 4.0, 0.3, 0.4], 2).tensor.to_kind(kind);
            project(&mut long_and_short, 2.0).unwrap();
            assert_near(&values(&long_and_short), &[1.2, 1.6, 0.3, 0.4]);
        }
        // Many values, with the layout of a convolution's weights.
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
        optimizer.step_at(&mut parameters, gradients.into(), 0.1, 1).unwrap();
        assert_near(&values(&parameters[0].tensor), &[2.0 - 0.1 * (1.0 + 0.5 * 2.0)]);
        assert_near(&values(&parameters[1].tensor), &[2.0 - 0.1]);
    }

    /// Weights of convolutions lie channels-last. Their gradients may come otherwise, and in bfloat16.
    #[test]
    fn a_step_does_not_depend_on_how_a_gradient_lies_in_memory() {
        let start = Tensor::arange(3 * 4 * 2 * 2, (Kind::Float, Device::Cpu)).sin().view([3, 4, 2, 2]);
        let gradient = Tensor::arange(3 * 4 * 2 * 2, (Kind::Float, Device::Cpu)).cos().view([3, 4, 2, 2]);
        for (optimizer, _) in every_optimizer() {
            for kind in [Kind::Float, Kind::BFloat16] {
                let moved = |channels_last: bool| {
                    let lying = |xs: &Tensor| match channels_last {
                        true => xs.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]),
                        false => xs.contiguous(),
                    };
                    let tensor = lying(&start).copy();
                    let working = tensor.to_kind(kind);
                    let mut parameters = [Parameter { working, tensor, ..parameter(&[0.0], 1) }];
                    let mut rule = Optimizer::new(&training(optimizer, 0.1), &parameters).unwrap();
                    for step in 1..=3 {
                        rule.step_at(&mut parameters, vec![gradient.to_kind(kind).copy()], 0.01, step).unwrap();
                    }
                    let [parameter] = parameters;
                    [parameter.tensor, parameter.working].map(|tensor| values(&tensor.contiguous()))
                };
                let (expected, found) = (moved(false), moved(true));
                assert!(expected[0] != values(&start), "{optimizer:?}");
                let off = found[0].iter().zip(&expected[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-6, "{optimizer:?} {kind:?}: {off}");
                assert_eq!(found[1], expected[1], "{optimizer:?} {kind:?}");
            }
        }
    }

    /// A case from `tests/fixtures/optimizers/pytorch.json`: one of PyTorch's optimizers.
    #[derive(serde::Deserialize)]
    struct Case {
        optimizer: recipe::Optimizer,
        weight_decay: f64,
        rate: f64,
        /// The weights after a step, by step.
        weights: std::collections::BTreeMap<u64, Vec<f64>>,
    }

    /// Takes steps along the same gradients in float64. Keras and PyTorch differ in where epsilon is added (Adam,
    /// RMSprop) and in the effect of a changing step size (momentum). The cases therefore have a constant step size,
    /// and an epsilon too small to matter or a form on which both agree. See make.py next to the fixture.
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
                rule.step_at(&mut parameters, vec![gradient], rate, step).unwrap();
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
