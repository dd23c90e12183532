//! The grammar of W&B Sweeps, row by row. The tests check each distribution in a grid (number of configurations,
//! values, order) and in a random search. They also check the whole grammar in one file.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sweep_core::trial::TrialId;
use sweep_scheduler::search::Search;
use sweep_spec::Spec;

/// The parameters of the first `most` trials and the total number of trials, or the problems of the file.
fn trials(text: &str, most: u64) -> Result<(Vec<Value>, Option<u64>), String> {
    let (spec, _) = Spec::read(text, "f", Path::new("/")).map_err(|problems| problems.to_string())?;
    let mut search = Search::new(spec.search_terms());
    let points = (1..=most).map_while(|trial| search.settings(TrialId(trial))).map(Value::Object).collect();
    Ok((points, search.len()))
}

fn values(method: &str, parameter: &str) -> Result<Vec<Value>, String> {
    let text = format!("program: train.py\nmethod: {method}\nrun_cap: 400\nparameters: {{p: {parameter}}}\n");
    let (points, _) = trials(&text, 400)?;
    Ok(points.into_iter().map(|mut point| point["p"].take()).collect())
}

/// Rows that a grid allows, each with all of its values in order.
fn counted() -> Vec<(&'static str, Value)> {
    vec![
        ("{value: 3}", json!([3])),
        ("{distribution: constant, value: {a: [1, x]}}", json!([{"a": [1, "x"]}])),
        ("{values: [b, 1, null, true, [1, 2]]}", json!(["b", 1, null, true, [1, 2]])),
        ("{distribution: categorical, values: [2, 1, 2.0, 2]}", json!([2, 1])),
        ("{min: 2, max: 5}", json!([2, 3, 4, 5])),
        ("{distribution: int_uniform, min: -1.0, max: 1.0}", json!([-1, 0, 1])),
        ("{distribution: q_uniform, min: 0, max: 1, q: 0.25}", json!([0.0, 0.25, 0.5, 0.75, 1.0])),
        ("{distribution: q_uniform, min: 1, max: 4}", json!([1, 2, 3, 4])),
    ]
}

/// Rows that a grid does not allow, each with the limits of the values that it samples.
const UNCOUNTED: [(&str, f64, f64); 16] = [
    ("{values: [1, 2, 3], probabilities: [0.2, 0.3, 0.5]}", 1.0, 3.0),
    ("{distribution: categorical_w_probabilities, values: [1, 2], probabilities: [0.5, 0.5]}", 1.0, 2.0),
    ("{min: 0.5, max: 2}", 0.5, 2.0),
    ("{distribution: uniform, min: 1, max: 2}", 1.0, 2.0),
    ("{distribution: log_uniform_values, min: 1e-4, max: 1e-1}", 1e-4, 1e-1),
    ("{distribution: inv_log_uniform_values, min: 1e-4, max: 1e-1}", 1e-4, 1e-1),
    ("{distribution: q_log_uniform_values, min: 1, max: 100, q: 5}", 0.0, 100.0),
    ("{distribution: log_uniform, min: -2, max: 0}", 0.135, 1.0),
    ("{distribution: inv_log_uniform, min: 0, max: 2}", 0.135, 1.0),
    ("{distribution: q_log_uniform, min: 0, max: 3}", 1.0, 20.1),
    ("{distribution: normal, mu: 5}", -4.0, 14.0),
    ("{distribution: q_normal, q: 0.5}", -9.0, 9.0),
    ("{distribution: log_normal}", 0.0, 4100.0),
    ("{distribution: q_log_normal, sigma: 0.5}", 0.0, 64.0),
    ("{distribution: beta, a: 2, b: 5}", 0.0, 1.0),
    ("{distribution: q_beta, q: 0.25}", 0.0, 1.0),
];

#[test]
fn a_grid_has_the_values_of_every_row_that_it_can_have_in_order_and_once() {
    for (parameter, wanted) in counted() {
        assert_eq!(json!(values("grid", parameter).unwrap()), wanted, "{parameter}");
    }
    for (parameter, ..) in UNCOUNTED {
        let problem = values("grid", parameter).unwrap_err();
        assert!(problem.contains("parameters.p"), "{parameter}: {problem}");
    }
}

