//! The position of each value in the text. `serde_yaml` reads the values but does not keep their positions. A second
//! parse of the same text records them, event by event.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use sweep_data::network::Step;

/// Path from the top of the file to a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Returns the path of the value under `name` in the table at this path.
    pub fn key(&self, name: &str) -> Path {
        self.step(Step::Key(name.to_owned()))
    }

    /// Returns the path of the item at `index`, from 0, in the list at this path.
    pub fn index(&self, index: usize) -> Path {
        self.step(Step::Index(index))
    }

    fn step(&self, step: Step) -> Path {
        let mut steps = self.0.clone();
        steps.push(step);
        Path(steps)
    }
}

impl fmt::Display for Path {
    /// Writes `parameters.dropout.values[1]`, or nothing for the top of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(name) if at == 0 => write!(f, "{name}")?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A span of characters in one line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line number, from 1.
    pub line: usize,
    /// Column of the first character, from 1.
    pub column: usize,
    /// Number of characters, at least 1.
    pub width: usize,
}

impl Mark {
    fn of(span: Span) -> Mark {
        let one_line = span.start.line() == span.end.line();
        let width = if one_line { span.end.col().saturating_sub(span.start.col()).max(1) } else { 1 };
        Mark { line: span.start.line().max(1), column: span.start.col() + 1, width }
    }
}

/// A duplicate key in a table of the file.
#[derive(Debug, Clone)]
pub struct Twice {
    /// Path of the table, with the key.
    pub path: Path,
    /// Position of the first occurrence.
    pub first: Mark,
    /// Position of the second occurrence.
    pub again: Mark,
}

/// Positions of all keys and values in a file's first document.
#[derive(Debug, Default)]
pub struct Places {
    keys: HashMap<Path, Mark>,
    values: HashMap<Path, Mark>,
    twice: Vec<Twice>,
    second: Option<Mark>,
    /// The text of values that stand without quotes.
    plain: HashMap<Path, String>,
    /// Where the values of anchors stand, by the parser's numbers.
    anchors: HashMap<usize, Path>,
    /// What stands for the value of an anchor, and that value's place.
    aliases: HashMap<Path, Path>,
}

/// A list or table that is being read.
enum Open {
    List {
        next: usize,
    },
    Table {
        key: Option<(String, Mark)>,
        seen: HashMap<String, Mark>,
    },
    /// A list or table that serves as a key. Nothing in it has a path.
    Key,
}

