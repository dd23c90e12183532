//! One parameter of the sweep file: its values, in the grammar of W&B Sweeps.

use std::collections::HashSet;

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::kind::What;
use super::node::{Node, Table};
use super::setting::Setting;
use super::value::{free, number, show};
use super::{Method, range};
use sweep_core::describe::thousands;
use sweep_core::nearest::{nearest, suggest};
use sweep_core::space::{Distribution, same};

/// Maximum length of a list of values.
const MOST_VALUES: usize = 100_000;

/// Maximum deviation from 1 of the sum of a list's probabilities, as in W&B's check.
const MOST_AMISS: f64 = 1e-5;

/// Valid values of `distribution:`.
pub const DISTRIBUTIONS: [&str; 18] = [
    "constant",
    "categorical",
    "categorical_w_probabilities",
    "int_uniform",
    "uniform",
    "q_uniform",
    "log_uniform_values",
    "q_log_uniform_values",
    "inv_log_uniform_values",
    "log_uniform",
    "q_log_uniform",
    "inv_log_uniform",
    "normal",
    "q_normal",
    "log_normal",
    "q_log_normal",
    "beta",
    "q_beta",
];

/// Options for reading a parameter's values.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// How configurations are chosen.
    pub method: Method,
    /// The setting that the parameter replaces, if any.
    pub of: Option<&'static Setting>,
    /// Whether the parameter moves with others, so that a value may occur twice in its list.
    pub zipped: bool,
    /// Whether a program gets its values.
    pub program: bool,
}

/// Returns the name of the distribution, given or inferred. `None` if it is invalid or missing, which is reported.
pub fn name(table: &Table) -> Option<&'static str> {
    let given = |key| table.node.value.get(key).is_some();
    if let Some(node) = table.get("distribution") {
        let found = node.value.as_str().and_then(|name| DISTRIBUTIONS.iter().find(|known| **known == name));
        if found.is_none() {
            let typed = node.value.as_str().unwrap_or("");
            let remedy = match nearest(typed, DISTRIBUTIONS) {
                // Its `min` and `max` are exponents. A user who knows the name from another tool does not mean that.
                Some(near) if near.ends_with("log_uniform") => {
                    format!("did you mean `{near}_values`? Its `min` and `max` are the values themselves")
                }
                _ => suggest(typed, &DISTRIBUTIONS),
            };
            node.wrong(format!("is {}, which is not a known distribution", show(node.value)), remedy);
            // The distribution of these keys is unknown, so the keys are not reported as problems of their own.
            for key in ["value", "values", "probabilities", "min", "max", "q", "mu", "sigma", "a", "b"] {
                table.get(key);
            }
        }
        return found.copied();
    }
    if given("value") {
        Some("constant")
    } else if given("probabilities") {
        Some("categorical_w_probabilities")
    } else if given("values") {
        Some("categorical")
    } else if given("min") || given("max") {
        let whole = |key| table.node.value.get(key).is_none_or(|value| value.as_i64().is_some());
        Some(if whole("min") && whole("max") { "int_uniform" } else { "uniform" })
    } else {
        let remedy = "write `value: ...`, `values: [...]`, or `min: ...` and `max: ...`";
        table.node.wrong_key("has no values", remedy);
        None
    }
}

/// Reads a parameter's table of values. If the parameter replaces a setting, each value must be valid for the setting.
pub fn read(table: &Table, manner: Manner) -> Option<Distribution> {
    let name = name(table)?;
    if !name.starts_with("q_") && table.node.value.get("q").is_some() {
        table.get("q");
        let remedy = match DISTRIBUTIONS.iter().find(|other| other.strip_prefix("q_") == Some(name)) {
            Some(other) => format!("remove `q`, or write `distribution: {other}`"),
            None => "remove `q`, or write `distribution: q_uniform`".to_owned(),
        };
        table.node.wrong_key(format!("has the key `q`, but {name} does not use it"), remedy);
    }
    match name {
        "constant" => {
            let node = needed(table, "value", name)?;
            note_exponents(&node, manner);
            Some(Distribution::Constant(value(&node, manner)?))
        }
        "categorical" => {
            let values = values(&needed(table, "values", name)?, manner)?;
            Some(Distribution::Categorical(values.into_iter().map(|(value, _)| value).collect()))
        }
        "categorical_w_probabilities" => weighted(table, manner),
        _ => range::read(table, name, manner.method),
    }
}

/// Returns the value of a key that the distribution requires.
pub fn needed<'a>(table: &Table<'a>, key: &'static str, distribution: &str) -> Option<Node<'a>> {
    let node = table.get(key);
    if node.is_none() {
        table.node.wrong_key(format!("has no `{key}`, which {distribution} requires"), format!("add `{key}: ...`"));
    }
    node
}

fn value(node: &Node, manner: Manner) -> Option<Json> {
    match manner.of {
        Some(setting) => node.accepted(setting.accept(node.value), setting.remedy()),
        None => {
            let read = if manner.program { node.given() } else { free(node.value) };
            read.map_err(|complaint| node.wrong(complaint, "write a number, a string, true, or false")).ok()
        }
    }
}

