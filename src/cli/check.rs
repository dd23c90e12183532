//! `sweep check FILE`: whether something is wrong with the pictures, before anything is trained on them.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::output;
use super::surroundings::Surroundings;
use super::sweep_file::SweepFile;
use crate::check::{self, Finding};
use crate::error::{Exit, Result};
use crate::recipe::{Source, Validation};
use crate::search::Search;
use crate::spec::Spec;
use crate::train::data;
use crate::trial::TrialId;

/// Arrays up to this many bytes are read within half a second.
const QUICK: u64 = 256 << 20;

/// Options of `sweep check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep check sweeps/cifar10-regularisation.yaml
  sweep check my-arrays.yaml --json

Looks for pixels in another order than the file says, pictures that are both trained and validated on, labels that are
missing, uneven or do not belong to their pictures, and pictures with nothing in them. Ends with 0 if training makes
sense, with 4 if not. `sweep run` does the same before it begins.")]
pub struct Args {
    /// The sweep file
    file: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what is wrong with a sweep file's pictures.
///
/// # Errors
/// Those of `sweep plan`, or if the pictures cannot be read.
pub fn run(args: &Args, surroundings: &Surroundings) -> Result<Exit> {
    let SweepFile { spec, .. } = SweepFile::open(&args.file, surroundings)?;
    let findings = findings(&spec)?;
    if args.json {
        output::print_json(&json!({"file": args.file, "findings": findings}))?;
    } else {
        let text: String = findings.iter().map(|finding| text(finding) + "\n").collect();
        output::print(&if findings.is_empty() { "Nothing is wrong with the pictures.\n".into() } else { text })?;
    }
    Ok(if findings.iter().any(|finding| finding.serious) { Exit::BadData } else { Exit::Success })
}

/// What is wrong with the pictures that the sweep trains on; nothing where trials are programs.
///
/// # Errors
/// If the pictures cannot be read.
fn findings(spec: &Spec) -> Result<Vec<Finding>> {
    let recipe = Search::new(spec).settings(TrialId(1)).and_then(|settings| spec.recipe(&settings).ok());
    let Some(recipe) = recipe else { return Ok(Vec::new()) };
    let dataset = data::load(&recipe.data.source)?;
    let split = data::split(&dataset, &recipe.data, spec.seed)?;
    Ok(check::data(&dataset, &split, recipe.data.validation == Validation::Test))
}

/// Prints what is wrong to stderr, where the pictures are quickly read. Whatever keeps them from being read, the trainer
/// will say.
pub fn warn(spec: &Spec) {
    let quick = match &spec.source {
        Source::Folder { .. } => false,
        // An archive would have to be unpacked.
        Source::Cifar10 { path } | Source::Cifar100 { path } => path.is_dir(),
        Source::Arrays { path, .. } => bytes(path) <= QUICK,
        Source::Digits | Source::Mnist { .. } | Source::FashionMnist { .. } => true,
    };
    if quick {
        findings(spec).unwrap_or_default().iter().for_each(|finding| eprintln!("{}", text(finding)));
    }
}

/// Of a file, or of the files in a folder.
fn bytes(path: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    match path.read_dir() {
        Ok(files) => files.flatten().map(|file| size(&file.path())).sum(),
        Err(_) => size(path),
    }
}

/// A finding in three lines.
fn text(Finding { name, serious, verdict, evidence, remedy }: &Finding) -> String {
    let weight = if *serious { "serious" } else { "note" };
    format!("{weight}: {verdict} ({name})\n  {evidence}\n  remedy: {remedy}")
}
