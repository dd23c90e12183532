//! The values of the epoch under way, and its row.

use std::collections::HashSet;

use super::{
    Line, MOST_NAMES, Pair, Place, Printed, Row, Target, Value, is_metric, is_validation, meaning, names, names_part,
    same_name,
};

impl Printed {
    /// Whether a line has a metric that the epoch already has, so that it begins another one.
    pub(super) fn repeats(&self, line: &Line) -> bool {
        line.pairs.iter().any(|pair| self.values.iter().any(|value| value.name == pair.name && value.final_value))
    }

    /// Whether a line is a complete progress bar with nothing new, below another one.
    pub(super) fn repeats_bar(&self, line: &Line) -> bool {
        let is_known = |name: &str| self.values.iter().any(|value| value.name == name);
        let is_done = line.bar && line.batch.is_some() && line.batch == line.of;
        let is_complete = (line.total.is_some() || is_done) && !line.partial && !line.pairs.is_empty();
        self.had_bar && is_complete && line.pairs.iter().all(|pair| is_known(&pair.name))
    }

    pub(super) fn take(&mut self, line: &Line, text: &str, redrawn: bool) {
        let bar = line.bar || line.total.is_some();
        let is_done = line.bar && line.batch.is_some() && line.batch == line.of;
        // A bar that begins again below a complete one is that of the next epoch.
        let is_next = line.bar && self.had_bar && line.batch < line.of;
        self.had_bar |= (line.total.is_some() || is_done) && !line.partial && !redrawn && !text.contains("ETA");
        let drawn_again = redrawn || line.partial || bar && text.contains('%') && !text.contains("100%");
        if !line.pairs.is_empty() {
            self.settled = !drawn_again;
        }
        self.whole |= !line.pairs.is_empty() && !line.partial;
        self.drawn |= line.bar && line.epoch.is_some();
        let of_validation = |name: &str| names_part(name).is_some_and(is_validation);
        if self.began_unvalidated && self.drawn && line.bar && line.pairs.iter().any(|pair| of_validation(&pair.name)) {
            self.note(
                "the progress bar of the first epoch shows no validation metrics, so later ones may show those of the \
                 previous epoch",
            );
        }
        // A summary after training is no part of the last epoch, whose line had its values.
        let is_known = |name: &str| {
            let of_line = |value: &Value| self.of_line.contains(&value.name) && value.final_value;
            self.values.iter().any(|value| of_line(value) && (value.name == name || same_name(&value.name, name)))
        };
        // Keras' bar has all values of its epoch.
        self.bar_has_all |= bar && !drawn_again && has_both_sets(line);
        let is_in_bar = |name: &str| {
            self.bar_has_all && self.values.iter().any(|value| !value.final_value && same_name(&value.name, name))
        };
        let is_batch = line.progress || line.step.is_some() || bar;
        if line.epoch.is_none()
            && !is_batch
            && line.pairs.iter().any(|pair| is_metric(&pair.name) && (is_known(&pair.name) || is_in_bar(&pair.name)))
        {
            self.note(
                "numbers that were repeated after the line of their epoch were left out, together with the \
                numbers next to them",
            );
            return;
        }
        let repeats_rate = !is_batch && self.repeats_rate(line);
        let mut changed = false;
        for pair in line.pairs.iter().filter(|pair| !repeats_rate || !is_rate(&pair.name)) {
            let partial = line.progress && pair.running;
            let batch = (line.progress || line.step.is_some()) && !bar && !pair.running && !redrawn;
            let of_validation = names_part(&pair.name).is_some_and(is_validation);
            self.news = true;
            let is_same = |name: &str| {
                name == pair.name || self.of_line.iter().any(|of| of == name) && same_name(name, &pair.name)
            };
            let Some(known) = self.values.iter_mut().find(|value| is_same(&value.name)) else {
                self.begin(pair, !batch && !bar && !redrawn, partial);
                continue;
            };
            // A progress bar that is drawn below the line of the whole epoch belongs to the next one.
            if is_next || known.final_value && (batch && !of_validation || bar || redrawn) {
                continue;
            }
            known.partial = partial;
            if batch && !of_validation {
                (known.sum, known.count) = (known.sum + pair.value, known.count + 1.0);
            } else {
                let has_changed = known.final_value && known.sum != pair.value;
                let is_again = has_changed && line.epoch.is_some() && !batch && !bar && !redrawn;
                known.came_often |= is_again;
                let is_final = has_changed && self.epoch.is_some() && !batch && !bar && !redrawn;
                changed |= is_final && is_metric(&pair.name);
                // The last redrawn line, the mean so far, and the line of the whole epoch have the final value.
                (known.sum, known.count) = (pair.value, 1.0);
                known.final_value |= !batch && !bar && !redrawn;
            }
        }
        if changed {
            self.note("some epochs have several lines with different numbers; the last line was used");
        }
    }

