//! Images in float32, surrounded by zeros up to whole tiles and whole panels of channels.

use std::ops::Range;

use super::super::memory::Element;

/// How the images of one side of a convolution, its input or its output, are cut into tiles.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Distance between two neighboring tiles, in pixels.
    pub distance: usize,
    /// Side of a tile, in pixels. Tiles overlap if it is larger than the distance.
    pub side: usize,
    /// Rows and columns of tiles.
    pub tiles: [usize; 2],
    /// Rows and columns of zeros above and to the left.
    pub before: [usize; 2],
    /// Height and width of an image.
    pub image: [usize; 2],
    pub channels: usize,
    /// Number of channels, padded with zeros to whole panels.
    pub lanes: usize,
}

impl Frame {
    /// Returns the number of values of an image, without zeros around.
    pub fn numbers(&self) -> usize {
        self.image[0] * self.image[1] * self.channels
    }

    /// Returns the number of framed values for this number of rows of tiles.
    pub fn room(&self, rows: usize) -> usize {
        self.height(rows) * self.width() * self.lanes
    }

    /// Returns the distances between two rows and two columns of pixels.
    pub fn steps(&self) -> [usize; 2] {
        [self.width() * self.lanes, self.lanes]
    }

    /// Returns where a tile begins, counted from the first row of tiles in the room.
    pub fn tile(&self, index: usize) -> usize {
        let (row, column) = (index / self.tiles[1], index % self.tiles[1]);
        (row * self.width() + column) * self.distance * self.lanes
    }

    /// Frames some rows of tiles of an image. The zeros to the left and right, and those of unused lanes, must be there.
    #[inline(always)]
    pub fn fill<T: Element>(&self, rows: &Range<usize>, image: &[T], room: &mut [f32]) {
        let (first, length) = (rows.start * self.distance, self.image[1] * self.channels);
        for (index, line) in room.chunks_exact_mut(self.steps()[0]).enumerate() {
            let line = &mut line[self.before[1] * self.lanes..][..self.image[1] * self.lanes];
            let row = (first + index).checked_sub(self.before[0]).filter(|row| *row < self.image[0]);
            match row {
                Some(row) => {
                    let pixels = image[row * length..][..length].chunks_exact(self.channels);
                    for (pixel, framed) in pixels.zip(line.chunks_exact_mut(self.lanes)) {
                        for (value, framed) in pixel.iter().zip(framed) {
                            *framed = value.value();
                        }
                    }
                }
                None => line.fill(0.0),
            }
        }
    }

    /// Takes the pixels of some rows of tiles out of their frame, and adds a number per channel.
    #[inline(always)]
    pub fn take<T: Element>(&self, rows: &Range<usize>, room: &[f32], bias: Option<&[f32]>, image: &mut [T]) {
        let (first, length) = (rows.start * self.distance, self.image[1] * self.channels);
        for (index, line) in room.chunks_exact(self.steps()[0]).enumerate() {
            let line = &line[self.before[1] * self.lanes..][..self.image[1] * self.lanes];
            let Some(row) = (first + index).checked_sub(self.before[0]).filter(|row| *row < self.image[0]) else {
                continue;
            };
            let pixels = image[row * length..][..length].chunks_exact_mut(self.channels);
            for (pixel, framed) in pixels.zip(line.chunks_exact(self.lanes)) {
                match bias {
                    Some(bias) => {
                        for ((value, framed), bias) in pixel.iter_mut().zip(framed).zip(bias) {
                            *value = T::nearest(framed + bias);
                        }
                    }
                    None => {
                        for (value, framed) in pixel.iter_mut().zip(framed) {
                            *value = T::nearest(*framed);
                        }
                    }
                }
            }
        }
    }

    fn height(&self, rows: usize) -> usize {
        rows * self.distance + self.side - self.distance
    }

    fn width(&self) -> usize {
        self.height(self.tiles[1])
    }
}
