//! How long the running statistics of batch normalization take to follow, in epochs of a sweep.

use super::{Inspection, Spec};
use sweep_core::recipe::Layer;

/// Share of the initial statistics that is left when they have settled.
const LEFT: f64 = 0.05;
/// Minimum number of epochs for a note, unless that is more than all epochs …
const LEAST: f64 = 3.0;
/// … and minimum share of all epochs.
const SHARE: f64 = 0.1;
/// The momentum that the note suggests.
const FASTER: f64 = 0.9;

impl Spec {
    /// A note if evaluation is unreliable for a good part of the training, because an epoch has few steps.
    pub(super) fn settling(&self, inspection: &Inspection) -> Option<String> {
        let layers = inspection.kinds.iter().flat_map(|kind| &kind.summary.rows).map(|row| &row.layer);
        let momentum = layers.filter_map(|layer| match layer {
            Layer::BatchNorm { momentum, .. } => Some(*momentum),
            _ => None,
        });
        let momentum = momentum.filter(|momentum| (0.0..1.0).contains(momentum)).reduce(f64::max)?;
        let epochs = self.most("epochs").unwrap_or(f64::INFINITY);
        let batch = self.most("batch_size").filter(|batch| *batch >= 1.0)?;
        let each = (inspection.train.0 as f64 / batch).ceil().max(1.0);
        let needs = |momentum: f64| (LEFT.ln() / momentum.ln()).ceil();
        let settled = (needs(momentum) / each).ceil();
        let never = needs(momentum) > each * epochs;
        (momentum > FASTER && (never || settled >= LEAST && settled >= SHARE * epochs)).then(|| {
            let faster = (needs(FASTER) / each).ceil();
            let plural = if faster == 1.0 { "epoch" } else { "epochs" };
            format!(
                "batch normalization with a momentum of {momentum} takes about {} steps to follow, here {settled} epochs; \
                 trials train for at most {epochs}. Until then, validation looks worse than the network is. With a momentum of {FASTER}, it takes \
                 {faster} {plural}",
                needs(momentum)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Problems;
    use sweep_data::datasets::Info;
    use sweep_data::network::Shape;

    fn said(model: &str, train: u64) -> Option<String> {
        said_of(model, train, 30)
    }

    fn said_of(model: &str, train: u64, epochs: u32) -> Option<String> {
        let text = format!("data: {{set: digits}}\nmodel: {model}\ntraining: {{epochs: {epochs}, batch_size: 128}}\n");
        let mut spec = Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0;
        let data = Info {
            shape: Shape { channels: 1, height: 8, width: 8 },
            classes: (0..10).map(|class: i32| class.to_string()).collect(),
            train,
            validation: 0,
            test: 100,
            notes: Vec::new(),
        };
        let inspection = spec.inspect(|_| Ok::<_, Problems>(data), ("f", &text));
        let inspection = inspection.unwrap_or_else(|problems| panic!("{problems}")).expect("it trains a network");
        spec.settling(&inspection)
    }

    #[test]
    fn few_steps_with_the_default_momentum_are_said_and_many_or_a_lower_one_are_not() {
        let norm = "[conv: 8, batch_norm, relu, flatten, dense: 10]";
        let faster = "[conv: 8, batch_norm: {momentum: 0.9}, relu, flatten, dense: 10]";
        assert!(said(norm, 1500).is_some_and(|said| said.contains("about 299 steps") && said.contains("at most 30.")));
        assert_eq!(said(norm, 50_000), None);
        assert_eq!(said(faster, 1500), None);
        assert_eq!(said("[conv: 8, relu, flatten, dense: 10]", 1500), None);
        let slower = "[conv: 8, batch_norm: {momentum: 0.999}, relu, flatten, dense: 10]";
        assert!(said(slower, 50_000).is_some_and(|said| said.contains("here 9 epochs")), "{:?}", said(slower, 50_000));
    }

    #[test]
    fn a_training_that_ends_before_the_statistics_have_settled_is_said_however_short_it_is() {
        let norm = "[conv: 8, batch_norm, relu, flatten, dense: 10]";
        let few = said_of(norm, 20_000, 1).expect("it never settles");
        assert!(few.contains("here 3 epochs; trials train for at most 1."), "{few}");
        assert_eq!(said_of(norm, 50_000, 1), None, "313 or more steps are enough");
        assert!(said_of(norm, 20_000, 2).is_some_and(|said| said.contains("at most 2.")));
    }
}
