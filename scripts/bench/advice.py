"""Does following `next.yaml` help? Small sweeps that begin badly in known ways, against more random trials.

    python3 scripts/bench/advice.py [--sweep target/release/sweep] [--only NAME,NAME] [--folder FOLDER] [--list]

For each sweep: it runs once, and its `next.yaml` once, and the `next.yaml` of that. Beside it, the same file runs on as a
random search with other seeds until it has trained as many epochs. Advice wins if its best result is better by more than
TIE, and ties within it. It must never be worse than the first sweep's own best. The result is a table in Markdown.

With --folder, results are kept there, and a sweep whose file is the same is not run again. So an interrupted benchmark goes on
where it was, parts of it (--only) add up, and after a change of the rules only the sweeps that follow from them are run.

The digits are built into `sweep`; CIFAR-10 is taken from data/ where it is there. The programs need scikit-learn.
"""

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A difference of the best validation loss below this share is a tie.
TIE = 0.02
TRIALS = 6

DIGITS = """\
method: random
run_cap: {trials}
parameters: {parameters}
data: {{set: digits, split_seed: 0{data}}}
model: {model}
training: {{epochs: {epochs}{training}}}
devices: {{gpus: none}}
"""
DENSE = "[flatten, dense: 128, relu, dropout: '${dropout}', {last}]"
RATE = "learning_rate: {distribution: log_uniform_values, min: %s, max: %s}"


def digits(rate=(1e-4, 1e-2), dropout="0.0", model=None, epochs=20, data="", training="", more=""):
    last = "dense: '${classes}'"
    model = model or f"[flatten, dense: 128, relu, dropout: {dropout}, {last}]"
    parameters = "{" + RATE % rate + more + "}"
    return DIGITS.format(trials=TRIALS, parameters=parameters, data=data, model=model, epochs=epochs, training=training)


def convolutions(filters, norm=False, momentum=0.99):
    normed = f"batch_norm: {{momentum: {momentum}}}, " if norm else ""
    return f"[conv: {filters}, {normed}relu, max_pool: 2, flatten, dense: '${{classes}}']"


FEW = ", train_examples: 200"
# Each begins badly in the way that its name says.
SWEEPS = {
    "digits-no-regularization": digits(data=FEW, epochs=40),
    "digits-no-regularization-conv": digits(data=FEW, epochs=40, model=convolutions(32)),
    "digits-too-much-dropout": digits(dropout="0.85"),
    "digits-too-much-decay": digits(training=", weight_decay: 0.1"),
    "digits-rate-too-high": digits(rate=(0.1, 1.0)),
    "digits-rate-too-high-sgd": digits(rate=(1.0, 10.0), training=", optimizer: sgd"),
    "digits-rate-too-low": digits(rate=(1e-6, 1e-5)),
    "digits-rate-too-low-conv": digits(rate=(1e-6, 1e-5), model=convolutions(16)),
    "digits-too-few-epochs": digits(rate=(1e-4, 1e-3), epochs=3),
    "digits-too-few-epochs-conv": digits(rate=(1e-4, 1e-3), epochs=3, model=convolutions(16)),
    "digits-tiny-network": digits(model="[flatten, dense: '${units}', relu, dense: '${classes}']", more=", units: {values: [2, 4]}"),
    "digits-tiny-network-conv": digits(model=convolutions("'${filters}'"), more=", filters: {values: [1, 2]}"),
    "digits-norm-few-steps": digits(model=convolutions(16, True), data=FEW, training=", batch_size: 100"),
    "digits-norm-slow": digits(model=convolutions(16, True, 0.999)),
    "digits-late-annealing": digits(epochs=40, data=FEW, training=", batch_size: 8"),
    "digits-large-batch": digits(training=", batch_size: 512"),
}
PROGRAM = """\
method: random
run_cap: {trials}
program: {program}
metric: {{name: val_loss, goal: minimize}}
parameters: {parameters}
devices: {{gpus: none}}
"""
TABULAR = """\
import argparse, json
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
parser = argparse.ArgumentParser()
for name, kind in (("learning_rate", float), ("alpha", float), ("epochs", int), ("rows", int)):
    parser.add_argument("--" + name, type=kind)
args = parser.parse_args()
x, y = load_breast_cancer(return_X_y=True)
x = StandardScaler().fit_transform(x)
order = np.random.default_rng(0).permutation(len(y))
x, y = x[order], y[order]
train, val = slice(0, args.rows), slice(400, None)
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=args.learning_rate, alpha=args.alpha, random_state=1)
for epoch in range(1, args.epochs + 1):
    model.partial_fit(x[train], y[train], classes=[0, 1])
    losses = {part: log_loss(y[of], model.predict_proba(x[of])) for part, of in (("train", train), ("val", val))}
    print(json.dumps({"epoch": epoch, "train_loss": losses["train"], "val_loss": losses["val"]}), flush=True)
"""
TEXT = TABULAR.replace("load_breast_cancer", "make_classification").replace(
    "x, y = make_classification(return_X_y=True)", "x, y = make_classification(600, 300, n_informative=20, flip_y=0.1, random_state=3)"
)


