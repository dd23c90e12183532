//! Files of data sets: the first byte says of which; all parts of it have the same content.
#![no_main]

use std::path::{Path, PathBuf};

use sweep_core::recipe::Source;
use sweep_data::datasets;

/// The files that a source has, and the source.
fn source(which: u8, folder: &Path) -> (Vec<PathBuf>, Source) {
    let path = folder.to_owned();
    let files = |names: &[&str]| names.iter().map(|name| folder.join(name)).collect();
    match which % 5 {
        0 => (files(&["archive.tar.gz"]), Source::Cifar10 { path: folder.join("archive.tar.gz") }),
        1 => (files(&["archive.tar.gz"]), Source::Cifar100 { path: folder.join("archive.tar.gz") }),
        2 => (
            files(&[
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ]),
            Source::Mnist { path },
        ),
        3 => (
            files(&[
                "train-images-idx3-ubyte.gz",
                "train-labels-idx1-ubyte.gz",
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
            ]),
            Source::FashionMnist { path },
        ),
        _ => (files(&["a/1.png", "a/2.jpg", "b/1.png", "b/2.jpg"]), Source::Folder { path }),
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, content)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (files, source) = source(*which, folder.path());
    for file in files {
        std::fs::create_dir_all(file.parent().expect("it is in the folder")).expect("it is writable");
        std::fs::write(file, content).expect("it is writable");
    }
    let described = datasets::describe(&source);
    if let Ok(set) = datasets::load(&source) {
        assert_eq!(set.info, described.expect("what can be loaded can be described"));
    }
});
