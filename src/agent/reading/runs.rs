//! Several trainings in one attempt: the folds of a cross-validation, of which the mean counts, or the parts of one training,
//! whose epochs are counted on. Pure.

use std::collections::BTreeMap;

use sweep_core::trial::METRICS;
use sweep_core::warning::Warning;

use super::Values;

/// Names of the number of a fold.
const FOLDS: [&str; 6] = ["fold", "cv_fold", "fold_idx", "fold_index", "fold_id", "kfold"];
/// Epochs of a run over which means are taken. Later ones have the values of the last run.
const MOST_AVERAGED: usize = 10_000;

/// The runs of one attempt so far. Epochs are by the program's count, plus what came before in the same training.
#[derive(Debug, Default)]
pub struct Runs {
    metric: String,
    /// Those that are over.
    over: Vec<BTreeMap<u32, Values>>,
    current: BTreeMap<u32, Values>,
    /// The last epoch of the current one, by the program's count.
    last: Option<u32>,
    /// What is added to the program's count.
    counted_on: u32,
    /// The fold that rows name.
    fold: Option<f64>,
    /// Whether rows named another fold since the last epoch.
    is_other_fold: bool,
    /// What the user must know about them, until it is told.
    warnings: Vec<Warning>,
}

impl Runs {
    pub fn new(metric: &str) -> Runs {
        Runs { metric: metric.to_owned(), ..Runs::default() }
    }

    /// Looks for the fold that a row names. Returns whether it is another one than before.
    pub fn enters_fold(&mut self, values: &Values) -> bool {
        let Some(fold) = FOLDS.iter().find_map(|name| values.get(*name)).copied() else { return false };
        let is_other = self.fold.replace(fold).is_some_and(|before| before != fold);
        self.is_other_fold |= is_other;
        is_other
    }

    /// Takes the values of an epoch, and returns the number and the values to tell. `is_first`: the program's count begins
    /// with that number.
    pub fn take(&mut self, number: u32, is_first: bool, values: &Values) -> (u32, Values) {
        let measures = values.keys().any(|name| self.is_kept(name));
        let went_back = is_first && measures && self.last.is_some_and(|last| last > number);
        let is_other_fold = std::mem::take(&mut self.is_other_fold);
        if is_other_fold || went_back {
            self.begin(number, values, is_other_fold);
        }
        self.last = Some(number);
        let epoch = number.saturating_add(self.counted_on);
        if self.current.len() < MOST_AVERAGED || self.current.contains_key(&epoch) {
            let kept = values.iter().filter(|(name, _)| self.is_kept(name));
            let kept = kept.map(|(name, value)| (name.clone(), *value)).collect();
            self.current.insert(epoch, kept);
        }
        (epoch, self.mean(epoch, values))
    }

    fn is_kept(&self, name: &str) -> bool {
        name == self.metric || METRICS.contains(&name)
    }

    /// Begins another run.
    fn begin(&mut self, number: u32, values: &Values, is_other_fold: bool) {
        let what = "the program went back to its first epoch and trained again";
        if !is_other_fold && self.goes_on(values) {
            let before = self.last.unwrap_or(number).saturating_add(1).saturating_sub(number);
            self.counted_on = self.counted_on.saturating_add(before);
            let text = format!(
                "{what}, with {} close to its last value, so the numbers of its epochs continue: its epoch {number} \
                is epoch {} here.",
                self.metric,
                number + self.counted_on
            );
            return self.warn("counted_on", text);
        }
        self.over.push(std::mem::take(&mut self.current));
        (self.counted_on, self.last) = (0, None);
        let text =
            format!("{what}, as for another fold. The numbers of each epoch are means over all runs that have it.");
        self.warn("several_runs", text);
    }

    fn warn(&mut self, name: &str, text: String) {
        self.warnings.push(Warning { name: name.to_owned(), serious: false, text });
    }

