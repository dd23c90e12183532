//! The report in a real browser, and the report of a very large sweep.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::world::World;

const FILE: &str = "name: made
description: A <b>description</b> & more
parameters:
  dropout: {values: [0.0, 0.2, 0.4]}
  learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}
  batch_norm: {values: [true, false]}
method: random
data: {set: digits}
model: question
training: {epochs: 50}
run_cap: 10000
";

/// A finished sweep with this number of trials of 50 epochs, created without training.
pub fn made(folder: &Path, trials: u64) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    std::fs::write(folder.join("sweep.yaml"), FILE).expect("it is writable");
    let mut lines = vec![
        json!({"is": "sweep", "format": 1, "version": "0.1.0", "name": "made", "at": 0.0, "base": "/nowhere"}),
        json!({"is": "run", "at": 0.0, "version": "0.1.0", "host": "here", "pid": 1, "slots": ["cpu:0", "cpu:1"]}),
    ];
    let mut state = 1_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1 << 24) as f64
    };
    for trial in 1..=trials {
        let attempt = json!({"trial": trial, "number": 1});
        let (dropout, power) = ((trial % 3) as f64 * 0.2, -1.0 - 3.0 * chance());
        let rate = 10_f64.powf(power);
        let settings = json!({"dropout": dropout, "learning_rate": rate, "batch_norm": chance() < 0.5});
        let (at, slot) = ((trial / 2) as f64 * 100.0, format!("cpu:{}", trial % 2));
        lines.push(json!({"is": "started", "at": at, "attempt": attempt, "slot": slot, "settings": settings}));
        lines.push(json!({"is": "began", "attempt": attempt, "from_epoch": 0, "parameters": 2_915_114,
            "train_examples": 44_100, "validation_examples": 4_900}));
        for epoch in 1..=50 {
            let t = f64::from(epoch);
            let train = 0.1 + dropout + 2.0 * (-t / 8.0).exp() + 0.01 * chance();
            let val = 0.6 + 0.2 * (power + 3.0).powi(2) + 1.6 * (-t / 6.0).exp() + (0.5 - dropout) * t * 0.015;
            let val = val + 0.05 * chance();
            lines.push(json!({"is": "epoch", "attempt": attempt, "metrics": {"epoch": epoch, "learning_rate": rate,
                "train_loss": train * 1.2, "train_accuracy": (-train).exp(), "train_eval_loss": train,
                "train_eval_accuracy": (-0.8 * train).exp(), "val_loss": val, "val_accuracy": (-0.6 * val).exp(),
                "seconds": 1.9, "pictures_per_second": 23_210.5}}));
        }
        lines.push(json!({"is": "ended", "at": at + 99.0, "attempt": attempt, "outcome": "finished"}));
    }
    lines.push(json!({"is": "left", "at": 0.0, "complete": true}));
    let journal: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    std::fs::write(folder.join("journal.jsonl"), journal).expect("it is writable");
}

/// A script that the test appends to the page.
const VISITOR: &str = include_str!("visitor.js");

/// A page that shows the report in a frame as wide as a phone, and receives the script's answers.
const PHONE: &str = r#"<!DOCTYPE html><body><iframe src="visited.html" style="width:390px;height:844px;border:0"></iframe>
<script>addEventListener("message", event => {
  const result = document.createElement("pre");
  result.id = "said"; result.textContent = event.data;
  document.body.prepend(result);
});</script></body>"#;

/// The browser, if one is installed.
pub fn chromium() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    if found.is_none() {
        eprintln!("skipped: there is no chromium (apt install chromium)");
    }
    found
}

