//! Where the page listens, which host names a browser may use for it, and what the user has to type.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, UnixListener};

use crate::guard::Hosts;
use sweep_core::error::{Error, Exit, Result};

/// Where the page listens.
#[derive(Debug, Clone, PartialEq)]
pub enum Listen {
    /// An address of this machine. Port 0 is replaced by a free port.
    Tcp(SocketAddr),
    /// A Unix socket, which only its owner can open.
    Unix(PathBuf),
}

impl std::str::FromStr for Listen {
    type Err = String;

    /// Reads `ADDRESS:PORT`, or `unix:PATH`.
    fn from_str(text: &str) -> std::result::Result<Listen, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("no path follows `unix:`; write, for example, unix:/run/user/1000/sweep.sock".into()),
            Some(path) => Ok(Listen::Unix(path.into())),
            None => text.parse().map(Listen::Tcp).map_err(|_| {
                "expected an IP address with a port, as in 127.0.0.1:8080 or [::1]:0, or unix:PATH".into()
            }),
        }
    }
}

impl Listen {
    /// Returns whether other machines can connect.
    pub fn is_public(&self) -> bool {
        matches!(self, Listen::Tcp(address) if !address.ip().is_loopback())
    }
}

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

/// One connection to the page.
pub trait Stream: Read + Write + Unpin + Send {}
impl<T: Read + Write + Unpin + Send> Stream for T {}

impl Listener {
    /// Opens a listener.
    ///
    /// # Errors
    /// If the address is in use, or is not one of this machine.
    pub async fn open(listen: &Listen) -> Result<Listener> {
        let opened = match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.and_then(|listener| {
                let address = listener.local_addr()?;
                Ok(Listener::Tcp(listener, address))
            }),
            Listen::Unix(path) => private_socket(path).map(|listener| Listener::Unix(listener, path.clone())),
        };
        opened.map_err(|error| {
            let place = match listen {
                Listen::Tcp(address) => address.to_string(),
                Listen::Unix(path) => path.display().to_string(),
            };
            Error::new(Exit::Usage, format!("cannot listen on {place}"))
                .source(error)
                .hint("leave out --listen: then a free port of 127.0.0.1 is used")
        })
    }

    /// Waits for the next connection.
    pub async fn accept(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Listener::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Events are small, and are not to wait for more.
                stream.set_nodelay(true)?;
                Box::new(TokioIo::new(stream))
            }
            Listener::Unix(listener, _) => Box::new(TokioIo::new(listener.accept().await?.0)),
        })
    }

    /// The host names that a browser may use for the page. `names` are additional ones that the user gave.
    pub fn hosts(&self, names: &[String]) -> Hosts {
        match self {
            // The port is that of the browser's machine: `ssh -L PORT:SOCKET`.
            Listener::Unix(..) => Hosts { names: names.to_vec(), port: None, any_address: false },
            Listener::Tcp(_, address) => Hosts {
                names: names.to_vec(),
                port: Some(address.port()),
                // An attacker's name can resolve to this machine. An address cannot be made to.
                any_address: !address.ip().is_loopback(),
            },
        }
    }

    /// What to type to see the page. `host` is the name of this machine.
    pub fn told(&self, token: &str, host: &str) -> String {
        match self {
            Listener::Tcp(_, address) if address.ip().is_loopback() => {
                let port = address.port();
                format!(
                    "open   http://{address}/?token={token}\nor, from another machine, first   \
                     ssh -L {port}:{address} {host}"
                )
            }
            Listener::Tcp(_, address) => {
                let shown = if address.ip().is_unspecified() { host.to_owned() } else { bracketed(address.ip()) };
                format!(
                    "open   http://{shown}:{}/?token=TOKEN, with the token of your file\nwarning: the page is not \
                     encrypted. Anyone who can read the traffic between you and this machine can read the token and the \
                     results. Prefer 127.0.0.1 with ssh -L, or put a proxy with TLS in front.",
                    address.port()
                )
            }
            Listener::Unix(_, path) => format!(
                "first   ssh -L 8080:{} {host}\nthen open   http://localhost:8080/?token={token}",
                path.display()
            ),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Opens a Unix socket that only this user can connect to. A socket on which no process listens anymore is replaced.
fn private_socket(path: &Path) -> std::io::Result<UnixListener> {
    let is_dead = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
        && std::os::unix::net::UnixStream::connect(path).is_err();
    if is_dead {
        std::fs::remove_file(path)?;
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let opened = UnixListener::bind(path);
    rustix::process::umask(before);
    opened
}
