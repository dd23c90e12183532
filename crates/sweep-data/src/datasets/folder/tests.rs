use std::fs;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use proptest::prelude::*;
use tempfile::TempDir;

use super::listing::Listing;
use super::*;
use crate::network::Shape;
use sweep_core::recipe::Fit;

#[path = "../../../../../tests/suite/messy.rs"]
mod messy;

fn gray(side: u32, value: u8) -> DynamicImage {
    GrayImage::from_pixel(side, side, Luma([value])).into()
}

fn color(side: u32, value: [u8; 3]) -> DynamicImage {
    RgbImage::from_pixel(side, side, Rgb(value)).into()
}

/// Creates a folder with these images, each at its path.
fn images(images: &[(&str, DynamicImage)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    images.iter().for_each(|(path, image)| put(root.path(), path, image));
    root
}

fn put(root: &Path, path: &str, image: &DynamicImage) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn folder(path: &Path) -> Folder<'_> {
    Folder { path, resize: None, labels: None }
}

fn resized(path: &Path, side: u32, fit: Fit) -> Folder<'_> {
    Folder { path, resize: Some(Resize { side, fit }), labels: None }
}

fn describe(path: &Path) -> Result<Info, Error> {
    folder(path).describe()
}

fn load(path: &Path) -> Result<Dataset, Error> {
    folder(path).load()
}

fn error(found: Result<Info, Error>) -> String {
    let error = found.unwrap_err();
    assert_eq!(error.exit, sweep_core::error::Exit::BadData);
    let error = error.to_string();
    assert!(error.contains("hint: "), "{error}");
    error
}

#[test]
fn classes_are_sorted_folders_and_pixels_come_in_planes() {
    let root = images(&[
        ("dog/2.png", color(2, [1, 2, 3])),
        ("cat/9.PNG", color(2, [7, 8, 9])),
        ("cat/10.png", gray(2, 5)),
        (".hidden/1.png", gray(1, 0)),
    ]);
    fs::write(root.path().join("cat/notes.txt"), "not an image").unwrap();
    let dataset = load(root.path()).unwrap();
    assert_eq!(dataset.info.classes, ["cat", "dog"]);
    assert_eq!(dataset.info.shape, Shape { channels: 3, height: 2, width: 2 });
    assert_eq!((dataset.info.train, dataset.info.validation, dataset.info.test), (3, 0, 0));
    assert_eq!(dataset.train.labels, [0, 0, 1]);
    let planes = |red, green, blue| [[red; 4], [green; 4], [blue; 4]].concat();
    assert_eq!(dataset.train.pixels, [planes(5, 5, 5), planes(7, 8, 9), planes(1, 2, 3)].concat());
    assert_eq!(describe(root.path()).unwrap(), dataset.info);
}

#[test]
fn images_that_are_all_grey_have_one_channel() {
    let root = images(&[("a/1.png", gray(2, 5)), ("a/2.png", gray(2, 6)), ("b/1.png", gray(2, 7))]);
    let dataset = load(root.path()).unwrap();
    assert_eq!(dataset.info.shape.channels, 1);
    assert_eq!(dataset.train.pixels, [[5; 4], [6; 4], [7; 4]].concat());
    assert_eq!(describe(root.path()).unwrap(), dataset.info);
}

#[test]
fn train_val_and_test_above_the_classes_are_a_given_split() {
    let root = images(&[
        ("train/a/1.jpg", gray(8, 100)),
        ("train/b/1.jpeg", gray(8, 200)),
        ("val/a/1.png", gray(8, 60)),
        ("test/b/1.png", gray(8, 50)),
        ("test/unlabeled.png", gray(8, 50)),
    ]);
    let dataset = load(root.path()).unwrap();
    assert_eq!((dataset.info.train, dataset.info.validation, dataset.info.test), (2, 1, 1));
    assert_eq!(dataset.test, Images { pixels: vec![50; 64], labels: vec![1] });
    assert_eq!(dataset.validation, Images { pixels: vec![60; 64], labels: vec![0] });
    assert!(dataset.train.pixels[..64].iter().all(|pixel| pixel.abs_diff(100) < 3));
    assert_eq!(dataset.info.notes, ["1 skipped: in no class folder (test/unlabeled.png)"]);
}

#[test]
fn a_class_called_train_beside_others_is_a_class() {
    let root = images(&[("bus/1.png", gray(2, 5)), ("test/1.png", gray(2, 7)), ("train/1.png", gray(2, 6))]);
    assert_eq!(describe(root.path()).unwrap().classes, ["bus", "test", "train"]);
}

