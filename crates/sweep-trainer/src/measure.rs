//! Measurements of a network that take a few seconds before the actual training: see [`sweep_core::measurement`].

use std::time::{Duration, Instant};

use tch::{Device, Kind, TchError, Tensor};

use super::augment::augmented;
use super::dataset::{DatasetCache, Part, Split};
use super::device;
use super::evaluation::cross_entropy;
use super::fault::Result;
use super::fused_activation::FusedActivation;
use super::network::{Mode, Network, Parameter, Start};
use super::optimizer::Optimizer;
use super::step_rng::{StepRng, shuffled};
use sweep_core::learning_rate::Steps;
use sweep_core::measurement::{
    self, BATCH, CAPACITY_EPOCHS, CAPACITY_IMAGES, Capacity, FIRST_STEPS, Gradient, Measured,
};
use sweep_core::measurement::{MeasureRequest, RATES, Units, unregularized};
use sweep_core::recipe::{self, Augment, Layer, Moments, Recipe};
use sweep_data::datasets::Normalization;
use sweep_data::network::Shape;

/// Fractions of the time by which the first steps and the learning rate test must end.
const SHARES: [f64; 2] = [0.25, 0.5];
/// Adam with default values, which is known to work even if the trial's own step size is not.
const ADAM: (recipe::Optimizer, f64) = (recipe::Optimizer::Adam(ADAMS), 1e-3);
const ADAMS: Moments = Moments { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };

/// Tests the configuration. All trained weights are discarded.
///
/// # Errors
/// Returns an error that would also prevent the trial from being trained.
pub fn all(order: &MeasureRequest, device: Device, cache: &mut DatasetCache) -> Result<Measured> {
    let began = Instant::now();
    let until = |share: f64| began + Duration::from_secs_f64((order.seconds * share).clamp(0.0, 3600.0));
    let recipe = &order.recipe;
    device::choose(&recipe.training);
    let loaded = cache.get(&recipe.data.source)?;
    let split = loaded.split(&recipe.data, order.seed)?;
    let drawn = shuffled(&split.train_rows, order.seed, order.attempt.trial.0, 1);
    let images = split.train.part(&drawn)?;
    let few = split.train.part(&drawn[..drawn.len().min(CAPACITY_IMAGES)])?;
    let lab = Lab::new(order, device, loaded.info().shape, split.normalization.clone());
    let first = lab.first_weights(&images)?;
    let (trained, first_steps) = lab.first_steps(&images, until(SHARES[0]))?;
    let whole = trained.state().iter().try_fold(true, |whole, (_, values)| {
        Ok::<bool, TchError>(whole && values.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0)
    })?;
    let later = if whole { Some(lab.silent(&trained, &images.batch(0, BATCH.into())?.0)?) } else { None };
    let units = first.units.iter().enumerate().map(|(at, units)| {
        let silent_later = later.as_ref().map(|later| later[at].1);
        Units { silent_later, ..*units }
    });
    let units = units.collect();
    let rates = lab.rates(&images, until(SHARES[1]))?;
    let capacity = lab.capacity(&few, until(1.0))?;
    Ok(Measured { units, first_steps, rates, capacity, ..first })
}

/// Measures the initial weights on one batch, without an optimizer step. This takes some forward passes and one
/// backward pass. The other measurements stay empty.
///
/// # Errors
/// Returns libtorch's error if the device runs out of memory.
pub fn first_weights(order: &MeasureRequest, device: Device, shape: Shape, split: &Split<'_>) -> Result<Measured> {
    let drawn = shuffled(&split.train_rows, order.seed, order.attempt.trial.0, 1);
    Lab::new(order, device, shape, split.normalization.clone())
        .first_weights(&split.train.part(&drawn[..drawn.len().min(BATCH as usize)])?)
}

/// What all trial runs of one measurement have in common.
struct Lab<'a> {
    order: &'a MeasureRequest,
    device: Device,
    /// Shape of an image.
    shape: Shape,
    /// What the network does to the images first.
    normalization: Option<Normalization>,
    /// The layers without regularization.
    free: Vec<Layer>,
}

