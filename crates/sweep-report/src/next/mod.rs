//! `next.yaml`: the sweep file that follows from the findings. Each change has its reason. Pure.
//!
//! Every change is validated separately. A change that would make the file invalid is left out, for example if a
//! condition names a value that it removes. The resulting file can therefore always be planned.

#[cfg(test)]
mod followed;
mod page;
mod propose;
mod rate;
mod regularization;
pub mod stage;
mod statistics;
mod values;

use std::path::{Component, Path, PathBuf};

use serde_yaml::{Mapping, Value};

use super::analysis::Analysis;
use sweep_scheduler::search::Search;
use sweep_spec::{Spec, parse_yaml};

/// A change of one value in the sweep file.
#[derive(Debug, Clone)]
pub struct Change {
    /// The keys from the top of the file: `[training, epochs]`.
    pub path: Vec<String>,
    /// The new value, or `None` to remove the key.
    pub value: Option<Value>,
    /// The reason, in one sentence.
    pub reason: String,
}

/// Creates the next sweep file from the text of the last one. `folder` is the absolute path of its future folder.
/// Returns `None` if the text is no valid sweep file.
pub fn file(text: &str, folder: &Path, analysis: &Analysis) -> Option<String> {
    let Value::Mapping(mut file) = parse_yaml(text).ok()? else { return None };
    let base = &analysis.history.base;
    let moved = |path: &mut Value| {
        if let Some(old) = path.as_str() {
            *path = relative(folder, &base.join(old)).display().to_string().into();
        }
    };
    file.get_mut("data").and_then(|data| data.get_mut("path")).map(moved);
    // A program is started where it was: what its command names is there.
    if file.contains_key("program") || file.contains_key("command") {
        let mut start = match &analysis.history.start {
            Some(start) => start.display().to_string().into(),
            None => file.get("folder").cloned().unwrap_or_else(|| ".".into()),
        };
        moved(&mut start);
        file.insert("folder".into(), start);
    }
    // The next sweep is a new one, without the trials before the last stage.
    let before = analysis.history.extensions.last().filter(|one| one.stage.is_some()).map_or(0, |one| one.begun as u64);
    if let Some(cap) = file.get("run_cap").and_then(Value::as_u64).filter(|cap| before > 0 && *cap > before) {
        file.insert("run_cap".into(), (cap - before).into());
    }
    let mut made = Made { file, kept: Vec::new(), left_out: Vec::new() };
    let room = room(analysis.spec);
    let mut remarks = propose::remarks(&made.file, analysis);
    for change in propose::changes(&made.file, analysis) {
        made.make(change, folder, room);
    }
    for change in propose::of_best(analysis, &made.kept) {
        made.make(change, folder, room);
    }
    if !made.left_out.is_empty() {
        remarks.push(format!("Not added, because the grid would become too large: {}.", made.left_out.join(", ")));
    }
    Some(page::text(&made.file, &made.kept, &remarks))
}

/// A grid may grow by this factor, because each new parameter multiplies it.
const GROWTH: u64 = 4;
/// Number of trials to which any grid may grow.
const SMALL: u64 = 24;

/// Maximum number of trials of the next grid. `None` if `run_cap` or the method limits them.
fn room(spec: &Spec) -> Option<u64> {
    let trials = Search::new(spec.search_terms()).len().filter(|_| spec.run_cap.is_none())?;
    Some(trials.saturating_mul(GROWTH).max(SMALL))
}

/// The file with the changes made so far.
struct Made {
    file: Mapping,
    kept: Vec<Change>,
    /// Names of the parameters that would have made the grid too large.
    left_out: Vec<String>,
}

