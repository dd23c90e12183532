//! The GPUs that slots are on. Readings of their state become events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::gpu::{Gpu, Watch, condition, descends, owner};
use super::{Device, SlotDevice};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::trial::{Attempt, TrialId};
use sweep_scheduler::schedule::{Condition, Event, Slot, SlotEvent, SlotId};
use sweep_spec::Busy;

/// Maximum number of seconds for which power is assumed to be constant. The machine may have been suspended.
const LONGEST_PAUSE: f64 = 10.0;

/// Minimum number of seconds between two rows of a GPU.
const BETWEEN_ROWS: f64 = 5.0;

/// A look may be older than what the scheduler knows, and the driver is slow to take back the memory of a dead process.
/// A change is therefore believed only after this many readings in a row.
const READINGS_UNTIL_BELIEVED: u32 = 3;

/// The GPUs that slots are on.
#[derive(Debug)]
pub struct Devices {
    busy: Busy,
    gpus: Vec<Watched>,
    /// When the last rows were written.
    last_rows: f64,
    sights: mpsc::UnboundedReceiver<Vec<Gpu>>,
    /// Keeps the channel open, so that without GPUs a reading is awaited forever.
    _sender: mpsc::UnboundedSender<Vec<Gpu>>,
    _watch: Option<Watch>,
}

/// What the sweep has on a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tenant {
    /// Whether a trainer lives there, or may be about to end.
    pub lives: bool,
    pub attempt: Option<Attempt>,
}

/// What a GPU does at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuRow {
    /// Its name among the slots: `gpu:0`.
    pub device: String,
    pub uuid: String,
    /// In percent.
    pub load: Option<u32>,
    /// In bytes.
    pub memory_used: u64,
    /// In watts.
    pub power: Option<f64>,
    /// In degrees Celsius.
    pub temperature: Option<u32>,
    pub throttled: Vec<String>,
    pub trials: Vec<TrialId>,
}

