"""A script that gives its metrics in wandb an axis of its own, and logs its training in steps."""

import json
from pathlib import Path

import wandb

run = wandb.init(project="example", config={"lr": 0.1})
wandb.define_metric("round")
wandb.define_metric("val/*", step_metric="round")
history, weight = [], 4.0
for round in (10, 20, 30):
    for step in range(5):
        weight -= run.config.lr * weight
        wandb.log({"train/loss": weight**2})
    wandb.log({"val/loss": weight**2 + 1, "val": {"acc": 1 / (1 + weight)}, "round": round})
    history.append({"epoch": round, "val_loss": weight**2 + 1, "val_accuracy": 1 / (1 + weight)})
Path("history.json").write_text(json.dumps(history))
wandb.finish()
