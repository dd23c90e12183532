//! Decides whether a trial may join the trials on a device. The module is pure.
//!
//! While the memory and time of a trial's shape are unknown, the trial has a GPU to itself. A trial that ran out of
//! memory has its device to itself until it ends.

use sweep_core::shape::Shape;

/// Share of a GPU's memory that trials may use. No allocator can use all of it.
const LENT: f64 = 0.95;

/// Add another trial to a GPU only if the previous one raised total throughput by at least this factor.
const WORTH: f64 = 1.05;

/// A trial on a device, or one that might join.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Occupant<'a> {
    /// Measurements of the trial's shape, if there are any.
    pub shape: Option<&'a Shape>,
    /// GPU memory that the trial's process holds, in bytes, including memory left by earlier trials.
    pub held: u64,
    /// Whether an attempt of the trial ran out of memory.
    pub crowded: bool,
}

/// A device and the trials on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceLoad<'a> {
    /// Whether `per_gpu: auto` applies. If so, measurements decide, in addition to the number of slots.
    pub auto: bool,
    /// GPU memory available to all trials together, in bytes. `None` if the driver does not report it.
    pub room: Option<u64>,
    /// GPU memory held by ready trainers, in bytes.
    pub idle: u64,
    pub trials: Vec<Occupant<'a>>,
}

impl Occupant<'_> {
    /// Returns the memory in bytes that the trial needs or already holds. `None` while its shape is unknown.
    pub fn need(&self) -> Option<u64> {
        Some(self.shape?.memory?.max(self.held))
    }

    /// Returns whether every additional trial of this shape raised the throughput enough, up to `together` trials. An
    /// unmeasured number of trials is tried, one more at a time.
    fn gains(&self, together: u32) -> bool {
        let Some(shape) = self.shape else { return together == 1 };
        (2..=together).all(|count| match (shape.speed(count - 1), shape.speed(count)) {
            (Some(before), Some(now)) => now >= WORTH * before,
            (Some(_), None) => count == together,
            (None, _) => false,
        })
    }
}

