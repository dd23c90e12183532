//! Static properties of a network: the shape after every layer, and its size.

use std::fmt;

use sweep_core::recipe::{Join, Layer, Padding};

/// The shape of an image, at the input or between layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of channels: 1 for gray, 3 for color, the number of filters after a convolution.
    pub channels: u32,
    /// Height in pixels.
    pub height: u32,
    /// Width in pixels.
    pub width: u32,
}

/// The values that go from one layer to the next, for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Values with spatial positions.
    Image(Shape),
    /// A number of values without positions, after `flatten` or `global_average_pool`.
    Vector(u32),
}

/// A network as the planner shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// One row for each layer, in their order.
    pub rows: Vec<Row>,
    /// Number of trainable weights, without the running statistics of batch norm.
    pub parameters: u64,
    /// Number of values stored for the backward pass of one image. It counts the image and the output of every layer
    /// except `flatten`, which copies nothing. This is an upper bound, because some layers work in place.
    pub activations: u64,
}

/// One layer of a [`Summary`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The layer itself.
    pub layer: Layer,
    /// The layer's output.
    pub output: Extent,
    /// Number of the layer's trainable weights.
    pub parameters: u64,
}

/// The error for a layer that does not fit the output before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeFault {
    /// Index in the list of layers.
    pub layer: usize,
    /// What does not fit, with both sizes.
    pub rule: String,
    /// What to change.
    pub remedy: String,
}

impl fmt::Display for Shape {
    /// Formats as `3x32x32`: channels, height, width.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl fmt::Display for Extent {
    /// Formats as `3x32x32`, or as the number of values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Image(shape) => shape.fmt(f),
            Extent::Vector(values) => values.fmt(f),
        }
    }
}

impl fmt::Display for ShapeFault {
    /// Formats as `layer 3: the rule; the remedy`. Layers count from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layer {}: {}; {}", self.layer + 1, self.rule, self.remedy)
    }
}

impl Shape {
    /// Returns the number of values for one image, or `None` if it exceeds a `u64`.
    pub fn values(self) -> Option<u64> {
        (u64::from(self.height) * u64::from(self.width)).checked_mul(self.channels.into())
    }
}

impl Extent {
    fn values(self) -> Option<u64> {
        match self {
            Extent::Image(shape) => shape.values(),
            Extent::Vector(values) => Some(values.into()),
        }
    }
}

/// Computes the shapes of an image with shape `input` through the layers.
///
/// # Errors
/// Returns an error at the first layer that does not fit. Later layers then have no input to be checked against.
pub fn shapes(input: Shape, layers: &[Layer]) -> Result<Summary, ShapeFault> {
    let (mut extent, mut open) = (Extent::Image(input), Vec::new());
    let mut summary = Summary { rows: Vec::new(), parameters: 0, activations: 0 };
    for (index, layer) in layers.iter().enumerate() {
        let fault = |(rule, remedy): Misfit| ShapeFault { layer: index, rule, remedy: remedy.to_owned() };
        let output = match *layer {
            Layer::Fork | Layer::Branch | Layer::Join { .. } => branched(extent, layer, &mut open).map_err(fault)?,
            _ => after(extent, layer).map_err(fault)?,
        };
        let sums =
            parameters(extent, layer).zip(output.values()).zip(extent.values()).and_then(|((own, out), into)| {
                let kept = if index == 0 { into } else { 0 };
                let copies_nothing = matches!(layer, Layer::Flatten | Layer::Fork | Layer::Branch);
                let out = if copies_nothing { 0 } else { out };
                let activations = summary.activations.checked_add(kept)?.checked_add(out)?;
                Some((own, summary.parameters.checked_add(own)?, activations))
            });
        let (own, all, activations) = sums.ok_or_else(|| fault(too_large(layer)))?;
        summary.rows.push(Row { layer: *layer, output, parameters: own });
        (summary.parameters, summary.activations, extent) = (all, activations, output);
    }
    match open.is_empty() {
        true => Ok(summary),
        false => Err(ShapeFault { layer: layers.len(), rule: UNEVEN.to_owned(), remedy: EVEN.to_owned() }),
    }
}