#[test]
fn what_is_wrong_names_the_file_and_what_to_do() {
    let cases: [(&[(&str, DynamicImage)], &str); 4] = [
        (&[("a/1.png", gray(2, 5)), ("b/7.png", gray(3, 5))], "b/7.png: is 3x3, but "),
        (&[("a/1.png", gray(2, 5))], ": has 1 class folders, but must have 2 to 256"),
        (&[("x/a/1.png", gray(2, 5)), ("x/b/1.png", gray(2, 5))], "If the classes are inside x/, add it to `path`"),
        (
            &[("train/a/1.png", gray(2, 5)), ("train/b/1.png", gray(2, 5)), ("test/c/1.png", gray(2, 5))],
            "test/c/1.png: the class `c` has no training images",
        ),
    ];
    for (files, expected) in cases {
        let root = images(files);
        for found in [describe(root.path()), load(root.path()).map(|dataset| dataset.info)] {
            let error = error(found);
            assert!(error.contains(expected), "{error}");
        }
    }
    let root = images(&[("a/1.png", gray(70, 5)), ("b/7.png", gray(100, 5)), ("b/8.png", gray(200, 5))]);
    let error = error(describe(root.path()));
    assert!(error.contains("write `resize: 96` under `data:`"), "{error}");
}

/// A folder of 200 images whose last ones are damaged.
fn damaged(count: usize) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for number in 0..200 {
        put(root.path(), &format!("{}/{number}.png", ["a", "b"][number % 2]), &gray(2, number as u8));
    }
    (1..=count).for_each(|number| fs::write(root.path().join(format!("a/{number}0.png")), "no image").unwrap());
    root
}

#[test]
fn a_damaged_file_is_named_and_skipped_up_to_one_in_a_hundred() {
    let root = damaged(2);
    let info = describe(root.path()).unwrap();
    assert_eq!(info.train, 198);
    let [note] = info.notes.as_slice() else { panic!("{:?}", info.notes) };
    assert!(
        note.starts_with("2 skipped: damaged (a/10.png: the content is not an image of a known format, a/20.png: "),
        "{note}"
    );
    assert_eq!(load(root.path()).unwrap().train.labels.len(), 198);
    let error = error(describe(damaged(3).path()));
    assert!(error.contains(": 3 of 200 images are damaged or missing, but at most 1% may be"), "{error}");
    assert!(error.contains("a/20.png: the content is not an image of a known format"), "{error}");
}

#[test]
fn a_jpeg_that_lacks_its_end_is_damaged() {
    let root = images(&[("a/1.jpg", gray(8, 5)), ("b/1.jpg", gray(8, 5))]);
    let file = root.path().join("b/1.jpg");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole, b"junk behind".as_slice()].concat()).unwrap();
    load(root.path()).unwrap();
    fs::write(&file, &whole[..whole.len() - 3]).unwrap();
    let error = error(describe(root.path()));
    assert!(error.contains("b/1.jpg: the end of the JPEG is missing"), "{error}");
}

/// An image that is black on the left, gray in the middle third and white on the right.
fn bands(width: u32, height: u32) -> DynamicImage {
    let value = |x: u32| [0, 128, 255][(x * 3 / width) as usize];
    RgbImage::from_fn(width, height, |x, _| Rgb([value(x); 3])).into()
}

#[test]
fn an_image_is_cropped_padded_or_stretched_to_a_square() {
    let root = images(&[("a/1.png", bands(90, 30)), ("b/1.png", bands(6, 2))]);
    let row = |fit| {
        let pixels = resized(root.path(), 6, fit).load().unwrap().train.pixels;
        let rows: Vec<Vec<u8>> = pixels[..36].chunks(6).map(<[u8]>::to_vec).collect();
        rows
    };
    // The middle third alone, in which every pixel is gray.
    assert!(row(Fit::Crop).iter().all(|row| row[1..5] == [128; 4]), "{:?}", row(Fit::Crop));
    assert!(row(Fit::Stretch).iter().all(|row| row[0] == 0 && row[5] == 255 && row[2].abs_diff(128) < 40));
    let padded = row(Fit::Pad);
    assert!(padded[0] == [0; 6] && padded[5] == [0; 6] && padded[2][5] == 255, "{padded:?}");
    let notes = resized(root.path(), 6, Fit::Crop).describe().unwrap().notes;
    assert_eq!(
        notes,
        ["images of 6x2 to 90x30 became 6x6: the shorter side was scaled, and the center kept; 1 were enlarged"]
    );
}

