//! What a text's lines say one by one, before anything is decided about epochs, sets, or runs. Lines of the same form are
//! counted together, so that the curves can be compared with them.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Line, is_metric};
use crate::scan::{Token, scan};
use crate::{names, special};

/// Maximum number of forms and of their values that are kept.
const MOST_FORMS: usize = 1000;
const MOST_VALUES: usize = 2_000_000;
/// Maximum number of epochs that are kept.
const MOST_EPOCHS: usize = 1_000_000;
/// Number of pieces that a form is made of. What follows is the same in lines that begin alike.
const PIECES: usize = 60;
/// Number of characters of a line that is quoted.
const QUOTED: usize = 60;

/// Lines that differ only in their numbers.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// The beginning of the first one.
    pub example: String,
    /// How many there are.
    pub lines: usize,
    /// Whether they report on a part of an epoch.
    pub is_progress: bool,
    /// Their metrics by name, with all values.
    pub values: Vec<(String, Vec<f64>)>,
}

/// The forms of a text's lines, and the epochs that they name.
#[derive(Debug, Clone, Default)]
pub struct Records {
    pub forms: Vec<Form>,
    /// The epochs, as the bits of non-negative numbers, which have the order of the numbers.
    pub epochs: BTreeSet<u64>,
    known: HashMap<u64, usize>,
    values: usize,
}

impl Records {
    /// Adds a line.
    pub fn line(&mut self, text: &str, line: &Line, redrawn: bool) {
        let measures = line.pairs.iter().any(|pair| is_measured(&pair.name));
        if let Some(epoch) = line.epoch.filter(|epoch| *epoch >= 0.0 && (measures || line.alone)) {
            if self.epochs.len() < MOST_EPOCHS {
                self.epochs.insert(epoch.ceil().to_bits());
            }
        }
        if !measures {
            return;
        }
        let key = form(text);
        let at = match self.known.get(&key) {
            Some(at) => *at,
            None if self.forms.len() == MOST_FORMS => return,
            None => {
                self.known.insert(key, self.forms.len());
                let example = text.trim().chars().take(QUOTED).collect();
                self.forms.push(Form { example, ..Form::default() });
                self.forms.len() - 1
            }
        };
        let form = &mut self.forms[at];
        form.lines += 1;
        let is_done = line.batch.is_some() && line.batch == line.of && !redrawn;
        let is_part = line.progress || line.bar || line.partial || line.step.is_some() && line.epoch.is_some();
        form.is_progress |= redrawn || is_part && !is_done;
        for pair in line.pairs.iter().filter(|pair| is_measured(&pair.name)) {
            if self.values == MOST_VALUES {
                return;
            }
            self.values += 1;
            match form.values.iter_mut().find(|(name, _)| *name == pair.name) {
                Some((_, values)) => values.push(pair.value),
                None => form.values.push((pair.name.clone(), vec![pair.value])),
            }
        }
    }

    /// Adds the lines of another part of the text.
    pub fn extend(&mut self, other: Records) {
        self.epochs.extend(other.epochs);
        self.forms.extend(other.forms);
    }
}

fn is_measured(name: &str) -> bool {
    !names::is_ignorable(name) && (is_metric(name) || special::is_measure(name))
}

/// What is left of a line without its numbers.
fn form(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    for token in scan(text).into_iter().take(PIECES) {
        match token {
            Token::Word(word) => word.trim_end_matches(|letter: char| letter.is_ascii_digit()).hash(&mut hasher),
            Token::Number { .. } => 0_u8.hash(&mut hasher),
            Token::Fraction(..) => 1_u8.hash(&mut hasher),
            // Blanks depend on the width of the numbers.
            Token::Mark('\t') => {}
            Token::Mark(mark) => mark.hash(&mut hasher),
        }
    }
    hasher.finish()
}
