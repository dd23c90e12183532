//! Sums of products of bfloat16 numbers, with the processor's instruction for them.
//!
//! `vdpbf16ps` multiplies two bfloat16 numbers by two others and adds both products to a float32, in sixteen lanes at
//! once. Here the two numbers are neighbors in an output row. Images and gradients are laid out as such pairs, one part
//! at a time, and a part fits into the L2 cache. Each sum stays in a register for all elements of the part.
#![allow(unsafe_code, reason = "the instructions take whole registers from memory")]

use std::arch::x86_64::*;

use super::convolution::{Layout, Tile};
use super::memory::Bfloat16;
use super::{Pass, avx2_at_most};

/// Number of float32 numbers in a register.
pub const LANES: usize = 16;
/// Maximum number of weights in a tile. Each weight has sums in two registers of filters, which leaves four of the 32
/// registers.
pub const ROWS: usize = 14;
/// Prefetch distance, in numbers. It hides the memory latency.
const AHEAD: usize = 1024;
const PAIR_OF_ONES: u32 = 0x3f80_3f80;

/// Returns whether this processor supports the instruction.
pub fn has_products() -> bool {
    !avx2_at_most() && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")
}

/// The part of the work that one thread does.
pub struct Products<'a> {
    pub layout: &'a Layout,
    pub xs: &'a [Bfloat16],
    pub gradient: &'a [Bfloat16],
    pub tiles: &'a [Tile],
    /// Sums of the weights' gradients, `[weight in tile order, lanes]`.
    pub sums: &'a mut [f32],
    /// Sums of the biases' gradients, `[lanes]`. Only one of the passes has them.
    pub biases: Option<&'a mut [f32]>,
}

impl Pass for Products<'_> {
    /// Converts the work to the unit of the other passes: one of their values costs about ten products.
    fn size(&self) -> usize {
        self.sums.len() * self.gradient.len() / self.layout.filters / 320
    }

    fn halves(self) -> (Self, Self) {
        let Products { layout, xs, gradient, tiles, sums, biases } = self;
        let (first, second) = tiles.split_at(tiles.len() / 2);
        let weights = first.iter().map(|tile| tile.places.len()).sum::<usize>();
        let (sums, rest) = sums.split_at_mut(weights * layout.lanes);
        (
            Products { layout, xs, gradient, tiles: first, sums, biases },
            Products { layout, xs, gradient, tiles: second, sums: rest, biases: None },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, _: S) {
        // SAFETY: `weights_gradient` has checked that the processor supports the instructions.
        unsafe { self.add_up() };
    }
}

impl Products<'_> {
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    fn add_up(mut self) {
        let layout = self.layout;
        let ([height, width], [down, across]) = (layout.input, layout.output);
        let in_shift = layout.span * layout.channels;
        let (in_row, out_row) = (layout.shifts * in_shift, layout.pairs * layout.lanes);
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for part in layout.parts() {
            let rows = layout.inputs(&part);
            inputs.resize(part.images.len() * rows.len() * in_row, 0);
            outputs.resize(part.images.len() * part.rows.len() * out_row, 0);
            for (pairs, row) in
                inputs.chunks_exact_mut(in_row).zip(part.lines(&rows, [height, width * layout.channels], self.xs))
            {
                layout.lay_inputs(row, pairs);
            }
            let lines = part.lines(&part.rows, [down, across * layout.filters], self.gradient);
            for (pairs, row) in outputs.chunks_exact_mut(out_row).zip(lines) {
                layout.lay_outputs(row, pairs);
            }

            let output_steps = [part.rows.len() * out_row, out_row, layout.lanes];
            let mut sums = &mut *self.sums;
            for tile in self.tiles {
                let (these, rest) = sums.split_at_mut(tile.places.len() * layout.lanes);
                sums = rest;
                let met = layout.met(&part, tile.row);
                if met.is_empty() {
                    continue;
                }
                let row = met.start * layout.of.stride + tile.row - layout.of.padding[0] - rows.start;
                add(
                    these,
                    layout.lanes,
                    &Places {
                        counts: [part.images.len(), met.len(), layout.pairs],
                        inputs: &inputs[row * in_row + tile.shift * in_shift + tile.places.start..],
                        input_steps: [rows.len() * in_row, layout.of.stride * in_row, layout.channels],
                        outputs: &outputs[(met.start - part.rows.start) * out_row..],
                        output_steps,
                    },
                );
            }
            if let Some(biases) = &mut self.biases {
                let counts = [part.images.len(), part.rows.len(), layout.pairs];
                add(
                    biases,
                    layout.lanes,
                    &Places { counts, inputs: &[PAIR_OF_ONES], input_steps: [0; 3], outputs: &outputs, output_steps },
                );
            }
        }
    }
}

impl Layout {
    /// Lays out an input row `[width, channels]` as pairs, once for each shift.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn lay_inputs(&self, row: &[Bfloat16], pairs: &mut [u32]) {
        let (channels, stride, left) = (self.channels, self.of.stride, self.of.padding[1]);
        let at = |column: usize| {
            let from = column.checked_sub(left)? * channels;
            row.get(from..from + channels)
        };
        for (shift, pairs) in pairs.chunks_exact_mut(self.span * channels).enumerate() {
            for (index, pair) in pairs.chunks_exact_mut(channels).enumerate() {
                let first = index * 2 * stride + shift;
                lay(at(first), at(first + stride), pair);
            }
        }
    }

    /// Lays out an output row `[across, filters]` as pairs.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn lay_outputs(&self, row: &[Bfloat16], pairs: &mut [u32]) {
        for (row, pair) in row.chunks(2 * self.filters).zip(pairs.chunks_exact_mut(self.lanes)) {
            let (first, second) = row.split_at(self.filters);
            lay(Some(first), (!second.is_empty()).then_some(second), &mut pair[..self.filters]);
        }
    }
}

