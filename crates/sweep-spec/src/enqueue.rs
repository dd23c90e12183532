//! `enqueue:` of the sweep file: configurations to try first.

use super::node::{Node, Table};
use super::parameters::Read;
use super::value::show;
use sweep_core::nearest::suggest;
use sweep_core::space::Space;
use sweep_core::trial::Settings;

/// A configuration to try first.
pub enum Item {
    /// The defaults of the network.
    Default,
    /// The parameters that the file gives.
    Given(Settings),
}

/// The item that stands for the defaults.
const DEFAULT: &str = "default";

/// Reads the configurations, each with the parameters that it gives. Without the key, the defaults are tried first.
pub fn read(top: &Table, parameters: &[Read], unread: &[String], space: &Space) -> Vec<Item> {
    let Some(node) = top.get("enqueue") else { return vec![Item::Default] };
    let Some(items) = node.items() else {
        let remedy = "for example, write enqueue: [{learning_rate: 0.001, batch_size: 128}]";
        node.wrong(format!("is {}, but must be a list of configurations", show(node.value)), remedy);
        return Vec::new();
    };
    let item = |node: &Node| match node.value.as_str() {
        Some(DEFAULT) => Some(Item::Default),
        _ => point(node, parameters, unread, space).map(Item::Given),
    };
    items.iter().filter_map(item).collect()
}

fn point(node: &Node, parameters: &[Read], unread: &[String], space: &Space) -> Option<Settings> {
    let table = node.table("enqueue: [{learning_rate: 0.001, batch_size: 128}]")?;
    let (mut point, mut all_right) = (Settings::new(), true);
    for (name, node) in table.entries() {
        let Some(read) = parameters.iter().find(|read| read.parameter.name == name) else {
            if !unread.iter().any(|unread| unread == name) {
                let names: Vec<_> = parameters.iter().map(|read| read.parameter.name.as_str()).collect();
                node.wrong_key("is not a parameter of this sweep", suggest(name, &names));
            }
            all_right = false;
            continue;
        };
        let value = match read.of {
            Some(setting) => node.accepted(setting.accept(node.value), setting.remedy()),
            None => read.value(&node).map_err(|rule| node.wrong(rule, "write one of the parameter's values")).ok(),
        };
        let distribution = &read.parameter.distribution;
        match value {
            Some(value) if distribution.contains(&value) => drop(point.insert(name.to_owned(), value)),
            Some(_) => {
                let rule = format!("is {}, which is not a value of {name}", show(node.value));
                node.wrong(rule, format!("its values are {distribution}; to try this value, add it there"));
                all_right = false;
            }
            None => all_right = false,
        }
    }
    if all_right && parameters.len() == space.parameters.len() && space.pinned(&point).is_err() {
        let rule = "is not a configuration of this sweep: `when`, `exclude`, or `zip` rules it out";
        node.wrong(rule, "change it, or the constraint that rules it out");
        return None;
    }
    all_right.then_some(point)
}
