"""PyTorch with worker processes that load the data."""

import argparse
import json
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from data import load

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=3)
args = parser.parse_args()

torch.manual_seed(0)
torch.set_num_threads(1)
train, val = [TensorDataset(*map(torch.from_numpy, part)) for part in load()]
batches = DataLoader(train, batch_size=50, num_workers=2, persistent_workers=True)
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
criterion = nn.CrossEntropyLoss()
history = []
for epoch in range(args.epochs):
    for x, y in batches:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        x, y = val.tensors
        val_loss = criterion(model(x), y).item()
    print(f"Epoch {epoch + 1}/{args.epochs}: val_loss={val_loss:.6f}", flush=True)
    history.append({"val_loss": val_loss})
Path("history.json").write_text(json.dumps(history))
