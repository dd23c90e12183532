//! Formats of names and values in charts, report and terminal.

use serde_json::Value;

use super::ranking::Spread;
use sweep_core::describe::thousands;
use sweep_core::history::{Status, TrialRecord};
use sweep_core::trial::{Metric, Outcome, Settings, plain};
use sweep_verdict::Finding;

/// The display name of a trial's status.
pub fn status(trial: &TrialRecord) -> &'static str {
    match &trial.status {
        Status::Running => "running",
        Status::Waiting => "waiting",
        Status::Ended(Outcome::Finished) => "finished",
        Status::Ended(Outcome::EarlyStopped) => "stopped early",
        Status::Ended(Outcome::Stopped { .. }) => "stopped",
        Status::Ended(Outcome::Skipped) => "skipped",
        Status::Ended(Outcome::Diverged { .. }) => "diverged",
        Status::Ended(Outcome::OutOfMemory { .. }) => "out of memory",
        Status::Ended(Outcome::Impossible { .. }) => "impossible",
        Status::Ended(Outcome::Failed { .. }) => "failed",
    }
}

/// Makes text from files one line that is harmless in a terminal, an SVG, or a page. Control characters become spaces.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c }).collect()
}

/// Formats a parameter's value in one line, numbers with four digits. Tables show `0.003784`; `trials.csv` has all
/// digits.
pub fn setting(value: &Value) -> String {
    clean(&plain(&short(value)))
}

/// Longest value and most parameters that a sentence shows.
const LONGEST: usize = 48;
const MOST: usize = 8;

/// The same for sentences: a long text is cut.
pub fn brief(value: &Value) -> String {
    cut(&setting(value))
}

/// Cuts a text that is too long for a sentence.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn short(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let digits = number.as_f64().and_then(|number| format!("{number:.3e}").parse::<f64>().ok());
            digits.map_or_else(|| value.clone(), Value::from)
        }
        Value::Array(items) => items.iter().map(short).collect(),
        Value::Object(table) => table.iter().map(|(name, value)| (name.clone(), short(value))).collect(),
        other => other.clone(),
    }
}

/// Formats parameters in one line: `learning_rate 0.001, batch_size 64`.
pub fn settings(settings: &Settings) -> String {
    if settings.is_empty() {
        return "no parameter varies".into();
    }
    let each = settings.iter().take(MOST).map(|(name, value)| format!("{} {}", clean(name), brief(value)));
    let shown = each.collect::<Vec<_>>().join(", ");
    match settings.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more parameters"),
    }
}

/// Formats findings in one line: `overfit from epoch 14 (clear), plateau`. The result is empty without findings.
pub fn findings(findings: &[Finding]) -> String {
    findings.iter().map(Finding::label).collect::<Vec<_>>().join(", ")
}

/// The name of a metric in a sentence: `validation loss`.
pub fn metric(metric: &Metric) -> &str {
    match metric.name.as_str() {
        "train_loss" => "training loss",
        "train_accuracy" => "training accuracy",
        "train_eval_loss" => "training loss (evaluation mode)",
        "train_eval_accuracy" => "training accuracy (evaluation mode)",
        "val_loss" => "validation loss",
        "val_accuracy" => "validation accuracy",
        other => other,
    }
}

pub use sweep_verdict::{number, percent, significant};

/// Numbers from this on are in scientific notation, so that the reader need not count digits.
const LARGE: f64 = 1e5;

/// Formats a number with its sign and this many decimals, or a large one as `+1.234e8`.
fn signed(value: f64, digits: usize) -> String {
    if value.abs() >= LARGE { format!("{value:+.3e}") } else { format!("{value:+.digits$}") }
}

/// Formats a metric's value with four significant digits, or an accuracy as a percentage: `1.402`, `60.4%`.
pub fn value(name: &str, value: Option<f64>) -> String {
    let Some(value) = value else { return "–".into() };
    if name.ends_with("_accuracy") { percent(value) } else { significant(value, 4) }
}

/// Formats the mean and standard deviation of a metric or gap over repeats: `1.402 ± 0.011`, `60.4 ± 0.7%`. Accuracy
/// gaps are in percentage points. The text beside it must say that `±` is the standard deviation.
pub fn spread(name: &str, spread: Option<Spread>) -> String {
    let Some(Spread { mean, deviation }) = spread else { return "–".into() };
    let share = name.ends_with("_accuracy");
    let sign = if share { "%" } else { "" };
    let points = |value: f64| number(value * 100.0, 1);
    match (deviation, share || name == "accuracy_gap") {
        (Some(deviation), true) => format!("{} ± {}{sign}", points(mean), points(deviation)),
        (None, true) => points(mean) + sign,
        (Some(deviation), false) => format!("{} ± {}", significant(mean, 4), significant(deviation, 2)),
        (None, false) => significant(mean, 4),
    }
}

