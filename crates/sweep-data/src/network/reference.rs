//! `${name}` and `${name|other|literal}`: a whole scalar that refers to a parameter.

use serde_json::Value;

/// A parsed `${…}` scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reference<'t> {
    /// Names of parameters, of which the first that is set is used.
    pub names: Vec<&'t str>,
    /// The value to use if none is set.
    pub literal: Option<Value>,
}

/// Parses a scalar as a reference. Returns `None` if it is not one, and an error with the violated rule if it is
/// malformed.
pub(super) fn reference(text: &str) -> Option<Result<Reference<'_>, String>> {
    let start = text.find("${")?;
    let whole = text.trim();
    let inside = match whole.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        Some(inside) if start == text.len() - text.trim_start().len() && !inside.contains("${") => inside,
        _ => {
            return Some(Err(
                "contains a reference and other text, but a reference must be the whole value: `${name}` or \
                 `${name|literal}`"
                    .into(),
            ));
        }
    };
    let mut names: Vec<&str> = inside.split('|').map(str::trim).collect();
    let literal = (names.len() > 1).then(|| names.pop()).flatten().map(scalar);
    for name in &names {
        if !is_name(name) {
            return Some(Err(format!(
                "refers to `{name}`, which is not a valid name: names consist of letters, digits, `_`, `.`, and `-`, \
                 and do not start with a digit"
            )));
        }
    }
    Some(Ok(Reference { names, literal }))
}

/// Returns whether a name has the form of a parameter name: `[A-Za-z_][A-Za-z0-9_.-]*`.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// Parses the text as a YAML scalar. Text that is not a valid scalar becomes a string.
fn scalar(text: &str) -> Value {
    match serde_yaml::from_str(text) {
        Ok(value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_a_chain_is_a_literal_and_the_others_are_names() {
        let parsed = reference("${dropout_dense | dropout|0.5}").unwrap().unwrap();
        assert_eq!(parsed, Reference { names: vec!["dropout_dense", "dropout"], literal: Some(json!(0.5)) });
        let parsed = reference("${way|pool}").unwrap().unwrap();
        assert_eq!(parsed, Reference { names: vec!["way"], literal: Some(json!("pool")) });
        assert_eq!(reference("${norm|null}").unwrap().unwrap().literal, Some(json!(null)));
        assert_eq!(reference("${norm|[1, 2}").unwrap().unwrap().literal, Some(json!("[1, 2")));
    }

    #[test]
    fn a_single_name_has_no_literal() {
        assert_eq!(reference(" ${classes} ").unwrap().unwrap(), Reference { names: vec!["classes"], literal: None });
    }

    #[test]
    fn other_text_is_no_reference() {
        for text in ["relu", "$classes", "{classes}", ""] {
            assert_eq!(reference(text), None, "{text}");
        }
    }

    #[test]
    fn part_of_a_value_an_open_brace_and_a_wrong_name_are_refused() {
        for text in ["conv-${x}", "${x}-${y}", "${x", "${}", "${0.2|x}", "${a b}", "x${", "é${a}"] {
            assert!(reference(text).unwrap().is_err(), "{text}");
        }
    }
}
