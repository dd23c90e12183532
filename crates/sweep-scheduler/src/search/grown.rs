//! What was tried before the sweep file was extended. Trials that began stay. The new file's configurations continue
//! without those that were already tried.

use std::collections::HashMap;

use sweep_core::history::History;
use sweep_core::space::Space;
use sweep_core::trial::{Settings, fingerprint};

/// The trials so far, as seen by the new sweep file.
#[derive(Debug, Clone, Default)]
pub struct Grown {
    /// Number of trials begun before.
    pub begun: u64,
    /// Number of distinct configurations of those trials, whether or not the new file has them.
    pub points: u64,
    /// Configurations of the file that lack repeats, each listed once per missing repeat.
    pub owed: Vec<Settings>,
    /// Number of trials of each configuration of the file, by fingerprint.
    tried: HashMap<u64, u64>,
    /// Positions, in search order, of the untried configurations found so far.
    places: Vec<u64>,
}

impl Grown {
    /// Collects the earlier trials. There are none if the sweep file was never replaced. Configurations outside the
    /// space are ignored. Of those that lack repeats, the ones in `first` come first.
    pub fn new(space: &Space, repeats: u64, history: &History, first: &[Settings]) -> Grown {
        let begun = history.extensions.last().map_or(0, |extension| extension.begun);
        let mut grown = Grown { begun: begun as u64, ..Grown::default() };
        let mut points: Vec<Settings> = Vec::new();
        for trial in &history.trials[..begun] {
            grown.points += u64::from(trial.repeat == 1);
            let Some(point) = space.own(&trial.settings) else { continue };
            let times = grown.tried.entry(fingerprint(&point)).or_default();
            *times += 1;
            if *times == 1 {
                points.push(point);
            }
        }
        let place = |point: &Settings| first.iter().position(|one| one == point).unwrap_or(usize::MAX);
        points.sort_by_cached_key(place);
        for point in points {
            let lacks = repeats.saturating_sub(grown.tried[&fingerprint(&point)]);
            grown.owed.extend(std::iter::repeat_n(point, usize::try_from(lacks).unwrap_or(0)));
        }
        grown
    }

    /// Returns the total number of trials of a file with `points` configurations.
    pub fn trials(&self, points: u64, repeats: u64) -> u64 {
        let new = points.saturating_sub(self.tried.len() as u64);
        (self.begun + self.owed.len() as u64).saturating_add(new.saturating_mul(repeats))
    }

    /// Returns whether the configuration was tried before.
    pub fn has_tried(&self, point: &Settings) -> bool {
        !self.tried.is_empty() && self.tried.contains_key(&fingerprint(point))
    }

    /// Returns the untried configuration with that index in search order, from 0. `None` past the end.
    pub fn untried(&mut self, number: u64, mut point: impl FnMut(u64) -> Option<Settings>) -> Option<Settings> {
        if self.tried.is_empty() {
            return point(number);
        }
        let number = usize::try_from(number).ok()?;
        while self.places.len() <= number {
            let mut place = self.places.last().map_or(0, |last| last + 1);
            while self.has_tried(&point(place)?) {
                place += 1;
            }
            self.places.push(place);
        }
        point(*self.places.get(number)?)
    }
}
