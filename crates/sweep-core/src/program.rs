//! A user's own program as a trial: the command line that it is started with. The environment is an argument.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::trial::Settings;

/// `program`, `command` and `metrics_file` of the sweep file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Replacement for `${program}`, as written in the file.
    pub program: Option<String>,
    /// Items of the command, with their macros.
    pub command: Vec<String>,
    /// File that the program writes its metrics to, relative to the trial's folder.
    pub metrics_file: Option<String>,
    /// Where it is started, relative to the sweep file's folder; `None`: there.
    pub folder: Option<String>,
    /// Parameters that stand in groups: by name, the names of the groups around one and its own.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// Default command of a sweep file that names only its program, as in W&B.
pub const COMMAND: [&str; 4] = ["${env}", "${interpreter}", "${program}", "${args}"];

/// Macros that replace a whole item of the command.
pub const MACROS: [&str; 11] = [
    "${env}",
    "${interpreter}",
    "${program}",
    "${args}",
    "${args_no_equals}",
    "${args_no_hyphens}",
    "${args_no_boolean_flags}",
    "${args_json}",
    "${args_json_file}",
    "${args_append_hydra}",
    "${args_override_hydra}",
];

/// Programs that run the file in the next item. A version may follow the name.
const INTERPRETERS: [&str; 7] = ["python", "sh", "bash", "perl", "ruby", "Rscript", "julia"];

/// Programs that run a command in another file system, whose files cannot be checked from here.
const ELSEWHERE: [&str; 5] = ["docker", "podman", "apptainer", "singularity", "ssh"];

/// A requirement for running a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need<'a> {
    /// A program, by its path or on PATH.
    Command(&'a str),
    /// A file that a program runs.
    File(&'a str),
}

/// Name of the file, in the trial's folder, that `${args_json_file}` stands for.
pub const SETTINGS_FILE: &str = "settings.json";

impl Program {
    /// The settings as the program gets them: members of a group are a table under the group's name, as W&B has them.
    pub fn config(&self, settings: &Settings) -> Settings {
        let mut config = Settings::new();
        for (name, value) in settings {
            let own = std::slice::from_ref(name);
            let steps = self.groups.get(name).map_or(own, Vec::as_slice);
            put(&mut config, steps, value);
        }
        config
    }

    /// The argument list of a trial. `interpreter` stands for `${interpreter}`, `settings_file` is the place of a file
    /// with the settings, and `variable` looks a name up in the environment.
    ///
    /// # Errors
    /// If the environment does not have a requested name.
    pub fn arguments(
        &self,
        settings: &Settings,
        interpreter: &str,
        settings_file: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, String> {
        let config = self.config(settings);
        // Sorted by name, as W&B has them.
        let sorted: BTreeMap<&String, String> = config.iter().map(|(name, value)| (name, word(value))).collect();
        let each = |form: &dyn Fn(&str, &str) -> String| -> Vec<String> {
            sorted.iter().map(|(name, value)| form(name, value)).collect()
        };
        let mut arguments = Vec::new();
        for item in &self.command {
            match item.as_str() {
                "${env}" => arguments.push("/usr/bin/env".to_owned()),
                "${interpreter}" => arguments.push(interpreter.to_owned()),
                "${program}" => arguments.extend(self.program.clone()),
                "${args}" => arguments.extend(each(&|name, value| format!("--{name}={value}"))),
                "${args_no_hyphens}" => arguments.extend(each(&|name, value| format!("{name}={value}"))),
                "${args_append_hydra}" => arguments.extend(each(&|name, value| format!("+{name}={value}"))),
                "${args_override_hydra}" => arguments.extend(each(&|name, value| format!("++{name}={value}"))),
                "${args_no_equals}" => {
                    arguments.extend(sorted.iter().flat_map(|(name, value)| [format!("--{name}"), value.clone()]));
                }
                "${args_no_boolean_flags}" => {
                    arguments.extend(sorted.iter().filter_map(|(name, value)| match config[*name] {
                        Json::Bool(true) => Some(format!("--{name}")),
                        Json::Bool(false) => None,
                        _ => Some(format!("--{name}={value}")),
                    }));
                }
                "${args_json}" => arguments.push(Json::Object(config.clone()).to_string()),
                "${args_json_file}" => arguments.push(settings_file.to_owned()),
                _ => arguments.push(with_variables(item, &variable)?),
            }
        }
        Ok(arguments)
    }

    /// Returns the requirements that must be met before any trial. Each has the index of the command item that names
    /// it. `interpreter` replaces `${interpreter}`. Requirements that depend on the trial are left out.
    pub fn needs<'a>(&'a self, interpreter: &'a str) -> Vec<(usize, Need<'a>)> {
        let words = self.command.iter().map(|item| match item.as_str() {
            "${env}" => "/usr/bin/env",
            "${interpreter}" => interpreter,
            "${program}" => self.program.as_deref().unwrap_or(item),
            other => other,
        });
        let words: Vec<&str> = words.collect();
        let base = |word: &'a str| word.rsplit('/').next().unwrap_or(word);
        let plain = |at: usize| words.get(at).copied().filter(|word| !word.starts_with('-') && !word.contains("${"));
        let mut at = 0;
        if words.first().is_some_and(|word| base(word) == "env") {
            at = words.iter().skip(1).take_while(|word| word.contains('=')).count() + 1;
        }
        let Some(first) = plain(at) else { return Vec::new() };
        let mut needs = vec![(at, Need::Command(first))];
        if ELSEWHERE.contains(&base(first)) {
            return needs;
        }
        let runs = |word: &str| INTERPRETERS.iter().any(|one| word.strip_prefix(one).is_some_and(is_version));
        for next in at + 1..words.len() {
            let is_program = self.command[next] == "${program}" && words[next - 1] != "-m";
            let is_script = next == at + 1 && (runs(base(first)) || self.command[at] == "${interpreter}");
            if let Some(file) = plain(next).filter(|_| is_program || is_script) {
                needs.push((next, Need::File(file)));
            }
        }
        needs
    }
}

/// Returns whether the rest of an interpreter's name is empty or a version, such as `3.12`.
fn is_version(rest: &str) -> bool {
    rest.chars().all(|char| char.is_ascii_digit() || char == '.')
}

/// Returns `python`, as W&B does, or `python3` if `path` has only that. `path` has the format of PATH.
pub fn interpreter(path: &str) -> String {
    let has = |name: &str| std::env::split_paths(path).any(|folder| folder.join(name).is_file());
    if has("python") || !has("python3") { "python".to_owned() } else { "python3".to_owned() }
}

/// Puts a value under the last of the names, in a table under each name before it.
fn put(config: &mut Settings, steps: &[String], value: &Json) {
    match steps {
        [] => {}
        [last] => drop(config.insert(last.clone(), value.clone())),
        [group, rest @ ..] => {
            let table = config.entry(group).or_insert_with(|| Json::Object(Settings::new()));
            if let Json::Object(table) = table {
                put(table, rest, value);
            }
        }
    }
}

/// A value as Python's `str` has it, which is what W&B hands over.
fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => literal(other),
    }
}

