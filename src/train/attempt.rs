//! One attempt at a trial: the training loop.

use std::time::{Duration, Instant};

use tch::{Device, TchError, Tensor};

use super::checkpoint::{Checkpoints, Tensors};
use super::controller::Controller;
use super::draws::{Draws, shuffled};
use super::evaluation::{Tally, cross_entropy, evaluate};
use super::fault::{Fault, Result};
use super::network::{Mode, Network};
use super::optimizer::Optimizer;
use super::pictures::{Shelf, Split};
use super::position::{Position, Sums};
use crate::protocol::{FromTrainer, Order};
use crate::trial::{Attempt, EpochMetrics, Outcome};

/// Time between two signs of life.
const PULSE: Duration = Duration::from_millis(250);

/// Trains a trial from its newest checkpoint, or from the start, to its end. `None` if it was asked to pause: it is
/// then saved in the middle of its epoch, and goes on there.
///
/// # Errors
/// What keeps it from being trained.
pub fn train(
    order: &Order,
    device: Device,
    shelf: &mut Shelf,
    controller: &mut dyn Controller,
) -> Result<Option<Outcome>> {
    let recipe = &order.recipe;
    let loaded = shelf.get(&recipe.data.source)?;
    let split = loaded.split(&recipe.data, order.seed)?;
    let network = Network::new(loaded.info().shape, &recipe.layers, order.seed, order.attempt.trial.0, device)?;
    let optimizer = Optimizer::new(&recipe.training, &network.parameters)?;
    let files = Checkpoints::new(order);
    let mut run =
        Run { order, device, network, optimizer, position: Position::default(), best: Vec::new(), files, controller };

    let note = run.resume()?;
    run.controller.say(FromTrainer::Began {
        attempt: order.attempt,
        from_epoch: run.position.epochs,
        train_examples: split.train_rows.len() as u64,
        validation_examples: split.validation.count(),
        parameters: run.network.parameter_count(),
        note,
    });
    let ended = run.train(&split);
    if matches!(ended, Ok(Some(_)) | Err(Fault::Diverged { .. })) && !run.best.is_empty() {
        run.files.save_best(&run.position, &prefixed("model.", &run.best))?;
    }
    ended
}

/// A trial under way.
struct Run<'a> {
    order: &'a Order,
    device: Device,
    network: Network,
    optimizer: Optimizer,
    position: Position,
    /// Copies of the network's state after its best epoch; empty before the first.
    best: Tensors,
    files: Checkpoints,
    controller: &'a mut dyn Controller,
}

