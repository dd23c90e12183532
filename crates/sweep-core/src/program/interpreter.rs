//! The Python that runs programs. Environment and file system are arguments.

use std::path::Path;

use super::Program;

/// The program that `${interpreter}` stands for, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Path of the program, or its name if it is looked up on PATH.
    pub command: String,
    /// Why it was chosen, in words.
    pub reason: &'static str,
}

/// Returns the Python that runs programs. In this order: an activated virtual environment, an activated conda
/// environment other than `base`, a `.venv` beside the script or in the folder in which it starts, `python` on PATH, as
/// W&B does, or `python3` if PATH has only that. `variable` looks a name up in the environment, and `is_file` looks a
/// file up.
pub fn interpreter(
    program: &Program,
    folder: &Path,
    variable: impl Fn(&str) -> Option<String>,
    is_file: impl Fn(&Path) -> bool,
) -> Interpreter {
    let python = |environment: &Path| {
        Some(environment.join("bin/python")).filter(|path| is_file(path)).map(|path| path.display().to_string())
    };
    let activated = |name: &str| variable(name).and_then(|path| python(&folder.join(path)));
    if let Some(command) = activated("VIRTUAL_ENV") {
        return Interpreter { command, reason: "the activated virtual environment, VIRTUAL_ENV" };
    }
    let is_base = variable("CONDA_DEFAULT_ENV").is_some_and(|name| name == "base" || name == "root");
    if let Some(command) = activated("CONDA_PREFIX").filter(|_| !is_base) {
        return Interpreter { command, reason: "the activated conda environment, CONDA_PREFIX" };
    }
    let script = program.program.as_ref().map(|name| folder.join(name));
    if let Some(command) = script.as_deref().and_then(Path::parent).and_then(|beside| python(&beside.join(".venv"))) {
        return Interpreter { command, reason: "`.venv` beside the program" };
    }
    if let Some(command) = python(&folder.join(".venv")) {
        return Interpreter { command, reason: "`.venv` in the working folder" };
    }
    let path = variable("PATH").unwrap_or_default();
    let has = |name: &str| std::env::split_paths(&path).any(|folder| is_file(&folder.join(name)));
    if has("python") || !has("python3") {
        return Interpreter { command: "python".to_owned(), reason: "on PATH; no environment is activated" };
    }
    Interpreter { command: "python3".to_owned(), reason: "on PATH, which has no `python`; no environment is activated" }
}
