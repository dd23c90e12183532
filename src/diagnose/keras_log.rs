//! What Keras prints while it trains, in all of its forms: old and new, with progress bars and without, in colour and
//! not, as a terminal or a file caught it.

use super::Problem;
use super::gather::{Gather, Place};

/// A longer line is no line of a log; a progress bar redrawn in place is cut at its carriage returns first.
const LONGEST_LINE: usize = 1 << 16;

/// Whether a text has a line `Epoch 1/50` and, after it, one with ` - loss: 0.5`.
pub fn recognised(text: &str) -> bool {
    let mut epochs = false;
    lines(text).any(|line| {
        epochs |= epoch(&line).is_some();
        epochs && values(&line).next().is_some()
    })
}

/// Hands the last values of every epoch to `gather`. A second call of `fit` in the same log is another curve.
pub fn read(bytes: &[u8], gather: &mut Gather) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(bytes);
    let mut fits = 1;
    let mut current: Option<u32> = None;
    let mut latest: Vec<(String, f64)> = Vec::new();
    let mut whole = false;
    let mut hand_over = |current: Option<u32>, fits: u32, latest: &mut Vec<(String, f64)>, whole: bool| {
        let place = Place { epoch: current.map(f64::from), step: None };
        for (name, value) in latest.drain(..) {
            // An epoch that was broken off has means over a part of it, and no validation.
            if whole && current.is_some() {
                gather.value(&format!("fit {fits}"), place, &name, value)?;
            }
        }
        Ok::<(), Problem>(())
    };
    for line in lines(&text) {
        if let Some(number) = epoch(&line) {
            hand_over(current, fits, &mut latest, whole)?;
            if current.is_some_and(|before| number <= before) {
                fits += 1;
            }
            (current, whole) = (Some(number), false);
            continue;
        }
        for (name, value) in values(&line) {
            // The line redrawn last holds.
            match latest.iter_mut().find(|(known, _)| known == name) {
                Some(known) => known.1 = value,
                None => latest.push((name.to_owned(), value)),
            }
        }
        whole |= values(&line).next().is_some() && !partial(&line);
    }
    hand_over(current, fits, &mut latest, whole)
}

/// Lines as they stood on the screen one after the other: cut at line ends, carriage returns and backspaces, without
/// colours.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let cut = text.split(['\n', '\r', '\u{8}']).filter(|line| !line.is_empty() && line.len() <= LONGEST_LINE);
    cut.map(without_escapes)
}

/// Without ECMA-48 control sequences: ESC [ … up to a letter.
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

/// The number of a line that begins an epoch: `Epoch 3/50`, and nothing else.
fn epoch(line: &str) -> Option<u32> {
    let (number, of) = line.trim().strip_prefix("Epoch ")?.split_once('/')?;
    of.trim().parse::<u32>().ok()?;
    number.trim().parse().ok()
}

/// The pairs of a line ` - loss: 2.1453 - acc: 0.2010`.
fn values(line: &str) -> impl Iterator<Item = (&str, f64)> {
    line.split(" - ").filter_map(|part| {
        let (name, value) = part.split_once(": ")?;
        let name = name.trim();
        let plain = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_-/.".contains(letter));
        // `ETA: 5s` is no number.
        Some((name, number(value.trim())?)).filter(|_| plain)
    })
}

/// Whether a progress bar is not at its end: `128/44100 [>....]`, or with an estimate of the time left.
fn partial(line: &str) -> bool {
    let counts = line.split_whitespace().next().and_then(|first| first.split_once('/'));
    let counts = counts.and_then(|(done, of)| Some((done.parse::<u64>().ok()?, of.parse::<u64>().ok()?)));
    counts.is_some_and(|(done, of)| done < of) || line.contains("ETA:")
}

/// A number as Python, pandas, W&B and Keras write it, those that are not finite included.
pub fn number(text: &str) -> Option<f64> {
    // Rust reads `inf`, `Infinity`, `NaN` in any case, too. `-` and `None` stand for nothing.
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use crate::diagnose::{Format, Source, read};
    use crate::trial::EpochMetrics;

    fn curves(text: &str) -> Vec<Vec<EpochMetrics>> {
        let source = Source { name: "log".into(), prefix: None, bytes: text.into() };
        let reading = read(&[source], None, &[]).expect("it is a log");
        assert_eq!(reading.format, Format::KerasLog);
        reading.curves.into_iter().map(|curve| curve.epochs).collect()
    }

    #[test]
    fn keras_3_in_colour_is_read() {
        let text = "Epoch 1/2\n\u{1b}[1m  1/313\u{1b}[0m \u{1b}[37m━━━━\u{1b}[0m \u{1b}[1m2:11\u{1b}[0m 420ms/step - \
                    accuracy: 0.1250 - loss: 2.3012\r\u{1b}[1m313/313\u{1b}[0m \u{1b}[32m━━━━\u{1b}[0m\u{1b}[37m\u{1b}[0m \
                    \u{1b}[1m2s\u{1b}[0m 5ms/step - accuracy: 0.4000 - loss: 1.6000 - val_accuracy: 0.5000 - val_loss: \
                    1.4000 - learning_rate: 0.0010\nEpoch 2/2\n\u{1b}[1m313/313\u{1b}[0m ━━ 2s 5ms/step - accuracy: \
                    0.5 - loss: 1.3 - val_accuracy: 0.55 - val_loss: 1.2e+00\n";
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
}
