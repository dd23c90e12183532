//! The folder in which a program starts. The file system is an argument.

use std::path::{Path, PathBuf};

use super::{ELSEWHERE, Need, Program};

/// A folder in which a program may be started, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Absolute path of the folder.
    pub folder: PathBuf,
    /// How the folder was found.
    pub origin: Origin,
}

/// How the folder in which programs start was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `--dir` names it.
    Option,
    /// `folder:` in the sweep file names it.
    Key,
    /// `sweep` was called in it.
    Called,
    /// The sweep file is in it.
    OwnFolder,
    /// It is the root of the Git repository that contains the sweep file.
    Repository,
    /// The sweep has used it so far.
    Sweep,
}

impl Origin {
    /// Returns the origin in words, to follow the folder's path.
    pub fn describe(self) -> &'static str {
        match self {
            Origin::Option => "from `--dir`",
            Origin::Key => "from `folder`",
            Origin::Called => "where `sweep` is called",
            Origin::OwnFolder => "the folder of the sweep file",
            Origin::Repository => "the root of the Git repository",
            Origin::Sweep => "where the sweep's trials have started so far",
        }
    }
}

impl Program {
    /// Returns the first of `places` in which the program is found, and the other places that have it, too. `exists`
    /// looks a path up. `None` if no place has it, or if nothing in the command names a file.
    pub fn place<'a>(
        &self,
        places: &'a [Place],
        exists: impl Fn(&Path) -> bool,
    ) -> Option<(&'a Place, Vec<&'a Place>)> {
        let (certain, possible) = self.files();
        let has = |place: &Place, name: &String| exists(&place.folder.join(name));
        let mut found = places.iter().filter(|place| match certain[..] {
            [] => possible.iter().any(|name| has(place, name)),
            _ => certain.iter().all(|name| has(place, name)),
        });
        found.next().map(|first| (first, found.filter(|other| other.folder != first.folder).collect()))
    }

    /// Returns the relative paths in the command: those of files that it surely needs, and those of words that may be
    /// files of the program.
    fn files(&self) -> (Vec<String>, Vec<String>) {
        let needs = self.needs("python");
        let certain = needs.iter().filter_map(|(_, need)| match need {
            Need::File(name) => Some(*name),
            Need::Command(name) => Some(*name).filter(|name| name.contains('/')),
        });
        let is_elsewhere = |(_, need): &(usize, Need)| match need {
            Need::Command(name) => ELSEWHERE.contains(&name.rsplit('/').next().unwrap_or(name)),
            Need::File(_) => false,
        };
        let mut possible = Vec::new();
        if !needs.iter().any(is_elsewhere) {
            let after = std::iter::once("").chain(self.command.iter().map(String::as_str));
            for (item, before) in self.command.iter().zip(after) {
                let item = if item == "${program}" { self.program.as_deref().unwrap_or(item) } else { item };
                if before == "-m" {
                    // A module of Python is a file, or a folder.
                    let path = item.trim_end_matches(".py").replace('.', "/");
                    possible.extend([format!("{path}.py"), path]);
                }
                // A shell's text has the file in the middle.
                let words = item.split(|char: char| char.is_whitespace() || "'\";|&()".contains(char));
                possible.extend(words.filter(|word| is_source(word)).map(str::to_owned));
            }
        }
        let is_relative = |name: &str| !name.is_empty() && !name.starts_with('/');
        let certain = certain.filter(|name| is_relative(name)).map(str::to_owned).collect();
        (certain, possible.into_iter().filter(|name| is_relative(name)).collect())
    }
}

/// Returns whether the next word of a command names a module of Python.
pub fn is_module_flag(word: &str) -> bool {
    word == "-m" || word == "--module"
}

/// Returns whether a word of a command looks like the name of a file with a program.
pub fn is_source(word: &str) -> bool {
    const SUFFIXES: [&str; 6] = [".py", ".sh", ".R", ".jl", ".pl", ".rb"];
    !word.starts_with('-') && !word.contains("${") && SUFFIXES.iter().any(|suffix| word.ends_with(suffix))
}
