//! CUDA MPS, by which processes that share a GPU compute at the same time instead of by turns: whether its daemon runs.
//! <https://docs.nvidia.com/deploy/mps/>

use std::path::{Path, PathBuf};

/// Names the folder of the daemon's pipes; CUDA reads it, too.
pub const VARIABLE: &str = "CUDA_MPS_PIPE_DIRECTORY";

/// Where they are if it is not set.
const DEFAULT: &str = "/tmp/nvidia-mps";

/// The folder of the pipes, if the daemon runs. `variable` is what [`VARIABLE`] says.
pub fn find(variable: Option<&str>) -> Option<PathBuf> {
    let folder = PathBuf::from(variable.unwrap_or(DEFAULT));
    // A daemon that was killed leaves its pipes behind.
    let pid = std::fs::read_to_string(folder.join("nvidia-cuda-mps-control.pid"));
    let lives = pid.is_ok_and(|pid| Path::new("/proc").join(pid.trim()).is_dir());
    (lives && folder.join("control").exists()).then_some(folder)
}

/// Whether a process is the daemon's server, which has a context on a GPU on behalf of others.
pub fn is_server(pid: u32) -> bool {
    // The kernel keeps 15 bytes of `nvidia-cuda-mps-server`.
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "nvidia-cuda-mps")
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
