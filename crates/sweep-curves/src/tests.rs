//! Tests of the readers with files from the real tools, and with arbitrary input.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn judge(epochs: &[EpochMetrics], context: &Context) -> Vec<Finding> {
    sweep_verdict::judge(epochs, context)
}

fn context(curve: &ForeignCurve) -> Context {
    let divergence = curve.divergence.as_ref();
    let divergence =
        divergence.map(|it| sweep_verdict::Divergence { epoch: it.epoch, step: None, what: it.what.clone() });
    Context { divergence, ..Context::default() }
}
use sweep_verdict::{Context, Finding, Name};

fn fixture(file: &str) -> Source {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("tests/fixtures/curves").join(file);
    let bytes = std::fs::read(&path).expect("the fixture is there");
    Source { name: file.into(), prefix: None, bytes }
}

fn text(text: impl Into<String>) -> Source {
    Source { name: "file".into(), prefix: None, bytes: text.into().into_bytes() }
}

fn one(sources: &[Source], format: Format) -> (Vec<EpochMetrics>, Vec<String>) {
    let Reading { format: found, mut curves, notes } = read(sources, None, &[]).expect("it is a curve");
    assert_eq!((found, curves.len()), (format, 1));
    let curve = curves.remove(0);
    (curve.epochs, notes.into_iter().chain(curve.notes).collect())
}

fn problem(source: Source, choices: &[Choice]) -> Problem {
    read(&[source], None, choices).expect_err("it is no curve")
}

#[test]
fn keras_console_output_and_the_table_of_it_are_the_same_curve_and_verdict() {
    let (log, _) = one(&[fixture("question.log")], Format::Log);
    let (table, _) = one(&[fixture("question.csv")], Format::Table);
    assert_eq!(log.len(), 50);
    assert_eq!(log, table);
    let names: Vec<Name> = judge(&log, &Context::default()).iter().map(|finding| finding.name).collect();
    assert_eq!(names, [Name::LowCeiling, Name::Overfit, Name::Plateau]);
}

/// Compares with a tolerance, because event files store 32-bit numbers.
fn near(a: &[EpochMetrics], b: &[EpochMetrics]) -> bool {
    let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() < 1e-6,
        (a, b) => a == b,
    };
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            let fields = |m: &EpochMetrics| [m.train_loss, m.train_accuracy, m.val_loss, m.val_accuracy];
            a.epoch == b.epoch && fields(a).into_iter().zip(fields(b)).all(|(a, b)| close(a, b))
        })
}

