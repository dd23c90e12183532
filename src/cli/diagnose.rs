//! `sweep diagnose`: finds problems in a learning curve from any tool.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::output;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::nearest::nearest;
use sweep_core::trial::{Goal, Metric};
use sweep_curves::{Choice, ForeignCurve, Format, LARGEST_FILE, Reading, Source, read};
use sweep_report::charts;
use sweep_report::format;
use sweep_verdict::{Context, Divergence, Finding, Name, Severity, Task, judge, merged_advice};

/// Maximum number of curves that are reported in full. More curves have one line each.
const IN_FULL: usize = 4;
/// Line width of the text, in columns.
const WIDTH: usize = 96;
/// Number of bytes at the beginning of a file whose words may name the task.
const WORDS: usize = 1 << 16;
/// Files that are searched for in a folder: names, and ends of names.
const NAMES: [&str; 10] = [
    "metrics.csv",
    "epochs.csv",
    "results.csv",
    "history.csv",
    "log.csv",
    "training.log",
    "train.log",
    "trainer_state.json",
    "history.json",
    "progress.csv",
];
const ENDS: [&str; 2] = [".wandb", ".log.json"];
/// Maximum depth of folders that are searched, and maximum number of files that are read.
const DEEPEST: usize = 6;
const MOST_FILES: usize = 1000;
/// What the names of TensorBoard's files contain.
const EVENTS: &str = ".tfevents.";
/// Names of unused columns that are listed.
const MOST_UNUSED: usize = 8;
/// Names of folders that identify a set rather than a run.
const PARTS: [&str; 6] = ["train", "training", "validation", "val", "valid", "test"];

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  python train.py | tee training.log; sweep diagnose training.log
  sweep diagnose lightning_logs/version_0
  sweep diagnose history.csv --columns val_loss=held_out_nll --chart curve.svg")]
pub struct Args {
    /// Learning curves: the output of a training loop, a table with one row per epoch (CSV, Markdown, text), JSON, a
    /// notebook, TensorBoard event files, a W&B run or export, also compressed by gzip; a folder of such files; or - for
    /// stdin. Read are Keras, Lightning, Hugging Face, fastai, Ultralytics, PyTorch's examples, XGBoost, LightGBM,
    /// CatBoost, scikit-learn, fairseq, mmcv, and loops that print names and numbers
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object, with the evidence for every finding
    #[arg(long)]
    json: bool,
    /// Format of the files, if it cannot be detected
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Columns of the metrics, for example val_loss=my_loss; separate several with commas
    #[arg(long, value_name = "METRIC=COLUMN", value_delimiter = ',')]
    columns: Vec<Choice>,
    /// Number of classes, which determines the accuracy of guessing
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..))]
    classes: Option<u32>,
    /// The highest dropout rate of the network
    #[arg(long, value_name = "RATE")]
    dropout: Option<f64>,
    /// What the network is trained for, if it cannot be recognized: images, detection, text, language-model, audio or
    /// tabular. Advice is then in the words of the task
    #[arg(long, value_name = "TASK")]
    task: Option<Task>,
    /// Also draw the curve, or up to five side by side, as .svg or .png
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

/// A curve with its findings.
struct Diagnosis {
    /// The file, and the curve's name if the file has several.
    title: String,
    format: Format,
    curve: ForeignCurve,
    notes: Vec<String>,
    findings: Vec<Finding>,
}

/// Prints the findings.
///
/// # Errors
/// Returns an error if a file cannot be read or is not a learning curve.
pub fn run(args: &Args) -> Result<Exit> {
    let (diagnoses, mut refused) = diagnose(args);
    if diagnoses.is_empty() {
        return Err(refused.swap_remove(0));
    }
    for error in &refused {
        super::output::tell(&format!("not read: {error}"));
    }
    if let Some(path) = &args.chart {
        draw(path, &diagnoses)?;
    }
    match args.json {
        true => output::print_json(&as_json(&diagnoses))?,
        false => output::print(&as_text(&diagnoses))?,
    }
    Ok(Exit::Success)
}

/// The diagnoses of all files that could be read, and the problems of the others.
fn diagnose(args: &Args) -> (Vec<Diagnosis>, Vec<Error>) {
    let (mut diagnoses, mut refused) = (Vec::new(), Vec::new());
    for file in &args.files {
        let runs = match runs(file) {
            Ok(runs) => runs,
            Err(error) => {
                refused.push(error);
                continue;
            }
        };
        for (name, sources) in runs {
            let task = args.task.unwrap_or_else(|| task(&name, &sources));
            match read(&sources, args.format, &args.columns) {
                Ok(reading) => diagnoses.extend(diagnosed(&name, reading, task, args)),
                Err(problem) => {
                    let error = Error::new(Exit::Usage, problem.what);
                    refused.push(problem.hint.into_iter().fold(error, Error::hint));
                }
            }
        }
    }
    (diagnoses, refused)
}

