//! Datasets on the device. Each is moved there once and kept for all trials that use it.

use tch::{Device, Kind, TchError, Tensor};

use super::fault::Result;
use sweep_core::recipe::{Data, Source, Validation};
use sweep_data::datasets::{self, Dataset, Normalization, Pictures};
use sweep_data::network::Shape;

/// Number of datasets to keep. A sweep rarely has more than one.
const KEPT: usize = 2;

/// A cache of the most recently used datasets.
pub struct Shelf {
    device: Device,
    /// The datasets, with the most recently used one last.
    sets: Vec<(Source, Loaded)>,
}

impl Shelf {
    /// Creates an empty cache.
    pub fn new(device: Device) -> Shelf {
        Shelf { device, sets: Vec::new() }
    }

    /// Returns the dataset from this source, and loads it if it is not cached.
    ///
    /// # Errors
    /// Returns an error if the dataset cannot be read or memory runs out.
    pub fn get(&mut self, source: &Source) -> Result<&Loaded> {
        match self.sets.iter().position(|(held, _)| held == source) {
            Some(place) => self.sets[place..].rotate_left(1),
            None => {
                // Memory is freed first, because a third large dataset may not fit next to two others.
                self.sets.drain(..(self.sets.len() + 1).saturating_sub(KEPT));
                self.sets.push((source.clone(), Loaded::new(datasets::load(source)?, self.device)?));
            }
        }
        Ok(&self.sets.last().expect("it was put there or moved there just now").1)
    }
}

/// A dataset on the device.
pub struct Loaded {
    /// The parts of the dataset that stay on the host. The labels determine the split. The pixels have been dropped.
    dataset: Dataset,
    train: Set,
    validation: Set,
    test: Set,
}

impl Loaded {
    fn new(mut dataset: Dataset, device: Device) -> Result<Loaded> {
        let train = Set::new(&mut dataset.train, &dataset.info.shape, dataset.white, device)?;
        let validation = Set::new(&mut dataset.validation, &dataset.info.shape, dataset.white, device)?;
        let test = Set::new(&mut dataset.test, &dataset.info.shape, dataset.white, device)?;
        Ok(Loaded { dataset, train, validation, test })
    }

    /// Returns the image shape and the class names.
    pub fn info(&self) -> &datasets::Info {
        &self.dataset.info
    }

    /// Returns the three parts that a trial uses.
    ///
    /// # Errors
    /// Returns an error if the dataset is too small for the split.
    pub fn split(&self, data: &Data, seed: u64) -> Result<Split<'_>> {
        let rows = datasets::split(&self.dataset, data, seed)?;
        let held_out = match data.validation {
            Validation::Share(_) | Validation::Count(_) => &self.train,
            Validation::Own => &self.validation,
            Validation::Test => &self.test,
        };
        let white = 1.0 / self.train.scale;
        let normalization = Normalization::of(&data.normalize, white, || self.train.sums(&rows.train))?;
        Ok(Split {
            shape: self.info().shape,
            normalization,
            train_rows: rows.train,
            train: &self.train,
            train_eval: self.train.part(&rows.train_eval)?,
            validation: held_out.part(&rows.validation)?,
            test: if data.test.is_some() { &self.train } else { &self.test }.part(&rows.test)?,
        })
    }
}

/// A dataset as a trial uses it.
pub struct Split<'a> {
    /// Shape of an image.
    pub shape: Shape,
    /// What the network does to the images first.
    pub normalization: Option<Normalization>,
    /// Rows of the training images, which are shuffled every epoch.
    pub train_rows: Vec<u32>,
    /// The set that contains these rows.
    pub train: &'a Set,
    /// The fixed part of the training images on which the training metrics are computed in evaluation mode.
    pub train_eval: Part<'a>,
    /// The held-out images.
    pub validation: Part<'a>,
    /// The images that are tested once, after the sweep.
    pub test: Part<'a>,
}

/// Images and labels on the device.
pub struct Set {
    /// `u8 [n, h, w, c]`. A batch seen through `permute([0, 3, 1, 2])` is channels-last, the fastest layout for
    /// convolutions.
    pixels: Tensor,
    /// `i64 [n]`.
    labels: Tensor,
    /// Factor that maps a byte to 0..1.
    scale: f64,
}

impl Set {
    /// Moves the pixels out of `pictures`, so that they are not stored twice.
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

    /// Returns the sum and the sum of squares of these rows' bytes, per channel, and how many values a channel has. The
    /// sums are exact.
    fn sums(&self, rows: &[u32]) -> Result<(Vec<[f64; 2]>, f64)> {
        const AT_ONCE: usize = 1024;
        let sum = |values: &Tensor| values.f_sum_dim_intlist([0, 1, 2].as_slice(), false, Kind::Double);
        let mut sums: Option<Tensor> = None;
        for rows in rows.chunks(AT_ONCE) {
            let rows: Vec<i64> = rows.iter().map(|&row| row.into()).collect();
            let rows = Tensor::f_from_slice(&rows)?.f_to_device(self.pixels.device())?;
            let values = self.pixels.f_index_select(0, &rows)?.f_to_kind(Kind::Float)?;
            let both = Tensor::f_stack(&[sum(&values)?, sum(&values.f_square()?)?], 1)?;
            sums = Some(match sums {
                Some(sums) => sums.f_add(&both)?,
                None => both,
            });
        }
        let size = self.pixels.size();
        let sums = match sums {
            Some(sums) => Vec::<f64>::try_from(sums.f_contiguous()?.f_view(-1)?)?,
            None => vec![0.0; 2 * size[3] as usize],
        };
        let pairs = sums.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
        Ok((pairs, (rows.len().max(1) as i64 * size[1] * size[2]) as f64))
    }

    /// Returns a part of the set, in the order of `rows`.
    ///
    /// # Errors
    /// Returns an error if the device runs out of memory.
    pub fn part(&self, rows: &[u32]) -> Result<Part<'_>> {
        let rows: Vec<i64> = rows.iter().map(|&row| row.into()).collect();
        Ok(Part { rows: Tensor::f_from_slice(&rows)?.f_to_device(self.pixels.device())?, set: self })
    }

    /// Returns the images and the labels of some rows, `i64 [b]` on the device. The images are `f32 [b, c, h, w]` from
    /// 0 to 1, channels-last, and the labels are `i64 [b]`.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
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
    /// Returns the number of images in the part.
    pub fn count(&self) -> u64 {
        self.rows.size()[0] as u64
    }

    /// Returns the number of batches of `size` images. The last batch may be smaller.
    pub fn batches(&self, size: u64) -> u64 {
        self.count().div_ceil(size)
    }

    /// Returns the rows of a batch, `i64 [b]`, for [`Set::gather`]. Batches count from 0.
    ///
    /// # Errors
    /// Returns an error if the batch does not exist.
    pub fn rows(&self, number: u64, size: u64) -> Result<Tensor> {
        let start = number * size;
        Ok(self.rows.f_narrow(0, start as i64, size.min(self.count().saturating_sub(start)) as i64)?)
    }

    /// Returns the images and labels of a batch: see [`Set::gather`]. Batches count from 0.
    ///
    /// # Errors
    /// Returns an error if the batch does not exist or memory runs out.
    pub fn batch(&self, number: u64, size: u64) -> Result<(Tensor, Tensor)> {
        Ok(self.set.gather(&self.rows(number, size)?)?)
    }
}
