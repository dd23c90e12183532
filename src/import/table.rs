//! A table with a row per trial: sweep's own `trials.csv`, `study.trials_dataframe().to_csv()`,
//! `mlflow.search_runs().to_csv()` of MLflow, an export of W&B's table.

use serde_json::{Map, Value};

use super::{Foreign, Study};

/// Names of outcomes of successful trials, in sweep, Optuna and W&B.
const FINISHED: [&str; 6] = ["finished", "early_stopped", "stopped", "complete", "pruned", ""];

/// Prefixes that Optuna, MLflow and sweep itself put before the name of a parameter.
const PREFIXES: [&str; 3] = ["params_", "params.", "setting_"];

/// Reads a table. The value of a trial is in the column `metric`, or `best_` before it, either with MLflow's prefix, or in
/// Optuna's `value`. Spreadsheets separate columns by commas, semicolons or tabs.
///
/// # Errors
/// Returns what is wrong with the table.
pub fn table(text: &str, metric: &str) -> Result<Study, String> {
    let first = text.lines().next().unwrap_or_default();
    let most = [b'\t', b';', b','].into_iter().max_by_key(|sign| first.bytes().filter(|byte| byte == sign).count());
    let delimiter = most.expect("there are three");
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let header: Vec<String> =
        reader.headers().map_err(|error| error.to_string())?.iter().map(|name| name.trim().to_owned()).collect();
    let column = |name: &str| header.iter().position(|one| one.eq_ignore_ascii_case(name));
    let own = [format!("best_{metric}"), metric.to_owned()];
    let with_prefix = own.iter().map(|name| format!("metrics.{name}"));
    let value = own.iter().cloned().chain(with_prefix).chain(["value".to_owned()]).find_map(|name| column(&name));
    let value =
        value.ok_or_else(|| format!("no column {metric}, best_{metric} or value; columns: {}", header.join(", ")))?;
    let state = column("status").or_else(|| column("state"));
    let mut study = Study::default();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let ended = state.and_then(|at| record.get(at)).unwrap_or_default();
        let read = record.get(value).and_then(|cell| cell.trim().parse::<f64>().ok()).filter(|read| read.is_finite());
        let Some(read) = read.filter(|_| FINISHED.contains(&ended.to_lowercase().as_str())) else {
            study.unfinished += 1;
            continue;
        };
        let mut settings = Map::new();
        for (name, cell) in header.iter().zip(record.iter()) {
            let name = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
            let cell = if cell.is_empty() { Value::Null } else { cell.into() };
            settings.entry(name.to_owned()).or_insert(cell);
        }
        // A spreadsheet shows the line; the header is the first.
        study.trials.push(Foreign { name: format!("line {}", line + 2), settings, value: read });
    }
    Ok(study)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_tables_and_those_of_optuna_are_read() {
        let own = "trial,lr,setting_seed,seed,status,best_val_loss\n1,0.1,3,7,finished,0.5\n2,0.2,4,7,failed,\n";
        let study = table(own, "val_loss").expect("it is a table");
        assert_eq!((study.trials.len(), study.unfinished, study.trials[0].value), (1, 1, 0.5));
        assert_eq!(study.trials[0].settings["lr"], "0.1");
        let optuna = "number,value,params_lr,state\n0,0.5,0.1,COMPLETE\n1,,0.1,FAIL\n";
        assert_eq!(table(optuna, "val_loss").expect("it is a table").trials[0].settings["lr"], "0.1");
        let mlflow = "\u{feff}run_id;status;metrics.best_val_loss;params.lr\nx;FINISHED;0.5;0.1\ny;KILLED;0.4;0.1\n";
        let study = table(mlflow, "val_loss").expect("it is a table");
        assert_eq!((study.trials.len(), study.unfinished, study.trials[0].value), (1, 1, 0.5));
        assert_eq!(study.trials[0].settings["lr"], "0.1");
        assert!(table("a,b\n1,2\n", "val_loss").expect_err("no value").contains("columns: a, b"));
    }
}
