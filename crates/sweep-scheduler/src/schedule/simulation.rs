//! Simulates a large sweep in virtual time, to measure how well the scheduler uses the time that failures leave.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::RngExt;

use super::scripted::{began, begun, config, epoch as said, ready, run, slots_named};
use super::{Action, Config, Event, Now, Scheduler, SlotEvent, SlotId};
use sweep_core::history::{Entry, History, Status};
use sweep_core::protocol::FromTrainer;
use sweep_core::random::{Purpose, stream};
use sweep_core::trial::{Attempt, Outcome, Settings, TrialId};

/// Milliseconds of virtual time.
type Millis = u64;

const TICK: Millis = 1000;
const EPOCHS: u32 = 4;
/// Minimum time to load libtorch and the data. The maximum is twice as long.
const LOADING: Millis = 10_000;

/// One in this many attempts crashes, hangs, or diverges. One in this many starts never becomes ready.
const CRASH: u32 = 50;
const HANG: u32 = 2000;
const DIVERGE: u32 = 40;
const FALSE_START: u32 = 200;

/// A pending event on a slot. The trainer's number shows whether the trainer is still alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Ready,
    Dead,
    /// An epoch ends. The number is that of the epoch, from 1.
    Epoch(Attempt, u32),
    Tick,
}

/// The trainer on a slot.
#[derive(Debug, Clone, Copy, Default)]
struct Trainer {
    /// Number of the trainer. Pending events of an earlier trainer do not happen.
    number: u64,
    /// When the trainer started loading, hung, or failed.
    lost_since: Option<Millis>,
    /// When the trainer began its current epoch.
    busy_since: Option<Millis>,
}

struct Simulation {
    scheduler: Scheduler,
    random: rand_chacha::ChaCha8Rng,
    now: Millis,
    agenda: BinaryHeap<Reverse<(Millis, usize, u64, Due)>>,
    trainers: Vec<Trainer>,
    /// Slot milliseconds spent on failures and the first start, and those spent training.
    lost: Millis,
    busy: Millis,
    /// Number of ends, by trial.
    ends: Vec<u8>,
    /// When the last trial was assigned, and the lost and busy time by then. Later on, the sweep is ending and slots
    /// must idle.
    last_handed_out: Option<(Millis, Millis, Millis)>,
    events: u64,
}

impl Simulation {
    fn new(slots: usize, trials: u64) -> Simulation {
        let config = Config { retries: 3, keep_best: 10, ..config(Some(trials)) };
        let slots = slots_named((0..slots).map(|slot| format!("gpu:{slot}")).collect());
        let (history, run, count) = (begun().0, run(&slots), slots.len());
        let now = Now { unix: 0.0, since: Duration::ZERO };
        let source = Box::new(|_: TrialId, _: &History| Some(Settings::new()));
        let (scheduler, actions) = Scheduler::new(now, config, source, history, slots, run, false);
        let mut simulation = Simulation {
            scheduler,
            random: stream(1, 0, 0, Purpose::Point),
            now: 0,
            agenda: BinaryHeap::from([Reverse((TICK, 0, 0, Due::Tick))]),
            trainers: vec![Trainer { lost_since: Some(0), ..Trainer::default() }; count],
            lost: 0,
            busy: 0,
            ends: vec![0; trials as usize],
            last_handed_out: None,
            events: 0,
        };
        simulation.perform(actions);
        simulation
    }

    fn one_in(&mut self, many: u32) -> bool {
        self.random.random_range(0..many) == 0
    }

    fn after(&mut self, wait: Millis, slot: usize, due: Due) {
        self.agenda.push(Reverse((self.now + wait, slot, self.trainers[slot].number, due)));
    }

    fn event(&mut self, event: Event) {
        self.events += 1;
        let now = Now { unix: self.now as f64 / 1e3, since: Duration::from_millis(self.now) };
        let actions = self.scheduler.on_event(now, event);
        self.perform(actions);
    }

