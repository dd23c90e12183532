//! The clock of leases.

use std::time::Duration;

/// Returns the time since the computer was started, including the time for which it slept.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub fn() -> Duration);

impl Clock {
    /// Returns the time.
    pub fn now(self) -> Duration {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock(|| {
            // The monotonic clock stands still while a computer sleeps, and its leases would last too long.
            let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
            Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
        })
    }
}
