//! Tests the scheduler with simulated trainers, in virtual time.

mod alike;
mod hosts;
mod steered;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::scripted::{began, begun, config, epoch as said, ready, run, slots_named};
use super::*;
use sweep_core::history::{Entry, History, Status, TrialRecord};
use sweep_core::protocol::FromTrainer;
use sweep_core::stop::{Asha, EarlyTerminate, Hyperband, Median, Rule, Stopping};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome, Settings, Stopper, TrialId};
use sweep_verdict::Context;

const EPOCHS: u32 = 3;

/// Returns stopping with this rule, which spares a share `audit` of the trials.
fn stopping(rule: Rule, audit: f64) -> Stopping {
    let context = Context { epochs_planned: Some(EPOCHS), ..Context::default() };
    Stopping {
        terms: EarlyTerminate { rule: Some(rule), overfit: true, audit },
        seed: 1,
        planned: Rc::new(|_| Some(EPOCHS)),
        overfits: Rc::new(move |trial, metric| sweep_verdict::overfits(&trial.curve, &context, metric)),
    }
}

fn stoppings() -> impl Strategy<Value = Option<Stopping>> {
    let rule = prop_oneof![
        Just(Rule::Asha(Asha::new(1, 2.0))),
        any::<bool>().prop_map(|strict| Rule::Hyperband(Hyperband::upwards(1, 2.0, strict))),
        Just(Rule::Median(Median::new(1, 1))),
    ];
    prop::option::of((rule, 0.0..0.5_f64).prop_map(|(rule, audit)| stopping(rule, audit)))
}

fn settings(trial: TrialId) -> Settings {
    [("dropout".to_owned(), json!(trial.0 as f64 / 10.0))].into_iter().collect()
}

/// Returns slots with `per_gpu: auto`: this many GPUs of 40 GiB, with four slots each.
fn shared(gpus: usize) -> Vec<Slot> {
    let slot =
        |n: usize| Slot { auto: true, room: Some(40 << 30), ..Slot::new(format!("gpu:{}.{}", n / 4, n % 4), n / 4) };
    (0..4 * gpus).map(slot).collect()
}

/// State of a simulated trainer.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Trainer {
    Loading,
    Idle,
    /// The attempt, and the number of epochs that it has reported.
    At(Attempt, u32),
}

/// Everything outside the scheduler: trainers, the journal, and the checkpoints on disk.
struct World {
    /// Memory that a trial needs on its GPU of 40 GiB, in GiB. `None` simulates unlimited memory.
    needs: Option<fn(TrialId) -> u64>,
    /// Memory that each slot's trainer holds, in bytes. A trainer keeps what it has allocated.
    held: BTreeMap<usize, u64>,
    /// Events that occurred while actions were performed. They are delivered afterwards.
    inbox: VecDeque<Event>,
    performs: bool,
    scheduler: Scheduler,
    now: Now,
    trainers: BTreeMap<usize, Trainer>,
    journal: Vec<Entry>,
    checkpoints: HashMap<TrialId, u32>,
    best: HashMap<TrialId, ()>,
}

impl World {
    fn new(slots: usize, total: Option<u64>, journal: Vec<Entry>, checkpoints: HashMap<TrialId, u32>) -> World {
        World::stopping(slots, total, journal, checkpoints, None)
    }

    fn stopping(
        slots: usize,
        total: Option<u64>,
        journal: Vec<Entry>,
        checkpoints: HashMap<TrialId, u32>,
        stop: Option<Stopping>,
    ) -> World {
        let names: Vec<String> = (0..slots).map(|slot| format!("cpu:{slot}")).collect();
        World::on(slots_named(names), Config { stop, ..config(total) }, journal, checkpoints, None)
    }

    fn on(
        slots: Vec<Slot>,
        config: Config,
        journal: Vec<Entry>,
        checkpoints: HashMap<TrialId, u32>,
        needs: Option<fn(TrialId) -> u64>,
    ) -> World {
        let source = Box::new(move |trial: TrialId, _: &History| Some(settings(trial)));
        World::of(source, slots, config, journal, checkpoints, needs)
    }

    fn of(
        source: Box<dyn TrialSource>,
        slots: Vec<Slot>,
        config: Config,
        journal: Vec<Entry>,
        checkpoints: HashMap<TrialId, u32>,
        needs: Option<fn(TrialId) -> u64>,
    ) -> World {
        let mut history = History::default();
        for entry in &journal {
            history.apply(entry).expect("the journal is sound");
        }
        let now = Now { unix: 100.0, since: Duration::ZERO };
        let run = run(&slots);
        let (scheduler, actions) = Scheduler::new(now, config, source, history, slots, run, false);
        let (trainers, held, best) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        let (inbox, performs) = (VecDeque::new(), false);
        let mut world = World { needs, held, inbox, performs, scheduler, now, trainers, journal, checkpoints, best };
        world.perform(actions);
        world.listen();
        world
    }

