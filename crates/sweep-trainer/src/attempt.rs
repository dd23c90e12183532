//! One attempt at a trial: the training loop.

use std::time::{Duration, Instant};

use tch::{Device, TchError, Tensor};

use super::augment::Changes;
use super::checkpoint::{Checkpoints, Tensors};
use super::controller::Controller;
use super::dataset::{DatasetCache, Part, Set, Split};
use super::device::{self, takes_gpu_path};
use super::evaluation::{ClassTally, Tally, cross_entropy, evaluate, weighted_cross_entropy};
use super::fault::{Fault, Result};
use super::graph::{Inputs, Recorder, own};
use super::libtorch::{self, Scalar};
use super::measure;
use super::network::{Mode, Network, Start};
use super::optimizer::Optimizer;
use super::position::{Position, Sums};
use super::step_rng::{StepRng, shuffled};
use sweep_core::learning_rate::Steps;
use sweep_core::measurement::MeasureRequest;
use sweep_core::protocol::{FromTrainer, Order};
use sweep_core::recipe::{Balance, Training};
use sweep_core::trial::{ACCURACY_OF_CLASS, Attempt, BALANCED_ACCURACY, EpochMetrics, METRICS, Others, Outcome};
use sweep_core::warning::Warning;
use sweep_data::check::model;
use sweep_data::network::Shape;

const HEARTBEAT: Duration = Duration::from_millis(250);

/// Least number of steps of a trial for which cuDNN benchmarks its kernels. On an H100 that takes 0.5 to 2.8 s and then
/// saves up to 0.2 ms per step (see docs/performance.md).
const STEPS_WORTH_A_BENCHMARK: u64 = 5000;

/// Trains a trial to its end, from its newest checkpoint or from the start. Returns `None` if the controller asked for
/// a pause. The trial is then saved in the middle of its epoch, and a later attempt continues there.
///
/// # Errors
/// Returns the reason why the trial cannot be trained.
pub fn train(
    order: &Order,
    device: Device,
    cache: &mut DatasetCache,
    controller: &mut dyn Controller,
) -> Result<Option<Outcome>> {
    let recipe = &order.recipe;
    let loaded = cache.get(&recipe.data.source)?;
    let split = loaded.split(&recipe.data, order.seed)?;
    let start = Start { seed: order.seed, trial: order.attempt.trial.0, init: recipe.training.init };
    device::choose(&recipe.training);
    let numbers = device::numbers(recipe.training.precision, device);
    // This runs before the network is created, because it needs the same amount of memory again.
    let warnings =
        if order.check_weights { check_first_weights(order, device, loaded.info().shape, &split) } else { Vec::new() };
    let network = Network::new(loaded.info().shape, &recipe.layers, start, numbers, device)?;
    let network = network.normalized(split.normalization.as_ref(), device)?;
    let optimizer = Optimizer::new(&recipe.training, &network.parameters)?;
    let files = Checkpoints::new(order);
    let classes = &loaded.info().classes;
    let weighs = recipe.training.balance == Balance::Loss;
    let weights = weighs.then(|| split.class_weights(classes.len(), device)).transpose()?;
    let wanted = recipe.training.cuda_graph && takes_gpu_path(device);
    let mut run = Run {
        order,
        device,
        network,
        optimizer,
        classes,
        weights,
        tally: Tally::new(Sums::default(), device)?,
        recorder: Recorder::new(wanted, recipe.training.batch_size.into()),
        position: Position::default(),
        best: Vec::new(),
        files,
        controller,
    };

    let note = run.resume()?;
    let attempt = order.attempt;
    let from_epoch = run.position.epochs().min(order.epochs_known);
    run.controller.say(FromTrainer::Began {
        attempt,
        from_epoch,
        train_examples: split.train_rows.len() as u64,
        validation_examples: split.validation.count(),
        parameters: run.network.parameter_count(),
        note,
        warnings,
    });
    for (at, &metrics) in run.position.curve.iter().enumerate().skip(from_epoch as usize) {
        let others = run.position.others.get(at).cloned().unwrap_or_default();
        run.controller.say(FromTrainer::Epoch { attempt, metrics, others });
    }
    let ended = run.train(&split);
    if matches!(ended, Ok(Some(_)) | Err(Fault::Diverged { .. })) && !run.best.is_empty() {
        run.files.save_best(&run.position, &prefixed("model.", &run.best))?;
    }
    ended
}

