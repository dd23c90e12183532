//! `sweep predict`: classifies images with a trained network.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;

use super::environment::Environment;
use super::export::{about, chosen, no_weights};
use super::opened::Opened;
use super::output;
use super::running::trainer;
use crate::agent::Launcher;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::protocol::{BEST_WEIGHTS, Predict, Predicted, Prediction, Subject};
use sweep_core::trial::TrialId;
use sweep_report::format;

/// Number of classes shown per image.
const SHOWN: usize = 3;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep predict results/flowers photo.jpg
  sweep predict results/flowers 3 *.png --json | jq .")]
pub struct Args {
    /// Folder of the sweep, for example results/flowers
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Image files of any size; if the first is a number, that trial predicts [default: the best trial]
    #[arg(value_name = "[TRIAL] IMAGES", required = true)]
    images: Vec<PathBuf>,
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Average the probabilities of each image and of its mirror image (test-time augmentation)
    #[arg(long)]
    tta: bool,
    /// Print one JSON object per image, with the probabilities of all classes
    #[arg(long)]
    json: bool,
}

/// Prints the likeliest classes of each image.
///
/// # Errors
/// Returns an error if the trial kept no weights, or if no image can be read.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let opened = Opened::new(&args.folder)?;
    let (number, files) = split(&args.images);
    if files.is_empty() {
        return Err(Error::new(Exit::Usage, "no image is given").hint("name image files after the trial"));
    }
    let trial = chosen(&opened, number)?;
    let weights = opened.layout.trial(trial.id).join(BEST_WEIGHTS);
    if !weights.is_file() {
        return Err(no_weights(&opened, trial));
    }
    let paths = files.iter().map(|file| environment.folder.join(file)).collect();
    let (weights, images) = (environment.folder.join(weights), Subject::Files(paths));
    let request = Predict { weights, images, worst: None, mirror: args.tta };
    let Predicted { classes, images } = predicted(&request, &trainer(args.trainer.as_deref(), environment)?)?;
    let mut text = String::new();
    for (file, image) in files.iter().zip(&images) {
        let line = if args.json { object(file, trial.id, &classes, image) } else { line(file, &classes, image) };
        let _ = writeln!(text, "{line}");
    }
    output::tell(&about(&opened, trial));
    output::print(&text)?;
    let unread = images.iter().filter(|image| image.error.is_some()).count();
    Ok(if unread > 0 { Exit::BadData } else { Exit::Success })
}

/// Asks a trainer, which answers and exits.
///
/// # Errors
/// Returns the trainer's message if it fails.
pub fn predicted(request: &Predict, trainer: &Launcher) -> Result<Predicted> {
    let failed = || Error::new(Exit::NoTrainer, format!("{} could not predict", trainer.program().display()));
    let mut child = trainer
        .once()
        .arg("--predict")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed().source(error))?;
    let stdin = child.stdin.take().expect("it is a pipe");
    // If the trainer exited before it read everything, its last output is a better error message.
    let _ = serde_json::to_writer(stdin, request);
    let done = child.wait_with_output().map_err(|error| failed().source(error))?;
    if !done.status.success() {
        return Err(Error::new(Exit::BadData, format::clean(String::from_utf8_lossy(&done.stderr).trim())));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| failed().source(error))
}

/// Returns the number of the trial, if the first argument is one and no such file exists, and the images.
fn split(images: &[PathBuf]) -> (Option<u64>, &[PathBuf]) {
    let number = images.first().filter(|first| !first.exists()).and_then(|first| first.to_str()?.parse().ok());
    (number, if number.is_some() { &images[1..] } else { images })
}

/// Returns the indices of the classes, the likeliest first.
fn ranked(image: &Prediction) -> Vec<usize> {
    let mut classes: Vec<usize> = (0..image.probabilities.len()).collect();
    classes.sort_by(|one, other| image.probabilities[*other].total_cmp(&image.probabilities[*one]));
    classes
}

fn line(file: &Path, classes: &[String], image: &Prediction) -> String {
    let file = format::clean(&file.display().to_string());
    if let Some(error) = &image.error {
        return format!("{file}  {}", format::clean(error));
    }
    let likely = ranked(image).into_iter().take(SHOWN);
    let likely = likely.map(|at| format!("{} {:.1}%", format::clean(&classes[at]), 100.0 * image.probabilities[at]));
    let notes = if image.notes.is_empty() { String::new() } else { format!("  ({})", image.notes.join("; ")) };
    format!("{file}  {}{notes}", likely.collect::<Vec<_>>().join(", "))
}

fn object(file: &Path, trial: TrialId, classes: &[String], image: &Prediction) -> String {
    let class = ranked(image).first().map(|at| &classes[*at]);
    let each = classes.iter().cloned().zip(image.probabilities.iter().map(|share| json!(share)));
    let each: serde_json::Map<String, serde_json::Value> = each.collect();
    let (error, notes) = (&image.error, &image.notes);
    json!({"file": file, "trial": trial, "class": class, "probabilities": each, "notes": notes, "error": error})
        .to_string()
}
