//! What the terminal shows while a sweep runs: bars for a person, plain lines for a log, JSON for a program.

mod bars;
mod estimate;
mod lines;

use std::io::Write;

use crate::history::Entry;
use crate::schedule::Scheduler;
use crate::spec::Spec;
use crate::trial::Settings;

use bars::Bars;
use lines::Lines;

pub use estimate::{Work, time_left};

/// How progress is shown.
#[derive(Debug)]
pub enum Screen {
    /// Bars that are drawn over and over.
    Bars(Bars),
    /// A line where something happens.
    Lines(Lines),
    /// The journal's entries, as they are written.
    Json,
    /// Nothing.
    Quiet,
}

impl Screen {
    /// Bars on this terminal.
    pub fn bars() -> Screen {
        Screen::Bars(Bars::new())
    }

    /// Plain lines.
    pub fn lines() -> Screen {
        Screen::Lines(Lines::default())
    }

    /// An entry was written to the journal.
    pub fn entry(&mut self, entry: &Entry, scheduler: &Scheduler, spec: &Spec) {
        match self {
            Screen::Bars(bars) => bars.entry(entry, scheduler, spec),
            Screen::Lines(lines) => lines.entry(entry, scheduler, spec),
            Screen::Json => {
                let line = serde_json::to_string(entry).expect("an entry has no map with keys that are not text");
                say(&line);
            }
            Screen::Quiet => {}
        }
    }

    /// Time has passed.
    pub fn draw(&mut self, scheduler: &Scheduler, spec: &Spec) {
        match self {
            Screen::Bars(bars) => bars.draw(scheduler, spec),
            Screen::Lines(lines) => lines.draw(scheduler, spec),
            Screen::Json | Screen::Quiet => {}
        }
    }

    /// The user has interrupted the sweep, for the first time or once `more`.
    pub fn interrupted(&mut self, more: bool) {
        let message = if more {
            "ending at once"
        } else {
            "saving the running trials, then ending; once more ends at once, without saving"
        };
        match self {
            Screen::Bars(bars) => bars.say(message),
            Screen::Lines(_) => say(message),
            Screen::Json | Screen::Quiet => {}
        }
    }

    /// Nothing more is to be shown.
    pub fn finish(&mut self) {
        if let Screen::Bars(bars) = self {
            bars.finish();
        }
    }
}

/// Prints a line. A reader that has gone away is no reason to end a sweep.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// `learning_rate 0.001, dropout 0.4`
pub fn describe(settings: &Settings) -> String {
    let value = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    settings.iter().map(|(name, v)| format!("{name} {}", value(v))).collect::<Vec<_>>().join(", ")
}
