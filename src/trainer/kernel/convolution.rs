//! The gradient of a convolution's weights in bfloat16, with the processor's own instruction for it.
//!
//! `vdpbf16ps` multiplies two bfloat16 numbers by two others and adds both products to a float32, sixteen times at once.
//! The two are neighbouring places of an output row here: pictures and gradients are laid out as such pairs, a part small
//! enough for the second cache at a time, and each sum stays in a register for all places of the part. The gradients
//! for pictures and the values themselves are left to oneDNN, which is as fast with them; with this one it is not.
#![allow(unsafe_code, reason = "the instruction takes whole registers from memory")]

use std::arch::x86_64::*;
use std::ops::Range;

use tch::{Kind, TchError, Tensor};

use super::memory::{Bfloat16, dense, values, values_mut};
use super::{Pass, run};

/// Numbers in a register.
const LANES: usize = 16;
const PAIR_OF_ONES: u32 = 0x3f80_3f80;
/// Numbers after which memory is asked for those that come next: it answers late.
const AHEAD: usize = 1024;
/// Sums in registers: for so many weights of each of two registers of filters. Of 32 registers they leave four.
const ROWS: usize = 14;
/// Pairs that are laid out at once: half of a core's second cache, as they usually are.
const AT_ONCE: usize = (512 << 10) / size_of::<u32>();

/// A convolution of pictures that lie channels-last.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    /// The side of the kernel.
    pub kernel: usize,
    /// Places between two outputs.
    pub stride: usize,
    /// Rows and columns of zeros on either side.
    pub padding: [usize; 2],
}

/// Whether this processor has the instruction.
pub fn has_products() -> bool {
    is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")
}

impl Convolution {
    /// The loss' gradient for the weights `[o, c, kernel, kernel]`, channels-last, and for the biases `[o]`, both bfloat16,
    /// from what went in (`[n, c, h, w]`) and the gradient for what came out (`[n, o, y, x]`), both bfloat16.
    ///
    /// # Errors
    /// libtorch's, where there is no room.
    ///
    /// # Panics
    /// Without [`has_products`].
    pub fn weights_gradient(self, xs: &Tensor, gradient: &Tensor) -> Result<[Tensor; 2], TchError> {
        assert!(has_products());
        let (xs, gradient) = (dense(xs)?, dense(gradient)?);
        let [[pictures, channels, height, width], [_, filters, down, across]] =
            [&xs, &gradient].map(|tensor| [0, 1, 2, 3].map(|axis| tensor.size()[axis] as usize));
        let lanes = filters.next_multiple_of(LANES);
        let layout = Layout {
            of: self,
            input: [height, width],
            output: [down, across],
            pictures,
            channels,
            filters,
            lanes,
            pairs: across.div_ceil(2),
            span: across.div_ceil(2) + (self.kernel - 1) / (2 * self.stride),
            shifts: self.kernel.min(2 * self.stride),
        };
        let tiles = layout.tiles();
        let mut sums = vec![0.0; self.kernel * self.kernel * channels * lanes];
        let mut biases = vec![0.0; lanes];
        run(Products {
            layout: &layout,
            xs: values(&xs),
            gradient: values(&gradient),
            tiles: &tiles,
            sums: &mut sums,
            biases: Some(&mut biases),
        });

        let side = self.kernel as i64;
        let mut weights =
            Tensor::f_empty([filters as i64, side, side, channels as i64], (Kind::BFloat16, xs.device()))?;
        layout.sorted(&tiles, &sums, values_mut(&mut weights));
        let biases = Tensor::f_from_slice(&biases[..filters])?.f_to_kind(Kind::BFloat16)?;
        Ok([weights.f_permute([0, 3, 1, 2])?, biases])
    }
}

