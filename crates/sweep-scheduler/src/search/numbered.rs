//! Configurations by their index: in file order or shuffled, and part after part if some go first.

use sweep_core::space::{Permutation, Space};
use sweep_core::trial::Settings;

/// The configurations of countable spaces, except some.
#[derive(Debug, Clone)]
pub struct Numbered {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    space: Space,
    /// Indices that are left out, ascending.
    skip: Vec<u64>,
    /// Number of configurations left.
    left: u64,
    /// Order of those configurations, unless it is file order.
    order: Option<Permutation>,
}

impl Numbered {
    /// Lists all configurations of these spaces in succession, except those in `skip`. A `shuffle` seed shuffles each
    /// space.
    pub fn new(spaces: Vec<Space>, skip: &[Settings], shuffle: Option<u64>) -> Numbered {
        let part = |space: Space| {
            let mut skip: Vec<u64> = skip.iter().filter_map(|point| space.number(point)).collect();
            skip.sort_unstable();
            skip.dedup();
            let left = space.count().unwrap_or(0).saturating_sub(skip.len() as u64);
            Part { space, skip, left, order: shuffle.map(|seed| Permutation::new(seed, left)) }
        };
        Numbered { parts: spaces.into_iter().map(part).collect() }
    }

    /// Returns the configuration at that position, from 0. `None` past the end.
    pub fn point(&self, mut at: u64) -> Option<Settings> {
        for part in &self.parts {
            let Some(rest) = at.checked_sub(part.left) else { return part.point(at) };
            at = rest;
        }
        None
    }
}

impl Part {
    fn point(&self, at: u64) -> Option<Settings> {
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
