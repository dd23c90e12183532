//! Reads the state of the GPUs periodically. It runs on its own thread because the driver may be slow.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Driver, Gpu};

/// Time between two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// The polling thread. It ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    /// Starts polling. `tell` receives each reading and stops the polling by returning `false`. A driver that does not
    /// respond is asked again, because that reveals nothing about the GPUs.
    ///
    /// # Errors
    /// Returns an error if the thread cannot be created.
    pub fn start(tell: impl Fn(Vec<Gpu>) -> bool + Send + 'static) -> std::io::Result<Watch> {
        let (stop, stopped) = channel();
        std::thread::Builder::new().name("gpus".into()).spawn(move || {
            loop {
                match Driver::open() {
                    Ok(driver) => return watch(&driver, &stopped, &tell),
                    Err(_) if has_time(&stopped) => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Watch { _stop: stop })
    }
}

fn watch(driver: &Driver, stopped: &Receiver<()>, tell: &impl Fn(Vec<Gpu>) -> bool) {
    let xids = driver.xids();
    loop {
        if let Ok(mut gpus) = driver.list() {
            xids.add_to(&mut gpus);
            if !tell(gpus) {
                return;
            }
        }
        if !has_time(stopped) {
            return;
        }
    }
}

/// Waits for one period. Returns whether the watch is still needed.
fn has_time(stopped: &Receiver<()>) -> bool {
    stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout)
}
