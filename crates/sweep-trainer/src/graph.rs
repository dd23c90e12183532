//! Records a training step once and replays it as a whole. On a GPU the recording is a CUDA graph, so the host launches
//! one piece of work per step instead of about a hundred. Those launches dominate the time of small networks.

use tch::{Device, TchError, Tensor};

use super::augment::Changes;
use super::cuda;
use super::libtorch::{Scalar, each};

/// The inputs of a step that differ from step to step.
pub struct Inputs {
    /// Rows of the images: `i64 [b]`.
    pub rows: Tensor,
    /// Augmentation of the images.
    pub changes: Changes,
    /// The optimizer's numbers, in its order.
    pub numbers: Vec<Scalar>,
    /// The dropout keys, if a recorded step reads them from the device.
    pub keys: Option<Tensor>,
}

/// Number of steps that run normally before one is recorded. In the first steps of a given size, libtorch and its
/// libraries choose kernels and allocate memory.
const WARM_UP: u32 = 4;

/// The state of recording a trial's step.
#[allow(clippy::large_enum_variant, reason = "there is one per trial")]
pub enum Recorder {
    /// Steps of `batch` images are counted down, and the step after the last of them is recorded.
    Waiting { batch: u64, left: u32 },
    /// A step of `batch` images was recorded.
    Recorded { batch: u64, step: Recording },
    /// Steps are not recorded.
    Off,
}

/// A recorded step with the tensors that it reads, whose addresses are fixed.
pub struct Recording {
    inputs: Inputs,
    numbers: Tensor,
    /// `None` on a CPU that uses the GPU's code path, which runs the step again on the same inputs.
    graph: Option<cuda::Graph>,
}

impl Recorder {
    /// Creates a recorder for steps of `batch` images.
    pub fn new(wanted: bool, batch: u64) -> Recorder {
        if wanted { Recorder::Waiting { batch, left: WARM_UP } } else { Recorder::Off }
    }

    /// Runs a step, recorded if possible. `work` computes the step from the inputs that it receives, and must not wait
    /// for the device. `numbers_there` contains the inputs' numbers followed by the dropout keys, on the device, `f32
    /// [k]`.
    ///
    /// # Errors
    /// Returns the error of `work`. If a step cannot be recorded, this is reported on stderr and steps run normally.
    pub fn take(
        &mut self,
        inputs: Inputs,
        numbers_there: Option<&Tensor>,
        device: Device,
        work: &mut dyn FnMut(&Inputs) -> Result<(), TchError>,
    ) -> Result<(), TchError> {
        let whole = |batch: u64| inputs.rows.size()[0] as u64 == batch;
        match (&mut *self, numbers_there) {
            (Recorder::Recorded { batch, step }, Some(numbers)) if whole(*batch) => {
                step.fill(&inputs, numbers)?;
                step.replay(work)
            }
            (Recorder::Waiting { batch, left: 0 }, Some(numbers)) if whole(*batch) => {
                let batch = *batch;
                match Recording::new(&inputs, numbers, device, work) {
                    Ok(step) => {
                        step.replay(work)?;
                        *self = Recorder::Recorded { batch, step };
                        Ok(())
                    }
                    Err(error) => {
                        let why = error.to_string();
                        let why =
                            why.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").to_owned();
                        eprintln!("the training step runs without a CUDA graph, since it could not be recorded: {why}");
                        *self = Recorder::Off;
                        work(&inputs)
                    }
                }
            }
            (Recorder::Waiting { batch, left }, _) if whole(*batch) => {
                *left -= 1;
                work(&inputs)
            }
            _ => work(&inputs),
        }
    }

    /// Returns whether [`Recorder::take`] needs the numbers on the device.
    pub fn reads_the_device(&self) -> bool {
        !matches!(self, Recorder::Off)
    }
}

impl Recording {
    fn new(
        inputs: &Inputs,
        numbers: &Tensor,
        device: Device,
        work: &mut dyn FnMut(&Inputs) -> Result<(), TchError>,
    ) -> Result<Recording, TchError> {
        let numbers = own(numbers)?;
        let scalars = inputs
            .numbers
            .iter()
            .zip(0..)
            .map(|(scalar, at)| Ok(Scalar { value: scalar.value, on_device: Some(numbers.f_select(0, at)?) }));
        let scalars: Vec<Scalar> = scalars.collect::<Result<_, TchError>>()?;
        let (first, all) = (scalars.len() as i64, numbers.numel() as i64);
        let keys = Some(numbers.f_narrow(0, first, all - first)?);
        let (rows, changes) = (own(&inputs.rows)?, inputs.changes.map(own)?);
        let inputs = Inputs { rows, changes, numbers: scalars, keys };
        let graph = match device {
            Device::Cuda(_) => {
                let graph = cuda::Graph::record(|| work(&inputs))?;
                eprintln!("each training step is a CUDA graph of {} operations", graph.operations());
                Some(graph)
            }
            _ => None,
        };
        Ok(Recording { inputs, numbers, graph })
    }

    fn fill(&mut self, inputs: &Inputs, numbers: &Tensor) -> Result<(), TchError> {
        let tensors = |inputs: &Inputs, numbers: &Tensor| -> Vec<Tensor> {
            let first = [&inputs.rows, numbers].into_iter();
            first.chain(inputs.changes.tensors()).map(Tensor::shallow_clone).collect()
        };
        tch::no_grad(|| each::copy_(&tensors(&self.inputs, &self.numbers), &tensors(inputs, numbers)))
    }

    fn replay(&self, work: &mut dyn FnMut(&Inputs) -> Result<(), TchError>) -> Result<(), TchError> {
        match &self.graph {
            Some(graph) => graph.replay(),
            None => work(&self.inputs),
        }
    }
}

/// Returns a copy with its own memory.
pub fn own(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
