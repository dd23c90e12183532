//! One printed line: the epoch or step that it names, and its metrics by name.
//!
//! A metric is a name and a number. `name: number` and `name=number` are pairs whatever the name; `name number` is one if
//! the name means a metric. A set that is named once (`val Loss: 0.8 Acc: 0.6`) applies to what follows it in the line,
//! and so does a quantity (`LOSS train 0.5 valid 0.4`).

mod known;
mod leading;
mod numbers;
mod whole;

use super::names::{is_bare_part, is_part, meaning, names_part, quantity};
use super::scan::{Token, scan};
use super::special::{are_both_sets, is_measure, score};
use super::{Target, names};
pub(crate) use known::{of_round, of_set, short_name, summed};
use leading::epoch_within;
use numbers::is_end_of_range;
pub(crate) use whole::announced;
use whole::{
    is_end, is_mean, is_of_set, is_one_value, is_partial, is_remark, is_time_unit, is_with_file, losses_of_sets,
    number_again, only_epoch, total,
};

/// Words before the number of an epoch, and words that make it another number: `best epoch: 7`.
const EPOCH: [&str; 6] = ["epoch", "ep", "epoche", "epoch_in", "epoch_inner", "inner_epoch"];
const NO_EPOCH: [&str; 9] = ["over", "best", "last", "per", "total", "max", "num", "each", "every"];
const STEP: [&str; 13] = [
    "step",
    "iter",
    "iters",
    "iteration",
    "global_step",
    "batch",
    "batches",
    "it",
    "update",
    "up",
    "minibatch",
    "minibatches",
    "mini-batch",
];
/// Words between the word and its number: `Epoch is: 3`, `Step no. 3`.
const BETWEEN: [&str; 8] = ["is", "no", "nr", "number", "num", "index", "idx", "id"];
/// Words before the number of an epoch that begins: `Start of epoch 3`.
const OPENING: [&str; 8] = ["start", "starting", "begin", "beginning", "of", "the", "training", "running"];
/// What draws a progress bar.
const BARS: [&str; 4] = ["%|", "[==", "[>..", "[.."];
/// Speeds, which stand beside a bar.
const SPEEDS: [&str; 2] = ["it/s", "s/it"];
/// Longest remark in brackets, in pieces: `(for one batch)`.
const REMARK: usize = 8;
/// Most words of an unknown name without `:` or `=`.
const LOOSE: usize = 3;
/// Words of a name that are kept.
const LONGEST_NAME: usize = 8;

/// A number under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The name, with the set that the line gives it.
    pub name: String,
    /// The number. Accuracies with a percent sign are shares.
    pub value: f64,
    /// Whether it is a mean over the epoch so far, so that the last one counts.
    pub running: bool,
}

/// What a line says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// The epoch that it names, as the program counts.
    pub epoch: Option<f64>,
    /// Whether the epoch is a boosting round: `[50]`.
    pub is_round: bool,
    /// The number of epochs that it names: `Epoch 3/10`.
    pub epochs: Option<f64>,
    /// Whether the line names the epoch and says nothing else.
    pub alone: bool,
    /// Whether it does so in words, which may come again in the same epoch.
    pub in_words: bool,
    /// The optimizer step, boosting round, or batch that it names.
    pub step: Option<f64>,
    /// The batch that it names by a fraction alone: `[10/500]`.
    pub batch: Option<f64>,
    /// The number of batches in that fraction.
    pub of: Option<f64>,
    /// Whether the fraction stands before all metrics. Behind an accuracy, it may count answers: `Acc: 40% (40/100)`.
    pub counts_batches: bool,
    /// The number of steps of a progress bar, with which the line begins: `10/10 [====]`.
    pub total: Option<f64>,
    /// Whether it reports on a part of an epoch: a batch, or a progress bar.
    pub progress: bool,
    /// Whether it draws a progress bar.
    pub bar: bool,
    /// Whether a comma was read as the decimal mark.
    pub decimal_commas: bool,
    /// Whether it is CatBoost's, which names the sets and not the metric.
    pub bare_sets: bool,
    /// Whether it has numbers of both sets, and does not say that they are losses.
    pub names_no_quantity: bool,
    /// Whether a progress bar is incomplete.
    pub partial: bool,
    /// Its metrics, in order.
    pub pairs: Vec<Pair>,
    /// The numbers before means so far, by the names of these: 0.5 in `loss: 0.5 (0.6)`.
    pub own: Vec<(String, f64)>,
    /// Numbers under unknown names without `:` or `=`, which no curve is made of.
    pub loose: Vec<Pair>,
    /// The last set that it names, or that was announced.
    pub part: Option<&'static str>,
    /// The set that it announces for the next lines.
    pub heading: Option<&'static str>,
    /// Whether it continues the previous one: ` * Acc@1 76.1`.
    pub starred: bool,
}

