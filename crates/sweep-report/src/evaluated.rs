//! Describes the predictions of the best configuration on validation and test images.

use std::path::PathBuf;
use std::time::SystemTime;

use super::format;
use sweep_core::error::Result;
use sweep_core::evaluation::{Confusion, Evaluation, Worst};
use sweep_core::trial::TrialId;
use sweep_store::Layout;

/// Maximum number of confused pairs, classes and images that are named.
const NAMED: usize = 5;

/// Maximum number of classes whose confusion matrix is shown. `confusion.csv` has it for any number.
const MOST_CLASSES: usize = 30;

/// What the report shows about the best configuration's predictions.
#[derive(Debug)]
pub struct Evaluated {
    pub evaluation: Evaluation,
    /// The PNG of the worst validation images, if it was drawn.
    pub worst: Option<Vec<u8>>,
}

impl Evaluated {
    /// Reads the files of a sweep. `None` if nothing was evaluated.
    pub fn read(layout: &Layout) -> Option<Evaluated> {
        let worst = std::fs::read(layout.root().join("worst.png")).ok();
        Some(Evaluated { evaluation: evaluation(layout)?, worst })
    }

    /// The rows of the confusion matrix on validation images, and its caption. `None` if it is too large to be read.
    pub fn matrix(&self) -> Option<(&[Vec<u64>], String)> {
        let Evaluation { trial, validation, .. } = &self.evaluation;
        let caption =
            format!("Validation images by their class (rows) and the class that trial {trial} found (columns)");
        (validation.0.len() <= MOST_CLASSES).then_some((&validation.0, caption))
    }

    /// The names of the classes, without control characters.
    pub fn classes(&self) -> Vec<String> {
        self.evaluation.classes.iter().map(|class| format::clean(class)).collect()
    }

    /// The time at which the evaluation of a sweep was written. `None` if nothing was evaluated.
    pub fn written(layout: &Layout) -> Option<SystemTime> {
        std::fs::metadata(file(layout)).ok()?.modified().ok()
    }
}

fn file(layout: &Layout) -> PathBuf {
    layout.root().join("evaluation.json")
}

/// Reads the evaluation of a sweep. `None` if there is none.
pub fn evaluation(layout: &Layout) -> Option<Evaluation> {
    serde_json::from_slice(&std::fs::read(file(layout)).ok()?).ok()
}

/// Writes the evaluation of a sweep, and its confusion matrix as a table.
///
/// # Errors
/// Returns an error if a file cannot be written.
pub fn write_evaluation(layout: &Layout, evaluation: &Evaluation) -> Result<()> {
    let mut table = csv::Writer::from_writer(Vec::new());
    let header = std::iter::once("class").chain(evaluation.classes.iter().map(String::as_str));
    table.write_record(header).expect("memory takes every record");
    for (class, row) in evaluation.classes.iter().zip(&evaluation.validation.0) {
        let counts = row.iter().map(u64::to_string);
        table.write_record(std::iter::once(class.clone()).chain(counts)).expect("memory takes every record");
    }
    let table = table.into_inner().expect("memory takes every record");
    sweep_store::replace(&layout.root().join("confusion.csv"), &table)?;
    let text = serde_json::to_vec_pretty(evaluation).expect("an evaluation has only strings and numbers");
    sweep_store::replace(&file(layout), &text)
}

/// Returns the paragraphs of the report.
pub fn sentences(evaluation: &Evaluation) -> Vec<String> {
    let mut lines = tests(evaluation);
    let Evaluation { trial, validation, .. } = evaluation;
    if let (Some(accuracy), Some(balanced)) = (validation.accuracy(), validation.balanced()) {
        let mut each = validation.each();
        each.sort_by(|one, other| one.1.total_cmp(&other.1));
        let lowest = each.iter().take(NAMED).filter(|(_, accuracy)| *accuracy < 1.0);
        let lowest = lowest.map(|(class, accuracy)| format!("{} ({})", name(evaluation, *class), percent(*accuracy)));
        let lowest: Vec<String> = lowest.collect();
        let lowest = if lowest.is_empty() { String::new() } else { format!(" Lowest: {}.", lowest.join(", ")) };
        lines.push(format!(
            "Trial {trial} classifies {} of {} validation images correctly. The mean over the classes (balanced \
             accuracy) is {}.{lowest}",
            percent(accuracy),
            format::count(validation.images()),
            percent(balanced)
        ));
    }
    lines.extend(confused(evaluation));
    lines.extend(worst(evaluation));
    lines
}

