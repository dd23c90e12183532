//! What a line is besides its metrics: a header, a remark, or a part of a progress bar.

use super::{Line, Pair, is_epoch};
use crate::names::{self, is_bare_part, is_part, is_validation, meaning, names_part};
use crate::scan::Token;
use crate::special::is_metric;

/// Words of remarks on what was done, or on the best values so far.
const REMARKS: [&str; 14] = [
    "best",
    "saved",
    "saving",
    "save",
    "improved",
    "improving",
    "checkpoint",
    "model",
    "loaded",
    "loading",
    "resume",
    "resuming",
    "at",
    "from",
];
/// Words about an epoch that is over.
const ENDED: [&str; 9] = ["finish", "finished", "end", "ended", "done", "complete", "completed", "leave", "after"];

/// Words before those of a measurement that begins: `Start evaluating`.
const BEGINNING: [&str; 8] = ["start", "starting", "begin", "beginning", "run", "running", "now", "to"];
/// Words of a measurement that begins, and those that do not say so alone: `Validation data`.
const MEASURING: [&str; 5] = ["validating", "validate", "evaluating", "evaluate", "testing"];
const MEASUREMENTS: [&str; 2] = ["validation", "evaluation"];
/// Words of a sentence about what will be done, or will not be.
const PLANS: [&str; 8] = ["every", "each", "per", "will", "not", "no", "skip", "if"];

/// The set that a sentence says to be measured next: `Validating the model at the end of epoch 3 on the dev set...`. `None`
/// for a line with numbers under a name.
pub(crate) fn announced(line: &Line, tokens: &[Token]) -> Option<&'static str> {
    const LONGEST: usize = 14;
    let words: Vec<String> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    // `# Evaluate the model` is a comment of a program.
    let is_other = |token: &Token| matches!(token, Token::Number { decimal: true, .. } | Token::Mark('#'));
    let first = words.iter().position(|word| !BEGINNING.contains(&word.as_str()))?;
    let measures =
        MEASURING.contains(&words[first].as_str()) || first > 0 && MEASUREMENTS.contains(&words[first].as_str());
    let is_plan = || words.iter().any(|word| PLANS.contains(&word.as_str()));
    let is_sentence = line.pairs.is_empty() && !line.bar && !tokens.iter().any(is_other);
    (measures && is_sentence && words.len() <= LONGEST && !is_plan()).then(|| names_part(&words.join(" ")))?
}

impl Pair {
    /// A number under an unknown name as one of a set. `None` for that of the set alone.
    pub(super) fn of_set(self, part: &str) -> Option<Pair> {
        let name = if names_part(&self.name).is_some() { self.name } else { format!("{part} {}", self.name) };
        is_part(&name).is_none().then_some(Pair { name, ..self })
    }
}

/// Whether a line begins with the name of a validation set.
pub(super) fn is_of_set(tokens: &[Token], part: &str) -> bool {
    is_validation(part) && matches!(tokens.first(), Some(Token::Word(word)) if names_part(word) == Some(part))
}

/// Whether a word says that something has ended.
pub(super) fn is_end(word: &str) -> bool {
    ENDED.contains(&word.to_ascii_lowercase().as_str())
}

/// Whether a line says nothing but its epoch in a few words, and the set that it announces: `Epoch 1 Validation metrics:`,
/// `Meta epoch 3...`.
pub(super) fn only_epoch(line: &Line, tokens: &[Token]) -> Option<Option<&'static str>> {
    const LONGEST: usize = 2;
    let is_number = |token: &Token| matches!(token, Token::Number { .. } | Token::Fraction(..));
    let words_of = |tokens: &[Token<'_>]| -> Vec<String> {
        let words = tokens.iter().filter_map(|token| match token {
            Token::Word(word) if !is_epoch(word) => Some((*word).to_owned()),
            _ => None,
        });
        words.collect()
    };
    let at = tokens.iter().position(is_number)?;
    let is_place = line.epoch.is_some() && line.pairs.is_empty() && line.step.is_none() && !line.bar;
    // `Epoch: 01 | Epoch Time: 0m 5s`.
    let is_other = |token: &Token| is_number(token) && !matches!(token, Token::Number { unit: true, .. });
    if !is_place || line.is_round || tokens[at + 1..].iter().any(is_other) {
        return None;
    }
    let (before, mut after) = (words_of(&tokens[..at]), words_of(&tokens[at + 1..]));
    after.retain(|word| !names::is_ignorable(word) && !["h", "m", "s"].contains(&word.as_str()));
    let part = is_part(&[before.clone(), after.clone()].concat().join(" "));
    let is_remark = |word: &String| {
        let word = word.to_ascii_lowercase();
        REMARKS.contains(&word.as_str()) || ENDED.contains(&word.as_str())
    };
    let is_short = before.len() <= LONGEST && after.is_empty() && !before.iter().any(is_remark);
    (part.is_some() || is_short).then_some(part)
}

