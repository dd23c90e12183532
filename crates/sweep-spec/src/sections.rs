//! `training:`, `data:`, and `devices:` of the sweep file.

use std::path::Path as Folder;

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::kind::{Kind, either};
use super::node::{Node, Table};
use super::parameters::Read;
use super::setting::{SETS, SETTINGS, Section, Setting, TYPE, setting};
use super::value::{number, show, whole};
use super::{Busy, Devices, Gpus, OnContention, PerGpu};
use sweep_core::recipe::{Fit, Order, Resize, Source};
use sweep_core::space::Distribution;
use sweep_core::trial::Settings;

/// A setting that the file gives, with its node.
pub type Given<'a> = (&'static Setting, Node<'a>);

/// Reads a section by the table of settings into `fixed`, each setting under its name as a parameter.
pub fn section<'a>(top: &Table<'a>, section: Section, fixed: &mut Settings) -> Vec<Given<'a>> {
    let example = match section {
        Section::Data => "data: {set: digits}",
        Section::Training => "training: {epochs: 10}",
    };
    let mut given = Vec::new();
    let Some(node) = top.get(section.key()).filter(|node| !node.value.is_null()) else { return given };
    let Some(table) = node.table(example) else { return given };
    for setting in SETTINGS.iter().filter(|setting| setting.section == section && !setting.name.contains('.')) {
        if let Some(node) = table.get(setting.name) {
            one(setting, &node, fixed, &mut given);
        }
    }
    table.close();
    given
}

fn one<'a>(setting: &'static Setting, node: &Node<'a>, fixed: &mut Settings, given: &mut Vec<Given<'a>>) {
    let members = setting.members();
    let Some(table) = node.value.as_mapping().filter(|_| !members.is_empty()).and_then(|_| node.table("")) else {
        if let Some(value) = node.accepted(setting.accept(node.value), setting.remedy()) {
            fixed.insert(setting.name.to_owned(), value);
        }
        given.push((setting, node.clone()));
        return;
    };
    given.push((setting, node.clone()));
    let own = setting.members_for(node.value.get(TYPE).and_then(Yaml::as_str));
    for key in members {
        // A key for another choice must not be suggested for a misspelled key.
        let node_of = if own.contains(&key) { table.get(key) } else { table.tolerate(key) };
        match (node_of, setting.member(key)) {
            (Some(node), Some(member)) => {
                if let Some(value) = node.accepted(member.kind.accept(node.value), member.remedy()) {
                    fixed.insert(member.name.to_owned(), value);
                }
                given.push((member, node));
            }
            (None, Some(member)) if setting.needed() == Some(key) => {
                node.wrong_key(format!("has no `{key}`"), member.remedy());
            }
            _ => {}
        }
    }
    table.close();
}

/// Reports a setting of an optimizer or schedule that no trial uses. Otherwise it would be silently ignored.
pub fn check_choices(given: &[Given], fixed: &Settings, parameters: &[Read]) {
    for group in SETTINGS.iter().filter(|setting| matches!(setting.kind, Kind::Choice(_))) {
        check_choice(group, given, fixed, parameters);
    }
}

fn check_choice(group: &Setting, given: &[Given], fixed: &Settings, parameters: &[Read]) {
    let varied = parameters.iter().find(|read| read.parameter.name == group.name);
    let values = match varied.map(|read| &read.parameter.distribution) {
        Some(Distribution::Categorical(values)) => values.clone(),
        Some(Distribution::Constant(value)) => vec![value.clone()],
        _ => vec![fixed.get(group.name).cloned().unwrap_or_else(|| group.default.json())],
    };
    // If a choice could not be read, its intended value is unknown.
    if given.iter().any(|(setting, _)| setting.name == group.name) && !fixed.contains_key(group.name) {
        return;
    }
    // A table among the values contains the choice.
    let used: Vec<&str> = values.iter().filter_map(|value| value.get(TYPE).unwrap_or(value).as_str()).collect();
    let varied = parameters.iter().filter_map(|read| Some((setting(&read.parameter.name)?, &read.node)));
    for (member, node) in given.iter().map(|(setting, node)| (*setting, node)).chain(varied) {
        if member.group == Some(group.name) && !used.iter().any(|choice| member.used_by(choice)) {
            let rule = format!("has no effect: it applies only to {}, which no trial uses", either(member.only));
            node.wrong_key(rule, format!("write `{}: {}`, or remove the key", group.name, member.only[0]));
        }
    }
}

