//! What only some tools do: names that mean something beside others, and trainings whose losses no rule can judge.

use std::borrow::Cow;

use super::Problem;
use super::gather::{Points, Values, note};
use super::names::{self, meaning, names_part};

/// Rewrites names that mean something only together. XGBoost numbers the sets that it was given, and the first one is
/// usually the training set. Ultralytics records parts of a loss, and mAP as the score.
pub fn rewrite<'a>(values: &'a Values, notes: &mut Vec<String>) -> Cow<'a, Values> {
    let numbered = |number: u32| values.keys().filter(move |name| name.starts_with(&format!("validation_{number}-")));
    if numbered(0).next().is_some() && numbered(1).next().is_some() {
        note(notes, "validation_0 was taken for the training set and validation_1 for the validation set");
        let renamed = values.iter().map(|(name, points)| {
            let name =
                name.strip_prefix("validation_0-").map_or_else(|| name.clone(), |metric| format!("train-{metric}"));
            (name, points.clone())
        });
        return Cow::Owned(renamed.collect());
    }
    let parts = |of: &str| -> Vec<&String> {
        values.keys().filter(|name| name.starts_with(&format!("{of}/")) && name.ends_with("_loss")).collect()
    };
    let (train, val) = (parts("train"), parts("val"));
    let unknown = |names: &[&String]| names.len() > 1 && names.iter().all(|name| meaning(name).is_none());
    if !unknown(&train) {
        return Cow::Borrowed(values);
    }
    let mut rewritten = values.clone();
    let mut add = |name: &str, parts: &[&String]| {
        let sum = parts.iter().filter_map(|part| rewritten.remove(*part)).reduce(sum);
        rewritten.extend(sum.map(|sum| (name.to_owned(), sum)));
    };
    add("train_loss", &train);
    add("val_loss", &val);
    let score = ["metrics/mAP50-95(B)", "metrics/mAP50-95(M)", "metrics/mAP_0.5:0.95"];
    let score = score.into_iter().find_map(|name| rewritten.remove(name).map(|points| (name, points)));
    note(notes, "the losses are sums of their parts (such as train/box_loss)");
    if let Some((name, points)) = score {
        note(notes, format!("{name} is shown as the accuracy"));
        rewritten.insert("val_accuracy".to_owned(), points);
    }
    Cow::Owned(rewritten)
}

fn sum(one: Points, other: Points) -> Points {
    one.into_iter().zip(other).map(|((place, a), (_, b))| (place, a + b)).collect()
}

/// Whether the losses are those of a generator and a discriminator.
pub fn is_adversarial(names: &[&str]) -> bool {
    let has = |short: &str, long: [&str; 2]| {
        names.iter().any(|name| {
            let words: Vec<String> = names::words(name);
            let is_loss = words.iter().any(|word| word == "loss" || word == "losses");
            is_loss && words.iter().any(|word| word == short || long.iter().any(|long| word.starts_with(long)))
        })
    };
    has("d", ["disc", "critic"]) && has("g", ["gen", "generator"])
}

/// The problem with a GAN's losses.
pub fn adversarial() -> Problem {
    Problem::new(
        "the losses are those of a generator and a discriminator. Each depends on the other, so neither shows whether \
         the training improves, and there is no verdict",
    )
    .hint(
        "record a score of the samples, such as FID, and judge by it; to judge one of the losses anyway, use --columns",
    )
}

/// An example for `--columns` with names that the file has.
pub fn example(names: &[&str]) -> String {
    let has = |name: &str, word: &str| name.to_lowercase().contains(word);
    let of_validation = |name: &&&str| names_part(name).is_some_and(names::is_validation);
    let losses = || names.iter().filter(|name| has(name, "loss"));
    let validation = losses().find(of_validation);
    let found = validation.map(|name| format!("val_loss={name}"));
    let found = found.or_else(|| losses().next().map(|name| format!("train_loss={name}")));
    let found = found.or_else(|| {
        let name = names.iter().find(|name| has(name, "acc"))?;
        let of = if names_part(name).is_some_and(names::is_validation) { "val" } else { "train" };
        Some(format!("{of}_accuracy={name}"))
    });
    let example = found.unwrap_or_else(|| format!("val_loss={}", names[0]));
    if example.contains(' ') { format!("\"{example}\"") } else { example }
}
