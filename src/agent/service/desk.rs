//! What an agent knows about its slots, for a controller that comes later.

use super::wire::{FromAgent, Offered, Usage};
use crate::agent::{Device, SlotDevice, Tenant, ToHost};
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Condition, Event, SlotEvent, SlotId};

/// The slots of an agent.
#[derive(Debug, Default)]
pub struct Desk {
    slots: Vec<Offered>,
    /// What each slot has used of its GPU.
    usage: Vec<Usage>,
}

impl Desk {
    /// Creates the desk of slots without trainers. `memory` is the machine's, in bytes.
    pub fn new(devices: &[SlotDevice], memory: u64) -> Desk {
        let slot = |device: &SlotDevice| Offered {
            name: device.name.clone(),
            identity: identity(device),
            place: device.place,
            room: Some(memory).filter(|_| matches!(device.device, Device::Cpu { .. })),
            condition: Condition::Free,
            joules: 0.0,
            has_trainer: false,
            ready: None,
            attempt: None,
        };
        Desk { slots: devices.iter().map(slot).collect(), usage: vec![Usage::default(); devices.len()] }
    }

    /// What the sweep has on each slot.
    pub fn tenants(&self) -> Vec<Tenant> {
        self.slots.iter().map(|slot| Tenant { lives: slot.has_trainer, attempt: slot.attempt }).collect()
    }

    /// Takes in a measurement of a slot's GPU.
    pub fn measured(&mut self, sight: &Event) {
        if let Event::Sight { slot, memory, room, joules } = sight
            && let Some(usage) = self.usage.get_mut(slot.0)
        {
            *usage = Usage { memory: *memory, room: *room, joules: usage.joules + joules };
            self.slots[slot.0].joules = usage.joules;
        }
    }

    /// What slots with trials have used of their GPUs.
    pub fn usage(&self) -> Vec<FromAgent> {
        self.attempts().into_iter().filter_map(|(slot, _)| self.usage_of(slot)).collect()
    }

    /// What a slot has used of its GPU, if that is known.
    pub fn usage_of(&self, slot: SlotId) -> Option<FromAgent> {
        let usage = *self.usage.get(slot.0)?;
        (usage != Usage::default()).then_some(FromAgent::Usage { slot, usage })
    }

    /// The slots as they are.
    pub fn slots(&self) -> Vec<Offered> {
        self.slots.clone()
    }

    /// The attempts that have not ended, by slot.
    pub fn attempts(&self) -> Vec<(SlotId, Attempt)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((SlotId(at), slot.attempt?))).collect()
    }

    /// The slots whose trainer waits.
    pub fn idle(&self) -> Vec<SlotId> {
        let is_idle = |at: &usize| self.slots[*at].has_trainer && self.slots[*at].attempt.is_none();
        (0..self.slots.len()).filter(is_idle).map(SlotId).collect()
    }

    /// Whether no slot has a trainer.
    pub fn is_still(&self) -> bool {
        self.slots.iter().all(|slot| !slot.has_trainer)
    }

    /// Whether the slot of an order exists.
    pub fn has(&self, order: &ToHost) -> bool {
        match order {
            ToHost::Start { slot }
            | ToHost::Train { slot, .. }
            | ToHost::Pause { slot, .. }
            | ToHost::End { slot }
            | ToHost::Kill { slot } => slot.0 < self.slots.len(),
            ToHost::Remove { .. } => true,
        }
    }

    /// Takes in what the host was told to do.
    pub fn ordered(&mut self, order: &ToHost) {
        match order {
            ToHost::Start { slot } => {
                if let Some(slot) = self.slots.get_mut(slot.0) {
                    (slot.has_trainer, slot.ready) = (true, None);
                }
            }
            ToHost::Train { slot, assignment } => {
                if let Some(slot) = self.slots.get_mut(slot.0) {
                    slot.attempt = Some(assignment.attempt);
                }
            }
            _ => {}
        }
    }

    /// Takes in what happened.
    pub fn happened(&mut self, slot: SlotId, event: &SlotEvent) {
        let Some(slot) = self.slots.get_mut(slot.0) else { return };
        match event {
            SlotEvent::Device(condition) => slot.condition = condition.clone(),
            SlotEvent::Gone { .. } => (slot.has_trainer, slot.ready, slot.attempt) = (false, None, None),
            event if event.is_ready() => slot.ready = Some(Box::new(event.clone())),
            event if event.is_last() && slot.attempt == event.attempt() => slot.attempt = None,
            _ => {}
        }
    }
}

/// What tells a slot from the others of its host, whatever GPUs are hidden, added or numbered anew.
fn identity(slot: &SlotDevice) -> String {
    match &slot.device {
        Device::Cpu { .. } => slot.name.clone(),
        Device::Gpu { uuids } => match slot.name.split_once('.') {
            Some((_, share)) => format!("{}.{share}", uuids.join("+")),
            None => uuids.join("+"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_the_same_slot_by_whatever_number_it_is_called() {
        let device = Device::Gpu { uuids: vec!["GPU-1".into()] };
        let gpu = |name: &str| SlotDevice { name: name.into(), place: 0, device: device.clone() };
        assert_eq!(identity(&gpu("gpu:0.1")), identity(&gpu("gpu:3.1")));
        assert_ne!(identity(&gpu("gpu:0.1")), identity(&gpu("gpu:0.2")));
        assert_eq!(identity(&gpu("gpu:0")), "GPU-1");
    }
}
