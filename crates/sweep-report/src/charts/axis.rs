//! Axes of charts: the range of values and the ticks. Pure.

use std::ops::RangeInclusive;

/// The range of an axis and its ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The range of values; never empty.
    pub range: RangeInclusive<f64>,
    /// The values with a tick.
    pub ticks: Vec<f64>,
    /// Number of decimals in tick labels, enough to distinguish the ticks.
    pub decimals: usize,
    /// The largest value, if it lies outside the range.
    pub beyond: Option<f64>,
    /// Whether distances on the axis are ratios.
    pub log: bool,
}

/// Maximum reach of the axis above the third quartile, in multiples of the distance from the minimum to that quartile.
/// Larger values are cut off, because a loss that explodes for one epoch would flatten everything else.
const REACH: f64 = 10.0;

/// Maximum extension of the range above the values that matter, as a multiple of their span. They fill at least half of
/// the chart.
const ABOVE: f64 = 1.0;

/// Losses span decades if the second quantile is this many times the first.
const SPANS: (f64, f64, f64) = (0.05, 0.9, 30.0);

/// Approximate number of ticks.
const ABOUT: u32 = 7;

/// Values are shown as if they were no larger than this, so that sums and spans of them are finite.
const LARGEST: f64 = 1e300;

/// An axis spans at least this share of its largest value, so that its ticks are different numbers.
const NARROWEST: f64 = 1e-9;

/// From this value on, numbers on an axis are in scientific notation.
const LARGE: f64 = 1e5;

