//! Counts of what was left out, by reason and with examples.

use std::collections::BTreeMap;

use sweep_core::describe::thousands;

/// Maximum number of examples that are kept per reason.
const MOST_EXAMPLES: usize = 3;

/// Why a file is not part of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    Hidden,
    OtherFile,
    OtherFormat,
    NoClass,
    NoPart,
    Unlisted,
    Missing,
    Twice,
    Dangling,
    Empty,
    TooLarge,
    Undecodable,
    TooDeep,
    NoImages,
}

impl Reason {
    /// Returns the text after the count.
    fn text(self) -> &'static str {
        match self {
            Reason::Hidden => "hidden, because the name begins with a dot",
            Reason::OtherFile => "not an image, by the ending of the name",
            Reason::OtherFormat => "an image format that is not read; convert it to JPEG or PNG to use it",
            Reason::NoClass => "in no class folder",
            Reason::NoPart => "outside train/, val/ and test/",
            Reason::Unlisted => "not in the file of labels",
            Reason::Missing => "in the file of labels, but not in the folder",
            Reason::Twice => "listed twice with the same label; used once",
            Reason::Dangling => "a link to a file that does not exist",
            Reason::Empty => "empty",
            Reason::TooLarge => "too large to decode",
            Reason::Undecodable => "damaged",
            Reason::TooDeep => "a folder nested too deeply, or a link to a folder that contains it",
            Reason::NoImages => "a folder without images, which is therefore not a class",
        }
    }

    /// Returns whether the file was meant to be used. Only few such files are tolerated.
    pub fn is_damage(self) -> bool {
        matches!(self, Reason::Missing | Reason::Dangling | Reason::Empty | Reason::TooLarge | Reason::Undecodable)
    }
}

/// What was left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Skipped(BTreeMap<Reason, (u64, Vec<String>)>);

impl Skipped {
    /// Counts a file. The example names it, and may say more.
    pub fn add(&mut self, reason: Reason, example: impl Into<String>) {
        let (count, examples) = self.0.entry(reason).or_default();
        *count += 1;
        if examples.len() < MOST_EXAMPLES {
            examples.push(example.into());
        }
    }

    /// Returns the number of files that were meant to be used.
    pub fn damage(&self) -> u64 {
        self.0.iter().filter(|(reason, _)| reason.is_damage()).map(|(_, (count, _))| count).sum()
    }

    /// Returns one line per reason.
    pub fn notes(&self) -> Vec<String> {
        let note = |(reason, (count, examples)): (&Reason, &(u64, Vec<String>))| {
            let more = if *count > examples.len() as u64 { ", …" } else { "" };
            format!("{} skipped: {} ({}{more})", thousands(*count), reason.text(), examples.join(", "))
        };
        self.0.iter().map(note).collect()
    }
}
