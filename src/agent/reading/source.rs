//! Where rows come from. If several sources report the metric, the best one counts.

use serde_json::{Map, Value as Json};

use super::Values;

/// What rows that were read from printed text name as their origin.
pub const PRINTED_TEXT: &str = "the printed text";

/// Libraries in which the script itself chooses what to log, as the hook names them.
const TRACKERS: [&str; 4] = ["wandb.log", "wandb summary", "W&B's offline file", "mlflow"];

/// Epochs of printed text that wait for a library which was announced.
const PATIENCE: usize = 2;

/// Rows of printed text that wait at most.
const MOST_WAITING: usize = 10_000;

/// Sources, the best one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Text that the script prints for people.
    Text,
    /// TensorBoard's writer, which other libraries use, too.
    Writer,
    /// A library that trains, and knows its epochs.
    Library,
    /// A library for tracking experiments: the script chose what to log.
    Tracker,
    /// JSON that the script prints, or the file that `metrics_file` names.
    Own,
}

/// What a row says beside its numbers.
#[derive(Debug, Clone)]
pub struct Origin {
    pub rank: Rank,
    /// In words, for the user: `wandb.log`, `the printed text`.
    pub name: String,
    /// Rows of one number belong together.
    pub row: Option<u64>,
}

impl Origin {
    /// The script itself.
    pub fn own(name: &str) -> Origin {
        Origin { rank: Rank::Own, name: name.to_owned(), row: None }
    }

    /// Reads the origin of a row that may name it. If it does not, the row is the script's own.
    pub fn of(object: &Map<String, Json>, own: &str) -> Origin {
        let Some(name) = object.get("_from").and_then(Json::as_str) else { return Origin::own(own) };
        let rank = match name {
            PRINTED_TEXT => Rank::Text,
            "TensorBoard" => Rank::Writer,
            name if TRACKERS.contains(&name) => Rank::Tracker,
            _ => Rank::Library,
        };
        Origin { rank, name: name.to_owned(), row: object.get("_row").and_then(Json::as_u64) }
    }
}

/// How a row's origin compares with the source of the metric so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The metric comes from a better source, so the row does not count.
    Worse,
    /// Nothing changes.
    Same,
    /// The metric had no source before.
    First,
    /// The row repeats the current epoch, which a worse source has reported.
    Better,
}

/// The best source of the metric so far.
#[derive(Debug, Default)]
pub struct Source(Option<Rank>);

impl Source {
    /// Compares a row's origin with the source, which it may become.
    pub fn compare(&mut self, rank: Rank, has_metric: bool) -> Standing {
        match self.0 {
            Some(before) if rank < before => Standing::Worse,
            before if !has_metric || before == Some(rank) => Standing::Same,
            before => {
                self.0 = Some(rank);
                if before.is_some() { Standing::Better } else { Standing::First }
            }
        }
    }
}

/// Rows of printed text that wait, because a library was announced that may report the metric.
#[derive(Debug, Default)]
pub struct Waiting {
    announced: bool,
    rows: Vec<(Values, Origin)>,
}

impl Waiting {
    /// A library says that it will report. That is no news once the metric was measured.
    pub fn announce(&mut self, measured: bool) {
        self.announced = !measured;
    }

    /// Takes a row. Returns the rows that need not wait.
    pub fn take(&mut self, row: (Values, Origin), metric: &str, measured: bool) -> Vec<(Values, Origin)> {
        if !self.announced || measured {
            return vec![row];
        }
        self.rows.push(row);
        // Two epochs of text, and none from the library: it does not log the metric.
        let has_metric = |values: &Values| values.keys().any(|name| sweep_curves::is_same_metric(name, metric));
        let with_metric = self.rows.iter().filter(|(values, _)| has_metric(values)).count();
        if with_metric >= PATIENCE || self.rows.len() >= MOST_WAITING { self.release() } else { Vec::new() }
    }

    /// Ends the wait: no library reports the metric. Returns the rows that waited.
    pub fn release(&mut self) -> Vec<(Values, Origin)> {
        self.announced = false;
        std::mem::take(&mut self.rows)
    }
}
