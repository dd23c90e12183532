//! Leases: how both sides know what the other may have done while they could not hear each other. Pure.
//!
//! ```text
//! agent        ping n at s ──────────────► received at r ≥ s        controller
//!              pong n      ◄──────────────
//!              stops using its trials at s + orphan
//!                          gives the trials to others at r + handover, where handover > orphan
//! ```
//!
//! The agent counts from the moment it *sent* the last ping that was answered, and the controller from the moment it
//! *received* the last ping. An answered ping was received, and it was received after it was sent. So the controller's
//! lease ends later than the agent's in every case, if both clocks run at about the same rate ([`RATE`]). How the clocks
//! are set does not matter.

use std::collections::VecDeque;
use std::time::Duration;

/// Time between two pings.
pub const PING: Duration = Duration::from_secs(5);

/// Time without any frame after which a connection is closed. The other side then dials again.
pub const SILENCE: Duration = Duration::from_secs(20);

/// Default of [`Terms::orphan`].
pub const ORPHAN: Duration = Duration::from_secs(600);

/// The controller's lease is longer by one part in this many. Clocks of computers differ by less than one part in a
/// thousand, also while NTP corrects them.
pub const RATE: u32 = 100;

/// Time after the end of the agent's lease in which the kernel ends processes that were killed.
const DEATH: Duration = Duration::from_secs(10);

/// Maximum number of unanswered pings that are remembered.
const PINGS: usize = 16;

/// What both sides must agree on. The controller tells the agent on every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Terms {
    /// Time for which an agent without a controller uses its trials. Then all its trainers have been killed.
    pub orphan: Duration,
    /// The last part of `orphan`, in which trials are saved and trainers end by themselves.
    pub save: Duration,
}

impl Terms {
    /// Time after the last ping at which the controller gives trials to others.
    pub fn handover(&self) -> Duration {
        self.orphan + self.orphan / RATE + DEATH
    }
}

impl Default for Terms {
    fn default() -> Terms {
        Terms { orphan: ORPHAN, save: Duration::from_secs(60) }
    }
}

/// What an agent may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The trials belong to the agent, and it need not save them before this time.
    Until(Duration),
    /// The agent must save its trials and end them. They belong to it until this time.
    SaveUntil(Duration),
    /// Others may have the trials. Every trainer must have been killed.
    Over,
}

/// The agent's lease. It starts when the first connection is made.
#[derive(Debug)]
pub struct AgentLease {
    terms: Terms,
    /// Unanswered pings, each with the time when it was sent.
    pings: VecDeque<(u64, Duration)>,
    next: u64,
    /// Time when the last answered ping was sent.
    answered: Duration,
}

impl AgentLease {
    /// Starts the lease with a greeting that was sent at `now` and accepted with these terms.
    pub fn new(now: Duration, terms: Terms) -> AgentLease {
        AgentLease { terms, pings: VecDeque::new(), next: 1, answered: now }
    }

    /// Renews the lease by a greeting that was sent at `sent` and accepted with these terms. Returns whether it was in
    /// time: once over, a lease stays over.
    pub fn renew(&mut self, now: Duration, sent: Duration, terms: Terms) -> bool {
        if self.at(now) == Held::Over {
            return false;
        }
        self.pings.clear();
        (self.terms, self.answered) = (terms, sent);
        self.at(now) != Held::Over
    }

    /// Returns the number of the ping that is sent now.
    pub fn ping(&mut self, now: Duration) -> u64 {
        if self.pings.len() == PINGS {
            self.pings.pop_front();
        }
        self.next += 1;
        self.pings.push_back((self.next - 1, now));
        self.next - 1
    }

    /// Records the answer to a ping. Answers to unknown pings mean nothing.
    pub fn pong(&mut self, now: Duration, number: u64) {
        let known = self.pings.iter().position(|(ping, _)| *ping == number);
        if let Some(at) = known.filter(|_| self.at(now) != Held::Over) {
            self.answered = self.pings[at].1;
            self.pings.drain(..=at);
        }
    }

