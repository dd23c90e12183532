//! Compares curves with the text that they were made of, and says what does not fit. Whatever the reader decided, a curve
//! with the wrong numbers does not pass without a note.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::gather::{Part, listed, note};
use super::names::{Target, meaning, words};
use super::printed::Records;
use super::{ForeignCurve, special};
use sweep_core::trial::METRICS;

/// Number of values from which on a series is examined, or the lines that were left out are mentioned.
const FEW: usize = 3;
/// Number of values from which on their order can show two series in turn.
const MANY: usize = 8;
/// Epochs for each value of the validation set up to which the values are a curve.
const RARELY: usize = 20;
/// Distance of the numbers and of the means of two series of values, as a share, up to which they are of the same quantity.
const SAME: f64 = 0.05;
/// Maximum number of forms of lines that are quoted.
const QUOTED: usize = 3;

/// A metric of a curve, as it was read.
#[derive(Debug)]
pub struct Used {
    /// Its name in the file, and the metric it is shown as.
    pub name: String,
    pub metric: usize,
    /// The values, in order.
    pub values: Vec<f64>,
    /// The values of the curve, one an epoch.
    pub shown: Vec<f64>,
}

/// A curve that was read.
#[derive(Debug)]
pub struct Read {
    /// The name of the curve.
    pub name: String,
    /// The number of its epochs, and which they are.
    pub epochs: usize,
    pub numbers: Vec<u32>,
    /// Whether epochs are those that the file names, and how many it names.
    pub names_epochs: bool,
    pub named: usize,
    pub used: Vec<Used>,
    /// Names that are reported as not used.
    pub unused: Vec<String>,
}

/// Adds notes on what does not fit. `parts` are the texts that the curves were read from. Marks those of the `results` beside
/// which numbers were left out that may be of the validation set.
pub fn check(curves: &[Read], parts: &[Part], results: &mut [ForeignCurve], notes: &mut Vec<String>) {
    for curve in curves {
        two_series(curve, notes);
        missing_epochs(&[curve], curve.named, notes);
        let counts =
            |name: &&String| words(name).first().is_some_and(|word| word == "epoch") && !special::is_measure(name);
        if let Some(name) = curve.unused.iter().find(counts).filter(|_| !curve.names_epochs) {
            note(notes, format!("{name} was not read as the epoch, although it may be one"));
        }
    }
    for part in parts {
        let own: Vec<&Read> = curves.iter().filter(|curve| curve.name.is_empty() || part.has(&curve.name)).collect();
        if own.is_empty() {
            continue;
        }
        let mut said = Vec::new();
        missing_epochs(&own, part.records.epochs.len(), &mut said);
        two_forms(&own, &part.records, &mut said);
        several_lines(&own, &part.records, &mut said);
        parts_of_sets(&own, &part.records, &mut said);
        let left = [left_over(&own, &part.records, &mut said), unread(&own, &part.records, &mut said)];
        let is_own = |curve: &&mut ForeignCurve| left.contains(&true) && own.iter().any(|own| own.name == curve.name);
        results.iter_mut().filter(is_own).for_each(|curve| curve.unread_validation = true);
        only_bars(&own, &part.records, &mut said);
        let of_part =
            if curves.len() > 1 && !part.name.is_empty() { format!("{}: ", part.name) } else { String::new() };
        said.into_iter().for_each(|said| note(notes, of_part.clone() + &said));
    }
}

/// Values that jump between two levels in turn are those of two series. Pairs of equal ones may have been written twice.
fn two_series(curve: &Read, notes: &mut Vec<String>) {
    for used in &curve.used {
        let values = &used.shown;
        if values.len() < MANY || values.iter().any(|value| !value.is_finite()) {
            continue;
        }
        let distances = |lag: usize| {
            let mut distances: Vec<f64> = values.windows(lag + 1).map(|pair| (pair[lag] - pair[0]).abs()).collect();
            distances.sort_by(f64::total_cmp);
            distances[distances.len() / 2]
        };
        let equal = |pairs: std::slice::Chunks<f64>| pairs.filter(|pair| pair.len() == 2 && pair[0] == pair[1]).count();
        let (pairs, others) = (equal(values.chunks(2)), equal(values[1..].chunks(2)));
        if pairs * 20 > 9 * values.len() && others * 10 < values.len() {
            note(
                notes,
                format!("the values of {} come in equal pairs; two processes may have written them", used.name),
            );
        }
        let turns = values.windows(3).filter(|three| (three[1] - three[0]) * (three[2] - three[1]) < 0.0).count();
        if turns * 10 > 9 * (values.len() - 2) && distances(1) > 4.0 * distances(2) {
            note(
                notes,
                format!("the values of {} jump between two levels in turn; two series may be mixed", used.name),
            );
        }
    }
}

