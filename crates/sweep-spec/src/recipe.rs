//! A trial's settings written over the file's sections: what is then trained.

use serde_json::Value as Json;

use super::Spec;
use super::models::points;
use super::setting::{MODEL, setting};
use sweep_core::recipe::{
    Augment, Data, EarlyStopping, Init, Layer, Moments, Optimizer, Precision, Recipe, Schedule, Shape, Training,
    Validation, Warmup,
};
use sweep_core::trial::Settings;
use sweep_data::network::{Fault, Template};

/// Why settings that come from the file itself can still not be read: they were taken from elsewhere.
type Result<T> = std::result::Result<T, String>;

impl Spec {
    /// The recipe of the trial with these settings.
    ///
    /// # Errors
    /// One line, where the settings do not make a recipe; those of a checked file's own space always do, unless
    /// there were too many distinct models to check them all, or [`Spec::classes`] is not known yet.
    pub fn recipe(&self, settings: &Settings) -> Result<Recipe> {
        if self.program.is_some() {
            return Err("trials run a program, and train no network".to_owned());
        }
        let classes = self.classes.ok_or("how many classes there are is not known before the data is looked at")?;
        let layers = self.layers(settings, classes)?.map_err(|faults| match faults.first() {
            Some(fault) => format!("the model {}, not {}", fault.rule, fault.value),
            None => "the model has no layers".to_owned(),
        })?;
        let chosen = Chosen { spec: self, settings };
        Ok(Recipe { data: chosen.data()?, layers, training: chosen.training()? })
    }

    /// What the file's sections say of a setting, or else its default; what a preset is given, for a name of its own.
    /// `None` where neither knows the name.
    pub fn constant(&self, name: &str) -> Option<Json> {
        match setting(name) {
            Some(_) => Some(Chosen { spec: self, settings: &Settings::new() }.get(name)),
            None => self.network.settings.get(name).cloned(),
        }
    }

    /// The pictures of the trial with these settings.
    pub(super) fn data(&self, settings: &Settings) -> Result<Data> {
        Chosen { spec: self, settings }.data()
    }

    /// How the trial with these settings is trained.
    ///
    /// # Errors
    /// As those of [`Spec::recipe`], but for those of the model.
    pub fn training(&self, settings: &Settings) -> Result<Training> {
        Chosen { spec: self, settings }.training()
    }

    /// Each way in which a trial's learning rate can go, with the settings that make it, from the first trial's on.
    pub fn schedules(&self) -> Vec<(Settings, Training)> {
        let shapes = |name: &str| name == "epochs" || name == "schedule" || name.starts_with("schedule.");
        let mut trainings = points(self.part(shapes)).filter_map(|settings| self.training(&settings).ok());
        let counted = trainings.any(|training| matches!(training.schedule.warmup, Warmup::Steps(1..)));
        // How many steps an epoch has matters to a warmup that is given in steps, and to nothing else.
        let space = self.part(|name| shapes(name) || (counted && name == "batch_size"));
        points(space)
            .filter_map(|settings| self.training(&settings).ok().map(|training| (settings, training)))
            .collect()
    }

    /// The layers of the trial with these settings, of which only those count that the model refers to.
    pub(super) fn layers(
        &self,
        settings: &Settings,
        classes: u32,
    ) -> Result<std::result::Result<Vec<Layer>, Vec<Fault>>> {
        let lookup = |name: &str| self.lookup(name, settings, classes);
        Ok(self.network.template(settings)?.layers(&lookup))
    }

    /// The item of the file's list of layers that makes the layer of that number, both from 0.
    pub(super) fn item_of(&self, layer: usize, settings: &Settings, classes: u32) -> Option<usize> {
        let items = self.network.written.as_ref().filter(|_| !settings.contains_key(MODEL.name))?;
        let lookup = |name: &str| self.lookup(name, settings, classes);
        // An item can make no layer, one, or many: the first so many items show how many layers they make.
        let layers = |first: usize| Template::new(items[..first].to_vec().into()).layers(&lookup);
        (0..items.len()).find(|item| layers(item + 1).is_ok_and(|layers| layers.len() > layer))
    }

    /// What `${name}` in a network stands for.
    fn lookup(&self, name: &str, settings: &Settings, classes: u32) -> Option<Json> {
        match name {
            "classes" => Some(classes.into()),
            _ => settings.get(name).or_else(|| self.network.settings.get(name)).cloned(),
        }
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
        let augment = self.augment()?;
        Ok(Data { source: self.spec.source.clone(), validation, train_examples, augment })
    }

