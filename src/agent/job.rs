//! What a program is started with: its arguments, its folder and its part of the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::host::Assignment;
use super::supervisor::TAKEN;
use super::{Device, Hook, Job, PRINTED};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::program::{Metrics, PLACEHOLDERS, Program, SETTINGS_FILE, interpreter};
use sweep_core::trial::Settings;
use sweep_spec::Spec;

/// The settings as W&B's library takes them for `wandb.config`, in the trial's folder: JSON, which is YAML.
const WANDB_FILE: &str = "wandb.yaml";

/// The file, in the trial's folder, for what Python libraries log if metrics are read from elsewhere.
const LOGGED: &str = "logged.jsonl";

/// The folder, in the sweep's folder, that is put on PYTHONPATH.
const HOOK: &str = ".python";

/// Looks a name up in the environment.
pub type Variable = fn(&str) -> Option<String>;

/// The job of an attempt in the trial's folder, which exists; the settings are written there. The inner error is one of
/// the trial alone.
///
/// # Errors
/// Where the settings cannot be written.
pub fn job(
    spec: &Spec,
    program: &Program,
    assignment: &Assignment,
    (folder, slot, device): (&Path, &str, &Device),
    variable: Variable,
) -> Result<std::result::Result<Job, String>> {
    let start = start_folder(spec)?;
    let interpreter = interpreter(program, &start, variable, Path::is_file).command;
    let program = if program.in_trial_folder { &program.below(&start, &interpreter) } else { program };
    let facts = Facts::new(spec, assignment, folder);
    let (program, settings) = &program.filled(&assignment.settings, &facts.placeholders());
    let config = program.config(settings);
    let settings_file = folder.join(SETTINGS_FILE);
    if program.command.iter().any(|item| item.contains("${args_json_file}")) {
        write_settings(&settings_file, &config)?;
    }
    let arguments = |variable: &dyn Fn(&str) -> Option<String>| {
        program.arguments(settings, &interpreter, &settings_file.to_string_lossy(), variable)
    };
    let typed = arguments(&|name| Some(format!("${{envvar:{name}}}"))).unwrap_or_default();
    let arguments = match arguments(&variable) {
        Ok(arguments) if !arguments.is_empty() => arguments,
        Ok(_) => return Ok(Err("the command has no program".to_owned())),
        Err(error) => return Ok(Err(error)),
    };
    let mut variables = facts.variables(&spec.name, slot, device);
    variables.extend(for_wandb(&spec.name, &config, folder, variable)?);
    variables.extend(for_python(program, folder, variable)?);
    Ok(Ok(Job {
        attempt: assignment.attempt,
        arguments,
        typed,
        variables,
        folder: if program.in_trial_folder { folder.to_owned() } else { start },
        metrics_file: program.metrics_file.as_ref().map(|name| folder.join(name)),
        metrics: program.metrics.clone(),
        metric: spec.metric.name.clone(),
        known: assignment.known,
        needs_metric: assignment.needs_metric,
        is_wandb_off: variable("WANDB_MODE").as_deref() == Some("disabled"),
        stop_grace: spec.stop_grace,
    }))
}

/// Variables of the environment that are set for a program.
type Variables = BTreeMap<&'static str, String>;

/// What a program is told about its trial, by placeholders and by variables.
struct Facts {
    trial_dir: String,
    trial: String,
    seed: String,
    repeat: String,
    gpus: String,
    resume: String,
}

impl Facts {
    fn new(spec: &Spec, assignment: &Assignment, folder: &Path) -> Facts {
        Facts {
            trial_dir: folder.to_string_lossy().into_owned(),
            trial: assignment.attempt.trial.0.to_string(),
            seed: assignment.seed.to_string(),
            repeat: assignment.repeat.to_string(),
            gpus: spec.devices.gpus_per_trial.to_string(),
            resume: u8::from(assignment.resumes).to_string(),
        }
    }

