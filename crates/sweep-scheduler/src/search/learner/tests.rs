//! What holds of both models.

use serde_json::json;

use super::*;
use sweep_core::space::{Condition, Curve, Distribution, Parameter};

const MODELS: [Model; 2] = [Model::Tpe, Model::Bayes];

fn parameter(name: &str, distribution: Distribution, when: Option<Condition>) -> Parameter {
    Parameter { name: name.to_owned(), distribution, when }
}

fn list(values: serde_json::Value) -> Distribution {
    Distribution::Categorical(values.as_array().unwrap().clone())
}

/// The best is `kind` b with `rate` 1e-3. `kind` a has a different rate, which does not matter.
fn space(exclude: Vec<Condition>) -> Space {
    let decades = || Distribution::Number { curve: Curve::LogUniform { min: 1e-6, max: 1.0 }, step: None };
    let of = |kind: &str| Some(Condition::equal("kind", kind.into()));
    let parameters = vec![
        parameter("kind", list(json!(["a", "b", "c"])), None),
        parameter("idle", decades(), of("a")),
        parameter("rate", decades(), of("b")),
    ];
    Space::new(parameters, Vec::new(), exclude).unwrap()
}

fn value(point: &Settings) -> f64 {
    point.get("rate").map_or(2.0, |rate| (rate.as_f64().unwrap().log10() + 3.0).abs())
}

fn run(learner: &Learner, count: u64) -> Vec<Known> {
    let mut known: Vec<Known> = Vec::new();
    for number in 0..count {
        let Some(settings) = learner.propose(number, &known) else { break };
        let value = Value::Measured(value(&settings));
        known.push(Known { settings, value });
    }
    known
}

#[test]
fn it_finds_what_matters_and_a_point_has_only_what_its_conditions_give_it() {
    for (model, seed) in MODELS.iter().flat_map(|model| (0..5).map(move |seed| (*model, seed))) {
        let known = run(&Learner::new(model, space(Vec::new()), seed), 60);
        let best = known.iter().filter_map(|known| known.value.measured()).fold(f64::INFINITY, f64::min);
        assert!(best < 0.1, "{model:?}, seed {seed}: {best}");
        let late = known[30..].iter().filter(|known| known.settings["kind"] == "b").count();
        assert!(late > 15, "{model:?}, seed {seed}: {late} of 30 are of the best kind");
        for Known { settings, .. } in &known {
            assert_eq!(settings.contains_key("idle"), settings["kind"] == "a");
            assert_eq!(settings.contains_key("rate"), settings["kind"] == "b");
        }
    }
}

#[test]
fn a_proposal_follows_from_the_seed_its_number_and_what_is_known() {
    for model in MODELS {
        let learner = |seed| Learner::new(model, space(Vec::new()), seed);
        let known = run(&learner(1), 25);
        assert_eq!(learner(1).propose(25, &known), learner(1).propose(25, &known));
        assert_ne!(learner(1).propose(25, &known), learner(2).propose(25, &known));
        assert_ne!(learner(1).propose(25, &known), learner(1).propose(26, &known));
    }
}

#[test]
fn excluded_points_are_never_proposed() {
    for model in MODELS {
        let narrow = Condition::Compare(
            sweep_core::space::Operand::Name("rate".into()),
            sweep_core::space::Comparison::Less,
            sweep_core::space::Operand::Literal(json!(2e-3)),
        );
        let known = run(&Learner::new(model, space(vec![narrow]), 3), 60);
        let rates: Vec<f64> = known.iter().filter_map(|known| known.settings.get("rate")?.as_f64()).collect();
        assert!(rates.len() > 20 && rates.iter().all(|rate| *rate >= 2e-3), "{rates:?}");
        assert!(rates.iter().any(|rate| *rate < 4e-3), "the best lies at the edge");
    }
}

#[test]
fn a_finite_space_is_gone_through_without_repeats_and_ends() {
    for model in MODELS {
        let parameters = vec![
            parameter("kind", list(json!(["a", "b", "c"])), None),
            parameter("size", Distribution::IntUniform { min: 1, max: 9 }, None),
        ];
        let known = run(&Learner::new(model, Space::new(parameters, Vec::new(), Vec::new()).unwrap(), 1), 100);
        let distinct: HashSet<String> = known.iter().map(|known| json!(known.settings).to_string()).collect();
        assert_eq!((known.len(), distinct.len()), (27, 27));
    }
}

#[test]
fn trials_that_fail_or_are_under_way_push_proposals_away() {
    for model in MODELS {
        let one = Distribution::Number { curve: Curve::Uniform { min: 0.0, max: 1.0 }, step: None };
        let learner =
            Learner::new(model, Space::new(vec![parameter("x", one, None)], Vec::new(), Vec::new()).unwrap(), 5);
        let at = |x: f64, value| Known { settings: [("x".to_owned(), json!(x))].into_iter().collect(), value };
        // The best is in the middle, where the same number of configurations is running or has failed.
        let places = (0..20).map(|step| f64::from(step) / 19.0);
        let known: Vec<Known> = places.map(|x| at(x, Value::Measured((x - 0.5).abs()))).collect();
        let near = |known: &[Known]| {
            let x = |number: u64| learner.propose(100 + number, known).and_then(|point| point["x"].as_f64()).unwrap();
            (0..100).filter(|number| (x(*number) - 0.5).abs() < 0.06).count()
        };
        assert!(near(&known) > 80, "{}", near(&known));
        let without = if model == Model::Tpe { &[Value::Failed, Value::Unknown][..] } else { &[Value::Failed] };
        for without in without.iter().copied() {
            let middle = (0..20).map(|step| at(0.44 + 0.006 * f64::from(step), without));
            let known: Vec<Known> = known.iter().cloned().chain(middle).collect();
            assert!(near(&known) < 20, "{model:?}, {without:?}: {}", near(&known));
        }
    }
}
