//! `max_time:` of the sweep file: how long a trial and a run may take.

use std::time::Duration;

use super::node::{Node, Table};
use super::value::{number, show};

/// Limits of time. `None` stands for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaxTime {
    /// For a trial, over all its attempts.
    pub trial: Option<Duration>,
    /// For all runs of the sweep together. The last of them saves its trials and ends.
    pub sweep: Option<Duration>,
}

/// Reads `max_time:`. A single time is that of a trial.
pub fn read(top: &Table) -> MaxTime {
    let Some(node) = top.get("max_time").filter(|node| !node.value.is_null()) else { return MaxTime::default() };
    if !node.value.is_mapping() {
        return MaxTime { trial: time(&node), sweep: None };
    }
    let Some(table) = node.table("max_time: {trial: 2h, sweep: 8h}") else { return MaxTime::default() };
    let times = MaxTime {
        trial: table.get("trial").and_then(|node| time(&node)),
        sweep: table.get("sweep").and_then(|node| time(&node)),
    };
    table.close();
    times
}

/// Reads a time above 0.
pub fn time(node: &Node) -> Option<Duration> {
    let seconds = number(node.value).filter(|seconds| *seconds > 0.0 && *seconds < 1e9).map(Duration::from_secs_f64);
    let found = seconds.or_else(|| parse(node.value.as_str()?).ok());
    if found.is_none() {
        let rule = format!("is {}, but must be a time above 0", show(node.value));
        node.wrong(rule, "for example, write 90s, 30m, 2h, or 1h 30m");
    }
    found
}

/// Parses a time: `8h`, `1h 30m`, `90s`, or a number of seconds.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn parse(text: &str) -> Result<Duration, String> {
    let seconds = text.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(seconds.into()));
    let found = seconds.or_else(|| humantime::parse_duration(text).ok());
    found
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is not a time above 0, such as 30m, 8h, or 1h 30m"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units_and_numbers_are_seconds() {
        for (text, seconds) in
            [("90", 90), ("45s", 45), ("30m", 1800), ("8h", 28_800), ("1h 30m", 5400), ("2days", 172_800)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "0s", "-5m", "soon", "5 parsecs"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_time_alone_is_that_of_a_trial() {
        let read = |max: &str| {
            let text = format!("program: a.py\nmetric: {{name: x, goal: minimize}}\nmax_time: {max}\n");
            super::super::Spec::read(&text, "f", std::path::Path::new("/")).map(|(spec, _)| spec.max_time)
        };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(read("60").unwrap(), MaxTime { trial: minute, sweep: None });
        assert_eq!(read("{sweep: 1m}").unwrap(), MaxTime { trial: None, sweep: minute });
        assert!(read("{sweep: soon}").is_err() && read("{trail: 1m}").is_err() && read("0").is_err());
    }
}
