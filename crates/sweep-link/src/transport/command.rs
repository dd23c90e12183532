//! Agents at the other end of a command's pipes: `ssh HOST sweep agent`, `srun sweep agent`, or any other command.

use std::ffi::OsStr;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Join, join};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// What an agent writes before its first frame. Shells and login scripts may have written other text before it.
const START: &[u8] = b"\nsweep agent starts\n";

/// Maximum amount of other text, in bytes.
const MOST_TEXT: usize = 64 << 10;

/// Time for the command to start the agent. Somebody may have to type a password.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command whose pipes lead to an agent.
#[derive(Debug)]
pub struct Started {
    /// The process. It is killed when this is dropped.
    pub child: Child,
    /// What the command says about itself.
    pub stderr: Option<ChildStderr>,
    pub stream: Join<ChildStdout, ChildStdin>,
}

/// Why a command does not lead to an agent.
#[derive(Debug, thiserror::Error)]
pub enum NoAgent {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it ended before an agent started{}", text(.0))]
    Ended(String),
    #[error("no agent started for {} s{}", PATIENCE.as_secs(), text(.0))]
    Silent(String),
    #[error("it wrote {MOST_TEXT} bytes, and no agent started{}", text(.0))]
    Text(String),
}

fn text(printed: &str) -> String {
    let last = printed.lines().rev().find(|line| !line.trim().is_empty());
    last.map(|line| format!("; it printed {line:?}")).unwrap_or_default()
}

/// Starts a command, in a process group of its own so that Ctrl-C does not reach it.
///
/// # Errors
/// If it cannot be started.
pub fn start<A: AsRef<OsStr>>(program: &OsStr, arguments: impl IntoIterator<Item = A>) -> io::Result<Started> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
    let stream = child.stdout.take().zip(child.stdin.take()).map(|(stdout, stdin)| join(stdout, stdin));
    Ok(Started { stderr: child.stderr.take(), child, stream: stream.expect("both are pipes") })
}

/// Announces the agent on its stdout, before [`crate::Agent::serve`].
///
/// # Errors
/// If nobody reads.
pub async fn announce(to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    to.write_all(START).await?;
    to.flush().await
}

impl Started {
    /// Waits until the agent announces itself.
    ///
    /// # Errors
    /// If it does not.
    pub async fn wait(&mut self) -> Result<(), NoAgent> {
        wait(&mut self.stream).await
    }
}

async fn wait(stream: &mut (impl AsyncRead + Unpin)) -> Result<(), NoAgent> {
    let mut printed = Vec::new();
    let found = timeout(PATIENCE, async {
        // Byte by byte, since what follows belongs to the first frame.
        while !printed.ends_with(START) {
            if printed.len() == MOST_TEXT {
                return Ok(false);
            }
            printed.push(stream.read_u8().await?);
        }
        io::Result::Ok(true)
    });
    let found = found.await;
    let printed = String::from_utf8_lossy(&printed).into_owned();
    match found {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(NoAgent::Text(printed)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(NoAgent::Ended(printed)),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(NoAgent::Silent(printed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(script: &str) -> Result<(), NoAgent> {
        start("sh".as_ref(), ["-c", script]).expect("there is a shell").wait().await
    }

    #[tokio::test(flavor = "current_thread")]
    async fn text_of_a_login_script_is_skipped_and_a_missing_agent_is_told_from_it() {
        of("echo Welcome to gpu1; echo; echo sweep agent starts; cat").await.expect("an agent");
        let error = of("echo Your account has expired").await.expect_err("there is no agent");
        assert_eq!(error.to_string(), "it ended before an agent started; it printed \"Your account has expired\"");
        let error = of("yes").await.expect_err("there is no agent");
        assert!(matches!(error, NoAgent::Text(_)), "{error}");
    }
}
