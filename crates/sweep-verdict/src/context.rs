//! What is known about how a curve was produced.

use std::collections::HashMap;

use super::{Advice, Mirror, Task};
use sweep_core::history::{History, TrialRecord};
use sweep_core::recipe::{Layer, Optimizer, Recipe};
use sweep_core::trial::{EpochMetrics, Metric, Outcome, fingerprint};

/// Default learning rate of Adam.
const ADAM: f64 = 1e-3;

/// What is known in addition to the numbers of a curve. Everything may be missing; verdicts are then more cautious.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Context {
    /// What the network is trained for.
    pub task: Task,
    /// The metric that the user named as the objective, if it is none of the six. It was measured for validation.
    pub objective: Option<Metric>,
    /// The name of the score that stands in for the accuracy, if it is no share of right answers, such as a BLEU.
    pub score: Option<String>,
    /// Whether the loss is a sum of several losses, so that its size says nothing.
    pub loss_has_parts: bool,
    /// Names of the parameters that can be changed, or `None` if they are unknown. Advice to change another one is not
    /// given.
    pub parameters: Option<Vec<String>>,
    /// Number of classes, assumed to be equally frequent.
    pub classes: Option<u32>,
    /// Highest dropout rate of the network, 0 to 1.
    pub dropout: Option<f64>,
    /// Coefficient of the L2 penalty on weights.
    pub weight_decay: Option<f64>,
    /// Number of epochs requested.
    pub epochs_planned: Option<u32>,
    /// Best results of other trials on the same data.
    pub others: Option<Others>,
    /// Where the loss or the weights became non-finite.
    pub divergence: Option<Divergence>,
    /// Whether a mirrored image still belongs to its class.
    pub mirror: Mirror,
    /// Whether images were left out of training to save time.
    pub leaves_images_out: bool,
    /// Whether the training metrics are those of single batches, whose noise is not that of training.
    pub single_batches: bool,
    /// Advice that the trial's parameters already follow. It is not given again.
    pub followed: Vec<Advice>,
}

/// The best results of trials with other parameters on the same data, each at its best epoch, 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Others {
    /// Training accuracy, in evaluation mode if it was measured that way.
    pub train_accuracy: Option<f64>,
    /// Validation accuracy.
    pub val_accuracy: Option<f64>,
}

/// Where the loss or the weights became non-finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The epoch, from 1.
    pub epoch: u32,
    /// Optimizer step of the whole trial, from 1, if it is known.
    pub step: Option<u64>,
    /// What became non-finite: `training loss is NaN`.
    pub what: String,
}

impl Others {
    /// Returns, for each trial of a sweep in numerical order, the best results of trials with other parameters. Repeats
    /// are excluded, because they differ only in their seeds.
    pub fn of_each(history: &History) -> Vec<Others> {
        let mut known: HashMap<u64, usize> = HashMap::new();
        let point = |trial: &TrialRecord| {
            let next = known.len();
            *known.entry(fingerprint(&trial.settings)).or_insert(next)
        };
        let points: Vec<usize> = history.trials.iter().map(point).collect();
        let best = |of: fn(&EpochMetrics) -> Option<f64>| {
            let mut best: Vec<Option<f64>> = vec![None; known.len()];
            for (trial, point) in history.trials.iter().zip(&points) {
                best[*point] = trial.curve.iter().filter_map(of).chain(best[*point]).reduce(f64::max);
            }
            best_but_own(best.into_iter()).collect::<Vec<_>>()
        };
        let train = best(|epoch| epoch.train_eval_accuracy.or(epoch.train_accuracy));
        let val = best(|epoch| epoch.val_accuracy);
        points.iter().map(|at| Others { train_accuracy: train[*at], val_accuracy: val[*at] }).collect()
    }
}

/// Returns, for each value, the largest of the other values.
fn best_but_own(values: impl Iterator<Item = Option<f64>> + Clone) -> impl Iterator<Item = Option<f64>> {
    let known = || values.clone().enumerate().filter_map(|(at, value)| Some((at, value?)));
    let first = known().reduce(|a, b| if b.1 > a.1 { b } else { a });
    let second = known().filter(|(at, _)| Some(*at) != first.map(|(at, _)| at)).map(|(_, value)| value);
    let second = second.reduce(f64::max);
    let of = move |at| if first.is_some_and(|(best, _)| best == at) { second } else { first.map(|(_, value)| value) };
    (0..values.count()).map(of)
}

