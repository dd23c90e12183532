//! `cluster: slurm` of the sweep file: what a user asks Slurm for.

use std::fmt;

use super::node::Node;
use super::value::show;

/// Jobs that a user asks Slurm for, in the sweep file or with `--on slurm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlurmJobs {
    /// Number of one-node jobs.
    pub nodes: u32,
    /// Options of sbatch, as the user wrote them.
    pub options: Vec<String>,
}

/// Options that would make the jobs something else than an array of agents that the controller can follow.
const OWN: [&str; 7] = ["--array", "-a", "--job-name", "-J", "--wrap", "--parsable", "--test-only"];

const EXAMPLE: &str = "slurm: {nodes: 4, options: --partition gpu --gpus-per-node 2 --time 8:00:00}";

impl SlurmJobs {
    /// Checks the number of nodes and the options.
    ///
    /// # Errors
    /// Returns the rule that one breaks.
    pub fn new(nodes: u32, options: Vec<String>) -> Result<SlurmJobs, String> {
        if nodes == 0 {
            return Err("--nodes must be at least 1".into());
        }
        let is_own = |option: &&String| OWN.contains(&option.split('=').next().unwrap_or_default());
        match options.iter().find(is_own) {
            Some(option) => Err(format!("{option} cannot be given: sweep sets it to follow its jobs")),
            None => Ok(SlurmJobs { nodes, options }),
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<SlurmJobs> {
        let (nodes, options) = text.split_once(' ').unwrap_or((text, ""));
        SlurmJobs::new(nodes.parse().ok()?, shlex::split(options)?).ok()
    }
}

impl fmt::Display for SlurmJobs {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.nodes)?;
        let options = shlex::try_join(self.options.iter().map(String::as_str)).unwrap_or_default();
        if options.is_empty() { Ok(()) } else { write!(f, " {options}") }
    }
}

/// Reads `slurm:`.
pub fn read(node: &Node) -> Option<SlurmJobs> {
    let table = node.table(EXAMPLE)?;
    let nodes = table.get("nodes");
    let count = match &nodes {
        Some(nodes) => {
            let count = nodes.value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
            if count.is_none() {
                let rule = format!("is {}, but must be a whole number from 1", show(nodes.value));
                nodes.wrong(rule, "write the number of jobs, each of which is one node");
            }
            count
        }
        None => {
            node.wrong("has no `nodes`, the number of jobs", format!("for example, write {EXAMPLE}"));
            None
        }
    };
    let options = table.get("options");
    let words = options.as_ref().map_or(Some(Vec::new()), words);
    table.close();
    let place = options.as_ref().unwrap_or(node);
    SlurmJobs::new(count?, words?).map_err(|rule| place.wrong(rule, "leave this option out")).ok()
}

/// The options, as one text that is split as a shell does, or as a list of words.
fn words(node: &Node) -> Option<Vec<String>> {
    let remedy = "write the options of sbatch as you would type them: --partition gpu --time 8:00:00";
    let split = match (node.value.as_str(), node.value.is_sequence()) {
        (Some(text), _) => shlex::split(text).ok_or("has an unclosed quote"),
        (None, true) => {
            let words = node.items().unwrap_or_default();
            let words: Option<Vec<String>> = words.iter().map(|word| word.value.as_str().map(str::to_owned)).collect();
            words.ok_or(
                "may contain only strings; put values that YAML reads as another type, such as \"8:00:00\", \
                in quotes",
            )
        }
        _ => Err("must be a string or a list of strings"),
    };
    split.map_err(|rule| node.wrong(rule, remedy)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;

    fn read(slurm: &str) -> Result<Option<SlurmJobs>, String> {
        let text = format!("program: a.py\nmetric: {{name: x, goal: minimize}}\ncluster: {{slurm: {slurm}}}\n");
        let read = Spec::read(&text, "f", std::path::Path::new("/"));
        read.map(|(spec, _)| spec.cluster.slurm).map_err(|problems| problems.to_string())
    }

    #[test]
    fn options_are_read_as_they_would_be_typed() {
        let options = ["--partition", "gpu", "--time", "8:00:00", "--comment=a b"].map(str::to_owned).to_vec();
        let jobs = SlurmJobs { nodes: 4, options };
        for options in [
            r#""--partition gpu --time 8:00:00 '--comment=a b'""#,
            r#"[--partition, gpu, --time, "8:00:00", "--comment=a b"]"#,
        ] {
            assert_eq!(read(&format!("{{nodes: 4, options: {options}}}")), Ok(Some(jobs.clone())));
        }
        assert_eq!(read("{nodes: 2}"), Ok(Some(SlurmJobs { nodes: 2, options: Vec::new() })));
        assert_eq!(SlurmJobs::parse(&jobs.to_string()), Some(jobs));
        assert_eq!(SlurmJobs::parse("3"), SlurmJobs::new(3, Vec::new()).ok());
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        for (wrong, told) in [
            ("4", "nodes: 4"),
            ("{}", "has no `nodes`"),
            ("{nodes: 0}", "a whole number from 1"),
            ("{nodes: 2, options: 7}", "must be a text or a list"),
            ("{nodes: 2, options: \"--comment='a\"}", "an unclosed quote"),
            ("{nodes: 2, options: [--time, 10]}", "may contain only strings"),
            ("{nodes: 2, options: --time 10 --array=1-9}", "--array=1-9 cannot be given"),
            ("{nodes: 2, option: x}", "options"),
        ] {
            let problem = read(wrong).expect_err(wrong);
            assert!(problem.contains(told), "{wrong}: {problem}");
        }
    }

    #[test]
    fn options_that_sweep_needs_for_itself_are_refused() {
        for option in ["--array=1-9", "-a", "--job-name=x", "--wrap"] {
            let rule = SlurmJobs::new(2, vec!["--time".into(), "10".into(), option.into()]).expect_err(option);
            assert!(rule.starts_with(option), "{rule}");
        }
        assert!(SlurmJobs::new(0, Vec::new()).is_err());
    }
}
