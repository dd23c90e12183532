//! `early_terminate:` of the sweep file.

use serde_json::Value as Json;

use super::kind::Kind;
use super::node::Table;
use super::value::show;
use sweep_core::stop::{Asha, EarlyTerminate, Hyperband, Median, Rule};

/// Keys, each with the rules that they apply to.
const KEYS: [(&str, &[&str]); 6] = [
    ("min_iter", &["hyperband", "asha", "median"]),
    ("max_iter", &["hyperband"]),
    ("s", &["hyperband"]),
    ("eta", &["hyperband", "asha"]),
    ("strict", &["hyperband"]),
    ("min_trials", &["median"]),
];

/// Reads `early_terminate:`. `None` if it is missing or has a problem.
pub fn read(top: &Table) -> Option<EarlyTerminate> {
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
    let iterations = |key, is: &str| {
        let found = table.take(key, Kind::whole(1), is).and_then(|found| found.as_u64());
        found.and_then(|found| u32::try_from(found).ok())
    };
    let min_iter = iterations("min_iter", "the number of epochs that every trial trains for; for example, write 3");
    let max_iter =
        iterations("max_iter", "the number of epochs from which the bands are computed; for example, write 27");
    let s = iterations("s", "the number of bands below `max_iter`; for example, write 2");
    let min_trials =
        iterations("min_trials", "the number of trials that must finish before any is stopped; for example, write 5");
    let eta = table.take(
        "eta",
        Kind::Positive,
        "the reduction factor: about one trial in `eta` passes each band; for example, write 3",
    );
    let eta = eta.and_then(|eta| eta.as_f64()).unwrap_or(3.0);
    let strict = table.take(
        "strict",
        Kind::Boolean,
        "whether trials are compared by the value at the band, not by the best value so far",
    );
    let strict = strict.and_then(|strict| strict.as_bool()).unwrap_or(true);
    if let Some(node) = table.get("eta").filter(|_| eta <= 1.0) {
        node.wrong(
            format!("is {}, but must be above 1", show(node.value)),
            "write 3, so that about one trial in three passes each band",
        );
    }
    let rule = kind.as_ref().and_then(Json::as_str);
    for (key, of) in KEYS {
        if let Some(node) =
            table.get(key).filter(|_| table.get("type").is_none() || rule.is_some_and(|r| !of.contains(&r)))
        {
            node.wrong_key(format!("has no effect: it applies only to `type: {}`", of.join("` or `")), "remove it");
        }
    }
    if rule == Some("hyperband") {
        let has = |key| table.get(key).is_some();
        let rule = match (has("min_iter"), has("max_iter"), has("s")) {
            (_, true, true) | (true, false, _) => None,
            (_, true, false) => Some("has no `s`, which `max_iter` requires"),
            (false, false, _) => Some("has no `min_iter`"),
        };
        // As in W&B's code, which real files rely on.
        let unused = match (has("min_iter"), has("max_iter"), has("s")) {
            (true, true, true) => Some(("min_iter", "is not used: `max_iter` and `s` define the bands, as in W&B")),
            (true, false, true) => Some(("s", "is not used: `min_iter` defines the bands, as in W&B")),
            _ => None,
        };
        if let Some((key, why)) = unused
            && let Some(node) = table.get(key)
        {
            node.note_same(why);
        }
        if let Some(rule) = rule {
            let remedy = "write `min_iter: 3` for bands at 3, 9, 27, …, or `max_iter: 27` and `s: 2` for 9 and 3";
            node.wrong_key(rule, remedy);
        }
        if let Some(node) = table.get("max_iter").filter(|_| max_iter.is_some_and(|max| f64::from(max) < eta)) {
            node.wrong(
                format!("is below `eta` ({eta}), but must be at least `eta`: otherwise there is no band"),
                "write a larger `max_iter`",
            );
        }
    }
    table.close();
    if eta <= 1.0 {
        return None;
    }
    let rule = match rule {
        Some("hyperband") => Some(Rule::Hyperband(match (min_iter, max_iter, s) {
            (_, Some(max), Some(s)) => Hyperband::downwards(max, s, eta, strict),
            (Some(min), ..) => Hyperband::upwards(min, eta, strict),
            _ => return None,
        })),
        Some("asha") => Some(Rule::Asha(Asha::new(min_iter.unwrap_or(1), eta))),
        Some("median") => Some(Rule::Median(Median::new(min_iter.unwrap_or(1), min_trials.unwrap_or(5)))),
        _ => None,
    };
    Some(EarlyTerminate { rule, overfit, audit: audit.unwrap_or(0.0) })
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
