//! Finds the libtorch that a trainer will load, without loading it, and says whether the two fit.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// Environment variable with the folder of the libtorch to use: a `torch` package, or an unpacked libtorch.
pub const VARIABLE: &str = "SWEEP_LIBTORCH";

/// The oldest and the newest libtorch that the trainer was tried with, as major and minor version. The C++ interface of
/// libtorch is not stable. scripts/libtorch-matrix tries versions, and packaging/wheel.py names the same.
const OLDEST: (u32, u32) = (2, 13);
const NEWEST: (u32, u32) = (2, 15);

/// A libtorch on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Libtorch {
    /// The folder that contains `lib/`.
    pub folder: PathBuf,
    /// Its version, such as `2.13.0+cu130`, if the folder says so.
    pub version: Option<String>,
    /// The version of CUDA it was built for, if any.
    pub cuda: Option<String>,
}

/// Whether a trainer can use a libtorch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The two were tried together.
    Tried,
    /// Newer than every version that was tried, or of unknown version. It may work.
    Untried,
    /// Too old: the trainer needs functions that it lacks.
    TooOld,
}

impl Libtorch {
    /// The libtorch in the given folder, or else beside the trainer, where its run path leads: in the same site-packages,
    /// or in the same folder. `None` if there is none, as for a trainer whose run path names another folder.
    pub fn find(trainer: &Path, named: Option<&Path>) -> Option<Libtorch> {
        let beside = trainer.parent().into_iter().flat_map(|folder| [folder.join("../../torch"), folder.join("torch")]);
        let mut folders = named.map_or_else(|| beside.collect(), |folder| vec![folder.to_owned()]).into_iter();
        folders.find(|folder| folder.join("lib/libtorch_cpu.so").is_file()).map(|folder| Libtorch::read(&folder))
    }

    /// Reads `version.py` of the `torch` package, or `build-version` of libtorch's archive.
    fn read(folder: &Path) -> Libtorch {
        let text = std::fs::read_to_string(folder.join("version.py")).unwrap_or_default();
        let assigned = |name: &str| {
            let value =
                text.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches(assigns).strip_prefix('\''));
            value.and_then(|value| Some(value.split_once('\'')?.0.to_owned()))
        };
        let archive = || Some(std::fs::read_to_string(folder.join("build-version")).ok()?.trim().to_owned());
        Libtorch {
            folder: folder.canonicalize().unwrap_or_else(|_| folder.to_owned()),
            version: assigned("__version__").or_else(archive),
            cuda: assigned("cuda"),
        }
    }

    /// Whether the trainer can use it, by its version.
    pub fn fit(&self) -> Fit {
        let mut numbers = self.version.as_deref().unwrap_or_default().split('.').map(|part| part.parse::<u32>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) if (major, minor) < OLDEST => Fit::TooOld,
            (Some(major), Some(minor)) if (major, minor) <= NEWEST => Fit::Tried,
            _ => Fit::Untried,
        }
    }

    /// Says that the trainer cannot use it.
    pub fn too_old(&self) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        format!("sweep-trainer works with {}, but {} is {version}", versions(), self.folder.display())
    }
}

/// Matches what is between a name and its value in `version.py`, with or without a type: `cuda: Optional[str] = '13.0'`.
fn assigns(letter: char) -> bool {
    letter != '\''
}

/// The versions that work, in words.
pub fn versions() -> String {
    format!("PyTorch {}.{} to {}.{}", OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1)
}

/// Says why a trainer ended before its first instruction, from the last line of the dynamic linker.
pub fn not_loaded(last: &str) -> String {
    format!("libtorch cannot be loaded: {last}; {} works: {}, or set {VARIABLE} to its folder", versions(), install())
}

/// The command that installs a version that works.
pub fn install() -> String {
    format!("pip install 'torch>={}.{},<{}.{}'", OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as pip leaves it: the trainer in one package, and `torch` of this version in another.
    fn installed(version: &str) -> (tempfile::TempDir, PathBuf) {
        let site = tempfile::tempdir().expect("a temporary folder");
        for folder in ["sweep_hpo/bin", "torch/lib"] {
            std::fs::create_dir_all(site.path().join(folder)).expect("it is writable");
        }
        let text = format!("from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = '13.0'\n");
        std::fs::write(site.path().join("torch/version.py"), text).expect("it is writable");
        std::fs::write(site.path().join("torch/lib/libtorch_cpu.so"), "").expect("it is writable");
        let trainer = site.path().join("sweep_hpo/bin/sweep-trainer");
        (site, trainer)
    }

    #[test]
    fn the_libtorch_of_the_same_environment_is_found_with_its_version() {
        let (site, trainer) = installed("2.14.1+cu130");
        let found = Libtorch::find(&trainer, None).expect("it is there");
        assert_eq!(found.folder, site.path().canonicalize().unwrap().join("torch"));
        assert_eq!((found.version.as_deref(), found.cuda.as_deref()), (Some("2.14.1+cu130"), Some("13.0")));
        assert_eq!(Libtorch::find(&trainer, Some(Path::new("/nowhere"))), None, "the named folder is the only one");
        assert_eq!(Libtorch::find(Path::new("/nowhere/bin/sweep-trainer"), None), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let fit = |version: &str| Libtorch { folder: PathBuf::new(), version: Some(version.into()), cuda: None }.fit();
        assert_eq!(["2.9.1", "2.12.1+cpu", "1.13.1"].map(fit), [Fit::TooOld; 3]);
        assert_eq!(["2.13.0", "2.14.1", "2.15.0+cu130"].map(fit), [Fit::Tried; 3]);
        assert_eq!(["2.16.0", "3.0.0", "git"].map(fit), [Fit::Untried; 3]);
    }
}
