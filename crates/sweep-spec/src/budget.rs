//! `budget:` of the sweep file: what all runs of the sweep may cost together.

use std::time::Duration;

use super::kind::Kind;
use super::node::{Node, Table};
use super::time::time;
use super::value::{number, show};
use sweep_core::budget::Budget;

/// Joules in a kilowatt-hour.
const KWH: f64 = 3.6e6;

/// Reads `budget:`. A single value is a time.
pub fn read(top: &Table) -> Budget {
    let Some(node) = top.get("budget").filter(|node| !node.value.is_null()) else { return Budget::default() };
    if !node.value.is_mapping() {
        return Budget { time: time(&node), ..Budget::default() };
    }
    let Some(table) = node.table("budget: {time: 2h}") else { return Budget::default() };
    let hours = |node: Node| Some(Duration::from_secs_f64(positive(&node, "for example, write 8")? * 3600.0));
    let budget = Budget {
        time: table.get("time").and_then(|node| time(&node)),
        gpu_time: table.get("gpu_hours").and_then(hours),
        joules: table.get("kwh").and_then(|node| Some(positive(&node, "for example, write 1.5")? * KWH)),
        epochs: table
            .take("epochs", Kind::whole(1), "the number of epochs of all trials together; for example, write 500")
            .and_then(|epochs| epochs.as_u64()),
    };
    if budget.is_none() && table.entries().is_empty() {
        node.wrong("has no limit", "write, for example, {time: 2h}, {gpu_hours: 8}, {kwh: 1.5} or {epochs: 500}");
    }
    table.close();
    budget
}

fn positive(node: &Node, remedy: &str) -> Option<f64> {
    let found = number(node.value).filter(|value| *value > 0.0 && *value < 1e6);
    if found.is_none() {
        node.wrong(format!("is {}, but must be a number above 0", show(node.value)), remedy);
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Spec;
    use super::*;

    #[test]
    fn a_budget_is_a_time_or_a_table_of_limits() {
        let read = |budget: &str| {
            let text = format!("program: a.py\nmetric: {{name: x, goal: minimize}}\nbudget: {budget}\n");
            Spec::read(&text, "f", Path::new("/")).map(|(spec, _)| spec.budget)
        };
        let hours = |hours: u64| Some(Duration::from_secs(3600 * hours));
        assert_eq!(read("2h").unwrap(), Budget { time: hours(2), ..Budget::default() });
        let all = Budget { time: hours(1), gpu_time: hours(4), joules: Some(KWH / 2.0), epochs: Some(9) };
        assert_eq!(read("{time: 1h, gpu_hours: 4, kwh: 0.5, epochs: 9}").unwrap(), all);
        for wrong in ["soon", "{}", "{hours: 2}", "{kwh: 0}", "{epochs: 0}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
