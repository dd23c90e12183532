//! A network on the device: its weights, its running statistics, and its forward pass.

mod branches;
mod builder;

use tch::{Device, Kind, TchError, Tensor};

use super::fused_activation::FusedActivation;
use super::gpu_kernel::{self, KeysThere};
use super::step_rng::StepRng;
use branches::Branches;
use builder::Builder;
use sweep_core::recipe::{Init, Layer};
use sweep_data::datasets::Normalization;
use sweep_data::network::{Extent, Shape, shapes};

/// The purpose of a forward pass.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// Training: dropout is on, and batch norm uses the batch's statistics and updates the running ones. If the dropout
    /// keys are also on the device, they are read from there.
    Train(StepRng, KeysThere<'a>),
    /// Evaluation: dropout is off, and batch norm uses the running statistics.
    Evaluate,
}

/// A tensor of trainable weights.
pub struct Parameter {
    /// The layer's index and the role, such as `3.weight`.
    pub name: String,
    /// The float32 values.
    pub tensor: Tensor,
    /// The tensor that the layers use and have gradients for: the values themselves, or a copy with lower precision.
    pub working: Tensor,
    /// Whether `weight_decay` applies to the tensor.
    pub decays: bool,
    /// The max-norm constraint, if any.
    pub max_norm: Option<f64>,
}

impl Parameter {
    /// Updates the working copy after the values were written.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn refresh(&mut self) -> Result<(), TchError> {
        if self.has_working_copy() {
            tch::no_grad(|| self.working.f_copy_(&self.tensor))?;
        }
        Ok(())
    }

    /// Returns whether the layers use a copy of the values.
    pub fn has_working_copy(&self) -> bool {
        self.working.kind() != self.tensor.kind()
    }
}

/// One layer, which contains its weights.
type Stage = Box<dyn Fn(&Tensor, Mode<'_>) -> Result<Tensor, TchError>>;

/// A step of the forward pass.
enum Step {
    /// A layer, or several in one operation.
    Layer(Stage),
    /// A mark between branches: `Fork`, `Branch` or `Join`.
    Mark(Layer),
}

/// The source of a network's initial weights, which depend only on these values and on the layer's index.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// The sweep's seed.
    pub seed: u64,
    /// The trial's number.
    pub trial: u64,
    /// The initialization scheme.
    pub init: Init,
}

/// A network with its weights.
pub struct Network {
    /// The number type of the computation. The weights are always float32, and the logits have at least that precision.
    kind: Kind,
    /// Each with the index of its first layer.
    steps: Vec<(usize, Step)>,
    /// The parameters, in the order of the layers.
    pub parameters: Vec<Parameter>,
    /// Running statistics, named like parameters.
    buffers: Vec<(String, Tensor)>,
    /// What is subtracted from the channels of the images and what they are divided by, each `f32 [c]`.
    normalization: Option<[Tensor; 2]>,
}

impl Network {
    /// Builds the network with its initial weights.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    ///
    /// # Panics
    /// Panics if the layers do not fit `input`. This is checked before a trial is ordered.
    pub fn new(input: Shape, layers: &[Layer], start: Start, kind: Kind, device: Device) -> Result<Network, TchError> {
        let rows = shapes(input, layers).expect("shapes are checked before a trial is ordered").rows;
        let inputs = std::iter::once(Extent::Image(input)).chain(rows.iter().map(|row| row.output));
        let mut network =
            Network { kind, steps: Vec::new(), parameters: Vec::new(), buffers: Vec::new(), normalization: None };
        let (mut in_activation, mut bias) = (0, None);
        for (index, (input, layer)) in inputs.zip(layers).enumerate() {
            if index < in_activation {
                continue;
            }
            if matches!(layer, Layer::Fork | Layer::Branch | Layer::Join { .. }) {
                network.steps.push((index, Step::Mark(*layer)));
                continue;
            }
            let (activation, taken) = FusedActivation::at(layers, index);
            in_activation = index + taken;
            let stage: Stage = match taken {
                0 => {
                    // If a fused activation follows a convolution, its kernel adds the bias.
                    let (after, taken) = FusedActivation::at(layers, index + 1);
                    let apart = gpu_kernel::serve(device) && kind != Kind::Double && taken > 0;
                    let bias_apart = apart.then_some(None);
                    let mut builder = Builder { network: &mut network, index, start, device, bias: bias_apart, after };
                    let stage = builder.stage(input, layer)?;
                    bias = builder.bias.flatten();
                    stage
                }
                _ => {
                    let bias = bias.take();
                    Box::new(move |xs: &Tensor, mode| activation.pass(xs, bias.as_ref(), mode))
                }
            };
            network.steps.push((index, Step::Layer(stage)));
        }
        Ok(network)
    }