/// Returns the problems of the network before its first step. Returns none if the measurement fails: either training
/// fails in the same way, or the failure does not matter.
fn check_first_weights(order: &Order, device: Device, shape: Shape, split: &Split<'_>) -> Vec<Warning> {
    let Order { attempt, seed, recipe, .. } = order;
    let request = MeasureRequest { attempt: *attempt, seed: *seed, recipe: recipe.clone(), seconds: 0.0 };
    let Ok(measured) = measure::first_weights(&request, device, shape, split) else { return Vec::new() };
    model::check(recipe, &measured).iter().map(Warning::from).collect()
}

/// Returns whether the accuracy of each class is measured.
fn by_class(training: &Training) -> bool {
    training.balance != Balance::None || !METRICS.contains(&training.metric.name.as_str())
}

/// Returns the accuracy of each class that has images, and their mean.
fn accuracies(classes: &[String], each: &[Option<f64>]) -> Others {
    let present: Vec<f64> = each.iter().copied().flatten().collect();
    let mean = present.iter().sum::<f64>() / present.len() as f64;
    let of_class =
        |(class, accuracy): (&String, &Option<f64>)| Some((format!("{ACCURACY_OF_CLASS}{class}"), (*accuracy)?));
    let all = classes.iter().zip(each).filter_map(of_class);
    all.chain([(BALANCED_ACCURACY.to_owned(), mean)]).collect()
}

/// A trial that is being trained.
struct Run<'a> {
    order: &'a Order,
    device: Device,
    network: Network,
    optimizer: Optimizer,
    classes: &'a [String],
    /// Weights of the classes in the loss, if they differ.
    weights: Option<Tensor>,
    /// Sums over the steps of the current epoch.
    tally: Tally,
    recorder: Recorder,
    position: Position,
    /// Copies of the network's state after its best epoch. Empty before the first epoch ends.
    best: Tensors,
    files: Checkpoints,
    controller: &'a mut dyn Controller,
}

/// One epoch's training images and everything that its steps read. All of it is drawn and moved to the device at once.
struct Epoch<'a> {
    number: u32,
    images: Part<'a>,
    /// Number of steps in the epoch and in the trial.
    steps: Steps,
    changes: Changes,
    /// The optimizer's numbers for each step.
    numbers: Vec<Vec<f64>>,
    /// The same numbers on the device, followed by the dropout keys, `f32 [steps, k]`. Only present if a recorded step
    /// reads them.
    numbers_there: Option<Tensor>,
}

