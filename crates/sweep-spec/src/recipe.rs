//! Builds what a trial trains: its parameters replace values in the file's sections.

use serde_json::Value as Json;

use super::Spec;
use super::networks::points;
use super::setting::{MODEL, setting};
use super::trains::Network;
use sweep_core::recipe::{
    Augment, Balance, Border, Data, EarlyStopping, HeldOut, Init, Layer, Moments, Normalize, Optimizer, Precision,
    Recipe, Schedule, Shape, Training, Validation, Warmup,
};
use sweep_core::trial::{Metric, Settings};
use sweep_data::network::{Fault, Template};

/// Result with a one-line error. Parameters can fail to be read even if the file is valid, because they may come from
/// elsewhere.
type Result<T> = std::result::Result<T, String>;

impl Spec {
    /// Returns the recipe of the trial with these parameters.
    ///
    /// # Errors
    /// One line, if the parameters do not make a recipe. Parameters from a checked file's own space always do, with two
    /// exceptions. There may have been too many distinct models to check them all, or the number of classes may not be
    /// known yet.
    pub fn recipe(&self, settings: &Settings) -> Result<Recipe> {
        let network = self.trained()?;
        let classes = network.classes.ok_or("the number of classes is not known until the data is read")?;
        let layers = network.layers(settings, classes)?.map_err(|faults| match faults.first() {
            Some(fault) => format!("invalid model: {}", fault.text()),
            None => "the model has no layers".to_owned(),
        })?;
        let chosen = Chosen { network, settings };
        // The same split has the same recipe, whether the file names its seed or not.
        let split_seed = Some(self.split_seed()).filter(|seed| *seed != self.seed);
        let data = Data { split_seed, ..chosen.data()? };
        Ok(Recipe { data, layers, training: chosen.training(&self.metric)? })
    }

    /// The seed that draws which images are held out: the one of `data`, or else the sweep's.
    pub fn split_seed(&self) -> u64 {
        let own = self.network().and_then(|network| network.fixed.get("split_seed")?.as_u64());
        own.unwrap_or(self.seed)
    }

    fn trained(&self) -> Result<&Network> {
        self.network().ok_or_else(|| "trials run a program, so there is no network to train".to_owned())
    }

    /// Returns the training procedure of the trial with these parameters.
    ///
    /// # Errors
    /// The errors of [`Spec::recipe`], except those of the model.
    pub fn training(&self, settings: &Settings) -> Result<Training> {
        Chosen { network: self.trained()?, settings }.training(&self.metric)
    }

    /// Returns each possible learning rate schedule of a trial, with the parameters that produce it. The first trial's
    /// schedule comes first.
    pub fn schedules(&self) -> Vec<(Settings, Training)> {
        let shapes = |name: &str| name == "epochs" || name == "schedule" || name.starts_with("schedule.");
        let mut trainings = points(self.part(shapes)).filter_map(|settings| self.training(&settings).ok());
        let counted = trainings.any(|training| matches!(training.schedule.warmup, Warmup::Steps(1..)));
        // The number of steps per epoch matters only to a warmup that is given in steps.
        let space = self.part(|name| shapes(name) || (counted && name == "batch_size"));
        points(space)
            .filter_map(|settings| self.training(&settings).ok().map(|training| (settings, training)))
            .collect()
    }
}

impl Network {
    /// Returns the value of a setting in the file's sections, or its default. For a name of a preset, it is the value
    /// given to the preset. `None` if the name is unknown.
    pub fn constant(&self, name: &str) -> Option<Json> {
        match setting(name) {
            Some(_) => Some(Chosen { network: self, settings: &Settings::new() }.get(name)),
            None => self.model.settings.get(name).cloned(),
        }
    }

    /// Returns the data of the trial with these parameters.
    pub(super) fn data(&self, settings: &Settings) -> Result<Data> {
        Chosen { network: self, settings }.data()
    }

    /// Returns the layers of the trial with these parameters. Only the parameters that the model refers to matter.
    pub(super) fn layers(
        &self,
        settings: &Settings,
        classes: u32,
    ) -> Result<std::result::Result<Vec<Layer>, Vec<Fault>>> {
        let lookup = |name: &str| self.lookup(name, settings, classes);
        Ok(self.model.template(settings)?.layers(&lookup))
    }

    /// Returns the index of the item in the file's list of layers that produces the layer with that index. Both count
    /// from 0.
    pub(super) fn item_of(&self, layer: usize, settings: &Settings, classes: u32) -> Option<usize> {
        let items = self.model.written.as_ref().filter(|_| !settings.contains_key(MODEL.name))?;
        let lookup = |name: &str| self.lookup(name, settings, classes);
        // An item can produce no layer, one, or many. Building only the first items shows how many layers they produce.
        let layers = |first: usize| Template::new(items[..first].to_vec().into()).layers(&lookup);
        (0..items.len()).find(|item| layers(item + 1).is_ok_and(|layers| layers.len() > layer))
    }

    /// Returns the value of `${name}` in a network.
    fn lookup(&self, name: &str, settings: &Settings, classes: u32) -> Option<Json> {
        match name {
            "classes" => Some(classes.into()),
            _ => settings.get(name).or_else(|| self.model.settings.get(name)).cloned(),
        }
    }
}

/// Values of a trial. The trial's parameters take precedence over the file, and the file over the defaults.
struct Chosen<'a> {
    network: &'a Network,
    settings: &'a Settings,
}

