//! What the loop sees and does, as lines of `sweep.log`. Each starts with its subject: a slot, a trial, or the sweep.

use std::time::Duration;

use tracing::{debug, info, trace, warn};

use sweep_core::history::Entry;
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::Outcome;
use sweep_scheduler::schedule::{Action, Condition, Event, FromProgram, Scheduler, Slot, SlotEvent, SlotId};
use sweep_spec::plain;

/// A write of the journal that takes longer than this is logged as a warning, because the whole sweep waits for it.
const SLOW: Duration = Duration::from_secs(1);

/// Logs an event before the scheduler handles it.
pub fn event(scheduler: &Scheduler, event: &Event) {
    let name = |slot: &SlotId| name(scheduler.slots(), *slot);
    match event {
        Event::On(slot, SlotEvent::Said(FromTrainer::Progress { attempt, epoch, step, steps })) => {
            trace!("{}: {attempt} is at epoch {epoch}, step {step} of {steps}", name(slot));
        }
        Event::On(slot, SlotEvent::Said(FromTrainer::Epoch { attempt, metrics, .. })) => {
            debug!("{}: {attempt} reports epoch {}", name(slot), metrics.epoch);
        }
        Event::On(slot, SlotEvent::Said(message)) => debug!("{}: the trainer says {message:?}", name(slot)),
        Event::On(slot, SlotEvent::Program(FromProgram::Epoch { attempt, metrics, .. })) => {
            debug!("{}: {attempt} reports epoch {}", name(slot), metrics.epoch);
        }
        Event::On(slot, SlotEvent::Program(message)) => debug!("{}: the program: {message:?}", name(slot)),
        Event::On(slot, SlotEvent::Unstartable { attempt, error }) => {
            warn!("{}: {attempt} cannot be started: {error}", name(slot))
        }
        Event::On(slot, SlotEvent::Gone { how, out_of_memory: true }) => {
            warn!("{}: the process {how} (out of memory)", name(slot))
        }
        Event::On(slot, SlotEvent::Gone { how, .. }) => info!("{}: the process {how}", name(slot)),
        Event::On(slot, SlotEvent::Device(Condition::Free)) => info!("{}: the device is free", name(slot)),
        Event::On(slot, SlotEvent::Device(Condition::Busy(reason))) => info!("{}: {reason}", name(slot)),
        Event::On(slot, SlotEvent::Device(Condition::Broken(reason))) => warn!("{}: {reason}", name(slot)),
        Event::Interrupt if scheduler.interrupted() => info!("sweep: interrupted again, kills all trials"),
        Event::Interrupt => info!("sweep: interrupted, asks all trials to save"),
        Event::Asked(request) => info!("sweep: is asked: {request:?}"),
        Event::Joined { node, machine, slots } => {
            info!("{node}: joins with {} slots: {}", slots.len(), machine.about)
        }
        Event::Silent { node, why, .. } => warn!("{node}: is unreachable: {why}"),
        Event::Back { node } => info!("{node}: answers again"),
        Event::Leaving { node } => info!("{node}: is about to leave"),
        Event::Departed { node, why } => warn!("{node}: has left: {why}"),
        Event::Sight { .. } | Event::Tick | Event::Expects(_) => {}
    }
}

/// Logs an action before it is performed.
pub fn action(slots: &[Slot], action: &Action) {
    match action {
        Action::Record(entry) => self::entry(entry),
        Action::Start(slot) => info!("{}: starts a trainer", name(slots, *slot)),
        Action::Train { slot, attempt, settings } => {
            let settings: Vec<String> =
                settings.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect();
            info!("{}: starts {attempt} with {}", name(slots, *slot), settings.join(", "));
        }
        Action::Pause { slot, attempt } => info!("{}: asks {attempt} to save and leave", name(slots, *slot)),
        Action::End(slot) => info!("{}: asks the trainer to exit", name(slots, *slot)),
        Action::Kill(slot) => warn!("{}: kills the process", name(slots, *slot)),
        Action::Remove { trial, leftover } => debug!("trial {trial}: removes {leftover:?}"),
    }
}

fn entry(entry: &Entry) {
    match entry {
        Entry::Run { version, host, pid, slots, lag, .. } => {
            let lag = lag.map_or(String::new(), |lag| format!(", lag {lag}"));
            info!("sweep: sweep {version}, process {pid} on {host}, runs on {}{lag}", slots.join(" "));
        }
        Entry::Ended { attempt, outcome: Outcome::Failed { error }, .. } => warn!("{attempt}: failed: {error}"),
        Entry::Ended { attempt, outcome, .. } => info!("{attempt}: {}", outcome.name().replace('_', " ")),
        Entry::Lost { attempt, fault, .. } => warn!("{attempt}: was lost and is retried: {fault}"),
        Entry::Paused { attempt, unsaved: Some(reason), .. } => {
            warn!("{attempt}: left its slot, and may not have saved: {reason}")
        }
        Entry::Paused { attempt, signal: Some(number), .. } => {
            info!("{attempt}: left after signal {number} from another process")
        }
        Entry::Paused { attempt, later: true, .. } => info!("{attempt}: asks to be started again later"),
        Entry::Paused { attempt, .. } => info!("{attempt}: saved and left"),
        Entry::Reopened { trial, .. } => info!("trial {trial}: is retried"),
        Entry::Spared { attempt, by, epoch, .. } => {
            info!("{attempt}: would have been stopped at epoch {epoch} ({by:?})")
        }
        Entry::Left { complete: true, .. } => info!("sweep: is complete"),
        Entry::Left { .. } => info!("sweep: stops before it is complete"),
        other => trace!("journal: {other:?}"),
    }
}

/// Logs a write of the journal.
pub fn journal(entries: usize, synced: bool, took: Duration) {
    let how = if synced { "written and synced" } else { "written" };
    match took > SLOW {
        true => {
            warn!("journal: {entries} entries took {:.1} s to be {how}; everything waited for it", took.as_secs_f64())
        }
        false => debug!("journal: {entries} entries {how} in {} ms", took.as_millis()),
    }
}

/// Logs what every slot does or waits for.
pub fn slots(scheduler: &Scheduler, now: sweep_scheduler::schedule::Now) {
    for (index, slot) in scheduler.slots().iter().enumerate() {
        info!("{}: {}", slot.name, scheduler.why(now, SlotId(index)));
    }
}

fn name(slots: &[Slot], slot: SlotId) -> &str {
    &slots[slot.0].name
}
