//! Reader for the output of training scripts, line by line while it comes. It reads Keras logs in all forms, old and new,
//! with or without progress bars and color, tables as fastai prints them, boosting rounds, and handwritten loops.

mod blocks;
mod epochs;
mod labels;
mod overwritten;
mod passes;
mod processes;
mod record;
mod reports;
mod results;
mod rounds;
mod steps;
mod tables;
mod terminal;
mod tools;
mod trailing;
mod values;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::cells::{self, Columns};
use super::line::{Line, Pair, Text, announced, parse};
use super::literals::Literals;
use super::names::{Target, is_validation, meaning, names_part, same_name};
use super::rows::{Place, Row};
use super::special::{are_both_sets, is_metric};
use super::yolo::Yolo;
use super::{names, prefix, special};
pub use passes::read;
use processes::of_process;
pub use record::Records;
use terminal::without_escapes;
use values::is_rate;

/// Maximum line length in bytes; a longer line is not a log line. Progress bars that redraw in place are split at
/// carriage returns first.
const LONGEST_LINE: usize = 1 << 16;
/// Maximum number of names in an epoch.
const MOST_NAMES: usize = 2000;
/// Lines below a heading from which on a line that names its epoch is not below it: the `valid:` of a configuration.
const FAR: u32 = 3;
/// Maximum number of processes whose lines are told apart.
const MOST_PROCESSES: usize = 100;
/// The beginning of an epoch of Keras', several of which stand in one line where line breaks were lost.
static EPOCH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Epoch \d+/\d+\b").expect("it is an expression"));

/// A metric of the epoch that the reader is in.
#[derive(Debug)]
struct Value {
    name: String,
    sum: f64,
    count: f64,
    /// Whether the value is of the whole epoch, so that no batch counts any more.
    final_value: bool,
    /// Whether lines of the epoch gave it other values before.
    came_often: bool,
    /// Whether it is a mean so far, in a line about a part of the epoch.
    partial: bool,
}

/// The set in an object that a line ends with: `json_stats: {"_type": "val_epoch", …`.
static TYPE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"\{.*"\w*type": "(\w+)""#).expect("it is an expression"));

