//! Divides the images into training and validation images. The split is stratified by class, and the same for all
//! trials of a sweep.

use rand::seq::SliceRandom;

use super::{Dataset, fault};
use sweep_core::describe::thousands;
use sweep_core::error::Error;
use sweep_core::random::{Purpose, stream};
use sweep_core::recipe::{Data, HeldOut, Validation};

/// Row numbers into [`Dataset::train`]. The validation rows of [`Validation::Own`] and [`Validation::Test`] are those of
/// [`Dataset::validation`] and [`Dataset::test`]. Each list is ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows of the training images.
    pub train: Vec<u32>,
    /// Rows of the held-out images.
    pub validation: Vec<u32>,
    /// A fixed subset of `train` that has the size of `validation`, or all of `train` if `validation` is larger.
    pub train_eval: Vec<u32>,
    /// Rows of the images that are tested once, after the sweep. They are rows of [`Dataset::train`] if `data.test` holds
    /// them out, otherwise of [`Dataset::test`]. Empty if there are none, or if validation uses them.
    pub test: Vec<u32>,
}

/// Divides the images as `data` specifies. `seed` is the sweep's, which draws the split unless the data has a seed for
/// it. The result depends only on the arguments. `train_examples` does not change
/// what is held out, and a smaller value selects a subset of what a larger one does.
///
/// # Errors
/// Returns an error if a class would be empty on one side, or if `train_examples` exceeds the available images. Also
/// returns one if the split needs test images and there are none.
pub fn split(dataset: &Dataset, data: &Data, seed: u64) -> Result<Split, Error> {
    let names = &dataset.info.classes;
    let mut classes = drawn(&dataset.train.labels, names.len(), data.split_seed.unwrap_or(seed))?;
    // This comes first, so that no other setting changes what is tested.
    let test = match data.test {
        Some(HeldOut::Share(share)) => hold_out(&mut classes, share, names, "test")?,
        Some(HeldOut::Count(count)) => hold_out_count(&mut classes, count, names, "test")?,
        None if data.validation == Validation::Test => Vec::new(),
        None => rows(dataset.test.labels.len())?,
    };
    let validation = match data.validation {
        Validation::Share(share) => hold_out(&mut classes, share, names, "validation")?,
        Validation::Count(count) => hold_out_count(&mut classes, count, names, "validation")?,
        Validation::Own if dataset.validation.labels.is_empty() => {
            return Err(fault(
                "data.validation",
                "is `val`, but this data set has no validation images",
                "write a fraction, for example 0.1",
            ));
        }
        Validation::Own => rows(dataset.validation.labels.len())?,
        Validation::Test if dataset.test.labels.is_empty() => {
            return Err(fault(
                "data.validation",
                "is `test`, but this data set has no test images",
                "write a fraction, for example 0.1",
            ));
        }
        Validation::Test => rows(dataset.test.labels.len())?,
    };
    if let Some(wanted) = data.train_examples {
        classes = chosen(classes, wanted, names)?;
    }
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let compared = quotas(&sizes, validation.len().min(sizes.iter().sum()));
    let train_eval = classes.iter().zip(compared).map(|(rows, quota)| rows[..quota].to_vec()).collect();
    Ok(Split { train: sorted(classes), validation, train_eval: sorted(train_eval), test })
}

/// Returns the rows of each class, each list shuffled by the seed.
fn drawn(labels: &[u8], classes: usize, seed: u64) -> Result<Vec<Vec<u32>>, Error> {
    let mut drawn = vec![Vec::new(); classes];
    for (row, label) in rows(labels.len())?.into_iter().zip(labels) {
        drawn.get_mut(usize::from(*label)).expect("a data set's labels are indices of its classes").push(row);
    }
    let mut random = stream(seed, 0, 0, Purpose::Split);
    drawn.iter_mut().for_each(|rows| rows.shuffle(&mut random));
    Ok(drawn)
}

