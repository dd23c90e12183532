//! Verdicts on a learning curve: what is wrong with the fit, how one can see it, and what to change, in order.
//!
//! The crate is pure: a curve and its context go in, findings come out. Each rule has its own file, which first says
//! what it detects and then names its thresholds. Thresholds scale with the curve's own noise, which `series` measures.
//!
//! It judges one trial at a time; what many trials show together is in `sweep-report`. Start with `view`, which has the
//! questions that rules ask, then `plateau`, a short rule, and `finding`.

mod advice;
mod context;
mod diverged;
mod finding;
mod good_fit;
mod low_ceiling;
mod mode_mismatch;
mod outlook;
mod over_regularized;
mod overfit;
mod plateau;
#[cfg(test)]
mod provoked;
mod series;
mod still_improving;
mod stop;
mod stuck;
#[cfg(test)]
mod tests;
mod too_short;
mod underfit;
mod unstable;
mod unvalidated;
mod view;

pub use advice::{Advice, Mirror};
pub use context::{Context, Divergence, Others};
pub use finding::{Evidence, Finding, Name, Severity, Unit, merged_advice, number, percent, significant};
pub use low_ceiling::OTHERS_REACH_MORE;
pub use stop::overfits;

use sweep_core::trial::EpochMetrics;
use view::View;

/// A rule. It returns `None` if the curve does not show the problem.
type Rule = fn(&View) -> Option<Finding>;

/// Rules whose findings make every other verdict meaningless. The first that applies is reported alone.
const FIRST: [Rule; 3] = [diverged::find, mode_mismatch::find, stuck::find];

/// The other rules, causes before symptoms.
const RULES: [Rule; 8] = [
    unvalidated::find,
    low_ceiling::find,
    underfit::find,
    over_regularized::find,
    overfit::find,
    unstable::find,
    still_improving::find,
    plateau::find,
];

/// Judges a curve. Returns at least one finding, causes before symptoms. Epochs or metrics may be missing. A value that
/// is not finite counts as a divergence in that epoch.
pub fn judge(curve: &[EpochMetrics], context: &Context) -> Vec<Finding> {
    let mut findings = found(&View::new(curve, context));
    for finding in &mut findings {
        finding.advice.retain(|advice| !context.followed.contains(advice));
    }
    findings
}

fn found(view: &View) -> Vec<Finding> {
    if let Some(finding) = FIRST.iter().find_map(|rule| rule(view)) {
        return vec![finding];
    }
    if let Some(short) = too_short::find(view) {
        // With few epochs, only findings that are clear are reported.
        let overfit = overfit::find(view).filter(|finding| finding.severity >= Severity::Clear);
        return std::iter::once(short).chain(overfit).collect();
    }
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| rule(view)).collect();
    if findings.iter().all(|finding| finding.severity == Severity::Note) {
        findings.insert(0, good_fit::finding(view));
    }
    findings
}
