use std::path::Path;

use rand::RngExt;
use rand::seq::SliceRandom;

use super::*;
use crate::datasets::{load, split};
use sweep_core::random::{Purpose, stream};
use sweep_core::recipe::Validation;
use sweep_core::recipe::{Augment, Data, Source};

const CIFAR: &str = "data/cifar-10-batches-bin";

/// Returns the digits, and CIFAR-10 if it is unpacked.
fn sources() -> Vec<Source> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(CIFAR);
    if path.join("test_batch.bin").exists() {
        return vec![Source::Cifar10 { path }, Source::Digits];
    }
    eprintln!("{CIFAR} is not there: only the digits are checked");
    vec![Source::Digits]
}

fn findings(dataset: &Dataset, source: &Source, examples: Option<u64>, seed: u64) -> Vec<Finding> {
    let augment = Augment::default();
    let validation = Validation::Share(0.1);
    let data = Data {
        split_seed: None,
        source: source.clone(),
        validation,
        train_examples: examples,
        augment,
        test: None,
        normalize: Default::default(),
    };
    let split = split(dataset, &data, seed).expect("it is large enough");
    check(dataset, &split, &data)
}

/// Returns the findings after a change to the held-out images. `change` receives each of them together with a training
/// image.
fn held_out_changed(source: &Source, mut change: impl FnMut(&mut [u8], &[u8])) -> Vec<&'static str> {
    let mut dataset = load(source).expect("it is there");
    let size = pixels(dataset.info.shape);
    let (validation, augment) = (Validation::Share(0.1), Augment::default());
    let data = Data {
        split_seed: None,
        source: source.clone(),
        validation,
        train_examples: Some(1500),
        augment,
        test: None,
        normalize: Default::default(),
    };
    let split = split(&dataset, &data, 1).expect("it is large enough");
    for (at, row) in split.validation.iter().enumerate() {
        let other = split.train[at % split.train.len()] as usize;
        let trained = dataset.train.pixels[other * size..][..size].to_vec();
        change(&mut dataset.train.pixels[*row as usize * size..][..size], &trained);
    }
    check(&dataset, &split, &data).iter().map(|finding| finding.name).collect()
}

/// Returns the findings after a change to every training image.
fn planted(source: &Source, mut change: impl FnMut(&mut [u8], Shape)) -> Vec<&'static str> {
    let mut dataset = load(source).expect("it is there");
    let shape = dataset.info.shape;
    dataset.train.pixels.chunks_exact_mut(pixels(shape)).for_each(|image| change(image, shape));
    findings(&dataset, source, Some(1500), 1).iter().map(|finding| finding.name).collect()
}

/// Rearranges the image so that value (channel, y, x) comes from index `from(channel, y, x)`.
fn taken(image: &mut [u8], shape: Shape, from: impl Fn(usize, usize, usize) -> usize) {
    let before = image.to_vec();
    let (height, width) = (shape.height as usize, shape.width as usize);
    for (at, value) in image.iter_mut().enumerate() {
        let (channel, rest) = (at / (height * width), at % (height * width));
        *value = before[from(channel, rest / width, rest % width)];
    }
}

#[test]
fn images_as_they_are_give_no_alarm() {
    let mut alarms = Vec::new();
    let mut looked = 0;
    for source in sources() {
        let dataset = load(&source).expect("it is there");
        for seed in 0..60 {
            for examples in [300, 1500] {
                looked += 1;
                alarms.extend(findings(&dataset, &source, Some(examples), seed));
            }
        }
    }
    assert!(alarms.len() * 100 <= looked, "{} of {looked}: {:?}", alarms.len(), alarms.first());
}

