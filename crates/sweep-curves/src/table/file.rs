//! What the name of a table's file says: the metric, or the set of all columns.

use super::Table;
use crate::gather::Gather;
use crate::names::{Target, is_part, meaning, names_part, quantity};
use crate::special::{is_measure, quantity_of};

/// The name of a file without its folder and its end.
pub fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file).trim_end_matches(".gz");
    let stem = [".csv", ".tsv", ".txt", ".log", ".json", ".out", ".dat"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    // `020-test_error` is numbered.
    stem.split_once(['-', '_']).filter(|(number, _)| number.parse::<u32>().is_ok()).map_or(stem, |(_, rest)| rest)
}

/// The metric of a table that TensorBoard saves, by its name, and why it is that one:
/// `run-validation-tag-epoch_loss.csv`. If the name has only a set, the values tell the metric.
pub(super) fn tag(file: &str, records: &[csv::ByteRecord]) -> Option<(String, String)> {
    let stem = stem(file);
    let (run, tag) = stem.strip_prefix("run-").and_then(|rest| rest.split_once("-tag-")).unwrap_or(("", stem));
    let name = match names_part(run).filter(|_| names_part(tag).is_none()) {
        Some(part) => format!("{part} {tag}"),
        None => tag.to_owned(),
    };
    if matches!(meaning(&name), Some((Target::Metric(_) | Target::LearningRate, _))) {
        return Some((name, "which is in the file's name".to_owned()));
    }
    let part = names_part(stem).filter(|_| quantity(stem).is_none() && !is_measure(stem))?;
    let value = |row: &csv::ByteRecord| std::str::from_utf8(row.get(2)?).ok()?.parse::<f64>().ok();
    let values: Vec<f64> = records.iter().filter_map(value).filter(|value| value.is_finite()).collect();
    let (metric, how) = quantity_of(&values);
    Some((format!("{part} {metric}"), format!("because the file's name has only the set, and the values {how}")))
}

impl Table<'_> {
    /// The set that the name of the file tells, if no column names one. What was decided is said.
    pub(super) fn set_of_file(&self, file: &str, gather: &mut Gather) -> Option<&'static str> {
        const CERTAIN: [&str; 5] = ["val", "valid", "validation", "eval", "evaluation"];
        let names_set = |name: &String| names_part(name).is_some() || name.starts_with("validation_");
        let loss = self.names.iter().find(|name| matches!(meaning(name), Some((Target::Metric(0), _))));
        if self.split.is_some() || self.long.is_some() || self.names.iter().any(names_set) {
            return None;
        }
        let stem = stem(file);
        // `test_run` is no test set.
        let is_certain = |part: &&str| {
            CERTAIN.contains(part) || is_part(stem).is_some() || matches!(meaning(stem), Some((Target::Metric(_), _)))
        };
        let part = names_part(stem).filter(is_certain);
        match (part, loss) {
            (Some(part), _) if self.names.iter().any(|name| is_measure(name)) => {
                gather.note(format!("no column names a set, so all are of the one in the file's name, {part}"));
            }
            (None, Some(loss)) => gather.note(match names_part(stem) {
                Some(part) => format!(
                    "no column names a set, and {part} in the file's name may mean something else, so {loss} was read \
                     as training"
                ),
                None => format!("neither a column nor the file's name tells the set, so {loss} was read as training"),
            }),
            _ => {}
        }
        part
    }
}
