//! Finds the libtorch that a trainer will load, without loading it, and says whether the two fit.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// Environment variable with the folder of the libtorch to use: a `torch` package, or an unpacked libtorch.
pub const VARIABLE: &str = "SWEEP_LIBTORCH";

/// The folder that a user names, or the one above it if that is its `lib`, as in `LD_LIBRARY_PATH`.
pub fn folder(named: PathBuf) -> PathBuf {
    match named.parent() {
        Some(above) if named.ends_with("lib") && named.join(LIBRARY).is_file() => above.to_owned(),
        _ => named,
    }
}

/// What to write instead of a folder without a libtorch.
pub const NAME_IT: &str = "name the folder `torch` of a Python environment, or the folder of an unpacked libtorch";

/// Says that a folder that a user named has no libtorch.
pub fn missing(folder: &Path) -> String {
    format!("{VARIABLE} is {}, but there is no lib/{LIBRARY} in it", folder.display())
}

/// The library that tells a libtorch from other folders.
const LIBRARY: &str = "libtorch_cpu.so";

/// A program that trains, with the oldest and the newest libtorch that it was tried with, as major and minor version. The
/// C++ interface of libtorch is not stable, so that one program serves a few versions. scripts/libtorch-matrix tries them,
/// and packaging/wheel.py names the same.
struct Build {
    file: &'static str,
    oldest: (u32, u32),
    newest: (u32, u32),
}

/// All builds of this source, the oldest first. Only the last one is there if nothing else was installed.
const BUILDS: [Build; 2] = [
    Build { file: "sweep-trainer-2.11", oldest: (2, 11), newest: (2, 12) },
    Build { file: "sweep-trainer", oldest: (2, 13), newest: (2, 15) },
];

/// The trainer for the libtorch that will be loaded: `trainer` itself, or the build for an older version beside it.
pub fn trainer_for(trainer: PathBuf, named: Option<&Path>) -> PathBuf {
    let Some(version) = Libtorch::find(&trainer, named).and_then(|found| found.numbers()) else { return trainer };
    let build = BUILDS.iter().find(|build| (build.oldest..=build.newest).contains(&version));
    build.map(|build| trainer.with_file_name(build.file)).filter(|other| other.is_file()).unwrap_or(trainer)
}

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
        folders.find(|folder| folder.join("lib").join(LIBRARY).is_file()).map(|folder| Libtorch::read(&folder))
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

    /// Its major and minor version, if they are known.
    fn numbers(&self) -> Option<(u32, u32)> {
        let mut numbers = self.version.as_deref()?.split('.').map(|part| part.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    /// Whether a trainer can use it, by its version.
    pub fn fit(&self, trainer: &Path) -> Fit {
        let Build { oldest, newest, .. } = build(trainer);
        match self.numbers() {
            Some(version) if version < *oldest => Fit::TooOld,
            Some(version) if version <= *newest => Fit::Tried,
            _ => Fit::Untried,
        }
    }

    /// Says that the trainer cannot use it, nor an older build beside it.
    pub fn too_old(&self, trainer: &Path) -> String {
        let version = self.version.as_deref().unwrap_or("of unknown version");
        let is_there = |one: &&Build| trainer.with_file_name(one.file).is_file();
        let oldest = BUILDS.iter().find(is_there).unwrap_or(build(trainer)).oldest;
        format!("sweep-trainer works with {}, but {} is {version}", versions(oldest), self.folder.display())
    }
}

/// Matches what is between a name and its value in `version.py`, with or without a type: `cuda: Optional[str] = '13.0'`.
fn assigns(letter: char) -> bool {
    letter != '\''
}

/// The build that a trainer's file is: by its name, or else the newest.
fn build(trainer: &Path) -> &'static Build {
    let [.., newest] = &BUILDS;
    BUILDS.iter().find(|build| trainer.file_name().is_some_and(|name| name == build.file)).unwrap_or(newest)
}

/// Versions from this one on, in words.
fn versions(oldest: (u32, u32)) -> String {
    let [.., Build { newest, .. }] = &BUILDS;
    format!("PyTorch {}.{} to {}.{}", oldest.0, oldest.1, newest.0, newest.1)
}

/// Says why a trainer ended before its first instruction, from the last line of the dynamic linker.
pub fn not_loaded(last: &str) -> String {
    let [.., Build { oldest, .. }] = &BUILDS;
    let versions = versions(*oldest);
    format!("libtorch cannot be loaded: {last}; {versions} works: {}, or set {VARIABLE} to its folder", install())
}

/// The command that installs a version that works with the newest build.
pub fn install() -> String {
    let [.., Build { oldest, newest, .. }] = &BUILDS;
    format!("pip install 'torch>={}.{},<{}.{}'", oldest.0, oldest.1, newest.0, newest.1 + 1)
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
    fn a_libtorch_is_named_by_its_folder_or_by_the_lib_in_it() {
        let (site, _) = installed("2.14.1");
        let torch = site.path().join("torch");
        assert_eq!([torch.clone(), torch.join("lib")].map(folder), [torch.clone(), torch.clone()]);
        assert_eq!(folder(torch.join("other")), torch.join("other"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let of = |version: &str| Libtorch { folder: PathBuf::new(), version: Some(version.into()), cuda: None };
        let fit = |version: &str| of(version).fit(Path::new("bin/sweep-trainer"));
        assert_eq!(["2.9.1", "2.12.1+cpu", "1.13.1"].map(fit), [Fit::TooOld; 3]);
        assert_eq!(["2.13.0", "2.14.1", "2.15.0+cu130"].map(fit), [Fit::Tried; 3]);
        assert_eq!(["2.16.0", "3.0.0", "git"].map(fit), [Fit::Untried; 3]);
        let older = |version: &str| of(version).fit(Path::new("bin/sweep-trainer-2.11"));
        assert_eq!(["2.10.0", "2.11.0", "2.13.0"].map(older), [Fit::TooOld, Fit::Tried, Fit::Untried]);
    }

    #[test]
    fn an_older_libtorch_gets_the_trainer_that_was_built_for_it_if_it_is_installed() {
        for (version, with_older, without) in [
            ("2.11.0+cu130", "sweep-trainer-2.11", "sweep-trainer"),
            ("2.10.0", "sweep-trainer", "sweep-trainer"),
            ("2.15.0", "sweep-trainer", "sweep-trainer"),
            ("git", "sweep-trainer", "sweep-trainer"),
        ] {
            let (_site, trainer) = installed(version);
            let chosen = || trainer_for(trainer.clone(), None).file_name().unwrap().to_owned();
            assert_eq!(chosen(), without, "{version}");
            let too_old = Libtorch::find(&trainer, None).unwrap().too_old(&trainer);
            assert!(too_old.contains("works with PyTorch 2.13 to 2.15, but"), "{too_old}");
            std::fs::write(trainer.with_file_name("sweep-trainer-2.11"), "").expect("it is writable");
            assert_eq!(chosen(), with_older, "{version}");
            let too_old = Libtorch::find(&trainer, None).unwrap().too_old(&trainer);
            assert!(too_old.contains("works with PyTorch 2.11 to 2.15, but"), "{too_old}");
        }
    }
}
