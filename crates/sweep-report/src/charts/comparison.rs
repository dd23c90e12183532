//! A chart that compares the curves of several networks.

use super::figure::{Figure, Side, fit, width_of};
use super::ink::Ink;
use super::panel::{Panel, Quantity};
use super::validation::HIGHLIGHTS;
use sweep_core::trial::{EpochMetrics, Goal, Metric};

/// Maximum number of curves in a comparison, limited by the number of distinguishable colors.
pub const MOST_COMPARED: usize = HIGHLIGHTS.len();

/// The validation curves of these networks by name, each with its training curve. The training curve is the one in
/// evaluation mode if that was measured. If there are more than [`MOST_COMPARED`], only the first are drawn.
pub fn comparison(curves: &[(&str, &[EpochMetrics])]) -> Figure {
    let curves = &curves[..curves.len().min(MOST_COMPARED)];
    let height = 384.0 + 19.0 * curves.len() as f32;
    let mut figure = Figure::new((960, height as u32), "Validation and training curves".to_owned());
    figure.bold((24.0, 25.0), "Validation", 15.0, Ink::Text, Side::Start);
    let indent = 24.0 + width_of("Validation", 15.0, true) + 14.0;
    figure.text((indent, 26.0), "thin lines: training", 12.0, Ink::Soft, Side::Start);
    for (quantity, left) in [(Quantity::Loss, 64.0), (Quantity::Accuracy, 544.0)] {
        panel(&mut figure, quantity, left, curves);
    }
    for (number, ((name, curve), ink)) in curves.iter().zip(HIGHLIGHTS).enumerate() {
        let y = 374.0 + 19.0 * number as f32;
        figure.line(vec![(24.0, y), (46.0, y)], ink, 2.0);
        let best = |(quantity, goal): (Quantity, Goal)| {
            let metric = Metric { name: quantity.metric("val"), goal };
            let best = metric.best(curve)?;
            Some(format!("{} {} at epoch {}", metric.name, quantity.value(best.get(&metric.name)?), best.epoch))
        };
        let best =
            [(Quantity::Loss, Goal::Minimize), (Quantity::Accuracy, Goal::Maximize)].into_iter().filter_map(best);
        let best = best.collect::<Vec<_>>().join(", ");
        figure.text((54.0, y), fit(&format!("{name}: {best}"), 12.0, 880.0), 12.0, Ink::Text, Side::Start);
    }
    figure
}

fn panel(figure: &mut Figure, quantity: Quantity, left: f32, curves: &[(&str, &[EpochMetrics])]) {
    let names = ["val", "train_eval", "train"].map(|of| quantity.metric(of));
    let measured = |curve: &[EpochMetrics], name: &str| curve.iter().any(|epoch| epoch.get(name).is_some());
    let training = |curve: &[EpochMetrics]| names[1..].iter().find(|name| measured(curve, name));
    let values = curves.iter().flat_map(|(_, curve)| {
        let drawn = [Some(&names[0]), training(curve)].into_iter().flatten();
        drawn.flat_map(|name| curve.iter().filter_map(|epoch| epoch.get(name)))
    });
    let values: Vec<f64> = values.collect();
    let last = curves.iter().filter_map(|(_, curve)| Some(curve.last()?.epoch)).max().unwrap_or(1);
    let panel = Panel::new(figure, quantity, ((left, 80.0), (left + 392.0, 324.0)), last, values);
    for ((_, curve), ink) in curves.iter().zip(HIGHLIGHTS).rev() {
        if let Some(training) = training(curve) {
            panel.curve(figure, curve, training, ink, 0.75);
        }
        panel.curve(figure, curve, &names[0], ink, 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::Mark;
    use super::*;

    #[test]
    fn each_network_has_a_curve_a_thin_one_and_its_best_values() {
        let curve = |end: f64| -> Vec<EpochMetrics> {
            let epoch = |epoch: u32| EpochMetrics {
                epoch,
                train_loss: Some(1.0 / f64::from(epoch)),
                val_loss: Some(end + 1.0 / f64::from(epoch)),
                val_accuracy: Some(1.0 - end),
                ..EpochMetrics::default()
            };
            (1..=9).map(epoch).collect()
        };
        let (one, other) = (curve(0.3), curve(0.5));
        let figure = comparison(&[("intact", &one), ("scrambled", &other)]);
        let curves = |of: f32| {
            let long =
                |mark: &&Mark| matches!(mark, Mark::Line { points, width, .. } if points.len() > 2 && *width == of);
            figure.marks.iter().filter(long).count()
        };
        // Loss and accuracy of two networks. Training accuracy was not measured.
        assert_eq!((curves(2.0), curves(0.75)), (4, 2));
        let text = super::super::svg(&figure);
        assert!(text.contains("scrambled: val_loss 0.6111 at epoch 9, val_accuracy 50% at epoch 1"), "{text}");
    }
}
