//! A trial on the disk: `last.safetensors`, the one before it, and the best epoch's weights.
//!
//! `sweep_data::checkpoint` has the file's form. Its header holds `settings` (seed, trial and recipe: another trial's
//! file is refused) and `position` or `best`.

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

/// Changes when an old trainer could not go on from a new file, or the other way round.
const FORMAT: &str = "sweep checkpoint 1";

/// Share of the time that writing checkpoints may take.
const SHARE: f64 = 0.02;

/// Named tensors.
pub type Tensors = Vec<(String, Tensor)>;

/// One trial's checkpoints.
pub struct Checkpoints {
    folder: PathBuf,
    settings: Value,
    /// What the last write took, and when it was done.
    last: Option<(Duration, Instant)>,
}

/// A checkpoint that was found sound.
pub struct Resumed {
    /// Where the trial stood.
    pub position: Position,
    /// On the CPU.
    pub tensors: HashMap<String, Tensor>,
}

impl Checkpoints {
    /// Of the trial that is ordered. Nothing is looked at yet.
    pub fn new(order: &Order) -> Checkpoints {
        let mut settings = json!({"seed": order.seed, "trial": order.attempt.trial, "recipe": order.recipe});
        // How a GPU is given its work, not what it computes: a trial may go on the other way.
        if let Some(training) = settings["recipe"]["training"].as_object_mut() {
            training.remove("cuda_graph");
            training.remove("gpu_kernels");
        }
        Checkpoints { folder: order.folder.clone(), settings, last: None }
    }

    /// Whether enough time has passed since the last write to afford another.
    pub fn due(&self) -> bool {
        self.last.is_none_or(|(cost, when)| when.elapsed().as_secs_f64() * SHARE >= cost.as_secs_f64())
    }

    /// Writes `last.safetensors`; the one before is kept until this one is followed by another.
    ///
    /// # Errors
    /// Where it cannot be written. The one before is then still there.
    pub fn save(&mut self, position: &Position, tensors: &[(String, Tensor)]) -> Result<()> {
        let started = Instant::now();
        let header = json!({"format": FORMAT, "settings": self.settings, "position": position});
        let bytes = encode(header, tensors)?;
        let (last, previous) = (self.folder.join(LAST_CHECKPOINT), self.folder.join(PREVIOUS_CHECKPOINT));
        if last.exists() {
            // A second name, so that there is a whole `last` at every moment; not all file systems can.
            let _ = fs::remove_file(&previous);
            if fs::hard_link(&last, &previous).is_err() {
                let _ = fs::rename(&last, &previous);
            }
        }
        sweep_store::replace(&last, &bytes)?;
        self.last = Some((started.elapsed(), Instant::now()));
        Ok(())
    }

    /// The newest sound checkpoint whose tensors are those of `expected`, by name, kind and shape, and why a newer
    /// one was not taken. `expected` may be a part of the file's.
    pub fn load(&self, expected: &[(String, Tensor)]) -> (Option<Resumed>, Option<String>) {
        let mut refused: Vec<String> = Vec::new();
        for name in [LAST_CHECKPOINT, PREVIOUS_CHECKPOINT] {
            let note = match read(&self.folder.join(name)) {
                Ok(None) => continue,
                Ok(Some(file)) => match self.accept(file, expected) {
                    Ok(resumed) => {
                        let from = resumed.position.epochs();
                        let note = format!("{}; going on from {name} after epoch {from}", refused.join("; "));
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
            return Err("it belongs to other settings".into());
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

    /// Writes `best.safetensors`: what evaluation needs and nothing else.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save_best(&self, position: &Position, tensors: &[(String, Tensor)]) -> Result<()> {
        let header = json!({"format": WEIGHTS_FORMAT, "settings": self.settings, "best": position.best});
        let bytes = encode(header, tensors)?;
        Ok(sweep_store::replace(&self.folder.join(BEST_WEIGHTS), &bytes)?)
    }
}

/// A checkpoint's contents, its checksum found right.
struct File {
    header: Value,
    tensors: HashMap<String, Tensor>,
}

fn encode(header: Value, tensors: &[(String, Tensor)]) -> Result<Vec<u8>> {
    let mut stored = Vec::new();
    for (name, tensor) in tensors {
        let kind = tensor.f_kind()?;
        assert_eq!(kind, Kind::Float, "a trial's state is float32, {name} is not");
        // A convolution's weights lie channels-last; contiguous is the order of `shape`.
        let tensor = tensor.f_contiguous()?;
        let mut bytes = vec![0; tensor.numel() * size_of::<f32>()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        let shape = tensor.size().iter().map(|&side| side as usize).collect();
        stored.push(Stored { name: name.clone(), shape, bytes });
    }
    Ok(checkpoint::encode(header, &stored))
}

/// Reads and checks; `None` where there is no file. The error says what is wrong, in words.
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
