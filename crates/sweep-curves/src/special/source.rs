//! Sources of programs, whose comments, texts and lists may look like lines of a log.

use std::sync::LazyLock;

use regex::Regex;

use super::is_metric;
use crate::Problem;
use crate::line::{Text, parse};

/// Number of lines of code from which on a text is a source. Logs may quote one.
const FEW: usize = 2;
/// Ends of the names of source and configuration files.
const ENDS: [&str; 21] = [
    "py", "r", "jl", "m", "lua", "sh", "c", "cc", "cpp", "h", "cu", "java", "js", "ts", "go", "rs", "swift", "yaml",
    "yml", "toml", "ini",
];
/// Number of epochs one after another from which on a source has a log.
const QUOTED_EPOCHS: usize = 5;
/// Number of characters of a line that is quoted.
const QUOTED: usize = 60;
/// Lines that only a program has: imports, definitions, and loops of Python, C++, Java, JavaScript, Julia, and R.
static CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^\s*(?:from [\w.]+ import |import [\w.]+(?: as \w+)?\s*(?:[;#].*)?$|(?:async )?def \w+\(|",
        r"class \w+\s*(?:\(.*\))?:\s*$|if __name__ ==|for [\w, ]+ in .+:\s*$|(?:while|if|with) .*[(=<>.\[].*:\s*$|",
        r"#include\s*[<\x22]|using [\w:. ]+;?$|(?:local )?function\b.*\(|(?:async |export )+function\b|",
        r"(?:const|let|var) [\w{}, ]+=|library\(\w+\)|\w+ <- \S|public (?:static |class )|package [\w.]+;|int main\()",
    ))
    .expect("it is an expression")
});
/// Calls, and indented assignments. Logs have some, too, such as `Namespace(lr=0.1)`.
static LIKELY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*\w+(?:\.\w+)*\(.*\);?\s*$|^\s+(?:return\b|[\w.\[\]]+ [+*/-]?= )").expect("it is an expression")
});
/// What comments begin with.
const COMMENTS: [&str; 6] = ["#", "//", "--", "%", "/*", "* "];

/// The lines of a text with their numbers, except those of fenced code in Markdown, those of Python's documentation, and
/// those that a traceback quotes.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let (mut is_fenced, mut is_quoted) = (false, false);
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```") || line.matches("\"\"\"").count() == 1;
        is_fenced ^= is_fence;
        !std::mem::replace(&mut is_quoted, line.trim_start().starts_with("File \"")) && !is_fenced && !is_fence
    })
}

/// The end of a name that is that of a source file.
pub fn end_of_source(name: &str) -> Option<&str> {
    let (_, end) = name.rsplit_once('.')?;
    ENDS.contains(&end.to_ascii_lowercase().as_str()).then_some(end)
}

/// Whether a source has the log of a training, in comments or texts: metrics in lines that name epochs one after another.
fn quotes_log(text: &str) -> bool {
    let lines = text.split(['\n', '\r']).map(|line| parse(&Text::of(line), None, ""));
    let of_epochs = lines.filter(|line| line.alone || line.pairs.iter().any(|pair| is_metric(&pair.name)));
    let mut epochs: Vec<f64> = of_epochs.filter_map(|line| line.epoch).collect();
    epochs.dedup();
    epochs.windows(QUOTED_EPOCHS).any(|epochs| epochs.windows(2).all(|pair| pair[1] == pair[0] + 1.0))
}

/// The problem of a text that is the source of a program: it has code, and no line below its last line of code gives a
/// metric, except in comments. A log that begins with the source of its program has such lines, and one that quotes code
/// has more lines with metrics than with code.
pub fn of_program(name: &str, text: &str) -> Option<Problem> {
    let is_code = |line: &str| CODE.is_match(line);
    if let Some(end) = end_of_source(name) {
        let (number, line) = (1..).zip(text.lines()).find(|(_, line)| !line.trim().is_empty())?;
        let what = format!("it is a source file, as .{end} in its name says");
        return (!quotes_log(text)).then(|| problem(&what, number, line));
    }
    let (number, line) = lines(text).find(|(_, line)| is_code(line))?;
    if lines(text).filter(|(_, line)| is_code(line)).count() < FEW {
        return None;
    }
    let (mut code, mut measures, mut measures_after) = (0, 0, false);
    for (_, line) in lines(text) {
        if is_code(line) || LIKELY.is_match(line) {
            (code, measures_after) = (code + 1, false);
        } else if !COMMENTS.iter().any(|mark| line.trim_start().starts_with(mark)) {
            let measured = parse(&Text::of(line), None, "").pairs.iter().any(|pair| is_metric(&pair.name));
            (measures, measures_after) = (measures + usize::from(measured), measures_after || measured);
        }
    }
    let is_log = measures_after || measures > code;
    (!is_log).then(|| problem("it is the source of a program and not what the program printed", number, line))
}

fn problem(what: &str, number: usize, line: &str) -> Problem {
    let line: String = line.trim().chars().take(QUOTED).collect();
    Problem::new(format!("{what} (line {number}: {line:?}), so the numbers in it are no curve"))
        .hint("give the output of the program; to read the file anyway, use --format log")
}