    /// Takes the first value of a name.
    fn begin(&mut self, pair: &Pair, final_value: bool, partial: bool) {
        if self.values.len() < MOST_NAMES {
            let (name, sum) = (pair.name.clone(), pair.value);
            self.values.push(Value { name, sum, count: 1.0, final_value, came_often: false, partial });
        }
    }

    /// Whether a line without any metric or place has a learning rate again: the settings of the next training, which stand
    /// below the last epoch of this one.
    fn repeats_rate(&self, line: &Line) -> bool {
        line.epoch.is_none()
            && !line.pairs.iter().any(|pair| is_metric(&pair.name))
            && self.values.iter().any(|value| is_rate(&value.name))
    }

    /// Notes the names of the epoch under way as those of its training run.
    pub(super) fn remember_names(&mut self) {
        if self.named.0 != self.fit {
            self.named = (self.fit, HashSet::new());
        }
        for value in &self.values {
            if !self.named.1.contains(&value.name) {
                self.named.1.insert(value.name.clone());
            }
        }
    }

    /// Whether an earlier epoch of the training run has a value of this name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.named.0 == self.fit && self.named.1.contains(name)
    }

    pub(super) fn row(&self) -> Row {
        // No epoch has the number of half a step, beside epochs that have numbers.
        let step = if self.epoch.is_none() { Some(self.counted + 0.5) } else { None };
        // The mean of the whole epoch makes that of its batches obsolete: `Epoch: 1 Average loss: 0.5`.
        let target = |value: &Value| meaning(&value.name).map(|(target, _)| target);
        let obsolete = |value: &&Value| {
            // `val` and `Validation` are the same set, and so are `train` and no set where a set is validated.
            let part = |value: &Value| names_part(&value.name).filter(|part| is_validation(part));
            let same = |one: Option<&str>, other: Option<&str>| match (one, other) {
                (Some(one), Some(other)) => same_name(one, other),
                _ => one == other,
            };
            let is_mean = |other: &Value| {
                let words = names::words(&other.name);
                same(names_part(&other.name), names_part(&value.name))
                    || self.of_line.contains(&other.name)
                    || words.iter().any(|word| ["average", "avg", "mean", "total", "epoch"].contains(&word.as_str()))
            };
            // `RMSE` below the epoch is no mean of its `loss`.
            let own = names::words(&value.name);
            let shares = |other: &Value| names::words(&other.name).iter().any(|word| own.contains(word));
            let is_other = |other: &Value| {
                other.name != value.name && same(part(other), part(value)) && shares(other) && is_mean(other)
            };
            // A mean that only the last epoch has is that of a whole training run.
            let of_run = |other: &Value| self.is_named(&value.name) && !self.is_named(&other.name);
            let whole = |other: &Value| {
                other.final_value
                    && !other.came_often
                    && !other.partial
                    && is_other(other)
                    && target(other) == target(value)
                    && !of_run(other)
            };
            (!value.final_value || value.came_often || value.partial)
                && target(value).is_some()
                && self.values.iter().any(whole)
        };
        let values = self.values.iter().filter(|value| !obsolete(value));
        let values = values.map(|value| (value.name.clone(), value.sum / value.count)).collect();
        Row { curve: self.curve(), place: Place { epoch: self.epoch, step }, values }
    }
}

/// Whether a number is a learning rate.
pub(super) fn is_rate(name: &str) -> bool {
    matches!(meaning(name), Some((Target::LearningRate, _)))
}

/// Whether a line has metrics of training and of validation.
fn has_both_sets(line: &Line) -> bool {
    let of_validation = |name: &str| names_part(name).is_some_and(is_validation);
    let metrics = || line.pairs.iter().map(|pair| pair.name.as_str()).filter(|name| is_metric(name));
    metrics().any(of_validation) && !metrics().all(of_validation)
}