/// Reads `data:` and builds its source. `None` if there is a problem.
pub fn data(top: &Table, file: &Node, fixed: &mut Settings, base: &Folder) -> Option<Source> {
    let example = "data: {set: digits}";
    let given = section(top, Section::Data, fixed);
    let node = |name| given.iter().find(|(setting, _)| setting.name == name).map(|(_, node)| node);
    let text = |fixed: &Settings, name| fixed.get(name).and_then(Json::as_str).map(str::to_owned);
    let Some(data) = top.get("data").filter(|node| !node.value.is_null()) else {
        let remedy = format!("for example, write `{example}`, or name your own data set");
        file.wrong("`data` is missing", remedy);
        return None;
    };
    if node("set").is_none() && data.value.is_mapping() {
        data.wrong_key("has no `set`", format!("add `set:` with one of {}", SETS.join(", ")));
    }
    let set = text(fixed, "set")?;
    let unused = |name, why: String| {
        if let Some(node) = node(name) {
            node.wrong_key(why, "remove it");
        }
    };
    if set != "arrays" {
        unused("order", format!("has no effect: {set} has a fixed axis order"));
    }
    if set != "folder" {
        for name in ["resize", "fit", "labels"] {
            unused(name, format!("has no effect: the images of {set} are used as they are"));
        }
    } else if !fixed.get("resize").is_some_and(Json::is_number) {
        unused("fit", "has no effect without `resize`".to_owned());
    }
    if set == "digits" {
        unused("path", "has no effect: the digits are built into sweep".to_owned());
        return Some(Source::Digits);
    }
    let needs = |name, remedy: &str| {
        if node(name).is_none() {
            data.wrong_key(format!("has no `{name}`, which {set} requires"), remedy);
        }
    };
    needs("path", "add `path:` with the file or folder, relative to the sweep file");
    if set == "arrays" {
        let remedy = "add `order: nchw` (channels first, as in PyTorch) or `order: nhwc` (channels last, as in \
                      Keras);\n\
                      training on images in the wrong axis order works, but badly";
        needs("order", remedy);
    }
    let path = base.join(text(fixed, "path")?);
    match set.as_str() {
        "cifar10" => Some(Source::Cifar10 { path }),
        "cifar100" => Some(Source::Cifar100 { path }),
        "mnist" => Some(Source::Mnist { path }),
        "fashion-mnist" => Some(Source::FashionMnist { path }),
        "folder" => Some(Source::Folder { path, resize: resize(fixed), labels: text(fixed, "labels").map(Into::into) }),
        _ => {
            let order = if text(fixed, "order")? == "nchw" { Order::Nchw } else { Order::Nhwc };
            Some(Source::Arrays { path, order })
        }
    }
}

fn resize(fixed: &Settings) -> Option<Resize> {
    let side = fixed.get("resize").and_then(Json::as_u64).and_then(|side| u32::try_from(side).ok())?;
    let fit = match fixed.get("fit").and_then(Json::as_str) {
        Some("pad") => Fit::Pad,
        Some("stretch") => Fit::Stretch,
        _ => Fit::Crop,
    };
    Some(Resize { side, fit })
}

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
    if let Some(node) = table.get("gpus") {
        devices.gpus = gpus(&node).unwrap_or(Gpus::All);
    }
    if let Some(node) = table.get("per_gpu") {
        match (node.value.as_str(), whole(node.value).and_then(|count| u32::try_from(count).ok())) {
            (Some("auto"), _) => devices.per_gpu = PerGpu::Auto,
            (_, Some(count)) if (1..=MOST_PER_GPU).contains(&count) => devices.per_gpu = PerGpu::Most(count),
            _ => {
                let rule = format!("is {}, but must be auto or an integer from 1 to {MOST_PER_GPU}", show(node.value));
                node.wrong(rule, "write auto to measure with the first trials how many fit");
            }
        }
    }
    if let Some(node) = table.get("gpus_per_trial") {
        devices.gpus_per_trial = gpus_per_trial(&node, top, devices.per_gpu);
    }
    if let Some(node) = table.get("busy") {
        match node.value.as_str() {
            Some("wait") => {}
            Some("share") => devices.busy = Busy::Share,
            Some("skip") => devices.busy = Busy::Skip,
            _ => {
                let rule = format!("is {}, but must be wait, share, or skip", show(node.value));
                node.wrong(rule, "write wait to use a GPU only when no other process uses it");
            }
        }
    }
    if let Some(node) = table.get("courtesy") {
        match node.value.as_str() {
            Some("report") => {}
            Some("yield") if devices.busy == Busy::Share => {
                let rule =
                    "is yield, which has no effect with `busy: share`: the sweep then shares GPUs with other processes";
                node.wrong(rule, "remove one of the two keys");
            }
            Some("yield") => devices.on_contention = OnContention::Yield,
            _ => {
                let rule = format!("is {}, but must be report or yield", show(node.value));
                node.wrong(rule, "write yield to leave a GPU while another process uses it");
            }
        }
    }
    if let Some(node) = table.get("mps") {
        match node.value.as_str() {
            Some("auto") => {}
            Some("off") => devices.mps = false,
            _ => {
                let rule = format!("is {}, but must be auto or off", show(node.value));
                node.wrong(rule, "write off so that the sweep does not start a CUDA MPS daemon");
            }
        }
    }
    let threads = table.take(
        "cpu_threads",
        Kind::Whole { least: 1, most: 1024 },
        "the number of threads of a trial on the CPU; for example, write 1",
    );
    if let Some(threads) = threads.and_then(|threads| threads.as_u64()).and_then(|threads| u32::try_from(threads).ok())
    {
        devices.cpu_threads = threads;
    }
    table.close();
    devices
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
