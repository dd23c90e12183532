//! How a YAML 1.1 reader, such as PyYAML in W&B, interprets a plain word. The reader here uses YAML 1.2, in which
//! `1e-4` is a number and `off` is a word.

/// A plain word as read by YAML 1.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Read {
    /// An empty value, `~`, or `null`.
    Null,
    /// `yes`, `on`, `true`, and their opposites.
    Bool(bool),
    Number(f64),
    /// A date: `2026-01-31`.
    Date,
    /// Any other text.
    Text,
}

/// Reads an unquoted word.
pub fn read(word: &str) -> Read {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => return Read::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Read::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Read::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Read::Number(f64::NAN),
        _ => {}
    }
    let (sign, rest) = match word.as_bytes()[0] {
        b'-' => (-1.0, &word[1..]),
        b'+' => (1.0, &word[1..]),
        _ => (1.0, word),
    };
    if matches!(rest, ".inf" | ".Inf" | ".INF") {
        return Read::Number(sign * f64::INFINITY);
    }
    // A number that begins with its decimal point cannot have a sign.
    let signed = rest.len() < word.len();
    match whole(rest).or_else(|| sixties(rest)).or_else(|| fraction(rest).filter(|_| !signed || !rest.starts_with('.')))
    {
        Some(number) => Read::Number(sign * number),
        None if is_date(word) => Read::Date,
        None => Read::Text,
    }
}

fn digits(text: &str, radix: u32) -> Option<f64> {
    let digits: String = text.chars().filter(|char| *char != '_').collect();
    let all = text.chars().all(|char| char == '_' || char.is_digit(radix));
    u64::from_str_radix(&digits, radix).ok().filter(|_| all).map(|whole| whole as f64)
}

/// Reads `12`, `1_000`, `0x1f`, `0b11`, and `017`, which is 15.
fn whole(text: &str) -> Option<f64> {
    if let Some(binary) = text.strip_prefix("0b") {
        return digits(binary, 2);
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return digits(hexadecimal, 16);
    }
    match text.strip_prefix('0') {
        Some("") => Some(0.0),
        Some(octal) => digits(octal, 8),
        None if text.starts_with(|first: char| first.is_ascii_digit()) => digits(text, 10),
        None => None,
    }
}

/// Reads `1:30`, which is 90: a sexagesimal number, like a time.
fn sixties(text: &str) -> Option<f64> {
    let (first, rest) = text.split_once(':')?;
    let mut number = digits(first, 10).filter(|_| first.starts_with(|char: char| char.is_ascii_digit()))?;
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    for part in rest.split(':') {
        let part = part.parse::<u8>().ok().filter(|part| *part < 60 && !rest.contains('+')).map(f64::from)?;
        number = number * 60.0 + part;
    }
    Some(number + format!("0.{}", fraction.replace('_', "")).parse::<f64>().unwrap_or(0.0))
}

/// Reads a decimal number. It needs a decimal point, and a sign after its `e`: `1e-4` and `1.0e4` are text.
fn fraction(text: &str) -> Option<f64> {
    let (whole, rest) = text.split_once('.')?;
    let is_number = |text: &str| text.chars().all(|char| char.is_ascii_digit() || char == '_');
    let (after, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let starts = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let exponent_is_right = exponent.is_none_or(|exponent| {
        exponent.strip_prefix(['-', '+']).is_some_and(|digits| !digits.is_empty() && is_number(digits))
    });
    let right = is_number(whole) && is_number(after) && exponent_is_right;
    let right = right && (starts(whole) || (whole.is_empty() && starts(after)));
    right.then(|| text.replace('_', "").parse().ok()).flatten()
}

fn is_date(text: &str) -> bool {
    let day = text.get(..10).unwrap_or("");
    let parts: Vec<&str> = day.split('-').collect();
    let all = parts.iter().all(|part| part.chars().all(|char| char.is_ascii_digit()));
    parts.iter().map(|part| part.len()).eq([4, 2, 2])
        && all
        && matches!(text.as_bytes().get(10), None | Some(b'T' | b't' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_yaml_1_1_has_them() {
        for (word, number) in [
            ("12", 12.0),
            ("-3", -3.0),
            ("1_000", 1000.0),
            ("017", 15.0),
            ("0x1f", 31.0),
            ("0b11", 3.0),
            ("1:30", 90.0),
            ("1.0e-4", 1e-4),
            ("1.", 1.0),
            (".5", 0.5),
            ("-1.5", -1.5),
        ] {
            assert_eq!(read(word), Read::Number(number), "{word}");
        }
        for word in ["1e-4", "1.0e4", "1e3", "0o17", "08", "-.5", "a.b", "1.2.3", ".", "-", "é", "1:99", "2026-1-1"] {
            assert_eq!(read(word), Read::Text, "{word}");
        }
        assert_eq!([read("Yes"), read("off"), read("y")], [Read::Bool(true), Read::Bool(false), Read::Text]);
        assert_eq!([read("~"), read("2026-01-31")], [Read::Null, Read::Date]);
    }
}