/// A line and its pieces, which several readers look at.
#[derive(Debug)]
pub struct Text<'a> {
    /// As it was printed, without what loggers write before it.
    pub raw: &'a str,
    pub tokens: Vec<Token<'a>>,
}

impl<'a> Text<'a> {
    pub fn of(raw: &'a str) -> Text<'a> {
        Text { raw, tokens: scan(raw) }
    }
}

/// Reads a line. `part` is the set that earlier lines announced, and `metric` is a name that is also known.
pub fn parse(text: &Text, part: Option<&'static str>, metric: &str) -> Line {
    let Text { raw: text, tokens } = text;
    if let Some(line) = known::line(text, part) {
        return line;
    }
    let mut parser = Parser { metric, part, ..Parser::default() };
    // Paddle's bar is drawn by its numbers alone.
    let counts_steps = || text.trim_start().starts_with("step ") && text.contains("/step");
    let has_speed = || text.contains(['[', '|', '%']) && SPEEDS.iter().any(|speed| text.contains(speed));
    parser.line.bar = BARS.iter().any(|bar| text.contains(bar)) || has_speed() || counts_steps();
    parser.line.decimal_commas = tokens.iter().any(|token| matches!(token, Token::Number { comma: true, .. }));
    parser.line.starred = text.trim_start().starts_with("* ");
    let mut at = parser.leading(tokens);
    while at < tokens.len() {
        at += parser.token(tokens, at);
    }
    parser.close();
    let counted = parser.counted;
    let loose = std::mem::take(&mut parser.loose);
    let bare_sets = parser.bare_sets;
    let mut line = Line { bare_sets, part: parser.part, ..parser.line };
    let loose = losses_of_sets(&mut line, loose);
    let has_metric = line.pairs.iter().any(|pair| matches!(meaning(&pair.name), Some((Target::Metric(_), _))));
    // `ep 3 tr 0.9 va 0.8`.
    let are_sets = !has_metric && line.epoch.is_some() && are_both_sets(loose.iter().map(|pair| pair.name.as_str()));
    if has_metric && (text.contains('|') || text.contains(" - ")) || are_sets {
        line.pairs.extend(loose);
    } else if let Some(part) = line.part.filter(|part| is_of_set(tokens, part) || line.starred) {
        // `Test: [0/2]  ADE 1.29 (1.29)  FDE 2.45 (2.45)`.
        line.pairs.extend(loose.into_iter().filter_map(|pair| pair.of_set(part)));
    } else {
        line.loose = loose;
    }
    let is_counted = counted.is_some() && matches!(tokens.first(), Some(Token::Fraction(..)));
    line.total = total(tokens, line.bar).filter(|_| !is_counted);
    // Nobody validates after each batch: a line with a validation metric reports on an epoch.
    let of_validation = |pair: &Pair| names_part(&pair.name).is_some_and(names::is_validation);
    if line.pairs.iter().any(|pair| of_validation(pair) && !pair.running) && line.total.is_none() {
        line.epoch = line.epoch.or(counted);
        line.progress &= line.step.is_none();
    }
    line.partial = is_partial(text, line.bar) && !is_counted;
    number_again(&mut line.pairs);
    // `Saved the best model (val loss: 0.5)` repeats a number.
    if line.epoch.is_none() && line.step.is_none() && is_remark(tokens) {
        line.pairs.iter_mut().chain(&mut line.loose).for_each(|pair| pair.name = format!("best {}", pair.name));
    }
    line.alone = line.epoch.is_some() && line.pairs.is_empty() && !parser.spoke;
    // `> TRAINING (2022-11-03 10:52:23)`.
    let without_time = text.split_once(" (").filter(|(_, inside)| !inside.contains(char::is_alphabetic));
    let letters = without_time.map_or(*text, |(before, _)| before);
    let letters = letters.trim_matches(|letter: char| !letter.is_alphanumeric());
    let letters = letters.strip_prefix("Checking accuracy on ").unwrap_or(letters);
    line.heading = line.pairs.is_empty().then(|| is_part(letters)).flatten();
    if line.alone {
        // `val epoch: 3`.
        line.heading = names_part(letters);
    } else if let Some(part) = only_epoch(&line, tokens) {
        (line.alone, line.in_words, line.heading) = (true, true, part);
    } else if line.epoch.is_some() && line.pairs.is_empty() && !line.bar && is_with_file(text) {
        (line.alone, line.in_words) = (true, true);
    }
    line
}

#[derive(Debug, Default)]
struct Parser<'a> {
    metric: &'a str,
    line: Line,
    /// Words since the last separator.
    phrase: Vec<&'a str>,
    /// Whether `:` or `=` followed the phrase.
    separated: bool,
    part: Option<&'static str>,
    quantity: Option<&'static str>,
    /// What the line counts in brackets at its beginning: `[3/10]`.
    counted: Option<f64>,
    /// The next number is an epoch, or a step.
    wants_epoch: bool,
    wants_step: bool,
    /// Words besides those of the epoch.
    spoke: bool,
    /// The quantity is that of a pair, not of a heading.
    of_pair: bool,
    /// Boosting rounds of CatBoost, which does not name its metric.
    bare_sets: bool,
    /// Within round brackets, where the loss of another set may stand: `loss: 0.5 (val: 0.6)`.
    in_brackets: bool,
    /// The name before a place: `Cost after epoch 5: 0.5`.
    placed: Vec<&'a str>,
    /// Whether a word named the epoch.
    named: bool,
    /// Decimal numbers under unknown names without a separator.
    loose: Vec<Pair>,
    /// The name of what follows the value in brackets: `Loss(Acc): 0.5(80%)`.
    in_brackets_next: Vec<&'a str>,
    /// The class whose number stands in a name: `AUC for class 2 = 0.9`.
    class: Option<f64>,
}

