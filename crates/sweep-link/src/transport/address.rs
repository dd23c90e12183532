//! The file that tells agents where the controller is, and the key that it shares with them.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use super::key::Key;
use crate::hello::Generation;

/// Maximum size of the file, in bytes.
const LARGEST: u64 = 64 << 10;

/// Maximum number of hosts that are tried.
pub(super) const MOST_HOSTS: usize = 32;

/// Bits of a mode that let others than the owner do anything.
const OTHERS: u32 = 0o077;

/// Where a controller listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Which controller of the sweep this is.
    pub generation: Generation,
    /// Names and IP addresses of the controller's host. Agents try all, since each network knows other ones.
    pub hosts: Vec<String>,
    pub port: u16,
    pub key: Key,
}

/// Why an address file is not used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
    #[error("{path} is no regular file; remove it, and `sweep resume` writes a new one")]
    NotAFile { path: String },
    #[error("{path} has mode {mode:o}, and others must not read the key in it; run `chmod 600 {path}`")]
    Mode { path: String, mode: u32 },
    #[error("{path} belongs to user {owner}, not to user {user} who runs this; its commands are not obeyed")]
    Owner { path: String, owner: u32, user: u32 },
    #[error("{path} cannot be read: {reason}; `sweep resume` writes a new one")]
    Contents { path: String, reason: String },
}

impl Address {
    /// Writes the file, which only its owner may read. An older one is replaced whole.
    ///
    /// # Errors
    /// If it cannot be written, or others could read it.
    pub fn write(&self, path: &Path) -> Result<(), Unusable> {
        let io = |source| Unusable::Io { path: path.display().to_string(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The file exists only with this mode, never for a moment with another one.
        let mut file = tempfile::Builder::new()
            .prefix(".address")
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder)
            .map_err(io)?;
        let mode = file.as_file().metadata().map_err(io)?.mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(Unusable::Mode { path: path.display().to_string(), mode });
        }
        let contents = serde_json::to_vec(self).expect("an address has no map with keys that are not text");
        file.write_all(&contents).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// Reads the file, if it is a regular file that belongs to this user and that others cannot read.
    ///
    /// # Errors
    /// Returns why the file is not used.
    pub fn read(path: &Path) -> Result<Address, Unusable> {
        let named = || path.display().to_string();
        let io = |source: io::Error| match source.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => Unusable::NotAFile { path: named() },
            _ => Unusable::Io { path: named(), source },
        };
        // Without following a link, and without waiting for a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path).map_err(io)?;
        let is = file.metadata().map_err(io)?;
        let user = rustix::process::geteuid().as_raw();
        if !is.is_file() {
            return Err(Unusable::NotAFile { path: named() });
        }
        if is.mode() & OTHERS != 0 {
            return Err(Unusable::Mode { path: named(), mode: is.mode() & 0o7777 });
        }
        if is.uid() != user {
            return Err(Unusable::Owner { path: named(), owner: is.uid(), user });
        }
        let mut contents = Vec::new();
        file.take(LARGEST).read_to_end(&mut contents).map_err(io)?;
        Address::parse(&contents).map_err(|reason| Unusable::Contents { path: named(), reason })
    }

    /// Parses the contents of the file.
    ///
    /// # Errors
    /// Returns why they are not an address. The reason never contains a part of the key.
    pub fn parse(contents: &[u8]) -> Result<Address, String> {
        let address: Address = serde_json::from_slice(contents)
            .map_err(|error| format!("line {}, column {} is not what it must be", error.line(), error.column()))?;
        if address.hosts.is_empty() || address.hosts.len() > MOST_HOSTS {
            return Err(format!("it names {} hosts, not 1 to {MOST_HOSTS}", address.hosts.len()));
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Address {
        Address { generation: 3, hosts: vec!["localhost".into()], port: 4711, key: Key::random().expect("randomness") }
    }

    #[test]
    fn the_file_is_for_its_owner_alone_and_reads_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("address");
        std::fs::write(&path, "an older one").expect("it is writable");
        let address = address();
        address.write(&path).expect("it is writable");
        assert_eq!(std::fs::metadata(&path).expect("it is there").mode() & 0o777, 0o600);
        assert_eq!(Address::read(&path).expect("it is an address"), address);
        assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_no_file_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("address");
        address().write(&path).expect("it is writable");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(matches!(Address::read(&link), Err(Unusable::NotAFile { .. })));
        assert!(matches!(Address::read(folder.path()), Err(Unusable::NotAFile { .. })));
        for mode in [0o644, 0o640, 0o604, 0o610] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            let error = Address::read(&path).expect_err("others can reach it");
            assert!(error.to_string().ends_with(&format!("run `chmod 600 {}`", path.display())), "{error}");
        }
    }

    #[test]
    fn a_key_is_in_no_message() {
        let (address, mut contents) = (address(), Vec::new());
        let key = String::from(address.key.clone());
        assert!(!format!("{address:?}").contains(&key));
        serde_json::to_writer(&mut contents, &address).expect("it is JSON");
        for end in 0..contents.len() {
            let error = Address::parse(&contents[..end]).expect_err("it is torn");
            assert!(!error.contains(&key[..4]), "{error}");
        }
    }
}
