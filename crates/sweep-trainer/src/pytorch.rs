//! Compares whole training steps with PyTorch's: the same weights, the same batch, ten steps, no dropout.

use std::collections::BTreeMap;

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::evaluation::cross_entropy;
use super::network::{Mode, Network, Parameter, Start, in_double};
use super::optimizer::{Optimizer, training};
use super::step_rng::StepRng;
use sweep_core::recipe::{self, Init, Layer};
use sweep_data::network::{Extent, Shape, Template, shapes};

const BATCH: i64 = 8;
const CLASSES: i64 = 10;
const RATE: f64 = 0.02;
const DECAY: f64 = 1e-3;

/// The results of `tests/fixtures/steps/make.py` for one preset.
#[derive(Deserialize)]
struct Found {
    /// The loss before each step.
    losses: Vec<f64>,
    /// Checksums after each step, of the first weights, the last weights, and the last biases.
    sums: Vec<[f64; 3]>,
}

/// Returns the same numbers from -1 to 1 as make.py.
fn hashed(seed: u32, count: usize) -> Vec<f64> {
    let number = |index: usize| {
        let mut x = (seed << 24).wrapping_add(index as u32);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        f64::from(x) / f64::from(1_u32 << 31) - 1.0
    };
    (0..count).map(number).collect()
}

fn tensor_of(values: &[f64], size: &[i64], kind: Kind) -> Tensor {
    Tensor::from_slice(values).to_kind(kind).view(size)
}

/// Converts weights after `flatten` between two orders. Here the flattened values are ordered by row, column, channel,
/// and in PyTorch by channel, row, column. The last axis is reordered, and other weights are unchanged.
struct Flattened {
    /// Shape of the flattened image, `[channels, height, width]`.
    image: [i64; 3],
}

impl Flattened {
    fn of(layers: &[Layer], image: Shape) -> Flattened {
        // A network that takes a mean or a maximum instead has nothing to reorder.
        let Some(at) = layers.iter().position(|layer| *layer == Layer::Flatten) else {
            return Flattened { image: [1, 1, 0] };
        };
        let before = at.checked_sub(1).map(|before| shapes(image, layers).unwrap().rows[before].output);
        let Extent::Image(Shape { channels, height, width }) = before.unwrap_or(Extent::Image(image)) else {
            panic!("only images are flattened")
        };
        Flattened { image: [channels, height, width].map(i64::from) }
    }

    fn turned(&self, tensor: &Tensor, [sides, order]: [[i64; 3]; 2]) -> Tensor {
        let size = tensor.size();
        if tensor.dim() > 2 || *size.last().unwrap() != sides.iter().product::<i64>() {
            return tensor.shallow_clone();
        }
        let axes = [0, order[0] + 1, order[1] + 1, order[2] + 1];
        tensor.contiguous().view([-1, sides[0], sides[1], sides[2]]).permute(axes).reshape(size)
    }

    fn ours(&self, tensor: &Tensor) -> Tensor {
        self.turned(tensor, [self.image, [1, 2, 0]])
    }

    fn pytorchs(&self, tensor: &Tensor) -> Tensor {
        let [channels, height, width] = self.image;
        self.turned(tensor, [[height, width, channels], [2, 0, 1]])
    }
}

fn start(network: &mut Network, flattened: &Flattened) {
    let _guard = tch::no_grad_guard();
    for (seed, Parameter { name, tensor, .. }) in (0..).zip(&mut network.parameters) {
        let (size, count) = (tensor.size(), tensor.numel());
        let (middle, spread) = match name.rsplit('.').next().unwrap() {
            "weight" => (0.0, (3.0 / (count as f64 / size[0] as f64)).sqrt()),
            "scale" => (1.0, 0.1),
            _ => (0.0, 0.1),
        };
        let values: Vec<f64> = hashed(seed, count).iter().map(|value| middle + spread * value).collect();
        tensor.copy_(&flattened.ours(&tensor_of(&values, &size, tensor.kind())));
    }
}

