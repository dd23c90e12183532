//! Changes of a parameter's values. Values that are clearly worse are removed, and values beyond a best one at the edge
//! are added.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::super::effects::{Edge, Effects};
use super::super::format;
use super::super::verdicts::is_meaningless;

/// Margin on both sides of a narrowed range, as a share of the span of the best trials.
const AIR: f64 = 0.25;
/// The best trials that determine a range: at least [`LEAST`], and at least this share ([`BEST`]) of all.
const LEAST: usize = 5;
const BEST: f64 = 0.1;
/// Minimum ratio of largest to smallest value for a positive range to be treated as logarithmic.
const BY_RATIO: f64 = 20.0;

/// Maximum ratio between the next value and the edge, if the values are spaced by ratio.
const RATIO: f64 = 4.0;
/// Maximum distance of the next value from the edge, as a share of the tried span, if the values are not spaced by
/// ratio.
const STEP: f64 = 0.5;
/// Maximum ratio between the new end of a range and the old one, if it is drawn by ratio.
const RATIO_OF_RANGE: f64 = 10.0;

/// Proposed tables for a parameter, each with its reason. Alternatives are in the order in which they should be tried.
pub fn changes(name: &str, table: &Mapping, analysis: &Analysis) -> Vec<(Value, String)> {
    let Some(effects) = &analysis.effects else { return Vec::new() };
    let edge = effects.edges.iter().find(|edge| edge.setting == name && edge.proven);
    if let Some(values) = table.get("values").and_then(Value::as_sequence).filter(|_| table.len() == 1) {
        let (kept, gone) = without_worse(name, values, analysis, effects);
        let more = edge.and_then(|edge| Some((beyond(edge, values)?, edge)));
        let list = |values: Vec<Value>| Mapping::from_iter([("values".into(), Value::Sequence(values))]).into();
        let extended = |values: &[Value]| {
            let (value, edge) = more.as_ref()?;
            let mut values = values.to_vec();
            // The list may be ascending or descending.
            let first = values.first().and_then(Value::as_f64) == Some(edge.value);
            values.insert(if first { 0 } else { values.len() }, value.clone());
            Some((
                values,
                format!("The best value, {}, is at the edge of what was tried.", format::setting(&edge.value.into())),
            ))
        };
        let mut found = Vec::new();
        if let Some((values, reason)) = extended(&kept) {
            found.push((list(values), format!("{gone} {reason}")));
        }
        if !gone.is_empty() {
            found.push((list(kept), gone));
        }
        found.extend(extended(values).map(|(values, reason)| (list(values), reason)));
        return found;
    }
    let Some(range) = Range::of(table) else { return Vec::new() };
    let (ends, reason) = match edge {
        Some(edge) => range.moved(edge, analysis),
        None => match range.narrowed(name, analysis, effects) {
            Some(found) => found,
            None => return Vec::new(),
        },
    };
    range.table(table, ends).map(|table| (table, reason)).into_iter().collect()
}

/// The values that are not clearly worse than the best, and a sentence on those that are.
fn without_worse(name: &str, values: &[Value], analysis: &Analysis, effects: &Effects) -> (Vec<Value>, String) {
    let nothing = (values.to_vec(), String::new());
    let Some(at) = effects.factors.iter().position(|factor| factor.name == name) else { return nothing };
    let (factor, Some(model)) = (&effects.factors[at], &effects.metric.model) else { return nothing };
    let best = analysis.groups.first().and_then(|best| factor.level(best.settings.get(name)?));
    let Some(best) = best else { return nothing };
    let level = |value: &Value| serde_json::to_value(value).ok().and_then(|value| factor.level(&value));
    let worse = |value: &Value| {
        let difference = model.difference(at, level(value)?, best)?;
        let worse = effects.metric.goal.better(0.0, difference.value);
        (worse && difference.margin.is_some_and(|margin| margin < difference.value.abs())).then_some(difference)
    };
    // A value of one of the best trials is kept, even if the mean of its level is worse.
    let tied = |value: &Value| {
        let has = |settings: &sweep_core::trial::Settings| {
            settings.get(name).and_then(|own| factor.level(own)) == level(value)
        };
        analysis.ties.trials.iter().filter_map(|id| analysis.history.trial(*id)).any(|trial| has(&trial.settings))
    };
    let (gone, kept): (Vec<Value>, Vec<Value>) =
        values.iter().cloned().partition(|value| worse(value).is_some() && !tied(value));
    let said = gone.iter().filter_map(|value| {
        let by = effects.metric.size(worse(value)?);
        Some(format!("{} (by {by})", factor.levels[level(value)?]))
    });
    let said = said.collect::<Vec<_>>().join(", ");
    if said.is_empty() {
        return nothing;
    }
    let (metric, best) = (&effects.metric.words, &factor.levels[best]);
    (kept, format!("Removed, because {metric} is clearly worse than with {best}: {said}."))
}

