//! A sweep's folder, opened by its path. `report`, `status`, `show` and `resume` start from it.

use std::path::{Path, PathBuf};

use crate::extend::is_same;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, TrialRecord};
use sweep_spec::{Spec, Trains};
use sweep_store::Layout;

/// A sweep that was started.
#[derive(Debug)]
pub struct Opened {
    /// The sweep's folder.
    pub layout: Layout,
    /// The parsed sweep file, as it was run.
    pub spec: Spec,
    /// The text of the sweep file.
    pub text: String,
    /// The history of the sweep.
    pub history: History,
    /// Length of the journal's complete lines in bytes. The next line goes there.
    pub length: u64,
}

impl Opened {
    /// Reads the journal and the sweep file in `folder`. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if the sweep's files are damaged or the folder contains no sweep. In the latter case the
    /// message lists nearby sweeps.
    pub fn new(folder: &Path) -> Result<Opened> {
        Opened::with(folder, |layout, history| {
            sweep_store::sweep_file(layout, history).or_else(|edited| moved(layout, history).ok_or(edited))
        })
    }

    /// The same as [`Opened::new`] with the sweep file in the journal, whatever the one in the folder is.
    ///
    /// # Errors
    /// Returns the errors of [`Opened::new`], except that the file was changed.
    pub fn as_recorded(folder: &Path) -> Result<Opened> {
        Opened::with(folder, |layout, history| {
            history.sweep_file().map_or_else(|| sweep_store::sweep_file(layout, history), |text| Ok(text.to_owned()))
        })
    }

    fn with(folder: &Path, file: impl Fn(&Layout, &History) -> Result<String>) -> Result<Opened> {
        let layout = Layout::new(folder);
        if !layout.journal().is_file() {
            return Err(no_sweep(folder));
        }
        let (history, length) = sweep_store::read(&layout)?;
        let text = file(&layout, &history)?;
        let file = layout.sweep_file().display().to_string();
        let spec = Spec::read_again(&text, &file, &history.name, &history.base, history.start.as_deref())?;
        Ok(Opened { layout, spec, text, history, length })
    }

    /// The trial with this number.
    ///
    /// # Errors
    /// Returns an error if the trial was never started.
    pub fn trial(&self, number: u64) -> Result<&TrialRecord> {
        let at = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        at.and_then(|at| self.history.trials.get(at)).ok_or_else(|| {
            let folder = self.layout.root().display();
            let error = Error::new(Exit::Usage, format!("trial {number} of {folder} does not exist"));
            error.hint(match self.history.trials.len() {
                0 => "no trial has started yet".to_owned(),
                started => format!("trials 1 to {started} exist"),
            })
        })
    }
}

/// The setting that says where the data is.
const PATH: &str = "path";

/// The text of the folder's sweep file if the trials so far do not depend on its changes: a comment, or where the data is
/// now.
fn moved(layout: &Layout, history: &History) -> Option<String> {
    let text = std::fs::read_to_string(layout.sweep_file()).ok()?;
    let read = |text: &str| Some(Spec::read(text, "sweep.yaml", &history.base).ok()?.0);
    let (mut old, new) = (read(history.sweep_file()?)?, read(&text)?);
    if let (Trains::Network(old), Trains::Network(new)) = (&mut old.trains, &new.trains)
        && std::mem::discriminant(&old.source) == std::mem::discriminant(&new.source)
    {
        old.source.clone_from(&new.source);
        match new.fixed.get(PATH) {
            Some(path) => old.fixed.insert(PATH.into(), path.clone()),
            None => old.fixed.remove(PATH),
        };
    }
    is_same(&old, &new).then_some(text)
}

fn no_sweep(folder: &Path) -> Error {
    let shown = folder.display();
    let in_results = Path::new("results").join(folder);
    if folder.is_relative() && Layout::new(&in_results).journal().is_file() {
        let what = if folder.exists() { "is not the folder of a sweep" } else { "does not exist" };
        return Error::new(Exit::Usage, format!("{shown} {what}"))
            .hint(format!("did you mean {}?", in_results.display()));
    }
    if !folder.exists() {
        let error = Error::new(Exit::Usage, format!("{shown} does not exist"));
        return match sweeps_in(folder.parent().unwrap_or(Path::new(""))) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("give the folder of a sweep, for example results/quickstart"),
        };
    }
    if !folder.is_dir() {
        let error = Error::new(Exit::Usage, format!("{shown} is a file, not the folder of a sweep"));
        let above = folder.parent().filter(|above| Layout::new(*above).journal().is_file());
        return error.hint(match above {
            Some(above) => format!("give its parent folder, {}", above.display()),
            None => "give the folder that `sweep run` created for it, for example results/quickstart".into(),
        });
    }
    let error = Error::new(Exit::Usage, format!("{shown} is not the folder of a sweep: it contains no journal.jsonl"));
    match sweeps_in(folder) {
        Some(inside) => error.hint(format!("it contains {inside}")),
        None => error.hint("give the folder that `sweep run` created, for example results/quickstart"),
    }
}

/// The newest few sweeps in a folder: `results/a, results/b`.
fn sweeps_in(folder: &Path) -> Option<String> {
    const SHOWN: usize = 5;
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(listed).ok()?.filter_map(|entry| entry.ok());
    let journal = |path: &PathBuf| Layout::new(path).journal().metadata().and_then(|file| file.modified()).ok();
    let mut sweeps: Vec<_> = entries
        .map(|entry| folder.join(entry.file_name()))
        .filter_map(|path| journal(&path).map(|modified| (modified, path)))
        .collect();
    sweeps.sort_by(|a, b| b.cmp(a));
    let names: Vec<String> = sweeps.iter().take(SHOWN).map(|(_, path)| path.display().to_string()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(folder: &Path) -> String {
        Opened::new(folder).expect_err("there is no sweep").to_string()
    }

    #[test]
    fn a_sweep_is_read_with_the_name_and_base_it_began_with() {
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("mine"), &sweep_sample::beginning("mine"));
        let text = sweep_sample::FILE.replace("name: sample\n", "");
        std::fs::write(layout.sweep_file(), text).unwrap();
        let opened = Opened::new(layout.root()).unwrap();
        assert_eq!((opened.spec.name.as_str(), opened.spec.base.as_path()), ("mine", Path::new("/nowhere")));
        assert_eq!(opened.length, layout.journal().metadata().unwrap().len());
    }

    #[test]
    fn a_path_that_is_no_sweep_is_told_with_what_is_near() {
        let results = tempfile::tempdir().unwrap();
        assert!(message(results.path()).contains("contains no journal.jsonl"));
        let layout = sweep_sample::write(&results.path().join("mine"), &sweep_sample::beginning("mine"));
        for wrong in [results.path().to_owned(), results.path().join("other"), layout.journal()] {
            let message = message(&wrong);
            assert!(message.contains("hint:") && message.contains(&layout.root().display().to_string()), "{message}");
        }
    }

    #[test]
    fn a_damaged_sweep_file_is_told_with_its_place() {
        let results = tempfile::tempdir().unwrap();
        let layout = sweep_sample::write(&results.path().join("mine"), &sweep_sample::beginning("mine"));
        std::fs::write(layout.sweep_file(), "data: {set: digits}\nmodel: linear\nepoch: 3\n").unwrap();
        assert!(message(layout.root()).contains("sweep.yaml:3:1"), "{}", message(layout.root()));
        std::fs::remove_file(layout.sweep_file()).unwrap();
        assert!(message(layout.root()).contains("sweep.yaml cannot be read"));
    }
}
