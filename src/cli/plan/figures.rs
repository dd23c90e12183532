//! The figures of a plan, computed once for the text and the JSON output.

use serde_json::{Value as Json, json};

use super::estimate::Estimate;
use super::stages::{Planned, planned};
use crate::cli;
use crate::cli::environment::Environment;
use crate::cli::sweep_file::SweepFile;
use sweep_core::program::{Need, Program, SETTINGS_FILE};
use sweep_core::random::trial_seed;
use sweep_core::trial::{Goal, TrialId};
use sweep_data::datasets::{self, Normalization};
use sweep_scheduler::search::Search;
use sweep_spec::{Kind, Method, Network, Spec, Trains, plain};
use sweep_store::Layout;

/// The figures of a plan.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Number of distinct configurations, or `None` if there is no end.
    pub points: Option<u64>,
    /// Number of trials, or `None` if there is no end.
    pub trials: Option<u64>,
    /// Maximum number of trials that a race adds, or `None` without a race.
    pub raced: Option<u64>,
    /// Maximum number of epochs of a trial.
    pub epochs_each: u64,
    /// Maximum number of epochs of all trials together.
    pub epochs: Option<u64>,
    /// The stages that follow.
    pub stages: Vec<Planned>,
    /// Memory and disk space, if trials train a network.
    pub estimate: Option<Estimate>,
    /// How the first trial is started, if trials are programs.
    pub first: Option<First>,
    /// What the first trial does to the values of each channel, if it normalizes them.
    pub normalization: Option<Normalization>,
}

/// Computes the normalization of the first trial. This reads the images. An error is reported by the trainer.
fn normalization(spec: &Spec) -> Option<Normalization> {
    let settings = Search::new(spec.search_terms()).settings(TrialId(1))?;
    let data = spec.recipe(&settings).ok()?.data;
    if data.normalize.is_none() {
        return None;
    }
    let dataset = datasets::load(&data.source).ok()?;
    let split = datasets::split(&dataset, &data, spec.seed).ok()?;
    Normalization::of_rows(&data.normalize, &dataset.train, &split.train, dataset.info.shape, dataset.white)
}

/// How the first trial of a program is started.
#[derive(Debug, Clone)]
pub struct First {
    /// Its command. Values of environment variables are left out, because they can be secret.
    pub arguments: Vec<String>,
    /// Those variables, each with whether it is in the environment.
    pub variables: Vec<(String, bool)>,
    /// The folder that it starts in, and why.
    pub folder: (String, String),
    /// The program that runs the script, and why.
    pub interpreter: Option<(String, String)>,
}

impl First {
    fn new(file: &SweepFile, environment: &Environment) -> Option<First> {
        let (spec, start) = (&file.spec, file.start.as_ref()?);
        let (program, interpreter) = (spec.program()?, cli::program::interpreter(spec, environment)?);
        let settings = Search::new(spec.search_terms()).settings(TrialId(1))?;
        let layout = Layout::new(environment.folder.join("results").join(&spec.name));
        let settings_file = layout.trial(TrialId(1)).join(SETTINGS_FILE).display().to_string();
        let as_written = |name: &str| Some(format!("${{envvar:{name}}}"));
        let names = program.variables().into_iter();
        let variables = names.map(|name| (name.clone(), environment.variable(&name).is_some())).collect();
        let trial = layout.trial(TrialId(1)).display().to_string();
        let seed = trial_seed(spec.seed, &settings, 1).to_string();
        let [one, gpus] = [1, spec.devices.gpus_per_trial].map(|number| number.to_string());
        let values = [trial.clone(), one.clone(), seed, one, gpus, "0".to_owned()];
        let own = program.in_trial_folder.then(|| program.below(&start.place.folder, &interpreter.command));
        let (program, settings) = own.as_ref().unwrap_or(program).filled(&settings, &values);
        let arguments = program.arguments(&settings, &interpreter.command, &settings_file, as_written).ok()?;
        let interpreter = if program.command.iter().any(|item| item == "${interpreter}") {
            let path = cli::program::on_path(&interpreter.command, environment);
            let command = path.map_or(interpreter.command, |path| path.display().to_string());
            Some((command, interpreter.reason.to_owned()))
        } else {
            program
                .needs("")
                .into_iter()
                .find_map(|(_, need)| match need {
                    Need::Command(name) if !name.contains('/') => Some(name),
                    _ => None,
                })
                .and_then(|name| cli::program::on_path(name, environment))
                .map(|path| (path.display().to_string(), "on PATH".to_owned()))
        };
        let folder = match program.in_trial_folder {
            true => (trial, "the trial's folder, from `cwd: trial`".to_owned()),
            false => (start.place.folder.display().to_string(), start.reason()),
        };
        Some(First { arguments, variables, folder, interpreter })
    }
}

