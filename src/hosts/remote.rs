//! Scripts on a host, over ssh.

use std::process::{Command, Stdio};

/// Time for ssh to connect, in seconds.
const CONNECT: u32 = 15;

/// Interval in seconds at which ssh checks whether a silent host is alive. After three checks without an answer, ssh
/// gives up.
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

/// The arguments of ssh that run a command after the setup in the login shell of a host, whichever shell that is.
pub fn command(host: &str, setup: &[String], words: &[&str]) -> Vec<String> {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    // Shells stop at the first line that fails.
    let lines: Vec<String> = setup.iter().cloned().chain([format!("exec {}", words.join(" "))]).collect();
    options().into_iter().chain(["-T".into(), host.to_owned(), "--".into(), lines.join(" && ")]).collect()
}

/// A word as sh, bash, zsh, csh and fish read it. Between quotes, csh still replaces `!`, and fish takes `\\` for one
/// backslash. A line break is an error in csh, whatever is done.
fn quoted(word: &str) -> String {
    if !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./@:,".contains(c)) {
        return word.to_owned();
    }
    let bare = |c: char| if "'!\\".contains(c) { format!("'\\{c}'") } else { c.to_string() };
    format!("'{}'", word.chars().map(bare).collect::<String>())
}

impl Remote<'_> {
    /// Runs a script of the standard shell there. In the script, line breaks must be equivalent to spaces. Returns what
    /// it prints.
    ///
    /// # Errors
    /// Returns the last line that it, or ssh, says.
    pub fn run(&self, script: &str, words: &[&str], stdin: Stdio) -> Result<String, String> {
        // What login scripts print comes before this.
        const START: &str = "sweep asks";
        let script = format!("echo; echo {START}; {}", script.trim().replace('\n', " "));
        let words: Vec<&str> = ["/bin/sh", "-c", &script, "sweep"].into_iter().chain(words.iter().copied()).collect();
        let mut ssh = Command::new("ssh");
        ssh.arg(format!("-oServerAliveInterval={ALIVE}")).args(command(self.host, self.setup, &words)).stdin(stdin);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_arrives_as_it_is_in_every_shell() {
        for shell in ["sh", "bash", "zsh", "csh", "tcsh", "fish"] {
            if Command::new(shell).args(["-c", "true"]).output().is_err() {
                eprintln!("skipped: {shell} is not installed");
                continue;
            }
            for word in ["", "gpu1", "it's!", r#"$HOME `x` "q" \ \\ \' *~{a,b} [x] #c ; & | > < ^ %"#, "=x", "é"] {
                let line = format!("exec printf %s {}", quoted(word));
                let output = Command::new(shell).args(["-c", &line]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{shell}: {line}");
            }
        }
    }
}