    fn perform(&mut self, actions: Vec<Action>) {
        self.performs = true;
        for action in actions {
            match action {
                Action::Record(entry) => self.journal.push(entry),
                Action::Start(SlotId(slot)) => {
                    assert_eq!(self.trainers.insert(slot, Trainer::Loading), None, "slot {slot} has a trainer already");
                }
                Action::Train { slot, attempt, settings: given } => {
                    assert_eq!(self.trainers[&slot.0], Trainer::Idle, "slot {} is lent twice", slot.0);
                    let place = self.scheduler.history().trial(attempt.trial).expect("it has begun").place;
                    assert_eq!(given, settings(TrialId(place)));
                    let from_epoch = self.checkpoints.get(&attempt.trial).copied().unwrap_or(0);
                    self.trainers.insert(slot.0, Trainer::At(attempt, from_epoch));
                    self.event(Event::On(slot, SlotEvent::Said(began(attempt, from_epoch))));
                    self.allocate(slot, attempt);
                }
                Action::Pause { slot, attempt } => {
                    if let Trainer::At(_, epoch) = self.trainers[&slot.0] {
                        self.checkpoints.insert(attempt.trial, epoch);
                        self.trainers.insert(slot.0, Trainer::Idle);
                        self.event(Event::On(slot, SlotEvent::Said(FromTrainer::Paused { attempt })));
                    }
                }
                Action::End(slot) | Action::Kill(slot) => self.crash(slot.0),
                Action::Remove { trial, leftover: Leftover::Checkpoints } => drop(self.checkpoints.remove(&trial)),
                Action::Remove { leftover: Leftover::Everything, .. } => {
                    unreachable!("no program is tried from scratch")
                }
                Action::Remove { trial, leftover: Leftover::BestWeights } => drop(self.best.remove(&trial)),
            }
        }
        self.performs = false;
    }

    /// Allocates the trial's memory, or fails if there is too little.
    fn allocate(&mut self, slot: SlotId, attempt: Attempt) {
        let Some(needs) = self.needs.filter(|_| matches!(self.trainers.get(&slot.0), Some(Trainer::At(..)))) else {
            return;
        };
        let place = self.scheduler.slots()[slot.0].place;
        let beside = |other: &usize| *other != slot.0 && self.scheduler.slots()[*other].place == place;
        let others: u64 = self.held.iter().filter(|(other, _)| beside(other)).map(|(_, bytes)| bytes).sum();
        let had = self.held.get(&slot.0).copied().unwrap_or(0);
        let bytes = had.max(needs(attempt.trial) << 30);
        if others + bytes > 40 << 30 {
            self.trainers.insert(slot.0, Trainer::Idle);
            let outcome = Outcome::OutOfMemory { error: "CUDA out of memory".into() };
            self.event(Event::On(slot, SlotEvent::Said(FromTrainer::Ended { attempt, outcome })));
        } else {
            self.held.insert(slot.0, bytes);
        }
    }

    /// Delivers a driver measurement of a slot.
    fn measure_gpu(&mut self, slot: usize) {
        if let Some(memory) = self.held.get(&slot).copied() {
            let (slot, room) = (SlotId(slot), Some(40 << 30));
            self.event(Event::Sight { slot, memory: Some(memory), room, joules: 1.0 });
        }
    }

    /// Returns the number of running trials per device.
    fn together(&self) -> BTreeMap<usize, usize> {
        let mut together = BTreeMap::new();
        for slot in self.scheduler.slots().iter().filter(|slot| slot.attempt().is_some()) {
            *together.entry(slot.place).or_default() += 1;
        }
        together
    }