/// Which places are paired with which, and where the pairs lie.
///
/// A pair of outputs of a row, places 2j and 2j + 1, meets with the kernel's column k the inputs 2js + k and (2j + 1)s + k,
/// s the stride. Columns that differ by 2s meet the same pairs, one j further: a row is laid out once for each of
/// the `shifts` that are left, each pair with all channels.
struct Layout {
    of: Convolution,
    /// Rows and columns.
    input: [usize; 2],
    output: [usize; 2],
    pictures: usize,
    channels: usize,
    filters: usize,
    /// Filters, made up to whole registers with zeros.
    lanes: usize,
    /// Of outputs in a row.
    pairs: usize,
    /// Of inputs in a row, for one shift.
    span: usize,
    shifts: usize,
}

/// Weights whose sums are made at once: they lie side by side in a row of inputs.
struct Tile {
    /// The kernel's row.
    row: usize,
    shift: usize,
    /// Among (columns of this shift, channels).
    places: Range<usize>,
}

/// Some output rows of some pictures; of one picture if not all of its rows.
struct Part {
    pictures: Range<usize>,
    rows: Range<usize>,
}

impl Part {
    /// These rows of each of its pictures, of all pictures with so many rows of so many numbers.
    fn lines<'a>(
        &self,
        rows: &Range<usize>,
        [height, length]: [usize; 2],
        all: &'a [Bfloat16],
    ) -> impl Iterator<Item = &'a [Bfloat16]> {
        let rows = rows.clone();
        let lines = self.pictures.clone().flat_map(move |picture| rows.clone().map(move |row| picture * height + row));
        lines.map(move |line| &all[line * length..][..length])
    }
}

impl Layout {
    fn tiles(&self) -> Vec<Tile> {
        let mut tiles = Vec::new();
        for row in 0..self.of.kernel {
            for shift in 0..self.shifts {
                let places = (self.of.kernel - shift).div_ceil(2 * self.of.stride) * self.channels;
                // Evenly, as narrow tiles wait for memory.
                let many = places.div_ceil(ROWS);
                let ends = (0..=many).map(|index| places * index / many).collect::<Vec<_>>();
                tiles.extend(ends.windows(2).map(|ends| Tile { row, shift, places: ends[0]..ends[1] }));
            }
        }
        tiles
    }

    /// All of the work, in parts that fit into a cache.
    fn parts(&self) -> Vec<Part> {
        let row = self.shifts * self.span * self.channels * self.of.stride + self.pairs * self.lanes;
        let rows = (AT_ONCE / row).max(1);
        let down = self.output[0];
        if rows < down {
            let cuts = (0..down).step_by(rows).map(|from| from..(from + rows).min(down));
            let each = |picture| cuts.clone().map(move |rows| Part { pictures: picture..picture + 1, rows });
            (0..self.pictures).flat_map(each).collect()
        } else {
            let many = rows / down;
            let cut = |from| Part { pictures: from..(from + many).min(self.pictures), rows: 0..down };
            (0..self.pictures).step_by(many).map(cut).collect()
        }
    }

    /// Input rows that a part meets, those of the border left out.
    fn inputs(&self, part: &Part) -> Range<usize> {
        let Convolution { kernel, stride, padding: [above, _] } = self.of;
        let end = (part.rows.end - 1) * stride + kernel;
        (part.rows.start * stride).saturating_sub(above)..end.saturating_sub(above).min(self.input[0])
    }

    /// Of a part's output rows those that the kernel's row meets with an input, not with the border.
    fn met(&self, part: &Part, row: usize) -> Range<usize> {
        let Convolution { stride, padding: [above, _], .. } = self.of;
        let first = above.saturating_sub(row).div_ceil(stride);
        let end = (self.input[0] + above).saturating_sub(row).div_ceil(stride);
        part.rows.start.max(first)..part.rows.end.min(end)
    }

    /// An input row `[width, channels]` as pairs, for each shift.
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

