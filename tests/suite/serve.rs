//! The page of `sweep serve`, asked over HTTP as a browser and as an attacker would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::browser::made;
use crate::faults::scripted;
use crate::world::{World, send, wait_until};

/// A running `sweep serve`.
pub struct Page {
    child: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    pub token: String,
}

impl Page {
    /// Starts `sweep serve` with these arguments, and waits until it tells its address.
    pub fn open(world: &World, words: &str) -> Page {
        let mut command = world.sweep(&format!("serve {words}"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("sweep can be started");
        let out = BufReader::new(child.stdout.take().expect("it is piped"));
        let address = address(out.lines().map_while(Result::ok));
        let (host, token) = address.unwrap_or_else(|| panic!("sweep serve {words}: no address"));
        Page { child, host, token }
    }

    /// The head and body of the answer to a request.
    pub fn ask(&self, request: &str, headers: &[(&str, &str)]) -> (String, String) {
        ask(&mut TcpStream::connect(&self.host).expect("it listens"), request, headers, "")
    }

    /// The memory of the server, as Linux tells it.
    pub fn memory(&self) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        status
            .lines()
            .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The status of the answer to a request of a browser that has the cookie.
    fn status(&self, request: &str, headers: &[(&str, &str)]) -> u16 {
        status(&self.ask(request, headers).0)
    }

    /// The cookie that the token gives.
    pub fn cookie(&self) -> String {
        let (head, _) = self.ask(&format!("GET /?token={}", self.token), &[("Host", &self.host)]);
        cookie(&head)
    }

    /// What a browser with the cookie gets, as text.
    fn get(&self, path: &str) -> String {
        let (head, body) = self.ask(&format!("GET {path}"), &[("Host", &self.host), ("Cookie", &self.cookie())]);
        assert_eq!(status(&head), 200, "{path}: {head}\n{body}");
        body
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path)).expect("it is JSON")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        send(&self.child, Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The host and token of the first address in some lines.
fn address(mut lines: impl Iterator<Item = String>) -> Option<(String, String)> {
    lines.find_map(|line| {
        let (host, token) = line.split_once("http://")?.1.split_once("/?token=")?;
        Some((host.to_owned(), token.split([' ', ',']).next()?.to_owned()))
    })
}

fn ask(stream: &mut (impl Read + Write), request: &str, headers: &[(&str, &str)], body: &str) -> (String, String) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let text = format!("{request} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers in UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {request}: {answer}"));
    (head.to_owned(), body.to_owned())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("the first line has a status")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let found = head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.unwrap_or_else(|| panic!("no {name} in {head}")).1
}

fn cookie(head: &str) -> String {
    header(head, "set-cookie").split(';').next().expect("it has a value").to_owned()
}

#[test]
fn the_page_is_for_those_who_know_the_token() {
    let world = World::new();
    made(&world.path("made"), 3);
    let page = Page::open(&world, "made");
    assert!(page.host.starts_with("127.0.0.1:") && page.token.len() == 64, "{} {}", page.host, page.token);
    let own = ("Host", page.host.as_str());
    for path in ["/", "/sweep/1/update", "/sweep/1/events", "/assets/app.js", "/?token=", "/?token=0"] {
        assert_eq!(page.status(&format!("GET {path}"), &[own]), 401, "{path} without a cookie");
    }
    let (head, body) = page.ask(&format!("GET /?token={}", page.token), &[own]);
    assert!(status(&head) == 200 && !body.contains(&page.token), "the next page does not have the token: {body}");
    let set = header(&head, "set-cookie");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict") && !set.contains(&page.token), "{set}");

    let cookie = cookie(&head);
    let known = ("Cookie", cookie.as_str());
    let (head, body) = page.ask("GET /", &[own, known]);
    assert_eq!(status(&head), 200, "{head}");
    let policy = header(&head, "content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(header(&head, "x-content-type-options"), "nosniff");
    assert!(!body.contains("<script>") && !body.contains("style=") && !body.contains("://"), "{body}");
}

#[test]
fn other_sites_and_other_names_are_refused() {
    let world = World::new();
    made(&world.path("made"), 3);
    let page = Page::open(&world, "made");
    let (cookie, port) = (page.cookie(), page.host.rsplit(':').next().expect("a port").to_owned());
    let known = ("Cookie", cookie.as_str());
    for host in
        ["evil.example".to_owned(), format!("evil.example:{port}"), "127.0.0.1".into(), format!("10.0.0.1:{port}")]
    {
        assert_eq!(page.status("GET /", &[("Host", &host), known]), 421, "{host}");
        // A name that leads here, and the token besides.
        assert_eq!(page.status(&format!("GET /?token={}", page.token), &[("Host", &host)]), 421, "{host}");
    }
    assert_eq!(page.status("GET /", &[known]), 421, "no name at all");
    assert_eq!(page.status("GET /", &[("Host", &format!("localhost:{port}")), known]), 200);
    let own = ("Host", page.host.as_str());
    let evil = ("Origin", "http://evil.example");
    assert_eq!(page.status("GET /sweep/1/update", &[own, known, evil]), 403);
    assert_eq!(page.status("POST /sweep/1/update", &[own, known, evil, ("Content-Length", "0")]), 403);
    assert_eq!(page.status("POST /sweep/1/update", &[own, known, ("Content-Length", "0")]), 403);
    let (origin, length) = (format!("http://{}", page.host), ("Content-Length", "0"));
    assert_eq!(page.status("POST /sweep/1/ask", &[own, known, ("Origin", &origin), length]), 403, "without --control");
}

#[test]
fn nothing_outside_the_folder_is_shown() {
    let world = World::new();
    made(&world.path("made"), 3);
    world.write("secret.log", "a secret of the user");
    for trial in ["made/trials/0001", "made/trials/0002"] {
        std::fs::create_dir_all(world.path(trial)).expect("writable");
    }
    symlink(world.path("secret.log"), world.path("made/trials/0001/trainer.log")).expect("writable");
    world.write("made/trials/0002/trainer.log", "epoch 1\nepoch 2\n");
    let page = Page::open(&world, "made");
    assert_eq!(page.json("/sweep/1/trial/1")["log"], Value::Null, "a link is not followed");
    assert_eq!(page.json("/sweep/1/trial/2")["log"], "epoch 1\nepoch 2");
    let (cookie, own) = (page.cookie(), ("Host", page.host.as_str()));
    for path in [
        "/secret.log",
        "/../secret.log",
        "/assets/../../secret.log",
        "/assets/%2e%2e/%2e%2e/secret.log",
        "/sweep/1/../../secret.log",
        "/sweep/1/journal.jsonl",
        "/sweep/1/trial/../../../secret.log",
        "/sweep/1/trial/..%2f..%2fsecret.log",
        "/sweep/1/trial/0",
        "/sweep/1/trial/4",
        "/sweep/1/trial/18446744073709551616",
        "/sweep/1/chart/../journal.jsonl",
        "/sweep/0/",
        "/sweep/2/",
        "/sweep/-1/",
    ] {
        assert_eq!(page.status(&format!("GET {path}"), &[own, ("Cookie", &cookie)]), 404, "{path}");
    }
}

#[test]
fn no_text_of_a_sweep_becomes_markup() {
    let world = World::new();
    let layout = sweep_sample::write(&world.path("hostile"), &sweep_sample::hostile_entries());
    std::fs::create_dir_all(layout.trial(sweep_core::trial::TrialId(1))).expect("writable");
    world.write("hostile/trials/0001/trainer.log", "</pre><script>alert('log')</script>\u{1b}[2J");
    let page = Page::open(&world, "hostile");
    for path in ["/", "/sweep/1/"] {
        let text = page.get(path);
        assert!(text.contains("&lt;script&gt;alert('sweep')") && !text.contains("<script>"), "{text}");
    }
    let cookie = page.cookie();
    for path in ["/sweep/1/update", "/sweep/1/trial/1", "/sweep/1/curves?metric=val_loss&trials=1,2"] {
        let (head, body) = page.ask(&format!("GET {path}"), &[("Host", &page.host), ("Cookie", &cookie)]);
        // It is data for scripts, which make text of it: a browser does not show it as a page.
        assert!(header(&head, "content-type").starts_with("application/json"), "{head}");
        assert!(serde_json::from_str::<Value>(&body).is_ok() && !body.contains('\u{1b}'), "{body}");
    }
}

#[test]
fn the_page_follows_a_sweep_that_runs() {
    let world = scripted("* slow 150");
    let mut run = world.sweep("run s.yaml --trainer trainer --progress none --gpus none").spawn().expect("it starts");
    wait_until("the sweep has begun", Duration::from_secs(30), || world.path("results/s/journal.jsonl").exists());
    let page = Page::open(&world, "results/s");
    let cookie = page.cookie();
    let mut stream = TcpStream::connect(&page.host).expect("it listens");
    let request = format!("GET /sweep/1/events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", page.host);
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket has one");
    let versions = BufReader::new(stream).lines().map_while(Result::ok).filter_map(|line| {
        let version = line.strip_prefix("data: ")?;
        version.parse::<u64>().ok()
    });
    let (mut known, mut rows, mut seen) = (0, Vec::new(), Vec::new());
    for version in versions {
        let update = page.json(&format!("/sweep/1/update?since={known}"));
        assert!(update["overview"]["version"].as_u64() >= Some(version), "the news is there when it is told");
        known = update["overview"]["version"].as_u64().expect("a number");
        for row in update["rows"].as_array().expect("rows") {
            let at = row[0].as_u64().expect("a number") as usize;
            rows.resize(rows.len().max(at), Value::Null);
            rows[at - 1] = row.clone();
        }
        seen.push(update["overview"]["ended"].as_u64().expect("a number"));
        if update["overview"]["state"] == "complete" {
            break;
        }
    }
    assert!(run.wait().expect("it is our child").success());
    assert!(seen.is_sorted() && seen.first() < Some(&3) && seen.last() == Some(&3), "{seen:?}");
    let all = page.json("/sweep/1/update?since=0");
    assert_eq!(all["rows"], Value::Array(rows), "the changes add up to the whole");
    let curves = page.json("/sweep/1/curves?metric=val_loss&trials=1,3,99");
    assert_eq!(curves["curves"]["3"][0], serde_json::json!([1, 2, 3]), "{curves}");
    assert!(curves["curves"]["99"].is_null());
}

#[test]
fn with_control_the_page_asks_what_the_commands_ask() {
    let world = scripted("* slow 60000");
    let mut run = world.sweep("run s.yaml --trainer trainer --progress none --gpus none").spawn().expect("it starts");
    wait_until("the sweep has begun", Duration::from_secs(30), || world.path("results/s/journal.jsonl").exists());
    let page = Page::open(&world, "results/s --control");
    wait_until("trial 1 runs", Duration::from_secs(30), || !page.json("/sweep/1/update")["rows"][0].is_null());
    let (cookie, origin) = (page.cookie(), format!("http://{}", page.host));
    let post = |body: &str, headers: &[(&str, &str)]| {
        let length = body.len().to_string();
        let own = [("Host", page.host.as_str()), ("Content-Length", &length)];
        let mut stream = TcpStream::connect(&page.host).expect("it listens");
        ask(&mut stream, "POST /sweep/1/ask", &[&own, headers].concat(), body)
    };
    let tag = r#"{"do":"tag","trial":1,"text":"<b>mine</b>"}"#;
    let (known, json) = (("Cookie", cookie.as_str()), ("Content-Type", "application/json"));
    let own = ("Origin", origin.as_str());
    for (headers, expected) in [
        (vec![json, own], 401),
        (vec![known, json], 403),
        (vec![known, json, ("Origin", "http://evil.example")], 403),
        (vec![known, json, own, ("Sec-Fetch-Site", "cross-site")], 403),
        (vec![known, ("Content-Type", "text/plain"), own], 415),
    ] {
        assert_eq!(status(&post(tag, &headers).0), expected, "{headers:?}");
    }
    assert_eq!(status(&post("{\"do\":\"format\"}", &[known, json, own]).0), 400);
    assert!(page.json("/sweep/1/trial/1")["tag"].is_null(), "nothing was carried out");
    let (head, said) = post(tag, &[known, json, own]);
    assert!(status(&head) == 200 && said.starts_with("[\""), "{head} {said}");
    wait_until("the tag is shown", Duration::from_secs(30), || page.json("/sweep/1/trial/1")["tag"] == "<b>mine</b>");
    assert_eq!(status(&post(r#"{"do":"pause"}"#, &[known, json, own]).0), 200);
    let state = || page.json("/sweep/1/update")["overview"]["state"].clone();
    wait_until("the sweep is paused", Duration::from_secs(30), || state() == "paused");
    run.kill().expect("it is our child");
    run.wait().expect("it is our child");
}

#[test]
fn a_damaged_journal_is_told_and_the_page_goes_on() {
    let world = World::new();
    made(&world.path("made"), 3);
    let page = Page::open(&world, "made");
    let whole = world.read("made/journal.jsonl");
    world.write("made/journal.jsonl", &format!("{whole}{{\"is\":\"nonsense\"}}\n"));
    let problem = || page.json("/sweep/1/update")["overview"]["problem"].clone();
    wait_until("the damage is told", Duration::from_secs(30), || problem().is_string());
    assert!(problem().as_str().is_some_and(|text| text.contains("the journal is damaged")), "{}", problem());
    world.write("made/journal.jsonl", &whole);
    wait_until("it is repaired", Duration::from_secs(30), || problem().is_null());
}

#[test]
fn other_machines_need_a_token_of_the_users() {
    let world = World::new();
    made(&world.path("made"), 3);
    let text = world.expect("serve made --listen 0.0.0.0:0", 2);
    assert!(text.contains("a token of your own is needed") && text.contains("--token-file"), "{text}");
    let file = |text: &str, mode| {
        world.write("token", text);
        std::fs::set_permissions(world.path("token"), PermissionsExt::from_mode(mode)).expect("it is ours");
    };
    file("0123456789abcdef0123456789abcdef\n", 0o644);
    let text = world.expect("serve made --listen 0.0.0.0:0 --token-file token", 2);
    assert!(text.contains("can be read by other users (mode 644)") && text.contains("chmod 600 token"), "{text}");
    file("short", 0o600);
    assert!(world.expect("serve made --token-file token", 2).contains("at least 32 letters"));
    file("0123456789abcdef0123456789abcdef\n", 0o600);
    let page = Page::open(&world, "made --token-file token");
    assert_eq!(page.token, "0123456789abcdef0123456789abcdef");
    assert!(world.expect("serve made --listen somewhere", 2).contains("expected an IP address with a port"));
}

#[test]
fn a_unix_socket_is_for_its_user_alone() {
    let world = World::new();
    made(&world.path("made"), 3);
    let mut command = world.sweep("serve made --listen unix:page.sock");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let lines: Vec<String> =
        BufReader::new(child.stdout.take().expect("it is piped")).lines().take(2).map_while(Result::ok).collect();
    assert!(lines[0].contains("ssh -L 8080:"), "{lines:?}");
    let (host, token) = address(lines.into_iter()).expect("an address");
    let path = world.path("page.sock");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let ask = |request: &str, headers: &[(&str, &str)]| {
        ask(&mut UnixStream::connect(&path).expect("it listens"), request, headers, "")
    };
    assert_eq!(status(&ask("GET /", &[("Host", "evil.example:8080")]).0), 421);
    let (head, _) = ask(&format!("GET /?token={token}"), &[("Host", &host)]);
    // The port is that of the user's own machine.
    let (head, _) = ask("GET /", &[("Host", "localhost:9999"), ("Cookie", &cookie(&head))]);
    assert_eq!(status(&head), 200);
    send(&child, Signal::TERM);
    assert!(child.wait().expect("it is our child").success());
    assert!(!path.exists(), "the socket is removed");
}

#[test]
fn several_sweeps_are_shown_side_by_side() {
    let world = World::new();
    made(&world.path("a"), 3);
    made(&world.path("b"), 5);
    let page = Page::open(&world, "a b");
    let text = page.get("/");
    assert!(text.contains("href=\"/sweep/1/\"") && text.contains("href=\"/sweep/2/\""), "{text}");
    assert_eq!(page.json("/sweep/2/update")["overview"]["ended"], 5);
    let text = world.expect("serve a missing", 2);
    assert!(text.contains("missing does not exist"), "{text}");
}

/// The best trial is evaluated after the last one has ended, while the page is open.
#[test]
fn the_page_shows_the_images_of_the_best_trial_when_they_are_there() {
    let world = World::new();
    made(&world.path("a"), 3);
    let page = Page::open(&world, "a");
    let mut stream = TcpStream::connect(&page.host).expect("it listens");
    let cookie = page.cookie();
    let request = format!("GET /sweep/1/events HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", page.host);
    stream.write_all(request.as_bytes()).expect("it reads");
    let insight = || page.json("/sweep/1/update")["overview"]["insight"].clone();
    wait_until("the sweep is analyzed", Duration::from_secs(60), || !insight()["headline"].is_null());
    assert!(!insight().to_string().contains("matrix"));
    assert_eq!(page.status("GET /sweep/1/worst.png", &[("Host", &page.host), ("Cookie", &cookie)]), 404);
    let evaluation = serde_json::json!({
        "classes": ["cat", "<dog>"], "trial": 2, "validation": [[7, 3], [1, 9]], "worst": [], "tests": [], "tested_before": 0,
    });
    world.write("a/worst.png", "png");
    world.write("a/evaluation.json", &evaluation.to_string());
    wait_until("the images are shown", Duration::from_secs(60), || insight().to_string().contains("matrix"));
    let sections = insight()["sections"].clone();
    let matrix = &sections[0]["images"]["matrix"];
    assert_eq!(
        (&matrix["rows"], &matrix["classes"]),
        (&evaluation["validation"], &evaluation["classes"]),
        "{sections}"
    );
    assert_eq!(page.get("/sweep/1/worst.png"), "png");
}

#[test]
fn a_run_shows_its_own_page_until_it_ends() {
    let world = scripted("* slow 300");
    let mut command = world.sweep("run s.yaml --trainer trainer --progress json --gpus none --page");
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(run.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
    let (host, token) = address(lines).expect("the address is told on stderr");
    let connect = || TcpStream::connect(&host);
    let (head, _) = ask(&mut connect().expect("it listens"), &format!("GET /?token={token}"), &[("Host", &host)], "");
    assert_eq!(status(&head), 200);
    let mut out = String::new();
    run.stdout.take().expect("it is piped").read_to_string(&mut out).expect("it is text");
    assert!(out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "stdout is the run's: {out}");
    assert!(run.wait().expect("it is our child").success());
    assert!(connect().is_err(), "the page has ended with the run");
}

/// Follows a sweep as a page does, until so many trials have ended. Returns the number of updates.
fn view(host: &str, cookie: &str, ended: u64) -> usize {
    let mut stream = TcpStream::connect(host).expect("it listens");
    let request = format!("GET /sweep/1/events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a socket has one");
    let (mut known, mut updates) = (0, 0);
    for _ in BufReader::new(stream).lines().map_while(Result::ok).filter(|line| line.starts_with("data: ")) {
        let mut stream = TcpStream::connect(host).expect("it listens");
        let headers = [("Host", host), ("Cookie", cookie)];
        let (head, body) = ask(&mut stream, &format!("GET /sweep/1/update?since={known}"), &headers, "");
        assert_eq!(status(&head), 200, "{head}");
        let update: Value = serde_json::from_str(&body).expect("it is JSON");
        (known, updates) = (update["overview"]["version"].as_u64().expect("a number"), updates + 1);
        if update["overview"]["ended"].as_u64() >= Some(ended) {
            return updates;
        }
    }
    panic!("the news ended before the sweep");
}

/// As many epochs as eight slots report in an hour with two seconds per epoch, in some seconds.
#[test]
fn fifty_pages_follow_an_hour_of_epochs_and_the_server_does_not_grow() {
    const EPOCHS: u32 = 1800;
    let world = World::new();
    made(&world.path("made"), 200);
    let page = Page::open(&world, "made");
    let (host, cookie) = (page.host.as_str(), page.cookie());
    let memory = || -> u64 {
        let text = page.memory();
        let line = text.split(", ").find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    let mut journal =
        std::fs::OpenOptions::new().append(true).open(world.path("made/journal.jsonl")).expect("it is there");
    let attempt = |trial: u64| serde_json::json!({"trial": 200 + trial, "number": 1});
    let settings = serde_json::json!({"dropout": 0.2, "learning_rate": 0.01, "batch_norm": true});
    let updates = std::thread::scope(|scope| {
        let viewers: Vec<_> = (0..50).map(|_| scope.spawn(|| view(host, &cookie, 208))).collect();
        let mut early = 0;
        for epoch in 0..=EPOCHS {
            let mut lines = String::new();
            for trial in 1..=8 {
                let attempt = attempt(trial);
                let entry = match epoch {
                    0 => {
                        serde_json::json!({"is": "started", "at": 0.0, "attempt": attempt, "slot": "cpu:0", "settings": settings})
                    }
                    _ => serde_json::json!({"is": "epoch", "attempt": attempt,
                        "metrics": {"epoch": epoch, "val_loss": 1.0 / f64::from(epoch)}}),
                };
                lines += &format!("{entry}\n");
                if epoch == EPOCHS {
                    let end = serde_json::json!({"is": "ended", "at": 9.0, "attempt": attempt, "outcome": "finished"});
                    lines += &format!("{end}\n");
                }
            }
            journal.write_all(lines.as_bytes()).expect("it is writable");
            if epoch % 60 == 59 {
                wait_until("the page has seen it", Duration::from_secs(60), || {
                    page.json("/sweep/1/update")["rows"][200][5].as_u64() >= Some(u64::from(epoch))
                });
                early = if epoch < EPOCHS / 3 { memory() } else { early };
            }
        }
        let updates: Vec<usize> = viewers.into_iter().map(|viewer| viewer.join().expect("it sees the end")).collect();
        println!("{early} kB after a third of the hour, {} kB at its end", memory());
        // What is known of 14,400 epochs takes 2 MB.
        assert!(memory() < early + 32_000, "{early} kB, then {} kB", memory());
        assert!(memory() < 300_000);
        updates
    });
    assert!(updates.iter().all(|updates| *updates > 3), "{updates:?}");
}
