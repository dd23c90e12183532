//! Still improving: validation had not settled when training ended, and more epochs would improve it.

use super::finding::{Unit, number, percent};
use super::outlook::Outlook;
use super::series::{Series, Trend};
use super::view::{View, word};
use super::{Advice, Finding, Name, Severity};

/// Minimum expected gain that is worth the epochs: for accuracy,
const WORTH_ACCURACY: f64 = 0.01;
/// and for loss, as a share of the loss.
const WORTH_LOSS: f64 = 0.02;
/// For loss, if accuracy does not improve enough, or is not watched.
const WORTH_LOSS_ALONE: f64 = 0.05;
/// Accuracy from which on only accuracy counts: a loss can fall for long without one more correct answer.
const RIGHT: f64 = 0.93;
/// For loss while training is still poor, so that any progress is worth waiting for.
const WORTH_POOR: f64 = 0.005;
/// A falling training loss is slow if it has fallen by less than this share of its first value.
const SLOW: f64 = 0.1;
/// Multiple of those minimum gains from which on stopping here is a clear problem.
const CLEAR: f64 = 5.0;
/// Numbers of values of a curve that is short for a forecast. In a shorter one, five values, which a trend needs, are nearly
/// all.
const SHORT: std::ops::Range<usize> = 8..25;
/// In a longer curve, the trend of the last half must be this many standard errors from zero and gain this multiple of the
/// minimum, and then the same for the trend of the last third. Of published curves that were cut and had no other problem,
/// six in ten of these improved afterwards.
const LONG: [(f64, f64); 2] = [(4.0, 2.0), (1.0, 0.5)];
/// A best value is recent if fewer epochs came after it, …
const LATELY: usize = 3;
/// … and it is likely that the metric still improves if its trend is this many standard errors from zero: about 90%.
const LIKELY_SIGMAS: f64 = 1.3;
/// Multiple of those gains that a forecast must promise if the metric may also get worse.
const UNSURE: f64 = 1.5;
/// A learning rate below this share of its maximum has run out.
const RUN_OUT: f64 = 0.05;

/// Judges by the forecast for half as many epochs again.
pub fn find(view: &View) -> Option<Finding> {
    let (series, outlook, worth) = forecast(view)?;
    let [worse, better] = outlook.between;
    // If no curve that fits loses anything, the gain itself determines the severity.
    let sure = outlook.least_gain >= 0.0;
    let severity = if sure { Severity::scale(outlook.gain / worth, [CLEAR, f64::INFINITY]) } else { Severity::Mild };
    let text = |value| series.unit.text(value);
    if let Some(left) = learning_rate_left(view).filter(|left| *left < RUN_OUT) {
        return goes_on(series, worth).then(|| annealed(view, series, outlook, left));
    }
    let headline = format!(
        "More epochs {} help: validation {} was still improving when training ended ({}). The forecast for epoch {} is \
         {} (90% interval {} to {}).",
        if sure { "would" } else { "may" },
        word(series),
        text(series.last_shown()),
        outlook.until,
        text(outlook.expected),
        text(worse.min(better)),
        text(worse.max(better))
    );
    Some(
        Finding::new(Name::StillImproving, severity, headline)
            .evidence(format!("validation {} at the end", word(series)), series.unit, series.last_shown())
            .evidence("forecast for epoch", Unit::Epoch, f64::from(outlook.until))
            .evidence("forecast", series.unit, outlook.expected)
            .evidence("worst forecast (90% interval)", series.unit, worse)
            .evidence("best forecast (90% interval)", series.unit, better)
            .advice([Advice::MoreEpochs { until: outlook.until, longer_schedule: false }])
            .advice(slow(view).then_some(Advice::HigherLearningRate)),
    )
}

/// Returns the finding where validation ends at its best and its level rose lately, but noise or a short curve allows no
/// forecast.
pub fn unfinished(view: &View) -> Option<Finding> {
    if learning_rate_left(view).is_some_and(|left| left < RUN_OUT) {
        return None;
    }
    // A loss beside an accuracy must promise more, as in a forecast. In a long curve, the accuracy has told by then.
    let told = |accuracy: &Series| accuracy.end() >= RIGHT || accuracy.len() >= SHORT.end;
    let loss = view.val_loss.as_ref().filter(|_| !view.val_accuracy.as_ref().is_some_and(told));
    let loss = loss.map(|loss| (loss, WORTH_LOSS_ALONE * loss.end().abs()));
    let watched = view.watched().map(|series| (series, worth_of(series)));
    let rises = |(series, worth): (&'_ Series, f64)| {
        let (third, half) = (series.trend()?, series.trend_of_half()?);
        let since_best = series.len() - 1 - series.best_value();
        let improves = |trend: Trend, (sigmas, times): (f64, f64)| trend.improves(sigmas, times * worth);
        let is_short = SHORT.contains(&series.len())
            && since_best < LATELY
            && improves(third, (0.0, 1.0))
            && [third, half].iter().any(|trend| trend.gain >= LIKELY_SIGMAS * trend.error);
        let is_long = series.len() >= SHORT.end
            && since_best <= series.len() / 5
            && improves(half, LONG[0])
            && improves(third, LONG[1])
            // What wanders comes back to where it was.
            && series.gain(series.best_level(), series.best_of_first_half()) >= LONG[0].1 * worth;
        (is_short || is_long).then_some(third)
    };
    let (series, trend) = watched.into_iter().chain(loss).find_map(|one| Some((one.0, rises(one)?)))?;
    let text = |value| series.unit.text(value);
    let gained = trend.gain * trend.span;
    let gained = match series.unit {
        Unit::Accuracy => format!("{} points", number(gained * 100.0, 1)),
        unit => unit.about(gained),
    };
    let headline = format!(
        "More epochs may help: validation {} was best near the end ({}). Its trend over the last {:.0} epochs is a gain of about \
         {gained}. The curve is too noisy or too short for a forecast.",
        word(series),
        text(series.values[series.best_value()]),
        trend.span
    );
    let until = view.last.saturating_add(view.last.div_ceil(2));
    Some(
        Finding::new(Name::StillImproving, Severity::Mild, headline)
            .evidence(format!("validation {} at the end", word(series)), series.unit, series.last_shown())
            .advice([Advice::MoreEpochs { until, longer_schedule: false }]),
    )
}

