//! What loggers write before a line: dates, source locations, the process.

use std::sync::LazyLock;

use regex::Regex;

/// A date and a time, glog's letter with both, or a source file with a line.
static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^\s*(?:",
        r"\[?\d{2,4}[/-]\d{2}(?:[/-]\d{2,4})?[ T]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\]?|",
        r"[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d+\s+\d+|",
        r"[\w/.-]+\.(?:py|cc|cpp|rs):\d+\]?|",
        r"-\s+(?:[\w.\\/-]+ - )?(?:INFO|DEBUG|WARNING) - (?:\w+\.[\w.]+ - )?|",
        r"(?:INFO|DEBUG|WARNING|ERROR|CRITICAL):[\w.]+:|",
        r"\d{2}:\d{2}:\d{2}\.\d{3} \[[\w-]+\] (?:INFO|DEBUG|WARN|ERROR) +[\w.$]+ - ",
        r")"
    ))
    .expect("it is an expression")
});
/// Ray's mark of the process that printed the line.
static PROCESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\([\w.]+ pid=(\d+)[^)]*\)").expect("it is an expression"));

/// Returns the process that a line came from, if several print, and the line without what is before it. `None` for a line
/// that repeats what others said: W&B's summary.
pub fn strip(line: &str) -> Option<(Option<&str>, &str)> {
    if line.starts_with("wandb:") {
        return None;
    }
    let found = PROCESS.captures(line);
    let process = found.as_ref().and_then(|found| found.get(1)).map(|found| found.as_str());
    let mut rest = &line[found.map_or(0, |found| found[0].len())..];
    while let Some(found) = STAMP.find(rest) {
        rest = &rest[found.end()..];
    }
    Some((process, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_places_and_processes_are_not_part_of_a_line() {
        for (line, expected) in [
            ("2023/06/01 10:00:00 - mmengine", Some((None, " - mmengine"))),
            ("[07/01 10:00:00 d2]: iter: 19", Some((None, " d2]: iter: 19"))),
            ("I0512 10:11:01.123456 140234 train.py:146] epoch", Some((None, " epoch"))),
            ("(train pid=101) Epoch 1", Some((Some("101"), " Epoch 1"))),
            ("3/10 [==] loss", Some((None, "3/10 [==] loss"))),
            ("INFO:__main__:Epoch 1", Some((None, "Epoch 1"))),
            ("10:11:01.123 [main] INFO org.dl.Listener - Score", Some((None, "Score"))),
            ("wandb: loss 0.1", None),
        ] {
            assert_eq!(strip(line), expected, "{line}");
        }
    }
}
