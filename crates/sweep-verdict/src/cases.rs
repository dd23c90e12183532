//! Tests the rules on the kinds of curves that other tools record: losses alone, regression, language models, boosting,
//! a few evaluations of a pretrained network. Each case names the findings that it must have, and those that it must
//! not have.

use super::*;

/// A curve with the findings that an experienced reader would make.
struct Case {
    name: &'static str,
    curve: Vec<EpochMetrics>,
    context: Context,
    one_of: &'static [Name],
    none_of: &'static [Name],
}

/// Training loss, training accuracy, validation loss, validation accuracy.
type Row = [Option<f64>; 4];

const NO: Option<f64> = None;

fn at(epoch: u32, row: Row) -> EpochMetrics {
    let [train_loss, train_accuracy, val_loss, val_accuracy] = row;
    EpochMetrics { epoch, train_loss, train_accuracy, val_loss, val_accuracy, ..EpochMetrics::default() }
}

/// A curve of this many epochs from its course.
fn course(epochs: u32, row: impl Fn(f64) -> Row) -> Vec<EpochMetrics> {
    (1..=epochs).map(|epoch| at(epoch, row(f64::from(epoch)))).collect()
}

/// A curve of losses alone.
fn losses(train: &[f64], val: &[f64]) -> Vec<EpochMetrics> {
    let last = train.len().max(val.len());
    let value = |of: &[f64], epoch: usize| of.get(epoch).copied();
    (0..last).map(|epoch| at(epoch as u32 + 1, [value(train, epoch), NO, value(val, epoch), NO])).collect()
}

/// A number between -1 and 1 that looks random.
fn chance(t: f64, seed: f64) -> f64 {
    let x = ((t * 127.1 + seed * 311.7).sin() * 43758.5453).fract();
    2.0 * x.abs() - 1.0
}

fn of(task: Task) -> Context {
    Context { task, ..Context::default() }
}

fn case(
    name: &'static str,
    context: Context,
    curve: Vec<EpochMetrics>,
    one_of: &'static [Name],
    none_of: &'static [Name],
) -> Case {
    Case { name, curve, context, one_of, none_of }
}

use Name::*;

/// Training that gets worse, or that exploded and came back.
fn worse() -> Vec<Case> {
    let spike = |t: f64| if t == 7.0 { 8e9 } else { 2.3 - 0.02 * t + 0.02 * chance(t, 1.0) };
    let never: &[Name] = &[Underfit, GoodFit, Overfit, Plateau, LowCeiling, StillImproving];
    vec![
        case(
            "a loss that rises from its first epoch",
            of(Task::Unknown),
            course(20, |t| [Some(1.0 + 0.9 * t / 20.0 + 0.02 * chance(t, 1.0)), NO, Some(1.1 + t / 20.0), NO]),
            &[Worsening],
            never,
        ),
        case(
            "three epochs that get worse",
            of(Task::Unknown),
            losses(&[1.0, 1.4, 1.9], &[1.1, 1.5, 2.0]),
            &[Worsening],
            never,
        ),
        case(
            "a loss that rises, and an accuracy that falls",
            of(Task::Unknown),
            course(12, |t| [Some(1.0 + 0.075 * t), Some(0.6 - 0.02 * t), Some(1.1 + 0.08 * t), Some(0.58 - 0.02 * t)]),
            &[Worsening],
            never,
        ),
        case(
            "a loss of 8e9 in one epoch, and back",
            of(Task::Unknown),
            course(20, |t| [Some(spike(t)), NO, Some(2.3 - 0.01 * t), NO]),
            &[Worsening],
            never,
        ),
        case(
            "training that loses half of what it had learned",
            of(Task::Unknown),
            course(30, |t| {
                let loss = if t <= 12.0 { 2.3 - 0.15 * t } else { 0.5 + 0.05 * (t - 12.0) };
                [Some(loss + 0.01 * chance(t, 2.0)), NO, Some(loss + 0.05), NO]
            }),
            &[Worsening],
            never,
        ),
        case(
            "a large loss in the first epoch of a regression",
            of(Task::Tabular),
            course(40, |t| [Some(20.0 + 5e4 / t.powi(3)), NO, Some(22.0 + 3e4 / t.powi(3)), NO]),
            &[GoodFit, StillImproving, Plateau],
            &[Worsening, Diverged, Overfit, Unstable],
        ),
        case(
            "a loss near zero that wobbles",
            of(Task::Unknown),
            course(40, |t| {
                let wobble = 0.004 * chance(t, 3.0).abs();
                [Some(1.2 * (-t / 4.0).exp() + wobble), NO, Some(0.02 + 1.2 * (-t / 4.0).exp() + wobble), NO]
            }),
            &[GoodFit, Plateau],
            &[Worsening, Diverged, Overfit],
        ),
    ]
}

