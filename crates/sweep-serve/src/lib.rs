//! A page in the browser that shows sweeps while they run. It reads the journals as they grow, in a process of its own,
//! and never gets in the way of a controller.
//!
//! `sweep` follows a journal, `insight` does the slow computations, `view` converts both to JSON, `guard` decides who
//! may see the page, and `http` connects them to a browser. What runs in the browser is in `assets/`.

mod address;
mod control;
mod files;
mod guard;
mod http;
mod insight;
mod page;
mod sweep;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

pub use address::Listen;
use address::Listener;
use guard::Guard;
use sweep::Sweep;
use sweep_core::error::{Error, Exit, Result};

/// Interval of looking for growth of a journal.
const POLL: Duration = Duration::from_millis(300);

/// The pause after an analysis is this many times its duration, so analyses take less than a tenth of the time.
const ANALYSIS: u32 = 10;

/// Minimum time between two analyses.
const REST: Duration = Duration::from_secs(2);

/// What to show, and to whom.
#[derive(Debug)]
pub struct Options {
    /// The folders of the sweeps.
    pub folders: Vec<PathBuf>,
    /// Where to listen.
    pub listen: Listen,
    /// The token, if the user chose one. It is required if other machines can connect.
    pub token: Option<String>,
    /// Further names by which the page may be called.
    pub names: Vec<String>,
    /// The name of this machine.
    pub host: String,
    /// Whether the page may ask controllers to stop trials, and the like.
    pub control: bool,
    /// The clock, in Unix seconds.
    pub now: fn() -> f64,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    sweeps: Vec<Arc<Sweep>>,
    guard: Guard,
    /// The name under which this process sends requests to a controller. `None` if it may not send any.
    asker: Option<String>,
    now: fn() -> f64,
    /// Number of pages that wait for news.
    viewers: AtomicUsize,
}

/// Shows the sweeps until `end` is over. `tell` is called once the page can be opened, with what the user has to type.
///
/// # Errors
/// If a sweep cannot be read, or if the address cannot be used.
pub async fn serve(
    options: Options,
    tell: impl FnOnce(&str) -> Result<()>,
    end: impl Future<Output = ()>,
) -> Result<()> {
    if options.listen.is_public() && options.token.is_none() {
        return Err(Error::new(
            Exit::Usage,
            "other machines can connect to this address, so a token of your own is needed",
        )
        .hint(
            "write at least 32 random characters into a file that only you can read, and name it with --token-file",
        ));
    }
    let sweeps = options.folders.iter().map(|folder| Sweep::open(folder).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    let listener = Listener::open(&options.listen).await?;
    let secret =
        || guard::secret().map_err(|error| Error::new(Exit::Internal, "no random number can be drawn").source(error));
    let (token, cookie) = (options.token.map_or_else(secret, Ok)?, format!("sweep-{}", &secret()?[..12]));
    let mut names = options.names;
    if options.listen.is_public() {
        names.push(options.host.clone());
    }
    let guard = Guard { token, cookie, session: secret()?, hosts: listener.hosts(&names) };
    tell(&listener.told(&guard.token, &options.host))?;
    let host: String = options.host.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let asker = options.control.then(|| format!("{host}-{}", std::process::id()));
    let shared = Arc::new(Shared { sweeps, guard, asker, now: options.now, viewers: AtomicUsize::new(0) });
    let mut tasks = tokio::task::JoinSet::new();
    let analyst = analyst();
    for sweep in &shared.sweeps {
        tasks.spawn(follow(sweep.clone()));
        tasks.spawn(analyze(sweep.clone(), shared.clone(), analyst.clone()));
    }
    tokio::select! {
        () = http::accept(&listener, &shared) => {}
        () = end => {}
    }
    Ok(())
}

/// Follows a journal.
async fn follow(sweep: Arc<Sweep>) {
    loop {
        let one = sweep.clone();
        let _ = spawn_blocking(move || one.advance()).await;
        tokio::time::sleep(POLL).await;
    }
}

/// A sweep to analyze, and who waits for the end of it.
type Task = (Arc<Sweep>, oneshot::Sender<()>);

/// Starts the thread that analyzes sweeps, one after the other. The C library keeps the memory that a thread has used for
/// that thread: if each of a pool's threads analyzed in turn, the process would keep that memory several times.
fn analyst() -> mpsc::Sender<Task> {
    let (sender, tasks) = mpsc::channel::<Task>();
    std::thread::spawn(move || {
        for (sweep, done) in tasks {
            // The next analysis may work.
            let _ = catch_unwind(AssertUnwindSafe(|| sweep.analyze()));
            let _ = done.send(());
        }
    });
    sender
}

/// Repeats the analysis of a sweep when trials have ended, while the page is open somewhere.
async fn analyze(sweep: Arc<Sweep>, shared: Arc<Shared>, analyst: mpsc::Sender<Task>) {
    let (mut analyzed, mut news) = (None, sweep.news.subscribe());
    loop {
        let occasion = sweep.occasion();
        if analyzed != Some(occasion) && shared.viewers.load(Ordering::Relaxed) > 0 {
            let (began, (done, is_done)) = (Instant::now(), oneshot::channel());
            let _ = analyst.send((sweep.clone(), done));
            let _ = is_done.await;
            analyzed = Some(occasion);
            tokio::time::sleep(REST.max(began.elapsed() * ANALYSIS)).await;
        } else {
            let _ = tokio::time::timeout(REST / 4, news.changed()).await;
        }
    }
}
