//! What a user asks of a sweep from another terminal, and what of it is still to be done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::trial::TrialId;

/// Number of answered requests that are remembered, so that none is carried out twice.
const MOST_ANSWERED: usize = 1_000;

/// A request to the controller of a sweep. Trials that have not begun have the numbers of `sweep plan --list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// End these trials. Their best epochs count.
    Stop { trials: Vec<TrialId> },
    /// Do not run these trials, or not any further. They do not count.
    Skip { trials: Vec<TrialId> },
    /// Try these trials again.
    Retry {
        trials: Vec<TrialId>,
        /// Whether a program starts over, rather than from its own checkpoint.
        from_scratch: bool,
    },
    /// Save all running trials and start none.
    Pause,
    /// Go on after a pause.
    Continue,
    /// Run these trials before all others, in this order.
    First { trials: Vec<TrialId> },
    /// Use at most this many slots. `None` uses all.
    Slots {
        /// Number of slots.
        most: Option<u32>,
    },
    /// Start agents there, and train on them too.
    Join {
        /// Where: `ssh:gpu1`, or `command:` and a command line.
        on: Vec<String>,
    },
    /// Save the trials on another host, end its agent, and use it no longer.
    Leave {
        /// Name of the host.
        node: String,
    },
    /// Attach a text to a trial. An empty text removes it.
    Tag { trial: TrialId, text: String },
}

/// A request with the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Unique name of the request.
    pub id: String,
    /// The request, or why it cannot be read.
    pub request: Result<Request, String>,
}

/// The user's request about a trial that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The trial ends, and its best epoch counts.
    Stop,
    /// The trial ends and does not count.
    Skip,
}

/// The combined effect of the user's requests so far, except requests about a single trial that has begun.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steering {
    /// Whether the sweep is paused. A new controller continues it.
    pub paused: bool,
    /// Number of slots that may be used. A new controller uses all.
    pub most: Option<u32>,
    /// Numbers in the plan that are skipped once it is their turn.
    pub skipped: BTreeSet<u64>,
    /// Trials that go first, in order.
    pub first: Vec<TrialId>,
    /// Tags of trials, including trials that have not begun.
    pub tags: BTreeMap<TrialId, String>,
    /// Answers to the newest requests.
    answered: VecDeque<(String, Vec<String>)>,
}

impl Steering {
    /// Returns the answer to a request that was carried out.
    pub fn answer(&self, id: &str) -> Option<&[String]> {
        self.answered.iter().rev().find(|(other, _)| other == id).map(|(_, said)| said.as_slice())
    }

    /// Remembers the answer to a request.
    pub fn answered(&mut self, id: &str, said: &[String]) {
        self.answered.push_back((id.to_owned(), said.to_vec()));
        if self.answered.len() > MOST_ANSWERED {
            self.answered.pop_front();
        }
    }
}

/// Which numbers of the plan have begun. They begin in order, except those that the user asked for earlier.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// The smallest number that has not begun.
    next: u64,
    /// Larger numbers that have begun.
    ahead: BTreeSet<u64>,
}

impl Default for Places {
    fn default() -> Places {
        Places { next: 1, ahead: BTreeSet::new() }
    }
}

impl Places {
    /// Returns the smallest number that has not begun.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns whether the number has begun.
    pub fn has_begun(&self, place: u64) -> bool {
        place < self.next || self.ahead.contains(&place)
    }

    /// Records that a number has begun.
    pub fn begin(&mut self, place: u64) {
        if !self.has_begun(place) {
            self.ahead.insert(place);
        }
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
    }

    /// Starts again with a new plan, in which the first `begun` numbers are the existing trials.
    pub fn anew(&mut self, begun: u64) {
        *self = Places { next: begun + 1, ahead: BTreeSet::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_in_order_except_those_that_went_ahead() {
        let mut places = Places::default();
        for place in [1, 4, 2] {
            places.begin(place);
        }
        assert_eq!((places.next(), places.has_begun(4), places.has_begun(3)), (3, true, false));
        places.begin(3);
        assert_eq!(places.next(), 5);
        places.anew(7);
        assert_eq!((places.next(), places.has_begun(7)), (8, true));
    }

    #[test]
    fn requests_are_json_of_one_line() {
        let request = Request::Retry { trials: vec![TrialId(3)], from_scratch: true };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(text, r#"{"do":"retry","trials":[3],"from_scratch":true}"#);
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    }
}
