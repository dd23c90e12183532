//! `sweep report`: writes everything that derives from the journal again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_core::nearest::nearest_metric;
use sweep_core::trial::{Goal, METRICS, Metric};
use sweep_spec::Spec;
use sweep_store::Layout;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep report results/quickstart            rebuild report.html, report.md, charts, and CSV files
  xdg-open results/quickstart/report.html    read the report
  sweep report results/quickstart --json | jq .headline")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Rank the trials in this direction, overriding the sweep file; `sweep extend` changes the file
    #[arg(long, value_enum)]
    goal: Option<Way>,
    /// Rank a program's trials by this metric, overriding the sweep file; `sweep extend` changes the file
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Print the report as one JSON object instead of the names of its files
    #[arg(long)]
    json: bool,
}

/// Which way the metric is better.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Way {
    Minimize,
    Maximize,
}

/// Writes the report again and prints the names of its files.
///
/// # Errors
/// Returns an error if there is no sweep or its folder cannot be written.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let Opened { layout, mut spec, mut history, .. } = Opened::new(&args.folder)?;
    if let Some(name) = &args.metric {
        is_reported(name, &spec, &history)?;
        history = history.ranked_by(&spec.metric.name, name);
        spec.metric = Metric { goal: sweep_spec::goal_of(name).unwrap_or(Goal::Minimize), name: name.clone() };
    }
    match args.goal {
        Some(Way::Minimize) => spec.metric.goal = Goal::Minimize,
        Some(Way::Maximize) => spec.metric.goal = Goal::Maximize,
        None => {}
    }
    let running = sweep_store::held(&layout);
    match running {
        // The process that runs the sweep appends to the tables.
        true => sweep_report::pages(&layout, &spec, &history)?,
        false => sweep_report::write(&layout, &spec, &history)?,
    }
    if args.json {
        let layout = Layout::new(environment.folder.join(layout.root()));
        return output::print_json(&sweep_report::json(&layout, &spec, &history)).map(|()| Exit::Success);
    }
    let mut said = vec![format!("wrote {}", layout.report_html().display())];
    said.push(format!("      {}", layout.report_md().display()));
    if layout.next_file().is_file() {
        said.push(format!("      {} (suggested next sweep, with reasons)", layout.next_file().display()));
    }
    if running {
        said.push("      (the sweep is running and keeps trials.csv and epochs.csv up to date)".into());
    } else {
        said.extend([layout.trials_csv(), layout.epochs_csv()].map(|path| format!("      {}", path.display())));
    }
    said.push(format!("      {}/*.svg, *.png", layout.charts().display()));
    if !history.trials.is_empty() {
        let folder = layout.root().join("trials");
        let which = match history.trials.len() {
            some @ ..=sweep_report::CHARTS => format!("{some} trials"),
            _ => "the notable trials; the page draws any other".to_owned(),
        };
        said.push(format!("      {}/*/curves.svg ({which})", folder.display()));
    }
    output::print(&said.join("\n"))?;
    Ok(Exit::Success)
}

/// Whether a trial has a value of the metric.
///
/// # Errors
/// Returns an error with the metrics that there are.
fn is_reported(name: &str, spec: &Spec, history: &History) -> Result<()> {
    let mut names = BTreeSet::new();
    for trial in &history.trials {
        names.extend(trial.others.keys().map(String::as_str));
        names.extend(METRICS.into_iter().filter(|name| trial.curve.iter().any(|epoch| epoch.get(name).is_some())));
        names.extend(spec.metric.best(&trial.curve).map(|_| spec.metric.name.as_str()));
    }
    if names.contains(name) {
        return Ok(());
    }
    let names: Vec<&str> = names.into_iter().collect();
    let error =
        Error::new(Exit::Usage, format!("no trial has reported {name}; reported metrics: {}", names.join(", ")));
    Err(match nearest_metric(name, &names) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("give the name of one of them"),
    })
}