#[test]
fn event_files_of_keras_callback_are_the_same_curve() {
    let part = |part: &str| Source {
        prefix: Some(part.into()),
        ..fixture(&format!("run/{part}/events.out.tfevents.0.fixture"))
    };
    let (events, notes) = one(&[part("train"), part("validation")], Format::TensorBoard);
    let (table, _) = one(&[fixture("question.csv")], Format::Table);
    assert!(near(&events, &table));
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn event_files_by_step_have_an_epoch_at_each_validation() {
    let (events, notes) = one(&[fixture("steps/events.out.tfevents.0.fixture")], Format::TensorBoard);
    let (mut table, _) = one(&[fixture("question.csv")], Format::Table);
    table.iter_mut().for_each(|epoch| epoch.train_accuracy = None);
    assert!(near(&events, &table), "three values of the training loss an epoch have its mean");
    assert!(notes[0].contains("counts steps"), "{notes:?}");
}

#[test]
fn an_event_file_cut_short_is_read_up_to_there_and_a_damaged_one_is_refused() {
    let whole = fixture("steps/events.out.tfevents.0.fixture");
    let cut = Source { bytes: whole.bytes[..whole.bytes.len() - 5].to_vec(), ..whole.clone() };
    assert_eq!(one(&[cut], Format::TensorBoard).0.len(), 50);
    let mut damaged = whole;
    let middle = damaged.bytes.len() / 2;
    damaged.bytes[middle] ^= 0x10;
    let problem = problem(damaged, &[]);
    assert!(problem.what.contains("is damaged: its checksum is wrong"), "{problem}");
}

#[test]
fn lightnings_table_has_training_and_validation_in_rows_of_their_own() {
    let table = "epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val_acc,val_loss\n\
                 ,0.001,0,,,,\n0,,49,,1.9,,\n0,,99,,1.5,,\n0,,99,,,0.4,1.6\n0,,99,1.7,,,\n\
                 1,,149,,1.3,,\n1,,199,,,0.5,1.4\n1,,199,1.25,,,\n";
    let (curve, notes) = one(&[text(table)], Format::Table);
    assert_eq!(curve.len(), 2);
    assert_eq!((curve[0].epoch, curve[0].train_loss, curve[0].val_loss), (1, Some(1.7), Some(1.6)));
    assert_eq!((curve[1].epoch, curve[1].train_loss, curve[1].val_accuracy), (2, Some(1.25), Some(0.5)));
    assert!(notes[0].contains("from 0"), "{notes:?}");
    // pandas writes missing values as NaN.
    let nans = table.replace(",,", ",NaN,").replace(",,", ",NaN,").replace(",\n", ",NaN\n");
    assert_eq!(one(&[text(nans)], Format::Table).0, curve);
}

#[test]
fn wandbs_export_of_a_chart_has_a_curve_a_run() {
    let table = "\"Step\",\"brisk-sun-1 - val_loss\",\"brisk-sun-1 - val_loss__MIN\",\"brisk-sun-1 - val_loss__MAX\",\
                 \"calm-sea-2 - val_loss\",\"calm-sea-2 - val_loss__MIN\",\"calm-sea-2 - val_loss__MAX\"\n\
                 \"0\",\"1.5\",\"1.5\",\"1.5\",\"1.6\",\"1.6\",\"1.6\"\n\"1\",\"1.4\",\"1.4\",\"1.4\",\"\",\"\",\"\"\n";
    let reading = read(&[text(table)], None, &[]).expect("it is a curve");
    let curves: Vec<_> = reading.curves.iter().map(|curve| (curve.name.as_str(), curve.epochs.len())).collect();
    assert_eq!(curves, [("brisk-sun-1", 2), ("calm-sea-2", 1)]);
    assert_eq!(reading.curves[0].epochs[1].val_loss, Some(1.4));
}

#[test]
fn wandbs_history_is_read_by_its_steps() {
    let table = "_step,_runtime,_timestamp,train/loss,val/loss,val/acc\n0,1.5,1e9,2.0,,\n1,2.5,1e9,1.0,,\n\
                 2,3.5,1e9,,1.9,31.5\n3,4.5,1e9,0.8,,\n4,5.5,1e9,,1.7,42.5\n";
    let (curve, notes) = one(&[text(table)], Format::Table);
    let losses: Vec<_> = curve.iter().map(|epoch| (epoch.train_loss, epoch.val_loss, epoch.val_accuracy)).collect();
    assert_eq!(losses, [(Some(1.5), Some(1.9), Some(0.315)), (Some(0.8), Some(1.7), Some(0.425))]);
    assert!(notes.iter().any(|note| note.contains("percent")), "{notes:?}");
}

#[test]
fn keras_history_is_read_with_its_nan_as_a_divergence() {
    let json = r#"{"loss": [2.1, 1.9, NaN, NaN], "accuracy": [0.2, 0.3, 0.1, 0.1], "val_loss": [2.0, 1.8, NaN, NaN]}"#;
    let reading = read(&[text(json)], None, &[]).expect("it is a curve");
    assert_eq!(reading.format, Format::Json);
    let divergence = reading.curves[0].divergence.clone().expect("it blew up");
    assert_eq!((divergence.epoch, divergence.what.as_str()), (3, "training loss is NaN"));
    let context = context(&reading.curves[0]);
    assert_eq!(judge(&reading.curves[0].epochs, &context)[0].name, Name::Diverged);
}

#[test]
fn json_lines_and_a_trainers_state_are_read() {
    let lines = "{\"epoch\": 1, \"loss\": 0.9, \"val_loss\": 1.0}\n{\"epoch\": 2, \"loss\": 0.5, \"val_loss\": 0.8}\n";
    assert_eq!(one(&[text(lines)], Format::Json).0[1].val_loss, Some(0.8));
    let state = r#"{"best_metric": null, "log_history": [{"epoch": 0.5, "loss": 2.0, "step": 50},
        {"epoch": 1.0, "loss": 1.0, "step": 100}, {"epoch": 1.0, "eval_loss": 1.2, "eval_runtime": 3.0, "step": 100},
        {"epoch": 2.0, "loss": 0.5, "step": 200}, {"epoch": 2.0, "eval_loss": 1.1, "step": 200},
        {"epoch": 2.0, "train_loss": 1.16, "total_flos": 1e9, "step": 200}]}"#;
    let (curve, _) = one(&[text(state)], Format::Json);
    let losses: Vec<_> = curve.iter().map(|epoch| (epoch.epoch, epoch.train_loss, epoch.val_loss)).collect();
    assert_eq!(losses, [(1, Some(1.5), Some(1.2)), (2, Some(0.5), Some(1.1))]);
}

