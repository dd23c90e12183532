//! The page of `sweep serve` in a real browser.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::made;
use crate::faults::scripted;
use crate::serve::Page;
use crate::webdriver::Browser;
use crate::world::{World, wait_until};

const DESKTOP: (u32, u32) = (1280, 900);

/// Opens the printed address, and waits until the page shows the sweep.
fn enter(browser: &Browser, page: &Page) {
    browser.visit(&format!("http://{}/?token={}", page.host, page.token));
    browser.wait("location.search === '' && document.body.dataset.version > 0");
}

/// Requires that the page did nothing that its policy forbids, and that no script failed.
fn is_clean(browser: &Browser) {
    let log = browser.log();
    assert!(log.is_empty(), "{log:?}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

const ROWS: &str = "document.querySelectorAll('#table tbody tr').length";

#[test]
#[allow(clippy::too_many_lines, reason = "one course of events")]
fn in_a_browser_a_sweep_is_filtered_sorted_and_looked_into() {
    let world = World::new();
    let Some(browser) = Browser::open(&world.path("profile"), DESKTOP, false) else { return };
    made(&world.path("made"), 90);
    std::fs::create_dir_all(world.path("made/trials/0007")).expect("writable");
    world.write("made/trials/0007/trainer.log", "epoch 50: <b>done</b>\n");
    let page = Page::open(&world, "made");
    enter(&browser, &page);
    assert_eq!(browser.run("document.cookie"), "", "scripts cannot read the cookie");
    assert_eq!(browser.run("document.getElementById('ended').textContent"), "90 of 10,000");
    assert_eq!(browser.run(ROWS), 90);
    browser.wait("document.querySelectorAll('#told tr').length > 0");
    browser.screenshot("desktop");

    // The filter leaves fewer rows, and the curves of those alone.
    browser.run("document.getElementById('filter').focus(); return true");
    browser.keys("dropout=0.4 learning_rate<1e-3");
    let kept = number(&browser.run(ROWS));
    assert!(kept > 3.0 && kept < 40.0, "{kept}");
    let cells = browser.run("[...document.querySelectorAll('#table tbody tr')].map(row => row.cells[2].textContent)");
    assert!(cells.as_array().expect("cells").iter().all(|cell| cell == "0.4"), "{cells}");
    browser.wait(&format!(
        "document.getElementById('drawn').textContent.includes('{kept} of 90 trials are drawn: the best of those that match')"
    ));
    browser.run("const filter = document.getElementById('filter'); filter.value = ''; filter.dispatchEvent(new Event('input')); return true");

    // A heading sorts. Rank 1 is the best.
    let first = "document.querySelector('#table tbody tr').cells[1].textContent";
    let best = browser.run(first);
    browser.run("[...document.querySelectorAll('#table th button')].find(one => one.textContent === 'val. loss').click(); return true");
    assert_eq!(browser.run(first), best);
    browser.run("[...document.querySelectorAll('#table th button')].find(one => one.textContent === 'val. loss').click(); return true");
    assert_ne!(browser.run(first), best);

    // The pointer on a curve tells its trial and value.
    let frame = browser.run("document.querySelector('#curves .chart').scrollIntoView({block: 'center', behavior: 'instant'}); const box = document.querySelector('#curves .chart').getBoundingClientRect(); return [box.left, box.top, box.width, box.height]");
    let at = |x: f64, y: f64| (number(&frame[0]) + number(&frame[2]) * x, number(&frame[1]) + number(&frame[3]) * y);
    let mut label = String::new();
    for step in 1..40 {
        let (x, y) = at(0.6, f64::from(step) / 40.0);
        browser.point(x, y, false);
        let said = browser.run("return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => { const label = document.querySelector('#curves .label'); done(label.hidden ? '' : label.textContent); })))");
        label = said.as_str().expect("text").to_owned();
        if !label.is_empty() {
            browser.screenshot("hover");
            browser.point(x, y, true);
            break;
        }
    }
    assert!(label.starts_with("Trial 00") && label.contains("epoch ") && label.contains("dropout "), "{label}");

    // A click opens the trial, and Escape closes it.
    browser.wait(
        "document.getElementById('trial').open && document.querySelectorAll('#trial .chart canvas').length === 4",
    );
    assert_eq!(
        label[6..10],
        browser.run("document.querySelector('#trial h2').textContent").as_str().expect("text")[6..10]
    );
    browser.keys("\u{e00c}");
    browser.wait("!document.getElementById('trial').open && location.hash === ''");
    browser.run("location.hash = 'trial-7'; return true");
    browser.wait("document.querySelector('#trial .log')?.textContent === 'epoch 50: <b>done</b>'");
    browser.screenshot("trial");
    let text = browser.run("document.getElementById('trial').textContent");
    for said in ["Findings", "Parameters", "Files", "best epoch", "trainer.log, 22 B"] {
        assert!(text.as_str().expect("text").contains(said), "{said}: {text}");
    }
    browser.keys("\u{e00c}");

    // Dragging along the axis of a parameter leaves the trials within.
    let frame = browser.run("document.getElementById('parallel').scrollIntoView({block: 'center', behavior: 'instant'}); const box = document.getElementById('coordinates').getBoundingClientRect(); return [box.left, box.top, box.height]");
    let (x, y, high) = (number(&frame[0]) + 72.0, number(&frame[1]), number(&frame[2]));
    browser.drag((x, y + 40.0), (x, y + 0.35 * high));
    assert!(number(&browser.run(ROWS)) < 60.0, "a part of the trials");
    browser.screenshot("parallel");
    browser.point(x, y + 0.8 * high, true);
    assert_eq!(browser.run(ROWS), 90);

    // From the keyboard.
    browser.run("document.activeElement.blur(); return true");
    browser.keys("jj");
    assert_eq!(browser.run("document.activeElement.closest('tr').rowIndex"), 2);
    browser.keys("d");
    assert_eq!(browser.run("document.documentElement.dataset.theme"), "dark");
    browser.wait("document.querySelectorAll('#charts img').length > 1");
    browser.run("document.getElementById('effects').scrollIntoView({behavior: 'instant'}); return true");
    browser
        .wait("[...document.querySelectorAll('#charts img')].some(image => image.complete && image.naturalWidth > 0)");
    browser.screenshot("effects-dark");
    is_clean(&browser);
}

#[test]
fn in_a_browser_a_running_sweep_moves_and_a_phone_shows_it_whole() {
    let world = scripted("* slow 400\n2 bad 2");
    let Some(browser) = Browser::open(&world.path("profile"), (390, 844), true) else { return };
    let mut run = world.sweep("run s.yaml --trainer trainer --progress none --gpus none").spawn().expect("it starts");
    wait_until("it has begun", Duration::from_secs(30), || world.path("results/s/journal.jsonl").exists());
    let page = Page::open(&world, "results/s");
    enter(&browser, &page);
    browser.wait("document.querySelectorAll('#table tbody tr').length > 0");
    browser.screenshot("phone-running");
    let before = number(&browser.run("Number(document.body.dataset.version)"));
    browser.wait("document.getElementById('pill').textContent === 'complete'");
    run.wait().expect("it is our child");
    let seen = browser.run("[document.getElementById('ended').textContent, Number(document.body.dataset.version)]");
    assert!(seen[0] == "3 of 3" && number(&seen[1]) > before, "without a reload: {seen}");
    let wide = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(wide, 0, "the page does not scroll sideways on a phone");
    browser.run("location.hash = 'trial-1'; return true");
    browser.wait("document.querySelectorAll('#trial .chart canvas').length > 0");
    browser.screenshot("phone-trial");
    assert_eq!(browser.run("matchMedia('(prefers-color-scheme: dark)').matches"), true);
    is_clean(&browser);
}

#[test]
fn in_a_browser_text_of_a_sweep_stays_text() {
    let world = World::new();
    let Some(browser) = Browser::open(&world.path("profile"), DESKTOP, false) else { return };
    sweep_sample::write(&world.path("hostile"), &sweep_sample::hostile_entries());
    let page = Page::open(&world, "hostile");
    enter(&browser, &page);
    browser.wait("document.querySelectorAll('#told p').length > 0");
    for hash in ["trial-1", "trial-2"] {
        browser.run(&format!("location.hash = '{hash}'; return true"));
        browser.wait(&format!("document.querySelector('#trial h2')?.textContent === 'Trial 000{}'", &hash[6..]));
    }
    let text = browser.run("document.body.textContent");
    for said in [
        "<script>alert('sweep')</script>",
        "<script>alert('name')</script>",
        "<script>alert('error')</script>",
        "<img src=x onerror=alert(1)>",
    ] {
        assert!(text.as_str().expect("text").contains(said), "{said} is shown as text");
    }
    assert_eq!(browser.run("document.querySelectorAll('script').length"), 1, "only our own");
    assert_eq!(browser.run("document.querySelectorAll('img[src=x]').length"), 0);
    is_clean(&browser);
}

#[test]
fn in_a_browser_several_sweeps_are_side_by_side() {
    let world = World::new();
    let Some(browser) = Browser::open(&world.path("profile"), DESKTOP, false) else { return };
    made(&world.path("first"), 3);
    made(&world.path("second"), 60);
    let page = Page::open(&world, "first second");
    browser.visit(&format!("http://{}/?token={}", page.host, page.token));
    browser.wait(
        "[...document.querySelectorAll('.best')].filter(best => best.textContent.startsWith('trial ')).length === 2",
    );
    browser.screenshot("several");
    browser.run("document.querySelectorAll('h2 a')[1].click(); return true");
    browser.wait("document.body.dataset.version > 0 && document.getElementById('ended').textContent.startsWith('60 ')");
    is_clean(&browser);
}

#[test]
fn in_a_browser_a_trial_is_stopped_where_that_is_allowed() {
    let world = scripted("* slow 60000");
    let Some(browser) = Browser::open(&world.path("profile"), DESKTOP, false) else { return };
    let mut run = world.sweep("run s.yaml --trainer trainer --progress none --gpus none").spawn().expect("it starts");
    let journal = world.path("results/s/journal.jsonl");
    wait_until("trial 1 runs", Duration::from_secs(30), || {
        std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"is\":\"began\""))
    });
    const STOP: &str = "[...document.querySelectorAll('#trial button')].find(one => one.textContent === 'Stop')";
    let page = Page::open(&world, "results/s");
    enter(&browser, &page);
    browser.run("location.hash = 'trial-1'; return true");
    browser.wait("document.getElementById('trial').open");
    assert_eq!(browser.run(&format!("{STOP} === undefined && document.getElementById('steer') === null")), true);
    drop(page);

    let page = Page::open(&world, "results/s --control");
    enter(&browser, &page);
    browser.run("location.hash = 'trial-1'; return true");
    browser.wait(&format!("{STOP} !== undefined"));
    browser.run(&format!("window.confirm = () => true; {STOP}.click(); return true"));
    browser.wait("!document.getElementById('answer').hidden");
    browser.screenshot("control");
    let said =
        browser.run("[document.getElementById('answer').textContent, document.getElementById('answer').className]");
    assert!(
        said[1] == "" && said[0].as_str().is_some_and(|text| text.contains("trial 0001 is asked to save")),
        "{said}"
    );
    run.kill().expect("it is our child");
    run.wait().expect("it is our child");
}

