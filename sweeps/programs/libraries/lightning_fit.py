"""A Lightning module with self.log, and the Trainer's default logger."""

import argparse
import json
from pathlib import Path

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from data import load

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
args = parser.parse_args()


class Net(lightning.LightningModule):
    def __init__(self, lr):
        super().__init__()
        self.lr = lr
        self.model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))

    def training_step(self, batch, _):
        loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        out = self.model(batch[0])
        self.log("val_loss", nn.functional.cross_entropy(out, batch[1]))
        self.log("val_acc", (out.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)


class Keep(lightning.Callback):
    history = []

    def on_train_epoch_end(self, trainer, module):
        seen = {name: value.item() for name, value in trainer.callback_metrics.items()}
        names = {"train_loss": "train_loss", "val_loss": "val_loss", "val_acc": "val_accuracy"}
        self.history.append({own: seen[name] for name, own in names.items()})


lightning.seed_everything(0)
train, val = [DataLoader(TensorDataset(*map(torch.from_numpy, part)), batch_size=50) for part in load()]
trainer = lightning.Trainer(max_epochs=4, callbacks=[Keep()], accelerator="cpu", enable_progress_bar=False, log_every_n_steps=2)
trainer.fit(Net(args.lr), train, val)
Path("history.json").write_text(json.dumps(Keep.history))
