//! Tables in text: the columns of a header, and rows below it. Cells are separated by `|`, tabs, or spaces.

use super::names::{Target, is_validation, meaning, names_part, quantity};
use super::rows::Place;
use super::scan::{Token, scan};
use super::special::{are_both_sets, is_of_example, score};
use super::table;

/// The columns of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    names: Vec<String>,
    separator: Separator,
}

/// Cells of a line that may be the first of a heading of two: `Mini-batch` above `Loss`.
pub type Above = Vec<String>;

/// What separates the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Separator {
    Bar,
    /// Lines that are drawn.
    Box,
    /// LaTeX.
    Ampersand,
    /// CSV among other text.
    Comma,
    Tab,
    /// Two spaces or more, so that names may have one.
    Wide,
    Space,
}

const SEPARATORS: [Separator; 7] = [
    Separator::Bar,
    Separator::Box,
    Separator::Ampersand,
    Separator::Comma,
    Separator::Tab,
    Separator::Wide,
    Separator::Space,
];
/// Drawn lines between cells.
const BARS: [char; 3] = ['│', '┃', '║'];

impl Separator {
    fn cells(self, line: &str) -> Vec<&str> {
        let line = line.trim().trim_start_matches('#').trim();
        match self {
            Separator::Box => line.trim_matches(BARS).split(BARS).map(str::trim).collect(),
            Separator::Ampersand => line.trim_end_matches('\\').split('&').map(str::trim).collect(),
            Separator::Bar => line.trim_matches('|').split('|').map(str::trim).collect(),
            Separator::Comma => line.split(',').map(str::trim).collect(),
            Separator::Tab => line.split('\t').map(str::trim).collect(),
            Separator::Wide => line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect(),
            Separator::Space => line.split_whitespace().collect(),
        }
    }
}

/// Reads a header. Its cells are names, and at least two of them mean something, a metric among them. `above` is the line
/// before, and becomes this one.
pub fn header(line: &str, above: &mut Above) -> Option<Columns> {
    let upper = std::mem::take(above);
    let bars: Vec<&str> = if line.contains('|') { Separator::Bar.cells(line) } else { Vec::new() };
    let has_names = bars.len() > 2 && bars.iter().all(|cell| number(cell, false).is_none()) && !is_rule(line);
    if has_names && upper.len() == bars.len() {
        let joined: Vec<String> = upper.iter().zip(&bars).map(|(one, other)| format!("{one} {other}")).collect();
        return header_of(&joined.join("|"));
    }
    if has_names {
        *above = bars.into_iter().map(str::to_owned).collect();
    }
    header_of(line)
}

/// Whether cells name both sets.
fn names_sets(cells: &[&str]) -> bool {
    let of_validation = |cell: &&str| names_part(cell).map(is_validation);
    [true, false].iter().all(|is| cells.iter().any(|cell| of_validation(cell) == Some(*is)))
}

fn header_of(line: &str) -> Option<Columns> {
    if let Some(names) = spacy(line) {
        return Some(Columns { names, separator: Separator::Wide });
    }
    let is_inside = |at: usize| {
        let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
        digit(line.as_bytes().get(at + 1)) && at > 0 && digit(line.as_bytes().get(at - 1))
    };
    // `mAP@0.5:0.95` is a name.
    let has_colon = || line.match_indices(':').any(|(at, _)| !is_inside(at)) && !line.contains("(hh:mm:ss)");
    if line.contains('=') || has_colon() {
        return None;
    }
    // In a sentence, commas separate other things.
    let fits = |separator: &Separator| line.contains(',') == (*separator == Separator::Comma);
    SEPARATORS.into_iter().filter(fits).find_map(|separator| {
        let cells = separator.cells(line);
        let meanings: Vec<_> = cells.iter().map(|cell| meaning(cell).map(|(target, _)| target)).collect();
        let metrics = meanings.iter().filter(|target| matches!(target, Some(Target::Metric(_)))).count();
        let known = meanings.iter().flatten().count();
        let begins = matches!(meanings.first(), Some(Some(Target::Epoch | Target::Step)));
        // A sentence may have the words, too: `train loss and accuracy`.
        let has_scores =
            begins && (cells.iter().any(|cell| score(cell).is_some()) || are_both_sets(cells.iter().copied()));
        let is_header = cells.len() > 1
            // `--- train loss & acc ---` is a heading; LaTeX ends a row with backslashes.
            && !line.contains("---")
            && (separator != Separator::Ampersand || cells.len() > 2 || line.trim_end().ends_with('\\'))
            && (metrics > 0 && known > 1 || has_scores)
            && (begins
                || separator == Separator::Comma && is_row_of_names(&cells)
                || ![Separator::Space, Separator::Comma].contains(&separator)
                    && (known > cells.len() / 2 || metrics > 1 && 2 * known >= cells.len()))
            && cells.iter().all(|cell| number(cell, false).is_none() && (!has_decimal(cell) || score(cell).is_some()));
        // Each row is another training, or another example.
        let counts = meanings.iter().any(|target| matches!(target, Some(Target::Epoch | Target::Step)));
        // A logger's table may begin with the learning rate, and have both sets.
        let is_rate = |at: usize| separator == Separator::Tab && at == 0 && meanings[0] == Some(Target::LearningRate);
        let is_of_logger = |at: usize| is_rate(at) && metrics > 1 && names_sets(&cells);
        let is_other = |(at, cell): (usize, &&str)| is_setting(cell) && !is_of_logger(at) || is_of_example(cell);
        let is_comparison = !counts && cells.iter().enumerate().any(is_other);
        (is_header && !is_comparison).then(|| {
            let mut names: Vec<String> = cells.into_iter().map(str::to_owned).collect();
            // pandas writes the number of the row, which is the epoch of a history.
            if separator == Separator::Comma && names[0].is_empty() {
                names[0] = "epoch".to_owned();
            }
            Columns { names, separator }
        })
    })
}