#[test]
fn a_search_by_chance_draws_from_every_row_what_it_has_and_all_of_it_where_that_is_counted() {
    let set = |values: &[Value]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    for method in ["random", "sobol"] {
        for (parameter, wanted) in counted() {
            let drawn = values(method, parameter).unwrap();
            let wanted = wanted.as_array().expect("a list of them");
            assert_eq!((drawn.len(), set(&drawn)), (wanted.len(), set(wanted)), "{method} {parameter}");
        }
        for (parameter, least, most) in UNCOUNTED {
            let drawn = values(method, parameter).unwrap();
            let numbers: Vec<f64> = drawn.iter().filter_map(Value::as_f64).collect();
            assert!(drawn.len() > 1 && numbers.len() == drawn.len(), "{method} {parameter}: {drawn:?}");
            assert!(numbers.iter().all(|x| (least..=most).contains(x)), "{method} {parameter}: {numbers:?}");
        }
    }
}

#[test]
fn groups_are_nested_and_the_last_name_of_the_file_is_fastest() {
    let text = "program: train.py
parameters:
  z: {values: [1, 2]}
  group:
    parameters:
      a: {values: [x, y]}
      deeper: {parameters: {b: {value: 0}}}
";
    let (points, all) = trials(text, 9).unwrap();
    let point = |z: u32, a: &str| json!({"z": z, "group.a": a, "group.deeper.b": 0});
    assert_eq!((points, all), (vec![point(1, "x"), point(1, "y"), point(2, "x"), point(2, "y")], Some(4)));
}

/// The example of the grammar, with all of its sections.
const EXAMPLE: &str = "name: cifar10-regularization
description: Which regularizer helps the network from the forum thread?
method: grid
metric: {name: val_loss, goal: minimize}
seed: 7
parameters:
  learning_rate: {values: [1e-3, 5e-4]}
  batch_size: {values: [64, 128, 256, 512]}
  dropout: {values: [0.0, 0.2, 0.4]}
  batch_norm: {values: [true, false]}
  downsample: {values: [pool, stride]}
repeats: 3
data:
  set: cifar10
  path: data/cifar-10-batches-bin
  validation: 0.1
  train_examples: 10000
  augment: {flip: true, crop: 4}
model: question
training:
  epochs: 25
  batch_size: 128
  learning_rate: 1e-3
  optimizer: adam
  schedule: constant
  weight_decay: 0.0
  label_smoothing: 0.0
  clip_norm: null
  precision: auto
  early_stopping: {patience: 10}
early_terminate: {type: hyperband, min_iter: 3, eta: 3}
run_cap: 40
devices: {gpus: all, per_gpu: auto, cpu_threads: 1}
";

#[test]
fn the_example_of_the_grammar_has_its_points_three_times_and_forty_trials() {
    let (capped, all) = trials(EXAMPLE, 999).unwrap();
    assert_eq!((capped.len(), all), (40, Some(40)));
    let (points, all) = trials(&EXAMPLE.replace("run_cap: 40\n", ""), 999).unwrap();
    assert_eq!((points.len(), all), (2 * 4 * 3 * 2 * 2 * 3, Some(288)));
    assert_eq!(points[..40], capped);
    let distinct: BTreeSet<String> = points.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), 96);
    let first =
        json!({"learning_rate": 1e-3, "batch_size": 64, "dropout": 0.0, "batch_norm": true, "downsample": "pool"});
    assert_eq!((&points[0], &points[2]), (&first, &first));
    assert_eq!((&points[3]["downsample"], &points[6]["batch_norm"]), (&json!("stride"), &json!(false)));
    assert_eq!((&points[12]["dropout"], &points[36]["batch_size"]), (&json!(0.2), &json!(128)));
    assert_eq!(points[144]["learning_rate"], 5e-4);
}
