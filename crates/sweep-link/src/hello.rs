//! The greeting at the start of each connection: who is there, and from which message on the session continues.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lease::Terms;

/// Version of the link's frames. Both sides must use the same one.
pub const VERSION: u32 = 2;

/// Counts the controllers of a sweep, from 1. A controller that resumes a sweep has a higher number than the one before.
pub type Generation = u64;

/// Identifies an agent from its start to its end, over all connections and controllers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(u128);

impl SessionId {
    /// Draws an id.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random() -> std::io::Result<SessionId> {
        super::random::bytes().map(|bytes| SessionId(u128::from_be_bytes(bytes)))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for SessionId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<SessionId, &'static str> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(&text, 16).ok().filter(|_| digits);
        number.map(SessionId).ok_or("a session is 32 hexadecimal digits")
    }
}

/// The agent's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The agent's [`VERSION`].
    pub version: u32,
    /// The agent's program and its version, for messages.
    pub program: String,
    pub session: SessionId,
    /// The controller that the agent had before, or 0.
    pub generation: Generation,
    /// The last message that the agent received from that controller.
    pub received: u64,
    /// The last message of the agent that a controller acknowledged. The agent has all later ones.
    pub acknowledged: u64,
    /// The last message of the agent.
    pub last: u64,
}

/// The controller's answer to a greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The session continues.
    Accepted {
        generation: Generation,
        /// The last message of the agent that is here. The agent sends all later ones.
        received: u64,
        terms: Terms,
    },
    /// The connection ends.
    Refused(Refused),
}

/// Why an agent is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    #[error(
        "it speaks version {agent} of the link and the controller version {controller}; use the same `sweep` on both"
    )]
    Version { agent: u32, controller: u32 },
    #[error("it belongs to controller {agent} of the sweep, and this is controller {controller}")]
    Outdated { agent: Generation, controller: Generation },
    #[error("the session is over: its trials were given to others")]
    Over,
    #[error("{0} agents have joined already, the most that one controller remembers")]
    Full(usize),
    #[error("its numbers contradict what was received: {0}")]
    Impossible(String),
}

impl Refused {
    /// Whether the agent's session has ended. Otherwise, it may try again.
    pub fn is_final(&self) -> bool {
        !matches!(self, Refused::Outdated { .. })
    }
}

/// What a controller knows of a session before the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It had a connection to this controller, which has received messages up to this number.
    Here(u64),
    /// It had a connection to an earlier controller, which recorded messages up to this number.
    Recorded(u64),
    /// Nothing.
    New,
    /// Its lease has ended, or it was told to end.
    Over,
}

/// Decides from which of the agent's messages on a session continues.
///
/// # Errors
/// Returns why the session cannot continue.
pub fn judge(hello: &Hello, generation: Generation, known: Known) -> Result<u64, Refused> {
    if hello.version != VERSION {
        return Err(Refused::Version { agent: hello.version, controller: VERSION });
    }
    if hello.generation > generation {
        return Err(Refused::Outdated { agent: hello.generation, controller: generation });
    }
    let received = match known {
        Known::Here(received) => received,
        Known::Recorded(recorded) => recorded.max(hello.acknowledged),
        // This controller does not remember an agent that it has greeted: the session ended.
        Known::New if hello.generation == generation => return Err(Refused::Over),
        Known::New => hello.acknowledged,
        Known::Over => return Err(Refused::Over),
    };
    if !(hello.acknowledged..=hello.last).contains(&received) {
        let (first, last) = (hello.acknowledged + 1, hello.last);
        return Err(Refused::Impossible(format!("it has messages {first} to {last}, and {received} is here")));
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(generation: Generation) -> Hello {
        let session = SessionId(7);
        Hello { version: VERSION, program: String::new(), session, generation, received: 0, acknowledged: 3, last: 9 }
    }

    #[test]
    fn a_session_continues_after_the_last_message_that_is_here_or_recorded() {
        assert_eq!(judge(&hello(1), 1, Known::Here(5)), Ok(5));
        assert_eq!(judge(&hello(1), 2, Known::Recorded(6)), Ok(6));
        assert_eq!(judge(&hello(1), 2, Known::Recorded(0)), Ok(3), "acknowledged messages are gone");
        assert_eq!(judge(&hello(1), 2, Known::New), Ok(3));
        assert_eq!(judge(&hello(0), 2, Known::New), Ok(3));
    }

    #[test]
    fn a_session_that_cannot_continue_is_refused() {
        assert_eq!(judge(&hello(1), 1, Known::New), Err(Refused::Over));
        assert_eq!(judge(&hello(1), 2, Known::Over), Err(Refused::Over));
        assert!(matches!(judge(&hello(3), 2, Known::Here(5)), Err(Refused::Outdated { .. })));
        assert!(matches!(judge(&hello(1), 1, Known::Here(2)), Err(Refused::Impossible(_))));
        assert!(matches!(judge(&hello(1), 1, Known::Here(10)), Err(Refused::Impossible(_))));
        assert!(matches!(
            judge(&Hello { version: VERSION + 1, ..hello(1) }, 1, Known::Here(5)),
            Err(Refused::Version { .. })
        ));
    }
}
