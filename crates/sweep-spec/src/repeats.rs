//! `repeats:` of the sweep file: how often a configuration runs.

use super::kind::Kind;
use super::node::Table;

/// Maximum number of repeats of a race. Each allows for one more look at the results, and makes every look stricter.
const MOST: u64 = 100;

/// Reads the number of trials that every configuration gets, and the number that a race may give some. `points` is the
/// number of configurations, if it is known.
pub fn read(top: &Table, points: Option<u64>) -> (u32, u32) {
    let Some(node) = top.get("repeats") else { return (1, 1) };
    if !node.value.is_mapping() {
        let is = "the number of trials per configuration, each with its own seed; for example, write 3, or {min: 1, \
            max: 5} to repeat only configurations that may be the best";
        let fixed = node.take(Kind::whole(1), is).and_then(|found| u32::try_from(found.as_u64()?).ok()).unwrap_or(1);
        return (fixed, fixed);
    }
    let Some(table) = node.table("repeats: {min: 1, max: 5}") else { return (1, 1) };
    let number = |key, is: &str| {
        let found = table.take(key, Kind::Whole { least: 1, most: MOST }, is);
        found.and_then(|found| u32::try_from(found.as_u64()?).ok())
    };
    let least = number("min", "the number of trials that every configuration gets; for example, write 1").unwrap_or(1);
    let most = number("max", "the largest number of trials that a configuration gets; for example, write 5");
    if table.get("max").is_none() {
        node.wrong_key("has no `max`", "write, for example, {min: 1, max: 5}");
    }
    if let (Some(most), Some(node)) = (most.filter(|most| *most <= least), table.get("max")) {
        let rule = format!("is {most}, but must be above `min`, which is {least}");
        node.wrong(rule, format!("write {}, or `repeats: {least}` for a fixed number", least + 1));
    }
    if points.is_none() && top.get("run_cap").is_none() && top.get("budget").is_none() {
        let rule = "has no effect: the repeats beyond `min` follow after the search, and this search has no end";
        node.wrong_key(rule, "add `run_cap:`; up to a third of it is then for repeats");
    }
    table.close();
    (least, most.unwrap_or(least).max(least))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Spec;

    fn read(repeats: &str) -> Result<(u32, u32), Vec<String>> {
        let text = format!("{repeats}\ndata: {{set: digits}}\nmodel: linear\n");
        match Spec::read(&text, "f", Path::new("/")) {
            Ok((spec, _)) => Ok((spec.repeats, spec.most_repeats)),
            Err(problems) => Err(problems.list().iter().map(|one| format!("{}: {}", one.path, one.rule)).collect()),
        }
    }

    #[test]
    fn repeats_are_a_number_or_a_range() {
        for (text, expected) in
            [("", (1, 1)), ("repeats: 3", (3, 3)), ("repeats: {min: 2, max: 5}", (2, 5)), ("repeats: {max: 4}", (1, 4))]
        {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
        for (text, rule) in [
            ("repeats: {min: 2}", "repeats: has no `max`"),
            ("repeats: {min: 3, max: 3}", "repeats.max: is 3, but must be above `min`"),
            ("repeats: {min: 0, max: 3}", "repeats.min: "),
            ("repeats: {min: 1, maximum: 3}", "repeats"),
            (
                "method: random\nparameters: {dropout: {min: 0.1, max: 0.5}}\nrepeats: {min: 1, max: 3}",
                "repeats: has no effect",
            ),
        ] {
            let problems = read(text).expect_err(text);
            assert!(problems.iter().any(|problem| problem.starts_with(rule)), "{text}: {problems:?}");
        }
    }
}