    /// An output row `[across, filters]` as pairs.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn lay_outputs(&self, row: &[Bfloat16], pairs: &mut [u32]) {
        for (row, pair) in row.chunks(2 * self.filters).zip(pairs.chunks_exact_mut(self.lanes)) {
            let (first, second) = row.split_at(self.filters);
            lay(Some(first), (!second.is_empty()).then_some(second), &mut pair[..self.filters]);
        }
    }

    /// From `[weight in the order of the tiles, lanes]` to `[filters, kernel, kernel, channels]`.
    fn sorted(&self, tiles: &[Tile], sums: &[f32], weights: &mut [Bfloat16]) {
        let each = self.of.kernel * self.of.kernel * self.channels;
        let mut rows = sums.chunks_exact(self.lanes);
        for tile in tiles {
            for (place, sums) in tile.places.clone().zip(&mut rows) {
                let column = place / self.channels * 2 * self.of.stride + tile.shift;
                let at = (tile.row * self.of.kernel + column) * self.channels + place % self.channels;
                for (weight, sum) in weights[at..].iter_mut().step_by(each).zip(sums) {
                    *weight = Bfloat16::nearest(*sum);
                }
            }
        }
    }
}

struct Products<'a> {
    layout: &'a Layout,
    xs: &'a [Bfloat16],
    gradient: &'a [Bfloat16],
    tiles: &'a [Tile],
    /// `[weight in the order of the tiles, lanes]`.
    sums: &'a mut [f32],
    /// `[lanes]`, in one of the passes.
    biases: Option<&'a mut [f32]>,
}

impl Pass for Products<'_> {
    /// A value is what the other passes do to one: some ten products.
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
    fn run(self) {
        // SAFETY: `weights_gradient` looked whether the processor has the instructions.
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
            inputs.resize(part.pictures.len() * rows.len() * in_row, 0);
            outputs.resize(part.pictures.len() * part.rows.len() * out_row, 0);
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
                let row = (met.start * layout.of.stride + tile.row).saturating_sub(layout.of.padding[0] + rows.start);
                add(
                    these,
                    layout.lanes,
                    &Places {
                        counts: [part.pictures.len(), met.len(), layout.pairs],
                        inputs: &inputs[row * in_row + tile.shift * in_shift + tile.places.start..],
                        input_steps: [rows.len() * in_row, layout.of.stride * in_row, layout.channels],
                        outputs: &outputs[(met.start - part.rows.start) * out_row..],
                        output_steps,
                    },
                );
            }
            if let Some(biases) = &mut self.biases {
                let counts = [part.pictures.len(), part.rows.len(), layout.pairs];
                add(
                    biases,
                    layout.lanes,
                    &Places { counts, inputs: &[PAIR_OF_ONES], input_steps: [0; 3], outputs: &outputs, output_steps },
                );
            }
        }
    }
}

/// Pairs of each channel's numbers, with zeros for a place outside.
#[target_feature(enable = "avx512f,avx512bw")]
fn lay(first: Option<&[Bfloat16]>, second: Option<&[Bfloat16]>, pairs: &mut [u32]) {
    for from in (0..pairs.len()).step_by(2 * LANES) {
        let many = (pairs.len() - from).min(2 * LANES);
        let mask = u32::MAX >> (2 * LANES - many);
        let load = |place: Option<&[Bfloat16]>| match place {
            // SAFETY: only the numbers of the mask are read, and the slice has so many.
            Some(place) => unsafe {
                let place = place[from..from + many].as_ptr();
                _mm_prefetch::<_MM_HINT_T0>(place.wrapping_add(AHEAD).cast());
                _mm512_maskz_loadu_epi16(mask, place.cast())
            },
            None => _mm512_setzero_si512(),
        };
        let (first, second) = (load(first), load(second));
        let pairs = pairs[from..from + many].as_mut_ptr().cast();
        // SAFETY: likewise for what is written.
        unsafe {
            let low = _mm512_permutex2var_epi16(first, alternating(0), second);
            _mm512_mask_storeu_epi32(pairs, mask as u16, low);
            let high = _mm512_permutex2var_epi16(first, alternating(LANES as i16), second);
            _mm512_mask_storeu_epi32(pairs.add(LANES), (mask >> LANES) as u16, high);
        }
    }
}