/// The page after its scripts ran, and the browser's log.
fn visited(browser: &str, profile: &Path, page: &Path, width: u32) -> (String, String) {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-quic", "--enable-logging=stderr"])
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--window-size={width},900"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The script's answers for the report of the sweep in `made`, which is written first.
fn said(browser: &str, world: &World, width: u32) -> Value {
    world.expect("report made", 0);
    let page = world.read("made/report.html");
    assert_eq!(page.matches("</body>").count(), 1);
    // The policy of the page allows its own script alone.
    let (before, after) = page.split_once("script-src 'sha256-").expect("the policy names the script");
    let page = format!("{before}script-src 'unsafe-inline'{}", after.split_once('\'').expect("it is quoted").1);
    world
        .write("visited.html", &page.replace("</body>", &format!("<script type=\"module\">{VISITOR}</script></body>")));
    // A window has a minimum width and a frame has none, so the frame has the width of a phone.
    world.write("phone.html", PHONE);
    let page = world.path(if width == 390 { "phone.html" } else { "visited.html" });
    let (dom, log) = visited(browser, &world.path("profile"), &page, 1280);
    let errors: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let said = dom.split("<pre id=\"said\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    let said = said.unwrap_or_else(|| panic!("the visitor did not come to an end: {log}"));
    let said = said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&said).expect("it is JSON")
}

#[test]
fn in_a_browser_the_curves_of_a_program_are_those_of_all_that_it_measured() {
    let Some(browser) = chromium() else { return };
    let world = World::new();
    made(&world.path("made"), 90);
    let (head, _) = FILE.split_once("data:").expect("it has data");
    world
        .write("made/sweep.yaml", &format!("{head}run_cap: 90\nprogram: x\nmetric: {{name: score, goal: maximize}}\n"));
    let lines = world.read("made/journal.jsonl");
    let lines = lines.lines().map(|line| {
        let mut entry: Value = serde_json::from_str(line).expect("it is JSON");
        if entry["is"] == "epoch" {
            let (epoch, loss) = (entry["metrics"]["epoch"].clone(), entry["metrics"]["val_loss"].clone());
            entry["metrics"] = json!({"epoch": epoch, "objective": 1.0 / loss.as_f64().expect("a number")});
            entry["others"] = json!({"</script><b>f1": loss});
        }
        entry.to_string() + "\n"
    });
    world.write("made/journal.jsonl", &lines.collect::<String>());
    let said = said(browser, &world, 1280);
    assert_eq!(said["titles"], json!(["score", "</script><b>f1"]), "no panel for loss and accuracy: {said}");
    assert!(said["drawn"].as_u64().is_some_and(|pixels| pixels > 1000), "{said}");
}

#[test]
fn in_a_browser_the_report_sorts_filters_and_shows_any_trial() {
    let Some(browser) = chromium() else { return };
    let world = World::new();
    made(&world.path("made"), 90);
    for width in [1280, 390] {
        let said = said(browser, &world, width);
        assert_eq!(said["titles"], json!(["Loss", "Accuracy"]));
        let numbers = |name: &str| -> Vec<f64> {
            said[name].as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
        };
        assert_eq!(said["all"], 90);
        assert!(numbers("ascending").is_sorted() && numbers("ascending").len() == 90, "{said}");
        assert!(numbers("descending").iter().rev().is_sorted(), "{said}");
        let filtered = said["filtered"].as_array().expect("a list");
        let fits = |row: &Value| row[0] == 0.4 && row[1].as_f64().is_some_and(|rate| rate < 1e-3);
        assert!(!filtered.is_empty() && filtered.iter().all(fits), "{said}");
        assert!(said["overfit"].as_u64().is_some_and(|count| (20..90).contains(&count)) && said["none"] == 0, "{said}");
        assert_eq!(said["after"].as_u64(), said["before"].as_u64().map(|before| before + 1), "{said}");
        for chart in ["drawn", "overview"] {
            assert!(said[chart].as_u64().is_some_and(|pixels| pixels > 1000), "{chart}: {said}");
        }
        assert!(said["hover"].as_str().is_some_and(|label| label.starts_with("Trial 00") && label.contains("epoch ")));
        assert!(said["told"].as_str().is_some_and(|told| told.starts_with("90 trials.")), "{said}");
        assert!(
            said["width"].as_u64().is_some_and(|seen| (u64::from(width) - 20..=u64::from(width)).contains(&seen)),
            "{said}"
        );
        assert_eq!(said["wide"], 0, "the page itself does not scroll sideways at {width} pixels");
        assert_eq!(said["loose"], json!([]), "what is wide at {width} pixels scrolls in its own box");
        assert!(
            said["smallest"].as_f64().is_some_and(|size| size >= 9.0),
            "charts can be read at {width} pixels: {said}"
        );
    }
}

/// To run it: `cargo test --release -p sweep --test suite -- --ignored ten_thousand`
#[test]
#[ignore = "takes a while; its bounds are those of a release build"]
fn ten_thousand_trials_make_a_report_in_time() {
    let world = World::new();
    made(&world.path("made"), 10_000);
    let start = Instant::now();
    world.expect("report made", 0);
    let (seconds, bytes) = (start.elapsed().as_secs_f64(), world.read("made/report.html").len());
    assert!(seconds < 10.0 && bytes < 15_000_000, "{seconds:.1} s, {bytes} bytes");
}
