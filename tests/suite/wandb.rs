//! Sweep files in the shapes of public repositories mean what they mean at W&B: `scripts/wandb-verdicts` asked its
//! libraries. What differs must be named by `sweep lint`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use sweep_core::trial::{Settings, TrialId};
use sweep_scheduler::search::Search;
use sweep_spec::{Report, Spec, Verdict, lint};

/// The quantiles of `scripts/wandb-verdicts`.
const QUANTILES: [f64; 3] = [0.11, 0.47, 0.87];

/// Number of commands that the answers have at most.
const MOST_COMMANDS: usize = 40;

/// Files that run at W&B and are refused here, since W&B runs something other than what they say.
const REFUSED: [&str; 5] =
    ["command-as-text", "hyperband-without-bands", "probabilities-not-one", "unknown-macro", "zero-deviation"];

/// W&B's answer about a file.
#[derive(Deserialize)]
struct Answer {
    error: Option<String>,
    count: Option<u64>,
    #[serde(default)]
    commands: Vec<Vec<String>>,
    #[serde(default)]
    quantiles: BTreeMap<String, Vec<Json>>,
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wandb")
}

/// A file with what is said about it there and here.
struct Case {
    name: String,
    theirs: Answer,
    lint: Report,
    spec: Option<Spec>,
}

fn cases() -> Vec<Case> {
    let answers = fs::read_to_string(corpus().join("verdicts.json")).unwrap();
    let answers: BTreeMap<String, Answer> = serde_json::from_str(&answers).unwrap();
    let case = |(file, theirs): (String, Answer)| {
        let text = fs::read_to_string(corpus().join(&file)).unwrap();
        let base = Path::new("/base");
        let spec = Spec::read(&text, &file, base).ok().map(|(spec, _)| spec);
        Case { name: file.trim_end_matches(".yaml").to_owned(), theirs, lint: lint(&text, &file, base), spec }
    };
    answers.into_iter().map(case).collect()
}

impl Case {
    /// Names of parameters whose values `lint` says differ from W&B's.
    fn named(&self) -> BTreeSet<String> {
        let differs = self.lint.findings.iter().filter(|finding| finding.verdict == Verdict::Differs);
        let names = differs.filter_map(|finding| finding.key.strip_prefix("parameters."));
        names.map(|key| first(key).to_owned()).collect()
    }

    /// The words of a command that pass no parameter of those names.
    fn without(command: &[String], names: &BTreeSet<String>) -> Vec<String> {
        let passes =
            |word: &str| names.iter().any(|name| word.trim_start_matches(['-', '+']).starts_with(&format!("{name}=")));
        command.iter().filter(|word| !passes(word)).cloned().collect()
    }

    fn command(spec: &Spec, settings: &Settings) -> Vec<String> {
        let variable = |name: &str| (name == "DATA_ROOT").then(|| "/data".to_owned());
        let program = spec.program().expect("trials run a program");
        program.arguments(settings, "python", "SETTINGS", variable).unwrap()
    }

    fn grid(&self, spec: &Spec) -> Result<(), String> {
        let named = self.named();
        let mut search = Search::new(spec.search_terms());
        let all: Vec<Settings> = (1..).map_while(|trial| search.settings(TrialId(trial))).collect();
        if named.is_empty() && Some(all.len() as u64) != self.theirs.count {
            return Err(format!("{} trials, {:?} at W&B", all.len(), self.theirs.count));
        }
        let ours: Vec<_> = all.iter().map(|settings| Self::without(&Self::command(spec, settings), &named)).collect();
        let theirs: Vec<_> = self.theirs.commands.iter().map(|line| Self::without(line, &named)).collect();
        for line in &theirs {
            if !ours.contains(line) {
                return Err(format!("W&B runs {line:?}, here it is {:?}", ours[0]));
            }
        }
        // Were there more trials here than there, the count would differ.
        let extra = ours.iter().find(|line| !theirs.contains(line));
        match extra {
            Some(line) if all.len() <= MOST_COMMANDS => Err(format!("W&B does not run {line:?}")),
            _ => Ok(()),
        }
    }

    fn drawn(&self, spec: &Spec) -> Result<(), String> {
        let named = self.named();
        for (at, quantile) in QUANTILES.into_iter().enumerate() {
            let mut settings = Settings::new();
            for parameter in &spec.space.parameters {
                let value = parameter.distribution.at(quantile);
                let theirs = self.theirs.quantiles.get(&parameter.name).map(|values| &values[at]);
                if let Some(theirs) = theirs.filter(|_| !named.contains(first(&parameter.name)))
                    && !is_near(&value.to_string(), &theirs.to_string())
                {
                    return Err(format!("{} is {value} at quantile {quantile}, {theirs} at W&B", parameter.name));
                }
                settings.insert(parameter.name.clone(), value);
            }
            let ours = Self::without(&Self::command(spec, &settings), &named);
            let theirs = Self::without(&self.theirs.commands[at], &named);
            if !is_near(&ours.join("\n"), &theirs.join("\n")) {
                return Err(format!("W&B runs {theirs:?}, here it is {ours:?}"));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let worst = self.lint.findings.iter().map(|finding| finding.verdict).max();
        match (&self.theirs.error, &self.spec) {
            (None, None) if REFUSED.contains(&self.name.as_str()) => Ok(()),
            (None, None) => Err(format!("is refused, but runs at W&B: {:#?}", self.lint.findings)),
            (Some(error), Some(_)) if worst < Some(Verdict::Differs) => {
                Err(format!("runs, but not at W&B ({error}), and lint does not say so"))
            }
            (Some(_), _) => Ok(()),
            (None, Some(_)) if REFUSED.contains(&self.name.as_str()) => Err("is no longer refused".to_owned()),
            (None, Some(spec)) if self.theirs.count.is_some() => self.grid(spec),
            (None, Some(spec)) => self.drawn(spec),
        }
    }
}

/// The parameter or group that a key is in, with its dots: names of parameters may have some.
fn first(key: &str) -> &str {
    let ends = [".values", ".value", ".min", ".max", ".parameters", ".probabilities", ".distribution", "["];
    let end = ends.iter().filter_map(|end| key.find(end)).min().unwrap_or(key.len());
    &key[..end]
}

/// Whether two texts are the same but for the last digits of numbers in them, and for 11.0 instead of 11: quantiles are
/// computed otherwise.
fn is_near(ours: &str, theirs: &str) -> bool {
    let pieces = |text: &str| -> Vec<String> {
        text.split(|char: char| "=,[]{}: '\"\n".contains(char)).map(str::to_owned).collect()
    };
    let is_near = |(ours, theirs): (&String, &String)| match (ours.parse::<f64>(), theirs.parse::<f64>()) {
        (Ok(ours), Ok(theirs)) => (ours - theirs).abs() <= 1e-8 * theirs.abs(),
        _ => ours == theirs,
    };
    let (ours, theirs) = (pieces(ours), pieces(theirs));
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(is_near)
}

#[test]
fn files_of_public_shapes_mean_what_they_mean_at_w_and_b_but_for_what_lint_names() {
    let cases = cases();
    assert!(cases.len() >= 60, "{} files", cases.len());
    let complaints: Vec<String> =
        cases.iter().filter_map(|case| case.check().err().map(|error| format!("{}: {error}", case.name))).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
