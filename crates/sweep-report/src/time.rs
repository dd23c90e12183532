//! How the sweep used its time. Pure.

use super::format;
use super::patience::{Cost, Patience, Saving};
use super::ranking::Ranking;
use sweep_core::history::{History, TrialRecord};
use sweep_core::trial::{Metric, TrialId};

/// With more trials than this, short trials are merged into busy intervals for the chart.
const STRETCHES: usize = 800;

/// The times at which slots were busy.
#[derive(Debug)]
pub struct Time {
    /// The names of the slots.
    pub slots: Vec<String>,
    /// Busy intervals: one per trial, or one per run of short trials if there are many.
    pub stretches: Vec<Stretch>,
    /// Slot time of all trials that are over, in seconds.
    pub seconds: f64,
    /// The energy of those trials in joules, and the number of trials for which it is known.
    pub energy: (f64, usize),
    /// Number of epochs trained.
    pub epochs: u64,
    /// Number of epochs after the best epoch of their trial.
    pub after_best: u64,
    /// The patience that early stopping could have had.
    pub patience: Patience,
    /// Time from the start of the first trial to the end of the last, in seconds.
    pub wall: f64,
    trials: usize,
}

/// What trains the trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainer {
    /// The networks of the sweep file, by the built-in trainer.
    BuiltIn,
    /// A program of the user, which has no settings of the built-in trainer.
    Program,
}

/// A busy interval of a slot. Times are in seconds since the start of the sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// The index of the slot in [`Time::slots`].
    pub slot: usize,
    /// The start.
    pub from: f64,
    /// The end of the best epoch.
    pub best: f64,
    /// The end.
    pub until: f64,
}

impl Time {
    /// Measures the trials that are over. `tied` are the trials that may be the best.
    pub fn new(history: &History, ranking: &Ranking, metric: &Metric, tied: &[TrialId]) -> Time {
        let mut time = Time {
            slots: Vec::new(),
            stretches: Vec::new(),
            seconds: 0.0,
            energy: (0.0, 0),
            epochs: 0,
            after_best: 0,
            patience: Patience::new(ranking, metric, tied),
            wall: 0.0,
            trials: 0,
        };
        let mut over: Vec<&TrialRecord> = history.trials.iter().filter(|trial| trial.outcome().is_some()).collect();
        over.sort_by(|a, b| a.started_at.total_cmp(&b.started_at));
        time.slots = over.iter().map(|trial| trial.slot.clone()).collect();
        time.slots.sort();
        time.slots.dedup();
        time.trials = over.len();
        let least = if over.len() > STRETCHES { span(&over) / 800.0 } else { 0.0 };
        for trial in over {
            time.seconds += trial.seconds;
            if let Some(joules) = trial.joules {
                time.energy = (time.energy.0 + joules, time.energy.1 + 1);
            }
            time.add(trial, history.began_at, metric, least);
        }
        time.wall = time.stretches.iter().map(|stretch| stretch.until).fold(0.0, f64::max);
        for place in &ranking.placed {
            let trained = place.trial.curve.len() as u64;
            let after = place.trial.curve.iter().filter(|epoch| epoch.epoch > place.best.epoch).count() as u64;
            time.epochs += trained;
            time.after_best += after;
        }
        time
    }

    fn add(&mut self, trial: &TrialRecord, began: f64, metric: &Metric, least: f64) {
        let (Some(slot), Some(ended)) = (self.slots.binary_search(&trial.slot).ok(), trial.ended_at) else { return };
        // A clock that jumped can have a trial start before its sweep, or end before it started.
        let from = (trial.started_at - began).max(0.0);
        let until = (ended - began).max(from);
        let last = f64::from(trial.epochs().max(1));
        let best = metric.best(&trial.curve).map_or(1.0, |best| f64::from(best.epoch) / last);
        let before = self.stretches.iter_mut().rev().take(256).find(|stretch| stretch.slot == slot);
        match before {
            // Many consecutive short trials are merged into one interval.
            Some(before) if least > 0.0 && from - before.until < least && before.until - before.from < 8.0 * least => {
                let share = (before.best - before.from) + best * (until - from);
                before.until = until;
                before.best = (before.from + share).min(until);
            }
            _ => self.stretches.push(Stretch { slot, from, best: from + best * (until - from), until }),
        }
    }

