//! The progress display of a running sweep: bars for a terminal, plain lines for a log, JSON for a program.

mod bars;
pub mod events;
mod lines;

use std::io::Write;

use serde_json::Value;

use sweep_core::history::Entry;
use sweep_scheduler::schedule::Scheduler;
use sweep_spec::Spec;

use bars::Bars;

pub use sweep_report::seconds_left;

/// The style of the display.
#[derive(Debug)]
pub enum Kind {
    /// Bars that are redrawn. The ends of trials scroll by above them.
    Bars(Bars),
    /// One line per event.
    Lines,
    /// The journal's entries, as they are written.
    Json,
    /// The events of `--json`, each with the time of this clock.
    Events(fn() -> f64),
    /// No output.
    Quiet,
}

/// The progress display.
#[derive(Debug)]
pub struct Screen {
    kind: Kind,
    /// Messages about given-up slots that were already printed.
    told: Vec<String>,
    /// Whether the user was warned that the metric is missing.
    warned: bool,
}

impl Screen {
    /// Creates a display in this style.
    pub fn new(kind: Kind) -> Screen {
        Screen { kind, told: Vec::new(), warned: false }
    }

    /// Creates bars on this terminal.
    pub fn bars() -> Screen {
        Screen::new(Kind::Bars(Bars::new()))
    }

    /// Shows a journal entry.
    pub fn entry(&mut self, entry: &Entry, scheduler: &Scheduler, spec: &Spec) {
        if !self.warned
            && let Some(warning) = lines::misnamed(entry, scheduler, spec)
        {
            self.say(&warning);
            self.warned = true;
        }
        match &self.kind {
            // What goes on is in the bars already.
            Kind::Bars(_)
                if matches!(entry, Entry::Started { .. } | Entry::Epoch { .. } | Entry::Row { source: None, .. }) => {}
            Kind::Bars(_) | Kind::Lines => {
                if let Some(line) = lines::line(entry, scheduler, spec) {
                    self.say(&line);
                }
            }
            Kind::Json => {
                print(&serde_json::to_string(entry).expect("an entry has no map with keys that are not text"));
            }
            Kind::Events(_) => {
                if let Some(event) = events::event(entry, scheduler.history(), spec) {
                    self.event(event);
                }
            }
            Kind::Quiet => {}
        }
    }

    /// Prints an event, if events are asked for.
    pub fn event(&self, mut event: Value) {
        if let Kind::Events(now) = self.kind {
            event["at"] = now().into();
            print(&event.to_string());
        }
    }

    /// Redraws the display.
    pub fn draw(&mut self, scheduler: &Scheduler, spec: &Spec) {
        for line in lines::given_up(scheduler) {
            if !self.told.contains(&line) {
                self.say(&line);
                self.told.push(line);
            }
        }
        if let Kind::Bars(bars) = &mut self.kind {
            bars.draw(scheduler, spec);
        }
    }

    /// Reports that the user interrupted the sweep, for the first time or again (`more`).
    pub fn interrupted(&self, more: bool) {
        self.say(if more {
            "exiting immediately"
        } else {
            "saving the running trials before exiting; press Ctrl-C again to exit immediately without saving"
        });
    }

    /// Tells the user something that is in no journal entry.
    pub fn note(&self, note: &str) {
        self.say(&format!("note: {note}"));
    }

    /// Reports that the time of this run is over.
    pub fn out_of_time(&self) {
        self.say("the time of this run is over; saving the running trials");
    }

    /// Removes the display.
    pub fn finish(&self) {
        if let Kind::Bars(bars) = &self.kind {
            bars.finish();
        }
    }

    fn say(&self, line: &str) {
        match &self.kind {
            Kind::Bars(bars) => bars.say(line),
            Kind::Lines => print(line),
            Kind::Events(_) => self.event(events::warning(line)),
            Kind::Json | Kind::Quiet => {}
        }
    }
}

/// Prints a line. A reader that has closed the pipe does not end the sweep.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
