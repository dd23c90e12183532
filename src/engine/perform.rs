//! What the loop does on behalf of the scheduler: its actions become journal entries, and orders to hosts.

use tokio::time::Instant;

use super::{Engine, trace};
use crate::agent::{Assignment, Known, ToHost};
use sweep_core::error::Result;
use sweep_core::history::Entry;
use sweep_core::trial::{Attempt, Settings};
use sweep_scheduler::schedule::{Action, SlotId};

impl Engine {
    /// Performs the scheduler's actions. Journal entries are written first, then the other actions run in order.
    pub(super) fn perform(&mut self, actions: Vec<Action>) -> Result<()> {
        let entries: Vec<Entry> = actions
            .iter()
            .filter_map(|action| if let Action::Record(entry) = action { Some(entry.clone()) } else { None })
            .collect();
        if !entries.is_empty() {
            let sync = entries.iter().any(|entry| {
                !matches!(
                    entry,
                    Entry::Epoch { .. }
                        | Entry::Row { .. }
                        | Entry::Process { .. }
                        | Entry::Began { .. }
                        | Entry::Learnt { .. }
                )
            });
            let began = Instant::now();
            self.journal.write(&entries, sync)?;
            trace::journal(entries.len(), sync, began.elapsed());
            if sync {
                self.acknowledge();
            }
            for entry in &entries {
                self.views.entry(entry, self.scheduler.history())?;
                self.screen.entry(entry, &self.scheduler, &self.spec);
            }
            self.views.flush();
        }
        for action in actions {
            trace::action(self.scheduler.slots(), &action);
            match action {
                Action::Record(_) => {}
                Action::Start(slot) => self.order(slot, |slot| ToHost::Start { slot })?,
                Action::Train { slot, attempt, settings } => self.train(slot, attempt, settings)?,
                Action::Pause { slot, attempt } => self.order(slot, |slot| ToHost::Pause { slot, attempt })?,
                Action::End(slot) => self.order(slot, |slot| ToHost::End { slot })?,
                Action::Kill(slot) => self.order(slot, |slot| ToHost::Kill { slot })?,
                Action::Remove { trial, leftover } => {
                    self.own.extend(self.host.perform(ToHost::Remove { trial, leftover })?);
                }
            }
        }
        Ok(())
    }

    /// Hands an attempt to the host of its slot.
    fn train(&mut self, id: SlotId, attempt: Attempt, settings: Settings) -> Result<()> {
        let history = self.scheduler.history();
        let trial = history.trial(attempt.trial).expect("what is handed out is in the journal");
        let is_network = self.spec.network().is_some();
        let check_weights = is_network
            && attempt.number == 1
            && self.checked.len() < self.most_checked
            && self.checked.insert((self.shapes.0)(&settings));
        let assignment = Box::new(Assignment {
            attempt,
            settings,
            seed: trial.seed.unwrap_or(self.spec.seed),
            repeat: trial.repeat,
            epochs: trial.curve.len() as u32,
            known: Known { last: trial.epochs(), from_zero: trial.from_zero, read: trial.read.unwrap_or(0) },
            resumes: attempt.number > trial.discarded + 1,
            needs_metric: self.spec.ranks && self.spec.metric.best(&trial.curve).is_none(),
            check_weights,
            fresh: trial.curve.is_empty() && trial.seconds_before > 0.0,
        });
        self.order(id, |slot| ToHost::Train { slot, assignment })
    }

    /// Passes an order on to the host of a slot.
    fn order(&mut self, id: SlotId, order: impl FnOnce(SlotId) -> ToHost) -> Result<()> {
        if let Some(node) = &self.scheduler.slots()[id.0].node {
            if let Some(nodes) = &mut self.nodes {
                nodes.order(node, id, order);
            }
            return Ok(());
        }
        // This machine's slots come first in the list.
        self.own.extend(self.host.perform(order(id))?);
        Ok(())
    }
}
