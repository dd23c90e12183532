//! What a text spells where a number or a boolean is expected. Every reader of a sweep file uses these two functions, so
//! that a value means the same in each of its sections.

/// Parses a finite number, such as `1e-4`. A text with spaces around the number is not accepted, because YAML keeps
/// such spaces only in quoted text.
pub fn number(text: &str) -> Option<f64> {
    let starts = text.starts_with(|char: char| char.is_ascii_digit() || "+-.".contains(char));
    text.parse().ok().filter(|x: &f64| starts && x.is_finite())
}

/// Parses a boolean as a YAML 1.1 reader does.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => Some(true),
        "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_spelled_without_anything_around_it() {
        assert_eq!((number("1e-4"), number("-.5"), number("+7")), (Some(1e-4), Some(-0.5), Some(7.0)));
        for not in [" 0.2", "0.2 ", "inf", "-inf", "nan", "1e999", "0x10", "1_000", "one", ""] {
            assert_eq!(number(not), None, "{not}");
        }
    }

    #[test]
    fn yes_and_off_are_booleans() {
        assert_eq!(
            (boolean("Yes"), boolean("off"), boolean("1"), boolean(" on")),
            (Some(true), Some(false), None, None)
        );
    }
}
