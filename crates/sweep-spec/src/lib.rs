//! The sweep file: its text becomes either a [`Spec`], which is always valid, or a list of all its problems.
//!
//! This crate owns the keys of the file, the places in its text, and the messages about both, including the comparison
//! with W&B (`lint`). It reads no file, not even the data: `Spec::inspect` gets a description of it. It does not decide
//! which trials there are; `sweep-scheduler` does, from [`Spec::search_terms`].
//!
//! Start with this file, which has the result. `check` reads the file section by section, with the nodes of `node` and
//! the table of settings in `setting`. `trains` and `recipe` then make what a trial trains.

mod budget;
mod check;
mod cluster;
mod constraints;
mod defaults;
mod devices;
mod distribution;
mod document;
mod doubts;
mod early;
mod enqueue;
mod expression;
mod goal;
mod inspect;
mod kind;
mod lint;
mod metric;
mod model;
mod name;
mod networks;
mod node;
mod parameters;
mod place;
mod problem;
mod program;
mod range;
mod recipe;
mod repeats;
mod sections;
mod setting;
mod settling;
mod slurm;
mod stages;
mod time;
mod trains;
mod value;
mod yaml;
mod yaml11;

pub use cluster::Cluster;
pub use constraints::condition_on as condition;
pub use goal::of as goal_of;
pub use inspect::{Inspection, Kind, MOST_KINDS, place_of_data};
pub use lint::{Finding, Report, Verdict, lint};
pub use model::Model;
pub use name::is_folder_name;
pub use place::{Mark, Path};
pub use problem::{Note, Problem, Problems};
pub use program::without_dots;
pub use setting::{MODEL, SETS, SETTINGS, TYPE};
pub use slurm::SlurmJobs;
pub use stages::{From, Stage};
pub use sweep_core::search_terms::{Method, Order};
pub use sweep_core::trial::plain;
pub use time::{MaxTime, parse as parse_time};
pub use trains::{Network, Trains};
pub use yaml::parse_typed as parse_yaml;

use std::path::PathBuf;
use std::time::Duration;

use sweep_core::budget::Budget;
use sweep_core::search_terms::SearchTerms;
use sweep_core::space::{Condition, Space};
use sweep_core::stop::EarlyTerminate;
use sweep_core::trial::{Metric, Settings};

/// A sweep file, read and checked.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Name of the folder under `results/`, checked to be a valid folder name.
    pub name: String,
    /// Purpose of the sweep, in the user's words.
    pub description: Option<String>,
    /// How configurations are chosen.
    pub method: Method,
    /// Order in which a grid is traversed.
    pub order: Order,
    /// For `tpe` and `bayes`: a trial's parameters do not depend on the results of this many trials just before it.
    /// `None` derives it from the slots that the sweep begins with.
    pub lag: Option<u32>,
    /// Which configurations of a grid go first: those that meet the first condition, then those that meet the second,
    /// and so on.
    pub priority: Vec<Condition>,
    /// Rules that end trials because others do better, if any.
    pub early_terminate: Option<EarlyTerminate>,
    /// Configurations to try first, each with the values that the file gives.
    pub enqueue: Vec<Settings>,
    /// Index in `enqueue` of the defaults of the network, as far as they are values of the parameters.
    pub defaults: Option<usize>,
    /// Metric that ranks the trials.
    pub metric: Metric,
    /// Metrics that are traded off against it.
    pub tradeoffs: Vec<Metric>,
    /// Whether a trial needs a value of it. W&B's grid and random search of a program may do without a metric.
    pub ranks: bool,
    /// Once a trial has this value of it, or a better one, no other begins.
    pub target: Option<f64>,
    /// Seed of the search. Together with each trial's number it also keys every random draw.
    pub seed: u64,
    /// Number of trials per configuration, each with another seed.
    pub repeats: u32,
    /// Number of trials that a race may give the configurations that compete for the first place. There is no race if
    /// it equals `repeats`.
    pub most_repeats: u32,
    /// Maximum number of trials.
    pub run_cap: Option<u64>,
    /// Number of trials that keep the weights of their best epoch.
    pub keep_best: u32,
    /// Number of times that a lost trial is retried.
    pub retries: u32,
    /// Time between SIGTERM and SIGKILL for a program that is asked to stop.
    pub stop_grace: Duration,
    /// How long a trial and a run may take.
    pub max_time: MaxTime,
    /// What all runs may cost together.
    pub budget: Budget,
    /// Whether the budget decides about early stopping, because the file does not.
    pub chooses_rule: bool,
    /// The stages that follow once all trials have ended.
    pub stages: Vec<Stage>,
    /// Devices that trials run on.
    pub devices: Devices,
    /// Other hosts that trials run on.
    pub cluster: Cluster,
    /// Absolute path of the folder that relative paths of the file start from.
    pub base: PathBuf,
    /// Absolute path of the folder in which programs start. `None` derives it from the file alone, which does not say
    /// where `sweep` was called.
    pub start: Option<PathBuf>,
    /// The search space.
    pub space: Space,
    /// What trials train: a network of the file, or a program.
    pub trains: Trains,
}

