//! The files that hold learning curves: those that were named, and those below a folder.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sweep_core::error::{Error, Exit, Result};
use sweep_core::nearest::nearest;
use sweep_curves::{LARGEST_FILE, Source, set_of_folder};

/// Names and name endings of files that contain curves. Other files are tried, but may contain no curve.
const NAMES: [&str; 10] = [
    "metrics.csv",
    "epochs.csv",
    "results.csv",
    "history.csv",
    "log.csv",
    "training.log",
    "train.log",
    TRAINER_STATE,
    "history.json",
    "progress.csv",
];
const ENDS: [&str; 2] = [".wandb", ".log.json"];
/// Ends of the files that are tried.
const TRIED: [&str; 13] =
    ["csv", "tsv", "txt", "log", "json", "jsonl", "ndjson", "ipynb", "md", "out", "err", "stdout", "tex"];
/// Folders that are not searched: of tools, and of packages.
const NOT_SEARCHED: [&str; 4] = ["__pycache__", "node_modules", "site-packages", "venv"];
/// Maximum size in bytes of a file that is only tried.
const LARGEST_TRIED: u64 = 16 << 20;
/// Maximum depth of folders that are searched, and maximum number of files that are read.
const DEEPEST: usize = 6;
const MOST_FILES: usize = 1000;
/// What the names of TensorBoard's files contain.
const EVENTS: &str = ".tfevents.";
/// Hugging Face writes one in each folder of a checkpoint, with all that came before.
const TRAINER_STATE: &str = "trainer_state.json";

/// The files of one run.
#[derive(Debug)]
pub struct Run {
    /// Its name for people: a file or a folder.
    pub name: String,
    pub sources: Vec<Source>,
    /// Whether a curve is expected: the file was named by the user, or has a name of a file with curves.
    pub sure: bool,
}

/// The files of each run below a path.
pub fn runs(path: &Path) -> Result<Vec<Run>> {
    let name = path.display().to_string();
    if name == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(LARGEST_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::storage("stdin cannot be read", error))?;
        let source = Source { name: "stdin".to_owned(), prefix: None, bytes };
        return Ok(vec![Run { name: "stdin".to_owned(), sources: vec![source], sure: true }]);
    }
    if !path.is_dir() {
        return Ok(vec![Run { name, sources: vec![source(path, None)?], sure: true }]);
    }
    let mut files = Vec::new();
    curve_files(path, DEEPEST, &mut files)?;
    files.sort_by_cached_key(|file| (file.parent().map(Path::to_owned), epoch_of(file), file.clone()));
    without_doubles(&mut files);
    let mut runs: Vec<Run> = Vec::new();
    for file in files {
        let sure = is_named(&file);
        let Some((run, source)) = part_of_run(&file, path)? else { continue };
        match runs.iter_mut().find(|known| known.name == run) {
            Some(known) => known.sources.push(source),
            None => runs.push(Run { name: run, sources: vec![source], sure }),
        }
    }
    if runs.is_empty() {
        return Err(nothing_in(path));
    }
    Ok(runs)
}

/// The problem with a folder in which no file is a curve.
pub fn nothing_in(folder: &Path) -> Error {
    let searched = NAMES.into_iter().chain(ENDS).collect::<Vec<_>>().join(", ");
    let what = format!(
        "{} contains no learning curves: no event files, no files named {searched}, and none among its tables, logs, JSON \
         files and notebooks",
        folder.display()
    );
    Error::new(Exit::Usage, what).hint("give the file that contains the curve")
}

/// The run that a file belongs to, and the file. Some tools write a run into several files. `None` if it holds no part.
fn part_of_run(file: &Path, top: &Path) -> Result<Option<(String, Source)>> {
    let folder = file.parent().unwrap_or(top);
    let name = file_name(file);
    let of_folder = |part: Option<&str>| Ok(Some((folder.display().to_string(), source(file, part)?)));
    if name.contains(EVENTS) {
        let part = folder.file_name().and_then(OsStr::to_str).and_then(set_of_folder).filter(|_| folder != top);
        let run = part.and_then(|_| folder.parent()).unwrap_or(folder);
        return Ok(Some((run.display().to_string(), source(file, part)?)));
    }
    // AllenNLP's files of an epoch each, CatBoost's of a set each.
    if name.starts_with("metrics_epoch_") {
        return of_folder(None);
    }
    // TensorBoard's downloads of a metric each, whose runs are named by their set.
    if let Some((run, _)) = name.strip_prefix("run-").and_then(|rest| rest.split_once("-tag-")) {
        let of_set = |word: &str| set_of_folder(word).is_some();
        let run: Vec<&str> = run.split(['_', '-', '.']).filter(|word| !of_set(word) && !word.is_empty()).collect();
        let run = folder.join(run.join("_")).display().to_string();
        return Ok(Some((run.trim_end_matches('/').to_owned(), source(file, None)?)));
    }
    if let Some(set) = name.strip_suffix("_error.tsv") {
        return of_folder(Some(set));
    }
    // MLflow's files of a metric each.
    let metrics = file.ancestors().skip(1).find(|above| above.file_name() == Some(OsStr::new("metrics")));
    if file.extension().is_none() {
        let Some(metrics) = metrics else { return Ok(None) };
        let metric = file.strip_prefix(metrics).unwrap_or(file).display().to_string();
        let source = source(file, None)?;
        let run = metrics.parent().unwrap_or(metrics).display().to_string();
        return Ok(sweep_curves::mlflow(&metric, &source).map(|source| (run, source)));
    }
    Ok(Some((file.display().to_string(), source(file, None)?)))
}

