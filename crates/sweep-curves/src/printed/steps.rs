//! Lines that name optimizer steps: beside the epoch, before its end, or alone.

use super::{Line, Place, Printed, Row, is_metric, is_validation, names_part};

fn of_validation(name: &str) -> bool {
    names_part(name).is_some_and(is_validation)
}

impl Printed {
    /// Takes lines that name the epoch and the step, validation among them, as rows of their own. Returns whether the line is
    /// one.
    pub(super) fn by_step(&mut self, line: &Line, measures: bool, rows: &mut Vec<Row>) -> bool {
        if line.epoch.is_none() || line.step.is_none() || line.bar || line.progress || !measures {
            return false;
        }
        let metrics = || line.pairs.iter().filter(|pair| is_metric(&pair.name));
        // Batches of the validation set are counted from their first.
        let counts_batches = line.epoch == self.epoch && line.step < self.inner.step;
        self.inner = Place { epoch: line.epoch, step: line.step };
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

    /// Takes the values before the means in brackets at a step. Without epochs, these are means since the start of training.
    pub(super) fn without_means(&mut self, line: &mut Line) {
        if line.own.is_empty() || line.step.is_none() || line.epoch.or(self.epoch).is_some() {
            return;
        }
        for (name, own) in std::mem::take(&mut line.own).into_iter().filter(|(name, _)| !of_validation(name)) {
            let mut pairs = line.pairs.iter_mut().filter(|pair| pair.name == name);
            pairs.by_ref().for_each(|pair| (pair.value, pair.running) = (own, false));
            if is_metric(&name) {
                self.note(
                    "the numbers in brackets are means since the start of training, so the numbers before them were \
                     used",
                );
            }
        }
    }

    /// Takes batches for steps, if evaluations stand between them: a line without an epoch is of the step above it.
    pub(super) fn by_batch(&self, line: &mut Line) {
        if !self.by_batch || line.bar {
            return;
        }
        if line.epoch.is_some() {
            line.step = line.step.or(line.batch);
            line.progress &= line.step.is_none();
        } else if !line.progress && line.pairs.iter().any(|pair| of_validation(&pair.name)) {
            (line.epoch, line.step) = (self.inner.epoch, self.inner.step.or(line.step));
        }
    }

    /// A progress bar over the whole training that is printed with each evaluation counts steps: `50% 500/1000 | val_loss=0.4`.
    pub(super) fn bar_by_step(&self, line: &mut Line, redrawn: bool) {
        let evaluates = line.pairs.iter().any(|pair| is_metric(&pair.name) && of_validation(&pair.name));
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

    /// Looks at the step of a line in a log without epochs. If it goes back, another run begins. A line without a metric may
    /// be a remark on an earlier step, unless it names the first one: `Iteration 0, Testing net`.
    pub(super) fn moves_on(&mut self, line: &Line, measures: bool) {
        if self.epoch.is_some() || self.step.is_none() || line.step.is_none() {
            return;
        }
        let evaluates_again =
            || line.pairs.iter().any(|pair| of_validation(&pair.name) && self.at_start.contains(&pair.name));
        let starts_again = line.step == self.step && line.step == self.first_step && measures && evaluates_again();
        let goes_back = starts_again || line.step < self.step && (measures || line.step <= self.first_step);
        if goes_back && !line.bar && !self.closes {
            self.fit += 1;
            (self.step, self.first_step) = (line.step, line.step);
            self.note("the step goes back, so the file has several runs; each is a curve of its own");
        }
        // `Iteration 500, Testing net`: what follows was measured there.
        if !measures && line.step > self.step {
            self.step = line.step;
        }
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
