//! What a host by ssh is given before an agent starts there: this program, and data.

mod bring;
mod copy;
mod remote;

pub use bring::{Own, bring};
pub use copy::copy;
pub use remote::{Remote, command};