/// A value as Python's `repr` has it: `2e-05`, `True`, `None`, `[1, 'x']`, `{'lr': 0.1}`.
fn literal(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        Json::Number(number) if number.is_f64() => float(number.as_f64().unwrap_or_default()),
        Json::Number(number) => number.to_string(),
        Json::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Json::Object(table) => {
            let members = table.iter().map(|(name, value)| format!("{}: {}", quoted(name), literal(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

/// A float in the shortest digits that read back the same; from 1e16 and below 1e-4 with an exponent of two digits or more.
fn float(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => format!("{value:?}"),
    }
}

/// Text in quotes: single ones, unless it has some and no double ones.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut whole = String::from(quote);
    for char in text.chars() {
        match char {
            '\\' => whole += "\\\\",
            '\n' => whole += "\\n",
            '\r' => whole += "\\r",
            '\t' => whole += "\\t",
            char if char == quote => whole.extend(['\\', char]),
            char if char.is_control() && (char as u32) < 0x100 => whole += &format!("\\x{:02x}", char as u32),
            char => whole.push(char),
        }
    }
    whole.push(quote);
    whole
}

/// `${envvar:NAME}` anywhere in an item is what the environment has under that name.
fn with_variables(item: &str, variable: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    const OPEN: &str = "${envvar:";
    let mut rest = item;
    let mut whole = String::new();
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((name, after)) = after.split_once('}') else { break };
        whole += before;
        whole += &variable(name)
            .ok_or_else(|| format!("the command needs {name} in the environment, and it is not there"))?;
        rest = after;
    }
    Ok(whole + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(command: &[&str]) -> Result<Vec<String>, String> {
        let command = command.iter().map(|item| (*item).to_owned()).collect();
        let program = Program { program: Some("train.py".into()), command, ..Program::default() };
        let settings = json!({"lr": 0.001, "amp": true, "bias": false, "kind": "a b", "sizes": [1, 2]});
        let variable = |name: &str| (name == "TOKEN").then(|| "t".to_owned());
        program.arguments(settings.as_object().unwrap(), "python3", "/r/0001/settings.json", variable)
    }

    #[test]
    fn every_macro_is_what_w_and_b_makes_of_it() {
        assert_eq!(
            arguments(&COMMAND).unwrap(),
            [
                "/usr/bin/env",
                "python3",
                "train.py",
                "--amp=True",
                "--bias=False",
                "--kind=a b",
                "--lr=0.001",
                "--sizes=[1, 2]"
            ]
        );
        let one = |command| arguments(&[command]).unwrap();
        assert_eq!(one("${args_no_equals}")[..4], ["--amp", "True", "--bias", "False"]);
        assert_eq!(one("${args_no_hyphens}")[..2], ["amp=True", "bias=False"]);
        assert_eq!(one("${args_no_boolean_flags}"), ["--amp", "--kind=a b", "--lr=0.001", "--sizes=[1, 2]"]);
        assert_eq!(one("${args_json}"), [r#"{"lr":0.001,"amp":true,"bias":false,"kind":"a b","sizes":[1,2]}"#]);
        assert_eq!(one("${args_json_file}"), ["/r/0001/settings.json"]);
        assert_eq!(one("${args_append_hydra}")[0], "+amp=True");
        assert_eq!(one("${args_override_hydra}")[0], "++amp=True");
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (value, expected) in [
            (
                json!([2e-5, 1e-4, 1.0, 1e16, 123_456_789.5, -1.5e-7]),
                "[2e-05, 0.0001, 1.0, 1e+16, 123456789.5, -1.5e-07]",
            ),
            (json!([1, "x", null, true]), "[1, 'x', None, True]"),
            (json!({"lr": 0.1, "of": {"it's": "a\"b"}}), "{'lr': 0.1, 'of': {\"it's\": 'a\"b'}}"),
            (json!(["'\"", "a\\n\n\u{1b}é"]), r#"['\'"', 'a\\n\n\x1bé']"#),
        ] {
            assert_eq!(word(&value), expected);
        }
        assert_eq!(
            (word(&json!("it's")), word(&json!(1e22)), word(&json!(5e-324))),
            ("it's".into(), "1e+22".into(), "5e-324".into())
        );
    }

    #[test]
    fn members_of_a_group_are_a_table_under_its_name() {
        let steps = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let groups = [steps(&["optimizer", "lr"]), steps(&["optimizer", "of", "beta"])];
        let groups = groups.into_iter().map(|steps| (steps.join("."), steps)).collect();
        let command = vec!["${args}".to_owned(), "${args_json}".to_owned()];
        let program = Program { command, groups, ..Program::default() };
        let settings = json!({"optimizer.lr": 0.1, "seed.x": 1, "optimizer.of.beta": "b"});
        let arguments = program.arguments(settings.as_object().unwrap(), "", "", |_| None).unwrap();
        assert_eq!(
            arguments,
            [
                "--optimizer={'lr': 0.1, 'of': {'beta': 'b'}}",
                "--seed.x=1",
                r#"{"optimizer":{"lr":0.1,"of":{"beta":"b"}},"seed.x":1}"#,
            ]
        );
    }

    #[test]
    fn what_a_command_needs_is_known_before_any_trial() {
        let needs = |command: &[&str]| {
            let command = command.iter().map(|item| (*item).to_owned()).collect();
            let program = Program { program: Some("train.py".into()), command, ..Program::default() };
            format!("{:?}", program.needs("python3")).replace("Command", "C").replace("File", "F")
        };
        assert_eq!(needs(&COMMAND), r#"[(1, C("python3")), (2, F("train.py"))]"#);
        assert_eq!(needs(&["env", "A=1", "sh", "a.sh", "b.sh"]), r#"[(2, C("sh")), (3, F("a.sh"))]"#);
        assert_eq!(needs(&["python3.12", "-m", "${program}"]), r#"[(0, C("python3.12"))]"#);
        assert_eq!(needs(&["uv", "run", "${program}"]), r#"[(0, C("uv")), (2, F("train.py"))]"#);
        assert_eq!(needs(&["docker", "run", "image", "${program}"]), r#"[(0, C("docker"))]"#);
        assert_eq!(needs(&["${envvar:PYTHON}", "${program}"]), "[]");
        assert_eq!(needs(&["./train", "${args}"]), r#"[(0, C("./train"))]"#);
    }

    #[test]
    fn variables_stand_anywhere_and_one_that_is_missing_is_told() {
        let command = ["--token=${envvar:TOKEN}", "a${envvar:TOKEN}b${envvar:TOKEN}", "${other}"];
        assert_eq!(arguments(&command).unwrap(), ["--token=t", "atbt", "${other}"]);
        assert!(arguments(&["${envvar:NONE}"]).unwrap_err().contains("needs NONE in the environment"));
    }
}
