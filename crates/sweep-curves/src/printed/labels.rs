//! Names of models before the epoch: `ResNet Epoch 1/10: …` beside `VGG Epoch 1/10: …`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

use crate::names::{self, is_small};

/// What stands before the number of an epoch, and the number.
static LABEL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)^(.{1,60}?)\b(?:epoch|ep)\b[\s:=#\[(-]*(\d+)").expect("it is an expression"));
/// An epoch, and the fold or run that it belongs to: `Epoch: 3 Fold: 1`.
static BEFORE_FOLD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\bepoch[\s:=#\[(-]*(\d+)\b.{0,20}?\b(fold|run|seed)[\s_#:=.-]*(\d+)\b")
        .expect("it is an expression")
});
/// A fold or a repetition, and its number. `seed: 42` is a setting.
static FOLD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(?:^|[^a-z])(?:(fold|repeat|repetition)[\s_#:=.-]*(\d{1,3})|(seed)[\s_#-]+(\d+))(?:\D|$)")
        .expect("it is an expression")
});
/// A command below the prompt of a shell, or of a notebook: `root@host:~/net# python train.py`, `$ python train.py`.
static PROMPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:(?:\([^()]*\) ?)?\[?[\w.-]+@[\w.-]*[:~ ][^$#%>]*[$#%>] +[\w./]|",
        r"(?:\([^()]*\) ?)?[$!] *(?:\w+=\S+ +)*(?:python[\d.]*|bash|sh|th|torchrun|accelerate|julia) )",
    ))
    .expect("it is an expression")
});
/// A setting of a training run, with its value: `Optimizer: adam`, `Training with lr=0.1`.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)\b(optimi[sz]er|model|architecture|experiment|configuration|activation|target|dataset|",
        r"(?:with|for|using) (?:lr|learning[ _]rate|batch[ _]size|dropout))\s*[:=]\s*(\w[\w .+-]{0,40})\W*$",
    ))
    .expect("it is an expression")
});
/// Longest line that may name a model or a fold, in bytes.
const LONGEST_LINE: usize = 400;
/// Words that are no names of models.
const NO_NAMES: &str = "start starting started begin beginning end ending ended finish finished done complete completed best last \
    save saved saving stop stopped stopping early improved checkpoint load loading loaded restore restoring \
    resume resuming resumed info debug warning running current now total time average results summary after iter iters \
    iteration iterations step steps batch batches";
/// Most words of a name.
const LONGEST: usize = 4;
/// Most models of a log.
const MOST: usize = 50;

/// Whether a line is a command below the prompt of a shell.
pub(super) fn is_command(text: &str) -> bool {
    text.contains(['@', '$', '!']) && PROMPT.is_match(text.trim_start())
}

/// One name, and the lines that it stands in.
#[derive(Debug)]
struct Label {
    name: String,
    /// The lowest and the highest epoch.
    epochs: (f64, f64),
    /// The first and the last line.
    lines: (usize, usize),
    /// The metrics of the first line.
    metrics: Vec<String>,
}

/// The names so far.
#[derive(Debug, Default)]
pub(super) struct Labels {
    seen: Vec<Label>,
    lines: usize,
    /// Names that tell curves apart, and the last one that came.
    known: Vec<String>,
    current: Option<String>,
    /// Settings in lines of their own, each with its values, and the one that tells curves apart.
    settings: BTreeMap<String, Vec<String>>,
    heading: Option<String>,
}

impl Labels {
    /// Lines are taken apart by these names.
    pub(super) fn known(known: Vec<String>) -> Labels {
        Labels { known, ..Labels::default() }
    }

    /// Lines with this setting begin a curve.
    pub(super) fn below(heading: String) -> Labels {
        Labels { heading: Some(heading), ..Labels::default() }
    }

    /// The name of the curve that begins below a line.
    pub(super) fn heading(&self, text: &str) -> Option<String> {
        let (name, value) = self.heading.as_ref().and_then(|_| setting(text))?;
        (Some(&name) == self.heading.as_ref()).then(|| format!("{name} {value}"))
    }

    /// The setting that differs between the blocks of a text with this number of rows: it has another value each time, and
    /// stands far less often than rows.
    pub(super) fn tells_apart(&self, rows: f64) -> Option<String> {
        let differs = |values: &[String]| values.iter().enumerate().all(|(at, value)| !values[..at].contains(value));
        let found = self.settings.iter().find(|(_, values)| {
            (2..=MOST).contains(&values.len()) && 3.0 * values.len() as f64 <= rows && differs(values)
        });
        found.map(|(name, _)| name.clone())
    }