#[test]
fn color_images_in_a_wrong_order_are_found_and_named() {
    for source in sources().iter().filter(|source| matches!(source, Source::Cifar10 { .. })) {
        // Channels-last bytes, as in most files, that were declared channels-first.
        let interleaved = |image: &mut [u8], shape: Shape| {
            let before = image.to_vec();
            let (area, channels) = ((shape.height * shape.width) as usize, shape.channels as usize);
            for (at, value) in image.iter_mut().enumerate() {
                *value = before[at % channels * area + at / channels];
            }
        };
        assert_eq!(planted(source, interleaved), ["pixel_order"]);
        // Planes that were declared channels-last and then transposed correctly.
        let planes = |image: &mut [u8], shape: Shape| {
            let channels = shape.channels as usize;
            taken(image, shape, |channel, y, x| (y * shape.width as usize + x) * channels + channel);
        };
        assert_eq!(planted(source, planes), ["pixel_order"]);
        let dataset = {
            let mut dataset = load(source).expect("it is there");
            let shape = dataset.info.shape;
            dataset.train.pixels.chunks_exact_mut(pixels(shape)).for_each(|image| interleaved(image, shape));
            dataset
        };
        let found = &findings(&dataset, source, Some(1500), 1)[0];
        assert_eq!(
            found.verdict,
            "the pixels are scrambled: converted to channels-first with reshape instead of transpose"
        );
        assert!(found.serious && found.remedy.contains("numpy.transpose(x, (0, 3, 1, 2))"), "{found:?}");
    }
}

#[test]
fn labels_that_were_shuffled_or_lost_are_found() {
    for source in sources() {
        let mut dataset = load(&source).expect("it is there");
        dataset.train.labels.shuffle(&mut stream(1, 0, 0, Purpose::Split));
        let names = |dataset: &Dataset| {
            findings(dataset, &source, Some(1500), 1).iter().map(|finding| finding.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&dataset), ["labels_unrelated"], "{source:?}");

        let mut dataset = load(&source).expect("it is there");
        dataset.info.classes.push("none".into());
        let found = names(&dataset);
        assert!(found.contains(&"missing_class"), "{found:?}");
    }
}

#[test]
fn images_on_both_sides_dark_images_and_empty_ones_are_found() {
    for source in sources() {
        let dark = planted(&source, |image, _| image.iter_mut().for_each(|pixel| *pixel /= 100));
        assert!(dark.contains(&"unscaled"), "{dark:?}");
        let mut random = stream(3, 0, 0, Purpose::Split);
        let empty = planted(&source, |image, _| {
            if random.random_bool(0.05) {
                image.fill(7);
            }
        });
        assert!(empty.contains(&"constant"), "{empty:?}");

        let mut dataset = load(&source).expect("it is there");
        let size = pixels(dataset.info.shape);
        let half = dataset.train.labels.len() / 2;
        dataset.train.pixels.copy_within(..half * size, half * size);
        dataset.train.labels.copy_within(..half, half);
        let found = findings(&dataset, &source, None, 1);
        let twice = found.iter().find(|finding| finding.name == "duplicates").expect("half are there twice");
        assert!(twice.serious && twice.evidence.contains("byte for byte"), "{twice:?}");
    }
}

#[test]
fn height_and_width_that_are_swapped_by_reshape_are_found() {
    let mut dataset = load(&Source::Digits).expect("it is in the binary");
    // The upper six rows of every digit, declared as six wide and eight high.
    dataset.train.pixels = dataset.train.pixels.chunks_exact(64).flat_map(|image| image[..48].to_vec()).collect();
    dataset.info.shape = Shape { channels: 1, height: 6, width: 8 };
    assert_eq!(findings(&dataset, &Source::Digits, None, 1), []);
    dataset.info.shape = Shape { channels: 1, height: 8, width: 6 };
    let found = findings(&dataset, &Source::Digits, None, 1);
    assert_eq!(found.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["pixel_order"]);
}

