//! A trainer for tests. It implements the protocol, trains nothing, and produces trainer faults on command.
//!
//! The environment variable `SCRIPT` names a file that is read again for every attempt. A line is `WHEN FAULT
//! [NUMBER]`. `WHEN` is `start`, a trial (`3`), an attempt (`3.1`), a GPU (`GPU-1`), or `*` for all attempts. The
//! number is the epoch in which the fault occurs (default 1), unless the fault is documented differently below.
//!
//! Metrics depend only on trial and epoch, so that a sweep with faults can be compared with one without.
//! `last.safetensors` contains the number of completed epochs. A file `backend` beside the script contains the name of
//! the library that the trainer claims to use.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it stands for foreign programs")]

use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, exit};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{park, spawn};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use sweep_core::measurement::{Capacity, MeasureRequest, Measured};
use sweep_core::protocol::{self, FromTrainer, LAST_CHECKPOINT, Order, ToTrainer};
use sweep_core::trial::{Attempt, EpochMetrics, Outcome, TrialId};
use sweep_core::warning::Warning;

/// Time between two heartbeats in a slow epoch.
const PULSE: Duration = Duration::from_millis(20);

fn main() {
    let commands = script("start", "start");
    let inbox = listen();
    for (fault, _) in &commands {
        match fault.as_str() {
            "unusable" => return say(&FromTrainer::Unusable { reason: "the device is on fire".into() }),
            "mute" => silent(),
            "exit" => {
                eprintln!("libtorch.so: cannot open shared object file");
                exit(127)
            }
            _ => {}
        }
    }
    let protocol = if commands.iter().any(|(fault, _)| fault == "old-protocol") { 0 } else { protocol::VERSION };
    say(&FromTrainer::Ready { protocol, device: "cpu, scripted".into(), backend: backend() });
    while let Ok(message) = inbox.recv() {
        match message {
            ToTrainer::Train(order) => train(&order, &inbox),
            ToTrainer::Measure(order) => measure(&order),
            ToTrainer::Pause { .. } => {}
        }
    }
}

fn backend() -> String {
    let file = std::env::var_os("SCRIPT").map(|script| PathBuf::from(script).with_file_name("backend"));
    file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_else(|| "script".into())
}

fn train(order: &Order, inbox: &Receiver<ToTrainer>) {
    let Order { attempt, folder, recipe, epochs_known, .. } = order;
    let attempt = *attempt;
    let commands = script(&attempt.trial.0.to_string(), &format!("{}.{}", attempt.trial.0, attempt.number));
    let done = fs::read_to_string(folder.join(LAST_CHECKPOINT)).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let from_epoch = done.min(*epochs_known);
    // With `dead`, the check of initial weights finds dead units.
    let dead = order.check_weights && commands.iter().any(|(command, _)| command == "dead");
    let warning =
        || Warning { name: "dead_units".into(), serious: true, text: "units are dead before the first step.".into() };
    say(&FromTrainer::Began {
        attempt,
        from_epoch,
        train_examples: 100,
        validation_examples: 10,
        parameters: 1000,
        note: None,
        warnings: dead.then(warning).into_iter().collect(),
    });
    if let Some((_, mebibytes)) = commands.iter().find(|(command, _)| command == "memory")
        && let Err(error) = take(mebibytes.unwrap_or(1) << 20)
    {
        return say(&FromTrainer::Ended { attempt, outcome: Outcome::OutOfMemory { error } });
    }
    let _busy = commands.iter().any(|(command, _)| command == "room-for").then(Busy::new);
    for epoch in from_epoch + 1..=recipe.training.epochs {
        let (mut milliseconds, mut held) = (0, false);
        for (fault, number) in &commands {
            match fault.as_str() {
                "memory" | "dead" => {}
                "slow" => milliseconds = number.unwrap_or(100),
                // The epoch lasts until a file `go` lies beside the script.
                "held" => held |= number.unwrap_or(1) == u64::from(epoch),
                // This number of trainers run at full speed together. More slow each other down.
                "room-for" => {
                    let crowd = busy() as f64 / number.unwrap_or(1) as f64;
                    milliseconds = (milliseconds as f64 * crowd.max(1.0).powi(2)) as u64;
                }
                fault if number.unwrap_or(1) == u64::from(epoch) => misbehave(fault, order, epoch),
                _ => {}
            }
        }
        if epoch > done && paused(inbox, attempt, epoch, (milliseconds, held)) {
            return say(&FromTrainer::Paused { attempt });
        }
        say(&FromTrainer::Epoch { attempt, metrics: metrics(attempt.trial, epoch), others: Default::default() });
        if epoch > done && epoch < recipe.training.epochs {
            if let Err(error) = sweep_store::replace(&folder.join(LAST_CHECKPOINT), epoch.to_string().as_bytes()) {
                unwritable(attempt, &error);
            }
            say(&FromTrainer::Saved { attempt, epoch });
        }
    }
    say(&FromTrainer::Ended { attempt, outcome: Outcome::Finished });
}

