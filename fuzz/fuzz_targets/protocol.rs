//! A trainer's lines: each is a message, which is said again in the same words, or foreign text.
#![no_main]

use sweep_core::protocol::{FromTrainer, ToTrainer};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(message) = serde_json::from_slice::<FromTrainer>(line) {
            let text = serde_json::to_string(&message).expect("a message is JSON");
            assert_eq!(serde_json::from_str::<FromTrainer>(&text).expect("it reads back"), message);
        }
        let _ = serde_json::from_slice::<ToTrainer>(line);
    }
});
