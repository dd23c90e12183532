//! Maps places in a file to epochs.

use std::cmp::Ordering;

use super::gather::{Found, note};
use super::rows::Place;

/// If training alone was recorded, an epoch with more values than this is divided into points.
const POINTS: usize = 10;

/// Maps a place in the file to an epoch number.
#[derive(Debug)]
pub enum Clock {
    /// The file counts epochs. `plus` is 0 if it counts from 1, and 1 if it counts from 0.
    Epochs {
        /// What is added to the file's count.
        plus: f64,
        /// Rows without an epoch count epochs as their steps.
        steps_are_epochs: bool,
    },
    /// The curve is divided where validation was measured.
    Points {
        /// The ends of the points, in order.
        ends: Vec<[f64; 2]>,
        by: Count,
    },
}

/// What tells points apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Count {
    /// Fractional epochs.
    Epochs,
    /// Steps of the whole training.
    Steps,
    /// Epochs, and steps within them.
    Both,
}

impl Count {
    /// A number that grows with the place, or two of which the first one is compared first.
    fn of(self, place: Place) -> Option<[f64; 2]> {
        Some(match self {
            Count::Epochs => [place.epoch?, 0.0],
            Count::Steps => [0.0, place.step?],
            Count::Both => [place.epoch?, place.step?],
        })
    }
}

impl Clock {
    /// Finds out how the file counts.
    pub fn new(metrics: &[Found], notes: &mut Vec<String>) -> Clock {
        // Rows outside any epoch may have NaN for metrics that were not measured.
        let is_lost = metrics.iter().flatten().all(|(_, points)| points.iter().all(|(_, value)| !value.is_finite()));
        let measured = |at: usize| -> Vec<Place> {
            let points = metrics[at].iter().flat_map(|(_, points)| points.iter());
            points.filter(|(_, value)| is_lost || value.is_finite()).map(|(place, _)| *place).collect()
        };
        let all: Vec<Vec<Place>> = (0..metrics.len()).map(measured).collect();
        let places = || all.iter().flatten();
        let epochs = distinct(places().filter_map(|place| place.epoch));
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        let with_epoch = places().filter(|place| place.epoch.is_some()).count();
        let constant = epochs.len() == 1 && most > 1;
        let resumes = all.iter().any(|places| resumes(places));
        if resumes {
            note(
                notes,
                "the epoch goes back while the step goes on, so the training was resumed, and steps are used instead",
            );
        }
        if with_epoch > 0 && !constant && !resumes {
            return Clock::by_epochs(&all, &epochs, notes);
        }
        if constant && most > 1 {
            note(notes, format!("the epoch is always {}, so steps or rows are used instead", epochs[0]));
        }
        Clock::by_steps(&all, notes)
    }

