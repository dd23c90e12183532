//! The log of a process's output, and its last words.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Bytes of one attempt's log that are kept from its beginning, and as many from its end.
const LONGEST_LOG: u64 = 2 << 20;

/// The log of a trainer's other output. Before the first trial, only the last line is kept.
#[derive(Debug, Default)]
pub(super) struct Log {
    file: Option<File>,
    room: u64,
    /// The newest lines once there is no room, and how many bytes they have.
    end: (VecDeque<Vec<u8>>, u64),
    /// Bytes between the beginning and them that are not kept.
    dropped: u64,
    words: LastWords,
}

/// What a process said last that may be why it ended.
#[derive(Debug, Default)]
struct LastWords {
    line: Option<String>,
    /// The line of an exception or a usage error: what other parts of the process print after it tells less.
    error: Option<String>,
    traceback: Traceback,
    /// Innermost frames of the traceback, innermost last.
    frames: VecDeque<String>,
}

/// Maximum number of frames that are told of a traceback.
const MOST_FRAMES: usize = 3;

/// Where in a Python traceback a line stands.
#[derive(Debug, Default, PartialEq)]
enum Traceback {
    #[default]
    Outside,
    /// The lines of one, whose exception comes next.
    Inside,
    /// One of an exit handler, which is not why the process ended.
    Ignored,
}

impl LastWords {
    fn take_in(&mut self, text: &str) {
        let line: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
        if line.is_empty() {
            return;
        }
        let is_indented = text.starts_with([' ', '\t']);
        if line.starts_with("Traceback (most recent call last)") {
            if self.traceback != Traceback::Ignored {
                self.traceback = Traceback::Inside;
                self.frames.clear();
            }
        } else if line.starts_with("Exception ignored in") || line.starts_with("Error in atexit") {
            self.traceback = Traceback::Ignored;
        } else if !is_indented && self.traceback != Traceback::Outside {
            if self.traceback == Traceback::Inside {
                let frames = self.frames.drain(..).collect::<Vec<_>>().join(" > ");
                self.error = Some(if frames.is_empty() { line.clone() } else { format!("{line}; in {frames}") });
            }
            self.traceback = Traceback::Outside;
        } else if let Some(frame) = frame(&line).filter(|_| self.traceback == Traceback::Inside) {
            if self.frames.len() == MOST_FRAMES {
                self.frames.pop_front();
            }
            self.frames.push_back(frame);
        } else if line.contains(": error: ") {
            self.error = Some(line.clone());
        }
        self.line = Some(line);
    }
}

/// A frame of a Python traceback, `File "a.py", line 3, in main`, as `main (a.py:3)`.
fn frame(line: &str) -> Option<String> {
    let (file, rest) = line.strip_prefix("File \"")?.split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    Some(if function.is_empty() { format!("{file}:{number}") } else { format!("{function} ({file}:{number})") })
}

impl Log {
    pub(super) fn open(path: &Path) -> Log {
        // A log that cannot be written is not worth losing a trial for.
        let file = OpenOptions::new().create(true).append(true).open(path).ok();
        let (end, dropped, words) = (Default::default(), 0, LastWords::default());
        Log { file, room: LONGEST_LOG, end, dropped, words }
    }

    /// What the process printed last that may be why it ended.
    pub(super) fn last_words(&mut self) -> Option<String> {
        let LastWords { line, error, .. } = std::mem::take(&mut self.words);
        error.or(line)
    }

    /// Appends the last words to the description of the process's end.
    pub(super) fn with_last_words(&mut self, how: String) -> String {
        with_last_words(how, self.last_words().as_deref())
    }

    pub(super) fn write(&mut self, line: &[u8]) {
        self.words.take_in(&String::from_utf8_lossy(line));
        let Some(file) = &mut self.file else { return };
        let size = line.len() as u64 + 1;
        if size <= self.room {
            self.room -= size;
            let _ = file.write_all(line).and_then(|()| file.write_all(b"\n"));
            return;
        }
        self.room = 0;
        self.end.0.push_back(line.to_vec());
        self.end.1 += size;
        while self.end.1 > LONGEST_LOG
            && let Some(oldest) = self.end.0.pop_front()
        {
            self.end.1 -= oldest.len() as u64 + 1;
            self.dropped += oldest.len() as u64 + 1;
        }
    }

    /// Writes a line of the controller's own, which is nobody's last words.
    pub(super) fn note(&mut self, line: &str) {
        let words = std::mem::take(&mut self.words);
        self.write(line.as_bytes());
        self.words = words;
    }
}