/// Losses alone: what is close, what is not, and what rises slowly.
fn losses_alone() -> Vec<Case> {
    vec![
        case(
            "0.20 in training, 0.35 in validation, 16% above its best",
            of(Task::Unknown),
            course(30, |t| {
                let train = 0.20 + 0.9 * (-t / 5.0).exp();
                let val = 0.30 + 0.8 * (-t / 4.0).exp() + 0.05 * ((t - 8.0) / 22.0).max(0.0) + 0.012 * chance(t, 4.0);
                [Some(train), NO, Some(val), NO]
            }),
            &[Overfit],
            &[GoodFit, Underfit],
        ),
        case(
            "a slow, noisy rise",
            of(Task::Unknown),
            course(60, |t| {
                let train = 0.30 + 0.5 * (-t / 25.0).exp();
                let val = 0.50 + 0.4 * (-t / 4.0).exp() + 0.0022 * (t - 10.0).max(0.0) + 0.035 * chance(t, 5.0);
                [Some(train), NO, Some(val), NO]
            }),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "a gap of a third without a rise",
            of(Task::Tabular),
            course(50, |t| [Some(10.0 + 60.0 * (-t / 6.0).exp()), NO, Some(19.0 + 55.0 * (-t / 6.0).exp()), NO]),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "losses that end close together",
            of(Task::Unknown),
            course(50, |t| {
                let fall = 0.8 * (-t / 6.0).exp();
                [Some(0.30 + fall), NO, Some(0.33 + fall + 0.004 * chance(t, 6.0)), NO]
            }),
            &[GoodFit],
            &[Overfit, Underfit, Unstable],
        ),
        case(
            "tiny losses that differ by a factor, both far below the start",
            of(Task::Unknown),
            course(40, |t| [Some(0.004 + (-t / 3.0).exp()), NO, Some(0.010 + (-t / 3.0).exp()), NO]),
            &[GoodFit],
            &[Overfit],
        ),
        case(
            "nine points and four times the errors",
            of(Task::Text),
            course(20, |t| {
                let fit = (-t / 4.0).exp();
                [Some(0.09 + 0.5 * fit), Some(0.97 - 0.3 * fit), Some(0.42 + 0.2 * fit), Some(0.88 - 0.15 * fit)]
            }),
            &[Overfit],
            &[GoodFit, Underfit],
        ),
    ]
}

/// Accuracies that mean nothing.
fn contradictions() -> Vec<Case> {
    let falling = |t: f64| 25.0 + 500.0 * (-t / 5.0).exp();
    vec![
        case(
            "a regression with an accuracy near zero",
            of(Task::Unknown),
            course(40, |t| [Some(falling(t)), Some(0.002), Some(falling(t) * 1.05), Some(0.0 + 0.001 * (t % 2.0))]),
            &[AccuracyUnusable],
            &[Stuck, Underfit, LowCeiling, ValidationAtChance],
        ),
        case(
            "a normalized regression with a constant accuracy",
            of(Task::Unknown),
            course(40, |t| {
                let loss = 0.010 + 0.02 * (-t / 6.0).exp();
                [Some(loss), Some(0.1043), Some(loss * 1.08), Some(0.1099)]
            }),
            &[AccuracyUnusable],
            &[Stuck, Underfit, LowCeiling, ValidationAtChance],
        ),
        case(
            "a regression that overfits beside an accuracy of zero",
            of(Task::Unknown),
            course(40, |t| {
                let val = 40.0 + 400.0 * (-t / 4.0).exp() + 0.8 * (t - 12.0).max(0.0);
                [Some(5.0 + 500.0 * (-t / 5.0).exp()), Some(0.0), Some(val), Some(0.0)]
            }),
            &[Overfit],
            &[GoodFit, Stuck, Underfit],
        ),
    ]
}

