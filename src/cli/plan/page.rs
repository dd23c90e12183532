//! The plan as text.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle, presets};

use super::estimate::Estimate;
use super::figures::{Figures, method, order, settings};
use crate::cli::sweep_file::SweepFile;
use sweep_core::budget::{Purchase, purchase, wanted};
use sweep_core::program::{Program, line};
use sweep_core::recipe::Source;
use sweep_data::datasets::Info;
use sweep_data::datasets::Normalization;
use sweep_report::budget::{bought, limits};
use sweep_report::format::{bytes, count};
use sweep_spec::{Inspection, Kind, Spec, Trains};

/// Maximum number of kinds of networks that are shown layer by layer.
const MOST_DRAWN: usize = 3;

/// Writes the plan.
///
/// # Errors
/// Returns the errors of `out`.
pub fn write(file: &SweepFile, figures: &Figures, slots: &str, out: &mut impl Write) -> io::Result<()> {
    let spec = &file.spec;
    let mut head = pairs();
    head.add_row(vec!["sweep", &spec.name]);
    if let Some(description) = &spec.description {
        head.add_row(vec!["", description.trim()]);
    }
    head.add_row(vec!["search".to_owned(), search(file, figures)]);
    head.add_row(vec!["".to_owned(), format!("ranked {}, seed {}", order(file), spec.seed)]);
    for (at, stage) in figures.stages.iter().enumerate() {
        head.add_row(vec![if at == 0 { "then stage" } else { "" }.to_owned(), stage.line()]);
    }
    for line in budget(file, figures) {
        head.add_row(vec!["budget".to_owned(), line]);
    }
    if let Some(defaults) = defaults(file) {
        head.add_row(vec!["".to_owned(), defaults]);
    }
    match &spec.trains {
        Trains::Program(program) => {
            head.add_row(vec!["command".to_owned(), command(program)]);
            let metrics = match &program.metrics_file {
                Some(file) => format!("the file {file} in the trial's folder"),
                None => program.metrics.describe(),
            };
            head.add_row(vec!["metrics".to_owned(), metrics]);
            if let Some(first) = &figures.first {
                head.add_row(vec!["trial 1", &line(&first.arguments)]);
                if !first.variables.is_empty() {
                    head.add_row(vec!["".to_owned(), variables(&first.variables)]);
                }
                head.add_row(vec!["folder".to_owned(), reason(&first.folder.0, &first.folder.1)]);
                if let Some((path, why)) = &first.interpreter {
                    head.add_row(vec!["interpreter".to_owned(), reason(path, why)]);
                }
            }
        }
        Trains::Network(network) => {
            if let Some(inspection) = &file.inspection {
                head.add_row(vec!["data".to_owned(), data(&network.source, &inspection.data)]);
                head.add_row(vec!["".to_owned(), split(inspection) + &drawn(spec)]);
                if let Some(normalization) = &figures.normalization {
                    head.add_row(vec!["".to_owned(), normalized(normalization)]);
                }
            }
            if let Some(estimate) = &figures.estimate {
                head.add_row(vec!["memory".to_owned(), memory(estimate)]);
                head.add_row(vec!["disk".to_owned(), disk(estimate)]);
            }
        }
    }
    head.add_row(vec!["slots", slots]);
    writeln!(out, "{}", tidy(&head))?;
    if !spec.space.parameters.is_empty() {
        writeln!(out, "\n{}", tidy(&parameters(file)))?;
    }
    if let Some(inspection) = &file.inspection {
        networks(inspection, out)?;
    }
    for (at, note) in file.notes.iter().enumerate() {
        writeln!(out, "{}note: {note}", if at == 0 { "\n" } else { "" })?;
    }
    Ok(())
}

/// What is said about variables whose values the plan does not show.
fn variables(variables: &[(String, bool)]) -> String {
    let (set, missing): (Vec<_>, Vec<_>) = variables.iter().partition(|(_, is_set)| *is_set);
    let names = |of: Vec<&(String, bool)>| of.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let mut said = Vec::new();
    if !set.is_empty() {
        said.push(format!("{}: from the environment, its value is not shown", names(set)));
    }
    if !missing.is_empty() {
        said.push(format!("{}: not in the environment, so trials would fail", names(missing)));
    }
    said.join("; ")
}

fn reason(what: &str, why: &str) -> String {
    format!("{what} ({why})")
}

/// The command as in the file, with its macros, because their values differ from trial to trial.
fn command(program: &Program) -> String {
    program
        .command
        .iter()
        .map(|item| item.replace("${program}", program.program.as_deref().unwrap_or("")))
        .collect::<Vec<_>>()
        .join(" ")
}

