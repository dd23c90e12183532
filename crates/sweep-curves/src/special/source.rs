//! Sources of programs, whose comments, texts and lists may look like lines of a log.

use std::sync::LazyLock;

use regex::Regex;

use super::is_metric;
use crate::Problem;
use crate::line::{Text, parse};

/// Number of lines of code from which on a text is a source. Logs may quote one.
const FEW: usize = 2;
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

/// The problem of a text that is the source of a program: it has code, and no line below its last line of code gives a
/// metric, except in comments. A log that begins with the source of its program has such lines.
pub fn of_program(text: &str) -> Option<Problem> {
    let (mut code, mut first, mut measures_after) = (0, None, false);
    let (mut is_fenced, mut is_quoted) = (false, false);
    for (number, line) in (1..).zip(text.lines()) {
        is_fenced ^= line.trim_start().starts_with("```");
        // A traceback quotes the line below the place.
        if std::mem::replace(&mut is_quoted, line.trim_start().starts_with("File \"")) || is_fenced {
            continue;
        }
        if CODE.is_match(line) || code >= FEW && LIKELY.is_match(line) {
            first = first.or(Some((number, line)));
            (code, measures_after) = (code + 1, false);
        } else if code >= FEW && !measures_after && !COMMENTS.iter().any(|mark| line.trim_start().starts_with(mark)) {
            measures_after = parse(&Text::of(line), None, "").pairs.iter().any(|pair| is_metric(&pair.name));
        }
    }
    let (number, line) = first.filter(|_| code >= FEW && !measures_after)?;
    let line: String = line.trim().chars().take(QUOTED).collect();
    let what = format!(
        "it is the source of a program and not what the program printed (line {number}: {line:?}), so the numbers in it \
         are no curve"
    );
    Some(Problem::new(what).hint("give the output of the program; to read the file anyway, use --format log"))
}