impl Context {
    /// Returns what is known about a trial of a sweep. `recipe` is the trial's own, if it can be built from its
    /// parameters.
    pub fn of_trial(trial: &TrialRecord, recipe: Option<&Recipe>, others: Option<Others>) -> Context {
        let mut context = recipe.map(Context::of_recipe).unwrap_or_default();
        if let Some(Outcome::Diverged { epoch, step, what }) = trial.outcome() {
            context.divergence = Some(Divergence { epoch: *epoch, step: Some(*step), what: what.clone() });
        }
        context.others = others;
        let asked_for = recipe.and_then(|recipe| recipe.data.train_examples);
        context.leaves_images_out = asked_for.is_some() && asked_for == trial.train_examples;
        context
    }

    /// Returns whether the advice is new and changes nothing that is not there.
    pub(super) fn can_follow(&self, advice: Advice) -> bool {
        let there = |words: &&[&str]| {
            self.parameters.as_ref().is_none_or(|names| names.iter().any(|name| names_one(name, words)))
        };
        !self.followed.contains(&advice) && advice.parameter().as_ref().is_none_or(there)
    }

    /// Returns what a recipe reveals.
    pub fn of_recipe(recipe: &Recipe) -> Context {
        Context {
            task: Task::Images,
            classes: classes(&recipe.layers),
            dropout: Some(highest_dropout(&recipe.layers)),
            weight_decay: Some(recipe.training.weight_decay),
            epochs_planned: Some(recipe.training.epochs),
            mirror: Mirror::of(&recipe.data.source),
            followed: followed(recipe),
            ..Context::default()
        }
    }
}

/// Returns whether a parameter's name has one of these words. Several words must follow each other: `learning_rate` is in
/// `base_learning_rate` and `learningRate`, but not in `dropout_rate`.
fn names_one(name: &str, words: &[&str]) -> bool {
    let mut plain = String::from("_");
    for (before, letter) in std::iter::once('_').chain(name.chars()).zip(name.chars()) {
        if letter.is_uppercase() && before.is_lowercase() {
            plain.push('_');
        }
        plain.push(if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    plain.push('_');
    let ends = |rest: &str| {
        rest.strip_prefix('s').unwrap_or(rest).trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('_')
    };
    words
        .iter()
        .any(|word| plain.match_indices(&format!("_{word}")).any(|(at, found)| ends(&plain[at + found.len()..])))
}

fn followed(recipe: &Recipe) -> Vec<Advice> {
    let Recipe { data, layers, training } = recipe;
    let norm = layers.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. }));
    let adam = matches!(training.optimizer, Optimizer::Adam { .. });
    let mirror = Mirror::of(&data.source);
    let augmented = data.augment.crop > 0 && (data.augment.flip || mirror == Mirror::No);
    let all = [
        (norm, Advice::BatchNorm),
        (augmented, Advice::Augment(mirror)),
        (training.clip_norm.is_some(), Advice::ClipGradients),
        (training.early_stopping.is_some(), Advice::StopEarly),
        (adam && training.learning_rate == ADAM, Advice::DefaultAdam),
        (highest_dropout(layers) == 0.0 && training.weight_decay == 0.0, Advice::LessRegularization),
    ];
    all.into_iter().filter(|(follows, _)| *follows).map(|(_, advice)| advice).collect()
}

/// Returns the number of outputs of the last dense layer.
fn classes(layers: &[Layer]) -> Option<u32> {
    layers.iter().rev().find_map(|layer| match layer {
        Layer::Dense { units, .. } => Some(*units),
        _ => None,
    })
}

