//! The other hosts of a sweep, before it runs: what `--on` and `cluster:` name, and whether they can run it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::output;
use crate::agent::service::{Facts, Terms};
use crate::engine::{Cluster, Prepared, Start, Target, most, submission, targets};
use crate::hosts::Own;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;
use sweep_scheduler::search::Search;
use sweep_spec::{SlurmJobs, Spec};
use sweep_store::Layout;

/// `--on` of `run`, `resume`, `extend` and `plan`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct On {
    /// Train on other hosts: `ssh:HOST,HOST`, `slurm`, or `command:` and a command that starts `sweep agent` there; `none`
    /// trains on this machine [default: as before, or `cluster` in the sweep file]
    #[arg(long = "on", value_name = "HOSTS")]
    on: Vec<String>,
    /// With --on slurm: number of jobs, each with one node [default: `cluster: slurm` in the sweep file]
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// With --on slurm: options of sbatch, as you would type them there
    #[arg(last = true, value_name = "SBATCH OPTIONS")]
    sbatch: Vec<String>,
}

/// What is done about a host that cannot run the sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The sweep does not begin.
    Refuse,
    /// It goes on with the others.
    Note,
}

impl On {
    /// The targets of the command line, or else those of the sweep so far, or of the sweep file.
    ///
    /// # Errors
    /// If one is not understood.
    pub fn targets(&self, spec: &Spec, so_far: &[String]) -> Result<Vec<Target>> {
        self.check()?;
        match (&self.on[..], so_far) {
            ([none], _) if none == "none" => Ok(Vec::new()),
            ([], []) => {
                let hosts = spec.cluster.hosts.iter().map(|host| format!("ssh:{host}"));
                let jobs = spec.cluster.slurm.iter().map(|jobs| Target::Slurm(jobs.clone()).to_string());
                targets(&hosts.chain(jobs).collect::<Vec<_>>())
            }
            ([], so_far) => targets(so_far),
            (on, _) => {
                let in_file = spec.cluster.slurm.as_ref();
                targets(&on.iter().map(|text| self.with_jobs(text, in_file)).collect::<Result<Vec<_>>>()?)
            }
        }
    }

    /// Adds the number of jobs and their options to `slurm`. Other targets stay unchanged.
    fn with_jobs(&self, text: &str, in_file: Option<&SlurmJobs>) -> Result<String> {
        if text != "slurm" {
            return Ok(text.to_owned());
        }
        let usage = |rule: String| {
            let example = "for example: sweep run sweep.yaml --on slurm --nodes 4 -- --gpus-per-node 2 --time 8:00:00";
            Error::new(Exit::Usage, rule).hint(example)
        };
        // What is not given is as in the sweep file.
        let nodes = self.nodes.or(in_file.map(|jobs| jobs.nodes));
        let nodes = nodes.ok_or_else(|| usage("--on slurm needs --nodes N, the number of jobs".into()))?;
        let options = match (&self.sbatch[..], in_file) {
            ([], Some(jobs)) => jobs.options.clone(),
            (options, _) => options.to_vec(),
        };
        let jobs = SlurmJobs::new(nodes, options).map_err(usage)?;
        Ok(Target::Slurm(jobs).to_string())
    }

    /// # Errors
    /// If there are options for jobs and no jobs.
    fn check(&self) -> Result<()> {
        let given = if self.nodes.is_some() { Some("--nodes") } else { self.sbatch.first().map(String::as_str) };
        match given.filter(|_| !self.on.iter().any(|on| on == "slurm")) {
            Some(option) => {
                Err(Error::new(Exit::Usage, format!("{option} is for jobs of Slurm")).hint("add --on slurm"))
            }
            None => Ok(()),
        }
    }
}

/// How agents of the sweep are started.
pub fn start(spec: &Spec) -> Start {
    Start { setup: spec.cluster.setup.clone(), program: spec.cluster.program.clone(), ..Start::default() }
}

/// What agents need to know about the sweep.
pub fn terms(
    spec: &Spec,
    (file, text): (&Path, &str),
    gpus: Option<&str>,
    trainer: Option<&Path>,
    environment: &Environment,
) -> Terms {
    Terms {
        name: spec.name.clone(),
        file: file.display().to_string(),
        text: text.to_owned(),
        base: spec.base.clone(),
        start: spec.start.clone(),
        gpus: gpus.map(str::to_owned),
        trainer: trainer.map(|trainer| environment.folder.join(trainer)),
        carry: spec.cluster.carry,
    }
}

