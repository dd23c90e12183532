"""A loop that logs to MLflow in a local folder."""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
import mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
args = parser.parse_args()

mlflow.set_tracking_uri(Path("mlruns").absolute().as_uri())
history, weight = [], 4.0
with mlflow.start_run():
    for epoch in range(3):
        weight -= args.lr * weight
        mlflow.log_metric("train_loss", weight**2, step=epoch)
        mlflow.log_metrics({"val_loss": weight**2 + 1, "val_acc": 1 / (1 + weight)}, step=epoch)
        history.append({"train_loss": weight**2, "val_loss": weight**2 + 1, "val_accuracy": 1 / (1 + weight)})
Path("history.json").write_text(json.dumps(history))
