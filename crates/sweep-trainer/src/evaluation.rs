//! Evaluation of a network: losses and correct classifications, summed on the device.

use tch::{Device, Kind, Reduction, TchError, Tensor};

use super::augment::Mix;
use super::dataset::Part;
use super::device::takes_gpu_path;
use super::network::{Mode, Network};
use super::position::Sums;

/// Returns the number of images per batch. A batch is large enough to fill a GPU, or small enough that a layer's output
/// fits into a CPU's cache.
fn batch_size(device: Device) -> u64 {
    if takes_gpu_path(device) { 1024 } else { 128 }
}

/// Returns the mean cross-entropy of a softmax over the logits, as a differentiable scalar. `smoothing` is the fraction
/// of the target probability that is spread over all classes.
///
/// # Errors
/// Returns libtorch's error if the device runs out of memory.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor, smoothing: f64) -> Result<Tensor, TchError> {
    logits.f_cross_entropy_loss(labels, None::<&Tensor>, Reduction::Mean, -100, smoothing)
}

/// Returns the weighted mean cross-entropy of a batch. If images were mixed with others of the batch, each label is
/// weighted by its share. `weights` are those of the classes, `f32 [classes]`.
///
/// # Errors
/// Returns libtorch's error if the device runs out of memory.
pub fn weighted_cross_entropy(
    logits: &Tensor,
    labels: &Tensor,
    mix: Option<&Mix>,
    weights: Option<&Tensor>,
    smoothing: f64,
) -> Result<Tensor, TchError> {
    let each = |labels: &Tensor| logits.f_cross_entropy_loss(labels, weights, Reduction::None, -100, smoothing);
    let own = each(labels)?;
    let losses = match mix {
        Some(mix) => own.f_lerp_tensor(&each(&labels.f_index_select(0, &mix.partners)?)?, &mix.shares()?)?,
        None => own,
    };
    losses.f_mean(losses.kind())
}

/// Running sums in float64 on the device. Adding to them does not wait for the device.
pub struct Tally {
    loss: Tensor,
    hits: Tensor,
}

impl Tally {
    /// Creates running sums that start from these values.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn new(from: Sums, device: Device) -> Result<Tally, TchError> {
        let scalar = |value: f64| Tensor::f_full([0; 0], value, (Kind::Double, device));
        Ok(Tally { loss: scalar(from.loss)?, hits: scalar(from.hits)? })
    }

    /// Restarts the sums from these values, in the same memory.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn reset(&mut self, from: Sums) -> Result<(), TchError> {
        tch::no_grad(|| {
            let _ = self.loss.f_fill_(from.loss)?;
            let _ = self.hits.f_fill_(from.hits)?;
            Ok(())
        })
    }

    /// Adds a batch, given by its mean loss, its logits and its labels.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn add(&mut self, loss: &Tensor, logits: &Tensor, labels: &Tensor) -> Result<(), TchError> {
        tch::no_grad(|| {
            let _ = self.loss.f_add_(&loss.f_to_kind(Kind::Double)?.f_mul_scalar(labels.numel() as i64)?)?;
            let _ = self.hits.f_add_(&logits.f_argmax(1, false)?.f_eq_tensor(labels)?.f_sum(Kind::Double)?)?;
            Ok(())
        })
    }

    /// Waits for the device and returns the sums.
    ///
    /// # Errors
    /// Returns libtorch's error. On a GPU this may be an error of any operation that was started before.
    pub fn read(&self) -> Result<Sums, TchError> {
        Ok(Sums { loss: self.loss.f_double_value(&[])?, hits: self.hits.f_double_value(&[])? })
    }
}

/// Correct classifications per class, in float64 on the device.
pub struct ClassTally {
    hits: Tensor,
    images: Tensor,
}

impl ClassTally {
    /// Creates empty counts.
    ///
    /// # Errors
    /// Returns libtorch's error if the device runs out of memory.
    pub fn new(classes: usize, device: Device) -> Result<ClassTally, TchError> {
        let zeros = || Tensor::f_zeros([classes as i64], (Kind::Double, device));
        Ok(ClassTally { hits: zeros()?, images: zeros()? })
    }

