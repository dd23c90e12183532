//! What has to be there before a sweep runs: hosts, slots, the trainer, the lock; and no leftovers of earlier runs.

use std::path::Path;
use std::time::Duration;

use super::{Options, devices, launcher, slots, trainer};
use crate::agent::gpu::Gpu;
use crate::agent::{Device, Launcher, SlotDevice, end_leftovers as end_left, left_over, mps, share_a_gpu, skip_busy};
use crate::cli::cluster::{self, Missing};
use crate::cli::environment::{Environment, variable};
use crate::cli::output;
use crate::engine::Cluster;
use crate::hosts::Own;
use crate::slurm;
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_report::format;
use sweep_scheduler::search::{self, Search};
use sweep_spec::{Busy, Spec};
use sweep_store::{Holder, Layout, Lock};

impl Options {
    /// The other hosts, if the sweep runs on any. Then it does not run on this machine.
    pub(super) fn cluster(
        &self,
        (layout, text): (&Layout, &str),
        spec: &Spec,
        so_far: Option<&[String]>,
        environment: &Environment,
    ) -> Result<Option<Cluster>> {
        let targets = self.on.targets(spec, so_far.unwrap_or_default())?;
        if targets.is_empty() && !self.here {
            return Ok(None);
        }
        let (file, trainer) = (layout.sweep_file(), self.trainer.as_deref());
        let terms = cluster::terms(spec, (&file, text), self.gpus.as_deref(), trainer, environment);
        let own = self.own(spec, environment);
        if self.here {
            return Ok(Some(cluster::listening(spec, terms, own, layout)));
        }
        // A sweep that has begun goes on with the hosts that are left.
        let missing = if so_far.is_some() { Missing::Note } else { Missing::Refuse };
        let cluster = cluster::check(targets, spec, terms, missing, own)?;
        Ok(Some(cluster::with_jobs(cluster, layout, environment)))
    }

    /// The programs that hosts may lack.
    fn own(&self, spec: &Spec, environment: &Environment) -> Own {
        // A trainer that is named must be at the same path everywhere.
        let trainer = launcher(None, environment).program().to_owned();
        let trainer = Some(trainer).filter(|path| spec.network().is_some() && self.trainer.is_none() && path.is_file());
        Own::new([environment.program.clone()].into_iter().chain(trainer).collect(), environment.c_library())
    }

    /// The slots that the file and the options request.
    fn slots(&self, spec: &Spec, environment: &Environment) -> Result<(Vec<SlotDevice>, Vec<Gpu>)> {
        let devices = devices(spec, self.gpus.as_deref());
        let (slots, gpus) = slots(&devices, environment)?;
        let idle = left_over(&devices, &gpus, environment.visible_gpus().as_deref());
        if !idle.is_empty() {
            let count = devices.gpus_per_trial;
            output::tell(&format!("note: not used: {}, because each trial has {count} GPUs", idle.join(", ")));
        }
        Ok((slots, gpus))
    }

    /// The slots of this machine that the sweep uses, and its GPUs. With other hosts, this machine has none.
    pub(super) fn own_slots(
        &self,
        spec: &Spec,
        cluster: Option<&Cluster>,
        environment: &Environment,
    ) -> Result<(Vec<SlotDevice>, Vec<Gpu>)> {
        if cluster.is_some() && !self.here {
            return Ok((Vec::new(), Vec::new()));
        }
        let (slots, gpus) = self.slots(spec, environment)?;
        if spec.devices.busy != Busy::Skip || slots.is_empty() {
            return Ok((slots, gpus));
        }
        let (slots, skipped) = skip_busy(slots, &gpus)?;
        skipped.iter().for_each(|reason| output::tell(&format!("note: not used: {reason}")));
        Ok((slots, gpus))
    }

    /// What starts the trainer. `None` if trials are programs, or if it runs only on other hosts and this one has none.
    pub(super) fn trainer(
        &self,
        spec: &Spec,
        cluster: Option<&Cluster>,
        environment: &Environment,
    ) -> Result<Option<Launcher>> {
        let own = || trainer(self.trainer.as_deref(), environment);
        match (cluster.filter(|_| !self.here), spec.network()) {
            (_, None) => Ok(None),
            (None, Some(_)) => own().map(Some),
            // Only the evaluation of the best trial needs one here.
            (Some(_), Some(_)) => Ok(own().ok()),
        }
    }