impl DeviceLoad<'_> {
    /// Returns whether a trial may join. It always may if there is no other trial.
    pub fn takes(&self, candidate: Occupant) -> bool {
        if self.trials.is_empty() {
            return true;
        }
        let all = || self.trials.iter().chain([&candidate]);
        let together = self.trials.len() as u32 + 1;
        let most = |occupant: &Occupant| occupant.shape.and_then(|shape| shape.most).unwrap_or(u32::MAX);
        if all().any(|occupant| occupant.crowded || together > most(occupant)) {
            return false;
        }
        if !self.auto {
            return true;
        }
        let need: Option<u64> = all().map(Occupant::need).sum();
        let (Some(need), Some(room)) = (need, self.room) else { return false };
        (need + self.idle) as f64 <= LENT * room as f64 && all().all(|occupant| occupant.gains(together))
    }

    /// Returns whether the trials on the device can be paused for a trial that needs the device to itself. They cannot
    /// while one of them itself needs to be alone.
    pub fn gives_way(&self) -> bool {
        self.trials.iter().all(|trial| !trial.crowded && (!self.auto || trial.need().is_some()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use sweep_core::shape::Fact;

    const GIB: u64 = 1 << 30;

    /// Returns a shape with this memory, whose epochs take `seconds` with 1, 2, ... trials on the GPU.
    fn shape(gibibytes: u64, seconds: &[f64]) -> Shape {
        let mut shape = Shape { memory: Some(gibibytes * GIB), ..Shape::default() };
        for (together, seconds) in (1..).zip(seconds) {
            shape.learn(Fact::Epoch { together, seconds: *seconds });
        }
        shape
    }

    fn occupant(shape: &Shape) -> Occupant<'_> {
        Occupant { shape: Some(shape), held: 0, crowded: false }
    }

    fn load<'a>(shape: &'a Shape, trials: usize) -> DeviceLoad<'a> {
        DeviceLoad { auto: true, room: Some(40 * GIB), idle: 0, trials: vec![occupant(shape); trials] }
    }

    /// Returns how many trials of a shape fit on an empty GPU.
    fn together(shape: &Shape) -> usize {
        (0..100).find(|trials| !load(shape, *trials).takes(occupant(shape))).unwrap_or(100)
    }

    #[test]
    fn memory_and_throughput_say_how_many_trials_share_a_gpu() {
        let fast = [1.0; 100];
        assert_eq!(together(&shape(9, &fast)), 4, "38 GiB of 40 are lent");
        assert_eq!(together(&shape(50, &fast)), 1, "alone it may try");
        assert_eq!(together(&shape(1, &[1.0, 1.2, 1.5, 2.4])), 3, "four would do less than three");
        assert_eq!(together(&shape(1, &[1.0, 1.2])), 3, "the next step is tried");
        assert_eq!(together(&shape(1, &[])), 1, "until its time alone is known");
        assert_eq!(together(&Shape::default()), 1, "until anything is known");
        let mut lacking = shape(1, &fast);
        lacking.learn(Fact::Most(2));
        assert_eq!(together(&lacking), 2);
    }

    #[test]
    fn a_number_in_the_file_counts_but_for_shapes_that_lacked_memory() {
        let mut known = shape(30, &[1.0, 9.0]);
        let fixed = |shape: &Shape| DeviceLoad { auto: false, ..load(shape, 2) }.takes(occupant(shape));
        assert!(fixed(&known) && fixed(&Shape::default()));
        known.learn(Fact::Most(2));
        assert!(!fixed(&known));
    }

    #[test]
    fn a_trial_that_lacked_memory_is_alone_to_its_end() {
        let known = shape(1, &[1.0; 9]);
        let crowded = Occupant { crowded: true, ..occupant(&known) };
        assert!(!load(&known, 1).takes(crowded) && load(&known, 0).takes(crowded));
        let alone = DeviceLoad { trials: vec![crowded], ..load(&known, 0) };
        assert!(!alone.takes(occupant(&known)) && !alone.gives_way() && load(&known, 1).gives_way());
        assert!(!load(&Shape::default(), 1).gives_way(), "it has not shown yet what it needs");
    }

    proptest! {
        /// For any sequence of trials, the known needs on a GPU never exceed its memory, unless one trial is alone
        /// there. A trial of an unknown shape is always alone.
        #[test]
        fn never_more_than_memory_allows(
            shapes in prop::collection::vec(
                (prop::option::of(0_u64..60), prop::option::of(1_u32..5), prop::collection::vec(0.1..9.0_f64, 0..6)),
                1..5,
            ),
            comings in prop::collection::vec((0_usize..5, 0_u64..50, any::<bool>(), any::<bool>()), 1..40),
            idle in 0_u64..20,
        ) {
            let known = |(memory, most, seconds): &(Option<u64>, Option<u32>, Vec<f64>)| Shape {
                memory: memory.map(|memory| memory * GIB),
                most: *most,
                ..shape(0, seconds)
            };
            let shapes: Vec<Shape> = shapes.iter().map(known).collect();
            let room = Some(40 * GIB);
            let mut gpu = DeviceLoad { auto: true, room, idle: idle * GIB, trials: Vec::new() };
            for (which, held, crowded, leaves) in comings {
                if leaves {
                    gpu.trials.pop();
                }
                let shape = Some(&shapes[which % shapes.len()]);
                let candidate = Occupant { shape, held: held * GIB, crowded };
                if gpu.takes(candidate) {
                    gpu.trials.push(candidate);
                }
                let count = gpu.trials.len();
                prop_assert!(count > 0, "an empty GPU takes any");
                if count > 1 {
                    let needs: Option<u64> = gpu.trials.iter().map(Occupant::need).sum();
                    prop_assert!(needs.is_some_and(|needs| needs + gpu.idle <= 40 * GIB), "{gpu:?}");
                    let most = |trial: &Occupant| trial.shape.and_then(|shape| shape.most);
                    prop_assert!(gpu.trials.iter().filter_map(most).all(|most| count <= most as usize), "{gpu:?}");
                    prop_assert!(!gpu.trials.iter().any(|trial| trial.crowded), "{gpu:?}");
                }
            }
        }

        /// If a number of trials ran out of memory together, that number does not share a GPU again.
        #[test]
        fn lack_of_memory_lowers_the_packing(seconds in prop::collection::vec(0.1..9.0_f64, 0..9), at in 2_u32..9) {
            let mut known = shape(1, &seconds);
            let before = together(&known);
            known.learn(Fact::Most(at - 1));
            prop_assert_eq!(together(&known), before.min(at as usize - 1));
        }
    }
}
