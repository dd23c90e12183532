"""Images a second of the trainer's step against PyTorch's, tuned by hand, in alternating pairs: a table in Markdown.

    python scripts/bench/steps.py [--pairs 5] [--presets question,resnet9] [--precisions bfloat16,float32] [--examples 512]

Wants an interpreter with PyTorch 2.13.0 and NumPy. Both sides train the same preset on the same number of
CIFAR-10 images, one process at a time; ours is a sweep of one trial, and its figure the one in epochs.csv. The floor
is what would be left if PyTorch's step were convolutions and matrix products alone, by its own profiler.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAM = os.environ.get("SWEEP", ROOT / "target/release/sweep")
BATCH, EPOCHS = 128, 3
# What no preset has: group norm, SiLU, grouped convolutions and branches.
MODELS = {"branched": """
- conv: {filters: 32, kernel: 3}
- group_norm: 8
- silu
- concat: [[{conv: {filters: 32, kernel: 3}}], [{conv: {filters: 32, kernel: 1}}]]
- residual: {layers: [{group_norm: 8}, silu, {conv: {filters: 64, kernel: 3}}]}
- max_pool: 2
- residual: {layers: [{group_norm: 8}, silu, {conv: {filters: 64, kernel: 3, groups: 4}}]}
- group_norm: 8
- silu
- global_average_pool
- dense: ${classes}
"""}
# What preloading jemalloc would buy: freed memory stays, and is not faulted in again at every step.
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "34359738368", "MALLOC_TOP_PAD_": "67108864"}
SWEEP = """\
name: bench
method: grid
parameters: {{batch_size: {{values: [{batch}]}}}}
data: {{set: cifar10, path: {data}, train_examples: {examples}, validation: 0.02}}
model: {model}
training: {{epochs: {epochs}, precision: {precision}, optimizer: {optimizer}, learning_rate: {rate}}}
devices: {{gpus: none, cpu_threads: {threads}}}
"""


def ours(data, examples, preset, precision, threads):
    model = MODELS.get(preset, preset)
    optimizer, rate = ("adadelta", 1.0) if preset == "thin" else ("adam", 1e-3)
    with tempfile.TemporaryDirectory() as folder:
        text = SWEEP.format(batch=BATCH, epochs=EPOCHS, **locals())
        Path(folder, "bench.yaml").write_text(text)
        command = [PROGRAM, "run", "bench.yaml"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with open(Path(folder, "results/bench/epochs.csv")) as rows:
            return [float(row["pictures_per_second"]) for row in csv.DictReader(rows)]


def theirs(data, examples, preset, precision, threads, *flags):
    command = [sys.executable, HERE / "pytorch.py", preset, "--data", data]
    command += ["--examples", str(examples), "--batch-size", str(BATCH), "--epochs", str(EPOCHS)]
    command += ["--precision", precision, "--threads", str(threads), *flags]
    threads = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env={**os.environ, **MALLOC, **threads}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--presets", default="question,strided,small,thin,resnet9,mobile,branched")
    parser.add_argument("--precisions", default="bfloat16,float32")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--examples", type=int, default=2048)
    parser.add_argument("--data", default=str(ROOT / "data/cifar-10-batches-bin"))
    args = parser.parse_args()
    print("| preset | precision | threads | sweep, images/s | PyTorch, images/s | ratio (min, max) | limit, images/s | sweep / limit |")
    print("|---|---|---|---|---|---|---|---|")
    for preset in args.presets.split(","):
        for precision in args.precisions.split(","):
            for threads in map(int, args.threads.split(",")):
                case = (args.data, args.examples, preset, precision, threads)
                pairs = []
                for pair in range(args.pairs):
                    sides = [lambda: max(ours(*case)), lambda: max(theirs(*case)["pictures_per_second"])]
                    found = [side() for side in (sides if pair % 2 else sides[::-1])]
                    pairs.append(found if pair % 2 else found[::-1])
                share = theirs(*case, "--profile")["share"]
                mine, other = (statistics.median(side) for side in zip(*pairs))
                ratios = sorted(a / b for a, b in pairs)
                floor = other / share
                print(f"| {preset} | {precision} | {threads} | {mine:.0f} | {other:.0f} | {statistics.median(ratios):.2f} "
                      f"({ratios[0]:.2f}, {ratios[-1]:.2f}) | {floor:.0f} | {mine / floor:.2f} |", flush=True)  # fmt: skip


main()