impl Chosen<'_> {
    fn data(&self) -> Result<Data> {
        let given = [self.settings, &self.network.fixed].iter().any(|settings| settings.contains_key("validation"));
        let validation = match self.get("validation") {
            _ if !given && self.network.own_validation => Validation::Own,
            Json::String(word) if word == "test" => Validation::Test,
            Json::String(word) if word == "val" => Validation::Own,
            Json::Number(count) if count.is_u64() => Validation::Count(count.as_u64().unwrap_or_default()),
            _ => Validation::Share(self.number("validation")?),
        };
        let test = match self.get("test") {
            Json::Null => None,
            Json::Number(count) if count.is_u64() => Some(HeldOut::Count(count.as_u64().unwrap_or_default())),
            _ => Some(HeldOut::Share(self.number("test")?)),
        };
        let train_examples = self.optional("train_examples")?;
        let augment = self.augment()?;
        let normalize = match self.get("normalize") {
            Json::String(word) if word == "dataset" => Normalize::Dataset,
            Json::Array(lists) => {
                let numbers = |list: &Json| serde_json::from_value(list.clone()).map_err(|error| error.to_string());
                let [means, deviations] = lists.as_slice() else { return Err("normalize needs two lists".to_owned()) };
                Normalize::Given { means: numbers(means)?, deviations: numbers(deviations)? }
            }
            _ => Normalize::None,
        };
        let (source, split_seed) = (self.network.source.clone(), self.optional("split_seed")?);
        Ok(Data { source, validation, train_examples, test, split_seed, augment, normalize })
    }

    fn augment(&self) -> Result<Augment> {
        Ok(Augment {
            flip: self.flag("augment.flip")?,
            crop: self.whole("augment.crop")?,
            border: if self.get("augment.border") == "reflect" { Border::Reflect } else { Border::Black },
            rotate: self.number("augment.rotate")?,
            scale: self.number("augment.scale")?,
            noise: self.number("augment.noise")?,
            cutout: self.whole("augment.cutout")?,
            brightness: self.number("augment.brightness")?,
            contrast: self.number("augment.contrast")?,
            saturation: self.number("augment.saturation")?,
            erase: self.number("augment.erase")?,
            mixup: self.number("augment.mixup")?,
            cutmix: self.number("augment.cutmix")?,
            rand_augment: self.number("augment.rand_augment")?,
        })
    }

    fn training(&self, metric: &Metric) -> Result<Training> {
        let patience = self.optional("early_stopping.patience")?;
        let early_stopping = match patience.map(u32::try_from) {
            None => None,
            Some(patience) => Some(EarlyStopping {
                patience: patience.map_err(|_| "early_stopping.patience is too large")?,
                min_delta: self.number("early_stopping.min_delta")?,
            }),
        };
        let optimizer = self.optimizer()?;
        // Without a value in the file, the rate is the one that Keras gives this optimizer now, or gave it when it was
        // published.
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
            balance: match self.get("balance").as_str() {
                Some("loss") => Balance::Loss,
                Some("sampling") => Balance::Sampling,
                _ => Balance::None,
            },
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
            metric: metric.clone(),
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
            _ => return Err(format!("unknown optimizer {}", self.get("optimizer"))),
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
            _ => return Err(format!("unknown schedule {}", self.get("schedule"))),
        };
        let warmup = match self.get("schedule.warmup").as_u64() {
            Some(steps) => Warmup::Steps(steps),
            None => Warmup::Share(self.number("schedule.warmup")?),
        };
        Ok(Schedule { shape, warmup })
    }

    /// Returns the trial's own value. Otherwise it is the value in the trial's table for the setting's group, in the
    /// file, or the default.
    fn get(&self, name: &str) -> Json {
        let setting = setting(name).expect("the names asked for here are in the table");
        let group = self.settings.get(setting.group.unwrap_or(name));
        let in_table = group.and_then(Json::as_object).and_then(|table| setting.of_table(table));
        let found = match (in_table, self.settings.get(name), group) {
            (Some(value), ..) => Some(value),
            (None, Some(value), _) => Some(value),
            // The whole group is turned off.
            (None, None, Some(Json::Null)) => None,
            (None, None, _) => self.network.fixed.get(name),
        };
        found.cloned().unwrap_or_else(|| setting.default.json())
    }

    fn number(&self, name: &str) -> Result<f64> {
        let value = self.get(name);
        value.as_f64().ok_or_else(|| format!("{name} is {value}, but must be a number"))
    }

    /// Returns the number, or `default` if neither the trial nor the file has one.
    fn number_or(&self, name: &str, default: f64) -> Result<f64> {
        if self.get(name).is_null() { Ok(default) } else { self.number(name) }
    }

    fn flag(&self, name: &str) -> Result<bool> {
        self.get(name).as_bool().ok_or_else(|| format!("{name} must be true or false"))
    }

    fn optional(&self, name: &str) -> Result<Option<u64>> {
        match self.get(name) {
            Json::Null => Ok(None),
            value => value.as_u64().map(Some).ok_or_else(|| format!("{name} is {value}, but must be an integer")),
        }
    }

    fn whole(&self, name: &str) -> Result<u32> {
        let value = self.get(name);
        let whole = value.as_u64().and_then(|whole| u32::try_from(whole).ok());
        whole.ok_or_else(|| format!("{name} is {value}, but must be an integer"))
    }
}
