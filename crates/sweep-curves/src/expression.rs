//! Metrics by a regular expression of the user's.

use super::rows::{Place, Row};

/// A regular expression whose named groups are metrics, `epoch`, or `step`.
#[derive(Debug)]
pub struct Expression(regex::Regex);

impl Expression {
    /// Compiles it. `None` if it is no regular expression.
    pub fn new(text: &str) -> Option<Expression> {
        regex::Regex::new(text).ok().map(Expression)
    }

    /// The row of a line, if it matches and a group has a number.
    pub fn row(&self, line: &str) -> Option<Row> {
        let captures = self.0.captures(line)?;
        let (mut place, mut values) = (Place::default(), Vec::new());
        for name in self.0.capture_names().flatten() {
            let value = captures.name(name).and_then(|group| super::cells::number(group.as_str(), false));
            match (name, value) {
                (_, None) => {}
                ("epoch", epoch) => place.epoch = epoch,
                ("step", step) => place.step = step,
                (name, Some(value)) => values.push((name.to_owned(), value)),
            }
        }
        (!values.is_empty()).then_some(Row { curve: String::new(), place, values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_groups_are_metrics() {
        let expression = Expression::new(r"ep (?P<epoch>\d+) .*vl=(?P<val_loss>\S+)").expect("it is one");
        let row = expression.row("ep 3 tl=0.5 vl=0.25").expect("it matches");
        assert_eq!((row.place.epoch, &row.values[..]), (Some(3.0), &[("val_loss".to_owned(), 0.25)][..]));
        assert_eq!(expression.row("ep 3"), None);
    }
}
