//! The journal: append-only, one JSON object per line. It is the only source of truth.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Layout;
use super::atomic::is_same;
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::{Entry, History};
use sweep_core::trial::{Attempt, EpochMetrics, Others};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// The journal, open for appending. Only the controller has one.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Journal {
    /// Creates the journal of a new sweep together with its first entry, [`Entry::Sweep`]. An empty journal never
    /// exists.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn create(layout: &Layout, first: &Entry) -> Result<Journal> {
        let mut line = serde_json::to_vec(first).expect("an entry has no map with keys that are not text");
        line.push(b'\n');
        super::replace(&layout.journal(), &line)?;
        Journal::append(layout, line.len() as u64)
    }

    /// Opens the journal of a sweep to resume. `length` is the end of its last whole line in bytes (from [`read`]).
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn append(layout: &Layout, length: u64) -> Result<Journal> {
        let path = layout.journal();
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new().append(true).open(&path)?;
            file.set_len(length)?;
            file.sync_all()?;
            // The name of the file must also survive a power failure.
            File::open(layout.root())?.sync_all()?;
            Ok(file)
        };
        let file = open().map_err(|error| Error::storage(format!("{} cannot be opened", path.display()), error))?;
        Ok(Journal { path, file: BufWriter::new(file) })
    }

    /// Appends entries and passes them to the kernel, so that a killed controller does not lose them. With `sync` they
    /// are also on disk when this returns, so that a power failure does not lose them either.
    ///
    /// # Errors
    /// If the disk is full or gone. Part of a line may then have been written, and the caller must stop.
    pub fn write(&mut self, entries: &[Entry], sync: bool) -> Result<()> {
        let mut write = || -> std::io::Result<()> {
            for entry in entries {
                serde_json::to_writer(&mut self.file, entry)?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()?;
            if sync { self.file.get_ref().sync_data() } else { Ok(()) }
        };
        write().map_err(|error| Error::storage(format!("{} cannot be written", self.path.display()), error))?;
        if sync { self.in_place() } else { Ok(()) }
    }

    /// Checks that the file still has its name. A removed file can still be written, but its contents are lost.
    ///
    /// # Errors
    /// If the file was removed or moved.
    pub fn in_place(&self) -> Result<()> {
        if is_same(self.file.get_ref(), &self.path).unwrap_or(true) {
            return Ok(());
        }
        Err(Error::new(Exit::Storage, format!("{} was removed or moved", self.path.display()))
            .hint("do not move the folder of a running sweep; `sweep resume` continues it in its new place"))
    }
}

/// Returns whether a journal is still as [`read`] found it: `length` bytes of whole lines, followed by at most a torn
/// line.
pub fn is_as_read(layout: &Layout, length: u64) -> bool {
    let added = || -> std::io::Result<Vec<u8>> {
        let (mut file, mut added) = (File::open(layout.journal())?, Vec::new());
        // The line ending before `length` must still be there.
        file.seek(SeekFrom::Start(length.saturating_sub(1)))?;
        file.read_to_end(&mut added)?;
        Ok(added)
    };
    added().is_ok_and(|added| added.iter().position(|byte| *byte == b'\n') == Some(0) && !added[1..].contains(&b'\n'))
}

/// Reads a journal. Returns the state after all entries, and the length of its whole lines in bytes. An incomplete last
/// line, as left by a kill or a power failure, is ignored.
///
/// # Errors
/// If there is no journal, or if any other line is damaged. The message names the line.
pub fn read(layout: &Layout) -> Result<(History, u64)> {
    let (mut history, mut follower) = (History::default(), Follower::new(layout));
    follower.advance(&mut history, |_| {})?;
    if follower.length == 0 {
        let path = layout.journal();
        return Err(Error::new(Exit::Storage, format!("{} is empty: the sweep never began", path.display()))
            .hint("remove the folder and start it with `sweep run`"));
    }
    Ok((history, follower.length))
}

/// A reader of a journal that another process may be writing. It keeps its place between calls.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    /// The file that was read so far: its device and inode.
    file: Option<(u64, u64)>,
    /// Bytes of the whole lines read so far.
    length: u64,
    /// Number of lines read so far.
    lines: usize,
}

impl Follower {
    /// Creates a reader at the start of the journal. Reads nothing yet.
    pub fn new(layout: &Layout) -> Follower {
        Follower { path: layout.journal(), file: None, length: 0, lines: 0 }
    }

