//! The `sweep` program: reads the arguments, runs the command, and sets the exit code.

use std::process::ExitCode;

use sweep::cli::{Cli, surroundings::Surroundings};

fn main() -> ExitCode {
    let cli = Cli::read();
    let exit = Surroundings::look().and_then(|surroundings| cli.run(&surroundings)).unwrap_or_else(|error| {
        sweep::cli::output::tell(&format!("error: {error}"));
        error.exit
    });
    ExitCode::from(exit as u8)
}
