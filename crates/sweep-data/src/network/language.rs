//! The language of `model:`: a list of layers. All errors are reported at once.

use std::borrow::Cow;

use serde_json::Value;

use super::fault::{Fault, Step, meant};
use super::reading::{Given, Reader};
use super::template::Template;
use super::value::flag;
use super::want::{self, Remedy, Way};
use sweep_core::describe::thousands;
use sweep_core::recipe::{Join, Layer, Padding};

/// Maximum number of layers in a network, after every `repeat` is expanded.
const MOST_LAYERS: usize = 1_000;
/// Maximum count of one `repeat`.
const MOST_REPEATS: u32 = 1_000;
/// Maximum number of items read, including those that produce no layer. This bounds nested repeats.
const MOST_ITEMS: u32 = 10_000;
/// Maximum number of filters of a convolution or units of a dense layer.
const MOST_OUTPUTS: u32 = 65_536;
/// Maximum side and stride of kernels and windows.
const LONGEST_SIDE: u32 = 1_024;

/// All names that an item may have.
const LAYERS: [&str; 24] = [
    "conv",
    "depthwise",
    "max_pool",
    "average_pool",
    "global_average_pool",
    "global_max_pool",
    "relu",
    "tanh",
    "gelu",
    "sigmoid",
    "silu",
    "leaky_relu",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "dropout",
    "downsample",
    "repeat",
    "residual",
    "multiply",
    "concat",
    "scale",
    "flatten",
    "dense",
];

impl Template {
    /// Resolves references with `lookup`, which must also know `classes`, and reads the layers.
    ///
    /// # Errors
    /// Returns all errors at once, in order of appearance.
    pub fn layers(&self, lookup: &dyn Fn(&str) -> Option<Value>) -> Result<Vec<Layer>, Vec<Fault>> {
        let mut reader = Reader::new(lookup);
        if let Some(list) = reader.resolve(&self.layers, None) {
            reader.list(&list);
        }
        if reader.faults.is_empty() { Ok(reader.layers) } else { Err(reader.faults) }
    }
}

