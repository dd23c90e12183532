//! `sweep lint`: compares, line by line, what a sweep file means here and in W&B. The part about W&B follows the
//! published code of wandb/sweeps.

use std::path::Path as Folder;

use serde::Serialize;
use serde_yaml::Value as Yaml;

use super::check::examine;
use super::node::Findings;
use super::place::{Mark, Path};
use super::problem::Effect;
use super::value::{boolean, free, number, show};
use super::yaml;
use super::yaml11::{self, Read};
use sweep_data::network::Step;

/// A finding about one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Line number, from 1; 0 for the file as a whole.
    pub line: usize,
    /// Column of the first character, from 1; 0 for the file as a whole.
    pub column: usize,
    /// Path of the key.
    pub key: String,
    /// The finding as one word.
    pub verdict: Verdict,
    /// The full text of the finding.
    pub text: String,
}

/// What a key means here, compared with W&B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same as in W&B.
    Same,
    /// Different from W&B.
    Differs,
    /// The key has no effect here.
    NoEffect,
    /// The key prevents the file from running here.
    NotHere,
}

/// The findings about a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Whether the file runs here.
    pub runs: bool,
    /// Findings in file order.
    pub findings: Vec<Finding>,
}

/// Keys of W&B that have the same effect here.
const SHARED: [&str; 7] = ["name", "description", "method", "metric", "run_cap", "program", "command"];

/// Keys of a parameter that W&B's schema requires to be numbers.
const NUMBERS: [&str; 8] = ["min", "max", "q", "mu", "sigma", "a", "b", "probabilities"];

/// All top-level keys in W&B's schema. W&B rejects any other key.
const THEIRS: [&str; 18] = [
    "apiVersion",
    "kind",
    "controller",
    "description",
    "program",
    "job",
    "image_uri",
    "entity",
    "project",
    "method",
    "command",
    "name",
    "run_cap",
    "metric",
    "metrics",
    "scheduler",
    "early_terminate",
    "parameters",
];

/// Checks a file. It is read in the same way as by [`super::Spec::read`], and only the text is read.
pub fn lint(text: &str, file: &str, base: &Folder) -> Report {
    let places = Findings::read(text).places;
    let (spec, problems, notes) = examine(text, file, base);
    let runs = spec.is_some() && problems.is_empty();
    let lines = text.lines().map(|line| (line, line.is_ascii())).collect();
    let program = spec.as_ref().is_some_and(|spec| spec.program().is_some());
    let mut linter = Linter { lines, program, findings: Vec::new(), places };
    for problem in problems {
        let text = format!("{}; {}", problem.rule, problem.remedy.replace('\n', " "));
        linter.put(problem.mark, &problem.path, Verdict::NotHere, text);
    }
    for note in notes {
        let verdict = match note.effect {
            Effect::None => Verdict::NoEffect,
            Effect::Same => Verdict::Same,
            Effect::Differs => Verdict::Differs,
        };
        linter.put(note.mark, &note.path, verdict, note.text);
    }
    if let Ok(value) = yaml::parse(text) {
        linter.words(&value, &Path::default());
        linter.top(&value);
    }
    let mut findings = linter.findings;
    findings.sort_by_key(|finding| (finding.line, finding.column));
    Report { runs, findings }
}

struct Linter<'a> {
    /// The lines of the file, each with whether its columns are its bytes.
    lines: Vec<(&'a str, bool)>,
    /// Whether a program gets the parameters' values.
    program: bool,
    findings: Vec<Finding>,
    places: super::place::Places,
}

