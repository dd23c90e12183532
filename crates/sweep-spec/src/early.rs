//! `early_terminate:` of the sweep file.

use serde_json::Value as Json;

use super::kind::Kind;
use super::node::{Node, Table};
use super::value::show;
use sweep_core::stop::{Asha, EarlyTerminate, Hyperband, Median, Rule};

/// Keys, each with the rules that they apply to.
const KEYS: &[(&str, &[&str])] = &[
    ("min_iter", &["hyperband", "asha", "median"]),
    ("max_iter", &["hyperband"]),
    ("s", &["hyperband"]),
    ("eta", &["hyperband", "asha"]),
    ("strict", &["hyperband"]),
    ("min_trials", &["median"]),
];

/// Reads `early_terminate:`. `None` if it is missing or has a problem.
pub fn read(top: &Table, is_program: bool) -> Option<EarlyTerminate> {
    let node = top.get("early_terminate").filter(|node| !node.value.is_null())?;
    let table = node.table("early_terminate: {type: hyperband, min_iter: 3}")?;
    let kind = table.take(
        "type",
        Kind::Choice(&["hyperband", "asha", "median"]),
        "the early-stopping rule; write hyperband (as in W&B), asha (pauses trials and resumes the best), or median",
    );
    let overfit = table
        .take("stop_on", Kind::Choice(&["overfit"]), "the finding that ends a trial; write overfit, or remove the key")
        .is_some();
    let audit = table
        .take(
            "audit",
            Kind::Share,
            "the fraction of trials that keep running although the rule would stop them; for example, write 0.05",
        )
        .and_then(|share| share.as_f64());
    if table.get("type").is_none() && table.get("stop_on").is_none() {
        node.wrong_key(
            "has neither a `type` nor a `stop_on`",
            "for example, write `type: hyperband` with `min_iter: 3`",
        );
    }
    let name = kind.as_ref().and_then(Json::as_str);
    if let Some(node) = table.get("type").filter(|_| is_program && name == Some("asha")) {
        node.note(
            "asha pauses trials and continues the best: a program that does not load its own checkpoint if \
             SWEEP_RESUME is 1 then starts over; hyperband and median pause no trial",
        );
    }
    let terms = Terms::read(&table);
    check_keys(&table, name);
    if name == Some("hyperband") {
        check_bands(&node, &table, &terms);
    }
    table.close();
    if terms.eta <= 1.0 {
        return None;
    }
    let rule = match name {
        Some(name) => Some(terms.rule(name)?),
        None => None,
    };
    Some(EarlyTerminate { rule, overfit, audit: audit.unwrap_or(0.0) })
}

/// The numbers of all rules.
struct Terms {
    min_iter: Option<u32>,
    max_iter: Option<u32>,
    s: Option<u32>,
    min_trials: Option<u32>,
    eta: f64,
    strict: bool,
}

impl Terms {
    fn read(table: &Table) -> Terms {
        let iterations = |key, is: &str| {
            let found = table.take(key, Kind::whole(1), is).and_then(|found| found.as_u64());
            found.and_then(|found| u32::try_from(found).ok())
        };
        let eta = "the reduction factor: about one trial in `eta` passes each band; for example, write 3";
        let eta = table.take("eta", Kind::Positive, eta).and_then(|eta| eta.as_f64()).unwrap_or(3.0);
        if let Some(node) = table.get("eta").filter(|_| eta <= 1.0) {
            let rule = format!("is {}, but must be above 1", show(node.value));
            node.wrong(rule, "write 3, so that about one trial in three passes each band");
        }
        let strict = "whether trials are compared by the value at the band, not by the best value so far";
        Terms {
            min_iter: iterations("min_iter", "the number of epochs that every trial trains for; for example, write 3"),
            max_iter: iterations(
                "max_iter",
                "the number of epochs from which the bands are computed; for example, write 27",
            ),
            s: iterations("s", "the number of bands below `max_iter`; for example, write 2"),
            min_trials: iterations(
                "min_trials",
                "the number of trials that must finish before any is stopped; for example, write 5",
            ),
            eta,
            strict: table.take("strict", Kind::Boolean, strict).and_then(|strict| strict.as_bool()).unwrap_or(true),
        }
    }

    /// Returns the rule of this name, or `None` if there is none or a number that it needs is missing.
    fn rule(&self, name: &str) -> Option<Rule> {
        let Terms { min_iter, max_iter, s, min_trials, eta, strict } = *self;
        Some(match (name, min_iter, max_iter, s) {
            ("hyperband", _, Some(max), Some(s)) => Rule::Hyperband(Hyperband::downwards(max, s, eta, strict)),
            ("hyperband", Some(min), ..) => Rule::Hyperband(Hyperband::upwards(min, eta, strict)),
            ("hyperband", None, ..) => return None,
            ("asha", ..) => Rule::Asha(Asha::new(min_iter.unwrap_or(1), eta)),
            ("median", ..) => Rule::Median(Median::new(min_iter.unwrap_or(1), min_trials.unwrap_or(5))),
            _ => return None,
        })
    }
}

