//! What the scheduler is told of the sweep file and of the options.

use std::rc::Rc;
use std::time::Duration;

use sweep_core::shape;
use sweep_core::stop::{EarlyTerminate, Stopping};
use sweep_core::trial::Settings;
use sweep_scheduler::schedule::{Config, Shapes};
use sweep_spec::{OnContention, Spec};
use sweep_verdict::Context;

/// What the options and the hosts decide.
pub struct Limits {
    pub from_scratch: bool,
    pub max_time: Option<Duration>,
    pub run_for: Option<Duration>,
    /// Time without output after which a trainer is ended.
    pub silence: Option<Duration>,
    /// Time after which a silent host has surely ended its trials.
    pub lease: Duration,
}

/// The scheduler's configuration. `total` is the number of trials of the search.
pub fn config(spec: &Spec, limits: &Limits, total: Option<u64>, shape: Shapes) -> Config {
    // The rule follows once the first trials have shown what an epoch costs.
    let chosen = spec.chooses_rule.then_some(EarlyTerminate { rule: None, overfit: false, audit: 0.0 });
    Config {
        seed: spec.seed,
        from_scratch: limits.from_scratch,
        max_time: limits.max_time,
        run_for: limits.run_for,
        total,
        retries: spec.retries,
        keep_best: spec.keep_best,
        metric: spec.metric.clone(),
        stop: spec.early_terminate.clone().or(chosen).map(|terms| stopping(terms, spec)),
        budget: spec.budget,
        chooses_rule: spec.chooses_rule,
        shape,
        lease: limits.lease,
        yields: spec.devices.on_contention == OnContention::Yield,
        saves: spec.network().is_some(),
        stop_grace: spec.stop_grace,
        // A program sends no heartbeats except its epochs, which may take any time.
        silence: limits.silence.or(spec.program().is_some().then_some(Duration::MAX)),
    }
}

/// The rules that end trials, with what the sweep file tells of each trial.
fn stopping(terms: EarlyTerminate, spec: &Spec) -> Stopping {
    let (seed, spec) = (spec.seed, Rc::new(spec.clone()));
    let context = move |settings: &Settings| match spec.recipe(settings) {
        Ok(recipe) => Context::of_recipe(&recipe),
        Err(_) => Context::default(),
    };
    let planned = context.clone();
    Stopping {
        terms,
        seed,
        planned: Rc::new(move |settings| planned(settings).epochs_planned),
        overfits: Rc::new(move |trial, metric| {
            sweep_verdict::overfits(&trial.curve, &context(&trial.settings), metric)
        }),
    }
}

/// The naming of trial shapes.
pub fn shapes(spec: &Spec) -> Shapes {
    let spec = spec.clone();
    Shapes(Rc::new(move |settings| match spec.recipe(settings) {
        Ok(recipe) => shape::of_recipe(&recipe),
        _ => shape::of_settings(settings),
    }))
}