/// Recognizes the task by the words at the beginning of the files, and by the file's name.
fn task(name: &str, sources: &[Source]) -> Task {
    let head = |source: &Source| String::from_utf8_lossy(&source.bytes[..source.bytes.len().min(WORDS)]).into_owned();
    let heads: Vec<String> = sources.iter().map(head).collect();
    let file = Path::new(name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    Task::of_names(heads.iter().map(String::as_str).chain([file]))
}

fn diagnosed<'a>(name: &'a str, reading: Reading, task: Task, args: &'a Args) -> impl Iterator<Item = Diagnosis> + 'a {
    let Reading { format, curves, notes } = reading;
    curves.into_iter().map(move |curve| {
        let context = Context {
            task,
            classes: args.classes,
            dropout: args.dropout,
            divergence: (curve.divergence.as_ref()).map(|it| Divergence {
                epoch: it.epoch,
                step: None,
                what: it.what.clone(),
            }),
            ..Context::default()
        };
        let mut findings = judge(&curve.epochs, &context);
        let mut notes = notes.clone();
        if !curve.unused.is_empty() {
            let names = curve.unused[..curve.unused.len().min(MOST_UNUSED)].join(", ");
            let more = curve.unused.len().saturating_sub(MOST_UNUSED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            notes.push(format!("not used: {names}{more}"));
            // One of them may be the validation metric.
            let unvalidated = findings.iter().any(|finding| finding.name == Name::Unvalidated);
            if unvalidated {
                findings.retain(|finding| finding.name != Name::Unvalidated);
                notes.push(format!(
                    "no validation metric was recognized; if one of those is it, name it, for example with --columns \
                     val_loss={}",
                    curve.unused[0]
                ));
            }
        }
        let title = if curve.name.is_empty() { name.to_owned() } else { format!("{name}, {}", curve.name) };
        Diagnosis { title: format::clean(&title), format, curve, notes, findings }
    })
}

/// The files of each run below a path, with the run's name.
fn runs(path: &Path) -> Result<Vec<(String, Vec<Source>)>> {
    let name = path.display().to_string();
    if name == "-" {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(LARGEST_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::storage("stdin cannot be read", error))?;
        return Ok(vec![("stdin".to_owned(), vec![Source { name: "stdin".to_owned(), prefix: None, bytes }])]);
    }
    if !path.is_dir() {
        return Ok(vec![(name, vec![source(path, None)?])]);
    }
    let mut files = Vec::new();
    curve_files(path, DEEPEST, &mut files)?;
    files.sort();
    if files.is_empty() {
        let searched = NAMES.into_iter().chain(ENDS).collect::<Vec<_>>().join(", ");
        return Err(Error::new(
            Exit::Usage,
            format!("{name} contains no learning curves: neither event files nor files named {searched}"),
        )
        .hint("give the file that contains the curve"));
    }
    // The same numbers may have been written twice, as tables and as events.
    let is_event = |file: &Path| file.file_name().is_some_and(|name| name.to_string_lossy().contains(EVENTS));
    let tabled: Vec<PathBuf> =
        files.iter().filter(|file| !is_event(file)).filter_map(|file| file.parent().map(Path::to_owned)).collect();
    files.retain(|file| !is_event(file) || !tabled.iter().any(|folder| file.parent() == Some(folder)));
    let mut runs: Vec<(String, Vec<Source>)> = Vec::new();
    for file in files {
        if !is_event(&file) {
            runs.push((file.display().to_string(), vec![source(&file, None)?]));
            continue;
        }
        let folder = file.parent().unwrap_or(path);
        let part = folder.file_name().and_then(OsStr::to_str).filter(|part| PARTS.contains(part) && folder != path);
        let run = part.and_then(|_| folder.parent()).unwrap_or(folder).display().to_string();
        let source = source(&file, part)?;
        match runs.iter_mut().find(|(known, _)| *known == run) {
            Some((_, sources)) => sources.push(source),
            None => runs.push((run, vec![source])),
        }
    }
    Ok(runs)
}

/// Collects the files in and below a folder that hold curves.
fn curve_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error| Error::storage(format!("{} cannot be read", folder.display()), error);
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() && depth > 0 {
            curve_files(&entry.path(), depth - 1, files)?;
        } else if holds_curves(&entry.file_name().to_string_lossy()) {
            files.push(entry.path());
        }
        if files.len() > MOST_FILES {
            return Err(Error::new(Exit::Usage, format!("{} contains more than {MOST_FILES} files", folder.display()))
                .hint("give the folder of a single run"));
        }
    }
    Ok(())
}

fn holds_curves(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    name.contains(EVENTS) || NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end))
}

