//! Conditions on a configuration: `optimizer == "sgd" and batch_size < 256`. Any comparison with a parameter that the
//! configuration does not have is false.

use std::fmt;

use serde_json::Value;

/// A statement about a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    Compare(Operand, Comparison, Operand),
    /// Negation of a condition.
    Not(Box<Condition>),
    /// Conjunction: every condition is true. True if there are none.
    All(Vec<Condition>),
    /// Disjunction: at least one condition is true. False if there are none.
    Any(Vec<Condition>),
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// Value of the parameter with this name.
    Name(String),
    /// A constant.
    Literal(Value),
}

/// How two values are compared. All comparisons except the first two are false if a value is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

use Comparison::{AtLeast, AtMost, Equal, Less, More, Unequal};
use Condition::{All, Any, Compare, Not};

/// What is known about a parameter while a configuration is built, parameter by parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// The parameter has not been decided yet.
    Open,
    /// The configuration does not have the parameter.
    Absent,
    /// Value of the parameter.
    Is(Value),
}

/// Truth value of a condition while only some of the values are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// True for all values of the undecided parameters.
    True,
    /// False for all values of the undecided parameters.
    False,
    /// The truth value depends on the undecided parameters.
    Open,
}

/// The undecided part of conditions while some parameters are open.
#[derive(Debug, Default)]
pub struct Rest {
    /// Key of the undecided part. It is equal for two partial configurations with the same undecided part. Nothing else
    /// is guaranteed about it.
    pub key: Vec<u8>,
    /// Names of the open parameters in the undecided part.
    pub names: Vec<String>,
}

impl Comparison {
    /// Returns the operator as it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Equal => "==",
            Unequal => "!=",
            Less => "<",
            AtMost => "<=",
            More => ">",
            AtLeast => ">=",
        }
    }

    fn holds(self, left: &Value, right: &Value) -> bool {
        match self {
            Equal => same(left, right),
            Unequal => !same(left, right),
            Less | AtMost | More | AtLeast => {
                let Some((left, right)) = left.as_f64().zip(right.as_f64()) else { return false };
                match self {
                    Less => left < right,
                    AtMost => left <= right,
                    More => left > right,
                    _ => left >= right,
                }
            }
        }
    }
}

/// Returns whether two values are the same parameter value; 1 equals 1.0.
pub fn same(left: &Value, right: &Value) -> bool {
    left == right || left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| left == right)
}

impl Condition {
    /// Returns the condition that a parameter has this value.
    pub fn equal(name: &str, value: Value) -> Condition {
        Compare(Operand::Name(name.to_owned()), Equal, Operand::Literal(value))
    }

    /// Returns every comparison in the condition.
    pub fn comparisons(&self) -> Vec<(&Operand, Comparison, &Operand)> {
        match self {
            Compare(left, comparison, right) => vec![(left, *comparison, right)],
            Not(inner) => inner.comparisons(),
            All(parts) | Any(parts) => parts.iter().flat_map(Condition::comparisons).collect(),
        }
    }