/// Returns the gain from which on more epochs are worth it.
fn worth_of(series: &Series) -> f64 {
    match series.unit {
        Unit::Accuracy => WORTH_ACCURACY,
        _ => WORTH_LOSS * series.end().abs(),
    }
}

/// Returns the finding where the learning rate was annealed. The fall of the loss at the end is then due to the small
/// steps, and no curve can be fitted to what would follow.
fn annealed(view: &View, series: &Series, outlook: Outlook, left: f64) -> Finding {
    let headline = format!(
        "Validation {} was still improving when training ended ({}), while the learning rate fell to {} of its highest \
         value. More epochs at that rate change nothing; a longer schedule may help.",
        word(series),
        series.unit.text(series.last_shown()),
        percent(left)
    );
    let until = view.last.saturating_add(view.last.div_ceil(2));
    Finding::new(Name::StillImproving, Severity::Mild, headline)
        .evidence(format!("validation {} at the end", word(series)), series.unit, series.last_shown())
        .evidence("learning rate at the end as a share of its highest", Unit::Number, left)
        .advice([Advice::MoreEpochs { until: until.min(outlook.until), longer_schedule: true }])
}

/// Returns whether the metric moved in the last tenth of the epochs so much that half as many epochs again would be worth it.
/// Where the learning rate falls in steps, earlier epochs say nothing about the last step.
fn goes_on(series: &Series, worth: f64) -> bool {
    let tenth = (series.len() / 10).max(2).min(series.len() - 1);
    let before = series.smooth[series.len() - 1 - tenth];
    let times = series.len() as f64 / 2.0 / tenth as f64;
    series.gain(series.end(), before) * times >= worth
}

/// Returns the metric that improves, its forecast, and the gain from which on more epochs are worth it.
fn forecast<'v>(view: &'v View) -> Option<(&'v Series, Outlook, f64)> {
    let watched = view.watched()?;
    let worth = worth_of(watched);
    if let Some(outlook) = view.outlook.filter(|outlook| promises(outlook, worth) && !comes_back(watched)) {
        return Some((watched, outlook, worth));
    }
    let (loss, outlook) = (view.val_loss.as_ref()?, view.loss_outlook?);
    if view.val_accuracy.as_ref().is_some_and(|accuracy| accuracy.end() >= RIGHT) {
        return None;
    }
    let poor = view.poor_training(view.last).is_some();
    let worth = if poor { WORTH_POOR } else { WORTH_LOSS_ALONE } * loss.end().abs();
    (outlook.least_gain >= 0.0 && outlook.gain >= worth && !comes_back(loss)).then_some((loss, outlook, worth))
}

/// Returns whether a metric only comes back to where it was: it ends worse than it had been in the first half.
fn comes_back(series: &Series) -> bool {
    series.gain(series.best_of_first_half(), series.end()) > series.level_error()
}

/// Returns whether a forecast is worth the epochs. If more may be lost than gained, it is no forecast.
fn promises(outlook: &Outlook, worth: f64) -> bool {
    let may_lose = -outlook.least_gain;
    let least = if may_lose > 0.0 { UNSURE * worth } else { worth };
    outlook.gain >= least.max(may_lose)
}

/// Returns whether the loss has hardly moved so far.
fn slow(view: &View) -> bool {
    let fell = |loss: &Series| (loss.values[0] - loss.end()) / loss.values[0];
    view.train_loss.as_ref().is_some_and(|loss| (0.0..SLOW).contains(&fell(loss)))
}

/// Returns the last learning rate as a share of the highest.
fn learning_rate_left(view: &View) -> Option<f64> {
    let rates = || view.curve.iter().filter_map(|epoch| epoch.learning_rate);
    Some(rates().next_back()? / rates().reduce(f64::max)?)
}