    fn event(&mut self, event: Event) {
        self.inbox.push_back(event);
        if !self.performs {
            self.listen();
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.inbox.pop_front() {
            let actions = self.scheduler.on_event(self.now, event);
            assert!(self.scheduler.slots.is_sound());
            self.perform(actions);
        }
    }

    fn crash(&mut self, slot: usize) {
        self.held.remove(&slot);
        if self.trainers.remove(&slot).is_some() {
            self.event(Event::On(SlotId(slot), SlotEvent::Gone { how: "crashed".into(), out_of_memory: false }));
        }
    }

    /// Performs the next step of the slot's trainer.
    fn step(&mut self, slot: usize) {
        let say = |message| Event::On(SlotId(slot), SlotEvent::Said(message));
        match self.trainers.get(&slot).copied() {
            Some(Trainer::Loading) => {
                self.trainers.insert(slot, Trainer::Idle);
                self.event(say(ready()));
            }
            Some(Trainer::At(attempt, EPOCHS)) => {
                self.trainers.insert(slot, Trainer::Idle);
                self.best.insert(attempt.trial, ());
                self.event(say(FromTrainer::Ended { attempt, outcome: Outcome::Finished }));
            }
            Some(Trainer::At(attempt, epoch)) => {
                let epoch = epoch + 1;
                self.trainers.insert(slot, Trainer::At(attempt, epoch));
                self.checkpoints.insert(attempt.trial, epoch);
                let val_loss = attempt.trial.0 as f64 / f64::from(epoch);
                self.event(say(said(attempt, epoch, val_loss, None)));
            }
            Some(Trainer::Idle) | None => {}
        }
    }

    fn wait(&mut self) {
        self.now.since += Duration::from_secs(10);
        self.now.unix += 10.0;
        self.event(Event::Tick);
    }

    fn run_to_the_end(&mut self) {
        for _ in 0..10_000 {
            if self.scheduler.is_done() {
                return;
            }
            for slot in 0..self.scheduler.slots().len() {
                self.step(slot);
                self.measure_gpu(slot);
            }
            self.wait();
        }
        panic!("the sweep does not end: {:?}", self.scheduler);
    }

    fn ends(&self) -> HashMap<TrialId, usize> {
        let mut ends = HashMap::new();
        for entry in &self.journal {
            if let Entry::Ended { attempt, .. } = entry {
                *ends.entry(attempt.trial).or_insert(0) += 1;
            }
        }
        ends
    }

    fn assert_replay_equals_live(&self) {
        let mut replayed = History::default();
        for entry in &self.journal {
            replayed.apply(entry).expect("what was written can be read");
        }
        assert_eq!(&replayed, self.scheduler.history());
    }
}

#[test]
fn every_trial_is_trained_once_and_the_trainers_end() {
    let mut world = World::new(3, Some(7), begun().1, HashMap::new());
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
    assert!(world.trainers.is_empty());
    assert_eq!(world.scheduler.history().trials.len(), 7);
    assert!(world.ends().values().all(|ends| *ends == 1));
    assert!(world.checkpoints.is_empty(), "checkpoints go when their trial ends");
    assert_eq!(world.best.len(), 2, "the best weights of keep_best trials stay");
}

#[test]
fn no_more_trainers_are_started_than_there_are_trials() {
    let world = World::new(8, Some(3), begun().1, HashMap::new());
    assert_eq!(world.trainers.len(), 3);
}

#[test]
fn a_crash_requeues_the_trial_and_the_third_fails_it() {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    for _ in 0..3 {
        world.step(0);
        assert!(matches!(world.trainers[&0], Trainer::At(..)));
        world.crash(0);
        world.wait();
    }
    let trial = &world.scheduler.history().trials[0];
    let Status::Ended(Outcome::Failed { error }) = &trial.status else { panic!("{trial:?}") };
    assert!(error.contains("the trainer crashed") && error.contains("3 failures"), "{error}");
    assert!(world.scheduler.is_done() && world.scheduler.is_complete());
}

#[test]
fn a_lost_trial_waits_before_it_is_tried_again() {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    world.step(0);
    world.crash(0);
    world.step(0);
    assert_eq!(world.trainers[&0], Trainer::Idle, "the trainer is there, the trial is not yet due");
    world.wait();
    assert!(matches!(world.trainers[&0], Trainer::At(Attempt { number: 2, .. }, 0)));
}

#[test]
fn the_wait_before_another_attempt_doubles() {
    let config = Config { retries: 5, ..config(Some(1)) };
    let mut world = World::on(slots_named(vec!["cpu:0".into()]), config, begun().1, HashMap::new(), None);
    world.step(0);
    let waits = [(); 4].map(|()| {
        world.crash(0);
        world.step(0);
        let lost = world.now.since;
        while world.trainers[&0] == Trainer::Idle {
            world.now.since += Duration::from_millis(100);
            world.event(Event::Tick);
        }
        (world.now.since - lost).as_millis()
    });
    assert_eq!(waits, [500, 1000, 2000, 4000]);
}

#[test]
fn a_program_that_asks_for_it_is_started_again_later_without_a_fault_and_not_for_ever() {
    let config = Config { retries: 0, saves: false, ..config(Some(1)) };
    let mut world = World::on(slots_named(vec!["cpu:0".into()]), config, begun().1, HashMap::new(), None);
    world.step(0);
    let mut waits = Vec::new();
    while world.scheduler.history().trials[0].outcome().is_none() {
        let attempt = Attempt { trial: TrialId(1), number: world.scheduler.history().trials[0].attempts };
        assert_eq!(attempt.number, waits.len() as u32 + 1);
        world.trainers.insert(0, Trainer::Idle);
        let message = FromProgram::Paused { attempt, left: Left::Later { signal: None } };
        world.event(Event::On(SlotId(0), SlotEvent::Program(message)));
        let left = world.now.since;
        while world.trainers.get(&0) == Some(&Trainer::Idle) {
            world.now.since += Duration::from_millis(500);
            world.event(Event::Tick);
        }
        waits.push((world.now.since - left).as_millis());
    }
    let trial = &world.scheduler.history().trials[0];
    assert_eq!((&waits[..4], waits[149], waits.len()), (&[500, 1000, 2000, 4000][..], 512_000, 151));
    assert_eq!(trial.faults, 0);
    let error = trial.outcome().and_then(sweep_core::trial::Outcome::error).unwrap();
    assert!(error.contains("asked 151 times in a row"), "{error}");
}

#[test]
fn a_clock_that_is_set_back_while_the_sweep_runs_changes_nothing_but_times() {
    let run = |back: f64| {
        let mut world = World::new(2, Some(5), begun().1, HashMap::new());
        for turn in 0..60 {
            for slot in 0..2 {
                world.step(slot);
            }
            if turn == 4 {
                world.crash(0);
            }
            world.wait();
            world.now.unix -= back;
        }
        assert!(world.scheduler.is_complete());
        world.assert_replay_equals_live();
        let trials = &world.scheduler.history().trials;
        assert!(trials.iter().all(|trial| trial.seconds >= 0.0), "{trials:?}");
        trials.iter().map(|t| (t.outcome().cloned(), t.slot.clone(), t.attempts, t.curve.clone())).collect::<Vec<_>>()
    };
    assert_eq!(run(0.0), run(3600.0));
}

/// The journal says that a trial ended, but its controller was killed before it removed the trial's files.
#[test]
fn what_a_killed_controller_left_of_an_ended_trial_is_removed_by_the_next() {
    let mut world = World::new(1, Some(3), begun().1, HashMap::new());
    for _ in 0..5 {
        world.step(0);
    }
    let ended = |entry: &Entry| matches!(entry, Entry::Ended { .. });
    let end = world.journal.iter().position(ended).expect("a trial has ended");
    let untidied = |journal: &[Entry]| {
        let mut history = History::default();
        journal.iter().for_each(|entry| history.apply(entry).expect("the journal is sound"));
        history.untidied.keys().copied().collect::<Vec<_>>()
    };
    // The next trial is assigned in the same batch of actions. Its first message proves that the removals before it
    // were performed.
    assert!(
        matches!(world.journal[end + 1..], [Entry::Started { .. }, Entry::Began { .. }, ..]),
        "{:?}",
        world.journal
    );
    assert_eq!(untidied(&world.journal[..end + 1]), [TrialId(1)]);
    assert_eq!(untidied(&world.journal[..end + 2]), [TrialId(1)]);
    assert_eq!(untidied(&world.journal[..end + 3]), []);
    let killed = world.journal[..end + 2].to_vec();
    let world = World::new(1, Some(3), killed, HashMap::from([(TrialId(1), EPOCHS)]));
    assert!(world.checkpoints.is_empty());
}

#[test]
fn a_late_word_from_a_dead_attempt_is_ignored() {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    world.step(0);
    let attempt = Attempt { trial: TrialId(1), number: 9 };
    let before = world.journal.len();
    world.event(Event::On(SlotId(0), SlotEvent::Said(FromTrainer::Ended { attempt, outcome: Outcome::Finished })));
    assert_eq!(world.journal.len(), before);
}

#[test]
fn a_trainer_that_makes_no_sense_is_killed_and_its_trial_tried_again() {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    world.step(0);
    let attempt = Attempt { trial: TrialId(1), number: 1 };
    let metrics = EpochMetrics { epoch: 5, ..EpochMetrics::default() };
    world.event(Event::On(
        SlotId(0),
        SlotEvent::Said(FromTrainer::Epoch { attempt, metrics, others: Default::default() }),
    ));
    let fault = world.scheduler.history().trials[0].last_fault.clone().expect("it is a fault");
    assert!(fault.contains("epoch 5 where epoch 1 is due"), "{fault}");
    assert_eq!(world.trainers[&0], Trainer::Loading, "a new trainer is on its way");
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
}

#[test]
fn a_slot_whose_trainers_never_start_is_given_up() {
    let mut world = World::new(1, Some(2), begun().1, HashMap::new());
    for _ in 0..3 {
        world.crash(0);
    }
    assert!(world.scheduler.is_done() && !world.scheduler.is_complete());
    assert!(matches!(&world.scheduler.slots()[0].state, State::Out { reason } if reason.contains("3 times")));
}

/// Returns a world with an attempt that has begun on slot 0.
fn training() -> World {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    world.step(0);
    world
}

/// Advances time as it passes while the controller is awake.
fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.now.since += Duration::from_secs(1);
        world.event(Event::Tick);
    }
}

