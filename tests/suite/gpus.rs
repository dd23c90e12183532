//! GPUs that appear, disappear, are used by other processes, and fail, with a scripted driver.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::scripted;
use crate::world::{World, processes_naming, wait_until};

/// A folder with a driver that reports these GPUs.
pub fn driven(script: &str, gpus: &[Value]) -> World {
    let world = scripted(script);
    let driver = PathBuf::from(env!("CARGO_BIN_EXE_sweep")).with_file_name("examples/libscripted_nvml.so");
    assert!(driver.exists(), "first: cargo build --profile test --examples");
    std::fs::create_dir(world.path("lib")).expect("the folder is writable");
    symlink(driver, world.path("lib/libnvidia-ml.so.1")).expect("the folder is writable");
    show(&world, gpus);
    world
}

pub fn gpu(index: u32) -> Value {
    json!({"uuid": format!("GPU-{index}"), "load": 7, "temperature": 41, "power": 250_000, "ecc_errors": 0, "throttle": 0x45})
}

fn with(mut gpu: Value, key: &str, value: impl Into<Value>) -> Value {
    gpu[key] = value.into();
    gpu
}

/// Makes the driver report these GPUs from now on.
pub fn show(world: &World, gpus: &[Value]) {
    world.write("gpus.new", &json!({"gpus": gpus}).to_string());
    std::fs::rename(world.path("gpus.new"), world.path("gpus.json")).expect("the folder is writable");
}

pub fn sweep(world: &World, words: &str) -> Command {
    let mut command = world.sweep(words);
    command.env("LD_LIBRARY_PATH", world.path("lib")).env("FAKE_NVML", world.path("gpus.json"));
    command
}

