//! The table of everything that can be set in `data` and `training`. Reading the sections, checking the values of
//! parameters, and suggesting names all use it. A new setting is added here, and in `recipe.rs` where it takes effect.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::kind::{Complaint, Kind, What, either};
use super::plain;
use sweep_core::nearest::suggest;
use sweep_data::network::PRESETS;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Section of the file that has the setting.
    pub section: Section,
    /// Name of the setting as a parameter. It has a dot if the setting is in a nested table.
    pub name: &'static str,
    /// The setting in whose table this one may be written, if any.
    pub group: Option<&'static str>,
    /// The choices of its group that use the setting. Empty means all choices.
    pub only: &'static [&'static str],
    /// Valid values.
    pub kind: Kind,
    /// Value if the file does not give one.
    pub default: Default,
    /// Description for a user who wrote an invalid value; continues `this is …`.
    pub about: &'static str,
}

/// A section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The section `data:`.
    Data,
    /// The section `training:`.
    Training,
}

impl Section {
    /// Returns the section's key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Section::Data => "data",
            Section::Training => "training",
        }
    }
}

/// Value of a setting if the file does not give one.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// No value: `null`. The text is an example of what to write instead.
    Absent(&'static str),
    /// A boolean.
    Flag(bool),
    /// An integer.
    Whole(u64),
    Number(f64),
    Word(&'static str),
}

use self::Default::{Absent, Flag, Number, Whole, Word};
use Kind::{
    AtLeastOne, Boolean, Choice, Degrees, HeldOut, Normalize, NotNegative, Optional, Positive, Share, Table, Text,
    Validation, Warmup,
};
use Section::{Data, Training};

const fn row(section: Section, name: &'static str, kind: Kind, default: Default, about: &'static str) -> Setting {
    Setting { section, name, group: None, only: &[], kind, default, about }
}

impl Setting {
    /// Puts the setting in the table of the setting `group`.
    const fn of(self, group: &'static str) -> Setting {
        Setting { group: Some(group), ..self }
    }

    /// Limits the setting to these choices of its group.
    const fn only(self, choices: &'static [&'static str]) -> Setting {
        Setting { only: choices, ..self }
    }
}

const ADAMS: &[&str] = &["adam", "adamw", "nadam"];
const OPTIMIZERS: &[&str] = &["adam", "adamw", "sgd", "rmsprop", "adadelta", "nadam"];
const SHAPES: &[&str] = &["constant", "step", "cosine", "one_cycle", "plateau"];

