//! `sweep plan` from the command line: its output, and that it leaves no files behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn sweep(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sweep"));
    command.args(arguments).current_dir(folder);
    command
}

/// Plans a copy of a fixture in a new folder, and checks that nothing else is in the folder afterwards.
fn plan(name: &str, options: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(name).file_name().unwrap().to_str().unwrap();
    std::fs::copy(fixture(name), folder.path().join(file)).unwrap();
    let output = sweep(&[&["plan", file], options].concat(), folder.path()).output().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "plan writes nothing");
    output
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn snapshot(name: &str, text: String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixture("plan"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_plan_shows_search_data_networks_memory_and_notes() {
    let text = text(&plan("plan/small.yaml", &[]));
    // The number of slots depends on the machine.
    let here = text.lines().map(|line| if line.starts_with(" slots") { " slots   ..." } else { line });
    snapshot("small", here.collect::<Vec<_>>().join("\n") + "\n");
    let slots = text.lines().find(|line| line.starts_with(" slots")).expect("it says which there are");
    let on_cpu = slots.contains("on this machine: cpu:0") && slots.ends_with(" of memory");
    assert!(on_cpu || slots.contains("on this machine: gpu:"), "{text}");
}

#[test]
fn a_plan_for_programs_has_the_same_figures() {
    let plan: serde_json::Value = serde_json::from_str(&text(&plan("plan/small.yaml", &["--json"]))).unwrap();
    assert_eq!(plan["trials"], 9);
    assert_eq!(plan["points"], 16);
    assert_eq!(plan["epochs"]["all"], 27);
    assert_eq!(plan["data"]["train"]["most"], 500);
    assert_eq!(plan["kinds"][0]["layers"].as_array().unwrap().len(), 7);
}

#[test]
fn the_list_has_a_line_a_trial() {
    snapshot("small-list", text(&plan("plan/small.yaml", &["--list"])));
    let lines = text(&plan("plan/small.yaml", &["--list", "--json"]));
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["trial"], &last["settings"]["batch_size"]), (&9.into(), &16.into()));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let sweep_file = "parameters: {batch_size: {min: 1, max: 1000000}}\ndata: {set: digits}\nmodel: linear\n";
    std::fs::write(folder.path().join("large.yaml"), sweep_file).unwrap();
    let mut child = sweep(&["plan", "--list", "large.yaml"], folder.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "0001 batch_size=1\n");
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_wrong_decides_the_exit_code() {
    let code = |output: Output| output.status.code();
    assert_eq!(code(plan("bad/unknown-keys.yaml", &[])), Some(3));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(sweep(&["plan", "absent.yaml"], folder.path()).output().unwrap()), Some(2));
    std::fs::write(folder.path().join("a.yaml"), "data: {set: cifar10, path: absent}\nmodel: linear\n").unwrap();
    assert_eq!(code(sweep(&["plan", "a.yaml"], folder.path()).output().unwrap()), Some(4));
    std::fs::write(folder.path().join("b.yaml"), [b'a', b':', 0xff]).unwrap();
    assert_eq!(code(sweep(&["plan", "b.yaml"], folder.path()).output().unwrap()), Some(2));
}

#[test]
fn the_learning_rate_is_drawn_where_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps/schedules.yaml");
    let plan =
        |chart: &str| sweep(&["plan", file.to_str().unwrap(), "--chart", chart], folder.path()).output().unwrap();
    text(&plan("rates.svg"));
    text(&plan("rates.png"));
    let drawn = std::fs::read_to_string(folder.path().join("rates.svg")).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("one_cycle"), "{drawn}");
    assert!(std::fs::read(folder.path().join("rates.png")).unwrap().starts_with(b"\x89PNG"));
    let refused = plan("rates.bmp");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("a name that ends in .svg or .png"), "{said}");
}
