//! One parameter of the sweep file: its values, in the grammar of W&B Sweeps.

use std::collections::HashSet;

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::Method;
use super::nearest::suggest;
use super::node::{Node, Table};
use super::setting::Setting;
use super::value::{free, number, show};
use crate::space::Distribution;

/// The most values that one list of values may have.
const MOST_VALUES: usize = 100_000;

/// Larger whole numbers are not exact in JSON readers that use doubles.
const LARGEST: f64 = 9_007_199_254_740_991.0;

const DISTRIBUTIONS: [&str; 6] =
    ["constant", "categorical", "int_uniform", "uniform", "log_uniform_values", "q_uniform"];

/// Reads a parameter's table: its values, each as `of` accepts it if the parameter is a setting.
pub fn read(table: &Table, method: Method, of: Option<&Setting>) -> Option<Distribution> {
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
        Some(setting) => node.accepted(setting.accept(node.value), setting.remedy()),
        None => {
            free(node.value).map_err(|complaint| node.wrong(complaint, "write a number, a word, true or false")).ok()
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
        let rule = match items.len() {
            0 => "must have a value, and the list is empty".to_owned(),
            many => format!("must have at most {MOST_VALUES} values, not {many}"),
        };
        node.wrong(rule, "write the values that are to be tried, or a range with `min` and `max`");
        return None;
    }
    let mut seen = HashSet::new();
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
                node.wrong(
                    format!("must be a number above 0, not {}", show(node.value)),
                    "it is the step between values: write 0.1, say",
                );
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
    if !(max - min).is_finite() {
        return is(format!("has a range from {min:e} to {max:e}, too wide for numbers"), "narrow it".to_owned());
    }
    if name == "log_uniform_values" && min <= 0.0 {
        let remedy = "give the smallest value itself, such as 1e-5, not its exponent".to_owned();
        return is(format!("has a `min` of {min}, whose logarithm is not a number"), remedy);
    }
    if method == Method::Grid && matches!(name, "uniform" | "log_uniform_values") {
        let remedy = "list `values: [...]`, write `distribution: q_uniform` with a step `q`, or use `method: random`";
        return is(format!("is {name}, and a grid cannot try every number of a range"), remedy.to_owned());
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
pub fn check_range(distribution: &Distribution, node: &Node, of: Option<&Setting>) {
    if matches!(distribution, Distribution::Constant(_) | Distribution::Categorical(_)) {
        return;
    }
    let Some(setting) = of else { return };
    if setting.kind.is_whole() && distribution.has_fractions() {
        let remedy = "write `distribution: int_uniform`, or `q_uniform` with a whole `q`";
        node.wrong_key(format!("can be a fraction, and {} is a whole number", setting.about), remedy);
        return;
    }
    for value in distribution.samples() {
        let value = serde_yaml::to_value(&value).unwrap_or_default();
        if let Err(complaint) = setting.kind.accept(&value) {
            let remedy = complaint.remedy.unwrap_or_else(|| setting.remedy());
            node.wrong_key(format!("can be {}, and {}", complaint.value, complaint.rule), remedy);
            return;
        }
    }
}

fn plain(value: &Yaml) -> String {
    show(value).trim_matches('`').to_owned()
}
