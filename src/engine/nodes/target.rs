//! Where agents are started, as `--on` and `cluster:` name it, and the command that starts them there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::agent::service::{Facts, Greeting, ask};
use crate::hosts;
use sweep_spec::SlurmJobs;

/// Time for a host to answer before a run begins.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place where an agent is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A host, as the user's ssh configuration names it.
    Ssh(String),
    /// A command whose pipes lead to an agent.
    Command(Vec<String>),
    /// Jobs of Slurm, whose agents come by themselves.
    Slurm(SlurmJobs),
}

/// How agents are started on hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Start {
    /// Lines for the host's shell before the agent, such as `module load cuda`.
    pub setup: Vec<String>,
    /// Path of `sweep` on the hosts, if it is not on PATH there.
    pub program: Option<String>,
    /// Its path on hosts by ssh to which it was brought.
    pub brought: BTreeMap<String, String>,
}

impl Start {
    /// Takes in where `sweep` is on a host, if it was brought there.
    pub fn add(&mut self, target: &Target, brought: Option<String>) {
        if let Target::Ssh(host) = target {
            self.brought.extend(brought.map(|path| (host.clone(), path)));
        }
    }
}

impl Target {
    /// Parses the value of `--on`: `ssh:gpu1,gpu2`, or `command:` and a command line.
    ///
    /// # Errors
    /// Returns the rule and the remedy.
    pub fn parse(text: &str) -> Result<Vec<Target>, (String, String)> {
        let example = "write ssh:HOST1,HOST2, or command: and a command that starts `sweep agent`".to_owned();
        if let Some(hosts) = text.strip_prefix("ssh:") {
            let target = |host: &str| match is_host(host.trim()) {
                true => Ok(Target::Ssh(host.trim().to_owned())),
                false => Err((format!("{host:?} is not the name of a host"), example.clone())),
            };
            return hosts.split(',').map(target).collect();
        }
        if let Some(line) = text.strip_prefix("command:") {
            return match shlex::split(line) {
                Some(words) if !words.is_empty() => Ok(vec![Target::Command(words)]),
                Some(_) => Err(("there is no command after `command:`".into(), example)),
                None => Err((format!("{line:?} has an unclosed quote"), "quote as in a shell".into())),
            };
        }
        if let Some(jobs) = text.strip_prefix("slurm:") {
            let jobs =
                SlurmJobs::parse(jobs).ok_or((format!("{jobs:?} is not a number of nodes with options"), example));
            return jobs.map(|jobs| vec![Target::Slurm(jobs)]);
        }
        Err((format!("{text:?} is neither ssh:, command: nor slurm"), example))
    }

    /// The command that leads to the agent. Nothing leads to agents that come by themselves.
    pub fn command(&self, start: &Start) -> (OsString, Vec<String>) {
        match self {
            Target::Slurm(_) => ("false".into(), Vec::new()),
            Target::Command(words) => (words[0].clone().into(), words[1..].to_vec()),
            Target::Ssh(host) => {
                let program = start.brought.get(host).or(start.program.as_ref()).map_or("sweep", String::as_str);
                ("ssh".into(), hosts::command(host, &start.setup, &[program, "agent", "--name", host]))
            }
        }
    }

    /// The command as a user would type it.
    pub fn shown(&self, start: &Start) -> String {
        let (program, arguments) = self.command(start);
        let words = [program.to_string_lossy().into_owned()].into_iter().chain(arguments);
        words
            .map(|word| shlex::try_quote(&word).map_or(word.clone(), |word| word.into_owned()))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Asks the host about itself, without starting anything there. `greeting` has the sweep to check.
    ///
    /// # Errors
    /// Returns why there is no answer.
    pub fn check(&self, start: &Start, greeting: &Greeting) -> Result<Facts, String> {
        let (program, arguments) = self.command(start);
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let cannot = |error: std::io::Error| format!("{}: {error}", program.to_string_lossy());
        let mut child = command.spawn().map_err(cannot)?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let greeting = greeting.clone();
        let (answer, answered) = mpsc::channel();
        std::thread::spawn(move || {
            if let (Some(mut stdin), Some(stdout)) = (stdin, stdout) {
                let _ = answer.send(ask(stdout, &mut stdin, &greeting));
            }
        });
        let answer =
            answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(format!("no answer for {} s", PATIENCE.as_secs())));
        let _ = child.kill();
        let _ = child.wait();
        answer.map_err(|reason| match stderr.map(last_line).filter(|line| !line.is_empty()) {
            Some(line) => format!("{reason} ({line})"),
            None => reason,
        })
    }
}

/// Returns whether ssh takes the text for a host and not for an option.
fn is_host(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "@.-_:[]%".contains(c);
    !text.is_empty() && !text.starts_with('-') && text.chars().all(allowed)
}

fn last_line(stderr: impl std::io::Read) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let _ = stderr.take(64 << 10).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().chars().take(200).collect()
}

impl fmt::Display for Target {
    /// Writes what [`Target::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Ssh(host) => write!(f, "ssh:{host}"),
            Target::Slurm(jobs) => write!(f, "slurm:{jobs}"),
            Target::Command(words) => {
                let words = words.iter().map(String::as_str);
                write!(f, "command:{}", shlex::try_join(words).unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for text in [
            "ssh:gpu1,me@gpu2.example",
            "command:kubectl exec -i pod -- sweep agent",
            "command:sh -c 'a b'",
            "slurm:4 --time 10 '--comment=a b'",
        ] {
            let targets = Target::parse(text).expect("it is right");
            for target in &targets {
                assert_eq!(Target::parse(&target.to_string()), Ok(vec![target.clone()]), "{text}");
            }
        }
        for text in [
            "gpu1",
            "ssh:",
            "ssh:-oProxyCommand=x",
            "ssh:a b",
            "ssh:a;b",
            "command:",
            "command:'",
            "slurm:",
            "slurm:0",
            "slurm:2 --array=1-9",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ssh_never_asks_and_runs_the_setup_first() {
        let start =
            Start { setup: vec!["module load cuda".into()], program: Some("/opt/my sweep".into()), ..Start::default() };
        let (program, arguments) = Target::Ssh("gpu1".into()).command(&start);
        assert_eq!(program, "ssh");
        assert!(arguments.contains(&"-oBatchMode=yes".to_owned()));
        assert_eq!(arguments.last().unwrap(), "module load cuda && exec '/opt/my sweep' agent --name gpu1");
    }
}
