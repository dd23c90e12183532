"""A script that reports only to wandb."""

import json
from pathlib import Path

import wandb
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

from data import load

run = wandb.init(project="example", config={"lr": 0.01, "epochs": 5})
(x, y), (x_val, y_val) = load()
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=run.config.lr, random_state=0)
history = []
for epoch in range(run.config.epochs):
    model.partial_fit(x, y, classes=[0, 1])
    train_loss = log_loss(y, model.predict_proba(x))
    val_loss, val_acc = log_loss(y_val, model.predict_proba(x_val)), model.score(x_val, y_val)
    wandb.log({"train/loss": train_loss}, commit=False)
    wandb.log({"val": {"loss": val_loss, "acc": val_acc}, "epoch": epoch})
    history.append({"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_acc})
run.summary["final_acc"] = val_acc
Path("history.json").write_text(json.dumps(history))
wandb.finish()