fn source(path: &Path, part: Option<&str>) -> Result<Source> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    let name = path.display().to_string();
    read.map_err(|error| {
        let folder = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let files = folder.read_dir().into_iter().flatten().flatten().map(|file| file.file_name());
        let files: Vec<String> = files.filter_map(|file| file.into_string().ok()).collect();
        let typed = path.file_name().unwrap_or_default().to_string_lossy();
        let hint = match nearest(&typed, files.iter().map(String::as_str)) {
            Some(near) if near != typed => format!("did you mean {}?", path.with_file_name(near).display()),
            _ => "give a file with one row per epoch (CSV, JSON lines, or a log), or the folder of a run".to_owned(),
        };
        Error::new(Exit::Usage, format!("{name} cannot be read")).source(error).hint(hint)
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(Error::new(Exit::Usage, format!("{name} is larger than {} MiB", LARGEST_FILE >> 20))
            .hint("learning curves are small; give the file with one row per epoch"));
    }
    Ok(Source { name, prefix: part.map(str::to_owned), bytes })
}

fn draw(path: &Path, diagnoses: &[Diagnosis]) -> Result<()> {
    let figure = match diagnoses {
        [one] => figure(one),
        several if several.len() > charts::MOST_COMPARED => {
            let most = charts::MOST_COMPARED;
            return Err(Error::new(Exit::Usage, format!("--chart draws up to {most} curves, not {}", several.len()))
                .hint("give fewer files"));
        }
        several => {
            let named: Vec<_> = several.iter().map(|one| (one.title.as_str(), &one.curve.epochs[..])).collect();
            charts::comparison(&named)
        }
    };
    match path.extension().and_then(OsStr::to_str) {
        Some("svg") => sweep_store::replace(path, charts::svg(&figure).as_bytes()),
        Some("png") => sweep_store::replace(path, &charts::png(&figure)),
        _ => Err(Error::new(Exit::Usage, format!("--chart {}: the name must end in .svg or .png", path.display()))),
    }
}

/// Draws the chart of one curve.
fn figure(Diagnosis { title, curve, findings, .. }: &Diagnosis) -> charts::Figure {
    let state = findings.iter().map(verdict).collect::<Vec<_>>().join(", ");
    let alarm = findings.iter().any(|finding| finding.severity >= Severity::Clear);
    let line = findings.first().map_or("", |finding| finding.headline.as_str());
    let metric = match curve.epochs.iter().any(|epoch| epoch.val_loss.is_some()) {
        true => Metric { name: "val_loss".into(), goal: Goal::Minimize },
        false => Metric { name: "val_accuracy".into(), goal: Goal::Maximize },
    };
    let file = Path::new(title).file_name().and_then(OsStr::to_str).unwrap_or(title);
    let onset = findings.iter().find_map(Finding::onset);
    let heading = charts::Heading { title: file, state: &state, alarm, line, onset };
    charts::curve(&heading, &curve.epochs, &metric)
}

/// Formats a finding with its severity: `overfit (clear)`. The severity of a note is left out.
fn verdict(finding: &Finding) -> String {
    match finding.severity {
        Severity::Note => finding.name.to_string(),
        severity => format!("{} ({severity})", finding.name),
    }
}

fn as_text(diagnoses: &[Diagnosis]) -> String {
    let mut text = String::new();
    if diagnoses.len() > IN_FULL {
        for one in diagnoses {
            let verdicts: Vec<String> = one.findings.iter().map(verdict).collect();
            let _ = writeln!(text, "{}: {}", one.title, verdicts.join(", "));
        }
        text += "\nFor the evidence and the fixes, give one file with one curve, or use --json.\n";
        return text;
    }
    for Diagnosis { title, format, curve, notes, findings } in diagnoses {
        if !text.is_empty() {
            text.push('\n');
        }
        let count = match curve.epochs.len() {
            1 => "1 epoch".to_owned(),
            many => format!("{many} epochs"),
        };
        let _ = writeln!(text, "{title}: {count} ({format})");
        for note in notes {
            wrap(&mut text, &format!("note: {note}"), ["  ", "  "]);
        }
        tell(&mut text, findings);
    }
    text
}

/// The task in whose words the advice for these findings is given.
fn words_of(findings: &[Finding]) -> Task {
    findings.first().map_or(Task::Unknown, |finding| finding.task)
}

/// Appends the findings, and the advice for them.
pub(super) fn tell(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let _ = writeln!(text, "\n  {}", verdict(finding));
        wrap(text, &finding.headline, ["    ", "    "]);
    }
    let advice = merged_advice(findings);
    let heading = match advice.len() {
        0 => return,
        1 => "What to do:",
        _ => "What to do, in this order:",
    };
    let _ = writeln!(text, "\n  {heading}");
    for (number, step) in (1..).zip(&advice) {
        wrap(text, &step.text(words_of(findings)), [&format!("  {number:>3}. "), "       "]);
    }
}

