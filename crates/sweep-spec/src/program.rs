//! `program`, `command`, and `metrics_file` of the sweep file.

use std::collections::BTreeMap;
use std::path::{Component, PathBuf};
use std::time::Duration;

use super::kind::Kind;
use super::node::{Findings, Node, Table};
use super::place::Path;
use super::value::show;
use super::{Problems, Spec, plain};
use sweep_core::nearest::nearest;
use sweep_core::program::{COMMAND, MACROS, Metrics, Need, PLACEHOLDERS, Program, word};

/// Sections that define how a network is trained.
const OURS: [&str; 3] = ["data", "model", "training"];

/// Reads the keys of a program. `None` if trials train a network of the file.
pub fn read(top: &Table) -> Option<Program> {
    // A key without a value is as good as none.
    let [program, command, metrics_file, folder, metrics_key, cwd] =
        ["program", "command", "metrics_file", "folder", "metrics", "cwd"]
            .map(|name| top.get(name).filter(|node| !node.value.is_null()));
    if program.is_none() && command.is_none() {
        for node in [metrics_file, folder, metrics_key, cwd].into_iter().flatten() {
            let remedy = if is_metric(&node) { "did you mean `metric`?" } else { "remove it" };
            node.wrong_key("has no effect without `program`", remedy);
        }
        return None;
    }
    for section in OURS {
        if let Some(node) = top.get(section) {
            node.wrong_key("has no effect: trials run a program", "remove it, or remove `program` and `command`");
        }
    }
    let is = "the program to run, relative to the sweep file; for example, write train.py";
    let program = program.and_then(|node| text(&node, is));
    let items = command.as_ref().map_or_else(|| COMMAND.map(str::to_owned).to_vec(), |node| arguments(node, top));
    if let (None, Some(node)) = (&program, &command)
        && items.iter().any(|item| item == "${program}")
    {
        node.wrong("contains ${program}, but `program` is missing", "for example, add `program: train.py`");
    }
    let is = "the folder to start the program in, relative to the sweep file; for example, write ..";
    let folder = folder.and_then(|node| text(&node, is));
    let metrics_file = metrics_file.and_then(|node| file_of_trial(&node));
    let in_trial_folder = cwd.is_some_and(|node| is_trials_folder(&node));
    let metrics = metrics_key.map_or(Metrics::Auto, |node| metrics(&node, metrics_file.is_some()));
    let groups = BTreeMap::new();
    Some(Program { program, command: items, metrics_file, metrics, in_trial_folder, folder, groups })
}

fn text(node: &Node, is: &str) -> Option<String> {
    node.clone().take(Kind::Text, is).map(|text| plain(&text))
}

/// Reads the items of `command`.
fn arguments(node: &Node, top: &Table) -> Vec<String> {
    let Some(items) = node.items().filter(|items| !items.is_empty()) else {
        let rule = format!("is {}, but must be a list of arguments", show(node.value));
        node.wrong(rule, listed(node.value.as_str()));
        return Vec::new();
    };
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        let Some(text) = argument(&item) else { continue };
        if let Some((rule, remedy)) = no_macro(&text, read.last(), top) {
            item.wrong(rule, remedy);
        } else if let Some(note) = left_to_shell(&text, top) {
            item.note_same(note);
        }
        read.push(text);
    }
    read
}

/// Reads `metrics_file`, a path inside the trial's folder.
fn file_of_trial(node: &Node) -> Option<String> {
    let found = text(node, "the file that the program writes its metrics to; for example, write metrics.csv")?;
    if found.starts_with('/') || found.split('/').any(|part| part == "..") {
        let rule = format!("is `{found}`, but must be a path inside the trial's folder");
        node.wrong(rule, "for example, write metrics.csv");
    }
    Some(found)
}

/// Reads `cwd`: whether programs start in the trial's folder.
fn is_trials_folder(node: &Node) -> bool {
    let is = "`file` (the usual folder) or `trial` (the trial's own folder)";
    let found = text(node, is);
    if found.as_deref().is_some_and(|found| found != "file" && found != "trial") {
        node.wrong(format!("is {}, but must be {is}", show(node.value)), "for example, write cwd: trial");
    }
    found.as_deref() == Some("trial")
}

