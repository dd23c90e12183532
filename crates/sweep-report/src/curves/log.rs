//! Reader for the output of training scripts. It reads Keras logs in all forms: old and new, with or without progress
//! bars and color, captured from a terminal or a file. It also reads handwritten loops that print an epoch and `name:
//! value`.

use super::Problem;
use super::columns::{Target, is_validation, meaning, names_part};
use super::gather::{Gather, Place};

/// Maximum line length in bytes; a longer line is not a log line. Progress bars that redraw in place are split at
/// carriage returns first.
const LONGEST_LINE: usize = 1 << 16;
/// Characters allowed between the word "epoch" and its number.
const BEFORE_NUMBER: &[char] = &[' ', '[', '(', ':', '=', '#'];
/// Characters that separate names.
const SEPARATORS: &[char] = &[',', '|', ';', '[', ']', '(', ')', '{', '}', '\t'];

/// Whether the text names an epoch and, there or later, a metric.
pub fn recognised(text: &str) -> bool {
    let mut epochs = false;
    lines(text).any(|line| {
        epochs |= epoch(&line).is_some();
        let metric = |(name, _): &(String, f64)| matches!(meaning(name), Some((Target::Metric(_), _)));
        epochs && values(&line).iter().any(metric)
    })
}

/// Passes the last values of every epoch to `gather`. A second training run in the same log becomes another curve.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(bytes);
    let mut under_way = UnderWay { fit: 1, ..UnderWay::default() };
    for line in lines(&text) {
        let values = values(&line);
        if let Some((number, alone)) = epoch(&line)
            && (alone || !values.is_empty())
            && !under_way.epoch(number, alone, gather)?
        {
            continue;
        }
        under_way.whole |= !values.is_empty() && !partial(&line);
        for (name, value) in values {
            // The last redrawn line has the final value.
            match under_way.latest.iter_mut().find(|(known, _)| *known == name) {
                Some(known) => known.1 = value,
                None => under_way.latest.push((name, value)),
            }
        }
    }
    under_way.hand_over(gather)
}

/// The epoch that the reader is in.
#[derive(Debug, Default)]
struct UnderWay {
    /// Number of the training run, from 1.
    fit: u32,
    number: Option<u32>,
    latest: Vec<(String, f64)>,
    /// Whether the end of the epoch was seen.
    whole: bool,
}

impl UnderWay {
    /// Handles a line that names an epoch. `alone` means that the line contains nothing else, so it begins an epoch.
    /// Returns whether the line's values belong to the training: a line that refers to an earlier epoch (`best epoch:
    /// 36`) does not.
    fn epoch(&mut self, number: u32, alone: bool, gather: &mut Gather) -> Result<bool, Problem> {
        match self.number {
            Some(before) if number == before && !alone => return Ok(true),
            Some(before) if number <= before && number > 1 && !alone => return Ok(false),
            Some(before) if number <= before => {
                self.hand_over(gather)?;
                self.fit += 1;
            }
            _ => self.hand_over(gather)?,
        }
        self.number = Some(number);
        Ok(true)
    }

    fn hand_over(&mut self, gather: &mut Gather) -> Result<(), Problem> {
        let (curve, place) = (format!("fit {}", self.fit), Place { epoch: self.number.map(f64::from), step: None });
        for (name, value) in std::mem::take(&mut self.latest) {
            // The means of an interrupted epoch cover only a part of it, and it has no validation.
            if self.whole && self.number.is_some() {
                gather.value(&curve, place, &name, value)?;
            }
        }
        self.whole = false;
        Ok(())
    }
}

/// Splits the text into the lines that appeared on the screen, without color. Line ends, carriage returns and
/// backspaces separate them.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let cut = text.split(['\n', '\r', '\u{8}']).filter(|line| !line.is_empty() && line.len() <= LONGEST_LINE);
    cut.map(without_escapes)
}

/// Removes ECMA-48 control sequences: `ESC [` up to a letter.
fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after =
            part.strip_prefix('[').and_then(|rest| rest.split_once(|letter: char| letter.is_ascii_alphabetic()));
        plain.push_str(after.map_or(part, |(_, rest)| rest));
    }
    plain
}

