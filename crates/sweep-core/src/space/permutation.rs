//! A pseudorandom order of all numbers below `count`, without a list of them.

use rand::Rng;

use crate::random::{Purpose, stream};

const ROUNDS: usize = 8;

/// A bijection on the numbers below `count`. It is a Feistel network over the next even number of bits. It follows the
/// network's cycle until a number is below `count` again (Black and Rogaway 2002).
#[derive(Debug, Clone)]
pub struct Permutation {
    count: u64,
    /// Bits in each half.
    half: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// Builds the permutation of the numbers below `count` that belongs to the seed.
    pub fn new(seed: u64, count: u64) -> Permutation {
        // Configurations count from 1, so number 0 is free for this stream.
        let mut chance = stream(seed, 0, 0, Purpose::Point);
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Permutation { count, half: bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| chance.next_u64()) }
    }

    /// Returns the number at position `at`. `None` past the end.
    pub fn get(&self, at: u64) -> Option<u64> {
        if at >= self.count {
            return None;
        }
        // The network covers less than four times as many numbers, so a few steps reach one below `count`. One exists
        // for certain, because the cycle returns to `at`.
        let mut number = self.network(at);
        while number >= self.count {
            number = self.network(number);
        }
        Some(number)
    }

    fn network(&self, number: u64) -> u64 {
        let mask = (1_u64 << self.half) - 1;
        let (mut left, mut right) = (number >> self.half, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half | right
    }
}

/// Finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on every bit of `x`.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_once(seed: u64, count in 1..500_u64) {
            let permutation = Permutation::new(seed, count);
            let mut all: Vec<_> = (0..count).filter_map(|at| permutation.get(at)).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
            prop_assert_eq!(permutation.get(count), None);
        }
    }

    #[test]
    fn the_largest_count_works_and_seeds_differ() {
        let order = |seed| (0..8).filter_map(|at| Permutation::new(seed, u64::MAX).get(at)).collect::<Vec<_>>();
        assert_eq!(order(1).len(), 8);
        assert_ne!(order(1), order(2));
    }
}
