//! Files of metrics that are no lines, and are read as a whole whenever they have changed: TensorBoard's event files,
//! Hugging Face's `trainer_state.json`, W&B's `run-*.wandb`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value as Json, json};

use super::reading::{Reading, Said};
use sweep_curves::{Format, LARGEST_FILE, Row, Source, rows};

/// What W&B's file of an offline run is called in the log.
const WANDB: &str = "W&B's offline file";

/// Whether a file is of a kind that is read as a whole.
pub fn is_whole(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.contains("tfevents") || name.ends_with(".json") || name.ends_with(".wandb")
}

/// What was read of such files.
#[derive(Debug, Default)]
pub struct Wholes {
    files: BTreeMap<PathBuf, (Option<Stamp>, usize)>,
    /// Rows of a file that holds the whole training, such as `trainer_state.json` of each checkpoint.
    taken: usize,
}

/// A file's size and the time of its last change.
type Stamp = (u64, Option<SystemTime>);

impl Wholes {
    /// Files of which an earlier attempt has read this many rows.
    pub fn new(taken: u64) -> Wholes {
        Wholes { taken: usize::try_from(taken).unwrap_or(0), ..Wholes::default() }
    }

    /// Takes the rows that have come to these files. Returns whether there were any.
    pub fn read(&mut self, paths: &[PathBuf], reading: &mut Reading, told: &mut Vec<Said>) -> bool {
        let mut has_rows = false;
        for path in paths {
            let stamp = path.metadata().ok().map(|file| (file.len(), file.modified().ok()));
            let known = self.files.entry(path.clone()).or_default();
            if known.0 == stamp || stamp.is_some_and(|(size, _)| size > LARGEST_FILE) {
                continue;
            }
            // While a file is written it may be incomplete. It is read again when it has changed.
            known.0 = stamp;
            let Some((from, rows)) = read(path) else { continue };
            let is_cumulative = path.extension().is_some_and(|extension| extension == "json");
            let taken = if is_cumulative { &mut self.taken } else { &mut known.1 };
            if rows.len() < *taken {
                *taken = 0;
            }
            for (at, row) in rows.iter().enumerate().skip(*taken) {
                if is_cumulative {
                    reading.at(at as u64, at as u64 + 1);
                }
                reading.line(as_json(row, from).to_string().as_bytes(), told);
                has_rows = true;
            }
            *taken = rows.len();
        }
        has_rows
    }
}

/// The rows of a file, with what its format is called in the log.
fn read(path: &Path) -> Option<(&'static str, Vec<Row>)> {
    let bytes = std::fs::read(path).ok()?;
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    // Keras' callback and many scripts write training and validation under one name into two folders.
    let prefix = folder.filter(|name| sweep_curves::names_part(name).is_some());
    let source = Source { name: path.display().to_string(), prefix, bytes };
    let (format, rows) = rows(&source).ok()?;
    let from = match format {
        Format::TensorBoard => "TensorBoard",
        Format::Wandb => WANDB,
        _ => "the metrics file",
    };
    Some((from, rows))
}

/// The lines of a run that W&B's library wrote into a trial's folder, and that nothing had passed on: of its newest offline
/// file that has changed since then. Elsewhere, another trial's file could be taken for it.
pub fn wandb_lines(trial: &Path, since: Option<SystemTime>) -> Vec<Vec<u8>> {
    let pattern = format!("{}/wandb/offline-run-*/run-*.wandb", glob::Pattern::escape(&trial.to_string_lossy()));
    let found = glob::glob(&pattern).into_iter().flatten().flatten();
    let changed = |path: PathBuf| Some((path.metadata().ok()?.modified().ok()?, path));
    let newest = found.filter_map(changed).filter(|(at, _)| since.is_none_or(|since| *at >= since)).max();
    let rows = newest.and_then(|(_, path)| read(&path)).map_or(Vec::new(), |(_, rows)| rows);
    rows.iter().map(|row| as_json(row, WANDB).to_string().into_bytes()).collect()
}

/// A row as a line of JSON, which has no NaN, so that is text.
pub fn as_json(row: &Row, from: &str) -> Json {
    let number = |value: f64| if value.is_finite() { json!(value) } else { json!(value.to_string()) };
    let mut object = Map::from_iter([("_from".to_owned(), json!(from))]);
    object.extend(row.place.epoch.map(|epoch| ("epoch".to_owned(), json!(epoch))));
    // Rows of one step belong together.
    let step = row.place.step.filter(|step| row.place.epoch.is_none() && *step >= 0.0);
    object.extend(step.map(|step| ("_row".to_owned(), json!(step as u64))));
    object.extend(row.values.iter().map(|(name, value)| (name.clone(), number(*value))));
    Json::Object(object)
}