/// Whether a line has one word and a file, which was loaded for the epoch: `Epoch 0001 : models/0001.pt`.
pub(super) fn is_with_file(text: &str) -> bool {
    let has_letters = |word: &&str| word.contains(char::is_alphabetic);
    let words: Vec<&str> = text.split_whitespace().filter(has_letters).collect();
    matches!(words[..], [_, file] if file.contains(['/', '\\']) && text.trim_end().ends_with(file))
}

/// The number of steps of a progress bar, which is at either end of the line: `10/10 [===]`, `step 10/10 [===]`, `[===>] …
/// 10/10`.
pub(super) fn total(tokens: &[Token], bar: bool) -> Option<f64> {
    let mut solid = tokens.iter().filter(|token| **token != Token::Mark('\t'));
    let fraction = |token: Option<&Token>| match token {
        Some(Token::Fraction(_, total)) => Some(*total),
        _ => None,
    };
    match solid.next() {
        first @ Some(Token::Fraction(..)) => fraction(first),
        Some(Token::Word("step")) if bar => fraction(solid.next()),
        Some(Token::Mark('[')) if bar => fraction(solid.next_back()),
        _ => None,
    }
}

/// Takes loose numbers of both sets at a step for losses: `iter 500: train 3.7 val 3.6`. Returns the loose numbers that are
/// left.
pub(super) fn losses_of_sets(line: &mut Line, loose: Vec<Pair>) -> Vec<Pair> {
    let is_set = |pair: &Pair| is_bare_part(&pair.name);
    let of_validation = |pair: &Pair| names::names_part(&pair.name).is_some_and(names::is_validation);
    let has = |validation: bool| loose.iter().any(|pair| is_set(pair) && of_validation(pair) == validation);
    if line.step.is_none() || !has(true) || !has(false) || line.pairs.iter().any(|pair| is_metric(&pair.name)) {
        return loose;
    }
    let (sets, loose): (Vec<Pair>, Vec<Pair>) = loose.into_iter().partition(is_set);
    // The nearest names there are: lines about steps may have a `train loss`, too.
    let named =
        |pair: Pair| Pair { name: if of_validation(&pair) { "val_loss" } else { "train_loss" }.to_owned(), ..pair };
    line.pairs.extend(sets.into_iter().map(named));
    line.names_no_quantity = true;
    loose
}

/// Tells numbers apart that stand under the same name in a line: `Train Loss (dropout): 0.5, Train Loss (no dropout): 0.1`.
pub(super) fn number_again(pairs: &mut [Pair]) {
    for at in 1..pairs.len() {
        let (before, rest) = pairs.split_at_mut(at);
        let count = before.iter().filter(|pair| pair.name == rest[0].name && pair.value != rest[0].value).count();
        if count > 0 && meaning(&rest[0].name).is_some() {
            rest[0].name = format!("{} {}", rest[0].name, count + 1);
        }
    }
}

/// Whether a line begins with words about the best values so far.
pub(super) fn is_remark(tokens: &[Token]) -> bool {
    let before = tokens.iter().take_while(|token| !matches!(token, Token::Number { .. } | Token::Fraction(..)));
    let words = before.filter_map(|token| if let Token::Word(word) = token { Some(*word) } else { None });
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    // `Accuracy of the model on the 10000 test images` is a result.
    let is_owner = |at: usize| words[at] == "model" && words[..at].iter().any(|word| word == "of");
    (0..words.len()).any(|at| REMARKS.contains(&words[at].as_str()) && !is_owner(at))
}

/// Whether a name only says that the number before has a mean: `epoch mean`, `avg`.
pub(super) fn is_mean(name: &str) -> bool {
    const MEANS: [&str; 5] = ["mean", "avg", "average", "running", "smoothed"];
    let words = names::words(name);
    let is_known = |word: &String| MEANS.contains(&word.as_str()) || word == "epoch" || word == "so" || word == "far";
    !words.is_empty() && words.iter().all(is_known) && words.iter().any(|word| MEANS.contains(&word.as_str()))
}

/// Whether one decimal number follows, and not a list.
pub(super) fn is_one_value(rest: &[Token]) -> bool {
    let is_decimal = |token: Option<&Token>| matches!(token, Some(Token::Number { decimal: true, .. }));
    is_decimal(rest.first()) && !(rest.get(1) == Some(&Token::Mark(',')) && is_decimal(rest.get(2)))
}

/// Whether a word is the unit of the number before it.
pub(super) fn is_time_unit(word: &str, before: &Token) -> bool {
    matches!(before, Token::Number { .. })
        && ["s", "sec", "secs", "seconds", "ms", "min", "mins", "minutes"].contains(&word.to_ascii_lowercase().as_str())
}

/// Whether a progress bar is incomplete: `128/44100 [>....]`, or with an estimate of the remaining time.
pub(super) fn is_partial(text: &str, is_bar: bool) -> bool {
    let counts = text.split_whitespace().next().and_then(|first| first.split_once('/'));
    let counts = counts.filter(|_| !text.contains(" * "));
    let counts = counts.and_then(|(done, of)| Some((done.parse::<u64>().ok()?, of.parse::<u64>().ok()?)));
    // What was drawn before may still stand behind the last values.
    counts.map_or_else(|| is_bar && text.contains("ETA:"), |(done, of)| done < of)
}
