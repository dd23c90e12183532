//! `sweep show FILE --augment OUT.png`: training images as augmentation changes them.

use std::path::Path;
use std::process::Stdio;

use super::environment::Environment;
use super::output;
use super::sweep_file::SweepFile;
use crate::agent::Launcher;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::protocol::Sheet;
use sweep_core::recipe::Augment;
use sweep_core::trial::TrialId;
use sweep_report::format;
use sweep_scheduler::search::Search;

/// Maximum number of trials searched for one with augmentation.
const EXAMINED: u64 = 10_000;

/// Draws a contact sheet of a trial's images. By default it uses the first trial with augmentation.
///
/// # Errors
/// Returns the errors of `sweep plan`. It also fails if the file or the trial has no augmentation, or if the trainer
/// cannot draw the sheet.
pub fn run(file: &Path, trial: Option<u64>, out: &Path, trainer: &Launcher, environment: &Environment) -> Result<Exit> {
    let SweepFile { spec, .. } = SweepFile::open(file, None, environment)?;
    let mut search = Search::new(spec.search_terms());
    let (first, last) = trial.map_or((1, EXAMINED), |number| (number, number));
    let chosen = (first..=last).find_map(|number| {
        let recipe = search.settings(TrialId(number)).and_then(|settings| spec.recipe(&settings).ok())?;
        (recipe.data.augment != Augment::default()).then_some((number, recipe))
    });
    let Some((number, recipe)) = chosen else {
        let which = trial.map_or("any trial".to_owned(), |trial| format!("trial {trial}"));
        let error = Error::new(Exit::Usage, format!("{which} of {} has no augmentation", file.display()));
        return Err(error.hint("write `augment: {flip: true, crop: 4}` under `data:`, or give another trial"));
    };
    let sheet =
        Sheet { seed: spec.seed, trial: TrialId(number), data: recipe.data, file: environment.folder.join(out) };
    let failed = || Error::new(Exit::NoTrainer, format!("{} could not draw the images", trainer.program().display()));
    let mut child = trainer
        .once()
        .arg("--sheet")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed().source(error))?;
    let stdin = child.stdin.take().expect("it is a pipe");
    // If the trainer exited before it read everything, its last output is a better error message.
    let _ = serde_json::to_writer(stdin, &sheet);
    let done = child.wait_with_output().map_err(|error| failed().source(error))?;
    if !done.status.success() {
        return Err(Error::new(Exit::BadData, format::clean(String::from_utf8_lossy(&done.stderr).trim())));
    }
    output::print(&format!(
        "{}: one row per image, first unchanged, then as augmented in trial {number}\n",
        out.display()
    ))?;
    Ok(Exit::Success)
}
