//! The patience that early stopping could have had in this sweep. It is found by applying the rule to all curves, because
//! a patience that stops a leading trial before its best epoch costs more than it saves. Pure.

use std::collections::HashSet;

use super::ranking::{Place, Ranking};
use sweep_core::trial::{EpochMetrics, Metric, TrialId};

/// The patiences that are tried, in epochs.
const TRIED: [u32; 8] = [3, 5, 8, 10, 15, 20, 30, 50];
/// Share of the ranked trials that count as leading, besides those that are tied with the best, …
const LEADING: f64 = 0.1;
/// … and their minimum number.
const LEAST: usize = 3;
/// A leading trial that is stopped in the first part of its training was still in its warm-up: validation moves little
/// there while the running statistics of batch norm, or a warm-up of the learning rate, settle.
const WARM_UP: f64 = 1.0 / 3.0;

/// A patience must stop no leading trial too early, even after multiplication by this factor. Plateaus differ from seed
/// to seed: of three more seeds of the quickstart, the patience that just spared its winner stopped the winner of one.
const MARGIN: f64 = 2.0 / 3.0;

/// What early stopping could have saved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patience {
    /// The smallest patience that stops no leading trial before its best epoch, with a margin. `None` if it saves
    /// nothing.
    pub found: Option<Saving>,
    /// The largest smaller patience, and the first leading trial that it stops too early.
    pub costly: Option<Cost>,
}

/// What a patience saves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saving {
    /// The patience, in epochs.
    pub patience: u32,
    /// Number of epochs that would not have been trained.
    pub epochs: u64,
    /// Their duration in seconds, approximately.
    pub seconds: f64,
}

/// What a patience costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// The patience, in epochs.
    pub patience: u32,
    /// The leading trial that it stops before its best epoch.
    pub trial: TrialId,
    /// The rank of that trial.
    pub rank: usize,
    /// The epoch in which it stops the trial.
    pub epoch: u32,
    /// Whether that is in the first third of its training.
    pub warm_up: bool,
}

impl Patience {
    /// Applies the rule to all ranked trials. `tied` are those that may be the best.
    pub fn new(ranking: &Ranking, metric: &Metric, tied: &[TrialId]) -> Patience {
        let tied: HashSet<TrialId> = tied.iter().copied().collect();
        let count = LEAST.max((ranking.placed.len() as f64 * LEADING) as usize);
        let leads = |at: usize, place: &Place| at < count || tied.contains(&place.trial.id);
        let mut found = Patience::default();
        for patience in TRIED {
            let stop = |place: &Place| stopped(&place.trial.curve, metric, patience);
            let cost = |patience: u32| {
                ranking.placed.iter().enumerate().filter(|(at, place)| leads(*at, place)).find_map(|(_, place)| {
                    let stop = stopped(&place.trial.curve, metric, patience);
                    let epoch = stop.filter(|epoch| *epoch < place.best.epoch)?;
                    let warm_up = f64::from(epoch) <= WARM_UP * f64::from(place.trial.epochs());
                    Some(Cost { patience, trial: place.trial.id, rank: place.rank, epoch, warm_up })
                })
            };
            if let Some(cost) = cost(patience) {
                found.costly = Some(cost);
                continue;
            }
            if cost((f64::from(patience) * MARGIN) as u32).is_some() {
                continue;
            }
            let saving = ranking.placed.iter().fold(Saving { patience, epochs: 0, seconds: 0.0 }, |sum, place| {
                let curve = &place.trial.curve;
                let end = stop(place).unwrap_or(u32::MAX);
                let left = curve.iter().filter(|epoch| epoch.epoch > end).count();
                // A program need not say how long its epochs took.
                let told = curve.iter().filter_map(|epoch| epoch.seconds).sum::<f64>();
                let seconds = if told > 0.0 { told } else { place.trial.seconds };
                let each = seconds / curve.len().max(1) as f64;
                Saving { epochs: sum.epochs + left as u64, seconds: sum.seconds + left as f64 * each, ..sum }
            });
            found.found = Some(saving).filter(|saving| saving.epochs > 0);
            break;
        }
        found
    }
}

