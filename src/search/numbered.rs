//! Points by their numbers: in the order of the file, or shuffled.

use crate::space::{Permutation, Space};
use crate::trial::Settings;

/// The points of a space that are counted, but for some.
#[derive(Debug, Clone)]
pub struct Numbered {
    space: Space,
    /// Numbers that are left out, ascending.
    skip: Vec<u64>,
    /// An order of those that are left, if not that of the file.
    order: Option<Permutation>,
}

impl Numbered {
    /// All points but those of `skip`; shuffled by the seed, if there is one.
    pub fn new(space: Space, skip: &[Settings], shuffle: Option<u64>) -> Numbered {
        let mut skip: Vec<u64> = skip.iter().filter_map(|point| space.number(point)).collect();
        skip.sort_unstable();
        skip.dedup();
        let left = space.count().unwrap_or(0).saturating_sub(skip.len() as u64);
        Numbered { space, skip, order: shuffle.map(|seed| Permutation::new(seed, left)) }
    }

    /// The point at that place of the order, from 0; `None` past the end.
    pub fn point(&self, at: u64) -> Option<Settings> {
        let mut number = match &self.order {
            Some(order) => order.get(at)?,
            None => at,
        };
        for skipped in &self.skip {
            number += u64::from(*skipped <= number);
        }
        self.space.point(number)
    }
}
