//! Tables among what a script prints, and histories as Python prints them.

use super::{Line, Printed, Row, Target, Value, cells, meaning, names};

impl Printed {
    /// Reads the header or a row of a table. Returns whether the line is one.
    pub(super) fn tabular(&mut self, text: &str, rows: &mut Vec<Row>) -> bool {
        if let Some(columns) = cells::header(text, &mut self.above) {
            // Numbers before it are a summary: a model card's `Loss: 0.22`.
            if self.epoch.is_none() && !self.values.is_empty() {
                self.values.clear();
                self.note("numbers outside the table were left out");
            }
            self.hand_over(rows);
            self.table = Some(columns);
            self.is_below_header = true;
            return true;
        }
        let Some(columns) = &self.table else { return false };
        let Some((mut place, values)) = columns.row(text) else {
            self.repetitions |= self.had_table && !columns.counts() && cells::is_mean(text);
            let is_unread = columns.is_row(text);
            if is_unread {
                self.note("rows of a table with words where its numbers stand were left out");
            }
            return is_unread || cells::is_rule(text);
        };
        self.had_table = true;
        let is_first = std::mem::take(&mut self.is_below_header);
        let again = matches!(
            (place.epoch, self.epoch),
            (Some(now), Some(before)) if now < before || is_first && now == before
        );
        if again {
            self.fit += 1;
        }
        self.epoch = place.epoch;
        if place.epoch.is_none() && place.step.is_none() {
            self.counted += 1.0;
            place.step = Some(self.counted);
        }
        rows.push(Row { curve: self.curve(), place, values });
        true
    }

    /// Whether a line below a table goes on with other epochs. Other numbers are a summary, or a remark of a callback.
    pub(super) fn leaves_table(&mut self, line: &Line) -> bool {
        let metrics =
            line.pairs.iter().filter(|pair| matches!(meaning(&pair.name), Some((Target::Metric(_), _)))).count();
        let leaves = line.alone || line.epoch.is_some() && metrics > 1;
        if leaves {
            (self.table, self.had_table, self.epoch) = (None, false, None);
        } else if metrics > 0 {
            self.note("numbers outside the table were left out");
        }
        leaves
    }

    /// Takes the rows of a history, which is a run of its own. If it counts steps and has other metrics than the epochs
    /// before, it is about these, as Flower's is about rounds.
    pub(super) fn history(&mut self, found: Vec<Row>, rows: &mut Vec<Row>) {
        if !found.is_empty() {
            self.hand_over(rows);
            let is_known = |row: &Row| row.values.iter().any(|(name, _)| self.is_named(name));
            let goes_on = self.epoch.is_some() && found.iter().all(|row| row.place.epoch.is_none() && !is_known(row));
            self.fit += u32::from(self.counted > 0.0 && !goes_on);
            rows.extend(found.into_iter().map(|row| Row { curve: self.curve(), ..row }));
            self.counted += 1.0;
        }
    }

    /// Reads a table of two sets, whose rows are metrics: `accuracy | 0.9 | 0.8` below `Training | Validation`. Returns
    /// whether the line is a part of one.
    pub(super) fn side_by_side(&mut self, text: &str) -> bool {
        let cells: Vec<&str> = text.rsplit(" - ").next().unwrap_or_default().split('|').map(str::trim).collect();
        if let [.., one, other] = cells[..]
            && let (Some(one), Some(other)) = (names::is_part(one), names::is_part(other))
            && !matches!(meaning(cells[0]), Some((Target::Epoch | Target::Step, _)))
        {
            self.beside = Some([one, other]);
            return true;
        }
        let (Some(sets), [name, values @ ..]) = (self.beside, &cells[..]) else { return false };
        if values.len() != sets.len() || name.is_empty() {
            return false;
        }
        for (set, value) in sets.iter().zip(values) {
            if let Some(value) = cells::number(value, false) {
                let name = format!("{set} {name}");
                self.values.push(Value {
                    name,
                    sum: value,
                    count: 1.0,
                    final_value: true,
                    came_often: false,
                    partial: false,
                });
                (self.whole, self.news, self.settled) = (true, true, true);
            }
        }
        true
    }
}
