//! What is known of the lines of some tools.

use std::borrow::Cow;

use super::{Line, Printed};
use crate::line::{of_round, of_set, short_name, summed};

impl Printed {
    /// A line in words that are understood, if a tool has words of its own.
    pub(super) fn of_tool<'a>(&mut self, text: &'a str) -> Cow<'a, str> {
        if let Some((text, is_sum)) = summed(text) {
            if is_sum {
                self.note("the training loss is the sum of the losses of the parts of the pipeline");
            }
            return Cow::Owned(text);
        }
        let word = if self.by_rounds { "round" } else { "epoch" };
        of_round(text).map_or(Cow::Borrowed(text), |round| Cow::Owned(format!("{word} {round}")))
    }

    /// Says what is known of the numbers of some tools, and of the lines below.
    pub(super) fn says_of_tool(&mut self, line: &Line, text: &str, measures: bool) {
        if line.decimal_commas {
            self.note("commas were read as decimal points");
        }
        self.phase(text);
        if line.bare_sets {
            self.note("CatBoost names no metric here; learn and test are losses unless the best value rises");
        }
        if line.names_no_quantity {
            self.note("lines of a step with numbers of both sets name no quantity, so the numbers were read as losses");
        }
        match of_set(text) {
            Some((_, name, _)) if name.ends_with("loss") => self.note(
                "lines of a step, a set and a number name no quantity, so the numbers were read as losses of steps",
            ),
            Some(_) => self.note("hella is the accuracy in HellaSwag, shown as the accuracy of the validation set"),
            None if short_name(text).is_some_and(|(_, name, _)| name.ends_with("accuracy")) => {
                self.note("eval is the accuracy in HellaSwag, shown as the accuracy of the validation set");
            }
            None => {}
        }
        if text.contains(" improved") && text.contains("New best score: ") {
            self.note(
                "lines with \"New best score\" have only the values that were the best so far, so they were left out",
            );
        }
        if measures && text.contains('━') && text.contains("/step") {
            self.note(
                "Keras 3's progress bar shows means of running means, so training looks a little worse there than in \
                 History or CSVLogger",
            );
        }
    }
}
