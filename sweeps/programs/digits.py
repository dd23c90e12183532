"""Trains scikit-learn's multi-layer perceptron on its digits, epoch by epoch.

It reads its hyperparameters as `--name=value`, writes metrics.csv into the trial's folder, and continues from model.pickle
there. It depends on `sweep` only by two environment variables.
"""

import argparse
import csv
import os
import pickle
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=1e-3)
parser.add_argument("--units", type=int, default=32)
parser.add_argument("--alpha", type=float, default=1e-4)
parser.add_argument("--epochs", type=int, default=8)
settings = parser.parse_args()

folder = Path(os.environ.get("SWEEP_TRIAL_DIR", "."))
saved, table = folder / "model.pickle", folder / "metrics.csv"
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)

if os.environ.get("SWEEP_RESUME") == "1" and saved.exists():
    done, model = pickle.loads(saved.read_bytes())
else:
    done = 0
    model = MLPClassifier([settings.units], learning_rate_init=settings.learning_rate, alpha=settings.alpha, max_iter=1,
                          warm_start=True, random_state=int(os.environ.get("SWEEP_SEED", 0)))
    table.unlink(missing_ok=True)

warnings.filterwarnings("ignore", message="Stochastic Optimizer")
with table.open("a", newline="") as file:
    writer = csv.writer(file)
    if file.tell() == 0:
        writer.writerow(["epoch", "train_loss", "val_loss", "val_accuracy"])
    for epoch in range(done + 1, settings.epochs + 1):
        model.fit(x_train, y_train)
        shares = model.predict_proba(x_val)
        row = [epoch, model.loss_, log_loss(y_val, shares), model.score(x_val, y_val)]
        # The row comes first: after a kill in between, the epoch is trained again, so none is missing.
        writer.writerow(row)
        file.flush()
        saved.with_suffix(".new").write_bytes(pickle.dumps((epoch, model)))
        saved.with_suffix(".new").replace(saved)
