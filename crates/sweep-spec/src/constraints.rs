//! `when`, `exclude`, and `zip` of the sweep file: the values that go together.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::expression::condition;
use super::node::{Node, Table};
use super::parameters::Read;
use super::setting::TYPE;
use super::value::{free, show};
use super::{Method, Spec, plain};
use sweep_core::nearest::{nearest, suggest};
use sweep_core::space::{Comparison, Condition, Distribution, Operand, Parameter, Space, Unusable};

/// Maximum number of `priority` conditions. A longer list is really a list of configurations.
const MOST_PRIORITIES: usize = 64;

/// Returns the names in `zip`, whether valid or not.
pub fn zipped(top: &Table) -> Vec<String> {
    let groups = top.get("zip").and_then(|node| node.value.as_sequence()).into_iter().flatten();
    let names = groups.flat_map(|group| match group {
        Yaml::Sequence(names) => names.iter().collect(),
        name => vec![name],
    });
    names.filter_map(Yaml::as_str).map(str::to_owned).collect()
}

/// Reads a condition on the parameters of a sweep, as in `priority`.
///
/// # Errors
/// The rule that it breaks, and the fix.
pub fn condition_on(spec: &Spec, text: &str) -> Result<Condition, (String, String)> {
    let names: Vec<&str> = spec.space.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    condition(text, &names).map_err(|fault| (fault.rule, fault.remedy))
}

/// Builds the space of the parameters that were read, without the invalid constraints. `unread` has the names of
/// parameters that could not be read. Constraints on those are not reported as wrong.
pub fn space(top: &Table, read: &mut [Read], unread: &[String]) -> Space {
    let all: Vec<String> = read.iter().map(|read| read.parameter.name.clone()).chain(unread.iter().cloned()).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    for at in 0..read.len() {
        let Some(node) = read[at].when.clone() else { continue };
        let found = asked(&node, &names, &Parameters(read));
        read[at].parameter.when = found.filter(|condition| condition.names().iter().all(|name| is_read(read, name)));
    }
    let zip = top.get("zip").map(|node| zip(&node, read, unread)).unwrap_or_default();
    let exclude_node = top.get("exclude");
    let exclude = exclude_node.as_ref().map(|node| conditions(node, "exclude", &names, &Parameters(read)));
    let mut exclude: Vec<_> = exclude.into_iter().flatten().map(|(_, condition)| condition).collect();
    exclude.retain(|condition| condition.names().iter().all(|name| is_read(read, name)));
    let parameters: Vec<Parameter> = read.iter().map(|read| read.parameter.clone()).collect();
    let blamed = exclude_node.as_ref().unwrap_or(&top.node);
    match Space::new(parameters, zip, exclude) {
        Ok(space) => return space,
        Err(Unusable::Empty) => blamed.wrong_key("excludes every configuration", "exclude fewer configurations"),
        Err(Unusable::Tangled) => {
            let remedy = "exclude individual combinations, or compare fewer parameters with each other";
            blamed.wrong_key("compares too many parameters with each other to count the configurations", remedy);
        }
        Err(Unusable::Circle(name)) => {
            if let Some(read) = read.iter().find(|read| read.parameter.name == name) {
                let remedy = "in `when`, refer only to parameters that do not depend on this one";
                read.node.wrong_key("depends on itself through `when`", remedy);
            }
        }
    }
    Space::default()
}

fn is_read(read: &[Read], name: &str) -> bool {
    read.iter().any(|read| read.parameter.name == name)
}

/// The values that each parameter can take, used to check conditions.
struct Parameters<'a>(&'a [Read<'a>]);

impl Parameters<'_> {
    fn distribution(&self, name: &str) -> Option<&Distribution> {
        self.0.iter().find(|read| read.parameter.name == name).map(|read| &read.parameter.distribution)
    }

    /// Returns the problem with comparing a parameter with a value, as rule and fix.
    fn check(&self, name: &str, comparison: Comparison, value: &Json) -> Option<(String, String)> {
        let distribution = self.distribution(name)?;
        let is = format!("the values of {name} are {distribution}");
        if !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
            let numbers = distribution.samples().iter().any(Json::is_number);
            return (!numbers || !value.is_number()).then(|| {
                let rule = format!("compares {name} {} {value}, but only numbers can be ordered", comparison.sign());
                (rule, format!("{is}; compare with == or !="))
            });
        }
        // Conditions refer to an optimizer or a schedule that is a table by its name.
        let choice = |one: &Json| one.get(TYPE).is_some_and(|choice| choice == value);
        if distribution.contains(value) || distribution.samples().iter().any(choice) {
            return None;
        }
        let words = distribution.samples();
        let near = value.as_str().and_then(|typed| nearest(typed, words.iter().filter_map(Json::as_str)));
        let remedy = near.map_or(is, |near| format!("did you mean \"{near}\"?"));
        Some((format!("compares {name} with {value}, which is not one of its values"), remedy))
    }
}

