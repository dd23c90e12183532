//! What was tried before the sweep file grew: the trials that were begun stay, and the file's points go on without those
//! that they tried.

use std::collections::HashMap;

use sweep_core::history::History;
use sweep_core::space::Space;
use sweep_core::trial::{Settings, fingerprint};

/// The trials so far, as the file sees them that has taken the place of another.
#[derive(Debug, Clone, Default)]
pub struct Grown {
    /// How many trials had been begun.
    pub begun: u64,
    /// How many points those were, of the file that holds now or not.
    pub points: u64,
    /// Points of the file that lack repeats, each as often as it lacks one.
    pub owed: Vec<Settings>,
    /// How often each point of the file was tried, by its fingerprint.
    tried: HashMap<u64, u64>,
    /// The places, in the order of the search, of the points so far that were not tried.
    places: Vec<u64>,
}

impl Grown {
    /// Nothing was tried where the file is the first one. Points that the space does not have count for nothing.
    pub fn new(space: &Space, repeats: u64, history: &History) -> Grown {
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
        for point in points {
            let lacks = repeats.saturating_sub(grown.tried[&fingerprint(&point)]);
            grown.owed.extend(std::iter::repeat_n(point, usize::try_from(lacks).unwrap_or(0)));
        }
        grown
    }

    /// Trials in all of a file that has so many points.
    pub fn trials(&self, points: u64, repeats: u64) -> u64 {
        let new = points.saturating_sub(self.tried.len() as u64);
        (self.begun + self.owed.len() as u64).saturating_add(new.saturating_mul(repeats))
    }

    /// Whether the point was tried before.
    pub fn has_tried(&self, point: &Settings) -> bool {
        !self.tried.is_empty() && self.tried.contains_key(&fingerprint(point))
    }

    /// The point of that number, from 0, of those in the search's order that were not tried; `None` past the end.
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
