//! `name:` of the sweep file, which names a folder.

use std::path::Path as Folder;

use super::kind::Kind;
use super::node::Table;
use super::plain;
use super::value::show;

/// Maximum length of a sweep's name, in characters.
const LONGEST_NAME: usize = 100;

/// Returns whether the name is valid for a folder on every system and cannot be interpreted as a path.
pub fn is_folder_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(usable)
        && name.len() <= LONGEST_NAME
}

/// The name of a folder for a title: `my first sweep` becomes `my-first-sweep`.
fn folder_of(title: &str) -> String {
    let words = title.split(|char| !usable(char)).map(|word| word.trim_matches(['-', '.', '_']));
    let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    joined.chars().take(LONGEST_NAME).collect()
}

fn usable(char: char) -> bool {
    char.is_ascii_alphanumeric() || "._-".contains(char)
}

/// Returns the sweep's name, which names a folder: the name in the file, or the file name without its extension.
pub fn name(table: &Table, file: &str) -> String {
    let of_file = || {
        let stem = Folder::new(file).file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let name: String = stem.chars().map(|char| if usable(char) { char } else { '-' }).take(LONGEST_NAME).collect();
        let name = name.trim_start_matches(['.', '-']);
        if name.is_empty() { "sweep".to_owned() } else { name.to_owned() }
    };
    let Some(node) = table.get("name") else { return of_file() };
    let name = node
        .take(Kind::Text, "the name of the sweep's folder; for example, write digits-dropout")
        .map(|name| plain(&name))
        .unwrap_or_default();
    if name.is_empty() || is_folder_name(&name) {
        return name;
    }
    // At W&B a name is a title, any text.
    let mut folder = folder_of(&name);
    if folder.is_empty() && name.contains(char::is_alphanumeric) {
        folder = of_file();
    }
    if is_folder_name(&folder) {
        node.note_same(format!("is a title; the sweep's folder is named {folder}"));
    } else {
        let rule = format!("is {}, which is not a valid folder name", show(node.value));
        node.wrong(rule, format!("use at most {LONGEST_NAME} letters, digits, `.`, `_`, and `-`, without spaces"));
    }
    folder
}
