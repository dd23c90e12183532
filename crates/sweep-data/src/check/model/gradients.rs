//! Finds gradients that vanish or explode on their way back through the layers (Glorot and Bengio 2010).

use super::{Finding, Network};

/// Maximum factor between the relative gradients of two layers. A relative gradient is the gradient's norm over the
/// norm of the weights. In ordinary networks the factor is less than 100. In twelve layers with logistic functions
/// between them, it is more than 10,000.
const FACTOR: f64 = 1e3;

pub(super) fn check(network: &Network<'_>) -> Option<Finding> {
    let gradients = &network.measured.gradients;
    if let Some(lost) = gradients.iter().find(|gradient| gradient.share.is_none()) {
        return Some(finding(
            "exploding_gradients",
            "gradients are not finite",
            format!("the gradient of {} is not finite", network.layer(lost.layer)),
        ));
    }
    let shares = || gradients.iter().filter_map(|gradient| Some((gradient.layer, gradient.share?)));
    let (first, last) = (shares().next()?, shares().next_back()?);
    let evidence = format!(
        "the ratio of gradient to weights is {:.1e} in {}, but {:.1e} in {}",
        first.1,
        network.layer(first.0),
        last.1,
        network.layer(last.0)
    );
    let serious = first.1 * FACTOR < last.1 || last.1 * FACTOR < first.1;
    let vanishing = first.1 < last.1;
    serious.then(|| match vanishing {
        true => finding("vanishing_gradients", "gradients vanish toward the first layers", evidence),
        false => finding("exploding_gradients", "gradients explode toward the first layers", evidence),
    })
}

fn finding(name: &'static str, verdict: &str, evidence: String) -> Finding {
    Finding {
        name,
        serious: true,
        verdict: verdict.into(),
        evidence,
        remedy:
            "replace sigmoid or tanh with relu, and add batch_norm after each layer with weights; or use fewer layers"
                .into(),
    }
}
