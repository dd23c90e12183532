//! `sweep data`, without network access.

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
