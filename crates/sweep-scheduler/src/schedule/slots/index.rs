//! All slots of a run. There may be thousands, so an event finds those that it is about without looking at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Deref, DerefMut};

use super::{Slot, State};
use crate::schedule::messages::SlotId;
use sweep_core::trial::TrialId;

/// The slots, by their numbers and by what is asked for. The device and the host of a slot change only by
/// [`Slots::seat`], and its state only by [`Slots::turn`].
#[derive(Debug, Default)]
pub struct Slots {
    all: Vec<Slot>,
    /// The slots of each device.
    places: BTreeMap<usize, Vec<SlotId>>,
    /// The slots of each other host.
    nodes: HashMap<String, Vec<SlotId>>,
    /// The slot of each trial that has one.
    trials: HashMap<TrialId, SlotId>,
    empty: BTreeSet<SlotId>,
    starting: BTreeSet<SlotId>,
    ready: BTreeSet<SlotId>,
    out: BTreeSet<SlotId>,
    leaving: BTreeSet<SlotId>,
    has_auto: bool,
}

impl Slots {
    pub fn new(slots: Vec<Slot>) -> Slots {
        let mut all = Slots::default();
        for slot in slots {
            all.add(slot);
        }
        all
    }

    /// Adds a slot of another host. If it was there before, it keeps its number.
    pub fn seat(&mut self, slot: Slot) -> SlotId {
        let is_same = |id: &&SlotId| self.all[id.0].identity == slot.identity;
        let own = slot.node.as_ref().and_then(|node| self.nodes.get(node)?.iter().find(is_same).copied());
        let Some(id) = own else { return self.add(slot) };
        self.turn(id, slot.state.clone());
        self.leaving.remove(&id);
        let old = self.all[id.0].place;
        let others = self.places.entry(old).or_default();
        others.retain(|other| *other != id);
        if others.is_empty() {
            self.places.remove(&old);
        }
        self.places.entry(slot.place).or_default().push(id);
        self.all[id.0] = slot;
        id
    }

    fn add(&mut self, slot: Slot) -> SlotId {
        let id = SlotId(self.all.len());
        self.places.entry(slot.place).or_default().push(id);
        if let Some(node) = &slot.node {
            self.nodes.entry(node.clone()).or_default().push(id);
        }
        self.has_auto |= slot.auto;
        let state = slot.state.clone();
        self.all.push(slot);
        self.turn(id, state);
        id
    }

    /// Changes the state of a slot.
    pub fn turn(&mut self, id: SlotId, state: State) {
        if let Some(attempt) = self.all[id.0].attempt().filter(|attempt| self.of_trial(attempt.trial) == Some(id)) {
            self.trials.remove(&attempt.trial);
        }
        for (of_state, is_now) in [
            (&mut self.empty, state == State::Empty),
            (&mut self.starting, state == State::Starting),
            (&mut self.ready, state == State::Ready),
            (&mut self.out, matches!(state, State::Out { .. })),
        ] {
            if is_now {
                of_state.insert(id);
            } else {
                of_state.remove(&id);
            }
        }
        self.all[id.0].state = state;
        if let Some(attempt) = self.all[id.0].attempt() {
            self.trials.insert(attempt.trial, id);
        }
    }

    /// Sets whether a slot gets no more trials.
    pub fn set_leaving(&mut self, id: SlotId, is_leaving: bool) {
        self.all[id.0].leaving = is_leaving;
        if is_leaving {
            self.leaving.insert(id)
        } else {
            self.leaving.remove(&id)
        };
    }

    /// The numbers of all slots.
    pub fn ids(&self) -> impl Iterator<Item = SlotId> + use<> {
        (0..self.all.len()).map(SlotId)
    }

    /// The slots of a device.
    pub fn on(&self, place: usize) -> &[SlotId] {
        self.places.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The slots of another host.
    pub fn of_node(&self, node: &str) -> &[SlotId] {
        self.nodes.get(node).map_or(&[], Vec::as_slice)
    }

    /// The slot that a trial is on.
    pub fn of_trial(&self, trial: TrialId) -> Option<SlotId> {
        self.trials.get(&trial).copied()
    }

    /// The slots without a trainer that may get one.
    pub fn empty(&self) -> &BTreeSet<SlotId> {
        &self.empty
    }

    /// The slots whose trainers are loading.
    pub fn starting(&self) -> &BTreeSet<SlotId> {
        &self.starting
    }

    /// The slots whose trainers wait for work.
    pub fn ready(&self) -> &BTreeSet<SlotId> {
        &self.ready
    }

    /// The slots that were given up.
    pub fn out(&self) -> &BTreeSet<SlotId> {
        &self.out
    }

    /// The slots that get no more trials.
    pub fn leaving(&self) -> &BTreeSet<SlotId> {
        &self.leaving
    }

    /// Whether measurements decide about the use of any slot.
    pub fn has_auto(&self) -> bool {
        self.has_auto
    }

    /// Whether a trial is on any slot.
    pub fn are_busy(&self) -> bool {
        !self.trials.is_empty()
    }

    /// A number for a device that joins, higher than all so far.
    pub fn next_place(&self) -> usize {
        self.places.last_key_value().map_or(0, |(place, _)| place + 1)
    }
}

impl Deref for Slots {
    type Target = [Slot];

    fn deref(&self) -> &[Slot] {
        &self.all
    }
}

impl DerefMut for Slots {
    fn deref_mut(&mut self) -> &mut [Slot] {
        &mut self.all
    }
}

#[cfg(test)]
impl Slots {
    /// Whether everything that slots are found by is as the slots are.
    pub fn is_sound(&self) -> bool {
        let of =
            |is_one: &dyn Fn(&Slot) -> bool| self.ids().filter(|id| is_one(&self.all[id.0])).collect::<BTreeSet<_>>();
        let holds = |id: SlotId| {
            let slot = &self.all[id.0];
            self.on(slot.place).contains(&id)
                && slot.node.as_ref().is_none_or(|node| self.of_node(node).contains(&id))
                && slot.attempt().is_none_or(|attempt| self.of_trial(attempt.trial) == Some(id))
        };
        self.ids().all(holds)
            && self.places.values().map(Vec::len).sum::<usize>() == self.len()
            && self.trials.len() == of(&|slot| slot.attempt().is_some()).len()
            && self.empty == of(&|slot| slot.state == State::Empty)
            && self.starting == of(&|slot| slot.state == State::Starting)
            && self.ready == of(&|slot| slot.state == State::Ready)
            && self.out == of(&Slot::is_out)
            && self.leaving == of(&|slot| slot.leaving)
    }
}
