//! The paths of everything in a sweep's folder.

use std::path::{Path, PathBuf};

use sweep_core::trial::TrialId;

/// The folder of one sweep: `results/<name>/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Creates the layout. It does not read or create any file.
    pub fn new(root: impl Into<PathBuf>) -> Layout {
        Layout { root: root.into() }
    }

    /// Path of the folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Path of the sweep file as it was run.
    pub fn sweep_file(&self) -> PathBuf {
        self.root.join("sweep.yaml")
    }

    /// Path of the journal, the only source of truth.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// Path of the file that the controller locks while it runs.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Path of the file that names the controller while it runs.
    pub fn holder(&self) -> PathBuf {
        self.root.join(".holder")
    }

    /// Path of the folder with the user's requests to the controller.
    pub fn requests(&self) -> PathBuf {
        self.root.join("requests")
    }

    /// Path of the CSV file with one row per trial.
    pub fn trials_csv(&self) -> PathBuf {
        self.root.join("trials.csv")
    }

    /// Path of the CSV file with one row per epoch.
    pub fn epochs_csv(&self) -> PathBuf {
        self.root.join("epochs.csv")
    }

    /// Path of the CSV file with one row per GPU every few seconds.
    pub fn devices_csv(&self) -> PathBuf {
        self.root.join("devices.csv")
    }

    /// Path of the log of the controller. When it is full, it is renamed to `sweep.log.1`.
    pub fn log(&self) -> PathBuf {
        self.root.join("sweep.log")
    }

    /// Path of the report for a browser.
    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Path of the report for a terminal or a pull request.
    pub fn report_md(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// Path of the suggested next sweep file, derived from the results.
    pub fn next_file(&self) -> PathBuf {
        self.root.join("next.yaml")
    }

    /// Path of the folder with charts of the whole sweep.
    pub fn charts(&self) -> PathBuf {
        self.root.join("charts")
    }

    /// Path of one trial's folder: `trials/0001`.
    pub fn trial(&self, id: TrialId) -> PathBuf {
        self.root.join("trials").join(id.to_string())
    }

    /// Path of the trainer's output during that trial.
    pub fn trainer_log(&self, id: TrialId) -> PathBuf {
        self.trial(id).join("trainer.log")
    }
}
