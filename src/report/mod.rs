//! What came of a sweep: tables, charts and the report, all made from the journal and to be made again at any time.

pub mod charts;
pub mod ranking;
#[cfg(test)]
mod sample;
mod tables;
pub mod words;

pub use tables::Tables;

use std::path::Path;

use crate::error::{Error, Result};
use crate::history::{History, TrialRecord};
use crate::spec::Spec;
use crate::store::{self, Layout};

/// Writes everything that derives from the journal: `trials.csv`, `epochs.csv`, charts, `report.html`, `report.md`.
/// Files are replaced whole.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    tables::write(layout, spec, history)?;
    for trial in &history.trials {
        trial_chart(layout, spec, trial)?;
    }
    picture(&layout.charts(), "validation", &charts::validation(history, &spec.metric))
}

/// Writes `curves.svg` and `curves.png` into a trial's folder, which is made where it is missing.
///
/// # Errors
/// Where a file cannot be written.
pub fn trial_chart(layout: &Layout, spec: &Spec, trial: &TrialRecord) -> Result<()> {
    picture(&layout.trial(trial.id), "curves", &charts::trial(trial, &spec.metric))
}

fn picture(folder: &Path, name: &str, figure: &charts::Figure) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::storage(format!("{} cannot be made", folder.display()), error))?;
    store::replace(&folder.join(format!("{name}.svg")), charts::svg(figure).as_bytes())?;
    store::replace(&folder.join(format!("{name}.png")), &charts::png(figure))
}
