//! Python's literals, as `print(history.history)` writes them, turned into JSON.

/// Longest text that is turned, in bytes.
const LONGEST: usize = 16 << 20;

/// Returns the JSON of a literal: `{'loss': [0.5, np.float32(0.25), nan], 'path': None}`. Text that is no literal gives text
/// that is no JSON.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = &text[..text.len().min(LONGEST)];
    // For each open bracket: the one that closes it in JSON, or none for the call around a number.
    let mut open: Vec<Option<char>> = Vec::new();
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '\'' | '"' => {
                let (string, taken) = quoted(rest, first);
                out += &serde_json::to_string(&string).unwrap_or_default();
                length = taken;
            }
            '{' | '[' | '(' => {
                open.push(Some(if first == '{' { '}' } else { ']' }));
                out.push(if first == '(' { '[' } else { first });
            }
            '}' | ']' | ')' => {
                if let Some(Some(close)) = open.pop() {
                    out.truncate(out.trim_end_matches([',', ' ', '\n']).len());
                    out.push(close);
                }
            }
            // Only the first argument of a call is the value: `tensor(0.5, device='cuda:0')`.
            ',' if open.last() == Some(&None) => length = rest.find(')').unwrap_or(rest.len()),
            letter if letter.is_alphabetic() && !out.ends_with(|c: char| c.is_ascii_digit() || c == '.') => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
                let word = &rest[..end.unwrap_or(rest.len())];
                length = word.len();
                match word {
                    "True" | "true" => out += "true",
                    "False" | "false" => out += "false",
                    "None" | "null" => out += "null",
                    "nan" | "NaN" => out += "NaN",
                    "inf" | "Infinity" => out += "Infinity",
                    _ if rest[length..].starts_with('(') => {
                        open.push(None);
                        length += 1;
                    }
                    other => out += other,
                }
            }
            other => out.push(other),
        }
        rest = &rest[length..];
    }
    out
}

/// The content of a string at the start of a text, and its length with the quotes.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut string = String::new();
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => {
                string.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            _ if letter == quote => return (string, at + 1),
            _ => string.push(letter),
        }
    }
    (string, text.len())
}

/// The number of brackets that a text opens, less those that it closes. Strings count, too: names with brackets are rare.
pub fn open(text: &str) -> i64 {
    let side = |letter: char| match letter {
        '{' | '[' => 1,
        '}' | ']' => -1,
        _ => 0,
    };
    text.chars().map(side).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_becomes_json() {
        for (python, expected) in [
            ("{'loss': [0.5, nan,], \"a'b\": (1, None)}", r#"{"loss": [0.5, NaN], "a'b": [1, null]}"#),
            ("{'loss': [np.float32(0.25), -inf, 1e-05]}", r#"{"loss": [0.25, -Infinity, 1e-05]}"#),
            ("{'loss': tensor(0.5, device='cuda:0'), 'ok': True}", r#"{"loss": 0.5, "ok": true}"#),
        ] {
            assert_eq!(json(python), expected);
        }
        assert_eq!(["{'a': [1]}", "{'a': [1,", "]"].map(open), [0, 2, -1]);
    }
}
