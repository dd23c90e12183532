//! The one table of what can be set in `data` and `training`. Reading the sections, checking the values of parameters
//! and suggesting names all go by it: a setting is added here, and in `recipe.rs` where it takes effect.

use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::kind::{Complaint, Kind};
use super::nearest::suggest;
use crate::train::model::PRESETS;

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The section of the file.
    pub section: Section,
    /// Its name as a parameter; a dot where it stands in a table of its own.
    pub name: &'static str,
    /// The setting in whose table it may be written, if there is one.
    pub group: Option<&'static str>,
    /// What it may be.
    pub kind: Kind,
    /// What it is where the file says nothing.
    pub default: Default,
    /// What it is, for one who wrote something wrong: continues `it is …`.
    pub about: &'static str,
}

/// A section of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// `data:`
    Data,
    /// `training:`
    Training,
}

/// What a setting is where the file says nothing.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// Nothing: `null`.
    Null,
    /// That.
    Flag(bool),
    /// That.
    Whole(u64),
    /// That.
    Number(f64),
    /// That.
    Word(&'static str),
}

use Kind::{Boolean, Choice, Neutral, NotNegative, Optional, Positive, Share, Table, Text, Validation};
use Section::{Data, Training};

const fn row(section: Section, name: &'static str, kind: Kind, default: Default, about: &'static str) -> Setting {
    Setting { section, name, group: None, kind, default, about }
}

const fn in_group(group: &'static str, setting: Setting) -> Setting {
    Setting { group: Some(group), ..setting }
}

/// All of them.
#[rustfmt::skip]
pub static SETTINGS: [Setting; 23] = [
    row(Data, "set", Choice(&["digits", "cifar10", "folder", "arrays"]), Default::Null, "the data set"),
    row(Data, "path", Text, Default::Null, "the data set's file or folder, relative to the sweep file"),
    row(Data, "order", Choice(&["nchw", "nhwc"]), Default::Null, "the axes of the pictures' array"),
    row(Data, "validation", Validation, Default::Number(0.1), "the share of the training pictures that is held out"),
    row(Data, "train_examples", Optional(&Kind::whole(1)), Default::Null, "the most training pictures to use"),
    row(Data, "augment", Neutral(&["null"]), Default::Null, "random changes to the training pictures"),
    row(Training, "epochs", Kind::whole(1), Default::Whole(10), "how often the training pictures are gone over"),
    row(Training, "batch_size", Kind::whole(1), Default::Whole(128), "how many pictures one step takes"),
    row(Training, "learning_rate", Positive, Default::Number(1e-3), "the step size of the optimizer"),
    row(Training, "optimizer", Choice(&["adam", "sgd"]), Default::Word("adam"), "the update rule"),
    in_group("optimizer", row(Training, "momentum", Share, Default::Number(0.0), "the share of the last step that sgd keeps")),
    in_group("optimizer", row(Training, "nesterov", Boolean, Default::Flag(false), "Nesterov's kind of momentum, for sgd")),
    in_group("optimizer", row(Training, "beta1", Share, Default::Number(0.9), "how slowly adam's mean gradient moves")),
    in_group("optimizer", row(Training, "beta2", Share, Default::Number(0.999), "how slowly adam's mean squared gradient moves")),
    in_group("optimizer", row(Training, "epsilon", Positive, Default::Number(1e-7), "what adam adds to its denominator")),
    row(Training, "weight_decay", NotNegative, Default::Number(0.0), "the L2 penalty on the weights"),
    row(Training, "early_stopping", Table, Default::Null, "when a trial that no longer improves is ended: `{patience: 5}`"),
    in_group("early_stopping", row(Training, "early_stopping.patience", Optional(&Kind::whole(1)), Default::Null, "the epochs without improvement after which a trial ends")),
    in_group("early_stopping", row(Training, "early_stopping.min_delta", NotNegative, Default::Number(0.0), "what counts as an improvement: more than this")),
    row(Training, "schedule", Neutral(&["constant"]), Default::Null, "how the learning rate changes"),
    row(Training, "label_smoothing", Neutral(&["0"]), Default::Null, "the share of certainty taken from the labels"),
    row(Training, "clip_norm", Neutral(&["null"]), Default::Null, "the longest gradient"),
    row(Training, "precision", Neutral(&["auto", "float32"]), Default::Null, "the numbers that are calculated with"),
];

