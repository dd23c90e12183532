//! Files written beside the journal while a sweep runs. Rows of the CSV files are written immediately, and charts on a
//! separate thread.

use std::sync::mpsc;
use std::thread::JoinHandle;

use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History, TrialRecord};
use sweep_core::steering::Request;
use sweep_core::trial::TrialId;
use sweep_report::Tables;
use sweep_spec::Spec;
use sweep_store::Layout;

/// The open views of a running sweep.
#[derive(Debug)]
pub struct Views {
    tables: Tables,
    layout: Layout,
    spec: Spec,
    charts: mpsc::Sender<TrialRecord>,
    painter: JoinHandle<Result<()>>,
}

impl Views {
    /// Rewrites the CSV files from the history and starts the chart thread.
    pub fn open(layout: &Layout, spec: &Spec, history: &History) -> Result<Views> {
        let tables = Tables::open(layout, spec, history)?;
        let (charts, ended) = mpsc::channel::<TrialRecord>();
        let own = (layout.clone(), spec.clone());
        let (layout, spec) = (layout.clone(), spec.clone());
        let painter = std::thread::Builder::new()
            .name("charts".into())
            .spawn(move || ended.iter().try_for_each(|trial| sweep_report::trial_chart(&layout, &spec, &trial)))
            .map_err(|error| Error::new(Exit::Internal, "cannot start the chart thread").source(error))?;
        let (layout, spec) = own;
        Ok(Views { tables, layout, spec, charts, painter })
    }

    /// Updates the views with a journal entry.
    pub fn entry(&mut self, entry: &Entry, history: &History) -> Result<()> {
        let trial = |id: TrialId| history.trial(id).expect("an entry's trial is in the history that it was applied to");
        match entry {
            Entry::Epoch { attempt, metrics, .. } => self.tables.epoch(trial(attempt.trial), metrics),
            Entry::Row { attempt, metrics, .. } => {
                // With what other rows have said of the epoch.
                let trial = trial(attempt.trial);
                let epoch = trial.curve.iter().rev().find(|epoch| epoch.epoch == metrics.epoch);
                self.tables.epoch(trial, epoch.unwrap_or(metrics))
            }
            Entry::Ended { attempt, .. } => {
                let trial = trial(attempt.trial);
                // A chart thread that has ended has failed. `close` returns its error.
                if trial.id.0 <= sweep_report::CHARTS as u64 {
                    let _ = self.charts.send(trial.clone());
                }
                self.tables.ended(trial)
            }
            Entry::Skipped { trial: id, .. } => self.tables.ended(trial(*id)),
            // The rows of a trial that runs again are no longer true, and a tag may be that of an ended trial.
            Entry::Steered { request: Some(Request::Retry { .. } | Request::Tag { .. }), .. } => {
                self.tables = Tables::open(&self.layout, &self.spec, history)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Flushes the rows to the kernel.
    pub fn flush(&mut self) {
        self.tables.flush();
    }

    /// Waits for pending charts and writes the summaries of the sweep.
    pub fn close(self, layout: &Layout, spec: &Spec, history: &History) -> Result<()> {
        drop(self.charts);
        self.painter.join().map_err(|_| {
            Error::new(Exit::Internal, "drawing a chart failed; `sweep report` draws all charts again")
        })??;
        sweep_report::write(layout, spec, history)
    }
}