/// Formats the standard deviation of a metric: `0.011`, `0.7 points`.
pub fn deviation(name: &str, deviation: f64) -> String {
    match name.ends_with("_accuracy") {
        true => format!("{} points", number(deviation * 100.0, 1)),
        false => significant(deviation, 2),
    }
}

/// Formats a loss gap: `+0.3112`.
pub fn loss_gap(gap: Option<f64>) -> String {
    gap.map_or("–".into(), |gap| signed(gap, 4))
}

/// Formats an accuracy gap in percentage points: `+10.3`.
pub fn accuracy_gap(gap: Option<f64>) -> String {
    gap.map_or("–".into(), |gap| signed(gap * 100.0, 1))
}

/// Formats a count with thousands separators: `49,000`.
pub fn count(count: u64) -> String {
    if count == u64::MAX {
        return "more than can be counted".to_owned();
    }
    thousands(count)
}

/// Formats a number of trials: `1 trial`, `1,200 trials`.
pub fn trials(many: usize) -> String {
    format!("{} {}", count(many as u64), if many == 1 { "trial" } else { "trials" })
}

/// Formats a part of the trials: `18 of 24 trials`, `all 6 trials`, `both trials`, `the only trial`.
pub fn of_trials(some: usize, all: usize) -> String {
    match (some, all) {
        (1, 1) => "the only trial".into(),
        (2, 2) => "both trials".into(),
        _ if some == all => format!("all {}", trials(all)),
        _ => format!("{} of {}", count(some as u64), trials(all)),
    }
}

/// Formats a part of the others: `the other trial`, `3 of the 23 other trials`. `[one, many]` is the noun in singular
/// and plural.
pub fn of_others(some: usize, all: usize, [one, many]: [&str; 2]) -> String {
    match (some, all) {
        (1, 1) => format!("the other {one}"),
        _ if some == all => format!("all {} other {many}", count(all as u64)),
        _ => format!("{} of the {} other {many}", count(some as u64), count(all as u64)),
    }
}

/// Formats a duration: `45 s`, `12 min`, `3 h 20 min`, `2 d 4 h`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    match whole {
        0..60 => format!("{whole} s"),
        60..600 => format!("{minutes} min {:02} s", whole % 60),
        600..3600 => format!("{minutes} min"),
        3600..86400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_thousands_set_apart() {
        assert_eq!([0, 999, 1000, 49_000, 2_915_114].map(count), ["0", "999", "1,000", "49,000", "2,915,114"]);
    }

    #[test]
    fn a_share_is_said_as_people_say_it() {
        let said = [(1, 1), (2, 2), (6, 6), (1, 2), (18, 2400)].map(|(some, all)| of_trials(some, all));
        assert_eq!(said, ["the only trial", "both trials", "all 6 trials", "1 of 2 trials", "18 of 2,400 trials"]);
        let others = [(1, 1), (2, 2), (1, 23), (3, 23)].map(|(some, all)| of_others(some, all, ["trial", "trials"]));
        let expected =
            ["the other trial", "all 2 other trials", "1 of the 23 other trials", "3 of the 23 other trials"];
        assert_eq!(others, expected);
    }

    #[test]
    fn no_number_is_a_row_of_digits() {
        let spread_of = |mean, deviation| spread("val_accuracy", Some(Spread { mean, deviation: Some(deviation) }));
        for value_of in [f64::MAX, -f64::MAX, 1e5, 3e305, f64::MIN_POSITIVE] {
            let said = [
                value("val_loss", Some(value_of)),
                value("val_accuracy", Some(value_of)),
                spread_of(value_of, value_of),
                loss_gap(Some(value_of)),
                accuracy_gap(Some(value_of)),
                duration(value_of),
            ];
            assert!(said.iter().all(|said| said.len() < 40), "{said:?}");
        }
        assert_eq!(loss_gap(Some(-2e6)), "-2.000e6");
        assert_eq!(spread_of(0.6039, 0.0072), "60.4 ± 0.7%");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let said: Vec<_> = [0.4, 59.0, 61.0, 1800.0, 12_000.0, 200_000.0, -3.0].map(duration).into();
        assert_eq!(said, ["0 s", "59 s", "1 min 01 s", "30 min", "3 h 20 min", "2 d 07 h", "0 s"]);
    }

    #[test]
    fn settings_have_four_digits_and_whole_numbers_all_of_theirs() {
        let shown = |value| setting(&value);
        assert_eq!(shown(serde_json::json!(0.003784211987)), "0.003784");
        assert_eq!(shown(serde_json::json!(1e-4)), "0.0001");
        assert_eq!(shown(serde_json::json!(123456)), "123456");
        assert_eq!(shown(serde_json::json!({"type": "sgd", "momentum": 0.912345678})), "{type: sgd, momentum: 0.9123}");
        assert_eq!(shown(serde_json::json!(0.5)), "0.5");
    }
}
