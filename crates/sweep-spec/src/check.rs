//! Turns the text of a sweep file into a [`Spec`]. Each section is read in turn, and all problems are reported at once.

use std::path::Path as Folder;

use serde_yaml::Value as Yaml;

use super::kind::Kind;
use super::network::Network;
use super::node::{Findings, Node, Table};
use super::place::{Mark, Path};
use super::plain;
use super::sections::{check_choices, data, devices, section};
use super::setting::{MODEL, Section};
use super::value::{number, show};
use super::{Method, Note, Order, Problem, Problems, Spec, constraints, early, enqueue, goal, parameters, program};
use sweep_core::recipe::Source;
use sweep_core::trial::{Goal, METRICS, Metric, Settings};

/// Keys of W&B that have no meaning without its servers.
const WITHOUT_EFFECT: [&str; 8] =
    ["project", "entity", "controller", "job", "image_uri", "scheduler", "apiVersion", "kind"];

/// Maximum length of a sweep's name, in characters.
const LONGEST_NAME: usize = 100;

impl Spec {
    /// Reads and checks a sweep file. `file` is its name for messages. Without its extension, it is also the sweep's
    /// default name. `base` is the absolute path of the folder that relative paths start from. Only `text` is read.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn read(text: &str, file: &str, base: &Folder) -> Result<(Spec, Vec<Note>), Problems> {
        match examine(text, file, base) {
            (Some(spec), problems, notes) if problems.is_empty() => Ok((spec, notes)),
            (_, problems, _) => Err(Problems::new(file, text, problems)),
        }
    }
}

/// Reads a sweep file as far as possible, and returns all problems and notes.
pub fn examine(text: &str, file: &str, base: &Folder) -> (Option<Spec>, Vec<Problem>, Vec<Note>) {
    let findings = Findings::read(text);
    let spec = parse(text, &findings).and_then(|value| check(&value, &findings, file, base));
    let (problems, notes) = findings.take();
    (spec, problems, notes)
}

/// Parses the file into a tree of values. Invalid YAML and duplicate keys are problems.
fn parse(text: &str, findings: &Findings) -> Option<Yaml> {
    for twice in findings.places.twice() {
        let rule = format!("stands twice in the same table, first in line {}", twice.first.line);
        findings.problem(Some(twice.again), twice.path.clone(), rule, "keep one of them");
    }
    let parsed = serde_yaml::from_str::<Yaml>(text).and_then(|mut value| value.apply_merge().map(|()| value));
    match parsed {
        Ok(value) => Some(value).filter(|_| findings.places.twice().is_empty()),
        Err(_) if !findings.places.twice().is_empty() => None,
        Err(_) if findings.places.too_large().is_some() => {
            let (path, text) = findings.places.too_large()?;
            let rule = format!("must be a whole number of at most 64 bits, not {text}");
            findings.problem(findings.places.value_at(path), path.clone(), rule, format!("write {} or less", u64::MAX));
            None
        }
        Err(error) => {
            let mark = error.location().map(|at| Mark { line: at.line(), column: at.column(), width: 1 });
            let what = error.to_string();
            let what = what.split(" at line ").next().unwrap_or(&what);
            let (rule, remedy) = match what.contains("more than one document") {
                true => ("there is a second document in it".to_owned(), "keep what is above this line"),
                false
                    if mark
                        .and_then(|mark| text.lines().nth(mark.line - 1))
                        .is_some_and(|line| line.contains('\t')) =>
                {
                    ("this is not YAML: there is a tab in the line".to_owned(), "indent by spaces")
                }
                false => {
                    let remedy = "look for a missing `:` or quote, brackets left open, or uneven indentation";
                    (format!("this is not YAML: {what}"), remedy)
                }
            };
            let mark = findings.places.second_document().or(mark);
            findings.problem(mark, Path::default(), rule, remedy);
            None
        }
    }
}

