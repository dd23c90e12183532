//! The stages of a sweep: which one runs, and what began with each.

use super::format;
use sweep_core::history::{Extension, History, Stage};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// Returns whether other stages follow the current one.
pub fn follow(spec: &Spec, history: &History) -> bool {
    !spec.stages.is_empty() && !Search::resumed(spec.search_terms(), history).has_reached(history)
}

/// Returns the current stage and the number of stages. `None` for a sweep without stages.
pub fn current(spec: &Spec, history: &History) -> Option<(u32, u32)> {
    let current = history.stage();
    let all = current + u32::try_from(spec.stages.len()).unwrap_or(u32::MAX);
    (all > 1).then_some((current, all))
}

/// The beginning of a stage, in one sentence.
pub fn sentence(extension: &Extension, stage: &Stage) -> String {
    let changes = extension.changes.iter().map(|change| format::clean(change)).collect::<Vec<_>>().join("; ");
    let apart = match stage.apart {
        true => " Earlier trials are not comparable with its trials, and are not ranked.",
        false => "",
    };
    format!(
        "Stage {} began after {}{}{changes}.{apart}",
        stage.number,
        format::trials(extension.begun),
        if changes.is_empty() { "" } else { ": " }
    )
}
