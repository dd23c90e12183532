//! Files that are no curve, or whose losses no rule can judge, by their names and words.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::Problem;
use crate::gather::{Points, Values, note};
use crate::names::{self, Target, meaning};

/// Words in the names of rewards.
const REWARDS: [&str; 5] = ["reward", "rewards", "rew", "episode_return", "ep_rew_mean"];

/// Why curves under these names cannot be judged, if they cannot.
pub fn unjudgeable(names: &[&str]) -> Option<Problem> {
    let is_reward = |name: &&str| names::words(name).iter().any(|word| REWARDS.contains(&word.as_str()));
    let validated = names.iter().any(|name| is_validation_metric(name));
    if is_adversarial(names) && !validated {
        return Some(adversarial());
    }
    // `episode=7 return=1.5`.
    let has_returns = ["episode", "return"].iter().all(|name| names.contains(name));
    // `Episode 100  Average Score: 12.5  Epsilon: 0.6`.
    let has_returns = has_returns
        || ["epsilon", "score"]
            .iter()
            .all(|word| names.iter().any(|name| names::words(name).iter().any(|own| own == word)));
    ((has_returns || names.iter().any(is_reward)) && !validated).then(rewarded)
}

fn is_validation_metric(name: &str) -> bool {
    matches!(meaning(name), Some((Target::Metric(4 | 5), _)))
}

/// Keeps the validation set of rivals alone: the losses of both sides say nothing about the samples.
pub fn without_rivals(values: &mut Cow<Values>, notes: &mut Vec<String>) {
    let names: Vec<String> = values.keys().cloned().collect();
    let plain: Vec<&str> = names.iter().map(String::as_str).collect();
    if !is_adversarial(&plain) || !names.iter().any(|name| is_validation_metric(name)) {
        return;
    }
    let of_validation = |name: &str| names::names_part(name).is_some_and(names::is_validation);
    // The same values under another name: the `loss_0` of the first optimizer.
    let of_discriminator: Vec<_> =
        values.iter().filter(|(name, points)| points.len() > 1 && is_of_discriminator(name)).collect();
    let is_rival =
        |name: &str, points: &Points| of_discriminator.iter().any(|(rival, own)| *rival == name || *own == points);
    let kept = values.iter().filter(|(name, points)| {
        !is_rival(name, points) && of_validation(name) || names::quantity(name) != Some("loss")
    });
    *values = Cow::Owned(kept.map(|(name, points)| (name.clone(), points.clone())).collect());
    note(
        notes,
        "the losses of a generator and a discriminator depend on each other, so they were left out, and the validation set \
         alone was read",
    );
}

/// Why a text without any curve cannot be judged, if its words tell.
pub fn unjudgeable_text(text: &str) -> Option<Problem> {
    const RIVALS: [&str; 2] = [
        r"(?i)\b(loss[ _]?d|d[ _]?loss|d_a|loss_disc\w*|disc\w*[ _]loss|critic[ _]loss)\b",
        r"(?i)\b(loss[ _]?g|g[ _]?loss|g_a|loss_gen\w*|gen\w*[ _]loss)\b",
    ];
    let finds = |expression: &str| regex::Regex::new(expression).is_ok_and(|expression| expression.is_match(text));
    match () {
        () if RIVALS.iter().all(|expression| finds(expression)) => Some(adversarial()),
        () if finds(r#"(?i)\b(ep_rew_mean|rewards?|episode_return)\b[\s"':=|]*-?\d"#) => Some(rewarded()),
        () if lists_trials(text) => Some(trials()),
        () => None,
    }
}

/// Lines of tuners about a trial: Keras Tuner, Optuna, FLAML, Hyperopt, TPOT, scikit-learn's searches, scikit-optimize,
/// AutoGluon, and Ray Tune.
static TRIAL: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)\btrial \d+.* (?:complete \[|finished with value|pruned|failed with)|",
        r"\bcurrent learner \w|\bbest (?:estimator )?\w+'s (?:best )?error=|",
        r"\d ?(?:trial/s|s/trial)\b|",
        r"^generation \d+ - current best|",
        r"^\[cv[ \d/;]*\].*\bscore=|",
        r"^iteration no: \d|^function value obtained:|^current minimum:|",
        r"^fitting model: |= validation score |",
        r"\|\s*(?:terminated|running|pending)\s*\|",
    ))
    .expect("it is an expression")
});

/// Whether a line tells of a trial of a tuner.
pub fn is_trial(line: &str) -> bool {
    TRIAL.is_match(line.trim_start())
}

/// Whether a text lists the results of trials, as tuners print them.
pub fn lists_trials(text: &str) -> bool {
    text.split(['\n', '\r']).filter(|line| is_trial(line)).count() > 1
}

/// The problem with a list of trials.
pub fn trials() -> Problem {
    Problem::new("it lists the results of trials, one number each. That is not a curve, so there is no verdict")
        .hint("give the log of one training run, with one line per epoch")
}

/// The problem with the results of several trainings.
pub fn results() -> Problem {
    Problem::new(
        "no line names an epoch, and each score has a heading of its own, so these are results of several training \
         runs, not a curve",
    )
    .hint("if each score is of an epoch, print its number with it: `epoch 3: val_accuracy 0.81`")
}

/// The problem with a file that has one number.
pub fn single_value() -> Problem {
    Problem::new("no loss and no accuracy has more than one value, and a curve needs several")
        .hint("print the loss of each epoch with its number: `epoch 3: train_loss 0.53, val_loss 0.61`")
}

fn rewarded() -> Problem {
    Problem::new(
        "it records rewards, so an agent is trained (reinforcement learning). Its losses do not show whether it gets better, \
         and there is no verdict",
    )
    .hint("judge by the reward; to judge one of the losses anyway, use --columns")
}

/// Whether a loss is that of a discriminator.
fn is_of_discriminator(name: &str) -> bool {
    let words = names::words(name);
    let is_rival = |word: &String| word == "d" || word.starts_with("disc") || word.starts_with("critic");
    names::quantity(name) == Some("loss") && words.iter().any(is_rival)
}

/// Whether the losses are those of a generator and a discriminator.
fn is_adversarial(names: &[&str]) -> bool {
    let has = |short: &str, long: [&str; 2]| {
        names.iter().any(|name| {
            let words = names::words(name);
            let is_loss = words.iter().any(|word| word == "loss" || word == "losses");
            is_loss && words.iter().any(|word| word == short || long.iter().any(|long| word.starts_with(long)))
        })
    };
    has("d", ["disc", "critic"]) && has("g", ["gen", "generator"])
}

/// The problem with a GAN's losses.
fn adversarial() -> Problem {
    Problem::new(
        "the losses are those of a generator and a discriminator. Each depends on the other, so neither shows whether \
         the training improves, and there is no verdict",
    )
    .hint(
        "record a score of the samples, such as FID, and judge by it; to judge one of the losses anyway, use --columns",
    )
}
