//! `stages:` of the sweep file: what follows once all trials of the file have ended. Each stage is a sweep file of its
//! own: that of the stage before, with other keys, and with parameters that follow from the results.

use std::path::Path as Folder;

use serde_yaml::{Mapping, Value as Yaml};

use super::Spec;
use super::check::check;
use super::kind::Kind;
use super::node::{Findings, Node, Table};
use super::place::Path;
use super::value::show;
use sweep_data::network::Step;

/// The keys of a stage that replace those of the file.
const KEYS: [&str; 6] = ["method", "run_cap", "repeats", "early_terminate", "lag", "order"];

/// Keys of the file that belong to its method, and do not outlast it.
const OF_METHOD: [&str; 3] = ["lag", "order", "priority"];

/// What a stage takes from the results of the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The ranges and values that `next.yaml` would have. The best configuration runs first.
    Next,
    /// This number of the best configurations, and no others.
    Top(u64),
}

/// A stage that follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// What it takes from the results.
    pub from: From,
    /// All its keys, as they are written.
    pub keys: Mapping,
}

impl Stage {
    /// Returns the file of the stage, given that of the stage before, without what follows from the results.
    pub fn applied_to(&self, before: &Mapping) -> Mapping {
        let mut file = before.clone();
        let is_new_method = self.keys.contains_key("method");
        for key in OF_METHOD.iter().filter(|_| is_new_method).chain(&["stages", "enqueue"]) {
            file.shift_remove(*key);
        }
        for key in KEYS {
            if let Some(value) = self.keys.get(key) {
                file.insert(key.into(), value.clone());
            }
        }
        let own = self.parameters();
        if !own.is_empty() {
            let all = file.entry("parameters".into()).or_insert_with(|| Mapping::new().into());
            if let Some(all) = all.as_mapping_mut() {
                own.into_iter().for_each(|(name, table)| drop(all.insert(name, table)));
            }
        }
        file
    }

    /// Returns the parameters that the stage gives, with those of `training`, which are constants.
    pub fn parameters(&self) -> Mapping {
        let table = |key: &str| self.keys.get(key).and_then(Yaml::as_mapping).cloned().unwrap_or_default();
        let constant = |value| Mapping::from_iter([("value".into(), value)]).into();
        let training = table("training").into_iter().map(|(name, value)| (name, constant(value)));
        table("parameters").into_iter().chain(training).collect()
    }

    /// Returns the constants among them, by name.
    pub fn constants(&self) -> Vec<(String, Yaml)> {
        let constant = |(name, table): (Yaml, Yaml)| Some((name.as_str()?.to_owned(), table.get("value")?.clone()));
        self.parameters().into_iter().filter_map(constant).collect()
    }
}

/// Reads `stages:`. Their keys are checked by [`check_all`].
pub fn read(top: &Table, is_program: bool) -> Vec<Stage> {
    // W&B's `tags` is not a misspelling of it.
    let Some(node) = top.tolerate("stages") else { return Vec::new() };
    let Some(items) = node.items() else {
        let remedy = "for example, write stages: [{from: {top: 3}, repeats: 3}]";
        node.wrong(format!("is {}, but must be a list of stages", show(node.value)), remedy);
        return Vec::new();
    };
    if top.get("budget").is_some() {
        let rule = "cannot be combined with `budget`, which the first stage could use up";
        node.wrong_key(rule, "remove `budget`, and give the stages a `run_cap`");
    }
    items.iter().filter_map(|item| stage(item, is_program)).collect()
}

fn stage(node: &Node, is_program: bool) -> Option<Stage> {
    let table = node.table("{from: next, run_cap: 20}")?;
    let from = table.get("from").map_or(Some(From::Next), |node| from(&node));
    for key in KEYS {
        table.get(key);
    }
    for key in ["parameters", "training"] {
        let Some(node) = table.get(key) else { continue };
        node.table(&format!("{key}: {{epochs: {}}}", if key == "training" { "20" } else { "{value: 20}" }))?;
        if key == "training" && is_program {
            let rule = "has no effect: trials run a program";
            node.wrong_key(rule, "give the program's own parameter: parameters: {epochs: {value: 20}}");
        }
    }
    table.close();
    Some(Stage { from: from?, keys: node.value.as_mapping()?.clone() })
}

fn from(node: &Node) -> Option<From> {
    if node.value.as_str() == Some("next") {
        return Some(From::Next);
    }
    if !node.value.is_mapping() {
        let rule = format!("is {}, but must be next or {{top: N}}", show(node.value));
        node.wrong(rule, "write `next` for the values that the results propose, or {top: 3} for the best three");
        return None;
    }
    let table = node.table("from: {top: 3}")?;
    let is = "the number of the best configurations that run again; for example, write 3";
    let top = table.take("top", Kind::whole(1), is).and_then(|found| found.as_u64());
    if table.get("top").is_none() {
        node.wrong("has no `top`", "write, for example, {top: 3}");
    }
    table.close();
    top.map(From::Top)
}

