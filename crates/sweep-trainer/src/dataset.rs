//! Datasets on the device. Each is moved there once and kept for all trials that use it.

use tch::{Device, Kind, TchError, Tensor};

use super::fault::Result;
use sweep_core::recipe::{Data, Source, Validation};
use sweep_data::datasets::{self, Dataset, Images, Normalization};
use sweep_data::network::Shape;

/// Number of datasets to keep. A sweep rarely has more than one.
const KEPT: usize = 2;

/// A cache of the most recently used datasets.
pub struct DatasetCache {
    device: Device,
    /// The datasets, with the most recently used one last.
    sets: Vec<(Source, Loaded)>,
}

impl DatasetCache {
    /// Creates an empty cache.
    pub fn new(device: Device) -> DatasetCache {
        DatasetCache { device, sets: Vec::new() }
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
            train_labels: rows.train.iter().map(|row| self.dataset.train.labels[*row as usize]).collect(),
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
    /// Normalization that the network applies to the images first.
    pub normalization: Option<Normalization>,
    /// Rows of the training images, which are shuffled every epoch.
    pub train_rows: Vec<u32>,
    /// Their labels.
    pub train_labels: Vec<u8>,
    /// The set that contains these rows.
    pub train: &'a Set,
    /// The fixed part of the training images on which the training metrics are computed in evaluation mode.
    pub train_eval: Part<'a>,
    /// The held-out images.
    pub validation: Part<'a>,
    /// The images that are tested once, after the sweep.
    pub test: Part<'a>,
}

impl Split<'_> {
    /// Returns the number of training images of each class.
    fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        self.train_labels.iter().for_each(|label| counts[usize::from(*label)] += 1);
        counts
    }

    /// Returns the weight of each class in the loss, `f32 [classes]`. The mean over all images is 1.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn class_weights(&self, classes: usize, device: Device) -> Result<Tensor> {
        let counts = self.counts(classes);
        let present = counts.iter().filter(|count| **count > 0).count() as f32;
        let all = self.train_labels.len() as f32;
        let weights: Vec<f32> = counts.iter().map(|count| all / (present * (*count).max(1) as f32)).collect();
        Ok(Tensor::f_from_slice(&weights)?.f_to_device(device)?)
    }

    /// Returns rows in a random order in which all classes are equally frequent: as many as there are training images.
    /// `shuffled` shuffles rows. All images of a class are used before one is repeated.
    pub fn balanced(&self, classes: usize, mut shuffled: impl FnMut(&[u32]) -> Vec<u32>) -> Vec<u32> {
        let mut of_class = vec![Vec::new(); classes];
        for (row, label) in self.train_rows.iter().zip(&self.train_labels) {
            of_class[usize::from(*label)].push(*row);
        }
        of_class.retain(|rows| !rows.is_empty());
        let (all, present) = (self.train_rows.len(), of_class.len());
        let mut chosen = Vec::with_capacity(all);
        for (at, rows) in of_class.iter().enumerate() {
            // The first classes get the remainder of the division.
            let share = all / present + usize::from(at < all % present);
            chosen.extend(shuffled(rows).into_iter().cycle().take(share));
        }
        shuffled(&chosen)
    }
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
    /// Moves the pixels out of `images`, so that they are not stored twice.
    fn new(images: &mut Images, shape: &Shape, white: f32, device: Device) -> Result<Set> {
        let bytes = std::mem::take(&mut images.pixels);
        let size = [images.labels.len() as i64, shape.channels.into(), shape.height.into(), shape.width.into()];
        let pixels = Tensor::f_from_data_size(&bytes, &size, Kind::Uint8)?.f_permute([0, 2, 3, 1])?.f_contiguous()?;
        let labels = Tensor::f_from_slice(&images.labels)?.f_to_kind(Kind::Int64)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::recipe::{Augment, HeldOut, Normalize};

    fn data() -> Data {
        Data {
            split_seed: None,
            source: Source::Digits,
            validation: Validation::Count(300),
            train_examples: None,
            augment: Augment::default(),
            test: Some(HeldOut::Count(97)),
            normalize: Normalize::Dataset,
        }
    }

    #[test]
    fn the_device_finds_the_same_means_as_the_host_and_tests_on_its_own_images() {
        let mut cache = DatasetCache::new(Device::Cpu);
        let split = cache.get(&Source::Digits).unwrap().split(&data(), 7).unwrap();
        let dataset = datasets::load(&Source::Digits).unwrap();
        let rows = datasets::split(&dataset, &data(), 7).unwrap();
        let host = Normalization::of_rows(&Normalize::Dataset, &dataset.train, &rows.train, split.shape, dataset.white);
        assert_eq!(split.normalization, host);
        assert!(host.is_some_and(|found| (0.2..0.4).contains(&found.means[0])));
        assert_eq!((split.train_rows.len(), split.validation.count(), split.test.count()), (1400, 300, 97));
    }

    #[test]
    fn balance_makes_all_classes_count_alike() {
        let mut cache = DatasetCache::new(Device::Cpu);
        let mut split = cache.get(&Source::Digits).unwrap().split(&data(), 7).unwrap();
        // All images of nine classes, and seven of the last one.
        let few = split.train_labels.iter().position(|label| *label == 9).unwrap();
        let kept = |at: &usize| split.train_labels[*at] != 9 || *at < few + 60;
        let kept: Vec<usize> = (0..split.train_rows.len()).filter(kept).collect();
        split.train_rows = kept.iter().map(|at| split.train_rows[*at]).collect();
        split.train_labels = kept.iter().map(|at| split.train_labels[*at]).collect();
        let counts = split.counts(10);
        assert!(counts[9] * 5 < counts[8], "{counts:?}");

        let weights = Vec::<f32>::try_from(split.class_weights(10, Device::Cpu).unwrap()).unwrap();
        let mean: f32 = split.train_labels.iter().map(|label| weights[usize::from(*label)]).sum();
        assert!((mean / split.train_labels.len() as f32 - 1.0).abs() < 1e-4);
        assert!(weights[9] > 5.0 * weights[8]);

        let rows = split.balanced(10, |rows| super::super::step_rng::shuffled(rows, 7, 1, 1));
        assert_eq!(rows.len(), split.train_rows.len());
        let label = |row: &u32| {
            let at = split.train_rows.binary_search(row).expect("only training images are used");
            usize::from(split.train_labels[at])
        };
        let mut drawn = [0; 10];
        rows.iter().for_each(|row| drawn[label(row)] += 1);
        assert!(drawn.iter().max().unwrap() - drawn.iter().min().unwrap() <= 1, "{drawn:?}");
    }
}
