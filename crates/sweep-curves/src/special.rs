//! What only some tools do: names that mean something beside others, and files that no rule can judge.

mod conversion;
mod refused;
mod scores;
mod sets;
mod source;

use std::borrow::Cow;

use super::Source;
use super::gather::{Points, Values, listed, note};
use super::names::{self, Choice, Target, meaning, names_part};
use super::rows::Place;
pub use conversion::stands_for;
pub use refused::{
    headerless, is_trial, lists_trials, nothing_known, results, single_value, trials, unjudgeable, unjudgeable_text,
};
pub use scores::{is_score_of_training, shown_score};
pub use sets::{GUESSED, are_both_sets, quantity_of, rise};
pub use source::{end_of_source, of_program};
use sweep_core::trial::METRICS;

/// Words of losses that are a part of another one or a rival's, or of their weights.
const PARTS: &str = "weight weights coef coeff lambda aux kl kld reg regularization commit adv gen generator disc discriminator \
    dis style content perceptual";
/// Scores of a validation set by their names in lower case, the most telling first.
const SCORES: [&[&str]; 9] = [
    &["map", "map50_95", "map5095", "ap"],
    &["miou", "iou", "iu", "meaniou", "meaniu"],
    &["dice"],
    &["f1", "f1score"],
    &["auc", "auroc", "rocauc"],
    &["ssim"],
    &["bleu", "sacrebleu"],
    &["rouge1", "rougel"],
    &["r2"],
];
/// Those that are measured on the training set as often.
const OF_EITHER: std::ops::RangeInclusive<usize> = 1..=5;
/// Number of values from which on an accuracy of an output is a curve beside longer ones.
const FEW: usize = 4;
/// An accuracy without a set that has this many times fewer values than the loss is no training accuracy.
pub const RARE: usize = 4;
/// spaCy's score, the weighted mean of the others.
const SPACY: &str = "SCORE";

/// Rewrites names that mean something only together, or by a conversion. XGBoost numbers the sets that it was given, and
/// the first one is usually the training set. Ultralytics records parts of a loss. Columns that the user named stay.
pub fn rewrite<'a>(values: &'a Values, choices: &[Choice], notes: &mut Vec<String>) -> Cow<'a, Values> {
    let mut values = Cow::Borrowed(values);
    let is_free = |name: &str| !choices.iter().any(|choice| choice.column == name);
    if choices.is_empty() {
        refused::without_rivals(&mut values, notes);
        refused::beside_rewards(&values, notes);
    }
    numbered_sets(&mut values, notes);
    sets::bare_sets(&mut values, &is_free, notes);
    scores_of_catboost(&mut values, notes);
    sums(&mut values, &is_free, notes);
    conversion::conversions(&mut values, &is_free, notes);
    only_losses(&mut values, choices, notes);
    scores::score_for_accuracy(&mut values, &is_free, notes);
    scores::accuracy_of_output(&mut values, &is_free, notes);
    values
}

/// Whether a metric was measured. Beside series, a single value is a result.
fn has(values: &Values, metric: &str) -> bool {
    let at = METRICS.iter().position(|known| *known == metric);
    let is_it = |name: &str| matches!(meaning(name), Some((Target::Metric(found), _)) if Some(found) == at);
    values.iter().any(|(name, points)| points.len() >= least(values) && is_it(name))
}

/// The number of values from which on a metric is measured. Beside a series of another one, a single value is a result.
fn least(values: &Values) -> usize {
    const SERIES: usize = 3;
    if values.iter().any(|(name, points)| points.len() >= SERIES && is_metric(name)) { 2 } else { 1 }
}

fn numbered_sets(values: &mut Cow<Values>, notes: &mut Vec<String>) {
    let numbered = |number: u32| {
        let start = format!("validation_{number}-");
        values.keys().any(|name| name.starts_with(&start))
    };
    if !numbered(0) || !numbered(1) {
        return;
    }
    note(notes, "validation_0 was read as training and validation_1 as validation");
    let renamed = std::mem::take(values.to_mut()).into_iter().map(|(name, points)| {
        let train = name.strip_prefix("validation_0-").map(|metric| format!("train-{metric}"));
        (train.unwrap_or(name), points)
    });
    *values = Cow::Owned(renamed.collect());
}

