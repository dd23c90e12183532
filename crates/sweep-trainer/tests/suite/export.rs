//! Exported networks outside of `sweep`.

use std::process::Command;

use crate::world::{World, npy};

const SWEEP: &str = "
name: s
parameters: {learning_rate: {values: [1e-2, 3e-3]}}
data: {set: arrays, path: arrays, order: nchw, validation: test}
training: {epochs: 20, batch_size: 16, precision: float32}
devices: {gpus: none}
keep_best: 1
";

/// Every kind of layer except one, and paddings that PyTorch does not have.
const LAYERS: &str = "
model:
  - conv: {filters: 8, kernel: 4, padding: same}
  - batch_norm: {momentum: 0.8}
  - relu
  - max_pool: 2
  - conv: {filters: 12, kernel: 3, stride: 2, padding: same, bias: false}
  - gelu
  - average_pool: {size: 2, stride: 1}
  - conv: {filters: 16, kernel: 2, stride: 3, padding: same}
  - tanh
  - global_average_pool
  - batch_norm: {momentum: 0.9, epsilon: 1e-5}
  - dropout: 0.25
  - dense: 20
  - sigmoid
  - dense: 4
";

/// The layers of modern networks, among them branches and squeeze-and-excitation.
const BRANCHED: &str = "
model:
  - conv: {filters: 8, kernel: 3}
  - layer_norm
  - silu
  - residual:
      layers: [{conv: {filters: 8, groups: 2}}, {group_norm: 4}, {leaky_relu: 0.1}, {conv: 8}]
  - residual:
      layers: [{depthwise: 3}, {downsample: stride}, {batch_norm: {momentum: 0.8}}, relu, {conv: {filters: 16, kernel: 1}}]
      shortcut: [{conv: {filters: 16, kernel: 1, stride: 2}}]
  - multiply: {layers: [global_average_pool, {dense: 4}, relu, {dense: 16}, sigmoid]}
  - concat: [[{conv: 4}], [{conv: {filters: 4, kernel: 1}}], [batch_norm]]
  - global_max_pool
  - layer_norm
  - dense: 4
  - scale: 2
";

/// Flattens rows, columns and channels to one axis.
const FLAT: &str = "
model:
  - conv: {filters: 8, kernel: 3}
  - relu
  - max_pool: 2
  - flatten
  - dense: 16
  - relu
  - dense: 4
";

/// Computes loss and accuracy on the test images with PyTorch.
const JUDGE: &str = "
import numpy, torch
from network import load
images = torch.from_numpy(numpy.load('../arrays/x_test.npy')).float() / 255
labels = torch.from_numpy(numpy.load('../arrays/y_test.npy')).long()
with torch.no_grad():
    logits = load()(images)
try:
    import onnxruntime, onnxscript
except ModuleNotFoundError:
    pass
else:
    from network import to_onnx
    to_onnx('network.onnx', *images.shape[1:])
    found = onnxruntime.InferenceSession('network.onnx').run(None, {'images': images.numpy()})[0]
    assert abs(found - logits.numpy()).max() < 1e-3, abs(found - logits.numpy()).max()
print(torch.nn.functional.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item())
";

/// Writes 11x14 images with their labels. In each class another of the three colors is bright, or none.
fn arrays(world: &World, part: &str, count: usize) {
    let mut state = count as u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let labels: Vec<u8> = (0..count).map(|image| (image % 4) as u8).collect();
    let pixel =
        |label: u8, at: usize, noise: u8| if at / (11 * 14) == usize::from(label) { noise / 2 + 100 } else { noise };
    let image = |label: &u8| (0..3 * 11 * 14).map(|at| pixel(*label, at, noise())).collect::<Vec<u8>>();
    let images: Vec<u8> = labels.iter().flat_map(image).collect();
    npy(&world.path(&format!("arrays/x_{part}.npy")), &format!("({count}, 3, 11, 14)"), &images);
    npy(&world.path(&format!("arrays/y_{part}.npy")), &format!("({count},)"), &labels);
}

/// Runs a sweep of two trials to its end. The best trial has its weights.
fn swept(model: &str) -> World {
    let world = World::new();
    std::fs::create_dir_all(world.path("arrays")).expect("the folder is writable");
    arrays(&world, "train", 160);
    arrays(&world, "test", 80);
    world.write("s.yaml", &format!("{SWEEP}{model}"));
    world.expect("run s.yaml --progress none --no-check", 0);
    world
}

#[test]
fn what_stands_where_an_export_goes_is_left_alone() {
    let world = swept(FLAT);
    let said = world.expect("export results/s --out model", 0);
    assert!(said.contains("wrote model/network.py") && said.contains("model/best.safetensors"), "{said}");
    world.expect("export results/s --out model", 0);
    let module = world.read("model/network.py");
    world.write("model/network.py", &(module.clone() + "# mine\n"));
    let said = world.expect("export results/s --out model", 2);
    assert!(said.contains("model/network.py already exists and has other contents"), "{said}");
    assert!(world.read("model/network.py").ends_with("# mine\n"));
    // The weights of the other trial were not kept.
    let best = if module.contains("Trial 0001") { 1 } else { 2 };
    let said = world.expect(&format!("export results/s {}", 3 - best), 2);
    assert!(said.contains(&format!("`keep_best: 1` kept the weights of trials 000{best}")), "{said}");
}

#[test]
fn pytorch_judges_an_exported_network_as_the_trainer_did() {
    for model in [LAYERS, FLAT, BRANCHED] {
        judge(&swept(model));
    }
}

fn judge(world: &World) {
    world.expect("export results/s --out model", 0);
    let best = if world.read("model/network.py").contains("Trial 0001") { 1 } else { 2 };
    world.write("model/judge.py", JUDGE);
    #[allow(clippy::disallowed_methods, reason = "who runs the tests says which Python")]
    let named = std::env::var("PYTHON").ok();
    let pythons = named.into_iter().chain(["python3".to_owned()]);
    let judged = pythons
        .filter_map(|python| Command::new(python).arg("judge.py").current_dir(world.path("model")).output().ok())
        .find(|output| output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("No module"));
    let Some(judged) = judged else {
        eprintln!("skipped: there is no python with torch, numpy and safetensors; set PYTHON to one");
        return;
    };
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stderr));
    let said = String::from_utf8_lossy(&judged.stdout);
    let found: Vec<f64> = said
        .lines()
        .last()
        .unwrap_or_default()
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let rows = world.column("results/s/trials.csv", "best_val_loss");
    let losses: Vec<f64> = rows.iter().map(|loss| loss.parse().expect("a number")).collect();
    let accuracy: f64 = world.column("results/s/trials.csv", "best_val_accuracy")[best - 1].parse().expect("a number");
    assert!((found[0] - losses[best - 1]).abs() < 1e-5, "{said} against {losses:?}");
    assert!((found[1] - accuracy).abs() < 1e-6, "{said} against {accuracy}");
    assert!(accuracy > 0.5, "it learnt something: {accuracy}");
}