    /// Returns whether there is something new to read. An incomplete line also counts.
    pub fn has_news(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|now| now.len() != self.length || Some(identity(&now)) != self.file)
    }

    /// Reads the entries that were added since the last call, and applies each to `history`. If the file was replaced
    /// by another journal, `history` starts from the beginning. `seen` is called after each entry.
    ///
    /// # Errors
    /// If the journal cannot be read, or if a line other than a torn last one is damaged.
    pub fn advance(&mut self, history: &mut History, mut seen: impl FnMut(&Entry)) -> Result<()> {
        let path = self.path.clone();
        let unreadable = |error| {
            Error::storage(format!("{} cannot be read", path.display()), error)
                .hint("name the folder of a sweep, such as results/quickstart")
        };
        let (mut file, now) = open(&path).map_err(unreadable)?;
        if self.file.is_some() && (self.file != Some(identity(&now)) || now.len() < self.length) {
            (*history, self.length, self.lines) = (History::default(), 0, 0);
        }
        self.file = Some(identity(&now));
        file.seek(SeekFrom::Start(self.length)).map_err(unreadable)?;
        let (mut reader, mut line) = (BufReader::with_capacity(1 << 20, file), Vec::new());
        while reader.read_until(b'\n', &mut line).map_err(unreadable)? > 0 && line.ends_with(b"\n") {
            seen(&self.take(&line, history)?);
            line.clear();
        }
        Ok(())
    }

    /// Applies one line.
    fn take(&mut self, line: &[u8], history: &mut History) -> Result<Entry> {
        let entry = parse(line).map_err(|error| {
            let other = Some(&history.version).filter(|version| !["", OURS].contains(&version.as_str()));
            let other = other.map_or(String::new(), |theirs| format!("; sweep {theirs} wrote it, and this is {OURS}"));
            self.damaged(&format!("{error}{other}"))
        })?;
        if (self.lines == 0) != matches!(entry, Entry::Sweep { .. }) {
            return Err(self.damaged("the first line, and only the first, names the sweep"));
        }
        history.apply(&entry).map_err(|why| self.damaged(&why))?;
        self.length += line.len() as u64;
        self.lines += 1;
        Ok(entry)
    }

    fn damaged(&self, why: &str) -> Error {
        let (path, number) = (self.path.display(), self.lines);
        Error::new(Exit::Storage, format!("{path}:{}: the journal is damaged: {why}", number + 1)).hint(format!(
            "restore the file from a backup, or keep what comes before: head -n {number} {path} > repaired"
        ))
    }
}