impl Made {
    /// Makes a change if the file stays valid, and a grid below `room` trials.
    fn make(&mut self, change: Change, folder: &Path, room: Option<u64>) {
        if self.kept.iter().any(|one| one.path == change.path && one.value.is_some()) {
            return;
        }
        let mut changed = self.file.clone();
        put(&mut changed, &change.path, change.value.clone());
        let Ok((spec, _)) = Spec::read(&page::text(&changed, &[], &[]), "next.yaml", folder) else { return };
        let trials = || Search::new(spec.search_terms()).len();
        let known = || self.file.get("parameters").is_some_and(|all| all.get(&change.path[1]).is_some());
        let is_new = change.path[0] == "parameters" && !known();
        if is_new && room.is_some_and(|room| trials().is_some_and(|trials| trials > room)) {
            self.left_out.push(change.path[1].clone());
            return;
        }
        self.file = changed;
        self.kept.retain(|one| one.path != change.path);
        self.kept.push(change);
    }
}

/// Sets a value at a path. Missing tables are created.
fn put(table: &mut Mapping, path: &[String], value: Option<Value>) {
    let Some((key, rest)) = path.split_first() else { return };
    match (rest.is_empty(), value) {
        (true, Some(value)) => drop(table.insert(key.as_str().into(), value)),
        (true, None) => drop(table.shift_remove(key.as_str())),
        (false, value) => {
            let inner = table.entry(key.as_str().into()).or_insert_with(|| Mapping::new().into());
            if !inner.is_mapping() {
                *inner = Mapping::new().into();
            }
            put(inner.as_mapping_mut().expect("it was just made one"), rest, value);
        }
    }
}

