//! Decline: where no validation loss was measured, validation accuracy or the user's own metric falls again.

use super::super::finding::{Finding, Severity, Unit};
use super::super::series::Series;
use super::super::view::{View, unit, word};

/// Minimum fall from the best level to the end, in standard errors of the difference. It is above two, because the best
/// of many levels is high by chance.
const SIGMAS: f64 = 3.5;
/// Minimum fall as a share of the best level. A smaller one is not worth fixing.
const LEAST: f64 = 0.05;
/// Minimum number of epochs after the best one.
const SINCE: usize = 3;
/// Fall, as a share of the best level, from which on the finding is clear, and severe.
const SCALE: [f64; 2] = [0.10, 0.30];

/// A validation metric that was better before.
#[derive(Debug)]
pub struct Decline<'a> {
    /// Last epoch before the fall.
    pub onset: u32,
    /// Fall from the best level to the end, as a share of the best level.
    share: f64,
    /// The metric.
    val: &'a Series,
    /// What training did meanwhile, if it was measured. It did not get worse.
    train: Option<&'a Series>,
}

impl<'a> Decline<'a> {
    /// Finds a decline. `None` if validation loss was measured, which is more reliable, or if training got worse, too.
    pub fn new(view: &'a View) -> Option<Decline<'a>> {
        let val = view.watched().filter(|_| view.val_loss.is_none())?;
        let (best, best_level) = (val.best(), val.best_level());
        let fall = val.gain(best_level, val.end());
        let onset = val.epochs[best];
        let train = view.train_loss.as_ref().or(view.train_accuracy.as_ref());
        let goes_on = train.is_none_or(|train| train.gain(train.end(), train.at(onset)) >= -train.level_error());
        let beyond_noise = fall >= SIGMAS * val.level_error() * std::f64::consts::SQRT_2;
        let share = fall / best_level.abs().max(f64::MIN_POSITIVE);
        let lasts = val.len() - 1 - best >= SINCE;
        (goes_on && beyond_noise && share >= LEAST && lasts).then_some(Decline { onset, share, val, train })
    }

    pub fn severity(&self) -> Severity {
        Severity::scale(self.share, SCALE)
    }

    /// Says what happened, with numbers.
    pub fn sentence(&self) -> String {
        let Decline { onset, val, train, .. } = self;
        let about = |series: &Series, value| unit(series).about(value);
        let beside = match train {
            Some(train) => format!(
                ", while training {} went from {} to {}",
                word(train),
                about(train, train.at(*onset)),
                about(train, train.end())
            ),
            None => "; training was not measured".into(),
        };
        format!(
            "The network overfits after epoch {onset}: validation {} was best there ({}) and is at about {} at the \
             end{beside}.",
            word(val),
            unit(val).text(val.values[val.best()]),
            about(val, val.end())
        )
    }

    pub fn evidence(&self, finding: Finding) -> Finding {
        let val = self.val;
        finding
            .evidence(format!("best validation {}", word(val)), unit(val), val.values[val.best()])
            .evidence(format!("validation {} at the end", word(val)), unit(val), val.end())
            .evidence("fall relative to the best", Unit::Number, self.share)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Context, Name, judge};
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
