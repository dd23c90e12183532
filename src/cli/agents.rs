//! `sweep agents DIR`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::opened::Opened;
use super::output;
use sweep_core::error::{Exit, Result};
use sweep_core::history::{History, NodeRecord, Status};
use sweep_report::format;
use sweep_report::summary::processors;

/// Options of `sweep agents`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep agents results/quickstart
  sweep agents results/quickstart --json | jq '.[].node'")]
pub struct Args {
    /// Folder of the sweep, for example results/quickstart
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the other hosts of a sweep.
pub fn run(args: &Args) -> Result<Exit> {
    let history = Opened::new(&args.folder)?.history;
    let text = if args.json { json(&history) } else { page(&history) };
    output::print(&text)?;
    Ok(Exit::Success)
}

/// The trials that run on a host, each with its slot.
fn running<'a>(history: &'a History, node: &'a str) -> impl Iterator<Item = (&'a str, u64)> {
    let trials = history
        .trials
        .iter()
        .filter(move |trial| trial.status == Status::Running && history.node_of(&trial.slot) == Some(node));
    trials.map(|trial| (trial.slot.as_str(), trial.id.0))
}

fn json(history: &History) -> String {
    let node = |(name, node): (&String, &NodeRecord)| {
        let running: Vec<_> =
            running(history, name).map(|(slot, trial)| json!({"slot": slot, "trial": trial})).collect();
        let since = |what: &Option<(f64, String)>| what.as_ref().map(|(at, why)| json!({"at": at, "why": why}));
        json!({
            "node": name,
            "machine": node.machine.about,
            "processor": node.machine.processor,
            "joined_at": node.joined_at,
            "slots": node.slots,
            "held": node.slots.iter().filter_map(|slot| Some((slot, history.held.get(slot)?))).collect::<BTreeMap<_, _>>(),
            "running": running,
            "silent": since(&node.silent),
            "left": since(&node.left),
        })
    };
    let nodes: Vec<_> = history.nodes.iter().map(node).collect();
    serde_json::to_string_pretty(&nodes).expect("its keys are text")
}

fn page(history: &History) -> String {
    if history.nodes.is_empty() {
        return "no other host trains for this sweep".to_owned();
    }
    let mut lines = Vec::new();
    for (name, node) in &history.nodes {
        let running: Vec<_> = running(history, name).map(|(slot, trial)| format!("{trial} on {slot}")).collect();
        let state = match (&node.left, &node.silent) {
            (Some((_, why)), _) => format!("left: {why}"),
            (None, Some((_, why))) => format!("unreachable: {why}"),
            (None, None) if running.is_empty() => format!("{} slots, idle", node.slots.len()),
            (None, None) => format!("{} slots, runs trials {}", node.slots.len(), running.join(", ")),
        };
        lines.push(format!("{name}: {}", format::clean(&state)));
        lines.push(format!("  {}", format::clean(&node.machine.about)));
        let held = node.slots.iter().filter_map(|slot| Some((slot, history.held.get(slot)?)));
        lines.extend(held.map(|(slot, why)| format!("  {slot} gets no trial: {}", format::clean(why))));
    }
    lines.extend(processors(history));
    lines.join("\n")
}