/// Takes numbers of two registers in turn.
#[target_feature(enable = "avx512f")]
fn alternating(from: i16) -> __m512i {
    let places: [i16; 2 * LANES] = std::array::from_fn(|index| from + index as i16 / 2 + index as i16 % 2 * 32);
    // SAFETY: the array has the register's size.
    unsafe { _mm512_loadu_si512(places.as_ptr().cast()) }
}

/// Where pairs meet: for each picture, each row of it and each pair of the row.
struct Places<'a> {
    counts: [usize; 3],
    /// From the pair of the first weight at the first place.
    inputs: &'a [u32],
    /// From place to place.
    input_steps: [usize; 3],
    /// From the pair of the first filter at the first place.
    outputs: &'a [u32],
    output_steps: [usize; 3],
}

/// Adds to the sums `[weights, lanes]` the products at all places.
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
    if places.counts.contains(&0) {
        return;
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
    for picture in 0..counts[0] {
        for row in 0..counts[1] {
            let mut input = picture * input_steps[0] + row * input_steps[1];
            let mut output = picture * output_steps[0] + row * output_steps[1] + from;
            for _ in 0..counts[2] {
                // SAFETY: no place is behind the last one, and that is within both slices, as asserted above.
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
            // SAFETY: the array has the register's size.
            unsafe { _mm512_storeu_ps(found.as_mut_ptr(), *register) };
            sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
        }
    }
}

/// The same bits.
#[inline(always)]
fn as_pairs(register: __m512) -> __m512bh {
    // SAFETY: both are 512 bits of which any value is good.
    unsafe { std::mem::transmute(register) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Against libtorch in float64 on the same numbers: even and odd sides and kernels, strides, borders, channels and
    /// filters that fill no register, parts of one picture and parts of many.
    #[test]
    fn gradients_are_those_of_libtorch() {
        if !has_products() {
            return;
        }
        let cases = [
            // pictures, channels, height, width, filters, kernel, stride, padding
            [3, 3, 9, 8, 32, 3, 1, 1],
            [2, 3, 35, 35, 64, 4, 1, 0],
            [2, 32, 30, 30, 64, 5, 2, 0],
            [5, 96, 7, 7, 96, 3, 2, 0],
            [9, 40, 8, 8, 128, 3, 1, 1],
            [2, 2, 11, 6, 5, 2, 3, 1],
            [1, 1, 1, 1, 1, 1, 1, 0],
            [3, 5, 5, 3, 17, 5, 1, 2],
            [2, 7, 6, 9, 33, 1, 2, 0],
            [1, 64, 40, 60, 48, 7, 1, 3],
        ];
        for case in cases {
            let [n, c, h, w, o, k, stride, padding] = case;
            tch::manual_seed(1);
            let lain = |size: [i64; 4]| {
                let tensor = Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(Kind::BFloat16);
                tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
            };
            let xs = lain([n, c, h, w]);
            let weights = Tensor::zeros([o, c, k, k], (Kind::Double, Device::Cpu)).set_requires_grad(true);
            let biases = Tensor::zeros([o], (Kind::Double, Device::Cpu)).set_requires_grad(true);
            let double = xs.to_kind(Kind::Double);
            let ys = double.conv2d(&weights, Some(&biases), [stride; 2], [padding; 2], [1; 2], 1);
            let gradient = lain(ys.size().try_into().unwrap());
            let slopes = (ys * gradient.to_kind(Kind::Double)).sum(Kind::Double);
            let expected = Tensor::run_backward(&[slopes], &[&weights, &biases], false, false);

            let padding = [padding as usize; 2];
            let convolution = Convolution { kernel: k as usize, stride: stride as usize, padding };
            let found = convolution.weights_gradient(&xs, &gradient).unwrap();
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.size(), expected.size());
                let off = (found.to_kind(Kind::Double) - expected).abs();
                // Half of a bfloat16's last digit, and float32's where products cancel out.
                let bound = expected.abs() / 256.0 + 1e-5 * (n * h * w) as f64;
                assert!((off - bound).max().double_value(&[]) <= 0.0, "{case:?}");
            }
        }
    }
}
