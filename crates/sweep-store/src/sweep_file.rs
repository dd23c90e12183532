//! The current sweep file.

use super::Layout;
use sweep_core::command_line::argument;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::History;

/// Returns the text of the sweep file in a sweep's folder. If an extension was killed after its journal entry and
/// before it replaced the file, the text is that of the entry.
///
/// # Errors
/// If the file cannot be read, or is not the one in the journal, by which the trials were run.
pub fn sweep_file(layout: &Layout, history: &History) -> Result<String> {
    let path = layout.sweep_file();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::storage(format!("{} cannot be read", path.display()), error)
            .hint("put back the sweep file that the sweep was started with, under this name")
    })?;
    let was_replaced = history.extensions.last().is_none_or(|extension| extension.before != text);
    match history.sweep_file() {
        Some(recorded) if was_replaced && recorded != text => Err(edited(layout, recorded, &text)),
        Some(recorded) => Ok(recorded.to_owned()),
        None => Ok(text),
    }
}

fn edited(layout: &Layout, recorded: &str, text: &str) -> Error {
    let line = recorded.lines().zip(text.lines()).take_while(|(one, other)| one == other).count() + 1;
    let (file, folder) = (layout.sweep_file(), argument(layout.root()));
    let what = format!(
        "{}:{line}:1: the file was changed, but the trials so far ran with the text in the journal",
        file.display()
    );
    Error::new(Exit::Usage, what).hint(format!(
        "give the changed file another name, beside the original, and run: sweep extend {folder} FILE; with the original \
         as FILE, the change is undone"
    ))
}
