//! A network on the device: its weights, its running statistics, and the way through it.

use tch::{Device, Kind, TchError, Tensor};

use super::draws::Draws;
use sweep::random::{Purpose, stream};
use sweep::recipe::{Layer, Padding};
use sweep::train::model::{Extent, Shape, same_padding, shapes};

/// What the network is run for.
#[derive(Clone, Copy)]
pub enum Mode {
    /// To learn: dropout drops, batch norm takes the batch's statistics and remembers them.
    Train(Draws),
    /// To judge: neither.
    Evaluate,
}

/// Trainable weights.
pub struct Parameter {
    /// The layer's index and the role: `3.weight`.
    pub name: String,
    /// The values, with a gradient.
    pub tensor: Tensor,
    /// Whether `weight_decay` is for it.
    pub decays: bool,
    /// Its max-norm.
    pub max_norm: Option<f64>,
}

/// One layer, with its weights in it.
type Stage = Box<dyn Fn(&Tensor, Mode) -> Result<Tensor, TchError>>;

/// A network with its weights.
pub struct Network {
    stages: Vec<Stage>,
    /// In the order of the layers.
    pub parameters: Vec<Parameter>,
    /// Running statistics, named like parameters.
    buffers: Vec<(String, Tensor)>,
}

impl Network {
    /// Builds it with its first weights: Glorot uniform (Glorot and Bengio 2010), biases zero, as in Keras. They are
    /// a function of the seed, the trial and the layer's index alone.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    ///
    /// # Panics
    /// If the layers do not fit `input`: that is found before a trial is ordered.
    pub fn new(input: Shape, layers: &[Layer], seed: u64, trial: u64, device: Device) -> Result<Network, TchError> {
        let rows = shapes(input, layers).expect("shapes are checked before a trial is ordered").rows;
        let inputs = std::iter::once(Extent::Picture(input)).chain(rows.iter().map(|row| row.output));
        let mut network = Network { stages: Vec::new(), parameters: Vec::new(), buffers: Vec::new() };
        for (index, (input, layer)) in inputs.zip(layers).enumerate() {
            let stage = Builder { network: &mut network, index, seed, trial, device }.stage(input, layer)?;
            network.stages.push(stage);
        }
        Ok(network)
    }

    /// Pictures `f32 [b, c, h, w]` to logits `f32 [b, classes]`.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn forward(&self, xs: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let mut xs = xs.shallow_clone();
        for stage in &self.stages {
            xs = stage(&xs, mode)?;
        }
        Ok(xs)
    }

    /// The loss' gradient for each parameter, in their order.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Tensor>, TchError> {
        let parameters: Vec<&Tensor> = self.parameters.iter().map(|parameter| &parameter.tensor).collect();
        Tensor::f_run_backward(&[loss], &parameters, false, false)
    }

    /// Everything that evaluation depends on, by name. The tensors are the network's own, not copies.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let parameters = self.parameters.iter().map(|parameter| (parameter.name.clone(), parameter.tensor.detach()));
        let buffers = self.buffers.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        parameters.chain(buffers).collect()
    }

    /// Trainable values.
    pub fn parameter_count(&self) -> u64 {
        self.parameters.iter().map(|parameter| parameter.tensor.numel() as u64).sum()
    }
}

/// Adds one layer to a network.
struct Builder<'a> {
    network: &'a mut Network,
    index: usize,
    seed: u64,
    trial: u64,
    device: Device,
}

