//! What is wrong with a network, or with its learning rate, by what a probe measured of it. One verdict a file, each
//! with its thresholds and their source.

mod capacity;
mod first_loss;
mod gradients;
mod rate;
mod silent;

pub use capacity::learnt;
pub use rate::{Range, range};

use super::Finding;
use sweep_core::probe::Measured;
use sweep_core::recipe::{Layer, Recipe};

/// A network as it was probed.
struct Probed<'a> {
    recipe: &'a Recipe,
    /// Classes to tell apart.
    classes: f64,
    measured: &'a Measured,
}

impl Probed<'_> {
    /// A layer as a person finds it: `layer 4 (conv 64 3x3 same)`, counted from 1.
    fn layer(&self, at: usize) -> String {
        match self.recipe.layers.get(at) {
            Some(layer) => format!("layer {} ({layer})", at + 1),
            None => format!("layer {}", at + 1),
        }
    }
}

/// A verdict: `None` where the numbers do not show it.
type Verdict = fn(&Probed<'_>) -> Option<Finding>;

/// Causes before their symptoms.
const VERDICTS: [Verdict; 5] = [first_loss::check, gradients::check, silent::check, rate::check, capacity::check];

/// All findings on a network, the serious ones first.
pub fn check(recipe: &Recipe, measured: &Measured) -> Vec<Finding> {
    let outputs = recipe.layers.iter().rev().find_map(|layer| match layer {
        Layer::Dense { units, .. } => Some(*units),
        _ => None,
    });
    let probed = Probed { recipe, classes: f64::from(outputs.unwrap_or(2)), measured };
    let mut findings: Vec<Finding> = VERDICTS.iter().filter_map(|verdict| verdict(&probed)).collect();
    findings.sort_by_key(|finding| !finding.serious);
    findings
}

#[cfg(test)]
mod tests;
