//! `report.md`: the report for a terminal, a notebook, or a pull request.

use std::collections::HashSet;
use std::fmt::Write;

use super::analysis::{Analysis, Section};
use super::columns::columns;
use super::format;
use super::ranking::setting_names;
use super::summary::Summary;
use sweep_core::history::TrialRecord;
use sweep_core::trial::{Settings, TrialId};

/// Maximum number of rows in a table.
const ROWS: usize = 500;

/// Renders the report in GitHub-flavored Markdown. Its links are relative to the sweep's folder.
pub fn page(analysis: &Analysis) -> String {
    let Analysis { spec, history, .. } = analysis;
    let summary = Summary::new(analysis);
    let mut page = format!("# {}\n\n", escape(&history.name));
    if let Some(description) = &spec.description {
        let _ = writeln!(page, "{}\n", escape(description));
    }
    let _ = writeln!(page, "**{}**\n", escape(&summary.headline));
    for (name, value) in &summary.settings {
        let _ = writeln!(page, "- {}: {}", escape(name), escape(value));
    }
    if !summary.settings.is_empty() {
        page.push('\n');
    }
    for (what, said) in &summary.answer {
        let _ = writeln!(page, "**{what}:** {}\n", prose(said));
    }
    page += &list("Next steps, in this order", "1.", &summary.steps);
    if !summary.steps.is_empty() {
        page += "[next.yaml](next.yaml) is a proposed file for the next sweep, with a reason for each change.\n\n";
    }
    page += &list("Already settled", "-", &summary.settled);
    page += &list("Checks before training", "-", &summary.before);
    page += &list("Findings in the trials", "-", &summary.ailments);
    page += &list("Most important parameters", "-", &summary.drivers);
    page += "## About the best trial and the sweep\n\n";
    for detail in &summary.details {
        let _ = writeln!(page, "{}\n", prose(detail));
    }
    for Section { heading, lines, charts } in analysis.sections() {
        let _ = writeln!(page, "## {heading}\n");
        lines.iter().for_each(|line| page += &format!("{}\n\n", prose(line)));
        charts.iter().for_each(|(name, chart)| page += &format!("![{}](charts/{name}.svg)\n\n", escape(&chart.title)));
    }
    if spec.most_repeats > 1 {
        let _ = writeln!(page, "## Configurations\n\nMean ± standard deviation over repeats with different seeds.\n");
        page += &settings_table(analysis);
    }
    let _ = writeln!(page, "## Trials\n\nMetrics are from the best epoch. Accuracy gaps are in percentage points.\n");
    page += &trials_table(analysis);
    page
}

/// Renders a section that is a list, or nothing if the list is empty.
fn list(heading: &str, mark: &str, items: &[String]) -> String {
    let line = |(at, item): (usize, &String)| match mark {
        "1." => format!("{}. {}\n", at + 1, prose(item)),
        mark => format!("{mark} {}\n", prose(item)),
    };
    let lines: String = items.iter().enumerate().map(line).collect();
    if items.is_empty() { lines } else { format!("## {heading}\n\n{lines}\n") }
}

fn settings_table(analysis: &Analysis) -> String {
    let Analysis { spec, history, groups, .. } = analysis;
    let drawn = drawn(analysis);
    let names = setting_names(history);
    let mut header = vec!["trials".to_owned()];
    header.extend(names.iter().cloned());
    header.push(format::metric(&spec.metric).into());
    header.extend(["validation accuracy".into(), "accuracy gap".into()]);
    let rows = groups.iter().take(ROWS).map(|group| {
        let mut row = vec![group.trials.iter().map(|id| link(*id, &drawn)).collect::<Vec<_>>().join(" ")];
        row.extend(names.iter().map(|name| setting(group.settings, name)));
        row.push(format::spread(&spec.metric.name, Some(group.metric)));
        row.push(format::spread("val_accuracy", group.accuracy));
        row.push(format::spread("accuracy_gap", group.accuracy_gap));
        row
    });
    table(&header, rows)
}

