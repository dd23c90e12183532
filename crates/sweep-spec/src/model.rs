//! `model:` of the sweep file: a preset, a preset with settings, or a list of layers. A parameter `model` can replace
//! it with other presets.

use serde_json::Value as Json;

use super::node::Node;
use super::setting::MODEL;
use super::value::{free, json, show};
use sweep_core::nearest::suggest;
use sweep_core::trial::Settings;
use sweep_data::network::{PRESETS, Template};

/// The section `model`: the networks that a sweep can train.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// The network that the file names or defines.
    own: Option<Template>,
    /// Every preset that the parameter `model` can name.
    presets: Vec<(String, Template)>,
    /// Values that `model: {preset: ..., name: value}` fixes.
    pub settings: Settings,
    /// The list of layers, if the file has one.
    pub written: Option<Vec<Json>>,
}

impl Model {
    /// Reads the section, if there is one, together with the presets that the parameter `model` can name.
    pub fn read(node: Option<&Node>, presets: &[&str]) -> Model {
        let presets = presets.iter().filter_map(|name| Some(((*name).to_owned(), Template::preset(name)?)));
        let mut model = Model { presets: presets.collect(), ..Model::default() };
        let Some(node) = node else { return model };
        if let Some(table) = node.value.as_mapping().and_then(|_| node.table("model: {preset: question}")) {
            match table.get("preset") {
                Some(preset) => model.own = preset_of(&preset),
                None if model.presets.is_empty() => {
                    node.wrong_key("has no `preset`", format!("add `preset:` with one of {}", PRESETS.join(", ")));
                }
                None => {}
            }
            let names = model.names();
            for (key, node) in table.entries().into_iter().filter(|(key, _)| *key != "preset") {
                if names.iter().any(|name| name == key) {
                    match free(node.value) {
                        Ok(value) => drop(model.settings.insert(key.to_owned(), value)),
                        Err(rule) => node.wrong(rule, "write a number, a string, true, or false"),
                    }
                } else if !names.is_empty() {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    node.wrong_key("is not a parameter of the preset", suggest(key, &names));
                }
            }
        } else if let Some(items) = node.items() {
            let mut layers = Vec::with_capacity(items.len());
            for item in &items {
                match json(item.value) {
                    Ok(layer) => layers.push(layer),
                    Err(rule) => item.wrong(rule, "write a layer, for example `conv: {filters: 32, kernel: 3}`"),
                }
            }
            model.own = Some(Template::new(layers.clone().into()));
            model.written = Some(layers);
        } else {
            model.own = preset_of(node);
        }
        model
    }

    /// Returns whether there is no network.
    pub fn is_empty(&self) -> bool {
        self.own.is_none() && self.presets.is_empty()
    }

    /// Returns all names that a network can refer to.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for name in self.presets.iter().map(|(_, template)| template).chain(&self.own).flat_map(Template::names) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns the network of a trial.
    ///
    /// # Errors
    /// If the parameters name a preset that the file does not allow, or if there is no network.
    pub fn template(&self, settings: &Settings) -> Result<&Template, String> {
        match settings.get(MODEL.name) {
            None => self.own.as_ref().ok_or_else(|| "the sweep file has no model".to_owned()),
            Some(name) => self
                .presets
                .iter()
                .find(|(preset, _)| Some(preset.as_str()) == name.as_str())
                .map(|(_, template)| template)
                .ok_or_else(|| format!("the sweep file has no model {name}")),
        }
    }
}

fn preset_of(node: &Node) -> Option<Template> {
    let found = node.value.as_str().and_then(Template::preset);
    if found.is_none() {
        let rule = format!("is {}, but must be a preset or a list of layers", show(node.value));
        node.wrong(rule, suggest(node.value.as_str().unwrap_or(""), &PRESETS));
    }
    found
}