fn sum(tensor: &Tensor) -> f64 {
    let probe = Tensor::from_slice(&hashed(201, tensor.numel()));
    tensor.detach().contiguous().view(-1).to_kind(Kind::Double).dot(&probe).double_value(&[])
}

/// Returns whether two numbers agree up to rounding and the order of summation.
fn near(ours: f64, theirs: f64, bound: f64) -> bool {
    (ours - theirs).abs() <= bound * theirs.abs().max(1.0)
}

#[test]
fn ten_steps_of_every_preset_are_pytorchs() {
    tch::set_num_threads(1);
    let found: BTreeMap<String, Found> =
        serde_json::from_str(include_str!("../../../tests/fixtures/steps/pytorch.json")).unwrap();
    let presets: Vec<&str> = found.keys().map(|name| name.split(' ').next().unwrap()).collect();
    assert!(sweep_data::network::PRESETS.iter().all(|preset| presets.contains(preset)), "{presets:?}");
    for (name, Found { losses, sums }) in found {
        let lookup = |setting: &str| match setting {
            "classes" => Some(CLASSES.into()),
            "dropout" => Some(0.into()),
            // Small enough that the constraint has an effect.
            "max_norm" => Some(0.99.into()),
            "batch_norm" if name.ends_with("with batch norm") => Some(true.into()),
            _ => None,
        };
        // See make.py.
        let normed = ["with batch norm", "resnet9", "resnet18", "mobile", "wide"];
        let kind = if normed.iter().any(|end| name.ends_with(end)) { Kind::Double } else { Kind::Float };
        // Ten steps amplify the rounding of a number to no more than this, more in networks of many batch norms.
        let bound = match name.as_str() {
            "mobile" | "resnet9" | "resnet18" | "wide" => 1e-6,
            _ if kind == Kind::Double => 1e-9,
            _ => 1e-5,
        };
        let preset = Template::preset(name.split(' ').next().unwrap()).unwrap();
        let layers = preset.layers(&lookup).unwrap_or_else(|_| panic!("{name}"));
        let (image, from) =
            (Shape { channels: 3, height: 32, width: 32 }, Start { seed: 1, trial: 1, init: Init::Keras });
        let mut network = Network::new(image, &layers, from, kind, Device::Cpu).unwrap();
        if kind == Kind::Double {
            in_double(&mut network);
        }
        let flattened = Flattened::of(&layers, image);
        start(&mut network, &flattened);
        let values: Vec<f64> = hashed(244, BATCH as usize * 3072).iter().map(|value| value / 2.0 + 0.5).collect();
        let xs = tensor_of(&values, &[BATCH, 3, 32, 32], kind).permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let labels = (Tensor::arange(BATCH, (Kind::Int64, Device::Cpu)) * 7).remainder(CLASSES);

        let sgd = recipe::Optimizer::Sgd { momentum: 0.9, nesterov: false };
        let mut optimizer = Optimizer::new(&training(sgd, DECAY), &network.parameters).unwrap();
        for (step, (loss, sums)) in (1..).zip(losses.iter().zip(sums)) {
            let rng = StepRng::new(1, 1, 1, step).seeded(Device::Cpu).unwrap();
            let logits = network.forward(&xs, Mode::Train(rng, None)).unwrap();
            let ours = cross_entropy(&logits, &labels, 0.0).unwrap();
            let gradients = network.gradients(&ours).unwrap();
            optimizer.step_at(&mut network.parameters, gradients, RATE, step).unwrap();

            let ours = ours.double_value(&[]);
            assert!(near(ours, *loss, bound), "{name}, step {step}: loss {ours} != {loss}");
            let last = network.parameters.len() - 1;
            for (at, theirs) in [0, last - 1, last].into_iter().zip(sums) {
                let Parameter { name: parameter, tensor, .. } = &network.parameters[at];
                let ours = sum(&flattened.pytorchs(&tensor.detach()));
                assert!(near(ours, theirs, bound), "{name}, step {step}: {parameter} {ours} != {theirs}");
            }
        }
        assert_eq!(losses.len(), 10);
    }
}