/// Networks that learn nothing, without a number of classes.
fn stuck() -> Vec<Case> {
    let never: &[Name] = &[GoodFit, Overfit, Underfit, Plateau, StillImproving, LowCeiling];
    vec![
        case(
            "the same four digits in every epoch",
            of(Task::Unknown),
            course(10, |t| [Some(0.6931 + 0.0004 * chance(t, 7.0)), Some(0.5), Some(0.6932), Some(0.5)]),
            &[Stuck],
            never,
        ),
        case(
            "the majority class, three to one",
            of(Task::Tabular),
            course(15, |t| {
                let first = if t == 1.0 { 0.03 } else { 0.0 };
                [
                    Some(0.5635 + first + 0.001 * chance(t, 8.0)),
                    Some(0.7488 + 0.002 * chance(t, 9.0)),
                    Some(0.5644),
                    Some(0.7455),
                ]
            }),
            &[Stuck],
            never,
        ),
        case(
            "a validation accuracy that flips between two values",
            of(Task::Text),
            course(12, |t| {
                let flip = if chance(t, 10.0) > 0.0 { 0.4938 } else { 0.5062 };
                [Some(0.6935 + 0.0006 * chance(t, 11.0)), Some(0.5 + 0.006 * chance(t, 12.0)), Some(0.6932), Some(flip)]
            }),
            &[Stuck],
            never,
        ),
        case(
            "a loss alone that never changes",
            of(Task::Unknown),
            course(12, |t| [Some(1.3862 + 0.0002 * chance(t, 13.0)), NO, Some(1.3863), NO]),
            &[Stuck],
            never,
        ),
        case(
            "a regression that predicts the mean",
            of(Task::Tabular),
            course(25, |t| [Some(if t == 1.0 { 91.0 } else { 84.42 + 0.01 * chance(t, 14.0) }), NO, Some(83.24), NO]),
            &[Stuck],
            never,
        ),
        case(
            "a loss that fell to almost nothing and stays there",
            of(Task::Unknown),
            course(40, |t| [Some(1e-7 + (-t / 2.0).exp()), NO, Some(0.0011 + (-t / 2.0).exp()), NO]),
            &[GoodFit, Plateau],
            &[Stuck, Overfit],
        ),
        case(
            "imbalanced classes, learned slowly",
            of(Task::Tabular),
            course(20, |t| {
                let loss = 0.20 + 0.15 * (-t / 10.0).exp();
                [Some(loss), Some(0.912 + 0.001 * t), Some(loss + 0.01), Some(0.911 + 0.0009 * t)]
            }),
            &[GoodFit, StillImproving],
            &[Stuck, Overfit],
        ),
    ]
}

/// Validation at chance while training is nearly perfect.
fn at_chance() -> Vec<Case> {
    let fits = |t: f64| 0.99 - 0.5 * (-t / 3.0).exp();
    vec![
        case(
            "training at 98%, validation at half of two classes",
            of(Task::Images),
            course(20, |t| {
                [
                    Some(0.05 + 0.7 * (-t / 3.0).exp()),
                    Some(fits(t)),
                    Some(0.9 + 0.1 * t),
                    Some(0.5 + 0.008 * chance(t, 15.0)),
                ]
            }),
            &[ValidationAtChance],
            &[GoodFit, Overfit, LowCeiling],
        ),
        case(
            "training at 98%, validation at a tenth of ten classes",
            Context { classes: Some(10), ..of(Task::Images) },
            course(20, |t| {
                [
                    Some(0.05 + 2.2 * (-t / 3.0).exp()),
                    Some(fits(t)),
                    Some(4.0 + 0.2 * t),
                    Some(0.1 + 0.004 * chance(t, 16.0)),
                ]
            }),
            &[ValidationAtChance],
            &[GoodFit, Overfit, LowCeiling],
        ),
        case(
            "training at 98%, validation far behind but learning",
            of(Task::Images),
            course(30, |t| {
                let val = 0.62 - 0.35 * (-t / 3.0).exp();
                [Some(0.05 + 2.2 * (-t / 3.0).exp()), Some(fits(t)), Some(1.2 + 0.05 * t), Some(val)]
            }),
            &[Overfit],
            &[ValidationAtChance, GoodFit],
        ),
    ]
}

/// Few epochs, few values, and curves without the usual metrics.
fn short() -> Vec<Case> {
    let f1 = |t: f64| EpochMetrics {
        objective: Some(0.8 - 0.5 * (-t / 5.0).exp()),
        ..at(t as u32, [Some((-t / 5.0).exp() + 0.3), NO, NO, NO])
    };
    let named = Metric { name: "val_f1".into(), goal: Goal::Maximize };
    vec![
        case("one value", of(Task::Unknown), losses(&[], &[0.4]), &[TooShort], &[GoodFit, StillImproving]),
        case(
            "five epochs without validation",
            of(Task::Unknown),
            losses(&[0.9, 0.6, 0.5, 0.45, 0.4], &[]),
            &[Unvalidated],
            &[GoodFit],
        ),
        case(
            "a pretrained network that overfits in its second epoch",
            of(Task::Text),
            (1..)
                .zip([
                    [Some(0.52), NO, Some(0.38), Some(0.84)],
                    [Some(0.27), NO, Some(0.44), Some(0.85)],
                    [Some(0.12), NO, Some(0.61), Some(0.85)],
                    [Some(0.05), NO, Some(0.75), Some(0.84)],
                ])
                .map(|(epoch, row)| at(epoch, row))
                .collect(),
            &[Overfit],
            &[GoodFit, Underfit],
        ),
        case(
            "an objective that the user named",
            Context { objective: Some(named), ..of(Task::Text) },
            (1..=40).map(|t| f1(f64::from(t))).collect(),
            &[GoodFit, Plateau],
            &[Unvalidated],
        ),
        case(
            "a short curve that falls steeply, nearly without a step back",
            of(Task::Unknown),
            losses(
                &[2.6, 1.4, 0.9, 0.52, 0.40, 0.22, 0.19, 0.11, 0.10, 0.06],
                &[2.0, 1.2, 0.8, 0.55, 0.42, 0.30, 0.27, 0.20, 0.19, 0.16],
            ),
            &[StillImproving, GoodFit, Overfit],
            &[Unstable, Underfit],
        ),
    ]
}

