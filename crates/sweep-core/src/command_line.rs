//! Command lines that a message tells a person to run.

use std::path::Path;

/// A path as an argument, to be copied into a shell. It is quoted if it has spaces or other signs that a shell reads.
pub fn argument(path: impl AsRef<Path>) -> String {
    let path = path.as_ref().to_string_lossy();
    match shlex::try_quote(&path) {
        Ok(quoted) => quoted.into_owned(),
        // A path on Linux has no zero byte.
        Err(_) => path.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_an_argument_as_the_path() {
        for path in ["results/quickstart", "my sweeps/lr & wd", "it's", "$HOME/a;b", "\u{e9}t\u{e9}/a.csv", "*.csv"] {
            assert_eq!(shlex::split(&argument(path)), Some(vec![path.to_owned()]), "{path}");
        }
        assert_eq!(argument("results/quickstart"), "results/quickstart");
    }
}
