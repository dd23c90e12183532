//! What a controller makes of an agent that joins: which of its attempts go on, and what it says of them. Pure.

use std::time::Duration;

use crate::agent::service::{FromAgent, JobTime, Offer, Offered};
use sweep_core::history::{History, Status};
use sweep_core::trial::Attempt;
use sweep_scheduler::schedule::{Condition, Ends, Event, Joining, Slot, SlotId};

/// The event of joining, and the words that come after it.
///
/// `early` is what the agent said before its offer: all that no controller has acknowledged. An earlier controller may
/// have recorded a part of it. Words about the attempts that go on are said again; all others are about what is over.
///
/// `now` is the time since the run began.
pub fn adopt(offer: Offer, early: Vec<FromAgent>, now: Duration, history: &History) -> (Event, Vec<FromAgent>) {
    let Offer { node, about, time, slots } = offer;
    let ends = time.map(|JobTime { left, whole }| Ends { at: now + left, whole, is_near: false });
    let (mut joining, mut words) = (Vec::new(), Vec::new());
    for (at, offered) in slots.into_iter().enumerate() {
        let id = SlotId(at);
        let about_slot = early.iter().filter(|word| word.slot() == Some(id));
        let attempt = offered.attempt.or_else(|| last(about_slot.clone(), history));
        let of_attempt = about_slot.clone().filter(|word| attempt.is_some() && word.attempt() == attempt);
        let (has_trainer, ready) = (offered.has_trainer, offered.ready.clone());
        if attempt.is_none() {
            words.extend(ready.map(|ready| *ready));
        }
        words.extend(of_attempt.cloned());
        if attempt.is_some() && !has_trainer {
            let gone = about_slot.rev().find(|word| matches!(word, FromAgent::Gone { .. })).cloned();
            words.push(gone.unwrap_or(FromAgent::Gone { slot: id, how: "was lost".into(), out_of_memory: false }));
        }
        let Offered { name, identity, place, room, condition, .. } = offered;
        let held = match &condition {
            Condition::Free => None,
            Condition::Busy(reason) | Condition::Broken(reason) => Some(reason.clone()),
        };
        if let Condition::Broken(_) = condition {
            words.push(FromAgent::Device { slot: id, condition });
        }
        let slot = Slot { identity, room, ends, held, ..Slot::new(format!("{node}/{name}"), place) };
        joining.push(Joining { slot, has_trainer: has_trainer || attempt.is_some(), attempt });
    }
    (Event::Joined { node, about, slots: joining }, words)
}

/// The last attempt that is spoken of, if by the journal it has not ended.
fn last<'a>(words: impl DoubleEndedIterator<Item = &'a FromAgent>, history: &History) -> Option<Attempt> {
    let attempt = words.rev().find_map(FromAgent::attempt)?;
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
        let ready = FromAgent::Said {
            slot: SlotId(0),
            message: FromTrainer::Ready { protocol: 1, device: "cpu".into(), backend: "x".into() },
        };
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
        Offer { node: "one".into(), about: String::new(), time: None, slots: vec![slot] }
    }

    fn said(message: FromTrainer) -> FromAgent {
        FromAgent::Said { slot: SlotId(0), message }
    }

    fn epoch(attempt: Attempt, epoch: u32) -> FromAgent {
        let metrics = EpochMetrics { epoch, ..EpochMetrics::default() };
        said(FromTrainer::Epoch { attempt, metrics, others: Default::default() })
    }

    fn ended(attempt: Attempt) -> FromAgent {
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
        assert!(words[0].is_ready(), "its trainer waits");
    }

    #[test]
    fn an_attempt_whose_trainer_is_gone_is_lost_after_its_last_words() {
        let gone = FromAgent::Gone { slot: SlotId(0), how: "crashed".into(), out_of_memory: false };
        let early = vec![epoch(FIRST, 1), gone.clone()];
        let (event, words) = adopt(offered(None, false), early.clone(), Duration::ZERO, &history(false));
        assert_eq!((attempt_of(&event), words), ((Some(FIRST), true), early));
    }
}
