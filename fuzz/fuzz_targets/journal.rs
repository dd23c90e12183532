//! Journals: whatever is in the file, reading it ends with a history or an error, and what was read is read again.
#![no_main]

use sweep_store::Layout;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layout = Layout::new(folder.path());
    std::fs::write(layout.journal(), bytes).expect("it is writable");
    if let Ok((history, length)) = sweep_store::read(&layout) {
        let whole = &bytes[..usize::try_from(length).expect("it is no longer than the file")];
        std::fs::write(layout.journal(), whole).expect("it is writable");
        let again = sweep_store::read(&layout).expect("what was read is read again");
        assert_eq!(again, (history, length));
    }
});
