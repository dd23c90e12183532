//! The parameters that a piece of advice concerns, and the direction in which it moves them. Pure.

use serde_json::Value;

use sweep_core::trial::Settings;
use sweep_verdict::Advice;

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// To a larger number.
    More,
    /// To a smaller number.
    Less,
    /// From off to any other value.
    On,
}

/// A change of parameters that a piece of advice asks for.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    names: &'static [&'static str],
    /// The direction, the same for all parameters.
    pub way: Way,
}

/// Names of the learning rate. Programs have their own.
const RATES: [&str; 4] = ["learning_rate", "lr", "eta", "eta0"];
/// Parameters with several variants: `dropout_dense`, `augment.crop`.
const MANY: [&str; 2] = ["dropout", "augment"];
/// Minimum difference that counts as a change of a dropout rate.
const RATE_STEP: f64 = 0.05;
/// Minimum factor that counts as a change of any other number.
const FACTOR: f64 = 1.9;

impl Move {
    /// The change that the advice asks for, or `None` if the advice concerns no parameter.
    pub fn of(advice: Advice) -> Option<Move> {
        let (names, way): (&[&str], Way) = match advice {
            Advice::BatchNorm => (&["batch_norm"], Way::On),
            Advice::Augment(_) => (&["augment"], Way::On),
            Advice::ClipGradients => (&["clip_norm"], Way::On),
            Advice::MoreRegularization => (&["dropout", "weight_decay"], Way::More),
            Advice::LessRegularization => (&["dropout", "weight_decay"], Way::Less),
            Advice::LargerBatch => (&["batch_size"], Way::More),
            Advice::LowerLearningRate => (&RATES, Way::Less),
            Advice::HigherLearningRate => (&RATES, Way::More),
            _ => return None,
        };
        Some(Move { names, way })
    }

    /// Whether the change concerns the parameter with this name.
    pub fn is_about(&self, name: &str) -> bool {
        self.names.iter().any(|own| {
            let rest = name.strip_prefix(own);
            rest.is_some_and(|rest| rest.is_empty() || MANY.contains(own) && rest.starts_with(['_', '.']))
        })
    }

    /// Whether the parameter changed in this direction, and by enough to count.
    fn leads(&self, name: &str, from: &Value, to: &Value) -> bool {
        let (Some(a), Some(b)) = (from.as_f64(), to.as_f64()) else {
            return self.way == Way::On && is_off(from) && !is_off(to);
        };
        let (low, high) = if self.way == Way::Less { (b, a) } else { (a, b) };
        match self.way {
            Way::On => a == 0.0 && b != 0.0,
            _ if name.starts_with("dropout") => high - low >= RATE_STEP,
            _ => high > low && high >= FACTOR * low,
        }
    }

    /// The parameter of `to`, with its value, that lies in this direction from `from`. Returns `None` if another
    /// parameter concerned changed in the opposite direction.
    pub fn made<'s>(&self, from: &Settings, to: &'s Settings) -> Option<(&'s String, &'s Value)> {
        let about = || to.iter().filter_map(|(name, to)| Some((name, from.get(name)?, to)));
        let about = || about().filter(|(name, _, _)| self.is_about(name));
        if about().any(|(name, from, to)| self.leads(name, to, from)) {
            return None;
        }
        about().find(|(name, from, to)| self.leads(name, from, to)).map(|(name, _, to)| (name, to))
    }

    /// Whether the change switches on a parameter that is already on in `settings`.
    pub fn is_on(&self, settings: &Settings) -> bool {
        self.way == Way::On && settings.iter().any(|(name, value)| self.is_about(name) && !is_off(value))
    }
}

/// Whether the value switches its parameter off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text == "none",
        _ => false,
    }
}

/// Whether a value, in the form shown on pages, switches its parameter off.
pub fn reads_off(shown: &str) -> bool {
    is_off(&serde_json::from_str(shown).unwrap_or_else(|_| shown.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use sweep_sample::settings;
    use sweep_verdict::Mirror;

    fn made(advice: Advice, from: Value, to: Value) -> bool {
        Move::of(advice).expect("it moves something").made(&settings(from), &settings(to)).is_some()
    }

    #[test]
    fn a_move_is_made_by_its_own_setting_and_by_enough() {
        let less =
            |from, to| made(Advice::LowerLearningRate, json!({"learning_rate": from}), json!({"learning_rate": to}));
        assert!(less(1e-3, 3e-4) && !less(1e-3, 9e-4) && !less(1e-3, 3e-3));
        let decay = (json!({"learning_rate_decay": 0.9}), json!({"learning_rate_decay": 0.1}));
        assert!(!made(Advice::LowerLearningRate, decay.0, decay.1));
        let more = |from, to| made(Advice::MoreRegularization, from, to);
        assert!(more(json!({"dropout": 0.0}), json!({"dropout": 0.2})));
        assert!(!more(json!({"dropout": 0.2}), json!({"dropout": 0.21})));
        assert!(more(json!({"weight_decay": 0.0}), json!({"weight_decay": 1e-4})));
        let both = json!({"dropout_conv": 0.1, "dropout_dense": 0.5});
        assert!(more(both.clone(), json!({"dropout_conv": 0.3, "dropout_dense": 0.5})));
        assert!(!more(both, json!({"dropout_conv": 0.3, "dropout_dense": 0.2})));
    }

    #[test]
    fn what_is_on_is_not_off() {
        let on = |value: Value| Move::of(Advice::Augment(Mirror::Yes)).expect("it moves").is_on(&settings(value));
        assert!(on(json!({"augment": {"flip": true}})) && on(json!({"augment.crop": 4})));
        assert!(!on(json!({"augment": null})) && !on(json!({"augment.crop": 0})) && !on(json!({"batch_norm": true})));
        assert!(made(Advice::BatchNorm, json!({"batch_norm": false}), json!({"batch_norm": true})));
        assert!(made(Advice::ClipGradients, json!({"clip_norm": null}), json!({"clip_norm": 1.0})));
    }
}
