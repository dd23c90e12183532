//! `sweep report`: writes everything that derives from the journal again.

use std::path::PathBuf;

use super::opened::Opened;
use super::output;
use super::surroundings::Surroundings;
use sweep_core::error::{Exit, Result};
use sweep_core::trial::Goal;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep report results/quickstart            rebuild report.html, report.md, charts, and CSV files
  xdg-open results/quickstart/report.html    read the report")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Rank the trials in this direction, overriding the sweep file; `sweep extend` changes the file
    #[arg(long, value_enum)]
    goal: Option<Way>,
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
pub fn run(args: &Args, _surroundings: &Surroundings) -> Result<Exit> {
    let Opened { layout, mut spec, history, .. } = Opened::new(&args.folder)?;
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
        said.push(format!("      {}/*/curves.svg ({} trials)", folder.display(), history.trials.len()));
    }
    output::print(&said.join("\n"))?;
    Ok(Exit::Success)
}