fn rows(count: usize) -> Result<Vec<u32>, Error> {
    let count = u32::try_from(count)
        .map_err(|_| fault("data", "the data set has more than 4,294,967,295 images", "use fewer images"))?;
    Ok((0..count).collect())
}

/// Removes this fraction of every class and returns the removed rows.
fn hold_out(classes: &mut [Vec<u32>], share: f64, names: &[String], what: &str) -> Result<Vec<u32>, Error> {
    let place = format!("data.{what}: {share}");
    if !(share > 0.0 && share < 1.0) {
        return Err(fault(
            place,
            "must be a fraction above 0 and below 1",
            "write a fraction, for example 0.1, or test",
        ));
    }
    let all: usize = classes.iter().map(Vec::len).sum();
    hold_out_of(classes, (share * all as f64).round() as usize, names, what, place)
}

/// Removes this number of images, in proportion from every class, and returns the removed rows.
fn hold_out_count(classes: &mut [Vec<u32>], count: u64, names: &[String], what: &str) -> Result<Vec<u32>, Error> {
    let place = format!("data.{what}: {count}");
    let all: usize = classes.iter().map(Vec::len).sum();
    match usize::try_from(count).ok().filter(|count| *count < all) {
        Some(total) => hold_out_of(classes, total, names, what, place),
        None => {
            let rule = format!("leaves none of the {} images for training", thousands(all as u64));
            Err(fault(place, rule, "write a smaller number, or a fraction, for example 0.1"))
        }
    }
}

fn hold_out_of(
    classes: &mut [Vec<u32>],
    total: usize,
    names: &[String],
    what: &str,
    place: String,
) -> Result<Vec<u32>, Error> {
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let mut held = Vec::new();
    for ((rows, quota), name) in classes.iter_mut().zip(quotas(&sizes, total)).zip(names) {
        let (size, left) = (rows.len(), rows.len() - quota);
        let none = match (quota, left) {
            _ if size == 0 => None,
            (0, _) => Some(what),
            (_, 0) => Some("training"),
            _ => None,
        };
        if let Some(none) = none {
            let rule = format!("leaves none of the {size} images of class `{name}` for {none}");
            return Err(fault(place, rule, "hold out closer to half of the images, or add images of that class"));
        }
        held.push(rows.drain(..quota).collect());
    }
    Ok(sorted(held))
}

/// Returns `wanted` rows, in proportion from every class.
fn chosen(mut classes: Vec<Vec<u32>>, wanted: u64, names: &[String]) -> Result<Vec<Vec<u32>>, Error> {
    let place = format!("data.train_examples: {wanted}");
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let all: usize = sizes.iter().sum();
    let Some(total) = usize::try_from(wanted).ok().filter(|total| *total <= all) else {
        let rule = format!("only {} training images are available", thousands(all as u64));
        return Err(fault(place, rule, format!("write at most {all}, or remove the key to use all images")));
    };
    for ((rows, quota), name) in classes.iter_mut().zip(quotas(&sizes, total)).zip(names) {
        if quota == 0 && !rows.is_empty() {
            let rule = format!("leaves no training image of class `{name}`");
            return Err(fault(place, rule, "write a larger number"));
        }
        rows.truncate(quota);
    }
    Ok(classes)
}

/// Divides `total` in proportion to the sizes. Each share is rounded down or up, and those with the largest remainders
/// are rounded up. `total` is at most the sum of the sizes.
fn quotas(sizes: &[usize], total: usize) -> Vec<usize> {
    let all = sizes.iter().sum::<usize>().max(1) as u128;
    let exact: Vec<u128> = sizes.iter().map(|size| *size as u128 * total as u128).collect();
    let mut quotas: Vec<usize> =
        exact.iter().map(|exact| usize::try_from(exact / all).expect("at most the size")).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    // The sort is stable, so of equal remainders the first class comes first.
    by_remainder.sort_by_key(|class| std::cmp::Reverse(exact[*class] % all));
    let missing = total - quotas.iter().sum::<usize>();
    for class in by_remainder.into_iter().take(missing) {
        quotas[class] += 1;
    }
    quotas
}