/// Returns the highest dropout rate, or 0 if there is no dropout.
fn highest_dropout(layers: &[Layer]) -> f64 {
    let rates = layers.iter().filter_map(|layer| match layer {
        Layer::Dropout { rate } => Some(*rate),
        _ => None,
    });
    rates.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use sweep_core::trial::Outcome;
    use sweep_spec::Spec;

    #[test]
    fn a_parameter_is_named_by_whole_words() {
        let has = |names: &[&str], advice| {
            let parameters = Some(names.iter().map(|name| (*name).to_owned()).collect());
            Context { parameters, ..Context::default() }.can_follow(advice)
        };
        for name in ["lr", "learning_rate", "base_lr", "optimizer.lr", "learningRate", "lr0", "eta"] {
            assert!(has(&[name], Advice::LowerLearningRate), "{name}");
        }
        assert!(!has(&["dropout_rate", "drop_rate", "epochs"], Advice::LowerLearningRate));
        assert!(has(&["hidden_units"], Advice::LargerNetwork) && !has(&["batch_size"], Advice::LargerNetwork));
        assert!(!has(&["lr_decay", "batch_norm"], Advice::MoreRegularization));
        assert!(has(&["weight-decay"], Advice::MoreRegularization) && has(&["dropout2"], Advice::MoreRegularization));
    }

    #[test]
    fn others_are_the_best_of_all_but_the_trial_itself() {
        let mut entries = sweep_sample::beginning("two");
        for (number, dropout) in [(1, 0.0), (2, 0.4), (3, 0.0)] {
            let settings = sweep_sample::settings(json!({"dropout": dropout}));
            entries.extend(sweep_sample::attempt(number, 1, &settings, 0, 20));
            entries.push(sweep_sample::ended(number, 1, Outcome::Finished));
        }
        let history = sweep_sample::apply(&entries);
        let best = |at: usize| history.trials[at].curve.iter().filter_map(|epoch| epoch.val_accuracy).reduce(f64::max);
        let others = Others::of_each(&history);
        assert_eq!(others[2].val_accuracy, best(1), "a repeat is no other");
        assert_eq!(others[0].val_accuracy, best(1));
        assert_eq!(others[1].val_accuracy, best(0).into_iter().chain(best(2)).reduce(f64::max));
        assert_ne!(best(0), best(1));
    }

    #[test]
    fn a_recipe_tells_classes_and_regularization() {
        let layers = [
            Layer::Dropout { rate: 0.2 },
            Layer::Dense { units: 64, bias: true, max_norm: None },
            Layer::Dropout { rate: 0.5 },
            Layer::Dense { units: 7, bias: true, max_norm: None },
        ];
        assert_eq!(classes(&layers), Some(7));
        assert_eq!(highest_dropout(&layers), 0.5);
        assert_eq!(highest_dropout(&layers[3..]), 0.0);
    }

    #[test]
    fn a_recipe_tells_which_advice_it_follows() {
        let followed = |rest: &str| {
            let text = format!("data: {{set: digits{rest}");
            let spec = Spec::read(&text, "a.yaml", Path::new("/")).unwrap_or_else(|problems| panic!("{problems}")).0;
            Context::of_recipe(&spec.recipe(&sweep_sample::settings(json!({}))).unwrap()).followed
        };
        assert_eq!(followed("}\nmodel: small"), [Advice::DefaultAdam]);
        assert_eq!(followed("}\nmodel: small\ntraining: {learning_rate: 0.01}"), []);
        assert_eq!(followed("}\nmodel: linear\ntraining: {learning_rate: 0.01}"), [Advice::LessRegularization]);
        let all = ", augment: {crop: 1}}\nmodel: {preset: small, batch_norm: true}\n\
                   training: {clip_norm: 1, early_stopping: {patience: 3}}";
        let expected = [Advice::BatchNorm, Advice::Augment(Mirror::No), Advice::ClipGradients, Advice::StopEarly];
        assert_eq!(followed(all), [&expected[..], &[Advice::DefaultAdam]].concat());
    }

    #[test]
    fn a_trial_that_diverged_says_where() {
        let settings = sweep_sample::settings(json!({"dropout": 0.1}));
        let mut entries = sweep_sample::beginning("one");
        entries.extend(sweep_sample::attempt(1, 1, &settings, 0, 3));
        let outcome = Outcome::Diverged { epoch: 4, step: 1500, what: "training loss is NaN".into() };
        entries.push(sweep_sample::ended(1, 1, outcome));
        let history = sweep_sample::apply(&entries);
        let divergence = Context::of_trial(&history.trials[0], None, None).divergence.expect("it diverged");
        assert_eq!((divergence.epoch, divergence.step), (4, Some(1500)));
    }
}
