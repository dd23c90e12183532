//! Follows `next.yaml` once and twice on response surfaces whose optimum is known.

use std::path::Path;

use super::super::analysis::Analysis;
use sweep_core::history::Entry;
use sweep_core::trial::{Outcome, Settings, TrialId};
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// Number of epochs of each trial.
const EPOCHS: u32 = 20;

type Surface = fn(&Settings) -> f64;

fn number(settings: &Settings, name: &str) -> f64 {
    settings[name].as_f64().expect("a number")
}

/// Distance from the best value, in factors of ten.
fn decades(settings: &Settings, name: &str, best: f64) -> f64 {
    (number(settings, name) / best).log10()
}

/// A repeatable number between -0.5 and 0.5.
fn wiggle(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24) - 0.5
}

/// What a sweep came to.
struct Ran {
    /// The height of the trial that was measured to be the best.
    best: f64,
    trials: u64,
    next: String,
}

/// Runs a sweep of a program whose last validation loss is the height of the surface, times some noise.
fn run(text: &str, surface: Surface, noise: f64, salt: u64) -> Ran {
    let read = Spec::read(text, "f", Path::new("/nowhere/results/f"));
    let spec = read.unwrap_or_else(|problems| panic!("{problems}\n{text}")).0;
    let mut history = sweep_sample::apply(&sweep_sample::beginning("f"));
    let mut search = Search::new(spec.search_terms());
    let (mut best, mut trials) = ((f64::INFINITY, f64::INFINITY), 0);
    while let Some(settings) = search.next(TrialId(trials + 1), &history) {
        trials += 1;
        let height = surface(&settings);
        let measured = height * (1.0 + noise * wiggle(salt * 1000 + trials));
        best = if measured < best.0 { (measured, height) } else { best };
        let mut entries = sweep_sample::attempt(trials, 1, &settings, 0, EPOCHS);
        for entry in &mut entries {
            if let Entry::Epoch { metrics, .. } = entry {
                let left = 1.5 * (-f64::from(metrics.epoch) / 3.0).exp();
                let loss = measured + left;
                *metrics = sweep_core::trial::EpochMetrics {
                    epoch: metrics.epoch,
                    train_loss: Some(0.97 * loss),
                    val_loss: Some(loss),
                    seconds: Some(1.0),
                    ..Default::default()
                };
            }
        }
        entries.push(sweep_sample::ended(trials, 1, Outcome::Finished));
        entries.iter().for_each(|entry| history.apply(entry).expect("a valid entry"));
    }
    let folder = Path::new("/nowhere/results/f");
    let next = super::file(text, folder, &Analysis::new(&spec, &history)).expect("a sweep file");
    // The folder of the program is relative to where the file would lie.
    let next = next.lines().filter(|line| !line.starts_with("folder:")).map(|line| format!("{line}\n")).collect();
    Ran { best: best.1, trials, next }
}

