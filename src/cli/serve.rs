//! `sweep serve DIR…`: a page in the browser that shows sweeps while they run.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use super::environment::{Environment, now};
use super::opened::Opened;
use super::output;
use sweep_core::error::{Error, Exit, Result};
use sweep_serve::Listen;
use sweep_store::Layout;

/// Minimum length of a token that the user chose.
const TOKEN: usize = 32;

/// What was typed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep serve results/quickstart
  sweep serve results/first results/second          side by side
  sweep serve results/quickstart --listen unix:/run/user/1000/sweep.sock
  sweep serve results/quickstart --listen 0.0.0.0:8080 --token-file ~/.sweep-token

Without --control, the page is read-only. Ctrl-C closes it; the sweep continues.")]
pub struct Args {
    /// Folders of the sweeps, for example results/quickstart
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Address to listen on: ADDRESS:PORT, or unix:PATH; port 0 chooses a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Listen,
    /// File with the token of the address, which only you can read [default: a new random token each time]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Another name by which a browser may call the page, such as that of a proxy: NAME or NAME:PORT
    #[arg(long = "host", value_name = "NAME")]
    names: Vec<String>,
    /// Let the page stop, retry, and tag trials, pause the sweep, and the like
    #[arg(long)]
    control: bool,
    /// End when stdin ends. Used by `run --page`
    #[arg(long, hide = true)]
    attached: bool,
}

/// Shows the page until Ctrl-C.
///
/// # Errors
/// Returns an error if there is no sweep or the address cannot be used.
pub fn run(args: &Args, environment: &Environment) -> Result<Exit> {
    for folder in &args.folders {
        if !Layout::new(folder).journal().is_file() {
            // Its error names the sweeps nearby.
            Opened::new(folder)?;
        }
    }
    let options = sweep_serve::Options {
        folders: args.folders.clone(),
        listen: args.listen.clone(),
        token: args.token_file.as_deref().map(token).transpose()?,
        names: args.names.clone(),
        host: environment.host(),
        control: args.control,
        now,
    };
    let attached = args.attached;
    let tell = |text: &str| match attached {
        true => {
            output::tell(&format!("page:  {}", text.replace('\n', "\n       ")));
            Ok(())
        }
        false => output::print(text),
    };
    // Two threads are enough for the views. Each more would keep memory of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(2).build();
    let runtime = runtime.map_err(|error| Error::new(Exit::Internal, "the event loop cannot start").source(error))?;
    let served = runtime.block_on(async { sweep_serve::serve(options, tell, end(attached)?).await });
    // An analysis that is under way is not waited for.
    runtime.shutdown_background();
    served.map(|()| Exit::Success)
}

/// Waits for Ctrl-C or SIGTERM, or in a page that is attached to a run, for the end of stdin.
fn end(attached: bool) -> Result<impl Future<Output = ()>> {
    let cannot = |error| Error::new(Exit::Internal, "signals cannot be received").source(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let (closed, mut is_closed) = tokio::sync::oneshot::channel::<()>();
    if attached {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(closed);
        });
        return Ok(future(async move {
            loop {
                tokio::select! {
                    // The run saves its trials first. It closes stdin when it ends.
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => return,
                    _ = &mut is_closed => return,
                }
            }
        }));
    }
    Ok(future(async move {
        let _open = closed;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }))
}

fn future(future: impl Future<Output = ()> + 'static) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(future)
}

/// Reads the token from a file that only its owner can read.
fn token(path: &Path) -> Result<String> {
    let shown = path.display();
    let cannot = |error| Error::new(Exit::Usage, format!("--token-file {shown} cannot be read")).source(error);
    let mode = std::fs::metadata(path).map_err(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Error::new(
            Exit::Usage,
            format!("--token-file {shown} can be read by other users (mode {:o})", mode & 0o777),
        )
        .hint(format!("chmod 600 {shown}")));
    }
    let token = std::fs::read_to_string(path).map_err(cannot)?.trim().to_owned();
    if token.len() < TOKEN || !token.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c)) {
        return Err(Error::new(
            Exit::Usage,
            format!("--token-file {shown} must contain at least {TOKEN} letters, digits, or any of `-_.~`"),
        )
        .hint(format!("for example: (umask 077; head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \\n' > {shown})")));
    }
    Ok(token)
}

/// The page of a sweep that this process runs, in a process of its own. It ends with this value, or with this process.
#[derive(Debug)]
pub struct Page(Child);

impl Page {
    /// Starts the page.
    ///
    /// # Errors
    /// Returns an error if `sweep` cannot be started once more.
    pub fn of(layout: &Layout, environment: &Environment) -> Result<Page> {
        let mut command = Command::new(&environment.program);
        command.args(["serve", "--attached", "--"]).arg(layout.root()).stdin(Stdio::piped());
        // stdout belongs to the run.
        command.stdout(Stdio::null());
        let started = command.spawn();
        started.map(Page).map_err(|error| Error::new(Exit::Internal, "the page cannot be started").source(error))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
