//! A database of Optuna's `RDBStorage`, if it is a file of SQLite.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};

use super::Study;
use super::optuna::{chosen, external, gathered, goal};

/// Whether a file begins like one of SQLite's.
pub fn is_database(bytes: &[u8]) -> bool {
    bytes.starts_with(b"SQLite format 3\0")
}

/// Reads a study. `name` is needed if the file has several.
///
/// # Errors
/// Returns what is wrong with the file.
pub fn study(path: &Path, name: Option<&str>) -> Result<Study, String> {
    read(path, name).map_err(|error| match error {
        Problem::Database(error) => format!("no database of Optuna: {error}"),
        Problem::Study(problem) => problem,
    })
}

enum Problem {
    Database(rusqlite::Error),
    Study(String),
}

impl From<rusqlite::Error> for Problem {
    fn from(error: rusqlite::Error) -> Problem {
        Problem::Database(error)
    }
}

fn read(path: &Path, name: Option<&str>) -> Result<Study, Problem> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut studies = database.prepare("SELECT study_id, study_name FROM studies")?;
    let studies = studies.query_map([], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)))?;
    let id = chosen(&studies.collect::<Result<BTreeMap<u64, String>, _>>()?, name).map_err(Problem::Study)? as i64;
    let mut directions =
        database.prepare("SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective")?;
    let directions = directions.query_map([id], |row| row.get::<_, String>(0))?;
    let number = |name: String| if name == "MINIMIZE" { 1 } else { 2 };
    let directions: Vec<u64> = directions.map(|name| name.map(number)).collect::<Result<_, _>>()?;
    let mut settings: BTreeMap<i64, Map<String, Value>> = BTreeMap::new();
    let mut parameters = database.prepare(
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params JOIN trials USING (trial_id) \
         WHERE study_id = ? ORDER BY param_id",
    )?;
    let mut rows = parameters.query([id])?;
    while let Some(row) = rows.next()? {
        let (distribution, value): (String, f64) = (row.get(3)?, row.get(2)?);
        settings.entry(row.get(0)?).or_default().insert(row.get(1)?, external(&value.into(), &distribution));
    }
    let mut trials = database.prepare(
        "SELECT trial_id, number, CASE WHEN state = 'COMPLETE' THEN value END FROM trials \
         LEFT JOIN trial_values USING (trial_id) WHERE study_id = ? ORDER BY number",
    )?;
    let trials = trials.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get(2)?)))?;
    let trials: Vec<(i64, i64, Option<f64>)> = trials.collect::<Result<_, _>>()?;
    let goal = goal(&directions).map_err(Problem::Study)?;
    let trials = trials
        .into_iter()
        .map(|(id, number, value)| (number as usize, settings.remove(&id).unwrap_or_default(), value));
    Ok(gathered(goal, trials))
}