const UNEVEN: &str = "branches begin without an end, or end without a beginning";
const EVEN: &str = "write branches with `residual`, `multiply` or `concat`";

/// Branches that have begun: their common input, and the outputs of those that have ended.
struct Open {
    input: Extent,
    ended: Vec<Extent>,
}

/// Returns what a mark between branches hands on.
fn branched(input: Extent, layer: &Layer, open: &mut Vec<Open>) -> Result<Extent, Misfit> {
    match *layer {
        Layer::Fork => {
            open.push(Open { input, ended: Vec::new() });
            Ok(input)
        }
        Layer::Branch => {
            let open = open.last_mut().ok_or_else(|| (UNEVEN.to_owned(), EVEN))?;
            open.ended.push(input);
            Ok(open.input)
        }
        Layer::Join { by } => {
            let mut outputs = open.pop().ok_or_else(|| (UNEVEN.to_owned(), EVEN))?.ended;
            outputs.push(input);
            joined(by, &outputs)
        }
        _ => unreachable!("only marks come here"),
    }
}

fn joined(by: Join, outputs: &[Extent]) -> Result<Extent, Misfit> {
    let (first, rest) = outputs.split_first().expect("there is at least the last branch");
    let shapes = || outputs.iter().map(Extent::to_string).collect::<Vec<_>>().join(" and ");
    match by {
        Join::Add if rest.iter().all(|other| other == first) => Ok(*first),
        Join::Add => Err((
            format!("branches of {} cannot be added, because their shapes differ", shapes()),
            "give the shortcut a convolution: `shortcut: [{conv: {filters: …, kernel: 1, stride: …}}]`",
        )),
        Join::Multiply => {
            let channels = |extent: &Extent| match *extent {
                Extent::Image(shape) => shape.channels,
                Extent::Vector(values) => values,
            };
            let images: Vec<&Extent> = outputs.iter().filter(|output| matches!(output, Extent::Image(_))).collect();
            let fits = outputs.iter().all(|output| channels(output) == channels(first))
                && images.windows(2).all(|pair| pair[0] == pair[1]);
            match fits {
                true => Ok(images.first().copied().copied().unwrap_or(*first)),
                false => Err((
                    format!("branches of {} cannot be multiplied", shapes()),
                    "end the layers of `multiply` with as many values as the input has channels",
                )),
            }
        }
        Join::Concat => {
            let mut all = *first;
            for other in rest {
                let sum = match (&mut all, other) {
                    (Extent::Image(one), Extent::Image(other))
                        if (one.height, one.width) == (other.height, other.width) =>
                    {
                        one.channels.checked_add(other.channels).map(|sum| one.channels = sum)
                    }
                    (Extent::Vector(one), Extent::Vector(other)) => one.checked_add(*other).map(|sum| *one = sum),
                    _ => None,
                };
                sum.ok_or_else(|| {
                    let rule = format!("branches of {} cannot be concatenated", shapes());
                    (rule, "end all branches with the same height and width, or all with a vector")
                })?;
            }
            Ok(all)
        }
    }
}

