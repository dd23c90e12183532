//! Where a sweep's trials start, and whether what they are started with is there: the program on PATH or at its path,
//! and the file it runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::surroundings::Surroundings;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::nearest::nearest;
use sweep_core::program::{self, Interpreter, Need, Origin, Place};
use sweep_spec::{Problems, Spec, without_dots};

/// The folder in which trials start, and the other folders that have a program of that name.
#[derive(Debug, Clone)]
pub struct Start {
    /// The folder, and why.
    pub place: Place,
    /// Folders that come later in the order and have such a program, too.
    pub others: Vec<PathBuf>,
}

impl Start {
    /// Returns the origin of the folder in words, with the other folders that have such a program.
    pub fn reason(&self) -> String {
        let mut text = self.place.origin.describe().to_owned();
        if !self.others.is_empty() {
            let others: Vec<String> = self.others.iter().map(|folder| folder.display().to_string()).collect();
            text += &format!("; the program is also in {}, which `--dir` could choose", others.join(" and "));
        }
        text
    }
}

/// Finds the folder in which the trials of a file start. `named` is the folder that the command line decides on.
///
/// # Errors
/// Returns [`Exit::Usage`] if the named folder does not exist, or if no program is there to start in it.
pub fn start(spec: &Spec, named: Option<Place>, surroundings: &Surroundings) -> Result<Option<Start>> {
    let Some(program) = spec.program() else {
        return match named {
            Some(Place { folder, origin: Origin::Option }) => {
                Err(Error::new(Exit::Usage, format!("--dir {}: the sweep file has no `program`", folder.display()))
                    .hint("leave --dir out: it is the folder in which programs start"))
            }
            _ => Ok(None),
        };
    };
    let only = |folder: PathBuf, origin| Some(Start { place: Place { folder, origin }, others: Vec::new() });
    match named {
        Some(Place { folder, origin: Origin::Option }) if !surroundings.folder.join(&folder).is_dir() => {
            return Err(Error::new(Exit::Usage, format!("--dir {}: there is no such folder", folder.display()))
                .hint("name the folder in which the program starts"));
        }
        Some(Place { folder, origin: Origin::Option }) => {
            return Ok(only(without_dots(&surroundings.folder.join(folder)), Origin::Option));
        }
        _ if program.folder.is_some() => return Ok(only(spec.program_folder(), Origin::Key)),
        Some(Place { folder, origin }) => return Ok(only(folder, origin)),
        None => {}
    }
    let places = places(&spec.base, &surroundings.folder);
    let found = program.place(&places, |path| path.exists());
    let of_found = |(place, others): (&Place, Vec<&Place>)| Start {
        place: place.clone(),
        others: others.into_iter().map(|other| other.folder.clone()).collect(),
    };
    Ok(found.map(of_found).or_else(|| only(without_dots(&spec.base), Origin::OwnFolder)))
}

/// Returns the folders in which programs are looked for, each once, in order.
fn places(base: &Path, called: &Path) -> Vec<Place> {
    let own = without_dots(base);
    let mut places = vec![Place { folder: without_dots(called), origin: Origin::Called }];
    let repository = own.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned);
    let later = [(Some(own), Origin::OwnFolder), (repository, Origin::Repository)];
    for (folder, origin) in later.into_iter().filter_map(|(folder, origin)| Some((folder?, origin))) {
        if places.iter().all(|place| place.folder != folder) {
            places.push(Place { folder, origin });
        }
    }
    // `sweep` is called where the file is, in the root of its repository.
    if let [only] = &mut places[..] {
        only.origin = Origin::OwnFolder;
    }
    places
}

/// Returns the Python that `${interpreter}` stands for in the file's command.
pub fn interpreter(spec: &Spec, surroundings: &Surroundings) -> Option<Interpreter> {
    let program = spec.program()?;
    Some(program::interpreter(program, &spec.program_folder(), |name| surroundings.variable(name), Path::is_file))
}

/// Returns the path of the program that a command without `${interpreter}` runs, if it is on PATH.
pub fn on_path(name: &str, surroundings: &Surroundings) -> Option<PathBuf> {
    let path = surroundings.variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// Looks for it; `file` and `text` are what the specification was read from.
///
/// # Errors
/// With all that is missing, and what is near it.
pub fn look_up(spec: &Spec, file: &str, text: &str, surroundings: &Surroundings) -> std::result::Result<(), Problems> {
    let base = spec.program_folder();
    let Some(interpreter) = interpreter(spec, surroundings) else { return Ok(()) };
    let is_named = spec.program().is_some_and(|program| program.folder.is_some());
    let searched: Vec<Place> = if is_named { Vec::new() } else { places(&spec.base, &surroundings.folder) };
    // Where it is not set the system looks in these.
    let path = surroundings.variable("PATH").unwrap_or("/bin:/usr/bin".to_owned());
    let folders: Vec<PathBuf> = std::env::split_paths(&path).map(|folder| base.join(folder)).collect();
    spec.look_up((file, text), &interpreter.command, |need| match need {
        Need::Command(name) if name.contains('/') => at_its_path(&base, name, &searched),
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
        Need::File(name) => Some(no_file(&base, name, &searched)),
    })
}

fn at_its_path(base: &Path, name: &str, searched: &[Place]) -> Option<(String, String)> {
    let path = base.join(name);
    if is_program(&path) {
        return None;
    }
    if !path.is_file() {
        return Some(no_file(base, name, searched));
    }
    let remedy = format!("run `chmod +x {}`, or put its interpreter first, for example python", path.display());
    Some((format!("{name} is not executable"), remedy))
}

fn no_file(base: &Path, name: &str, searched: &[Place]) -> (String, String) {
    let path = base.join(name);
    let (folder, file) = (path.parent().unwrap_or(base), path.file_name().unwrap_or_default().to_string_lossy());
    let elsewhere =
        searched.iter().filter(|place| place.folder != base && searched.iter().any(|one| one.folder == base));
    let also: Vec<String> =
        elsewhere.map(|place| format!(" or {} ({})", place.folder.display(), place.origin.describe())).collect();
    let rule = format!("the file {name} does not exist in {}{}", base.display(), also.concat());
    let remedy = near(&file, &[folder.to_owned()]);
    let whence = "`sweep` looks in the folder where it is called, in the folder of the sweep file, and in the root of its Git \
                  repository; `--dir` or `folder:` names another folder";
    (rule, remedy.unwrap_or(whence.to_owned()))
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
