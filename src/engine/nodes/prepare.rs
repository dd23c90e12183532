//! What a host is given before an agent starts there: data, this program if it lacks it, and the question whether it can
//! run the sweep.

use std::path::Path;

use super::{Cluster, Start, Target};
use crate::agent::service::{Facts, Greeting};
use crate::hosts::{self, Remote};

/// What came of preparing a host.
#[derive(Debug)]
pub struct Prepared {
    pub target: Target,
    /// What was done there.
    pub notes: Vec<String>,
    /// Where `sweep` is there, if it was brought.
    pub brought: Option<String>,
    /// What the host says of itself, or why the sweep cannot run there.
    pub facts: Result<Facts, String>,
}

impl Cluster {
    /// Prepares hosts, all at the same time. Nothing of the sweep runs there afterwards.
    pub fn prepare(&self, targets: Vec<Target>) -> Vec<Prepared> {
        std::thread::scope(|scope| {
            let prepare = |target| {
                (
                    scope.spawn({
                        let target = Target::clone(&target);
                        move || self.prepare_one(target)
                    }),
                    target,
                )
            };
            let all: Vec<_> = targets.into_iter().map(prepare).collect();
            all.into_iter()
                .map(|(one, target)| {
                    one.join().unwrap_or_else(|_| Prepared::none(target, "it could not be asked".into()))
                })
                .collect()
        })
    }

    fn prepare_one(&self, target: Target) -> Prepared {
        let mut prepared = Prepared::none(target, String::new());
        prepared.facts = self.given(&mut prepared).and_then(|facts| match facts {
            Facts { version, .. } if version != env!("CARGO_PKG_VERSION") => Err(format!(
                "sweep {version} is installed there, and this is sweep {}; install the same version on both",
                env!("CARGO_PKG_VERSION")
            )),
            Facts { problem: Some(problem), .. } => Err(problem),
            facts => Ok(facts),
        });
        prepared
    }

    /// Copies data to a host, asks it whether it can run the sweep, and brings this program along if it lacks that.
    fn given(&self, prepared: &mut Prepared) -> Result<Facts, String> {
        let version = env!("CARGO_PKG_VERSION");
        let check = Some(Box::new(self.terms.clone()));
        let greeting = Greeting { version: version.into(), sweep: String::new(), name: None, check };
        let host = match &prepared.target {
            Target::Ssh(host) => host,
            Target::Command(_) => return prepared.target.check(&self.start, &greeting),
            Target::Slurm(_) => {
                return Err("jobs are submitted when a sweep begins: interrupt it, and resume it with --on".into());
            }
        };
        let remote = Remote { host, setup: &self.start.setup };
        for path in &self.sync {
            let cannot = |why| format!("{} cannot be copied: {why}", Path::display(path));
            if hosts::copy(remote, path).map_err(cannot)? {
                prepared.notes.push(format!("{} was copied", path.display()));
            }
        }
        let facts = prepared.target.check(&self.start, &greeting);
        let lacks = match &facts {
            _ if self.start.program.is_some() => return facts,
            Ok(facts) if facts.version == version => return Ok(facts.clone()),
            Ok(facts) => format!("sweep {} is installed there", facts.version),
            Err(problem) => problem.clone(),
        };
        let cannot = |why| format!("{lacks}; this sweep {version} cannot be copied there: {why}");
        let (path, is_new) = hosts::bring(remote, &self.own).map_err(cannot)?;
        if is_new {
            prepared.notes.push(format!("sweep {version} was copied to {path}, since: {lacks}"));
        }
        prepared.brought = Some(path.clone());
        let brought = [(host.clone(), path)].into_iter().collect();
        prepared.target.check(&Start { brought, ..self.start.clone() }, &greeting)
    }
}

impl Prepared {
    fn none(target: Target, why: String) -> Prepared {
        Prepared { target, notes: Vec::new(), brought: None, facts: Err(why) }
    }
}