impl Axis {
    /// An axis around these values, within `limits`. The values may be unsorted or empty.
    pub fn values(values: impl IntoIterator<Item = f64>, limits: RangeInclusive<f64>) -> Axis {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let mut sorted: Vec<f64> = finite.map(|value| value.clamp(-LARGEST, LARGEST)).collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Axis::between(limits.start().max(0.0), limits.end().min(1.0), ABOUT);
        };
        let quarter = sorted[(sorted.len() - 1) * 3 / 4];
        let reach = if quarter > least { quarter + REACH * (quarter - least) } else { most };
        let top = sorted.iter().rev().copied().find(|&value| value <= reach).unwrap_or(most);
        // A constant curve gets a margin, so that it is recognizable as constant.
        let span = if top > least { (top - least) * 1.06 } else { (least.abs() * 0.2).max(0.02) };
        let middle = least + (top - least) / 2.0;
        let (low, high) = (middle - span / 2.0, middle + span / 2.0);
        let mut axis = match limits.contains(&least) && limits.contains(&top) {
            true => Axis::between(low.max(*limits.start()), high.min(*limits.end()), ABOUT),
            false => Axis::between(low, high, ABOUT),
        };
        axis.beyond = (most > *axis.range.end()).then_some(most);
        axis
    }

    /// An axis around all values, limited so that the values that matter are not flattened. A trial that explodes
    /// leaves the chart.
    pub fn about(
        matter: impl IntoIterator<Item = f64>,
        all: impl IntoIterator<Item = f64>,
        limits: RangeInclusive<f64>,
    ) -> Axis {
        let inner = Axis::values(matter, limits.clone()).range;
        let reach = inner.end() + ABOVE * (inner.end() - inner.start());
        let all: Vec<f64> = all.into_iter().filter(|value| value.is_finite()).collect();
        let most = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut axis = Axis::values(all.into_iter().filter(|value| *value <= reach), limits);
        axis.beyond = (most > *axis.range.end()).then_some(most);
        axis
    }

    /// Whether the values that matter span decades: all are positive, and most of the range of ratios is filled. One
    /// epoch that explodes does not count.
    pub fn spans_decades(values: &[f64]) -> bool {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        sorted.first().is_some_and(|least| *least > 0.0) && at(SPANS.1) >= SPANS.2 * at(SPANS.0)
    }

    /// A logarithmic axis around these values, which are positive. Its ticks are powers of ten, and the numbers between
    /// them if there are few.
    pub fn decades(values: impl IntoIterator<Item = f64>) -> Axis {
        let values: Vec<f64> = values.into_iter().filter(|value| *value > 0.0 && value.is_finite()).collect();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min).clamp(1.0 / LARGEST, LARGEST);
        let most = values.iter().copied().fold(0.0, f64::max).clamp(least, LARGEST);
        let (low, high) = (least.log10() - 0.02, most.log10() + 0.02);
        let every = ((high - low) / f64::from(ABOUT)).ceil().max(1.0);
        let between: &[f64] = if high - low < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let powers = ((low / every).floor() as i64..=(high / every).ceil() as i64).map(|power| power as f64 * every);
        let ticks = powers.flat_map(|power| between.iter().map(move |digit| digit * 10_f64.powf(power)));
        let ticks = ticks.filter(|tick| (low..=high).contains(&tick.log10())).collect();
        Axis { range: 10_f64.powf(low)..=10_f64.powf(high), ticks, decimals: 0, beyond: None, log: true }
    }

    /// An axis of epochs, from 1 to the last.
    pub fn epochs(last: u32) -> Axis {
        let last = f64::from(last.max(1));
        if last == 1.0 {
            return Axis { range: 0.5..=1.5, ticks: vec![1.0], decimals: 0, beyond: None, log: false };
        }
        let step = step(last - 1.0, 8).max(1.0);
        let ticks = (0..=20).map(|n| (f64::from(n) * step).max(1.0)).filter(|&tick| tick <= last);
        let mut ticks: Vec<f64> = ticks.collect();
        // The first epoch has a tick. A second tick is removed if its label would touch the first.
        ticks.dedup();
        if step > 1.0 && ticks.get(1).is_some_and(|&second| second - 1.0 < step * 0.5) {
            ticks.remove(1);
        }
        Axis { range: 1.0..=last, ticks, decimals: 0, beyond: None, log: false }
    }

    /// An axis from 0 to slightly more than `most`.
    pub fn upto(most: f64) -> Axis {
        Axis::between(0.0, most.clamp(0.0, LARGEST) * 1.0001, ABOUT)
    }

    fn between(low: f64, high: f64, about: u32) -> Axis {
        let largest = low.abs().max(high.abs());
        let lacking = (largest * NARROWEST).max(1.0 / LARGEST) - (high - low);
        let (low, high) = if lacking > 0.0 { (low - lacking / 2.0, high + lacking / 2.0) } else { (low, high) };
        let step = step(high - low, about);
        let first = (low / step).ceil();
        let ticks = (0..20).map(|n| (first + f64::from(n)) * step).filter(|&tick| tick <= high);
        // `+ 0.0` makes a negative zero positive.
        let ticks = ticks.map(|tick| tick + 0.0).collect();
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        Axis { range: low..=high, ticks, decimals, beyond: None, log: false }
    }

    /// The relative position of a value: 0 at the start, 1 at the end.
    pub fn share(&self, value: f64) -> f64 {
        let value = value.clamp(-LARGEST, LARGEST);
        if self.log {
            let (start, end) = (self.range.start().log10(), self.range.end().log10());
            return (value.max(*self.range.start()).log10() - start) / (end - start);
        }
        (value - self.range.start()) / (self.range.end() - self.range.start())
    }

    /// A tick's number.
    pub fn label(&self, tick: f64) -> String {
        if self.log {
            return crate::words::significant(tick, 1);
        }
        self.number(tick, 1.0, self.decimals)
    }

    /// The number of a tick that is a share, in percent.
    pub fn percent(&self, tick: f64) -> String {
        self.number(tick, 100.0, self.decimals.saturating_sub(2))
    }

    fn number(&self, tick: f64, scale: f64, decimals: usize) -> String {
        let largest = self.ticks.iter().map(|tick| tick.abs()).fold(0.0, f64::max);
        if tick == 0.0 || (largest * scale < LARGE && self.decimals < 12) {
            return format!("{:.decimals$}", tick * scale);
        }
        // As many digits as tell two ticks apart.
        let step = step(self.range.end() - self.range.start(), ABOUT);
        let digits = (tick.abs().log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
        format!("{:.digits$e}", tick * scale)
    }
}