/// Checks every stage as the file that it becomes, as far as that does not depend on results. `value` is the whole file.
pub fn check_all(spec: &Spec, value: &Yaml, findings: &Findings, file: &str, base: &Folder) {
    let Some(mut before) = value.as_mapping().cloned() else { return };
    let known: Vec<(String, String)> = said(findings);
    let stages = || Path::default().key("stages");
    if !spec.stages.is_empty() && spec.run_cap.is_none() && spec.space.count().is_none() {
        let rule = "never begin: the search before them has no end";
        Node::at(value, stages(), findings).wrong_key(rule, "add `run_cap:` to the file");
    }
    for (at, stage) in spec.stages.iter().enumerate() {
        let path = stages().index(at);
        before = stage.applied_to(&before);
        let own = Findings::default();
        let read = check(&Yaml::Mapping(before.clone()), &own, file, base);
        for problem in own.problems.take() {
            if known.contains(&(problem.path.to_string(), problem.rule.clone())) {
                continue;
            }
            match place(stage, &path, &problem.path) {
                Some(place) => findings.problem(findings.places.value_at(&place), place, problem.rule, problem.remedy),
                None => {
                    let rule = format!("does not fit the rest of the file: {}: {}", problem.path, problem.rule);
                    findings.problem(findings.places.value_at(&path), path.clone(), rule, problem.remedy);
                }
            }
        }
        let is_race = read.is_some_and(|read| read.most_repeats > read.repeats);
        if is_race && matches!(stage.from, From::Top(_)) {
            let rule = "must have a fixed number of `repeats`: it runs its configurations and no others";
            findings.problem(findings.places.value_at(&path), path, rule, "write, for example, repeats: 3");
        }
    }
}

fn said(findings: &Findings) -> Vec<(String, String)> {
    findings.problems.borrow().iter().map(|one| (one.path.to_string(), one.rule.clone())).collect()
}

/// Returns the place in a stage that a problem of the file that it becomes is about. `None` if that is not in the stage.
fn place(stage: &Stage, path: &Path, problem: &Path) -> Option<Path> {
    let Some(Step::Key(first)) = problem.0.first() else { return None };
    let of = |section: &str, name: &str| stage.keys.get(section)?.get(name).map(|_| ());
    let within = |steps: &[Step]| Path(path.0.iter().chain(steps).cloned().collect());
    match problem.0.get(1) {
        Some(Step::Key(name)) if first == "parameters" && of("training", name).is_some() => {
            Some(path.key("training").key(name))
        }
        Some(Step::Key(name)) if first == "parameters" && of("parameters", name).is_none() => None,
        _ => stage.keys.contains_key(first.as_str()).then(|| within(&problem.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spec;
    use super::*;

    const FILE: &str = "method: random\nrun_cap: 30\nparameters:\n  learning_rate: {min: 0.001, max: 0.1}\n  dropout: {values: \
                        [0, 0.2]}\ndata: {set: digits}\nmodel: linear\ntraining: {epochs: 5}\n";

    fn read(stages: &str) -> Result<Vec<Stage>, Vec<String>> {
        match Spec::read(&format!("{FILE}stages:\n{stages}"), "f", Folder::new("/")) {
            Ok((spec, _)) => Ok(spec.stages),
            Err(problems) => Err(problems
                .list()
                .iter()
                .map(|one| format!("{}:{}: {}", one.mark.map_or(0, |mark| mark.line), one.path, one.rule))
                .collect()),
        }
    }

    #[test]
    fn a_stage_is_the_file_before_it_with_other_keys() {
        let stages =
            read("  - {run_cap: 20, training: {epochs: 20}}\n  - {from: {top: 3}, repeats: 3}\n").expect("valid");
        assert_eq!(stages.iter().map(|one| one.from).collect::<Vec<_>>(), [From::Next, From::Top(3)]);
        let file: Yaml = serde_yaml::from_str(&format!("{FILE}stages: [{{}}]\nenqueue: []\norder: x\n")).expect("YAML");
        let second = stages[1].applied_to(&stages[0].applied_to(file.as_mapping().expect("a table")));
        assert_eq!((&second["run_cap"], &second["repeats"]), (&20.into(), &3.into()));
        assert_eq!(second["parameters"]["epochs"]["value"], 20);
        assert!(!second.contains_key("stages") && !second.contains_key("enqueue") && second.contains_key("order"));
    }

    #[test]
    fn what_is_wrong_with_a_stage_is_named_where_it_stands() {
        for (stages, expected) in [
            ("  - {run_cap: 0}\n", "10:stages[0].run_cap: is 0, but must be"),
            ("  - {from: best}\n", "10:stages[0].from: is `best`, but must be next or {top: N}"),
            ("  - {from: {top: 0}}\n", "10:stages[0].from.top: is 0, but must be"),
            ("  - {}\n  - {training: {epochs: -1}}\n", "11:stages[1].training.epochs: is -1, but must be"),
            ("  - {parameters: {dropout: {values: [2]}}}\n", "10:stages[0].parameters.dropout.values[0]: `rate` is 2"),
            ("  - {data: {set: mnist}}\n", "10:stages[0].data: unknown key"),
            (
                "  - {from: {top: 2}, repeats: {min: 1, max: 3}}\n",
                "10:stages[0]: must have a fixed number of `repeats`",
            ),
            ("  - {method: grid}\n", "10:stages[0]"),
            ("  7\n", "10:stages: is 7, but must be a list of stages"),
        ] {
            let problems = read(stages).expect_err(stages);
            assert!(problems.iter().any(|one| one.contains(expected)), "{stages}: {problems:#?}");
        }
        let text = FILE.replace("run_cap: 30\n", "") + "stages: [{}]\n";
        let endless = Spec::read(&text, "f", Folder::new("/")).expect_err("no end").to_string();
        assert!(endless.contains("the search before them has no end"), "{endless}");
        let text = format!("budget: 1h\n{FILE}stages: [{{}}]\n");
        assert!(
            Spec::read(&text, "f", Folder::new("/")).expect_err("both").to_string().contains("combined with `budget`")
        );
    }

    #[test]
    fn a_program_gets_its_constants_as_parameters() {
        let text =
            "program: a.py\nmetric: {name: x}\nparameters: {a: {values: [1, 2]}}\nstages:\n- training: {epochs: 3}\n";
        let told = Spec::read(text, "f", Folder::new("/")).expect_err("no effect").to_string();
        assert!(told.contains("parameters: {epochs: {value: 20}}"), "{told}");
    }
}
