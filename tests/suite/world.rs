//! A folder for a test, and `sweep` run in it from the command line.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A new folder for sweeps, deleted when dropped.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> World {
        World { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder is writable");
        std::fs::write(path, text).expect("the folder is writable");
    }

    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The command `sweep` with these arguments, in the folder.
    pub fn sweep(&self, words: &str) -> Command {
        let mut command = Command::new(sweep());
        command.args(words.split_whitespace()).current_dir(self.folder.path());
        command.env_remove("CUDA_VISIBLE_DEVICES").env_remove("SWEEP_LIBTORCH"); // Those of whoever runs the tests.
        command.env("SCRIPT", self.path("script")); // Read by the scripted trainer.
        command.stdin(Stdio::null());
        command
    }

    /// Runs `sweep` with these arguments. Returns its output and exit status.
    pub fn output(&self, words: &str) -> Output {
        self.sweep(words).output().expect("sweep can be started")
    }

    /// Runs `sweep` with these arguments and requires this exit code. Returns the output, stderr last.
    pub fn expect(&self, words: &str, exit: i32) -> String {
        let output = self.output(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exit), "sweep {words}:\n{text}");
        text
    }

    /// The sorted rows of a CSV file, without the named columns, which depend on when and where the sweep ran.
    pub fn table(&self, name: &str, without: &[&str]) -> Vec<Vec<String>> {
        let path = self.path(name);
        let mut reader = csv::Reader::from_path(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let headers = reader.headers().expect("it has a header").clone();
        for column in without {
            assert!(headers.iter().any(|header| header == *column), "{name} has no column {column}");
        }
        let keep = |(field, header): (&str, &str)| (!without.contains(&header)).then(|| field.to_owned());
        let row = |record: csv::StringRecord| record.iter().zip(headers.iter()).filter_map(keep).collect();
        reader.records().map(|record| row(record.expect("it is a table"))).collect()
    }

    /// The values of a column of a CSV file, in file order.
    pub fn column(&self, table: &str, name: &str) -> Vec<String> {
        let mut reader = csv::Reader::from_path(self.path(table)).expect("it is there");
        let headers = reader.headers().expect("it has a header");
        let at = headers.iter().position(|header| header == name).unwrap_or_else(|| panic!("no {name}"));
        reader.records().map(|record| record.expect("it is a table")[at].to_owned()).collect()
    }
}

/// The path of the `sweep` program. Cargo provides it to tests of the same package. The trainer's tests find it beside
/// the trainer.
pub fn sweep() -> PathBuf {
    let trainer = match (option_env!("CARGO_BIN_EXE_sweep"), option_env!("CARGO_BIN_EXE_sweep-trainer")) {
        (Some(sweep), _) => return sweep.into(),
        (None, Some(trainer)) => trainer,
        (None, None) => panic!("Cargo names the programs of a package to its tests"),
    };
    let path = Path::new(trainer).with_file_name("sweep");
    assert!(path.exists(), "{} is missing; first: cargo build --profile test -p sweep", path.display());
    path
}

/// Writes an array in the format of `numpy.save`.
pub fn npy(path: &Path, shape: &str, bytes: &[u8]) {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
    let header = format!("{header:<117}\n");
    let head = [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    std::fs::write(path, [&head, bytes].concat()).expect("the folder is writable");
}

/// Waits until `is_so` returns true, up to a limit.
pub fn wait_until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Processes with the path in their command line.
pub fn processes_naming(path: &Path) -> Vec<u32> {
    let path = path.to_string_lossy().into_owned();
    let names_it = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&path))
    };
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(names_it).collect()
}

/// Processes of the sweeps in a folder: supervisors, programs, and whatever those have started. Ended ones that nobody has
/// asked for their exit code do not count.
pub fn processes_of(results: &Path) -> Vec<u32> {
    let mark = format!("SWEEP_SUPERVISED={}", results.canonicalize().unwrap_or(results.to_owned()).display());
    let is_marked = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(mark.as_bytes()))
    };
    let entries = std::fs::read_dir("/proc").expect("Linux has /proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(is_marked).collect()
}

/// Sends a signal to a child process.
pub fn send(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("it can be signalled");
}