fn check(value: &Yaml, findings: &Findings, file: &str, base: &Folder) -> Option<Spec> {
    let top = Node::top(value, findings);
    if value.is_null() {
        top.wrong("there is nothing in it", "begin with `parameters:`, `data:` and `model:`");
        return None;
    }
    let Some(table) = value.as_mapping().and_then(|_| top.table("")) else {
        top.wrong(format!("must be a table, not {}", show(value)), "begin with `parameters:`, `data:` and `model:`");
        return None;
    };
    for key in WITHOUT_EFFECT {
        if let Some(node) = table.tolerate(key) {
            node.note("has no effect here: nothing leaves this machine");
        }
    }
    let mut program = program::read(&table);
    let method = method(&table);
    let mut presets = Vec::new();
    let parameters = table.get("parameters");
    if let Some(model) = parameters.as_ref().and_then(|node| node.value.get(MODEL.name)) {
        presets.extend(model.get("value").and_then(Yaml::as_str));
        presets.extend(model.get("values").and_then(Yaml::as_sequence).into_iter().flatten().filter_map(Yaml::as_str));
    }
    let network = Network::read(table.get(MODEL.name).as_ref(), &presets);
    // The file may be one of W&B whose program is named on the command line, so no key in it can be called wrong.
    let named = ["data", MODEL.name, "training"].iter().any(|key| table.get(key).is_some());
    let aimless = program.is_none() && !named && presets.is_empty() && parameters.is_some();
    let trains = program.is_none() && !aimless;
    if aimless {
        let remedy = "write `program: train.py` or `command: [python, train.py, \"${args}\"]`, as W&B's files have it,\n\
                      or `data:` and `model:` for a network that is trained here";
        top.wrong("nothing in it says what is to be run", remedy);
    } else if trains && table.get(MODEL.name).is_none() && presets.is_empty() {
        let remedy = format!("write `model: {}`, or a list of layers", sweep_data::network::PRESETS[0]);
        top.wrong("`model` is missing: what is to be trained?", remedy);
    }
    let read = parameters.map(|node| (node, trains.then_some(&network))).map(|(node, network)| {
        parameters::read(&node, method.unwrap_or(Method::Random), network, constraints::zipped(&table))
    });
    let (mut read, unread) = read.unwrap_or_default();
    if let Some(program) = &mut program {
        let members = read.iter().filter(|one| one.steps.len() > 1);
        program.groups = members.map(|one| (one.parameter.name.clone(), one.steps.clone())).collect();
    }
    let space = constraints::space(&table, &mut read, &unread);
    let enqueue = enqueue::read(&table, &read, &unread, &space);
    let priority = constraints::priority(&table, &read, &unread, &space, method);

    let mut fixed = Settings::new();
    let mut source = None;
    if trains {
        let training = section(&table, Section::Training, &mut fixed);
        check_choices(&training, &fixed, &read);
        source = data(&table, &top, &mut fixed, base);
    }
    let count = |key, least, default: u32, is: &str| {
        let found = table.take(key, Kind::whole(least), is).and_then(|found| found.as_u64());
        found.and_then(|found| u32::try_from(found).ok()).unwrap_or(default)
    };
    let ranks = trains
        || table.get("metric").is_some()
        || table.get("early_terminate").is_some()
        || method == Some(Method::Tpe);
    let (metric, target) = metric(&table, !trains);
    let spec = Spec {
        name: name(&table, file),
        description: table
            .take("description", Kind::Text, "what the sweep is for, in your words")
            .map(|text| plain(&text)),
        method: method.unwrap_or(Method::Grid),
        metric,
        ranks,
        target,
        seed: table
            .take("seed", Kind::Whole { least: 0, most: u64::MAX }, "what all random draws follow from: write 0, say")
            .and_then(|seed| seed.as_u64())
            .unwrap_or(0),
        repeats: count("repeats", 1, 1, "how often every point is run, each time with another seed: write 3, say"),
        run_cap: table
            .take(
                "run_cap",
                Kind::Whole { least: 1, most: u64::MAX },
                "the most trials to run: write 20, say, or leave it out for all",
            )
            .and_then(|cap| cap.as_u64()),
        keep_best: count("keep_best", 0, 10, "how many trials keep the weights of their best epoch: write 10, say"),
        retries: count("retries", 0, 2, "how often a trial lost to a fault is tried again: write 2, say"),
        stop_grace: program::stop_grace(&table, program.is_some()),
        devices: devices(&table),
        base: base.to_owned(),
        start: None,
        order: order(&table, method),
        lag: lag(&table, method),
        early_terminate: early::read(&table),
        program,
        space,
        enqueue,
        priority,
        classes: match source {
            Some(Source::Digits | Source::Cifar10 { .. } | Source::Mnist { .. } | Source::FashionMnist { .. }) => {
                Some(10)
            }
            Some(Source::Cifar100 { .. }) => Some(100),
            Some(Source::Folder { .. } | Source::Arrays { .. }) | None => None,
        },
        source: source.unwrap_or(Source::Digits),
        fixed,
        network,
    };
    table.finish(spec.program.is_some());
    if trains {
        spec.check_layers(&read, &unread, findings);
    }
    Some(spec)
}

fn method(table: &Table) -> Option<Method> {
    let Some(node) = table.get("method") else { return Some(Method::Grid) };
    match node.value.as_str() {
        Some("grid") => Some(Method::Grid),
        Some("random") => Some(Method::Random),
        Some("sobol") => Some(Method::Sobol),
        Some("tpe") => Some(Method::Tpe),
        Some("bayes") => {
            node.note("W&B fits a Gaussian process; here it is `tpe`, a tree-structured Parzen estimator");
            Some(Method::Tpe)
        }
        Some(word) if word.starts_with("bayes") => {
            let rule = format!("must be grid, random, sobol or tpe, not {}", show(node.value));
            node.wrong(rule, "did you mean `bayes`, W&B's word for what is `tpe` here?");
            None
        }
        _ => {
            let is = "how the points are chosen: grid tries all, random draws, sobol spreads evenly, tpe learns";
            node.take(Kind::Choice(&["grid", "random", "sobol", "tpe"]), is);
            None
        }
    }
}

