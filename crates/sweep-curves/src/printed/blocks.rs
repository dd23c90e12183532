//! What stands between the values of a log without epochs. Where every score has a text of its own above it, the scores are
//! those of several models.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Most scores that may be results. More are a curve, between whose values samples may be printed.
const MOST: usize = 12;
/// Most lines of a block that are kept.
const LINES: usize = 500;

/// The texts so far, each up to a value that came again.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// Texts since the last value, which may belong to the next one.
    above: Vec<u64>,
    now: Vec<u64>,
    ended: Vec<Vec<u64>>,
    many: bool,
}

impl Blocks {
    /// Adds a line without values. Its numbers do not count.
    pub(super) fn text(&mut self, text: &str) {
        if text.contains(char::is_alphabetic) && self.above.len() < LINES {
            self.above.push(hash(text.chars().filter(|letter| letter.is_alphabetic())));
        }
    }

    /// A line with a value came, below the texts before it, behind a text, or under the name of a fold.
    pub(super) fn value(&mut self, line: &str, fold: Option<&str>) {
        let number = line.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(line.len());
        self.now.append(&mut self.above);
        self.now.push(hash(line[..number].chars().filter(|letter| letter.is_alphabetic())));
        self.now.extend(fold.map(|fold| hash(fold.chars())));
    }

    /// The values of a block are complete.
    pub(super) fn end(&mut self) {
        let block = std::mem::take(&mut self.now);
        self.many |= self.ended.len() >= MOST;
        if !self.many {
            self.ended.push(block);
        }
    }

    /// Another curve begins.
    pub(super) fn new_part(&mut self) {
        self.many = true;
    }

    /// Whether every block has a line that no other has.
    pub(super) fn are_results(&self) -> bool {
        let mut blocks: HashMap<u64, usize> = HashMap::new();
        for block in &self.ended {
            let mut lines = block.clone();
            lines.sort_unstable();
            lines.dedup();
            lines.into_iter().for_each(|line| *blocks.entry(line).or_default() += 1);
        }
        !self.many && self.ended.len() > 1 && self.ended.iter().all(|block| block.iter().any(|line| blocks[line] == 1))
    }
}

fn hash(letters: impl Iterator<Item = char>) -> u64 {
    let mut hasher = DefaultHasher::new();
    letters.for_each(|letter| letter.hash(&mut hasher));
    hasher.finish()
}
