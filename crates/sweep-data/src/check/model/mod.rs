//! Finds problems with a network or its learning rate from its measurements. There is one verdict per file,
//! each with its thresholds and their sources.

mod capacity;
mod first_loss;
mod gradients;
mod rate;
mod silent;

pub use capacity::learnt;
pub use rate::{Range, range};

use super::Finding;
use sweep_core::measurement::Measured;
use sweep_core::recipe::{Layer, Recipe};

/// A network with its measurements.
struct Network<'a> {
    recipe: &'a Recipe,
    classes: f64,
    measured: &'a Measured,
}

impl Network<'_> {
    /// Describes a layer for users, such as `layer 4 (conv 64 3x3 same)`. Layers count from 1.
    fn layer(&self, at: usize) -> String {
        match self.recipe.layers.get(at) {
            Some(layer) => format!("layer {} ({layer})", at + 1),
            None => format!("layer {}", at + 1),
        }
    }
}

/// A verdict, which returns `None` if the measurements do not show the problem.
type Verdict = fn(&Network<'_>) -> Option<Finding>;

/// The verdicts, with causes before their symptoms.
const VERDICTS: [Verdict; 5] = [first_loss::check, gradients::check, silent::check, rate::check, capacity::check];

/// Returns all findings on a network, the serious ones first.
pub fn check(recipe: &Recipe, measured: &Measured) -> Vec<Finding> {
    let outputs = recipe.layers.iter().rev().find_map(|layer| match layer {
        Layer::Dense { units, .. } => Some(*units),
        _ => None,
    });
    let network = Network { recipe, classes: f64::from(outputs.unwrap_or(2)), measured };
    let mut findings: Vec<Finding> = VERDICTS.iter().filter_map(|verdict| verdict(&network)).collect();
    findings.sort_by_key(|finding| !finding.serious);
    findings
}

#[cfg(test)]
mod tests;