/// Tasks whose numbers are no accuracies of balanced classes.
fn tasks() -> Vec<Case> {
    let language = |t: f64| {
        [
            Some(4.2 * (-t / 3.0).exp() + 2.4 - 0.03 * t),
            NO,
            Some(1.47 + 2.7 * (-t / 3.0).exp() + 0.02 * (t - 10.0).max(0.0)),
            NO,
        ]
    };
    vec![
        case(
            "a character model: validation turns, training goes on",
            of(Task::LanguageModel),
            course(25, |t| {
                let [train, _, val, _] = language(t);
                [train.map(|x| x - 1.2), NO, val, NO]
            }),
            &[Overfit],
            &[Underfit, LowCeiling, GoodFit],
        ),
        case(
            "a masked language model whose token accuracy is far from 1",
            of(Task::LanguageModel),
            course(30, |t| {
                let fit = (-t / 6.0).exp();
                [Some(2.4 + 4.0 * fit), Some(0.52 - 0.4 * fit), Some(2.5 + 4.0 * fit), Some(0.51 - 0.4 * fit)]
            }),
            &[GoodFit, StillImproving, Plateau],
            &[Underfit, LowCeiling, Stuck],
        ),
        case(
            "a detector: sums of losses, mAP as its score",
            of(Task::Detection),
            course(100, |t| {
                let fit = (-t / 20.0).exp();
                [Some(2.8 + 2.0 * fit), NO, Some(3.0 + 2.2 * fit), Some(0.58 - 0.5 * fit)]
            }),
            &[GoodFit, Plateau, StillImproving],
            &[Underfit, LowCeiling, Overfit],
        ),
        case(
            "boosting: training falls, validation turns",
            of(Task::Tabular),
            course(200, |t| {
                [
                    Some(0.69 * (-t / 30.0).exp() + 0.01),
                    NO,
                    Some(0.35 + 0.34 * (-t / 15.0).exp() + 0.0009 * (t - 45.0).max(0.0)),
                    NO,
                ]
            }),
            &[Overfit],
            &[GoodFit, Underfit],
        ),
        case(
            "a table on which no model does better",
            of(Task::Tabular),
            course(30, |t| {
                let fit = (-t / 4.0).exp();
                [
                    Some(0.55 + 0.2 * fit),
                    Some(0.72 - 0.1 * fit),
                    Some(0.56 + 0.2 * fit),
                    Some(0.715 - 0.1 * fit + 0.003 * chance(t, 17.0)),
                ]
            }),
            &[GoodFit, Plateau],
            &[Underfit, LowCeiling, Overfit],
        ),
        case(
            "a learning rate that was annealed to nothing",
            of(Task::Unknown),
            (1..=30)
                .map(|epoch| {
                    let t = f64::from(epoch);
                    let rate = 0.5 * (1.0 + (std::f64::consts::PI * t / 30.0).cos());
                    let fall = 0.6 * (-t / 8.0).exp() + 0.25 * rate;
                    EpochMetrics {
                        learning_rate: Some(0.1 * rate),
                        ..at(epoch, [Some(0.25 + fall), NO, Some(0.30 + fall), NO])
                    }
                })
                .collect(),
            &[GoodFit, StillImproving, Plateau],
            &[Overfit, Unstable],
        ),
    ]
}

fn all() -> Vec<Case> {
    [worse(), losses_alone(), contradictions(), stuck(), at_chance(), short(), tasks()].into_iter().flatten().collect()
}

#[test]
fn every_kind_of_curve_gets_the_findings_of_an_experienced_reader() {
    let mut wrong = Vec::new();
    for Case { name, curve, context, one_of, none_of } in all() {
        let found: Vec<Name> = judge(&curve, &context).iter().map(|finding| finding.name).collect();
        if !found.iter().any(|one| one_of.contains(one)) || found.iter().any(|one| none_of.contains(one)) {
            wrong.push(format!("{name}: {found:?}, not one of {one_of:?} without {none_of:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
