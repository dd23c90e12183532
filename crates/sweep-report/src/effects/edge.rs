//! A parameter whose best value is at the edge of what was tried, and whether the results get better all the way to it.

use serde_json::Value;

use crate::format;
use crate::ties::{list, students_t};
use sweep_core::trial::{Goal, Settings};

/// Share of the tried span next to its end that counts as the edge. A search that learns piles its values up there, so
/// the best of them is seldom the very last.
const NEAR: f64 = 0.05;
/// Minimum ratio of the largest to the smallest value for the span to be measured by ratio.
const BY_RATIO: f64 = 20.0;

/// A parameter whose best value is at the edge of the tried values.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// The parameter's name.
    pub setting: String,
    /// The best value.
    pub value: f64,
    /// The outermost value that was tried.
    pub end: f64,
    /// Whether it is the largest value rather than the smallest.
    pub upper: bool,
    /// Whether the results get better toward the edge by more than chance explains. If a parameter has no effect, its
    /// best value is often the first or the last by chance.
    pub proven: bool,
}

impl Edge {
    /// Returns the edge if the best value is there and can go further. A lower edge at 0 cannot. `results` are the
    /// configurations with their metric, best first. Of several with the same best result, all must have that value.
    pub fn of(name: &str, tried: &[&Settings], results: &[(&Settings, f64)], goal: Goal) -> Option<Edge> {
        let number = |settings: &Settings| settings.get(name).and_then(Value::as_f64);
        let (best, least) = results.first()?;
        let value = number(best)?;
        if results.iter().take_while(|(_, metric)| metric == least).any(|(other, _)| number(other) != Some(value)) {
            return None;
        }
        let mut values: Vec<f64> = tried.iter().filter_map(|settings| number(settings)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (first, last) = (*values.first()?, *values.last()?);
        let by_ratio = first > 0.0 && last / first >= BY_RATIO;
        let scale = |value: f64| if by_ratio { value.ln() } else { value };
        let place = (scale(value) - scale(first)) / (scale(last) - scale(first));
        let upper = value == last || place >= 1.0 - NEAR;
        let lower = value > 0.0 && (value == first || place <= NEAR);
        if first == last || !upper && !lower {
            return None;
        }
        let points = results.iter().filter_map(|(settings, metric)| Some((number(settings)?, *metric))).collect();
        let better = correlation(points);
        let toward = if upper == (goal == Goal::Maximize) { better } else { better.map(|(r, count)| (-r, count)) };
        let proven = toward.is_some_and(|(r, count)| is_clear(r, count));
        Some(Edge { setting: name.to_owned(), value, end: if upper { last } else { first }, upper, proven })
    }

    /// What to try.
    pub fn sentence(&self) -> String {
        let Edge { setting, upper, .. } = self;
        let (end, way) = if *upper { ("largest", "larger") } else { ("smallest", "smaller") };
        let [value, last] = [self.value, self.end].map(|value| format::setting(&Value::from(value)));
        if value == last {
            format!("Try a {way} {setting}: the best value ({value}) is the {end} that was tried.")
        } else {
            format!("Try a {way} {setting}: the best value ({value}) is next to the {end} that was tried ({last}).")
        }
    }
}

/// One sentence about the edges without a significant trend toward them.
pub fn unproven(edges: &[Edge]) -> Option<String> {
    let edges: Vec<&Edge> = edges.iter().filter(|edge| !edge.proven).collect();
    let value = |edge: &&Edge| format!("{} ({})", edge.setting, format::setting(&Value::from(edge.value)));
    (!edges.is_empty()).then(|| {
        format!(
            "Best at the edge of what was tried, but without a significant trend toward the edge: {}.",
            list(edges.iter().map(value), ", ")
        )
    })
}

/// Whether a rank correlation of this many configurations is more than chance. Two or three of them can prove nothing,
/// so each only has to be better than the one before.
fn is_clear(r: f64, count: usize) -> bool {
    if count < 4 || r > 0.999_999 {
        return r > 0.999_999;
    }
    let freedom = count as f64 - 2.0;
    // Either end of the range could have been the one.
    r * (freedom / (1.0 - r * r)).sqrt() > students_t(freedom, 2)
}

/// Spearman's rank correlation and the number of points. `None` if all values of one side are equal.
fn correlation(points: Vec<(f64, f64)>) -> Option<(f64, usize)> {
    let (x, y): (Vec<f64>, Vec<f64>) = points.into_iter().unzip();
    let (x, y) = (ranks(&x), ranks(&y));
    let mean = (x.len() as f64 - 1.0) / 2.0;
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let of = (sum(&x, &x) * sum(&y, &y)).sqrt();
    (of > 0.0).then(|| (sum(&x, &y) / of, x.len()))
}

/// The rank of each value from 0. Equal values share the mean of their ranks.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = |value: &f64| {
        let first = sorted.partition_point(|other| other < value);
        let after = sorted.partition_point(|other| other <= value);
        (first + after - 1) as f64 / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The edge of trials with these values and losses.
    fn edge(trials: &[(f64, f64)]) -> Option<Edge> {
        let mut trials = trials.to_vec();
        trials.sort_by(|a, b| a.1.total_cmp(&b.1));
        let settings: Vec<(Settings, f64)> =
            trials.iter().map(|(a, loss)| (sweep_sample::settings(serde_json::json!({"a": a})), *loss)).collect();
        let results: Vec<(&Settings, f64)> = settings.iter().map(|(settings, loss)| (settings, *loss)).collect();
        let tried: Vec<&Settings> = settings.iter().map(|(settings, _)| settings).collect();
        Edge::of("a", &tried, &results, Goal::Minimize)
    }

    #[test]
    fn a_best_value_at_the_end_is_named_unless_nothing_lies_beyond() {
        let found = edge(&[(1.0, 0.5), (2.0, 0.7), (3.0, 0.9)]).expect("the first is the best");
        assert_eq!((found.value, found.upper, found.proven), (1.0, false, true));
        assert_eq!(edge(&[(0.0, 0.5), (0.1, 0.7)]), None, "nothing is below 0");
        assert_eq!(edge(&[(1.0, 0.5), (2.0, 0.5), (3.0, 0.9)]), None, "the first and the second are equally good");
        assert_eq!(edge(&[(1.0, 0.6), (2.0, 0.5), (3.0, 0.9)]), None);
    }

    #[test]
    fn values_that_pile_up_at_the_end_of_their_range_are_at_the_edge() {
        let piled = [0.2, 0.4, 0.6, 0.8, 0.97, 0.98, 0.985, 0.99, 1.0];
        let trials: Vec<(f64, f64)> = piled.map(|a| (a, 2.0 - a + if a == 0.98 { -0.1 } else { 0.0 })).to_vec();
        let found = edge(&trials).expect("0.98 is next to 1.0");
        assert!(found.upper && found.proven, "{found:?}");
        assert_eq!(
            found.sentence(),
            "Try a larger a: the best value (0.98) is next to the largest that was tried (1.0)."
        );
    }

    #[test]
    fn without_a_trend_an_edge_is_no_advice() {
        let trials = [(1.0, 0.7), (2.0, 0.6), (3.0, 0.8), (4.0, 0.65), (5.0, 0.75), (6.0, 0.5)];
        let found = edge(&trials).expect("6 is the best");
        let said = "Best at the edge of what was tried, but without a significant trend toward the edge: a (6.0).";
        assert!(!found.proven && unproven(&[found]).as_deref() == Some(said));
    }
}
