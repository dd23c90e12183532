//! Programs that fail in the same way.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn programs(slots: usize) -> World {
    let names: Vec<String> = (0..slots).map(|slot| format!("cpu:{slot}")).collect();
    let config = Config { saves: false, ..config(Some(9)) };
    let mut world = World::on(slots_named(names), config, begun().1, HashMap::new(), None);
    (0..slots).for_each(|slot| world.step(slot));
    world
}

/// The program on the slot fails after some time, and another one has started on it.
fn fail(world: &mut World, slot: usize, after: Duration, gist: Option<&str>) {
    let Some(Trainer::At(attempt, _)) = world.trainers.get(&slot).copied() else { panic!("it runs") };
    world.now.since += after;
    let (gist, error) = (gist.map(str::to_owned), format!("after {after:?}"));
    world.event(Event::On(SlotId(slot), SlotEvent::Program(FromProgram::Failed { attempt, gist, error })));
    world.crash(slot);
    for _ in 0..20 {
        if world.scheduler.hopeless().is_some() || matches!(world.trainers.get(&slot), Some(Trainer::At(..))) {
            return;
        }
        if world.trainers.contains_key(&slot) {
            world.step(slot);
        } else {
            world.now.since += Duration::from_millis(100);
            world.event(Event::Tick);
        }
    }
    panic!("no program was started on slot {slot}");
}

#[test]
fn two_programs_that_fail_alike_end_the_sweep_however_long_they_took() {
    let mut world = programs(1);
    fail(&mut world, 0, HOUR, Some("1: No module"));
    assert_eq!(world.scheduler.hopeless(), None);
    fail(&mut world, 0, HOUR * 2, Some("1: No module"));
    assert_eq!(world.scheduler.hopeless(), Some("after 7200s"));
}

#[test]
fn programs_that_fail_in_other_ways_or_for_a_reason_of_their_own_do_not_end_the_sweep() {
    let mut world = programs(1);
    fail(&mut world, 0, HOUR, Some("1: one"));
    fail(&mut world, 0, HOUR, Some("1: other"));
    fail(&mut world, 0, HOUR, None);
    fail(&mut world, 0, HOUR, None);
    assert_eq!(world.scheduler.hopeless(), None);
    fail(&mut world, 0, HOUR, Some("1: one"));
    assert!(world.scheduler.hopeless().is_some(), "others between change nothing");
}

#[test]
fn a_program_that_runs_on_shows_that_not_all_fail_as_others_do() {
    let mut world = programs(2);
    fail(&mut world, 0, Duration::from_secs(20), Some("1: invalid choice"));
    fail(&mut world, 0, Duration::from_secs(20), Some("1: invalid choice"));
    assert_eq!(world.scheduler.hopeless(), None, "the other one has run twice as long");
    // Programs that begin together fail one after the other.
    let mut world = programs(2);
    fail(&mut world, 0, Duration::from_secs(20), Some("1: No module"));
    fail(&mut world, 1, Duration::from_millis(50), Some("1: No module"));
    assert!(world.scheduler.hopeless().is_some());
}
