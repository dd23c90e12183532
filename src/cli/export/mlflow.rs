//! Sends trials to an MLflow server. This is the only export that opens a connection, and only to the given URL.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::cli::environment::Environment;
use crate::cli::opened::Opened;
use crate::export::mlflow::{Runs, SWEEP, TRIAL, end};
use sweep_core::error::{Error, Exit, Result};
use sweep_core::history::TrialRecord;

/// Number of runs that are sent at the same time.
const TOGETHER: usize = 4;

/// Time until the server must have answered a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// An MLflow server.
#[derive(Debug)]
pub struct Server {
    agent: ureq::Agent,
    url: String,
    /// The value of the `Authorization` header.
    authorization: Option<String>,
    /// What it has of the sweep, from the first export on. `None` after a failure, when that is not known.
    there: Option<There>,
}

/// What a server has of a sweep.
#[derive(Debug)]
struct There {
    sweep: String,
    experiment: String,
    /// The runs of each trial, by its number.
    runs: HashMap<u64, Vec<Known>>,
}

/// A run on the server.
#[derive(Debug)]
struct Known {
    id: String,
    /// When it ended, if it did.
    end: Option<i64>,
}

/// What an export did.
#[derive(Debug)]
pub struct Sent {
    /// Number of trials that were sent.
    pub new: usize,
    /// Number of trials that the server had.
    pub known: usize,
    /// The experiment's page.
    pub page: String,
}

