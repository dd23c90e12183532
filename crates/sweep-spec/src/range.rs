//! The numeric distributions: their keys and their checks.

use super::Method;
use super::distribution::needed;
use super::node::{Node, Table};
use super::value::{number, show};
use sweep_core::space::{Curve, Distribution};

/// Maximum integer. Larger ones are not exact in JSON readers that use doubles.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// Maximum exponent of e that gives a finite number.
const LARGEST_EXPONENT: f64 = 700.0;

/// Reads the keys of a numeric distribution, by its name.
pub fn read(table: &Table, name: &'static str, method: Method) -> Option<Distribution> {
    let shape = name.strip_prefix("q_").unwrap_or(name);
    let range = || ends(table, name);
    let curve = match shape {
        "normal" | "log_normal" | "beta" => Some(keyed(table, shape)),
        _ => None,
    };
    let q = match table.get("q").filter(|_| shape != name) {
        None => Some(1.0),
        Some(node) => above_zero(&node, "this is the step between values; for example, write 0.1"),
    };
    let curve = match (shape, curve) {
        (_, Some(curve)) => curve?,
        ("uniform" | "int_uniform", _) => range().map(|(min, max)| Curve::Uniform { min, max })?,
        ("log_uniform_values" | "inv_log_uniform_values", _) => {
            range().map(|(min, max)| Curve::LogUniform { min, max })?
        }
        _ => exponents(table, name, range()?)?,
    };
    let q = q?;
    let (min, max) = curve.ends();
    if method == Method::Grid && !matches!(name, "int_uniform" | "q_uniform") {
        let rule = match shape == name {
            true => format!("is {name}, but a grid cannot try every number in a range"),
            false => format!("is {name}, but a grid tries every value equally often"),
        };
        let remedy = "write `values: [...]`, or `distribution: q_uniform` with a step `q`, or use `method: random`";
        table.node.wrong_key(rule, remedy);
        return None;
    }
    if shape != name && (max.abs().max(min.abs()) / q > LARGEST || (max - min) / q > LARGEST) {
        table.node.wrong_key(format!("has a `q` of {q}, which is too small for the range"), "write a larger `q`");
        return None;
    }
    Some(match name {
        "int_uniform" => Distribution::IntUniform { min: min as i64, max: max as i64 },
        "q_uniform" if method == Method::Grid => {
            // A last step that misses `max` only by rounding counts.
            let count = ((max - min) / q + 1e-9).floor() as u64 + 1;
            Distribution::Steps { first: min, step: q, count }
        }
        _ => Distribution::Number { curve, step: (shape != name).then_some(q) },
    })
}

/// Returns `min` and `max`, as that distribution requires them.
fn ends(table: &Table, name: &'static str) -> Option<(f64, f64)> {
    let end = |key| {
        let node = needed(table, key, name)?;
        match number(node.value) {
            Some(x) if name != "int_uniform" || (x.fract() == 0.0 && x.abs() <= LARGEST) => Some(x),
            Some(_) => {
                let rule = format!("is {}, but must be an integer", show(node.value));
                node.wrong(rule, "to allow fractions, write `distribution: uniform`");
                None
            }
            None => {
                node.wrong(format!("is {}, but must be a number", show(node.value)), "for example, write 0.1");
                None
            }
        }
    };
    let (min, max) = (end("min"), end("max"));
    let (min, max) = (min?, max?);
    let (rule, remedy) = if min >= max {
        (format!("has `min` {min} and `max` {max}, but `min` must be below `max`"), swap(min, max))
    } else if !(max - min).is_finite() {
        (
            format!("has a range from {min:e} to {max:e}, which is too wide for floating-point numbers"),
            "write a narrower range".to_owned(),
        )
    } else if name.contains("log_uniform_values") && min <= 0.0 {
        let remedy = "write the smallest value itself, for example 1e-5, not its exponent".to_owned();
        (format!("has `min` {min}, but {name} requires a `min` above 0"), remedy)
    } else {
        return Some((min, max));
    };
    table.node.wrong_key(rule, remedy);
    None
}

fn swap(min: f64, max: f64) -> String {
    match min == max {
        true => format!("for a single value, write `value: {min}`"),
        false => format!("swap them: `min: {max}` and `max: {min}`"),
    }
}

/// Reads the distributions whose `min` and `max` are exponents of e. They are W&B's original ones, which W&B now
/// rejects.
fn exponents(table: &Table, name: &'static str, (min, max): (f64, f64)) -> Option<Curve> {
    if min.abs().max(max.abs()) > LARGEST_EXPONENT {
        let rule = format!("has exponents of e from {min} to {max}, but e^{LARGEST_EXPONENT} is the largest number");
        table.node.wrong_key(rule, format!("to give the values themselves, write `distribution: {name}_values`"));
        return None;
    }
    let inverse = name.starts_with("inv_");
    let (min, max) = if inverse { ((-max).exp(), (-min).exp()) } else { (min.exp(), max.exp()) };
    table.node.note(format!(
        "`min` and `max` are exponents of e, so values range from {} to {}. W&B now rejects {name}; {name}_values \
         takes the values themselves",
        short(min),
        short(max)
    ));
    Some(Curve::LogUniform { min, max })
}

/// Formats a number with four digits.
fn short(x: f64) -> String {
    if (1e-3..1e6).contains(&x) { format!("{}", (x * 1e4).round() / 1e4) } else { format!("{x:.3e}") }
}

/// Reads the distributions with a mean and a standard deviation, or with two exponents. Each key has a default.
fn keyed(table: &Table, shape: &str) -> Option<Curve> {
    if shape == "beta" {
        let one = |key| match table.get(key) {
            None => Some(1.0),
            Some(node) => above_zero(
                &node,
                "values above 1 concentrate the distribution, values below 1 spread it; for example, write 2",
            ),
        };
        let (a, b) = (one("a"), one("b"));
        return Some(Curve::Beta { a: a?, b: b? });
    }
    let mu = match table.get("mu") {
        None => Some(0.0),
        Some(node) => {
            let mu = number(node.value);
            if mu.is_none() {
                let remedy = "this is the mean; for example, write 0.5";
                node.wrong(format!("must be a number, not {}", show(node.value)), remedy);
            }
            mu
        }
    };
    let sigma = match table.get("sigma") {
        None => Some(1.0),
        Some(node) => above_zero(&node, "this is the standard deviation; for example, write 0.1"),
    };
    let (mu, sigma) = (mu?, sigma?);
    let curve = if shape == "normal" { Curve::Normal { mu, sigma } } else { Curve::LogNormal { mu, sigma } };
    let (least, most) = curve.ends();
    if !least.is_finite() || !most.is_finite() || least == most || (shape == "log_normal" && least == 0.0) {
        let rule = format!("has `mu` {mu} and `sigma` {sigma}, which are out of the range of floating-point numbers");
        table.node.wrong_key(rule, "write values closer to 1; for log_normal, they are exponents of e");
        return None;
    }
    Some(curve)
}

fn above_zero(node: &Node, remedy: &str) -> Option<f64> {
    let found = number(node.value).filter(|&x| x > 0.0);
    if found.is_none() {
        node.wrong(format!("is {}, but must be a number above 0", show(node.value)), remedy);
    }
    found
}