/// Runs `sweep` and checks its exit code. Returns its output, stderr last.
pub fn expect(world: &World, words: &str, exit: i32) -> String {
    let output = sweep(world, words).output().expect("sweep can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "sweep {words}:\n{text}");
    text
}

/// Writes the file of a sweep with this number of trials.
fn file(world: &World, trials: u32, devices: &str) {
    world.write(
        "s.yaml",
        &format!(
            "method: random\nrun_cap: {trials}\nparameters: {{learning_rate: {{min: 0.1, max: 1.0}}}}\n\
             data: {{set: digits, validation: 0.2, train_examples: 100}}\nmodel: linear\ntraining: {{epochs: 3}}\n\
             devices: {{gpus: all{devices}}}\n"
        ),
    );
}

const RUN: &str = "run s.yaml --trainer trainer --progress plain";

fn start(world: &World) -> Child {
    sweep(world, RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sweep can be started")
}

fn journal(world: &World) -> String {
    std::fs::read_to_string(world.path("results/s/journal.jsonl")).unwrap_or_default()
}

fn wait_for(world: &World, what: &str) {
    wait_until(what, Duration::from_secs(60), || journal(world).contains(what));
}

/// Waits for the end, checks the exit code, and returns the output.
fn ending(controller: Child, exit: i32) -> String {
    let output = controller.wait_with_output().expect("it is our child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{text}");
    text
}

/// The slots on which trials were started.
fn slots_used(world: &World) -> BTreeSet<String> {
    let entries = journal(world);
    let entries = entries.lines().map(|line| serde_json::from_str::<Value>(line).expect("it is whole"));
    entries.filter(|entry| entry["is"] == "started").map(|entry| entry["slot"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn gpus_are_shown_also_by_a_driver_that_tells_little() {
    let world = driven("", &[with(gpu(0), "processes", json!([[17, 3 << 30]])), gpu(1)]);
    let text = expect(&world, "gpus", 0);
    assert!(text.contains("GPU-1") && text.contains("Slots: gpu:0 gpu:1"), "{text}");
    assert!(text.contains("17") && text.contains("0.0 GiB of 40.0 GiB used"), "{text}");
    let without = json!({"gpus": [gpu(0)], "without": ["name", "memory", "load", "processes", "temperature", "power",
        "ecc_errors", "energy", "throttle", "mig", "xids"]});
    world.write("gpus.json", &without.to_string());
    let seen: Value = serde_json::from_str(&expect(&world, "gpus --json", 0)).expect("JSON");
    assert_eq!((&seen["slots"], &seen["gpus"][0]["uuid"]), (&json!(["gpu:0"]), &json!("GPU-0")));
    // A GPU that has fallen off the bus does not hide the other.
    show(&world, &[with(gpu(0), "lost", true), gpu(1)]);
    assert!(expect(&world, "gpus", 0).contains("Slots: gpu:1"));
    std::fs::remove_file(world.path("gpus.json")).expect("it is there");
    assert!(expect(&world, "gpus", 0).contains("No GPU: the NVIDIA driver does not respond"));
}

#[test]
fn every_gpu_gets_a_trainer_and_its_figures_are_recorded() {
    let world = driven("* slow 100", &[gpu(0), gpu(1)]);
    file(&world, 6, "");
    expect(&world, RUN, 0);
    assert_eq!(slots_used(&world), ["gpu:0", "gpu:1"].map(str::to_owned).into());
    let rows = world.table("results/s/devices.csv", &["time", "trials"]);
    assert_eq!(rows[0], ["gpu:0", "GPU-0", "7", "0", "250", "41", "sw_power_cap hw_thermal_slowdown"]);
    assert_eq!(rows[1][1], "GPU-1");
}

#[test]
fn the_energy_of_a_trial_is_counted_and_shared_out_among_those_on_a_gpu() {
    // The driver has no energy counter, so energy is computed from power: 250 W.
    let world = driven("* slow 800", &[gpu(0)]);
    file(&world, 2, ", per_gpu: 2");
    expect(&world, RUN, 0);
    let spent = |column: &str| -> f64 {
        let path = world.path("results/s/trials.csv");
        let mut reader = csv::Reader::from_path(path).expect("it is there");
        let at = reader.headers().expect("it has a header").iter().position(|name| name == column).expect("a column");
        reader.records().map(|row| row.expect("a table")[at].parse::<f64>().expect("a number")).sum()
    };
    let (kilojoules, seconds) = (spent("energy_kj"), spent("seconds"));
    // Two trials run at a time, each with half of the energy. A reading of the driver may be up to a second late.
    assert!(kilojoules > 0.1 && kilojoules < 0.25 * (seconds / 2.0 + 1.5), "{kilojoules} kJ in {seconds} s");
    assert!(world.read("results/s/report.md").contains("kWh"));
}

/// Maximum number of trials that ran on a GPU at the same time, according to the journal.
fn most_together(world: &World, gpu: &str) -> usize {
    let (mut on, mut most) = (BTreeSet::new(), 0);
    for line in journal(world).lines() {
        let entry: Value = serde_json::from_str(line).expect("it is whole");
        let attempt = entry["attempt"].to_string();
        match entry["is"].as_str().expect("every entry says what it is") {
            "started" if entry["slot"].as_str().is_some_and(|slot| slot.starts_with(gpu)) => drop(on.insert(attempt)),
            "ended" | "lost" | "paused" => drop(on.remove(&attempt)),
            _ => {}
        }
        most = most.max(on.len());
    }
    most
}

#[test]
fn trials_share_a_gpu_as_memory_and_throughput_allow() {
    let plenty = with(gpu(0), "memory_total", 100_u64 << 30);
    for (script, gpu, most) in [
        // 38 of 40 GiB are available, enough for three trials of 12 GiB.
        ("* memory 12288\n* slow 400", gpu(0), 3),
        // Memory suffices for eight, but three at a time are slower than two. Three are tried once and not again.
        ("* memory 2048\n* slow 400\n* room-for 2", plenty, 3),
    ] {
        let world = driven(script, &[gpu]);
        file(&world, 10, ", per_gpu: auto");
        let text = expect(&world, RUN, 0);
        assert_eq!(most_together(&world, "gpu:0"), most, "{script}: {text}");
        assert!(!journal(&world).contains("\"is\":\"lost\""), "{text}");
        assert!(journal(&world).contains("\"is\":\"learnt\""), "{text}");
    }
}

/// In a container the driver hides all processes, or shows the ids that they have on the host.
#[test]
fn in_a_container_the_sweeps_own_trainers_are_no_strangers() {
    for pids in ["hidden", "host"] {
        let world = driven("* memory 12288\n* slow 400", &[with(gpu(0), "pids", pids)]);
        file(&world, 8, ", per_gpu: auto, courtesy: yield");
        let text = expect(&world, RUN, 0);
        assert_eq!(most_together(&world, "gpu:0"), 3, "{pids}: 38 of 40 GiB are lent, three of 12 GiB: {text}");
        for entry in ["paused", "lost", "device"] {
            assert!(!journal(&world).contains(&format!("\"is\":\"{entry}\"")), "{pids}: {text}");
        }
        // Memory that was there before the sweep's first trainer belongs to another process.
        show(&world, &[with(with(gpu(0), "pids", pids), "memory_used", 20_u64 << 30)]);
        file(&world, 2, ", busy: skip");
        let text = expect(&world, &format!("{RUN} --name second"), 6);
        assert!(text.contains("20.0 GiB of 40.0 GiB are in use, but not by any visible process"), "{pids}: {text}");
    }
}

#[test]
fn a_number_of_trials_share_a_gpu_and_lack_of_memory_lowers_it() {
    let world = driven("5 memory 45056\n* memory 15360\n* slow 100", &[gpu(0)]);
    file(&world, 8, ", per_gpu: 3");
    let text = expect(&world, RUN, 1);
    let rows = crate::faults::trials(&world);
    assert!(rows[4][0] == "out_of_memory" && rows[4][3].contains("alone on gpu:0."), "{text}");
    assert!(
        rows[4][3].contains("it does not fit alone on ") && rows[4][3].contains(" either, with 40.0 GiB"),
        "{rows:?}"
    );
    assert!(rows.iter().filter(|row| row[0] == "finished").count() == 7, "never the sweep: {text}");
    assert_eq!(most_together(&world, "gpu:0"), 3, "before it was learnt");
    assert!(journal(&world).contains("\"most\":2"), "{text}");
}

#[test]
fn by_courtesy_trials_leave_a_gpu_that_others_come_to_and_come_back() {
    let world = driven("1.1 held 2", &[gpu(0)]);
    file(&world, 3, ", courtesy: yield");
    let controller = start(&world);
    wait_for(&world, "\"is\":\"epoch\"");
    show(&world, &[with(gpu(0), "processes", json!([[1, null]]))]);
    wait_for(&world, "\"is\":\"paused\"");
    wait_until("the trainer is gone", Duration::from_secs(60), || processes_naming(&world.path("trainer")).is_empty());
    let why = expect(&world, "status results/s --why", 0);
    assert!(why.contains("gpu:0: idle: used by process 1") && why.contains("saved, waits for a free slot"), "{why}");
    show(&world, &[gpu(0)]);
    let text = ending(controller, 0);
    assert_eq!(world.table("results/s/epochs.csv", &[]).len(), 3 * 3, "{text}");
    assert!(text.contains("saved") && !journal(&world).contains("\"is\":\"lost\""), "{text}");
}

#[test]
fn mig_instances_are_devices_of_their_own() {
    let instance = |name: &str| json!({"uuid": name, "memory_total": 10_u64 << 30});
    let divided = with(gpu(0), "mig", json!([instance("MIG-a"), instance("MIG-b")]));
    let world = driven("MIG-a slow 100\nMIG-b slow 150\nGPU-1 slow 100", &[divided, gpu(1)]);
    let text = expect(&world, "gpus", 0);
    assert!(text.contains("Slots: gpu:0:0 gpu:0:1 gpu:1") && text.contains("0.0 GiB of 10.0 GiB used"), "{text}");
    let of = |visible: &str| {
        let mut command = sweep(&world, "gpus --json");
        let output = command.env("CUDA_VISIBLE_DEVICES", visible).output().expect("sweep can be started");
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["slots"].clone()
    };
    assert_eq!(of("MIG-b,GPU-1"), json!(["gpu:0:1", "gpu:1"]));
    assert_eq!(of("")[0], "cpu:0", "an empty list is no GPU");
    file(&world, 6, "");
    expect(&world, &format!("{RUN} --gpus MIG-a,0:1"), 0);
    assert_eq!(slots_used(&world), ["gpu:0:0", "gpu:0:1"].map(str::to_owned).into());
}

/// In the place of `nvidia-cuda-mps-control`: the daemon in the foreground, or a command to it on stdin.
const CONTROL: &str = r#"#!/bin/sh
cd "$CUDA_MPS_PIPE_DIRECTORY" || exit 1
if [ "$1" = -f ]; then
    echo $$ > nvidia-cuda-mps-control.pid
    : > control
    exec sleep 600
fi
read -r command rest
[ -e control ] || exit 1
case $command in
    start_server) cat nvidia-cuda-mps-control.pid > server ;;
    get_server_list) cat server 2> /dev/null ;;
    quit) kill "$(cat nvidia-cuda-mps-control.pid)" ;;
esac
"#;

/// A world with two trials at a time on a GPU and the scripted daemon in PATH, and its folder for temporary files.
fn with_daemon(script: &str, devices: &str) -> (World, PathBuf) {
    let world = driven(script, &[gpu(0)]);
    file(&world, 4, devices);
    for folder in ["bin", "tmp"] {
        std::fs::create_dir(world.path(folder)).expect("the folder is writable");
    }
    world.write("bin/nvidia-cuda-mps-control", CONTROL);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(world.path("bin/nvidia-cuda-mps-control"), executable).expect("it is ours");
    let temporary = world.path("tmp");
    (world, temporary)
}

fn daemon_run(world: &World) -> Command {
    let mut command = sweep(world, RUN);
    command.env("TMPDIR", world.path("tmp")).env("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The process ids of daemons in this folder that are alive.
fn daemons(temporary: &std::path::Path) -> Vec<String> {
    let folders = std::fs::read_dir(temporary).into_iter().flatten().flatten();
    let pids = folders.filter_map(|entry| {
        std::fs::read_to_string(entry.path().join("nvidia-cuda-mps-control.pid")).ok().map(|pid| pid.trim().to_owned())
    });
    pids.filter(|pid| std::path::Path::new("/proc").join(pid).exists()).collect()
}

#[test]
fn trials_that_share_a_gpu_get_a_daemon_of_cuda_mps_that_ends_with_the_sweep() {
    let (world, temporary) = with_daemon("", ", per_gpu: 2");
    // What a controller left that was killed.
    std::fs::create_dir_all(temporary.join("sweep-mps-4194305")).expect("the folder is writable");
    let text = ending(daemon_run(&world).spawn().expect("sweep can be started"), 0);
    assert!(text.contains("CUDA MPS: running in ") && journal(&world).contains("sweep-mps-"), "{text}");
    assert_eq!(std::fs::read_dir(&temporary).expect("it is there").count(), 0, "its folder and the stale one are gone");

    let (world, temporary) = with_daemon("* slow 2000", ", per_gpu: 2");
    let mut controller = daemon_run(&world).spawn().expect("sweep can be started");
    wait_for(&world, "\"is\":\"began\"");
    assert_eq!(daemons(&temporary).len(), 1);
    controller.kill().expect("it runs");
    controller.wait().expect("it was started");
    wait_until("the daemon of a killed controller is gone", Duration::from_secs(2), || daemons(&temporary).is_empty());
}

#[test]
fn no_daemon_of_cuda_mps_is_started_where_none_is_wanted_or_needed() {
    for devices in [", per_gpu: 2, mps: off", ""] {
        let (world, temporary) = with_daemon("", devices);
        let text = ending(daemon_run(&world).spawn().expect("sweep can be started"), 0);
        assert!(!text.contains("MPS"), "{text}");
        assert_eq!(std::fs::read_dir(&temporary).expect("it is there").count(), 0);
    }
    // One that starts no server is reported, and the trials take turns.
    let (world, temporary) = with_daemon("", ", per_gpu: 2");
    world.write("bin/nvidia-cuda-mps-control", &CONTROL.replace("start_server)", "never)"));
    let text = ending(daemon_run(&world).spawn().expect("sweep can be started"), 0);
    assert!(
        text.contains("take turns, because CUDA MPS is not available: nvidia-cuda-mps-control did not start a server"),
        "{text}"
    );
    assert_eq!(std::fs::read_dir(&temporary).expect("it is there").count(), 0);
}

#[test]
fn the_daemon_of_cuda_mps_is_told_to_trainers_and_to_the_user() {
    let world = driven("* slow 100", &[gpu(0)]);
    std::fs::create_dir(world.path("mps")).expect("the folder is writable");
    world.write("mps/control", "");
    world.write("mps/nvidia-cuda-mps-control.pid", &std::process::id().to_string());
    file(&world, 2, ", per_gpu: 2");
    let mut command = sweep(&world, RUN);
    command.env("CUDA_MPS_PIPE_DIRECTORY", world.path("mps")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let controller = command.spawn().expect("sweep can be started");
    wait_for(&world, "\"is\":\"epoch\"");
    let folder = world.path("mps").display().to_string();
    let told = |pid: &u32| {
        let variables = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&variables).contains(&format!("CUDA_MPS_PIPE_DIRECTORY={folder}\0"))
    };
    assert!(processes_naming(&world.path("trainer")).iter().all(told));
    assert!(ending(controller, 0).contains("CUDA MPS: running in "));
    assert!(expect(&world, "status results/s --why", 0).contains("CUDA MPS is running in "));
}

#[test]
fn a_busy_gpu_is_waited_for_and_status_says_what_holds_it() {
    let taken = with(gpu(0), "processes", json!([[1, 3_u64 << 30]]));
    let world = driven("* slow 100", &[taken, gpu(1)]);
    file(&world, 12, "");
    let controller = start(&world);
    wait_for(&world, "\"is\":\"ended\"");
    let why = expect(&world, "status results/s --why", 0);
    assert!(why.contains("gpu:0: idle: used by process 1 with 3.0 GiB"), "{why}");
    assert!(why.contains("gpu:1: trains trial 0"), "{why}");
    assert_eq!(slots_used(&world), ["gpu:1".to_owned()].into());
    show(&world, &[gpu(0), gpu(1)]);
    let text = ending(controller, 0);
    assert!(text.contains("gpu:0: used by process 1") && text.contains("gpu:0: free again"), "{text}");
    assert_eq!(slots_used(&world).len(), 2);
}

#[test]
fn a_busy_gpu_is_shared_or_skipped_where_the_file_says_so() {
    let taken = |index| with(gpu(index), "memory_used", 20_u64 << 30);
    let world = driven("", &[taken(0), gpu(1)]);
    file(&world, 6, ", busy: share");
    world.write("script", "* slow 50");
    expect(&world, RUN, 0);
    assert_eq!(slots_used(&world).len(), 2);
    file(&world, 6, ", busy: skip");
    std::fs::remove_dir_all(world.path("results")).expect("it is there");
    let text = expect(&world, RUN, 0);
    assert!(
        text.contains("note: not used: gpu:0: 20.0 GiB of 40.0 GiB are in use, but not by any visible process"),
        "{text}"
    );
    assert_eq!(slots_used(&world), ["gpu:1".to_owned()].into());
    show(&world, &[taken(0), taken(1)]);
    std::fs::remove_dir_all(world.path("results")).expect("it is there");
    let text = expect(&world, RUN, 6);
    assert!(text.contains("all GPUs are in use; gpu:0: ") && text.contains("busy: wait"), "{text}");
}

#[test]
fn somebody_who_comes_to_our_gpu_is_reported_and_the_trial_goes_on() {
    let world = driven("1.1 held 2", &[gpu(0)]);
    file(&world, 3, "");
    let controller = start(&world);
    wait_for(&world, "\"is\":\"epoch\"");
    show(&world, &[with(gpu(0), "processes", json!([[1, null]]))]);
    wait_for(&world, "\"is\":\"device\"");
    show(&world, &[gpu(0)]);
    world.write("go", "");
    let text = ending(controller, 0);
    assert!(text.contains("gpu:0: used by process 1\n"), "{text}");
    assert!(!journal(&world).contains("\"is\":\"lost\""));
}

#[test]
fn a_gpu_that_falls_off_the_bus_or_reports_errors_is_taken_out_and_its_trial_goes_elsewhere() {
    let broken = [
        (with(gpu(1), "lost", true), "fallen off the bus"),
        (with(gpu(1), "xids", json!([13, 79])), "the driver reported XID error 79"),
        (with(gpu(1), "ecc_errors", 3), "its memory had 3 uncorrectable errors"),
    ];
    for (broken, reason) in broken {
        let world = driven("* slow 200", &[gpu(0), gpu(1)]);
        file(&world, 8, "");
        let controller = start(&world);
        wait_until("trials run on both", Duration::from_secs(60), || slots_used(&world).len() == 2);
        show(&world, &[gpu(0), broken]);
        let text = ending(controller, 0);
        assert!(text.contains("gpu:1: given up") && text.contains(reason), "{text}");
        assert_eq!(world.table("results/s/epochs.csv", &[]).len(), 8 * 3, "no trial is lost");
    }
}

#[test]
fn gpus_of_another_host_are_watched_as_those_of_this_machine_are() {
    let taken = with(gpu(0), "processes", json!([[1, 3_u64 << 30]]));
    let world = driven("* slow 100", &[taken, gpu(1)]);
    file(&world, 12, "");
    let (program, scratch) = (crate::world::sweep(), world.path("scratch"));
    let on = format!("command:{} agent --name far --scratch {}", program.display(), scratch.display());
    let mut run = sweep(&world, RUN);
    let controller = run.args(["--on", &on]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    wait_for(&world, "\"is\":\"ended\"");
    let held = "far/gpu:0 gets no trial: used by process 1 with 3.0 GiB";
    let agents = expect(&world, "agents results/s", 0);
    assert!(agents.contains(held), "{agents}");
    let why = expect(&world, "status results/s --why", 0);
    assert!(why.contains("far/gpu:0: idle: used by process 1"), "{why}");
    assert_eq!(slots_used(&world), ["far/gpu:1".to_owned()].into());
    show(&world, &[gpu(0), gpu(1)]);
    wait_for(&world, "\"slot\":\"far/gpu:0\",\"settings\"");
    show(&world, &[gpu(0), with(gpu(1), "lost", true)]);
    let text = ending(controller, 0);
    assert!(text.contains("far/gpu:0: free again"), "{text}");
    assert!(text.contains("far/gpu:1: the driver no longer lists it: it has fallen off the bus"), "{text}");
    assert_eq!(world.table("results/s/epochs.csv", &[]).len(), 12 * 3, "no trial is lost");
    let energy: f64 =
        world.column("results/s/trials.csv", "energy_kj").iter().filter_map(|kj| kj.parse::<f64>().ok()).sum();
    assert!(energy > 0.1, "250 W for seconds: {energy} kJ");
    let row = ["far/gpu:0", "GPU-0", "7", "0", "250", "41", "sw_power_cap hw_thermal_slowdown"].map(str::to_owned);
    let rows = world.table("results/s/devices.csv", &["time", "trials"]);
    assert!(rows.contains(&row.to_vec()), "{rows:?}");
}

#[test]
fn a_busy_gpu_of_another_host_is_skipped_where_the_file_says_so() {
    let taken = |index| with(gpu(index), "memory_used", 20_u64 << 30);
    let world = driven("* slow 50", &[taken(0), gpu(1)]);
    file(&world, 6, ", busy: skip");
    let (program, scratch) = (crate::world::sweep(), world.path("scratch"));
    let on = format!("command:{} agent --name far --scratch {}", program.display(), scratch.display());
    let run = || {
        let output = sweep(&world, RUN).args(["--on", &on]).output().expect("sweep can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, text) = run();
    let told = "far: not used: gpu:0: 20.0 GiB of 40.0 GiB are in use, but not by any visible process";
    assert!(code == Some(0) && text.contains(told), "{text}");
    assert_eq!(slots_used(&world), ["far/gpu:1".to_owned()].into());
    show(&world, &[taken(0), taken(1)]);
    std::fs::remove_dir_all(world.path("results")).expect("it is there");
    let (code, text) = run();
    assert!(code == Some(6) && text.contains("all GPUs are in use; gpu:0: ") && text.contains("busy: wait"), "{text}");
}

#[test]
fn a_gpu_that_loses_three_trials_in_a_row_is_taken_out() {
    let world = driven("GPU-1 killed 1\n* slow 100", &[gpu(0), gpu(1)]);
    file(&world, 12, "");
    let text = expect(&world, RUN, 0);
    assert!(text.contains("gpu:1: given up: trials 0") && text.contains("were lost on it one after another"), "{text}");
    assert_eq!(journal(&world).matches("\"is\":\"lost\"").count(), 3, "{text}");
}

#[test]
fn two_hundred_trials_on_eight_gpus_survive_all_of_it_at_once() {
    // GPU 6 is in MIG mode. Trials use 12 GiB, so three fit on a GPU; trial 30 fits on none.
    let whole = |index: u32| {
        let instance = |name: &str| json!({"uuid": name, "memory_total": 20_u64 << 30});
        if index == 6 { with(gpu(6), "mig", json!([instance("MIG-a"), instance("MIG-b")])) } else { gpu(index) }
    };
    let all =
        |change: &dyn Fn(u32, Value) -> Value| (0..8).map(|index| change(index, whole(index))).collect::<Vec<_>>();
    let script = "GPU-7 segfault 2\n3.1 hang 1\n5.1 crash 2\n8.1 twice 2\n9 garbage\n30 memory 60000\n\
                  * memory 12288\n* slow 250";
    let world = driven(script, &all(&|_, gpu| gpu));
    file(&world, 200, ", per_gpu: auto, courtesy: yield");
    let mut controller = sweep(&world, &format!("{RUN} --silence 2"));
    let controller = controller.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sweep can be started");
    wait_for(&world, "\"trial\":40,");
    let taken = |index, gpu| if index == 0 { with(gpu, "processes", json!([[1, 1 << 30]])) } else { gpu };
    show(&world, &all(&taken));
    wait_for(&world, "\"is\":\"device\"");
    let worse = |index, gpu| match index {
        1 => with(gpu, "lost", true),
        2 => with(gpu, "xids", json!([79])),
        _ => gpu,
    };
    show(&world, &all(&|index, gpu| worse(index, taken(index, gpu))));
    wait_for(&world, "fallen off the bus");
    wait_for(&world, "XID error 79");
    show(&world, &all(&worse));
    let text = ending(controller, 1);
    let rows = crate::faults::trials(&world);
    let finished = rows.iter().filter(|row| row[0] == "finished").count();
    assert_eq!((finished, rows.len(), rows[29][0].as_str()), (199, 200, "out_of_memory"), "{text}");
    assert_eq!(journal(&world).matches("\"is\":\"ended\"").count(), 200, "each once");
    assert_eq!(world.table("results/s/epochs.csv", &[]).len(), 199 * 3, "{text}");
    for gpu in ["gpu:7", "gpu:1", "gpu:2"] {
        assert!(text.contains(&format!("{gpu}: given up")), "{gpu}: {text}");
    }
    let most: Vec<usize> = [0, 3, 4, 5].iter().map(|index| most_together(&world, &format!("gpu:{index}."))).collect();
    assert!(most.iter().all(|most| (2..=3).contains(most)), "{most:?}");
    assert!((1..=1).contains(&most_together(&world, "gpu:6:0.")), "12 of 20 GiB");
}

/// A program that writes down which GPUs it has.
fn program(world: &World, rest: &str) {
    world.write(
        "train.sh",
        "echo $CUDA_VISIBLE_DEVICES $SWEEP_GPUS $1 >>$SWEEP_TRIAL_DIR/seen\nsleep 0.2\necho '{\"score\": 1}'\n",
    );
    world.write(
        "s.yaml",
        &format!(
            "command: [sh, train.sh, \"--nproc=${{gpus}}\"]\nmetric: {{name: score, goal: maximize}}\n\
             parameters: {{x: {{values: [1, 2, 3, 4]}}}}\ndevices: {{gpus: all, gpus_per_trial: 2{rest}}}\n"
        ),
    );
}

#[test]
fn a_program_can_have_several_gpus_for_itself() {
    let world = driven("", &[gpu(0), gpu(1), gpu(2), gpu(3), gpu(4)]);
    program(&world, "");
    let text = expect(&world, "run s.yaml --progress plain", 0);
    assert!(text.contains("note: not used: gpu:4, because each trial has 2 GPUs"), "{text}");
    assert_eq!(slots_used(&world), ["gpu:0+1", "gpu:2+3"].map(str::to_owned).into());
    for trial in 1..=4 {
        let seen = world.read(&format!("results/s/trials/{trial:04}/seen"));
        assert!(["GPU-0,GPU-1 2 --nproc=2\n", "GPU-2,GPU-3 2 --nproc=2\n"].contains(&seen.as_str()), "{seen}");
    }
    assert!(expect(&world, "plan s.yaml", 0).contains("gpu:0+1"));
    world.write("s.yaml", &world.read("s.yaml").replace("gpus: all", "gpus: [3]"));
    let text = expect(&world, "run s.yaml --name few", 6);
    assert!(text.contains("gpus_per_trial is 2, but the sweep has 1 GPU"), "{text}");
}

#[test]
fn a_slot_of_several_gpus_waits_until_all_of_them_are_free() {
    let busy = || with(gpu(1), "processes", json!([[1, null]]));
    let world = driven("", &[gpu(0), busy()]);
    program(&world, "");
    let controller = sweep(&world, "run s.yaml --progress plain")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    wait_for(&world, "\"is\":\"device\"");
    let why = expect(&world, "status results/s --why", 0);
    assert!(
        !journal(&world).contains("\"is\":\"started\"") && why.contains("gpu:0+1: idle: used by process 1"),
        "{why}"
    );
    show(&world, &[gpu(0), gpu(1)]);
    ending(controller, 0);
}