impl Run<'_> {
    fn train(&mut self, split: &Split<'_>) -> Result<Option<Outcome>> {
        let training = &self.order.recipe.training;
        while let Some(number) = self.position.next_epoch(training) {
            let epoch = self.draw(split, number)?;
            let mut heartbeat = Heartbeat::new(self.order.attempt, number, epoch.steps.epoch);
            let finished = self.train_epoch(split.train, &epoch, &mut heartbeat)?;
            let metrics = if finished { self.evaluate_epoch(split, &epoch, &mut heartbeat)? } else { None };
            let Some((metrics, others)) = metrics else {
                self.save()?;
                return Ok(None);
            };
            if self.position.finish_epoch(&metrics, others.clone(), training) {
                self.best = copies(self.network.state())?;
            }
            let attempt = self.order.attempt;
            self.controller.say(FromTrainer::Epoch { attempt, metrics, others });
            if self.position.next_epoch(training).is_some() && self.files.due() {
                self.save()?;
            }
        }
        let all = self.position.epochs() == training.epochs;
        Ok(Some(if all { Outcome::Finished } else { Outcome::EarlyStopped }))
    }

    /// Shuffles the images and draws everything that the epoch's steps need.
    fn draw<'s>(&self, split: &Split<'s>, number: u32) -> Result<Epoch<'s>> {
        let Order { seed, recipe, .. } = self.order;
        let (training, batch) = (&recipe.training, u64::from(recipe.training.batch_size));
        let trial = self.order.attempt.trial.0;
        let shuffle = |rows: &[u32]| shuffled(rows, *seed, trial, number);
        let rows = match training.balance {
            Balance::Sampling => split.balanced(self.classes.len(), shuffle),
            Balance::None | Balance::Loss => shuffle(&split.train_rows),
        };
        let images = split.train.part(&rows)?;
        let steps = Steps::new(training, images.count());
        let sizes = (0..steps.epoch).map(|step| batch.min(images.count() - step * batch));
        let rng = (0..).map(|step| StepRng::new(*seed, trial, number, step));
        let changes = Changes::draw(&recipe.data.augment, rng.zip(sizes), split.shape, self.device)?;
        let numbers_of = |step| self.optimizer.numbers(self.learning_rate(step, steps), step);
        let first = u64::from(number - 1) * steps.epoch + 1;
        let numbers: Vec<Vec<f64>> = (first..first + steps.epoch).map(numbers_of).collect();
        let table = || {
            let mut flat = Vec::new();
            for (step, numbers) in (0..).zip(&numbers) {
                flat.extend(numbers.iter().map(|&number| number as f32));
                flat.extend(StepRng::new(*seed, trial, number, step).keys(recipe.layers.len()));
            }
            Tensor::f_from_slice(&flat)?.f_view([steps.epoch as i64, -1])?.f_to_device(self.device)
        };
        let numbers_there = self.recorder.reads_the_device().then(table).transpose()?;
        Ok(Epoch { number, images, steps, changes, numbers, numbers_there })
    }

    /// Returns the learning rate of a step. Steps count from 1 over the whole trial.
    fn learning_rate(&self, step: u64, steps: Steps) -> f64 {
        let training = &self.order.recipe.training;
        training.learning_rate * training.schedule.share(step, steps, self.position.reductions)
    }

    /// Trains from the current position to the end of the epoch. Returns false if the controller asked for a pause
    /// before that.
    fn train_epoch(&mut self, set: &Set, epoch: &Epoch<'_>, heartbeat: &mut Heartbeat) -> Result<bool> {
        let started = Instant::now();
        self.tally.reset(self.position.sums)?;
        let mut paused = false;
        while self.position.step < epoch.steps.epoch && !paused {
            self.train_step(set, epoch)?;
            self.position.step += 1;
            if !takes_gpu_path(self.device) {
                // On a GPU, reading the loss would mean waiting for the device. There the loss is checked only at the
                // end of the epoch.
                self.finite("training loss", self.tally.read()?.loss, epoch)?;
            }
            paused = heartbeat.after_step(self.controller, self.position.step);
        }
        self.position.sums = self.tally.read()?;
        self.position.seconds += started.elapsed().as_secs_f64();
        self.finite("training loss", self.position.sums.loss, epoch)?;
        Ok(!paused)
    }

    /// Runs the forward pass, the backward pass and the optimizer on the next batch.
    fn train_step(&mut self, set: &Set, epoch: &Epoch<'_>) -> Result<()> {
        let Order { attempt, seed, recipe, .. } = self.order;
        let (training, step) = (&recipe.training, self.position.step);
        let batch = u64::from(training.batch_size);
        let rng = StepRng::new(*seed, attempt.trial.0, epoch.number, step).seeded(self.device)?;
        let rows = epoch.images.rows(step, batch)?;
        let inputs = Inputs {
            changes: epoch.changes.part(step * batch, rows.size()[0] as u64)?,
            numbers: epoch.numbers[step as usize].iter().copied().map(Scalar::from).collect(),
            keys: None,
            rows,
        };
        // Only full batches of a long trial occur often enough to repay the time for benchmarking cuDNN's kernels.
        let full = inputs.rows.size()[0] as u64 == batch;
        libtorch::benchmark(!training.deterministic && full && epoch.steps.all >= STEPS_WORTH_A_BENCHMARK);
        let numbers_there = epoch.numbers_there.as_ref().map(|table| table.f_select(0, step as i64)).transpose()?;
        let Run { network, optimizer, tally, weights, .. } = self;
        let mut work = |inputs: &Inputs| {
            let (xs, labels) = set.gather(&inputs.rows)?;
            let xs = inputs.changes.apply(xs, rng)?;
            let logits = network.forward(&xs, Mode::Train(rng, inputs.keys.as_ref()))?;
            let loss = match (inputs.changes.mix(), weights.as_ref()) {
                (None, None) => cross_entropy(&logits, &labels, training.label_smoothing)?,
                (mix, weights) => weighted_cross_entropy(&logits, &labels, mix, weights, training.label_smoothing)?,
            };
            let gradients = network.gradients(&loss)?;
            optimizer.step(&mut network.parameters, gradients, &inputs.numbers)?;
            tally.add(&loss, &logits, &labels)
        };
        Ok(self.recorder.take(inputs, numbers_there.as_ref(), self.device, &mut work)?)
    }

    /// Evaluates the network at the end of an epoch. Returns `None` if the controller asked for a pause before the end.
    fn evaluate_epoch(
        &mut self,
        split: &Split<'_>,
        epoch: &Epoch<'_>,
        heartbeat: &mut Heartbeat,
    ) -> Result<Option<(EpochMetrics, Others)>> {
        let started = Instant::now();
        libtorch::benchmark(false);
        let counts = by_class(&self.order.recipe.training);
        let mut by_class = counts.then(|| ClassTally::new(self.classes.len(), self.device)).transpose()?;
        let mut evaluated = |part, by_class| {
            let interrupted = || heartbeat.after_step(self.controller, epoch.steps.epoch);
            evaluate(&self.network, part, self.device, by_class, interrupted)
        };
        let Some(seen) = evaluated(&split.train_eval, None)? else { return Ok(None) };
        let Some(unseen) = evaluated(&split.validation, by_class.as_mut())? else { return Ok(None) };
        self.finite("loss on training images", seen.loss, epoch)?;
        self.finite("validation loss", unseen.loss, epoch)?;

        let seen = Measured::new(seen, split.train_eval.count());
        let unseen = Measured::new(unseen, split.validation.count());
        let mut metrics = self.metrics(epoch, &seen, &unseen);
        metrics.seconds = Some(self.position.seconds + started.elapsed().as_secs_f64());
        let mut others = match by_class {
            Some(by_class) => accuracies(self.classes, &by_class.accuracies()?),
            None => Others::new(),
        };
        metrics.objective = others.remove(&self.order.recipe.training.metric.name);
        Ok(Some((metrics, others)))
    }

    /// Returns the metrics of an epoch after it has been trained, evaluated on training images (`seen`) and on
    /// validation images (`unseen`).
    fn metrics(&self, epoch: &Epoch<'_>, seen: &Measured, unseen: &Measured) -> EpochMetrics {
        let images = epoch.images.count();
        let trained = Measured::new(self.position.sums, images);
        EpochMetrics {
            epoch: epoch.number,
            learning_rate: Some(self.learning_rate(self.steps_done(epoch), epoch.steps)),
            train_loss: Some(trained.loss),
            train_accuracy: Some(trained.accuracy),
            train_eval_loss: Some(seen.loss),
            train_eval_accuracy: Some(seen.accuracy),
            val_loss: Some(unseen.loss),
            val_accuracy: Some(unseen.accuracy),
            pictures_per_second: Some(images as f64 / self.position.seconds),
            ..EpochMetrics::default()
        }
    }

    /// Returns the number of completed steps in the whole trial.
    fn steps_done(&self, epoch: &Epoch<'_>) -> u64 {
        u64::from(epoch.number - 1) * epoch.steps.epoch + self.position.step
    }

    fn finite(&self, what: &str, value: f64, epoch: &Epoch<'_>) -> Result<()> {
        if value.is_finite() {
            return Ok(());
        }
        let how = if value.is_nan() { "NaN" } else { "infinite" };
        Err(Fault::Diverged { epoch: epoch.number, step: self.steps_done(epoch), what: format!("{what} is {how}") })
    }

    /// Restores the newest valid checkpoint. Returns the reason if a newer one was not used.
    fn resume(&mut self) -> Result<Option<String>> {
        let state = self.state();
        let (resumed, note) = self.files.load(&state);
        let Some(resumed) = resumed else { return Ok(note) };
        tch::no_grad(|| {
            for (name, mut tensor) in state {
                tensor.f_copy_(&resumed.tensors[&name])?;
            }
            for parameter in &mut self.network.parameters {
                parameter.refresh()?;
            }
            self.position = resumed.position;
            if self.position.best.is_some() {
                self.best = copies(self.network.state())?;
                for (name, tensor) in &mut self.best {
                    // The file has no separate best weights if the current weights are the best.
                    if let Some(better) = resumed.tensors.get(&format!("best.{name}")) {
                        tensor.f_copy_(better)?;
                    }
                }
            }
            Ok(note)
        })
    }

    fn save(&mut self) -> Result<()> {
        let mut tensors = self.state();
        let Position { step, best, .. } = self.position;
        let epoch = self.position.epochs();
        if best.is_some_and(|best| step > 0 || best.epoch != epoch) {
            tensors.extend(prefixed("best.", &self.best));
        }
        self.files.save(&self.position, &tensors)?;
        self.controller.say(FromTrainer::Saved { attempt: self.order.attempt, epoch });
        Ok(())
    }

    /// Returns everything except the position that the next step depends on. The tensors are not copied.
    fn state(&self) -> Tensors {
        let mut state = prefixed("model.", &self.network.state());
        state.extend(self.optimizer.state(&self.network.parameters));
        state
    }
}

