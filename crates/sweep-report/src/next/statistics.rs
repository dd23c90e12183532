//! A momentum with which the running statistics of batch normalization keep up, if the best configuration's do not. Nothing
//! else can be judged before that.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::{Change, propose};
use sweep_verdict::Advice;

/// The share of the old statistics that a step keeps.
const MOMENTUM: f64 = 0.9;

/// The model with this momentum in each batch normalization. `None` if it is not asked for, or the file has no such layer.
pub fn change(file: &Mapping, analysis: &Analysis) -> Option<Change> {
    analysis.asked(|advice| advice == Advice::FasterStatistics).filter(|ask| ask.leads)?;
    let model = file.get("model").filter(|model| model.is_sequence())?;
    let faster = faster(model);
    let reason = "The running statistics of batch normalization lag behind in the best configuration. With a momentum of \
                  0.9 they adapt faster.";
    (faster != *model).then(|| propose::change(&["model"], faster, reason))
}

fn faster(layers: &Value) -> Value {
    let momentum = |mut table: Mapping| {
        table.insert("momentum".into(), MOMENTUM.into());
        Value::from(table)
    };
    match layers {
        Value::String(name) if name == "batch_norm" => {
            Mapping::from_iter([("batch_norm".into(), momentum(Mapping::new()))]).into()
        }
        Value::Sequence(items) => items.iter().map(faster).collect(),
        Value::Mapping(table) => {
            let entry = |(key, value): (&Value, &Value)| {
                let value = match (key.as_str(), value) {
                    (Some("batch_norm"), Value::Mapping(own)) => momentum(own.clone()),
                    (Some("batch_norm"), Value::Bool(true) | Value::Null) => momentum(Mapping::new()),
                    _ => faster(value),
                };
                (key.clone(), value)
            };
            table.iter().map(entry).collect::<Mapping>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_normalization_of_the_list_gets_the_momentum_and_nothing_else_changes() {
        let yaml = |text: &str| -> Value { serde_yaml::from_str(text).expect("YAML") };
        let model = yaml(
            "[{conv: 8}, batch_norm, {residual: [{batch_norm: true}]}, {batch_norm: {momentum: 0.99}}, {batch_norm: false}]",
        );
        let expected = "[{conv: 8}, {batch_norm: {momentum: 0.9}}, {residual: [{batch_norm: {momentum: 0.9}}]}, {batch_norm: \
                        {momentum: 0.9}}, {batch_norm: false}]";
        assert_eq!(faster(&model), yaml(expected));
    }
}
