//! What a text's lines say one by one, before anything is decided about epochs, sets, or runs. Lines of the same form are
//! counted together, so that the curves can be compared with them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::labels::Labels;
use super::rounds::Rounds;
use super::{Line, Target, is_metric, is_validation, names_part};
use crate::line::{Pair, Text};
use crate::scan::Token;
use crate::{names, special};

/// Maximum number of forms and of their values that are kept.
const MOST_FORMS: usize = 1000;
const MOST_VALUES: usize = 2_000_000;
/// Maximum number of epochs that are kept.
const MOST_EPOCHS: usize = 1_000_000;
/// Lines an epoch from which on they are those of batches.
const OFTEN: usize = 3;
/// Lines about steps from which on they are a curve.
const MANY: usize = 4;
/// Epochs for each one that comes again, from which on this is rare.
const RARELY: usize = 4;
/// Words of lines that repeat a number of another line, or name a setting.
const REMARKS: &str = "best improved improve improvement decreased increased reduced reducing saving saved save early stopping \
    restoring patience from threshold target";
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
    /// Whether all of them draw a bar beside numbers of the last batch, as tqdm does.
    pub is_bar: bool,
    /// Whether they have means so far, or are drawn again, so that each replaces the one before.
    pub is_running: bool,
    /// The largest share of the batches after which one stands. It is 1 for lines that count no batches.
    pub done: f64,
    /// In how many epochs they stand, and the last of them by [`Records::turn`].
    turns: usize,
    turn: usize,
    names_epochs: bool,
    /// How often a line names the epoch of the last line of this form, with other numbers.
    again: usize,
    /// The numbers of the last line.
    last: Vec<f64>,
    /// How many of them count batches one by one beside epochs with the same numbers, `Train: [3/50]`, and the last batch.
    counted: usize,
    batch: Option<f64>,
    /// Their metrics by name, with all values.
    pub values: Vec<(String, Vec<f64>)>,
}

/// The forms of a text's lines, and the epochs that they name.
#[derive(Debug, Default)]
pub struct Records {
    pub forms: Vec<Form>,
    /// The epochs, as the bits of non-negative numbers, which have the order of the numbers.
    pub epochs: BTreeSet<u64>,
    /// Whether batches of the same epoch have evaluations of their own.
    pub evaluates_within: bool,
    /// Forms of lines with numbers beside words of a metric that were not understood: the first one, and how many there
    /// are.
    pub unread: HashMap<u64, (String, usize)>,
    known: HashMap<u64, usize>,
    values: usize,
    labels: Labels,
    rounds: Rounds,
    /// How often lines named another epoch than the line before, and the last one.
    turn: usize,
    epoch: Option<f64>,
    /// The last evaluation beside or below a batch, and its epoch and batch.
    evaluation: ([f64; 2], Vec<(String, f64)>),
    /// The epoch and the batch of the last line about training.
    trained: Option<[f64; 2]>,
    /// The last step of a progress bar with metrics, and whether one was less than the one before.
    drawn: Option<f64>,
    pub begins_again: bool,
}

