//! `cluster:` of the sweep file: other hosts that train for the sweep, and how agents are started there.

use std::time::Duration;

use super::node::{Node, Table};
use super::slurm::{self, SlurmJobs};
use super::time;
use super::value::show;

/// Default of [`Cluster::orphan`].
const ORPHAN: Duration = Duration::from_secs(600);

/// The shortest time without a controller. A restart must fit into it.
const SHORTEST: Duration = Duration::from_secs(30);

/// `cluster:` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Hosts, as the user's ssh configuration names them. They are used if `--on` is not given.
    pub hosts: Vec<String>,
    /// Jobs of Slurm. They are submitted if `--on` is not given.
    pub slurm: Option<SlurmJobs>,
    /// Files and folders that are copied to hosts by ssh. Relative paths start from the sweep file's folder.
    pub sync: Vec<String>,
    /// Lines for a host's shell before the agent.
    pub setup: Vec<String>,
    /// The command that starts each trainer or program on other hosts, such as `apptainer exec image.sif`.
    pub wrap: Vec<String>,
    /// Path of `sweep` on the hosts. `None`: it is on PATH there.
    pub program: Option<String>,
    /// Time for which an agent goes on without a word from its controller.
    pub orphan: Duration,
    /// Whether every checkpoint goes to the controller, and not only that of a trial that is paused.
    pub carry: bool,
}

impl Default for Cluster {
    fn default() -> Cluster {
        let (hosts, sync, setup, wrap) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Cluster { hosts, slurm: None, sync, setup, wrap, program: None, orphan: ORPHAN, carry: false }
    }
}

/// Reads `cluster:`.
pub fn read(top: &Table) -> Cluster {
    let mut cluster = Cluster::default();
    let Some(node) = top.get("cluster").filter(|node| !node.value.is_null()) else { return cluster };
    let Some(table) = node.table("cluster: {hosts: [gpu1, gpu2]}") else { return cluster };
    let texts = |key, remedy| table.get(key).map_or_else(Vec::new, |node| texts(&node, remedy));
    cluster.hosts = texts("hosts", "write a list of hosts, as your ssh configuration names them: [gpu1, gpu2]");
    cluster.sync = texts("sync", "write a list of files and folders, for example [/data/images]");
    cluster.setup = texts("setup", "write a list of lines for the hosts' shell, for example [module load cuda]");
    cluster.wrap = texts("wrap", "write a command as a list, for example [apptainer, exec, --nv, image.sif]");
    cluster.slurm = table.get("slurm").and_then(|node| slurm::read(&node));
    if let Some(node) = table.get("program") {
        match node.value.as_str() {
            Some(path) if !path.is_empty() => cluster.program = Some(path.to_owned()),
            _ => node.wrong(
                format!("is {}, but must be a path", show(node.value)),
                "write the path of `sweep` on the hosts, for example /opt/sweep/bin/sweep",
            ),
        }
    }
    if let Some(node) = table.get("orphan")
        && let Some(orphan) = time::time(&node)
    {
        if orphan < SHORTEST {
            let rule = format!("is {}, but must be at least {} s", show(node.value), SHORTEST.as_secs());
            node.wrong(rule, "a host continues for this time without its controller, which may have to be restarted");
        }
        cluster.orphan = orphan;
    }
    if let Some(node) = table.get("carry") {
        match node.value.as_bool() {
            Some(carry) => cluster.carry = carry,
            None => node.wrong(
                format!("is {}, but must be true or false", show(node.value)),
                "write true so that trials of a lost host continue from their newest checkpoint",
            ),
        }
    }
    table.close();
    cluster
}

/// Reads a list of texts.
fn texts(node: &Node, remedy: &str) -> Vec<String> {
    let Some(items) = node.items() else {
        node.wrong(format!("is {}, but must be a list", show(node.value)), remedy);
        return Vec::new();
    };
    let text = |item: &Node| match item.value.as_str() {
        Some(text) if !text.trim().is_empty() && !text.contains('\n') => Some(text.to_owned()),
        _ => {
            item.wrong(format!("is {}, but must be a string of one line", show(item.value)), remedy);
            None
        }
    };
    items.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spec;

    fn read(cluster: &str) -> Result<Cluster, String> {
        let text = format!("program: a.py\nmetric: {{name: x, goal: minimize}}\ncluster: {cluster}\n");
        let read = Spec::read(&text, "f", std::path::Path::new("/"));
        read.map(|(spec, _)| spec.cluster).map_err(|problems| problems.to_string())
    }

    #[test]
    fn hosts_and_what_starts_agents_there_are_read() {
        let all = "{hosts: [gpu1, me@gpu2], sync: [/data], setup: [module load cuda], wrap: [nice], program: /opt/sweep, orphan: 1h, \
                   carry: true}";
        let cluster = Cluster {
            hosts: vec!["gpu1".into(), "me@gpu2".into()],
            slurm: None,
            sync: vec!["/data".into()],
            setup: vec!["module load cuda".into()],
            wrap: vec!["nice".into()],
            program: Some("/opt/sweep".into()),
            orphan: Duration::from_secs(3600),
            carry: true,
        };
        assert_eq!(read(all), Ok(cluster));
        assert_eq!(read("null"), Ok(Cluster::default()));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        for (wrong, told) in [
            ("{hosts: gpu1}", "must be a list"),
            ("{hosts: [1]}", "must be a string of one line"),
            ("{orphan: 5s}", "at least 30 s"),
            ("{orphan: soon}", "must be a time"),
            ("{carry: maybe}", "true or false"),
            ("{program: 7}", "must be a path"),
            ("{host: [gpu1]}", "hosts"),
        ] {
            let problem = read(wrong).expect_err(wrong);
            assert!(problem.contains(told), "{wrong}: {problem}");
        }
    }
}
