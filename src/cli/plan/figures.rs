//! The figures of a plan, computed once for the text and the JSON output.

use serde_json::{Value as Json, json};

use super::estimate::Estimate;
use crate::cli::sweep_file::SweepFile;
use sweep_core::program::Program;
use sweep_core::trial::Goal;
use sweep_scheduler::search::Search;
use sweep_spec::{Method, plain};

/// The figures of a plan.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Number of distinct configurations, or `None` if there is no end.
    pub points: Option<u64>,
    /// Number of trials, or `None` if there is no end.
    pub trials: Option<u64>,
    /// Maximum number of epochs of a trial.
    pub epochs_each: u64,
    /// Maximum number of epochs of all trials together.
    pub epochs: Option<u64>,
    /// Memory and disk space.
    pub estimate: Estimate,
}

impl Figures {
    /// Computes the figures of a checked file.
    pub fn new(file: &SweepFile) -> Figures {
        let trials = Search::new(file.spec.search_terms()).len();
        let epochs_each = file.spec.most("epochs").unwrap_or(0.0) as u64;
        Figures {
            points: file.spec.space.count(),
            trials,
            epochs_each,
            epochs: trials.map(|trials| trials.saturating_mul(epochs_each)),
            estimate: Estimate::new(&file.spec, &file.inspection),
        }
    }

    /// The plan as JSON. Sizes are in bytes.
    pub fn json(&self, file: &SweepFile) -> Json {
        let (spec, inspection, estimate) = (&file.spec, &file.inspection, &self.estimate);
        let range = |(least, most): (u64, u64)| json!({"least": least, "most": most});
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
        let kinds = inspection.kinds.iter().map(|kind| {
            let rows = kind.summary.rows.iter().map(|row| {
                json!({"layer": row.layer.to_string(), "output": row.output.to_string(), "parameters": row.parameters})
            });
            let rows: Vec<_> = rows.collect();
            let summary = &kind.summary;
            json!({
                "settings": kind.settings, "dropout_varies": kind.varied, "parameters": summary.parameters,
                "activations": summary.activations, "layers": rows,
            })
        });
        let mut plan = json!({
            "name": spec.name,
            "description": spec.description,
            "method": method(spec.method),
            "metric": spec.metric,
            "seed": spec.seed,
            "points": self.points,
            "repeats": spec.repeats,
            "run_cap": spec.run_cap,
            "trials": self.trials,
            "epochs": {"each": self.epochs_each, "all": self.epochs},
            "parameters": parameters,
            "data": {
                "source": spec.source,
                "shape": inspection.data.shape.to_string(),
                "classes": inspection.data.classes,
                "train": range(inspection.train),
                "validation": range(inspection.validation),
                "test": inspection.data.test,
            },
            "networks": inspection.networks,
            "parameters_of_networks": range(inspection.parameters),
            "kinds": kinds.collect::<Vec<_>>(),
            "memory": {
                "weights": estimate.weights, "gradients": estimate.gradients, "optimizer": estimate.optimizer,
                "activations": estimate.activations, "data": estimate.data, "all": estimate.memory(),
            },
            "disk": {"checkpoint": estimate.checkpoint, "kept": estimate.kept},
            "notes": file.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        // The data, networks and memory of a program are unknown.
        if let (Some(program), Some(table)) = (&spec.program, plan.as_object_mut()) {
            for key in ["epochs", "data", "networks", "parameters_of_networks", "kinds", "memory", "disk"] {
                table.shift_remove(key);
            }
            let Program { program, command, metrics_file, .. } = program;
            let told = json!({"program": program, "command": command, "metrics_file": metrics_file});
            table.insert("program".into(), told);
        }
        plan
    }
}

/// The method's name in the sweep file.
pub fn method(method: Method) -> &'static str {
    match method {
        Method::Grid => "grid",
        Method::Random => "random",
        Method::Sobol => "sobol",
        Method::Tpe => "tpe",
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