impl Records {
    /// Adds a line.
    pub fn line(&mut self, text: &Text, line: &Line, redrawn: bool) {
        self.labels.line(text.raw, line.pairs.iter().map(|pair| pair.name.clone()).filter(|name| is_metric(name)));
        self.evaluation(line);
        self.rounds.line(text.raw, line.epoch);
        if line.epoch.is_some() && line.epoch != self.epoch {
            (self.epoch, self.turn) = (line.epoch, self.turn + 1);
        }
        let mut measured: Vec<&Pair> = line.pairs.iter().filter(|pair| special::is_measured(&pair.name)).collect();
        let loose: Vec<Pair> = line.loose.iter().filter_map(|pair| of_validation(pair, line)).collect();
        measured.extend(&loose);
        let measures = !measured.is_empty();
        if let Some(epoch) = line.epoch.filter(|epoch| *epoch >= 0.0 && (measures || line.alone))
            && self.epochs.len() < MOST_EPOCHS
        {
            self.epochs.insert(epoch.ceil().to_bits());
        }
        if line.bar && measures && line.batch.is_some() {
            self.begins_again |= line.batch < self.drawn;
            self.drawn = line.batch;
        }
        let key = form(&text.tokens);
        let is_unread = line.pairs.is_empty() && !measures && may_measure(&text.tokens);
        if (is_unread || loses_number(&text.tokens, line)) && self.unread.len() < MOST_FORMS {
            self.unread.entry(key).or_insert_with(|| (quoted(text.raw), 0)).1 += 1;
        }
        if !measures {
            return;
        }
        let at = match self.known.get(&key) {
            Some(at) => *at,
            None if self.forms.len() == MOST_FORMS => return,
            None => {
                self.known.insert(key, self.forms.len());
                self.forms.push(Form { example: quoted(text.raw), ..Form::default() });
                self.forms.len() - 1
            }
        };
        let form = &mut self.forms[at];
        form.lines += 1;
        form.is_bar = text.raw.contains("%|") && (form.is_bar || form.lines == 1);
        let is_next = form.batch.is_none() || line.batch == form.batch.map(|batch| batch + 1.0);
        let is_beside = form.batch.is_none() || self.epoch == line.batch || self.epoch == form.batch;
        form.counted +=
            usize::from(is_next && is_beside && line.batch.is_some() && line.epoch.is_none() && !redrawn && !line.bar);
        form.batch = line.batch;
        let now: Vec<f64> = measured.iter().map(|pair| pair.value).collect();
        form.again += usize::from(form.lines > 1 && form.turn == self.turn && form.last != now);
        form.last = now;
        form.turns += usize::from(form.lines == 1 || form.turn != self.turn);
        form.turn = self.turn;
        form.names_epochs |= line.epoch.is_some();
        let is_done = line.batch.is_some() && line.batch == line.of && !redrawn;
        let is_part = line.progress || line.bar || line.partial || line.step.is_some() && self.epoch.is_some();
        form.is_progress |= redrawn || is_part && !is_done;
        let batches = line.batch.zip(line.of).filter(|_| line.counts_batches);
        form.done = form.done.max(batches.map_or(1.0, |(batch, of)| (batch + 1.0) / of.max(1.0)));
        form.is_running |= redrawn || line.bar || line.total.is_some() || measured.iter().any(|pair| pair.running);
        for pair in measured {
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

    /// The names of models that stand before the epochs, each of which has epochs of its own.
    pub fn models(&self) -> Vec<String> {
        self.labels.several()
    }

    /// Whether rounds take the place of epochs.
    pub fn counts_rounds(&self) -> bool {
        self.rounds.are_epochs()
    }

    /// The setting below whose values the lines are different runs, if no line names an epoch.
    pub fn heading(&self, rows: f64) -> Option<String> {
        if self.epochs.is_empty() { self.labels.tells_apart(rows) } else { None }
    }

    /// Whether the text has a single epoch, without validation, and many steps within it.
    pub fn has_one_epoch(&self) -> bool {
        let of_validation = |name: &str| names_part(name).is_some_and(is_validation) && is_metric(name);
        self.epochs.len() == 1
            && self.forms.iter().any(is_of_steps)
            && !self.forms.iter().flat_map(|form| &form.values).any(|(name, _)| of_validation(name))
    }

    /// Whether progress bars alone have the steps of the only epoch, and never begin again.
    pub fn has_bars_alone(&self) -> bool {
        !self.begins_again && self.forms.iter().filter(|form| is_of_steps(form)).all(|form| form.is_bar)
    }

    /// Forms of lines that stand several times in each of several epochs and give the training loss: those of batches.
    pub fn batches(&self) -> HashSet<u64> {
        let of_training = |name: &str| matches!(names::meaning(name), Some((Target::Metric(0), _)));
        let is_batch = |form: &Form| {
            form.turns > 1
                && form.lines >= OFTEN * form.turns
                && !form.is_progress
                && !form.names_epochs
                && form.values.iter().any(|(name, _)| of_training(name))
        };
        self.known.iter().filter(|(_, at)| is_batch(&self.forms[**at])).map(|(key, _)| *key).collect()
    }

    /// Forms of lines whose batches are epochs: each is the next one, beside lines that name the epoch by the same number.
    pub fn counted(&self) -> HashSet<u64> {
        let is_counted = |form: &Form| form.lines >= MANY && form.counted == form.lines;
        self.known.iter().filter(|(_, at)| is_counted(&self.forms[**at])).map(|(key, _)| *key).collect()
    }

    /// Forms of lines that name their epoch, which nearly always comes once: if it comes again, the training began again.
    /// Lines that come several times with the same numbers are those of several processes.
    pub fn restarts(&self) -> HashSet<u64> {
        let is_rare = |form: &Form| form.turns > RARELY * form.again && form.turns > RARELY * (form.lines - form.turns);
        let is_restarted = |form: &Form| form.names_epochs && !form.is_progress && form.again > 0 && is_rare(form);
        self.known.iter().filter(|(_, at)| is_restarted(&self.forms[**at])).map(|(key, _)| *key).collect()
    }

    /// Forms of lines that stand several times in each of several epochs, and whose metrics a line about the whole epoch
    /// has, too: those of single examples.
    pub fn details(&self) -> HashSet<u64> {
        let metrics = |form: &Form| -> Vec<String> {
            form.values.iter().map(|(name, _)| name.clone()).filter(|name| is_metric(name)).collect()
        };
        let is_whole = |form: &Form| form.names_epochs && !form.is_progress && form.lines > 1;
        let whole: Vec<Vec<String>> = self.forms.iter().filter(|form| is_whole(form)).map(metrics).collect();
        let is_detail = |form: &Form| {
            let own = metrics(form);
            form.turns > 1
                && form.lines >= OFTEN * form.turns
                && !form.names_epochs
                && !own.is_empty()
                && whole.iter().any(|whole| own.iter().all(|name| whole.contains(name)))
        };
        self.known.iter().filter(|(_, at)| is_detail(&self.forms[**at])).map(|(key, _)| *key).collect()
    }

    /// Looks for evaluations of the same epoch at different batches, in lines with both sets or below those of batches.
    fn evaluation(&mut self, line: &Line) {
        let of_validation = |name: &str| names_part(name).is_some_and(is_validation);
        let metrics = || line.pairs.iter().filter(|pair| is_metric(&pair.name));
        if metrics().any(|pair| !of_validation(&pair.name)) || line.alone {
            self.trained = line.epoch.zip(line.batch.or(line.step)).map(|(epoch, batch)| [epoch, batch]);
        }
        let plain = || metrics().filter(|pair| !pair.running);
        let is_bare = line.epoch.is_none() && !line.progress && !line.bar;
        let has_both = || line.epoch.is_some() && plain().any(|pair| !of_validation(&pair.name));
        let evaluates = (is_bare || has_both()) && plain().any(|pair| of_validation(&pair.name));
        let Some(place) = self.trained.filter(|_| evaluates) else { return };
        let (before, known) = &self.evaluation;
        let changes = |(name, value): &(String, f64)| plain().any(|pair| pair.name == *name && pair.value != *value);
        self.evaluates_within |= before[0] == place[0] && before[1] != place[1] && known.iter().any(changes);
        self.evaluation = (place, plain().map(|pair| (pair.name.clone(), pair.value)).collect());
    }

    /// Adds the lines of another part of the text.
    pub fn extend(&mut self, other: Records) {
        self.epochs.extend(other.epochs);
        self.unread.extend(other.unread);
        self.forms.extend(other.forms);
    }
}

fn is_of_steps(form: &Form) -> bool {
    form.is_progress && form.lines >= MANY && form.values.iter().any(|(name, _)| is_metric(name))
}

/// The beginning of a line.
fn quoted(line: &str) -> String {
    line.trim().chars().take(QUOTED).collect()
}

/// A number under an unknown name, if the name or the line tells that it is of the validation set, or if it is a
/// measurement.
fn of_validation(pair: &Pair, line: &Line) -> Option<Pair> {
    let name = match line.part.filter(|part| is_validation(part) && names_part(&pair.name).is_none()) {
        Some(part) => format!("{part} {}", pair.name),
        None => pair.name.clone(),
    };
    let is_told = !names::is_ignorable(&name) && special::may_validate(&name) || special::is_measured(&name);
    is_told.then(|| Pair { name, ..pair.clone() })
}

/// Whether a line has a number and a word that names a metric or a set, and is no remark on another line.
fn may_measure(tokens: &[Token]) -> bool {
    let has_number = tokens.iter().any(|token| matches!(token, Token::Number { decimal: true, unit: false, .. }));
    has_number && words(tokens).any(|word| names::quantity(word).is_some()) && !words(tokens).any(is_remark)
}

/// Whether a line with other numbers has one behind the name of a metric that was not read.
fn loses_number(tokens: &[Token], line: &Line) -> bool {
    let near = |value: f64, other: f64| (value - other).abs() <= 1e-9 * value.abs();
    let pairs = || line.pairs.iter().chain(&line.loose);
    let is_read = |value: f64| pairs().any(|pair| near(value, pair.value) || near(value / 100.0, pair.value));
    let mut is_named = false;
    let mut loses = |at: usize, token: &Token| match token {
        Token::Word(word) => {
            is_named = names::quantity(word).is_some();
            false
        }
        // The value before a mean in brackets does not count.
        Token::Number { value, decimal: true, unit: false, .. } => {
            let next = tokens[at + 1..].iter().find(|token| **token != Token::Mark('\t'));
            std::mem::take(&mut is_named) && value.is_finite() && next != Some(&Token::Mark('(')) && !is_read(*value)
        }
        Token::Number { .. } | Token::Fraction(..) => {
            is_named = false;
            false
        }
        Token::Mark(_) => false,
    };
    let is_told = line.pairs.is_empty() || line.bar || words(tokens).any(is_remark);
    !is_told && tokens.iter().enumerate().any(|(at, token)| loses(at, token))
}

fn words<'a>(tokens: &[Token<'a>]) -> impl Iterator<Item = &'a str> {
    tokens.iter().filter_map(|token| if let Token::Word(word) = token { Some(*word) } else { None })
}

fn is_remark(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    REMARKS.split(' ').any(|known| known == word)
}

/// What is left of the pieces of a line without its numbers.
pub fn form(tokens: &[Token]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut has_unit = false;
    // Blanks and bars depend on the width of the numbers.
    let is_drawn = |token: &&Token| matches!(token, Token::Mark('\t' | '▀'..='▟'));
    for token in tokens.iter().filter(|token| !is_drawn(token)).take(PIECES) {
        let is_unit = std::mem::replace(&mut has_unit, matches!(token, Token::Number { unit: true, .. }));
        match token {
            // Times are in seconds or in milliseconds.
            Token::Word(_) if is_unit => {}
            Token::Word(word) => word.trim_end_matches(|letter: char| letter.is_ascii_digit()).hash(&mut hasher),
            Token::Number { .. } => 0_u8.hash(&mut hasher),
            Token::Fraction(..) => 1_u8.hash(&mut hasher),
            Token::Mark(mark) => mark.hash(&mut hasher),
        }
    }
    hasher.finish()
}
