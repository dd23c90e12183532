//! Which networks of a plan are worth a probe.

use std::mem::discriminant;

use crate::recipe::{Layer, Recipe};
use crate::search::Search;
use crate::spec::Spec;
use crate::trial::{Settings, TrialId};

/// Trials looked at: the plan of most sweeps.
const TRIALS: u64 = 1000;

/// One kind of network, trained by one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The trial that stands for it: the first of those with the highest learning rate.
    pub trial: TrialId,
    /// Its settings.
    pub settings: Settings,
    /// What it trains.
    pub recipe: Recipe,
    /// Trials of the kind.
    pub trials: u64,
}

/// The kinds of network of the first trials, in the plan's order. Networks that differ in dropout alone are of one.
pub fn subjects(spec: &Spec) -> Vec<Subject> {
    let mut search = Search::new(spec);
    let mut subjects: Vec<Subject> = Vec::new();
    for trial in (1..=TRIALS).map(TrialId) {
        let Some(settings) = search.settings(trial) else { break };
        let Ok(recipe) = spec.recipe(&settings) else { continue };
        match subjects.iter_mut().find(|subject| alike(&subject.recipe, &recipe)) {
            None => subjects.push(Subject { trial, settings, recipe, trials: 1 }),
            Some(subject) => {
                subject.trials += 1;
                if recipe.training.learning_rate > subject.recipe.training.learning_rate {
                    (subject.trial, subject.settings, subject.recipe) = (trial, settings, recipe);
                }
            }
        }
    }
    subjects
}

fn alike(a: &Recipe, b: &Recipe) -> bool {
    fn lasting(recipe: &Recipe) -> impl Iterator<Item = &Layer> {
        recipe.layers.iter().filter(|layer| !matches!(layer, Layer::Dropout { .. }))
    }
    discriminant(&a.training.optimizer) == discriminant(&b.training.optimizer) && lasting(a).eq(lasting(b))
}
