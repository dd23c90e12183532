//! Leads to the agent of one target, again and again.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::ChildStderr;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::target::{Start, Target};
use crate::agent::service::{FromAgent, Greeting};
use sweep_link::transport::{Backoff, start};
use sweep_link::{Controller, Why};

/// Bytes of a line of the command's stderr that are told.
const LONGEST: usize = 200;

/// Starts a target's command whenever none runs.
pub struct Dialer {
    pub target: Target,
    pub start: Start,
    /// Identifies the sweep.
    pub sweep: String,
    pub controller: Arc<Controller<FromAgent>>,
    /// Takes what goes wrong, with the target.
    pub problem: mpsc::UnboundedSender<(String, String)>,
}

impl Dialer {
    /// Does so until this is aborted, or the agent says that it is not needed there any more.
    pub async fn run(self) {
        let mut backoff = Backoff::default();
        loop {
            match self.once().await {
                Ok(why @ Why::Over(_)) => {
                    tracing::info!("{}: {why}", self.target);
                    return;
                }
                Ok(why) => {
                    match &why {
                        Why::Refused(_) | Why::Broken(_) => {
                            let _ = self.problem.send((self.target.to_string(), why.to_string()));
                        }
                        _ => backoff.reset(),
                    }
                    tracing::warn!("{}: {why}", self.target);
                }
                Err(problem) => {
                    tracing::warn!("{}: {problem}", self.target);
                    let _ = self.problem.send((self.target.to_string(), problem));
                }
            }
            sleep(backoff.wait()).await;
        }
    }

    async fn once(&self) -> Result<Why, String> {
        let (program, arguments) = self.target.command(&self.start);
        let mut started =
            start(&program, arguments).map_err(|error| format!("{}: {error}", program.to_string_lossy()))?;
        let said = started.stderr.take().map(|stderr| tokio::spawn(last_line(stderr, self.target.to_string())));
        let greeted = async {
            started.wait().await.map_err(|error| error.to_string())?;
            let greeting = Greeting {
                version: env!("CARGO_PKG_VERSION").into(),
                sweep: self.sweep.clone(),
                name: None,
                check: None,
            };
            let mut line = serde_json::to_vec(&greeting).map_err(|error| error.to_string())?;
            line.push(b'\n');
            let written = async {
                started.stream.write_all(&line).await?;
                started.stream.flush().await
            };
            written.await.map_err(|error| error.to_string())
        };
        if let Err(problem) = greeted.await {
            let _ = started.child.start_kill();
            let line = match said {
                Some(task) => task.await.unwrap_or_default(),
                None => String::new(),
            };
            return Err(if line.is_empty() { problem } else { format!("{problem} ({line})") });
        }
        Ok(self.controller.serve(started.stream).await)
    }
}

/// Logs what the command says, and returns its last line.
async fn last_line(stderr: ChildStderr, target: String) -> String {
    let (mut lines, mut last) = (BufReader::new(stderr).split(b'\n'), String::new());
    while let Ok(Some(line)) = lines.next_segment().await {
        let line: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        if !line.trim().is_empty() {
            tracing::info!("{target}: {line}");
            last = line;
        }
    }
    last
}
