//! Other hosts join, fall silent, come back and leave while a sweep runs.

use super::*;
use sweep_core::history::Machine;

const LEASE: Duration = Duration::from_secs(600);

/// A host with this many slots, in this order of their numbers.
fn joining(node: &str, numbers: &[usize]) -> Event {
    let slot = |number: &usize| Joining {
        slot: Slot { identity: format!("cpu:{number}"), ..Slot::new(format!("{node}/cpu:{number}"), 0) },
        has_trainer: false,
        attempt: None,
    };
    Event::Joined { node: node.into(), machine: Machine::default(), slots: numbers.iter().map(slot).collect() }
}

impl World {
    /// A sweep without slots of its own, to which hosts join.
    fn of_hosts(total: u64, journal: Vec<Entry>) -> World {
        let mut world = World::new(0, Some(total), journal, HashMap::new());
        world.event(Event::Expects(true));
        world
    }

    fn join(&mut self, node: &str, numbers: &[usize]) {
        self.event(joining(node, numbers));
    }

    /// The slots of a host.
    fn on_host(&self, node: &str) -> Vec<usize> {
        (0..self.scheduler.slots().len()).filter(|slot| self.scheduler.slots()[*slot].is_on(node)).collect()
    }

    /// All trainers of a host end, and nobody says so.
    fn burn(&mut self, node: &str) {
        for slot in self.on_host(node) {
            self.trainers.remove(&slot);
        }
    }

    fn silence(&mut self, node: &str) {
        let until = self.now.since + LEASE;
        self.event(Event::Silent { node: node.into(), until, why: "the connection was lost".into() });
    }

    fn attempt(&self, slot: usize) -> Option<Attempt> {
        self.scheduler.slots()[slot].attempt()
    }

    /// Every trainer that loads is ready.
    fn load(&mut self) {
        for slot in 0..self.scheduler.slots().len() {
            if self.trainers.get(&slot) == Some(&Trainer::Loading) {
                self.step(slot);
            }
        }
    }

    fn trial(&self, number: u64) -> &TrialRecord {
        self.scheduler.history().trial(TrialId(number)).expect("it has begun")
    }
}

#[test]
fn slots_that_join_while_the_sweep_runs_get_trials() {
    let mut world = World::of_hosts(5, begun().1);
    assert!(!world.scheduler.is_done(), "it waits for slots");
    world.join("one", &[0]);
    world.load();
    world.join("two", &[0, 1]);
    world.load();
    let names: Vec<&str> = world.scheduler.history().trials.iter().map(|trial| trial.slot.as_str()).collect();
    assert_eq!(names, ["one/cpu:0", "two/cpu:0", "two/cpu:1"]);
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
    assert_eq!(world.scheduler.history().slots.len(), 3);
    world.assert_replay_equals_live();
}

#[test]
fn a_trial_of_a_host_that_is_gone_goes_on_elsewhere_from_its_checkpoint_and_costs_no_retry() {
    let mut world = World::of_hosts(1, begun().1);
    world.join("one", &[0]);
    world.load();
    world.step(0);
    world.join("two", &[0]);
    world.burn("one");
    world.event(Event::Departed { node: "one".into(), why: "its machine was switched off".into() });
    world.wait();
    world.load();
    let second = Attempt { trial: TrialId(1), number: 2 };
    assert_eq!(world.trainers[&1], Trainer::At(second, 1), "from the checkpoint of epoch 1");
    assert_eq!((world.trial(1).faults, world.trial(1).slot.as_str()), (0, "two/cpu:0"));
    assert!(world.trial(1).unsaved.as_ref().is_some_and(|why| why.contains("switched off")));
    world.run_to_the_end();
    assert_eq!(
        world.scheduler.history().nodes["one"].left.as_ref().map(|left| left.1.as_str()),
        Some("its machine was switched off")
    );
    world.assert_replay_equals_live();
}

