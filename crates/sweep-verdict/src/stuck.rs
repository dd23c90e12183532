//! Stuck: the network performs at chance level from the first epoch to the last, or gives the same answer to everything.

use super::finding::Unit;
use super::series::{Series, median, median_error};
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity, Task};
use sweep_core::trial::Goal;

/// Minimum number of epochs. Fewer may be a slow start.
const LEAST_EPOCHS: usize = 3;
/// A loss below this share of the chance level, ln(classes), shows that something was learned.
const LEARNT_LOSS: f64 = 0.97;
/// An accuracy that exceeds the chance level, 1/classes, by this shows that something was learned.
const LEARNT_ACCURACY: f64 = 0.03;
/// Tolerance if the number of classes is unknown. A uniform answer among n classes has the loss ln(n) and the accuracy
/// 1/n, so accuracy times exp(loss) is 1.
const EVEN_ANSWER: f64 = 0.12;
/// Minimum number of epochs to see from a noisy accuracy that classes are guessed, and maximum number of these classes.
const GUESSED: usize = 20;
const MOST_GUESSED: u32 = 10;
/// Maximum distance of such an accuracy from that of guessing, as a share of it, …
const NEAR_CHANCE: f64 = 0.15;
/// … and multiple of the loss of guessing up to which the loss can belong to it.
const MOST_LOSS: f64 = 1.25;
/// A loss that stays this close to ln 2, as a share of it, is that of guessing between two answers.
const AT_LN_2: f64 = 1e-3;
/// Number of epochs in which a loss must fall without a break to go on, and minimum share by which it falls in an epoch after
/// the first.
const FALLING: (usize, f64) = (8, 3e-4);
/// Steps of the last third as a share of those of the first, from which on they stay as large.
const STEADY: f64 = 0.5;
/// The best of a few noisy levels is good by luck, by up to this many standard errors.
const LUCK_SIGMAS: f64 = 3.0;

/// Minimum number of epochs in which nothing changes. The first one is not among them.
const CONSTANT_EPOCHS: usize = 4;
/// Values that are the same to four digits differ by less than this share of their level. Two losses of steps that cancel
/// each other differ by a few times as much.
const CONSTANT_LOSS: f64 = 2e-3;
/// If the first epoch is farther away than this share of it, the loss must be the same to four digits. It may then have
/// settled within an epoch.
const NEAR_FIRST: f64 = 0.10;
const SAME_LOSS: f64 = 1e-4;
/// Maximum distance of a loss from the entropy of one class against all others, as a share of it.
const NEAR_ENTROPY: f64 = 0.15;
/// A validation accuracy that is the same to four digits differs by less than this.
const CONSTANT_ACCURACY: f64 = 5e-5;
/// Maximum distance of the training accuracy from the share of one class.
const NEAR_ACCURACY: f64 = 0.02;
/// Maximum range of a training accuracy that stays the same, and its maximum distance from that in validation.
const STILL_ACCURACY: f64 = 0.005;
const OTHER_SHARE: f64 = 0.05;
/// Maximum share by which the training loss falls while the answer stays the same.
const HARDLY: f64 = 0.02;
/// Share of its first value below which a loss is nearly gone, so that it stays the same because all is learned.
const GONE: f64 = 0.05;
/// Multiple of the loss of guessing from which on a network is sure of wrong answers, …
const FAR_ABOVE: f64 = 2.0;
/// … while the loss is not below this share of that of the second epoch, …
const STILL_AS_HIGH: f64 = 0.5;
/// … and the accuracy is between these.
const LEAST_SHARE: f64 = 0.005;
const MOST_SHARE: f64 = 0.6;
/// A loss goes on to fall if the trend of its last half is this many standard errors from zero, and this share of the loss.
const FALLS: (f64, f64) = (4.0, 0.03);
/// Accuracy from which on all is learned.
const LEARNED: f64 = 0.97;

/// Compares the best of the curve with chance, and looks for a curve in which nothing changes.
pub fn find(view: &View) -> Option<Finding> {
    at_chance(view).or_else(|| constant(view)).or_else(|| sure_and_wrong(view))
}

