//! The distinct networks of a sweep, and the problems with their layers. Every combination of the parameters that a
//! network refers to is checked before anything is trained.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::Spec;
use super::model::Model;
use super::node::Findings;
use super::parameters::Read;
use super::place::Path;
use super::problem::Problem;
use super::setting::MODEL;
use super::trains::Network;
use sweep_core::space::{Parameter, Space};
use sweep_core::trial::Settings;
use sweep_data::network::Fault;

/// Maximum number of networks that are built to check them.
pub const MOST_CHECKED: u64 = 10_000;

impl Spec {
    /// Returns the parameters of each distinct network, at most [`MOST_CHECKED`], and the total number of networks.
    pub(super) fn models(&self, network: &Network) -> (impl Iterator<Item = Settings> + use<>, u64) {
        let spaces = self.model_spaces(network);
        let total = spaces.iter().fold(0, |total: u64, space| total.saturating_add(space.count().unwrap_or(0)));
        (spaces.into_iter().flat_map(points).take(MOST_CHECKED as usize), total)
    }

    /// Returns, for each network that the file can mean, the part of the space that it depends on.
    fn model_spaces(&self, network: &Network) -> Vec<Space> {
        let choice = self.space.parameters.iter().find(|parameter| parameter.name == MODEL.name);
        let choices: Vec<Option<Json>> = match choice {
            Some(choice) => choice.distribution.samples().into_iter().map(Some).collect(),
            None => vec![None],
        };
        let space_of = |choice: Option<Json>| {
            let model: Settings = choice.into_iter().map(|value| (MODEL.name.to_owned(), value)).collect();
            let names = network.model.template(&model).map(|template| template.names()).unwrap_or_default();
            // An excluded choice yields no network.
            let space = self.space.pinned(&model).ok()?;
            Some(space.part(|name| names.iter().any(|used| used == name) || name == MODEL.name, MOST_CHECKED))
        };
        choices.into_iter().filter_map(space_of).collect()
    }

    /// Returns the part of the space that has the parameters with these names. A parameter with too many values keeps
    /// only its ends.
    pub(super) fn part(&self, has: impl Fn(&str) -> bool) -> Space {
        self.space.part(has, MOST_CHECKED)
    }

    /// Reports the problems with the layers that do not depend on the data. `parameters` gives the places of values.
    /// Every value is tried once, together with the first values of the others. [`Spec::inspect`] checks all
    /// combinations. `unread` has parameters whose values could not be read. A network that lacks those is not
    /// reported.
    pub(super) fn check_layers(&self, network: &Network, parameters: &[Read], unread: &[String], findings: &Findings) {
        let mut seen = HashSet::new();
        // The number of classes does not affect whether a layer is valid.
        let classes = network.classes.unwrap_or(2);
        for settings in self.one_by_one(network) {
            let Ok(Err(faults)) = network.layers(&settings, classes) else { continue };
            let missing = |fault: &Fault| {
                fault.setting.is_none() && unread.iter().any(|name| fault.value.contains(&format!("{{{name}")))
            };
            for fault in faults.into_iter().filter(|fault| !missing(fault)) {
                let problem = fault_of(&network.model, &fault, &settings, parameters, findings);
                if seen.insert(format!("{} {}", problem.path, problem.rule)) {
                    findings.problems.borrow_mut().push(problem);
                }
            }
        }
    }

    /// Returns parameters of networks in which every value occurs, for every preset. It starts from the first
    /// configuration of the space. Then each parameter in turn takes its other values.
    fn one_by_one(&self, network: &Network) -> Vec<Settings> {
        let mut all = Vec::new();
        for space in self.model_spaces(network) {
            let Some(first) = space.point(0) else { continue };
            for Parameter { name, distribution, .. } in &space.parameters {
                let others = distribution.samples().into_iter().skip(usize::from(space.is_free()));
                for value in others.take(MOST_CHECKED as usize) {
                    let mut settings = first.clone();
                    settings.insert(name.clone(), value);
                    if !space.is_free() {
                        // The first configuration that has the value, if any may have it.
                        settings.retain(|other, _| other == name);
                        let Some(found) = space.pinned(&settings).ok().and_then(|space| space.point(0)) else {
                            continue;
                        };
                        settings = found;
                    }
                    all.push(settings);
                }
            }
            all.push(first);
        }
        all
    }
}

/// Returns the configurations of a finite space, at most [`MOST_CHECKED`].
pub(super) fn points(space: Space) -> impl Iterator<Item = Settings> {
    (0..MOST_CHECKED).map_while(move |at| space.point(at))
}

/// Converts a problem with the network into a problem with the file. Its place is the value of the parameter or
/// setting that causes it, or the layer, if the file contains the layer.
fn fault_of(model: &Model, fault: &Fault, settings: &Settings, parameters: &[Read], findings: &Findings) -> Problem {
    let section = Path::default().key(MODEL.name);
    let (mut path, mut remedy) = (section.clone(), fault.remedy.clone());
    if model.written.is_some() {
        path.0.extend(fault.path.iter().cloned());
    }
    if let Some(name) = &fault.setting {
        if let Some((read, value)) = parameters.iter().find(|read| read.parameter.name == *name).zip(settings.get(name))
        {
            path = read.place(value);
            if let Some(example) = &fault.example {
                remedy = if path == read.node.path { example.of_range() } else { example.of_value() };
            }
        } else if model.settings.contains_key(name) {
            path = section.key(name);
        }
    }
    Problem { mark: findings.places.value_at(&path), path, rule: fault.text(), remedy }
}