    /// The name that a line belongs to, if names tell curves apart.
    pub(super) fn current(&mut self, text: &str) -> Option<String> {
        if self.known.is_empty() {
            return None;
        }
        if let Some((name, _)) = label(text).filter(|(name, _)| self.known.contains(name)) {
            self.current = Some(name);
        }
        self.current.clone()
    }

    /// Looks at a line with these metrics.
    pub(super) fn line(&mut self, text: &str, metrics: impl Iterator<Item = String>) {
        self.lines += 1;
        if let Some((name, value)) = setting(text).filter(|_| self.settings.len() < MOST) {
            let values = self.settings.entry(name).or_default();
            values.extend(Some(value).filter(|_| values.len() <= MOST));
        }
        if self.seen.len() > MOST {
            return;
        }
        let Some((name, epoch)) = label(text) else { return };
        match self.seen.iter_mut().find(|label| label.name == name) {
            Some(label) => {
                label.epochs = (label.epochs.0.min(epoch), label.epochs.1.max(epoch));
                label.lines.1 = self.lines;
            }
            None => {
                let mut metrics: Vec<String> = metrics.collect();
                metrics.sort();
                self.seen.push(Label { name, epochs: (epoch, epoch), lines: (self.lines, self.lines), metrics });
            }
        }
    }

    /// The names of several models, each of which has epochs of its own, with the same numbers and metrics.
    pub(super) fn several(&self) -> Vec<String> {
        let kept: Vec<&Label> = self.seen.iter().filter(|label| label.epochs.0 < label.epochs.1).collect();
        let [first, rest @ ..] = &kept[..] else { return Vec::new() };
        let alike = |label: &&&Label| {
            label.metrics == first.metrics && label.epochs.0 <= first.epochs.1 && first.epochs.0 <= label.epochs.1
        };
        // `Begin epoch 1` and `Leave epoch 1` take turns.
        let in_turn = kept.windows(2).all(|pair| pair[0].lines.1 < pair[1].lines.0);
        if rest.is_empty() || self.seen.len() > MOST || !rest.iter().all(|label| alike(&label)) {
            return Vec::new();
        }
        if first.metrics.is_empty() && !in_turn {
            return Vec::new();
        }
        kept.iter().map(|label| label.name.clone()).collect()
    }
}

/// The name before an epoch, and the epoch.
fn label(text: &str) -> Option<(String, f64)> {
    if text.len() > LONGEST_LINE || !text.contains(['e', 'E']) {
        return None;
    }
    if let Some(found) = BEFORE_FOLD.captures(text) {
        return Some((format!("{} {}", found[2].to_lowercase(), &found[3]), found[1].parse().ok()?));
    }
    let found = LABEL.captures(text)?;
    let name = found[1].trim_matches(|letter: char| !letter.is_alphanumeric());
    let words = names::words(name);
    let is_name = |word: &&String| word.contains(char::is_alphabetic) && names::names_part(word).is_none();
    let is_none = |word: &String| NO_NAMES.split(' ').any(|known| known == word) || is_small(word);
    let fits = (1..=LONGEST).contains(&words.len()) && words.iter().any(|word| is_name(&word));
    (fits && !words.iter().any(is_none)).then(|| Some((name.to_owned(), found[2].parse().ok()?)))?
}

/// A setting and its value, if a line names nothing else.
fn setting(text: &str) -> Option<(String, String)> {
    let found = Some(text).filter(|text| text.len() < LONGEST_LINE).and_then(|text| HEADING.captures(text))?;
    let name = found[1].to_lowercase();
    Some((name.rsplit(' ').next().unwrap_or_default().to_owned(), found[2].trim().to_owned()))
}

/// The fold that a line names: `fold 2`.
pub(super) fn fold(text: &str) -> Option<String> {
    let found = Some(text).filter(|text| text.len() < LONGEST_LINE).and_then(|text| FOLD.captures(text))?;
    let part = |at: usize, other: usize| found.get(at).or_else(|| found.get(other)).map_or("", |part| part.as_str());
    Some(format!("{} {}", part(1, 3).to_lowercase(), part(2, 4)))
}
