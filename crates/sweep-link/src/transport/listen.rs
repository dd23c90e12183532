//! The controller's port. Whoever connects is unknown until it proves that it has the key.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::address::{Address, MOST_HOSTS};
use super::key::Key;
use super::sealed::{self, Sealed};
use crate::controller::Controller;
use crate::hello::Generation;

/// Maximum number of connections that have not proved that they have the key. One more replaces the oldest, so that
/// connections that say nothing do not keep agents out.
pub const MOST_STRANGERS: usize = 256;

/// Time for that proof.
const PROOF: Duration = Duration::from_secs(10);

/// Wait after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// A port with its key.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    key: Key,
}

impl Listener {
    /// Listens on an unused port of one address, or of all.
    ///
    /// # Errors
    /// If there is no such address.
    pub async fn open(on: Option<IpAddr>, key: Key) -> io::Result<Listener> {
        let tcp = match on {
            Some(address) => TcpListener::bind((address, 0)).await?,
            // This includes IPv4, where there is IPv6.
            None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await {
                Ok(tcp) => tcp,
                Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?,
            },
        };
        allow_many_files();
        Ok(Listener { tcp, key })
    }

    /// Returns what agents have to know. `name` is the name of this host.
    ///
    /// # Errors
    /// If the network's interfaces cannot be listed.
    pub fn address(&self, generation: Generation, name: Option<String>) -> io::Result<Address> {
        let local = self.tcp.local_addr()?;
        let hosts = if local.ip().is_unspecified() {
            let mut interfaces: Vec<IpAddr> = if_addrs::get_if_addrs()?.iter().map(if_addrs::Interface::ip).collect();
            interfaces.retain(|ip| !is_link_local(ip));
            interfaces.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6()));
            name.into_iter().chain(interfaces.iter().map(IpAddr::to_string)).take(MOST_HOSTS).collect()
        } else {
            vec![local.ip().to_string()]
        };
        Ok(Address { generation, hosts, port: local.port(), key: self.key.clone() })
    }

    /// Accepts agents until this is dropped, which ends all their connections.
    pub async fn serve<M: DeserializeOwned + Send + 'static>(self, controller: Arc<Controller<M>>) {
        let mut strangers: JoinSet<io::Result<Sealed<TcpStream>>> = JoinSet::new();
        let mut oldest: VecDeque<AbortHandle> = VecDeque::new();
        let mut agents = JoinSet::new();
        let mut refused = 0_u64;
        loop {
            tokio::select! {
                accepted = self.tcp.accept() => match accepted {
                    Ok((stream, _)) => {
                        oldest.retain(|stranger| !stranger.is_finished());
                        if oldest.len() >= MOST_STRANGERS && let Some(stranger) = oldest.pop_front() {
                            stranger.abort();
                        }
                        let key = self.key.clone();
                        oldest.push_back(strangers.spawn(async move { prove(stream, &key).await }));
                    }
                    Err(error) => {
                        tracing::warn!("agents cannot connect for a moment: {error}");
                        sleep(NO_ROOM).await;
                    }
                },
                Some(proved) = strangers.join_next() => match proved {
                    Ok(Ok(stream)) => {
                        let controller = controller.clone();
                        agents.spawn(async move { controller.serve(stream).await });
                    }
                    Ok(Err(_)) | Err(_) => {
                        refused += 1;
                        // Anybody can connect, so the log gets fewer lines the more do.
                        if refused.is_power_of_two() {
                            tracing::warn!("connections without the sweep's key were refused: {refused}");
                        }
                    }
                },
                Some(_) = agents.join_next() => {}
            }
        }
    }
}

/// Raises the soft limit of open files, 1,024 on most systems, to the hard one. Each agent needs one.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!("at most {:?} files can be open, and each agent needs one: {error}", limit.current);
    }
}

async fn prove(stream: TcpStream, key: &Key) -> io::Result<Sealed<TcpStream>> {
    stream.set_nodelay(true)?;
    timeout(PROOF, sealed::receive(stream, key)).await?
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