fn order(table: &Table, method: Option<Method>) -> Order {
    let Some(node) = table.get("order") else { return Order::File };
    let found = node.take(Kind::Choice(&["file", "shuffled"]), "the order of a grid's points");
    if method.is_some_and(|method| method != Method::Grid) {
        node.wrong_key("has no effect: only a grid has an order of its own", "leave it out");
    }
    if found.is_some_and(|order| order == "shuffled") { Order::Shuffled } else { Order::File }
}

fn lag(table: &Table, method: Option<Method>) -> Option<u32> {
    let node = table.get("lag")?;
    let is = "how many trials just before a trial its settings do not wait for: write 6, say";
    let found = node.take(Kind::Whole { least: 0, most: u32::MAX.into() }, is);
    if method.is_some_and(|method| method != Method::Tpe) {
        node.wrong_key("has no effect: only tpe learns from other trials", "leave it out");
    }
    found?.as_u64()?.try_into().ok()
}

/// Returns the metric that ranks the trials, and the target value that ends the search.
fn metric(table: &Table, any: bool) -> (Metric, Option<f64>) {
    let mut metric = Metric { name: "val_loss".to_owned(), goal: Goal::Minimize };
    let Some(node) = table.get("metric") else { return (metric, None) };
    let Some(table) = node.table("metric: {name: val_accuracy, goal: maximize}") else { return (metric, None) };
    match table.get("name") {
        None => node.wrong_key("has no `name`", format!("write one of {}", METRICS.join(", "))),
        Some(name) => {
            let is = format!("the metric by which trials are ranked; there are {}", METRICS.join(", "));
            if let Some(found) = name.take(if any { Kind::Text } else { Kind::Choice(&METRICS) }, &is) {
                metric.name = plain(&found);
            }
        }
    }
    let known = goal::of(&metric.name);
    let upwards = known == Some(Goal::Maximize);
    match table.take(
        "goal",
        Kind::Choice(&["minimize", "maximize"]),
        "which way the metric is better: write minimize for a loss, maximize for an accuracy",
    ) {
        Some(goal) => metric.goal = if goal == "maximize" { Goal::Maximize } else { Goal::Minimize },
        None => {
            metric.goal = known.unwrap_or(Goal::Minimize);
            let name = &metric.name;
            match known {
                _ if !any => {}
                Some(Goal::Maximize) => {
                    node.note(format!("has no `goal`: {name} is maximized, as its name says; W&B minimizes it then"));
                }
                Some(Goal::Minimize) => node.note_same(format!("has no `goal`: {name} is minimized, as its name says")),
                None => node.note_same(format!(
                    "has no `goal`, and {name} does not say which way is better: it is minimized, as at W&B. If more is \
                     better, write `goal: maximize`"
                )),
            }
        }
    }
    if METRICS.contains(&metric.name.as_str())
        && (metric.goal == Goal::Maximize) != upwards
        && let Some(goal) = table.get("goal")
    {
        goal.note(format!("ranks the trials with the worst {} first", metric.name));
    }
    let target = table.get("target").and_then(|node| {
        let found = number(node.value);
        if found.is_none() {
            let rule = format!("must be a number, not {}", show(node.value));
            node.wrong(rule, "write the value from which no trial begins any more: 0.1, say");
        }
        found
    });
    for key in ["impute", "impute_while_running"] {
        if let Some(node) = table.tolerate(key) {
            node.note("has no effect: a trial that failed is worse than all others, one under way has no value yet");
        }
    }
    table.close();
    (metric, target)
}

/// Returns whether the name is valid for a folder on every system and cannot be interpreted as a path.
pub fn is_folder_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(usable)
        && name.len() <= LONGEST_NAME
}

/// The name of a folder for a title: `my first sweep` becomes `my-first-sweep`.
fn folder_of(title: &str) -> String {
    let words = title.split(|char| !usable(char)).map(|word| word.trim_matches(['-', '.', '_']));
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    joined.chars().take(LONGEST_NAME).collect()
}

fn usable(char: char) -> bool {
    char.is_ascii_alphanumeric() || "._-".contains(char)
}

/// Returns the sweep's name, which names a folder: the name in the file, or the file name without its extension.
fn name(table: &Table, file: &str) -> String {
    let Some(node) = table.get("name") else {
        let stem = Folder::new(file).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let name: String = stem.chars().map(|char| if usable(char) { char } else { '-' }).take(LONGEST_NAME).collect();
        let name = name.trim_start_matches(['.', '-']);
        return if name.is_empty() { "sweep".to_owned() } else { name.to_owned() };
    };
    let name = node
        .take(Kind::Text, "the name of the sweep's folder: write digits-dropout, say")
        .map(|name| plain(&name))
        .unwrap_or_default();
    if name.is_empty() || is_folder_name(&name) {
        return name;
    }
    // At W&B a name is a title, any text.
    let folder = folder_of(&name);
    if is_folder_name(&folder) {
        node.note_same(format!("is a title: the sweep's folder is called {folder}"));
    } else {
        let rule = format!("names a folder, and {} cannot", show(node.value));
        node.wrong(rule, format!("use letters, digits, `.`, `_` and `-`, {LONGEST_NAME} at most, no space"));
    }
    folder
}
