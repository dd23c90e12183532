//! The key that a controller shares with its agents.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// 32 random bytes. They are never displayed; only the address file has them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key([u8; 32]);

impl Key {
    /// Draws a key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn random() -> io::Result<Key> {
        crate::random::bytes().map(Key)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Key(hidden)")
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        key.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Key, &'static str> {
        let rule = "a key is 64 hexadecimal digits";
        if text.len() != 64 || !text.is_ascii() {
            return Err(rule);
        }
        let mut key = [0; 32];
        for (at, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| rule)?;
        }
        Ok(Key(key))
    }
}
