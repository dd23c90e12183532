#!/usr/bin/env python3
"""What a controller needs for 1,000 agents with 8 slots each: time, memory and delays, as docs/cluster.md has them.

    cargo build --release -p sweep --bin sweep --example scripted-agents --example scripted-trainer
    python3 scripts/bench/agents.py [--build target/release] [--agents 1000] [--seconds 60] [--epoch 800]

`sweep run` is real. All agents are one process, `scripted-agents`, whose slots report an epoch every 800 ms without
training anything: 10,000 rows a second. Both use the loopback device and the disk of `--folder`. The agents are idle for
a third of the time after they have joined. Needs Linux, and nothing but Python.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = """\
name: s
method: random
run_cap: 1000000
parameters: {learning_rate: {min: 0.0001, max: 0.1}}
data: {set: digits, validation: 0.2}
model: linear
training: {epochs: 20}
devices: {gpus: none}
"""

# As in the first task of a step of two, so that the controller waits for others.
SLURM = {
    "SLURM_JOB_ID": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NTASKS": "2",
    "SLURM_NNODES": "2", "SLURMD_NODENAME": "n0",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("target/release"), help="folder of the programs")
    parser.add_argument("--folder", type=Path, default=Path("."), help="where the results are written")
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60, help="time for which all slots train")
    parser.add_argument("--epoch", type=int, default=800, help="milliseconds of an epoch")
    parser.add_argument("--keep", action="store_true", help="keep the results")
    parser.add_argument("--under", default="", help="a command that starts the controller, such as heaptrack")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="agents-", dir=args.folder.resolve()))
    try:
        measure(args, folder)
    finally:
        if args.keep:
            print(f"results: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def measure(args, folder):
    build = args.build.resolve()
    (folder / "s.yaml").write_text(SWEEP)
    # The trainers of the controller's own slots load for ever, so that only agents have trials.
    (folder / "script").write_text("start mute\n")
    print(f"load before: {os.getloadavg()[0]:.1f}; {processor()}")
    print(f"a sync of 8 kB: {syncs(folder)}")
    command = [*args.under.split(), build / "sweep", "run", "s.yaml", "--here", "--progress", "plain", "--trainer",
               build / "examples" / "scripted-trainer"]
    environment = {**os.environ, **SLURM, "SCRIPT": str(folder / "script")}
    with open(folder / "out", "w") as out:
        controller = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        address = folder / "results" / "s" / ".address"
        while not address.exists():
            if controller.poll() is not None:
                sys.exit((folder / "out").read_text())
            time.sleep(0.01)
        observe(args, build, address, controller.pid)
        print(f"a sync of 8 kB: {syncs(folder)}")
    finally:
        # The second one ends what runs at once.
        for _ in range(2):
            controller.send_signal(signal.SIGINT)
            time.sleep(1)
        controller.wait()


def observe(args, build, address, controller):
    """Runs the agents, and prints what they say and what the controller used meanwhile."""
    numbers, began = [args.agents, args.seconds, args.epoch], time.monotonic()
    agents = subprocess.Popen([build / "examples" / "scripted-agents", address, *map(str, numbers)],
                              stdout=subprocess.PIPE, text=True)
    try:
        print(agents.stdout.readline().strip())
        # They are idle for a third of the time after they were started, and train then.
        time.sleep(2)
        idle = began + args.seconds / 3 - time.monotonic() - 1
        print(f"idle controller: {share(controller, idle):.2%} of a core, for {idle:.0f} s")
        time.sleep(3)
        print(f"busy controller: {share(controller, 0.9 * args.seconds):.1%} of a core, load {os.getloadavg()[0]:.1f}")
        print(f"at most {memory(controller)} MB")
        print(agents.stdout.read().strip())
    finally:
        agents.kill()
        agents.wait()


def share(process, seconds):
    """The share of a core that a process uses in these seconds."""
    def used():
        # In nanoseconds. `stat` has only hundredths of a second.
        return sum(int(file.read_text().split()[0]) for file in Path(f"/proc/{process}/task").glob("*/schedstat")) / 1e9
    before, began = used(), time.monotonic()
    time.sleep(seconds)
    return (used() - before) / (time.monotonic() - began)


def memory(process):
    """The most memory that a process had, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 // 1_000_000


def syncs(folder):
    """How long the disk takes."""
    file, times = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY | os.O_APPEND), []
    for _ in range(200):
        os.write(file, b"x" * 8000)
        began = time.monotonic()
        os.fdatasync(file)
        times.append((time.monotonic() - began) * 1e3)
        time.sleep(0.01)
    os.close(file)
    times.sort()
    return f"median {times[100]:.1f} ms, 99th percentile {times[198]:.1f} ms"


def processor():
    """The processor, and its widest instruction set."""
    text = Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*:\s*(.*)", text)
    flags = (re.search(r"flags\s*:\s*(.*)", text) or ["", ""])[1].split()
    widest = [flag for flag in ("avx2", "avx512f", "amx_tile") if flag in flags]
    return f"{name[1] if name else 'unknown processor'}, {os.cpu_count()} cores, {' '.join(widest)}"


if __name__ == "__main__":
    main()
