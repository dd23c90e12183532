//! An agent, as its controller knows it, and what is sent to it.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::adopt::OnSlot;
use crate::agent::service::{ToAgent, Which, parts};
use sweep_core::trial::TrialId;
use sweep_link::Link;
use sweep_scheduler::schedule::SlotId;
use sweep_store::Layout;

/// An agent.
pub struct Session {
    orders: mpsc::UnboundedSender<Dispatch>,
    pub link: Link<ToAgent>,
    /// Its host, once it has said so.
    pub node: Option<String>,
    /// What happened on its slots before its offer.
    pub early: Vec<OnSlot>,
    /// What the scheduler is told once it has joined.
    pub words: Vec<OnSlot>,
    /// The numbers of its slots in the scheduler, by their numbers there.
    pub slots: Vec<SlotId>,
    /// Energy that its slots had used when they last said so, by their numbers there, in joules.
    pub joules: HashMap<SlotId, f64>,
    /// What its slots are, by their numbers there.
    pub offered: Vec<String>,
    /// The last message that the journal has, once it is synced.
    pub recorded: Option<u64>,
    /// Messages up to this number may be repeated, since an earlier controller did not acknowledge them.
    pub repeats: u64,
    pub is_silent: bool,
    pub is_leaving: bool,
}

/// Something for an agent, in order.
enum Dispatch {
    Message(ToAgent),
    /// The files of a trial that another host had.
    Files(TrialId),
}

impl Session {
    /// An agent that has connected and said nothing yet. Its messages up to `repeats` may be repeated.
    pub fn open(link: Link<ToAgent>, layout: &Layout, repeats: u64) -> Session {
        let (orders, waiting) = mpsc::unbounded_channel();
        tokio::spawn(dispatch(waiting, link.clone(), layout.clone()));
        Session {
            orders,
            link,
            node: None,
            early: Vec::new(),
            words: Vec::new(),
            slots: Vec::new(),
            joules: HashMap::new(),
            offered: Vec::new(),
            recorded: None,
            repeats,
            is_silent: false,
            is_leaving: false,
        }
    }

    /// Sends a message, after all that was sent before.
    pub fn send(&self, message: ToAgent) {
        let _ = self.orders.send(Dispatch::Message(message));
    }

    /// Sends the files of a trial that another host had.
    pub fn send_files(&self, trial: TrialId) {
        let _ = self.orders.send(Dispatch::Files(trial));
    }
}

/// Sends an agent what it is to do, in order. It waits for room, so that the engine need not.
async fn dispatch(mut waiting: mpsc::UnboundedReceiver<Dispatch>, link: Link<ToAgent>, layout: Layout) {
    while let Some(next) = waiting.recv().await {
        let sent = match next {
            Dispatch::Message(message) => link.send(&message).await,
            Dispatch::Files(trial) => {
                let (parts, left_out) = parts(&layout.trial(trial), trial, Which::All);
                if !left_out.is_empty() {
                    tracing::warn!("trial {trial}: too large to be sent: {}", left_out.join(", "));
                }
                let mut sent = Ok(());
                for part in parts {
                    sent = link.send(&ToAgent::File(part)).await;
                    if sent.is_err() {
                        break;
                    }
                }
                sent
            }
        };
        if let Err(error) = sent {
            tracing::debug!("session {}: {error}", link.session());
            return;
        }
    }
}
