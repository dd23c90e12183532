//! Selects the networks of a plan that are measured.

use std::mem::discriminant;

use sweep_core::recipe::{Layer, Recipe};
use sweep_core::trial::{Settings, TrialId};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// Maximum number of trials considered, which is the whole plan for most sweeps.
const TRIALS: u64 = 1000;

/// One kind of network, trained by one optimizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The representative trial: the first of those with the highest learning rate.
    pub trial: TrialId,
    /// The trial's parameters.
    pub settings: Settings,
    /// The trial's recipe.
    pub recipe: Recipe,
    /// Number of trials of this kind.
    pub trials: u64,
}

/// The kinds of networks in the first trials, in plan order. Networks that differ only in dropout are of the same kind.
pub fn subjects(spec: &Spec) -> Vec<Subject> {
    let mut search = Search::new(spec.search_terms());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_network_is_measured_once_at_its_highest_learning_rate() {
        let text = "parameters: {learning_rate: {values: [1e-3, 5e-2]}, dropout: {values: [0.1, 0.5]}, units: {values: [8, \
                    16]}}\n\
                    model: [flatten, {dense: '${units}'}, relu, {dropout: '${dropout}'}, {dense: '${classes}'}]\n\
                    data: {set: digits}\n";
        let (spec, _) =
            Spec::read(text, "f", std::path::Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
        let found = subjects(&spec);
        let seen: Vec<_> = found.iter().map(|one| (one.recipe.training.learning_rate, one.trials)).collect();
        assert_eq!(seen, [(0.05, 4), (0.05, 4)]);
    }
}
