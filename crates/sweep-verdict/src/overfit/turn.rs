//! Turn: validation loss rises again, beyond its own noise, while training continues to improve.

use super::super::finding::{Finding, Severity, Unit};
use super::super::series::Series;
use super::super::view::View;

/// Minimum rise from the lowest level to the end, in standard errors of the difference. It is above two, because the
/// lowest of many levels is low by chance.
const SIGMAS: f64 = 3.5;
/// Minimum rise as a share of the lowest level. A smaller rise is not worth fixing.
const LEAST: f64 = 0.015;
/// Minimum number of epochs after the best one. A curve that is lowest at the end has not risen since.
const SINCE: usize = 3;
/// Two epochs are enough if the loss rose in both, and by this share of its lowest level.
const STEEP: (usize, f64) = (2, 0.10);
/// Numbers of epochs that are enough if the loss rose in each of them, with the share of its lowest level by which it
/// rose, …
const STEADY: [(usize, f64); 2] = [(2, 0.05), (3, 0.03)];
/// … while the training loss fell by this share.
const LEARNED: f64 = 0.10;
/// Minimum rise as a share of the first validation loss, for rises that are told from noise only by their course.
const MATTERS: f64 = 0.02;
/// Number of epochs after the best one that must all be above it by this share, and share by which the level has risen at
/// the end, for a rise that noise hides.
const LASTING: (usize, f64, f64) = (4, 0.08, 0.12);
/// A slow rise in noise: Kendall's rank correlation of epoch and loss after the best epoch, in standard deviations, …
const SLOW_SIGMAS: f64 = 3.0;
/// … over at least this many epochs, …
const SLOW_SINCE: usize = 10;
/// … by this share of the lowest level.
const SLOW: f64 = 0.03;
/// Maximum number of values that are compared with each other.
const COMPARED: usize = 200;
/// Rise, as a share of the lowest loss, from which on the finding is clear, and severe.
const SCALE: [f64; 2] = [0.05, 0.5];

/// A validation loss that rises again.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Last epoch before the rise.
    pub onset: u32,
    /// Rise from the lowest level to the end, as a share of the lowest level.
    share: f64,
    val: &'a Series,
    /// What training did meanwhile, if it was measured.
    train: Option<&'a Series>,
}

impl<'a> Turn<'a> {
    /// Finds a rise that noise does not explain. Each way to tell it from noise has a function of its own.
    pub fn new(view: &'a View) -> Option<Turn<'a>> {
        let val = view.val_loss.as_ref()?;
        let share = (val.end() - val.best_level()) / val.best_level().abs().max(f64::MIN_POSITIVE);
        let turn = Turn { onset: val.epochs[val.best()], share, val, train: view.train_loss.as_ref() };
        let told_by_course = || turn.matters() && (turn.is_steady() || turn.is_lasting());
        (turn.training_goes_on() && (turn.is_large() || told_by_course() || turn.is_slow())).then_some(turn)
    }

    pub fn severity(&self) -> Severity {
        Severity::scale(self.share, SCALE)
    }

    /// Says what happened, with numbers.
    pub fn sentence(&self) -> String {
        let Turn { onset, val, train, .. } = self;
        let about = |value| Unit::Loss.about(value);
        let beside = match train {
            Some(train) => {
                format!(", while training loss went from {} to {}", about(train.at(*onset)), about(train.end()))
            }
            None => "; training loss was not measured".into(),
        };
        format!(
            "The network overfits after epoch {onset}: validation loss was lowest there ({}) and has risen to about \
             {}{beside}.",
            Unit::Loss.text(val.values[val.best()]),
            about(val.end())
        )
    }

    pub fn evidence(&self, finding: Finding) -> Finding {
        let val = self.val;
        finding
            .evidence("lowest validation loss", Unit::Loss, val.values[val.best()])
            .evidence("validation loss at the end", Unit::Loss, val.end())
            .evidence("rise relative to the lowest", Unit::Number, self.share)
            .evidence("noise of the validation loss (standard deviation)", Unit::Loss, val.noise)
    }

    /// Rise from the lowest level to the end.
    fn rise(&self) -> f64 {
        self.val.end() - self.val.best_level()
    }

    /// The values from the best epoch on.
    fn tail(&self) -> &'a [f64] {
        &self.val.values[self.val.best()..]
    }

    /// Number of epochs after the best one.
    fn epochs_since(&self) -> usize {
        self.tail().len() - 1
    }

    fn rises_each_epoch(&self) -> bool {
        self.tail().windows(2).all(|pair| pair[1] > pair[0])
    }

    /// A loss close to 0 cannot fall further. If the training loss rises too, it is not overfitting.
    fn training_goes_on(&self) -> bool {
        let end = self.val.end();
        self.train.is_none_or(|train| {
            let (then, now) = (train.at(self.onset), train.end());
            then - now >= train.level_error() || (now - then <= 0.01 * end && now < 0.1 * end)
        })
    }

    /// The rise is larger than noise. The noise of a few values is only assumed, so their rise must be steady.
    fn is_large(&self) -> bool {
        let each = self.rises_each_epoch();
        let steep = each && self.epochs_since() >= STEEP.0 && self.share >= STEEP.1;
        let measured = self.epochs_since() >= SINCE && (each || self.val.measured_noise().is_some());
        let beyond_noise = self.rise() >= SIGMAS * self.val.level_error() * std::f64::consts::SQRT_2;
        (measured || steep) && beyond_noise && self.share >= LEAST
    }

    fn matters(&self) -> bool {
        self.rise() >= MATTERS * self.val.values[0].abs()
    }

    /// The loss rises in each epoch, and training still learns much.
    fn is_steady(&self) -> bool {
        let learned = |train: &Series| 1.0 - train.end() / train.at(self.onset).abs().max(f64::MIN_POSITIVE);
        let enough = STEADY.iter().any(|(epochs, share)| self.epochs_since() >= *epochs && self.share >= *share);
        self.rises_each_epoch() && enough && self.train.map_or(0.0, learned) >= LEARNED
    }

    /// No later epoch comes near the best one.
    fn is_lasting(&self) -> bool {
        let (epochs, least, at_end) = LASTING;
        let tail = self.tail();
        let lowest_later = tail[1..].iter().copied().fold(f64::INFINITY, f64::min);
        self.epochs_since() >= epochs && self.share >= at_end && lowest_later - tail[0] >= least * tail[0].abs()
    }

    /// The loss rises slowly over many epochs.
    fn is_slow(&self) -> bool {
        self.epochs_since() >= SLOW_SINCE && self.share >= SLOW && trend(&self.tail()[1..]) >= SLOW_SIGMAS
    }
}

/// Returns Kendall's rank correlation of the values with their order, in its standard deviations under no trend.
fn trend(values: &[f64]) -> f64 {
    let values: Vec<f64> = values.iter().copied().step_by(values.len().div_ceil(COMPARED).max(1)).collect();
    let sign = |a: f64, b: f64| (b > a) as i64 - (b < a) as i64;
    let pairs = (0..values.len()).flat_map(|at| values[at + 1..].iter().map(move |later| (at, *later)));
    let sum: i64 = pairs.map(|(at, later)| sign(values[at], later)).sum();
    let n = values.len() as f64;
    sum as f64 / (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt().max(1.0)
}
