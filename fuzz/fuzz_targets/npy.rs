//! Arrays of NumPy: pictures and labels from one text, and an archive of both.
#![no_main]

use sweep_core::recipe::{Order, Source};
use sweep_data::datasets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some((order, content)) = bytes.split_first() else { return };
    let order = if order % 2 == 0 { Order::Nchw } else { Order::Nhwc };
    let (pictures, labels) = content.split_at(content.len() / 2);
    for (name, content) in [("x.npy", pictures), ("y.npy", labels), ("all.npz", content)] {
        std::fs::write(folder.path().join(name), content).expect("it is writable");
    }
    for path in [folder.path().join("all.npz"), folder.path().to_owned()] {
        let source = Source::Arrays { path, order };
        let (described, loaded) = (datasets::describe(&source), datasets::load(&source));
        if let Ok(set) = loaded {
            assert_eq!(set.info, described.expect("what can be loaded can be described"));
        }
    }
});