/// Pairs the numbers of each channel. A position outside the row contributes zeros.
#[target_feature(enable = "avx512f,avx512bw")]
fn lay(first: Option<&[Bfloat16]>, second: Option<&[Bfloat16]>, pairs: &mut [u32]) {
    for from in (0..pairs.len()).step_by(2 * LANES) {
        let many = (pairs.len() - from).min(2 * LANES);
        let mask = u32::MAX >> (2 * LANES - many);
        let load = |place: Option<&[Bfloat16]>| match place {
            // SAFETY: Only the numbers selected by the mask are read, and the slice contains them.
            Some(place) => unsafe {
                let place = place[from..from + many].as_ptr();
                _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(AHEAD).cast());
                _mm512_maskz_loadu_epi16(mask, place.cast())
            },
            None => _mm512_setzero_si512(),
        };
        let (first, second) = (load(first), load(second));
        let pairs = pairs[from..from + many].as_mut_ptr().cast();
        // SAFETY: Only the numbers selected by the mask are written, and the slice contains them.
        unsafe {
            let low = _mm512_permutex2var_epi16(first, alternating(0), second);
            _mm512_mask_storeu_epi32(pairs, mask as u16, low);
            let high = _mm512_permutex2var_epi16(first, alternating(LANES as i16), second);
            _mm512_mask_storeu_epi32(pairs.wrapping_add(LANES), (mask >> LANES) as u16, high);
        }
    }
}

/// Returns the permutation that takes numbers from two registers alternately.
#[target_feature(enable = "avx512f")]
fn alternating(from: i16) -> __m512i {
    let places: [i16; 2 * LANES] = std::array::from_fn(|index| from + index as i16 / 2 + index as i16 % 2 * 32);
    // SAFETY: The array has the size of the register.
    unsafe { _mm512_loadu_si512(places.as_ptr().cast()) }
}

/// The pairs to be multiplied: for each image, each of its rows and each pair of the row.
struct Places<'a> {
    counts: [usize; 3],
    /// Starts at the pair of the first weight at the first position.
    inputs: &'a [u32],
    /// Strides between images, rows and pairs.
    input_steps: [usize; 3],
    /// Starts at the pair of the first filter at the first position.
    outputs: &'a [u32],
    output_steps: [usize; 3],
}

/// Adds the products at all positions to the sums `[weights, lanes]`.
#[target_feature(enable = "avx512f,avx512bf16")]
fn add(sums: &mut [f32], lanes: usize, places: &Places) {
    macro_rules! with_rows {
        ($registers:literal, $from:expr, $($rows:literal)*) => {
            match sums.len() / lanes {
                $($rows => add_tile::<$rows, $registers>(sums, lanes, $from, places),)*
                _ => unreachable!("tiles have at most {ROWS} weights"),
            }
        };
    }
    for from in (0..lanes).step_by(2 * LANES) {
        if from + LANES < lanes {
            with_rows!(2, from, 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        } else {
            with_rows!(1, from, 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bf16")]
fn add_tile<const ROWS: usize, const REGISTERS: usize>(sums: &mut [f32], lanes: usize, from: usize, places: &Places) {
    let Places { counts, inputs, input_steps, outputs, output_steps } = places;
    let last = |steps: &[usize; 3]| (0..3).map(|axis| (counts[axis] - 1) * steps[axis]).sum::<usize>();
    assert!(sums.len() == ROWS * lanes && from + REGISTERS * LANES <= lanes);
    assert!(last(input_steps) + ROWS <= inputs.len() && last(output_steps) + lanes <= outputs.len());
    let mut registers = [[_mm512_set1_ps(0.0); REGISTERS]; ROWS];
    for image in 0..counts[0] {
        for row in 0..counts[1] {
            let mut input = image * input_steps[0] + row * input_steps[1];
            let mut output = image * output_steps[0] + row * output_steps[1] + from;
            for _ in 0..counts[2] {
                // SAFETY: No position is beyond the last one, and the assertions above show that the last one is within
                // both slices.
                unsafe {
                    let mut filters = [as_pairs(_mm512_set1_ps(0.0)); REGISTERS];
                    for (index, filter) in filters.iter_mut().enumerate() {
                        *filter = as_pairs(_mm512_loadu_ps(outputs.as_ptr().add(output + index * LANES).cast()));
                    }
                    for (index, registers) in registers.iter_mut().enumerate() {
                        let weight = *inputs.as_ptr().add(input + index);
                        let weight = as_pairs(_mm512_set1_ps(f32::from_bits(weight)));
                        for (register, filter) in registers.iter_mut().zip(filters) {
                            *register = _mm512_dpbf16_ps(*register, weight, filter);
                        }
                    }
                }
                input += input_steps[2];
                output += output_steps[2];
            }
        }
    }
    for (registers, sums) in registers.iter().zip(sums.chunks_exact_mut(lanes)) {
        for (register, sums) in registers.iter().zip(sums[from..].chunks_exact_mut(LANES)) {
            let mut found = [0.0; LANES];
            // SAFETY: The array has the size of the register.
            unsafe { _mm512_storeu_ps(found.as_mut_ptr(), *register) };
            sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
        }
    }
}

/// Reinterprets the bits of a register.
#[inline(always)]
fn as_pairs(register: __m512) -> __m512bh {
    // SAFETY: Both types have 512 bits, and every bit pattern is valid.
    unsafe { std::mem::transmute(register) }
}