impl Builder<'_> {
    fn stage(mut self, input: Extent, layer: &Layer) -> Result<Stage, TchError> {
        let index = self.index;
        Ok(match *layer {
            Layer::Conv { filters, kernel, stride, padding, bias, max_norm } => {
                let Extent::Picture(shape) = input else { unreachable!("shapes() lets no vector reach a convolution") };
                let weight = self.glorot(&[filters, shape.channels, kernel, kernel], max_norm)?;
                let bias = bias.then(|| self.constant("bias", filters, 0.0)).transpose()?;
                let (border, padding) = border(shape, kernel, stride, padding);
                let stride = i64::from(stride);
                Box::new(move |xs, _| {
                    let xs = match &border {
                        Some(border) => xs.f_constant_pad_nd(border)?,
                        None => xs.shallow_clone(),
                    };
                    xs.f_conv2d(&weight, bias.as_ref(), [stride, stride], padding, [1, 1], 1)
                })
            }
            Layer::Dense { units, bias, max_norm } => {
                let Extent::Vector(inputs) = input else {
                    unreachable!("shapes() lets no picture reach a dense layer")
                };
                let weight = self.glorot(&[units, inputs], max_norm)?;
                let bias = bias.then(|| self.constant("bias", units, 0.0)).transpose()?;
                Box::new(move |xs, _| xs.f_linear(&weight, bias.as_ref()))
            }
            Layer::BatchNorm { momentum, epsilon } => {
                let channels = match input {
                    Extent::Picture(shape) => shape.channels,
                    Extent::Vector(values) => values,
                };
                let (scale, shift) = (self.constant("scale", channels, 1.0)?, self.constant("shift", channels, 0.0)?);
                let (mean, variance) = (self.buffer("mean", channels, 0.0)?, self.buffer("variance", channels, 1.0)?);
                Box::new(move |xs, mode| match mode {
                    Mode::Evaluate => xs.f_batch_norm(
                        Some(&scale),
                        Some(&shift),
                        Some(&mean),
                        Some(&variance),
                        false,
                        0.0,
                        epsilon,
                        true,
                    ),
                    Mode::Train(_) => {
                        let (ys, batch_mean, batch_deviation) = xs.f_native_batch_norm(
                            Some(&scale),
                            Some(&shift),
                            None::<&Tensor>,
                            None,
                            true,
                            0.0,
                            epsilon,
                        )?;
                        // Keras remembers the variance over n, libtorch would over n - 1, which is infinite where
                        // the last batch of an epoch is a single picture.
                        tch::no_grad(|| {
                            let batch_variance = batch_deviation.f_pow_tensor_scalar(-2)?.f_add_scalar_(-epsilon)?;
                            let _ = mean.shallow_clone().f_lerp_(&batch_mean, 1.0 - momentum)?;
                            let _ = variance.shallow_clone().f_lerp_(&batch_variance, 1.0 - momentum)?;
                            Ok::<(), TchError>(())
                        })?;
                        Ok(ys)
                    }
                })
            }
            Layer::Dropout { rate } => Box::new(move |xs, mode| match mode {
                Mode::Train(draws) => draws.dropout(xs, rate, index),
                Mode::Evaluate => Ok(xs.shallow_clone()),
            }),
            Layer::MaxPool { size, stride } => {
                let (size, stride) = (i64::from(size), i64::from(stride));
                Box::new(move |xs, _| xs.f_max_pool2d([size, size], [stride, stride], [0, 0], [1, 1], false))
            }
            Layer::AveragePool { size, stride } => {
                let (size, stride) = (i64::from(size), i64::from(stride));
                Box::new(move |xs, _| xs.f_avg_pool2d([size, size], [stride, stride], [0, 0], false, true, None))
            }
            Layer::GlobalAveragePool => Box::new(|xs, _| xs.f_mean_dim([2, 3].as_slice(), false, None)),
            Layer::Relu => Box::new(|xs, _| xs.f_relu()),
            Layer::Tanh => Box::new(|xs, _| xs.f_tanh()),
            Layer::Gelu => Box::new(|xs, _| xs.f_gelu("none")),
            Layer::Sigmoid => Box::new(|xs, _| xs.f_sigmoid()),
            Layer::Flatten => Box::new(|xs, _| xs.f_flatten(1, -1)),
        })
    }

    /// Weights `[outputs, inputs, kernel…]`, uniform within sqrt(6 / (fan in + fan out)); a fan is channels times
    /// kernel area. A convolution's lie channels-last, like the pictures, so that nothing is rearranged in a step.
    fn glorot(&mut self, size: &[u32], max_norm: Option<f64>) -> Result<Tensor, TchError> {
        let size: Vec<i64> = size.iter().map(|&side| side.into()).collect();
        let area: i64 = size[2..].iter().product();
        let limit = (6.0 / ((size[0] + size[1]) * area) as f64).sqrt();
        let mut random = stream(self.seed, self.trial, 0, Purpose::Weights);
        random.set_stream(self.index as u64);
        let values: Vec<f32> = (0..size.iter().product())
            .map(|_| ((2.0 * rand::RngExt::random::<f64>(&mut random) - 1.0) * limit) as f32)
            .collect();
        let mut tensor = Tensor::f_from_slice(&values)?.f_view(size.as_slice())?;
        if size.len() == 4 {
            tensor = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        }
        self.parameter("weight", tensor.f_to_device(self.device)?, true, max_norm)
    }

    fn constant(&mut self, role: &str, length: u32, value: f64) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_full([i64::from(length)], value, (Kind::Float, self.device))?;
        self.parameter(role, tensor, false, None)
    }

    fn parameter(
        &mut self,
        role: &str,
        tensor: Tensor,
        decays: bool,
        max_norm: Option<f64>,
    ) -> Result<Tensor, TchError> {
        let tensor = tensor.f_set_requires_grad(true)?;
        let name = format!("{}.{role}", self.index);
        self.network.parameters.push(Parameter { name, tensor: tensor.shallow_clone(), decays, max_norm });
        Ok(tensor)
    }

    fn buffer(&mut self, role: &str, length: u32, value: f64) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_full([i64::from(length)], value, (Kind::Float, self.device))?;
        self.network.buffers.push((format!("{}.{role}", self.index), tensor.shallow_clone()));
        Ok(tensor)
    }
}