/// CatBoost prints the number of the best round beside values that it does not name. If the best value rises from round to
/// round, the values are scores.
fn scores_of_catboost(values: &mut Cow<Values>, notes: &mut Vec<String>) {
    let (Some(tested), Some(best)) = (values.get("test loss"), values.get("best")) else { return };
    let is_best = |((place, _), (_, best)): &(&(Place, f64), &(Place, f64))| place.epoch == Some(*best);
    let bests: Vec<f64> = tested.iter().zip(best).filter(is_best).map(|((_, value), _)| *value).collect();
    if tested.len() != best.len() || bests.len() < 3 || !bests.windows(2).all(|pair| pair[1] > pair[0]) {
        return;
    }
    note(
        notes,
        "the best value of CatBoost's rounds rises, so learn and test were read as scores and are shown as accuracies",
    );
    for (loss, accuracy) in [("test loss", "test accuracy"), ("learn loss", "train accuracy")] {
        let points = values.to_mut().remove(loss);
        values.to_mut().extend(points.map(|points| (accuracy.to_owned(), points)));
    }
}

fn sums(values: &mut Cow<Values>, is_free: &impl Fn(&str) -> bool, notes: &mut Vec<String>) {
    let parts = |of: &str| -> Vec<String> {
        let of = format!("{of}/");
        let part = values.keys().filter(|name| name.starts_with(&of) && name.ends_with("_loss") && is_free(name));
        part.cloned().collect()
    };
    let (train, val) = (parts("train"), parts("val"));
    if train.len() < 2 || train.iter().any(|name| meaning(name).is_some()) {
        return;
    }
    for (name, parts) in [("train_loss", &train), ("val_loss", &val)] {
        let sum = parts.iter().filter_map(|part| values.to_mut().remove(part)).reduce(sum);
        values.to_mut().extend(sum.map(|sum| (name.to_owned(), sum)));
    }
    note(notes, format!("the losses are sums of their parts (such as {})", train[0]));
    let score = values.keys().filter(|name| is_free(name)).filter_map(|name| Some((score(name)?, name.clone()))).min();
    if let Some((_, name)) = score {
        scores::use_score(values, &name, notes);
    }
}

fn sum(one: Points, other: Points) -> Points {
    one.into_iter().zip(other).map(|((place, a), (_, b))| (place, a + b)).collect()
}

/// If a set has no loss by a known name, but one with unknown words, it is that one: `dice_loss`. If nothing else was
/// measured, one of several is taken.
fn only_losses(values: &mut Cow<Values>, choices: &[Choice], notes: &mut Vec<String>) {
    let is_free = |name: &str| !choices.iter().any(|choice| choice.column == name);
    let is_chosen = |metric: &str| choices.iter().any(|choice| choice.target.name() == metric);
    let mut of_training = None;
    // Times and counts only rise.
    let is_series = |points: &Points| {
        points.iter().any(|(_, value)| value.fract() != 0.0) && points.windows(2).any(|pair| pair[1].1 < pair[0].1)
    };
    let losses = [("train_loss", "training", false), ("val_loss", "validation", true)];
    for (metric, of, validation) in losses.into_iter().filter(|(metric, ..)| !is_chosen(metric)) {
        let fits = |name: &&String| {
            let words = names::words(name);
            (words.iter().any(|word| word == "loss" || word == "losses") || is_total(name) && is_series(&values[*name]))
                && !words.iter().any(|word| PARTS.split(' ').any(|known| known == word))
                && names_part(name).is_some_and(names::is_validation) == validation
                && meaning(name).is_none()
                && !names::is_ignorable(name)
                && is_free(name)
                && values[*name].len() > 1
        };
        let found: Vec<&String> = values.keys().filter(fits).collect();
        let is_only = METRICS.iter().all(|metric| !has(values, metric));
        let taken = match found[..] {
            [name] if !has(values, metric) => name,
            [_, _, ..]
                if is_only || !has(values, metric) && found.iter().filter(|name| says_all(name)).count() == 1 =>
            {
                most_general(&found, values)
            }
            // That of the model, or of the part, whose training loss was taken.
            [_, _, ..] if !has(values, metric) && of_training.is_some() => {
                match found.iter().find(|name| Some(bare(name)) == of_training) {
                    Some(name) => name,
                    None => continue,
                }
            }
            _ => continue,
        };
        of_training = Some(bare(taken));
        let others: Vec<&str> = found.iter().filter(|name| **name != taken).map(|name| name.as_str()).collect();
        let beside = if others.is_empty() { String::new() } else { format!(", not {}", listed(&others)) };
        note(notes, format!("{taken} was read as the {of} loss{beside}"));
        let taken = taken.clone();
        let points = values.to_mut().remove(&taken).unwrap_or_default();
        values.to_mut().insert(metric.to_owned(), points);
    }
}