impl Reader<'_> {
    fn list(&mut self, list: &Given<'_>) {
        let items = match list.value.as_ref() {
            Value::Array(items) if !items.is_empty() => items,
            _ => return self.fault(list, "must be a list of layers, at least one", "write one `- layer` per line"),
        };
        for (index, item) in items.iter().enumerate() {
            self.items += 1;
            if self.items > MOST_ITEMS || self.layers.len() > MOST_LAYERS {
                let rule = format!(
                    "has too many layers: at most {} are allowed, with repeats expanded",
                    thousands(MOST_LAYERS as u64)
                );
                return self.fault(list, rule, "use fewer repeats");
            }
            self.at(Step::Index(index), |reader| {
                if let Some(item) = reader.resolve(item, list.setting.as_deref()) {
                    reader.item(&item);
                }
            });
        }
    }

    /// Reads one item of a list: a layer's name, alone or with its arguments.
    fn item(&mut self, item: &Given<'_>) {
        match item.value.as_ref() {
            Value::String(name) => self.named(name, item, None),
            Value::Object(entry) if entry.len() == 1 => {
                for (name, value) in entry {
                    self.at(Step::Key(name.clone()), |reader| {
                        if let Some(value) = reader.resolve(value, item.setting.as_deref()) {
                            reader.named(name, item, Some(value));
                        }
                    });
                }
            }
            _ => self.fault(
                item,
                "each list item must be one layer",
                "write `- relu` or `- conv: 32`, with one `-` for each layer",
            ),
        }
    }

    /// Reads the layer with this name. `given` is the value under the name.
    fn named(&mut self, name: &str, item: &Given<'_>, given: Option<Given<'_>>) {
        let bare = given.is_none();
        let given = given.unwrap_or(Given { value: Cow::Owned(Value::Null), setting: item.setting.clone() });
        let layer = match name {
            "conv" => self.conv(&given),
            "depthwise" => self.depthwise(&given),
            "dense" => self.dense(&given),
            "max_pool" => self.pool(&given).map(|(size, stride)| Layer::MaxPool { size, stride }),
            "average_pool" => self.pool(&given).map(|(size, stride)| Layer::AveragePool { size, stride }),
            "batch_norm" => self.batch_norm(&given),
            "dropout" => self.dropout(&given),
            "downsample" => return self.downsample(&given),
            "repeat" => return self.repeat(&given),
            "residual" => return self.joined(&given, "residual", Join::Add, true),
            "multiply" => return self.joined(&given, "multiply", Join::Multiply, false),
            "concat" => return self.concat(&given),
            "scale" => self.scale(&given),
            "leaky_relu" => self.leaky_relu(&given),
            "layer_norm" => self.layer_norm(&given),
            "group_norm" => self.group_norm(&given),
            "global_average_pool" => self.plain(&given, Layer::GlobalAveragePool),
            "global_max_pool" => self.plain(&given, Layer::GlobalMaxPool),
            "relu" => self.plain(&given, Layer::Relu),
            "tanh" => self.plain(&given, Layer::Tanh),
            "gelu" => self.plain(&given, Layer::Gelu),
            "sigmoid" => self.plain(&given, Layer::Sigmoid),
            "silu" => self.plain(&given, Layer::Silu),
            "flatten" => self.plain(&given, Layer::Flatten),
            "softmax" | "log_softmax" => {
                let rule = format!("unknown layer `{name}`: the loss already contains it");
                return self.fault(
                    if bare { item } else { &given },
                    rule,
                    "remove it; the last layer is `dense: ${classes}`",
                );
            }
            _ => {
                let remedy = format!("{}Known layers: {}", meant(name, &LAYERS), LAYERS.join(", "));
                return self.fault(if bare { item } else { &given }, format!("unknown layer `{name}`"), remedy);
            }
        };
        self.layers.extend(layer);
    }

    fn plain(&mut self, given: &Given<'_>, layer: Layer) -> Option<Layer> {
        if !given.value.is_null() {
            self.fault(given, format!("{layer} takes no arguments"), format!("write `- {layer}`"));
        }
        Some(layer)
    }

    fn conv(&mut self, given: &Given<'_>) -> Option<Layer> {
        let keys = ["filters", "kernel", "stride", "padding", "bias", "max_norm", "groups"];
        let fields = self.fields(given, "filters", &keys);
        let filters =
            self.field(&fields, "filters", want::count(1..=MOST_OUTPUTS, want::layer("conv", "32", "")), None);
        let groups = self.field(&fields, "groups", want::count(1..=MOST_OUTPUTS, want::value("2")), Some(1));
        let kernel = self.field(&fields, "kernel", want::count(1..=LONGEST_SIDE, want::value("3")), Some(3));
        let stride =
            self.field(&fields, "stride", want::count(1..=LONGEST_SIDE, Remedy::Text("write 1 or 2")), Some(1));
        let padding = self.field(&fields, "padding", want::padding(), Some(Padding::Same));
        let bias = self.field(&fields, "bias", want::boolean(), Some(true));
        let max_norm = self.field(&fields, "max_norm", want::max_norm(), Some(None));
        let (filters, groups, kernel, stride) = (filters?, groups?, kernel?, stride?);
        let (padding, bias, max_norm) = (padding?, bias?, max_norm?);
        if groups == 1 {
            return Some(Layer::Conv { filters, kernel, stride, padding, bias, max_norm });
        }
        if filters % groups > 0 {
            let rule = format!("{filters} filters cannot be divided into {groups} groups");
            self.fault(given, rule, "choose a number of groups that divides the filters");
            return None;
        }
        Some(Layer::GroupedConv { filters, groups, kernel, stride, padding, bias, max_norm })
    }

    fn depthwise(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "kernel", &["kernel", "stride", "padding", "bias", "max_norm"]);
        let kernel = want::count(1..=LONGEST_SIDE, want::layer("depthwise", "3", ""));
        let kernel = self.field(&fields, "kernel", kernel, Some(3));
        let stride =
            self.field(&fields, "stride", want::count(1..=LONGEST_SIDE, Remedy::Text("write 1 or 2")), Some(1));
        let padding = self.field(&fields, "padding", want::padding(), Some(Padding::Same));
        let bias = self.field(&fields, "bias", want::boolean(), Some(true));
        let max_norm = self.field(&fields, "max_norm", want::max_norm(), Some(None));
        let (kernel, stride, padding) = (kernel?, stride?, padding?);
        Some(Layer::Depthwise { kernel, stride, padding, bias: bias?, max_norm: max_norm? })
    }

    fn dense(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "units", &["units", "bias", "max_norm"]);
        let units = self.field(&fields, "units", want::count(1..=MOST_OUTPUTS, want::layer("dense", "512", "")), None);
        let bias = self.field(&fields, "bias", want::boolean(), Some(true));
        let max_norm = self.field(&fields, "max_norm", want::max_norm(), Some(None));
        Some(Layer::Dense { units: units?, bias: bias?, max_norm: max_norm? })
    }

    /// Returns size and stride. By default the windows are adjacent.
    fn pool(&mut self, given: &Given<'_>) -> Option<(u32, u32)> {
        let fields = self.fields(given, "size", &["size", "stride"]);
        let size = self.field(&fields, "size", want::count(1..=LONGEST_SIDE, want::layer("max_pool", "2", "")), None);
        let stride = self.field(&fields, "stride", want::count(1..=LONGEST_SIDE, want::value("2")), size.or(Some(1)));
        Some((size?, stride?))
    }

    fn batch_norm(&mut self, given: &Given<'_>) -> Option<Layer> {
        let wanted = if given.value.is_null() { Some(true) } else { flag(&given.value) };
        match (wanted, given.value.as_ref()) {
            (Some(false), _) => return None,
            (None, value) if !value.is_object() => {
                let rule = "true, false, or a table with momentum and epsilon".to_owned();
                self.invalid(given, "batch_norm", rule, Remedy::Text("write true or false"));
                return None;
            }
            _ => {}
        }
        let nothing = Given { value: Cow::Owned(Value::Null), setting: None };
        let given = if wanted == Some(true) { &nothing } else { given };
        let fields = self.fields(given, "momentum", &["momentum", "epsilon", "enabled"]);
        let enabled = self.field(&fields, "enabled", want::boolean(), Some(true));
        let momentum = self.field(&fields, "momentum", want::share(want::value("0.99")), Some(0.99));
        let epsilon = self.field(&fields, "epsilon", want::positive(want::value("1e-3")), Some(1e-3));
        let layer = Layer::BatchNorm { momentum: momentum?, epsilon: epsilon? };
        enabled?.then_some(layer)
    }

    fn layer_norm(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "epsilon", &["epsilon"]);
        let epsilon = self.field(&fields, "epsilon", want::positive(want::value("1e-5")), Some(1e-5));
        Some(Layer::LayerNorm { epsilon: epsilon? })
    }

    fn group_norm(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "groups", &["groups", "epsilon"]);
        let groups =
            self.field(&fields, "groups", want::count(1..=MOST_OUTPUTS, want::layer("group_norm", "8", "")), None);
        let epsilon = self.field(&fields, "epsilon", want::positive(want::value("1e-5")), Some(1e-5));
        Some(Layer::GroupNorm { groups: groups?, epsilon: epsilon? })
    }

    fn leaky_relu(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "slope", &["slope"]);
        let slope = self.field(&fields, "slope", want::share(want::layer("leaky_relu", "0.01", "")), Some(0.01));
        Some(Layer::LeakyRelu { slope: slope? })
    }

    fn scale(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "by", &["by"]);
        let by = self.field(&fields, "by", want::positive(want::layer("scale", "0.125", "")), None);
        Some(Layer::Scale { by: by? })
    }

    /// Reads `layers`, and `shortcut` where it is allowed, as branches with the same input. Without a shortcut, the
    /// second branch is the input itself.
    fn joined(&mut self, given: &Given<'_>, name: &str, by: Join, shortcut: bool) {
        let keys: &[&str] = if shortcut { &["layers", "shortcut"] } else { &["layers"] };
        let remedy = format!("write `{name}: {{layers: […]}}`");
        if !given.value.is_object() {
            return self.fault(given, format!("`{name}` requires `layers`"), remedy);
        }
        let known = self.faults.len();
        let fields = self.fields(given, "layers", keys);
        let Some(body) = fields.get("layers") else {
            if self.faults.len() == known {
                self.fault(given, format!("`{name}` requires `layers`"), remedy);
            }
            return;
        };
        self.layers.push(Layer::Fork);
        self.at(Step::Key("layers".into()), |reader| reader.list(body));
        self.layers.push(Layer::Branch);
        if let Some(shortcut) = fields.get("shortcut").filter(|given| !given.value.is_null()) {
            self.at(Step::Key("shortcut".into()), |reader| reader.list(shortcut));
        }
        self.layers.push(Layer::Join { by });
    }

    /// Reads a list of branches, each a list of layers.
    fn concat(&mut self, given: &Given<'_>) {
        let branches = match given.value.as_ref() {
            Value::Array(branches) if branches.len() > 1 => branches,
            _ => {
                let rule = "`concat` requires a list of at least two branches, each a list of layers";
                return self.fault(given, rule, "write `concat: [[{conv: 16}], [{conv: {filters: 16, kernel: 5}}]]`");
            }
        };
        for (index, branch) in branches.iter().enumerate() {
            self.layers.push(if index == 0 { Layer::Fork } else { Layer::Branch });
            self.at(Step::Index(index), |reader| {
                if let Some(branch) = reader.resolve(branch, given.setting.as_deref()) {
                    reader.list(&branch);
                }
            });
        }
        self.layers.push(Layer::Join { by: Join::Concat });
    }

    fn dropout(&mut self, given: &Given<'_>) -> Option<Layer> {
        let fields = self.fields(given, "rate", &["rate"]);
        let rate =
            self.field(&fields, "rate", want::share(want::layer("dropout", "0.2", " (0 for no dropout)")), None)?;
        (rate > 0.0).then_some(Layer::Dropout { rate })
    }

    fn downsample(&mut self, given: &Given<'_>) {
        let fields = self.fields(given, "by", &["by"]);
        match self.field(&fields, "by", want::way(), None) {
            Some(Way::Pool) => self.layers.push(Layer::MaxPool { size: 2, stride: 2 }),
            Some(Way::Stride) => self.stride(given),
            Some(Way::None) | None => {}
        }
    }

    /// Gives the most recent convolution a stride of 2.
    fn stride(&mut self, given: &Given<'_>) {
        let marks = |layer: &&mut Layer| !matches!(layer, Layer::Fork | Layer::Branch | Layer::Join { .. });
        let nearest = self.layers.iter_mut().rev().take_while(marks).find_map(|layer| match layer {
            Layer::Conv { stride, .. } | Layer::GroupedConv { stride, .. } | Layer::Depthwise { stride, .. } => {
                Some(stride)
            }
            _ => None,
        });
        match nearest {
            Some(stride @ 1) => *stride = 2,
            Some(stride) => {
                let rule = format!("the preceding convolution already has a stride of {stride}");
                self.fault(given, rule, "write pool, or add another convolution before this layer");
            }
            None => self.fault(given, "no preceding convolution can take the stride", "write pool or none"),
        }
    }

    fn repeat(&mut self, given: &Given<'_>) {
        if !given.value.is_object() {
            return self.fault(
                given,
                "`repeat` requires `times` and `layers`",
                "write `repeat: {times: 2, layers: […]}`",
            );
        }
        let known = self.faults.len();
        let fields = self.fields(given, "times", &["times", "layers"]);
        let times = self.field(&fields, "times", want::count(0..=MOST_REPEATS, want::value("2")), None);
        let Some(body) = fields.get("layers") else {
            if self.faults.len() == known {
                self.fault(given, "`repeat` requires `layers`", "write `repeat: {times: 2, layers: […]}`");
            }
            return;
        };
        // A body with an error is read only once, because every repetition has the same errors.
        let known = self.faults.len();
        for _ in 0..times.unwrap_or(1) {
            self.at(Step::Key("layers".into()), |reader| reader.list(body));
            if self.faults.len() > known {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_with(settings: &Value, layers: Value) -> Result<Vec<Layer>, Vec<Fault>> {
        Template::new(layers).layers(&|name| settings.get(name).cloned())
    }

    fn read(layers: Value) -> Vec<Layer> {
        read_with(&json!({}), layers).unwrap()
    }

    /// Returns the errors as the user sees them.
    fn faults(layers: Value) -> Vec<String> {
        read_with(&json!({"classes": 10}), layers).unwrap_err().iter().map(Fault::to_string).collect()
    }

    #[test]
    fn defaults_and_short_forms_are_those_of_the_language() {
        let conv =
            Layer::Conv { filters: 32, kernel: 3, stride: 1, padding: Padding::Same, bias: true, max_norm: None };
        let batch_norm = Layer::BatchNorm { momentum: 0.99, epsilon: 1e-3 };
        assert_eq!(read(json!([{"conv": 32}, {"conv": {"filters": "32.0"}}])), [conv, conv]);
        assert_eq!(read(json!([{"max_pool": 3}])), [Layer::MaxPool { size: 3, stride: 3 }]);
        assert_eq!(
            read(json!([{"average_pool": {"size": 3, "stride": 1}}])),
            [Layer::AveragePool { size: 3, stride: 1 }]
        );
        assert_eq!(read(json!(["batch_norm", {"batch_norm": "on"}, {"batch_norm": {}}])), [batch_norm; 3]);
        assert_eq!(
            read(json!([{"batch_norm": {"momentum": 0.9, "epsilon": "1e-5"}}])),
            [Layer::BatchNorm { momentum: 0.9, epsilon: 1e-5 }]
        );
        assert_eq!(
            read(json!([{"dense": {"units": 4, "bias": "no", "max_norm": 3}}])),
            [Layer::Dense { units: 4, bias: false, max_norm: Some(3.0) }]
        );
        let plain = json!(["relu", "tanh", "gelu", "sigmoid", "flatten", "global_average_pool", {"relu": null}]);
        let [relu, average] = [Layer::Relu, Layer::GlobalAveragePool];
        assert_eq!(read(plain), [relu, Layer::Tanh, Layer::Gelu, Layer::Sigmoid, Layer::Flatten, average, relu]);
    }

    #[test]
    fn branches_are_written_out_between_marks() {
        let conv =
            |filters| Layer::Conv { filters, kernel: 3, stride: 1, padding: Padding::Same, bias: true, max_norm: None };
        let join = |by| Layer::Join { by };
        let (fork, branch, relu, tanh) = (Layer::Fork, Layer::Branch, Layer::Relu, Layer::Tanh);
        let layers = read(json!([{"residual": {"layers": [{"conv": 8}, "relu"]}}]));
        assert_eq!(layers, [fork, conv(8), relu, branch, join(Join::Add)]);
        let layers = read(json!([{"residual": {"layers": ["relu"], "shortcut": [{"conv": 8}]}}]));
        assert_eq!(layers, [fork, relu, branch, conv(8), join(Join::Add)]);
        let layers = read(json!([{"concat": [["relu"], [{"conv": 4}, {"residual": {"layers": ["tanh"]}}], ["tanh"]]}]));
        let expected =
            [fork, relu, branch, conv(4), fork, tanh, branch, join(Join::Add), branch, tanh, join(Join::Concat)];
        assert_eq!(layers, expected);
        let squeeze = read(json!([{"multiply": {"layers": ["global_average_pool", {"dense": 8}, "sigmoid"]}}]));
        assert_eq!(squeeze[4..], [branch, join(Join::Multiply)]);
        for (wrong, expected) in [
            (json!([{"residual": ["relu"]}]), "model[0].residual: [\"relu\"]: `residual` requires `layers`"),
            (json!([{"concat": [["relu"]]}]), "requires a list of at least two branches"),
            (json!([{"concat": [["relu"], ["rellu"]]}]), "model[0].concat[1][0]: rellu: unknown layer"),
            (json!([{"residual": {"layers": ["relu"], "way": 1}}]), "unknown key `way`"),
            (json!([{"conv": 4}, {"residual": {"layers": ["relu", {"downsample": "stride"}]}}]), "no preceding conv"),
            (json!([{"conv": {"filters": 10, "groups": 4}}]), "10 filters cannot be divided into 4 groups"),
        ] {
            let faults = faults(wrong);
            assert!(faults.len() == 1 && faults[0].contains(expected), "{faults:?}");
        }
        assert_eq!(
            read(json!([{"depthwise": 5}, {"downsample": "stride"}, {"leaky_relu": 0.1}, {"group_norm": 4}])),
            [
                Layer::Depthwise { kernel: 5, stride: 2, padding: Padding::Same, bias: true, max_norm: None },
                Layer::LeakyRelu { slope: 0.1 },
                Layer::GroupNorm { groups: 4, epsilon: 1e-5 }
            ]
        );
        assert_eq!(read(json!(["relu", {"batch_norm": {"enabled": false, "momentum": 0.9}}])), [relu]);
    }

    #[test]
    fn what_is_switched_off_vanishes() {
        assert_eq!(read(json!(["relu", {"batch_norm": false}, {"dropout": 0}, {"downsample": "none"}])), [Layer::Relu]);
    }

    #[test]
    fn a_stride_goes_to_the_nearest_convolution_before() {
        let layers = read(json!([{"conv": 8}, {"conv": 16}, "relu", {"downsample": "stride"}, {"conv": 24}]));
        let strides: Vec<u32> = layers
            .iter()
            .filter_map(|layer| if let Layer::Conv { stride, .. } = layer { Some(*stride) } else { None })
            .collect();
        assert_eq!(strides, [1, 2, 1]);
        let fault = faults(json!([{"conv": 8}, {"downsample": "stride"}, "relu", {"downsample": "stride"}]));
        assert!(
            fault[0].starts_with("model[3].downsample: stride: the preceding convolution already has a stride of 2"),
            "{fault:?}"
        );
    }

    #[test]
    fn a_repeat_is_written_out_and_may_hold_another() {
        let inner = json!({"repeat": {"times": 2, "layers": ["tanh"]}});
        let layers = read(json!([{"repeat": {"times": 2, "layers": ["relu", inner]}}]));
        let (relu, tanh) = (Layer::Relu, Layer::Tanh);
        assert_eq!(layers, [relu, tanh, tanh, relu, tanh, tanh]);
        assert_eq!(read(json!([{"repeat": {"times": 0, "layers": ["relu"]}}, "tanh"])), [tanh]);
    }

    #[test]
    fn repeats_of_repeats_are_bounded_even_where_nothing_is_left_of_them() {
        for innermost in [json!("relu"), json!({"dropout": 0})] {
            let mut layers = json!([innermost]);
            for _ in 0..5 {
                layers = json!([{"repeat": {"times": 1000, "layers": layers}}]);
            }
            let faults = faults(layers);
            assert!(faults.iter().all(|fault| fault.contains("at most 1,000 are allowed")), "{faults:?}");
            assert!(faults.len() <= 2, "{faults:?}");
        }
    }

    #[test]
    fn a_reference_takes_the_first_setting_that_is_set_else_the_literal() {
        let layers = json!([{"dropout": "${a|b|0.2}"}]);
        let rate = |settings| read_with(&settings, layers.clone()).unwrap();
        assert_eq!(rate(json!({"a": 0.5, "b": 0.1})), [Layer::Dropout { rate: 0.5 }]);
        assert_eq!(rate(json!({"b": "1e-1"})), [Layer::Dropout { rate: 0.1 }]);
        assert_eq!(rate(json!({})), [Layer::Dropout { rate: 0.2 }]);
        assert_eq!(read_with(&json!({"a": 0}), layers).unwrap(), []);
    }

    #[test]
    fn null_is_a_value_that_outweighs_the_literal() {
        let layers = json!([{"dense": {"units": 4, "max_norm": "${max_norm|3}"}}]);
        for off in [json!(null), json!(false), json!("off")] {
            let read = read_with(&json!({ "max_norm": off }), layers.clone()).unwrap();
            assert_eq!(read, [Layer::Dense { units: 4, bias: true, max_norm: None }]);
        }
    }

    #[test]
    fn a_setting_may_be_a_layer_or_a_list_but_refers_no_further() {
        let itself = json!([{"repeat": {"times": 1, "layers": "${loop}"}}]);
        let settings = json!({"act": "tanh", "body": [{"dropout": 0.5}, "relu"], "loop": itself});
        let read = read_with(&settings, json!(["${act}", {"repeat": {"times": 1, "layers": "${body}"}}])).unwrap();
        assert_eq!(read, [Layer::Tanh, Layer::Dropout { rate: 0.5 }, Layer::Relu]);
        let faults = read_with(&settings, json!("${loop}")).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].rule.contains("not followed"), "{}", faults[0]);
    }

    #[test]
    fn all_faults_come_at_once_each_with_its_place_value_rule_and_remedy() {
        let told = faults(json!([
            {"conv": {"filters": 0, "kernle": 3, "padding": "full"}},
            "rellu",
            {"dropout": 1},
            {"dense": "${units}"},
            {"repeat": {"times": 2, "layers": [{"max_pool": "x"}]}},
            {"relu": 3},
            {"conv": 8, "relu": null},
            {"dense": {"units": 10, "activation": "relu"}},
            "dense",
            7,
            {"batch_norm": "maybe"},
            {"dense": 1e30},
            {"dense": "x${classes}"}
        ]));
        let expected = [
            "model[0].conv.kernle: 3: unknown key `kernle`; did you mean `kernel`? Known keys: filters, kernel, ",
            "model[0].conv.filters: `filters` is 0, but must be an integer from 1 to 65,536; for example, write \
             `conv: 32`",
            "model[0].conv.padding: `padding` is full, but must be same or valid; write same to keep the size",
            "model[1]: rellu: unknown layer `rellu`; did you mean `relu`? Known layers: conv, ",
            "model[2].dropout: `rate` is 1, but must be a number of at least 0 and below 1; for example, write \
             `dropout: 0.2` (0 for no dropout)",
            "model[3].dense: ${units}: refers to `units`, which has no value; add `units` under `parameters:`, or \
             write a default: `${uni",
            "model[4].repeat.layers[0].max_pool: `size` is x, but must be an integer from 1 to 1,024; ",
            "model[5].relu: 3: relu takes no arguments; write `- relu`",
            r#"model[6]: {"conv":8,"relu":null}: each list item must be one layer; "#,
            "model[7].dense.activation: relu: unknown key `activation`; write the activation as a separate layer: ",
            "model[8]: `units` is missing, but must be an integer",
            "model[9]: 7: each list item must be one layer; ",
            "model[10].batch_norm: `batch_norm` is maybe, but must be true, false, or a table",
            "model[11].dense: `units` is 1e+30, but must be an integer from 1 to 65,536; ",
            "model[12].dense: x${classes}: contains a reference and other text, but a reference must be the whole \
             value",
        ];
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}\nis not\n{expected}");
        }
    }

    #[test]
    fn a_fault_names_the_setting_that_the_value_came_from() {
        let faults = read_with(&json!({"p": 1.5}), json!([{"dropout": "${p}"}])).unwrap_err();
        assert_eq!(faults[0].setting.as_deref(), Some("p"));
        assert_eq!(faults[0].value, "1.5 (from `p`)");
    }

    #[test]
    fn what_is_no_list_of_layers_is_a_fault() {
        for model in [json!(null), json!("conv"), json!({"conv": 3}), json!([])] {
            assert!(faults(model)[0].contains("a list of layers"));
        }
    }
}
