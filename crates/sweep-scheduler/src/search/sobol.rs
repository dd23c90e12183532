//! The Sobol sequence with Owen scrambling by the seed: configurations that fill a space more evenly than independent
//! draws (Burley 2020, "Practical Hash-based Owen Scrambling").

use rand::RngExt;

use sweep_core::random::{Purpose, stream};
use sweep_core::space::Space;
use sweep_core::trial::Settings;

/// Length of a sequence. After it, another sequence begins, with its own scrambling.
const LONGEST: u64 = 1 << 16;

/// Returns the configuration with that index, from 0. `None` if it is excluded.
pub fn point(space: &Space, seed: u64, number: u64) -> Option<Settings> {
    let mut chance = stream(seed, 0, number / LONGEST, Purpose::Sobol);
    let seeds: Vec<u32> =
        (0..space.choices().div_ceil(sobol_burley::NUM_DIMENSIONS as usize)).map(|_| chance.random()).collect();
    space.at(|choice| {
        let (block, dimension) =
            (choice / sobol_burley::NUM_DIMENSIONS as usize, choice as u32 % sobol_burley::NUM_DIMENSIONS);
        f64::from(sobol_burley::sample((number % LONGEST) as u32, dimension, seeds[block]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sweep_core::space::{Curve, Distribution, Parameter};

    #[test]
    fn each_dimension_and_each_pair_is_filled_evenly_and_the_seed_scrambles() {
        let one = |at| Parameter {
            name: format!("x{at}"),
            distribution: Distribution::Number { curve: Curve::Uniform { min: 0.0, max: 1.0 }, step: None },
            when: None,
        };
        let space = Space::new((0..2).map(one).collect(), Vec::new(), Vec::new()).unwrap();
        let points = |seed| -> Vec<[f64; 2]> {
            let coordinate = |point: &Settings, name: &str| point[name].as_f64().unwrap();
            let point = |at| space_point(&space, seed, at);
            (0..64).map(point).map(|point| ["x0", "x1"].map(|name| coordinate(&point, name))).collect()
        };
        for seed in 0..5 {
            // Of 64 configurations, one lies in each of 64 strips, and one in each cell of an 8 by 8 grid.
            for (columns, rows) in [(64.0, 1.0), (1.0, 64.0), (8.0, 8.0)] {
                let cell = |[x, y]: &[f64; 2]| ((x * columns) as u32, (y * rows) as u32);
                let cells: std::collections::HashSet<_> = points(seed).iter().map(cell).collect();
                assert_eq!(cells.len(), 64, "{columns} by {rows}, seed {seed}");
            }
        }
        assert_ne!(points(1), points(2));
    }

    fn space_point(space: &Space, seed: u64, at: u64) -> Settings {
        point(space, seed, at).expect("nothing is excluded")
    }
}
