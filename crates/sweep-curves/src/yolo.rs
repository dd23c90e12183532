//! What Ultralytics prints: a line an epoch with the parts of the loss, and below it a line `all` with the scores. The
//! heading may be missing.
//!
//! ```text
//!   Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size
//!   1/40      2.27G      1.211      2.823      1.326         13        640: 100%|████| 8/8
//!                  Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100%|████| 4/4
//!                    all        128        929      0.669      0.561      0.642      0.477
//! ```

use super::rows::{Place, Row};

/// Distance from the sum of the others, as a share, within which a part is their sum.
const SUM: f64 = 0.01;

/// The beginning of the names of scores, and the names of those beside mAP50-95.
const METRICS: &str = "metrics";
const OTHERS: [&str; 3] = ["precision", "recall", "mAP50"];

/// The epoch under way.
#[derive(Debug, Default)]
pub struct Yolo {
    epoch: Option<f64>,
    loss: f64,
    score: Option<f64>,
    /// The other scores, by the names that Ultralytics' table has for them.
    others: Vec<(String, f64)>,
    /// Whether several parts were added.
    pub adds: bool,
    /// Whether the score is mAP.
    pub finds: bool,
}

impl Yolo {
    /// Takes a line. `None` if it is none of Ultralytics', otherwise the epoch that it ended.
    pub fn line(&mut self, text: &str) -> Option<Option<Row>> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let Some((epoch, parts)) = losses(&words) {
            let ended = if self.epoch == Some(epoch) { None } else { self.finish() };
            let total = parts.iter().sum::<f64>();
            let last = parts.last().copied().unwrap_or_default();
            let has_total = parts.len() > 2 && (total - 2.0 * last).abs() <= SUM * last;
            self.loss = if has_total { last } else { total };
            self.adds |= parts.len() > 1;
            self.epoch = Some(epoch);
            return Some(ended);
        }
        self.epoch?;
        let scores = scores(&words)?;
        // The best weights are validated once more at the end.
        let Some((score, others)) = scores.split_last().filter(|_| self.score.is_none()) else { return Some(None) };
        let is_classifier = others.len() == 1;
        self.score = Some(if is_classifier { others[0] } else { *score });
        self.finds |= !is_classifier;
        self.others = match is_classifier {
            true => vec![(format!("{METRICS}/accuracy_top5"), *score)],
            false => others.iter().zip(OTHERS).map(|(value, name)| (format!("{METRICS}/{name}"), *value)).collect(),
        };
        Some(None)
    }

    /// The row of the epoch under way.
    pub fn finish(&mut self) -> Option<Row> {
        let place = Place { epoch: Some(self.epoch.take()?), step: None };
        let score = self.score.take().map(|score| ("val_accuracy".to_owned(), score));
        let values = [("train_loss".to_owned(), self.loss)].into_iter().chain(score);
        let values = values.chain(std::mem::take(&mut self.others)).collect();
        Some(Row { curve: "fit 1".to_owned(), place, values })
    }
}

/// The epoch and the parts of the loss: `1/40 2.27G 1.2 2.8 1.3 13 640: …`.
fn losses(words: &[&str]) -> Option<(f64, Vec<f64>)> {
    let (epoch, epochs) = words.first()?.split_once('/')?;
    let (epoch, _): (f64, f64) = (epoch.parse().ok()?, epochs.parse().ok()?);
    words.get(1)?.strip_suffix(['G', 'M'])?.parse::<f64>().ok()?;
    let size = words.iter().position(|word| word.strip_suffix(':').is_some_and(|size| size.parse::<u32>().is_ok()))?;
    let parts: Vec<f64> = words.get(2..size.checked_sub(1)?)?.iter().map_while(|word| word.parse().ok()).collect();
    (!parts.is_empty()).then_some((epoch, parts))
}

/// Precision, recall, mAP50, and mAP50-95; or both accuracies of a classifier.
fn scores(words: &[&str]) -> Option<Vec<f64>> {
    let numbers: Vec<f64> = words.strip_prefix(&["all"])?.iter().map_while(|word| word.parse().ok()).collect();
    let counts = words.iter().skip(1).take_while(|word| word.parse::<u64>().is_ok()).count();
    match (counts, numbers.len()) {
        (0, 2) => Some(numbers),
        (1.., many) if many >= counts.min(2) + 4 => Some(numbers[counts.min(2)..counts.min(2) + 4].to_vec()),
        _ => None,
    }
}

/// The table of `results.txt`, as YOLOv3, YOLOv5 and YOLOv7 write it without a header, with one: the epoch, the memory, the
/// parts of the loss, their sum, the number of objects, the size, four scores, and the parts of the validation set.
pub fn results(text: &str) -> Option<String> {
    const PARTS: [&str; 5] = ["box", "obj", "cls", "kpt", "kptv"];
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| !row.is_empty()).peekable();
    let parts = rows.peek().filter(|first| first[0].contains('/'))?.len().checked_sub(9)? / 2;
    let rows: Vec<Vec<&str>> = rows.collect();
    let numbers = |row: &Vec<&str>| -> Option<Vec<f64>> {
        row[0].split_once('/')?.1.parse::<u32>().ok()?;
        row[1].strip_suffix(['G', 'M'])?.parse::<f64>().ok()?;
        let row: Vec<f64> = row[2..].iter().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let is_sum = (row[..parts].iter().sum::<f64>() - row[parts]).abs() <= SUM * row[parts];
        Some(row).filter(|row| is_sum && row[parts + 1].fract() + row[parts + 2].fract() == 0.0)
    };
    // The last line may be cut off.
    let whole = rows.iter().take_while(|row| row.len() == 2 * parts + 9).count();
    let values: Vec<Vec<f64>> = rows[..whole].iter().map(numbers).collect::<Option<_>>()?;
    if !(3..=PARTS.len()).contains(&parts) || whole == 0 || whole + 1 < rows.len() {
        return None;
    }
    // The mean over stricter thresholds is never above mAP50. YOLOv3 has F1 in its place.
    let is_f1 = values.iter().any(|row| row[parts + 6] > row[parts + 5]);
    let last = if is_f1 { "metrics/F1" } else { "metrics/mAP_0.5:0.95" };
    let losses = |set: &str| PARTS[..parts].iter().map(|part| format!("{set}/{part}_loss,")).collect::<String>();
    let scores = format!("metrics/precision,metrics/recall,metrics/mAP_0.5,{last}");
    let header = format!("epoch,,{},,,{scores},{}\n", losses("train"), losses("val").trim_end_matches(','));
    Some(rows[..whole].iter().fold(header, |table, row| table + &row.join(",") + "\n"))
}