impl Lab<'_> {
    fn new(order: &MeasureRequest, device: Device, shape: Shape, normalization: Option<Normalization>) -> Lab<'_> {
        Lab { order, device, shape, normalization, free: unregularized(&order.recipe.layers) }
    }

    /// Measures loss, gradients and silent units before the first step.
    fn first_weights(&self, images: &Part<'_>) -> Result<Measured> {
        let network = self.network(&self.free)?;
        let (xs, labels) = images.batch(0, BATCH.into())?;
        let loss = cross_entropy(&network.forward(&xs, self.mode(0)?)?, &labels, 0.0)?;
        let first_loss = finite(&loss)?;
        let gradients = slopes(&network, &network.gradients(&loss)?)?;
        let unit = |(layer, silent_at_first)| Units { layer, silent_at_first, silent_later: None };
        let units = self.silent(&network, &xs)?.into_iter().map(unit).collect();
        Ok(Measured { first_loss, gradients, units, ..Measured::default() })
    }

    /// Builds a network with its initial weights. They depend only on the indices of the layers, so the first layers of
    /// a network have the same weights as a network of only these layers.
    fn network(&self, layers: &[Layer]) -> Result<Network> {
        let MeasureRequest { attempt, seed, recipe, .. } = self.order;
        let start = Start { seed: *seed, trial: attempt.trial.0, init: recipe.training.init };
        let numbers = device::numbers(recipe.training.precision, self.device);
        let network = Network::new(self.shape, layers, start, numbers, self.device)?;
        Ok(network.normalized(self.normalization.as_ref(), self.device)?)
    }

    fn rng(&self, step: u64) -> std::result::Result<StepRng, TchError> {
        StepRng::new(self.order.seed, self.order.attempt.trial.0, 1, step).seeded(self.device)
    }

    /// Batch normalization uses the batch's statistics, because the running ones are not meaningful yet.
    fn mode(&self, step: u64) -> std::result::Result<Mode<'static>, TchError> {
        Ok(Mode::Train(self.rng(step)?, None))
    }

    /// Returns, for each ReLU, the fraction of units that no image activates, with the weights of a network that has the
    /// layer indices of `free`.
    fn silent(&self, network: &Network, xs: &Tensor) -> Result<Vec<(usize, f64)>> {
        let mut free = self.network(&self.free)?;
        tch::no_grad(|| {
            for ((_, mut values), (_, of_network)) in free.state().into_iter().zip(network.state()) {
                values.f_copy_(&of_network)?;
            }
            free.parameters.iter_mut().try_for_each(Parameter::refresh)?;
            let mut silent = Vec::new();
            let _logits = free.forward_observed(xs, self.mode(0)?, &mut |first, ys| {
                // A pool beside the ReLU is part of its stage, and leaves the largest value of a unit as it is.
                let stage = first..first + FusedActivation::at(&self.free, first).1;
                let relu = stage.into_iter().find(|layer| self.free[*layer] == Layer::Relu);
                let Some(relu) = relu else { return Ok(()) };
                let units = ys.f_transpose(0, 1)?.f_flatten(1, -1)?;
                let share = units.f_amax([1i64], false)?.f_le(0.0)?.f_to_kind(Kind::Double)?.f_mean(None)?;
                silent.push((relu, share.f_double_value(&[])?));
                Ok(())
            })?;
            Ok(silent)
        })
    }

    /// Runs the trial's own first steps. The batch size is limited to `BATCH`.
    fn first_steps(&self, images: &Part<'_>, until: Instant) -> Result<(Network, Vec<Option<f64>>)> {
        let Recipe { training, layers, data } = &self.order.recipe;
        let mut network = self.network(layers)?;
        let mut optimizer = Optimizer::new(training, &network.parameters)?;
        let all = Steps::new(training, images.count());
        let mut losses = Vec::new();
        while losses.len() < FIRST_STEPS && Instant::now() < until {
            let step = losses.len() as u64 + 1;
            let rate = training.learning_rate * training.schedule.share(step, all, 0);
            let loss = self.step(&mut network, &mut optimizer, images, step, rate, (training, data.augment))?;
            losses.push(loss);
            if loss.is_none() {
                break;
            }
        }
        Ok((network, losses))
    }

    /// Raises the learning rate from step to step until the loss explodes (Smith 2017, arXiv 1506.01186).
    fn rates(&self, images: &Part<'_>, until: Instant) -> Result<Vec<(f64, Option<f64>)>> {
        let Recipe { training, layers, data } = &self.order.recipe;
        let mut network = self.network(layers)?;
        let mut optimizer = Optimizer::new(training, &network.parameters)?;
        let (least, most, count) = RATES;
        let mut seen: Vec<(f64, Option<f64>)> = Vec::new();
        for at in 0..count {
            let rate = least * (most / least).powf(at as f64 / (count - 1) as f64);
            let step = at as u64 + 1;
            let loss = self.step(&mut network, &mut optimizer, images, step, rate, (training, data.augment))?;
            seen.push((rate, loss));
            let first = seen[0].1.unwrap_or(f64::INFINITY);
            if Instant::now() >= until || loss.is_none_or(|loss| loss > measurement::EXPLODED * first) {
                break;
            }
        }
        Ok(seen)
    }

    /// Trains without regularization, with Adam's default values, until every image is classified correctly.
    fn capacity(&self, few: &Part<'_>, until: Instant) -> Result<Capacity> {
        let mut training = self.order.recipe.training.clone();
        (training.optimizer, training.weight_decay, training.label_smoothing) = (ADAM.0, 0.0, 0.0);
        training.clip_norm = None;
        let size = u64::from(training.batch_size.min(BATCH / 2));
        let mut network = self.network(&self.free)?;
        let mut optimizer = Optimizer::new(&training, &network.parameters)?;
        let (images, steps) = (few.count(), few.batches(size));
        let mut capacity = Capacity { images, steps, ..Capacity::default() };
        while capacity.accuracies.len() < CAPACITY_EPOCHS && !capacity.accuracies.last().is_some_and(|all| *all >= 1.0)
        {
            if Instant::now() >= until {
                capacity.cut_short = true;
                break;
            }
            let mut right = 0;
            for number in 0..steps {
                let (xs, labels) = few.batch(number, size)?;
                let step = capacity.accuracies.len() as u64 * steps + number + 1;
                let logits = network.forward(&xs, self.mode(step)?)?;
                let gradients = network.gradients(&cross_entropy(&logits, &labels, 0.0)?)?;
                optimizer.step_at(&mut network.parameters, gradients, ADAM.1, step)?;
                right += logits.f_argmax(1, false)?.f_eq_tensor(&labels)?.f_sum(Kind::Int64)?.f_int64_value(&[])?;
            }
            capacity.accuracies.push(right as f64 / images as f64);
        }
        Ok(capacity)
    }

    /// Runs one step in the way a trial does. Steps count from 1. Returns the loss, or `None` if it is not finite.
    fn step(
        &self,
        network: &mut Network,
        optimizer: &mut Optimizer,
        images: &Part<'_>,
        step: u64,
        rate: f64,
        (training, augment): (&recipe::Training, Augment),
    ) -> Result<Option<f64>> {
        let size = u64::from(training.batch_size.min(BATCH));
        let (xs, labels) = images.batch((step - 1) % images.batches(size), size)?;
        let xs = augmented(xs, &augment, self.rng(step)?)?;
        let logits = network.forward(&xs, self.mode(step)?)?;
        let loss = cross_entropy(&logits, &labels, training.label_smoothing)?;
        let gradients = network.gradients(&loss)?;
        optimizer.step_at(&mut network.parameters, gradients, rate, step)?;
        finite(&loss)
    }
}

