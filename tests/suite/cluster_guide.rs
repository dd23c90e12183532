//! Several machines as the guide shows them, with its own commands: hosts by ssh, jobs of Slurm, an allocation. Each
//! sweep is compared with the same one on this machine. Skipped where network namespaces, sshd or Slurm are missing.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::faults::scripted;
use crate::hosts_ssh::Network;
use crate::slurm::Slurm;
use crate::world::{World, npy, sweep, wait_until};

const GUIDE: &str = include_str!("../../docs/guides/cluster.md");

const LIMIT: Duration = Duration::from_secs(120);

/// Images of the size of CIFAR-10, in a folder that hosts do not have.
const SWEEP: &str = "
parameters: {learning_rate: {values: [1e-1, 1e-2, 1e-3, 1e-4]}, batch_size: {values: [16, 32]}}
data: {set: arrays, path: private/images, order: nhwc, validation: 0.2}
model: linear
training: {epochs: 4}
devices: {gpus: none}
";

/// The first command of the guide that begins so.
fn shown(start: &str) -> String {
    let mut commands = GUIDE.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
    commands.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("the guide shows no {start}")).to_owned()
}

/// The trainer that was built beside `sweep`, if one was.
fn real() -> Option<PathBuf> {
    Some(sweep().with_file_name("sweep-trainer")).filter(|path| path.exists())
}

/// Writes the data and the sweep file, and runs the sweep on this machine, to compare with.
fn prepare(world: &World, cluster: &str, trainer: &str) {
    std::fs::create_dir_all(world.path("private/images")).expect("the folder is writable");
    let labels: Vec<u8> = (0..200).map(|image| image % 10).collect();
    let image = |label: u8| (0..32 * 32 * 3_u32).map(move |at| (u32::from(label) * 20 + at % 7) as u8);
    npy(
        &world.path("private/images/x_train.npy"),
        "(200, 32, 32, 3)",
        &labels.iter().copied().flat_map(image).collect::<Vec<_>>(),
    );
    npy(&world.path("private/images/y_train.npy"), "(200,)", &labels);
    world.write("sweep.yaml", &format!("{SWEEP}cluster: {cluster}\n"));
    let script = world.read("script");
    world.write("script", "");
    world.expect(&format!("run sweep.yaml --name here --progress none --trainer {trainer} --on none"), 0);
    world.write("script", &script);
}

/// What hosts by ssh need: the data, and where programs and trials have their place there.
fn by_ssh(world: &World) -> String {
    let (private, script) = (world.path("private"), world.path("script"));
    let setup = format!("export XDG_CACHE_HOME={} SCRIPT={}", private.display(), script.display());
    format!("{{sync: [private/images], setup: ['{setup}']}}")
}

fn assert_equals_whole(world: &World) {
    let times = &["seconds", "device", "attempts"];
    for (file, without) in [("trials.csv", &times[..]), ("epochs.csv", &[])] {
        let table = |name: &str| {
            let mut rows = world.table(&format!("results/{name}/{file}"), without);
            // The real trainer's epochs have times, too.
            rows.sort();
            rows
        };
        assert_eq!(table("sweep"), table("here"), "{file}");
    }
    let ends = world.read("results/sweep/journal.jsonl").matches("\"is\":\"ended\"").count();
    assert_eq!(ends, 8, "every trial ends once");
}

/// A command of the guide in a folder, with more arguments. Those of sbatch are the last.
fn typed(world: &World, line: &str, more: &str) -> Command {
    let words = line.strip_prefix("sweep ").unwrap_or_else(|| panic!("{line} is another program's"));
    let mut command = world.sweep(&match words.split_once(" -- ") {
        Some((words, sbatch)) => format!("{words} {more} -- {sbatch}"),
        None => format!("{words} {more}"),
    });
    command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", world.path("bin").display()));
    command.env("XDG_CACHE_HOME", world.path("scratch"));
    command
}

