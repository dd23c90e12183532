//! Requests from other terminals.

use super::*;
use sweep_core::steering::{Asked, Request};

fn ids(numbers: &[u64]) -> Vec<TrialId> {
    numbers.iter().copied().map(TrialId).collect()
}

impl super::World {
    /// Asks for something, and returns the answer.
    fn ask(&mut self, request: Request) -> String {
        let id = format!("{:06}", self.journal.len());
        self.event(Event::Asked(Asked { id: id.clone(), request: Ok(request) }));
        self.scheduler.history().steering.answer(&id).expect("every request is answered").join("\n")
    }

    fn outcome(&self, trial: u64) -> Option<Outcome> {
        self.scheduler.history().trial(TrialId(trial)).and_then(|trial| trial.outcome().cloned())
    }

    fn running(&self) -> Vec<u64> {
        let on = |slot: &Slot| slot.attempt().map(|attempt| attempt.trial.0);
        self.scheduler.slots().iter().filter_map(on).collect()
    }
}

/// A sweep whose trials have each reported an epoch, on so many slots.
fn under_way(slots: usize, total: u64) -> super::World {
    let mut world = super::World::new(slots, Some(total), begun().1, HashMap::new());
    for _ in 0..2 {
        (0..slots).for_each(|slot| world.step(slot));
    }
    world
}

#[test]
fn a_stopped_trial_counts_and_a_skipped_one_does_not_also_one_that_has_not_begun() {
    let mut world = under_way(2, 5);
    assert!(world.ask(Request::Stop { trials: ids(&[1, 4]) }).contains("trial 0004 has not begun"));
    world.ask(Request::Skip { trials: ids(&[2, 4]) });
    assert_eq!(world.outcome(1), Some(Outcome::Stopped { by: Stopper::User, epoch: 1 }));
    assert_eq!(world.outcome(2), Some(Outcome::Skipped));
    world.run_to_the_end();
    let history = world.scheduler.history();
    let names: Vec<&str> = history.trials.iter().map(|trial| trial.status.name()).collect();
    assert_eq!(names, ["stopped", "skipped", "finished", "skipped", "finished"]);
    let ranked: Vec<u64> = history.ranking(&config(None).metric).iter().map(|(trial, _)| trial.id.0).collect();
    assert_eq!(ranked, [1, 3, 5]);
    assert!(world.scheduler.is_complete());
    world.assert_replay_equals_live();
}

#[test]
fn what_was_asked_before_a_crash_is_done_by_the_next_controller() {
    let mut world = under_way(2, 4);
    world.ask(Request::Skip { trials: ids(&[4]) });
    let asked = Asked { id: "x".into(), request: Ok(Request::Stop { trials: ids(&[1]) }) };
    // The journal has the request, and the controller dies before anything else.
    let actions = world.scheduler.on_event(world.now, Event::Asked(asked.clone()));
    let Some(Action::Record(entry @ Entry::Steered { .. })) = actions.first() else { panic!("{actions:?}") };
    let journal = [world.journal, vec![entry.clone()]].concat();
    let mut world = super::World::new(2, Some(4), journal, world.checkpoints);
    assert_eq!(world.outcome(1), Some(Outcome::Stopped { by: Stopper::User, epoch: 1 }));
    let before = world.journal.len();
    world.event(Event::Asked(asked));
    assert_eq!(world.journal.len(), before, "a request is carried out once");
    world.run_to_the_end();
    assert_eq!(world.outcome(4), Some(Outcome::Skipped));
}

#[test]
fn a_retried_trial_starts_over_and_a_finished_one_never_runs_again() {
    let mut world = under_way(1, 2);
    world.ask(Request::Stop { trials: ids(&[1]) });
    assert!(world.checkpoints.contains_key(&TrialId(1)), "its best weights are in its checkpoint");
    world.ask(Request::Retry { trials: ids(&[1]), from_scratch: false });
    assert!(!world.checkpoints.contains_key(&TrialId(1)));
    assert!(world.scheduler.history().trials[0].curve.is_empty());
    world.run_to_the_end();
    assert_eq!((world.outcome(1), world.ends()[&TrialId(1)]), (Some(Outcome::Finished), 2));
    assert!(world.ask(Request::Retry { trials: ids(&[1]), from_scratch: true }).contains("never runs again"));
    assert!(world.ask(Request::Retry { trials: ids(&[3]), from_scratch: true }).contains("does not exist"));
}

#[test]
fn a_paused_sweep_saves_and_waits_and_goes_on_where_it_was() {
    let mut world = under_way(2, 4);
    world.ask(Request::Pause);
    for _ in 0..5 {
        world.wait();
    }
    assert!(world.running().is_empty() && world.trainers.is_empty() && !world.scheduler.is_done());
    assert!(world.ask(Request::Pause).contains("already"));
    world.ask(Request::Continue);
    (0..2).for_each(|slot| world.step(slot));
    assert_eq!(world.running(), [1, 2]);
    assert_eq!(world.trainers[&0], Trainer::At(Attempt { trial: TrialId(1), number: 2 }, 1), "from its checkpoint");
    world.run_to_the_end();
    assert!(world.ends().values().all(|ends| *ends == 1));
}

