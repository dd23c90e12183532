//! A trial's settings written over the file's sections: what is then trained.

use serde_json::Value as Json;

use super::Spec;
use super::setting::setting;
use crate::recipe::{Data, EarlyStopping, Layer, Optimizer, Recipe, Training, Validation};
use crate::train::model::Fault;
use crate::trial::Settings;

/// Why settings that come from the file itself can still not be read: they were taken from elsewhere.
type Result<T> = std::result::Result<T, String>;

impl Spec {
    /// The recipe of the trial with these settings.
    ///
    /// # Errors
    /// One line, where the settings do not make a recipe; those of a checked file's own space always do, unless
    /// there were too many distinct models to check them all, or [`Spec::classes`] is not known yet.
    pub fn recipe(&self, settings: &Settings) -> Result<Recipe> {
        let classes = self.classes.ok_or("how many classes there are is not known before the data is looked at")?;
        let layers = self.layers(settings, classes)?.map_err(|faults| match faults.first() {
            Some(fault) => format!("the model {}, not {}", fault.rule, fault.value),
            None => "the model has no layers".to_owned(),
        })?;
        let chosen = Chosen { spec: self, settings };
        Ok(Recipe { data: chosen.data()?, layers, training: chosen.training()? })
    }

    /// The layers of the trial with these settings, of which only those count that the model refers to.
    pub(super) fn layers(
        &self,
        settings: &Settings,
        classes: u32,
    ) -> Result<std::result::Result<Vec<Layer>, Vec<Fault>>> {
        let network = &self.network;
        let lookup = |name: &str| match name {
            "classes" => Some(classes.into()),
            _ => settings.get(name).or_else(|| network.settings.get(name)).cloned(),
        };
        Ok(network.template(settings)?.layers(&lookup))
    }
}

/// A trial's settings over the file's over the defaults.
struct Chosen<'a> {
    spec: &'a Spec,
    settings: &'a Settings,
}

impl Chosen<'_> {
    fn data(&self) -> Result<Data> {
        let validation = match self.get("validation") {
            Json::String(word) if word == "test" => Validation::Test,
            _ => Validation::Share(self.number("validation")?),
        };
        let train_examples = self.optional("train_examples")?;
        Ok(Data { source: self.spec.source.clone(), validation, train_examples })
    }

    fn training(&self) -> Result<Training> {
        let patience = self.optional("early_stopping.patience")?;
        let early_stopping = match patience.map(u32::try_from) {
            None => None,
            Some(patience) => Some(EarlyStopping {
                patience: patience.map_err(|_| "early_stopping.patience is too large")?,
                min_delta: self.number("early_stopping.min_delta")?,
            }),
        };
        Ok(Training {
            epochs: self.whole("epochs")?,
            batch_size: self.whole("batch_size")?,
            learning_rate: self.number("learning_rate")?,
            optimizer: self.optimizer()?,
            weight_decay: self.number("weight_decay")?,
            early_stopping,
            metric: self.spec.metric.clone(),
        })
    }

    fn optimizer(&self) -> Result<Optimizer> {
        match self.get("optimizer").as_str() {
            Some("adam") => Ok(Optimizer::Adam {
                beta1: self.number("beta1")?,
                beta2: self.number("beta2")?,
                epsilon: self.number("epsilon")?,
            }),
            Some("sgd") => Ok(Optimizer::Sgd {
                momentum: self.number("momentum")?,
                nesterov: self.get("nesterov").as_bool().ok_or("nesterov is neither true nor false")?,
            }),
            _ => Err(format!("there is no optimizer {}", self.get("optimizer"))),
        }
    }

    /// The trial's own value, or that of the table it has for the setting's group, or the file's, or the default.
    fn get(&self, name: &str) -> Json {
        let setting = setting(name).expect("the names asked for here are in the table");
        let group = self.settings.get(setting.group.unwrap_or(name));
        let found = match (self.settings.get(name), group) {
            (_, Some(Json::Object(table))) if table.contains_key(name) => table.get(name),
            (Some(value), _) => Some(value),
            // The whole group is switched off.
            (None, Some(Json::Null)) => None,
            (None, _) => self.spec.fixed.get(name),
        };
        found.cloned().unwrap_or_else(|| setting.default.json())
    }

    fn number(&self, name: &str) -> Result<f64> {
        let value = self.get(name);
        value.as_f64().ok_or_else(|| format!("{name} must be a number, not {value}"))
    }

    fn optional(&self, name: &str) -> Result<Option<u64>> {
        match self.get(name) {
            Json::Null => Ok(None),
            value => value.as_u64().map(Some).ok_or_else(|| format!("{name} must be a whole number, not {value}")),
        }
    }

    fn whole(&self, name: &str) -> Result<u32> {
        let value = self.get(name);
        let whole = value.as_u64().and_then(|whole| u32::try_from(whole).ok());
        whole.ok_or_else(|| format!("{name} must be a whole number, not {value}"))
    }
}
