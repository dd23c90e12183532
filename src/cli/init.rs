//! `sweep init [SCRIPT]`: writes the sweep file of a script that has its sweep in its code, or without a script the
//! quickstart. A script is started with the hook for Python, which records the arguments of `wandb.sweep` and
//! `wandb.agent`, and then ends the script.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use super::environment::{Environment, variable};
use super::output;
use crate::agent::Hook;
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::program::{Program, interpreter};

/// A first sweep, which needs nothing but `sweep`: the name of its file, and the file.
const QUICKSTART: (&str, &str) = ("quickstart.yaml", include_str!("../../sweeps/quickstart.yaml"));

/// Lines of the script's output that an error shows.
const LAST_LINES: usize = 5;

/// Options of `sweep init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep init                                 quickstart.yaml, a first sweep on data that is built in
  sweep init train.py
  sweep init train.py --output sweep.yaml")]
pub struct Args {
    /// A Python script that calls wandb.sweep and wandb.agent with a function. It runs up to there
    script: Option<PathBuf>,
    /// The file to write [default: the script's name with .sweep.yaml, in its folder; without a script, quickstart.yaml]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the sweep file.
///
/// # Errors
/// Returns [`Exit::Usage`] if the script has no sweep, or if another file is in the way.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let path = match &args.script {
        Some(script) => {
            let path = args.output.clone().unwrap_or_else(|| default(script));
            write(script, &path, environment)?;
            path
        }
        None => {
            let path = args.output.clone().unwrap_or_else(|| QUICKSTART.0.into());
            let text = QUICKSTART.1.replace("sweeps/quickstart.yaml", &path.display().to_string());
            put(&path, &text, environment, "the quickstart")?;
            path
        }
    };
    output::tell(&format!("next: sweep plan {0}, then sweep run {0}", argument(&path)));
    Ok(Exit::Success)
}

/// The sweep file to run. For a script, it is written first.
///
/// # Errors
/// Returns the errors of [`run()`].
pub fn sweep_file_of(file: &Path, environment: &Environment) -> Result<PathBuf> {
    if file.extension().is_none_or(|extension| extension != "py") {
        return Ok(file.to_owned());
    }
    let path = default(file);
    write(file, &path, environment)?;
    Ok(path)
}

fn default(script: &Path) -> PathBuf {
    script.with_extension("sweep.yaml")
}

fn write(script: &Path, path: &Path, environment: &Environment) -> Result<()> {
    let asked = ask(script, environment)?;
    let text = yaml(script, asked)?;
    put(path, &text, environment, &format!("the sweep in {}", script.display()))
}

/// Writes the file, unless a different file exists there. `of` says where its text is from.
fn put(path: &Path, text: &str, environment: &Environment, of: &str) -> Result<()> {
    let shown = path.display();
    match std::fs::read_to_string(environment.folder.join(path)) {
        Ok(before) if before == text => return Ok(()),
        Ok(_) => {
            return Err(Error::new(Exit::Usage, format!("{shown} already exists, and differs from {of}"))
                .hint(format!("run it with `sweep run {}`, or remove it to write it again", argument(path))));
        }
        Err(_) => {}
    }
    sweep_store::replace(&environment.folder.join(path), text.as_bytes())?;
    output::tell(&format!("{shown} was written from {of}"));
    Ok(())
}

/// The arguments that a script passed to `wandb.sweep` and `wandb.agent`.
struct Asked {
    sweep: Map<String, Value>,
    count: Option<u64>,
    /// Whether the agent has a function. Otherwise it would start the script's own command.
    function: bool,
}

/// Runs the script up to `wandb.agent`.
fn ask(script: &Path, environment: &Environment) -> Result<Asked> {
    let shown = script.display();
    if !environment.folder.join(script).is_file() {
        return Err(Error::new(Exit::Usage, format!("{shown} does not exist")).hint("give a Python script"));
    }
    let folder = tempfile::tempdir().map_err(|error| Error::storage("no temporary folder can be created", error))?;
    let answer = folder.path().join("asked.jsonl");
    Hook::install(folder.path())?;
    let program = Program { program: Some(script.to_string_lossy().into_owned()), ..Program::default() };
    let python = interpreter(&program, &environment.folder, variable, Path::is_file);
    let mut command = Command::new(&python.command);
    command.arg(script).current_dir(&environment.folder).stdin(Stdio::null());
    command.env("SWEEP_ASKED", &answer).env("WANDB_MODE", "offline").env("WANDB_SILENT", "true");
    command.env("WANDB_DIR", folder.path());
    command.env("PYTHONPATH", Hook::python_path(folder.path(), variable("PYTHONPATH")));
    let output = command.output().map_err(|error| {
        Error::new(Exit::Usage, format!("{} cannot be started", python.command)).source(error).hint("install Python 3")
    })?;
    let mut asked = Asked { sweep: Map::new(), count: None, function: false };
    for line in std::fs::read_to_string(&answer).unwrap_or_default().lines() {
        let Ok(Value::Object(mut line)) = serde_json::from_str(line) else { continue };
        if let Some(Value::Object(sweep)) = line.remove("sweep") {
            asked.sweep = sweep;
        }
        if let Some(agent) = line.get("agent") {
            asked.count = agent["count"].as_u64();
            asked.function = agent["function"].as_bool() == Some(true);
        }
    }
    if asked.sweep.is_empty() {
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join(" | ");
        let last = if last.is_empty() { String::new() } else { format!("; its last output: {last}") };
        return Err(Error::new(Exit::Usage, format!("{shown} ended without a call of wandb.sweep{last}")).hint(
            format!("if it has no sweep in its code, write a sweep file with `program: {shown}` and `parameters:`"),
        ));
    }
    Ok(asked)
}

/// The sweep file's text. The function gets its parameters from `wandb.config`, and the script no arguments.
fn yaml(script: &Path, asked: Asked) -> Result<String> {
    let Asked { mut sweep, count, function } = asked;
    let mut file = Map::new();
    let stem = script.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    file.insert("name".to_owned(), sweep.remove("name").unwrap_or_else(|| json!(stem)));
    let own = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if function {
        sweep.remove("program");
        file.insert("program".to_owned(), json!(own));
        sweep.remove("command");
        file.insert("command".to_owned(), json!(["${env}", "${interpreter}", "${program}"]));
    } else {
        file.insert("program".to_owned(), sweep.remove("program").unwrap_or_else(|| json!(own)));
    }
    let capped = sweep.contains_key("run_cap");
    file.extend(sweep);
    if let Some(count) = count.filter(|_| !capped) {
        file.insert("run_cap".to_owned(), json!(count));
    }
    let text = serde_yaml::to_string(&file).map_err(|error| {
        Error::new(Exit::Usage, format!("the sweep in {} is not a valid sweep file: {error}", script.display()))
    })?;
    Ok(format!("# Written by `sweep init {own}` from what the script gives to wandb.sweep and wandb.agent.\n{text}"))
}