impl Figures {
    /// Computes the figures of a checked file.
    pub fn new(file: &SweepFile, environment: &Environment) -> Figures {
        let search = Search::new(file.spec.search_terms());
        let trials = search.len();
        let epochs_each = file.spec.most("epochs").unwrap_or(0.0) as u64;
        Figures {
            points: file.spec.space.count(),
            trials,
            raced: search.most_raced(),
            epochs_each,
            epochs: trials.map(|trials| trials.saturating_mul(epochs_each)),
            stages: planned(&file.spec, &file.text),
            estimate: file.inspection.as_ref().map(|inspection| Estimate::new(&file.spec, inspection)),
            first: First::new(file, environment),
            normalization: normalization(&file.spec),
        }
    }

    /// The plan as JSON. Sizes are in bytes. The data, networks and memory of a program are unknown.
    pub fn json(&self, file: &SweepFile) -> Json {
        let spec = &file.spec;
        let parameters: Vec<_> = spec
            .space
            .parameters
            .iter()
            .map(|one| (one, one.distribution.to_string()))
            .map(|(one, values)| {
                let when = one.when.as_ref().map(ToString::to_string);
                json!({"name": one.name, "values": values, "count": one.distribution.count(), "when": when})
            })
            .collect();
        let mut plan = json!({
            "name": spec.name,
            "description": spec.description,
            "method": method(spec.method),
            "metric": spec.metric,
            "seed": spec.seed,
            "points": self.points,
            "repeats": spec.repeats,
            "most_repeats": spec.most_repeats,
            "raced": self.raced,
            "run_cap": spec.run_cap,
            "trials": self.trials,
            "parameters": parameters,
        });
        match &spec.trains {
            Trains::Network(network) => self.add_network(&mut plan, network, file),
            Trains::Program(program) => plan["program"] = self.program(program),
        }
        if !self.stages.is_empty() {
            plan["stages"] = self.stages.iter().map(Planned::json).collect();
        }
        plan["notes"] = file.notes.iter().map(ToString::to_string).collect();
        plan
    }

    /// Adds what is known about a network.
    fn add_network(&self, plan: &mut Json, network: &Network, file: &SweepFile) {
        let (Some(inspection), Some(estimate)) = (&file.inspection, &self.estimate) else { return };
        let range = |(least, most): (u64, u64)| json!({"least": least, "most": most});
        plan["epochs"] = json!({"each": self.epochs_each, "all": self.epochs});
        plan["data"] = json!({
            "source": network.source,
            "shape": inspection.data.shape.to_string(),
            "classes": inspection.data.classes,
            "train": range(inspection.train),
            "validation": range(inspection.validation),
            "test": inspection.tested,
            "split_seed": file.spec.split_seed(),
            "notes": inspection.data.notes,
            "normalization": self.normalization.as_ref().map(|one| [&one.means, &one.deviations]),
        });
        plan["networks"] = inspection.networks.into();
        plan["parameters_of_networks"] = range(inspection.parameters);
        plan["kinds"] = inspection.kinds.iter().map(kind).collect();
        plan["memory"] = json!({
            "weights": estimate.weights, "gradients": estimate.gradients, "optimizer": estimate.optimizer,
            "activations": estimate.activations, "data": estimate.data, "all": estimate.memory(),
        });
        plan["disk"] = json!({"checkpoint": estimate.checkpoint, "kept": estimate.kept});
    }

    fn program(&self, Program { program, command, metrics_file, .. }: &Program) -> Json {
        let mut told = json!({"program": program, "command": command, "metrics_file": metrics_file});
        if let Some(First { arguments, variables, folder, interpreter }) = &self.first {
            told["first"] = json!({
                "command": arguments,
                "variables": variables.iter().map(|(name, is_set)| json!({"name": name, "is_set": is_set})).collect::<Vec<_>>(),
                "folder": folder.0,
                "folder_reason": folder.1,
                "interpreter": interpreter.as_ref().map(|(path, _)| path),
                "interpreter_reason": interpreter.as_ref().map(|(_, reason)| reason),
            });
        }
        told
    }
}

fn kind(kind: &Kind) -> Json {
    let summary = &kind.summary;
    let rows = summary.rows.iter().map(
        |row| json!({"layer": row.layer.to_string(), "output": row.output.to_string(), "parameters": row.parameters}),
    );
    json!({
        "settings": kind.settings, "dropout_varies": kind.varied, "parameters": summary.parameters,
        "activations": summary.activations, "layers": rows.collect::<Vec<_>>(),
    })
}

/// The method's name in the sweep file.
pub fn method(method: Method) -> &'static str {
    match method {
        Method::Grid => "grid",
        Method::Random => "random",
        Method::Sobol => "sobol",
        Method::Tpe => "tpe",
        Method::Bayes => "bayes",
    }
}

/// Formats the order of trials: `lowest val_loss first`.
pub fn order(file: &SweepFile) -> String {
    let way = if file.spec.metric.goal == Goal::Minimize { "lowest" } else { "highest" };
    format!("{way} {} first", file.spec.metric.name)
}

/// Formats parameters: `dropout 0.2, downsample stride`.
pub fn settings(settings: &sweep_core::trial::Settings) -> String {
    let each: Vec<_> = settings.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
    each.join(", ")
}
