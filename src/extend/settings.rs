//! Rewrites the parameters of old trials for a new file. A parameter that only the new file varies is added with the
//! value that it had. A parameter that the new file no longer varies is removed if it equals the fixed value.

use serde_json::Value;

use sweep_core::history::History;
use sweep_core::recipe::Recipe;
use sweep_core::trial::{Settings, TrialId};
use sweep_spec::Spec;

/// Maximum number of values of a parameter that are tried to find its old value.
const MOST_VALUES: u64 = 64;

/// Maximum number of combinations that are tried for one trial.
const MOST_TRIED: usize = 4096;

/// The parameters that change, by trial. The recipe is the same before and after.
///
/// # Errors
/// Returns the first trial that the new file would train differently, however its parameters are named.
pub fn rewritten(old: &Spec, new: &Spec, history: &History) -> Result<Vec<(TrialId, Settings)>, TrialId> {
    let mut values: Vec<Settings> = Vec::new();
    let mut rewritten = Vec::new();
    for trial in &history.trials {
        let settings = match (new.program(), old.recipe(&trial.settings)) {
            // Only the program knows how it handles a parameter that it was not given.
            (Some(_), _) => trial.settings.clone(),
            (None, Ok(recipe)) => {
                let missing: Vec<&str> = names(new).filter(|name| !trial.settings.contains_key(*name)).collect();
                let is_it = |settings: &Settings| new.recipe(settings).is_ok_and(|other| other == recipe);
                let known = values.iter().map(|values| with(&trial.settings, values)).find(&is_it);
                let filled = match known {
                    Some(filled) => filled,
                    None => {
                        let found = filled(old, new, &trial.settings, &missing, &recipe).ok_or(trial.id)?;
                        values.push(found.clone());
                        with(&trial.settings, &found)
                    }
                };
                without(new, filled, is_it)
            }
            (None, Err(_)) => return Err(trial.id),
        };
        let settings = new.space.own(&settings).unwrap_or_else(|| ordered(new, settings));
        if !settings.iter().eq(&trial.settings) {
            rewritten.push((trial.id, settings));
        }
    }
    Ok(rewritten)
}

/// The names of the parameters.
fn names(spec: &Spec) -> impl Iterator<Item = &str> {
    spec.space.parameters.iter().map(|parameter| parameter.name.as_str())
}

/// Adds `values` to a trial's parameters. Existing values are kept.
fn with(settings: &Settings, values: &Settings) -> Settings {
    values.iter().chain(settings).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Values of the `missing` parameters with which the new file gives the same recipe. They are the values that the old
/// file fixed, or else values from the new file. A parameter that the trial does not need has no value.
fn filled(old: &Spec, new: &Spec, settings: &Settings, missing: &[&str], recipe: &Recipe) -> Option<Settings> {
    let candidates = |name: &str| -> Vec<Option<Value>> {
        let parameter = new.space.parameters.iter().find(|parameter| parameter.name == name);
        let distribution = parameter.map(|parameter| &parameter.distribution);
        let count = distribution.and_then(|distribution| distribution.count()).unwrap_or(0).min(MOST_VALUES);
        let values = (0..count).filter_map(|at| distribution?.value(at));
        // If the old file does not set the value, its recipe has the resulting default.
        let default = match name {
            "learning_rate" => Some(recipe.training.learning_rate.into()),
            "weight_decay" => Some(recipe.training.weight_decay.into()),
            _ => None,
        };
        let constant = old
            .network()
            .and_then(|network| network.constant(name))
            .filter(|value| !value.is_null() || default.is_none());
        constant.into_iter().chain(default).chain(values).map(Some).chain([None]).collect()
    };
    let candidates: Vec<Vec<Option<Value>>> = missing.iter().map(|name| candidates(name)).collect();
    let all = candidates.iter().fold(1_usize, |all, one| all.saturating_mul(one.len()));
    let combination = |mut number: usize| -> Settings {
        let mut values = Settings::new();
        for (name, candidates) in missing.iter().zip(&candidates) {
            if let Some(value) = &candidates[number % candidates.len()] {
                values.insert((*name).to_owned(), value.clone());
            }
            number /= candidates.len();
        }
        values
    };
    let found = |values: &Settings| new.recipe(&with(settings, values)).is_ok_and(|other| other == *recipe);
    let mut fit = (0..all.min(MOST_TRIED)).map(combination).filter(found);
    // Of the combinations that give the same recipe, one that is a configuration of the new file is preferred.
    let first = fit.next()?;
    let is_point =
        |values: &Settings| new.space.own(&without(new, with(settings, values), |_: &Settings| true)).is_some();
    Some(std::iter::once(first.clone()).chain(fit).find(is_point).unwrap_or(first))
}

/// Removes parameters that the new file does not vary, or not in such a trial, if that makes no difference.
fn without(new: &Spec, mut settings: Settings, is_it: impl Fn(&Settings) -> bool) -> Settings {
    let varies = |name: &str| {
        let parameter = new.space.parameters.iter().find(|parameter| parameter.name == name);
        parameter.is_some_and(|one| one.when.as_ref().is_none_or(|when| new.space.is_so(when, &settings)))
    };
    let surplus: Vec<String> = settings.keys().filter(|name| !varies(name)).cloned().collect();
    for name in surplus {
        let mut less = settings.clone();
        less.shift_remove(&name);
        if is_it(&less) {
            settings = less;
        }
    }
    settings
}

/// Sorts parameters in the order of the new file. Parameters that it does not vary are last.
fn ordered(new: &Spec, mut settings: Settings) -> Settings {
    let mut ordered: Settings = names(new).filter_map(|name| settings.shift_remove_entry(name)).collect();
    ordered.extend(settings);
    ordered
}
