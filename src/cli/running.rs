//! Shared parts of `run`, `resume` and `extend`: options of a running sweep, the path of the trainer, the final
//! summary.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::agent;
use super::cluster::{self, Missing, On, Role};
use super::environment::{Environment, now, variable};
use super::evaluation;
use super::output;
use super::serve::Page;
use crate::agent::gpu::{self, Gpu};
use crate::agent::libtorch::{self, Fit};
use crate::agent::{
    Device, Launcher, SlotDevice, end_leftovers as end_left, find, left_over, mps, share_a_gpu, wait_for_leftovers,
};
use crate::engine::{self, Cluster, Setup};
use crate::log;
use crate::progress::{self, Screen, events};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_report::ranking::{Place, Ranking, groups};
use sweep_report::{format, summary};
use sweep_scheduler::schedule::Condition;
use sweep_scheduler::search::{self, Search};
use sweep_spec::{Busy, Devices, Gpus, Method, Spec, parse_time};
use sweep_store::{Holder, Journal, Layout, Lock};

/// Options of `run`, `resume` and `extend --run`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// GPUs to use instead of those in the sweep file: `all`, `none`, or indices and UUIDs, for example `0,2`
    #[arg(long, value_name = "GPUS")]
    gpus: Option<String>,
    /// Progress display; `auto` draws bars on a terminal and prints lines elsewhere
    #[arg(long, value_enum, default_value = "auto")]
    progress: Progress,
    /// Print an event per line as JSON, for scripts (docs/reference/events.md)
    #[arg(long, conflicts_with = "progress")]
    pub json: bool,
    /// Path of the trainer [default: sweep-trainer next to sweep]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Timeout in seconds: a trainer without output for this long is ended, and its trial is retried [default: ten
    /// epochs of the trial, but at least 60 s, and 600 s before the first epoch]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    silence: Option<u32>,
    /// Save the running trials and end after this time, for example 8h; the sweep can be resumed [default: `max_time` in
    /// the sweep file]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    run_for: Option<Duration>,
    /// Stop a trial that has run for this time, for example 2h; its best epoch counts [default: `max_time` in the sweep
    /// file]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    max_time: Option<Duration>,
    /// Skip the checks of the images and the networks
    #[arg(long)]
    pub no_check: bool,
    #[command(flatten)]
    pub on: On,
    /// Under srun: train on all nodes of the allocation. One task a node; the first one controls the sweep
    #[arg(long)]
    here: bool,
    /// Also show the sweep in the browser while it runs, like `sweep serve`; prints the address
    #[arg(long)]
    page: bool,
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
            let folder = folder.display();
            Err(Error::new(Exit::Usage, what).hint(format!(
                "give this run more time with `sweep resume {folder} --for 1h`, or raise `max_time` with `sweep extend`"
            )))
        }
    }
}

/// What starts the trainer: the given program, or else the one beside `sweep`.
pub fn launcher(named: Option<&Path>, environment: &Environment) -> Launcher {
    let libtorch = environment.variable(libtorch::VARIABLE).map(|folder| environment.folder.join(folder));
    let beside = || libtorch::trainer_for(environment.program.with_file_name("sweep-trainer"), libtorch.as_deref());
    let program = named.map_or_else(beside, |path| environment.folder.join(path));
    Launcher::new(program, libtorch)
}