    fn add(&mut self, logits: &Tensor, labels: &Tensor) -> Result<(), TchError> {
        let hits = logits.f_argmax(1, false)?.f_eq_tensor(labels)?.f_to_kind(Kind::Double)?;
        let _ = self.images.f_index_add_(0, labels, &hits.f_ones_like()?)?;
        let _ = self.hits.f_index_add_(0, labels, &hits)?;
        Ok(())
    }

    /// Waits for the device and returns the accuracy of each class, or `None` for a class without images.
    ///
    /// # Errors
    /// Returns libtorch's error.
    pub fn accuracies(&self) -> Result<Vec<Option<f64>>, TchError> {
        let hits = Vec::<f64>::try_from(&self.hits)?;
        let images = Vec::<f64>::try_from(&self.images)?;
        Ok(hits.iter().zip(images).map(|(hits, images)| (images > 0.0).then(|| hits / images)).collect())
    }
}

/// Evaluates a network on some images, in evaluation mode, and counts by class if asked to. `interrupted` is called after every batch. Returns `None` if
/// it returned true.
///
/// # Errors
/// Returns libtorch's error if the device runs out of memory.
pub fn evaluate(
    network: &Network,
    part: &Part<'_>,
    device: Device,
    mut by_class: Option<&mut ClassTally>,
    mut interrupted: impl FnMut() -> bool,
) -> super::fault::Result<Option<Sums>> {
    tch::no_grad(|| {
        let mut tally = Tally::new(Sums::default(), device)?;
        let size = batch_size(device);
        for number in 0..part.batches(size) {
            let (images, labels) = part.batch(number, size)?;
            let logits = network.forward(&images, Mode::Evaluate)?;
            tally.add(&cross_entropy(&logits, &labels, 0.0)?, &logits, &labels)?;
            if let Some(by_class) = &mut by_class {
                by_class.add(&logits, &labels)?;
            }
            if interrupted() {
                return Ok(None);
            }
        }
        Ok(Some(tally.read()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits 0 and ln 3 have a softmax of 1/4 and 3/4. A smoothing of 0.2 turns the labels into 0.9 and 0.1.
    #[test]
    fn smoothed_labels_spread_their_share_over_all_classes() {
        let (logits, labels) = (Tensor::from_slice(&[0.0, 3.0_f64.ln()]).view([1, 2]), Tensor::from_slice(&[1i64]));
        let loss = |smoothing| cross_entropy(&logits, &labels, smoothing).unwrap().double_value(&[]);
        assert!((loss(0.0) - (4.0_f64 / 3.0).ln()).abs() < 1e-12);
        assert!((loss(0.2) - (0.9 * (4.0_f64 / 3.0).ln() + 0.1 * 4.0_f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn weights_multiply_the_losses_of_their_class() {
        let logits = Tensor::from_slice(&[0.0, 3.0_f64.ln(), 0.0, 3.0_f64.ln()]).view([2, 2]);
        let (labels, weights) = (Tensor::from_slice(&[1i64, 0]), Tensor::from_slice(&[3.0_f64, 0.5]));
        let loss = weighted_cross_entropy(&logits, &labels, None, Some(&weights), 0.0).unwrap().double_value(&[]);
        assert!((loss - (3.0 * 4.0_f64.ln() + 0.5 * (4.0_f64 / 3.0).ln()) / 2.0).abs() < 1e-12);
    }

    /// 0.1 in float32 times 3 has no exact float32.
    #[test]
    fn sums_over_a_batch_are_float64() {
        let mut tally = Tally::new(Sums::default(), Device::Cpu).unwrap();
        let (loss, labels) = (Tensor::from(0.1_f32), Tensor::from_slice(&[0_i64, 1, 1]));
        let logits = Tensor::from_slice(&[1.0_f32, 0.0, 1.0, 0.0, 0.0, 1.0]).view([3, 2]);
        tally.add(&loss, &logits, &labels).unwrap();
        assert_eq!(tally.read().unwrap(), Sums { loss: f64::from(0.1_f32) * 3.0, hits: 2.0 });
    }
}
