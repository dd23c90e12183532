//! Transformed weights, and their gradients.
#![allow(unsafe_code, reason = "transforms read and write kernels at strides")]

use super::super::Pass;
use super::PLANES;
use super::planes::plane;
use super::product::PANEL;
use super::transform::{At, POINTS, Weights, WeightsGradient, both};

/// Transforms weights `[side, side, rows, columns]` into panels.
pub struct Kernels<'a> {
    pub side: usize,
    pub size: [usize; 2],
    pub from: &'a [f32],
    pub to: &'a mut [f32],
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
        assert!(self.from.len() == SIDE * SIDE * rows * columns && self.to.len() == PLANES * plane(self.size));
        for row in 0..rows {
            for column in (0..columns).step_by(S::F32_LANES) {
                // SAFETY: The assertion shows that all weights of the row and column are in both slices.
                unsafe {
                    let from = At {
                        first: self.from.as_ptr().add(row * columns + column),
                        steps: [SIDE, 1].map(|many| many * rows * columns),
                    };
                    let place = (column / PANEL * rows + row) * PANEL + column % PANEL;
                    let to = At {
                        first: self.to.as_mut_ptr().add(place),
                        steps: [POINTS, 1].map(|many| many * plane(self.size)),
                    };
                    both::<Weights, SIDE, POINTS, S>(simd, from, to, false);
                }
            }
        }
    }
}

/// Transforms gradients `[plane][rows][columns]` back to those of weights `[side, side, rows, columns]`.
pub struct KernelsBack<'a> {
    pub side: usize,
    pub size: [usize; 2],
    pub from: &'a [f32],
    pub to: &'a mut [f32],
}

impl Pass for KernelsBack<'_> {
    fn size(&self) -> usize {
        self.from.len()
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

impl KernelsBack<'_> {
    #[inline(always)]
    fn of_side<const SIDE: usize, S: pulp::Simd>(self, simd: S) {
        let many = self.size[0] * self.size[1];
        assert!(self.to.len() == SIDE * SIDE * many && self.from.len() == PLANES * plane(self.size));
        for place in (0..many).step_by(S::F32_LANES) {
            // SAFETY: The assertion shows that all weights at this place are in both slices.
            unsafe {
                let from =
                    At { first: self.from.as_ptr().add(place), steps: [POINTS, 1].map(|many| many * plane(self.size)) };
                let to = At { first: self.to.as_mut_ptr().add(place), steps: [SIDE, 1].map(|side| side * many) };
                both::<WeightsGradient, POINTS, SIDE, S>(simd, from, to, false);
            }
        }
    }
}