    /// Normalizes the images first, if `normalization` is given. Its values are part of the network's state.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn normalized(mut self, normalization: Option<&Normalization>, device: Device) -> Result<Network, TchError> {
        if let Some(Normalization { means, deviations }) = normalization {
            let there = |values: &[f64]| Tensor::f_from_slice(values)?.f_to_kind(Kind::Float)?.f_to_device(device);
            let (offset, divisor) = (there(means)?, there(deviations)?);
            for (name, tensor) in [("input.offset", &offset), ("input.divisor", &divisor)] {
                self.buffers.push((name.to_owned(), tensor.shallow_clone()));
            }
            self.normalization = Some([offset, divisor]);
        }
        Ok(self)
    }

    /// Computes logits `f32 [b, classes]` from images `f32 [b, c, h, w]`.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn forward(&self, xs: &Tensor, mode: Mode<'_>) -> Result<Tensor, TchError> {
        self.forward_observed(xs, mode, &mut |_, _| Ok(()))
    }

    /// Does what [`Network::forward`] does, and calls `observe` with what comes out of each stage and the index of its first
    /// layer. A stage is a layer, or the pool, ReLU and dropout between two layers with weights.
    ///
    /// # Errors
    /// libtorch's, where the device has no room, and those of `observe`.
    pub fn forward_observed(
        &self,
        xs: &Tensor,
        mode: Mode<'_>,
        observe: &mut dyn FnMut(usize, &Tensor) -> Result<(), TchError>,
    ) -> Result<Tensor, TchError> {
        let mut xs = match &self.normalization {
            Some([offset, divisor]) => {
                let wide = |values: &Tensor| values.f_view([1, -1, 1, 1]);
                xs.f_sub(&wide(offset)?)?.f_div(&wide(divisor)?)?.f_to_kind(self.kind)?
            }
            None => xs.f_to_kind(self.kind)?,
        };
        let mut branches = Branches::default();
        for (first, step) in &self.steps {
            xs = match step {
                Step::Layer(stage) => stage(&xs, mode)?,
                Step::Mark(mark) => branches.pass(xs, mark)?,
            };
            observe(*first, &xs)?;
        }
        if self.kind == Kind::BFloat16 { xs.f_to_kind(Kind::Float) } else { Ok(xs) }
    }

    /// Returns the gradient of the loss with respect to each parameter, in their order and in the number type of the
    /// working copy.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let parameters: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.working).collect();
        Tensor::f_run_backward(&[loss], &parameters, false, false)
    }

    /// Returns everything that evaluation depends on, by name. The tensors are the network's own, not copies. A caller
    /// that writes to them must call [`Parameter::refresh`] afterwards.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let parameters = self.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.tensor.detach()));
        let buffers = self.buffers.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        parameters.chain(buffers).collect()
    }

    /// Returns the number of trainable values.
    pub fn parameter_count(&self) -> u64 {
        self.parameters.iter().map(|parameter| parameter.tensor.numel() as u64).sum()
    }
}

#[cfg(test)]
pub use tests::in_double;

#[cfg(test)]
mod tests {
    use super::super::evaluation::cross_entropy;
    use super::*;
    use sweep_core::recipe::{Join, Padding};
    use sweep_data::network::{PRESETS, Template, same_padding};

    const START: Start = Start { seed: 7, trial: 1, init: Init::Keras };
    const IMAGE: Shape = Shape { channels: 3, height: 32, width: 32 };

