//! Products of matrices in float32, with the sums in registers.
#![allow(unsafe_code, reason = "the innermost loop has no room for checks of bounds")]

use pulp::{Simd, WithSimd};

/// Width of a panel: columns of the right factor that are adjacent in memory.
pub const PANEL: usize = 16;

/// A matrix: its numbers, and the distances between its rows and columns.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    pub numbers: &'a [f32],
    pub steps: [usize; 2],
}

/// A matrix in panels of [`PANEL`] columns: its numbers, and the distances between its rows and between its panels.
#[derive(Clone, Copy)]
pub struct Right<'a> {
    pub numbers: &'a [f32],
    pub steps: [usize; 2],
}

/// Computes `left * right`, or adds it to what is there.
pub struct Product<'a> {
    pub left: Left<'a>,
    pub right: Right<'a>,
    /// Rows of the left factor, numbers that are summed, and panels of the right factor.
    pub sizes: [usize; 3],
    /// `[rows, panels * PANEL]`, and the distance between its rows
    pub to: &'a mut [f32],
    pub to_step: usize,
    pub add: bool,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Product { left, right, sizes: [rows, depth, panels], to, to_step, add } = self;
        assert!(rows > 0 && depth > 0 && panels > 0 && (rows - 1) * to_step + panels * PANEL <= to.len());
        assert!((rows - 1) * left.steps[0] + (depth - 1) * left.steps[1] < left.numbers.len());
        assert!((depth - 1) * right.steps[0] + (panels - 1) * right.steps[1] + PANEL <= right.numbers.len());
        // A register of sums for each row and each register of the columns, plus the factors.
        let (most, registers) = if S::F32_LANES == PANEL { (12, 2) } else { (6, 2) };
        let wide = registers * S::F32_LANES / PANEL;
        for panel in (0..panels).step_by(wide) {
            let many = wide.min(panels - panel);
            // Blocks have even heights, because low ones wait for memory.
            let blocks = rows.div_ceil(most);
            let mut from = 0;
            for block in 0..blocks {
                let end = rows * (block + 1) / blocks;
                // SAFETY: The assertions above show that the last position is inside of each slice.
                unsafe {
                    let block = Block {
                        left: left.numbers.as_ptr().add(from * left.steps[0]),
                        left_steps: left.steps,
                        right: right.numbers.as_ptr().add(panel * right.steps[1]),
                        right_step: right.steps[0],
                        depth,
                        to: to.as_mut_ptr().add(from * to_step + panel * PANEL),
                        to_step,
                        add,
                    };
                    let next = if S::F32_LANES == PANEL { [right.steps[1], PANEL] } else { [S::F32_LANES; 2] };
                    if S::F32_LANES == PANEL && many == 1 {
                        block.height::<S, 1>(simd, end - from, next);
                    } else {
                        block.height::<S, 2>(simd, end - from, next);
                    }
                }
                from = end;
            }
        }
    }
}

/// Part of the result whose sums fit into registers.
#[derive(Clone, Copy)]
struct Block {
    left: *const f32,
    left_steps: [usize; 2],
    right: *const f32,
    right_step: usize,
    depth: usize,
    to: *mut f32,
    to_step: usize,
    add: bool,
}

impl Block {
    #[inline(always)]
    unsafe fn height<S: Simd, const REGISTERS: usize>(self, simd: S, rows: usize, next: [usize; 2]) {
        macro_rules! with_rows {
            ($($rows:literal)*) => {
                match rows {
                    // SAFETY: The caller guarantees it.
                    $($rows => unsafe { self.sums::<S, $rows, REGISTERS>(simd, next) },)*
                    _ => unreachable!("blocks have at most 12 rows"),
                }
            };
        }
        with_rows!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// `next` is the distance between two registers of the right factor, and of the result.
    #[inline(always)]
    unsafe fn sums<S: Simd, const ROWS: usize, const REGISTERS: usize>(self, simd: S, next: [usize; 2]) {
        let zero = simd.splat_f32s(0.0);
        let mut sums = [[zero; REGISTERS]; ROWS];
        let (mut left, mut right) = (self.left, self.right);
        for _ in 0..self.depth {
            // SAFETY: The caller guarantees it.
            unsafe {
                let mut columns = [zero; REGISTERS];
                for (index, column) in columns.iter_mut().enumerate() {
                    *column = right.add(index * next[0]).cast::<S::f32s>().read_unaligned();
                }
                for (row, sums) in sums.iter_mut().enumerate() {
                    let factor = simd.splat_f32s(*left.add(row * self.left_steps[0]));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = simd.mul_add_f32s(factor, column, *sum);
                    }
                }
            }
            left = left.wrapping_add(self.left_steps[1]);
            right = right.wrapping_add(self.right_step);
        }
        for (row, sums) in sums.iter().enumerate() {
            for (index, &sum) in sums.iter().enumerate() {
                // SAFETY: The caller guarantees it.
                unsafe {
                    let place = self.to.add(row * self.to_step + index * next[1]).cast::<S::f32s>();
                    let sum = if self.add { simd.add_f32s(place.read_unaligned(), sum) } else { sum };
                    place.write_unaligned(sum);
                }
            }
        }
    }
}
