//! The meaning of metric names in logs that other tools wrote.

mod known;
mod words;

use std::rc::Rc;
use std::str::FromStr;

use sweep_core::nearest::nearest;
use sweep_core::trial::METRICS;

pub(super) use known::known;

/// Names that `--columns` accepts for targets other than metrics.
const OTHERS: [(&str, Target); 4] = [
    ("learning_rate", Target::LearningRate),
    ("epoch", Target::Epoch),
    ("step", Target::Step),
    ("trial", Target::Curve),
];
/// Words for the validation set. The most certain come first; the last ones may mean a third set.
const VALIDATION: [&str; 19] = [
    "val",
    "valid",
    "validation",
    "validating",
    "validate",
    "vali",
    "va",
    "vl",
    "crossval",
    "dev",
    "eval",
    "evaluation",
    "evaluating",
    "evaluate",
    "holdout",
    "heldout",
    "test",
    "testing",
    "te",
];
const TRAINING: [&str; 6] = ["train", "training", "tr", "trn", "learn", "fit"];
/// Words for a loss. The first ones are losses whatever the task; the others name the quantity.
const LOSS: [&str; 20] = [
    "loss",
    "losses",
    "cost",
    "nll",
    "crossentropy",
    "xent",
    "logloss",
    "mlogloss",
    "bce",
    "ce",
    "mse",
    "rmse",
    "mae",
    "rmsle",
    "l2",
    "l1",
    "deviance",
    "mape",
    "epe",
    "aepe",
];
const ACCURACY: [&str; 8] = ["accuracy", "acc", "accu", "top1", "acc1", "prec1", "accuracy01", "accuracies"];
/// Words that describe how a value was computed, not what it measures.
const FILLERS: &str = "epoch step mean avg average total overall categorical sparse binary multi multiclass metrics \
    metric running batch current s lm words main mini minibatch cv agg token \
    phase combined";
/// Words of a sentence around a name: `accuracy of the network on the 10000 test images`.
const SMALL: [&str; 20] = [
    "of", "de", "da", "the", "on", "set", "data", "dataset", "images", "network", "model", "for", "in", "at", "over",
    "is", "was", "samples", "this", "per",
];

/// The quantity in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The metric with this index in [`METRICS`].
    Metric(usize),
    /// The optimizer's learning rate.
    LearningRate,
    /// The epoch number.
    Epoch,
    /// A counter of optimizer steps or log calls.
    Step,
    /// The name of the curve that a row belongs to.
    Curve,
    /// The set that a row was measured on: `train`, `val`.
    Split,
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
    let known = known(name);
    *known.meaning.get_or_init(|| meant(name, &known.words))
}

