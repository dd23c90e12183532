//! Hosts that join while the sweep runs. They are prepared like those that it begins with, which may take minutes.

use std::collections::HashSet;

use tokio::sync::mpsc;

use super::prepare::Prepared;
use super::{Nodes, Target};
use sweep_store::requests;

/// A request for hosts, once they are prepared.
pub struct Joined {
    id: String,
    /// The answer so far.
    said: Vec<String>,
    prepared: Vec<Prepared>,
}

/// The requests whose hosts are being prepared.
pub struct Joins {
    open: HashSet<String>,
    done: mpsc::UnboundedSender<Joined>,
    ready: mpsc::UnboundedReceiver<Joined>,
}

impl Default for Joins {
    fn default() -> Joins {
        let (done, ready) = mpsc::unbounded_channel();
        Joins { open: HashSet::new(), done, ready }
    }
}

impl Joins {
    /// Whether hosts are being prepared.
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    pub async fn next(&mut self) -> Option<Joined> {
        self.ready.recv().await
    }
}

impl Nodes {
    /// Prepares hosts for agents, which then start. The request stays until then, and is answered with what came of it.
    pub fn join(&mut self, id: &str, said: Vec<String>, targets: Vec<Target>) {
        if !self.joins.open.insert(id.to_owned()) {
            return;
        }
        let (cluster, done, id) = (self.cluster.clone(), self.joins.done.clone(), id.to_owned());
        // No task of the runtime, which would wait for it at the sweep's end.
        std::thread::spawn(move || {
            let prepared = cluster.prepare(targets);
            let _ = done.send(Joined { id, said, prepared });
        });
    }

    /// Starts agents on the hosts that can run the sweep. Returns what the user is told.
    pub fn joined(&mut self, Joined { id, mut said, prepared }: Joined) -> Vec<String> {
        let mut told = Vec::new();
        for Prepared { target, notes, brought, facts } in prepared {
            told.extend(notes.into_iter().map(|note| format!("{target}: {note}")));
            match facts {
                Ok(facts) if self.joined.contains_key(&facts.node) && !self.dials(&target) => told.push(format!(
                    "{target}: an agent named {} has joined already; give this one another name: sweep agent --name \
                     NAME",
                    facts.node
                )),
                Ok(_) => {
                    self.cluster.start.add(&target, brought);
                    self.start(vec![target]);
                }
                Err(why) => told.push(format!("{target} does not join: {why}")),
            }
        }
        self.joins.open.remove(&id);
        said.extend(told.iter().cloned());
        // If the answer cannot be written, the request stays, and its hosts are prepared again.
        let _ = requests::answer(&self.layout, &id, &said);
        told
    }
}
