//! Lines that name an epoch: whether it is the next one, the same, or that of another run.

use std::sync::LazyLock;

use regex::Regex;

use super::{Line, Printed, Row, Target, meaning};

/// Why another curve begins.
const BACK: &str = "the epoch goes back, so the file has several runs; each is a curve of its own";
const OVER: &str = "a line says that training is over, and other epochs follow; they are a curve of their own";
const PLANS: &str = "the number of planned epochs changes where epochs are missing, so what follows is another training and a \
                     curve of its own";
const DIVIDED: &str =
    "epochs are missing below a heading or a fence, so what follows is another training and a curve of its own";
const ROUNDS: &str = "boosting rounds follow other epochs, so they are a curve of their own";
/// An epoch with a word instead of a number, which is that of the network before training.
static UNTRAINED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)^\W*epoch\s*[:=#]\s*(?:init\w*|start|none|pre[- ]?train\w*|untrained|random)\b")
        .expect("it is an expression")
});

/// Whether a line is a heading or a fence of Markdown.
pub(super) fn divides(text: &str) -> bool {
    let text = text.trim();
    let heading = text.trim_start_matches('#');
    text.starts_with("```")
        || text.starts_with("~~~")
        || (1..=6).contains(&(text.len() - heading.len())) && heading.starts_with(' ')
}

impl Printed {
    /// Begins another training run.
    fn next_fit(&mut self, why: &str, rows: &mut Vec<Row>) {
        self.hand_over(rows);
        self.fit += 1;
        self.note(why);
    }

    /// Begins another training run at a line that names the epoch under way again, with other numbers.
    pub(super) fn begins_again(&mut self, line: &Line, rows: &mut Vec<Row>) {
        let value = |name: &str| self.values.iter().find(|value| value.name == name && value.final_value);
        let mut known = line.pairs.iter().filter_map(|pair| Some((pair.value, value(&pair.name)?.sum))).peekable();
        if known.peek().is_some() && known.any(|(now, before)| now != before) {
            self.next_fit(
                "an epoch comes again, so the training began again, and what follows is a curve of its own",
                rows,
            );
            self.epoch = None;
        }
    }

    /// Leaves out what was measured before training: `Epoch: init`, and the lines up to the first epoch with a number.
    /// Returns whether the line is left out.
    pub(super) fn precedes_training(&mut self, text: &str, line: &Line, rows: &mut Vec<Row>) -> bool {
        if UNTRAINED.is_match(text) {
            self.hand_over(rows);
            self.fit += u32::from(self.epoch.is_some());
            (self.epoch, self.header, self.untrained) = (None, None, true);
            self.note("values of the untrained network, whose epoch has no number, were left out");
        }
        self.untrained &= line.epoch.is_none();
        self.untrained
    }

    /// Handles a line that names an epoch. Returns whether the line's values belong to the training: a line that refers to
    /// an earlier epoch does not.
    pub(super) fn enters(&mut self, number: f64, line: &Line, rows: &mut Vec<Row>) -> bool {
        let mut number = number;
        if line.alone {
            number += self.header_lag;
            self.header = Some(number);
        } else if self.header.take() == Some(0.0) && number == 1.0 && self.values.is_empty() {
            // `EPOCH: 0` above `Epoch [1/50]`.
            (self.header_lag, self.epoch) = (self.header_lag + 1.0, None);
        }
        let (begins, ended) = (std::mem::take(&mut self.begins), std::mem::take(&mut self.ended));
        let divided = std::mem::take(&mut self.divided);
        let distance = self.epoch.map_or(0.0, |before| number - before);
        let skips = self.stride > 0.0 && distance > self.stride;
        self.stride = if skips { self.stride } else { self.stride.max(distance) };
        match self.epoch {
            Some(_) if begins => {
                self.next_fit("a line says that training begins, so what follows is a curve of its own", rows)
            }
            Some(before)
                if ended
                    && !line.alone
                    && (number < before && self.is_of_others(line) || number == before && self.says_as_much(line)) =>
            {
                self.next_fit(OVER, rows)
            }
            Some(before) if number == before && !line.alone => return true,
            // A header that is printed twice.
            Some(before) if number == before && self.values.is_empty() && line.heading.is_none() => return true,
            // `val epoch: 3` below `train epoch: 3`.
            Some(before) if number == before && line.heading.is_some() && line.heading != self.section => {
                self.section = line.heading;
                return true;
            }
            Some(before) if number == before && line.in_words => return true,
            // A header below the progress bars of its epoch.
            Some(before) if number == before && self.drawn && self.values.iter().all(|value| !value.final_value) => {
                return true;
            }
            // A run that was resumed prints the same again. A remark on an earlier epoch does not.
            Some(before) if number < before && !line.alone && self.says_as_much(line) => self.next_fit(BACK, rows),
            Some(before) if number <= before && number > 1.0 && !line.alone => return false,
            // A line about an epoch whose values came before, in lines without a number.
            Some(before) if number <= before => {
                self.hand_over(rows);
                self.fit += 1;
                if number > 1.0 {
                    self.note(BACK);
                }
            }
            // Another run, whose first epochs are not in the log.
            Some(before) if number > before + 1.0 && ended => self.next_fit(OVER, rows),
            Some(before) if number > before + 1.0 && line.is_round && !self.is_round && self.is_of_others(line) => {
                self.next_fit(ROUNDS, rows)
            }
            Some(_) if skips && self.other_plan.is_some() => self.next_fit(PLANS, rows),
            Some(_) if skips && divided => self.next_fit(DIVIDED, rows),
            None if self.values.is_empty() => {}
            _ => self.hand_over(rows),
        }
        self.is_round = line.is_round;
        let section = line.heading.filter(|_| line.alone);
        (self.epoch, self.section, self.total) = (Some(number), section, None);
        true
    }

    /// Whether a line has none of the metrics of the last line that named its epoch.
    fn is_of_others(&self, line: &Line) -> bool {
        let is_known = |name: &String| line.pairs.iter().any(|pair| pair.name == *name);
        !self.of_line.is_empty() && !line.pairs.is_empty() && !self.of_line.iter().any(is_known)
    }

    /// Whether a line has all metrics of the epoch under way.
    fn says_as_much(&self, line: &Line) -> bool {
        if !self.of_line.is_empty() {
            return self.of_line.iter().all(|name| line.pairs.iter().any(|pair| pair.name == *name));
        }
        let is_metric = |name: &str| matches!(meaning(name), Some((Target::Metric(_), _)));
        let mut known = self.values.iter().filter(|value| is_metric(&value.name)).peekable();
        known.peek().is_some() && known.all(|value| line.pairs.iter().any(|pair| pair.name == value.name))
    }
}
