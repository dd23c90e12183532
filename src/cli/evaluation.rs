//! The best configuration on validation and test images, once a sweep is complete.

use super::predict::predicted;
use crate::agent::Launcher;
use sweep_core::error::Result;
use sweep_core::evaluation::{Confusion, Evaluation, Worst};
use sweep_core::history::History;
use sweep_core::protocol::{BEST_WEIGHTS, Predict, Predicted, Subject};
use sweep_core::trial::TrialId;
use sweep_report::ranking::{Ranking, groups};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Name of the image of the worst validation images.
const WORST: &str = "worst.png";

/// Measures the best configuration and writes `evaluation.json`, unless that was done before. No other code uses the
/// test images. Returns `None` if there is nothing to do: no weights were kept, or the file is there.
///
/// # Errors
/// Returns the error of the trainer, or one if the file cannot be written.
pub fn measure(layout: &Layout, spec: &Spec, history: &History, trainer: &Launcher) -> Result<Option<Evaluation>> {
    let ranking = Ranking::new(history, &spec.metric);
    let groups = groups(&ranking, &spec.metric);
    let has_weights = |id: &TrialId| layout.trial(*id).join(BEST_WEIGHTS).is_file();
    let placed = ranking.placed.iter().map(|place| place.trial.id);
    let Some(best) = groups.first() else { return Ok(None) };
    // The best of the configuration's repeats.
    let Some(trial) = placed.into_iter().find(|id| best.trials.contains(id) && has_weights(id)) else {
        return Ok(None);
    };
    let before = sweep_report::evaluation(layout);
    if before.as_ref().is_some_and(|before| before.trial == trial) {
        return Ok(None);
    }
    let ask = |trial: TrialId, images: Subject, mirror: bool| {
        let worst = (images == Subject::Validation).then(|| layout.root().join(WORST));
        predicted(&Predict { weights: layout.trial(trial).join(BEST_WEIGHTS), images, worst, mirror }, trainer)
    };
    let validation = ask(trial, Subject::Validation, false)?;
    // Where the classes are the same for mirror images, training says so.
    let mirrors = spec.recipe(best.settings).is_ok_and(|recipe| recipe.data.augment.flip);
    let (mut tests, mut mirrored) = (Vec::new(), Vec::new());
    for id in best.trials.iter().copied().filter(has_weights) {
        let test = ask(id, Subject::Test, false)?;
        if test.images.is_empty() {
            break;
        }
        tests.push((id, confusion(&test)));
        if mirrors {
            mirrored.push((id, confusion(&ask(id, Subject::Test, true)?)));
        }
    }
    let tested_before = before.map_or(0, |before| before.tested_before + u32::from(!before.tests.is_empty()));
    let worst = worst(&validation);
    let classes = validation.classes.clone();
    let validation = confusion(&validation);
    let evaluation = Evaluation { classes, trial, validation, worst, tests, mirrored, tested_before };
    sweep_report::write_evaluation(layout, &evaluation)?;
    Ok(Some(evaluation))
}

fn confusion(predicted: &Predicted) -> Confusion {
    let pairs = predicted.images.iter().filter_map(|image| image.label.zip(image.class()));
    Confusion::of(predicted.classes.len(), pairs)
}

fn worst(predicted: &Predicted) -> Vec<Worst> {
    let images = predicted.worst().into_iter().map(|at| &predicted.images[at]);
    let worst = images.filter_map(|image| {
        let (label, predicted) = image.label.zip(image.class())?;
        Some(Worst { label, predicted, probability: image.probabilities[predicted].into() })
    });
    worst.collect()
}