impl Spec {
    /// Returns the part of the file that the search needs.
    pub fn search_terms(&self) -> SearchTerms<'_> {
        SearchTerms {
            space: &self.space,
            method: self.method,
            order: self.order,
            priority: &self.priority,
            enqueue: &self.enqueue,
            repeats: self.repeats,
            most_repeats: self.most_repeats,
            run_cap: self.run_cap,
            lag: self.lag,
            metric: &self.metric,
            tradeoffs: &self.tradeoffs,
            target: self.target,
            seed: self.seed,
        }
    }
}

/// `devices:` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    /// GPUs to use.
    pub gpus: Gpus,
    /// Number of GPUs that each trial has for itself, 1 or more. Only programs use several.
    pub gpus_per_trial: u32,
    /// Number of trials that share a GPU.
    pub per_gpu: PerGpu,
    /// What to do about a GPU that other processes already use.
    pub busy: Busy,
    /// What to do on contention: another process starts using one of the sweep's GPUs.
    pub on_contention: OnContention,
    /// Whether the sweep starts its own CUDA MPS daemon if trials share a GPU and no daemon runs.
    pub mps: bool,
    /// Threads per CPU slot. There is one CPU slot for each such number of cores.
    pub cpu_threads: u32,
}

/// `devices: per_gpu:` of the sweep file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerGpu {
    /// At most this many trials, 1 or more.
    Most(u32),
    /// The number that memory and throughput allow, measured on the first trials of each shape.
    Auto,
}

/// `devices: courtesy:` of the sweep file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnContention {
    /// Contention is reported.
    #[default]
    Report,
    /// Trials are saved and leave the GPU until it is free.
    Yield,
}

/// `devices: busy:` of the sweep file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Busy {
    /// The GPU is used once it is free.
    #[default]
    Wait,
    /// The GPU is used in spite of the other processes.
    Share,
    /// The GPU is not used in this run, if it is busy when the run begins.
    Skip,
}

/// `devices: gpus:` of the sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gpus {
    /// Every GPU that the driver lists and CUDA_VISIBLE_DEVICES allows.
    All,
    /// No GPU: train on the CPU.
    None,
    /// The listed GPUs, each an index in PCI bus order, or a UUID.
    These(Vec<String>),
}

#[cfg(test)]
mod tests {
    use std::path::Path as Folder;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use sweep_core::recipe::{
        EarlyStopping, Init, Layer, Moments, Optimizer, Schedule, Shape, Source, Validation, Warmup,
    };
    use sweep_core::trial::TrialId;
    use sweep_scheduler::search::Search;

