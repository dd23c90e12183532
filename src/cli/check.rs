//! `sweep check FILE`: finds problems with the images or the networks before the real training.

mod subjects;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::environment::Environment;
use super::output;
use super::running;
use super::sweep_file::{Dir, SweepFile};
use crate::engine;
use subjects::{Subject, subjects};
use sweep_core::error::{Exit, Result};
use sweep_core::measurement::{MeasureRequest, Measured};
use sweep_core::recipe::Source;
use sweep_core::trial::{Attempt, Settings, TrialId};
use sweep_core::warning::Warning;
use sweep_data::check::model::{self, Range};
use sweep_data::check::{self, Finding};
use sweep_data::datasets;
use sweep_report::format;
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// Maximum size in bytes of array files that are checked before a run. This size takes about half a second to read.
const QUICK: u64 = 256 << 20;

/// Maximum number of kinds of networks that are measured.
const MOST: usize = 3;
/// Total time for all measurements, in seconds.
const SECONDS: f64 = 60.0;
/// Maximum time for one measurement, in seconds.
const SECONDS_EACH: f64 = 30.0;

/// Options of `sweep check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep check sweeps/cifar10-regularization.yaml
  sweep check my-arrays.yaml --data-only --json

Checks the images for a wrong axis order, images that are in both the training and the validation set, missing or
imbalanced classes, labels that do not match their images, and blank images. Then tests up to three distinct networks,
each for at most 30 seconds: the loss before training, dead units, vanishing or exploding gradients, the learning rates
at which the loss falls, and whether the network can memorize a few images with all regularization off. Exits with 4 if
a finding is serious, and with 0 otherwise. `sweep run` checks the images before it starts, and the initial weights of
each distinct network before its first step.")]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    #[command(flatten)]
    dir: Dir,
    /// Check only the images, without training
    #[arg(long)]
    data_only: bool,
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Print the findings and measurements as JSON
    #[arg(long)]
    json: bool,
}

/// Prints the problems with a sweep file's images and networks.
///
/// # Errors
/// Returns the errors of `sweep plan`, and errors if the images cannot be read or the trainer exits.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let SweepFile { spec, inspection, .. } = SweepFile::open(&args.file, args.dir.place(), environment)?;
    let notes = inspection.map(|inspection| inspection.data.notes).unwrap_or_default();
    let findings = findings(&spec)?;
    let mut text: String = findings.iter().map(|finding| text(finding) + "\n").collect();
    if spec.program().is_some() {
        text = "The program and its files exist. Its data and networks are not known to sweep and were not checked.\n"
            .into();
    } else if findings.is_empty() {
        text = "No problems found in the images.\n".into();
    }
    if !args.json {
        let notes: String = notes.iter().map(|note| format!("note: data: {}\n", format::clean(note))).collect();
        output::print(&(notes + &text))?;
    }
    let networks = if args.data_only { Vec::new() } else { networks(args, &spec, environment)? };
    if args.json {
        output::print_json(&json!({"file": args.file, "notes": notes, "findings": findings, "networks": networks}))?;
    } else {
        networks.iter().try_for_each(|network| output::print(&network.text()))?;
    }
    let mut all = findings.iter().chain(networks.iter().flat_map(|network| &network.findings));
    Ok(if all.any(|finding| finding.serious) { Exit::BadData } else { Exit::Success })
}

/// A measured network.
#[derive(Debug, Serialize)]
struct Network {
    trial: TrialId,
    settings: Settings,
    /// Number of trials with such a network.
    trials: u64,
    learning_rate: f64,
    /// Number of classes, which is the number of outputs.
    classes: u32,
    measured: Option<Measured>,
    /// The reason why it could not be trained.
    error: Option<String>,
    findings: Vec<Finding>,
}

