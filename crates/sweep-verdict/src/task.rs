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

/// Words in names of metrics, parameters, and programs that only one task has.
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
            "tokens",
            "vocab",
            "tokenizer",
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

/// A text of more words than this is prose or code, in which any word may occur, …
const PROSE: usize = 300;
/// … so this many different words must name the task.
const LEAST_IN_PROSE: usize = 2;

impl Task {
    /// Recognizes the task by the names of metrics, parameters, columns, or a program: the one with the most words. It is
    /// unknown if another one has at least half as many, because neutral advice is better than advice on other data.
    pub fn of_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Task {
        // In any other case, it is the word for applying a function.
        let names: Vec<String> = names.into_iter().map(|name| name.replace("mAP", "map50 ").to_lowercase()).collect();
        let words = || {
            let apart = |c: char| !c.is_alphanumeric();
            names.iter().flat_map(move |name| name.split(apart).chain(name.split_whitespace()))
        };
        // The number of different words, since a text may repeat one of them.
        let count = |known: &[&str]| known.iter().filter(|known| words().any(|word| word == **known)).count();
        let counts: Vec<(usize, Task)> = WORDS.iter().map(|(task, known)| (count(known), *task)).collect();
        let least = if words().nth(PROSE).is_some() { LEAST_IN_PROSE } else { 1 };
        // Of equal counts, `max_by_key` takes the last one.
        let found = counts.iter().rev().max_by_key(|(count, _)| *count).filter(|(count, _)| *count >= least);
        let (most, task) = found.copied().unwrap_or_default();
        let contradicts = |(count, other): &(usize, Task)| 2 * count >= most && !task.is_like(*other);
        if counts.iter().any(contradicts) { Task::Unknown } else { task }
    }

    /// Whether two tasks have the same inputs, so that words of both are no contradiction.
    fn is_like(self, other: Task) -> bool {
        let inputs = |task| match task {
            Task::LanguageModel => Task::Text,
            Task::Detection => Task::Images,
            task => task,
        };
        inputs(self) == inputs(other)
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
        assert_eq!(of(&["gpt2 tokenizer"]), Task::LanguageModel);
        assert_eq!(of(&["python", "train.py", "lr", "val_accuracy"]), Task::Unknown);
        assert_eq!(of(&["an image of the tokens"]), Task::Unknown, "either may be the task");
        assert_eq!(of(&[&("one image among many words ".to_owned() + &"and ".repeat(400))]), Task::Unknown);
        for name in Task::names() {
            assert_eq!(name.parse::<Task>().map(|task| task.to_string()), Ok(name.to_owned()));
        }
        assert!("image".parse::<Task>().is_err());
    }
}
