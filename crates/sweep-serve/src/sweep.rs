//! One sweep that is watched: its journal, followed as it grows, and what the page shows of it.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock, RwLockReadGuard};

use hyper::body::Bytes;
use tokio::sync::watch;

use crate::insight::{Insight, Occasion, insight, progress};
use crate::view::{self, Rows};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History};
use sweep_core::steering::Request;
use sweep_core::trial::TrialId;
use sweep_report::Evaluated;
use sweep_scheduler::search::Search;
use sweep_spec::Spec;
use sweep_store::{Follower, Layout};

/// Number of updates that are kept for viewers who ask the same.
const KEPT: usize = 8;

/// A sweep that is watched. Views are computed from its [`State`].
#[derive(Debug)]
pub struct Sweep {
    /// The sweep's folder.
    pub layout: Layout,
    follower: Mutex<Follower>,
    state: RwLock<State>,
    /// The version of the state, for those who wait for a change.
    pub news: watch::Sender<u64>,
    answers: Mutex<Answers>,
}

/// What is known about a sweep.
#[derive(Debug)]
pub struct State {
    /// Increases with every change.
    pub version: u64,
    /// The sweep file.
    pub spec: Spec,
    /// The state after all entries of the journal.
    pub history: History,
    /// Number of trials by the sweep file. `None` if the search has no end.
    pub total: Option<u64>,
    /// Whether a controller runs the sweep.
    pub held: bool,
    /// Why the journal or the sweep file cannot be read any further.
    pub problem: Option<String>,
    /// The rows of the table, in the order of the trials.
    pub rows: Rows,
    /// The newest analysis.
    pub insight: Arc<Insight>,
}

/// Answers to viewers for one version of the state. Many viewers ask the same, and share one copy.
#[derive(Debug, Default)]
struct Answers {
    version: u64,
    /// The overview as JSON.
    overview: String,
    /// The updates by the version that a viewer knew.
    updates: Vec<(u64, Bytes)>,
}

/// The trials that entries concern.
#[derive(Default)]
struct Touched {
    /// Whether any entry came.
    any: bool,
    all: bool,
    trials: Vec<TrialId>,
}

impl Sweep {
    /// Reads a sweep.
    ///
    /// # Errors
    /// If its journal or its sweep file cannot be read.
    pub fn open(folder: &Path) -> Result<Sweep> {
        let layout = Layout::new(folder);
        let (mut follower, mut history) = (Follower::new(&layout), History::default());
        follower.advance(&mut history, |_| {})?;
        let (spec, total) = read(&layout, &history)?;
        let held = sweep_store::held(&layout);
        let mut rows = Rows::default();
        rows.update(1, None, &spec, &history, held, &Insight::default());
        let state = State { version: 1, spec, history, total, held, problem: None, rows, insight: Arc::default() };
        Ok(Sweep {
            layout,
            follower: Mutex::new(follower),
            state: RwLock::new(state),
            news: watch::Sender::new(1),
            answers: Mutex::default(),
        })
    }

