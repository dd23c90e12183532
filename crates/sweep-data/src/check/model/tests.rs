use super::*;
use sweep_core::measurement::{Capacity, Gradient, Units};
use sweep_core::recipe::{Augment, Data, Init, Moments, Optimizer, Precision, Schedule, Source, Training, Validation};
use sweep_core::trial::{Goal, Metric};

fn recipe(learning_rate: f64) -> Recipe {
    let dense = |units| Layer::Dense { units, bias: true, max_norm: None };
    Recipe {
        data: Data {
            split_seed: None,
            source: Source::Digits,
            validation: Validation::Share(0.2),
            train_examples: None,
            augment: Augment::default(),
            test: None,
            normalize: Default::default(),
        },
        layers: vec![Layer::Flatten, dense(64), Layer::Relu, dense(10)],
        training: Training {
            epochs: 10,
            batch_size: 32,
            learning_rate,
            schedule: Schedule::default(),
            optimizer: Optimizer::Adam(Moments::default()),
            weight_decay: 0.0,
            label_smoothing: 0.0,
            clip_norm: None,
            init: Init::Keras,
            precision: Precision::Float32,
            deterministic: false,
            cuda_graph: false,
            gpu_kernels: false,
            balance: Default::default(),
            early_stopping: None,
            metric: Metric { name: "val_loss".into(), goal: Goal::Minimize },
        },
    }
}

/// Returns the measurements of a network without problems.
fn sound() -> Measured {
    let falling = |at: i32| {
        let rate = 1e-5 * 10_f64.powf(f64::from(at) / 10.0);
        // The loss falls to a third at 0.01 and rises from there.
        let loss = if rate < 0.01 { 2.3 - 1.5 * (rate / 0.01).sqrt() } else { 0.8 * (rate / 0.01).powi(2) };
        (rate, Some(loss).filter(|loss| *loss < 1e4))
    };
    Measured {
        first_loss: Some(2.4),
        units: vec![Units { layer: 2, silent_at_first: 0.3, silent_later: Some(0.2) }],
        gradients: vec![Gradient { layer: 1, share: Some(0.02) }, Gradient { layer: 3, share: Some(0.3) }],
        first_steps: (0..40).map(|step| Some(2.3 - 0.03 * f64::from(step))).collect(),
        rates: (0..=60).map(falling).collect(),
        capacity: Capacity { images: 256, steps: 8, accuracies: vec![0.3, 0.8, 0.99, 1.0], cut_short: false },
    }
}

fn names(learning_rate: f64, measured: &Measured) -> Vec<&'static str> {
    check(&recipe(learning_rate), measured).iter().map(|finding| finding.name).collect()
}

#[test]
fn a_sound_network_is_left_alone() {
    assert_eq!(check(&recipe(1e-3), &sound()), []);
    assert_eq!(learnt(&sound().capacity), Some(24));
    let Range { from, to, explodes } = range(&sound()).expect("the loss falls");
    assert!(from > 1e-5 && from < 1e-3, "{from}");
    assert!(to.is_some_and(|to| (3e-3..3e-2).contains(&to)), "{to:?}");
    assert!(explodes.is_some_and(|rate| (1e-2..5e-2).contains(&rate)), "{explodes:?}");
}

#[test]
fn each_defect_has_its_name_and_numbers() {
    let sure = Measured { first_loss: Some(9.0), ..sound() };
    assert_eq!(names(1e-3, &sure), ["first_loss"]);
    let vanishing = vec![Gradient { layer: 1, share: Some(1e-8) }, Gradient { layer: 3, share: Some(0.3) }];
    assert_eq!(names(1e-3, &Measured { gradients: vanishing, ..sound() }), ["vanishing_gradients"]);
    let exploding = vec![Gradient { layer: 1, share: Some(3e4) }, Gradient { layer: 3, share: Some(0.3) }];
    assert_eq!(names(1e-3, &Measured { gradients: exploding, ..sound() }), ["exploding_gradients"]);
    let lost = vec![Gradient { layer: 1, share: None }];
    assert_eq!(names(1e-3, &Measured { gradients: lost, ..sound() }), ["exploding_gradients"]);
    for (silent_at_first, silent_later) in [(0.95, None), (0.2, Some(1.0))] {
        let units = vec![Units { layer: 2, silent_at_first, silent_later }];
        let found = check(&recipe(1e-3), &Measured { units, ..sound() });
        assert!(found[0].name == "dead_units" && found[0].evidence.contains("layer 3 (relu)"), "{found:?}");
    }
    let unable = Capacity { accuracies: vec![0.1; 150], ..sound().capacity };
    let found = check(&recipe(1e-3), &Measured { capacity: unable.clone(), ..sound() });
    assert!(found[0].name == "capacity" && found[0].serious && found[0].evidence.contains("1200 steps"), "{found:?}");
    // A measurement that ran out of time is no evidence.
    let cut = Capacity { cut_short: true, accuracies: vec![0.1; 20], ..unable };
    assert_eq!(names(1e-3, &Measured { capacity: cut, ..sound() }), [""; 0]);
}

#[test]
fn a_learning_rate_is_too_high_where_the_loss_explodes_or_the_first_steps_make_it_worse() {
    let found = check(&recipe(0.5), &sound());
    assert!(found[0].name == "learning_rate" && found[0].remedy.starts_with("use about 6e-4,"), "{found:?}");
    let rising = (0..40).map(|step| Some(2.3 + f64::from(step))).collect();
    assert_eq!(names(1e-3, &Measured { first_steps: rising, ..sound() }), ["learning_rate"]);
    // Like Adam at 0.05 on a small convolution: the weights are thrown off, then all outputs are equal and stay so.
    let thrown = [2.3, 40.92, 8.39].into_iter().chain([2.3; 37]).map(Some).collect();
    assert_eq!(names(1e-3, &Measured { first_steps: thrown, ..sound() }), ["learning_rate"]);
    let lost = vec![Some(2.3), Some(1e9), None];
    assert_eq!(names(1e-3, &Measured { first_steps: lost, ..sound() }), ["learning_rate"]);
}
