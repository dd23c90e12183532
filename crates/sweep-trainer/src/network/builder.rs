//! One layer at a time: its initial weights, and its operation.

use rand::RngExt;
use tch::{Device, Kind, TchError, Tensor};

use super::super::convolution::Convolution;
use super::super::fused_activation::{FusedActivation, has_norm_kernel};
use super::super::libtorch::operation;
use super::{Mode, Network, Parameter, Stage, Start};
use sweep_core::random::{Purpose, stream};
use sweep_core::recipe::{Init, Layer, Padding};
use sweep_data::network::{Extent, Shape, same_padding};
use sweep_kernels::dense;

/// Adds one layer to a network.
pub struct Builder<'a> {
    pub network: &'a mut Network,
    pub index: usize,
    pub start: Start,
    pub device: Device,
    /// Receives the bias of a convolution if the fused activation after it adds the bias.
    pub bias: Option<Option<Tensor>>,
    /// The fused activation after the layer.
    pub after: FusedActivation,
}

impl Builder<'_> {
    /// Builds the operation of one layer, and adds its parameters and statistics to the network.
    pub fn stage(&mut self, input: Extent, layer: &Layer) -> Result<Stage, TchError> {
        Ok(match *layer {
            Layer::Conv { filters, kernel, stride, padding, bias, max_norm } => {
                self.convolution(input, [filters, kernel, stride], padding, bias, max_norm)?
            }
            Layer::GroupedConv { filters, groups, kernel, stride, padding, bias, max_norm } => {
                self.grouped(input, [filters, groups, kernel, stride], padding, bias, max_norm)?
            }
            Layer::Depthwise { kernel, stride, padding, bias, max_norm } => {
                let channels = image(input).channels;
                self.grouped(input, [channels, channels, kernel, stride], padding, bias, max_norm)?
            }
            Layer::Dense { units, bias, max_norm } => {
                let Extent::Vector(inputs) = input else { unreachable!("shapes() lets no image reach a dense layer") };
                let (weight, bias) = self.weights(&[units, inputs], bias, max_norm)?;
                Box::new(move |xs, _| xs.f_linear(&weight, bias.as_ref()))
            }
            Layer::BatchNorm { momentum, epsilon } => self.batch_norm(input, momentum, epsilon)?,
            Layer::LayerNorm { epsilon } => self.layer_norm(input, epsilon)?,
            Layer::GroupNorm { groups, epsilon } => {
                let (scale, shift) = self.affine(input)?;
                Box::new(move |xs, _| {
                    let [scale, shift] = in_kind_of(xs, [&scale, &shift])?;
                    xs.f_group_norm(groups.into(), Some(&scale), Some(&shift), epsilon, true)
                })
            }
            Layer::Relu | Layer::Dropout { .. } => unreachable!("these are always part of a fused activation"),
            Layer::Fork | Layer::Branch | Layer::Join { .. } => unreachable!("these are steps of their own"),
            _ => without_weights(layer),
        })
    }

    fn convolution(
        &mut self,
        input: Extent,
        [filters, kernel, stride]: [u32; 3],
        padding: Padding,
        bias: bool,
        max_norm: Option<f64>,
    ) -> Result<Stage, TchError> {
        let shape = image(input);
        let (weight, bias) = self.weights(&[filters, shape.channels, kernel, kernel], bias, max_norm)?;
        let (border, padding) = border(shape, kernel, stride, padding);
        let bias = match &mut self.bias {
            Some(apart) => {
                *apart = bias;
                None
            }
            None => bias,
        };
        let convolution = Convolution { weight, bias, kernel, stride, padding };
        Ok(Box::new(move |xs, mode| match &border {
            Some(border) => convolution.pass(&xs.f_constant_pad_nd(border)?, mode),
            None => convolution.pass(xs, mode),
        }))
    }

    fn batch_norm(&mut self, input: Extent, momentum: f64, epsilon: f64) -> Result<Stage, TchError> {
        let channels = channels(input);
        let (scale, shift) = self.affine(input)?;
        let (mean, variance) = (self.buffer("mean", channels, 0.0)?, self.buffer("variance", channels, 1.0)?);
        let after = self.after;
        let batch_norm = BatchNorm { scale, shift, mean, variance, momentum, epsilon, after };
        Ok(Box::new(move |xs, mode| match mode {
            Mode::Train(..) => batch_norm.train(xs),
            Mode::Evaluate => batch_norm.evaluate(xs),
        }))
    }

    fn layer_norm(&mut self, input: Extent, epsilon: f64) -> Result<Stage, TchError> {
        let (scale, shift) = self.affine(input)?;
        let length = [scale.size()[0]];
        let over = move |xs: &Tensor| {
            let [scale, shift] = in_kind_of(xs, [&scale, &shift])?;
            xs.f_layer_norm(length, Some(&scale), Some(&shift), epsilon, true)
        };
        // The channels of a pixel are adjacent in memory, so nothing is copied.
        Ok(match input {
            Extent::Vector(_) => Box::new(move |xs, _| over(xs)),
            Extent::Image(_) => Box::new(move |xs, _| over(&xs.f_permute([0, 2, 3, 1])?)?.f_permute([0, 3, 1, 2])),
        })
    }

    /// Draws weights `[outputs, inputs, kernel…]` and biases `[outputs]` from uniform distributions. A fan is the
    /// number of channels times the kernel area. The weights of a convolution are channels-last, like the images, so
    /// that a step does not have to reorder them.
    fn weights(
        &mut self,
        size: &[u32],
        bias: bool,
        max_norm: Option<f64>,
    ) -> Result<(Tensor, Option<Tensor>), TchError> {
        let size: Vec<i64> = size.iter().map(|&side| side.into()).collect();
        let area: i64 = size[2..].iter().product();
        let (fan_out, fan_in) = ((size[0] * area) as f64, (size[1] * area) as f64);
        let (limit, bias_limit) = match self.start.init {
            Init::Keras => ((6.0 / (fan_in + fan_out)).sqrt(), 0.0),
            Init::Torch => (1.0 / fan_in.sqrt(), 1.0 / fan_in.sqrt()),
        };
        let mut random = stream(self.start.seed, self.start.trial, 0, Purpose::Weights);
        random.set_stream(self.index as u64);
        let mut draw = |many: i64, limit: f64| {
            let value = |_| ((2.0 * random.random::<f64>() - 1.0) * limit) as f32;
            Tensor::f_from_slice(&(0..many).map(value).collect::<Vec<_>>())
        };
        let mut tensor = draw(size.iter().product(), limit)?.f_view(size.as_slice())?;
        if size.len() == 4 {
            tensor = tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?;
        }
        let biases = bias.then(|| draw(size[0], bias_limit)).transpose()?;
        let weight = self.parameter("weight", tensor.f_to_device(self.device)?, true, max_norm)?;
        let bias = match biases {
            Some(biases) => Some(self.parameter("bias", biases.f_to_device(self.device)?, false, None)?),
            None => None,
        };
        Ok((weight, bias))
    }

    /// Builds a convolution in groups. `sizes` are its filters, its groups, the side of its kernel and its stride.
    fn grouped(
        &mut self,
        input: Extent,
        sizes: [u32; 4],
        padding: Padding,
        bias: bool,
        max_norm: Option<f64>,
    ) -> Result<Stage, TchError> {
        let (shape, [filters, groups, kernel, stride]) = (image(input), sizes);
        let (weight, bias) = self.weights(&[filters, shape.channels / groups, kernel, kernel], bias, max_norm)?;
        let (mut border, mut padding) = border(shape, kernel, stride, padding);
        // oneDNN computes the weights' gradient fifty times as fast if the images are not smaller than the kernel.
        if kernel == 3 && padding == [1, 1] && shape.height.min(shape.width) < kernel {
            (border, padding) = (Some([1; 4]), [0, 0]);
        }
        let (stride, padding) = ([i64::from(stride); 2], padding.map(i64::from));
        let pass = move |xs: &Tensor| xs.f_conv2d(&weight, bias.as_ref(), stride, padding, [1, 1], groups.into());
        Ok(Box::new(move |xs, _| match &border {
            Some(border) => pass(&xs.f_constant_pad_nd(border)?),
            None => pass(xs),
        }))
    }

    /// Returns a scale of 1 and a shift of 0 per channel.
    fn affine(&mut self, input: Extent) -> Result<(Tensor, Tensor), TchError> {
        let channels = channels(input);
        Ok((self.constant("scale", channels, 1.0)?, self.constant("shift", channels, 0.0)?))
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
        // Batch norm uses its scale and shift in float32. The other layers need parameters of their input's type.
        let fewer = self.network.kind == Kind::BFloat16 && matches!(role, "weight" | "bias");
        let working = if fewer { tensor.f_to_kind(Kind::BFloat16)? } else { tensor.shallow_clone() };
        let working = working.f_set_requires_grad(true)?;
        let name = format!("{}.{role}", self.index);
        self.network.parameters.push(Parameter { name, tensor, working: working.shallow_clone(), decays, max_norm });
        Ok(working)
    }

    fn buffer(&mut self, role: &str, length: u32, value: f64) -> Result<Tensor, TchError> {
        let tensor = Tensor::f_full([i64::from(length)], value, (Kind::Float, self.device))?;
        self.network.buffers.push((format!("{}.{role}", self.index), tensor.shallow_clone()));
        Ok(tensor)
    }
}

