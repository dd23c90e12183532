//! Assigns event files to training runs. A process writes a file, a restarted process another one, and several processes
//! or experiments may share a folder.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scalar, read};
use crate::gather::Gather;
use crate::{Problem, Source};

/// Maximum number of times that the steps of a file may go back.
const MOST_RESTARTS: usize = 100;

/// The scalars of an event file, in file order.
#[derive(Debug)]
pub struct File {
    /// The file's name, without folders.
    name: String,
    scalars: Vec<Scalar>,
}

impl File {
    /// Reads a file.
    pub fn new(source: &Source, bytes: &[u8]) -> Result<File, Problem> {
        let mut scalars = read(bytes)?;
        let of_keras = is_of_validation(&scalars).then_some("validation");
        // They have the values of `epoch_loss` and its like.
        scalars.retain(|scalar| of_keras.is_none() || !scalar.name.ends_with("_vs_iterations"));
        if let Some(prefix) = source.prefix.as_deref().or(of_keras) {
            scalars.iter_mut().for_each(|scalar| scalar.name = format!("{prefix}/{}", scalar.name));
        }
        let name = source.name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        Ok(File { name, scalars })
    }
}

/// Whether Keras wrote the file for the validation set. That writer alone has `evaluation_loss_vs_iterations` beside
/// `epoch_loss`.
fn is_of_validation(scalars: &[Scalar]) -> bool {
    let is_named = |scalar: &Scalar| scalar.name == "evaluation_loss_vs_iterations";
    scalars.iter().any(|scalar| scalar.name == "epoch_loss") && scalars.iter().any(is_named)
}

/// The first and the last step of one name, and the number of its values.
type Span = (f64, f64, usize);

/// What one process wrote: a file, or the part of it up to a restart.
#[derive(Debug)]
struct Part<'a> {
    file: &'a str,
    scalars: &'a [Scalar],
    spans: BTreeMap<&'a str, Span>,
    /// Names whose steps go back where those of others do not.
    restarting: BTreeSet<&'a str>,
}

impl<'a> Part<'a> {
    fn new(file: &'a str, scalars: &'a [Scalar]) -> Part<'a> {
        let mut spans: BTreeMap<&str, Span> = BTreeMap::new();
        for Scalar { name, step, .. } in scalars {
            let (first, last, count) = spans.get(name.as_str()).copied().unwrap_or((*step, *step, 0));
            spans.insert(name, (first.min(*step), last.max(*step), count + 1));
        }
        Part { file, scalars, spans, restarting: BTreeSet::new() }
    }

    fn start(&self) -> f64 {
        self.scalars.first().map_or(0.0, |scalar| scalar.wall)
    }

    /// Whether it continues what another one wrote: it starts later, at a step that the other one had passed or reached.
    /// A process that starts from the beginning logs its first value after at most one interval.
    fn resumes(&self, other: &Part) -> bool {
        let shared = self.spans.iter().filter_map(|(name, span)| Some((span, other.spans.get(name)?)));
        let goes_on = |((first, last, count), (before, ..)): (&Span, &Span)| {
            first > before && *first > 1.5 * (last - first) / ((*count).max(2) - 1) as f64
        };
        other.scalars.last().is_some_and(|last| last.wall <= self.start())
            && shared.max_by_key(|((.., count), _)| *count).is_some_and(goes_on)
    }
}

/// The parts of a file. It has several if all its names go back to earlier steps at the same point.
fn parts(file: &File) -> Vec<Part<'_>> {
    let mut last: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut starts, mut restarting) = (vec![0], BTreeSet::new());
    for (at, Scalar { name, step, .. }) in file.scalars.iter().enumerate() {
        if last.insert(name, *step).is_some_and(|before| *step < before) {
            starts.push(at);
            restarting.insert(name.as_str());
            last = BTreeMap::from([(name.as_str(), *step)]);
        }
    }
    let is_one = starts.len() - 1 > MOST_RESTARTS;
    starts.push(file.scalars.len());
    let part = |ends: &[usize]| Part::new(&file.name, &file.scalars[ends[0]..ends[1]]);
    let parts: Vec<Part> = if is_one { Vec::new() } else { starts.windows(2).map(part).collect() };
    let goes_back = |pair: &[Part]| {
        pair[1].spans.iter().all(|(name, (first, ..))| pair[0].spans.get(name).is_none_or(|before| *first <= before.1))
    };
    if !is_one && parts.windows(2).all(goes_back) {
        return parts;
    }
    let mut whole = Part::new(&file.name, &file.scalars);
    let all_go_back = restarting.len() == whole.spans.len();
    whole.restarting = if all_go_back { BTreeSet::new() } else { restarting };
    vec![whole]
}

/// The parts of each run, by index. `parts` are in the order of their starts.
fn runs(parts: &[Part]) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let shares =
            |run: &[usize]| run.iter().any(|one| part.spans.keys().any(|name| parts[*one].spans.contains_key(name)));
        // Another writer of a run has other names.
        let beside = runs.last().is_some_and(|run| !shares(run)).then(|| runs.len() - 1);
        let resumed = || runs.iter().rposition(|run| run.iter().rev().any(|one| part.resumes(&parts[*one])));
        match beside.or_else(resumed) {
            Some(run) => runs[run].push(at),
            None => runs.push(vec![at]),
        }
    }
    runs
}

/// Passes the scalars of each run to `gather`. Where a restarted process repeats steps, its values replace the earlier ones.
pub fn gather(files: &[File], gather: &mut Gather) -> Result<(), Problem> {
    let mut parts: Vec<Part> = files.iter().filter(|file| !file.scalars.is_empty()).flat_map(parts).collect();
    parts.sort_by(|one, other| one.start().total_cmp(&other.start()));
    let runs = runs(&parts);
    if runs.len() > 1 {
        gather.note("the event files have several runs or processes; each is a curve of its own");
    }
    for (number, run) in runs.iter().enumerate() {
        let curve = match number {
            0 if runs.len() == 1 => String::new(),
            _ => format!("{} {}", parts[run[0]].file, number + 1),
        };
        for name in run.iter().flat_map(|part| &parts[*part].restarting) {
            gather.note(format!("the steps of {name} go back again and again, so it was left out"));
        }
        let mut replaced = 0;
        for (at, part) in run.iter().enumerate() {
            let later = &run[at + 1..];
            let is_used = |scalar: &&Scalar| !parts[*part].restarting.contains(scalar.name.as_str());
            for scalar in parts[*part].scalars.iter().filter(is_used) {
                let mut starts = later.iter().filter_map(|one| parts[*one].spans.get(scalar.name.as_str()));
                if starts.any(|(first, ..)| *first <= scalar.step) {
                    replaced += 1;
                } else {
                    gather.row(&scalar.row(&curve))?;
                }
            }
        }
        if replaced > 0 {
            gather.note(format!(
                "the run was restarted at an earlier step; {replaced} values from before the restart were replaced"
            ));
        }
    }
    Ok(())
}
