//! Checks the loss before the first step. An untrained network should predict about equal probabilities, with a loss of
//! ln(classes) (Karpathy 2019, "A Recipe for Training Neural Networks": verify loss at init).

use super::{Finding, Network};

/// Maximum excess over ln(classes). Logits with standard deviation s add about s²/2 to it, so 1.5 corresponds to a
/// standard deviation of 1.7. Default initial weights after batch normalization add up to 0.8.
const OFF: f64 = 1.5;

pub(super) fn check(network: &Network<'_>) -> Option<Finding> {
    let even = network.classes.ln();
    let seen = match network.measured.first_loss {
        Some(loss) if (loss - even).abs() <= OFF => return None,
        Some(loss) => format!("{loss:.3}"),
        None => "not finite".to_owned(),
    };
    Some(Finding {
        name: "first_loss",
        serious: network.measured.first_loss.is_none(),
        verdict: "the untrained network is overconfident".into(),
        evidence: format!(
            "the loss before the first step is {seen}, but a uniform prediction gives ln({}) = {even:.3}",
            network.classes
        ),
        remedy: "keep the inputs of the last layer near 1: add batch_norm before it, or use bounded activations".into(),
    })
}