    /// The state, locked against changes while it is read.
    pub fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no view panics while it holds the state")
    }

    /// Reads what was added to the journal since the last call.
    pub fn advance(&self) {
        let mut follower = self.follower.lock().expect("reading a journal does not panic");
        let held = sweep_store::held(&self.layout);
        {
            let state = self.state();
            if !follower.has_news() && held == state.held && state.problem.is_none() {
                return;
            }
        }
        let mut state = self.state.write().expect("no view panics while it holds the state");
        let State { history, spec, total, problem: known, .. } = &mut *state;
        let (before, mut touched) = (history.extensions.len(), Touched::default());
        let advanced = follower.advance(history, |entry| touched.note(entry));
        let mut problem = advanced.err();
        if history.extensions.len() != before || touched.all || known.is_some() {
            match read(&self.layout, history) {
                Ok(read) => (*spec, *total) = read,
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        let problem = problem.map(|error| error.to_string());
        if !touched.any && held == state.held && problem == state.problem {
            return;
        }
        touched.all |= held != state.held;
        (state.held, state.problem) = (held, problem);
        state.changed((!touched.all).then_some(&touched.trials));
        self.news.send_replace(state.version);
    }

    /// What an analysis of the present state depends on.
    pub fn occasion(&self) -> Occasion {
        (progress(&self.state().history), Evaluated::written(&self.layout))
    }

    /// Analyzes the sweep. Others can go on meanwhile, so this works on a copy.
    pub fn analyze(&self) {
        let (spec, history) = {
            let state = self.state();
            (state.spec.clone(), state.history.clone())
        };
        let insight = insight(&spec, &history, Evaluated::read(&self.layout));
        drop(history);
        let mut state = self.state.write().expect("no view panics while it holds the state");
        let old = std::mem::replace(&mut state.insight, Arc::new(insight));
        let new = state.insight.clone();
        let differ = |at: &usize| old.labels.get(*at) != new.labels.get(*at);
        let changed: Vec<TrialId> = (0..new.labels.len()).filter(differ).map(|at| TrialId(at as u64 + 1)).collect();
        state.changed(Some(&changed));
        self.news.send_replace(state.version);
    }

    /// The overview as JSON, and the rows that changed since a version that a viewer knows.
    pub fn update(&self, since: u64, now: f64) -> Bytes {
        let mut answers = self.answers.lock().expect("a view does not panic");
        let state = self.state();
        if answers.version != state.version {
            let overview = view::overview(&self.layout, &state, now).to_string();
            *answers = Answers { version: state.version, overview, updates: Vec::new() };
        }
        if let Some((_, answer)) = answers.updates.iter().find(|(version, _)| *version == since) {
            return answer.clone();
        }
        let answer = format!("{{\"overview\":{},\"rows\":{}}}", answers.overview, state.rows.since(since));
        let answer = Bytes::from(answer);
        if answers.updates.len() < KEPT {
            answers.updates.push((since, answer.clone()));
        }
        answer
    }
}

impl State {
    /// Begins a new version of the state, in which these trials, or all of them, have changed.
    fn changed(&mut self, trials: Option<&Vec<TrialId>>) {
        self.version += 1;
        let State { version, spec, history, held, rows, insight, .. } = self;
        rows.update(*version, trials.map(Vec::as_slice), spec, history, *held, insight);
    }
}

impl Touched {
    fn note(&mut self, entry: &Entry) {
        self.any = true;
        match entry {
            Entry::Started { attempt, .. }
            | Entry::Began { attempt, .. }
            | Entry::Epoch { attempt, .. }
            | Entry::Row { attempt, .. }
            | Entry::Warned { attempt, .. }
            | Entry::Spared { attempt, .. }
            | Entry::Paused { attempt, .. }
            | Entry::Lost { attempt, .. }
            | Entry::Used { attempt, .. }
            | Entry::Ended { attempt, .. } => self.trials.push(attempt.trial),
            Entry::Steered { request: Some(Request::Tag { trial, .. }), .. }
            | Entry::Skipped { trial, .. }
            | Entry::Reopened { trial, .. } => self.trials.push(*trial),
            Entry::Sweep { .. }
            | Entry::Extended { .. }
            | Entry::Raced { .. }
            | Entry::Bought { .. }
            | Entry::Run { .. }
            | Entry::Left { .. } => self.all = true,
            _ => {}
        }
    }
}

/// Reads the sweep file, and counts the trials that it describes.
fn read(layout: &Layout, history: &History) -> Result<(Spec, Option<u64>)> {
    let text = sweep_store::sweep_file(layout, history)?;
    let file = layout.sweep_file().display().to_string();
    let read = Spec::read_again(&text, &file, &history.name, &history.base, history.start.as_deref());
    let spec = read.map_err(|problems| Error::new(Exit::BadFile, problems.to_string()))?;
    let total = Search::resumed(spec.search_terms(), history).len();
    Ok((spec, total))
}
