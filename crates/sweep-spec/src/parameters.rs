//! `parameters:` of the sweep file: the grammar of W&B Sweeps.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::distribution::Manner;
use super::model::Model;
use super::node::{Node, Table};
use super::place::Path;
use super::setting::{MODEL, SETTINGS, Setting, setting};
use super::value::free;
use super::{Method, distribution};
use sweep_core::nearest::{nearest, suggest};
use sweep_core::space::Parameter;

/// Maximum number of parameters. A longer list was probably generated, and not for one sweep.
const MOST_PARAMETERS: usize = 1_000;

/// A parameter of the file.
#[derive(Debug)]
pub struct Read<'a> {
    /// The parameter in the space. Its condition is read once all parameters are known.
    pub parameter: Parameter,
    /// The setting that the parameter replaces, if any.
    pub of: Option<&'static Setting>,
    /// The parameter's `when`.
    pub when: Option<Node<'a>>,
    /// The parameter's node in the file.
    pub node: Node<'a>,
    /// Whether a program gets its values.
    pub program: bool,
    /// The groups around it and its own key; their names joined by dots are the parameter's.
    pub steps: Vec<String>,
}

impl Read<'_> {
    /// A value that the file gives for the parameter, which replaces no setting.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn value(&self, node: &Node) -> Result<Json, String> {
        if self.program { node.given() } else { free(node.value) }
    }

    /// Where that value of the parameter stands; the parameter itself where it is drawn from a range.
    pub fn place(&self, value: &Json) -> Path {
        let path = &self.node.path;
        if self.node.value.get("value").is_some() {
            return path.key("value");
        }
        let items = self.node.under("values").and_then(|values| values.items());
        match items.and_then(|items| items.iter().position(|item| self.value(item).as_ref() == Ok(value))) {
            Some(at) => path.key("values").index(at),
            None => path.clone(),
        }
    }
}

/// Reads the section: the parameters, and the names of those that could not be read. `zipped` has the names of
/// parameters that move with others.
pub fn read<'a>(
    node: &Node<'a>,
    method: Method,
    model: Option<&Model>,
    zipped: Vec<String>,
) -> (Vec<Read<'a>>, Vec<String>) {
    let (read, unread) = (Vec::new(), Vec::new());
    let written = model.is_some_and(|model| model.written.is_some());
    let (used, free) = (model.map(Model::names).unwrap_or_default(), model.is_none());
    let mut reading = Reading { method, used, free, written, zipped, read, unread };
    if let Some(table) = node.table("parameters: {learning_rate: {values: [0.001, 0.0005]}}") {
        reading.group(&table, &[]);
    }
    if reading.read.len() > MOST_PARAMETERS {
        let rule = format!("has {} parameters, but at most {MOST_PARAMETERS} can vary", reading.read.len());
        node.wrong_key(rule, "set the others to fixed values in `training` or `model`");
        reading.read.truncate(MOST_PARAMETERS);
    }
    (reading.read, reading.unread)
}

/// The section while it is being read.
struct Reading<'a> {
    method: Method,
    /// Names that the model refers to.
    used: Vec<String>,
    /// Whether any name is allowed, as for a program.
    free: bool,
    /// Whether the file contains the model, so that the model can be changed to refer to more names.
    written: bool,
    zipped: Vec<String>,
    read: Vec<Read<'a>>,
    unread: Vec<String>,
}

impl<'a> Reading<'a> {
    fn group(&mut self, table: &Table<'a>, around: &[String]) {
        for (key, node) in table.entries() {
            let steps = [around, &[key.to_owned()]].concat();
            let name = steps.join(".");
            // W&B only warns of a digit.
            let is_first =
                |first: char| first.is_ascii_alphabetic() || first == '_' || self.free && first.is_ascii_digit();
            let starts = key.starts_with(is_first);
            if !starts || !key.chars().all(|char| char.is_ascii_alphanumeric() || "_.-".contains(char)) {
                let remedy = "use letters, digits, `_`, `.`, and `-`, and start with a letter or `_`";
                node.wrong_key("is not a valid parameter name", remedy);
            } else if self.read.iter().any(|other| other.parameter.name == name) {
                node.wrong_key("is defined twice: here and in a group", "keep one of the definitions");
            } else if node.value.get("parameters").is_some() {
                let Some(table) = node.table("") else { continue };
                let example = format!("{key}: {{parameters: {{name: {{values: [...]}}}}}}");
                if let Some(members) = table.get("parameters").and_then(|members| members.table(&example)) {
                    self.group(&members, &steps);
                }
                table.close();
            } else {
                self.parameter(name, steps, node);
            }
        }
    }

    fn parameter(&mut self, name: String, steps: Vec<String>, node: Node<'a>) {
        let of = self.meaning(&name, &node);
        let example = of.map_or("...".to_owned(), |setting| setting.example());
        let example = match (node.value, serde_json::to_string(node.value)) {
            (Yaml::Sequence(_), Ok(values)) => format!("{{values: {}}}", values.replace(',', ", ")),
            (Yaml::Number(_) | Yaml::Bool(_), Ok(one)) => format!("{{value: {one}}}"),
            (Yaml::String(one), _) if !one.trim().is_empty() => format!("{{value: {one}}}"),
            _ => format!("{{values: [{example}]}}"),
        };
        let table = node.table(&format!("{name}: {example}"));
        let (zipped, program) = (self.zipped.contains(&name), self.free);
        let manner = Manner { method: self.method, of, zipped, program };
        let distribution = table.as_ref().and_then(|table| distribution::read(table, manner));
        let when = table.as_ref().and_then(|table| table.get("when"));
        if let Some(table) = table {
            table.close();
        }
        match distribution {
            None => self.unread.push(name),
            Some(distribution) => {
                let parameter = Parameter { name, distribution, when: None };
                distribution::check_range(&parameter.distribution, &node, of);
                self.read.push(Read { parameter, of, when, node, program, steps });
            }
        }
    }

    /// Returns the setting that a parameter with that name replaces, if any. A name that is neither a setting nor used
    /// in the model is a problem.
    fn meaning(&self, name: &str, node: &Node) -> Option<&'static Setting> {
        if self.free {
            return None;
        }
        let found = if name == MODEL.name { Some(&MODEL) } else { setting(name) };
        match found {
            Some(found) if !found.varies() => {
                let rule = "cannot vary within a sweep: trials on different data cannot be compared";
                node.wrong_key(rule, format!("write one sweep file for each value, with `data: {{{name}: ...}}`"));
                return None;
            }
            None if !self.used.iter().any(|used| used == name) => {}
            found => return found,
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        let group = setting(first).filter(|_| !rest.is_empty());
        if let Some(member) = group.and_then(|group| group.member(rest)) {
            let rule = "is not a parameter: the parameter has another name";
            node.wrong_key(rule, format!("write `{}`", member.name));
            return None;
        }
        let remedy = match group {
            Some(group) => {
                let members = SETTINGS.iter().filter(|one| one.group == Some(group.name)).map(|one| one.name);
                suggest(name, &members.collect::<Vec<_>>())
            }
            None => {
                let settings = SETTINGS.iter().filter(|setting| setting.varies()).map(|setting| setting.name);
                let known = settings.chain([MODEL.name]).chain(self.used.iter().map(String::as_str));
                match nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if self.written => format!("write `${{{name}}}` in `model` where the value belongs"),
                    None => format!("`model` refers to {}", self.used.join(", ")),
                }
            }
        };
        node.wrong_key("is not a key of `training` or `data`, and `model` does not refer to it", remedy);
        None
    }
}