/// The next value beyond the edge, with the spacing of the values before it, within limits.
fn beyond(edge: &Edge, values: &[Value]) -> Option<Value> {
    let mut numbers: Vec<f64> = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
    numbers.sort_by(f64::total_cmp);
    let [.., last] = numbers[..] else { return None };
    let (end, neighbor) =
        if edge.upper { (last, *numbers.get(numbers.len().checked_sub(2)?)?) } else { (numbers[0], *numbers.get(1)?) };
    let ratio = end / neighbor;
    let by_ratio = neighbor > 0.0 && (ratio >= 1.9 || ratio <= 1.0 / 1.9) && values.len() + 1 > 2 && last <= 1e9;
    let far = STEP * (last - numbers[0]);
    let next = if by_ratio && numbers[0] > 0.0 {
        end * ratio.clamp(1.0 / RATIO, RATIO)
    } else {
        end + (end - neighbor).clamp(-far, far)
    };
    let whole = values.iter().all(|value| value.is_i64() || value.is_u64());
    let next = if whole { next.round() } else { rounded(next) };
    let value = if whole { Value::from(next as i64) } else { Value::from(next) };
    (next > 0.0 && !numbers.contains(&next)).then_some(value)
}

/// A parameter that is drawn between `min` and `max`.
struct Range {
    min: f64,
    max: f64,
    whole: bool,
    by_ratio: bool,
}

impl Range {
    /// `None` if the table has no such ends, or ends that are exponents, as under W&B's old names of distributions.
    fn of(table: &Mapping) -> Option<Range> {
        let (low, high) = (table.get("min")?, table.get("max")?);
        let named = table.get("distribution").and_then(Value::as_str).unwrap_or_default();
        let (min, max) = (low.as_f64()?, high.as_f64()?);
        let by_ratio = min > 0.0 && (named.contains("log") || max / min >= BY_RATIO);
        (!named.ends_with("log_uniform")).then_some(Range { min, max, whole: low.is_i64() && high.is_i64(), by_ratio })
    }

    fn scale(&self, value: f64) -> f64 {
        if self.by_ratio { value.ln() } else { value }
    }

    fn unscale(&self, value: f64) -> f64 {
        if self.by_ratio { value.exp() } else { value }
    }

    /// The values of a parameter in the trials that mean something, best first.
    fn tried<'a>(name: &'a str, analysis: &'a Analysis) -> impl Iterator<Item = f64> + 'a {
        let sound = analysis.ranking.placed.iter().map(|place| place.trial);
        let sound = sound.filter(|trial| !is_meaningless(trial, analysis.verdicts.of(trial.id)));
        sound.filter_map(|trial| trial.settings.get(name)?.as_f64())
    }

