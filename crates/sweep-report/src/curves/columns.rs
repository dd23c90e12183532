//! The meaning of metric names in logs that other tools wrote.

use std::str::FromStr;

use sweep_core::nearest::nearest;
use sweep_core::trial::METRICS;

/// Names that `--columns` accepts for targets other than metrics.
const OTHERS: [(&str, Target); 4] = [
    ("learning_rate", Target::LearningRate),
    ("epoch", Target::Epoch),
    ("step", Target::Step),
    ("trial", Target::Curve),
];
/// Words for the validation set. The most certain come first; the last ones may mean a third set.
const VALIDATION: [&str; 9] = ["val", "valid", "validation", "dev", "eval", "evaluation", "holdout", "test", "testing"];
const TRAINING: [&str; 2] = ["train", "training"];
const LOSS: [&str; 4] = ["loss", "nll", "crossentropy", "xent"];
const ACCURACY: [&str; 4] = ["acc", "accuracy", "top1", "acc1"];
/// Words that describe how a value was computed, not what it measures.
const FILLERS: [&str; 12] = [
    "epoch",
    "step",
    "mean",
    "avg",
    "average",
    "total",
    "categorical",
    "sparse",
    "binary",
    "multiclass",
    "metrics",
    "metric",
];

/// The quantity in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The metric with this index in [`METRICS`].
    Metric(usize),
    /// The optimizer's learning rate.
    LearningRate,
    Epoch,
    /// A counter of optimizer steps or log calls.
    Step,
    /// The name of the curve that a row belongs to.
    Curve,
}

/// The meaning that the user gave to a column: `val_loss=my_column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The quantity in the column.
    pub target: Target,
    /// The column's name in the file.
    pub column: String,
}

impl Target {
    /// The target's name in `--columns`.
    pub fn name(self) -> &'static str {
        match self {
            Target::Metric(at) => METRICS[at],
            other => OTHERS.iter().find(|(_, target)| *target == other).map_or("", |(name, _)| name),
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let (name, column) = text.split_once('=').ok_or("the form is METRIC=COLUMN, for example val_loss=my_loss")?;
        let names: Vec<&str> = METRICS.iter().copied().chain(OTHERS.map(|(name, _)| name)).collect();
        let (name, column) = (name.trim(), column.trim());
        let metric = METRICS.iter().position(|metric| *metric == name).map(Target::Metric);
        let target = metric.or(OTHERS.iter().find(|(other, _)| *other == name).map(|(_, target)| *target));
        match target {
            Some(_) if column.is_empty() => Err(format!("{name}= needs a column name")),
            Some(target) => Ok(Choice { target, column: column.to_owned() }),
            None => {
                let nearest = nearest(name, names.iter().copied())
                    .map_or(String::new(), |near| format!("; did you mean {near}?"));
                Err(format!("{name} is not one of {}{nearest}", names.join(", ")))
            }
        }
    }
}

