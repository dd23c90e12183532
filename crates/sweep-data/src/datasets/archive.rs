//! Named arrays: the members of an `.npz` file, or the `.npy` files in a folder.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::npy::Header;
use super::{fault, unreadable};
use sweep_core::error::Error;

const REMEDY: &str = "save it again: np.savez(\"data.npz\", x_train=…, y_train=…, x_test=…, y_test=…)";

/// A container in which arrays are looked up by name.
pub(super) enum Archive {
    Npz { path: PathBuf, members: Box<ZipArchive<BufReader<File>>> },
    Folder(PathBuf),
}

/// An array that was found. Its elements follow in `reader`.
pub(super) struct Array<'a> {
    /// Location of the array, for messages.
    pub place: String,
    pub header: Header,
    pub reader: Box<dyn Read + 'a>,
}

impl Archive {
    pub fn open(path: &Path) -> Result<Archive, Error> {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path.display(), error))?;
        if metadata.is_dir() {
            return Ok(Archive::Folder(path.to_owned()));
        }
        if path.extension().is_some_and(|extension| extension == "npy") {
            let rule = "a single array has no labels";
            return Err(fault(
                path.display(),
                rule,
                "write the folder that contains x_train.npy and y_train.npy, or an .npz file",
            ));
        }
        let file = File::open(path).map_err(|error| unreadable(path.display(), error))?;
        let members = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(path.display(), error.into()))?;
        Ok(Archive::Npz { path: path.to_owned(), members: Box::new(members) })
    }

    /// Returns the names of all arrays, sorted.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let array = |file: &str| file.strip_suffix(".npy").map(str::to_owned);
        let mut names: Vec<String> = match self {
            // A name that is not valid text cannot be one of the names that are looked up.
            Archive::Npz { members, .. } => members.file_names().flatten().filter_map(|file| array(&file)).collect(),
            Archive::Folder(folder) => {
                let failed = |error| unreadable(folder.display(), error);
                let files: Vec<_> =
                    std::fs::read_dir(folder).map_err(failed)?.collect::<io::Result<_>>().map_err(failed)?;
                files.iter().filter_map(|file| array(file.file_name().to_str()?)).collect()
            }
        };
        names.sort();
        Ok(names)
    }

    /// Returns the array with this name, which must exist. Its header is checked against the number of bytes that
    /// follow.
    pub fn array(&mut self, name: &str) -> Result<Array<'_>, Error> {
        match self {
            Archive::Npz { path, members } => {
                let place = format!("{}: {name}", path.display());
                let member = members.by_name(&format!("{name}.npy"));
                let member = member.map_err(|error| damaged(&place, error.into()))?;
                let bytes = member.size();
                Array::new(place, bytes, Box::new(member))
            }
            Archive::Folder(folder) => {
                let path = folder.join(format!("{name}.npy"));
                let open = || Ok((std::fs::metadata(&path)?.len(), File::open(&path)?));
                let (bytes, file) = open().map_err(|error| unreadable(path.display(), error))?;
                Array::new(path.display().to_string(), bytes, Box::new(BufReader::new(file)))
            }
        }
    }
}

impl<'a> Array<'a> {
    fn new(place: String, bytes: u64, mut reader: Box<dyn Read + 'a>) -> Result<Array<'a>, Error> {
        let header = Header::read(&mut reader).map_err(|error| damaged(&place, error))?;
        let needed = header.elements().and_then(|elements| elements.checked_mul(header.size as u64));
        if needed.is_none_or(|needed| needed > bytes) {
            let rule = format!(
                "truncated: has {bytes} bytes, too few for an array of shape {} with {} bytes per element",
                tuple(&header.shape),
                header.size
            );
            return Err(fault(place, rule, REMEDY));
        }
        Ok(Array { place, header, reader })
    }
}

/// Formats a shape as Python does.
pub(super) fn tuple(shape: &[u64]) -> String {
    let axes: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("({})", axes.join(", "))
}

/// Returns an error for damaged bytes.
pub(super) fn damaged(place: impl std::fmt::Display, error: io::Error) -> Error {
    let rule = match error.kind() {
        io::ErrorKind::UnexpectedEof => "truncated".to_owned(),
        _ => error.to_string(),
    };
    fault(place, rule, REMEDY)
}
