//! The environment of the process. This is the only module that reads environment variables, the clock and the
//! terminal; all other code receives what it needs.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::agent::processes;
use sweep_core::error::{Error, Exit, Result};
use sweep_store::Holder;

/// The environment in which the process was started.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The working directory, as an absolute path.
    pub folder: PathBuf,
    /// The running program, as an absolute path.
    pub program: PathBuf,
    /// Whether progress can be drawn: stdout and stderr are terminals that can move the cursor.
    pub draws: bool,
    /// Whether a user can answer questions.
    pub answers: bool,
    /// Whether output on stdout may be colored (<https://no-color.org>).
    pub color: bool,
}

impl Environment {
    /// Reads the environment.
    ///
    /// # Errors
    /// Returns an error if the working directory no longer exists.
    #[allow(clippy::disallowed_methods)]
    pub fn read() -> Result<Environment> {
        let folder = std::env::current_dir().map_err(|error| {
            Error::new(Exit::Usage, "the working directory cannot be read")
                .source(error)
                .hint("change to a folder that exists")
        })?;
        if folder.to_str().is_none() {
            return Err(Error::new(Exit::Usage, format!("{} is not UTF-8", folder.display()))
                .hint("the journal stores paths as text; work in a folder with a UTF-8 path"));
        }
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stdout().is_terminal();
        let draws = terminal && std::io::stderr().is_terminal() && !is_dumb;
        let answers = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let program = std::env::current_exe().unwrap_or_else(|_| folder.join("sweep"));
        Ok(Environment { folder, program, draws, answers, color: terminal && !no_color && !is_dumb })
    }

    /// Names of all environment variables that are UTF-8.
    pub fn variables(&self) -> Vec<String> {
        std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect()
    }

    /// Number of CPU cores that this process may use.
    pub fn cores(&self) -> u32 {
        std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
    }

    /// The memory in bytes that this process may use: the machine's, or less in a container or a scheduler's job.
    pub fn memory(&self) -> u64 {
        let info = rustix::system::sysinfo();
        let machine = info.totalram as u64 * u64::from(info.mem_unit);
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        memory_limit(Path::new("/sys/fs/cgroup"), &own).map_or(machine, |limit| limit.min(machine))
    }

    /// The name of the machine.
    pub fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    /// The name and version of the C library, such as `glibc 2.31`. `None` if it does not say so.
    pub fn c_library(&self) -> Option<String> {
        let told = std::process::Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
        String::from_utf8(told.stdout).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// This process, for the file that names who runs a sweep.
    pub fn holder(&self) -> Holder {
        Holder { host: self.host(), boot: processes::boot(), process: processes::own() }
    }

    /// The path as the user would type it here.
    pub fn short(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.folder).unwrap_or(path).to_owned()
    }

    /// The time in Unix seconds. It is not monotonic.
    pub fn now(&self) -> f64 {
        now()
    }

    /// The HTTP proxy from the environment, in curl's format.
    pub fn proxy(&self) -> Option<ureq::Proxy> {
        ureq::Proxy::try_from_env()
    }

    /// The value of CUDA_VISIBLE_DEVICES, if it is set. An empty value hides all GPUs.
    #[allow(clippy::disallowed_methods)]
    pub fn visible_gpus(&self) -> Option<String> {
        std::env::var_os("CUDA_VISIBLE_DEVICES").map(|value| value.to_string_lossy().into_owned())
    }

    /// The value of an environment variable, if it is set, not empty and valid Unicode.
    pub fn variable(&self, name: &str) -> Option<String> {
        variable(name)
    }
}

/// The value of an environment variable, if it is set, not empty and valid Unicode.
#[allow(clippy::disallowed_methods)]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The time in Unix seconds. It is not monotonic.
#[allow(clippy::disallowed_methods)]
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The lowest limit of memory in bytes of the control groups that `own` lists, as `/proc/self/cgroup` has them, and of those
/// above. Version 2 of control groups has one tree, and version 1 has one for memory.
fn memory_limit(root: &Path, own: &str) -> Option<u64> {
    let tree = |line: &str| -> Option<(PathBuf, &str, String)> {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        match controllers {
            "" => Some((root.to_owned(), "memory.max", path.to_owned())),
            _ if controllers.split(',').any(|one| one == "memory") => {
                Some((root.join("memory"), "memory.limit_in_bytes", path.to_owned()))
            }
            _ => None,
        }
    };
    let limits = |(tree, name, path): (PathBuf, &str, String)| -> Option<u64> {
        let group = tree.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|above| above.starts_with(&tree));
        above.filter_map(|above| std::fs::read_to_string(above.join(name)).ok()?.trim().parse().ok()).min()
    };
    own.lines().filter_map(tree).filter_map(limits).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_of_the_control_groups_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(memory_limit(root.path(), "0::/job/step\n"), None);
        write("job/memory.max", "4000\n");
        write("job/step/memory.max", "max\n");
        assert_eq!(memory_limit(root.path(), "0::/job/step\n"), Some(4000));
        write("job/step/memory.max", "3000\n");
        assert_eq!(memory_limit(root.path(), "0::/job/step\n"), Some(3000));
        assert_eq!(memory_limit(root.path(), "0::/\n"), None);
        // A container, which sees its own group as the root.
        write("memory.max", "2000\n");
        assert_eq!(memory_limit(root.path(), "0::/\n"), Some(2000));
        // Version 1, with a number that means no limit above.
        write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/job/memory.limit_in_bytes", "1000\n");
        assert_eq!(memory_limit(root.path(), "5:cpu,cpuacct:/x\n4:memory:/job\n"), Some(1000));
    }
}
