//! Checks that require the data: whether every network fits the images and distinguishes all classes, whether there are
//! enough images, and how large the sweep is.

use std::collections::HashSet;

use serde_json::Value as Json;

use super::Spec;
use super::networks::{MOST_CHECKED, points};
use super::node::Findings;
use super::place::Path;
use super::plain;
use super::problem::{Note, Problems};
use super::setting::{MODEL, setting};
use super::trains::{Network, Trains};
use sweep_core::describe::thousands;
use sweep_core::nearest::suggest;
use sweep_core::recipe::{HeldOut, Layer, Normalize, Source, Validation};
use sweep_core::trial::{ACCURACY_OF_CLASS, Settings};
use sweep_data::datasets::Info;
use sweep_data::network::{Extent, Row, Summary, shapes};

/// Maximum number of kinds of network that are distinguished.
pub const MOST_KINDS: usize = 16;

/// Maximum number of invalid networks that are reported, because the others mostly have the same problem.
const MOST_FAULTS: usize = 10;

/// What is known about a sweep once its data was inspected.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// Description of the data.
    pub data: Info,
    /// Minimum and maximum number of training images of any trial.
    pub train: (u64, u64),
    /// Minimum and maximum number of validation images of any trial.
    pub validation: (u64, u64),
    /// Maximum number of images that are tested once after the sweep.
    pub tested: u64,
    /// The first kinds of network, at most [`MOST_KINDS`]. Networks that differ only in dropout are of one kind.
    pub kinds: Vec<Kind>,
    /// Number of networks. Networks that differ only in dropout count once.
    pub networks: u64,
    /// Minimum and maximum number of trainable weights of a network.
    pub parameters: (u64, u64),
    /// Maximum number of values per image that are kept for the backward pass.
    pub activations: u64,
    /// Notes for the user.
    pub notes: Vec<Note>,
}

/// Networks with the same layers and shapes, whatever their dropout.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The parameters that the networks have in common.
    pub settings: Settings,
    /// Whether their dropout differs.
    pub varied: bool,
    /// The network with the most layers. Dropout with rate 0 is not a layer.
    pub summary: Summary,
}

/// Returns the layers of a network other than dropout.
fn lasting(summary: &Summary) -> impl Iterator<Item = &Row> {
    summary.rows.iter().filter(|row| !matches!(row.layer, Layer::Dropout { .. }))
}

impl Kind {
    /// Returns whether a network is of this kind.
    fn has(&self, summary: &Summary) -> bool {
        lasting(&self.summary).eq(lasting(summary))
    }

    fn add(&mut self, settings: &Settings, summary: Summary) {
        self.settings.retain(|name, value| settings.get(name) == Some(value));
        self.varied |= summary.rows != self.summary.rows;
        if summary.rows.len() > self.summary.rows.len() {
            self.summary = summary;
        }
    }
}

impl Inspection {
    /// Adds a network of this kind.
    fn add(&mut self, settings: &Settings, summary: Summary) {
        self.parameters = widened(self.parameters, summary.parameters);
        self.activations = self.activations.max(summary.activations);
        match self.kinds.iter().position(|kind| kind.has(&summary)) {
            Some(at) => self.kinds[at].add(settings, summary),
            None if self.kinds.len() < MOST_KINDS => {
                self.kinds.push(Kind { settings: settings.clone(), varied: false, summary });
            }
            None => {}
        }
    }
}

impl Spec {
    /// Splits the images as every trial would, and traces the shapes of one image through every distinct network. From
    /// then on, the number of classes is known. `None` if trials run a program, whose data and networks are unknown.
    ///
    /// # Errors
    /// The errors of `describe`, which describes the data. Networks that cannot be built or do not end in one value per class, and parameters that do not fit the data.
    /// `file` and `text` are those that the specification was read from.
    pub fn inspect<E: From<Problems>>(
        &mut self,
        describe: impl FnOnce(&Source) -> Result<Info, E>,
        (file, text): (&str, &str),
    ) -> Result<Option<Inspection>, E> {
        let Trains::Network(network) = &mut self.trains else { return Ok(None) };
        let data = describe(&network.source)?;
        // A data set has at most 256 classes, because a label is a byte.
        network.classes = u32::try_from(data.classes.len()).ok();
        network.own_validation = data.validation > 0;
        let findings = Findings::read(text);
        let mut inspection = Inspection {
            data,
            train: (u64::MAX, 0),
            validation: (u64::MAX, 0),
            tested: 0,
            kinds: Vec::new(),
            networks: 0,
            parameters: (u64::MAX, 0),
            activations: 0,
            notes: Vec::new(),
        };
        inspection.data.notes.iter().for_each(|note| findings.note(format!("data: {note}")));
        if let Some(network) = self.network() {
            self.divide(network, &mut inspection, &findings);
            self.build(network, &mut inspection, &findings);
            self.doubt(&inspection, &findings);
            self.check_class(&inspection.data.classes, &findings);
        }
        let (problems, notes) = findings.take();
        inspection.notes = notes;
        if problems.is_empty() { Ok(Some(inspection)) } else { Err(Problems::new(file, text, problems).into()) }
    }

