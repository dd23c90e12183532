//! `sweep check` with the real trainer.

use crate::world::World;

/// Two kinds of networks, in four trials.
const FILE: &str = "
parameters: {units: {values: [32, 64]}, dropout: {values: [0.0, 0.5]}}
data: {set: digits}
model: [flatten, {dense: '${units}'}, relu, {dropout: '${dropout}'}, {dense: '${classes}'}]
";

#[test]
fn a_sound_sweep_passes_and_one_with_a_wild_learning_rate_does_not() {
    let world = World::new();
    world.write("sound.yaml", &format!("{FILE}devices: {{gpus: none}}\n"));
    let text = world.expect("check sound.yaml", 0);
    assert_eq!(text.matches("no problems found").count(), 2, "{text}");
    assert!(text.contains("  loss falls at learning rates from"), "{text}");
    world.write("wild.yaml", &format!("{FILE}training: {{learning_rate: 5}}\ndevices: {{gpus: none}}\n"));
    let text = world.expect("check wild.yaml", 4);
    assert!(text.contains("the learning rate 5 is too high for this network (learning_rate)"), "{text}");
}

/// The network has twelve logistic functions in sequence.
#[test]
fn a_run_says_before_its_first_step_that_gradients_vanish() {
    let world = World::new();
    let layers = "{dense: 32}, sigmoid, ".repeat(12);
    let start =
        "name: deep\nparameters: {learning_rate: {values: [0.001, 0.002]}}\ndata: {set: digits}\ntraining: {epochs: 1}";
    let file = format!("{start}\nmodel: [flatten, {layers}{{dense: '${{classes}}'}}]\ndevices: {{gpus: none}}\n");
    world.write("deep.yaml", &file);
    let text = world.expect("run deep.yaml --progress plain", 0);
    assert_eq!(text.matches("gradients vanish toward the first layers").count(), 1, "{text}");
}
