//! Reads values of a network with resolved references, and collects errors. `language` defines which layers exist.

use std::borrow::Cow;

use serde_json::Value;

use super::fault::{Example, Fault, Step, meant};
use super::reference::{is_name, reference};
use super::value::quote;
use super::want::{Remedy, Want};
use sweep_core::recipe::Layer;

/// A value of the network with references resolved.
pub(super) struct Given<'v> {
    pub value: Cow<'v, Value>,
    /// The parameter that the value or its parent came from. References inside it are not resolved.
    pub setting: Option<String>,
}

/// The arguments of a layer, by key.
pub(super) struct Fields<'v> {
    given: Vec<(&'v str, Given<'v>)>,
    /// Whether the keys were written. If not, a single value was written for its key (`conv: 32`).
    written: bool,
}

/// Traverses a network, tracks its position, and collects layers and errors.
pub(super) struct Reader<'l> {
    lookup: &'l dyn Fn(&str) -> Option<Value>,
    pub path: Vec<Step>,
    /// Number of items read so far.
    pub items: u32,
    pub layers: Vec<Layer>,
    pub faults: Vec<Fault>,
}

impl<'v> Fields<'v> {
    /// Returns the value under this key, if it is present and valid.
    pub fn get(&self, key: &str) -> Option<&Given<'v>> {
        self.given.iter().find(|(name, _)| *name == key).map(|(_, given)| given)
    }
}

impl<'l> Reader<'l> {
    pub fn new(lookup: &'l dyn Fn(&str) -> Option<Value>) -> Reader<'l> {
        Reader { lookup, path: Vec::new(), items: 0, layers: Vec::new(), faults: Vec::new() }
    }

    /// Runs `read` one level down.
    pub fn at<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    /// Records an error for the value at the current position.
    pub fn fault(&mut self, given: &Given<'_>, rule: impl Into<String>, remedy: impl Into<String>) {
        self.put(given, None, rule.into(), remedy.into(), None);
    }

    /// Records that the value under `key` is not what it must be.
    pub fn invalid(&mut self, given: &Given<'_>, key: &str, rule: String, remedy: Remedy) {
        self.put(given, Some(key), rule, remedy.text(), remedy.example());
    }

    fn put(&mut self, given: &Given<'_>, key: Option<&str>, rule: String, remedy: String, example: Option<Example>) {
        let value = match &given.setting {
            Some(setting) => format!("{} (from `{setting}`)", quote(&given.value)),
            None => quote(&given.value),
        };
        let (path, setting) = (self.path.clone(), given.setting.clone());
        // A reference in shell syntax, without braces.
        let bare = given.value.as_str().and_then(|text| text.strip_prefix('$')).filter(|name| is_name(name));
        let bare = bare.filter(|_| given.setting.is_none());
        let remedy = bare.map_or(remedy, |name| format!("to refer to the value of `{name}`, write `${{{name}}}`"));
        self.faults.push(Fault { path, value, key: key.map(str::to_owned), rule, remedy, example, setting });
    }

    /// Returns the value itself, or what it refers to. Records an error and returns `None` if the reference is not set.
    pub fn resolve<'v>(&mut self, value: &'v Value, within: Option<&str>) -> Option<Given<'v>> {
        let given = Given { value: Cow::Borrowed(value), setting: within.map(str::to_owned) };
        let Some(parsed) = value.as_str().and_then(reference) else { return Some(given) };
        if within.is_some() {
            self.fault(&given, "references inside a parameter's value are not followed", "write the value itself");
            return None;
        }
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(rule) => {
                self.fault(&given, rule, "write one name, or several names and then a literal, separated by `|`");
                return None;
            }
        };
        for name in &parsed.names {
            if let Some(value) = (self.lookup)(name) {
                return Some(Given { value: Cow::Owned(value), setting: Some((*name).to_owned()) });
            }
        }
        if let Some(literal) = parsed.literal {
            return Some(Given { value: Cow::Owned(literal), setting: None });
        }
        let name = parsed.names.first().copied().unwrap_or_default();
        self.fault(
            &given,
            format!("refers to `{name}`, which has no value"),
            format!("add `{name}` under `parameters:`, or write a default: `${{{name}|…}}`"),
        );
        None
    }

    /// Returns the arguments of a layer: its keys, or a single value for the key `short`. Records an error for each key
    /// that the layer does not have.
    pub fn fields<'v>(&mut self, given: &'v Given<'_>, short: &'v str, keys: &[&str]) -> Fields<'v> {
        let within = given.setting.as_deref();
        let Value::Object(entries) = given.value.as_ref() else {
            let value = Given { value: Cow::Borrowed(given.value.as_ref()), setting: given.setting.clone() };
            let given = if given.value.is_null() { Vec::new() } else { vec![(short, value)] };
            return Fields { given, written: false };
        };
        let mut fields = Fields { given: Vec::new(), written: true };
        for (key, value) in entries {
            self.at(Step::Key(key.clone()), |reader| {
                if !keys.contains(&key.as_str()) {
                    let value = Given { value: Cow::Borrowed(value), setting: given.setting.clone() };
                    let remedy = match key.as_str() {
                        "activation" => "write the activation as a separate layer: `- relu`".to_owned(),
                        _ => format!("{}Known keys: {}", meant(key, keys), keys.join(", ")),
                    };
                    reader.fault(&value, format!("unknown key `{key}`"), remedy);
                } else if let Some(value) = reader.resolve(value, within) {
                    fields.given.push((key, value));
                }
            });
        }
        fields
    }

    /// Returns the value under `key`, or `default`. Records an error and returns `None` if the value is invalid, or
    /// missing without a default.
    pub fn field<T>(&mut self, fields: &Fields<'_>, key: &str, want: Want<T>, default: Option<T>) -> Option<T> {
        let Some(given) = fields.get(key) else {
            if default.is_none() && !self.faults.iter().any(|fault| fault.path.starts_with(&self.path)) {
                let nothing = Given { value: Cow::Owned(Value::String("missing".into())), setting: None };
                self.invalid(&nothing, key, want.rule, want.remedy);
            }
            return default;
        };
        let result = (want.read)(&given.value);
        if result.is_none() {
            let depth = self.path.len();
            self.path.extend(fields.written.then(|| Step::Key(key.to_owned())));
            self.invalid(given, key, want.rule, want.remedy);
            self.path.truncate(depth);
        }
        result
    }
}
