"""A script that runs without PYTHONPATH, so that only the offline file of wandb has its metrics."""

import json
from pathlib import Path

import wandb

run = wandb.init(project="example", config={"lr": 0.1})
history, weight = [], 4.0
for epoch in range(4):
    weight -= run.config.lr * weight
    wandb.log({"train/loss": weight**2, "val": {"loss": weight**2 + 1, "acc": 1 / (1 + weight)}, "epoch": epoch})
    history.append({"train_loss": weight**2, "val_loss": weight**2 + 1, "val_accuracy": 1 / (1 + weight)})
Path("history.json").write_text(json.dumps(history))
wandb.finish()
