//! The current sweep file.

use super::Layout;
use sweep_core::error::{Error, Result};
use sweep_core::history::History;

/// Returns the text of the sweep file in a sweep's folder. If an extension was killed after its journal entry and
/// before it replaced the file, the text is that of the entry.
///
/// # Errors
/// If the file cannot be read.
pub fn sweep_file(layout: &Layout, history: &History) -> Result<String> {
    let path = layout.sweep_file();
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Error::storage(format!("{} cannot be read", path.display()), error)
            .hint("put back the sweep file that the sweep was started with, under this name")
    })?;
    Ok(match history.extensions.last() {
        Some(extension) if extension.before == text => extension.file.clone(),
        _ => text,
    })
}
