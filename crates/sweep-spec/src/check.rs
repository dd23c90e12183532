//! Turns the text of a sweep file into a [`Spec`]. Each section is read in turn, and all problems are reported at once.

use std::path::Path as Folder;

use serde_yaml::Value as Yaml;

use super::kind::Kind;
use super::model::Model;
use super::node::{Findings, Node, Table};
use super::place::{Mark, Path};
use super::plain;
use super::sections::{check_choices, data, devices, section};
use super::setting::{MODEL, Section};
use super::time;
use super::trains::{Network, Trains};
use super::value::{number, show};
use super::yaml;
use super::{
    Method, Note, Order, Problem, Problems, Spec, budget, cluster, constraints, early, enqueue, goal, parameters,
    program, repeats,
};
use sweep_core::pareto::{COSTS, MOST_METRICS};
use sweep_core::recipe::Source;
use sweep_core::trial::{ACCURACY_OF_CLASS, BALANCED_ACCURACY, Goal, METRICS, Metric, Settings};

/// Keys of W&B that have no meaning without its servers.
const WITHOUT_EFFECT: [&str; 8] =
    ["project", "entity", "controller", "job", "image_uri", "scheduler", "apiVersion", "kind"];

/// Metrics that can rank the trials of the built-in trainer, beside the accuracy of a class.
const RANKING: [&str; 7] = {
    let [a, b, c, d, e, f] = METRICS;
    [a, b, c, d, e, f, BALANCED_ACCURACY]
};

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

/// Parses the file into a tree of values. Invalid YAML is a problem, and so is a duplicate key, except in a file that
/// runs a program: W&B accepts it there.
fn parse(text: &str, findings: &Findings) -> Option<Yaml> {
    let parsed = yaml::parse(text);
    let is_theirs = |value: &Yaml| value.get("program").is_some() || value.get("command").is_some();
    let accepts = parsed.as_ref().is_ok_and(is_theirs);
    for twice in findings.places.twice() {
        let what = format!("appears twice in the same table, first on line {}", twice.first.line);
        if accepts {
            findings.note_at(twice.again, &twice.path, format!("{what}; the last one counts, as in W&B"));
        } else {
            findings.problem(Some(twice.again), twice.path.clone(), what, "keep one of them");
        }
    }
    match parsed {
        Ok(value) => Some(value).filter(|_| accepts || findings.places.twice().is_empty()),
        Err(_) if !findings.places.twice().is_empty() => None,
        Err(_) if findings.places.too_large().is_some() => {
            let (path, text) = findings.places.too_large()?;
            let rule = format!("is {text}, but must be an integer of at most 64 bits");
            findings.problem(findings.places.value_at(path), path.clone(), rule, format!("write {} or less", u64::MAX));
            None
        }
        Err(error) => {
            let (mark, rule, remedy) = not_yaml(&error, text, findings.places.second_document());
            findings.problem(mark, Path::default(), rule, remedy);
            None
        }
    }
}

/// Returns why a text is not YAML, or not a single document: the place, the rule, and the fix.
fn not_yaml(error: &serde_yaml::Error, text: &str, second: Option<Mark>) -> (Option<Mark>, String, &'static str) {
    if second.is_some() {
        let rule = "the file contains a second YAML document".to_owned();
        return (second, rule, "remove this line and everything after it");
    }
    let mark = error.location().map(|at| Mark { line: at.line(), column: at.column(), width: 1 });
    let line = mark.and_then(|mark| text.lines().nth(mark.line - 1)).unwrap_or_default();
    if line.contains('\t') {
        return (mark, "invalid YAML: the line contains a tab".to_owned(), "indent with spaces");
    }
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or(&what);
    let remedy = "look for a missing `:` or quote, an unclosed bracket, or inconsistent indentation";
    (mark, format!("invalid YAML: {what}"), remedy)
}

