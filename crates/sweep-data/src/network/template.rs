//! A network before its parameters are known: presets, and the `model:` list of a sweep file.

use serde_json::Value;

use super::reference::reference;

/// The names of the presets, which are files in the folder `presets/` next to this file.
pub const PRESETS: [&str; 9] =
    ["question", "strided", "small", "thin", "linear", "resnet9", "resnet18", "mobile", "wide"];

/// A network with unresolved references (`${name}`, `${name|other|literal}`).
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    pub(super) layers: Value,
}

impl Template {
    /// Returns the preset with this name, one of [`PRESETS`].
    pub fn preset(name: &str) -> Option<Template> {
        let text = match name {
            "question" => include_str!("presets/question.yaml"),
            "strided" => include_str!("presets/strided.yaml"),
            "small" => include_str!("presets/small.yaml"),
            "thin" => include_str!("presets/thin.yaml"),
            "linear" => include_str!("presets/linear.yaml"),
            "resnet9" => include_str!("presets/resnet9.yaml"),
            "resnet18" => include_str!("presets/resnet18.yaml"),
            "mobile" => include_str!("presets/mobile.yaml"),
            "wide" => include_str!("presets/wide.yaml"),
            _ => return None,
        };
        Some(Template::new(serde_yaml::from_str(text).expect("every preset is parsed by a test")))
    }

    /// Creates a template from the `model:` list of a sweep file. Any value is accepted here, and [`Template::layers`]
    /// reports the errors in it.
    pub fn new(layers: Value) -> Template {
        Template { layers }
    }

    /// Returns the names that it refers to, in order of appearance and without `classes`. A chain `${a|b|0.2}` refers
    /// to a and b.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        collect(&self.layers, &mut names);
        names
    }

    /// Returns the value that takes the place of a name that is not set. `None` if there is none, or if it differs from
    /// place to place.
    pub fn literal(&self, name: &str) -> Option<Value> {
        let mut found = Vec::new();
        literals(&self.layers, name, &mut found);
        found.pop().filter(|_| found.is_empty())
    }
}

