"""One of the workloads of the peers' benchmark (`workloads.json` in its folder), run by `sweep`.

    python scripts/bench/peer.py PEERS WORKLOAD OUT      with CIFAR10_DIR set

For `run_all.sh --also`: the last line on stdout is JSON with the keys that its report reads. The images are written
to OUT/data once, as arrays; the sweep is run anew each time.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parent.parent.parent
MODELS = {
    "small_strided": """
  - {conv: {filters: 32, kernel: 3, padding: valid}}
  - relu
  - dropout: ${p}
  - {conv: {filters: 64, kernel: 5, stride: 2, padding: valid, bias: false}}
  - relu
  - dropout: 0.2
  - flatten
  - dense: 128
  - relu
  - dropout: 0.3
  - dense: 10""",
    "skinny": """
  - {conv: {filters: 64, kernel: 4, padding: same}}
  - max_pool: 2
  - relu
  - dropout: 0.25
  - {conv: {filters: 64, kernel: 2, padding: same}}
  - relu
  - dropout: 0.25
  - {conv: {filters: 32, kernel: 3, padding: same}}
  - relu
  - dropout: 0.25
  - {conv: {filters: 32, kernel: 3, padding: same}}
  - relu
  - max_pool: 2
  - dropout: 0.15
  - flatten
  - dense: 64
  - relu
  - dropout: ${p}
  - dense: 64
  - tanh
  - dropout: 0.25
  - dense: 10""",
    "linear": "\n  - flatten\n  - dense: 10",
}


def records(work, side):
    path = Path(os.environ["CIFAR10_DIR"], work[f"{side}_file"])
    raw = numpy.fromfile(path, numpy.uint8, work[f"{side}_records"] * 3073).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0]


def axis(spec):
    if isinstance(spec, dict):
        spec = [round(spec["first"] + i * spec["step"], 10) for i in range(spec["count"])]
    return {"values": spec}


def main():
    peers, name, out = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    spec = json.loads((peers / "workloads.json").read_text())
    work = {**spec["data"], **spec["workloads"][name]}
    data = out / "data"
    if not data.exists():
        data.mkdir(parents=True)
        for side, end in [("train", "train"), ("val", "test")]:
            for array, what in zip(records(work, side), "xy"):
                numpy.save(data / f"{what}_{end}.npy", array)
    names = {"lr": "learning_rate"}
    grid = {names.get(key, key): axis(values) for key, values in {**work["fixed"], **work["grid"]}.items()
            if key in work["grid"]}  # fmt: skip
    fixed = {names.get(key, key): value for key, value in work["fixed"].items() if key != "p"}
    training = {"epochs": work["epochs"], "optimizer": work["optimizer"]["name"], **fixed}
    shutil.rmtree(out / "results", ignore_errors=True)
    # JSON is YAML, but for the model.
    text = f"""\
name: {name}
method: grid
seed: {spec["seed"]}
parameters: {json.dumps(grid)}
data: {{set: arrays, path: data, order: nchw, validation: test}}
model:{MODELS[work["model"]]}
training: {json.dumps(training)}
devices: {{gpus: none, cpu_threads: 1}}
"""
    (out / "sweep.yaml").write_text(text)
    began = time.time()
    subprocess.run([ROOT / "target/release/sweep", "run", "sweep.yaml"], cwd=out, check=True, stdout=subprocess.DEVNULL)
    wall = time.time() - began
    with open(out / f"results/{name}/epochs.csv") as file:
        rows = list(csv.DictReader(file))
    with open(out / f"results/{name}/trials.csv") as file:
        trials = [row for row in csv.DictReader(file) if row["status"] == "finished"]
    sizes = {int(row["parameters"]) for row in trials}
    if sizes != {work["parameters"]}:
        raise SystemExit(f"another network than the other tools': {sizes} parameters, not {work['parameters']}")
    train = sum(work["train_records"] / float(row["pictures_per_second"]) for row in rows)
    line = {"tool": "sweep", "workload": name, "flags": ["jobs=2"], "jobs": 2, "trials": len(trials)}
    line |= {"epoch_rows": len(rows), "wall_s": round(wall, 3), "train_s_sum": round(train, 3)}
    line["eval_s_sum"] = round(sum(float(row["seconds"]) for row in rows) - train, 3)
    line["best_val_acc"] = round(max(float(row["val_accuracy"]) for row in rows), 4)
    print(json.dumps(line))


main()