fn check(value: &Yaml, findings: &Findings, file: &str, base: &Folder) -> Option<Spec> {
    let top = Node::top(value, findings);
    let table = top_table(&top)?;
    let mut program = program::read(&table);
    let method = method(&table);
    let parameters = table.get("parameters");
    let presets = parameters.as_ref().map(presets).unwrap_or_default();
    let model = Model::read(table.get(MODEL.name).as_ref(), &presets);
    let is_network = program.is_none() && says_what_to_run(&top, &table, &presets);

    let read = parameters.map(|node| {
        let model = is_network.then_some(&model);
        parameters::read(&node, method.unwrap_or(Method::Random), model, constraints::zipped(&table))
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
    if is_network {
        let training = section(&table, Section::Training, &mut fixed);
        check_choices(&training, &fixed, &read);
        source = data(&table, &top, &mut fixed, base);
    }
    let trains = match program {
        Some(program) => Trains::Program(program),
        // A data set that is missing or has a problem was reported, so nothing is ever trained on the stand-in.
        None => Trains::Network(Network::new(source.unwrap_or(Source::Digits), fixed, model)),
    };
    let is_program = matches!(trains, Trains::Program(_));
    let needs_metric = ["metric", "early_terminate"].iter().any(|key| table.get(key).is_some());
    let (metric, target, tradeoffs) = metrics(&table, !is_network);
    let (repeats, most_repeats) = repeats::read(&table, space.count());
    let description = table.take("description", Kind::Text, "a description of the sweep in your own words");
    let numbers = Numbers::read(&table);
    let mut spec = Spec {
        name: name(&table, file),
        description: description.map(|text| plain(&text)),
        method: method.unwrap_or(Method::Grid),
        metric,
        tradeoffs,
        ranks: is_network || needs_metric || method == Some(Method::Tpe),
        target,
        seed: numbers.seed,
        repeats,
        most_repeats,
        run_cap: numbers.run_cap,
        keep_best: numbers.keep_best,
        retries: numbers.retries,
        stop_grace: program::stop_grace(&table, is_program),
        max_time: time::read(&table),
        budget: budget::read(&table),
        chooses_rule: table.get("budget").is_some() && table.get("early_terminate").is_none(),
        devices: devices(&table),
        cluster: cluster::read(&table),
        base: base.to_owned(),
        start: None,
        order: order(&table, method),
        lag: lag(&table, method),
        early_terminate: early::read(&table, is_program),
        space,
        enqueue: Vec::new(),
        defaults: None,
        priority,
        trains,
    };
    for item in enqueue {
        let point = match item {
            enqueue::Item::Given(point) => Some(point),
            enqueue::Item::Default => {
                let point = spec.default_configuration();
                spec.defaults = point.as_ref().map(|_| spec.enqueue.len());
                point
            }
        };
        spec.enqueue.extend(point);
    }
    table.finish(is_program);
    if let Some(network) = spec.network().filter(|_| is_network) {
        spec.check_layers(network, &read, &unread, findings);
    }
    Some(spec)
}

/// Returns the table of the file's top level, if the file is one.
fn top_table<'a>(top: &Node<'a>) -> Option<Table<'a>> {
    let remedy = "start with `parameters:`, `data:`, and `model:`";
    if top.value.is_null() {
        top.wrong("the file is empty", remedy);
        return None;
    }
    let Some(table) = top.value.as_mapping().and_then(|_| top.table("")) else {
        top.wrong(format!("the file is {}, but must be a table", show(top.value)), remedy);
        return None;
    };
    for key in WITHOUT_EFFECT {
        if let Some(node) = table.tolerate(key) {
            node.note_no_effect("has no effect: sweep sends nothing to other machines");
        }
    }
    Some(table)
}

/// Returns the names of presets that `model` takes as a parameter.
fn presets<'a>(parameters: &Node<'a>) -> Vec<&'a str> {
    let Some(model) = parameters.value.get(MODEL.name) else { return Vec::new() };
    let one = model.get("value").and_then(Yaml::as_str);
    let several = model.get("values").and_then(Yaml::as_sequence).into_iter().flatten().filter_map(Yaml::as_str);
    one.into_iter().chain(several).collect()
}

/// Returns whether a file without a program describes a network. Reports what is missing.
fn says_what_to_run(top: &Node, table: &Table, presets: &[&str]) -> bool {
    // The file may be one of W&B whose program is named on the command line, so no key in it can be called wrong.
    let named = ["data", MODEL.name, "training"].iter().any(|key| table.get(key).is_some());
    if !named && presets.is_empty() && table.get("parameters").is_some() {
        let remedy = "add `program: train.py` or `command: [python, train.py, \"${args}\"]`, as in W&B,\n\
                      or `data:` and `model:` for a network that sweep trains itself";
        top.wrong("the file does not say what to run", remedy);
        return false;
    }
    if table.get(MODEL.name).is_none() && presets.is_empty() {
        let remedy = format!("add `model: {}`, or a list of layers", sweep_data::network::PRESETS[0]);
        top.wrong("`model` is missing", remedy);
    }
    true
}

/// Whole numbers at the top level of the file.
struct Numbers {
    seed: u64,
    run_cap: Option<u64>,
    keep_best: u32,
    retries: u32,
}