/// The network guesses, and is sure of it: its training loss is far above that of guessing. Large steps leave it like that.
fn sure_and_wrong(view: &View) -> Option<Finding> {
    let loss = view.train_loss.as_ref().filter(|loss| loss.len() > CONSTANT_EPOCHS)?;
    let accuracy = view.train_share().or(view.val_share())?;
    let share = median(&mut accuracy.values.clone());
    let guessing = -share.ln();
    let is_flat = accuracy.len() > CONSTANT_EPOCHS && range(&accuracy.values[1..]) <= 2.0 * LEARNT_ACCURACY;
    let falls = loss.trend_of_half().is_some_and(|trend| trend.improves(FALLS.0, FALLS.1 * loss.end().abs()));
    let goes_on = falls || loss.end() < STILL_AS_HIGH * loss.values[1];
    if !is_flat || !(LEAST_SHARE..=MOST_SHARE).contains(&share) || loss.end() < FAR_ABOVE * guessing || goes_on {
        return None;
    }
    let headline = format!(
        "The network learns nothing: its accuracy stays near {}, and its training loss ({}) is far above that of guessing ({}).",
        Unit::Accuracy.text(share),
        Unit::Loss.text(loss.end()),
        Unit::Loss.text(guessing)
    );
    Some(
        Finding::new(Name::Stuck, Severity::Severe, headline)
            .evidence("training loss at the end", Unit::Loss, loss.end())
            .evidence("loss of guessing", Unit::Loss, guessing)
            .evidence("accuracy", Unit::Accuracy, share)
            .advice([Advice::CheckTask, Advice::LowerLearningRate, Advice::DefaultAdam, Advice::ClipGradients]),
    )
}

/// The network gives the same answer to everything: its loss does not change, or its accuracy is that of one class.
fn constant(view: &View) -> Option<Finding> {
    let loss = view.train_loss.as_ref().or(view.val_loss.as_ref())?;
    if loss.len() <= CONSTANT_EPOCHS {
        return None;
    }
    let accuracy = view.train_accuracy.as_ref().or(view.val_accuracy.as_ref());
    let first = loss.values[0];
    let learned = match accuracy {
        Some(accuracy) => accuracy.end() >= LEARNED && !is_entropy(loss.end(), accuracy.end()),
        None => loss.end().abs() <= GONE * first.abs(),
    };
    let fell = (loss.values[1] - loss.end()) / loss.values[1].abs().max(f64::MIN_POSITIVE);
    let from_start = (first - loss.end()).abs() <= NEAR_FIRST * first.abs();
    let same = if from_start { CONSTANT_LOSS } else { SAME_LOSS };
    let same_loss = range(&loss.values[1..]) <= same * loss.end().abs();
    let one_class =
        view.val_accuracy.as_ref().filter(|val| val.len() > CONSTANT_EPOCHS && one_answer(&val.values[1..]));
    // Where no answer is right, accuracy measures nothing.
    let one_class = one_class.filter(|val| val.end() >= LEAST_SHARE);
    let near = |val: &Series| {
        let share = val.end();
        let train = view.train_accuracy.as_ref();
        // The two sets differ a little in their shares. Two classes may have changed places.
        let far = |value: &f64| (value - share).abs().min((1.0 - value - share).abs());
        train.is_none_or(|train| {
            let later = &train.values[1..];
            later.iter().all(|value| far(value) <= NEAR_ACCURACY)
                || (train.end() - train.values[0] <= NEAR_ACCURACY
                    && range(later) <= STILL_ACCURACY
                    && far(&train.end()) <= OTHER_SHARE)
        })
    };
    let majority = one_class.filter(|val| fell < HARDLY && near(val));
    let one_answer = view.train_accuracy.as_ref().filter(|train| fell < HARDLY && train.is_constant() && !falls(loss));
    // An accuracy that moves shows that something is learned, whatever the loss does.
    let moves = accuracy.is_some_and(|series| range(&series.values[1..]) > NEAR_ACCURACY);
    if learned || moves || !(same_loss || majority.is_some() || one_answer.is_some()) {
        return None;
    }
    let what = match (majority, one_answer) {
        (None, Some(train)) => format!(
            "its training {} is {} in every epoch, so it gives the same answer to every input",
            word(train),
            Unit::Accuracy.text(train.end())
        ),
        (Some(val), _) => format!(
            "its validation {} is {} in every epoch{}, so it gives the same answer to every input",
            word(val),
            Unit::Accuracy.text(val.end()),
            if view.val_share().is_some() { ", which is the share of one class" } else { "" }
        ),
        (None, None) => format!("its loss stays at {} from the second epoch to the last", Unit::Loss.text(loss.end())),
    };
    Some(
        Finding::new(Name::Stuck, Severity::Severe, format!("The network learns nothing: {what}."))
            .evidence("best loss", Unit::Loss, loss.best_level())
            .evidence("accuracy at the end", Unit::Accuracy, accuracy.map(Series::end))
            .advice(remedies(Some(loss))),
    )
}

