//! The pages of the documentation name only pages, headings and files that exist, and say nothing twice.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// Pages outside `docs/`.
const PAGES: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "packaging/README.md",
    "results/seeds/README.md",
    "tests/fixtures/curves/README.md",
];

/// Folders of the repository. A text in backticks that begins with one of them is a path.
const FOLDERS: [&str; 8] = ["src/", "crates/", "tests/", "docs/", "scripts/", "sweeps/", "fuzz/", "packaging/"];

/// Paths that do not exist yet: CONTRIBUTING.md says where to write a new file.
const NEW: [&str; 4] = ["NAME", "lion.rs", "src/cli/errors.rs", "…"];

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut dead = Vec::new();
    for (page, text) in pages() {
        for link in links(&prose(&text)) {
            let (path, anchor) = link.split_once('#').unwrap_or((link.as_str(), ""));
            let target = if path.is_empty() { page.clone() } else { normal(&page.with_file_name("").join(path)) };
            let is_there = root().join(&target).exists();
            let is_found = anchor.is_empty() || anchors(&target).contains(anchor);
            if !is_there || !is_found {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "these links are dead:\n{}", dead.join("\n"));
}

#[test]
fn every_path_of_the_repository_in_a_page_exists() {
    let mut missing = Vec::new();
    // The changelog speaks of the past.
    for (page, text) in pages().into_iter().filter(|(page, _)| page != Path::new("CHANGELOG.md")) {
        for path in prose(&text).split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder)) && !path.contains([' ', '*', '{', '<']);
            let is_new = NEW.iter().any(|new| path.contains(new));
            if is_path && !is_new && !root().join(path).exists() {
                missing.push(format!("{}: {path}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "these paths do not exist:\n{}", missing.join("\n"));
}

#[test]
fn no_paragraph_stands_twice_in_a_page() {
    let mut twice = Vec::new();
    for (page, text) in pages() {
        let mut seen = BTreeSet::new();
        let text = prose(&text);
        let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| paragraph.len() > 100);
        let again = paragraphs.filter(|paragraph| !seen.insert(*paragraph));
        twice.extend(again.map(|paragraph| format!("{}: {paragraph}", page.display())));
    }
    assert!(twice.is_empty(), "these paragraphs stand twice:\n{}", twice.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All pages with their texts. The paths start at the root.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = PAGES.iter().map(PathBuf::from).collect();
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).expect("it is a folder").flatten() {
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text =
            std::fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The text of a page without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// The targets of all links and images, except addresses.
fn links(text: &str) -> Vec<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let images = text.split("src=\"").skip(1).filter_map(|rest| rest.split('"').next());
    inline.chain(images).filter(|link| !link.contains("://")).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap_or_default();
    let headings = prose(&text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = parts.pop(),
            Component::Normal(name) => parts.push(name),
            _ => {}
        }
    }
    parts
}