/// The lines so far.
#[derive(Debug, Default)]
pub struct Printed {
    metric: String,
    /// Number of the training run, from 0. A second one in the same log becomes another curve.
    fit: u32,
    epoch: Option<f64>,
    step: Option<f64>,
    values: Vec<Value>,
    /// Whether the end of the epoch was seen.
    whole: bool,
    /// Whether something came since the row was given.
    news: bool,
    /// Whether it came by a line that is not drawn again. A progress bar shows the validation of the epoch before.
    settled: bool,
    /// The set that a heading announced.
    section: Option<&'static str>,
    /// The set of the scores in the line above, if it named the epoch.
    above_part: Option<&'static str>,
    /// Whether lines below the heading had metrics.
    section_is_used: bool,
    /// Lines since the heading.
    section_age: u32,
    /// The epoch of the last line, if it named nothing else.
    header: Option<f64>,
    /// What is added to the epochs of such lines, which count from 0 where others count from 1.
    header_lag: f64,
    /// The place of the last line that named both the epoch and the step.
    inner: Place,
    /// Names of the metrics of the last line that named its epoch.
    of_line: Vec<String>,
    /// Whether the lines are those of a report on classes.
    in_report: bool,
    /// The set of the last metric, and whether the last line had means so far.
    last_part: Option<&'static str>,
    was_running: bool,
    table: Option<Columns>,
    /// The line above, if it may be the first of a heading of two.
    above: cells::Above,
    /// The number of steps of the first progress bar of the epoch, and whether a complete one came.
    total: Option<f64>,
    had_bar: bool,
    /// Whether a complete one had the metrics of both sets.
    bar_has_all: bool,
    /// Whether the first epoch had progress bars, and no validation.
    began_unvalidated: bool,
    /// Whether the last epoch was a boosting round.
    is_round: bool,
    /// Whether the epoch has a progress bar that names it.
    drawn: bool,
    /// Epochs without a number.
    counted: f64,
    /// The number of epochs that lines name: `Epoch 3/10`.
    planned: Option<f64>,
    /// The one that the line names, if it is another than before.
    other_plan: Option<f64>,
    /// The longest distance of two epochs of the training run.
    stride: f64,
    /// Whether a heading or a fence of Markdown came since the last line that named an epoch.
    divided: bool,
    /// Lines of Ultralytics.
    yolo: Yolo,
    /// Histories that are printed.
    literals: Literals,
    /// Sets whose values follow side by side: `accuracy | 0.9 | 0.8`.
    beside: Option<[&'static str; 2]>,
    /// The processes whose lines are mixed.
    processes: Vec<(String, Printed)>,
    /// Whether a table came, so that numbers around it are no part of the curve.
    had_table: bool,
    /// Whether a table without epochs ends with the means of its rows.
    repetitions: bool,
    /// Whether the last row of a table was its header.
    is_below_header: bool,
    /// Whether the next line repeats an earlier one.
    repeats_next: bool,
    /// Whether lines name the epoch and the step, validation among them.
    is_by_step: bool,
    /// Whether lines about an epoch come at its end, after lines that name only steps.
    closes: bool,
    /// Whether a line named an epoch.
    had_place: bool,
    /// Whether values stand below a line that says that their epoch is over.
    headed_by_end: bool,
    /// Whether values stand before the line that names their epoch.
    trailing: trailing::Order,
    /// What the heading above says of the sets of its lines.
    results: results::Block,
    /// Names before the epoch.
    labels: labels::Labels,
    /// What stands between values without an epoch.
    blocks: blocks::Blocks,
    /// The fold that the lines belong to, and its first training run.
    part_of_log: Option<(String, u32)>,
    /// Whether batches whose lines have validation are evaluations within an epoch.
    by_batch: bool,
    /// What is known of the forms of lines, if this is not the first pass.
    forms: passes::Forms,
    /// Whether a line said that a training run has ended, or that one begins.
    ended: bool,
    begins: bool,
    /// Whether the lines are those of the network before training.
    untrained: bool,
    /// The first step of the training run.
    first_step: Option<f64>,
    /// Names of the metrics of the last line about it.
    at_start: Vec<String>,
    /// Names of the values of the epochs so far of a training run, and the number of that run.
    named: (u32, HashSet<String>),
    /// How something was understood, for people.
    notes: Vec<String>,
    /// Whether rounds take the place of epochs, or steps that of the only epoch.
    by_rounds: bool,
    by_steps: bool,
    /// Whether progress bars name the steps.
    by_bars: bool,
    /// What the lines say one by one, if this is wanted.
    records: Option<Records>,
}

impl Printed {
    /// A reader that also knows `metric` by its name alone: `f1 0.8`.
    pub fn for_metric(metric: &str) -> Printed {
        Printed { metric: metric.to_owned(), ..Printed::default() }
    }

    /// Takes a line, and returns the rows that are complete.
    pub fn line(&mut self, text: &str) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Some(found) = self.literals.line(text) {
            self.history(found, &mut rows);
            return rows;
        }
        let pieces: Vec<&str> = text.trim_end_matches(['\n', '\r']).split(['\r', '\u{8}']).collect();
        let count = pieces.len();
        for (at, piece) in pieces.into_iter().enumerate().filter(|(_, piece)| !piece.trim().is_empty()) {
            let piece = without_escapes(piece);
            let mut starts: Vec<usize> = EPOCH.find_iter(&piece).map(|found| found.start()).collect();
            starts.push(piece.len());
            starts[0] = 0;
            for part in starts.windows(2).map(|ends| &piece[ends[0]..ends[1]]).filter(|part| part.len() <= LONGEST_LINE)
            {
                self.piece(part, at + 1 < count, &mut rows);
            }
            if starts.len() == 1 && piece.len() <= LONGEST_LINE {
                self.piece(&piece, at + 1 < count, &mut rows);
            }
        }
        rows
    }

    /// The row of the epoch that is under way, if it has the metric and this is new.
    pub fn pending(&mut self, metric: &str) -> Option<Row> {
        if !self.news || !self.settled {
            return None;
        }
        let row = self.row();
        if !row.has(metric) {
            return None;
        }
        self.news = false;
        Some(row)
    }

