//! More or less regularization, as parameters of the next sweep.

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::super::asked::Ask;
use super::super::format;
use super::propose::change;
use super::{Change, values};
use sweep_core::recipe::Source;
use sweep_core::trial::Settings;
use sweep_spec::{Model, Network};
use sweep_verdict::{Advice, Mirror, Name};

/// Regularization that the network and the data support, if the best trials overfit.
pub fn changes(network: &Network, file: &Mapping, analysis: &Analysis) -> Vec<Change> {
    let spec = analysis.spec;
    let wanted = |one: Advice| analysis.asked(|advice| advice == one);
    let varies = |name: &str| spec.space.parameters.iter().any(|one| one.name.starts_with(name));
    let used = network.model.names();
    let parameter = |name: &str, values: Vec<Value>, reason: String| {
        change(&["parameters", name], Mapping::from_iter([("values".into(), Value::Sequence(values))]), reason)
    };
    let tally = analysis.verdicts.tally();
    let overfit = tally.iter().find(|one| one.name == Name::Overfit).map_or(0, |one| one.trials);
    let reason = |ask: Ask, what: &str| match overfit {
        0 => format!("{} may benefit. Does {what} help?", format::trials(ask.trials)),
        1 => format!("1 trial overfits. Does {what} help?"),
        many => format!("{} overfit. Does {what} help?", format::trials(many)),
    };
    let mut found = Vec::new();
    let fixed = file.get("data").and_then(|data| data.get("augment")).is_some();
    if let Some(ask) = wanted(Advice::Augment(Mirror::of(&network.source))).filter(|_| !fixed && !varies("augment")) {
        let small = matches!(network.source, Source::Digits);
        let mut table = Mapping::new();
        if Mirror::of(&network.source) == Mirror::Yes {
            table.insert("flip".into(), true.into());
        }
        table.insert("crop".into(), Value::from(if small { 1 } else { 4 }));
        found.push(parameter("augment", vec![Value::Null, table.into()], reason(ask, "augmentation")));
    }
    let takes = |name: &str| used.iter().any(|one| one == name) && !varies(name);
    if let Some(ask) = wanted(Advice::BatchNorm).filter(|_| takes("batch_norm")) {
        found.push(parameter("batch_norm", vec![false.into(), true.into()], reason(ask, "batch normalization")));
    }
    let dropout = dropout(&network.model);
    if let Some(ask) = wanted(Advice::MoreRegularization).filter(|_| takes("dropout")) {
        let mut rates: Vec<f64> = [0.0, 0.2, 0.35, 0.5].into_iter().filter(|rate| *rate != dropout).collect();
        rates.insert(0, dropout);
        let rates = rates.into_iter().map(Value::from).collect();
        found.push(parameter("dropout", rates, reason(ask, "dropout") + " What is the smallest rate that is enough?"));
    }
    if wanted(Advice::LessRegularization).is_some() && takes("dropout") && dropout > 0.0 {
        let rates = [dropout, dropout / 2.0, dropout / 4.0, 0.0].map(|rate| Value::from(values::rounded(rate)));
        found.push(parameter(
            "dropout",
            rates.to_vec(),
            "Regularization is too strong. Is less dropout \
            enough?"
                .into(),
        ));
    }
    let decay = network.fixed.get("weight_decay").and_then(serde_json::Value::as_f64).filter(|decay| *decay > 0.0);
    if let Some(decay) = decay.filter(|_| wanted(Advice::LessRegularization).is_some() && !varies("weight_decay")) {
        let values = [decay, decay / 10.0, decay / 100.0, 0.0].map(|value| Value::from(values::rounded(value)));
        let reason = "Regularization is too strong. Is less weight decay enough?".to_owned();
        found.push(parameter("weight_decay", values.to_vec(), reason));
    }
    found
}

/// The dropout rate that a network has without the parameter, or 0 if its layers differ.
fn dropout(model: &Model) -> f64 {
    let literal = || model.template(&Settings::new()).ok()?.literal("dropout");
    model.settings.get("dropout").cloned().or_else(literal).and_then(|rate| rate.as_f64()).unwrap_or(0.0)
}
