//! Determines the learning rates at which the loss falls (Smith 2017, arXiv 1506.01186), and checks whether the trial's
//! own rate is one of them.

use super::{Finding, Network};
use sweep_core::measurement::Measured;
use sweep_core::recipe::Warmup;

/// Number of steps in the median that smooths the losses of single batches.
const WINDOW: usize = 5;
/// The loss has started to fall once it is this fraction below the loss at the first rates.
const FALLEN: f64 = 0.03;
/// A rate is too high once the loss is this fraction above the loss at the first rates.
const RISEN: f64 = 0.25;
/// Limit in the trial's own first steps: the median of the last losses relative to the first loss.
const WORSE: f64 = 1.5;
/// Limit for a single batch, relative to the first loss. Above it, the weights were thrown far off, even if they
/// recover.
const THROWN: f64 = 4.0;
/// Minimum number of steps before [`WORSE`] applies.
const STEPS: usize = 20;

/// A range of learning rates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lowest rate at which the loss falls.
    pub from: f64,
    /// The rate with the lowest loss. `None` if the loss was still falling at the last rate that was tried.
    pub to: Option<f64>,
    /// The lowest rate at which the loss is far above its initial value.
    pub explodes: Option<f64>,
}

/// Returns the range in which the loss fell. Returns `None` if it did not fall or too few rates were tried.
pub fn range(measured: &Measured) -> Option<Range> {
    let losses: Vec<f64> = measured.rates.iter().map(|(_, loss)| loss.unwrap_or(f64::INFINITY)).collect();
    let smooth: Vec<f64> = (0..losses.len())
        .map(|at| {
            let (from, to) = (at.saturating_sub(WINDOW / 2), (at + WINDOW / 2 + 1).min(losses.len()));
            let mut near = losses[from..to].to_vec();
            near.sort_by(f64::total_cmp);
            near[near.len() / 2]
        })
        .collect();
    let first = smooth.iter().take(WINDOW).sum::<f64>() / smooth.len().clamp(1, WINDOW) as f64;
    let rate = |at: usize| measured.rates[at].0;
    let lowest = (0..smooth.len()).min_by(|a, b| smooth[*a].total_cmp(&smooth[*b]))?;
    let fallen = |at: &usize| smooth[*at] < (1.0 - FALLEN) * first;
    // One or two easy batches before the fall do not count.
    let from = (0..=lowest).rev().take_while(fallen).last()?;
    // The last losses are smoothed over fewer values, so an explosion there is visible only in the losses themselves.
    let explodes = (lowest..losses.len()).find(|at| losses[*at].max(smooth[*at]) > (1.0 + RISEN) * first);
    let to = (lowest + WINDOW < smooth.len() || explodes.is_some()).then(|| rate(lowest));
    Some(Range { from: rate(from), to, explodes: explodes.map(rate) })
}

pub(super) fn check(network: &Network<'_>) -> Option<Finding> {
    let training = &network.recipe.training;
    let own = training.learning_rate;
    let range = range(network.measured);
    let steps = &network.measured.first_steps;
    let first = network.measured.first_loss.unwrap_or(f64::INFINITY);
    let mut late: Vec<f64> = steps.iter().rev().take(WINDOW).map(|loss| loss.unwrap_or(f64::INFINITY)).collect();
    late.sort_by(f64::total_cmp);
    let end = late.get(late.len() / 2).copied().unwrap_or(first);
    let lost = steps.iter().any(Option::is_none);
    let highest = steps.iter().flatten().copied().fold(0.0, f64::max);
    let worse = lost || highest > THROWN * first || steps.len() >= STEPS && end > WORSE * first;
    let fall = range.map_or(String::new(), |range| {
        let to = range.to.map_or(String::new(), |to| format!(" to {to:.1e}"));
        format!("; it falls at learning rates from {:.1e}{to}", range.from)
    });
    let advised = range.and_then(|range| range.to).map(|to| (to / 10.0).max(f64::MIN_POSITIVE));
    // Warmup and gradient clipping exist to make high rates possible.
    let explodes = range.and_then(|range| range.explodes).filter(|explodes| {
        own >= *explodes && training.schedule.warmup == Warmup::Steps(0) && training.clip_norm.is_none()
    });
    let evidence = match (lost, explodes) {
        (true, _) => format!("the loss is not finite after {} steps at {own}{fall}", steps.len()),
        _ if worse => format!(
            "{} steps at {own} change the loss from {first:.2} to {end:.2} (maximum {highest:.2}){fall}",
            steps.len()
        ),
        (_, Some(explodes)) => format!("with a rising learning rate, the loss explodes from {explodes:.1e} on{fall}"),
        _ => return None,
    };
    Some(Finding {
        name: "learning_rate",
        serious: true,
        verdict: format!("the learning rate {own} is too high for this network"),
        evidence,
        remedy: match advised {
            Some(rate) => format!("use about {rate:.0e}, a tenth of the learning rate at which the loss is lowest"),
            None => "divide it by 10".into(),
        },
    })
}
