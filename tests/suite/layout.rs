//! The limits of CONTRIBUTING.md on the source. Clippy holds the length of functions (`clippy.toml`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Maximum number of lines of a file, not counting tests.
const MOST_LINES: usize = 500;

/// The line before a module of tests.
const FOR_TESTS: &str = "#[cfg(test)]";

#[test]
fn no_source_file_has_more_than_500_lines_besides_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = std::fs::read_dir(root.join("crates")).expect("there are crates").flatten();
    let folders = crates.map(|entry| entry.path().join("src")).chain([root.join("src")]);
    let mut files = Vec::new();
    folders.for_each(|folder| collect(&folder, &mut files));
    assert!(files.len() > 300, "only {} files were found", files.len());
    let tests: BTreeSet<PathBuf> = files.iter().flat_map(|(path, text)| modules_of_tests(path, text)).collect();
    let is_code = |path: &Path| path.ancestors().all(|part| !tests.contains(&part.with_extension("")));
    let long = files.iter().filter(|(path, _)| is_code(path)).map(|(path, text)| (path, lines_of_code(text)));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > MOST_LINES).collect();
    assert!(long.is_empty(), "split these files by what their parts do: {long:?}");
}

/// Adds all Rust files in a folder and below.
fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("the source can be read");
            files.push((path, text));
        }
    }
}

/// Number of lines before the tests of a file.
fn lines_of_code(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let are_tests = |pair: &[&str]| pair[0] == FOR_TESTS && pair[1].starts_with("mod ") && pair[1].ends_with('{');
    lines.windows(2).position(are_tests).unwrap_or(lines.len())
}

/// The modules that a file declares for tests alone, as paths without an extension.
fn modules_of_tests(path: &Path, text: &str) -> Vec<PathBuf> {
    let is_root = path.file_stem().is_some_and(|stem| ["lib", "main", "mod"].iter().any(|root| stem == *root));
    let folder = if is_root { path.parent().expect("it is in a folder").to_owned() } else { path.with_extension("") };
    let lines: Vec<&str> = text.lines().collect();
    let declared = lines.windows(2).filter(|pair| pair[0] == FOR_TESTS);
    let names = declared.filter_map(|pair| pair[1].strip_prefix("mod ")?.strip_suffix(';'));
    names.map(|name| folder.join(name)).collect()
}
