//! Sweep files: any text is a sweep or a list of problems.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(problems) = sweep_spec::Spec::read(text, "f.yaml", Path::new("/")) {
        assert!(!problems.list().is_empty());
        let _ = problems.to_string();
    }
});
