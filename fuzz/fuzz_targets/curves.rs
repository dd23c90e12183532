//! Learning curves for `sweep diagnose`: whatever is read as curves has epochs in order, and is judged.
#![no_main]

use sweep_curves::{Format, Source, read};
use sweep_verdict::{Context, Divergence, judge};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let source = Source { name: "f".into(), prefix: None, bytes: bytes.to_vec() };
    for format in [None, Some(Format::Table), Some(Format::Log), Some(Format::Json), Some(Format::TensorBoard)] {
        let Ok(reading) = read(std::slice::from_ref(&source), format, &[]) else { continue };
        for curve in &reading.curves {
            let context = Context { divergence: curve.divergence.as_ref().map(|it| Divergence { epoch: it.epoch, step: None, what: it.what.clone() }), ..Context::default() };
            assert!(!judge(&curve.epochs, &context).is_empty());
            assert!(curve.epochs.windows(2).all(|pair| pair[0].epoch < pair[1].epoch));
        }
    }
});
