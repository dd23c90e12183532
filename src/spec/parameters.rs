//! `parameters:` of the sweep file: the grammar of W&B Sweeps, read into a [`Space`].

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::Method;
use super::kind::{number, show};
use super::nearest::{nearest, suggest};
use super::node::{Node, Table};
use super::place::Path;
use super::setting::{MODEL, SETTINGS, Setting, setting};
use crate::space::{Distribution, Parameter, Space};

/// The most values that one list of values may have.
const MOST_VALUES: usize = 100_000;

/// Larger whole numbers are not exact in JSON readers that use doubles.
const LARGEST: f64 = 9_007_199_254_740_991.0;

const DISTRIBUTIONS: [&str; 6] =
    ["constant", "categorical", "int_uniform", "uniform", "log_uniform_values", "q_uniform"];

/// A parameter as the file has it.
#[derive(Debug)]
pub struct Read<'a> {
    /// Its space.
    pub parameter: Parameter,
    /// Its place in the file.
    pub node: Node<'a>,
}

impl Read<'_> {
    /// Where that value of the parameter stands; the parameter itself where it is drawn from a range.
    pub fn place(&self, value: &Json) -> Path {
        let path = &self.node.path;
        if self.node.value.get("value").is_some() {
            return path.key("value");
        }
        let items = self.node.value.get("values").and_then(Yaml::as_sequence);
        match items.and_then(|items| items.iter().position(|item| json(item).as_ref() == Ok(value))) {
            Some(at) => path.key("values").index(at),
            None => path.clone(),
        }
    }
}

/// Reads the section. `used` are the names that the model refers to.
pub fn read<'a>(node: &Node<'a>, method: Method, used: &[String]) -> Vec<Read<'a>> {
    let mut read = Vec::new();
    if let Some(table) = node.table("parameters: {learning_rate: {values: [0.001, 0.0005]}}") {
        group(&table, "", method, used, &mut read);
    }
    read
}

/// The space of the parameters that were read.
pub fn space(read: &[Read]) -> Space {
    Space { parameters: read.iter().map(|read| read.parameter.clone()).collect() }
}

fn group<'a>(table: &Table<'a>, prefix: &str, method: Method, used: &[String], read: &mut Vec<Read<'a>>) {
    for (key, node) in table.entries() {
        let name = format!("{prefix}{key}");
        let starts = key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !starts || !key.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char)) {
            let remedy = "use letters, digits, `_`, `.` and `-`, and start with a letter or `_`";
            node.wrong_key("cannot be a parameter's name", remedy);
            continue;
        }
        if read.iter().any(|other| other.parameter.name == name) {
            node.wrong_key("is a parameter that was given before, in a group", "give it once");
            continue;
        }
        let nested = node.value.get("parameters").is_some();
        let of = if nested { None } else { meaning(&name, &node, used) };
        let Some(table) = node.table(&format!("{key}: {{values: [...]}}")) else { continue };
        if nested {
            if let Some(members) =
                table.get("parameters").and_then(|members| members.table("parameters: {name: {values: [...]}}"))
            {
                group(&members, &format!("{name}."), method, used, read);
            }
            table.finish();
            continue;
        }
        if let Some(distribution) = distribution(&table, method, of) {
            let parameter = Parameter { name, distribution };
            check_samples(&parameter, &node, of);
            read.push(Read { parameter, node });
        }
        table.finish();
    }
}

/// The setting that a parameter of that name replaces, if it is one. A name that is neither that nor used in the
/// model is a problem.
fn meaning(name: &str, node: &Node, used: &[String]) -> Option<&'static Setting> {
    let found = if name == MODEL.name { Some(&MODEL) } else { setting(name) };
    match found {
        Some(found) if !found.varies() => {
            let rule = "cannot vary within a sweep: its trials could not be compared";
            node.wrong_key(rule, format!("write a sweep file for each, with `data: {{{name}: ...}}`"));
            return None;
        }
        None if !used.iter().any(|used| used == name) => {}
        found => return found,
    }
    let first = name.split('.').next().unwrap_or(name);
    let remedy = match setting(first).filter(|_| first != name) {
        Some(group) if !group.members().is_empty() => {
            if let Some(member) = name.strip_prefix(first).and_then(|rest| group.member(&rest[1..])) {
                node.wrong_key(
                    "is not how this setting is named among the parameters",
                    format!("name it `{}`", member.name),
                );
                return None;
            }
            let members: Vec<_> =
                SETTINGS.iter().filter(|one| one.group == Some(group.name)).map(|one| one.name).collect();
            suggest(name, &members)
        }
        Some(group) => format!("this version has nothing to set in `{}`: leave it out", group.name),
        None => {
            let settings = SETTINGS.iter().filter(|setting| setting.varies()).map(|setting| setting.name);
            let known: Vec<_> = settings.chain(["model"]).chain(used.iter().map(String::as_str)).collect();
            match nearest(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None if used.is_empty() => format!("write ${{{name}}} where the model should use it"),
                None => format!("the model uses {}; write ${{{name}}} where it should use this", used.join(", ")),
            }
        }
    };
    node.wrong_key("is no setting of `training` or `data`, and the model does not use it", remedy);
    None
}

