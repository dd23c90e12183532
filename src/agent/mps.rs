//! CUDA MPS, which lets processes on one GPU compute at the same time instead of taking turns. This module finds its
//! daemon or starts one for a sweep. <https://docs.nvidia.com/deploy/mps/>

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::launch::die_with_parent;

/// The variable for the folder of the daemon's pipes. CUDA reads it too.
pub const VARIABLE: &str = "CUDA_MPS_PIPE_DIRECTORY";

/// The variable for the folder of the daemon's logs.
const LOG_VARIABLE: &str = "CUDA_MPS_LOG_DIRECTORY";

/// The folder of the pipes if [`VARIABLE`] is not set.
const DEFAULT: &str = "/tmp/nvidia-mps";

/// The daemon's program. It is searched for in PATH, then where containers have the driver's programs.
const PROGRAM: &str = "nvidia-cuda-mps-control";
const PLACES: [&str; 3] = ["/usr/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib"];

/// Start of the name of a daemon's folder. The process id of its controller follows.
const FOLDER: &str = "sweep-mps-";

/// Time for the daemon and its server to start, and for the daemon to exit.
const PATIENCE: Duration = Duration::from_secs(5);

/// The folder of the pipes, if the daemon runs. `variable` is the value of [`VARIABLE`].
pub fn find(variable: Option<&str>) -> Option<PathBuf> {
    let folder = PathBuf::from(variable.unwrap_or(DEFAULT));
    // A killed daemon leaves its pipes behind.
    let pid = std::fs::read_to_string(folder.join("nvidia-cuda-mps-control.pid"));
    let lives = pid.is_ok_and(|pid| Path::new("/proc").join(pid.trim()).is_dir());
    (lives && folder.join("control").exists()).then_some(folder)
}

/// Whether a process is the daemon's server, which has a GPU context on behalf of other processes.
pub fn is_server(pid: u32) -> bool {
    // The kernel keeps 15 bytes of `nvidia-cuda-mps-server`.
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "nvidia-cuda-mps")
}

/// A daemon that this process owns. It ends with this process.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    process: Child,
    /// The folder of its pipes and logs, which is removed with it.
    folder: PathBuf,
}

impl Daemon {
    /// Starts a daemon and its server for this user. Returns `None` if the driver does not include one.
    ///
    /// Call this from the thread that lives longest. Linux kills the daemon when the thread that started it ends.
    ///
    /// # Errors
    /// Returns the reason if the program exists but the daemon does not start.
    pub fn start() -> Result<Option<Daemon>, String> {
        let Some(program) = program() else { return Ok(None) };
        // The path is short because paths of Unix sockets have at most 107 bytes.
        remove_stale(&std::env::temp_dir());
        let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut command = control(&program, &folder);
        command.arg("-f").stdin(Stdio::null()).process_group(0);
        die_with_parent(&mut command, Signal::TERM);
        let process = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        let daemon = Daemon { program, process, folder };
        let user = rustix::process::getuid().as_raw();
        let until = Instant::now() + PATIENCE;
        // Otherwise the server starts with the first trainer. If the server cannot start, no trainer would find a GPU.
        while daemon.ask(&format!("start_server -uid {user}")).is_none() || daemon.servers().is_empty() {
            if Instant::now() >= until {
                return Err(format!("{PROGRAM} did not start a server: {}", daemon.last_words()));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(Some(daemon))
    }

    /// The folder of the daemon's pipes.
    pub fn pipes(&self) -> &Path {
        &self.folder
    }

    /// The process ids of the daemon's servers.
    fn servers(&self) -> Vec<i32> {
        let answer = self.ask("get_server_list").unwrap_or_default();
        answer.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// The daemon's answer to a command, or `None` if the daemon cannot be reached.
    fn ask(&self, words: &str) -> Option<String> {
        let mut command = control(&self.program, &self.folder);
        let mut asking = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let _ = writeln!(asking.stdin.take()?, "{words}");
        let output = asking.wait_with_output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn last_words(&self) -> String {
        let log = |name| std::fs::read_to_string(self.folder.join(name)).ok();
        let text = log("server.log").or_else(|| log("control.log")).unwrap_or_default();
        text.lines().last().unwrap_or("it wrote no log").to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.ask("quit -t 1");
        let until = Instant::now() + PATIENCE;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A command that runs the control program for the daemon of this folder.
fn control(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env(VARIABLE, folder).env(LOG_VARIABLE, folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Removes the folders that controllers left behind when they were killed.
fn remove_stale(temporary: &Path) {
    for entry in std::fs::read_dir(temporary).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let controller = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        if controller.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn program() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the path is where every program is looked for")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(PLACES.into_iter().map(PathBuf::from));
    folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_runs_is_found_and_a_dead_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().to_str().unwrap();
        assert_eq!(find(Some(name)), None);
        std::fs::write(folder.path().join("control"), "").unwrap();
        std::fs::write(folder.path().join("nvidia-cuda-mps-control.pid"), format!("{}\n", std::process::id())).unwrap();
        assert_eq!(find(Some(name)), Some(folder.path().to_owned()));
        std::fs::write(folder.path().join("nvidia-cuda-mps-control.pid"), "999999999").unwrap();
        assert_eq!(find(Some(name)), None);
    }
}
