//! Copies this program to a host that has none, or has another version.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sha2::{Digest, Sha256};

use super::Remote;

/// This program, and the machine on which it runs.
#[derive(Debug, Clone)]
pub struct Own {
    /// The files, `sweep` first.
    pub programs: Vec<PathBuf>,
    pub platform: Platform,
}

/// What a program needs to run elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The kernel and the processor, as `uname -sm` has them.
    pub machine: String,
    /// The C library, such as `glibc 2.36`, if it says so.
    pub library: Option<String>,
}

impl Own {
    /// `library` is the C library of this machine.
    pub fn new(programs: Vec<PathBuf>, library: Option<String>) -> Own {
        let name = rustix::system::uname();
        let machine = format!("{} {}", name.sysname().to_string_lossy(), name.machine().to_string_lossy());
        Own { programs, platform: Platform { machine, library } }
    }

    /// `sweep` itself.
    pub fn program(&self) -> &Path {
        self.programs.first().map_or(Path::new("sweep"), PathBuf::as_path)
    }
}

impl Platform {
    /// Whether programs of this platform run on another one, or why they do not.
    fn fits(&self, other: &Platform) -> Result<(), String> {
        let named = |platform: &Platform| {
            format!("{} with {}", platform.machine, platform.library.as_deref().unwrap_or("an unknown C library"))
        };
        let differ = format!("it is {}, and this is {}", named(other), named(self));
        // An older C library lacks functions that a program may need.
        let is_new_enough = match (&self.library, &other.library) {
            (None, _) => true,
            (Some(ours), Some(theirs)) => {
                version(ours).zip(version(theirs)).is_some_and(|(ours, theirs)| ours <= theirs)
            }
            (Some(_), None) => false,
        };
        if self.machine == other.machine && is_new_enough { Ok(()) } else { Err(differ) }
    }
}

/// The numbers in the name of a version of glibc.
fn version(library: &str) -> Option<(u32, u32)> {
    let (major, minor) = library.strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// Prints the platform, the folder for programs of this version, and the checksums of those that are there.
const LOOK: &str = r#"
uname -sm && { getconf GNU_LIBC_VERSION 2> /dev/null || echo; };
folder=${XDG_CACHE_HOME:-$HOME/.cache}/sweep/bin/$1;
mkdir -p "$folder" && cd "$folder" || exit 1;
pwd; shift;
for file; do sha256sum < "$file" 2> /dev/null || echo none; done"#;

/// Stores a file from stdin, if it arrives completely.
const TAKE: &str = r#"
cd "$1" && cat > ".$2.part" && chmod 755 ".$2.part";
[ "$(sha256sum < ".$2.part" | cut -d ' ' -f 1)" = "$3" ] || { echo "it did not arrive whole" >&2; exit 1; };
mv ".$2.part" "$2""#;

/// Makes sure that a host has these programs. Returns the path of the first one there, and whether any was copied.
///
/// # Errors
/// Returns why they cannot run there, or cannot be copied.
pub fn bring(remote: Remote, own: &Own) -> Result<(String, bool), String> {
    let names: Vec<&str> = own.programs.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let words: Vec<&str> = [env!("CARGO_PKG_VERSION")].into_iter().chain(names.iter().copied()).collect();
    let printed = remote.run(LOOK, &words, Stdio::null())?;
    let mut lines = printed.lines();
    let mut line = || lines.next().unwrap_or_default().trim().to_owned();
    let (machine, library, folder) = (line(), line(), line());
    let platform = Platform { machine, library: Some(library).filter(|library| !library.is_empty()) };
    own.platform.fits(&platform)?;
    let mut is_new = false;
    for (path, name) in own.programs.iter().zip(&names) {
        let ours = checksum(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if line().split(' ').next() == Some(&ours) {
            continue;
        }
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        remote.run(TAKE, &[&folder, name, &ours], file.into())?;
        is_new = true;
    }
    Ok((format!("{folder}/{}", names.first().copied().unwrap_or("sweep")), is_new))
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut bytes = vec![0; 1 << 20];
    while let read @ 1.. = io::Read::read(&mut file, &mut bytes)? {
        hasher.update(&bytes[..read]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_brought_only_where_it_can_run() {
        let on = |machine: &str, library: &str| Platform {
            machine: machine.into(),
            library: Some(library.to_owned()).filter(|library| !library.is_empty()),
        };
        let ours = on("Linux x86_64", "glibc 2.31");
        assert_eq!(ours.fits(&on("Linux x86_64", "glibc 2.31")), Ok(()));
        assert_eq!(ours.fits(&on("Linux x86_64", "glibc 2.100.1")), Ok(()));
        let why = ours.fits(&on("Linux aarch64", "glibc 2.31"));
        let told = "it is Linux aarch64 with glibc 2.31, and this is Linux x86_64 with glibc 2.31";
        assert_eq!(why, Err(told.to_owned()));
        for other in ["glibc 2.28", "glibc 1.99", "", "musl"] {
            assert!(ours.fits(&on("Linux x86_64", other)).is_err(), "{other}");
        }
        assert_eq!(on("Linux x86_64", "").fits(&on("Linux x86_64", "")), Ok(()), "it is linked statically");
    }
}
