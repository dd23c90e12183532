//! Photographs of people's packages: those in scikit-learn and scikit-image, where `.venv-programs` has them.

use std::fs;
use std::path::{Path, PathBuf};

use image::imageops::crop_imm;

use crate::world::World;

const SWEEP: &str = "
data: {set: folder, path: photos, resize: 32, validation: 0.25, test: 0.2, normalize: dataset, augment: {flip: true, rand_augment: 0.1}}
model:
  - conv: {filters: 16, kernel: 3}
  - batch_norm
  - relu
  - max_pool: 2
  - conv: {filters: 32, kernel: 3}
  - relu
  - global_max_pool
  - dense: ${classes}
training: {epochs: 25, batch_size: 16, learning_rate: 3e-3}
devices: {gpus: none}
";

/// Large photographs of different things. The first two are in scikit-learn.
const PHOTOS: [&str; 6] = [
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
    "skimage/data/astronaut.png",
    "skimage/data/coffee.png",
    "skimage/data/grass.png",
    "skimage/data/retina.jpg",
];

/// Returns the photographs that are installed in `.venv-programs`, or where the Python in `PYTHON` is.
fn installed() -> Vec<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "who runs the tests says which Python")]
    let named = std::env::var_os("PYTHON").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv-programs/bin/python");
    let libraries = named.into_iter().chain([own]).filter_map(|python| Some(python.parent()?.parent()?.join("lib")));
    let pythons = libraries.flat_map(|library| fs::read_dir(library).into_iter().flatten().flatten());
    let mut places = pythons.map(|python| {
        let photo = |name: &str| python.path().join("site-packages").join(name);
        PHOTOS.iter().map(|name| photo(name)).filter(|photo| photo.is_file()).collect::<Vec<_>>()
    });
    places.find(|found| found.len() >= 2).unwrap_or_default()
}

#[test]
fn pieces_of_real_photographs_are_told_apart_and_whole_ones_are_predicted() {
    let photos = installed();
    if photos.len() < 2 {
        eprintln!("skipped: .venv-programs has no scikit-learn; scripts/scikit-learn installs it");
        return;
    }
    let world = World::new();
    for photo in &photos {
        let name = photo.file_stem().expect("it has a name").to_str().expect("it is ASCII");
        let pixels = image::open(photo).expect("it is an image").to_rgb8();
        fs::create_dir_all(world.path("photos").join(name)).expect("the folder is writable");
        // Pieces of different sizes, as JPEG, PNG or WebP.
        for at in 0..60_u32 {
            let side = 90 + at % 7 * 8;
            let (right, down) = ((pixels.width() - side) * (at % 10) / 9, (pixels.height() - side) * (at / 10) / 5);
            let piece = crop_imm(&pixels, right, down, side, side + at % 3 * 4).to_image();
            let file = format!("photos/{name}/{at}.{}", ["jpg", "png", "webp"][at as usize % 3]);
            piece.save(world.path(&file)).expect("the folder is writable");
        }
    }
    world.write("s.yaml", SWEEP);
    world.expect("run s.yaml --progress none", 0);
    let accuracy: f64 = world.column("results/s/trials.csv", "best_val_accuracy")[0].parse().expect("a number");
    assert!(accuracy > 0.85, "{accuracy}");
    let report = world.read("results/s/report.md");
    assert!(report.contains("test images"), "the test images were used once");
    assert!(
        report.contains("`sweep predict --tta`), it is "),
        "training mirrors images, so the test does, too: {report}"
    );
    // The whole photographs have other proportions, and are much larger.
    for photo in &photos {
        let file = photo.file_name().expect("it has a name").to_str().expect("it is ASCII");
        fs::copy(photo, world.path(file)).expect("it can be read");
        let said = world.expect(&format!("predict results/s {file}"), 0);
        assert!(said.contains(&format!("{file}  ")) && said.contains("scaled from "), "{said}");
        world.expect(&format!("predict results/s {file} --tta"), 0);
    }
}