    /// The number of epochs of the training, if lines have named it.
    pub fn planned(&self) -> Option<u32> {
        self.planned.filter(|planned| (1.0..1e9).contains(planned)).map(|planned| planned as u32)
    }

    /// No line comes any more.
    pub fn finish(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        self.hand_over(&mut rows);
        rows.extend(self.yolo.finish());
        rows.extend(self.literals.finish());
        self.finish_processes(&mut rows);
        rows
    }

    /// How something was understood, each a sentence without a final period.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        if self.yolo.adds {
            notes.push("the training loss is the sum of the parts that are printed".to_owned());
        }
        if self.yolo.finds {
            notes.push("mAP50-95 is shown as the accuracy".to_owned());
        }
        notes.extend(self.processes.iter().flat_map(|(_, printed)| printed.notes()));
        notes
    }

    fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }

    fn piece(&mut self, text: &str, redrawn: bool, rows: &mut Vec<Row>) {
        self.divided |= epochs::divides(text);
        let Some((process, text)) = prefix::strip(text) else { return };
        let text = &*self.of_tool(text);
        if let Some(process) = process {
            return self.of_process(&format!("process {process}"), text, redrawn, rows);
        }
        if self.of_label(text, redrawn, rows) {
            return;
        }
        if let Some(ended) = self.yolo.line(text) {
            rows.extend(ended);
            return;
        }
        if self.side_by_side(text) || self.tabular(text, rows) || self.in_classification_report(text) {
            return;
        }
        let (text, is_part) = if self.by_rounds { rounds::as_epochs(text) } else { (Cow::Borrowed(text), false) };
        let (raw, text) = (&*text, &Text::of(&text));
        let mut line = self.parsed(text);
        line.progress |= is_part && !line.pairs.is_empty();
        let has_metric = line.pairs.iter().any(|pair| is_metric(&pair.name));
        let fold = labels::fold(raw).or_else(|| self.labels.heading(raw)).filter(|_| line.epoch.is_none());
        self.command(raw, rows);
        self.between(raw, fold.as_deref(), has_metric, rows);
        self.by_batch(&mut line);
        self.bar_by_step(&mut line, redrawn);
        self.ended |= line.epoch.is_none() && trailing::ends_run(raw);
        self.begins |= trailing::begins_run(raw);
        if self.precedes_training(raw, &line, rows) {
            return;
        }
        self.other_plan = line.epochs.filter(|epochs| self.planned.is_some_and(|planned| planned != *epochs));
        self.planned = line.epochs.or(self.planned);
        self.tell_apart(&mut line);
        self.without_means(&mut line);
        if let Some(records) = &mut self.records {
            records.line(text, &line, redrawn);
        }
        self.without_epoch(&mut line);
        if self.of_form(text, &mut line, rows) {
            return;
        }
        if let Some(heading) = line.heading.filter(|_| !line.alone).or_else(|| self.announced(&line, text)) {
            (self.section, self.section_is_used, self.section_age) = (Some(heading), false, 0);
        }
        if self.had_table && !self.leaves_table(&line) {
            return;
        }
        let measures = measures(&line);
        self.says_of_tool(&line, raw, measures);
        self.section_is_used |= measures;
        let tells_set = |name: &str| is_metric(name) || names_part(name).is_some_and(is_validation);
        if let Some(last) = line.pairs.iter().rfind(|pair| tells_set(&pair.name)) {
            self.last_part = names_part(&last.name);
        }
        if std::mem::replace(&mut self.repeats_next, trailing::repeats_best(raw)) {
            return;
        }
        // `{'loss': 0.5, 'epoch': 1.5}`: a row of its own.
        if line.epoch.is_some() && raw.trim_end().ends_with('}') && raw.contains('{') {
            if measures {
                self.own_row(&line, rows);
            }
            return;
        }
        self.place((line, text, redrawn), measures, rows);
        if has_metric {
            self.blocks.value(raw, fold.as_deref());
        }
    }

    /// Looks at a line that has no metric: it may name a fold, or stand between scores.
    fn between(&mut self, text: &str, fold: Option<&str>, has_metric: bool, rows: &mut Vec<Row>) {
        if let Some(fold) = fold.filter(|_| !has_metric) {
            self.begins_part(Some(fold), rows);
        }
        if !has_metric {
            self.blocks.text(text);
        }
    }

    /// Reads a line, whose set an earlier one may have announced.
    fn parsed(&mut self, text: &Text) -> Line {
        let starred = text.raw.trim_start().starts_with("* ");
        let mut part = if starred { self.last_part } else { self.above_part.take().or(self.section) };
        let of_record = TYPE.captures(text.raw).and_then(|found| names_part(&found[1]));
        part = of_record.or(part);
        let mut line = parse(text, part, &self.metric);
        // `Prec@1 76.0 (75.1)` below `Test: [10/99] Loss 1.2 (1.3)`.
        let is_place = line.epoch.is_some() || line.step.is_some() || line.progress || line.bar;
        let mut metrics = line.pairs.iter().filter(|pair| is_metric(&pair.name)).peekable();
        let is_running = metrics.peek().is_some() && metrics.all(|pair| pair.running);
        if is_running && !is_place && self.was_running && part.is_none() && self.last_part.is_some() {
            line = parse(text, self.last_part, &self.metric);
        }
        self.was_running = if line.pairs.is_empty() { self.was_running } else { line.pairs.iter().any(|p| p.running) };
        // A line that names its epoch is below no heading of another one, or of one that has its values.
        self.section_age += 1;
        let is_elsewhere =
            self.section_is_used || self.section_age > FAR || self.epoch.is_some() && line.epoch != self.epoch;
        let is_far = !self.section_is_used && self.section_age > FAR && line.step.is_some();
        let moves_on = line.epoch.is_some() && is_elsewhere
            || is_far
            || self.epoch.is_none() && self.section_is_used && line.step > self.step && self.step.is_some();
        if part.is_some() && of_record.is_none() && !starred && moves_on {
            (self.section, part) = (None, None);
            line = parse(text, None, &self.metric);
        }
        self.below_heading(&mut line, text, part.filter(|_| !starred));
        self.above_part = of_part_without_loss(&line);
        line
    }

    /// Takes a line to the epoch or step that it belongs to.
    fn place(&mut self, (line, text, redrawn): (Line, &Text, bool), measures: bool, rows: &mut Vec<Row>) {
        if self.by_step(&line, measures, rows)
            || self.closes_epoch(&line, text.raw, measures, rows)
            || self.trails(&line, text.raw, measures, rows)
        {
            return;
        }
        if let Some(number) = line.epoch
            && (line.alone || measures || !line.pairs.is_empty())
        {
            if !self.enters(number, &line, rows) {
                if measures {
                    self.note("lines about an epoch before the last one were left out");
                }
                return;
            }
            if measures && !line.progress && !line.bar {
                let names = line.pairs.iter().map(|pair| &pair.name).filter(|name| is_metric(name));
                self.of_line = names.cloned().collect();
            }
        }
        self.moves_on(&line, measures);
        if self.epoch.is_none() && !line.bar && measures && line.step.is_some() && !self.closes {
            self.before_first_step(&line, rows);
            self.step = line.step;
            self.first_step = self.first_step.or(self.step);
            if self.step == self.first_step {
                self.at_start = line.pairs.iter().map(|pair| pair.name.clone()).collect();
            }
            self.own_row(&line, rows);
            return;
        }
        let is_placed = self.epoch.is_some() || self.step.is_some() || self.closes || self.trailing.is_certain();
        if !is_placed && !redrawn && (!line.progress && self.repeats(&line) || self.repeats_bar(&line)) {
            self.hand_over(rows);
        }
        let is_measured =
            measures || line.pairs.iter().any(|pair| special::is_measured(&pair.name) || is_rate(&pair.name));
        if self.step.is_some() && self.epoch.is_none() && is_measured && !self.closes {
            self.own_row(&line, rows);
            return;
        }
        let line = self.evaluation(line);
        let line = self.accuracy_alone(line);
        self.take(&line, text.raw, redrawn);
    }

    /// Gives a line's metrics as a row.
    fn own_row(&mut self, line: &Line, rows: &mut Vec<Row>) {
        let place = Place { epoch: line.epoch, step: line.step.or(self.step) };
        let values = line.pairs.iter().map(|pair| (pair.name.clone(), pair.value)).collect();
        // A bar is drawn several times at a step, first with the values of the step before.
        if self.by_bars && rows.last().is_some_and(|row| row.place == place) {
            rows.pop();
        }
        rows.push(Row { curve: self.curve(), place, values });
    }

    fn hand_over(&mut self, rows: &mut Vec<Row>) {
        // The means of an interrupted epoch cover only a part of it, and it has no validation.
        if self.whole && !self.values.is_empty() {
            let is_validated = self.values.iter().any(|value| names_part(&value.name).is_some_and(is_validation));
            self.began_unvalidated |= self.counted == 0.0 && self.drawn && !is_validated;
            if self.news {
                rows.push(self.row());
                self.remember_names();
            }
            let measures = self.values.iter().any(|value| is_metric(&value.name));
            self.counted += 1.0;
            if measures && self.epoch.is_none() && self.step.is_none() {
                self.blocks.end();
            }
        }
        self.values.clear();
        (self.whole, self.news, self.had_bar, self.bar_has_all, self.drawn) = (false, false, false, false, false);
    }
}

