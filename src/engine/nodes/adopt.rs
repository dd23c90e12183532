//! What a controller makes of an agent that joins: which of its attempts go on, and what it says of them. Pure.

use std::time::Duration;

use crate::agent::service::{JobTime, Offer, Offered};
use sweep_core::history::{History, Status};
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Condition, Ends, Event, Joining, Slot, SlotEvent, SlotId};

/// What happened on a slot, by its number there.
pub type OnSlot = (SlotId, SlotEvent);

/// The event of joining, and the words that come after it.
///
/// `early` is what the agent said before its offer: all that no controller has acknowledged. An earlier controller may
/// have recorded a part of it. Words about the attempts that go on are said again; all others are about what is over.
///
/// `now` is the time since the run began.
pub fn adopt(offer: Offer, early: Vec<OnSlot>, now: Duration, history: &History) -> (Event, Vec<OnSlot>) {
    let Offer { node, machine, time, slots } = offer;
    let ends = time.map(|JobTime { left, whole }| Ends { at: now + left, whole, is_near: false });
    let (mut joining, mut words) = (Vec::new(), Vec::new());
    for (id, offered) in (0..).map(SlotId).zip(slots) {
        let Offered { name, identity, place, room, condition, has_trainer, ready, attempt, .. } = offered;
        let mut of_slot: Vec<SlotEvent> = Vec::new();
        let about_slot = || early.iter().filter(|(slot, _)| *slot == id).map(|(_, event)| event);
        let attempt = attempt.or_else(|| last(about_slot(), history));
        match attempt {
            None => of_slot.extend(ready.map(|ready| *ready)),
            Some(_) => of_slot.extend(about_slot().filter(|event| event.attempt() == attempt).cloned()),
        }
        if attempt.is_some() && !has_trainer {
            let gone = about_slot().rfind(|event| matches!(event, SlotEvent::Gone { .. })).cloned();
            of_slot.push(gone.unwrap_or(SlotEvent::Gone { how: "was lost".into(), out_of_memory: false }));
        }
        let held = match &condition {
            Condition::Free => None,
            Condition::Busy(reason) | Condition::Broken(reason) => Some(reason.clone()),
        };
        if let Condition::Broken(_) = condition {
            of_slot.push(SlotEvent::Device(condition));
        }
        words.extend(of_slot.into_iter().map(|event| (id, event)));
        let slot = Slot { identity, room, ends, held, ..Slot::new(format!("{node}/{name}"), place) };
        joining.push(Joining { slot, has_trainer: has_trainer || attempt.is_some(), attempt });
    }
    (Event::Joined { node, machine, slots: joining }, words)
}

/// The last attempt that is spoken of, if by the journal it has not ended.
fn last<'a>(events: impl Iterator<Item = &'a SlotEvent>, history: &History) -> Option<Attempt> {
    let attempt = events.filter_map(SlotEvent::attempt).last()?;
    let trial = history.trial(attempt.trial)?;
    (trial.attempts == attempt.number && !matches!(trial.status, Status::Ended(_))).then_some(attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::history::Entry;
    use sweep_core::protocol::FromTrainer;
    use sweep_core::trial::{EpochMetrics, Outcome, TrialId};

    const FIRST: Attempt = Attempt { trial: TrialId(1), number: 1 };

    fn offered(attempt: Option<Attempt>, has_trainer: bool) -> Offer {
        let ready = SlotEvent::Said(FromTrainer::Ready { protocol: 1, device: "cpu".into(), backend: "x".into() });
        let slot = Offered {
            name: "cpu:0".into(),
            identity: "cpu:0".into(),
            place: 0,
            room: None,
            condition: Condition::Free,
            joules: 0.0,
            has_trainer,
            ready: has_trainer.then(|| Box::new(ready)),
            attempt,
        };
        Offer { node: "one".into(), machine: Default::default(), time: None, slots: vec![slot] }
    }

    fn said(message: FromTrainer) -> OnSlot {
        (SlotId(0), SlotEvent::Said(message))
    }

    fn epoch(attempt: Attempt, epoch: u32) -> OnSlot {
        let metrics = EpochMetrics { epoch, ..EpochMetrics::default() };
        said(FromTrainer::Epoch { attempt, metrics, others: Default::default() })
    }

    fn ended(attempt: Attempt) -> OnSlot {
        said(FromTrainer::Ended { attempt, outcome: Outcome::Finished })
    }

    /// A sweep in which trial 1 has begun.
    fn history(ended: bool) -> History {
        let mut entries = sweep_sample::beginning("x");
        entries.truncate(1);
        let mut history = sweep_sample::apply(&entries);
        let settings = Some(Default::default());
        let started =
            Entry::Started { at: 1.0, attempt: FIRST, slot: "one/cpu:0".into(), settings, seed: None, place: None };
        history.apply(&started).unwrap();
        if ended {
            history.apply(&Entry::Ended { at: 2.0, attempt: FIRST, outcome: Outcome::Finished }).unwrap();
        }
        history
    }

    fn attempt_of(event: &Event) -> (Option<Attempt>, bool) {
        let Event::Joined { slots, .. } = event else { panic!("{event:?}") };
        (slots[0].attempt, slots[0].has_trainer)
    }

    #[test]
    fn an_attempt_that_runs_goes_on_with_all_that_was_said_of_it() {
        let early = vec![epoch(FIRST, 1), epoch(FIRST, 2)];
        let (event, words) = adopt(offered(Some(FIRST), true), early.clone(), Duration::ZERO, &history(false));
        assert_eq!((attempt_of(&event), words), ((Some(FIRST), true), early));
    }

    #[test]
    fn an_attempt_that_ended_while_no_controller_listened_ends_now() {
        let early = vec![epoch(FIRST, 3), ended(FIRST)];
        let (event, words) = adopt(offered(None, true), early.clone(), Duration::ZERO, &history(false));
        assert_eq!((attempt_of(&event), words), ((Some(FIRST), true), early));
    }

    #[test]
    fn what_an_earlier_controller_recorded_as_over_is_not_said_again() {
        let (event, words) =
            adopt(offered(None, true), vec![epoch(FIRST, 3), ended(FIRST)], Duration::ZERO, &history(true));
        assert_eq!(attempt_of(&event), (None, true));
        assert_eq!(words.len(), 1);
        assert!(words[0].1.is_ready(), "its trainer waits");
    }

    #[test]
    fn an_attempt_whose_trainer_is_gone_is_lost_after_its_last_words() {
        let gone = (SlotId(0), SlotEvent::Gone { how: "crashed".into(), out_of_memory: false });
        let early = vec![epoch(FIRST, 1), gone.clone()];
        let (event, words) = adopt(offered(None, false), early.clone(), Duration::ZERO, &history(false));
        assert_eq!((attempt_of(&event), words), ((Some(FIRST), true), early));
    }
}
