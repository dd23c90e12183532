//! The results of a sweep: tables, charts and the report. All derive from the journal and can be written again at any
//! time.
//!
//! This crate owns what is concluded from many trials (`analysis`: ranking, ties, effects, time, next steps), how it is
//! drawn and written (`charts`, `html`, `markdown`, `tables`, `next`). It does not judge a single learning curve;
//! `sweep-verdict` does. It never changes a history.
//!
//! Start with `write` below, which writes everything, and `analysis`, which computes all that the pages show.

pub mod analysis;
mod asked;
pub mod bounded;
pub mod budget;
pub mod charts;
mod columns;
mod common;
mod effects;
mod estimate;
mod evaluated;
pub mod format;
mod html;
mod identical;
mod json;
mod markdown;
mod moves;
mod next;
mod patience;
mod raced;
pub mod ranking;
pub mod spread;
pub mod stages;
mod state;
mod steps;
pub mod summary;
mod tables;
mod ties;
mod time;
mod tradeoff;
pub mod verdicts;

pub use estimate::{planned_epochs, seconds_left};
pub use evaluated::{Evaluated, evaluation, write_evaluation};
pub use json::json;
pub use next::stage::file as next_stage;
pub use state::State;
pub use tables::Tables;

use std::path::Path;

use analysis::Analysis;

use sweep_core::error::{Error, Result};
use sweep_core::history::{History, TrialRecord};
use sweep_spec::Spec;
use sweep_store::Layout;
use sweep_verdict::Finding;

/// What the page of `sweep serve` has in common with `report.html`: scripts as modules, and a style sheet.
pub mod assets {
    pub const COMMON: &str = include_str!("../assets/common.js");
    pub const CHART: &str = include_str!("../assets/chart.js");
    pub const PANELS: &str = include_str!("../assets/panels.js");
    pub const STYLE: &str = include_str!("../assets/chart.css");
}

/// Number of trials whose chart is also written as PNG, best first. A PNG takes fifty times as long as an SVG, and most
/// of the space of a large sweep.
const PIXELS: usize = 10;

/// Number of trials whose charts are written when they end. In sweeps with more trials, the report writes those of notable
/// trials only: the charts would take most of the time and of the disk. The page draws any other.
pub const CHARTS: usize = 100;

/// Writes everything that derives from the journal: `trials.csv`, `epochs.csv`, charts, `report.html`, `report.md`,
/// `next.yaml`. Files are replaced whole.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn write(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    tables::write(layout, spec, history)?;
    pages(layout, spec, history)
}

/// Writes the same files as [`write()`] except the tables, which belong to the process that runs the sweep.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn pages(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    let history = &*bounded::history(history);
    let mut analysis = Analysis::new(spec, history);
    analysis.evaluated = evaluated::Evaluated::read(layout);
    for trial in drawn(&analysis) {
        let leads = analysis.ranking.placed.iter().take(PIXELS).any(|place| place.trial.id == trial.id);
        picture(&layout.trial(trial.id), "curves", &analysis.chart(trial), leads)?;
    }
    for (name, figure) in analysis.sections().into_iter().flat_map(|section| section.charts) {
        picture(&layout.charts(), name, &figure, true)?;
    }
    if let Some(next) = next_file(layout, history, &analysis)? {
        sweep_store::replace(&layout.next_file(), next.as_bytes())?;
    }
    sweep_store::replace(&layout.report_html(), html::page(&analysis).as_bytes())?;
    sweep_store::replace(&layout.report_md(), markdown::page(&analysis).as_bytes())
}

/// The trials whose charts the report writes.
pub(crate) fn drawn<'a>(analysis: &Analysis<'a>) -> Vec<&'a TrialRecord> {
    let trials = &analysis.history.trials;
    if trials.len() > CHARTS { analysis.shown() } else { trials.iter().collect() }
}

/// Writes the next sweep file, once at least one trial has ended.
fn next_file(layout: &Layout, history: &History, analysis: &Analysis) -> Result<Option<String>> {
    if analysis.verdicts.judged() == 0 {
        return Ok(None);
    }
    // Whoever opened the sweep has judged its file. One whose data has moved differs from the one in the journal.
    let text = match sweep_store::sweep_file(layout, history) {
        Ok(text) => text,
        Err(error) => std::fs::read_to_string(layout.sweep_file()).map_err(|_| error)?,
    };
    let folder = std::path::absolute(layout.root())
        .map_err(|error| Error::storage(format!("{} is not a valid path", layout.root().display()), error))?;
    Ok(next::file(&text, &folder, analysis))
}

