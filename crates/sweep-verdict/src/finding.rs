//! A finding: what a rule detected, the numbers behind it, and what to change.

use std::collections::BTreeSet;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Advice, Task};

/// Name of a finding. The names are stable, because scripts may search for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// The loss or the weights became non-finite, or training undid itself.
    Diverged,
    /// The training images are classified far worse in evaluation mode than during training.
    ModeMismatch,
    /// The network guesses at random and learns nothing.
    Stuck,
    /// There are too few epochs to judge.
    TooShort,
    /// No data was held out, so generalization cannot be judged.
    Unvalidated,
    /// Validation stalls far below what should be possible. Either training is no better, or other trials reach more.
    LowCeiling,
    /// The training loss rises, or exploded and came back.
    Worsening,
    /// Training is nearly perfect, and validation is no better than guessing.
    ValidationAtChance,
    /// Training itself ends with a poor and flat curve.
    Underfit,
    /// Training is no better than validation under strong dropout or weight decay.
    OverRegularized,
    /// Validation gets worse, or stays far behind, while training continues to improve.
    Overfit,
    /// Validation gets worse, and training does not explain it.
    Declining,
    /// The curve swings from epoch to epoch.
    Unstable,
    /// More epochs would help.
    StillImproving,
    /// Validation has been flat for a long time.
    Plateau,
    /// No problem with the fit was found.
    GoodFit,
    /// No problem was found, but no metric was measured both in training and in validation.
    NoProblem,
    /// Accuracy contradicts the loss and was not used.
    AccuracyUnusable,
}

impl Name {
    /// Returns an explanation for readers who do not know the term.
    pub fn meaning(self) -> &'static str {
        match self {
            Name::Diverged => "training diverged or collapsed",
            Name::ModeMismatch => "the network behaves differently in training and evaluation mode",
            Name::Stuck => "the network learns nothing",
            Name::TooShort => "too few epochs to judge",
            Name::Unvalidated => "no data was held out for validation",
            Name::LowCeiling => "validation stalls far below what should be possible",
            Name::Worsening => "training itself gets worse",
            Name::ValidationAtChance => "validation is no better than guessing, although training is nearly perfect",
            Name::Underfit => "the network does not fit even the training data",
            Name::OverRegularized => "dropout or weight decay is too strong",
            Name::Overfit => "the network memorizes the training data instead of generalizing",
            Name::Declining => "validation gets worse after its best epoch",
            Name::Unstable => "the learning rate is too high or batches are too small",
            Name::StillImproving => "more epochs would help",
            Name::Plateau => "validation no longer changes",
            Name::GoodFit => "no problem with the fit was found",
            Name::NoProblem => "no problem was found, but too little was measured to call the fit good",
            Name::AccuracyUnusable => "accuracy does not measure what the network is trained for",
        }
    }
}

/// What a finding says about whether the network can learn the training data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// The network learns the data.
    Proven,
    /// The network learns too little. If another configuration learns the same data, the parameters are the cause.
    TooLittle,
    /// The finding leaves open whether the data can be learned.
    Open,
}

impl Name {
    /// Returns whether the finding describes the course of a curve, and no cause of a poor fit.
    pub(super) fn is_course(self) -> bool {
        matches!(self, Name::StillImproving | Name::Unstable | Name::Plateau)
    }

    /// Returns what the finding says about whether the network can learn the training data.
    pub fn learning(self) -> Learning {
        match self {
            Name::Stuck | Name::LowCeiling | Name::Underfit | Name::OverRegularized => Learning::TooLittle,
            Name::Diverged | Name::Worsening | Name::ModeMismatch | Name::ValidationAtChance => Learning::Open,
            Name::TooShort | Name::Unvalidated | Name::Declining | Name::NoProblem => Learning::Open,
            Name::Overfit | Name::Unstable | Name::StillImproving | Name::Plateau => Learning::Proven,
            Name::GoodFit | Name::AccuracyUnusable => Learning::Proven,
        }
    }
}

