//! Cells that hold several numbers, such as the losses of all layers.

use super::Table;
use crate::cells::number;
use crate::gather::listed;

/// Whether a cell is a list of numbers: `[0.61, 0.64]`.
pub(super) fn is_list(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inside = inside.or_else(|| text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')));
    inside.is_some_and(|inside| inside.contains(',') && inside.split(',').all(|part| number(part, false).is_some()))
}

impl Table<'_> {
    /// Says which columns hold lists, none of whose numbers is that of the row.
    pub(super) fn lists(&self, records: &[csv::ByteRecord]) -> Option<String> {
        let has_lists = |at: &usize| records.iter().any(|record| is_list(self.text(record, *at)));
        let columns: Vec<&str> = (0..self.names.len()).filter(has_lists).map(|at| self.names[at].as_str()).collect();
        (!columns.is_empty())
            .then(|| format!("columns whose cells are lists of numbers were left out: {}", listed(&columns)))
    }
}