#[test]
fn slots_are_given_back_and_taken_again() {
    let mut world = under_way(4, 9);
    let said = world.ask(Request::Slots { most: Some(2) });
    assert!(said.ends_with("2 of 4 slots are used; 2 running trials are asked to save"), "{said}");
    assert_eq!((world.running(), world.trainers.len()), (vec![1, 2], 2));
    let said = world.ask(Request::Slots { most: None });
    assert!(said.ends_with("4 of 4 slots are used"), "none has to save where slots are taken again: {said}");
    (0..4).for_each(|slot| world.step(slot));
    assert_eq!(world.running(), [1, 2, 3, 4]);
    world.run_to_the_end();
    assert_eq!(world.ends().len(), 9);
}

#[test]
fn what_goes_first_has_the_parameters_of_its_number_and_all_others_follow() {
    let mut world = under_way(1, 5);
    assert!(world.ask(Request::First { trials: ids(&[4, 5, 1]) }).contains("trial 0001 is running"));
    world.run_to_the_end();
    let history = world.scheduler.history();
    let places: Vec<u64> = history.trials.iter().map(|trial| trial.place).collect();
    assert_eq!(places, [1, 4, 5, 2, 3]);
    assert!(history.trials.iter().all(|trial| trial.settings == settings(TrialId(trial.place))));
    assert!(world.scheduler.is_complete());
    world.assert_replay_equals_live();
}

#[test]
fn a_waiting_trial_can_go_before_older_ones() {
    let mut world = under_way(3, 3);
    world.ask(Request::Pause);
    world.ask(Request::First { trials: ids(&[3]) });
    world.ask(Request::Slots { most: Some(1) });
    world.ask(Request::Continue);
    world.step(0);
    assert_eq!(world.running(), [3]);
}

#[test]
fn a_trial_and_a_run_end_when_their_time_is_over() {
    let limits = Config { max_time: Some(Duration::from_secs(25)), ..config(Some(2)) };
    let mut world = super::World::on(slots_named(vec!["cpu:0".into()]), limits, begun().1, HashMap::new(), None);
    for _ in 0..2 {
        world.step(0);
    }
    for _ in 0..3 {
        world.wait();
    }
    assert_eq!(world.outcome(1), Some(Outcome::Stopped { by: Stopper::Time, epoch: 1 }));
    world.ask(Request::Retry { trials: ids(&[1]), from_scratch: false });
    world.now.unix -= 1e6;
    world.run_to_the_end();
    assert_eq!(world.ends()[&TrialId(1)], 2, "it has its time again, and a clock that is set back changes nothing");
    let limits = Config { run_for: Some(Duration::from_secs(25)), ..config(Some(9)) };
    let mut world = super::World::on(slots_named(vec!["cpu:0".into()]), limits, begun().1, HashMap::new(), None);
    world.run_to_the_end();
    let history = world.scheduler.history();
    assert!(world.scheduler.is_out_of_time() && !world.scheduler.is_complete());
    assert!(history.trials.iter().all(|trial| trial.status != Status::Running) && history.trials.len() < 9);
}

fn requests() -> impl Strategy<Value = Request> {
    let trials = || prop::collection::vec((1..12_u64).prop_map(TrialId), 1..4);
    prop_oneof![
        trials().prop_map(|trials| Request::Stop { trials }),
        trials().prop_map(|trials| Request::Skip { trials }),
        (trials(), any::<bool>()).prop_map(|(trials, from_scratch)| Request::Retry { trials, from_scratch }),
        trials().prop_map(|trials| Request::First { trials }),
        prop::option::of(1..4_u32).prop_map(|most| Request::Slots { most }),
        Just(Request::Pause),
        Just(Request::Continue),
        (1..12_u64).prop_map(|trial| Request::Tag { trial: TrialId(trial), text: "x".into() }),
    ]
}

proptest! {
    #[test]
    fn no_request_at_any_moment_loses_or_repeats_a_trial(
        slots in 1..4_usize,
        total in 1..10_u64,
        steps in prop::collection::vec((0..4_usize, 0..12_u8, requests()), 1..120),
        stop in stoppings(),
    ) {
        let start = |journal, checkpoints, stop: &Option<Stopping>| {
            super::World::stopping(slots, Some(total), journal, checkpoints, stop.clone())
        };
        let mut world = start(begun().1, HashMap::new(), &stop);
        for (slot, what, request) in steps {
            match what {
                0..6 => world.step(slot % slots),
                6..9 => drop(world.ask(request)),
                9 => world.crash(slot % slots),
                10 => world.wait(),
                // The controller is killed, and the next one takes over.
                _ => world = start(world.journal, world.checkpoints, &stop),
            }
            world.assert_replay_equals_live();
        }
        // A trainer that crashes before it is ready, three times in a row, takes its slot out.
        if world.scheduler.slots().iter().all(Slot::is_out) {
            world = start(world.journal, world.checkpoints, &stop);
        }
        world.ask(Request::Continue);
        world.run_to_the_end();
        prop_assert!(world.scheduler.is_complete());
        world.assert_replay_equals_live();
        let trials = &world.scheduler.history().trials;
        let mut places: Vec<u64> = trials.iter().map(|trial| trial.place).collect();
        places.sort_unstable();
        prop_assert_eq!(places, (1..=total).collect::<Vec<_>>());
        prop_assert!(trials.iter().all(|trial| trial.outcome().is_some() && trial.settings == settings(TrialId(trial.place))));
    }
}
