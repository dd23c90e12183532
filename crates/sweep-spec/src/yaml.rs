//! Parses YAML as PyYAML does where serde_yaml is stricter: if a key occurs twice in a table, the last one counts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde_yaml::value::{Tag, TaggedValue};
use serde_yaml::{Error, Mapping, Value};

use super::node::{Findings, Node};
use super::place::Path;

/// Parses the file into a tree of values, with merge keys (`<<`) resolved.
///
/// # Errors
/// Returns an error if the text is not YAML, or has more than one document.
pub fn parse(text: &str) -> Result<Value, Error> {
    let Lenient(mut value) = serde_yaml::from_str(text.trim_start_matches('\u{feff}'))?;
    value.apply_merge()?;
    Ok(value)
}

/// Parses a sweep file to write it again. A program's parameters have the types that they have as PyYAML reads them, so
/// that they keep them in a file with other quotes.
///
/// # Errors
/// Returns an error if the text is not YAML, or has more than one document.
pub fn parse_typed(text: &str) -> Result<Value, Error> {
    let value = parse(text)?;
    if value.get("program").is_none() && value.get("command").is_none() {
        return Ok(value);
    }
    let findings = Findings::read(text);
    let Value::Mapping(table) = value else { return Ok(value) };
    let typed = |(key, value): (Value, Value)| match key.as_str() {
        Some(name @ ("parameters" | "enqueue")) => {
            let typed = typed(&value, Path::default().key(name), &findings);
            (key, typed)
        }
        _ => (key, value),
    };
    Ok(Value::Mapping(table.into_iter().map(typed).collect()))
}

fn typed(value: &Value, path: Path, findings: &Findings) -> Value {
    match value {
        Value::Sequence(items) => {
            items.iter().enumerate().map(|(at, item)| typed(item, path.index(at), findings)).collect::<Vec<_>>().into()
        }
        Value::Mapping(table) => {
            let member = |(key, value): (&Value, &Value)| {
                (key.clone(), typed(value, path.key(key.as_str().unwrap_or_default()), findings))
            };
            Value::Mapping(table.iter().map(member).collect())
        }
        scalar => {
            let given = Node::at(scalar, path, findings).given().ok();
            given.and_then(|given| serde_yaml::to_value(given).ok()).unwrap_or_else(|| scalar.clone())
        }
    }
}

/// A value whose tables may contain a key twice.
struct Lenient(Value);

impl<'de> Deserialize<'de> for Lenient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lenient, D::Error> {
        deserializer.deserialize_any(Reader).map(Lenient)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Lenient(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Sequence(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table = Mapping::new();
        while let Some((Lenient(key), Lenient(value))) = entries.next_entry()? {
            table.insert(key, value);
        }
        Ok(Value::Mapping(table))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Value, A::Error> {
        let (tag, contents) = tagged.variant::<String>()?;
        let Lenient(value) = contents.newtype_variant()?;
        Ok(Value::Tagged(Box::new(TaggedValue { tag: Tag::new(tag), value })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_serde_yaml_and_the_last_of_two_equal_keys_counts() {
        let text = "a: [1, -2, 0.5, x, null, true, {b: ''}]\nc: &d {e: 1}\nf: {<<: *d, g: !x 2}\nh: !!float 1e-3\n";
        let mut plain: Value = serde_yaml::from_str(text).unwrap();
        plain.apply_merge().unwrap();
        assert_eq!(parse(text).unwrap(), plain);
        let twice = parse("a: 1\nb: {c: 1, c: [2]}\na: 3\n").unwrap();
        assert_eq!(twice, serde_yaml::from_str::<Value>("a: 3\nb: {c: [2]}\n").unwrap());
        assert_eq!(parse("\u{feff}a: 1\n").unwrap(), serde_yaml::from_str::<Value>("a: 1\n").unwrap());
        let typed = parse_typed("program: a\nparameters: {p: {values: [yes, '010', 010, 1e-4]}}\nname: off\n").unwrap();
        let text = "program: a\nparameters: {p: {values: [true, '010', 8, 0.0001]}}\nname: off\n";
        assert_eq!(typed, serde_yaml::from_str::<Value>(text).unwrap());
        assert_eq!((parse("").unwrap(), parse("# nothing\n").unwrap()), (Value::Null, Value::Null));
        assert!(parse("a: 1\n---\nb: 2\n").is_err() && parse("a: [").is_err());
    }
}