fn open(path: &Path) -> std::io::Result<(File, Metadata)> {
    let file = File::open(path)?;
    let now = file.metadata()?;
    Ok((file, now))
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Parses one line. Most lines are epochs of networks or rows of programs. Trying their type first saves serde from
/// buffering every field until it has seen the tag.
fn parse(line: &[u8]) -> serde_json::Result<Entry> {
    #[derive(serde::Deserialize)]
    struct Row {
        attempt: Attempt,
        metrics: EpochMetrics,
        #[serde(default)]
        others: Others,
        #[serde(default)]
        read: Option<u64>,
        #[serde(default)]
        planned: Option<u32>,
        #[serde(default)]
        source: Option<String>,
    }
    if line.starts_with(b"{\"is\":\"epoch\",") {
        let Row { attempt, metrics, others, .. } = serde_json::from_slice(line)?;
        return Ok(Entry::Epoch { attempt, metrics, others });
    }
    if line.starts_with(b"{\"is\":\"row\",") {
        let Row { attempt, metrics, others, read, planned, source } = serde_json::from_slice(line)?;
        return Ok(Entry::Row { attempt, metrics, others, read, planned, source });
    }
    serde_json::from_slice(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sweep_core::history::FORMAT;
    use sweep_core::trial::TrialId;

    fn first() -> Entry {
        Entry::Sweep {
            format: FORMAT,
            version: "1".into(),
            name: "test".into(),
            at: 0.5,
            base: "/data".into(),
            start: None,
            file: None,
            pictures: None,
        }
    }

    fn entries() -> Vec<Entry> {
        let attempt = Attempt { trial: TrialId(1), number: 1 };
        let metrics = EpochMetrics { epoch: 1, val_loss: Some(0.1 + 0.2), ..EpochMetrics::default() };
        vec![
            Entry::Run {
                at: 1.0,
                version: "0.0.9".into(),
                host: "h".into(),
                pid: 1,
                mps: None,
                lag: None,
                on: Vec::new(),
                slots: vec!["cpu:0".into()],
            },
            Entry::Started {
                at: 2.0,
                attempt,
                slot: "cpu:0".into(),
                settings: Some(sweep_core::trial::Settings::new()),
                seed: None,
                place: None,
            },
            Entry::Began {
                attempt,
                from_epoch: 0,
                parameters: 10,
                train_examples: 8,
                validation_examples: 2,
                warnings: Vec::new(),
                from_zero: false,
            },
            Entry::Epoch { attempt, metrics, others: Others::from([("f1".into(), 0.1 + 0.2)]) },
            Entry::Row {
                attempt,
                metrics: EpochMetrics { epoch: 2, ..metrics },
                others: Others::from([("f1".into(), 0.1 + 0.7)]),
                read: Some(7),
                planned: None,
                source: Some("wandb.log".into()),
            },
        ]
    }

    fn written() -> (tempfile::TempDir, Layout, History) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let layout = Layout::new(folder.path());
        let mut journal = Journal::create(&layout, &first()).expect("the folder is writable");
        journal.write(&entries(), true).expect("the folder is writable");
        let mut history = History::default();
        for entry in [vec![first()], entries()].concat() {
            history.apply(&entry).expect("the entries follow from each other");
        }
        (folder, layout, history)
    }

    #[test]
    fn what_is_written_is_read_to_the_bit() {
        let (_folder, layout, history) = written();
        let (read, length) = read(&layout).expect("it is whole");
        assert_eq!(read, history);
        assert_eq!(read.trials[0].curve[0].val_loss, Some(0.1 + 0.2));
        assert_eq!(length, std::fs::metadata(layout.journal()).expect("it is there").len());
    }

    #[test]
    fn a_journal_cut_at_any_byte_is_read_up_to_its_last_whole_line() {
        let (_folder, layout, whole) = written();
        let bytes = std::fs::read(layout.journal()).expect("it is there");
        let first_line = bytes.iter().position(|byte| *byte == b'\n').expect("it has lines") + 1;
        for length in first_line..bytes.len() {
            std::fs::write(layout.journal(), &bytes[..length]).expect("writable");
            let (history, whole_lines) = read(&layout).expect("a torn last line is dropped");
            assert!(whole_lines <= length as u64 && bytes[..whole_lines as usize].ends_with(b"\n"));
            // Later entries are written at the end of the last whole line.
            let mut journal = Journal::append(&layout, whole_lines).expect("writable");
            let missing = entries().len() - bytes[whole_lines as usize..].split_inclusive(|b| *b == b'\n').count();
            assert!(history.trials.len() <= whole.trials.len());
            journal.write(&entries()[missing..], false).expect("writable");
            assert_eq!(read(&layout).expect("it is whole again").0, whole, "cut at {length}");
        }
    }

    #[test]
    fn a_torn_line_is_no_news_and_a_whole_one_is() {
        let (_folder, layout, _) = written();
        let whole = std::fs::read(layout.journal()).expect("it is there");
        let (_, length) = read(&layout).expect("it is sound");
        let with = |added: &[u8]| {
            std::fs::write(layout.journal(), [&whole, added].concat()).expect("writable");
            is_as_read(&layout, length)
        };
        assert!(with(b"") && with(b"{\"is\":"));
        assert!(!with(b"{\"is\":\"x\"}\n") && !with(b"a\nb"));
        std::fs::write(layout.journal(), &whole[..whole.len() - 1]).expect("writable");
        assert!(!is_as_read(&layout, length), "it was cut");
    }

    #[test]
    fn a_journal_that_grows_is_read_piece_by_piece() {
        let (_folder, layout, whole) = written();
        let bytes = std::fs::read(layout.journal()).expect("it is there");
        let first_line = bytes.iter().position(|byte| *byte == b'\n').expect("it has lines") + 1;
        std::fs::write(layout.journal(), &bytes[..first_line]).expect("writable");
        let (mut history, mut follower, mut seen) = (History::default(), Follower::new(&layout), 0);
        for length in first_line..=bytes.len() {
            let mut file = OpenOptions::new().append(true).open(layout.journal()).expect("writable");
            file.set_len(0).and_then(|()| file.write_all(&bytes[..length])).expect("writable");
            follower.advance(&mut history, |_| seen += 1).expect("a part of a line is left for later");
        }
        assert_eq!((history.clone(), seen), (whole, 1 + entries().len()));
        assert!(!follower.has_news());
        // The folder was removed, and the sweep was started again.
        super::super::replace(&layout.journal(), &bytes[..first_line]).expect("writable");
        assert!(follower.has_news());
        follower.advance(&mut history, |_| {}).expect("it is whole");
        assert!(history.trials.is_empty());
    }

    #[test]
    fn damage_before_the_last_line_is_named_by_its_line() {
        let (_folder, layout, _) = written();
        let text = std::fs::read_to_string(layout.journal()).expect("it is there");
        std::fs::write(layout.journal(), text.replacen("\"started\"", "\"st\0rted\"", 1)).expect("writable");
        let error = read(&layout).expect_err("it is damaged").to_string();
        assert!(error.contains("journal.jsonl:3: the journal is damaged"), "{error}");
        assert!(error.contains("head -n 2"), "{error}");
        assert!(error.contains("sweep 0.0.9 wrote it, and this is"), "{error}");
    }

    #[test]
    fn lines_of_older_versions_are_read() {
        let lines = [
            r#"{"is":"sweep","format":1,"version":"0.0.9","name":"test","at":0.5,"base":"/data"}"#,
            r#"{"is":"started","at":2.0,"attempt":{"trial":1,"number":1},"slot":"cpu:0","settings":{}}"#,
            r#"{"is":"paused","at":3.0,"attempt":{"trial":1,"number":1}}"#,
        ];
        let mut history = History::default();
        for line in lines {
            history.apply(&serde_json::from_str(line).expect("it is an entry")).expect("it follows");
        }
        let trial = &history.trials[0];
        assert_eq!((&history.start, &trial.unsaved, trial.postponed), (&None, &None, 0));
    }

    #[test]
    fn a_journal_of_a_later_format_is_refused() {
        let (_folder, layout, _) = written();
        let text = std::fs::read_to_string(layout.journal()).expect("it is there");
        std::fs::write(layout.journal(), text.replacen("\"format\":1", "\"format\":2", 1)).expect("writable");
        let error = read(&layout).expect_err("it is of another format").to_string();
        assert!(error.contains("format 2") && error.contains("reads format 1"), "{error}");
    }

    fn holder(pid: u32) -> crate::Holder {
        let process = sweep_core::group::Process { pid, start: 1 };
        crate::Holder { host: "host".into(), boot: "boot".into(), process }
    }

    #[test]
    fn a_second_controller_is_told_who_the_first_is() {
        let (_folder, layout, _) = written();
        let lock = crate::Lock::take(&layout, &holder(17)).expect("nobody holds it");
        assert!(crate::held(&layout));
        let error = crate::Lock::take(&layout, &holder(18)).expect_err("it is held").to_string();
        assert!(error.contains("process 17 on host"), "{error}");
        drop(lock);
        assert!(!crate::held(&layout));
        crate::Lock::take(&layout, &holder(18)).expect("it is free again");
    }

    #[test]
    fn a_straggler_that_still_has_the_lock_is_waited_for() {
        let (_folder, layout, _) = written();
        let lock = crate::Lock::take(&layout, &holder(17)).expect("nobody holds it");
        let straggler = std::thread::spawn(|| {
            std::thread::park_timeout(std::time::Duration::from_millis(200));
            drop(lock);
        });
        crate::Lock::take(&layout, &holder(18)).expect("it is free soon");
        straggler.join().expect("it only waits");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        /// For any file contents, reading ends with a history or with an error that names the file. What was read once
        /// reads the same again.
        #[test]
        fn no_bytes_are_too_strange_for_a_journal(
            at in 0_usize..600,
            length in 0_usize..40,
            bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let (_folder, layout, _) = written();
            let mut text = std::fs::read(layout.journal()).expect("it is there");
            let (from, to) = (at.min(text.len()), (at + length).min(text.len()));
            text.splice(from..to, bytes);
            std::fs::write(layout.journal(), &text).expect("writable");
            match read(&layout) {
                Ok((history, length)) => {
                    drop(Journal::append(&layout, length).expect("writable"));
                    prop_assert_eq!(read(&layout).expect("it was just read"), (history, length));
                }
                Err(error) => prop_assert!(error.to_string().contains("journal.jsonl"), "{}", error),
            }
        }
    }
}
