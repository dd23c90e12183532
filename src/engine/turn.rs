//! One turn of the loop: the scheduler takes in all that has happened and decides, and its actions are performed together.
//! So a burst of events costs one sync of the journal.

use std::collections::VecDeque;

use super::nodes::{self, News, targets};
use super::{Engine, trace};
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::protocol::FromTrainer;
use sweep_core::steering::Request;
use sweep_scheduler::schedule::{Action, Event, Now, SlotEvent};
use sweep_store::requests;

impl Engine {
    /// Takes in what happened here and what other hosts have said, performs what follows, and answers requests.
    pub(super) fn turn(&mut self, batch: &mut Vec<Event>, heard: &mut Vec<nodes::Heard>) -> Result<()> {
        if batch.is_empty() && heard.is_empty() {
            return Ok(());
        }
        let (now, mut actions) = (self.now(), Vec::new());
        let asked: Vec<_> = batch.iter().filter_map(request).collect();
        for event in batch.drain(..) {
            self.take(now, event, &mut actions)?;
        }
        for (session, word) in heard.drain(..) {
            self.hear(now, session, word, &mut actions)?;
        }
        self.scheduler.conclude(now, &mut actions);
        self.perform(actions)?;
        // The journal has what is answered here. After a crash in between, the next controller answers from there.
        for (id, on) in asked {
            let mut said = self.said(&id);
            if let Some(on) = on {
                // Otherwise it is answered once the hosts are prepared.
                let Some(problem) = self.join(&id, &on) else { continue };
                self.screen.note(&problem);
                said = vec![problem];
            }
            // If the answer cannot be written, the request stays and is answered at the next tick.
            let _ = requests::answer(&self.layout, &id, &said);
        }
        Ok(())
    }

    /// Lets the scheduler take in an event.
    fn take(&mut self, now: Now, event: Event, actions: &mut Vec<Action>) -> Result<()> {
        trace::event(&self.scheduler, &event);
        match &event {
            Event::Interrupt => self.screen.interrupted(self.scheduler.interrupted()),
            // No further results can be saved. The journal and complete checkpoints remain.
            Event::On(_, SlotEvent::Said(FromTrainer::Unwritable { attempt, reason })) => {
                self.journal.in_place()?;
                let folder = argument(self.layout.root());
                return Err(Error::new(Exit::Storage, format!("{attempt} cannot be saved: {reason}"))
                    .hint(format!("fix this, then run: sweep resume {folder}")));
            }
            _ => {}
        }
        self.scheduler.take(now, event, actions);
        Ok(())
    }

    /// Takes in what another host has said.
    fn hear(
        &mut self,
        now: Now,
        session: sweep_link::SessionId,
        word: nodes::Word,
        actions: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(nodes) = &mut self.nodes else { return Ok(()) };
        let mut news = VecDeque::from(nodes.take(session, word, now.since, self.scheduler.history())?);
        while let Some(next) = news.pop_front() {
            match next {
                News::Event(event) => self.take(now, event, actions)?,
                News::Note(note) => self.screen.note(&note),
                News::Refused(note) => {
                    self.screen.note(&note);
                    self.refused = Some(note);
                }
                News::Gpus { node, rows } => self.table.record(now.unix, Some(&node), &rows)?,
                News::Joined(event) => {
                    self.take(now, event, actions)?;
                    // What follows is about slots to which the scheduler has just given numbers.
                    let Some(nodes) = &mut self.nodes else { return Ok(()) };
                    news.extend(nodes.seat(session, &self.scheduler));
                }
            }
        }
        Ok(())
    }

    /// Starts agents that the user has asked for meanwhile, if there can be any. Otherwise returns why there cannot.
    fn join(&mut self, id: &str, on: &[String]) -> Option<String> {
        let said = self.said(id);
        match (&mut self.nodes, targets(on)) {
            (Some(nodes), Ok(targets)) => {
                nodes.join(id, said, targets);
                self.own.push(Event::Expects(true));
                None
            }
            (Some(_), Err(error)) => Some(error.to_string()),
            (None, _) => Some(
                "hosts can join only a sweep that runs with --on; interrupt it, and resume it with --on".to_owned(),
            ),
        }
    }

    /// The answer to a request, as the journal has it.
    fn said(&self, id: &str) -> Vec<String> {
        self.scheduler.history().steering.answer(id).unwrap_or_default().to_vec()
    }
}

/// The request that an event is, if it is one: its number, and the hosts that are to join.
fn request(event: &Event) -> Option<(String, Option<Vec<String>>)> {
    let Event::Asked(asked) = event else { return None };
    let on = if let Ok(Request::Join { on }) = &asked.request { Some(on.clone()) } else { None };
    Some((asked.id.clone(), on))
}