#[test]
fn our_own_table_has_a_curve_a_trial() {
    let table = "trial,epoch,learning_rate,train_loss,train_accuracy,train_eval_loss,train_eval_accuracy,val_loss,\
                 val_accuracy,seconds,pictures_per_second\n1,1,0.001,2.0,0.2,1.9,0.25,1.95,0.24,3.5,1000.0\n\
                 2,1,0.001,2.1,0.2,2.0,0.25,1.99,0.24,3.5,1000.0\n1,2,0.001,1.5,0.4,,,1.4,0.45,3.5,1000.0\n";
    let reading = read(&[text(table)], None, &[]).expect("it is a curve");
    let curves: Vec<_> = reading.curves.iter().map(|curve| (curve.name.as_str(), curve.epochs.len())).collect();
    assert_eq!(curves, [("1", 2), ("2", 1)]);
    assert_eq!(reading.curves[0].epochs[0].train_eval_accuracy, Some(0.25));
    assert_eq!(reading.curves[0].epochs[1].learning_rate, Some(0.001));
}

#[test]
fn what_a_divergence_is_and_what_was_merely_not_measured() {
    let keras = "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.3,1.9,0.3,1.8\n1,0.1,nan,0.1,nan\n2,0.1,nan,0.1,nan\n";
    let reading = read(&[text(keras)], None, &[]).expect("it is a curve");
    assert_eq!(reading.curves[0].divergence.as_ref().map(|divergence| divergence.epoch), Some(2));
    let sparse = "epoch,loss,val_loss\n1,1.9,1.8\n2,1.5,nan\n3,1.2,nan\n";
    assert_eq!(read(&[text(sparse)], None, &[]).expect("it is a curve").curves[0].divergence, None);
}

#[test]
fn columns_are_named_by_hand_where_they_must_be() {
    let table = "turn;fit;held out\n1;1.9;1.8\n2;1.5;1.6\n";
    let problem_without = problem(text(table), &[]);
    assert!(problem_without.what.contains("no loss and no accuracy"), "{problem_without}");
    let hint = problem_without.hint.expect("there is a remedy");
    assert!(hint.contains("turn, fit") || hint.contains("fit, held out"), "{hint}");
    let choices = ["epoch=turn", "train_loss=fit", "val_loss=held out"].map(|choice| choice.parse().expect("a choice"));
    let reading = read(&[text(table)], None, &choices).expect("it is a curve");
    assert_eq!(reading.curves[0].epochs[1].val_loss, Some(1.6));
    let wrong: Choice = "val_loss=held_out".parse().expect("a choice");
    let problem = problem(text(table), &[wrong]);
    assert!(problem.what.contains("column held_out for"), "{problem}");
    assert_eq!(problem.hint.as_deref(), Some("did you mean val_loss=held out?"));
}

#[test]
fn what_is_no_curve_is_said_to_be_none() {
    for nothing in ["", "   \n", "hello", "\0\0\0\0", "a,b\n", "{\"a\": 1}", "[]", "{", "Epoch 1/5\n"] {
        let problem = problem(text(nothing), &[]);
        assert!(
            problem.what.starts_with("file") && problem.hint.is_some() || nothing == "{",
            "{nothing:?}: {problem:?}"
        );
    }
}

/// Fragments from which logs are composed.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "Epoch 1/5\n",
            "Epoch 2/5\r",
            " - loss: ",
            "val_loss",
            ",",
            "epoch",
            "\n",
            "\"",
            "{",
            "}",
            "[",
            "]",
            ":",
            "NaN",
            "Infinity",
            "-",
            "1e999",
            "0.5",
            "99999999999999999999",
            "trial",
            "\u{1b}[1m",
            "\u{8}",
            "step",
            ";",
            "\t",
            "run - val_loss",
            "__MIN",
            "accuracy",
            "loss",
            "é",
            "\\",
        ])
        .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

proptest! {
    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..40)) {
        let source = text(pieces.concat());
        for format in [None, Some(Format::Table), Some(Format::Log), Some(Format::Json)] {
            if let Ok(reading) = read(std::slice::from_ref(&source), format, &[]) {
                for curve in &reading.curves {
                    let context = context(curve);
                    prop_assert!(!judge(&curve.epochs, &context).is_empty());
                    prop_assert!(curve.epochs.windows(2).all(|pair| pair[0].epoch < pair[1].epoch));
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [None, Some(Format::Table), Some(Format::Log), Some(Format::Json), Some(Format::TensorBoard)] {
            let source = Source { name: "bytes".into(), prefix: None, bytes: bytes.clone() };
            let _ = read(&[source], format, &[]);
        }
    }

    /// Valid checksums over arbitrary messages.
    #[test]
    fn no_event_panics(message in proptest::collection::vec(any::<u8>(), 0..100)) {
        let length = (message.len() as u64).to_le_bytes();
        let mut bytes = [&length[..], &events::masked(&length).to_le_bytes()].concat();
        bytes.extend_from_slice(&message);
        bytes.extend(events::masked(&message).to_le_bytes());
        prop_assert_eq!(Format::of(&bytes), Some(Format::TensorBoard));
        let _ = read(&[Source { name: "bytes".into(), prefix: None, bytes }], None, &[]);
    }
}
