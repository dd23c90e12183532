//! `devices:` of the sweep file.

use super::kind::{Kind, either};
use super::node::{Node, Table};
use super::value::{number, show, whole};
use super::{Busy, Devices, Gpus, OnContention, PerGpu};

/// Maximum number of trials that share a GPU.
const MOST_PER_GPU: u32 = 64;

/// Maximum number of GPUs of a trial.
const MOST_PER_TRIAL: u64 = 64;

/// Reads `devices:`.
pub fn devices(top: &Table) -> Devices {
    let mut devices = Devices {
        gpus: Gpus::All,
        gpus_per_trial: 1,
        per_gpu: PerGpu::Most(1),
        busy: Busy::Wait,
        on_contention: OnContention::Report,
        mps: true,
        cpu_threads: 1,
    };
    let Some(node) = top.get("devices").filter(|node| !node.value.is_null()) else { return devices };
    let Some(table) = node.table("devices: {gpus: all, cpu_threads: 1}") else { return devices };
    if let Some(gpus) = table.get("gpus").and_then(|node| gpus(&node)) {
        devices.gpus = gpus;
    }
    if let Some(per_gpu) = table.get("per_gpu").and_then(|node| per_gpu(&node)) {
        devices.per_gpu = per_gpu;
    }
    if let Some(node) = table.get("gpus_per_trial") {
        devices.gpus_per_trial = gpus_per_trial(&node, top, devices.per_gpu);
    }
    let busy = [("wait", Busy::Wait), ("share", Busy::Share), ("skip", Busy::Skip)];
    if let Some(busy) = word(&table, "busy", &busy, "write wait to use a GPU only when no other process uses it") {
        devices.busy = busy;
    }
    let courtesy = [("report", OnContention::Report), ("yield", OnContention::Yield)];
    match word(&table, "courtesy", &courtesy, "write yield to leave a GPU while another process uses it") {
        Some(OnContention::Yield) if devices.busy == Busy::Share => {
            let rule =
                "is yield, which has no effect with `busy: share`: the sweep then shares GPUs with other processes";
            if let Some(node) = table.get("courtesy") {
                node.wrong(rule, "remove one of the two keys");
            }
        }
        Some(on_contention) => devices.on_contention = on_contention,
        None => {}
    }
    let mps = [("auto", true), ("off", false)];
    if let Some(mps) = word(&table, "mps", &mps, "write off so that the sweep does not start a CUDA MPS daemon") {
        devices.mps = mps;
    }
    if let Some(threads) = cpu_threads(&table) {
        devices.cpu_threads = threads;
    }
    table.close();
    devices
}

/// Reads a key whose value is one of some words. `None` if the key is missing or the value is another one.
fn word<T: Copy>(table: &Table, key: &'static str, words: &[(&str, T)], remedy: &str) -> Option<T> {
    let node = table.get(key)?;
    let found = words.iter().find(|(word, _)| node.value.as_str() == Some(*word)).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        node.wrong(format!("is {}, but must be {}", show(node.value), either(&words)), remedy);
    }
    found
}

fn per_gpu(node: &Node) -> Option<PerGpu> {
    match (node.value.as_str(), whole(node.value).and_then(|count| u32::try_from(count).ok())) {
        (Some("auto"), _) => Some(PerGpu::Auto),
        (_, Some(count)) if (1..=MOST_PER_GPU).contains(&count) => Some(PerGpu::Most(count)),
        _ => {
            let rule = format!("is {}, but must be auto or an integer from 1 to {MOST_PER_GPU}", show(node.value));
            node.wrong(rule, "write auto to measure with the first trials how many fit");
            None
        }
    }
}

fn cpu_threads(table: &Table) -> Option<u32> {
    let is = "the number of threads of a trial on the CPU; for example, write 1";
    let threads = table.take("cpu_threads", Kind::Whole { least: 1, most: 1024 }, is)?;
    u32::try_from(threads.as_u64()?).ok()
}

/// Reads `gpus_per_trial`, which only programs have.
fn gpus_per_trial(node: &Node, top: &Table, per_gpu: PerGpu) -> u32 {
    let is = "the number of GPUs of each trial; for example, write 2";
    let found = node.clone().take(Kind::Whole { least: 1, most: MOST_PER_TRIAL }, is);
    let count = found.and_then(|found| found.as_u64()).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    if count > 1 && top.get("program").is_none() && top.get("command").is_none() {
        node.wrong_key("has no effect: the built-in trainer uses one GPU per trial", "remove it");
    } else if count > 1 && per_gpu != PerGpu::Most(1) {
        node.wrong_key(
            "has no effect beside `per_gpu`: a trial has several GPUs, or shares one",
            "remove one of the two",
        );
    }
    count
}

/// Returns whether the name is a UUID, or the numbers of a MIG instance: `0:1`.
fn is_gpu_name(name: &str) -> bool {
    let numbers = name.split_once(':').map(|(gpu, instance)| gpu.parse::<u32>().and(instance.parse::<u32>()).is_ok());
    name.starts_with("GPU-") || name.starts_with("MIG-") || numbers == Some(true)
}

fn gpus(node: &Node) -> Option<Gpus> {
    match (node.value.as_str(), node.items()) {
        (Some("all"), _) => Some(Gpus::All),
        (Some("none"), _) => Some(Gpus::None),
        (_, Some(items)) if !items.is_empty() => {
            let mut these = Vec::with_capacity(items.len());
            for item in &items {
                match (whole(item.value), item.value.as_str()) {
                    (Some(index), _) => these.push(index.to_string()),
                    (None, Some(uuid)) if is_gpu_name(uuid) => these.push(uuid.to_owned()),
                    _ => {
                        let rule =
                            format!("is {}, but must be the number or UUID of a GPU or MIG instance", show(item.value));
                        item.wrong(rule, "`nvidia-smi -L` lists them; for example, write 0 or \"GPU-5a1f...\"");
                    }
                }
            }
            Some(Gpus::These(these))
        }
        _ => {
            let rule = format!("is {}, but must be all, none, or a list", show(node.value));
            let remedy = match number(node.value) {
                Some(one) => format!("to use only this GPU, write [{one}]"),
                None => "write none to train on the CPU, or a list, for example [0, 2]".to_owned(),
            };
            node.wrong(rule, remedy);
            None
        }
    }
}
