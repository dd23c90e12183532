//! What is learnt of model shapes: how much of a GPU a trial needs, and how fast several at a time are. Trials whose
//! processes need the same memory and time are of one shape.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::recipe::{Layer, Recipe};
use crate::trial::Settings;

/// So many measurements of an epoch make its mean; more are not taken.
pub const MEASUREMENTS: u32 = 3;

/// Something learnt of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Bytes of a GPU that a process has had.
    Memory(u64),
    /// What an epoch took.
    Epoch {
        /// Trials on the GPU from its beginning to its end.
        together: u32,
        /// Wall time.
        seconds: f64,
    },
    /// With more trials than this on the device, one of this shape lacked memory.
    Most(u32),
}

/// What is known of a shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// The most bytes of a GPU that a process was seen to have.
    pub memory: Option<u64>,
    /// The most trials on a device with one of this shape.
    pub most: Option<u32>,
    /// By the number of trials on the GPU: how many epochs were measured, and their mean seconds.
    pub epochs: BTreeMap<u32, (u32, f64)>,
}

impl Shape {
    /// Takes a fact in.
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

    /// Epochs a second of all trials together, with so many on the GPU, if it was measured.
    pub fn speed(&self, together: u32) -> Option<f64> {
        self.epochs.get(&together).map(|(_, seconds)| f64::from(together) / seconds)
    }
}

/// The name of a recipe's shape: what its memory and time depend on, the rates of dropout left out.
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

/// The name of a program's shape: all of its settings but fractions, which rarely change its size.
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