impl Run<'_> {
    fn train(&mut self, split: &Split<'_>) -> Result<Option<Outcome>> {
        let Order { attempt, seed, recipe, .. } = self.order;
        let (training, trial) = (&recipe.training, attempt.trial.0);
        let batch_size = u64::from(training.batch_size);

        while let Some(epoch) = self.position.next_epoch(training) {
            let pictures = split.train.part(&shuffled(&split.train_rows, *seed, trial, epoch))?;
            let steps = pictures.batches(batch_size);
            let steps_before = u64::from(epoch - 1) * steps;
            let learning_rate = training.learning_rate;
            let mut tally = Tally::new(self.position.sums, self.device)?;
            let mut pulse = Pulse { attempt: *attempt, epoch, steps, last: Instant::now() };
            let mut paused = false;

            let started = Instant::now();
            while self.position.step < steps && !paused {
                let (xs, labels) = pictures.batch(self.position.step, batch_size)?;
                let draws = Draws::new(*seed, trial, epoch, self.position.step, self.device);
                let logits = self.network.forward(&xs, Mode::Train(draws))?;
                let loss = cross_entropy(&logits, &labels)?;
                let gradients = self.network.gradients(&loss)?;

                self.position.step += 1;
                let step = steps_before + self.position.step;
                self.optimizer.step(&mut self.network.parameters, &gradients, learning_rate, step)?;
                tally.add(&loss, &logits, &labels)?;
                if self.device == Device::Cpu {
                    // On a GPU, looking would mean waiting for it: there the end of the epoch must do.
                    finite("training loss", tally.read()?.loss, epoch, step)?;
                }
                paused = pulse.beat(self.controller, self.position.step);
            }
            self.position.sums = tally.read()?;
            self.position.seconds += started.elapsed().as_secs_f64();
            let last_step = steps_before + self.position.step;
            finite("training loss", self.position.sums.loss, epoch, last_step)?;

            let started = Instant::now();
            let mut judge = |part| {
                if paused {
                    return Ok(None);
                }
                evaluate(&self.network, part, self.device, || {
                    paused = pulse.beat(self.controller, steps);
                    paused
                })
            };
            let Some((seen, unseen)) = judge(&split.train_eval)?.zip(judge(&split.validation)?) else {
                self.save()?;
                return Ok(None);
            };
            finite("loss on training pictures", seen.loss, epoch, last_step)?;
            finite("validation loss", unseen.loss, epoch, last_step)?;

            let trained = Measured::new(self.position.sums, pictures.count());
            let seen = Measured::new(seen, split.train_eval.count());
            let unseen = Measured::new(unseen, split.validation.count());
            let metrics = EpochMetrics {
                epoch,
                learning_rate: Some(learning_rate),
                train_loss: Some(trained.loss),
                train_accuracy: Some(trained.accuracy),
                train_eval_loss: Some(seen.loss),
                train_eval_accuracy: Some(seen.accuracy),
                val_loss: Some(unseen.loss),
                val_accuracy: Some(unseen.accuracy),
                seconds: Some(self.position.seconds + started.elapsed().as_secs_f64()),
                pictures_per_second: Some(pictures.count() as f64 / self.position.seconds),
            };
            if self.position.finish_epoch(&metrics, training) {
                self.best = copies(self.network.state())?;
            }
            self.controller.say(FromTrainer::Epoch { attempt: *attempt, metrics });
            if self.position.next_epoch(training).is_some() && self.files.due() {
                self.save()?;
            }
        }
        let all = self.position.epochs == training.epochs;
        Ok(Some(if all { Outcome::Finished } else { Outcome::EarlyStopped }))
    }

    /// Goes to where the newest sound checkpoint stands. Says why a newer one was not used.
    fn resume(&mut self) -> Result<Option<String>> {
        let state = self.state();
        let (resumed, note) = self.files.load(&state);
        let Some(resumed) = resumed else { return Ok(note) };
        tch::no_grad(|| {
            for (name, mut tensor) in state {
                tensor.f_copy_(&resumed.tensors[&name])?;
            }
            self.position = resumed.position;
            if self.position.best.is_some() {
                self.best = copies(self.network.state())?;
                for (name, tensor) in &mut self.best {
                    // There are none where the weights as they stand are the best.
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
        let Position { epochs, step, best, .. } = self.position;
        if best.is_some_and(|best| step > 0 || best.epoch != epochs) {
            tensors.extend(prefixed("best.", &self.best));
        }
        self.files.save(&self.position, &tensors)?;
        self.controller.say(FromTrainer::Saved { attempt: self.order.attempt, epoch: epochs });
        Ok(())
    }

    /// What the next step depends on, besides the position. The tensors themselves, not copies.
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
    let copy = |(name, tensor): (String, Tensor)| {
        let mut copy = tensor.f_empty_like()?;
        copy.f_copy_(&tensor)?;
        Ok((name, copy))
    };
    tensors.into_iter().map(copy).collect()
}

fn finite(what: &str, value: f64, epoch: u32, step: u64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let how = if value.is_nan() { "NaN" } else { "infinite" };
    Err(Fault::Diverged { epoch, step, what: format!("{what} is {how}") })
}

/// Means over some pictures.
struct Measured {
    loss: f64,
    accuracy: f64,
}

impl Measured {
    fn new(sums: Sums, pictures: u64) -> Measured {
        Measured { loss: sums.loss / pictures as f64, accuracy: sums.hits / pictures as f64 }
    }
}

/// Tells the controller that the trainer lives.
struct Pulse {
    attempt: Attempt,
    epoch: u32,
    steps: u64,
    last: Instant,
}

impl Pulse {
    /// To be called after every batch. Whether the controller wants a pause.
    fn beat(&mut self, controller: &mut dyn Controller, step: u64) -> bool {
        if self.last.elapsed() >= PULSE {
            self.last = Instant::now();
            let Pulse { attempt, epoch, steps, .. } = *self;
            controller.say(FromTrainer::Progress { attempt, epoch, step, steps });
        }
        controller.wants_pause(self.attempt)
    }
}