impl fmt::Display for Name {
    /// Writes the name in words: `over-regularized`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Name::Diverged => "diverged",
            Name::ModeMismatch => "mode mismatch",
            Name::Stuck => "stuck",
            Name::TooShort => "too short",
            Name::Unvalidated => "unvalidated",
            Name::LowCeiling => "low ceiling",
            Name::Worsening => "worsening",
            Name::ValidationAtChance => "validation at chance",
            Name::Underfit => "underfit",
            Name::OverRegularized => "over-regularized",
            Name::Overfit => "overfit",
            Name::Declining => "declining",
            Name::Unstable => "unstable",
            Name::StillImproving => "still improving",
            Name::Plateau => "plateau",
            Name::GoodFit => "good fit",
            Name::NoProblem => "no problem",
            Name::AccuracyUnusable => "accuracy unusable",
        })
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Not a problem in itself.
    Note,
    /// A problem that is tolerable.
    Mild,
    /// A problem that costs accuracy.
    Clear,
    /// A problem that makes the run useless.
    Severe,
}

impl Severity {
    /// Returns the severity of `value`, at least mild: `Clear` from the first bound on, `Severe` from the second.
    pub(super) fn scale(value: f64, [clear, severe]: [f64; 2]) -> Severity {
        match value {
            _ if value >= severe => Severity::Severe,
            _ if value >= clear => Severity::Clear,
            _ => Severity::Mild,
        }
    }
}

impl Severity {
    /// Returns the next lower severity, at least mild.
    pub(super) fn milder(self) -> Severity {
        if self == Severity::Severe { Severity::Clear } else { self.min(Severity::Mild) }
    }
}

impl fmt::Display for Severity {
    /// Writes the severity in words: `clear`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Note => "note",
            Severity::Mild => "mild",
            Severity::Clear => "clear",
            Severity::Severe => "severe",
        })
    }
}

/// A number that supports a finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// What was measured, as a phrase: `lowest validation loss`.
    pub what: String,
    /// The number itself.
    pub value: f64,
    pub unit: Unit,
}

/// Unit of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// An epoch's number, or a number of epochs.
    Epoch,
    Loss,
    /// An accuracy or a difference of two accuracies, 0 to 1.
    Accuracy,
    /// A ratio or another plain number.
    Number,
}

impl Evidence {
    /// Returns the number with its significant digits: `36`, `1.402`, `61.6%`.
    pub fn text(&self) -> String {
        self.unit.text(self.value)
    }
}

/// Numbers from this on are in scientific notation, so that the reader need not count digits.
const LARGE: f64 = 1e5;
/// Numbers below this are in scientific notation, so that the reader need not count zeros.
const SMALL: f64 = 1e-4;

/// An accuracy below this has a decimal, even if it is only an estimate.
const LOW: f64 = 0.1;

/// Formats a number with this many decimals, or a large one as `1.234e8`.
pub fn number(value: f64, digits: usize) -> String {
    if value.abs() >= LARGE { format!("{value:.3e}") } else { format!("{value:.digits$}") }
}

/// Formats a number with this many significant digits, at least one: `1.402`, `0.01230`, `1.234e8`. A whole number of
/// at most that many digits has no decimals.
pub fn significant(value: f64, digits: usize) -> String {
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let rounded: f64 = scientific.parse().unwrap_or(value);
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(SMALL..LARGE).contains(&rounded.abs()) {
        return scientific;
    }
    // The exponent is that of the rounded number: 9.9996 has two digits before the point.
    let before = rounded.abs().log10().floor() as i64 + 1;
    let decimals = if value.fract() == 0.0 { 0 } else { (digits as i64 - before).max(0) };
    format!("{value:.*}", decimals as usize)
}

/// Formats a share as a percentage with one decimal: `57.5%`, `100%`. A whole percentage has no decimals.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    let whole = (value - value.round()).abs() < 1e-9;
    format!("{}%", number(value, usize::from(!whole)))
}

