//! Files that are no curve, or whose losses no rule can judge, by their names and words.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::Problem;
use crate::cells::number;
use crate::gather::{Points, Values, listed, note};
use crate::names::{self, Target, meaning};

/// What to do where no curve was found.
const PRINT: &str = "print the loss of each epoch with its number: `epoch 3: train_loss 0.53, val_loss 0.61`";
/// Words in the names of rewards.
const REWARDS: [&str; 5] = ["reward", "rewards", "rew", "episode_return", "ep_rew_mean"];

/// Why curves under these names cannot be judged, if they cannot.
pub fn unjudgeable(names: &[&str]) -> Option<Problem> {
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
    ((has_returns || names.iter().any(|name| is_reward(name))) && !validated).then(rewarded)
}

/// Whether a validation set is judged by a name: by a metric, or by a score such as `val_psnr`.
fn is_validation_metric(name: &str) -> bool {
    let of_validation = || names::names_part(name).is_some_and(names::is_validation);
    matches!(meaning(name), Some((Target::Metric(4 | 5), _)))
        || of_validation() && (super::is_metric(name) || super::is_better_high(name))
}

/// Says that the loss beside rewards may be none to judge by.
pub fn beside_rewards(values: &Values, notes: &mut Vec<String>) {
    let plain = |name: &String| matches!(meaning(name), Some((Target::Metric(4 | 5), _)));
    if values.keys().any(|name| is_reward(name)) && !values.keys().any(plain) {
        note(notes, "rewards are recorded, too; if an agent is trained, its loss does not show whether it gets better");
    }
}

fn is_reward(name: &str) -> bool {
    names::words(name).iter().any(|word| REWARDS.contains(&word.as_str()))
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

/// Names of the losses of a discriminator, and of a generator.
static RIVALS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [("d|dis|disc[a-z]*|critic[a-z]*", "discriminator"), ("g|gen[a-z]*", "generator")].map(|(side, alone)| {
        let before = format!("(?:loss(?:es)?|err)[ _./-]?(?:{side})|l_(?:{side})");
        let behind = "[ _./-]?(?:[a-z]+[ _./-])?loss|_(?:a|b|gan|adv|real|fake|l1|vgg)";
        let names = format!(r"(?:{before}|(?:{side})(?:{behind}))(?:\b|_)|{alone}\s*(?:[:=]|$)");
        Regex::new(&format!(r"(?im)(?:\b|_)(?:{names})")).expect("it is an expression")
    })
});

/// Why a text without any curve cannot be judged, if its words tell.
pub fn unjudgeable_text(text: &str) -> Option<Problem> {
    const REWARD: &str = r#"(?i)\b(ep_rew_mean|(\w+_)?rewards?(_mean|_max|_min)?|episode_return)\b[\s"':=|]*-?\d"#;
    match () {
        () if RIVALS.iter().all(|expression| expression.is_match(text)) => Some(adversarial()),
        () if Regex::new(REWARD).is_ok_and(|expression| expression.is_match(text)) => Some(rewarded()),
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

/// Whether a text lists the results of trials, as tuners print them. Ray Tune prints the state of its trials again and again:
/// that of a single one is no list.
pub fn lists_trials(text: &str) -> bool {
    let name = |line: &'_ str| Some(line.trim().strip_prefix('|')?.split('|').next()?.trim().to_owned());
    let mut lines = text.split(['\n', '\r']).filter(|line| is_trial(line));
    let Some(first) = lines.next() else { return false };
    let mut rest = lines.peekable();
    rest.peek().is_some() && (name(first).is_none() || rest.any(|line| name(line) != name(first)))
}

/// The problem with a list of trials.
pub fn trials() -> Problem {
    Problem::new("it lists the results of trials, one number each. That is not a curve, so there is no verdict")
        .hint("give the log of one training run, with one line per epoch")
}

/// The problem with the results of several trainings. `epochs` says that none was found.
pub fn results(epochs: &str) -> Problem {
    Problem::new(format!(
        "{epochs}, and each score has a heading of its own, so these are results of several training runs, not a curve"
    ))
    .hint("if each score is of an epoch, print its number with it: `epoch 3: val_accuracy 0.81`")
}

/// The problem of numbers under no known name. `line` is the beginning of a line that comes several times and has a metric.
pub fn nothing_known(names: &[&str], line: Option<&str>) -> Problem {
    let problem = Problem::new("no loss and no accuracy was found (loss, accuracy, val_loss, val_accuracy)");
    let names: Vec<&str> =
        names.iter().copied().filter(|name| !names::is_ignorable(name) && meaning(name).is_none()).collect();
    if names.is_empty() {
        let not_understood = line.map(|line| format!("lines such as {line:?} were not understood; "));
        return problem.hint(not_understood.unwrap_or_default() + PRINT);
    }
    let (listed, example) = (listed(&names), super::example(&names));
    problem.hint(format!("it has numbers named {listed}; say what they are, for example with --columns {example}"))
}

/// The problem with curves of one number each. `line` is the beginning of a line that comes several times and has a metric.
pub fn single_value(curves: usize, line: Option<&str>) -> Problem {
    let of_parts = if curves > 1 { " in any part of it" } else { "" };
    let what = match line {
        Some(line) => format!("lines such as {line:?} were not understood as the epochs of a curve"),
        None => format!("no loss and no accuracy has more than one value{of_parts}, and a curve needs several"),
    };
    Problem::new(what).hint(PRINT)
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
    let is_rival =
        |word: &String| word == "d" || word == "dis" || word.starts_with("disc") || word.starts_with("critic");
    names::quantity(name) == Some("loss") && words.iter().any(is_rival)
}

/// Whether the losses are those of a generator and a discriminator.
fn is_adversarial(names: &[&str]) -> bool {
    let names = names.iter().map(|name| names::words(name).join("_")).collect::<Vec<_>>().join("\n");
    RIVALS.iter().all(|expression| expression.is_match(&names))
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

/// The problem of a text that has columns of numbers alone and no header.
pub fn headerless(file: &str, text: &str) -> Option<Problem> {
    const FEW: usize = 3;
    let cells = |line: &str| -> Option<usize> {
        let cells = line.split([',', ';', '\t', ' ']).filter(|cell| !cell.is_empty());
        cells.map(|cell| number(cell, false)).collect::<Option<Vec<_>>>().map(|numbers| numbers.len())
    };
    let rows: Vec<usize> = text.lines().take(1000).map(cells).collect::<Option<_>>()?;
    let columns = *rows.first().filter(|first| **first > 1 && rows.iter().all(|row| row == *first))?;
    let separator = [",", ";", "\t"].into_iter().find(|separator| text.contains(separator)).unwrap_or(" ");
    let names = ["epoch", "train_loss", "val_loss"].map(str::to_owned).into_iter();
    let names: Vec<String> = names.chain((4..).map(|at| format!("column{at}"))).take(columns).collect();
    let problem = Problem::new(format!("no header names its {columns} columns of numbers"));
    (rows.len() >= FEW).then(|| {
        problem.hint(format!(
            "write their names above them and read the new file, for example `(printf '{}\\n'; cat {}) > named.csv`",
            names.join(separator).replace('\t', "\\t"),
            sweep_core::command_line::argument(file)
        ))
    })
}