/// The last epoch that a line names, and whether the line contains nothing else. `Epoch 3/50` begins an epoch, while
/// `Epoch 3: …` reports on one.
fn epoch(line: &str) -> Option<(u32, bool)> {
    const WORD: &str = "epoch";
    let is_word = |at: &usize| line.get(*at..*at + WORD.len()).is_some_and(|word| word.eq_ignore_ascii_case(WORD));
    (0..line.len()).rev().filter(is_word).find_map(|at| {
        let (before, rest) = (&line[..at], line[at + WORD.len()..].trim_start_matches(BEFORE_NUMBER));
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        let number = rest[..end].parse().ok()?;
        let apart = !before.ends_with(|letter: char| letter.is_alphanumeric() || "_/".contains(letter));
        let of = rest[end..].strip_prefix('/').map(|of| of.trim_end_matches([']', ')']).trim());
        let alone = of.is_some_and(|of| of.parse::<u32>().is_ok());
        apart.then_some((number, alone))
    })
}

/// The name and value pairs of a line: ` - loss: 2.1453 - val_acc: 0.2010`, `val Loss: 0.8 Acc: 61 %`. A set that is
/// named once applies to the rest of the line, as in the second example.
fn values(line: &str) -> Vec<(String, f64)> {
    let mut pairs = Vec::new();
    let mut part: Option<&str> = None;
    let mut rest = line;
    while let Some(at) = rest.find([':', '=']) {
        let before = &rest[..at];
        rest = &rest[at + 1..];
        let number_end =
            |text: &str| text.find(|c: char| c.is_whitespace() || "|;,%)]}".contains(c)).unwrap_or(text.len());
        let after = rest.trim_start_matches(' ');
        let Some(value) = number(&after[..number_end(after)]) else { continue };
        let before = before.rsplit(SEPARATORS).next().unwrap_or_default();
        let name = before.rsplit(" - ").next().unwrap_or_default();
        let name = name.trim_matches(|letter: char| !letter.is_alphanumeric() && letter != '_');
        rest = &after[number_end(after)..];
        if !name.contains(char::is_alphabetic) {
            continue;
        }
        part = names_part(before).or(part);
        let of_part = part.filter(|part| is_validation(part) && names_part(name).is_none());
        match of_part.filter(|_| matches!(meaning(name), Some((Target::Metric(_), _)))) {
            Some(part) => pairs.push((format!("{part} {name}"), value)),
            None => pairs.push((name.to_owned(), value)),
        }
    }
    pairs
}

/// Whether a progress bar is incomplete: `128/44100 [>....]`, or with an estimate of the remaining time.
fn partial(line: &str) -> bool {
    let counts = line.split_whitespace().next().and_then(|first| first.split_once('/'));
    let counts = counts.and_then(|(done, of)| Some((done.parse::<u64>().ok()?, of.parse::<u64>().ok()?)));
    counts.is_some_and(|(done, of)| done < of) || line.contains("ETA:")
}

