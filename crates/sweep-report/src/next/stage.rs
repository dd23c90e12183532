//! The sweep file of the next stage: the one so far with the keys of the stage, and with the parameters that follow from
//! the results. Of what `next.yaml` proposes, a stage takes only the values of parameters: what else it trains is for the
//! sweep file to say.

use std::path::Path;

use serde_yaml::{Mapping, Value};

use super::super::analysis::Analysis;
use super::propose;
use super::{Change, Made, page, rate};
use sweep_spec::{From, Spec, Stage, parse_yaml};

/// Returns the file of the stage that follows. `text` is the file so far, and `cap` the number of trials of the sweep by
/// then. `None` if the results give no valid file.
pub fn file(text: &str, folder: &Path, analysis: &Analysis, stage: &Stage, cap: Option<u64>) -> Option<String> {
    let Value::Mapping(before) = parse_yaml(text).ok()? else { return None };
    let left: Vec<Value> = before.get("stages")?.as_sequence()?.iter().skip(1).cloned().collect();
    let mut made = Made { file: stage.applied_to(&before), kept: Vec::new(), left_out: Vec::new() };
    set(&mut made.file, "run_cap", cap.map(Value::from));
    set(&mut made.file, "stages", (!left.is_empty()).then(|| Value::Sequence(left)));
    match stage.from {
        From::Next => follow(&mut made, folder, analysis, stage),
        From::Top(count) => {
            let constants = stage.constants();
            let best = analysis.groups.iter().take(usize::try_from(count).unwrap_or(usize::MAX));
            let configuration = |trial| Some(Value::from(with(propose::point(analysis, trial)?, &constants)));
            let best: Vec<Value> = best.filter_map(|group| configuration(*group.trials.first()?)).collect();
            let reason = format!("The best {} configurations so far run again, and no others.", best.len());
            let enqueue = propose::change(&["enqueue"], best, reason);
            made.file.insert("enqueue".into(), enqueue.value.clone()?);
            made.kept.push(enqueue);
        }
    }
    let text = page::text(&made.file, &made.kept, &[]);
    Spec::read(&text, "sweep.yaml", folder).is_ok().then_some(text)
}

fn set(file: &mut Mapping, key: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(file.insert(key.into(), value)),
        None => drop(file.shift_remove(key)),
    }
}

/// Makes the changes that the values of the parameters call for. What the stage gives itself stays.
fn follow(made: &mut Made, folder: &Path, analysis: &Analysis, stage: &Stage) {
    let own = stage.parameters();
    let is_open = |change: &Change| !own.contains_key(change.path[1].as_str());
    let changes = rate::changes(&made.file, analysis).into_iter().chain(propose::of_parameters(&made.file, analysis));
    for change in changes.filter(is_open).collect::<Vec<_>>() {
        made.make(change, folder, None);
    }
    let constants = stage.constants();
    let mut known = made.kept.clone();
    known.extend(constants.iter().map(|(name, value)| {
        let table = Mapping::from_iter([("value".into(), value.clone())]);
        propose::change(&["parameters", name], table, "")
    }));
    for change in propose::of_best(analysis, &known) {
        made.make(change, folder, None);
    }
}

fn with(mut configuration: Mapping, constants: &[(String, Value)]) -> Mapping {
    constants.iter().for_each(|(name, value)| drop(configuration.insert(name.as_str().into(), value.clone())));
    configuration
}
