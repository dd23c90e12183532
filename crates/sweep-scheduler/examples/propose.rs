//! Runs `method: tpe` or `bayes` by itself, for scripts/compare-search and scripts/bench/search.py. It
//! proposes configurations of a test space on stdout, one JSON object per line, and reads the value of each from stdin.
//!
//! ```sh
//! cargo run --release -p sweep-scheduler --example propose -- branin 7
//! ```
//!
//! Instead of a name, the space can be a JSON list of axes, each with `name`, `min`, `max` and `whole`.
//!
//! A third argument is the `lag`: a configuration does not depend on the values of this many configurations just before
//! it. A fourth argument is the method, `tpe` by default.

use std::io::{self, BufRead, Write};

use serde_json::json;
use sweep_core::space::{Condition, Curve, Distribution, Parameter, Space};
use sweep_scheduler::search::{Known, Learner, Model, Value};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let space = arguments.first().and_then(|name| space(name));
    let seed = arguments.get(1).and_then(|seed| seed.parse().ok());
    let (Some(space), Some(seed)) = (space, seed) else {
        return Err(io::Error::other("write the name of a space (branin, hartmann6, mixed, conditional) and a seed"));
    };
    let lag: usize = arguments.get(2).map_or(Ok(0), |lag| lag.parse()).map_err(io::Error::other)?;
    let model = match arguments.get(3).map(String::as_str) {
        None | Some("tpe") => Model::Tpe,
        Some("bayes") => Model::Bayes,
        Some(other) => return Err(io::Error::other(format!("{other} is no method; write tpe or bayes"))),
    };
    let learner = Learner::new(model, space, seed);
    let mut waiting = std::collections::VecDeque::new();
    let mut known: Vec<Known> = Vec::new();
    let mut values = io::stdin().lock().lines();
    while let Some(settings) = learner.propose(known.len() as u64, &known) {
        if writeln!(io::stdout(), "{}", json!(settings)).is_err() {
            break;
        }
        let Some(value) = values.next().transpose()? else { break };
        known.push(Known { settings, value: Value::Unknown });
        waiting.push_back(value.trim().parse().map_or(Value::Failed, Value::Measured));
        let told = known.len() - waiting.len();
        if let (true, Some(value)) = (waiting.len() > lag, waiting.front().copied()) {
            known[told].value = value;
            waiting.pop_front();
        }
    }
    Ok(())
}

/// Reads a space of axes.
fn axes(text: &str) -> Option<Space> {
    let axes: Vec<serde_json::Value> = serde_json::from_str(text).ok()?;
    let axis = |axis: &serde_json::Value| {
        let (min, max) = (axis["min"].as_f64()?, axis["max"].as_f64()?);
        let distribution = match axis["whole"].as_bool()? {
            true => Distribution::IntUniform { min: min as i64, max: max as i64 },
            false => Distribution::Number { curve: Curve::Uniform { min, max }, step: None },
        };
        Some(parameter(axis["name"].as_str()?, distribution))
    };
    Space::new(axes.iter().map(axis).collect::<Option<_>>()?, Vec::new(), Vec::new()).ok()
}

fn space(name: &str) -> Option<Space> {
    if name.starts_with('[') {
        return axes(name);
    }
    let number =
        |name: &str, min, max| parameter(name, Distribution::Number { curve: Curve::Uniform { min, max }, step: None });
    let decades = |name: &str, min, max| {
        parameter(name, Distribution::Number { curve: Curve::LogUniform { min, max }, step: None })
    };
    let list = |name: &str, values: &[&str]| {
        parameter(name, Distribution::Categorical(values.iter().map(|value| (*value).into()).collect()))
    };
    let when =
        |value: &str, one: Parameter| Parameter { when: Some(Condition::equal("optimizer", value.into())), ..one };
    let parameters = match name {
        "branin" => vec![number("x", -5.0, 10.0), number("y", 0.0, 15.0)],
        "hartmann6" => (1..=6).map(|at| number(&format!("x{at}"), 0.0, 1.0)).collect(),
        "mixed" => vec![
            decades("learning_rate", 1e-5, 1.0),
            number("dropout", 0.0, 0.9),
            parameter("layers", Distribution::IntUniform { min: 1, max: 12 }),
            parameter("units", Distribution::Steps { first: 32.0, step: 32.0, count: 16 }),
            list("activation", &["relu", "tanh", "gelu", "silu", "elu"]),
            list("norm", &["none", "batch", "layer"]),
        ],
        "conditional" => vec![
            list("optimizer", &["sgd", "adam", "adadelta"]),
            when("sgd", decades("sgd_rate", 1e-4, 10.0)),
            when("sgd", number("momentum", 0.0, 0.99)),
            when("adam", decades("adam_rate", 1e-6, 0.1)),
            when("adam", number("beta", 0.5, 0.999)),
            when("adadelta", number("rho", 0.5, 0.999)),
            decades("weight_decay", 1e-7, 1e-1),
        ],
        _ => return None,
    };
    Space::new(parameters, Vec::new(), Vec::new()).ok()
}

fn parameter(name: &str, distribution: Distribution) -> Parameter {
    Parameter { name: name.to_owned(), distribution, when: None }
}