/// The findings in one trial of a sweep, compared with all its other trials.
pub fn findings(spec: &Spec, history: &History, trial: &TrialRecord) -> Vec<Finding> {
    let (history, trial) = (&*bounded::history(history), &*bounded::trial(trial));
    let at = usize::try_from(trial.id.0).ok().and_then(|number| number.checked_sub(1));
    let others = at.and_then(|at| sweep_verdict::Others::of_each(history).get(at).copied());
    verdicts::verdict(spec, trial, others, history.pictures_sound())
}

/// Writes `curves.svg` into a trial's folder, which is created if it is missing. The report adds `curves.png` for the best
/// trials.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn trial_chart(layout: &Layout, spec: &Spec, trial: &TrialRecord) -> Result<()> {
    let trial = &*bounded::trial(trial);
    let onset = verdicts::verdict(spec, trial, None, false).iter().find_map(Finding::onset);
    picture(&layout.trial(trial.id), "curves", &charts::trial(trial, &spec.metric, onset), false)
}

/// Writes a chart as SVG, and as PNG if `pixels` are wanted. If the same SVG is already on disk, a PNG beside it is up
/// to date too; otherwise it would show another chart, and is removed.
fn picture(folder: &Path, name: &str, figure: &charts::Figure, with_pixels: bool) -> Result<()> {
    let (vector, pixels) = (folder.join(format!("{name}.svg")), folder.join(format!("{name}.png")));
    let drawn = charts::svg(figure);
    let same = std::fs::read(&vector).is_ok_and(|there| there == drawn.as_bytes());
    if same && (pixels.exists() || !with_pixels) {
        return Ok(());
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::storage(format!("{} cannot be created", folder.display()), error))?;
    match with_pixels {
        true => sweep_store::replace(&pixels, &charts::png(figure))?,
        // It may never have been there.
        false => drop(std::fs::remove_file(&pixels)),
    }
    sweep_store::replace(&vector, drawn.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sweep_core::trial::{EpochMetrics, Goal, Metric, Outcome};

    /// Any finite number, and most often one that arithmetic has trouble with.
    pub(crate) fn finite() -> impl Strategy<Value = f64> {
        let odd =
            [f64::MAX, f64::MIN, 1e308, -1e308, 3e305, -5e304, 5e-324, -5e-324, 0.0, -0.0, 1.0, 1e16, 1.5e18, 1e155];
        prop_oneof![prop::sample::select(odd.to_vec()), -10.0..10.0_f64, 1.7e9..1.8e9_f64, any::<f64>()]
            .prop_map(|value| if value.is_finite() { value } else { 0.5 })
    }

    /// A trial's settings, epochs and times, as extreme as numbers can be.
    fn extreme() -> impl Strategy<Value = TrialRecord> {
        let epoch = (prop::array::uniform7(prop::option::of(finite())), prop::option::of(finite()));
        let times = prop::array::uniform3(finite());
        let settings = (prop_oneof![Just(0.1), finite()], 0..3_u32);
        (prop::collection::vec(epoch, 0..9), times, settings).prop_map(|(epochs, times, (x, y))| {
            let mut trial = sweep_sample::history().trials[0].clone();
            trial.settings = sweep_sample::settings(serde_json::json!({"x": x, "y": y}));
            let epoch = |(number, (metrics, seconds)): (u32, ([Option<f64>; 7], Option<f64>))| {
                let [
                    train_loss,
                    train_accuracy,
                    train_eval_loss,
                    train_eval_accuracy,
                    val_loss,
                    val_accuracy,
                    objective,
                ] = metrics;
                let measured = EpochMetrics {
                    train_loss,
                    train_accuracy,
                    train_eval_loss,
                    train_eval_accuracy,
                    ..EpochMetrics::default()
                };
                EpochMetrics { epoch: number, val_loss, val_accuracy, objective, seconds, ..measured }
            };
            trial.curve = (1..).zip(epochs).map(epoch).collect();
            trial.others = [(
                "score".to_owned(),
                trial.curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.objective?))).collect(),
            )]
            .into();
            trial.status = sweep_core::history::Status::Ended(Outcome::Finished);
            (trial.started_at, trial.ended_at, trial.seconds) = (times[0], Some(times[1]), times[2].abs());
            trial
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        /// Metrics near the largest and the smallest float, and clocks that jump.
        #[test]
        fn any_finite_numbers_and_times_make_a_report(
            mut trials in prop::collection::vec(extreme(), 1..14),
            began_at in finite(),
            (name, goal, repeats) in (
                prop::sample::select(vec!["val_loss", "val_accuracy", "score"]),
                prop::sample::select(vec![Goal::Minimize, Goal::Maximize]),
                1..3_u32,
            ),
        ) {
            for (number, trial) in (1..).zip(&mut trials) {
                (trial.id, trial.slot) = (sweep_core::trial::TrialId(number), format!("cpu:{}", number % 2));
            }
            let history = sweep_sample::history()
                .altered(|history| (history.began_at, history.trials) = (began_at, trials));
            let metric = Metric { name: name.into(), goal };
            let spec = Spec { metric, repeats, most_repeats: repeats, ..sweep_sample::spec() };
            let results = tempfile::tempdir().unwrap();
            let layout = sweep_sample::write(&results.path().join("sample"), &sweep_sample::entries());
            let started = std::time::Instant::now();
            write(&layout, &spec, &history).unwrap();
            prop_assert!(started.elapsed().as_secs() < 60, "a report takes seconds");
            let text = std::fs::read_to_string(layout.report_md()).unwrap();
            prop_assert!(!text.contains("NaN") && !text.split([' ', '|', '%']).any(|word| word.contains("inf") && word.len() < 5), "{}", text);
            for trial in &history.trials {
                findings(&spec, &history, trial);
            }
        }
    }

    #[test]
    fn everything_but_journal_and_sweep_file_can_be_deleted_and_made_again() {
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("sample"), &sweep_sample::entries());
        let (history, _) = sweep_store::read(&layout).unwrap();
        let views = || {
            let mut views = vec![layout.trials_csv(), layout.epochs_csv(), layout.report_html(), layout.report_md()];
            views.push(layout.next_file());
            views.extend(["svg", "png"].map(|kind| layout.charts().join(format!("validation.{kind}"))));
            let ranking = ranking::Ranking::new(&history, &sweep_sample::spec().metric);
            views.extend(history.trials.iter().map(|trial| layout.trial(trial.id).join("curves.svg")));
            views.extend(ranking.placed.iter().map(|place| layout.trial(place.trial.id).join("curves.png")));
            views
        };
        write(&layout, &sweep_sample::spec(), &history).unwrap();
        let before: Vec<Vec<u8>> = views().iter().map(|path| std::fs::read(path).unwrap()).collect();
        views().iter().for_each(|path| std::fs::remove_file(path).unwrap());
        write(&layout, &sweep_sample::spec(), &history).unwrap();
        let after: Vec<Vec<u8>> = views().iter().map(|path| std::fs::read(path).unwrap()).collect();
        assert!(before == after);
        assert!(!layout.trial(history.trials[5].id).join("curves.png").exists(), "only the best have pixels");
        // A chart with different content is drawn again.
        let chart = layout.trial(history.trials[0].id).join("curves.svg");
        let drawn = std::fs::read(&chart).unwrap();
        let mut shorter = history.trials[0].clone();
        shorter.curve.truncate(3);
        trial_chart(&layout, &sweep_sample::spec(), &shorter).unwrap();
        assert!(drawn != std::fs::read(&chart).unwrap());
    }

    /// Writes two complete reports for inspection: `REPORT=folder cargo test write_report -- --ignored`.
    #[test]
    #[ignore = "for the eye"]
    #[allow(clippy::disallowed_methods)]
    fn write_report() {
        let folder = std::path::PathBuf::from(std::env::var("REPORT").expect("REPORT names a folder"));
        for (name, history) in
            [("small", sweep_sample::history()), ("many", sweep_sample::many(80)), ("hostile", sweep_sample::hostile())]
        {
            let layout = sweep_sample::write(&folder.join(name), &sweep_sample::entries());
            let start = std::time::Instant::now();
            write(&layout, &Spec { repeats: 2, most_repeats: 2, ..sweep_sample::spec() }, &history).expect("written");
            println!("{name}: {:?}", start.elapsed());
        }
    }

    /// Writes the report of a million epochs: `REPORT=folder cargo test --release million -- --ignored --nocapture`.
    #[test]
    #[ignore = "for measuring"]
    #[allow(clippy::disallowed_methods)]
    fn a_million_epochs_make_a_report() {
        use sweep_sample::curves::{Kind, curve};
        let folder = std::path::PathBuf::from(std::env::var("REPORT").expect("REPORT names a folder"));
        for trials in [100_usize, 1000] {
            let history = sweep_sample::many(trials as u64).altered(|state| {
                for (at, trial) in state.trials.iter_mut().enumerate() {
                    let kind = [Kind::Good, Kind::Overfit, Kind::Underfit, Kind::Improving][at % 4];
                    trial.curve = curve(kind, (1_000_000 / trials) as u32, 0.02, at as u64, true).into();
                }
            });
            let layout = sweep_sample::write(&folder.join(format!("million-{trials}")), &sweep_sample::entries());
            let start = std::time::Instant::now();
            pages(&layout, &sweep_sample::spec(), &history).expect("written");
            let size = std::fs::metadata(layout.report_html()).expect("it is there").len();
            println!("{trials} trials: {:?}, {:.1} MB of HTML", start.elapsed(), size as f64 / 1e6);
        }
    }
}
