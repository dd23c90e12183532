//! Turn: a validation metric gets worse again, beyond its own noise. This is the loss, or, where no validation loss was
//! measured, accuracy or the user's own metric.

use super::finding::{Finding, Severity, Unit};
use super::series::{Series, median};
use super::view::{View, word};
use sweep_core::trial::Goal;

/// Minimum decline from the best level to the end, in standard errors of the difference. It is above two, because the best
/// of many levels is good by chance.
const SIGMAS: f64 = 3.5;
/// Minimum fall of a score. A smaller one is not worth fixing.
const LEAST_OF_SCORE: f64 = 0.05;
/// Minimum number of epochs after the best one. A curve that is best at the end has not turned.
const SINCE: usize = 3;
/// Two epochs are enough if the metric got worse in both, and by this share of its best level.
const STEEP: (usize, f64) = (2, 0.10);
/// Numbers of epochs that are enough if the metric got worse in each of them, with the share of its best level, …
const STEADY: [(usize, f64); 2] = [(2, 0.05), (3, 0.03)];
/// … while the training loss fell by this share.
const LEARNED: f64 = 0.10;
/// Minimum rise as a share of what was to be learned: of the first value, but of at most this many times the best level,
/// because a first loss can be arbitrarily large. A rise that undoes less of the fall is not worth fixing.
const MATTERS: f64 = 0.02;
const LARGEST_START: f64 = 5.0;
/// Number of epochs after the best one that must all be worse by this share, and share by which the level is worse at the
/// end, for a turn that noise hides.
const LASTING: (usize, f64, f64) = (4, 0.08, 0.12);
/// The same distance in standard deviations, for a noisy curve whose best value is a lucky one.
const LASTING_SIGMAS: f64 = 0.4;
/// A slow turn in noise: Kendall's rank correlation of epoch and metric after the best epoch, in standard deviations, …
const SLOW_SIGMAS: f64 = 3.0;
/// … by this share of the best level. The correlation needs seven epochs to be that significant.
const SLOW: f64 = 0.03;
/// Maximum number of values that are compared with each other.
const COMPARED: usize = 200;
/// Number of parts of a curve whose medians show whether it wanders, and minimum length of a curve that has them.
const PARTS: usize = 10;
const LEAST_PARTED: usize = 3 * PARTS;
/// A curve wanders if it also moved by this share of its rise in the other direction or at another time. Neighboring
/// values of a metric that wanders are close, so its noise from epoch to epoch does not show it.
const WANDERS: f64 = 0.6;
/// A decline below this share of the largest one since the best epoch is coming back.
const COMES_BACK: f64 = 0.5;
/// Minimum share by which training gets better if it goes on.
const GOES_ON: f64 = 0.01;
/// Training accuracy that cannot get better, and share of the first training loss that cannot either.
const ALL_RIGHT: f64 = 0.97;
const GONE: f64 = 0.1;
/// Declines, as shares of the best level, from which on the finding is clear, and severe: of a loss, and of a score.
const SCALE: [f64; 2] = [0.05, 0.5];
const SCALE_OF_SCORE: [f64; 2] = [0.10, 0.30];
/// A decline by less than this share of what was gained from the beginning to the best is one step less severe.
const UNDONE: f64 = 0.05;

/// A validation metric that gets worse again.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Last epoch before it gets worse.
    pub onset: u32,
    /// Decline from the best level to the end, as a share of the best level.
    share: f64,
    val: &'a Series,
    /// What training did meanwhile, if it was measured.
    train: Option<&'a Series>,
}