/// Whether a name says that its values are of everything.
fn says_all(name: &str) -> bool {
    const WORDS: [&str; 7] = ["total", "overall", "sum", "avg", "average", "mean", "all"];
    names::words(name).iter().any(|word| WORDS.contains(&word.as_str()))
}

/// Whether a name is that of a loss without the word: `total`, `train objective`.
pub fn is_total(name: &str) -> bool {
    const WORDS: [&str; 3] = ["total", "objective", "criterion"];
    let words = names::words(name);
    let is_named = |word: &String| WORDS.contains(&word.as_str());
    words.iter().any(is_named) && words.iter().all(|word| is_named(word) || names_part(word).is_some())
}

/// The loss that the others are likely parts of: its name says so, or it is the largest of those with the most values.
fn most_general<'a>(names: &[&'a String], values: &Values) -> &'a String {
    let rank = |name: &&'a String| {
        let says = says_all(name);
        let points = &values[*name];
        let finite: Vec<f64> = points.iter().map(|(_, value)| *value).filter(|value| value.is_finite()).collect();
        (says, points.len(), finite.iter().sum::<f64>() / finite.len().max(1) as f64)
    };
    let least = |one: &&&'a String, other: &&&'a String| {
        let ((one_says, one_points, one_mean), (says, points, mean)) = (rank(one), rank(other));
        (one_says, one_points).cmp(&(says, points)).then(one_mean.total_cmp(&mean))
    };
    names.iter().max_by(least).expect("there are several")
}

/// The rank of a name among the scores of a validation set, the most telling first. `None` if it is none.
pub fn score(name: &str) -> Option<usize> {
    *names::known(name).score.get_or_init(|| rank(name))
}

fn rank(name: &str) -> Option<usize> {
    // The first of COCO's twelve scores, as DETR and its kin write them.
    if name.ends_with("coco_eval_bbox[0]") {
        return Some(0);
    }
    if name == SPACY {
        return Some(SCORES.len());
    }
    // A constant of a configuration: `D_KERNEL_MAP=512`.
    if name.matches('_').count() > 1 && name == name.to_uppercase() {
        return None;
    }
    let words = names::words(name);
    let is_other = |word: &String| ["loss", "best", "max", "threshold", "thresh", "thr"].contains(&word.as_str());
    if names_part(name).is_some_and(|part| !names::is_validation(part)) || words.iter().any(is_other) {
        return None;
    }
    let name =
        name.to_lowercase().replace("map50-95", "map50_95").replace("map@.5:.95", "map").replace("0.5:0.95", "95");
    let name = name.replace("mean average precision", "map");
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric() && c != '_').flat_map(halves).collect();
    let at = words.iter().rposition(|word| SCORES.iter().any(|known| known.contains(word)))?;
    // `mAP_50` and `mAP_s` are other scores.
    let apart = |word: &&str| word.parse::<u32>().is_ok_and(|number| number != 95) || ["s", "m", "l"].contains(word);
    if ["map", "ap"].contains(&words[at]) && words[at + 1..].iter().any(apart) {
        return None;
    }
    SCORES.iter().position(|known| known.contains(&words[at]))
}

fn halves(word: &str) -> Vec<&str> {
    if word.contains("map50_95") { vec!["map50_95"] } else { word.split('_').collect() }
}

/// Whether a name is that of a column of a data set, beside which a loss is that of single examples or tokens.
pub fn is_of_example(name: &str) -> bool {
    const NAMES: [&str; 6] =
        ["input_ids", "attention_mask", "token_type_ids", "pixel_values", "input_values", "input_features"];
    NAMES.contains(&name)
}

/// Whether a name is that of a metric, or of something that stands for one.
pub fn is_metric(name: &str) -> bool {
    let is_known = || matches!(meaning(name).or_else(|| stands_for(name)), Some((Target::Metric(_), _)));
    *names::known(name).is_metric.get_or_init(|| is_known() || score(name).is_some())
}

/// Whether numbers under a name are those of a measurement, and no times or counts.
pub fn is_measured(name: &str) -> bool {
    *names::known(name).is_measured.get_or_init(|| !names::is_ignorable(name) && is_measure(name))
}

/// The words of a name besides that of its set.
fn bare(name: &str) -> Vec<String> {
    let is_kept = |word: &&String| names_part(word).is_none() && word.contains(char::is_alphabetic);
    names::words(name).iter().filter(is_kept).cloned().collect()
}

