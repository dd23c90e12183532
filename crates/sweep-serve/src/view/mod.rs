//! What the page shows, as JSON. Pure, except that the tail of a log and of `devices.csv` is read.

mod curves;
mod overview;
mod rows;
mod trial;

pub use curves::curves;
pub use overview::overview;
pub use rows::Rows;
pub use trial::trial;

use sweep_core::history::{Status, TrialRecord};
use sweep_report::format;

/// A trial's status in words. Without a controller, a trial that was running waits for the next one.
fn status(trial: &TrialRecord, held: bool) -> &'static str {
    match trial.status {
        Status::Running if !held => "waiting",
        _ => format::status(trial),
    }
}

/// Whether a trial is ranked (`well`), ended with an error (`bad`), was skipped (`out`), or has not ended (`open`).
fn kind(trial: &TrialRecord) -> &'static str {
    match trial.outcome() {
        None => "open",
        Some(_) if trial.ended_well() => "well",
        Some(outcome) if outcome.error().is_some() => "bad",
        Some(_) => "out",
    }
}
