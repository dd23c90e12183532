//! Tables in one file of SQLite.

use std::path::Path;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Result, ToSql, params_from_iter};

use super::table::{Table, Values};

/// Writes the tables into a new file.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, tables: &[Table]) -> Result<()> {
    let mut database = Connection::open(path)?;
    // The file is complete or not there at all: whoever writes it renames it afterwards.
    database.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let transaction = database.transaction()?;
    for Table { name, columns } in tables {
        let defined: Vec<String> =
            columns.iter().map(|(name, values)| format!("{} {}", quoted(name), kind(values))).collect();
        transaction.execute_batch(&format!("CREATE TABLE {name} ({})", defined.join(", ")))?;
        let places = vec!["?"; columns.len()].join(", ");
        let mut insert = transaction.prepare(&format!("INSERT INTO {name} VALUES ({places})"))?;
        for row in 0..columns.first().map_or(0, |(_, values)| values.rows()) {
            insert.execute(params_from_iter(columns.iter().map(|(_, values)| Cell(values, row))))?;
        }
    }
    transaction.execute_batch("CREATE INDEX epochs_by_trial ON epochs (trial, epoch)")?;
    transaction.commit()?;
    database.close().map_err(|(_, error)| error)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn kind(values: &Values) -> &'static str {
    match values {
        Values::Integer(_) => "INTEGER",
        Values::Real(_) => "REAL",
        Values::Truth(_) => "BOOLEAN",
        Values::Text(_) => "TEXT",
    }
}

struct Cell<'a>(&'a Values, usize);

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        match self.0 {
            Values::Integer(values) => values[self.1].to_sql(),
            Values::Real(values) => values[self.1].to_sql(),
            Values::Truth(values) => values[self.1].to_sql(),
            Values::Text(values) => values[self.1].to_sql(),
        }
    }
}
