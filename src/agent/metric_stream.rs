//! The metrics of a running program, from its file of metrics or from what it printed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{Interval, MissedTickBehavior, interval};

use super::log::Log;
use super::program::Job;
use super::reading::{MOST_EPOCHS, Reading, Said};
use super::supervisor::PRINTED;
use super::tail::{Tail, Wanted};
use super::whole::wandb_lines;
use sweep_core::nearest::nearest_metric;
use sweep_core::program::Metrics;
use sweep_core::trial::MOST_OTHERS;

/// How often a file of metrics is read.
const POLL: Duration = Duration::from_millis(100);

/// The file of metrics of a program, or the file with what it printed, read while it grows.
pub struct MetricStream {
    tail: Tail,
    /// When the file is read next.
    pub tick: Interval,
    pub reading: Reading,
    /// When the program began, by the clock of the file system.
    pub began: Option<SystemTime>,
    log: PathBuf,
}

impl MetricStream {
    /// Creates the reader for a program that is about to start. What an earlier attempt wrote and nothing read comes
    /// first.
    pub fn new(job: &Job, log: &Path) -> MetricStream {
        let mut tick = interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let file = job.metrics_file.clone().unwrap_or_else(|| log.with_file_name(PRINTED));
        let mut tail = Tail::new(file, job.known.read);
        if let Metrics::Files(pattern) = &job.metrics {
            tail.wants(Wanted::new(pattern, [log.parent().unwrap_or(&job.folder), &job.folder]));
        }
        let mut reading = Reading::new(job.attempt, job.known, &job.metric, true);
        if !job.prints() {
            reading.is_of_file();
        }
        tail.resume(&mut reading);
        MetricStream { tail, tick, reading, began: None, log: log.to_owned() }
    }

    /// Ends what an earlier attempt wrote. If that was half a row, what comes next may be appended to it.
    pub fn begin(&mut self) -> Vec<Said> {
        let mut told = Vec::new();
        self.reading.begin(&mut told);
        told
    }

    /// What has come since the last read, up to a limit. `None` if nothing has.
    pub fn read(&mut self) -> Option<Vec<Said>> {
        let mut told = Vec::new();
        let has_bytes = self.tail.read(&mut self.reading, &mut told);
        self.note(Vec::new());
        (has_bytes || !told.is_empty()).then_some(told)
    }

    /// Looks for a file of metrics for the last time: the program has ended.
    pub fn search_file(&mut self) {
        self.tail.search(true);
    }

    /// Takes what W&B's library has written of a program that has ended, if nothing else has reported the metric: `python -I`
    /// runs without the hook. Returns whether there was anything.
    pub fn read_wandb_file(&mut self, trial: &Path) -> bool {
        let mut lines = wandb_lines(trial, self.began).join(&b'\n');
        if lines.is_empty() {
            return false;
        }
        lines.push(b'\n');
        let file = OpenOptions::new().create(true).append(true).open(self.log.with_file_name(PRINTED));
        match file.and_then(|mut file| file.write_all(&lines)) {
            Ok(()) => true,
            Err(error) => {
                self.note(vec![format!("sweep: the offline file of wandb cannot be kept: {error}")]);
                false
            }
        }
    }

    /// The last row of a program that has ended, which may have no line end. The log then says what was left out.
    pub fn finish(&mut self) -> Vec<Said> {
        let mut told = Vec::new();
        self.tail.finish(&mut self.reading, &mut told);
        self.reading.finish(&mut told);
        let mut notes = Vec::new();
        if self.reading.is_full() {
            notes.push(format!("sweep: epochs after the first {MOST_EPOCHS} are left out"));
        }
        let names: Vec<&str> = self.reading.left_out().iter().map(String::as_str).collect();
        if !names.is_empty() {
            let names = names.join(", ");
            notes.push(format!("sweep: metrics beyond {MOST_OTHERS} names are left out, {names} among them"));
        }
        self.note(notes);
        told
    }

    /// Writes into the log where the metric was found, and other notes.
    fn note(&mut self, mut notes: Vec<String>) {
        notes.splice(0..0, self.reading.notes().into_iter().map(|note| format!("sweep: {note}")));
        if !notes.is_empty() {
            let mut log = Log::open(&self.log);
            notes.iter().for_each(|note| log.note(note));
        }
    }
}

/// The error of a program that ended well and told no value of the metric: what it told instead, and where its log is.
pub fn without_metric(job: &Job, reading: &Reading) -> String {
    let trial = job.attempt.trial;
    if let Some(odd) = reading.odd() {
        let metric = &job.metric;
        return format!(
            "the program ended without a value of {metric}: it reported {odd} under that name, but only a number can \
            be ranked; its log is trials/{trial}/trainer.log"
        );
    }
    let names: Vec<&str> = reading.names().iter().map(String::as_str).collect();
    let told = match (&names[..], &job.metrics_file) {
        ([], Some(file)) if !file.exists() => format!("it wrote no {}", file.display()),
        ([], Some(file)) => format!("there is no number under a name in {}", file.display()),
        ([], None) if matches!(job.metrics, Metrics::Files(_)) => format!("it wrote no {}", job.metrics.describe()),
        ([], None) => format!("it printed no line such as {{\"{}\": 0.5}}", job.metric),
        (some, _) => format!("it reported {}", some.join(", ")),
    };
    let off = if job.is_wandb_off && job.prints() {
        "; WANDB_MODE is `disabled`, so what the program logs to wandb is not seen: unset it, and wandb runs offline"
    } else {
        ""
    };
    let near = nearest_metric(&job.metric, &names).map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
    format!(
        "the program ended without a value of {}: {told}{near}{off}; its log is trials/{trial}/trainer.log",
        job.metric
    )
}
