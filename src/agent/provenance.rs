//! What ran: the record of every attempt at a program's trial, `run.json` in the trial's folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::timeout;

use super::processes;
use super::program::Job;
use sweep_core::program::{is_module_flag, is_source};

/// File in a trial's folder with what its attempts ran.
const FILE: &str = "run.json";

/// Attempts that are kept: the first, and the newest.
const MOST_ATTEMPTS: usize = 100;

/// Time that Git or an interpreter has to answer: on a busy machine, a Python that a version manager starts takes seconds.
/// A record without the answer is better than a trial that waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long the state of a Git repository is believed. Many short trials would otherwise ask again and again.
const FRESH: Duration = Duration::from_secs(5);

/// The same if there is no repository, or if Git did not answer in time.
const FRESH_NONE: Duration = Duration::from_secs(600);

/// Maximum size of a script in bytes.
const LARGEST_SCRIPT: u64 = 64 << 20;

/// Digits of a script's hash that the journal keeps.
const SHORT: usize = 16;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    attempts: Vec<Ran>,
}

/// What an attempt ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ran {
    attempt: u32,
    /// As it could be typed: values of environment variables are left out.
    command: Vec<String>,
    folder: PathBuf,
    interpreter: Option<Interpreter>,
    git: Option<Git>,
    script: Option<Script>,
    /// Names, because values can be secret.
    environment: Vec<String>,
    /// How the program ended: `ended with exit code 1`. `None` while it runs, or if its controller was killed.
    ended: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Interpreter {
    path: PathBuf,
    /// What it says of itself: `Python 3.12.4`.
    version: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Git {
    commit: String,
    /// Whether files that Git knows differ from the commit.
    dirty: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Script {
    path: PathBuf,
    sha256: String,
}

/// Records what an attempt is about to run. Returns the beginning of its script's hash. A record that cannot be written
/// ends no trial.
pub async fn record(job: &Job, trial: &Path) -> Option<String> {
    let script = script(&job.arguments, &job.folder);
    let mut names: Vec<String> = processes::variables(std::process::id());
    names.extend(job.variables.keys().map(|name| (*name).to_owned()));
    names.sort();
    names.dedup();
    let ran = Ran {
        attempt: job.attempt.number,
        command: job.typed.clone(),
        folder: job.folder.clone(),
        interpreter: interpreter(job).await,
        git: git(&job.folder).await,
        script: script.clone(),
        environment: names,
        ended: None,
    };
    update(trial, |attempts| {
        if attempts.len() >= MOST_ATTEMPTS {
            attempts.remove(1);
        }
        attempts.push(ran);
    });
    script.map(|script| script.sha256[..SHORT].to_owned())
}

/// Records how an attempt's program ended.
pub fn ended(job: &Job, trial: &Path, how: String) {
    update(trial, |attempts| {
        if let Some(ran) = attempts.iter_mut().rfind(|ran| ran.attempt == job.attempt.number) {
            ran.ended = Some(how);
        }
    });
}

/// When the record was written last, by the clock of the file system.
pub fn changed(trial: &Path) -> Option<SystemTime> {
    trial.join(FILE).metadata().and_then(|file| file.modified()).ok()
}

fn update(trial: &Path, change: impl FnOnce(&mut Vec<Ran>)) {
    let path = trial.join(FILE);
    let mut record: Record =
        std::fs::read(&path).map_or(Record::default(), |text| serde_json::from_slice(&text).unwrap_or_default());
    change(&mut record.attempts);
    let text = serde_json::to_vec(&record).expect("a record has no map with keys that are not text");
    if let Err(error) = sweep_store::replace_unsynced(&path, &text) {
        tracing::warn!("{}: {error}", path.display());
    }
}

/// The file that a command runs: the first argument that is a source file, a module of Python, or the program itself.
fn script(arguments: &[String], folder: &Path) -> Option<Script> {
    let first = first(arguments);
    let rest = arguments.get(first + 1..).unwrap_or_default();
    let source = rest.iter().enumerate().find_map(|(at, argument)| {
        if at > 0 && is_module_flag(&rest[at - 1]) {
            let path = folder.join(argument.replace('.', "/"));
            let files = [path.with_extension("py"), path.join("__main__.py")];
            return files.into_iter().find(|file| file.is_file());
        }
        Some(folder.join(argument)).filter(|path| is_source(argument) && path.is_file())
    });
    let own = || Some(folder.join(arguments.get(first).filter(|name| name.contains('/'))?));
    let path = source.or_else(own)?;
    let is_small = path.metadata().is_ok_and(|file| file.is_file() && file.len() <= LARGEST_SCRIPT);
    let bytes = if is_small { std::fs::read(&path).ok()? } else { return None };
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Script { path, sha256 })
}

/// The place of the program in a command that may begin with `env A=1`.
fn first(arguments: &[String]) -> usize {
    let is_env = arguments.first().is_some_and(|first| first.rsplit('/').next() == Some("env"));
    if !is_env { 0 } else { 1 + arguments[1..].iter().take_while(|word| word.contains('=')).count() }
}

/// The interpreter of the command: the program itself, or the one that its first line names.
async fn interpreter(job: &Job) -> Option<Interpreter> {
    let name = job.arguments.get(first(&job.arguments))?;
    let search = processes::variable(std::process::id(), "PATH").unwrap_or_default();
    let found = |name: &str| match name.contains('/') {
        true => Some(job.folder.join(name)).filter(|path| path.is_file()),
        false => std::env::split_paths(&search).map(|folder| folder.join(name)).find(|path| path.is_file()),
    };
    let program = found(name)?;
    let is_python = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"));
    // A script that is called `python` chooses among several.
    let named = if is_python(&program) { None } else { first_line(&program) };
    let path = named.and_then(|name| found(&name)).unwrap_or(program);
    let version = if is_python(&path) { version(&path).await } else { None };
    Some(Interpreter { path, version })
}

/// The program that `#!` at the beginning of a file names.
fn first_line(program: &Path) -> Option<String> {
    let mut start = [0; 256];
    let count = std::io::Read::read(&mut std::fs::File::open(program).ok()?, &mut start).ok()?;
    let text = std::str::from_utf8(start[..count].strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?).ok()?;
    let mut words = text.split_whitespace();
    let first = words.next()?;
    Some(if first.ends_with("/env") { words.next()? } else { first }.to_owned())
}

/// What is known about programs of this machine: it does not change from trial to trial.
type Versions = HashMap<(PathBuf, Option<SystemTime>), Option<String>>;
static VERSIONS: LazyLock<Mutex<Versions>> = LazyLock::new(Mutex::default);

async fn version(path: &Path) -> Option<String> {
    let key = (path.to_owned(), path.metadata().and_then(|file| file.modified()).ok());
    if let Some(known) = VERSIONS.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known.clone();
    }
    let mut command = Command::new(path);
    command.arg("-V");
    let version = answer(command).await;
    VERSIONS.lock().unwrap_or_else(PoisonError::into_inner).insert(key, version.clone());
    version
}

