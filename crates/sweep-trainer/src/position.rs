//! The position of a trial: all of its state except tensors. Pure.

use serde::{Deserialize, Serialize};

use sweep_core::recipe::{Shape, Training};
use sweep_core::trial::{EpochMetrics, Goal, Others};

/// The position of a trial between two batches.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Metrics of the finished epochs.
    pub curve: Vec<EpochMetrics>,
    /// Other metrics of the finished epochs. Shorter than `curve` or empty if none were measured.
    #[serde(default)]
    pub others: Vec<Others>,
    /// Number of completed steps in the current epoch.
    pub step: u64,
    /// Sums over the images of these steps.
    pub sums: Sums,
    /// Wall-clock time of these steps, in seconds.
    pub seconds: f64,
    /// The best epoch so far, by the sweep's metric.
    pub best: Option<Best>,
    /// The state of early stopping.
    pub patience: Option<Patience>,
    /// The state of the plateau detection, if the schedule uses it.
    pub plateau: Option<Patience>,
    /// Number of plateaus so far, each of which reduced the learning rate.
    pub reductions: u32,
}

/// Sums of losses and correct classifications over some images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Sum of the losses.
    pub loss: f64,
    /// Number of images that were classified correctly.
    pub hits: f64,
}

/// An epoch and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The value of the metric.
    pub value: f64,
}

/// The state of Keras' `EarlyStopping`, and of its `ReduceLROnPlateau`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Patience {
    /// The value that an improvement must beat by more than `min_delta`.
    pub reference: f64,
    /// Epochs since the reference was reached.
    pub waited: u32,
}

impl Patience {
    /// Returns the state after another epoch with this value.
    fn after(before: Option<Patience>, value: f64, goal: Goal, min_delta: f64) -> Patience {
        let passed = |reference: f64| match goal {
            Goal::Minimize => value < reference - min_delta,
            Goal::Maximize => value > reference + min_delta,
        };
        match before {
            Some(Patience { reference, waited }) if !passed(reference) => Patience { reference, waited: waited + 1 },
            _ => Patience { reference: value, waited: 0 },
        }
    }
}

impl Position {
    /// Ends the current epoch with its metrics. Returns whether it is the best so far. Of epochs with equal values, the
    /// first is the best.
    pub fn finish_epoch(&mut self, metrics: &EpochMetrics, others: Others, training: &Training) -> bool {
        self.curve.push(*metrics);
        if !others.is_empty() {
            self.others.push(others);
        }
        (self.step, self.sums, self.seconds) = (0, Sums::default(), 0.0);
        let Some(value) = metrics.get(&training.metric.name) else { return false };
        let goal = training.metric.goal;
        if let Some(stopping) = training.early_stopping {
            self.patience = Some(Patience::after(self.patience, value, goal, stopping.min_delta));
        }
        if let Shape::Plateau { patience, .. } = training.schedule.shape {
            let mut plateau = Patience::after(self.plateau, value, goal, 0.0);
            if plateau.waited >= patience {
                self.reductions += 1;
                plateau.waited = 0;
            }
            self.plateau = Some(plateau);
        }
        let improved = self.best.is_none_or(|best| goal.better(value, best.value));
        if improved {
            self.best = Some(Best { epoch: metrics.epoch, value });
        }
        improved
    }

    /// Returns the epoch to train next, from 1. Returns `None` if all epochs are done or patience has run out.
    pub fn next_epoch(&self, training: &Training) -> Option<u32> {
        (self.epochs() < training.epochs && !self.out_of_patience(training)).then_some(self.epochs() + 1)
    }

    /// Returns the number of finished epochs.
    pub fn epochs(&self) -> u32 {
        self.curve.len() as u32
    }

    fn out_of_patience(&self, training: &Training) -> bool {
        match (training.early_stopping, self.patience) {
            // As in Keras, patience 0 also waits for an epoch without improvement.
            (Some(stopping), Some(patience)) => patience.waited >= stopping.patience.max(1),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::recipe::{EarlyStopping, Init, Optimizer, Precision, Schedule};
    use sweep_core::trial::Metric;

    fn training(epochs: usize) -> Training {
        Training {
            epochs: epochs as u32,
            batch_size: 1,
            learning_rate: 0.1,
            schedule: Schedule::default(),
            optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false },
            weight_decay: 0.0,
            label_smoothing: 0.0,
            clip_norm: None,
            init: Init::Keras,
            precision: Precision::Float32,
            deterministic: false,
            cuda_graph: false,
            gpu_kernels: false,
            balance: Default::default(),
            early_stopping: None,
            metric: Metric { name: "val_loss".into(), goal: Goal::Minimize },
        }
    }

    fn epochs_trained(losses: &[f64], patience: u32, min_delta: f64) -> (u32, Best) {
        let early_stopping = Some(EarlyStopping { patience, min_delta });
        let training = Training { early_stopping, ..training(losses.len()) };
        let mut position = Position::default();
        while let Some(epoch) = position.next_epoch(&training) {
            let val_loss = Some(losses[epoch as usize - 1]);
            position.finish_epoch(
                &EpochMetrics { epoch, val_loss, ..EpochMetrics::default() },
                Others::new(),
                &training,
            );
        }
        (position.epochs(), position.best.unwrap())
    }

    #[test]
    fn patience_ends_a_trial_that_many_epochs_after_its_last_improvement() {
        assert_eq!(epochs_trained(&[3.0, 2.0, 2.5, 2.0, 2.5, 1.0], 3, 0.0), (5, Best { epoch: 2, value: 2.0 }));
        assert_eq!(epochs_trained(&[3.0, 2.0, 2.5, 2.0, 1.0, 1.5], 3, 0.0), (6, Best { epoch: 5, value: 1.0 }));
        assert_eq!(epochs_trained(&[3.0, 2.0, 2.5, 1.0], 0, 0.0).0, 3);
    }

    #[test]
    fn small_improvements_make_a_best_epoch_but_do_not_feed_patience() {
        assert_eq!(epochs_trained(&[3.0, 2.9, 2.8, 2.7, 2.6], 2, 0.5), (3, Best { epoch: 3, value: 2.8 }));
        // Two small improvements together exceed the threshold, because the reference did not move.
        assert_eq!(epochs_trained(&[3.0, 2.7, 2.4, 2.4, 2.4, 2.4], 2, 0.5), (5, Best { epoch: 3, value: 2.4 }));
    }

    #[test]
    fn a_plateau_is_met_after_so_many_epochs_without_improvement_and_again_after_as_many() {
        let losses = [3.0, 2.0, 2.5, 2.0, 1.5, 1.6, 1.7, 1.8, 1.9];
        let shape = Shape::Plateau { factor: 0.1, patience: 2 };
        let training = Training { schedule: Schedule { shape, ..Schedule::default() }, ..training(losses.len()) };
        let mut position = Position::default();
        let mut after = |(epoch, loss)| {
            let metrics = EpochMetrics { epoch, val_loss: Some(loss), ..EpochMetrics::default() };
            position.finish_epoch(&metrics, Others::new(), &training);
            position.reductions
        };
        let reductions: Vec<u32> = (1..).zip(losses).map(&mut after).collect();
        assert_eq!(reductions, [0, 0, 0, 1, 1, 1, 2, 2, 3]);
    }
}
