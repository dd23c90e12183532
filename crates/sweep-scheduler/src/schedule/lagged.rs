//! Simulates `tpe` and `bayes` on several slots, in virtual time. The configurations must not depend on
//! which trial ends first. The simulation also measures what that independence costs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use rand::RngExt;
use rand_distr::{Distribution, LogNormal};

use super::{Action, Config, Event, Now, Scheduler, Shapes, Slot, SlotEvent, SlotId, TrialSource};
use crate::search::{self, Search};
use sweep_core::history::{Entry, History};
use sweep_core::protocol::{self, FromTrainer};
use sweep_core::random::{Purpose, stream};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome, Settings};
use sweep_spec::Spec;

/// Milliseconds of virtual time.
type Millis = u64;

/// Median duration of a trial, in milliseconds.
const MEDIAN: f64 = 20_000.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ready,
    Ends(Attempt),
    Crashes,
    Tick,
}

/// The circumstances of a run that the sweep file does not determine.
#[derive(Debug, Clone, Copy)]
struct Chance {
    slots: usize,
    /// Seed of the durations.
    seed: u64,
    /// Standard deviation of the logarithm of the durations.
    sigma: f64,
    /// One in this many first attempts crashes.
    crashes: Option<u32>,
    /// Number of events after which the controller is killed.
    killed: u64,
}

/// Result of a run.
struct Left {
    history: History,
    /// Share of the slots' time without a trial on them, until the last trial began.
    idle: f64,
}