#[test]
fn a_trial_of_a_silent_host_is_given_to_no_other_before_the_lease_has_run_out() {
    let mut world = World::of_hosts(1, begun().1);
    world.join("one", &[0]);
    world.join("two", &[0]);
    world.load();
    world.load();
    let first = world.attempt(0).expect("it trains");
    world.silence("one");
    let until = world.now.since + LEASE;
    while world.now.since < until {
        world.load();
        assert_eq!(world.scheduler.history().trials[0].attempts, 1, "{:?}", world.now);
        world.wait();
    }
    world.load();
    world.load();
    assert_eq!(world.attempt(1), Some(Attempt { number: 2, ..first }));
    // Words of the first attempt that come late change nothing.
    let before = world.journal.len();
    world.event(Event::On(SlotId(0), SlotEvent::Said(said(first, 1, 0.5, None))));
    world.event(Event::On(
        SlotId(0),
        SlotEvent::Said(FromTrainer::Ended { attempt: first, outcome: Outcome::Finished }),
    ));
    assert_eq!(world.journal.len(), before);
    world.burn("one");
    world.run_to_the_end();
    assert_eq!(world.ends()[&TrialId(1)], 1);
    world.assert_replay_equals_live();
}

#[test]
fn a_host_that_was_silent_and_is_back_goes_on_with_the_same_attempt() {
    let mut world = World::of_hosts(2, begun().1);
    world.join("one", &[0, 1]);
    world.load();
    world.silence("one");
    for _ in 0..30 {
        world.wait();
    }
    world.event(Event::Back { node: "one".into() });
    world.run_to_the_end();
    assert!(world.scheduler.history().trials.iter().all(|trial| trial.attempts == 1 && trial.ended_well()));
    assert_eq!(world.scheduler.history().nodes["one"].silent, None);
    world.assert_replay_equals_live();
}

#[test]
fn a_host_that_joins_again_has_the_slots_it_had_by_what_they_are_and_not_by_their_order() {
    let mut world = World::of_hosts(9, begun().1);
    world.join("one", &[0, 1]);
    world.join("two", &[0]);
    world.load();
    let one = world.attempt(1).expect("it trains");
    world.burn("one");
    world.join("one", &[1, 2, 0]);
    let slots = world.scheduler.slots();
    let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(names, ["one/cpu:0", "one/cpu:1", "two/cpu:0", "one/cpu:2"]);
    assert!(world.attempt(1).is_none_or(|now| now.trial != one.trial || now.number == 2));
    world.run_to_the_end();
    assert!(world.ends().values().all(|ends| *ends == 1) && world.ends().len() == 9);
    assert!(world.scheduler.history().trials.iter().all(|trial| trial.faults == 0));
    world.assert_replay_equals_live();
}

/// The controller is killed, and another one reads the journal.
fn resumed(world: &World, total: u64) -> World {
    let mut next = World::new(0, Some(total), world.journal.clone(), world.checkpoints.clone());
    next.event(Event::Expects(true));
    next
}

#[test]
fn what_a_killed_controller_gave_to_another_host_goes_on_there() {
    let mut world = World::of_hosts(2, begun().1);
    world.join("one", &[0]);
    world.load();
    let attempt = world.attempt(0).expect("it trains");
    world.step(0);
    let mut next = resumed(&world, 2);
    next.join("two", &[0]);
    next.load();
    let first = TrialId(1);
    assert_eq!(next.attempt(0).map(|attempt| attempt.trial), Some(TrialId(2)), "trial 1 runs elsewhere");
    let Event::Joined { node, machine, mut slots } = joining("one", &[0]) else { unreachable!() };
    (slots[0].has_trainer, slots[0].attempt) = (true, Some(attempt));
    next.trainers.insert(1, Trainer::At(attempt, 2));
    next.event(Event::Joined { node, machine, slots });
    assert_eq!(next.attempt(1), Some(attempt));
    // Epoch 1 is in the journal. The agent could not know that, and says it again.
    for epoch in 1..=2 {
        next.event(Event::On(SlotId(1), SlotEvent::Said(said(attempt, epoch, 1.0 / f64::from(epoch), None))));
    }
    next.run_to_the_end();
    let trial = next.scheduler.history().trial(first).unwrap();
    assert_eq!((trial.attempts, trial.faults, trial.curve.len()), (1, 0, EPOCHS as usize));
    assert_eq!(next.ends(), HashMap::from([(TrialId(1), 1), (TrialId(2), 1)]));
    next.assert_replay_equals_live();
}