    fn read(text: &str) -> Spec {
        Spec::read(text, "a/some sweep.yaml", Folder::new("/base")).unwrap_or_else(|problems| panic!("{problems}")).0
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = Spec::read(text, "sweep.yaml", Folder::new("/base")).map(|_| ()).unwrap_err();
        problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.rule)).collect()
    }

    fn trial(spec: &Spec, number: u64) -> Settings {
        Search::new(spec.search_terms()).settings(TrialId(number)).unwrap()
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let spec = read("data: {set: cifar10, path: pictures}\nmodel: small\n");
        assert_eq!((spec.name.as_str(), spec.method, spec.seed), ("some-sweep", Method::Grid, 0));
        assert_eq!((spec.repeats, spec.run_cap, spec.keep_best, spec.retries), (1, None, 10, 2));
        assert_eq!(spec.network().unwrap().source, Source::Cifar10 { path: "/base/pictures".into() });
        let recipe = spec.recipe(&trial(&spec, 1)).unwrap();
        assert_eq!((recipe.training.epochs, recipe.training.batch_size), (10, 128));
        assert_eq!(recipe.training.optimizer, Optimizer::Adam(Moments::default()));
        assert_eq!((recipe.training.learning_rate, recipe.training.weight_decay), (1e-3, 0.0));
        assert_eq!((recipe.training.schedule, recipe.training.init), (Schedule::default(), Init::Keras));
        assert_eq!((recipe.data.augment, recipe.training.clip_norm), (Default::default(), None));
        assert_eq!((recipe.data.validation, recipe.data.train_examples), (Validation::Share(0.1), None));
        assert_eq!(recipe.training.early_stopping, None);
        assert_eq!(Search::new(spec.search_terms()).len(), Some(1));
    }

    #[test]
    fn a_parameter_is_written_over_the_setting_of_its_name() {
        let spec = read(
            "parameters:
  batch_size: {values: [64, 256]}
  dropout: {values: [0.0, '2e-1']}
  early_stopping.patience: {values: [null, 3]}
  optimizer: {values: [adam, {type: sgd, momentum: 0.9}]}
data: {set: digits, validation: test}
model: {preset: linear, batch_norm: true}
training: {batch_size: 32, early_stopping: {patience: 9, min_delta: 1e-3}}
",
        );
        let first = spec.recipe(&trial(&spec, 1)).unwrap();
        assert_eq!((first.training.batch_size, first.training.early_stopping), (64, None));
        let last = spec.recipe(&trial(&spec, 16)).unwrap();
        assert_eq!(last.training.batch_size, 256);
        assert_eq!(last.training.early_stopping, Some(EarlyStopping { patience: 3, min_delta: 1e-3 }));
        assert_eq!(last.training.optimizer, Optimizer::Sgd { momentum: 0.9, nesterov: false });
        assert!(last.layers.contains(&Layer::Dropout { rate: 0.2 }), "{:?}", last.layers);
        assert!(last.layers.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. })));
    }

    #[test]
    fn optimizers_and_schedules_have_defaults_of_their_own() {
        let spec = read(
            "parameters:
  optimizer: {values: [adamw, rmsprop, {type: adadelta, epsilon: 1e-6}]}
  schedule: {values: [{type: cosine, to: 0.1, warmup: 0.05}, plateau]}
  augment: {values: [null, {flip: true, crop: 4}]}
data: {set: digits, augment: {rotate: 10}}
model: linear
",
        );
        let recipe = |number| spec.recipe(&trial(&spec, number)).unwrap();
        let (adamw, rmsprop, adadelta) = (recipe(1), recipe(5), recipe(12));
        assert_eq!(adamw.training.optimizer, Optimizer::Adamw(Moments::default()));
        assert_eq!((adamw.training.learning_rate, adamw.training.weight_decay), (1e-3, 0.004));
        assert_eq!(adamw.training.schedule, Schedule { shape: Shape::Cosine { to: 0.1 }, warmup: Warmup::Share(0.05) });
        assert_eq!(adamw.data.augment, Default::default());
        assert_eq!(rmsprop.training.optimizer, Optimizer::Rmsprop { rho: 0.9, momentum: 0.0, epsilon: 1e-7 });
        assert_eq!(adadelta.training.optimizer, Optimizer::Adadelta { rho: 0.95, epsilon: 1e-6 });
        assert_eq!(adadelta.training.learning_rate, 1.0);
        assert_eq!(adadelta.training.schedule.shape, Shape::Plateau { factor: 0.1, patience: 10 });
        let augment = adadelta.data.augment;
        assert_eq!((augment.flip, augment.crop, augment.rotate), (true, 4, 10.0));
    }

    #[test]
    fn the_model_can_vary_and_every_preset_gets_its_settings() {
        let spec = read(
            "parameters: {model: {values: [linear, thin]}, dropout_conv: {values: [0, 0.5]}}\ndata: {set: digits}\n",
        );
        let layers = |number| spec.recipe(&trial(&spec, number)).unwrap().layers.len();
        assert_eq!(layers(1), layers(2));
        assert!(layers(4) > layers(2));
    }

    #[test]
    fn repeats_are_inner_and_run_cap_counts_trials() {
        let spec = read(
            "parameters: {batch_size: {values: [1, 2]}}\nrepeats: 2\nrun_cap: 3\ndata: {set: digits}\nmodel: linear\n",
        );
        let mut search = Search::new(spec.search_terms());
        let sizes: Vec<_> = (1..=4).map_while(|trial| search.settings(TrialId(trial))).collect();
        assert_eq!(search.len(), Some(3));
        assert_eq!(json!(sizes), json!([{"batch_size": 1}, {"batch_size": 1}, {"batch_size": 2}]));
    }

    #[test]
    fn groups_are_named_by_dots_and_a_random_search_without_end_has_no_length() {
        let spec = read(
            "method: random
parameters:
  early_stopping: {parameters: {patience: {min: 1, max: 5}}}
  learning_rate: {distribution: log_uniform_values, min: 1e-5, max: 1e-1}
data: {set: digits}
model: linear
",
        );
        assert_eq!(Search::new(spec.search_terms()).len(), None);
        assert!(trial(&spec, 1_000).contains_key("early_stopping.patience"));
    }

    #[test]
    fn all_problems_come_at_once() {
        let found = problems(
            "parameters:
  droput: {values: [0.1]}
  batch_size: {values: [64, 0, x]}
  learning_rate: {min: 0.1, max: 0.01}
data: {set: mnist}
model: linear
training: {epoch: 3}
",
        );
        assert_eq!(found.len(), 6, "{found:#?}");
    }

    #[test]
    fn a_whole_number_beyond_64_bits_is_named_where_it_stands() {
        let found = problems("data: {set: digits}\nmodel: linear\nseed: 99999999999999999999999999\n");
        assert_eq!(found, ["seed: is 99999999999999999999999999, but must be an integer of at most 64 bits"]);
        let most = problems("data: {set: digits}\nmodel: linear\nseed: 18446744073709551615\nrun_cap: 0\n");
        assert!(most.len() == 1 && most[0].starts_with("run_cap"), "{most:?}");
    }

    #[test]
    fn a_value_means_the_same_in_the_model_and_in_training() {
        for (name, value, is_fine) in [("dropout", "' 0.2'", false), ("dropout", "'2e-1'", true)]
            .into_iter()
            .flat_map(|(name, value, is_fine)| [(name, value, is_fine), ("learning_rate", value, is_fine)])
        {
            let head = "data: {set: digits}\nmodel: question\n";
            let text = format!("parameters: {{{name}: {{values: [{value}]}}}}\n{head}");
            let found = Spec::read(&text, "f", Folder::new("/base"));
            assert_eq!(found.is_ok(), is_fine, "{name}: {value}");
        }
    }

    #[test]
    fn a_faulty_value_is_blamed_where_it_stands() {
        let found = problems("parameters: {dropout: {values: [0.1, 1.5]}}\ndata: {set: digits}\nmodel: question\n");
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("parameters.dropout.values[1]: "), "{found:#?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,200}") {
            let _ = Spec::read(&text, "f", Folder::new("/"));
        }

        #[test]
        fn no_damage_to_a_sweep_file_makes_reading_panic(
            at in 0..400_usize, length in 0..40_usize, put in "[-a-z0-9:{}\\[\\],\n \"'&*!|>%@.]{0,6}"
        ) {
            let whole = "method: random\nparameters:\n  batch_size: {values: [64, 128]}\n  \
                dropout: {min: 0.1, max: 0.5}\n  optimizer: {values: [adam, {type: sgd, momentum: 0.9}]}\n  \
                early_stopping: {parameters: {patience: {distribution: q_uniform, min: 1, max: 9, q: 2}}}\n\
                data: {set: arrays, path: x, order: nchw}\nmodel:\n  - conv: {filters: 8, kernel: 3}\n  \
                - dropout: ${dropout}\n  - flatten\n  - dense: ${classes}\ndevices: {gpus: [0, 1]}\n";
            let (from, to) = (at.min(whole.len()), (at + length).min(whole.len()));
            let text = format!("{}{put}{}", &whole[..from], &whole[to..]);
            match Spec::read(&text, "f", Folder::new("/")) {
                Ok((spec, _)) => drop(Search::new(spec.search_terms()).settings(TrialId(1))),
                Err(problems) => prop_assert!(!problems.to_string().is_empty() && !problems.list().is_empty()),
            }
        }
    }
}