#[test]
fn every_kind_of_file_becomes_the_pixels_that_a_person_sees() {
    let root = tempfile::tempdir().unwrap();
    messy::write_messy(root.path());
    let path = root.path().join("images");
    let dataset = resized(&path, 32, Fit::Crop).load().unwrap();
    assert_eq!(dataset.info.classes, messy::CLASSES);
    assert_eq!(dataset.info.train, messy::USABLE.iter().sum::<u64>());
    assert_eq!(dataset.info.notes, messy::NOTES);
    assert_eq!(dataset.train.pixels.len() as u64, dataset.info.train * 3 * 32 * 32);
    let listing = Listing::of(&resized(&path, 32, Fit::Crop)).unwrap();
    let damaged = ["cats/cut.jpg", "dogs/text.png"];
    let paths: Vec<&str> = listing.files.iter().filter_map(|file| file.entry.path.to_str()).collect();
    let paths: Vec<&str> = paths.into_iter().filter(|path| !damaged.contains(path)).collect();
    let image = |path: &str| {
        let at = paths.iter().position(|known| *known == path).unwrap();
        &dataset.train.pixels[at * 3072..][..3072]
    };
    let pixel = |path: &str, row: usize, column: usize| {
        [0, 1, 2].map(|channel| image(path)[channel * 1024 + row * 32 + column])
    };
    let near = |path: &str, (row, column): (usize, usize), expected: [u8; 3], most: u8| {
        let found = pixel(path, row, column);
        assert!(found.iter().zip(expected).all(|(one, other)| one.abs_diff(other) <= most), "{path}: {found:?}");
    };
    assert!(image("dogs/alpha.png").iter().all(|value| *value == 255), "transparent red over white is white");
    assert!(image("dogs/grayalpha.png").iter().all(|value| *value == 127), "half black over white is gray");
    near("cats/print.jpg", (16, 16), [0, 255, 255], 6);
    near("dogs/animated.gif", (16, 16), [255, 0, 0], 6);
    near("cats/sixteen.png", (16, 16), [156; 3], 1);
    near("cats/sixteen.tif", (16, 16), [78; 3], 1);
    for (place, color) in [((4, 4), [255, 0, 0]), ((4, 27), [0, 255, 0]), ((27, 4), [0, 0, 255]), ((27, 27), [0; 3])] {
        near("dogs/palette.png", place, color, 0);
    }
    assert_eq!(image("dogs/linked.jpg"), image("cats/photo0.jpg"));
    // The middle of a photograph whose red is twice the column, and whose green is twice the row.
    near("cats/web.jpg", (16, 16), [70, 50, 90], 6);
    near("cats/photo0.jpg", (16, 16), [120, 80, 90], 6);
    // It becomes redder to the right; rotated clockwise, it does so downwards.
    assert!(pixel("dogs/turned.jpg", 31, 16)[0] > pixel("dogs/turned.jpg", 0, 16)[0] + 30);
}

