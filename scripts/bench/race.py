"""The race for a good configuration: `sweep` against Optuna with PyTorch tuned by hand, on two cores.

    python scripts/bench/race.py --minutes 20 --seeds 5 --examples 10000 --out results/race

CIFAR-10 with a small network and seven parameters. The tools take turns, each with its own two processes of one thread:

- sweep      `budget` and nothing else that would need a decision
- hyperband  Optuna's TPE with its Hyperband pruner
- median     Optuna's TPE with its median pruner
- random     Optuna's random sampler without a pruner

Each epoch's validation accuracy is recorded with the time since the tool was started. The configuration that a tool
chooses is then trained again by PyTorch, on training and validation images with five seeds, and tested on the test
images once. A race that was interrupted continues after the last tool that was tested, if the same command runs again;
delete OUT to begin anew. Needs PyTorch, NumPy and Optuna 5 in the interpreter. Prints a table; OUT has every point as JSON.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ["sweep", "hyperband", "median", "random"]
FINAL_SEEDS = 5
EPOCHS = 20

SWEEP = """\
name: race
method: tpe
seed: {seed}
budget: {minutes}m
metric: {{name: val_accuracy, goal: maximize}}
parameters:
  learning_rate: {{distribution: log_uniform_values, min: 1e-4, max: 1e-2}}
  batch_size: {{values: [32, 64, 128, 256]}}
  weight_decay: {{distribution: log_uniform_values, min: 1e-6, max: 1e-2}}
  dropout: {{min: 0.0, max: 0.6}}
  batch_norm: {{values: [false, true]}}
  downsample: {{values: [pool, stride]}}
  augment: {{values: [null, {{flip: true, crop: 4}}]}}
data: {{set: arrays, path: {data}, order: nchw, validation: test}}
model:
  - {{conv: {{filters: 32, kernel: 3}}}}
  - relu
  - {{conv: {{filters: 32, kernel: 3}}}}
  - relu
  - downsample: ${{downsample}}
  - batch_norm: ${{batch_norm}}
  - dropout: ${{dropout}}
  - {{conv: {{filters: 64, kernel: 3}}}}
  - relu
  - {{conv: {{filters: 64, kernel: 3}}}}
  - relu
  - downsample: ${{downsample}}
  - batch_norm: ${{batch_norm}}
  - dropout: ${{dropout}}
  - flatten
  - dense: 256
  - relu
  - dropout: ${{dropout}}
  - dense: ${{classes}}
training: {{epochs: {epochs}, optimizer: adamw}}
devices: {{gpus: none, cpu_threads: 1}}
"""


def images(path, count):
    raw = numpy.fromfile(path, numpy.uint8, count * 3073).reshape(-1, 3073)
    return raw[:, 1:].reshape(-1, 3, 32, 32), raw[:, 0].astype(numpy.int64)


def network(torch, settings):
    nn = torch.nn
    layers, inputs = [], 3
    for filters in [32, 64]:
        stride = 2 if settings["downsample"] == "stride" else 1
        layers += [nn.Conv2d(inputs, filters, 3, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.Conv2d(filters, filters, 3, stride, padding=1), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)] if stride == 1 else []
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)] if settings["batch_norm"] else []
        layers += [nn.Dropout(settings["dropout"])]
        inputs = filters
    layers += [nn.Flatten(), nn.Linear(64 * 64, 256), nn.ReLU(inplace=True), nn.Dropout(settings["dropout"])]
    model = nn.Sequential(*layers, nn.Linear(256, 10)).to(memory_format=torch.channels_last)
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return model


def augmented(torch, batch):
    """Flips half of the images and shifts each by up to four pixels, all at once."""
    count, side = len(batch), batch.shape[-1]
    flip = torch.rand(count, 1, 1, 1) < 0.5
    batch = torch.where(flip, batch.flip(3), batch)
    padded = torch.nn.functional.pad(batch, (4, 4, 4, 4))
    rows, columns = (torch.randint(0, 9, (count, 1)) + torch.arange(side) for _ in range(2))
    each = torch.arange(count)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def train(settings, train_set, other_set, seed, epochs):
    """Yields the accuracy on the other images after each epoch. Channels-last, fused optimizer, and bfloat16 where the
    CPU has instructions for it."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    is_fast = "avx512_bf16" in Path("/proc/cpuinfo").read_text() or "amx_bf16" in Path("/proc/cpuinfo").read_text()
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=is_fast)
    mean, deviation = train_set[0].mean((0, 2, 3), keepdims=True) / 255, train_set[0].std((0, 2, 3), keepdims=True) / 255
    x, held = (
        torch.from_numpy(((data / 255 - mean) / deviation).astype(numpy.float32)).contiguous(
            memory_format=torch.channels_last
        )
        for data in (train_set[0], other_set[0])
    )
    y, truth = torch.from_numpy(train_set[1]), torch.from_numpy(other_set[1])
    model = network(torch, settings)
    optimizer = torch.optim.AdamW(
        model.parameters(), settings["learning_rate"], weight_decay=settings["weight_decay"], eps=1e-7, fused=True
    )
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(y)).split(settings["batch_size"]):
            batch = x.index_select(0, rows)
            batch = augmented(torch, batch) if settings["augment"] else batch
            batch = batch.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad(set_to_none=True)
            with autocast:
                loss = torch.nn.functional.cross_entropy(model(batch).float(), y.index_select(0, rows))
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad(), autocast:
            hits = sum(int((model(a).argmax(1) == b).sum()) for a, b in zip(held.split(500), truth.split(500)))
        yield hits / len(truth)