impl Numbers {
    fn read(table: &Table) -> Numbers {
        let whole = |key, least, most, is: &str| table.take(key, Kind::Whole { least, most }, is)?.as_u64();
        let count = |key, least, default, is: &str| {
            whole(key, least, u32::MAX.into(), is).and_then(|found| u32::try_from(found).ok()).unwrap_or(default)
        };
        let seed = "the seed of all random numbers; for example, write 0";
        let run_cap = "the maximum number of trials; for example, write 20, or remove the key to run all";
        let keep_best = "the number of trials that keep the weights of their best epoch; for example, write 10";
        let retries =
            "the number of retries of a trial that is lost to a failure of its process or GPU; for example, write 2";
        Numbers {
            seed: whole("seed", 0, u64::MAX, seed).unwrap_or(0),
            run_cap: whole("run_cap", 1, u64::MAX, run_cap),
            keep_best: count("keep_best", 0, 10, keep_best),
            retries: count("retries", 0, 2, retries),
        }
    }
}

fn method(table: &Table) -> Option<Method> {
    let Some(node) = table.get("method") else { return Some(Method::Grid) };
    match node.value.as_str() {
        Some("grid") => Some(Method::Grid),
        Some("random") => Some(Method::Random),
        Some("sobol") => Some(Method::Sobol),
        Some("tpe") => Some(Method::Tpe),
        Some("bayes") => {
            node.note("W&B fits a Gaussian process; sweep uses `tpe`, a tree-structured Parzen estimator");
            Some(Method::Tpe)
        }
        Some(word) if word.starts_with("bayes") => {
            let rule = format!("is {}, but must be grid, random, sobol, or tpe", show(node.value));
            node.wrong(rule, "did you mean `bayes`? It is W&B's name for `tpe`");
            None
        }
        _ => {
            let is = "the search method; write grid (all configurations), random, sobol (evenly spread), or tpe \
                      (learns from finished trials)";
            node.take(Kind::Choice(&["grid", "random", "sobol", "tpe"]), is);
            None
        }
    }
}

fn order(table: &Table, method: Option<Method>) -> Order {
    let Some(node) = table.get("order") else { return Order::File };
    let found =
        node.take(Kind::Choice(&["file", "shuffled"]), "the order of a grid's configurations; write file or shuffled");
    if method.is_some_and(|method| method != Method::Grid) {
        node.wrong_key("has no effect: only a grid has an order to change", "remove it");
    }
    if found.is_some_and(|order| order == "shuffled") { Order::Shuffled } else { Order::File }
}

fn lag(table: &Table, method: Option<Method>) -> Option<u32> {
    let node = table.get("lag")?;
    let is = "the number of immediately preceding trials that a new trial does not wait for; for example, write 6";
    let found = node.take(Kind::Whole { least: 0, most: u32::MAX.into() }, is);
    if method.is_some_and(|method| method != Method::Tpe) {
        node.wrong_key("has no effect: only tpe learns from finished trials", "remove it");
    }
    found?.as_u64()?.try_into().ok()
}

/// Metrics of a network that can be traded off against the one that ranks.
const TRADED: [&str; 10] = {
    let [a, b, c, d, e, f, g] = RANKING;
    let [x, y, z] = COSTS;
    [a, b, c, d, e, f, g, x, y, z]
};

/// Returns the metric that ranks the trials, the target value that ends the search, and the metrics that are traded off
/// against the first.
fn metrics(table: &Table, any: bool) -> (Metric, Option<f64>, Vec<Metric>) {
    let default = Metric { name: "val_loss".to_owned(), goal: Goal::Minimize };
    let Some(node) = table.get("metric") else { return (default, None, Vec::new()) };
    let Some(items) = node.items() else {
        let (metric, target) = metric(&node, any, &RANKING);
        return (metric, target, Vec::new());
    };
    let Some((first, others)) = items.split_first() else {
        node.wrong("is an empty list", "write `metric: {name: val_loss, goal: minimize}`");
        return (default, None, Vec::new());
    };
    if any {
        node.note(
            "has several metrics, where W&B takes one: trials are ranked by the first, the others are traded off",
        );
    }
    let (first, target) = metric(first, any, &RANKING);
    if items.len() > MOST_METRICS {
        let rule = format!("has {} metrics, but at most {MOST_METRICS} can be traded off", items.len());
        node.wrong(rule, "keep those that matter most");
    }
    let mut tradeoffs: Vec<Metric> = Vec::new();
    for item in others {
        let (other, target) = metric(item, any, &TRADED);
        if target.is_some() {
            item.wrong_key("has a `target`, which only the first metric can have", "remove it");
        }
        if other.name == first.name || tradeoffs.iter().any(|one| one.name == other.name) {
            item.wrong_key(format!("names {} a second time", other.name), "remove it");
        }
        tradeoffs.push(other);
    }
    (first, target, tradeoffs)
}

