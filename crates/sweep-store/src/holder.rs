//! The file that names the process that runs a sweep.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Layout;
use super::process::{boot, see};
use sweep_core::group::Process;

/// How often the holder renews its file.
const BEAT: Duration = Duration::from_secs(3);

/// A holder on another machine that has not renewed its file for this time counts as dead.
const DEAD: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(200);

/// Time after which no other process that found the last holder dead can still replace this process's file.
const SETTLED: Duration = Duration::from_millis(500);

/// A process that runs a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// The kernel's boot ID, which differs after each start of the machine.
    pub boot: String,
    pub process: Process,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.process.pid, self.host)
    }
}

impl Holder {
    /// The holder in a sweep's folder, if there is one.
    pub fn read(layout: &Layout) -> Option<Holder> {
        Some(Beat::read(layout)?.holder)
    }

    /// Whether it is on another machine, where only its heartbeats show whether it is alive.
    pub fn is_far_from(&self, own: &Holder) -> bool {
        self.boot != own.boot && self.host != own.host
    }

    /// Whether the process is alive. `None` if it is on another machine, where this cannot be checked.
    fn lives(&self, boot: &str) -> Option<bool> {
        if self.boot != boot {
            return None;
        }
        // One that nobody has asked for its exit code is dead, too.
        Some(see(self.process.pid).is_some_and(|seen| !seen.is_over && seen.start == self.process.start))
    }
}

/// The file's content.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Beat {
    #[serde(flatten)]
    holder: Holder,
    /// How often it was renewed.
    beats: u64,
}

impl Beat {
    fn read(layout: &Layout) -> Option<Beat> {
        serde_json::from_slice(&std::fs::read(layout.holder()).ok()?).ok()
    }

    /// In the same number of bytes each time, so that a reader never sees part of a longer text.
    fn bytes(&self) -> Vec<u8> {
        format!("{:<400}\n", serde_json::to_string(self).expect("its fields have text for keys")).into_bytes()
    }
}

/// Whether a sweep is free.
#[derive(Debug, PartialEq)]
pub enum State {
    /// No process runs it.
    Free,
    /// This process runs it.
    Held(Holder),
}

/// Whether the sweep is free for `own`. A holder on another machine is watched until it renews its file, or for [`DEAD`].
pub fn state(layout: &Layout, own: &Holder) -> State {
    let Some(first) = Beat::read(layout) else { return State::Free };
    match first.holder.lives(&own.boot) {
        // A dead process, or one that left its name to this one by `exec`.
        Some(false) => return State::Free,
        Some(true) if first.holder == *own => return State::Free,
        Some(true) => return State::Held(first.holder),
        // The same machine has been restarted.
        None if !first.holder.is_far_from(own) => return State::Free,
        None => {}
    }
    let began = Instant::now();
    while began.elapsed() < DEAD {
        std::thread::park_timeout(POLL);
        match Beat::read(layout) {
            None if !layout.holder().exists() => return State::Free,
            Some(beat) if beat != first => return State::Held(beat.holder),
            // It may be read while it is written.
            None | Some(_) => {}
        }
    }
    State::Free
}

/// Whether a process seems to run the sweep: for display, without watching it.
pub fn seems_held(layout: &Layout) -> bool {
    match Holder::read(layout).map(|holder| holder.lives(&boot())) {
        None => false,
        Some(Some(lives)) => lives,
        // Clocks of machines differ less than that.
        Some(None) => std::fs::metadata(layout.holder())
            .and_then(|file| file.modified())
            .is_ok_and(|at| at.elapsed().map_or(true, |age| age < 4 * DEAD)),
    }
}

