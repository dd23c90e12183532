//! A training step recorded once and replayed as a whole: on a GPU as a CUDA graph, so that the host starts one piece of
//! work a step instead of some hundred. Small networks are bound by those starts.

use tch::{Device, TchError, Tensor};

use super::augment::Changes;
use super::cuda;
use super::libtorch::{Scalar, each};

/// What a step reads that differs from step to step.
pub struct Inputs {
    /// Which images: `i64 [b]`.
    pub rows: Tensor,
    /// How they are changed.
    pub changes: Changes,
    /// The optimizer's numbers, in its order.
    pub numbers: Vec<Scalar>,
    /// The keys of dropout, where a recorded step reads them from the device.
    pub keys: Option<Tensor>,
}

/// Steps that run one by one before one is recorded: libtorch and its libraries choose kernels and make their room in
/// the first steps of a size.
const WARM_UP: u32 = 4;

/// The recording of a trial's step, as it comes about.
pub enum Recorder {
    /// Steps of this many images are counted, and one of the next is recorded.
    Waiting { batch: u64, left: u32 },
    /// One was recorded.
    Recorded { batch: u64, step: Recording },
    /// Every step runs by itself.
    Off,
}

/// A recorded step, and the tensors that it reads, which stay where they are.
pub struct Recording {
    inputs: Inputs,
    numbers: Tensor,
    /// `None` on a CPU that takes the GPU's path: it runs the step again from the same inputs.
    graph: Option<cuda::Graph>,
}

impl Recorder {
    /// For steps of `batch` images.
    pub fn new(wanted: bool, batch: u64) -> Recorder {
        if wanted { Recorder::Waiting { batch, left: WARM_UP } } else { Recorder::Off }
    }

    /// Takes a step: `work` does it, from the inputs that it is given, without waiting for the device. `numbers_there` are
    /// the inputs' numbers and, behind them, the keys of dropout as they lie on the device, `f32 [k]`.
    ///
    /// # Errors
    /// Those of `work`. Where a step cannot be recorded it says so on stderr and goes on without.
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

    /// Whether [`Recorder::take`] needs the numbers on the device.
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

/// A copy in memory of its own.
fn own(tensor: &Tensor) -> Result<Tensor, TchError> {
    let mut copy = tensor.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}
