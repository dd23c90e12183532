//! Logs whose values stand before the line that names their epoch: `Validation loss: 0.5`, then `Epoch 3 done`.

use super::{Line, Printed, Row, Value, is_metric, is_validation, names_part};

/// Words of a line about an epoch that has ended.
const ENDED: [&str; 9] =
    ["done", "finished", "complete", "completed", "ended", "took", "summary", "end of epoch", "results for epoch"];
/// Words about a network that is not trained yet.
const UNTRAINED: [&str; 6] = ["initial", "before training", "untrained", "sanity", "baseline", "pretrained"];

/// The beginnings of lines about a training run that has ended.
const OVER: [&str; 9] = [
    "training complete",
    "training finished",
    "finished training",
    "training done",
    "early stopping at",
    "early stopping triggered",
    "early stopping, best",
    "did not meet early stopping",
    "stopping. best iteration",
];
/// The beginning of LightGBM's line about a training run that begins.
const BEGINS: &str = "training until validation scores";

/// Whether a line begins with one of these, after what is no letter.
fn starts_with(text: &str, starts: &[&str]) -> bool {
    let text = text.trim_start_matches(|letter: char| !letter.is_alphabetic());
    starts.iter().any(|start| text.get(..start.len()).is_some_and(|own| own.eq_ignore_ascii_case(start)))
}

/// Whether a line says that a training run has ended.
pub(super) fn ends_run(text: &str) -> bool {
    starts_with(text, &OVER)
}

/// Whether a line says that a training run begins.
pub(super) fn begins_run(text: &str) -> bool {
    starts_with(text, &[BEGINS])
}

/// Whether LightGBM or XGBoost repeat the best round below a line.
pub(super) fn repeats_best(text: &str) -> bool {
    let text = text.trim_end().to_lowercase();
    text.ends_with("best iteration is:") || text.ends_with("best iteration:")
}

/// Where values stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// Below the line that names their epoch, as far as is known.
    #[default]
    Below,
    /// Below it, although some came before the first such line.
    LikelyBelow,
    /// Certainly below it.
    SurelyBelow,
    /// Above it. The values of the validation set alone came first, which may also be those of the untrained network.
    LikelyAbove,
    /// Certainly above it.
    Above,
}

impl Order {
    pub(super) fn is_certain(self) -> bool {
        matches!(self, Order::LikelyAbove | Order::Above)
    }
}

impl Printed {
    /// A reader that takes the log in the other order, if its end shows that the order was not the one it seemed to be. To be
    /// asked before the end.
    pub fn second_thought(&self) -> Option<Printed> {
        let metrics = || self.values.iter().filter(|value| is_metric(&value.name));
        let trailing = match self.trailing {
            // The validation set was measured once more than there are epochs, so the network was not trained at first.
            Order::LikelyAbove if metrics().next().is_some() && metrics().all(of_validation) => {
                Some(Order::SurelyBelow)
            }
            // Nothing stands below the last epoch.
            Order::LikelyBelow if self.epoch.is_some() && self.values.is_empty() => Some(Order::Above),
            _ => None,
        };
        self.finer(trailing.unwrap_or(self.trailing))
            .or_else(|| Some(Printed { trailing: trailing?, ..Printed::for_metric(&self.metric) }))
    }

    /// Takes a line that names an epoch whose values came before it. Returns whether it is one.
    pub(super) fn trails(&mut self, line: &Line, text: &str, measures: bool, rows: &mut Vec<Row>) -> bool {
        let lower = || text.to_lowercase();
        if self.trailing == Order::Below && measures && UNTRAINED.iter().any(|word| lower().contains(word)) {
            self.trailing = Order::SurelyBelow;
        }
        let is_place = line.epoch.is_some() && line.step.is_none() && !line.progress && !line.bar && !line.partial;
        let is_first = is_place && !self.had_place;
        self.had_place |= is_place;
        let ends = || ENDED.iter().any(|word| lower().contains(word));
        if is_place && !measures && !line.alone && self.is_headed_by_end(line, is_first, ends) {
            self.hand_over(rows);
            self.epoch = line.epoch;
            return true;
        }
        if is_first && self.trailing == Order::Below && self.lacks_first_line(line, measures) {
            (self.epoch, self.trailing) = (Some(1.0), Order::SurelyBelow);
            self.note("values before the line of epoch 2 were assigned to epoch 1");
        }
        if is_place && self.trailing == Order::Below {
            self.trailing = self.order(measures, ends);
            if self.trailing == Order::LikelyAbove {
                self.note("validation metrics before the line of an epoch were assigned to that epoch");
            }
            if self.trailing == Order::LikelyBelow {
                self.note(
                    "numbers before the first line that names an epoch were left out; numbers below such a line were \
                     assigned to its epoch",
                );
            }
        }
        if !is_place || !self.trailing.is_certain() {
            return false;
        }
        self.take(line, text, false);
        self.epoch = line.epoch;
        self.hand_over(rows);
        self.epoch = None;
        true
    }

    /// Whether a line says that an epoch is over and stands above the values of that epoch: `Epoch 1 training complete`.
    fn is_headed_by_end(&mut self, line: &Line, is_first: bool, ends: impl Fn() -> bool) -> bool {
        let has_nothing = self.values.is_empty() && self.epoch.is_none() && self.step.is_none() && !self.had_table;
        if is_first && self.trailing == Order::Below && has_nothing && ends() {
            (self.trailing, self.headed_by_end) = (Order::LikelyBelow, true);
        }
        self.headed_by_end && line.epoch >= self.epoch && ends()
    }

    /// Whether the first line that names an epoch says that the second one begins, below the values of the first.
    fn lacks_first_line(&self, line: &Line, measures: bool) -> bool {
        let has_values = self.whole && self.values.iter().any(|value| is_metric(&value.name));
        line.epoch == Some(2.0)
            && !measures
            && has_values
            && self.epoch.is_none()
            && self.step.is_none()
            && !self.had_table
    }

    /// The order of the log, at a line that names an epoch.
    fn order(&self, measures: bool, ends: impl Fn() -> bool) -> Order {
        let mut metrics = self.values.iter().filter(|value| is_metric(&value.name)).peekable();
        if self.epoch.is_some() || self.step.is_some() || self.closes || self.had_table {
            return Order::SurelyBelow;
        }
        if metrics.peek().is_none() || !self.whole || self.counted > 0.0 {
            return Order::Below;
        }
        let validation_alone = metrics.all(of_validation);
        match (measures, validation_alone) {
            (false, _) if ends() => Order::Above,
            (true, true) => Order::LikelyAbove,
            (false, false) => Order::LikelyBelow,
            _ => Order::SurelyBelow,
        }
    }
}

fn of_validation(value: &Value) -> bool {
    names_part(&value.name).is_some_and(is_validation)
}