/// The target that a name means, and the distance of the name from the plainest one for that target. If several columns
/// mean the same target, the smallest distance wins. Returns `None` if a word of the name is unknown, because a wrong
/// curve is worse than none.
pub fn meaning(name: &str) -> Option<(Target, u32)> {
    if let Some(at) = METRICS.iter().position(|metric| *metric == name) {
        return Some((Target::Metric(at), 0));
    }
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["epoch" | "epochs"] => return Some((Target::Epoch, 0)),
        ["step"] => return Some((Target::Step, 0)),
        ["global", "step"] | ["iteration" | "iter"] => return Some((Target::Step, 1)),
        ["trial"] => return Some((Target::Curve, 0)),
        ["run"] | ["run", "name" | "id"] => return Some((Target::Curve, 1)),
        ["lr", ..] | ["learning", "rate"] | ["epoch", "lr"] | ["epoch", "learning", "rate"] => {
            return Some((Target::LearningRate, words.len() as u32));
        }
        _ => {}
    }
    // A name that contains its set is more certain than a name without one.
    let mut far = if names_part(name).is_some() { 0 } else { 2 };
    let (mut validation, mut quantity) = (None, None);
    for word in words {
        if let Some(rank) = VALIDATION.iter().position(|known| *known == word) {
            validation = Some(validation.unwrap_or(0).max(rank as u32));
        } else if LOSS.contains(&word) {
            quantity = Some("loss");
        } else if ACCURACY.contains(&word) {
            quantity = Some("accuracy");
        } else if FILLERS.contains(&word) || word.parse::<u32>().is_ok() {
            // A mean over the epoch is preferred to the value of one step.
            far += if word == "epoch" { 1 } else { 4 };
        } else if !TRAINING.contains(&word) {
            return None;
        }
    }
    let of = if validation.is_some() { "val" } else { "train" };
    let metric = format!("{of}_{}", quantity?);
    let at = METRICS.iter().position(|known| *known == metric)?;
    Some((Target::Metric(at), 1 + far + 16 * validation.unwrap_or(0)))
}

/// The word of a name that identifies its set: `val` in `val_loss`, `train` in `Train Acc`.
pub fn names_part(name: &str) -> Option<&'static str> {
    let words = words(name);
    let known = |part: &&&str| words.iter().any(|word| word == *part);
    VALIDATION.iter().chain(&TRAINING).find(known).copied()
}

/// Whether this word means the validation set.
pub fn is_validation(part: &str) -> bool {
    VALIDATION.contains(&part)
}

/// Splits a name such as `valLoss`, `val_loss`, or `Loss/val` into words, in lower case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (letter.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().expect("there is always a last word").extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str) -> Option<&'static str> {
        match meaning(name)?.0 {
            Target::Metric(at) => Some(METRICS[at]),
            _ => None,
        }
    }

    #[test]
    fn names_of_other_tools_are_understood() {
        let known = [
            ("loss", "train_loss"),
            ("acc", "train_accuracy"),
            ("sparse_categorical_accuracy", "train_accuracy"),
            ("val_sparse_categorical_accuracy", "val_accuracy"),
            ("val_acc", "val_accuracy"),
            ("train_loss_epoch", "train_loss"),
            ("Loss/val", "val_loss"),
            ("Accuracy/train", "train_accuracy"),
            ("eval/loss", "val_loss"),
            ("test_accuracy", "val_accuracy"),
            ("validation/epoch_loss", "val_loss"),
            ("trainLoss", "train_loss"),
            ("val_accuracy_1", "val_accuracy"),
            ("train_eval_loss", "train_eval_loss"),
        ];
        for (name, meant) in known {
            assert_eq!(metric(name), Some(meant), "{name}");
        }
    }

    #[test]
    fn a_name_with_an_unknown_word_is_not_guessed() {
        for name in ["generator_loss", "evaluation_loss_vs_iterations", "val_f1", "time", "loss_ratio", "val", ""] {
            assert_eq!(metric(name), None, "{name}");
        }
    }

    #[test]
    fn of_several_the_plainest_is_nearest() {
        let far = |name| meaning(name).expect("it is known").1;
        assert!(far("train_loss") < far("train_loss_epoch"));
        assert!(far("train_loss_epoch") < far("train_loss_step"));
        assert!(far("val_loss_epoch") < far("test_loss"));
    }

    #[test]
    fn a_choice_that_is_none_names_the_nearest() {
        let choice: Choice = "val_loss=my loss".parse().expect("it is one");
        assert_eq!(choice, Choice { target: Target::Metric(4), column: "my loss".into() });
        let error = "val_los=x".parse::<Choice>().expect_err("it is none");
        assert!(error.contains("did you mean val_loss?"), "{error}");
        assert!("val_loss".parse::<Choice>().is_err() && "val_loss=".parse::<Choice>().is_err());
    }
}
