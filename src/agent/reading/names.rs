//! Which names of numbers are kept.

use std::collections::BTreeSet;

use sweep_core::trial::{METRICS, MOST_OTHERS};

/// Names that mean something else, beside those of the metrics: W&B's own begin with `_`.
const NO_METRICS: [&str; 6] = ["epoch", "learning_rate", "seconds", "pictures_per_second", "loss_gap", "accuracy_gap"];

/// Maximum bytes of a metric's name.
const LONGEST_NAME: usize = 100;

/// Names that are told of those left out.
pub const MOST_LEFT_OUT: usize = 5;

/// The names under which a program reports numbers.
#[derive(Debug)]
pub struct Names {
    metric: String,
    /// All names of numbers other than [`METRICS`] and [`NO_METRICS`], [`MOST_OTHERS`] at most.
    pub kept: BTreeSet<String>,
    /// Some of the names beyond that.
    pub left_out: BTreeSet<String>,
}

impl Names {
    pub fn new(metric: &str) -> Names {
        Names { metric: metric.to_owned(), kept: BTreeSet::new(), left_out: BTreeSet::new() }
    }

    /// Whether numbers under that name are an epoch's.
    pub fn keeps(&mut self, name: &str) -> bool {
        if name == self.metric || METRICS.contains(&name) || matches!(name, "learning_rate" | "seconds") {
            return true;
        }
        if !is_a_metrics_name(name) {
            return false;
        }
        if self.kept.contains(name) {
            return true;
        }
        if self.kept.len() >= MOST_OTHERS {
            if self.left_out.len() < MOST_LEFT_OUT {
                self.left_out.insert(name.to_owned());
            }
            return false;
        }
        self.kept.insert(name.to_owned())
    }
}

fn is_a_metrics_name(name: &str) -> bool {
    let is_plain = |char: char| !char.is_control() && !matches!(char, '\u{fffe}' | '\u{ffff}');
    let is_name = !name.is_empty() && !name.starts_with('_') && name.chars().all(is_plain);
    is_name && name.len() <= LONGEST_NAME && !NO_METRICS.contains(&name)
}