/// Returns the condition written in a value of the file.
fn asked(node: &Node, names: &[&str], parameters: &Parameters) -> Option<Condition> {
    let text = match node.value {
        Yaml::String(text) => text.clone(),
        Yaml::Bool(_) | Yaml::Null | Yaml::Number(_) | Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => {
            let remedy = "write a comparison with another parameter, for example optimizer == \"sgd\"";
            node.wrong(format!("is {}, but must be a condition", show(node.value)), remedy);
            return None;
        }
    };
    let condition = condition(&text, names)
        .map_err(|fault| node.wrong_within(&text, fault.at, fault.width, fault.rule, fault.remedy))
        .ok()?;
    for (left, comparison, right) in condition.comparisons() {
        let (Operand::Name(name), Operand::Literal(value)) = (match left {
            Operand::Name(_) => (left, right),
            Operand::Literal(_) => (right, left),
        }) else {
            continue;
        };
        if let Some((rule, remedy)) = parameters.check(name, comparison, value) {
            node.wrong(rule, remedy);
            return None;
        }
    }
    Some(condition)
}

/// Returns the conditions listed under a key, each with its place. A condition is a table or text.
fn conditions<'a>(node: &Node<'a>, key: &str, names: &[&str], parameters: &Parameters) -> Vec<(Node<'a>, Condition)> {
    let example = format!("{key}: [{{batch_norm: true, max_norm: 3}}]");
    let Some(items) = node.items() else {
        node.wrong(
            format!("is {}, but must be a list of combinations", show(node.value)),
            format!("for example, write {example}"),
        );
        return Vec::new();
    };
    let one = |item: Node<'a>| {
        let condition = match item.value.is_mapping() {
            true => combination(&item, &example, names, parameters),
            false => asked(&item, names, parameters),
        };
        condition.map(|condition| (item, condition))
    };
    items.into_iter().filter_map(one).collect()
}

/// Reads `priority`: which configurations of a grid go first.
pub fn priority(
    top: &Table,
    read: &[Read],
    unread: &[String],
    space: &Space,
    method: Option<Method>,
) -> Vec<Condition> {
    let Some(node) = top.get("priority") else { return Vec::new() };
    if method.is_some_and(|method| method != Method::Grid) {
        let remedy = "remove it, or list the configurations under `enqueue`";
        node.wrong_key("has no effect: only a grid has an order to change", remedy);
        return Vec::new();
    }
    let all = read.iter().map(|read| &read.parameter.name).chain(unread);
    let names: Vec<&str> = all.map(String::as_str).collect();
    let mut found = conditions(&node, "priority", &names, &Parameters(read));
    found.retain(|(_, condition)| condition.names().iter().all(|name| is_read(read, name)));
    // The problems with the parameters are reported elsewhere. The configurations are unknown, so the conditions cannot
    // be checked.
    if space.parameters.len() != read.len() {
        return Vec::new();
    }
    if found.len() > MOST_PRIORITIES {
        node.wrong_key(
            format!("has {} conditions, but at most {MOST_PRIORITIES} are allowed", found.len()),
            "join some with `or`",
        );
        return Vec::new();
    }
    for (item, condition) in &found {
        let some = space.parts(std::slice::from_ref(condition)).map_or(2, |parts| parts.len());
        // There is one part, so the condition is true for every configuration or for none.
        if some < 2 && space.point(0).is_some_and(|point| !space.is_so(condition, &point)) {
            item.wrong("matches no configuration of this sweep", "change or remove it");
        }
    }
    let conditions: Vec<_> = found.into_iter().map(|(_, condition)| condition).collect();
    if space.parts(&conditions).is_err() || space.count() == Some(u64::MAX) {
        node.wrong_key(
            "distinguishes too many configurations to count",
            "list individual configurations under `enqueue`",
        );
        return Vec::new();
    }
    conditions
}