#[test]
fn a_silent_trainer_is_killed_and_its_trial_tried_again() {
    let mut world = training();
    world.step(0);
    pass(&mut world, 60);
    assert_eq!(world.scheduler.history().trials[0].faults, 0, "a minute is no silence");
    pass(&mut world, 1);
    let fault = world.scheduler.history().trials[0].last_fault.clone().expect("it was lost");
    assert!(fault.contains("produced no output for 61 s"), "{fault}");
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
}

#[test]
fn signs_of_life_and_a_controller_that_was_away_are_no_silence() {
    let mut world = training();
    world.step(0);
    let attempt = Attempt { trial: TrialId(1), number: 1 };
    for _ in 0..10 {
        pass(&mut world, 50);
        let message = FromTrainer::Progress { attempt, epoch: 2, step: 1, steps: 9 };
        world.event(Event::On(SlotId(0), SlotEvent::Said(message)));
    }
    world.now.since += Duration::from_secs(10_000);
    world.event(Event::Tick);
    pass(&mut world, 50);
    assert_eq!(world.scheduler.history().trials[0].faults, 0);
}

#[test]
fn a_sweep_goes_on_while_a_trial_shows_that_not_everything_fails() {
    let fail = |world: &mut World, slot: usize| {
        let Some(Trainer::At(attempt, _)) = world.trainers.get(&slot).copied() else { panic!("it trains") };
        world.trainers.insert(slot, Trainer::Idle);
        let outcome = Outcome::Failed { error: "no such layer".into() };
        world.event(Event::On(SlotId(slot), SlotEvent::Said(FromTrainer::Ended { attempt, outcome })));
    };
    let mut world = World::new(2, Some(100), begun().1, HashMap::new());
    (0..2).for_each(|slot| world.step(slot));
    world.step(1);
    (0..20).for_each(|_| fail(&mut world, 0));
    assert_eq!(world.scheduler.hopeless(), None, "trial 2 has shown an epoch");

    let mut world = World::new(1, Some(100), begun().1, HashMap::new());
    world.step(0);
    (0..8).for_each(|_| fail(&mut world, 0));
    assert_eq!(world.scheduler.hopeless(), Some("no such layer"));
    assert!(world.scheduler.is_done() && !world.scheduler.is_complete());
}