impl Linter<'_> {
    fn put(&mut self, mark: Option<Mark>, path: &Path, verdict: Verdict, text: impl Into<String>) {
        let (line, column) = mark.map_or((0, 0), |mark| (mark.line, mark.column));
        self.findings.push(Finding { line, column, key: path.to_string(), verdict, text: text.into() });
    }

    fn say(&mut self, path: &Path, verdict: Verdict, text: impl Into<String>) {
        self.put(self.places.key_at(path), path, verdict, text);
    }

    /// Adds a finding for each place where YAML 1.1 and YAML 1.2 readers interpret a word differently.
    fn words(&mut self, value: &Yaml, path: &Path) {
        match value {
            Yaml::Sequence(items) => {
                items.iter().enumerate().for_each(|(at, item)| self.words(item, &path.index(at)));
            }
            Yaml::Mapping(map) => {
                for (key, value) in map {
                    self.words(value, &path.key(key.as_str().unwrap_or("?")));
                }
            }
            Yaml::Null | Yaml::Bool(_) | Yaml::Number(_) | Yaml::String(_) | Yaml::Tagged(_) => {
                if let Some(text) = self.places.value_at(path).and_then(|mark| self.plain(mark)) {
                    self.word(value, path, &text);
                }
            }
        }
    }

    /// Returns the text at a place, if it is an unquoted word.
    fn plain(&self, mark: Mark) -> Option<String> {
        let (line, is_ascii) = *self.lines.get(mark.line - 1)?;
        let from = mark.column - 1;
        let text = match is_ascii {
            // A list may have 100,000 values on one line: no walk to each of them.
            true => line.get(from.min(line.len())..(from + mark.width).min(line.len()))?.to_owned(),
            false => line.chars().skip(from).take(mark.width).collect(),
        };
        (!text.starts_with(['"', '\'', '|', '>', '*', '&', '!', '[', '{'])).then_some(text)
    }

    fn word(&mut self, value: &Yaml, path: &Path, text: &str) {
        // If a value was left out, the mark is that of its key.
        if matches!(value, Yaml::Null) || matches!(value, Yaml::String(read) if read != text) {
            return;
        }
        // A program's values are read by YAML 1.1, but for numbers that it takes for text, which a note names.
        let is_value = |step: &Step| matches!(step, Step::Key(key) if key == "value" || key == "values");
        if self.program
            && matches!(path.0.first(), Some(Step::Key(key)) if key == "parameters")
            && path.0.iter().any(is_value)
            && yaml11::read(text) != Read::Date
        {
            return;
        }
        let ours = free(value).ok();
        let ours = ours.as_ref().map_or("text".to_owned(), ToString::to_string);
        let theirs = match yaml11::read(text) {
            Read::Text if number(value).is_some() => "text".to_owned(),
            Read::Number(theirs) if number(value) != Some(theirs) => theirs.to_string(),
            Read::Bool(theirs) if matches!(value, Yaml::String(_)) && boolean(value) == Some(theirs) => {
                let rule = format!(
                    "W&B reads `{text}` as {theirs}; sweep does so only where true or false is expected, and reads \
                     text elsewhere"
                );
                return self.put(self.places.value_at(path), path, Verdict::Differs, rule);
            }
            Read::Date => "a date".to_owned(),
            _ => return,
        };
        let wants_number =
            path.0.iter().rev().take(2).any(|step| matches!(step, Step::Key(key) if NUMBERS.contains(&key.as_str())));
        let mut rule = format!("W&B reads `{text}` as {theirs}; sweep reads {ours}");
        if theirs == "text" && wants_number {
            rule += ". W&B rejects text there";
        } else if theirs == "text" {
            rule += ". Both read a number if it has a decimal point and a signed exponent: 1.0e-4";
        }
        self.put(self.places.value_at(path), path, Verdict::Differs, rule);
    }

    fn top(&mut self, top: &Yaml) {
        let Some(map) = top.as_mapping() else { return };
        let root = Path::default();
        let method = top.get("method").and_then(Yaml::as_str).unwrap_or("");
        for key in map.keys().filter_map(Yaml::as_str) {
            let path = root.key(key);
            if !THEIRS.contains(&key) && !self.said(&path) {
                self.say(&path, Verdict::Differs, "is not a key of W&B, which ignores it");
            }
        }
        match method {
            "" => self.put(None, &root.key("method"), Verdict::Differs, "is missing: W&B requires it; sweep uses grid"),
            "random" => {
                let text = "W&B can repeat configurations, and never ends without `run_cap`; sweep never repeats a \
                            configuration";
                self.say(&root.key("method"), Verdict::Differs, text);
            }
            _ => {}
        }
        self.metric(top);
        self.early_terminate(top);
        for key in map.keys().filter_map(Yaml::as_str).filter(|key| SHARED.contains(key)) {
            let path = root.key(key);
            if !self.said(&path) {
                self.say(&path, Verdict::Same, "as in W&B");
            }
        }
        let Some(parameters) = top.get("parameters") else { return };
        self.parameters(parameters, &root.key("parameters"), method, false);
    }

    /// Returns whether there is a finding about the key or anything below it.
    fn said(&self, path: &Path) -> bool {
        let key = path.to_string();
        let under =
            |other: &str| other.strip_prefix(&key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        self.findings.iter().any(|finding| under(&finding.key))
    }

    fn metric(&mut self, top: &Yaml) {
        let Some(metric) = top.get("metric") else { return };
        let path = Path::default().key("metric");
        let name = metric.get("name").and_then(Yaml::as_str).unwrap_or("");
        // A note says it of a program's.
        if metric.get("goal").is_none() && name.ends_with("accuracy") && !self.program {
            let text = format!("has no `goal`: W&B minimizes {name}; sweep maximizes it");
            self.say(&path, Verdict::Differs, text);
        }
    }

    fn early_terminate(&mut self, top: &Yaml) {
        let Some(early) = top.get("early_terminate") else { return };
        let given = |key: &str| early.get(key).map(show);
        let eta = given("eta").unwrap_or("3 (W&B's default)".to_owned());
        let bands = match (given("max_iter"), given("min_iter"), given("s")) {
            (Some(max), _, Some(s)) => format!("{max} / eta^k for k from 1 to {s}, if at least 1"),
            (Some(_), _, None) => "none: `max_iter` requires `s`, and W&B rejects the file".to_owned(),
            (None, Some(min), _) => format!("{min} * eta^k"),
            (None, None, _) => "none: W&B requires `min_iter`, or `max_iter` with `s`, and rejects the file".to_owned(),
        };
        let strict = early.get("strict").and_then(Yaml::as_bool).unwrap_or(true);
        let measure = if strict { "value at the band" } else { "best value so far" };
        let default = if early.get("strict").is_none() { " (strict is true by default in its code)" } else { "" };
        let text = format!(
            "W&B's hyperband: eta {eta}; bands at {bands}. At a band, a run stops if its {measure}{default} is worse \
             than the value at index floor(n / eta) of the n values at that band, sorted from best to worst and \
             counted from 0"
        );
        let path = Path::default().key("early_terminate");
        match early.get("type").and_then(Yaml::as_str) {
            Some("hyperband") => self.say(&path, Verdict::Same, text),
            _ => self.say(&path, Verdict::Differs, "W&B has only `type: hyperband`"),
        }
        for key in ["stop_on", "audit"] {
            if early.get(key).is_some() {
                self.say(&path.key(key), Verdict::Differs, "is not a key of W&B, which ignores it");
            }
        }
    }

    fn parameters(&mut self, value: &Yaml, path: &Path, method: &str, nested: bool) {
        let Some(map) = value.as_mapping() else { return };
        let names: Vec<&str> = map.keys().filter_map(Yaml::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        if method == "grid" && sorted != names {
            let text = format!(
                "W&B's grid varies the parameters in alphabetical order ({}), the last one fastest; sweep uses the \
                 order of the file. The configurations are the same",
                sorted.join(", ")
            );
            self.say(path, Verdict::Differs, text);
        }
        for (name, parameter) in map {
            let path = path.key(name.as_str().unwrap_or("?"));
            if let Some(members) = parameter.get("parameters") {
                if !nested && !self.program {
                    let text = "is a group: W&B's validation (SweepConfig) drops it without checking its `min` and \
                                `max`; sweep checks and varies it";
                    self.say(&path, Verdict::Differs, text);
                }
                self.parameters(members, &path.key("parameters"), method, true);
                continue;
            }
            let distribution = parameter.get("distribution").and_then(Yaml::as_str).unwrap_or("");
            if distribution == "q_uniform" && method == "grid" {
                self.say(&path, Verdict::Differs, "W&B's grid excludes `max` of q_uniform; sweep includes it");
            }
            if distribution == "categorical" && parameter.get("probabilities").is_some() {
                self.say(&path, Verdict::Differs, "W&B rejects `probabilities` with `distribution: categorical`");
            }
            if parameter.get("when").is_some() {
                self.say(
                    &path.key("when"),
                    Verdict::Differs,
                    "is not a key of W&B, which rejects a parameter that has it",
                );
            }
            if !self.said(&path) {
                self.say(&path, Verdict::Same, "as in W&B");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "data: {set: digits}\nmodel: linear\n";

    fn said(text: &str) -> Vec<String> {
        let report = lint(&format!("{text}{REST}"), "f.yaml", Folder::new("/"));
        let ours = ["data", "model"];
        let findings = report.findings.iter().filter(|finding| !ours.contains(&finding.key.as_str()));
        findings.map(|one| format!("{} {:?} {}: {}", one.line, one.verdict, one.key, one.text)).collect()
    }

    fn one(text: &str, line: usize) -> String {
        let start = format!("{line} ");
        let found: Vec<_> = said(text).into_iter().filter(|finding| finding.starts_with(&start)).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found[0].clone()
    }

    #[test]
    fn numbers_that_w_and_b_takes_for_text_are_told() {
        let text =
            "method: grid\nparameters:\n  batch_size: {values: [1e1, 20]}\n  learning_rate: {values: [1.0e-4]}\n";
        let said = said(text);
        assert_eq!(said[0], "1 Same method: as in W&B");
        assert!(
            said[1].starts_with("3 Differs parameters.batch_size.values[0]: W&B reads `1e1` as text; sweep reads 10.0"),
            "{said:?}"
        );
        assert_eq!(said[2], "4 Same parameters.learning_rate: as in W&B");
        assert_eq!(said.len(), 3);
        let random = "method: random\nrun_cap: 2\nparameters:\n  learning_rate: {min: 1e-4, max: 0.1}\n";
        assert!(one(random, 4).ends_with("W&B rejects text there"));
    }

    #[test]
    fn booleans_of_yaml_1_1_are_told() {
        let text = "method: grid\nparameters:\n  batch_norm: {value: off}\n";
        assert!(one(text, 3).contains("reads `off` as false"));
        assert!(one(&text.replace("off", "'off'"), 3).contains("Same"));
    }

    #[test]
    fn what_w_and_b_does_otherwise_is_told() {
        let grid = "method: grid\nparameters:\n  epochs: {value: 3}\n  \
            batch_size: {distribution: q_uniform, min: 8, max: 16, q: 4}\n";
        assert!(one(grid, 2).contains("alphabetical order (batch_size, epochs)"));
        assert!(one(grid, 4).contains("excludes `max`"));
        let group = "method: grid\nparameters:\n  early_stopping:\n    parameters:\n      patience: {value: 3}\n";
        assert!(one(group, 3).contains("drops it"));
        assert!(one(group, 5).contains("Same"));
        assert!(one("method: random\nmetric: {name: val_accuracy}\nrun_cap: 1\n", 2).contains("sweep maximizes it"));
        assert!(one("method: grid\nrepeats: 2\n", 2).contains("is not a key of W&B"));
        let old = "method: random\nparameters:\n  learning_rate: {distribution: log_uniform, min: -9, max: -2}\n";
        assert!(one(old, 3).contains("W&B now rejects log_uniform"));
    }

    #[test]
    fn a_programs_values_and_groups_are_said_to_be_w_and_bs_where_they_are() {
        let text = "method: grid\nprogram: a.py\nmetric: {name: f1, goal: maximize}\nparameters:\n  \
            a: {values: ['007', yes, 010, \"1e3\"]}\n  b: {values: [1e-4, 0.5, 1e-3]}\n  \
            c: {parameters: {d: {value: off}}}\n  e: {value: 2026-01-31}\n";
        let report = lint(text, "f.yaml", Folder::new("/"));
        let on = |line| report.findings.iter().filter(move |one| one.line == line).collect::<Vec<_>>();
        let same = |line| on(line).iter().all(|one| one.verdict == Verdict::Same && !on(line).is_empty());
        assert!(report.runs && same(5) && same(7), "{report:#?}");
        assert!(on(6)[0].text.contains("reads `1e-4` and 1 more as text; sweep reads a number"), "{report:#?}");
        assert!(on(8)[0].text.contains("a date"), "{report:#?}");
    }

    #[test]
    fn what_does_not_run_here_is_told_and_decides() {
        let text = format!(
            "method: bayes\nprogram: train.py\nproject: x\nearly_terminate: {{type: hyperband, min_iter: 3}}\n{REST}"
        );
        let report = lint(&text, "f.yaml", Folder::new("/"));
        assert!(!report.runs);
        let verdicts = |line| report.findings.iter().filter(move |one| one.line == line).map(|one| one.verdict);
        assert!(verdicts(1).eq([Verdict::Differs]) && verdicts(2).eq([Verdict::Same]));
        assert!(verdicts(3).eq([Verdict::NoEffect]));
        let hyperband = report.findings.iter().find(|one| one.text.starts_with("W&B's hyperband")).unwrap();
        assert!(
            hyperband.text.contains("eta 3") && hyperband.text.contains("bands at 3 * eta^k"),
            "{}",
            hyperband.text
        );
        assert!(hyperband.text.contains("strict is true by default"), "{}", hyperband.text);
        assert!(lint(&format!("method: grid\n{REST}"), "f.yaml", Folder::new("/")).runs);
    }

    #[test]
    fn a_file_without_a_program_is_told_once_that_it_runs_nothing() {
        let text = "method: bayes\nmetric: {name: f1}\nparameters: {lr: {values: [1, 2]}, depth: {values: [1, 2]}}\n";
        let report = lint(text, "f.yaml", Folder::new("/"));
        let wrong: Vec<_> = report.findings.iter().filter(|one| one.verdict == Verdict::NotHere).collect();
        assert!(wrong.len() == 1 && !report.runs, "{wrong:#?}");
        for key in ["`program: ", "`command: ", "`data:`", "`model:`"] {
            assert!(wrong[0].text.contains(key), "{}", wrong[0].text);
        }
    }
}
