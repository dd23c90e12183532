//! Verdicts on a learning curve: what is wrong with the fit, how one can see it, and what to change, in order.
//!
//! The crate is pure: a curve and its context go in, findings come out. Each rule has its own file, which first says
//! what it detects and then names its thresholds. Thresholds scale with the curve's own noise, which `series` measures.
//!
//! It judges one trial at a time; what many trials show together is in `sweep-report`. Start with `view`, which has the
//! questions that rules ask, then `plateau`, a short rule, and `finding`.

mod accuracy_unusable;
mod advice;
#[cfg(test)]
mod cases;
mod context;
#[cfg(test)]
mod corpus;
mod declining;
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
#[cfg(test)]
mod said;
mod series;
mod still_improving;
mod stop;
mod stuck;
mod task;
#[cfg(test)]
mod tests;
mod too_short;
mod turn;
mod underfit;
mod unstable;
mod unvalidated;
mod validation_at_chance;
mod view;
mod worsening;

pub use advice::{Advice, Mirror};
pub use context::{Context, Divergence, Others};
pub use finding::{Evidence, Finding, Learning, Name, Severity, Unit, merged_advice, number, percent, significant};
pub use low_ceiling::OTHERS_REACH_MORE;
pub use stop::overfits;
pub use task::Task;

use std::cmp::Reverse;

use series::Series;
#[cfg(test)]
use sweep_core::trial::Goal;
use sweep_core::trial::{EpochMetrics, Metric};
use view::View;

/// A rule. It returns `None` if the curve does not show the problem.
type Rule = fn(&View) -> Option<Finding>;

/// Rules whose findings make every other verdict meaningless. The first that applies is reported alone.
const FIRST: &[Rule] = &[diverged::find, worsening::find, mode_mismatch::find, stuck::find, validation_at_chance::find];

/// The other rules, causes before symptoms.
const RULES: &[Rule] = &[
    unvalidated::find,
    low_ceiling::find,
    underfit::find,
    over_regularized::find,
    overfit::find,
    declining::find,
    still_improving::find,
    unstable::find,
    plateau::find,
];

/// Returns the standard deviation of a metric around its smooth curve, from one epoch to the next. `None` if there are
/// too few epochs to measure it.
pub fn noise(curve: &[EpochMetrics], metric: &Metric) -> Option<f64> {
    let points = curve.iter().filter_map(|epoch| Some((epoch.epoch, epoch.get(&metric.name)?)));
    Series::new(metric.goal, points)?.measured_noise()
}

/// Judges a curve. Returns at least one finding, causes before symptoms. Epochs or metrics may be missing. A value that
/// is not finite counts as a divergence in that epoch.
pub fn judge(curve: &[EpochMetrics], context: &Context) -> Vec<Finding> {
    let view = View::new(curve, context);
    let mut findings = found(&view);
    findings.extend(view.unusable.as_ref().map(accuracy_unusable::finding));
    let is_lowered = findings.iter().any(|finding| finding.advice.contains(&Advice::LowerLearningRate));
    for finding in &mut findings {
        finding.task = context.task;
        let advice = std::mem::take(&mut finding.advice).into_iter();
        let advice = advice.filter_map(|advice| advice.suited(context.task));
        let advice = advice.filter(|advice| *advice != Advice::HigherLearningRate || !is_lowered);
        finding.advice = advice.filter(|advice| context.can_follow(*advice)).collect();
        finding.advice.sort_unstable();
        finding.advice.dedup();
    }
    findings
}

fn found(view: &View) -> Vec<Finding> {
    if let Some(finding) = FIRST.iter().find_map(|rule| rule(view)) {
        return vec![finding];
    }
    if let Some(short) = too_short::find(view) {
        // With few epochs, only findings that are clear are reported, and losses alone are far apart by chance.
        let is_told = |finding: &Finding| finding.onset().is_some() || view.accuracy_gap().is_some();
        let overfit = overfit::find(view).filter(|finding| finding.severity >= Severity::Clear && is_told(finding));
        return match overfit {
            Some(overfit) => vec![overfit],
            None => [Some(short), unvalidated::find(view)].into_iter().flatten().collect(),
        };
    }
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| rule(view)).collect();
    if findings.iter().all(|finding| finding.severity == Severity::Note || finding.name == Name::Unstable)
        && let Some(unfinished) = still_improving::unfinished(view)
    {
        findings.retain(|finding| finding.name != Name::Plateau);
        findings.push(unfinished);
    }
    let is_open = |finding: &Finding| matches!(finding.name, Name::Unvalidated | Name::Unstable);
    if findings.iter().all(|finding| finding.severity == Severity::Note || is_open(finding)) {
        findings.extend(good_fit::unmoved(view));
    }
    if findings.iter().all(|finding| finding.severity == Severity::Note) {
        let first = good_fit::objection(view).unwrap_or_else(|| good_fit::finding(view));
        findings.retain(|finding| finding.name != first.name);
        findings.insert(0, first);
    }
    // Beside a worse problem, small swings are a detail. Large ones need smaller steps, whatever the problem is.
    let cause = findings.iter().filter(|finding| !finding.name.is_course()).map(|finding| finding.severity).max();
    findings
        .retain(|finding| finding.name != Name::Unstable || Some(finding.severity) >= cause.min(Some(Severity::Clear)));
    // What describes only the course of a curve comes after causes, and the worst of it first.
    let place = |finding: &Finding| (Reverse(finding.severity), finding.name == Name::Unstable);
    findings.sort_by_key(|finding| finding.name.is_course().then(|| place(finding)));
    findings
}