fn distribution(table: &Table, method: Method, of: Option<&Setting>) -> Option<Distribution> {
    let given = |key| table.node.value.get(key).is_some();
    let named = match table.get("distribution") {
        None => None,
        Some(node) => match node.value.as_str().and_then(|name| DISTRIBUTIONS.iter().find(|known| **known == name)) {
            Some(name) => Some(*name),
            None => {
                let remedy = suggest(node.value.as_str().unwrap_or(""), &DISTRIBUTIONS);
                node.wrong(format!("is no distribution of this version: {}", show(node.value)), remedy);
                // The keys belong to a distribution that is not known: they are no problems of their own.
                for key in ["value", "values", "probabilities", "min", "max", "q", "mu", "sigma", "a", "b"] {
                    table.get(key);
                }
                return None;
            }
        },
    };
    let name = named.unwrap_or(if given("value") {
        "constant"
    } else if given("values") {
        "categorical"
    } else if given("min") || given("max") {
        let whole = |key| table.node.value.get(key).is_none_or(|value| value.as_i64().is_some());
        if whole("min") && whole("max") { "int_uniform" } else { "uniform" }
    } else {
        let remedy = "write `value: ...`, `values: [...]`, or `min: ...` and `max: ...`";
        table.node.wrong_key("says nothing of its values", remedy);
        return None;
    });
    match name {
        "constant" => Some(Distribution::Constant(value(&needed(table, "value", name)?, of)?)),
        "categorical" => Some(Distribution::Categorical(values(&needed(table, "values", name)?, of)?)),
        _ => range(table, name, method),
    }
}

/// The value of a key without which the distribution cannot be.
fn needed<'a>(table: &Table<'a>, key: &'static str, distribution: &str) -> Option<Node<'a>> {
    let node = table.get(key);
    if node.is_none() {
        table.node.wrong_key(format!("needs a `{key}`, being {distribution}"), format!("write `{key}: ...` in it"));
    }
    node
}

fn value(node: &Node, of: Option<&Setting>) -> Option<Json> {
    match of {
        Some(setting) => node.accepted(setting.accept(node.value), setting.about),
        None => {
            json(node.value).map_err(|complaint| node.wrong(complaint, "write a number, a word, true or false")).ok()
        }
    }
}

fn values(node: &Node, of: Option<&Setting>) -> Option<Vec<Json>> {
    let Some(items) = node.items() else {
        let remedy = format!("write [{}], or `value:` if there is only this one", plain(node.value));
        node.wrong(format!("must be a list, not {}", show(node.value)), remedy);
        return None;
    };
    if items.is_empty() || items.len() > MOST_VALUES {
        let rule = format!("must be a list of 1 to {MOST_VALUES} values, and has {}", items.len());
        node.wrong(rule, "write the values that are to be tried, or a range with `min` and `max`");
        return None;
    }
    let mut seen = std::collections::HashSet::new();
    let mut values = Vec::with_capacity(items.len());
    let mut all_right = true;
    for item in &items {
        match value(item, of) {
            // 1 and 1.0 are the same value.
            Some(value) if seen.insert(value.as_f64().map_or_else(|| value.to_string(), |x| x.to_string())) => {
                values.push(value);
            }
            Some(_) => item.note(format!("{} stands here twice; it is tried once", show(item.value))),
            None => all_right = false,
        }
    }
    all_right.then_some(values)
}