/// Appends a wrapped paragraph. Its first line is indented by `indent[0]`, the others by `indent[1]`.
fn wrap(text: &mut String, paragraph: &str, indent: [&str; 2]) {
    let mut line = indent[0].to_owned();
    let mut empty = true;
    for word in format::clean(paragraph).split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            (line, empty) = (indent[1].to_owned(), true);
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

fn as_json(diagnoses: &[Diagnosis]) -> serde_json::Value {
    let curves = diagnoses.iter().map(|one| {
        let advice: Vec<String> =
            merged_advice(&one.findings).iter().map(|step| step.text(words_of(&one.findings))).collect();
        json!({
            "curve": one.title, "format": one.format, "notes": one.notes, "epochs": one.curve.epochs,
            "findings": one.findings, "advice": advice,
        })
    });
    json!({ "curves": curves.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixtures() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/curves")
    }

    fn args(files: &[&str]) -> Args {
        let files = files.iter().map(|file| fixtures().join(file)).collect();
        Args {
            files,
            json: false,
            format: None,
            columns: Vec::new(),
            classes: None,
            dropout: None,
            task: None,
            chart: None,
        }
    }

    fn diagnoses(args: &Args) -> Vec<Diagnosis> {
        let runs = args.files.iter().flat_map(|file| runs(file).expect("the fixture is there"));
        let read = runs.flat_map(|(name, sources)| {
            let name = name.rsplit('/').next().unwrap_or_default().to_owned();
            let reading = read(&sources, None, &[]).expect("it is a curve");
            diagnosed(&name, reading, Task::Images, args).collect::<Vec<_>>()
        });
        read.collect()
    }

    #[test]
    fn the_questioner_is_told_what_to_check_first() {
        insta::assert_snapshot!(as_text(&diagnoses(&args(&["question.log"]))));
    }

    #[test]
    fn a_folder_with_a_run_in_two_parts_is_one_curve() {
        let of_run = diagnoses(&args(&["run"]));
        assert_eq!(of_run.len(), 1);
        assert_eq!(of_run[0].title, "run");
        let names = |diagnosis: &Diagnosis| diagnosis.findings.iter().map(|finding| finding.name).collect::<Vec<_>>();
        assert_eq!(names(&of_run[0]), names(&diagnoses(&args(&["question.csv"]))[0]));
    }

    #[test]
    fn many_curves_are_told_in_a_line_each() {
        let text = as_text(&diagnoses(&args(&["question.log"; 5])));
        assert_eq!(text.matches("question.log: low ceiling (clear), overfit (clear), plateau\n").count(), 5);
        assert!(!text.contains("What to do"));
    }

    #[test]
    fn json_has_evidence_in_numbers() {
        let json = as_json(&diagnoses(&args(&["question.log"])));
        let overfit = &json["curves"][0]["findings"][1];
        assert_eq!(overfit["evidence"][0], json!({"what": "epoch of onset", "value": 36.0, "unit": "epoch"}));
        assert_eq!(json["curves"][0]["format"], "log");
    }

    #[test]
    fn a_chart_is_drawn_of_one_curve_or_of_several_as_its_name_says() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, start) in [("curve.svg", &b"<svg"[..]), ("curve.png", &b"\x89PNG"[..])] {
            let path = folder.path().join(name);
            draw(&path, &diagnoses(&args(&["question.log"]))).expect("the folder is writable");
            assert!(std::fs::read(&path).expect("it was drawn").starts_with(start), "{name}");
        }
        let error = |name: &str, files: &[&str]| {
            draw(&folder.path().join(name), &diagnoses(&args(files))).expect_err("it is refused").to_string()
        };
        assert!(error("curve.gif", &["question.log"]).contains(".svg or .png"));
        assert!(error("curve.svg", &["question.log"; 6]).contains("draws up to 5 curves, not 6"));
        let path = folder.path().join("both.svg");
        draw(&path, &diagnoses(&args(&["question.log", "strided.csv"]))).expect("the folder is writable");
        let text = std::fs::read_to_string(path).expect("it was drawn");
        assert!(text.contains("question.log: val_loss 1.402 at epoch 36"), "{text}");
        assert!(text.contains("strided.csv"), "{text}");
    }

    #[test]
    fn a_folder_without_curves_says_what_was_looked_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = runs(folder.path()).expect_err("it is empty").to_string();
        assert!(error.contains("neither event files nor files named metrics.csv, epochs.csv"), "{error}");
        std::fs::write(folder.path().join("metrics.csv"), "epoch,val_loss\n1,2\n").expect("writable");
        assert_eq!(runs(folder.path()).expect("it holds a table").len(), 1);
    }
}
