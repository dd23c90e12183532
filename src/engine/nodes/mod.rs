//! The other hosts of a running sweep: their agents, and the commands that lead to them.

mod adopt;
mod dial;
mod hear;
mod jobs;
mod join;
mod prepare;
mod session;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::ToHost;
use crate::agent::service::{FromAgent, Receiver, Terms, ToAgent};
use crate::hosts::Own;
use crate::slurm::{BY_ITSELF, Change, Jobs};
use join::Joins;
use session::Session;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::trial::TrialId;
use sweep_link::transport::{Key, Listener};
use sweep_link::{Clock, Controller, Event, SessionId};
use sweep_scheduler::schedule::{Scheduler, Slot, SlotId};
use sweep_store::Layout;

pub use hear::News;
pub use jobs::{most, submission};
pub use prepare::Prepared;
pub use target::{Start, Target};

/// Maximum number of messages from agents that wait for the engine.
const CAPACITY: usize = 1024;

/// Bytes of files after which the journal is synced at the next tick, so that agents need not wait to send more.
const MANY_BYTES: usize = 2 << 20;

/// The sweep's other hosts, and how agents are started there.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub targets: Vec<Target>,
    pub start: Start,
    /// The sweep, for its agents.
    pub terms: Terms,
    /// Time for which an agent goes on without its controller.
    pub orphan: Duration,
    /// Identifies the sweep among all of its user.
    pub id: String,
    /// Number of slots that the hosts said they have.
    pub slots: usize,
    /// The file that tells agents where this controller listens, if it does.
    pub listen: Option<PathBuf>,
    /// This program, which jobs start at the same path, and which hosts by ssh are given if they lack it.
    pub own: Own,
    /// Data that hosts by ssh are given, by absolute paths.
    pub sync: Vec<PathBuf>,
    /// Names of this process's environment variables.
    pub variables: Vec<String>,
}

impl Cluster {
    /// What both sides of a link must agree on.
    pub fn lease(&self) -> sweep_link::Terms {
        let save = Duration::from_secs(60).min(self.orphan / 4);
        sweep_link::Terms { orphan: self.orphan, save }
    }
}

/// What an agent does, as the link reports it.
pub type Word = Event<FromAgent>;

/// The same, with the agent's session.
pub type Heard = (SessionId, Word);

/// The agents on other hosts.
pub struct Nodes {
    cluster: Cluster,
    controller: Arc<Controller<FromAgent>>,
    events: mpsc::Receiver<Heard>,
    sessions: HashMap<SessionId, Session>,
    /// The session of each host that has joined.
    joined: BTreeMap<String, SessionId>,
    dialers: Vec<(Target, tokio::task::JoinHandle<()>)>,
    /// Jobs of Slurm, if there are any.
    jobs: Option<Jobs>,
    /// Hosts that were asked to join.
    joins: Joins,
    /// What goes wrong with the commands.
    problems: mpsc::UnboundedReceiver<(String, String)>,
    problem: mpsc::UnboundedSender<(String, String)>,
    told: HashMap<String, String>,
    layout: Layout,
    files: Receiver,
    pending_bytes: usize,
    /// Whether any session has recorded messages.
    has_recorded: bool,
    /// The host that each trial was given to last.
    last: HashMap<TrialId, String>,
}

impl Nodes {
    /// Starts agents on all targets, and listens for those that dial. `generation` counts the controllers of the sweep.
    /// `host` is the name of this machine, and `left` the number of trials that have not ended.
    ///
    /// # Errors
    /// If no agent could dial.
    pub async fn open(
        cluster: Cluster,
        layout: &Layout,
        generation: u64,
        host: &str,
        left: Option<u64>,
    ) -> Result<Nodes> {
        let (sender, events) = mpsc::channel(CAPACITY);
        let controller = Arc::new(Controller::new(generation, cluster.lease(), Clock::default(), sender));
        let watched = controller.clone();
        tokio::spawn(async move { watched.watch().await });
        if let Some(path) = &cluster.listen {
            let listener = listen(path, generation, host).await?;
            tokio::spawn(listener.serve(controller.clone()));
        }
        let (problem, problems) = mpsc::unbounded_channel();
        let targets = cluster.targets.clone();
        let jobs = jobs::start(&cluster, layout, left).await?;
        let mut nodes = Nodes {
            cluster,
            controller,
            events,
            sessions: HashMap::new(),
            joined: BTreeMap::new(),
            dialers: Vec::new(),
            jobs,
            joins: Joins::default(),
            problems,
            problem,
            told: HashMap::new(),
            layout: layout.clone(),
            files: Receiver::new(layout.clone()),
            pending_bytes: 0,
            has_recorded: false,
            last: HashMap::new(),
        };
        nodes.start(targets);
        Ok(nodes)
    }