fn meant(name: &str, words: &[String]) -> Option<(Target, u32)> {
    if let Some(at) = METRICS.iter().position(|metric| *metric == name) {
        return Some((Target::Metric(at), 0));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(target) = place(&words) {
        return Some(target);
    }
    // Paddle's seconds a batch.
    if let [.., "batch", "cost"] = words[..] {
        return None;
    }
    // A name that contains its set is more certain than a name without one.
    let mut far = if part_of(&words).is_some() { 0 } else { 2 };
    let (mut validation, mut quantity) = (None, None);
    for (at, word) in words.iter().enumerate() {
        if let Some(rank) = VALIDATION.iter().position(|known| known == word) {
            validation = Some(validation.unwrap_or(0).max(rank as u32));
        } else if let Some(rank) = LOSS.iter().position(|known| known == word) {
            quantity = Some("loss");
            // A regression's `mae` stands beside its `loss`.
            far += rank as u32;
        } else if ACCURACY.contains(word) || (*word == "prec" && words.get(at + 1) == Some(&"1")) {
            quantity = Some("accuracy");
        } else if SMALL.contains(word) {
            far += 1;
        } else if *word == "score" && validation.is_some() {
            // scikit-learn prints `Validation score`.
            (quantity, far) = (Some("accuracy"), far + 8);
        } else if FILLERS.split(' ').any(|known| known == *word)
            || is_suffix(&words, at)
            || *word == "value" && at + 1 == words.len()
        {
            // A mean over the epoch is preferred to the value of one step, and the whole loss to a part of it.
            far += if matches!(*word, "epoch" | "total" | "overall") { 1 } else { 4 };
        } else if !TRAINING.contains(word) {
            return None;
        }
    }
    // `L1` alone may be a vertebra or a penalty.
    if matches!(words[..], ["l1" | "l2"]) {
        return None;
    }
    let of = if validation.is_some() { "val" } else { "train" };
    let metric = format!("{of}_{}", quantity?);
    let at = METRICS.iter().position(|known| *known == metric)?;
    Some((Target::Metric(at), 1 + far + 16 * validation.unwrap_or(0)))
}

/// The meaning of a name that says where a row belongs, not what was measured.
fn place(words: &[&str]) -> Option<(Target, u32)> {
    Some(match words {
        ["epoch" | "epochs" | "ep" | "epoche"] => (Target::Epoch, 0),
        ["train" | "trainer" | "training" | "current" | "cur" | "epoch" | "n", "epoch"]
        | ["epoch", "idx" | "index" | "num" | "number" | "no" | "id"] => (Target::Epoch, 1),
        ["step"] => (Target::Step, 0),
        ["global", "step"] | ["iteration" | "iterations" | "iter" | "steps" | "it" | "update"] => (Target::Step, 1),
        ["train" | "trainer", "global", "step"] | ["num", "updates"] | ["n", "iter"] | ["number", "of", "trees"] => {
            (Target::Step, 2)
        }
        ["trial"] => (Target::Curve, 0),
        ["run" | "fold" | "seed" | "version" | "model" | "experiment"] | ["run", "name" | "id"] => (Target::Curve, 1),
        ["mode" | "phase" | "split" | "subset" | "stage" | "partition"] => (Target::Split, 0),
        ["lr", ..] | ["learning", "rate"] | ["epoch", "lr"] | ["epoch", "learning", "rate"] => {
            (Target::LearningRate, words.len() as u32)
        }
        ["train" | "training" | "base", "lr"] | ["train" | "base" | "current", "learning", "rate"] => {
            (Target::LearningRate, 3)
        }
        _ => return None,
    })
}

/// Whether the word is a number that only tells names apart: `val_accuracy_1`. In `acc@5` and `top 5` it is another
/// metric.
fn is_suffix(words: &[&str], at: usize) -> bool {
    let after_top = at > 0 && matches!(words[at - 1], "acc" | "top" | "prec");
    words[at].parse::<u32>().is_ok_and(|number| !after_top || number == 1)
        || words[at] == "top" && words.get(at + 1) == Some(&"1")
}

/// The word of a name that identifies its set: `val` in `val_loss`, `train` in `Train Acc`.
pub fn names_part(name: &str) -> Option<&'static str> {
    let known = known(name);
    *known.part.get_or_init(|| part_of(&known.words.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn part_of(words: &[&str]) -> Option<&'static str> {
    // `evaluate: dev` and `evaluate: test` are of two sets.
    let known = || VALIDATION.iter().chain(&TRAINING).filter(|part| words.contains(*part)).copied();
    known().find(|part| !part.starts_with("eval")).or_else(|| known().next())
}

/// Whether this word means the validation set.
pub fn is_validation(part: &str) -> bool {
    VALIDATION.contains(&part)
}

/// Whether a text is only the name of a set, as a heading is: `Test Error`, `val`, `=== Validation results`. Returns the
/// set.
pub fn is_part(text: &str) -> Option<&'static str> {
    let known = known(text);
    *known.heading.get_or_init(|| heading(&known.words))
}

fn heading(words: &[String]) -> Option<&'static str> {
    const BESIDE: &str = "end error errors results result phase mode metrics loop running begin start started starting \
    net output summary stats statistics report performance scores split pass";
    const LONGEST: usize = 8;
    let known = |word: &str| {
        // `Val PER` is the rate of wrong phonemes.
        let is_small = SMALL.contains(&word) && word != "per";
        BESIDE.split(' ').any(|known| known == word) || is_small || part_of(&[word]).is_some()
    };
    if words.is_empty() || words.len() > LONGEST || !words.iter().all(|word| known(word)) {
        return None;
    }
    part_of(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The set of a folder of event files that is part of a run: `validation`, or `Loss_train`, as PyTorch's `add_scalars` names it.
pub fn set_of_folder(name: &str) -> Option<&'static str> {
    is_part(name).or_else(|| names_part(name).filter(|_| matches!(meaning(name), Some((Target::Metric(_), _)))))
}

/// Whether a text is only the name of a set, and of no error: `train`, but not `train-error`.
pub fn is_bare_part(text: &str) -> bool {
    is_part(text).is_some() && !words(text).iter().any(|word| word.starts_with("error"))
}

/// Whether a word is one of a sentence around a name.
pub fn is_small(word: &str) -> bool {
    SMALL.contains(&word.to_ascii_lowercase().as_str())
}

/// The quantity in a name: `loss` or `accuracy`.
pub fn quantity(name: &str) -> Option<&'static str> {
    let known = known(name);
    let quantity = |word: &String| match word.as_str() {
        word if LOSS.contains(&word) => Some("loss"),
        word if ACCURACY.contains(&word) => Some("accuracy"),
        _ => None,
    };
    *known.quantity.get_or_init(|| known.words.iter().find_map(quantity))
}