fn sorted(classes: Vec<Vec<u32>>) -> Vec<u32> {
    let mut rows = classes.concat();
    rows.sort_unstable();
    rows
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::{Images, Info};
    use super::*;
    use crate::network::Shape;
    use sweep_core::recipe::Source;

    /// Returns a dataset with these numbers of images per class. The classes alternate, and each image is one pixel.
    fn dataset(counts: &[usize], test: usize) -> Dataset {
        let most = counts.iter().max().copied().unwrap_or(0);
        let labels: Vec<u8> =
            (0..most).flat_map(|i| (0..counts.len()).filter(move |c| i < counts[*c]).map(|c| c as u8)).collect();
        let images = |labels: Vec<u8>| Images { pixels: vec![0; labels.len()], labels };
        let info = Info {
            shape: Shape { channels: 1, height: 1, width: 1 },
            classes: (0..counts.len()).map(|class| format!("class{class}")).collect(),
            train: labels.len() as u64,
            validation: 0,
            test: test as u64,
            notes: Vec::new(),
        };
        let validation = images(Vec::new());
        Dataset { info, train: images(labels), validation, test: images(vec![0; test]), white: 255.0 }
    }

    fn data(validation: Validation, train_examples: Option<u64>) -> Data {
        Data {
            split_seed: None,
            source: Source::Digits,
            validation,
            train_examples,
            test: None,
            augment: Default::default(),
            normalize: Default::default(),
        }
    }

    fn share(share: f64) -> Data {
        data(Validation::Share(share), None)
    }

    /// Returns the number of images of each class among the rows.
    fn counts(dataset: &Dataset, rows: &[u32]) -> Vec<usize> {
        let mut counts = vec![0; dataset.info.classes.len()];
        rows.iter().for_each(|row| counts[usize::from(dataset.train.labels[*row as usize])] += 1);
        counts
    }

    proptest! {
        #[test]
        fn a_split_is_disjoint_complete_and_even_within_one(
            sizes in prop::collection::vec(10..60_usize, 2..8), held in 0.15..0.85_f64, seed: u64
        ) {
            let dataset = dataset(&sizes, 0);
            let all: usize = sizes.iter().sum();
            let split = split(&dataset, &share(held), seed).unwrap();
            let rows: BTreeSet<u32> = split.train.iter().chain(&split.validation).copied().collect();
            prop_assert_eq!(rows.len(), split.train.len() + split.validation.len());
            prop_assert_eq!(rows, (0..all as u32).collect());
            let total = (held * all as f64).round();
            prop_assert_eq!(split.validation.len() as f64, total);
            for (count, size) in counts(&dataset, &split.validation).into_iter().zip(&sizes) {
                prop_assert!((count as f64 - total * *size as f64 / all as f64).abs() < 1.0);
            }
            prop_assert_eq!(split.train_eval.len(), split.validation.len().min(split.train.len()));
            let train: BTreeSet<u32> = split.train.iter().copied().collect();
            prop_assert!(split.train_eval.iter().all(|row| train.contains(row)));
            for rows in [&split.train, &split.validation, &split.train_eval] {
                prop_assert!(rows.is_sorted_by(|a, b| a < b));
            }
        }

        #[test]
        fn quotas_add_up_and_never_exceed_their_class(
            sizes in prop::collection::vec(0..100_usize, 0..20), part in 0.0..=1.0_f64
        ) {
            let total = (part * sizes.iter().sum::<usize>() as f64) as usize;
            let quotas = quotas(&sizes, total);
            prop_assert_eq!(quotas.iter().sum::<usize>(), total);
            prop_assert!(quotas.iter().zip(&sizes).all(|(quota, size)| quota <= size));
        }
    }

    #[test]
    fn the_seed_alone_decides_the_split() {
        let dataset = dataset(&[50, 50], 0);
        let drawn = |seed| split(&dataset, &share(0.2), seed).unwrap();
        let fixed = Data { split_seed: Some(1), ..share(0.2) };
        assert_eq!(split(&dataset, &fixed, 2).unwrap(), drawn(1), "the data's own seed goes first");
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7).validation, drawn(8).validation);
    }

    #[test]
    fn fewer_training_images_are_a_part_of_more_and_leave_what_is_held_out_alone() {
        let dataset = dataset(&[60, 30], 0);
        let [full, forty, twelve] =
            [None, Some(40), Some(12)].map(|wanted| split(&dataset, &data(Validation::Share(0.1), wanted), 1).unwrap());
        assert_eq!(full.validation, twelve.validation);
        assert_eq!(counts(&dataset, &twelve.train), [8, 4]);
        assert!(twelve.train.iter().all(|row| forty.train.contains(row)));
        assert!(forty.train.iter().all(|row| full.train.contains(row)));
    }

    #[test]
    fn what_is_tested_is_held_out_first_and_nothing_else_changes_it() {
        let dataset = dataset(&[60, 30], 6);
        let part =
            |test, validation, examples| split(&dataset, &Data { test, ..data(validation, examples) }, 1).unwrap();
        let share = Validation::Share(0.1);
        let held = part(Some(HeldOut::Count(30)), share, None);
        assert_eq!((counts(&dataset, &held.test), held.train.len()), (vec![20, 10], 54));
        assert_eq!(held.test, part(Some(HeldOut::Count(30)), Validation::Count(12), Some(10)).test);
        assert_eq!(part(Some(HeldOut::Share(0.5)), share, None).test.len(), 45);
        let all = [&held.train, &held.validation, &held.test].into_iter().flatten().collect::<BTreeSet<_>>();
        assert_eq!(all.len(), 90);
        // Without a part of its own, the test images are the data set's, unless they validate.
        assert_eq!(part(None, share, None).test, [0, 1, 2, 3, 4, 5]);
        assert_eq!(part(None, Validation::Test, None).test, [0_u32; 0]);
    }

    #[test]
    fn all_test_images_validate_and_as_many_of_training_are_compared_with_them() {
        let dataset = dataset(&[20, 20], 6);
        let split = split(&dataset, &data(Validation::Test, None), 1).unwrap();
        assert_eq!(split.validation, [0, 1, 2, 3, 4, 5]);
        assert_eq!(split.train.len(), 40);
        assert_eq!(counts(&dataset, &split.train_eval), [3, 3]);
    }

    #[test]
    fn what_cannot_be_split_says_why_and_what_to_write() {
        let small = dataset(&[30, 2], 0);
        let cases = [
            (share(0.01), "0.01: leaves none of the 30 images of class `class0` for validation"),
            (share(0.1), "0.1: leaves none of the 2 images of class `class1` for validation"),
            (share(0.95), "0.95: leaves none of the 2 images of class `class1` for training"),
            (share(1.0), "1: must be a fraction above 0 and below 1"),
            (share(f64::NAN), "NaN: must be a fraction above 0 and below 1"),
            (data(Validation::Own, None), "data.validation: is `val`, but this data set has no validation images"),
            (data(Validation::Count(32), None), "validation: 32: leaves none of the 32 images for training"),
            (data(Validation::Test, None), "data.validation: is `test`, but this data set has no test images"),
            (data(Validation::Share(0.5), Some(17)), "train_examples: 17: only 16 training images are available"),
            (data(Validation::Share(0.5), Some(2)), "train_examples: 2: leaves no training image of class `class1`"),
            (data(Validation::Share(0.5), Some(0)), "train_examples: 0: leaves no training image of class `class0`"),
        ];
        for (data, expected) in cases {
            let error = split(&small, &data, 1).unwrap_err();
            assert_eq!(error.exit, sweep_core::error::Exit::BadData);
            assert!(error.to_string().contains(expected) && error.to_string().contains("hint: "), "{error}");
        }
    }
}
