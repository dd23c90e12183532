//! A user's own program as a trial: the command line that it is started with. The environment is an argument.

mod interpreter;
mod place;
mod python;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use crate::trial::Settings;

pub use interpreter::{Interpreter, interpreter};
pub use place::{Origin, Place, is_module_flag, is_source};
pub use python::word;

use python::dumped;

/// `program`, `command` and `metrics_file` of the sweep file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Replacement for `${program}`, as written in the file.
    pub program: Option<String>,
    /// Items of the command, with their macros.
    pub command: Vec<String>,
    /// File that the program writes its metrics to, relative to the trial's folder.
    pub metrics_file: Option<String>,
    /// Where to look for metrics, unless `metrics_file` is given.
    pub metrics: Metrics,
    /// Folder in which the program starts, relative to the sweep file's folder. `None` means the folder where its file
    /// is found.
    pub folder: Option<String>,
    /// Whether the program starts in the trial's folder instead.
    pub in_trial_folder: bool,
    /// Parameters in groups. The key is the full name; the value has the names of the enclosing groups, then the
    /// parameter's own name.
    pub groups: BTreeMap<String, Vec<String>>,
}

/// Where the metrics of a program are looked for: `metrics:` of the sweep file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Metrics {
    /// What Python libraries log, and what the program prints.
    #[default]
    Auto,
    /// A file that matches this pattern, in the trial's folder or in the one where the program starts.
    Files(String),
    /// Printed lines that match this regular expression; its named groups are the metrics.
    Expression(String),
}

impl Metrics {
    /// Where metrics are expected, in words.
    pub fn describe(&self) -> String {
        match self {
            Metrics::Auto => {
                "what the script logs (wandb, mlflow, TensorBoard, Lightning, Hugging Face, Keras, Ultralytics) \
                              or prints"
                    .to_owned()
            }
            Metrics::Files(pattern) => format!("the file {pattern} in the trial's folder or in that of the program"),
            Metrics::Expression(expression) => format!("printed lines that match {expression}"),
        }
    }
}

/// Default command of a sweep file that names only its program, as in W&B.
pub const COMMAND: [&str; 4] = ["${env}", "${interpreter}", "${program}", "${args}"];

/// Exit code of a program that is to be started again later (EX_TEMPFAIL of sysexits.h).
pub const LATER: i32 = 75;

/// Exit code of a program whose configuration cannot run (EX_CONFIG of sysexits.h).
pub const IMPOSSIBLE: i32 = 78;

/// The name of a signal that ends jobs: `SIGTERM`. `signal 7` for others.
pub fn signal_name(number: i32) -> String {
    let names = [(1, "SIGHUP"), (2, "SIGINT"), (10, "SIGUSR1"), (12, "SIGUSR2"), (15, "SIGTERM")];
    names
        .iter()
        .find(|(of, _)| *of == number)
        .map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}

/// Macros that replace a whole item of the command.
pub const MACROS: [&str; 12] = [
    "${env}",
    "${interpreter}",
    "${program}",
    "${args}",
    "${args_no_equals}",
    "${args_no_hyphens}",
    "${args_no_boolean_flags}",
    "${args_no_nulls}",
    "${args_json}",
    "${args_json_file}",
    "${args_append_hydra}",
    "${args_override_hydra}",
];

