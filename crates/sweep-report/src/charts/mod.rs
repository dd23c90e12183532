//! Charts. Each is composed as marks on a page (`trial`, `validation`, `effects`, …), then rendered as SVG and PNG by
//! plotters.

mod axis;
mod comparison;
mod effects;
mod figure;
mod heat;
mod ink;
#[cfg(test)]
pub mod layout;
mod paint;
mod panel;
mod parallel;
mod pareto;
mod scatter;
mod schedule;
mod slots;
mod trial;
mod validation;

pub use axis::Axis;
pub use comparison::{MOST_COMPARED, comparison};
pub use effects::effects;
pub use figure::Figure;
pub use heat::interactions;
pub use ink::dark_style;
pub use paint::{png, svg};
pub use parallel::parallel;
pub use pareto::pareto;
pub use scatter::gap;
pub use schedule::{Course, schedules};
pub use slots::slots;
pub use trial::{Heading, curve, named, points, trial};
pub use validation::{HIGHLIGHTS, validation};

#[cfg(test)]
mod tests {
    use std::f64::consts::LN_10;

    use serde_json::json;

    use super::*;
    use sweep_core::history::TrialRecord;
    use sweep_core::trial::{EpochMetrics, Outcome};

    /// A trial with this curve.
    fn record(curve: Vec<EpochMetrics>) -> TrialRecord {
        let settings = sweep_sample::settings(json!({"learning_rate": 0.001, "dropout": 0.2}));
        let mut entries = sweep_sample::beginning("one");
        entries.extend(sweep_sample::attempt(1, 1, &settings, 0, 0));
        entries.push(sweep_sample::ended(1, 1, Outcome::Finished));
        let mut trial = sweep_sample::apply(&entries).trials[0].clone();
        trial.curve = curve.into();
        trial
    }

    /// Extreme curves that a trainer may report.
    fn odd_curves() -> Vec<(&'static str, Vec<EpochMetrics>)> {
        let whole = |last: u32| (1..=last).map(|n| sweep_sample::epoch(1, n, 0.2)).collect::<Vec<_>>();
        let mut gaps = whole(12);
        for epoch in &mut gaps {
            if epoch.epoch % 4 == 0 || epoch.epoch == 6 {
                epoch.val_loss = None;
            }
            epoch.train_eval_accuracy = None;
        }
        let constant = whole(8).into_iter().map(|epoch| EpochMetrics {
            train_loss: Some(LN_10),
            train_eval_loss: Some(LN_10),
            val_loss: Some(LN_10),
            train_accuracy: Some(0.1),
            train_eval_accuracy: Some(0.1),
            val_accuracy: Some(0.1),
            ..epoch
        });
        let mut burst = whole(30);
        burst[17].val_loss = Some(3.4e38);
        burst[18].train_loss = Some(1e30);
        let nothing = (1..=3).map(|epoch| EpochMetrics { epoch, ..EpochMetrics::default() });
        let loss_only = whole(6).into_iter().map(|epoch| EpochMetrics {
            train_accuracy: None,
            train_eval_accuracy: None,
            val_accuracy: None,
            ..epoch
        });
        let perfect = whole(5).into_iter().map(|epoch| EpochMetrics {
            val_accuracy: Some(1.0),
            train_accuracy: Some(1.0),
            train_eval_accuracy: Some(1.0),
            ..epoch
        });
        vec![
            ("whole", whole(50)),
            ("empty", Vec::new()),
            ("single", whole(1)),
            ("two", whole(2)),
            ("gaps", gaps),
            ("constant", constant.collect()),
            ("burst", burst),
            ("nothing", nothing.collect()),
            ("loss_only", loss_only.collect()),
            ("perfect", perfect.collect()),
            ("long", whole(600)),
        ]
    }

    #[test]
    fn every_curve_makes_a_picture_within_its_page() {
        let metric = sweep_sample::spec().metric;
        for (name, curve) in odd_curves() {
            let figure = trial(&record(curve), &metric, None);
            let (width, height) = (figure.size.0 as f32, figure.size.1 as f32);
            let inside = |&(x, y): &(f32, f32)| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
            for mark in &figure.marks {
                let fits = match mark {
                    figure::Mark::Area { corner, opposite, .. } => inside(corner) && inside(opposite),
                    figure::Mark::Line { points, .. } => points.iter().all(inside),
                    figure::Mark::Dot { at, .. } | figure::Mark::Text { at, .. } => inside(at),
                };
                assert!(fits, "{name}: {mark:?}");
            }
            let picture = image::load_from_memory(&png(&figure)).expect("a PNG").to_rgb8();
            assert_eq!(picture.dimensions(), (figure.size.0 * 2, figure.size.1 * 2), "{name}");
            let written = picture.pixels().filter(|pixel| pixel.0 != [0xff; 3]).count();
            assert!(written > 1000, "{name}: the page is not blank");
            assert!(!svg(&figure).contains("NaN"), "{name}");
        }
    }

    #[test]
    fn text_from_files_is_escaped() {
        let mut trial_record = record(Vec::new());
        trial_record.settings = sweep_sample::settings(
            json!({"<script>alert(1)</script>": "</text>&\"'\u{0}<b>", "a\u{1b}[0m": [1, "<i>"]}),
        );
        let drawn = svg(&trial(&trial_record, &sweep_sample::spec().metric, None));
        assert!(drawn.contains("&lt;script&gt;alert(1)&lt;/script&gt; &lt;/text&gt;&amp;"), "{drawn}");
        for hostile in ["<script", "<b>", "<i>", "</text>&", "\u{0}", "\u{1b}"] {
            assert!(!drawn.contains(hostile), "{hostile:?} in {drawn}");
        }
    }

    /// Writes all charts above for inspection: `PICTURES=folder cargo test write_pictures -- --ignored`.
    #[test]
    #[ignore = "for the eye"]
    #[allow(clippy::disallowed_methods)]
    fn write_pictures() {
        let folder = std::path::PathBuf::from(std::env::var("PICTURES").expect("PICTURES names a folder"));
        let metric = sweep_sample::spec().metric;
        let mut figures: Vec<_> =
            odd_curves().into_iter().map(|(name, c)| (name, trial(&record(c), &metric, Some(2)))).collect();
        let history = sweep_sample::history();
        figures.push(("diverged", trial(&history.trials[4], &metric, None)));
        figures.push(("validation", validation(&history, &metric)));
        let many = sweep_sample::many(80);
        figures.push(("many", validation(&many, &metric)));
        figures.push(("none", validation(&sweep_core::history::History::default(), &metric)));
        for (name, figure) in figures {
            let start = std::time::Instant::now();
            let drawn = svg(&figure);
            let middle = start.elapsed();
            let pixels = png(&figure);
            println!("{name}: svg {middle:?} {} B, png {:?} {} B", drawn.len(), start.elapsed() - middle, pixels.len());
            std::fs::write(folder.join(format!("{name}.svg")), drawn).expect("written");
            std::fs::write(folder.join(format!("{name}.png")), pixels).expect("written");
        }
    }
}
