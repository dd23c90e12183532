//! What loggers write before a line: dates, source locations, the process.

use std::sync::LazyLock;

use regex::Regex;

/// A date and a time, glog's letter with both, a source file or a function with a line, or a level.
static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^\s*(?:",
        r"\[?\d{2,4}[/-]\d{2}(?:[/-]\d{2,4})?[ T]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?\]?|",
        r"[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d+\s+\d+|",
        r"\[?[\w/.-]+\.(?:py|cc|cpp|rs):\d+\]?|",
        r":?(?:INFO|DEBUG|WARN|WARNING):?\s+(?:- )?|",
        r"\|\s*(?:INFO|DEBUG|SUCCESS)\s*\|\s*[\w.]+:(?:train\w*|fit\w*|run\w*|main|<module>):\d+ - |",
        r"-\s+(?:[\w.\\/-]+ - )?(?:INFO|DEBUG|WARNING) - (?:\w+\.[\w.]+ - )?|",
        r"(?:INFO|DEBUG|WARNING|ERROR|CRITICAL):[\w.]+:|",
        r"\d{2}:\d{2}:\d{2}\.\d{3} \[[\w-]+\] (?:INFO|DEBUG|WARN|ERROR) +[\w.$]+ - ",
        r")"
    ))
    .expect("it is an expression")
});
/// The mark of the process that printed the line: Ray's, that of torchrun or other launchers, and that of mpirun.
static PROCESS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)^\s*(?:\([\w.]+ pid=(?<ray>\d+)[^)]*\)|",
        r"\[(?:default|local[_ ]?|global[_ ]?)?(?:rank|gpu)?[ _:=]?(?<rank>\d+)\]:\s|",
        r"\[?(?:global[_ ]|local[_ ])?(?:rank|gpu)[ _:=]*(?<name>\d+)\]?\s*[:|,-]?\s|",
        r"\[\d+,(?<mpi>\d+)\]<std(?:out|err)>:\s?)"
    ))
    .expect("it is an expression")
});

/// Returns the process that a line came from, if several print, and the line without what is before it. `None` for a line
/// that repeats what others said: W&B's summary.
pub fn strip(line: &str) -> Option<(Option<&str>, &str)> {
    if line.starts_with("wandb:") {
        return None;
    }
    let found = PROCESS.captures(line);
    let named = |name| found.as_ref().and_then(|found| found.name(name));
    let process = ["ray", "rank", "name", "mpi"].into_iter().find_map(named).map(|found| found.as_str());
    let mut rest = &line[found.map_or(0, |found| found[0].len())..];
    // A log in the text of a script: `text <- "Epoch 1/100`.
    if let Some((_, quoted)) =
        rest.split_once(['"', '\'', '`']).filter(|(before, _)| before.trim_end().ends_with(['=', '-']))
    {
        let text = quoted.trim_start_matches(['"', '\'', '`']);
        rest = if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("epoch")) { text } else { rest };
    }
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
            ("2021-07-29 14:38:40,512:INFO:  * ADE 1.2", Some((None, "* ADE 1.2"))),
            ("10:11:01.123 [main] INFO org.dl.Listener - Score", Some((None, "Score"))),
            ("[rank1]: Epoch 1", Some((Some("1"), "Epoch 1"))),
            ("[default0]: Epoch 1", Some((Some("0"), "Epoch 1"))),
            ("[GPU 2] Epoch 1", Some((Some("2"), "Epoch 1"))),
            ("Rank 0: Epoch 1", Some((Some("0"), "Epoch 1"))),
            ("[1,3]<stdout>:Epoch 1", Some((Some("3"), "Epoch 1"))),
            ("[3]: loss", Some((Some("3"), "loss"))),
            ("wandb: loss 0.1", None),
        ] {
            assert_eq!(strip(line), expected, "{line}");
        }
    }
}