fn networks(inspection: &Inspection, out: &mut impl Write) -> io::Result<()> {
    let (least, most) = inspection.parameters;
    let size = if least == most { count(most) } else { format!("{} to {}", count(least), count(most)) };
    writeln!(out, "\n{} of {size} parameters", number(inspection.networks, "network"))?;
    for kind in inspection.kinds.iter().take(MOST_DRAWN) {
        writeln!(out, "\n{}{}", title(kind), tidy(&layers(kind, inspection)))?;
    }
    for kind in inspection.kinds.iter().skip(MOST_DRAWN) {
        writeln!(out, "\n{}{} parameters", title(kind), count(kind.summary.parameters))?;
    }
    let kept = inspection.kinds.len() as u64;
    if inspection.networks > kept {
        writeln!(out, "\n... and {} with other layers", number(inspection.networks - kept, "network"))?;
    }
    Ok(())
}

fn search(file: &SweepFile, figures: &Figures) -> String {
    let spec = &file.spec;
    let mut text = method(spec.method).to_owned();
    match figures.points {
        Some(points) => text += &format!(" over {}", number(points, "configuration")),
        None => text += " over a continuous space",
    }
    let raced =
        figures.raced.map_or(String::new(), |most| format!(", and at most {} of a race", number(most, "repeat")));
    if spec.repeats > 1 {
        text += &format!(", each {} times", spec.repeats);
    }
    if let Some(cap) = spec.run_cap {
        text += &format!(", capped at {}", number(cap, "trial"));
    }
    if spec.program().is_some() {
        return match figures.trials {
            Some(trials) => text + &format!(": {}", number(trials, "trial")) + &raced,
            None => text + &endless(spec),
        };
    }
    let each = number(figures.epochs_each, "epoch");
    let most = if file.spec.space.parameters.iter().any(|one| one.name == "epochs") { "at most " } else { "" };
    match (figures.trials, figures.epochs) {
        (Some(1), _) => text += &format!(": 1 trial of {most}{each}"),
        (Some(trials), Some(all)) => {
            text += &format!(": {} of {most}{each}, {most}{} in all", number(trials, "trial"), number(all, "epoch"));
        }
        _ => text += &format!(": trials of {most}{each}{}", endless(spec).trim_start_matches(": trials")),
    }
    text + &raced
}

/// How a search ends that has no end of its own.
fn endless(spec: &Spec) -> String {
    match spec.budget.is_none() {
        true => ": trials until you stop it (set `run_cap` or `budget` to limit them)".to_owned(),
        false => ": trials until the budget is used".to_owned(),
    }
}

/// What the budget buys. A limit of time or energy depends on what an epoch costs, which only the first trials show.
fn budget(file: &SweepFile, figures: &Figures) -> Vec<String> {
    let (spec, epochs) = (&file.spec, figures.epochs_each.min(u32::MAX.into()) as u32);
    if spec.budget.is_none() {
        return Vec::new();
    }
    let mut lines = vec![format!("{} for all runs together", limits(&spec.budget))];
    let wanted = wanted(spec.space.parameters.len(), figures.trials);
    let buys = |whole: f64| {
        let purchase = purchase(whole, epochs, wanted, figures.trials);
        bought(&Purchase { min_iter: purchase.min_iter.filter(|_| spec.chooses_rule), ..purchase })
    };
    if epochs == 0 {
        lines.push("what it pays for is known once the first trial has ended".to_owned());
    } else if let Some(all) = spec.budget.epochs {
        lines.push(buys(all as f64 / f64::from(epochs)));
    } else if let Some(time) = spec.budget.time {
        let of = |seconds: f64| format!("{seconds} s buy {}", buys(time.as_secs_f64() / seconds / f64::from(epochs)));
        lines.push(format!("on each slot, epochs of {}", [1.0, 10.0, 60.0].map(of).join("; of ")));
        lines.push("the cost of an epoch is measured in the first trial".to_owned());
    }
    lines
}

/// The trial that has the defaults of the network.
fn defaults(file: &SweepFile) -> Option<String> {
    let spec = &file.spec;
    let at = spec.defaults?;
    let point = &spec.enqueue[at];
    let open: Vec<&str> = spec.space.parameters.iter().map(|one| one.name.as_str()).collect();
    let open: Vec<&str> = open.into_iter().filter(|name| !point.contains_key(*name)).collect();
    let drawn = match open.is_empty() {
        true => String::new(),
        false => format!("; drawn, because the default is not one of its values or not known: {}", open.join(", ")),
    };
    let trial = at as u64 * u64::from(spec.repeats) + 1;
    Some(format!("trial {trial} has the defaults: {}{drawn}", sweep_report::format::settings(point)))
}