/// Prepares all hosts: they are given what they lack, and asked whether they can run the sweep.
///
/// # Errors
/// If a host cannot run the sweep and none may be missing, or if no host can.
pub fn check(targets: Vec<Target>, spec: &Spec, terms: Terms, missing: Missing, own: Own) -> Result<Cluster> {
    // Jobs wait until there is room, so nobody can be asked now.
    let (jobs, targets): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| matches!(target, Target::Slurm(_)));
    let mut cluster = Cluster { sync: paths_to_copy(spec)?, ..cluster(spec, terms, own) };
    let (mut problems, mut facts) = (Vec::new(), Vec::new());
    for Prepared { target, notes, brought, facts: answer } in cluster.prepare(targets) {
        notes.iter().for_each(|note| output::tell(&format!("note: {target}: {note}")));
        match answer {
            Err(problem) => problems.push(format!("{target}: {problem}")),
            Ok(of_host) => {
                facts.push(of_host);
                cluster.start.add(&target, brought);
                cluster.targets.push(target);
            }
        }
    }
    let mut names = BTreeSet::new();
    problems.extend(
        facts
            .iter()
            .filter(|facts| !names.insert(facts.node.clone()))
            .map(|facts| format!("two agents are called {}; give each a name: sweep agent --name NAME", facts.node)),
    );
    if !problems.is_empty() && (missing == Missing::Refuse || cluster.targets.is_empty() && jobs.is_empty()) {
        let error = Error::new(Exit::NoTrainer, format!("nothing was started:\n  {}", problems.join("\n  ")));
        return Err(error.hint("fix this, or leave the host out of --on"));
    }
    problems.iter().for_each(|problem| output::tell(&format!("note: {problem}")));
    for facts in &facts {
        output::tell(&format!("note: {}: {} slots; {}", facts.node, facts.slots.len(), facts.about()));
    }
    differences(&facts).iter().for_each(|difference| output::tell(&format!("note: {difference}")));
    cluster.slots = facts.iter().map(|facts| facts.slots.len()).sum();
    // The trials of a job whose time ends go on in another one.
    cluster.terms.carry |= !jobs.is_empty();
    cluster.targets.extend(jobs);
    Ok(cluster)
}

/// The data to copy, by absolute paths.
///
/// # Errors
/// If one does not exist here.
fn paths_to_copy(spec: &Spec) -> Result<Vec<PathBuf>> {
    let paths = spec.cluster.sync.iter().map(|path| spec.base.join(path));
    let paths = paths.map(|path| match path.canonicalize() {
        Ok(_) => Ok(written(path)),
        Err(error) => Err(Error::new(Exit::BadFile, format!("`cluster: sync`: {}: {error}", path.display())).hint(
            "name files and folders that are on this machine; relative paths start from the sweep file's folder",
        )),
    });
    paths.collect()
}

/// The path as it is written, without `.` and `..`, and without a slash at its end.
fn written(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path).components().collect()
}

/// What differs between hosts and may change the last bits of a trial.
fn differences(facts: &[Facts]) -> Vec<String> {
    let Some((first, others)) = facts.split_first() else { return Vec::new() };
    let mut told = Vec::new();
    for other in others {
        if other.libtorch != first.libtorch {
            let name = |facts: &Facts| facts.libtorch.clone().unwrap_or("an unknown libtorch".into());
            let (here, there) = (name(first), name(other));
            told.push(format!(
                "{} has {here} and {} has {there}: the same trial may differ in its last bits",
                first.node, other.node
            ));
        }
        if (&other.architecture, &other.instructions) != (&first.architecture, &first.instructions) {
            let list = |facts: &Facts| facts.instructions.iter().cloned().collect::<Vec<_>>().join(" ");
            told.push(format!(
                "{} has {} ({}) and {} has {} ({}): the same trial may differ in its last bits",
                first.node,
                first.architecture,
                list(first),
                other.node,
                other.architecture,
                list(other)
            ));
        }
    }
    told
}