/// Names of the data sets.
pub const SETS: [&str; 7] = ["digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "folder", "arrays"];

/// All settings.
pub static SETTINGS: &[Setting] = &[
    row(Data, "set", Choice(&SETS), Absent("digits"), "the data set"),
    row(Data, "path", Text, Absent("data/images"), "the data set's file or folder, relative to the sweep file"),
    row(Data, "order", Choice(&["nchw", "nhwc"]), Absent("nhwc"), "the axis order of the image array"),
    row(
        Data,
        "resize",
        Optional(&Kind::Whole { least: 1, most: 4096 }),
        Absent("64"),
        "the side of all images, in pixels",
    ),
    row(Data, "fit", Choice(&["crop", "pad", "stretch"]), Word("crop"), "how an image that is not square is resized"),
    row(Data, "labels", Text, Absent("labels.csv"), "the CSV file of labels, relative to the folder of images"),
    row(
        Data,
        "validation",
        Validation,
        Number(0.1),
        "the fraction or number of training images to hold out for validation; `val` or `test` are the data's own",
    ),
    row(
        Data,
        "test",
        Optional(&HeldOut),
        Absent("0.1"),
        "the fraction or number of images that are tested once, at the end",
    ),
    row(
        Data,
        "split_seed",
        Optional(&Kind::Whole { least: 0, most: u64::MAX }),
        Absent("0"),
        "the seed that draws which images are held out; without it, the sweep's `seed` does",
    ),
    row(
        Data,
        "train_examples",
        Optional(&Kind::whole(1)),
        Absent("1000"),
        "the maximum number of training images to use",
    ),
    row(
        Data,
        "normalize",
        Normalize,
        Word("none"),
        "how values are normalized per channel: none, dataset, or the means and deviations of values from 0 to 1",
    ),
    row(Data, "augment", Table, Absent("{flip: true, crop: 4}"), "the random changes to the training images"),
    row(Data, "augment.flip", Boolean, Flag(false), "whether images are mirrored at random, half of the time")
        .of("augment"),
    row(Data, "augment.crop", Kind::whole(0), Whole(0), "the maximum shift of an image, in pixels").of("augment"),
    row(
        Data,
        "augment.border",
        Choice(&["black", "reflect"]),
        Word("black"),
        "what fills the area that a shift uncovers",
    )
    .of("augment"),
    row(Data, "augment.rotate", Degrees, Number(0.0), "the maximum rotation of an image, in degrees").of("augment"),
    row(Data, "augment.scale", Share, Number(0.0), "the maximum relative change of an image's size").of("augment"),
    row(Data, "augment.noise", NotNegative, Number(0.0), "the standard deviation of the pixel noise, where white is 1")
        .of("augment"),
    row(Data, "augment.cutout", Kind::whole(0), Whole(0), "the side of the blacked-out square, in pixels")
        .of("augment"),
    row(Data, "augment.brightness", Share, Number(0.0), "the maximum relative change of brightness").of("augment"),
    row(Data, "augment.contrast", Share, Number(0.0), "the maximum relative change of contrast").of("augment"),
    row(Data, "augment.saturation", Share, Number(0.0), "the maximum relative change of saturation").of("augment"),
    row(Data, "augment.erase", Share, Number(0.0), "the fraction of images in which a rectangle is blacked out")
        .of("augment"),
    row(Data, "augment.mixup", NotNegative, Number(0.0), "the alpha of mixup, which blends pairs of images")
        .of("augment"),
    row(
        Data,
        "augment.cutmix",
        NotNegative,
        Number(0.0),
        "the alpha of CutMix, which pastes rectangles of other images",
    )
    .of("augment"),
    row(
        Data,
        "augment.rand_augment",
        Share,
        Number(0.0),
        "the strength of two random rotations, shears or shifts, as a fraction of the strongest ones",
    )
    .of("augment"),
    row(Training, "epochs", Kind::whole(1), Whole(10), "the number of passes over the training images"),
    row(Training, "batch_size", Kind::whole(1), Whole(128), "the number of images per step"),
    row(Training, "learning_rate", Positive, Absent("0.001"), "the learning rate of the optimizer"),
    row(Training, "optimizer", Choice(OPTIMIZERS), Word("adam"), "the optimizer"),
    row(Training, "momentum", Share, Number(0.0), "the fraction of the previous update that is kept")
        .of("optimizer")
        .only(&["sgd", "rmsprop"]),
    row(Training, "nesterov", Boolean, Flag(false), "whether momentum is Nesterov momentum")
        .of("optimizer")
        .only(&["sgd"]),
    row(Training, "beta1", Share, Number(0.9), "the decay rate of the running mean of the gradient")
        .of("optimizer")
        .only(ADAMS),
    row(Training, "beta2", Share, Number(0.999), "the decay rate of the running mean of the squared gradient")
        .of("optimizer")
        .only(ADAMS),
    row(Training, "rho", Share, Absent("0.95"), "the decay rate of the running mean squares")
        .of("optimizer")
        .only(&["rmsprop", "adadelta"]),
    row(Training, "epsilon", Positive, Number(1e-7), "the constant added to the denominator")
        .of("optimizer")
        .only(&["adam", "adamw", "nadam", "rmsprop", "adadelta"]),
    row(Training, "weight_decay", NotNegative, Absent("0.0001"), "the L2 penalty on the weights"),
    row(
        Training,
        "early_stopping",
        Table,
        Absent("{patience: 5}"),
        "the rule that ends a trial that no longer improves",
    ),
    row(
        Training,
        "early_stopping.patience",
        Optional(&Kind::whole(1)),
        Absent("5"),
        "the number of epochs without improvement after which a trial ends",
    )
    .of("early_stopping"),
    row(
        Training,
        "early_stopping.min_delta",
        NotNegative,
        Number(0.0),
        "the smallest decrease that counts as an improvement",
    )
    .of("early_stopping"),
    row(Training, "schedule", Choice(SHAPES), Word("constant"), "the learning rate schedule"),
    row(Training, "schedule.warmup", Warmup, Whole(0), "the number of warmup steps, or the fraction of all steps")
        .of("schedule"),
    row(
        Training,
        "schedule.every",
        Kind::whole(1),
        Whole(10),
        "the number of epochs between decreases of the learning rate",
    )
    .of("schedule")
    .only(&["step"]),
    row(Training, "schedule.factor", Positive, Number(0.1), "the factor applied to the learning rate at each decrease")
        .of("schedule")
        .only(&["step", "plateau"]),
    row(Training, "schedule.to", Share, Number(0.0), "the final learning rate, as a fraction of the initial one")
        .of("schedule")
        .only(&["cosine"]),
    row(Training, "schedule.peak_at", Share, Number(0.3), "the fraction of all steps before the peak")
        .of("schedule")
        .only(&["one_cycle"]),
    row(
        Training,
        "schedule.start_divisor",
        AtLeastOne,
        Number(25.0),
        "the peak learning rate divided by the initial one",
    )
    .of("schedule")
    .only(&["one_cycle"]),
    row(Training, "schedule.final_divisor", AtLeastOne, Number(1e4), "the peak learning rate divided by the final one")
        .of("schedule")
        .only(&["one_cycle"]),
    row(
        Training,
        "schedule.patience",
        Kind::whole(1),
        Whole(10),
        "the number of epochs without improvement before a decrease",
    )
    .of("schedule")
    .only(&["plateau"]),
    row(Training, "label_smoothing", Share, Number(0.0), "the amount of label smoothing"),
    row(
        Training,
        "balance",
        Choice(&["none", "loss", "sampling"]),
        Word("none"),
        "what is done about classes with few images: weigh their losses, or repeat their images",
    ),
    row(Training, "clip_norm", Optional(&Positive), Absent("1.0"), "the maximum norm of the gradient"),
    row(Training, "init", Choice(&["keras", "torch"]), Word("keras"), "the initialization of the weights"),
    row(
        Training,
        "precision",
        Choice(&["auto", "float32", "tf32", "bfloat16"]),
        Word("auto"),
        "the number format for computation",
    ),
    row(Training, "deterministic", Boolean, Flag(false), "whether a GPU only uses deterministic algorithms"),
    row(Training, "cuda_graph", Boolean, Flag(true), "whether a GPU runs each step as one CUDA graph"),
    row(Training, "gpu_kernels", Boolean, Flag(true), "whether a GPU uses sweep's own kernels"),
];

/// Example values for settings that are off by default.
const TELLING: &[(&str, &str)] = &[
    ("augment.brightness", "0.2"),
    ("augment.contrast", "0.2"),
    ("augment.saturation", "0.2"),
    ("augment.erase", "0.25"),
    ("augment.mixup", "0.2"),
    ("augment.cutmix", "1.0"),
    ("augment.rand_augment", "0.3"),
    ("augment.crop", "4"),
    ("augment.rotate", "15"),
    ("augment.scale", "0.1"),
    ("augment.noise", "0.05"),
    ("augment.cutout", "8"),
    ("momentum", "0.9"),
    ("schedule.warmup", "0.05"),
    ("label_smoothing", "0.1"),
];

/// `model:` as a parameter: the preset of each trial.
pub static MODEL: Setting =
    row(Training, "model", Choice(&PRESETS), Default::Absent("question"), "the name of the preset network");

/// Key of the choice in the table of a setting. Such a setting is a choice with constants of its own.
pub const TYPE: &str = "type";

/// Returns the setting with that name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// Returns the key of the setting in its group's table, or in its section.
    pub fn key(&self) -> &'static str {
        self.name.rsplit('.').next().expect("splitting gives one part at least")
    }

    /// Returns the setting that `key` means in this setting's table. `type` is the choice itself.
    pub fn member(&self, key: &str) -> Option<&'static Setting> {
        if key == TYPE && matches!(self.kind, Choice(_)) {
            return setting(self.name);
        }
        SETTINGS.iter().find(|setting| setting.group == Some(self.name) && setting.key() == key)
    }

    /// Returns the keys of the setting's table, the required one first. Empty if the setting cannot be a table.
    pub fn members(&self) -> Vec<&'static str> {
        let own = SETTINGS.iter().filter(|setting| setting.group == Some(self.name)).map(Setting::key);
        let mut keys: Vec<_> = own.collect();
        if !keys.is_empty() && matches!(self.kind, Choice(_)) {
            keys.insert(0, TYPE);
        }
        keys
    }

    /// Returns the keys that a choice uses, or all keys if `choice` is `None`.
    pub fn members_for(&self, choice: Option<&str>) -> Vec<&'static str> {
        let used = |key: &&str| self.member(key).is_none_or(|member| choice.is_none_or(|one| member.used_by(one)));
        self.members().into_iter().filter(used).collect()
    }

    /// Returns the key that the table requires: the choice itself, or a first member that has no default.
    pub fn needed(&self) -> Option<&'static str> {
        let first = *self.members().first()?;
        let needed = matches!(self.kind, Choice(_)) || matches!(self.member(first)?.default, Absent(_));
        needed.then_some(first)
    }

    /// Returns the value of this setting in a table of its group, as read by [`Setting::accept`]. The setting is the
    /// group itself or a member of it.
    pub fn of_table<'a>(&self, table: &'a serde_json::Map<String, Json>) -> Option<&'a Json> {
        table.get(if self.group.is_none() { TYPE } else { self.key() })
    }

    /// Returns an example of a valid value.
    pub fn example(&self) -> String {
        // The default would be to leave the setting out.
        if let Some((_, telling)) = TELLING.iter().find(|(name, _)| *name == self.name) {
            return (*telling).to_owned();
        }
        match self.default {
            Default::Absent(example) => example.to_owned(),
            default => plain(&default.json()),
        }
    }

    /// Returns a description with an example.
    pub fn remedy(&self) -> String {
        format!("this is {}; for example, write {}", self.about, self.example())
    }

    /// Returns whether that choice of the group uses the setting.
    pub fn used_by(&self, choice: &str) -> bool {
        self.only.is_empty() || self.only.contains(&choice)
    }

    /// Returns whether a parameter may replace the setting. Trials on different images could not be compared.
    pub fn varies(&self) -> bool {
        !matches!(self.name, "set" | "path" | "order" | "resize" | "fit" | "labels" | "test" | "split_seed")
    }

    /// Reads a value that a parameter may give the setting. A table becomes an object with the same keys.
    ///
    /// # Errors
    /// The problem with the value.
    pub fn accept(&self, value: &Yaml) -> Result<Json, Complaint> {
        let members = self.members();
        let Some(table) = value.as_mapping().filter(|_| !members.is_empty()) else {
            return self.kind.accept(value);
        };
        let choice = table.get(TYPE).and_then(Yaml::as_str);
        let mut object = serde_json::Map::new();
        for (key, value) in table {
            let key = key.as_str().unwrap_or("?");
            let member = self.member(key).ok_or_else(|| Complaint {
                what: What::Keys(format!("has the unknown key `{key}`")),
                remedy: Some(suggest(key, &self.members_for(choice))),
            })?;
            let value = member.kind.accept(value).map_err(|complaint| Complaint {
                what: match complaint.what {
                    What::Invalid { value, rule, .. } => What::Invalid { key: Some(key.to_owned()), value, rule },
                    keys @ What::Keys(_) => keys,
                },
                remedy: complaint.remedy.or_else(|| Some(member.remedy())),
            })?;
            object.insert(key.to_owned(), value);
        }
        if let Some(key) = self.needed().filter(|key| !object.contains_key(*key)) {
            let what = What::Keys(format!("is a table without the required key `{key}`"));
            return Err(Complaint { what, remedy: None });
        }
        if let Some(choice) = object.get(TYPE).and_then(Json::as_str) {
            let idle = |key: &String| self.member(key).filter(|member| !member.used_by(choice));
            if let Some(member) = object.keys().find_map(idle) {
                let uses = either(member.only);
                let text = format!("sets `{}` for {choice}, but `{0}` applies only to {uses}", member.key());
                let remedy = Some(format!("remove `{}`", member.key()));
                return Err(Complaint { what: What::Keys(text), remedy });
            }
        }
        Ok(Json::Object(object))
    }
}

