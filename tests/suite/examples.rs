//! Every example in sweeps/ can be planned.

use std::fs;
use std::path::{Path, PathBuf};

use sweep_core::recipe::{Layer, Source};
use sweep_core::trial::TrialId;
use sweep_data::datasets::{self, Info};
use sweep_data::network::{PRESETS, Shape};
use sweep_scheduler::search::Search;
use sweep_spec::{Problems, SETS, Spec};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sweeps");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

/// The properties of the data. If the data is missing on this machine, they are those of the dataset that the example
/// uses.
fn info(source: &Source, file: &Path) -> Info {
    datasets::describe(source).unwrap_or_else(|absent| {
        let (shape, classes) = match source {
            Source::Mnist { .. } | Source::FashionMnist { .. } => (Shape { channels: 1, height: 28, width: 28 }, 10),
            Source::Cifar100 { .. } => (Shape { channels: 3, height: 32, width: 32 }, 100),
            _ => (Shape { channels: 3, height: 32, width: 32 }, 10),
        };
        eprintln!("{}: its data is not here, so its networks are built for {shape} pictures: {absent}", file.display());
        let classes = (0..classes).map(|class: u32| class.to_string()).collect();
        Info { shape, classes, train: 50_000, validation: 0, test: 10_000, notes: Vec::new() }
    })
}

#[test]
fn init_writes_a_first_sweep_where_no_example_is() {
    let world = crate::world::World::new();
    let text = world.expect("init", 0);
    assert!(text.contains("next: sweep plan quickstart.yaml, then sweep run quickstart.yaml"), "{text}");
    assert!(world.read("quickstart.yaml").contains("#   sweep plan quickstart.yaml "), "it names itself");
    world.expect("plan quickstart.yaml", 0);
    world.expect("init", 0);
    world.write("quickstart.yaml", "name: own\n");
    let text = world.expect("init", 2);
    assert!(text.contains("quickstart.yaml already exists"), "{text}");
    assert_eq!(world.read("quickstart.yaml"), "name: own\n");
    assert!(world.expect("plan nothing.yaml", 2).contains("`sweep init` writes one"));
}

#[test]
fn every_example_has_trials_that_make_recipes() {
    for file in examples() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.display().to_string();
        let (mut spec, notes) =
            Spec::read(&text, &name, file.parent().unwrap()).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(notes.is_empty(), "{name}: {notes:?}");
        assert_eq!(Some(spec.name.as_str()), file.file_stem().and_then(|stem| stem.to_str()), "{name}");
        let inspected = spec.inspect::<Problems>(|source| Ok(info(source, &file)), (&name, &text));
        let inspection = inspected.unwrap_or_else(|problems| panic!("{problems}"));
        assert!(inspection.is_some_and(|inspection| inspection.networks > 0), "{name}");
        let mut search = Search::new(spec.search_terms());
        // A budget ends what has no end of its own.
        let (len, budgeted) = (search.len(), !spec.budget.is_none());
        let trials = len.or(budgeted.then_some(10)).unwrap_or_else(|| panic!("{name} has no end"));
        for trial in (1..=trials).map(TrialId) {
            let settings = search.settings(trial).unwrap();
            let recipe = spec.recipe(&settings).unwrap_or_else(|error| panic!("{name}, trial {trial}: {error}"));
            assert!(matches!(recipe.layers.last(), Some(Layer::Dense { .. } | Layer::Scale { .. })), "{name}");
        }
        assert!(len.is_none() || search.settings(TrialId(trials + 1)).is_none(), "{name}");
    }
}

#[test]
fn every_preset_and_every_data_set_has_an_example() {
    let texts: Vec<String> = examples().iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let presets = PRESETS.iter().map(|name| format!("model: {name}\n"));
    for wanted in presets.chain(SETS.map(|set| format!("set: {set}\n"))) {
        let wanted = wanted.trim_end();
        let found = texts
            .iter()
            .flat_map(|text| text.lines())
            .any(|line| line.trim().split(" #").next().unwrap().trim_end() == wanted);
        assert!(found, "no example has `{wanted}`");
    }
}