fn tests(evaluation: &Evaluation) -> Vec<String> {
    let test = |(trial, confusion): &(TrialId, Confusion)| {
        let (low, high) = confusion.interval()?;
        Some(format!(
            "Trial {trial} classifies {} of {} test images correctly (95% interval {} to {}).",
            percent(confusion.accuracy()?),
            format::count(confusion.images()),
            percent(low),
            percent(high)
        ))
    };
    let mirrored = |trial: TrialId| {
        let (_, confusion) = evaluation.mirrored.iter().find(|(id, _)| *id == trial)?;
        Some(format!(
            "With the mean of the probabilities of each image and its mirror image (test-time augmentation, `sweep \
             predict --tta`), it is {}.",
            percent(confusion.accuracy()?)
        ))
    };
    let both = |one: &(TrialId, Confusion)| Some([test(one)?, mirrored(one.0).unwrap_or_default()].join(" "));
    let mut lines: Vec<String> =
        evaluation.tests.iter().filter_map(both).map(|line| line.trim_end().to_owned()).collect();
    match (lines.is_empty(), evaluation.tested_before) {
        (true, _) => {}
        (false, 0) => lines.push("These images were not used to choose the best configuration.".into()),
        (false, before) => lines.push(format!(
            "Before it, {before} other configurations of this sweep were tested on the same images, because the sweep \
             was extended. The test accuracy is therefore somewhat optimistic."
        )),
    }
    lines
}

fn confused(evaluation: &Evaluation) -> Option<String> {
    let pairs = evaluation.validation.confused();
    let pair = |(label, predicted, count): &(usize, usize, u64)| {
        let all: u64 = evaluation.validation.0[*label].iter().sum();
        let (label, predicted) = (name(evaluation, *label), name(evaluation, *predicted));
        format!("{label} as {predicted} ({} of {})", format::count(*count), format::count(all))
    };
    let named: Vec<String> = pairs.iter().take(NAMED).map(pair).collect();
    (!named.is_empty())
        .then(|| format!("Most often confused: {}. All counts are in `confusion.csv`.", named.join(", ")))
}

fn worst(evaluation: &Evaluation) -> Option<String> {
    let image = |Worst { label, predicted, probability }: &Worst| {
        let (label, predicted) = (name(evaluation, *label), name(evaluation, *predicted));
        format!("{label} as {predicted} ({})", percent(*probability))
    };
    let named: Vec<String> = evaluation.worst.iter().take(NAMED).map(image).collect();
    (!named.is_empty()).then(|| {
        format!(
            "`worst.png` shows the {} validation images that the network is most wrong about. Look for wrong labels \
             there. The first row: {}.",
            evaluation.worst.len(),
            named.join(", ")
        )
    })
}

fn name(evaluation: &Evaluation, class: usize) -> String {
    evaluation.classes.get(class).map_or_else(|| class.to_string(), |name| format::clean(name))
}

fn percent(share: f64) -> String {
    format::value("val_accuracy", Some(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_how_sure_it_is_and_what_is_confused() {
        let pairs = |wrong: usize| (0..90).map(|_| (0, 0)).chain((0..wrong).map(|_| (1, 0))).chain([(1, 1)]);
        let mut evaluation = Evaluation {
            classes: vec!["cat".into(), "dog".into()],
            trial: TrialId(7),
            validation: Confusion::of(2, pairs(9)),
            worst: vec![Worst { label: 1, predicted: 0, probability: 0.999 }],
            tests: vec![(TrialId(7), Confusion::of(2, pairs(9)))],
            mirrored: Vec::new(),
            tested_before: 0,
        };
        let expected = [
            "Trial 0007 classifies 91% of 100 test images correctly (95% interval 83.8% to 95.2%).",
            "These images were not used to choose the best configuration.",
            "Trial 0007 classifies 91% of 100 validation images correctly. The mean over the classes (balanced \
             accuracy) is 55%. Lowest: dog (10%).",
            "Most often confused: dog as cat (9 of 10). All counts are in `confusion.csv`.",
            "`worst.png` shows the 1 validation images that the network is most wrong about. Look for wrong labels \
             there. The first row: dog as cat (99.9%).",
        ];
        assert_eq!(sentences(&evaluation), expected);
        evaluation.tested_before = 2;
        assert!(sentences(&evaluation)[1].starts_with("Before it, 2 other configurations"));
        evaluation.mirrored = vec![(TrialId(7), Confusion::of(2, pairs(5)))];
        assert!(
            sentences(&evaluation)[0].ends_with("`sweep predict --tta`), it is 94.8%."),
            "{:?}",
            sentences(&evaluation)
        );
    }
}
