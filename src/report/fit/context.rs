//! What is known of a curve's making.

use crate::history::{History, TrialRecord};
use crate::recipe::{Layer, Recipe};
use crate::trial::Outcome;

/// What is known beside the numbers of a curve. All of it may be missing; verdicts are then more careful.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// Classes to tell apart, evenly frequent.
    pub classes: Option<u32>,
    /// The highest dropout rate of the network, 0 to 1.
    pub dropout: Option<f64>,
    /// The L2 penalty on weights.
    pub weight_decay: Option<f64>,
    /// Epochs that were asked for.
    pub epochs_planned: Option<u32>,
    /// What other trials on the same data reached.
    pub others: Option<Others>,
    /// Where loss or weights ceased to be finite.
    pub divergence: Option<Divergence>,
}

/// The best that other trials on the same data reached, each at its best epoch, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Others {
    /// Training accuracy, in evaluation mode where it was measured so.
    pub train_accuracy: Option<f64>,
    /// Validation accuracy.
    pub val_accuracy: Option<f64>,
}

/// Where loss or weights ceased to be finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The epoch, from 1.
    pub epoch: u32,
    /// The optimizer step of the whole trial, from 1, if known.
    pub step: Option<u64>,
    /// What it was: `training loss is NaN`.
    pub what: String,
}

impl Context {
    /// What is known of a trial of a sweep. `recipe` is the trial's own, where it can be made from its settings.
    pub fn of_trial(trial: &TrialRecord, recipe: Option<&Recipe>, history: &History) -> Context {
        let mut context = recipe.map(Context::of_recipe).unwrap_or_default();
        if let Some(Outcome::Diverged { epoch, step, what }) = trial.outcome() {
            context.divergence = Some(Divergence { epoch: *epoch, step: Some(*step), what: what.clone() });
        }
        let rest = || history.trials.iter().filter(|other| other.id != trial.id).flat_map(|other| &other.curve);
        let best = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
        context.others = Some(Others {
            train_accuracy: best(&mut rest().filter_map(|epoch| epoch.train_eval_accuracy.or(epoch.train_accuracy))),
            val_accuracy: best(&mut rest().filter_map(|epoch| epoch.val_accuracy)),
        });
        context
    }

    fn of_recipe(recipe: &Recipe) -> Context {
        let rates = recipe.layers.iter().filter_map(|layer| match layer {
            Layer::Dropout { rate } => Some(*rate),
            _ => None,
        });
        let classes = recipe.layers.iter().rev().find_map(|layer| match layer {
            Layer::Dense { units, .. } => Some(*units),
            _ => None,
        });
        Context {
            classes,
            dropout: Some(rates.fold(0.0, f64::max)),
            weight_decay: Some(recipe.training.weight_decay),
            epochs_planned: Some(recipe.training.epochs),
            ..Context::default()
        }
    }
}