/// Curves that together have fewer epochs than the file names.
fn missing_epochs(curves: &[&Read], named: usize, notes: &mut Vec<String>) {
    let curves = || curves.iter().filter(|curve| curve.names_epochs);
    let found = curves().flat_map(|curve| &curve.numbers).collect::<HashSet<_>>().len();
    let most = curves().map(|curve| curve.epochs).max();
    if let Some(most) = most.filter(|_| named >= FEW && 10 * (found + 1) < 9 * named) {
        note(notes, format!("{named} epochs are named, but the longest curve has {most}; the others were left out"));
    }
}

/// What a column may tell apart whose rows of the same epoch have different texts. `rows` are its texts with their
/// epochs, and `all` is the number of rows: nearly all must have a text.
pub fn tells_apart(column: &str, rows: &[(Option<f64>, &str)], all: usize) -> Option<String> {
    if rows.len() * 10 <= 9 * all {
        return None;
    }
    let epochs: HashSet<Option<u64>> = rows.iter().map(|(epoch, _)| epoch.map(bits)).collect();
    let texts: HashSet<&str> = rows.iter().map(|(_, text)| *text).collect();
    let both: HashSet<_> = rows.iter().map(|(epoch, text)| (epoch.map(bits), *text)).collect();
    let recurs = texts.len() > 1 && 2 * texts.len() <= rows.len() && 2 * both.len() > 3 * epochs.len();
    recurs.then(|| {
        format!("rows with different values of {column} were not separated; they may belong to several runs or sets")
    })
}

fn bits(value: f64) -> u64 {
    value.to_bits()
}

/// A metric whose values stand in lines of two forms, neither of which has them all.
fn two_forms(curves: &[&Read], records: &Records, notes: &mut Vec<String>) {
    let mut forms: HashMap<(&str, u64), Vec<usize>> = HashMap::new();
    for (at, form) in records.forms.iter().enumerate() {
        for (name, value) in form.values.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        {
            let known = forms.entry((name, bits(*value))).or_default();
            if known.last() != Some(&at) {
                known.push(at);
            }
        }
    }
    for used in curves.iter().flat_map(|curve| &curve.used).filter(|used| used.values.len() >= MANY) {
        let found: Vec<&Vec<usize>> =
            used.values.iter().filter_map(|value| forms.get(&(used.name.as_str(), bits(*value)))).collect();
        let Some((first, count)) = most_common(&found) else { continue };
        let rest: Vec<&Vec<usize>> = found.into_iter().filter(|known| !known.contains(&first)).collect();
        if let Some((second, more)) = most_common(&rest).filter(|(_, more)| *more >= FEW && 10 * more > count) {
            let [first, second] = [first, second].map(|at| records.forms[at].example.as_str());
            let name = &used.name;
            note(
                notes,
                format!(
                    "the values of {name} stand in lines of two forms: {first:?} ({count}) and {second:?} ({more})"
                ),
            );
        }
    }
}

/// A metric that stands in more lines than it has values, so that an epoch shows several by one.
fn several_lines(curves: &[&Read], records: &Records, notes: &mut Vec<String>) {
    let used = || curves.iter().flat_map(|curve| &curve.used);
    let names: BTreeSet<&str> = used().map(|used| used.name.as_str()).collect();
    for name in names {
        let values: Vec<f64> =
            used().filter(|used| used.name == name).flat_map(|used| used.values.iter().copied()).collect();
        let forms = records.forms.iter().filter(|form| !form.is_running).flat_map(|form| &form.values);
        let lines: Vec<f64> =
            forms.filter(|(own, _)| own == name).flat_map(|(_, values)| values.iter().copied()).collect();
        if lines.len() < FEW + values.len() || 10 * lines.len() < 11 * values.len() {
            continue;
        }
        let printed: HashSet<u64> = lines.iter().copied().map(bits).collect();
        let is_printed = 2 * values.iter().filter(|value| printed.contains(&bits(**value))).count() > values.len();
        let how = if is_printed { "the last one" } else { "their mean" };
        note(
            notes,
            format!(
                "{name} stands in {} lines, and the curves have {} values; each is {how}",
                lines.len(),
                values.len()
            ),
        );
    }
}

/// A metric of validation that stands only in lines about the first batches.
fn parts_of_sets(curves: &[&Read], records: &Records, notes: &mut Vec<String>) {
    const LEAST: f64 = 0.5;
    let of_validation = |used: &&Used| METRICS[used.metric].starts_with("val");
    for used in curves.iter().flat_map(|curve| &curve.used).filter(of_validation) {
        let forms = records.forms.iter().filter(|form| form.values.iter().any(|(name, _)| *name == used.name));
        if let Some(done) = forms.map(|form| form.done).reduce(f64::max).filter(|done| *done < LEAST) {
            let (name, share) = (&used.name, 100.0 * done);
            note(
                notes,
                format!("{name} was printed after at most {share:.0}% of the batches, so it is not of the whole set"),
            );
        }
    }
}

/// The form that most of the values stand in, and how many.
fn most_common(found: &[&Vec<usize>]) -> Option<(usize, usize)> {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    found.iter().flat_map(|known| known.iter()).for_each(|at| *counts.entry(*at).or_default() += 1);
    counts.into_iter().max_by_key(|(at, count)| (*count, std::cmp::Reverse(*at)))
}