#[test]
fn no_trainer_is_started_on_a_device_that_others_use_and_one_that_is_there_stays() {
    let mut world = training();
    let device = |condition| Event::On(SlotId(0), SlotEvent::Device(condition));
    world.event(device(Condition::Busy("used by process 7".into())));
    assert!(matches!(world.trainers[&0], Trainer::At(..)));
    world.crash(0);
    world.wait();
    assert!(world.trainers.is_empty() && !world.scheduler.is_done(), "it waits");
    assert_eq!(world.scheduler.history().held["cpu:0"], "used by process 7");
    world.event(device(Condition::Free));
    assert!(world.scheduler.history().held.is_empty());
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
}

#[test]
fn the_trial_on_a_broken_device_goes_elsewhere() {
    let mut world = World::new(2, Some(2), begun().1, HashMap::new());
    (0..2).for_each(|slot| world.step(slot));
    world.event(Event::On(SlotId(0), SlotEvent::Device(Condition::Broken("off the bus".into()))));
    let fault = world.scheduler.history().trials[0].last_fault.clone().expect("it was lost");
    assert_eq!(fault, "cpu:0 was lost: off the bus");
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
    assert_eq!(world.scheduler.history().trials[0].slot, "cpu:1");
}

#[test]
fn an_interrupt_saves_every_running_trial_and_a_resume_goes_on_from_there() {
    let mut world = World::new(2, Some(5), begun().1, HashMap::new());
    (0..2).for_each(|slot| world.step(slot));
    world.step(0);
    world.event(Event::Interrupt);
    assert!(world.scheduler.is_done() && !world.scheduler.is_complete());
    assert_eq!(world.checkpoints[&TrialId(1)], 1);
    assert_eq!(world.scheduler.history().trials[0].status, Status::Waiting);

    let mut again = World::new(2, Some(5), world.journal, world.checkpoints);
    again.run_to_the_end();
    assert!(again.scheduler.is_complete());
    assert_eq!(again.scheduler.history().trials[0].attempts, 2);
    assert!(again.scheduler.history().trials.iter().all(|trial| trial.curve.len() == EPOCHS as usize));
}

#[test]
fn a_second_interrupt_kills_and_loses_no_trial() {
    let mut world = World::new(1, Some(2), begun().1, HashMap::new());
    world.step(0);
    world.trainers.insert(0, Trainer::Idle); // It will not answer the request to pause.
    world.event(Event::Interrupt);
    assert!(!world.scheduler.is_done());
    world.event(Event::Interrupt);
    assert!(world.scheduler.is_done() && !world.scheduler.is_complete());
    let mut again = World::new(1, Some(2), world.journal, world.checkpoints);
    again.run_to_the_end();
    assert_eq!(again.ends().len(), 2);
}

#[test]
fn failed_trials_are_run_again_only_on_request() {
    let mut world = World::new(1, Some(2), begun().1, HashMap::new());
    world.step(0);
    let attempt = Attempt { trial: TrialId(1), number: 1 };
    world.trainers.insert(0, Trainer::Idle);
    let outcome = Outcome::Diverged { epoch: 1, step: 3, what: "training loss is NaN".into() };
    world.event(Event::On(SlotId(0), SlotEvent::Said(FromTrainer::Ended { attempt, outcome })));
    world.run_to_the_end();
    let again = World::new(1, Some(2), world.journal.clone(), HashMap::new());
    assert!(again.scheduler.is_done() && again.trainers.is_empty());

    let run = run(&[]);
    let source = Box::new(|trial: TrialId, _: &History| Some(settings(trial)));
    let history = world.scheduler.into_history();
    let (retried, actions) =
        Scheduler::new(world.now, config(Some(2)), source, history, slots_named(vec!["cpu:0".into()]), run, true);
    assert_eq!(retried.history().trials[0].status, Status::Waiting);
    assert!(actions.contains(&Action::Start(SlotId(0))));
}

/// The controller is killed between two lines, twice: before it removed the files of the failed attempt, and before it
/// retried the removal.
#[test]
fn a_trial_that_is_asked_for_again_never_goes_on_from_what_it_left() {
    let mut world = World::new(1, Some(1), begun().1, HashMap::new());
    let attempt = Attempt { trial: TrialId(1), number: 1 };
    world.step(0);
    let outcome = Outcome::Diverged { epoch: 1, step: 3, what: "training loss is NaN".into() };
    world.event(Event::On(SlotId(0), SlotEvent::Said(FromTrainer::Ended { attempt, outcome })));
    let mut history = world.scheduler.into_history();
    for retry in [true, false, false] {
        let slots = slots_named(vec!["cpu:0".into()]);
        let source = Box::new(|trial: TrialId, _: &History| Some(settings(trial)));
        let run = run(&slots);
        let (again, actions) = Scheduler::new(world.now, config(Some(1)), source, history, slots, run, retry);
        let removed = Action::Remove { trial: TrialId(1), leftover: Leftover::Checkpoints };
        assert!(actions.contains(&removed), "{actions:?}");
        history = again.into_history();
    }
}

