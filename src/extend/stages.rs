//! The next stage of a sweep: the sweep file that follows from the results of the current one. Pure, except that `read`
//! may inspect the data of the new file.

use serde_json::Value;

use super::{Growth, Refusal};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{History, Stage, TrialRecord};
use sweep_core::space::same;
use sweep_core::trial::Settings;
use sweep_report::analysis::Analysis;
use sweep_report::{next_stage, stages};
use sweep_spec::{From, Spec};

/// A stage that begins.
pub struct Next {
    /// Its file.
    pub spec: Spec,
    /// The text of the file.
    pub text: String,
    /// What it changes.
    pub growth: Growth,
    pub stage: Stage,
}

/// Returns the stage that follows once all trials have ended. It follows from the file and the results alone. `None` if no
/// stage is left, or if a trial has reached the target.
///
/// # Errors
/// If there are no results that it could follow from, or if it would not be comparable.
pub fn next(text: &str, spec: &Spec, history: &History, read: impl Fn(&str) -> Result<Spec>) -> Result<Option<Next>> {
    let Some(stage) = spec.stages.first().filter(|_| stages::follow(spec, history)) else { return Ok(None) };
    let number = history.stage() + 1;
    let begun = history.trials.len() as u64;
    let analysis = Analysis::new(spec, history);
    if !analysis.ranking.placed.iter().any(|place| place.trial.id.0 > history.apart() as u64) {
        let what = format!("stage {number} cannot begin: no trial of stage {} has a {}", number - 1, spec.metric.name);
        return Err(Error::new(Exit::TrialsFailed, what)
            .hint("`sweep status` lists the failures; fix them, then run: sweep resume --retry-failed"));
    }
    let own = stage.keys.get("run_cap").and_then(serde_yaml::Value::as_u64).or_else(|| {
        let before = history.extensions.last().map_or(0, |extension| extension.begun as u64);
        spec.run_cap.map(|cap| cap.saturating_sub(before))
    });
    let cap = own.filter(|_| stage.from == From::Next).map(|own| own + begun);
    let file = |cap| -> Result<(String, Spec)> {
        let text = next_stage(text, &spec.base, &analysis, stage, cap)
            .ok_or_else(|| Error::new(Exit::Internal, format!("stage {number} has no valid sweep file")))?;
        let spec = read(&text)?;
        Ok((text, spec))
    };
    let (mut text, mut new) = file(cap)?;
    // What remains to be done later changes nothing now.
    let old = Spec { stages: new.stages.clone(), ..spec.clone() };
    let grow = |new: &Spec| Growth::new(&old, new, history).map_err(|refusal| refused(&refusal, number));
    let mut growth = grow(&new)?;
    if matches!(stage.from, From::Top(_)) {
        (text, new) = file(Some(begun + owed(&new, &growth, history)))?;
        growth = grow(&new)?;
    }
    let apart = stage.constants().iter().any(|(name, value)| {
        let value = serde_json::to_value(value).unwrap_or_default();
        let is_same = |settings: &Settings| settings.get(name).is_some_and(|own| same(own, &value));
        !history.trials[history.apart()..].iter().all(|trial| is_same(settings(trial, &growth)))
    });
    Ok(Some(Next { spec: new, text, growth, stage: Stage { number, apart } }))
}

/// Returns a trial's parameters as the new file has them.
fn settings<'a>(trial: &'a TrialRecord, growth: &'a Growth) -> &'a Settings {
    let changed = growth.settings.iter().find(|(id, _)| *id == trial.id);
    changed.map_or(&trial.settings, |(_, settings)| settings)
}

/// Returns the number of trials that the listed configurations lack.
fn owed(new: &Spec, growth: &Growth, history: &History) -> u64 {
    let mut points: Vec<Settings> =
        new.enqueue.iter().map(|point| new.space.own(point).unwrap_or(point.clone())).collect();
    points.dedup_by_key(|point| Value::Object(point.clone()).to_string());
    let lacks = |point: &Settings| {
        let tried = history.trials.iter().filter(|trial| settings(trial, growth) == point).count();
        u64::from(new.repeats).saturating_sub(tried as u64)
    };
    points.iter().map(lacks).sum()
}

fn refused(refusal: &Refusal, number: u32) -> Error {
    let what = format!(
        "stage {number} cannot begin: its trials could not be compared with the earlier ones\n  {}",
        refusal.reasons.join("\n  ")
    );
    Error::new(Exit::Usage, what)
        .hint("remove this key from the stage; `sweep extend` can replace the stages that are left")
}
