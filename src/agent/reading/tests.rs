use super::*;
use crate::agent::reading::names::MOST_LEFT_OUT;
use sweep_core::trial::{MOST_OTHERS, TrialId};

const ATTEMPT: Attempt = Attempt { trial: TrialId(1), number: 1 };

fn new() -> Reading {
    Reading::new(ATTEMPT, Known::default(), "score", false)
}

/// Reads lines; what was said as short words: `began 0`, `1 score 0.5`.
fn said(reading: &mut Reading, lines: &[&str]) -> Vec<String> {
    let mut told = Vec::new();
    for line in lines {
        reading.row(line.as_bytes(), &mut told);
    }
    reading.finish(&mut told);
    words(&told)
}

fn words(told: &[Said]) -> Vec<String> {
    let word = |said: &Said| match said {
        Said::Diverged(Outcome::Diverged { epoch, what, .. }) => format!("{epoch} {what}"),
        Said::Diverged(other) => format!("{other:?}"),
        Said::Message(message) => match &**message {
            FromProgram::Began { from_epoch, .. } => format!("began {from_epoch}"),
            FromProgram::Epoch { metrics, others, .. } => {
                let named = [("score", metrics.objective), ("train_loss", metrics.train_loss)];
                let named = named.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
                let others = others.iter().map(|(name, value)| format!(" {name} {value}"));
                named.chain(others).fold(metrics.epoch.to_string(), |words, word| words + &word)
            }
            other => format!("{other:?}"),
        },
    };
    told.iter().map(word).collect()
}

