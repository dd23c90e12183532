//! Whether what a sweep's trials are started with is there: the program on PATH or at its path, and the file it runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;
use sweep_core::nearest::nearest;
use sweep_core::program::{self, Need};
use sweep_spec::{Problems, Spec};

/// Looks for it; `file` and `text` are what the specification was read from.
///
/// # Errors
/// With all that is missing, and what is near it.
pub fn look_up(spec: &Spec, file: &str, text: &str, surroundings: &Surroundings) -> Result<(), Problems> {
    let base = spec.program_folder();
    // Where it is not set the system looks in these.
    let path = surroundings.variable("PATH").unwrap_or("/bin:/usr/bin".to_owned());
    let folders: Vec<PathBuf> = std::env::split_paths(&path).map(|folder| base.join(folder)).collect();
    spec.look_up((file, text), &program::interpreter(&path), |need| match need {
        Need::Command(name) if name.contains('/') => at_its_path(&base, name),
        Need::Command(name) if folders.iter().any(|folder| is_program(&folder.join(name))) => None,
        Need::Command(name) => {
            let rule = format!("the program {name} is not on PATH");
            let remedy = match base.join(name).is_file() {
                true => format!("to run the file next to the sweep file, write `./{name}`"),
                false => near(name, &folders).unwrap_or("install it, or write its path".to_owned()),
            };
            Some((rule, remedy))
        }
        // A shell looks for it on PATH, too.
        Need::File(name) if folders.iter().any(|folder| folder.join(name).is_file()) => None,
        Need::File(name) if base.join(name).exists() => None,
        Need::File(name) => Some(no_file(&base, name)),
    })
}

fn at_its_path(base: &Path, name: &str) -> Option<(String, String)> {
    let path = base.join(name);
    if is_program(&path) {
        return None;
    }
    if !path.is_file() {
        return Some(no_file(base, name));
    }
    let remedy = format!("run `chmod +x {}`, or put its interpreter first, for example python", path.display());
    Some((format!("{name} is not executable"), remedy))
}

fn no_file(base: &Path, name: &str) -> (String, String) {
    let path = base.join(name);
    let (folder, file) = (path.parent().unwrap_or(base), path.file_name().unwrap_or_default().to_string_lossy());
    let remedy = near(&file, &[folder.to_owned()]);
    let whence =
        "the path is relative to the folder where trials run: the folder of the sweep file, or `folder`".to_owned();
    (format!("the file {name} does not exist in {}", base.display()), remedy.unwrap_or(whence))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// The name in the folders that was probably meant.
fn near(name: &str, folders: &[PathBuf]) -> Option<String> {
    let files = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten().flatten();
    let names: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
}