impl Places {
    /// Records the positions in a text, as far as it can be parsed.
    pub fn read(text: &str) -> Places {
        let mut places = Places::default();
        let (mut open, mut path) = (Vec::new(), Path::default());
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            match event {
                Event::Scalar(text, style, anchor, tag) => {
                    // An empty span is a value left out; its key shows the place better.
                    let mark = (span.start.index() < span.end.index()).then(|| Mark::of(span));
                    let at = places.value(&mut open, &mut path, Some(&text), Mark::of(span), mark, None);
                    if style == ScalarStyle::Plain && tag.is_none() {
                        places.plain.extend(at.clone().map(|at| (at, text.into_owned())));
                    }
                    places.anchors.extend(at.map(|at| (anchor, at)));
                }
                Event::Alias(anchor) => {
                    let at = places.value(&mut open, &mut path, None, Mark::of(span), Some(Mark::of(span)), None);
                    let origin = places.anchors.get(&anchor).cloned();
                    places.aliases.extend(at.zip(origin));
                }
                Event::SequenceStart(anchor, _) => {
                    let at =
                        places.value(&mut open, &mut path, None, Mark::of(span), None, Some(Open::List { next: 0 }));
                    places.anchors.extend(at.map(|at| (anchor, at)));
                }
                Event::MappingStart(anchor, _) => {
                    let table = Open::Table { key: None, seen: HashMap::new() };
                    let at = places.value(&mut open, &mut path, None, Mark::of(span), None, Some(table));
                    places.anchors.extend(at.map(|at| (anchor, at)));
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(Open::Key) => {}
                    _ => drop(path.0.pop()),
                },
                Event::DocumentStart(_) if !places.values.is_empty() => {
                    places.second = Some(Mark::of(span));
                    break;
                }
                _ => {}
            }
        }
        places
    }

    /// Processes one node of the text: a key, or a value, whose `own` mark is preferred to that of its key.
    fn value(
        &mut self,
        open: &mut Vec<Open>,
        path: &mut Path,
        text: Option<&str>,
        here: Mark,
        own: Option<Mark>,
        opens: Option<Open>,
    ) -> Option<Path> {
        let mark = match open.last_mut() {
            None => own.unwrap_or(here),
            Some(Open::Key) => {
                open.extend(opens.map(|_| Open::Key));
                return None;
            }
            Some(Open::List { next }) => {
                path.0.push(Step::Index(*next));
                *next += 1;
                own.unwrap_or(here)
            }
            Some(Open::Table { key: key @ None, seen }) => {
                let name = text.unwrap_or("?").to_owned();
                if let Some(table) =
                    self.values.get_mut(path).filter(|mark| (mark.line, mark.column) == (here.line, here.column))
                {
                    // A block table has no token of its own, so its first key represents it.
                    table.width = here.width;
                }
                if let Some(&first) = seen.get(&name) {
                    let twice = path.key(&name);
                    // The last one counts, so nothing of the first must stay.
                    let is_other = |at: &Path| !at.0.starts_with(&twice.0);
                    self.plain.retain(|at, _| is_other(at));
                    self.aliases.retain(|at, _| is_other(at));
                    self.twice.push(Twice { path: twice, first, again: here });
                } else {
                    seen.insert(name.clone(), here);
                }
                *key = Some((name, here));
                open.extend(opens.map(|_| Open::Key));
                return None;
            }
            Some(Open::Table { key, .. }) => {
                let (name, at) = key.take().expect("the arm above has the tables that await a key");
                path.0.push(Step::Key(name));
                self.keys.insert(path.clone(), at);
                own.unwrap_or(at)
            }
        };
        self.values.insert(path.clone(), mark);
        let at = path.clone();
        match opens {
            Some(opens) => open.push(opens),
            None => drop(path.0.pop()),
        }
        Some(at)
    }

    /// The text of a value that stands without quotes, also where an alias stands for it. `None` for text in quotes, lists
    /// and tables.
    pub fn plain(&self, path: &Path) -> Option<&str> {
        let mut path = path.clone();
        // Aliases lead to what stands before them: the number of steps is bounded by that of the aliases.
        for _ in 0..=self.aliases.len() {
            if let Some(text) = self.plain.get(&path) {
                return Some(text);
            }
            path = self.origin(&path)?;
        }
        None
    }

    /// A value that is a whole number beyond 64 bits, which no reader takes, with its text.
    pub fn too_large(&self) -> Option<(&Path, &str)> {
        let is_too_large = |text: &str| {
            let digits = text.trim_start_matches(['-', '+']);
            digits.len() > 18
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && text.parse::<u64>().is_err()
                && text.parse::<i64>().is_err()
        };
        let found = self.plain.iter().filter(|(_, text)| is_too_large(text));
        found.min_by_key(|(path, _)| self.values.get(path)).map(|(path, text)| (path, text.as_str()))
    }

    /// Where the value stands that an alias around the path stands for; `None` where there is none.
    fn origin(&self, path: &Path) -> Option<Path> {
        (0..=path.0.len()).rev().find_map(|length| {
            let around = Path(path.0[..length].to_vec());
            let origin = self.aliases.get(&around).or_else(|| self.aliases.get(&around.key("<<")))?;
            Some(Path(origin.0.iter().chain(&path.0[length..]).cloned().collect()))
        })
    }

    /// Returns the position of a value. A scalar has its own position, and a list or table has that of its key. If that
    /// is unknown (inside an alias), it is the nearest enclosing position.
    pub fn value_at(&self, path: &Path) -> Option<Mark> {
        let mut path = path.clone();
        loop {
            match self.values.get(&path) {
                Some(&mark) if !path.0.is_empty() => return Some(mark),
                _ => path.0.pop()?,
            };
        }
    }

    /// Returns the position of the value's key, or of the value if there is no key.
    pub fn key_at(&self, path: &Path) -> Option<Mark> {
        self.keys.get(path).copied().or_else(|| self.value_at(path))
    }

    /// Returns where a second document begins, if there is one.
    pub fn second_document(&self) -> Option<Mark> {
        self.second
    }

    /// Returns the duplicate keys, in file order.
    pub fn twice(&self) -> &[Twice] {
        &self.twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> Path {
        steps.iter().fold(Path::default(), |path, step| match step.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(step),
        })
    }

    #[test]
    fn every_value_and_key_has_its_place() {
        let places = Places::read("a:\n  b: [10, {c: xyz}]\n  d:\n    - 1\n    - e: f\n");
        let at = |steps: &[&str]| places.value_at(&path(steps)).map(|mark| (mark.line, mark.column, mark.width));
        assert_eq!(at(&["a"]), Some((1, 1, 1)));
        assert_eq!(at(&["a", "b", "0"]), Some((2, 7, 2)));
        assert_eq!(at(&["a", "b", "1", "c"]), Some((2, 15, 3)));
        assert_eq!(at(&["a", "d", "1", "e"]), Some((5, 10, 1)));
        assert_eq!(places.key_at(&path(&["a", "d"])).map(|mark| mark.line), Some(3));
    }

    /// Two parsers read the same text, and must agree on what stands where.
    #[test]
    fn what_stands_at_each_place_is_the_value_that_serde_yaml_has() {
        fn compare(value: &serde_yaml::Value, path: &Path, text: &str, places: &Places) -> usize {
            match value {
                serde_yaml::Value::Mapping(table) => table
                    .iter()
                    .map(|(key, value)| compare(value, &path.key(key.as_str().unwrap()), text, places))
                    .sum(),
                serde_yaml::Value::Sequence(items) => {
                    let each = items.iter().enumerate();
                    each.map(|(at, value)| compare(value, &path.index(at), text, places)).sum()
                }
                scalar => {
                    let mark = places.value_at(path).unwrap_or_else(|| panic!("{path} has no place"));
                    let line = text.lines().nth(mark.line - 1).unwrap();
                    let shown: String = line.chars().skip(mark.column - 1).take(mark.width).collect();
                    assert_eq!(serde_yaml::from_str::<serde_yaml::Value>(&shown).unwrap(), *scalar, "{path}: {shown}");
                    1
                }
            }
        }
        for text in [
            include_str!("../../../sweeps/quickstart.yaml"),
            include_str!("../../../sweeps/constraints.yaml"),
            include_str!("../../../sweeps/tradeoff.yaml"),
            include_str!("../../../sweeps/race.yaml"),
            include_str!("../../../sweeps/stages.yaml"),
        ] {
            let value = super::super::yaml::parse(text).unwrap();
            let compared = compare(&value, &Path::default(), text, &Places::read(text));
            assert!(compared >= 10, "{compared} values");
        }
    }

    #[test]
    fn what_an_alias_stands_for_has_the_place_of_the_alias() {
        let places = Places::read("a: &x {b: [1, 2]}\nc: *x\n");
        assert_eq!(places.value_at(&path(&["c", "b", "1"])), Some(Mark { line: 2, column: 4, width: 2 }));
    }

    #[test]
    fn text_in_quotes_is_told_from_plain_words_also_behind_an_alias() {
        let text = "a: &x {b: ['1', 2, |-\n 3\n, !!str 4]}\nc: *x\nd: {<<: *x, e: &y 5}\nf: [*y]\ng: &z '6'\nh: *z\n";
        let text = text.replace(", |-\n 3\n", ", \"3\"");
        let places = Places::read(&text);
        for table in ["a", "c", "d"] {
            let read = ["0", "1", "2", "3"].map(|at| places.plain(&path(&[table, "b", at])));
            assert_eq!(read, [None, Some("2"), None, None], "{table}");
        }
        assert_eq!((places.plain(&path(&["d", "e"])), places.plain(&path(&["f", "0"]))), (Some("5"), Some("5")));
        assert_eq!((places.plain(&path(&["g"])), places.plain(&path(&["h"]))), (None, None));
    }

    #[test]
    fn a_key_that_stands_twice_is_found_with_both_places() {
        let places = Places::read("a: 1\nb: {c: 1, c: 2}\n? [d, e]\n: {f: 1}\na: 3\n");
        let twice: Vec<_> =
            places.twice().iter().map(|twice| (twice.path.to_string(), twice.first.line, twice.again.line)).collect();
        assert_eq!(twice, [("b.c".to_owned(), 2, 2), ("a".to_owned(), 1, 5)]);
    }
}
