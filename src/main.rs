//! The `sweep` program: reads the arguments, runs the command, and sets the exit code.

use std::process::ExitCode;

use sweep::cli::{Cli, surroundings::Surroundings};

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == sweep::agent::WORD) {
        return sweep::agent::supervise();
    }
    let cli = Cli::read();
    let exit = Surroundings::look().and_then(|surroundings| cli.run(&surroundings)).unwrap_or_else(|error| {
        sweep::cli::output::tell(&format!("error: {error}"));
        error.exit
    });
    ExitCode::from(exit as u8)
}
