//! Lines that name an epoch: whether it is the next one, the same, or that of another run.

use super::{Line, Printed, Row, Target, meaning};

impl Printed {
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
        match self.epoch {
            Some(before) if number == before && !line.alone => return true,
            // `val epoch: 3` below `train epoch: 3`.
            Some(before) if number == before && line.heading.is_some() && line.heading != self.section => {
                self.section = line.heading;
                return true;
            }
            // A run that was resumed prints the same again. A remark on an earlier epoch does not.
            Some(before) if number < before && !line.alone && self.says_as_much(line) => {
                self.hand_over(rows);
                self.fit += 1;
                self.note("the epoch goes back, so the file has several runs; each is a curve of its own");
            }
            Some(before) if number <= before && number > 1.0 && !line.alone => return false,
            // A line about an epoch whose values came before, in lines without a number.
            Some(before) if number <= before => {
                self.hand_over(rows);
                self.fit += 1;
                if number > 1.0 {
                    self.note("the epoch goes back, so the file has several runs; each is a curve of its own");
                }
            }
            // Another run, whose first epochs are not in the log.
            Some(before) if number > before + 1.0 && std::mem::take(&mut self.ended) => {
                self.hand_over(rows);
                self.fit += 1;
                self.note("a line says that training is over, and other epochs follow; they are a curve of their own");
            }
            None if self.values.is_empty() => {}
            _ => self.hand_over(rows),
        }
        self.ended = false;
        let section = line.heading.filter(|_| line.alone);
        (self.epoch, self.section, self.total) = (Some(number), section, None);
        true
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
