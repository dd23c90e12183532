//! What a line begins with: the epoch, the step, or both, in brackets or without a name.

use super::{Parser, Token, is_epoch, is_part};

impl<'a> Parser<'a> {
    /// Reads what a line may begin with: `[12]`, `[1, 2000]`, `[0/25][3/782]`, `12:`. Returns the pieces it took.
    pub(super) fn leading(&mut self, tokens: &[Token<'a>]) -> usize {
        use Token::{Fraction, Mark, Number, Word};
        let whole = |token: &Token| match token {
            Number { value, unit: false, decimal: false, .. } if *value >= 0.0 => Some(*value),
            _ => None,
        };
        match tokens {
            // A quoted log is indented.
            [Mark('\t'), rest @ ..] if matches!(rest, [Mark('['), ..] | [Number { .. }, Mark(':'), ..]) => {
                let pieces = self.leading(rest);
                pieces + usize::from(pieces > 0)
            }
            // A progress bar under the number of its epoch: `3/10: 100%|####| 4/4`, `[fold_0] 3/10: …`.
            [Fraction(epoch, epochs), Mark(':'), ..] if self.line.bar => self.of_bar(*epoch, *epochs, 2),
            [Mark('['), Word(name), Mark(']'), Fraction(epoch, epochs), Mark(':'), ..]
                if self.line.bar && is_part(name).is_none() =>
            {
                self.of_bar(*epoch, *epochs, 5)
            }
            [Mark('['), number, rest @ ..] if whole(number).is_some() && !is_of_list(rest) => {
                (self.line.epoch, self.line.is_round) = (whole(number), true);
                3
            }
            [Mark('['), epoch, Mark(','), rest @ ..] if whole(epoch).is_some() => {
                let blank = usize::from(rest.first() == Some(&Mark('\t')));
                let step = rest.get(blank).and_then(whole).filter(|_| !is_of_list(&rest[blank + 1..]));
                let Some(step) = step else { return 0 };
                (self.line.epoch, self.line.step, self.line.progress) = (whole(epoch), Some(step), true);
                5 + blank
            }
            [Mark('['), Fraction(epoch, _), Mark(']'), Mark('['), Fraction(step, _), Mark(']'), ..] => {
                (self.line.epoch, self.line.step, self.line.progress) = (Some(*epoch), Some(*step), true);
                6
            }
            [Mark('['), Fraction(number, _), Mark(']'), ..] | [Mark('('), Fraction(number, _), Mark(')'), ..] => {
                self.of_count(*number, 3)
            }
            // `[  1/100] train_loss: 0.5 valid_loss: 0.6`.
            [Mark('['), Mark('\t'), Fraction(number, _), Mark(']'), ..] => self.of_count(*number, 4),
            // `[ Train | 001/080 ] loss = 0.5`.
            [Mark('['), Word(part), Mark('|'), Fraction(epoch, epochs), Mark(']'), ..] if is_part(part).is_some() => {
                self.part = is_part(part);
                self.of_bar(*epoch, *epochs, 5)
            }
            // `3/10 train_loss=0.5 val_loss=0.6`.
            [Fraction(number, _), Word(_), Mark('=' | ':'), ..] if !self.line.bar => self.of_count(*number, 1),
            // Catalyst: `1/12 * Epoch 1 (train): …`.
            [Fraction(epoch, _), Mark('*'), Word(word), ..] if is_epoch(word) => self.of_epoch(*epoch, 2),
            [number, Word(word), Mark(':' | ',' | '-' | '|'), rest @ ..]
                if is_epoch(word) && whole(number).is_some() && !is_number_next(rest) =>
            {
                (self.line.epoch, self.named) = (whole(number), true);
                3
            }
            // `E001 train_loss=0.5`.
            [Word(word), ..] if let Some(number) = glued_epoch(word) => self.of_epoch(number, 1),
            // timm: `Train: 0 [ 389/390 (100%)]  Loss: …`.
            [Word(part), Mark(':'), number, Mark('['), Fraction(..) | Mark('\t'), ..]
                if is_part(part).is_some() && whole(number).is_some() =>
            {
                (self.line.epoch, self.named, self.part) = (whole(number), true, is_part(part));
                3
            }
            [number, Mark(':'), rest @ ..] if whole(number).is_some() => {
                let word = rest.iter().find(|token| **token != Mark('\t'));
                if !matches!(word, Some(Word("learn" | "test"))) {
                    return 0;
                }
                (self.line.epoch, self.bare_sets) = (whole(number), true);
                2
            }
            _ => 0,
        }
    }

    /// Takes a number that counts epochs or batches. Returns the pieces it took.
    fn of_count(&mut self, number: f64, pieces: usize) -> usize {
        (self.counted, self.line.progress) = (Some(number), true);
        pieces
    }

    /// Takes an epoch. Returns the pieces it took.
    fn of_epoch(&mut self, epoch: f64, pieces: usize) -> usize {
        (self.line.epoch, self.named) = (Some(epoch), true);
        pieces
    }

    /// Takes an epoch of several. Returns the pieces it took.
    fn of_bar(&mut self, epoch: f64, epochs: f64, pieces: usize) -> usize {
        (self.line.epoch, self.line.epochs, self.named) = (Some(epoch), Some(epochs), true);
        pieces
    }
}

/// Whether what stands behind numbers in brackets continues or ends a list of lists: a row of a matrix.
fn is_of_list(rest: &[Token]) -> bool {
    let mut rest = rest.iter().filter(|token| **token != Token::Mark('\t'));
    rest.next() != Some(&Token::Mark(']'))
        || match rest.next() {
            Some(Token::Mark(',')) => rest.next().is_none(),
            next => next == Some(&Token::Mark(']')),
        }
}

/// Whether the number of an epoch follows the word for it, so that a number before the word is another one: `0epoch: 3013`.
pub(super) fn is_number_next(rest: &[Token]) -> bool {
    let next = rest.iter().find(|token| !matches!(token, Token::Mark(':' | '=' | '\t')));
    matches!(next, Some(Token::Number { decimal: false, unit: false, percent: false, .. } | Token::Fraction(..)))
}

/// The epoch in a word within a line, and what stands before it: `epoch23`, `Test-epoch_23`.
pub(super) fn epoch_within(word: &str) -> Option<(&str, f64)> {
    const JOINTS: [char; 4] = ['_', '-', '@', '/'];
    let at = word.to_ascii_lowercase().rfind("epoch")?;
    let before = word[..at].trim_end_matches(JOINTS);
    let number = word[at + "epoch".len()..].trim_start_matches(JOINTS).parse::<u32>().ok()?;
    (before.is_empty() || is_part(before).is_some()).then_some((before, f64::from(number)))
}

/// The number of an epoch that is written together with the word: `Epoch1`, `E001`, `epoch_3`, `第3轮`.
fn glued_epoch(word: &str) -> Option<f64> {
    if let Some(number) = word.strip_prefix('第') {
        return number.strip_suffix('轮')?.parse::<u32>().ok().map(f64::from);
    }
    let number = word.to_ascii_lowercase();
    let number =
        number.strip_prefix("epoch").or_else(|| number.strip_prefix("ep")).or_else(|| word.strip_prefix('E'))?;
    number.trim_start_matches(['_', '-', '.']).parse::<u32>().ok().map(f64::from)
}
