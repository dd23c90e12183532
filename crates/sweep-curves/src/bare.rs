//! Numbers without names: one in a line, alone or behind its epoch, or in a list. The name of the file tells what they are,
//! or their course.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{Target, is_ignorable, meaning, names_part, quantity};
use super::special::{self, is_measure, is_metric, quantity_of, rise};
use super::{Problem, prefix, table};
use sweep_core::command_line::argument;

/// Numbers from which on they may be a curve.
const FEW: usize = 5;
/// Lines that are read before a text is given up because most have no number, or have words.
const EXAMINED: usize = 100;
/// The number of characters of a line that is quoted.
const QUOTED: usize = 60;
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)[-+]?\binf(?:inity)?\b|\bnan\b|[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
        .expect("it is an expression")
});
/// A number as PyTorch prints it: `tensor(2.3, grad_fn=<NllLossBackward>)`.
static TENSOR: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"tensor\(\[?([^,()\]]*)\]?(?:,[^()]*)?\)").expect("it is an expression"));

/// The numbers of a line: its epoch and step by the words before them, and those without a word, with whether they are
/// written as whole numbers.
#[derive(Debug, Default)]
struct Line {
    epoch: Option<f64>,
    step: Option<f64>,
    bare: Vec<(f64, bool)>,
}

impl Line {
    /// Reads a line that has numbers, and words for places alone.
    fn of(text: &str) -> Option<Line> {
        let (_, text) = prefix::strip(text)?;
        let text = &*TENSOR.replace_all(text, "$1");
        let (mut line, mut end) = (Line::default(), 0);
        for number in NUMBER.find_iter(text) {
            let gap = &text[end..number.start()];
            let words: Vec<&str> =
                gap.split(|letter: char| !letter.is_alphabetic()).filter(|it| !it.is_empty()).collect();
            let value: f64 = number.as_str().parse().ok()?;
            match words[..] {
                // Versions and dates are no numbers.
                [] if end > 0 && gap.is_empty() => return None,
                // `3/10`.
                [] if end > 0 && gap.trim() == "/" => {}
                [] => line.bare.push((value, number.as_str().bytes().all(|byte| byte.is_ascii_digit()))),
                [word] | [word, "no" | "number" | "index"] => match target(word)? {
                    Target::Epoch => line.epoch = Some(value.abs()),
                    _ => line.step = Some(value.abs()),
                },
                _ => return None,
            }
            end = number.end();
        }
        let goes_on = |letter: char| letter.is_alphanumeric() || letter == '%';
        (!text[end..].contains(goes_on)).then_some(line)
    }

    fn is_header(&self) -> bool {
        self.epoch.is_some() && self.step.is_none() && self.bare.is_empty()
    }

    fn shape(&self) -> (bool, bool, usize) {
        (self.epoch.is_some(), self.step.is_some(), self.bare.len())
    }
}

/// The place that a word names.
fn target(word: &str) -> Option<Target> {
    match meaning(word) {
        Some((target @ (Target::Epoch | Target::Step), _)) => Some(target),
        _ => word.eq_ignore_ascii_case("batch").then_some(Target::Step),
    }
}

/// A text of numbers.
#[derive(Debug, Default)]
struct Numbers<'a> {
    /// Epoch, step, and value.
    rows: Vec<[Option<f64>; 3]>,
    /// Whether words tell that they are of a training: they name its epochs or steps, or what has a gradient.
    of_training: bool,
    /// Whether a column of whole numbers counts them.
    counts: bool,
    /// Lines of other forms.
    left: Vec<&'a str>,
}

/// Reads a list in brackets, or a text of one line.
fn list(text: &str) -> Option<Numbers<'_>> {
    let text = text.trim();
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let inside = inside.or_else(|| Some(text).filter(|text| !text.contains('\n')))?;
    let values = inside.split([',', ' ', '\t', '\n', '\r']).filter(|value| !value.is_empty());
    let row = |value: &str| Some([None, None, Some(value.parse::<f64>().ok()?)]);
    let rows: Vec<_> = values.map(row).collect::<Option<_>>()?;
    (rows.len() >= FEW).then(|| Numbers { rows, ..Numbers::default() })
}

