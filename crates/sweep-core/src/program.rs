//! A user's own program as a trial: the command line that it is started with. The environment is an argument.

use serde_json::Value as Json;

use crate::trial::Settings;

/// `program`, `command`, and `metrics_file` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Replacement for `${program}`, as written in the file.
    pub program: Option<String>,
    /// Items of the command, with their macros.
    pub command: Vec<String>,
    /// File that the program writes its metrics to, relative to the trial's folder.
    pub metrics_file: Option<String>,
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
    /// Returns the argument list of a trial. `interpreter` replaces `${interpreter}`. `settings_file` is the path of a
    /// file with the parameters. `variable` looks up a name in the environment.
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
        let each = |form: &dyn Fn(&str, &str) -> String| -> Vec<String> {
            settings.iter().map(|(name, value)| form(name, &word(value))).collect()
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
                    arguments.extend(settings.iter().flat_map(|(name, value)| [format!("--{name}"), word(value)]));
                }
                "${args_no_boolean_flags}" => {
                    arguments.extend(settings.iter().filter_map(|(name, value)| match value {
                        Json::Bool(true) => Some(format!("--{name}")),
                        Json::Bool(false) => None,
                        _ => Some(format!("--{name}={}", word(value))),
                    }));
                }
                "${args_json}" => arguments.push(Json::Object(settings.clone()).to_string()),
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

/// Formats a value as Python's `str` does, which is what W&B passes. Lists and tables are JSON.
fn word(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Null => "None".to_owned(),
        other => other.to_string(),
    }
}

/// Replaces each `${envvar:NAME}` in an item with the value of that environment variable.
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
        let program = Program { program: Some("train.py".into()), command, metrics_file: None };
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
                "--lr=0.001",
                "--amp=True",
                "--bias=False",
                "--kind=a b",
                "--sizes=[1,2]"
            ]
        );
        let one = |command| arguments(&[command]).unwrap();
        assert_eq!(one("${args_no_equals}")[..4], ["--lr", "0.001", "--amp", "True"]);
        assert_eq!(one("${args_no_hyphens}")[..2], ["lr=0.001", "amp=True"]);
        assert_eq!(one("${args_no_boolean_flags}"), ["--lr=0.001", "--amp", "--kind=a b", "--sizes=[1,2]"]);
        assert_eq!(one("${args_json}"), [r#"{"lr":0.001,"amp":true,"bias":false,"kind":"a b","sizes":[1,2]}"#]);
        assert_eq!(one("${args_json_file}"), ["/r/0001/settings.json"]);
        assert_eq!(one("${args_append_hydra}")[0], "+lr=0.001");
        assert_eq!(one("${args_override_hydra}")[0], "++lr=0.001");
    }

    #[test]
    fn what_a_command_needs_is_known_before_any_trial() {
        let needs = |command: &[&str]| {
            let command = command.iter().map(|item| (*item).to_owned()).collect();
            let program = Program { program: Some("train.py".into()), command, metrics_file: None };
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