/// The operation of a layer without weights.
fn without_weights(layer: &Layer) -> Stage {
    match *layer {
        Layer::MaxPool { size, stride } => {
            let (size, stride) = (i64::from(size), i64::from(stride));
            Box::new(move |xs, _| xs.f_max_pool2d([size, size], [stride, stride], [0, 0], [1, 1], false))
        }
        Layer::AveragePool { size, stride } => {
            let (size, stride) = (i64::from(size), i64::from(stride));
            Box::new(move |xs, _| xs.f_avg_pool2d([size, size], [stride, stride], [0, 0], false, true, None))
        }
        Layer::GlobalAveragePool => Box::new(|xs, _| xs.f_mean_dim([2, 3].as_slice(), false, None)),
        Layer::GlobalMaxPool => Box::new(|xs, _| xs.f_amax([2, 3].as_slice(), false)),
        Layer::Silu => Box::new(|xs, _| xs.f_silu()),
        Layer::LeakyRelu { slope } => Box::new(move |xs, _| leaky_relu(xs, slope)),
        Layer::Scale { by } => Box::new(move |xs, _| xs.f_mul_scalar(by)),
        Layer::Tanh => Box::new(|xs, _| xs.f_tanh()),
        Layer::Gelu => Box::new(|xs, _| xs.f_gelu("none")),
        Layer::Sigmoid => Box::new(|xs, _| xs.f_sigmoid()),
        // The order is that in memory and in Keras: row by row, with the channels of a pixel together.
        Layer::Flatten => Box::new(|xs, _| xs.f_permute([0, 2, 3, 1])?.f_flatten(1, -1)),
        _ => unreachable!("this layer has weights or is no operation of its own"),
    }
}

