//! A trial on disk: `last.safetensors`, the checkpoint before it, and the weights of the best epoch.
//!
//! `sweep_data::checkpoint` defines the file format. The header contains `settings` (seed, trial and recipe) and
//! `position` or `best`. A file with the settings of another trial is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::fault::Result;
use super::position::Position;
use sweep_core::protocol::{BEST_WEIGHTS, LAST_CHECKPOINT, Order, PREVIOUS_CHECKPOINT, WEIGHTS_FORMAT};
use sweep_data::checkpoint::{self, Stored};

/// Must change when an old trainer cannot continue from a new file, or a new trainer from an old file.
const FORMAT: &str = "sweep checkpoint 1";

/// Maximum fraction of the time that writing checkpoints may take.
const SHARE: f64 = 0.02;

/// Tensors with their names.
pub type Tensors = Vec<(String, Tensor)>;

/// The checkpoints of one trial.
pub struct Checkpoints {
    folder: PathBuf,
    settings: Value,
    /// Duration of the last write, and when it ended.
    last: Option<(Duration, Instant)>,
}

/// A valid checkpoint.
pub struct Resumed {
    /// The position of the trial.
    pub position: Position,
    /// The tensors by name, on the CPU.
    pub tensors: HashMap<String, Tensor>,
}

impl Checkpoints {
    /// Returns the checkpoints of the ordered trial, without reading any file.
    pub fn new(order: &Order) -> Checkpoints {
        let mut settings = json!({"seed": order.seed, "trial": order.attempt.trial, "recipe": order.recipe});
        // These options change how a GPU receives its work, not the result. A trial may therefore resume with other
        // values.
        if let Some(training) = settings["recipe"]["training"].as_object_mut() {
            training.remove("cuda_graph");
            training.remove("gpu_kernels");
        }
        Checkpoints { folder: order.folder.clone(), settings, last: None }
    }

    /// Returns whether enough time has passed since the last write for another one.
    pub fn due(&self) -> bool {
        self.last.is_none_or(|(cost, when)| when.elapsed().as_secs_f64() * SHARE >= cost.as_secs_f64())
    }

    /// Writes `last.safetensors`. The previous checkpoint is kept until the next call.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written. The previous checkpoint then still exists.
    pub fn save(&mut self, position: &Position, tensors: &[(String, Tensor)]) -> Result<()> {
        let started = Instant::now();
        let header = json!({"format": FORMAT, "settings": self.settings, "position": position});
        let bytes = encode(header, tensors)?;
        let (last, previous) = (self.folder.join(LAST_CHECKPOINT), self.folder.join(PREVIOUS_CHECKPOINT));
        if last.exists() {
            // A hard link ensures that a complete `last` exists at every moment. Some file systems do not support it.
            let _ = fs::remove_file(&previous);
            if fs::hard_link(&last, &previous).is_err() {
                let _ = fs::rename(&last, &previous);
            }
        }
        sweep_store::replace(&last, &bytes)?;
        self.last = Some((started.elapsed(), Instant::now()));
        Ok(())
    }

    /// Returns the newest valid checkpoint whose tensors match `expected` by name, kind and shape. Also returns the
    /// reason if a newer one was not used. `expected` may be a subset of the file's tensors.
    pub fn load(&self, expected: &[(String, Tensor)]) -> (Option<Resumed>, Option<String>) {
        let mut refused: Vec<String> = Vec::new();
        for name in [LAST_CHECKPOINT, PREVIOUS_CHECKPOINT] {
            let note = match read(&self.folder.join(name)) {
                Ok(None) => continue,
                Ok(Some(file)) => match self.accept(file, expected) {
                    Ok(resumed) => {
                        let from = resumed.position.epochs();
                        let note = format!("{}; continuing from {name} after epoch {from}", refused.join("; "));
                        return (Some(resumed), (!refused.is_empty()).then_some(note));
                    }
                    Err(why) => why,
                },
                Err(why) => why,
            };
            refused.push(format!("{name} was not used: {note}"));
        }
        let note = format!("{}; starting again", refused.join("; "));
        (None, (!refused.is_empty()).then_some(note))
    }

    fn accept(&self, file: File, expected: &[(String, Tensor)]) -> std::result::Result<Resumed, String> {
        if file.header["settings"] != self.settings {
            return Err("it belongs to other parameters".into());
        }
        let position = Position::deserialize(&file.header["position"]).map_err(|error| error.to_string())?;
        for (name, tensor) in expected {
            let fits = |found: &Tensor| found.size() == tensor.size() && found.kind() == tensor.kind();
            if !file.tensors.get(name).is_some_and(fits) {
                return Err(format!("it holds no `{name}` of shape {:?}", tensor.size()));
            }
        }
        Ok(Resumed { position, tensors: file.tensors })
    }

    /// Writes `best.safetensors`, which contains only what evaluation needs.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn save_best(&self, position: &Position, tensors: &[(String, Tensor)]) -> Result<()> {
        let header = json!({"format": WEIGHTS_FORMAT, "settings": self.settings, "best": position.best});
        let bytes = encode(header, tensors)?;
        Ok(sweep_store::replace(&self.folder.join(BEST_WEIGHTS), &bytes)?)
    }
}

/// The contents of a checkpoint with a valid checksum.
struct File {
    header: Value,
    tensors: HashMap<String, Tensor>,
}

fn encode(header: Value, tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut stored = Vec::new();
    for (name, tensor) in tensors {
        let kind = tensor.f_kind()?;
        assert_eq!(kind, Kind::Float, "a trial's state is float32, {name} is not");
        // The weights of a convolution are channels-last in memory. `f_contiguous` puts the values in the order of
        // `shape`.
        let tensor = tensor.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        stored.push(Stored { name: name.clone(), shape, bytes });
    }
    Ok(checkpoint::encode(header, &stored))
}

/// Reads and checks a file. Returns `None` if it does not exist. The error describes the problem.
fn read(path: &Path) -> std::result::Result<Option<File>, String> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let (header, views) = checkpoint::decode(&bytes, FORMAT)?;
    let mut tensors = HashMap::new();
    for (name, view) in views {
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        let tensor = Tensor::f_from_data_size(view.data(), &shape, Kind::Float).map_err(|error| error.to_string())?;
        tensors.insert(name, tensor);
    }
    Ok(Some(File { header, tensors }))
}
