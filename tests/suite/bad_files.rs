//! Every bad sweep file in tests/fixtures/bad/ gives the message in the file beside it.

use std::fs;
use std::path::{Path, PathBuf};

use sweep_core::recipe::Source;
use sweep_data::datasets;
use sweep_spec::{Problems, Spec};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bad")
}

/// All messages about a file. Its data is inspected only if that is built in.
fn message(name: &str, text: &str) -> String {
    let file = format!("{name}.yaml");
    let (mut spec, _) = match Spec::read(text, &file, Path::new("/base")) {
        Err(problems) => return problems.to_string(),
        Ok(read) => read,
    };
    let describe = |source: &Source| {
        assert_eq!(*source, Source::Digits, "{name} is read without a problem");
        Ok(datasets::describe(source).unwrap())
    };
    match spec.inspect::<Problems>(describe, (&file, text)) {
        Err(problems) => problems.to_string(),
        Ok(_) => panic!("{name} is inspected without a problem"),
    }
}

#[test]
fn every_bad_file_is_answered_with_place_value_rule_and_remedy() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(fixtures());
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let files = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    assert!(files.len() >= 25, "{} files", files.len());
    for path in files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let message = message(&name, &fs::read_to_string(&path).unwrap());
        settings.bind(|| insta::assert_snapshot!(name, message));
    }
}
