//! Tests of all charts for odd sweeps: no text lies on another one or leaves the page.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::figure::{Figure, Mark, Point, Side, width_of};
use crate::analysis::Analysis;
use sweep_core::history::{Entry, History};
use sweep_core::trial::{Outcome, Settings};
use sweep_spec::Spec;

/// The texts of a figure.
pub fn texts(figure: &Figure) -> Vec<&str> {
    boxes(figure).into_iter().map(|(text, _)| text).collect()
}

/// The texts of a figure, each with the corners of its letters.
fn boxes(figure: &Figure) -> Vec<(&str, (Point, Point))> {
    let mut boxes = Vec::new();
    for mark in &figure.marks {
        let Mark::Text { at: (x, y), text, size, bold, side, .. } = mark else { continue };
        let width = width_of(text, *size, *bold);
        let left = match side {
            Side::Start => *x,
            Side::Middle => x - width / 2.0,
            Side::End => x - width,
        };
        boxes.push((text.as_str(), ((left, y - 0.45 * size), (left + width, y + 0.45 * size))));
    }
    boxes
}

/// What is wrong with the texts of a figure.
fn faults(figure: &Figure) -> Vec<String> {
    let (width, height) = (figure.size.0 as f32, figure.size.1 as f32);
    let boxes = boxes(figure);
    let mut found = Vec::new();
    for (at, (text, (from, to))) in boxes.iter().enumerate() {
        if from.0 < -0.5 || from.1 < -0.5 || to.0 > width + 0.5 || to.1 > height + 0.5 {
            found.push(format!("{text:?} leaves the page: {from:?} to {to:?}"));
        }
        for (other, (first, last)) in &boxes[at + 1..] {
            let across = to.0.min(last.0) - from.0.max(first.0);
            let down = to.1.min(last.1) - from.1.max(first.1);
            if across > 1.0 && down > 1.0 {
                found.push(format!("{text:?} and {other:?} overlap by {across:.0} × {down:.0}"));
            }
        }
    }
    found
}

/// The entries of a sweep whose trials have these parameters, losses by epoch, and outcomes.
pub fn entries(trials: impl IntoIterator<Item = (Value, Vec<f64>, Outcome)>) -> Vec<Entry> {
    let mut entries = sweep_sample::beginning("odd");
    for (number, (settings, losses, outcome)) in (1..).zip(trials) {
        let last = losses.len() as u32;
        let mut attempt = sweep_sample::attempt(number, 1, &sweep_sample::settings(settings), 0, last);
        for entry in &mut attempt {
            if let Entry::Epoch { metrics, .. } = entry {
                let loss = losses[metrics.epoch as usize - 1];
                (metrics.val_loss, metrics.train_eval_loss, metrics.train_loss) =
                    (Some(loss), Some(loss * 0.8), Some(loss * 0.9));
            }
        }
        entries.extend(attempt);
        entries.push(sweep_sample::ended(number, 1, outcome));
    }
    entries
}

fn sweep(trials: impl IntoIterator<Item = (Value, Vec<f64>, Outcome)>) -> History {
    sweep_sample::apply(&entries(trials))
}

fn falling(from: f64, epochs: u32) -> Vec<f64> {
    (0..epochs).map(|epoch| from / (1.0 + 0.3 * f64::from(epoch))).collect()
}