impl<'a> Turn<'a> {
    /// Finds a turn that noise does not explain. Each way to tell it from noise has a function of its own.
    pub fn new(view: &'a View) -> Option<Turn<'a>> {
        let turn = Turn::unproven(view)?;
        let is_told = turn.is_large() || turn.is_steady() || turn.is_lasting() || turn.is_slow();
        (is_told && turn.matters() && !turn.wanders() && !turn.comes_back()).then_some(turn)
    }

    /// Returns what happened since the best epoch, which noise may explain.
    pub fn unproven(view: &'a View) -> Option<Turn<'a>> {
        let val = view.val_loss.as_ref().filter(|_| !view.is_all_right()).or(view.watched())?;
        let share = val.gain(val.best_level(), val.end()) / val.best_level().abs().max(f64::MIN_POSITIVE);
        let train = view.train_loss.as_ref().or(view.train_accuracy.as_ref());
        Some(Turn { onset: val.epochs[val.best()], share, val, train })
    }

    /// Whether the network memorizes the training data: training goes on, or is done. Of a loss, that is likely even if
    /// training was not measured. A score alone can fall for other reasons.
    pub fn is_overfitting(&self) -> bool {
        let (val, Some(train)) = (self.val, self.train) else { return self.val.goal == Goal::Minimize };
        let (then, now) = (train.at(self.onset), train.end());
        let gained = train.gain(now, then);
        let is_done = match (train.goal, val.goal) {
            // A loss close to 0 cannot fall further.
            (Goal::Minimize, Goal::Minimize) => -gained <= 0.01 * val.end() && now < GONE * val.end(),
            (Goal::Minimize, Goal::Maximize) => gained >= -train.level_error() && now <= GONE * train.values[0],
            (Goal::Maximize, _) => gained >= -train.level_error() && now >= ALL_RIGHT,
        };
        gained >= train.level_error().max(GOES_ON * then.abs()) || is_done
    }

    pub fn severity(&self) -> Severity {
        let severity =
            Severity::scale(self.share, if self.val.goal == Goal::Minimize { SCALE } else { SCALE_OF_SCORE });
        let gained = self.val.gain(self.val.best_level(), self.val.values[0]);
        if self.lost() < UNDONE * gained { severity.milder() } else { severity }
    }

    /// Says what happened, with numbers.
    pub fn sentence(&self) -> String {
        let Turn { onset, val, train, .. } = self;
        let about = |series: &Series, value| series.unit.about(value);
        let beside = match train {
            Some(train) => format!(
                ", while training {} went from {} to {}",
                word(train),
                about(train, train.at(*onset)),
                about(train, train.end())
            ),
            None => "; training was not measured".into(),
        };
        let what = match (self.is_overfitting(), train) {
            (true, Some(_)) => "The network overfits",
            (true, None) => "The network probably overfits",
            (false, _) => "Validation gets worse",
        };
        let (best, moved) = match val.goal {
            Goal::Minimize => ("lowest", "has risen to about"),
            Goal::Maximize => ("best", "has fallen to about"),
        };
        format!(
            "{what} after epoch {onset}: validation {} was {best} there ({}{}) and {moved} {}{beside}.",
            word(val),
            val.unit.text(val.values[val.best()]),
            if val.best() == val.best_value() { "" } else { ", apart from single epochs" },
            about(val, val.end())
        )
    }

    pub fn evidence(&self, finding: Finding) -> Finding {
        let (val, word) = (self.val, word(self.val));
        let [best, relative] = match val.goal {
            Goal::Minimize => ["lowest", "rise relative to the lowest"],
            Goal::Maximize => ["best", "fall relative to the best"],
        };
        finding
            .evidence(format!("{best} validation {word}"), val.unit, val.values[val.best()])
            .evidence(format!("validation {word} at the end"), val.unit, val.end())
            .evidence(relative, Unit::Number, self.share)
            .evidence(format!("noise of the validation {word} (standard deviation)"), val.unit, val.noise)
    }

    /// The values as costs: larger is worse.
    fn costs(&self) -> Vec<f64> {
        self.val.values.iter().map(|value| -self.val.gain(*value, 0.0)).collect()
    }

    /// The costs from the best epoch on.
    fn tail(&self) -> Vec<f64> {
        self.costs().split_off(self.val.best())
    }

    /// Number of epochs after the best one.
    fn epochs_since(&self) -> usize {
        self.val.len() - 1 - self.val.best()
    }

    fn gets_worse_each_epoch(&self) -> bool {
        self.tail().windows(2).all(|pair| pair[1] >= pair[0])
    }

    /// The turn is larger than noise. The noise of a few values is only assumed, so theirs must be steady.
    fn is_large(&self) -> bool {
        let each = self.gets_worse_each_epoch();
        let steep = each && self.epochs_since() >= STEEP.0 && self.share >= STEEP.1;
        let measured = self.epochs_since() >= SINCE && (each || self.val.measured_noise().is_some());
        let beyond_noise = self.lost() >= SIGMAS * self.val.level_error() * std::f64::consts::SQRT_2;
        let enough = self.val.goal == Goal::Minimize || self.share >= LEAST_OF_SCORE;
        (measured || steep) && beyond_noise && enough
    }

    /// The decline from the best level to the end, positive if the metric got worse.
    fn lost(&self) -> f64 {
        self.val.gain(self.val.best_level(), self.val.end())
    }

    fn matters(&self) -> bool {
        self.lost() >= MATTERS * self.val.values[0].abs().min(LARGEST_START * self.val.best_level().abs())
    }

    /// The metric gets worse in each epoch, and training still learns much.
    fn is_steady(&self) -> bool {
        let learned = |train: &Series| train.gain(train.end(), train.at(self.onset)) / train.at(self.onset).abs();
        let enough = STEADY.iter().any(|(epochs, share)| self.epochs_since() >= *epochs && self.share >= *share);
        self.gets_worse_each_epoch() && enough && self.train.map_or(0.0, learned) >= LEARNED
    }

    /// No later epoch comes near the best one.
    fn is_lasting(&self) -> bool {
        let (epochs, least, at_end) = LASTING;
        let tail = self.tail();
        let best_later = tail[1..].iter().copied().fold(f64::INFINITY, f64::min);
        let apart = (least * tail[0].abs()).max(LASTING_SIGMAS * self.val.noise);
        self.epochs_since() >= epochs && self.share >= at_end && best_later - tail[0] >= apart
    }

    /// The metric gets worse slowly over many epochs.
    fn is_slow(&self) -> bool {
        self.share >= SLOW && trend(&self.tail()[1..]) >= SLOW_SIGMAS
    }

    /// Most of the decline is undone at the end, as after a restart of the learning rate.
    fn comes_back(&self) -> bool {
        // The last values of the smooth curve are hardly smoothed.
        let until = (self.val.len() - self.val.window() / 2).max(self.val.best() + 1);
        let since = self.val.smooth[self.val.best()..until].iter();
        let most = since.map(|level| self.val.gain(self.val.best_level(), *level)).fold(0.0, f64::max);
        self.lost() < COMES_BACK * most
    }

    /// The level moves as much in the other direction after its best, or in this one before, so the turn is one of many.
    fn wanders(&self) -> bool {
        let val = self.val;
        if val.len() < LEAST_PARTED {
            return most_rise(&self.costs()[..=val.best()]) >= WANDERS * self.lost();
        }
        let parts = val.values.chunks(val.len().div_ceil(PARTS));
        let levels: Vec<f64> = parts.map(|part| -val.gain(median(&mut part.to_vec()), 0.0)).collect();
        let best = (0..levels.len()).min_by(|a, b| levels[*a].total_cmp(&levels[*b])).unwrap_or(0);
        let back: Vec<f64> = levels[best..].iter().rev().copied().collect();
        most_rise(&levels[..=best]).max(most_rise(&back)) >= WANDERS * (levels[levels.len() - 1] - levels[best])
    }
}

/// Returns the largest rise from a value to a later one.
fn most_rise(values: &[f64]) -> f64 {
    let mut least = f64::INFINITY;
    values.iter().fold(0.0, |most: f64, value| {
        least = least.min(*value);
        most.max(value - least)
    })
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

#[cfg(test)]
mod tests {
    use crate::{Context, Name, Severity, judge};
    use sweep_core::trial::EpochMetrics;

    fn names(course: impl Fn(f64) -> (f64, f64)) -> Vec<Name> {
        let curve = (1..=30).map(|epoch| {
            let (loss, accuracy) = course(f64::from(epoch));
            let wiggle = 0.004 * f64::from((epoch * 7) % 5 - 2);
            EpochMetrics {
                epoch: epoch as u32,
                train_loss: Some(loss),
                val_accuracy: Some(accuracy + wiggle),
                ..EpochMetrics::default()
            }
        });
        judge(&curve.collect::<Vec<_>>(), &Context::default()).iter().map(|finding| finding.name).collect()
    }

    #[test]
    fn a_rise_that_undoes_little_of_what_was_learned_is_mild() {
        let severity = |start: f64| {
            let curve = (1..=40).map(|epoch| {
                let t = f64::from(epoch);
                let val = 0.30 + (start - 0.30) * (-t / 3.0).exp() + 0.0009 * (t - 20.0).max(0.0);
                EpochMetrics {
                    epoch: epoch as u32,
                    train_loss: Some(0.15 + 0.2 * (-t / 10.0).exp()),
                    val_loss: Some(val),
                    ..EpochMetrics::default()
                }
            });
            let findings = judge(&curve.collect::<Vec<_>>(), &Context::default());
            findings.iter().find(|finding| finding.name == Name::Overfit).map(|finding| finding.severity)
        };
        assert_eq!(severity(0.35), Some(Severity::Clear));
        assert_eq!(severity(0.9), Some(Severity::Mild));
    }

    #[test]
    fn accuracy_that_falls_while_training_goes_on_is_overfitting() {
        let loss = |epoch: f64| 2.0 * (-epoch / 6.0_f64).exp();
        let falls = |epoch: f64| (loss(epoch), if epoch < 12.0 { 0.8 * epoch / 12.0 } else { 1.1 - 0.026 * epoch });
        assert!(names(falls).contains(&Name::Overfit), "{:?}", names(falls));
        let jumps = |epoch: f64| (loss(epoch), if epoch < 20.0 { 0.85 * (epoch / 20.0).sqrt() } else { 0.1 });
        assert!(names(jumps).contains(&Name::Overfit), "{:?}", names(jumps));
        let stays = |epoch: f64| (loss(epoch), 0.8 * (1.0 - (-epoch / 4.0_f64).exp()));
        assert!(!names(stays).contains(&Name::Overfit), "{:?}", names(stays));
        // Training gets worse as well: its steps are too large.
        let both = |epoch: f64| if epoch < 15.0 { (loss(epoch), 0.05 * epoch) } else { (0.1 * epoch, 0.2) };
        assert!(!names(both).contains(&Name::Overfit), "{:?}", names(both));
    }
}