/// Whether all cells are single words that mean something, except that the first one may be empty: `,loss,acc,val_loss`.
fn is_row_of_names(cells: &[&str]) -> bool {
    let is_known = |cell: &&str| !cell.contains(' ') && meaning(cell).is_some();
    let rest = if cells[0].is_empty() { &cells[1..] } else { cells };
    rest.len() > 1 && rest.iter().all(is_known)
}

/// Whether a column has what differs between trainings, and not between the epochs of one.
fn is_setting(name: &str) -> bool {
    matches!(meaning(name), Some((Target::LearningRate, _))) || table::is_setting(name)
}

/// The columns of spaCy's training, `E    #       LOSS TOK2VEC  LOSS NER  ENTS_F  SCORE`, by names that say what they are.
fn spacy(line: &str) -> Option<Vec<String>> {
    let cells = Separator::Wide.cells(line);
    let [first, second, rest @ ..] = &cells[..] else { return None };
    let name = |cell: &&str| match cell.strip_prefix("LOSS ") {
        Some(part) => format!("train/{}_loss", part.to_lowercase()),
        None => (*cell).to_owned(),
    };
    let is_spacy = (*first, *second) == ("E", "#") && rest.iter().any(|cell| cell.starts_with("LOSS "));
    is_spacy.then(|| ["epoch", "step"].map(str::to_owned).into_iter().chain(rest.iter().map(name)).collect())
}

/// The cells of a list, as fastai prints a row without a progress bar: `(#5) [0, 0.53, 0.61, 0.8, '00:12']`.
fn list(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let line = line.split_once("(#").and_then(|(_, rest)| rest.split_once(") ")).map_or(line, |(_, rest)| rest);
    Some(line.strip_prefix('[')?.strip_suffix(']')?.split(',').map(str::trim).collect())
}

fn has_decimal(cell: &str) -> bool {
    scan(cell).iter().any(|token| matches!(token, Token::Number { decimal: true, .. }))
}

/// Whether a line only rules a table off: `|---|:--:|`.
pub fn is_rule(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && line.chars().all(|letter| "|-=+:_ ".contains(letter) || ('─'..='╿').contains(&letter))
}

/// Whether a row has the means or deviations of those above it, which are those of repetitions.
pub fn is_mean(line: &str) -> bool {
    let mut words =
        line.split(|letter: char| !letter.is_alphanumeric() && letter != '.').filter(|word| !word.is_empty());
    let is_named = words.next().is_some_and(|word| ["mean", "std", "average"].contains(&word.to_lowercase().as_str()));
    let mut values = words.peekable();
    is_named && values.peek().is_some() && values.all(|word| word.parse::<f64>().is_ok())
}

impl Columns {
    /// Whether a column says which epoch or step a row belongs to.
    pub fn counts(&self) -> bool {
        self.names.iter().any(|name| matches!(meaning(name), Some((Target::Epoch | Target::Step, _))))
    }

    /// Whether a line has the cells of a row, and its epoch or step, so that it is a row even if other cells are no numbers.
    pub fn is_row(&self, line: &str) -> bool {
        let cells = self.separator.cells(line);
        let counts = |name: &str| matches!(meaning(name), Some((Target::Epoch | Target::Step, _)));
        let is_place = |(name, cell): (&String, &&str)| counts(name) && number(cell, false).is_some();
        ![Separator::Wide, Separator::Space].contains(&self.separator)
            && cells.len() == self.names.len()
            && self.names.iter().zip(&cells).any(is_place)
    }