/// Returns the norm of each layer's weight gradient, relative to the norm of its weights.
fn slopes(network: &Network, gradients: &[Tensor]) -> Result<Vec<Gradient>> {
    let mut slopes = Vec::new();
    for (parameter, gradient) in network.parameters.iter().zip(gradients) {
        if let Some(layer) = parameter.name.strip_suffix(".weight").and_then(|layer| layer.parse().ok()) {
            let norms = tch::no_grad(|| Ok::<_, TchError>([gradient.f_norm()?, parameter.tensor.f_norm()?]))?;
            let [slope, weights] = [norms[0].f_double_value(&[])?, norms[1].f_double_value(&[])?];
            let share = Some(slope / weights).filter(|share| share.is_finite());
            slopes.push(Gradient { layer, share });
        }
    }
    Ok(slopes)
}

fn finite(loss: &Tensor) -> Result<Option<f64>> {
    Ok(Some(loss.f_double_value(&[])?).filter(|loss| loss.is_finite()))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::optimizer::training;
    use super::*;
    use sweep_core::recipe::{Data, Source, Training, Validation};
    use sweep_core::trial::{Attempt, TrialId};
    use sweep_data::check::model;
    use sweep_data::network::{PRESETS, Template};

    const ADAM: recipe::Optimizer = super::ADAM.0;
    const SGD: recipe::Optimizer = recipe::Optimizer::Sgd { momentum: 0.9, nesterov: false };

    fn dense(units: u32) -> Layer {
        Layer::Dense { units, bias: true, max_norm: None }
    }

    fn mlp() -> Vec<Layer> {
        vec![Layer::Flatten, dense(64), Layer::Relu, Layer::Dropout { rate: 0.5 }, dense(10)]
    }

    /// Returns the findings on a network for one trial number, which selects the random numbers.
    fn found(
        source: &Source,
        layers: &[Layer],
        optimizer: recipe::Optimizer,
        rate: f64,
        trial: u64,
    ) -> Vec<&'static str> {
        of_training(source, layers, of_rate(optimizer, rate), trial)
    }

    fn of_rate(optimizer: recipe::Optimizer, rate: f64) -> Training {
        Training { batch_size: 32, learning_rate: rate, ..training(optimizer, 0.0) }
    }

    fn of_training(source: &Source, layers: &[Layer], training: Training, trial: u64) -> Vec<&'static str> {
        tch::set_num_threads(1);
        let data = Data {
            split_seed: None,
            source: source.clone(),
            validation: Validation::Share(0.2),
            train_examples: None,
            augment: Augment::default(),
            test: None,
            normalize: Default::default(),
        };
        let recipe = Recipe { data, layers: layers.to_vec(), training };
        let attempt = Attempt { trial: TrialId(trial), number: 1 };
        let order = MeasureRequest { attempt, seed: 7, recipe: recipe.clone(), seconds: 60.0 };
        let measured = all(&order, Device::Cpu, &mut DatasetCache::new(Device::Cpu)).unwrap();
        let found = model::check(&recipe, &measured);
        found.iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn sound_networks_are_left_alone() {
        let conv = |filters| Layer::Conv {
            filters,
            kernel: 3,
            stride: 1,
            padding: recipe::Padding::Same,
            bias: true,
            max_norm: Some(3.0),
        };
        let norm = Layer::BatchNorm { momentum: 0.99, epsilon: 1e-3 };
        let pool = Layer::MaxPool { size: 2, stride: 2 };
        let image = vec![conv(16), Layer::Relu, pool, norm, conv(32), Layer::Relu, pool, Layer::Flatten, dense(10)];
        for trial in 1..=5 {
            assert_eq!(found(&Source::Digits, &mlp(), ADAM, 1e-3, trial), [""; 0]);
            assert_eq!(found(&Source::Digits, &mlp(), SGD, 1e-2, trial), [""; 0]);
            assert_eq!(found(&Source::Digits, &image, ADAM, 1e-3, trial), [""; 0]);
        }
    }

    #[test]
    fn the_presets_are_left_alone_on_the_images_that_they_are_made_for() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("data/cifar-10-batches-bin");
        if !path.join("test_batch.bin").exists() {
            return eprintln!("{} is not there: nothing is checked", path.display());
        }
        // One thread needs minutes for those with batch norm after every convolution.
        for name in PRESETS.into_iter().filter(|name| !["resnet9", "resnet18", "mobile", "wide"].contains(name)) {
            let lookup = |name: &str| (name == "classes").then(|| 10.into());
            let layers = Template::preset(name).unwrap().layers(&lookup).unwrap_or_else(|_| panic!("{name}"));
            let (rule, rate) = match name {
                "thin" => (recipe::Optimizer::Adadelta { rho: 0.95, epsilon: 1e-7 }, 1.0),
                _ => (ADAM, 1e-3),
            };
            let source = Source::Cifar10 { path: PathBuf::from(&path) };
            // With some seeds, the first steps of `question` do leave a layer silent.
            assert_eq!(found(&source, &layers, rule, rate, 3), [""; 0], "{name}");
        }
    }

    #[test]
    fn a_learning_rate_far_too_high_is_found() {
        for trial in 1..=3 {
            assert!(found(&Source::Digits, &mlp(), ADAM, 1.0, trial).contains(&"learning_rate"));
            assert!(found(&Source::Digits, &mlp(), SGD, 30.0, trial).contains(&"learning_rate"));
        }
    }

    #[test]
    fn dead_units_are_found_before_the_first_step_and_after_it() {
        // Half of the initial weights of this single unit leave it below zero for every image.
        let narrow = [Layer::Flatten, dense(1), Layer::Relu, dense(10)];
        let dead = (1..=12).filter(|trial| found(&Source::Digits, &narrow, ADAM, 1e-3, *trial).contains(&"dead_units"));
        assert!((1..12).contains(&dead.count()));
        // One step of Adam moves every weight by the learning rate.
        let deep = [Layer::Flatten, dense(64), Layer::Relu, dense(64), Layer::Relu, dense(10)];
        assert!(found(&Source::Digits, &deep, ADAM, 30.0, 1).contains(&"dead_units"));
        let in_bfloat16 = |rate| {
            let training = Training { precision: recipe::Precision::Bfloat16, ..of_rate(ADAM, rate) };
            of_training(&Source::Digits, &deep, training, 1)
        };
        assert!(in_bfloat16(30.0).contains(&"dead_units") && in_bfloat16(1e-3).is_empty());
    }

    #[test]
    fn gradients_that_vanish_in_twelve_sigmoids_are_found() {
        let mut layers = vec![Layer::Flatten];
        layers.extend((0..12).flat_map(|_| [dense(32), Layer::Sigmoid]));
        layers.push(dense(10));
        let found = found(&Source::Digits, &layers, ADAM, 1e-3, 1);
        assert!(found.contains(&"vanishing_gradients"), "{found:?}");
    }

    #[test]
    fn a_network_too_small_for_its_task_cannot_learn_by_heart() {
        let small = [Layer::Flatten, dense(2), Layer::Sigmoid, dense(10)];
        let found = found(&Source::Digits, &small, ADAM, 1e-3, 1);
        assert!(found.contains(&"capacity"), "{found:?}");
    }
}
