//! Copies data to a host, to the same path as here.

use std::path::Path;
use std::process::{Command, Stdio};

use super::Remote;
use super::remote::options;

/// Prints whether a path exists, and whether rsync is installed. Creates the folder of the path.
const LOOK: &str = r#"
mkdir -p "$(dirname "$1")" || exit 1;
[ -e "$1" ] && echo there || echo missing;
command -v rsync > /dev/null 2>&1 && echo rsync || echo none"#;

/// Unpacks stdin next to the path, and moves the result to the path when it is complete.
const UNPACK: &str = r#"
name=$(basename "$1") && cd "$(dirname "$1")" && part=.$name.part && rm -rf "$part" && mkdir "$part" || exit 1;
tar -C "$part" -xf - && mv "$part/$name" "$name" && rmdir "$part""#;

/// Copies a file or a folder, if it is not there. If both sides have rsync, changed files are copied, too. Returns
/// whether anything was copied.
///
/// # Errors
/// Returns why it cannot be copied.
pub fn copy(remote: Remote, path: &Path) -> Result<bool, String> {
    let there = path.to_str().ok_or("its path is not UTF-8")?;
    let look = remote.run(LOOK, &[there], Stdio::null())?;
    let has = |word: &str| look.lines().any(|line| line == word);
    if has("rsync") && Command::new("rsync").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return rsync(remote, path, there);
    }
    if has("there") {
        return Ok(false);
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Err("it has no name".into()) };
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder).args(["-cf", "-", "--"]).arg(name).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut tar = tar.spawn().map_err(|error| format!("tar: {error}"))?;
    let archive = tar.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let unpacked = remote.run(UNPACK, &[there], archive);
    let packed = tar.wait().map_err(|error| format!("tar: {error}"))?;
    unpacked?;
    if packed.success() { Ok(true) } else { Err(format!("tar ended with {packed}")) }
}

fn rsync(remote: Remote, path: &Path, there: &str) -> Result<bool, String> {
    // With a slash at its end, the contents of a folder are meant.
    let end = if path.is_dir() { "/" } else { "" };
    let mut rsync = Command::new("rsync");
    let ssh = format!("ssh {}", options().join(" "));
    rsync.args(["-a", "-s", "--out-format=%n", "-e", &ssh, "--"]);
    rsync.arg(format!("{there}{end}")).arg(format!("{}:{there}{end}", remote.host)).stdin(Stdio::null());
    let output = rsync.output().map_err(|error| format!("rsync: {error}"))?;
    if output.status.success() {
        return Ok(!output.stdout.is_empty());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("rsync failed").to_owned())
}