    #[test]
    fn every_preset_has_the_parameters_that_the_planner_counts() {
        for name in PRESETS {
            let lookup = |name: &str| (name == "classes").then(|| 10.into());
            let layers = Template::preset(name).unwrap().layers(&lookup).unwrap_or_else(|_| panic!("{name}"));
            let network = Network::new(IMAGE, &layers, START, Kind::Float, Device::Cpu).unwrap();
            assert_eq!(network.parameter_count(), shapes(IMAGE, &layers).unwrap().parameters, "{name}");
            let logits = network.forward(&Tensor::zeros([2, 3, 32, 32], (Kind::Float, Device::Cpu)), Mode::Evaluate);
            assert_eq!(logits.unwrap().size(), [2, 10], "{name}");
        }
    }

    /// Compares even kernels, with and without stride, with the explicit sum. Output (y, x) is the sum over the kernel
    /// of input (y * stride + i - before), with zeros outside.
    #[test]
    fn same_padding_of_even_kernels_puts_the_odd_zero_right_and_below() {
        for (kernel, stride, side) in [(4, 1, 5), (2, 1, 6), (4, 2, 7), (3, 2, 6), (2, 3, 7)] {
            let input = Shape { channels: 2, height: side, width: side };
            let layer = Layer::Conv { filters: 3, kernel, stride, padding: Padding::Same, bias: true, max_norm: None };
            let network = Network::new(input, &[layer], START, Kind::Float, Device::Cpu).unwrap();
            let xs = Tensor::rand([1, 2, side.into(), side.into()], (Kind::Float, Device::Cpu));
            let ys = network.forward(&xs, Mode::Evaluate).unwrap();
            let out = side.div_ceil(stride) as i64;
            assert_eq!(ys.size(), [1, 3, out, out]);
            let (before, weight) = (same_padding(side, kernel, stride).0 as i64, &network.parameters[0].tensor);
            for (y, x) in [(0, 0), (0, out - 1), (out - 1, 0), (out - 1, out - 1), (1, 1)] {
                let mut sum = 0.0;
                for (c, i, j) in places(2, kernel.into()) {
                    let (row, column) = (y * i64::from(stride) + i - before, x * i64::from(stride) + j - before);
                    if (0..side.into()).contains(&row) && (0..side.into()).contains(&column) {
                        sum += xs.double_value(&[0, c, row, column]) * weight.double_value(&[1, c, i, j]);
                    }
                }
                assert!((ys.double_value(&[0, 1, y, x]) - sum).abs() < 1e-5, "{kernel} {stride} {side} at {y} {x}");
            }
        }
    }

    fn places(channels: i64, kernel: i64) -> Vec<(i64, i64, i64)> {
        let plane = |c| (0..kernel).flat_map(move |i| (0..kernel).map(move |j| (c, i, j)));
        (0..channels).flat_map(plane).collect()
    }

