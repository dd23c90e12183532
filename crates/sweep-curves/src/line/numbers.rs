//! What a number in a line is: an epoch, a step, a place within the epoch, or the value of a metric.

use super::leading::is_number_next;
use super::{LOOSE, Pair, Parser, Target, is_epoch, is_mean};
use crate::gather::of_set;
use crate::names::{self, is_bare_part, is_part, is_small, meaning, names_both, names_part, quantity, same_name};
use crate::scan::Token;
use crate::special::{GUESSED, is_better_high, is_measure, is_metric, score, stands_for};
use sweep_core::trial::METRICS;

/// Ends of the names of files.
const FILES: [&str; 12] =
    [".py", ".cpp", ".cc", ".c", ".rs", ".jpg", ".jpeg", ".png", ".txt", ".json", ".yaml", ".pth"];

impl Parser<'_> {
    pub(super) fn fraction(&mut self, a: f64, b: f64) {
        // `Epochs: 3/10`; a number alone would be a setting.
        let names_epochs = matches!(self.phrase[..], [word] if word.eq_ignore_ascii_case("epochs"));
        if self.wants_epoch || names_epochs {
            self.line.epochs = Some(b);
            self.epoch(a);
            return self.end_of_place();
        } else {
            let name = self.phrase.join(" ");
            let is_metric = self.names_metric(&name);
            if is_metric && names_both(&name) {
                let quantity = quantity(&name).unwrap_or_default();
                self.pair(format!("train {quantity}"), a, false);
                self.pair(format!("val {quantity}"), b, false);
            } else if is_metric && quantity(&name) == Some("accuracy") && b > 0.0 && a <= b {
                self.pair(name, a / b, false);
            } else if self.wants_step && !self.part.is_some_and(names::is_validation) {
                // `iteration:145 step:72/1687`: the step is within the iteration.
                self.line.step = self.line.step.or(Some(a));
                self.line.progress = true;
                return self.end_of_place();
            } else {
                if self.line.batch.is_none() {
                    (self.line.batch, self.line.of) = (Some(a), Some(b));
                    self.line.counts_batches = self.line.pairs.is_empty();
                }
                self.line.progress = true;
                return;
            }
        }
        self.end_of_number();
    }

    /// Takes the epoch. The first one that a word names counts: `epoch: 3 best dice: 0.4 at epoch: 1`.
    pub(super) fn epoch(&mut self, number: f64) {
        if !self.named {
            (self.line.epoch, self.named) = (Some(number), true);
        }
        // `train_acc=0.5 test_acc=0.4 epoch=1 loss=0.9`: the loss is not of the last set.
        let names = |validation: bool| {
            let mut parts = self.line.pairs.iter().filter_map(|pair| names_part(&pair.name));
            parts.any(|part| names::is_validation(part) == validation)
        };
        if names(true) && names(false) {
            self.part = None;
        }
    }

    /// Takes a number and the mean in brackets behind it, if there is one: the mean is the value. Returns how many pieces
    /// it took.
    pub(super) fn value(&mut self, rest: &[Token], value: f64, (percent, unit, decimal): (bool, bool, bool)) -> usize {
        let blank = usize::from(rest.first() == Some(&Token::Mark('\t')));
        let mean = mean_in_brackets(&rest[blank.min(rest.len())..], value);
        let Some((Token::Number { value: mean, percent: of_share, unit: false, .. }, length)) = mean else {
            self.number(value, percent, unit, decimal, false);
            return 1;
        };
        let second = std::mem::take(&mut self.in_brackets_next);
        if !second.is_empty() && self.separated {
            self.number(value, percent, unit, decimal, false);
            (self.phrase, self.separated) = (second, true);
            self.number(*mean, *of_share, false, true, false);
            return 1 + blank + length;
        }
        // `acc 98% (0.02)` has a deviation; `acc 0.98 (98%)` has the same number twice.
        let running = !percent && !of_share;
        let pairs = self.line.pairs.len();
        self.number(if running { *mean } else { value }, percent, unit, decimal, running);
        let named = self.line.pairs.get(pairs).filter(|_| running).map(|pair| pair.name.clone());
        self.line.own.extend(named.map(|name| (name, value)));
        1 + blank + length
    }

    pub(super) fn number(&mut self, value: f64, percent: bool, unit: bool, decimal: bool, running: bool) {
        if self.wants_epoch && !unit && value >= 0.0 && !percent {
            self.epoch(value);
            return self.end_of_place();
        }
        let name = self.phrase.join(" ");
        if self.wants_step && !decimal && !unit && quantity(&name).is_none() {
            self.line.step = Some(value);
            return self.end_of_place();
        }
        let percent_of_bar = percent && self.line.bar;
        if unit || percent_of_bar && self.wants_epoch {
            self.line.progress |= percent_of_bar;
            self.heading();
            return self.end_of_number();
        }
        // `Loss in validation data 0.5`: no such number belongs to the name.
        let is_value = decimal && matches!(meaning(&name), Some((Target::Metric(_), _)));
        if !(self.separated && name.contains(char::is_alphabetic) || self.names_metric(&name) || is_value) {
            // A number within a name: `top 5 acc`, `on the 10000 test images`.
            if !decimal && self.phrase.last().is_some_and(|word| word.eq_ignore_ascii_case("top")) {
                self.phrase.push(if value == 1.0 { "1" } else { "5" });
                return;
            }
            if self.phrase.is_empty() || decimal {
                self.line.progress |= percent_of_bar;
                if decimal && (1..=LOOSE).contains(&self.phrase.len()) {
                    // `Heun 82.49%`.
                    let name = if percent { format!("{name} accuracy?") } else { name };
                    self.loose.push(Pair { name, value, running });
                }
                self.end_of_number();
            }
            return;
        }
        // `Epoch: 001/100 | Train: 13.67% | Validation: 7.81%`.
        if percent && decimal && self.separated && !self.line.bar && self.line.epoch.is_some() && is_bare_part(&name) {
            let value = value / 100.0;
            self.line.pairs.push(Pair { name: format!("{name} accuracy?"), value, running });
            return self.end_of_number();
        }
        // `Q3_train: 63.2%`.
        if percent && decimal && self.separated && !self.line.bar && self.line.epoch.is_some() && is_share_of_set(&name)
        {
            self.line.pairs.push(Pair { name: name + GUESSED, value: value / 100.0, running });
            return self.end_of_number();
        }
        if percent && is_bare_part(&name) && self.quantity.is_none() {
            // `Validation: 100%` is a progress bar.
            (self.line.progress, self.part) = (true, is_part(&name));
            return self.end_of_number();
        }
        // PyTorch Geometric prints `Loss: 0.5, Train: 0.9, Val: 0.8`, which are accuracies.
        let is_share = percent || (0.0..=1.0).contains(&value);
        let beside =
            self.of_pair && (self.line.epoch.is_some() || self.line.pairs.iter().any(|pair| is_metric(&pair.name)));
        if self.separated && !self.bare_sets && !self.in_brackets && beside && is_share && is_bare_part(&name) {
            let value = if percent { value / 100.0 } else { value };
            self.line.pairs.push(Pair { name: format!("{name} accuracy?"), value, running });
            return self.end_of_number();
        }
        // `validation error 60.0 %` is one, too.
        let is_error = matches!(stands_for(&name), Some((Target::Metric(at), _)) if METRICS[at].ends_with("accuracy"));
        let share = percent && (is_error || quantity(&name).or(self.quantity) == Some("accuracy"));
        self.pair(name, if share { value / 100.0 } else { value }, running);
        self.end_of_number();
    }

    pub(super) fn end_of_number(&mut self) {
        self.phrase.clear();
        (self.separated, self.wants_epoch, self.wants_step) = (false, false, false);
    }

    /// Whether a phrase before a number is the name of a metric, even without `:` or `=`.
    pub(super) fn names_metric(&self, name: &str) -> bool {
        // In `accuracy on the 10000 test images`, the number belongs to the name.
        let ends = self.separated || !self.phrase.last().is_some_and(|word| is_small(word));
        let meaning = meaning(name).or_else(|| stands_for(name));
        let metric = || ends && matches!(meaning, Some((Target::Metric(_) | Target::LearningRate, _)));
        // `Dloss 0.7`.
        let ends_in_loss = || self.phrase.last().is_some_and(|word| word.to_lowercase().ends_with("loss"));
        !name.is_empty()
            && (metric()
                || ends_in_loss()
                || same_name(name, self.metric)
                || self.part.is_some_and(names::is_validation) && score(name).is_some()
                || self.quantity.is_some() && (is_part(name).is_some() || name == "total"))
    }

    pub(super) fn pair(&mut self, mut name: String, value: f64, running: bool) {
        // `The result of ResNet with Adam is test acc: 0.8`.
        if let Some((before, after)) = name.rsplit_once(" is ")
            && is_metric(after)
            && !is_metric(&name)
            && !names::is_ignorable(before)
        {
            name = after.to_owned();
        }
        // `[Losses: x 0.3, y 0.2, total 0.5]`.
        if let Some(quantity) = self.quantity.filter(|_| name == "total") {
            name = format!("total {quantity}");
        }
        // A setting: `WITH_CENTER_LOSS=1`.
        if name.contains('_') && name == name.to_uppercase() && meaning(&name).is_none() && value.fract() == 0.0 {
            return;
        }
        // A file, or a place in one: `trainer.py:332`.
        if FILES.iter().any(|end| name.ends_with(end)) {
            return;
        }
        if let Some(part) = is_part(&name).filter(|_| is_bare_part(&name)) {
            self.part = Some(part);
            let quantity = if self.bare_sets { Some("loss") } else { self.quantity };
            let as_quantity = quantity.map(|quantity| format!("{part} {quantity}"));
            // Beside the loss of a set, its other number is none.
            let is_new = |name: &String| !self.line.pairs.iter().any(|pair| same_name(&pair.name, name));
            if let Some(name) = as_quantity.filter(is_new) {
                self.line.pairs.push(Pair { name, value, running });
                return;
            }
        }
        // `loss: 49.6, epoch mean: 67.2`: the mean so far is the value.
        if is_mean(&name)
            && let Some(last) = self.line.pairs.last_mut().filter(|last| is_metric(&last.name))
        {
            (last.value, last.running) = (value, true);
            return;
        }
        // llm.c prints the loss twice: `train loss 4.36 (acc 4.36)`.
        if self.line.pairs.last().is_some_and(|before| before.value == value && value > 1.0 && name == "acc") {
            return;
        }
        if let Some(class) = self.class.take() {
            name = format!("{name} {class}");
        }
        let own = names_part(&name).filter(|_| meaning(&name).is_some());
        // `Best valid accuracy: 0.78 current accuracy: 0.77`.
        if let Some(best) = self.line.pairs.last().filter(|last| names::is_ignorable(&last.name))
            && names::words(&name)[0] == "current"
        {
            self.part = names_part(&best.name).or(self.part);
        }
        self.part = own.or(self.part);
        self.quantity = quantity(&name).or(self.quantity);
        self.of_pair |= self.separated;
        let lacks = own.is_none() && names_part(&name).is_none();
        let is_metric = is_metric(&name) || is_better_high(&name) || name.to_lowercase().contains("loss");
        let name = match self.part.filter(|_| lacks && is_metric) {
            Some(part) => of_set(part, &name),
            None => name,
        };
        self.line.pairs.push(Pair { name, value, running });
    }

    /// Whether a whole number belongs to the name before it, because another number is its value: `Prec@1  05 100.0
    /// (99.9)`.
    pub(super) fn is_of_name(&self, rest: &[Token]) -> bool {
        let blank = usize::from(rest.first() == Some(&Token::Mark('\t')));
        let value = rest.get(blank);
        !self.separated
            && !self.wants_epoch
            && !self.wants_step
            && self.has_metric()
            && matches!(value, Some(Token::Number { decimal: true, unit: false, percent: false, .. }))
            && rest.get(blank + 1) != Some(&Token::Mark(':'))
    }

    /// Whether a whole number stands between the name of a loss and its value.
    pub(super) fn is_step_of_loss(&self, rest: &[Token]) -> bool {
        let is_loss = || self.has_metric() && quantity(&self.phrase.join(" ")) == Some("loss");
        let mut rest = rest.iter().filter(|token| !matches!(token, Token::Mark('\t' | ':')));
        let value = rest.next();
        !self.separated
            && !self.wants_epoch
            && !self.wants_step
            && self.line.epoch.is_none()
            && self.line.step.is_none()
            && matches!(value, Some(Token::Number { decimal: true, unit: false, percent: false, .. }))
            && is_loss()
    }

    /// Takes a number if an arrow stands between it and the value of the last metric: `loss 0.17→0.11`. Nothing says what
    /// it is. Returns whether it was taken.
    pub(super) fn behind_arrow(&mut self, tokens: &[Token], at: usize, value: f64) -> bool {
        let before = at.checked_sub(2).and_then(|start| tokens.get(start..at));
        let Some(last) = self.line.pairs.last() else { return false };
        if !matches!(before, Some([Token::Number { value, .. }, Token::Mark('→')]) if *value == last.value) {
            return false;
        }
        let name = format!("{} behind the arrow", last.name);
        self.line.pairs.push(Pair { name, value, running: false });
        self.end_of_number();
        true
    }

    /// Whether a number tells of which class the name before it is.
    pub(super) fn is_class(&self, next: Option<&Token>) -> bool {
        let last = self.phrase.last().is_some_and(|word| word.eq_ignore_ascii_case("class"));
        last && self.phrase.len() > 1 && !self.separated && matches!(next, Some(Token::Mark(':' | '=')))
    }

    /// Whether a whole number is an epoch by what follows it without a blank, or stands between the name of a metric and
    /// `epochs`.
    pub(super) fn is_epoch_before(&self, rest: &[Token], unit: bool) -> bool {
        match (rest.first(), self.phrase.split_last()) {
            (Some(Token::Mark('/')), _) => unit && self.wants_epoch,
            (Some(Token::Word(word)), _) if unit => is_epoch(word) && !is_number_next(&rest[1..]),
            (Some(Token::Word(word)), Some((last, name))) if !self.separated => {
                is_epoch(word.trim_end_matches('s'))
                    && ["after", "at"].contains(&last.to_ascii_lowercase().as_str())
                    && quantity(&name.join(" ")).is_some()
            }
            _ => false,
        }
    }
}