/// Whether a line has metrics, or numbers that may be metrics. A loss by a name of its own may be the only one.
fn measures(line: &Line) -> bool {
    let names = || line.pairs.iter().map(|pair| pair.name.as_str());
    names().any(|name| is_metric(name) || name.to_lowercase().contains("loss"))
        || line.epoch.is_none() && line.step.is_some() && are_both_sets(names())
}

/// The set of a line that names its epoch and scores, and whose loss may be in the next line.
fn of_part_without_loss(line: &Line) -> Option<&'static str> {
    let is_place = line.epoch.is_some() && line.step.is_none() && !line.bar && !line.progress;
    let has_loss = || line.pairs.iter().any(|pair| names::quantity(&pair.name) == Some("loss"));
    line.part.filter(|_| is_place && !line.pairs.is_empty() && !has_loss())
}

#[cfg(test)]
mod tests {
    use crate::{Format, Source, read};
    use sweep_core::trial::EpochMetrics;

    fn curves(text: &str) -> Vec<Vec<EpochMetrics>> {
        let source = Source { name: "log".into(), prefix: None, bytes: text.into() };
        let reading = read(&[source], None, &[]).expect("it is a log");
        assert_eq!(reading.format, Format::Log);
        reading.curves.into_iter().map(|curve| curve.epochs).collect()
    }

