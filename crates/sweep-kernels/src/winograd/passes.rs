//! The two passes over the images: outputs, and gradients.

use super::super::Pass;
use super::super::memory::Element;
use super::planes::{Planes, plane};
use super::product::{Left, PANEL, Product, Right};
use super::transform::{Evaluate, Input, InputGradient, Output, POINTS};
use super::{PLANES, Winograd};

/// Computes the outputs.
pub struct Forward<'a, T> {
    pub of: Winograd,
    pub xs: &'a [T],
    /// Transformed, with filters in panels.
    pub weights: &'a [f32],
    pub bias: Option<&'a [f32]>,
    pub ys: &'a mut [T],
}

impl<T: Element> Pass for Forward<'_, T> {
    fn size(&self) -> usize {
        self.of.size()
    }

    fn halves(self) -> (Self, Self) {
        let Forward { of, xs, weights, bias, ys } = self;
        let of = of.halves();
        let [inside, outside] = of.0.sizes();
        let ((xs, more_xs), (ys, more_ys)) = (xs.split_at(inside), ys.split_at_mut(outside));
        (Forward { of: of.0, xs, weights, bias, ys }, Forward { of: of.1, xs: more_xs, weights, bias, ys: more_ys })
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.of.output.side {
            2 => self.by_tiles::<2, S>(simd),
            3 => self.by_tiles::<3, S>(simd),
            4 => self.by_tiles::<4, S>(simd),
            _ => self.by_tiles::<5, S>(simd),
        }
    }
}

impl<T: Element> Forward<'_, T> {
    /// `TILE` is the side of a tile of outputs.
    #[inline(always)]
    fn by_tiles<const TILE: usize, S: pulp::Simd>(self, simd: S) {
        let Winograd { input, output, .. } = self.of;
        let (mut inside, mut outside) = (Planes::new(), Planes::new());
        let (mut in_room, mut out_room) = (Vec::new(), Vec::new());
        for part in self.of.parts() {
            let tiles = part.rows.len() * input.tiles[1];
            inside.fit(&input, &part, &mut in_room);
            outside.fit(&output, &part, &mut out_room);
            for (index, image) in part.images.clone().enumerate() {
                input.fill(&part.rows, &self.xs[image * input.numbers()..][..input.numbers()], &mut in_room);
                inside.transform::<Input, POINTS, S>(simd, &input, &in_room, index * tiles, tiles);
            }
            let weights = plane([input.channels, output.lanes]);
            for plane in 0..PLANES {
                simd.vectorize(Product {
                    left: Left { numbers: inside.plane(plane), steps: [inside.row, 1] },
                    right: Right { numbers: &self.weights[plane * weights..], steps: [PANEL, input.channels * PANEL] },
                    sizes: [inside.tiles, input.channels, output.lanes / PANEL],
                    to_step: outside.row,
                    to: outside.plane_mut(plane),
                    add: false,
                });
            }
            for (index, image) in part.images.clone().enumerate() {
                outside.back::<Output, TILE, S>(simd, &output, &mut out_room, index * tiles, tiles);
                let ys = &mut self.ys[image * output.numbers()..][..output.numbers()];
                output.take(&part.rows, &out_room, self.bias, ys);
            }
        }
    }
}

/// Computes the gradients.
pub struct Backward<'a, T> {
    pub of: Winograd,
    pub xs: &'a [T],
    pub gradient: &'a [T],
    /// Transformed, with channels in panels. Empty if the gradients of the inputs are not wanted.
    pub weights: &'a [f32],
    pub inputs: Option<&'a mut [T]>,
    /// Sums of the gradients of the transformed weights, for each thread: `[plane][channels][lanes of filters]`.
    pub sums: &'a mut [f32],
}