/// Batch normalization with Keras' running statistics.
struct BatchNorm {
    scale: Tensor,
    shift: Tensor,
    mean: Tensor,
    variance: Tensor,
    momentum: f64,
    epsilon: f64,
    after: FusedActivation,
}

impl BatchNorm {
    fn evaluate(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let [scale, shift, mean, variance] = [&self.scale, &self.shift, &self.mean, &self.variance].map(Some);
        xs.f_batch_norm(scale, shift, mean, variance, false, 0.0, self.epsilon, true)
    }

    fn train(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        if has_norm_kernel(xs) {
            return self.train_by_kernel(xs);
        }
        let [scale, shift] = [&self.scale, &self.shift].map(Some);
        let (ys, batch_mean, batch_deviation) =
            xs.f_native_batch_norm(scale, shift, None::<&Tensor>, None, true, 0.0, self.epsilon)?;
        let batch_variance = tch::no_grad(|| batch_deviation.f_pow_tensor_scalar(-2)?.f_add_scalar_(-self.epsilon))?;
        self.track(&batch_mean, &batch_variance)?;
        Ok(ys)
    }

    fn train_by_kernel(&self, xs: &Tensor) -> Result<Tensor, TchError> {
        let norm = sweep_kernels::BatchNorm { epsilon: self.epsilon, relu: self.after.is_in_norm };
        let (inside, scale) = (dense(&xs.detach())?, self.scale.detach());
        let (ys, moments) = norm.pass(&inside, &scale, &self.shift.detach())?;
        let found = |values: &[f64]| Tensor::f_from_slice(values)?.f_to_kind(Kind::Float);
        self.track(&found(&moments.mean)?, &found(&moments.variance)?)?;
        // This is another tensor on the same memory. A tensor that keeps its own operation alive would never be freed.
        let (came_out, after) = (ys.detach(), self.after);
        operation([xs, &self.scale, &self.shift], ys, move |gradient| {
            let mut gradient = after.to_overwrite(&gradient)?;
            let [of_scale, of_shift] = norm.gradients(&mut gradient, [&inside, &came_out], &scale, &moments)?;
            Ok([gradient, of_scale, of_shift])
        })
    }