#[test]
fn what_a_killed_controller_gave_to_a_host_that_is_never_heard_again_waits_for_the_lease() {
    let mut world = World::of_hosts(1, begun().1);
    world.join("one", &[0]);
    world.load();
    let mut next = resumed(&world, 1);
    next.join("two", &[0]);
    let until = next.now.since + LEASE;
    while next.now.since < until {
        next.load();
        assert_eq!(next.trial(1).attempts, 1);
        next.wait();
    }
    next.run_to_the_end();
    assert_eq!((next.trial(1).attempts, next.trial(1).faults), (2, 0));
}

#[test]
fn a_host_that_joins_without_the_trial_it_had_gives_it_back_at_once() {
    let mut world = World::of_hosts(1, begun().1);
    world.join("one", &[0]);
    world.load();
    let mut next = resumed(&world, 1);
    next.join("two", &[0]);
    next.join("one", &[0]);
    next.load();
    next.load();
    assert_eq!(next.trial(1).attempts, 2);
    next.run_to_the_end();
    assert_eq!(next.ends(), HashMap::from([(TrialId(1), 1)]));
}

#[test]
fn an_attempt_that_is_not_the_newest_of_its_trial_is_ended_where_it_runs() {
    let mut world = World::of_hosts(1, begun().1);
    let Event::Joined { node, machine, mut slots } = joining("one", &[0]) else { unreachable!() };
    (slots[0].has_trainer, slots[0].attempt) = (true, Some(Attempt { trial: TrialId(1), number: 1 }));
    world.trainers.insert(0, Trainer::At(Attempt { trial: TrialId(1), number: 1 }, 2));
    world.event(Event::Joined { node, machine, slots });
    assert_eq!(world.trainers.get(&0), Some(&Trainer::Loading), "its trainer is another one");
    world.run_to_the_end();
    assert_eq!(world.trial(1).curve.len(), EPOCHS as usize);
}

#[test]
fn a_host_that_is_given_back_saves_its_trials_and_gets_no_more() {
    let mut world = World::of_hosts(4, begun().1);
    world.join("one", &[0]);
    world.join("two", &[0]);
    world.load();
    let request = sweep_core::steering::Request::Leave { node: "one".into() };
    let asked = |id: &str, request| Event::Asked(sweep_core::steering::Asked { id: id.into(), request: Ok(request) });
    world.event(asked("1", request));
    assert!(world.scheduler.slots()[0].is_still() && world.checkpoints.contains_key(&TrialId(1)));
    world.event(Event::Departed { node: "one".into(), why: "it was given back".into() });
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
    assert!(world.scheduler.history().trials.iter().skip(2).all(|trial| trial.slot == "two/cpu:0"));
    world.event(asked("2", sweep_core::steering::Request::Leave { node: "three".into() }));
    let said = world.scheduler.history().steering.answer("2").unwrap();
    assert!(said[0].contains("three does not train"), "{said:?}");
}

#[test]
fn an_interrupt_does_not_wait_for_a_silent_host() {
    let mut world = World::of_hosts(2, begun().1);
    world.join("one", &[0]);
    world.load();
    world.silence("one");
    world.event(Event::Interrupt);
    assert!(world.scheduler.is_done() && !world.scheduler.is_complete());
    let mut next = resumed(&world, 2);
    next.join("two", &[0]);
    next.load();
    assert_eq!(next.attempt(0).map(|attempt| attempt.trial), Some(TrialId(2)), "trial 1 may run on `one`");
}

