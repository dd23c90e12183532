//! What the user's requests change in the state of a sweep.

use super::State;
use crate::steering::{Request, Wish};
use crate::trial::TrialId;

impl State {
    /// Carries out what the user asked for, as far as it concerns the state of the sweep.
    pub(super) fn steer(&mut self, request: &Request) -> Result<(), String> {
        match request {
            Request::Stop { trials } => trials.iter().try_for_each(|id| self.wish(*id, Wish::Stop))?,
            Request::Skip { trials } => {
                for id in trials {
                    if self.trial(*id).is_some() {
                        self.wish(*id, Wish::Skip)?;
                    } else {
                        self.steering.skipped.insert(id.0);
                    }
                }
            }
            Request::Retry { trials, from_scratch } => {
                for id in trials {
                    if *from_scratch {
                        // Should the controller die before old checkpoints are removed, the next one removes them.
                        self.untidied.insert(*id, self.ends);
                    }
                    match self.trial_mut(*id) {
                        Some(trial) if trial.outcome().is_some() => trial.reopen(!from_scratch),
                        Some(_) => return Err(format!("trial {id} is retried, but it has not ended")),
                        None => drop(self.steering.skipped.remove(&id.0)),
                    }
                }
            }
            Request::Pause => self.steering.paused = true,
            Request::Continue => self.steering.paused = false,
            Request::First { trials } => {
                self.steering.first.retain(|first| !trials.contains(first));
                self.steering.first.splice(0..0, trials.iter().copied());
            }
            Request::Slots { most } => self.steering.most = *most,
            Request::Tag { trial, text } => {
                self.steering.tags.remove(trial);
                if !text.is_empty() {
                    self.steering.tags.insert(*trial, text.clone());
                }
            }
        }
        Ok(())
    }

    fn wish(&mut self, id: TrialId, wish: Wish) -> Result<(), String> {
        let trial = self.trial_mut(id).ok_or_else(|| format!("trial {id} was never started"))?;
        if trial.outcome().is_some() {
            return Err(format!("trial {id} is to {wish:?}, but it has ended"));
        }
        trial.wish = Some(wish);
        Ok(())
    }
}