    /// Computes the sizes of every split that a trial can have.
    fn divide(&self, network: &Network, inspection: &mut Inspection, findings: &Findings) {
        let Info { train: all, validation: own, test, .. } = inspection.data;
        let mut seen = HashSet::new();
        let channels = inspection.data.shape.channels as usize;
        for settings in points(self.part(|name| matches!(name, "validation" | "train_examples" | "normalize"))) {
            let Ok(data) = network.data(&settings) else { continue };
            if let Normalize::Given { means, .. } = &data.normalize
                && means.len() != channels
                && seen.insert("normalize".to_owned())
            {
                let path = self.place_of("normalize");
                let rule = format!("has {} means, but the images have {channels} channels", means.len());
                let remedy = "write one mean and one deviation per channel, or `dataset`".to_owned();
                findings.problem(findings.places.value_at(&path), path, rule, remedy);
            }
            let tested = match data.test {
                Some(HeldOut::Share(share)) => (share * all as f64).round() as u64,
                Some(HeldOut::Count(count)) => count.min(all),
                None => 0,
            };
            let all = all - tested;
            let unseen = if data.test.is_some() || data.validation == Validation::Test { tested } else { test };
            inspection.tested = inspection.tested.max(unseen);
            let held_out = match data.validation {
                Validation::Test => test,
                Validation::Own => own,
                Validation::Share(share) => (share * all as f64).round() as u64,
                Validation::Count(count) => count.min(all),
            };
            let left = match data.validation {
                Validation::Own | Validation::Test => all,
                Validation::Share(_) | Validation::Count(_) => all - held_out.min(all),
            };
            let train = data.train_examples.unwrap_or(left);
            inspection.train = widened(inspection.train, train.min(left));
            inspection.validation = widened(inspection.validation, held_out);
            let fault = if data.validation == Validation::Test && test == 0 {
                let remedy = "write a fraction, for example 0.1, to hold out training images";
                Some(("validation", "is `test`, but the data set has no test images".to_owned(), remedy.to_owned()))
            } else if data.validation == Validation::Own && own == 0 {
                let remedy = "write a fraction, for example 0.1, to hold out training images";
                Some((
                    "validation",
                    "is `val`, but the data set has no validation images".to_owned(),
                    remedy.to_owned(),
                ))
            } else if held_out == 0 || left == 0 {
                let what = if left == 0 { "training" } else { "validation" };
                let rule = format!("leaves none of the {} images for {what}", thousands(all));
                Some(("validation", rule, "write a fraction closer to 0.5, or another number of images".to_owned()))
            } else if train > left {
                let rule =
                    format!("is {}, but only {} training images are available", thousands(train), thousands(left));
                let remedy = format!("write at most {left}, or remove the key to use all images");
                Some(("train_examples", rule, remedy))
            } else {
                None
            };
            if let Some((name, rule, remedy)) = fault
                && seen.insert(rule.clone())
            {
                let path = self.place_of(name);
                findings.problem(findings.places.value_at(&path), path, rule, remedy);
            }
        }
    }

    /// Builds every distinct network.
    fn build(&self, network: &Network, inspection: &mut Inspection, findings: &Findings) {
        let classes = network.classes.unwrap_or_default();
        let (points, total) = self.models(network);
        let (mut seen, mut networks) = (HashSet::new(), HashSet::new());
        for settings in points {
            let Ok(layers) = network.layers(&settings, classes) else { continue };
            let (layer, rule, remedy) = match layers.map(|layers| shapes(inspection.data.shape, &layers)) {
                // Every single value was tried when the file was read, so this problem comes from a combination.
                Err(faults) => match faults.into_iter().next() {
                    Some(fault) => (None, fault.text(), fault.remedy),
                    None => continue,
                },
                Ok(Err(fault)) => (Some(fault.layer), fault.rule, fault.remedy),
                Ok(Ok(summary)) => {
                    let end = summary.rows.last().map(|row| row.output);
                    let last = summary.rows.len().checked_sub(1);
                    networks.insert(format!("{:?}", lasting(&summary).collect::<Vec<_>>()));
                    inspection.add(&settings, summary);
                    if end == Some(Extent::Vector(classes)) {
                        continue;
                    }
                    let (rule, remedy) = wrong_end(end, classes);
                    (last, rule, remedy)
                }
            };
            if seen.len() < MOST_FAULTS && seen.insert(rule.clone()) {
                let mut path = self.place_of(MODEL.name);
                let mut rule = rule + &with(&settings);
                match (layer, layer.and_then(|layer| network.item_of(layer, &settings, classes))) {
                    (_, Some(item)) => path = path.index(item),
                    (Some(layer), None) => rule = format!("in layer {} of the network, {rule}", layer + 1),
                    (None, None) => {}
                }
                findings.problem(findings.places.value_at(&path), path, rule, remedy);
            }
        }
        inspection.networks = networks.len() as u64;
        if total > MOST_CHECKED {
            findings.note(format!("only the first {MOST_CHECKED} of {total} distinct networks were checked"));
        }
    }

