//! Opens a sweep file: text, specification, program, data, networks. `plan` and `run` both use it.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::program::{self, Start};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::program::{Origin, Place};
use sweep_data::datasets;
use sweep_spec::{Inspection, Note, Spec, place_of_data};
use sweep_store::Layout;

/// Maximum size of a sweep file in bytes. A larger file was probably named by mistake.
const LARGEST: u64 = 16 << 20;

/// A sweep file that passed all checks before training.
#[derive(Debug)]
pub struct SweepFile {
    /// The text of the file.
    pub text: String,
    /// The parsed file.
    pub spec: Spec,
    /// The properties of its data and its networks. `None` if trials run a program.
    pub inspection: Option<Inspection>,
    /// The folder in which its programs start.
    pub start: Option<Start>,
    /// Notes for the user.
    pub notes: Vec<Note>,
}

impl SweepFile {
    /// Reads and checks a file, its program, its data and its networks. Programs start in `folder`, if it is given.
    ///
    /// # Errors
    /// Returns [`Exit::Usage`] if the file cannot be read, [`Exit::BadFile`] with all its problems, or
    /// [`Exit::BadData`].
    pub fn open(file: &Path, folder: Option<Place>, environment: &Environment) -> Result<SweepFile> {
        let text = read(file)?;
        let name = file.display().to_string();
        let path = environment.folder.join(file);
        let base = path.parent().unwrap_or(&environment.folder);
        if base.to_str().is_none() {
            return Err(Error::new(Exit::Usage, format!("{name} is in a folder whose path is not UTF-8"))
                .hint("the journal stores paths as text; rename the folder"));
        }
        let recorded = recorded(&path);
        let base = recorded.as_ref().map_or(base, |(base, _)| base);
        let (mut spec, mut notes) = Spec::read(&text, &name, base)?;
        let start = recorded.as_ref().and_then(|(_, start)| start.clone()).filter(|_| spec.program().is_some());
        let start = program::start(&spec, folder.or(start), environment)?;
        if let Some(start) = start.as_ref().filter(|start| start.place.folder.to_str().is_none()) {
            return Err(Error::new(Exit::Usage, format!("{} is not UTF-8", start.place.folder.display()))
                .hint("the journal stores paths as text; let programs start in a folder with a UTF-8 path"));
        }
        spec.start = start.as_ref().map(|start| start.place.folder.clone());
        program::look_up(&spec, &name, &text, environment)?;
        let inspection = inspect(&mut spec, &name, &text)?;
        notes.extend(inspection.iter().flat_map(|inspection| &inspection.notes).cloned());
        Ok(SweepFile { text, spec, inspection, start, notes })
    }
}

/// For the `sweep.yaml` in a sweep's folder: where the paths in it start from, and where its programs do. Both are the
/// original file's.
fn recorded(path: &Path) -> Option<(PathBuf, Option<Place>)> {
    let layout = Layout::new(path.parent()?);
    if path != layout.sweep_file() || !layout.journal().is_file() {
        return None;
    }
    let (history, _) = sweep_store::read(&layout).ok()?;
    let start = history.start.clone().map(|folder| Place { folder, origin: Origin::Sweep });
    Some((history.base.clone(), start))
}

/// `--dir` of `run`, `plan` and `check`.
#[derive(Debug, clap::Args)]
pub struct Dir {
    /// The folder in which programs start, instead of the one where the program is found: the current folder, that of
    /// the sweep file, or the root of its Git repository
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Dir {
    /// Returns the folder that the option names.
    pub fn place(&self) -> Option<Place> {
        self.dir.clone().map(|folder| Place { folder, origin: Origin::Option })
    }
}

/// Checks a file against its images. `file` and `text` are the name and content of the sweep file.
///
/// # Errors
/// Returns [`Exit::BadData`], with the position in the file that names the data, or [`Exit::BadFile`].
pub fn inspect(spec: &mut Spec, file: &str, text: &str) -> Result<Option<Inspection>> {
    spec.inspect(|source| datasets::describe(source).map_err(|error| error.at(place_of_data(file, text))), (file, text))
}

/// Reads the text of a sweep file.
///
/// # Errors
/// Returns [`Exit::Usage`] if the file cannot be read or is not text.
pub fn read(file: &Path) -> Result<String> {
    let wrong = |what: &str| Error::new(Exit::Usage, format!("{} {what}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| {
        wrong("cannot be read")
            .source(error)
            .hint("give a sweep file; `sweep init` writes one to begin with, quickstart.yaml")
    })?;
    if size.is_dir() {
        return Err(wrong("is a folder, not a sweep file").hint("give the YAML file in the folder"));
    }
    if size.len() > LARGEST {
        return Err(
            wrong(&format!("is too large for a sweep file ({} MiB)", size.len() >> 20)).hint("give the YAML file")
        );
    }
    let bytes = std::fs::read(file).map_err(|error| wrong("cannot be read").source(error))?;
    // A byte-order mark, which some editors put before a text, is no part of it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
        wrong(&format!("is not UTF-8 text: line {line} has an invalid byte"))
            .hint("save it as UTF-8, or give the YAML file")
    })
}
