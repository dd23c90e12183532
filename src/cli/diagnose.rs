//! `sweep diagnose`: finds problems in a learning curve from any tool.

mod files;
mod judged;

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::output;
use judged::{Diagnosis, diagnose};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::trial::{Goal, Metric};
use sweep_curves::{Choice, Format};
use sweep_report::charts;
use sweep_report::format;
use sweep_verdict::{Finding, Severity, Task, merged_advice};

/// Maximum number of curves that are reported in full. More curves have one line each.
const IN_FULL: usize = 4;
/// Line width of the text, in columns.
const WIDTH: usize = 96;

/// Options of `sweep diagnose`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  python train.py | tee training.log; sweep diagnose training.log
  sweep diagnose lightning_logs/version_0
  sweep diagnose history.csv --columns val_loss=held_out_nll --chart curve.svg")]
pub struct Args {
    /// Learning curves: the output of a training loop, a table with one row per epoch (CSV, Markdown, text), JSON, a
    /// notebook, TensorBoard event files, a W&B run or export, also compressed by gzip; a folder of such files; or - for
    /// stdin. Recognizes output of Keras, Lightning, Hugging Face, fastai, Ultralytics, PyTorch's examples, XGBoost,
    /// LightGBM, CatBoost, scikit-learn, fairseq, mmcv, and loops that print names and numbers
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
    /// tabular. Advice depends on it
    #[arg(long, value_name = "TASK")]
    task: Option<Task>,
    /// Also draw the curve, or up to five side by side, as .svg or .png
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
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
            let verdicts = if verdicts.is_empty() { "no verdict".to_owned() } else { verdicts.join(", ") };
            let _ = writeln!(text, "{}: {verdicts}", one.title);
        }
        let mut notes: Vec<&String> = Vec::new();
        for note in diagnoses.iter().flat_map(|one| &one.notes) {
            if !notes.contains(&note) {
                notes.push(note);
                wrap(&mut text, &format!("note: {note}"), ["  ", "  "]);
            }
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
        let names = curve.names.iter().map(|(metric, name)| format!("; {metric} is {name}")).collect::<String>();
        let _ = writeln!(text, "{title}: {count} ({format}){}", format::clean(&names));
        for note in notes {
            wrap(&mut text, &format!("note: {note}"), ["  ", "  "]);
        }
        tell(&mut text, findings);
    }
    text
}

/// The task that determines the wording of the advice for these findings.
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
    use super::files::runs;
    use super::judged::diagnosed;
    use super::*;
    use sweep_curves::read;

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
        let read = runs.flat_map(|run| {
            let name = run.name.rsplit('/').next().unwrap_or_default().to_owned();
            let reading = read(&run.sources, None, &[]).expect("it is a curve");
            diagnosed(&name, reading, Task::Images, args)
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
        let refusal = |folder: &Path| {
            let (diagnoses, refused) = diagnose(&Args { files: vec![folder.to_owned()], ..args(&[]) });
            assert!(diagnoses.is_empty());
            refused[0].to_string()
        };
        assert!(refusal(folder.path()).contains("no event files, no files named metrics.csv, epochs.csv"));
        std::fs::write(folder.path().join("notes.txt"), "nothing here\n").expect("writable");
        assert!(refusal(folder.path()).contains("contains no learning curves"));
        std::fs::write(folder.path().join("mine.txt"), "epoch 1: loss 0.5\nepoch 2: loss 0.4\n").expect("writable");
        let (diagnoses, refused) = diagnose(&Args { files: vec![folder.path().to_owned()], ..args(&[]) });
        assert_eq!((diagnoses.len(), refused.len()), (1, 0), "what holds no curve is passed over");
    }

    /// Writes files below a folder and returns the curves of each run that are found there.
    fn found(files: &[(&str, String)]) -> Vec<Diagnosis> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("writable");
            std::fs::write(path, text).expect("writable");
        }
        diagnose(&Args { files: vec![folder.path().to_owned()], ..args(&[]) }).0
    }

    #[test]
    fn a_run_that_a_tool_writes_into_several_files_is_one_curve() {
        let of_epoch = |epoch: u32| {
            let text = json!({"epoch": epoch, "training_loss": 0.9, "validation_loss": f64::from(epoch)}).to_string();
            (format!("metrics_epoch_{epoch}.json"), text)
        };
        let files: Vec<_> = (0..12).map(of_epoch).collect();
        let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
        let allennlp = found(&files);
        assert_eq!((allennlp.len(), allennlp[0].curve.epochs[10].val_loss), (1, Some(10.0)), "10 comes after 9");
        let lines = |value: f64| (0..5).map(|step| format!("1612345678000 {value} {step}\n")).collect::<String>();
        let mlflow = found(&[("0/abc/metrics/train_loss", lines(0.5)), ("0/abc/metrics/val_loss", lines(0.6))]);
        assert_eq!((mlflow.len(), mlflow[0].curve.epochs[4].val_loss), (1, Some(0.6)));
        let table = |value: f64| format!("iter\tLogloss\n0\t{value}\n1\t{value}\n");
        let catboost = found(&[("learn_error.tsv", table(0.5)), ("test_error.tsv", table(0.6))]);
        assert_eq!((catboost.len(), catboost[0].curve.epochs[1].train_loss), (1, Some(0.5)));
        let state = |epochs: u32| {
            let rows: Vec<_> = (1..=epochs).map(|epoch| json!({"epoch": epoch, "loss": 0.5, "step": epoch})).collect();
            json!({ "log_history": rows }).to_string()
        };
        let trainer = [("checkpoint-9/trainer_state.json", state(9)), ("checkpoint-10/trainer_state.json", state(10))];
        let trainer = found(&trainer);
        assert_eq!((trainer.len(), trainer[0].curve.epochs.len()), (1, 10), "the last checkpoint has all");
    }
}
