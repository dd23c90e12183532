//! What the trials of a sweep train: a network of the file, or a program of the user.

use super::Spec;
use super::model::Model;
use sweep_core::program::Program;
use sweep_core::recipe::Source;
use sweep_core::trial::Settings;

/// What the trials of a sweep train.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "a process has one or two of them")]
pub enum Trains {
    /// A network that the sections `data`, `model` and `training` define.
    Network(Network),
    /// A program of the user. Its data and its networks are unknown.
    Program(Program),
}

/// The sections `data`, `model` and `training` of the sweep file.
#[derive(Debug, Clone)]
pub struct Network {
    /// Source of the images.
    pub source: Source,
    /// Number of classes. For the user's own data it is unknown until the data was inspected ([`Spec::inspect`]).
    pub classes: Option<u32>,
    /// Values that `data` and `training` fix, each under the setting's name as a parameter.
    pub fixed: Settings,
    /// The networks that trials can train.
    pub model: Model,
}

impl Network {
    /// Returns a network whose number of classes is known if the data set is a published one.
    pub(super) fn new(source: Source, fixed: Settings, model: Model) -> Network {
        let classes = match source {
            Source::Digits | Source::Cifar10 { .. } | Source::Mnist { .. } | Source::FashionMnist { .. } => Some(10),
            Source::Cifar100 { .. } => Some(100),
            Source::Folder { .. } | Source::Arrays { .. } => None,
        };
        Network { source, classes, fixed, model }
    }
}

impl Spec {
    /// Returns the network that trials train. `None` if they run a program.
    pub fn network(&self) -> Option<&Network> {
        match &self.trains {
            Trains::Network(network) => Some(network),
            Trains::Program(_) => None,
        }
    }

    /// Returns the program that trials run. `None` if they train a network.
    pub fn program(&self) -> Option<&Program> {
        match &self.trains {
            Trains::Network(_) => None,
            Trains::Program(program) => Some(program),
        }
    }
}
