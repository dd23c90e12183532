//! The curves of the files that were given, with their findings.

use std::ffi::OsStr;
use std::path::Path;

use super::Args;
use super::files::{Run, nothing_in, runs};
use sweep_core::error::{Error, Exit};
use sweep_curves::{ForeignCurve, Format, Reading, Source, read};
use sweep_verdict::{Context, Divergence, Finding, Name, Task, judge};

/// Number of bytes at the beginning of a file whose words may name the task.
const WORDS: usize = 1 << 16;
/// Keys of a notebook that are words of a task.
const NOTEBOOK: [&str; 7] = [
    "\"text\"",
    "\"text/plain\"",
    "\"text/html\"",
    "\"image/png\"",
    "\"image/jpeg\"",
    "\"image/svg+xml\"",
    "\"language\"",
];
/// Names of unused columns that are listed.
const MOST_UNUSED: usize = 8;

/// A curve with its findings.
pub struct Diagnosis {
    /// The file, and the curve's name if the file has several.
    pub title: String,
    pub format: Format,
    pub curve: ForeignCurve,
    pub notes: Vec<String>,
    pub findings: Vec<Finding>,
}

/// The diagnoses of all files that could be read, and the problems of the others.
pub fn diagnose(args: &Args) -> (Vec<Diagnosis>, Vec<Error>) {
    let (mut diagnoses, mut refused) = (Vec::new(), Vec::new());
    for file in &args.files {
        let runs = match runs(file) {
            Ok(runs) => runs,
            Err(error) => {
                refused.push(error);
                continue;
            }
        };
        let before = (diagnoses.len(), refused.len());
        for run in runs {
            match of_run(&run, args) {
                Ok(found) => diagnoses.extend(found),
                Err(error) => refused.extend(Some(error).filter(|_| run.sure)),
            }
        }
        if before == (diagnoses.len(), refused.len()) {
            refused.push(nothing_in(file));
        }
    }
    (diagnoses, refused)
}

fn of_run(run: &Run, args: &Args) -> Result<Vec<Diagnosis>, Error> {
    let task = args.task.unwrap_or_else(|| task(&run.name, &run.sources));
    match read(&run.sources, args.format, &args.columns) {
        Ok(reading) => Ok(diagnosed(&run.name, reading, task, args)),
        Err(problem) => {
            let error = Error::new(Exit::Usage, problem.what);
            Err(problem.hint.into_iter().fold(error, Error::hint))
        }
    }
}

/// Recognizes the task by the words at the beginning of the files, and by the file's name.
fn task(name: &str, sources: &[Source]) -> Task {
    let head = |source: &Source| String::from_utf8_lossy(&source.bytes[..source.bytes.len().min(WORDS)]).into_owned();
    // A notebook's own words say nothing about its content.
    let own = |head: String| {
        NOTEBOOK
            .iter()
            .fold(head, |head, word| if head.contains("\"cell_type\"") { head.replace(word, "") } else { head })
    };
    let heads: Vec<String> = sources.iter().map(head).map(own).collect();
    let file = Path::new(name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    Task::of_names(heads.iter().map(String::as_str).chain([file]))
}

/// Judges the curves of a run.
pub fn diagnosed(name: &str, reading: Reading, task: Task, args: &Args) -> Vec<Diagnosis> {
    let Reading { format, curves, notes } = reading;
    let of_curve = |curve: ForeignCurve| {
        let named = || Task::of_names(curve.score.iter().chain(&curve.unused).map(String::as_str));
        let context = Context {
            task: if task == Task::Unknown { named() } else { task },
            classes: args.classes,
            dropout: args.dropout,
            score: curve.score.as_deref().map(bare_name),
            loss_has_parts: curve.unused.iter().filter(|name| name.to_lowercase().contains("loss")).count() > 1,
            single_batches: curve.single_batches,
            divergence: (curve.divergence.as_ref()).map(|it| Divergence {
                epoch: it.epoch,
                step: None,
                what: it.what.clone(),
            }),
            ..Context::default()
        };
        let mut findings = judge(&curve.epochs, &context);
        let mut notes = notes.clone();
        notes.extend(curve.notes.iter().cloned());
        notes.extend(left_over(&curve, &mut findings));
        let title = if curve.name.is_empty() { name.to_owned() } else { format!("{name}, {}", curve.name) };
        Diagnosis { title: sweep_report::format::clean(&title), format, curve, notes, findings }
    };
    curves.into_iter().map(of_curve).collect()
}

/// A score's name without its set and its folder: `BLEU` for `dev BLEU`, `auc` for `valid_1's auc`.
fn bare_name(name: &str) -> String {
    let name = ["/", "'s "].iter().fold(name, |name, end| name.rsplit(end).next().unwrap_or(name));
    let (set, rest) = name.split_once([' ', '_']).unwrap_or(("", name));
    let names_set = sweep_curves::names_part(set).is_some();
    sweep_report::format::clean(if names_set { rest } else { name })
}

/// Names the numbers that were not understood. One of them may be the validation metric; then it is not said that there is
/// none.
fn left_over(curve: &ForeignCurve, findings: &mut Vec<Finding>) -> Vec<String> {
    let mut notes = Vec::new();
    for (what, names) in [("not used", &curve.unused), ("not used, because each has a single value", &curve.once)] {
        let more = names.len().saturating_sub(MOST_UNUSED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = names[..names.len().min(MOST_UNUSED)].join(", ");
        notes.extend((!names.is_empty()).then(|| format!("{what}: {shown}{more}")));
    }
    let is_unvalidated = findings.iter().any(|finding| finding.name == Name::Unvalidated);
    let advice = match &curve.may_be_validation {
        Some(choice) => {
            format!("if one of these is the validation metric, name it, for example with --columns {choice}")
        }
        None => "lines that were left out may have it".to_owned(),
    };
    if is_unvalidated && (curve.may_be_validation.is_some() || curve.unread_validation) {
        findings.retain(|finding| finding.name != Name::Unvalidated);
        let verdict = if findings.is_empty() { ", so there is no verdict" } else { "" };
        notes.push(format!("no validation metric was recognized{verdict}; {advice}"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_named_without_its_set() {
        let names = ["dev BLEU", "Val_SSIM", "metrics/mAP50-95(B)", "valid_1's auc", "mean Dice"];
        assert_eq!(names.map(bare_name), ["BLEU", "SSIM", "mAP50-95(B)", "auc", "mean Dice"]);
    }
}
