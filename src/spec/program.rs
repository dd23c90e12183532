//! `program`, `command` and `metrics_file` of the sweep file.

use super::kind::Kind;
use super::node::Table;
use super::plain;
use super::value::show;
use crate::program::{COMMAND, MACROS, Program};

/// Sections that say how a network is trained.
const OURS: [&str; 3] = ["data", "model", "training"];

/// Reads them. `None` where trials train a network of the file.
pub fn read(top: &Table) -> Option<Program> {
    let (program, command) = (top.get("program"), top.get("command"));
    let metrics_file = top.get("metrics_file");
    if program.is_none() && command.is_none() {
        if let Some(node) = metrics_file {
            node.wrong_key("has no effect without a `program`", "leave it out");
        }
        return None;
    }
    for section in OURS {
        if let Some(node) = top.get(section) {
            node.wrong_key("has no effect: trials run a program", "leave it out, or leave out `program` and `command`");
        }
    }
    let text = |node: super::node::Node, is: &str| node.take(Kind::Text, is).map(|text| plain(&text));
    let name =
        program.and_then(|node| text(node, "the program to run, relative to the sweep file: write train.py, say"));
    let items = match &command {
        None => COMMAND.iter().map(|item| (*item).to_owned()).collect(),
        Some(node) => match node.items() {
            Some(items) if !items.is_empty() => {
                let mut read = Vec::with_capacity(items.len());
                for item in items {
                    let Some(item_text) = text(item.clone(), "an argument: write it in quotes") else { continue };
                    if item_text.starts_with("${args") && !MACROS.contains(&item_text.as_str()) {
                        let known = MACROS.iter().filter(|known| known.starts_with("${args")).copied();
                        item.wrong(
                            format!("{item_text} is no macro"),
                            format!("there are {}", known.collect::<Vec<_>>().join(", ")),
                        );
                    }
                    read.push(item_text);
                }
                read
            }
            _ => {
                let rule = format!("must be a list of arguments, not {}", show(node.value));
                node.wrong(rule, r#"write ["${env}", "${interpreter}", "${program}", "${args}"]"#);
                return None;
            }
        },
    };
    if let (None, Some(node)) = (&name, &command)
        && items.iter().any(|item| item == "${program}")
    {
        node.wrong("needs a `program`: ${program} stands in it", "write `program: train.py`, say");
    }
    let metrics_file = metrics_file.and_then(|node| {
        let found = text(node.clone(), "the file that the program writes its metrics to: write metrics.csv, say")?;
        if found.starts_with('/') || found.split('/').any(|part| part == "..") {
            node.wrong("lies in the trial's folder, and this does not", "write a name such as metrics.csv");
        }
        Some(found)
    });
    Some(Program { program: name, command: items, metrics_file })
}