/// Whether a percentage under a name with a set may be an accuracy: it is none of the known shares, such as an error rate.
fn is_share_of_set(name: &str) -> bool {
    let is_rate = |word: &String| ["rate", "ratio", "share"].contains(&word.as_str());
    names_part(name).is_some()
        && is_part(name).is_none()
        && !is_measure(name)
        && !names::is_ignorable(name)
        && !names::words(name).iter().any(is_rate)
}

/// Whether a whole number ends a range that another one begins: `0-20`.
pub(super) fn is_end_of_range(next: Option<&Token>) -> bool {
    matches!(next, Some(Token::Number { value, decimal: false, .. }) if *value < 0.0)
}

/// The mean so far in brackets behind a value, and its length in pieces: `Loss 6.9 (7.0)`. What the value changed by is no
/// mean: `loss: 2.9 (-0.02)`.
fn mean_in_brackets<'t, 'a>(rest: &'t [Token<'a>], value: f64) -> Option<(&'t Token<'a>, usize)> {
    let (mean, length) = match rest {
        [Token::Mark('('), Token::Mark('\t'), mean @ Token::Number { .. }, Token::Mark(')'), ..] => (mean, 4),
        [Token::Mark('('), mean @ Token::Number { .. }, Token::Mark(')'), ..] => (mean, 3),
        _ => return None,
    };
    let is_change = matches!(mean, Token::Number { value: mean, .. } if *mean < 0.0 && value >= 0.0);
    (!is_change).then_some((mean, length))
}
