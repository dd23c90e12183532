//! What the stages after the first one will run, as far as it does not depend on results.

use serde_json::{Value as Json, json};

use super::figures::method;
use sweep_report::format::count;
use sweep_scheduler::search::Search;
use sweep_spec::{From, Spec, parse_yaml, plain};

/// A stage before it begins.
#[derive(Debug, Clone)]
pub struct Planned {
    pub number: usize,
    from: From,
    method: &'static str,
    /// Maximum number of trials. `None` if only the results will show it.
    pub trials: Option<u64>,
    /// Maximum number of epochs of a trial of a network.
    pub epochs_each: Option<u64>,
    /// The constants that the stage gives.
    constants: Vec<String>,
}

/// Returns the stages that follow. `text` is the sweep file.
pub fn planned(spec: &Spec, text: &str) -> Vec<Planned> {
    let Some(mut file) = parse_yaml(text).ok().and_then(|file| file.as_mapping().cloned()) else { return Vec::new() };
    let mut all = Vec::with_capacity(spec.stages.len());
    for (stage, number) in spec.stages.iter().zip(2..) {
        file = stage.applied_to(&file);
        let read = serde_yaml::to_string(&file).ok().and_then(|text| Spec::read(&text, "stage", &spec.base).ok());
        let Some((read, _)) = read else { continue };
        let trials = match stage.from {
            From::Top(top) => Some(top.saturating_mul(read.repeats.into())),
            From::Next => Search::new(read.search_terms()).len().filter(|_| read.run_cap.is_some()),
        };
        let constant = |(name, value)| format!("{name} {}", plain(&serde_json::to_value(&value).unwrap_or_default()));
        all.push(Planned {
            number,
            from: stage.from,
            method: method(read.method),
            trials,
            epochs_each: read.network().and_then(|_| read.most("epochs")).map(|epochs| epochs as u64),
            constants: stage.constants().into_iter().map(constant).collect(),
        });
    }
    all
}

impl Planned {
    /// Describes the stage in one line.
    pub fn line(&self) -> String {
        let from = match self.from {
            From::Next => format!("{} over the values that the results propose", self.method),
            From::Top(1) => "the best configuration again".to_owned(),
            From::Top(top) => format!("the best {} configurations again", count(top)),
        };
        let trials = match self.trials {
            Some(1) => "at most 1 trial".to_owned(),
            Some(trials) => format!("at most {} trials", count(trials)),
            None => "its trials are known when it begins".to_owned(),
        };
        let epochs = match (self.epochs_each, self.trials) {
            (Some(each), Some(trials)) => {
                let all = count(trials.saturating_mul(each));
                format!(" of {} epochs, at most {all} in all", count(each))
            }
            (Some(each), None) => format!(", of {} epochs each", count(each)),
            (None, _) => String::new(),
        };
        let constants =
            if self.constants.is_empty() { String::new() } else { format!(" with {}", self.constants.join(", ")) };
        format!("{}: {from}{constants}: {trials}{epochs}", self.number)
    }

    pub fn json(&self) -> Json {
        let from = match self.from {
            From::Next => json!("next"),
            From::Top(top) => json!({"top": top}),
        };
        json!({"stage": self.number, "from": from, "method": self.method, "trials": self.trials,
            "epochs_each": self.epochs_each})
    }
}
