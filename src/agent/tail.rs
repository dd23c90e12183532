//! A file of metrics that grows: what was added to it since it was read last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::reading::{Reading, Said};
use super::whole::{Wholes, is_whole};

/// Maximum number of bytes that are read at a time.
const MOST_READ: u64 = 1 << 20;

/// Maximum number of bytes that are kept of a line without an end.
const MOST_PARTIAL: usize = 4 << 20;

/// Bytes before the end of the last read that are compared, to tell a file that grew from one that was written anew.
const COMPARED: usize = 64;

/// How often a file is searched for by its pattern.
const SEARCH: Duration = Duration::from_millis(500);

/// The files among which the one with the metrics is, until it is found.
#[derive(Debug)]
pub struct Wanted {
    patterns: Vec<String>,
    /// Files that were there before the program.
    before: BTreeMap<PathBuf, Option<SystemTime>>,
    searched: Instant,
}

impl Wanted {
    /// Files that match a pattern in one of these folders.
    pub fn new(pattern: &str, folders: [&Path; 2]) -> Wanted {
        let patterns = folders.map(|folder| format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy())));
        let mut wanted = Wanted { patterns: patterns.into(), before: BTreeMap::new(), searched: Instant::now() };
        wanted.before = wanted.files().collect();
        wanted
    }

    fn files(&self) -> impl Iterator<Item = (PathBuf, Option<SystemTime>)> {
        let found = self.patterns.iter().flat_map(|pattern| glob::glob(pattern).into_iter().flatten().flatten());
        found.filter(|path| path.is_file()).map(|path| {
            let changed = path.metadata().and_then(|metadata| metadata.modified()).ok();
            (path, changed)
        })
    }

    /// The files that were written since the program began, the newest last. Searches at intervals, unless it is the last
    /// time.
    fn find(&mut self, is_last: bool) -> Vec<PathBuf> {
        if !is_last && self.searched.elapsed() < SEARCH {
            return Vec::new();
        }
        self.searched = Instant::now();
        let mut new: Vec<_> = self.files().filter(|(path, changed)| self.before.get(path) != Some(changed)).collect();
        new.sort_by_key(|(_, changed)| *changed);
        new.into_iter().map(|(path, _)| path).collect()
    }
}

/// A file that grows.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The files among which it is, if a pattern names them.
    wanted: Option<Wanted>,
    /// Those of them that are read as a whole.
    wholes: Wholes,
    /// Those to read next.
    due: Vec<PathBuf>,
    /// What was read of it.
    offset: u64,
    /// The last bytes before that.
    before: Vec<u8>,
    partial: Vec<u8>,
}

impl Tail {
    /// Creates the reader of a file of which this many bytes were read before.
    pub fn new(path: PathBuf, read: u64) -> Tail {
        let (wholes, due) = (Wholes::new(read), Vec::new());
        Tail { path, wanted: None, wholes, due, offset: read, before: Vec::new(), partial: Vec::new() }
    }

    /// Reads one of these files instead, once it is there.
    pub fn wants(&mut self, wanted: Wanted) {
        self.wanted = Some(wanted);
    }

    /// Looks for the file that a pattern names, for the last time if the program has ended.
    pub fn search(&mut self, is_last: bool) {
        let mut found = self.wanted.as_mut().map_or(Vec::new(), |wanted| wanted.find(is_last));
        let Some(newest) = found.pop() else { return };
        if !is_whole(&newest) {
            (self.path, self.wanted) = (newest, None);
            return;
        }
        // Each JSON file has all that the one before it had. Event files follow each other, and lie side by side.
        self.due = if newest.extension().is_some_and(|one| one == "json") { Vec::new() } else { found };
        self.due.push(newest);
    }

    /// Goes to the place up to which the file was read before. The names of a CSV file's columns are read again.
    pub fn resume(&mut self, reading: &mut Reading) {
        let length = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if length < self.offset {
            self.offset = 0;
        }
        if self.offset > 0 {
            let mut start = Vec::new();
            let first = File::open(&self.path).and_then(|file| file.take(MOST_READ).read_to_end(&mut start));
            if first.is_ok() {
                reading.names_of_columns(start.split(|byte| *byte == b'\n').next().unwrap_or_default());
                reading.remember(&start[..start.len().min(self.offset as usize)]);
            }
            self.before = self.bytes_before().unwrap_or_default();
        }
    }

    /// The bytes before what was read last, as they are in the file now.
    fn bytes_before(&self) -> Option<Vec<u8>> {
        let count = self.offset.min(COMPARED as u64);
        let mut file = File::open(&self.path).ok()?;
        file.seek(SeekFrom::Start(self.offset - count)).ok()?;
        let mut bytes = vec![0; count as usize];
        file.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Takes the lines that have come, up to a limit. Returns whether there were bytes to read.
    pub fn read(&mut self, reading: &mut Reading, told: &mut Vec<Said>) -> bool {
        self.search(false);
        if !self.due.is_empty() {
            return self.wholes.read(&std::mem::take(&mut self.due), reading, told);
        }
        let Ok(mut file) = File::open(&self.path) else { return false };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let is_same = length >= self.offset
            && (self.before.is_empty() || self.bytes_before().is_some_and(|bytes| bytes.ends_with(&self.before)));
        if !is_same {
            // The file was begun anew.
            self.offset = 0;
            self.partial.clear();
            self.before.clear();
            reading.restart(told);
        }
        let mut read = Vec::new();
        if file.seek(SeekFrom::Start(self.offset)).is_err() || file.take(MOST_READ).read_to_end(&mut read).is_err() {
            return false;
        }
        self.before.extend(&read);
        self.before.drain(..self.before.len().saturating_sub(COMPARED));
        let mut start = self.offset - self.partial.len() as u64;
        self.offset += read.len() as u64;
        self.partial.extend(&read);
        let lines = std::mem::take(&mut self.partial);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let Some(row) = line.strip_suffix(b"\n") else {
                // What is longer than any row is dropped rather than kept in memory.
                self.partial = if line.len() > MOST_PARTIAL { Vec::new() } else { line.to_vec() };
                break;
            };
            reading.at(start, start + line.len() as u64);
            start += line.len() as u64;
            reading.row(row, told);
        }
        !read.is_empty()
    }

    /// Takes the last line, which may have no end.
    pub fn finish(&mut self, reading: &mut Reading, told: &mut Vec<Said>) {
        let line = std::mem::take(&mut self.partial);
        reading.at(self.offset - line.len() as u64, self.offset);
        if !line.is_empty() {
            reading.row(&line, told);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::agent::reading::Known;
    use sweep_core::trial::{Attempt, TrialId};

    #[test]
    fn a_long_file_is_read_to_its_end_in_time_that_grows_with_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut file = std::io::BufWriter::new(File::create(&path).unwrap());
        for epoch in 1..=80_000 {
            writeln!(file, "{{\"epoch\": {epoch}, \"score\": 0.5, \"padding\": {epoch}}}").unwrap();
        }
        write!(file, "{{\"epoch\": 80001, \"score\": 0.25}}").unwrap();
        drop(file);
        let attempt = Attempt { trial: TrialId(1), number: 1 };
        let mut reading = Reading::new(attempt, Known::default(), "score", true);
        let (mut tail, mut told) = (Tail::new(path, 0), Vec::new());
        while tail.read(&mut reading, &mut told) {}
        tail.finish(&mut reading, &mut told);
        assert_eq!(told.len(), 80_002, "every epoch, and that the first began");
    }
}
