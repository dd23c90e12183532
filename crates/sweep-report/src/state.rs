//! Whether a sweep goes on. Pure.

use std::fmt;

use super::ranking::Counts;
use super::{stages, summary};
use sweep_core::history::History;
use sweep_spec::Spec;

/// Whether a sweep goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A controller runs it.
    Running,
    /// A controller runs it, and the user paused it.
    Paused,
    /// All of its trials have ended.
    Complete,
    /// No controller runs it, and every trial that ended failed.
    Failed,
    /// No controller runs it, and trials are left.
    Interrupted,
}

impl State {
    /// The state of a sweep of `total` trials (`None`: without end). `held`: a controller runs it.
    pub fn of(spec: &Spec, history: &History, total: Option<u64>, held: bool) -> State {
        // A file that was extended has more trials than the last controller knew about.
        let is_complete = || {
            total.map_or(history.complete, |total| Counts::new(history).ended() >= total)
                && !stages::follow(spec, history)
        };
        match held {
            true if history.steering.paused => State::Paused,
            true => State::Running,
            false if summary::hopeless(history).is_some() => State::Failed,
            false if is_complete() => State::Complete,
            false => State::Interrupted,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Running => "running",
            State::Paused => "paused",
            State::Complete => "complete",
            State::Failed => "failed",
            State::Interrupted => "interrupted",
        })
    }
}