/// Whether a word is that of an epoch, also with two letters in the wrong order.
fn is_epoch(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let mut letters: Vec<u8> = word.bytes().collect();
    letters.sort_unstable();
    EPOCH.contains(&word.as_str()) || letters == b"cehop"
}

impl<'a> Parser<'a> {
    /// Takes the piece at a place, and returns how many it took.
    fn token(&mut self, tokens: &[Token<'a>], at: usize) -> usize {
        let next = tokens.get(at + 1);
        match tokens[at] {
            // `12.3 sec(s) Train Acc: 0.5`.
            Token::Word(word) if self.phrase.is_empty() && at > 0 && is_time_unit(word, &tokens[at - 1]) => {}
            Token::Word(word) => self.word(word),
            Token::Mark('(') if let Some(length) = self.remark(&tokens[at + 1..]) => return length + 2,
            // `step 10, loss_train, 0.838`. Behind a list of names, a list of numbers follows.
            Token::Mark(',') if self.has_metric() && is_one_value(&tokens[at + 1..]) && !self.of_list(tokens, at) => {
                self.separated = true;
            }
            Token::Mark(mark) => self.mark(mark, next),
            Token::Fraction(a, b) => self.fraction(a, b),
            // `Test after epoch_3: 100%|####|`.
            Token::Number { percent: true, .. } if self.line.bar && next == Some(&Token::Mark('|')) => {
                self.line.progress = true;
                self.heading();
                self.end_of_number();
            }
            // `Train loss 250 0.5`, `Validation loss 250: 0.5`: the first number is the step.
            Token::Number { value, decimal: false, unit: false, percent: false, .. }
                if self.is_step_of_loss(&tokens[at + 1..]) =>
            {
                self.line.step = Some(value);
                return 1 + usize::from(next == Some(&Token::Mark(':')));
            }
            // `| train 2.1s | Acc 9%`: the time of a set, which ends there.
            Token::Number { unit: true, .. }
                if matches!(tokens.get(at + 2), None | Some(Token::Mark('|' | ',')))
                    && is_bare_part(&self.phrase.join(" ")) =>
            {
                self.end_of_number();
            }
            // `Prec@1  05 100.0 (99.9)`: the first number belongs to the name.
            Token::Number { decimal: false, unit: false, percent: false, .. } if self.is_of_name(&tokens[at + 1..]) => {
                self.phrase.push("numbered");
            }
            Token::Number { value, decimal: false, unit: false, percent: false, .. } if self.is_class(next) => {
                self.class = Some(value);
            }
            // `coco/AP .75: 0.6`: another score than `coco/AP`.
            Token::Number { value, decimal: true, unit: false, percent: false, .. }
                if !self.separated
                    && matches!(next, Some(Token::Mark(':' | '=')))
                    && score(&self.phrase.join(" ")).is_some() =>
            {
                self.phrase.push(if value == 0.5 { "50" } else { "75" });
            }
            // MXNet's batches: `Epoch[5] Batch [0-20]`.
            Token::Number { decimal: false, unit: false, .. } if self.wants_step && is_end_of_range(next) => {
                self.line.progress = true;
                self.end_of_place();
                return 2;
            }
            // `1epoch results`, `epoch 1/accuracy: 0.8`, `Training loss after 3 epochs: 0.5`.
            Token::Number { value, decimal: false, unit, .. } if self.is_epoch_before(&tokens[at + 1..], unit) => {
                self.hold_name();
                self.epoch(value);
                self.end_of_place();
                return 2;
            }
            Token::Number { value, unit: false, .. } if self.behind_arrow(tokens, at, value) => {}
            Token::Number { value, percent, unit, decimal, .. } => {
                return self.value(&tokens[at + 1..], value, (percent, unit, decimal));
            }
        }
        1
    }

    /// Takes words in brackets, which belong to the name before them: `Loss (val)`, `f1 (micro avg)`. Returns how many
    /// pieces they are. `None` for anything else, such as numbers.
    fn remark(&mut self, inside: &[Token<'a>]) -> Option<usize> {
        if self.phrase.is_empty() {
            return None;
        }
        let length = inside.iter().take(REMARK).position(|token| *token == Token::Mark(')'))?;
        // `Accuracy (%): 95`.
        let words = inside[..length].iter().filter(|token| **token != Token::Mark('%')).map(|token| match token {
            Token::Word(word) => Some(*word),
            _ => None,
        });
        let words: Vec<&str> = words.collect::<Option<_>>()?;
        let part = is_part(&words.join(" "));
        if self.wants_epoch || self.wants_step {
            self.part = part.or(self.part);
            // `Iter(val) [500]` counts the batches of validation.
            self.wants_step &= !part.is_some_and(names::is_validation);
        } else if part.is_some() {
            self.phrase.extend(words);
        } else if quantity(&words.join(" ")).is_some() && self.has_metric() {
            self.in_brackets_next = words;
        } else if !self.has_metric() && score(&self.phrase.join(" ")).is_some() {
            // `Dice (augmented)` is another score than `Dice`.
            self.phrase.extend(words);
        }
        Some(length)
    }

    /// Whether a comma at a place follows the second of two names: `loss, accuracy,`.
    fn of_list(&self, tokens: &[Token], at: usize) -> bool {
        let before = at.checked_sub(self.phrase.len() + 2).and_then(|at| tokens.get(at..at + 2));
        matches!(before, Some([Token::Word(_), Token::Mark(',')]))
    }

    fn word(&mut self, word: &'a str) {
        let lower = word.to_ascii_lowercase();
        let before = self.phrase.last().map(|word| word.to_ascii_lowercase());
        // `it is 3` is prose.
        if (self.wants_epoch || self.wants_step && lower != "is") && BETWEEN.contains(&lower.as_str()) {
            return;
        }
        let is_other = before.as_ref().is_some_and(|word| NO_EPOCH.contains(&word.as_str()));
        if let Some((set, number)) = epoch_within(word).filter(|_| !is_other) {
            self.hold_name();
            self.heading();
            self.part = is_part(set).or(self.part);
            self.epoch(number);
            return self.end_of_place();
        }
        if is_epoch(word) && !is_other {
            self.hold_name();
            self.heading();
            (self.wants_epoch, self.separated) = (true, false);
            self.phrase.push(word);
            return;
        }
        if self.wants_epoch && is_part(word).is_none() {
            self.wants_epoch = false;
        }
        // `train loss is 0.9 and validation loss is 0.8`.
        if lower == "and" && self.phrase.is_empty() {
            return;
        }
        // `Loss at epoch 0 and iteration 500 is 0.3`: the name is that of what follows both places.
        if lower == "and" && self.named && !self.separated && quantity(&self.phrase.join(" ")).is_some() {
            self.placed = std::mem::take(&mut self.phrase);
            return;
        }
        let was_step = self.wants_step && is_part(word).is_some();
        self.wants_step = STEP.contains(&lower.as_str());
        if self.wants_step {
            // `train step:0    loss: 4.9`.
            self.part = is_part(&self.phrase.join(" ")).or(self.part);
            self.hold_name();
        }
        self.wants_step |= was_step;
        self.spoke |= !OPENING.contains(&lower.as_str()) && is_part(word).is_none();
        if lower == "dict" && before.as_deref() == Some("saving") {
            // TensorFlow's estimators: `Saving dict for global step 1000: accuracy = 0.4, loss = 1.7`.
            self.part = Some("eval");
        }
        // `A Loss: 0.5 vs B Loss: 0.6`.
        if lower == "vs" {
            return self.close();
        }
        // `Test set: Average loss`: what stood before the colon was a heading.
        if self.separated {
            self.heading();
        }
        // `Loss at epoch 1 was 0.3`.
        if matches!(lower.as_str(), "is" | "was") && quantity(&self.phrase.join(" ")).is_some() {
            self.separated = true;
            return;
        }
        self.phrase.push(word);
        if self.phrase.len() > LONGEST_NAME {
            self.phrase.remove(0);
        }
    }

    fn mark(&mut self, mark: char, next: Option<&Token>) {
        let number_follows = matches!(next, Some(Token::Number { .. } | Token::Fraction(..)));
        self.in_brackets = mark == '(' || self.in_brackets && mark != ')';
        match mark {
            ':' | '=' => self.separated = !self.phrase.is_empty(),
            '+' if number_follows => {}
            '~' | '≈' if number_follows => self.separated |= !self.phrase.is_empty(),
            '[' | '(' if self.wants_epoch || self.wants_step || self.separated => {}
            '\t' if number_follows || self.separated || self.wants_epoch || self.wants_step => {}
            // `Train Acc  : 0.5`: separators that are aligned.
            '\t' if matches!(next, Some(Token::Mark(':' | '='))) => {}
            // A minus or a hash between words is no separator by itself: `Epoch #3`, `Epoch... (3/10`.
            '#' | '.' if self.wants_epoch || self.wants_step => {}
            // `Train. Acc.: 95%`, `Acc. 0.95`, `Acc ........ 0.95`.
            '.' if matches!(next, Some(Token::Mark(':' | '='))) => {}
            '.' if matches!(next, Some(Token::Mark('.'))) && self.has_metric() => {}
            '.' if matches!(next, Some(Token::Number { decimal: true, .. })) && self.has_metric() => {
                self.separated = true;
            }
            '-' if number_follows && !self.phrase.is_empty() && (self.line.bar || self.has_metric()) => {
                self.separated = true;
            }
            // `Epoch - 3`, `Epoch => 3`, `Epoch | 3`.
            '-' | '>' | '<' | '{' | '→' | '|' | ','
                if self.wants_epoch && (number_follows || next == Some(&Token::Mark('>'))) => {}
            // `val loss -> 0.5`.
            '-' if next == Some(&Token::Mark('>')) && self.has_metric() => {}
            '>' if number_follows && !self.separated && self.has_metric() => self.separated = true,
            '[' if !self.phrase.is_empty() && matches!(next, Some(Token::Number { decimal: true, .. })) => {
                self.separated = true;
            }
            ']' | ')' if self.wants_epoch => {
                self.part = self.phrase.last().and_then(|word| is_part(word)).or(self.part)
            }
            '>' if self.separated => self.close(),
            _ => self.close(),
        }
    }

    /// Ends a phrase. If it names only a set, this is the set of what follows.
    fn close(&mut self) {
        self.heading();
        (self.wants_epoch, self.wants_step) = (false, false);
    }

    /// Whether the phrase is the name of a metric.
    fn has_metric(&self) -> bool {
        matches!(meaning(&self.phrase.join(" ")), Some((Target::Metric(_), _)))
    }

    /// Keeps the name of a metric that stands before its place: `loss at step`, `Cost after epoch`.
    fn hold_name(&mut self) {
        let before = |word: &&&str| !matches!(word.to_ascii_lowercase().as_str(), "at" | "after" | "in" | "for");
        let name: Vec<&str> = self.phrase.iter().take_while(before).copied().collect();
        if !self.separated && name.len() < self.phrase.len() && quantity(&name.join(" ")).is_some() {
            self.placed = name;
            self.phrase.clear();
        } else if !self.separated && name.len() < self.phrase.len() && is_part(&name.join(" ")).is_some() {
            // `Validate performance at epoch 1 is precision: 0.8`.
            self.part = is_part(&name.join(" "));
            self.phrase.clear();
        }
    }

    /// Ends a place. The name that stood before it is the name of what follows, or of its set.
    fn end_of_place(&mut self) {
        self.end_of_number();
        self.phrase = std::mem::take(&mut self.placed);
        self.part = names_part(&self.phrase.join(" ")).or(self.part);
    }

    fn heading(&mut self) {
        let phrase = self.phrase.join(" ");
        // `Validate completed, avg loss: 4.0`.
        let ended = || self.phrase.split_last().filter(|(last, _)| is_end(last)).map(|(_, words)| words.join(" "));
        if let Some(part) = is_part(&phrase).or_else(|| is_part(&ended()?)) {
            self.part = Some(part);
        } else if !phrase.is_empty() && self.separated {
            self.quantity = quantity(&phrase).filter(|_| meaning(&phrase).is_some()).or(self.quantity);
            let is_known = meaning(&phrase).is_some() || is_measure(&phrase);
            self.part = names_part(&phrase).filter(|_| is_known).or(self.part);
        }
        self.phrase.clear();
        self.separated = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let line = parse(&Text::of(text), None, "");
        let mut shown: Vec<String> = Vec::new();
        shown.extend(line.epoch.map(|epoch| format!("epoch {epoch}")));
        shown.extend(line.step.map(|step| format!("step {step}")));
        let metric = |pair: &Pair| matches!(meaning(&pair.name), Some((Target::Metric(_), _)));
        shown.extend(line.pairs.iter().filter(|pair| metric(pair)).map(|pair| {
            let Some((Target::Metric(at), _)) = meaning(&pair.name) else { unreachable!() };
            format!("{} {}", sweep_core::trial::METRICS[at], pair.value)
        }));
        shown.join(", ")
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "a table of cases")]
    fn lines_of_many_kinds_of_loops_are_read() {
        for (text, expected) in [
            ("Epoch 3/10 loss 0.53 val_acc 0.81", "epoch 3, train_loss 0.53, val_accuracy 0.81"),
            ("step 250: train loss 4.28, val loss 4.30", "step 250, train_loss 4.28, val_loss 4.3"),
            ("iter 250: loss 2.4521, time 93.21ms, mfu 1.23%", "step 250, train_loss 2.4521"),
            ("Epoch: 1/20... Loss: 3.07... Val Loss: 3.08", "epoch 1, train_loss 3.07, val_loss 3.08"),
            ("Test set: Average loss: 0.0512, Accuracy: 9844/10000 (98%)", "val_loss 0.0512, val_accuracy 0.9844"),
            ("Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.205", "epoch 1, train_loss 2.205"),
            (
                "Epoch: [0][  10/5005]\tTime  0.5 ( 1.2)\tData  0.0 ( 0.3)\tLoss 6.9e+00 (7.0e+00)\tAcc@1   0.00 (  0.14)\tAcc@5   0.78 (  0.64)",
                "epoch 0, train_loss 7, train_accuracy 0.14",
            ),
            (
                "Test: [ 0/196]\tTime  4.9 ( 4.9)\tLoss 6.1e-01 (6.2e-01)\tAcc@1  84.0 ( 83.0)",
                "val_loss 0.62, val_accuracy 83",
            ),
            (
                "Epoch: [0]  [   0/1251]  eta: 0:49:42  lr: 0.1  img/s: 108.35  loss: 7.1 (7.2)  acc1: 0.0 (0.5)  acc5: 0.7 (0.7)  time: 2.38",
                "epoch 0, train_loss 7.2, train_accuracy 0.5",
            ),
            ("LOSS train 0.5 valid 0.4", "train_loss 0.5, val_loss 0.4"),
            ("Loss: train 0.5, val 0.4", "train_loss 0.5, val_loss 0.4"),
            ("train/val loss: 0.5/0.4", "train_loss 0.5, val_loss 0.4"),
            ("[1,  2000] loss: 2.173", "epoch 1, step 2000, train_loss 2.173"),
            ("Accuracy of the network on the 10000 test images: 55 %", "val_accuracy 0.55"),
            ("Epoch [1/5], Step [100/600], Loss: 0.24", "epoch 1, step 100, train_loss 0.24"),
            ("[10]\tvalidation_0-logloss:0.65310", "epoch 10, val_loss 0.6531"),
            ("[10]\ttrain-rmse:0.5\teval-rmse:0.6", "epoch 10, train_loss 0.5, val_loss 0.6"),
            (
                "[20]\ttraining's binary_logloss: 0.31\tvalid_1's binary_logloss: 0.35",
                "epoch 20, train_loss 0.31, val_loss 0.35",
            ),
            (
                "7:\tlearn: 0.6931\ttest: 0.6930\tbest: 0.6930 (0)\ttotal: 50ms\tremaining: 1m 2s",
                "epoch 7, train_loss 0.6931, val_loss 0.693",
            ),
            (
                "2021-01-01 10:00:00 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 11.9 | nll_loss 11.7 | ppl 3300 | best_loss 11.9",
                "epoch 1, val_loss 11.9, val_loss 11.7",
            ),
            (
                "| epoch   1 |   200/ 2983 batches | lr 20.00 | ms/batch 10.51 | loss  7.63 | ppl  2064.46",
                "epoch 1, train_loss 7.63",
            ),
            ("| end of epoch   1 | time: 35.2s | valid loss  5.80 | valid ppl   330.23", "epoch 1, val_loss 5.8"),
            (
                "mmdet - INFO - Epoch [1][50/1000]\tlr: 2.000e-02, eta: 1:02:03, loss_cls: 0.6, loss: 0.9",
                "epoch 1, train_loss 0.9",
            ),
            ("Epoch(val)  [3][79/79]    accuracy/top1: 45.6000  data_time: 0.0131", "epoch 3, val_accuracy 45.6"),
            ("Iteration 2, loss = 0.35", "step 2, train_loss 0.35"),
            ("Validation score: 0.93", "val_accuracy 0.93"),
            (
                "Epoch 1 | Train Loss: 0.5 | Train Acc: 80.1% | Val Loss: 0.6 | Val Acc: 79.5%",
                "epoch 1, train_loss 0.5, train_accuracy 0.8009999999999999, val_loss 0.6, val_accuracy 0.795",
            ),
            (
                "Epoch 2, train: loss 0.5 acc 0.8, val: loss 0.6 acc 0.7",
                "epoch 2, train_loss 0.5, train_accuracy 0.8, val_loss 0.6, val_accuracy 0.7",
            ),
            ("[Train] Loss: 0.5 [Val] Loss: 0.6", "train_loss 0.5, val_loss 0.6"),
            ("epoch=4 | training loss = 0.5 (±0.1)", "epoch 4, train_loss 0.5"),
            ("Validation loss decreased (0.333 --> 0.222).  Saving model ...", ""),
            ("Best val Acc: 0.94", ""),
            ("Best epoch: 36, time per epoch: 12", ""),
            ("{'loss': 0.5, 'grad_norm': 1.2, 'learning_rate': 2e-05, 'epoch': 1.5}", "epoch 1.5, train_loss 0.5"),
            (
                "Epoch 0: 100%|██████| 100/100 [00:01<00:00, 99.1it/s, loss=0.5, v_num=0, val_loss=0.4]",
                "epoch 0, train_loss 0.5, val_loss 0.4",
            ),
            ("lr: [0.0001] loss: 0.5.", "train_loss 0.5"),
            ("epoch   1/accuracy: 0.7 / precision: 0.6", "epoch 1, train_accuracy 0.7"),
            ("Epoch: [1 | 600]", "epoch 1"),
            ("Epoch is: 3, Validation Loss is: 0.5", "epoch 3, val_loss 0.5"),
            ("Epoch no. 3: loss 0.5", "epoch 3, train_loss 0.5"),
            ("Epoch => 3 loss: 0.5", "epoch 3, train_loss 0.5"),
            ("Epoch - 3 loss: 0.5", "epoch 3, train_loss 0.5"),
            ("epoch-3: loss: 0.5", "epoch 3, train_loss 0.5"),
            ("Epochs: 3/10", "epoch 3"),
            ("eopch=0", "epoch 0"),
            ("Cost at 10 epochs = 0.083.", "epoch 10, train_loss 0.083"),
            (
                "Epoch: 001, Loss: 0.5, Train: 0.9, Val: 0.8",
                "epoch 1, train_loss 0.5, train_accuracy 0.9, val_accuracy 0.8",
            ),
            ("[3/10] tr_loss: 0.5 va_loss: 0.6", "epoch 3, train_loss 0.5, val_loss 0.6"),
            ("Iteration 100/500, train loss: 0.5, val loss: 0.6", "step 100, train_loss 0.5, val_loss 0.6"),
            ("Validation: 100%|####| 5/5 [00:01<00:00]", ""),
            ("2024-05-01 12:00:01,123 root INFO training loss 0.5", ""),
            ("kl loss 0.5, style_loss: 3", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
