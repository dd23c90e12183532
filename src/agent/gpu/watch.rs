//! Looks at the GPUs every few seconds, on a thread of its own: the driver can take its time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Driver, Gpu};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread that looks; it ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    _stop: Sender<()>,
}

impl Watch {
    /// Looks until it is dropped; `tell` hears what was seen, or ends it all by answering `false`. A driver that does
    /// not answer at all is asked again: it says nothing about the GPUs.
    ///
    /// # Errors
    /// Where no thread can be made.
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
        if let Ok(mut gpus) = driver.look() {
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

/// Whether a pause has passed, and the watch is still wanted.
fn has_time(stopped: &Receiver<()>) -> bool {
    stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout)
}