    #[test]
    fn keras_3_in_color_is_read() {
        let text = "Epoch 1/2\n\u{1b}[1m  1/313\u{1b}[0m \u{1b}[37m━━━━\u{1b}[0m \u{1b}[1m2:11\u{1b}[0m 420ms/step - \
                    accuracy: 0.1250 - loss: 2.3012\r\u{1b}[1m313/313\u{1b}[0m \u{1b}[32m━━━━\u{1b}[0m\u{1b}[37m\
                    \u{1b}[0m \u{1b}[1m2s\u{1b}[0m 5ms/step - accuracy: 0.4000 - loss: 1.6000 - val_accuracy: 0.5000 - \
                    val_loss: 1.4000 - learning_rate: 0.0010\nEpoch 2/2\n\u{1b}[1m313/313\u{1b}[0m ━━ 2s 5ms/step - \
                    accuracy: 0.5 - loss: 1.3 - val_accuracy: 0.55 - val_loss: 1.2e+00\n";
        let curves = curves(text);
        assert_eq!(curves.len(), 1);
        assert_eq!(curves[0][0].train_accuracy, Some(0.4));
        assert_eq!(curves[0][0].learning_rate, Some(0.001));
        assert_eq!(curves[0][1].val_loss, Some(1.2));
    }

    #[test]
    fn a_bar_redrawn_by_backspaces_counts_once() {
        let text = "Epoch 1/1\n  128/44100 [....] - ETA: 32s - loss: 2.4 - acc: 0.09\u{8}\u{8}\u{8}\u{8}\n44100/44100 \
                    [====] - 22s - loss: 2.1453 - acc: 0.2010 - val_loss: 1.9812 - val_acc: 0.2959";
        let curves = curves(text);
        assert_eq!((curves[0].len(), curves[0][0].train_loss), (1, Some(2.1453)));
    }