/// The rule and the remedy.
type Misfit = (String, &'static str);

fn too_large(layer: &Layer) -> Misfit {
    (format!("`{layer}` has too many output values to count"), "use smaller layers or smaller images")
}

fn after(input: Extent, layer: &Layer) -> Result<Extent, Misfit> {
    match *layer {
        Layer::Conv { kernel, stride, padding, .. }
        | Layer::GroupedConv { kernel, stride, padding, .. }
        | Layer::Depthwise { kernel, stride, padding, .. } => {
            let shape = image(input, layer)?;
            let filters = match *layer {
                Layer::Conv { filters, .. } | Layer::GroupedConv { filters, .. } => filters,
                _ => shape.channels,
            };
            if let Layer::GroupedConv { groups, .. } = *layer {
                divided(shape.channels, groups, layer)?;
            }
            let side = |side: u32| match padding {
                Padding::Same => Ok(side.div_ceil(stride)),
                Padding::Valid => window(side, kernel, stride).ok_or(()),
            };
            match (side(shape.height), side(shape.width)) {
                (Ok(height), Ok(width)) => Ok(Extent::Image(Shape { channels: filters, height, width })),
                _ => Err((
                    format!("`{layer}` has a kernel of {kernel}x{kernel}, larger than its input of {shape}"),
                    "use `padding: same`, a smaller kernel, or less downsampling before this layer",
                )),
            }
        }
        Layer::MaxPool { size, stride } | Layer::AveragePool { size, stride } => {
            let shape = image(input, layer)?;
            match (window(shape.height, size, stride), window(shape.width, size, stride)) {
                (Some(height), Some(width)) => Ok(Extent::Image(Shape { height, width, ..shape })),
                _ => Err((
                    format!("`{layer}` has a window of {size}x{size}, larger than its input of {shape}"),
                    "remove the layer, or use a smaller window or less downsampling before it",
                )),
            }
        }
        Layer::GlobalAveragePool | Layer::GlobalMaxPool => Ok(Extent::Vector(image(input, layer)?.channels)),
        Layer::GroupNorm { groups, .. } => {
            let channels = match input {
                Extent::Image(shape) => shape.channels,
                Extent::Vector(values) => values,
            };
            divided(channels, groups, layer).map(|()| input)
        }
        Layer::Flatten => {
            let values = input.values().and_then(|values| u32::try_from(values).ok());
            values.map(Extent::Vector).ok_or_else(|| too_large(layer))
        }
        Layer::Dense { units, .. } => match input {
            Extent::Vector(_) => Ok(Extent::Vector(units)),
            Extent::Image(shape) => Err((
                format!("`{layer}` requires a vector, but its input is an image of {shape}"),
                "add `flatten` or `global_average_pool` before it",
            )),
        },
        Layer::Relu
        | Layer::Tanh
        | Layer::Gelu
        | Layer::Sigmoid
        | Layer::Silu
        | Layer::LeakyRelu { .. }
        | Layer::Scale { .. }
        | Layer::BatchNorm { .. }
        | Layer::LayerNorm { .. }
        | Layer::Dropout { .. } => Ok(input),
        Layer::Fork | Layer::Branch | Layer::Join { .. } => unreachable!("`branched` takes the marks"),
    }
}

fn divided(channels: u32, groups: u32, layer: &Layer) -> Result<(), Misfit> {
    match groups > 0 && channels.is_multiple_of(groups) {
        true => Ok(()),
        false => Err((
            format!("`{layer}` cannot divide its {channels} input channels into {groups} groups"),
            "choose a number of groups that divides the channels",
        )),
    }
}

fn image(input: Extent, layer: &Layer) -> Result<Shape, Misfit> {
    match input {
        Extent::Image(shape) => Ok(shape),
        Extent::Vector(values) => Err((
            format!("`{layer}` requires an image, but its input is a vector of {values} values"),
            "move it before `flatten` or `global_average_pool`",
        )),
    }
}

/// Returns the number of window positions along a side, without padding. Returns `None` if the window does not fit.
fn window(side: u32, size: u32, stride: u32) -> Option<u32> {
    Some(side.checked_sub(size)? / stride + 1)
}

fn parameters(input: Extent, layer: &Layer) -> Option<u64> {
    let inputs = match input {
        Extent::Image(shape) => u64::from(shape.channels),
        Extent::Vector(values) => u64::from(values),
    };
    let (inputs, outputs, bias) = match *layer {
        Layer::Conv { filters, kernel, bias, .. } => {
            (inputs.checked_mul(u64::from(kernel) * u64::from(kernel))?, filters, bias)
        }
        Layer::Dense { units, bias, .. } => (inputs, units, bias),
        Layer::GroupedConv { filters, groups, kernel, bias, .. } => {
            let inputs = inputs / u64::from(groups.max(1));
            (inputs.checked_mul(u64::from(kernel) * u64::from(kernel))?, filters, bias)
        }
        Layer::Depthwise { kernel, bias, .. } => {
            (u64::from(kernel) * u64::from(kernel), u32::try_from(inputs).ok()?, bias)
        }
        Layer::BatchNorm { .. } | Layer::LayerNorm { .. } | Layer::GroupNorm { .. } => return Some(2 * inputs),
        _ => return Some(0),
    };
    inputs.checked_add(u64::from(bias))?.checked_mul(u64::from(outputs))
}

/// Returns the numbers of zeros before and after a side that make the output's side ceil(side / stride). As in
/// TensorFlow, an odd zero goes after the side. `kernel` and `stride` must be at least 1.
pub fn same_padding(side: u32, kernel: u32, stride: u32) -> (u32, u32) {
    let (side, kernel, stride) = (u64::from(side), u64::from(kernel), u64::from(stride));
    let steps = side.div_ceil(stride).saturating_sub(1);
    // The total is less than kernel, because the last step starts within the side. It therefore fits in a u32.
    let total = (steps * stride + kernel).saturating_sub(side);
    let before = total / 2;
    let fits = |zeros: u64| u32::try_from(zeros).expect("less than kernel, which is a u32");
    (fits(before), fits(total - before))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CIFAR: Shape = Shape { channels: 3, height: 32, width: 32 };

    fn conv(kernel: u32, stride: u32, padding: Padding) -> Layer {
        Layer::Conv { filters: 8, kernel, stride, padding, bias: true, max_norm: None }
    }

    fn dense(units: u32) -> Layer {
        Layer::Dense { units, bias: true, max_norm: None }
    }

    fn output(layers: &[Layer]) -> Extent {
        shapes(CIFAR, layers).unwrap().rows.last().unwrap().output
    }

    #[test]
    fn valid_loses_the_border_and_same_rounds_up() {
        let image = |side| Extent::Image(Shape { channels: 8, height: side, width: side });
        assert_eq!(output(&[conv(3, 1, Padding::Valid)]), image(30));
        assert_eq!(output(&[conv(3, 2, Padding::Valid)]), image(15));
        assert_eq!(output(&[conv(4, 1, Padding::Same)]), image(32));
        assert_eq!(output(&[conv(3, 5, Padding::Same)]), image(7));
        assert_eq!(output(&[conv(64, 1, Padding::Same)]), image(32));
    }

    #[test]
    fn height_and_width_are_kept_apart() {
        let input = Shape { channels: 1, height: 9, width: 4 };
        let summary = shapes(input, &[Layer::MaxPool { size: 2, stride: 2 }]).unwrap();
        assert_eq!(summary.rows[0].output, Extent::Image(Shape { channels: 1, height: 4, width: 2 }));
    }

    #[test]
    fn parameters_and_activations_add_up() {
        let layers = [
            conv(3, 1, Padding::Same),
            Layer::BatchNorm { momentum: 0.99, epsilon: 1e-3 },
            Layer::GlobalAveragePool,
            Layer::Flatten,
            dense(10),
        ];
        let summary = shapes(CIFAR, &layers).unwrap();
        let each: Vec<u64> = summary.rows.iter().map(|row| row.parameters).collect();
        assert_eq!(each, [8 * 27 + 8, 16, 0, 0, 8 * 10 + 10]);
        assert_eq!(summary.parameters, each.iter().sum::<u64>());
        assert_eq!(summary.activations, 3 * 1024 + 8 * 1024 + 8 * 1024 + 8 + 10);
    }

    #[test]
    fn a_layer_that_does_not_fit_says_both_sizes_and_what_to_do() {
        let pool = Layer::MaxPool { size: 2, stride: 2 };
        let cases: [(&[Layer], usize, &str, &str); 5] = [
            (&[conv(33, 1, Padding::Valid)], 0, "33x33, larger than its input of 3x32x32", "same"),
            (&[pool; 6], 5, "2x2, larger than its input of 3x1x1", "remove the layer"),
            (&[dense(10)], 0, "its input is an image of 3x32x32", "flatten"),
            (&[Layer::Flatten, conv(3, 1, Padding::Same)], 1, "a vector of 3072 values", "before `flatten`"),
            (&[Layer::GlobalAveragePool, pool], 1, "a vector of 3 values", "global_average_pool"),
        ];
        for (layers, place, rule, remedy) in cases {
            let fault = shapes(CIFAR, layers).unwrap_err();
            assert_eq!(fault.layer, place, "{fault}");
            assert!(fault.rule.contains(rule) && fault.remedy.contains(remedy), "{fault}");
        }
    }

    #[test]
    fn branches_have_one_input_and_their_shapes_must_fit() {
        let (fork, branch) = (Layer::Fork, Layer::Branch);
        let join = |by| Layer::Join { by };
        let half = conv(3, 2, Padding::Same);
        let image = |channels, side| Extent::Image(Shape { channels, height: side, width: side });
        let layers = [fork, half, branch, half, join(Join::Add)];
        assert_eq!(output(&layers), image(8, 16));
        let concat = [fork, half, branch, Layer::MaxPool { size: 2, stride: 2 }, join(Join::Concat)];
        assert_eq!(output(&concat), image(11, 16));
        let squeeze = [fork, Layer::GlobalAveragePool, dense(3), branch, join(Join::Multiply)];
        assert_eq!(output(&squeeze), image(3, 32));
        // The sum is kept, and the marks copy nothing.
        let kept = shapes(CIFAR, &[fork, Layer::Tanh, branch, join(Join::Add)]).unwrap().activations;
        assert_eq!(kept, 3 * 3072);
        let cases: [(&[Layer], usize, &str); 6] = [
            (&[fork, half, branch, join(Join::Add)], 3, "branches of 8x16x16 and 3x32x32 cannot be added"),
            (&[fork, half, branch, join(Join::Concat)], 3, "cannot be concatenated"),
            (&[fork, Layer::GlobalMaxPool, dense(4), branch, join(Join::Multiply)], 4, "cannot be multiplied"),
            (&[fork, half], 2, "begin without an end"),
            (&[branch], 0, "end without a beginning"),
            (&[Layer::GroupNorm { groups: 2, epsilon: 1e-5 }], 0, "cannot divide its 3 input channels into 2 groups"),
        ];
        for (layers, place, rule) in cases {
            let fault = shapes(CIFAR, layers).unwrap_err();
            assert!(fault.layer == place && fault.rule.contains(rule), "{fault}");
        }
    }

    #[test]
    fn grouped_and_depthwise_convolutions_have_fewer_weights() {
        let (stride, padding, bias, max_norm) = (1, Padding::Same, false, None);
        let grouped = Layer::GroupedConv { filters: 6, groups: 3, kernel: 3, stride, padding, bias, max_norm };
        let depthwise = Layer::Depthwise { kernel: 5, stride: 2, padding, bias: true, max_norm };
        let rows = shapes(CIFAR, &[grouped, depthwise]).unwrap().rows;
        assert_eq!((rows[0].parameters, rows[1].parameters), (6 * 9, 6 * 25 + 6));
        assert_eq!(rows[1].output, Extent::Image(Shape { channels: 6, height: 16, width: 16 }));
    }

    #[test]
    fn same_padding_puts_the_odd_zero_after() {
        assert_eq!(same_padding(32, 3, 1), (1, 1));
        assert_eq!(same_padding(32, 4, 1), (1, 2));
        assert_eq!(same_padding(32, 2, 1), (0, 1));
        assert_eq!(same_padding(32, 3, 2), (0, 1));
        assert_eq!(same_padding(33, 3, 2), (1, 1));
        assert_eq!(same_padding(32, 1, 2), (0, 0));
        assert_eq!(same_padding(u32::MAX, u32::MAX, u32::MAX), (0, 0));
    }

    proptest! {
        #[test]
        fn a_padded_side_gives_as_many_places_as_same_promises(
            side in 1..300_u32, kernel in 1..40_u32, stride in 1..12_u32
        ) {
            let (before, after) = same_padding(side, kernel, stride);
            prop_assert!(after == before || after == before + 1);
            prop_assert_eq!(window(side + before + after, kernel, stride), Some(side.div_ceil(stride)));
        }

        #[test]
        fn absurd_sizes_are_a_fault_and_never_a_panic(
            channels: u32, height: u32, width: u32, filters: u32, kernel in 1_u32.., stride in 1_u32.., units: u32
        ) {
            let conv = Layer::Conv { filters, kernel, stride, padding: Padding::Same, bias: true, max_norm: None };
            let layers = [conv, conv, Layer::Flatten, dense(units), dense(units)];
            let _ = shapes(Shape { channels, height, width }, &layers);
        }
    }
}