fn said(mut command: Command) -> String {
    let output = command.output().expect("it can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

fn spawned(world: &World, mut command: Command) -> Child {
    let out = std::fs::File::create(world.path("out")).expect("the folder is writable");
    let err = out.try_clone().expect("it is open");
    command.stdout(out).stderr(err).spawn().expect("it can be started")
}

fn ends_well(world: &World, mut child: Child) -> String {
    let status = child.wait().expect("it is our child");
    let text = world.read("out");
    assert!(status.success(), "{status}: {text}");
    text
}

fn trains(world: &World, slots: &[&str]) {
    let journal = || std::fs::read_to_string(world.path("results/sweep/journal.jsonl")).unwrap_or_default();
    wait_until("these hosts train", LIMIT, || {
        let journal = journal();
        slots.iter().all(|slot| journal.contains(&format!("\"slot\":\"{slot}")))
    });
}

#[test]
fn what_the_guide_types_for_hosts_by_ssh_gives_the_results_of_one_machine() {
    // The sweep is not over before a third host has joined, however slow the machine is.
    let world = scripted("* slow 3000");
    let Some(_network) = Network::or_skip(&world, 8, 3) else { return };
    prepare(&world, &by_ssh(&world), "trainer");
    let plan = said(typed(&world, &shown("sweep plan sweep.yaml --on ssh:"), ""));
    assert!(plan.contains("copy private/images to gpu1") && plan.contains("agent --name gpu2"), "{plan}");
    assert!(!world.path("results/sweep").exists(), "{plan}");
    let run = typed(&world, &shown("sweep run sweep.yaml --on ssh:"), "--progress plain --trainer trainer");
    let controller = spawned(&world, run);
    trains(&world, &["gpu1/", "gpu2/"]);
    let agents = said(typed(&world, &shown("sweep agents "), ""));
    assert!(agents.contains("gpu1: ") && agents.contains("gpu2: "), "{agents}");
    let joined = said(typed(&world, &shown("sweep join "), ""));
    assert!(joined.contains("ssh:gpu3: ") && joined.contains("private/images was copied"), "{joined}");
    let left = said(typed(&world, &shown("sweep leave "), ""));
    assert!(left.contains("gpu1"), "{left}");
    trains(&world, &["gpu3/"]);
    world.write("script", "");
    let text = ends_well(&world, controller);
    assert!(text.contains("ssh:gpu1: ") && text.contains("private/images was copied"), "{text}");
    assert_equals_whole(&world);
}

#[test]
fn what_the_guide_types_for_slurm_gives_the_results_of_one_machine() {
    let Some(slurm) = Slurm::start("* slow 150", 4) else { return };
    let world = &slurm.hosts.world;
    prepare(world, "{}", "trainer");
    // The partition and the GPUs are those of a real cluster.
    let here = |line: String| line.replace("--partition gpu --gpus-per-node 2", "--exclusive").replace("8:00:00", "10");
    let with_slurm = |mut command: Command| {
        command.env("SLURM_CONF", slurm.folder.join("slurm.conf"));
        command
    };
    let plan = said(with_slurm(typed(world, &here(shown("sweep plan sweep.yaml --on slurm")), "")));
    assert!(plan.contains("--array=1-4") && plan.contains("--exclusive --time 10"), "{plan}");
    let line = here(shown("sweep run sweep.yaml --on slurm"));
    let run = with_slurm(typed(world, &line, "--progress plain --trainer trainer"));
    let controller = spawned(world, run);
    trains(world, &["node1.", "node2."]);
    let agents = said(typed(world, &shown("sweep agents "), ""));
    assert!(agents.contains("node1."), "{agents}");
    let text = ends_well(world, controller);
    assert!(text.contains("Slurm: jobs submitted: 4"), "{text}");
    assert_equals_whole(world);
    // The same inside an allocation.
    std::fs::remove_dir_all(world.path("results/sweep")).expect("it is there");
    let line = shown("srun ").replace(" --gpus-per-node 4", "");
    let (srun, words) = line.split_once(" sweep ").expect("it starts sweep");
    let mut step = typed(world, &format!("sweep {words}"), "--progress plain --trainer trainer");
    let mut outer = with_slurm(Command::new("srun"));
    outer.args(srun.split_whitespace().skip(1)).arg(sweep()).args(step.get_args()).current_dir(world.path(""));
    outer.envs(step.env("SCRIPT", world.path("script")).get_envs().filter_map(|(name, value)| Some((name, value?))));
    let step = spawned(world, outer);
    trains(world, &["node2/", "node3/", "node4/"]);
    ends_well(world, step);
    assert_equals_whole(world);
}

/// Rows of the real trainer, without times.
#[test]
fn the_real_trainer_gives_the_same_numbers_on_hosts_on_slurm_and_here() {
    let Some(trainer) = real() else { return eprintln!("skipped: sweep-trainer was not built beside sweep") };
    let trainer = trainer.display().to_string();
    let options = format!("--progress plain --trainer {trainer}");
    let compare = |world: &World| {
        let epochs = |name: &str| {
            let path = format!("results/{name}/epochs.csv");
            world.table(&path, &["seconds", "pictures_per_second"])
        };
        assert_eq!(epochs("sweep"), epochs("here"));
        for trial in 1..=8 {
            let best =
                |name: &str| std::fs::read(world.path(&format!("results/{name}/trials/{trial:04}/best.safetensors")));
            assert_eq!(best("sweep").expect("weights"), best("here").expect("weights"), "trial {trial}");
        }
    };
    let world = scripted("");
    if let Some(_network) = Network::or_skip(&world, 9, 3) {
        prepare(&world, &by_ssh(&world), &trainer);
        said(typed(&world, "sweep run sweep.yaml --on ssh:gpu1,gpu2,gpu3", &options));
        compare(&world);
    }
    let Some(slurm) = Slurm::start("", 3) else { return };
    let world = &slurm.hosts.world;
    prepare(world, "{}", &trainer);
    let mut run = typed(world, "sweep run sweep.yaml --on slurm --nodes 3 -- --exclusive --time 10", &options);
    run.env("SLURM_CONF", slurm.folder.join("slurm.conf"));
    said(run);
    compare(world);
}
