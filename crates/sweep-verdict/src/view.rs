//! A curve as the rules see it: its four courses, and the questions that more than one rule asks.

use super::finding::Unit;
use super::outlook::Outlook;
use super::series::Series;
use super::{Context, Evidence};
use sweep_core::trial::{EpochMetrics, Goal};

/// Training accuracy below this, on a scale from chance (0) to perfect (1), is poor: an ordinary network brings the
/// training pictures of an ordinary data set well above it (Zhang et al. 2017, arXiv 1611.03530: all of them, even
/// with random labels).
pub const POOR_ACCURACY: f64 = 0.75;
/// The same for the loss, from ln(classes) (0) to no loss (1), where no accuracy was measured.
pub const POOR_LOSS: f64 = 0.65;
/// And where the classes are not known either: the share that the right class gets of the answer, exp(-loss).
pub const POOR_SHARE: f64 = 0.5;

/// How the training metrics were measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In evaluation mode, after the epoch: comparable with validation.
    Evaluated,
    /// While training: with dropout and augmentation, averaged over an epoch in which the weights moved.
    WhileTraining,
}

/// A curve, taken apart.
#[derive(Debug)]
pub struct View<'a> {
    /// What is known beside.
    pub context: &'a Context,
    /// The curve itself.
    pub curve: &'a [EpochMetrics],
    /// Training loss, in evaluation mode where there is one.
    pub train_loss: Option<Series>,
    /// Training loss as the steps of an epoch saw it, a mean over them; in evaluation mode where there is no other. It is
    /// calm where training is, while what is measured after an epoch depends on its last step.
    pub trained_loss: Option<Series>,
    /// Training accuracy, in evaluation mode where there is one.
    pub train_accuracy: Option<Series>,
    /// Validation loss.
    pub val_loss: Option<Series>,
    /// Validation accuracy.
    pub val_accuracy: Option<Series>,
    /// How the training metrics were measured.
    pub mode: Mode,
    /// The last epoch's number, 0 for an empty curve.
    pub last: u32,
    /// What more epochs would bring to the watched metric.
    pub outlook: Option<Outlook>,
    /// And to the validation loss, where training is poor at the end: a loss moves long before accuracy does.
    pub loss_outlook: Option<Outlook>,
}

impl<'a> View<'a> {
    /// Takes a curve apart.
    pub fn new(curve: &'a [EpochMetrics], context: &'a Context) -> View<'a> {
        let series = |goal, name: &str| {
            Series::new(goal, curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(name)?))))
        };
        let evaluated_loss = series(Goal::Minimize, "train_eval_loss");
        let evaluated_accuracy = series(Goal::Maximize, "train_eval_accuracy");
        let evaluated = evaluated_loss.is_some() || evaluated_accuracy.is_some();
        let trained_loss = series(Goal::Minimize, "train_loss").or_else(|| evaluated_loss.clone());
        let mut view = View {
            context,
            curve,
            train_loss: evaluated_loss.or_else(|| trained_loss.clone()),
            trained_loss,
            train_accuracy: evaluated_accuracy.or_else(|| series(Goal::Maximize, "train_accuracy")),
            val_loss: series(Goal::Minimize, "val_loss"),
            val_accuracy: series(Goal::Maximize, "val_accuracy"),
            mode: if evaluated { Mode::Evaluated } else { Mode::WhileTraining },
            last: curve.iter().map(|epoch| epoch.epoch).max().unwrap_or(0),
            outlook: None,
            loss_outlook: None,
        };
        view.outlook = view.watched().and_then(Outlook::new);
        let poor = view.poor_training(view.last).is_some();
        view.loss_outlook = view.val_loss.as_ref().filter(|_| poor).and_then(Outlook::new);
        view
    }

    /// The metric that tells whether validation still improves: accuracy, or loss where none was measured.
    pub fn watched(&self) -> Option<&Series> {
        self.val_accuracy.as_ref().or(self.val_loss.as_ref())
    }

    /// Training accuracy less validation accuracy at the end.
    pub fn accuracy_gap(&self) -> Option<f64> {
        Some(self.train_accuracy.as_ref()?.end() - self.val_accuracy.as_ref()?.end())
    }

    /// The epoch at which the watched metric was best; for an overfit network the loss knows better.
    pub fn best_epoch(&self) -> Option<u32> {
        let series = self.val_loss.as_ref().or(self.val_accuracy.as_ref())?;
        Some(series.epochs[series.best()])
    }

    /// Whether training is poor at an epoch, with the number that shows it; `None` where one cannot tell. What is
    /// measured while training understates what the network can do, but it does at least as well as validation.
    pub fn poor_training(&self, epoch: u32) -> Option<Evidence> {
        let known = |train: &Series, val: Option<&Series>| {
            let value = train.at(epoch);
            match val.filter(|_| self.mode == Mode::WhileTraining).map(|val| val.at(epoch)) {
                Some(validation) if train.goal.better(validation, value) => validation,
                _ => value,
            }
        };
        let classes = self.context.classes.filter(|classes| *classes > 1).map(f64::from);
        if let Some(train) = &self.train_accuracy {
            let value = known(train, self.val_accuracy.as_ref());
            let chance = classes.map_or(0.0, |classes| 1.0 / classes);
            let poor = (value - chance) / (1.0 - chance) < POOR_ACCURACY;
            return poor.then(|| Evidence { what: "training accuracy".into(), value, unit: Unit::Accuracy });
        }
        let value = known(self.train_loss.as_ref()?, self.val_loss.as_ref());
        let poor = match classes {
            Some(classes) => 1.0 - value / classes.ln() < POOR_LOSS,
            // An accuracy tells that the loss is a cross-entropy.
            None => self.val_accuracy.is_some() && (-value).exp() < POOR_SHARE,
        };
        poor.then(|| Evidence { what: "training loss".into(), value, unit: Unit::Loss })
    }

    /// How far training is from chance (0) to perfect (1) by that number.
    pub fn skill(&self, evidence: &Evidence) -> f64 {
        let classes = self.context.classes.filter(|classes| *classes > 1).map(f64::from);
        match (evidence.unit, classes) {
            (Unit::Accuracy, Some(classes)) => (evidence.value - 1.0 / classes) / (1.0 - 1.0 / classes),
            (Unit::Accuracy, None) => evidence.value,
            (_, Some(classes)) => 1.0 - evidence.value / classes.ln(),
            (_, None) => (-evidence.value).exp(),
        }
    }

    /// A sentence on what the training metrics hide, where they were measured while training.
    pub fn caveat(&self) -> &'static str {
        match (self.mode, self.context.dropout) {
            (Mode::Evaluated, _) => "",
            (Mode::WhileTraining, Some(0.0)) => {
                " Training is measured while the weights move, so the true gap is a little wider."
            }
            (Mode::WhileTraining, _) => {
                " Training is measured while training, with dropout and augmentation if there are any; without them \
                 it would look better, and the true gap is wider."
            }
        }
    }
}

/// The unit of a metric that is better this way.
pub fn unit(series: &Series) -> Unit {
    match series.goal {
        Goal::Minimize => Unit::Loss,
        Goal::Maximize => Unit::Accuracy,
    }
}

/// `loss` or `accuracy`.
pub fn word(series: &Series) -> &'static str {
    match series.goal {
        Goal::Minimize => "loss",
        Goal::Maximize => "accuracy",
    }
}