#[test]
fn a_search_that_turns_out_to_be_finite_ends() {
    let source = Box::new(|trial: TrialId, _: &History| (trial.0 <= 2).then(|| settings(trial)));
    let run = run(&[]);
    let now = Now { unix: 0.0, since: Duration::ZERO };
    let (scheduler, actions) =
        Scheduler::new(now, config(None), source, begun().0, slots_named(vec!["cpu:0".into()]), run, false);
    let (_, mut journal) = begun();
    journal.extend(actions.iter().filter_map(|a| if let Action::Record(e) = a { Some(e.clone()) } else { None }));
    let mut world = World {
        needs: None,
        held: BTreeMap::new(),
        inbox: VecDeque::new(),
        performs: false,
        scheduler,
        now,
        trainers: BTreeMap::from([(0, Trainer::Loading)]),
        journal,
        checkpoints: HashMap::new(),
        best: HashMap::new(),
    };
    world.run_to_the_end();
    assert_eq!(world.scheduler.history().trials.len(), 2);
    assert!(world.scheduler.is_complete());
}

#[test]
fn asha_pauses_by_checkpoint_and_who_turns_out_better_comes_back() {
    // Trial 1 is the best at every epoch. It waits at the first rung while it is alone there.
    let stop = Some(stopping(Rule::Asha(Asha::new(1, 2.0)), 0.0));
    let mut world = World::stopping(1, Some(4), begun().1, HashMap::new(), stop.clone());
    (0..2).for_each(|_| world.step(0));
    assert_eq!(world.scheduler.history().trials[0].status, Status::Waiting);
    assert!(matches!(world.trainers[&0], Trainer::At(Attempt { trial: TrialId(2), .. }, 0)), "{:?}", world.trainers);
    world.step(0);
    let back = Attempt { trial: TrialId(1), number: 2 };
    assert_eq!(world.trainers[&0], Trainer::At(back, 1), "no epoch is trained twice");
    // A controller that takes over now must decide as this one would have.
    let mut world = World::stopping(1, Some(4), world.journal, world.checkpoints, stop);
    world.run_to_the_end();
    world.assert_replay_equals_live();
    let ends: Vec<_> = world.scheduler.history().trials.iter().map(|trial| trial.outcome().cloned()).collect();
    let stopped = |epoch| Some(Outcome::Stopped { by: Stopper::Asha, epoch });
    assert_eq!(ends, [Some(Outcome::Finished), stopped(2), stopped(1), stopped(1)]);
    assert!(world.checkpoints.contains_key(&TrialId(2)), "the second best keeps its weights, in its checkpoint");
}

/// A trial source whose parameters follow from the results of all earlier trials.
struct Learnt;

impl TrialSource for Learnt {
    fn next(&mut self, trial: TrialId, _: &History) -> Option<Settings> {
        Some(settings(trial))
    }

    fn needs(&self, trial: TrialId) -> u64 {
        trial.0 - 1
    }
}

#[test]
fn a_trial_that_waits_for_others_is_not_waited_for_and_one_that_trains_is() {
    let slots = || slots_named(vec!["cpu:0".into(), "cpu:1".into()]);
    let world = |stop| {
        World::of(Box::new(Learnt), slots(), Config { stop, ..config(Some(9)) }, begun().1, HashMap::new(), None)
    };
    let mut asha = world(Some(stopping(Rule::Asha(Asha::new(1, 2.0)), 0.0)));
    asha.run_to_the_end();
    assert!(asha.scheduler.is_complete() && asha.ends().len() == 9);
    let mut plain = world(None);
    for slot in [0, 1, 0, 1] {
        plain.step(slot);
    }
    let busy = |world: &World| world.scheduler.slots().iter().filter(|slot| slot.attempt().is_some()).count();
    assert_eq!((busy(&plain), plain.scheduler.is_done()), (1, false), "the other slot waits");
    plain.run_to_the_end();
    assert!(plain.scheduler.is_complete() && plain.ends().len() == 9);
}

#[test]
fn hyperband_ends_the_worse_trial_at_once_and_an_audit_lets_it_run_on() {
    let hyperband = || Rule::Hyperband(Hyperband::upwards(1, 3.0, true));
    let mut world = World::stopping(1, Some(3), begun().1, HashMap::new(), Some(stopping(hyperband(), 0.0)));
    world.run_to_the_end();
    let history = world.scheduler.history();
    assert_eq!(history.trials.iter().map(|trial| trial.curve.len()).collect::<Vec<_>>(), [3, 1, 1]);

    let mut world = World::stopping(1, Some(3), begun().1, HashMap::new(), Some(stopping(hyperband(), 0.99)));
    world.run_to_the_end();
    world.assert_replay_equals_live();
    let history = world.scheduler.history();
    assert!(history.trials.iter().all(|trial| trial.outcome() == Some(&Outcome::Finished)));
    let spared: Vec<_> = history.trials.iter().map(|trial| trial.spared).collect();
    assert_eq!(spared, [None, Some((Stopper::Hyperband, 1)), Some((Stopper::Hyperband, 1))]);
}