/// Reads a text with a number in nearly each line, and perhaps its place.
fn lines(text: &str) -> Option<Numbers<'_>> {
    let (mut header, mut shape, mut lines, mut left) = (None, None, Vec::new(), Vec::new());
    for text in text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()) {
        match Line::of(text) {
            Some(line) if line.is_header() => header = line.epoch,
            Some(line) if line.shape() == (false, false, 0) => {}
            Some(line) if line.shape().2 > 0 && *shape.get_or_insert(line.shape()) == line.shape() => {
                lines.push(Line { epoch: line.epoch.or(header), ..line });
            }
            _ => left.push(text),
        }
        if left.len() > EXAMINED + lines.len() {
            return None;
        }
    }
    let (.., columns) = shape.filter(|_| lines.len() >= FEW && 4 * left.len() <= lines.len())?;
    // A second training counts from the beginning again.
    let goes_on = |pair: &[Line], at: usize| {
        pair[0].bare[at].0 < pair[1].bare[at].0
            || pair[0].epoch != pair[1].epoch
            || pair[1].bare[at].0 == lines[0].bare[at].0 && pair[0].bare[at].0 != pair[1].bare[at].0
    };
    let counts = |at: usize| lines.iter().all(|line| line.bare[at].1) && lines.windows(2).all(|pair| goes_on(pair, at));
    let count = match columns {
        1 => None,
        2 => Some([0, 1].into_iter().find(|at| counts(*at))?),
        _ => return None,
    };
    let value = count.map_or(0, |count| 1 - count);
    let first = &lines[0];
    let of_training = first.epoch.is_some() || first.step.is_some() || text.contains("grad_fn=");
    let by_ones = |at: usize| {
        first.epoch.is_none()
            && first.bare[at].0 <= 1.0
            && lines.windows(2).all(|pair| pair[1].bare[at].0 - pair[0].bare[at].0 <= 1.0)
    };
    let of_epochs = count.is_some_and(by_ones);
    let row = |line: &Line| {
        let counted = count.map(|at| line.bare[at].0);
        let [epoch, step] = if of_epochs { [counted, None] } else { [None, counted] };
        [line.epoch.or(epoch), line.step.or(step), Some(line.bare[value].0)]
    };
    let rows = lines.iter().map(row).collect();
    Some(Numbers { rows, of_training, counts: count.is_some(), left })
}

/// Whether a name says that numbers are something else than a loss, such as a rate or times.
fn is_other(stem: &str) -> bool {
    meaning(stem).is_some() || is_measure(stem) || is_ignorable(stem) || is_ignorable(stem.trim_end_matches('s'))
}

/// Whether numbers move further in one direction than from one to the next, as noise does not.
fn is_steady(values: &[f64]) -> bool {
    let steps: f64 = values.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    rise(values).abs() * (values.len() - 1) as f64 > steps
}

/// What numbers are by the name of their file: a metric, or a set, whose quantity their course tells.
fn of_file(stem: &str, values: &[f64], of_training: bool) -> Option<(String, String)> {
    if is_metric(stem) || quantity(stem).is_some() {
        return Some((stem.to_owned(), "which is in the file's name".to_owned()));
    }
    let part = names_part(stem).filter(|_| !is_other(stem))?;
    let (quantity, how) = quantity_of(values);
    let is_certain = is_steady(values) || of_training && quantity == "loss" && rise(values) < 0.0;
    is_certain.then(|| {
        (format!("{part} {quantity}"), format!("which is a guess: the file's name has only the set, and they {how}"))
    })
}

/// The training loss, if nothing but the course tells: numbers of a training fall, and not in a few steps as learning rates do.
fn by_course(stem: &str, values: &[f64], of_training: bool) -> Option<(String, String)> {
    let changes = values.windows(2).filter(|pair| pair[0] != pair[1]).count();
    (of_training && !is_other(stem) && rise(values) < 0.0 && 2 * changes > values.len())
        .then(|| ("train_loss".to_owned(), "which is a guess: they fall like a loss".to_owned()))
}