/// The relative path from a folder to a file, both absolute. If they share only the root, the file's path stays
/// absolute.
fn relative(folder: &Path, file: &Path) -> PathBuf {
    let plain = |path: &Path| -> Vec<PathBuf> {
        let mut parts: Vec<PathBuf> = Vec::new();
        for part in path.components() {
            match part {
                Component::ParentDir => drop(parts.pop()),
                Component::CurDir => {}
                other => parts.push(Path::new(&other).to_owned()),
            }
        }
        parts
    };
    let (from, to) = (plain(folder), plain(file));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared < 2 {
        return to.iter().collect();
    }
    if from == to {
        return ".".into();
    }
    from[shared..].iter().map(|_| Path::new("..")).chain(to[shared..].iter().map(PathBuf::as_path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::history::History;
    use sweep_core::trial::{Outcome, TrialId};
    use sweep_sample::curves::{Kind, curve};
    use sweep_scheduler::search::Search;

    fn next(text: &str, history: &History) -> String {
        let spec = Spec::read(text, "f", Path::new("/nowhere")).unwrap_or_else(|problems| panic!("{problems}")).0;
        file(text, Path::new("/nowhere/results/f"), &Analysis::new(&spec, history)).expect("it is a sweep file")
    }

    /// Trials of a file, with curves from the sample's formula.
    fn trained(text: &str, count: u64, last: u32) -> History {
        let spec = Spec::read(text, "f", Path::new("/nowhere")).unwrap_or_else(|problems| panic!("{problems}")).0;
        let mut search = Search::new(spec.search_terms());
        let mut entries = sweep_sample::beginning("f");
        for number in 1..=count {
            let Some(settings) = search.settings(TrialId(number)) else { break };
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, last));
            let diverged = Outcome::Diverged { epoch: last, step: 9, what: "training loss is NaN".into() };
            entries.push(sweep_sample::ended(number, 1, if number % 5 == 4 { diverged } else { Outcome::Finished }));
        }
        sweep_sample::apply(&entries)
    }

    #[test]
    fn what_follows_can_be_planned_for_every_example_and_any_history() {
        let sweeps = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("sweeps");
        let folders = [sweeps.join("programs"), sweeps];
        let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("there are examples"));
        let paths = entries.map(|entry| entry.expect("readable").path());
        let mut seen = 0;
        for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")) {
            let text = std::fs::read_to_string(&path).expect("readable");
            for (count, last) in [(0, 0), (1, 3), (40, 30)] {
                let next = next(&text, &trained(&text, count, last));
                let read = Spec::read(&next, "next.yaml", Path::new("/nowhere/results/f"));
                let spec = read.unwrap_or_else(|problems| panic!("{}\n{problems}\n{next}", path.display())).0;
                assert!(Search::new(spec.search_terms()).settings(TrialId(1)).is_some(), "{next}");
                seen += 1;
            }
        }
        assert!(seen > 30, "{seen}");
    }

    #[test]
    fn each_change_has_its_reason_above_it() {
        let text = sweep_sample::FILE.replace("{value: false}", "{values: [false, true]}");
        let next = next(&text, &trained(&text, 12, 30));
        insta::assert_snapshot!(next);
    }

    #[test]
    fn the_best_configuration_of_the_next_sweep_has_the_rates_of_the_network() {
        let text = "name: f\nmethod: random\nrun_cap: 6\nparameters:\n  learning_rate: {values: [0.001, 0.002]}\ndata: {set: digits}\n\
            model: MODEL\ntraining: {epochs: 30}\n";
        for (model, names) in [("question", "dropout_conv 0.2 dropout_dense 0.5"), ("resnet9", "dropout 0.0")] {
            let text = text.replace("MODEL", model);
            let overfit = trained(&text, 3, 30).altered(|history| {
                for trial in &mut history.trials {
                    trial.curve = curve(Kind::Overfit, 30, 0.02, trial.id.0, true).into();
                }
            });
            let next = next(&text, &overfit);
            let read = Spec::read(&next, "next.yaml", Path::new("/nowhere"));
            let spec = read.unwrap_or_else(|problems| panic!("{problems}")).0;
            let rates = spec.enqueue[0].iter().filter(|(name, _)| name.starts_with("dropout"));
            let rates: Vec<String> = rates.map(|(name, rate)| format!("{name} {rate}")).collect();
            assert_eq!(rates.join(" "), names, "{next}");
        }
    }

    #[test]
    fn a_new_seed_holds_out_the_same_images_in_every_sweep_that_follows() {
        let seeds = |text: &str| {
            let spec = Spec::read(text, "f", Path::new("/nowhere")).unwrap_or_else(|problems| panic!("{problems}")).0;
            (spec.seed, spec.split_seed())
        };
        let text = format!("seed: 18446744073709551615\n{}", sweep_sample::FILE.replacen("seed:", "# seed:", 1));
        let first = next(&text, &trained(&text, 12, 30));
        assert_eq!(seeds(&first), (0, u64::MAX), "{first}");
        let second = next(&first, &trained(&first, 12, 30));
        assert_eq!(seeds(&second), (1, u64::MAX), "{second}");
        // Nothing is drawn where the data's own images validate.
        let own = text.replace("data: {", "data: {validation: test, ");
        assert!(own != text && !next(&own, &trained(&own, 12, 30)).contains("split_seed"), "{own}");
        let program =
            "name: f\nprogram: train.py\nparameters:\n  x: {min: 0.0, max: 1.0}\nmethod: random\nrun_cap: 9\n";
        assert!(!next(program, &trained(program, 9, 3)).contains("split_seed"));
    }

    #[test]
    fn trials_of_a_random_search_that_cannot_be_told_apart_are_tried_again() {
        let text = "name: f\nmethod: random\nrun_cap: 20\nparameters:\n  dropout: {distribution: uniform, min: 0.0, max: \
            0.5}\n  batch_norm: {values: [false, true]}\ndata: {set: digits}\nmodel: question\ntraining: {epochs: 30}\n";
        // Nothing is wrong with them, and their differences are noise.
        let history = trained(text, 20, 30).altered(|history| {
            for trial in &mut history.trials {
                trial.curve = curve(Kind::Good, 40, 0.02, trial.id.0, true).into();
            }
        });
        let next = next(text, &history);
        let spec = Spec::read(&next, "next.yaml", Path::new("/nowhere/results/f")).expect("it is valid").0;
        let tied = spec.enqueue.len() as u64;
        assert!((2..=7).contains(&tied), "{next}");
        assert_eq!((spec.repeats, spec.run_cap), (3, Some(3 * tied)), "only the tied ones are repeated: {next}");
        let mut search = Search::new(spec.search_terms());
        let rate = |settings: &sweep_core::trial::Settings| settings["dropout"].as_f64().expect("a number");
        let first = search.settings(TrialId(1)).expect("a point");
        let tried = history.trials.iter().map(|trial| (rate(&trial.settings) - rate(&first)).abs());
        assert!(tried.reduce(f64::min).is_some_and(|nearest| nearest < 1e-3), "{first:?}\n{next}");
        assert_eq!(search.settings(TrialId(3)), Some(first), "each point has its repeats");
    }

    #[test]
    fn a_program_that_still_improves_trains_longer_or_is_told_to() {
        let after = |epochs: &str| {
            let text = format!(
                "name: f\nprogram: train.py\nmetric: {{name: val_loss}}\nparameters:\n  x: {{values: [1, 2, 3]}}\n{epochs}"
            );
            let history = trained(&text, 3, 12).altered(|history| {
                for trial in &mut history.trials {
                    for epoch in &mut trial.curve {
                        epoch.val_loss = Some(3.0 - 0.1 * f64::from(epoch.epoch) + 0.3 * trial.id.0 as f64);
                        epoch.train_loss = epoch.val_loss.map(|loss| loss - 0.1);
                        (epoch.train_eval_loss, epoch.train_eval_accuracy) = (None, None);
                        (epoch.train_accuracy, epoch.val_accuracy) = (None, None);
                    }
                }
            });
            next(&text, &history)
        };
        let fixed = after("  epochs: {value: 12}\n");
        let file: Value = serde_yaml::from_str(&fixed).expect("YAML");
        let [now, first] = [&file["parameters"]["epochs"]["value"], &file["enqueue"][0]["epochs"]];
        assert!(now.as_u64().is_some_and(|epochs| epochs > 12) && now == first, "{fixed}");
        assert!(after("").contains("Train longer, to about epoch"), "{}", after(""));
    }

    #[test]
    fn a_grid_grows_little_and_says_what_it_left_out() {
        let text = "name: f\nparameters:\n  learning_rate: {values: [1e-4, 3e-4, 1e-3]}\n  batch_size: {values: [16, 32, 64, \
            128]}\ndata: {set: digits}\nmodel: question\ntraining: {epochs: 30}\n";
        let history = trained(text, 12, 30).altered(|history| {
            for trial in &mut history.trials {
                trial.curve = curve(Kind::Overfit, 40, 0.02, trial.id.0, true).into();
            }
        });
        let next = next(text, &history);
        let spec = Spec::read(&next, "next.yaml", Path::new("/nowhere/results/f")).expect("it is valid").0;
        let trials = Search::new(spec.search_terms()).len().expect("a grid has an end");
        assert!(
            (13..=48).contains(&trials) && next.contains("because the grid would become too large: dropout"),
            "{trials}\n{next}"
        );
    }

    #[test]
    fn a_program_is_found_from_where_the_next_file_lies() {
        let text = "name: f\nprogram: train.py\nparameters: {x: {values: [1, 2]}}\n";
        let next = next(text, &sweep_sample::apply(&sweep_sample::beginning("f")));
        let next: Value = serde_yaml::from_str(&next).unwrap();
        assert_eq!((&next["program"], &next["folder"]), (&"train.py".into(), &"../..".into()));
        let text = text.replace("program: train.py", "command: [sh, train.sh]\nfolder: sub/dir");
        let next: Value =
            serde_yaml::from_str(&self::next(&text, &sweep_sample::apply(&sweep_sample::beginning("f")))).unwrap();
        assert_eq!(next["folder"], "../../sub/dir");
    }

    #[test]
    fn a_file_of_odd_texts_stays_what_it_was() {
        let text = "name: odd\ndescription: \"a: b # c\\n- d ${x}\"\nparameters:\n  augment: {values: [null, {flip: \
            yes}]}\n  optimizer: {values: [adam, {type: sgd, momentum: '9e-1'}]}\ndata: {set: arrays, path: x, order: \
            nchw}\nmodel:\n  - flatten\n  - dense: ${classes}\ntraining: {epochs: 3}\n";
        let next = next(text, &trained(text, 0, 0));
        let (old, new): (Value, Value) = (serde_yaml::from_str(text).unwrap(), serde_yaml::from_str(&next).unwrap());
        for key in ["description", "parameters", "model", "training"] {
            assert_eq!(old[key], new[key], "{next}");
        }
        assert_eq!(new["data"]["path"], "../../x");
    }
}
