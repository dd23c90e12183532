//! What a budget buys, and what was used of it, in words. Pure.

use super::format;
use sweep_core::budget::{Budget, Purchase};
use sweep_core::history::History;
use sweep_spec::Spec;

/// Joules in a kilowatt-hour.
const KWH: f64 = 3.6e6;

/// Formats the limits: `2 h 00 min or 500 epochs`.
pub fn limits(budget: &Budget) -> String {
    let limits = [
        budget.time.map(|time| format::duration(time.as_secs_f64())),
        budget.gpu_time.map(|time| format!("{} GPU-hours", format::significant(time.as_secs_f64() / 3600.0, 3))),
        budget.joules.map(|joules| format!("{} kWh", format::significant(joules / KWH, 3))),
        budget.epochs.map(|epochs| format!("{} epochs", format::count(epochs))),
    ];
    limits.into_iter().flatten().collect::<Vec<_>>().join(" or ")
}

/// Describes how many trials a budget pays for: `25 whole trials of 20 epochs, or about 96 with early stopping from
/// epoch 2 on`.
pub fn bought(purchase: &Purchase) -> String {
    let whole = if purchase.whole == 1 { "whole trial" } else { "whole trials" };
    let whole =
        format!("{} {whole} of {} epochs", format::count(purchase.whole), format::count(purchase.epochs.into()));
    match purchase.min_iter {
        None => whole,
        Some(epoch) => {
            format!("{whole}, or about {} with early stopping from epoch {epoch} on", format::count(purchase.trials))
        }
    }
}

/// Describes how much of the budget was used, how many trials it pays for, and what an epoch costs.
pub fn sentence(spec: &Spec, history: &History) -> Option<String> {
    if spec.budget.is_none() {
        return None;
    }
    let epochs: u64 = history.trials.iter().map(|trial| trial.curve.len() as u64).sum();
    let joules: Option<f64> = history.trials.iter().filter_map(|trial| trial.joules).reduce(|all, one| all + one);
    let mut used = vec![format::duration(history.ran()), format!("{} epochs", format::count(epochs))];
    used.extend(joules.map(|joules| format!("{} kWh", format::significant(joules / KWH, 3))));
    let mut line = format!("Budget: {}. Used: {}.", limits(&spec.budget), used.join(", "));
    if spec.budget.joules.is_some() && joules.is_none() && !history.trials.is_empty() {
        line += " The devices report no energy, so the energy limit was not applied.";
    }
    if let Some(purchase) = &history.purchase {
        let cost = purchase.seconds.map_or(String::new(), |seconds| {
            format!(" An epoch took {} s in the first trials.", format::significant(seconds, 3))
        });
        line += &format!("{cost} The budget pays for {}.", bought(purchase));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use sweep_core::budget::purchase;

    #[test]
    fn limits_and_what_they_buy_are_said_with_their_units() {
        let time = |hours: u64| Some(Duration::from_secs(3600 * hours));
        let budget = Budget { time: time(2), gpu_time: time(8), joules: Some(1.5 * KWH), epochs: Some(500) };
        assert_eq!(limits(&budget), "2 h 00 min or 8 GPU-hours or 1.50 kWh or 500 epochs");
        assert_eq!(bought(&purchase(50.0, 20, 30, None)), "50 whole trials of 20 epochs");
        let small = bought(&purchase(10.0, 20, 30, None));
        assert_eq!(small, "10 whole trials of 20 epochs, or about 38 with early stopping from epoch 2 on");
    }

    #[test]
    fn the_report_tells_what_was_used_and_what_an_epoch_cost() {
        let budget = Budget { epochs: Some(500), ..Budget::default() };
        let (spec, history) = (Spec { budget, ..sweep_sample::spec() }, sweep_sample::history());
        let bought = purchase(10.0, 20, 30, None);
        let history = history.altered(|state| state.purchase = Some(Purchase { seconds: Some(2.0), ..bought }));
        let said = sentence(&spec, &history).unwrap();
        assert!(said.starts_with("Budget: 500 epochs. Used: "), "{said}");
        assert!(said.contains("An epoch took 2 s in the first trials. The budget pays for 10 whole trials"), "{said}");
        assert_eq!(sentence(&sweep_sample::spec(), &sweep_sample::history()), None);
    }
}
