//! A curve as the rules see it: its four series, and the questions that more than one rule asks.

use super::accuracy_unusable::{Contradiction, contradiction, is_impossible};
use super::finding::Unit;
use super::outlook::Outlook;
use super::series::Series;
use super::{Context, Task};
use sweep_core::trial::{EpochMetrics, Goal};

/// Training accuracy below this, on a scale from chance (0) to perfect (1), is poor. An ordinary network fits the
/// training images of an ordinary data set well above it. It can fit all of them, even with random labels (Zhang et al.
/// 2017, arXiv 1611.03530).
pub const POOR_ACCURACY: f64 = 0.75;
/// The same limit for the loss, from ln(classes) (0) to no loss (1), if no accuracy was measured.
pub const POOR_LOSS: f64 = 0.65;
/// The same limit if the number of classes is unknown too: the probability of the correct class, exp(-loss).
pub const POOR_SHARE: f64 = 0.5;

/// A first loss from which on the classes are too many for images, and may be tokens: that of guessing among 18.
const TOKENS: f64 = 2.9;
/// The loss of guessing among 50 classes, and the largest of a network that has just been initialized. A larger one is no
/// cross-entropy.
const MANY_CLASSES: std::ops::RangeInclusive<f64> = 3.9..=20.0;

/// Validation accuracy from which on the loss depends on so few examples that its moves mean little, and the largest loss
/// that belongs to it. Where the loss is larger, the accuracy counts something else, such as background pixels.
const ALL_RIGHT: (f64, f64) = (0.99, 0.3);

/// A first epoch after more than this many steps from one recorded epoch to the next is none.
const MOST_STEPS: u32 = 2;

/// Share of what validation had gained that it may have lost at the end and still holds.
const HOLDS: f64 = 0.1;

/// A number that shows that training is poor.
#[derive(Debug, Clone, Copy)]
pub struct Poor {
    pub value: f64,
    pub unit: Unit,
    /// Whether it was measured on the training set. Otherwise it is that of validation, which is better.
    pub is_own: bool,
}

impl Poor {
    /// Names the number: `training loss`.
    pub fn what(self) -> String {
        let word = if self.unit == Unit::Accuracy { "accuracy" } else { "loss" };
        format!("{} {word}", if self.is_own { "training" } else { "validation" })
    }

    /// Says what it was: `training accuracy was only 61%`.
    pub fn was(self) -> String {
        let was = if self.unit == Unit::Accuracy { "was only" } else { "was still" };
        format!("{} {was} {}", self.what(), self.unit.text(self.value))
    }
}

/// How the training metrics were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In evaluation mode after the epoch, comparable with validation.
    Evaluated,
    /// During training, with dropout and augmentation, averaged over an epoch in which the weights changed.
    WhileTraining,
}

/// A curve split into its series.
#[derive(Debug)]
pub struct View<'a> {
    /// What is known about how the curve was produced.
    pub context: &'a Context,
    /// The curve itself.
    pub curve: &'a [EpochMetrics],
    /// Training loss, in evaluation mode if it was measured that way.
    pub train_loss: Option<Series>,
    /// Training loss as the mean over the steps of an epoch; in evaluation mode if there is no other. It is calm if
    /// training is calm. A loss measured after an epoch depends on the last step.
    pub trained_loss: Option<Series>,
    /// Training accuracy, in evaluation mode if it was measured that way.
    pub train_accuracy: Option<Series>,
    /// Validation loss.
    pub val_loss: Option<Series>,
    /// Validation accuracy.
    pub val_accuracy: Option<Series>,
    /// The user's own objective, if neither validation loss nor validation accuracy was measured.
    pub objective: Option<Series>,
    /// Whether the accuracies are shares of right answers. Other scores say nothing by their size: a good translation may
    /// have a BLEU of 0.3.
    has_shares: bool,
    /// Why accuracy is not used, if it was measured and contradicts the loss.
    pub unusable: Option<Contradiction>,
    /// How the training metrics were measured.
    pub mode: Mode,
    /// Number of the last epoch, or 0 for an empty curve.
    pub last: u32,
    /// Forecast of the watched metric.
    pub outlook: Option<Outlook>,
    /// Forecast of the validation loss. A loss moves long before accuracy does.
    pub loss_outlook: Option<Outlook>,
}