    fn augment(&self) -> Result<Augment> {
        Ok(Augment {
            flip: self.flag("augment.flip")?,
            crop: self.whole("augment.crop")?,
            rotate: self.number("augment.rotate")?,
            scale: self.number("augment.scale")?,
            noise: self.number("augment.noise")?,
            cutout: self.whole("augment.cutout")?,
        })
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
        let optimizer = self.optimizer()?;
        // Where the file says nothing, what Keras gives this optimizer, or gave it when it was published.
        let learning_rate = if matches!(optimizer, Optimizer::Adadelta { .. }) { 1.0 } else { 1e-3 };
        let weight_decay = if matches!(optimizer, Optimizer::Adamw(_)) { 0.004 } else { 0.0 };
        Ok(Training {
            epochs: self.whole("epochs")?,
            batch_size: self.whole("batch_size")?,
            learning_rate: self.number_or("learning_rate", learning_rate)?,
            schedule: self.schedule()?,
            optimizer,
            weight_decay: self.number_or("weight_decay", weight_decay)?,
            label_smoothing: self.number("label_smoothing")?,
            clip_norm: Some(self.get("clip_norm")).filter(|norm| !norm.is_null()).and_then(|norm| norm.as_f64()),
            init: if self.get("init") == "torch" { Init::Torch } else { Init::Keras },
            precision: match self.get("precision").as_str() {
                Some("float32") => Precision::Float32,
                Some("tf32") => Precision::Tf32,
                Some("bfloat16") => Precision::Bfloat16,
                _ => Precision::Auto,
            },
            deterministic: self.flag("deterministic")?,
            cuda_graph: self.flag("cuda_graph")?,
            gpu_kernels: self.flag("gpu_kernels")?,
            early_stopping,
            metric: self.spec.metric.clone(),
        })
    }

    fn optimizer(&self) -> Result<Optimizer> {
        let moments = || {
            let (beta1, beta2, epsilon) = (self.number("beta1")?, self.number("beta2")?, self.number("epsilon")?);
            Ok::<_, String>(Moments { beta1, beta2, epsilon })
        };
        let (momentum, epsilon) = (self.number("momentum")?, self.number("epsilon")?);
        Ok(match self.get("optimizer").as_str() {
            Some("adam") => Optimizer::Adam(moments()?),
            Some("adamw") => Optimizer::Adamw(moments()?),
            Some("nadam") => Optimizer::Nadam(moments()?),
            Some("sgd") => Optimizer::Sgd { momentum, nesterov: self.flag("nesterov")? },
            Some("rmsprop") => Optimizer::Rmsprop { rho: self.number_or("rho", 0.9)?, momentum, epsilon },
            Some("adadelta") => Optimizer::Adadelta { rho: self.number_or("rho", 0.95)?, epsilon },
            _ => return Err(format!("there is no optimizer {}", self.get("optimizer"))),
        })
    }

    fn schedule(&self) -> Result<Schedule> {
        let factor = self.number("schedule.factor")?;
        let shape = match self.get("schedule").as_str() {
            Some("constant") => Shape::Constant,
            Some("step") => Shape::Step { every: self.whole("schedule.every")?, factor },
            Some("cosine") => Shape::Cosine { to: self.number("schedule.to")? },
            Some("one_cycle") => Shape::OneCycle {
                peak_at: self.number("schedule.peak_at")?,
                start_divisor: self.number("schedule.start_divisor")?,
                final_divisor: self.number("schedule.final_divisor")?,
            },
            Some("plateau") => Shape::Plateau { factor, patience: self.whole("schedule.patience")? },
            _ => return Err(format!("there is no schedule {}", self.get("schedule"))),
        };
        let warmup = match self.get("schedule.warmup").as_u64() {
            Some(steps) => Warmup::Steps(steps),
            None => Warmup::Share(self.number("schedule.warmup")?),
        };
        Ok(Schedule { shape, warmup })
    }

    /// The trial's own value, or that of the table it has for the setting's group, or the file's, or the default.
    fn get(&self, name: &str) -> Json {
        let setting = setting(name).expect("the names asked for here are in the table");
        let group = self.settings.get(setting.group.unwrap_or(name));
        let in_table = group.and_then(Json::as_object).and_then(|table| setting.of_table(table));
        let found = match (in_table, self.settings.get(name), group) {
            (Some(value), ..) => Some(value),
            (None, Some(value), _) => Some(value),
            // The whole group is switched off.
            (None, None, Some(Json::Null)) => None,
            (None, None, _) => self.spec.fixed.get(name),
        };
        found.cloned().unwrap_or_else(|| setting.default.json())
    }

    fn number(&self, name: &str) -> Result<f64> {
        let value = self.get(name);
        value.as_f64().ok_or_else(|| format!("{name} must be a number, not {value}"))
    }

    /// That number, or another where neither the trial nor the file has one.
    fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        if self.get(name).is_null() { Ok(default) } else { self.number(name) }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.get(name).as_bool().ok_or_else(|| format!("{name} is neither true nor false"))
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