/// Reads one metric, and its target value.
fn metric(node: &Node, any: bool, choices: &'static [&'static str]) -> (Metric, Option<f64>) {
    let mut metric = Metric { name: "val_loss".to_owned(), goal: Goal::Minimize };
    if let Some(name) = node.value.as_str().filter(|name| any && !name.trim().is_empty()) {
        let goal = goal::of(name).unwrap_or(Goal::Minimize);
        let way = if goal == Goal::Minimize { "minimized" } else { "maximized" };
        node.note(format!("is a name alone: {name} is {way}. W&B warns; write `metric: {{name: ..., goal: ...}}`"));
        return (Metric { name: name.to_owned(), goal }, None);
    }
    let Some(table) = node.table("metric: {name: val_accuracy, goal: maximize}") else { return (metric, None) };
    match table.get("name") {
        None => node.wrong_key("has no `name`", format!("add `name:` with one of {}", choices.join(", "))),
        Some(name) => {
            let any = any || name.value.as_str().is_some_and(|name| name.starts_with(ACCURACY_OF_CLASS));
            let is = format!("the metric that ranks trials; choose one of {}", choices.join(", "));
            if let Some(found) = name.take(if any { Kind::Text } else { Kind::Choice(choices) }, &is) {
                metric.name = plain(&found);
            }
        }
    }
    let known = goal::of(&metric.name);
    match table.take(
        "goal",
        Kind::Choice(&["minimize", "maximize"]),
        "the direction of improvement; write minimize for a loss, maximize for an accuracy",
    ) {
        Some(goal) => metric.goal = if goal == "maximize" { Goal::Maximize } else { Goal::Minimize },
        None => {
            metric.goal = known.unwrap_or(Goal::Minimize);
            let name = &metric.name;
            match known {
                _ if !any => {}
                Some(Goal::Maximize) => {
                    node.note(format!("has no `goal`: sweep maximizes {name} because of its name; W&B minimizes it"));
                }
                Some(Goal::Minimize) => {
                    node.note_same(format!("has no `goal`: {name} is minimized because of its name, as in W&B"))
                }
                None => node.note_same(format!(
                    "has no `goal`: {name} is minimized, as in W&B. If higher values are better, write `goal: maximize`"
                )),
            }
        }
    }
    if let (Some(known), Some(goal)) = (known.filter(|known| *known != metric.goal), table.get("goal")) {
        // The name of a program's own metric may mislead.
        let doubt = match known {
            _ if METRICS.contains(&metric.name.as_str()) => "",
            Goal::Maximize => ", if higher values of it are better",
            Goal::Minimize => ", if lower values of it are better",
        };
        goal.note(format!("ranks the trials with the worst {} first{doubt}", metric.name));
    }
    let target = table.get("target").and_then(|node| {
        let found = number(node.value);
        if found.is_none() {
            let rule = format!("is {}, but must be a number", show(node.value));
            node.wrong(rule, "this is the value that ends the search once a trial reaches it; for example, write 0.1");
        }
        found
    });
    for key in ["impute", "impute_while_running"] {
        if let Some(node) = table.tolerate(key) {
            node.note_no_effect("has no effect: failed trials rank last, and running trials have no value yet");
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
    let of_file = || {
        let stem = Folder::new(file).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let name: String = stem.chars().map(|char| if usable(char) { char } else { '-' }).take(LONGEST_NAME).collect();
        let name = name.trim_start_matches(['.', '-']);
        if name.is_empty() { "sweep".to_owned() } else { name.to_owned() }
    };
    let Some(node) = table.get("name") else { return of_file() };
    let name = node
        .take(Kind::Text, "the name of the sweep's folder; for example, write digits-dropout")
        .map(|name| plain(&name))
        .unwrap_or_default();
    if name.is_empty() || is_folder_name(&name) {
        return name;
    }
    // At W&B a name is a title, any text.
    let mut folder = folder_of(&name);
    if folder.is_empty() && name.contains(char::is_alphanumeric) {
        folder = of_file();
    }
    if is_folder_name(&folder) {
        node.note_same(format!("is a title; the sweep's folder is named {folder}"));
    } else {
        let rule = format!("is {}, which is not a valid folder name", show(node.value));
        node.wrong(rule, format!("use at most {LONGEST_NAME} letters, digits, `.`, `_`, and `-`, without spaces"));
    }
    folder
}