/// `model:` as a parameter: the preset of each trial.
pub static MODEL: Setting =
    row(Training, "model", Choice(&PRESETS), Default::Null, "the network, by its preset's name");

/// The optimizer whose own each of these settings is.
pub const OWN: [(&str, &str); 5] =
    [("momentum", "sgd"), ("nesterov", "sgd"), ("beta1", "adam"), ("beta2", "adam"), ("epsilon", "adam")];

/// The setting of that name.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// Its key in its group's table, or else in its section.
    pub fn key(&self) -> &'static str {
        self.name.rsplit('.').next().expect("splitting gives one part at least")
    }

    /// The setting that `key` means in this one's table; `type` is the choice itself.
    pub fn member(&self, key: &str) -> Option<&'static Setting> {
        if key == "type" && matches!(self.kind, Choice(_)) {
            return setting(self.name);
        }
        SETTINGS.iter().find(|setting| setting.group == Some(self.name) && setting.key() == key)
    }

    /// The keys of its table, the one that must be given first; none if it cannot be a table.
    pub fn members(&self) -> Vec<&'static str> {
        let own = SETTINGS.iter().filter(|setting| setting.group == Some(self.name)).map(Setting::key);
        let mut keys: Vec<_> = own.collect();
        if !keys.is_empty() && matches!(self.kind, Choice(_)) {
            keys.insert(0, "type");
        }
        keys
    }

    /// Whether a parameter may replace it. Trials on different pictures could not be compared.
    pub fn varies(&self) -> bool {
        !matches!(self.name, "set" | "path" | "order")
    }

    /// Reads a value that a parameter may give it. A table becomes an object of its members' names.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accept(&self, value: &Yaml) -> Result<Json, Complaint> {
        let members = self.members();
        let Some(table) = value.as_mapping().filter(|_| !members.is_empty()) else {
            return self.kind.accept(value);
        };
        let mut object = serde_json::Map::new();
        for (key, value) in table {
            let key = key.as_str().unwrap_or("?");
            let member = self.member(key).ok_or_else(|| Complaint {
                rule: format!("has no setting `{key}`"),
                remedy: Some(suggest(key, &members)),
            })?;
            let value = member.kind.accept(value).map_err(|complaint| Complaint {
                rule: format!("has a wrong `{key}`: it {}", complaint.rule),
                ..complaint
            })?;
            object.insert(member.name.to_owned(), value);
        }
        // The first of them makes the table mean something.
        if self.member(members[0]).is_some_and(|needed| !object.contains_key(needed.name)) {
            return Err(Complaint { rule: format!("needs a `{}`", members[0]), remedy: None });
        }
        Ok(Json::Object(object))
    }
}

impl Default {
    /// As a value.
    pub fn json(self) -> Json {
        match self {
            Default::Null => Json::Null,
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
        for setting in &SETTINGS {
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
        let sgd = serde_json::json!({"optimizer": "sgd", "momentum": 0.9});
        assert_eq!(accept("{type: sgd, momentum: 0.9}"), Ok(sgd));
        assert_eq!(
            accept("{type: sgd, momentum: 1}").unwrap_err().rule.split(':').next(),
            Some("has a wrong `momentum`")
        );
        assert!(accept("{momentum: 0.5}").unwrap_err().rule.starts_with("needs a `type`"));
        assert!(accept("{type: sgd, speed: 1}").unwrap_err().rule.contains("no setting `speed`"));
    }
}