impl Unit {
    /// Formats a level estimated from a noisy curve: `1.49`, `0.0312`, `61%`, `7.6%`.
    pub(super) fn about(self, value: f64) -> String {
        match self {
            Unit::Accuracy => format!("{}%", number(value * 100.0, usize::from(value.abs() < LOW))),
            Unit::Loss if value.abs() < 1e4 && value != 0.0 => {
                let digits = (2.0 - value.abs().log10().floor()).clamp(2.0, 8.0) as usize;
                format!("{value:.digits$}")
            }
            _ => self.text(value),
        }
    }

    /// Formats a number with its significant digits.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Unit::Epoch => format!("{value:.0}"),
            Unit::Accuracy => percent(value),
            Unit::Loss => significant(value, 4),
            Unit::Number if value.abs() >= 1e4 => format!("{value:.3e}"),
            Unit::Number => format!("{value:.2}"),
        }
    }
}

/// One verdict on a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub name: Name,
    /// How much the finding matters.
    pub severity: Severity,
    /// What the curve shows, in one or two plain sentences.
    pub headline: String,
    /// The numbers behind the finding.
    pub evidence: Vec<Evidence>,
    /// What to do, most urgent first.
    pub advice: Vec<Advice>,
    /// The task in whose words the advice is given.
    pub task: Task,
    onset: Option<u32>,
}

impl Finding {
    /// Returns a short label, with the severity if it is informative: `overfit from epoch 14 (clear)`, `plateau`.
    pub fn label(&self) -> String {
        let from = self.onset().map_or(String::new(), |onset| format!(" from epoch {onset}"));
        match self.severity {
            Severity::Note => format!("{}{from}", self.name),
            severity => format!("{}{from} ({severity})", self.name),
        }
    }

    /// Returns the last epoch before the onset, for a validation loss that turned upward. `None` for other findings.
    pub fn onset(&self) -> Option<u32> {
        self.onset
    }

    pub(super) fn new(name: Name, severity: Severity, headline: impl Into<String>) -> Finding {
        let (headline, evidence, advice) = (headline.into(), Vec::new(), Vec::new());
        Finding { name, severity, headline, evidence, advice, task: Task::Unknown, onset: None }
    }

    pub(super) fn starting_after(mut self, onset: Option<u32>) -> Finding {
        self.onset = onset;
        self.evidence("epoch of onset", Unit::Epoch, onset.map(f64::from))
    }

    pub(super) fn evidence(mut self, what: impl Into<String>, unit: Unit, value: impl Into<Option<f64>>) -> Finding {
        self.evidence.extend(value.into().map(|value| Evidence { what: what.into(), value, unit }));
        self
    }

    pub(super) fn advice(mut self, advice: impl IntoIterator<Item = Advice>) -> Finding {
        self.advice.extend(advice);
        self.advice.sort_unstable();
        self
    }
}

/// Merges the advice of several findings into one list without duplicates. Checks that can make everything else
/// pointless come first. Then comes the advice for the more severe findings, each in its own order.
pub fn merged_advice<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Vec<Advice> {
    let place = |finding: &Finding, advice: Advice| match advice {
        check if check.is_check() => 0,
        _ if finding.severity >= Severity::Clear => 1,
        _ => 2,
    };
    let each = findings.into_iter().flat_map(|one| one.advice.iter().map(move |advice| (place(one, *advice), *advice)));
    let places: BTreeSet<(u8, Advice)> = each.collect();
    let mut seen = BTreeSet::new();
    places.into_iter().map(|(_, advice)| advice).filter(|advice| seen.insert(*advice)).collect()
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let advice: Vec<String> = self.advice.iter().map(|one| one.text(self.task)).collect();
        let mut finding = serializer.serialize_struct("Finding", 5)?;
        finding.serialize_field("name", &self.name)?;
        finding.serialize_field("severity", &self.severity)?;
        finding.serialize_field("headline", &self.headline)?;
        finding.serialize_field("evidence", &self.evidence)?;
        finding.serialize_field("advice", &advice)?;
        finding.end()
    }
}
