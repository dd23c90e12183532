//! The journal: append-only, one JSON object a line. What it says is what happened.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::Layout;
use crate::error::{Error, Exit, Result};
use crate::history::{Entry, History};

/// The journal, open for appending. Only the controller has one.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Journal {
    /// Makes the journal of a new sweep, in one step with its first entry, [`Entry::Sweep`]: there is never an
    /// empty one.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn create(layout: &Layout, first: &Entry) -> Result<Journal> {
        let mut line = serde_json::to_vec(first).expect("an entry has no map with keys that are not text");
        line.push(b'\n');
        super::replace(&layout.journal(), &line)?;
        Journal::append(layout, line.len() as u64)
    }

    /// Opens the journal of a sweep to go on with, at `length`, the end of its last whole line (from [`read`]).
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn append(layout: &Layout, length: u64) -> Result<Journal> {
        let path = layout.journal();
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new().append(true).open(&path)?;
            file.set_len(length)?;
            file.sync_all()?;
            // The file's name must survive a power cut, too.
            File::open(layout.root())?.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|error| Error::storage(format!("{} cannot be opened", path.display()), error))?;
        Ok(Journal { path, file: BufWriter::new(file) })
    }

    /// Appends entries and hands them to the kernel; a killed controller does not lose them. With `sync` they are
    /// also on the disk when this returns; a power cut does not lose them either.
    ///
    /// # Errors
    /// Where the disk is full or gone. A part of a line may then have been written: the caller must stop.
    pub fn write(&mut self, entries: &[Entry], sync: bool) -> Result<()> {
        let mut write = || -> std::io::Result<()> {
            for entry in entries {
                serde_json::to_writer(&mut self.file, entry)?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()?;
            if sync { self.file.get_ref().sync_data() } else { Ok(()) }
        };
        write().map_err(|error| Error::storage(format!("{} cannot be written", self.path.display()), error))
    }
}

/// Reads a journal: the state it adds up to, and the length of its whole lines in bytes. A last line that was cut
/// short, as a kill or a power cut leaves it, is left out.
///
/// # Errors
/// Where there is no journal, or any other line is damaged; the message names the line.
pub fn read(layout: &Layout) -> Result<(History, u64)> {
    let path = layout.journal();
    let bytes = std::fs::read(&path).map_err(|error| {
        let error_text = Error::storage(format!("{} cannot be read", path.display()), error);
        error_text.hint("name the folder of a sweep, such as results/quickstart")
    })?;
    let mut history = History::default();
    let mut length = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let damaged = |why: String| {
            Error::new(Exit::Storage, format!("{}:{}: the journal is damaged: {why}", path.display(), number + 1)).hint(
                format!(
                    "restore the file from a backup, or keep what comes before: head -n {number} {} > repaired",
                    path.display()
                ),
            )
        };
        let entry: Entry = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        if (number == 0) != matches!(entry, Entry::Sweep { .. }) {
            return Err(damaged("the first line, and only the first, names the sweep".into()));
        }
        history.apply(&entry).map_err(damaged)?;
        length += line.len() as u64;
    }
    if length == 0 {
        return Err(Error::new(Exit::Storage, format!("{} is empty: the sweep never began", path.display()))
            .hint("remove the folder and start it with `sweep run`"));
    }
    Ok((history, length))
}