impl Server {
    /// A server at this address. The environment has the user, as MLflow's own clients read it.
    pub fn new(url: &str, environment: &Environment) -> Server {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let variable = |name: &str| environment.variable(name);
        let basic = || {
            let (user, password) = (variable("MLFLOW_TRACKING_USERNAME")?, variable("MLFLOW_TRACKING_PASSWORD")?);
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        };
        Server {
            agent: config.proxy(environment.proxy()).build().into(),
            url: url.trim_end_matches('/').to_owned(),
            authorization: variable("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}")).or_else(basic),
            there: None,
        }
    }

    /// Sends the trials that have ended and that the server does not have. A run that an interrupted export left
    /// incomplete, or whose trial has run again since, is deleted and sent anew.
    ///
    /// # Errors
    /// If the server cannot be reached, or refuses something.
    pub fn send(&mut self, opened: &Opened) -> Result<Sent> {
        let runs = Runs::new(&opened.spec, &opened.history);
        let mut there = match self.there.take().filter(|there| there.sweep == runs.id) {
            Some(there) => there,
            None => self.look(&opened.history.name, &runs.id)?,
        };
        let mut missing = Vec::new();
        for trial in &runs.ended {
            let known = there.runs.entry(trial.id.0).or_default();
            // One stays; what else is there of the trial is out of date.
            let kept = known.iter().position(|run| run.end == Some(end(trial)));
            let kept = kept.map(|at| known.swap_remove(at));
            for run in known.drain(..) {
                self.post("runs/delete", &json!({"run_id": run.id}))?;
            }
            match kept {
                Some(run) => known.push(run),
                None => missing.push(*trial),
            }
        }
        for (trial, run) in self.send_all(&there.experiment, &runs, &missing)? {
            there.runs.entry(trial).or_default().push(run);
        }
        let page = format!("{}/#/experiments/{}", self.url, there.experiment);
        self.there = Some(there);
        Ok(Sent { new: missing.len(), known: runs.ended.len() - missing.len(), page })
    }

    /// Asks the server what it has of a sweep. The experiment is created if there is none.
    fn look(&self, name: &str, sweep: &str) -> Result<There> {
        let experiment = self.experiment(name)?;
        let mut runs: HashMap<u64, Vec<Known>> = HashMap::new();
        for run in self.runs(&experiment, sweep)? {
            let tags = run["data"]["tags"].as_array().into_iter().flatten();
            let trial = tags.filter(|tag| tag["key"] == TRIAL).find_map(|tag| tag["value"].as_str()?.parse().ok());
            // A trial has a number. What has none is not from an export.
            let (Some(trial), Some(id)) = (trial, run["info"]["run_id"].as_str()) else { continue };
            let end = &run["info"]["end_time"];
            let end =
                end.as_i64().or_else(|| end.as_str()?.parse().ok()).filter(|_| run["info"]["status"] != "RUNNING");
            runs.entry(trial).or_default().push(Known { id: id.to_owned(), end });
        }
        Ok(There { sweep: sweep.to_owned(), experiment, runs })
    }

    /// Sends these trials, several at a time. Returns their runs.
    fn send_all(&self, experiment: &str, runs: &Runs, trials: &[&TrialRecord]) -> Result<Vec<(u64, Known)>> {
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(trials.len())));
        std::thread::scope(|scope| {
            for _ in 0..TOGETHER.min(trials.len()) {
                scope.spawn(|| {
                    while let Some(trial) = trials.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let sent = self.send_one(experiment, runs, trial);
                        if sent.is_err() {
                            // The others end with what they are at.
                            next.store(trials.len(), Ordering::Relaxed);
                        }
                        done.lock().expect("no thread panics with it").push(sent.map(|run| (trial.id.0, run)));
                    }
                });
            }
        });
        done.into_inner().expect("no thread panics with it").into_iter().collect()
    }

    fn send_one(&self, experiment: &str, runs: &Runs, trial: &TrialRecord) -> Result<Known> {
        let run = runs.run(trial);
        let mut create = run.create;
        create["experiment_id"] = experiment.into();
        let id = self.post("runs/create", &create)?["run"]["info"]["run_id"].clone();
        for mut batch in run.batches {
            batch["run_id"] = id.clone();
            self.post("runs/log-batch", &batch)?;
        }
        let mut update = run.update;
        update["run_id"] = id.clone();
        self.post("runs/update", &update)?;
        Ok(Known { id: id.as_str().unwrap_or_default().to_owned(), end: Some(end(trial)) })
    }

    /// The ID of the experiment with this name, which is created if there is none.
    fn experiment(&self, name: &str) -> Result<String> {
        let path = "experiments/get-by-name";
        let get = self.agent.get(self.path(path)).query("experiment_name", name);
        let found = self.answer(path, self.authorized(get).call())?;
        let id = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(id) = id(&found["experiment"]["experiment_id"]) {
            if found["experiment"]["lifecycle_stage"] == "deleted" {
                return Err(Error::new(Exit::Storage, format!("{}: the experiment {name} is deleted", self.url))
                    .hint(format!("restore it: mlflow experiments restore --experiment-id {id}")));
            }
            return Ok(id);
        }
        match found["error_code"].as_str() {
            Some("RESOURCE_DOES_NOT_EXIST") => {
                let made = self.post("experiments/create", &json!({"name": name}))?;
                id(&made["experiment_id"]).ok_or_else(|| self.refused("experiments/create", &made.to_string()))
            }
            _ => Err(self.refused(path, &found.to_string())),
        }
    }

    /// The runs of a sweep that are not deleted.
    fn runs(&self, experiment: &str, sweep: &str) -> Result<Vec<Value>> {
        let (mut runs, mut page) = (Vec::new(), Value::from(""));
        loop {
            let found = self.post(
                "runs/search",
                &json!({"experiment_ids": [experiment], "filter": format!("tags.`{SWEEP}` = '{sweep}'"),
                    "run_view_type": "ACTIVE_ONLY", "max_results": 1000, "page_token": page}),
            )?;
            runs.extend(found["runs"].as_array().into_iter().flatten().cloned());
            page = found["next_page_token"].clone();
            if page.as_str().is_none_or(str::is_empty) {
                return Ok(runs);
            }
        }
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.authorized(self.agent.post(self.path(path)));
        let answer = self.answer(path, request.content_type("application/json").send(body.to_string()))?;
        match answer["error_code"].is_null() {
            true => Ok(answer),
            false => Err(self.refused(path, answer["message"].as_str().unwrap_or_default())),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/api/2.0/mlflow/{path}", self.url)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    }

    /// The JSON of an answer, also of one that refuses.
    fn answer(
        &self,
        path: &str,
        answer: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value> {
        let mut answer = answer.map_err(|error| {
            Error::new(Exit::Storage, format!("{} cannot be reached", self.url))
                .source(error)
                .hint("start it with `mlflow server`, or correct --url; what has arrived is not sent again")
        })?;
        let status = answer.status();
        let text = answer.body_mut().with_config().limit(256 << 20).read_to_string().unwrap_or_default();
        let read: Option<Value> = serde_json::from_str(&text).ok();
        match read {
            Some(value) if status.is_success() || !value["error_code"].is_null() => Ok(value),
            _ => Err(self.refused(path, &format!("{status}: {}", text.chars().take(300).collect::<String>()))),
        }
    }

    fn refused(&self, path: &str, why: &str) -> Error {
        let why: String = why.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        Error::new(Exit::Storage, format!("{} refuses {path}: {why}", self.url))
            .hint("run the same command again when it is fixed; what has arrived is not sent again")
    }
}