fn prefixed(prefix: &str, tensors: &[(String, Tensor)]) -> Tensors {
    tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.shallow_clone())).collect()
}

fn copies(tensors: Tensors) -> std::result::Result<Tensors, TchError> {
    tensors.into_iter().map(|(name, tensor)| Ok((name, own(&tensor)?))).collect()
}

/// Mean loss and accuracy over a set of images.
struct Measured {
    loss: f64,
    accuracy: f64,
}

impl Measured {
    fn new(sums: Sums, images: u64) -> Measured {
        Measured { loss: sums.loss / images as f64, accuracy: sums.hits / images as f64 }
    }
}

/// Periodically tells the controller that the trainer is alive.
struct Heartbeat {
    attempt: Attempt,
    epoch: u32,
    steps: u64,
    last: Instant,
}

impl Heartbeat {
    fn new(attempt: Attempt, epoch: u32, steps: u64) -> Heartbeat {
        Heartbeat { attempt, epoch, steps, last: Instant::now() }
    }

    /// Must be called after every batch. Returns whether the controller wants a pause.
    fn after_step(&mut self, controller: &mut dyn Controller, step: u64) -> bool {
        if self.last.elapsed() >= HEARTBEAT {
            self.last = Instant::now();
            let Heartbeat { attempt, epoch, steps, .. } = *self;
            controller.say(FromTrainer::Progress { attempt, epoch, step, steps });
        }
        controller.wants_pause(self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rand::RngExt;

    use super::*;
    use crate::optimizer::every_optimizer;
    use sweep_core::protocol::{BEST_WEIGHTS, LAST_CHECKPOINT, PREVIOUS_CHECKPOINT};
    use sweep_core::random::{Purpose, stream};
    use sweep_core::recipe::{self, Layer, Padding, Recipe, Schedule, Shape, Source, Training, Validation, Warmup};
    use sweep_core::trial::{Goal, Metric, TrialId};

    /// Records messages, and asks for a pause after a given number of calls.
    #[derive(Default)]
    struct Script {
        heard: Vec<FromTrainer>,
        chances_before_pause: Option<u32>,
    }

    impl Controller for Script {
        fn say(&mut self, message: FromTrainer) {
            self.heard.push(message);
        }

        fn wants_pause(&mut self, _: Attempt) -> bool {
            self.chances_before_pause.as_mut().is_some_and(|left| {
                *left = left.saturating_sub(1);
                *left == 0
            })
        }
    }

    impl Script {
        fn pausing_after(chances: u32) -> Script {
            Script { chances_before_pause: Some(chances), ..Script::default() }
        }

        /// Returns the metrics of all epochs without their durations.
        fn epochs(&self) -> Vec<EpochMetrics> {
            let timeless =
                |metrics: &EpochMetrics| EpochMetrics { seconds: None, pictures_per_second: None, ..*metrics };
            let epoch = |message: &FromTrainer| match message {
                FromTrainer::Epoch { metrics, .. } => Some(timeless(metrics)),
                _ => None,
            };
            self.heard.iter().filter_map(epoch).collect()
        }

        fn note(&self) -> Option<String> {
            let note = |message: &FromTrainer| match message {
                FromTrainer::Began { note, .. } => Some(note.clone()),
                _ => None,
            };
            self.heard.iter().find_map(note).expect("every attempt begins")
        }
    }

    /// Returns an order for digits and a network that uses every random and every stateful feature.
    fn order(trial: u64, folder: &Path) -> Order {
        let layers = vec![
            Layer::Conv { filters: 16, kernel: 3, stride: 1, padding: Padding::Same, bias: true, max_norm: Some(3.0) },
            Layer::Relu,
            Layer::MaxPool { size: 2, stride: 2 },
            Layer::BatchNorm { momentum: 0.9, epsilon: 1e-3 },
            Layer::Dropout { rate: 0.1 },
            Layer::Flatten,
            Layer::Dense { units: 32, bias: true, max_norm: None },
            Layer::Relu,
            Layer::Dropout { rate: 0.2 },
            Layer::Dense { units: 10, bias: true, max_norm: None },
        ];
        let augment = recipe::Augment {
            crop: 1,
            rotate: 5.0,
            scale: 0.05,
            noise: 0.01,
            cutout: 1,
            brightness: 0.1,
            contrast: 0.1,
            erase: 0.1,
            mixup: 0.1,
            cutmix: 0.1,
            rand_augment: 0.2,
            ..recipe::Augment::default()
        };
        let data = recipe::Data {
            split_seed: None,
            source: Source::Digits,
            validation: Validation::Share(0.2),
            train_examples: None,
            augment,
            test: None,
            normalize: Default::default(),
        };
        let schedule = Schedule { shape: Shape::Plateau { factor: 0.5, patience: 1 }, warmup: Warmup::Steps(5) };
        let training = Training {
            epochs: 4,
            batch_size: 100,
            learning_rate: 0.005,
            schedule,
            optimizer: recipe::Optimizer::Adam(recipe::Moments::default()),
            weight_decay: 1e-4,
            label_smoothing: 0.05,
            clip_norm: Some(5.0),
            init: recipe::Init::Keras,
            precision: recipe::Precision::Float32,
            deterministic: false,
            cuda_graph: true,
            gpu_kernels: false,
            balance: Default::default(),
            early_stopping: None,
            metric: Metric { name: "val_loss".into(), goal: Goal::Minimize },
        };
        Order {
            attempt: Attempt { trial: TrialId(trial), number: 1 },
            seed: 7,
            recipe: Recipe { data, layers, training },
            folder: folder.to_owned(),
            epochs_known: 0,
            check_weights: true,
        }
    }

    fn run(order: &Order, script: &mut Script) -> Result<Option<Outcome>> {
        tch::set_num_threads(1);
        train(order, Device::Cpu, &mut DatasetCache::new(Device::Cpu), script)
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// Returns the epochs of a trial without interruptions.
    fn undisturbed(order: &Order) -> Vec<EpochMetrics> {
        let mut script = Script::default();
        assert_eq!(run(order, &mut script).unwrap(), Some(Outcome::Finished));
        script.epochs()
    }

    #[test]
    fn digits_are_learnt() {
        let folder = folder();
        let mut order = order(1, folder.path());
        order.recipe.data.augment = recipe::Augment::default();
        order.recipe.training.label_smoothing = 0.0;
        let epochs = undisturbed(&order);
        let last = epochs.last().unwrap();
        assert!(last.val_accuracy > Some(0.9) && last.train_accuracy > Some(0.9), "{last:?}");
        assert!(last.val_loss < Some(0.35) && last.train_eval_loss < last.train_loss, "{last:?}");
        assert!(folder.path().join(BEST_WEIGHTS).exists());
    }

    #[test]
    fn balanced_accuracy_is_the_mean_of_the_classes_accuracies_and_survives_a_pause() {
        let of = |folder: &Path| {
            let mut order = order(1, folder);
            order.recipe.training.metric = Metric { name: BALANCED_ACCURACY.into(), goal: Goal::Maximize };
            order.recipe.training.epochs = 2;
            order
        };
        let metrics = |script: Script| -> Vec<(EpochMetrics, Others)> {
            let epochs = script.heard.into_iter().filter_map(|message| match message {
                FromTrainer::Epoch { metrics, others, .. } => Some((metrics, others)),
                _ => None,
            });
            epochs.collect()
        };
        let mut script = Script::default();
        run(&of(folder().path()), &mut script).unwrap();
        let expected = metrics(script);
        for (metrics, others) in &expected {
            assert_eq!(others.len(), 10);
            let mean = others.values().sum::<f64>() / 10.0;
            assert!((metrics.objective.unwrap() - mean).abs() < 1e-12, "{metrics:?} {others:?}");
            // The digits are almost balanced.
            assert!((mean - metrics.val_accuracy.unwrap()).abs() < 0.05);
        }
        // The first epoch ends in the first attempt, which nobody hears of.
        let folder = folder();
        assert_eq!(run(&of(folder.path()), &mut Script::pausing_after(30)).unwrap(), None);
        let mut script = Script::default();
        run(&of(folder.path()), &mut script).unwrap();
        let without_times = |all: Vec<(EpochMetrics, Others)>| -> Vec<(EpochMetrics, Others)> {
            let timeless = |metrics| EpochMetrics { seconds: None, pictures_per_second: None, ..metrics };
            all.into_iter().map(|(metrics, others)| (timeless(metrics), others)).collect()
        };
        assert_eq!(without_times(metrics(script)), without_times(expected));
    }

    #[test]
    fn digits_are_learnt_in_bfloat16() {
        let folder = folder();
        let mut order = order(1, folder.path());
        order.recipe.data.augment = recipe::Augment::default();
        order.recipe.training.precision = recipe::Precision::Bfloat16;
        let epochs = undisturbed(&order);
        assert!(epochs.last().unwrap().val_accuracy > Some(0.9), "{epochs:?}");
        order.recipe.training.precision = recipe::Precision::Float32;
        assert_ne!(epochs, undisturbed(&order));
    }

    /// On a GPU's path, the rules work on lists of float32 tensors, and gradients come in bfloat16.
    #[test]
    fn every_optimizer_trains_in_bfloat16_with_the_kernels_of_libtorch_and_with_ours() {
        for (optimizer, learning_rate) in every_optimizer() {
            for (gpu_kernels, weight_decay, clip_norm) in
                [(false, 0.0, None), (false, 1e-4, Some(5.0)), (true, 1e-4, None)]
            {
                let folder = folder();
                let mut order = order(1, folder.path());
                order.recipe.training = Training {
                    optimizer,
                    learning_rate,
                    weight_decay,
                    clip_norm,
                    gpu_kernels,
                    ..order.recipe.training
                };
                order.recipe.training.precision = recipe::Precision::Bfloat16;
                (order.recipe.training.epochs, order.recipe.data.augment) = (2, recipe::Augment::default());
                let epochs = undisturbed(&order);
                let last = epochs.last().unwrap();
                assert!(
                    last.train_loss < epochs[0].train_loss && last.train_loss < Some(2.2),
                    "{optimizer:?} {epochs:?}"
                );
            }
        }
    }

    #[test]
    fn an_epoch_says_the_learning_rate_of_its_last_step() {
        let folder = folder();
        let mut order = order(1, folder.path());
        order.recipe.training.schedule = Schedule { shape: Shape::Cosine { to: 0.2 }, warmup: Warmup::Share(0.5) };
        let epochs = undisturbed(&order);
        let rates: Vec<f64> = epochs.iter().map(|epoch| (epoch.learning_rate.unwrap() * 1e6).round() / 1e6).collect();
        assert_eq!(rates, [0.0025, 0.005, 0.003, 0.001]);
    }

    #[test]
    fn every_optimizer_goes_on_where_it_was_paused() {
        for (optimizer, _) in every_optimizer() {
            let orders = |folder: &Path| {
                let mut order = order(1, folder);
                order.recipe.training.optimizer = optimizer;
                order.recipe.training.epochs = 1;
                order
            };
            let expected = undisturbed(&orders(folder().path()));
            let folder = folder();
            assert_eq!(run(&orders(folder.path()), &mut Script::pausing_after(9)).unwrap(), None);
            assert_eq!(undisturbed(&orders(folder.path())), expected, "{optimizer:?}");
        }
    }

    #[test]
    fn a_look_at_first_weights_finds_what_is_wrong_and_changes_no_number() {
        let (seen, unseen, deep) = (folder(), folder(), folder());
        let told = |order: &Order| {
            let mut script = Script::default();
            run(order, &mut script).unwrap();
            let warnings = script.heard.iter().find_map(|message| match message {
                FromTrainer::Began { warnings, .. } => Some(warnings.clone()),
                _ => None,
            });
            let names: Vec<String> = warnings.unwrap().into_iter().map(|warning| warning.name).collect();
            (names, script.epochs())
        };
        let (names, epochs) = told(&order(1, seen.path()));
        assert!(names.is_empty(), "{names:?}");
        let mut wrong = order(1, deep.path());
        let dense = |units| Layer::Dense { units, bias: true, max_norm: None };
        wrong.recipe.layers = std::iter::once(Layer::Flatten)
            .chain((0..12).flat_map(|_| [dense(32), Layer::Sigmoid]))
            .chain([dense(10)])
            .collect();
        assert_eq!(told(&wrong).0, ["vanishing_gradients"]);
        wrong.check_weights = false;
        wrong.folder = unseen.path().to_owned();
        assert!(told(&wrong).0.is_empty());
        let without = folder();
        assert_eq!(told(&Order { check_weights: false, ..order(1, without.path()) }).1, epochs);
    }

    #[test]
    fn a_trials_numbers_do_not_depend_on_what_was_trained_before() {
        let (first, second, alone) = (folder(), folder(), folder());
        tch::set_num_threads(1);
        let mut cache = DatasetCache::new(Device::Cpu);
        let mut script = Script::default();
        train(&order(1, first.path()), Device::Cpu, &mut cache, &mut script).unwrap();
        let before = std::mem::take(&mut script.heard).len();
        train(&order(2, second.path()), Device::Cpu, &mut cache, &mut script).unwrap();
        assert_eq!((before, script.epochs()), (before, undisturbed(&order(2, alone.path()))));
        assert_ne!(script.epochs(), undisturbed(&order(1, folder().path())));
    }

    #[test]
    fn a_trial_that_is_paused_anywhere_again_and_again_equals_one_that_is_not() {
        let order = |gpu_kernels, folder: &Path| {
            let mut order = order(1, folder);
            order.recipe.training.gpu_kernels = gpu_kernels;
            order
        };
        let expected = [false, true].map(|gpu_kernels| undisturbed(&order(gpu_kernels, folder().path())));
        let mut random = stream(1, 0, 0, Purpose::Point);
        for round in 0..4 {
            let (folder, gpu_kernels) = (folder(), round % 2 == 1);
            let mut order = order(gpu_kernels, folder.path());
            let (mut seen, mut attempts) = (Vec::new(), 0);
            loop {
                order.epochs_known = seen.len() as u32;
                // An epoch has 15 training batches and 6 evaluation batches, so some pauses fall into the evaluation.
                let mut script = Script::pausing_after(random.random_range(1..40));
                let outcome = run(&order, &mut script).unwrap();
                assert_eq!(script.note(), None);
                seen.extend(script.epochs());
                attempts += 1;
                if outcome.is_some() {
                    break;
                }
            }
            assert!(attempts > 1);
            assert_eq!(seen, expected[round % 2]);
        }
    }

    /// Reproduces the state after `kill -9`: a checkpoint from the end of an earlier epoch, while later epochs were
    /// running.
    #[test]
    fn a_trial_that_was_killed_goes_on_from_its_checkpoint_and_equals_one_that_was_not() {
        let (straight, killed) = (folder(), folder());
        let expected = undisturbed(&order(1, straight.path()));
        let mut script = Script::pausing_after(21 + 16);
        assert_eq!(run(&order(1, killed.path()), &mut script).unwrap(), None);
        // The checkpoint from the pause in the second epoch is lost.
        let previous = killed.path().join(PREVIOUS_CHECKPOINT);
        std::fs::rename(&previous, killed.path().join(LAST_CHECKPOINT)).unwrap();
        let mut script = Script::default();
        assert_eq!(run(&order(1, killed.path()), &mut script).unwrap(), Some(Outcome::Finished));
        // The controller knew of no epoch, so the trainer reports the one in the checkpoint again.
        assert_eq!(script.epochs(), expected);
        let best = |folder: &Path| std::fs::read(folder.join(BEST_WEIGHTS)).unwrap();
        assert!(best(straight.path()) == best(killed.path()));
    }

    #[test]
    fn a_damaged_checkpoint_gives_way_to_the_one_before_and_that_to_the_start() {
        let expected = undisturbed(&order(1, folder().path()));
        let folder = folder();
        let order = order(1, folder.path());
        assert_eq!(run(&order, &mut Script::pausing_after(21 + 5)).unwrap(), None);
        let last = folder.path().join(LAST_CHECKPOINT);
        let whole = std::fs::read(&last).unwrap();
        let mut random = stream(2, 0, 0, Purpose::Point);
        for round in 0..40 {
            let mut bytes = whole.clone();
            let place = random.random_range(0..whole.len());
            match round % 2 {
                0 => bytes.truncate(place),
                _ => bytes[place] ^= 1 << (place % 8),
            }
            std::fs::write(&last, bytes).unwrap();
            let files = Checkpoints::new(&order);
            let (resumed, note) = files.load(&[]);
            let note = note.unwrap();
            assert!(note.starts_with("last.safetensors was not used: it"), "{note}");
            assert_eq!(resumed.map(|resumed| (resumed.position.epochs(), resumed.position.step)), Some((1, 0)));
        }
        let mut script = Script::pausing_after(1);
        assert_eq!(run(&order, &mut script).unwrap(), None);
        assert!(script.note().unwrap().ends_with("continuing from previous.safetensors after epoch 1"));

        for name in [LAST_CHECKPOINT, PREVIOUS_CHECKPOINT] {
            std::fs::write(folder.path().join(name), b"not a checkpoint").unwrap();
        }
        let mut script = Script::default();
        run(&order, &mut script).unwrap();
        assert!(script.note().unwrap().ends_with("starting again"));
        assert_eq!(script.epochs(), expected);
    }

    #[test]
    fn a_checkpoint_of_other_settings_is_refused() {
        let folder = folder();
        assert_eq!(run(&order(1, folder.path()), &mut Script::pausing_after(3)).unwrap(), None);
        let mut other = order(1, folder.path());
        other.recipe.training.learning_rate = 0.004;
        let mut script = Script::pausing_after(1);
        run(&other, &mut script).unwrap();
        let note = script.note().unwrap();
        assert_eq!(note, "last.safetensors was not used: it belongs to other parameters; starting again");
    }

    #[test]
    fn a_loss_that_is_no_number_ends_the_trial_as_diverged_at_its_step() {
        let folder = folder();
        let mut order = order(1, folder.path());
        order.recipe.training.optimizer = recipe::Optimizer::Sgd { momentum: 0.9, nesterov: false };
        order.recipe.training.learning_rate = 1e20;
        match run(&order, &mut Script::default()) {
            Err(Fault::Diverged { epoch: 1, step: 2..=3, what }) => assert_eq!(what, "training loss is NaN"),
            // On a GPU, the loss is checked only at the end of the epoch.
            Err(Fault::Diverged { epoch: 1, step: 15, what }) if takes_gpu_path(Device::Cpu) => {
                assert_eq!(what, "training loss is NaN");
            }
            other => panic!("{other:?}"),
        }
    }
}
