//! What is printed at the same time or in the same form: lines of several processes, a second progress bar in an epoch.

use super::{Line, MOST_PROCESSES, Printed, Records, Row, names_part};

impl Printed {
    /// Keras' `evaluate` after `fit`: another bar in the same epoch, with the same names.
    pub(super) fn tell_apart(&mut self, line: &mut Line) {
        let total = *self.total.get_or_insert(line.total.unwrap_or_default());
        if line.total.is_some_and(|own| total > 0.0 && own != total) {
            let mut renamed = false;
            for pair in line.pairs.iter_mut().filter(|pair| names_part(&pair.name).is_none()) {
                (pair.name, renamed) = (format!("eval {}", pair.name), true);
            }
            if renamed {
                self.note("the second progress bar of an epoch was read as validation");
            }
        }
        if total == 0.0 {
            self.total = None;
        }
    }

    /// Takes a line of one of several processes that print at the same time.
    pub(super) fn of_process(&mut self, process: &str, text: &str, redrawn: bool, rows: &mut Vec<Row>) {
        let at = self.processes.iter().position(|(known, _)| known == process).unwrap_or_else(|| {
            if self.processes.len() < MOST_PROCESSES {
                let records = self.records.as_ref().map(|_| Records::default());
                self.processes.push((process.to_owned(), Printed { records, ..Printed::for_metric(&self.metric) }));
            }
            self.processes.len() - 1
        });
        let (process, printed) = &mut self.processes[at];
        let mut own = Vec::new();
        printed.piece(text, redrawn, &mut own);
        rows.extend(own.into_iter().map(|row| of_process(process, row)));
    }
}

/// The row of a process or a model. Its curve is named by it.
pub(super) fn of_process(process: &str, row: Row) -> Row {
    let curve = match row.curve.as_str() {
        "fit 1" => process.to_owned(),
        fit => format!("{process}, {fit}"),
    };
    Row { curve, ..row }
}