#[test]
fn copies_with_a_little_noise_on_the_other_side_are_found() {
    for source in sources() {
        let mut random = stream(4, 0, 0, Purpose::Split);
        let most = if source == Source::Digits { 16 } else { 255 };
        let found = held_out_changed(&source, |image, trained| {
            if random.random_bool(0.2) {
                image.copy_from_slice(trained);
                // Digits have steps of 1/16 of white. Some pixels move by one step.
                for pixel in image {
                    if random.random_bool(0.1) {
                        *pixel = pixel.saturating_add_signed(random.random_range(-1..=1)).min(most);
                    }
                }
            }
        });
        assert!(found.contains(&"near_duplicates"), "{source:?}: {found:?}");
    }
}

#[test]
fn validation_in_another_light_or_with_other_classes_is_found() {
    for source in sources() {
        let darker = held_out_changed(&source, |image, _| image.iter_mut().for_each(|pixel| *pixel -= *pixel / 3));
        assert_eq!(darker, ["validation_differs"], "{source:?}");
        let flat = held_out_changed(&source, |image, _| {
            let mean = image.iter().map(|pixel| u32::from(*pixel)).sum::<u32>() / image.len() as u32;
            image.iter_mut().for_each(|pixel| *pixel = ((u32::from(*pixel) + mean) / 2) as u8);
        });
        assert!(flat.contains(&"validation_differs"), "{source:?}: {flat:?}");

        // Test images of the first classes only.
        let mut dataset = load(&source).expect("it is there");
        let size = pixels(dataset.info.shape);
        let rows = (0..dataset.train.labels.len()).filter(|row| dataset.train.labels[*row] < 5).take(400);
        let test: Vec<usize> = rows.collect();
        dataset.test = Images {
            pixels: test.iter().flat_map(|row| dataset.train.pixels[row * size..][..size].to_vec()).collect(),
            labels: test.iter().map(|row| dataset.train.labels[*row]).collect(),
        };
        let validation = Validation::Test;
        let data = Data {
            split_seed: None,
            source: source.clone(),
            validation,
            train_examples: Some(1500),
            augment: Augment::default(),
            test: None,
            normalize: Default::default(),
        };
        let split = split(&dataset, &data, 1).expect("it is large enough");
        let found: Vec<_> = check(&dataset, &split, &data).iter().map(|finding| finding.name).collect();
        assert!(found.contains(&"validation_differs"), "{source:?}: {found:?}");
    }
}

#[test]
fn pixels_that_are_cut_off_are_found() {
    for source in sources() {
        let most = if source == Source::Digits { 16 } else { 255 };
        // 16 times the contrast around the middle. Values beyond black and white are lost.
        let stretched = planted(&source, |image, _| {
            for pixel in image {
                let value = i32::from(*pixel) * 2 - most;
                *pixel = (value * 8 + most / 2).clamp(0, most) as u8;
            }
        });
        assert!(stretched.contains(&"clipped"), "{source:?}: {stretched:?}");
    }
}

#[test]
fn arrays_that_lie_class_after_class_are_noted_and_shuffled_ones_are_not() {
    let mut dataset = load(&Source::Digits).expect("it is in the binary");
    let arrays = Source::Arrays { path: "x".into(), order: sweep_core::recipe::Order::Nchw };
    assert_eq!(findings(&dataset, &arrays, None, 1), []);
    let mut rows: Vec<usize> = (0..dataset.train.labels.len()).collect();
    rows.sort_by_key(|row| dataset.train.labels[*row]);
    dataset.train = Images {
        pixels: rows.iter().flat_map(|row| dataset.train.pixels[row * 64..][..64].to_vec()).collect(),
        labels: rows.iter().map(|row| dataset.train.labels[*row]).collect(),
    };
    let found = findings(&dataset, &arrays, None, 1);
    assert_eq!(found.iter().map(|finding| finding.name).collect::<Vec<_>>(), ["class_order"]);
    assert!(!found[0].serious && findings(&dataset, &Source::Digits, None, 1).is_empty());
}
