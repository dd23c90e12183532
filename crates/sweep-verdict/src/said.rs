//! Tests that what findings say about the course of a curve is true, on many curves.

use super::*;
use sweep_core::trial::Goal;
use sweep_sample::curves::{Kind, curve};

const KINDS: [Kind; 9] = [
    Kind::Good,
    Kind::Overfit,
    Kind::Underfit,
    Kind::OverRegularized,
    Kind::Improving,
    Kind::LowCeiling,
    Kind::Stuck,
    Kind::Exploded,
    Kind::Swinging,
];

/// Returns the number that follows these words.
fn number_after(text: &str, words: &str) -> Option<f64> {
    let rest = &text[text.find(words)? + words.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || "-.e".contains(c))).unwrap_or(rest.len());
    let value: f64 = rest[..end].trim_end_matches('.').parse().ok()?;
    Some(if rest[end..].starts_with('%') { value / 100.0 } else { value })
}

/// Returns whether a printed number is this value.
fn is(said: f64, value: f64) -> bool {
    (said - value).abs() <= 1e-3 * value.abs() + 6e-4
}

/// Returns what is untrue in a headline about the validation loss or accuracy, or about the training loss.
fn untrue(headline: &str, curve: &[EpochMetrics]) -> Option<String> {
    let series = |goal, of: fn(&EpochMetrics) -> Option<f64>| {
        Series::new(goal, curve.iter().filter_map(|epoch| Some((epoch.epoch, of(epoch)?))))
    };
    let is_of_loss = headline.to_lowercase().contains("validation loss");
    let val = match is_of_loss {
        true => series(Goal::Minimize, |epoch| epoch.val_loss)?,
        false => series(Goal::Maximize, |epoch| epoch.val_accuracy)?,
    };
    let train = series(Goal::Minimize, |epoch| epoch.train_eval_loss.or(epoch.train_loss))?;
    let best = val.values[val.best_value()];
    if let (Some(near), Some(since)) = (number_after(headline, "stayed near "), number_after(headline, "(since epoch "))
    {
        let from = val.epochs.iter().position(|epoch| f64::from(*epoch) >= since)?;
        let third = (val.len() - from).div_ceil(3);
        let level = series::median(&mut val.values[from..from + third].to_vec());
        let least = if is_of_loss { 0.0125 * near } else { 0.0075 };
        if (level - near).abs() > least.max(4.0 * val.level_error()) {
            return Some(format!("it was near {level} at first"));
        }
    }
    let at_best = ["was lowest there (", "was best there (", "was best near the end ("];
    if let Some(said) = at_best.iter().find_map(|words| number_after(headline, words))
        && !is(said, best)
        && !headline.contains("apart from single epochs")
    {
        return Some(format!("it was {best} at best"));
    }
    if let Some(said) = number_after(headline, "was still improving when training ended (")
        && (!is(said, val.last_shown()) || val.gain(val.best_of_first_half(), said) > 4.0 * val.noise)
    {
        return Some(format!("it ends at {} and was {best} at best", val.last_shown()));
    }
    let said = [number_after(headline, "in the first epoch, "), number_after(headline, " at best, and ")];
    if let (true, [Some(lowest), Some(end)]) = (headline.starts_with("Training hardly"), said)
        && !(is(lowest, train.values[train.best_value()]) && is(end, train.last_shown()))
    {
        return Some(format!("its loss was {} at best", train.values[train.best_value()]));
    }
    None
}

#[test]
fn what_is_said_of_the_course_of_a_curve_is_true() {
    let mut wrong = Vec::new();
    let mut said = 0;
    for (at, kind) in KINDS.into_iter().enumerate() {
        for seed in 0..60 {
            let (epochs, noise) = (10 + 13 * (seed % 7) as u32, 0.003 + 0.03 * (seed % 5) as f64);
            let whole = curve(kind, epochs, noise, seed + 100 * at as u64, seed % 2 == 0);
            let later = &whole[if seed % 3 == 0 { whole.len() / 3 } else { 0 }..];
            for finding in judge(later, &Context::default()) {
                said += 1;
                let untrue = untrue(&finding.headline, later);
                wrong.extend(untrue.map(|why| format!("{kind:?} {seed}: {}: {why}", finding.headline)));
            }
        }
    }
    assert!(said > 500, "{said}");
    assert!(wrong.is_empty(), "{} of {said}: {wrong:#?}", wrong.len());
}
