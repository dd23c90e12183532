//! `sweep data`, without network access.

use serde_json::Value;

use crate::messy::{CLASSES, NOTES, USABLE, write_messy};
use crate::world::World;

#[test]
fn the_list_says_what_there_is_and_what_is_here() {
    let world = World::new();
    std::fs::create_dir_all(world.path("data/mnist")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&world.expect("data list --json", 0)).unwrap();
    let rows = list.as_array().unwrap();
    assert_eq!(rows.iter().filter(|row| row["path"] == "data/mnist").count(), 1);
    assert_eq!(rows.iter().filter(|row| row["path"].is_null()).count(), rows.len() - 1);
    let text = world.expect("data list", 0);
    for row in rows {
        assert!(text.contains(row["name"].as_str().unwrap()), "{text}");
        assert!(row["bytes"].as_u64().unwrap() > 1_000_000 && row["license"].is_string());
    }
}

#[test]
fn a_name_that_is_no_set_is_answered_with_those_that_are() {
    let text = World::new().expect("data fetch cifar", 2);
    assert!(text.contains("cifar100") && text.contains("fashion-mnist"), "{text}");
}

#[test]
fn a_file_that_is_not_the_published_one_is_refused_and_nothing_is_left() {
    let world = World::new();
    world.write("archive.tar.gz", "no archive");
    let text = world.expect("data fetch cifar10 --from archive.tar.gz", 4);
    assert!(text.contains("archive.tar.gz: has 10 bytes, but the published file has 170052171"), "{text}");
    assert_eq!(std::fs::read_dir(world.path("data")).unwrap().count(), 0);
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let world = World::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let output = world
        .sweep(&format!("data fetch cifar100 --from http://127.0.0.1:{port}/"))
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env_remove("ALL_PROXY")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains(&format!("http://127.0.0.1:{port}/cifar-100-binary.tar.gz: ")), "{text}");
    assert!(text.contains("hint: try again later, or get cifar-100-binary.tar.gz elsewhere"), "{text}");
}

#[test]
fn a_plan_for_pictures_that_are_not_here_says_how_to_get_them() {
    let world = World::new();
    let sets = [("cifar10", "cifar-10-batches-bin"), ("fashion-mnist", "fashion-mnist")];
    for (set, folder) in sets {
        world.write("a.yaml", &format!("data: {{set: {set}, path: data/{folder}}}\nmodel: linear\n"));
        let text = world.expect("plan a.yaml", 4);
        assert!(text.contains("error: a.yaml:1:") && text.contains(", data.path: "), "{text}");
        let command = format!("`sweep data fetch {set} --to {}`", world.path("data").display());
        assert!(text.contains(&command), "{text}");
    }
}

#[test]
fn pictures_in_folders_of_their_classes_are_not_taken_for_a_damaged_set() {
    let world = World::new();
    for class in ["cats", "dogs"] {
        std::fs::create_dir_all(world.path("mine").join(class)).unwrap();
        world.write(&format!("mine/{class}/1.png"), "an image, as far as its name tells");
    }
    for set in ["cifar10", "mnist", "arrays, order: nhwc"] {
        world.write("a.yaml", &format!("data: {{path: mine, set: {set}}}\nmodel: linear\n"));
        let text = world.expect("plan a.yaml", 4);
        assert!(text.contains("a.yaml:1:14, data.path: ") && text.contains("write `set: folder`"), "{text}");
    }
}

#[test]
fn plan_and_check_count_a_messy_folder_right_to_the_last_file() {
    let world = World::new();
    write_messy(&world.path(""));
    world.write("a.yaml", "data: {set: folder, path: images, resize: 32}\nmodel: small\n");
    let plan: Value = serde_json::from_slice(&world.output("plan a.yaml --json").stdout).expect("JSON");
    let data = &plan["data"];
    assert_eq!(data["classes"], serde_json::json!(CLASSES));
    let images = |part: &str| data[part]["most"].as_u64().expect("a number");
    assert_eq!(images("train") + images("validation"), USABLE.iter().sum::<u64>());
    assert_eq!(data["notes"], serde_json::json!(NOTES), "{:#}", data["notes"]);
    // The invented images of one class are nearly equal, which `check` finds.
    let (plan, check) = (world.expect("plan a.yaml", 0), world.expect("check a.yaml --data-only", 4));
    for note in NOTES {
        let line = format!("note: data: {note}");
        assert!(plan.lines().any(|found| found == line), "{line}: {plan}");
        assert!(check.lines().any(|found| found == line), "{line}: {check}");
    }
    // Skipped folders count once, with all that is in them.
    let skipped = |note: &&str| note.split_once(" skipped: ").map(|(count, _)| count.parse::<u64>().expect("a number"));
    let skipped: u64 = NOTES.iter().filter_map(skipped).sum();
    assert_eq!(entries(&world.path("images")), USABLE.iter().sum::<u64>() + skipped);
}

/// Counts files, links to files, and folders that the data set has no files of.
fn entries(folder: &std::path::Path) -> u64 {
    let count = |path: std::path::PathBuf| match path.file_name().and_then(|name| name.to_str()) {
        Some(".git" | "loop") => 1,
        Some(".sweep-cache") => 0,
        // The folder itself, and the PDF in it.
        Some("papers") => 1 + entries(&path),
        Some("empty") => 1,
        _ if path.is_dir() => entries(&path),
        _ => 1,
    };
    std::fs::read_dir(folder).expect("it is there").map(|entry| count(entry.expect("it is there").path())).sum()
}