/// Reads `{batch_norm: true, max_norm: [2, 3]}`: every parameter must have one of its listed values.
fn combination(node: &Node, example: &str, names: &[&str], parameters: &Parameters) -> Option<Condition> {
    let table = node.table(example)?;
    let entries = table.entries();
    if entries.is_empty() {
        node.wrong("is empty, so it matches every configuration", "remove it");
        return None;
    }
    let mut parts = Vec::with_capacity(entries.len());
    for (name, node) in &entries {
        if !names.contains(name) {
            node.wrong_key("is not a parameter of this sweep", suggest(name, names));
            continue;
        }
        let mut any = Vec::new();
        for item in node.items().unwrap_or_else(|| vec![node.clone()]) {
            let read = parameters.0.iter().find(|read| read.parameter.name == *name);
            match read.map_or_else(|| free(item.value), |read| read.value(&item)) {
                Err(rule) => item.wrong(rule, "write one of the parameter's values"),
                Ok(value) => match parameters.check(name, Comparison::Equal, &value) {
                    Some(_) => {
                        let is = parameters.distribution(name).map(ToString::to_string).unwrap_or_default();
                        let rule = format!("is {}, which is not a value of {name}", plain(&value));
                        item.wrong(rule, format!("its values are {is}"));
                    }
                    None => any.push(Condition::equal(name, value)),
                },
            }
        }
        parts.push(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) });
    }
    (parts.len() == entries.len()).then_some(Condition::All(parts))
}

/// Returns the groups of parameters that move together, by index.
fn zip(node: &Node, read: &[Read], unread: &[String]) -> Vec<Vec<usize>> {
    let remedy = "for example, write zip: [[learning_rate, batch_size]]";
    let Some(items) = node.items().filter(|items| !items.is_empty()) else {
        node.wrong(format!("is {}, but must be a list of groups", show(node.value)), remedy);
        return Vec::new();
    };
    // A single group may omit the outer list.
    let groups = if items.iter().all(|item| item.value.is_string()) { vec![node.clone()] } else { items };
    let mut taken = Vec::new();
    groups.iter().filter_map(|group| self::group(group, read, unread, &mut taken)).collect()
}

fn group(node: &Node, read: &[Read], unread: &[String], taken: &mut Vec<String>) -> Option<Vec<usize>> {
    let remedy = "list parameter names, for example zip: [[learning_rate, batch_size]]";
    let Some(items) = node.items().filter(|items| items.len() > 1) else {
        let found = if node.value.is_sequence() { "a list with fewer".to_owned() } else { show(node.value) };
        node.wrong(format!("is {found}, but must be a list of at least two parameters"), remedy);
        return None;
    };
    let mut group: Vec<usize> = Vec::new();
    let mut all_right = true;
    for item in &items {
        let name = item.value.as_str().unwrap_or_default();
        let wrong = |rule: String, remedy: String| item.wrong(rule, remedy);
        all_right &= match read.iter().position(|read| read.parameter.name == name) {
            _ if taken.iter().any(|taken| taken == name) => {
                wrong(format!("lists {name} a second time"), "list each parameter in one group only".to_owned());
                false
            }
            None if unread.iter().any(|unread| unread == name) => false,
            None => {
                let names: Vec<_> = read.iter().map(|read| read.parameter.name.as_str()).collect();
                wrong(format!("lists {}, which is not a parameter", show(item.value)), suggest(name, &names));
                false
            }
            Some(at) if !matches!(read[at].parameter.distribution, Distribution::Categorical(_)) => {
                let remedy = format!("give {name} a list, `values: [...]`, with one value for each position");
                wrong(format!("lists {name}, which has no list of values"), remedy);
                false
            }
            Some(at) => {
                group.push(at);
                true
            }
        };
        taken.push(name.to_owned());
    }
    let first = group.first().copied().filter(|_| all_right)?;
    for &other in &group[1..] {
        let ([one, two], count) =
            ([first, other].map(|at| &read[at].parameter), |one: &Parameter| one.distribution.count().unwrap_or(0));
        if count(one) != count(two) {
            let lengths = format!("{} has {} values, {} {}", one.name, count(one), two.name, count(two));
            node.wrong(
                format!("combines lists of different lengths: {lengths}"),
                "give all parameters of the group the same number of values",
            );
            return None;
        }
        if one.when != two.when {
            let rule = format!("combines {} and {}, which have different `when` conditions", one.name, two.name);
            node.wrong(rule, "give both the same `when`, or remove it from both");
            return None;
        }
    }
    Some(group)
}
