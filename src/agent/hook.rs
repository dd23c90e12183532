//! What Python programs find on PYTHONPATH: a module that passes on what libraries log.

use std::path::Path;

use sweep_core::error::{Error, Result};

/// The module. Python imports it at its start, before the script.
const MODULE: &str = include_str!("hook/sitecustomize.py");

/// The hook for Python programs.
#[derive(Debug)]
pub struct Hook;

impl Hook {
    /// Writes the module into a folder, which is created.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn install(folder: &Path) -> Result<()> {
        let path = folder.join("sitecustomize.py");
        if std::fs::read(&path).is_ok_and(|found| found == MODULE.as_bytes()) {
            return Ok(());
        }
        let create = std::fs::create_dir_all(folder);
        create.map_err(|error| Error::storage(format!("{} cannot be created", folder.display()), error))?;
        sweep_store::replace(&path, MODULE.as_bytes())
    }

    /// PYTHONPATH with the folder before what it has.
    pub fn python_path(folder: &Path, before: Option<String>) -> String {
        let folder = folder.to_string_lossy();
        match before.filter(|before| !before.is_empty()) {
            Some(before) => format!("{folder}:{before}"),
            None => folder.into_owned(),
        }
    }
}