    /// Starts agents there, too.
    pub fn start(&mut self, targets: Vec<Target>) {
        for target in targets {
            if matches!(target, Target::Slurm(_)) || self.dials(&target) {
                continue;
            }
            let dialer = dial::Dialer {
                target: target.clone(),
                start: self.cluster.start.clone(),
                sweep: self.cluster.id.clone(),
                controller: self.controller.clone(),
                problem: self.problem.clone(),
            };
            self.dialers.push((target, tokio::spawn(dialer.run())));
        }
    }

    /// Whether an agent is there, or is started again and again.
    fn dials(&self, target: &Target) -> bool {
        self.dialers.iter().any(|(other, task)| other == target && !task.is_finished())
    }

    /// Whether agents may still join.
    pub fn expects(&self) -> bool {
        // A host that is there and of no use is not waited for.
        let dialing = self.dialers.iter().filter(|(_, task)| !task.is_finished()).count();
        dialing > self.joined.len() || self.joins.is_open() || self.jobs.as_ref().is_some_and(Jobs::expects)
    }

    /// Waits for something to happen, and puts what agents did into `batch`. Returns what the user is told. Cancellation
    /// loses nothing.
    pub async fn next(&mut self, batch: &mut Vec<Heard>, most: usize) -> Vec<String> {
        let note = tokio::select! {
            _ = self.events.recv_many(batch, most) => None,
            Some(joined) = self.joins.next() => return self.joined(joined),
            Some(change) = jobs::next_of(&mut self.jobs) => match change {
                Change::Note(note) => Some(note),
                Change::Ended { agent, word } => match self.joined.get(&agent) {
                    // Slurm has killed its processes, so its trials can go on elsewhere at once.
                    Some(id) => {
                        let why = format!("Slurm ended its job: {word}");
                        self.controller.end(*id, why.clone());
                        batch.push((*id, Event::Over(why)));
                        None
                    }
                    None => (word != BY_ITSELF).then(|| format!("{agent}: Slurm ended its job: {word}")),
                },
            },
            Some((target, problem)) = self.problems.recv() => {
                let is_new = self.told.insert(target.clone(), problem.clone()).as_ref() != Some(&problem);
                is_new.then(|| format!("{target}: {problem}; `sweep` will try again"))
            }
        };
        note.into_iter().collect()
    }

    /// Starts no more agents on a host.
    fn forget(&mut self, node: &str) {
        for (target, task) in &self.dialers {
            if matches!(target, Target::Ssh(host) if host == node) {
                task.abort();
            }
        }
    }

    /// Passes an order on to the host of a slot. The files of a trial go first, if it has any and another host had it
    /// before.
    pub fn order(&mut self, node: &str, id: SlotId, order: impl FnOnce(SlotId) -> ToHost) {
        // Without a session the host is about to leave, and its trials go elsewhere.
        let Some(session) = self.joined.get(node).and_then(|id| self.sessions.get(id)) else { return };
        let Some(local) = session.slots.iter().position(|own| *own == id) else { return };
        let order = order(SlotId(local));
        if let ToHost::Train { assignment, .. } = &order {
            let trial = assignment.attempt.trial;
            let before = self.last.insert(trial, node.to_owned());
            // The host that had it last has the newest.
            let has_files = assignment.attempt.number > 1 && !assignment.fresh;
            if has_files && before.as_deref() != Some(node) {
                session.send_files(trial);
            }
        }
        session.send(ToAgent::Host { order });
    }

