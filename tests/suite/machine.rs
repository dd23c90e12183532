//! What scripts and coding agents read: events, the state, and the report as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::world::World;

const EVENTS: &str = include_str!("../../docs/reference/events.md");
const JSON: &str = include_str!("../../docs/reference/json.md");
const AGENTS: &str = include_str!("../../docs/agents.md");

const FILE: &str = r#"
name: s
command:
  - sh
  - -c
  - 'r=${1#*=}; for e in 1 2 3; do echo "{\"epoch\": $e, \"val_loss\": 0.$((9 - e))$r, \"f1\": 0.5}"; done; test $r != 3'
  - sh
  - ${args}
metric: {name: val_loss, goal: minimize}
parameters: {rate: {values: [1, 2, 3]}}
devices: {gpus: none}
"#;

/// The names in backticks in a cell of a table.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The first two cells of the rows of a table, by the name in the first.
fn documented(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), names(cells[2]))
    })
    .collect()
}

fn lines(text: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(text).lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn every_event_has_the_keys_that_are_documented() {
    let world = World::new();
    world.write("s.yaml", FILE);
    let output = world.output("run s.yaml --json");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let (events, documented) = (lines(&output.stdout), documented(EVENTS));
    for event in &events {
        let name = event["event"].as_str().expect("every event has a name");
        let mut expected = documented.get(name).unwrap_or_else(|| panic!("{name} is not documented")).clone();
        expected.extend(["event".to_owned(), "at".to_owned()]);
        assert_eq!(keys(event), expected, "{event}");
    }
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    assert_eq!(
        (&events[0]["event"], &events[0]["schema"], &events[0]["trials"]),
        (&"begin".into(), &1.into(), &3.into())
    );
    assert!(EVENTS.contains("`schema` is 1"));
    assert_eq!(of("trial_started").iter().filter(|event| event["attempt"] == 1).count(), 3);
    let ended = of("trial_ended");
    assert_eq!(ended.iter().filter(|event| event["status"] == "finished" && event["error"].is_null()).count(), 2);
    assert!(ended.iter().any(|event| event["status"] == "failed" && event["error"].is_string()), "{ended:?}");
    assert_eq!(of("epoch")[0]["metrics"]["f1"], 0.5);
    let end = events.last().expect("there are events");
    assert_eq!((&end["event"], &end["exit_code"], &end["best"]["value"]), (&"end".into(), &1.into(), &0.61.into()));
    // Events that this sweep does not have, and a rule that says which those are.
    let seen: BTreeSet<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let unseen = ["trial_paused", "trial_reopened", "slot", "request", "warning"];
    for name in documented.keys().filter(|name| !seen.contains(name.as_str())) {
        assert!(unseen.contains(&name.as_str()) || name == "trial_lost", "{name} is documented and never happens");
    }

    // Again: the failed trial alone, which a request and a retry touch.
    let output = world.output("resume results/s --retry-failed --json");
    let events = lines(&output.stdout);
    assert_eq!(events[0]["ended"], 3, "{events:?}");
    assert!(events.iter().any(|event| event["event"] == "trial_reopened" && event["trial"] == 3), "{events:?}");
}

#[test]
fn the_report_as_json_has_the_keys_that_are_documented() {
    let world = World::new();
    world.write("s.yaml", FILE);
    world.expect("run s.yaml --progress none", 1);
    let report: Value = serde_json::from_str(&world.expect("report results/s --json", 0)).expect("it is JSON");
    let table = JSON.split("## The report").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("it is there");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<String> = rows.flat_map(|row| names(row.split('|').nth(1).expect("a cell"))).collect();
    assert_eq!(keys(&report), documented);
    assert_eq!(report["ranking"][0]["value"], 0.61);
    assert_eq!(report["others"][0]["status"], "failed");
    assert!(std::path::Path::new(report["files"]["html"].as_str().expect("a path")).is_file());
}

#[test]
fn the_state_is_followed_until_the_sweep_ends() {
    let world = World::new();
    world.write("s.yaml", &FILE.replace("do echo", "do sleep 0.5; echo"));
    let mut running =
        world.sweep("run s.yaml --json").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(running.stdout.take().expect("it is piped")).read_line(&mut first).expect("it says that it begins");
    let output = world.output("status results/s --json --follow");
    running.wait().expect("it ends");
    let states = lines(&output.stdout);
    assert!(states.len() > 2, "{states:?}");
    assert_eq!(states[0]["state"], "running");
    assert_eq!(states.last().expect("there are some")["state"], "complete");
    assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "only changes are printed");
}

/// The commands of the page for coding agents, in their order, in an empty folder.
#[test]
fn a_coding_agent_that_follows_its_page_runs_and_reads_a_sweep() {
    let world = World::new();
    for (name, text) in blocks("file: ") {
        world.write(&name, &text);
    }
    let sweep = world.sweep("--version").get_program().to_owned();
    let folder = std::path::Path::new(&sweep).parent().expect("it is in a folder").to_owned();
    for (_, text) in blocks("run") {
        let output = Command::new("bash")
            .args(["-e", "-c", &text])
            .current_dir(world.path(""))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display()))
            .output()
            .expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}\n{said}");
    }
    let report: Value = serde_json::from_str(&world.read("report.json")).expect("the page writes the report");
    assert!(report["ranking"].as_array().is_some_and(|ranking| ranking.len() > 3), "{report}");
}

/// The code blocks of the page after a comment `<!-- MARK… -->`, with the rest of the comment.
fn blocks(mark: &str) -> Vec<(String, String)> {
    let mark = format!("<!-- {mark}");
    let parts = AGENTS.split(&mark).skip(1);
    parts
        .map(|part| {
            let (rest, text) = part.split_once("-->\n```").expect("a block follows");
            let text = text.split_once('\n').expect("a language").1.split("```").next().expect("it ends");
            (rest.trim().to_owned(), text.to_owned())
        })
        .collect()
}
