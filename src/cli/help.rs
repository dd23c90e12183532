//! Wraps help texts at the width of the terminal. The source code wraps them at its own width, and clap would wrap each
//! of those lines again.

use clap::Command;

/// Maximum line width in columns. Longer lines are hard to read.
const WIDEST: usize = 100;

/// Joins each paragraph after the options of the command and its subcommands into one line, so that clap can wrap it.
pub fn reflowed(command: Command) -> Command {
    let text = command.get_after_help().map(|text| paragraphs(&text.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    let names: Vec<String> = command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    names.into_iter().fold(command.max_term_width(WIDEST), |command, name| command.mut_subcommand(name, reflowed))
}

/// Joins the lines of each paragraph. Indented lines, such as examples, are kept.
fn paragraphs(text: &str) -> String {
    let mut joined = String::new();
    let mut before = "";
    for line in text.lines() {
        let goes_on = |line: &str| !line.is_empty() && !line.starts_with(' ');
        if !joined.is_empty() {
            joined.push(if goes_on(before) && goes_on(line) { ' ' } else { '\n' });
        }
        joined += line;
        before = line;
    }
    joined
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn paragraphs_become_lines_and_examples_stay() {
        let text = "Examples:\n  one\n  two\n\nIt looks\nat much.\n\nAnd more.";
        assert_eq!(paragraphs(text), "Examples:\n  one\n  two\n\nIt looks at much.\n\nAnd more.");
    }

    #[test]
    fn help_is_wrapped_once() {
        let mut command = reflowed(Cli::command()).term_width(80);
        let help = command.find_subcommand_mut("check").expect("there is one").render_help().to_string();
        let prose = help.split("--json\n\n").nth(1).expect("a paragraph follows the examples");
        let lines: Vec<&str> = prose.trim().lines().collect();
        let full = &lines[..lines.len() - 1];
        assert!(full.iter().all(|line| (60..=WIDEST).contains(&line.len())), "{prose}");
    }
}
