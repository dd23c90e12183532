//! Transformed weights, and their gradients.
#![allow(unsafe_code, reason = "transforms read and write kernels at strides")]

use super::super::Pass;
use super::PLANES;
use super::planes::plane;
use super::product::PANEL;
use super::transform::{At, POINTS, Weights, WeightsGradient, both};

/// Transforms weights `[side, side, rows, columns]` into panels, `[plane][panels][rows][PANEL]`, or their transformed
/// gradients `[plane][rows][columns]` back. It runs in one thread.
pub struct Kernels<'a> {
    pub side: usize,
    pub size: [usize; 2],
    pub from: &'a [f32],
    pub to: &'a mut [f32],
    pub back: bool,
}

impl Pass for Kernels<'_> {
    fn size(&self) -> usize {
        self.to.len()
    }

    fn halves(self) -> (Self, Self) {
        unreachable!("it runs in one thread")
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.side {
            2 => self.of_side::<2, S>(simd),
            3 => self.of_side::<3, S>(simd),
            4 => self.of_side::<4, S>(simd),
            _ => self.of_side::<5, S>(simd),
        }
    }
}

impl Kernels<'_> {
    #[inline(always)]
    fn of_side<const SIDE: usize, S: pulp::Simd>(self, simd: S) {
        let [rows, columns] = self.size;
        let (plain, transformed) = (SIDE * SIDE * rows * columns, PLANES * plane(self.size));
        let lengths = if self.back { [transformed, plain] } else { [plain, transformed] };
        assert!([self.from.len(), self.to.len()] == lengths);
        let plain = [SIDE, 1].map(|many| many * rows * columns);
        let transformed = [POINTS, 1].map(|many| many * plane(self.size));
        for row in 0..rows {
            for column in (0..columns).step_by(S::F32_LANES) {
                let place = row * columns + column;
                let in_panel = (column / PANEL * rows + row) * PANEL + column % PANEL;
                // SAFETY: The assertion shows that all weights of the row and column are in both slices.
                unsafe {
                    let from = self.from.as_ptr().add(place);
                    if self.back {
                        let (from, to) = (
                            At { first: from, steps: transformed },
                            At { first: self.to.as_mut_ptr().add(place), steps: plain },
                        );
                        both::<WeightsGradient, POINTS, SIDE, S>(simd, from, to, false);
                    } else {
                        let to = At { first: self.to.as_mut_ptr().add(in_panel), steps: transformed };
                        both::<Weights, SIDE, POINTS, S>(simd, At { first: from, steps: plain }, to, false);
                    }
                }
            }
        }
    }
}