    /// What the user must know, each once.
    pub fn warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.warnings)
    }

    /// Whether the values go on where the last run ended, rather than where it began.
    fn goes_on(&self, values: &Values) -> bool {
        let (Some((_, first)), Some((_, last))) = (self.current.first_key_value(), self.current.last_key_value())
        else {
            return false;
        };
        let names = [self.metric.as_str(), "train_loss", "val_loss"];
        let known = names.into_iter().find_map(|name| Some((values.get(name)?, first.get(name)?, last.get(name)?)));
        known.is_some_and(|(now, first, last)| (now - last).abs() < (now - first).abs())
    }

    /// The values with their means over all runs that have the epoch.
    fn mean(&self, epoch: u32, values: &Values) -> Values {
        let mean = |(name, value): (&String, &f64)| {
            let before = self.over.iter().filter_map(|run| run.get(&epoch)?.get(name).copied());
            let all: Vec<f64> = before.filter(|one| one.is_finite()).chain([*value]).collect();
            (name.clone(), all.iter().sum::<f64>() / all.len() as f64)
        };
        values.iter().map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(rows: &[(u32, Option<f64>, f64)]) -> (Vec<(u32, f64)>, Vec<String>) {
        let mut runs = Runs::new("loss");
        let take = |(number, fold, loss): &(u32, Option<f64>, f64)| {
            let mut values = Values::from([("loss".to_owned(), *loss)]);
            values.extend(fold.map(|fold| ("fold".to_owned(), fold)));
            runs.enters_fold(&values);
            let (epoch, values) = runs.take(*number, *number <= 1, &values);
            (epoch, (values["loss"] * 1e3).round() / 1e3)
        };
        let epochs = rows.iter().map(take).collect();
        (epochs, runs.warnings().into_iter().map(|warning| warning.name).collect())
    }

    #[test]
    fn an_epoch_has_its_mean_over_the_folds() {
        let rows = [(1, None, 0.9), (2, None, 0.7), (3, None, 0.6), (1, None, 1.0), (2, None, 0.5)];
        let (epochs, warnings) = told(&rows);
        assert_eq!(epochs, [(1, 0.9), (2, 0.7), (3, 0.6), (1, 0.95), (2, 0.6)]);
        assert_eq!(warnings, ["several_runs"]);
        // A fold that rows name may have a single epoch, or begin where the last one ended.
        let (epochs, _) = told(&[(1, Some(1.0), 0.8), (1, Some(2.0), 0.6), (1, Some(3.0), 0.7)]);
        assert_eq!(epochs, [(1, 0.8), (1, 0.7), (1, 0.7)]);
        let (epochs, _) = told(&[(0, Some(0.0), 0.8), (1, Some(0.0), 0.6), (0, Some(1.0), 0.6), (1, Some(1.0), 0.4)]);
        assert_eq!(epochs, [(0, 0.8), (1, 0.6), (0, 0.7), (1, 0.5)]);
    }

    #[test]
    fn the_epochs_of_a_training_that_goes_on_are_counted_on() {
        let (epochs, warnings) = told(&[(1, None, 0.9), (2, None, 0.7), (1, None, 0.65), (2, None, 0.6)]);
        assert_eq!(epochs, [(1, 0.9), (2, 0.7), (3, 0.65), (4, 0.6)]);
        assert_eq!(warnings, ["counted_on"]);
        let (epochs, _) = told(&[(0, None, 0.9), (1, None, 0.7), (0, None, 0.65), (1, None, 0.6)]);
        assert_eq!(epochs, [(0, 0.9), (1, 0.7), (2, 0.65), (3, 0.6)]);
        // Each fold may have two parts.
        let part = |from: f64| [(1, None, from), (2, None, from - 0.2), (1, None, from - 0.25), (2, None, from - 0.3)];
        let (epochs, warnings) = told(&[part(0.9), part(1.0)].concat());
        let expected = [(1, 0.9), (2, 0.7), (3, 0.65), (4, 0.6), (1, 0.95), (2, 0.75), (3, 0.7), (4, 0.65)];
        assert_eq!(epochs, expected);
        assert_eq!(warnings, ["counted_on", "several_runs", "counted_on"]);
    }
}