#[test]
fn a_second_start_reads_what_was_decoded_until_a_file_changes() {
    let root = images(&[("a/1.png", gray(2, 5)), ("b/1.png", gray(2, 6))]);
    let first = load(root.path()).unwrap();
    let cache = root.path().join(".sweep-cache/as-is.images");
    let mut bytes = fs::read(&cache).unwrap();
    // Whoever changes the kept images sees the change: they are what is read.
    bytes[0] = 9;
    fs::write(&cache, &bytes).unwrap();
    let second = load(root.path()).unwrap();
    assert_eq!((first.train.pixels[0], second.train.pixels[0]), (5, 9));
    assert_eq!(first.info, second.info);
    put(root.path(), "b/2.png", &gray(2, 7));
    assert_eq!(load(root.path()).unwrap().train.pixels, [[5; 4], [6; 4], [7; 4]].concat());
    fs::write(&cache, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(load(root.path()).unwrap().train.pixels, [[5; 4], [6; 4], [7; 4]].concat());
    assert!(load(root.path()).unwrap().info.notes.is_empty());
}

#[test]
fn where_nothing_can_be_kept_the_images_are_decoded_and_that_is_said() {
    let root = images(&[("a/1.png", gray(2, 5)), ("b/1.png", gray(2, 6))]);
    fs::write(root.path().join(".sweep-cache"), "in the way").unwrap();
    let dataset = load(root.path()).unwrap();
    assert_eq!(dataset.train.pixels, [[5; 4], [6; 4]].concat());
    let note = dataset.info.notes.last().unwrap();
    assert!(note.contains(".sweep-cache cannot be written") && note.contains("at every start"), "{note}");
}

#[test]
fn a_table_of_labels_names_files_classes_and_parts() {
    let root = images(&[
        ("img/1.png", gray(2, 5)),
        ("img/2.png", gray(2, 6)),
        ("img/3.png", gray(2, 7)),
        ("img/4.png", gray(2, 8)),
    ]);
    let read = |table: &str| {
        fs::write(root.path().join("labels.csv"), table).unwrap();
        let labels = Some(Path::new("labels.csv"));
        Folder { path: root.path(), resize: None, labels }.load()
    };
    let rows = "img/1.png;10;train\nimg/2.png;2;train\nimg/3.png;2;val\nimg/2.png;2;train\n";
    let dataset = read(&format!("\u{feff}Path;Label;Split\n{rows}")).unwrap();
    assert_eq!(dataset.info.classes, ["2", "10"]);
    assert_eq!(dataset.train, Images { pixels: [[6; 4], [5; 4]].concat(), labels: vec![0, 1] });
    assert_eq!(dataset.validation.labels, [0]);
    let notes = [
        "1 skipped: not in the file of labels (img/4.png)",
        "1 skipped: listed twice with the same label; used once (img/2.png)",
    ];
    assert_eq!(dataset.info.notes, notes);
    // Without a header, the first file must be there as it is written.
    assert!(read("./img/1.png,a\nimg/2.png,b\n").unwrap_err().to_string().contains("needs one for the file"));
    assert_eq!(read("img/1.png,a\nimg/2.png,b\n").unwrap().info.classes, ["a", "b"]);
    for (table, expected) in [
        ("file,label\nimg/1.png,a\nimg/1.png,b\n", "labels.csv:3: img/1.png has the labels `a` and `b`"),
        ("file,label\nimg/1.png,\n", "labels.csv:2: the row has no file or no label"),
        ("file,cat,dog\nimg/1.png,1,1\n", "has the columns file, cat, dog, but none named label"),
        ("file,label\nimg/1.png,1.5\nimg/2.png,2.5\nimg/3.png,0.25\n", "its labels are 3 different numbers"),
        ("file,label,split\nimg/1.png,a,train\nimg/2.png,b,middle\n", "the part is `middle`"),
        ("file,label\nimg/1.png,a\nimg/2.png,b\nimg/9.png,b\n", "1 of 3 images are damaged or missing"),
    ] {
        let error = read(table).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("hint: "), "{error}");
    }
    let error = read("file,cat,dog\nimg/1.png,1,1\n").unwrap_err().to_string();
    assert!(error.contains("a script of your own: docs/guides/tune-your-script.md"), "{error}");
    // Without `labels`, the error says how to name the file.
    fs::remove_dir_all(root.path().join(".sweep-cache")).unwrap();
    fs::rename(root.path().join("img"), root.path().join(".img")).unwrap();
    assert!(self::error(describe(root.path())).contains("`labels: FILE.csv`"));
}

/// Photographs of 500x375 pixels in JPEG's usual quality, about 60 KB each.
#[test]
#[ignore = "prints how long images take"]
fn two_thousand_photographs() {
    let root = tempfile::tempdir().unwrap();
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 27) as u8
    };
    for number in 0..2000_u32 {
        let image = RgbImage::from_fn(500, 375, |x, y| {
            let mut value = |scale: u32| ((x * scale / 3 + y + number) % 200) as u8 + noise();
            Rgb([value(1), value(2), value(3)])
        });
        put(root.path(), &format!("{}/{number}.jpg", ["a", "b"][number as usize % 2]), &image.into());
    }
    let bytes = fs::read(root.path().join("a/0.jpg")).unwrap().len();
    let started = std::time::Instant::now();
    let folder = resized(root.path(), 64, Fit::Crop);
    folder.describe().unwrap();
    let (first, again) = (started.elapsed(), std::time::Instant::now());
    folder.load().unwrap();
    println!("{bytes} bytes per image; first start {first:?}, second start {:?}", again.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_damaged_image_is_an_error_or_an_image_but_never_a_panic(
        format in prop::sample::select(vec![
            ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP,
        ]),
        cut in 0.3..1.0_f64, at in 0.0..1.0_f64, byte: u8
    ) {
        let image: DynamicImage = RgbImage::from_fn(9, 9, |x, y| Rgb([x as u8 * 20, y as u8 * 20, 3])).into();
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        let mut bytes = bytes.into_inner();
        let place = (at * bytes.len() as f64) as usize;
        bytes[place] = byte;
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let _ = decode::decode(&bytes, Some(decode::Target { size: (5, 5), fit: Fit::Pad }));
        let _ = decode::decode(&bytes, None);
    }
}