/// Reports the measurements of a sound network, except what the script changes for the trial: `flat` memorizes nothing.
fn measure(order: &MeasureRequest) {
    let attempt = order.attempt;
    let faults = script(&attempt.trial.0.to_string(), &format!("{}.{}", attempt.trial.0, attempt.number));
    let is = |name: &str| faults.iter().any(|(fault, _)| fault == name);
    if is("failed") {
        return say(&FromTrainer::Ended { attempt, outcome: Outcome::Failed { error: "no room".into() } });
    }
    let accuracies = if is("flat") { vec![0.1; 150] } else { vec![0.4, 0.9, 1.0] };
    let rates = vec![(1e-4, Some(2.3)), (1e-3, Some(1.5)), (1e-2, Some(1.0)), (1e-1, Some(90.0))];
    let capacity = Capacity { images: 256, steps: 8, accuracies, cut_short: false };
    let measured = Measured { first_loss: Some(10_f64.ln()), rates, capacity, ..Measured::default() };
    say(&FromTrainer::Measured { attempt, measured: Box::new(measured) });
}

/// Produces a fault of the script. If this returns, the attempt continues as if nothing had happened.
fn misbehave(fault: &str, order: &Order, epoch: u32) {
    let attempt = order.attempt;
    let end = |outcome| {
        say(&FromTrainer::Ended { attempt, outcome });
        exit(0)
    };
    match fault {
        "crash" => panic!("index out of bounds: the len is 3 but the index is 7"),
        "segfault" => signal(Signal::SEGV),
        "killed" => signal(Signal::KILL),
        "quit" => exit(0),
        "hang" => silent(),
        "spin" => loop {
            std::hint::black_box(epoch);
        },
        "deaf" => {
            // A handler replaces the default action of SIGTERM.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let _guard = runtime.enter();
            let _ignored = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
            silent()
        }
        "garbage" => raw(b"Epoch 1/9 [=====>....]\n{\"say\":\"dance\"}\n{\"say\":\"epoch\"}\n[]\n\n{\"say\":\n"),
        "long-line" => raw(&[vec![b'x'; 10 << 20], vec![b'\n']].concat()),
        "binary" => raw(&(0..=255_u8).cycle().take(1 << 16).chain([b'\n']).collect::<Vec<_>>()),
        "nan" => raw(format!(
            "{{\"say\":\"epoch\",\"attempt\":{{\"trial\":{},\"number\":{}}},\"metrics\":{{\"epoch\":{epoch},\
             \"val_loss\":NaN}}}}\n",
            attempt.trial.0, attempt.number
        )
        .as_bytes()),
        "halves" => {
            let line = line(&FromTrainer::Progress { attempt, epoch, step: 1, steps: 2 });
            for part in line.chunks(7) {
                raw(part);
                std::thread::yield_now();
            }
        }
        "torn" => {
            let line = line(&FromTrainer::Epoch {
                attempt,
                metrics: metrics(attempt.trial, epoch),
                others: Default::default(),
            });
            raw(&line[..line.len() / 2]);
            exit(1)
        }
        "old-attempt" => {
            let attempt = Attempt { number: attempt.number.wrapping_sub(1), ..attempt };
            say(&FromTrainer::Epoch { attempt, metrics: metrics(attempt.trial, epoch), others: Default::default() });
            say(&FromTrainer::Ended { attempt, outcome: Outcome::Finished });
        }
        "twice" => {
            say(&FromTrainer::Epoch { attempt, metrics: metrics(attempt.trial, epoch), others: Default::default() })
        }
        "diverge" => end(Outcome::Diverged { epoch, step: 1, what: "training loss is NaN".into() }),
        "out-of-memory" => {
            end(Outcome::OutOfMemory { error: "CUDA out of memory. Tried to allocate 20.00 GiB".into() })
        }
        "fill" => {
            let full = sweep_store::replace(&order.folder.join(LAST_CHECKPOINT), &vec![0; 64 << 20]);
            unwritable(attempt, &full.expect_err("the test has made the disk small"));
        }
        "child" => drop(Command::new("sleep").arg("1000").spawn().expect("sleep is there")),
        "orphan" => {
            // The process has its own group, and the trainer's pipes.
            drop(Command::new("sleep").arg("4.321").process_group(0).spawn().expect("sleep is there"));
        }
        other => panic!("the script says {other}"),
    }
}

/// The folder where the trainers on this GPU record their memory.
fn gpu_folder() -> PathBuf {
    let driver = PathBuf::from(std::env::var_os("FAKE_NVML").expect("a script with memory is run with a driver"));
    driver.with_file_name("trainers").join(std::env::var("CUDA_VISIBLE_DEVICES").expect("it has a GPU"))
}

/// The live trainers on this GPU, with their memory in bytes.
fn on_gpu() -> Vec<(u32, u64)> {
    let entries = fs::read_dir(gpu_folder()).into_iter().flatten().flatten();
    let one = |entry: fs::DirEntry| {
        let name = entry.file_name();
        fs::metadata(PathBuf::from("/proc").join(&name)).ok()?;
        Some((name.to_str()?.parse().ok()?, fs::read_to_string(entry.path()).ok()?.parse().ok()?))
    };
    entries.filter_map(one).collect()
}