/// Measures each kind of network in the plan. The result is empty if trials are programs or there is no trainer.
fn networks(args: &Args, spec: &Spec, environment: &Environment) -> Result<Vec<Network>> {
    let Some(own) = spec.network() else { return Ok(Vec::new()) };
    let mut subjects = subjects(spec);
    let trainer = match running::trainer(args.trainer.as_deref(), environment) {
        Ok(trainer) => trainer,
        Err(error) if args.trainer.is_none() => {
            output::tell(&format!("note: the networks are not tested: {error}"));
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    if subjects.len() > MOST {
        output::tell(&format!("note: only the first {MOST} of {} distinct networks are tested", subjects.len()));
        subjects.truncate(MOST);
    }
    let Some(slot) = running::slots(&spec.devices, environment)?.0.into_iter().next() else {
        return Ok(Vec::new());
    };
    let seconds = (SECONDS / subjects.len().max(1) as f64).min(SECONDS_EACH);
    let request = |subject: &Subject| {
        let attempt = Attempt { trial: subject.trial, number: 1 };
        MeasureRequest { attempt, seed: spec.seed, recipe: subject.recipe.clone(), seconds }
    };
    let requests: Vec<MeasureRequest> = subjects.iter().map(request).collect();
    let answers = engine::measure(trainer, slot, &requests)?;
    let network = |(subject, answer): (Subject, std::result::Result<Measured, String>)| {
        let Subject { trial, settings, recipe, trials } = subject;
        let (measured, error) = match answer {
            Ok(measured) => (Some(measured), None),
            Err(error) => (None, Some(error)),
        };
        let findings = measured.as_ref().map_or_else(Vec::new, |measured| model::check(&recipe, measured));
        let (learning_rate, classes) = (recipe.training.learning_rate, own.classes.unwrap_or(2));
        Network { trial, settings, trials, learning_rate, classes, measured, error, findings }
    };
    Ok(subjects.into_iter().zip(answers).map(network).collect())
}

impl Network {
    /// The measurements, one line each, then the findings.
    fn text(&self) -> String {
        let settings = format::settings(&self.settings);
        let with = if settings.is_empty() { String::new() } else { format!(": {settings}") };
        let trials = if self.trials == 1 { "trial" } else { "trials" };
        let mut text = format!("\nNetwork of {} {trials}, tested as in trial {}{with}\n", self.trials, self.trial);
        let Some(measured) = &self.measured else {
            return text + &format!("  cannot be trained: {}\n", self.error.as_deref().unwrap_or_default());
        };
        if let Some(loss) = measured.first_loss {
            let (classes, even) = (self.classes, f64::from(self.classes).ln());
            text +=
                &format!("  loss before the first step: {loss:.3} (uniform prediction: ln({classes}) = {even:.3})\n");
        }
        let capacity = &measured.capacity;
        let last = capacity.accuracies.last();
        text += &match (model::learnt(capacity), last) {
            (Some(steps), _) => format!("  memorizes {} images in {steps} steps\n", capacity.images),
            (None, Some(right)) if capacity.cut_short => {
                format!(
                    "  classifies {:.1}% of {} images correctly when time runs out\n",
                    right * 100.0,
                    capacity.images
                )
            }
            _ => String::new(),
        };
        if let Some(Range { from, to, explodes }) = model::range(measured) {
            let to = to.map_or(String::new(), |to| format!(" to {to:.0e}"));
            let explodes = explodes.map_or(String::new(), |rate| format!(" and explodes from {rate:.0e}"));
            text += &format!(
                "  loss falls at learning rates from {from:.0e}{to}{explodes}; learning rate of the sweep file: {}\n",
                self.learning_rate
            );
        }
        if self.findings.is_empty() {
            text += "  no problems found\n";
        }
        self.findings.iter().fold(text, |text, finding| text + &self::text(finding) + "\n")
    }
}

/// Problems with the images that the sweep trains on. The result is empty if trials are programs.
///
/// # Errors
/// Returns an error if the images cannot be read.
fn findings(spec: &Spec) -> Result<Vec<Finding>> {
    let recipe = Search::new(spec.search_terms()).settings(TrialId(1)).and_then(|settings| spec.recipe(&settings).ok());
    let Some(recipe) = recipe else { return Ok(Vec::new()) };
    let dataset = datasets::load(&recipe.data.source)?;
    let split = datasets::split(&dataset, &recipe.data, spec.seed)?;
    Ok(check::data::check(&dataset, &split, &recipe.data))
}

/// Prints problems with the images to stderr and returns them, or returns `None` if reading the images takes long. A
/// read error is ignored here, because the trainer reports it.
pub fn warn(spec: &Spec) -> Option<Vec<Warning>> {
    let quick = match &spec.network()?.source {
        Source::Folder { .. } => false,
        // An archive would have to be unpacked.
        Source::Cifar10 { path } | Source::Cifar100 { path } => path.is_dir(),
        Source::Arrays { path, .. } => bytes(path) <= QUICK,
        Source::Digits | Source::Mnist { .. } | Source::FashionMnist { .. } => true,
    };
    let found = if quick { findings(spec).ok()? } else { return None };
    found.iter().for_each(|finding| output::tell(&text(finding)));
    Some(found.iter().map(Warning::from).collect())
}

/// The size in bytes of a file, or of the files in a folder.
fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    match path.read_dir() {
        Ok(files) => files.flatten().map(|file| size(&file.path())).sum(),
        Err(_) => size(path),
    }
}

/// Formats a finding in three lines.
fn text(Finding { name, serious, verdict, evidence, remedy }: &Finding) -> String {
    let weight = if *serious { "serious" } else { "note" };
    format!("{weight}: {verdict} ({name})\n  {evidence}\n  fix: {remedy}")
}