    /// The values of [`PLACEHOLDERS`], in their order.
    fn placeholders(&self) -> [String; PLACEHOLDERS.len()] {
        [&self.trial_dir, &self.trial, &self.seed, &self.repeat, &self.gpus, &self.resume].map(String::clone)
    }

    fn variables(self, sweep: &str, slot: &str, device: &Device) -> Variables {
        BTreeMap::from([
            ("SWEEP_NAME", sweep.to_owned()),
            ("SWEEP_TRIAL", self.trial),
            ("SWEEP_TRIAL_DIR", self.trial_dir),
            ("SWEEP_RESUME", self.resume),
            ("SWEEP_SEED", self.seed),
            ("SWEEP_REPEAT", self.repeat),
            ("SWEEP_GPUS", self.gpus),
            ("SWEEP_SLOT", slot.to_owned()),
            ("SWEEP_DEVICE", device.torch().to_owned()),
        ])
    }
}

/// The folder in which programs start.
fn start_folder(spec: &Spec) -> Result<PathBuf> {
    let start = spec.program_folder();
    if !start.is_dir() {
        return Err(Error::new(Exit::Storage, format!("{} does not exist, but programs start in it", start.display()))
            .hint("put it back and resume the sweep; no trial is lost"));
    }
    Ok(start)
}

/// Writes the settings as JSON.
fn write_settings(file: &Path, config: &Settings) -> Result<()> {
    let json = serde_json::to_vec_pretty(config)
        .map_err(|error| Error::storage("settings cannot be written", error.into()))?;
    sweep_store::replace_unsynced(file, &json)
}

/// Removes what only a running program needs. Another attempt writes it again.
pub fn tidy(folder: &Path) {
    // It is not there if the user has W&B online.
    let _ = std::fs::remove_file(folder.join(WANDB_FILE));
}

/// What W&B's library needs to work offline and to have the settings in `wandb.config`. If the user has it online, nothing
/// is set.
fn for_wandb(sweep: &str, config: &Settings, folder: &Path, variable: Variable) -> Result<Variables> {
    let mut variables = Variables::new();
    let mode = variable("WANDB_MODE");
    if mode.is_none() {
        // Nothing leaves this machine on its own.
        variables.insert("WANDB_MODE", "offline".to_owned());
    }
    if mode.is_none_or(|mode| mode == "offline" || mode == "disabled") {
        let file = folder.join(WANDB_FILE);
        let named = config.iter().map(|(name, value)| (name.clone(), json!({"value": value})));
        let version = std::iter::once(("wandb_version".to_owned(), json!(1)));
        let text = serde_json::Value::Object(version.chain(named).collect());
        sweep_store::replace_unsynced(&file, format!("{text:#}\n").as_bytes())?;
        variables.insert("WANDB_SWEEP_ID", sweep.to_owned());
        variables.insert("WANDB_SWEEP_PARAM_PATH", file.to_string_lossy().into_owned());
        if variable("WANDB_DIR").is_none() {
            variables.insert("WANDB_DIR", folder.to_string_lossy().into_owned());
        }
    }
    Ok(variables)
}

/// Installs the hook in Python, and says where it writes what libraries log.
fn for_python(program: &Program, folder: &Path, variable: Variable) -> Result<Variables> {
    // If the program has a file of its own, nothing reads what the hook writes.
    let prints = program.metrics_file.is_none() && !matches!(program.metrics, Metrics::Files(_));
    let logged = folder.join(if prints { PRINTED } else { LOGGED });
    // The trial's folder is `trials/0001/` in the sweep's.
    let hook = folder.ancestors().nth(2).unwrap_or(folder).join(HOOK);
    Hook::install(&hook)?;
    Ok(BTreeMap::from([
        ("SWEEP_SIGNALS", folder.join(TAKEN).to_string_lossy().into_owned()),
        ("SWEEP_LOGGED", logged.to_string_lossy().into_owned()),
        ("PYTHONPATH", Hook::python_path(&hook, variable("PYTHONPATH"))),
    ]))
}
