//! `training:` and `data:` of the sweep file.

use std::path::Path as Folder;

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::kind::{Kind, either};
use super::node::{Node, Table};
use super::parameters::Read;
use super::setting::{SETS, SETTINGS, Section, Setting, TYPE, setting};
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