/// A holder's file, renewed by a thread while the value is alive, then removed.
#[derive(Debug)]
pub struct Claim {
    layout: Layout,
    /// Device and number of the file.
    file: (u64, u64),
    is_kept: Arc<AtomicBool>,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Claim {
    /// Puts the file in place of a dead holder's. `None` if another process has just done so.
    pub fn stake(layout: &Layout, holder: &Holder) -> std::io::Result<Option<Claim>> {
        let path = layout.holder();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Only one of two processes can create it, also over a network.
        let file = match OpenOptions::new().write(true).create_new(true).mode(0o644).open(&path) {
            Ok(mut file) => {
                file.write_all(&Beat { holder: holder.clone(), beats: 0 }.bytes())?;
                file
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        let own = (metadata.dev(), metadata.ino());
        let (stop, stopped) = mpsc::channel();
        let is_kept = Arc::new(AtomicBool::new(true));
        let (layout, kept, holder) = (layout.clone(), Arc::clone(&is_kept), holder.clone());
        let place = layout.clone();
        let thread = std::thread::Builder::new()
            .name("holder".into())
            .spawn(move || renew((&place, own), &file, &holder, &kept, &stopped))?;
        Ok(Some(Claim { layout, file: own, is_kept, stop: Some(stop), thread: Some(thread) }))
    }

    /// Waits until no other process can still replace the file. Returns whether none has.
    pub fn is_settled(&self) -> bool {
        std::thread::park_timeout(SETTLED);
        is_there(&self.layout, self.file).unwrap_or(false)
    }

    /// Whether the file is still this process's.
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }
}

/// Whether the holder's file is this one. An error is one of reading its name.
fn is_there(layout: &Layout, own: (u64, u64)) -> Result<bool, ErrorKind> {
    let there = std::fs::metadata(layout.holder()).map_err(|error| error.kind())?;
    Ok((there.dev(), there.ino()) == own)
}

fn renew(
    (layout, own): (&Layout, (u64, u64)),
    file: &File,
    holder: &Holder,
    is_kept: &AtomicBool,
    stopped: &mpsc::Receiver<()>,
) {
    let mut beats = 0;
    while stopped.recv_timeout(BEAT) == Err(mpsc::RecvTimeoutError::Timeout) {
        beats += 1;
        // A file that cannot be read for a moment, on a network, says nothing.
        if is_there(layout, own) == Ok(false) {
            is_kept.store(false, Ordering::Relaxed);
            return;
        }
        let _ = file.write_all_at(&Beat { holder: holder.clone(), beats }.bytes(), 0);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
        if is_there(&self.layout, self.file) == Ok(true) {
            let _ = std::fs::remove_file(self.layout.holder());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lock;

    fn own() -> Holder {
        Holder { host: "here".into(), boot: boot(), process: crate::process::own() }
    }

    fn write(layout: &Layout, holder: &Holder, beats: u64) {
        std::fs::write(layout.holder(), Beat { holder: holder.clone(), beats }.bytes()).unwrap();
    }

    #[test]
    fn a_holder_is_dead_if_its_process_or_its_machines_life_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let own = own();
        assert_eq!(state(&layout, &own), State::Free);
        // Another process of this machine that lives.
        let other = Holder { process: Process { pid: 1, ..own.process }, ..own.clone() };
        write(&layout, &other, 1);
        assert_eq!(state(&layout, &own), State::Free, "process 1 did not start then");
        let me = Holder { host: "other name".into(), ..own.clone() };
        write(&layout, &me, 1);
        assert_eq!(state(&layout, &own), State::Held(me), "this one lives");
        let before = Holder { boot: "before the restart".into(), ..own.clone() };
        write(&layout, &before, 1);
        assert_eq!(state(&layout, &own), State::Free);
    }

    #[test]
    fn a_holder_on_another_machine_is_seen_by_its_beats() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let own = own();
        let far = Holder { host: "far".into(), boot: "far".into(), process: Process { pid: 7, start: 7 } };
        write(&layout, &far, 1);
        let beat = std::thread::spawn({
            let (layout, far) = (layout.clone(), far.clone());
            move || {
                std::thread::park_timeout(Duration::from_millis(600));
                write(&layout, &far, 2);
            }
        });
        assert_eq!(state(&layout, &own), State::Held(far));
        beat.join().unwrap();
        assert!(seems_held(&layout));
        // It is dead: its file stays as it is.
        assert_eq!(state(&layout, &own), State::Free);
    }

    #[test]
    fn of_two_who_found_the_last_holder_dead_one_remains() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let first = Claim::stake(&layout, &own()).unwrap().expect("nobody is there");
        let second = Claim::stake(&layout, &own()).unwrap().expect("it took the first one for dead");
        assert!(!first.is_settled() && second.is_settled());
        drop(first);
        assert!(second.is_settled(), "the one that lost leaves the other's file alone");
    }

    #[test]
    fn the_file_is_there_while_the_lock_is_and_a_stolen_one_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let lock = Lock::take(&layout, &own()).expect("nobody holds it");
        assert_eq!(Holder::read(&layout), Some(own()));
        std::fs::remove_file(layout.holder()).unwrap();
        let far = Holder { host: "far".into(), ..own() };
        write(&layout, &far, 1);
        let began = Instant::now();
        while lock.is_kept() {
            assert!(began.elapsed() < 3 * BEAT, "it was not noticed");
            std::thread::park_timeout(POLL);
        }
        drop(lock);
        assert_eq!(Holder::read(&layout), Some(far), "the other's file is left alone");
    }
}