/// What starts the trainer, if it can be started.
///
/// # Errors
/// Returns [`Exit::NoTrainer`] if there is no such program, or if the libtorch that it would load is too old.
pub fn trainer(named: Option<&Path>, environment: &Environment) -> Result<Launcher> {
    let launcher = launcher(named, environment);
    let trainer = launcher.program();
    if !trainer.is_file() {
        return Err(Error::new(Exit::NoTrainer, format!("the trainer {} does not exist", trainer.display())).hint(
            "install both programs (`pip install 'sweep-hpo[torch]'`), build it (`make demo`), or give its path with \
             --trainer",
        ));
    }
    match launcher.libtorch() {
        Some(found) if found.fit(trainer) == Fit::TooOld => Err(Error::new(Exit::NoTrainer, found.too_old(trainer))
            .hint(format!("install a version that works: {}", libtorch::install()))),
        _ => Ok(launcher),
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Progress {
    Auto,
    Bars,
    Plain,
    Json,
    None,
}

impl Options {
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

    /// The other hosts, if the sweep runs on any. Then it does not run on this machine.
    fn cluster(
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
        if self.here {
            return Ok(Some(cluster::listening(spec, terms, layout)));
        }
        // A sweep that has begun goes on with the hosts that are left.
        let missing = if so_far.is_some() { Missing::Note } else { Missing::Refuse };
        let cluster = cluster::check(targets, spec, terms, missing)?;
        Ok(Some(cluster::with_jobs(cluster, layout, environment)))
    }

    /// Removes slots on GPUs that other processes use, and prints a note for each such GPU.
    fn skip_busy(slots: Vec<SlotDevice>, gpus: &[Gpu]) -> Result<Vec<SlotDevice>> {
        let mut reasons = Vec::new();
        let is_free = |slot: &SlotDevice| {
            let Device::Gpu { uuids } = &slot.device else { return true };
            let busy = gpus.iter().filter(|gpu| uuids.contains(&gpu.uuid)).find_map(|gpu| {
                match gpu::condition(gpu, Some(gpu), None, |pid| gpu::owner(pid, std::process::id())) {
                    Condition::Busy(reason) => Some(format!("{}: {reason}", gpu.slot())),
                    _ => None,
                }
            });
            let is_free = busy.is_none();
            reasons.extend(busy.filter(|reason| !reasons.contains(reason)));
            is_free
        };
        let free: Vec<_> = slots.into_iter().filter(is_free).collect();
        if free.is_empty() {
            return Err(Error::new(Exit::NoTrainer, format!("all GPUs are in use; {}", reasons.join("; ")))
                .hint("to wait for them, write `busy: wait` under `devices:`; to share them, write `busy: share`"));
        }
        reasons.iter().for_each(|reason| output::tell(&format!("note: not used: {reason}")));
        Ok(free)
    }

    fn screen(&self, environment: &Environment) -> Screen {
        match self.progress {
            _ if self.json => Screen::new(progress::Kind::Events(now)),
            Progress::Bars => Screen::bars(),
            Progress::Auto if environment.draws => Screen::bars(),
            Progress::Auto | Progress::Plain => Screen::new(progress::Kind::Lines),
            Progress::Json => Screen::new(progress::Kind::Json),
            Progress::None => Screen::new(progress::Kind::Quiet),
        }
    }

    /// Trains for the controller of the sweep in this folder, if that is this process's part under srun.
    ///
    /// # Errors
    /// Returns an error of the agent, or that this is not an allocation.
    pub fn join(&self, layout: &Layout, environment: &Environment) -> Result<Option<Exit>> {
        if !self.here {
            return Ok(None);
        }
        match cluster::role(environment)? {
            Role::Controls => Ok(None),
            Role::Idle => Ok(Some(Exit::Success)),
            Role::Joins(name) => {
                let args = agent::Args::named(name, self.trainer.clone());
                agent::dial(&args, &cluster::address(layout), environment)?;
                Ok(Some(Exit::Success))
            }
        }
    }

    /// Runs the remaining trials of a sweep and prints a summary.
    pub fn go(
        &self,
        environment: &Environment,
        layout: Layout,
        spec: Spec,
        (text, so_far): (&str, Option<&[String]>),
        begin: impl FnOnce(&Layout) -> Result<(History, Journal)>,
        (retry_failed, from_scratch): (bool, bool),
    ) -> Result<Exit> {
        let mut cluster = self.cluster((&layout, text), &spec, so_far, environment)?;
        // Their GPUs would seem to be in use.
        if spec.program().is_some() && !sweep_store::held(&layout) {
            let note = wait_for_leftovers(layout.root());
            note.iter().for_each(|note| output::tell(&format!("note: {note}")));
        }
        let (mut slots, gpus) =
            if cluster.is_some() && !self.here { (Vec::new(), Vec::new()) } else { self.slots(&spec, environment)? };
        if spec.devices.busy == Busy::Skip && !slots.is_empty() {
            slots = Options::skip_busy(slots, &gpus)?;
        }
        let has_gpu = slots.iter().any(|slot| matches!(slot.device, Device::Gpu { .. }));
        if (spec.budget.gpu_time.is_some() || spec.budget.joules.is_some()) && !has_gpu && cluster.is_none() {
            let what = "the budget is one of GPU-hours or kWh, and the sweep uses no GPU";
            return Err(Error::new(Exit::BadFile, what).hint("write `budget: {time: 2h}` or `{epochs: 500}` instead"));
        }
        let own = || trainer(self.trainer.as_deref(), environment);
        let trainer = match (cluster.as_ref().filter(|_| !self.here), spec.network()) {
            (_, None) => None,
            (None, Some(_)) => Some(own()?),
            // Only the evaluation of the best trial needs one here.
            (Some(_), Some(_)) => own().ok(),
        };
        std::fs::create_dir_all(layout.root())
            .map_err(|error| Error::storage(format!("{} cannot be created", layout.root().display()), error))?;
        let level = log::level(environment.variable(log::VARIABLE).as_deref())?;
        let holder = environment.holder();
        if let Some(other) = Holder::read(&layout).filter(|other| other.is_far_from(&holder)) {
            output::tell(&format!("note: waiting up to 15 s for a sign of life from {other}, which ran this sweep"));
        }
        let lock = Lock::take(&layout, &holder)?;
        log::open(&layout.log(), level);
        let (history, journal) = begin(&layout)?;
        let run_for = match (self.run_for, spec.max_time.sweep) {
            (None, Some(most)) => Some(time_left(most, &history, &environment.short(layout.root()))?),
            (named, _) => named,
        };
        if let Some(cluster) = &mut cluster {
            cluster.id = cluster::id(&layout, &history);
        }
        let count = slots.len().max(cluster.as_ref().map_or(0, |cluster| cluster.slots));
        let _page = if self.page { Some(Page::of(&layout, environment)?) } else { None };
        if spec.program().is_some() {
            end_leftovers(&layout, &history)?;
        }
        if spec.method == Method::Tpe {
            let lag = search::lag(spec.search_terms(), &history, count.max(1));
            for note in notes_on_lag(lag, count, Search::resumed(spec.search_terms(), &history).len()) {
                output::tell(&format!("note: {note}"));
            }
        }
        let screen = self.screen(environment);
        let names: Vec<String> = slots.iter().map(|slot| slot.name.clone()).collect();
        let total = Search::resumed(spec.search_terms(), &history).len();
        screen.event(events::begin(&history, &spec, &layout, &names, total));
        let running = mps::find(environment.variable(mps::VARIABLE).as_deref());
        let daemon = match running {
            None if spec.devices.mps && trainer.is_some() && share_a_gpu(&slots) => mps::Daemon::start(),
            _ => Ok(None),
        };
        let daemon = daemon.unwrap_or_else(|reason| {
            output::tell(&format!(
                "note: trials on the same GPU take turns, because CUDA MPS is not available: {reason}"
            ));
            None
        });
        let evaluator = trainer.clone();
        let setup = Setup {
            layout: layout.clone(),
            spec: spec.clone(),
            history,
            journal,
            lock,
            slots,
            gpus,
            trainer,
            silence: self.silence.map(|seconds| Duration::from_secs(seconds.into())),
            retry_failed,
            from_scratch,
            max_time: self.max_time.or(spec.max_time.trial),
            run_for: run_for.map(|time| time - time_to_save(&spec, time)),
            checks_weights: !self.no_check,
            screen,
            host: environment.host(),
            mps: running.or_else(|| daemon.as_ref().map(|daemon| daemon.pipes().to_owned())),
            memory: environment.memory(),
            clock: now,
            variable,
            cluster,
        };
        let history = engine::run(setup)?;
        drop(daemon); // all its trainers have ended
        if let Some(trainer) = evaluator.filter(|_| history.complete) {
            // The sweep is complete without it, so an error here is only reported.
            match evaluation::measure(&layout, &spec, &history, &trainer) {
                Ok(Some(_)) => sweep_report::pages(&layout, &spec, &history)?,
                Ok(None) => {}
                Err(error) => output::tell(&format!("note: the best trial was not evaluated: {error}")),
            }
        }
        let exit = if !history.complete {
            Exit::Interrupted
        } else if history.trials.iter().any(|trial| trial.failed()) {
            Exit::TrialsFailed
        } else {
            Exit::Success
        };
        if self.json {
            Screen::new(progress::Kind::Events(now)).event(events::end(&history, &spec, &layout, exit));
        } else if !matches!(self.progress, Progress::Json | Progress::None) {
            // Everything is written: that nobody is there to read of it is no failure.
            let _ = output::print(&summary(&history, &spec, &layout, environment));
        }
        Ok(exit)
    }
}

/// Makes sure that no program of an earlier controller runs beside its successor.
fn end_leftovers(layout: &Layout, history: &History) -> Result<()> {
    // What runs on another host is its agent's, also if that host is this machine.
    let own = history.trials.iter().filter(|trial| history.node_of(&trial.slot).is_none());
    let recorded = own.filter_map(|trial| Some((trial.id, trial.group.clone()?)));
    match end_left(layout.root(), &recorded.collect::<Vec<_>>()) {
        Ok(note) => note.iter().for_each(|note| output::tell(&format!("note: {note}"))),
        Err(left) => {
            return Err(Error::new(Exit::NoTrainer, left).hint(
                "two copies of a program would spoil each other's files: end the process, or restart the machine",
            ));
        }
    }
    Ok(())
}

/// Notes about how long `tpe` waits for results.
fn notes_on_lag(lag: u32, slots: usize, trials: Option<u64>) -> Vec<String> {
    let (mut notes, together) = (Vec::new(), lag as usize + 1);
    if together < slots {
        notes.push(format!(
            "`lag: {lag}` lets only {together} of the {slots} slots train at the same time once `tpe` has started to \
             learn"
        ));
    }
    let first = u64::from(lag) + search::STARTUP as u64 + 1;
    if let Some(trials) = trials.filter(|trials| 2 * first > *trials) {
        notes.push(format!(
            "with `lag: {lag}`, `tpe` learns from trial {first} on, but the sweep has only {trials} trials; write a \
             smaller `lag` to start earlier"
        ));
    }
    notes
}

/// The devices that the file requests, with the GPUs of `--gpus` instead of its own.
pub fn devices(spec: &Spec, gpus: Option<&str>) -> Devices {
    let mut devices = spec.devices.clone();
    if let Some(gpus) = gpus {
        devices.gpus = match gpus {
            "all" => Gpus::All,
            "none" => Gpus::None,
            names => Gpus::These(names.split(',').map(|name| name.trim().to_owned()).collect()),
        };
    }
    devices
}

/// The slots of this machine that `devices` requests, and the GPUs.
///
/// # Errors
/// Returns an error if `devices` names a GPU that does not exist.
pub fn slots(devices: &Devices, environment: &Environment) -> Result<(Vec<SlotDevice>, Vec<Gpu>)> {
    let gpus = if devices.gpus == Gpus::None { Err("they are not asked for".into()) } else { gpu::look() };
    let visible = environment.visible_gpus();
    let slots = find(devices, &gpus, visible.as_deref(), environment.cores())?;
    Ok((slots, gpus.unwrap_or_default()))
}

/// The last lines of a run.
fn summary(history: &History, spec: &Spec, layout: &Layout, environment: &Environment) -> String {
    let folder = environment.short(layout.root());
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for trial in &history.trials {
        match counts.iter_mut().find(|(name, _)| *name == trial.status.name()) {
            Some((_, count)) => *count += 1,
            None => counts.push((trial.status.name(), 1)),
        }
    }
    let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {}", name.replace('_', " "))).collect();
    let mut text = if history.complete { "\nAll trials have ended: " } else { "\nStopped: " }.to_owned();
    text += &counts.join(", ");
    let ranking = Ranking::new(history, &spec.metric);
    let groups = groups(&ranking, &spec.metric);
    if let Some(best) = summary::leader(spec, &groups) {
        text += &format!("\n{}", summary::of_settings(spec, best));
    } else if let Some(Place { trial, best, .. }) = ranking.best() {
        let value = best.get(&spec.metric.name).unwrap_or(f64::NAN);
        text += &format!("\nBest: trial {}, {} {}", trial.id, spec.metric.name, format::number(value, 4));
        if let Some(accuracy) = best.val_accuracy.filter(|_| spec.metric.name != "val_accuracy") {
            text += &format!(", val_accuracy {}", format::number(accuracy, 4));
        }
        text += &format!(" at epoch {}: {}", best.epoch, format::settings(&trial.settings));
    }
    if let Some(target) = summary::target(spec, history) {
        text += &format!("\n{target}");
    }
    for line in summary::extensions(history).chain(summary::scripts(history)) {
        text += &format!("\n{line}");
    }
    text += &format!("\nReport: {}", folder.join("report.html").display());
    if !history.complete {
        text += &format!("\nTo continue: sweep resume {}", folder.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_that_leaves_slots_idle_or_tpe_without_knowledge_is_said() {
        assert!(notes_on_lag(2, 2, Some(100)).is_empty() && notes_on_lag(14, 8, None).is_empty());
        assert!(notes_on_lag(1, 4, None)[0].starts_with("`lag: 1` lets only 2 of the 4 slots train"));
        let note = &notes_on_lag(14, 8, Some(24))[0];
        assert!(note.contains("learns from trial 25 on, but the sweep has only 24"), "{note}");
    }
}