    /// Returns the names of the parameters in the condition.
    pub fn names(&self) -> Vec<&str> {
        let operands = self.comparisons().into_iter().flat_map(|(left, _, right)| [left, right]);
        let mut names: Vec<&str> = operands.filter_map(Operand::name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Returns the truth value while only some of the values are known. Adds the undecided part to `rest`.
    pub fn known(&self, slot: &impl Fn(&str) -> Slot, rest: &mut Rest) -> Known {
        match self {
            Compare(left, comparison, right) => compare(left, *comparison, right, slot, rest),
            Not(inner) => match inner.known(slot, rest) {
                Known::True => Known::False,
                Known::False => Known::True,
                Known::Open => Known::Open,
            },
            All(parts) => several(parts, Known::False, slot, rest),
            Any(parts) => several(parts, Known::True, slot, rest),
        }
    }
}

/// Evaluates parts, of which any one that is `decisive` determines the result. Parts that are known and not decisive
/// leave nothing in `rest`.
fn several(parts: &[Condition], decisive: Known, slot: &impl Fn(&str) -> Slot, rest: &mut Rest) -> Known {
    let before = (rest.key.len(), rest.names.len());
    let mut open = false;
    for (at, part) in parts.iter().enumerate() {
        let start = rest.key.len();
        rest.key.extend((at as u32).to_le_bytes());
        match part.known(slot, rest) {
            Known::Open => open = true,
            known if known == decisive => {
                rest.key.truncate(before.0);
                rest.names.truncate(before.1);
                return known;
            }
            _ => rest.key.truncate(start),
        }
    }
    match (open, decisive) {
        (true, _) => {
            rest.key.extend(u32::MAX.to_le_bytes());
            Known::Open
        }
        (false, Known::True) => Known::False,
        (false, _) => Known::True,
    }
}

fn compare(
    left: &Operand,
    comparison: Comparison,
    right: &Operand,
    slot: &impl Fn(&str) -> Slot,
    rest: &mut Rest,
) -> Known {
    let value = |operand: &Operand| match operand {
        Operand::Name(name) => match slot(name) {
            // Conditions refer to a choice that has its own parameters by its name.
            Slot::Is(Value::Object(table)) if table.contains_key("type") => Slot::Is(table["type"].clone()),
            slot => slot,
        },
        Operand::Literal(value) => Slot::Is(value.clone()),
    };
    match (value(left), value(right)) {
        (Slot::Absent, _) | (_, Slot::Absent) => Known::False,
        (Slot::Is(left), Slot::Is(right)) if comparison.holds(&left, &right) => Known::True,
        (Slot::Is(_), Slot::Is(_)) => Known::False,
        (found_left, found_right) => {
            for (operand, found) in [(left, found_left), (right, found_right)] {
                match (operand, found) {
                    (Operand::Name(name), Slot::Open) => rest.names.push(name.clone()),
                    (Operand::Name(_), Slot::Is(value)) => {
                        let text = value.to_string();
                        rest.key.extend((text.len() as u32).to_le_bytes());
                        rest.key.extend(text.into_bytes());
                    }
                    _ => {}
                }
            }
            Known::Open
        }
    }
}

impl Operand {
    /// Returns the name of the parameter, if the operand is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Operand::Name(name) => Some(name),
            Operand::Literal(_) => None,
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Name(name) => f.write_str(name),
            Operand::Literal(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Condition {
    /// Writes the condition as in a sweep file: `optimizer == "sgd" and not (a < 1 or b)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Condition], between: &str| {
            for (at, part) in parts.iter().enumerate() {
                if at > 0 {
                    write!(f, " {between} ")?;
                }
                match part {
                    All(parts) | Any(parts) if parts.len() > 1 => write!(f, "({part})")?,
                    _ => write!(f, "{part}")?,
                }
            }
            Ok(())
        };
        match self {
            Compare(left, comparison, right) => write!(f, "{left} {} {right}", comparison.sign()),
            Not(inner) => write!(f, "not ({inner})"),
            All(parts) => list(f, parts, "and"),
            Any(parts) => list(f, parts, "or"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(condition: &Condition, point: &Value, open: &[&str]) -> (Known, Rest) {
        let mut rest = Rest::default();
        let slot = |name: &str| match point.get(name) {
            _ if open.contains(&name) => Slot::Open,
            Some(value) => Slot::Is(value.clone()),
            None => Slot::Absent,
        };
        (condition.known(&slot, &mut rest), rest)
    }

    fn compared(name: &str, comparison: Comparison, value: Value) -> Condition {
        Compare(Operand::Name(name.to_owned()), comparison, Operand::Literal(value))
    }

    #[test]
    fn numbers_are_compared_by_value_and_other_things_only_for_being_the_same() {
        let holds = |comparison, value| ask(&compared("a", comparison, value), &json!({"a": 2}), &[]).0 == Known::True;
        assert!(holds(Equal, json!(2.0)) && holds(AtMost, json!(2)) && holds(More, json!(1.5)));
        assert!(!holds(Less, json!(2)) && !holds(Equal, json!("2")) && holds(Unequal, json!("2")));
        assert!(!holds(Less, json!("3")), "text is not less or more than a number");
    }

    #[test]
    fn whatever_is_compared_with_an_absent_parameter_is_false() {
        for comparison in [Equal, Unequal, Less, AtMost, More, AtLeast] {
            let condition = compared("a", comparison, json!(1));
            assert_eq!(ask(&condition, &json!({}), &[]).0, Known::False, "{condition}");
            assert_eq!(ask(&Not(Box::new(condition)), &json!({}), &[]).0, Known::True);
        }
    }

    #[test]
    fn a_condition_is_known_as_soon_as_one_part_decides() {
        let both = All(vec![Condition::equal("a", json!(1)), Condition::equal("b", json!(2))]);
        let (known, rest) = ask(&both, &json!({"a": 0}), &["b"]);
        assert_eq!((known, rest.key.len(), rest.names.len()), (Known::False, 0, 0));
        let (known, rest) = ask(&both, &json!({"a": 1}), &["b"]);
        assert_eq!((known, rest.names), (Known::Open, vec!["b".to_owned()]));
        let either = Any(vec![both, Condition::equal("c", json!(3))]);
        assert_eq!(ask(&either, &json!({"c": 3}), &["a", "b"]).0, Known::True);
        assert_eq!(ask(&either, &json!({"c": 4, "a": 2}), &["b"]).0, Known::False);
    }

    #[test]
    fn partial_points_with_the_same_left_to_be_known_have_the_same_key() {
        let condition = All(vec![
            Any(vec![Condition::equal("a", json!(1)), Condition::equal("a", json!(2))]),
            Condition::equal("b", json!(2)),
        ]);
        let key = |a: i64| ask(&condition, &json!({"a": a}), &["b"]).1.key;
        assert_eq!(key(1), key(2));
        let order = Compare(Operand::Name("a".to_owned()), Less, Operand::Name("b".to_owned()));
        let key = |a: i64| ask(&order, &json!({"a": a}), &["b"]).1.key;
        assert_ne!(key(1), key(2));
    }
}