    /// Returns what the agent may do now.
    pub fn at(&self, now: Duration) -> Held {
        let end = self.answered + self.terms.orphan;
        let save = end - self.terms.save.min(self.terms.orphan / 2);
        match now {
            _ if now < save => Held::Until(save),
            _ if now < end => Held::SaveUntil(end),
            _ => Held::Over,
        }
    }
}

/// What a controller may do with the trials of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// The agent has them, at least until this time. It may also have stopped, if it has not heard the answers.
    Until(Duration),
    /// The agent has surely stopped.
    Over,
}

/// The controller's lease for one agent.
#[derive(Debug)]
pub struct ControllerLease {
    terms: Terms,
    heard: Duration,
}

impl ControllerLease {
    /// Starts a lease. It ends later than one that an earlier controller gave the agent, if these terms are at least as
    /// long as the earlier ones.
    pub fn new(now: Duration, terms: Terms) -> ControllerLease {
        ControllerLease { terms, heard: now }
    }

    /// Records a ping or a greeting, and returns whether it may be answered. After the end it may not be.
    pub fn ping(&mut self, now: Duration) -> bool {
        let granted = self.at(now) != Granted::Over;
        if granted {
            self.heard = now;
        }
        granted
    }

    /// Time since the last ping.
    pub fn silent(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard)
    }

    /// Returns what the controller may do now.
    pub fn at(&self, now: Duration) -> Granted {
        let end = self.heard + self.terms.handover();
        if now < end { Granted::Until(end) } else { Granted::Over }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TERMS: Terms = Terms { orphan: Duration::from_secs(60), save: Duration::from_secs(10) };

    #[test]
    fn an_agent_without_answers_goes_on_then_saves_then_stops_for_good() {
        let at = Duration::from_secs;
        let mut lease = AgentLease::new(at(100), TERMS);
        let ping = lease.ping(at(105));
        lease.pong(at(106), ping + 1);
        assert_eq!(lease.at(at(106)), Held::Until(at(150)), "an unknown answer means nothing");
        lease.pong(at(149), ping);
        assert_eq!(lease.at(at(154)), Held::Until(at(155)), "from when the ping was sent");
        assert_eq!(lease.at(at(155)), Held::SaveUntil(at(165)));
        assert_eq!(lease.at(at(165)), Held::Over);
        assert!(!lease.renew(at(166), at(166), TERMS));
        let ping = lease.ping(at(166));
        lease.pong(at(167), ping);
        assert_eq!(lease.at(at(167)), Held::Over, "once over, a lease stays over");
    }

    /// One thing that happens, some milliseconds after the one before it.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Ping,
        /// The oldest ping on the way arrives, and is answered.
        Arrive,
        /// The oldest answer on the way arrives.
        Answer,
        Cut,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Clocks start anywhere and differ in rate by 0.5% either way. Pings and answers take any time or are lost.
        #[test]
        fn the_controllers_lease_never_ends_before_the_agents(
            steps in prop::collection::vec(
                (0..30_000_u64, prop_oneof![Just(Step::Ping), Just(Step::Arrive), Just(Step::Answer), Just(Step::Cut)]),
                1..60,
            ),
            offsets in (0..10_000_000_u64, 0..10_000_000_u64),
            rates in (995..=1005_u64, 995..=1005_u64),
        ) {
            let mut time = 0;
            let clock = |offset, rate, time| Duration::from_micros(offset * 1000 + time * rate);
            let agents = |time| clock(offsets.0, rates.0, time);
            let controllers = |time| clock(offsets.1, rates.1, time);
            let mut agent = AgentLease::new(agents(0), TERMS);
            let mut controller = ControllerLease::new(controllers(0), TERMS);
            let (mut pings, mut answers) = (VecDeque::new(), VecDeque::new());
            for (later, step) in steps {
                time += later;
                match step {
                    Step::Ping => pings.push_back(agent.ping(agents(time))),
                    Step::Arrive => answers.extend(pings.pop_front().filter(|_| controller.ping(controllers(time)))),
                    Step::Answer => answers.pop_front().into_iter().for_each(|ping| agent.pong(agents(time), ping)),
                    Step::Cut => (pings.clear(), answers.clear()).1,
                }
                if controller.at(controllers(time)) == Granted::Over {
                    prop_assert_eq!(agent.at(agents(time)), Held::Over);
                }
            }
        }
    }
}