/// Whether a value is one of `metric`, which names the metric.
fn is_metric(node: &Node) -> bool {
    node.value.get("name").is_some()
}

/// Reads `metrics`: `auto`, a pattern of files, or a regular expression, which has named groups.
fn metrics(node: &Node, has_file: bool) -> Metrics {
    if is_metric(node) {
        node.wrong_key(
            "says where metrics are read from, and not which one ranks the trials",
            "did you mean `metric`?",
        );
        return Metrics::Auto;
    }
    if has_file {
        node.wrong_key("has no effect beside `metrics_file`", "remove one of them");
    }
    let is = "`auto`, a file pattern such as lightning_logs/**/metrics.csv, or a regular expression with named groups";
    let Some(found) = text(node, is) else { return Metrics::Auto };
    if found == "auto" {
        return Metrics::Auto;
    }
    if !found.contains("(?P<") && !found.contains("(?<") {
        if found.split('/').any(|part| part == "..") || found.starts_with('/') {
            node.wrong(
                format!("is `{found}`, but must be a pattern within the trial's folder or that of the program"),
                "for example, write lightning_logs/**/metrics.csv",
            );
        }
        return Metrics::Files(found);
    }
    if let Err(error) = regex::Regex::new(&found) {
        let error = error.to_string();
        let cause = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        node.wrong(
            format!("is not a regular expression: {cause}"),
            r"for example, write 'epoch (?P<epoch>\d+): loss (?P<val_loss>\S+)' in single quotes",
        );
    }
    Metrics::Expression(found)
}

/// Reads an item of a command: what Python's `str` makes of what YAML gives, as in W&B.
fn argument(item: &Node) -> Option<String> {
    let value = item.given().ok().filter(|value| !value.is_array() && !value.is_object());
    let Some(value) = value else {
        let rule = format!("is {}, but must be an argument", show(item.value));
        item.wrong(rule, "write it in quotes");
        return None;
    };
    let passed = word(&value);
    if value.is_null() {
        item.note_same("is empty, and passed as None");
    } else if value.is_boolean() {
        item.note_same(format!("is a boolean, and is passed as {passed}; put it in quotes to pass the text"));
    }
    Some(passed)
}

/// Seconds between SIGTERM and SIGKILL, unless the file says otherwise.
const STOP_GRACE: u64 = 5;

/// Maximum of `stop_grace`, in seconds.
const LONGEST_STOP_GRACE: u64 = 3600;

/// Reads `stop_grace`, which only programs have.
pub fn stop_grace(top: &Table, is_program: bool) -> Duration {
    let Some(node) = top.get("stop_grace").filter(|node| !node.value.is_null()) else {
        return Duration::from_secs(STOP_GRACE);
    };
    let is = "the number of seconds in which a program must save and end after SIGTERM; for example, write 30";
    let found = node.take(Kind::Whole { least: 0, most: LONGEST_STOP_GRACE }, is).and_then(|found| found.as_u64());
    if !is_program {
        node.wrong_key("has no effect without a `program`", "leave it out");
    }
    Duration::from_secs(found.unwrap_or(STOP_GRACE))
}

/// Formats a command as the required list. Macros for single parameters become the macro for all.
fn listed(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let mut items: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let names_one = word.contains("${") && !word.contains("${envvar:") && !MACROS.contains(&word);
        if !names_one {
            items.push(word.to_owned());
            continue;
        }
        // In `--lr ${lr}`, the option is removed together with its value.
        if word.starts_with("${") && items.last().is_some_and(|last| last.starts_with('-')) {
            items.pop();
        }
        if !items.iter().any(|item| item == "${args}") {
            items.push("${args}".to_owned());
        }
    }
    if items.is_empty() {
        items = COMMAND.map(str::to_owned).to_vec();
    }
    format!("write {}", serde_json::json!(items).to_string().replace("\",\"", "\", \""))
}

/// Returns a note if an item of a command names a parameter as `${name}`, where the shell reads a variable of its own.
fn left_to_shell(item: &str, top: &Table) -> Option<String> {
    let names = item.match_indices("${").filter_map(|(at, _)| item[at + 2..].split('}').next());
    let is_parameter = |name: &&str| top.get("parameters").is_some_and(|node| node.value.get(*name).is_some());
    let name = names.into_iter().find(is_parameter).filter(|name| !item.contains(&format!("{name}=")))?;
    Some(format!(
        "contains ${{{name}}}, which the shell replaces by its own variable and not by the parameter, as in W&B. Add the \
         items sh and \"${{args}}\" after this one, and read \"$@\""
    ))
}

