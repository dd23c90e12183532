//! The jobs of a sweep that runs on Slurm.

use std::path::{Path, PathBuf};

use super::{Cluster, Start, Target};
use crate::slurm::{Change, Jobs, Slurm, Submission};
use sweep_core::error::Result;
use sweep_spec::SlurmJobs;
use sweep_store::Layout;

/// The jobs of a sweep. `own` is this program, which the nodes find at the same path, unless the sweep file names another
/// one. `address` is the file by which agents find the controller.
pub fn submission(
    id: String,
    layout: &Layout,
    address: &Path,
    own: &Path,
    start: &Start,
    wanted: &SlurmJobs,
) -> Submission {
    Submission {
        sweep: id,
        folder: layout.root().to_owned(),
        address: address.to_owned(),
        program: start.program.as_ref().map_or(own.to_owned(), PathBuf::from),
        setup: start.setup.clone(),
        options: wanted.options.clone(),
    }
}

/// The number of nodes that are enough for this number of trials. Every node has a slot, and perhaps more.
pub fn most(trials: Option<u64>) -> u32 {
    trials.map_or(u32::MAX, |trials| u32::try_from(trials).unwrap_or(u32::MAX).max(1))
}

/// Submits the jobs, if the sweep runs on Slurm: not more than `left`, the number of trials that have not ended.
///
/// # Errors
/// If Slurm accepts none.
pub async fn start(cluster: &Cluster, layout: &Layout, left: Option<u64>) -> Result<Option<Jobs>> {
    let wanted = |target: &Target| if let Target::Slurm(jobs) = target { Some(jobs.clone()) } else { None };
    let (Some(wanted), Some(address)) = (cluster.targets.iter().find_map(wanted), &cluster.listen) else {
        return Ok(None);
    };
    let submission = submission(cluster.id.clone(), layout, address, cluster.own.program(), &cluster.start, &wanted);
    Jobs::start(Slurm::new(submission, cluster.variables.clone()), wanted.nodes, most(left)).await.map(Some)
}

/// The next change of the jobs, if there are any.
pub async fn next_of(jobs: &mut Option<Jobs>) -> Option<Change> {
    match jobs {
        Some(jobs) => jobs.next().await,
        None => None,
    }
}
