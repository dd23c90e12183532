//! The learning rate of each step, as a pure function of the schedule and the step.

use std::f64::consts::PI;

use crate::recipe::{Schedule, Shape, Training, Warmup};

/// Number of optimizer steps in a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steps {
    /// Steps per epoch, above 0.
    pub epoch: u64,
    /// Steps of the whole trial, if nothing ends it early.
    pub all: u64,
}

impl Steps {
    /// Computes the steps of a trial with `pictures` training images per epoch.
    pub fn new(training: &Training, pictures: u64) -> Steps {
        let epoch = pictures.div_ceil(training.batch_size.into()).max(1);
        Steps { epoch, all: epoch * u64::from(training.epochs) }
    }
}

impl Schedule {
    /// Returns the share of the trial's learning rate that applies at step `step`, counted from 1. `reductions` is the
    /// number of plateaus so far.
    pub fn share(&self, step: u64, steps: Steps, reductions: u32) -> f64 {
        let warmup = match self.warmup {
            Warmup::Steps(steps) => steps,
            Warmup::Share(share) => (share * steps.all as f64).round() as u64,
        };
        // The schedule's shape begins at the first step with the full rate and ends at the last step.
        let first = warmup.max(1);
        let done = step.saturating_sub(first) as f64 / steps.all.saturating_sub(first).max(1) as f64;
        let course = match self.shape {
            Shape::Constant => 1.0,
            Shape::Step { every, factor } => {
                let epochs = step.saturating_sub(1) / steps.epoch;
                factor.powf((epochs / u64::from(every)) as f64)
            }
            Shape::Cosine { to } => glide(1.0, to, done),
            Shape::OneCycle { peak_at, start_divisor, .. } if done < peak_at => {
                glide(1.0 / start_divisor, 1.0, done / peak_at)
            }
            Shape::OneCycle { peak_at, final_divisor, .. } => {
                glide(1.0, 1.0 / final_divisor, (done - peak_at) / (1.0 - peak_at))
            }
            Shape::Plateau { factor, .. } => factor.powf(reductions.into()),
        };
        course * if step < warmup { step as f64 / warmup as f64 } else { 1.0 }
    }
}

/// Interpolates between two values along half a cosine. `done` is the share of the way, 0 to 1.
fn glide(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * done.min(1.0)).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Steps = Steps { epoch: 10, all: 101 };

    fn shares(shape: Shape, warmup: Warmup, at: &[u64]) -> Vec<f64> {
        let schedule = Schedule { shape, warmup };
        at.iter().map(|&step| (schedule.share(step, STEPS, 2) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn each_shape_starts_turns_and_ends_where_it_says() {
        let none = Warmup::Steps(0);
        assert_eq!(shares(Shape::Constant, none, &[1, 101]), [1.0, 1.0]);
        let step = Shape::Step { every: 2, factor: 0.1 };
        assert_eq!(shares(step, none, &[1, 20, 21, 40, 41]), [1.0, 1.0, 0.1, 0.1, 0.01]);
        assert_eq!(shares(Shape::Cosine { to: 0.2 }, none, &[1, 51, 101]), [1.0, 0.6, 0.2]);
        let cycle = Shape::OneCycle { peak_at: 0.3, start_divisor: 25.0, final_divisor: 1e4 };
        assert_eq!(shares(cycle, none, &[1, 16, 31, 66, 101]), [0.04, 0.52, 1.0, 0.50005, 0.0001]);
        let at_once = Shape::OneCycle { peak_at: 0.0, start_divisor: 25.0, final_divisor: 10.0 };
        assert_eq!(shares(at_once, none, &[1, 101]), [1.0, 0.1]);
        assert_eq!(shares(Shape::Plateau { factor: 0.5, patience: 3 }, none, &[1, 101]), [0.25, 0.25]);
    }

    #[test]
    fn warmup_rises_evenly_and_the_shape_begins_at_its_end() {
        assert_eq!(shares(Shape::Constant, Warmup::Steps(4), &[1, 2, 4, 5]), [0.25, 0.5, 1.0, 1.0]);
        assert_eq!(shares(Shape::Cosine { to: 0.0 }, Warmup::Steps(51), &[51, 76, 101]), [1.0, 0.5, 0.0]);
        assert_eq!(shares(Shape::Constant, Warmup::Share(0.2), &[5, 20, 21]), [0.25, 1.0, 1.0]);
        // A warmup that is longer than the trial never ends.
        assert_eq!(shares(Shape::Cosine { to: 0.0 }, Warmup::Steps(202), &[101]), [0.5]);
    }

    #[test]
    fn a_trial_of_a_single_step_takes_it_at_the_full_rate() {
        let steps = Steps { epoch: 1, all: 1 };
        for shape in [Shape::Constant, Shape::Cosine { to: 0.1 }] {
            assert_eq!(Schedule { shape, warmup: Warmup::Steps(0) }.share(1, steps, 0), 1.0);
        }
    }
}