/// The distance between ticks: 1, 2 or 5 times a power of ten, so that `span` contains about this many.
fn step(span: f64, about: u32) -> f64 {
    let rough = span / f64::from(about);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|nice| nice * power >= rough * 0.999).unwrap_or(10.0);
    step * power
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::finite;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::values([0.437, 2.31, 1.1], 0.0..=f64::INFINITY);
        assert_eq!(axis.ticks, [0.5, 1.0, 1.5, 2.0]);
        assert_eq!(axis.decimals, 1);
        let axis = Axis::values([0.1, 0.97], 0.0..=1.0);
        assert!(axis.ticks.iter().all(|tick| axis.range.contains(tick)) && *axis.range.end() <= 1.0, "{axis:?}");
    }

    #[test]
    fn any_values_make_an_axis_with_ticks() {
        let cases: [&[f64]; 8] =
            [&[], &[0.0], &[1.0], &[1.0, 1.0], &[f64::NAN], &[1e-300, 2e-300], &[1e300, 2.0], &[-3.0, 1e9, 0.1]];
        for values in cases {
            for limits in [0.0..=1.0, 0.0..=f64::INFINITY, f64::NEG_INFINITY..=f64::INFINITY] {
                let inside = values.iter().copied().filter(|value| limits.contains(value));
                let axis = Axis::values(inside, limits.clone());
                assert!(axis.range.start() < axis.range.end() && !axis.ticks.is_empty(), "{values:?} {axis:?}");
                assert!(axis.ticks.len() <= 12, "{values:?} {axis:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn any_finite_values_make_an_axis_that_holds_them_with_few_short_ticks(
            values in prop::collection::vec(finite(), 0..6),
            limited in 0..3_usize,
        ) {
            let all = f64::NEG_INFINITY..=f64::INFINITY;
            let limits = [0.0..=1.0, -1.0..=1.0, all][limited].clone();
            let about = Axis::about(values.iter().copied().take(2), values.iter().copied(), limits.clone());
            for axis in [Axis::values(values.iter().copied(), limits), about] {
                let (start, end) = (*axis.range.start(), *axis.range.end());
                prop_assert!(start < end && (end - start).is_finite(), "{:?}", axis);
                prop_assert!((1..=16).contains(&axis.ticks.len()), "{:?}", axis);
                prop_assert!(axis.ticks.iter().all(|tick| axis.range.contains(tick)), "{:?}", axis);
                prop_assert!(axis.ticks.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", axis);
                let labels: Vec<_> = axis.ticks.iter().map(|tick| axis.label(*tick)).collect();
                prop_assert!(labels.iter().all(|label| label.len() <= 20), "{:?} {:?}", labels, axis);
                prop_assert!(labels.windows(2).all(|pair| pair[0] != pair[1]), "{:?} {:?}", labels, axis);
                prop_assert!(axis.ticks.iter().all(|tick| axis.percent(*tick).len() <= 20), "{:?}", axis);
                for value in &values {
                    let share = axis.share(*value);
                    prop_assert!(!share.is_nan() && (share >= -1e-6 || *value < -LARGEST), "{} {:?}", value, axis);
                }
            }
        }

        #[test]
        fn a_duration_of_any_length_makes_an_axis(most in finite()) {
            let axis = Axis::upto(most);
            prop_assert!(axis.range.start() < axis.range.end() && !axis.ticks.is_empty(), "{:?}", axis);
        }
    }

    #[test]
    fn numbers_on_an_axis_have_the_digits_that_tell_them_apart() {
        let labels = |values: [f64; 2]| {
            let axis = Axis::values(values, f64::NEG_INFINITY..=f64::INFINITY);
            axis.ticks.iter().map(|tick| axis.label(*tick)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(labels([0.0, 3e5]), "0 5e4 1.0e5 1.5e5 2.0e5 2.5e5 3.0e5");
        assert_eq!(labels([1e6, 1e6 + 4.0]), "1.000000e6 1.000001e6 1.000002e6 1.000003e6 1.000004e6");
        assert_eq!(labels([1e-20, 3e-20]), "1.0e-20 1.5e-20 2.0e-20 2.5e-20 3.0e-20");
        let percent = Axis::values([0.5, 40.0], 0.0..=1.0);
        assert_eq!(
            percent.ticks.iter().map(|tick| percent.percent(*tick)).collect::<Vec<_>>().join(" "),
            "0 1000 2000 3000 4000"
        );
    }

    #[test]
    fn a_value_far_above_all_others_does_not_flatten_them() {
        let mut values = vec![1e8];
        values.extend((0..20).map(|n| 2.0 - f64::from(n) * 0.05));
        let axis = Axis::values(values, 0.0..=f64::INFINITY);
        assert!(*axis.range.end() < 2.2, "{axis:?}");
        assert_eq!(axis.beyond, Some(1e8));
    }

    #[test]
    fn a_trial_that_explodes_leaves_the_picture_to_the_others() {
        let good = || (0..20).map(|n| 2.0 - f64::from(n) * 0.05);
        let exploding = (0..40).map(|n| 2.0 + f64::from(n * n));
        let axis = Axis::about(good(), good().chain(exploding), 0.0..=f64::INFINITY);
        assert!(*axis.range.end() < 3.2 && axis.beyond == Some(1523.0), "{axis:?}");
        let axis = Axis::about(good(), good(), 0.0..=f64::INFINITY);
        assert_eq!(axis, Axis::values(good(), 0.0..=f64::INFINITY));
    }

    #[test]
    fn epochs_are_whole_numbers_from_the_first() {
        assert_eq!(Axis::epochs(0).ticks, [1.0]);
        assert_eq!(Axis::epochs(1).ticks, [1.0]);
        assert_eq!(Axis::epochs(4).ticks, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Axis::epochs(50).ticks, [1.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(Axis::epochs(12).ticks, [1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
    }
}