    /// Updates the running statistics. Keras tracks the variance over n. libtorch would track the one over n - 1, which
    /// is infinite if the last batch of an epoch is a single image.
    fn track(&self, mean: &Tensor, variance: &Tensor) -> Result<(), TchError> {
        tch::no_grad(|| {
            let _ = self.mean.shallow_clone().f_lerp_(mean, 1.0 - self.momentum)?;
            let _ = self.variance.shallow_clone().f_lerp_(variance, 1.0 - self.momentum)?;
            Ok(())
        })
    }
}

/// Converts weights to the number type of the values. Not every device normalizes bfloat16 with float32 weights.
fn in_kind_of(xs: &Tensor, weights: [&Tensor; 2]) -> Result<[Tensor; 2], TchError> {
    let [scale, shift] = weights.map(|weight| weight.f_to_kind(xs.kind()));
    Ok([scale?, shift?])
}

/// tch's own function has no slope.
fn leaky_relu(xs: &Tensor, slope: f64) -> Result<Tensor, TchError> {
    xs.f_maximum(&xs.f_mul_scalar(slope)?)
}

fn image(input: Extent) -> Shape {
    match input {
        Extent::Image(shape) => shape,
        Extent::Vector(_) => unreachable!("shapes() lets no vector reach this layer"),
    }
}

fn channels(input: Extent) -> u32 {
    match input {
        Extent::Image(shape) => shape.channels,
        Extent::Vector(values) => values,
    }
}

/// Returns the padding of a convolution. If the two ends of a side differ, it is the zeros to add first, as left,
/// right, top, bottom. Otherwise it is the padding of height and width, which the convolution applies itself.
fn border(shape: Shape, kernel: u32, stride: u32, padding: Padding) -> (Option<[i64; 4]>, [u32; 2]) {
    if padding == Padding::Valid {
        return (None, [0, 0]);
    }
    let (top, bottom) = same_padding(shape.height, kernel, stride);
    let (left, right) = same_padding(shape.width, kernel, stride);
    if (top, left) == (bottom, right) {
        (None, [top, left])
    } else {
        (Some([left, right, top, bottom].map(i64::from)), [0, 0])
    }
}