/// Parses a number in the notation of Python, pandas, W&B, or Keras, including values that are not finite.
pub fn number(text: &str) -> Option<f64> {
    // Rust also accepts `inf`, `Infinity` and `NaN` in any case. `-` and `None` mean that there is no value.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::curves::{Format, Source, read};
    use sweep_core::trial::EpochMetrics;

    fn curves(text: &str) -> Vec<Vec<EpochMetrics>> {
        let source = Source { name: "log".into(), prefix: None, bytes: text.into() };
        let reading = read(&[source], None, &[]).expect("it is a log");
        assert_eq!(reading.format, Format::Log);
        reading.curves.into_iter().map(|curve| curve.epochs).collect()
    }

    #[test]
    fn keras_3_in_colour_is_read() {
        let text = "Epoch 1/2\n\u{1b}[1m  1/313\u{1b}[0m \u{1b}[37m━━━━\u{1b}[0m \u{1b}[1m2:11\u{1b}[0m 420ms/step - \
                    accuracy: 0.1250 - loss: 2.3012\r\u{1b}[1m313/313\u{1b}[0m \u{1b}[32m━━━━\u{1b}[0m\u{1b}[37m\
                    \u{1b}[0m \u{1b}[1m2s\u{1b}[0m 5ms/step - accuracy: 0.4000 - loss: 1.6000 - val_accuracy: 0.5000 - \
                    val_loss: 1.4000 - learning_rate: 0.0010\nEpoch 2/2\n\u{1b}[1m313/313\u{1b}[0m ━━ 2s 5ms/step - \
                    accuracy: 0.5 - loss: 1.3 - val_accuracy: 0.55 - val_loss: 1.2e+00\n";
        let curves = curves(text);
        assert_eq!(curves.len(), 1);
        assert_eq!(curves[0][0].train_accuracy, Some(0.4));
        assert_eq!(curves[0][0].learning_rate, Some(0.001));
        assert_eq!(curves[0][1].val_loss, Some(1.2));
    }

    #[test]
    fn a_bar_redrawn_by_backspaces_counts_once() {
        let text = "Epoch 1/1\n  128/44100 [....] - ETA: 32s - loss: 2.4 - acc: 0.09\u{8}\u{8}\u{8}\u{8}\n44100/44100 \
                    [====] - 22s - loss: 2.1453 - acc: 0.2010 - val_loss: 1.9812 - val_acc: 0.2959";
        let curves = curves(text);
        assert_eq!((curves[0].len(), curves[0][0].train_loss), (1, Some(2.1453)));
    }

    #[test]
    fn one_line_an_epoch_and_what_callbacks_say_between_is_read() {
        let text = "Train on 100 samples\nEpoch 1/3\n - 3s - loss: 2.1 - acc: 0.2 - val_loss: 1.9 - val_acc: 0.3\n\
                    Epoch 00001: val_loss improved from inf to 1.90000, saving model to best.h5\nEpoch 2/3\n\
                    313/313 - 2s - loss: 1.8 - acc: 0.3 - val_loss: nan - val_acc: 0.1 - 2s/epoch - 6ms/step\n\
                    Epoch 3/3\n 12/313 [>...] - ETA: 5s - loss: 1.7 - acc: 0.4\nTraceback: KeyboardInterrupt\n";
        let curves = curves(text);
        assert_eq!(curves[0].len(), 2, "the third epoch was broken off");
        assert_eq!(curves[0][0].val_accuracy, Some(0.3));
        assert_eq!(curves[0][1].val_loss, None);
    }

    #[test]
    fn a_second_fit_is_a_second_curve() {
        let epoch = |n| format!("Epoch {n}/2\n10/10 - 1s - loss: {n}.5 - val_loss: 1.0\n");
        let curves = curves(&[epoch(1), epoch(2), epoch(1), epoch(2)].concat());
        assert_eq!(curves.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn what_hand_written_loops_print_is_read() {
        let tutorial = "Epoch 1/2\n----------\ntrain Loss: 0.9 Acc: 0.5\nval Loss: 0.8 Acc: 0.6\n\nEpoch 2/2\n-----\n\
                        train Loss: 0.7 Acc: 0.7\nval Loss: 0.6 Acc: 0.8\n\nBest val Acc: 0.8\n";
        let lines = "INFO Epoch [1/2], Train Loss: 0.9, Train Acc: 50.0%, Val Loss: 0.8, Val Acc: 60.0%\n\
                     INFO Epoch [2/2], Train Loss: 0.7, Train Acc: 70.0%, Val Loss: 0.6, Val Acc: 80.0%\n";
        let bars = "Epoch 1/2 [Train]: 100%|###| 68/68 [00:32<00:00,  2.06it/s, loss=0.1489]\n\
                    Epoch 1: Train Loss=0.9, Train Acc=0.5 | Val Loss=0.8, Val Acc=0.6\n\
                    Epoch 2/2 [Train]: 100%|###| 68/68 [00:33<00:00,  2.04it/s, loss=0.0805]\n\
                    Epoch 2: Train Loss=0.7, Train Acc=0.7 | Val Loss=0.6, Val Acc=0.8\n";
        let asides = "[data: x.csv]\nEpoch 1/2 - Train Loss: 0.9 (Acc: 50.0%)\nVal - Loss: 0.8, Acc: 60.0%\n\
                      Saved at epoch 1\nEpoch 2/2 - Train Loss: 0.7 (Acc: 70.0%)\nVal - Loss: 0.6, Acc: 80.0%\n\
                      Restoring model weights from the end of the best epoch: 1.\nTest Acc: 12.0%\n";
        let comments = "# Epoch 1/2\n# 390/390 [===] - 20s - loss: 0.9 - acc: 0.5 - val_loss: 0.8 - val_acc: 0.6\n\
                        # Epoch 2/2\n# 390/390 [===] - 20s - loss: 0.7 - acc: 0.7 - val_loss: 0.6 - val_acc: 0.8\n";
        for text in [tutorial, lines, bars, asides, comments] {
            let curve = &curves(text)[0];
            let numbers = |m: &EpochMetrics| [m.train_loss, m.train_accuracy, m.val_loss, m.val_accuracy];
            assert_eq!(curve.len(), 2, "{text}");
            assert_eq!(numbers(&curve[0]), [0.9, 0.5, 0.8, 0.6].map(Some), "{text}");
            assert_eq!(numbers(&curve[1]), [0.7, 0.7, 0.6, 0.8].map(Some), "{text}");
        }
    }
}
