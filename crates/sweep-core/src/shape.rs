//! Measurements of model shapes: how much of a GPU a trial needs, and how fast several concurrent trials are. Trials
//! whose processes need the same memory and time have the same shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::recipe::{Layer, Recipe};
use crate::trial::Settings;

/// Number of measurements that make up the mean of an epoch. Later ones are ignored.
pub const MEASUREMENTS: u32 = 3;

/// A measurement of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// GPU memory that a process has used, in bytes.
    Memory(u64),
    /// Duration of an epoch.
    Epoch {
        /// Number of trials on the GPU, constant from the start of the epoch to its end.
        together: u32,
        /// Wall time in seconds.
        seconds: f64,
    },
    /// With more trials than this on the device, a trial of this shape ran out of memory.
    Most(u32),
}

/// What is known about a shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// Maximum GPU memory that a process was seen to use, in bytes.
    pub memory: Option<u64>,
    /// Maximum number of trials on a device that has a trial of this shape.
    pub most: Option<u32>,
    /// By the number of trials on the GPU: the number of measured epochs and their mean duration in seconds.
    pub epochs: BTreeMap<u32, (u32, f64)>,
}

impl Shape {
    /// Adds a measurement.
    pub fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Memory(bytes) => self.memory = self.memory.max(Some(bytes)),
            Fact::Most(most) => self.most = Some(self.most.map_or(most, |before| before.min(most))),
            Fact::Epoch { together, seconds } => {
                let (count, mean) = self.epochs.entry(together).or_default();
                *count += 1;
                *mean += (seconds - *mean) / f64::from(*count);
            }
        }
    }

    /// Returns the epochs per second of all trials together, with `together` trials on the GPU, if that was measured.
    pub fn speed(&self, together: u32) -> Option<f64> {
        self.epochs.get(&together).map(|(_, seconds)| f64::from(together) / seconds)
    }
}

/// Returns the name of a recipe's shape: everything that its memory and time depend on. Dropout rates are excluded.
pub fn of_recipe(recipe: &Recipe) -> String {
    let alike = |layer: &Layer| match layer {
        Layer::Dropout { .. } => Layer::Dropout { rate: 0.5 },
        other => *other,
    };
    let layers: Vec<Layer> = recipe.layers.iter().map(alike).collect();
    let training = &recipe.training;
    let rule = serde_json::to_value(training.optimizer).unwrap_or_default()["rule"].clone();
    let rule = rule.as_str().unwrap_or_default();
    let data = (&recipe.data.source, recipe.data.train_examples, recipe.data.augment, training.precision);
    let all = format!("{layers:?} {data:?}");
    format!("{:08x}, batch {}, {rule}", crc32fast::hash(all.as_bytes()), training.batch_size)
}

/// Returns the name of a program's shape: all its parameters except fractions, which rarely change its size.
pub fn of_settings(settings: &Settings) -> String {
    let sizes: Vec<_> = settings.iter().filter(|(_, value)| !value.is_f64()).collect();
    format!("{:08x}", crc32fast::hash(format!("{sizes:?}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_add_up_and_read_back_from_the_journal() {
        let facts = [
            Fact::Memory(5),
            Fact::Memory(3),
            Fact::Most(4),
            Fact::Most(6),
            Fact::Epoch { together: 2, seconds: 1.0 },
            Fact::Epoch { together: 2, seconds: 3.0 },
        ];
        let mut shape = Shape::default();
        for fact in facts {
            let line = serde_json::to_string(&fact).unwrap();
            shape.learn(serde_json::from_str(&line).unwrap());
        }
        assert_eq!((shape.memory, shape.most), (Some(5), Some(4)));
        assert_eq!((shape.speed(2), shape.speed(1)), (Some(1.0), None), "two trials, two seconds an epoch");
    }

    #[test]
    fn programs_that_differ_in_fractions_alone_are_of_one_shape() {
        let name = |json: serde_json::Value| of_settings(json.as_object().unwrap());
        let one = name(json!({"units": 64, "rate": 0.5}));
        assert_eq!(one, name(json!({"units": 64, "rate": 0.25})));
        assert_ne!(one, name(json!({"units": 65, "rate": 0.5})));
    }
}