/// What a convolution does at the border: zeros that must be put there first, as left, right, top, bottom, where the
/// two ends of a side differ; else the padding of height and width, which the convolution does itself.
fn border(shape: Shape, kernel: u32, stride: u32, padding: Padding) -> (Option<[i64; 4]>, [i64; 2]) {
    if padding == Padding::Valid {
        return (None, [0, 0]);
    }
    let (top, bottom) = same_padding(shape.height, kernel, stride);
    let (left, right) = same_padding(shape.width, kernel, stride);
    if (top, left) == (bottom, right) {
        (None, [top.into(), left.into()])
    } else {
        (Some([left, right, top, bottom].map(i64::from)), [0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep::train::model::{PRESETS, Template};

    const PICTURE: Shape = Shape { channels: 3, height: 32, width: 32 };

    #[test]
    fn every_preset_has_the_parameters_that_the_planner_counts() {
        for name in PRESETS {
            let lookup = |name: &str| (name == "classes").then(|| 10.into());
            let layers = Template::preset(name).unwrap().layers(&lookup).unwrap_or_else(|_| panic!("{name}"));
            let network = Network::new(PICTURE, &layers, 7, 1, Device::Cpu).unwrap();
            assert_eq!(network.parameter_count(), shapes(PICTURE, &layers).unwrap().parameters, "{name}");
            let logits = network.forward(&Tensor::zeros([2, 3, 32, 32], (Kind::Float, Device::Cpu)), Mode::Evaluate);
            assert_eq!(logits.unwrap().size(), [2, 10], "{name}");
        }
    }

    /// An even kernel, with and without stride, against the sum written out: output (y, x) is the sum over the
    /// kernel of input (y * stride + i - before), with zeros outside.
    #[test]
    fn same_padding_of_even_kernels_puts_the_odd_zero_right_and_below() {
        for (kernel, stride, side) in [(4, 1, 5), (2, 1, 6), (4, 2, 7), (3, 2, 6), (2, 3, 7)] {
            let input = Shape { channels: 2, height: side, width: side };
            let layer = Layer::Conv { filters: 3, kernel, stride, padding: Padding::Same, bias: true, max_norm: None };
            let network = Network::new(input, &[layer], 7, 1, Device::Cpu).unwrap();
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
    fn batch_norm_remembers_as_keras_does_even_from_a_single_picture() {
        let input = Shape { channels: 1, height: 1, width: 2 };
        let layers = [Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 }];
        let network = Network::new(input, &layers, 7, 1, Device::Cpu).unwrap();
        let draws = Draws::new(7, 1, 1, 0, Device::Cpu);
        // Mean 2, variance over n 1.
        let xs = Tensor::from_slice(&[1.0f32, 3.0]).view([1, 1, 1, 2]);
        let _ = network.forward(&xs, Mode::Train(draws)).unwrap();
        let near = |index: usize, value: f64| (network.buffers[index].1.double_value(&[0]) - value).abs() < 1e-5;
        assert!(near(0, 0.2) && near(1, 1.0));
        let network = Network::new(input, &[Layer::Flatten, layers[0]], 7, 1, Device::Cpu).unwrap();
        let _ = network.forward(&xs, Mode::Train(draws)).unwrap();
        assert!((network.buffers[1].1.double_value(&[0]) - 0.9).abs() < 1e-5);
    }

    #[test]
    fn first_weights_fill_keras_range_and_depend_on_seed_trial_and_layer() {
        let layer = Layer::Dense { units: 200, bias: true, max_norm: None };
        let first = |seed, trial, layers: &[Layer]| {
            let input = Shape { channels: 1, height: 10, width: 10 };
            Network::new(input, layers, seed, trial, Device::Cpu).unwrap().parameters[0].tensor.detach()
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
}