/// Sweeps that charts have trouble with, by name.
#[allow(clippy::too_many_lines, reason = "a list")]
fn odd() -> Vec<(&'static str, History)> {
    let done = || Outcome::Finished;
    let diverged = || Outcome::Diverged { epoch: 3, step: 7, what: "training loss is NaN".into() };
    let long = "a_name_without_an_end_".repeat(46);
    let wide = |at: usize| -> Value {
        let one = |n: usize| (format!("parameter_with_number_{n}"), json!((at * (n + 2) / (n + 1)) % (2 + n % 4)));
        (0..24).map(one).collect::<Settings>().into()
    };
    vec![
        ("one trial with one epoch", sweep([(json!({"x": 1}), vec![2.0], done())])),
        (
            "trials with one epoch, the best ones nearly equal",
            sweep(
                (0..9).map(|at| (json!({"x": at}), vec![if at < 4 { 2.0 + 0.1 * f64::from(at) } else { 1e5 }], done())),
            ),
        ),
        (
            "two trials",
            sweep([(json!({"x": 1}), falling(2.0, 9), done()), (json!({"x": 2}), falling(2.001, 9), done())]),
        ),
        (
            "equal curves that end at different epochs",
            sweep((1..9).map(|at| (json!({"x": at}), falling(2.0, 3 + at), done()))),
        ),
        ("200 trials", sweep_sample::many(200)),
        (
            "names and values of 1,000 letters",
            sweep((0..12).map(|at| {
                let table: Settings =
                    [(long.clone(), json!(at % 3)), ("text".into(), json!(format!("{at} {}", long.replace('_', " "))))]
                        .into_iter()
                        .collect();
                (table.into(), falling(2.0 + 0.3 * f64::from(at % 3), 12), done())
            })),
        ),
        ("24 parameters", sweep((0..60).map(|at| (wide(at), falling(2.0 + (at % 5) as f64, 12), done())))),
        (
            "300 levels",
            sweep((0..300).map(|at| {
                let table = json!({"seed": at, "word": format!("word {at}"), "few": at % 12});
                (table, falling(2.0 + 0.1 * f64::from(at % 12), 6), done())
            })),
        ),
        (
            "losses over eight decades",
            sweep((0..16).map(|at| {
                let table = json!({"x": at % 4, "y": at / 4});
                (table, falling(10_f64.powi(at % 9 - 4), 12), done())
            })),
        ),
        (
            "one diverged trial",
            sweep((0..9).map(|at| {
                let (losses, outcome) =
                    if at == 4 { (vec![2.0, 9e7, 3e12], diverged()) } else { (falling(2.0, 12), done()) };
                (json!({"lr": 0.1 * f64::from(at + 1), "b": at % 2}), losses, outcome)
            })),
        ),
        (
            "values that are not Latin",
            sweep((0..12).map(|at| {
                let (name, value) = [("学習率", "こんにちは世界"), ("скорость", "быстро"), ("سرعة", "🚀🚀")][at % 3];
                let table = json!({name: at, "激活": value, "norm": at % 2 == 0});
                (table, falling(2.0 + 0.2 * (at % 3) as f64, 12), done())
            })),
        ),
        ("1,500 epochs", sweep((0..4).map(|at| (json!({"x": at}), falling(2.0 + f64::from(at), 1500), done())))),
        ("nothing but failures", sweep((0..3).map(|at| (json!({"x": at}), vec![], diverged())))),
        (
            "epochs of a million",
            sweep([(json!({"x": 1}), falling(2.0, 3), done())]).altered(|history| {
                history.trials[0].curve.iter_mut().for_each(|epoch| epoch.epoch *= 1_000_000);
            }),
        ),
        ("markup", sweep_sample::hostile()),
        (
            "large and negative values",
            sweep((0..8).map(|at| {
                let sign = if at % 2 == 0 { -1.0 } else { 1.0 };
                (json!({"x": at}), vec![sign * 123_456_789.0, sign * 123_456_000.0 + f64::from(at)], done())
            })),
        ),
    ]
}

/// All charts of a sweep, each with its name.
fn figures(history: &History) -> Vec<(String, Figure)> {
    let spec = Spec { repeats: 1, most_repeats: 1, ..sweep_sample::spec() };
    let analysis = Analysis::new(&spec, history);
    let sections = analysis.sections().into_iter().flat_map(|section| section.charts);
    let mut figures: Vec<(String, Figure)> = sections.map(|(name, figure)| (name.to_owned(), figure)).collect();
    let trials = history.trials.iter().take(12);
    figures.extend(trials.map(|trial| (format!("trial-{}", trial.id), analysis.chart(trial))));
    figures
}

#[test]
fn no_text_of_any_chart_lies_on_another_one_or_leaves_the_page() {
    let mut found = Vec::new();
    for (sweep, history) in odd() {
        for (name, figure) in figures(&history) {
            found.extend(faults(&figure).into_iter().map(|fault| format!("{sweep}, {name}: {fault}")));
        }
    }
    let short = |text: &String| text.chars().take(300).collect::<String>();
    assert!(found.is_empty(), "{}:\n{}", found.len(), found.iter().map(short).collect::<Vec<_>>().join("\n"));
}

/// Writes all of these charts for inspection: `PICTURES=folder cargo test write_odd -- --ignored`.
#[test]
#[ignore = "for the eye"]
#[allow(clippy::disallowed_methods)]
fn write_odd_pictures() {
    let folder = PathBuf::from(std::env::var("PICTURES").expect("PICTURES names a folder"));
    for (sweep, history) in odd() {
        for (name, figure) in figures(&history) {
            let file = folder.join(format!("{}-{name}", sweep.replace([' ', ','], "-")));
            std::fs::write(file.with_extension("png"), super::png(&figure)).expect("written");
            std::fs::write(file.with_extension("svg"), super::svg(&figure)).expect("written");
        }
    }
}
