//! Lines that name optimizer steps: beside the epoch, before its end, or alone.

use super::{Line, Printed, Row, is_metric, is_validation, names_part};

impl Printed {
    /// Takes lines that name the epoch and the step, validation among them, as rows of their own. Returns whether the line is
    /// one.
    pub(super) fn by_step(&mut self, line: &Line, measures: bool, rows: &mut Vec<Row>) -> bool {
        if line.epoch.is_none() || line.step.is_none() || line.bar || line.progress || !measures {
            return false;
        }
        let of_validation = |name: &str| names_part(name).is_some_and(is_validation);
        let metrics = || line.pairs.iter().filter(|pair| is_metric(&pair.name));
        // Batches of the validation set are counted from their first.
        let counts_batches = line.epoch == self.epoch && line.step < self.inner_step;
        self.inner_step = line.step;
        if !self.is_by_step
            && !counts_batches
            && metrics().all(|pair| (of_validation(&pair.name) || self.by_batch) && !pair.running)
        {
            self.is_by_step = true;
            if self.news {
                let mut row = self.row();
                row.place.step = line.step;
                rows.push(row);
            }
            self.values.clear();
            self.news = false;
        }
        if self.is_by_step {
            self.own_row(line, rows);
        }
        self.is_by_step
    }

    /// A progress bar over the whole training that is printed with each evaluation counts steps: `50% 500/1000 | val_loss=0.4`.
    pub(super) fn bar_by_step(&self, line: &mut Line, redrawn: bool) {
        let of_validation = |pair: &super::super::line::Pair| names_part(&pair.name).is_some_and(is_validation);
        let evaluates = line.pairs.iter().any(|pair| is_metric(&pair.name) && of_validation(pair));
        let has_epochs = line.epoch.or(self.epoch).is_some() || self.counted > 0.0 && self.step.is_none();
        let is_inside = line.batch.zip(line.of).is_some_and(|(done, of)| done < of || self.step.is_some());
        let measured = self.values.iter().any(|value| is_metric(&value.name));
        if line.bar && !redrawn && evaluates && !has_epochs && is_inside && !measured {
            (line.step, line.bar, line.progress, line.partial) = (line.batch, false, false, false);
        }
    }

    /// Takes a line that ends an epoch, after lines that name only steps: `(Epoch 1 / 10) train acc: 0.4`. Returns whether it
    /// is one.
    pub(super) fn closes_epoch(&mut self, line: &Line, text: &str, measures: bool, rows: &mut Vec<Row>) -> bool {
        let is_end = line.epoch.is_some() && line.step.is_none() && measures && !line.bar;
        self.closes |= is_end && self.epoch.is_none() && self.step.is_some();
        if is_end && self.closes {
            self.epoch = line.epoch;
            self.take(line, text, false);
            self.hand_over(rows);
            self.epoch = None;
        }
        is_end && self.closes
    }

    /// Gives what was measured before the first step, such as the loss of the network as it was initialized.
    pub(super) fn before_first_step(&mut self, line: &Line, rows: &mut Vec<Row>) {
        if self.step.is_none() && !self.values.is_empty() && self.whole {
            let mut row = self.row();
            row.place.step = line.step.map(|step| (step - 1.0).max(0.0));
            rows.push(row);
            self.values.clear();
            self.news = false;
        }
    }
}