/// Whether a name has both sets: `train/val loss`.
pub fn names_both(name: &str) -> bool {
    let words = words(name);
    words.iter().any(|word| TRAINING.contains(&word.as_str())) && words.iter().any(|word| is_validation(word))
}

/// Whether numbers under a name are no metric: times, speeds, memory, counts.
pub fn is_ignorable(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "time",
        "hours",
        "minutes",
        "seconds",
        "second",
        "secs",
        "sec",
        "eta",
        "runtime",
        "memory",
        "mem",
        "gpu",
        "cpu",
        "speed",
        "throughput",
        "samples",
        "tokens",
        "grad",
        "norm",
        "timestamp",
        "duration",
        "elapsed",
        "date",
        "flos",
        "mfu",
        "size",
        "index",
        "step",
        "steps",
        "epochs",
        "iter",
        "iterations",
        "batch",
        "progress",
        "wall",
        "lr",
        "img",
        "it",
        "momentum",
        "ms",
        "updates",
        "remaining",
        "best",
        "patience",
        "threshold",
        "clip",
        "seed",
        "instances",
        "tps",
        "tflops",
        "wps",
        "ups",
        "wpb",
        "bsz",
        "gnorm",
        "params",
        "took",
        "thresh",
        "thr",
        "weight",
        "weights",
    ];
    let words = words(name);
    name.starts_with('_') || words.is_empty() || words.iter().any(|word| WORDS.contains(&word.as_str()))
}

/// The words of a name, in lower case and in English.
pub(super) fn words(name: &str) -> Rc<[String]> {
    Rc::clone(&known(name).words)
}

/// Whether two names differ only in how they are written: `Val Loss`, `val/loss`, `validation_loss`.
pub fn same_name(one: &str, other: &str) -> bool {
    fn plain(word: &str) -> &str {
        match word {
            "acc" => "accuracy",
            "valid" | "vali" | "validation" => "val",
            "training" => "train",
            word => word,
        }
    }
    let (one, other) = (words(one), words(other));
    !one.is_empty() && one.iter().map(|word| plain(word)).eq(other.iter().map(|word| plain(word)))
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
            ("valloss", "val_loss"),
            ("Accuracy of the network on the test images", "val_accuracy"),
            ("valid_0's binary_logloss", "val_loss"),
            ("Acc@1", "train_accuracy"),
            ("metrics/accuracy_top1", "train_accuracy"),
            ("accuracy_top-1", "train_accuracy"),
            ("验证损失", "val_loss"),
            ("训练准确率", "train_accuracy"),
            ("Pérdida de validación", "val_loss"),
        ];
        for (name, meant) in known {
            assert_eq!(metric(name), Some(meant), "{name}");
        }
    }

    #[test]
    fn a_name_with_an_unknown_word_is_not_guessed() {
        for name in [
            "generator_loss",
            "evaluation_loss_vs_iterations",
            "val_f1",
            "time",
            "loss_ratio",
            "val",
            "",
            "acc@5",
            "top5",
            "accuracy_top-5",
            "kl loss",
        ] {
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