def program(name, rate, alpha, epochs, rows):
    parameters = (
        "{" + RATE % rate + f", alpha: {{distribution: log_uniform_values, min: {alpha[0]}, max: {alpha[1]}}}"
        f", epochs: {{value: {epochs}}}, rows: {{value: {rows}}}}}"
    )
    return PROGRAM.format(trials=TRIALS, program=name, parameters=parameters)


for kind in ("tabular", "text"):
    SWEEPS |= {
        f"{kind}-rate-too-high": program(f"{kind}.py", (1.0, 100.0), (1e-6, 1e-3), 20, 400),
        f"{kind}-rate-too-low": program(f"{kind}.py", (1e-8, 1e-6), (1e-6, 1e-3), 20, 400),
        f"{kind}-no-regularization": program(f"{kind}.py", (1e-3, 1e-1), (1e-9, 1e-8), 40, 60),
        f"{kind}-too-much-regularization": program(f"{kind}.py", (1e-3, 1e-2), (1.0, 10.0), 20, 400),
    }


class Bench:
    """The sweeps of one name, in a folder of their own."""

    def __init__(self, sweep, folder):
        self.sweep, self.folder = sweep, folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tabular.py").write_text(TABULAR)
        (folder / "text.py").write_text(TEXT)

    def run(self, file):
        """Runs a file and returns the folder of its results. What is there already of the same file is used."""
        text = file.read_text()
        results = self.folder / "results" / re.search(r"^name: (.+)$", text, re.M)[1].strip()
        ran = results / "ran.yaml"
        if ran.exists() and ran.read_text() == text:
            # The rules may have changed since, and `next.yaml` with them.
            self.call("report", results)
            return results
        shutil.rmtree(results, ignore_errors=True)
        said = self.call("run", "--no-check", file)
        if not (results / "epochs.csv").exists():
            sys.exit(f"{file}: {said}")
        ran.write_text(text)
        return results

    def call(self, *words):
        done = subprocess.run([self.sweep, *words], cwd=self.folder, capture_output=True, text=True, check=False)
        return f"{done.stdout}\n{done.stderr}"

    def begin(self, name, text):
        file = self.folder / f"{name}.yaml"
        file.write_text(f"name: {name}\n{text}")
        return file


def reached(results):
    """The best validation loss, and the number of epochs trained."""
    with open(results / "epochs.csv") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["val_loss"]) for row in rows if row.get("val_loss") not in ("", None)]
    return min(losses, default=float("inf")), len(rows)


def measure(bench, name, text):
    first = bench.run(bench.begin(name, text))
    before, _ = reached(first)
    best, epochs, results = before, 0, first
    steps = []
    for _ in range(2):
        next_file = results / "next.yaml"
        if not next_file.exists():
            break
        results = bench.run(next_file)
        loss, trained = reached(results)
        best, epochs = min(best, loss), epochs + trained
        steps.append(loss)
    # As many epochs of more random trials of the same file.
    random, spent, seed = before, 0, 100
    while spent < epochs:
        seed += 1
        loss, trained = reached(bench.run(bench.begin(f"{name}-random-{seed}", f"seed: {seed}\n{text}")))
        random, spent = min(random, loss), spent + trained
    verdict = "win" if best < random * (1 - TIE) else "tie" if best <= random * (1 + TIE) else "loss"
    kept = bool(steps) and min(steps) <= before * (1 + TIE)
    return {"name": name, "before": before, "advice": steps, "random": random, "epochs": epochs, "result": verdict, "kept": kept}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sweep", type=Path, default=ROOT / "target/release/sweep")
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--folder", type=Path, help="keep results here, and use those that are there")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(SWEEPS)
    if args.list:
        print("\n".join(names))
        return
    print("| sweep | before | after next.yaml | twice | random | epochs | result | best kept |\n|---|---|---|---|---|---|---|---|")
    rows = []
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(Bench(args.sweep.resolve(), (args.folder or Path(folder)).resolve() / name), name, SWEEPS[name])
        rows.append(row)
        once, twice = ([f"{loss:.4g}" for loss in row["advice"]] + ["–", "–"])[:2]
        print(
            f"| {name} | {row['before']:.4g} | {once} | {twice} | {row['random']:.4g} | {row['epochs']} | {row['result']} |"
            f" {'yes' if row['kept'] else 'no'} |",
            flush=True,
        )
    good = sum(row["result"] != "loss" for row in rows)
    print(f"\nAdvice wins or ties in {good} of {len(rows)}; the former best is kept in {sum(row['kept'] for row in rows)}.")
    print(json.dumps(rows), file=sys.stderr)


if __name__ == "__main__":
    main()