    #[test]
    fn batch_norm_remembers_as_keras_does_even_from_a_single_image() {
        let input = Shape { channels: 1, height: 1, width: 2 };
        let layers = [Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 }];
        let network = Network::new(input, &layers, START, Kind::Float, Device::Cpu).unwrap();
        let rng = StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap();
        // The mean is 2 and the variance over n is 1.
        let xs = Tensor::from_slice(&[1.0f32, 3.0]).view([1, 1, 1, 2]);
        let _ = network.forward(&xs, Mode::Train(rng, None)).unwrap();
        let near = |index: usize, value: f64| (network.buffers[index].1.double_value(&[0]) - value).abs() < 1e-5;
        assert!(near(0, 0.2) && near(1, 1.0));
        let network = Network::new(input, &[Layer::Flatten, layers[0]], START, Kind::Float, Device::Cpu).unwrap();
        let _ = network.forward(&xs, Mode::Train(rng, None)).unwrap();
        assert!((network.buffers[1].1.double_value(&[0]) - 0.9).abs() < 1e-5);
    }

    #[test]
    fn first_weights_fill_keras_range_and_depend_on_seed_trial_and_layer() {
        let layer = Layer::Dense { units: 200, bias: true, max_norm: None };
        let first = |seed, trial, layers: &[Layer]| {
            let input = Shape { channels: 1, height: 10, width: 10 };
            Network::new(input, layers, Start { seed, trial, init: Init::Keras }, Kind::Float, Device::Cpu)
                .unwrap()
                .parameters[0]
                .tensor
                .detach()
        };
        let weight = first(7, 1, &[Layer::Flatten, layer]);
        let limit = (6.0f64 / 300.0).sqrt();
        assert!(weight.abs().max().double_value(&[]) <= limit && weight.abs().max().double_value(&[]) > 0.99 * limit);
        assert!((weight.std(true).double_value(&[]) - limit / 3.0f64.sqrt()).abs() < 0.01 * limit);
        assert!(weight.equal(&first(7, 1, &[Layer::Flatten, layer])));
        for other in [first(8, 1, &[Layer::Flatten, layer]), first(7, 2, &[Layer::Flatten, layer])] {
            assert!(!weight.equal(&other));
        }
        assert!(!weight.equal(&first(7, 1, &[Layer::Flatten, Layer::Relu, layer])));
    }

    #[test]
    fn torchs_first_weights_fill_its_range_biases_too() {
        let layers = [Layer::Flatten, Layer::Dense { units: 200, bias: true, max_norm: None }];
        let input = Shape { channels: 1, height: 10, width: 10 };
        let start = Start { init: Init::Torch, ..START };
        let network = Network::new(input, &layers, start, Kind::Float, Device::Cpu).unwrap();
        for parameter in &network.parameters {
            let most = parameter.tensor.detach().abs().max().double_value(&[]);
            assert!(most <= 0.1 && most > 0.095, "{}: {most}", parameter.name);
        }
    }

    #[test]
    fn bfloat16_is_near_float32_and_leaves_weights_and_logits_in_it() {
        let layers = every_kind_of_layer();
        let build = |kind| Network::new(IMAGE, &layers, START, kind, Device::Cpu).unwrap();
        let xs = Tensor::rand([4, 3, 32, 32], (Kind::Float, Device::Cpu));
        let labels = Tensor::from_slice(&[1i64, 0, 2, 1]);
        let run = |network: &Network| {
            let logits =
                network.forward(&xs, Mode::Train(StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap(), None)).unwrap();
            let loss = logits.cross_entropy_for_logits(&labels);
            (network.gradients(&loss).unwrap(), logits)
        };
        let (half, full) = (build(Kind::BFloat16), build(Kind::Float));
        let ((gradients, logits), (_, expected)) = (run(&half), run(&full));
        assert_eq!(logits.kind(), Kind::Float);
        assert!(gradients.iter().zip(&half.parameters).all(|(found, of)| found.kind() == of.working.kind()));
        assert!(half.state().iter().all(|(_, tensor)| tensor.kind() == Kind::Float));
        let off = (logits - &expected).abs().max().double_value(&[]);
        assert!(off > 0.0 && off < 0.1 * expected.abs().max().double_value(&[]), "{off}");
    }

    fn every_kind_of_layer() -> Vec<Layer> {
        let conv = |stride, padding| Layer::Conv { filters: 3, kernel: 3, stride, padding, bias: true, max_norm: None };
        let dense = |units| Layer::Dense { units, bias: true, max_norm: None };
        vec![
            conv(1, Padding::Same),
            Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 },
            Layer::Gelu,
            Layer::MaxPool { size: 2, stride: 2 },
            conv(2, Padding::Valid),
            Layer::Tanh,
            Layer::Dropout { rate: 0.2 },
            conv(2, Padding::Same),
            Layer::AveragePool { size: 2, stride: 1 },
            Layer::Flatten,
            dense(6),
            Layer::Relu,
            Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 },
            dense(4),
            Layer::Sigmoid,
            dense(3),
        ]
    }

    /// The kinds of layer that the other networks do not have. Its pools have no equal values to choose from.
    fn branching_layers() -> Vec<Layer> {
        let (padding, max_norm) = (Padding::Same, None);
        let conv = |filters, kernel, stride| Layer::Conv { filters, kernel, stride, padding, bias: false, max_norm };
        let dense = |units| Layer::Dense { units, bias: true, max_norm };
        vec![
            conv(4, 3, 2),
            Layer::LayerNorm { epsilon: 1e-3 },
            Layer::Silu,
            Layer::Fork,
            Layer::GroupedConv { filters: 6, groups: 2, kernel: 3, stride: 2, padding, bias: true, max_norm },
            Layer::GroupNorm { groups: 3, epsilon: 1e-3 },
            Layer::Relu,
            Layer::Dropout { rate: 0.2 },
            Layer::Branch,
            conv(6, 1, 2),
            Layer::Join { by: Join::Add },
            Layer::Relu,
            Layer::Fork,
            Layer::GlobalAveragePool,
            dense(6),
            Layer::Sigmoid,
            Layer::Branch,
            Layer::Join { by: Join::Multiply },
            Layer::Fork,
            Layer::Depthwise { kernel: 3, stride: 1, padding, bias: true, max_norm },
            Layer::LeakyRelu { slope: 0.1 },
            Layer::Branch,
            Layer::Fork,
            Layer::Tanh,
            Layer::Branch,
            Layer::Join { by: Join::Add },
            Layer::Branch,
            Layer::Join { by: Join::Concat },
            Layer::GlobalMaxPool,
            Layer::LayerNorm { epsilon: 1e-3 },
            dense(3),
            Layer::Scale { by: 0.5 },
        ]
    }

    #[test]
    fn branching_layers_have_the_parameters_that_the_planner_counts_in_every_number_type() {
        let layers = branching_layers();
        let count = shapes(IMAGE, &layers).unwrap().parameters;
        let xs = Tensor::rand([4, 32, 32, 3], (Kind::Float, Device::Cpu)).permute([0, 3, 1, 2]);
        for kind in [Kind::Float, Kind::BFloat16] {
            let network = Network::new(IMAGE, &layers, START, kind, Device::Cpu).unwrap();
            assert_eq!(network.parameter_count(), count);
            let rng = StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap();
            let logits = network.forward(&xs, Mode::Train(rng, None)).unwrap();
            let loss = cross_entropy(&logits, &Tensor::from_slice(&[1i64, 0, 2, 1]), 0.0).unwrap();
            let gradients = network.gradients(&loss).unwrap();
            assert!(gradients.iter().all(|gradient| gradient.isfinite().all().int64_value(&[]) == 1));
            assert!(gradients.iter().zip(&network.parameters).all(|(found, of)| found.kind() == of.working.kind()));
        }
    }

    #[test]
    fn images_are_normalized_before_the_first_layer_and_the_values_are_part_of_the_state() {
        let input = Shape { channels: 2, height: 1, width: 1 };
        let layers = [Layer::Flatten, Layer::Dense { units: 3, bias: true, max_norm: None }];
        let build = || Network::new(input, &layers, START, Kind::Float, Device::Cpu).unwrap();
        let normalization = Normalization { means: vec![0.5, 0.25], deviations: vec![0.5, 0.125] };
        let normalized = build().normalized(Some(&normalization), Device::Cpu).unwrap();
        let forward = |network: &Network, values: [f32; 2]| {
            network.forward(&Tensor::from_slice(&values).view([1, 2, 1, 1]), Mode::Evaluate).unwrap()
        };
        assert!(forward(&normalized, [1.0, 0.0]).equal(&forward(&build(), [1.0, -2.0])));
        let names: Vec<String> = normalized.state().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["1.weight", "1.bias", "input.offset", "input.divisor"]);
    }

    /// A branch must not overwrite what the next one begins from.
    #[test]
    fn branches_begin_from_the_same_values() {
        let input = Shape { channels: 2, height: 4, width: 4 };
        let double = [Layer::Fork, Layer::Relu, Layer::Branch, Layer::Join { by: Join::Add }];
        let conv = Layer::Conv { filters: 2, kernel: 1, stride: 1, padding: Padding::Same, bias: true, max_norm: None };
        for before in
            [vec![], vec![conv], vec![conv, Layer::Relu], vec![Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 }]]
        {
            let build = |layers: &[Layer]| Network::new(input, layers, START, Kind::Float, Device::Cpu).unwrap();
            let (bare, whole) = (build(&before), build(&[before.clone(), double.to_vec()].concat()));
            let xs = Tensor::randn([3, 2, 4, 4], (Kind::Float, Device::Cpu));
            let mode = || Mode::Train(StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap(), None);
            let (first, second) = (bare.forward(&xs, mode()).unwrap(), whole.forward(&xs, mode()).unwrap());
            assert!(second.allclose(&(first.relu() + &first), 1e-6, 1e-6, false), "{before:?}");
        }
    }

    /// Converts weights and statistics to float64 in place, where the layers hold them, like PyTorch's `double()`.
    pub fn in_double(network: &mut Network) {
        let _guard = tch::no_grad_guard();
        let parameters = network.parameters.iter_mut().map(|parameter| &mut parameter.tensor);
        for tensor in parameters.chain(network.buffers.iter_mut().map(|(_, tensor)| tensor)) {
            let double = tensor.detach().to_kind(Kind::Double).contiguous();
            tensor.set_data(&double);
        }
    }

    /// Compares gradients with finite differences of the loss, weight by weight. The first network has every kind of
    /// layer except global average pooling, after which no spatial layer can follow. The second network has that one.
    #[test]
    fn gradients_of_every_kind_of_layer_are_the_slopes_of_the_loss() {
        let global = vec![
            Layer::Conv { filters: 5, kernel: 2, stride: 1, padding: Padding::Same, bias: false, max_norm: None },
            Layer::Sigmoid,
            Layer::GlobalAveragePool,
            Layer::Dense { units: 3, bias: false, max_norm: None },
        ];
        let input = Shape { channels: 2, height: 14, width: 15 };
        let labels = Tensor::from_slice(&[1i64, 0, 2, 1, 2, 0]);
        let values: Vec<f64> = (0..6 * 2 * 14 * 15).map(|i| (f64::from(i) * 1.3).sin()).collect();
        let xs = Tensor::from_slice(&values).view([6, 2, 14, 15]);
        // What a branch that ends in a ReLU does with its gradient must not reach the other branches.
        let (padding, max_norm) = (Padding::Same, None);
        let conv = Layer::Conv { filters: 3, kernel: 3, stride: 1, padding, bias: true, max_norm };
        let (fork, relu, branch, add) = (Layer::Fork, Layer::Relu, Layer::Branch, Layer::Join { by: Join::Add });
        let shared = vec![conv, fork, conv, relu, branch, add, Layer::Tanh, fork, conv, relu, Layer::Flatten, branch];
        let end = [Layer::Flatten, add, Layer::Dense { units: 3, bias: true, max_norm }];
        let shared = [shared, end.to_vec()].concat();
        for layers in [every_kind_of_layer(), global, branching_layers(), shared] {
            let mut network = Network::new(input, &layers, START, Kind::Double, Device::Cpu).unwrap();
            in_double(&mut network);
            let loss = |network: &Network| {
                let logits = network
                    .forward(&xs, Mode::Train(StepRng::new(7, 1, 1, 0).seeded(Device::Cpu).unwrap(), None))
                    .unwrap();
                cross_entropy(&logits, &labels, 0.0).unwrap()
            };
            let gradients = network.gradients(&loss(&network)).unwrap();
            let _guard = tch::no_grad_guard();
            for (parameter, gradient) in network.parameters.iter().zip(&gradients) {
                let flat = parameter.tensor.detach().view(-1);
                for place in (0..flat.numel() as i64).step_by(3) {
                    let moved = |by: f64| {
                        let _ = flat.get(place).g_add_scalar_(by);
                        loss(&network).double_value(&[])
                    };
                    const STEP: f64 = 1e-6;
                    let slope = (moved(STEP) - moved(-2.0 * STEP)) / (2.0 * STEP);
                    moved(STEP);
                    let found = gradient.contiguous().view(-1).double_value(&[place]);
                    assert!((slope - found).abs() < 1e-7, "{}[{place}]: {slope} != {found}", parameter.name);
                }
            }
        }
    }
}