impl Default {
    /// Returns the default as a JSON value.
    pub fn json(self) -> Json {
        match self {
            Default::Absent(_) => Json::Null,
            Default::Flag(flag) => flag.into(),
            Default::Whole(whole) => whole.into(),
            Default::Number(number) => number.into(),
            Default::Word(word) => word.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_setting_accepts() {
        for setting in SETTINGS {
            let default = setting.default.json();
            if !default.is_null() {
                let yaml = serde_yaml::to_value(&default).unwrap();
                assert_eq!(setting.kind.accept(&yaml), Ok(default), "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_table_is_read_member_by_member() {
        let optimizer = setting("optimizer").unwrap();
        let accept = |text: &str| optimizer.accept(&serde_yaml::from_str(text).unwrap());
        let sgd = serde_json::json!({"type": "sgd", "momentum": 0.9});
        assert_eq!(accept("{type: sgd, momentum: 0.9}"), Ok(sgd));
        let wrong = accept("{type: sgd, momentum: 1}").unwrap_err().to_string();
        assert_eq!(wrong, "`momentum` is 1, but must be a number of at least 0 and below 1");
        assert!(accept("{momentum: 0.5}").unwrap_err().to_string().ends_with("without the required key `type`"));
        assert!(accept("{type: sgd, speed: 1}").unwrap_err().to_string().contains("unknown key `speed`"));
        let idle = accept("{type: rmsprop, nesterov: true}").unwrap_err().to_string();
        assert_eq!(idle, "sets `nesterov` for rmsprop, but `nesterov` applies only to sgd");
        let unknown = accept("{type: sgd, beta: 0.5}").unwrap_err();
        assert_eq!(unknown.remedy.as_deref(), Some("choose one of type, momentum, nesterov"));
        let augment = setting("augment").unwrap().accept(&serde_yaml::from_str("{crop: 4}").unwrap());
        assert_eq!(augment, Ok(serde_json::json!({"crop": 4})));
    }
}
