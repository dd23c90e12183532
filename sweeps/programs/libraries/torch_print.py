"""A plain PyTorch loop that prints a line per epoch."""

import argparse
import json
from pathlib import Path

import torch
from data import load
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

(x, y), (x_val, y_val) = [tuple(map(torch.from_numpy, part)) for part in load()]
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
criterion = nn.CrossEntropyLoss()
history = []
for epoch in range(1, args.epochs + 1):
    model.train()
    total = 0.0
    for batch in range(0, len(x), 50):
        loss = criterion(model(x[batch : batch + 50]), y[batch : batch + 50])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x[batch : batch + 50])
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        val_loss, val_acc = criterion(out, y_val).item(), (out.argmax(1) == y_val).float().mean().item()
    train_loss = total / len(x)
    print(f"Epoch [{epoch}/{args.epochs}], Train Loss: {train_loss:.6f}, Val Loss: {val_loss:.6f}, Val Acc: {val_acc * 100:.4f}%")
    history.append({"train_loss": train_loss, "val_loss": val_loss, "val_accuracy": val_acc})
Path("history.json").write_text(json.dumps(history))