/// A sweep and its surface. The optimum has the height 1.
const CASES: [(&str, &str, Surface); 10] = [
    (
        "tpe, best above the range",
        "method: tpe\nrun_cap: 20\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-3}\n",
        |s| 1.0 + decades(s, "lr", 1e-2).powi(2),
    ),
    (
        "tpe, best below the range, and a second parameter inside",
        "method: tpe\nrun_cap: 20\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-3, max: 1e-1}\n  \
         dropout: {min: 0.0, max: 0.8}\n",
        |s| 1.0 + decades(s, "lr", 1e-4).powi(2) + 4.0 * (number(s, "dropout") - 0.3).powi(2),
    ),
    (
        "random, best above the range",
        "method: random\nrun_cap: 12\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-3}\n",
        |s| 1.0 + decades(s, "lr", 1e-2).powi(2),
    ),
    (
        "random, best inside, three parameters of which one matters",
        "method: random\nrun_cap: 20\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}\n  a: \
         {min: 0.0, max: 1.0}\n  b: {min: 0.0, max: 1.0}\n",
        |s| 1.0 + decades(s, "lr", 1e-3).powi(2),
    ),
    (
        "random, a narrow valley in two parameters",
        "method: random\nrun_cap: 20\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}\n  wd: \
         {distribution: log_uniform_values, min: 1e-6, max: 1e-2}\n",
        |s| 1.0 + (decades(s, "lr", 1e-3) + decades(s, "wd", 1e-4)).powi(2) + 0.2 * decades(s, "lr", 1e-2).powi(2),
    ),
    (
        "grid, best beyond the list",
        "parameters:\n  lr: {values: [1e-4, 3e-4, 1e-3]}\n  batch: {values: [16, 32, 64]}\n",
        |s| 1.0 + decades(s, "lr", 1e-2).powi(2) + 0.1 * decades(s, "batch", 32.0).powi(2),
    ),
    (
        "random, whole numbers, best above the range",
        "method: random\nrun_cap: 12\nparameters:\n  units: {min: 4, max: 64}\n",
        |s| 1.0 + decades(s, "units", 300.0).powi(2),
    ),
    (
        "random, the best rate depends on the optimizer",
        "method: random\nrun_cap: 24\nparameters:\n  lr: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}\n  \
         optimizer: {values: [adam, sgd]}\n",
        |s| {
            if s["optimizer"] == "adam" {
                1.0 + decades(s, "lr", 3e-4).powi(2)
            } else {
                1.1 + decades(s, "lr", 1e-1).powi(2)
            }
        },
    ),
    (
        "random, dropout above the range",
        "method: random\nrun_cap: 12\nparameters:\n  dropout: {min: 0.0, max: 0.3}\n",
        |s| 1.0 + 4.0 * (number(s, "dropout") - 0.6).powi(2),
    ),
    (
        "sobol, nothing matters",
        "method: sobol\nrun_cap: 16\nparameters:\n  a: {min: 0.0, max: 1.0}\n  b: {min: 1, max: 100}\n",
        |_| 1.0,
    ),
];

/// Number of sweeps of each kind, each with another seed.
const SEEDS: u64 = 5;
/// Width of the noise, as a share of the height.
const NOISE: f64 = 0.05;

/// The means of the best heights: of the sweeps, after `next.yaml`, after the `next.yaml` of that, and of as many trials
/// of the same file.
fn followed(text: &str, surface: Surface) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for seed in 1..=SEEDS {
        let file = |seed: u64| format!("name: f\nseed: {seed}\nprogram: train.py\nmetric: {{name: val_loss}}\n{text}");
        let first = run(&file(seed), surface, NOISE, seed);
        let next = run(&first.next, surface, NOISE, seed + 100);
        let twice = run(&next.next, surface, NOISE, seed + 200);
        let (mut more, mut spent) = (first.best, 0);
        for again in (1..20).take_while(|again| *again == 1 || file(seed).contains("run_cap")) {
            if spent < next.trials + twice.trials {
                let other = run(&file(seed + 1000 * again), surface, NOISE, seed + 300 * again);
                (more, spent) = (more.min(other.best), spent + other.trials);
            }
        }
        let once = first.best.min(next.best);
        for (sum, one) in sums.iter_mut().zip([first.best, once, once.min(twice.best), more]) {
            *sum += one / SEEDS as f64;
        }
    }
    sums
}

#[test]
fn following_leads_toward_the_optimum_and_further_than_more_of_the_same() {
    for (name, text, surface) in CASES {
        let [first, next, twice, more] = followed(text, surface);
        println!("{name}: {first:.4}, next {next:.4}, twice {twice:.4}; more of the same {more:.4}");
        // What is left to the optimum is at most a third of what it was, or within the noise.
        assert!(twice - 1.0 <= f64::max((first - 1.0) / 3.0, 0.5 * NOISE), "{name}: {first} to {twice}");
        assert!(twice <= more + 0.2 * NOISE, "{name}: {twice}, but more of the same would have led to {more}");
    }
}

#[test]
fn the_best_configuration_is_in_the_next_sweep() {
    for (name, text, surface) in CASES {
        let file = format!("name: f\nseed: 3\nprogram: train.py\nmetric: {{name: val_loss}}\n{text}");
        let first = run(&file, surface, 0.0, 1);
        // Without noise, the height is the result.
        let next = run(&first.next, surface, 0.0, 1);
        assert!(next.best <= first.best, "{name}: {} to {}\n{}", first.best, next.best, first.next);
    }
}