    fn say(&mut self, slot: usize, message: FromTrainer) {
        self.event(Event::On(SlotId(slot), SlotEvent::Said(message)));
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Start(SlotId(slot)) => {
                    self.trainers[slot].number += 1;
                    let due = if self.one_in(FALSE_START) { Due::Dead } else { Due::Ready };
                    let loading = self.random.random_range(LOADING..=2 * LOADING);
                    self.after(loading, slot, due);
                }
                Action::Train { slot: SlotId(slot), attempt, .. } => {
                    let from_epoch = self.curve(attempt.trial);
                    self.say(slot, began(attempt, from_epoch));
                    self.epoch(slot, attempt, from_epoch + 1);
                    if attempt == (Attempt { trial: TrialId(self.ends.len() as u64), number: 1 }) {
                        let since = |of: fn(&Trainer) -> Option<Millis>| -> Millis {
                            self.trainers.iter().filter_map(of).map(|since| self.now - since).sum()
                        };
                        let lost = self.lost + since(|trainer| trainer.lost_since);
                        let busy = self.busy + since(|trainer| trainer.busy_since);
                        self.last_handed_out = Some((self.now, lost, busy));
                    }
                }
                Action::Kill(SlotId(slot)) | Action::End(SlotId(slot)) => self.after(0, slot, Due::Dead),
                Action::Record(Entry::Ended { attempt, .. }) => self.ends[attempt.trial.0 as usize - 1] += 1,
                Action::Record(_) | Action::Pause { .. } | Action::Remove { .. } => {}
            }
        }
    }

    fn curve(&self, trial: TrialId) -> u32 {
        self.scheduler.history().trial(trial).map_or(0, |trial| trial.curve.len() as u32)
    }

    /// Starts an epoch. It takes from half a minute to two minutes, depending on the trial.
    fn epoch(&mut self, slot: usize, attempt: Attempt, epoch: u32) {
        let took = 30_000 + attempt.trial.0 * 7919 % 90_000;
        match epoch {
            2 if self.one_in(HANG) => self.trainers[slot].lost_since = Some(self.now),
            2 if self.one_in(CRASH) => {
                // The work of half an epoch is lost too.
                self.trainers[slot].lost_since = Some(self.now);
                self.after(took / 2, slot, Due::Dead);
            }
            _ => {
                self.trainers[slot].busy_since = Some(self.now);
                self.after(took, slot, Due::Epoch(attempt, epoch));
            }
        }
    }

    fn run(&mut self) {
        while !self.scheduler.is_done() {
            let Reverse((at, slot, trainer, due)) = self.agenda.pop().expect("time goes on");
            self.now = at;
            if due != Due::Tick && trainer != self.trainers[slot].number {
                continue;
            }
            match due {
                Due::Tick => {
                    self.agenda.push(Reverse((at + TICK, 0, 0, Due::Tick)));
                    self.event(Event::Tick);
                }
                Due::Ready => {
                    self.lost += self.trainers[slot].lost_since.take().map_or(0, |since| at - since);
                    self.say(slot, ready());
                }
                Due::Dead => {
                    self.trainers[slot].number += 1;
                    self.trainers[slot].lost_since.get_or_insert(at);
                    self.event(Event::On(
                        SlotId(slot),
                        SlotEvent::Gone { how: "crashed".into(), out_of_memory: false },
                    ));
                }
                Due::Epoch(attempt, epoch) => {
                    self.busy += self.trainers[slot].busy_since.take().map_or(0, |since| at - since);
                    let val_loss = 1.0 / f64::from(epoch) + attempt.trial.0 as f64;
                    self.say(slot, said(attempt, epoch, val_loss, Some(60.0)));
                    let diverged = epoch == 1 && self.one_in(DIVERGE);
                    if diverged || epoch == EPOCHS {
                        let what = "training loss is NaN".to_owned();
                        let outcome =
                            if diverged { Outcome::Diverged { epoch, step: 1, what } } else { Outcome::Finished };
                        self.say(slot, FromTrainer::Ended { attempt, outcome });
                    } else {
                        self.epoch(slot, attempt, epoch + 1);
                    }
                }
            }
        }
    }
}

fn simulate(slots: usize, trials: u64) {
    let mut simulation = Simulation::new(slots, trials);
    simulation.run();
    assert!(simulation.scheduler.is_complete());
    assert!(simulation.ends.iter().all(|ends| *ends == 1), "a trial ended not exactly once");
    let (until, lost, busy) = simulation.last_handed_out.expect("every trial is handed out");
    let left = slots as u64 * until - lost;
    let share = busy as f64 / left as f64;
    let history = simulation.scheduler.history();
    let faults: u32 = history.trials.iter().map(|trial| trial.attempts - 1).sum();
    let out = simulation.scheduler.slots().iter().filter(|slot| slot.is_out()).count();
    let failed = history.trials.iter().filter(|t| matches!(t.status, Status::Ended(Outcome::Failed { .. }))).count();
    println!(
        "{slots} slots, {trials} trials, {} events, {faults} attempts lost, {failed} trials failed, {out} slots given \
         up, {:.1} hours: {:.2}% of the slots' time went to failures, {:.2}% of the rest was used",
        simulation.events,
        until as f64 / 3.6e6,
        100.0 * lost as f64 / (slots as u64 * until) as f64,
        100.0 * share
    );
    assert!(faults as u64 >= trials / 100, "{faults} faults are not what a sweep meets");
    assert!(share >= 0.99, "{share}");
}

#[test]
fn a_thousand_slots_are_busy_with_a_hundred_thousand_trials_in_spite_of_failures() {
    simulate(1_000, 100_000);
}