    /// Reads a row: where it belongs, and its numbers. Its first cell, its epoch, or its step is a number.
    pub fn row(&self, line: &str) -> Option<(Place, Vec<(String, f64)>)> {
        // Columns that are apart may be filled tightly.
        let separators = [self.separator, Separator::Wide, Separator::Space];
        let cells = list(line).into_iter().chain(separators.into_iter().map(|separator| separator.cells(line)));
        let mut cells = cells.into_iter().find(|cells| [0, 1].contains(&cells.len().wrapping_sub(self.names.len())))?;
        // pandas prints the number of the row before it.
        if cells.len() > self.names.len() {
            cells.remove(0).parse::<u64>().ok()?;
        }
        let (mut place, mut values) = (Place::default(), Vec::new());
        for (name, cell) in self.names.iter().zip(&cells) {
            let Some(value) = number(cell, quantity(name) == Some("accuracy")) else {
                // `[100 rows x 5 columns]` is no row.
                if quantity(name).is_some() && !is_empty(cell) {
                    return None;
                }
                continue;
            };
            match meaning(name) {
                Some((Target::Epoch, _)) => place.epoch = Some(value),
                Some((Target::Step, _)) => place.step = Some(value),
                _ => values.push((name.clone(), value)),
            }
        }
        let begins = number(cells.first()?, false).is_some();
        let has_place = place.epoch.is_some() || place.step.is_some();
        // A row that names what it is about and not where it belongs is a result.
        let is_named = !has_place && self.names.iter().zip(&cells).any(|(name, cell)| is_label(name, cell));
        ((begins || has_place) && !values.is_empty() && !is_named).then_some((place, values))
    }
}

/// Whether a cell is a text in a column that is no metric.
fn is_label(name: &str, cell: &str) -> bool {
    let starts = cell.trim_matches(|letter| "*_`[]()'\" ".contains(letter)).starts_with(char::is_alphabetic);
    quantity(name).is_none() && starts && !is_empty(cell) && number(cell, false).is_none()
}

/// Whether a cell says that nothing was measured.
fn is_empty(cell: &str) -> bool {
    let cell = cell.trim().to_lowercase();
    !cell.contains(char::is_alphanumeric)
        || ["nan", "none", "null", "na", "n/a", "no log", "no"].contains(&cell.as_str())
}

/// The number in a cell: `0.5`, `80.3%`, `1,234.5`, `[0.5]`, `3/10` (its first part), `nan`. `None` if there is none, or
/// several. A percentage of an accuracy is a share.
pub fn number(cell: &str, of_accuracy: bool) -> Option<f64> {
    // A sign behind the number marks a row: `**0.9** ✅`.
    let cell = cell.trim_end_matches(|letter: char| !letter.is_ascii() && letter != '∞');
    let cell = cell.trim().trim_matches(|letter| "*_`[]()'\" ".contains(letter)).trim_end_matches('.');
    if let Ok(value) = cell.parse::<f64>() {
        return Some(value);
    }
    // `tensor(3.13, device='cuda:0', grad_fn=<DivBackward0>)`.
    let cell = cell.strip_prefix("tensor(").and_then(|inside| inside.split(',').next()).unwrap_or(cell);
    let tokens = scan(cell);
    match tokens[..] {
        [Token::Number { value, percent, unit: false, .. }] => {
            Some(if percent && of_accuracy { value / 100.0 } else { value })
        }
        [Token::Fraction(value, _)] => Some(value),
        // `93.1 ± 0.2`, `93.1 (0.2)`.
        [Token::Number { value, percent, unit: false, .. }, Token::Mark('±' | '('), ..] => {
            Some(if percent && of_accuracy { value / 100.0 } else { value })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_several_tools_are_read() {
        for (head, line, expected) in [
            (
                "epoch     train_loss  valid_loss  accuracy  time    ",
                "0         0.812000    0.713000    0.750000  00:12",
                3,
            ),
            (
                "| Training Loss | Epoch | Step | Validation Loss | Accuracy |",
                "| No log        | 1.0   | 100  | 0.5122          | 0.81     |",
                2,
            ),
            ("Step\tTraining Loss\tValidation Loss", "500\t0.612000\t0.583312", 2),
            ("# epoch train_loss val_loss", "1 0.5 0.6", 2),
        ] {
            let columns = header(head, &mut Above::default()).unwrap_or_else(|| panic!("{head} is a header"));
            let (place, values) = columns.row(line).unwrap_or_else(|| panic!("{line} is a row"));
            assert!(place.epoch.is_some() || place.step.is_some());
            assert_eq!(values.len(), expected, "{line}: {values:?}");
        }
        for sentence in ["The train loss and accuracy are fine", "loss", "epoch 1 loss 0.5", "1  2  3"] {
            assert_eq!(header(sentence, &mut Above::default()), None, "{sentence}");
        }
    }

    #[test]
    fn cells_are_read_as_people_write_them() {
        for (cell, expected) in [
            ("80.3%", Some(0.803)),
            ("1,234.5", Some(1234.5)),
            ("[0.0001]", Some(0.0001)),
            ("0.5.", Some(0.5)),
            ("00:12", None),
            ("", None),
            ("high", None),
            ("**0.9**", Some(0.9)),
        ] {
            let found = number(cell, true);
            assert!(found.zip(expected).map_or(found == expected, |(a, b)| (a - b).abs() < 1e-9), "{cell}: {found:?}");
        }
    }
}