/// The part of a task in an allocation of Slurm, by `srun sweep run --here`.
#[derive(Debug, PartialEq, Eq)]
pub enum Role {
    /// It controls the sweep, and trains, too.
    Controls,
    /// It trains, under this name.
    Joins(String),
    /// Another task of its node does so.
    Idle,
}

/// Finds out which part this process has.
///
/// # Errors
/// If it is not in an allocation.
pub fn role(environment: &Environment) -> Result<Role> {
    let number = |name: &str| environment.variable(name).and_then(|value| value.parse::<u32>().ok());
    match (number("SLURM_PROCID"), number("SLURM_LOCALID")) {
        (Some(0), _) => Ok(Role::Controls),
        (Some(_), Some(1..)) => Ok(Role::Idle),
        (Some(_), _) => Ok(Role::Joins(environment.variable("SLURMD_NODENAME").unwrap_or_else(|| environment.host()))),
        (None, _) => Err(Error::new(Exit::Usage, "--here works only under srun, with one task per node")
            .hint("for example: srun --nodes 4 sweep run sweep.yaml --here")),
    }
}

/// The file that tells agents where the controller of a sweep listens.
pub fn address(layout: &Layout) -> PathBuf {
    layout.root().join(".address")
}

/// The cluster of a sweep whose agents connect by themselves.
pub fn listening(spec: &Spec, terms: Terms, own: Own, layout: &Layout) -> Cluster {
    Cluster { listen: Some(address(layout)), ..cluster(spec, terms, own) }
}

/// A cluster without hosts.
fn cluster(spec: &Spec, terms: Terms, own: Own) -> Cluster {
    Cluster {
        targets: Vec::new(),
        start: start(spec),
        terms,
        orphan: spec.cluster.orphan,
        id: String::new(),
        slots: 0,
        listen: None,
        own,
        sync: spec.cluster.sync.iter().map(|path| written(spec.base.join(path))).collect(),
        variables: Vec::new(),
    }
}

/// Lets agents that jobs start find this controller.
pub fn with_jobs(cluster: Cluster, layout: &Layout, environment: &Environment) -> Cluster {
    if !cluster.targets.iter().any(|target| matches!(target, Target::Slurm(_))) {
        return cluster;
    }
    Cluster { listen: Some(address(layout)), variables: environment.variables(), ..cluster }
}

/// Identifies the sweep among all sweeps of its user.
pub fn id(layout: &Layout, history: &History) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (layout.root(), history.began_at.to_bits()).hash(&mut hasher);
    format!("{}-{:016x}", history.name, hasher.finish())
}

/// What would be started, for `plan`.
pub fn planned(targets: &[Target], spec: &Spec, environment: &Environment) -> Vec<String> {
    let folder = environment.folder.join("results").join(&spec.name);
    let shown = |target: &Target| match target {
        Target::Slurm(jobs) => {
            let (sweep, layout) = (format!("{}-ID", spec.name), Layout::new(&folder));
            let nodes = jobs.nodes.min(most(Search::resumed(spec.search_terms(), &History::default()).len()));
            submission(sweep, &layout, &address(&layout), &environment.program, &start(spec), jobs).shown(nodes)
        }
        target => target.shown(&start(spec)),
    };
    let copied = |target: &Target| match target {
        Target::Ssh(host) => spec.cluster.sync.iter().map(|path| format!("copy {path} to {host}")).collect(),
        _ => Vec::new(),
    };
    targets.iter().flat_map(|target| copied(target).into_iter().chain([shown(target)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_differ_are_named() {
        let facts = |node: &str, libtorch: &str, instructions: &[&str]| Facts {
            node: node.into(),
            libtorch: Some(libtorch.into()),
            instructions: instructions.iter().map(|name| (*name).to_owned()).collect(),
            ..Facts::default()
        };
        let same = [facts("a", "libtorch 2.13.0", &["avx2"]), facts("b", "libtorch 2.13.0", &["avx2"])];
        assert!(differences(&same).is_empty());
        let told = differences(&[facts("a", "libtorch 2.13.0", &["avx2"]), facts("b", "libtorch 2.11.0", &[])]);
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("a has libtorch 2.13.0 and b has libtorch 2.11.0"), "{told:?}");
    }
}