    /// Time after which this run saves its trials and ends: `--for`, or what is left of `max_time: sweep:`, but no longer than
    /// the job that it is in.
    pub(super) fn time_to_run(
        &self,
        (spec, history): (&Spec, &History),
        spent: Duration,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Option<Duration>> {
        let named = self.run_for.map(|time| time.saturating_sub(spent));
        let time = match (named, spec.max_time.sweep) {
            (None, Some(most)) => Some(time_left(most, history, folder)?),
            (named, _) => named,
        };
        let job = slurm::time_for_trials(variable, environment.now());
        Ok(time.map(|time| time - time_to_save(spec, time)).into_iter().chain(job).min())
    }
}

/// The part of a run's time that is kept for saving its trials: as long as they may take, but at most a tenth.
fn time_to_save(spec: &Spec, time: Duration) -> Duration {
    (spec.stop_grace + Duration::from_secs(5)).min(time / 10)
}

/// The part of `max_time: sweep:` that earlier runs have left.
fn time_left(most: Duration, history: &History, folder: &Path) -> Result<Duration> {
    let spent = Duration::from_secs_f64(history.seconds_run().clamp(0.0, 1e9));
    // Trials are saved before the time is over, so the last moments are left.
    match most.checked_sub(spent).filter(|left| *left > most / 10) {
        Some(left) => Ok(left),
        None => {
            let what = format!(
                "the sweep has run for {} of its `max_time` of {}",
                format::duration(spent.as_secs_f64()),
                format::duration(most.as_secs_f64())
            );
            let folder = argument(folder);
            Err(Error::new(Exit::Usage, what).hint(format!(
                "give this run more time with `sweep resume {folder} --for 1h`, or raise `max_time` with `sweep extend`"
            )))
        }
    }
}

/// Refuses a budget of GPU time or energy where no GPU is used.
pub(super) fn check_budget(spec: &Spec, slots: &[SlotDevice]) -> Result<()> {
    let has_gpu = slots.iter().any(|slot| matches!(slot.device, Device::Gpu { .. }));
    if (spec.budget.gpu_time.is_some() || spec.budget.joules.is_some()) && !has_gpu {
        let what = "the budget is one of GPU-hours or kWh, and the sweep uses no GPU";
        return Err(Error::new(Exit::BadFile, what).hint("write `budget: {time: 2h}` or `{epochs: 500}` instead"));
    }
    Ok(())
}

/// Takes the right to run the sweep. A controller on another host may have to be waited for.
pub(super) fn take_lock(layout: &Layout, environment: &Environment) -> Result<Lock> {
    let holder = environment.holder();
    if let Some(other) = Holder::read(layout).filter(|other| other.is_far_from(&holder)) {
        output::tell(&format!("note: waiting up to 15 s to see whether {other}, which ran this sweep, is still alive"));
    }
    Lock::take(layout, &holder)
}

/// Makes sure that no program of an earlier controller runs beside its successor.
pub(super) fn end_leftovers(layout: &Layout, history: &History) -> Result<()> {
    // What runs on another host is its agent's, also if that host is this machine.
    let own = history.trials.iter().filter(|trial| history.node_of(&trial.slot).is_none());
    let recorded = own.filter_map(|trial| Some((trial.id, trial.group.clone()?)));
    match end_left(layout.root(), &recorded.collect::<Vec<_>>()) {
        Ok(note) => note.iter().for_each(|note| output::tell(&format!("note: {note}"))),
        Err(left) => {
            return Err(Error::new(Exit::NoTrainer, left).hint(
                "two copies of a program would overwrite each other's files: end the process, or restart the machine",
            ));
        }
    }
    Ok(())
}

/// Says how long the method waits for results, if that leaves slots idle or the search without knowledge.
pub(super) fn tell_lag(spec: &Spec, history: &History, slots: usize) {
    if spec.method.learns() {
        let lag = search::lag(spec.search_terms(), history, slots.max(1));
        for note in notes_on_lag(lag, slots, Search::resumed(spec.search_terms(), history).len()) {
            output::tell(&format!("note: {note}"));
        }
    }
}

/// Notes about how long the method waits for results.
fn notes_on_lag(lag: u32, slots: usize, trials: Option<u64>) -> Vec<String> {
    let (mut notes, together) = (Vec::new(), lag as usize + 1);
    if together < slots {
        notes.push(format!(
            "with `lag: {lag}`, only {together} of the {slots} slots can train at the same time, once configurations \
             depend on results"
        ));
    }
    let first = u64::from(lag) + search::STARTUP as u64 + 1;
    if let Some(trials) = trials.filter(|trials| 2 * first > *trials) {
        notes.push(format!(
            "with `lag: {lag}`, the method learns from trial {first} on, but the sweep has only {trials} trials; write a \
             smaller `lag` to start earlier"
        ));
    }
    notes
}

/// Starts a CUDA MPS daemon if trials of networks share a GPU and none runs. It ends when it is dropped.
pub(super) fn mps_daemon(spec: &Spec, slots: &[SlotDevice]) -> Option<mps::Daemon> {
    if spec.network().is_none() || !spec.devices.mps || !share_a_gpu(slots) {
        return None;
    }
    mps::Daemon::start().unwrap_or_else(|reason| {
        output::tell(&format!("note: trials on the same GPU take turns, because CUDA MPS is not available: {reason}"));
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_leaves_slots_idle_or_tpe_without_knowledge_is_said() {
        assert!(notes_on_lag(2, 2, Some(100)).is_empty() && notes_on_lag(14, 8, None).is_empty());
        assert!(notes_on_lag(1, 4, None)[0].starts_with("with `lag: 1`, only 2 of the 4 slots can train"));
        let note = &notes_on_lag(14, 8, Some(24))[0];
        assert!(note.contains("learns from trial 25 on, but the sweep has only 24"), "{note}");
    }
}
