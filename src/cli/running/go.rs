//! Runs a sweep from here to its end.

use std::time::Duration;

use super::preparation::{check_budget, end_leftovers, mps_daemon, take_lock, tell_lag};
use super::{Options, Progress, summary};
use crate::agent::{Launcher, mps, wait_for_leftovers};
use crate::cli::environment::{Environment, now, variable};
use crate::cli::extension::Extension;
use crate::cli::serve::Page;
use crate::cli::{cluster, evaluation, output, sweep_file};
use crate::engine::{self, Setup};
use crate::extend::stages;
use crate::log;
use crate::progress::{self, Screen, events};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_scheduler::search::Search;
use sweep_spec::Spec;
use sweep_store::{Journal, Layout};

/// A sweep that is about to run.
pub struct Planned<'a> {
    pub layout: Layout,
    pub spec: Spec,
    /// The text of the sweep file.
    pub text: &'a str,
    /// The hosts that it has run on. `None` for a sweep that has not begun.
    pub so_far: Option<&'a [String]>,
    pub retry: Retry,
}

/// What becomes of the trials that failed or diverged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry {
    /// They are retried once.
    pub failed: bool,
    /// Where they are programs, they begin in an empty folder.
    pub from_scratch: bool,
}

impl Options {
    /// Runs the remaining trials of a sweep, stage by stage, and prints a summary. `begin` opens the journal once the lock
    /// is held.
    pub fn go(
        &self,
        environment: &Environment,
        planned: Planned,
        begin: impl FnOnce(&Layout) -> Result<(History, Journal)>,
    ) -> Result<Exit> {
        let (layout, began) = (planned.layout.clone(), environment.now());
        let (mut spec, mut text) = (planned.spec.clone(), planned.text.to_owned());
        let (mut history, mut trainer) = self.run_stage(environment, planned, Duration::ZERO, begin)?;
        while history.complete
            && let Some(next) = stages::next(&text, &spec, &history, |text| read(text, &spec, &layout))?
        {
            let before = (&spec, &text[..], &history);
            let extension =
                Extension::new(before, (&next.spec, &next.text), &next.growth, Some(next.stage), environment.now())?;
            let (on, retry, length) = (history.on.clone(), Retry::default(), sweep_store::read(&layout)?.1);
            (spec, text) = (next.spec, next.text);
            let planned = Planned { layout: layout.clone(), spec: spec.clone(), text: &text, so_far: Some(&on), retry };
            let spent = Duration::from_secs_f64((environment.now() - began).max(0.0));
            let begin = |layout: &Layout| extension.write(layout, length, &text);
            (history, trainer) = self.run_stage(environment, planned, spent, begin)?;
        }
        self.conclude(&history, &spec, &layout, trainer.as_ref(), environment)
    }

    /// Runs the remaining trials of the current file. Returns the history and what starts trainers. `spent` is the time
    /// that earlier stages of this call took.
    fn run_stage(
        &self,
        environment: &Environment,
        planned: Planned,
        spent: Duration,
        begin: impl FnOnce(&Layout) -> Result<(History, Journal)>,
    ) -> Result<(History, Option<Launcher>)> {
        let Planned { layout, spec, text, so_far, retry } = planned;
        let mut cluster = self.cluster((&layout, text), &spec, so_far, environment)?;
        // Their GPUs would seem to be in use.
        if spec.program().is_some() && !sweep_store::held(&layout) {
            let note = wait_for_leftovers(layout.root());
            note.iter().for_each(|note| output::tell(&format!("note: {note}")));
        }
        let (slots, gpus) = self.own_slots(&spec, cluster.as_ref(), environment)?;
        if cluster.is_none() {
            check_budget(&spec, &slots)?;
        }
        let trainer = self.trainer(&spec, cluster.as_ref(), environment)?;
        std::fs::create_dir_all(layout.root())
            .map_err(|error| Error::storage(format!("{} cannot be created", layout.root().display()), error))?;
        let level = log::level(environment.variable(log::VARIABLE).as_deref())?;
        let lock = take_lock(&layout, environment)?;
        log::open(&layout.log(), level);
        let (history, journal) = begin(&layout)?;
        let run_for = self.time_to_run((&spec, &history), spent, &environment.short(layout.root()), environment)?;
        if let Some(cluster) = &mut cluster {
            cluster.id = cluster::id(&layout, &history);
        }
        let _page = if self.page { Some(Page::of(&layout, environment)?) } else { None };
        if spec.program().is_some() {
            end_leftovers(&layout, &history)?;
        }
        tell_lag(&spec, &history, slots.len().max(cluster.as_ref().map_or(0, |cluster| cluster.slots)));
        let screen = self.screen(environment);
        let names: Vec<String> = slots.iter().map(|slot| slot.name.clone()).collect();
        let total = Search::resumed(spec.search_terms(), &history).len();
        screen.event(events::begin(&history, &spec, &layout, &names, total));
        let running = mps::find(environment.variable(mps::VARIABLE).as_deref());
        let daemon = if running.is_none() { mps_daemon(&spec, &slots) } else { None };
        let setup = Setup {
            follows: follows(spec.clone(), text.to_owned(), layout.clone()),
            layout: layout.clone(),
            spec: spec.clone(),
            history,
            journal,
            lock,
            slots,
            gpus,
            trainer: trainer.clone(),
            silence: self.silence.map(|seconds| Duration::from_secs(seconds.into())),
            retry_failed: retry.failed,
            from_scratch: retry.from_scratch,
            max_time: self.max_time.or(spec.max_time.trial),
            run_for,
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
        Ok((history, trainer))
    }

    /// Evaluates the best trial of a complete sweep, and says how the run ended.
    fn conclude(
        &self,
        history: &History,
        spec: &Spec,
        layout: &Layout,
        evaluator: Option<&Launcher>,
        environment: &Environment,
    ) -> Result<Exit> {
        if let Some(trainer) = evaluator.filter(|_| history.complete) {
            // The sweep is complete without it, so an error here is only reported.
            match evaluation::measure(layout, spec, history, trainer) {
                Ok(Some(_)) => sweep_report::pages(layout, spec, history)?,
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
            Screen::new(progress::Kind::Events(now)).event(events::end(history, spec, layout, exit));
        } else if !matches!(self.progress, Progress::Json | Progress::None) {
            // Everything is written: that nobody is there to read of it is no failure.
            let _ = output::print(&summary::text(history, spec, layout, environment));
        }
        Ok(exit)
    }
}

/// Tells whether another stage follows the current file. That follows from the results alone, so it is the same when the
/// stage begins.
fn follows(spec: Spec, text: String, layout: Layout) -> Box<dyn Fn(&History) -> bool> {
    Box::new(move |history| {
        let next = stages::next(&text, &spec, history, |text| read(text, &spec, &layout));
        next.is_ok_and(|next| next.is_some())
    })
}

/// Reads the file of a stage, which runs in the same place as the one before.
fn read(text: &str, before: &Spec, layout: &Layout) -> Result<Spec> {
    let name = layout.sweep_file().display().to_string();
    let mut spec = Spec::read_again(text, &name, &before.name, &before.base, before.start.as_deref())?;
    sweep_file::inspect(&mut spec, &name, text)?;
    Ok(spec)
}
