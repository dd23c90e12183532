//! What agents say, and what the engine makes of it.

use std::collections::HashMap;
use std::time::Duration;

use super::Nodes;
use super::adopt::adopt;
use super::session::Session;
use crate::agent::GpuRow;
use crate::agent::service::{FromAgent, Part, ToAgent, Usage};
use sweep_core::error::Result;
use sweep_core::history::History;
use sweep_core::protocol::FromTrainer;
use sweep_link::{Event as Heard, SessionId};
use sweep_scheduler::schedule::{Event, Scheduler, SlotEvent, SlotId};

/// What an agent's messages come to.
pub enum News {
    /// Something for the scheduler.
    Event(Event),
    /// An agent joins: an event that the scheduler takes before [`Nodes::seat`], and then what that returns.
    Joined(Event),
    /// Something to tell the user.
    Note(String),
    /// The same: why a host cannot train.
    Refused(String),
    /// What the GPUs of a host do.
    Gpus { node: String, rows: Vec<GpuRow> },
}

impl Nodes {
    /// Takes in what an agent did.
    ///
    /// # Errors
    /// If a file that it sent cannot be written.
    pub fn take(
        &mut self,
        id: SessionId,
        heard: Heard<FromAgent>,
        now: Duration,
        history: &History,
    ) -> Result<Vec<News>> {
        let news = match heard {
            Heard::Connected { program, repeats, .. } => self.connected(id, &program, repeats),
            Heard::Message { number, message } => {
                let repeats = self.sessions.get(&id).map_or(0, |session| session.repeats);
                let news = match message {
                    // It answered an earlier controller.
                    FromAgent::Offer(_) | FromAgent::Cannot { .. } if number <= repeats => Vec::new(),
                    message => self.message(id, message, now, history)?,
                };
                // What comes before the offer is recorded with it. Until then, no journal has it.
                if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.node.is_some()) {
                    session.recorded = Some(number);
                    self.has_recorded = true;
                }
                news
            }
            Heard::Latest(message) => self.message(id, message, now, history)?,
            Heard::Disconnected(why) => {
                let until = now + self.cluster.lease().handover();
                let Some(session) = self.sessions.get_mut(&id) else { return Ok(Vec::new()) };
                session.is_silent = true;
                let event = |node| News::Event(Event::Silent { node, until, why: why.to_string() });
                session.node.clone().map(event).into_iter().collect()
            }
            Heard::Over(why) => self.over(id, why),
            Heard::Save => Vec::new(),
        };
        Ok(news)
    }

    fn connected(&mut self, id: SessionId, program: &str, repeats: u64) -> Vec<News> {
        if let Some(session) = self.sessions.get_mut(&id) {
            let was_silent = std::mem::replace(&mut session.is_silent, false);
            let back = |node| News::Event(Event::Back { node });
            return session.node.clone().filter(|_| was_silent).map(back).into_iter().collect();
        }
        let Some(link) = self.controller.link::<ToAgent>(id) else { return Vec::new() };
        let ours = format!("sweep {}", env!("CARGO_PKG_VERSION"));
        if program != ours {
            let why = format!("it is {program}, and this is {ours}");
            self.controller.end(id, why.clone());
            return vec![News::Refused(format!("an agent is refused: {why}; install the same version on all hosts"))];
        }
        let session = Session::open(link, &self.layout, repeats);
        session.send(ToAgent::Sweep(Box::new(self.cluster.terms.clone())));
        self.sessions.insert(id, session);
        Vec::new()
    }

    fn message(&mut self, id: SessionId, message: FromAgent, now: Duration, history: &History) -> Result<Vec<News>> {
        match message {
            FromAgent::File(part) => {
                self.keep(&part)?;
                Ok(Vec::new())
            }
            FromAgent::Offer(offer) => {
                let node = offer.node.clone();
                // There is one agent of a sweep with that name on a machine, so an older one has died.
                let old = self.joined.insert(node.clone(), id).filter(|old| *old != id);
                if let Some(old) = old {
                    self.sessions.remove(&old);
                    self.controller.end(old, "another agent with its name has joined");
                }
                let Some(session) = self.sessions.get_mut(&id) else { return Ok(Vec::new()) };
                // An earlier controller was told what its slots had used by then.
                session.joules = (0..).map(SlotId).zip(offer.slots.iter().map(|slot| slot.joules)).collect();
                session.offered = offer.slots.iter().map(|slot| slot.identity.clone()).collect();
                let (event, words) = adopt(*offer, std::mem::take(&mut session.early), now, history);
                (session.node, session.words) = (Some(node), words);
                Ok(vec![News::Joined(event)])
            }
            FromAgent::Cannot { reason } => {
                self.controller.end(id, "the sweep cannot run there");
                self.sessions.remove(&id);
                Ok(vec![News::Refused(format!("an agent cannot run this sweep: {reason}"))])
            }
            FromAgent::Leaving { why } => {
                let Some(session) = self.sessions.get_mut(&id) else { return Ok(Vec::new()) };
                session.is_leaving = true;
                let node = session.node.clone();
                Ok(node.map_or_else(Vec::new, |node| {
                    vec![News::Note(format!("{node} leaves: {why}")), News::Event(Event::Leaving { node })]
                }))
            }
            FromAgent::Note { text } => {
                let node = self.sessions.get(&id).and_then(|session| session.node.clone());
                Ok(vec![News::Note(format!("{}: {text}", node.unwrap_or("an agent".into())))])
            }
            FromAgent::On { slot, event } => Ok(self.happened(id, slot, event)),
            FromAgent::Usage { slot, usage } => Ok(self.used(id, slot, usage).into_iter().collect()),
            FromAgent::Gpus { rows } => {
                let node = self.sessions.get(&id).and_then(|session| session.node.clone());
                Ok(node.map(|node| News::Gpus { node, rows }).into_iter().collect())
            }
        }
    }

    /// Takes in what happened on a slot, which has this number there.
    fn happened(&mut self, id: SessionId, slot: SlotId, event: SlotEvent) -> Vec<News> {
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        let Some(node) = &session.node else {
            session.early.push((slot, event));
            return Vec::new();
        };
        if let SlotEvent::Said(FromTrainer::Unwritable { attempt, reason }) = &event {
            // The next trial would have the same problem there, and on no other host.
            let note = format!("{node}: {attempt} cannot be saved: {reason}; it gets no more trials");
            return vec![News::Note(note), News::Event(Event::Leaving { node: node.clone() })];
        }
        let slot = session.slots.get(slot.0);
        slot.map(|slot| News::Event(Event::On(*slot, event))).into_iter().collect()
    }

    /// Takes in what a slot, which has this number there, has used of its GPU.
    fn used(&mut self, id: SessionId, own: SlotId, Usage { memory, room, joules }: Usage) -> Option<News> {
        let session = self.sessions.get_mut(&id)?;
        let slot = *session.slots.get(own.0)?;
        // An older message may come after a newer one.
        let before = session.joules.get(&own).copied().unwrap_or(0.0);
        session.joules.insert(own, joules.max(before));
        Some(News::Event(Event::Sight { slot, memory, room, joules: (joules - before).max(0.0) }))
    }

    /// Keeps a part of a file, which the agent sends before the news that the trial is over.
    fn keep(&mut self, part: &Part) -> Result<()> {
        self.pending_bytes += part.bytes.len();
        self.files.take(part)
    }

    /// Finds the slots of an agent that has joined in the scheduler's list. Returns what comes next.
    pub fn seat(&mut self, id: SessionId, scheduler: &Scheduler) -> Vec<News> {
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        let Some(node) = &session.node else { return Vec::new() };
        let of_node: HashMap<&str, SlotId> =
            scheduler.slots_of(node).iter().map(|id| (scheduler.slots()[id.0].identity.as_str(), *id)).collect();
        session.slots = session.offered.iter().filter_map(|identity| of_node.get(identity.as_str()).copied()).collect();
        let words = std::mem::take(&mut session.words);
        words.into_iter().flat_map(|(slot, event)| self.happened(id, slot, event)).collect()
    }

    fn over(&mut self, id: SessionId, why: String) -> Vec<News> {
        let Some(session) = self.sessions.remove(&id) else { return Vec::new() };
        let Some(node) = session.node else { return Vec::new() };
        if self.joined.get(&node) == Some(&id) {
            self.joined.remove(&node);
        }
        if session.is_leaving {
            self.forget(&node);
        }
        vec![News::Event(Event::Departed { node, why })]
    }
}