/// A text of numbers without names as a table with the name that the file's name or the course of the numbers tells, and how
/// it was understood. A line with a name may stand above them. `None` for any other text.
///
/// # Errors
/// Returns an error if nothing tells what the numbers are.
pub fn as_table(file: &str, bytes: &[u8]) -> Result<Option<(String, Vec<String>)>, Problem> {
    let text = String::from_utf8_lossy(bytes);
    let (name, rest) = match text.trim_start().split_once('\n') {
        Some((name, rest)) if is_metric(name.trim()) => (Some(name.trim().to_owned()), rest),
        _ => (None, &*text),
    };
    let Some(numbers) = list(rest).or_else(|| lines(rest)) else { return Ok(None) };
    let values: Vec<f64> = numbers.rows.iter().filter_map(|row| row[2]).filter(|value| value.is_finite()).collect();
    if values.iter().all(|value| value.fract() == 0.0) || special::end_of_source(file).is_some() {
        return Ok(None);
    }
    let stem = table::stem(file);
    if let Some(problem) = special::unjudgeable(&[stem]) {
        return Err(problem);
    }
    let named = name.map(|name| (name, "which stands above them".to_owned()));
    let found = named.or_else(|| of_file(stem, &values, numbers.of_training));
    let found = found.or_else(|| by_course(stem, &values, numbers.of_training));
    let Some((name, why)) = found else {
        return if numbers.counts && !numbers.of_training { Ok(None) } else { Err(nameless(file, &numbers)) };
    };
    let mut notes = vec![format!("the numbers have no names, and were read as {name}, {why}")];
    if let Some(first) = numbers.left.first() {
        let first: String = first.trim().chars().take(QUOTED).collect();
        notes.push(format!(
            "lines of another form were left out ({}), the first of which is {first:?}",
            numbers.left.len()
        ));
    }
    Ok(Some((table_of(&numbers.rows, &name), notes)))
}

fn table_of(rows: &[[Option<f64>; 3]], name: &str) -> String {
    let name = name.replace([',', ';', '\t', '"'], " ");
    let columns = ["epoch", "step", &name];
    let has: Vec<usize> = (0..3).filter(|at| rows.iter().any(|row| row[*at].is_some())).collect();
    let line = |cell: &dyn Fn(usize) -> String| has.iter().map(|at| cell(*at)).collect::<Vec<_>>().join(",") + "\n";
    let cell = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = rows.iter().map(|row| line(&|at| cell(row[at])));
    line(&|at| columns[at].to_owned()) + &rows.collect::<String>()
}

fn nameless(file: &str, numbers: &Numbers) -> Problem {
    let what = match numbers.of_training {
        true => "its numbers have no names, and nothing tells what they are",
        false => "it has only numbers, without names",
    };
    Problem::new(format!("{what} ({} numbers)", numbers.rows.len())).hint(format!(
        "if they are a metric, write its name above them and read the new file, for example `(echo train_loss; cat {}) > \
         named.txt`",
        argument(file)
    ))
}

#[cfg(test)]
mod tests {
    use crate::published::{read_file, refusal};
    use crate::{Source, read};

    const LOSSES: [f64; 6] = [2.5, 2.0, 1.75, 1.5, 1.25, 0.5];
    const SHOWN: &str = "2.5 - - -, 2 - - -, 1.75 - - -, 1.5 - - -, 1.25 - - -, 0.5 - - -";

    fn each(line: impl Fn(usize, f64) -> String) -> String {
        LOSSES.iter().enumerate().map(|(at, loss)| line(at, *loss)).collect()
    }

    #[track_caller]
    fn assert_reads(name: &str, text: &str, expected: &str, note: &str) {
        let (found, notes) = read_file(name, text);
        assert_eq!(found, expected, "{notes}\n{text}");
        assert!(notes.contains(note), "{note} is not in {notes}");
    }

