//! The weight gradient of a convolution in bfloat16. It takes the same number of products as the forward pass, but
//! oneDNN takes 1.5 times as long for it.
//!
//! See `products` for how the products are summed and why numbers are paired. The forward pass and the input gradient
//! are left to oneDNN.

use std::ops::Range;

use tch::{Kind, TchError, Tensor};

use super::memory::{Bfloat16, Element, dense, values, values_mut};
use super::products::{LANES, Products, ROWS, has_products};
use super::run;

/// Number of pairs that are laid out at once. They fill half of a typical core's L2 cache.
const AT_ONCE: usize = (512 << 10) / size_of::<u32>();

/// A convolution of channels-last images.
#[derive(Debug, Clone, Copy)]
pub struct Convolution {
    /// Side of the kernel, in pixels.
    pub kernel: usize,
    /// Distance between two neighboring outputs, in input pixels.
    pub stride: usize,
    /// Rows and columns of zeros on each side.
    pub padding: [usize; 2],
}

impl Convolution {
    /// Computes the gradients of the loss with respect to the weights `[o, c, kernel, kernel]`, channels-last, and the
    /// biases `[o]`. The arguments are the layer's input `[n, c, h, w]` and the gradient with respect to its output
    /// `[n, o, y, x]`. All four tensors are bfloat16.
    ///
    /// # Errors
    /// Returns libtorch's error if memory runs out.
    ///
    /// # Panics
    /// Panics if [`has_products`] is false.
    pub fn weights_gradient(self, xs: &Tensor, gradient: &Tensor) -> Result<[Tensor; 2], TchError> {
        assert!(has_products());
        let (xs, gradient) = (dense(xs)?, dense(gradient)?);
        let [[images, channels, height, width], [_, filters, down, across]] =
            [&xs, &gradient].map(|tensor| [0, 1, 2, 3].map(|axis| tensor.size()[axis] as usize));
        let lanes = filters.next_multiple_of(LANES);
        let layout = Layout {
            of: self,
            input: [height, width],
            output: [down, across],
            images,
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

/// Which elements are paired, and where the pairs are in memory.
///
/// One pair consists of the outputs 2j and 2j + 1 of a row. With stride s, column k of the kernel multiplies them by
/// the inputs 2js + k and (2j + 1)s + k. Columns that differ by 2s use the same input pairs, shifted by one j. A row is
/// therefore laid out once for each of the `shifts` distinct columns, and each pair contains all channels.
pub struct Layout {
    pub of: Convolution,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub images: usize,
    pub channels: usize,
    pub filters: usize,
    /// Number of filters, padded with zeros to whole registers.
    pub lanes: usize,
    /// Number of output pairs in a row.
    pub pairs: usize,
    /// Number of input pairs in a row, for one shift.
    pub span: usize,
    pub shifts: usize,
}

/// Weights whose sums are computed together. They are adjacent in a row of inputs.
pub struct Tile {
    /// Row of the kernel.
    pub row: usize,
    pub shift: usize,
    /// Range of flattened (column of this shift, channel) indices.
    pub places: Range<usize>,
}

/// Some output rows of some images. A part with fewer than all rows covers only one image.
pub struct Part {
    pub images: Range<usize>,
    pub rows: Range<usize>,
}

impl Part {
    /// Splits images with `down` rows each into parts of at most `rows` rows.
    pub fn split(images: usize, down: usize, rows: usize) -> Vec<Part> {
        if rows < down {
            let cuts = (0..down).step_by(rows).map(|from| from..(from + rows).min(down));
            let each = |image| cuts.clone().map(move |rows| Part { images: image..image + 1, rows });
            (0..images).flat_map(each).collect()
        } else {
            let many = rows / down;
            let cut = |from| Part { images: from..(from + many).min(images), rows: 0..down };
            (0..images).step_by(many).map(cut).collect()
        }
    }

    /// Returns these rows of each image of the part. `all` contains all images, each with `height` rows of `length`
    /// numbers.
    pub fn lines<'a>(
        &self,
        rows: &Range<usize>,
        [height, length]: [usize; 2],
        all: &'a [Bfloat16],
    ) -> impl Iterator<Item = &'a [Bfloat16]> {
        let rows = rows.clone();
        let lines = self.images.clone().flat_map(move |image| rows.clone().map(move |row| image * height + row));
        lines.map(move |line| &all[line * length..][..length])
    }
}

impl Layout {
    fn tiles(&self) -> Vec<Tile> {
        let mut tiles = Vec::new();
        for row in 0..self.of.kernel {
            for shift in 0..self.shifts {
                let places = (self.of.kernel - shift).div_ceil(2 * self.of.stride) * self.channels;
                // Tiles have even widths, because narrow tiles wait for memory.
                let many = places.div_ceil(ROWS);
                let ends = (0..=many).map(|index| places * index / many).collect::<Vec<_>>();
                tiles.extend(ends.windows(2).map(|ends| Tile { row, shift, places: ends[0]..ends[1] }));
            }
        }
        tiles
    }

    /// Splits the work into parts that fit into a cache.
    pub fn parts(&self) -> Vec<Part> {
        let row = self.shifts * self.span * self.channels * self.of.stride + self.pairs * self.lanes;
        Part::split(self.images, self.output[0], (AT_ONCE / row).max(1))
    }

    /// Returns the range of input rows that a part reads, without the padding.
    pub fn inputs(&self, part: &Part) -> Range<usize> {
        let Convolution { kernel, stride, padding: [above, _] } = self.of;
        let end = (part.rows.end - 1) * stride + kernel;
        (part.rows.start * stride).saturating_sub(above)..end.saturating_sub(above).min(self.input[0])
    }

    /// Returns the part's output rows for which this row of the kernel reads an input row and not the padding.
    pub fn met(&self, part: &Part, row: usize) -> Range<usize> {
        let Convolution { stride, padding: [above, _], .. } = self.of;
        let first = above.saturating_sub(row).div_ceil(stride);
        let end = (self.input[0] + above).saturating_sub(row).div_ceil(stride);
        part.rows.start.max(first)..part.rows.end.min(end)
    }

    /// Reorders `[weight in tile order, lanes]` to `[filters, kernel, kernel, channels]`.
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

    /// Compares with libtorch in float64 on the same numbers. The cases cover even and odd sides and kernels, strides,
    /// padding, and channels and filters that do not fill a register. They also cover parts of one image and parts of
    /// several images.
    #[test]
    fn gradients_are_those_of_libtorch() {
        if !has_products() {
            return;
        }
        let cases = [
            // images, channels, height, width, filters, kernel, stride, padding
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
            [1, 32, 5, 2000, 16, 7, 1, 3], // parts of a single row
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
                // Half a unit in bfloat16's last place, plus float32 rounding where products cancel.
                let bound = expected.abs() / 256.0 + 1e-5 * (n * h * w) as f64;
                assert!((off - bound).max().double_value(&[]) <= 0.0, "{case:?}");
            }
        }
    }
}
