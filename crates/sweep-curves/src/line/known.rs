//! Lines of tools whose numbers stand in sentences of their own.

use std::sync::LazyLock;

use regex::Regex;

use super::{Line, Pair, is_bare_part, names_part};

/// Reads a line of one of these tools. `part` is the set that earlier lines announced.
pub(super) fn line(text: &str, part: Option<&'static str>) -> Option<Line> {
    if let Some(line) = darknet(text) {
        return Some(line);
    }
    let found = average_precision(text).map(|value| (None, "val bbox_mAP".to_owned(), value));
    let found = found.or_else(|| Some((None, format!("{} accuracy", part.unwrap_or("val")), correct_share(text)?)));
    let found = found.or_else(|| score_at(text).map(|(step, value)| (Some(step), "train loss".to_owned(), value)));
    let found = found.or_else(|| short_name(text).map(|(step, name, value)| (Some(step), name.to_owned(), value)));
    let found = found.or_else(|| of_set(text));
    let (step, name, value) = found?;
    Some(Line { step, pairs: vec![Pair { name, value, running: false }], ..Line::default() })
}

/// The losses of an epoch as spaCy's pipelines print them, `Losses {'ner': 25.4, 'tagger': 3.5}` or without the word, as
/// their sum, and whether there are several. `None` for any other line.
pub(crate) fn summed(text: &str) -> Option<(String, bool)> {
    static LOSSES: LazyLock<Regex> = LazyLock::new(|| {
        let parts = |name: &str| format!(r#"\{{((?:['"]{name}['"]: [\d.e+-]+(?:, )?)+)\}}"#);
        let pipes = "(?:ner|textcat\\w*|tagger|parser|tok2vec|spancat|morphologizer)";
        let expression = format!(r"\bLosses:?\s+{}|^\s*{}\s*$", parts(r"\w+"), parts(pipes));
        Regex::new(&expression).expect("it is an expression")
    });
    let found = text.contains('{').then(|| LOSSES.captures(text))??;
    let parts = found.get(1).or(found.get(2))?.as_str();
    let parts: Vec<f64> = parts.split(", ").filter_map(|part| part.rsplit_once(": ")?.1.parse().ok()).collect();
    let sum: f64 = parts.iter().sum();
    Some((text.replace(&found[0], &format!("loss: {sum:.6}")), parts.len() > 1))
}

/// What Flower's server evaluated after a round, `fit progress: (3, 0.5, {'accuracy': 0.8}, 12.5)` or `round 3: 0.5`, as
/// the number of the round and the metrics under their names. `None` for any other line.
pub(crate) fn of_round(text: &str) -> Option<String> {
    static ROUND: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"(?:\bfit progress: \((\d+), ([\d.e+-]+), \{(.*)\}, [\d.]+\)|^[\s:]*round (\d+): (\d+\.[\de+-]+))\s*$",
        )
        .expect("it is an expression")
    });
    let found = text.contains("ro").then(|| ROUND.captures(text))??;
    let group = |at: usize| found.get(at).map(|group| group.as_str());
    let (round, loss) = (group(1).or(group(4))?, group(2).or(group(5))?);
    let metrics = group(3).unwrap_or_default().split(", ").filter(|metric| !metric.is_empty());
    let metrics: String = metrics.map(|metric| format!(", val {}", metric.replace('\'', ""))).collect();
    Some(format!("{round}: val loss: {loss}{metrics}"))
}

/// The mean average precision over all sizes, in the words of COCO's evaluation or of Darknet.
fn average_precision(text: &str) -> Option<f64> {
    if let Some(after) = text.trim().strip_prefix("mean average precision (mAP@") {
        return after.split_once(" = ")?.1.split(',').next()?.trim().parse().ok();
    }
    let of_all = ["Average Precision", "IoU=0.50:0.95", "area=   all"].iter().all(|words| text.contains(words));
    text.rsplit_once('=').filter(|_| of_all)?.1.trim().parse().ok().filter(|value| *value >= 0.0)
}

/// The accuracy in the words of Stanford's CS231n: `Got 119 / 1000 correct (11.90)`.
fn correct_share(text: &str) -> Option<f64> {
    let (right, rest) = text.trim().strip_prefix("Got ")?.split_once('/')?;
    let (of, _) = rest.split_once(" correct")?;
    Some(right.trim().parse::<f64>().ok()? / of.trim().parse::<f64>().ok().filter(|of| *of > 0.0)?)
}

/// The loss in the words of Deeplearning4j: `Score at iteration 100 is 1.39`.
fn score_at(text: &str) -> Option<(f64, f64)> {
    let (step, score) = text.trim().strip_prefix("Score at iteration ")?.split_once(" is ")?;
    Some((step.parse().ok()?, score.trim().parse().ok()?))
}

/// A loss in the words of llm.c, which others repeat: `s:250 trl:3.9 lr:0.001`, `s:250 tel:4.1`. `eval` and `hel` are the
/// accuracy in HellaSwag.
pub(crate) fn short_name(text: &str) -> Option<(f64, &'static str, f64)> {
    let mut words = text.trim().strip_prefix("s:")?.split_whitespace();
    let step = words.next()?.parse().ok()?;
    let (name, value) = words.next()?.split_once(':')?;
    let name = match name {
        "trl" => "train loss",
        "tel" => "val loss",
        "eval" | "hel" => "val accuracy",
        _ => return None,
    };
    Some((step, name, value.parse().ok()?))
}

/// A step, a set, and its loss, as build-nanogpt and its kin write them: `250 val 5.87`. `250 hella 0.25` has the accuracy
/// in HellaSwag.
pub(crate) fn of_set(text: &str) -> Option<(Option<f64>, String, f64)> {
    let mut words = text.split_whitespace();
    let step = words.next()?.parse::<u32>().ok()?;
    let (set, value) = (words.next()?, words.next().filter(|_| words.next().is_none())?);
    let value = value.parse().ok().filter(|_| value.contains(['.', 'n']))?;
    let name = match set {
        "hella" => "val accuracy".to_owned(),
        set if is_bare_part(set) && names_part(set) == Some(set) => format!("{set} loss"),
        _ => return None,
    };
    Some((Some(f64::from(step)), name, value))
}

/// A line of Darknet's. `2534: 1.43, 1.46 avg loss, 0.001 rate, …` has the loss of a step, and its mean. The lines about
/// the layers of the network in between (`Region 94 Avg (IOU: 0.79), …`) say nothing about an epoch.
fn darknet(text: &str) -> Option<Line> {
    if text.contains("Region ") && ["Avg (IOU: ", "Avg IOU: "].iter().any(|start| text.contains(start)) {
        return Some(Line::default());
    }
    let (step, rest) = text.trim().split_once(": ")?;
    let step = step.parse::<u32>().ok()?;
    let mut parts = rest.split(", ");
    parts.next()?.trim().parse::<f64>().ok()?;
    let value = |part: &str, ends: &[&str]| ends.iter().find_map(|end| part.strip_suffix(end)?.trim().parse().ok());
    let mean = value(parts.next()?, &[" avg loss", " avg"])?;
    let rate = value(parts.next()?, &[" rate"])?;
    let pairs = [("train loss", mean), ("lr", rate)];
    let pairs = pairs.map(|(name, value)| Pair { name: name.to_owned(), value, running: false });
    Some(Line { step: Some(f64::from(step)), pairs: pairs.into(), ..Line::default() })
}