/// Leaves out slots on GPUs that other processes use. Returns the slots that are left, and why others are not.
///
/// # Errors
/// If none is left.
pub fn skip_busy(slots: Vec<SlotDevice>, gpus: &[Gpu]) -> Result<(Vec<SlotDevice>, Vec<String>)> {
    let mut reasons = Vec::new();
    let is_free = |slot: &SlotDevice| {
        let Device::Gpu { uuids } = &slot.device else { return true };
        let busy = gpus.iter().filter(|gpu| uuids.contains(&gpu.uuid)).find_map(|gpu| {
            match condition(gpu, Some(gpu), None, |pid| owner(pid, std::process::id())) {
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
    Ok((free, reasons))
}

/// A GPU and its slots.
#[derive(Debug)]
struct Watched {
    /// The first reading.
    first: Gpu,
    condition: Condition,
    slots: Vec<SlotId>,
    /// The time of the last reading, and the reading.
    last: (f64, Gpu),
    /// Bytes in use before the first of the sweep's trainers that live there.
    before: u64,
    /// The trainers that lived there at the last look, by slot.
    trainers: Vec<SlotId>,
    /// For how many readings in a row they have been the same.
    steady: u32,
}

/// What a slot uses of all its GPUs. The outer `None` is that of no GPU; the inner one is what a driver does not tell.
#[derive(Debug, Default)]
struct Usage {
    memory: Option<Option<u64>>,
    room: Option<Option<u64>>,
    joules: f64,
}

impl Usage {
    fn add(&mut self, memory: Option<u64>, room: Option<u64>, joules: f64) {
        let sum = |sum: Option<Option<u64>>, more: Option<u64>| match sum {
            Some(sum) => Some(sum.zip(more).map(|(sum, more)| sum + more)),
            None => Some(more),
        };
        (self.memory, self.room) = (sum(self.memory, memory), sum(self.room, room));
        self.joules += joules;
    }
}

impl Watched {
    fn new(first: Gpu, slot: SlotId, at: f64) -> Watched {
        let (last, before) = ((at, first.clone()), first.memory_used);
        let (condition, slots, trainers) = (Condition::Free, vec![slot], Vec::new());
        Watched { first, condition, slots, last, before, trainers, steady: READINGS_UNTIL_BELIEVED }
    }

    /// Takes in which trainers of the sweep live on the GPU as of now.
    fn count(&mut self, now: &Gpu, slots: &[Tenant]) {
        let trainers: Vec<_> = self.slots.iter().copied().filter(|slot| slots[slot.0].lives).collect();
        self.steady = if trainers == self.trainers { self.steady.saturating_add(1) } else { 0 };
        self.trainers = trainers;
        // Memory of another process may be gone by now. With no trainer there, none of it is the sweep's.
        self.before = if self.is_used() { self.before.min(now.memory_used) } else { now.memory_used };
    }

    /// Whether the sweep has, or has just had, a trainer there.
    fn is_used(&self) -> bool {
        !self.trainers.is_empty() || self.steady < READINGS_UNTIL_BELIEVED
    }
}

impl Devices {
    /// Starts polling if a slot is a GPU. `seen` is a recent reading of the GPUs.
    ///
    /// # Errors
    /// Returns an error if no thread can be created.
    pub fn open(busy: Busy, slots: &[SlotDevice], seen: &[Gpu], at: f64) -> Result<Devices> {
        let mut gpus: Vec<Watched> = Vec::new();
        for (id, slot) in slots.iter().enumerate() {
            let Device::Gpu { uuids } = &slot.device else { continue };
            for uuid in uuids {
                match gpus.iter_mut().find(|gpu| gpu.first.uuid == *uuid) {
                    Some(gpu) => gpu.slots.push(SlotId(id)),
                    None => {
                        let Some(first) = seen.iter().find(|gpu| gpu.uuid == *uuid).cloned() else { continue };
                        gpus.push(Watched::new(first, SlotId(id), at));
                    }
                }
            }
        }
        let (sender, sights) = mpsc::unbounded_channel();
        let mut watch = None;
        if !gpus.is_empty() {
            let tell = sender.clone();
            let started = Watch::start(move |gpus| tell.send(gpus).is_ok());
            watch =
                Some(started.map_err(|error| {
                    Error::new(Exit::Internal, "cannot start the GPU monitoring thread").source(error)
                })?);
        }
        let mut devices = Devices { busy, gpus, last_rows: f64::NEG_INFINITY, sights, _sender: sender, _watch: watch };
        devices.judge(seen, &vec![Tenant::default(); slots.len()]);
        Ok(devices)
    }

    /// The initial slots for the scheduler. `memory` is the machine's memory in bytes.
    pub fn slots(&self, slots: &[SlotDevice], auto: bool, memory: u64) -> Vec<Slot> {
        let slot = |(id, slot): (usize, &SlotDevice)| {
            let held = match self.condition(SlotId(id)) {
                Condition::Busy(reason) => Some(reason),
                _ => None,
            };
            let gpus = || self.of(SlotId(id));
            let is_gpu = gpus().next().is_some();
            let room = if is_gpu { gpus().map(|gpu| gpu.first.memory_total).sum() } else { memory };
            let (auto, room) = (auto && is_gpu, Some(room).filter(|room| *room > 0));
            Slot { held, auto, room, ..Slot::new(slot.name.clone(), slot.place) }
        };
        slots.iter().enumerate().map(slot).collect()
    }

    /// The GPUs of a slot.
    fn of(&self, slot: SlotId) -> impl Iterator<Item = &Watched> {
        self.gpus.iter().filter(move |gpu| gpu.slots.contains(&slot))
    }

    /// Whether a slot can be used: all of its GPUs must be usable.
    pub fn condition(&self, slot: SlotId) -> Condition {
        let rank = |condition: &&Condition| match condition {
            Condition::Free => 0,
            Condition::Busy(_) => 1,
            Condition::Broken(_) => 2,
        };
        self.of(slot).map(|gpu| &gpu.condition).max_by_key(rank).cloned().unwrap_or(Condition::Free)
    }

    /// Waits for the next reading of the GPUs.
    pub async fn next_reading(&mut self) -> Vec<Gpu> {
        self.sights.recv().await.unwrap_or_default()
    }

    /// What has changed by this reading. `slots` say where trainers of the sweep live.
    pub fn judge(&mut self, seen: &[Gpu], slots: &[Tenant]) -> Vec<Event> {
        let ours = std::process::id();
        let before: Vec<Condition> = (0..slots.len()).map(|slot| self.condition(SlotId(slot))).collect();
        for gpu in &mut self.gpus {
            let now = seen.iter().find(|now| now.uuid == gpu.first.uuid);
            if let Some(now) = now {
                gpu.count(now, slots);
            }
            let before = gpu.is_used().then_some(gpu.before);
            let condition = match condition(&gpu.first, now, before, |pid| owner(pid, ours)) {
                Condition::Busy(_) if self.busy == Busy::Share => Condition::Free,
                condition => condition,
            };
            if !matches!(gpu.condition, Condition::Broken(_)) {
                gpu.condition = condition;
            }
        }
        let now = (0..slots.len()).map(SlotId).map(|slot| (slot, self.condition(slot))).zip(before);
        let changed = now.filter(|((_, now), before)| now != before);
        changed.map(|((slot, condition), _)| Event::On(slot, SlotEvent::Device(condition))).collect()
    }

    /// The GPU usage of each slot in this reading. `processes` are the slots' trainers.
    pub fn sights(&mut self, at: f64, seen: &[Gpu], slots: &[Tenant], processes: &[Option<u32>]) -> Vec<Event> {
        let mut usage: BTreeMap<usize, Usage> = BTreeMap::new();
        for gpu in &mut self.gpus {
            let Some(now) = seen.iter().find(|now| now.uuid == gpu.first.uuid) else { continue };
            let (before, then) = std::mem::replace(&mut gpu.last, (at, now.clone()));
            let trainers: Vec<_> = gpu.trainers.iter().filter_map(|slot| Some((*slot, processes[slot.0]?))).collect();
            let is_alone = gpu.trainers.len() == 1 && gpu.steady >= READINGS_UNTIL_BELIEVED;
            let grown = is_alone.then(|| now.memory_used.saturating_sub(gpu.before));
            let used = used(now, grown, &trainers.iter().map(|(_, pid)| *pid).collect::<Vec<_>>());
            let ours: Option<u64> = used.iter().copied().sum();
            let foreign = ours.map_or(gpu.before, |ours| now.memory_used.saturating_sub(ours));
            let room = Some(now.memory_total.saturating_sub(foreign)).filter(|_| now.memory_total > 0);
            let trials = gpu.slots.iter().filter(|slot| slots[slot.0].attempt.is_some()).count().max(1);
            let joules = energy(&then, now, (at - before).clamp(0.0, LONGEST_PAUSE)) / trials as f64;
            for ((slot, _), memory) in trainers.iter().zip(used) {
                usage.entry(slot.0).or_default().add(memory, room, joules);
            }
        }
        let sight = |(slot, Usage { memory, room, joules })| {
            let [memory, room] = [memory, room].map(Option::unwrap_or_default);
            Event::Sight { slot: SlotId(slot), memory, room, joules }
        };
        usage.into_iter().map(sight).collect()
    }

    /// What each GPU does by this reading, if enough time has passed since the last rows. `slots` say which trials run.
    pub fn rows(&mut self, at: f64, seen: &[Gpu], slots: &[Tenant]) -> Vec<GpuRow> {
        // If the clock was set back, the interval starts again.
        if (0.0..BETWEEN_ROWS).contains(&(at - self.last_rows)) {
            return Vec::new();
        }
        self.last_rows = at;
        let row = |gpu: &Watched| {
            let now = seen.iter().find(|now| now.uuid == gpu.first.uuid)?;
            let trials = gpu.slots.iter().filter_map(|slot| Some(slots[slot.0].attempt?.trial));
            Some(GpuRow {
                device: now.slot(),
                uuid: now.uuid.clone(),
                load: now.load,
                memory_used: now.memory_used,
                power: now.power,
                temperature: now.temperature,
                throttled: now.throttled.iter().map(|reason| (*reason).to_owned()).collect(),
                trials: trials.collect(),
            })
        };
        self.gpus.iter().filter_map(row).collect()
    }
}

/// Bytes of the GPU that each of these processes has, with its children; `None` where the driver does not tell. `alone`
/// is what a single one has by the growth of all memory in use.
fn used(now: &Gpu, alone: Option<u64>, trainers: &[u32]) -> Vec<Option<u64>> {
    let of_one = |trainer: &u32| -> Option<u64> {
        let mut own = now.processes.iter().filter(|process| descends(process.pid, *trainer)).peekable();
        own.peek()?;
        own.map(|process| process.memory).sum()
    };
    trainers.iter().map(|trainer| of_one(trainer).or(alone)).collect()
}

/// The energy of a GPU between two readings, in joules. It comes from the GPU's counter, otherwise from its power. It
/// is 0 if the driver reports neither.
fn energy(then: &Gpu, now: &Gpu, seconds: f64) -> f64 {
    match (then.energy, now.energy) {
        (Some(then), Some(now)) => now.saturating_sub(then) as f64 / 1e3,
        _ => now.power.unwrap_or(0.0) * seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::gpu::Process;

    #[test]
    fn energy_is_counted_or_else_follows_from_power() {
        let counted = |energy| Gpu { energy: Some(energy), power: Some(1.0), ..Gpu::default() };
        assert_eq!(energy(&counted(5_000), &counted(9_000), 2.0), 4.0);
        let powered = Gpu { power: Some(250.0), ..Gpu::default() };
        assert_eq!(energy(&powered, &powered, 2.0), 500.0);
        assert_eq!(energy(&Gpu::default(), &Gpu::default(), 2.0), 0.0);
    }

    #[test]
    fn memory_is_the_processes_or_else_what_came_with_the_only_one() {
        let me = std::process::id();
        let with = |memory| Gpu { memory_used: 700, processes: vec![Process { pid: me, memory }], ..Gpu::default() };
        assert_eq!(used(&with(Some(400)), None, &[me, 1]), [Some(400), Some(400)], "process 1 is above all");
        assert_eq!(used(&with(None), Some(600), &[me]), [Some(600)]);
        assert_eq!(used(&Gpu::default(), Some(600), &[me]), [Some(600)]);
        assert_eq!(used(&with(None), None, &[me, u32::MAX]), [None, None], "two cannot be told apart");
    }

    /// A GPU with two slots, of which the driver lists no process, and a reading of it with this much memory in use
    /// while trainers live on these slots.
    fn reading(gpu: &mut Watched, memory_used: u64, trainers: &[usize]) -> (bool, u64) {
        let slot = |id: usize| Tenant { lives: trainers.contains(&id), attempt: None };
        gpu.count(&Gpu { memory_used, ..gpu.first.clone() }, &[slot(0), slot(1)]);
        (gpu.is_used(), gpu.before)
    }

    #[test]
    fn what_was_used_before_the_first_trainer_is_told_from_what_came_with_it() {
        let first = Gpu { memory_used: 50, ..Gpu::default() };
        let slots = vec![SlotId(0), SlotId(1)];
        let (last, trainers, steady) = ((0.0, first.clone()), Vec::new(), READINGS_UNTIL_BELIEVED);
        let mut gpu = Watched { first, condition: Condition::Free, slots, last, before: 50, trainers, steady };
        assert_eq!(reading(&mut gpu, 90, &[]), (false, 90), "another process came");
        assert_eq!(reading(&mut gpu, 90, &[0]), (true, 90));
        assert_eq!(reading(&mut gpu, 500, &[0]), (true, 90));
        assert_eq!(reading(&mut gpu, 900, &[0, 1]), (true, 90));
        assert_eq!(reading(&mut gpu, 810, &[1]), (true, 90));
        // They are gone, but the look is older, or the driver has not taken the memory back yet.
        assert_eq!(reading(&mut gpu, 810, &[]), (true, 90));
        assert_eq!(reading(&mut gpu, 400, &[0]), (true, 90), "the next trainer came at once");
        assert_eq!(reading(&mut gpu, 400, &[]), (true, 90));
        assert_eq!(reading(&mut gpu, 70, &[]), (true, 70), "the other process is gone, too");
        assert!(reading(&mut gpu, 70, &[]).0);
        assert_eq!(reading(&mut gpu, 700, &[]), (false, 700), "that is not ours");
    }
}