fn spec(head: &str) -> Spec {
    let method = if head.contains("method:") { "" } else { "method: tpe" };
    let text = format!(
        "{method}\nprogram: x\nmetric: {{name: val_loss, goal: minimize}}\n{head}\nparameters:
  x: {{min: -5.0, max: 10.0}}
  y: {{min: 0.0, max: 15.0}}
  kind: {{values: [a, b, c]}}\n"
    );
    Spec::read(&text, "f", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn value(settings: &Settings) -> f64 {
    let number = |name: &str| settings[name].as_f64().expect("it is a number");
    let kind = ["a", "b", "c"].iter().position(|kind| settings["kind"] == *kind).expect("there are three");
    (number("x") - 3.0).powi(2) + (number("y") - 2.0).powi(2) + kind as f64
}

/// What a repeat adds to the value of its configuration.
fn luck(repeat: u32) -> f64 {
    f64::from((repeat - 1) * 37 % 11) / 5.0
}

/// Runs or resumes a sweep as the engine does.
#[allow(clippy::too_many_lines, reason = "one course of events")]
fn run(spec: &Spec, history: History, chance: Chance) -> Left {
    let Chance { slots, seed, sigma, crashes, killed } = chance;
    let mut spec = spec.clone();
    spec.lag = Some(search::lag(spec.search_terms(), &history, slots));
    let search = Search::resumed(spec.search_terms(), &history);
    let config = Config {
        seed: spec.seed,
        from_scratch: false,
        total: search.len(),
        retries: 2,
        keep_best: 1,
        metric: spec.metric.clone(),
        stop: None,
        shape: Shapes::default(),
        yields: false,
        saves: true,
        silence: Some(Duration::MAX),
        lease: Duration::ZERO,
        max_time: None,
        run_for: None,
        budget: spec.budget,
        chooses_rule: false,
        stop_grace: Duration::ZERO,
    };
    let names: Vec<String> = (0..slots).map(|slot| format!("cpu:{slot}")).collect();
    let (version, host) = ("1".to_owned(), "h".to_owned());
    let entry =
        Entry::Run { at: 0.0, version, host, pid: 1, mps: None, lag: spec.lag, on: Vec::new(), slots: names.clone() };
    let at = |now: Millis| Now { unix: now as f64 / 1e3, since: Duration::from_millis(now) };
    let named = names.into_iter().zip(0..).map(|(name, place)| Slot::new(name, place)).collect();
    let (mut scheduler, mut actions) =
        Scheduler::new(at(0), config, Box::new(search) as Box<dyn TrialSource>, history, named, entry, false);
    let mut random = stream(seed, 0, 0, Purpose::Point);
    let duration = LogNormal::new(MEDIAN.ln(), sigma).expect("the deviation is none below 0");
    let mut agenda = BinaryHeap::from([Reverse((1000, 0, Due::Tick))]);
    let (mut now, mut busy, mut begun) = (0, 0, Vec::new());
    for _ in 0..killed {
        for action in std::mem::take(&mut actions) {
            match action {
                Action::Start(SlotId(slot)) => agenda.push(Reverse((now, slot, Due::Ready))),
                Action::Train { slot: SlotId(slot), attempt, .. } => {
                    let took = duration.sample(&mut random) as Millis;
                    let is_lost = attempt.number == 1 && crashes.is_some_and(|many| random.random_range(0..many) == 0);
                    let due = if is_lost { Due::Crashes } else { Due::Ends(attempt) };
                    agenda.push(Reverse((now + took, slot, due)));
                    begun.push((now, took));
                }
                Action::End(SlotId(slot)) | Action::Kill(SlotId(slot)) => {
                    agenda.push(Reverse((now, slot, Due::Crashes)))
                }
                Action::Record(_) | Action::Pause { .. } | Action::Remove { .. } => {}
            }
        }
        if scheduler.is_done() {
            break;
        }
        let Reverse((when, slot, due)) = agenda.pop().expect("time goes on");
        now = when;
        let id = SlotId(slot);
        let said = |message| Event::On(id, SlotEvent::Said(message));
        actions = match due {
            Due::Tick => {
                agenda.push(Reverse((now + 1000, 0, Due::Tick)));
                scheduler.on_event(at(now), Event::Tick)
            }
            Due::Ready => {
                let (device, backend) = ("cpu".into(), "x".into());
                scheduler.on_event(at(now), said(FromTrainer::Ready { protocol: protocol::VERSION, device, backend }))
            }
            Due::Crashes => scheduler
                .on_event(at(now), Event::On(id, SlotEvent::Gone { how: "crashed".into(), out_of_memory: false })),
            Due::Ends(attempt) => {
                let trial = scheduler.history().trial(attempt.trial).expect("it was begun");
                let loss = value(&trial.settings) + luck(trial.repeat);
                let metrics = EpochMetrics { epoch: 1, val_loss: Some(loss), ..EpochMetrics::default() };
                // One trial in seven fails, whenever it runs.
                let outcome = match attempt.trial.0 % 7 {
                    3 => Outcome::Diverged { epoch: 1, step: 1, what: "training loss is NaN".into() },
                    _ => Outcome::Finished,
                };
                let epoch = FromTrainer::Epoch { attempt, metrics, others: Default::default() };
                let mut actions = scheduler.on_event(at(now), said(epoch));
                actions.extend(scheduler.on_event(at(now), said(FromTrainer::Ended { attempt, outcome })));
                actions
            }
        };
    }
    let until = begun.last().map_or(0, |(began, _)| *began);
    for (began, took) in begun {
        busy += took.min(until - began);
    }
    let all = slots as Millis * until;
    Left { history: scheduler.into_history(), idle: 1.0 - busy as f64 / all as f64 }
}

fn points(history: &History) -> Vec<Settings> {
    history.trials.iter().map(|trial| trial.settings.clone()).collect()
}

fn beginning() -> History {
    sweep_sample::apply(&sweep_sample::beginning("lagged")[..1])
}

fn chances() -> impl Strategy<Value = Chance> {
    let crashes = prop_oneof![Just(None), Just(Some(5))];
    (any::<u64>(), 0.0..2.0_f64, crashes, 1..150_u64).prop_map(|(seed, sigma, crashes, killed)| Chance {
        slots: 4,
        seed,
        sigma,
        crashes,
        killed,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Results must not depend on how long trials take or on which attempts are lost. They must not depend on a kill
    /// and resume with another number of slots either.
    #[test]
    fn a_trials_point_does_not_hang_on_which_trials_end_first(
        one in chances(),
        other in chances(),
        slots in 1..9_usize,
        head in prop_oneof![
            Just(""), Just("repeats: 2"), Just("lag: 1"), Just("enqueue: [{x: 3.0}, {kind: b}, {}]"),
            Just("repeats: {min: 1, max: 4}"), Just("repeats: {min: 2, max: 4}")
        ],
    ) {
        order_does_not_matter(&spec(&format!("run_cap: 40\n{head}")), one, other, slots)?;
    }
}

proptest! {
    // A proposal of a Gaussian process takes longer.
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn nor_does_it_with_a_gaussian_process(one in chances(), other in chances(), slots in 1..9_usize) {
        order_does_not_matter(&spec("method: bayes\nrun_cap: 40\nlag: 5"), one, other, slots)?;
    }
}

fn order_does_not_matter(spec: &Spec, one: Chance, other: Chance, slots: usize) -> Result<(), TestCaseError> {
    let whole = run(spec, beginning(), Chance { killed: u64::MAX, ..one });
    let killed = run(spec, beginning(), other);
    let resumed = run(spec, killed.history, Chance { slots, killed: u64::MAX, ..other });
    prop_assert!(whole.history.trials.len() == 40 || !whole.history.rounds.is_empty());
    prop_assert_eq!(&whole.history.rounds, &resumed.history.rounds);
    prop_assert!(resumed.history.trials.iter().all(|trial| trial.outcome().is_some()), "it ends");
    prop_assert_eq!(points(&whole.history), points(&resumed.history));
    Ok(())
}

#[test]
fn without_a_lag_trials_run_one_after_the_other_once_they_are_learnt_from() {
    let chance = Chance { slots: 4, seed: 1, sigma: 0.5, crashes: None, killed: u64::MAX };
    let left = run(&spec("run_cap: 60\nlag: 0"), beginning(), chance);
    let trials = &left.history.trials;
    let overlap =
        |pair: &[sweep_core::history::TrialRecord]| pair[1].first_started_at < pair[0].ended_at.unwrap_or(f64::MAX);
    assert!(trials[..10].windows(2).all(overlap), "the first points are not learnt");
    assert!(!trials[10..].windows(2).any(overlap));
}

/// Returns the mean share of the slots' time spent waiting, over `runs` runs.
fn idle(slots: usize, lag: usize, runs: u64) -> f64 {
    let spec = spec(&format!("run_cap: 200\nlag: {lag}"));
    let chance = |seed| Chance { slots, seed, sigma: 0.5, crashes: None, killed: u64::MAX };
    (0..runs).map(|seed| run(&spec, beginning(), chance(seed)).idle).sum::<f64>() / runs as f64
}

#[test]
fn by_default_several_slots_are_busy_most_of_the_time() {
    for slots in [4, 8] {
        let idle =
            idle(slots, search::lag(spec("run_cap: 200").search_terms(), &History::default(), slots) as usize, 3);
        assert!(idle < 0.1, "{slots} slots: {idle}");
    }
}

#[test]
fn a_lag_by_default_leaves_half_of_the_trials_to_learn_from() {
    let lag = |method: &str, cap: u64, slots: usize| {
        search::lag(spec(&format!("method: {method}\nrun_cap: {cap}")).search_terms(), &History::default(), slots)
    };
    assert_eq!(["tpe", "bayes"].map(|method| lag(method, 200, 8)), [14, 21]);
    assert_eq!(["tpe", "bayes"].map(|method| lag(method, 140, 32)), [62, 70]);
    assert_eq!(["tpe", "bayes"].map(|method| lag(method, 40, 8)), [14, 20]);
    assert_eq!(["tpe", "bayes"].map(|method| lag(method, 40, 1)), [0, 0]);
}

#[test]
#[ignore = "prints the table of docs/concepts/search.md"]
fn what_each_lag_costs() {
    for slots in [4, 8] {
        println!("{slots} slots: {:.4?}", [1, 2, 3, 4].map(|times| idle(slots, times * (slots - 1), 10)));
    }
}

#[test]
fn a_budget_of_epochs_is_kept_and_leaves_a_third_to_the_race() {
    let chance = Chance { slots: 4, seed: 1, sigma: 0.5, crashes: None, killed: u64::MAX };
    let budgeted = spec("budget: {epochs: 60}\nrepeats: {min: 1, max: 4}");
    let history = run(&budgeted, beginning(), chance).history;
    let epochs: usize = history.trials.iter().map(|trial| trial.curve.len()).sum();
    assert!((55..=60).contains(&epochs), "{epochs} epochs");
    assert!(history.trials.iter().all(|trial| trial.outcome().is_some()));
    let search = history.rounds.first().expect("a race follows").after;
    assert!((37..=40).contains(&search), "the search has {search} trials");
    // A sweep whose budget is used does not go on.
    let again = run(&budgeted, history.clone(), chance).history;
    assert_eq!(again.trials.len(), history.trials.len());
}

#[test]
fn a_budget_of_time_counts_all_runs_together() {
    let chance = |killed| Chance { slots: 4, seed: 1, sigma: 0.5, crashes: None, killed };
    let budgeted = spec("budget: 10m");
    let whole = run(&budgeted, beginning(), chance(u64::MAX)).history;
    assert!((450.0..=660.0).contains(&whole.ran()), "it ran for {} s", whole.ran());
    let killed = run(&budgeted, beginning(), chance(300)).history;
    let (before, begun) = (killed.ran(), killed.trials.len());
    assert!(before > 60.0 && before < 400.0, "it ran for {before} s");
    let resumed = run(&budgeted, killed, chance(u64::MAX)).history;
    assert!(resumed.trials.len() > begun);
    assert!((450.0..=660.0).contains(&resumed.ran()), "{before} s, then in all {} s", resumed.ran());
}
