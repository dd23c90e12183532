//! Data sets on the device: moved there once and kept for all trials that use them.

use tch::{Device, Kind, TchError, Tensor};

use super::fault::Result;
use sweep_core::recipe::{Data, Source, Validation};
use sweep_data::datasets::{self, Dataset, Pictures};
use sweep_data::network::Shape;

/// Data sets kept at a time. A sweep rarely has more than one.
const KEPT: usize = 2;

/// The data sets that were used last.
pub struct Shelf {
    device: Device,
    /// The last used comes last.
    sets: Vec<(Source, Loaded)>,
}

impl Shelf {
    /// Empty.
    pub fn new(device: Device) -> Shelf {
        Shelf { device, sets: Vec::new() }
    }

    /// The data set of that source, loaded if it is not here.
    ///
    /// # Errors
    /// If it cannot be read or has no room.
    pub fn get(&mut self, source: &Source) -> Result<&Loaded> {
        match self.sets.iter().position(|(held, _)| held == source) {
            Some(place) => self.sets[place..].rotate_left(1),
            None => {
                // Room is made first: two large sets may not fit side by side with a third.
                self.sets.drain(..(self.sets.len() + 1).saturating_sub(KEPT));
                self.sets.push((source.clone(), Loaded::new(datasets::load(source)?, self.device)?));
            }
        }
        Ok(&self.sets.last().expect("it was put there or moved there just now").1)
    }
}

/// One data set on the device.
pub struct Loaded {
    /// What is known of it on the host: the labels decide the split. Its pixels are gone.
    dataset: Dataset,
    train: Set,
    test: Set,
}

impl Loaded {
    fn new(mut dataset: Dataset, device: Device) -> Result<Loaded> {
        let train = Set::new(&mut dataset.train, &dataset.info.shape, dataset.white, device)?;
        let test = Set::new(&mut dataset.test, &dataset.info.shape, dataset.white, device)?;
        Ok(Loaded { dataset, train, test })
    }

    /// Size of a picture and names of the classes.
    pub fn info(&self) -> &datasets::Info {
        &self.dataset.info
    }

    /// The three parts that a trial uses.
    ///
    /// # Errors
    /// If the data set is too small for the split.
    pub fn split(&self, data: &Data, seed: u64) -> Result<Split<'_>> {
        let rows = datasets::split(&self.dataset, data, seed)?;
        let held_out = match data.validation {
            Validation::Share(_) => &self.train,
            Validation::Test => &self.test,
        };
        Ok(Split {
            shape: self.info().shape,
            train_rows: rows.train,
            train: &self.train,
            train_eval: self.train.part(&rows.train_eval)?,
            validation: held_out.part(&rows.validation)?,
        })
    }
}

/// A data set as a trial uses it.
pub struct Split<'a> {
    /// Of an image.
    pub shape: Shape,
    /// What is trained on, to be shuffled every epoch.
    pub train_rows: Vec<u32>,
    /// Where these rows are.
    pub train: &'a Set,
    /// The fixed part of them on which training is judged in evaluation mode.
    pub train_eval: Part<'a>,
    /// What is held out.
    pub validation: Part<'a>,
}

/// Pictures and labels on the device.
pub struct Set {
    /// `u8 [n, h, w, c]`: a batch of it seen through `permute([0, 3, 1, 2])` is channels-last, in which convolutions
    /// are fastest.
    pixels: Tensor,
    /// `i64 [n]`.
    labels: Tensor,
    /// From a byte to 0..1.
    scale: f64,
}

impl Set {
    /// Takes the pixels, so that they are not held twice.
    fn new(pictures: &mut Pictures, shape: &Shape, white: f32, device: Device) -> Result<Set> {
        let bytes = std::mem::take(&mut pictures.pixels);
        let size = [pictures.labels.len() as i64, shape.channels.into(), shape.height.into(), shape.width.into()];
        let pixels = Tensor::f_from_data_size(&bytes, &size, Kind::Uint8)?.f_permute([0, 2, 3, 1])?.f_contiguous()?;
        let labels = Tensor::f_from_slice(&pictures.labels)?.f_to_kind(Kind::Int64)?;
        Ok(Set {
            pixels: pixels.f_to_device(device)?,
            labels: labels.f_to_device(device)?,
            scale: 1.0 / f64::from(white),
        })
    }

    /// A part of it, in the order of `rows`.
    ///
    /// # Errors
    /// If the device has no room for the numbers.
    pub fn part(&self, rows: &[u32]) -> Result<Part<'_>> {
        let rows: Vec<i64> = rows.iter().map(|&row| row.into()).collect();
        Ok(Part { rows: Tensor::f_from_slice(&rows)?.f_to_device(self.pixels.device())?, set: self })
    }

    /// The images of some rows, `i64 [b]` on the device: `f32 [b, c, h, w]` from 0 to 1, channels-last, and their labels
    /// `i64 [b]`.
    ///
    /// # Errors
    /// libtorch's, where the device has no room.
    pub fn gather(&self, rows: &Tensor) -> std::result::Result<(Tensor, Tensor), TchError> {
        let mut pixels = self.pixels.f_index_select(0, rows)?.f_to_kind(Kind::Float)?;
        let pixels = pixels.f_mul_scalar_(self.scale)?.f_permute([0, 3, 1, 2])?;
        Ok((pixels, self.labels.f_index_select(0, rows)?))
    }
}

/// Some rows of a set, in order.
pub struct Part<'a> {
    set: &'a Set,
    /// `i64 [m]`.
    rows: Tensor,
}

impl Part<'_> {
    /// Pictures in it.
    pub fn count(&self) -> u64 {
        self.rows.size()[0] as u64
    }

    /// Batches of `size` that cover it; the last may be smaller.
    pub fn batches(&self, size: u64) -> u64 {
        self.count().div_ceil(size)
    }

    /// Where the batch of that number is, from 0: `i64 [b]`, for [`Set::gather`].
    ///
    /// # Errors
    /// If there is no such batch.
    pub fn rows(&self, number: u64, size: u64) -> Result<Tensor> {
        let start = number * size;
        Ok(self.rows.f_narrow(0, start as i64, size.min(self.count().saturating_sub(start)) as i64)?)
    }

    /// The batch of that number, from 0: see [`Set::gather`].
    ///
    /// # Errors
    /// If there is no such batch, or no room.
    pub fn batch(&self, number: u64, size: u64) -> Result<(Tensor, Tensor)> {
        Ok(self.set.gather(&self.rows(number, size)?)?)
    }
}