/// Leaves out files whose numbers are in others, too: events beside a table, earlier checkpoints of Hugging Face's trainer,
/// CatBoost's tables beside its JSON.
fn without_doubles(files: &mut Vec<PathBuf>) {
    let all = files.clone();
    let parent = |file: &Path| file.parent().map(Path::to_owned);
    let beside = |file: &Path, other: &dyn Fn(&str) -> bool| {
        all.iter().any(|one| parent(one) == parent(file) && other(&file_name(one)))
    };
    let is_state = |file: &Path| file_name(file) == TRAINER_STATE;
    let checkpoint = |file: &Path| {
        let folder = file.parent()?;
        let number = file_name(folder).strip_prefix("checkpoint-")?.parse::<u64>().ok()?;
        Some((folder.parent().map(Path::to_owned), number))
    };
    files.retain(|file| {
        let name = file_name(file);
        if name.contains(EVENTS) {
            return !beside(file, &|other| NAMES.contains(&other) && !other.contains(EVENTS));
        }
        if name.ends_with("_error.tsv") {
            return !beside(file, &|other| other == "catboost_training.json");
        }
        let Some((above, number)) = checkpoint(file).filter(|_| is_state(file)) else { return true };
        let later = |other: &PathBuf| {
            is_state(other)
                && (parent(other) == above || checkpoint(other).is_some_and(|one| one.0 == above && one.1 > number))
        };
        !all.iter().any(later)
    });
}

/// Collects the files in and below a folder that may hold curves.
fn curve_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error| Error::storage(format!("{} cannot be read", folder.display()), error);
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            if depth > 0 && !NOT_SEARCHED.contains(&name.as_str()) {
                curve_files(&path, depth - 1, files)?;
            }
        } else if is_named(&path) || is_tried(&path) && entry.metadata().is_ok_and(|data| data.len() <= LARGEST_TRIED) {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(Error::new(Exit::Usage, format!("{} contains more than {MOST_FILES} files", folder.display()))
                .hint("give the folder of a single run"));
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The epoch of AllenNLP's file of one epoch, so that 10 comes after 9.
fn epoch_of(path: &Path) -> Option<u64> {
    file_name(path).strip_prefix("metrics_epoch_")?.strip_suffix(".json")?.parse().ok()
}

/// Whether a file's name says that it holds a curve.
fn is_named(path: &Path) -> bool {
    let name = file_name(path);
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.contains(EVENTS) || NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a file may hold a curve.
fn is_tried(path: &Path) -> bool {
    let name = file_name(path).to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match Path::new(name).extension().and_then(OsStr::to_str) {
        Some(end) => TRIED.contains(&end),
        None => path.ancestors().skip(1).any(|above| above.file_name() == Some(OsStr::new("metrics"))),
    }
}

fn source(path: &Path, part: Option<&str>) -> Result<Source> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    let name = path.display().to_string();
    read.map_err(|error| {
        let folder = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let files = folder.read_dir().into_iter().flatten().flatten().map(|file| file.file_name());
        let files: Vec<String> = files.filter_map(|file| file.into_string().ok()).collect();
        let typed = path.file_name().unwrap_or_default().to_string_lossy();
        let hint = match nearest(&typed, files.iter().map(String::as_str)) {
            Some(near) if near != typed => format!("did you mean {}?", path.with_file_name(near).display()),
            _ => "give a file with one row per epoch (CSV, JSON lines, or a log), or the folder of a run".to_owned(),
        };
        Error::new(Exit::Usage, format!("{name} cannot be read")).source(error).hint(hint)
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::new(Exit::Usage, format!("{name} is larger than {} MiB", LARGEST_FILE >> 20))
            .hint("learning curves are small; give the file with one row per epoch"));
    }
    Ok(Source { name, prefix: part.map(str::to_owned), bytes })
}
