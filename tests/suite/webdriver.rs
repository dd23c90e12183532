//! A browser that a test looks into, by the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A window of Chromium.
pub struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// Opens a window of this size, for a page that is light or dark. `None` if the browser or its driver is missing.
    pub fn open(profile: &Path, (width, height): (u32, u32), dark: bool) -> Option<Browser> {
        let browser = crate::browser::chromium()?;
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = started else {
            eprintln!("skipped: there is no chromedriver (apt install chromium-driver)");
            return None;
        };
        let lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let port = lines.filter_map(|line| line.split_once("on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        let port = port.into_iter().find(|port| *port > 0).expect("it tells its port");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-background-networking".into(),
            "--hide-scrollbars".into(),
            format!("--user-data-dir={}", profile.display()),
            format!("--window-size={width},{height}"),
        ];
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let mut options = json!({"args": arguments, "binary": path(browser)});
        if width < 500 {
            // A window has a minimum width, and an emulated phone has none.
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2.0}});
        }
        let url = format!("http://127.0.0.1:{port}/session");
        let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let answer = post(&url, &json!({"capabilities": {"alwaysMatch": capabilities}}));
        let id = answer["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {answer}")).to_owned();
        Some(Browser { driver, session: format!("{url}/{id}") })
    }

    /// Opens an address.
    pub fn visit(&self, address: &str) {
        post(&format!("{}/url", self.session), &json!({"url": address}));
    }

    /// The value of a JavaScript expression, or of a function's body that contains `return`.
    pub fn run(&self, script: &str) -> Value {
        let script = if script.contains("return ") { script.to_owned() } else { format!("return ({script})") };
        post(&format!("{}/execute/sync", self.session), &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true.
    pub fn wait(&self, script: &str) {
        let began = Instant::now();
        while self.run(script) != Value::Bool(true) {
            assert!(began.elapsed() < Duration::from_secs(60), "waited in vain until {script}: {:?}", self.log());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Moves the pointer to a place of the window, and clicks if `click` is set.
    pub fn point(&self, x: f64, y: f64, click: bool) {
        let mut actions = vec![json!({"type": "pointerMove", "duration": 0, "x": x.round(), "y": y.round()})];
        if click {
            actions.extend([json!({"type": "pointerDown", "button": 0}), json!({"type": "pointerUp", "button": 0})]);
        }
        let pointer = json!({"type": "pointer", "id": "mouse", "actions": actions});
        post(&format!("{}/actions", self.session), &json!({"actions": [pointer]}));
    }

    /// Presses from one place and releases at another.
    pub fn drag(&self, from: (f64, f64), to: (f64, f64)) {
        let place = |(x, y): (f64, f64)| json!({"type": "pointerMove", "duration": 50, "x": x.round(), "y": y.round()});
        let [down, up] = ["pointerDown", "pointerUp"].map(|kind| json!({"type": kind, "button": 0}));
        let pointer = json!({"type": "pointer", "id": "mouse", "actions": [place(from), down, place(to), up]});
        post(&format!("{}/actions", self.session), &json!({"actions": [pointer]}));
    }

    /// Types keys into what has the focus.
    pub fn keys(&self, text: &str) {
        let press = |key: char| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let keys: Vec<Value> = text.chars().flat_map(press).collect();
        post(
            &format!("{}/actions", self.session),
            &json!({"actions": [{"type": "key", "id": "keys", "actions": keys}]}),
        );
    }

    /// What the page and the browser complained about.
    pub fn log(&self) -> Vec<String> {
        let log = post(&format!("{}/se/log", self.session), &json!({"type": "browser"}));
        let messages = log.as_array().map(Vec::as_slice).unwrap_or_default();
        messages.iter().filter_map(|one| Some(one["message"].as_str()?.to_owned())).collect()
    }

    /// Writes what the window shows into a PNG file, if `SCREENSHOTS` names a folder.
    #[allow(clippy::disallowed_methods)]
    pub fn screenshot(&self, name: &str) {
        let Ok(folder) = std::env::var("SCREENSHOTS") else { return };
        let text = get(&format!("{}/screenshot", self.session));
        let mut decode = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = decode.stdin.take().expect("it is piped");
        let text = text.as_str().expect("base64").to_owned();
        let write = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
        let output = decode.wait_with_output().expect("it ends");
        write.join().expect("it ends").expect("it is written");
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), output.stdout).expect("the folder is writable");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The path of a program.
fn path(program: &str) -> String {
    let output = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output().expect("there is a shell");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn post(url: &str, body: &Value) -> Value {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
    let mut answer =
        agent.post(url).content_type("application/json").send(body.to_string()).expect("the driver answers");
    value(&answer.body_mut().read_to_string().expect("it is text"), url, body)
}

fn get(url: &str) -> Value {
    let mut answer = ureq::get(url).call().expect("the driver answers");
    value(&answer.body_mut().with_config().limit(50 << 20).read_to_string().expect("it is text"), url, &Value::Null)
}

fn value(text: &str, url: &str, body: &Value) -> Value {
    let mut answer: Value = serde_json::from_str(text).expect("it is JSON");
    assert!(answer["value"]["error"].is_null(), "{url} {body}: {answer}");
    answer["value"].take()
}
