//! What the engine orders a host to do, and the host that does it. What comes of it are events. Neither side shares
//! memory with the other, so that a host can also live in another process, on another machine.

use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::job::{self, Variable};
use super::{Agent, Known, Launcher, SlotDevice};
use sweep_core::error::{Error, Result};
use sweep_core::protocol::{BEST_WEIGHTS, LAST_CHECKPOINT, Order, PREVIOUS_CHECKPOINT};
use sweep_core::trial::{Attempt, Settings, TrialId};
use sweep_scheduler::schedule::{Event, Leftover, SlotEvent, SlotId};
use sweep_spec::Spec;
use sweep_store::Layout;

/// Something that a host has to do. The slots are numbered as the host has listed them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ToHost {
    /// Start a trainer.
    Start { slot: SlotId },
    /// Train an attempt.
    Train { slot: SlotId, assignment: Box<Assignment> },
    /// Ask the trainer to save the attempt and to leave it.
    Pause { slot: SlotId, attempt: Attempt },
    /// End the trainer: ask it first, then send signals.
    End { slot: SlotId },
    /// Kill the trainer.
    Kill { slot: SlotId },
    /// Remove a file of a trial. It may already be gone.
    Remove { trial: TrialId, leftover: Leftover },
}

/// An attempt at a trial, with all that the sweep file does not say of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    pub attempt: Attempt,
    pub settings: Settings,
    /// The trial's own seed.
    pub seed: u64,
    /// Which of the trials with these parameters it is, from 1.
    pub repeat: u32,
    /// Number of epochs in the journal.
    pub epochs: u32,
    /// What a program has reported before.
    pub known: Known,
    /// Whether an earlier attempt may have left a checkpoint. It need not have reported an epoch, or nobody has read that.
    pub resumes: bool,
    /// Whether the program fails without a value of the metric.
    pub needs_metric: bool,
    /// Whether the network is checked before its first step.
    pub check_weights: bool,
    /// Whether the trial was begun anew, so that an agent removes what it has of an earlier attempt.
    pub fresh: bool,
}

/// The slots of one machine, and the files of their trials.
#[derive(Debug)]
pub struct Host {
    agent: Agent,
    slots: Vec<SlotDevice>,
    spec: Spec,
    layout: Layout,
    variable: Variable,
    /// The command that starts programs, if they are not started themselves.
    wrap: Vec<String>,
}

impl Host {
    /// Creates a host without trainers. What happens on it goes to `events`.
    pub fn new(
        launcher: Option<Launcher>,
        slots: Vec<SlotDevice>,
        events: mpsc::Sender<Event>,
        (spec, layout): (Spec, Layout),
        variable: Variable,
    ) -> Host {
        let agent = Agent::new(launcher, slots.clone(), events);
        Host { agent, slots, spec, layout, variable, wrap: Vec::new() }
    }

    /// Makes another command start programs, such as that of a container.
    pub fn wrapped(self, wrap: Vec<String>) -> Host {
        Host { wrap, ..self }
    }

    /// The id of each slot's trainer or program process, if there is one.
    pub fn processes(&self) -> Vec<Option<u32>> {
        self.agent.processes()
    }

    /// The sweep goes on by another file.
    pub fn follow(&mut self, spec: Spec) {
        self.spec = spec;
    }

    /// Does it. Returns what came of it at once: such an event is not sent, because the caller would wait for itself if
    /// the channel were full.
    ///
    /// # Errors
    /// If the trial's files cannot be written.
    pub fn perform(&mut self, order: ToHost) -> Result<Option<Event>> {
        match order {
            ToHost::Start { slot } => {
                let started = self.agent.start(slot);
                return Ok(started.err().map(|how| Event::On(slot, SlotEvent::Gone { how, out_of_memory: false })));
            }
            ToHost::Train { slot, assignment } => return self.train(slot, *assignment),
            ToHost::Pause { slot, attempt } => self.agent.pause(slot, attempt),
            ToHost::End { slot } => self.agent.end(slot),
            ToHost::Kill { slot } => self.agent.kill(slot),
            ToHost::Remove { trial, leftover } => remove(&self.layout, trial, leftover)?,
        }
        Ok(None)
    }

    fn train(&mut self, slot: SlotId, assignment: Assignment) -> Result<Option<Event>> {
        let attempt = assignment.attempt;
        let folder = self.layout.trial(attempt.trial);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Error::storage(format!("cannot create {}", folder.display()), error))?;
        let log = self.layout.trainer_log(attempt.trial);
        let error = if let Some(program) = self.spec.program() {
            let device = &self.slots[slot.0];
            let place = (folder.as_path(), device.name.as_str(), &device.device);
            match job::job(&self.spec, program, &assignment, place, self.variable)? {
                Ok(mut job) => {
                    job.arguments.splice(0..0, self.wrap.iter().cloned());
                    self.agent.run(slot, job, log);
                    return Ok(None);
                }
                Err(error) => error,
            }
        } else {
            match self.spec.recipe(&assignment.settings) {
                Ok(recipe) => {
                    let Assignment { epochs: epochs_known, check_weights, .. } = assignment;
                    let order = Order { attempt, seed: self.spec.seed, recipe, folder, epochs_known, check_weights };
                    self.agent.train(slot, order, log);
                    return Ok(None);
                }
                Err(error) => error,
            }
        };
        Ok(Some(Event::On(slot, SlotEvent::Unstartable { attempt, error })))
    }
}

/// Removes what a trial has left behind.
fn remove(layout: &Layout, trial: TrialId, leftover: Leftover) -> Result<()> {
    let folder = layout.trial(trial);
    let names: &[&str] = match leftover {
        Leftover::Everything => {
            let cannot = |error| Error::storage(format!("cannot empty {}", folder.display()), error);
            return gone(std::fs::remove_dir_all(&folder)).map_err(cannot);
        }
        Leftover::Checkpoints => &[LAST_CHECKPOINT, PREVIOUS_CHECKPOINT],
        Leftover::BestWeights => &[BEST_WEIGHTS],
    };
    names.iter().try_for_each(|name| remove_file(&folder.join(name)))
}

fn remove_file(path: &Path) -> Result<()> {
    gone(std::fs::remove_file(path)).map_err(|error| Error::storage(format!("cannot remove {}", path.display()), error))
}

/// What was not there is gone, too.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}