    /// Dismisses the agents of hosts that are asked to leave and on which nothing runs any more.
    pub fn dismiss(&mut self, scheduler: &Scheduler) {
        let slots = scheduler.slots();
        for node in scheduler.leaving() {
            let id = self.joined.get(node);
            let session = id.and_then(|id| self.sessions.get_mut(id)).filter(|session| !session.is_leaving);
            let Some(session) = session else { continue };
            let own = || session.slots.iter().map(|id| &slots[id.0]);
            let leaves = |slot: &Slot| slot.leaving && slot.is_still() && slot.absent.is_none();
            if own().next().is_some() && own().all(leaves) {
                let again = own().any(|slot| slot.ends.is_some_and(|ends| ends.is_near));
                session.is_leaving = true;
                session.send(ToAgent::Leave { done: false, again });
            }
        }
    }

    /// Says how many trials are left, so that no more jobs wait than are needed.
    pub fn need(&self, trials: impl FnOnce() -> Option<u64>) {
        if let Some(jobs) = &self.jobs {
            jobs.need(jobs::most(trials()));
        }
    }

    /// Whether something is recorded that agents do not know of yet.
    pub fn owes(&self) -> bool {
        self.has_recorded
    }

    /// Whether agents wait for an acknowledgment to send more.
    pub fn hurries(&self) -> bool {
        self.pending_bytes > MANY_BYTES
    }

    /// Tells agents that what they said is recorded. The journal has just been synced.
    pub fn acknowledge(&mut self) {
        (self.pending_bytes, self.has_recorded) = (0, false);
        for session in self.sessions.values_mut() {
            if let Some(number) = session.recorded.take() {
                session.link.acknowledge(number);
            }
        }
    }

    /// Leaves all agents to the controller of the next stage, to which they come by themselves.
    pub fn hand_over(mut self) {
        self.acknowledge();
    }

    /// Ends all agents, once all that they said is acknowledged. A host whose connection was just cut has some time to be
    /// reached again. One that is not ends what it has when its lease is over.
    pub async fn close(mut self, is_complete: bool) {
        self.acknowledge();
        for session in self.sessions.values() {
            session.send(ToAgent::Leave { done: is_complete, again: false });
        }
        let all_over = async {
            while !self.sessions.is_empty()
                && let Some((id, word)) = self.events.recv().await
            {
                match (word, self.sessions.get(&id)) {
                    (Event::Over(_), _) => drop(self.sessions.remove(&id)),
                    (Event::Message { number, .. }, Some(session)) => session.link.acknowledge(number),
                    // An agent that was started just now is not needed.
                    (Event::Connected { .. }, None) => self.controller.end(id, "the sweep has ended"),
                    _ => {}
                }
            }
        };
        let _ = tokio::time::timeout(GOODBYE, all_over).await;
        if let Some(jobs) = self.jobs {
            jobs.end().await;
        }
    }
}

/// Time for agents to end at the end of a run.
const GOODBYE: Duration = Duration::from_secs(10);

/// Opens a port with a key of its own, and writes both into the file by which agents find it.
async fn listen(path: &Path, generation: u64, host: &str) -> Result<Listener> {
    let cannot = |error| Error::new(Exit::Storage, "agents cannot connect to this machine").source(error);
    let key = Key::random().map_err(cannot)?;
    let listener = Listener::open(None, key).await.map_err(cannot)?;
    let address = listener.address(generation, Some(host.to_owned())).map_err(cannot)?;
    address.write(path).map_err(|error| Error::new(Exit::Storage, error.to_string()))?;
    Ok(listener)
}

/// Parses all values of `--on`.
///
/// # Errors
/// Returns [`Exit::Usage`] with the first that is wrong.
pub fn targets(on: &[String]) -> Result<Vec<Target>> {
    let mut targets: Vec<Target> = Vec::new();
    for text in on {
        let parsed = Target::parse(text);
        let parsed = parsed.map_err(|(rule, remedy)| Error::new(Exit::Usage, format!("--on: {rule}")).hint(remedy))?;
        targets.extend(parsed.into_iter().filter(|target| !targets.contains(target)).collect::<Vec<_>>());
    }
    Ok(targets)
}