    #[test]
    fn one_line_an_epoch_and_what_callbacks_say_between_is_read() {
        let text = "Train on 100 samples\nEpoch 1/3\n - 3s - loss: 2.1 - acc: 0.2 - val_loss: 1.9 - val_acc: 0.3\n\
                    Epoch 00001: val_loss improved from inf to 1.90000, saving model to best.h5\nEpoch 2/3\n\
                    313/313 - 2s - loss: 1.8 - acc: 0.3 - val_loss: nan - val_acc: 0.1 - 2s/epoch - 6ms/step\n\
                    Epoch 3/3\n 12/313 [>...] - ETA: 5s - loss: 1.7 - acc: 0.4\nTraceback: KeyboardInterrupt\n";
        let curves = curves(text);
        assert_eq!(curves[0].len(), 2, "the third epoch was broken off");
        assert_eq!(curves[0][0].val_accuracy, Some(0.3));
        assert_eq!(curves[0][1].val_loss, None);
    }

    #[test]
    fn a_second_fit_is_a_second_curve() {
        let epoch = |n| format!("Epoch {n}/2\n10/10 - 1s - loss: {n}.5 - val_loss: 1.0\n");
        let curves = curves(&[epoch(1), epoch(2), epoch(1), epoch(2)].concat());
        assert_eq!(curves.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
    }

    #[test]
    fn what_hand_written_loops_print_is_read() {
        let tutorial = "Epoch 1/2\n----------\ntrain Loss: 0.9 Acc: 0.5\nval Loss: 0.8 Acc: 0.6\n\nEpoch 2/2\n-----\n\
                        train Loss: 0.7 Acc: 0.7\nval Loss: 0.6 Acc: 0.8\n\nBest val Acc: 0.8\n";
        let lines = "INFO Epoch [1/2], Train Loss: 0.9, Train Acc: 50.0%, Val Loss: 0.8, Val Acc: 60.0%\n\
                     INFO Epoch [2/2], Train Loss: 0.7, Train Acc: 70.0%, Val Loss: 0.6, Val Acc: 80.0%\n";
        let bars = "Epoch 1/2 [Train]: 100%|###| 68/68 [00:32<00:00,  2.06it/s, loss=0.1489]\n\
                    Epoch 1: Train Loss=0.9, Train Acc=0.5 | Val Loss=0.8, Val Acc=0.6\n\
                    Epoch 2/2 [Train]: 100%|###| 68/68 [00:33<00:00,  2.04it/s, loss=0.0805]\n\
                    Epoch 2: Train Loss=0.7, Train Acc=0.7 | Val Loss=0.6, Val Acc=0.8\n";
        let asides = "[data: x.csv]\nEpoch 1/2 - Train Loss: 0.9 (Acc: 50.0%)\nVal - Loss: 0.8, Acc: 60.0%\n\
                      Saved at epoch 1\nEpoch 2/2 - Train Loss: 0.7 (Acc: 70.0%)\nVal - Loss: 0.6, Acc: 80.0%\n\
                      Restoring model weights from the end of the best epoch: 1.\nTest Acc: 12.0%\n";
        let comments = "# Epoch 1/2\n# 390/390 [===] - 20s - loss: 0.9 - acc: 0.5 - val_loss: 0.8 - val_acc: 0.6\n\
                        # Epoch 2/2\n# 390/390 [===] - 20s - loss: 0.7 - acc: 0.7 - val_loss: 0.6 - val_acc: 0.8\n";
        for text in [tutorial, lines, bars, asides, comments] {
            let curve = &curves(text)[0];
            let numbers = |m: &EpochMetrics| [m.train_loss, m.train_accuracy, m.val_loss, m.val_accuracy];
            assert_eq!(curve.len(), 2, "{text}");
            assert_eq!(numbers(&curve[0]), [0.9, 0.5, 0.8, 0.6].map(Some), "{text}");
            assert_eq!(numbers(&curve[1]), [0.7, 0.7, 0.6, 0.8].map(Some), "{text}");
        }
    }
}
