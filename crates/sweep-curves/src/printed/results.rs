//! Lines below a heading such as `***** Eval results *****`. The scripts that came with BERT print the loss of training there,
//! as `loss`, beside `eval_loss`.

use super::{Line, Printed, Text, announced, is_validation, names_part, parse};

/// What came below the heading so far.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Whether names of their own set stand below it: `eval_loss`.
    names_sets: bool,
    /// Their losses.
    losses: Vec<f64>,
}

impl Printed {
    /// The set that a sentence says to be measured next. Before training, it may be about anything.
    pub(super) fn announced(&self, line: &Line, text: &Text) -> Option<&'static str> {
        let is_trained = !self.values.is_empty() || self.epoch.is_some() || self.step.is_some();
        announced(line, &text.tokens).filter(|_| is_trained)
    }

    /// Looks at a line whose set an earlier line announced. A loss without a set, among names that have one, is of training.
    pub(super) fn below_heading(&mut self, line: &mut Line, text: &Text, announced: Option<&'static str>) {
        if line.heading.is_some() {
            self.results = Block::default();
        }
        let Some(part) = announced.filter(|part| is_validation(part) && !line.pairs.is_empty()) else { return };
        let own = parse(text, None, &self.metric);
        let is_own = |name: &str| own.pairs.iter().any(|pair| pair.name == name);
        for pair in &mut line.pairs {
            if is_own(&pair.name) && names_part(&pair.name).is_some_and(is_validation) {
                self.results.names_sets = true;
                self.results.losses.extend(pair.name.to_lowercase().contains("loss").then_some(pair.value));
            }
        }
        let inherited = format!("{part} loss");
        let Some(at) = line.pairs.iter().position(|pair| pair.name == inherited && !is_own(&pair.name)) else { return };
        let is_assigned = text.raw.contains(" = ");
        if self.results.losses.contains(&line.pairs[at].value) {
            line.pairs.remove(at);
        } else if self.results.names_sets && is_assigned {
            line.pairs[at].name = "train loss".to_owned();
            self.note("`loss` is next to evaluation metrics, and was read as the training loss");
        } else if is_assigned {
            self.note(&format!("`loss` is below a heading about {part}, and was read as the validation loss"));
        }
    }
}