/// Lines with metrics that no curve has. Returns whether one of these may be of the validation set, which is measured less
/// often than training.
fn left_over(curves: &[&Read], records: &Records, notes: &mut Vec<String>) -> bool {
    let used: HashSet<u64> =
        curves.iter().flat_map(|curve| &curve.used).flat_map(|used| used.values.iter().copied().map(bits)).collect();
    let told: HashSet<&str> = curves.iter().flat_map(|curve| &curve.unused).map(String::as_str).collect();
    let said: HashSet<u64> =
        records.forms.iter().flat_map(|form| &form.values).flat_map(|(_, own)| own).copied().map(bits).collect();
    let metrics = || curves.iter().flat_map(|curve| &curve.used);
    // The mean of several lines stands in none of them.
    let is_in_none =
        |used: &&Used| 2 * used.values.iter().filter(|value| said.contains(&bits(**value))).count() < used.values.len();
    let means: HashSet<&str> = metrics().filter(is_in_none).map(|used| used.name.as_str()).collect();
    let target = |name: &str| match meaning(name).or_else(|| special::stands_for(name)) {
        Some((Target::Metric(at), _)) => Some(at),
        _ => None,
    };
    let stands_for = |name: &str| special::stands_for(name).map(|(target, _)| target);
    let is_converted = |name: &str| metrics().any(|used| stands_for(name) == Some(Target::Metric(used.metric)));
    let has = |name: &str| metrics().any(|used| used.name == name || Some(used.metric) == target(name));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    // Caffe prints the loss of a step twice, once rounded.
    let is_close = |name: &str, values: &[f64]| {
        let is_same = |one: f64, other: f64| (one - other).abs() <= SAME * one.abs();
        let is_as_often = |used: &Used| is_same(values.len() as f64, used.values.len() as f64);
        let is_as_high = |used: &Used| is_same(mean(values), mean(&used.values));
        metrics().any(|used| Some(used.metric) == target(name) && is_as_often(used) && is_as_high(used))
    };
    let longest = curves.iter().map(|curve| curve.epochs).max().unwrap_or_default();
    let (mut forms, mut may_validate) = (Vec::new(), false);
    let is_rare = |lines: usize, name: &str| lines * if special::may_validate(name) { RARELY } else { 4 } < longest;
    for form in records.forms.iter().filter(|form| form.lines >= FEW) {
        let is_left = |(name, values): &&(String, Vec<f64>)| {
            let unused = values.iter().filter(|value| !used.contains(&bits(**value))).count();
            let moves = values.iter().any(|value| *value != values[0]);
            let is_known = told.contains(name.as_str())
                || means.contains(name.as_str())
                || is_converted(name)
                || is_close(name, values)
                || form.is_progress && has(name);
            moves && 5 * unused > 4 * values.len() && !is_known && !is_rare(form.lines, name)
        };
        let left: Vec<&str> = form.values.iter().filter(is_left).map(|(name, _)| name.as_str()).collect();
        may_validate |= left.iter().any(|name| special::may_validate(name));
        if !left.is_empty() {
            forms.push(format!("{:?} ({}: {})", form.example, form.lines, listed(&left)));
        }
    }
    if !forms.is_empty() {
        let more = forms.len().saturating_sub(QUOTED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let shown = forms[..forms.len().min(QUOTED)].join(", ");
        note(notes, format!("lines with other metrics were left out: {shown}{more}"));
    }
    may_validate
}

/// Lines with numbers that were not understood, about as many as there are epochs. Returns whether one of these may be of the
/// validation set.
fn unread(curves: &[&Read], records: &Records, notes: &mut Vec<String>) -> bool {
    let longest = curves.iter().map(|curve| curve.epochs).max().unwrap_or_default();
    let mut lines: Vec<&(String, usize)> =
        records.unread.values().filter(|(_, count)| *count >= FEW && 4 * count >= longest).collect();
    lines.sort();
    let may_validate = lines.iter().any(|(line, _)| special::may_validate(line));
    let lines: Vec<String> = lines.iter().take(QUOTED).map(|(line, count)| format!("{line:?} ({count})")).collect();
    if !lines.is_empty() {
        note(notes, format!("the numbers in these lines were not understood: {}", lines.join(", ")));
    }
    may_validate
}

/// Metrics that stand in progress bars alone.
fn only_bars(curves: &[&Read], records: &Records, notes: &mut Vec<String>) {
    let names: HashSet<&str> = curves.iter().flat_map(|curve| &curve.used).map(|used| used.name.as_str()).collect();
    let has = |name: &str, is_bar: bool| {
        records.forms.iter().any(|form| form.is_bar == is_bar && form.values.iter().any(|(own, _)| own == name))
    };
    let mut only: Vec<&str> = names.into_iter().filter(|name| has(name, true) && !has(name, false)).collect();
    only.sort_unstable();
    if !only.is_empty() {
        let what = listed(&only);
        note(notes, format!("these stand in progress bars alone, whose last number may be of a single batch: {what}"));
    }
}
