//! YAML scalars as they are meant: `"1e-4"` is a number where a number is expected, and `on` is a boolean where a
//! boolean is expected.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use sweep_core::spelling;

/// Returns the finite number that a value is, or that its text spells, as in `"1e-4"`.
pub fn number(value: &Yaml) -> Option<f64> {
    let number = match value {
        Yaml::Number(number) => number.as_f64(),
        Yaml::String(text) => spelling::number(text),
        _ => None,
    };
    number.filter(|x| x.is_finite())
}

/// Returns the integer that a value is or spells; `1e3` and `1000.0` are 1000.
pub fn whole(value: &Yaml) -> Option<u64> {
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    // Up to 2^53 a float equals the number that was written.
    number(value).filter(|x| x.fract() == 0.0 && (0.0..9e15).contains(x)).map(|x| x as u64)
}

/// Returns the boolean that a value is, or that a YAML 1.1 reader makes of its text.
pub fn boolean(value: &Yaml) -> Option<bool> {
    match value {
        Yaml::Bool(boolean) => Some(*boolean),
        Yaml::String(text) => spelling::boolean(text),
        _ => None,
    }
}

/// Formats the value as it could have been written, on one short line.
pub fn show(value: &Yaml) -> String {
    let text = match value {
        Yaml::String(text) if text.is_empty() => "an empty string".to_owned(),
        Yaml::String(text) => format!("`{}`", text.escape_debug().to_string().replace("\\'", "'")),
        Yaml::Sequence(items) if items.is_empty() => "an empty list".to_owned(),
        Yaml::Mapping(items) if items.is_empty() => "an empty table".to_owned(),
        Yaml::Sequence(_) => "a list".to_owned(),
        Yaml::Mapping(_) => "a table".to_owned(),
        Yaml::Tagged(tagged) => format!("a value tagged {}", tagged.tag),
        Yaml::Number(number) => number.to_string(),
        Yaml::Bool(boolean) => boolean.to_string(),
        Yaml::Null => "null".to_owned(),
    };
    if text.chars().count() > 60 { format!("{}…", text.chars().take(57).collect::<String>()) } else { text }
}

/// Converts a value for the model to JSON. Text that spells a number or a boolean becomes one, for every later reader.
///
/// # Errors
/// The rule that the value breaks.
pub fn free(value: &Yaml) -> Result<Json, String> {
    let Yaml::String(text) = value else { return json(value) };
    let whole = text.parse::<i64>().ok().map(Json::from);
    let spelt = whole.or_else(|| number(value).map(Json::from)).or_else(|| boolean(value).map(Json::from));
    Ok(spelt.unwrap_or_else(|| text.as_str().into()))
}

/// Converts a value of the file to JSON without change.
///
/// # Errors
/// The rule that the value breaks.
pub fn json(value: &Yaml) -> Result<Json, String> {
    match value {
        Yaml::Number(number) if number.as_f64().is_some_and(|x| !x.is_finite()) => {
            Err(format!("is {}, but must be finite", show(value)))
        }
        Yaml::Tagged(_) => Err(format!("is {}, but must be plain YAML without tags", show(value))),
        Yaml::Sequence(items) => items.iter().map(json).collect(),
        Yaml::Mapping(map) => map
            .iter()
            .map(|(key, value)| match key.as_str() {
                Some(key) => Ok((key.to_owned(), json(value)?)),
                None => Err(format!("has the key {}, but keys must be strings", show(key))),
            })
            .collect(),
        _ => serde_json::to_value(value).map_err(|error| format!("cannot be converted to JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_for_the_model_are_read_as_what_they_spell() {
        let read = |text: &str| free(&serde_yaml::from_str(text).unwrap());
        assert_eq!(read("[off, '3', '1e-2', pool]"), Ok(json!(["off", "3", "1e-2", "pool"])));
        assert_eq!(
            ["off", "'3'", "'1e-2'", "pool"].map(|text| read(text).unwrap()),
            [json!(false), json!(3), json!(0.01), json!("pool")]
        );
        assert_eq!(read(".nan"), Err("is .nan, but must be finite".to_owned()));
        assert_eq!(read("{1: 2}"), Err("has the key 1, but keys must be strings".to_owned()));
    }
}