/// When a repository was asked, and its answer.
type Repositories = HashMap<PathBuf, (Instant, Option<Git>)>;
static REPOSITORIES: LazyLock<Mutex<Repositories>> = LazyLock::new(Mutex::default);

async fn git(folder: &Path) -> Option<Git> {
    if let Some((at, known)) = REPOSITORIES.lock().unwrap_or_else(PoisonError::into_inner).get(folder)
        && at.elapsed() < if known.is_some() { FRESH } else { FRESH_NONE }
    {
        return known.clone();
    }
    let ask = |words: &[&str]| {
        let mut command = Command::new("git");
        // Two trials may ask at the same time, and neither may lock the index.
        command.arg("-C").arg(folder).args(words).env("GIT_OPTIONAL_LOCKS", "0");
        answer(command)
    };
    let found = match ask(&["rev-parse", "HEAD"]).await {
        Some(commit) => {
            let changed = ask(&["status", "--porcelain", "--untracked-files=no"]).await;
            changed.map(|changed| Git { commit, dirty: !changed.is_empty() })
        }
        None => None,
    };
    let mut known = REPOSITORIES.lock().unwrap_or_else(PoisonError::into_inner);
    known.insert(folder.to_owned(), (Instant::now(), found.clone()));
    found
}

/// What a command prints, if it succeeds in time.
async fn answer(mut command: Command) -> Option<String> {
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_a_command_is_its_first_source_file_or_module() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["train.py", "data.csv", "pkg/__main__.py", "run"] {
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let of = |command: &str| {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            Some(script(&words, folder.path())?.path.strip_prefix(folder.path()).unwrap().to_owned())
        };
        assert_eq!(of("/usr/bin/env A=1 python train.py --lr=1"), Some("train.py".into()));
        assert_eq!(of("torchrun --nproc_per_node=2 train.py"), Some("train.py".into()));
        assert_eq!(of("python -m pkg data.csv"), Some("pkg/__main__.py".into()));
        assert_eq!(of("./run data.csv"), Some("run".into()));
        assert_eq!(of("sh -c true"), None);
    }
}