fn trials_table(analysis: &Analysis) -> String {
    let Analysis { spec, history, ranking, verdicts, .. } = analysis;
    let (names, columns, drawn) = (setting_names(history), columns(analysis), drawn(analysis));
    let mut header = vec!["rank".to_owned(), "trial".into()];
    header.extend(names.iter().cloned());
    header.push("best epoch".into());
    header.extend(columns.iter().map(|(heading, _)| (*heading).to_owned()));
    header.extend(["findings".into(), "outcome".into()]);
    let row = |rank: String, trial: &TrialRecord| {
        let best = spec.metric.best(&trial.curve);
        let error = trial.outcome().and_then(|outcome| outcome.error());
        let status = format::status(trial);
        let mut row = vec![rank, link(trial.id, &drawn)];
        row.extend(names.iter().map(|name| setting(&trial.settings, name)));
        row.push(best.map_or("–".into(), |best| format!("{} of {}", best.epoch, trial.epochs())));
        row.extend(columns.iter().map(|(_, said)| said(best)));
        row.extend([
            escape(&format::findings(verdicts.of(trial.id))),
            error.map_or(status.to_owned(), |error| escape(&format!("{status}: {error}"))),
        ]);
        row
    };
    let placed = ranking.placed.iter().map(|place| row(place.rank.to_string(), place.trial));
    let others = ranking.others.iter().map(|trial| row("–".into(), trial));
    let all = ranking.placed.len() + ranking.others.len();
    let mut page = table(&header, placed.chain(others).take(ROWS));
    if all > ROWS {
        let _ = writeln!(
            page,
            "These are the best {ROWS} of {} trials. All are in [trials.csv](trials.csv).\n",
            format::count(all as u64)
        );
    }
    page
}

fn setting(settings: &Settings, name: &str) -> String {
    settings.get(name).map_or(String::new(), |value| escape(&format::brief(value)))
}

/// A link to the chart of a trial, if the report draws it.
fn link(id: TrialId, drawn: &HashSet<TrialId>) -> String {
    if drawn.contains(&id) { format!("[{id}](trials/{id}/curves.svg)") } else { id.to_string() }
}

fn drawn(analysis: &Analysis) -> HashSet<TrialId> {
    super::drawn(analysis).iter().map(|trial| trial.id).collect()
}

/// Renders a table. The cells are already Markdown; the header is plain text.
fn table(header: &[String], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = String::new();
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    table += &line(&header.iter().map(|name| escape(name)).collect::<Vec<_>>());
    table += &line(&vec!["---".to_owned(); header.len()]);
    for row in rows {
        table += &line(&row);
    }
    table + "\n"
}

/// Renders a sentence of the report. Text between backticks is code.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let code = |part: &str| format!("`{}`", part.replace(char::is_control, " "));
    parts.map(|(at, part)| if at % 2 == 1 { code(part) } else { escape(part) }).collect()
}

/// Escapes plain text so that Markdown displays it literally, on one line.
fn escape(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut escaped = String::with_capacity(text.len());
    for (at, &letter) in letters.iter().enumerate() {
        let beside = |at: Option<usize>| at.and_then(|at| letters.get(at)).is_some_and(|c| c.is_alphanumeric());
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // An underscore within a word is not markup.
            '_' if beside(at.checked_sub(1)) && beside(Some(at + 1)) => escaped.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => escaped.extend(['\\', letter]),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_spec::Spec;

    #[test]
    fn the_report_of_a_small_sweep() {
        insta::assert_snapshot!(page(&Analysis::new(&sweep_sample::spec(), &sweep_sample::history())));
    }

    #[test]
    fn the_report_of_a_sweep_with_repeats() {
        let mut entries = sweep_sample::beginning("repeats");
        for number in 1..=4 {
            let settings = sweep_sample::settings(serde_json::json!({"dropout": if number <= 2 { 0.0 } else { 0.4 }}));
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, 5));
            entries.push(sweep_sample::ended(number, 1, sweep_core::trial::Outcome::Finished));
        }
        let spec = Spec { repeats: 2, most_repeats: 2, ..sweep_sample::spec() };
        insta::assert_snapshot!(page(&Analysis::new(&spec, &sweep_sample::apply(&entries))));
    }

    #[test]
    fn nothing_in_a_sweep_becomes_markup() {
        assert_eq!(escape("<b>|*a*\nb_c_d _e_ [x](y) `z`"), r"&lt;b&gt;\|\*a\* b_c_d \_e\_ \[x\](y) \`z\`");
        let page = page(&Analysis::new(&sweep_sample::spec(), &sweep_sample::hostile()));
        for hostile in ["<script", "<img", "\u{1b}"] {
            assert!(!page.contains(hostile), "{page}");
        }
        let tables: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(tables.iter().all(|line| cells(line) == cells(tables[0])), "{page}");
    }
}
