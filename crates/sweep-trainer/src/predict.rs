//! What trained weights say about images: `sweep-trainer --predict`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use super::dataset::{DatasetCache, Part};
use super::fault::{Fault, Result};
use super::network::{Mode, Network, Start};
use super::sheet;
use sweep_core::protocol::{Predict, Predicted, Prediction, Subject, WEIGHTS_FORMAT};
use sweep_core::recipe::Recipe;
use sweep_data::checkpoint;
use sweep_data::datasets::{self, Info, Normalization};

/// Number of images per forward pass.
const AT_ONCE: usize = 128;

/// Answers the request on the CPU, in float32.
///
/// # Errors
/// Returns an error if the weights or the data cannot be read.
pub fn answer(request: &Predict) -> Result<Predicted> {
    let unreadable = |why: String| Fault::Unwritable(format!("{}: {why}", request.weights.display()));
    let bytes = std::fs::read(&request.weights).map_err(|error| unreadable(error.to_string()))?;
    let (header, views) = checkpoint::decode(&bytes, WEIGHTS_FORMAT).map_err(unreadable)?;
    let mut weights = HashMap::new();
    for (name, view) in views {
        let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
        weights.insert(name, Tensor::f_from_data_size(view.data(), &shape, Kind::Float)?);
    }
    let settings = &header["settings"];
    let recipe = Recipe::deserialize(&settings["recipe"]).map_err(|error| unreadable(error.to_string()))?;
    let seed = settings["seed"].as_u64().unwrap_or_default();
    let info = datasets::describe(&recipe.data.source)?;
    let network = network(&recipe, &info, &weights).map_err(unreadable)?;
    if let Subject::Files(files) = &request.images {
        let images = of_files(&network, (&recipe, &info), files, request.mirror)?;
        return Ok(Predicted { classes: info.classes, images });
    }
    let mut cache = DatasetCache::new(Device::Cpu);
    let split = cache.get(&recipe.data.source)?.split(&recipe.data, seed)?;
    let part = if request.images == Subject::Test { &split.test } else { &split.validation };
    let predicted = Predicted { classes: info.classes, images: of_part(&network, part, request.mirror)? };
    let worst = predicted.worst();
    if let Some(file) = request.worst.as_ref().filter(|_| !worst.is_empty()) {
        let images = worst.iter().map(|at| Ok(part.batch(*at as u64, 1)?.0)).collect::<Result<Vec<_>>>()?;
        sheet::grid(&Tensor::f_cat(&images, 0)?, file)?;
    }
    Ok(predicted)
}

/// Builds the recipe's network with these weights.
fn network(recipe: &Recipe, info: &Info, weights: &HashMap<String, Tensor>) -> std::result::Result<Network, String> {
    let start = Start { seed: 0, trial: 0, init: recipe.training.init };
    let device = Device::Cpu;
    // The values are overwritten by those of the file.
    let channels = info.shape.channels as usize;
    let given = Normalization { means: vec![0.0; channels], deviations: vec![1.0; channels] };
    let normalizes = weights.contains_key("model.input.offset");
    let network = Network::new(info.shape, &recipe.layers, start, Kind::Float, device)
        .and_then(|network| network.normalized(normalizes.then_some(&given), device))
        .map_err(|error| error.to_string())?;
    for (name, mut tensor) in network.state() {
        let name = format!("model.{name}");
        let stored = weights.get(&name).ok_or(format!("it holds no `{name}`"))?;
        if stored.size() != tensor.size() {
            let (stored, needed) = (stored.size(), tensor.size());
            return Err(format!("`{name}` has the shape {stored:?}, but the data needs {needed:?}"));
        }
        tch::no_grad(|| tensor.f_copy_(stored)).map_err(|error| error.to_string())?;
    }
    Ok(network)
}

fn of_files(
    network: &Network,
    (recipe, info): (&Recipe, &Info),
    files: &[PathBuf],
    mirror: bool,
) -> Result<Vec<Prediction>> {
    let size = [info.shape.channels, info.shape.height, info.shape.width].map(i64::from);
    let predict = |file: &Path| {
        let (pixels, notes) = match datasets::image(&recipe.data.source, info.shape, file) {
            Ok(image) => image,
            Err(why) => {
                let error = Some(why);
                return Ok(Prediction { label: None, probabilities: Vec::new(), error, notes: Vec::new() });
            }
        };
        let xs = Tensor::f_from_data_size(&pixels, &size, Kind::Uint8)?.f_unsqueeze(0)?.f_to_kind(Kind::Float)?;
        let mut probabilities = probabilities(network, &xs.f_div_scalar(255.0)?, mirror)?;
        Ok(Prediction { label: None, probabilities: probabilities.swap_remove(0), error: None, notes })
    };
    files.iter().map(|file| predict(file)).collect()
}

fn of_part(network: &Network, part: &Part<'_>, mirror: bool) -> Result<Vec<Prediction>> {
    let mut all = Vec::new();
    for number in 0..part.batches(AT_ONCE as u64) {
        let (xs, labels) = part.batch(number, AT_ONCE as u64)?;
        let labels = Vec::<i64>::try_from(labels)?;
        let predicted = probabilities(network, &xs, mirror)?.into_iter().zip(labels);
        all.extend(predicted.map(|(probabilities, label)| Prediction {
            label: usize::try_from(label).ok(),
            probabilities,
            error: None,
            notes: Vec::new(),
        }));
    }
    Ok(all)
}

/// Returns the probabilities of all classes for each image `f32 [b, c, h, w]`. If `mirror` is set, they are the mean of
/// those of the image and of its mirror image.
fn probabilities(network: &Network, xs: &Tensor, mirror: bool) -> Result<Vec<Vec<f32>>> {
    tch::no_grad(|| {
        let of = |xs: &Tensor| network.forward(xs, Mode::Evaluate)?.f_softmax(1, Kind::Float);
        let mut ys = of(xs)?;
        if mirror {
            ys = ys.f_add(&of(&xs.f_flip([3])?)?)?.f_div_scalar(2.0)?;
        }
        let classes = ys.size()[1] as usize;
        let flat = Vec::<f32>::try_from(ys.f_contiguous()?.f_view(-1)?)?;
        Ok(flat.chunks(classes).map(<[f32]>::to_vec).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::recipe::{Init, Layer};
    use sweep_data::network::Shape;

    #[test]
    fn with_its_mirror_image_an_image_and_its_mirror_image_have_the_same_probabilities() {
        let (shape, device) = (Shape { channels: 1, height: 4, width: 4 }, Device::Cpu);
        let layers = [Layer::Flatten, Layer::Dense { units: 3, bias: true, max_norm: None }];
        let start = Start { seed: 7, trial: 1, init: Init::Keras };
        let network = Network::new(shape, &layers, start, Kind::Float, device).unwrap();
        let xs = Tensor::rand([1, 1, 4, 4], (Kind::Float, device));
        let of = |xs: &Tensor, mirror| probabilities(&network, xs, mirror).unwrap().swap_remove(0);
        let (image, other) = (of(&xs, false), of(&xs.flip([3]), false));
        assert_ne!(image, other);
        let mean: Vec<f32> = image.iter().zip(&other).map(|(one, other)| (one + other) / 2.0).collect();
        let differs = |one: &[f32], other: &[f32]| one.iter().zip(other).any(|(one, other)| (one - other).abs() > 1e-6);
        assert!(!differs(&of(&xs, true), &mean) && !differs(&of(&xs.flip([3]), true), &mean));
    }
}
