//! `sweep list` and `sweep compare`: several sweeps at a glance.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::environment::Environment;
use super::opened::Opened;
use super::output;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::trial::{Metric, Settings};
use sweep_report::ranking::{Counts, Ranking};
use sweep_report::{State, format};
use sweep_scheduler::search::Search;
use sweep_store::Layout;

/// Depth of folders below the given one in which sweeps are found.
const DEPTH: usize = 3;

/// Options of `sweep list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  sweep list
  sweep list results/vision --json | jq '.[] | select(.state == \"interrupted\")'")]
pub struct List {
    /// Folder that contains sweeps
    #[arg(value_name = "FOLDER", default_value = "results")]
    folder: PathBuf,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// Options of `sweep compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  sweep compare results/baseline results/augmented")]
pub struct Compare {
    /// Folders of sweeps
    #[arg(value_name = "DIR", required = true, num_args = 2..)]
    folders: Vec<PathBuf>,
    /// Print a JSON list
    #[arg(long)]
    json: bool,
}

/// What is said about a sweep.
struct Row {
    folder: PathBuf,
    name: String,
    state: State,
    ended: u64,
    total: Option<u64>,
    failed: u64,
    metric: Metric,
    /// Number, value, and parameters of the best trial.
    best: Option<(u64, f64, Settings)>,
    /// Parameters that every trial has, with one value.
    fixed: Settings,
    began_at: f64,
    per_hour: Option<f64>,
}

/// Lists the sweeps in a folder, the newest first.
pub fn list(args: &List, environment: &Environment) -> Result<Exit> {
    let mut folders = Vec::new();
    find(&environment.folder.join(&args.folder), DEPTH, &mut folders);
    if folders.is_empty() {
        return Err(Error::new(Exit::Usage, format!("{} contains no sweep", args.folder.display()))
            .hint("give the folder that was named with `sweep run --results`"));
    }
    let mut damaged = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for folder in folders {
        let shown = environment.short(&folder);
        match Row::read(&shown) {
            Ok(row) => rows.push(row),
            Err(error) => damaged.push(format!("{}: {}", shown.display(), first_line(&error.to_string()))),
        }
    }
    rows.sort_by(|a, b| b.began_at.total_cmp(&a.began_at));
    match args.json {
        true => output::print_json(&rows.iter().map(Row::json).collect::<Vec<_>>().into())?,
        false => output::print(&table(&rows, &[]))?,
    }
    damaged.iter().for_each(|line| output::tell(&format!("note: cannot be read: {line}")));
    Ok(Exit::Success)
}

/// Compares sweeps.
pub fn compare(args: &Compare) -> Result<Exit> {
    let rows: Vec<Row> = args.folders.iter().map(|folder| Row::read(folder)).collect::<Result<_>>()?;
    if args.json {
        output::print_json(&rows.iter().map(Row::json).collect::<Vec<_>>().into())?;
        return Ok(Exit::Success);
    }
    let mut text = table(&rows, &differing(&rows));
    let metrics: Vec<&Metric> = rows.iter().map(|row| &row.metric).collect();
    if metrics.windows(2).any(|pair| pair[0] != pair[1]) {
        text += "\n\nThe sweeps are ranked by different metrics, so their best values cannot be compared.";
    } else if let Some(best) =
        rows.iter().filter(|row| row.best.is_some()).reduce(|a, b| if b.beats(a) { b } else { a })
    {
        text += &format!("\n\nBest: {}, {}", best.folder.display(), best.value());
    }
    output::print(&text)?;
    Ok(Exit::Success)
}

/// Parameters of the best trials that are not the same in all sweeps, in the order in which they appear.
fn differing(rows: &[Row]) -> Vec<String> {
    let of = |row: &Row| row.best.as_ref().map(|(_, _, settings)| settings.clone()).unwrap_or_default();
    let all: Vec<Settings> = rows.iter().map(of).collect();
    let mut values: BTreeMap<&String, Vec<Option<&Value>>> = BTreeMap::new();
    let mut names: Vec<&String> = Vec::new();
    for settings in &all {
        for name in settings.keys().filter(|name| !values.contains_key(name)).collect::<Vec<_>>() {
            names.push(name);
            values.insert(name, all.iter().map(|settings| settings.get(name)).collect());
        }
    }
    let differs = |name: &&&String| values[**name].windows(2).any(|pair| pair[0] != pair[1]);
    names.iter().filter(differs).map(|name| (*name).clone()).collect()
}

/// One line per sweep, with these parameters of its best trial.
fn table(rows: &[Row], parameters: &[String]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    let head = ["sweep", "state", "trials", "failed", "best", "trial", "trials/h"].map(str::to_owned);
    table.set_header(head.iter().cloned().chain(parameters.iter().map(|name| format::clean(name))));
    for row in rows {
        let trials = match row.total {
            Some(total) => format!("{} of {}", format::count(row.ended), format::count(total)),
            None => format::count(row.ended),
        };
        let best = row.best.as_ref();
        let fields = [
            row.folder.display().to_string(),
            row.state.to_string(),
            trials,
            format::count(row.failed),
            row.value(),
            best.map_or("–".to_owned(), |(trial, ..)| trial.to_string()),
            row.per_hour.map_or("–".to_owned(), |rate| format!("{rate:.1}")),
        ];
        let values = parameters.iter().map(|name| {
            let value = best.and_then(|(_, _, settings)| settings.get(name));
            value.map_or("–".to_owned(), format::setting)
        });
        table.add_row(fields.into_iter().map(|field| format::clean(&field)).chain(values));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

impl Row {
    fn read(folder: &Path) -> Result<Row> {
        let Opened { layout, spec, history, .. } = Opened::new(folder)?;
        let counts = Counts::new(&history);
        let total = Search::resumed(spec.search_terms(), &history).len();
        let state = State::of(&spec, &history, total, sweep_store::held(&layout));
        let ranking = Ranking::new(&history, &spec.metric);
        let best = ranking.best().filter(|_| spec.ranks).and_then(|place| {
            Some((place.trial.id.0, place.best.get(&spec.metric.name)?, place.trial.settings.clone()))
        });
        // What a trial takes, on as many slots as there were.
        let ended = history.trials.iter().filter(|trial| trial.outcome().is_some() && trial.attempts > 0);
        let (count, seconds) = ended.fold((0.0, 0.0), |(count, all), trial| (count + 1.0, all + trial.seconds));
        let slots = history.slots.len().max(1) as f64;
        let per_hour = (seconds > 0.0).then(|| 3600.0 * slots * count / seconds);
        Ok(Row {
            folder: folder.to_owned(),
            name: history.name.clone(),
            state,
            ended: counts.ended(),
            total,
            failed: history.trials.iter().filter(|trial| trial.failed()).count() as u64,
            metric: spec.metric.clone(),
            best,
            fixed: spec.network().map(|network| network.fixed.clone()).unwrap_or_default(),
            began_at: history.began_at,
            per_hour,
        })
    }

    fn value(&self) -> String {
        let value = self.best.as_ref().map(|(_, value, _)| *value);
        value.map_or("–".to_owned(), |value| format!("{} {}", self.metric.name, format::number(value, 4)))
    }

    fn beats(&self, other: &Row) -> bool {
        match (&self.best, &other.best) {
            (Some((_, own, _)), Some((_, others, _))) => self.metric.goal.better(*own, *others),
            _ => false,
        }
    }

    fn json(&self) -> Value {
        let best = self
            .best
            .as_ref()
            .map(|(trial, value, settings)| json!({"trial": trial, "value": value, "settings": settings}));
        json!({
            "name": self.name,
            "folder": self.folder,
            "state": self.state,
            "ended": self.ended,
            "total": self.total,
            "failed": self.failed,
            "metric": self.metric,
            "best": best,
            "fixed": self.fixed,
            "trials_per_hour": self.per_hour,
        })
    }
}

/// Finds the folders of sweeps.
fn find(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    if Layout::new(folder).journal().is_file() {
        found.push(folder.to_owned());
        return;
    }
    let entries = folder.read_dir().into_iter().flatten().flatten();
    // A link may lead back to a folder above it.
    for entry in entries.filter(|entry| depth > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        find(&entry.path(), depth - 1, found);
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