fn data(source: &Source, info: &Info) -> String {
    let name = match source {
        Source::Digits => "digits, built in".to_owned(),
        Source::Cifar10 { path } => format!("cifar10 in {}", path.display()),
        Source::Cifar100 { path } => format!("cifar100 in {}", path.display()),
        Source::Mnist { path } => format!("mnist in {}", path.display()),
        Source::FashionMnist { path } => format!("fashion-mnist in {}", path.display()),
        Source::Folder { path, .. } => format!("folder {}", path.display()),
        Source::Arrays { path, order } => format!("arrays in {}, {order:?}", path.display()).to_lowercase(),
    };
    let color = if info.shape.channels == 1 { " (grayscale)" } else { "" };
    format!("{name}: images of {}{color}, {} classes", info.shape, info.classes.len())
}

fn split(inspection: &Inspection) -> String {
    let range =
        |(least, most)| if least == most { count(most) } else { format!("{} to {}", count(least), count(most)) };
    let tested = match inspection.tested {
        0 => String::new(),
        tested => format!(", {} for one test of the best configuration", count(tested)),
    };
    format!("{} for training, {} for validation{tested}", range(inspection.train), range(inspection.validation))
}

/// What draws the split, if it is not the seed of the sweep.
fn drawn(spec: &Spec) -> String {
    let seed = spec.split_seed();
    if seed == spec.seed { String::new() } else { format!("; drawn by split_seed {seed}") }
}

fn normalized(normalization: &Normalization) -> String {
    let list = |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(", ");
    let (means, deviations) = (list(&normalization.means), list(&normalization.deviations));
    format!("normalized in trial 1 with means {means} and standard deviations {deviations}")
}

fn memory(estimate: &Estimate) -> String {
    format!(
        "a trial needs at most {} in addition to libtorch and its workspace: weights {}, gradients {}, optimizer {}, \
         activations of a batch {}, data {}",
        bytes(estimate.memory()),
        bytes(estimate.weights),
        bytes(estimate.gradients),
        bytes(estimate.optimizer),
        bytes(estimate.activations),
        bytes(estimate.data),
    )
}

fn disk(estimate: &Estimate) -> String {
    format!(
        "at most {} for each running trial, and {} for the best weights",
        bytes(estimate.checkpoint),
        bytes(estimate.kept)
    )
}

fn parameters(file: &SweepFile) -> Table {
    let mut table = lines();
    table.set_header(vec!["parameter", "values", "number"]);
    for one in &file.spec.space.parameters {
        let many = one.distribution.count().map_or("any".to_owned(), count);
        let when = one.when.as_ref().map(|when| format!(", when {when}")).unwrap_or_default();
        table.add_row(vec![one.name.clone(), format!("{}{when}", one.distribution), many]);
    }
    right(&mut table, 2);
    table
}

/// A line with the parameters that give networks of this kind, or an empty one if all networks are of this kind.
fn title(kind: &Kind) -> String {
    let names = settings(&kind.settings);
    match kind.varied {
        _ if names.is_empty() => String::new(),
        false => names + "\n",
        true => names + " (dropout varies)\n",
    }
}

fn layers(kind: &Kind, inspection: &Inspection) -> Table {
    let mut table = lines();
    table.set_header(vec!["layer", "output", "parameters"]);
    table.add_row(vec!["input", &inspection.data.shape.to_string(), ""]);
    for row in &kind.summary.rows {
        let own = if row.parameters == 0 { String::new() } else { count(row.parameters) };
        table.add_row(vec![row.layer.to_string(), row.output.to_string(), own]);
    }
    table.add_row(vec!["all", "", &count(kind.summary.parameters)]);
    right(&mut table, 2);
    table
}

/// A table without borders, for names and values.
fn pairs() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// A table with a header, a separator line, and rows.
fn lines() -> Table {
    let mut table = Table::new();
    let style = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(style).set_content_arrangement(ContentArrangement::Dynamic);
    table
}

fn right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Renders a table without trailing spaces.
fn tidy(table: &Table) -> String {
    let lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Formats a count with its noun: `1 trial`, `1,200 trials`.
fn number(of: u64, what: &str) -> String {
    format!("{} {what}{}", count(of), if of == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_easy_to_read() {
        assert_eq!(number(1, "trial"), "1 trial");
        assert_eq!(number(1_234_567, "trial"), "1,234,567 trials");
    }
}
