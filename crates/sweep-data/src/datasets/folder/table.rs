//! The CSV file of labels: which file is of which class, and optionally of which part of the dataset.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::listing::{Labeled, Part, is_image};
use super::notes::{Reason, Skipped};
use super::walk::Entry;
use crate::datasets::{OWN_SCRIPT, fault, unreadable};
use sweep_core::error::Error;

/// Maximum size of the file, in bytes.
const LARGEST: u64 = 256 << 20;
/// Names of the columns, in lower case. The first that exists is used.
const FILE: [&str; 8] = ["file", "filename", "file_name", "path", "filepath", "image", "image_path", "img"];
const LABEL: [&str; 6] = ["label", "labels", "class", "class_name", "category", "target"];
const PART: [&str; 4] = ["split", "part", "set", "subset"];

/// Returns the images that the file lists.
pub(super) fn labeled(
    root: &Path,
    labels: &Path,
    found: Vec<Entry>,
    skipped: &mut Skipped,
) -> Result<Vec<Labeled>, Error> {
    let table = root.join(labels);
    let rows = rows(&table)?;
    let columns = Columns::of(&table, rows.first(), &found)?;
    let mut files: HashMap<PathBuf, Entry> = found
        .into_iter()
        .filter(|entry| entry.path != labels)
        .filter(|entry| is_image(entry, skipped))
        .map(|entry| (entry.path.clone(), entry))
        .collect();
    let mut used: HashMap<PathBuf, String> = HashMap::new();
    let mut labeled = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate().skip(usize::from(columns.header)) {
        let place = || format!("{}:{}", table.display(), index + 1);
        let (Some(file), Some(class)) = (row.get(columns.file), row.get(columns.label).filter(|text| !text.is_empty()))
        else {
            return Err(fault(place(), "the row has no file or no label", "complete the row, or delete it"));
        };
        let path: PathBuf = Path::new(file).components().collect();
        match used.get(&path) {
            Some(other) if other == class => skipped.add(Reason::Twice, file),
            Some(other) => {
                let rule = format!("{file} has the labels `{other}` and `{class}`, but an image has one label here");
                return Err(fault(place(), rule, OWN_SCRIPT));
            }
            None => {
                used.insert(path.clone(), class.to_owned());
                let part = match columns.part.and_then(|column| row.get(column)) {
                    None => Part::Train,
                    Some(word) => Part::named(word).ok_or_else(|| {
                        let rule = format!("the part is `{word}`, but must be train, val or test");
                        fault(place(), rule, "correct the row")
                    })?,
                };
                match files.remove(&path) {
                    Some(entry) => labeled.push(Labeled { part, class: class.to_owned(), entry }),
                    None => skipped.add(Reason::Missing, file),
                }
            }
        }
    }
    let mut unlisted: Vec<PathBuf> = files.into_keys().collect();
    unlisted.sort();
    unlisted.iter().for_each(|path| skipped.add(Reason::Unlisted, path.display().to_string()));
    Ok(labeled)
}

/// Returns the error for a table with too few or too many classes, which often contains regression targets.
pub(super) fn wrong_classes(table: &Path, names: &[String]) -> Error {
    let numbers = names.iter().filter(|name| name.parse::<f64>().is_ok()).count();
    if numbers == names.len() && names.len() > 2 {
        let rule = format!(
            "its labels are {} different numbers, such as {} and {}, which are not classes",
            names.len(),
            names[0],
            names[1]
        );
        return fault(table.display(), rule, OWN_SCRIPT);
    }
    let rule = format!("its images have {} classes, but must have 2 to {}", names.len(), crate::datasets::MOST_CLASSES);
    fault(table.display(), rule, "check that the column of labels is the right one, and that the files exist")
}

fn rows(table: &Path) -> Result<Vec<csv::StringRecord>, Error> {
    let failed = |error| unreadable(table.display(), error);
    let size = fs::metadata(table).map_err(failed)?.len();
    if size > LARGEST {
        return Err(fault(table.display(), format!("is larger than {} MiB", LARGEST >> 20), "name the file of labels"));
    }
    let bytes = fs::read(table).map_err(failed)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
    // Of delimiters that occur equally often, the last is used: the comma.
    let delimiter = [b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(delimiter)).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(delimiter).trim(csv::Trim::All);
    reader.from_reader(bytes).into_records().collect::<Result<Vec<_>, _>>().map_err(|error| {
        fault(table.display(), format!("is not a CSV file: {error}"), "save it as CSV, in UTF-8, with a header line")
    })
}

/// The columns that are used.
struct Columns {
    file: usize,
    label: usize,
    part: Option<usize>,
    /// Whether the first row has the names of the columns.
    header: bool,
}

impl Columns {
    /// Finds the columns by name. Without a header there must be two: file and label.
    fn of(table: &Path, first: Option<&csv::StringRecord>, found: &[Entry]) -> Result<Columns, Error> {
        let Some(first) = first else {
            return Err(fault(table.display(), "is empty", "write a line `file,label`, then one line per image"));
        };
        let names: Vec<String> = first.iter().map(str::to_lowercase).collect();
        let column = |known: &[&str]| known.iter().find_map(|known| names.iter().position(|name| name == known));
        if let (Some(file), Some(label)) = (column(&FILE), column(&LABEL)) {
            return Ok(Columns { file, label, part: column(&PART), header: true });
        }
        let is_file = first.get(0).is_some_and(|name| found.iter().any(|entry| entry.path == Path::new(name)));
        if names.len() == 2 && is_file {
            return Ok(Columns { file: 0, label: 1, part: None, header: false });
        }
        let columns = names.join(", ");
        if column(&FILE).is_some() && names.len() > 2 {
            let rule = format!("has the columns {columns}, but none named {}", LABEL.join(", "));
            let remedy = format!("name the column of the label. If an image has several labels: {OWN_SCRIPT}");
            return Err(fault(table.display(), rule, remedy));
        }
        let rule = format!("has the columns {columns}, but needs one for the file and one for the label");
        Err(fault(table.display(), rule, "write `file,label` into the first line"))
    }
}
