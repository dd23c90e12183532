//! The differences between two sweep files, as text.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;

use sweep_core::program::Program;
use sweep_core::space::{Distribution, Parameter};
use sweep_core::trial::Goal;
use sweep_report::budget::limits;
use sweep_report::format;
use sweep_spec::{Network, SETTINGS, Spec, Trains, plain};

/// All differences, one line each.
pub fn all(old: &Spec, new: &Spec) -> Vec<String> {
    let mut lines = incomparable(old, new);
    if are_programs(old, new) {
        told(&mut lines, "metric", ranking(old), ranking(new));
    }
    lines.extend(parameters(old, new));
    let ((old_zip, old_exclude), (new_zip, new_exclude)) = (old.space.constraints(), new.space.constraints());
    changed(&mut lines, "zip", &old_zip, &new_zip);
    let listed = |all: &[sweep_core::space::Condition]| {
        let each: Vec<String> = all.iter().map(|one| format!("({one})")).collect();
        if each.is_empty() { "nothing".to_owned() } else { each.join(" or ") }
    };
    told(&mut lines, "exclude", listed(old_exclude), listed(new_exclude));
    told(&mut lines, "priority", listed(&old.priority), listed(&new.priority));
    // That the defaults go first is no change of the file.
    let given = |spec: &Spec| (spec.defaults != Some(0) || spec.enqueue.len() > 1).then(|| spec.enqueue.clone());
    changed(&mut lines, "enqueue", &given(old).unwrap_or_default(), &given(new).unwrap_or_default());
    told(&mut lines, "method", format!("{:?}", old.method).to_lowercase(), format!("{:?}", new.method).to_lowercase());
    told(&mut lines, "order", format!("{:?}", old.order).to_lowercase(), format!("{:?}", new.order).to_lowercase());
    let lag = |spec: &Spec| spec.lag.map_or("as it was".to_owned(), |lag| lag.to_string());
    told(&mut lines, "lag", lag(old), lag(new));
    let cap = |spec: &Spec| spec.run_cap.map_or("none".to_owned(), |cap| cap.to_string());
    told(&mut lines, "run_cap", cap(old), cap(new));
    let target = |spec: &Spec| spec.target.map_or("none".to_owned(), |target| target.to_string());
    told(&mut lines, "target", target(old), target(new));
    let repeats = |spec: &Spec| match spec.most_repeats {
        most if most > spec.repeats => format!("{} to {most}", spec.repeats),
        _ => spec.repeats.to_string(),
    };
    told(&mut lines, "repeats", repeats(old), repeats(new));
    changed(&mut lines, "metrics to trade off", &old.tradeoffs, &new.tradeoffs);
    changed(&mut lines, "early_terminate", &old.early_terminate, &new.early_terminate);
    lines.extend(constants(old, new).0);
    changed(&mut lines, "model", &old.network().map(|one| &one.model), &new.network().map(|one| &one.model));
    told(&mut lines, "keep_best", old.keep_best, new.keep_best);
    told(&mut lines, "retries", old.retries, new.retries);
    let grace = |spec: &Spec| format!("{} s", spec.stop_grace.as_secs());
    told(&mut lines, "stop_grace", grace(old), grace(new));
    let time = |time: Option<Duration>| time.map_or("no limit".to_owned(), |time| format::duration(time.as_secs_f64()));
    told(&mut lines, "max_time: trial", time(old.max_time.trial), time(new.max_time.trial));
    told(&mut lines, "max_time: sweep", time(old.max_time.sweep), time(new.max_time.sweep));
    let budget = |spec: &Spec| match spec.budget.is_none() {
        true => "none".to_owned(),
        false => limits(&spec.budget),
    };
    told(&mut lines, "budget", budget(old), budget(new));
    changed(&mut lines, "stages", &old.stages, &new.stages);
    changed(&mut lines, "devices", &old.devices, &new.devices);
    changed(&mut lines, "description", &old.description, &new.description);
    lines
}

fn are_programs(old: &Spec, new: &Spec) -> bool {
    old.program().is_some() && new.program().is_some()
}

/// What trials are ranked by.
fn ranking(spec: &Spec) -> String {
    match spec.metric.goal {
        Goal::Minimize => format!("the lowest {}", spec.metric.name),
        Goal::Maximize => format!("the highest {}", spec.metric.name),
    }
}

/// What draws other trials.
pub fn drawn(old: &Spec, new: &Spec) -> Vec<String> {
    let mut lines = Vec::new();
    told(&mut lines, "seed", old.seed, new.seed);
    lines
}

/// What makes every trial another one.
pub fn incomparable(old: &Spec, new: &Spec) -> Vec<String> {
    let mut lines = drawn(old, new);
    // Programs report all of their metrics, so another metric changes no trial, only their order.
    if !are_programs(old, new) {
        told(&mut lines, "metric", ranking(old), ranking(new));
    }
    // Parameters that come or go change no trial so far; one that joins or leaves a group arrives in another form.
    let command = |spec: &Spec| {
        spec.program().map(|program| Program { groups: BTreeMap::new(), folder: None, ..program.clone() })
    };
    changed(&mut lines, "program or command", &command(old), &command(new));
    if let (Some(before), Some(after)) = (old.program(), new.program()) {
        let both = old.space.parameters.iter().map(|one| &one.name).filter(|name| find(new, name).is_some());
        for name in both {
            changed(&mut lines, &format!("the group of {name}"), &before.groups.get(name), &after.groups.get(name));
        }
    }
    match (&old.trains, &new.trains) {
        (Trains::Program(_), Trains::Program(_)) => {
            told(
                &mut lines,
                "the folder that programs start in",
                old.program_folder().display(),
                new.program_folder().display(),
            );
        }
        (Trains::Network(before), Trains::Network(after)) if before.source != after.source => {
            let source = |one: &Network| serde_json::to_value(&one.source).map_or(String::new(), |value| plain(&value));
            told(&mut lines, "data", source(before), source(after));
        }
        _ => {}
    }
    lines
}