/// Returns the problem with a `${...}` in an item of a command, and the fix. `before` is the previous item.
fn no_macro(item: &str, before: Option<&String>, top: &Table) -> Option<(String, String)> {
    // A shell has its own variables.
    let of_shell = before.is_some_and(|before| before.starts_with('-') && before.ends_with('c'));
    if MACROS.contains(&item) {
        return None;
    }
    for (at, _) in item.match_indices("${") {
        let Some(end) = item[at..].find('}') else { continue };
        let (whole, name) = (&item[at..=at + end], &item[at + 2..at + end]);
        if MACROS.contains(&whole) {
            let remedy = match of_shell {
                true => format!("write \"$@\" instead, and add the items sh and \"{whole}\" after this one"),
                false => format!("write \"{whole}\" as a separate item"),
            };
            return Some((format!("contains {whole} and other text, but {whole} must be a whole item"), remedy));
        }
        let is_varied = top.get("parameters").is_some_and(|node| node.value.get(name).is_some());
        if PLACEHOLDERS.contains(&whole) && !is_varied {
            continue;
        }
        let (kind, is_other) = name.split_once(':').map_or((name, false), |(kind, _)| (kind, true));
        if of_shell || kind == "envvar" && is_other {
            continue;
        }
        if is_other {
            // Other tools have such forms too, such as Hydra: `${oc.env:HOME}`.
            if nearest(kind, ["envvar"]).is_some() {
                return Some((
                    format!("contains {whole}, which is not a macro"),
                    "did you mean `${envvar:NAME}`?".to_owned(),
                ));
            }
            continue;
        }
        let parameter = name.split('.').next().unwrap_or(name);
        let is_parameter = top.get("parameters").is_some_and(|node| node.value.get(parameter).is_some());
        return Some(match nearest(whole, MACROS.into_iter().chain(PLACEHOLDERS)) {
            _ if is_parameter => (
                format!("contains {whole}, but there are no macros for single parameters"),
                format!(
                    "write \"${{args}}\" as a separate item; it passes every parameter as `--name=value`, here \
                     --{name}=..."
                ),
            ),
            Some(near) => (format!("contains {whole}, which is not a macro"), format!("did you mean `{near}`?")),
            None => (
                format!("contains {whole}, which is not a macro"),
                format!("the macros are {}, {}, ${{envvar:NAME}}", MACROS.join(", "), PLACEHOLDERS.join(", ")),
            ),
        });
    }
    None
}

impl Spec {
    /// Returns the absolute path of the folder in which programs start.
    pub fn program_folder(&self) -> PathBuf {
        let own = self.program().and_then(|program| program.folder.as_deref()).unwrap_or(".");
        without_dots(self.start.as_ref().unwrap_or(&self.base.join(own)))
    }

    /// Whether what trials are started with is there. `missing` looks: what is wrong, and what to do about it.
    ///
    /// # Errors
    /// Everything that is missing. `file` and `text` are those that the specification was read from.
    pub fn look_up(
        &self,
        (file, text): (&str, &str),
        interpreter: &str,
        missing: impl Fn(Need) -> Option<(String, String)>,
    ) -> Result<(), Problems> {
        let findings = Findings::read(text);
        let Some(program) = self.program() else { return Ok(()) };
        for (item, need) in program.needs(interpreter) {
            let Some((rule, remedy)) = missing(need) else { continue };
            let listed = Path::default().key("command").index(item);
            let path = match findings.places.value_at(&listed) {
                Some(_) if program.command[item] != "${program}" => listed,
                _ => Path::default().key("program"),
            };
            findings.problem(findings.places.value_at(&path), path, rule, remedy);
        }
        let (problems, _) = findings.take();
        if problems.is_empty() { Ok(()) } else { Err(Problems::new(file, text, problems)) }
    }
}

/// Returns an absolute path without `.` and `..`.
pub fn without_dots(path: &std::path::Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