    /// Checks that the class whose accuracy ranks the trials exists.
    fn check_class(&self, classes: &[String], findings: &Findings) {
        let Some(class) = self.metric.name.strip_prefix(ACCURACY_OF_CLASS) else { return };
        if classes.iter().any(|known| known == class) {
            return;
        }
        let names: Vec<&str> = classes.iter().map(String::as_str).collect();
        let path = Path::default().key("metric").key("name");
        let rule = format!("is {}, but the data has no class {class}", self.metric.name);
        findings.problem(findings.places.value_at(&path), path, rule, suggest(class, &names));
    }

    /// Returns where the file defines a setting: as a parameter, or in its section.
    pub(super) fn place_of(&self, name: &str) -> Path {
        let varied = self.space.parameters.iter().any(|parameter| parameter.name == name);
        match setting(name) {
            _ if varied => Path::default().key("parameters").key(name),
            Some(setting) => {
                name.split('.').fold(Path::default().key(setting.section.key()), |path, key| path.key(key))
            }
            None => Path::default().key(name),
        }
    }

    /// Returns the largest value that a setting has in any trial. `None` if it is not a number, or if the setting is one of
    /// a program, which has defaults of its own.
    pub fn most(&self, name: &str) -> Option<f64> {
        let varied = self.space.parameters.iter().find(|parameter| parameter.name == name);
        let default = || setting(name).map(|setting| setting.default.json());
        let fixed = || self.network()?.fixed.get(name).cloned().or_else(default);
        let values = match varied {
            Some(parameter) => parameter.distribution.samples(),
            None => fixed().into_iter().collect(),
        };
        values.iter().filter_map(Json::as_f64).max_by(f64::total_cmp)
    }
}

/// Returns where the file specifies the images: `mine.yaml:4:9, data.path`. `file` and `text` are the same as for
/// [`Spec::inspect`].
pub fn place_of_data(file: &str, text: &str) -> String {
    let places = Findings::read(text).places;
    let data = Path::default().key("data");
    let marks = ["path", "set"].map(|key| data.key(key)).map(|path| (places.value_at(&path), path));
    match marks.into_iter().find_map(|(mark, path)| Some((mark?, path))) {
        Some((mark, path)) => format!("{file}:{}:{}, {path}", mark.line, mark.column),
        None => file.to_owned(),
    }
}

fn widened((least, most): (u64, u64), by: u64) -> (u64, u64) {
    (least.min(by), most.max(by))
}

fn wrong_end(end: Option<Extent>, classes: u32) -> (String, String) {
    let end = match end {
        None => "has no layers".to_owned(),
        Some(Extent::Image(shape)) => format!("ends in an image of {shape}"),
        Some(Extent::Vector(1)) => "ends in 1 value".to_owned(),
        Some(Extent::Vector(values)) => format!("ends in {values} values"),
    };
    let rule = format!("the network {end}, but the data has {classes} classes");
    (rule, "end the list with `- flatten` and `- dense: ${classes}`".to_owned())
}

