//! Converts scalars to the wanted type, independent of how a YAML reader typed them. For example, `"1e-3"` is a number
//! where a number is wanted, and `on` is a boolean where a boolean is.

use serde_json::Value;

use sweep_core::spelling;

/// Maximum length of a quoted value in a message, in characters.
const LONGEST_QUOTE: usize = 60;

/// Returns a finite number, from a number or a string that spells one.
pub(super) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => spelling::number(text)?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Returns an integer of at least 0. `32.0`, which a search may draw, is accepted.
pub(super) fn whole(value: &Value) -> Option<u32> {
    let number = number(value)?;
    let whole = number as u32;
    (f64::from(whole) == number).then_some(whole)
}

/// Returns a boolean, from a boolean or one of YAML 1.1's words for it.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => spelling::boolean(text),
        _ => None,
    }
}

/// Formats the value on one line, for a message.
pub(super) fn quote(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_may_be_spelt_as_a_string() {
        assert_eq!(number(&json!("1e-3")), Some(0.001));
        assert_eq!(number(&json!(7)), Some(7.0));
        for not in [json!("inf"), json!("nan"), json!("a"), json!(true), json!(null)] {
            assert_eq!(number(&not), None, "{not}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point_but_not_with_a_sign_or_a_fraction() {
        assert_eq!(whole(&json!(32.0)), Some(32));
        assert_eq!(whole(&json!("32")), Some(32));
        for not in [json!(-1), json!(0.5), json!(1e30), json!(4_294_967_296_u64)] {
            assert_eq!(whole(&not), None, "{not}");
        }
    }

    #[test]
    fn yes_and_off_are_booleans() {
        assert_eq!(flag(&json!("Yes")), Some(true));
        assert_eq!(flag(&json!("off")), Some(false));
        assert_eq!(flag(&json!(1)), None);
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(quote(&json!("é".repeat(100))), format!("{}…", "é".repeat(60)));
    }
}
