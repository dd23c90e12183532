//! Exports a network as a Python module for PyTorch. The positions of layers in the `nn.Sequential` match the names of
//! their weights in `best.safetensors`.

use std::collections::HashMap;

use sweep_core::recipe::{Join, Layer, Padding, Recipe, Source};

/// `same` padding for strides above 1, which PyTorch does not have. TensorFlow's is not symmetric.
const SAME: &str = r#"

class SameConv2d(nn.Conv2d):
    """Pads so that the output's side is ceil(side / stride); an odd zero goes right and below, as in TensorFlow."""

    def forward(self, images):
        pads = []
        for axis in (1, 0):
            side, kernel, stride = images.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            pad = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(nn.functional.pad(images, pads))
"#;

/// Flattens in Keras' order. PyTorch's own layer flattens channel by channel.
const FLATTEN: &str = r#"

class Flatten(nn.Flatten):
    """By row, column and channel, as Keras has it."""

    def forward(self, images):
        return super().forward(images.permute(0, 2, 3, 1))
"#;

/// Normalization over the channels of each pixel. PyTorch's own layer normalizes the last axes.
const LAYER_NORM: &str = r#"

class LayerNorm2d(nn.LayerNorm):
    """Over the channels at each position."""

    def forward(self, images):
        return super().forward(images.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
"#;

const GLOBAL_MAX: &str = r#"

class GlobalMaxPool(nn.Module):
    def forward(self, images):
        return images.amax((2, 3))
"#;

const SCALE: &str = r#"

class Scale(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, values):
        return values * self.by
"#;

/// Marks between branches. They have no weights, and `Network.forward` acts on them.
const BRANCHES: &str = r#"

class Fork(nn.Module):
    """Begins branches with the same input."""


class Branch(nn.Module):
    """Ends a branch and begins the next one from that input."""


class Join(nn.Module):
    """Ends the last branch and combines the outputs of all."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, outputs):
        if self.by == "concat":
            return torch.cat(outputs, 1)
        axes = max(output.dim() for output in outputs)
        outputs = [output if output.dim() == axes else output[..., None, None] for output in outputs]
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output if self.by == "add" else total * output
        return total
"#;

/// The forward pass of a network with branches.
const BRANCHED: &str = r#"        begun = []
        for layer in self.model:
            if isinstance(layer, Fork):
                begun.append((values, []))
            elif isinstance(layer, Branch):
                begun[-1][1].append(values)
                values = begun[-1][0]
            elif isinstance(layer, Join):
                values = layer([*begun.pop()[1], values])
            else:
                values = layer(values)
        return values
"#;

/// Normalization of the images, as in training.
const INPUT: &str = r#"

class Input(nn.Module):
    """Subtracts the mean of each channel and divides by its standard deviation, as in training."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("offset", torch.zeros(channels))
        self.register_buffer("divisor", torch.ones(channels))

    def forward(self, images):
        return (images - self.offset[:, None, None]) / self.divisor[:, None, None]
"#;

/// The text of the module. `about` describes the network in one or more sentences. `shapes` are the shapes of the
/// weights by name, outermost dimension first.
///
/// # Errors
/// Returns a message with the layer if its weights are missing.
pub fn module(recipe: &Recipe, shapes: &HashMap<String, Vec<usize>>, about: &str) -> Result<String, String> {
    let lines = layers(recipe, shapes)?;
    let uses = |class: &str| lines.iter().any(|line| line.starts_with(class));
    let channels = shapes.get("model.input.offset").and_then(|shape| shape.first()).copied();
    let own = own_classes(&uses) + channels.map_or("", |_| INPUT);
    let torch = if own.contains("torch.") { "import torch\n" } else { "" };
    let input = channels.map(|channels| format!("        self.input = Input({channels})\n")).unwrap_or_default();
    let forward = forward(channels.is_some(), uses("Fork"));
    let key = if channels.is_some() { "layer.replace('model.input', 'input')" } else { "layer" };
    let white = if recipe.data.source == Source::Digits { 16 } else { 255 };
    // Escaped so that nothing can close the docstring.
    let about = about.replace('\\', "/").replace('"', "'");
    let layers: String = lines.iter().map(|line| format!("            {line},\n")).collect();
    Ok(format!(
        r#""""{about}

    from network import load
    logits = load()(images)

`images` are float32, [count, channels, height, width], pixels divided by {white}. There is a logit a class. PyTorch and
safetensors are needed.
"""

from pathlib import Path

{torch}from safetensors.torch import load_file
from torch import nn

WEIGHTS = Path(__file__).with_name("best.safetensors")
# What PyTorch calls the parts of a batch normalization.
NAMES = {{"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}}
{own}

class Network(nn.Module):
    def __init__(self):
        super().__init__()
{input}        self.model = nn.Sequential(
{layers}        )

    def forward(self, images):
{forward}

def load(weights=WEIGHTS):
    """The trained network, in evaluation mode: `load().train()` trains on."""
    network = Network()
    parts = [(name.rsplit(".", 1), value) for name, value in load_file(weights).items()]
    network.load_state_dict({{f"{{{key}}}.{{NAMES.get(part, part)}}": value for (layer, part), value in parts}})
    return network.eval()


def to_onnx(path, channels, height, width):
    """Writes the network as one ONNX file for any number of images of this size. Needs the packages onnx and onnxscript."""
    from torch import export, onnx, zeros

    dynamic = ({{0: export.Dim("count")}},)
    images = (zeros(2, channels, height, width),)
    names = {{"input_names": ["images"], "output_names": ["logits"]}}
    onnx.export(load(), images, path, dynamic_shapes=dynamic, dynamo=True, external_data=False, **names)
"#
    ))
}

/// The classes for layers that PyTorch does not have, if the network uses them.
fn own_classes(uses: &dyn Fn(&str) -> bool) -> String {
    let classes = [
        ("SameConv2d", SAME),
        ("Flatten", FLATTEN),
        ("LayerNorm2d", LAYER_NORM),
        ("GlobalMaxPool", GLOBAL_MAX),
        ("Scale", SCALE),
        ("Fork", BRANCHES),
    ];
    classes.iter().filter(|(class, _)| uses(class)).map(|(_, text)| *text).collect()
}

/// The body of `Network.forward`.
fn forward(normalizes: bool, has_branches: bool) -> String {
    let values = if normalizes { "self.input(images)" } else { "images" };
    if has_branches {
        format!("        values = {values}\n{BRANCHED}")
    } else {
        format!("        return self.model({values})\n")
    }
}

/// Returns the expression of each layer.
fn layers(recipe: &Recipe, shapes: &HashMap<String, Vec<usize>>) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    // Whether height and width are flattened, and whether they were where branches began and ended.
    let (mut flat, mut branches) = (false, Vec::<(bool, bool)>::new());
    for (at, layer) in recipe.layers.iter().enumerate() {
        let size = |what: &str, axis: usize| {
            let name = format!("model.{at}.{what}");
            let size = shapes.get(&name).and_then(|shape| shape.get(axis)).copied();
            size.ok_or_else(|| format!("it holds no `{name}`"))
        };
        lines.push(expression(layer, flat, &size)?);
        match layer {
            Layer::Flatten | Layer::GlobalAveragePool | Layer::GlobalMaxPool => flat = true,
            Layer::Fork => branches.push((flat, true)),
            Layer::Branch => {
                let (before, all) = branches.last_mut().ok_or("its branches are uneven")?;
                (*all, flat) = (*all && flat, *before);
            }
            // A vector that multiplies an image gives an image.
            Layer::Join { .. } => flat &= branches.pop().ok_or("its branches are uneven")?.1,
            _ => {}
        }
    }
    Ok(lines)
}

/// Returns the Python expression of a layer. `flat` says whether its input is a vector. `size` returns the length of an
/// axis of one of its tensors.
fn expression(
    layer: &Layer,
    flat: bool,
    size: &dyn Fn(&str, usize) -> Result<usize, String>,
) -> Result<String, String> {
    Ok(match *layer {
        Layer::Conv { filters, kernel, stride, padding, bias, .. } => {
            convolution([size("weight", 1)?, filters as usize], kernel, stride, padding, bias, 1)
        }
        Layer::GroupedConv { groups, kernel, stride, padding, bias, .. } => {
            let (inputs, filters) = (size("weight", 1)? * groups as usize, size("weight", 0)?);
            convolution([inputs, filters], kernel, stride, padding, bias, groups as usize)
        }
        Layer::Depthwise { kernel, stride, padding, bias, .. } => {
            let channels = size("weight", 0)?;
            convolution([channels, channels], kernel, stride, padding, bias, channels)
        }
        Layer::Fork => "Fork()".into(),
        Layer::Branch => "Branch()".into(),
        Layer::Join { by: Join::Add } => "Join(\"add\")".into(),
        Layer::Join { by: Join::Concat } => "Join(\"concat\")".into(),
        Layer::Join { by: Join::Multiply } => "Join(\"multiply\")".into(),
        Layer::Scale { by } => format!("Scale({by:?})"),
        Layer::LayerNorm { epsilon } => {
            let class = if flat { "nn.LayerNorm" } else { "LayerNorm2d" };
            format!("{class}({}, eps={epsilon:?})", size("scale", 0)?)
        }
        Layer::GroupNorm { groups, epsilon } => {
            format!("nn.GroupNorm({groups}, {}, eps={epsilon:?})", size("scale", 0)?)
        }
        Layer::MaxPool { size, stride } => format!("nn.MaxPool2d({size}, {stride})"),
        Layer::AveragePool { size, stride } => format!("nn.AvgPool2d({size}, {stride})"),
        Layer::GlobalAveragePool => "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())".into(),
        Layer::Relu => "nn.ReLU()".into(),
        Layer::Tanh => "nn.Tanh()".into(),
        Layer::Gelu => "nn.GELU()".into(),
        Layer::Sigmoid => "nn.Sigmoid()".into(),
        Layer::Silu => "nn.SiLU()".into(),
        Layer::LeakyRelu { slope } => format!("nn.LeakyReLU({slope:?})"),
        Layer::GlobalMaxPool => "GlobalMaxPool()".into(),
        Layer::BatchNorm { momentum, epsilon } => {
            let axes = if flat { 1 } else { 2 };
            // PyTorch's momentum is the weight of the new statistics, Keras' that of the old ones. Rounding removes
            // the error of 1 - 0.99.
            let momentum = ((1.0 - momentum) * 1e12).round() / 1e12;
            format!("nn.BatchNorm{axes}d({}, eps={epsilon:?}, momentum={momentum:?})", size("scale", 0)?)
        }
        Layer::Dropout { rate } => format!("nn.Dropout({rate:?})"),
        Layer::Flatten => if flat { "nn.Flatten()" } else { "Flatten()" }.into(),
        Layer::Dense { units, bias, .. } => {
            format!("nn.Linear({}, {units}{})", size("weight", 1)?, if bias { "" } else { ", bias=False" })
        }
    })
}

/// A convolution with these input and output channels.
fn convolution(
    [inputs, filters]: [usize; 2],
    kernel: u32,
    stride: u32,
    padding: Padding,
    bias: bool,
    groups: usize,
) -> String {
    let (class, padding) = match padding {
        Padding::Valid => ("nn.Conv2d", ""),
        Padding::Same if stride == 1 => ("nn.Conv2d", ", padding=\"same\""),
        Padding::Same => ("SameConv2d", ""),
    };
    let stride = if stride == 1 { String::new() } else { format!(", stride={stride}") };
    let groups = if groups == 1 { String::new() } else { format!(", groups={groups}") };
    let bias = if bias { "" } else { ", bias=False" };
    format!("{class}({inputs}, {filters}, {kernel}{stride}{padding}{groups}{bias})")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kinds of layers, with weights for them.
    fn all() -> (Recipe, HashMap<String, Vec<usize>>) {
        let text = "data: {set: digits}\nmodel:\n  - conv: {filters: 4, kernel: 3, padding: same}\n  - batch_norm\n  \
                    - relu\n  - max_pool: 2\n  - conv: {filters: 6, kernel: 2, stride: 2, padding: same, bias: false}\n  \
                    - gelu\n  - average_pool: {size: 2, stride: 1}\n  - conv: {filters: 8, kernel: 1}\n  - tanh\n  \
                    - global_average_pool\n  - batch_norm: {momentum: 0.9, epsilon: 1e-5}\n  - dropout: 0.25\n  \
                    - dense: {units: 5, bias: false}\n  - sigmoid\n  - dense: 10\n";
        let spec = sweep_spec::Spec::read(text, "a.yaml", std::path::Path::new("/"));
        let spec = spec.unwrap_or_else(|problems| panic!("{problems}")).0;
        let shapes =
            [(0, vec![4, 1, 3, 3]), (4, vec![6, 4, 2, 2]), (7, vec![8, 6, 1, 1]), (12, vec![5, 8]), (14, vec![10, 5])];
        let weights = shapes.into_iter().map(|(at, shape)| (format!("model.{at}.weight"), shape));
        let scales = [(1, 4), (10, 8)].map(|(at, width)| (format!("model.{at}.scale"), vec![width]));
        let shapes = weights.chain(scales).collect();
        (spec.recipe(&sweep_core::trial::Settings::new()).expect("it is whole"), shapes)
    }

    #[test]
    fn a_module_of_every_layer() {
        let (recipe, shapes) = all();
        insta::assert_snapshot!(
            module(&recipe, &shapes, r#"Trial 0003 of """the\ sweep"."#).expect("all weights are there")
        );
    }

    #[test]
    fn weights_that_are_missing_are_named() {
        let (recipe, mut shapes) = all();
        shapes.remove("model.12.weight");
        assert_eq!(module(&recipe, &shapes, ""), Err("it holds no `model.12.weight`".into()));
    }
}
