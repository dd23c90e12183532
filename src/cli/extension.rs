//! The replacement of a sweep's file: what the journal gets, and what it then adds up to.

use crate::extend::Growth;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History, Stage};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;
use sweep_store::{Journal, Layout};

/// What the journal gets, and what it then adds up to.
pub struct Extension {
    entry: Entry,
    pub grown: History,
    /// Number of trials of the extended sweep. `None` if there is no end.
    pub trials: Option<u64>,
}

impl Extension {
    /// Creates the entry for a new file. `stage` is the stage that begins with it.
    ///
    /// # Errors
    /// If the entry cannot follow from the history, which is a defect.
    pub fn new(
        (old, before, history): (&Spec, &str, &History),
        (new, text): (&Spec, &str),
        growth: &Growth,
        stage: Option<Stage>,
        at: f64,
    ) -> Result<Extension> {
        let so_far = Search::resumed(old.search_terms(), history).len();
        let (from, to) = (&old.metric.name, &new.metric.name);
        let entry = |all| Entry::Extended {
            at,
            version: env!("CARGO_PKG_VERSION").into(),
            base: new.base.clone(),
            start: new.start.clone(),
            before: before.to_owned(),
            file: text.to_owned(),
            changes: growth.changes.clone(),
            trials: (so_far, all),
            settings: growth.settings.clone(),
            metric: (from != to).then(|| (from.clone(), to.clone())),
            stage: stage.clone(),
        };
        let grow = |entry: &Entry| -> Result<History> {
            let mut grown = history.clone();
            grown.apply(entry).map_err(|error| Error::new(Exit::Internal, error))?;
            Ok(grown)
        };
        // The number of trials depends on the trials so far as the new file writes them.
        let trials = Search::resumed(new.search_terms(), &grow(&entry(None))?).len();
        let entry = entry(trials);
        let grown = grow(&entry)?;
        Ok(Extension { entry, grown, trials })
    }

    /// Writes the entry to a journal of this length, and replaces the file. The lock must be held.
    ///
    /// # Errors
    /// If the journal has changed in the meantime, or cannot be written.
    pub fn write(self, layout: &Layout, length: u64, text: &str) -> Result<(History, Journal)> {
        // With the lock held, the journal can no longer change.
        if sweep_store::read(layout)?.1 != length {
            return Err(Error::new(Exit::Storage, format!("{} has changed in the meantime", layout.root().display()))
                .hint("run the same command again to review the changes"));
        }
        let mut journal = Journal::append(layout, length)?;
        journal.write(std::slice::from_ref(&self.entry), true)?;
        sweep_store::replace(&layout.sweep_file(), text.as_bytes())?;
        Ok((self.grown, journal))
    }
}