fn range(table: &Table, name: &'static str, method: Method) -> Option<Distribution> {
    let end = |key| {
        let node = needed(table, key, name)?;
        let found = number(node.value);
        match found {
            Some(x) if name != "int_uniform" || (x.fract() == 0.0 && x.abs() <= LARGEST) => Some(x),
            Some(_) => {
                let rule = format!("must be a whole number, not {}", show(node.value));
                node.wrong(rule, "for fractions, write `distribution: uniform`");
                None
            }
            None => {
                node.wrong(format!("must be a number, not {}", show(node.value)), "write a number such as 0.1");
                None
            }
        }
    };
    let (min, max) = (end("min"), end("max"));
    let q = match table.get("q").filter(|_| name == "q_uniform") {
        None => Some(1.0),
        Some(node) => {
            let q = number(node.value).filter(|&q| q > 0.0);
            if q.is_none() {
                node.wrong(format!("must be a number above 0, not {}", show(node.value)), "it is the step");
            }
            q
        }
    };
    if name != "q_uniform" && table.node.value.get("q").is_some() {
        let rule = format!("has a `q`, which {name} does not use");
        table.node.wrong_key(rule, "leave it out, or write `distribution: q_uniform`");
        return None;
    }
    let (min, max, q) = (min?, max?, q?);
    let is = |rule: String, remedy: String| {
        table.node.wrong_key(rule, remedy);
        None
    };
    if min >= max {
        return is(format!("has a `min` of {min} that is not below its `max` of {max}"), swap(min, max));
    }
    if name == "log_uniform_values" && min <= 0.0 {
        let remedy = "give the smallest value itself, such as 1e-5, not its exponent".to_owned();
        return is(format!("has a `min` of {min}, whose logarithm is not a number"), remedy);
    }
    if method == Method::Grid && matches!(name, "uniform" | "log_uniform_values") {
        let remedy = "list `values: [...]`, write `distribution: q_uniform` with a step `q`, or use `method: random`";
        return is(format!("is {name} and so has no end of values, which a grid cannot try"), remedy.to_owned());
    }
    if name == "q_uniform" && (max.abs().max(min.abs()) / q > LARGEST || (max - min) / q > LARGEST) {
        return is(format!("has a `q` of {q}, which is too small for its range"), "write a larger step".to_owned());
    }
    Some(match name {
        "int_uniform" => Distribution::IntUniform { min: min as i64, max: max as i64 },
        "uniform" => Distribution::Uniform { min, max },
        "log_uniform_values" => Distribution::LogUniformValues { min, max },
        _ if method == Method::Grid => {
            // A last step that is short of `max` by rounding alone counts.
            let count = ((max - min) / q + 1e-9).floor() as u64 + 1;
            Distribution::Steps { first: min, step: q, count }
        }
        _ => Distribution::QUniform { min, max, q },
    })
}

fn swap(min: f64, max: f64) -> String {
    match min == max {
        true => format!("for this one value write `value: {min}`"),
        false => format!("swap them: `min: {max}`, `max: {min}`"),
    }
}

/// Checks the values of a range against the setting that it replaces; those of a list were checked one by one.
fn check_samples(parameter: &Parameter, node: &Node, of: Option<&Setting>) {
    if matches!(parameter.distribution, Distribution::Constant(_) | Distribution::Categorical(_)) {
        return;
    }
    let Some(setting) = of else { return };
    if setting.kind.is_whole() && parameter.distribution.has_fractions() {
        let remedy = "write `distribution: int_uniform`, or `q_uniform` with a whole `q`";
        node.wrong_key(format!("gives fractions, and {} is a whole number", setting.about), remedy);
        return;
    }
    for value in parameter.distribution.samples() {
        let value = serde_yaml::to_value(&value).unwrap_or_default();
        if let Err(complaint) = setting.kind.accept(&value) {
            let remedy = complaint.remedy.unwrap_or(format!("it is {}", setting.about));
            node.wrong_key(format!("gives {}, and {}", show(&value), complaint.rule), remedy);
            return;
        }
    }
}

/// A value that is no setting's, as JSON.
///
/// # Errors
/// The rule that it breaks.
pub fn json(value: &Yaml) -> Result<Json, String> {
    match value {
        Yaml::Number(number) if number.as_f64().is_some_and(|x| !x.is_finite()) => {
            Err(format!("must be finite, not {}", show(value)))
        }
        Yaml::Tagged(_) => Err(format!("must be plain YAML, not {}", show(value))),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(map) => map
            .iter()
            .map(|(key, value)| match key.as_str() {
                Some(key) => Ok((key.to_owned(), json(value)?)),
                None => Err(format!("has the key {}, which is not text", show(key))),
            })
            .collect(),
        _ => serde_json::to_value(value).map_err(|error| format!("cannot be read: {error}")),
    }
}

fn plain(value: &Yaml) -> String {
    show(value).trim_matches('`').to_owned()
}