/// Reports keys that belong to other rules.
fn check_keys(table: &Table, name: Option<&str>) {
    for (key, rules) in KEYS.iter().copied() {
        let belongs = table.get("type").is_some() && name.is_none_or(|name| rules.contains(&name));
        if let Some(node) = table.get(key).filter(|_| !belongs) {
            node.wrong_key(format!("has no effect: it applies only to `type: {}`", rules.join("` or `")), "remove it");
        }
    }
}

/// Reports what is missing or unused among the keys that define hyperband's bands.
fn check_bands(node: &Node, table: &Table, terms: &Terms) {
    let has = |key| table.get(key).is_some();
    // As in W&B's code, which real files rely on.
    let (missing, unused) = match (has("min_iter"), has("max_iter"), has("s")) {
        (true, true, true) => (None, Some(("min_iter", "`max_iter` and `s` define the bands"))),
        (true, false, true) => (None, Some(("s", "`min_iter` defines the bands"))),
        (false, true, true) | (true, false, false) => (None, None),
        (_, true, false) => (Some("has no `s`, which `max_iter` requires"), None),
        (false, false, _) => (Some("has no `min_iter`"), None),
    };
    if let Some((key, why)) = unused
        && let Some(node) = table.get(key)
    {
        node.note_same(format!("is not used: {why}, as in W&B"));
    }
    if let Some(rule) = missing {
        let remedy = "write `min_iter: 3` for bands at 3, 9, 27, …, or `max_iter: 27` and `s: 2` for 9 and 3";
        node.wrong_key(rule, remedy);
    }
    let eta = terms.eta;
    if let Some(node) = table.get("max_iter").filter(|_| terms.max_iter.is_some_and(|max| f64::from(max) < eta)) {
        node.wrong(
            format!("is below `eta` ({eta}), but must be at least `eta`: otherwise there is no band"),
            "write a larger `max_iter`",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Spec;
    use super::*;

    fn read(early: &str) -> Result<Option<EarlyTerminate>, Vec<String>> {
        let text = format!("early_terminate: {early}\ndata: {{set: digits}}\nmodel: linear\n");
        let problem = |problem: &super::super::Problem| format!("{}: {}", problem.path, problem.rule);
        match Spec::read(&text, "f", Path::new("/")) {
            Ok((spec, _)) => Ok(spec.early_terminate),
            Err(problems) => Err(problems.list().iter().map(problem).collect()),
        }
    }

    fn rule(early: &str) -> Option<Rule> {
        read(early).unwrap_or_else(|problems| panic!("{problems:?}")).and_then(|early| early.rule)
    }

    #[test]
    fn every_rule_is_read_with_its_defaults() {
        assert_eq!(rule("null"), None);
        let hyperband = |strict| Some(Rule::Hyperband(Hyperband::upwards(3, 3.0, strict)));
        assert_eq!(rule("{type: hyperband, min_iter: 3}"), hyperband(true));
        assert_eq!(rule("{type: hyperband, min_iter: 3, eta: 3, strict: false}"), hyperband(false));
        let downwards = Some(Rule::Hyperband(Hyperband::downwards(27, 2, 2.0, true)));
        assert_eq!(rule("{type: hyperband, max_iter: 27, s: 2, eta: 2}"), downwards.clone());
        assert_eq!(rule("{type: hyperband, min_iter: 5, max_iter: 27, s: 2, eta: 2}"), downwards, "max_iter wins");
        assert_eq!(rule("{type: hyperband, min_iter: 3, s: 2}"), hyperband(true), "s is ignored");
        assert_eq!(rule("{type: asha}"), Some(Rule::Asha(Asha::new(1, 3.0))));
        assert_eq!(rule("{type: median, min_iter: 4}"), Some(Rule::Median(Median::new(4, 5))));
        let both = read("{type: asha, stop_on: overfit, audit: 0.05}").unwrap().unwrap();
        assert_eq!((both.overfit, both.audit), (true, 0.05));
        assert_eq!(read("{stop_on: overfit}").unwrap().unwrap().rule, None);
    }

    #[test]
    fn what_is_wrong_is_told_where_it_stands() {
        for (early, place, rule) in [
            ("{min_iter: 3}", "early_terminate", "neither a `type`"),
            ("{type: hyperband}", "early_terminate", "has no `min_iter`"),
            ("{type: hyperband, max_iter: 27}", "early_terminate", "has no `s`"),
            ("{type: hyperband, min_iter: 1, max_iter: 27}", "early_terminate", "has no `s`"),
            ("{type: hyperband, max_iter: 2, s: 2}", "early_terminate.max_iter", "no band"),
            ("{type: hyperband, min_iter: 3, eta: 1}", "early_terminate.eta", "above 1"),
            ("{type: asha, strict: true}", "early_terminate.strict", "no effect"),
            ("{type: envelope}", "early_terminate.type", "must be"),
            ("{stop_on: overfit, audit: 1}", "early_terminate.audit", "must be"),
        ] {
            let problems = read(early).unwrap_err();
            let told = problems.iter().any(|one| one.starts_with(&format!("{place}: ")) && one.contains(rule));
            assert!(told, "{early}: {problems:?}");
        }
    }
}
