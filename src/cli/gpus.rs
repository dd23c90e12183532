//! `sweep gpus`

use comfy_table::{Table, presets::NOTHING};

use super::environment::Environment;
use super::output;
use crate::agent::gpu::{self, Gpu};
use crate::agent::{SlotDevice, cpu_slots};
use sweep_core::describe::gibibytes;
use sweep_core::error::{Exit, Result};

/// Options of `sweep gpus`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep gpus
  sweep gpus --json | jq '.gpus[].uuid'")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Seen<'a> {
    /// The reason why no GPU is visible, if so.
    reason: Option<&'a str>,
    gpus: &'a [Gpu],
    /// The names of the slots that a sweep would use here by default.
    slots: Vec<String>,
}

/// Prints the slots of this machine.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    let found = gpu::list();
    let all = found.as_deref().unwrap_or_default();
    let variable = environment.visible_gpus();
    let visible = gpu::visible(all, variable.as_deref());
    let slots: Vec<String> = if visible.is_empty() {
        cpu_slots(environment.cores(), 1).into_iter().map(|slot: SlotDevice| slot.name).collect()
    } else {
        visible.iter().map(|gpu| gpu.slot()).collect()
    };
    let reason = found.as_ref().err().map(String::as_str);
    let text = if args.json {
        serde_json::to_string_pretty(&Seen { reason, gpus: all, slots }).expect("its fields have text for keys")
    } else {
        describe(all, reason, &slots, variable.as_deref(), environment.cores())
    };
    output::print(&text)?;
    Ok(Exit::Success)
}

fn describe(gpus: &[Gpu], reason: Option<&str>, slots: &[String], variable: Option<&str>, cores: u32) -> String {
    let mut text = String::new();
    match reason {
        Some(reason) => text += &format!("No GPU: {reason}.\n"),
        None if gpus.is_empty() => text += "No GPU: the driver reports none.\n",
        None => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["slot", "GPU", "UUID", "memory", "load", "processes"]);
            for gpu in gpus {
                table.add_row([
                    gpu.slot(),
                    gpu.name.clone(),
                    gpu.uuid.clone(),
                    format!("{} of {} used", gibibytes(gpu.memory_used), gibibytes(gpu.memory_total)),
                    gpu.load.map_or("-".into(), |load| format!("{load}%")),
                    gpu.processes.iter().map(|process| process.pid.to_string()).collect::<Vec<_>>().join(" "),
                ]);
            }
            text += &format!("{table}\n");
        }
    }
    if let Some(variable) = variable {
        text += &format!("CUDA_VISIBLE_DEVICES={variable} applies.\n");
    }
    if slots.iter().any(|slot| slot.starts_with("cpu")) {
        text += &format!(
            "Slots: {}. Trials run on the CPU: one slot for each `cpu_threads` (1) of the {cores} cores.",
            slots.join(" ")
        );
    } else {
        text += &format!("Slots: {}", slots.join(" "));
    }
    text
}
