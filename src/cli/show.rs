//!
use super::surroundings::Surroundings;
use crate::error::{Exit, Result};

#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _surroundings: &Surroundings) -> Result<Exit> {
    Ok(Exit::Success)
}