/// Marks this trainer as computing on its GPU while it exists.
struct Busy(PathBuf);

impl Busy {
    fn new() -> Busy {
        let path = gpu_folder().join(format!("busy-{}", std::process::id()));
        fs::create_dir_all(gpu_folder()).and_then(|()| fs::write(&path, "")).expect("it is writable");
        Busy(path)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Number of trainers that compute on this GPU.
fn busy() -> usize {
    let entries = fs::read_dir(gpu_folder()).into_iter().flatten().flatten();
    let lives = |entry: &fs::DirEntry| {
        entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix("busy-"))
            .is_some_and(|pid| PathBuf::from("/proc").join(pid).exists())
    };
    entries.filter(lives).count()
}

/// Allocates GPU memory and keeps it, as libtorch does: memory that it already has is reused.
fn take(bytes: u64) -> Result<(), String> {
    let state = fs::read(std::env::var_os("FAKE_NVML").expect("there is a driver")).expect("it is there");
    let state: serde_json::Value = serde_json::from_slice(&state).expect("the driver's file is JSON");
    let name = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let gpus = state["gpus"].as_array().cloned().unwrap_or_default();
    let gpu = gpus.iter().find(|gpu| gpu["uuid"] == name.as_str()).cloned().unwrap_or_default();
    let total = gpu["memory_total"].as_u64().unwrap_or(40 << 30);
    let me = std::process::id();
    let path = gpu_folder().join(me.to_string());
    let had = on_gpu().iter().find(|(pid, _)| *pid == me).map_or(0, |(_, bytes)| *bytes);
    fs::create_dir_all(gpu_folder()).expect("it is writable");
    // Written before the check, so that at least one of two concurrent trainers sees the other.
    let write = |bytes: u64| sweep_store::replace(&path, bytes.to_string().as_bytes()).expect("it is writable");
    write(had.max(bytes));
    if on_gpu().iter().map(|(_, bytes)| bytes).sum::<u64>() > total {
        write(had);
        return Err(format!("CUDA out of memory. Tried to allocate {} MiB", bytes >> 20));
    }
    Ok(())
}

/// Waits for the duration of an epoch. Returns whether a pause was requested.
fn paused(inbox: &Receiver<ToTrainer>, attempt: Attempt, epoch: u32, (milliseconds, held): (u64, bool)) -> bool {
    let steps = milliseconds / PULSE.as_millis() as u64;
    let go = std::env::var_os("SCRIPT").map(|script| PathBuf::from(script).with_file_name("go"));
    let is_held = || held && !go.as_ref().is_some_and(|go| go.exists());
    for step in 0.. {
        let (is_over, step) = (step >= steps && !is_held(), step.min(steps));
        let wait = if is_over { Duration::ZERO } else { PULSE };
        match inbox.recv_timeout(wait) {
            Ok(ToTrainer::Pause { attempt: whose }) if whose == attempt => return true,
            Err(RecvTimeoutError::Disconnected) => exit(0),
            _ => say(&FromTrainer::Progress { attempt, epoch, step, steps }),
        }
        if is_over {
            break;
        }
    }
    false
}

fn metrics(TrialId(trial): TrialId, epoch: u32) -> EpochMetrics {
    let loss = 1.0 / f64::from(epoch) + trial as f64 / 100.0;
    EpochMetrics { epoch, val_loss: Some(loss), train_loss: Some(loss / 2.0), ..EpochMetrics::default() }
}

fn unwritable(attempt: Attempt, error: &sweep_core::error::Error) -> ! {
    say(&FromTrainer::Unwritable { attempt, reason: error.to_string().replace('\n', ";") });
    exit(0)
}

/// The faults of the script lines that apply to this attempt, each with its number.
fn script(trial: &str, attempt: &str) -> Vec<(String, Option<u64>)> {
    let Some(path) = std::env::var_os("SCRIPT") else { return Vec::new() };
    let text = fs::read_to_string(&path).expect("the script is there");
    let gpu = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let fault = |line: &str| {
        let mut words = line.split_whitespace();
        let when = words.next()?;
        let is_meant = when == trial || when == attempt || when == gpu || (when == "*" && trial != "start");
        Some((words.next().filter(|_| is_meant)?.to_owned(), words.next().and_then(|word| word.parse().ok())))
    };
    text.lines().filter_map(fault).collect()
}

fn listen() -> Receiver<ToTrainer> {
    let (sender, inbox) = channel();
    spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(serde_json::from_str(&line).expect("a message of the protocol"));
        }
    });
    inbox
}

fn line(message: &FromTrainer) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages have string keys");
    line.push(b'\n');
    line
}

fn say(message: &FromTrainer) {
    raw(&line(message));
}

fn raw(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        exit(0); // The controller has exited.
    }
}

fn signal(signal: Signal) -> ! {
    loop {
        let _ = kill_process(getpid(), signal);
    }
}

fn silent() -> ! {
    loop {
        park();
    }
}