/// What can happen to a host.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Joins(usize),
    Burns,
    Silent,
    Back,
    Steps,
    Crashes,
    Restart,
}

fn fates() -> impl Strategy<Value = Vec<(usize, Fate)>> {
    let fate = prop_oneof![
        2 => (1..4_usize).prop_map(Fate::Joins),
        1 => Just(Fate::Burns),
        1 => Just(Fate::Silent),
        1 => Just(Fate::Back),
        8 => Just(Fate::Steps),
        1 => Just(Fate::Crashes),
        1 => Just(Fate::Restart),
    ];
    prop::collection::vec((0..3_usize, fate), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_to_hosts_every_trial_ends_once(fates in fates()) {
        let mut world = World::of_hosts(6, begun().1);
        for (which, fate) in fates {
            let node = ["a", "b", "c"][which];
            match fate {
                Fate::Joins(slots) => {
                    world.burn(node);
                    world.join(node, &(0..slots).collect::<Vec<_>>());
                }
                Fate::Burns => {
                    world.burn(node);
                    world.event(Event::Departed { node: node.into(), why: "it burns".into() });
                }
                Fate::Silent => world.silence(node),
                Fate::Back => world.event(Event::Back { node: node.into() }),
                Fate::Steps => {
                    for slot in world.on_host(node) {
                        world.step(slot);
                    }
                }
                Fate::Crashes => {
                    if let Some(slot) = world.on_host(node).first().copied() {
                        world.crash(slot);
                    }
                }
                Fate::Restart => world = resumed(&world, 6),
            }
            world.wait();
            let mut running: Vec<TrialId> = world.scheduler.slots().iter().filter_map(|slot| Some(slot.attempt()?.trial)).collect();
            let count = running.len();
            running.sort();
            running.dedup();
            prop_assert_eq!(running.len(), count, "a trial runs twice");
        }
        world.join("last", &[0]);
        for _ in 0..100 {
            world.wait();
            world.load();
        }
        world.run_to_the_end();
        prop_assert!(world.scheduler.is_complete());
        prop_assert_eq!(world.ends().len(), 6);
        prop_assert!(world.ends().values().all(|ends| *ends == 1));
        world.assert_replay_equals_live();
    }
}

/// A host whose job has `left` for trials, of `whole` such a job has at its beginning.
fn joining_for(node: &str, now: Duration, left: Duration, whole: Duration) -> Event {
    let Event::Joined { node, machine, mut slots } = joining(node, &[0]) else { unreachable!() };
    slots[0].slot.ends = Some(Ends { at: now + left, whole, is_near: false });
    Event::Joined { node, machine, slots }
}

#[test]
fn no_trial_begins_in_a_job_that_ends_before_it_could_be_interrupted() {
    let mut world = World::of_hosts(9, begun().1);
    let minute = Duration::from_secs(60);
    world.event(joining_for("first", world.now.since, minute, 20 * minute));
    assert_eq!(world.trainers.get(&0), Some(&Trainer::Loading), "nothing is measured yet");
    world.now.since += 10 * minute;
    world.load();
    assert!(world.attempt(0).is_some(), "it is in use when it turns out to be late");
    for (node, left, whole, is_used) in [("late", 5, 20, false), ("early", 15, 20, true), ("short", 5, 5, true)] {
        world.event(joining_for(node, world.now.since, left * minute, whole * minute));
        let slot = world.on_host(node)[0];
        assert_eq!(world.trainers.contains_key(&slot), is_used, "{node}");
    }
    let why = world.scheduler.history().held["late/cpu:0"].clone();
    assert_eq!(why, "its job has 5 min left, and a trial may need 10 min until it can be interrupted");
    assert!(world.scheduler.slots()[1].leaving, "it can be given back");
    world.load();
    world.run_to_the_end();
    assert!(world.scheduler.is_complete());
    world.assert_replay_equals_live();
}
