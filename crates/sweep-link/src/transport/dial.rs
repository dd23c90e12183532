//! An agent's connections to its controller.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::address::Address;
use super::backoff::Backoff;
use super::sealed::{self, Sealed};
use crate::agent::Agent;
use crate::link::Why;

/// Time to connect to one host and to prove that both sides have the key.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects to a controller, by the first of its hosts that answers and has the key.
///
/// # Errors
/// Returns what went wrong with each host.
pub async fn dial(address: &Address) -> Result<Sealed<TcpStream>, String> {
    let mut attempts = JoinSet::new();
    for host in address.hosts.clone() {
        let (key, port) = (address.key.clone(), address.port);
        attempts.spawn(async move {
            let connect = async {
                let stream = TcpStream::connect((host.as_str(), port)).await?;
                stream.set_nodelay(true)?;
                sealed::open(stream, &key).await
            };
            let connected = match timeout(PATIENCE, connect).await {
                Ok(connected) => connected,
                Err(_) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {} s", PATIENCE.as_secs())))
                }
            };
            connected.map_err(|error| format!("{host}:{port}: {error}"))
        });
    }
    let mut errors = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        match attempt.expect("an attempt does not panic, and is not canceled") {
            Ok(stream) => return Ok(stream),
            Err(error) => errors.push(error),
        }
    }
    Err(errors.join("; "))
}

/// Connects the agent again and again, until its session is over. The address is read each time, since a controller
/// that resumes the sweep has another one.
pub async fn keep_dialing<M: DeserializeOwned>(agent: &Agent<M>, address: &Path) {
    let mut backoff = Backoff::default();
    let mut said = String::new();
    while !agent.is_over() {
        let problem = match Address::read(address) {
            Err(error) => error.to_string(),
            Ok(address) => match dial(&address).await {
                Err(error) => error,
                Ok(stream) => {
                    let why = agent.serve(stream).await;
                    if !matches!(why, Why::Refused(_)) {
                        backoff.reset();
                    }
                    why.to_string()
                }
            },
        };
        if agent.is_over() {
            return;
        }
        if problem != said {
            tracing::warn!("no connection to the controller: {problem}");
            said = problem;
        }
        sleep(backoff.wait()).await;
    }
}
