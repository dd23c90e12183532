//! The other hosts of a running sweep: their agents, and the commands that lead to them.

mod adopt;
mod dial;
mod jobs;
mod target;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::ToHost;
use crate::agent::service::{FromAgent, Part, Receiver, Terms, ToAgent, Which, parts};
use crate::slurm::{BY_ITSELF, Change, Jobs};
use adopt::adopt;
pub use jobs::submission;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_core::protocol::FromTrainer;
use sweep_core::trial::TrialId;
use sweep_link::transport::{Key, Listener};
use sweep_link::{Clock, Controller, Event as Heard, Link, SessionId};
use sweep_scheduler::schedule::{Event, Slot, SlotId};
use sweep_store::Layout;
pub use target::{Start, Target};

/// Maximum number of messages from agents that wait for the engine.
const CAPACITY: usize = 1024;

/// Bytes of files after which the journal is synced at the next look, so that agents need not wait to send more.
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
    /// This program, which jobs start at the same path.
    pub own: PathBuf,
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

/// What an agent's messages come to.
pub enum News {
    /// Something for the scheduler.
    Event(Event),
    /// An agent joins: an event that must be handled before [`Nodes::seat`], and then what that returns.
    Joined(SessionId, Event),
    /// Something to tell the user.
    Note(String),
}

/// The agents on other hosts.
pub struct Nodes {
    cluster: Cluster,
    controller: Arc<Controller<FromAgent>>,
    events: mpsc::Receiver<(SessionId, Heard<FromAgent>)>,
    sessions: HashMap<SessionId, Session>,
    /// The session of each host that has joined.
    joined: BTreeMap<String, SessionId>,
    dialers: Vec<(Target, tokio::task::JoinHandle<()>)>,
    /// Jobs of Slurm, if there are any.
    jobs: Option<Jobs>,
    /// What goes wrong with the commands.
    problems: mpsc::UnboundedReceiver<(String, String)>,
    problem: mpsc::UnboundedSender<(String, String)>,
    told: HashMap<String, String>,
    layout: Layout,
    files: Receiver,
    pending_bytes: usize,
    /// The host that each trial was given to last.
    last: HashMap<TrialId, String>,
}

/// An agent.
struct Session {
    orders: mpsc::UnboundedSender<Dispatch>,
    link: Link<ToAgent>,
    /// Its host, once it has said so.
    node: Option<String>,
    /// What it said before its offer.
    early: Vec<FromAgent>,
    /// What comes after it has joined.
    words: Vec<FromAgent>,
    /// The numbers of its slots in the scheduler.
    slots: Vec<SlotId>,
    /// The number of its slots by what they are.
    identities: HashMap<String, SlotId>,
    /// The last message that the journal has, once it is synced.
    recorded: Option<u64>,
    /// Messages up to this number may be repeated, since an earlier controller did not acknowledge them.
    repeats: u64,
    is_silent: bool,
    is_leaving: bool,
}

/// Something for an agent, in order.
enum Dispatch {
    Message(ToAgent),
    /// The files of a trial that another host had.
    Files(TrialId),
}

impl Nodes {
    /// Starts agents on all targets, and listens for those that dial. `generation` counts the controllers of the sweep.
    /// `host` is the name of this machine.
    ///
    /// # Errors
    /// If no agent could dial.
    pub async fn open(cluster: Cluster, layout: &Layout, generation: u64, host: &str) -> Result<Nodes> {
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
        let jobs = jobs::start(&cluster, layout).await?;
        let mut nodes = Nodes {
            cluster,
            controller,
            events,
            sessions: HashMap::new(),
            joined: BTreeMap::new(),
            dialers: Vec::new(),
            jobs,
            problems,
            problem,
            told: HashMap::new(),
            layout: layout.clone(),
            files: Receiver::new(layout.clone()),
            pending_bytes: 0,
            last: HashMap::new(),
        };
        nodes.start(targets);
        Ok(nodes)
    }

