//! `sweep-trainer` trains trials on one device, as ordered by an agent. `sweep` starts it, so users do not have to.
//!
//! This crate owns the training loop, networks as tensors, optimizers and augmentation. It decides nothing about trials,
//! and what it needs to know arrives in an order (`sweep_core::protocol`).
//!
//! Start with `session`, which takes orders, then `attempt`, the training loop, and `network`.

mod attempt;
mod augment;
mod checkpoint;
mod controller;
mod convolution;
mod cuda;
mod dataset;
mod device;
mod evaluation;
mod exit;
mod fault;
mod fused_activation;
mod gpu_kernel;
mod graph;
mod libtorch;
mod measure;
mod network;
mod optimizer;
mod position;
mod predict;
#[cfg(test)]
mod pytorch;
mod session;
mod sheet;
mod step_rng;

use std::process::ExitCode;

use clap::Parser;
use controller::{Agent, Controller};
use sweep_core::error::Exit;
use sweep_core::protocol::{self, FromTrainer};

/// Exit code if the device cannot be used.
const UNUSABLE: u8 = 3;

/// Trains the trials of a sweep, one after the other, as ordered on stdin (JSON lines; see
/// crates/sweep-core/src/protocol.rs).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The device to train on.
    #[arg(long, value_enum, default_value = "cpu")]
    device: device::Kind,
    /// Number of threads for one operation.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Draw the contact sheet of augmented images that stdin describes, then exit.
    #[arg(long)]
    sheet: bool,
    /// Print what trained weights say about the images that stdin describes, then exit.
    #[arg(long, conflicts_with = "sheet")]
    predict: bool,
}

fn main() -> ExitCode {
    let Arguments { device: kind, threads, sheet, predict } = Arguments::parse();
    if sheet || predict {
        let done = if sheet { draw() } else { say() };
        return done.map_or_else(
            |reason| {
                eprintln!("{reason}");
                ExitCode::from(Exit::BadData as u8)
            },
            |()| ExitCode::SUCCESS,
        );
    }
    run(kind, threads).unwrap_or_else(|error| {
        eprintln!("error: stdin, stdout and stderr must be open: {error}");
        ExitCode::from(Exit::NoTrainer as u8)
    })
}

fn draw() -> Result<(), String> {
    let asked = serde_json::from_reader(std::io::stdin().lock()).map_err(|error| error.to_string())?;
    sheet::draw(&asked).map_err(|fault| fault.to_string())
}

fn say() -> Result<(), String> {
    let asked = serde_json::from_reader(std::io::stdin().lock()).map_err(|error| error.to_string())?;
    let answer = predict::answer(&asked).map_err(|fault| fault.to_string())?;
    serde_json::to_writer(std::io::stdout().lock(), &answer).map_err(|error| error.to_string())
}

fn run(kind: device::Kind, threads: u16) -> std::io::Result<ExitCode> {
    let stdout = controller::take_stdout()?;
    // This must precede the second thread, because it may set an environment variable.
    let opened = device::open(kind, threads);
    let mut agent = Agent::new(stdout)?;
    match opened {
        Ok(device) => {
            let (device_name, backend) = (device::name(kind, threads), device::backend());
            agent.say(FromTrainer::Ready { protocol: protocol::VERSION, device: device_name, backend });
            let fault = session::serve(&mut agent, device);
            eprintln!("error: the device takes no more work: {fault}");
            Ok(ExitCode::from(UNUSABLE))
        }
        Err(reason) => {
            agent.say(FromTrainer::Unusable { reason });
            Ok(ExitCode::from(UNUSABLE))
        }
    }
}
