//! Changes of a parameter's values. Values that are clearly worse are removed, and values beyond a best one at the edge
//! are added.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::super::effects::{Edge, Effects};
use super::super::format;

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
/// Share of its span by which a range is widened, up to a factor of [`RATIO`].
const WIDER: f64 = 0.25;

type Scale = fn(f64) -> f64;

/// Proposed tables for a parameter, each with its reason. Alternatives are in the order in which they should be tried.
pub fn changes(name: &str, table: &Mapping, analysis: &Analysis) -> Vec<(Value, String)> {
    let Some(effects) = &analysis.effects else { return Vec::new() };
    let edge = effects.edges.iter().find(|edge| edge.setting == name);
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
    range(name, table, analysis, edge).into_iter().collect()
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
    let (end, neighbour) =
        if edge.upper { (last, *numbers.get(numbers.len().checked_sub(2)?)?) } else { (numbers[0], *numbers.get(1)?) };
    let ratio = end / neighbour;
    let by_ratio = neighbour > 0.0 && (ratio >= 1.9 || ratio <= 1.0 / 1.9) && values.len() + 1 > 2 && last <= 1e9;
    let far = STEP * (last - numbers[0]);
    let next = if by_ratio && numbers[0] > 0.0 {
        end * ratio.clamp(1.0 / RATIO, RATIO)
    } else {
        end + (end - neighbour).clamp(-far, far)
    };
    let whole = values.iter().all(|value| value.is_i64() || value.is_u64());
    let next = if whole { next.round() } else { rounded(next) };
    let value = if whole { Value::from(next as i64) } else { Value::from(next) };
    (next > 0.0 && !numbers.contains(&next)).then_some(value)
}

/// A table with `min` and `max` around the best trials.
fn range(name: &str, table: &Mapping, analysis: &Analysis, edge: Option<&Edge>) -> Option<(Value, String)> {
    let (low, high) = (table.get("min")?, table.get("max")?);
    let whole = low.is_i64() && high.is_i64();
    let (min, max) = (low.as_f64()?, high.as_f64()?);
    // With W&B's old distribution names, `min` and `max` are exponents rather than values.
    if table.get("distribution").and_then(Value::as_str).is_some_and(|name| name.ends_with("log_uniform")) {
        return None;
    }
    let placed = &analysis.ranking.placed;
    let count = ((placed.len() as f64 * BEST) as usize).max(LEAST);
    let best = placed.iter().take(count).filter_map(|place| place.trial.settings.get(name)?.as_f64());
    let best: Vec<f64> = best.collect();
    if best.len() < LEAST || placed.len() < 2 * LEAST {
        return None;
    }
    let by_ratio = min > 0.0 && max / min >= BY_RATIO;
    let (scale, unscale): (Scale, Scale) = if by_ratio { (f64::ln, f64::exp) } else { (|x| x, |x| x) };
    let least = scale(best.iter().copied().fold(f64::INFINITY, f64::min));
    let most = scale(best.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let air = (AIR * (most - least)).max(0.05 * (scale(max) - scale(min)));
    let widest = if by_ratio { RATIO.ln() } else { f64::INFINITY };
    let beyond = (WIDER * (scale(max) - scale(min))).min(widest);
    let lower = edge.is_some_and(|edge| !edge.upper);
    let upper = edge.is_some_and(|edge| edge.upper);
    let new_min = if lower { scale(min) - beyond } else { (least - air).max(scale(min)) };
    let new_max = if upper { scale(max) + beyond } else { (most + air).min(scale(max)) };
    let new_min = if by_ratio || min < 0.0 { new_min } else { new_min.max(0.0) };
    let number = |value: f64| if whole { Value::from(value.round() as i64) } else { Value::from(rounded(value)) };
    let (new_min, new_max) = (number(unscale(new_min)), number(unscale(new_max)));
    if (&new_min, &new_max) == (low, high) {
        return None;
    }
    let mut table = table.clone();
    table.insert("min".into(), new_min);
    table.insert("max".into(), new_max);
    let end = match (lower, upper) {
        (true, _) => " The best trial is at the lower edge, so the range goes beyond it.",
        (_, true) => " The best trial is at the upper edge, so the range goes beyond it.",
        _ => "",
    };
    let said = format!(
        "The best {} trials are between {} and {}. The range was {} to {}.{end}",
        format::count(best.len() as u64),
        rounded(unscale(least)),
        rounded(unscale(most)),
        rounded(min),
        rounded(max)
    );
    Some((table.into(), said))
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
        beyond(&Edge { setting: "a".into(), value, upper }, &values).and_then(|value| value.as_f64())
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