/// Differences in fixed parameters, and how the first of them could vary instead.
pub fn constants(old: &Spec, new: &Spec) -> (Vec<String>, Option<String>) {
    let (mut lines, mut vary) = (Vec::new(), None);
    let (Some(before), Some(after)) = (old.network(), new.network()) else { return (lines, vary) };
    // If a table became a parameter, or a parameter a table, that change is already reported with all of its members.
    let group = |name: &str| SETTINGS.iter().find(|setting| setting.name == name).and_then(|setting| setting.group);
    let told = |name: &str| match group(name).map(|group| [old, new].map(|spec| find(spec, group).is_some())) {
        Some([false, true]) => !after.fixed.contains_key(name),
        Some([true, false]) => !before.fixed.contains_key(name),
        _ => false,
    };
    let varied = |name: &str| told(name) || [old, new].iter().any(|spec| find(spec, name).is_some());
    let presets = before.model.settings.keys().chain(after.model.settings.keys()).map(String::as_str);
    for name in SETTINGS.iter().map(|setting| setting.name).chain(presets).filter(|name| !varied(name)) {
        let value = |spec: &Spec, network: &Network| match name {
            // A seed that is the sweep's draws the same split, named or not.
            "split_seed" => spec.split_seed().into(),
            _ => network.constant(name).unwrap_or(Value::Null),
        };
        let (before, after) = (value(old, before), value(new, after));
        if before != after {
            let line = format!("{name}: {} → {}", plain(&before), plain(&after));
            if !lines.contains(&line) {
                lines.push(line);
            }
            let can_vary = SETTINGS.iter().find(|setting| setting.name == name).is_none_or(|one| one.varies());
            if vary.is_none() && can_vary {
                vary = Some(format!("{name}: {{values: [{}, {}]}}", plain(&before), plain(&after)));
            }
        }
    }
    (lines, vary)
}

fn find<'a>(spec: &'a Spec, name: &str) -> Option<&'a Parameter> {
    spec.space.parameters.iter().find(|parameter| parameter.name == name)
}

fn parameters(old: &Spec, new: &Spec) -> Vec<String> {
    let mut lines = Vec::new();
    for one in &new.space.parameters {
        let Some(before) = find(old, &one.name) else {
            let so_far = fixed(old, &one.name).map_or(String::new(), |value| format!(" (so far {})", plain(&value)));
            lines.push(format!("new parameter {}: {}{so_far}", one.name, one.distribution));
            continue;
        };
        match (&before.distribution, &one.distribution) {
            (was, is) if was == is => {}
            (Distribution::Categorical(was), Distribution::Categorical(is)) => {
                let less = |some: &[Value], others: &[Value]| {
                    let only = some.iter().filter(|value| !others.contains(value)).map(plain);
                    only.collect::<Vec<_>>().join(", ")
                };
                let change = match (less(is, was), less(was, is)) {
                    (new, old) if new.is_empty() && old.is_empty() => "other order of values".to_owned(),
                    (new, old) if old.is_empty() => format!("also {new}"),
                    (new, old) if new.is_empty() => format!("no longer {old}"),
                    (new, old) => format!("also {new}; no longer {old}"),
                };
                lines.push(format!("{}: {change}", one.name));
            }
            (was, is) => lines.push(format!("{}: {was} → {is}", one.name)),
        }
        let when = |one: &Parameter| one.when.as_ref().map_or("always".to_owned(), ToString::to_string);
        told(&mut lines, &format!("{}: when", one.name), when(before), when(one));
    }
    for gone in old.space.parameters.iter().filter(|one| find(new, &one.name).is_none()) {
        let now = fixed(new, &gone.name).map_or(String::new(), |value| format!(" (from now on {})", plain(&value)));
        lines.push(format!("no longer a parameter: {}{now}", gone.name));
    }
    lines
}

/// The fixed value of a parameter. The value of a table includes its members.
fn fixed(spec: &Spec, name: &str) -> Option<Value> {
    let network = spec.network()?;
    let value = network.constant(name).filter(|value| !value.is_null());
    let names = SETTINGS.iter().filter(|setting| setting.group == Some(name)).map(|setting| setting.name);
    let members = names.filter_map(|member| {
        let short = member.strip_prefix(name).map_or(member, |rest| rest.trim_start_matches('.'));
        Some((short.to_owned(), network.fixed.get(member)?.clone()))
    });
    let members: Vec<_> = members.collect();
    if members.is_empty() {
        return value;
    }
    Some(value.map(|value| ("type".to_owned(), value)).into_iter().chain(members).collect())
}

fn told<T: ToString>(lines: &mut Vec<String>, what: &str, old: T, new: T) {
    let (old, new) = (old.to_string(), new.to_string());
    if old != new {
        lines.push(format!("{what}: {old} → {new}"));
    }
}

/// Adds a line for a value that is too large for a line.
fn changed<T: PartialEq + Debug>(lines: &mut Vec<String>, what: &str, old: &T, new: &T) {
    if old != new {
        lines.push(format!("{what} was replaced"));
    }
}