#[test]
fn a_trainer_that_does_not_leave_a_stopped_trial_is_killed_and_the_trial_is_no_failure() {
    let stop = Some(stopping(Rule::Hyperband(Hyperband::upwards(1, 3.0, true)), 0.0));
    let mut world = World::stopping(1, Some(2), begun().1, HashMap::new(), stop);
    (0..5).for_each(|_| world.step(0));
    let Trainer::At(attempt, 0) = world.trainers[&0] else { panic!("{:?}", world.trainers) };
    world.trainers.insert(0, Trainer::Idle); // It reports an epoch, and receives nothing afterwards.
    let metrics = EpochMetrics { epoch: 1, val_loss: Some(9.0), ..EpochMetrics::default() };
    world.event(Event::On(
        SlotId(0),
        SlotEvent::Said(FromTrainer::Epoch { attempt, metrics, others: Default::default() }),
    ));
    assert!(matches!(&world.scheduler.slots()[0].state, State::Pausing { .. }));
    (0..7).for_each(|_| world.wait());
    let trial = &world.scheduler.history().trials[1];
    assert_eq!(trial.outcome(), Some(&Outcome::Stopped { by: Stopper::Hyperband, epoch: 1 }));
}

/// Returns a world of shared GPUs, with trials of one shape that take 9 GiB.
fn sharing(gpus: usize, total: u64, needs: fn(TrialId) -> u64) -> World {
    World::on(shared(gpus), config(Some(total)), begun().1, HashMap::new(), Some(needs))
}

/// Every trainer performs its next step, and then time passes.
fn round(world: &mut World) {
    for slot in 0..world.scheduler.slots().len() {
        world.step(slot);
        world.measure_gpu(slot);
    }
    world.wait();
}

#[test]
fn the_first_trial_of_a_shape_has_a_gpu_for_itself_and_further_ones_join_as_they_fit() {
    let mut world = sharing(1, 20, |_| 12);
    let mut seen = Vec::new();
    while !world.scheduler.is_done() {
        round(&mut world);
        seen.extend(world.together().get(&0).copied());
        assert!(seen.len() < 1000, "{seen:?}");
    }
    assert_eq!((seen[0], seen.iter().copied().max()), (1, Some(3)), "three times 12 GiB fit: {seen:?}");
    let shape = &world.scheduler.history().shapes[""];
    assert_eq!(shape.memory, Some(12 << 30));
    assert!(shape.speed(1) < shape.speed(2), "{shape:?}");
    assert!(world.scheduler.history().trials.iter().all(|trial| trial.attempts == 1 && trial.joules > Some(0.0)));
    // A new controller knows the measurements, so two trials join at once.
    let mut journal = world.journal;
    journal.retain(|entry| matches!(entry, Entry::Sweep { .. } | Entry::Learnt { .. }));
    let mut again = World::on(shared(1), config(Some(20)), journal, HashMap::new(), Some(|_| 12));
    (0..3).for_each(|_| round(&mut again));
    assert_eq!(again.together()[&0], 3, "{:?}", again.scheduler);
}

#[test]
fn a_trial_that_lacks_memory_is_tried_again_alone_and_fewer_of_its_shape_come_together() {
    let slots = || (0..2).map(|n| Slot::new(format!("gpu:0.{n}"), 0)).collect::<Vec<_>>();
    let mut world = World::on(slots(), config(Some(4)), begun().1, HashMap::new(), Some(|_| 25));
    world.run_to_the_end();
    world.assert_replay_equals_live();
    let history = world.scheduler.history();
    assert!(history.trials.iter().all(|trial| trial.outcome() == Some(&Outcome::Finished)), "{:?}", history.trials);
    assert_eq!(history.shapes[""].most, Some(1));
    let lost = world.journal.iter().filter(|entry| matches!(entry, Entry::Lost { crowded: true, .. })).count();
    assert_eq!(lost, 1, "the packing that failed is not tried again");
}

#[test]
fn only_a_trial_that_does_not_fit_alone_fails_and_says_so() {
    let mut world = sharing(1, 12, |trial| if trial.0 % 4 == 0 { 50 } else { 5 });
    world.run_to_the_end();
    for trial in &world.scheduler.history().trials {
        match trial.outcome() {
            Some(Outcome::OutOfMemory { error }) => {
                assert!(
                    trial.id.0 % 4 == 0 && error.contains("alone on gpu:0.") && error.contains("40.0 GiB"),
                    "{error}"
                );
                assert_eq!(trial.attempts, 2);
            }
            outcome => assert!(outcome == Some(&Outcome::Finished) && trial.id.0 % 4 != 0, "{trial:?}"),
        }
    }
}

