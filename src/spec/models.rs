//! The distinct networks of a sweep, and what is wrong with their layers: every combination of the parameters that a
//! network refers to is read before anything is trained.

use std::collections::HashSet;

use super::Spec;
use super::node::Findings;
use super::parameters::Read;
use super::place::Path;
use super::problem::Problem;
use super::setting::MODEL;
use crate::space::{Distribution, Parameter, Space};
use crate::train::model::Fault;
use crate::trial::Settings;

/// At most so many networks are built to check them.
pub const MOST_CHECKED: u64 = 10_000;

impl Spec {
    /// The settings of each distinct network, at most [`MOST_CHECKED`], and how many there are in all. A parameter
    /// with too many values to try each is taken at its ends.
    pub(super) fn models(&self) -> (impl Iterator<Item = Settings>, u64) {
        let choices = self.space.parameters.iter().find(|parameter| parameter.name == MODEL.name);
        let mut spaces = Vec::new();
        let mut total = 0_u64;
        for choice in choices.map_or(vec![None], |choice| choice.distribution.samples().into_iter().map(Some).collect())
        {
            let mut space = Space::default();
            let settings: Settings = choice.into_iter().map(|value| (MODEL.name.to_owned(), value)).collect();
            let names = self.network.template(&settings).map(|template| template.names()).unwrap_or_default();
            for Parameter { name, distribution } in &self.space.parameters {
                let values = match settings.get(name) {
                    Some(model) => vec![model.clone()],
                    None if names.contains(name) => candidates(distribution),
                    None => continue,
                };
                let distribution = Distribution::Categorical(values);
                space.parameters.push(Parameter { name: name.clone(), distribution });
            }
            total = total.saturating_add(space.count().unwrap_or(0));
            spaces.push(space);
        }
        let points = spaces.into_iter().flat_map(|space| (0..MOST_CHECKED).map_while(move |at| space.point(at)));
        (points.take(MOST_CHECKED as usize), total)
    }

    /// Reports what is wrong with the layers, whatever the data: `parameters` give the places of values.
    pub(super) fn check_layers(&self, parameters: &[Read], findings: &Findings) {
        let mut seen = HashSet::new();
        // Enough for any data: how many classes there are changes no layer's validity.
        let classes = self.classes.unwrap_or(2);
        for settings in self.models().0 {
            let Ok(Err(faults)) = self.layers(&settings, classes) else { continue };
            for fault in faults {
                let problem = self.fault(&fault, &settings, parameters, findings);
                if seen.insert(format!("{} {}", problem.path, problem.rule)) {
                    findings.problems.borrow_mut().push(problem);
                }
            }
        }
    }

    /// A fault of the network as a problem of the file: at the value of the parameter or setting that causes it, or
    /// at the layer, if that stands in the file.
    fn fault(&self, fault: &Fault, settings: &Settings, parameters: &[Read], findings: &Findings) -> Problem {
        let model = Path::default().key(MODEL.name);
        let mut path = model.clone();
        if self.network.written {
            path.0.extend(fault.path.iter().cloned());
        }
        if let Some(name) = &fault.setting {
            if let Some((read, value)) =
                parameters.iter().find(|read| read.parameter.name == *name).zip(settings.get(name))
            {
                path = read.place(value);
            } else if self.network.settings.contains_key(name) {
                path = model.key(name);
            }
        }
        let rule = match fault.rule.contains("must be ") && !fault.value.is_empty() {
            true => format!("{}, not {}", fault.rule, fault.value),
            false => fault.rule.clone(),
        };
        Problem { mark: findings.places.value_at(&path), path, rule, remedy: fault.remedy.clone() }
    }
}

fn candidates(distribution: &Distribution) -> Vec<serde_json::Value> {
    match distribution.count() {
        Some(count) if count <= MOST_CHECKED => (0..count).filter_map(|at| distribution.value(at)).collect(),
        _ => distribution.samples(),
    }
}

/// A value as it is written in the file.
pub fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