def optuna_worker(tool, seed, number, began, minutes, data, out):
    """Proposes, trains and reports until the time is over. Two of these share a study."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / "study.log")))
    tpe = optuna.samplers.TPESampler(seed=seed * 2 + number)
    sampler = optuna.samplers.RandomSampler(seed=seed * 2 + number) if tool == "random" else tpe
    pruner = {
        "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
        "median": optuna.pruners.MedianPruner,
        "random": optuna.pruners.NopPruner,
    }[tool]()
    study = optuna.create_study(
        study_name="race", storage=storage, sampler=sampler, pruner=pruner, direction="maximize", load_if_exists=True
    )
    deadline = began + 60 * minutes

    def objective(trial):
        settings = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128, 256]),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.6),
            "batch_norm": trial.suggest_categorical("batch_norm", [False, True]),
            "downsample": trial.suggest_categorical("downsample", ["pool", "stride"]),
            "augment": trial.suggest_categorical("augment", [False, True]),
        }
        best = 0.0
        for epoch, accuracy in enumerate(train(settings, *data, seed * 1000 + trial.number, EPOCHS), 1):
            now = time.time()
            if now > deadline:
                raise optuna.TrialPruned
            best = max(best, accuracy)
            with open(out / f"points-{number}.jsonl", "a") as file:
                print(json.dumps([now - began, accuracy, settings]), file=file)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    while time.time() < deadline:
        study.optimize(objective, n_trials=1)


def run_optuna(tool, seed, minutes, data, out):
    began = time.time()
    context = multiprocessing.get_context("spawn")
    arguments = [(tool, seed, number, began, minutes, data, out) for number in range(2)]
    workers = [context.Process(target=optuna_worker, args=one) for one in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        sys.exit(f"{tool}: a worker failed")
    lines = [line for file in sorted(out.glob("points-*.jsonl")) for line in file.read_text().splitlines()]
    return sorted(map(json.loads, lines), key=lambda point: point[0])


def run_sweep(program, seed, minutes, folder, out):
    (out / "race.yaml").write_text(
        SWEEP.format(seed=seed, minutes=minutes, epochs=EPOCHS, data=json.dumps(str(folder)))
    )
    began = time.time()
    run = subprocess.run(
        [program, "run", "race.yaml", "--json"], cwd=out, stdout=subprocess.PIPE, text=True, timeout=60 * minutes + 300
    )
    events = [json.loads(line) for line in run.stdout.splitlines()]
    if not any(event["event"] == "end" for event in events):
        sys.exit(f"sweep ended with exit code {run.returncode}")
    settings, points = {}, []
    for event in events:
        if event["event"] == "trial_started":
            settings[event["trial"]] = {**event["parameters"], "augment": bool(event["parameters"]["augment"])}
        if event["event"] == "epoch" and event["at"] <= began + 60 * minutes:
            points.append([event["at"] - began, event["metrics"]["val_accuracy"], settings[event["trial"]]])
    return points


def last_accuracy(arguments):
    return list(train(*arguments))[-1]


def tested(settings, data, test, epochs):
    whole = tuple(numpy.concatenate(pair) for pair in zip(*data))
    runs = [(settings, whole, test, 9000 + seed, epochs) for seed in range(FINAL_SEEDS)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return pool.map(last_accuracy, runs, chunksize=1)


def best_by(points, seconds):
    return max((point[1] for point in points if point[0] <= seconds), default=0.0)


def report(results, minutes):
    marks = [share * 60 * minutes for share in (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)]
    median = {tool: [statistics.median(best_by(one["points"], at) for one in runs) for at in marks]
              for tool, runs in results.items()}  # fmt: skip
    header = " | ".join(f"{at / 60:.1f} min" for at in marks)
    print(f"best validation accuracy, median over seeds\n\n| | {header} | test accuracy of the choice |")
    print("|---" * (len(marks) + 2) + "|")
    for tool, runs in results.items():
        tests = [accuracy for one in runs for accuracy in one["tested"]]
        spread = f"{statistics.mean(tests):.4f} ± {statistics.stdev(tests):.4f}" if len(tests) > 1 else ""
        print(f"| {tool} | " + " | ".join(f"{value:.4f}" for value in median[tool]) + f" | {spread} |")
    for tool in [tool for tool in results if tool != "sweep" and "sweep" in results]:
        times = []
        for own, other in zip(results["sweep"], results[tool]):
            goal = best_by(other["points"], 60 * minutes)
            times.append(next((point[0] / 60 for point in own["points"] if point[1] >= goal), float("inf")))
        print(f"sweep reaches the last value of {tool} after {statistics.median(times):.1f} min (median)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=10000)
    parser.add_argument("--tests", type=int, default=10000, help="number of test images")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--data", type=Path, default=ROOT / "data/cifar-10-batches-bin")
    parser.add_argument("--sweep", default=str(ROOT / "target/release/sweep"))
    parser.add_argument("--out", type=Path, default=ROOT / "results/race")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"

    pixels, labels = images(args.data / "data_batch_1.bin", args.examples)
    held = max(args.examples // 10, 1)
    data = ((pixels[held:], labels[held:]), (pixels[:held], labels[:held]))
    test = images(args.data / "test_batch.bin", args.tests)
    folder = args.out.resolve() / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for (x, y), name in zip(data, ["train", "test"]):  # `arrays` knows these names; the real test images stay here
        numpy.save(folder / f"x_{name}.npy", x)
        numpy.save(folder / f"y_{name}.npy", y.astype(numpy.uint8))

    kept = args.out / "race.json"
    results = {tool: [] for tool in args.tools}
    results.update(json.loads(kept.read_text()) if kept.exists() else {})
    for seed in range(1, args.seeds + 1):
        # Each tool is first, second and so on equally often.
        for tool in args.tools[seed % len(args.tools) :] + args.tools[: seed % len(args.tools)]:
            if any(one["seed"] == seed for one in results[tool]):
                continue
            out = args.out.resolve() / f"{tool}-{seed}"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            if tool == "sweep":
                points = run_sweep(args.sweep, seed, args.minutes, folder, out)
            else:
                points = run_optuna(tool, seed, args.minutes, data, out)
            if not points:
                sys.exit(f"{tool} reported no epoch within {args.minutes} min")
            choice = max(points, key=lambda point: point[1])
            tests = tested(choice[2], data, test, EPOCHS)
            results[tool].append({"seed": seed, "points": points, "choice": choice[2], "tested": tests})
            print(f"{tool}, seed {seed}: {len(points)} epochs, best {choice[1]:.4f}, tested {tests}", file=sys.stderr)
            kept.write_text(json.dumps(results))
    report(results, args.minutes)


if __name__ == "__main__":
    main()
