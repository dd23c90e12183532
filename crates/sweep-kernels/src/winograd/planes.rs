//! Transformed tiles.
#![allow(unsafe_code, reason = "transforms read and write tiles at strides")]

use super::super::convolution::Part;
use super::PLANES;
use super::frame::Frame;
use super::product::PANEL;
use super::transform::{At, POINTS, Step, both};

/// Returns the distance between two planes. It is no power of two, because a cache has few places for numbers at such
/// distances.
pub fn plane(size: [usize; 2]) -> usize {
    size[0] * size[1] + PANEL
}

/// Transformed tiles of a part, for one side of the convolution: `[plane][tile][lanes]`.
pub struct Planes {
    numbers: Vec<f32>,
    pub tiles: usize,
    lanes: usize,
    /// Distance between two tiles.
    pub row: usize,
}

impl Planes {
    pub fn new() -> Planes {
        Planes { numbers: Vec::new(), tiles: 0, lanes: 0, row: 0 }
    }

    /// Makes room for the tiles of a part, and for the framed pixels of one of its images.
    pub fn fit(&mut self, frame: &Frame, part: &Part, room: &mut Vec<f32>) {
        (self.tiles, self.lanes) = (part.images.len() * part.rows.len() * frame.tiles[1], frame.lanes);
        self.row = self.lanes + if self.lanes.is_multiple_of(128) { PANEL } else { 0 };
        self.numbers.resize(PLANES * plane([self.tiles, self.row]), 0.0);
        room.resize(frame.room(part.rows.len()), 0.0);
    }

    pub fn plane(&self, index: usize) -> &[f32] {
        &self.numbers[index * plane([self.tiles, self.row])..][..self.tiles * self.row]
    }

    pub fn plane_mut(&mut self, index: usize) -> &mut [f32] {
        let from = index * plane([self.tiles, self.row]);
        &mut self.numbers[from..][..self.tiles * self.row]
    }

    fn steps(&self) -> [usize; 2] {
        [POINTS, 1].map(|planes| planes * plane([self.tiles, self.row]))
    }

    /// Transforms framed tiles. `before` is the number of tiles in the part before them.
    #[inline(always)]
    pub fn transform<X: Step<I, POINTS>, const I: usize, S: pulp::Simd>(
        &mut self,
        simd: S,
        frame: &Frame,
        room: &[f32],
        before: usize,
        tiles: usize,
    ) {
        let steps = self.steps();
        assert!(frame.side == I && frame.lanes == self.lanes && before + tiles <= self.tiles);
        assert!(room.len() >= frame.room(tiles / frame.tiles[1]) && tiles.is_multiple_of(frame.tiles[1]));
        for tile in 0..tiles {
            for lane in (0..self.lanes).step_by(S::F32_LANES) {
                // SAFETY: The assertions show that the tile is in the room and among the planes. Lanes are whole registers.
                unsafe {
                    let from = At { first: room.as_ptr().add(frame.tile(tile) + lane), steps: frame.steps() };
                    let first = self.numbers.as_mut_ptr().add((before + tile) * self.row + lane);
                    both::<X, I, POINTS, S>(simd, from, At { first, steps }, false);
                }
            }
        }
    }

    /// Transforms tiles back to framed pixels, and adds them if tiles overlap.
    #[inline(always)]
    pub fn back<X: Step<POINTS, O>, const O: usize, S: pulp::Simd>(
        &self,
        simd: S,
        frame: &Frame,
        room: &mut [f32],
        before: usize,
        tiles: usize,
    ) {
        assert!(frame.side == O && frame.lanes == self.lanes && before + tiles <= self.tiles);
        assert!(room.len() >= frame.room(tiles / frame.tiles[1]) && tiles.is_multiple_of(frame.tiles[1]));
        for tile in 0..tiles {
            for lane in (0..self.lanes).step_by(S::F32_LANES) {
                // SAFETY: As in `transform`.
                unsafe {
                    let first = self.numbers.as_ptr().add((before + tile) * self.row + lane);
                    let to = At { first: room.as_mut_ptr().add(frame.tile(tile) + lane), steps: frame.steps() };
                    both::<X, POINTS, O, S>(simd, At { first, steps: self.steps() }, to, frame.side > frame.distance);
                }
            }
        }
    }
}