/// What to write for `--columns` if one of these names may be the validation metric. Parts of the training loss are none.
pub(crate) fn may_be_validation(names: &[String], has_train_loss: bool) -> Option<String> {
    let of_training = |name: &str| {
        let part = names_part(name);
        let has_loss = has_train_loss && name.to_lowercase().contains("loss") && part.is_none();
        part.is_some_and(|part| !names::is_validation(part)) || has_loss
    };
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !of_training(name)).collect();
    let best = names.iter().filter_map(|name| Some((score(name)?, *name))).min();
    let named = |name: &&str| names_part(name).is_some_and(names::is_validation);
    if let Some((_, name)) = best.filter(|_| !names.iter().any(named)) {
        return Some(quoted(format!("val_accuracy={name}")));
    }
    (!names.is_empty()).then(|| example(&names).replacen("train_", "val_", 1))
}

fn quoted(choice: String) -> String {
    if choice.contains(' ') { format!("\"{choice}\"") } else { choice }
}

/// A file of MLflow's with the values of one metric, `TIMESTAMP VALUE STEP` in each line, as a table. `None` if it is none.
pub fn mlflow(metric: &str, source: &Source) -> Option<Source> {
    let text = std::str::from_utf8(&source.bytes).ok()?;
    let mut table = format!("{metric},step\n");
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [time, value, step] = fields[..] else { return None };
        time.parse::<u64>().ok()?;
        table += &format!("{value},{step}\n");
    }
    Some(Source { bytes: table.into_bytes(), ..source.clone() })
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
        let of = if names_part(name).is_none_or(names::is_validation) { "val" } else { "train" };
        Some(format!("{of}_accuracy={name}"))
    });
    let found = found.or_else(|| {
        let score = names.iter().filter_map(|name| Some((score(name)?, *name))).min().map(|(_, name)| name);
        let name = score.or_else(|| names.iter().copied().find(|name| is_better_high(name)))?;
        let of = if names_part(name).is_none_or(names::is_validation) { "val" } else { "train" };
        Some(format!("{of}_accuracy={name}"))
    });
    let plausible = names.iter().find(|name| is_measure(name) || of_validation(name));
    quoted(found.unwrap_or_else(|| format!("val_loss={}", plausible.unwrap_or(&"NAME"))))
}

/// The place of a name in a list of names that may be shortened: scores come first, the most telling ones before others and
/// those of validation before those of training, and names that say nothing come last.
pub fn importance(name: &str) -> (bool, bool, bool, usize) {
    let of_validation = names_part(name).is_some_and(names::is_validation);
    let is_score = score(name).is_some() || is_better_high(name) || names::quantity(name) == Some("accuracy");
    (!is_measured(name), !is_score, !of_validation, score(name).unwrap_or(SCORES.len()))
}

/// Whether a name says that its values are those of a validation set, or a score of one.
pub fn may_validate(name: &str) -> bool {
    names_part(name).is_some_and(names::is_validation) || is_better_high(name)
}

/// Whether a name says that a quality was measured.
pub fn is_measure(name: &str) -> bool {
    const WORDS: [&str; 12] =
        ["loss", "acc", "err", "wer", "cer", "psnr", "ssim", "bleu", "rouge", "ppl", "perplexity", "corr"];
    let word = |word: &String| WORDS.iter().any(|known| word.starts_with(known));
    // The rate of wrong phonemes.
    let is_per = || names::words(name).last().is_some_and(|word| word == "per");
    is_metric(name) || is_better_high(name) || is_per() || names::words(name).iter().any(word)
}

/// Whether more of what a name says is better, so that it can stand for an accuracy and never for a loss.
pub fn is_better_high(name: &str) -> bool {
    const WORDS: &str = "map ap ar iou miou dice f auc auroc precision recall score correct percent psnr ssim bleu rouge \
        meteor cider mrr ndcg hits mcc kappa nmi ari";
    let is_known = |word: &str| WORDS.split(' ').any(|known| known == word);
    // `f1` is a score, and `f` alone may be anything.
    let bare = |word: &String| word != "f" && is_known(word.trim_end_matches(|letter: char| letter.is_ascii_digit()));
    // `P@1`, `Hits@10`.
    let is_accuracy = names::quantity(name) == Some("accuracy");
    let has_rank = || name.split_once('@').is_some_and(|(_, rank)| rank.starts_with(|c: char| c.is_ascii_digit()));
    !is_accuracy && has_rank() || names::words(name).iter().any(bare)
}