/// Collects the values that are used if a name is not set: the literals of the references that begin with the name.
fn literals(value: &Value, name: &str, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| literals(item, name, found)),
        Value::Object(entries) => entries.values().for_each(|entry| literals(entry, name, found)),
        Value::String(text) => {
            if let Some(Ok(reference)) = reference(text)
                && reference.names.contains(&name)
                && let Some(literal) = reference.literal
                && !found.contains(&literal)
            {
                found.push(literal);
            }
        }
        _ => {}
    }
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(entries) => entries.values().for_each(|entry| collect(entry, names)),
        Value::String(text) => {
            let found = reference(text).and_then(Result::ok).map(|reference| reference.names).unwrap_or_default();
            for name in found {
                if name != "classes" && !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Extent, Shape, Summary, shapes};
    use super::*;

    const CIFAR: Shape = Shape { channels: 3, height: 32, width: 32 };

    /// Returns the preset for CIFAR-10 with these parameters, or the error.
    fn built(name: &str, settings: Value) -> Result<Summary, String> {
        let lookup = |name: &str| if name == "classes" { Some(json!(10)) } else { settings.get(name).cloned() };
        let layers = Template::preset(name).unwrap().layers(&lookup);
        let layers = layers.map_err(|faults| faults.iter().map(|fault| format!("{fault}\n")).collect::<String>())?;
        shapes(CIFAR, &layers).map_err(|fault| fault.to_string())
    }

    fn parameters(name: &str, settings: Value) -> u64 {
        built(name, settings).unwrap().parameters
    }

    /// Returns every layer with its output shape, one per line.
    fn drawn(name: &str, settings: Value) -> Vec<String> {
        let summary = built(name, settings).unwrap();
        summary.rows.iter().map(|row| format!("{} → {}", row.layer, row.output)).collect()
    }

    #[test]
    fn presets_have_the_parameters_that_were_published() {
        assert_eq!(parameters("question", json!({})), 2_915_114);
        assert_eq!(parameters("question", json!({"batch_norm": true})), 2_918_634);
        assert_eq!(parameters("strided", json!({})), 1_825_002);
        assert_eq!(parameters("small", json!({})), 1_437_962);
        assert_eq!(parameters("thin", json!({})), 183_242);
        assert_eq!(parameters("linear", json!({})), 30_730);
        assert_eq!(parameters("resnet9", json!({})), 6_573_120);
        assert_eq!(parameters("resnet18", json!({})), 11_173_962);
        assert_eq!(parameters("mobile", json!({})), 3_217_226);
        assert_eq!(parameters("wide", json!({})), 2_748_890);
    }

    #[test]
    fn downsampling_the_other_way_keeps_every_presets_parameters() {
        for name in ["question", "strided", "small", "thin", "resnet9", "resnet18", "mobile", "wide"] {
            let [pool, stride] = ["pool", "stride"].map(|way| parameters(name, json!({"downsample": way})));
            assert_eq!(pool, stride, "{name}");
        }
        assert_eq!(parameters("linear", json!({"downsample": "pool"})), 3 * 16 * 16 * 10 + 10);
    }

    #[test]
    fn a_preset_that_has_no_convolution_says_so_where_a_stride_is_wanted() {
        let fault = built("linear", json!({"downsample": "stride"})).unwrap_err();
        assert!(fault.contains("stride (from `downsample`): no preceding convolution"), "{fault}");
    }

    #[test]
    fn every_preset_has_the_common_settings_and_ends_in_a_vector_of_classes() {
        for name in PRESETS {
            let names = Template::preset(name).unwrap().names();
            for common in ["dropout", "batch_norm", "downsample"] {
                assert!(names.iter().any(|known| known == common), "{name} {common}");
            }
            for settings in [json!({}), json!({"batch_norm": true, "dropout": 0.9}), json!({"batch_norm": "off"})] {
                let summary = built(name, settings).unwrap();
                assert_eq!(summary.rows.last().unwrap().output, Extent::Vector(10), "{name}");
            }
        }
    }

    #[test]
    fn without_regularization_none_is_left() {
        let bare = json!({"batch_norm": false, "dropout": 0, "max_norm": null});
        for name in PRESETS {
            for line in drawn(name, bare.clone()) {
                assert!(!line.contains("dropout") && !line.contains("norm"), "{name}: {line}");
            }
        }
    }

    #[test]
    fn a_rate_for_a_place_outweighs_the_common_one() {
        let lines = drawn("question", json!({"dropout_dense": 0.4, "dropout": 0.1, "dropout_conv_2": 0.3}));
        let rates: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix("dropout ")?.get(..3)).collect();
        assert_eq!(rates, ["0.1", "0.3", "0.1", "0.4", "0.4"]);
    }

    #[test]
    fn question_is_as_published_with_batch_norm() {
        let expected = "conv 32 3x3 same → 32x32x32
relu → 32x32x32
conv 32 3x3 same → 32x32x32
relu → 32x32x32
max_pool 2 → 32x16x16
batch_norm → 32x16x16
dropout 0.2 → 32x16x16
conv 64 3x3 same → 64x16x16
relu → 64x16x16
conv 64 3x3 same → 64x16x16
relu → 64x16x16
max_pool 2 → 64x8x8
batch_norm → 64x8x8
dropout 0.2 → 64x8x8
conv 128 3x3 same → 128x8x8
relu → 128x8x8
conv 128 3x3 same → 128x8x8
relu → 128x8x8
batch_norm → 128x8x8
max_pool 2 → 128x4x4
dropout 0.2 → 128x4x4
flatten → 2048
dense 1024 max_norm 3 → 1024
relu → 1024
batch_norm → 1024
dropout 0.5 → 1024
dense 512 max_norm 3 → 512
relu → 512
batch_norm → 512
dropout 0.5 → 512
dense 10 → 10";
        assert_eq!(drawn("question", json!({"batch_norm": true})).join("\n"), expected);
    }

    #[test]
    fn strided_is_as_published() {
        let expected = "conv 96 3x3 valid → 96x30x30
relu → 96x30x30
conv 96 3x3 stride 2 valid → 96x14x14
relu → 96x14x14
dropout 0.2 → 96x14x14
conv 192 3x3 valid → 192x12x12
relu → 192x12x12
conv 192 3x3 stride 2 valid → 192x5x5
relu → 192x5x5
dropout 0.5 → 192x5x5
flatten → 4800
batch_norm → 4800
dense 256 → 256
relu → 256
dense 10 → 10";
        assert_eq!(drawn("strided", json!({})).join("\n"), expected);
    }

    #[test]
    fn small_is_as_published_and_can_pool_instead() {
        let expected = "conv 32 3x3 valid → 32x30x30
relu → 32x30x30
dropout 0.1 → 32x30x30
conv 64 5x5 stride 2 valid without bias → 64x13x13
relu → 64x13x13
dropout 0.2 → 64x13x13
flatten → 10816
dense 128 → 128
relu → 128
dropout 0.3 → 128
dense 10 → 10";
        assert_eq!(drawn("small", json!({})).join("\n"), expected);
        let pooled = drawn("small", json!({"downsample": "pool"}));
        assert_eq!(
            pooled[3..6].join("\n"),
            "conv 64 5x5 valid without bias → 64x26x26
relu → 64x26x26
max_pool 2 → 64x13x13"
        );
    }

    #[test]
    fn thin_is_as_published() {
        let expected = "conv 64 4x4 same → 64x32x32
max_pool 2 → 64x16x16
relu → 64x16x16
dropout 0.25 → 64x16x16
conv 64 2x2 same → 64x16x16
relu → 64x16x16
dropout 0.25 → 64x16x16
conv 32 3x3 same → 32x16x16
relu → 32x16x16
dropout 0.25 → 32x16x16
conv 32 3x3 same → 32x16x16
relu → 32x16x16
max_pool 2 → 32x8x8
dropout 0.15 → 32x8x8
flatten → 2048
dense 64 → 64
relu → 64
dropout 0.25 → 64
dense 64 → 64
tanh → 64
dropout 0.25 → 64
dense 10 → 10";
        assert_eq!(drawn("thin", json!({})).join("\n"), expected);
        assert_eq!(drawn("linear", json!({})), ["flatten → 3072", "dense 10 → 10"]);
    }

    #[test]
    fn names_come_once_in_order_without_literals_and_classes() {
        let template = Template::new(json!([
            {"conv": {"filters": "${width}", "kernel": "${side|3}"}},
            {"repeat": {"times": 2, "layers": ["${activation}", {"dropout": "${b|width|0.2}"}]}},
            {"dense": "${classes}"}
        ]));
        assert_eq!(template.names(), ["width", "side", "activation", "b"]);
    }
}
