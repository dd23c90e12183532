//! Files in the folder where programs start that more than one trial has written: one may have overwritten the other's
//! checkpoint. Nobody says who wrote a file, so this compares when files changed with when trials ran.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sweep_core::trial::TrialId;
use sweep_core::warning::Warning;

/// Files that are looked at. A folder with more, such as one with data, is not searched further.
const MOST_FILES: usize = 20_000;
/// Depth of folders below the one where programs start.
const DEEPEST: usize = 6;
/// Trials after whose end the folder is looked at. Trials that overwrite files do it from the first on.
const MOST_CHECKS: u32 = 20;
/// Files that a warning names.
const NAMED: usize = 3;
/// Trials that a warning names.
const MOST_TRIALS: usize = 4;

/// Folders that libraries share among runs.
const SHARED: [&str; 5] = ["__pycache__", "node_modules", "site-packages", "wandb", "mlruns"];
/// Files that people write, also while a sweep runs.
const SOURCES: [&str; 12] = ["py", "pyc", "ipynb", "yaml", "yml", "toml", "md", "sh", "c", "cpp", "rs", "swp"];

/// When trials ran, and which of them may have written each file.
#[derive(Debug, Default)]
pub struct Clashes {
    runs: Vec<Run>,
    files: HashMap<PathBuf, Writers>,
    checks: u32,
    /// Whether files that clash were found. One warning is enough.
    found: bool,
}

#[derive(Debug)]
struct Run {
    trial: TrialId,
    from: SystemTime,
    to: Option<SystemTime>,
}

#[derive(Debug)]
struct Writers {
    /// The last change that was seen.
    changed: SystemTime,
    /// Trials that ran at each of the changes. If none did, several trials have written the file.
    all: BTreeSet<TrialId>,
    /// Trials that ran at any of them.
    any: BTreeSet<TrialId>,
}

impl Clashes {
    /// A trial's program starts.
    pub fn began(&mut self, trial: TrialId, at: SystemTime) {
        self.runs.push(Run { trial, from: at, to: None });
    }

    /// A trial's program has ended. Returns whether the folder is worth a check.
    pub fn ended(&mut self, trial: TrialId, at: SystemTime) -> bool {
        if let Some(run) = self.runs.iter_mut().rev().find(|run| run.trial == trial && run.to.is_none()) {
            run.to = Some(at);
        }
        self.checks += 1;
        !self.found && self.checks <= MOST_CHECKS
    }

    /// Takes in when files changed. Returns a warning if more than one trial must have written one of them. `is_foreign`
    /// tells the files that something else writes, such as the output of this process.
    pub fn check(
        &mut self,
        folder: &Path,
        files: Vec<(PathBuf, SystemTime)>,
        is_foreign: impl Fn(&Path) -> bool,
    ) -> Option<Warning> {
        let mut clashing: Vec<(String, BTreeSet<TrialId>)> = Vec::new();
        for (path, changed) in files {
            if self.files.get(&path).is_some_and(|known| known.changed == changed) {
                continue;
            }
            let ran = |run: &&Run| run.from <= changed && run.to.is_none_or(|to| changed <= to);
            let now: BTreeSet<TrialId> = self.runs.iter().filter(ran).map(|run| run.trial).collect();
            if now.is_empty() {
                continue; // It is older than the sweep, or somebody else's.
            }
            let fresh = || Writers { changed, all: now.clone(), any: BTreeSet::new() };
            let known = self.files.entry(path.clone()).or_insert_with(fresh);
            known.changed = changed;
            known.all.retain(|trial| now.contains(trial));
            known.any.extend(&now);
            if known.all.is_empty() && !is_foreign(&path) {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                clashing.push((name, known.any.clone()));
            }
        }
        // Changes after this check cannot be those of a trial that has ended.
        self.runs.retain(|run| run.to.is_none());
        self.found |= !clashing.is_empty();
        warning(folder, &clashing)
    }
}

fn warning(folder: &Path, clashing: &[(String, BTreeSet<TrialId>)]) -> Option<Warning> {
    let (_, trials) = clashing.first()?;
    let mut names: Vec<&str> = clashing.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(NAMED);
    let names = names[..names.len() - more].join(", ");
    let more = if more > 0 { format!(" and {more} more files") } else { String::new() };
    let trials: Vec<String> = trials.iter().take(MOST_TRIALS).map(ToString::to_string).collect();
    let text = format!(
        "more than one of the trials {} wrote {names}{more} in {}, so one may have overwritten what the other wrote; \
         set `cwd: trial`, or write below `${{trial_dir}}` (SWEEP_TRIAL_DIR).",
        trials.join(", "),
        folder.display()
    );
    Some(Warning { name: "same_file".to_owned(), serious: false, text })
}

/// The files in a folder that a trial may have written, and when they changed. Other sweeps, environments, hidden files and
/// sources are left out.
pub fn files(folder: &Path) -> Vec<(PathBuf, SystemTime)> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let (name, Ok(kind)) = (name.to_string_lossy(), entry.file_type()) else { continue };
            if name.starts_with('.') || kind.is_symlink() || found.len() >= MOST_FILES {
                continue;
            }
            if kind.is_dir() {
                let is_other = ["journal.jsonl", "pyvenv.cfg"].iter().any(|mark| path.join(mark).exists());
                if depth < DEEPEST && !is_other && !SHARED.contains(&&*name) {
                    folders.push((path, depth + 1));
                }
                continue;
            }
            let is_source = path.extension().is_some_and(|one| SOURCES.contains(&&*one.to_string_lossy()));
            let changed = entry.metadata().and_then(|file| file.modified());
            found.extend(changed.ok().filter(|_| !is_source && kind.is_file()).map(|changed| (path, changed)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_file_that_no_single_trial_can_have_written_is_told_once() {
        let folder = Path::new("/w");
        let file = |name: &str, seconds| (folder.join(name), at(seconds));
        let no = |_: &Path| false;
        let mut clashes = Clashes::default();
        clashes.began(TrialId(1), at(10));
        clashes.began(TrialId(2), at(10));
        assert!(clashes.ended(TrialId(1), at(20)));
        // Either of them may have written both.
        let files = vec![file("data.bin", 5), file("model.pt", 15), file("own-2.pt", 16), file("nohup.out", 16)];
        assert_eq!(clashes.check(folder, files, no), None);
        clashes.began(TrialId(3), at(21));
        clashes.ended(TrialId(2), at(30));
        let files = vec![file("model.pt", 29), file("own-2.pt", 22)];
        assert_eq!(clashes.check(folder, files, no), None, "trial 2 may have");
        clashes.ended(TrialId(3), at(40));
        let files = vec![file("model.pt", 39), file("own-2.pt", 22), file("nohup.out", 39)];
        let told = clashes.check(folder, files, |path| path.ends_with("nohup.out")).expect("2 and 3 did").text;
        assert!(told.starts_with("more than one of the trials 0001, 0002, 0003 wrote model.pt in /w,"), "{told}");
        assert!(!clashes.ended(TrialId(4), at(50)), "once is enough");
    }
}