/// Whether a loss is that of always giving the share of the largest class as its probability.
fn is_entropy(loss: f64, share: f64) -> bool {
    let part = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    let entropy = part(share) + part(1.0 - share);
    entropy > 0.0 && (loss - entropy).abs() <= NEAR_ENTROPY * entropy
}

/// Whether an accuracy has one value in all epochs, or two that add up to 1: the answer changed to the other class.
fn one_answer(values: &[f64]) -> bool {
    let same = |a: f64, b: f64| (a - b).abs() <= CONSTANT_ACCURACY;
    let first = values[0];
    let count = values.iter().filter(|value| same(**value, first) || same(**value, 1.0 - first)).count();
    count == values.len()
}

fn range(values: &[f64]) -> f64 {
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most - values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn at_chance(view: &View) -> Option<Finding> {
    // Training metrics are used if there are any, because learning shows there first.
    let loss = view.train_loss.as_ref().or(view.val_loss.as_ref());
    let accuracy = view.train_share().or(view.val_share());
    // A sum of losses of a detector is no loss of classes.
    let has_classes = view.context.task != Task::Detection;
    if !has_classes || loss.or(accuracy)?.len() < LEAST_EPOCHS || loss.is_some_and(falls) {
        return None;
    }
    let best_loss = loss.map(|loss| loss.best_level());
    let best_accuracy = accuracy.map(|accuracy| accuracy.best_level());
    let classes = match (view.context.classes.filter(|classes| *classes > 1), best_loss, best_accuracy) {
        (Some(classes), _, _) => f64::from(classes),
        (None, Some(loss), Some(accuracy)) if (accuracy * loss.exp() - 1.0).abs() <= EVEN_ANSWER => loss.exp().round(),
        _ => guessed(loss?, accuracy)?,
    };
    let learnt_loss = |loss: f64| loss < LEARNT_LOSS * classes.ln();
    // A few epochs are no luck if each is better than the one before.
    let each_better = |loss: &Series| loss.values.windows(2).all(|pair| pair[1] < pair[0]) && learnt_loss(loss.end());
    let learnt_accuracy = |accuracy: f64| accuracy > 1.0 / classes + LEARNT_ACCURACY;
    if classes < 2.0
        || loss.is_some_and(each_better)
        || loss.is_some_and(|loss| levels(loss).into_iter().any(learnt_loss))
        || accuracy.is_some_and(|accuracy| levels(accuracy).into_iter().any(learnt_accuracy))
    {
        return None;
    }
    let measured = [
        best_accuracy.map(|accuracy| format!("accuracy {}", Unit::Accuracy.text(accuracy))),
        best_loss.map(|loss| format!("loss {}", Unit::Loss.text(loss))),
    ];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    let headline = format!(
        "The network learns nothing: its best result ({}) is no better than guessing among {classes:.0} classes (accuracy \
         {}, loss {}).",
        measured.join(", "),
        Unit::Accuracy.text(1.0 / classes),
        Unit::Loss.text(classes.ln()),
    );
    Some(
        Finding::new(Name::Stuck, Severity::Severe, headline)
            .evidence("best loss", Unit::Loss, best_loss)
            .evidence("loss of guessing", Unit::Loss, classes.ln())
            .evidence("best accuracy", Unit::Accuracy, best_accuracy)
            .evidence("accuracy of guessing", Unit::Accuracy, 1.0 / classes)
            .advice(remedies(loss)),
    )
}

/// Returns the number of classes that are guessed: the loss settles at that of two, or every part of the curve has the
/// accuracy, and its end the loss, of guessing among so many.
fn guessed(loss: &Series, accuracy: Option<&Series>) -> Option<f64> {
    let ln_2 = std::f64::consts::LN_2;
    if loss.len() >= FALLING.0 && loss.values[loss.len() / 2..].iter().all(|loss| (loss / ln_2 - 1.0).abs() <= AT_LN_2)
    {
        return Some(2.0);
    }
    let accuracy = accuracy.filter(|accuracy| accuracy.len() > GUESSED)?;
    let thirds = accuracy.values[1..].chunks((accuracy.len() - 1).div_ceil(3));
    let levels: Vec<(f64, f64)> = thirds
        .map(|third| (median(&mut third.to_vec()), LUCK_SIGMAS * median_error(accuracy.noise, third.len())))
        .collect();
    let [least, most] = [f64::min, f64::max].map(|of| levels.iter().map(|(level, _)| *level).reduce(of).unwrap_or(0.0));
    if most - least > NEAR_CHANCE * most {
        return None;
    }
    let fits = |classes: &f64| {
        let near = |(level, luck): &(f64, f64)| (level * classes - 1.0).abs() <= NEAR_CHANCE + luck * classes;
        levels.iter().all(near) && (LEARNT_LOSS..=MOST_LOSS).contains(&(loss.end() / classes.ln()))
    };
    (2..=MOST_GUESSED).map(f64::from).find(fits)
}

/// Whether the loss falls without a break, so that training goes on, however slowly.
fn falls(loss: &Series) -> bool {
    let fell = (loss.values[1.min(loss.len() - 1)] - loss.end()) / loss.len() as f64;
    descends(loss) && fell >= FALLING.1 * loss.values[0].abs()
}

/// Whether the loss falls from each epoch to the next.
fn descends(loss: &Series) -> bool {
    loss.len() >= FALLING.0 && loss.values.windows(2).all(|pair| pair[1] < pair[0])
}

/// Whether the loss falls in steps that stay nearly as large as they were, as with a learning rate that is far too low. Steps
/// that become small are those of a loss that settles, which larger ones do not change.
pub fn creeps(loss: &Series) -> bool {
    let third = loss.len() / 3;
    let fell = |from: usize| loss.values[from] - loss.values[from + third];
    descends(loss) && fell(loss.len() - 1 - third) >= STEADY * fell(0)
}

/// Returns what to do in any case. A loss that falls in every epoch, although hardly, needs larger steps. After steps that
/// were too large, it would move up and down or not at all.
fn remedies(loss: Option<&Series>) -> [Advice; 6] {
    let rate = if loss.is_some_and(creeps) { Advice::HigherLearningRate } else { Advice::LowerLearningRate };
    [Advice::CheckData, Advice::CheckTask, Advice::CheckCapacity, rate, Advice::DefaultAdam, Advice::BatchNorm]
}

/// Returns the level of each third of the curve and at its end, each reduced by what may be luck.
fn levels(series: &Series) -> Vec<f64> {
    let luck = |error: f64| match series.goal {
        Goal::Minimize => LUCK_SIGMAS * error,
        Goal::Maximize => -LUCK_SIGMAS * error,
    };
    let thirds = series.values.chunks(series.len().div_ceil(3));
    let levels = thirds.map(|third| median(&mut third.to_vec()) + luck(median_error(series.noise, third.len())));
    levels.chain([series.end() + luck(series.level_error())]).collect()
}
