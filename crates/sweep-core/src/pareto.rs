//! Several metrics at once: which trials no other trial beats in every one of them, and in what order the others follow.
//! Pure.

use crate::history::TrialRecord;
use crate::trial::{EpochMetrics, Goal, METRICS, Metric};

/// What a trial costs, as a metric: trainable weights, seconds of an epoch, energy in kilojoules. Less is better.
pub const COSTS: [&str; 3] = ["parameters", "seconds_per_epoch", "energy_kj"];

/// Maximum number of metrics that are traded off.
pub const MOST_METRICS: usize = 3;

/// Share of the range by which the reference point of the hypervolume lies beyond the worst values.
const BEYOND: f64 = 0.1;

/// Returns a trial's value of a metric, at the best epoch of the metric that ranks.
pub fn value(trial: &TrialRecord, metric: &Metric, best: &EpochMetrics, ranks: &Metric) -> Option<f64> {
    let seconds: Vec<f64> = trial.curve.iter().filter_map(|epoch| epoch.seconds).collect();
    match metric.name.as_str() {
        name if name == ranks.name => best.get(name),
        "parameters" if trial.parameters.is_some() => trial.parameters.map(|count| count as f64),
        "seconds_per_epoch" if !seconds.is_empty() => Some(seconds.iter().sum::<f64>() / seconds.len() as f64),
        "energy_kj" if trial.joules.is_some() => trial.joules.map(|joules| joules / 1e3),
        name if METRICS.contains(&name) => best.get(name),
        name => trial.other(name, best.epoch),
    }
}

/// Converts a value of a metric so that lower is better.
pub fn loss(value: f64, goal: Goal) -> f64 {
    if goal == Goal::Minimize { value } else { -value }
}

/// Returns whether `a` is at least as good as `b` everywhere, and better somewhere. Less is better.
fn beats(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// Returns the number of each point's front, from 0. No point dominates another point of its own front, and no point
/// dominates a point of front 0. Lower values are better.
pub fn fronts(points: &[Vec<f64>]) -> Vec<usize> {
    let mut fronts = vec![usize::MAX; points.len()];
    let mut left: Vec<usize> = (0..points.len()).collect();
    let mut front = 0;
    while !left.is_empty() {
        let is_first = |at: &usize| !left.iter().any(|other| beats(&points[*other], &points[*at]));
        let first: Vec<usize> = left.iter().copied().filter(is_first).collect();
        first.iter().for_each(|at| fronts[*at] = front);
        left.retain(|at| fronts[*at] == usize::MAX);
        front += 1;
    }
    fronts
}

/// Returns the points from best to worst, by index: by front, and within a front by the hypervolume that only the point
/// covers, largest first. Among equals the earlier one comes first.
pub fn order(points: &[Vec<f64>]) -> Vec<usize> {
    let fronts = fronts(points);
    let scaled = scaled(points);
    let mut keys: Vec<(usize, f64, usize)> = Vec::with_capacity(points.len());
    for front in 0..fronts.iter().max().map_or(0, |most| most + 1) {
        let members: Vec<usize> = (0..points.len()).filter(|at| fronts[*at] == front).collect();
        let of_front: Vec<&[f64]> = members.iter().map(|at| scaled[*at].as_slice()).collect();
        let whole = hypervolume(&of_front);
        for (place, at) in members.iter().enumerate() {
            let mut others = of_front.clone();
            others.remove(place);
            keys.push((front, whole - hypervolume(&others), *at));
        }
    }
    keys.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    keys.into_iter().map(|(_, _, at)| at).collect()
}

/// Scales every metric so that its best value is 0 and the reference is 1.
fn scaled(points: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let metrics = points.first().map_or(0, Vec::len);
    let range = |metric: usize| {
        let values = || points.iter().map(move |point| point[metric]);
        let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        (least, ((most - least) * (1.0 + BEYOND)).max(f64::MIN_POSITIVE))
    };
    let ranges: Vec<(f64, f64)> = (0..metrics).map(range).collect();
    let scale = |point: &Vec<f64>| point.iter().zip(&ranges).map(|(x, (least, span))| (x - least) / span).collect();
    points.iter().map(scale).collect()
}

/// Returns the volume between the points and the reference (1, 1, …), by slices along the last metric.
fn hypervolume(points: &[&[f64]]) -> f64 {
    let Some(last) = points.first().map(|point| point.len() - 1) else { return 0.0 };
    if last == 0 {
        return 1.0 - points.iter().map(|point| point[0]).fold(1.0, f64::min);
    }
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a[last].total_cmp(&b[last]));
    let slice = |at: usize| {
        let until = sorted.get(at + 1).map_or(1.0, |next| next[last]);
        let below: Vec<&[f64]> = sorted[..=at].iter().map(|point| &point[..last]).collect();
        (until - sorted[at][last]) * hypervolume(&below)
    };
    (0..sorted.len()).map(slice).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(points: &[[f64; 2]]) -> Vec<Vec<f64>> {
        points.iter().map(|point| point.to_vec()).collect()
    }

    #[test]
    fn a_front_is_beaten_only_by_earlier_ones() {
        let all = points(&[[1.0, 5.0], [2.0, 2.0], [5.0, 1.0], [3.0, 3.0], [6.0, 6.0], [2.0, 2.0]]);
        assert_eq!(fronts(&all), [0, 0, 0, 1, 2, 0]);
        assert_eq!(fronts(&[]), Vec::<usize>::new());
    }

    #[test]
    fn within_a_front_the_order_is_by_what_a_point_alone_covers() {
        // The second and the third point are close together, so each adds little; the third adds less.
        let all = points(&[[0.0, 1.0], [0.4, 0.4], [0.42, 0.39], [1.0, 0.0], [0.9, 0.9]]);
        let order = order(&all);
        assert_eq!(order, [0, 3, 1, 2, 4]);
    }

    #[test]
    fn the_hypervolume_of_boxes_is_that_of_their_union() {
        let volume = |points: &[&[f64]]| (hypervolume(points) * 1e6).round() / 1e6;
        assert_eq!(volume(&[&[0.5, 0.5]]), 0.25);
        assert_eq!(volume(&[&[0.5, 0.5], &[0.0, 0.9]]), 0.3);
        assert_eq!(volume(&[&[0.5, 0.5, 0.5], &[0.0, 0.5, 0.9]]), 0.125 + 0.5 * 0.5 * 0.1);
    }
}
