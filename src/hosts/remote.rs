//! Scripts on a host, over ssh.

use std::process::{Command, Stdio};

/// Time for ssh to connect, in seconds.
const CONNECT: u32 = 15;

/// Time after which ssh asks a host that says nothing for a sign of life, in seconds. It gives up after three.
const ALIVE: u32 = 15;

/// A host, and the lines for its shell before anything else.
#[derive(Debug, Clone, Copy)]
pub struct Remote<'a> {
    pub host: &'a str,
    pub setup: &'a [String],
}

/// Options of ssh for a start without a terminal, which never ask for a password.
pub fn options() -> [String; 2] {
    [format!("-oConnectTimeout={CONNECT}"), "-oBatchMode=yes".into()]
}

/// The arguments of ssh that run a line after the setup in the shell of a host.
pub fn command(host: &str, setup: &[String], line: String) -> Vec<String> {
    // Shells stop at the first line that fails.
    let lines: Vec<String> = setup.iter().cloned().chain([line]).collect();
    options().into_iter().chain(["-T".into(), host.to_owned(), "--".into(), lines.join(" && ")]).collect()
}

impl Remote<'_> {
    /// Runs a script of the standard shell there, whose words are not quoted yet. Returns what it prints.
    ///
    /// # Errors
    /// Returns the last line that it, or ssh, says.
    pub fn run(&self, script: &str, words: &[&str], stdin: Stdio) -> Result<String, String> {
        // What login scripts print comes before this.
        const START: &str = "sweep asks";
        let script = format!("echo; echo {START}; {script}");
        let words = ["exec", "sh", "-c", &script, "sweep"].into_iter().chain(words.iter().copied());
        let line = shlex::try_join(words).map_err(|error| error.to_string())?;
        let mut ssh = Command::new("ssh");
        ssh.arg(format!("-oServerAliveInterval={ALIVE}")).args(command(self.host, self.setup, line)).stdin(stdin);
        let output = ssh.output().map_err(|error| format!("ssh: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rev().find(|line| !line.trim().is_empty());
            return Err(last.map_or_else(|| format!("ssh ended with {}", output.status), |line| line.trim().to_owned()));
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        Ok(printed.split_once(&format!("{START}\n")).map_or_else(String::new, |(_, printed)| printed.to_owned()))
    }
}