/// To run it: `cargo test --release -p sweep --test suite -- --ignored ten_thousand_trials_on_the_page --nocapture`
#[test]
#[ignore = "takes a while; its bounds are those of a release build on an idle machine"]
fn ten_thousand_trials_on_the_page() {
    let world = World::new();
    made(&world.path("made"), 10_000);
    let began = Instant::now();
    let page = Page::open(&world, "made");
    println!("the journal was read in {:?}", began.elapsed());
    let browser = Browser::open(&world.path("profile"), DESKTOP, false).expect("chromium and chromedriver");
    enter(&browser, &page);
    browser.wait("document.getElementById('drawn').textContent !== ''");
    let paint = browser.run("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    let measured = "performance.getEntriesByName('update').map(one => one.duration)";
    browser.screenshot("ten-thousand");
    println!("first paint after {paint} ms; first update {} ms", browser.run(measured));
    browser.wait("document.querySelectorAll('#told tr').length > 0");
    let attempt = json!({"trial": 10_001, "number": 1});
    let path = world.path("made/journal.jsonl");
    let mut journal = std::fs::OpenOptions::new().append(true).open(path).expect("writable");
    let settings = json!({"dropout": 0.2, "learning_rate": 0.01, "batch_norm": true});
    let mut append = |entry: Value| writeln!(journal, "{entry}").expect("writable");
    append(json!({"is": "started", "at": 0.0, "attempt": attempt, "slot": "cpu:0", "settings": settings}));
    for epoch in 1..=5 {
        let before = number(&browser.run("Number(document.body.dataset.version)"));
        append(
            json!({"is": "epoch", "attempt": attempt, "metrics": {"epoch": epoch, "val_loss": 2.0 / f64::from(epoch)}}),
        );
        browser.wait(&format!("Number(document.body.dataset.version) > {before}"));
    }
    browser.screenshot("ten-thousand-band");
    println!("updates {} ms", browser.run(measured));
    println!("server memory: {}", page.memory());
    is_clean(&browser);
}