/// Appends last words to the description of a process's end.
pub(super) fn with_last_words(how: String, words: Option<&str>) -> String {
    words.map_or_else(|| how.clone(), |words| format!("{how} (last output: {words})"))
}

/// Last words without what differs from attempt to attempt: numbers, addresses, paths, and the values of options. Two
/// programs with the same gist failed for the same reason.
pub(super) fn gist(words: Option<&str>) -> String {
    let gist = |word: &str| {
        if word.contains('/') {
            return "/".to_owned();
        }
        let option = word.strip_prefix("--").and_then(|rest| rest.split_once('='));
        option.map_or_else(|| without_numbers(word), |(name, _)| format!("--{name}="))
    };
    words.unwrap_or_default().split_whitespace().map(gist).collect::<Vec<_>>().join(" ")
}

fn without_numbers(word: &str) -> String {
    let (mut text, mut last, mut inside) = (String::new(), ' ', false);
    for c in word.chars() {
        let goes_on = c.is_ascii_hexdigit() || matches!(c, 'x' | '.' | '_') || (matches!(c, '+' | '-') && last == 'e');
        let before = inside;
        inside = c.is_ascii_digit() || (inside && goes_on);
        match (before, inside) {
            (false, true) => text.push('#'),
            (_, false) => text.push(c),
            (true, true) => {}
        }
        last = c;
    }
    text
}

impl Drop for Log {
    /// The end of what was printed is written once it is known to be the end.
    fn drop(&mut self) {
        let Some(file) = &mut self.file else { return };
        if self.dropped > 0 {
            let _ = writeln!(file, "({} bytes of output omitted)", self.dropped);
        }
        for line in &self.end.0 {
            let _ = file.write_all(line).and_then(|()| file.write_all(b"\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_of_two_failures_is_the_same_if_they_differ_in_numbers_paths_and_values_alone() {
        for (one, other) in [
            (
                "train.py: error: unrecognized arguments: --lr=0.1 --opt=sgd",
                "train.py: error: unrecognized arguments: --lr=1e-05 --opt=adam",
            ),
            ("OSError: /tmp/run1/a.txt at 0x7f3a", "OSError: /data/b.txt at 0x17"),
            (
                "RuntimeError: size 12 against 3.5e-7; in main (train.py:3)",
                "RuntimeError: size 7 against 1; in main (train.py:41)",
            ),
        ] {
            assert_eq!(gist(Some(one)), gist(Some(other)));
        }
        for (one, other) in [
            ("ModuleNotFoundError: No module named 'torch'", "ModuleNotFoundError: No module named 'numpy'"),
            ("KeyError: 'lr'", "ValueError: 'lr'"),
            ("", "bye"),
        ] {
            assert_ne!(gist(Some(one)), gist(Some(other)));
        }
        assert_eq!(gist(Some("conv2d of 3 (a.py:12): 1e-5.")), "conv# of # (a.py:#): #");
        assert_eq!(gist(None), "");
    }

    fn last_words(lines: &[&str]) -> String {
        let mut log = Log::default();
        lines.iter().for_each(|line| log.write(line.as_bytes()));
        log.with_last_words("ended".into())
    }

    #[test]
    fn the_last_words_are_the_exception_not_what_is_printed_after_it() {
        let exception = [
            "Traceback (most recent call last):",
            "  File \"a.py\", line 9, in <module>",
            "    f()",
            "  File \"b.py\", line 2, in f",
            "    g(",
            "    ^^",
            "ValueError: no",
            "",
        ];
        let after = [
            "wandb: You can sync this run",
            "Error in atexit._run_exitfuncs:",
            exception[0],
            exception[1],
            "OSError: x",
        ];
        let lines = [&exception[..], &after[..]].concat();
        assert_eq!(last_words(&lines), "ended (last output: ValueError: no; in <module> (a.py:9) > f (b.py:2))");
        let usage = ["usage: a.py [-h]", "a.py: error: unrecognized arguments: --x=1", "wandb: bye"];
        assert_eq!(last_words(&usage), "ended (last output: a.py: error: unrecognized arguments: --x=1)");
        assert_eq!(last_words(&["one", "two", " "]), "ended (last output: two)");
    }

    #[test]
    fn a_long_log_keeps_its_beginning_and_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::open(&path);
        for number in 0..600_000 {
            log.write(format!("line {number}").as_bytes());
        }
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.len() as u64 <= 2 * LONGEST_LOG + 100, "{}", text.len());
        assert!(text.starts_with("line 0\n") && text.ends_with("line 599999\n") && text.contains("omitted)\n"));
    }
}
