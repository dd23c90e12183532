//! Which pictures are trained on and which are held out: even in every class, and the same for all trials of a sweep.

use rand::seq::SliceRandom;

use super::{Dataset, fault};
use crate::error::Error;
use crate::random::{Purpose, stream};
use crate::recipe::{Data, Validation};

/// Row numbers into [`Dataset::train`], and for [`Validation::Test`] into [`Dataset::test`]; each list ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Trained on.
    pub train: Vec<u32>,
    /// Held out.
    pub validation: Vec<u32>,
    /// A fixed part of `train`, as large as `validation`, or all of it where that is larger.
    pub train_eval: Vec<u32>,
}

/// Divides the pictures as `data` says. Pure, from the sweep's seed alone: `train_examples` changes nothing in what is
/// held out, and fewer of them are a part of more.
///
/// # Errors
/// Where a class would be left empty on one side, where `train_examples` is more than there is, and where test
/// pictures are wanted and there are none.
pub fn split(dataset: &Dataset, data: &Data, seed: u64) -> Result<Split, Error> {
    let names = &dataset.info.classes;
    let mut classes = drawn(&dataset.train.labels, names.len(), seed)?;
    let validation = match data.validation {
        Validation::Share(share) => hold_out(&mut classes, share, names)?,
        Validation::Test if dataset.test.labels.is_empty() => {
            return Err(fault("data: validation", "this data set has no test pictures", "write a share, say 0.1"));
        }
        Validation::Test => rows(dataset.test.labels.len())?,
    };
    if let Some(wanted) = data.train_examples {
        classes = chosen(classes, wanted, names)?;
    }
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let compared = quotas(&sizes, validation.len().min(sizes.iter().sum()));
    let train_eval = classes.iter().zip(compared).map(|(rows, quota)| rows[..quota].to_vec()).collect();
    Ok(Split { train: sorted(classes), validation, train_eval: sorted(train_eval) })
}

/// The rows of each class, each list in an order drawn by the seed.
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
        .map_err(|_| fault("data", "there are more than 4,294,967,295 pictures", "use fewer of them"))?;
    Ok((0..count).collect())
}

/// Takes the share of every class out.
fn hold_out(classes: &mut [Vec<u32>], share: f64, names: &[String]) -> Result<Vec<u32>, Error> {
    let place = format!("data: validation: {share}");
    if !(share > 0.0 && share < 1.0) {
        return Err(fault(place, "a share is above 0 and below 1", "write 0.1, say, or test"));
    }
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let total = (share * sizes.iter().sum::<usize>() as f64).round() as usize;
    let mut held = Vec::new();
    for ((rows, quota), name) in classes.iter_mut().zip(quotas(&sizes, total)).zip(names) {
        let (size, left) = (rows.len(), rows.len() - quota);
        let none = match (quota, left) {
            _ if size == 0 => None,
            (0, _) => Some("validate on"),
            (_, 0) => Some("train on"),
            _ => None,
        };
        if let Some(what) = none {
            let rule = format!("of the {size} pictures of class `{name}` it leaves none to {what}");
            return Err(fault(place, rule, "write a share nearer to 0.5, or add pictures of that class"));
        }
        held.push(rows.drain(..quota).collect());
    }
    Ok(sorted(held))
}

/// `wanted` rows, evenly from every class.
fn chosen(mut classes: Vec<Vec<u32>>, wanted: u64, names: &[String]) -> Result<Vec<Vec<u32>>, Error> {
    let place = format!("data: train_examples: {wanted}");
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let all: usize = sizes.iter().sum();
    let Some(total) = usize::try_from(wanted).ok().filter(|total| *total <= all) else {
        let rule = format!("only {all} pictures are left to train on");
        return Err(fault(place, rule, format!("write at most {all}, or leave it out to use them all")));
    };
    for ((rows, quota), name) in classes.iter_mut().zip(quotas(&sizes, total)).zip(names) {
        if quota == 0 && !rows.is_empty() {
            let rule = format!("it leaves no picture of class `{name}` to train on");
            return Err(fault(place, rule, "write more"));
        }
        rows.truncate(quota);
    }
    Ok(classes)
}

/// `total` divided in proportion to the sizes: each share rounded down or up, those with the largest remainders up.
/// `total` is at most the sum of the sizes.
fn quotas(sizes: &[usize], total: usize) -> Vec<usize> {
    let all = sizes.iter().sum::<usize>().max(1) as u128;
    let exact: Vec<u128> = sizes.iter().map(|size| *size as u128 * total as u128).collect();
    let mut quotas: Vec<usize> =
        exact.iter().map(|exact| usize::try_from(exact / all).expect("at most the size")).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    // Stable: of equal remainders, the first class's counts.
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
