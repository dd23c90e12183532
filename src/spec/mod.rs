//! The sweep file: from its text to a [`Spec`] that cannot be wrong, or to all of its problems at once.

use std::path::PathBuf;

use crate::recipe::Recipe;
use crate::trial::{Metric, Settings};

/// A sweep file, read and checked.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Names the folder under `results/`; checked to be usable as one.
    pub name: String,
    /// What the sweep is for, in the user's words.
    pub description: Option<String>,
    /// How points are chosen.
    pub method: Method,
    /// What trials are ranked by.
    pub metric: Metric,
    /// Of the search and, with each trial's number, of every random draw.
    pub seed: u64,
    /// How often every point is run, each time with another seed.
    pub repeats: u32,
    /// At most so many trials.
    pub run_cap: Option<u64>,
    /// How many trials keep the weights of their best epoch.
    pub keep_best: u32,
    /// How often a trial that was lost to a fault is tried again.
    pub retries: u32,
    /// What trials run on.
    pub devices: Devices,
    /// The folder that relative paths of the file start from, absolute.
    pub base: PathBuf,
}

/// How points are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every combination, in the order of the file, the last parameter fastest.
    Grid,
    /// Independent draws.
    Random,
}

/// `devices:` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// Which GPUs.
    pub gpus: Gpus,
    /// Threads of a CPU slot; there is one for every so many cores.
    pub cpu_threads: u32,
}

/// `devices: gpus:` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpus {
    /// Every one that the driver shows and CUDA_VISIBLE_DEVICES allows.
    All,
    /// None: train on the CPU.
    None,
    /// These: each an index in PCI bus order, or a UUID.
    These(Vec<String>),
}

impl Spec {
    /// The recipe of the trial with these settings.
    ///
    /// # Errors
    /// One line, where the settings do not make a recipe; those of a checked file's own space always do, unless
    /// there were too many distinct models to check them all.
    pub fn recipe(&self, _settings: &Settings) -> Result<Recipe, String> {
        Err(String::new())
    }
}
