//! Where everything lies in a sweep's folder.

use std::path::{Path, PathBuf};

use sweep_core::trial::TrialId;

/// The folder of one sweep: `results/<name>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Nothing is looked at or made.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The sweep file as it was run.
    pub fn sweep_file(&self) -> PathBuf {
        self.root.join("sweep.yaml")
    }

    /// The truth.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// Held by the controller while it runs.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// One row a trial.
    pub fn trials_csv(&self) -> PathBuf {
        self.root.join("trials.csv")
    }

    /// One row an epoch.
    pub fn epochs_csv(&self) -> PathBuf {
        self.root.join("epochs.csv")
    }

    /// One row a GPU every few seconds.
    pub fn devices_csv(&self) -> PathBuf {
        self.root.join("devices.csv")
    }

    /// The report for a browser.
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The report for a terminal or a pull request.
    pub fn report_md(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// The sweep file that follows from what was found.
    pub fn next_file(&self) -> PathBuf {
        self.root.join("next.yaml")
    }

    /// Charts of the whole sweep.
    pub fn charts(&self) -> PathBuf {
        self.root.join("charts")
    }

    /// One trial's folder: `trials/0001`.
    pub fn trial(&self, id: TrialId) -> PathBuf {
        self.root.join("trials").join(id.to_string())
    }

    /// What the trainer printed while it trained that trial.
    pub fn trainer_log(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("trainer.log")
    }
}
