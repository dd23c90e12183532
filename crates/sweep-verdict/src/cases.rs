//! Tests the rules on the kinds of curves that other tools record: losses alone, regression, language models, boosting,
//! a few evaluations of a pretrained network. Each case names the findings that it must have, and those that it must
//! not have.

#![allow(clippy::too_many_lines, reason = "tables of cases")]

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
            "five evaluations, of which the last has a higher training loss",
            of(Task::Audio),
            losses(&[0.0119, 0.0062, 0.0023, 0.0012, 0.0082], &[0.0223, 0.0105, 0.0093, 0.0096, 0.0095]),
            &[TooShort],
            &[Worsening, Overfit],
        ),
        case(
            "a loss that is maximized without end",
            of(Task::Unknown),
            course(40, |t| [Some(1.5 - 3e5 * (t - 1.0) * (1.0 + 0.2 * chance(t, 4.0))), NO, NO, NO]),
            &[Diverged],
            &[GoodFit, Unstable, StillImproving],
        ),
        case(
            "a density whose loss falls below zero",
            of(Task::Unknown),
            course(30, |t| [Some(900.0 - 1500.0 * (1.0 - (-t / 6.0).exp())), NO, NO, NO]),
            &[Unvalidated],
            &[Diverged],
        ),
        case(
            "a training accuracy that counts something else than validation",
            of(Task::Images),
            course(10, |t| [Some(8.637 - 0.003 * t), Some(0.0001), Some(8.622 - 0.008 * t), Some(0.29694)]),
            &[Stuck, Underfit],
            &[OverRegularized, GoodFit],
        ),
        case(
            "training that ends 39 points above validation, and not high",
            of(Task::Text),
            course(16, |t| [Some(1.65 - 0.028 * t), Some(0.18 + 0.034 * t), Some(1.6), Some(0.2 + 0.0086 * t)]),
            &[Overfit],
            &[LowCeiling, Underfit, Stuck, GoodFit],
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
            course(10, |t| [Some(0.6934 + 0.0004 * chance(t, 7.0)), Some(0.5), Some(0.6932), Some(0.5)]),
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

/// Curves as tutorials and model cards print them.
fn tutorials() -> Vec<Case> {
    let both = |train: [f64; 2], val: [f64; 2]| [Some(train[0]), Some(train[1]), Some(val[0]), Some(val[1])];
    let mnist = |t: f64| {
        let fit = (-t / 1.8).exp();
        both([0.031 + 0.6 * fit, 0.990 - 0.15 * fit], [0.028 + 0.12 * fit, 0.9918 - 0.03 * fit])
    };
    let shakespeare: [(f64, f64); 14] = [
        (4.29, 4.28),
        (1.97, 2.07),
        (1.54, 1.74),
        (1.38, 1.61),
        (1.28, 1.54),
        (1.21, 1.51),
        (1.16, 1.50),
        (1.11, 1.49),
        (1.07, 1.48),
        (1.02, 1.49),
        (0.99, 1.51),
        (0.94, 1.53),
        (0.90, 1.55),
        (0.86, 1.58),
    ];
    let (train, val): (Vec<f64>, Vec<f64>) = shakespeare.into_iter().unzip();
    let imagenet = |t: f64| {
        let drop = if t < 30.0 {
            0.0
        } else if t < 60.0 {
            1.0
        } else {
            1.4
        };
        let fit = (-t / 6.0).exp();
        let wobble = 0.01 * chance(t, 18.0);
        both(
            [2.15 + 4.0 * fit - 0.45 * drop, 0.52 - 0.45 * fit + 0.11 * drop],
            [2.05 + 4.2 * fit - 0.55 * drop + wobble, 0.53 - 0.45 * fit + 0.12 * drop + wobble],
        )
    };
    vec![
        case(
            "a convolutional network on MNIST",
            of(Task::Unknown),
            course(15, mnist),
            &[GoodFit],
            &[Overfit, Underfit, Stuck, Unstable],
        ),
        case(
            "a character model of 10 million weights",
            of(Task::Unknown),
            losses(&train, &val),
            &[Overfit],
            &[GoodFit, Underfit, LowCeiling],
        ),
        case(
            "a residual network on a thousand classes",
            of(Task::Unknown),
            course(90, imagenet),
            &[GoodFit, Plateau],
            &[Overfit, Underfit, LowCeiling, Stuck, Worsening],
        ),
        case(
            "a recurrent network on film reviews",
            of(Task::Text),
            course(15, |t| {
                let fit = (-t / 3.0).exp();
                both([0.03 + 0.5 * fit, 0.99 - 0.25 * fit], [0.35 + 0.045 * t, 0.845 + 0.01 * fit])
            }),
            &[Overfit],
            &[GoodFit, Underfit, ValidationAtChance],
        ),
        case(
            "an autoencoder",
            of(Task::Unknown),
            course(50, |t| [Some(0.0926 + 0.2 * (-t / 6.0).exp()), NO, Some(0.0915 + 0.18 * (-t / 6.0).exp()), NO]),
            &[GoodFit],
            &[Overfit, Underfit, Stuck, StillImproving],
        ),
        case(
            "a network whose loss does not move",
            of(Task::Unknown),
            course(30, |t| [Some(0.97 - 0.0004 * t), NO, Some(0.965 + 0.0005 * chance(t, 31.0)), NO]),
            &[Underfit, Stuck],
            &[GoodFit],
        ),
        case(
            "a noisy validation loss that ends a fifth above its best",
            of(Task::Unknown),
            course(20, |t| {
                let back = 0.05 * (t - 8.0).clamp(0.0, 4.0) / 4.0;
                [
                    Some(0.2 + 0.3 * (-t / 4.0).exp()),
                    NO,
                    Some(0.22 + back + 0.3 * (-t / 3.0).exp() + 0.012 * chance(t, 32.0)),
                    NO,
                ]
            }),
            &[Overfit, Unstable],
            &[GoodFit],
        ),
        case(
            "a loss that rose late and comes back",
            of(Task::Unknown),
            losses(
                &[
                    0.54, 0.37, 0.40, 0.45, 0.43, 0.46, 0.41, 0.36, 0.35, 0.35, 0.34, 0.31, 0.13, 0.09, 0.09, 0.09,
                    0.08, 0.1, 0.09, 0.08, 0.1, 0.28, 0.42, 0.39, 0.31, 0.19,
                ],
                &[],
            ),
            &[Unvalidated, Unstable],
            &[Worsening, GoodFit],
        ),
        case(
            "a loss without a floor beside an accuracy",
            of(Task::Unknown),
            course(10, |t| both([-300.0 * t * t, 0.19], [-900.0 * t * t, 0.01])),
            &[Diverged],
            &[GoodFit, StillImproving],
        ),
        case(
            "one softmax unit for two classes",
            of(Task::Images),
            course(10, |t| both([0.0, 0.5003 + 0.0002 * chance(t, 19.0)], [0.0, 0.5])),
            &[Stuck],
            &[GoodFit, Overfit, Underfit],
        ),
        case(
            "three in a hundred are positive, and none is found",
            of(Task::Tabular),
            course(12, |t| both([0.1362 + 0.001 * chance(t, 20.0), 0.9699], [0.1349, 0.9702])),
            &[Stuck],
            &[GoodFit, Overfit],
        ),
        case(
            "factors of a large table, settled in the first epoch",
            of(Task::Tabular),
            course(12, |t| {
                [
                    Some(0.2299 + 0.6 * (-1.5 * t).exp() + 0.0002 * chance(t, 21.0)),
                    NO,
                    Some(0.2312 + 0.5 * (-1.5 * t).exp()),
                    NO,
                ]
            }),
            &[GoodFit, Plateau],
            &[Stuck, Overfit, Underfit],
        ),
        case(
            "a log-likelihood below zero",
            of(Task::Unknown),
            course(40, |t| {
                [Some(-1500.0 + 500.0 * (-t / 5.0).exp()), NO, Some(-1490.0 + 500.0 * (-t / 5.0).exp()), NO]
            }),
            &[GoodFit, Plateau],
            &[Stuck, Overfit, Worsening, Diverged],
        ),
        case(
            "validation above training, because of dropout",
            of(Task::Images),
            course(40, |t| {
                let fit = (-t / 8.0).exp();
                both(
                    [0.60 + 1.5 * fit, 0.80 - 0.5 * fit],
                    [0.50 + 1.4 * fit, 0.825 - 0.5 * fit + 0.004 * chance(t, 22.0)],
                )
            }),
            &[GoodFit, Plateau, StillImproving],
            &[Overfit, Underfit, Unstable],
        ),
        case(
            "a small validation set",
            of(Task::Images),
            course(40, |t| {
                let fit = (-t / 8.0).exp();
                both(
                    [0.2 + 1.5 * fit, 0.94 - 0.4 * fit],
                    [0.5 + fit + 0.15 * chance(t, 23.0), 0.84 - 0.3 * fit + 0.08 * chance(t, 24.0)],
                )
            }),
            &[Unstable],
            &[Stuck, Worsening, Diverged],
        ),
        case(
            "a linear model on color images",
            of(Task::Images),
            course(30, |t| {
                let fit = (-t / 4.0).exp();
                both(
                    [1.72 + 0.3 * fit, 0.41 - 0.1 * fit],
                    [1.76 + 0.28 * fit, 0.395 - 0.1 * fit + 0.004 * chance(t, 25.0)],
                )
            }),
            &[Underfit, LowCeiling],
            &[GoodFit, Overfit, Stuck],
        ),
        case(
            "a detector whose validation loss turns slightly",
            of(Task::Detection),
            course(100, |t| {
                let val = 3.4 + 1.5 * (-t / 10.0).exp() + 0.006 * (t - 40.0).max(0.0) + 0.02 * chance(t, 26.0);
                [Some(1.8 + 3.0 * (-t / 40.0).exp()), NO, Some(val), Some(0.55 - 0.5 * (-t / 12.0).exp())]
            }),
            &[Overfit],
            &[Underfit, LowCeiling, GoodFit, Stuck],
        ),
    ]
}

/// Curves as they stand in public reports of training runs.
fn published() -> Vec<Case> {
    let whisper: [[f64; 2]; 5] =
        [[0.0602, 0.7324], [0.0036, 0.8486], [0.001, 0.9033], [0.0004, 0.9351], [0.0003, 0.9468]];
    let [speech, heard] = [0, 1].map(|at| whisper.map(|row| row[at]));
    let recognizer =
        [12.81, 4.34, 3.44, 1.86, 0.750, 0.533, 0.436, 0.378, 0.337, 0.324, 0.288, 0.264, 0.242, 0.222, 0.205];
    let recognized =
        [6.21, 3.52, 3.28, 0.988, 0.638, 0.608, 0.579, 0.628, 0.654, 0.591, 0.596, 0.592, 0.631, 0.604, 0.629];
    let summed = [14.45, 1.71, 1.41, 1.31, 1.22, 1.16, 1.12, 1.07, 1.03, 1.02, 0.969, 0.946, 0.894, 0.870];
    let held = [0.744, 0.539, 0.517, 0.491, 0.475, 0.486, 0.474, 0.494, 0.473, 0.476, 0.480, 0.475, 0.489, 0.475];
    let trees = [0.715, 0.702, 0.690, 0.678, 0.668, 0.654, 0.646, 0.637, 0.630, 0.624, 0.616, 0.611];
    let unseen = [0.7585, 0.7534, 0.7560, 0.7476, 0.7511, 0.7495, 0.7535, 0.7508, 0.7526, 0.7576, 0.7553, 0.7561];
    let letters = [4.28, 2.24, 1.717, 1.477, 1.363, 1.290, 1.236, 1.190, 1.150, 1.108, 1.074];
    let read = [4.28, 2.29, 1.871, 1.680, 1.588, 1.541, 1.522, 1.499, 1.491, 1.495, 1.500];
    let stories = [4.49, 1.718, 1.529, 1.459, 1.374, 1.314, 1.265, 1.226, 1.176, 1.151, 1.121];
    let told = [4.49, 1.725, 1.516, 1.464, 1.378, 1.318, 1.275, 1.240, 1.201, 1.155, 1.137];
    let few = [
        [0.6492, 0.6364, 0.5942, 0.5],
        [0.4429, 0.9091, 2.6793, 0.5],
        [2.9164, 0.5455, 1.7254, 0.5],
        [0.5377, 0.7273, 2.5927, 0.5],
        [1.8236, 0.5455, 0.9621, 0.5],
        [0.6335, 0.7273, 0.3963, 1.0],
        [0.5856, 0.6364, 0.3976, 0.5],
        [1.2260, 0.5455, 0.2217, 1.0],
        [0.0765, 1.0, 0.4031, 0.5],
        [0.0590, 1.0, 0.68, 0.5],
    ];
    let signs = [
        [1.953, 0.417, 0.840, 0.735],
        [0.866, 0.716, 0.334, 0.890],
        [0.544, 0.821, 0.243, 0.919],
        [0.408, 0.867, 0.158, 0.949],
        [0.317, 0.895, 0.127, 0.957],
        [0.246, 0.921, 0.077, 0.975],
        [0.208, 0.933, 0.058, 0.983],
        [0.177, 0.943, 0.044, 0.991],
        [0.153, 0.953, 0.035, 0.992],
        [0.136, 0.957, 0.028, 0.994],
        [0.122, 0.964, 0.026, 0.994],
        [0.117, 0.964, 0.025, 0.993],
    ];
    let rows = |rows: &[[f64; 4]]| (1..).zip(rows).map(|(epoch, row)| at(epoch, row.map(Some))).collect::<Vec<_>>();
    vec![
        case(
            "a speech recognizer that is finetuned for too long",
            of(Task::Audio),
            losses(&speech, &heard),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "a speech recognizer with a flat, noisy validation",
            of(Task::Audio),
            losses(&recognizer, &recognized),
            &[Overfit],
            &[GoodFit, Worsening, Stuck],
        ),
        case(
            "a training loss that is summed over batches",
            of(Task::Audio),
            losses(&summed, &held),
            &[Plateau, GoodFit],
            &[Overfit, Worsening, Stuck, Underfit],
        ),
        case(
            "trees on players that nothing predicts",
            of(Task::Tabular),
            losses(&trees, &unseen),
            &[Overfit],
            &[GoodFit, Underfit, Stuck],
        ),
        case(
            "letters, at the turn",
            of(Task::LanguageModel),
            losses(&letters, &read),
            &[Overfit],
            &[GoodFit, Underfit],
        ),
        case(
            "letters of a larger corpus",
            of(Task::LanguageModel),
            losses(&stories, &told),
            &[GoodFit, StillImproving],
            &[Overfit, Underfit, Unstable],
        ),
        case(
            "eleven images for training, two for validation",
            of(Task::Images),
            rows(&few),
            &[Unstable],
            &[GoodFit, Stuck],
        ),
        case(
            "traffic signs",
            of(Task::Images),
            rows(&signs),
            &[GoodFit, StillImproving],
            &[Overfit, Underfit, Unstable, Stuck],
        ),
    ]
}

/// Curves as they stand in the notebooks of courses and books.
fn notebooks() -> Vec<Case> {
    let reviews = [
        [0.4965, 0.7648, 0.3593, 0.857],
        [0.3105, 0.881, 0.3329, 0.8648],
        [0.2566, 0.9057, 0.3863, 0.877],
        [0.2231, 0.9195, 0.3471, 0.8556],
        [0.1912, 0.9314, 0.3346, 0.8694],
        [0.1721, 0.9379, 0.3621, 0.852],
        [0.1613, 0.9427, 0.3438, 0.8694],
        [0.1502, 0.9503, 0.389, 0.8588],
        [0.1249, 0.9579, 0.4639, 0.8566],
    ];
    let articles = [
        [0.5994, 0.6865, 0.4722, 0.809],
        [0.3673, 0.8543, 0.3769, 0.8448],
        [0.2743, 0.8972, 0.3196, 0.8688],
        [0.231, 0.915, 0.2972, 0.8856],
        [0.2009, 0.9261, 0.4461, 0.8514],
        [0.1912, 0.9339, 0.3636, 0.864],
        [0.167, 0.9423, 0.3476, 0.858],
        [0.1523, 0.9469, 0.3887, 0.883],
        [0.1366, 0.9521, 0.3713, 0.8792],
    ];
    let clothes = [
        [1.6314, 0.5054, 0.8886, 0.716],
        [0.8416, 0.7247, 0.713, 0.7656],
        [0.7053, 0.7637, 0.6427, 0.7898],
        [0.6325, 0.7908, 0.59, 0.8066],
        [0.5992, 0.8021, 0.5582, 0.82],
        [0.5624, 0.8142, 0.535, 0.8238],
        [0.5379, 0.8217, 0.5157, 0.8304],
        [0.5152, 0.8295, 0.5078, 0.8284],
        [0.4918, 0.834, 0.4817, 0.8396],
    ];
    let tweets = [
        [0.6532, 0.6443, 0.5365, 0.7572],
        [0.4611, 0.8198, 0.47, 0.7848],
        [0.3517, 0.8628, 0.4556, 0.7953],
        [0.2908, 0.8885, 0.4646, 0.7927],
        [0.2293, 0.9155, 0.4799, 0.7861],
    ];
    let numbers = [3.64, 3.55, 3.44, 3.32, 3.21, 3.12, 3.05, 3.00, 2.95];
    let counted = [3.71, 3.57, 3.43, 3.31, 3.22, 3.15, 3.11, 3.08, 3.07];
    let poses = [0.0037, 0.0022, 0.0111, 0.0023, 0.0028];
    let forecast = [0.286, 0.0553, 0.0435, 0.0352, 0.0322, 0.0300, 0.0278, 0.0267, 0.0252];
    let ahead = [0.0734, 0.0509, 0.0418, 0.0337, 0.0311, 0.0291, 0.0273, 0.0259, 0.0250];
    let rows = |rows: &[[f64; 4]]| (1..).zip(rows).map(|(epoch, row)| at(epoch, row.map(Some))).collect::<Vec<_>>();
    let tokens = |train: &[f64], val: &[f64], accuracy: [f64; 2]| {
        let mut curve = losses(train, val);
        let last = (curve.len() - 1) as f64;
        for (at, epoch) in curve.iter_mut().enumerate() {
            epoch.val_accuracy = Some(accuracy[0] + (accuracy[1] - accuracy[0]) * (at as f64 / last).sqrt());
        }
        curve
    };
    vec![
        case(
            "a recurrent network whose validation is noisy",
            of(Task::Unknown),
            rows(&reviews),
            &[Overfit],
            &[GoodFit],
        ),
        case("one whose validation never comes back", of(Task::Unknown), rows(&articles), &[Overfit], &[GoodFit]),
        case(
            "clothes, ended early",
            of(Task::Unknown),
            rows(&clothes),
            &[StillImproving],
            &[Overfit, Underfit, Unstable],
        ),
        case("five epochs of short texts", of(Task::Unknown), rows(&tweets), &[Overfit], &[GoodFit, Underfit]),
        case(
            "numbers in words, a loss of tokens",
            of(Task::Unknown),
            tokens(&numbers, &counted, [0.06, 0.35]),
            &[GoodFit, StillImproving],
            &[Underfit, LowCeiling, Overfit],
        ),
        case(
            "five noisy values near zero",
            of(Task::Unknown),
            losses(&[0.0521, 0.0185, 0.009, 0.0054, 0.004], &poses),
            &[TooShort],
            &[Overfit, GoodFit],
        ),
        case(
            "a series that is forecast better and better",
            of(Task::Unknown),
            losses(&forecast, &ahead),
            &[StillImproving],
            &[Overfit, Underfit, Unstable],
        ),
    ]
}

/// A training whose learning rate falls to a tenth twice, and which is flat after that.
fn stepped() -> Vec<Case> {
    let level = |t: f64, levels: [f64; 3]| match t {
        t if t < 30.0 => levels[0] * (1.0 - (-(t + 2.0) / 6.0).exp()),
        t if t < 60.0 => levels[1],
        _ => levels[2] - 0.01 * (-(t - 60.0) / 6.0).exp(),
    };
    let mut curve = course(90, |t| {
        let (train, val) = (level(t, [0.57, 0.68, 0.778]), level(t, [0.53, 0.71, 0.761]));
        let val = val + if t < 60.0 { 0.01 } else { 0.001 } * chance(t, 41.0);
        [Some(4.2 * (1.0 - train)), Some(train), Some(4.0 * (1.0 - val)), Some(val)]
    });
    for epoch in &mut curve {
        epoch.learning_rate = Some([0.1, 0.01, 0.001][(epoch.epoch as usize - 1) / 30]);
    }
    let wrong: &[Name] = &[StillImproving, Overfit, Stuck, Worsening];
    vec![case(
        "a learning rate that falls in steps, and a flat end",
        of(Task::Images),
        curve,
        &[GoodFit, Plateau],
        wrong,
    )]
}

/// What logs of other frameworks showed first.
fn seen_in_logs() -> Vec<Case> {
    let guess = |t: f64, seed: f64| 0.1 + 0.015 * chance(t, seed);
    vec![
        case(
            "guesses of a network that large steps made sure of itself",
            of(Task::Images),
            course(15, |t| {
                let loss = if t == 1.0 { 7e4 } else { 27.0 + 4.0 * chance(t, 51.0) };
                [Some(loss), Some(guess(t, 52.0)), Some(26.0 + 7.0 * chance(t, 53.0)), Some(guess(t, 54.0))]
            }),
            &[Stuck, Worsening, Diverged],
            &[Overfit, GoodFit, Plateau, Underfit],
        ),
        case(
            "a loss that falls in every epoch, though by little",
            of(Task::Images),
            course(15, |t| {
                let val = if t < 11.0 { 0.116 } else { 0.114 };
                [Some(2.3027 - 0.0009 * t), Some(0.091), Some(2.297 - 0.0007 * t), Some(val)]
            }),
            &[StillImproving, Underfit, LowCeiling],
            &[Stuck, GoodFit, Overfit],
        ),
        case(
            "three epochs, each better than the one before",
            of(Task::Text),
            losses(&[0.6905, 0.6631, 0.6443], &[0.686, 0.6833, 0.6794]),
            &[TooShort],
            &[Stuck, GoodFit],
        ),
        case(
            "validation at chance, without a training accuracy",
            of(Task::Images),
            course(15, |t| [Some(2.4 * (-t / 2.0).exp() + 0.03), NO, Some(3.0 + 0.7 * t), Some(guess(t, 55.0))]),
            &[ValidationAtChance],
            &[Overfit, GoodFit],
        ),
        case(
            "training losses of a few batches each, and a calm validation",
            of(Task::Images),
            course(15, |t| {
                let level = 2.3 * (-t / 4.0).exp();
                let train = (level + 0.12) * (1.0 + 0.35 * chance(t, 56.0));
                [Some(train), NO, Some(level + 0.14 + 0.004 * chance(t, 57.0)), Some(0.96 - 0.2 * level)]
            }),
            &[GoodFit, StillImproving],
            &[Unstable, Overfit],
        ),
    ]
}

/// Curves of which little is known: one score, validation alone, few values, much noise.
fn little_known() -> Vec<Case> {
    let f1 = |values: &[f64]| (1..).zip(values).map(|(epoch, f1)| at(epoch, [NO, NO, NO, Some(*f1)])).collect();
    let steps = |values: &[(f64, f64)]| -> Vec<EpochMetrics> {
        (1..).zip(values).map(|(epoch, (loss, auc))| at(epoch, [Some(*loss), NO, NO, Some(*auc)])).collect()
    };
    vec![
        case(
            "a loss that falls for ten epochs and rises in the last two",
            of(Task::Unknown),
            losses(
                &[21.5, 12.1, 8.3, 6.6, 5.8, 5.3, 5.1, 4.95, 9.4, 12.7],
                &[20.0, 12.5, 8.9, 7.2, 6.3, 5.9, 5.7, 5.6, 9.9, 13.1],
            ),
            &[Worsening, Diverged],
            &[GoodFit, Overfit, Unstable],
        ),
        case(
            "a small loss that rises in each of the last epochs to nine times its lowest value",
            of(Task::Tabular),
            losses(
                &[
                    2.58, 2.38, 1.65, 1.3, 1.1, 0.89, 0.67, 0.5, 0.34, 0.21, 0.114, 0.069, 0.061, 0.067, 0.11, 0.204,
                    0.334, 0.553,
                ],
                &[
                    2.72, 2.99, 0.81, 1.03, 1.7, 0.98, 0.78, 0.38, 0.32, 0.078, 0.07, 0.066, 0.06, 0.076, 0.11, 0.33,
                    0.33, 0.73,
                ],
            ),
            &[Worsening],
            &[GoodFit, Overfit, Unstable],
        ),
        case(
            "three epochs in which the loss rises a little",
            of(Task::Unknown),
            losses(&[0.52, 0.61, 0.66], &[0.50, 0.55, 0.58]),
            &[TooShort],
            &[Worsening, GoodFit, Overfit],
        ),
        case(
            "an F1 alone that falls a little in each epoch",
            of(Task::Text),
            f1(&[0.78, 0.83, 0.852, 0.861, 0.858, 0.855, 0.85, 0.846, 0.841, 0.836, 0.83, 0.826]),
            &[Declining],
            &[GoodFit, Overfit],
        ),
        case(
            "an F1 alone that stays",
            of(Task::Text),
            f1(&[0.71, 0.82, 0.85, 0.861, 0.868, 0.871, 0.869, 0.872, 0.870, 0.873, 0.871, 0.872]),
            &[NoProblem],
            &[GoodFit, Overfit, Declining],
        ),
        case(
            "an F1 alone that rises until the end",
            of(Task::Text),
            f1(&[0.31, 0.42, 0.50, 0.55, 0.60, 0.63, 0.66, 0.685, 0.70, 0.72]),
            &[StillImproving],
            &[GoodFit, NoProblem, Plateau],
        ),
        case(
            "an AUC that falls while training goes on",
            of(Task::Tabular),
            steps(&[
                (0.52, 0.78),
                (0.41, 0.83),
                (0.35, 0.85),
                (0.30, 0.858),
                (0.26, 0.86),
                (0.22, 0.857),
                (0.19, 0.851),
                (0.16, 0.845),
                (0.13, 0.838),
                (0.11, 0.83),
                (0.09, 0.822),
                (0.07, 0.815),
            ]),
            &[Overfit],
            &[GoodFit, Declining],
        ),
        case(
            "90 evaluations that wander",
            of(Task::LanguageModel),
            course(90, |t| [NO, NO, Some(1.8 + 0.1 * (t / 7.0).sin() + 0.04 * chance(t, 7.0)), NO]),
            &[NoProblem, Plateau, Unstable],
            &[Overfit, Declining, GoodFit],
        ),
        case(
            "a validation loss that rises while training stands still",
            of(Task::LanguageModel),
            course(12, |t| [Some(4.60 + 0.01 * chance(t, 1.0)), NO, Some(4.53 + 0.03 * t), NO]),
            &[Declining],
            &[GoodFit, Overfit, Plateau],
        ),
        case(
            "a loss that settles within an epoch, far above zero",
            of(Task::Audio),
            losses(
                &[14.7, 5.00, 5.07, 5.00, 4.99, 4.97, 4.98, 4.985, 4.977, 4.992],
                &[5.3, 5.02, 5.0, 4.98, 4.975, 4.98, 4.982, 4.973, 4.98, 4.984],
            ),
            &[Underfit, Stuck],
            &[GoodFit],
        ),
        case(
            "a single validation after the last epoch",
            of(Task::Unknown),
            (1..=12).map(|t| at(t, [Some(2.0 / f64::from(t)), NO, (t == 12).then_some(0.4), NO])).collect(),
            &[Unvalidated],
            &[GoodFit, NoProblem],
        ),
        case(
            "a first validation loss that means nothing, and a gap of two thirds",
            of(Task::Unknown),
            course(60, |t| {
                let val = if t == 1.0 { 15.0 } else { 0.72 + 0.1 * (-t / 9.0).exp() };
                [Some(0.44 + 0.25 * (-t / 15.0).exp()), NO, Some(val + 0.005 * chance(t, 2.0)), NO]
            }),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "fifteen epochs of augmented images that still get better",
            of(Task::Images),
            (1..)
                .zip([
                    (0.58, 0.60),
                    (0.62, 0.63),
                    (0.65, 0.64),
                    (0.68, 0.67),
                    (0.70, 0.69),
                    (0.71, 0.695),
                    (0.73, 0.70),
                    (0.74, 0.71),
                    (0.755, 0.71),
                    (0.77, 0.725),
                    (0.775, 0.72),
                    (0.785, 0.735),
                    (0.797, 0.73),
                    (0.806, 0.74),
                ])
                .map(|(epoch, (train, val))| at(epoch, [NO, Some(train), NO, Some(val)]))
                .collect(),
            &[StillImproving],
            &[GoodFit, Underfit],
        ),
    ]
}

/// Curves on the border of two findings, and findings that would contradict another.
fn borders() -> Vec<Case> {
    let restarted = |t: f64| if t < 44.0 { 0.15 + 0.2 * (-t / 8.0).exp() } else { 0.16 + 0.11 * (44.0 - t).exp() };
    let exploded = |t: f64| if t < 50.0 { 0.8 + 27.0 * (-t).exp() + 0.02 * chance(t, 1.0) } else { 160.0 };
    vec![
        case(
            "an accuracy at chance with the noise of seventy examples, without validation",
            of(Task::Unknown),
            course(300, |t| [Some(1.75 + 0.15 * chance(t, 1.0)), Some(0.22 + 0.05 * chance(t, 2.0)), NO, NO]),
            &[Stuck],
            &[GoodFit, Plateau, StillImproving],
        ),
        case(
            "an accuracy that rises slowly from chance",
            of(Task::Unknown),
            course(40, |t| [Some(2.2 - 0.0025 * t), Some(0.12 + 0.0016 * t), NO, NO]),
            &[Unvalidated],
            &[Stuck],
        ),
        case(
            "a loss at ln 2, and an accuracy of many answers",
            of(Task::Unknown),
            course(28, |t| [Some(0.6932 + 0.03 * (-t).exp()), Some(0.025 + 0.005 * chance(t, 3.0)), Some(0.6932), NO]),
            &[Stuck],
            &[GoodFit, Underfit, Plateau],
        ),
        case(
            "losses that are printed as 0",
            of(Task::Unknown),
            course(30, |t| {
                [Some(if t < 7.0 { 0.004 / t } else { 0.0 }), NO, Some(if t < 9.0 { 10.0 / t } else { 0.0 }), NO]
            }),
            &[NoProblem],
            &[GoodFit, Stuck, Overfit],
        ),
        case(
            "a validation loss that is flat from its first epoch",
            of(Task::Tabular),
            course(30, |t| [Some(1.0 + 0.17 / t), NO, Some(0.347 + 0.003 * chance(t, 4.0)), NO]),
            &[Plateau],
            &[GoodFit, Overfit, StillImproving],
        ),
        case(
            "one validation accuracy in every epoch beside perfect training",
            of(Task::Unknown),
            course(6, |t| [Some(0.3 / t.powi(2)), Some(0.998 - 0.1 / t.powi(3)), Some(4.0 + t), Some(0.5691)]),
            &[ValidationAtChance],
            &[GoodFit, Overfit, Underfit],
        ),
        case(
            "a validation that never moves, although training does",
            of(Task::Unknown),
            course(13, |t| [Some(1.2 - 0.04 * t), Some(0.40 + 0.02 * t), Some(1.0986), Some(0.3684)]),
            &[ValidationAtChance],
            &[GoodFit, Overfit, Plateau],
        ),
        case(
            "a frozen network, with one training accuracy in every epoch",
            of(Task::Images),
            course(50, |t| {
                [Some(4.087 + 0.04 / t), Some(0.0474), Some(3.937 + 0.01 / t), Some(0.2 + 0.003 * chance(t, 9.0))]
            }),
            &[Stuck],
            &[GoodFit, Underfit, Plateau],
        ),
        case(
            "a regression whose validation accuracy is 0",
            of(Task::Unknown),
            course(30, |t| [Some(0.02 + 0.001 * chance(t, 1.0)), Some(0.0056), Some(0.008), Some(0.0)]),
            &[Underfit, Plateau, GoodFit, NoProblem],
            &[Overfit],
        ),
        case(
            "a term that is added to the training loss in the fifth epoch",
            of(Task::Audio),
            course(20, |t| {
                let train = if t < 5.0 { 0.12 / t } else { 0.70 };
                [Some(train), NO, Some(0.03 / t), Some(0.995 - 0.04 / t)]
            }),
            &[GoodFit, Plateau],
            &[Diverged, Worsening, Overfit],
        ),
        case(
            "training and validation that explode in the last epoch",
            of(Task::Text),
            course(50, |t| [Some(1000.0 * exploded(t)), NO, Some(exploded(t)), NO]),
            &[Worsening],
            &[GoodFit, Overfit, Plateau],
        ),
        case(
            "a restart of the learning rate, from which validation comes back",
            of(Task::Unknown),
            course(50, |t| [Some(2.0 * restarted(t)), NO, Some(restarted(t)), NO]),
            &[GoodFit, Plateau],
            &[Overfit, Declining, Worsening],
        ),
        case(
            "five tiny losses up and down",
            of(Task::Images),
            losses(&[0.11, 0.17, 0.13, 0.17, 0.09], &[0.0013, 0.0042, 0.0013, 0.0023, 0.0031]),
            &[TooShort],
            &[Overfit, Worsening],
        ),
        case(
            "a gap that is as large as the swings of validation",
            of(Task::Images),
            course(16, |t| {
                let swing = if t % 3.0 < 1.0 { 0.16 } else { 0.01 };
                [
                    Some(0.05 + 0.9 / t),
                    Some(0.99 - 0.3 / t),
                    NO,
                    Some(0.98 - 0.3 / t - swing * (1.0 + chance(t, 5.0)) / 2.0),
                ]
            }),
            &[Unstable, GoodFit],
            &[Overfit],
        ),
        case(
            "small swings of training beside severe overfitting",
            of(Task::Unknown),
            course(60, |t| {
                [
                    Some(0.68 + 0.1 * chance(t, 6.0) + 3.0 * (-t / 4.0).exp()),
                    Some(0.999),
                    NO,
                    Some(0.78 + 0.004 * chance(t, 8.0)),
                ]
            }),
            &[Overfit],
            &[Unstable],
        ),
        case(
            "a validation loss that ends a fifth above its best, in noise",
            of(Task::Unknown),
            course(30, |t| {
                let val = 0.32 + 0.9 * (-t / 4.0).exp() + 0.004 * (t - 14.0).max(0.0) + 0.025 * chance(t, 7.0);
                [Some(0.1 + 1.2 * (-t / 7.0).exp()), NO, Some(val), Some(0.9 - 0.4 / t)]
            }),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "a regression whose accuracy rises a little",
            of(Task::Audio),
            course(30, |t| [Some(0.05 + 0.05 / t), Some(0.17 - 0.08 / t), NO, NO]),
            &[Unvalidated],
            &[Underfit, Stuck],
        ),
    ]
}

/// Courses in which little is said by the last epochs alone.
fn late() -> Vec<Case> {
    let translated =
        [5.175, 4.5, 4.056, 3.86, 3.671, 3.601, 3.492, 3.403, 3.395, 3.341, 3.297, 3.349, 3.239, 3.312, 3.2];
    vec![
        case(
            "a translation whose validation loss is lowest in the last epoch, and noisy",
            of(Task::Text),
            losses(&translated.map(|loss| loss - 0.5), &translated),
            &[StillImproving],
            &[GoodFit, Plateau],
        ),
        case(
            "nine evaluations of a score that still rises",
            of(Task::Unknown),
            course(9, |t| {
                let scores = [0.5499, 0.7002, 0.745, 0.7844, 0.7702, 0.8074, 0.8138, 0.8117, 0.8184];
                [Some(9.6 - 0.18 * t), NO, NO, Some(scores[t as usize - 1])]
            }),
            &[StillImproving],
            &[GoodFit],
        ),
        case(
            "ten epochs that have settled",
            of(Task::Images),
            course(10, |t| {
                [
                    Some(0.3 + 0.7 * (-t / 1.2).exp()),
                    NO,
                    Some(0.33 + 0.7 * (-t / 1.2).exp() + 0.004 * chance(t, 3.0)),
                    NO,
                ]
            }),
            &[GoodFit, Plateau],
            &[StillImproving],
        ),
        case(
            "a perfect accuracy beside a loss that still falls",
            of(Task::Images),
            course(54, |t| {
                let loss = 0.29 + 0.2 * (1.0 - t / 54.0);
                [Some(loss + 0.3 + 0.2 * chance(t, 2.0)), NO, Some(loss), Some(1.0)]
            }),
            &[StillImproving],
            &[GoodFit, Plateau],
        ),
        case(
            "a training loss printed with two digits",
            of(Task::Text),
            course(17, |t| {
                let hundredths = [40, 13, 12, 11, 10, 10, 9, 9, 9, 8, 9, 8, 8, 7, 8, 9, 8];
                let loss = f64::from(hundredths[t as usize - 1]) / 100.0;
                [Some(loss), NO, NO, Some(0.96 - 0.02 / t + 0.003 * chance(t, 4.0))]
            }),
            &[Plateau, GoodFit, NoProblem],
            &[Unstable],
        ),
        case(
            "ten epochs of a training loss that falls fast, and an accuracy that rises slowly",
            of(Task::Images),
            course(10, |t| {
                let losses = [1.7584, 1.3785, 1.2229, 1.1403, 1.0707, 1.0137, 0.9578, 0.8968, 0.8495, 0.7819];
                let scores = [0.4476, 0.5276, 0.5572, 0.5715, 0.5964, 0.5887, 0.5993, 0.6057, 0.6126, 0.613];
                [Some(losses[t as usize - 1]), NO, NO, Some(scores[t as usize - 1])]
            }),
            &[StillImproving],
            &[Underfit, GoodFit],
        ),
        case(
            "a sum of losses that falls, beside an accuracy near a half",
            of(Task::Images),
            course(17, |t| {
                [Some(1.28 + 0.35 * (-t / 6.0).exp()), NO, NO, Some(0.55 - 0.1 / (t * t) + 0.006 * chance(t, 3.0))]
            }),
            &[Plateau, NoProblem, GoodFit],
            &[Stuck],
        ),
        case(
            "a score that has settled beside a loss that still falls a little",
            of(Task::Images),
            course(300, |t| {
                let loss = 0.045 - 0.00003 * t + 0.2 * (-t / 30.0).exp() + 0.0004 * chance(t, 1.0);
                [Some(loss + 0.005), NO, Some(loss), Some(0.58 - 0.5 * (-t / 25.0).exp() + 0.003 * chance(t, 2.0))]
            }),
            &[Plateau, GoodFit],
            &[StillImproving],
        ),
        case(
            "a score that was best a quarter before the end",
            of(Task::Images),
            course(400, |t| {
                let score = 0.58 - 0.4 * (-t / 60.0).exp() + 0.02 * chance(t, 5.0);
                let best = if t == 300.0 { 0.05 } else { 0.0 };
                [Some(0.05 + 0.2 * (-t / 50.0).exp()), NO, Some(0.04 + 0.2 * (-t / 50.0).exp()), Some(score + best)]
            }),
            &[Plateau, GoodFit],
            &[StillImproving],
        ),
        case(
            "a training loss that wanders, without validation",
            of(Task::Unknown),
            course(34, |t| [Some(19.2 + 0.8 * chance(t, 9.0)), NO, NO, NO]),
            &[Underfit],
            &[GoodFit, NoProblem],
        ),
        case(
            "a training loss that falls, without validation",
            of(Task::Unknown),
            course(34, |t| [Some(19.2 - 0.1 * t + 0.8 * chance(t, 9.0)), NO, NO, NO]),
            &[Unvalidated],
            &[Underfit, GoodFit, NoProblem],
        ),
        case(
            "a score that stays near nothing",
            of(Task::Images),
            course(80, |t| {
                let score = (t % 20.0 == 0.0).then_some(0.02 + 0.0001 * t);
                [Some(1.0 + 3.0 * (-t / 20.0).exp()), NO, NO, score]
            }),
            &[Underfit],
            &[GoodFit, NoProblem],
        ),
    ]
}

/// Scores other than accuracy, losses that are sums, and parts of a training.
fn other_measures() -> Vec<Case> {
    let scored = |task| Context { score: Some("BLEU".to_owned()), ..of(task) };
    let bleu = |t: f64| 0.085 * (1.0 - (-t / 4.0).exp());
    let falling = |t: f64| Some(2.0 + 7.0 * (-t / 8.0).exp());
    let resumed = |first: u32, row: &dyn Fn(f64) -> Row| -> Vec<EpochMetrics> {
        (first..first + 25).map(|epoch| at(epoch, row(f64::from(epoch)))).collect()
    };
    vec![
        case(
            "a BLEU that is usual and low for an accuracy",
            scored(Task::Text),
            course(40, |t| [falling(t), NO, NO, Some(bleu(t) + 0.0005 * chance(t, 1.0))]),
            &[Plateau],
            &[Underfit, LowCeiling, Stuck, AccuracyUnusable],
        ),
        case(
            "a BLEU that falls after its best, nearly hidden by noise, while training goes on",
            scored(Task::Text),
            course(18, |t| {
                let score = if t <= 12.0 { bleu(t) } else { bleu(12.0) - 0.012 };
                [falling(t), NO, NO, Some(score + 0.002 * chance(t, 3.0))]
            }),
            &[Overfit],
            &[Underfit, GoodFit, NoProblem, Plateau],
        ),
        case(
            "a score of nearly nothing",
            scored(Task::Unknown),
            course(20, |t| [falling(t), NO, NO, Some(0.001 * t + 0.0002 * chance(t, 1.0))]),
            &[Underfit, StillImproving],
            &[GoodFit, NoProblem],
        ),
        case(
            "a detector whose loss is a sum and ends at 0.8",
            Context { score: Some("mAP".to_owned()), loss_has_parts: true, ..of(Task::Images) },
            course(12, |t| [Some(0.8 + 1.5 * (-t / 2.0).exp()), NO, NO, Some(0.37 * (1.0 - (-t / 1.5).exp()))]),
            &[Plateau, NoProblem],
            &[LowCeiling, Underfit],
        ),
        case(
            "a sum of losses beside an accuracy that is not high",
            Context { loss_has_parts: true, ..of(Task::Images) },
            course(30, |t| [Some(0.9 + 1.5 * (-t / 4.0).exp()), NO, NO, Some(0.6 * (1.0 - (-t / 3.0).exp()))]),
            &[Plateau, NoProblem],
            &[LowCeiling, Underfit],
        ),
        case(
            "a part of a training that was resumed after it had settled",
            of(Task::Unknown),
            resumed(48, &|t| [Some(0.50 + 0.008 * chance(t, 1.0)), NO, Some(0.57 + 0.004 * chance(t, 2.0)), NO]),
            &[Plateau, GoodFit],
            &[Underfit, Overfit],
        ),
        case(
            "a loss that goes up and down and never gets better",
            of(Task::Unknown),
            course(160, |t| [Some(48.0 + 0.05 * t + 17.0 * chance(t, 1.0)), NO, NO, NO]),
            &[Underfit],
            &[GoodFit, NoProblem],
        ),
        case(
            "a loss that goes up and down and gets better",
            of(Task::Unknown),
            course(160, |t| [Some(30.0 + 30.0 * (-t / 60.0).exp() + 12.0 * chance(t, 1.0)), NO, NO, NO]),
            &[Unstable],
            &[Underfit, GoodFit, NoProblem],
        ),
        case(
            "training that goes on alone, while a noisy validation loss stays",
            of(Task::Images),
            course(50, |t| {
                let train = 1.3 * (-t / 32.0).exp() + 0.07;
                let accuracy = 0.62 + 0.26 * t / 50.0;
                let val = 0.64 + 0.5 * (-t / 6.0).exp() + 0.04 * chance(t, 2.0);
                [Some(train), Some(accuracy), Some(val), Some(0.79 - 0.3 * (-t / 8.0).exp() + 0.008 * chance(t, 3.0))]
            }),
            &[Overfit],
            &[GoodFit],
        ),
        case(
            "training that is not finished while validation gets worse",
            of(Task::Images),
            course(8, |t| {
                let val = if t < 3.0 { 2.6 - 0.05 * t } else { 2.5 + 0.06 * (t - 2.0) };
                [Some(3.2 * t.powf(-0.2)), Some(0.1 + 0.02 * t), Some(val), Some(0.12)]
            }),
            &[Overfit],
            &[LowCeiling, StillImproving],
        ),
        case(
            "a loss that had settled near zero and jumps back near its start, without validation",
            of(Task::Unknown),
            course(100, |t| [Some(if t > 98.0 { 1.2 } else { 2.5 * (-t / 6.0).exp() + 0.002 }), NO, NO, NO]),
            &[Worsening],
            &[GoodFit, NoProblem],
        ),
        case(
            "a validation loss that still falls by 2% in the last third",
            of(Task::LanguageModel),
            course(80, |t| [Some(3.2 + 8.0 * t.powf(-1.2)), NO, Some(3.27 + (79.9 - t).powi(2) * 0.00008), NO]),
            &[GoodFit, StillImproving],
            &[Plateau],
        ),
    ]
}

fn all() -> Vec<Case> {
    [
        other_measures(),
        late(),
        borders(),
        little_known(),
        stepped(),
        seen_in_logs(),
        tutorials(),
        published(),
        notebooks(),
        worse(),
        losses_alone(),
        contradictions(),
        stuck(),
        at_chance(),
        short(),
        tasks(),
    ]
    .into_iter()
    .flatten()
    .collect()
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