/// The epoch in which this patience ends a curve, or `None` if it does not.
fn stopped(curve: &[EpochMetrics], metric: &Metric, patience: u32) -> Option<u32> {
    let mut best: Option<(u32, f64)> = None;
    for epoch in curve {
        let Some(value) = epoch.get(&metric.name) else { continue };
        match best {
            Some((at, least)) if !metric.goal.better(value, least) => {
                if epoch.epoch - at >= patience {
                    return Some(epoch.epoch);
                }
            }
            _ => best = Some((epoch.epoch, value)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::history::{Entry, History};
    use sweep_core::trial::Outcome;

    /// Trials of 40 epochs with these losses by trial and epoch.
    fn history(trials: u64, loss: impl Fn(u64, u32) -> f64) -> History {
        let mut entries = sweep_sample::beginning("patience");
        for number in 1..=trials {
            let settings = sweep_sample::settings(serde_json::json!({"number": number}));
            let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, 40);
            for entry in &mut attempt {
                if let Entry::Epoch { metrics, .. } = entry {
                    metrics.val_loss = Some(loss(number, metrics.epoch));
                }
            }
            entries.extend(attempt);
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        sweep_sample::apply(&entries)
    }

    fn patience(history: &History) -> Patience {
        let metric = sweep_sample::spec().metric;
        Patience::new(&Ranking::new(history, &metric), &metric, &[])
    }

    #[test]
    fn a_patience_that_stops_the_winner_on_its_warm_up_plateau_is_not_advised() {
        // The winner is flat for nine epochs; the others are best in epoch 12.
        let of = |trial, epoch: u32| match (trial, epoch) {
            (1, 0..=10) => 2.3 + 0.001 * f64::from(epoch),
            (1, _) => 2.0 - 0.04 * f64::from(epoch),
            (_, 0..=12) => 2.3 - 0.05 * f64::from(epoch),
            _ => 1.7 + 0.01 * f64::from(epoch - 12),
        };
        let Patience { found, costly } = patience(&history(12, of));
        let (found, costly) = (found.expect("it saves epochs"), costly.expect("shorter ones cost the winner"));
        // 10 would just spare it.
        assert_eq!((found.patience, costly.patience), (15, 8));
        assert_eq!((costly.trial, costly.rank, costly.epoch, costly.warm_up), (TrialId(1), 1, 9, true));
        assert_eq!(found.epochs, 11 * (40 - 27));
    }

    #[test]
    fn curves_that_improve_to_the_end_have_nothing_to_save() {
        let found = patience(&history(4, |trial, epoch| 3.0 - 0.01 * f64::from(epoch) + trial as f64));
        assert_eq!(found, Patience::default());
    }

    /// The curves of a committed sweep, by trial: epoch and validation loss.
    fn committed(folder: &std::path::Path) -> Vec<Vec<(u32, f64)>> {
        let mut reader = csv::Reader::from_path(folder.join("epochs.csv")).expect("it has curves");
        let names = reader.headers().expect("a header").clone();
        let column = |name: &str| names.iter().position(|one| one == name).expect("the column");
        let (trial, epoch, loss) = (column("trial"), column("epoch"), column("val_loss"));
        let mut curves: Vec<Vec<(u32, f64)>> = Vec::new();
        for row in reader.records().map(|row| row.expect("a row")) {
            let at: usize = row[trial].parse().expect("a number");
            curves.resize(curves.len().max(at), Vec::new());
            curves[at - 1].push((row[epoch].parse().expect("a number"), row[loss].parse().expect("a number")));
        }
        curves
    }

    #[test]
    fn on_committed_sweeps_the_patience_costs_no_leading_trial() {
        let results = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../results/seeds"));
        let mut seen = 0;
        for entry in std::fs::read_dir(results).expect("there are results").map(|entry| entry.expect("readable").path())
        {
            if !entry.join("epochs.csv").exists() {
                continue;
            }
            let curves = committed(&entry);
            let mut entries = sweep_sample::beginning("committed");
            for (number, curve) in (1..).zip(&curves) {
                let settings = sweep_sample::settings(serde_json::json!({"number": number}));
                let last = curve.last().map_or(0, |last| last.0);
                let mut attempt = sweep_sample::attempt(number, 1, &settings, 0, last);
                for entry in &mut attempt {
                    if let Entry::Epoch { metrics, .. } = entry {
                        metrics.val_loss =
                            curve.iter().find(|(epoch, _)| *epoch == metrics.epoch).map(|(_, loss)| *loss);
                    }
                }
                entries.extend(attempt);
                entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
            }
            let Patience { found, .. } = patience(&sweep_sample::apply(&entries));
            let Some(Saving { patience, .. }) = found else { continue };
            seen += 1;
            // The rule by itself: the three best trials keep their best epoch.
            let lowest = |curve: &[(u32, f64)]| curve.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
            let mut best: Vec<_> = curves.iter().filter_map(|curve| Some((lowest(curve)?, curve))).collect();
            best.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
            for ((epoch, _), curve) in best.iter().take(3) {
                let waits = curve.iter().scan((f64::INFINITY, 0), |(least, wait), (at, loss)| {
                    (*least, *wait) = if loss < least { (*loss, 0) } else { (*least, *wait + 1) };
                    Some((*at, *wait))
                });
                let longest = waits.take_while(|(at, _)| at < epoch).map(|(_, wait)| wait).max().unwrap_or(0);
                assert!(longest < patience, "{}: {patience} would have ended it before {epoch}", entry.display());
            }
        }
        assert!(seen > 2, "{seen}");
    }
}
