//! Prepares a host over ssh before an agent starts there: copies this program, and data.

mod bring;
mod copy;
mod remote;

pub use bring::{Own, bring};
pub use copy::copy;
pub use remote::{Remote, command};