    /// The half of the range in which the results were better, and as much beyond the edge toward which they get better.
    fn moved(&self, edge: &Edge, analysis: &Analysis) -> ([f64; 2], String) {
        let mut tried: Vec<f64> = Range::tried(&edge.setting, analysis).map(|value| self.scale(value)).collect();
        tried.sort_by(f64::total_cmp);
        let (min, max) = (self.scale(self.min), self.scale(self.max));
        let median = tried.get(tried.len() / 2).copied().unwrap_or((min + max) / 2.0);
        let beyond = if self.by_ratio { (max - min).min(RATIO_OF_RANGE.ln()) } else { max - min };
        let air = 0.05 * (max - min);
        let best = self.scale(edge.value);
        let ends = match edge.upper {
            true => [median.min(best - air).max(min), max + beyond],
            false => [min - beyond, median.max(best + air).min(max)],
        };
        let [low, high] = ends.map(|end| self.unscale(end));
        // A positive range stays positive, and a share below 1.
        let low = if self.min >= 0.0 { low.max(0.0) } else { low };
        let is_share = self.min >= 0.0 && self.max < 1.0 && !self.by_ratio;
        let high = if is_share { high.min((1.0 + self.max) / 2.0) } else { high };
        let reason = format!(
            "Results get better toward the {} edge (best value: {}). The range was {} to {}.",
            if edge.upper { "upper" } else { "lower" },
            rounded(edge.value),
            rounded(self.min),
            rounded(self.max)
        );
        ([low, high], reason)
    }

    /// The part of the range in which the best trials are. `None` if there are too few trials, or if the parameter is not
    /// proven to have an effect: then the best trials are where they are by chance.
    fn narrowed(&self, name: &str, analysis: &Analysis, effects: &Effects) -> Option<([f64; 2], String)> {
        let at = effects.factors.iter().position(|factor| factor.name == name)?;
        let all: Vec<f64> = Range::tried(name, analysis).collect();
        let count = ((all.len() as f64 * BEST) as usize).max(LEAST);
        if all.len() < 2 * LEAST || !effects.metric.is_proven(&effects.factors, at) {
            return None;
        }
        let best = all[..count].iter().copied();
        let least = self.scale(best.clone().fold(f64::INFINITY, f64::min));
        let most = self.scale(best.fold(f64::NEG_INFINITY, f64::max));
        let (min, max) = (self.scale(self.min), self.scale(self.max));
        let air = (AIR * (most - least)).max(0.05 * (max - min));
        let ends = [(least - air).max(min), (most + air).min(max)].map(|end| self.unscale(end));
        let reason = format!(
            "The best {} trials are between {} and {}. The range was {} to {}.",
            format::count(count as u64),
            rounded(self.unscale(least)),
            rounded(self.unscale(most)),
            rounded(self.min),
            rounded(self.max)
        );
        Some((ends, reason))
    }

    /// The parameter's table with other ends. `None` if they are the same.
    fn table(&self, table: &Mapping, ends: [f64; 2]) -> Option<Value> {
        let whole = |value: f64| Value::from(value.round() as i64);
        let ends = ends.map(|value| if self.whole { whole(value) } else { Value::from(rounded(value)) });
        let mut changed = table.clone();
        let was = ["min", "max"].map(|key| table.get(key).and_then(Value::as_f64));
        if was == ends.clone().map(|end| end.as_f64()) {
            return None;
        }
        let [low, high] = ends;
        changed.insert("min".into(), low);
        changed.insert("max".into(), high);
        Some(changed.into())
    }
}

/// Rounds to three significant digits.
pub fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(values: &[f64], upper: bool) -> Option<f64> {
        let values: Vec<Value> = values.iter().copied().map(Value::from).collect();
        let value = if upper { values.last() } else { values.first() }.and_then(Value::as_f64).unwrap_or_default();
        beyond(&Edge { setting: "a".into(), value, end: value, upper, proven: true }, &values)
            .and_then(|value| value.as_f64())
    }

    #[test]
    fn beyond_the_edge_the_spacing_goes_on() {
        assert_eq!(next(&[1e-4, 3e-4, 9e-4], true), Some(2.7e-3));
        assert_eq!(next(&[64.0, 128.0], true), Some(256.0));
        assert_eq!(next(&[0.0, 0.2, 0.4], true), Some(0.6));
        assert_eq!(next(&[0.1, 0.3], false), Some(0.0333));
        // The step is limited: no tenfold learning rate, and no dropout of 0.8 after 0.4.
        assert_eq!(next(&[1e-4, 1e-3, 1e-2], true), Some(0.04));
        assert_eq!(next(&[1e-4, 1e-3, 1e-2], false), Some(2.5e-5));
        assert_eq!(next(&[0.0, 0.4], true), Some(0.6));
        assert_eq!(next(&[0.5], true), None);
    }
}