/// Formats parameters as `, with dropout 0.2 and downsample stride`.
fn with(settings: &Settings) -> String {
    let mut text = String::new();
    for (at, (name, value)) in settings.iter().enumerate() {
        let lead = if at == 0 { ", with" } else { " and" };
        text += &format!("{lead} {name} {}", plain(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path as Folder;

    use super::*;
    use sweep_data::network::Shape;

    fn inspect(text: &str) -> Result<Inspection, Vec<String>> {
        let (mut spec, _) = Spec::read(text, "f", Folder::new("/")).unwrap_or_else(|problems| panic!("{problems}"));
        let data = Info {
            shape: Shape { channels: 1, height: 8, width: 8 },
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            train: 1000,
            validation: 0,
            test: 0,
            notes: Vec::new(),
        };
        let found = spec.inspect::<Problems>(|_| Ok(data), ("f", text));
        found.map(|found| found.expect("it is a network")).map_err(|problems| {
            problems.list().iter().map(|problem| format!("{}: {}", problem.path, problem.rule)).collect()
        })
    }

    const DATA: &str = "data: {set: folder, path: p}\n";

    #[test]
    fn networks_that_differ_in_rates_alone_are_one() {
        let all = "batch_size: {min: 1, max: 50}, batch_norm: {values: [true, false]}";
        let found = inspect(&format!(
            "method: random\nparameters: {{dropout: {{min: 0.1, max: 0.2}}, {all}}}\nmodel: linear\n{DATA}"
        ));
        let kinds = |found: &Inspection| found.kinds.iter().map(|kind| kind.varied).collect::<Vec<_>>();
        let found = found.unwrap();
        assert_eq!((found.networks, kinds(&found)), (2, vec![true, true]));
        let found = inspect(&format!("parameters: {{dropout: {{value: 0.1}}}}\nmodel: linear\n{DATA}")).unwrap();
        assert_eq!((found.networks, kinds(&found)), (1, vec![false]));
        assert_eq!(found.parameters, (8 * 8 * 3 + 3, 8 * 8 * 3 + 3));
        assert_eq!((found.train, found.validation), ((900, 900), (100, 100)));
    }

    #[test]
    fn what_can_hardly_be_meant_is_noted_and_not_refused() {
        let notes = |text: &str| -> Vec<String> {
            inspect(text).unwrap().notes.iter().map(|note| format!("{}: {}", note.path, note.text)).collect()
        };
        let text = "parameters: {batch_size: {values: [64, 901]}}
data: {set: folder, path: p, augment: {crop: 4, cutout: 8}}
model: linear
training: {epochs: 5, early_stopping: {patience: 5}}
early_terminate: {type: hyperband, min_iter: 5}
";
        let told = notes(text);
        for (told, expected) in told.iter().zip([
            "data.augment.crop: `crop: 4` shifts images of 1x8x8",
            "data.augment.cutout: `cutout: 8` can black out",
            "training.early_stopping.patience: `patience: 5` never ends a trial",
            "parameters.batch_size: 901 is more than the 900 training images",
            "early_terminate.min_iter: never stops a trial",
        ]) {
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(told.len(), 5, "{told:#?}");
        let least = text.replace("901", "900").replace("crop: 4, cutout: 8", "crop: 3, cutout: 7");
        assert_eq!(notes(&least.replace("epochs: 5", "epochs: 6")), [""; 0]);
        let told = notes(&format!("parameters: {{augment: {{values: [null, {{crop: 4}}]}}}}\nmodel: linear\n{DATA}"));
        assert!(told.len() == 1 && told[0].starts_with("parameters.augment: `crop: 4` shifts"), "{told:#?}");
    }

    #[test]
    fn the_class_whose_accuracy_ranks_must_exist() {
        let of = |class| inspect(&format!("metric: {{name: val_accuracy_{class}}}\nmodel: linear\n{DATA}"));
        assert!(of("b").is_ok());
        let found = of("z").unwrap_err();
        assert_eq!(found, ["metric.name: is val_accuracy_z, but the data has no class z"]);
    }

    #[test]
    fn a_network_that_does_not_fit_the_images_is_named_with_its_settings() {
        let model = "model: [{conv: {filters: 4, kernel: \"${kernel}\"}}, flatten, {dense: \"${classes}\"}]\n";
        let text = format!("parameters: {{kernel: {{values: [3, 9]}}}}\n{model}{DATA}");
        let found = inspect(&text.replace("kernel: \"", "padding: valid, kernel: \"")).unwrap_err();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("model[0]: ") && found[0].ends_with("with kernel 9"), "{found:#?}");
    }

    #[test]
    fn a_network_ends_in_one_value_a_class() {
        let found = inspect(&format!("model: [flatten, {{dense: 10}}]\n{DATA}")).unwrap_err();
        assert_eq!(found, ["model[1]: the network ends in 10 values, but the data has 3 classes"]);
    }

    #[test]
    fn more_pictures_than_there_are_cannot_be_asked_for() {
        let varied = "parameters: {train_examples: {values: [10, 950]}}\n";
        let found = inspect(&format!("{varied}model: linear\n{DATA}")).unwrap_err();
        assert_eq!(found, ["parameters.train_examples: is 950, but only 900 training images are available"]);
        let found = inspect("model: linear\ndata: {set: folder, path: p, validation: test}\n").unwrap_err();
        assert_eq!(found, ["data.validation: is `test`, but the data set has no test images"]);
    }
}
