//! `sweep status --json --follow`: a line whenever the state changes, until no process runs the sweep.

use std::time::Duration;

use super::{Standing, standing};
use crate::cli::opened::Opened;
use crate::cli::output;
use sweep_core::error::{Exit, Result};
use sweep_core::history::History;
use sweep_store::Follower;

/// Time between two reads of the journal.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints the state as JSON, one object per line, the first at once. Ends with the sweep, or when the reader has left.
///
/// # Errors
/// Returns an error if the sweep can no longer be read.
pub fn follow(mut opened: Opened) -> Result<Exit> {
    let (mut follower, mut last) = (Follower::new(&opened.layout), String::new());
    let mut history = History::default();
    loop {
        // Asked before the journal is read, so that the last entries are not missed.
        let held = sweep_store::held(&opened.layout);
        if follower.has_news() {
            follower.advance(&mut history, |_| {})?;
        }
        if history.extensions.len() != opened.history.extensions.len() {
            opened = Opened::new(opened.layout.root())?;
        }
        opened.history = if held { history.clone() } else { history.clone().abandoned() };
        let (standing, _) = standing(&opened, held);
        let line = Standing::json(&standing, &opened).to_string();
        let is_read = line == last || output::print_or_leave(&line)?;
        if !held || !is_read {
            return Ok(Exit::Success);
        }
        last = line;
        #[allow(
            clippy::disallowed_methods,
            reason = "the journal is another process's file, and file systems do not tell"
        )]
        std::thread::sleep(PAUSE);
    }
}