/// Says which of a program's values are numbers here and text at W&B.
fn note_exponents(node: &Node, manner: Manner) {
    let words = node.exponents();
    let Some(first) = words.first().filter(|_| manner.program) else { return };
    let more = match words.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    node.note(format!(
        "W&B reads `{first}`{more} as text; sweep reads a number. Both read a number if it has a decimal point and a \
         signed exponent: 1.0e-4"
    ));
}

/// The values of a list, each with its place in it; what stands there again is left out, but where it moves with
/// others.
fn values(node: &Node, manner: Manner) -> Option<Vec<(Json, usize)>> {
    let Some(items) = node.items() else {
        let remedy = format!("write [{}], or use `value:` for a single value", plain(node.value));
        node.wrong(format!("is {}, but must be a list", show(node.value)), remedy);
        return None;
    };
    if items.is_empty() || items.len() > MOST_VALUES {
        let rule = match items.len() {
            0 => "is an empty list, but must have at least one value".to_owned(),
            many => format!(
                "has {} values, but at most {} are allowed",
                thousands(many as u64),
                thousands(MOST_VALUES as u64)
            ),
        };
        node.wrong(rule, "list the values to try, or write a range with `min` and `max`");
        return None;
    }
    note_exponents(node, manner);
    let mut seen = HashSet::new();
    let mut values = Vec::with_capacity(items.len());
    let mut all_right = true;
    for (at, item) in items.iter().enumerate() {
        match value(item, manner) {
            // 1 and 1.0 are the same value.
            Some(value)
                if seen.insert(value.as_f64().map_or_else(|| value.to_string(), |x| x.to_string()))
                    || manner.zipped =>
            {
                values.push((value, at));
            }
            Some(_) => item.note(format!("{} is listed twice, but tried once", show(item.value))),
            None => all_right = false,
        }
    }
    all_right.then_some(values)
}

/// Reads a list of values with their probabilities. The probabilities of duplicate values are added.
fn weighted(table: &Table, manner: Manner) -> Option<Distribution> {
    let name = "categorical_w_probabilities";
    let (values_node, node) = (needed(table, "values", name)?, needed(table, "probabilities", name)?);
    let all = values(&values_node, Manner { zipped: true, ..manner })?;
    let Some(items) = node.items() else {
        node.wrong(format!("is {}, but must be a list", show(node.value)), "write one probability for each value");
        return None;
    };
    if items.len() != all.len() {
        let rule =
            format!("has length {}, but must have one probability for each of the {} values", items.len(), all.len());
        node.wrong(rule, "write one probability for each value, in the same order");
        return None;
    }
    let mut weights = Vec::with_capacity(items.len());
    for item in &items {
        match number(item.value).filter(|weight| (0.0..=1.0).contains(weight)) {
            Some(weight) => weights.push(weight),
            None => item.wrong(
                format!("is {}, but must be a probability from 0 to 1", show(item.value)),
                "for example, write 0.25",
            ),
        }
    }
    if weights.len() < items.len() {
        return None;
    }
    let sum: f64 = weights.iter().sum();
    if (sum - 1.0).abs() > MOST_AMISS {
        node.wrong(
            format!("sums to {}, but must sum to 1", (sum * 1e6).round() / 1e6),
            "change one of the probabilities",
        );
        return None;
    }
    if manner.method == Method::Grid {
        let remedy = "remove them, or use `method: random`";
        node.wrong_key("has no effect: a grid tries every value equally often", remedy);
        return None;
    }
    let mut merged: Vec<(Json, f64)> = Vec::with_capacity(all.len());
    for ((value, at), weight) in all.into_iter().zip(weights) {
        match merged.iter_mut().find(|(other, _)| same(other, &value)) {
            Some((_, before)) => *before += weight,
            None if weight == 0.0 => items[at].note("is 0, so this value is never tried"),
            None => merged.push((value, weight)),
        }
    }
    Some(Distribution::Weighted(merged))
}

/// Checks the values of a range against the setting that it replaces. The values of a list were already checked one by
/// one.
pub fn check_range(distribution: &Distribution, node: &Node, of: Option<&Setting>) {
    if !matches!(
        distribution,
        Distribution::IntUniform { .. } | Distribution::Steps { .. } | Distribution::Number { .. }
    ) {
        return;
    }
    let Some(setting) = of else { return };
    if setting.kind.is_whole() && distribution.has_fractions() {
        let remedy = "write `distribution: int_uniform`, or `q_uniform` with an integer `q`";
        node.wrong_key(format!("can be a fraction, but {} must be an integer", setting.about), remedy);
        return;
    }
    for value in distribution.samples() {
        let value = serde_yaml::to_value(&value).unwrap_or_default();
        if let Err(complaint) = setting.kind.accept(&value) {
            let rule = match &complaint.what {
                What::Invalid { value, rule, .. } => format!("can be {value}, but must be {rule}"),
                What::Keys(text) => text.clone(),
            };
            node.wrong_key(rule, complaint.remedy.unwrap_or_else(|| setting.remedy()));
            return;
        }
    }
}

fn plain(value: &Yaml) -> String {
    show(value).trim_matches('`').to_owned()
}
