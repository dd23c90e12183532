//! `sweep-trainer` as an agent sees it: a process that exchanges JSON lines and may be killed at any moment.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use sweep_core::protocol::{FromTrainer, Order, ToTrainer, VERSION};
use sweep_core::recipe::{
    Augment, Data, Init, Layer, Moments, Optimizer, Padding, Precision, Recipe, Schedule, Source, Training, Validation,
};
use sweep_core::trial::{Attempt, EpochMetrics, Goal, Metric, Outcome, TrialId};

/// A running trainer. It is killed when the test ends.
struct Trainer {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Trainer {
    fn start() -> Trainer {
        let mut trainer = Trainer::command(&["--device", "cpu", "--threads", "1"]);
        match trainer.hear() {
            Some(FromTrainer::Ready { protocol: VERSION, device, .. }) => assert_eq!(device, "cpu, 1 thread"),
            other => panic!("{other:?}"),
        }
        trainer
    }

    fn command(arguments: &[&str]) -> Trainer {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sweep-trainer"))
            .args(arguments)
            // Has no effect on the CPU, and hides the GPUs of any machine.
            .env("CUDA_VISIBLE_DEVICES", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Trainer { process, stdin, stdout }
    }

    fn tell(&mut self, message: &ToTrainer) {
        let line = serde_json::to_string(message).unwrap();
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Returns the next message, or `None` at the end of stdout. Any other text on stdout fails the test.
    fn hear(&mut self) -> Option<FromTrainer> {
        let mut line = String::new();
        (self.stdout.read_line(&mut line).unwrap() > 0).then(|| serde_json::from_str(&line).expect(&line))
    }

    /// Returns messages up to and including the first that satisfies `wanted`.
    fn hear_until(&mut self, wanted: impl Fn(&FromTrainer) -> bool) -> Vec<FromTrainer> {
        let mut heard = Vec::new();
        while !heard.last().is_some_and(&wanted) {
            heard.push(self.hear().expect("it goes on talking"));
        }
        heard
    }

    fn end(mut self) -> ExitStatus {
        drop(self.stdin.take());
        self.process.wait().unwrap()
    }
}

impl Drop for Trainer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn order(number: u32, folder: &Path) -> Order {
    let layers = vec![
        Layer::Conv { filters: 8, kernel: 3, stride: 1, padding: Padding::Same, bias: true, max_norm: None },
        Layer::Relu,
        Layer::BatchNorm { momentum: 0.99, epsilon: 1e-3 },
        Layer::Dropout { rate: 0.2 },
        Layer::Flatten,
        Layer::Dense { units: 10, bias: true, max_norm: None },
    ];
    let training = Training {
        epochs: 4,
        batch_size: 64,
        learning_rate: 1e-3,
        schedule: Schedule::default(),
        optimizer: Optimizer::Adam(Moments::default()),
        weight_decay: 0.0,
        label_smoothing: 0.0,
        clip_norm: None,
        init: Init::Keras,
        precision: Precision::Float32,
        deterministic: false,
        cuda_graph: true,
        gpu_kernels: true,
        balance: Default::default(),
        early_stopping: None,
        metric: Metric { name: "val_loss".into(), goal: Goal::Minimize },
    };
    let augment = Augment { crop: 1, ..Augment::default() };
    let data = Data {
        split_seed: None,
        source: Source::Digits,
        validation: Validation::Share(0.2),
        train_examples: None,
        augment,
        test: None,
        normalize: Default::default(),
    };
    Order {
        attempt: Attempt { trial: TrialId(1), number },
        seed: 7,
        recipe: Recipe { data, layers, training },
        folder: folder.to_owned(),
        epochs_known: 0,
        check_weights: false,
    }
}

fn train(order: Order) -> ToTrainer {
    ToTrainer::Train(Box::new(order))
}

fn over(message: &FromTrainer) -> bool {
    matches!(message, FromTrainer::Ended { .. } | FromTrainer::Paused { .. })
}

fn is_epoch(message: &FromTrainer) -> bool {
    matches!(message, FromTrainer::Epoch { .. })
}

/// Returns the metrics of all epochs without their durations.
fn epochs(heard: &[FromTrainer]) -> Vec<EpochMetrics> {
    let epoch = |message: &FromTrainer| match message {
        FromTrainer::Epoch { metrics, .. } => {
            Some(EpochMetrics { seconds: None, pictures_per_second: None, ..*metrics })
        }
        _ => None,
    };
    heard.iter().filter_map(epoch).collect()
}

#[test]
fn a_trainer_that_is_killed_or_paused_on_the_way_ends_with_the_numbers_of_one_that_is_not() {
    let (straight, disturbed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut trainer = Trainer::start();
    trainer.tell(&train(order(1, straight.path())));
    let expected = trainer.hear_until(over);
    assert_eq!(epochs(&expected).len(), 4);
    assert_eq!(trainer.end().code(), Some(0));

    let mut trainer = Trainer::start();
    trainer.tell(&train(order(1, disturbed.path())));
    trainer.hear_until(is_epoch);
    trainer.process.kill().unwrap();
    // No controller knows of the last epochs that this trainer reported, or of those in its checkpoint.
    drop(trainer);

    let mut trainer = Trainer::start();
    trainer.tell(&train(order(2, disturbed.path())));
    // A late message for the dead attempt has no effect.
    trainer.tell(&ToTrainer::Pause { attempt: order(1, disturbed.path()).attempt });
    trainer.tell(&ToTrainer::Pause { attempt: order(2, disturbed.path()).attempt });
    let mut heard = trainer.hear_until(over);
    assert!(matches!(heard.last(), Some(FromTrainer::Paused { .. })), "{heard:?}");

    trainer.tell(&train(Order { epochs_known: epochs(&heard).len() as u32, ..order(3, disturbed.path()) }));
    heard.extend(trainer.hear_until(over));
    assert!(matches!(heard.last(), Some(FromTrainer::Ended { outcome: Outcome::Finished, .. })), "{heard:?}");
    assert_eq!(epochs(&heard), epochs(&expected));
}

#[test]
fn a_trial_that_cannot_be_trained_says_why_and_the_next_one_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::start();
    let mut without_data = order(1, folder.path());
    without_data.recipe.data.source = Source::Cifar10 { path: folder.path().join("nowhere") };
    trainer.tell(&train(without_data));
    match trainer.hear() {
        Some(FromTrainer::Ended { outcome: Outcome::Failed { error }, .. }) => {
            assert!(error.contains("nowhere") && !error.contains('\n'), "{error}");
        }
        other => panic!("{other:?}"),
    }
    trainer.tell(&train(order(2, folder.path())));
    let heard = trainer.hear_until(over);
    assert!(matches!(heard.last(), Some(FromTrainer::Ended { outcome: Outcome::Finished, .. })), "{heard:?}");
}

#[test]
fn a_trainer_ends_at_once_when_its_agent_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::start();
    let mut endless = order(1, folder.path());
    endless.recipe.training.epochs = u32::MAX;
    trainer.tell(&train(endless));
    trainer.hear_until(is_epoch);
    assert_eq!(trainer.end().code(), Some(0));
}

#[test]
fn a_gpu_that_cannot_be_used_is_said_and_never_replaced_by_the_cpu() {
    let mut trainer = Trainer::command(&["--device", "cuda"]);
    match trainer.hear() {
        Some(FromTrainer::Unusable { reason }) => assert!(reason.contains("gpus: none"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(trainer.hear(), None);
    assert_eq!(trainer.process.wait().unwrap().code(), Some(3));
}
