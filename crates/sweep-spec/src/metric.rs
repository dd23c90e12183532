//! `metric:` of the sweep file: what ranks the trials, and what is traded off against it.

use super::goal;
use super::kind::Kind;
use super::node::{Node, Table};
use super::plain;
use super::value::{number, show};
use sweep_core::pareto::{COSTS, MOST_METRICS};
use sweep_core::trial::{ACCURACY_OF_CLASS, BALANCED_ACCURACY, Goal, METRICS, Metric};

/// Metrics that can rank the trials of the built-in trainer, beside the accuracy of a class.
const RANKING: [&str; 7] = {
    let [a, b, c, d, e, f] = METRICS;
    [a, b, c, d, e, f, BALANCED_ACCURACY]
};

/// Metrics of a network that can be traded off against the one that ranks.
const TRADED: [&str; 10] = {
    let [a, b, c, d, e, f, g] = RANKING;
    let [x, y, z] = COSTS;
    [a, b, c, d, e, f, g, x, y, z]
};

/// Returns the metric that ranks the trials, the target value that ends the search, and the metrics that are traded off
/// against the first.
pub fn metrics(table: &Table, any: bool) -> (Metric, Option<f64>, Vec<Metric>) {
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
    if let Some(name) = name(node, &table, any, choices) {
        metric.name = name;
    }
    metric.goal = direction(node, &table, &metric.name, any);
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

fn name(node: &Node, table: &Table, any: bool, choices: &'static [&'static str]) -> Option<String> {
    let Some(name) = table.get("name") else {
        node.wrong_key("has no `name`", format!("add `name:` with one of {}", choices.join(", ")));
        return None;
    };
    let any = any || name.value.as_str().is_some_and(|name| name.starts_with(ACCURACY_OF_CLASS));
    let is = format!("the metric that ranks trials; choose one of {}", choices.join(", "));
    name.take(if any { Kind::Text } else { Kind::Choice(choices) }, &is).map(|found| plain(&found))
}

/// Reads the goal of the metric of this name. Without one, it follows from the name, and a program's file gets a note.
fn direction(node: &Node, table: &Table, name: &str, any: bool) -> Goal {
    let known = goal::of(name);
    let is = "the direction of improvement; write minimize for a loss, maximize for an accuracy";
    let given = table.take("goal", Kind::Choice(&["minimize", "maximize"]), is);
    let given = given.map(|goal| if goal == "maximize" { Goal::Maximize } else { Goal::Minimize });
    match known {
        _ if !any || given.is_some() => {}
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
    let goal = given.or(known).unwrap_or(Goal::Minimize);
    if let (Some(known), Some(node)) = (known.filter(|known| *known != goal), table.get("goal")) {
        // The name of a program's own metric may mislead.
        let doubt = match known {
            _ if METRICS.contains(&name) => "",
            Goal::Maximize => ", if higher values of it are better",
            Goal::Minimize => ", if lower values of it are better",
        };
        node.note(format!("ranks the trials with the worst {name} first{doubt}"));
    }
    goal
}
