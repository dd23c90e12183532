//! What a network is trained for, as far as it is known. Advice that only makes sense for one kind of data is given only
//! where the data is known to be of that kind.

use std::fmt;
use std::str::FromStr;

/// The kind of data and goal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// Not known. Advice is neutral.
    #[default]
    Unknown,
    /// Images are classified.
    Images,
    /// Objects are found in images.
    Detection,
    /// Texts are classified or translated.
    Text,
    /// The next or a hidden token is predicted.
    LanguageModel,
    /// Speech or other sound.
    Audio,
    /// Rows of a table, for classification or regression, with networks or boosted trees.
    Tabular,
}

/// The names for users.
const NAMES: [(&str, Task); 6] = [
    ("images", Task::Images),
    ("detection", Task::Detection),
    ("text", Task::Text),
    ("language-model", Task::LanguageModel),
    ("audio", Task::Audio),
    ("tabular", Task::Tabular),
];

/// Words in names of metrics, parameters, and programs that only one task has. The task with the most matches wins, and of
/// several the first one, so the more special ones come first.
const WORDS: [(Task, &[&str]); 6] = [
    (
        Task::Detection,
        &["map50", "map50_95", "box_loss", "dfl_loss", "obj_loss", "yolo", "ultralytics", "detection", "iou"],
    ),
    (Task::Audio, &["wer", "cer", "audio", "speech", "mel", "wav2vec", "whisper", "spectrogram", "asr"]),
    (Task::LanguageModel, &["perplexity", "ppl", "gpt", "nanogpt", "gpt2", "llm", "llama", "bpb", "bpc", "mlm", "lm"]),
    (
        Task::Text,
        &[
            "bleu",
            "rouge",
            "bert",
            "distilbert",
            "roberta",
            "imdb",
            "sst2",
            "glue",
            "token",
            "tokens",
            "vocab",
            "tokenizer",
            "text",
            "nlp",
        ],
    ),
    (
        Task::Tabular,
        &[
            "rmse",
            "mape",
            "logloss",
            "mlogloss",
            "xgboost",
            "xgb",
            "lightgbm",
            "lgbm",
            "catboost",
            "tabular",
            "estimators",
            "leaves",
            "boosting",
            "housing",
            "titanic",
        ],
    ),
    (
        Task::Images,
        &[
            "image",
            "images",
            "img",
            "imagenet",
            "mnist",
            "cifar",
            "cifar10",
            "cifar100",
            "resnet",
            "resnet18",
            "resnet50",
            "vit",
            "crop",
            "flip",
            "top5",
            "torchvision",
            "cnn",
            "convnet",
        ],
    ),
];

impl Task {
    /// Recognizes the task by the names of metrics, parameters, columns, or a program.
    pub fn of_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Task {
        // In any other case, it is the word for applying a function.
        let names: Vec<String> = names.into_iter().map(|name| name.replace("mAP", "map50 ").to_lowercase()).collect();
        let words = || {
            let apart = |c: char| !c.is_alphanumeric();
            names.iter().flat_map(move |name| name.split(apart).chain(name.split_whitespace()))
        };
        let counts = WORDS.iter().map(|(task, known)| (words().filter(|word| known.contains(word)).count(), *task));
        // Of equal counts, `max_by_key` takes the last one.
        let found = counts.rev().filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count);
        found.map_or(Task::Unknown, |(_, task)| task)
    }

    /// Whether a training accuracy far from 100% shows that something is wrong. Tokens, boxes, and rows of tables often
    /// cannot be predicted with certainty.
    pub(super) fn can_be_fitted(self) -> bool {
        matches!(self, Task::Unknown | Task::Images | Task::Text | Task::Audio)
    }

    /// Whether the inputs are images.
    pub fn has_images(self) -> bool {
        matches!(self, Task::Images | Task::Detection)
    }

    /// The names that users may write.
    pub fn names() -> [&'static str; 6] {
        NAMES.map(|(name, _)| name)
    }
}

impl FromStr for Task {
    type Err = String;

    fn from_str(text: &str) -> Result<Task, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, task)| *task);
        found.ok_or_else(|| format!("{text} is not one of {}", Task::names().join(", ")))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(NAMES.iter().find(|(_, task)| task == self).map_or("unknown", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_known_by_the_words_of_its_metrics_and_programs() {
        let of = |names: &[&str]| Task::of_names(names.iter().copied());
        assert_eq!(of(&["metrics/mAP50-95(B)", "val/box_loss"]), Task::Detection);
        assert_eq!(of(&["eval_loss", "eval_wer"]), Task::Audio);
        assert_eq!(of(&["val/loss", "perplexity"]), Task::LanguageModel);
        assert_eq!(of(&["python", "finetune_bert.py", "learning_rate"]), Task::Text);
        assert_eq!(of(&["validation_0-rmse"]), Task::Tabular);
        assert_eq!(of(&["n_estimators", "max_depth"]), Task::Tabular);
        assert_eq!(of(&["CIFAR images of a convnet", "tokens"]), Task::Images);
        assert_eq!(of(&["python", "train.py", "lr", "val_accuracy"]), Task::Unknown);
        for name in Task::names() {
            assert_eq!(name.parse::<Task>().map(|task| task.to_string()), Ok(name.to_owned()));
        }
        assert!("image".parse::<Task>().is_err());
    }
}
