//! Lines about a network that has been trained so far, among those of training: reports on its classes, and its scores.

use super::{Line, Printed, Value, is_metric, is_validation, names_part};
use crate::names;
use crate::special::score;

impl Printed {
    /// Whether a line belongs to scikit-learn's report on classes, `precision recall f1-score support`, whose accuracy is
    /// of one network and no curve.
    pub(super) fn in_classification_report(&mut self, text: &str) -> bool {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.ends_with(&["precision", "recall", "f1-score", "support"]) {
            self.in_report = true;
            self.note("classification reports were left out");
            return true;
        }
        let counts = words.last().is_some_and(|last| last.parse::<u64>().is_ok());
        let is_row = counts && words.len() > 2 && words[words.len() - 2].parse::<f64>().is_ok();
        self.in_report &= words.is_empty() || is_row;
        self.in_report && is_row
    }

    /// Takes an accuracy without a set that stands alone below the losses of batches for that of the validation set: the
    /// accuracy of training would stand beside its loss.
    pub(super) fn accuracy_alone(&mut self, mut line: Line) -> Line {
        let is_bare = |name: &str| names_part(name).is_none() && names::quantity(name) == Some("accuracy");
        let is_whole = !line.progress && !line.bar && line.step.is_none();
        let has_batches = |value: &Value| value.count > 1.0 && names::quantity(&value.name) == Some("loss");
        let is_known = |name: &str| self.values.iter().any(|value| value.name == name);
        let mut metrics = line.pairs.iter().filter(|pair| is_metric(&pair.name)).peekable();
        let is_alone = metrics.peek().is_some() && metrics.all(|pair| is_bare(&pair.name) && !is_known(&pair.name));
        if is_whole && is_alone && self.values.iter().any(has_batches) {
            for pair in line.pairs.iter_mut().filter(|pair| is_metric(&pair.name)) {
                self.note(&format!(
                    "{} stands alone below the losses of batches, and was read as validation",
                    pair.name
                ));
                pair.name = format!("val {}", pair.name);
            }
        }
        line
    }

    /// Takes a line without a set for the validation set, if it has a score that the lines of training do not have, and
    /// they have the rest of it: `Loss: 0.98, MeanIU: 0.49` below `Iter:[490/495], Loss: 1.44, Acc: 0.76`.
    pub(super) fn evaluation(&mut self, mut line: Line) -> Line {
        let is_bare = line.epoch.is_none() && line.step.is_none() && !line.progress && !line.bar;
        let by_batches = |name: &str| self.values.iter().any(|value| value.name == name && !value.final_value);
        let known = |name: &str| self.values.iter().any(|value| value.name == name);
        let has_own_score = line.pairs.iter().any(|pair| score(&pair.name).is_some() && !known(&pair.name))
            && !self
                .values
                .iter()
                .any(|value| score(&value.name).is_some() && names_part(&value.name).is_none() && !value.final_value);
        let repeats = line.pairs.iter().any(|pair| is_metric(&pair.name) && by_batches(&pair.name));
        let of_validation = |value: &Value| names_part(&value.name).is_some_and(is_validation);
        let is_validated = self.values.iter().any(|value| of_validation(value) && is_metric(&value.name));
        let names_no_set = line.pairs.iter().all(|pair| names_part(&pair.name).is_none());
        if !is_validated && is_bare && has_own_score && repeats && names_no_set {
            for pair in line.pairs.iter_mut().filter(|pair| by_batches(&pair.name)) {
                pair.name = format!("val {}", pair.name);
            }
            self.note("lines with scores that the training lines do not have were read as validation");
        }
        line
    }
}