impl<'a> View<'a> {
    /// Splits a curve into its series.
    pub fn new(curve: &'a [EpochMetrics], context: &'a Context) -> View<'a> {
        let series = |goal, name: &str| {
            Series::new(goal, curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(name)?))))
        };
        let accuracy = |name: &str| {
            let series = series(Goal::Maximize, name)?;
            Some(Series { name: context.score.clone(), ..series })
        };
        let evaluated_loss = series(Goal::Minimize, "train_eval_loss");
        let evaluated_accuracy = accuracy("train_eval_accuracy");
        let evaluated = evaluated_loss.is_some() || evaluated_accuracy.is_some();
        let trained_loss = series(Goal::Minimize, "train_loss").or_else(|| evaluated_loss.clone());
        let mut view = View {
            context,
            curve,
            train_loss: evaluated_loss.or_else(|| trained_loss.clone()),
            trained_loss,
            train_accuracy: evaluated_accuracy.or_else(|| accuracy("train_accuracy")),
            val_loss: series(Goal::Minimize, "val_loss"),
            val_accuracy: accuracy("val_accuracy"),
            objective: None,
            has_shares: context.score.is_none() && context.task != Task::Detection,
            unusable: None,
            mode: if evaluated { Mode::Evaluated } else { Mode::WhileTraining },
            last: curve.iter().map(|epoch| epoch.epoch).max().unwrap_or(0),
            outlook: None,
            loss_outlook: None,
        };
        view.leave_out_accuracy();
        if let Some(metric) =
            context.objective.as_ref().filter(|_| view.val_loss.is_none() && view.val_accuracy.is_none())
        {
            view.objective = series(metric.goal, &metric.name).map(|series| series.named(&metric.name));
        }
        view.outlook = view.watched().and_then(Outlook::new);
        view.loss_outlook = view.val_loss.as_ref().and_then(Outlook::new);
        view
    }

    /// Returns the training accuracy if it is the share of right answers.
    pub fn train_share(&self) -> Option<&Series> {
        self.train_accuracy.as_ref().filter(|_| self.has_shares)
    }

    /// Returns the validation accuracy if it is the share of right answers.
    pub fn val_share(&self) -> Option<&Series> {
        self.val_accuracy.as_ref().filter(|_| self.has_shares)
    }

    /// Leaves out accuracies that contradict their loss.
    fn leave_out_accuracy(&mut self) {
        if !self.has_shares {
            return;
        }
        let contradicts =
            |loss: &Option<Series>, accuracy: &Option<Series>| contradiction(loss.as_ref()?, accuracy.as_ref()?);
        self.unusable = contradicts(&self.train_loss, &self.train_accuracy)
            .or_else(|| contradicts(&self.val_loss, &self.val_accuracy));
        if self.unusable.is_some() {
            (self.train_accuracy, self.val_accuracy) = (None, None);
        }
    }

    /// Returns the metric that shows whether validation still improves: accuracy, or loss if no accuracy was measured,
    /// or else the user's objective.
    pub fn watched(&self) -> Option<&Series> {
        self.val_accuracy.as_ref().or(self.val_loss.as_ref()).or(self.objective.as_ref())
    }

    /// Returns whether the first epochs are missing, as in the log of a training that was resumed. The first value is then
    /// not that of an untrained network.
    pub fn is_resumed(&self) -> bool {
        let epochs: Vec<u32> = self.curve.iter().take(2).map(|epoch| epoch.epoch).collect();
        matches!(epochs[..], [first, second] if first > MOST_STEPS * second.saturating_sub(first))
    }

    /// Returns whether validation ends better than training.
    fn ends_below_training(&self) -> bool {
        let by_loss = || Some(self.val_loss.as_ref()?.end() < self.train_loss.as_ref()?.end());
        self.accuracy_gap().map(|gap| gap < 0.0).or_else(by_loss).unwrap_or(false)
    }

    /// Returns whether validation ends with nearly no errors.
    pub fn is_all_right(&self) -> bool {
        let (accuracy, loss) = ALL_RIGHT;
        self.val_accuracy.as_ref().is_some_and(|val| val.end() >= accuracy)
            && self.val_loss.as_ref().is_none_or(|val| val.end() <= loss)
    }

    /// Returns whether validation has learned something and ends at its best, so that nothing was undone.
    pub fn validation_holds(&self) -> bool {
        self.watched().is_some_and(|val| {
            let (best, end) = (val.best_level(), val.end());
            let gained = val.gain(best, val.values[0]);
            gained > 2.0 * val.level_error() && val.gain(best, end) <= HOLDS * gained.min(best.abs())
        })
    }

    /// Returns training accuracy minus validation accuracy at the end.
    pub fn accuracy_gap(&self) -> Option<f64> {
        Some(self.train_accuracy.as_ref()?.end() - self.val_accuracy.as_ref()?.end())
    }

    /// Returns the epoch at which the watched metric was best. For an overfit network, the loss is more reliable.
    pub fn best_epoch(&self) -> Option<u32> {
        let series = self.val_loss.as_ref().or(self.watched())?;
        Some(series.epochs[series.best()])
    }

    /// Returns whether training accuracy is lower than its loss allows, so that it measures something else.
    fn accuracy_is_another(&self) -> bool {
        let ends = self.train_loss.as_ref().zip(self.train_share());
        ends.is_some_and(|(loss, accuracy)| is_impossible(loss.end(), accuracy.end()))
    }

    /// Returns the number that shows that training is poor at an epoch. `None` if training is not poor, or if it cannot
    /// be decided. Metrics measured during training understate the network, but it does at least as well as validation.
    pub fn poor_training(&self, epoch: u32) -> Option<Poor> {
        if !self.context.task.can_be_fitted() || self.accuracy_is_another() {
            return None;
        }
        let known = |train: &Series, val: Option<&Series>| {
            let value = train.at(epoch);
            match val.filter(|_| self.mode == Mode::WhileTraining).map(|val| val.at(epoch)) {
                Some(validation) if train.goal.better(validation, value) => (validation, false),
                _ => (value, true),
            }
        };
        let classes = self.context.classes.filter(|classes| *classes > 1).map(f64::from);
        if let Some(train) = self.train_share() {
            let (value, is_own) = known(train, self.val_share());
            let chance = classes.map_or(0.0, |classes| 1.0 / classes);
            let poor = (value - chance) / (1.0 - chance) < POOR_ACCURACY && !self.many_classes_learned();
            return poor.then_some(Poor { value, unit: Unit::Accuracy, is_own });
        }
        // The size of a sum of losses says nothing.
        let loss = self.train_loss.as_ref().filter(|_| !self.context.loss_has_parts)?;
        let (value, is_own) = known(loss, self.val_loss.as_ref());
        let poor = match classes {
            Some(classes) => 1.0 - value / classes.ln() < POOR_LOSS,
            // An accuracy implies that the loss is a cross-entropy. Training is at least as good as validation, and of
            // tokens, few can be predicted.
            None => {
                let poor = |val: &Series| val.at(epoch) < POOR_ACCURACY;
                self.val_share().is_some_and(poor) && (-value).exp() < POOR_SHARE && loss.values[0] < TOKENS
            }
        };
        poor.then_some(Poor { value, unit: Unit::Loss, is_own })
    }

    /// Returns whether the loss began as that of many classes, and fell far. Accuracies of many classes are low even for
    /// good networks.
    fn many_classes_learned(&self) -> bool {
        let losses = self.train_loss.as_ref().map(|loss| (loss.values[0], loss.best_level()));
        let first = self.context.classes.map(|classes| f64::from(classes).ln());
        losses.is_some_and(|(start, best)| {
            let guessing = first.unwrap_or(start);
            MANY_CLASSES.contains(&guessing) && 1.0 - best / guessing >= POOR_LOSS
        })
    }

    /// Returns how far training is from chance (0) to perfect (1), according to that number.
    pub fn skill(&self, poor: Poor) -> f64 {
        let classes = self.context.classes.filter(|classes| *classes > 1).map(f64::from);
        match (poor.unit, classes) {
            (Unit::Accuracy, Some(classes)) => (poor.value - 1.0 / classes) / (1.0 - 1.0 / classes),
            (Unit::Accuracy, None) => poor.value,
            (_, Some(classes)) => 1.0 - poor.value / classes.ln(),
            (_, None) => (-poor.value).exp(),
        }
    }

    /// Returns a sentence on what the training metrics hide, if they were measured during training and there is a gap.
    pub fn caveat(&self) -> &'static str {
        let is_same = |train: &Option<Series>, val: &Option<Series>| train.is_some() && val.is_some();
        let has_gap = is_same(&self.train_loss, &self.val_loss) || is_same(&self.train_accuracy, &self.val_accuracy);
        match (self.mode, self.context.dropout) {
            _ if !has_gap => "",
            (Mode::Evaluated, _) => "",
            (Mode::WhileTraining, Some(0.0)) => {
                " Training metrics were measured while the weights changed, so the true gap is slightly larger."
            }
            _ if self.ends_below_training() => {
                " Training metrics were measured during training, with dropout and augmentation (if any), which make \
                 them look worse."
            }
            (Mode::WhileTraining, _) => {
                " Training metrics were measured during training, with dropout and augmentation (if any), which make \
                 them look worse. So the true gap is larger."
            }
        }
    }
}

/// Returns `loss` or `accuracy`, or the name of another metric.
pub fn word(series: &Series) -> &str {
    match (&series.name, series.goal) {
        (Some(name), _) => name,
        (None, Goal::Minimize) => "loss",
        (None, Goal::Maximize) => "accuracy",
    }
}
