//! `sweep predict` with a network that was trained on image files.

use std::fs;

use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;

use crate::world::World;

const SWEEP: &str = "
parameters: {learning_rate: {values: [1e-2, 1e-5]}}
data: {set: folder, path: colors, resize: 8, validation: 0.25}
model: [global_average_pool, {dense: 16}, relu, {dense: '${classes}'}]
training: {epochs: 30, batch_size: 8}
devices: {gpus: none}
keep_best: 1
";

fn color(width: u32, height: u32, color: [u8; 3]) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| {
        let change = ((x * 7 + y * 13) % 16) as u8;
        Rgb(color.map(|value| value.saturating_sub(change)))
    })
    .into()
}

const BLUE: [u8; 3] = [20, 30, 220];
const RED: [u8; 3] = [220, 30, 20];
const WHITE: [u8; 3] = [255; 3];

fn save(world: &World, path: &str, image: &DynamicImage) {
    let path = world.path(path);
    fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder is writable");
    image.save(path).expect("the image can be written");
}

/// Trains two trials on blue, red and white images. Only the first learns them.
fn trained() -> World {
    let world = World::new();
    for (name, shade) in [("blue", BLUE), ("red", RED), ("white", WHITE)] {
        for number in 0..12 {
            let shade = shade.map(|value| value.saturating_sub(number));
            save(&world, &format!("colors/{name}/{number}.png"), &color(10 + u32::from(number), 14, shade));
        }
    }
    world.write("s.yaml", SWEEP);
    world.expect("run s.yaml --progress none --no-check", 0);
    world
}

/// Returns one object per line.
fn objects(text: &str) -> Vec<Value> {
    text.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn a_trained_network_names_the_classes_of_images_of_any_size_and_kind() {
    let world = trained();
    save(&world, "large.png", &color(100, 40, RED));
    save(&world, "photo.jpg", &color(90, 90, BLUE));
    save(&world, "same.bmp", &color(8, 8, RED));
    save(&world, "gray.png", &GrayImage::from_pixel(9, 9, Luma([250])).into());
    save(&world, "glass.png", &RgbaImage::from_pixel(20, 30, Rgba([20, 30, 220, 0])).into());
    save(&world, "first.gif", &color(16, 16, BLUE));
    let files = "large.png photo.jpg same.bmp gray.png glass.png first.gif";
    let said = world.expect(&format!("predict results/s {files}"), 0);
    let lines: Vec<&str> = said.lines().collect();
    for (start, end) in [
        ("large.png  red ", "%  (center cropped and scaled from 100x40)"),
        ("photo.jpg  blue ", "%  (scaled from 90x90)"),
        ("same.bmp  red ", "%"),
        ("gray.png  white ", "%  (scaled from 9x9)"),
        ("glass.png  white ", "%  (center cropped and scaled from 20x30; transparent, drawn over white)"),
        ("first.gif  blue ", "%  (scaled from 16x16)"),
    ] {
        let found = lines.iter().any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(found, "{start}…{end} is not in {said}");
    }
    assert!(said.contains("Trial 0001 of the sweep s, epoch "), "{said}");

    let said = world.expect(&format!("predict results/s 1 {files} --json"), 0);
    let objects = objects(&said);
    assert_eq!(objects.len(), 6, "{said}");
    for (object, (file, class)) in objects.iter().zip([("large.png", "red"), ("photo.jpg", "blue")]) {
        assert_eq!((object["file"].as_str(), object["class"].as_str()), (Some(file), Some(class)), "{object}");
        assert_eq!((&object["trial"], &object["error"]), (&1.into(), &Value::Null), "{object}");
        let shares = object["probabilities"].as_object().expect("one per class");
        assert_eq!(shares.keys().collect::<Vec<_>>(), ["blue", "red", "white"]);
        let sum: f64 = shares.values().map(|share| share.as_f64().expect("a number")).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{object}");
        assert!(shares[class].as_f64() > Some(0.5), "{object}");
    }
    assert_eq!(objects[4]["notes"][1], "transparent, drawn over white");
}

#[test]
fn an_image_that_cannot_be_used_is_named_and_the_others_are_predicted() {
    let world = trained();
    save(&world, "good.png", &color(30, 30, RED));
    fs::write(world.path("broken.jpg"), b"\xff\xd8\xff\xe0 not much of a photo").expect("the folder is writable");
    fs::write(world.path("notes.txt"), "text").expect("the folder is writable");
    fs::write(world.path("empty.png"), "").expect("the folder is writable");
    let files = "broken.jpg good.png missing.jpg notes.txt empty.png colors";
    let said = world.expect(&format!("predict results/s {files}"), 4);
    for expected in [
        "broken.jpg  cannot be decoded: ",
        "good.png  red ",
        "missing.jpg  cannot be read: No such file or directory",
        "notes.txt  cannot be decoded: the content is not an image of a known format",
        "empty.png  cannot be decoded: the file is empty",
        "colors  cannot be read: Is a directory",
    ] {
        assert!(said.lines().any(|line| line.starts_with(expected)), "{expected} is not in {said}");
    }
    assert!(!said.contains("under `data:`"), "the images are no data set: {said}");
    let said = world.expect(&format!("predict results/s {files} --json"), 4);
    let objects = objects(&said);
    let errors: Vec<bool> = objects.iter().map(|object| object["error"].is_string()).collect();
    assert_eq!(errors, [true, false, true, true, true, true], "{said}");
    assert!(objects[0]["class"].is_null() && objects[0]["probabilities"] == serde_json::json!({}), "{said}");
}

#[test]
fn a_trial_that_cannot_predict_says_which_one_can() {
    let world = trained();
    save(&world, "good.png", &color(30, 30, RED));
    let said = world.expect("predict results/s 2 good.png", 2);
    assert!(said.contains("`keep_best: 1` kept the weights of trials 0001"), "{said}");
    let said = world.expect("predict results/s 9 good.png", 2);
    assert!(said.contains("trial 9 of results/s does not exist"), "{said}");
    let said = world.expect("predict results/s 1", 2);
    assert!(said.contains("name image files after the trial"), "{said}");
    world.expect("predict results/s", 2);
    let said = world.expect("predict results/nowhere good.png", 2);
    assert!(said.contains("results/nowhere"), "{said}");
    // A file whose name is a number is an image.
    fs::copy(world.path("good.png"), world.path("2")).expect("the folder is writable");
    let said = world.expect("predict results/s 2", 0);
    assert!(said.lines().any(|line| line.starts_with("2  red ")), "{said}");
}

#[test]
fn images_are_cropped_to_the_shape_that_the_network_was_trained_on() {
    let world = World::new();
    for (name, shade) in [("blue", BLUE), ("red", RED)] {
        for number in 0..8 {
            save(&world, &format!("colors/{name}/{number}.png"), &color(12, 6, shade.map(|value| value - number)));
        }
    }
    world.write("s.yaml", &SWEEP.replace("resize: 8, ", "").replace("values: [1e-2, 1e-5]", "value: 1e-2"));
    world.expect("run s.yaml --progress none --no-check", 0);
    save(&world, "double.png", &color(24, 12, RED));
    save(&world, "tall.png", &color(10, 40, BLUE));
    let said = world.expect("predict results/s double.png tall.png", 0);
    assert!(said.contains("(scaled from 24x12)"), "{said}");
    assert!(said.contains("(center cropped and scaled from 10x40)"), "{said}");
}
