//! Cheap random bits for dropout: a hash of a key and a counter, which a processor computes for several counters at
//! once.

/// The random numbers of one key. Number i depends only on the key and on i.
///
/// The hash is Wellons' triple32 (<https://github.com/skeeto/hash-prospector>). The second half of the key is added
/// after the first of its three multiplications, so that the numbers of two keys are not shifted copies of each other.
/// The hash is not cryptographic.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    key: [u32; 2],
}

impl Chance {
    /// Creates the stream of a key, which must itself be random.
    pub const fn new(key: [u32; 2]) -> Chance {
        Chance { key }
    }

    /// Returns the key.
    pub const fn key(self) -> [u32; 2] {
        self.key
    }

    #[inline(always)]
    fn number(self, counter: u32) -> u32 {
        let mut x = counter ^ self.key[0];
        x = (x ^ x >> 17).wrapping_mul(0xed5a_d4bb).wrapping_add(self.key[1]);
        x = (x ^ x >> 11).wrapping_mul(0xac4c_1b51);
        x = (x ^ x >> 15).wrapping_mul(0x3184_8bab);
        x ^ x >> 14
    }

    /// Fills a row with 16 random bits per element. Each hash value serves one element of the first half of the row and
    /// one of the second half. Two rows of the same key share no hash value if their `first` differ by at least half a
    /// row.
    #[inline(always)]
    pub fn fill<const N: usize>(self, first: u32, row: &mut [u16; N]) {
        let (low, high) = row.split_at_mut(N / 2);
        for ((low, high), counter) in low.iter_mut().zip(high).zip(first..) {
            let number = self.number(counter);
            *low = number as u16;
            *high = (number >> 16) as u16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(key: [u32; 2], first: u32) -> Vec<u16> {
        let mut row = Box::new([0; 1 << 17]);
        Chance::new(key).fill(first, &mut row);
        row.to_vec()
    }

    /// Asserts that Pearson's chi-squared statistic over 256 equally likely cells is plausible. Its mean is 255 and its
    /// standard deviation is 22.6. Six standard deviations are allowed.
    fn assert_even(cells: impl Iterator<Item = usize>) {
        let mut counts = [0.0_f64; 256];
        cells.for_each(|cell| counts[cell] += 1.0);
        let expected = counts.iter().sum::<f64>() / 256.0;
        let statistic: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
        assert!((255.0 - 136.0..255.0 + 136.0).contains(&statistic), "{statistic}");
    }

    #[test]
    fn bits_are_even_alone_in_neighbors_and_between_steps() {
        for key in [[0, 0], [1, 0], [0x9e37_79b9, 0x7f4a_7c15]] {
            let row = bits(key, 0);
            assert_even(row.iter().map(|&bits| usize::from(bits >> 8)));
            assert_even(row.iter().map(|&bits| usize::from(bits & 255)));
            assert_even(row.windows(2).step_by(2).map(|pair| usize::from(pair[0] >> 12 << 4 | pair[1] >> 12)));
            for other in [bits([key[0], key[1] + 1], 0), bits([key[0] ^ 1, key[1]], 0), bits(key, 1 << 16)] {
                assert_even(row.iter().zip(&other).map(|(a, b)| usize::from(a >> 12 << 4 | b >> 12)));
            }
        }
    }
}