    /// Starts agents there, too.
    pub fn start(&mut self, targets: Vec<Target>) {
        for target in targets {
            let is_there =
                |(other, task): &(Target, tokio::task::JoinHandle<()>)| *other == target && !task.is_finished();
            if matches!(target, Target::Slurm(_)) || self.dialers.iter().any(is_there) {
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

    /// Whether agents may still join.
    pub fn expects(&self) -> bool {
        // A host that is there and of no use is not waited for.
        let dialing = self.dialers.iter().filter(|(_, task)| !task.is_finished()).count();
        dialing > self.joined.len() || self.jobs.as_ref().is_some_and(Jobs::expects)
    }

    /// Waits for something to happen, and puts what it comes to into `news`. Cancellation loses nothing.
    pub async fn next(&mut self, batch: &mut Vec<(SessionId, Heard<FromAgent>)>, most: usize) -> Option<String> {
        tokio::select! {
            _ = self.events.recv_many(batch, most) => None,
            Some(change) = jobs::next_of(&mut self.jobs) => match change {
                Change::Note(note) => Some(note),
                Change::Ended { agent, word } => match self.joined.get(&agent) {
                    // Slurm has killed its processes, so its trials can go on elsewhere at once.
                    Some(id) => {
                        let why = format!("Slurm ended its job: {word}");
                        self.controller.end(*id, why.clone());
                        batch.push((*id, Heard::Over(why)));
                        None
                    }
                    None => (word != BY_ITSELF).then(|| format!("{agent}: Slurm ended its job: {word}")),
                },
            },
            Some((target, problem)) = self.problems.recv() => {
                if self.told.insert(target.clone(), problem.clone()).as_ref() == Some(&problem) {
                    return None;
                }
                Some(format!("{target}: {problem}; it is tried again"))
            }
        }
    }

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
                    message => self.message(id, message, history)?,
                };
                // What comes before the offer is recorded with it. Until then, no journal has it.
                if let Some(session) = self.sessions.get_mut(&id).filter(|session| session.node.is_some()) {
                    session.recorded = Some(number);
                }
                news
            }
            Heard::Latest(message) => self.word(id, message),
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
            return vec![News::Note(format!("an agent is refused: {why}; install the same version on all hosts"))];
        }
        let (orders, waiting) = mpsc::unbounded_channel();
        tokio::spawn(dispatch(waiting, link.clone(), self.layout.clone()));
        let _ = orders.send(Dispatch::Message(ToAgent::Sweep(Box::new(self.cluster.terms.clone()))));
        let session = Session {
            orders,
            link,
            node: None,
            early: Vec::new(),
            words: Vec::new(),
            slots: Vec::new(),
            identities: HashMap::new(),
            recorded: None,
            repeats,
            is_silent: false,
            is_leaving: false,
        };
        self.sessions.insert(id, session);
        Vec::new()
    }

    fn message(&mut self, id: SessionId, message: FromAgent, history: &History) -> Result<Vec<News>> {
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
                let (event, words) = adopt(*offer, std::mem::take(&mut session.early), history);
                (session.node, session.words) = (Some(node), words);
                Ok(vec![News::Joined(id, event)])
            }
            FromAgent::Cannot { reason } => {
                self.controller.end(id, "the sweep cannot run there");
                self.sessions.remove(&id);
                Ok(vec![News::Note(format!("an agent cannot run this sweep: {reason}"))])
            }
            FromAgent::Leaving { why } => {
                let Some(session) = self.sessions.get_mut(&id) else { return Ok(Vec::new()) };
                session.is_leaving = true;
                let node = session.node.clone();
                Ok(node.map_or_else(Vec::new, |node| {
                    vec![News::Note(format!("{node} leaves: {why}")), News::Event(Event::Leaving { node })]
                }))
            }
            word => Ok(self.word(id, word)),
        }
    }

    /// Takes a word about a slot.
    fn word(&mut self, id: SessionId, word: FromAgent) -> Vec<News> {
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        if session.node.is_none() {
            session.early.push(word);
            return Vec::new();
        }
        if let FromAgent::Said { message: FromTrainer::Unwritable { attempt, reason }, .. } = &word
            && let Some(node) = session.node.clone()
        {
            // The next trial would have the same problem there, and on no other host.
            let note = format!("{node}: {attempt} cannot be saved: {reason}; it gets no more trials");
            return vec![News::Note(note), News::Event(Event::Leaving { node })];
        }
        let slot = word.slot().and_then(|slot| session.slots.get(slot.0)).copied();
        slot.and_then(|slot| word.event(slot)).map(News::Event).into_iter().collect()
    }

    /// Keeps a part of a file, which the agent sends before the news that the trial is over.
    fn keep(&mut self, part: &Part) -> Result<()> {
        self.pending_bytes += part.bytes.len();
        self.files.take(part)
    }

    /// Finds the slots of an agent that has joined in the scheduler's list. Returns the events that come next.
    pub fn seat(&mut self, id: SessionId, slots: &[Slot], offered: &[String]) -> Vec<Event> {
        let Some(session) = self.sessions.get_mut(&id) else { return Vec::new() };
        let Some(node) = &session.node else { return Vec::new() };
        let of_node: HashMap<&str, SlotId> = (0..slots.len())
            .filter(|at| slots[*at].is_on(node))
            .map(|at| (slots[at].identity.as_str(), SlotId(at)))
            .collect();
        session.slots = offered.iter().filter_map(|identity| of_node.get(identity.as_str()).copied()).collect();
        session.identities = offered.iter().cloned().zip((0..).map(SlotId)).collect();
        let words = std::mem::take(&mut session.words);
        let event = |word: FromAgent| {
            let slot = *session.slots.get(word.slot()?.0)?;
            word.event(slot)
        };
        words.into_iter().filter_map(event).collect()
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

    /// Starts no more agents on a host.
    fn forget(&mut self, node: &str) {
        for (target, task) in &self.dialers {
            if matches!(target, Target::Ssh(host) if host == node) {
                task.abort();
            }
        }
    }

    /// Passes an order on to the host of a slot, which the scheduler knows by its identity. `carried`: the trial that the
    /// host is given. Its files go first, if another host had it before.
    pub fn order(&mut self, slot: &Slot, order: impl FnOnce(SlotId) -> ToHost, carried: Option<TrialId>) {
        let session = slot.node.as_ref().and_then(|node| self.joined.get(node)).and_then(|id| self.sessions.get(id));
        // Without a session the host is about to leave, and its trials go elsewhere.
        let Some(session) = session else { return };
        let Some(local) = session.identities.get(&slot.identity) else { return };
        let node = slot.node.clone().unwrap_or_default();
        let before = carried.and_then(|trial| self.last.insert(trial, node.clone()));
        // The host that had it last has the newest.
        if let Some(trial) = carried.filter(|_| before.as_ref() != Some(&node)) {
            let _ = session.orders.send(Dispatch::Files(trial));
        }
        let _ = session.orders.send(Dispatch::Message(ToAgent::Host { order: order(*local) }));
    }

    /// Dismisses the agents of hosts that are asked to leave and on which nothing runs any more.
    pub fn dismiss(&mut self, slots: &[Slot]) {
        for (node, id) in &self.joined {
            let mut own = slots.iter().filter(|slot| slot.is_on(node)).peekable();
            let leaves =
                own.peek().is_some() && own.all(|slot| slot.leaving && slot.is_still() && slot.absent.is_none());
            if let Some(session) = self.sessions.get_mut(id).filter(|session| leaves && !session.is_leaving) {
                session.is_leaving = true;
                let _ = session.orders.send(Dispatch::Message(ToAgent::Leave { done: false }));
            }
        }
    }

    /// Says how many trials are left, so that no more jobs wait than are needed.
    pub fn need(&self, trials: u64) {
        // Every node has a slot, and perhaps more.
        if let Some(jobs) = &self.jobs {
            jobs.need(u32::try_from(trials).unwrap_or(u32::MAX));
        }
    }

    /// Whether something is recorded that agents do not know of yet.
    pub fn owes(&self) -> bool {
        self.sessions.values().any(|session| session.recorded.is_some())
    }

    /// Whether agents wait for an acknowledgment to send more.
    pub fn hurries(&self) -> bool {
        self.pending_bytes > MANY_BYTES
    }

    /// Tells agents that what they said is recorded. The journal has just been synced.
    pub fn acknowledge(&mut self) {
        self.pending_bytes = 0;
        for session in self.sessions.values_mut() {
            if let Some(number) = session.recorded.take() {
                session.link.acknowledge(number);
            }
        }
    }

    /// Ends all agents, once all that they said is acknowledged. A host whose connection was just cut has some time to be
    /// reached again. One that is not ends what it has when its lease is over.
    pub async fn close(mut self, is_complete: bool) {
        self.acknowledge();
        for session in self.sessions.values() {
            let _ = session.orders.send(Dispatch::Message(ToAgent::Leave { done: is_complete }));
        }
        let all_over = async {
            while !self.sessions.is_empty()
                && let Some((id, heard)) = self.events.recv().await
            {
                match (heard, self.sessions.get(&id)) {
                    (Heard::Over(_), _) => drop(self.sessions.remove(&id)),
                    (Heard::Message { number, .. }, Some(session)) => session.link.acknowledge(number),
                    // An agent that was started just now is not needed.
                    (Heard::Connected { .. }, None) => self.controller.end(id, "the sweep has ended"),
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
