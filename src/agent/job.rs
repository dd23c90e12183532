//! What a program is started with: its arguments, its folder and its part of the environment.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::host::Assignment;
use super::supervisor::TAKEN;
use super::{Device, Hook, Job, PRINTED};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::program::{Metrics, Program, SETTINGS_FILE, interpreter};
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
    let start = spec.program_folder();
    if !start.is_dir() {
        return Err(Error::new(Exit::Storage, format!("{} is not there, and programs start in it", start.display()))
            .hint("no trial is lost: put it back, and then `sweep resume` the sweep"));
    }
    let Assignment { attempt, settings, known, needs_metric, .. } = assignment;
    let (attempt, known, needs_metric) = (*attempt, *known, *needs_metric);
    let resumes = u8::from(assignment.resumes).to_string();
    let (seed, repeat) = (assignment.seed.to_string(), assignment.repeat.to_string());
    let interpreter = interpreter(program, &start, variable, Path::is_file);
    let program = if program.in_trial_folder { &program.below(&start, &interpreter.command) } else { program };
    let trial_dir = folder.to_string_lossy().into_owned();
    let (number, gpus) = (attempt.trial.0.to_string(), spec.devices.gpus_per_trial.to_string());
    let values = [trial_dir, number, seed.clone(), repeat.clone(), gpus.clone(), resumes.clone()];
    let (program, settings) = &program.filled(settings, &values);
    let settings_file = folder.join(SETTINGS_FILE);
    let config = program.config(settings);
    let json = serde_json::to_vec_pretty(&config)
        .map_err(|error| Error::storage("settings cannot be written", error.into()))?;
    sweep_store::replace(&settings_file, &json)?;
    let settings_path = settings_file.to_string_lossy();
    let as_written = |name: &str| Some(format!("${{envvar:{name}}}"));
    let typed = program.arguments(settings, &interpreter.command, &settings_path, as_written).unwrap_or_default();
    let arguments = match program.arguments(settings, &interpreter.command, &settings_path, variable) {
        Ok(arguments) if !arguments.is_empty() => arguments,
        Ok(_) => return Ok(Err("the command has no program".to_owned())),
        Err(error) => return Ok(Err(error)),
    };
    let mut variables = BTreeMap::from([
        ("SWEEP_NAME", spec.name.clone()),
        ("SWEEP_TRIAL", attempt.trial.0.to_string()),
        ("SWEEP_TRIAL_DIR", folder.to_string_lossy().into_owned()),
        ("SWEEP_RESUME", resumes),
        ("SWEEP_SEED", seed),
        ("SWEEP_REPEAT", repeat),
        ("SWEEP_GPUS", gpus),
        ("SWEEP_SLOT", slot.to_owned()),
        ("SWEEP_DEVICE", device.torch().to_owned()),
    ]);
    let mode = variable("WANDB_MODE");
    let is_wandb_off = mode.as_deref() == Some("disabled");
    if mode.is_none() {
        // Nothing leaves this machine on its own.
        variables.insert("WANDB_MODE", "offline".to_owned());
    }
    if mode.is_none_or(|mode| mode == "offline" || mode == "disabled") {
        let file = folder.join(WANDB_FILE);
        let named = config.iter().map(|(name, value)| (name.clone(), json!({"value": value})));
        let version = std::iter::once(("wandb_version".to_owned(), json!(1)));
        let file_text = serde_json::Value::Object(version.chain(named).collect());
        sweep_store::replace(&file, format!("{file_text:#}\n").as_bytes())?;
        variables.insert("WANDB_SWEEP_ID", spec.name.clone());
        variables.insert("WANDB_SWEEP_PARAM_PATH", file.to_string_lossy().into_owned());
        if variable("WANDB_DIR").is_none() {
            variables.insert("WANDB_DIR", folder.to_string_lossy().into_owned());
        }
    }
    // With a file of its own, what the hook writes is read by nobody.
    let prints = program.metrics_file.is_none() && !matches!(program.metrics, Metrics::Files(_));
    let logged = folder.join(if prints { PRINTED } else { LOGGED });
    // The trial's folder is `trials/0001/` in the sweep's.
    let hook = folder.ancestors().nth(2).unwrap_or(folder).join(HOOK);
    Hook::install(&hook)?;
    variables.insert("SWEEP_SIGNALS", folder.join(TAKEN).to_string_lossy().into_owned());
    variables.insert("SWEEP_LOGGED", logged.to_string_lossy().into_owned());
    variables.insert("PYTHONPATH", Hook::python_path(&hook, variable("PYTHONPATH")));
    let metrics = program.metrics.clone();
    let metrics_file = program.metrics_file.as_ref().map(|name| folder.join(name));
    let folder = if program.in_trial_folder { folder.to_owned() } else { start };
    let metric = spec.metric.name.clone();
    let stop_grace = spec.stop_grace;
    Ok(Ok(Job {
        attempt,
        arguments,
        typed,
        variables,
        folder,
        metrics_file,
        metrics,
        metric,
        known,
        needs_metric,
        is_wandb_off,
        stop_grace,
    }))
}