#[test]
fn lines_with_the_metric_are_epochs_and_all_else_is_the_logs() {
    let (mut reading, mut told) = (new(), Vec::new());
    for (line, is_epoch) in [
        ("loading", false),
        (r#"{"epoch": 0, "score": 0.5}"#, true),
        (r#"{"status": "ok"}"#, false),
        (r#"{"score": 1}"#, true),
        (r#"{"val_loss": 1.5}"#, true),
        (r#"{"score": "#, false),
        (r#"{"score": 2}"#, true),
    ] {
        assert_eq!(reading.line(line.as_bytes(), &mut told), is_epoch, "{line}");
    }
    assert_eq!(words(&told), ["began 0", "1 score 0.5", "2 score 1", "3 score 2"]);
}

#[test]
fn a_closing_test_value_is_no_epoch_of_a_metric_that_has_its_own_name() {
    let told = |lines: &[&str]| {
        let mut reading = Reading::new(ATTEMPT, Known::default(), "val_loss", false);
        let mut told = Vec::new();
        lines.iter().for_each(|line| reading.row(line.as_bytes(), &mut told));
        reading.finish(&mut told);
        told.iter()
            .filter(|said| matches!(said, Said::Message(one) if matches!(**one, FromProgram::Epoch { .. })))
            .count()
    };
    let rows = [r#"{"epoch": 1, "val_loss": 0.9}"#, r#"{"epoch": 2, "val_loss": 0.8}"#, r#"{"Test loss": 0.1}"#];
    assert_eq!(told(&rows), 2);
    assert_eq!(told(&rows[2..]), 1, "where nothing else is told, it is taken, and a note says so");
}

#[test]
fn epochs_have_the_programs_own_numbers() {
    let rows = [r#"{"epoch": 5, "score": 1}"#, r#"{"epoch": 10, "score": 2}"#, r#"{"epoch": 15, "score": 3}"#];
    assert_eq!(said(&mut new(), &rows), ["began 4", "5 score 1", "10 score 2", "15 score 3"]);
    let rows = [r#"{"epoch": 0, "score": 1}"#, r#"{"epoch": 1, "score": 2}"#, r#"{"epoch": 3, "score": 3}"#];
    assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1", "2 score 2", "4 score 3"]);
}

#[test]
fn rows_of_one_epoch_are_one_whichever_comes_first() {
    let rows = [
        r#"{"epoch": 1, "train_loss": 3, "lr": 1}"#,
        r#"{"epoch": 1, "score": 1}"#,
        r#"{"epoch": 2, "score": 2}"#,
        r#"{"epoch": 2, "train_loss": 2}"#,
        r#"{"epoch": 3, "train_loss": 1}"#,
    ];
    let expected = ["began 0", "1 score 1 train_loss 3 lr 1", "2 score 2", "2 score 2 train_loss 2", "3 train_loss 1"];
    assert_eq!(said(&mut new(), &rows), expected);
}

#[test]
fn steps_are_averaged_into_their_epoch() {
    let mut rows = Vec::new();
    for epoch in 1..=2 {
        rows.extend((1..=20).map(|step| format!("{{\"epoch\": {epoch}, \"train_loss\": {step}}}")));
        rows.push(format!("{{\"epoch\": {epoch}, \"score\": {epoch}}}"));
    }
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let expected = ["began 0", "1 score 1 train_loss 10.5", "2 score 2 train_loss 10.5"];
    assert_eq!(said(&mut new(), &rows), expected);
    // The same without numbers, and with a mean of the program's own.
    let rows = [
        r#"{"train_loss": 1}"#,
        r#"{"train_loss": 3}"#,
        r#"{"score": 1}"#,
        r#"{"train_loss": 8}"#,
        r#"{"score": 2, "train_loss": 9}"#,
    ];
    assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1 train_loss 2", "2 score 2 train_loss 9"]);
}

#[test]
fn lightnings_metrics_file_has_one_row_an_epoch_here() {
    let rows = ["epoch,score,step,train_loss", "0,,49,2.0", "0,0.5,49,", "1,,99,1.5", "1,0.75,99,"];
    let expected = ["began 0", "1 score 0.5 train_loss 2 step 49", "2 score 0.75 train_loss 1.5 step 99"];
    assert_eq!(said(&mut new(), &rows), expected);
    let hugging_face = [r#"{"train_loss": 1, "epoch": 0.5}"#, r#"{"score": 2, "epoch": 1.0}"#];
    assert_eq!(said(&mut new(), &hugging_face), ["began 0", "1 score 2 train_loss 1"]);
}

#[test]
fn numbers_under_any_name_go_with_the_next_epoch_and_are_bounded() {
    let rows = [
        r#"{"train/loss": 3, "_step": 1}"#,
        r#"{"train/loss": 2, "f1": NaN, "note": "x"}"#,
        r#"{"score": 1, "f1": 0.5}"#,
        r#"{"score": 2}"#,
    ];
    let mut reading = new();
    assert_eq!(said(&mut reading, &rows), ["began 0", "1 score 1 train_loss 2.5 f1 0.5 train/loss 2.5", "2 score 2"]);
    let many: Vec<String> = (0..2 * MOST_OTHERS).map(|n| format!("\"m{n:04}\": 1")).collect();
    said(&mut reading, &[&format!("{{\"score\": 3, {}}}", many.join(","))]);
    assert_eq!((reading.names().len(), reading.left_out().len()), (MOST_OTHERS, MOST_LEFT_OUT));
}

#[test]
fn the_first_line_of_a_resumed_attempt_tells_where_it_goes_on() {
    for (line, from_zero, expected) in [
        (r#"{"epoch": 4, "score": 1}"#, false, ["began 3", "4 score 1"]),
        (r#"{"epoch": 3, "score": 1}"#, true, ["began 3", "4 score 1"]),
        (r#"{"score": 1}"#, false, ["began 0", "1 score 1"]),
        (r#"{"epoch": 0, "score": 1}"#, true, ["began 0", "1 score 1"]),
        (r#"{"epoch": 1, "score": 1}"#, false, ["began 0", "1 score 1"]),
        (r#"{"epoch": 99, "score": 1}"#, false, ["began 98", "99 score 1"]),
    ] {
        let known = Known { last: 3, from_zero, read: 0 };
        assert_eq!(said(&mut Reading::new(ATTEMPT, known, "score", false), &[line]), expected, "{line}");
    }
}

/// The controller died before it read the fourth row; the program goes on with its fifth, or anew.
#[test]
fn rows_that_were_never_read_come_before_those_of_the_attempt() {
    let known = Known { last: 3, from_zero: false, read: 0 };
    for (row, next, expected) in [
        (
            r#"{"epoch": 4, "score": 4}"#,
            r#"{"epoch": 5, "score": 5}"#,
            ["began 3", "4 score 4", "began 4", "5 score 5"],
        ),
        (
            r#"{"epoch": 4, "score": 4}"#,
            r#"{"epoch": 1, "score": 1}"#,
            ["began 3", "4 score 4", "began 0", "1 score 1"],
        ),
        (r#"{"score": 4}"#, r#"{"score": 1}"#, ["began 3", "4 score 4", "began 0", "1 score 1"]),
    ] {
        let (mut reading, mut told) = (Reading::new(ATTEMPT, known, "score", true), Vec::new());
        reading.row(row.as_bytes(), &mut told);
        reading.begin(&mut told);
        reading.row(next.as_bytes(), &mut told);
        assert_eq!(words(&told), expected);
    }
}

#[test]
fn a_program_that_begins_anew_replaces_its_epochs() {
    let rows = ["1", "2", "3", "1", "2"].map(|epoch| format!("{{\"epoch\": {epoch}, \"score\": {epoch}}}"));
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let expected = ["began 0", "1 score 1", "2 score 2", "3 score 3", "began 0", "1 score 1", "2 score 2"];
    assert_eq!(said(&mut new(), &rows), expected);
    // A row of an epoch that is told late adds to it.
    let rows = [r#"{"epoch": 4, "score": 1}"#, r#"{"epoch": 5, "f1": 2}"#, r#"{"epoch": 4, "f1": 3}"#];
    assert_eq!(said(&mut new(), &rows), ["began 3", "4 score 1", "5 f1 2", "4 f1 3"]);
}

#[test]
fn a_metric_that_is_no_number_is_a_divergence() {
    for line in [
        r#"{"score": NaN, "note": "NaN"}"#,
        r#"{"score": -Infinity}"#,
        r#"{"score": null}"#,
        r#"{"score": "nan"}"#,
        r#"{"score": "-inf"}"#,
        r#"{"score": 1e400, "note": "1e400"}"#,
        r#"{"score": -1e999}"#,
    ] {
        let (mut reading, mut told) = (new(), Vec::new());
        assert!(reading.line(line.as_bytes(), &mut told), "{line}");
        assert_eq!(words(&told), ["began 0", "1 score is NaN or infinite"], "{line}");
    }
    for field in ["nan", "inf", "null", "None", "1e400"] {
        let told = said(&mut new(), &["epoch,score", &format!("1,{field}")]);
        assert_eq!(told, ["began 0", "1 score is NaN or infinite"], "{field}");
    }
    assert_eq!(said(&mut new(), &["epoch,score,f1", "1,,2"]), ["began 0", "1 f1 2"], "an empty field is no value");
}

#[test]
fn what_stands_in_place_of_a_number_is_named() {
    for (line, odd) in [
        (r#"{"score": "high"}"#, "the text \"high\""),
        (r#"{"score": [1]}"#, "a list"),
        (r#"{"score": {"mean": 1}}"#, "a table"),
        (r#"{"score": true}"#, "true"),
    ] {
        let mut reading = new();
        assert_eq!((said(&mut reading, &[line]), reading.odd()), (Vec::<String>::new(), Some(odd)));
    }
    let mut reading = new();
    said(&mut reading, &["epoch,score", "1,high"]);
    assert_eq!((reading.odd(), reading.measured()), (Some("the text \"high\""), false));
}

#[test]
fn a_csv_file_has_its_names_in_the_first_line() {
    let rows = ["epoch, score,val_loss", "1, 0.25, 2.0", "2,0.5,", "epoch,score", "3,0.75"];
    assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 0.25", "2 score 0.5", "3 score 0.75"]);
}

#[test]
fn a_line_end_in_quotes_costs_no_row() {
    let rows = ["epoch,score,note", "1,1,\"two", "lines\"", "2,2,one"];
    assert_eq!(said(&mut new(), &rows), ["began 0", "1 score 1", "2 score 2"]);
}

#[test]
fn the_journal_learns_how_far_the_file_was_read() {
    let (mut reading, mut told) = (new(), Vec::new());
    let mut offset = 0;
    for row in [r#"{"epoch": 1, "score": 1}"#, r#"{"epoch": 2, "f1": 1}"#, r#"{"epoch": 3, "score": 1}"#] {
        let end = offset + row.len() as u64 + 1;
        reading.at(offset, end);
        reading.row(row.as_bytes(), &mut told);
        offset = end;
    }
    let read = told.iter().filter_map(|said| match said {
        Said::Message(message) => match &**message {
            FromProgram::Epoch { metrics, read, .. } => Some((metrics.epoch, read.unwrap())),
            _ => None,
        },
        Said::Diverged(_) => None,
    });
    // The second epoch was complete once the third row came, which is not in it.
    assert_eq!(read.collect::<Vec<_>>(), [(1, 25), (2, 47), (3, 72)]);
}

/// The hook's rows, printed text and printed JSON stand in one file. The script's own choice counts.
#[test]
fn a_metric_is_taken_from_the_best_source_and_each_epoch_once() {
    let text =
        |epoch: u32, score: f64| format!(r#"{{"_from": "the printed text", "epoch": {epoch}, "score": {score}}}"#);
    let wandb = |row: u32, score: f64| format!(r#"{{"_from": "wandb.log", "_row": {row}, "score": {score}}}"#);
    let began = r#"{"_began": true}"#.to_owned();
    let rows = |rows: &[String]| said(&mut new(), &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let both = [text(1, 9.0), wandb(0, 1.0), text(2, 9.0), wandb(1, 2.0)];
    assert_eq!(rows(&both), ["began 0", "1 score 9", "1 score 1", "2 score 2"]);
    let announced = [began.clone(), text(1, 9.0), wandb(0, 1.0), text(2, 9.0), wandb(1, 2.0)];
    assert_eq!(rows(&announced), ["began 0", "1 score 1", "2 score 2"]);
    let text_alone = [began, text(1, 3.0), text(2, 4.0), text(3, 5.0)];
    assert_eq!(rows(&text_alone), ["began 0", "1 score 3", "2 score 4", "3 score 5"]);
    let partial = [r#"{"_from": "wandb.log", "_row": 0, "f1": 1}"#.to_owned(), wandb(0, 1.0), wandb(1, 2.0)];
    assert_eq!(rows(&partial), ["began 0", "1 score 1 f1 1", "2 score 2"]);
}

#[test]
fn the_metric_is_found_under_names_that_mean_the_same() {
    let mut reading = Reading::new(ATTEMPT, Known::default(), "val_accuracy", false);
    let mut told = Vec::new();
    for row in [r#"{"test_acc": 0.1, "f1": 1}"#, r#"{"Val Acc": 50.0}"#, r#"{"test_acc": 0.2}"#, r#"{"Val Acc": 60.0}"#]
    {
        reading.row(row.as_bytes(), &mut told);
    }
    let accuracies = told.iter().filter_map(|said| match said {
        Said::Message(message) => match &**message {
            FromProgram::Epoch { metrics, .. } => Some((metrics.epoch, metrics.val_accuracy?)),
            _ => None,
        },
        Said::Diverged(_) => None,
    });
    assert_eq!(accuracies.collect::<Vec<_>>(), [(1, 0.1), (2, 0.5), (3, 0.6)]);
    let notes = reading.notes();
    assert!(notes.iter().any(|note| note.contains("`Val Acc` is in percent")), "{notes:?}");
}