    #[test]
    fn a_place_and_a_number_that_falls_are_the_training_loss() {
        let guess = "were read as train_loss, which is a guess";
        let forms: [&dyn Fn(usize, f64) -> String; 6] = [
            &|at, loss| format!("epoch{}\t{loss}\n", at + 1),
            &|at, loss| format!("Epoch {}/6: {loss}\n", at + 1),
            &|at, loss| format!("epoch 0, batch {at}: {loss}\n\n"),
            &|at, loss| format!("[2024-05-01 10:00:0{at}] step {}: {loss}\n", 100 * at),
            &|at, loss| format!("{at} tensor({loss}, device='cuda:0', grad_fn=<NllLossBackward0>)\n"),
            &|at, loss| format!("iter {at}: {loss}\nsaved\n").replace("saved\n", if at == 3 { "saved\n" } else { "" }),
        ];
        for form in forms {
            assert_reads("out", &each(form), SHOWN, guess);
        }
        let headed = |at: usize| if at.is_multiple_of(3) { format!("Epoch: {}\n", at / 3) } else { String::new() };
        let headed = each(|at, loss| format!("{}{loss}, {}00\n", headed(at), at % 3));
        assert_reads("out", &headed, "2.0833 - - -, 1.0833 - - -", guess);
        let rises = each(|at, loss| format!("epoch {at}: {}\n", 3.0 - loss));
        assert!(refusal(&rises).contains("nothing tells what they are"), "{}", refusal(&rises));
        let rates: String = (0..8).map(|at| format!("epoch {at}: {}\n", if at < 4 { 0.1 } else { 0.01 })).collect();
        assert!(refusal(&rates).contains("nothing tells what they are"), "{}", refusal(&rates));
    }

    #[test]
    fn the_name_of_the_file_tells_what_numbers_are() {
        let of_name = "which is in the file's name";
        assert_reads("train_loss.txt", &each(|at, loss| format!("{}_{loss}\n", at + 1)), SHOWN, of_name);
        assert_reads("loss.txt", &each(|_, loss| format!("{loss}\n")), SHOWN, of_name);
        assert_reads("train_loss.json", &format!("{LOSSES:?}"), SHOWN, of_name);
        let traceback = each(|_, loss| format!("{loss}\n")) + "KeyboardInterrupt: it was stopped\n";
        assert_reads("train_net.log", &traceback, SHOWN, "has only the set");
        assert_reads("train_net.log", &traceback, SHOWN, "lines of another form were left out (1)");
        let scores = each(|_, loss| format!("{}\n", 1.0 - loss / 4.0));
        assert!(read_file("val_acc.txt", &scores).0.starts_with("- - - 0.375, "));
        assert!(read_file("logs/test_loss.txt", &each(|_, loss| format!("{loss}\n"))).0.starts_with("- - 2.5 -, "));
    }

    #[test]
    fn numbers_without_any_name_are_refused_with_the_way_to_read_them() {
        let bare = each(|_, loss| format!("{loss}\n"));
        let read_as = |name: &str| {
            let source = Source { name: name.into(), prefix: None, bytes: bare.clone().into() };
            read(&[source], None, &[]).expect_err("it is no curve")
        };
        for name in ["out.txt", "train_lr.txt", "test_times.txt", "rewards.txt"] {
            let problem = read_as(name);
            assert!(problem.what.contains("only numbers") || problem.what.contains("rewards"), "{problem}");
        }
        let hint = read_as("out.txt").hint.unwrap_or_default();
        assert!(hint.contains("(echo train_loss; cat out.txt) > named.txt"), "{hint}");
        assert_reads("named.txt", &format!("train_loss\n{bare}"), SHOWN, "which stands above them");
        assert_reads("named.txt", &format!("train_loss\n{LOSSES:?}"), SHOWN, "which stands above them");
        let noise =
            [0.13, 0.85, 0.76, 0.25, 0.49, 0.45, 0.65, 0.79, 0.39, 0.93, 0.82, 0.73].map(|it| format!("{it}\n"));
        let source = Source { name: "train_data.txt".into(), prefix: None, bytes: noise.concat().into() };
        assert!(read(&[source], None, &[]).is_err());
        let times = each(|at, loss| format!("epoch {at}: {loss}\n"));
        let source = Source { name: "epoch_time.txt".into(), prefix: None, bytes: times.into() };
        assert!(read(&[source], None, &[]).is_err());
        // Data: a feature and a label, a matrix, and whole numbers.
        for text in
            ["0.5 1\n0.2 0\n0.1 1\n0.1 1\n0.05 0\n0.04 1\n", "[[0.5, 0.1]\n [0.2, 0.3]]\n", "5\n4\n3\n2\n1\n0\n"]
        {
            refusal(text);
        }
    }
}