/// Placeholders for properties of a trial. They may be anywhere in the command and in text values.
pub const PLACEHOLDERS: [&str; 6] = ["${trial_dir}", "${trial}", "${seed}", "${repeat}", "${gpus}", "${resume}"];

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
    /// Returns the parameters as the program receives them: the members of a group are a table under the group's name,
    /// sorted by name, as in W&B.
    pub fn config(&self, settings: &Settings) -> Settings {
        let steps = |name: &String| self.groups.get(name).cloned().unwrap_or_else(|| vec![name.clone()]);
        let sorted: BTreeMap<Vec<String>, &Json> = settings.iter().map(|(name, value)| (steps(name), value)).collect();
        let mut config = Settings::new();
        for (steps, value) in sorted {
            put(&mut config, &steps, value);
        }
        config
    }

    /// Returns the program and the parameters of a trial, with [`PLACEHOLDERS`] replaced by their values.
    pub fn filled(&self, settings: &Settings, values: &[String; PLACEHOLDERS.len()]) -> (Program, Settings) {
        let fill = |text: &str| {
            PLACEHOLDERS.iter().zip(values).fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        };
        let mut program = self.clone();
        program.command.iter_mut().for_each(|item| *item = fill(item));
        let settings = settings.iter().map(|(name, value)| (name.clone(), fill_in(value, &fill)));
        (program, settings.collect())
    }

    /// The program with the paths of its files below `folder`, so that it can be started elsewhere.
    pub fn below(&self, folder: &Path, interpreter: &str) -> Program {
        let absolute = |file: &str| folder.join(file).to_string_lossy().into_owned();
        let files = self.needs(interpreter).into_iter().filter_map(|(at, need)| match need {
            Need::File(file) => Some((at, absolute(file))),
            Need::Command(command) if command.contains('/') => Some((at, absolute(command))),
            Need::Command(_) => None,
        });
        let mut program = self.clone();
        for (at, file) in files.filter(|(at, _)| !self.command[*at].starts_with("${")) {
            program.command[at] = file;
        }
        program.program = self.program.as_deref().map(absolute);
        program
    }

    /// Returns the argument list of a trial. `interpreter` replaces `${interpreter}`, `settings_file` is the path of a
    /// file with the parameters, and `variable` looks up a name in the environment.
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
                "${args_no_nulls}" => {
                    let present = sorted.iter().filter(|(name, _)| !config[**name].is_null());
                    arguments.extend(present.map(|(name, value)| format!("--{name}={value}")));
                }
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
                "${args_json}" => arguments.push(dumped(&Json::Object(config.clone()))),
                "${args_json_file}" => arguments.push(settings_file.to_owned()),
                _ => arguments.push(with_variables(item, &variable)?),
            }
        }
        Ok(arguments)
    }

    /// The names in `${envvar:NAME}`, each once.
    pub fn variables(&self) -> Vec<String> {
        let names = std::cell::RefCell::new(Vec::new());
        for item in &self.command {
            let note = |name: &str| {
                let mut names = names.borrow_mut();
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
                Some(String::new())
            };
            let _ = with_variables(item, note);
        }
        names.into_inner()
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

/// Returns the arguments as one line that a shell would split into the same arguments.
pub fn line(arguments: &[String]) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%".contains(char);
    let word = |argument: &String| match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.clone(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    };
    arguments.iter().map(word).collect::<Vec<_>>().join(" ")
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

/// A value whose texts are filled in.
fn fill_in(value: &Json, fill: &impl Fn(&str) -> String) -> Json {
    match value {
        Json::String(text) => Json::String(fill(text)),
        Json::Array(items) => items.iter().map(|item| fill_in(item, fill)).collect(),
        Json::Object(map) => map.iter().map(|(name, value)| (name.clone(), fill_in(value, fill))).collect(),
        other => other.clone(),
    }
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
            .ok_or_else(|| format!("the command needs the environment variable {name}, which is not set"))?;
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
        assert_eq!(
            one("${args_json}"),
            [r#"{"amp": true, "bias": false, "kind": "a b", "lr": 0.001, "sizes": [1, 2]}"#]
        );
        assert_eq!(one("${args_json_file}"), ["/r/0001/settings.json"]);
        assert_eq!(
            dumped(&json!({"é": "\u{1f600}\u{7f}\n"})),
            r#"{"\u00e9": "\ud83d\ude00\u007f\n"}"#,
            "as json.dumps"
        );
        assert_eq!(one("${args_append_hydra}")[0], "+amp=True");
        assert_eq!(one("${args_override_hydra}")[0], "++amp=True");
    }

    #[test]
    fn placeholders_are_filled_in_and_nulls_can_be_left_out() {
        let command =
            ["torchrun", "--nproc_per_node=${gpus}", "train.py", "--out=${trial_dir}/${trial}", "${args_no_nulls}"];
        let command = command.iter().map(|item| (*item).to_owned()).collect();
        let program = Program { command, ..Program::default() };
        let settings = json!({"a": null, "path": ["${trial_dir}/x"], "seed": "${seed}"});
        let values = ["/r/0007", "7", "42", "1", "2", "0"].map(str::to_owned);
        let (program, settings) = program.filled(settings.as_object().unwrap(), &values);
        let arguments = program.arguments(&settings, "python3", "", |_| None).unwrap();
        let expected =
            ["torchrun", "--nproc_per_node=2", "train.py", "--out=/r/0007/7", "--path=['/r/0007/x']", "--seed=42"];
        assert_eq!(arguments, expected);
        let program = Program {
            program: Some("a/train.py".into()),
            command: COMMAND.map(str::to_owned).into(),
            ..Program::default()
        };
        assert_eq!(program.below(Path::new("/w"), "python3").program.as_deref(), Some("/w/a/train.py"));
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
                r#"{"optimizer": {"lr": 0.1, "of": {"beta": "b"}}, "seed.x": 1}"#,
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
    fn a_program_starts_in_the_first_folder_that_has_its_file() {
        let place = |folder: &str, origin| Place { folder: folder.into(), origin };
        let places =
            [place("/cwd", Origin::Called), place("/own", Origin::OwnFolder), place("/git", Origin::Repository)];
        let found = |command: &[&str], there: &[&str]| {
            let command = command.iter().map(|item| (*item).to_owned()).collect();
            let program = Program { program: Some("train.py".into()), command, ..Program::default() };
            let (place, others) = program.place(&places, |path| there.iter().any(|file| Path::new(file) == path))?;
            Some((place.origin, others.len()))
        };
        assert_eq!(found(&COMMAND, &["/cwd/train.py"]), Some((Origin::Called, 0)));
        assert_eq!(found(&COMMAND, &["/own/train.py", "/git/train.py"]), Some((Origin::OwnFolder, 1)));
        assert_eq!(found(&COMMAND, &["/git/train.py"]), Some((Origin::Repository, 0)));
        assert_eq!(found(&COMMAND, &["/git/other.py"]), None);
        assert_eq!(found(&["./run", "${args}"], &["/git/run"]), Some((Origin::Repository, 0)));
        assert_eq!(found(&["python", "-m", "pkg.train"], &["/cwd/pkg/train.py"]), Some((Origin::Called, 0)));
        assert_eq!(found(&["torchrun", "a.py", "${args}"], &["/git/a.py"]), Some((Origin::Repository, 0)));
        assert_eq!(found(&["bash", "-c", "python a.py $0"], &["/cwd/a.py"]), Some((Origin::Called, 0)));
        // A file elsewhere says nothing about the folder.
        assert_eq!(found(&["python", "/cwd/a.py"], &["/cwd/a.py"]), None);
        assert_eq!(found(&["docker", "run", "image", "a.py"], &["/cwd/a.py"]), None);
    }

    #[test]
    fn an_activated_environment_goes_before_a_folders_own_and_that_before_path() {
        let program = Program { program: Some("src/train.py".into()), ..Program::default() };
        let chosen = |variables: &[(&str, &str)], files: &[&str]| {
            let variable = |name: &str| variables.iter().find(|(one, _)| *one == name).map(|(_, to)| (*to).to_owned());
            interpreter(&program, Path::new("/w"), variable, |path| files.iter().any(|file| Path::new(file) == path))
                .command
        };
        let files = ["/v/bin/python", "/c/bin/python", "/w/src/.venv/bin/python", "/w/.venv/bin/python", "/p/python3"];
        let (venv, conda, path) = (("VIRTUAL_ENV", "/v"), ("CONDA_PREFIX", "/c"), ("PATH", "/p"));
        assert_eq!(chosen(&[venv, conda, path], &files), "/v/bin/python");
        assert_eq!(chosen(&[("VIRTUAL_ENV", "/gone"), conda, path], &files), "/c/bin/python");
        assert_eq!(chosen(&[conda, ("CONDA_DEFAULT_ENV", "base")], &files), "/w/src/.venv/bin/python");
        assert_eq!(chosen(&[path], &files[3..]), "/w/.venv/bin/python");
        assert_eq!(chosen(&[path], &files[4..]), "python3");
        assert_eq!(chosen(&[], &[]), "python");
    }

    #[test]
    fn variables_stand_anywhere_and_one_that_is_missing_is_told() {
        let command = ["--token=${envvar:TOKEN}", "a${envvar:TOKEN}b${envvar:TOKEN}", "${other}"];
        assert_eq!(arguments(&command).unwrap(), ["--token=t", "atbt", "${other}"]);
        assert!(arguments(&["${envvar:NONE}"]).unwrap_err().contains("needs the environment variable NONE"));
    }
}
