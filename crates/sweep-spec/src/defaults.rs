//! The configuration that a network's file gives without its parameters: it is tried first.

use serde_json::Value as Json;

use super::setting::MODEL;
use super::trains::Network;
use super::{Method, Spec};
use sweep_core::trial::Settings;

impl Spec {
    /// Returns the values that a trial would have without parameters, as far as they are among the values of the
    /// parameters. `None` if none is. The defaults of a program are unknown, and a grid has an order of its own.
    pub(super) fn default_configuration(&self) -> Option<Settings> {
        let network = self.network().filter(|_| self.method != Method::Grid)?;
        let mut point = Settings::new();
        for parameter in &self.space.parameters {
            let known = self.default_of(network, &parameter.name, &point);
            let Some(value) = known.filter(|value| parameter.distribution.contains(value)) else { continue };
            let mut more = point.clone();
            more.insert(parameter.name.clone(), value);
            // A value that another default rules out is left open.
            if self.space.pinned(&more).is_ok() {
                point = more;
            }
        }
        (!point.is_empty()).then_some(point)
    }

    /// Returns the value of a parameter where no trial varies it. That of the learning rate and of weight decay depends
    /// on the optimizer, which is among the parameters `so_far`.
    fn default_of(&self, network: &Network, name: &str, so_far: &Settings) -> Option<Json> {
        if let Some(value) = network.constant(name) {
            let training = || self.training(so_far).ok();
            return match (name, value.is_null()) {
                ("learning_rate", true) => Some(training()?.learning_rate.into()),
                ("weight_decay", true) => Some(training()?.weight_decay.into()),
                _ => Some(value),
            };
        }
        if name == MODEL.name {
            return None;
        }
        network.model.template(so_far).ok()?.literal(name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn enqueued(text: &str) -> Json {
        let text = format!("{text}\ndata: {{set: digits}}\n");
        let (spec, _) = Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
        json!(spec.enqueue)
    }

    const TWO: &str = "parameters: {learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}, \
                       batch_size: {values: [64, 256]}}";

    #[test]
    fn the_defaults_are_tried_first_as_far_as_they_are_among_the_values() {
        for (text, expected) in [
            (format!("method: random\n{TWO}\nmodel: small"), json!([{"learning_rate": 0.001}])),
            (
                format!("method: tpe\n{TWO}\nmodel: small\ntraining: {{batch_size: 64, learning_rate: 0.01}}"),
                json!([{"learning_rate": 0.01, "batch_size": 64}]),
            ),
            (format!("method: grid\nparameters: {{batch_size: {{values: [64, 128]}}}}\nmodel: small"), json!([])),
            (
                "method: random\nparameters: {optimizer: {values: [adadelta, sgd]}, batch_norm: {values: [true, false]}, \
                 learning_rate: {values: [1.0, 0.001]}}\nmodel: small\ntraining: {optimizer: adadelta}"
                    .into(),
                json!([{"optimizer": "adadelta", "batch_norm": false, "learning_rate": 1.0}]),
            ),
            ("method: random\nparameters: {dropout: {min: 0.0, max: 0.6}}\nmodel: question".into(), json!([])),
            ("method: random\nparameters: {batch_size: {values: [8, 16]}}\nmodel: small".into(), json!([])),
        ] {
            assert_eq!(enqueued(&text), expected, "{text}");
        }
    }

    #[test]
    fn enqueue_decides_otherwise_and_can_name_the_defaults() {
        let text = |enqueue: &str| format!("method: random\n{TWO}\nmodel: small\n{enqueue}");
        assert_eq!(enqueued(&text("enqueue: []")), json!([]));
        assert_eq!(enqueued(&text("enqueue: [{batch_size: 64}]")), json!([{"batch_size": 64}]));
        let both = enqueued(&text("enqueue: [{batch_size: 64}, default]"));
        assert_eq!(both, json!([{"batch_size": 64}, {"learning_rate": 0.001}]));
    }
}