    /// The file names epochs. Several evaluations in an epoch are points of the curve.
    fn by_epochs<'a>(all: &'a [Vec<Place>], epochs: &[f64], notes: &mut Vec<String>) -> Clock {
        let places = || all.iter().flatten();
        let rarest = |metrics: &'a [Vec<Place>]| {
            metrics.iter().filter(|places| !places.is_empty()).min_by_key(|places| places.len())
        };
        let validation = rarest(&all[4..]);
        let whole = distinct(epochs.iter().map(|epoch| epoch.ceil())).len();
        let fractional = epochs.iter().any(|epoch| epoch.fract() != 0.0);
        let from_zero = !fractional && epochs.contains(&0.0);
        // Evaluations by step: several in an epoch are points of the curve.
        let is_more = |count: usize| 2 * count > 3 * whole || fractional && count > whole;
        let divided = match validation {
            Some(places) => Some(places).filter(|places| is_more(places.len())),
            None => rarest(all).filter(|places| places.len() >= POINTS && whole < 5),
        };
        if let Some(places) = divided {
            let has_steps = places.iter().all(|place| place.step.is_some());
            let distinct_epochs = distinct(places.iter().filter_map(|place| place.epoch));
            let by_epoch = fractional && (!has_steps || distinct_epochs.len() == places.len());
            let restarts = || all.iter().any(|places| restarts(places));
            let by = match by_epoch {
                true => Count::Epochs,
                false if restarts() => Count::Both,
                false => Count::Steps,
            };
            let ends = distinct(places.iter().filter_map(|place| by.of(*place)));
            if is_more(ends.len()) {
                let of = if validation.is_some() { "validation was measured" } else { "training was recorded" };
                let last = epochs.last().copied().unwrap_or_default();
                let epochs = if from_zero { format!("epochs 0 to {last}") } else { format!("{last} epochs") };
                note(notes, format!("{of} {} times in {epochs}; each measurement counts as an epoch here", ends.len()));
                return Clock::Points { ends, by };
            }
            note(
                notes,
                "some epochs have several values: the last validation value and the mean of the training \
                values are used",
            );
        }
        if from_zero {
            note(notes, "the file counts epochs from 0; here they are counted from 1");
        }
        let bare: Vec<f64> = places().filter(|place| place.epoch.is_none()).filter_map(|place| place.step).collect();
        let last = epochs.last().copied().unwrap_or_default();
        let steps_are_epochs = bare.iter().all(|step| step.fract() == 0.0 && *step <= last + 1.0);
        if !bare.is_empty() && !steps_are_epochs {
            note(notes, format!("{} values without an epoch were left out", bare.len()));
        }
        Clock::Epochs { plus: if from_zero { 1.0 } else { 0.0 }, steps_are_epochs }
    }

    /// The file counts steps, or nothing.
    fn by_steps(all: &[Vec<Place>], notes: &mut Vec<String>) -> Clock {
        // Validation is assumed to run once per epoch. Without it, the metric that was logged least often marks the
        // epochs.
        let steps = |places: &Vec<Place>| distinct(places.iter().filter_map(|place| Count::Steps.of(*place)));
        let validation = || all[4..].iter().map(steps).filter(|steps| !steps.is_empty());
        // The untrained network may have a loss and no score.
        let least = validation().map(|steps| steps.len()).min().unwrap_or_default();
        let loss = validation().next().filter(|steps| steps.len() <= least + 1);
        let any = all.iter().map(steps).filter(|steps| !steps.is_empty());
        let ends = loss.or_else(|| validation().min_by_key(Vec::len)).or(any.min_by_key(Vec::len)).unwrap_or_default();
        if let ([first, .., last], true) = (&ends[..], ends.windows(2).any(|pair| pair[1][1] - pair[0][1] != 1.0)) {
            let what = match all[4..].iter().all(Vec::is_empty) {
                true => "recorded training value counts as",
                false => "validation ends",
            };
            let (many, first, last) = (ends.len(), first[1], last[1]);
            note(
                notes,
                format!(
                    "the file counts steps; each {what} an epoch. Epoch 1 is step {first}, epoch {many} is step {last}"
                ),
            );
        }
        Clock::Points { ends, by: Count::Steps }
    }

    /// The epoch of a place, from 1. `None` if the place is in none.
    pub fn epoch(&self, place: Place) -> Option<u32> {
        match self {
            Clock::Epochs { plus, steps_are_epochs } => {
                let epoch = place.epoch.or(place.step.filter(|_| *steps_are_epochs))?;
                // Hugging Face's trainer counts in fractions: 0.5 is in the first epoch.
                Some((epoch.ceil() + plus).max(1.0) as u32)
            }
            Clock::Points { ends, by } => {
                let at = by.of(place).unwrap_or_default();
                // Values after the last end belong to an unfinished epoch.
                Some(ends.partition_point(|end| *end < at) as u32 + 1)
            }
        }
    }
}

/// Whether the epoch goes back while the step goes on.
fn resumes(places: &[Place]) -> bool {
    let is_step = |place: &Place| place.step.is_some_and(|step| step.fract() == 0.0);
    let goes_on = |pair: &[Place]| pair.iter().all(is_step) && pair[0].step < pair[1].step;
    places.windows(2).any(|pair| pair[1].epoch.is_some() && pair[0].epoch > pair[1].epoch && goes_on(pair))
}

/// Whether steps are counted from the beginning of each epoch.
fn restarts(places: &[Place]) -> bool {
    let goes_back = |pair: &[Place]| pair[0].step > pair[1].step && pair[0].epoch < pair[1].epoch;
    places.iter().all(|place| place.epoch.is_some() && place.step.is_some()) && places.windows(2).any(goes_back)
}

fn distinct<T: PartialOrd>(numbers: impl Iterator<Item = T>) -> Vec<T> {
    let mut numbers: Vec<T> = numbers.collect();
    numbers.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    numbers.dedup();
    numbers
}
