//! The learning rates of the next sweep, if the best configuration itself asks for higher or lower ones.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::super::format;
use super::super::moves::{Move, Way};
use super::values::rounded;
use super::{Change, propose};
use sweep_verdict::Advice;

/// Factors from the best value to the ones that are tried next.
const FACTORS: [f64; 2] = [3.0, 10.0];

/// Proposes other values of the learning rate. Nothing is proposed if the file does not vary it.
pub fn changes(file: &Mapping, analysis: &Analysis) -> Vec<Change> {
    let asked = |advice: Advice| matches!(advice, Advice::HigherLearningRate | Advice::LowerLearningRate);
    let Some(ask) = analysis.asked(asked).filter(|ask| ask.leads) else { return Vec::new() };
    let Some(step) = Move::of(ask.advice) else { return Vec::new() };
    let best = analysis.groups.first().map(|group| group.settings);
    let parameters = file.get("parameters").and_then(Value::as_mapping);
    let tables =
        parameters.into_iter().flatten().filter_map(|(name, table)| Some((name.as_str()?, table.as_mapping()?)));
    let of = |(name, table): (&str, &Mapping)| {
        let own = best?.get(name)?.as_f64().filter(|own| *own > 0.0)?;
        let (table, what) = (beyond(table, own, step.way)?, if step.way == Way::More { "higher" } else { "lower" });
        let reason = format!(
            "The findings of the best configuration ({}) suggest a {what} learning rate.",
            format::setting(&own.into())
        );
        Some(propose::change(&["parameters", name], table, reason))
    };
    tables.filter(|(name, _)| step.is_about(name)).filter_map(of).collect()
}

/// A table of values beyond the best one, in this direction.
fn beyond(table: &Mapping, best: f64, way: Way) -> Option<Value> {
    let by = |factor: f64| rounded(if way == Way::More { best * factor } else { best / factor });
    let mut table = table.clone();
    if let Some(values) = table.get("values").and_then(Value::as_sequence) {
        let mut values: Vec<f64> = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
        values.extend(FACTORS.map(by));
        values.sort_by(f64::total_cmp);
        values.dedup();
        table.insert("values".into(), Value::Sequence(values.into_iter().map(Value::from).collect()));
        return Some(table.into());
    }
    // With W&B's old distribution names, `min` and `max` are exponents.
    let exponents = table.get("distribution").and_then(Value::as_str).is_some_and(|name| name.ends_with("log_uniform"));
    let [min, max] = ["min", "max"].map(|key| table.get(key).and_then(Value::as_f64).filter(|value| *value > 0.0));
    let (min, max) = min.zip(max).filter(|_| !exponents)?;
    let far = by(FACTORS[1]);
    // The best value stays inside, because it runs again.
    let (low, high) = if way == Way::More { (best / 1.01, far.max(max)) } else { (far.min(min), best * 1.01) };
    table.insert("min".into(), rounded(low.max(min.min(far))).into());
    table.insert("max".into(), rounded(high).into());
    Some(table.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_go_beyond_the_best_in_the_direction_that_is_asked_for() {
        let table = |text: &str| -> Mapping { serde_yaml::from_str(text).expect("a table") };
        let of = |text: &str, best, way| {
            let value = beyond(&table(text), best, way).expect("it is a range or a list");
            serde_json::to_string(&value).expect("plain data")
        };
        assert_eq!(of("values: [0.001, 0.01]", 0.01, Way::More), r#"{"values":[0.001,0.01,0.03,0.1]}"#);
        let range = "{distribution: log_uniform_values, min: 1.0e-6, max: 1.0e-5}";
        let up = of(range, 9e-6, Way::More);
        assert!(up.contains(r#""min":8.91e-6"#) && up.contains(r#""max":0.00009"#) || up.contains("9e-5"), "{up}");
        let down = of(range, 2e-6, Way::Less);
        assert!(down.contains(r#""max":2.02e-6"#), "{down}");
        assert!(beyond(&table("{distribution: log_uniform, min: -4, max: -1}"), 0.1, Way::More).is_none());
    }
}
