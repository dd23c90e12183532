//! The gradient of a convolution's weights in bfloat16: the same number of products as the way forward, for which oneDNN
//! takes half as long again.
//!
//! See `products` for how they are added up, and why numbers go in pairs. The gradients for pictures and the values
//! themselves are left to oneDNN.

use std::ops::Range;

use tch::{Kind, TchError, Tensor};

use super::memory::{Bfloat16, dense, values, values_mut};
use super::products::{LANES, Products, ROWS, has_products};
use super::run;

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
pub struct Layout {
    pub of: Convolution,
    /// Rows and columns.
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub pictures: usize,
    pub channels: usize,
    pub filters: usize,
    /// Filters, made up to whole registers with zeros.
    pub lanes: usize,
    /// Of outputs in a row.
    pub pairs: usize,
    /// Of inputs in a row, for one shift.
    pub span: usize,
    pub shifts: usize,
}

/// Weights whose sums are made at once: they lie side by side in a row of inputs.
pub struct Tile {
    /// The kernel's row.
    pub row: usize,
    pub shift: usize,
    /// Among (columns of this shift, channels).
    pub places: Range<usize>,
}

/// Some output rows of some pictures; of one picture if not all of its rows.
pub struct Part {
    pub pictures: Range<usize>,
    pub rows: Range<usize>,
}

impl Part {
    /// These rows of each of its pictures, of all pictures with so many rows of so many numbers.
    pub fn lines<'a>(
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
    pub fn parts(&self) -> Vec<Part> {
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
    pub fn inputs(&self, part: &Part) -> Range<usize> {
        let Convolution { kernel, stride, padding: [above, _] } = self.of;
        let end = (part.rows.end - 1) * stride + kernel;
        (part.rows.start * stride).saturating_sub(above)..end.saturating_sub(above).min(self.input[0])
    }

    /// Of a part's output rows those that the kernel's row meets with an input, not with the border.
    pub fn met(&self, part: &Part, row: usize) -> Range<usize> {
        let Convolution { stride, padding: [above, _], .. } = self.of;
        let first = above.saturating_sub(row).div_ceil(stride);
        let end = (self.input[0] + above).saturating_sub(row).div_ceil(stride);
        part.rows.start.max(first)..part.rows.end.min(end)
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
            [1, 32, 5, 2000, 16, 7, 1, 3], // single rows
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
