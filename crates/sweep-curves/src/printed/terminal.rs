//! What terminals get beside text.

/// Removes ECMA-48 control sequences: `ESC [` up to a letter.
pub(super) fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after =
            part.strip_prefix('[').and_then(|rest| rest.split_once(|letter: char| letter.is_ascii_alphabetic()));
        plain.push_str(after.map_or(part, |(_, rest)| rest));
    }
    plain
}