impl<T: Element> Pass for Backward<'_, T> {
    fn size(&self) -> usize {
        3 * self.of.size()
    }

    fn halves(self) -> (Self, Self) {
        let Backward { of, xs, gradient, weights, inputs, sums } = self;
        let each = PLANES * plane([of.input.channels, of.output.lanes]);
        let of = of.halves();
        let [inside, outside] = of.0.sizes();
        let (xs, gradient) = (xs.split_at(inside), gradient.split_at(outside));
        let (first, second) = inputs.map(|inputs| inputs.split_at_mut(inside)).unzip();
        let sums = sums.split_at_mut((sums.len() / each).div_ceil(2) * each);
        (
            Backward { of: of.0, xs: xs.0, gradient: gradient.0, weights, inputs: first, sums: sums.0 },
            Backward { of: of.1, xs: xs.1, gradient: gradient.1, weights, inputs: second, sums: sums.1 },
        )
    }

    #[inline(always)]
    fn run<S: pulp::Simd>(self, simd: S) {
        match self.of.output.side {
            2 => self.by_tiles::<2, S>(simd),
            3 => self.by_tiles::<3, S>(simd),
            4 => self.by_tiles::<4, S>(simd),
            _ => self.by_tiles::<5, S>(simd),
        }
    }
}

impl<T: Element> Backward<'_, T> {
    #[inline(always)]
    fn by_tiles<const TILE: usize, S: pulp::Simd>(mut self, simd: S) {
        let Winograd { input, output, .. } = self.of;
        let (mut inside, mut outside) = (Planes::new(), Planes::new());
        let (mut in_room, mut out_room) = (Vec::new(), Vec::new());
        let mut found = vec![0.0; input.room(input.tiles[0])];
        for part in self.of.parts() {
            let tiles = part.rows.len() * input.tiles[1];
            inside.fit(&input, &part, &mut in_room);
            outside.fit(&output, &part, &mut out_room);
            for (index, image) in part.images.clone().enumerate() {
                input.fill(&part.rows, &self.xs[image * input.numbers()..][..input.numbers()], &mut in_room);
                inside.transform::<Input, POINTS, S>(simd, &input, &in_room, index * tiles, tiles);
                let gradient = &self.gradient[image * output.numbers()..][..output.numbers()];
                output.fill(&part.rows, gradient, &mut out_room);
                outside.transform::<Evaluate, TILE, S>(simd, &output, &out_room, index * tiles, tiles);
            }
            let sums = plane([input.channels, output.lanes]);
            for plane in 0..PLANES {
                simd.vectorize(Product {
                    left: Left { numbers: inside.plane(plane), steps: [1, inside.row] },
                    right: Right { numbers: outside.plane(plane), steps: [outside.row, PANEL] },
                    sizes: [input.channels, inside.tiles, output.lanes / PANEL],
                    to_step: output.lanes,
                    to: &mut self.sums[plane * sums..][..input.channels * output.lanes],
                    add: true,
                });
            }
            let Some(inputs) = &mut self.inputs else { continue };
            let weights = plane([output.channels, input.lanes]);
            for plane in 0..PLANES {
                let steps = [PANEL, output.channels * PANEL];
                simd.vectorize(Product {
                    left: Left { numbers: outside.plane(plane), steps: [outside.row, 1] },
                    right: Right { numbers: &self.weights[plane * weights..], steps },
                    sizes: [inside.tiles, output.channels, input.lanes / PANEL],
                    to_step: inside.row,
                    to: inside.plane_mut(plane),
                    add: false,
                });
            }
            for (index, image) in part.images.clone().enumerate() {
                // The last rows of a part's tiles overlap with the first ones of the next part.
                if part.rows.start == 0 {
                    found.fill(0.0);
                }
                let room = &mut found[part.rows.start * input.distance * input.steps()[0]..];
                inside.back::<InputGradient, POINTS, S>(simd, &input, room, index * tiles, tiles);
                if part.rows.end == input.tiles[0] {
                    input.take(
                        &(0..part.rows.end),
                        &found,
                        None,
                        &mut inputs[image * input.numbers()..][..input.numbers()],
                    );
                }
            }
        }
    }
}
