//! Turns the text of a sweep file into a [`Spec`]. Each section is read in turn, and all problems are reported at once.

use std::collections::BTreeMap;
use std::path::Path as Folder;

use serde_yaml::Value as Yaml;

use super::devices::devices;
use super::document;
use super::kind::Kind;
use super::metric::metrics;
use super::model::Model;
use super::name::name;
use super::node::{Findings, Node, Table};
use super::parameters::{self, Read};
use super::plain;
use super::sections::{check_choices, data, section};
use super::setting::{MODEL, Section};
use super::time;
use super::trains::{Network, Trains};
use super::value::show;
use super::{
    Method, Note, Order, Problem, Problems, Spec, budget, cluster, constraints, early, enqueue, program, repeats,
    stages,
};
use sweep_core::program::Program;
use sweep_core::recipe::Source;
use sweep_core::space::{Condition, Space};
use sweep_core::trial::Settings;

/// Keys of W&B that have no meaning without its servers.
const WITHOUT_EFFECT: [&str; 8] =
    ["project", "entity", "controller", "job", "image_uri", "scheduler", "apiVersion", "kind"];

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

    /// Reads the file of a sweep that has begun. It keeps its name, which may be that of the file that was given, and the
    /// folder in which programs start.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn read_again(
        text: &str,
        file: &str,
        name: &str,
        base: &Folder,
        start: Option<&Folder>,
    ) -> Result<Spec, Problems> {
        let (spec, _) = Spec::read(text, file, base)?;
        Ok(Spec { name: name.to_owned(), start: start.map(Folder::to_owned), ..spec })
    }
}

/// Reads a sweep file as far as possible, and returns all problems and notes.
pub fn examine(text: &str, file: &str, base: &Folder) -> (Option<Spec>, Vec<Problem>, Vec<Note>) {
    let findings = Findings::read(text);
    let spec = document::parse(text, &findings).and_then(|value| check(&value, &findings, file, base));
    let (problems, notes) = findings.take();
    (spec, problems, notes)
}

pub(crate) fn check(value: &Yaml, findings: &Findings, file: &str, base: &Folder) -> Option<Spec> {
    let top = Node::top(value, findings);
    let table = top_table(&top)?;
    let program = program::read(&table);
    let method = method(&table);
    let parameters = table.get("parameters");
    let presets = parameters.as_ref().map(presets).unwrap_or_default();
    let model = Model::read(table.get(MODEL.name).as_ref(), &presets);
    let is_network = program.is_none() && says_what_to_run(&top, &table, &presets);
    let mut varied = Varied::read(&table, parameters, method, is_network.then_some(&model));
    let trains = match program {
        Some(program) => Trains::Program(Program { groups: varied.groups(), ..program }),
        None if is_network => Trains::Network(network(&table, &top, model, &varied.parameters, base)),
        // What is missing was reported, so nothing is ever trained on the stand-in.
        None => Trains::Network(Network::new(Source::Digits, Settings::new(), model)),
    };
    let is_program = matches!(trains, Trains::Program(_));
    let needs_metric = ["metric", "early_terminate"].iter().any(|key| table.get(key).is_some());
    let (metric, target, tradeoffs) = metrics(&table, !is_network);
    let (repeats, most_repeats) = repeats::read(&table, varied.space.count());
    let description = table.take("description", Kind::Text, "a description of the sweep in your own words");
    let numbers = Numbers::read(&table);
    let mut spec = Spec {
        name: name(&table, file),
        description: description.map(|text| plain(&text)),
        method: method.unwrap_or(Method::Grid),
        metric,
        tradeoffs,
        ranks: is_network || needs_metric || method.is_some_and(Method::learns),
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
        stages: stages::read(&table, is_program),
        devices: devices(&table),
        cluster: cluster::read(&table),
        base: base.to_owned(),
        start: None,
        order: order(&table, method),
        lag: lag(&table, method),
        early_terminate: early::read(&table, is_program),
        space: std::mem::take(&mut varied.space),
        enqueue: Vec::new(),
        defaults: None,
        priority: std::mem::take(&mut varied.priority),
        trains,
    };
    spec.queue(std::mem::take(&mut varied.enqueue));
    table.finish(is_program);
    if let Some(network) = spec.network().filter(|_| is_network) {
        spec.check_layers(network, &varied.parameters, &varied.unread, findings);
    }
    stages::check_all(&spec, value, findings, file, base);
    Some(spec)
}

/// The parameters of the sweep, and the keys whose values are about them.
struct Varied<'a> {
    parameters: Vec<Read<'a>>,
    /// Names of parameters that could not be read. What is said about them is not wrong for that.
    unread: Vec<String>,
    space: Space,
    enqueue: Vec<enqueue::Item>,
    priority: Vec<Condition>,
}

impl<'a> Varied<'a> {
    fn read(table: &Table<'a>, node: Option<Node<'a>>, method: Option<Method>, model: Option<&Model>) -> Varied<'a> {
        let read = node
            .map(|node| parameters::read(&node, method.unwrap_or(Method::Random), model, constraints::zipped(table)));
        let (mut parameters, unread) = read.unwrap_or_default();
        let space = constraints::space(table, &mut parameters, &unread);
        let enqueue = enqueue::read(table, &parameters, &unread, &space);
        let priority = constraints::priority(table, &parameters, &unread, &space, method);
        Varied { parameters, unread, space, enqueue, priority }
    }

    /// Returns the names of the groups around each parameter that stands in groups, and its own.
    fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let members = self.parameters.iter().filter(|one| one.steps.len() > 1);
        members.map(|one| (one.parameter.name.clone(), one.steps.clone())).collect()
    }
}

/// Reads `training` and `data` for a network of the file.
fn network(table: &Table, top: &Node, model: Model, parameters: &[Read], base: &Folder) -> Network {
    let mut fixed = Settings::new();
    let training = section(table, Section::Training, &mut fixed);
    check_choices(&training, &fixed, parameters);
    // A data set that is missing or has a problem was reported, so nothing is ever trained on the stand-in.
    let source = data(table, top, &mut fixed, base).unwrap_or(Source::Digits);
    Network::new(source, fixed, model)
}

impl Spec {
    /// Fills `enqueue`, where the defaults depend on all other keys.
    fn queue(&mut self, items: Vec<enqueue::Item>) {
        for item in items {
            let configuration = match item {
                enqueue::Item::Given(configuration) => Some(configuration),
                enqueue::Item::Default => {
                    let configuration = self.default_configuration();
                    self.defaults = configuration.as_ref().map(|_| self.enqueue.len());
                    configuration
                }
            };
            self.enqueue.extend(configuration);
        }
    }
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
            let is_program = ["program", "command"].iter().any(|key| table.get(key).is_some());
            if is_program && table.get("metric").is_none() {
                node.note("W&B refuses `bayes` without `metric`");
            }
            Some(Method::Bayes)
        }
        Some(word) if word.starts_with("bayes") => {
            let rule = format!("is {}, but must be grid, random, sobol, tpe, or bayes", show(node.value));
            node.wrong(rule, "did you mean `bayes`?");
            None
        }
        _ => {
            let is = "the search method; write grid (all configurations), random, sobol (evenly spread), or \
                      tpe or bayes (learn from finished trials)";
            node.take(Kind::Choice(&["grid", "random", "sobol", "tpe", "bayes"]), is);
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
    if method.is_some_and(|method| !method.learns()) {
        node.wrong_key("has no effect: only tpe and bayes learn from finished trials", "remove it");
    }
    found?.as_u64()?.try_into().ok()
}