    /// Describes the time in one or two sentences, or in none if no trial is over. Names the setting for early stopping
    /// if `trainer` has it.
    pub fn sentences(&self, trainer: Trainer) -> Vec<String> {
        if self.trials == 0 {
            return Vec::new();
        }
        let each = format::duration(self.seconds / self.trials as f64);
        let slots = self.slots.len();
        let plural = if slots == 1 { "slot" } else { "slots" };
        let mut said = vec![format!(
            "{} took {} of slot time on {slots} {plural}, {each} per trial. The last trial ended {} after the sweep \
             started.",
            format::trials(self.trials),
            format::duration(self.seconds),
            format::duration(self.wall),
        )];
        if let (joules, trials @ 1..) = self.energy {
            said.push(format!(
                "The GPUs used {:.3} kWh, {:.1} kJ per trial.",
                joules / 3.6e6,
                joules / 1e3 / trials as f64
            ));
        }
        if self.epochs > 0 {
            said.push(format!(
                "{:.0}% of the {} epochs came after the best epoch of their trial. {}",
                self.after_best as f64 / self.epochs as f64 * 100.0,
                format::count(self.epochs),
                stopping(&self.patience, trainer),
            ));
        }
        said
    }
}

/// What early stopping could have saved, and what a shorter patience would have cost.
fn stopping(Patience { found, costly }: &Patience, trainer: Trainer) -> String {
    let costs = costly.map(|Cost { patience, trial, rank, epoch, warm_up }| {
        let place = if rank == 1 { "the best trial".to_owned() } else { format!("trial {trial} (rank {rank})") };
        let why = if warm_up { ", on a plateau at its start" } else { "" };
        format!(" A patience of {patience} would have stopped {place} in epoch {epoch}{why}, before its best epoch.")
    });
    let costs = costs.unwrap_or_default();
    match found {
        Some(Saving { patience, epochs, seconds }) => {
            let many = if *epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", format::count(*epochs)) };
            let how = match trainer {
                Trainer::BuiltIn => format!(" (`early_stopping: {{patience: {patience}}}`)"),
                Trainer::Program => " in the script".to_owned(),
            };
            format!(
                "Early stopping with a patience of {patience}{how} would have saved {many}, about {}, and stopped no \
                 leading trial before its best epoch.{costs}",
                format::duration(*seconds)
            )
        }
        None if costs.is_empty() => "Early stopping would have saved no epochs.".to_owned(),
        None => format!(
            "Early stopping could have saved no epochs without stopping a leading trial before its best \
            epoch.{costs}"
        ),
    }
}

/// Time from the first start to the last end, in seconds.
fn span(over: &[&TrialRecord]) -> f64 {
    let first = over.first().map_or(0.0, |trial| trial.started_at);
    over.iter().filter_map(|trial| trial.ended_at).fold(first, f64::max) - first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(history: &History) -> Time {
        let metric = sweep_sample::spec().metric;
        Time::new(history, &Ranking::new(history, &metric), &metric, &[])
    }

    #[test]
    fn epochs_after_the_best_are_counted_and_what_patience_would_have_saved() {
        let history = sweep_sample::history();
        let time = time(&history);
        assert_eq!((time.slots.join(","), time.stretches.len(), time.epochs), ("cpu:0,cpu:1".into(), 6, 20 * 3 + 14));
        let saved = time.patience.found.map_or(0, |saving| saving.epochs);
        assert!(saved <= time.after_best && time.seconds == 6.0 * 60.0, "{time:?}");
        assert!(time.stretches.iter().all(|s| s.from <= s.best && s.best <= s.until), "{time:?}");
    }

    #[test]
    fn only_the_built_in_trainers_setting_is_named() {
        let found = Some(Saving { patience: 3, epochs: 16, seconds: 40.0 });
        let said = |trainer| stopping(&Patience { found, costly: None }, trainer);
        assert!(said(Trainer::BuiltIn).contains("a patience of 3 (`early_stopping: {patience: 3}`) would have"));
        assert!(said(Trainer::Program).contains("a patience of 3 in the script would have"));
    }

    #[test]
    fn a_clock_that_jumps_moves_no_stretch_before_the_sweeps_beginning() {
        let history = sweep_sample::history().altered(|history| {
            history.trials[0].started_at = -1.7e9;
            (history.trials[1].started_at, history.trials[1].ended_at) = (500.0, Some(-3.0));
        });
        let time = time(&history);
        assert!(time.stretches.iter().all(|s| 0.0 <= s.from && s.from <= s.until), "{time:?}");
    }

    #[test]
    fn energy_is_told_where_it_is_known() {
        assert!(!time(&sweep_sample::history()).sentences(Trainer::BuiltIn).concat().contains("kWh"));
        let history = sweep_sample::history()
            .altered(|history| history.trials[..2].iter_mut().for_each(|trial| trial.joules = Some(1.8e6)));
        let said = time(&history).sentences(Trainer::BuiltIn).concat();
        assert!(said.contains("The GPUs used 1.000 kWh, 1800.0 kJ per trial."), "{said}");
    }

    #[test]
    fn many_trials_become_few_stretches() {
        let many = time(&sweep_sample::many(5000));
        assert!(many.stretches.len() < 2000 && many.slots.len() == 2, "{}", many.stretches.len());
    }
}