#[test]
fn by_courtesy_a_trial_leaves_a_gpu_that_others_come_to_and_comes_back() {
    let yields = Config { yields: true, ..config(Some(1)) };
    let slots = slots_named(vec!["gpu:0".into()]);
    let mut world = World::on(slots, yields, begun().1, HashMap::new(), None);
    (0..2).for_each(|_| world.step(0));
    world.event(Event::On(SlotId(0), SlotEvent::Device(Condition::Busy("used by process 7".into()))));
    assert!(world.trainers.is_empty(), "trial and trainer have left");
    assert_eq!(world.checkpoints[&TrialId(1)], 1);
    world.wait();
    assert!(world.trainers.is_empty() && !world.scheduler.is_done());
    world.event(Event::On(SlotId(0), SlotEvent::Device(Condition::Free)));
    world.run_to_the_end();
    let trial = &world.scheduler.history().trials[0];
    assert_eq!((trial.outcome(), trial.attempts, trial.faults), (Some(&Outcome::Finished), 2, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// For any sequence of events on shared GPUs and any memory needs, every trial ends exactly once. Only trials that
    /// do not fit alone fail for lack of memory.
    #[test]
    fn shared_gpus_lose_no_trial(
        gpus in 1_usize..4,
        total in 0_u64..12,
        auto in any::<bool>(),
        yields in any::<bool>(),
        saves in any::<bool>(),
        steps in prop::collection::vec((0_usize..12, 0_u8..24), 0..200),
    ) {
        let needs = |trial: TrialId| [5, 12, 25, 50, 9][trial.0 as usize % 5];
        let shape = Shapes(Rc::new(|settings| (settings["dropout"].as_f64().map_or(0, |value| (value * 10.0).round() as u64) % 5).to_string()));
        let config = || Config { yields, saves, shape: shape.clone(), retries: 1000, ..config(Some(total)) };
        let slots = || shared(gpus).into_iter().map(|slot| Slot { auto, ..slot }).collect::<Vec<_>>();
        let mut world = World::on(slots(), config(), begun().1, HashMap::new(), Some(needs));
        for (slot, what) in steps {
            let slot = slot % (4 * gpus);
            let device = |condition| Event::On(SlotId(slot), SlotEvent::Device(condition));
            match what {
                0 => world.crash(slot),
                1 => world.wait(),
                2 if slot == 0 => world.event(Event::Interrupt),
                3 if slot == 0 => {
                    world.assert_replay_equals_live();
                    world = World::on(slots(), config(), world.journal, world.checkpoints, Some(needs));
                }
                4 => world.event(device(Condition::Busy("taken".into()))),
                5..=6 => world.event(device(Condition::Free)),
                7..=10 => world.measure_gpu(slot),
                _ => world.step(slot),
            }
        }
        world.assert_replay_equals_live();
        let mut world = World::on(slots(), config(), world.journal, world.checkpoints, Some(needs));
        world.run_to_the_end();
        world.assert_replay_equals_live();
        prop_assert!(world.scheduler.is_complete());
        prop_assert_eq!(world.ends().len() as u64, total);
        prop_assert!(world.ends().values().all(|count| *count == 1));
        for trial in &world.scheduler.history().trials {
            match trial.outcome() {
                Some(Outcome::OutOfMemory { .. }) => prop_assert!(needs(trial.id) > 40, "{trial:?}"),
                outcome => prop_assert!(outcome == Some(&Outcome::Finished), "{trial:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// For any behavior of trainers and devices in any order, and any time at which the controller is killed, three
    /// properties hold. Every trial ends exactly once. No slot has two trials at once (asserted in `perform`). Every
    /// prefix of the journal replays.
    #[test]
    fn every_trial_ends_exactly_once(
        slots in 1_usize..5,
        total in 0_u64..12,
        steps in prop::collection::vec((0_usize..5, 0_u8..20), 0..200),
        stop in stoppings(),
    ) {
        let mut world = World::stopping(slots, Some(total), begun().1, HashMap::new(), stop.clone());
        for (slot, what) in steps {
            let slot = slot % slots;
            match what {
                0 => world.crash(slot),
                1 => world.wait(),
                2 if slot == 0 => world.event(Event::Interrupt),
                3 if slot == 0 => {
                    // kill -9 of the controller: its trainers die, and a new one takes over.
                    world.assert_replay_equals_live();
                    world = World::stopping(slots, Some(total), world.journal, world.checkpoints, stop.clone());
                }
                4 => world.event(Event::On(SlotId(slot), SlotEvent::Device(Condition::Busy("taken".into())))),
                5 => world.event(Event::On(SlotId(slot), SlotEvent::Device(Condition::Free))),
                6 if slot > 0 => {
                    let condition = Condition::Broken("off the bus".into());
                    world.event(Event::On(SlotId(slot), SlotEvent::Device(condition)));
                }
                _ => world.step(slot),
            }
        }
        world.assert_replay_equals_live();
        let mut world = World::stopping(slots, Some(total), world.journal, world.checkpoints, stop.clone());
        world.run_to_the_end();
        world.assert_replay_equals_live();
        prop_assert!(world.scheduler.is_complete());
        let ends = world.ends();
        prop_assert_eq!(ends.len() as u64, total);
        prop_assert!(ends.values().all(|count| *count == 1));
        let trials = &world.scheduler.history().trials;
        if !trials.iter().any(|trial| matches!(trial.outcome(), Some(Outcome::Failed { .. }))) {
            let whole = |trial: &&TrialRecord| trial.outcome() == Some(&Outcome::Finished);
            prop_assert!(trials.is_empty() || trials.iter().any(|trial| whole(&trial)), "somebody gets to the end");
        }
        for trial in trials {
            let is_stopped = matches!(trial.outcome(), Some(Outcome::Stopped { .. }));
            prop_assert!(!is_stopped || stop.is_some() && trial.spared.is_none(), "{:?}", trial);
            prop_assert!(!is_stopped || trial.curve.len() < EPOCHS as usize, "all of it was trained");
        }
    }
}
