"""A sweep in the code: wandb.sweep and wandb.agent."""

import json
from pathlib import Path

import wandb

SWEEP = {
    "name": "wandb_agent",
    "method": "grid",
    "metric": {"name": "val_loss", "goal": "minimize"},
    "parameters": {"lr": {"values": [0.1, 0.2, 0.4]}},
}


def train():
    with wandb.init() as run:
        history, weight = [], 4.0
        for epoch in range(6):
            weight -= run.config.lr * weight
            run.log({"epoch": epoch, "val_loss": weight**2})
            history.append({"val_loss": weight**2})
    Path(f"history-{run.config.lr}.json").write_text(json.dumps(history))


if __name__ == "__main__":
    sweep_id = wandb.sweep(SWEEP, project="example")
    wandb.agent(sweep_id, function=train, count=3)
